// SPDX-License-Identifier: Apache-2.0
/*
 * certs.h: for tests: certificates made on the fly, good ones and ones with any single flaw. A row says only what
 * differs from a good certificate of its kind.
 */
#ifndef PURSE_TESTS_CERTS_H
#define PURSE_TESTS_CERTS_H

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

/* NULL in a text = the usual one of that kind; "" = leave the extension out. */
struct flaw {
	const char *cn, *san, *basic, *usage, *extended, *constraints;
	const char *unknown_critical; /* an extension that nobody knows */
	long from_s, to_s;            /* relative to now; 0 = -1 h and +1 day */
	int rsa_bits;                 /* 0 = P-256, or: */
	const char *curve;            /* also ED25519 */
	bool no_key_id;               /* no authorityKeyIdentifier */
	const char *digest;           /* of the signature on it; NULL = SHA256 */
	const char *san_raw;          /* a dNSName of these bytes, also NUL; instead of san */
	size_t san_raw_len;
};

struct cert {
	X509 *x;
	EVP_PKEY *key;
};

enum cert_kind { CERT_ROOT, CERT_ISSUER, CERT_LEAF };

static const struct flaw cert_usual[] = {
	[CERT_ROOT] = { .cn = "test root", .san = "", .basic = "critical,CA:TRUE", .usage = "critical,keyCertSign,cRLSign",
			.extended = "", .constraints = "" },
	[CERT_ISSUER] = { .cn = "test issuer", .san = "", .basic = "critical,CA:TRUE,pathlen:0",
			  .usage = "critical,keyCertSign,cRLSign", .extended = "serverAuth", .constraints = "" },
	[CERT_LEAF] = { .cn = "test leaf", .san = "DNS:api.example.com", .basic = "critical,CA:FALSE",
			.usage = "critical,digitalSignature", .extended = "serverAuth", .constraints = "" },
};

static inline void cert_extension(X509 *x, X509 *issuer, int nid, const char *text, const char *usual)
{
	X509V3_CTX ctx;

	text = text ? text : usual;
	if (!text[0])
		return;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, text);
	assert_non_null(e);
	assert_true(X509_add_ext(x, e, -1));
	X509_EXTENSION_free(e);
}

static inline void cert_unknown(X509 *x, const char *oid)
{
	ASN1_OBJECT *o = OBJ_txt2obj(oid, 1);
	ASN1_OCTET_STRING *s = ASN1_OCTET_STRING_new();

	assert_true(ASN1_OCTET_STRING_set(s, (const unsigned char *)"\x05\x00", 2));
	X509_EXTENSION *e = X509_EXTENSION_create_by_OBJ(NULL, o, 1, s);
	assert_true(X509_add_ext(x, e, -1));
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(s);
	ASN1_OBJECT_free(o);
}

static inline void cert_san_raw(X509 *x, const char *p, size_t n)
{
	GENERAL_NAMES *all = GENERAL_NAMES_new();
	GENERAL_NAME *g = GENERAL_NAME_new();
	ASN1_IA5STRING *s = ASN1_IA5STRING_new();

	assert_true(ASN1_STRING_set(s, p, (int)n));
	GENERAL_NAME_set0_value(g, GEN_DNS, s);
	assert_true(sk_GENERAL_NAME_push(all, g) > 0);
	assert_true(X509_add1_ext_i2d(x, NID_subject_alt_name, all, 0, 0));
	GENERAL_NAMES_free(all);
}

