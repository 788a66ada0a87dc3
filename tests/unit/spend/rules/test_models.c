// SPDX-License-Identifier: Apache-2.0
/*
 * rules/test_models.c: limits for some models: their arithmetic against a slow model that keeps every call and adds up anew each time;
 * windows that end, accounts that move and limits that change while calls are in flight. What a ledger says is rules/test_restore.c.
 */
#include "rules_world.h"

#include "spend/budget/window.h"

static uint64_t seed;

static uint64_t below(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

/* ---- by hand */

static void a_limit_for_some(void **state)
{
	struct rules r = on("opus*", WINDOW_DAY, 100);
	struct world w;

	world_init(&w);
	budget_open(w.b);
	uint32_t team = set_rules(&w, "team", "", 1000, &r), bot = world_account(&w, "bot", "team", -1, -1);
	uint32_t slot = ask_slot(&w, CALL(bot, .amount = 60, .model = "opus-5"));
	struct refusal why = ask_refused(&w, CALL(bot, .amount = 41, .model = "OPUS"), RULE_MODEL_LIMIT, "team");

	assert_int_equal(why.reason, REFUSAL_BUDGET_HELD);
	assert_int_equal(why.window, WINDOW_DAY);
	assert_int_equal(why.limit, 100);
	assert_int_equal(why.spent, 0);
	assert_int_equal(why.held, 60);
	assert_int_equal(why.needed, 41);
	assert_int_equal(why.reset_s, world_window(&w, team, WINDOW_DAY, T0).end_s);
	assert_string_equal(why.detail, "opus*");
	/* Others have the account's 1000. */
	spend_call(&w, CALL(bot, .amount = 500, .model = "haiku"));
	charge_slot(&w, slot, 80); /* more than it held: counted, excused */
	world_check(&w);
	why = ask_refused(&w, CALL(bot, .amount = 21, .model = "opus"), RULE_MODEL_LIMIT, "team");
	assert_int_equal(why.reason, REFUSAL_BUDGET);
	assert_int_equal(why.spent, 80);
	assert_int_equal(budget_afford(w.b, bot, "opus", T0 * S), 20);
	assert_int_equal(budget_afford(w.b, bot, "haiku", T0 * S), 420);
	spend_call(&w, CALL(bot, .amount = 20, .model = "opus"));
	(void)ask_refused(&w, CALL(bot, .amount = 1, .model = "opus"), RULE_MODEL_LIMIT, "team");
	/* Tomorrow. */
	spend_call(&w, CALL(bot, .at_s = 86400, .amount = 100, .model = "opus"));
	/* A limit of nothing. */
	r = on("opus*", WINDOW_DAY, 0);
	(void)set_rules(&w, "team", "", 1000, &r);
	world_check(&w);
	(void)ask_refused(&w, CALL(bot, .at_s = 86400, .model = "opus"), RULE_MODEL_LIMIT, "team");
	assert_int_equal(rules_at(&w, team, 86400).v[RULE_MODEL_LIMIT].refused, 4);
	world_check(&w);
	world_done(&w);
}

/* An hour that is over holds its limit for the calls that began in it; the new one is free. */
static void a_call_grows_in_the_hour_it_began_in(void **state)
{
	struct rules r = on("m", WINDOW_HOUR, 100);
	struct refusal why;
	nanousd amount;
	struct world w;

	world_init(&w);
	budget_open(w.b);
	uint32_t bot = set_rules(&w, "bot", "", -1, &r);
	uint32_t slot = ask_slot(&w, CALL(bot, .amount = 30)), other = ask_slot(&w, CALL(bot, .amount = 40));
	uint32_t now = ask_slot(&w, CALL(bot, .at_s = 3600, .amount = 90));

	assert_int_equal(budget_extend(w.b, slot, 61, 80, 0, &amount, &why), -EDQUOT);
	assert_int_equal(why.reason, REFUSAL_BUDGET_HELD);
	assert_string_equal(why.rule, "model_limit");
	assert_int_equal(why.held, 40);
	assert_int_equal(budget_extend(w.b, slot, 31, 80, 0, &amount, &why), 0);
	assert_int_equal(amount, 60);
	world_check(&w);
	(void)ask_refused(&w, CALL(bot, .at_s = 3600, .amount = 11), RULE_MODEL_LIMIT, "bot");
	charge_slot(&w, slot, 60);
	charge_slot(&w, other, 40);
	world_check(&w);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_HOUR, 3600).spent, 0);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_DAY, 3600).spent, 100);
	charge_slot(&w, now, 90);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_HOUR, 3600).spent, 90);
	world_check(&w);
	world_done(&w);
}

