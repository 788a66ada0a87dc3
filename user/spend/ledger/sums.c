// SPDX-License-Identifier: Apache-2.0
/*
 * ledger/sums.c: sums over a range of time, exact for any second: whole hours from hours, whole days of what was pruned from days, the
 * ragged ends from the calls themselves.
 */
#include "spend/ledger/sums.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/str.h"
#include "spend/ledger/db.h"

#define HOUR_S INT64_C(3600)
#define DAY_S INT64_C(86400)
#define S_MAX (INT64_MAX / LEDGER_NS_PER_S)

/* ---- sums of one and of many */

#define USAGE_FIELDS (sizeof(struct usage) / sizeof(int64_t))
_Static_assert(USAGE_FIELDS * sizeof(int64_t) == sizeof(struct usage), "counts only");

static void add(int64_t *to, int64_t n)
{
	if (__builtin_add_overflow(*to, n, to))
		*to = n < 0 ? INT64_MIN + 1 : INT64_MAX;
}

void ledger_sum_add(struct ledger_sum *s, const struct ledger_sum *other)
{
	int64_t to[USAGE_FIELDS], from[USAGE_FIELDS];

	add(&s->calls, other->calls);
	add(&s->estimated, other->estimated);
	add(&s->unknown, other->unknown);
	add(&s->cost, other->cost);
	add(&s->estimated_cost, other->estimated_cost);
	add(&s->unknown_cost, other->unknown_cost);
	memcpy(to, &s->usage, sizeof(to));
	memcpy(from, &other->usage, sizeof(from));
	for (size_t i = 0; i < USAGE_FIELDS; i++)
		add(&to[i], from[i]);
	memcpy(&s->usage, to, sizeof(to));
}

void ledger_sum_call(struct ledger_sum *s, const struct ledger_call *c)
{
	bool is_unknown = c->estimated && !c->usage_known;
	const struct ledger_sum one = {
		.calls = 1, .estimated = c->estimated, .unknown = is_unknown, .cost = c->cost, .estimated_cost = c->estimated ? c->cost : 0,
		.unknown_cost = is_unknown ? c->cost : 0, .usage = c->usage,
	};

	ledger_sum_add(s, &one);
}

void ledger_sum_negate(struct ledger_sum *s)
{
	int64_t counts[USAGE_FIELDS];

	s->calls = -s->calls;
	s->estimated = -s->estimated;
	s->unknown = -s->unknown;
	s->cost = -s->cost;
	s->estimated_cost = -s->estimated_cost;
	s->unknown_cost = -s->unknown_cost;
	memcpy(counts, &s->usage, sizeof(counts));
	for (size_t i = 0; i < USAGE_FIELDS; i++)
		counts[i] = -counts[i];
	memcpy(&s->usage, counts, sizeof(counts));
}

/* ---- a range in its parts */

struct range {
	int64_t from_s, to_s;            /* as asked, within what nanoseconds can hold */
	int64_t hour_from_s, hour_to_s;  /* whole hours */
	int64_t head_from_ns, head_to_ns, tail_from_ns, tail_to_ns;
	int64_t day_from_s, day_to_s;    /* whole days */
};

static int64_t up_to(int64_t s, int64_t unit)
{
	return s / unit * unit + (s % unit ? unit : 0);
}

static struct range range_of(int64_t from_s, int64_t to_s)
{
	struct range r = { .from_s = from_s < 0 ? 0 : from_s > S_MAX ? S_MAX : from_s, .to_s = to_s < 0 ? 0 : to_s > S_MAX ? S_MAX : to_s };
	bool is_open = r.to_s == S_MAX;

