// SPDX-License-Identifier: Apache-2.0
/*
 * ledger_read.c: reading the ledger: for the start (sums, ids), for people (rows, newest first), for the audit (one moment, all of
 * it). Short questions share one connection; listings and checks open their own, so that a slow reader holds up nobody.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spend/ledger_db.h"

#define ROWS_DEFAULT 100

/* ---- short questions */

/* First column of the first row; *ret stays as it was where there is no row. */
static int ask(struct ledger *l, enum ledger_stmt s, const struct db_value *values, size_t n, int64_t *ret, struct err *e)
{
	struct ledger_db *db = ledger_reader_lock(l, e);

	if (!db)
		return -EIO;
	int r = db_start(db, s, values, n);

	if (r == 0) {
		r = db_next(db, s);
		if (r == 1)
			*ret = db_i64(db, s, 0);
		if (r < 0)
			(void)err_set(e, -r, "ledger %s: cannot be read: %s", ledger_path(l), db_error(db));
		db_end(db, s);
	}
	ledger_reader_unlock(l, r < 0 && r != -EBUSY);
	return r;
}

int ledger_spent_between(struct ledger *l, const char *account, int64_t from_s, int64_t to_s, nanousd *ret, struct err *e)
{
	const struct db_value values[] = { DB_T(account), DB_I(from_s), DB_I(to_s) };
	int64_t sum = 0;
	int r = ask(l, DB_SPENT, values, 3, &sum, e);

	if (r < 0)
		return r;
	*ret = sum;
	return 0;
}

int ledger_spent(struct ledger *l, const char *account, int64_t from_s, nanousd *ret, struct err *e)
{
	return ledger_spent_between(l, account, from_s, INT64_MAX, ret, e);
}

bool ledger_has_call(struct ledger *l, uint64_t call_id)
{
	const struct db_value values[] = { DB_I(call_id) };
	int64_t one = 0;

	return ask(l, DB_HAS_CALL, values, 1, &one, NULL) == 1;
}

uint64_t ledger_max_call_id(struct ledger *l)
{
	int64_t id = 0;

	(void)ask(l, DB_MAX_CALL, NULL, 0, &id, NULL);
	return (uint64_t)id;
}

int64_t ledger_newest_start_ns(struct ledger *l)
{
	int64_t ns = 0;

	(void)ask(l, DB_NEWEST_START, NULL, 0, &ns, NULL);
	return ns;
}

/* ---- listings on a connection of their own */

static int each(struct ledger *l, enum ledger_stmt s, const struct db_value *values, size_t n,
		void (*row)(struct ledger_db *db, enum ledger_stmt s, void *ctx), void *ctx, struct err *e)
{
	struct ledger_db *db;
	int r = db_open(ledger_path(l), DB_READ, DB_CHECK_HEADER, &db, e);

	if (r < 0)
		return r;
	r = db_start(db, s, values, n);
	if (r == 0) {
		while ((r = db_next(db, s)) == 1)
			row(db, s, ctx);
		if (r < 0)
			(void)err_set(e, -r, "ledger %s: cannot be read: %s; see `purse audit`", ledger_path(l), db_error(db));
		db_end(db, s);
	}
	db_close(db);
	return r;
}

struct account_listing {
	void (*fn)(void *ctx, const struct account_spec *);
	void *ctx;
};

static void account_row(struct ledger_db *db, enum ledger_stmt s, void *ctx)
{
	struct account_listing *listing = ctx;
	struct account_spec a = { .floor = db_i64(db, s, 7), .paused = db_i64(db, s, 8) };

	db_text(db, s, 0, a.name, sizeof(a.name));
	db_text(db, s, 1, a.parent, sizeof(a.parent));
	for (int k = 0; k < WINDOW_COUNT; k++)
		a.limits[k] = db_i64(db, s, 2 + k);
	listing->fn(listing->ctx, &a);
}

int ledger_each_account(struct ledger *l, void (*fn)(void *ctx, const struct account_spec *), void *ctx)
{
	struct account_listing listing = { fn, ctx };

	return each(l, DB_ACCOUNTS, NULL, 0, account_row, &listing, NULL);
}

struct agent_listing {
	void (*fn)(void *ctx, const struct ledger_agent *);
	void *ctx;
};

static void agent_row(struct ledger_db *db, enum ledger_stmt s, void *ctx)
{
	struct agent_listing *listing = ctx;
	struct ledger_agent a = { .flags = (uint32_t)db_i64(db, s, 3) };

	db_text(db, s, 0, a.name, sizeof(a.name));
	db_text(db, s, 1, a.account, sizeof(a.account));
	db_text(db, s, 2, a.cgroup, sizeof(a.cgroup));
	listing->fn(listing->ctx, &a);
}

int ledger_each_agent(struct ledger *l, void (*fn)(void *ctx, const struct ledger_agent *), void *ctx)
{
	struct agent_listing listing = { fn, ctx };

	return each(l, DB_AGENTS, NULL, 0, agent_row, &listing, NULL);
}