static void a_change_keeps_the_money(void **state)
{
	struct rules r = on("m", WINDOW_DAY, 100);
	struct world w;

	world_init(&w);
	budget_open(w.b);
	uint32_t bot = set_rules(&w, "bot", "", -1, &r);
	uint32_t slot = ask_slot(&w, CALL(bot, .amount = 30));

	spend_call(&w, CALL(bot, .amount = 50));
	/* Below what is spent; at another place of the list; in capitals; with another window. */
	r = (struct rules){ .model_limits = { limit_on("x", WINDOW_DAY, 5), limit_on("M", WINDOW_DAY, 10) }, .nmodel_limits = 2 };
	r.model_limits[1].limits[WINDOW_TOTAL] = 85;
	(void)set_rules(&w, "bot", "", -1, &r);
	world_check(&w);
	assert_int_equal(model_window(&w, bot, 1, WINDOW_DAY, 0).spent, 50);
	assert_int_equal(model_window(&w, bot, 1, WINDOW_TOTAL, 0).held, 30);
	assert_int_equal(ask_refused(&w, CALL(bot), RULE_MODEL_LIMIT, "bot").window, WINDOW_DAY);
	r.model_limits[1].limits[WINDOW_DAY] = GATE_NO_LIMIT;
	(void)set_rules(&w, "bot", "", -1, &r);
	assert_int_equal(ask_refused(&w, CALL(bot, .amount = 6), RULE_MODEL_LIMIT, "bot").window, WINDOW_TOTAL);
	charge_slot(&w, ask_slot(&w, CALL(bot, .amount = 5)), 5);
	/* One that is made anew counts what is in flight, and from now on. */
	r.model_limits[0] = limit_on("?", WINDOW_DAY, 35);
	(void)set_rules(&w, "bot", "", -1, &r);
	world_check(&w);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_DAY, 0).held, 30);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_DAY, 0).spent, 0);
	charge_slot(&w, slot, 20);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_DAY, 0).spent, 20);
	assert_int_equal(model_window(&w, bot, 1, WINDOW_DAY, 0).spent, 75);
	world_check(&w);
	world_done(&w);
}

/* The hour of the limit is over before the limit is made: nothing is known of it, and nothing stands in the call's way. */
static void a_limit_that_is_younger_than_the_call(void **state)
{
	struct rules r = on("m", WINDOW_HOUR, 10);
	struct refusal why;
	nanousd amount;
	struct world w;

	world_init(&w);
	budget_open(w.b);
	uint32_t bot = world_account(&w, "bot", "", -1, -1);
	uint32_t slot = ask_slot(&w, CALL(bot, .amount = 50));

	budget_release(w.b, ask_slot(&w, CALL(bot, .at_s = 3600)));
	(void)set_rules(&w, "bot", "", -1, &r);
	world_check(&w);
	assert_int_equal(budget_extend(w.b, slot, 60, 60, 0, &amount, &why), 0);
	world_check(&w);
	charge_slot(&w, slot, 60);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_HOUR, 3600).spent, 0);
	world_check(&w);
	world_done(&w);
}

/* ---- against a slow model */

enum { TOP, MID, LEAF, SIDE, NACCOUNTS };
static const int parents[NACCOUNTS] = { [TOP] = -1, [MID] = TOP, [LEAF] = MID, [SIDE] = TOP };
static const char *const account_names[NACCOUNTS] = { "top", "mid", "leaf", "side" };

struct call {
	int account;
	const char *model, *provider;
	int64_t at_s;
	nanousd held, cost;
	bool open;
	uint32_t slot;
};

#define CALLS_MAX 4000
#define NLIMITS 3
struct slow {
	struct world w;
	uint32_t index[NACCOUNTS];
	struct rules rules[NACCOUNTS];
	struct call calls[CALLS_MAX];
	size_t ncalls;
	int64_t at_s;
	unsigned held, refused, grown, cut;
};

static bool is_at_or_below(int account, int top)
{
	for (; account >= 0; account = parents[account])
		if (account == top)
			return true;
	return false;
}

static void sum_up(const struct slow *s, int account, const struct model_limit *l, int k, int64_t at_s, nanousd *ret_spent,
		   nanousd *ret_held)
{
	int64_t start_s, end_s;

	window_bounds((enum window_kind)k, NULL, T0 + at_s, &start_s, &end_s);
	*ret_spent = *ret_held = 0;
	for (size_t i = 0; i < s->ncalls; i++) {
		const struct call *c = &s->calls[i];

		if (!is_at_or_below(c->account, account) || !rules_glob(l->models, c->provider, c->model) || T0 + c->at_s < start_s ||
		    (end_s && T0 + c->at_s >= end_s))
			continue;
		*ret_spent += c->cost;
		*ret_held += c->open ? c->held : 0;
	}
}

