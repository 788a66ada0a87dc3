// SPDX-License-Identifier: Apache-2.0
/* Costs: tables of exact figures, and properties over random prices: a ceiling is above every cost that it allows. */
#include <errno.h>

#include "spend/cost.h"
#include "spend_test.h"

#define UNKNOWN_RATES \
	{ PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN }
#define PER_MILLION(usd_times_1000) ((usd_times_1000)*INT64_C(1000000))

static struct price price_of(int64_t in, int64_t out)
{
	struct price p = {
		.provider = "p", .model = "m", .source = "s", .as_of = "d",
		.standard = UNKNOWN_RATES, .flex = UNKNOWN_RATES, .priority = UNKNOWN_RATES, .batch = UNKNOWN_RATES,
		.long_standard = UNKNOWN_RATES, .long_flex = UNKNOWN_RATES, .long_priority = UNKNOWN_RATES,
		.per_web_search = PRICE_UNKNOWN, .max_input = -1, .max_output = -1,
	};

	p.standard.input = PER_MILLION(in);
	p.standard.output = PER_MILLION(out);
	return p;
}

static nanousd cost(const struct price *p, struct usage u, enum tier tier, int pct)
{
	nanousd n = -1;
	bool clamped;

	assert_int_equal(cost_of(p, &u, tier, pct, &n, &clamped), 0);
	return n;
}

/* 1 USD per million = 1000 nano-dollars per token. */
static void figures_are_exact(void **state)
{
	struct price p = price_of(1250, 10000); /* 1.25 and 10 USD */

	p.standard.cache_read = PER_MILLION(125);
	p.standard.cache_write_5m = PER_MILLION(1500);
	p.standard.audio_input = PER_MILLION(32000);
	p.standard.reasoning = PER_MILLION(12000);
	p.per_web_search = 10 * FEMTOUSD_PER_NANOUSD * 1000000;
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

	p.standard.input = 1; /* 1e-15 USD */
	p.standard.output = 1;
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

	p.per_web_search = 10 * FEMTOUSD_PER_NANOUSD * 1000000;
	p.per_request = 5 * FEMTOUSD_PER_NANOUSD;
	assert_int_equal(cost(&p, (struct usage){ .input = 1000, .web_searches = 1 }, TIER_STANDARD, 110), 1100000 + 10000000 + 5);
	assert_int_equal(cost(&p, (struct usage){ .input = 1000 }, TIER_STANDARD, 0), 1000000 + 5); /* none */
}

static void long_context_is_a_cliff(void **state)
{
	struct price p = price_of(1000, 2000);

	p.standard.cache_read = PER_MILLION(100);
	p.long_threshold = 200000;
	p.long_standard.input = PER_MILLION(2000);
	p.long_standard.output = PER_MILLION(3000);
	p.long_standard.cache_read = PER_MILLION(200);
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

	p.flex.input = PER_MILLION(500);
	p.flex.output = PER_MILLION(1000);
	assert_int_equal(cost(&p, u, TIER_FLEX, 100), 1500000);
	assert_int_equal(cost(&p, u, TIER_PRIORITY, 100), 3000000); /* not sold: the dearest known */
	assert_int_equal(cost(&p, u, TIER_UNKNOWN, 100), 3000000);
	p.priority.input = PER_MILLION(2000);
	p.priority.output = PER_MILLION(1500); /* dearest class by class */
	assert_int_equal(cost(&p, u, TIER_PRIORITY, 100), 3500000);
	assert_int_equal(cost(&p, u, TIER_UNKNOWN, 100), 4000000);
	assert_int_equal(cost(&p, u, TIER_BATCH, 100), 4000000);
	/* flex has no long-context rates of its own: the dearest there is */
	p.long_threshold = 999;
	p.long_standard.input = PER_MILLION(3000);
	p.long_standard.output = PER_MILLION(2500);
	assert_int_equal(cost(&p, u, TIER_FLEX, 100), 5500000);
	assert_int_equal(cost(&p, u, TIER_STANDARD, 100), 5500000);
	p.long_flex.input = PER_MILLION(700);
	p.long_flex.output = PER_MILLION(700);
	assert_int_equal(cost(&p, u, TIER_FLEX, 100), 1400000);
	assert_int_equal(cost(&p, u, TIER_UNKNOWN, 100), 5500000);
}

static void parts_larger_than_their_whole_are_clamped(void **state)
{
	struct price p = price_of(1000, 2000);
	nanousd n;
	bool clamped;

	p.standard.cache_read = PER_MILLION(100);
	p.standard.cache_write_5m = PER_MILLION(1250);
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
		assert_int_equal(cost_of(&p, &cases[i].u, TIER_STANDARD, 100, &n, &clamped), 0);
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

	assert_int_equal(cost_of(&p, &u, TIER_STANDARD, 100, &n, &clamped), -ENODATA);
	p.standard.output = PRICE_UNKNOWN;
	u = (struct usage){ .input = 1, .output = 1 };
	assert_int_equal(cost_of(&p, &u, TIER_STANDARD, 100, &n, &clamped), -ENODATA);
	u = (struct usage){ .input = USAGE_TOKENS_MAX + 1 };
	assert_int_equal(cost_of(&p, &u, TIER_STANDARD, 100, &n, &clamped), -EOVERFLOW);
	u = (struct usage){ .input = USAGE_TOKENS_MAX };
	p.standard.input = INT64_C(1000000000000000); /* 1 USD a token: 1e9 USD fit, 10 times as much do not */
	assert_int_equal(cost_of(&p, &u, TIER_STANDARD, 100, &n, &clamped), 0);
	assert_int_equal(n, INT64_C(1000000000) * NANOUSD_PER_USD);
	assert_int_equal(cost_of(&p, &u, TIER_STANDARD, 1000, &n, &clamped), -EOVERFLOW);
}

