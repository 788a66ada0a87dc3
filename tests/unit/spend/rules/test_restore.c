// SPDX-License-Identifier: Apache-2.0
/*
 * rules/test_restore.c: what was spent under limits on models comes back: at a start, in pieces that a boundary cuts, from orphans, and
 * for a limit that is made while calls run.
 */
#include "rules_world.h"

static bool restore(struct world *w, uint32_t account, const char *model, int64_t at_s, int64_t length_s, nanousd cost,
		    const struct spent_piece *of)
{
	struct spent_piece p = { .provider = "p", .model = model, .at_s = T0 + at_s, .length_s = length_s, .cost = cost, .of = of };

	return budget_restore_model(w->b, account, &p);
}

/* T0 is half past ten. */
#define HOUR_BEGAN (-1800)

static void at_a_start(void **state)
{
	struct rules r = on("m*", WINDOW_DAY, 100);
	struct world w;

	world_init(&w);
	budget_seed(w.b, 1, T0 * S);
	uint32_t team = set_rules(&w, "team", "", -1, &r), bot = set_rules(&w, "bot", "team", -1, &r);

	assert_false(restore(&w, bot, "m1", HOUR_BEGAN, 3600, 10, NULL));
	assert_false(restore(&w, bot, "m2", HOUR_BEGAN - 3600, 3600, 20, NULL));
	assert_false(restore(&w, bot, "other", HOUR_BEGAN, 3600, 1000, NULL));
	assert_false(restore(&w, team, "m1", HOUR_BEGAN - 86400, 3600, 40, NULL)); /* yesterday: this week, not this day */
	assert_false(restore(&w, 63, "m1", HOUR_BEGAN, 3600, 40, NULL)); /* nobody */
	budget_open(w.b);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_HOUR, 0).spent, 10);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_DAY, 0).spent, 30);
	assert_int_equal(model_window(&w, team, 0, WINDOW_DAY, 0).spent, 30);
	assert_int_equal(model_window(&w, team, 0, WINDOW_WEEK, 0).spent, 70);
	assert_int_equal(model_window(&w, team, 0, WINDOW_TOTAL, 0).spent, 70);
	(void)ask_refused(&w, CALL(bot, .amount = 71), RULE_MODEL_LIMIT, "bot");
	spend_call(&w, CALL(bot, .amount = 70));
	/* Once open nothing is restored that nobody counts anew. */
	(void)restore(&w, bot, "m1", HOUR_BEGAN, 3600, 10, NULL);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_DAY, 0).spent, 100);
	world_check(&w);
	world_done(&w);
}

/* Days begin at 10:15 here: the hour from ten lies half in yesterday, and only a look at its calls can tell. */
static void a_piece_that_a_boundary_cuts(void **state)
{
	struct account_spec s = spec_of("bot", "", -1, -1);
	struct world w;
	uint32_t bot;

	world_init(&w);
	budget_seed(w.b, 1, T0 * S);
	s.reset_minute = 10 * 60 + 15;
	s.rules = on("m", WINDOW_DAY, 100);
	assert_int_equal(budget_set_account(w.b, &s, T0, &bot, NULL), 0);
	struct spent_piece hour = { .provider = "p", .model = "m", .at_s = T0 + HOUR_BEGAN, .length_s = 3600, .cost = 12 };

	assert_true(budget_restore_model(w.b, bot, &hour));
	assert_int_equal(model_window(&w, bot, 0, WINDOW_DAY, 0).spent, 0);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_HOUR, 0).spent, 12);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_TOTAL, 0).spent, 12);
	(void)restore(&w, bot, "m", HOUR_BEGAN + 899, 0, 5, &hour); /* 10:14:59 */
	(void)restore(&w, bot, "m", HOUR_BEGAN + 900, 0, 7, &hour);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_DAY, 0).spent, 7);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_HOUR, 0).spent, 12);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_TOTAL, 0).spent, 12);
	world_done(&w);
}

