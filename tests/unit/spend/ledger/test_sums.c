// SPDX-License-Identifier: Apache-2.0
/* Sums of the ledger against the same sums by hand: any range of seconds, any grouping, before, amid and after pruning. */
#include <errno.h>
#include <sqlite3.h>

#include "base/log.h"
#include "spend/ledger/db.h"
#include "spend/ledger/prune.h"
#include "spend_test.h"

#define N 600
#define SPAN_S (5 * 86400)
/* Tuesday 2026-08-18 00:00:00 UTC */
#define DAY0 (T0 / 86400 * 86400 - 86400)

struct book {
	char *dir, path[128];
	struct ledger *l;
	struct ledger_call calls[N];
};

static const char *const names[] = { "a", "b", "c" };
static const char *const models[] = { "m-1", "m-2", "m-3" };

static struct ledger_call call_of(unsigned *rnd, uint64_t id)
{
	int who = rand_r(rnd) % 3;
	struct ledger_call c = {
		.call_id = id, .pid = (uint32_t)(rand_r(rnd) % 3 + 1), .cgroup_id = (uint64_t)(rand_r(rnd) % 2 + 1), .tier = rand_r(rnd) % 2,
		.usage = { .input = rand_r(rnd) % 1000, .output = rand_r(rnd) % 1000, .cache_read = rand_r(rnd) % 10, .pages = rand_r(rnd) % 2 },
		.usage_known = rand_r(rnd) % 4, .estimated = rand_r(rnd) % 5 == 0, .cost = rand_r(rnd) % 100000, .status = 200,
		.started_ns = DAY0 * S + (int64_t)(rand_r(rnd) % SPAN_S) * S + rand_r(rnd) % S, .slot = LEDGER_NO_SLOT,
	};

	/* Often at the very edge of an hour. */
	if (rand_r(rnd) % 4 == 0)
		c.started_ns = c.started_ns / (3600 * S) * (3600 * S) - rand_r(rnd) % 2;
	(void)snprintf(c.account, sizeof(c.account), "%s", names[who]);
	(void)snprintf(c.agent, sizeof(c.agent), "%s", rand_r(rnd) % 10 ? names[who] : "stray");
	(void)snprintf(c.provider, sizeof(c.provider), "p%d", rand_r(rnd) % 2);
	(void)snprintf(c.model, sizeof(c.model), "%s", models[rand_r(rnd) % 3]);
	(void)snprintf(c.served_model, sizeof(c.served_model), "%s", rand_r(rnd) % 2 ? "" : "m-1-2026");
	(void)snprintf(c.price, sizeof(c.price), "list@%d", rand_r(rnd) % 2);
	return c;
}

static void book_init(struct book *b, unsigned seed)
{
	struct err e = { "" };

	print_message("seed %u\n", seed);
	b->dir = scratch_new();
	(void)snprintf(b->path, sizeof(b->path), "%s/ledger.db", b->dir);
	if (ledger_open_stepped(b->path, NULL, NULL, &b->l, &e) < 0)
		fail_msg("%s", e.text);
	for (int i = 0; i < N; i++) {
		b->calls[i] = call_of(&seed, (uint64_t)i + 1);
		ledger_call(b->l, &b->calls[i]);
		if (i % 97 == 0)
			assert_int_equal(ledger_step(b->l), 0);
	}
	assert_int_equal(ledger_step(b->l), 0);
}

