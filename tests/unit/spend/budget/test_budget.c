// SPDX-License-Identifier: Apache-2.0
/*
 * Accounts, holds and charges one after another: every edge that a single caller can reach. Threads are in test_race.c, a new daemon over
 * old arrays in test_start.c.
 */
#include <errno.h>

#include "spend/budget/window.h"
#include "budget_test.h"

/* ---- the life of a hold */

static void a_hold_fits_all_the_way_up_or_not_at_all(void **state)
{
	struct world *w = fresh();
	uint32_t org = world_account(w, "org", "", -1, 100), team = world_account(w, "team", "org", 60, -1),
		 bot = world_account(w, "bot", "team", -1, 50), slot, other;
	struct refusal why;

	budget_open(w->b);
	assert_int_equal(world_hold(w, bot, 50, T0, &slot, NULL), 0);
	world_check(w);
	/* 20 fit into org and into bot's parent's 60? no: 50 are held there */
	assert_int_equal(world_hold(w, team, 20, T0, &other, &why), -EDQUOT);
	assert_int_equal(why.reason, REFUSAL_BUDGET_HELD);
	assert_string_equal(why.account, "team");
	assert_int_equal(why.window, WINDOW_DAY);
	assert_int_equal(why.limit, 60);
	assert_int_equal(why.held, 50);
	assert_int_equal(why.spent, 0);
	assert_int_equal(why.needed, 20);
	assert_int_equal(why.reset_s, T0 / DAY * DAY + DAY);
	assert_int_equal(world_window(w, org, WINDOW_TOTAL, T0).held, 50); /* nothing of the refused one stayed */
	assert_int_equal(world_hold(w, team, 10, T0, &other, NULL), 0);
	budget_sent(w->b, slot);
	assert_int_equal(budget_charge(w->b, slot, 30, false), 0);
	world_check(w);
	assert_int_equal(world_window(w, bot, WINDOW_TOTAL, T0).spent, 30);
	assert_int_equal(world_window(w, org, WINDOW_TOTAL, T0).spent, 30);
	assert_int_equal(world_window(w, org, WINDOW_HOUR, T0).spent, 30); /* also where there is no limit */
	assert_int_equal(world_window(w, org, WINDOW_TOTAL, T0).held, 10);
	budget_release(w->b, other);
	assert_int_equal(world_window(w, team, WINDOW_DAY, T0).held, 0);
	assert_int_equal(budget_in_flight(w->b), 1);
	budget_settled(w->b, slot);
	assert_int_equal(budget_in_flight(w->b), 0);
	world_check(w);
	world_done(w);
}

static void exactly_the_limit_fits_and_one_more_does_not(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", -1, 100), slot, more;
	struct refusal why;

	budget_open(w->b);
	assert_int_equal(world_hold(w, a, 101, T0, &more, &why), -EDQUOT);
	assert_int_equal(why.reason, REFUSAL_BUDGET);
	assert_int_equal(world_hold(w, a, 100, T0, &slot, NULL), 0);
	assert_int_equal(world_hold(w, a, 1, T0, &more, &why), -EDQUOT);
	assert_int_equal(why.reason, REFUSAL_BUDGET_HELD);
	(void)budget_charge(w->b, slot, 100, false);
	assert_int_equal(world_hold(w, a, 1, T0, &more, &why), -EDQUOT);
	assert_int_equal(why.reason, REFUSAL_BUDGET);
	assert_int_equal(why.window, WINDOW_TOTAL);
	assert_int_equal(why.reset_s, 0);
	assert_int_equal(w->accounts[a].windows[WINDOW_TOTAL].left_nanousd, 0);
	world_done(w);
}

