// SPDX-License-Identifier: Apache-2.0
/* Costs: tables of exact figures, and properties over random prices: a ceiling is above every cost that it allows. */
#include <errno.h>

#include "spend/cost.h"
#include "spend_test.h"

#define PER_MILLION(usd_times_1000) ((usd_times_1000)*INT64_C(1000000))

static struct price price_of(int64_t in, int64_t out)
{
	struct price p;

	price_init(&p);
	p.provider = "p";
	p.model = "m";
	p.sets[TIER_STANDARD].input = PER_MILLION(in);
	p.sets[TIER_STANDARD].output = PER_MILLION(out);
	return p;
}

static void set_web_search(struct price *p, femtousd each)
{
	for (unsigned i = 0; i < SEARCH_CONTEXT_COUNT; i++)
		p->per_web_search[i] = each;
}

static void set_long(struct price *p, struct price_long *l, int64_t above)
{
	*l = (struct price_long){ .above = above };
	memset(l->sets, 0xff, sizeof(l->sets));
	p->longs = l;
	p->nlongs = 1;
}

static nanousd cost(const struct price *p, struct usage u, enum tier tier, int pct)
{
	nanousd n = -1;
	bool clamped;
	const struct cost_terms t = { .tier = tier, .multiplier_pct = pct };

	assert_int_equal(cost_of(p, &u, &t, &n, &clamped), 0);
	return n;
}