static void ceilings(void **state)
{
	struct price p = price_of(1000, 2000);
	nanousd n;
	struct err e = { "" };

	p.max_input = 1000;
	p.max_output = 100;
	p.standard.cache_write_5m = PER_MILLION(1250);
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
		{ { .input = 10, .output = 5, .choices = 1, .multiplier_pct = 110 }, 22000 },
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
	p.standard.output = PRICE_UNKNOWN;
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

	p.standard.cache_read = PER_MILLION(100);
	assert_int_equal(cost_estimate(&p, &b, &exact, 6, false, hold, &n), 0);
	assert_int_equal(n, 30000 + 1000 + 4000);
	const struct usage none = { 0 };

	assert_int_equal(cost_estimate(&p, &b, &none, 0, false, hold, &n), 0);
	assert_int_equal(n, 1); /* never zero */
	assert_int_equal(cost_estimate(&p, &b, NULL, INT64_MAX, false, hold, &n), 0);
	assert_int_equal(n, hold);
}

/* ---- properties */

static uint64_t seed;
static int64_t dice(int64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (int64_t)(seed % (uint64_t)n);
}

static femtousd some_rate(void)
{
	return dice(4) == 0 ? PRICE_UNKNOWN : dice(50000000000);
}

static struct rates some_rates(bool sold)
{
	struct rates r = UNKNOWN_RATES;

	if (sold)
		r = (struct rates){ dice(20000000000), some_rate(), some_rate(), some_rate(), dice(90000000000), some_rate(), some_rate(),
				    some_rate() };
	return r;
}

/* Whatever the answer reports within the bounds that were declared costs at most the ceiling; an estimate at most the hold. */
static void a_ceiling_is_above_every_cost(void **state)
{
	seed = 20260819;
	print_message("seed %llu\n", (unsigned long long)seed);
	for (int round = 0; round < 200000; round++) {
		struct price p = price_of(0, 0);

		p.standard = some_rates(true);
		p.flex = some_rates(dice(2));
		p.priority = some_rates(dice(2));
		p.batch = some_rates(dice(2));
		p.long_threshold = dice(2) ? 500 : 0;
		p.long_standard = some_rates(true);
		p.long_flex = some_rates(dice(2));
		p.long_priority = some_rates(dice(2));
		p.per_web_search = dice(1000000000000);
		struct cost_bounds b = { .input = dice(1000), .output = dice(1000), .choices = 1, .cache_write = dice(2), .audio = dice(2),
					 .tier = (enum tier)dice(TIER_COUNT), .web_searches = dice(4),
					 .multiplier_pct = (int)(100 + 10 * dice(2)) };
		b.cache_write_1h = b.cache_write && dice(2);
		struct usage u = { .input = dice(b.input + 1), .output = dice(b.output + 1), .web_searches = dice(b.web_searches + 1) };

		u.cache_read = dice(u.input + 1);
		u.cache_write_5m = b.cache_write ? dice(u.input - u.cache_read + 1) : 0;
		u.cache_write_1h = b.cache_write_1h ? dice(u.input - u.cache_read - u.cache_write_5m + 1) : 0;
		u.reasoning = dice(u.output + 1);
		if (b.audio) {
			u.audio_input = dice(u.input - u.cache_read - u.cache_write_5m - u.cache_write_1h + 1);
			u.audio_output = dice(u.output - u.reasoning + 1);
		}
		/* tier as declared; UNKNOWN allows any that is sold */
		enum tier tier = b.tier == TIER_UNKNOWN ? (enum tier)dice(TIER_COUNT) : b.tier;
		nanousd ceiling, paid, guess;
		struct err e = { "" };
		bool clamped;

		if (cost_ceiling(&p, &b, &ceiling, &e) < 0)
			fail_msg("%s", e.text);
		assert_int_equal(cost_of(&p, &u, tier, b.multiplier_pct, &paid, &clamped), 0);
		if (paid > ceiling)
			fail_msg("round %d: cost %lld above the ceiling %lld (tier %d of %d)", round, (long long)paid, (long long)ceiling, tier,
				 b.tier);
		assert_false(clamped);
		assert_int_equal(cost_estimate(&p, &b, dice(2) ? &u : NULL, dice(5000), dice(2), ceiling, &guess), 0);
		assert_true(guess <= ceiling && (guess > 0 || ceiling == 0));
	}
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
		cmocka_unit_test(a_ceiling_is_above_every_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
