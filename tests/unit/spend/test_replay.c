// SPDX-License-Identifier: Apache-2.0
/*
 * A daemon's death and the next one's start: the arrays stand in shared memory as they would in the kernel, a child spends from them with
 * four threads and is killed -9 (at random, and in a build with CRASH=1 at every named point), the parent starts over and audits.
 * Also accounts that go and come back.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "spend/audit.h"
#include "spend/replay.h"
#include "spend_test.h"

#define TRUTH_MAX (1 << 20)

/* What outlives a daemon, and what a bystander saw of it. */
struct truth {
	struct gate_account accounts[ACCOUNTS];
	struct gate_hold holds[HOLDS];
	_Atomic int64_t now_s;
	_Atomic uint32_t n;
	/* Bytes of this call went out (recorded just before they would): it must be in the ledger in the end. */
	struct {
		_Atomic uint64_t id;
		int64_t amount;
		_Atomic int64_t cost; /* -1 = not charged when the daemon died */
	} sent[TRUTH_MAX];
};

struct daemon {
	struct truth *t;
	struct budget *b;
	struct ledger *l;
	struct replay_counts counts;
};

static void on_durable(void *ctx, uint32_t slot)
{
	budget_settled(((struct daemon *)ctx)->b, slot);
}

static const struct ledger_calls calls = { .durable = on_durable };

static const struct {
	const char *name, *parent;
	int64_t day, total;
} config[] = {
	{ "org", "", -1, INT64_C(100000000) }, { "team", "org", 900000, -1 }, { "a", "team", -1, -1 }, { "b", "team", 500000, -1 },
	{ "c", "org", -1, INT64_C(50000000) },
};

static int daemon_start(struct daemon *d, struct truth *t, const char *path, struct err *e)
{
	int64_t now_s = atomic_load(&t->now_s);

	*d = (struct daemon){ .t = t };
	int r = budget_new(t->accounts, ACCOUNTS, t->holds, HOLDS, &d->b);

	if (r == 0)
		r = ledger_open(path, &calls, d, &d->l, e);
	if (r == 0)
		r = replay_begin(d->b, d->l, now_s * S, e);
	for (size_t i = 0; r == 0 && i < sizeof(config) / sizeof(config[0]); i++) {
		struct account_spec s = spec_of(config[i].name, config[i].parent, config[i].day, config[i].total);

		r = replay_account(d->b, d->l, &s, now_s, NULL, e);
	}
	if (r == 0)
		r = replay_finish(d->b, d->l, now_s, &d->counts, e);
	if (r == 0)
		budget_open(d->b);
	return r;
}

static void daemon_stop(struct daemon *d)
{
	assert_int_equal(ledger_close(d->l), 0);
	budget_free(d->b);
}

/* ---- the child: calls without end */

struct worker {
	struct daemon *d;
	unsigned rnd;
};

static void one_call(struct worker *w)
{
	struct daemon *d = w->d;
	struct truth *t = d->t;
	const char *who = config[2 + rand_r(&w->rnd) % 3].name;
	int64_t now_s = atomic_fetch_add(&t->now_s, rand_r(&w->rnd) % 50 == 0 ? 60 : 0);
	struct hold_request q = { .account = budget_find(d->b, who), .amount = 1 + rand_r(&w->rnd) % 900, .now_ns = now_s * S,
				  .comm = "t", .model = "m", .provider_name = "p" };
	struct ledger_call c = { .held = q.amount, .endpoint = ENDPOINT_OPENAI_CHAT, .status = 200 };
	struct refusal why;
	struct gate_hold h;

	if (budget_hold(d->b, &q, &c.slot, &c.call_id, &why) < 0) {
		(void)usleep(100);
		return;
	}
	budget_get_hold(d->b, c.slot, &h);
	if (rand_r(&w->rnd) % 5 == 0) {
		budget_release(d->b, c.slot);
		return;
	}
	budget_sent(d->b, c.slot);
	uint32_t n = atomic_fetch_add(&t->n, 1);

	if (n >= TRUTH_MAX)
		_exit(3);
	t->sent[n].amount = q.amount;
	atomic_store(&t->sent[n].cost, -1);
	atomic_store(&t->sent[n].id, c.call_id);
	c.cost = rand_r(&w->rnd) % (q.amount + 1);
	c.started_ns = h.started_realtime_ns;
	(void)snprintf(c.account, sizeof(c.account), "%s", who);
	(void)snprintf(c.agent, sizeof(c.agent), "%s", who);
	(void)snprintf(c.end, sizeof(c.end), "done");
	if (rand_r(&w->rnd) % 4 == 0)
		(void)usleep(rand_r(&w->rnd) % 300);
	(void)budget_charge(d->b, c.slot, c.cost, false);
	atomic_store(&t->sent[n].cost, c.cost);
	ledger_call(d->l, &c);
}

