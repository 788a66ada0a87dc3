// SPDX-License-Identifier: Apache-2.0
/*
 * test_ca.c: the node's CA: what OpenSSL makes of its chains, what stands on disk and with which modes, that it is
 * found again, renewed when it must be, and refused with words when something is wrong.
 */
#include "certs.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>

#include "tls_pair.h"
#include "wire/ca.h"
#include "wire/ca_inside.h"

#define DAY INT64_C(86400)

static int64_t clock_s; /* 0 = the real one */

static int64_t test_clock(void)
{
	return clock_s ? clock_s : (int64_t)time(NULL);
}

struct place {
	char top[64], dir[96];
};

static void place_make(struct place *p)
{
	clock_s = 0;
	strcpy(p->top, "/tmp/purse-ca-XXXXXX");
	assert_non_null(mkdtemp(p->top));
	snprintf(p->dir, sizeof(p->dir), "%s/ca", p->top);
}

static void place_clear(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *f;

	while (d && (f = readdir(d)))
		if (f->d_name[0] != '.')
			(void)unlinkat(dirfd(d), f->d_name, 0);
	if (d)
		closedir(d);
	(void)rmdir(dir);
}

static void place_free(struct place *p)
{
	place_clear(p->dir);
	(void)unlink(p->dir);
	place_clear(p->top);
}

static const char *in(const struct place *p, const char *name)
{
	static char path[4][400];
	static unsigned turn;
	char *to = path[turn++ % 4];

	snprintf(to, sizeof(path[0]), "%s/%s", p->dir, name);
	return to;
}

static const char *const usual[] = { "api.openai.com", "api.anthropic.com", ".azure.example.com" };
#define USUAL usual, 3

static struct ca *must_open(const struct place *p, const char *const *names, size_t n, bool *is_new)
{
	struct ca *ca = NULL;
	struct err e = { 0 };

	if (ca_open_at(test_clock, p->dir, names, n, &ca, is_new, &e))
		fail_msg("%s", e.text);
	return ca;
}

static void must_fail(const struct place *p, int why, const char *words)
{
	struct ca *ca = NULL;
	bool is_new;
	struct err e = { 0 };
	int r = ca_open_at(test_clock, p->dir, USUAL, &ca, &is_new, &e);

	if (r != why || !strstr(e.text, words))
		fail_msg("%d (%s) instead of %d and \"%s\"", r, e.text, why, words);
	assert_null(ca);
}

static void *slurp(const char *path, size_t *n)
{
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	char *p = calloc(1, 4 << 20);
	*n = fread(p, 1, (4 << 20) - 1, f);
	fclose(f);
	return p;
}

static void spit(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	fclose(f);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? 0 : st.st_mode & 07777;
}

static X509 *read_x(const char *path)
{
	FILE *f = fopen(path, "r");
	X509 *x = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

	if (f)
		fclose(f);
	return x;
}

