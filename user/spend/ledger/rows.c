// SPDX-License-Identifier: Apache-2.0
/* ledger/rows.c: rows of the ledger's tables as structs and back, column by column in the order of ledger/statements.c. */
#include <string.h>

#include "base/assert.h"
#include "spend/ledger/db.h"

#define VALUE(name) DB_I(u->name),
#define TEXT(field) db_text(db, s, i++, ret->field, sizeof(ret->field))
#define INT(field) (ret->field = (__typeof__(ret->field))db_i64(db, s, i++))
#define USAGE(name) INT(usage.name);

void db_call_values(const struct ledger_call *c, struct db_value *ret)
{
	const struct usage *u = &c->usage;
	const struct db_value values[DB_CALL_COLUMNS] = {
		DB_I(c->call_id), DB_T(c->account), DB_T(c->agent), DB_T(c->comm), DB_I(c->pid), DB_I(c->cgroup_id),
		DB_T(c->provider), DB_T(c->model), DB_T(c->served_model), DB_I(c->endpoint), DB_I(c->tier), DB_I(c->usage_known),
		DB_I(c->held), DB_I(c->cost), DB_I(c->estimated), DB_T(c->price), DB_I(c->status), DB_T(c->end), DB_I(c->started_ns),
		DB_I(c->first_byte_us), DB_I(c->total_us), DB_T(c->request_id), DB_USAGE(VALUE)
	};

	memcpy(ret, values, sizeof(values));
}

void db_call_read(struct ledger_db *db, enum ledger_stmt s, struct ledger_call *ret)
{
	int i = 0;

	memset(ret, 0, sizeof(*ret));
	INT(call_id);
	TEXT(account);
	TEXT(agent);
	TEXT(comm);
	INT(pid);
	INT(cgroup_id);
	TEXT(provider);
	TEXT(model);
	TEXT(served_model);
	INT(endpoint);
	INT(tier);
	INT(usage_known);
	INT(held);
	INT(cost);
	INT(estimated);
	TEXT(price);
	INT(status);
	TEXT(end);
	INT(started_ns);
	INT(first_byte_us);
	INT(total_us);
	TEXT(request_id);
	DB_USAGE(USAGE)
	ASSERT(i == DB_CALL_COLUMNS);
}

void db_sum_values(const struct ledger_sum *t, struct db_value *ret)
{
	const struct usage *u = &t->usage;
	const struct db_value values[DB_SUM_COLUMNS] = {
		DB_I(t->calls), DB_I(t->estimated), DB_I(t->unknown), DB_I(t->cost), DB_I(t->estimated_cost), DB_I(t->unknown_cost),
		DB_USAGE(VALUE)
	};

	memcpy(ret, values, sizeof(values));
}

void db_sum_read(struct ledger_db *db, enum ledger_stmt s, int i, struct ledger_sum *ret)
{
	INT(calls);
	INT(estimated);
	INT(unknown);
	INT(cost);
	INT(estimated_cost);
	INT(unknown_cost);
	DB_USAGE(USAGE)
}

void db_hold_values(const struct ledger_hold *h, struct db_value *ret)
{
	const struct db_value values[DB_HOLD_COLUMNS] = {
		DB_I(h->call_id), DB_T(h->account), DB_T(h->agent), DB_T(h->comm), DB_I(h->pid), DB_I(h->cgroup_id), DB_T(h->provider),
		DB_T(h->model), DB_I(h->endpoint), DB_I(h->amount), DB_I(h->started_ns),
	};

	memcpy(ret, values, sizeof(values));
}

void db_hold_read(struct ledger_db *db, enum ledger_stmt s, struct ledger_hold *ret)
{
	int i = 0;

	memset(ret, 0, sizeof(*ret));
	INT(call_id);
	TEXT(account);
	TEXT(agent);
	TEXT(comm);
	INT(pid);
	INT(cgroup_id);
	TEXT(provider);
	TEXT(model);
	INT(endpoint);
	INT(amount);
	INT(started_ns);
	ASSERT(i == DB_HOLD_COLUMNS);
}
