// SPDX-License-Identifier: Apache-2.0
/* Money that is elsewhere: every verb over the socket does what it does here, once; who asks waits while it moves; who is gone is settled. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>

#include "../spend/spend_test.h"
#include "path/money.h"

#define OLD 7u
#define CALLERS 4
#define ROUNDS 200

struct owner {
	struct world w;
	struct ledger *l;
	char *dir;
	uint32_t account;
};

static void durable(void *ctx, uint32_t slot)
{
	budget_settled(((struct owner *)ctx)->w.b, slot);
}

static void owner_init(struct owner *o)
{
	static const struct ledger_calls calls = { .durable = durable };
	struct err e = { "" };
	char path[256];

	o->dir = scratch_new();
	(void)snprintf(path, sizeof(path), "%s/ledger.db", o->dir);
	world_init(&o->w);
	o->account = world_account(&o->w, "bot", "", 1000000, -1);
	budget_set_owner(o->w.b, 11);
	budget_open(o->w.b);
	if (ledger_open(path, &calls, o, &o->l, &e) < 0)
		fail_msg("%s", e.text);
}

/* Nothing is in flight and every row is there. */
static void owner_done(struct owner *o, nanousd spent)
{
	struct err e = { "" };
	char path[256];
	struct ledger *l;
	nanousd sum = 0;

	assert_int_equal(ledger_close(o->l), 0);
	assert_int_equal(budget_in_flight(o->w.b), 0);
	world_check(&o->w);
	assert_int_equal(world_window(&o->w, o->account, WINDOW_DAY, T0).spent, spent);
	(void)snprintf(path, sizeof(path), "%s/ledger.db", o->dir);
	assert_int_equal(ledger_peek(path, &l, &e), 0);
	assert_int_equal(ledger_spent(l, "bot", 0, &sum, &e), 0);
	assert_int_equal(sum, spent);
	(void)ledger_close(l);
	world_done(&o->w);
	scratch_free(o->dir);
}

static void is_lost(void *ctx)
{
	atomic_store((_Atomic bool *)ctx, true);
}

static struct money *away(int fd, _Atomic bool *lost)
{
	struct money *m;

	assert_int_equal(money_new(NULL, NULL, &m), 0);
	money_freeze(m);
	money_thaw_away(m, fd, is_lost, lost);
	return m;
}

static struct hold_request request(const struct owner *o, nanousd amount, struct rule_notes *notes)
{
	return (struct hold_request){ .account = o->account, .amount = amount, .now_ns = T0 * S, .comm = "agent", .model = "m",
				      .provider_name = "p", .pid = 7, .cgroup_id = 9, .endpoint = ENDPOINT_OPENAI_CHAT, .notes = notes };
}

static struct ledger_call row(struct money *m, uint32_t slot, uint64_t id, nanousd cost)
{
	struct ledger_call c = { .call_id = id, .endpoint = ENDPOINT_OPENAI_CHAT, .cost = cost, .usage_known = true, .status = 200,
				 .account = "bot", .agent = "bot", .provider = "p", .model = "m", .end = "done", .slot = slot };
	struct gate_hold h;

	money_get_hold(m, slot, &h);
	assert_int_equal(h.call_id, id);
	assert_int_equal(h.owner, OLD);
	c.started_ns = h.started_realtime_ns;
	return c;
}

