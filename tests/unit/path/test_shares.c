// SPDX-License-Identifier: Apache-2.0
/*
 * Shares of what all have: how much the first, the second and the last to come get; whose resting connection goes and when; and that after any
 * mixture of takes, rests and ends on several threads nothing is left over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "path/shares.h"

#define SECOND INT64_C(1000000000)

static struct shares *shares_of(uint64_t all, uint64_t agent)
{
	struct share_limit limits[SHARE_COUNT] = { [SHARE_CONNECTIONS] = { all, agent }, [SHARE_BODIES] = { 100 * all, 100 * agent } };
	struct shares *s = NULL;

	assert_int_equal(shares_new(limits, 2, &s), 0);
	return s;
}

static uint64_t fill(struct share *a)
{
	uint64_t n = 0;

	while (n < 100000 && share_take(a, SHARE_CONNECTIONS, 1))
		n++;
	return n;
}

/* Who comes one after the other and takes all they can. */
static void test_how_much_each_gets(void **state)
{
	static const struct {
		const char *name;
		uint64_t all, agent, gets[4];
	} cases[] = {
		{ "two thirds, and of the rest again", 900, 1000, { 600, 200, 66, 22 } },
		{ "its own bound is smaller", 900, 100, { 100, 100, 100, 100 } },
		{ "its own bound for the first ones", 900, 300, { 300, 300, 200, 66 } },
		{ "few", 8, 100, { 5, 2, 0, 0 } },
		{ "one is nobody's", 1, 100, { 0, 0, 0, 0 } },
		{ "none", 0, 100, { 0, 0, 0, 0 } },
		{ "no overflow", UINT64_C(1) << 40, 7, { 7, 7, 7, 7 } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct shares *s = shares_of(cases[i].all, cases[i].agent);
		struct share *a[4];

		print_message("%s\n", cases[i].name);
		for (uint64_t k = 0; k < 4; k++) {
			a[k] = share_get(s, k);
			assert_int_equal(fill(a[k]), cases[i].gets[k]);
		}
		for (int k = 0; k < 4; k++) {
			share_give(a[k], SHARE_CONNECTIONS, cases[i].gets[k]);
			share_unref(a[k]);
		}
		shares_free(s);
	}
}

static void test_all_or_nothing(void **state)
{
	struct shares *s = shares_of(90, 50); /* bodies: 9000, of one 5000 */
	struct share *a = share_get(s, 7), *again = share_get(s, 7);
	uint64_t has, most;

	assert_ptr_equal(a, again);
	assert_false(share_take(a, SHARE_BODIES, 5001));
	assert_false(share_take(a, SHARE_BODIES, UINT64_MAX));
	assert_true(share_take(a, SHARE_BODIES, 5000));
	assert_false(share_take(a, SHARE_BODIES, 1));
	assert_true(share_take(a, SHARE_BODIES, 0));
	share_view(a, SHARE_BODIES, &has, &most);
	assert_int_equal(has, 5000);
	assert_int_equal(most, 5000);
	share_view(a, SHARE_CONNECTIONS, &has, &most);
	assert_int_equal(has, 0);
	assert_int_equal(most, 50);
	share_give(a, SHARE_BODIES, 5000);
	share_unref(a);
	assert_true(share_take(again, SHARE_BODIES, 5000));
	share_give(again, SHARE_BODIES, 5000);
	share_unref(again);
	shares_free(s);
}

static void test_who_rests_longest_goes(void **state)
{
	struct shares *s = shares_of(1000, 4);
	struct share *a = share_get(s, 1), *b = share_get(s, 2);
	struct place p[6] = { 0 }, other = { 0 };
	unsigned wake;

	assert_true(place_open(&other, b, 0, &wake));
	place_rest(&other);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(place_open(&p[i], a, i % 2, &wake));
		assert_int_equal(wake, SHARES_NOBODY);
	}
	/* All are busy: no place, and not the other agent's. */
	assert_false(place_open(&p[4], a, 0, &wake));
	assert_int_equal(wake, SHARES_NOBODY);
	place_close(&p[4]); /* never opened */
	/* 3 and 1 rest, in this order; 2 rested and is busy again. */
	place_rest(&p[2]);
	place_rest(&p[3]);
	place_rest(&p[1]);
	place_rest(&p[3]);
	place_rouse(&p[2]);
	assert_true(place_open(&p[4], a, 0, &wake));
	assert_int_equal(wake, 1);
	assert_null(shares_chosen(s, 0));
	assert_ptr_equal(shares_chosen(s, 1), &p[3]);
	assert_null(shares_chosen(s, 1));
	place_close(&p[3]);
	assert_true(share_take_place(a, &wake)); /* a call's: the place of 1 */
	assert_int_equal(wake, 1);
	assert_false(share_take_place(a, &wake));
	/* 1 was used again before it could be closed: one more than should be, until something ends. */
	uint64_t has, most;

	place_rouse(&p[1]);
	assert_null(shares_chosen(s, 1));
	share_view(a, SHARE_CONNECTIONS, &has, &most);
	assert_int_equal(has, 5);
	share_give(a, SHARE_CONNECTIONS, 1);
	assert_false(place_open(&p[5], a, 0, &wake));
	place_close(&p[0]);
	assert_true(place_open(&p[5], a, 0, &wake));
	for (int i = 0; i < 6; i++)
		place_close(&p[i]);
	place_close(&other);
	share_view(a, SHARE_CONNECTIONS, &has, &most);
	assert_int_equal(has, 0);
	share_unref(a);
	share_unref(b);
	shares_free(s);
}