	if (r.to_s < r.from_s)
		r.to_s = r.from_s;
	r.hour_from_s = up_to(r.from_s, HOUR_S);
	r.hour_to_s = is_open ? INT64_MAX : r.to_s / HOUR_S * HOUR_S;
	r.day_from_s = up_to(r.from_s, DAY_S);
	r.day_to_s = is_open ? INT64_MAX : r.to_s / DAY_S * DAY_S;
	r.head_from_ns = r.from_s * LEDGER_NS_PER_S;
	if (r.hour_to_s < r.hour_from_s) { /* within one hour */
		r.hour_to_s = r.hour_from_s;
		r.head_to_ns = r.to_s * LEDGER_NS_PER_S;
		r.tail_from_ns = r.tail_to_ns = r.head_to_ns;
		return r;
	}
	r.head_to_ns = r.hour_from_s > S_MAX ? r.head_from_ns : r.hour_from_s * LEDGER_NS_PER_S;
	r.tail_from_ns = is_open ? INT64_MAX : r.hour_to_s * LEDGER_NS_PER_S;
	r.tail_to_ns = is_open ? INT64_MAX : r.to_s * LEDGER_NS_PER_S;
	return r;
}

/* ---- what one account spent */

static int sum_hours(struct ledger_db *db, const char *account, const struct range *r, nanousd *ret, bool *ret_cut)
{
	const struct db_value values[] = { DB_T(account),       DB_I(r->hour_from_s), DB_I(r->hour_to_s), DB_I(r->day_from_s),
					   DB_I(r->day_to_s),   DB_I(r->from_s),      DB_I(r->to_s) };
	int e = db_start(db, DB_SPENT, values, 7);

	if (e == 0 && (e = db_next(db, DB_SPENT)) == 1) {
		*ret = db_i64(db, DB_SPENT, 0);
		*ret_cut = db_i64(db, DB_SPENT, 1);
	}
	db_end(db, DB_SPENT);
	return e < 0 ? e : 0;
}

static int add_ragged(struct ledger_db *db, const char *account, int64_t from_ns, int64_t to_ns, nanousd *sum)
{
	const struct db_value values[] = { DB_T(account), DB_I(from_ns), DB_I(to_ns) };

	if (from_ns >= to_ns)
		return 0;
	int e = db_start(db, DB_SPENT_RAGGED, values, 3);

	if (e == 0 && (e = db_next(db, DB_SPENT_RAGGED)) == 1)
		add(sum, db_i64(db, DB_SPENT_RAGGED, 0));
	db_end(db, DB_SPENT_RAGGED);
	return e < 0 ? e : 0;
}

static int sum_range(struct ledger_db *db, const char *account, const struct range *r, nanousd *ret, bool *ret_cut)
{
	int e = db_run(db, DB_BEGIN_VIEW, NULL, 0); /* the parts are of one moment */

	if (e < 0)
		return e;
	e = sum_hours(db, account, r, ret, ret_cut);
	if (e == 0)
		e = add_ragged(db, account, r->head_from_ns, r->head_to_ns, ret);
	if (e == 0)
		e = add_ragged(db, account, r->tail_from_ns, r->tail_to_ns, ret);
	int end = db_run(db, DB_END_VIEW, NULL, 0);

	return e < 0 ? e : end;
}

int ledger_spent_between(struct ledger *l, const char *account, int64_t from_s, int64_t to_s, nanousd *ret, struct err *e)
{
	struct range range = range_of(from_s, to_s);
	struct ledger_db *db = ledger_reader_lock(l, e);
	nanousd sum = 0;
	bool is_cut = false;

	if (!db)
		return -EIO;
	int r = sum_range(db, account, &range, &sum, &is_cut);

	if (r < 0)
		(void)err_set(e, -r, "ledger %s: cannot be read: %s", ledger_path(l), db_error(db));
	ledger_reader_unlock(l, r < 0);
	if (r == 0 && is_cut)
		return err_set(e, ERANGE, "ledger: account \"%s\": %lld to %lld begins or ends within a day that was pruned", account,
			       (long long)from_s, (long long)to_s);
	if (r == 0)
		*ret = sum;
	return r;
}