static void the_reason_names_the_deepest_and_used_up_before_held(void **state)
{
	struct world *w = fresh();
	uint32_t org = world_account(w, "org", "", -1, 100), bot = world_account(w, "bot", "org", 50, 50), slot;
	struct refusal why;

	budget_open(w->b);
	assert_int_equal(world_hold(w, bot, 200, T0, &slot, &why), -EDQUOT);
	assert_string_equal(why.account, "bot");
	assert_int_equal(why.window, WINDOW_TOTAL); /* waiting for the day's end would not help */
	/* bot only has money held, but org is used up: org is what to tell */
	assert_int_equal(world_hold(w, org, 90, T0, &slot, NULL), 0);
	(void)budget_charge(w->b, slot, 90, false);
	budget_settled(w->b, slot);
	assert_int_equal(world_hold(w, bot, 10, T0, &slot, NULL), 0);
	uint32_t other;

	assert_int_equal(world_hold(w, bot, 45, T0, &other, &why), -EDQUOT);
	assert_string_equal(why.account, "org");
	assert_int_equal(why.reason, REFUSAL_BUDGET);
	assert_int_equal(world_hold(w, bot, 5, T0, &other, &why), -EDQUOT);
	assert_string_equal(why.account, "org");
	assert_int_equal(why.reason, REFUSAL_BUDGET_HELD);
	world_done(w);
}

static void a_charge_counts_once_and_overruns_are_told(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", -1, 100), slot;

	budget_open(w->b);
	assert_int_equal(world_hold(w, a, 60, T0, &slot, NULL), 0);
	budget_sent(w->b, slot);
	assert_int_equal(budget_charge(w->b, slot, 150, false), 90);
	assert_int_equal(budget_charge(w->b, slot, 10, true), 90); /* the first stands */
	assert_int_equal(w->holds[slot].cost_nanousd, 150);
	assert_int_equal(w->holds[slot].estimated, 0);
	assert_int_equal(world_window(w, a, WINDOW_TOTAL, T0).spent, 150);
	assert_int_equal(w->accounts[a].windows[WINDOW_TOTAL].left_nanousd, -50);
	world_check(w); /* above the limit, but by the provider's doing */
	budget_settled(w->b, slot);
	assert_int_equal(w->accounts[a].calls, 1);
	world_check(w);
	world_done(w);
}

static void a_call_that_cost_nothing_is_charged_as_nothing(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", -1, 100), slot;

	budget_open(w->b);
	assert_int_equal(world_hold(w, a, 60, T0, &slot, NULL), 0);
	budget_sent(w->b, slot);
	assert_int_equal(budget_charge(w->b, slot, 0, false), 0);
	budget_settled(w->b, slot);
	assert_int_equal(world_window(w, a, WINDOW_TOTAL, T0).spent, 0);
	assert_int_equal(world_window(w, a, WINDOW_TOTAL, T0).held, 0);
	world_check(w);
	world_done(w);
}

static void slots_run_out_and_come_back(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", -1, 100000), slots[HOLDS], more;
	struct refusal why;

	budget_open(w->b);
	for (int i = 0; i < HOLDS; i++)
		assert_int_equal(world_hold(w, a, 1, T0, &slots[i], NULL), 0);
	assert_int_equal(world_hold(w, a, 1, T0, &more, &why), -ENOSPC);
	assert_int_equal(why.reason, REFUSAL_OVERLOADED);
	world_check(w);
	budget_release(w->b, slots[77]);
	assert_int_equal(world_hold(w, a, 1, T0, &more, NULL), 0);
	assert_int_equal(more, slots[77]);
	world_done(w);
}

static void call_ids_only_grow(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", -1, 100000), slot;
	uint64_t last = 0;

	budget_seed(w->b, UINT64_C(1787135400000000500), 0);
	budget_open(w->b);
	for (int i = 0; i < 50; i++) {
		struct hold_request r = { .account = a, .amount = 1, .now_ns = (T0 - i * 1000) * S };
		struct refusal why;
		uint64_t id;

		assert_int_equal(budget_hold(w->b, &r, &slot, &id, &why), 0);
		assert_true(id > last && id > UINT64_C(1787135400000000500));
		assert_int_equal(w->holds[slot].call_id, id);
		last = id;
	}
	world_done(w);
}