/* The most that the call could hold: its own is not in the way. */
static nanousd slow_room(const struct slow *s, const struct call *c)
{
	nanousd most = INT64_MAX / 4;

	for (int a = c->account; a >= 0; a = parents[a])
		for (size_t m = 0; m < s->rules[a].nmodel_limits; m++) {
			const struct model_limit *l = &s->rules[a].model_limits[m];

			for (int k = 0; rules_glob(l->models, c->provider, c->model) && k < WINDOW_COUNT; k++) {
				nanousd spent, held;

				if (l->limits[k] == GATE_NO_LIMIT)
					continue;
				sum_up(s, a, l, k, c->at_s, &spent, &held);
				nanousd room = l->limits[k] - spent - held + (c->open ? c->held : 0);

				most = room < most ? room : most;
			}
		}
	return most;
}

static void set_limits(struct slow *s, int a)
{
	static const char *const models[NACCOUNTS][NLIMITS] = {
		[TOP] = { "a*", "x/*", "*" }, [MID] = { "?2", "y/b?", "a1" }, [LEAF] = { "*1", "b*", "x/b1" }, [SIDE] = { "*", "a?", "y/*" },
	};

	s->rules[a] = (struct rules){ .nmodel_limits = NLIMITS };
	for (size_t m = 0; m < NLIMITS; m++) {
		s->rules[a].model_limits[m] = limit_on(models[a][m], (enum window_kind)(WINDOW_DAY + below(WINDOW_COUNT - 1)), (nanousd)below(5000));
		s->rules[a].model_limits[m].limits[WINDOW_HOUR] = below(2) ? (nanousd)below(3000) : GATE_NO_LIMIT;
	}
	s->index[a] = set_rules(&s->w, account_names[a], parents[a] < 0 ? "" : account_names[parents[a]], -1, &s->rules[a]);
}

static void hold_one(struct slow *s)
{
	static const char *const models[] = { "a1", "a2", "b1", "b2", "c" };
	struct call c = { .account = (int)below(NACCOUNTS), .model = models[below(5)], .provider = below(2) ? "x" : "y", .at_s = s->at_s,
			  .held = (nanousd)below(400) + 1 };
	struct told t = ask_call(&s->w, CALL(s->index[c.account], .at_s = c.at_s, .amount = c.held, .model = c.model, .provider = c.provider));
	bool fits = c.held <= slow_room(s, &c);

	if (fits != (t.error == 0))
		fail_msg("%s, %s/%s, %lld: room %lld, but the answer is %d", account_names[c.account], c.provider, c.model, (long long)c.held,
			 (long long)slow_room(s, &c), t.error);
	s->refused += !fits;
	s->held += fits;
	if (!fits) {
		assert_string_equal(t.why.rule, "model_limit");
		assert_true(t.why.spent + t.why.held + c.held > t.why.limit);
		return;
	}
	c.open = true;
	c.slot = t.slot;
	s->calls[s->ncalls++] = c;
}

static struct call *any_open(struct slow *s)
{
	size_t from = s->ncalls > 60 ? s->ncalls - 60 : 0;

	for (int i = 0; s->ncalls && i < 100; i++) {
		struct call *c = &s->calls[from + below(s->ncalls - from)];

		if (c->open)
			return c;
	}
	return NULL;
}

static void grow_one(struct slow *s)
{
	struct call *c = any_open(s);
	struct refusal why;
	nanousd amount = -1;

	if (!c)
		return;
	nanousd at_least = c->held + (nanousd)below(200), wish = at_least + (nanousd)below(200), room = slow_room(s, c);
	int r = budget_extend(s->w.b, c->slot, at_least, wish, 0, &amount, &why);

	if (room < at_least && c->held < at_least) {
		assert_int_equal(r, -EDQUOT);
		assert_string_equal(why.rule, "model_limit");
		s->cut++;
		return;
	}
	nanousd want = wish < room ? wish : room;

	assert_int_equal(r, 0);
	assert_int_equal(amount, want > c->held ? want : c->held);
	c->held = amount;
	s->grown++;
}

static void end_one(struct slow *s)
{
	struct call *c = any_open(s);

	if (!c)
		return;
	c->open = false;
	if (below(5) == 0) {
		budget_release(s->w.b, c->slot);
		return;
	}
	c->cost = (nanousd)below((uint64_t)c->held + 1) + (below(20) ? 0 : (nanousd)below(300));
	charge_slot(&s->w, c->slot, c->cost);
}

static void compare(struct slow *s)
{
	for (int a = 0; a < NACCOUNTS; a++)
		for (size_t m = 0; m < NLIMITS; m++)
			for (int k = 0; k < WINDOW_COUNT; k++) {
				struct window_view v = model_window(&s->w, s->index[a], m, (enum window_kind)k, s->at_s);
				nanousd spent, held;

				sum_up(s, a, &s->rules[a].model_limits[m], k, s->at_s, &spent, &held);
				assert_int_equal(v.spent, spent);
				assert_int_equal(v.held, held);
			}
}

