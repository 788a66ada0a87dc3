// SPDX-License-Identifier: Apache-2.0
/*
 * Bounds of a stream's output: by hand for the formulas, and against made-up providers at random: whatever they do within the
 * assumptions (rate, notice), what they have made when they notice a cancel is never above what was held.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "spend/bound.h"

#define MS INT64_C(1000000)
#define S (1000 * MS)
#define T0 (5 * S)

static struct bound begun(int64_t rate, int64_t choices, int64_t full)
{
	struct bound b;

	bound_init(&b, rate, choices, full);
	bound_start(&b, T0);
	return b;
}

static void test_start(void **state)
{
	struct bound b;

	bound_init(&b, 500, 1, 64000);
	assert_int_equal(b.slice, 625);
	assert_int_equal(bound_tokens(&b, T0), 625); /* nothing has left */
	bound_init(&b, 500, 4, 64000);
	assert_int_equal(b.slice, 2500);
	bound_init(&b, 500, 1, 100);
	assert_int_equal(bound_tokens(&b, T0), 100);
	bound_init(&b, 1000000, INT64_MAX / 2, INT64_MAX);
	assert_int_equal(bound_tokens(&b, T0), INT64_MAX);
}

static void test_by_time(void **state)
{
	struct bound b = begun(500, 1, 64000);

	assert_int_equal(bound_made(&b, T0), 0);
	assert_int_equal(bound_made(&b, T0 + 1), 1);
	assert_int_equal(bound_made(&b, T0 + 2 * S), 1000);
	assert_int_equal(bound_tokens(&b, T0 + 2 * S), 1625);
	assert_int_equal(bound_tokens(&b, T0 + 1000 * S), 64000);
	assert_int_equal(bound_tokens(&b, INT64_MAX), 64000);
	/* A clock that goes back gives nothing away, and takes nothing. */
	assert_int_equal(bound_tokens(&b, T0 - S), 625);
}

static void test_by_sight(void **state)
{
	struct bound b = begun(500, 1, 64000);

	bound_saw(&b, 400, 10, false, true, T0 + 10 * S);
	assert_int_equal(bound_made(&b, T0 + 10 * S), 410);
	/* From there by time. */
	assert_int_equal(bound_made(&b, T0 + 11 * S), 910);
	/* Events without text are no sign that nothing is held back. */
	bound_saw(&b, 400, 20, false, true, T0 + 11 * S);
	assert_int_equal(bound_made(&b, T0 + 11 * S), 910);
	/* Neither is text while more waits to be read. */
	bound_saw(&b, 404, 21, false, false, T0 + 12 * S);
	assert_int_equal(bound_made(&b, T0 + 12 * S), 1410);
	bound_saw(&b, 404, 21, false, true, T0 + 12 * S);
	assert_int_equal(bound_made(&b, T0 + 12 * S), 425);
	/* Text never makes the bound larger than time does. */
	b = begun(500, 1, 64000);
	bound_saw(&b, 100000, 10, false, true, T0 + 1);
	assert_int_equal(b.base, 1);
	/* But text that came too fast for the rate counts at what it is estimated. */
	assert_int_equal(bound_made(&b, T0 + 1), 33334);
}

static void test_hidden(void **state)
{
	struct bound b = begun(500, 1, 64000);

	bound_saw(&b, 400, 10, true, true, T0 + 10 * S);
	assert_int_equal(bound_made(&b, T0 + 10 * S), 5000);
	/* Known only later: what was made unseen before is in again. */
	b = begun(500, 1, 64000);
	bound_saw(&b, 400, 10, false, true, T0 + 10 * S);
	bound_saw(&b, 404, 11, true, true, T0 + 11 * S);
	assert_int_equal(bound_made(&b, T0 + 11 * S), 5500);
	bound_saw(&b, 408, 12, false, true, T0 + 12 * S);
	assert_int_equal(bound_made(&b, T0 + 12 * S), 6000);
}

