// SPDX-License-Identifier: Apache-2.0
/*
 * calendar.c: see calendar.h. The rule, said over moments: an instance begins at a moment if the local clock, asked at it and one second
 * before, has gone past the wanted reading for the first time in that day, week or month.
 */
#include "calendar.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static void go_to(const char *zone)
{
	static char current[64] = "?";

	if (strcmp(zone, current) == 0)
		return;
	(void)strncpy(current, zone, sizeof(current) - 1);
	(void)setenv("TZ", zone[0] ? zone : "UTC0", 1);
	tzset();
}

static struct tm local(int64_t at_s)
{
	time_t t = (time_t)at_s;
	struct tm tm;

	(void)localtime_r(&t, &tm);
	return tm;
}

/* The days since 1970 of a local date. */
static int64_t day_number(const struct tm *tm)
{
	struct tm date = { .tm_year = tm->tm_year, .tm_mon = tm->tm_mon, .tm_mday = tm->tm_mday };

	return (int64_t)timegm(&date) / 86400;
}

/* Minutes on the local clock since 1970: comparable within a zone, jumps with the clock. */
static int64_t local_minutes(int64_t at_s)
{
	struct tm tm = local(at_s);

	return day_number(&tm) * 1440 + tm.tm_hour * 60 + tm.tm_min;
}

/* Which day, by the account's way of counting, does a local reading belong to? */
static int64_t day_of(int64_t minutes, int32_t reset_minute)
{
	int64_t m = minutes - reset_minute;

	return m >= 0 ? m / 1440 : -((-m + 1439) / 1440);
}

/* Is at_s the first moment at which the clock has reached that day? The clock may have been there before and been set back. */
static bool day_begins(int64_t at_s, int32_t reset_minute, int64_t *ret_day)
{
	int64_t day = day_of(local_minutes(at_s), reset_minute);

	*ret_day = day;
	for (int64_t before = at_s - 1; before > at_s - 4 * 3600; before = before == at_s - 1 ? at_s - 60 : before - 60)
		if (day_of(local_minutes(before), reset_minute) >= day)
			return false;
	return true;
}

static bool day_is_first(enum window_kind kind, int64_t day)
{
	time_t t = (time_t)day * 86400;
	struct tm tm;

	(void)gmtime_r(&t, &tm);
	return kind == WINDOW_DAY || (kind == WINDOW_WEEK ? tm.tm_wday == 1 : tm.tm_mday == 1);
}

static bool begins(enum window_kind kind, const char *zone, int32_t reset_minute, int64_t at_s)
{
	int64_t day;

	go_to(zone);
	if (kind == WINDOW_HOUR) {
		struct tm now = local(at_s);

		return now.tm_min == 0 && now.tm_sec == 0;
	}
	return day_begins(at_s, reset_minute, &day) && day_is_first(kind, day);
}

/* Answers are kept: the same boundaries are asked for again and again. */
bool calendar_begins(enum window_kind kind, const char *zone, int32_t reset_minute, int64_t at_s)
{
	static struct kept {
		char zone[48];
		enum window_kind kind;
		int32_t reset_minute;
		int64_t at_s;
		bool is_kept, answer;
	} kept[4096];
	struct kept *k = &kept[((uint64_t)at_s / 900 * 31 + (uint64_t)kind * 7 + (uint64_t)reset_minute + (uint64_t)zone[0]) % 4096];

	if (!k->is_kept || k->at_s != at_s || k->kind != kind || k->reset_minute != reset_minute || strcmp(k->zone, zone) != 0) {
		*k = (struct kept){ .kind = kind, .reset_minute = reset_minute, .at_s = at_s, .is_kept = true };
		(void)strncpy(k->zone, zone, sizeof(k->zone) - 1);
		k->answer = begins(kind, zone, reset_minute, at_s);
	}
	return k->answer;
}

bool calendar_is_one(enum window_kind kind, const char *zone, int32_t reset_minute, int64_t start_s, int64_t end_s)
{
	static const int64_t most_s[] = { [WINDOW_HOUR] = 2 * 3600, [WINDOW_DAY] = 49 * 3600, [WINDOW_WEEK] = 8 * 86400,
					  [WINDOW_MONTH] = 32 * 86400 };
	static const int64_t step_s[] = { [WINDOW_HOUR] = 900, [WINDOW_DAY] = 900, [WINDOW_WEEK] = 43200, [WINDOW_MONTH] = 43200 };

	if (end_s - start_s > most_s[kind])
		return false;
	if (kind == WINDOW_HOUR)
		return end_s - start_s == 3600 || !calendar_begins(kind, zone, reset_minute, start_s + 3600);
	if (kind == WINDOW_DAY) {
		go_to(zone);
		int64_t first = day_of(local_minutes(start_s), reset_minute);

		for (int64_t t = start_s; t < end_s; t += step_s[kind])
			if (day_of(local_minutes(t), reset_minute) > first)
				return false;
		return true;
	}
	return end_s - start_s >= (kind == WINDOW_WEEK ? 6 * 86400 : 27 * 86400);
}