static EVP_PKEY *read_k(const char *path)
{
	FILE *f = fopen(path, "r");
	EVP_PKEY *k = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;

	if (f)
		fclose(f);
	return k;
}

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
	(void)state;
	for (int which = 0; which < 2; which++) {
		struct place p;
		bool is_new;
		struct err e = { 0 };
		struct pki k = { 0 };
		struct pair pair;
		unsigned char own[1][32];
		place_make(&p);
		struct ca *ca = must_open(&p, USUAL, &is_new);
		memcpy(own[0], which ? ca_issuer_key_sha256(ca) : ca_root_key_sha256(ca), 32);
		assert_int_equal(tls_client_ctx_new(ca_root_path(ca), (const unsigned char(*)[32])own, 1, &k.client, &e), 0);
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

/* ---- on disk */

static void test_files_and_modes(void **state)
{
	struct place p;
	bool is_new;
	size_t n;

	(void)state;
	place_make(&p);
	mode_t before = umask(0);
	struct ca *ca = must_open(&p, USUAL, &is_new);
	umask(before);
	assert_true(is_new);
	assert_int_equal(mode_of(p.dir), 0700);
	assert_int_equal(mode_of(in(&p, "issuer.key")), 0600);
	assert_int_equal(mode_of(in(&p, "root.pem")), 0644);
	assert_string_equal(ca_root_path(ca), in(&p, "root.pem"));
	assert_string_equal(ca_bundle_path(ca), in(&p, "bundle.pem"));

	/* Only these, and only one private key among them: the root's was never written. */
	DIR *d = opendir(p.dir);
	int files = 0, keys = 0;
	for (const struct dirent *f; (f = readdir(d));) {
		if (f->d_name[0] == '.')
			continue;
		files++;
		char *text = slurp(in(&p, f->d_name), &n);
		for (const char *at = text; (at = strstr(at, "PRIVATE KEY-----\n")); at++)
			keys++;
		free(text);
	}
	closedir(d);
	assert_int_equal(files, 4);
	assert_int_equal(keys, 2); /* one BEGIN line and one END line */

	/* The bundle holds ours and what the system has. */
	char *root = slurp(ca_root_path(ca), &n), *bundle = slurp(ca_bundle_path(ca), &n);
	assert_non_null(strstr(bundle, root));
	if (!access("/etc/ssl/certs/ca-certificates.crt", R_OK))
		assert_true(n > 100000);
	free(root);
	free(bundle);

	char fingerprint[65];
	int64_t end;
	ca_describe(ca, fingerprint, sizeof(fingerprint), &end);
	assert_int_equal(strlen(fingerprint), 64);
	assert_in_range(end, time(NULL) + 364 * DAY, time(NULL) + 366 * DAY);
	ca_close(ca);
	place_free(&p);
}

static void test_a_strict_umask_does_not_matter(void **state)
{
	struct place p;
	bool is_new;

	(void)state;
	place_make(&p);
	mode_t before = umask(077);
	struct ca *ca = must_open(&p, USUAL, &is_new);
	umask(before);
	assert_int_equal(mode_of(in(&p, "bundle.pem")), 0644);
	ca_close(ca);
	place_free(&p);
}

static void fingerprint_of(const struct place *p, const char *const *names, size_t n, bool expect_new, char ret[65])
{
	bool is_new;
	int64_t end;
	struct ca *ca = must_open(p, names, n, &is_new);

	assert_int_equal(is_new, expect_new);
	ca_describe(ca, ret, 65, &end);
	ca_close(ca);
}

static void test_found_again_or_made_anew(void **state)
{
	static const char *const other_order[] = { ".azure.example.com", "api.anthropic.com", "api.openai.com",
						   "api.openai.com" };
	static const char *const more[] = { "api.openai.com", "api.anthropic.com", ".azure.example.com", "llm.example.org" };
	static const char *const fewer[] = { "api.openai.com" };
	struct place p;
	char first[65], now[65];

	(void)state;
	place_make(&p);
	fingerprint_of(&p, USUAL, true, first);
	for (int i = 0; i < 3; i++) {
		fingerprint_of(&p, USUAL, false, now);
		assert_string_equal(first, now);
	}
	fingerprint_of(&p, other_order, 4, false, now); /* a set */
	assert_string_equal(first, now);
	fingerprint_of(&p, more, 4, true, now);
	assert_string_not_equal(first, now);
	fingerprint_of(&p, fewer, 1, true, first);
	assert_string_not_equal(first, now);

	/* 30 days before its end it is renewed, not earlier. */
	int64_t made = time(NULL);
	clock_s = made + 334 * DAY;
	fingerprint_of(&p, fewer, 1, false, now);
	assert_string_equal(first, now);
	clock_s = made + 336 * DAY;
	fingerprint_of(&p, fewer, 1, true, now);
	assert_string_not_equal(first, now);
	fingerprint_of(&p, fewer, 1, false, first);
	assert_string_equal(first, now);
	place_free(&p);
}

/* A crash between two renames leaves files that do not fit; the next start makes them anew by itself. */
static void test_crash_while_it_was_written(void **state)
{
	struct place p, q;
	char first[65], now[65];
	size_t n;

	(void)state;
	place_make(&p);
	place_make(&q);
	fingerprint_of(&p, USUAL, true, first);
	fingerprint_of(&q, USUAL, true, now);
	char *key = slurp(in(&q, "issuer.key"), &n);
	spit(in(&p, "issuer.key"), key, n);
	spit(in(&p, "unfinished"), "", 0);
	fingerprint_of(&p, USUAL, true, now);
	assert_string_not_equal(first, now);
	assert_int_not_equal(access(in(&p, "unfinished"), F_OK), 0);
	fingerprint_of(&p, USUAL, false, first);
	/* A temporary file that was left behind is in nobody's way. */
	spit(in(&p, "bundle.pem.new"), "half", 4);
	fingerprint_of(&p, USUAL, false, first);
	free(key);
	place_free(&p);
	place_free(&q);
}

static void test_missing_bundle_is_written_again(void **state)
{
	struct place p;
	char first[65], now[65];

	(void)state;
	place_make(&p);
	fingerprint_of(&p, USUAL, true, first);
	assert_int_equal(unlink(in(&p, "bundle.pem")), 0);
	fingerprint_of(&p, USUAL, false, now);
	assert_string_equal(first, now);
	assert_int_equal(access(in(&p, "bundle.pem"), R_OK), 0);
	place_free(&p);
}

static void test_damage_is_named(void **state)
{
	static const char *const files[] = { "issuer.key", "issuer.pem", "root.pem" };

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct place p;
		char was[65];
		size_t n;
		place_make(&p);
		fingerprint_of(&p, USUAL, true, was);
		char *good = slurp(in(&p, files[i]), &n);
		char *bad = malloc(n);
		/* cut off, overwritten, empty, gone */
		spit(in(&p, files[i]), good, n / 2);
		must_fail(&p, -EBADMSG, files[i]);
		memset(bad, 'x', n);
		spit(in(&p, files[i]), bad, n);
		must_fail(&p, -EBADMSG, files[i]);
		spit(in(&p, files[i]), "", 0);
		must_fail(&p, -EBADMSG, "to let purse make a new CA");
		assert_int_equal(unlink(in(&p, files[i])), 0);
		must_fail(&p, -ENOENT, files[i]);
		must_fail(&p, -ENOENT, "to let purse make a new CA");
		free(good);
		free(bad);
		place_free(&p);
	}
}

