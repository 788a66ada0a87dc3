// SPDX-License-Identifier: Apache-2.0
/*
 * ledger/read.c: reading the ledger: for the start (ids, accounts), for people (rows, newest first). Short questions share one connection;
 * listings open their own, so that a slow reader holds up nobody. Sums: ledger/sums.c; one moment of all of it: ledger/view.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "spend/ledger/db.h"

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
	}
	if (r < 0)
		(void)err_set(e, -r, "ledger %s: cannot be read: %s", ledger_path(l), db_error(db));
	db_end(db, s);
	ledger_reader_unlock(l, r < 0 && r != -EBUSY);
	return r;
}

int ledger_spent(struct ledger *l, const char *account, int64_t from_s, nanousd *ret, struct err *e)
{
	return ledger_spent_between(l, account, from_s, INT64_MAX, ret, e);
}

int ledger_has_call(struct ledger *l, uint64_t call_id, struct err *e)
{
	const struct db_value values[] = { DB_I(call_id) };
	int64_t one = 0;

	return ask(l, DB_HAS_CALL, values, 1, &one, e);
}

int ledger_newest(struct ledger *l, uint64_t *ret_call_id, int64_t *ret_start_ns, struct err *e)
{
	int64_t id = 0, ns = 0;
	int r = ask(l, DB_MAX_CALL, NULL, 0, &id, e);

	if (r >= 0)
		r = ask(l, DB_NEWEST_START, NULL, 0, &ns, e);
	if (r < 0)
		return r;
	*ret_call_id = (uint64_t)id;
	*ret_start_ns = ns;
	return 0;
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
	struct account_spec a = { .floor = db_i64(db, s, 7), .paused = db_i64(db, s, 8), .reset_minute = (int32_t)db_i64(db, s, 10),
				  .raise_until_s = db_i64(db, s, 16), .clamp = db_i64(db, s, 17) };
	const char *rules = db_chars(db, s, 18);
	struct err e;

	db_text(db, s, 0, a.name, sizeof(a.name));
	db_text(db, s, 1, a.parent, sizeof(a.parent));
	db_text(db, s, 9, a.zone, sizeof(a.zone));
	for (int k = 0; k < WINDOW_COUNT; k++) {
		a.limits[k] = db_i64(db, s, 2 + k);
		a.raise[k] = db_i64(db, s, 11 + k);
	}
	/* Rules that cannot be read are no rules: the account stands still until a person looks. */
	if (rules_parse(rules, strlen(rules), &a.rules, &e) < 0) {
		log_error("ledger", "account \"%s\": its rules cannot be read (%s): paused; set them again, then resume it", a.name, e.text);
		a.paused = true;
	}
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
	db_text(db, s, 13, why->rule, sizeof(why->rule));
	why->retry_s = db_i64(db, s, 14);
	row.dry_run = db_i64(db, s, 15);
	db_text(db, s, 12, row.what, sizeof(row.what));
	listing->fn(listing->ctx, &row);
}

static void change_row(struct ledger_db *db, enum ledger_stmt s, void *ctx)
{
	struct row_listing *listing = ctx;
	struct ledger_row row = { .at_ns = db_i64(db, s, 0) };

	char verb[256];

	db_text(db, s, 1, row.who, sizeof(row.who));
	db_text(db, s, 2, verb, sizeof(verb));
	db_text(db, s, 3, row.subject, sizeof(row.subject));
	(void)str_copy(row.verb, sizeof(row.verb), str_of(verb));
	(void)snprintf(row.what, sizeof(row.what), "%.190s%s%s", verb, row.subject[0] ? " " : "", row.subject);
	row.before = db_chars(db, s, 4);
	row.after = db_chars(db, s, 5);
	listing->fn(listing->ctx, &row);
}

static int64_t in_ns(int64_t s, int64_t if_open)
{
	if (s <= 0)
		return if_open;
	return s > INT64_MAX / LEDGER_NS_PER_S ? INT64_MAX : s * LEDGER_NS_PER_S;
}

/* Which accounts have an agent's calls: its own, almost always. */
static bool has_other_accounts(struct ledger *l, const char *agent)
{
	const struct db_value values[] = { DB_T(agent) };
	int64_t one = 0;

	return ask(l, DB_SEEN, values, 1, &one, NULL) != 0;
}

#define READ_VALUES 12

static int read_calls(struct ledger *l, const struct ledger_query *q, struct db_value *values, struct row_listing *listing, struct err *e)
{
	bool one_agent = q->agent && *q->agent, one_account = q->account && *q->account;
	enum ledger_stmt s = one_account ? DB_CALLS_OF_ACCOUNT : DB_CALLS;

	if (one_agent && !one_account) {
		s = has_other_accounts(l, q->agent) ? DB_CALLS_OF_AGENT : DB_CALLS_OF_ACCOUNT;
		if (s == DB_CALLS_OF_ACCOUNT)
			values[5] = DB_T(q->agent);
	}
	return each(l, s, values, READ_VALUES, call_row, listing, e);
}

int ledger_read(struct ledger *l, const struct ledger_query *q, void (*fn)(void *ctx, const struct ledger_row *), void *ctx,
		struct err *e)
{
	struct row_listing listing = { fn, ctx };
	struct db_value values[READ_VALUES] = {
		DB_I(in_ns(q->since_s, 0)), DB_I(in_ns(q->until_s, INT64_MAX)), DB_T_OR_ANY(q->provider), DB_T_OR_ANY(q->model),
		DB_I(q->limit > 0 ? q->limit : ROWS_DEFAULT), DB_T_OR_ANY(q->account), DB_T_OR_ANY(q->agent),
		DB_I_OR_ANY(q->pid, !q->pid), DB_I_OR_ANY(q->cgroup_id, !q->cgroup_id),
		DB_I_OR_ANY(q->status < 0 ? 0 : q->status, !q->status), DB_I_OR_ANY(1, !q->estimated),
		DB_I_OR_ANY(q->min_cost, q->min_cost <= 0),
	};
	bool one_agent = q->agent && *q->agent;

	if (q->changes) /* ?3 and ?4 are not used there, but numbered */
		return each(l, DB_CHANGES, values, 6, change_row, &listing, e);
	if (q->refusals)
		return each(l, one_agent ? DB_REFUSALS_OF_AGENT : DB_REFUSALS, values, one_agent ? 7 : 6, refusal_row, &listing, e);
	return read_calls(l, q, values, &listing, e);
}
