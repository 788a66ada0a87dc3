// SPDX-License-Identifier: Apache-2.0
/*
 * test_ca.c: the node's CA: what OpenSSL makes of its chains, which names it serves, its leaves over time and in
 * numbers. What stands on disk is test_ca_files.c.
 */
#include "ca_place.h"
#include "tls_pair.h"

/* ---- what the certificates are worth */

/* X509_V_OK or why not: leaf under the issuer (or below one more) and the root, for a TLS server. */
static int verdict_below(X509 *leaf, X509 *below, X509 *issuer, X509 *root)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *chain = sk_X509_new_null();

	X509_STORE_add_cert(store, root);
	sk_X509_push(chain, issuer);
	if (below)
		sk_X509_push(chain, below);
	X509_STORE_CTX_init(ctx, store, leaf, chain);
	X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER);
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT);
	(void)X509_verify_cert(ctx);
	int r = X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	sk_X509_free(chain);
	return r;
}

static int verdict(X509 *leaf, X509 *issuer, X509 *root)
{
	return verdict_below(leaf, NULL, issuer, root);
}

/* With the issuer's key in hand: what is it worth to a thief? */
static void test_the_issuer_can_sign_only_its_names(void **state)
{
	static const struct {
		const char *san;
		int verdict;
	} rows[] = {
		{ "DNS:api.openai.com", X509_V_OK },
		{ "DNS:api.anthropic.com", X509_V_OK },
		{ "DNS:res.azure.example.com", X509_V_OK },
		{ "DNS:a.b.azure.example.com", X509_V_OK },
		{ "DNS:openai.com", X509_V_ERR_PERMITTED_VIOLATION },
		{ "DNS:xapi.openai.com", X509_V_ERR_PERMITTED_VIOLATION },
		{ "DNS:api.openai.com.evil.net", X509_V_ERR_PERMITTED_VIOLATION },
		{ "DNS:evil.net", X509_V_ERR_PERMITTED_VIOLATION },
		{ "DNS:api.openai.com,DNS:evil.net", X509_V_ERR_PERMITTED_VIOLATION },
		{ "DNS:*.com", X509_V_ERR_PERMITTED_VIOLATION },
		{ "DNS:*", X509_V_ERR_PERMITTED_VIOLATION },
		{ "IP:192.0.2.1", X509_V_ERR_EXCLUDED_VIOLATION },
		{ "IP:127.0.0.1", X509_V_ERR_EXCLUDED_VIOLATION },
		{ "IP:2001:db8::1", X509_V_ERR_EXCLUDED_VIOLATION },
		{ "DNS:api.openai.com,IP:192.0.2.1", X509_V_ERR_EXCLUDED_VIOLATION },
	};
	struct place p;
	bool is_new;

	(void)state;
	place_make(&p);
	struct ca *ca = must_open(&p, USUAL, &is_new);
	struct cert issuer = { read_x(in(&p, "issuer.pem")), read_k(in(&p, "issuer.key")) };
	X509 *root = read_x(in(&p, "root.pem"));

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct flaw f = { .san = rows[i].san };
		struct cert leaf = cert_make(CERT_LEAF, &f, &issuer);
		int v = verdict(leaf.x, issuer.x, root);
		if (v != rows[i].verdict)
			fail_msg("%s: %s", rows[i].san, X509_verify_cert_error_string(v));
		cert_free(&leaf);
	}
	/* Nor can it make another CA, or vouch for anything but servers. */
	struct flaw below = { .constraints = "", .basic = "critical,CA:TRUE" };
	struct cert sub = cert_make(CERT_ISSUER, &below, &issuer);
	struct flaw good = { .san = "DNS:api.openai.com" };
	struct cert leaf_below = cert_make(CERT_LEAF, &good, &sub);
	assert_int_equal(verdict_below(leaf_below.x, sub.x, issuer.x, root), X509_V_ERR_PATH_LENGTH_EXCEEDED);
	cert_free(&leaf_below);
	struct flaw client = { .san = "DNS:api.openai.com", .extended = "clientAuth" };
	struct cert other = cert_make(CERT_LEAF, &client, &issuer);
	assert_int_equal(verdict(other.x, issuer.x, root), X509_V_ERR_INVALID_PURPOSE);

	cert_free(&sub);
	cert_free(&other);
	cert_free(&issuer);
	X509_free(root);
	ca_close(ca);
	place_free(&p);
}

