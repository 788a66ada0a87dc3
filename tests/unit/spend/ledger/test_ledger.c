// SPDX-License-Identifier: Apache-2.0
/* The ledger: what goes in comes out, once, in order, durable; and every way its file can be in trouble. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "spend/ledger/db.h"
#include "spend_test.h"

#define SEEN_MAX 200000

struct seen {
	_Atomic uint32_t n, healthy, unhealthy;
	uint32_t slots[SEEN_MAX];
	char why[300];
};

static void on_durable(void *ctx, uint32_t slot)
{
	struct seen *s = ctx;
	uint32_t n = atomic_load(&s->n);

	if (n < SEEN_MAX)
		s->slots[n] = slot;
	atomic_store(&s->n, n + 1);
}

static void on_health(void *ctx, bool healthy, const char *why)
{
	struct seen *s = ctx;

	if (!healthy)
		(void)snprintf(s->why, sizeof(s->why), "%s", why);
	atomic_fetch_add(healthy ? &s->healthy : &s->unhealthy, 1);
}

static const struct ledger_calls calls = { .durable = on_durable, .health = on_health };

struct place {
	char *dir, path[128];
	struct seen *seen;
	struct ledger *l;
};

static void place_open(struct place *p)
{
	struct err e = { "" };

	if (ledger_open(p->path, &calls, p->seen, &p->l, &e) < 0)
		fail_msg("%s", e.text);
}

static void place_init(struct place *p)
{
	p->dir = scratch_new();
	(void)snprintf(p->path, sizeof(p->path), "%s/ledger.db", p->dir);
	p->seen = calloc(1, sizeof(*p->seen));
	place_open(p);
}

static void place_done(struct place *p)
{
	assert_int_equal(ledger_close(p->l), 0);
	scratch_free(p->dir);
	free(p->seen);
}

static struct ledger_call call_of(uint64_t id, const char *account, nanousd cost, int64_t at_s)
{
	struct ledger_call c = { .call_id = id, .pid = 1, .endpoint = ENDPOINT_ANTHROPIC_MESSAGES, .cost = cost, .held = cost * 2,
				 .started_ns = at_s * S, .total_us = 5, .first_byte_us = 3, .status = 200, .slot = (uint32_t)id };

	(void)snprintf(c.account, sizeof(c.account), "%s", account);
	(void)snprintf(c.agent, sizeof(c.agent), "%s", account);
	(void)snprintf(c.model, sizeof(c.model), "m");
	(void)snprintf(c.provider, sizeof(c.provider), "p");
	(void)snprintf(c.end, sizeof(c.end), "done");
	return c;
}

static bool wait_for(_Atomic uint32_t *what, uint32_t n, int seconds)
{
	for (int i = 0; i < seconds * 500 && atomic_load(what) < n; i++)
		(void)usleep(2000);
	return atomic_load(what) >= n;
}

static void put(struct place *p, uint64_t id, const char *account, nanousd cost, int64_t at_s)
{
	struct ledger_call c = call_of(id, account, cost, at_s);

	ledger_call(p->l, &c);
}

static nanousd spent(struct place *p, const char *account, int64_t from_s)
{
	nanousd n = -1;
	struct err e = { "" };

	if (ledger_spent(p->l, account, from_s, &n, &e) < 0)
		fail_msg("%s", e.text);
	return n;
}

static void is_clean(struct place *p)
{
	struct err e = { "" };

	if (ledger_check(p->l, &e) < 0)
		fail_msg("%s", e.text);
}

/* Another program's hands on the file. */
static int sql(const char *path, const char *text)
{
	sqlite3 *db;
	int code = sqlite3_open(path, &db);

	if (code == SQLITE_OK)
		code = sqlite3_exec(db, text, NULL, NULL, NULL);
	(void)sqlite3_close(db);
	return code;
}

/* ---- in and out */

struct rows {
	struct ledger_row rows[64];
	size_t n;
};

static void collect(void *ctx, const struct ledger_row *row)
{
	struct rows *r = ctx;

	if (r->n < 64)
		r->rows[r->n] = *row;
	r->n++;
}

static void a_row_comes_back_as_it_went_in(void **state)
{
	struct place p;
	struct rows got = { .n = 0 };
	struct err e = { "" };
	struct ledger_call c = {
		.call_id = 1787135400000000123, .account = "team.a", .agent = "bot-1", .comm = "python3", .pid = 4242,
		.cgroup_id = UINT64_C(0xfedcba9876543210), .provider = "openai", .model = "gpt-x", .served_model = "gpt-x-2026-01-31",
		.endpoint = ENDPOINT_OPENAI_RESPONSES, .tier = TIER_PRIORITY,
		.usage = { 1000, 200, 30, 40, 500, 60, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21 }, .usage_known = true, .held = 123456789, .cost = 98765432,
		.estimated = true, .price = "openai/gpt-x@2026-08-21", .status = 200, .end = "agent-gone",
		.started_ns = T0 * S + 123, .first_byte_us = 4567, .total_us = 89012, .request_id = "req_'\"%_x", .slot = 3,
	};

	place_init(&p);
	ledger_call(p.l, &c);
	assert_true(wait_for(&p.seen->n, 1, 5));
	assert_int_equal(p.seen->slots[0], 3);
	assert_int_equal(ledger_read(p.l, &(struct ledger_query){ 0 }, collect, &got, &e), 0);
	assert_int_equal(got.n, 1);
	c.slot = 0; /* not kept */
	assert_memory_equal(&got.rows[0].call, &c, sizeof(c));
	assert_int_equal(ledger_has_call(p.l, c.call_id, NULL), 1);
	assert_int_equal(ledger_has_call(p.l, c.call_id + 1, NULL), 0);
	uint64_t last;
	int64_t newest_ns;

	assert_int_equal(ledger_newest(p.l, &last, &newest_ns, NULL), 0);
	assert_int_equal(last, c.call_id);
	assert_int_equal(newest_ns, c.started_ns);
	assert_int_equal(ledger_queued(p.l), 0);
	place_done(&p);
}

