// SPDX-License-Identifier: Apache-2.0
/* A new daemon over old arrays: who is who, what becomes of calls that nobody settled, and arrays that cannot be. */
#include <errno.h>

#include "budget_test.h"

static void rebirth(struct world *w)
{
	budget_free(w->b);
	assert_int_equal(budget_new(w->accounts, ACCOUNTS, w->holds, HOLDS, &w->b), 0);
}

static void while_a_daemon_starts_the_gate_sees_no_credit(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", 100, -1);
	const nanousd spent[WINDOW_COUNT] = { 0, 30, 0, 0, 0 };

	budget_open(w->b);
	assert_int_equal(w->accounts[a].windows[WINDOW_DAY].left_nanousd, 100);
	rebirth(w);
	assert_int_equal(w->accounts[a].flags, 0);
	assert_int_equal(w->accounts[a].windows[WINDOW_DAY].left_nanousd, 0);
	assert_int_equal(world_account(w, "a", "", 100, -1), a);
	assert_int_equal(w->accounts[a].windows[WINDOW_DAY].left_nanousd, 0);
	assert_true(w->accounts[a].flags & GATE_ACCOUNT_PAUSED);
	budget_restore(w->b, a, spent);
	assert_int_equal(w->accounts[a].windows[WINDOW_DAY].left_nanousd, 0);
	world_check(w);
	budget_open(w->b);
	assert_int_equal(w->accounts[a].windows[WINDOW_DAY].left_nanousd, 70);
	assert_int_equal(w->accounts[a].flags, GATE_ACCOUNT_USED);
	world_check(w);
	world_done(w);
}

static void accounts_keep_their_numbers(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", 1, -1), b = world_account(w, "b", "", 1, -1), c = world_account(w, "c", "", 1, -1);

	rebirth(w);
	uint32_t x = world_account(w, "x", "", 1, -1);

	assert_true(x != a && x != b && x != c); /* another one's agents may still carry these numbers */
	assert_int_equal(world_account(w, "c", "", 1, -1), c);
	assert_int_equal(world_account(w, "a", "", 1, -1), a);
	world_done(w);
}

static void orphans_of_every_state(void **state)
{
	struct world *w = fresh();
	uint32_t org = world_account(w, "org", "", -1, 1000), bot = world_account(w, "bot", "org", -1, 1000), held, sent, charged, known;

	budget_open(w->b);
	assert_int_equal(world_hold(w, bot, 10, T0, &held, NULL), 0);
	assert_int_equal(world_hold(w, bot, 20, T0, &sent, NULL), 0);
	assert_int_equal(world_hold(w, bot, 40, T0, &charged, NULL), 0);
	assert_int_equal(world_hold(w, bot, 80, T0, &known, NULL), 0);
	budget_sent(w->b, sent);
	(void)budget_charge(w->b, charged, 33, true);
	(void)budget_charge(w->b, known, 77, false);
	uint64_t last_id = w->holds[known].call_id;

	rebirth(w);
	assert_int_equal(world_account(w, "org", "", -1, 1000), org);
	assert_int_equal(world_account(w, "bot", "org", -1, 1000), bot);
	const nanousd spent[WINDOW_COUNT] = { 77, 77, 77, 77, 77 }; /* the ledger has `known` */
	struct orphan orphans[8];

	budget_restore(w->b, bot, spent);
	assert_int_equal(budget_orphans(w->b, orphans, 8), 3);
	assert_int_equal(w->holds[held].state, GATE_HOLD_FREE);
	for (int i = 0; i < 3; i++) {
		assert_string_equal(orphans[i].account, "bot");
		assert_string_equal(orphans[i].hold.model, "m");
		bool was_charged = orphans[i].hold.state == GATE_HOLD_CHARGED;

		budget_adopt(w->b, orphans[i].slot, was_charged ? orphans[i].hold.cost_nanousd : orphans[i].hold.amount_nanousd,
			     orphans[i].slot == known);
	}
	assert_int_equal(w->holds[known].state, GATE_HOLD_FREE);
	assert_int_equal(w->holds[sent].state, GATE_HOLD_CHARGED);
	assert_int_equal(w->holds[sent].estimated, 1);
	assert_int_equal(w->holds[sent].cost_nanousd, 20);
	assert_int_equal(budget_in_flight(w->b), 2);
	budget_open(w->b);
	for (int k = 0; k < WINDOW_COUNT; k++) {
		assert_int_equal(world_window(w, bot, (enum window_kind)k, T0).spent, 77 + 20 + 33);
		assert_int_equal(world_window(w, org, (enum window_kind)k, T0).spent, 77 + 20 + 33);
		assert_int_equal(world_window(w, org, (enum window_kind)k, T0).held, 0);
	}
	world_check(w);
	uint32_t slot;

	assert_int_equal(world_hold(w, bot, 1, T0, &slot, NULL), 0);
	assert_true(w->holds[slot].call_id > last_id);
	budget_settled(w->b, sent);
	budget_settled(w->b, charged);
	budget_release(w->b, slot);
	assert_int_equal(budget_in_flight(w->b), 0);
	world_check(w);
	world_done(w);
}