static void test_verbs(void **state)
{
	struct owner o;
	_Atomic bool lost = false;
	int pair[2];
	uint32_t slot, other;
	uint64_t id, other_id;
	struct refusal why = { 0 };
	struct rule_notes notes;
	struct money_serve *s;
	nanousd held;

	(void)state;
	owner_init(&o);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(money_serve_start(pair[1], OLD, o.w.b, o.l, NULL, NULL, &s), 0);
	struct money *m = away(pair[0], &lost);

	assert_true(money_is_away(m));
	assert_int_equal(money_find(m, "bot"), o.account);
	assert_int_equal(money_find(m, "none"), 0);
	assert_true(money_is_below(m, o.account, o.account));
	assert_false(money_clamps(m, o.account));
	assert_int_equal(money_afford(m, o.account, "m", T0 * S), 1000000);
	struct hold_request r = request(&o, 1000001, &notes);

	assert_int_equal(money_hold(m, &r, &slot, &id, &why), -EDQUOT);
	assert_int_equal(why.reason, REFUSAL_BUDGET);
	assert_string_equal(why.account, "bot");
	r.amount = 1000;
	assert_int_equal(money_hold(m, &r, &slot, &id, &why), 0);
	assert_int_equal(money_hold(m, &r, &other, &other_id, &why), 0);
	assert_int_equal(money_extend(m, slot, 2000, 3000, 0, &held, &why), 0);
	assert_int_equal(held, 3000);
	assert_int_equal(money_extend(m, slot, 2000000, 3000000, 0, &held, &why), -EDQUOT);
	money_sent(m, slot);
	money_count_tokens(m, slot, 10, T0 * S);
	struct account_view v;

	assert_int_equal(money_view(m, o.account, T0, &v), 0);
	assert_string_equal(v.name, "bot");
	assert_int_equal(v.windows[WINDOW_DAY].held, 4000);
	assert_int_equal(money_view(m, 99, T0, &v), -ENOENT);
	/* One that costs more than it held. */
	struct ledger_call c = row(m, slot, id, 3500);

	assert_int_equal(money_charge(m, slot, &c), 500);
	/* It is over: a second time is refused, and so is what belongs to nobody of ours. */
	assert_int_equal(money_charge(m, slot, &c), 0);
	assert_int_equal(money_extend(m, 99, 1, 1, 0, &held, &why), -EPERM);
	assert_int_equal(why.reason, REFUSAL_LEDGER);
	struct refusal no;
	uint64_t own_id;
	uint32_t own;

	assert_int_equal(budget_hold(o.w.b, &r, &own, &own_id, &no), 0);
	money_give_up(m, own, own_id);
	assert_int_equal(o.w.holds[own].state, GATE_HOLD_HELD);
	assert_int_equal(o.w.holds[own].amount_nanousd, 1000);
	budget_release(o.w.b, own);
	money_give_up(m, other, other_id);
	/* Once. */
	assert_int_equal(money_extend(m, other, 1, 1, 0, &held, &why), -EPERM);
	money_count_refusal(m, o.account);
	money_refusal(m, "bot", "p", "m", &why, T0 * S);
	assert_false(lost);
	money_free(m);
	money_serve_stop(s);
	(void)close(pair[1]);
	owner_done(&o, 3500);
}

/* ---- it moves while many ask */

struct caller {
	struct money *m;
	struct owner *o;
	pthread_t thread;
};

static void *calls(void *ctx)
{
	struct caller *c = ctx;

	for (int i = 0; i < ROUNDS; i++) {
		struct hold_request r = request(c->o, 10, NULL);
		struct refusal why;
		uint32_t slot;
		uint64_t id;

		/* 256 slots are enough for four callers, if rows become durable. */
		while (money_hold(c->m, &r, &slot, &id, &why) < 0)
			;
		money_sent(c->m, slot);
		struct ledger_call row = { .call_id = id, .endpoint = ENDPOINT_OPENAI_CHAT, .cost = 7, .usage_known = true, .status = 200,
					   .account = "bot", .agent = "bot", .provider = "p", .model = "m", .end = "done", .slot = slot,
					   .started_ns = T0 * S };

		(void)money_charge(c->m, slot, &row);
	}
	return NULL;
}

