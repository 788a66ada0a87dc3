// SPDX-License-Identifier: Apache-2.0
/* Holds written ahead, and what a start makes of them; balances of accounts with calendars of their own and limits on models, after a restart. */
#include <errno.h>
#include <pthread.h>

#include "base/log.h"
#include "spend/audit.h"
#include "spend/ledger/db.h"
#include "spend/replay.h"
#include "spend_test.h"

struct machine {
	struct world w;
	char *dir, path[128];
	struct ledger *l;
	bool threaded;
	struct account_spec specs[8];
	size_t nspecs;
};

static void on_durable(void *ctx, uint32_t slot)
{
	budget_settled(((struct machine *)ctx)->w.b, slot);
}

static const struct ledger_calls calls = { .durable = on_durable };

static void open_ledger(struct machine *m)
{
	struct err e = { "" };
	int r = m->threaded ? ledger_open(m->path, &calls, m, &m->l, &e) : ledger_open_stepped(m->path, &calls, m, &m->l, &e);

	if (r < 0)
		fail_msg("%s", e.text);
}

static void machine_init(struct machine *m)
{
	memset(m, 0, sizeof(*m));
	m->dir = scratch_new();
	(void)snprintf(m->path, sizeof(m->path), "%s/ledger.db", m->dir);
	world_init(&m->w);
	open_ledger(m);
}

static void machine_done(struct machine *m)
{
	assert_int_equal(ledger_close(m->l), 0);
	world_done(&m->w);
	scratch_free(m->dir);
}

static struct replay_counts start(struct machine *m, int64_t now_s)
{
	struct replay_counts n = { 0 };
	struct err e = { "" };
	int r = replay_begin(m->w.b, m->l, now_s * S, &e);

	for (size_t i = 0; r == 0 && i < m->nspecs; i++)
		r = replay_account(m->w.b, m->l, &m->specs[i], now_s, NULL, &e);
	if (r == 0)
		r = replay_finish(m->w.b, m->l, now_s, &n, &e);
	if (r < 0)
		fail_msg("%s", e.text);
	budget_open(m->w.b);
	return n;
}

/* kill -9: the arrays stay. Power cut: they are gone. */
static struct replay_counts again(struct machine *m, bool power_cut, int64_t now_s)
{
	struct gate_account *accounts = m->w.accounts;
	struct gate_hold *holds = m->w.holds;

	(void)ledger_close(m->l);
	budget_free(m->w.b);
	if (power_cut) {
		memset(accounts, 0, ACCOUNTS * sizeof(*accounts));
		memset(holds, 0, HOLDS * sizeof(*holds));
	}
	assert_int_equal(budget_new(accounts, ACCOUNTS, holds, HOLDS, &m->w.b), 0);
	open_ledger(m);
	return start(m, now_s);
}

static struct account_spec *add(struct machine *m, const char *name, const char *parent, const char *zone, int32_t minute)
{
	struct account_spec *s = &m->specs[m->nspecs++];

	*s = spec_of(name, parent, -1, 1000000000);
	(void)snprintf(s->zone, sizeof(s->zone), "%s", zone);
	s->reset_minute = minute;
	return s;
}

struct one {
	uint32_t slot;
	uint64_t id;
	struct gate_hold h;
	const char *who, *model;
};

static struct one hold(struct machine *m, const char *who, const char *model, nanousd amount, int64_t now_s)
{
	struct hold_request r = { .account = budget_find(m->w.b, who), .amount = amount, .now_ns = now_s * S, .comm = "c", .model = model,
				  .provider_name = "p" };
	struct one o = { .who = who, .model = model };
	struct refusal why;

	if (budget_hold(m->w.b, &r, &o.slot, &o.id, &why) < 0)
		fail_msg("refused: %d %s %s", why.reason, why.rule, why.detail);
	budget_get_hold(m->w.b, o.slot, &o.h);
	struct ledger_hold h = { .call_id = o.id, .amount = amount, .started_ns = o.h.started_realtime_ns };

	(void)snprintf(h.account, sizeof(h.account), "%s", who);
	(void)snprintf(h.agent, sizeof(h.agent), "%s", who);
	(void)snprintf(h.provider, sizeof(h.provider), "p");
	(void)snprintf(h.model, sizeof(h.model), "%s", model);
	ledger_hold(m->l, &h);
	return o;
}