static void book_done(struct book *b)
{
	struct err e = { "" };

	if (ledger_check(b->l, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(ledger_close(b->l), 0);
	scratch_free(b->dir);
}

static bool is_in(const struct ledger_call *c, int64_t from_s, int64_t to_s)
{
	return from_s < INT64_MAX / S && c->started_ns >= from_s * S && (to_s == INT64_MAX || c->started_ns < to_s * S);
}

/* ---- what an account spent */

static nanousd by_hand(const struct book *b, const char *account, int64_t from_s, int64_t to_s)
{
	nanousd sum = 0;

	for (int i = 0; i < N; i++)
		if (strcmp(b->calls[i].account, account) == 0 && is_in(&b->calls[i], from_s, to_s))
			sum += b->calls[i].cost;
	return sum;
}

static void spent_is(const struct book *b, const char *account, int64_t from_s, int64_t to_s)
{
	nanousd got = -1;
	struct err e = { "" };

	if (ledger_spent_between(b->l, account, from_s, to_s, &got, &e) < 0)
		fail_msg("%s", e.text);
	if (got != by_hand(b, account, from_s, to_s))
		fail_msg("%s from %lld to %lld: %lld, by hand %lld", account, (long long)from_s, (long long)to_s, (long long)got,
			 (long long)by_hand(b, account, from_s, to_s));
}

static void any_second(void **state)
{
	struct book b;
	unsigned rnd = 99;

	book_init(&b, 4711);
	for (int i = 0; i < 3000; i++) {
		int64_t from = DAY0 - 4000 + rand_r(&rnd) % (SPAN_S + 8000);
		int64_t to = rand_r(&rnd) % 3 ? from + rand_r(&rnd) % 200000 : from + rand_r(&rnd) % 5000;

		if (rand_r(&rnd) % 4 == 0)
			from = from / 900 * 900; /* as +5:45 has them */
		if (to < from)
			to = from;
		spent_is(&b, names[i % 3], from, rand_r(&rnd) % 10 ? to : INT64_MAX);
	}
	spent_is(&b, "a", 0, INT64_MAX);
	spent_is(&b, "a", DAY0, DAY0);
	spent_is(&b, "a", DAY0 + 5, DAY0 + 4 + 3600);
	spent_is(&b, "a", INT64_MAX, INT64_MAX);
	book_done(&b);
}

struct model_sums {
	nanousd v[2][3];
};

static void on_model(void *ctx, const char *provider, const char *model, nanousd cost)
{
	((struct model_sums *)ctx)->v[provider[1] - '0'][model[2] - '1'] += cost;
}

static void by_model_too(void **state)
{
	struct book b;
	unsigned rnd = 5;

	book_init(&b, 31);
	for (int i = 0; i < 300; i++) {
		int64_t from = DAY0 + rand_r(&rnd) % SPAN_S, to = from + rand_r(&rnd) % 100000;
		struct model_sums got = { 0 }, want = { 0 };

		assert_int_equal(ledger_models_between(b.l, "b", from, to, on_model, &got, NULL), 0);
		for (int k = 0; k < N; k++)
			if (strcmp(b.calls[k].account, "b") == 0 && is_in(&b.calls[k], from, to))
				on_model(&want, b.calls[k].provider, b.calls[k].model, b.calls[k].cost);
		assert_memory_equal(&got, &want, sizeof(got));
	}
	book_done(&b);
}

/* ---- groups */

struct groups {
	struct ledger_group v[N];
	size_t n;
};

static void on_group(void *ctx, const struct ledger_group *g)
{
	struct groups *to = ctx;

	to->v[to->n++] = *g;
}

static bool matches(const struct ledger_query *q, const struct ledger_call *c)
{
	return is_in(c, q->since_s, q->until_s ? q->until_s : INT64_MAX) && (!q->agent || strcmp(q->agent, c->agent) == 0) &&
	       (!q->account || strcmp(q->account, c->account) == 0) && (!q->model || strcmp(q->model, c->model) == 0) &&
	       (!q->provider || strcmp(q->provider, c->provider) == 0) && (!q->pid || q->pid == c->pid) &&
	       (!q->cgroup_id || q->cgroup_id == c->cgroup_id) && (!q->status || q->status == c->status) &&
	       (!q->estimated || c->estimated) && c->cost >= q->min_cost;
}

static struct ledger_group key_of(const struct ledger_call *c, unsigned by)
{
	struct ledger_group k;

	memset(&k, 0, sizeof(k));
	if (by & LEDGER_BY_ACCOUNT)
		memcpy(k.account, c->account, sizeof(k.account));
	if (by & LEDGER_BY_AGENT)
		memcpy(k.agent, c->agent, sizeof(k.agent));
	if (by & LEDGER_BY_PROVIDER)
		memcpy(k.provider, c->provider, sizeof(k.provider));
	if (by & LEDGER_BY_MODEL)
		memcpy(k.model, c->model, sizeof(k.model));
	if (by & LEDGER_BY_DAY)
		k.at_s = c->started_ns / (86400 * S) * 86400;
	if (by & LEDGER_BY_HOUR)
		k.at_s = c->started_ns / (3600 * S) * 3600;
	k.pid = by & LEDGER_BY_PID ? c->pid : 0;
	k.cgroup_id = by & LEDGER_BY_CGROUP ? c->cgroup_id : 0;
	return k;
}

static struct ledger_group *group_of(struct groups *g, const struct ledger_group *key)
{
	for (size_t i = 0; i < g->n; i++)
		if (memcmp(&g->v[i], key, offsetof(struct ledger_group, sum)) == 0)
			return &g->v[i];
	g->v[g->n] = *key;
	return &g->v[g->n++];
}

static void groups_are(const struct book *b, const struct ledger_query *q, unsigned by)
{
	struct groups *got = calloc(1, sizeof(*got)), *want = calloc(1, sizeof(*want));
	struct err e = { "" };
	bool pruned = true;

	if (ledger_groups(b->l, q, by, on_group, got, &pruned, &e) < 0)
		fail_msg("%s", e.text);
	assert_false(pruned);
	for (int i = 0; i < N; i++)
		if (matches(q, &b->calls[i])) {
			struct ledger_group key = key_of(&b->calls[i], by);

			ledger_sum_call(&group_of(want, &key)->sum, &b->calls[i]);
		}
	if (got->n != want->n)
		fail_msg("by %#x: %zu groups, by hand %zu", by, got->n, want->n);
	for (size_t i = 0; i < got->n; i++) {
		size_t n = want->n;
		const struct ledger_group *w = group_of(want, &got->v[i]);

		assert_int_equal(want->n, n);
		if (memcmp(&w->sum, &got->v[i].sum, sizeof(w->sum)) != 0)
			fail_msg("by %#x: %s %s %s %s at %lld: %lld in %lld, by hand %lld in %lld", by, w->account, w->agent, w->provider, w->model,
				 (long long)w->at_s, (long long)got->v[i].sum.cost, (long long)got->v[i].sum.calls, (long long)w->sum.cost,
				 (long long)w->sum.calls);
	}
	for (size_t i = 1; i < got->n; i++)
		assert_true(got->v[i].at_s > got->v[i - 1].at_s ||
			    (got->v[i].at_s == got->v[i - 1].at_s && got->v[i].sum.cost <= got->v[i - 1].sum.cost));
	free(got);
	free(want);
}

static void any_grouping(void **state)
{
	static const struct ledger_query queries[] = {
		{ 0 },
		{ .agent = "a" },
		{ .agent = "stray" },
		{ .account = "b", .model = "m-2" },
		{ .agent = "stray", .account = "c" },
		{ .provider = "p1", .since_s = DAY0 + 3600, .until_s = DAY0 + 86400 },
		{ .since_s = DAY0 + 1234, .until_s = DAY0 + 1300 },
		{ .since_s = DAY0 + 5000, .until_s = DAY0 + 250000 },
		{ .since_s = DAY0 + 99 },
		{ .until_s = DAY0 + 200001, .agent = "b" },
		{ .pid = 2 },
		{ .cgroup_id = 1, .agent = "a", .since_s = DAY0 + 70000 },
		{ .estimated = true },
		{ .min_cost = 50000, .until_s = DAY0 + 300000 },
		{ .status = 500 },
	};
	struct book b;

	book_init(&b, 7);
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++)
		for (unsigned by = 0; by < 1 << LEDGER_BY_KINDS; by += i < 2 ? 1 : 13)
			groups_are(&b, &queries[i], by);
	book_done(&b);
}

static void the_dearest_come_first_and_no_more_than_asked(void **state)
{
	struct book b;
	struct groups got = { .n = 0 };

	book_init(&b, 8);
	assert_int_equal(ledger_groups(b.l, &(struct ledger_query){ .limit = 2 }, LEDGER_BY_MODEL, on_group, &got, NULL, NULL), 0);
	assert_int_equal(got.n, 2);
	assert_true(got.v[0].sum.cost >= got.v[1].sum.cost);
	book_done(&b);
}

/* ---- pruning */

static int kept;
static int keep_row(void *ctx, const struct ledger_call *c)
{
	kept++;
	return *(int *)ctx && kept >= *(int *)ctx ? -ENOSPC : 0;
}
static int keep_sync(void *ctx) { return 0; }

static struct ledger_sum whole(const struct book *b, unsigned by, size_t *ret_n)
{
	struct groups *got = calloc(1, sizeof(*got));
	struct ledger_sum sum = { 0 };

	assert_int_equal(ledger_groups(b->l, &(struct ledger_query){ 0 }, by, on_group, got, NULL, NULL), 0);
	for (size_t i = 0; i < got->n; i++)
		ledger_sum_add(&sum, &got->v[i].sum);
	*ret_n = got->n;
	free(got);
	return sum;
}

static void on_bill(void *ctx, const struct ledger_bill_line *line)
{
	ledger_sum_add(ctx, &line->sum);
}

static void pruning_keeps_every_sum(void **state)
{
	struct book b;
	struct ledger_pruned done;
	struct err e = { "" };
	size_t before_n, after_n, groups_n;
	int never = 0;

	book_init(&b, 2);
	const struct ledger_keep keep = { keep_row, keep_sync, &never };
	struct ledger_sum before = whole(&b, LEDGER_BY_DAY | LEDGER_BY_MODEL | LEDGER_BY_AGENT | LEDGER_BY_ACCOUNT, &before_n);
	struct ledger_sum bill = { 0 }, bill_after = { 0 };

	assert_int_equal(ledger_bill(b.l, "p0", DAY0, DAY0 + SPAN_S, false, on_bill, &bill, &e), 0);
	assert_int_equal(ledger_prune(b.l, DAY0 + 5, NULL, &done, &e), -EINVAL);
	for (int day = 1; day <= 3; day++) {
		kept = 0;
		if (ledger_prune(b.l, DAY0 + day * 86400, &keep, &done, &e) < 0)
			fail_msg("%s", e.text);
		assert_int_equal(done.calls, kept);
		assert_true(done.calls > 0);
		if (ledger_check(b.l, &e) < 0)
			fail_msg("%s", e.text);
		struct ledger_sum after = whole(&b, LEDGER_BY_DAY | LEDGER_BY_MODEL | LEDGER_BY_AGENT | LEDGER_BY_ACCOUNT, &after_n);

		assert_memory_equal(&before, &after, sizeof(before));
		assert_int_equal(before_n, after_n);
		for (int i = 0; i < 3; i++) {
			spent_is(&b, names[i], 0, INT64_MAX);
			spent_is(&b, names[i], DAY0 + 86400, INT64_MAX);
			spent_is(&b, names[i], DAY0 + 3 * 86400 + 1234, DAY0 + 4 * 86400 + 77);
		}
	}
	assert_int_equal(ledger_bill(b.l, "p0", DAY0, DAY0 + SPAN_S, false, on_bill, &bill_after, &e), 0);
	assert_memory_equal(&bill, &bill_after, sizeof(bill));

	/* What cannot be told any more is said, not guessed. */
	nanousd n;
	bool pruned = false;
	struct groups got = { .n = 0 };

	assert_int_equal(ledger_spent_between(b.l, "a", DAY0 + 5, INT64_MAX, &n, &e), -ERANGE);
	assert_int_equal(ledger_spent_between(b.l, "a", 0, DAY0 + 100, &n, &e), -ERANGE);
	assert_int_equal(ledger_bill(b.l, "p0", DAY0 + 3600, DAY0 + SPAN_S, false, on_bill, &bill, &e), -ERANGE);
	assert_int_equal(ledger_groups(b.l, &(struct ledger_query){ 0 }, LEDGER_BY_PID, on_group, &got, &pruned, NULL), 0);
	assert_true(pruned);
	got.n = 0;
	assert_int_equal(ledger_groups(b.l, &(struct ledger_query){ .since_s = DAY0 + 3 * 86400 }, LEDGER_BY_PID, on_group, &got, &pruned, NULL), 0);
	assert_false(pruned);
	/* Again: nothing left. */
	assert_int_equal(ledger_prune(b.l, DAY0 + 3 * 86400, NULL, &done, &e), 0);
	assert_int_equal(done.calls, 0);
	whole(&b, 0, &groups_n);
	assert_int_equal(groups_n, 1);
	book_done(&b);
}

/* The copy cannot be written: nothing of that batch is taken away, the ledger is as healthy as before. */
static void a_copy_that_fails_stops_the_pruning(void **state)
{
	struct book b;
	struct ledger_pruned done;
	struct err e = { "" };
	int at = 100;
	const struct ledger_keep keep = { keep_row, keep_sync, &at };
	size_t n;

	book_init(&b, 3);
	struct ledger_sum before = whole(&b, LEDGER_BY_PID, &n);

	kept = 0;
	assert_int_equal(ledger_prune(b.l, DAY0 + 4 * 86400, &keep, &done, &e), -ENOSPC);
	assert_non_null(strstr(e.text, "pruning stopped after 0 calls"));
	struct ledger_sum after = whole(&b, LEDGER_BY_PID, &n);

	assert_memory_equal(&before, &after, sizeof(before));
	assert_true(ledger_is_healthy(b.l));
	book_done(&b);
}

/* A call that began before and settles after the pruning counts like any other. */
static void what_comes_late_counts(void **state)
{
	struct book b;
	struct ledger_pruned done;
	nanousd before, after;
	struct ledger_call late;
	unsigned rnd = 77;

	book_init(&b, 4);
	assert_int_equal(ledger_prune(b.l, DAY0 + 2 * 86400, NULL, &done, NULL), 0);
	late = call_of(&rnd, N + 1);
	late.started_ns = (DAY0 + 1000) * S;
	late.cost = 5;
	assert_int_equal(ledger_spent(b.l, late.account, 0, &before, NULL), 0);
	ledger_call(b.l, &late);
	assert_int_equal(ledger_step(b.l), 0);
	assert_int_equal(ledger_spent(b.l, late.account, 0, &after, NULL), 0);
	assert_int_equal(after, before + 5);
	assert_int_equal(ledger_check(b.l, NULL), 0);
	assert_int_equal(ledger_prune(b.l, DAY0 + 2 * 86400, NULL, &done, NULL), 0);
	assert_int_equal(done.calls, 1);
	assert_int_equal(ledger_spent(b.l, late.account, 0, &after, NULL), 0);
	assert_int_equal(after, before + 5);
	book_done(&b);
}

static void sums_saturate(void **state)
{
	struct ledger_sum a = { .cost = INT64_MAX - 1, .usage = { .input = INT64_MAX } }, b = { .cost = 5, .usage = { .input = 1, .pages = 3 } };

	ledger_sum_add(&a, &b);
	assert_int_equal(a.cost, INT64_MAX);
	assert_int_equal(a.usage.input, INT64_MAX);
	assert_int_equal(a.usage.pages, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_second),
		cmocka_unit_test(by_model_too),
		cmocka_unit_test(any_grouping),
		cmocka_unit_test(the_dearest_come_first_and_no_more_than_asked),
		cmocka_unit_test(pruning_keeps_every_sum),
		cmocka_unit_test(a_copy_that_fails_stops_the_pruning),
		cmocka_unit_test(what_comes_late_counts),
		cmocka_unit_test(sums_saturate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