static void an_empty_ledger_says_nothing(void **state)
{
	struct place p;
	struct rows got = { .n = 0 };

	place_init(&p);
	uint64_t last = 1;
	int64_t newest_ns = 1;

	assert_int_equal(ledger_newest(p.l, &last, &newest_ns, NULL), 0);
	assert_int_equal(last, 0);
	assert_int_equal(newest_ns, 0);
	assert_int_equal(spent(&p, "a", 0), 0);
	assert_int_equal(ledger_read(p.l, &(struct ledger_query){ 0 }, collect, &got, NULL), 0);
	assert_int_equal(got.n, 0);
	assert_true(ledger_is_healthy(p.l));
	is_clean(&p);
	place_done(&p);
}

static void sums_follow_the_hour_of_the_start(void **state)
{
	struct place p;
	const int64_t hour = T0 / 3600 * 3600;

	place_init(&p);
	put(&p, 1, "a", 10, hour - 1);
	put(&p, 2, "a", 20, hour);
	put(&p, 3, "a", 40, hour + 3599);
	put(&p, 4, "a", 80, hour + 3600);
	put(&p, 5, "b", 1000, hour);
	put(&p, 6, "a", 0, hour);
	assert_true(wait_for(&p.seen->n, 6, 5));
	assert_int_equal(spent(&p, "a", 0), 150);
	assert_int_equal(spent(&p, "a", hour), 140);
	assert_int_equal(spent(&p, "a", hour + 3600), 80);
	assert_int_equal(spent(&p, "a", hour + 7200), 0);
	assert_int_equal(spent(&p, "b", 0), 1000);
	assert_int_equal(spent(&p, "c", 0), 0);
	nanousd n;

	assert_int_equal(ledger_spent_between(p.l, "a", hour, hour + 3600, &n, NULL), 0);
	assert_int_equal(n, 60);
	is_clean(&p);
	place_done(&p);
}

static void the_same_call_is_not_written_twice(void **state)
{
	struct place p;

	place_init(&p);
	put(&p, 1, "a", 10, T0);
	put(&p, 1, "a", 99, T0);
	assert_true(wait_for(&p.seen->n, 2, 5)); /* both slots are freed */
	put(&p, 1, "b", 5, T0);
	assert_true(wait_for(&p.seen->n, 3, 5));
	assert_int_equal(spent(&p, "a", 0), 10);
	assert_int_equal(spent(&p, "b", 0), 0);
	is_clean(&p);
	place_done(&p);
}

static void durable_comes_in_the_order_of_the_calls(void **state)
{
	struct place p;
	const uint32_t n = 20000;

	place_init(&p);
	for (uint32_t i = 1; i <= n; i++)
		put(&p, i, i % 2 ? "a" : "b", i, T0 + i % 9000);
	assert_true(wait_for(&p.seen->n, n, 30));
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(p.seen->slots[i], i + 1);
	assert_int_equal(spent(&p, "a", 0) + spent(&p, "b", 0), (nanousd)n * (n + 1) / 2);
	is_clean(&p);
	place_done(&p);
}

/* All that woke the writer is gone before it looks: a call that was given up before it was sent. The next one has to be written all the same. */
static void a_hold_that_is_over_at_once_does_not_end_the_writer(void **state)
{
	const struct timespec moment = { .tv_nsec = LEDGER_GATHER_MS * 1000000L / 5 }, longer = { .tv_nsec = LEDGER_GATHER_MS * 4000000L };
	struct place p;

	place_init(&p);
	for (uint64_t i = 1; i <= 20; i++) {
		struct ledger_hold h = { .call_id = i, .account = "a", .agent = "a", .amount = 5, .started_ns = T0 * S };

		ledger_hold(p.l, &h);
		(void)nanosleep(&moment, NULL);
		ledger_hold_over(p.l, i, LEDGER_NO_SLOT);
		(void)nanosleep(&longer, NULL);
	}
	put(&p, 21, "a", 1, T0);
	assert_true(wait_for(&p.seen->n, 1, 5));
	place_done(&p);
}

static void closing_writes_what_is_queued(void **state)
{
	struct place p;

	place_init(&p);
	for (uint32_t i = 1; i <= 500; i++)
		put(&p, i, "a", 1, T0);
	assert_int_equal(ledger_close(p.l), 0);
	assert_int_equal(p.seen->n, 500);
	place_open(&p);
	assert_int_equal(spent(&p, "a", 0), 500);
	place_done(&p);
}