static void test_files_that_do_not_belong_together(void **state)
{
	static const char *const files[] = { "issuer.key", "issuer.pem", "root.pem" };

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct place p, q;
		char was[65];
		size_t n;
		place_make(&p);
		place_make(&q);
		fingerprint_of(&p, USUAL, true, was);
		fingerprint_of(&q, USUAL, true, was);
		char *foreign = slurp(in(&q, files[i]), &n);
		spit(in(&p, files[i]), foreign, n);
		must_fail(&p, -EBADMSG, "do not belong together");
		free(foreign);
		place_free(&p);
		place_free(&q);
	}
}

static void test_others_must_not_reach_the_key(void **state)
{
	struct place p;
	char was[65];

	(void)state;
	place_make(&p);
	fingerprint_of(&p, USUAL, true, was);

	for (mode_t bad = 01; bad <= 040; bad <<= 1) {
		assert_int_equal(chmod(in(&p, "issuer.key"), 0600 | bad), 0);
		must_fail(&p, -EPERM, "issuer.key is a key and has mode");
	}
	assert_int_equal(chmod(in(&p, "issuer.key"), 0600), 0);
	for (mode_t bad = 01; bad <= 040; bad <<= 1) {
		assert_int_equal(chmod(p.dir, 0700 | bad), 0);
		must_fail(&p, -EPERM, "so others can look into it");
	}
	assert_int_equal(chmod(p.dir, 0700), 0);

	if (geteuid() == 0) {
		assert_int_equal(chown(in(&p, "issuer.key"), 12345, 12345), 0);
		must_fail(&p, -EPERM, "belongs to uid 12345");
		assert_int_equal(chown(in(&p, "issuer.key"), 0, 0), 0);
		assert_int_equal(chown(p.dir, 12345, 12345), 0);
		must_fail(&p, -EPERM, "belongs to uid 12345");
		assert_int_equal(chown(p.dir, 0, 0), 0);
	}

	/* A link in the place of the key, and of the directory. */
	assert_int_equal(rename(in(&p, "issuer.key"), in(&p, "elsewhere")), 0);
	assert_int_equal(symlink("elsewhere", in(&p, "issuer.key")), 0);
	must_fail(&p, -ELOOP, "issuer.key");
	assert_int_equal(unlink(in(&p, "issuer.key")), 0);
	assert_int_equal(mkfifo(in(&p, "issuer.key"), 0600), 0);
	must_fail(&p, -EBADMSG, "plain file");
	assert_int_equal(unlink(in(&p, "issuer.key")), 0);
	assert_int_equal(rename(in(&p, "elsewhere"), in(&p, "issuer.key")), 0);
	fingerprint_of(&p, USUAL, false, was);

	char moved[160];
	snprintf(moved, sizeof(moved), "%s/moved", p.top);
	assert_int_equal(rename(p.dir, moved), 0);
	assert_int_equal(symlink("moved", p.dir), 0);
	must_fail(&p, -ENOTDIR, "not a link to one");
	assert_int_equal(unlink(p.dir), 0);
	assert_int_equal(rename(moved, p.dir), 0);
	place_free(&p);
}

