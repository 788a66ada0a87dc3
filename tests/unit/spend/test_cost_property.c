// SPDX-License-Identifier: Apache-2.0
/*
 * The promise that budgets rest on: whatever an answer reports within the bounds that were declared, at the terms that were declared,
 * costs at most the ceiling. Random prices with everything a list can say, random usages, random terms; the seed is printed.
 */
#include <errno.h>
#include <stdlib.h>

#include "spend/cost.h"
#include "spend_test.h"

static uint64_t seed;
static int64_t dice(int64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (int64_t)(seed % (uint64_t)n);
}

static femtousd some_rate(void) { return dice(3) == 0 ? PRICE_UNKNOWN : dice(50000000000); }

static void some_rates(struct rates *r, bool sold)
{
	memset(r, 0xff, sizeof(*r));
	for (size_t i = 0; sold && price_rate_rows[i].key; i++)
		*price_rate(r, i) = some_rate();
	if (sold) {
		r->input = dice(20000000000);
		r->output = dice(90000000000);
	}
}

static void some_sets(struct rates *sets)
{
	some_rates(&sets[TIER_STANDARD], true);
	for (unsigned i = TIER_STANDARD + 1; i < RATE_SETS; i++)
		some_rates(&sets[i], dice(2));
}

static const struct price_factor factors[] = { { "us", 1100 }, { "eu", 1037 }, { "moon", 400 } };
static const struct price_image images[] = {
	{ "", "", 3000000 }, { "hd", "", 9000000 }, { "", "1x1", 100 }, { "hd", "1x1", 4000000 }, { "low", "2x2", 5000001 },
};

struct around {
	struct price_long longs[3];
	struct price_off_peak off_peak[2];
};

static void some_off_peak(struct price_off_peak *o)
{
	memset(o, 0, sizeof(*o));
	o->nwindows = (unsigned)dice(4);
	for (unsigned i = 0; i < o->nwindows; i++) {
		o->windows[i].from_min = (int16_t)dice(1440);
		o->windows[i].to_min = (int16_t)dice(1441);
	}
	o->days = (uint8_t)dice(128);
	some_rates(&o->rates, true);
	/* a rate may be left out, also the input */
	if (dice(2))
		o->rates.input = PRICE_UNKNOWN;
}

static void some_price(struct price *p, struct around *a)
{
	price_init(p);
	p->provider = "p";
	p->model = "m";
	p->is_media = dice(8) == 0;
	if (!p->is_media || dice(2))
		some_sets(p->sets);
	p->nlongs = (size_t)dice(4);
	p->longs = a->longs;
	for (size_t i = 0; i < p->nlongs; i++) {
		a->longs[i].above = (int64_t)i * 300 + dice(300);
		a->longs[i].inclusive = dice(2);
		some_sets(a->longs[i].sets);
	}
	p->noff_peak = (size_t)dice(3);
	p->off_peak = a->off_peak;
	for (size_t i = 0; i < p->noff_peak; i++)
		some_off_peak(&a->off_peak[i]);
	p->fast_permille = dice(3) ? (int32_t)dice(8000) + 1 : 0;
	p->geo = p->regional = factors;
	p->ngeo = (size_t)dice(4);
	p->nregional = (size_t)dice(4);
	p->per_request = dice(2) ? dice(1000000000000) : 0;
	for (unsigned i = 1; i < SEARCH_CONTEXT_COUNT; i++) {
		p->per_web_search[i] = dice(1000000000000);
		if (p->per_web_search[i] > p->per_web_search[0])
			p->per_web_search[0] = p->per_web_search[i];
	}
	p->per_file_search = some_rate();
	p->per_code_session = some_rate();
	p->per_audio_ms = some_rate();
	p->per_video_ms = some_rate();
	p->per_character = some_rate();
	p->per_page = some_rate();
	p->images = images;
	p->nimages = (size_t)dice(6);
	p->max_input = dice(4) ? -1 : dice(2000);
	p->max_output = dice(2) ? -1 : dice(2000);
}

static const char *some_place(void)
{
	static const char *const places[] = { NULL, "", "us", "eu", "moon", "elsewhere", COST_ANYWHERE };

	return places[dice(7)];
}

static struct cost_bounds some_bounds(void)
{
	static const char *const qualities[] = { NULL, "", "hd", "low", "odd" }, *const sizes[] = { NULL, "", "1x1", "2x2", "9x9" };
	struct cost_bounds b = {
		.input = dice(1000), .passes = dice(4), .output = dice(8) ? dice(1000) : -1, .choices = 1 + dice(3), .cache_write = dice(2),
		.audio = dice(2), .web_searches = dice(4), .file_searches = dice(3), .code_sessions = dice(3), .images = dice(3),
		.audio_ms = dice(2) * dice(10000), .video_ms = dice(2) * dice(10000), .characters = dice(2) * dice(500), .pages = dice(2) * dice(9),
		.input_is_model_max = dice(10) == 0,
		.terms = { .tier = (enum tier)dice(TIER_COUNT), .fast = dice(3) == 0, .geo = some_place(), .region = some_place(),
			   .multiplier_pct = (int)(dice(3) * 55), .at_s = dice(5) ? 1795392000 + dice(14 * 86400) : 0,
			   .search_context = (enum search_context)dice(SEARCH_CONTEXT_COUNT), .image_quality = qualities[dice(5)],
			   .image_size = sizes[dice(5)] },
	};

	b.cache_write_1h = b.cache_write && dice(2);
	return b;
}