static void holds_can_be_closed(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", -1, 100), slot;
	struct refusal why;

	assert_int_equal(world_hold(w, a, 1, T0, &slot, &why), -EOWNERDEAD); /* not open yet */
	assert_int_equal(why.reason, REFUSAL_LEDGER);
	budget_open(w->b);
	budget_close_holds(w->b, true);
	assert_int_equal(world_hold(w, a, 1, T0, &slot, &why), -EOWNERDEAD);
	budget_close_holds(w->b, false);
	assert_int_equal(world_hold(w, a, 1, T0, &slot, &why), 0);
	world_done(w);
}

static void paused_is_paused_all_the_way_down(void **state)
{
	struct world *w = fresh();
	uint32_t org = world_account(w, "org", "", -1, 100), bot = world_account(w, "bot", "org", -1, 50), slot;
	struct refusal why;

	budget_open(w->b);
	assert_int_equal(budget_pause(w->b, "org", true), 0);
	assert_true(w->accounts[org].flags & GATE_ACCOUNT_PAUSED);
	assert_int_equal(world_hold(w, bot, 1, T0, &slot, &why), -EDQUOT);
	assert_int_equal(why.reason, REFUSAL_PAUSED);
	assert_string_equal(why.account, "org");
	assert_int_equal(budget_pause(w->b, "org", false), 0);
	assert_int_equal(world_hold(w, bot, 1, T0, &slot, &why), 0);
	assert_int_equal(budget_pause(w->b, "nobody", true), -ENOENT);
	assert_int_equal(world_hold(w, 0, 1, T0, &slot, &why), -EDQUOT);
	assert_int_equal(world_hold(w, ACCOUNTS + 5, 1, T0, &slot, &why), -EDQUOT);
	assert_int_equal(world_hold(w, 40, 1, T0, &slot, &why), -EDQUOT);
	budget_count_refusal(w->b, bot);
	budget_count_refusal(w->b, 40);
	assert_int_equal(w->accounts[bot].refusals, 1);
	world_done(w);
}

/* ---- accounts */

static void bad_accounts_are_refused(void **state)
{
	struct world *w = fresh();
	char name[16], above[16] = "";
	struct err e;

	(void)world_account(w, "a", "", -1, 1);
	(void)world_account(w, "b", "a", -1, 1);
	static const struct {
		const char *name, *parent;
		int want;
	} cases[] = {
		{ "", "", -EINVAL }, { "a b", "", -EINVAL }, { "a/b", "", -EINVAL }, { "\xc3\xa4", "", -EINVAL }, { "a\n", "", -EINVAL },
		{ "c", "nobody", -ENOENT }, { "a", "b", -ELOOP }, { "a", "a", -ELOOP }, { "c", "c", -ENOENT }, { "c", "b c", -ENOENT },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct account_spec s = spec_of(cases[i].name, cases[i].parent, -1, -1);

		e.text[0] = '\0';
		assert_int_equal(budget_set_account(w->b, &s, T0, NULL, &e), cases[i].want);
		assert_true(e.text[0] != '\0');
	}
	struct account_spec s = spec_of("c", "", -1, -1);

	memset(s.name, 'x', sizeof(s.name)); /* no end */
	assert_int_equal(budget_set_account(w->b, &s, T0, NULL, &e), -EINVAL);
	s = spec_of("c", "", -1, -1);
	s.limits[WINDOW_WEEK] = -1;
	assert_int_equal(budget_set_account(w->b, &s, T0, NULL, &e), -EINVAL);
	s = spec_of("c", "", -1, -1);
	s.floor = -1;
	assert_int_equal(budget_set_account(w->b, &s, T0, NULL, &e), -EINVAL);
	assert_int_equal(budget_find(w->b, "c"), 0);
	for (int i = 0; i < GATE_TREE_DEPTH; i++) {
		(void)snprintf(name, sizeof(name), "d%d", i);
		(void)world_account(w, name, above, -1, 1);
		memcpy(above, name, sizeof(above));
	}
	s = spec_of("d8", above, -1, -1);
	assert_int_equal(budget_set_account(w->b, &s, T0, NULL, &e), -E2BIG);
	s = spec_of("a", "d6", -1, -1); /* a brings b with it */
	assert_int_equal(budget_set_account(w->b, &s, T0, NULL, &e), -E2BIG);
	s = spec_of("a", "d5", -1, -1);
	assert_int_equal(budget_set_account(w->b, &s, T0, NULL, &e), 0);
	world_done(w);
}