static void test_what_stands_in_the_certificates(void **state)
{
	struct place p;
	bool is_new;

	(void)state;
	place_make(&p);
	struct ca *ca = must_open(&p, USUAL, &is_new);
	X509 *root = read_x(in(&p, "root.pem")), *issuer = read_x(in(&p, "issuer.pem"));
	int critical = 0;

	assert_int_equal(X509_check_ca(root), 1);
	assert_int_equal(X509_get_pathlen(root), 1);
	assert_int_equal(X509_get_pathlen(issuer), 0);
	assert_int_equal(X509_get_extended_key_usage(issuer), XKU_SSL_SERVER);
	assert_int_equal(X509_get_key_usage(issuer), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(issuer)), 256);
	NAME_CONSTRAINTS *nc = X509_get_ext_d2i(issuer, NID_name_constraints, &critical, NULL);
	assert_non_null(nc);
	assert_int_equal(critical, 1);
	NAME_CONSTRAINTS_free(nc);
	int64_t now = time(NULL);
	assert_in_range(ca_not_after(root), now + 365 * DAY - 60, now + 365 * DAY + 60);
	assert_int_equal(ca_not_after(root), ca_not_after(issuer));
	char cn[128];
	X509_NAME_get_text_by_NID(X509_get_subject_name(root), NID_commonName, cn, sizeof(cn));
	assert_memory_equal(cn, "purse root ", 11);

	X509_free(root);
	X509_free(issuer);
	ca_close(ca);
	place_free(&p);
}

static X509 *leaf_of(struct tls_ctx *c)
{
	return SSL_CTX_get0_certificate(c->ssl);
}

static void test_leaves(void **state)
{
	struct place p;
	bool is_new;
	struct err e = { 0 };
	struct tls_ctx *a, *b, *c;

	(void)state;
	place_make(&p);
	struct ca *ca = must_open(&p, USUAL, &is_new);
	X509 *root = read_x(in(&p, "root.pem")), *issuer = read_x(in(&p, "issuer.pem"));

	assert_int_equal(ca_leaf(ca, "api.openai.com", &a, &e), 0);
	X509 *x = leaf_of(a);
	assert_int_equal(verdict(x, issuer, root), X509_V_OK);
	assert_int_equal(X509_check_host(x, "api.openai.com", 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL), 1);
	assert_int_equal(X509_check_host(x, "api.anthropic.com", 0, 0, NULL), 0);
	char cn[128];
	X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, sizeof(cn));
	assert_string_equal(cn, "api.openai.com");
	assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_SERVER);
	assert_int_equal(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE);
	assert_in_range(ca_not_after(x), time(NULL) + 7 * DAY - 60, time(NULL) + 7 * DAY + 60);
	time_t then = time(NULL) - 3500;
	assert_true(X509_cmp_time(X509_get0_notBefore(x), &then) < 0);
	BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
	assert_in_range(BN_num_bits(serial), 100, 128);
	BN_free(serial);

	assert_int_equal(ca_leaf(ca, "api.openai.com", &b, &e), 0);
	assert_ptr_equal(a, b); /* cached */
	assert_int_equal(ca_leaf(ca, "api.anthropic.com", &c, &e), 0);
	assert_ptr_not_equal(a, c);
	assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(x), X509_get0_serialNumber(leaf_of(c))), 0);
	tls_ctx_unref(a);
	tls_ctx_unref(b);
	tls_ctx_unref(c);
	X509_free(root);
	X509_free(issuer);
	ca_close(ca);
	place_free(&p);
}

