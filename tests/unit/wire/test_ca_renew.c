// SPDX-License-Identifier: Apache-2.0
/*
 * test_ca_renew.c: a daemon that runs for longer than its certificates last: the clock is moved through a year, so that the change comes
 * today, and real handshakes can be made with what agents know by then.
 */
#include "ca_place.h"
#include "tls_pair.h"

#define HOST "api.openai.com"

struct year {
	struct place p;
	struct ca *ca;
	int64_t start; /* 336 days ago */
};

static void at_day(struct year *y, int day)
{
	clock_s = y->start + day * DAY;
}

static void year_begin(struct year *y)
{
	bool is_new;

	place_make(&y->p);
	y->start = time(NULL) - 336 * DAY;
	at_day(y, 0);
	y->ca = must_open(&y->p, USUAL, &is_new);
}

static void year_end(struct year *y)
{
	ca_close(y->ca);
	place_free(&y->p);
}

enum { NOTHING, CHANGED, NEW };

static int renew(struct year *y)
{
	bool changed, is_new;
	struct err e = { 0 };

	if (ca_renew(y->ca, &changed, &is_new, &e))
		fail_msg("%s", e.text);
	return is_new ? NEW : changed ? CHANGED : NOTHING;
}

static void restart(struct year *y)
{
	bool is_new;

	ca_close(y->ca);
	y->ca = must_open(&y->p, USUAL, &is_new);
}

/* What an agent that starts now keeps in memory. */
struct agent {
	char trust[64];
};

static int count(const char *path)
{
	FILE *f = fopen(path, "r");
	int n = 0;

	assert_non_null(f);
	for (X509 *x; (x = PEM_read_X509(f, NULL, NULL, NULL)); n++)
		X509_free(x);
	fclose(f);
	return n;
}

static void agent_start(struct agent *a, const struct year *y)
{
	char piece[4096];
	size_t n;

	strcpy(a->trust, "/tmp/purse-test-XXXXXX");
	FILE *from = fopen(ca_root_path(y->ca), "r"), *to = fdopen(mkstemp(a->trust), "w");
	while ((n = fread(piece, 1, sizeof(piece), from)) > 0)
		assert_int_equal(fwrite(piece, 1, n, to), n);
	fclose(from);
	fclose(to);
}

static void agent_end(struct agent *a)
{
	(void)unlink(a->trust);
}

/* Today, by the real clock. client NULL: one that trusts what the agent does. */
static bool gets_through(const struct year *y, const struct agent *a, struct tls_ctx *client, struct err *e)
{
	struct pki k = { 0 };
	struct pair p;
	enum tls_want c = TLS_WANT_READ, s = TLS_WANT_READ;

	if (client)
		k.client = tls_ctx_ref(client);
	else
		assert_int_equal(tls_client_ctx_new(a->trust, NULL, 0, &k.client, e), 0);
	assert_int_equal(ca_leaf(y->ca, HOST, &k.server, e), 0);
	pair_open(&p, &k, HOST, false);
	for (int i = 0; i < 20 && c != TLS_DONE && c != TLS_FAILED; i++) {
		c = tls_handshake(p.client, e);
		if (s == TLS_WANT_READ)
			s = tls_handshake(p.server, NULL);
	}
	pair_close(&p);
	tls_ctx_unref(k.client);
	tls_ctx_unref(k.server);
	return c == TLS_DONE;
}