static void test_estimates(void **state)
{
	static const struct { int64_t rate, tokens, took_ms, expected; } cases[] = {
		{ 500, 0, 5000, 500 },     /* no text: the rate */
		{ 500, 10, 999, 500 },     /* too young */
		{ 500, 800, 10000, 80 },   /* its own pace */
		{ 500, 100, 10000, 64 },   /* never below the least */
		{ 500, 100000, 10000, 500 },
		{ 20, 100000, 10000, 64 },
		{ 0, 0, 0, 500 },
		{ 500, INT64_MAX, 1000, 500 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(bound_in_flight(cases[i].rate, cases[i].tokens, cases[i].took_ms * MS), cases[i].expected);
	assert_int_equal(bound_text_tokens(0), 0);
	assert_int_equal(bound_text_tokens(-1), 0);
	assert_int_equal(bound_text_tokens(1), 1);
	assert_int_equal(bound_text_tokens(3), 1);
	assert_int_equal(bound_text_tokens(4), 2);
}

/*
 * A provider at random: makes tokens of 1 to 12 bytes at up to `rate` a second, thinks now and then if it hides that, holds text back
 * for up to a second, notices a cancel after up to BOUND_NOTICE_MS. We look when text comes and at least every BOUND_TICK_MS; at a look
 * that finds more needed than is held we cancel. What it has made when it notices must have been held.
 */
static void one_provider(unsigned *seed)
{
	const int64_t rate = 20 + rand_r(seed) % 800, full = 100 + rand_r(seed) % 5000;
	const bool hides = rand_r(seed) % 3 == 0;
	const int64_t notice_ms = rand_r(seed) % (BOUND_NOTICE_MS + 1), budget = 700 + rand_r(seed) % 6000;
	struct bound b;
	int64_t made_x1000 = 0, bytes = 0, events = 0, pending = 0, held, last_look = 0;

	bound_init(&b, rate, 1, full);
	held = bound_tokens(&b, 0);
	if (held > budget)
		return; /* refused at once */
	bound_start(&b, T0);
	if (hides)
		bound_saw(&b, 0, 0, true, false, T0);
	bool thinking = hides, full_pace = rand_r(seed) % 2;
	for (int64_t ms = 1; made_x1000 / 1000 < full; ms++) {
		int64_t before = made_x1000 / 1000;
		made_x1000 += full_pace ? rate : rand_r(seed) % (rate + 1);
		if (hides && rand_r(seed) % 700 == 0)
			thinking = !thinking;
		for (int64_t t = before; t < made_x1000 / 1000; t++)
			pending += thinking ? 0 : 1 + rand_r(seed) % 12;
		bool flush = pending && rand_r(seed) % 40 == 0;
		if (flush) {
			bytes += pending;
			events++;
			pending = 0;
			bound_saw(&b, bytes, events, hides, true, T0 + ms * MS);
		}
		if (!flush && ms - last_look < BOUND_TICK_MS)
			continue;
		last_look = ms;
		int64_t need = bound_tokens(&b, T0 + ms * MS);
		if (need <= held)
			continue;
		if (need <= budget) {
			held = need + b.slice <= budget ? need + b.slice : need;
			continue;
		}
		/* Cancelled. */
		made_x1000 += notice_ms * rate;
		break;
	}
	int64_t made = made_x1000 / 1000 < full ? made_x1000 / 1000 : full;
	assert_true(made <= held || held >= full);
}

static void test_no_provider_makes_more_than_is_held(void **state)
{
	unsigned seed = 20261124;

	print_message("seed %u\n", seed);
	for (int i = 0; i < 3000; i++)
		one_provider(&seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start),	  cmocka_unit_test(test_by_time),  cmocka_unit_test(test_by_sight),
		cmocka_unit_test(test_hidden),	  cmocka_unit_test(test_estimates),
		cmocka_unit_test(test_no_provider_makes_more_than_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