int ledger_models_between(struct ledger *l, const char *account, int64_t from_s, int64_t to_s,
			  void (*fn)(void *ctx, const char *provider, const char *model, nanousd cost), void *ctx, struct err *e)
{
	struct range g = range_of(from_s, to_s);
	const struct db_value values[] = {
		DB_T(account), DB_I(g.hour_from_s), DB_I(g.hour_to_s), DB_I(g.day_from_s), DB_I(g.day_to_s), DB_I(0), DB_I(0),
		DB_I(g.head_from_ns), DB_I(g.head_to_ns), DB_I(g.tail_from_ns), DB_I(g.tail_to_ns),
	};
	struct ledger_db *db = ledger_reader_lock(l, e);

	if (!db)
		return -EIO;
	int r = db_start(db, DB_SPENT_MODELS, values, 11);

	while (r == 0 && (r = db_next(db, DB_SPENT_MODELS)) == 1) {
		char provider[32], model[GATE_MODEL_MAX];

		db_text(db, DB_SPENT_MODELS, 0, provider, sizeof(provider));
		db_text(db, DB_SPENT_MODELS, 1, model, sizeof(model));
		fn(ctx, provider, model, db_i64(db, DB_SPENT_MODELS, 2));
		r = 0;
	}
	db_end(db, DB_SPENT_MODELS);
	if (r < 0)
		(void)err_set(e, -r, "ledger %s: cannot be read: %s", ledger_path(l), db_error(db));
	ledger_reader_unlock(l, r < 0);
	return r;
}

/* ---- groups */

/* Groups that are being added up. The bytes before `sum` are the key: zeroed before they are filled. */
struct groups {
	struct map *by_key; /* -> struct ledger_group */
	unsigned by;
	bool is_short; /* of memory */
};

static void read_key(struct ledger_db *db, enum ledger_stmt s, unsigned by, struct ledger_group *ret)
{
	int64_t at_s = db_i64(db, s, 4);

	memset(ret, 0, sizeof(*ret));
	if (by & LEDGER_BY_ACCOUNT)
		db_text(db, s, 0, ret->account, sizeof(ret->account));
	if (by & LEDGER_BY_AGENT)
		db_text(db, s, 1, ret->agent, sizeof(ret->agent));
	if (by & LEDGER_BY_PROVIDER)
		db_text(db, s, 2, ret->provider, sizeof(ret->provider));
	if (by & LEDGER_BY_MODEL)
		db_text(db, s, 3, ret->model, sizeof(ret->model));
	if (by & (LEDGER_BY_DAY | LEDGER_BY_HOUR))
		ret->at_s = by & LEDGER_BY_HOUR ? at_s : at_s / DAY_S * DAY_S;
	if (by & LEDGER_BY_PID)
		ret->pid = (uint32_t)db_i64(db, s, 5);
	if (by & LEDGER_BY_CGROUP)
		ret->cgroup_id = (uint64_t)db_i64(db, s, 6);
}

static void add_row(struct groups *g, struct ledger_db *db, enum ledger_stmt s)
{
	struct ledger_group row;

	read_key(db, s, g->by, &row);
	struct str key = { (const char *)&row, offsetof(struct ledger_group, sum) };
	struct ledger_group *to = map_find(g->by_key, key);

	db_sum_read(db, s, 7, &row.sum);
	if (to) {
		ledger_sum_add(&to->sum, &row.sum);
		return;
	}
	to = malloc(sizeof(*to));
	if (!to || map_put(g->by_key, key, to, NULL) < 0) {
		free(to);
		g->is_short = true;
		return;
	}
	*to = row;
}

struct sorted {
	const struct ledger_group **v;
	size_t n;
};

static bool collect(void *ctx, struct str key, void *value)
{
	struct sorted *s = ctx;

	(void)key;
	s->v[s->n++] = value;
	return true;
}

static int by_time_then_cost(const void *a, const void *b)
{
	const struct ledger_group *x = *(const struct ledger_group *const *)a, *y = *(const struct ledger_group *const *)b;

	if (x->at_s != y->at_s)
		return x->at_s < y->at_s ? -1 : 1;
	if (x->sum.cost != y->sum.cost)
		return x->sum.cost > y->sum.cost ? -1 : 1;
	return memcmp(x, y, offsetof(struct ledger_group, sum));
}

