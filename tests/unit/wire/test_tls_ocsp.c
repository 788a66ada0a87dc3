// SPDX-License-Identifier: Apache-2.0
/*
 * test_tls_ocsp.c: what a provider's server staples to its certificate. Each row is a good response but for one flaw, in TLS 1.3 and
 * in 1.2, where it comes in a message of its own.
 */
#include "certs.h"

#include <openssl/ocsp.h>

#include "tls_pair.h"

#define HOST "api.example.com"
#define DAY 86400
#define MUST_STAPLE "1.3.6.1.5.5.7.1.24"

enum signer { BY_ISSUER, BY_ROOT, BY_LEAF, BY_DELEGATE, BY_ORDINARY, BY_DELEGATE_OF_ANOTHER, BY_OLD_DELEGATE, BY_WEAK_DELEGATE };
enum subject { OF_LEAF, OF_NEIGHBOUR, OF_ISSUER, OF_OTHER_ISSUER, OF_LEAF_TWICE };
enum damage { WHOLE, ABSENT, CUT, TRAILING, RANDOM, BIT, TRY_LATER, OTHER_TYPE };

struct row {
	const char *name;
	int status; /* V_OCSP_CERTSTATUS_*, good if 0 */
	enum signer signer;
	enum subject of;
	enum damage damage;
	long from_s, to_s; /* 0 = -1 h, +1 day; to_s -1: without nextUpdate */
	const char *id_digest, *digest; /* NULL = SHA1 (as most responders), SHA256 */
	const char *must;    /* bytes of the certificate's TLS feature extension */
	const char *refused; /* NULL = believed; else a part of the text */
};

#define MUST "\x30\x03\x02\x01\x05"

static const struct row rows[] = {
	/* good */
	{ .name = "absent", .damage = ABSENT },
	{ .name = "good" },
	{ .name = "good, by digest SHA-256", .id_digest = "SHA256" },
	{ .name = "good, by a delegate", .signer = BY_DELEGATE },
	{ .name = "good, five minutes of skew", .from_s = 240 },
	{ .name = "good, just over", .from_s = -2 * DAY, .to_s = -240 },
	{ .name = "good, without an end", .to_s = -1 },
	{ .name = "try later", .damage = TRY_LATER },
	{ .name = "must-staple and good", .must = MUST },
	{ .name = "asks for a feature that we do not offer", .must = "\x30\x03\x02\x01\x11", .damage = ABSENT },

	/* what it says */
	{ .name = "revoked", .status = V_OCSP_CERTSTATUS_REVOKED, .refused = "is revoked" },
	{ .name = "revoked, by a delegate", .status = V_OCSP_CERTSTATUS_REVOKED, .signer = BY_DELEGATE, .refused = "is revoked" },
	{ .name = "revoked, long ago", .status = V_OCSP_CERTSTATUS_REVOKED, .from_s = -9 * DAY, .to_s = -8 * DAY, .refused = "is revoked" },
	{ .name = "good and then revoked", .status = V_OCSP_CERTSTATUS_REVOKED, .of = OF_LEAF_TWICE, .refused = "is revoked" },
	{ .name = "unknown", .status = V_OCSP_CERTSTATUS_UNKNOWN, .refused = "does not know" },
	{ .name = "about the issuer", .of = OF_ISSUER, .refused = "not signed by" },
	{ .name = "the serial of another issuer's", .of = OF_OTHER_ISSUER, .refused = "not signed by" },
	{ .name = "about another of the same issuer", .of = OF_NEIGHBOUR, .refused = "another certificate" },

	/* when */
	{ .name = "too old", .from_s = -9 * DAY, .to_s = -600, .refused = "another time" },
	{ .name = "from the future", .from_s = 600, .refused = "another time" },
	{ .name = "old and without an end", .from_s = -2 * DAY, .to_s = -1, .refused = "another time" },

	/* who */
	{ .name = "signed by the root", .signer = BY_ROOT, .refused = "not signed by" },
	{ .name = "signed by the leaf itself", .signer = BY_LEAF, .refused = "not signed by" },
	{ .name = "signed by another server", .signer = BY_ORDINARY, .refused = "not signed by" },
	{ .name = "signed by the delegate of the root", .signer = BY_DELEGATE_OF_ANOTHER, .refused = "not signed by" },
	{ .name = "signed by an expired delegate", .signer = BY_OLD_DELEGATE, .refused = "not signed by" },
	{ .name = "signed by a weak delegate", .signer = BY_WEAK_DELEGATE, .refused = "not signed by" },
	{ .name = "a bit of the signature is wrong", .damage = BIT, .refused = "not signed by" },
	{ .name = "signed with SHA-1", .digest = "SHA1", .refused = "not signed by" },

	/* form */
	{ .name = "cut", .damage = CUT, .refused = "malformed" },
	{ .name = "with a tail", .damage = TRAILING, .refused = "malformed" },
	{ .name = "no response at all", .damage = RANDOM, .refused = "malformed" },
	{ .name = "a response of another type", .damage = OTHER_TYPE, .refused = "malformed" },

	/* must-staple */
	{ .name = "must-staple and absent", .must = MUST, .damage = ABSENT, .refused = "must-staple" },
	{ .name = "must-staple and try later", .must = MUST, .damage = TRY_LATER, .refused = "must-staple" },
	{ .name = "must-staple and revoked", .must = MUST, .status = V_OCSP_CERTSTATUS_REVOKED, .refused = "is revoked" },
	{ .name = "two features and absent", .must = "\x30\x06\x02\x01\x11\x02\x01\x05", .damage = ABSENT, .refused = "must-staple" },
	{ .name = "a feature list that is none, and absent", .must = "\x05\x00", .damage = ABSENT, .refused = "must-staple" },
};

