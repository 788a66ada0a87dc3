// SPDX-License-Identifier: Apache-2.0
/*
 * ledger/item.c: what one item means in rows. A call that is in the ledger already changes nothing: the row, its hour and the end of its
 * hold go in together or not at all.
 */
#include "spend/ledger/item.h"

#include <stdlib.h>

#include "base/assert.h"

struct item *item_new(enum item_kind kind)
{
	struct item *it = calloc(1, sizeof(*it));

	ASSERT(it);
	it->kind = kind;
	return it;
}

void item_free(struct item *it)
{
	if (it->kind == ITEM_CHANGE) {
		free(it->change.before);
		free(it->change.after);
	} else if (it->kind == ITEM_ACCOUNT) {
		free(it->account.spec);
		free(it->account.rules);
	}
	free(it);
}

static int drop_hold(struct ledger_db *db, uint64_t call_id)
{
	const struct db_value values[] = { DB_I(call_id) };

	return db_run(db, DB_DROP_HOLD, values, 1);
}

static int write_call(struct ledger_db *db, struct tally *tally, const struct item *it)
{
	struct db_value values[DB_CALL_COLUMNS];

	db_call_values(&it->call, values);
	int r = db_run(db, DB_PUT_CALL, values, DB_CALL_COLUMNS);

	if (r == 0 && db_changed(db)) /* else it got in with an earlier attempt */
		r = tally_call(tally, &it->call, 1);
	return r == 0 && it->has_hold ? drop_hold(db, it->call.call_id) : r;
}

static int write_hold(struct ledger_db *db, struct tally *tally, const struct item *it)
{
	struct db_value values[DB_HOLD_COLUMNS];

	(void)tally;
	db_hold_values(&it->hold, values);
	return db_run(db, DB_PUT_HOLD, values, DB_HOLD_COLUMNS);
}

static int write_hold_over(struct ledger_db *db, struct tally *tally, const struct item *it)
{
	(void)tally;
	return drop_hold(db, it->over.call_id);
}

static int write_refusal(struct ledger_db *db, struct tally *tally, const struct item *it)
{
	const struct refusal *why = &it->refusal.why;
	const struct db_value values[] = {
		DB_I(it->refusal.at_ns), DB_T(it->refusal.agent), DB_T(it->refusal.provider), DB_T(it->refusal.model),
		DB_I(why->reason), DB_T(why->account), DB_I(why->window), DB_I(why->limit), DB_I(why->spent), DB_I(why->held),
		DB_I(why->needed), DB_I(why->reset_s), DB_T(why->detail), DB_T(why->rule), DB_I(why->retry_s),
		DB_I(it->refusal.dry_run),
	};

	(void)tally;
	return db_run(db, DB_PUT_REFUSAL, values, sizeof(values) / sizeof(values[0]));
}

static int write_change(struct ledger_db *db, struct tally *tally, const struct item *it)
{
	const struct db_value values[] = { DB_I(it->change.at_ns), DB_T(it->change.who), DB_T(it->change.verb),
					   DB_T(it->change.subject), DB_T(it->change.before), DB_T(it->change.after) };

	(void)tally;
	return db_run(db, DB_PUT_CHANGE, values, sizeof(values) / sizeof(values[0]));
}

static int put_place(struct ledger_db *db, const char *account, const char *parent)
{
	const struct db_value values[] = { DB_T(account), DB_T(parent) };

	return db_run(db, DB_PUT_PLACE, values, 2);
}

static int write_place(struct ledger_db *db, struct tally *tally, const struct item *it)
{
	(void)tally;
	return put_place(db, it->place.account, it->place.parent);
}

static int write_account(struct ledger_db *db, struct tally *tally, const struct item *it)
{
	const struct account_spec *a = it->account.spec;
	const struct db_value values[] = {
		DB_T(a->name), DB_T(a->parent), DB_I(a->limits[WINDOW_HOUR]), DB_I(a->limits[WINDOW_DAY]),
		DB_I(a->limits[WINDOW_WEEK]), DB_I(a->limits[WINDOW_MONTH]), DB_I(a->limits[WINDOW_TOTAL]), DB_I(a->floor),
		DB_I(a->paused), DB_T(a->zone), DB_I(a->reset_minute), DB_I(a->raise[WINDOW_HOUR]), DB_I(a->raise[WINDOW_DAY]),
		DB_I(a->raise[WINDOW_WEEK]), DB_I(a->raise[WINDOW_MONTH]), DB_I(a->raise[WINDOW_TOTAL]), DB_I(a->raise_until_s),
		DB_I(a->clamp), DB_T(it->account.rules),
	};
	int r = it->removed ? db_run(db, DB_DROP_ACCOUNT, values, 1) :
			      db_run(db, DB_PUT_ACCOUNT, values, sizeof(values) / sizeof(values[0]));

	(void)tally;
	return r < 0 ? r : put_place(db, a->name, a->parent);
}

static int write_agent(struct ledger_db *db, struct tally *tally, const struct item *it)
{
	const struct ledger_agent *a = &it->agent;
	const struct db_value values[] = { DB_T(a->name), DB_T(a->account), DB_T(a->cgroup), DB_I(a->flags) };

	(void)tally;
	return it->removed ? db_run(db, DB_DROP_AGENT, values, 1) : db_run(db, DB_PUT_AGENT, values, 4);
}

static int (*const writers[ITEM_KIND_COUNT])(struct ledger_db *db, struct tally *tally, const struct item *it) = {
	[ITEM_CALL] = write_call,       [ITEM_HOLD] = write_hold,       [ITEM_HOLD_OVER] = write_hold_over,
	[ITEM_REFUSAL] = write_refusal, [ITEM_CHANGE] = write_change,   [ITEM_ACCOUNT] = write_account,
	[ITEM_PLACE] = write_place,     [ITEM_AGENT] = write_agent,
};

int item_write(struct ledger_db *db, struct tally *tally, const struct item *it)
{
	return writers[it->kind](db, tally, it);
}