static int64_t part(int64_t whole) { return dice(3) ? dice(whole + 1) : 0; }

static struct usage some_usage(const struct price *p, const struct cost_bounds *b)
{
	int64_t input = b->input_is_model_max ? p->max_input : b->input, output = b->output;
	struct usage u = { 0 };

	if (p->max_input >= 0 && input > p->max_input)
		input = p->max_input;
	input *= b->passes > 1 ? b->passes : 1;
	if (output < 0)
		output = p->max_output * b->choices;
	/* Media: tokens are not what is bounded. */
	u.input = input > 0 ? dice(input + 1) : 0;
	u.output = output > 0 ? dice(output + 1) : 0;
	u.cache_write_1h = b->cache_write_1h ? part(u.input) : 0;
	u.cache_write_5m = b->cache_write ? part(u.input) : 0;
	u.cache_read = part(u.input);
	u.image_input = part(u.input);
	u.image_cache_read = part(u.image_input);
	u.video_input = part(u.input);
	u.reasoning = part(u.output);
	u.image_output = part(u.output);
	if (b->audio) {
		u.audio_input = part(u.input);
		u.audio_cache_read = part(u.audio_input);
		u.audio_output = part(u.output);
	}
	u.web_searches = part(b->web_searches);
	u.file_searches = part(b->file_searches);
	u.code_sessions = part(b->code_sessions);
	u.images = part(b->images);
	u.audio_ms = part(b->audio_ms);
	u.video_ms = part(b->video_ms);
	u.characters = part(b->characters);
	u.pages = part(b->pages);
	return u;
}

/* What an answer may say within what was asked: any tier for an unknown one, any listed place for an unknown one. */
static struct cost_terms as_answered(const struct price *p, const struct cost_terms *asked)
{
	struct cost_terms t = *asked;

	if (t.tier == TIER_UNKNOWN)
		t.tier = (enum tier)dice(TIER_COUNT);
	if (t.geo && !strcmp(t.geo, COST_ANYWHERE))
		t.geo = p->ngeo && dice(2) ? p->geo[dice((int64_t)p->ngeo)].name : "";
	if (t.region && !strcmp(t.region, COST_ANYWHERE))
		t.region = p->nregional && dice(2) ? p->regional[dice((int64_t)p->nregional)].name : "";
	if (t.search_context == SEARCH_CONTEXT_UNKNOWN)
		t.search_context = (enum search_context)dice(SEARCH_CONTEXT_COUNT);
	return t;
}

static long rounds(void)
{
	const char *n = getenv("COST_ROUNDS");

	return n ? strtol(n, NULL, 10) : 300000;
}

static void a_ceiling_is_above_every_cost(void **state)
{
	const char *from = getenv("COST_SEED");
	long bounded = 0, told = 0;

	seed = from ? strtoull(from, NULL, 10) : 20260819;
	print_message("seed %llu\n", (unsigned long long)seed);
	for (long round = 0; round < rounds(); round++) {
		struct price p;
		struct around around;
		struct err e = { "" };
		nanousd ceiling, paid, guess;
		bool clamped;

		some_price(&p, &around);
		struct cost_bounds b = some_bounds();
		int r = cost_ceiling(&p, &b, &ceiling, &e);

		if (r < 0) {
			/* No bound, no call; and a text that says why. */
			assert_true(r == -ERANGE && e.text[0]);
			continue;
		}
		bounded++;
		struct usage u = some_usage(&p, &b);
		struct cost_terms t = as_answered(&p, &b.terms);

		if (cost_of(&p, &u, &t, &paid, &clamped) == 0) {
			told++;
			if (paid > ceiling)
				fail_msg("round %ld: cost %lld above the ceiling %lld", round, (long long)paid, (long long)ceiling);
		}
		/* A tighter bound is never dearer. */
		struct cost_bounds less = b;
		nanousd lower;

		less.input = dice(b.input + 1);
		less.output = b.output >= 0 ? dice(b.output + 1) : -1;
		assert_int_equal(cost_ceiling(&p, &less, &lower, NULL), 0);
		assert_true(lower <= ceiling);
		if (cost_estimate(&p, &b, dice(2) ? &u : NULL, dice(5000), dice(2), ceiling, &guess) == 0)
			assert_true(guess <= ceiling && (guess > 0 || ceiling == 0));
	}
	/* The dice must not have talked the test out of its work. */
	print_message("%ld calls had a bound, %ld of them a cost\n", bounded, told);
	assert_true(bounded > rounds() / 10 && told > rounds() / 20);
}

/* More tokens of any kind, or a dearer kind, never cost less: what a budget sees cannot be gamed by adding. */
static void more_is_never_cheaper_below_the_next_step(void **state)
{
	seed = 77;
	for (int round = 0; round < 100000; round++) {
		struct price p;
		struct around around;
		struct usage u = { .input = dice(1000), .output = dice(1000), .web_searches = dice(3) };
		nanousd less, more;

		some_price(&p, &around);
		p.is_media = false;
		some_sets(p.sets);
		p.nlongs = 0;
		const struct cost_terms t = { .tier = (enum tier)dice(TIER_COUNT) };

		assert_int_equal(cost_of(&p, &u, &t, &less, NULL), 0);
		u.input += dice(10);
		u.output += dice(10);
		u.web_searches += dice(2);
		assert_int_equal(cost_of(&p, &u, &t, &more, NULL), 0);
		assert_true(more >= less);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ceiling_is_above_every_cost),
		cmocka_unit_test(more_is_never_cheaper_below_the_next_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