static void *work(void *arg)
{
	for (;;)
		one_call(arg);
	return NULL;
}

static void child(struct truth *t, const char *path, unsigned seed)
{
	static struct daemon d;
	struct worker workers[4];
	pthread_t threads[4];
	struct err e = { "" };

	if (daemon_start(&d, t, path, &e) < 0) {
		(void)fprintf(stderr, "child: %s\n", e.text);
		_exit(2);
	}
	for (int i = 0; i < 4; i++) {
		workers[i] = (struct worker){ &d, seed + (unsigned)i };
		if (pthread_create(&threads[i], NULL, work, &workers[i]))
			_exit(2);
	}
	(void)pthread_join(threads[0], NULL);
	_exit(4);
}

/* ---- the parent: start over, prove */

struct found {
	struct truth *t;

	size_t n;
};

static void audit_is_clean(struct daemon *d, struct audit_report *ret)
{
	struct err e = { "" };

	if (audit_run(&(struct audit_input){ .budget = d->b, .ledger = d->l }, ret, &e) < 0)
		fail_msg("%s", e.text);
}

static void check_row(void *ctx, const struct ledger_row *row)
{
	struct found *f = ctx;
	struct truth *t = f->t;

	f->n++;
	/* ids are few enough for a search from the end */
	for (uint32_t i = atomic_load(&t->n); i-- > 0;) {
		if (atomic_load(&t->sent[i].id) != row->call.call_id)
			continue;
		int64_t cost = atomic_load(&t->sent[i].cost);

		if (cost >= 0)
			assert_int_equal(row->call.cost, cost);
		else if (strcmp(row->call.end, "orphan") == 0)
			assert_int_equal(row->call.cost, t->sent[i].amount); /* unknown: the whole hold */
		assert_true(row->call.cost <= t->sent[i].amount);
		return;
	}
	/* The bystander had no time to note it: killed between sent and the note. */
	assert_string_equal(row->call.end, "orphan");
}

static void start_over_and_prove(struct truth *t, const char *path, struct replay_counts *sum)
{
	struct daemon d;
	struct audit_report report;
	struct err e = { "" };
	uint32_t n = atomic_load(&t->n);

	if (daemon_start(&d, t, path, &e) < 0)
		fail_msg("%s", e.text);
	audit_is_clean(&d, &report);
	assert_int_equal(report.holds, 0);
	for (int i = 0; i < 5000 && budget_in_flight(d.b); i++)
		(void)usleep(1000);
	assert_int_equal(budget_in_flight(d.b), 0); /* no hold leaks */
	audit_is_clean(&d, &report);
	assert_int_equal(report.pending, 0);
	assert_int_equal(report.unplaced, 0);
	for (uint32_t i = 0; i < n; i++)
		if (atomic_load(&t->sent[i].id) && ledger_has_call(d.l, atomic_load(&t->sent[i].id), NULL) != 1)
			fail_msg("call %llu was sent and is not in the ledger", (unsigned long long)t->sent[i].id);
	struct found f = { .t = t };

	assert_int_equal(ledger_read(d.l, &(struct ledger_query){ .limit = 100000 }, check_row, &f, &e), 0);
	/* From here on only what comes is looked for. */
	memset(t->sent, 0, n * sizeof(t->sent[0]));
	sum->orphans_sent += d.counts.orphans_sent;
	sum->orphans_charged += d.counts.orphans_charged;
	sum->orphans_known += d.counts.orphans_known;
	daemon_stop(&d);
}