static void the_table_has_an_end(void **state)
{
	struct world *w = fresh();
	char name[16];
	struct err e;

	for (int i = 1; i < ACCOUNTS; i++) {
		(void)snprintf(name, sizeof(name), "a%d", i);
		assert_int_not_equal(world_account(w, name, "", -1, 1), 0);
	}
	struct account_spec s = spec_of("more", "", -1, -1);

	assert_int_equal(budget_set_account(w->b, &s, T0, NULL, &e), -ENOSPC);
	assert_int_equal(budget_remove_account(w->b, "a7", &e), 0);
	assert_int_equal(budget_set_account(w->b, &s, T0, NULL, &e), 0);
	assert_int_equal(w->accounts[0].flags, 0); /* number 0 is nobody */
	world_done(w);
}

static void removing_needs_an_idle_leaf(void **state)
{
	struct world *w = fresh();
	uint32_t org = world_account(w, "org", "", -1, 100), bot = world_account(w, "bot", "org", -1, 50), slot;
	struct err e;

	budget_open(w->b);
	assert_int_equal(budget_remove_account(w->b, "nobody", &e), -ENOENT);
	assert_int_equal(budget_remove_account(w->b, "org", &e), -EBUSY);
	assert_int_equal(world_hold(w, bot, 20, T0, &slot, NULL), 0);
	assert_int_equal(budget_remove_account(w->b, "bot", &e), -EBUSY);
	(void)budget_charge(w->b, slot, 20, false);
	assert_int_equal(budget_remove_account(w->b, "bot", &e), -EBUSY); /* its row is not in the ledger yet */
	budget_settled(w->b, slot);
	assert_int_equal(budget_remove_account(w->b, "bot", &e), 0);
	assert_int_equal(w->accounts[bot].flags, 0);
	assert_int_equal(budget_find(w->b, "bot"), 0);
	/* what it spent stays spent above it */
	assert_int_equal(world_window(w, org, WINDOW_TOTAL, T0).spent, 20);
	assert_int_equal(budget_remove_account(w->b, "org", &e), 0);
	world_check(w);
	world_done(w);
}

static void limits_change_at_once_also_below_what_is_spent(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", -1, 100), slot, other;
	struct refusal why;

	budget_open(w->b);
	assert_int_equal(world_hold(w, a, 40, T0, &slot, NULL), 0);
	(void)budget_charge(w->b, slot, 40, false);
	budget_settled(w->b, slot);
	assert_int_equal(world_hold(w, a, 30, T0, &slot, NULL), 0);
	(void)world_account(w, "a", "", -1, 10);
	assert_int_equal(w->accounts[a].windows[WINDOW_TOTAL].left_nanousd, -30);
	assert_int_equal(w->accounts[a].windows[WINDOW_TOTAL].limit_nanousd, 10);
	world_check(w);
	assert_int_equal(world_hold(w, a, 1, T0, &other, &why), -EDQUOT);
	assert_int_equal(why.spent, 40);
	(void)budget_charge(w->b, slot, 30, false);
	world_check(w);
	budget_settled(w->b, slot);
	(void)world_account(w, "a", "", -1, 71);
	assert_int_equal(world_hold(w, a, 1, T0, &other, &why), 0);
	assert_int_equal(world_window(w, a, WINDOW_TOTAL, T0).spent, 70);
	(void)world_account(w, "a", "", -1, -1);
	assert_int_equal(w->accounts[a].windows[WINDOW_TOTAL].limit_nanousd, GATE_NO_LIMIT);
	assert_int_equal(w->accounts[a].windows[WINDOW_TOTAL].left_nanousd, GATE_NO_LIMIT - 70);
	assert_false(world_window(w, a, WINDOW_TOTAL, T0).limited);
	assert_int_equal(world_window(w, a, WINDOW_TOTAL, T0).spent, 70);
	world_check(w);
	world_done(w);
}

