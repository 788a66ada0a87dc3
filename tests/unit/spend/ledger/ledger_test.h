// SPDX-License-Identifier: Apache-2.0
/* ledger_test.h: what the tests of the ledger share: a ledger in a folder of its own, what it called back, calls to put in, rows that came out. */
#ifndef PURSE_TEST_LEDGER_H
#define PURSE_TEST_LEDGER_H

#include <sqlite3.h>
#include <stdatomic.h>

#include "spend/ledger/db.h"
#include "spend_test.h"

#define SEEN_MAX 200000

struct seen {
	_Atomic uint32_t n, healthy, unhealthy;
	uint32_t slots[SEEN_MAX];
	char why[300];
};

static inline void on_durable(void *ctx, uint32_t slot)
{
	struct seen *s = ctx;
	uint32_t n = atomic_load(&s->n);

	if (n < SEEN_MAX)
		s->slots[n] = slot;
	atomic_store(&s->n, n + 1);
}

static inline void on_health(void *ctx, bool healthy, const char *why)
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

static inline void place_open(struct place *p)
{
	struct err e = { "" };

	if (ledger_open(p->path, &calls, p->seen, &p->l, &e) < 0)
		fail_msg("%s", e.text);
}

static inline void place_init(struct place *p)
{
	p->dir = scratch_new();
	(void)snprintf(p->path, sizeof(p->path), "%s/ledger.db", p->dir);
	p->seen = calloc(1, sizeof(*p->seen));
	place_open(p);
}

static inline void place_done(struct place *p)
{
	assert_int_equal(ledger_close(p->l), 0);
	scratch_free(p->dir);
	free(p->seen);
}

static inline struct ledger_call call_of(uint64_t id, const char *account, nanousd cost, int64_t at_s)
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

static inline bool wait_for(_Atomic uint32_t *what, uint32_t n, int seconds)
{
	for (int i = 0; i < seconds * 500 && atomic_load(what) < n; i++)
		(void)usleep(2000);
	return atomic_load(what) >= n;
}

static inline void put(struct place *p, uint64_t id, const char *account, nanousd cost, int64_t at_s)
{
	struct ledger_call c = call_of(id, account, cost, at_s);

	ledger_call(p->l, &c);
}

static inline nanousd spent(struct place *p, const char *account, int64_t from_s)
{
	nanousd n = -1;
	struct err e = { "" };

	if (ledger_spent(p->l, account, from_s, &n, &e) < 0)
		fail_msg("%s", e.text);
	return n;
}

static inline void is_clean(struct place *p)
{
	struct err e = { "" };

	if (ledger_check(p->l, &e) < 0)
		fail_msg("%s", e.text);
}

/* Another program's hands on the file. */
static inline int sql(const char *path, const char *text)
{
	sqlite3 *db;
	int code = sqlite3_open(path, &db);

	if (code == SQLITE_OK)
		code = sqlite3_exec(db, text, NULL, NULL, NULL);
	(void)sqlite3_close(db);
	return code;
}

struct rows {
	struct ledger_row rows[64];
	size_t n;
};

static inline void collect(void *ctx, const struct ledger_row *row)
{
	struct rows *r = ctx;

	if (r->n < 64)
		r->rows[r->n] = *row;
	r->n++;
}

#endif