static void end(struct machine *m, const struct one *o, nanousd cost)
{
	struct ledger_call c = { .call_id = o->id, .cost = cost, .slot = o->slot, .started_ns = o->h.started_realtime_ns };

	(void)snprintf(c.account, sizeof(c.account), "%s", o->who);
	(void)snprintf(c.agent, sizeof(c.agent), "%s", o->who);
	(void)snprintf(c.provider, sizeof(c.provider), "p");
	(void)snprintf(c.model, sizeof(c.model), "%s", o->model);
	(void)budget_charge(m->w.b, o->slot, cost, false);
	ledger_call(m->l, &c);
}

static void give_up(struct machine *m, const struct one *o)
{
	budget_give_up(m->w.b, o->slot);
	ledger_hold_over(m->l, o->id, o->slot);
}

static void step(struct machine *m)
{
	assert_int_equal(ledger_step(m->l), 0);
}

struct holds {
	struct ledger_hold v[16];
	size_t n;
};

static void on_hold(void *ctx, const struct ledger_hold *h)
{
	struct holds *to = ctx;

	assert_true(to->n < 16);
	to->v[to->n++] = *h;
}

static struct holds written(struct machine *m)
{
	struct ledger_view *v;
	struct holds ret = { .n = 0 };

	assert_int_equal(ledger_view_open(m->l, &v, NULL), 0);
	assert_int_equal(ledger_view_begin(v), 0);
	assert_int_equal(ledger_view_holds(v, on_hold, &ret), 0);
	ledger_view_close(v);
	return ret;
}

static struct audit_report clean(struct machine *m)
{
	struct audit_report r;
	struct err e = { "" };

	if (audit_run(&(struct audit_input){ .budget = m->w.b, .ledger = m->l }, &r, &e) < 0)
		fail_msg("%s", e.text);
	return r;
}

static void last_row(void *ctx, const struct ledger_row *row)
{
	*(struct ledger_call *)ctx = row->call;
}

static struct ledger_call newest(struct machine *m)
{
	struct ledger_call c = { 0 };

	assert_int_equal(ledger_read(m->l, &(struct ledger_query){ .limit = 1 }, last_row, &c, NULL), 0);
	return c;
}

/* ---- written ahead */

static void only_what_is_still_open_is_written(void **state)
{
	struct machine m;

	machine_init(&m);
	(void)add(&m, "bot", "", "", 0);
	(void)start(&m, T0);
	struct one quick = hold(&m, "bot", "m", 100, T0), slow = hold(&m, "bot", "m", 800, T0);

	budget_sent(m.w.b, quick.slot);
	budget_sent(m.w.b, slow.slot);
	end(&m, &quick, 50);
	step(&m);
	struct holds got = written(&m);

	assert_int_equal(got.n, 1);
	assert_int_equal(got.v[0].call_id, slow.id);
	assert_int_equal(got.v[0].amount, 800);
	assert_string_equal(got.v[0].agent, "bot");
	assert_int_equal(got.v[0].started_ns, slow.h.started_realtime_ns);

	ledger_hold_grew(m.l, slow.id, 899); /* less than an eighth */
	step(&m);
	assert_int_equal(written(&m).v[0].amount, 800);
	ledger_hold_grew(m.l, slow.id, 900);
	step(&m);
	assert_int_equal(written(&m).v[0].amount, 900);
	ledger_hold_grew(m.l, slow.id, 400); /* never lowered */
	ledger_hold_grew(m.l, 12345, 400);   /* not known */
	step(&m);
	assert_int_equal(written(&m).v[0].amount, 900);
	(void)clean(&m);
	end(&m, &slow, 700);
	assert_int_equal(written(&m).n, 1);
	step(&m);
	assert_int_equal(written(&m).n, 0);
	assert_int_equal(clean(&m).ahead, 0);

	struct one never = hold(&m, "bot", "m", 10, T0);

	step(&m);
	give_up(&m, &never);
	ledger_hold_over(m.l, never.id, LEDGER_NO_SLOT);
	step(&m);
	assert_int_equal(written(&m).n, 0);
	machine_done(&m);
}

