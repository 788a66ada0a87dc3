// SPDX-License-Identifier: Apache-2.0
/* budget_test.h: what the tests of the budget share: a fresh world, accounts with a calendar of their own, calls that cost all they hold. */
#ifndef PURSE_TEST_BUDGET_H
#define PURSE_TEST_BUDGET_H

#include <time.h>

#include "spend_test.h"

#define DAY 86400

static inline struct world *fresh(void)
{
	static struct world w;

	world_init(&w);
	return &w;
}

static inline int64_t utc(const char *text)
{
	struct tm tm = { 0 };

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
	return timegm(&tm);
}

static inline uint32_t put(struct world *w, const struct account_spec *s, int64_t now_s)
{
	struct err e = { "" };
	uint32_t i = 0;

	if (budget_set_account(w->b, s, now_s, &i, &e) < 0)
		fail_msg("%s", e.text);
	return i;
}

static inline struct account_spec zoned(const char *name, const char *parent, int64_t day, const char *zone, int reset_minute)
{
	struct account_spec s = spec_of(name, parent, day, -1);

	(void)snprintf(s.zone, sizeof(s.zone), "%s", zone);
	s.reset_minute = reset_minute;
	return s;
}

/* One call that costs all it holds. */
static inline int spend(struct world *w, uint32_t account, nanousd amount, int64_t now_s)
{
	uint32_t slot;
	int r = world_hold(w, account, amount, now_s, &slot, NULL);

	if (r == 0) {
		(void)budget_charge(w->b, slot, amount, false);
		budget_settled(w->b, slot);
	}
	return r;
}

static inline int extend(struct world *w, uint32_t slot, nanousd at_least, nanousd wish, nanousd *ret)
{
	struct refusal why;

	return budget_extend(w->b, slot, at_least, wish, 0, ret, &why);
}

#endif
