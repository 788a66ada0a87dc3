// SPDX-License-Identifier: Apache-2.0
/*
 * test_tls_chains.c: chains of other shapes than root, issuer, leaf; certificates that change between two connections; servers that
 * speak only what we do not. What stands in a single certificate is test_tls_certificates.c.
 */
#include "certs.h"

#include <openssl/err.h>

#include "tls_pair.h"

#define HOST "api.example.com"
#define DAY 86400

struct shaped {
	struct pki k;
	struct cert more[4];
	X509 *sent[6]; /* below the leaf, in that order */
	size_t nsent;
	X509 *trusted[3]; /* none = the root */
	size_t ntrusted;
};

static void send_also(struct shaped *s, X509 *x)
{
	s->sent[s->nsent++] = x;
}

static void new_leaf(struct shaped *s, const struct flaw *f, const struct cert *by)
{
	cert_free(&s->k.leaf);
	s->k.leaf = cert_make(CERT_LEAF, f, by);
}

static void flip_signature(X509 *x)
{
	const ASN1_BIT_STRING *sig;

	X509_get0_signature(&sig, NULL, x);
	((unsigned char *)ASN1_STRING_get0_data(sig))[ASN1_STRING_length(sig) - 1] ^= 1;
}

/* ---- good ones */

/* root, issuer, a second issuer, leaf; the first one with what is given. */
static void two_issuers(struct shaped *s, const struct flaw *first)
{
	s->more[0] = cert_make(CERT_ISSUER, first, &s->k.root);
	s->more[1] = cert_make(CERT_ISSUER, &(struct flaw){ .cn = "second issuer" }, &s->more[0]);
	new_leaf(s, NULL, &s->more[1]);
	send_also(s, s->more[1].x);
	send_also(s, s->more[0].x);
}

static void path_as_allowed(struct shaped *s)
{
	two_issuers(s, &(struct flaw){ .basic = "critical,CA:TRUE,pathlen:1" });
}

/* The issuer's key is also signed by another root; both certificates are sent. */
static void cross(struct shaped *s, bool other_first)
{
	s->more[0] = cert_make(CERT_ROOT, &(struct flaw){ .cn = "another root" }, NULL);
	X509 *other = s->more[1].x = X509_dup(s->k.issuer.x);
	assert_true(X509_set_issuer_name(other, X509_get_subject_name(s->more[0].x)));
	X509_EXTENSION_free(X509_delete_ext(other, X509_get_ext_by_NID(other, NID_authority_key_identifier, -1)));
	cert_extension(other, s->more[0].x, NID_authority_key_identifier, "keyid:always", "");
	assert_true(X509_sign(other, s->more[0].key, EVP_sha256()));
	send_also(s, other_first ? other : s->k.issuer.x);
	send_also(s, other_first ? s->k.issuer.x : other);
}

static void cross_known_first(struct shaped *s)
{
	cross(s, false);
}

static void cross_unknown_first(struct shaped *s)
{
	cross(s, true);
}

static void cross_both_known(struct shaped *s)
{
	cross(s, true);
	s->trusted[s->ntrusted++] = s->k.root.x;
	s->trusted[s->ntrusted++] = s->more[0].x;
}

static void extras(struct shaped *s)
{
	s->more[0] = cert_make(CERT_ROOT, &(struct flaw){ .cn = "unrelated", .from_s = -2 * DAY, .to_s = -DAY }, NULL);
	send_also(s, s->more[0].x);
	send_also(s, s->k.root.x);
	send_also(s, s->k.issuer.x);
	send_also(s, s->k.issuer.x);
}

/* As `openssl req -x509` makes it: one certificate that is root and server, named in upstream_ca. */
static void trusted_as_it_stands(struct shaped *s)
{
	new_leaf(s, &(struct flaw){ .basic = "critical,CA:TRUE", .usage = "", .extended = "" }, NULL);
	s->trusted[s->ntrusted++] = s->k.leaf.x;
}

/* ---- bad ones */