/* Its money is back at once; its slot waits until the disk has forgotten it. One that never was on the disk has nothing to wait for. */
static void what_is_given_up_keeps_its_slot_until_it_is_forgotten(void **state)
{
	struct machine m;

	machine_init(&m);
	(void)add(&m, "bot", "", "", 0);
	(void)start(&m, T0);
	struct one slow = hold(&m, "bot", "m", 800, T0);

	step(&m);
	struct one quick = hold(&m, "bot", "m", 100, T0);

	give_up(&m, &slow);
	give_up(&m, &quick);
	assert_int_equal(m.w.holds[slow.slot].state, GATE_HOLD_HELD);
	assert_int_equal(m.w.holds[slow.slot].amount_nanousd, 0);
	assert_int_equal(m.w.holds[quick.slot].state, GATE_HOLD_FREE);
	assert_int_equal(world_window(&m.w, budget_find(m.w.b, "bot"), WINDOW_DAY, T0).held, 0);
	struct audit_report r = clean(&m);

	assert_int_equal(r.holds, 0);
	assert_int_equal(r.ahead, 1);
	assert_int_equal(budget_remove_account(m.w.b, "bot", NULL), -EBUSY);
	step(&m);
	assert_int_equal(m.w.holds[slow.slot].state, GATE_HOLD_FREE);
	assert_int_equal(clean(&m).ahead, 0);
	assert_int_equal(budget_remove_account(m.w.b, "bot", NULL), 0);
	machine_done(&m);
}

/* Killed before the disk has forgotten it: nothing was sent, nothing is charged. Only a power cut, which takes the slot along, still charges it. */
static void what_was_given_up_is_not_charged_after_a_kill(void **state)
{
	for (int power_cut = 0; power_cut < 2; power_cut++) {
		struct machine m;

		machine_init(&m);
		(void)add(&m, "bot", "", "", 0);
		(void)start(&m, T0);
		struct one never = hold(&m, "bot", "m", 700, T0);

		step(&m);
		give_up(&m, &never);
		assert_int_equal(written(&m).n, 1);
		struct replay_counts n = again(&m, power_cut, T0 + 10);

		assert_int_equal(n.orphans_sent + n.orphans_charged + n.kept, 0);
		assert_int_equal(written(&m).n, 0);
		assert_int_equal(world_window(&m.w, budget_find(m.w.b, "bot"), WINDOW_TOTAL, T0 + 10).spent, power_cut ? 700 : 0);
		assert_int_equal(budget_in_flight(m.w.b), 0);
		(void)clean(&m);
		machine_done(&m);
	}
}

/* The same where the process that gave it up has handed over: nobody asks for it any more, so it is not kept. */
static void what_was_given_up_is_not_kept(void **state)
{
	const uint32_t owner = 7;
	struct machine m;

	machine_init(&m);
	(void)add(&m, "bot", "", "", 0);
	(void)start(&m, T0);
	budget_set_owner(m.w.b, owner);
	struct one goes_on = hold(&m, "bot", "m", 300, T0), never = hold(&m, "bot", "m", 700, T0);

	step(&m);
	give_up(&m, &never);
	(void)ledger_close(m.l);
	budget_free(m.w.b);
	assert_int_equal(budget_new(m.w.accounts, ACCOUNTS, m.w.holds, HOLDS, &m.w.b), 0);
	budget_keep(m.w.b, &owner, 1);
	open_ledger(&m);
	assert_int_equal(start(&m, T0 + 1).kept, 1);
	assert_int_equal(written(&m).n, 1);
	assert_int_equal(m.w.holds[never.slot].state, GATE_HOLD_FREE);
	/* And if that process ends without a word: what it held is given up like any other. */
	struct replay_counts n;

	replay_abandoned(m.w.b, m.l, owner, &n);
	assert_int_equal(m.w.holds[goes_on.slot].state, GATE_HOLD_HELD);
	assert_int_equal(m.w.holds[goes_on.slot].amount_nanousd, 0);
	replay_abandoned(m.w.b, m.l, owner, &n);
	step(&m);
	assert_int_equal(budget_in_flight(m.w.b), 0);
	assert_int_equal(written(&m).n, 0);
	(void)clean(&m);
	machine_done(&m);
}

