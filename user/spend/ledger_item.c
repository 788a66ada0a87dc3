// SPDX-License-Identifier: Apache-2.0
/*
 * ledger_item.c: what one item means in rows. A call that is in the ledger already changes nothing: the row and its hour go in
 * together or not at all.
 */
#include "spend/ledger_item.h"

static int write_call(struct ledger_db *db, const struct item *it)
{
	const struct ledger_call *c = &it->call;
	struct db_value values[DB_CALL_COLUMNS];

	db_call_values(c, values);
	int r = db_run(db, DB_PUT_CALL, values, DB_CALL_COLUMNS);

	if (r < 0 || db_changed(db) == 0) /* it got in with an earlier attempt */
		return r;
	const struct db_value hour[] = { DB_T(c->account), DB_I(c->started_ns / LEDGER_HOUR_NS * 3600), DB_I(c->cost) };

	return db_run(db, DB_PUT_HOUR, hour, 3);
}

static int write_refusal(struct ledger_db *db, const struct item *it)
{
	const struct refusal *why = &it->refusal.why;
	const struct db_value values[] = {
		DB_I(it->refusal.at_ns), DB_T(it->refusal.agent), DB_T(it->refusal.provider), DB_T(it->refusal.model),
		DB_I(why->reason), DB_T(why->account), DB_I(why->window), DB_I(why->limit), DB_I(why->spent), DB_I(why->held),
		DB_I(why->needed), DB_I(why->reset_s), DB_T(why->detail),
	};

	return db_run(db, DB_PUT_REFUSAL, values, sizeof(values) / sizeof(values[0]));
}

static int write_change(struct ledger_db *db, const struct item *it)
{
	const struct db_value values[] = { DB_I(it->change.at_ns), DB_T(it->change.who), DB_T(it->change.what) };

	return db_run(db, DB_PUT_CHANGE, values, 3);
}

static int put_place(struct ledger_db *db, const char *account, const char *parent)
{
	const struct db_value values[] = { DB_T(account), DB_T(parent) };

	return db_run(db, DB_PUT_PLACE, values, 2);
}

static int write_place(struct ledger_db *db, const struct item *it)
{
	return put_place(db, it->place.account, it->place.parent);
}

static int write_account(struct ledger_db *db, const struct item *it)
{
	const struct account_spec *a = &it->account;
	const struct db_value values[] = {
		DB_T(a->name), DB_T(a->parent), DB_I(a->limits[WINDOW_HOUR]), DB_I(a->limits[WINDOW_DAY]),
		DB_I(a->limits[WINDOW_WEEK]), DB_I(a->limits[WINDOW_MONTH]), DB_I(a->limits[WINDOW_TOTAL]), DB_I(a->floor),
		DB_I(a->paused),
	};
	int r = it->removed ? db_run(db, DB_DROP_ACCOUNT, values, 1) : db_run(db, DB_PUT_ACCOUNT, values, 9);

	return r < 0 ? r : put_place(db, a->name, a->parent);
}

static int write_agent(struct ledger_db *db, const struct item *it)
{
	const struct ledger_agent *a = &it->agent;
	const struct db_value values[] = { DB_T(a->name), DB_T(a->account), DB_T(a->cgroup), DB_I(a->flags) };

	return it->removed ? db_run(db, DB_DROP_AGENT, values, 1) : db_run(db, DB_PUT_AGENT, values, 4);
}

static int (*const writers[ITEM_KIND_COUNT])(struct ledger_db *db, const struct item *it) = {
	[ITEM_CALL] = write_call,       [ITEM_REFUSAL] = write_refusal, [ITEM_CHANGE] = write_change,
	[ITEM_ACCOUNT] = write_account, [ITEM_PLACE] = write_place,     [ITEM_AGENT] = write_agent,
};

int item_write(struct ledger_db *db, const struct item *it)
{
	return writers[it->kind](db, it);
}