static int tell_groups(const struct groups *g, int64_t limit, void (*fn)(void *ctx, const struct ledger_group *), void *ctx)
{
	struct sorted s = { .v = calloc(map_count(g->by_key) + 1, sizeof(*s.v)) };

	if (!s.v)
		return -ENOMEM;
	map_each(g->by_key, collect, &s);
	qsort(s.v, s.n, sizeof(*s.v), by_time_then_cost);
	for (size_t i = 0; i < s.n && (limit <= 0 || (int64_t)i < limit); i++)
		fn(ctx, s.v[i]);
	free(s.v);
	return 0;
}

/* Only the rows of calls know it. */
static bool asks_for_calls(const struct ledger_query *q, unsigned by)
{
	return q->pid || q->cgroup_id || q->status || q->estimated || q->min_cost > 0 || (by & (LEDGER_BY_PID | LEDGER_BY_CGROUP));
}

static bool given(const char *text)
{
	return text && *text;
}

/* Is there something in the range that was pruned and is not in the answer? */
static int has_days(struct ledger_db *db, const struct ledger_query *q, const struct range *g, bool *ret)
{
	const struct db_value values[] = { DB_I(g->from_s),        DB_I(g->to_s),         DB_T_OR_ANY(q->provider),
					   DB_T_OR_ANY(q->account), DB_T_OR_ANY(q->agent), DB_T_OR_ANY(q->model) };
	int r = db_start(db, DB_HAS_DAYS, values, 6);

	if (r == 0 && (r = db_next(db, DB_HAS_DAYS)) == 1)
		*ret = db_i64(db, DB_HAS_DAYS, 0);
	db_end(db, DB_HAS_DAYS);
	return r < 0 ? r : 0;
}

static int has_seen(struct ledger_db *db, const char *agent)
{
	const struct db_value values[] = { DB_T(agent) };
	int r = db_start(db, DB_SEEN, values, 1);

	if (r == 0)
		r = db_next(db, DB_SEEN);
	db_end(db, DB_SEEN);
	return r;
}

static int run_groups(struct ledger_db *db, const struct ledger_query *q, const struct range *g, bool of_calls, struct groups *groups)
{
	const char *account = given(q->account) ? q->account : NULL;

	/* An agent's calls are its account's, unless it was seen with another one: then the index by account is of no use. */
	if (!account && given(q->agent)) {
		int seen = has_seen(db, q->agent);

		if (seen < 0)
			return seen;
		account = seen ? NULL : q->agent;
	}
	enum ledger_stmt s = of_calls ? account ? DB_GROUPS_OF_CALLS_OF_ACCOUNT : DB_GROUPS_OF_CALLS
				      : account ? DB_GROUPS_OF_ACCOUNT : DB_GROUPS;
	const struct db_value values[] = {
		DB_I(g->hour_from_s), DB_I(g->hour_to_s), DB_I(g->head_from_ns), DB_I(g->head_to_ns), DB_I(g->tail_from_ns),
		/* Of calls: all from the first to the last nanosecond. */
		DB_I(of_calls && g->tail_to_ns < g->head_to_ns ? g->head_to_ns : g->tail_to_ns), DB_I(g->day_from_s), DB_I(g->day_to_s),
		DB_T_OR_ANY(q->agent), DB_T_OR_ANY(q->provider), DB_T_OR_ANY(q->model), DB_T_OR_ANY(account), DB_I_OR_ANY(q->pid, !q->pid), DB_I_OR_ANY(q->cgroup_id, !q->cgroup_id),
		DB_I_OR_ANY(q->status < 0 ? 0 : q->status, !q->status), DB_I_OR_ANY(1, !q->estimated),
		DB_I_OR_ANY(q->min_cost, q->min_cost <= 0),
	};
	int r = db_start(db, s, values, of_calls ? 17 : account ? 12 : 11);

	while (r == 0 && (r = db_next(db, s)) == 1) {
		add_row(groups, db, s);
		r = groups->is_short ? -ENOMEM : 0;
	}
	db_end(db, s);
	return r;
}

