// SPDX-License-Identifier: Apache-2.0
/*
 * ca_make.c: what stands in our certificates (RFC 5280). ECDSA P-256 with SHA-256 throughout, 128-bit random serials.
 */
#include "wire/ca_make.h"

#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

#define BACKDATE_SECONDS 3600L /* clocks of agents may be a little behind */

EVP_PKEY *ca_make_key(void) { return EVP_EC_gen("P-256"); }

static int add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	int ok = ext && X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	return ok;
}

static int set_serial(X509 *cert)
{
	unsigned char bytes[16];
	BIGNUM *n;

	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return 0;
	bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive, and always 16 bytes */
	n = BN_bin2bn(bytes, sizeof bytes, NULL);
	int ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
	BN_free(n);
	return ok;
}

static X509 *begin(EVP_PKEY *key, X509 *issuer, const char *cn, long seconds)
{
	X509 *cert = X509_new();
	X509_NAME *name = cert ? X509_get_subject_name(cert) : NULL;
	int cn_len = (int)strnlen(cn, 64); /* ub-common-name; the SAN is what counts */

	if (cert && X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
	    X509_gmtime_adj(X509_getm_notBefore(cert), -BACKDATE_SECONDS) &&
	    X509_gmtime_adj(X509_getm_notAfter(cert), seconds) &&
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, cn_len, -1, 0) &&
	    X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : name) && X509_set_pubkey(cert, key))
		return cert;
	X509_free(cert);
	return NULL;
}

static X509 *sign(X509 *cert, int ok, EVP_PKEY *key)
{
	if (ok && X509_sign(cert, key, EVP_sha256()))
		return cert;
	X509_free(cert);
	return NULL;
}

X509 *ca_make_root(EVP_PKEY *key, const char *label, long days)
{
	X509 *c = begin(key, NULL, label, days * 86400);

	return sign(c,
		    c && add_extension(c, c, NID_basic_constraints, "critical,CA:TRUE,pathlen:1") &&
			    add_extension(c, c, NID_key_usage, "critical,keyCertSign,cRLSign") &&
			    add_extension(c, c, NID_subject_key_identifier, "hash"),
		    key);
}

/* ".example.com" is a subtree below; "api.example.com" also permits names below it by RFC 5280 4.2.1.10: ca_permits is exact. */
static int name_constraints(struct buf *out, const char *const *names, size_t nnames)
{
	int r = buf_printf(out, "critical");

	for (size_t i = 0; i < nnames; i++)
		r |= buf_printf(out, ",permitted;DNS:%s", names[i][0] == '.' ? names[i] + 1 : names[i]);
	r |= buf_printf(out, ",excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0");
	return r | buf_append(out, "", 1);
}

X509 *ca_make_issuer(EVP_PKEY *key, X509 *root, EVP_PKEY *root_key, const char *const *names, size_t nnames, long days)
{
	X509 *c = begin(key, root, "purse issuer", days * 86400);
	struct buf nc;

	buf_init(&nc, 1 << 20);
	int ok = c && !name_constraints(&nc, names, nnames) &&
		 add_extension(c, root, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
		 add_extension(c, root, NID_key_usage, "critical,keyCertSign,cRLSign") &&
		 add_extension(c, root, NID_ext_key_usage, "serverAuth") &&
		 add_extension(c, root, NID_name_constraints, buf_ptr(&nc)) &&
		 add_extension(c, root, NID_subject_key_identifier, "hash") &&
		 add_extension(c, root, NID_authority_key_identifier, "keyid:always");
	buf_done(&nc);
	return sign(c, ok, root_key);
}

X509 *ca_make_leaf(EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, const char *host, long seconds)
{
	X509 *c = begin(key, issuer, host, seconds);
	char san[300];

	(void)snprintf(san, sizeof san, "DNS:%s", host);
	return sign(c,
		    c && add_extension(c, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
			    add_extension(c, issuer, NID_key_usage, "critical,digitalSignature") &&
			    add_extension(c, issuer, NID_ext_key_usage, "serverAuth") &&
			    add_extension(c, issuer, NID_subject_alt_name, san) &&
			    add_extension(c, issuer, NID_subject_key_identifier, "hash") &&
			    add_extension(c, issuer, NID_authority_key_identifier, "keyid:always"),
		    issuer_key);
}