static void listings_filter_and_are_newest_first(void **state)
{
	struct place p;
	static const struct {
		struct ledger_query q;
		size_t n;
		uint64_t first;
	} cases[] = {
		{ { 0 }, 7, 7 },
		{ { .limit = 2 }, 2, 7 },
		{ { .agent = "a" }, 3, 5 },
		{ { .agent = "" }, 7, 7 },
		{ { .agent = "z" }, 0, 0 },
		{ { .model = "m" }, 7, 7 },
		{ { .model = "served" }, 1, 6 },
		{ { .model = "x" }, 0, 0 },
		{ { .provider = "p" }, 7, 7 },
		{ { .provider = "a' OR '1'='1" }, 0, 0 },
		{ { .since_s = T0 + 30 }, 5, 7 },
		{ { .until_s = T0 + 30 }, 2, 2 },
		{ { .agent = "a", .since_s = T0 + 20, .until_s = T0 + 50 }, 1, 3 },
		{ { .since_s = INT64_MAX }, 0, 0 },
		{ { .agent = "a", .limit = 1, .model = "m", .provider = "p" }, 1, 5 },
		{ { .account = "b" }, 3, 6 },
		{ { .account = "a", .agent = "b" }, 0, 0 },
		{ { .agent = "c" }, 1, 7 }, /* charged to b's account, above it */
		{ { .account = "up" }, 1, 7 },
		{ { .agent = "c", .account = "c" }, 0, 0 },
		{ { .pid = 3 }, 1, 3 },
		{ { .cgroup_id = UINT64_C(0xff00000000000004) }, 1, 4 },
		{ { .status = 500 }, 1, 2 },
		{ { .status = -1 }, 1, 1 },
		{ { .estimated = true }, 2, 4 },
		{ { .min_cost = 5 }, 3, 7 },
		{ { .min_cost = 4, .estimated = true }, 1, 4 },
	};

	place_init(&p);
	for (uint32_t i = 1; i <= 7; i++) {
		struct ledger_call c = call_of(i, i == 7 ? "up" : i % 2 ? "a" : "b", i, T0 + i * 10);

		if (i == 6)
			(void)snprintf(c.served_model, sizeof(c.served_model), "served");
		if (i == 7)
			(void)snprintf(c.agent, sizeof(c.agent), "c");
		c.pid = i;
		c.cgroup_id = UINT64_C(0xff00000000000000) + i;
		c.status = i == 1 ? 0 : i == 2 ? 500 : 200;
		c.estimated = i == 4 || i == 3;
		ledger_call(p.l, &c);
	}
	assert_true(wait_for(&p.seen->n, 7, 5));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rows got = { .n = 0 };
		struct err e = { "" };

		if (ledger_read(p.l, &cases[i].q, collect, &got, &e) < 0)
			fail_msg("%zu: %s", i, e.text);
		if (got.n != cases[i].n || (got.n && got.rows[0].call.call_id != cases[i].first))
			fail_msg("case %zu: %zu rows, first %llu", i, got.n, (unsigned long long)got.rows[0].call.call_id);
	}
	place_done(&p);
}

static void refusals_and_changes_are_kept(void **state)
{
	struct place p;
	struct rows got = { .n = 0 };
	const struct refusal why = { .reason = REFUSAL_BUDGET, .account = "team", .window = WINDOW_WEEK, .limit = 100, .spent = 99,
				     .held = 1, .needed = 7, .reset_s = T0, .detail = "x" };

	place_init(&p);
	ledger_refusal(p.l, "bot", "openai", "gpt-x", &why, T0 * S);
	ledger_refusal(p.l, "other", "openai", "gpt-x", &(struct refusal){ .reason = REFUSAL_PAUSED }, T0 * S + 1);
	ledger_note(p.l, "other", "openai", "gpt-x", &(struct refusal){ .reason = REFUSAL_RULE, .rule = "loop", .retry_s = 60 }, T0 * S + 2);
	assert_int_equal(ledger_change(p.l, "uid 0 pid 1 purse", "agent bot: day=5USD", T0 * S), 0);
	assert_int_equal(ledger_change(p.l, "uid 0 pid 2 purse", "second", T0 * S), 0);
	assert_int_equal(ledger_read(p.l, &(struct ledger_query){ .refusals = true, .agent = "bot" }, collect, &got, NULL), 0);
	assert_int_equal(got.n, 1);
	assert_string_equal(got.rows[0].who, "bot");
	assert_string_equal(got.rows[0].call.model, "gpt-x");
	assert_memory_equal(&got.rows[0].why, &why, sizeof(why));
	assert_false(got.rows[0].dry_run);
	got.n = 0;
	assert_int_equal(ledger_read(p.l, &(struct ledger_query){ .refusals = true }, collect, &got, NULL), 0);
	assert_int_equal(got.n, 3);
	assert_string_equal(got.rows[0].who, "other");
	assert_true(got.rows[0].dry_run);
	assert_string_equal(got.rows[0].why.rule, "loop");
	assert_int_equal(got.rows[0].why.retry_s, 60);
	assert_string_equal(got.rows[1].who, "other");
	got.n = 0;
	assert_int_equal(ledger_read(p.l, &(struct ledger_query){ .changes = true }, collect, &got, NULL), 0);
	assert_int_equal(got.n, 2);
	assert_string_equal(got.rows[0].what, "second");
	assert_string_equal(got.rows[1].who, "uid 0 pid 1 purse");
	place_done(&p);
}