/* The chain as it goes over the wire, believed by a client that has nothing but root.pem. */
static void test_a_client_believes(void **state)
{
	static const char *const hosts[] = {
		"api.openai.com", "x.azure.example.com",
		/* longer than a CN may be */
		"a-resource-with-a-name.that-somebody-found-funny.in-a-long-meeting.azure.example.com",
	};
	struct place p;
	bool is_new;
	struct err e = { 0 };
	struct pki k = { 0 };

	(void)state;
	place_make(&p);
	struct ca *ca = must_open(&p, USUAL, &is_new);
	assert_int_equal(tls_client_ctx_new(ca_root_path(ca), NULL, 0, &k.client, &e), 0);
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct pair pair;
		assert_int_equal(ca_leaf(ca, hosts[i], &k.server, &e), 0);
		pair_open(&pair, &k, hosts[i], false);
		pair_shake(&pair);
		pair_close(&pair);
		tls_ctx_unref(k.server);
	}
	tls_ctx_unref(k.client);
	ca_close(ca);
	place_free(&p);
}

/* Even with our root among the trusted ones, purse itself takes no provider from it. */
static void test_our_ca_never_vouches_for_a_provider(void **state)
{
	struct place p;
	bool is_new;
	struct err e = { 0 };
	struct pki k = { 0 };
	struct pair pair;

	(void)state;
	place_make(&p);
	struct ca *ca = must_open(&p, USUAL, &is_new);
	assert_int_equal(ca_client_ctx_new(ca, ca_root_path(ca), &k.client, &e), 0);
	assert_int_equal(ca_leaf(ca, "api.openai.com", &k.server, &e), 0);
	pair_open(&pair, &k, "api.openai.com", false);
	enum tls_want w = TLS_WANT_READ;
	for (int i = 0; i < 10 && w != TLS_FAILED && w != TLS_DONE; i++) {
		w = tls_handshake(pair.client, &e);
		(void)tls_handshake(pair.server, NULL);
	}
	assert_int_equal(w, TLS_FAILED);
	assert_non_null(strstr(e.text, "purse's own CA"));
	pair_close(&pair);
	tls_ctx_unref(k.client);
	tls_ctx_unref(k.server);
	ca_close(ca);
	place_free(&p);
}

/* A hand-over that fails makes a context anew, each time. */
static void test_contexts_that_nobody_has_are_dropped(void **state)
{
	struct place p;
	bool is_new;
	struct err e = { 0 };
	struct tls_ctx *stays, *c;

	(void)state;
	place_make(&p);
	struct ca *ca = must_open(&p, USUAL, &is_new);
	assert_int_equal(ca_client_ctx_new(ca, NULL, &stays, &e), 0);
	for (int i = 0; i < 40; i++) {
		if (ca_client_ctx_new(ca, NULL, &c, &e))
			fail_msg("%d: %s", i, e.text);
		tls_ctx_unref(c);
	}
	tls_ctx_unref(stays);
	ca_close(ca);
	place_free(&p);
}

/* New roots and lists are followed without a start; what cannot be read is told once and changes nothing. */
static void test_whom_the_clients_trust_is_followed(void **state)
{
	struct place p;
	bool is_new;
	struct err e = { 0 };
	struct pki k;
	struct pair pair;

	(void)state;
	place_make(&p);
	pki_make(&k, NULL, NULL, NULL);
	struct ca *ca = must_open(&p, USUAL, &is_new);
	const char *file = in(&p, "trusted.pem");
	tls_ctx_unref(k.client);
	cert_write_to(k.leaf.x, file); /* not who signed it */
	assert_int_equal(ca_client_ctx_new(ca, file, &k.client, &e), 0);
	assert_int_equal(ca_clients_follow(ca, file, &e), 0);
	pair_open(&pair, &k, "api.example.com", false);
	assert_int_equal(pair_verdict(&pair, &e), TLS_FAILED);
	pair_close(&pair);

	FILE *f = fopen(file, "w");
	assert_true(fputs("half a fi", f) > 0);
	fclose(f);
	assert_true(ca_clients_follow(ca, file, &e) < 0);
	assert_non_null(strstr(e.text, file));
	assert_int_equal(ca_clients_follow(ca, file, &e), 0);

	cert_write_to(k.root.x, file);
	assert_int_equal(ca_clients_follow(ca, file, &e), 1);
	assert_int_equal(ca_clients_follow(ca, file, &e), 0);
	pair_open(&pair, &k, "api.example.com", false);
	assert_int_equal(pair_verdict(&pair, &e), TLS_DONE);
	pair_close(&pair);
	pki_free(&k);
	ca_close(ca);
	(void)unlink(file);
	place_free(&p);
}