/* by NULL: signs itself. flaw may be NULL. */
static inline struct cert cert_make(enum cert_kind kind, const struct flaw *flaw, const struct cert *by)
{
	static const struct flaw none;
	const struct flaw *f = flaw ? flaw : &none, *u = &cert_usual[kind];
	struct cert c = { .x = X509_new() };
	const char *cn = f->cn ? f->cn : u->cn;
	X509_NAME *name = X509_get_subject_name(c.x);
	static long serial;

	const char *curve = f->curve ? f->curve : "P-256";
	if (f->rsa_bits)
		c.key = EVP_RSA_gen((unsigned)f->rsa_bits);
	else if (!strcmp(curve, "ED25519"))
		c.key = EVP_PKEY_Q_keygen(NULL, NULL, curve);
	else
		c.key = EVP_EC_gen(curve);
	assert_non_null(c.key);
	X509_set_version(c.x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(c.x), ++serial + (long)getpid() * 1000);
	X509_gmtime_adj(X509_getm_notBefore(c.x), f->from_s ? f->from_s : -3600);
	X509_gmtime_adj(X509_getm_notAfter(c.x), f->to_s ? f->to_s : 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(c.x, by ? X509_get_subject_name(by->x) : name);
	X509_set_pubkey(c.x, c.key);
	X509 *issuer = by ? by->x : c.x;
	cert_extension(c.x, issuer, NID_basic_constraints, f->basic, u->basic);
	cert_extension(c.x, issuer, NID_key_usage, f->usage, u->usage);
	cert_extension(c.x, issuer, NID_ext_key_usage, f->extended, u->extended);
	cert_extension(c.x, issuer, NID_name_constraints, f->constraints, u->constraints);
	if (f->san_raw)
		cert_san_raw(c.x, f->san_raw, f->san_raw_len);
	else
		cert_extension(c.x, issuer, NID_subject_alt_name, f->san, u->san);
	cert_extension(c.x, issuer, NID_subject_key_identifier, "hash", "");
	if (by && !f->no_key_id)
		cert_extension(c.x, issuer, NID_authority_key_identifier, "keyid:always", "");
	if (f->unknown_critical)
		cert_unknown(c.x, f->unknown_critical);
	const EVP_MD *md = EVP_get_digestbyname(f->digest ? f->digest : "SHA256");
	assert_non_null(md);
	EVP_PKEY *signer = by ? by->key : c.key;
	assert_true(X509_sign(c.x, signer, EVP_PKEY_is_a(signer, "ED25519") ? NULL : md));
	return c;
}

/* A revocation list: what is listed, by whose name, signed with which key, until when (relative to now). */
static inline X509_CRL *cert_crl(const struct cert *by, EVP_PKEY *key, const X509 *listed, long to_s)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *from = X509_gmtime_adj(NULL, -7200), *to = X509_gmtime_adj(NULL, to_s);

	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(by->x));
	X509_CRL_set1_lastUpdate(crl, from);
	X509_CRL_set1_nextUpdate(crl, to);
	if (listed) {
		X509_REVOKED *r = X509_REVOKED_new();
		ASN1_INTEGER *serial = ASN1_INTEGER_dup(X509_get0_serialNumber(listed));
		assert_true(X509_REVOKED_set_serialNumber(r, serial));
		assert_true(X509_REVOKED_set_revocationDate(r, from));
		assert_true(X509_CRL_add0_revoked(crl, r));
		ASN1_INTEGER_free(serial);
	}
	X509V3_CTX ctx;
	ASN1_INTEGER *number = ASN1_INTEGER_new();
	ASN1_INTEGER_set(number, 1);
	assert_true(X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0));
	ASN1_INTEGER_free(number);
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, by->x, NULL, NULL, crl, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
	assert_non_null(e);
	assert_true(X509_CRL_add_ext(crl, e, -1));
	X509_EXTENSION_free(e);
	assert_true(X509_CRL_sort(crl) && X509_CRL_sign(crl, key, EVP_sha256()));
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	return crl;
}

static inline void cert_free(struct cert *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->key);
}

/* A temporary PEM file; the caller unlinks it. */
static inline void cert_write_to(X509 *x, const char *path)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(PEM_write_X509(f, x));
	fclose(f);
}

/* Into a file of its own. */
static inline void cert_write(X509 *x, char path[64])
{
	strcpy(path, "/tmp/purse-test-XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	cert_write_to(x, path);
}

#endif
