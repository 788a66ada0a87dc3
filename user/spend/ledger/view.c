// SPDX-License-Identifier: Apache-2.0
/* ledger/view.c: one moment of the ledger, for the start and the audit, and the check of the ledger for itself. On a connection of its own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spend/ledger/db.h"

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

int ledger_view_hours(struct ledger_view *v, const char *of, void (*fn)(void *ctx, const struct ledger_hour *), void *ctx)
{
	const enum ledger_stmt s = of ? DB_HOURS_OF : DB_HOURS;
	const struct db_value values[] = { DB_T(of) };
	int r = db_start(v->db, s, values, of ? 1 : 0);

	if (r < 0)
		return r;
	while ((r = db_next(v->db, s)) == 1) {
		char account[GATE_NAME_MAX], provider[32], model[GATE_MODEL_MAX];
		const struct ledger_hour hour = {
			.account = account, .at_s = db_i64(v->db, s, 1), .length_s = db_i64(v->db, s, 2),
			.provider = provider, .model = model, .cost = db_i64(v->db, s, 5), .calls = (uint64_t)db_i64(v->db, s, 6),
		};

		db_text(v->db, s, 0, account, sizeof(account));
		db_text(v->db, s, 3, provider, sizeof(provider));
		db_text(v->db, s, 4, model, sizeof(model));
		fn(ctx, &hour);
	}
	db_end(v->db, s);
	return r;
}

int ledger_view_calls(struct ledger_view *v, const char *of, int64_t from_s, int64_t to_s,
		      void (*fn)(void *ctx, const struct ledger_call *), void *ctx)
{
	const enum ledger_stmt s = of ? DB_CALLS_OF_BETWEEN : DB_CALLS_BETWEEN;
	const struct db_value values[] = { DB_I(from_s * LEDGER_NS_PER_S), DB_I(to_s * LEDGER_NS_PER_S), DB_T(of) };
	int r = db_start(v->db, s, values, of ? 3 : 2);

	if (r < 0)
		return r;
	while ((r = db_next(v->db, s)) == 1) {
		struct ledger_call c;

		db_call_read(v->db, s, &c);
		fn(ctx, &c);
	}
	db_end(v->db, s);
	return r;
}

int ledger_view_holds(struct ledger_view *v, void (*fn)(void *ctx, const struct ledger_hold *), void *ctx)
{
	int r = db_start(v->db, DB_HOLDS, NULL, 0);

	if (r < 0)
		return r;
	while ((r = db_next(v->db, DB_HOLDS)) == 1) {
		struct ledger_hold h;

		db_hold_read(v->db, DB_HOLDS, &h);
		fn(ctx, &h);
	}
	db_end(v->db, DB_HOLDS);
	return r;
}

static void view_place(struct ledger_db *db, void (*fn)(void *ctx, const struct ledger_place *), void *ctx)
{
	struct ledger_place p;

	db_text(db, DB_PLACES, 0, p.account, sizeof(p.account));
	db_text(db, DB_PLACES, 1, p.parent, sizeof(p.parent));
	fn(ctx, &p);
}

int ledger_view_places(struct ledger_view *v, void (*fn)(void *ctx, const struct ledger_place *), void *ctx)
{
	int r = db_start(v->db, DB_PLACES, NULL, 0);

	if (r < 0)
		return r;
	while ((r = db_next(v->db, DB_PLACES)) == 1)
		view_place(v->db, fn, ctx);
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
		char account[GATE_NAME_MAX], model[GATE_MODEL_MAX];

		db_text(db, s, 0, account, sizeof(account));
		db_text(db, s, 6, model, sizeof(model));
		r = err_set(e, EUCLEAN, "ledger %s: account \"%s\", hour beginning %lld, model \"%s\": the rows add up to %lld nano-dollars in "
			    "%lld calls, the hour's sum says %lld in %lld; if these agree, the tokens differ", ledger_path(l), account,
			    (long long)db_i64(db, s, 1), model, (long long)db_i64(db, s, 2), (long long)db_i64(db, s, 3),
			    (long long)db_i64(db, s, 4), (long long)db_i64(db, s, 5));
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

/* A call that has its row is not in flight: the two change in one transaction. */
static int check_open(struct ledger *l, struct ledger_db *db, struct err *e)
{
	int r = db_start(db, DB_ODD_HOLD, NULL, 0);

	if (r == 0 && (r = db_next(db, DB_ODD_HOLD)) == 1)
		r = err_set(e, EUCLEAN, "ledger %s: call %lld has its row and is in open_calls too", ledger_path(l),
			    (long long)db_i64(db, DB_ODD_HOLD, 0));
	db_end(db, DB_ODD_HOLD);
	return r;
}

static int check_days(struct ledger *l, struct ledger_db *db, struct err *e)
{
	int r = db_start(db, DB_PRUNED, NULL, 0);

	if (r == 0 && (r = db_next(db, DB_PRUNED)) == 1) {
		int64_t calls = db_i64(db, DB_PRUNED, 0), cost = db_i64(db, DB_PRUNED, 1), pruned = db_i64(db, DB_PRUNED, 2),
			pruned_cost = db_i64(db, DB_PRUNED, 3);

		r = 0;
		if (calls != pruned || cost != pruned_cost)
			r = err_set(e, EUCLEAN, "ledger %s: the days add up to %lld nano-dollars in %lld calls, but %lld in %lld were pruned",
				    ledger_path(l), (long long)cost, (long long)calls, (long long)pruned_cost, (long long)pruned);
		else if (db_i64(db, DB_PRUNED, 4) != 0)
			r = err_set(e, EUCLEAN, "ledger %s: the table `pruning` is not empty: rows of calls are not protected; delete its rows",
				    ledger_path(l));
	}
	db_end(db, DB_PRUNED);
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
	if (r == 0)
		r = check_days(l, v->db, e);
	if (r == 0)
		r = check_open(l, v->db, e);
	ledger_view_close(v);
	return r;
}
