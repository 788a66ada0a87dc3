// SPDX-License-Identifier: Apache-2.0
/*
 * Holds that grow, also when their window is over, their limit is cut or their account moves. The cases one by one; the same against a slow
 * model, at random, is test_model.c.
 */
#include <errno.h>

#include "budget_test.h"

static void a_hold_grows_as_far_as_it_fits(void **state)
{
	struct world *w = fresh();
	uint32_t org = world_account(w, "org", "", -1, 100), bot = world_account(w, "bot", "org", 80, -1), slot, other;
	struct refusal why;
	nanousd got = -7;

	budget_open(w->b);
	assert_int_equal(world_hold(w, bot, 10, T0, &slot, NULL), 0);
	assert_int_equal(world_hold(w, org, 30, T0, &other, NULL), 0);
	assert_int_equal(extend(w, slot, 15, 20, &got), 0);
	assert_int_equal(got, 20);
	assert_int_equal(w->holds[slot].amount_nanousd, 20);
	assert_int_equal(w->accounts[org].windows[WINDOW_TOTAL].held_nanousd, 50);
	assert_int_equal(w->accounts[bot].windows[WINDOW_DAY].held_nanousd, 20);
	world_check(w);
	assert_int_equal(extend(w, slot, 5, 12, &got), 0); /* never lower */
	assert_int_equal(got, 20);
	assert_int_equal(extend(w, slot, 50, 500, &got), 0); /* org has 70 for it */
	assert_int_equal(got, 70);
	got = -7;
	assert_int_equal(budget_extend(w->b, slot, 71, 500, 0, &got, &why), -EDQUOT);
	assert_int_equal(got, -7);
	assert_string_equal(why.account, "org");
	assert_int_equal(why.reason, REFUSAL_BUDGET_HELD);
	assert_int_equal(why.held, 30); /* of others */
	assert_int_equal(why.needed, 71);
	assert_int_equal(w->holds[slot].amount_nanousd, 70);
	assert_int_equal(budget_extend(w->b, slot, 81, 81, 0, &got, &why), -EDQUOT);
	assert_string_equal(why.account, "bot"); /* used up before merely held */
	assert_int_equal(why.reason, REFUSAL_BUDGET);
	budget_release(w->b, other);
	budget_sent(w->b, slot);
	assert_int_equal(extend(w, slot, 80, 80, &got), 0);
	assert_int_equal(got, 80);
	world_check(w);
	assert_int_equal(budget_charge(w->b, slot, 33, false), 0);
	assert_int_equal(world_window(w, org, WINDOW_TOTAL, T0).spent, 33);
	assert_int_equal(world_window(w, org, WINDOW_TOTAL, T0).held, 0);
	world_check(w);
	world_done(w);
}

static void a_limit_that_was_cut_stops_growth_but_takes_nothing(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", -1, 100), slot;
	nanousd got;

	budget_open(w->b);
	assert_int_equal(world_hold(w, a, 60, T0, &slot, NULL), 0);
	(void)world_account(w, "a", "", -1, 50);
	assert_int_equal(extend(w, slot, 61, 90, &got), -EDQUOT);
	assert_int_equal(extend(w, slot, 60, 90, &got), 0);
	assert_int_equal(got, 60);
	world_check(w);
	(void)world_account(w, "a", "", -1, 75);
	assert_int_equal(extend(w, slot, 61, 90, &got), 0);
	assert_int_equal(got, 75);
	world_check(w);
	budget_close_holds(w->b, true); /* new calls wait for the ledger, a running one goes on */
	(void)world_account(w, "a", "", -1, 90);
	assert_int_equal(budget_pause(w->b, "a", true), 0);
	assert_int_equal(extend(w, slot, 76, 90, &got), 0);
	assert_int_equal(got, 90);
	(void)world_account(w, "a", "", -1, -1);
	assert_int_equal(extend(w, slot, INT64_MAX, INT64_MAX, &got), -EDQUOT);
	assert_int_equal(extend(w, slot, 1, INT64_MAX, &got), 0);
	assert_int_equal(got, INT64_MAX / 2);
	world_check(w);
	world_done(w);
}

static void a_call_grows_in_the_window_it_began_in(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", 100, 1000), old, slot;
	int64_t midnight = T0 / DAY * DAY + DAY;
	struct refusal why;
	nanousd got;

	budget_open(w->b);
	assert_int_equal(spend(w, a, 50, T0), 0);
	assert_int_equal(world_hold(w, a, 20, T0, &old, NULL), 0);
	budget_sent(w->b, old);
	assert_int_equal(world_hold(w, a, 90, midnight, &slot, NULL), 0); /* today has its own 100 */
	world_check(w);
	assert_int_equal(extend(w, old, 30, 30, &got), 0); /* yesterday had 30 left */
	assert_int_equal(world_window(w, a, WINDOW_DAY, midnight).held, 90);
	assert_int_equal(world_window(w, a, WINDOW_TOTAL, midnight).held, 120);
	world_check(w);
	assert_int_equal(budget_extend(w->b, old, 51, 51, 0, &got, &why), -EDQUOT);
	assert_int_equal(why.window, WINDOW_DAY);
	assert_int_equal(why.spent, 50);
	assert_int_equal(why.reset_s, midnight);
	assert_int_equal(extend(w, old, 31, 400, &got), 0);
	assert_int_equal(got, 50);
	(void)budget_charge(w->b, old, 45, false);
	budget_settled(w->b, old);
	assert_int_equal(world_window(w, a, WINDOW_DAY, midnight).spent, 0);
	assert_int_equal(world_window(w, a, WINDOW_TOTAL, midnight).spent, 95);
	world_check(w);
	assert_int_equal(extend(w, slot, 100, 400, &got), 0);
	assert_int_equal(got, 100);
	world_check(w);
	world_done(w);
}

