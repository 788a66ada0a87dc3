// SPDX-License-Identifier: Apache-2.0
/* rules/test_state.c: sliding sums and sightings against slow ones that keep everything, and their edges to the second. */
#include "spend_test.h"

#include "spend/rules/state.h"

static uint64_t seed;

static uint64_t below(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

/* ---- sums */

struct edge {
	int64_t window_s, added_s, asked_s, want;
};

static const struct edge edges[] = {
	{ 60, T0, T0, 1 },
	{ 60, T0, T0 + 59, 1 },
	{ 60, T0, T0 + 60, 1 }, /* it may have been at the very end of its second */
	{ 60, T0, T0 + 61, 0 },
	{ 60, 0, 60, 1 },
	{ 60, 0, 61, 0 },
	{ 1, T0, T0 + 1, 1 },
	{ 1, T0, T0 + 2, 0 },
	/* steps of 10 s: the step of T0 ends at T0 + 10, and 600 s later it has passed */
	{ 600, T0, T0 + 609, 1 },
	{ 600, T0, T0 + 610, 0 },
	{ 600, T0 + 9, T0 + 609, 1 },
	{ 600, T0 + 9, T0 + 610, 0 },
	/* 61 s: 31 steps of 2 s */
	{ 61, T0, T0 + 63, 1 },
	{ 61, T0, T0 + 64, 0 },
	{ 604800, T0, T0 + 604800, 1 },
	{ 604800, T0, T0 + 604800 + 10080, 0 },
	/* far away */
	{ 60, 5, INT64_MAX / 1000000000, 0 },
};

static void edges_of_a_window(void **state)
{
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		const struct edge *c = &edges[i];
		struct lately l;

		lately_init(&l, c->window_s);
		lately_add(&l, c->added_s, 1);
		if (lately_sum(&l, c->asked_s) != c->want)
			fail_msg("window %lld, added %lld, asked %+lld: not %lld", (long long)c->window_s, (long long)c->added_s,
				 (long long)(c->asked_s - c->added_s), (long long)c->want);
		/* An earlier moment is taken for the latest seen. */
		assert_int_equal(lately_sum(&l, c->added_s), c->want);
	}
}

static void a_wait_is_as_long_as_it_must_be(void **state)
{
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		const struct edge *c = &edges[i];
		struct lately l;

		if (!c->want)
			continue;
		lately_init(&l, c->window_s);
		lately_add(&l, c->added_s, 1);
		int64_t wait_s = lately_wait_s(&l, c->asked_s, 1);

		assert_true(wait_s > 0);
		assert_int_equal(lately_sum(&l, c->asked_s + wait_s - 1), 1);
		assert_int_equal(lately_sum(&l, c->asked_s + wait_s), 0);
	}
}

#define EVENTS 20000

static void sums_agree_with_keeping_everything(void **state)
{
	static const int64_t windows[] = { 1, 7, 59, 60, 61, 90, 119, 120, 600, 3600, 86400, 604800 };
	int64_t (*events)[2] = calloc(EVENTS, sizeof(*events));

	seed = 0x5eed;
	print_message("seed %#llx\n", (unsigned long long)seed);
	for (size_t w = 0; w < sizeof(windows) / sizeof(windows[0]); w++) {
		struct lately l;
		int64_t now_s = T0, from = 0;

		lately_init(&l, windows[w]);
		assert_true(l.nsteps * l.step_s >= windows[w] && l.nsteps * l.step_s < windows[w] + l.step_s && l.nsteps <= LATELY_STEPS);
		for (int i = 0; i < EVENTS; i++) {
			now_s += (int64_t)below(below(20) ? 2 : (uint64_t)windows[w] * 2);
			events[i][0] = now_s;
			events[i][1] = (int64_t)below(1000);
			lately_add(&l, now_s, events[i][1]);
			int64_t want = 0;

			for (int64_t k = from; k <= i; k++) {
				int64_t step_end_s = (events[k][0] / l.step_s + 1) * l.step_s;

				if (now_s >= step_end_s + l.nsteps * l.step_s)
					from = k + 1;
				else
					want += events[k][1];
			}
			assert_int_equal(lately_sum(&l, now_s), want);
			/* Never less than what really was in the last window. */
			int64_t least = 0;

			for (int64_t k = i; k >= 0 && events[k][0] > now_s - windows[w]; k--)
				least += events[k][1];
			assert_true(want >= least);
			int64_t gone = want ? (int64_t)below((uint64_t)want) + 1 : 0;

			if (gone) {
				struct lately later = l;
				int64_t wait_s = lately_wait_s(&l, now_s, gone);

				assert_true(lately_sum(&later, now_s + wait_s) <= want - gone);
				later = l;
				assert_true(lately_sum(&later, now_s + wait_s - 1) > want - gone);
			}
			assert_int_equal(lately_wait_s(&l, now_s, want + 1), 0);
		}
	}
	free(events);
}

