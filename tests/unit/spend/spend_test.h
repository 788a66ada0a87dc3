// SPDX-License-Identifier: Apache-2.0
/* spend_test.h: what the tests of spend/ share: small worlds of accounts, times, scratch folders. */
#ifndef PURSE_TEST_SPEND_H
#define PURSE_TEST_SPEND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spend/budget/budget.h"
#include "spend/ledger/ledger.h"

#define S INT64_C(1000000000)
/* Wednesday 2026-08-19 10:30:00 UTC */
#define T0 INT64_C(1787135400)

#define ACCOUNTS 64
#define HOLDS 256

struct world {
	struct gate_account *accounts;
	struct gate_hold *holds;
	struct budget *b;
};

static inline void world_init(struct world *w)
{
	w->accounts = calloc(ACCOUNTS, sizeof(*w->accounts));
	w->holds = calloc(HOLDS, sizeof(*w->holds));
	assert_int_equal(budget_new(w->accounts, ACCOUNTS, w->holds, HOLDS, &w->b), 0);
}

static inline void world_done(struct world *w)
{
	budget_free(w->b);
	free(w->accounts);
	free(w->holds);
}

/* day and total limits; -1 = none */
static inline struct account_spec spec_of(const char *name, const char *parent, int64_t day, int64_t total)
{
	struct account_spec s = { .floor = 0 };

	(void)snprintf(s.name, sizeof(s.name), "%s", name);
	(void)snprintf(s.parent, sizeof(s.parent), "%s", parent);
	for (int k = 0; k < WINDOW_COUNT; k++)
		s.limits[k] = GATE_NO_LIMIT;
	if (day >= 0)
		s.limits[WINDOW_DAY] = day;
	if (total >= 0)
		s.limits[WINDOW_TOTAL] = total;
	return s;
}

static inline uint32_t world_account(struct world *w, const char *name, const char *parent, int64_t day, int64_t total)
{
	struct account_spec s = spec_of(name, parent, day, total);
	struct err e = { "" };
	uint32_t i = 0;

	if (budget_set_account(w->b, &s, T0, &i, &e) < 0)
		fail_msg("%s", e.text);
	return i;
}

static inline int world_hold(struct world *w, uint32_t account, nanousd amount, int64_t now_s, uint32_t *ret_slot,
			     struct refusal *ret_why)
{
	struct hold_request r = { .account = account, .amount = amount, .now_ns = now_s * S, .comm = "agent", .model = "m",
				  .provider_name = "p", .pid = 7, .cgroup_id = 9, .endpoint = ENDPOINT_OPENAI_CHAT };
	struct refusal why;
	uint64_t id;

	return budget_hold(w->b, &r, ret_slot, &id, ret_why ? ret_why : &why);
}

static inline void world_check(struct world *w)
{
	struct err e = { "" };

	if (budget_check(w->b, &e) < 0)
		fail_msg("%s", e.text);
}

static inline struct window_view world_window(struct world *w, uint32_t account, enum window_kind k, int64_t now_s)
{
	struct account_view v;

	assert_int_equal(budget_view(w->b, account, now_s, &v), 0);
	return v.windows[k];
}

/* ---- folders */

static inline int scratch_rm_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

static inline char *scratch_new(void)
{
	char *dir = strdup("/tmp/purse-spend-XXXXXX");

	assert_non_null(mkdtemp(dir));
	return dir;
}

static inline void scratch_free(char *dir)
{
	(void)nftw(dir, scratch_rm_one, 16, FTW_DEPTH | FTW_PHYS);
	free(dir);
}

#endif