/* ---- names */

static void test_permits(void **state)
{
	static const struct {
		const char *host;
		bool ok;
	} rows[] = {
		{ "api.openai.com", true },
		{ "api.anthropic.com", true },
		{ "x.azure.example.com", true },
		{ "y.x.azure.example.com", true },
		{ "azure.example.com", false },
		{ ".azure.example.com", false },
		{ "x.api.openai.com", false }, /* the certificate would, the gate does not */
		{ "openai.com", false },
		{ "API.OPENAI.COM", false },
		{ "api.openai.com.", false },
		{ "api.openai.com:443", false },
		{ "xazure.example.com", false },
		{ "a,DNS:evil.net.azure.example.com", false },
		{ "a\n.azure.example.com", false },
		{ "*.azure.example.com", false },
		{ "evil.net", false },
		{ "", false },
	};
	struct place p;
	bool is_new;

	(void)state;
	place_make(&p);
	struct ca *ca = must_open(&p, USUAL, &is_new);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tls_ctx *c = NULL;
		struct err e = { 0 };
		if (ca_permits(ca, rows[i].host) != rows[i].ok)
			fail_msg("\"%s\"", rows[i].host);
		assert_int_equal(ca_leaf(ca, rows[i].host, &c, &e), rows[i].ok ? 0 : -EPERM);
		tls_ctx_unref(c);
	}
	ca_close(ca);
	place_free(&p);
}

static void test_names_that_are_none(void **state)
{
	static const char *const rows[] = { "", ".", ".com", "API.openai.com", "a b", "192.0.2.1", "api.openai.com:443",
					    "*.openai.com", "..com", "a,DNS:evil.net", "2001:db8::1", "api.openai.com." };
	struct place p;
	struct ca *ca = NULL;
	bool is_new;

	(void)state;
	place_make(&p);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *names[] = { "api.openai.com", rows[i] };
		struct err e = { 0 };
		if (ca_open_at(test_clock, p.dir, names, 2, &ca, &is_new, &e) != -EINVAL || !strstr(e.text, "no host name"))
			fail_msg("\"%s\": %s", rows[i], e.text);
	}
	struct err e = { 0 };
	assert_int_equal(ca_open_at(test_clock, p.dir, NULL, 0, &ca, &is_new, &e), -EINVAL);
	assert_non_null(strstr(e.text, "at least one provider"));
	assert_null(ca);
	place_free(&p);
}

/* ---- leaves over time and in numbers */