static void a_sum_that_is_full_stays_so(void **state)
{
	struct lately l;

	lately_init(&l, 60);
	lately_add(&l, T0, INT64_MAX);
	lately_add(&l, T0, INT64_MAX);
	lately_add(&l, T0 + 1, INT64_MAX);
	assert_int_equal(lately_sum(&l, T0 + 1), INT64_MAX / 2);
	assert_int_equal(lately_sum(&l, T0 + 61), 0);
	lately_add(&l, T0 + 61, 5);
	assert_int_equal(lately_sum(&l, T0 + 61), 5);
}

/* ---- sightings */

static void seen_again(void **state)
{
	struct sightings s = { 0 };
	int64_t oldest_s = -1;

	assert_int_equal(sightings_count(&s, 7, T0, 60, 10, &oldest_s), 0);
	assert_int_equal(oldest_s, -1);
	sightings_add(&s, 7, T0, 60);
	sightings_add(&s, 8, T0 + 1, 60);
	sightings_add(&s, 7, T0 + 2, 60);
	assert_int_equal(sightings_count(&s, 7, T0 + 60, 60, 10, &oldest_s), 2);
	assert_int_equal(oldest_s, T0);
	assert_int_equal(sightings_count(&s, 7, T0 + 61, 60, 10, &oldest_s), 1);
	assert_int_equal(oldest_s, T0 + 2);
	assert_int_equal(sightings_count(&s, 7, T0 + 62, 60, 10, &oldest_s), 1);
	assert_int_equal(sightings_count(&s, 7, T0 + 63, 60, 10, &oldest_s), 0);
	assert_int_equal(sightings_count(&s, 7, T0 + 2, 60, 1, &oldest_s), 1);
	assert_int_equal(oldest_s, T0 + 2);
	assert_int_equal(sightings_count(&s, 9, T0 + 2, 60, 10, &oldest_s), 0);
	sightings_done(&s);
	sightings_done(&s);
}

static void sightings_agree_with_keeping_everything(void **state)
{
	static const uint64_t kinds[] = { 1, 2, 5, 50, 1000 };
	uint64_t (*all)[2] = calloc(EVENTS, sizeof(*all));

	seed = 0xace;
	print_message("seed %#llx\n", (unsigned long long)seed);
	for (size_t c = 0; c < sizeof(kinds) / sizeof(kinds[0]); c++) {
		struct sightings s = { 0 };
		int64_t now_s = T0, within_s = 30;

		for (int i = 0; i < EVENTS; i++) {
			uint64_t fp = below(kinds[c]) << below(3) * 20;
			int64_t most = (int64_t)below(40) + 1, oldest_s = 0, want = 0, want_oldest_s = 0;

			now_s += below(8) ? 0 : (int64_t)below(below(50) ? 4 : 100);
			for (int k = i - 1; k >= 0 && want < most && (int64_t)all[k][1] >= now_s - within_s; k--)
				if (all[k][0] == fp && i - k < SIGHTINGS_MAX) {
					want++;
					want_oldest_s = (int64_t)all[k][1];
				}
			int64_t got = sightings_count(&s, fp, now_s, within_s, most, &oldest_s);

			assert_int_equal(got, want);
			if (want)
				assert_int_equal(oldest_s, want_oldest_s);
			sightings_add(&s, fp, now_s, within_s);
			all[i][0] = fp;
			all[i][1] = (uint64_t)now_s;
		}
		sightings_done(&s);
	}
	free(all);
}

static void memory_is_bounded_and_follows_need(void **state)
{
	struct sightings s = { 0 };
	int64_t oldest_s;

	assert_null(s.ring);
	/* Slow ones never need more than the least. */
	for (int i = 0; i < 5000; i++)
		sightings_add(&s, (uint64_t)i, T0 + i, 10);
	assert_int_equal(s.cap, SIGHTINGS_MIN);
	for (int i = 0; i < 100000; i++)
		sightings_add(&s, (uint64_t)i, T0 + 5000, 10);
	assert_int_equal(s.cap, SIGHTINGS_MAX);
	assert_int_equal(sightings_count(&s, 99999, T0 + 5000, 10, 10, &oldest_s), 1);
	assert_int_equal(sightings_count(&s, 99999 - SIGHTINGS_MAX, T0 + 5000, 10, 10, &oldest_s), 0);
	sightings_done(&s);
}

static void numbers_come_round(void **state)
{
	struct sightings s = { 0 };
	int64_t oldest_s;

	sightings_add(&s, 1, T0, 60);
	s.n = UINT32_MAX - 2; /* as after four billion of them */
	for (int i = 0; i < 300; i++) {
		sightings_add(&s, 77, T0, 60);
		int64_t seen = sightings_count(&s, 77, T0, 60, 1000, &oldest_s);

		assert_true(seen >= 1 && seen <= i + 1);
	}
	assert_true(sightings_count(&s, 77, T0, 60, 1000, &oldest_s) > 200);
	sightings_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edges_of_a_window),
		cmocka_unit_test(a_wait_is_as_long_as_it_must_be),
		cmocka_unit_test(sums_agree_with_keeping_everything),
		cmocka_unit_test(a_sum_that_is_full_stays_so),
		cmocka_unit_test(seen_again),
		cmocka_unit_test(sightings_agree_with_keeping_everything),
		cmocka_unit_test(memory_is_bounded_and_follows_need),
		cmocka_unit_test(numbers_come_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