/* ---- responses */

static struct cert signer_of(const struct row *row, const struct pki *k)
{
	static const struct flaw delegate = { .cn = "responder", .san = "", .extended = "OCSPSigning" }, ordinary = { .cn = "www" },
				 old = { .cn = "responder", .san = "", .extended = "OCSPSigning", .from_s = -2 * DAY, .to_s = -DAY },
				 weak = { .cn = "responder", .san = "", .extended = "OCSPSigning", .rsa_bits = 1024 };

	switch (row->signer) {
	case BY_DELEGATE: return cert_make(CERT_LEAF, &delegate, &k->issuer);
	case BY_ORDINARY: return cert_make(CERT_LEAF, &ordinary, &k->issuer);
	case BY_OLD_DELEGATE: return cert_make(CERT_LEAF, &old, &k->issuer);
	case BY_WEAK_DELEGATE: return cert_make(CERT_LEAF, &weak, &k->issuer);
	case BY_DELEGATE_OF_ANOTHER: return cert_make(CERT_LEAF, &delegate, &k->root);
	default: break;
	}
	const struct cert *c = row->signer == BY_ROOT ? &k->root : row->signer == BY_LEAF ? &k->leaf : &k->issuer;

	(void)X509_up_ref(c->x);
	(void)EVP_PKEY_up_ref(c->key);
	return *c;
}

static void add_single(OCSP_BASICRESP *b, const struct row *row, const struct pki *k, int status)
{
	const EVP_MD *md = EVP_get_digestbyname(row->id_digest ? row->id_digest : "SHA1");
	struct cert neighbour = cert_make(CERT_LEAF, NULL, &k->issuer);
	X509 *subject = row->of == OF_ISSUER ? k->issuer.x : row->of == OF_NEIGHBOUR ? neighbour.x : k->leaf.x;
	X509 *issuer = row->of == OF_ISSUER || row->of == OF_OTHER_ISSUER ? k->root.x : k->issuer.x;
	OCSP_CERTID *id = OCSP_cert_to_id(md, subject, issuer);
	ASN1_TIME *from = X509_gmtime_adj(NULL, row->from_s ? row->from_s : -3600);
	ASN1_TIME *to = row->to_s == -1 ? NULL : X509_gmtime_adj(NULL, row->to_s ? row->to_s : DAY);
	bool revoked = status == V_OCSP_CERTSTATUS_REVOKED;

	assert_non_null(OCSP_basic_add1_status(b, id, status, revoked ? OCSP_REVOKED_STATUS_KEYCOMPROMISE : 0, revoked ? from : NULL,
					       from, to));
	OCSP_CERTID_free(id);
	cert_free(&neighbour);
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
}

struct staple {
	unsigned char *p;
	int n;
};

static struct staple staple_make(const struct row *row, const struct pki *k)
{
	struct staple s = { 0 };
	OCSP_BASICRESP *b = OCSP_BASICRESP_new();
	struct cert signer = signer_of(row, k);