static void moving_takes_the_money_along(void **state)
{
	struct world *w = fresh();
	uint32_t org = world_account(w, "org", "", -1, 1000), one = world_account(w, "one", "org", -1, 500),
		 two = world_account(w, "two", "org", -1, 500), bot = world_account(w, "bot", "one", -1, 100), slot;

	budget_open(w->b);
	assert_int_equal(world_hold(w, bot, 40, T0, &slot, NULL), 0);
	(void)budget_charge(w->b, slot, 40, false);
	budget_settled(w->b, slot);
	assert_int_equal(world_hold(w, bot, 25, T0, &slot, NULL), 0);
	(void)world_account(w, "bot", "two", -1, 100);
	assert_int_equal(world_window(w, one, WINDOW_TOTAL, T0).spent, 0);
	assert_int_equal(world_window(w, one, WINDOW_TOTAL, T0).held, 0);
	assert_int_equal(world_window(w, two, WINDOW_TOTAL, T0).spent, 40);
	assert_int_equal(world_window(w, two, WINDOW_TOTAL, T0).held, 25);
	assert_int_equal(world_window(w, org, WINDOW_TOTAL, T0).spent, 40); /* above both: as before */
	assert_int_equal(world_window(w, org, WINDOW_TOTAL, T0).held, 25);
	world_check(w);
	(void)budget_charge(w->b, slot, 20, false);
	assert_int_equal(world_window(w, two, WINDOW_TOTAL, T0).spent, 60);
	assert_int_equal(world_window(w, one, WINDOW_TOTAL, T0).spent, 0);
	world_check(w);
	(void)world_account(w, "bot", "", -1, 100); /* to the top */
	assert_int_equal(world_window(w, org, WINDOW_TOTAL, T0).spent, 0);
	assert_int_equal(world_window(w, two, WINDOW_TOTAL, T0).spent, 0);
	world_check(w);
	budget_settled(w->b, slot);
	struct err e;

	assert_int_equal(budget_remove_account(w->b, "two", &e), 0);
	world_done(w);
}

/* ---- time */

static void a_window_begins_anew_at_its_end(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", 100, 250), slot;
	int64_t midnight = T0 / DAY * DAY + DAY;
	struct refusal why;

	budget_open(w->b);
	assert_int_equal(world_hold(w, a, 100, T0, &slot, NULL), 0);
	(void)budget_charge(w->b, slot, 100, false);
	budget_settled(w->b, slot);
	assert_int_equal(world_hold(w, a, 1, midnight - 1, &slot, &why), -EDQUOT);
	assert_int_equal(why.reset_s, midnight);
	assert_int_equal(world_hold(w, a, 100, midnight, &slot, NULL), 0);
	assert_int_equal(w->accounts[a].windows[WINDOW_DAY].start_s, midnight);
	assert_int_equal(world_window(w, a, WINDOW_TOTAL, midnight).spent, 100);
	world_check(w);
	world_done(w);
}

static void rolling_says_when_to_come_back(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", 100, -1);

	assert_int_equal(budget_roll(w->b, T0), T0 / 3600 * 3600 + 3600);
	budget_open(w->b);
	int64_t next = T0;

	for (int i = 0; i < 24 * 40; i++) {
		int64_t end = budget_roll(w->b, next);

		assert_true(end > next && end <= next + 3600 && end % 3600 == 0);
		next = end;
		world_check(w);
		for (int k = 0; k < WINDOW_COUNT; k++) {
			int64_t start, until;

			window_bounds((enum window_kind)k, NULL, next - 1, &start, &until);
			assert_int_equal(w->accounts[a].windows[k].start_s, start);
			assert_int_equal(w->accounts[a].windows[k].end_s, until);
		}
	}
	world_done(w);
	w = fresh();
	assert_int_equal(budget_roll(w->b, T0), INT64_MAX);
	world_done(w);
}

