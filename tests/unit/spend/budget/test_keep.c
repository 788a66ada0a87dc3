// SPDX-License-Identifier: Apache-2.0
/* A hand-over as the budget sees it: holds of another process go on, the kernel's rows never look closed, and what is left is settled once. */
#include <errno.h>

#include "spend_test.h"

#define OLD 7u
#define OLDER 9u

static uint32_t slots[5];

/* A day of 1000: 100 HELD and 200 SENT of one process, 50 SENT of an older one, 30 SENT of nobody that lives, 20 charged. */
static void old_daemon(struct world *w, uint32_t *ret_account)
{
	static const struct {
		nanousd amount;
		uint32_t owner;
		bool sent;
	} rows[] = { { 100, OLD, false }, { 200, OLD, true }, { 50, OLDER, true }, { 30, 1, true }, { 20, OLD, true } };
	uint32_t a;

	world_init(w);
	(void)world_account(w, "org", "", -1, -1);
	a = world_account(w, "bot", "org", 1000, -1);
	budget_set_owner(w->b, OLD);
	budget_open(w->b);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(world_hold(w, a, rows[i].amount, T0, &slots[i], NULL), 0);
		assert_int_equal(w->holds[slots[i]].owner, OLD);
		w->holds[slots[i]].owner = rows[i].owner;
		if (rows[i].sent)
			budget_sent(w->b, slots[i]);
	}
	assert_int_equal(budget_charge(w->b, slots[4], 20, false), 0);
	budget_settled(w->b, slots[4]);
	world_check(w);
	budget_free(w->b);
	*ret_account = a;
}

static void take(struct world *w)
{
	const uint32_t keep[] = { OLD, OLDER };

	assert_int_equal(budget_take(w->accounts, ACCOUNTS, w->holds, HOLDS, &w->b), 0);
	budget_set_owner(w->b, 11);
	budget_keep(w->b, keep, 2);
}

static void test_goes_on(void **state)
{
	struct world w;
	uint32_t a, slot;
	struct orphan o[8];

	(void)state;
	old_daemon(&w, &a);
	struct gate_account row = w.accounts[a];

	take(&w);
	/* In another order than before: it has its number all the same. */
	assert_int_equal(world_account(&w, "new", "", 5, -1), a + 1);
	(void)world_account(&w, "org", "", -1, -1);
	assert_int_equal(world_account(&w, "bot", "org", 1000, -1), a);
	nanousd spent[WINDOW_COUNT] = { 20, 20, 20, 20, 20 };

	budget_restore(w.b, a, spent);
	assert_memory_equal(&row, &w.accounts[a], sizeof(row));
	assert_int_equal(budget_keep_holds(w.b), 3);
	assert_int_equal(budget_orphans(w.b, o, 8), 1);
	assert_int_equal(o[0].slot, slots[3]);
	budget_adopt(w.b, slots[3], 30, false);
	/* Until the very end the kernel goes on by what it had. */
	assert_memory_equal(&row, &w.accounts[a], sizeof(row));
	budget_open(w.b);
	world_check(&w);
	assert_int_equal(w.accounts[a].windows[WINDOW_DAY].left_nanousd, 1000 - 50);
	assert_int_equal(w.accounts[a].windows[WINDOW_DAY].held_nanousd, 350);
	assert_string_equal(w.accounts[a + 1].name, "new");

	/* 600 fit beside them, not 601. */
	assert_int_equal(world_hold(&w, a, 601, T0, &slot, NULL), -EDQUOT);
	assert_int_equal(world_hold(&w, a, 600, T0, &slot, NULL), 0);
	assert_int_equal(w.holds[slot].owner, 11);
	budget_release(w.b, slot);
	nanousd now;
	struct refusal why;

	assert_int_equal(budget_extend(w.b, slots[1], 300, 300, 0, &now, &why), 0);
	assert_int_equal(budget_charge(w.b, slots[1], 250, false), 0);
	assert_int_equal(budget_charge(w.b, slots[1], 999, false), 0);
	budget_release(w.b, slots[0]);
	world_check(&w);

	/* The rest is what the older one had. */
	assert_int_equal(budget_holds_of(w.b, OLD, o, 8), 0);
	assert_int_equal(budget_holds_of(w.b, OLDER, o, 8), 1);
	assert_int_equal(o[0].hold.amount_nanousd, 50);
	assert_string_equal(o[0].account, "bot");
	assert_int_equal(world_window(&w, a, WINDOW_DAY, T0).spent, 20 + 30 + 250);
	assert_int_equal(world_window(&w, a, WINDOW_DAY, T0).held, 50);
	world_done(&w);
}

