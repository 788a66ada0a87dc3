// SPDX-License-Identifier: Apache-2.0
/* alert/test_watch.c: when thresholds, forecasts and events are told: once per crossing and window, and what is remembered of it. */
#include "cm.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "ctl/alert/watch.h"

#define NOW INT64_C(1787220000)
#define CENT (NANOUSD_PER_USD / 100)

static char said[1024];

static void tell(void *ctx, struct alert_fact *f)
{
	size_t n = strlen(said);

	if (f->kind == ALERT_FORECAST)
		(void)snprintf(said + n, sizeof(said) - n, "%d:forecast@%+lld ", f->window, (long long)(f->used_up_s - NOW));
	else
		(void)snprintf(said + n, sizeof(said) - n, "%d:%u ", f->window, f->percent);
}

static uint16_t at[] = { 50, 80, 100 };
static struct config_alert alert(bool forecast)
{
	return (struct config_alert){ .name = "ops", .at = { at, 3 }, .forecast = forecast, .pace_ns = 900 * INT64_C(1000000000),
				      .repeat_ns = 60 * INT64_C(1000000000) };
}

static struct account_view view(nanousd limit, nanousd spent, int64_t start_s)
{
	struct account_view v = { .name = "bot" };

	v.windows[WINDOW_DAY] = (struct window_view){ .limited = true, .limit = limit, .spent = spent, .start_s = start_s, .end_s = start_s + 86400 };
	v.windows[WINDOW_TOTAL] = (struct window_view){ .spent = spent };
	return v;
}

static const char *look(struct watch *w, const struct config_alert *c, nanousd limit, nanousd spent, int64_t start_s, int64_t now_s)
{
	struct account_view v = view(limit, spent, start_s);

	said[0] = '\0';
	watch_account(w, c, &v, now_s, tell, NULL);
	return said;
}

static void once_per_crossing(void **state)
{
	static const struct {
		nanousd limit, spent;
		int64_t start_s;
		const char *said;
	} steps[] = {
		{ 100 * CENT, 0, NOW, "" },
		{ 100 * CENT, 50 * CENT - 1, NOW, "" },
		{ 100 * CENT, 50 * CENT, NOW, "1:50 " },
		{ 100 * CENT, 79 * CENT, NOW, "" },
		{ 100 * CENT, 99 * CENT, NOW, "1:80 " },
		{ 100 * CENT, 100 * CENT, NOW, "1:100 " },
		{ 100 * CENT, 130 * CENT, NOW, "" }, /* a provider billed more */
		{ 1000 * CENT, 130 * CENT, NOW, "" }, /* raised: all are uncrossed */
		{ 1000 * CENT, 500 * CENT, NOW, "1:50 " },
		{ 500 * CENT, 500 * CENT, NOW, "1:80 1:100 " }, /* cut: what is crossed by that is told */
		{ 500 * CENT, 0, NOW + 86400, "" }, /* the next day */
		{ 500 * CENT, 450 * CENT, NOW + 86400, "1:50 1:80 " },
		{ 500 * CENT, 450 * CENT, NOW + 2 * 86400, "1:50 1:80 " }, /* another one that begins full */
		{ 0, 450 * CENT, NOW + 2 * 86400, "" }, /* a limit of nothing has no half */
		{ INT64_MAX / 2, INT64_MAX / 2 - 1, NOW + 2 * 86400, "1:50 1:80 " },
	};
	struct config_alert c = alert(false);
	struct watch w = { 0 };

	for (size_t i = 0; i < COUNT(steps); i++) {
		const char *got = look(&w, &c, steps[i].limit, steps[i].spent, steps[i].start_s, NOW + (int64_t)i);

		if (strcmp(got, steps[i].said) != 0)
			fail_msg("step %zu: told \"%s\", wanted \"%s\"", i, got, steps[i].said);
	}
}

static void used_up_below_the_limit(void **state)
{
	struct config_alert c = alert(false);
	struct watch w = { 0 };
	struct account_view v = view(100 * CENT, 96 * CENT, NOW);

	assert_string_equal(look(&w, &c, 100 * CENT, 96 * CENT, NOW, NOW), "1:50 1:80 ");
	watch_refused(&w, WINDOW_DAY);
	assert_string_equal(look(&w, &c, 100 * CENT, 96 * CENT, NOW, NOW + 1), "1:100 ");
	assert_string_equal(look(&w, &c, 100 * CENT, 96 * CENT, NOW, NOW + 2), "");
	/* There is room again: the next time is told. */
	assert_string_equal(look(&w, &c, 200 * CENT, 96 * CENT, NOW, NOW + 3), "");
	assert_string_equal(look(&w, &c, 100 * CENT, 96 * CENT, NOW, NOW + 4), "1:50 1:80 ");
	watch_refused(&w, WINDOW_DAY);
	assert_string_equal(look(&w, &c, 100 * CENT, 96 * CENT, NOW, NOW + 5), "1:100 ");
	/* One large call that did not fit a budget with much left does not use it up. */
	w = (struct watch){ 0 };
	(void)look(&w, &c, 100 * CENT, 60 * CENT, NOW, NOW);
	watch_refused(&w, WINDOW_DAY);
	assert_string_equal(look(&w, &c, 100 * CENT, 60 * CENT, NOW, NOW + 1), "");
	/* The floor is the account's own end. */
	w = (struct watch){ 0 };
	v.floor = 5 * CENT;
	said[0] = '\0';
	watch_account(&w, &c, &v, NOW, tell, NULL);
	assert_string_equal(said, "1:50 1:80 1:100 ");
}