static void after_a_power_cut_what_was_open_is_charged(void **state)
{
	struct machine m;

	machine_init(&m);
	(void)add(&m, "org", "", "", 0);
	(void)add(&m, "bot", "org", "Asia/Kathmandu", 90);
	(void)start(&m, T0);
	struct one a = hold(&m, "bot", "m-1", 700, T0), b = hold(&m, "bot", "m-2", 300, T0 + 1);

	budget_sent(m.w.b, a.slot);
	budget_sent(m.w.b, b.slot);
	step(&m);
	end(&m, &b, 120);
	step(&m);
	/* Begun and lost before anything was written: what a power cut may take with it. */
	struct one lost = hold(&m, "bot", "m-1", 5, T0 + 2);

	(void)lost;
	(void)again(&m, true, T0 + 60);
	assert_int_equal(written(&m).n, 0);
	assert_int_equal(world_window(&m.w, budget_find(m.w.b, "bot"), WINDOW_TOTAL, T0 + 60).spent, 820);
	assert_int_equal(world_window(&m.w, budget_find(m.w.b, "org"), WINDOW_DAY, T0 + 60).spent, 820);
	assert_int_equal(world_window(&m.w, budget_find(m.w.b, "org"), WINDOW_DAY, T0 + 60).held, 0);
	(void)clean(&m);
	/* Once, and not again. */
	(void)again(&m, true, T0 + 120);
	assert_int_equal(world_window(&m.w, budget_find(m.w.b, "bot"), WINDOW_TOTAL, T0 + 120).spent, 820);
	struct ledger_call c = newest(&m);

	assert_int_equal(c.call_id, b.id);
	struct one next = hold(&m, "bot", "m-1", 1, T0 + 121);

	assert_true(next.id > b.id); /* ids go on above all that were seen */
	step(&m);
	machine_done(&m);
}

static void after_a_kill_the_slots_decide(void **state)
{
	struct machine m;

	machine_init(&m);
	(void)add(&m, "bot", "", "", 0);
	(void)start(&m, T0);
	struct one sent = hold(&m, "bot", "m", 700, T0), held = hold(&m, "bot", "m", 300, T0), charged = hold(&m, "bot", "m", 50, T0);

	budget_sent(m.w.b, sent.slot);
	budget_sent(m.w.b, charged.slot);
	step(&m);
	assert_int_equal(written(&m).n, 3);
	(void)budget_charge(m.w.b, charged.slot, 40, false); /* and the row never got into the queue */
	struct replay_counts n = again(&m, false, T0 + 10);

	assert_int_equal(n.orphans_sent, 1);
	assert_int_equal(n.orphans_charged, 1);
	step(&m);
	assert_int_equal(written(&m).n, 0);
	assert_int_equal(world_window(&m.w, budget_find(m.w.b, "bot"), WINDOW_TOTAL, T0 + 10).spent, 740);
	assert_int_equal(world_window(&m.w, budget_find(m.w.b, "bot"), WINDOW_TOTAL, T0 + 10).held, 0);
	(void)held;
	(void)clean(&m);
	machine_done(&m);
}

/* Without a daemon the audit says what the next start will do; with one, a hold without a slot is wrong. */
static void the_audit_sees_holds_without_a_slot(void **state)
{
	struct machine m;
	struct audit_report r;
	struct err e = { "" };
	struct ledger_hold ghost = { .call_id = 999, .account = "bot", .agent = "bot", .amount = 77, .started_ns = T0 * S };

	machine_init(&m);
	(void)add(&m, "bot", "", "", 0);
	(void)start(&m, T0);
	ledger_hold(m.l, &ghost);
	step(&m);
	const struct audit_input offline = { .accounts = m.w.accounts, .naccounts = ACCOUNTS, .holds = m.w.holds, .nholds = HOLDS,
					     .ledger = m.l };

	assert_int_equal(audit_run(&offline, &r, &e), 0);
	assert_int_equal(r.open_stale, 1);
	assert_int_equal(r.open_cost, 77);
	assert_int_equal(audit_run(&(struct audit_input){ .budget = m.w.b, .ledger = m.l }, &r, &e), -EUCLEAN);
	assert_non_null(strstr(e.text, "call 999"));
	ledger_hold_over(m.l, 999, LEDGER_NO_SLOT);
	step(&m);
	(void)clean(&m);
	machine_done(&m);
}

struct tale {
	size_t mine, others;
};