static void several_days_in_flight_at_once(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", 100, -1), slots[5][2];
	nanousd got;

	budget_open(w->b);
	for (int d = 0; d < 5; d++) {
		if (d > 0)
			assert_int_equal(spend(w, a, 10 * d, T0 + d * DAY), 0);
		for (int i = 0; i < 2; i++)
			assert_int_equal(world_hold(w, a, 10, T0 + d * DAY, &slots[d][i], NULL), 0);
		world_check(w);
	}
	for (int d = 4; d >= 0; d--) { /* each day has 100 - spent - the other one's 10 */
		assert_int_equal(extend(w, slots[d][0], 1, 1000, &got), 0);
		assert_int_equal(got, 90 - 10 * d);
		assert_int_equal(extend(w, slots[d][1], 11, 11, &got), -EDQUOT);
		(void)budget_charge(w->b, slots[d][0], 50 - 10 * d, false); /* 40 less than held */
		assert_int_equal(extend(w, slots[d][1], 50, 1000, &got), 0);
		assert_int_equal(got, 50);
		world_check(w);
	}
	for (int d = 0; d < 5; d++) {
		budget_release(w->b, slots[d][1]);
		budget_settled(w->b, slots[d][0]);
		world_check(w);
	}
	world_done(w);
}

static void a_cut_reaches_windows_that_are_over(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", 100, -1), old;
	nanousd got;

	budget_open(w->b);
	assert_int_equal(world_hold(w, a, 20, T0, &old, NULL), 0);
	(void)budget_roll(w->b, T0 + DAY);
	struct account_spec s = spec_of("a", "", 10, -1);

	(void)put(w, &s, T0 + DAY);
	world_check(w);
	assert_int_equal(extend(w, old, 21, 21, &got), -EDQUOT);
	s.limits[WINDOW_DAY] = 25;
	(void)put(w, &s, T0 + DAY);
	assert_int_equal(extend(w, old, 21, 99, &got), 0);
	assert_int_equal(got, 25);
	world_check(w);
	world_done(w);
}

static void moving_takes_calls_of_yesterday_along(void **state)
{
	struct world *w = fresh();
	uint32_t one = world_account(w, "one", "", 100, -1), two = world_account(w, "two", "", 100, -1), bot, old, other, slot;
	nanousd got;

	bot = world_account(w, "bot", "one", -1, -1);
	budget_open(w->b);
	assert_int_equal(spend(w, bot, 30, T0), 0);
	assert_int_equal(world_hold(w, bot, 20, T0, &old, NULL), 0);
	assert_int_equal(world_hold(w, two, 10, T0, &other, NULL), 0); /* so that "two" remembers the day too */
	assert_int_equal(world_hold(w, bot, 5, T0 + DAY, &slot, NULL), 0);
	struct account_spec s = spec_of("bot", "two", -1, -1);

	(void)put(w, &s, T0 + DAY);
	world_check(w);
	assert_int_equal(world_window(w, one, WINDOW_DAY, T0 + DAY).held, 0);
	assert_int_equal(world_window(w, two, WINDOW_DAY, T0 + DAY).held, 5);
	assert_int_equal(extend(w, old, 61, 61, &got), -EDQUOT); /* two's yesterday: 10 held, 30 came along */
	assert_int_equal(extend(w, old, 21, 60, &got), 0);
	assert_int_equal(got, 60);
	world_check(w);
	/* back to where yesterday is forgotten: it settles, but gets nothing more */
	s = spec_of("bot", "one", -1, -1);
	(void)put(w, &s, T0 + DAY);
	world_check(w);
	assert_int_equal(extend(w, old, 61, 99, &got), -EDQUOT);
	assert_int_equal(extend(w, slot, 99, 99, &got), 0);
	(void)budget_charge(w->b, old, 60, false);
	budget_release(w->b, slot);
	(void)budget_charge(w->b, other, 10, false);
	world_check(w);
	assert_int_equal(world_window(w, one, WINDOW_TOTAL, T0 + DAY).spent, 90);
	world_done(w);
}

static void a_mover_brings_what_it_may_have_spent_then(void **state)
{
	struct world *w = fresh();
	uint32_t two = world_account(w, "two", "", 100, -1), bot, old;
	nanousd got;

	bot = world_account(w, "bot", "", -1, -1);
	budget_open(w->b);
	assert_int_equal(spend(w, bot, 30, T0), 0);
	assert_int_equal(world_hold(w, two, 10, T0, &old, NULL), 0);
	(void)budget_roll(w->b, T0 + DAY); /* bot has no call of yesterday in flight: nothing of that day is known of it alone */
	struct account_spec s = spec_of("bot", "two", -1, -1);

	(void)put(w, &s, T0 + DAY);
	assert_int_equal(extend(w, old, 71, 71, &got), -EDQUOT);
	assert_int_equal(extend(w, old, 11, 99, &got), 0);
	assert_int_equal(got, 70);
	assert_int_equal(world_window(w, two, WINDOW_DAY, T0 + DAY).spent, 0);
	assert_int_equal(budget_in_doubt(w->b, NULL, 0), 0); /* same calendar: exact */
	world_check(w);
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hold_grows_as_far_as_it_fits),
		cmocka_unit_test(a_limit_that_was_cut_stops_growth_but_takes_nothing),
		cmocka_unit_test(a_call_grows_in_the_window_it_began_in),
		cmocka_unit_test(several_days_in_flight_at_once),
		cmocka_unit_test(a_cut_reaches_windows_that_are_over),
		cmocka_unit_test(moving_takes_calls_of_yesterday_along),
		cmocka_unit_test(a_mover_brings_what_it_may_have_spent_then),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
