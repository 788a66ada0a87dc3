// SPDX-License-Identifier: Apache-2.0
/* test_names.c: what one agent makes purse look up never stands before another's names, nor before those of the config. The loop is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "path/names.h"

/* ---- a loop whose time and threads are ours */

#define ASKED_MOST 512
struct loop_resolve {
	char host[256];
	loop_resolve_fn fn;
	void *ctx;
	bool is_open;
};

static struct loop_resolve asked[ASKED_MOST];
static unsigned nasked, ncancelled;
static int64_t now_s;
static struct { void (*fn)(void *ctx); void *ctx; } deferred[64];
static unsigned ndeferred;

int64_t loop_now_ns(struct loop *l) { return now_s * 1000000000; }

int loop_defer(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
	deferred[ndeferred].fn = fn;
	deferred[ndeferred++].ctx = ctx;
	return 0;
}

int loop_resolve(struct loop *l, const char *host, uint16_t port, loop_resolve_fn fn, void *ctx, struct loop_resolve **ret)
{
	struct loop_resolve *r = &asked[nasked++];

	if (!host[0])
		return -EINVAL;
	assert_true(nasked < ASKED_MOST);
	*r = (struct loop_resolve){ .fn = fn, .ctx = ctx, .is_open = true };
	(void)snprintf(r->host, sizeof r->host, "%s", host);
	*ret = r;
	return 0;
}

void loop_resolve_cancel(struct loop_resolve *r)
{
	if (r && r->is_open) {
		r->is_open = false;
		ncancelled++;
	}
}

static void turn(void)
{
	for (unsigned i = 0; i < ndeferred; i++)
		deferred[i].fn(deferred[i].ctx);
	ndeferred = 0;
}

static unsigned open_for(const char *prefix)
{
	unsigned n = 0;

	for (unsigned i = 0; i < nasked; i++)
		n += asked[i].is_open && !strncmp(asked[i].host, prefix, strlen(prefix));
	return n;
}

/* Answers the oldest open question for a name that begins so. last: of the address; 0 = a failure. */
static void answer(const char *prefix, unsigned last, unsigned ttl_s)
{
	struct sockaddr_storage ss = { .ss_family = AF_INET };

	((struct sockaddr_in *)&ss)->sin_addr.s_addr = htonl(0xc6336400 + last);
	for (unsigned i = 0; i < nasked; i++) {
		struct loop_resolve *r = &asked[i];

		if (!r->is_open || strncmp(r->host, prefix, strlen(prefix)))
			continue;
		r->is_open = false;
		r->fn(r->ctx, &ss, last ? 1 : 0, ttl_s, last ? NULL : "no such name");
		return;
	}
	fail_msg("nobody asked for %s", prefix);
}

/* ---- who wants names */

struct want {
	struct names_wait *wait;
	int told;
	unsigned last;
	uint16_t port;
	char error[64];
	struct want *also_cancel;
};

static void told(void *ctx, const struct sockaddr_storage *addrs, unsigned n, const char *error)
{
	struct want *w = ctx;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)addrs;

	w->told++;
	w->last = n ? ntohl(v4->sin_addr.s_addr) & 255 : 0;
	w->port = n ? ntohs(v4->sin_port) : 0;
	(void)snprintf(w->error, sizeof w->error, "%s", error ? error : "");
	if (w->also_cancel)
		names_cancel(w->also_cancel->wait);
}

static struct names *names;

static int setup(void **state)
{
	nasked = ncancelled = ndeferred = 0;
	now_s = 1000;
	return names_new(NULL, &names);
}

/* Whoever waits still hears something. */
static int teardown(void **state)
{
	turn();
	while (open_for(""))
		answer("", 0, 0);
	names_free(names);
	return 0;
}

static void want(struct want *w, uint32_t asker, const char *host, uint16_t port)
{
	*w = (struct want){ 0 };
	assert_int_equal(names_get(names, asker, host, port, told, w, &w->wait), 0);
	assert_int_equal(w->told, 0);
}

static void get_known(uint32_t asker, const char *host, unsigned last)
{
	static struct want w;

	want(&w, asker, host, 7);
	turn();
	assert_int_equal(w.told, 1);
	assert_int_equal(w.last, last);
	assert_int_equal(w.port, last ? 7 : 0);
}

/* ---- the tests */

static void equal_questions_are_asked_once(void **state)
{
	static struct want a, b, c;

	want(&a, 1, "x.test", 443);
	want(&b, 2, "x.test", 8443);
	want(&c, 1, "x.test", 443);
	names_cancel(c.wait);
	assert_int_equal(open_for(""), 1);
	answer("x.test", 5, 60);
	assert_int_equal(a.told + b.told, 2);
	assert_int_equal(a.last, 5);
	assert_int_equal(a.port, 443);
	assert_int_equal(b.port, 8443);
	assert_int_equal(c.told, 0);
	get_known(3, "x.test", 5);
	assert_int_equal(nasked, 1);
}

static void one_that_hears_cancels_another(void **state)
{
	static struct want a, b;

	want(&a, 1, "x.test", 443);
	want(&b, 1, "x.test", 443);
	a.also_cancel = &b;
	answer("x.test", 5, 60);
	assert_int_equal(a.told, 1);
	assert_int_equal(b.told, 0);
}

