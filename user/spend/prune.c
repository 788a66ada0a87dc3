// SPDX-License-Identifier: Apache-2.0
/* prune.c: see prune.h. */
#include "spend/prune.h"

#include <errno.h>
#include <time.h>

#include "spend/budget/window.h"

#define DAY_S INT64_C(86400)
/* The earth's clocks differ by so much from UTC; a window may begin so much later than the day that names it. */
#define EAST_S (14 * 3600)
#define WEST_S (12 * 3600 + DAY_S)
#define WEEK_S (7 * DAY_S)

static int64_t min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Windows of an account that does not exist yet, wherever its clock stands. */
static int64_t earliest_anywhere(int64_t now_s)
{
	int64_t month_s, end_s;

	window_bounds(WINDOW_MONTH, NULL, now_s - WEST_S > 0 ? now_s - WEST_S : 0, &month_s, &end_s);
	return min64(month_s - EAST_S, now_s - WEEK_S - WEST_S);
}

int64_t prune_latest(struct budget *b, int64_t now_s)
{
	int64_t earliest = earliest_anywhere(now_s);
	uint32_t end = (uint32_t)budget_accounts_end(b);

	(void)budget_roll(b, now_s);
	for (uint32_t i = 1; i < end; i++) {
		struct account_view v;

		if (budget_view(b, i, now_s, &v) < 0)
			continue;
		for (int k = 0; k < WINDOW_TOTAL; k++)
			earliest = min64(earliest, v.windows[k].start_s);
	}
	return earliest < 0 ? 0 : earliest / DAY_S * DAY_S;
}

static const char *day_of(int64_t s, char *ret, size_t size)
{
	time_t t = (time_t)s;
	struct tm tm;

	(void)gmtime_r(&t, &tm);
	(void)strftime(ret, size, "%Y-%m-%d", &tm);
	return ret;
}

int prune_check(struct budget *b, int64_t before_s, int64_t now_s, struct err *e)
{
	int64_t latest = prune_latest(b, now_s);
	char day[32], given[32];

	if (before_s < 0 || before_s % DAY_S)
		return err_set(e, EINVAL, "before: has to be the beginning of a day (UTC); write e.g. 2026-08-01");
	if (before_s <= latest)
		return 0;
	return err_set(e, EBUSY, "before: %s is within windows that are open or could be opened (months, weeks, in any time zone); at most %s",
		       day_of(before_s, given, sizeof(given)), day_of(latest, day, sizeof(day)));
}
