// SPDX-License-Identifier: Apache-2.0
/*
 * window.c: calendar arithmetic for budget windows. Pure, no libc time zone state: the gate's words and the ledger's sums must agree on
 * a boundary to the second. What a zone's clock reads is zone.h's.
 */
#include "spend/budget/window.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "spend/budget/zone.h"

#define HOUR_S INT64_C(3600)
#define DAY_S (24 * HOUR_S)
/* 1970-01-01 was a Thursday: the Monday before it is this far back. */
#define MONDAY_OFFSET_DAYS 3

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

/* ---- days, weeks, months: numbered, and each has a first day */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t day_itself(int64_t n)
{
	return n;
}

static int64_t week_of_day(int64_t day)
{
	return floor_div(day + MONDAY_OFFSET_DAYS, 7);
}

static int64_t monday_of(int64_t week)
{
	return week * 7 - MONDAY_OFFSET_DAYS;
}

static int64_t month_number(int64_t day)
{
	int64_t year, month;

	month_of_day(day, &year, &month);
	return year * 12 + month - 1;
}

static int64_t first_of_month(int64_t number)
{
	return first_day_of(floor_div(number, 12), number - floor_div(number, 12) * 12 + 1);
}

static const struct period {
	int64_t (*number_of)(int64_t day);
	int64_t (*first_day)(int64_t number);
} periods[WINDOW_COUNT] = {
	[WINDOW_DAY] = { day_itself, day_itself },
	[WINDOW_WEEK] = { week_of_day, monday_of },
	[WINDOW_MONTH] = { month_number, first_of_month },
};

/* ---- the calendar of a place */

static int64_t offset_at(const struct calendar *cal, int64_t at_s)
{
	return cal->zone ? zone_offset(cal->zone, at_s) : 0;
}

static int64_t begin_of(const struct calendar *cal, const struct period *p, int64_t number)
{
	int64_t local_s = p->first_day(number) * DAY_S + cal->reset_minute * INT64_C(60);

	return cal->zone ? zone_first(cal->zone, local_s) : local_s;
}

static void period_bounds(const struct period *p, const struct calendar *cal, int64_t now_s, int64_t *ret_start, int64_t *ret_end)
{
	int64_t local_s = now_s + offset_at(cal, now_s) - cal->reset_minute * INT64_C(60);
	int64_t n = p->number_of(floor_div(local_s, DAY_S)), end;

	/* Near a transition the clock on the wall may say another day than the boundaries do; a skipped day has no length. */
	while (begin_of(cal, p, n) > now_s)
		n--;
	while ((end = begin_of(cal, p, n + 1)) <= now_s)
		n++;
	*ret_start = begin_of(cal, p, n);
	*ret_end = end;
}

/* The hour that begins at start_s ends at the first full hour on the clock that is not less than an hour away. */
static int64_t hour_end(const struct calendar *cal, int64_t start_s)
{
	int64_t end = start_s + HOUR_S, local_s = end + offset_at(cal, end);

	return end + floor_div(local_s + HOUR_S - 1, HOUR_S) * HOUR_S - local_s;
}

/* Hours are counted from this far back: more than the longest hour, so that one which a transition made longer is seen. */
#define HOUR_LOOK_BACK_S (5 * HOUR_S)

static void hour_bounds(const struct calendar *cal, int64_t now_s, int64_t *ret_start, int64_t *ret_end)
{
	int64_t offset = offset_at(cal, now_s), back_s = now_s - HOUR_LOOK_BACK_S, end;

	if (offset_at(cal, back_s) == offset && offset_at(cal, now_s + HOUR_S) == offset)
		back_s = now_s;
	int64_t start = back_s - (back_s + offset_at(cal, back_s) - floor_div(back_s + offset_at(cal, back_s), HOUR_S) * HOUR_S);

	while ((end = hour_end(cal, start)) <= now_s)
		start = end;
	*ret_start = start;
	*ret_end = end;
}

/* ---- UTC, midnight: no zone is asked */

static void utc_bounds(enum window_kind kind, int64_t now_s, int64_t *ret_start, int64_t *ret_end)
{
	static const struct {
		int64_t length_s, offset_s;
	} fixed[] = {
		[WINDOW_HOUR] = { HOUR_S, 0 }, [WINDOW_DAY] = { DAY_S, 0 }, [WINDOW_WEEK] = { 7 * DAY_S, MONDAY_OFFSET_DAYS * DAY_S },
	};

	if (kind == WINDOW_MONTH) {
		int64_t n = month_number(now_s / DAY_S);

		*ret_start = first_of_month(n) * DAY_S;
		*ret_end = first_of_month(n + 1) * DAY_S;
		return;
	}
	*ret_start = (now_s + fixed[kind].offset_s) / fixed[kind].length_s * fixed[kind].length_s - fixed[kind].offset_s;
	*ret_end = *ret_start + fixed[kind].length_s;
}

/* The latest moment that still has room for a window's end in 64 bits; also where clocks stop making sense. */
#define NOW_MAX_S (INT64_MAX / INT64_C(1000000000))

void window_bounds(enum window_kind kind, const struct calendar *cal, int64_t now_s, int64_t *ret_start, int64_t *ret_end)
{
	ASSERT(now_s >= 0 && now_s <= NOW_MAX_S && (unsigned)kind < WINDOW_COUNT);
	if (kind == WINDOW_TOTAL)
		*ret_start = *ret_end = 0;
	else if (!cal || (!cal->zone && cal->reset_minute == 0))
		utc_bounds(kind, now_s, ret_start, ret_end);
	else if (kind == WINDOW_HOUR)
		hour_bounds(cal, now_s, ret_start, ret_end);
	else
		period_bounds(&periods[kind], cal, now_s, ret_start, ret_end);
}

int64_t window_next(enum window_kind kind, const struct calendar *cal, int64_t at_s)
{
	int64_t start, end;

	ASSERT(kind != WINDOW_TOTAL);
	window_bounds(kind, cal, at_s, &start, &end);
	return start == at_s ? start : end;
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