	if (row->of == OF_LEAF_TWICE)
		add_single(b, row, k, V_OCSP_CERTSTATUS_GOOD);
	add_single(b, row, k, row->status);
	assert_true(OCSP_basic_sign(b, signer.x, signer.key, EVP_get_digestbyname(row->digest ? row->digest : "SHA256"), NULL, 0));
	if (row->damage == BIT)
		((unsigned char *)ASN1_STRING_get0_data(OCSP_resp_get0_signature(b)))[20] ^= 1;
	OCSP_RESPONSE *r = row->damage == TRY_LATER ? OCSP_response_create(OCSP_RESPONSE_STATUS_TRYLATER, NULL)
						    : OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, b);
	s.n = i2d_OCSP_RESPONSE(r, &s.p);
	assert_true(s.n > 0);
	OCSP_RESPONSE_free(r);
	OCSP_BASICRESP_free(b);
	cert_free(&signer);
	s.p = OPENSSL_realloc(s.p, (size_t)s.n + 1);
	if (row->damage == CUT)
		s.n -= 9;
	if (row->damage == TRAILING)
		s.p[s.n++] = 0;
	if (row->damage == RANDOM)
		memset(s.p, 0x5a, (size_t)s.n);
	for (int i = 0; row->damage == OTHER_TYPE && i + 9 < s.n; i++)
		if (!memcmp(s.p + i, "\x2b\x06\x01\x05\x05\x07\x30\x01\x01", 9)) { /* id-pkix-ocsp-basic */
			s.p[i + 8] = 9;
			break;
		}
	return s;
}

static int give_staple(SSL *ssl, void *arg)
{
	const struct staple *s = arg;
	unsigned char *copy = OPENSSL_memdup(s->p, (size_t)s->n);

	SSL_set_tlsext_status_ocsp_resp(ssl, copy, s->n);
	return SSL_TLSEXT_ERR_OK;
}

/* ---- verdicts */

static void feature(struct cert *leaf, const struct cert *by, const char *der, size_t n)
{
	ASN1_OBJECT *o = OBJ_txt2obj(MUST_STAPLE, 1);
	ASN1_OCTET_STRING *s = ASN1_OCTET_STRING_new();

	assert_true(ASN1_OCTET_STRING_set(s, (const unsigned char *)der, (int)n));
	X509_EXTENSION *e = X509_EXTENSION_create_by_OBJ(NULL, o, 0, s);
	assert_true(X509_add_ext(leaf->x, e, -1) && X509_sign(leaf->x, by->key, EVP_sha256()));
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(s);
	ASN1_OBJECT_free(o);
}

static void run(const struct row *row, int version)
{
	struct pki k;
	struct pair p;
	struct err e = { 0 };

	pki_make(&k, NULL, NULL, NULL);
	if (row->must) {
		feature(&k.leaf, &k.issuer, row->must, 2 + (size_t)row->must[1]);
		tls_ctx_unref(k.server);
		k.server = pki_server(&k.leaf, k.issuer.x);
	}
	struct staple s = staple_make(row, &k);

	if (row->damage != ABSENT) {
		SSL_CTX_set_tlsext_status_cb(k.server->ssl, give_staple);
		SSL_CTX_set_tlsext_status_arg(k.server->ssl, &s);
	}
	SSL_CTX_set_max_proto_version(k.server->ssl, version);
	pair_open(&p, &k, HOST, false);
	enum tls_want w = pair_verdict(&p, &e);

	if (w != (row->refused ? TLS_FAILED : TLS_DONE))
		fail_msg("%s: %s", row->name, w == TLS_DONE ? "was believed" : e.text);
	assert_int_equal(tls_failed_on_cert(p.client), row->refused != NULL);
	if (row->refused && (!strstr(e.text, row->refused) || strncmp(e.text, HOST, strlen(HOST))))
		fail_msg("%s: says \"%s\"", row->name, e.text);
	if (row->refused)
		assert_null(tls_ctx_take_session(k.client, HOST));
	pair_close(&p);
	OPENSSL_free(s.p);
	pki_free(&k);
}

static void test_verdicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		run(&rows[i], TLS1_3_VERSION);
		run(&rows[i], TLS1_2_VERSION);
	}
}

/* A resumed connection shows no certificate, so nothing is stapled to it, also where one must be. */
static void test_resumed(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	static const struct row good = { .name = "good" };

	(void)state;
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		struct pki k;
		pki_make(&k, NULL, NULL, NULL);
		feature(&k.leaf, &k.issuer, MUST, 5);
		tls_ctx_unref(k.server);
		k.server = pki_server(&k.leaf, k.issuer.x);
		struct staple s = staple_make(&good, &k);
		SSL_CTX_set_tlsext_status_cb(k.server->ssl, give_staple);
		SSL_CTX_set_tlsext_status_arg(k.server->ssl, &s);
		SSL_CTX_set_max_proto_version(k.server->ssl, versions[i]);
		for (int round = 0; round < 2; round++) {
			struct pair p;
			char c;
			pair_open(&p, &k, HOST, false);
			pair_shake(&p);
			assert_int_equal(tls_was_resumed(p.client), round);
			(void)tls_read(p.client, &c, 1); /* the ticket */
			pair_close(&p);
		}
		OPENSSL_free(s.p);
		pki_free(&k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_resumed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