static void on_hour(void *ctx, const struct ledger_hour *h)
{
	struct tale *t = ctx;

	(*(strcmp(h->account, "bot") == 0 ? &t->mine : &t->others))++;
}

static void on_call(void *ctx, const struct ledger_call *c)
{
	struct tale *t = ctx;

	(*(strcmp(c->account, "bot") == 0 ? &t->mine : &t->others))++;
}

/* While calls run the ledger is asked for the accounts concerned, not for everybody's history. */
static void one_account_is_read_by_itself(void **state)
{
	struct machine m;
	struct ledger_view *v;
	struct tale hours = { 0 }, all = { 0 }, some = { 0 }, every = { 0 };

	machine_init(&m);
	(void)add(&m, "bot", "", "", 0);
	(void)add(&m, "cat", "", "", 0);
	(void)start(&m, T0);
	for (int i = 0; i < 6; i++) {
		struct one o = hold(&m, i % 3 ? "cat" : "bot", "m", 10, T0 + i * 3600);

		end(&m, &o, 5);
		step(&m);
	}
	assert_int_equal(ledger_view_open(m.l, &v, NULL), 0);
	assert_int_equal(ledger_view_begin(v), 0);
	assert_int_equal(ledger_view_hours(v, "bot", on_hour, &hours), 0);
	assert_int_equal(ledger_view_hours(v, NULL, on_hour, &all), 0);
	assert_int_equal(ledger_view_calls(v, "bot", T0, T0 + 4 * 3600, on_call, &some), 0);
	assert_int_equal(ledger_view_calls(v, NULL, T0, T0 + 4 * 3600, on_call, &every), 0);
	ledger_view_close(v);
	assert_true(hours.mine == 2 && hours.others == 0);
	assert_true(all.mine == 2 && all.others == 4);
	assert_true(some.mine == 2 && some.others == 0);
	assert_true(every.mine == 2 && every.others == 2);
	machine_done(&m);
}

#define THREADS 4
#define EACH 3000

static void *many(void *arg)
{
	struct machine *m = arg;
	static _Atomic uint64_t ids = 1;
	unsigned rnd = (unsigned)(uintptr_t)&rnd;

	for (int i = 0; i < EACH; i++) {
		uint64_t id = ids++;
		struct ledger_hold h = { .call_id = id, .amount = 100, .account = "bot", .agent = "bot", .started_ns = T0 * S };
		struct ledger_call c = { .call_id = id, .cost = 1, .account = "bot", .agent = "bot", .slot = LEDGER_NO_SLOT, .started_ns = T0 * S };

		ledger_hold(m->l, &h);
		if (rand_r(&rnd) % 50 == 0)
			(void)usleep(6000);
		ledger_hold_grew(m->l, id, 100 + rand_r(&rnd) % 100);
		if (rand_r(&rnd) % 3 == 0)
			ledger_hold_over(m->l, id, LEDGER_NO_SLOT);
		else
			ledger_call(m->l, &c);
	}
	return NULL;
}

static void many_threads_at_once(void **state)
{
	struct machine m = { .threaded = true };
	pthread_t threads[THREADS];
	nanousd spent;
	struct err e = { "" };

	m.dir = scratch_new();
	(void)snprintf(m.path, sizeof(m.path), "%s/ledger.db", m.dir);
	world_init(&m.w);
	open_ledger(&m);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, many, &m), 0);
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	assert_int_equal(ledger_change(m.l, "me", "the last", T0 * S), 0); /* durable after all before it */
	assert_int_equal(written(&m).n, 0);
	assert_int_equal(ledger_spent(m.l, "bot", 0, &spent, NULL), 0);
	assert_true(spent > THREADS * EACH / 2 && spent < THREADS * EACH);
	if (ledger_check(m.l, &e) < 0)
		fail_msg("%s", e.text);
	print_message("%d holds by %d threads, %lld charged\n", THREADS * EACH, THREADS, (long long)spent);
	machine_done(&m);
}

/* ---- calendars and models */