static void only_the_windows_asked_for(void **state)
{
	struct config_alert c = alert(false);
	struct watch w = { 0 };

	c.windows = 1 << WINDOW_MONTH;
	assert_string_equal(look(&w, &c, 100 * CENT, 96 * CENT, NOW, NOW), "");
}

/* One cent a second of a $100 day that began an hour ago: used up long before it ends. */
static void forecasts(void **state)
{
	struct config_alert c = alert(true);
	struct watch w = { 0 };
	int64_t told_at = 0;

	for (int64_t s = 0; s < 3600; s++) {
		if (look(&w, &c, 10000 * CENT, s * CENT, NOW - 3600, NOW + s)[0] && !told_at)
			told_at = s;
		else
			assert_string_equal(said, "");
	}
	/* Not on the first cent, but before the pace is seen whole (15 minutes). */
	assert_in_range(told_at, 60, 900);

	/* Told once; and the same again in the next window. */
	w.windows[WINDOW_DAY].start_s = 1;
	assert_non_null(strstr(look(&w, &c, 10000 * CENT, 3600 * CENT, NOW - 3600, NOW + 3600), "1:forecast@"));
	long long left = -1;

	assert_int_equal(sscanf(said, "1:forecast@%lld", &left), 1);
	/* $64 are left, at a little under a cent a second. */
	assert_in_range(left, 3600 + 6400, 3600 + 6400 + 200);

	/* At that pace the window ends first. */
	w = (struct watch){ 0 };
	for (int64_t s = 0; s < 7200; s++)
		assert_string_equal(look(&w, &c, 1000000 * CENT, s * CENT, NOW - 3600, NOW + s), "");
	/* Nothing spent of late: the pace is forgotten. */
	double fast = w.per_s;

	for (int64_t s = 7200; s < 14400; s++)
		(void)look(&w, &c, 1000000 * CENT, 7200 * CENT, NOW - 3600, NOW + s);
	assert_true(w.per_s < fast / 1000);
	/* A clock that goes back, and money that moves away with an account. */
	(void)look(&w, &c, 1000000 * CENT, 7200 * CENT, NOW - 3600, NOW);
	(void)look(&w, &c, 1000000 * CENT, 5 * CENT, NOW - 3600, NOW + 1);
	assert_true(w.per_s >= 0 && w.per_s < fast);
}

static void events_now_and_then(void **state)
{
	struct config_alert c = alert(false);
	struct watch w = { 0 };
	uint64_t n = 0;

	assert_false(watch_when(&w, &c, CONFIG_REFUSED, 0, NOW, &n));
	assert_true(watch_when(&w, &c, CONFIG_REFUSED, 1, NOW, &n));
	assert_int_equal(n, 1);
	assert_false(watch_when(&w, &c, CONFIG_REFUSED, 5, NOW + 1, &n));
	assert_false(watch_when(&w, &c, CONFIG_REFUSED, 1, NOW + 59, &n));
	assert_true(watch_when(&w, &c, CONFIG_RULE, 1, NOW + 59, &n)); /* each for itself */
	assert_true(watch_when(&w, &c, CONFIG_REFUSED, 0, NOW + 60, &n));
	assert_int_equal(n, 6);
	assert_false(watch_when(&w, &c, CONFIG_REFUSED, 0, NOW + 500, &n));
	/* A clock that went back does not keep it quiet for ever. */
	assert_true(watch_when(&w, &c, CONFIG_REFUSED, 1, NOW - 86400, &n));
}

static void remembered(void **state)
{
	struct config_alert c = alert(true);
	struct watched w = { .told = 1 | 4 | 1u << WATCH_FORECAST, .refused = true }, r = { 0 };
	char text[128];

	watch_show_told(&w, &c, text, sizeof(text));
	assert_string_equal(text, "50 100 forecast refused");
	watch_read_told(&r, &c, str_of(text));
	assert_int_equal(r.told, w.told);
	assert_true(r.refused);
	/* Another config: what it does not know is left out. Nonsense too. */
	r = (struct watched){ 0 };
	watch_read_told(&r, &c, STR("80 90  x 99999999999999999999 "));
	assert_int_equal(r.told, 2);
	watch_show_told(&(struct watched){ 0 }, &c, text, sizeof(text));
	assert_string_equal(text, "");
	watch_show_told(&w, &c, text, 6);
	assert_true(strlen(text) < 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(once_per_crossing),
		cmocka_unit_test(used_up_below_the_limit),
		cmocka_unit_test(only_the_windows_asked_for),
		cmocka_unit_test(forecasts),
		cmocka_unit_test(events_now_and_then),
		cmocka_unit_test(remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