int ledger_groups(struct ledger *l, const struct ledger_query *q, unsigned by, void (*fn)(void *ctx, const struct ledger_group *),
		  void *ctx, bool *ret_pruned, struct err *e)
{
	struct range g = range_of(q->since_s, q->until_s > 0 ? q->until_s : INT64_MAX);
	bool of_calls = asks_for_calls(q, by), cuts_days = false, pruned = false;
	struct groups groups = { .by = by };
	struct ledger_db *db;
	int r = db_open(ledger_path(l), DB_READ, DB_CHECK_HEADER, &db, e);

	if (r < 0)
		return r;
	groups.by_key = map_new();
	r = db_run(db, DB_BEGIN_VIEW, NULL, 0);
	if (r == 0)
		r = groups.by_key ? run_groups(db, q, &g, of_calls, &groups) : -ENOMEM;
	/* Days are in the answer as wholes; by hour, or where the range cuts one, they are not what was asked for. */
	cuts_days = of_calls || (by & LEDGER_BY_HOUR) || g.from_s % DAY_S || (g.to_s != S_MAX && g.to_s % DAY_S);
	if (r == 0 && cuts_days)
		r = has_days(db, q, &g, &pruned);
	if (r < 0)
		(void)err_set(e, -r, "ledger %s: cannot be read: %s; see `purse audit`", ledger_path(l),
			      r == -ENOMEM ? "out of memory" : db_error(db));
	db_close(db);
	if (r == 0 && (r = tell_groups(&groups, q->limit, fn, ctx)) < 0)
		(void)err_set(e, -r, "ledger: out of memory");
	map_free(groups.by_key, free);
	if (r == 0 && ret_pruned)
		*ret_pruned = pruned;
	return r;
}

/* ---- the bill */

int ledger_bill(struct ledger *l, const char *provider, int64_t from_s, int64_t to_s, bool by_day,
		void (*fn)(void *ctx, const struct ledger_bill_line *), void *ctx, struct err *e)
{
	struct range g = range_of(from_s, to_s);
	const struct ledger_query q = { .provider = provider };
	const struct db_value values[] = { DB_T(provider),     DB_I(g.from_s * LEDGER_NS_PER_S), DB_I(g.to_s * LEDGER_NS_PER_S),
					   DB_I(g.day_from_s), DB_I(g.day_to_s),                 DB_I(by_day) };
	bool is_cut = false;
	struct ledger_db *db;
	int r = db_open(ledger_path(l), DB_READ, DB_CHECK_HEADER, &db, e);

	if (r < 0)
		return r;
	r = db_run(db, DB_BEGIN_VIEW, NULL, 0);
	if (r == 0 && (g.from_s % DAY_S || g.to_s % DAY_S)) {
		/* The days that the ends cut. */
		struct range head = g, tail = g;

		head.to_s = g.from_s + 1;
		tail.from_s = g.to_s - 1;
		r = g.from_s % DAY_S ? has_days(db, &q, &head, &is_cut) : 0;
		if (r == 0 && !is_cut && g.to_s % DAY_S)
			r = has_days(db, &q, &tail, &is_cut);
	}
	if (r == 0 && !is_cut)
		r = db_start(db, DB_BILL, values, 6);
	while (r == 0 && !is_cut && (r = db_next(db, DB_BILL)) == 1) {
		struct ledger_bill_line line = { .tier = (enum tier)db_i64(db, DB_BILL, 1), .day_s = db_i64(db, DB_BILL, 3) };

		db_text(db, DB_BILL, 0, line.model, sizeof(line.model));
		db_text(db, DB_BILL, 2, line.price, sizeof(line.price));
		db_sum_read(db, DB_BILL, 4, &line.sum);
		fn(ctx, &line);
		r = 0;
	}
	db_end(db, DB_BILL);
	if (r < 0)
		(void)err_set(e, -r, "ledger %s: cannot be read: %s; see `purse audit`", ledger_path(l), db_error(db));
	db_close(db);
	if (r == 0 && is_cut)
		return err_set(e, ERANGE, "ledger: the range begins or ends within a day that was pruned; days of pruned calls are UTC days: ask "
			       "for one in UTC");
	return r;
}