static struct truth *truth_new(void)
{
	struct truth *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(t, MAP_FAILED);
	atomic_store(&t->now_s, T0);
	return t;
}

/* One ledger per round: rows of earlier rounds would be looked for in vain. */
static void round_of(const char *crash, unsigned seed, useconds_t until_us, struct replay_counts *sum)
{
	char *dir = scratch_new(), path[128];
	struct truth *t = truth_new();
	int status;

	(void)snprintf(path, sizeof(path), "%s/ledger.db", dir);
	for (int life = 0; life < 2; life++) { /* the second inherits what the first one's successor made of it */
		pid_t pid = fork();

		if (pid == 0) {
			if (crash)
				(void)setenv("PURSE_CRASH", crash, 1);
			child(t, path, seed + (unsigned)life * 10);
		}
		if (!crash) {
			(void)usleep(until_us);
			assert_int_equal(kill(pid, SIGKILL), 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSIGNALED(status))
			fail_msg("the child ended by itself: %d", WEXITSTATUS(status));
		if (life == 0) {
			struct replay_counts ignored = { 0 };

			start_over_and_prove(t, path, sum);
			(void)ignored;
			/* rows of the first life are known; forget them */
			atomic_store(&t->n, 0);
			scratch_free(dir);
			dir = scratch_new();
			(void)snprintf(path, sizeof(path), "%s/ledger.db", dir);
			memset(t->accounts, 0, sizeof(t->accounts));
			memset(t->holds, 0, sizeof(t->holds));
		} else {
			start_over_and_prove(t, path, sum);
		}
	}
	(void)munmap(t, sizeof(*t));
	scratch_free(dir);
}

static void killed_at_random(void **state)
{
	struct replay_counts sum = { 0 };
	unsigned rnd = 20261124;

	print_message("seed %u\n", rnd);
	for (int i = 0; i < 15; i++)
		round_of(NULL, 100u * (unsigned)i, 15000 + (useconds_t)(rand_r(&rnd) % 60000), &sum);
	print_message("30 kills: %zu calls in flight, %zu charged without a row, %zu with\n", sum.orphans_sent, sum.orphans_charged,
		      sum.orphans_known);
	assert_true(sum.orphans_sent + sum.orphans_charged > 0);
}

static void killed_at_every_named_point(void **state)
{
#ifdef PURSE_CRASH_POINTS
	static const char *const points[] = {
		"hold-taken", "hold-taken:500", "sent", "sent:333", "charged", "charged:400", "ledger-before-commit", "ledger-before-commit:9",
		"ledger-after-commit", "ledger-after-commit:9", "settled", "settled:250",
	};

	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		struct replay_counts sum = { 0 };

		round_of(points[i], 7u * (unsigned)i, 0, &sum);
		print_message("%-24s %zu in flight, %zu charged without a row, %zu with\n", points[i], sum.orphans_sent, sum.orphans_charged,
			      sum.orphans_known);
	}
#else
	print_message("needs a build with CRASH=1\n");
	skip();
#endif
}