static void leaf_signature(struct shaped *s)
{
	flip_signature(s->k.leaf.x);
	send_also(s, s->k.issuer.x);
}

static void issuer_signature(struct shaped *s)
{
	flip_signature(s->k.issuer.x);
	send_also(s, s->k.issuer.x);
}

static void issuer_of_the_same_name(struct shaped *s)
{
	s->more[0] = cert_make(CERT_ISSUER, NULL, &s->k.root);
	send_also(s, s->more[0].x);
}

static void signed_by_another_key(struct shaped *s)
{
	struct cert by = { .x = s->k.issuer.x, .key = s->k.root.key };

	new_leaf(s, NULL, &by);
	send_also(s, s->k.issuer.x);
}

static void nothing_between(struct shaped *s)
{
	(void)s;
}

static void only_the_issuer_is_trusted(struct shaped *s)
{
	send_also(s, s->k.issuer.x);
	s->trusted[s->ntrusted++] = s->k.issuer.x;
}

static void signed_by_a_server(struct shaped *s)
{
	s->more[0] = cert_make(CERT_LEAF, &(struct flaw){ .cn = "www", .san = "DNS:www.example.com" }, &s->k.issuer);
	new_leaf(s, NULL, &s->more[0]);
	send_also(s, s->more[0].x);
	send_also(s, s->k.issuer.x);
}

static void path_exceeded(struct shaped *s)
{
	two_issuers(s, NULL);
}

static void constraints_far_above(struct shaped *s)
{
	two_issuers(s, &(struct flaw){ .basic = "critical,CA:TRUE,pathlen:1", .constraints = "critical,permitted;DNS:example.net" });
}

static void purpose_far_above(struct shaped *s)
{
	two_issuers(s, &(struct flaw){ .basic = "critical,CA:TRUE,pathlen:1", .extended = "clientAuth" });
}

static void cross_none_known(struct shaped *s)
{
	cross(s, true);
	s->more[2] = cert_make(CERT_ROOT, &(struct flaw){ .cn = "a third root" }, NULL);
	s->trusted[s->ntrusted++] = s->more[2].x;
}

static void trusted_for_another_name(struct shaped *s)
{
	new_leaf(s, &(struct flaw){ .san = "DNS:www.example.com", .basic = "critical,CA:TRUE", .usage = "" }, NULL);
	s->trusted[s->ntrusted++] = s->k.leaf.x;
}

static const struct shape {
	const char *name;
	void (*build)(struct shaped *s);
	const char *refused; /* NULL = believed */
} shapes[] = {
	{ "two issuers", path_as_allowed, NULL },
	{ "cross-signed, known first", cross_known_first, NULL },
	{ "cross-signed, unknown first", cross_unknown_first, NULL },
	{ "cross-signed, both known", cross_both_known, NULL },
	{ "more than needed, in no order, one expired", extras, NULL },
	{ "trusted as it stands", trusted_as_it_stands, NULL },

	{ "signature of the leaf broken", leaf_signature, "signature" },
	{ "signature of the issuer broken", issuer_signature, "signature" },
	{ "issuer of the same name", issuer_of_the_same_name, "upstream_ca" },
	{ "signed by another than it says", signed_by_another_key, "signature" },
	{ "intermediate missing", nothing_between, "upstream_ca" },
	{ "only the issuer is trusted, no root", only_the_issuer_is_trusted, "upstream_ca" },
	{ "signed by a server", signed_by_a_server, "certificate 1 of the chain" },
	{ "path too long below the first issuer", path_exceeded, "path length" },
	{ "constraints of the first issuer violated", constraints_far_above, "subtree violation" },
	{ "first issuer for clients only", purpose_far_above, "purpose" },
	{ "cross-signed, none known", cross_none_known, "upstream_ca" },
	{ "trusted as it stands, for another name", trusted_for_another_name, "for another name" },
};