static void a_hold_belongs_to_the_window_it_began_in(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", 100, 1000), charged, released, slot;
	int64_t midnight = T0 / DAY * DAY + DAY;

	budget_open(w->b);
	assert_int_equal(world_hold(w, a, 60, T0, &charged, NULL), 0);
	assert_int_equal(world_hold(w, a, 40, midnight - 1, &released, NULL), 0);
	assert_int_equal(world_hold(w, a, 70, midnight, &slot, NULL), 0); /* a new day: the old holds are not in it */
	assert_int_equal(world_window(w, a, WINDOW_DAY, midnight).held, 70);
	assert_int_equal(world_window(w, a, WINDOW_TOTAL, midnight).held, 170);
	world_check(w);
	budget_sent(w->b, charged);
	(void)budget_charge(w->b, charged, 55, false);
	budget_release(w->b, released);
	assert_int_equal(world_window(w, a, WINDOW_DAY, midnight).held, 70);
	assert_int_equal(world_window(w, a, WINDOW_DAY, midnight).spent, 0); /* the new instance was not touched */
	assert_int_equal(world_window(w, a, WINDOW_TOTAL, midnight).held, 70);
	assert_int_equal(world_window(w, a, WINDOW_TOTAL, midnight).spent, 55);
	world_check(w);
	world_done(w);
}

static void a_clock_that_goes_back_grants_nothing_twice(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", 100, -1), slot;
	int64_t midnight = T0 / DAY * DAY + DAY;
	struct refusal why;

	budget_open(w->b);
	assert_int_equal(world_hold(w, a, 100, midnight + 5, &slot, NULL), 0);
	(void)budget_charge(w->b, slot, 100, false);
	budget_settled(w->b, slot);
	/* Back to yesterday, forth to today, a little, a lot: it stays today and used up. */
	static const int64_t jumps[] = { -10, -3600, -DAY, -40 * DAY, 0, 3600, -2 * DAY };
	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		assert_int_equal(world_hold(w, a, 1, midnight + jumps[i], &slot, &why), -EDQUOT);
		assert_int_equal(why.reset_s, midnight + DAY);
		(void)budget_roll(w->b, midnight + jumps[i]);
		assert_int_equal(w->accounts[a].windows[WINDOW_DAY].start_s, midnight);
	}
	assert_int_equal(world_hold(w, a, 10, midnight + DAY, &slot, NULL), 0);
	/* A hold taken while the clock is back is stamped with the latest moment seen. */
	uint32_t back;

	assert_int_equal(world_hold(w, a, 10, midnight, &back, NULL), 0);
	struct gate_hold h;

	budget_get_hold(w->b, back, &h);
	assert_int_equal(h.started_realtime_ns, (midnight + DAY) * S);
	assert_int_equal(world_window(w, a, WINDOW_DAY, 0).held, 20);
	world_check(w);
	world_done(w);
}

static void a_leap_day_and_a_year_end_roll_once(void **state)
{
	struct world *w = fresh();
	const int64_t feb28 = 1709164799 /* 2024-02-28 23:59:59 */, newyear = 1735689599 /* 2024-12-31 23:59:59 */;
	struct account_spec s = spec_of("a", "", 10, -1);
	uint32_t a, slot;
	struct err e;

	s.limits[WINDOW_MONTH] = 15;
	assert_int_equal(budget_set_account(w->b, &s, feb28, &a, &e), 0);
	budget_open(w->b);
	assert_int_equal(world_hold(w, a, 10, feb28, &slot, NULL), 0);
	(void)budget_charge(w->b, slot, 10, false);
	assert_int_equal(world_hold(w, a, 6, feb28 + 1, &slot, NULL), -EDQUOT); /* the 29th: same month */
	assert_int_equal(world_hold(w, a, 5, feb28 + 1, &slot, NULL), 0);
	assert_int_equal(world_hold(w, a, 10, feb28 + 1 + DAY, &slot, NULL), 0); /* March */
	assert_int_equal(world_hold(w, a, 10, newyear, &slot, NULL), 0);
	assert_int_equal(world_hold(w, a, 1, newyear, &slot, NULL), -EDQUOT);
	assert_int_equal(world_hold(w, a, 10, newyear + 1, &slot, NULL), 0);
	world_check(w);
	world_done(w);
}