static void steps(struct slow *s, uint64_t from)
{
	seed = from;
	print_message("seed %#llx\n", (unsigned long long)seed);
	world_init(&s->w);
	budget_open(s->w.b);
	for (int a = 0; a < NACCOUNTS; a++)
		set_limits(s, a);
	while (s->ncalls < 700) {
		uint64_t dice = below(100);

		if (dice < 45)
			hold_one(s);
		else if (dice < 65)
			grow_one(s);
		else if (dice < 92)
			end_one(s);
		else if (dice < 94)
			set_limits(s, (int)below(NACCOUNTS));
		else
			s->at_s += (int64_t)below(below(10) ? 600 : 200000);
		/* What the world does when time goes by without calls. */
		(void)budget_roll(s->w.b, T0 + s->at_s);
		world_check(&s->w);
		if (below(20) == 0)
			compare(s);
	}
	compare(s);
	print_message("held %u, refused %u, grown %u, cut %u\n", s->held, s->refused, s->grown, s->cut);
	assert_true(s->refused > 100 && s->cut > 20 && s->grown > 50);
	world_done(&s->w);
}

static void agrees_with_keeping_every_call(void **state)
{
	static const uint64_t seeds[] = { 0x1, 0xabcdef, 0x20261124, 0x77777777 };

	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		struct slow *s = calloc(1, sizeof(*s));

		steps(s, seeds[i]);
		free(s);
	}
}

/* A hold of an account that moves comes to stand under the limits above its new place. */
static void holds_move(void **state)
{
	struct rules r = on("m", WINDOW_DAY, 100);
	struct world w;

	world_init(&w);
	budget_open(w.b);
	uint32_t one = set_rules(&w, "one", "", -1, &r), two = set_rules(&w, "two", "", -1, &r),
		 bot = world_account(&w, "bot", "one", -1, -1);
	uint32_t slot = ask_slot(&w, CALL(bot, .amount = 60));

	spend_call(&w, CALL(two, .amount = 70));
	(void)world_account(&w, "bot", "two", -1, -1);
	world_check(&w); /* 70 + 60 is above: moved in by a person, so excused */
	assert_int_equal(model_window(&w, one, 0, WINDOW_DAY, 0).held, 0);
	assert_int_equal(model_window(&w, two, 0, WINDOW_DAY, 0).held, 60);
	(void)ask_refused(&w, CALL(two), RULE_MODEL_LIMIT, "two");
	charge_slot(&w, slot, 60);
	assert_int_equal(model_window(&w, two, 0, WINDOW_DAY, 0).spent, 130);
	assert_int_equal(model_window(&w, one, 0, WINDOW_DAY, 0).spent, 0);
	world_check(&w);
	world_done(&w);
}

/* Another zone: the windows of model limits end with the account's own. */
static void the_calendar_is_the_accounts(void **state)
{
	struct account_spec s = spec_of("bot", "", -1, -1);
	struct world w;
	uint32_t bot;

	world_init(&w);
	budget_open(w.b);
	s.rules = on("m", WINDOW_DAY, 100);
	(void)snprintf(s.zone, sizeof(s.zone), "America/New_York");
	assert_int_equal(budget_set_account(w.b, &s, T0, &bot, NULL), 0);
	spend_call(&w, CALL(bot, .amount = 60));
	assert_int_equal(ask_refused(&w, CALL(bot, .amount = 60), RULE_MODEL_LIMIT, "bot").reset_s, T0 + 17 * 3600 + 1800);
	s.reset_minute = 6 * 60;
	assert_int_equal(budget_set_account(w.b, &s, T0, &bot, NULL), 0);
	int64_t end_s = world_window(&w, bot, WINDOW_DAY, T0).end_s;

	assert_int_equal(model_window(&w, bot, 0, WINDOW_DAY, 0).end_s, end_s);
	(void)ask_refused(&w, CALL(bot, .at_s = end_s - T0 - 1, .amount = 60), RULE_MODEL_LIMIT, "bot");
	spend_call(&w, CALL(bot, .at_s = end_s - T0, .amount = 60));
	world_check(&w);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_limit_for_some),
		cmocka_unit_test(a_call_grows_in_the_hour_it_began_in),
		cmocka_unit_test(a_change_keeps_the_money),
		cmocka_unit_test(a_limit_that_is_younger_than_the_call),
		cmocka_unit_test(agrees_with_keeping_every_call),
		cmocka_unit_test(holds_move),
		cmocka_unit_test(the_calendar_is_the_accounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