/* What a listing shows is valid during the call only: copied. */
struct change {
	char verb[64], subject[64], before[64];
	size_t after_len;
};

static void on_change(void *ctx, const struct ledger_row *row)
{
	struct change *c = ctx;

	(void)snprintf(c->verb, sizeof(c->verb), "%s", row->verb);
	(void)snprintf(c->subject, sizeof(c->subject), "%s", row->subject);
	(void)snprintf(c->before, sizeof(c->before), "%s", row->before);
	c->after_len = strlen(row->after);
}

static void changes_have_before_and_after(void **state)
{
	struct place p;
	struct change got;
	char *big = malloc(LEDGER_CHANGE_JSON_MAX + 2);

	memset(big, 'x', LEDGER_CHANGE_JSON_MAX + 1);
	big[LEDGER_CHANGE_JSON_MAX + 1] = '\0';
	struct ledger_change c = { .who = "uid 0", .verb = "agent set", .subject = "bot", .before = "{\"day\":\"5.00\"}", .after = big, .at_ns = T0 };

	place_init(&p);
	assert_int_equal(ledger_changed(p.l, &c), -EMSGSIZE);
	big[LEDGER_CHANGE_JSON_MAX] = '\0';
	assert_int_equal(ledger_changed(p.l, &c), 0);
	assert_int_equal(ledger_read(p.l, &(struct ledger_query){ .changes = true, .account = "bot" }, on_change, &got, NULL), 0);
	assert_string_equal(got.verb, "agent set");
	assert_string_equal(got.subject, "bot");
	assert_string_equal(got.before, "{\"day\":\"5.00\"}");
	assert_int_equal(got.after_len, LEDGER_CHANGE_JSON_MAX);
	c = (struct ledger_change){ .who = "uid 0", .verb = "agent added", .subject = "other", .at_ns = T0 };
	assert_int_equal(ledger_changed(p.l, &c), 0);
	assert_int_equal(ledger_read(p.l, &(struct ledger_query){ .changes = true, .limit = 1 }, on_change, &got, NULL), 0);
	assert_string_equal(got.subject, "other");
	assert_string_equal(got.before, "");
	assert_int_equal(got.after_len, 0);
	free(big);
	place_done(&p);
}

struct saved {
	struct account_spec accounts[4];
	struct ledger_agent agents[4];
	struct ledger_place places[8];
	size_t naccounts, nagents, nplaces;
};

static void on_account(void *ctx, const struct account_spec *a)
{
	struct saved *s = ctx;

	s->accounts[s->naccounts++] = *a;
}

static void on_agent(void *ctx, const struct ledger_agent *a)
{
	struct saved *s = ctx;

	s->agents[s->nagents++] = *a;
}

static void on_place(void *ctx, const struct ledger_place *a)
{
	struct saved *s = ctx;

	s->places[s->nplaces++] = *a;
}

static void accounts_and_agents_survive(void **state)
{
	struct place p;
	struct saved got = { .naccounts = 0 };
	struct account_spec a = spec_of("team", "", 5, -1), b = spec_of("bot", "team", -1, 7);
	struct ledger_agent agent = { .name = "bot", .account = "bot", .cgroup = "/purse/bot", .flags = GATE_AGENT_EXPLAIN };

	b.paused = true;
	b.floor = 3;
	b.clamp = true;
	(void)snprintf(b.zone, sizeof(b.zone), "Asia/Kathmandu");
	b.reset_minute = 1439;
	b.raise[WINDOW_DAY] = 11;
	b.raise[WINDOW_TOTAL] = 12;
	b.raise_until_s = T0;
	b.rules.requests_per_minute = 60;
	b.rules.per_call = 500000000;
	(void)snprintf(b.rules.allow[0], sizeof(b.rules.allow[0]), "gpt-5*");
	b.rules.nallow = 1;
	place_init(&p);
	assert_int_equal(ledger_save_account(p.l, &a, false), 0);
	assert_int_equal(ledger_save_account(p.l, &b, false), 0);
	assert_int_equal(ledger_save_agent(p.l, &agent, false), 0);
	a.limits[WINDOW_HOUR] = 2;
	assert_int_equal(ledger_save_account(p.l, &a, false), 0); /* changed, not added */
	assert_int_equal(ledger_close(p.l), 0);
	place_open(&p);
	assert_int_equal(ledger_each_account(p.l, on_account, &got), 0);
	assert_int_equal(ledger_each_agent(p.l, on_agent, &got), 0);
	assert_int_equal(got.naccounts, 2);
	assert_memory_equal(&got.accounts[0], &b, sizeof(b));
	assert_memory_equal(&got.accounts[1], &a, sizeof(a));
	assert_int_equal(got.nagents, 1);
	assert_memory_equal(&got.agents[0], &agent, sizeof(agent));
	assert_int_equal(ledger_save_account(p.l, &b, true), 0);
	assert_int_equal(ledger_save_agent(p.l, &agent, true), 0);
	got = (struct saved){ .naccounts = 0 };
	assert_int_equal(ledger_each_account(p.l, on_account, &got), 0);
	assert_int_equal(ledger_each_agent(p.l, on_agent, &got), 0);
	assert_int_equal(ledger_each_place(p.l, on_place, &got), 0);
	assert_int_equal(got.naccounts, 1);
	assert_int_equal(got.nagents, 0);
	assert_int_equal(got.nplaces, 2); /* bot is gone, where it stood is not */
	place_done(&p);
}