struct place_listing {
	void (*fn)(void *ctx, const struct ledger_place *);
	void *ctx;
};

static void place_row(struct ledger_db *db, enum ledger_stmt s, void *ctx)
{
	struct place_listing *listing = ctx;
	struct ledger_place p;

	db_text(db, s, 0, p.account, sizeof(p.account));
	db_text(db, s, 1, p.parent, sizeof(p.parent));
	listing->fn(listing->ctx, &p);
}

int ledger_each_place(struct ledger *l, void (*fn)(void *ctx, const struct ledger_place *), void *ctx)
{
	struct place_listing listing = { fn, ctx };

	return each(l, DB_PLACES, NULL, 0, place_row, &listing, NULL);
}

/* ---- rows for people */

struct row_listing {
	void (*fn)(void *ctx, const struct ledger_row *);
	void *ctx;
};

static void call_row(struct ledger_db *db, enum ledger_stmt s, void *ctx)
{
	struct row_listing *listing = ctx;
	struct ledger_row row = { 0 };

	db_call_read(db, s, &row.call);
	row.at_ns = row.call.started_ns;
	listing->fn(listing->ctx, &row);
}

static void refusal_row(struct ledger_db *db, enum ledger_stmt s, void *ctx)
{
	struct row_listing *listing = ctx;
	struct ledger_row row = { .at_ns = db_i64(db, s, 0) };
	struct refusal *why = &row.why;

	db_text(db, s, 1, row.who, sizeof(row.who));
	db_text(db, s, 1, row.call.agent, sizeof(row.call.agent));
	db_text(db, s, 2, row.call.provider, sizeof(row.call.provider));
	db_text(db, s, 3, row.call.model, sizeof(row.call.model));
	why->reason = (enum refusal_reason)db_i64(db, s, 4);
	db_text(db, s, 5, why->account, sizeof(why->account));
	why->window = (enum window_kind)db_i64(db, s, 6);
	why->limit = db_i64(db, s, 7);
	why->spent = db_i64(db, s, 8);
	why->held = db_i64(db, s, 9);
	why->needed = db_i64(db, s, 10);
	why->reset_s = db_i64(db, s, 11);
	db_text(db, s, 12, why->detail, sizeof(why->detail));
	db_text(db, s, 12, row.what, sizeof(row.what));
	listing->fn(listing->ctx, &row);
}

static void change_row(struct ledger_db *db, enum ledger_stmt s, void *ctx)
{
	struct row_listing *listing = ctx;
	struct ledger_row row = { .at_ns = db_i64(db, s, 0) };

	db_text(db, s, 1, row.who, sizeof(row.who));
	db_text(db, s, 2, row.what, sizeof(row.what));
	listing->fn(listing->ctx, &row);
}

static int64_t in_ns(int64_t s, int64_t if_open)
{
	if (s <= 0)
		return if_open;
	return s > INT64_MAX / LEDGER_NS_PER_S ? INT64_MAX : s * LEDGER_NS_PER_S;
}

int ledger_read(struct ledger *l, const struct ledger_query *q, void (*fn)(void *ctx, const struct ledger_row *), void *ctx,
		struct err *e)
{
	struct row_listing listing = { fn, ctx };
	bool one_agent = q->agent && *q->agent;
	const struct db_value values[] = {
		DB_I(in_ns(q->since_s, 0)), DB_I(in_ns(q->until_s, INT64_MAX)), DB_T_OR_ANY(q->provider), DB_T_OR_ANY(q->model),
		DB_I(q->limit > 0 ? q->limit : ROWS_DEFAULT), DB_T(one_agent ? q->agent : ""),
	};

	if (q->changes) /* ?3 and ?4 are not used there, but numbered */
		return each(l, DB_CHANGES, values, 5, change_row, &listing, e);
	if (q->refusals)
		return each(l, one_agent ? DB_REFUSALS_OF_AGENT : DB_REFUSALS, values, 5 + one_agent, refusal_row, &listing, e);
	return each(l, one_agent ? DB_CALLS_OF_AGENT : DB_CALLS, values, 5 + one_agent, call_row, &listing, e);
}

/* ---- one moment */

struct ledger_view {
	struct ledger_db *db;
	bool begun;
};

int ledger_view_open(struct ledger *l, struct ledger_view **ret, struct err *e)
{
	struct ledger_view *v = calloc(1, sizeof(*v));

	if (!v)
		return err_set(e, ENOMEM, "ledger: out of memory");
	int r = db_open(ledger_path(l), DB_READ, DB_CHECK_HEADER, &v->db, e);

	if (r < 0) {
		free(v);
		return r;
	}
	*ret = v;
	return 0;
}

int ledger_view_begin(struct ledger_view *v)
{
	int r = db_run(v->db, DB_BEGIN_VIEW, NULL, 0);

	if (r == 0)
		r = db_run(v->db, DB_TOUCH, NULL, 0); /* BEGIN alone fixes nothing: the first read does */
	v->begun = r == 0;
	return r;
}