static void an_orphan_of_yesterday_is_not_charged_to_today(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", 100, 1000), slot;

	budget_open(w->b);
	assert_int_equal(world_hold(w, a, 20, T0, &slot, NULL), 0);
	budget_sent(w->b, slot);
	rebirth(w);
	struct account_spec s = spec_of("a", "", 100, 1000);
	struct orphan o;
	struct err e;

	assert_int_equal(budget_set_account(w->b, &s, T0 + DAY, &a, &e), 0);
	assert_int_equal(budget_orphans(w->b, &o, 1), 1);
	budget_adopt(w->b, o.slot, 20, false);
	budget_open(w->b);
	assert_int_equal(world_window(w, a, WINDOW_DAY, T0 + DAY).spent, 0);
	assert_int_equal(world_window(w, a, WINDOW_WEEK, T0 + DAY).spent, 20);
	assert_int_equal(world_window(w, a, WINDOW_TOTAL, T0 + DAY).spent, 20);
	world_done(w);
}

static void an_orphan_of_a_removed_account_counts_above_it(void **state)
{
	struct world *w = fresh();
	uint32_t org = world_account(w, "org", "", -1, 1000), bot = world_account(w, "bot", "org", -1, 1000), slot, top, nobody;

	top = world_account(w, "gone", "", -1, 10);
	budget_open(w->b);
	assert_int_equal(world_hold(w, bot, 20, T0, &slot, NULL), 0);
	assert_int_equal(world_hold(w, top, 5, T0, &nobody, NULL), 0);
	budget_sent(w->b, slot);
	budget_sent(w->b, nobody);
	rebirth(w);
	org = world_account(w, "org", "", -1, 1000);
	struct orphan o[2];

	assert_int_equal(budget_orphans(w->b, o, 2), 2);
	assert_string_equal(o[0].name, "bot");
	assert_string_equal(o[0].account, "org");
	assert_string_equal(o[1].name, "gone");
	assert_string_equal(o[1].account, "gone");
	budget_adopt(w->b, o[0].slot, 20, false);
	budget_adopt(w->b, o[1].slot, 5, false);
	budget_open(w->b);
	assert_int_equal(world_window(w, org, WINDOW_TOTAL, T0).spent, 20);
	budget_settled(w->b, o[0].slot);
	budget_settled(w->b, o[1].slot);
	assert_int_equal(budget_in_flight(w->b), 0);
	world_check(w);
	world_done(w);
}

/* Found by the simulator: the start wiped the names, failed (no ledger), and the next one could not tell whose the call was. */
static void a_start_that_fails_keeps_whose_the_calls_are(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", 100, 1000), slot;
	struct orphan o;

	(void)world_account(w, "never-back", "a", 100, 1000);
	budget_open(w->b);
	assert_int_equal(world_hold(w, a, 20, T0, &slot, NULL), 0);
	budget_sent(w->b, slot);
	rebirth(w); /* fails here, before any account */
	assert_int_equal(w->accounts[a].flags, 0);
	assert_int_equal(w->accounts[a].windows[WINDOW_DAY].left_nanousd, 0);
	rebirth(w);
	assert_int_equal(world_account(w, "a", "", 100, 1000), a);
	assert_int_equal(budget_orphans(w->b, &o, 1), 1);
	assert_string_equal(o.account, "a");
	budget_adopt(w->b, o.slot, 20, false);
	budget_open(w->b);
	assert_int_equal(world_window(w, a, WINDOW_DAY, T0).spent, 20);
	for (size_t i = 1; i < ACCOUNTS; i++) /* nothing is left of those who did not come back */
		assert_true(i == a || w->accounts[i].name[0] == '\0');
	budget_settled(w->b, o.slot);
	world_check(w);
	world_done(w);
}