static void test_a_chosen_one_that_ends_by_itself(void **state)
{
	struct shares *s = shares_of(1000, 2);
	struct share *a = share_get(s, 1);
	struct place p[4] = { 0 };
	unsigned wake;
	uint64_t has, most;

	for (int i = 0; i < 2; i++) {
		assert_true(place_open(&p[i], a, 0, &wake));
		place_rest(&p[i]);
	}
	assert_true(place_open(&p[2], a, 1, &wake));
	assert_true(place_open(&p[3], a, 1, &wake));
	place_close(&p[0]); /* before its worker looked */
	assert_ptr_equal(shares_chosen(s, 0), &p[1]);
	place_close(&p[1]);
	share_view(a, SHARE_CONNECTIONS, &has, &most);
	assert_int_equal(has, 2);
	place_close(&p[2]);
	place_close(&p[3]);
	share_unref(a);
	shares_free(s);
}

static void test_told_once_a_minute(void **state)
{
	struct shares *s = shares_of(10, 10);
	struct share *a = share_get(s, 1), *b = share_get(s, 2);

	assert_int_equal(share_refused(a, 5 * SECOND), 1);
	assert_int_equal(share_refused(a, 6 * SECOND), 0);
	assert_int_equal(share_refused(b, 6 * SECOND), 1);
	/* Also of one that left and came back. */
	share_unref(a);
	a = share_get(s, 1);
	assert_int_equal(share_refused(a, 64 * SECOND), 0);
	assert_int_equal(share_refused(a, 65 * SECOND), 3);
	assert_int_equal(share_refused(a, 66 * SECOND), 0);
	share_unref(a);
	share_unref(b);
	shares_free(s);
}

/* ---- threads: each is a worker, opens and closes its own places and closes those that were chosen */

#define MINE 24
#define TURNS 20000

struct racer {
	struct shares *shares;
	unsigned worker;
	uint64_t opened;
};

static void close_chosen(struct racer *r)
{
	struct place *p;

	while ((p = shares_chosen(r->shares, r->worker)))
		place_close(p);
}

static void *race(void *arg)
{
	struct racer *r = arg;
	struct share *a[3];
	struct place p[MINE] = { 0 };
	unsigned seed = 11 + r->worker, wake;

	for (uint64_t i = 0; i < 3; i++)
		a[i] = share_get(r->shares, i);
	for (int turn = 0; turn < TURNS; turn++) {
		int i = rand_r(&seed) % MINE;

		close_chosen(r);
		if (!p[i].agent)
			r->opened += place_open(&p[i], a[i % 3], r->worker, &wake);
		else if (rand_r(&seed) % 4 == 0)
			place_close(&p[i]);
		else if (rand_r(&seed) % 2)
			place_rest(&p[i]);
		else
			place_rouse(&p[i]);
	}
	for (int i = 0; i < MINE; i++)
		place_close(&p[i]);
	for (int i = 0; i < 3; i++)
		share_unref(a[i]);
	return NULL;
}

static void test_threads(void **state)
{
	struct shares *s = shares_of(40, 8);
	struct racer racers[2] = { { s, 0, 0 }, { s, 1, 0 } };
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_true(racers[0].opened > 100 && racers[1].opened > 100);
	struct share *a = share_get(s, 9);

	assert_int_equal(fill(a), 8); /* and all is free again: */
	uint64_t has, most;

	share_view(a, SHARE_CONNECTIONS, &has, &most);
	share_give(a, SHARE_CONNECTIONS, 8);
	share_unref(a);
	for (uint64_t i = 0; i < 3; i++) {
		a = share_get(s, i);
		share_view(a, SHARE_CONNECTIONS, &has, &most);
		assert_int_equal(has, 0);
		assert_int_equal(most, 8);
		share_unref(a);
	}
	shares_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_how_much_each_gets),
		cmocka_unit_test(test_all_or_nothing),
		cmocka_unit_test(test_who_rests_longest_goes),
		cmocka_unit_test(test_a_chosen_one_that_ends_by_itself),
		cmocka_unit_test(test_told_once_a_minute),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
