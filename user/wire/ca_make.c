// SPDX-License-Identifier: Apache-2.0
/*
 * ca_make.c: what stands in our certificates (RFC 5280). ECDSA P-256 with SHA-256 throughout, 128-bit random serials.
 * It keeps nothing and decides nothing: names were checked by ca.c.
 */
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "wire/ca_inside.h"

#define BACKDATE_S 3600 /* clocks of agents may be a little behind */
#define CN_MAX 64       /* ub-common-name */
#define NO_IPV4 "IP:0.0.0.0/0.0.0.0"
#define NO_IPV6 "IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0"

struct evp_pkey_st *ca_make_key(void)
{
	return EVP_EC_gen("P-256");
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool ok = ext && X509_add_ext(cert, ext, -1);

	X509_EXTENSION_free(ext);
	return ok;
}

static bool set_serial(X509 *cert)
{
	BIGNUM *n = BN_new();
	/* Zero is no serial number (RFC 5280 4.1.2.2), and one in 2^128. */
	bool ok = n && BN_rand(n, 128, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) && !BN_is_zero(n) &&
		  BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));

	BN_free(n);
	return ok;
}

static X509 *begin(EVP_PKEY *key, X509 *issuer, const char *cn, int64_t now_s, int64_t end_s)
{
	X509 *cert = X509_new();
	X509_NAME *name = cert ? X509_get_subject_name(cert) : NULL;

	if (cert && X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
	    ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(now_s - BACKDATE_S)) &&
	    ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)end_s) &&
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0) &&
	    X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : name) && X509_set_pubkey(cert, key))
		return cert;
	X509_free(cert);
	return NULL;
}

static X509 *sign(X509 *cert, bool ok, EVP_PKEY *key)
{
	if (ok && X509_sign(cert, key, EVP_sha256()))
		return cert;
	X509_free(cert);
	return NULL;
}

struct x509_st *ca_make_root(struct evp_pkey_st *key, const char *label, int64_t now_s, int64_t end_s)
{
	X509 *c = begin(key, NULL, label, now_s, end_s);

	return sign(c,
		    c && add_extension(c, c, NID_basic_constraints, "critical,CA:TRUE,pathlen:1") &&
			    add_extension(c, c, NID_key_usage, "critical,keyCertSign,cRLSign") &&
			    add_extension(c, c, NID_subject_key_identifier, "hash"),
		    key);
}

/* A constraint also permits all names below it (RFC 5280 4.2.1.10); one with a leading dot is not in the RFC and GnuTLS
 * refuses it. So the certificate bounds what a stolen key could do, and ca_permits is the exact gate. */
static bool write_constraints(struct buf *out, const char *const *names, size_t nnames)
{
	int r = buf_printf(out, "critical");

	for (size_t i = 0; i < nnames; i++)
		r |= buf_printf(out, ",permitted;DNS:%s", names[i]);
	r |= buf_printf(out, ",excluded;" NO_IPV4 ",excluded;" NO_IPV6);
	return !r && !buf_append(out, "", 1);
}

struct x509_st *ca_make_issuer(struct evp_pkey_st *key, struct x509_st *root, struct evp_pkey_st *root_key,
			       const char *const *names, size_t nnames, int64_t now_s, int64_t end_s)
{
	X509 *c = begin(key, root, "purse issuer", now_s, end_s);
	struct buf constraints;

	buf_init(&constraints, 1 << 20);
	bool ok = c && write_constraints(&constraints, names, nnames) &&
		  add_extension(c, root, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
		  add_extension(c, root, NID_key_usage, "critical,keyCertSign,cRLSign") &&
		  add_extension(c, root, NID_ext_key_usage, "serverAuth") &&
		  add_extension(c, root, NID_name_constraints, buf_ptr(&constraints)) &&
		  add_extension(c, root, NID_subject_key_identifier, "hash") &&
		  add_extension(c, root, NID_authority_key_identifier, "keyid:always");
	buf_done(&constraints);
	return sign(c, ok, root_key);
}

struct x509_st *ca_make_leaf(struct evp_pkey_st *key, struct x509_st *issuer, struct evp_pkey_st *issuer_key,
			     const char *host, int64_t now_s, int64_t end_s)
{
	/* The JDK does not read a leaf without a subject. A name that is too long for a CN is not cut: that
	 * would be another name. */
	X509 *c = begin(key, issuer, strlen(host) <= CN_MAX ? host : "purse leaf", now_s, end_s);
	char san[300];

	(void)snprintf(san, sizeof(san), "DNS:%s", host);
	return sign(c,
		    c && add_extension(c, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
			    add_extension(c, issuer, NID_key_usage, "critical,digitalSignature") &&
			    add_extension(c, issuer, NID_ext_key_usage, "serverAuth") &&
			    add_extension(c, issuer, NID_subject_alt_name, san) &&
			    add_extension(c, issuer, NID_subject_key_identifier, "hash") &&
			    add_extension(c, issuer, NID_authority_key_identifier, "keyid:always"),
		    issuer_key);
}

static int64_t seconds_of(const ASN1_TIME *t)
{
	struct tm tm = { 0 };

	return ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) : 0;
}

int64_t ca_not_after(const struct x509_st *cert)
{
	return seconds_of(X509_get0_notAfter(cert));
}

bool ca_is_valid_at(const struct x509_st *cert, int64_t at_s)
{
	return seconds_of(X509_get0_notBefore(cert)) <= at_s && at_s < ca_not_after(cert);
}

static bool is_name(const GENERAL_NAME *g, const char *name)
{
	return g->type == GEN_DNS && ASN1_STRING_length(g->d.dNSName) == (int)strlen(name) &&
	       !memcmp(ASN1_STRING_get0_data(g->d.dNSName), name, strlen(name));
}

/* An address of all zeros with a mask of all zeros: every address of that family. */
static bool is_all_addresses(const GENERAL_NAME *g, int length)
{
	static const unsigned char zeros[32];

	return g->type == GEN_IPADD && ASN1_STRING_length(g->d.iPAddress) == length &&
	       !memcmp(ASN1_STRING_get0_data(g->d.iPAddress), zeros, (size_t)length);
}

bool ca_is_constrained_to(const struct x509_st *issuer, const char *const *names, size_t nnames)
{
	int critical = 0;
	NAME_CONSTRAINTS *nc = X509_get_ext_d2i(issuer, NID_name_constraints, &critical, NULL);
	bool same = nc && critical && sk_GENERAL_SUBTREE_num(nc->permittedSubtrees) == (int)nnames &&
		    sk_GENERAL_SUBTREE_num(nc->excludedSubtrees) == 2 &&
		    is_all_addresses(sk_GENERAL_SUBTREE_value(nc->excludedSubtrees, 0)->base, 8) &&
		    is_all_addresses(sk_GENERAL_SUBTREE_value(nc->excludedSubtrees, 1)->base, 32);

	for (size_t i = 0; same && i < nnames; i++)
		same = is_name(sk_GENERAL_SUBTREE_value(nc->permittedSubtrees, (int)i)->base, names[i]);
	NAME_CONSTRAINTS_free(nc);
	return same;
}