static void test_account_is_gone(void **state)
{
	struct world w;
	struct orphan o[8];
	uint32_t a;

	(void)state;
	old_daemon(&w, &a);
	take(&w);
	(void)world_account(&w, "org", "", -1, -1);
	assert_int_equal(budget_keep_holds(w.b), 0);
	/* All are charged above, the HELD one too: its process may send it at any moment. */
	assert_int_equal(budget_orphans(w.b, o, 8), 4);
	for (int i = 0; i < 4; i++) {
		assert_string_equal(o[i].account, "org");
		assert_int_equal(w.holds[o[i].slot].owner == OLD || w.holds[o[i].slot].owner == OLDER, 0);
		budget_adopt(w.b, o[i].slot, o[i].hold.amount_nanousd, false);
	}
	budget_open(w.b);
	world_check(&w);
	assert_string_equal(w.accounts[a].name, "");
	world_done(&w);
}

static void test_a_start_that_fails_leaves_the_rows(void **state)
{
	struct world w;
	uint32_t a;

	(void)state;
	old_daemon(&w, &a);
	struct gate_account row = w.accounts[a];
	struct gate_hold hold = w.holds[slots[1]];

	take(&w);
	(void)world_account(&w, "other", "", 1, -1);
	budget_free(w.b);
	assert_memory_equal(&row, &w.accounts[a], sizeof(row));
	assert_memory_equal(&hold, &w.holds[slots[1]], sizeof(hold));
	/* The old one takes it back. */
	take(&w);
	(void)world_account(&w, "org", "", -1, -1);
	(void)world_account(&w, "bot", "org", 1000, -1);
	assert_int_equal(budget_keep_holds(w.b), 3);
	world_done(&w);
}

/* A limit that was cut meanwhile: what is held stands above it, known and excused, and nothing more fits. */
static void test_limit_was_cut(void **state)
{
	struct world w;
	uint32_t a, slot;
	struct orphan o[8];

	(void)state;
	old_daemon(&w, &a);
	take(&w);
	(void)world_account(&w, "org", "", -1, -1);
	(void)world_account(&w, "bot", "org", 100, -1);
	assert_int_equal(budget_keep_holds(w.b), 3);
	(void)budget_orphans(w.b, o, 8);
	budget_adopt(w.b, slots[3], 30, false);
	budget_open(w.b);
	world_check(&w);
	assert_int_equal(world_hold(&w, a, 1, T0, &slot, NULL), -EDQUOT);
	assert_int_equal(budget_charge(w.b, slots[1], 200, false), 0);
	budget_release(w.b, slots[0]);
	world_check(&w);
	world_done(&w);
}

/* Begun yesterday: it counts in no window of today, and can still be charged. */
static void test_window_is_over(void **state)
{
	struct world w;
	uint32_t a;
	struct orphan o[8];

	(void)state;
	old_daemon(&w, &a);
	take(&w);
	budget_seed(w.b, 0, (T0 + 86400) * S);
	(void)world_account(&w, "org", "", -1, -1);
	(void)world_account(&w, "bot", "org", 1000, -1);
	(void)budget_roll(w.b, T0 + 86400);
	assert_int_equal(budget_keep_holds(w.b), 3);
	(void)budget_orphans(w.b, o, 8);
	budget_adopt(w.b, slots[3], 30, false);
	budget_open(w.b);
	world_check(&w);
	assert_int_equal(world_window(&w, a, WINDOW_DAY, T0 + 86400).held, 0);
	assert_int_equal(world_window(&w, a, WINDOW_TOTAL, T0 + 86400).held, 350);
	assert_int_equal(budget_charge(w.b, slots[1], 150, false), 0);
	budget_release(w.b, slots[0]);
	world_check(&w);
	assert_int_equal(world_window(&w, a, WINDOW_DAY, T0 + 86400).spent, 0);
	assert_int_equal(world_window(&w, a, WINDOW_TOTAL, T0 + 86400).spent, 150 + 30);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goes_on),
		cmocka_unit_test(test_account_is_gone),
		cmocka_unit_test(test_a_start_that_fails_leaves_the_rows),
		cmocka_unit_test(test_limit_was_cut),
		cmocka_unit_test(test_window_is_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