static void serve(struct shaped *s)
{
	FILE *f = s->ntrusted ? fopen(s->k.root_path, "w") : NULL;
	STACK_OF(X509) *chain = sk_X509_new_null();

	for (size_t i = 0; i < s->ntrusted; i++)
		assert_true(PEM_write_X509(f, s->trusted[i]));
	if (f)
		fclose(f);
	tls_ctx_unref(s->k.client);
	s->k.client = pki_client(&s->k, NULL, 0);
	tls_ctx_unref(s->k.server);
	s->k.server = pki_server(&s->k.leaf, NULL);
	for (size_t i = 0; i < s->nsent; i++)
		assert_true(sk_X509_push(chain, s->sent[i]));
	assert_int_equal(SSL_CTX_use_cert_and_key(s->k.server->ssl, s->k.leaf.x, s->k.leaf.key, chain, 1), 1);
	/* Nothing is added to it. */
	(void)SSL_CTX_set_mode(s->k.server->ssl, SSL_MODE_NO_AUTO_CHAIN);
	sk_X509_free(chain);
}

static void test_shapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		const struct shape *row = &shapes[i];
		struct shaped s = { 0 };
		struct pair p;
		struct err e = { 0 };
		pki_make(&s.k, NULL, NULL, NULL);
		row->build(&s);
		serve(&s);
		pair_open(&p, &s.k, HOST, false);
		enum tls_want w = pair_verdict(&p, &e);
		if (w != (row->refused ? TLS_FAILED : TLS_DONE))
			fail_msg("%s: %s", row->name, w == TLS_DONE ? "was believed" : e.text);
		if (row->refused && (!tls_failed_on_cert(p.client) || !strstr(e.text, row->refused)))
			fail_msg("%s: says \"%s\"", row->name, e.text);
		pair_close(&p);
		pki_free(&s.k);
		for (size_t j = 0; j < sizeof(s.more) / sizeof(s.more[0]); j++)
			cert_free(&s.more[j]);
	}
}

/* ---- two connections */

/* What was good a moment ago says nothing about what is shown now. */
static void test_the_certificate_changes(void **state)
{
	static const struct flaw expired = { .from_s = -2 * DAY, .to_s = -60 }, other = { .san = "DNS:www.example.com" };
	static const struct {
		const struct flaw *then;
		const char *refused;
	} changes[] = { { NULL, NULL }, { &expired, "expired" }, { &other, "another name" } };

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct pki k;
		struct pair p;
		struct err e = { 0 };
		char c;
		pki_make(&k, NULL, NULL, NULL);
		pair_open(&p, &k, HOST, false);
		pair_shake(&p);
		(void)tls_read(p.client, &c, 1); /* a ticket, which the next server cannot read */
		pair_close(&p);
		struct cert then = cert_make(CERT_LEAF, changes[i].then, &k.issuer);
		tls_ctx_unref(k.server);
		k.server = pki_server(&then, k.issuer.x);
		pair_open(&p, &k, HOST, false);
		assert_int_equal(pair_verdict(&p, &e), changes[i].refused ? TLS_FAILED : TLS_DONE);
		assert_true(!changes[i].refused || strstr(e.text, changes[i].refused));
		assert_false(tls_was_resumed(p.client));
		pair_close(&p);
		cert_free(&then);
		pki_free(&k);
	}
}

/* ---- what is spoken */

struct server {
	const char *name, *ciphers, *groups, *signatures;
	int min, max;
	bool rsa, ok;
};