void ledger_view_close(struct ledger_view *v)
{
	if (!v)
		return;
	if (v->begun)
		(void)db_run(v->db, DB_END_VIEW, NULL, 0);
	db_close(v->db);
	free(v);
}

int ledger_view_hours(struct ledger_view *v,
		      void (*fn)(void *ctx, const char *account, int64_t hour_s, nanousd cost, uint64_t calls), void *ctx)
{
	int r = db_start(v->db, DB_HOURS, NULL, 0);

	if (r < 0)
		return r;
	while ((r = db_next(v->db, DB_HOURS)) == 1) {
		char account[GATE_NAME_MAX];

		db_text(v->db, DB_HOURS, 0, account, sizeof(account));
		fn(ctx, account, db_i64(v->db, DB_HOURS, 1), db_i64(v->db, DB_HOURS, 2), (uint64_t)db_i64(v->db, DB_HOURS, 3));
	}
	db_end(v->db, DB_HOURS);
	return r;
}

int ledger_view_places(struct ledger_view *v, void (*fn)(void *ctx, const struct ledger_place *), void *ctx)
{
	struct place_listing listing = { fn, ctx };
	int r = db_start(v->db, DB_PLACES, NULL, 0);

	if (r < 0)
		return r;
	while ((r = db_next(v->db, DB_PLACES)) == 1)
		place_row(v->db, DB_PLACES, &listing);
	db_end(v->db, DB_PLACES);
	return r;
}

int ledger_view_has_call(struct ledger_view *v, uint64_t call_id)
{
	const struct db_value values[] = { DB_I(call_id) };
	int r = db_start(v->db, DB_HAS_CALL, values, 1);

	if (r < 0)
		return r;
	r = db_next(v->db, DB_HAS_CALL);
	db_end(v->db, DB_HAS_CALL);
	return r;
}

/* ---- checking */

static int check_integrity(struct ledger *l, struct ledger_db *db, struct err *e)
{
	char text[200] = "";
	int r = db_start(db, DB_INTEGRITY, NULL, 0);

	if (r == 0 && (r = db_next(db, DB_INTEGRITY)) == 1)
		db_text(db, DB_INTEGRITY, 0, text, sizeof(text));
	db_end(db, DB_INTEGRITY);
	if (r == 1 && strcmp(text, "ok") == 0)
		return 0;
	return err_set(e, EUCLEAN, "ledger %s: is damaged: integrity_check says \"%s\"; put back a backup, or recover what can be read with "
		       "sqlite3's .recover", ledger_path(l), r < 0 ? db_error(db) : text);
}

static int check_hours(struct ledger *l, struct ledger_db *db, enum ledger_stmt s, struct err *e)
{
	int r = db_start(db, s, NULL, 0);

	if (r == 0 && (r = db_next(db, s)) == 1) {
		char account[GATE_NAME_MAX];

		db_text(db, s, 0, account, sizeof(account));
		r = err_set(e, EUCLEAN, "ledger %s: account \"%s\", hour beginning %lld: the rows add up to %lld nano-dollars in %lld calls, "
			    "the hour's sum says %lld in %lld", ledger_path(l), account, (long long)db_i64(db, s, 1),
			    (long long)db_i64(db, s, 2), (long long)db_i64(db, s, 3), (long long)db_i64(db, s, 4),
			    (long long)db_i64(db, s, 5));
	} else if (r < 0) {
		(void)err_set(e, -r, "ledger %s: cannot be read: %s", ledger_path(l), db_error(db));
	}
	db_end(db, s);
	return r;
}

static int check_rows(struct ledger *l, struct ledger_db *db, struct err *e)
{
	int r = db_start(db, DB_ODD_ROW, NULL, 0);

	if (r == 0 && (r = db_next(db, DB_ODD_ROW)) == 1)
		r = err_set(e, EUCLEAN, "ledger %s: call %lld: cost %lld or start %lld is negative", ledger_path(l),
			    (long long)db_i64(db, DB_ODD_ROW, 0), (long long)db_i64(db, DB_ODD_ROW, 1),
			    (long long)db_i64(db, DB_ODD_ROW, 2));
	db_end(db, DB_ODD_ROW);
	return r;
}

int ledger_check(struct ledger *l, struct err *e)
{
	struct ledger_view *v;
	int r = ledger_view_open(l, &v, e);

	if (r < 0)
		return r;
	r = ledger_view_begin(v);
	if (r < 0)
		(void)err_set(e, -r, "ledger %s: cannot be read: %s", ledger_path(l), db_error(v->db));
	if (r == 0)
		r = check_integrity(l, v->db, e);
	if (r == 0)
		r = check_rows(l, v->db, e);
	if (r == 0)
		r = check_hours(l, v->db, DB_ROWS_NOT_IN_HOURS, e);
	if (r == 0)
		r = check_hours(l, v->db, DB_HOURS_NOT_IN_ROWS, e);
	ledger_view_close(v);
	return r;
}