static void test_a_year(void **state)
{
	(void)state;
	for (int restarts = 0; restarts < 2; restarts++) {
		struct year y;
		struct agent first, later, last;
		struct err e = { 0 };
		struct tls_ctx *upstream, *before, *after;
		char old[65], now[65];
		int64_t end;

		year_begin(&y);
		ca_describe(y.ca, old, sizeof(old), &end);
		agent_start(&first, &y);
		assert_int_equal(ca_client_ctx_new(y.ca, first.trust, &upstream, &e), 0);
		at_day(&y, 304);
		assert_int_equal(renew(&y), NOTHING);
		assert_int_equal(count(ca_root_path(y.ca)), 1);

		/* 60 days before: the next one is shown, the present one is used. */
		at_day(&y, 306);
		assert_int_equal(renew(&y), CHANGED);
		assert_int_equal(renew(&y), NOTHING);
		if (restarts) {
			tls_ctx_unref(upstream);
			restart(&y);
			assert_int_equal(ca_client_ctx_new(y.ca, first.trust, &upstream, &e), 0);
		}
		assert_int_equal(count(ca_root_path(y.ca)), 2);
		assert_int_equal(access(in(&y.p, "next.key"), F_OK), 0);
		ca_describe(y.ca, now, sizeof(now), &end);
		assert_string_equal(old, now);
		agent_start(&later, &y);
		at_day(&y, 334);
		assert_int_equal(renew(&y), NOTHING);
		assert_int_equal(ca_leaf(y.ca, HOST, &before, &e), 0);

		/* 30 days before: today. */
		at_day(&y, 336);
		assert_true(gets_through(&y, &first, NULL, &e));
		assert_int_equal(renew(&y), NEW);
		assert_int_equal(renew(&y), NOTHING);
		if (restarts) {
			tls_ctx_unref(upstream);
			restart(&y);
			assert_int_equal(renew(&y), NOTHING);
			assert_int_equal(ca_client_ctx_new(y.ca, later.trust, &upstream, &e), 0);
		}
		assert_int_not_equal(access(in(&y.p, "next.key"), F_OK), 0);
		ca_describe(y.ca, now, sizeof(now), &end);
		assert_string_not_equal(old, now);
		assert_in_range(end, clock_s + 334 * DAY, clock_s + 336 * DAY);
		assert_int_equal(ca_leaf(y.ca, HOST, &after, &e), 0);
		assert_ptr_not_equal(before, after);
		agent_start(&last, &y);
		if (!gets_through(&y, &later, NULL, &e) || !gets_through(&y, &last, NULL, &e))
			fail_msg("an agent that knew both: %s", e.text);
		assert_false(gets_through(&y, &first, NULL, &e)); /* started too long ago */

		/* Neither the new nor the old one is a provider, also for a context that is older than they are. */
		assert_int_equal(SSL_CTX_load_verify_file(upstream->ssl, later.trust), 1);
		assert_false(gets_through(&y, NULL, upstream, &e));
		assert_non_null(strstr(e.text, "purse's own CA"));
		struct tls_ctx *leaf = before;
		struct pki k = { .client = upstream, .server = leaf };
		struct pair p;
		enum tls_want w = TLS_WANT_READ;
		pair_open(&p, &k, HOST, false);
		for (int i = 0; i < 20 && w != TLS_DONE && w != TLS_FAILED; i++) {
			w = tls_handshake(p.client, &e);
			(void)tls_handshake(p.server, NULL);
		}
		assert_int_equal(w, TLS_FAILED);
		assert_non_null(strstr(e.text, "purse's own CA"));
		pair_close(&p);

		/* The old root stays until it ends, and not longer. */
		assert_int_equal(count(ca_root_path(y.ca)), 2);
		at_day(&y, 364);
		assert_int_equal(renew(&y), NOTHING);
		at_day(&y, 366);
		assert_int_equal(renew(&y), CHANGED);
		assert_int_equal(renew(&y), NOTHING);
		assert_int_equal(count(ca_root_path(y.ca)), 1);
		assert_int_not_equal(access(in(&y.p, "old.pem"), F_OK), 0);
		tls_ctx_unref(upstream);
		tls_ctx_unref(before);
		tls_ctx_unref(after);
		agent_end(&first);
		agent_end(&later);
		agent_end(&last);
		year_end(&y);
	}
}

/* Nobody was there for months: there is no time to announce anything. */
static void test_too_late(void **state)
{
	static const int days[] = { 350, 364, 365, 400 };
	(void)state;
	for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
		struct year y;
		struct agent a;
		struct err e = { 0 };
		year_begin(&y);
		y.start = time(NULL) - days[i] * DAY;
		ca_close(y.ca);
		place_clear(y.p.dir);
		at_day(&y, 0);
		bool is_new;
		y.ca = must_open(&y.p, USUAL, &is_new);
		at_day(&y, days[i]);
		assert_int_equal(renew(&y), NEW);
		agent_start(&a, &y);
		assert_true(gets_through(&y, &a, NULL, &e));
		assert_int_equal(count(ca_root_path(y.ca)), days[i] < 365 ? 2 : 1);
		agent_end(&a);
		year_end(&y);
	}
}