static const struct server servers[] = {
	{ .name = "TLS 1.3", .min = TLS1_3_VERSION, .max = TLS1_3_VERSION, .ok = true },
	{ .name = "TLS 1.2, RSA", .ciphers = "ECDHE-RSA-AES128-GCM-SHA256", .max = TLS1_2_VERSION, .rsa = true, .ok = true },
	{ .name = "TLS 1.2, ChaCha", .ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305", .max = TLS1_2_VERSION, .ok = true },
	{ .name = "P-384", .groups = "P-384", .max = TLS1_3_VERSION, .ok = true },
	{ .name = "TLS 1.1", .max = TLS1_1_VERSION },
	{ .name = "TLS 1.0", .max = TLS1_VERSION, .rsa = true },
	{ .name = "CBC", .ciphers = "ECDHE-ECDSA-AES128-SHA256", .max = TLS1_2_VERSION },
	{ .name = "CBC, SHA-1", .ciphers = "ECDHE-RSA-AES256-SHA", .max = TLS1_2_VERSION, .rsa = true },
	{ .name = "RSA key exchange", .ciphers = "AES128-GCM-SHA256", .max = TLS1_2_VERSION, .rsa = true },
	{ .name = "anonymous", .ciphers = "AECDH-AES128-SHA:ADH-AES128-GCM-SHA256", .max = TLS1_2_VERSION },
	{ .name = "no encryption", .ciphers = "ECDHE-RSA-NULL-SHA", .max = TLS1_2_VERSION, .rsa = true },
	{ .name = "finite-field DH", .ciphers = "DHE-RSA-AES128-GCM-SHA256", .max = TLS1_2_VERSION, .rsa = true },
	{ .name = "a weak curve", .groups = "P-192", .max = TLS1_2_VERSION },
	{ .name = "a curve that we do not offer", .groups = "P-521", .max = TLS1_3_VERSION },
	{ .name = "signatures with SHA-1", .signatures = "ECDSA+SHA1", .max = TLS1_2_VERSION },
	{ .name = "CCM with a short tag", .ciphers = "ECDHE-ECDSA-AES128-CCM8", .max = TLS1_2_VERSION },
};

/* A server of plain OpenSSL, as weak as it can be. */
static SSL_CTX *server_make(const struct server *row, const struct pki *k)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	SSL_CTX_set_security_level(ctx, 0);
	assert_true(SSL_CTX_set_min_proto_version(ctx, row->min ? row->min : TLS1_VERSION));
	assert_true(SSL_CTX_set_max_proto_version(ctx, row->max));
	assert_true(!row->ciphers || SSL_CTX_set_cipher_list(ctx, row->ciphers));
	assert_true(!row->groups || SSL_CTX_set1_groups_list(ctx, row->groups));
	assert_true(!row->signatures || SSL_CTX_set1_sigalgs_list(ctx, row->signatures));
	SSL_CTX_set_dh_auto(ctx, 1);
	assert_true(SSL_CTX_use_certificate(ctx, k->leaf.x) && SSL_CTX_use_PrivateKey(ctx, k->leaf.key));
	assert_true(SSL_CTX_add1_chain_cert(ctx, k->issuer.x));
	return ctx;
}

static void test_servers_of_old(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		const struct server *row = &servers[i];
		struct flaw leaf = { .rsa_bits = row->rsa ? 2048 : 0 };
		struct pki k;
		struct pair p;
		struct err e = { 0 };
		enum tls_want w = TLS_WANT_READ;
		pki_make(&k, NULL, NULL, &leaf);
		SSL_CTX *ctx = server_make(row, &k);
		SSL *server = SSL_new(ctx);
		pair_sockets(&p);
		SSL_set_fd(server, p.fd[1]);
		SSL_set_accept_state(server);
		assert_int_equal(tls_connect_new(k.client, p.fd[0], HOST, &p.client), 0);
		for (int turn = 0; turn < 20 && w != TLS_FAILED && w != TLS_DONE; turn++) {
			w = tls_handshake(p.client, &e);
			ERR_clear_error();
			(void)SSL_do_handshake(server);
			ERR_clear_error();
		}
		if (w != (row->ok ? TLS_DONE : TLS_FAILED))
			fail_msg("%s: %s", row->name, row->ok ? e.text : "was spoken to");
		if (!row->ok && (strncmp(e.text, HOST ": ", sizeof(HOST) + 1) || strlen(e.text) < sizeof(HOST) + 10))
			fail_msg("%s: says \"%s\"", row->name, e.text);
		SSL_free(server);
		SSL_CTX_free(ctx);
		pair_close(&p);
		pki_free(&k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_the_certificate_changes),
		cmocka_unit_test(test_servers_of_old),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