static void test_leaves_are_renewed(void **state)
{
	struct place p;
	bool is_new;
	struct err e = { 0 };
	struct tls_ctx *a, *b;
	int64_t start = time(NULL);

	(void)state;
	place_make(&p);
	struct ca *ca = must_open(&p, USUAL, &is_new);
	clock_s = start;
	assert_int_equal(ca_leaf(ca, "api.openai.com", &a, &e), 0);
	clock_s = start + 6 * DAY - 60;
	assert_int_equal(ca_leaf(ca, "api.openai.com", &b, &e), 0);
	assert_ptr_equal(a, b);
	tls_ctx_unref(b);
	clock_s = start + 6 * DAY + 60;
	assert_int_equal(ca_leaf(ca, "api.openai.com", &b, &e), 0);
	assert_ptr_not_equal(a, b);
	assert_int_equal(ca_not_after(leaf_of(b)), clock_s + 7 * DAY);
	/* The old one still serves who holds it. */
	assert_int_equal(ca_not_after(leaf_of(a)), start + 7 * DAY);
	tls_ctx_unref(a);
	tls_ctx_unref(b);

	/* A clock that was set back makes a leaf begin in the future. */
	clock_s = start + 5 * DAY;
	assert_int_equal(ca_leaf(ca, "api.openai.com", &a, &e), 0);
	assert_int_equal(ca_not_after(leaf_of(a)), clock_s + 7 * DAY);
	assert_true(ca_is_valid_at(leaf_of(a), clock_s));
	tls_ctx_unref(a);

	/* Near the end of the CA a leaf lives as long as that, and is not minted over and over. */
	X509 *issuer = read_x(in(&p, "issuer.pem"));
	int64_t end = ca_not_after(issuer);
	X509_free(issuer);
	clock_s = end - 3600;
	assert_int_equal(ca_leaf(ca, "api.openai.com", &a, &e), 0);
	assert_int_equal(ca_not_after(leaf_of(a)), end);
	assert_int_equal(ca_leaf(ca, "api.openai.com", &b, &e), 0);
	assert_ptr_equal(a, b);
	tls_ctx_unref(a);
	tls_ctx_unref(b);
	clock_s = end + 1;
	assert_int_equal(ca_leaf(ca, "api.openai.com", &a, &e), -EKEYEXPIRED);
	assert_non_null(strstr(e.text, "start pursed again"));
	ca_close(ca);
	place_free(&p);
}

/* Agents may think of any number of names below ".azure.example.com": the oldest leaves go, memory does not grow. */
static void test_the_cache_is_bounded(void **state)
{
	struct place p;
	bool is_new;
	struct err e = { 0 };
	struct tls_ctx *kept = NULL, *c = NULL;
	char host[64];

	(void)state;
	place_make(&p);
	struct ca *ca = must_open(&p, USUAL, &is_new);
	assert_int_equal(ca_leaf(ca, "first.azure.example.com", &kept, &e), 0);
	for (int i = 0; i < CA_LEAVES_MAX + 10; i++) {
		snprintf(host, sizeof(host), "n%d.azure.example.com", i);
		assert_int_equal(ca_leaf(ca, host, &c, &e), 0);
		tls_ctx_unref(c);
	}
	/* ours is the only reference left on the first */
	assert_int_equal(atomic_load(&kept->refs), 1);
	assert_int_equal(ca_leaf(ca, host, &c, &e), 0);
	assert_int_equal(atomic_load(&c->refs), 2);
	tls_ctx_unref(c);
	assert_int_equal(ca_leaf(ca, "first.azure.example.com", &c, &e), 0);
	assert_ptr_not_equal(c, kept);
	tls_ctx_unref(c);
	tls_ctx_unref(kept);
	ca_close(ca);
	place_free(&p);
}

static void *ask_for_leaves(void *arg)
{
	struct ca *ca = arg;
	char host[64];

	for (int i = 0; i < 300; i++) {
		struct tls_ctx *c = NULL;
		struct err e = { 0 };
		snprintf(host, sizeof(host), "n%d.azure.example.com", i % 7);
		if (ca_leaf(ca, host, &c, &e))
			return (void *)1;
		tls_ctx_unref(c);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct place p;
	bool is_new;
	pthread_t t[4];
	void *bad;

	(void)state;
	place_make(&p);
	struct ca *ca = must_open(&p, USUAL, &is_new);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, ask_for_leaves, ca), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(t[i], &bad), 0);
		assert_null(bad);
	}
	ca_close(ca);
	place_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_issuer_can_sign_only_its_names),
		cmocka_unit_test(test_what_stands_in_the_certificates),
		cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_a_client_believes),
		cmocka_unit_test(test_our_ca_never_vouches_for_a_provider),
		cmocka_unit_test(test_contexts_that_nobody_has_are_dropped),
		cmocka_unit_test(test_whom_the_clients_trust_is_followed),
		cmocka_unit_test(test_permits),
		cmocka_unit_test(test_names_that_are_none),
		cmocka_unit_test(test_leaves_are_renewed),
		cmocka_unit_test(test_the_cache_is_bounded),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