static void an_agents_names_do_not_stand_before_anothers(void **state)
{
	static struct want evil[60], good, ours;
	char host[32];

	for (unsigned i = 0; i < 60; i++) {
		(void)snprintf(host, sizeof host, "dead-%u.test", i);
		want(&evil[i], 1, host, 443);
	}
	assert_in_range(open_for("dead"), 1, LOOP_THREADS_EACH - 1);
	want(&good, 2, "good.test", 443);
	assert_int_equal(open_for("good"), 1);
	want(&ours, NAMES_OURS, "api.test", 443);
	assert_int_equal(open_for("api"), 1);
	/* Its own go on, one for each that ends; who left the queue is not asked for. */
	names_cancel(evil[LOOP_THREADS_EACH / 2].wait);
	answer("dead", 0, 0);
	assert_int_equal(evil[0].told, 1);
	assert_string_equal(evil[0].error, "no such name");
	assert_int_equal(open_for("dead"), LOOP_THREADS_EACH / 2);
	for (unsigned i = 1; i < 59; i++)
		answer("dead", 0, 0);
	assert_int_equal(evil[59].told, 1);
	assert_int_equal(evil[LOOP_THREADS_EACH / 2].told, 0);
}

static void many_agents_leave_threads_for_the_config(void **state)
{
	static struct want w[40];
	char host[32];

	for (unsigned i = 0; i < 40; i++) {
		(void)snprintf(host, sizeof host, "dead-%u.test", i);
		want(&w[i], 1 + i, host, 443);
	}
	assert_int_equal(open_for("dead"), LOOP_THREADS_EACH);
	want(&w[0], NAMES_OURS, "api.test", 443);
	assert_int_equal(open_for("api"), 1);
}

static void a_look_up_that_nobody_waits_for_still_has_its_thread(void **state)
{
	static struct want w;
	char host[32];

	for (unsigned i = 0; i < 40; i++) {
		(void)snprintf(host, sizeof host, "dead-%u.test", i);
		want(&w, 1, host, 443);
		names_cancel(w.wait);
	}
	assert_int_equal(open_for("dead"), LOOP_THREADS_EACH / 2);
	assert_int_equal(ncancelled, 0);
}

static void the_queue_of_an_agent_is_bounded(void **state)
{
	static struct want w;
	char host[32];
	int r = 0;
	unsigned n;

	for (n = 0; n < 200 && !r; n++) {
		(void)snprintf(host, sizeof host, "dead-%u.test", n);
		r = names_get(names, 1, host, 443, told, &w, &w.wait);
	}
	assert_int_equal(r, -EBUSY);
	assert_in_range(n, 60, 80);
	want(&w, 2, "other.test", 443);
	want(&w, 1, "dead-0.test", 443); /* one that is asked already */
}

static void failures_are_kept_for_some_seconds(void **state)
{
	static struct want w;

	want(&w, 1, "x.test", 443);
	answer("x.test", 0, 0);
	get_known(2, "x.test", 0);
	assert_int_equal(nasked, 1);
	now_s += 6;
	want(&w, 1, "x.test", 443);
	assert_int_equal(nasked, 2);
}

static void a_name_of_the_config_goes_on_while_it_is_asked_again(void **state)
{
	static struct want w;

	want(&w, NAMES_OURS, "api.test", 443);
	answer("api", 5, 30);
	now_s += 31;
	get_known(NAMES_OURS, "api.test", 5); /* at once, and asked again */
	get_known(NAMES_OURS, "api.test", 5);
	assert_int_equal(open_for("api"), 1);
	answer("api", 0, 0); /* fails: the last good one stays */
	get_known(NAMES_OURS, "api.test", 5);
	answer("api", 6, 30);
	get_known(NAMES_OURS, "api.test", 6);
	now_s += 3700;
	want(&w, NAMES_OURS, "api.test", 443);
	turn();
	assert_int_equal(w.told, 0);
}

static void an_agents_name_does_not(void **state)
{
	static struct want w;

	want(&w, 1, "x.test", 443);
	answer("x", 5, 30);
	now_s += 31;
	want(&w, 1, "x.test", 443);
	turn();
	assert_int_equal(w.told, 0);
	answer("x", 6, 30);
	assert_int_equal(w.last, 6);
}

static void made_up_names_leave_those_of_the_config_alone(void **state)
{
	static struct want w;
	char host[32];

	want(&w, NAMES_OURS, "api.test", 443);
	answer("api", 5, 300);
	for (unsigned i = 0; i < 1600; i++) {
		nasked = 0;
		(void)snprintf(host, sizeof host, "up-%u.test", i);
		want(&w, 1, host, 443);
		answer("up", 9, 300);
	}
	nasked = 0;
	get_known(NAMES_OURS, "api.test", 5);
	assert_int_equal(nasked, 0);
}

static void what_is_no_name(void **state)
{
	struct names_wait *w;
	char longest[300];

	memset(longest, 'a', sizeof longest);
	longest[256] = '\0';
	assert_int_equal(names_get(names, 1, longest, 443, told, NULL, &w), -EINVAL);
	assert_int_equal(names_get(names, 1, "", 443, told, NULL, &w), -EINVAL);
	names_cancel(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(equal_questions_are_asked_once),
		TEST(one_that_hears_cancels_another),
		TEST(an_agents_names_do_not_stand_before_anothers),
		TEST(many_agents_leave_threads_for_the_config),
		TEST(a_look_up_that_nobody_waits_for_still_has_its_thread),
		TEST(the_queue_of_an_agent_is_bounded),
		TEST(failures_are_kept_for_some_seconds),
		TEST(a_name_of_the_config_goes_on_while_it_is_asked_again),
		TEST(an_agents_name_does_not),
		TEST(made_up_names_leave_those_of_the_config_alone),
		TEST(what_is_no_name),
	};

	return cmocka_run_group_tests_name("path/names", tests, NULL, NULL);
}