static void rows_cannot_be_changed(void **state)
{
	struct place p;

	place_init(&p);
	put(&p, 1, "a", 10, T0);
	assert_true(wait_for(&p.seen->n, 1, 5));
	assert_int_equal(ledger_change(p.l, "w", "x", T0), 0);
	ledger_refusal(p.l, "a", "p", "m", &(struct refusal){ .reason = REFUSAL_BUDGET }, T0);
	assert_int_equal(ledger_change(p.l, "w", "y", T0), 0);
	assert_int_equal(sql(p.path, "UPDATE calls SET cost_nanousd = 0"), SQLITE_CONSTRAINT);
	assert_int_equal(sql(p.path, "DELETE FROM calls"), SQLITE_CONSTRAINT);
	assert_int_equal(sql(p.path, "UPDATE changes SET who = ''"), SQLITE_CONSTRAINT);
	assert_int_equal(sql(p.path, "DELETE FROM refusals"), SQLITE_CONSTRAINT);
	assert_int_equal(sql(p.path, "INSERT INTO prunes(before_s, calls, cost_nanousd) VALUES(1, 0, 0)"), SQLITE_OK);
	assert_int_equal(sql(p.path, "DELETE FROM prunes"), SQLITE_CONSTRAINT);
	/* A pruning that is on opens what is older than it, and nothing else. */
	assert_int_equal(sql(p.path, "INSERT INTO pruning VALUES(1); DELETE FROM calls"), SQLITE_CONSTRAINT);
	assert_int_equal(sql(p.path, "UPDATE calls SET cost_nanousd = 0"), SQLITE_CONSTRAINT);
	assert_int_equal(sql(p.path, "DELETE FROM pruning"), SQLITE_OK);
	assert_int_equal(sql(p.path, "INSERT INTO calls(call_id, cost_nanousd) VALUES(2, 'x')"), SQLITE_CONSTRAINT);
	place_done(&p);
}