static void orphans_count(void **state)
{
	struct rules r = on("m", WINDOW_DAY, 100);
	struct world w;
	struct budget *next;
	struct orphan orphans[4];

	world_init(&w);
	budget_open(w.b);
	uint32_t bot = set_rules(&w, "bot", "", -1, &r);

	budget_sent(w.b, ask_slot(&w, CALL(bot, .amount = 30)));
	(void)ask_slot(&w, CALL(bot, .amount = 20)); /* never sent: given back */
	budget_sent(w.b, ask_slot(&w, CALL(bot, .amount = 9, .model = "other")));
	budget_free(w.b);
	assert_int_equal(budget_new(w.accounts, ACCOUNTS, w.holds, HOLDS, &next), 0);
	w.b = next;
	budget_seed(w.b, 1, T0 * S);
	bot = set_rules(&w, "bot", "", -1, &r);
	assert_int_equal(budget_orphans(w.b, orphans, 4), 2);
	for (int i = 0; i < 2; i++)
		budget_adopt(w.b, orphans[i].slot, orphans[i].hold.amount_nanousd, false);
	budget_open(w.b);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_DAY, 0).spent, 30);
	assert_int_equal(rules_at(&w, bot, 0).v[RULE_IN_FLIGHT].seen, 0);
	world_check(&w);
	for (int i = 0; i < 2; i++)
		budget_settled(w.b, orphans[i].slot);
	world_check(&w);
	world_done(&w);
}

struct counting {
	struct world *w;
	uint32_t account;
};

static void at_that_moment(void *ctx)
{
	struct counting *c = ctx;

	budget_recount_models(c->w->b, c->account);
}

/* A limit is made at noon; the ledger knows the morning, and calls go on while it is read. */
static void while_calls_run(void **state)
{
	struct rules r = on("m", WINDOW_DAY, 100);
	struct budget_snapshot snap;
	struct world w;

	world_init(&w);
	budget_open(w.b);
	uint32_t bot = world_account(&w, "bot", "", -1, -1);

	spend_call(&w, CALL(bot, .amount = 40)); /* in the ledger */
	uint32_t charged = ask_slot(&w, CALL(bot, .amount = 5)), open = ask_slot(&w, CALL(bot, .amount = 7));

	budget_sent(w.b, charged);
	(void)set_rules(&w, "bot", "", -1, &r);
	(void)budget_charge(w.b, charged, 5, false); /* live, and not yet in the ledger */
	assert_int_equal(model_window(&w, bot, 0, WINDOW_DAY, 0).spent, 5);

	struct counting c = { &w, bot };

	assert_int_equal(budget_snapshot(w.b, at_that_moment, &c, &snap), 0);
	free(snap.accounts);
	free(snap.holds);
	charge_slot(&w, open, 6); /* after that moment: live */
	assert_int_equal(model_window(&w, bot, 0, WINDOW_DAY, 0).spent, 11);
	(void)restore(&w, bot, "m", HOUR_BEGAN, 3600, 40, NULL); /* the view */
	(void)restore(&w, bot, "m", 0, 0, 5, NULL);              /* the hold that was CHARGED in the snapshot */
	assert_int_equal(model_window(&w, bot, 0, WINDOW_DAY, 0).spent, 11); /* not before all is told */
	/* Another change of rules meanwhile loses nothing of it. */
	r.per_call = 50;
	(void)set_rules(&w, "bot", "", -1, &r);
	budget_recounted(w.b, bot);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_DAY, 0).spent, 51);
	(void)ask_refused(&w, CALL(bot, .amount = 50), RULE_MODEL_LIMIT, "bot");
	budget_recounted(w.b, bot); /* nothing is being counted */
	assert_int_equal(model_window(&w, bot, 0, WINDOW_DAY, 0).spent, 51);
	budget_settled(w.b, charged);
	world_check(&w);
	world_done(&w);
}

static void a_recount_over_midnight(void **state)
{
	struct rules r = on("m", WINDOW_DAY, 100);
	struct budget_snapshot snap;
	struct world w;

	world_init(&w);
	budget_open(w.b);
	uint32_t bot = set_rules(&w, "bot", "", -1, &r);
	struct counting c = { &w, bot };

	spend_call(&w, CALL(bot, .amount = 40));
	assert_int_equal(budget_snapshot(w.b, at_that_moment, &c, &snap), 0);
	free(snap.accounts);
	free(snap.holds);
	spend_call(&w, CALL(bot, .at_s = 86400, .amount = 3));
	(void)restore(&w, bot, "m", HOUR_BEGAN, 3600, 40, NULL);
	budget_recounted(w.b, bot);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_DAY, 86400).spent, 3);
	assert_int_equal(model_window(&w, bot, 0, WINDOW_TOTAL, 86400).spent, 43);
	world_check(&w);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_a_start),
		cmocka_unit_test(a_piece_that_a_boundary_cuts),
		cmocka_unit_test(orphans_count),
		cmocka_unit_test(while_calls_run),
		cmocka_unit_test(a_recount_over_midnight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
