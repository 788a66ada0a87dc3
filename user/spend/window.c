// SPDX-License-Identifier: Apache-2.0
/*
 * window.c: calendar arithmetic for budget windows. Pure, UTC, no libc time zone state: the gate's words and the ledger's
 * sums must agree on a boundary to the second.
 */
#include "spend/window.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"

#define HOUR_S INT64_C(3600)
#define DAY_S (24 * HOUR_S)
#define WEEK_S (7 * DAY_S)
/* 1970-01-01 was a Thursday: the Monday before it is this far back. */
#define MONDAY_OFFSET_S (3 * DAY_S)

/*
 * Civil date of a day count since 1970-01-01, and back. The year is taken to begin in March, so that the leap day is its last
 * day; an era is 400 years of 146097 days; 719468 days lie between 0000-03-01 and 1970-01-01.
 */
#define ERA_DAYS INT64_C(146097)
#define EPOCH_DAYS INT64_C(719468)

static void month_of_day(int64_t day, int64_t *ret_year, int64_t *ret_month)
{
	int64_t z = day + EPOCH_DAYS;
	int64_t era = z / ERA_DAYS;
	int64_t in_era = z - era * ERA_DAYS;
	int64_t year_in_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int64_t in_year = in_era - (365 * year_in_era + year_in_era / 4 - year_in_era / 100);
	int64_t march_month = (5 * in_year + 2) / 153; /* 0 = March */

	*ret_month = march_month < 10 ? march_month + 3 : march_month - 9;
	*ret_year = year_in_era + era * 400 + (*ret_month <= 2);
}

static int64_t first_day_of(int64_t year, int64_t month)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = y / 400;
	int64_t year_in_era = y - era * 400;
	int64_t in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5;

	return era * ERA_DAYS + year_in_era * 365 + year_in_era / 4 - year_in_era / 100 + in_year - EPOCH_DAYS;
}

static void month_bounds(int64_t now_s, int64_t *ret_start, int64_t *ret_end)
{
	int64_t year, month;

	month_of_day(now_s / DAY_S, &year, &month);
	*ret_start = first_day_of(year, month) * DAY_S;
	*ret_end = (month == 12 ? first_day_of(year + 1, 1) : first_day_of(year, month + 1)) * DAY_S;
}

/* The latest moment that still has room for a window's end in 64 bits; also where clocks stop making sense. */
#define NOW_MAX_S (INT64_MAX / INT64_C(1000000000))

void window_bounds(enum window_kind kind, int64_t now_s, int64_t *ret_start, int64_t *ret_end)
{
	int64_t length = 0, offset = 0;

	ASSERT(now_s >= 0 && now_s <= NOW_MAX_S);
	switch (kind) {
	case WINDOW_HOUR:
		length = HOUR_S;
		break;
	case WINDOW_DAY:
		length = DAY_S;
		break;
	case WINDOW_WEEK:
		length = WEEK_S;
		offset = MONDAY_OFFSET_S;
		break;
	case WINDOW_MONTH:
		month_bounds(now_s, ret_start, ret_end);
		return;
	default:
		ASSERT(kind == WINDOW_TOTAL);
		*ret_start = *ret_end = 0;
		return;
	}
	*ret_start = (now_s + offset) / length * length - offset;
	*ret_end = *ret_start + length;
}

static const char *const names[WINDOW_COUNT] = {
	[WINDOW_HOUR] = "hour", [WINDOW_DAY] = "day", [WINDOW_WEEK] = "week", [WINDOW_MONTH] = "month",
	[WINDOW_TOTAL] = "total",
};

const char *window_name(enum window_kind kind)
{
	return (unsigned)kind < WINDOW_COUNT ? names[kind] : "?";
}

int window_parse(const char *name, enum window_kind *ret)
{
	for (int w = 0; w < WINDOW_COUNT; w++)
		if (strcmp(name, names[w]) == 0) {
			*ret = (enum window_kind)w;
			return 0;
		}
	return -EINVAL;
}