static void balances_come_back(bool power_cut)
{
	static const char *const models[] = { "gpt-5", "gpt-5-mini", "claude" };
	struct machine m;
	unsigned rnd = 4711;
	int64_t now = T0;

	machine_init(&m);
	(void)add(&m, "org", "", "Australia/Lord_Howe", 0);
	struct account_spec *team = add(&m, "team", "org", "Asia/Kathmandu", 17);

	(void)add(&m, "bot", "team", "America/New_York", 1439);
	struct account_spec *cat = add(&m, "cat", "team", "", 0);

	team->rules.nmodel_limits = 2;
	team->rules.model_limits[0] = (struct model_limit){ .models = "gpt-5*", .limits = { GATE_NO_LIMIT, 900000000, GATE_NO_LIMIT, 900000000, GATE_NO_LIMIT } };
	team->rules.model_limits[1] = (struct model_limit){ .models = "claude", .limits = { 900000000, GATE_NO_LIMIT, GATE_NO_LIMIT, GATE_NO_LIMIT, 900000000 } };
	cat->rules.nmodel_limits = 1;
	cat->rules.model_limits[0] = (struct model_limit){ .models = "*mini", .limits = { GATE_NO_LIMIT, GATE_NO_LIMIT, 900000000, GATE_NO_LIMIT, 900000000 } };
	(void)start(&m, now);
	for (int round = 0; round < 12; round++) {
		for (int i = 0; i < 30; i++) {
			struct one o = hold(&m, rand_r(&rnd) % 2 ? "bot" : "cat", models[rand_r(&rnd) % 3], 5000, now);

			budget_sent(m.w.b, o.slot);
			now += rand_r(&rnd) % 4000;
			end(&m, &o, rand_r(&rnd) % 5000);
			if (rand_r(&rnd) % 3 == 0)
				step(&m);
		}
		step(&m);
		struct audit_report r = clean(&m);

		assert_int_equal(r.models, 3);
		now += rand_r(&rnd) % 20000;
		(void)again(&m, power_cut, now);
		r = clean(&m);
		assert_int_equal(r.models, 3);
		assert_int_equal(r.models_moving, 0);
	}
	machine_done(&m);
}

static void balances_come_back_after_a_kill(void **state) { balances_come_back(false); }
static void balances_come_back_after_a_power_cut(void **state) { balances_come_back(true); }

/* A limit on models that is made while calls run knows what was spent before. */
static void a_limit_on_models_that_comes_later(void **state)
{
	struct machine m;
	struct rules_view v;
	struct err e = { "" };

	machine_init(&m);
	(void)add(&m, "org", "", "", 0);
	struct account_spec *bot = add(&m, "bot", "org", "Asia/Kathmandu", 0);

	(void)start(&m, T0);
	for (int i = 0; i < 50; i++) {
		struct one o = hold(&m, "bot", i % 2 ? "gpt-5" : "claude", 100, T0 + i * 200);

		budget_sent(m.w.b, o.slot);
		end(&m, &o, 10);
		if (i < 45) /* the last ones are charged and not yet durable */
			step(&m);
	}
	bot->rules.nmodel_limits = 1;
	bot->rules.model_limits[0] = (struct model_limit){ .models = "gpt*", .limits = { GATE_NO_LIMIT, 500, GATE_NO_LIMIT, GATE_NO_LIMIT, 500 } };
	assert_int_equal(replay_account(m.w.b, m.l, bot, T0 + 10000, NULL, &e), 0);
	uint32_t i = budget_find(m.w.b, "bot");

	if (replay_models(m.w.b, m.l, i, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(budget_rules_view(m.w.b, i, (T0 + 10000) * S, &v), 0);
	assert_int_equal(v.model_limits[0].windows[WINDOW_TOTAL].spent, 250);
	(void)clean(&m);
	step(&m);
	(void)clean(&m);
	machine_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_is_still_open_is_written),
		cmocka_unit_test(after_a_power_cut_what_was_open_is_charged),
		cmocka_unit_test(what_is_given_up_keeps_its_slot_until_it_is_forgotten),
		cmocka_unit_test(what_was_given_up_is_not_charged_after_a_kill),
		cmocka_unit_test(what_was_given_up_is_not_kept),
		cmocka_unit_test(one_account_is_read_by_itself),
		cmocka_unit_test(after_a_kill_the_slots_decide),
		cmocka_unit_test(the_audit_sees_holds_without_a_slot),
		cmocka_unit_test(many_threads_at_once),
		cmocka_unit_test(balances_come_back_after_a_kill),
		cmocka_unit_test(balances_come_back_after_a_power_cut),
		cmocka_unit_test(a_limit_on_models_that_comes_later),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