/* One daemon after the other on the same books, with the same ledger all along. */
static void many_lives_one_ledger(void **state)
{
	char *dir = scratch_new(), path[128];
	struct truth *t = truth_new();
	struct audit_report report = { 0 };
	int64_t spent = 0;

	(void)snprintf(path, sizeof(path), "%s/ledger.db", dir);
	for (int life = 0; life < 12; life++) {
		int status;
		struct daemon d;
		struct err e = { "" };
		pid_t pid = fork();

		if (pid == 0)
			child(t, path, 1000u + (unsigned)life * 4);
		(void)usleep(30000);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (life == 5) /* a reboot: kernel memory is gone, what was in flight with it */
			memset(t->holds, 0, sizeof(t->holds));
		if (life % 3 == 2)
			(void)atomic_fetch_add(&t->now_s, 86400);
		if (daemon_start(&d, t, path, &e) < 0)
			fail_msg("%s", e.text);
		audit_is_clean(&d, &report);
		assert_true(report.spent >= spent);
		spent = report.spent;
		for (int i = 0; i < 5000 && budget_in_flight(d.b); i++)
			(void)usleep(1000);
		audit_is_clean(&d, &report);
		daemon_stop(&d);
	}
	print_message("12 lives spent %lld nano-dollars\n", (long long)spent);
	assert_true(spent > 0);
	(void)munmap(t, sizeof(*t));
	scratch_free(dir);
}

/* ---- accounts that go and come back */

struct shop {
	struct truth *t;
	struct daemon d;
	char *dir, path[128];
};

static void shop_open(struct shop *s)
{
	struct err e = { "" };

	s->t = truth_new();
	s->dir = scratch_new();
	(void)snprintf(s->path, sizeof(s->path), "%s/ledger.db", s->dir);
	if (daemon_start(&s->d, s->t, s->path, &e) < 0)
		fail_msg("%s", e.text);
}

static void shop_restart(struct shop *s)
{
	struct err e = { "" };

	daemon_stop(&s->d);
	if (daemon_start(&s->d, s->t, s->path, &e) < 0)
		fail_msg("%s", e.text);
}

static void shop_close(struct shop *s)
{
	daemon_stop(&s->d);
	(void)munmap(s->t, sizeof(*s->t));
	scratch_free(s->dir);
}