static void test_moves_under_load(void **state)
{
	struct owner o;
	_Atomic bool lost = false;
	struct caller callers[CALLERS];
	struct money_serve *s;
	struct money *m;
	int pair[2];

	(void)state;
	owner_init(&o);
	budget_set_owner(o.w.b, OLD);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(money_new(o.w.b, o.l, &m), 0);
	for (int i = 0; i < CALLERS; i++) {
		callers[i] = (struct caller){ .m = m, .o = &o };
		assert_int_equal(pthread_create(&callers[i].thread, NULL, calls, &callers[i]), 0);
	}
	/* Frozen and back; then away, with nobody there yet; then one owner's thread after the other. */
	money_freeze(m);
	size_t before = budget_in_flight(o.w.b);

	for (int i = 0; i < 50; i++)
		assert_true(budget_in_flight(o.w.b) <= before);
	money_thaw(m, o.w.b, o.l);
	money_freeze(m);
	money_thaw_away(m, pair[0], is_lost, &lost);
	for (int i = 0; i < 20; i++) {
		const struct timespec nap = { .tv_nsec = 1000000 };

		assert_int_equal(money_serve_start(pair[1], OLD, o.w.b, o.l, NULL, NULL, &s), 0);
		(void)nanosleep(&nap, NULL);
		money_serve_stop(s);
	}
	assert_int_equal(money_serve_start(pair[1], OLD, o.w.b, o.l, NULL, NULL, &s), 0);
	for (int i = 0; i < CALLERS; i++)
		(void)pthread_join(callers[i].thread, NULL);
	assert_false(lost);
	money_free(m);
	money_serve_stop(s);
	(void)close(pair[1]);
	owner_done(&o, CALLERS * ROUNDS * 7);
}

/* ---- one side is gone */

static void note_gone(void *ctx, uint32_t owner)
{
	assert_int_equal(owner, OLD);
	atomic_store((_Atomic bool *)ctx, true);
}

static void test_old_one_is_gone(void **state)
{
	struct owner o;
	_Atomic bool lost = false, gone = false;
	const struct timespec nap = { .tv_nsec = 1000000 };
	struct money_serve *s;
	struct refusal why;
	uint32_t slots[3];
	uint64_t ids[3];
	int pair[2];

	(void)state;
	owner_init(&o);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(money_serve_start(pair[1], OLD, o.w.b, o.l, note_gone, &gone, &s), 0);
	struct money *m = away(pair[0], &lost);
	struct hold_request r = request(&o, 1000, NULL);

	for (int i = 0; i < 3; i++)
		assert_int_equal(money_hold(m, &r, &slots[i], &ids[i], &why), 0);
	money_sent(m, slots[0]);
	money_sent(m, slots[1]);
	struct ledger_call c = row(m, slots[0], ids[0], 300);

	assert_int_equal(money_charge(m, slots[0], &c), 0);
	money_free(m);
	while (!gone)
		(void)nanosleep(&nap, NULL);
	/* The one that was sent at its whole hold, the one that was not given back, the one that was charged left alone. */
	assert_true(ledger_is_healthy(o.l));
	money_serve_stop(s);
	(void)close(pair[1]);
	owner_done(&o, 300 + 1000);
}

static void test_owner_is_gone(void **state)
{
	struct owner o;
	_Atomic bool lost = false;
	struct refusal why = { 0 };
	struct gate_hold h;
	uint32_t slot;
	uint64_t id;
	int pair[2];

	(void)state;
	owner_init(&o);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	struct money *m = away(pair[0], &lost);
	struct hold_request r = request(&o, 1000, NULL);

	(void)close(pair[1]);
	assert_int_equal(money_hold(m, &r, &slot, &id, &why), -EOWNERDEAD);
	assert_int_equal(why.reason, REFUSAL_LEDGER);
	assert_true(lost);
	money_get_hold(m, 3, &h);
	assert_int_equal(h.call_id, 0);
	assert_int_equal(money_afford(m, o.account, "m", T0 * S), 0);
	money_free(m);
	owner_done(&o, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_moves_under_load),
		cmocka_unit_test(test_old_one_is_gone),
		cmocka_unit_test(test_owner_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