/* Whatever bytes stand in the arrays, a start gets through, and counts towards over. */
static void arrays_full_of_garbage_do_no_harm(void **state)
{
	unsigned rnd = 12345;

	print_message("seed %u\n", rnd);
	for (int round = 0; round < 200; round++) {
		struct world w = { calloc(ACCOUNTS, sizeof(*w.accounts)), calloc(HOLDS, sizeof(*w.holds)), NULL };

		for (size_t i = 0; i < ACCOUNTS * sizeof(*w.accounts); i++)
			((unsigned char *)w.accounts)[i] = (unsigned char)(rand_r(&rnd) >> 7);
		for (size_t i = 0; i < HOLDS * sizeof(*w.holds); i++)
			((unsigned char *)w.holds)[i] = (unsigned char)(rand_r(&rnd) >> 7);
		assert_int_equal(budget_new(w.accounts, ACCOUNTS, w.holds, HOLDS, &w.b), 0);
		for (int i = 0; i < ACCOUNTS; i++)
			for (int k = 0; k < WINDOW_COUNT; k++)
				assert_int_equal(w.accounts[i].windows[k].left_nanousd, 0);
		budget_seed(w.b, 5, T0 * S);
		uint32_t a = world_account(&w, "a", "", 100, 1000), slot;
		struct orphan *o = calloc(HOLDS, sizeof(*o));
		size_t n = budget_orphans(w.b, o, HOLDS);

		for (size_t i = 0; i < n; i++)
			budget_adopt(w.b, o[i].slot, o[i].hold.state == GATE_HOLD_CHARGED ? o[i].hold.cost_nanousd : o[i].hold.amount_nanousd,
				     false);
		free(o);
		budget_open(w.b);
		world_check(&w);
		if (budget_in_flight(w.b) < HOLDS)
			assert_int_equal(world_hold(&w, a, 1, T0, &slot, NULL), 0);
		assert_int_equal(budget_roll(w.b, T0), T0 / 3600 * 3600 + 3600);
		world_done(&w);
	}
}

static void the_check_finds_what_is_wrong(void **state)
{
	struct world *w = fresh();
	uint32_t a = world_account(w, "a", "", 100, -1), slot;
	struct err e;

	budget_open(w->b);
	assert_int_equal(world_hold(w, a, 60, T0, &slot, NULL), 0);
	world_check(w);
	w->holds[slot].amount_nanousd = 61;
	assert_int_equal(budget_check(w->b, &e), -EUCLEAN);
	assert_non_null(strstr(e.text, "60"));
	assert_non_null(strstr(e.text, "61"));
	w->holds[slot].amount_nanousd = 60;
	w->accounts[a].windows[WINDOW_DAY].left_nanousd++;
	assert_int_equal(budget_check(w->b, &e), -EUCLEAN);
	assert_non_null(strstr(e.text, "101"));
	w->accounts[a].windows[WINDOW_DAY].left_nanousd--;
	world_check(w);
	world_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(while_a_daemon_starts_the_gate_sees_no_credit),
		cmocka_unit_test(accounts_keep_their_numbers),
		cmocka_unit_test(orphans_of_every_state),
		cmocka_unit_test(an_orphan_of_yesterday_is_not_charged_to_today),
		cmocka_unit_test(an_orphan_of_a_removed_account_counts_above_it),
		cmocka_unit_test(a_start_that_fails_keeps_whose_the_calls_are),
		cmocka_unit_test(arrays_full_of_garbage_do_no_harm),
		cmocka_unit_test(the_check_finds_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