/* A crash at the change: the start after it takes the one that agents know already. */
static void test_crash_at_the_change(void **state)
{
	struct year y;
	struct agent later;
	struct err e = { 0 };

	(void)state;
	year_begin(&y);
	at_day(&y, 306);
	assert_int_equal(renew(&y), CHANGED);
	agent_start(&later, &y);
	at_day(&y, 336);
	FILE *f = fopen(in(&y.p, "unfinished"), "w");
	fclose(f);
	(void)unlink(in(&y.p, "issuer.pem"));
	restart(&y);
	assert_true(gets_through(&y, &later, NULL, &e));
	agent_end(&later);
	year_end(&y);
}

static void test_what_is_not_used_yet_may_be_damaged(void **state)
{
	static const char *const names[] = { "next.key", "next.pem", "old.pem" };
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (int gone = 0; gone < 2; gone++) {
			struct year y;
			struct err e = { 0 };
			struct agent a;
			year_begin(&y);
			at_day(&y, 306);
			assert_int_equal(renew(&y), CHANGED);
			if (i == 2) {
				at_day(&y, 336);
				assert_int_equal(renew(&y), NEW);
			}
			(void)unlink(in(&y.p, names[i]));
			if (!gone) {
				int fd = open(in(&y.p, names[i]), O_WRONLY | O_CREAT, 0600);
				assert_int_equal(write(fd, "rubbish", 7), 7);
				close(fd);
			}
			restart(&y);
			at_day(&y, 336);
			(void)renew(&y);
			agent_start(&a, &y);
			assert_true(gets_through(&y, &a, NULL, &e));
			agent_end(&a);
			year_end(&y);
		}
}

/* The disk says no: what is there is used on, the reason is told, and it is tried again. */
static void test_a_failure_changes_nothing(void **state)
{
	struct year y;
	struct agent a;
	struct err e = { 0 };
	bool changed, is_new;

	(void)state;
	year_begin(&y);
	agent_start(&a, &y);
	at_day(&y, 336);
	assert_int_equal(chmod(in(&y.p, "issuer.key"), 0644), 0);
	assert_int_equal(ca_renew(y.ca, &changed, &is_new, &e), -EPERM);
	assert_false(changed || is_new);
	assert_non_null(strstr(e.text, "issuer.key"));
	assert_true(gets_through(&y, &a, NULL, &e));
	assert_int_equal(chmod(in(&y.p, "issuer.key"), 0600), 0);
	assert_int_equal(renew(&y), NEW);
	agent_end(&a);
	year_end(&y);
}

/* While an upgrade goes on there are two daemons: the second one follows the first. */
static void test_two_daemons(void **state)
{
	struct year y;
	bool is_new;
	char one[65], two[65];
	int64_t end;

	(void)state;
	year_begin(&y);
	at_day(&y, 336);
	struct ca *other = must_open(&y.p, USUAL, &is_new);
	assert_true(is_new);
	assert_int_equal(renew(&y), NEW);
	ca_describe(y.ca, one, sizeof(one), &end);
	ca_describe(other, two, sizeof(two), &end);
	assert_string_equal(one, two);
	ca_close(other);
	year_end(&y);
}

static _Atomic bool over;

static void *mint_on(void *arg)
{
	struct ca *ca = arg;

	for (unsigned i = 0; !over; i++) {
		struct err e = { 0 };
		struct tls_ctx *c;
		char host[64], fingerprint[65];
		int64_t end;
		snprintf(host, sizeof(host), "h%u.azure.example.com", i % 40);
		assert_int_equal(ca_leaf(ca, host, &c, &e), 0);
		ca_describe(ca, fingerprint, sizeof(fingerprint), &end);
		tls_ctx_unref(c);
	}
	return NULL;
}

static void test_under_load(void **state)
{
	struct year y;
	pthread_t t[3];

	(void)state;
	year_begin(&y);
	over = false;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, mint_on, y.ca), 0);
	for (int i = 0; i < 4; i++) {
		clock_s += 306 * DAY;
		assert_int_equal(renew(&y), i ? NEW : CHANGED);
		clock_s += 30 * DAY;
		(void)renew(&y);
	}
	over = true;
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	year_end(&y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_year),
		cmocka_unit_test(test_too_late),
		cmocka_unit_test(test_crash_at_the_change),
		cmocka_unit_test(test_what_is_not_used_yet_may_be_damaged),
		cmocka_unit_test(test_a_failure_changes_nothing),
		cmocka_unit_test(test_two_daemons),
		cmocka_unit_test(test_under_load),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