static void add(struct shop *s, const char *name, const char *parent)
{
	struct account_spec spec = spec_of(name, parent, -1, -1);
	struct err e = { "" };

	if (replay_account(s->d.b, s->d.l, &spec, T0, NULL, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(ledger_save_account(s->d.l, &spec, false), 0);
}

static void rm(struct shop *s, const char *name, const char *parent)
{
	struct account_spec spec = spec_of(name, parent, -1, -1);
	struct err e = { "" };

	if (budget_remove_account(s->d.b, name, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(ledger_save_account(s->d.l, &spec, true), 0);
}

static void spend(struct shop *s, const char *who, nanousd cost)
{
	struct hold_request q = { .account = budget_find(s->d.b, who), .amount = cost, .now_ns = T0 * S };
	struct ledger_call c = { .cost = cost, .held = cost, .started_ns = T0 * S };
	struct refusal why;

	assert_int_equal(budget_hold(s->d.b, &q, &c.slot, &c.call_id, &why), 0);
	(void)snprintf(c.account, sizeof(c.account), "%s", who);
	budget_sent(s->d.b, c.slot);
	(void)budget_charge(s->d.b, c.slot, cost, false);
	ledger_call(s->d.l, &c);
	for (int i = 0; i < 5000 && budget_in_flight(s->d.b); i++)
		(void)usleep(1000);
	assert_int_equal(budget_in_flight(s->d.b), 0);
}

static nanousd spent_of(struct shop *s, const char *who)
{
	struct account_view v;

	assert_int_equal(budget_view(s->d.b, budget_find(s->d.b, who), T0, &v), 0);
	return v.windows[WINDOW_TOTAL].spent;
}

static void even(struct shop *s)
{
	struct audit_report r;

	audit_is_clean(&s->d, &r);
}

static void what_a_removed_account_spent_counts_above_it(void **state)
{
	struct shop s;

	shop_open(&s);
	add(&s, "bot", "team");
	spend(&s, "bot", 100);
	spend(&s, "a", 7);
	even(&s);
	rm(&s, "bot", "team");
	assert_int_equal(spent_of(&s, "team"), 107);
	even(&s);
	shop_restart(&s);
	assert_int_equal(s.d.counts.gone_accounts, 1);
	assert_int_equal(spent_of(&s, "team"), 107); /* not given back by a restart */
	assert_int_equal(spent_of(&s, "org"), 107);
	even(&s);
	shop_close(&s);
}

static void an_account_that_comes_back_brings_what_it_spent(void **state)
{
	static const char *const homes[] = { "team", "c", "", "org" };

	for (size_t i = 0; i < 4; i++) {
		struct shop s;

		shop_open(&s);
		add(&s, "bot", "team");
		spend(&s, "bot", 100);
		rm(&s, "bot", "team");
		add(&s, "bot", homes[i]);
		assert_int_equal(spent_of(&s, "bot"), 100); /* removing and adding is no way to a fresh budget */
		assert_int_equal(spent_of(&s, "team"), i == 0 ? 100 : 0);
		assert_int_equal(spent_of(&s, "c"), i == 1 ? 100 : 0);
		assert_int_equal(spent_of(&s, "org"), i == 2 ? 0 : 100);
		even(&s);
		spend(&s, "bot", 11);
		even(&s);
		daemon_stop(&s.d); /* bot is not in the config: gone after a restart, counted where it stood last */
		struct err e = { "" };

		if (daemon_start(&s.d, s.t, s.path, &e) < 0)
			fail_msg("%s", e.text);
		assert_int_equal(spent_of(&s, "org"), i == 2 ? 0 : 111);
		even(&s);
		shop_close(&s);
	}
}

/* The budget has it, the row could not be written: as if it had never been added, wherever it was to stand. */
static void an_account_that_could_not_be_saved_leaves_its_money(void **state)
{
	static const char *const homes[] = { "team", "c", "", "org" };

	for (size_t i = 0; i < 4; i++) {
		struct account_spec spec = { .name = "bot" };
		struct err e = { "" };
		struct shop s;

		shop_open(&s);
		add(&s, "bot", "team");
		spend(&s, "bot", 100);
		rm(&s, "bot", "team");
		(void)snprintf(spec.parent, sizeof(spec.parent), "%s", homes[i]);
		for (int w = 0; w < WINDOW_COUNT; w++)
			spec.limits[w] = GATE_NO_LIMIT;
		assert_int_equal(replay_account(s.d.b, s.d.l, &spec, T0, NULL, &e), 0);
		replay_take_back(s.d.b, s.d.l, &spec, T0);
		assert_int_equal(budget_find(s.d.b, "bot"), 0);
		assert_int_equal(spent_of(&s, "team"), 100);
		assert_int_equal(spent_of(&s, "c"), 0);
		assert_int_equal(spent_of(&s, "org"), 100);
		even(&s);
		shop_close(&s);
	}
}

static void whole_branches_go_and_come_back(void **state)
{
	struct shop s;

	shop_open(&s);
	add(&s, "run", "team");
	add(&s, "s1", "run");
	add(&s, "s2", "run");
	spend(&s, "s1", 10);
	spend(&s, "s2", 20);
	spend(&s, "run", 5);
	rm(&s, "s1", "run");
	even(&s);
	rm(&s, "s2", "run");
	rm(&s, "run", "team");
	assert_int_equal(spent_of(&s, "team"), 35);
	even(&s);
	add(&s, "s2", "a"); /* one of them elsewhere */
	assert_int_equal(spent_of(&s, "s2"), 20);
	assert_int_equal(spent_of(&s, "a"), 20);
	assert_int_equal(spent_of(&s, "team"), 35);
	even(&s);
	add(&s, "run", "c"); /* brings itself and s1 */
	assert_int_equal(spent_of(&s, "run"), 15);
	assert_int_equal(spent_of(&s, "c"), 15);
	assert_int_equal(spent_of(&s, "team"), 20);
	assert_int_equal(spent_of(&s, "org"), 35);
	even(&s);
	shop_restart(&s);
	assert_int_equal(spent_of(&s, "org"), 35);
	even(&s);
	shop_close(&s);
}

static void sixty_sessions_leave_their_bill(void **state)
{
	struct shop s;
	char name[16];

	shop_open(&s);
	for (int i = 0; i < 60; i++) {
		(void)snprintf(name, sizeof(name), "s%d", i);
		add(&s, name, "team");
		spend(&s, name, 10);
		rm(&s, name, "team");
	}
	assert_int_equal(spent_of(&s, "team"), 600);
	even(&s);
	shop_restart(&s);
	assert_int_equal(spent_of(&s, "team"), 600);
	assert_int_equal(s.d.counts.gone_accounts, 60);
	even(&s);
	shop_close(&s);
}

/* ---- clocks */

static void a_restart_with_a_clock_that_went_back(void **state)
{
	struct shop s;
	struct account_view v;

	shop_open(&s);
	struct hold_request q = { .account = budget_find(s.d.b, "b"), .amount = 100, .now_ns = (T0 + 86400) * S };
	struct ledger_call c = { .cost = 100, .held = 100, .account = "b", .started_ns = (T0 + 86400) * S };
	struct refusal why;

	assert_int_equal(budget_hold(s.d.b, &q, &c.slot, &c.call_id, &why), 0);
	(void)budget_charge(s.d.b, c.slot, 100, false);
	uint64_t id = c.call_id;

	ledger_call(s.d.l, &c);
	shop_restart(&s); /* at T0: a day before its newest call */
	assert_int_equal(budget_view(s.d.b, budget_find(s.d.b, "b"), T0, &v), 0);
	assert_int_equal(v.windows[WINDOW_DAY].spent, 100); /* tomorrow's window is the one in force, and it is not fresh */
	assert_true(v.windows[WINDOW_DAY].start_s > T0);
	even(&s);
	q.now_ns = T0 * S;
	assert_int_equal(budget_hold(s.d.b, &q, &c.slot, &c.call_id, &why), 0);
	assert_true(c.call_id > id);
	budget_release(s.d.b, c.slot);
	shop_close(&s);
}

static void a_ledger_from_the_far_future_does_not_stop_the_clock(void **state)
{
	struct shop s;
	struct account_view v;

	shop_open(&s);
	struct ledger_call c = { .call_id = 5, .cost = 100, .account = "b", .started_ns = (T0 + 86400 * 4000) * S, .slot = 0 };
	struct hold_request q = { .account = budget_find(s.d.b, "b"), .amount = 100, .now_ns = c.started_ns };
	struct refusal why;

	assert_int_equal(budget_hold(s.d.b, &q, &c.slot, &c.call_id, &why), 0);
	(void)budget_charge(s.d.b, c.slot, 100, false);
	ledger_call(s.d.l, &c);
	shop_restart(&s);
	assert_int_equal(budget_view(s.d.b, budget_find(s.d.b, "b"), T0, &v), 0);
	assert_true(v.windows[WINDOW_DAY].start_s <= T0 && v.windows[WINDOW_DAY].end_s > T0);
	assert_int_equal(v.windows[WINDOW_DAY].spent, 0);
	assert_int_equal(v.windows[WINDOW_TOTAL].spent, 100);
	even(&s);
	shop_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_at_random),
		cmocka_unit_test(killed_at_every_named_point),
		cmocka_unit_test(many_lives_one_ledger),
		cmocka_unit_test(what_a_removed_account_spent_counts_above_it),
		cmocka_unit_test(an_account_that_comes_back_brings_what_it_spent),
		cmocka_unit_test(an_account_that_could_not_be_saved_leaves_its_money),
		cmocka_unit_test(whole_branches_go_and_come_back),
		cmocka_unit_test(sixty_sessions_leave_their_bill),
		cmocka_unit_test(a_restart_with_a_clock_that_went_back),
		cmocka_unit_test(a_ledger_from_the_far_future_does_not_stop_the_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