static void test_a_link_is_not_written_through(void **state)
{
	struct place p;
	char victim[160];
	size_t n;

	(void)state;
	place_make(&p);
	snprintf(victim, sizeof(victim), "%s/victim", p.top);
	spit(victim, "precious", 8);
	assert_int_equal(mkdir(p.dir, 0700), 0);
	assert_int_equal(symlink(victim, in(&p, "bundle.pem.new")), 0);
	assert_int_equal(symlink(victim, in(&p, "bundle.pem")), 0);
	char was[65];
	fingerprint_of(&p, USUAL, true, was);
	char *text = slurp(victim, &n);
	assert_int_equal(n, 8);
	assert_string_equal(text, "precious");
	free(text);
	place_free(&p);
}

static void test_no_place(void **state)
{
	struct place p;

	(void)state;
	place_make(&p);
	snprintf(p.dir, sizeof(p.dir), "%s/missing/ca", p.top);
	must_fail(&p, -ENOENT, "cannot make the directory");
	snprintf(p.dir, sizeof(p.dir), "%s/file", p.top);
	spit(p.dir, "", 0);
	must_fail(&p, -ENOTDIR, "has to be a directory");
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

static void *open_it(void *arg)
{
	const struct place *p = arg;
	struct ca *ca = NULL;
	bool is_new = false;
	struct err e = { 0 };
	static _Atomic int made;

	if (ca_open_at(test_clock, p->dir, USUAL, &ca, &is_new, &e))
		return (void *)-1L;
	atomic_fetch_add(&made, is_new);
	ca_close(ca);
	return (void *)(long)atomic_load(&made);
}

/* Several daemons that start at once make one CA. */
static void test_openers_at_the_same_time(void **state)
{
	struct place p;
	pthread_t t[4];
	void *made;

	(void)state;
	place_make(&p);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, open_it, &p), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(t[i], &made), 0);
		assert_int_equal((long)made, 1);
	}
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
		cmocka_unit_test(test_permits),
		cmocka_unit_test(test_names_that_are_none),
		cmocka_unit_test(test_files_and_modes),
		cmocka_unit_test(test_a_strict_umask_does_not_matter),
		cmocka_unit_test(test_found_again_or_made_anew),
		cmocka_unit_test(test_crash_while_it_was_written),
		cmocka_unit_test(test_missing_bundle_is_written_again),
		cmocka_unit_test(test_damage_is_named),
		cmocka_unit_test(test_files_that_do_not_belong_together),
		cmocka_unit_test(test_others_must_not_reach_the_key),
		cmocka_unit_test(test_a_link_is_not_written_through),
		cmocka_unit_test(test_no_place),
		cmocka_unit_test(test_leaves_are_renewed),
		cmocka_unit_test(test_the_cache_is_bounded),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_openers_at_the_same_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