/* ---- edges and views */

static void amounts_at_the_edge_of_64_bits(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", -1, -1), slot, other;

	budget_open(w->b);
	assert_int_equal(world_hold(w, a, INT64_MAX, T0, &slot, NULL), -EDQUOT);
	assert_int_equal(world_hold(w, a, INT64_MAX / 2, T0, &slot, NULL), 0);
	assert_int_equal(world_hold(w, a, INT64_MAX / 2, T0, &other, NULL), -EDQUOT);
	assert_int_equal(world_hold(w, a, 1, T0, &other, NULL), -EDQUOT);
	budget_sent(w->b, slot);
	assert_true(budget_charge(w->b, slot, INT64_MAX, false) > 0);
	assert_int_equal(world_window(w, a, WINDOW_TOTAL, T0).spent, INT64_MAX / 2);
	world_check(w);
	world_done(w);
}

static void views(void **state)
{
	struct world *w = fresh();
	uint32_t org = world_account(w, "org", "", -1, 100), bot = world_account(w, "bot", "org", 7, -1);
	struct account_view v;

	budget_open(w->b);
	assert_int_equal(budget_view(w->b, bot, T0, &v), 0);
	assert_string_equal(v.name, "bot");
	assert_string_equal(v.parent, "org");
	assert_true(v.windows[WINDOW_DAY].limited);
	assert_int_equal(v.windows[WINDOW_DAY].limit, 7);
	assert_false(v.windows[WINDOW_HOUR].limited);
	assert_int_equal(budget_view(w->b, org, T0, &v), 0);
	assert_string_equal(v.parent, "");
	assert_int_equal(budget_view(w->b, 0, T0, &v), -ENOENT);
	assert_int_equal(budget_view(w->b, 60, T0, &v), -ENOENT);
	assert_int_equal(budget_accounts_end(w->b), bot + 1);
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hold_fits_all_the_way_up_or_not_at_all),
		cmocka_unit_test(exactly_the_limit_fits_and_one_more_does_not),
		cmocka_unit_test(the_reason_names_the_deepest_and_used_up_before_held),
		cmocka_unit_test(a_charge_counts_once_and_overruns_are_told),
		cmocka_unit_test(a_call_that_cost_nothing_is_charged_as_nothing),
		cmocka_unit_test(slots_run_out_and_come_back),
		cmocka_unit_test(call_ids_only_grow),
		cmocka_unit_test(holds_can_be_closed),
		cmocka_unit_test(paused_is_paused_all_the_way_down),
		cmocka_unit_test(bad_accounts_are_refused),
		cmocka_unit_test(the_table_has_an_end),
		cmocka_unit_test(removing_needs_an_idle_leaf),
		cmocka_unit_test(limits_change_at_once_also_below_what_is_spent),
		cmocka_unit_test(moving_takes_the_money_along),
		cmocka_unit_test(a_window_begins_anew_at_its_end),
		cmocka_unit_test(rolling_says_when_to_come_back),
		cmocka_unit_test(a_hold_belongs_to_the_window_it_began_in),
		cmocka_unit_test(a_clock_that_goes_back_grants_nothing_twice),
		cmocka_unit_test(a_leap_day_and_a_year_end_roll_once),
		cmocka_unit_test(amounts_at_the_edge_of_64_bits),
		cmocka_unit_test(views),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