/* 1 USD per million = 1000 nano-dollars per token. */
static void figures_are_exact(void **state)
{
	struct price p = price_of(1250, 10000); /* 1.25 and 10 USD */

	p.sets[TIER_STANDARD].cache_read = PER_MILLION(125);
	p.sets[TIER_STANDARD].cache_write_5m = PER_MILLION(1500);
	p.sets[TIER_STANDARD].audio_input = PER_MILLION(32000);
	p.sets[TIER_STANDARD].reasoning = PER_MILLION(12000);
	set_web_search(&p, 10 * FEMTOUSD_PER_NANOUSD * 1000000);
	static const struct {
		struct usage u;
		nanousd want;
	} cases[] = {
		{ { 0 }, 0 },
		{ { .input = 1 }, 1250 },
		{ { .output = 1 }, 10000 },
		{ { .input = 1000, .output = 500 }, 1250000 + 5000000 },
		{ { .input = 1000, .cache_read = 400 }, 600 * 1250 + 400 * 125 },
		{ { .input = 1000, .cache_read = 1000 }, 1000 * 125 },
		{ { .input = 1000, .cache_write_5m = 300, .cache_read = 200 }, 500 * 1250 + 300 * 1500 + 200 * 125 },
		{ { .input = 100, .cache_write_1h = 10 }, 90 * 1250 + 10 * 2500 }, /* not listed: twice the input */
		{ { .output = 100, .reasoning = 60 }, 40 * 10000 + 60 * 12000 },
		{ { .input = 100, .audio_input = 30 }, 70 * 1250 + 30 * 32000 },
		{ { .output = 10, .audio_output = 5 }, 100000 }, /* not listed: as output */
		{ { .input = 1, .web_searches = 3 }, 1250 + 3 * 10000000 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(cost(&p, cases[i].u, TIER_STANDARD, 100), cases[i].want);
}

static void rounding_is_once_and_up(void **state)
{
	struct price p = price_of(0, 0);

	p.sets[TIER_STANDARD].input = 1; /* 1e-15 USD */
	p.sets[TIER_STANDARD].output = 1;
	assert_int_equal(cost(&p, (struct usage){ .input = 1 }, TIER_STANDARD, 100), 1);
	assert_int_equal(cost(&p, (struct usage){ .input = 500000, .output = 500000 }, TIER_STANDARD, 100), 1);
	assert_int_equal(cost(&p, (struct usage){ .input = 500000, .output = 500001 }, TIER_STANDARD, 100), 2);
	/* 110 % of half a nano-dollar and a half: 1.1, one rounding */
	assert_int_equal(cost(&p, (struct usage){ .input = 500000, .output = 500000 }, TIER_STANDARD, 110), 2);
	/* 0.1 + 0.2 USD per million, ten tokens each: 3000 exactly */
	p = price_of(100, 200);
	assert_int_equal(cost(&p, (struct usage){ .input = 10, .output = 10 }, TIER_STANDARD, 100), 3000);
}

static void multiplier_lifts_tokens_not_fees(void **state)
{
	struct price p = price_of(1000, 1000);

	set_web_search(&p, 10 * FEMTOUSD_PER_NANOUSD * 1000000);
	p.per_request = 5 * FEMTOUSD_PER_NANOUSD;
	assert_int_equal(cost(&p, (struct usage){ .input = 1000, .web_searches = 1 }, TIER_STANDARD, 110), 1100000 + 10000000 + 5);
	assert_int_equal(cost(&p, (struct usage){ .input = 1000 }, TIER_STANDARD, 0), 1000000 + 5); /* none */
}

static void long_context_is_a_cliff(void **state)
{
	struct price p = price_of(1000, 2000);

	p.sets[TIER_STANDARD].cache_read = PER_MILLION(100);
	struct price_long l;

	set_long(&p, &l, 200000);
	l.sets[TIER_STANDARD].input = PER_MILLION(2000);
	l.sets[TIER_STANDARD].output = PER_MILLION(3000);
	l.sets[TIER_STANDARD].cache_read = PER_MILLION(200);
	assert_int_equal(cost(&p, (struct usage){ .input = 200000, .output = 10 }, TIER_STANDARD, 100), 200000000 + 20000);
	assert_int_equal(cost(&p, (struct usage){ .input = 200001, .output = 10 }, TIER_STANDARD, 100), 400002000 + 30000);
	/* cached tokens are part of the input that counts; output is not */
	assert_int_equal(cost(&p, (struct usage){ .input = 200001, .cache_read = 200000, .output = 1 }, TIER_STANDARD, 100),
			 2000 + 200000 * 200 + 3000);
	assert_int_equal(cost(&p, (struct usage){ .input = 180000, .output = 30000 }, TIER_STANDARD, 100), 180000000 + 60000000);
}

static void tiers_and_what_is_not_sold(void **state)
{
	struct price p = price_of(1000, 2000);
	const struct usage u = { .input = 1000, .output = 1000 };

	p.sets[TIER_FLEX].input = PER_MILLION(500);
	p.sets[TIER_FLEX].output = PER_MILLION(1000);
	assert_int_equal(cost(&p, u, TIER_FLEX, 100), 1500000);
	assert_int_equal(cost(&p, u, TIER_PRIORITY, 100), 3000000); /* not sold: the dearest known */
	assert_int_equal(cost(&p, u, TIER_UNKNOWN, 100), 3000000);
	p.sets[TIER_PRIORITY].input = PER_MILLION(2000);
	p.sets[TIER_PRIORITY].output = PER_MILLION(1500); /* dearest class by class */
	assert_int_equal(cost(&p, u, TIER_PRIORITY, 100), 3500000);
	assert_int_equal(cost(&p, u, TIER_UNKNOWN, 100), 4000000);
	assert_int_equal(cost(&p, u, TIER_BATCH, 100), 4000000);
	/* flex has no long-context rates of its own: the dearest there is */
	struct price_long l;

	set_long(&p, &l, 999);
	l.sets[TIER_STANDARD].input = PER_MILLION(3000);
	l.sets[TIER_STANDARD].output = PER_MILLION(2500);
	assert_int_equal(cost(&p, u, TIER_FLEX, 100), 5500000);
	assert_int_equal(cost(&p, u, TIER_STANDARD, 100), 5500000);
	l.sets[TIER_FLEX].input = PER_MILLION(700);
	l.sets[TIER_FLEX].output = PER_MILLION(700);
	assert_int_equal(cost(&p, u, TIER_FLEX, 100), 1400000);
	assert_int_equal(cost(&p, u, TIER_UNKNOWN, 100), 5500000);
}

static void parts_larger_than_their_whole_are_clamped(void **state)
{
	struct price p = price_of(1000, 2000);
	nanousd n;
	bool clamped;

	p.sets[TIER_STANDARD].cache_read = PER_MILLION(100);
	p.sets[TIER_STANDARD].cache_write_5m = PER_MILLION(1250);
	static const struct {
		struct usage u;
		nanousd want;
		bool clamped;
	} cases[] = {
		{ { .input = 10, .cache_read = 10 }, 1000, false },
		{ { .input = 10, .cache_read = 11 }, 1000, true },
		{ { .input = 10, .cache_read = 8, .cache_write_5m = 8 }, 8 * 1250 + 2 * 100, true }, /* overlap: the dearer */
		{ { .output = 10, .reasoning = 11 }, 20000, true },
		{ { .input = -1, .output = 1 }, 2000, true },
		{ { .input = 5, .cache_read = -1 }, 5000, true },
		{ { .input = 5, .web_searches = -1 }, 5000, true },
		{ { .input = 10, .audio_input = 6, .cache_read = 6 }, 6 * 1000 + 4 * 100, true },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(cost_of(&p, &cases[i].u, &(struct cost_terms){ .multiplier_pct = 100 }, &n, &clamped), 0);
		assert_int_equal(n, cases[i].want);
		assert_int_equal(clamped, cases[i].clamped);
	}
}

static void what_has_no_price_is_no_zero(void **state)
{
	struct price p = price_of(1000, 2000);
	struct usage u = { .input = 1, .web_searches = 1 };
	nanousd n = 77;
	bool clamped;

	assert_int_equal(cost_of(&p, &u, &(struct cost_terms){ .multiplier_pct = 100 }, &n, &clamped), -ENODATA);
	p.sets[TIER_STANDARD].output = PRICE_UNKNOWN;
	u = (struct usage){ .input = 1, .output = 1 };
	assert_int_equal(cost_of(&p, &u, &(struct cost_terms){ .multiplier_pct = 100 }, &n, &clamped), -ENODATA);
	u = (struct usage){ .input = USAGE_TOKENS_MAX + 1 };
	assert_int_equal(cost_of(&p, &u, &(struct cost_terms){ .multiplier_pct = 100 }, &n, &clamped), -EOVERFLOW);
	u = (struct usage){ .input = USAGE_TOKENS_MAX };
	p.sets[TIER_STANDARD].input = INT64_C(1000000000000000); /* 1 USD a token: 1e9 USD fit, 10 times as much do not */
	assert_int_equal(cost_of(&p, &u, &(struct cost_terms){ .multiplier_pct = 100 }, &n, &clamped), 0);
	assert_int_equal(n, INT64_C(1000000000) * NANOUSD_PER_USD);
	assert_int_equal(cost_of(&p, &u, &(struct cost_terms){ .multiplier_pct = 1000 }, &n, &clamped), -EOVERFLOW);
}

static void ceilings(void **state)
{
	struct price p = price_of(1000, 2000);
	nanousd n;
	struct err e = { "" };

	p.max_input = 1000;
	p.max_output = 100;
	p.sets[TIER_STANDARD].cache_write_5m = PER_MILLION(1250);
	static const struct {
		struct cost_bounds b;
		nanousd want;
	} cases[] = {
		{ { .input = 10, .output = 5, .choices = 1 }, 10000 + 10000 },
		{ { .input = 10, .output = 5, .choices = 1, .cache_write = true }, 12500 + 10000 },
		{ { .input = 10, .output = 5, .choices = 1, .cache_write = true, .cache_write_1h = true }, 20000 + 10000 },
		{ { .input = 5000, .output = 0, .choices = 1 }, 1000000 }, /* the model takes no more */
		{ { .input = 1, .input_is_model_max = true, .output = 0, .choices = 1 }, 1000000 },
		{ { .input = 0, .output = -1, .choices = 3 }, 600000 },
		{ { .input = 0, .output = -1, .choices = 0 }, 200000 },
		{ { .input = 10, .output = 5, .choices = 1, .terms.multiplier_pct = 110 }, 22000 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (cost_ceiling(&p, &cases[i].b, &n, &e) < 0)
			fail_msg("%s", e.text);
		assert_int_equal(n, cases[i].want);
	}
	struct cost_bounds b = { .input = 1, .output = 1, .web_searches = 1 };

	assert_int_equal(cost_ceiling(&p, &b, &n, &e), -ERANGE);
	assert_non_null(strstr(e.text, "web_search"));
	b = (struct cost_bounds){ .output = -1, .choices = INT64_MAX / 2 };
	assert_int_equal(cost_ceiling(&p, &b, &n, &e), -EOVERFLOW);
	b = (struct cost_bounds){ .output = INT64_MAX };
	assert_int_equal(cost_ceiling(&p, &b, &n, &e), -EOVERFLOW);
	p.max_input = p.max_output = -1;
	b = (struct cost_bounds){ .input_is_model_max = true };
	assert_int_equal(cost_ceiling(&p, &b, &n, &e), -ERANGE);
	assert_non_null(strstr(e.text, "max_input"));
	b = (struct cost_bounds){ .output = -1 };
	assert_int_equal(cost_ceiling(&p, &b, &n, &e), -ERANGE);
	assert_non_null(strstr(e.text, "max_output"));
	p.sets[TIER_STANDARD].output = PRICE_UNKNOWN;
	b = (struct cost_bounds){ .input = 1, .output = 1 };
	assert_int_equal(cost_ceiling(&p, &b, &n, &e), -ERANGE);
	b = (struct cost_bounds){ .input = 1, .output = 0 };
	assert_int_equal(cost_ceiling(&p, &b, &n, &e), 0);
}

static void estimates(void **state)
{
	struct price p = price_of(1000, 2000);
	const struct cost_bounds b = { .input = 100, .output = 50, .choices = 1 };
	const nanousd hold = 200000;
	nanousd n;

	assert_int_equal(cost_estimate(&p, &b, NULL, 0, false, hold, &n), 0);
	assert_int_equal(n, 100000); /* the input was sent */
	assert_int_equal(cost_estimate(&p, &b, NULL, 10, false, hold, &n), 0);
	assert_int_equal(n, 100000 + 4 * 2000);
	assert_int_equal(cost_estimate(&p, &b, NULL, 100000, false, hold, &n), 0);
	assert_int_equal(n, hold); /* never above */
	assert_int_equal(cost_estimate(&p, &b, NULL, 3, true, hold, &n), 0);
	assert_int_equal(n, hold); /* reasoning that nobody saw */
	const struct usage exact = { .input = 40, .cache_read = 10 };

	p.sets[TIER_STANDARD].cache_read = PER_MILLION(100);
	assert_int_equal(cost_estimate(&p, &b, &exact, 6, false, hold, &n), 0);
	assert_int_equal(n, 30000 + 1000 + 4000);
	const struct usage none = { 0 };

	assert_int_equal(cost_estimate(&p, &b, &none, 0, false, hold, &n), 0);
	assert_int_equal(n, 1); /* never zero */
	assert_int_equal(cost_estimate(&p, &b, NULL, INT64_MAX, false, hold, &n), 0);
	assert_int_equal(n, hold);
}

/* ---- what changes a price */

static nanousd cost_by(const struct price *p, struct usage u, struct cost_terms t)
{
	nanousd n = -1;
	bool clamped;
	int r = cost_of(p, &u, &t, &n, &clamped);

	return r < 0 ? r : n;
}

static struct rates rates_of(int64_t in, int64_t out)
{
	struct rates r;

	memset(&r, 0xff, sizeof(r));
	r.input = PER_MILLION(in);
	r.output = PER_MILLION(out);
	return r;
}

static void steps_are_many_and_each_is_a_cliff(void **state)
{
	struct price p = price_of(1000, 2000);
	struct price_long l[3] = { { .above = 0 }, { .above = 100 }, { .above = 200, .inclusive = true } };

	memset(l[0].sets, 0xff, sizeof(l[0].sets));
	memset(l[1].sets, 0xff, sizeof(l[1].sets));
	memset(l[2].sets, 0xff, sizeof(l[2].sets));
	l[0].sets[TIER_STANDARD] = rates_of(2000, 2000);
	l[1].sets[TIER_STANDARD] = rates_of(3000, 4000);
	l[1].sets[TIER_FLEX] = rates_of(1500, 2000);
	l[2].sets[TIER_STANDARD] = rates_of(5000, 6000);
	p.longs = l;
	p.nlongs = 3;
	static const struct {
		int64_t input, output;
		enum tier tier;
		nanousd want;
	} cases[] = {
		{ 0, 10, TIER_STANDARD, 20000 }, /* nothing crosses a step at 0 but something */
		{ 1, 10, TIER_STANDARD, 2000 + 20000 },
		{ 100, 10, TIER_STANDARD, 200000 + 20000 },
		{ 101, 10, TIER_STANDARD, 303000 + 40000 },
		{ 199, 0, TIER_STANDARD, 597000 },
		{ 200, 0, TIER_STANDARD, 1000000 }, /* inclusive */
		{ 100, 1000000, TIER_STANDARD, 200000 + 2000000000 }, /* output does not count for the step */
		{ 101, 0, TIER_FLEX, 101 * 1500 },
		/* sold below, not up here: the dearer of its own and the standard rate */
		{ 200, 0, TIER_FLEX, 1000000 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(cost(&p, (struct usage){ .input = cases[i].input, .output = cases[i].output }, cases[i].tier, 100), cases[i].want);
}

static void a_fast_mode_is_a_factor_or_has_rates(void **state)
{
	struct price p = price_of(5000, 25000);
	const struct cost_terms fast = { .fast = true };
	const struct usage u = { .input = 10, .cache_read = 4, .cache_write_5m = 2, .output = 3, .web_searches = 1 };

	set_web_search(&p, 1000 * FEMTOUSD_PER_NANOUSD);
	p.sets[TIER_STANDARD].cache_read = PER_MILLION(500);
	p.sets[TIER_STANDARD].cache_write_5m = PER_MILLION(6250);
	assert_int_equal(cost_by(&p, u, fast), -ENODATA); /* not sold is not the same price */
	p.fast_permille = 6000;
	/* every class of tokens, not the fee */
	assert_int_equal(cost_by(&p, u, fast), 6 * (4 * 5000 + 4 * 500 + 2 * 6250 + 3 * 25000) + 1000);
	assert_int_equal(cost_by(&p, u, (struct cost_terms){ 0 }), 4 * 5000 + 4 * 500 + 2 * 6250 + 3 * 25000 + 1000);
	/* rates of its own win, and stand for long context too where that has none for it */
	struct price_long l;

	p.sets[RATE_SET_FAST] = rates_of(10000, 50000);
	set_long(&p, &l, 9);
	l.sets[TIER_STANDARD] = rates_of(7500, 60000);
	assert_int_equal(cost_by(&p, (struct usage){ .input = 9, .output = 1 }, fast), 90000 + 50000);
	assert_int_equal(cost_by(&p, (struct usage){ .input = 10, .output = 1 }, fast), 100000 + 60000);
	l.sets[RATE_SET_FAST] = rates_of(20000, 70000);
	assert_int_equal(cost_by(&p, (struct usage){ .input = 10, .output = 1 }, fast), 200000 + 70000);
	/* also when the tier is not known */
	assert_int_equal(cost_by(&p, (struct usage){ .input = 9 }, (struct cost_terms){ .fast = true, .tier = TIER_UNKNOWN }), 90000);
}

static void places_are_factors_on_tokens(void **state)
{
	static const struct price_factor geo[] = { { "us", 1100 }, { "eu", 1055 } }, regional[] = { { "eu", 1100 } };
	struct price p = price_of(1000, 1000);

	set_web_search(&p, 7 * FEMTOUSD_PER_NANOUSD);
	p.geo = geo;
	p.ngeo = 2;
	p.regional = regional;
	p.nregional = 1;
	static const struct {
		struct cost_terms t;
		nanousd want;
	} cases[] = {
		{ { 0 }, 10000 + 7 },
		{ { .geo = "" }, 10000 + 7 },
		{ { .geo = "us" }, 11000 + 7 },
		{ { .geo = "eu" }, 10550 + 7 },
		{ { .geo = COST_ANYWHERE }, 11000 + 7 },
		{ { .geo = "moon" }, -ENODATA },
		{ { .region = "eu" }, 11000 + 7 },
		{ { .region = "us" }, 10000 + 7 }, /* no uplift for this model there */
		{ { .geo = "us", .region = "eu", .multiplier_pct = 110 }, 13310 + 7 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(cost_by(&p, (struct usage){ .input = 10, .web_searches = 1 }, cases[i].t), cases[i].want);
	p.geo = NULL;
	p.ngeo = 0;
	assert_int_equal(cost_by(&p, (struct usage){ .input = 1 }, (struct cost_terms){ .geo = "us" }), -ENODATA);
	/* factors below one nano-dollar are rounded once, up */
	p = price_of(0, 0);
	p.sets[TIER_STANDARD].input = 1;
	p.geo = geo;
	p.ngeo = 2;
	assert_int_equal(cost_by(&p, (struct usage){ .input = 1 }, (struct cost_terms){ .geo = "us", .multiplier_pct = 110 }), 1);
	assert_int_equal(cost_by(&p, (struct usage){ .input = 826446 }, (struct cost_terms){ .geo = "us", .multiplier_pct = 110 }), 1);
	assert_int_equal(cost_by(&p, (struct usage){ .input = 826447 }, (struct cost_terms){ .geo = "us", .multiplier_pct = 110 }), 2);
}

/* 2026-11-23 is a Monday. */
#define MONDAY INT64_C(1795392000)
#define AT(day, hour, minute) (MONDAY + (day) * INT64_C(86400) + (hour) * 3600 + (minute) * 60)

static void hours_are_cheaper_in_their_windows_only(void **state)
{
	struct price p = price_of(4000, 4000);
	/* working days but 01:00-04:00 and 06:00-10:00; all of the weekend; a window over midnight on Wednesday */
	struct price_off_peak o[] = {
		{ .windows = { { 0, 60 }, { 240, 360 }, { 600, 1440 } }, .nwindows = 3, .days = 0x1b },
		{ .days = 0x60 },
		{ .windows = { { 1380, 30 } }, .nwindows = 1, .days = 0x04 },
	};

	for (size_t i = 0; i < 3; i++) {
		memset(&o[i].rates, 0xff, sizeof(o[i].rates));
		o[i].rates.input = PER_MILLION(1000 + (int64_t)i * 1000);
	}
	p.off_peak = o;
	p.noff_peak = 3;
	static const struct {
		int64_t at_s;
		nanousd want;
	} cases[] = {
		{ 0, 4000 },                          /* nobody said when */
		{ AT(0, 0, 0), 1000 }, { AT(0, 1, 0) - 1, 1000 }, { AT(0, 1, 0), 4000 }, { AT(0, 4, 0) - 1, 4000 }, { AT(0, 4, 0), 1000 },
		{ AT(0, 5, 59), 1000 }, { AT(0, 6, 0), 4000 }, { AT(0, 9, 59), 4000 }, { AT(0, 10, 0), 1000 }, { AT(1, 0, 0) - 1, 1000 },
		{ AT(2, 12, 0), 4000 },               /* Wednesday: only its night */
		{ AT(2, 22, 59), 4000 }, { AT(2, 23, 0), 3000 }, { AT(3, 0, 29), 1000 /* Thursday's own window comes first */ },
		{ AT(5, 2, 0), 2000 }, { AT(6, 23, 59), 2000 }, { AT(7, 2, 0), 4000 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		nanousd n = cost_by(&p, (struct usage){ .input = 1 }, (struct cost_terms){ .at_s = cases[i].at_s });

		if (n != cases[i].want)
			fail_msg("case %zu: %lld, wanted %lld", i, (long long)n, (long long)cases[i].want);
	}
	/* what is not given stays as it is; a tier, fast or long request is as by day */
	assert_int_equal(cost_by(&p, (struct usage){ .output = 1 }, (struct cost_terms){ .at_s = AT(5, 2, 0) }), 4000);
	p.sets[TIER_PRIORITY] = rates_of(8000, 8000);
	assert_int_equal(cost_by(&p, (struct usage){ .input = 1 }, (struct cost_terms){ .at_s = AT(5, 2, 0), .tier = TIER_PRIORITY }), 8000);
	assert_int_equal(cost_by(&p, (struct usage){ .input = 1 }, (struct cost_terms){ .at_s = AT(5, 2, 0), .tier = TIER_UNKNOWN }), 8000);
	/* the other side of an overnight window, with its day */
	p.off_peak = &o[2];
	p.noff_peak = 1;
	assert_int_equal(cost_by(&p, (struct usage){ .input = 1 }, (struct cost_terms){ .at_s = AT(3, 0, 29) }), 3000);
	assert_int_equal(cost_by(&p, (struct usage){ .input = 1 }, (struct cost_terms){ .at_s = AT(3, 0, 30) }), 4000);
	assert_int_equal(cost_by(&p, (struct usage){ .input = 1 }, (struct cost_terms){ .at_s = AT(2, 0, 10) }), 4000);
}

/* The provider's clock may be minutes off: a hold near the end of cheaper hours is the dearer one. */
static void holds_near_an_edge_are_dear(void **state)
{
	struct price p = price_of(4000, 4000);
	struct price_off_peak o = { .windows = { { 600, 1440 } }, .nwindows = 1 };
	static const struct {
		int64_t at_s;
		nanousd want;
	} cases[] = { { AT(0, 10, 4), 4000 }, { AT(0, 10, 6), 1000 }, { AT(0, 23, 54), 1000 }, { AT(0, 23, 56), 4000 }, { AT(0, 9, 59), 4000 }, { 0, 4000 } };

	memset(&o.rates, 0xff, sizeof(o.rates));
	o.rates.input = PER_MILLION(1000);
	p.off_peak = &o;
	p.noff_peak = 1;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct cost_bounds b = { .input = 1, .terms.at_s = cases[i].at_s };
		nanousd n;

		assert_int_equal(cost_ceiling(&p, &b, &n, NULL), 0);
		assert_int_equal(n, cases[i].want);
	}
}

/* ---- other kinds of tokens, and no tokens */

static void pictures_sound_and_video_in_tokens(void **state)
{
	struct price p = price_of(1000, 2000);
	struct rates *r = &p.sets[TIER_STANDARD];

	r->cache_read = PER_MILLION(100);
	r->audio_input = PER_MILLION(8000);
	r->audio_cache_read = PER_MILLION(400);
	r->image_input = PER_MILLION(3000);
	r->image_output = PER_MILLION(9000);
	r->video_input = PER_MILLION(5000);
	static const struct {
		struct usage u;
		nanousd want;
		bool clamped;
	} cases[] = {
		{ { .input = 100, .cache_read = 40, .audio_input = 30, .audio_cache_read = 10 }, 40 * 1000 + 30 * 100 + 20 * 8000 + 10 * 400, false },
		/* read from the cache and of a picture, without a rate: the dearer of both */
		{ { .input = 100, .cache_read = 40, .image_input = 30, .image_cache_read = 10 }, 40 * 1000 + 30 * 100 + 30 * 3000, false },
		{ { .input = 100, .audio_input = 10, .image_input = 20, .video_input = 30 }, 40 * 1000 + 80000 + 60000 + 150000, false },
		{ { .output = 100, .image_output = 60, .reasoning = 30 }, 60 * 9000 + 40 * 2000, false },
		/* everything is of everything: paid once, at the more special */
		{ { .input = 10, .cache_read = 10, .audio_input = 10 }, 80000, true },
		{ { .input = 10, .cache_read = 4, .audio_input = 5, .audio_cache_read = 9 }, 10 * 0 + 5 * 1000 + 1 * 8000 + 4 * 400, true },
		{ { .input = 10, .cache_read = 4, .audio_cache_read = 4 }, 6 * 1000 + 4 * 100, true },
		{ { .input = 10, .image_input = -5, .video_input = -1, .audio_cache_read = -3 }, 10000, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		nanousd n = -1;
		bool clamped = false;

		assert_int_equal(cost_of(&p, &cases[i].u, &(struct cost_terms){ 0 }, &n, &clamped), 0);
		if (n != cases[i].want || clamped != cases[i].clamped)
			fail_msg("case %zu: %lld (%d), wanted %lld (%d)", i, (long long)n, clamped, (long long)cases[i].want, cases[i].clamped);
	}
}

static void fees_by_unit(void **state)
{
	static const struct price_image images[] = { { "", "1024x1024", 40 * FEMTOUSD_PER_NANOUSD }, { "hd", "1024x1024", 80 * FEMTOUSD_PER_NANOUSD },
						     { "hd", "512x512", 20 * FEMTOUSD_PER_NANOUSD } };
	struct price p = price_of(1000, 2000), q;

	p.per_request = 5 * FEMTOUSD_PER_NANOUSD;
	p.per_file_search = 3 * FEMTOUSD_PER_NANOUSD;
	p.per_code_session = 2 * FEMTOUSD_PER_NANOUSD;
	p.per_page = FEMTOUSD_PER_NANOUSD;
	p.per_audio_ms = FEMTOUSD_PER_NANOUSD / 4;
	p.per_character = FEMTOUSD_PER_NANOUSD / 2;
	p.per_video_ms = FEMTOUSD_PER_NANOUSD;
	p.images = images;
	p.nimages = 3;
	p.per_web_search[SEARCH_CONTEXT_LOW] = 6 * FEMTOUSD_PER_NANOUSD;
	p.per_web_search[SEARCH_CONTEXT_HIGH] = p.per_web_search[SEARCH_CONTEXT_UNKNOWN] = 9 * FEMTOUSD_PER_NANOUSD;
	price_init(&q);
	q.is_media = true;
	q.per_audio_ms = FEMTOUSD_PER_NANOUSD / 4;
	const struct {
		const struct price *p;
		struct usage u;
		struct cost_terms t;
		nanousd want;
	} cases[] = {
		{ &p, { 0 }, { 0 }, 5 },
		{ &p, { .file_searches = 2, .code_sessions = 1, .pages = 7 }, { 0 }, 5 + 6 + 2 + 7 },
		{ &p, { .web_searches = 2 }, { 0 }, 5 + 18 },
		{ &p, { .web_searches = 2 }, { .search_context = SEARCH_CONTEXT_LOW }, 5 + 12 },
		{ &p, { .web_searches = 2 }, { .search_context = SEARCH_CONTEXT_MEDIUM }, -ENODATA },
		{ &p, { .web_searches = 2 }, { .search_context = (enum search_context)99 }, 5 + 18 },
		{ &p, { .audio_ms = 3 }, { 0 }, 5 + 1 }, /* 0.75, rounded once */
		{ &p, { .audio_ms = 3, .characters = 1 }, { 0 }, 5 + 2 },
		{ &p, { .audio_ms = 60000, .input = 1 }, { 0 }, 5 + 1000 }, /* tokens are counted: they are it */
		{ &p, { .video_ms = 10 }, { 0 }, 5 + 10 },
		{ &p, { .images = 2 }, { 0 }, 5 + 160 }, /* size and quality unknown: the dearest */
		{ &p, { .images = 2 }, { .image_size = "512x512" }, 5 + 40 },
		{ &p, { .images = 1 }, { .image_quality = "standard" }, 5 + 40 },
		{ &p, { .images = 1 }, { .image_quality = "hd", .image_size = "2048x2048" }, -ENODATA },
		{ &p, { .images = 1, .output = 1 }, { .image_size = "512x512" }, 5 + 2000 },
		/* not billed by tokens */
		{ &q, { .audio_ms = 4000, .input = 700, .output = 9 }, { 0 }, 1000 },
		{ &q, { .input = 700 }, { 0 }, -ENODATA },
		{ &q, { .characters = 700 }, { 0 }, -ENODATA },
		{ &q, { .audio_ms = 4000 }, { .multiplier_pct = 110 }, 1000 },
		{ &q, { .audio_ms = USAGE_TOKENS_MAX + 1 }, { 0 }, -EOVERFLOW },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		nanousd n = cost_by(cases[i].p, cases[i].u, cases[i].t);

		if (n != cases[i].want)
			fail_msg("case %zu: %lld, wanted %lld", i, (long long)n, (long long)cases[i].want);
	}
	p = price_of(1000, 2000);
	/* in units that this model has no price for, but told in tokens too */
	assert_int_equal(cost_by(&p, (struct usage){ .audio_ms = 60000, .input = 1 }, (struct cost_terms){ 0 }), 1000);
	assert_int_equal(cost_by(&p, (struct usage){ .audio_ms = 60000 }, (struct cost_terms){ 0 }), -ENODATA);
	assert_int_equal(cost_by(&p, (struct usage){ .file_searches = 1 }, (struct cost_terms){ 0 }), -ENODATA);
	assert_int_equal(cost_by(&p, (struct usage){ .code_sessions = 1 }, (struct cost_terms){ 0 }), -ENODATA);
	assert_int_equal(cost_by(&p, (struct usage){ .pages = 1, .input = 1 }, (struct cost_terms){ 0 }), -ENODATA);
}

static void bounds_without_a_price_say_which(void **state)
{
	struct price p = price_of(1000, 2000), q;
	nanousd n;

	price_init(&q);
	q.is_media = true;
	q.per_character = FEMTOUSD_PER_NANOUSD;
	const struct {
		const struct price *p;
		struct cost_bounds b;
		const char *says;
	} cases[] = {
		{ &p, { .file_searches = 1 }, "file_search" }, { &p, { .code_sessions = 1 }, "code_session" }, { &p, { .pages = 1 }, "page" },
		{ &p, { .terms.fast = true }, "\"fast\"" }, { &p, { .terms.geo = "us" }, "\"us\"" }, { &q, { .images = 1 }, "image" },
		{ &q, { .audio_ms = 1 }, "audio_second" }, { &q, { .video_ms = 1 }, "video_second" }, { &p, { .input = 2, .passes = INT64_MAX }, "passes" },
		{ &p, { .file_searches = INT64_MAX }, "file searches" }, { &p, { .input = 500000000, .passes = 3 }, "tokens" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = { "" };
		int r = cost_ceiling(cases[i].p, &cases[i].b, &n, &e);

		if ((r != -ERANGE && r != -EOVERFLOW) || !strstr(e.text, cases[i].says))
			fail_msg("case %zu: %d, wanted \"%s\" in: %s", i, r, cases[i].says, e.text);
	}
	/* without token prices the size of the body is no bound of anything */
	const struct cost_bounds b = { .input = 4000000, .input_is_model_max = true, .output = -1, .characters = 12 };

	assert_int_equal(cost_ceiling(&q, &b, &n, NULL), 0);
	assert_int_equal(n, 12);
	/* each pass reads all of it again */
	const struct cost_bounds again = { .input = 10, .passes = 4, .output = 1 };

	assert_int_equal(cost_ceiling(&p, &again, &n, NULL), 0);
	assert_int_equal(n, 40000 + 2000);
}

static void names_say_what_was_used(void **state)
{
	static const struct price_factor geo[] = { { "us", 1100 } };
	struct price p = price_of(1000, 2000);
	struct price_long l;
	struct price_off_peak o = { .days = 0x7f };

	memset(&o.rates, 0xff, sizeof(o.rates));
	p.as_of = "2026-08-21";
	set_long(&p, &l, 272000);
	p.fast_permille = 2000;
	p.geo = geo;
	p.ngeo = 1;
	p.off_peak = &o;
	p.noff_peak = 1;
	static const struct {
		int64_t input;
		struct cost_terms t;
		const char *want;
	} cases[] = {
		{ 1, { 0 }, "p/m@2026-08-21" },
		{ 272001, { .tier = TIER_PRIORITY }, "p/m@2026-08-21+priority>272000" },
		{ 1, { .fast = true, .geo = "us", .at_s = 5 }, "p/m@2026-08-21+fast+geo:us" },
		{ 1, { .at_s = 5 }, "p/m@2026-08-21+off_peak" },
		{ 272001, { .tier = TIER_UNKNOWN, .at_s = 5, .geo = "" }, "p/m@2026-08-21+dearest>272000" },
		{ 1, { .geo = "moon" }, "p/m@2026-08-21" },
	};
	char name[128], small[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cost_name(&p, &(struct usage){ .input = cases[i].input }, &cases[i].t, name, sizeof(name));
		assert_string_equal(name, cases[i].want);
	}
	p.provider = "a-provider-whose-name-goes-on-and-on-and-on-for-ever-and-ever";
	p.model = "accounts/somebody/models/a-model-of-many-words-and-a-version-at-its-end-that-goes-on-and-on-and-on-70b-v2";
	cost_name(&p, &(struct usage){ 0 }, &(struct cost_terms){ .tier = TIER_FLEX }, small, sizeof(small));
	assert_int_equal(strlen(small), 63);
	assert_non_null(strstr(small, "70b-v2@2026-08-21+flex"));
	assert_non_null(strstr(small, "/accounts"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(figures_are_exact),
		cmocka_unit_test(rounding_is_once_and_up),
		cmocka_unit_test(multiplier_lifts_tokens_not_fees),
		cmocka_unit_test(long_context_is_a_cliff),
		cmocka_unit_test(tiers_and_what_is_not_sold),
		cmocka_unit_test(parts_larger_than_their_whole_are_clamped),
		cmocka_unit_test(what_has_no_price_is_no_zero),
		cmocka_unit_test(ceilings),
		cmocka_unit_test(estimates),
		cmocka_unit_test(steps_are_many_and_each_is_a_cliff),
		cmocka_unit_test(a_fast_mode_is_a_factor_or_has_rates),
		cmocka_unit_test(places_are_factors_on_tokens),
		cmocka_unit_test(hours_are_cheaper_in_their_windows_only),
		cmocka_unit_test(holds_near_an_edge_are_dear),
		cmocka_unit_test(pictures_sound_and_video_in_tokens),
		cmocka_unit_test(fees_by_unit),
		cmocka_unit_test(bounds_without_a_price_say_which),
		cmocka_unit_test(names_say_what_was_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
