// SPDX-License-Identifier: Apache-2.0
/* ledger/tally.c: see ledger/tally.h. A hash table of keys as texts, and the keys in the order in which they came. */
#include "spend/ledger/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/str.h"

/* Of hours: tier 0, the last two texts empty. Zeroed before it is filled, so that its bytes are its key. */
struct key {
	int64_t is_day, at_s, tier;
	char account[GATE_NAME_MAX], agent[GATE_NAME_MAX], provider[32], model[GATE_MODEL_MAX];
	char served_model[GATE_MODEL_MAX], price[LEDGER_PRICE_MAX];
};

struct entry {
	struct entry *next;
	bool took_away;
	struct key key;
	struct ledger_sum sum;
};

struct tally {
	struct map *by_key; /* -> struct entry; NULL while empty */
	struct entry *first, **end;
};

struct tally *tally_new(void)
{
	struct tally *t = calloc(1, sizeof(*t));

	if (t)
		t->end = &t->first;
	return t;
}

void tally_clear(struct tally *t)
{
	for (struct entry *e = t->first, *next; e; e = next) {
		next = e->next;
		free(e);
	}
	map_free(t->by_key, NULL);
	t->by_key = NULL;
	t->first = NULL;
	t->end = &t->first;
}

void tally_free(struct tally *t)
{
	if (!t)
		return;
	tally_clear(t);
	free(t);
}

static struct entry *entry_of(struct tally *t, const struct key *key)
{
	struct str k = { (const char *)key, sizeof(*key) };

	if (!t->by_key && !(t->by_key = map_new()))
		return NULL;
	struct entry *e = map_find(t->by_key, k);

	if (e)
		return e;
	e = calloc(1, sizeof(*e));
	if (!e || map_put(t->by_key, k, e, NULL) < 0) {
		free(e);
		return NULL;
	}
	e->key = *key;
	*t->end = e;
	t->end = &e->next;
	return e;
}

#define COPY(to, from) ((void)str_copy(to, sizeof(to), str_of(from)))

static void fill(struct key *key, const struct ledger_call *c)
{
	memset(key, 0, sizeof(*key));
	COPY(key->account, c->account);
	COPY(key->agent, c->agent);
	COPY(key->provider, c->provider);
	COPY(key->model, c->model);
}

int tally_call(struct tally *t, const struct ledger_call *c, int sign)
{
	struct ledger_sum one = { 0 };
	struct key key;

	fill(&key, c);
	key.at_s = c->started_ns / LEDGER_HOUR_NS * 3600;
	struct entry *e = entry_of(t, &key);

	if (!e)
		return -ENOMEM;
	ledger_sum_call(&one, c);
	if (sign < 0)
		ledger_sum_negate(&one);
	e->took_away |= sign < 0;
	ledger_sum_add(&e->sum, &one);
	return 0;
}

int tally_day(struct tally *t, const struct ledger_call *c)
{
	struct key key;

	fill(&key, c);
	COPY(key.served_model, c->served_model);
	COPY(key.price, c->price);
	key.is_day = 1;
	key.tier = c->tier;
	key.at_s = c->started_ns / LEDGER_DAY_NS * 86400;
	struct entry *e = entry_of(t, &key);

	if (!e)
		return -ENOMEM;
	ledger_sum_call(&e->sum, c);
	return 0;
}

static int write_hour(struct ledger_db *db, const struct entry *e)
{
	const struct key *k = &e->key;
	struct db_value values[5 + DB_SUM_COLUMNS] = { DB_T(k->account), DB_I(k->at_s), DB_T(k->provider), DB_T(k->model), DB_T(k->agent) };

	db_sum_values(&e->sum, values + 5);
	int r = db_run(db, DB_PUT_HOUR, values, 5 + DB_SUM_COLUMNS);

	if (r == 0 && e->took_away)
		r = db_run(db, DB_PRUNE_HOURS, values, 5);
	if (r < 0 || e->took_away || strcmp(k->agent, k->account) == 0)
		return r;
	const struct db_value seen[] = { DB_T(k->agent), DB_T(k->account) };

	return db_run(db, DB_PUT_SEEN, seen, 2);
}

static int write_day(struct ledger_db *db, const struct entry *e)
{
	const struct key *k = &e->key;
	struct db_value values[8 + DB_SUM_COLUMNS] = { DB_T(k->account), DB_I(k->at_s), DB_T(k->provider), DB_T(k->model), DB_T(k->agent),
						       DB_T(k->served_model), DB_I(k->tier), DB_T(k->price) };

	db_sum_values(&e->sum, values + 8);
	return db_run(db, DB_PUT_DAY, values, 8 + DB_SUM_COLUMNS);
}

int tally_write(struct tally *t, struct ledger_db *db)
{
	int r = 0;

	for (const struct entry *e = t->first; r == 0 && e; e = e->next)
		r = e->key.is_day ? write_day(db, e) : write_hour(db, e);
	if (r == 0)
		tally_clear(t);
	return r;
}
