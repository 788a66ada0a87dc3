// SPDX-License-Identifier: Apache-2.0
/*
 * Time in the budget: calendars of several places in one tree, another calendar amid a window, raises that end. The cases one by one; the
 * same against a slow model, at random, is test_model.c.
 */
#include <errno.h>

#include "budget_test.h"

/* ---- calendars */

static void bad_times_are_refused(void **state)
{
	struct world *w = fresh();
	struct err e;
	static const struct {
		const char *zone;
		int reset_minute;
		int64_t raise, until;
		const char *says;
	} cases[] = {
		{ "Europe/Berln", 0, 0, 0, "Europe/Berln" }, { "/etc/localtime", 0, 0, 0, "IANA" }, { "", -1, 0, 0, "minute -1" },
		{ "", 1440, 0, 0, "minute 1440" }, { "", 0, -1, 5, "raise" }, { "", 0, 1, -5, "raise" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct account_spec s = zoned("a", "", 100, cases[i].zone, cases[i].reset_minute);

		s.raise[WINDOW_DAY] = cases[i].raise;
		s.raise_until_s = cases[i].until;
		e.text[0] = '\0';
		assert_int_equal(budget_set_account(w->b, &s, T0, NULL, &e), -EINVAL);
		assert_non_null(strstr(e.text, "\"a\""));
		assert_non_null(strstr(e.text, cases[i].says));
	}
	struct account_spec s = zoned("a", "", 100, "", 0);

	memset(s.zone, 'x', sizeof(s.zone)); /* no end */
	assert_int_equal(budget_set_account(w->b, &s, T0, NULL, &e), -EINVAL);
	assert_int_equal(budget_find(w->b, "a"), 0);
	world_done(w);
}

/* One second before and at each boundary, of each kind: not a cent before, all of it at. */
static void every_boundary_to_the_second(void **state)
{
	static const struct {
		const char *zone;
		int reset_minute;
		enum window_kind kind;
		const char *boundary;
	} cases[] = {
		{ "", 0, WINDOW_HOUR, "2026-08-19 11:00:00" }, { "", 0, WINDOW_DAY, "2026-08-20 00:00:00" },
		{ "", 0, WINDOW_WEEK, "2026-08-24 00:00:00" }, { "", 0, WINDOW_MONTH, "2024-03-01 00:00:00" },
		{ "", 540, WINDOW_DAY, "2026-08-20 09:00:00" }, { "Europe/Berlin", 0, WINDOW_DAY, "2026-03-29 22:00:00" },
		{ "Europe/Berlin", 150, WINDOW_DAY, "2026-03-29 01:00:00" }, { "Europe/Berlin", 150, WINDOW_DAY, "2026-10-25 00:30:00" },
		{ "Europe/Berlin", 0, WINDOW_WEEK, "2026-10-25 23:00:00" }, { "Europe/Berlin", 0, WINDOW_MONTH, "2026-10-31 23:00:00" },
		{ "Pacific/Kiritimati", 0, WINDOW_DAY, "2026-08-19 10:00:00" }, { "Etc/GMT+12", 0, WINDOW_DAY, "2026-08-19 12:00:00" },
		{ "Australia/Lord_Howe", 0, WINDOW_HOUR, "2026-10-03 16:00:00" },
		{ "Australia/Lord_Howe", 0, WINDOW_HOUR, "2026-04-04 15:30:00" }, { "Asia/Kathmandu", 0, WINDOW_HOUR, "2026-08-19 10:15:00" },
		{ "Asia/Kathmandu", 0, WINDOW_DAY, "2026-08-19 18:15:00" }, { "America/Havana", 0, WINDOW_DAY, "2026-03-08 05:00:00" },
		{ "Pacific/Apia", 0, WINDOW_DAY, "2011-12-30 10:00:00" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = fresh();
		int64_t at = utc(cases[i].boundary);
		struct account_spec s = zoned("a", "", -1, cases[i].zone, cases[i].reset_minute);

		s.limits[cases[i].kind] = 100;
		uint32_t a = put(w, &s, at - 1800);

		budget_open(w->b);
		assert_int_equal(spend(w, a, 60, at - 1800), 0);
		assert_int_equal(spend(w, a, 40, at - 1), 0);
		assert_int_equal(spend(w, a, 1, at - 1), -EDQUOT);
		int64_t next = budget_roll(w->b, at - 1);

		assert_true(next <= at);
		assert_int_equal(spend(w, a, 101, at), -EDQUOT);
		assert_int_equal(spend(w, a, 100, at), 0);
		assert_int_equal(spend(w, a, 1, at), -EDQUOT);
		assert_int_equal(w->accounts[a].windows[cases[i].kind].start_s, at);
		/* back over it, as a clock that was set: nothing more */
		assert_int_equal(spend(w, a, 1, at - 1), -EDQUOT);
		assert_int_equal(spend(w, a, 1, at - 7200), -EDQUOT);
		world_check(w);
		world_done(w);
	}
}

static void a_suspend_over_many_windows_opens_one(void **state)
{
	struct world *w = fresh();
	struct account_spec s = zoned("a", "", 100, "Europe/Berlin", 0);
	uint32_t a = put(w, &s, utc("2026-03-27 12:00:00"));

	budget_open(w->b);
	assert_int_equal(spend(w, a, 100, utc("2026-03-27 12:00:00")), 0);
	/* wakes up on the other side of the transition */
	assert_int_equal(spend(w, a, 100, utc("2026-04-02 05:00:00")), 0);
	assert_int_equal(spend(w, a, 1, utc("2026-04-02 21:59:59")), -EDQUOT);
	assert_int_equal(spend(w, a, 1, utc("2026-04-01 12:00:00")), -EDQUOT);
	assert_int_equal(w->accounts[a].windows[WINDOW_DAY].start_s, utc("2026-04-01 22:00:00"));
	assert_int_equal(w->accounts[a].windows[WINDOW_DAY].end_s, utc("2026-04-02 22:00:00"));
	world_check(w);
	world_done(w);
}

static void places_differ_within_a_tree(void **state)
{
	struct world *w = fresh();
	struct account_spec org = zoned("org", "", 100, "America/New_York", 0), bot = zoned("bot", "org", 60, "Asia/Kathmandu", 0);
	int64_t kathmandu = utc("2026-08-19 18:15:00"), new_york = utc("2026-08-20 04:00:00");
	uint32_t o = put(w, &org, T0), a = put(w, &bot, T0), slot;
	struct refusal why;

	budget_open(w->b);
	assert_int_equal(spend(w, a, 60, T0), 0);
	assert_int_equal(world_hold(w, a, 1, T0, &slot, &why), -EDQUOT);
	assert_string_equal(why.account, "bot");
	assert_int_equal(why.reset_s, kathmandu);
	assert_int_equal(spend(w, a, 40, kathmandu), 0); /* a new day there, not here */
	assert_int_equal(world_hold(w, a, 1, kathmandu, &slot, &why), -EDQUOT);
	assert_string_equal(why.account, "org");
	assert_int_equal(why.reset_s, new_york);
	assert_int_equal(world_window(w, o, WINDOW_DAY, kathmandu).spent, 100);
	assert_int_equal(spend(w, a, 20, new_york), 0);
	assert_int_equal(world_hold(w, a, 1, new_york, &slot, &why), -EDQUOT);
	assert_string_equal(why.account, "bot");
	world_check(w);
	world_done(w);
}

/* ---- another calendar for an account that has windows open */

static void another_zone_never_opens_a_window_early(void **state)
{
	static const struct {
		const char *from, *to;
		int from_minute, to_minute;
		const char *end; /* of the day that was open at 2026-08-19 10:30 UTC */
	} cases[] = {
		{ "", "", 0, 0, "2026-08-20 00:00:00" },
		{ "", "", 0, 660, "2026-08-20 11:00:00" }, /* not today at eleven */
		{ "", "", 660, 0, "2026-08-20 00:00:00" }, /* the day from 11:00 to 11:00 ends today: then at the next midnight */
		{ "", "Europe/Berlin", 0, 0, "2026-08-20 22:00:00" },
		{ "Europe/Berlin", "", 0, 0, "2026-08-20 00:00:00" },
		{ "", "Pacific/Kiritimati", 0, 0, "2026-08-20 10:00:00" },
		{ "Etc/GMT+12", "Pacific/Kiritimati", 0, 0, "2026-08-20 10:00:00" },
		{ "Pacific/Kiritimati", "Etc/GMT+12", 0, 0, "2026-08-20 12:00:00" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = fresh();
		struct account_spec was = zoned("a", "", 100, cases[i].from, cases[i].from_minute);
		struct account_spec is = zoned("a", "", 100, cases[i].to, cases[i].to_minute);
		uint32_t a = put(w, &was, T0);
		int64_t start = world_window(w, a, WINDOW_DAY, T0).start_s, end = utc(cases[i].end);

		budget_open(w->b);
		assert_int_equal(spend(w, a, 100, T0), 0);
		(void)put(w, &is, T0 + 60);
		assert_int_equal(world_window(w, a, WINDOW_DAY, T0).start_s, start);
		assert_int_equal(world_window(w, a, WINDOW_DAY, T0).end_s, end);
		(void)put(w, &is, T0 + 61); /* the same again moves nothing */
		assert_int_equal(w->accounts[a].windows[WINDOW_DAY].end_s, end);
		assert_int_equal(spend(w, a, 1, end - 1), -EDQUOT);
		assert_int_equal(spend(w, a, 100, end), 0);
		/* from then on as if it had never been otherwise */
		struct account_spec other = is;

		memcpy(other.name, "b", 2);
		uint32_t b = put(w, &other, end);

		for (int k = 0; k < WINDOW_WEEK; k++)
			assert_int_equal(w->accounts[a].windows[k].end_s, w->accounts[b].windows[k].end_s);
		world_check(w);
		world_done(w);
	}
}

static void another_zone_while_no_daemon_ran_opens_nothing_early_either(void **state)
{
	struct world *w = fresh();
	struct account_spec was = zoned("a", "", 100, "", 0), is = zoned("a", "", 100, "", 660);
	int64_t noon = utc("2026-08-19 12:00:00"), midnight = utc("2026-08-19 00:00:00");
	uint32_t a = put(w, &was, T0);

	budget_open(w->b);
	assert_int_equal(spend(w, a, 100, T0), 0);
	for (int restart = 0; restart < 3; restart++) {
		budget_free(w->b);
		assert_int_equal(budget_new(w->accounts, ACCOUNTS, w->holds, HOLDS, &w->b), 0);
		assert_int_equal(put(w, &is, noon), a);
		struct window_view v = world_window(w, a, WINDOW_DAY, noon);

		assert_int_equal(v.start_s, midnight);
		assert_int_equal(v.end_s, utc("2026-08-20 11:00:00"));
		const nanousd spent[WINDOW_COUNT] = { [WINDOW_DAY] = 100 }; /* what the ledger has from midnight on */

		budget_restore(w->b, a, spent);
		budget_open(w->b);
		assert_int_equal(spend(w, a, 1, noon), -EDQUOT);
	}
	world_check(w);
	world_done(w);
}

static void absurd_claims_of_an_old_row_are_not_believed(void **state)
{
	static const struct {
		int64_t start, end;
	} claims[] = {
		{ 0, INT64_MAX }, { T0 - 400 * DAY, T0 + DAY }, { T0 - DAY, T0 + 400 * DAY }, { T0 + 1, T0 + DAY }, { T0 - DAY, T0 },
		{ BUDGET_CHANGING, T0 + DAY }, { INT64_MIN, INT64_MAX }, { T0, INT64_MIN }, { 0, 0 },
	};

	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		struct world *w = fresh();
		uint32_t a = world_account(w, "a", "", 100, -1);

		budget_open(w->b);
		for (int k = 0; k < WINDOW_COUNT; k++) {
			w->accounts[a].windows[k].start_s = claims[i].start;
			w->accounts[a].windows[k].end_s = claims[i].end;
		}
		budget_free(w->b);
		assert_int_equal(budget_new(w->accounts, ACCOUNTS, w->holds, HOLDS, &w->b), 0);
		(void)world_account(w, "a", "", 100, -1);
		assert_int_equal(w->accounts[a].windows[WINDOW_DAY].start_s, T0 / DAY * DAY);
		assert_int_equal(w->accounts[a].windows[WINDOW_DAY].end_s, T0 / DAY * DAY + DAY);
		assert_int_equal(w->accounts[a].windows[WINDOW_TOTAL].end_s, 0);
		world_done(w);
	}
}

/* ---- raises */

static void a_raise_ends_by_itself(void **state)
{
	struct world *w = fresh();
	struct account_spec s = spec_of("a", "", 100, 1000);

	s.raise[WINDOW_DAY] = 50;
	s.raise[WINDOW_HOUR] = 7; /* no limit there: no use */
	s.raise_until_s = T0 + 600;
	uint32_t a = put(w, &s, T0), slot, held;
	struct account_view v;

	budget_open(w->b);
	assert_int_equal(budget_roll(w->b, T0), T0 + 600);
	assert_int_equal(w->accounts[a].windows[WINDOW_DAY].limit_nanousd, 150);
	assert_int_equal(w->accounts[a].windows[WINDOW_HOUR].limit_nanousd, GATE_NO_LIMIT);
	assert_int_equal(budget_view(w->b, a, T0, &v), 0);
	assert_int_equal(v.raise_until_s, T0 + 600);
	assert_int_equal(v.windows[WINDOW_DAY].limit, 150);
	assert_int_equal(v.windows[WINDOW_DAY].raised, 50);
	assert_int_equal(v.windows[WINDOW_TOTAL].raised, 0);
	assert_false(v.windows[WINDOW_HOUR].limited);
	assert_int_equal(spend(w, a, 90, T0), 0);
	assert_int_equal(world_hold(w, a, 60, T0 + 599, &held, NULL), 0);
	assert_int_equal(spend(w, a, 1, T0 + 599), -EDQUOT);
	assert_int_equal(w->accounts[a].windows[WINDOW_DAY].left_nanousd, 60);
	/* The kernel sees it when the daemon rolls, at the second that it was told. */
	assert_int_equal(budget_roll(w->b, T0 + 600), T0 / 3600 * 3600 + 3600);
	assert_int_equal(w->accounts[a].windows[WINDOW_DAY].limit_nanousd, 100);
	assert_int_equal(w->accounts[a].windows[WINDOW_DAY].left_nanousd, 10);
	world_check(w); /* 150 of 100: known, and excused */
	assert_int_equal(world_hold(w, a, 1, T0 + 600, &slot, NULL), -EDQUOT);
	nanousd got;

	assert_int_equal(extend(w, held, 61, 61, &got), -EDQUOT); /* the call in flight gets nothing more either */
	assert_int_equal(extend(w, held, 60, 70, &got), 0);
	assert_int_equal(got, 60);
	(void)budget_charge(w->b, held, 5, false);
	world_check(w);
	assert_int_equal(spend(w, a, 5, T0 + 601), 0);
	assert_int_equal(spend(w, a, 1, T0 + 601), -EDQUOT);
	/* the clock goes back: it does not come back */
	assert_int_equal(spend(w, a, 1, T0 + 300), -EDQUOT);
	world_check(w);
	world_done(w);
}

/* A stream that began while it lasted: what it may hold goes by the limit as it is when it asks, whoever looked last. */
static void a_raise_that_ended_is_nothing_to_extend_into(void **state)
{
	struct world *w = fresh();
	struct account_spec s = spec_of("bot", "", 100, -1);
	uint32_t slot;
	nanousd got = 0;
	struct refusal why;

	(void)state;
	s.raise[WINDOW_DAY] = 50;
	s.raise_until_s = T0 + 600;
	uint32_t bot = put(w, &s, T0);

	budget_open(w->b);
	assert_int_equal(world_hold(w, bot, 90, T0, &slot, NULL), 0);
	assert_int_equal(budget_extend(w->b, slot, 110, 120, (T0 + 599) * S, &got, &why), 0);
	assert_int_equal(got, 120);
	assert_int_equal(budget_extend(w->b, slot, 121, 150, (T0 + 600) * S, &got, &why), -EDQUOT);
	assert_int_equal(why.limit, 100);
	assert_int_equal(w->holds[slot].amount_nanousd, 120);
	world_check(w);
	world_done(w);
}

static void raises_at_the_edges(void **state)
{
	struct world *w = fresh();
	struct account_spec s = spec_of("a", "", 100, -1);
	uint32_t a;

	budget_open(w->b);
	s.raise[WINDOW_DAY] = 50;
	s.raise_until_s = T0; /* over already */
	a = put(w, &s, T0);
	assert_int_equal(w->accounts[a].windows[WINDOW_DAY].limit_nanousd, 100);
	s.raise_until_s = T0 + DAY; /* lasts into the next day: that one has it too, as long as it lasts */
	(void)put(w, &s, T0);
	int64_t midnight = T0 / DAY * DAY + DAY;

	assert_int_equal(spend(w, a, 150, midnight), 0);
	assert_int_equal(spend(w, a, 1, midnight), -EDQUOT);
	assert_int_equal(spend(w, a, 1, T0 + DAY), -EDQUOT);
	assert_int_equal(w->accounts[a].windows[WINDOW_DAY].left_nanousd, -50);
	world_check(w);
	s.raise[WINDOW_DAY] = INT64_MAX - 5; /* out of all measure is still a limit */
	s.raise_until_s = T0 + 3 * DAY;
	(void)put(w, &s, T0 + DAY);
	assert_int_equal(w->accounts[a].windows[WINDOW_DAY].limit_nanousd, GATE_NO_LIMIT - 1);
	s.raise_until_s = 0; /* taken back at once */
	(void)put(w, &s, T0 + DAY);
	assert_int_equal(w->accounts[a].windows[WINDOW_DAY].limit_nanousd, 100);
	assert_int_equal(spend(w, a, 1, T0 + DAY), -EDQUOT);
	world_check(w);
	/* Expiry and boundary in the same second. */
	s.raise[WINDOW_DAY] = 10;
	s.raise_until_s = midnight + DAY;
	(void)put(w, &s, T0 + DAY);
	assert_int_equal(spend(w, a, 101, midnight + DAY), -EDQUOT);
	assert_int_equal(spend(w, a, 100, midnight + DAY), 0);
	world_check(w);
	world_done(w);
}

/* ---- what one could have, and who stands where */

static void afford(void **state)
{
	struct world *w = fresh();
	uint32_t org = world_account(w, "org", "", -1, 100), bot = world_account(w, "bot", "org", 60, -1), slot;
	int64_t now = T0 * S, tomorrow = (T0 + DAY) * S;

	assert_int_equal(budget_afford(w->b, bot, "m", now), 0); /* not open yet */
	budget_open(w->b);
	assert_int_equal(budget_afford(w->b, bot, "m", now), 60);
	assert_int_equal(budget_afford(w->b, org, NULL, now), 100);
	assert_int_equal(budget_afford(w->b, 0, "m", now), 0);
	assert_int_equal(budget_afford(w->b, 40, "m", now), 0);
	assert_int_equal(world_hold(w, bot, 45, T0, &slot, NULL), 0);
	assert_int_equal(budget_afford(w->b, bot, "m", now), 15);
	assert_int_equal(budget_afford(w->b, org, "m", now), 55);
	assert_int_equal(budget_afford(w->b, bot, "m", tomorrow), 55); /* a new day, but org's total */
	nanousd most = budget_afford(w->b, bot, "m", now);

	assert_int_equal(world_hold(w, bot, most + 1, T0 + DAY, &slot, NULL), -EDQUOT);
	assert_int_equal(world_hold(w, bot, most, T0 + DAY, &slot, NULL), 0);
	assert_int_equal(budget_afford(w->b, bot, "m", now), 0);
	budget_release(w->b, slot);
	assert_int_equal(budget_pause(w->b, "org", true), 0);
	assert_int_equal(budget_afford(w->b, bot, "m", now), 0);
	assert_int_equal(budget_pause(w->b, "org", false), 0);
	budget_close_holds(w->b, true);
	assert_int_equal(budget_afford(w->b, bot, "m", now), 0);
	budget_close_holds(w->b, false);
	(void)world_account(w, "org", "", -1, 10); /* below what is held */
	assert_int_equal(budget_afford(w->b, bot, "m", now), 0);
	world_done(w);
}

static void above_and_below(void **state)
{
	struct world *w = fresh();
	struct account_spec s = spec_of("team", "org", -1, -1);
	uint32_t org = world_account(w, "org", "", -1, 100), team, bot, other = world_account(w, "other", "org", -1, 1);

	s.clamp = true;
	team = put(w, &s, T0);
	bot = world_account(w, "bot", "team", -1, 1);
	assert_true(budget_is_below(w->b, bot, bot));
	assert_true(budget_is_below(w->b, bot, team));
	assert_true(budget_is_below(w->b, bot, org));
	assert_false(budget_is_below(w->b, org, bot));
	assert_false(budget_is_below(w->b, bot, other));
	assert_false(budget_is_below(w->b, bot, 0));
	assert_false(budget_is_below(w->b, 0, 0));
	assert_false(budget_is_below(w->b, 60, org));
	assert_false(budget_is_below(w->b, ACCOUNTS + 9, ACCOUNTS + 9));
	assert_true(budget_clamps(w->b, bot));
	assert_true(budget_clamps(w->b, team));
	assert_false(budget_clamps(w->b, org));
	assert_false(budget_clamps(w->b, other));
	assert_false(budget_clamps(w->b, 0));
	assert_false(budget_clamps(w->b, ACCOUNTS + 9));
	s.clamp = false;
	(void)put(w, &s, T0);
	assert_false(budget_clamps(w->b, bot));
	world_done(w);
}

static void a_tree_of_eight_levels_in_eight_places(void **state)
{
	static const char *const zones[GATE_TREE_DEPTH] = { "Pacific/Kiritimati", "Etc/GMT+12", "", "Asia/Kathmandu", "Australia/Lord_Howe",
							    "Europe/Berlin", "America/New_York", "Asia/Tokyo" };
	struct world *w = fresh();
	char name[8] = "", above[8] = "";
	uint32_t at[GATE_TREE_DEPTH], slot;
	nanousd got;

	for (int d = 0; d < GATE_TREE_DEPTH; d++) {
		(void)snprintf(name, sizeof(name), "l%d", d);
		struct account_spec s = zoned(name, above, 1000 + d, zones[d], d * 97);

		at[d] = put(w, &s, T0);
		memcpy(above, name, sizeof(above));
	}
	budget_open(w->b);
	for (int h = 0; h < 200; h++) {
		int64_t now = T0 + h * 3600;

		assert_int_equal(world_hold(w, at[GATE_TREE_DEPTH - 1], 10, now, &slot, NULL), 0);
		assert_int_equal(extend(w, slot, 11, 12, &got), 0);
		(void)budget_charge(w->b, slot, 9, false);
		budget_settled(w->b, slot);
		(void)budget_roll(w->b, now);
		world_check(w);
		for (int d = 0; d < GATE_TREE_DEPTH; d++) {
			struct window_view v = world_window(w, at[d], WINDOW_DAY, now);

			/* one call of 9 an hour since the day began there */
			int64_t first = v.start_s < T0 ? T0 : T0 + (v.start_s - T0 + 3599) / 3600 * 3600;
			assert_int_equal(v.spent, 9 * ((now - first) / 3600 + 1));
		}
	}
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_times_are_refused),
		cmocka_unit_test(every_boundary_to_the_second),
		cmocka_unit_test(a_suspend_over_many_windows_opens_one),
		cmocka_unit_test(places_differ_within_a_tree),
		cmocka_unit_test(another_zone_never_opens_a_window_early),
		cmocka_unit_test(another_zone_while_no_daemon_ran_opens_nothing_early_either),
		cmocka_unit_test(absurd_claims_of_an_old_row_are_not_believed),
		cmocka_unit_test(a_raise_ends_by_itself),
		cmocka_unit_test(a_raise_that_ended_is_nothing_to_extend_into),
		cmocka_unit_test(raises_at_the_edges),
		cmocka_unit_test(afford),
		cmocka_unit_test(above_and_below),
		cmocka_unit_test(a_tree_of_eight_levels_in_eight_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