static void the_check_names_what_disagrees(void **state)
{
	static const struct {
		const char *harm, *says;
	} cases[] = {
		{ "UPDATE hours SET cost_nanousd = cost_nanousd + 1 WHERE account = 'a'", "account \"a\"" },
		{ "UPDATE hours SET calls = 7", "7" },
		{ "DELETE FROM hours WHERE account = 'b'", "account \"b\"" },
		{ "INSERT INTO hours SELECT 'c', hour_s, provider, model, agent, 1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0 FROM hours"
		  " WHERE account = 'a'", "account \"c\"" },
		{ "UPDATE hours SET input = input + 1 WHERE account = 'a'", "tokens" },
		{ "INSERT INTO open_calls SELECT call_id, account, agent, comm, pid, cgroup_id, provider, model, endpoint, 5, started_ns FROM calls",
		  "is in open_calls too" },
		{ "INSERT INTO prunes(before_s, calls, cost_nanousd) VALUES(86400, 3, 4)", "4 in 3 were pruned" },
		{ "INSERT INTO pruning VALUES(1)", "not protected" },
		{ "DROP TRIGGER calls_stay; UPDATE calls SET cost_nanousd = 11 WHERE call_id = 1", "11" },
		{ "DROP TRIGGER calls_stay; UPDATE calls SET cost_nanousd = -10 WHERE call_id = 1", "-10" },
		{ "DROP TRIGGER calls_stay_put; DELETE FROM calls WHERE call_id = 2", "account \"b\"" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct place p;
		struct err e = { "" };

		place_init(&p);
		put(&p, 1, "a", 10, T0);
		put(&p, 2, "b", 20, T0);
		assert_true(wait_for(&p.seen->n, 2, 5));
		is_clean(&p);
		assert_int_equal(sql(p.path, cases[i].harm), SQLITE_OK);
		assert_int_equal(ledger_check(p.l, &e), -EUCLEAN);
		if (!strstr(e.text, cases[i].says))
			fail_msg("%s -> %s", cases[i].harm, e.text);
		place_done(&p);
	}
}

static void one_moment_is_one_moment(void **state)
{
	struct place p;
	struct ledger_view *v;

	place_init(&p);
	put(&p, 1, "a", 10, T0);
	assert_true(wait_for(&p.seen->n, 1, 5));
	assert_int_equal(ledger_view_open(p.l, &v, NULL), 0);
	assert_int_equal(ledger_view_begin(v), 0);
	put(&p, 2, "a", 20, T0);
	assert_true(wait_for(&p.seen->n, 2, 5));
	assert_int_equal(ledger_view_has_call(v, 1), 1);
	assert_int_equal(ledger_view_has_call(v, 2), 0);
	assert_int_equal(ledger_has_call(p.l, 2, NULL), 1);
	ledger_view_close(v);
	ledger_view_close(NULL);
	place_done(&p);
}

static void peeking_reads_beside_a_daemon_and_makes_nothing(void **state)
{
	struct place p;
	struct ledger *l = NULL;
	struct err e = { "" };
	nanousd n;

	place_init(&p);
	put(&p, 1, "a", 10, T0);
	assert_true(wait_for(&p.seen->n, 1, 5));
	assert_int_equal(ledger_peek(p.path, &l, &e), 0);
	assert_int_equal(ledger_spent(l, "a", 0, &n, &e), 0);
	assert_int_equal(n, 10);
	assert_int_equal(ledger_check(l, &e), 0);
	assert_int_equal(ledger_close(l), 0);
	char other[160];

	(void)snprintf(other, sizeof(other), "%s/other.db", p.dir);
	assert_true(ledger_peek(other, &l, &e) < 0);
	assert_int_not_equal(access(other, F_OK), 0);
	assert_non_null(strstr(e.text, other));
	place_done(&p);
}

/* ---- files */

static void files_and_folders_are_closed_to_others(void **state)
{
	struct place p = { .dir = scratch_new(), .seen = calloc(1, sizeof(struct seen)) };
	struct stat st;
	static const char *const ends[] = { "", "-wal", "-shm" };

	(void)umask(0);
	(void)snprintf(p.path, sizeof(p.path), "%s/a/b/ledger.db", p.dir);
	place_open(&p);
	put(&p, 1, "a", 10, T0);
	assert_true(wait_for(&p.seen->n, 1, 5));
	for (int i = 0; i < 3; i++) {
		char file[160];

		(void)snprintf(file, sizeof(file), "%s%s", p.path, ends[i]);
		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	char folder[160];

	(void)snprintf(folder, sizeof(folder), "%s/a/b", p.dir);
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(ledger_close(p.l), 0);
	assert_int_equal(chmod(p.path, 0644), 0);
	place_open(&p);
	assert_int_equal(stat(p.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	(void)umask(022);
	place_done(&p);
}

static void fails_to_open(const char *path, int want, const char *says)
{
	struct ledger *l = NULL;
	struct err e = { "" };
	int r = ledger_open(path, NULL, NULL, &l, &e);

	if (r == 0)
		fail_msg("opened; wanted \"%s\"", says);
	if (want)
		assert_int_equal(r, want);
	if (!strstr(e.text, says) || !strstr(e.text, path))
		fail_msg("wanted \"%s\" in: %s", says, e.text);
}

static void strange_files_are_refused(void **state)
{
	struct place p;
	char link[160];

	place_init(&p);
	assert_int_equal(ledger_close(p.l), 0);
	assert_int_equal(sql(p.path, "PRAGMA user_version = 3"), SQLITE_OK);
	fails_to_open(p.path, -EPROTO, "made by a newer purse");
	assert_int_equal(sql(p.path, "PRAGMA user_version = 2; PRAGMA application_id = 5"), SQLITE_OK);
	fails_to_open(p.path, -EINVAL, "another program");
	(void)snprintf(link, sizeof(link), "%s/link.db", p.dir);
	assert_int_equal(symlink(p.path, link), 0);
	fails_to_open(link, -EINVAL, "not a regular file");
	assert_int_equal(unlink(link), 0);
	assert_int_equal(mkdir(link, 0700), 0);
	fails_to_open(link, -EINVAL, "not a regular file");
	assert_int_equal(rmdir(link), 0);
	FILE *f = fopen(link, "w");

	assert_true(fputs("this is no database, but long enough to look like a page header, is it not? It goes on and on.", f) > 0);
	(void)fclose(f);
	fails_to_open(link, -EUCLEAN, "is damaged");
	struct err e = { "" };

	assert_true(ledger_open("/proc/nonexistent/x/ledger.db", NULL, NULL, &p.l, &e) < 0);
	assert_non_null(strstr(e.text, "/proc/nonexistent cannot be made"));
	scratch_free(p.dir);
	free(p.seen);
}

/* Some bytes at a time are turned over: the open says so, or the check does, or nothing that counts was hit. Never a crash. */
static void flipped_bits(void **state)
{
	struct place p;
	struct stat st;
	int refused = 0, found = 0, unseen = 0;

	place_init(&p);
	for (uint32_t i = 1; i <= 300; i++)
		put(&p, i, i % 3 ? "a" : "b", i, T0 + i * 60);
	assert_true(wait_for(&p.seen->n, 300, 5));
	assert_int_equal(ledger_close(p.l), 0); /* the log is copied back into the file */
	assert_int_equal(stat(p.path, &st), 0);
	unsigned char *good = malloc((size_t)st.st_size), *bad = malloc((size_t)st.st_size);
	FILE *f = fopen(p.path, "r");

	assert_int_equal(fread(good, 1, (size_t)st.st_size, f), st.st_size);
	(void)fclose(f);
	for (off_t at = 0; at < st.st_size; at += at < 200 ? 7 : 997) {
		struct err e = { "" };

		memcpy(bad, good, (size_t)st.st_size);
		for (off_t k = at; k < at + 16 && k < st.st_size; k++)
			bad[k] ^= 0xff;
		f = fopen(p.path, "w");
		assert_int_equal(fwrite(bad, 1, (size_t)st.st_size, f), st.st_size);
		(void)fclose(f);
		int r = ledger_open(p.path, NULL, NULL, &p.l, &e);

		if (r < 0) {
			refused++;
			assert_non_null(strstr(e.text, p.path));
			continue;
		}
		r = ledger_check(p.l, &e);
		found += r < 0;
		unseen += r == 0;
		assert_true(r == 0 || e.text[0]);
		(void)ledger_close(p.l);
		char side[160];

		(void)snprintf(side, sizeof(side), "%s-wal", p.path);
		(void)unlink(side);
		(void)snprintf(side, sizeof(side), "%s-shm", p.path);
		(void)unlink(side);
	}
	print_message("refused at open %d, found by the check %d, in places that hold nothing %d\n", refused, found, unseen);
	assert_true(refused > 0);
	free(good);
	free(bad);
	scratch_free(p.dir);
	free(p.seen);
}

/* ---- trouble while running */

static void a_held_lock_closes_and_opens_again(void **state)
{
	struct place p;
	sqlite3 *other;

	place_init(&p);
	put(&p, 1, "a", 1, T0);
	assert_true(wait_for(&p.seen->n, 1, 5));
	assert_int_equal(sqlite3_open(p.path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	put(&p, 2, "a", 2, T0);
	assert_true(wait_for(&p.seen->unhealthy, 1, 8));
	assert_false(ledger_is_healthy(p.l));
	assert_non_null(strstr(p.seen->why, "lock"));
	assert_int_equal(ledger_queued(p.l), 1);
	assert_int_equal(p.seen->n, 1);
	assert_int_equal(ledger_change(p.l, "w", "x", T0), -EIO); /* somebody waits: told, not kept */
	put(&p, 3, "a", 4, T0);
	assert_int_equal(spent(&p, "a", 0), 1); /* reading goes on */
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(other);
	assert_true(wait_for(&p.seen->healthy, 1, 8));
	assert_true(wait_for(&p.seen->n, 3, 8));
	assert_true(ledger_is_healthy(p.l));
	assert_int_equal(spent(&p, "a", 0), 7);
	assert_int_equal(p.seen->unhealthy, 1); /* once per change, not once per attempt */
	assert_int_equal(p.seen->healthy, 1);
	struct rows got = { .n = 0 };

	assert_int_equal(ledger_read(p.l, &(struct ledger_query){ .changes = true }, collect, &got, NULL), 0);
	assert_int_equal(got.n, 0);
	is_clean(&p);
	place_done(&p);
}

static void closing_gives_up_after_five_seconds(void **state)
{
	struct place p;
	sqlite3 *other;

	place_init(&p);
	assert_int_equal(sqlite3_open(p.path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	put(&p, 1, "a", 1, T0);
	time_t begin = time(NULL);

	assert_int_equal(ledger_close(p.l), -EIO);
	assert_true(time(NULL) - begin <= 9);
	(void)sqlite3_close(other);
	place_open(&p);
	assert_int_equal(spent(&p, "a", 0), 0); /* its slot is still CHARGED: the next start writes it */
	place_done(&p);
}

static void refusals_are_bounded(void **state)
{
	struct place p;
	sqlite3 *other;

	place_init(&p);
	assert_int_equal(sqlite3_open(p.path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	for (int i = 0; i < 10000; i++)
		ledger_refusal(p.l, "a", "p", "m", &(struct refusal){ .reason = REFUSAL_BUDGET }, T0 * S + i);
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(other);
	assert_int_equal(ledger_close(p.l), 0);
	place_open(&p);
	struct rows got = { .n = 0 };

	assert_int_equal(ledger_read(p.l, &(struct ledger_query){ .refusals = true, .limit = 20000 }, collect, &got, NULL), 0);
	assert_int_equal(got.n, 4096);
	place_done(&p);
}

/* In a child with its own mounts: 0 fine, 77 not allowed here. */
static int disk_full_child(void)
{
	char dir[] = "/tmp/purse-full-XXXXXX", filler[64];
	struct place p = { .dir = dir, .seen = calloc(1, sizeof(struct seen)) };

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || !mkdtemp(dir))
		return 77;
	if (mount("none", dir, "tmpfs", 0, "size=1m") < 0) {
		(void)rmdir(dir);
		return 77;
	}
	(void)snprintf(p.path, sizeof(p.path), "%s/ledger.db", dir);
	place_open(&p);
	put(&p, 1, "a", 1, T0);
	assert_true(wait_for(&p.seen->n, 1, 5));
	(void)snprintf(filler, sizeof(filler), "%s/filler", dir);
	int fd = open(filler, O_CREAT | O_WRONLY, 0600);
	char zeros[4096] = { 0 };

	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	for (uint32_t i = 2; i <= 200; i++)
		put(&p, i, "a", 1, T0);
	assert_true(wait_for(&p.seen->unhealthy, 1, 10));
	assert_false(ledger_is_healthy(p.l));
	assert_non_null(strstr(p.seen->why, "disk is full"));
	assert_true(ledger_queued(p.l) > 0);
	(void)usleep(1500000); /* an attempt in between fails again */
	assert_int_equal(p.seen->unhealthy, 1);
	(void)close(fd);
	assert_int_equal(unlink(filler), 0);
	assert_true(wait_for(&p.seen->n, 200, 10));
	assert_true(ledger_is_healthy(p.l));
	assert_int_equal(p.seen->healthy, 1);
	assert_int_equal(spent(&p, "a", 0), 200);
	is_clean(&p);
	assert_int_equal(ledger_close(p.l), 0);
	(void)umount2(dir, MNT_DETACH);
	(void)rmdir(dir);
	free(p.seen);
	return 0;
}

static void a_full_disk_closes_and_opens_again(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(disk_full_child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("no mounts allowed here\n");
		skip();
	}
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_file_that_vanished_is_not_made_anew(void **state)
{
	struct place p;
	sqlite3 *other;

	place_init(&p);
	assert_int_equal(sqlite3_open(p.path, &other), SQLITE_OK);
	struct ledger_db *db = NULL;
	struct err e = { "" };
	char gone[160];

	(void)snprintf(gone, sizeof(gone), "%s/gone.db", p.dir);
	assert_true(db_open(gone, DB_WRITE, DB_CHECK_HEADER, &db, &e) < 0);
	assert_int_not_equal(access(gone, F_OK), 0);
	FILE *f = fopen(gone, "w"); /* emptied */

	(void)fclose(f);
	assert_int_equal(db_open(gone, DB_WRITE, DB_CHECK_HEADER, &db, &e), -EUCLEAN);
	(void)sqlite3_close(other);
	place_done(&p);
}

/* ---- kill -9 */

/* Writes without end; counts in shared memory what it was told is durable. */
static void writing_child(const char *path, struct seen *shared, uint64_t first)
{
	struct ledger *l;

	if (ledger_open(path, &calls, shared, &l, NULL) < 0)
		_exit(1);
	for (uint64_t id = first;; id++) {
		struct ledger_call c = call_of(id, id % 2 ? "a" : "b", (nanousd)id, T0 + (int64_t)id);

		while (ledger_queued(l) > 500)
			(void)usleep(100);
		ledger_call(l, &c);
	}
}

static void killed_at_any_time_nothing_durable_is_lost(void **state)
{
	struct place p;
	unsigned rnd = 4711;
	uint64_t first = 1;

	print_message("seed %u\n", rnd);
	place_init(&p);
	assert_int_equal(ledger_close(p.l), 0);
	struct seen *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(shared, MAP_FAILED);
	for (int round = 0; round < 40; round++) {
		int status;
		pid_t pid;

		memset(shared, 0, sizeof(*shared));
		pid = fork();
		if (pid == 0)
			writing_child(p.path, shared, first);
		(void)usleep(5000 + rand_r(&rnd) % 40000);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		place_open(&p);
		for (uint32_t i = 0; i < atomic_load(&shared->n); i++)
			assert_int_equal(ledger_has_call(p.l, shared->slots[i], NULL), 1);
		is_clean(&p);
		/* All rows up to the last, no holes: rows go in in order. */
		uint64_t last;
		int64_t newest_ns;

		assert_int_equal(ledger_newest(p.l, &last, &newest_ns, NULL), 0);
		assert_int_equal(spent(&p, "a", 0) + spent(&p, "b", 0), (nanousd)(last * (last + 1) / 2));
		first = last + 1;
		assert_int_equal(ledger_close(p.l), 0);
	}
	print_message("%llu rows written by 40 killed writers\n", (unsigned long long)(first - 1));
	assert_true(first > 1000);
	(void)munmap(shared, sizeof(*shared));
	place_open(&p);
	place_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_comes_back_as_it_went_in),
		cmocka_unit_test(an_empty_ledger_says_nothing),
		cmocka_unit_test(sums_follow_the_hour_of_the_start),
		cmocka_unit_test(the_same_call_is_not_written_twice),
		cmocka_unit_test(durable_comes_in_the_order_of_the_calls),
		cmocka_unit_test(a_hold_that_is_over_at_once_does_not_end_the_writer),
		cmocka_unit_test(closing_writes_what_is_queued),
		cmocka_unit_test(listings_filter_and_are_newest_first),
		cmocka_unit_test(refusals_and_changes_are_kept),
		cmocka_unit_test(changes_have_before_and_after),
		cmocka_unit_test(accounts_and_agents_survive),
		cmocka_unit_test(rows_cannot_be_changed),
		cmocka_unit_test(the_check_names_what_disagrees),
		cmocka_unit_test(one_moment_is_one_moment),
		cmocka_unit_test(peeking_reads_beside_a_daemon_and_makes_nothing),
		cmocka_unit_test(files_and_folders_are_closed_to_others),
		cmocka_unit_test(strange_files_are_refused),
		cmocka_unit_test(flipped_bits),
		cmocka_unit_test(a_held_lock_closes_and_opens_again),
		cmocka_unit_test(closing_gives_up_after_five_seconds),
		cmocka_unit_test(refusals_are_bounded),
		cmocka_unit_test(a_full_disk_closes_and_opens_again),
		cmocka_unit_test(a_file_that_vanished_is_not_made_anew),
		cmocka_unit_test(killed_at_any_time_nothing_durable_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
