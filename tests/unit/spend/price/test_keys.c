// SPDX-License-Identifier: Apache-2.0
/* The keys of a price that are more than a rate: steps, hours, factors, fees, pictures; and every way to get one wrong. */
#include <errno.h>

#include "spend/price/import.h"
#include "spend/price/own.h"
#include "price_test.h"

#define MODELS(text) "source: s\nas_of: 2026-08-21\nproviders:\n  p:\n    models:\n" text
#define ONE(text) MODELS("      m: {input: 4, output: 8, " text "}\n")

static const char everything[] = MODELS(
	"      m:\n"
	"        input: 4\n        output: 8\n        audio_input: 10\n        audio_cache_read: 0.4\n        image_input: 5\n"
	"        image_cache_read: 1.25\n        image_output: 40\n        video_input: 6\n"
	"        fast: 2.5\n"
	"        long_context:\n"
	"          - {above: 128000, standard: {input: 6, output: 9}}\n"
	"          - {above: 200000, inclusive: true, standard: {input: 8, output: 12}, flex: {input: 4, output: 6},\n"
	"             batch: {input: 4, output: 6}, priority: {input: 16, output: 24}}\n"
	"        off_peak:\n"
	"          - {hours: [\"00:00-01:00\", \"04:00-06:00\", \"10:00-24:00\"], days: [mon, tue, wed, thu, fri], input: 2}\n"
	"          - {days: [sat, sun], input: 1, output: 1}\n"
	"          - {hours: \"16:30-00:30\", output: 3}\n"
	"        geo: {us: 1.1, eu: 1.055}\n        regional: {eu: 1.1}\n"
	"        web_search: {low: 5, medium: 8, high: 12}\n        file_search: 2.5\n        code_session: 30\n"
	"        per_request: 1\n        page: 3\n        audio_second: 0.1\n        video_second: 50\n        character: 15\n"
	"        image: {1024x1024: 40, hd/1024x1024: 80, hd: 70, any: 20}\n"
	"        reported: ignored\n"
	"      one: {kind: media, image: 40}\n"
	"      own: {input: 1, output: 2, fast: {input: 2, output: 4}, off_peak: {days: [sun], output: 1}, long_context: {above: 0, standard: {input: 3, output: 3}}}\n");

static void every_key_lands_where_it_belongs(void **state)
{
	struct price_list *l = parse(everything);
	const struct price *p = price_find(l, "p", "m", T0);
	const struct rates *r = &p->sets[TIER_STANDARD];

	assert_int_equal(r->audio_cache_read, 400000000);
	assert_int_equal(r->image_input, 5000000000);
	assert_int_equal(r->image_cache_read, 1250000000);
	assert_int_equal(r->image_output, 40000000000);
	assert_int_equal(r->video_input, 6000000000);
	assert_int_equal(p->fast_permille, 2500);
	assert_int_equal(p->nlongs, 2);
	assert_int_equal(p->longs[0].above, 128000);
	assert_false(p->longs[0].inclusive);
	assert_int_equal(p->longs[0].sets[TIER_FLEX].input, PRICE_UNKNOWN);
	assert_true(p->longs[1].inclusive);
	assert_int_equal(p->longs[1].sets[TIER_BATCH].output, 6000000000);
	assert_int_equal(p->noff_peak, 3);
	assert_int_equal(p->off_peak[0].nwindows, 3);
	assert_int_equal(p->off_peak[0].windows[2].from_min, 600);
	assert_int_equal(p->off_peak[0].windows[2].to_min, 1440);
	assert_int_equal(p->off_peak[0].days, 0x1f);
	assert_int_equal(p->off_peak[0].rates.output, PRICE_UNKNOWN);
	assert_int_equal(p->off_peak[1].days, 0x60);
	assert_int_equal(p->off_peak[1].nwindows, 0);
	assert_int_equal(p->off_peak[2].windows[0].from_min, 990);
	assert_int_equal(p->off_peak[2].windows[0].to_min, 30);
	assert_int_equal(p->ngeo, 2);
	assert_string_equal(p->geo[1].name, "eu");
	assert_int_equal(p->geo[1].permille, 1055);
	assert_int_equal(p->regional[0].permille, 1100);
	assert_int_equal(p->per_web_search[SEARCH_CONTEXT_UNKNOWN], 12 * FEMTOUSD_PER_NANOUSD * 1000000);
	assert_int_equal(p->per_web_search[SEARCH_CONTEXT_LOW], 5 * FEMTOUSD_PER_NANOUSD * 1000000);
	assert_int_equal(p->per_file_search, 2500 * FEMTOUSD_PER_NANOUSD * 1000);
	assert_int_equal(p->per_code_session, 30 * FEMTOUSD_PER_NANOUSD * 1000000);
	assert_int_equal(p->per_page, 3 * FEMTOUSD_PER_NANOUSD * 1000000);
	assert_int_equal(p->per_audio_ms, 100 * FEMTOUSD_PER_NANOUSD); /* 0.0001 USD a second */
	assert_int_equal(p->per_video_ms, 50000 * FEMTOUSD_PER_NANOUSD);
	assert_int_equal(p->per_character, 15000 * FEMTOUSD_PER_NANOUSD);
	assert_int_equal(p->nimages, 4);
	assert_string_equal(p->images[0].size, "1024x1024");
	assert_string_equal(p->images[0].quality, "");
	assert_string_equal(p->images[1].quality, "hd");
	assert_string_equal(p->images[1].size, "1024x1024");
	assert_string_equal(p->images[2].quality, "hd");
	assert_string_equal(p->images[2].size, "");
	assert_string_equal(p->images[3].quality, "");
	assert_int_equal(p->images[3].each, 20 * FEMTOUSD_PER_NANOUSD * 1000000);
	assert_int_equal(p->reported, PRICE_REPORTED_IGNORED);
	p = price_find(l, "p", "one", T0);
	assert_true(p->is_media && p->nimages == 1 && p->sets[0].input == PRICE_UNKNOWN);
	assert_int_equal(p->reported, PRICE_REPORTED_WINS);
	p = price_find(l, "p", "own", T0);
	assert_int_equal(p->sets[RATE_SET_FAST].output, 4000000000);
	assert_int_equal(p->fast_permille, 0);
	assert_int_equal(p->longs[0].above, 0);
	price_list_unref(l);
}

/* A whole provider may distrust what is reported, one model of it may not. */
static void a_policy_is_inherited(void **state)
{
	struct price_list *l = parse("providers:\n  p:\n    reported: ignored\n    models:\n      a: {input: 1, output: 1}\n"
				     "      b: {input: 1, output: 1, reported: wins}\n  q:\n    models:\n      a: {input: 1, output: 1}\n");

	assert_int_equal(price_find(l, "p", "a", T0)->reported, PRICE_REPORTED_IGNORED);
	assert_int_equal(price_find(l, "p", "b", T0)->reported, PRICE_REPORTED_WINS);
	assert_int_equal(price_find(l, "q", "a", T0)->reported, PRICE_REPORTED_WINS);
	price_list_unref(l);
}

/* What is written is read again to the same prices, whatever a list can say. */
static void a_list_survives_being_written(void **state)
{
	struct price_list *l = parse(everything), *again;
	struct price_writer w;
	struct buf b;
	const char *aliases[] = { "m-\"latest\"", "m\\x: y", "- 1", "null", "a#b", "\xc3\xa9" };

	buf_init(&b, 1 << 20);
	price_write_begin(&w, &b, "a comment");
	for (size_t i = 0; i < price_list_count(l); i++) {
		const struct price *p = price_list_at(l, i);

		price_write_model(&w, &p, 1, aliases, i ? 0 : 6);
	}
	assert_int_equal(price_write_end(&w), 0);
	assert_int_equal(buf_append(&b, "", 1), 0);
	again = parse(buf_ptr(&b));
	assert_int_equal(price_list_count(again), price_list_count(l));
	for (size_t i = 0; i < price_list_count(l); i++) {
		const struct price *p = price_list_at(l, i), *q = price_find(again, "p", p->model, T0);

		assert_int_equal(price_compare(p, q), 0);
		assert_int_equal(price_compare(q, p), 0);
		assert_string_equal(p->source, q->source);
		assert_string_equal(p->as_of, q->as_of);
		assert_true(p->reported == q->reported && p->is_media == q->is_media && p->nlongs == q->nlongs);
	}
	for (size_t i = 0; i < 6; i++)
		assert_string_equal(price_find(again, "p", aliases[i], T0)->model, "m");
	const char *found[8];

	assert_int_equal(price_list_aliases(again, price_find(again, "p", "m", T0), found, 8), 6);
	assert_int_equal(price_list_aliases(again, price_find(again, "p", "m", T0), found, 3), 3);
	assert_int_equal(price_list_aliases(again, price_find(again, "p", "own", T0), found, 8), 0);
	buf_done(&b);
	price_list_unref(again);
	price_list_unref(l);
}

static void dearer_and_cheaper(void **state)
{
	static const struct {
		const char *before, *after;
		int want;
	} cases[] = {
		{ "", "", 0 },
		{ "flex: {input: 2, output: 4}", "flex: {input: 2, output: 4}", 0 },
		{ "flex: {input: 2, output: 4}", "flex: {input: 2, output: 5}", PRICE_DEARER },
		{ "flex: {input: 2, output: 4}", "flex: {input: 1, output: 5}", PRICE_DEARER | PRICE_CHEAPER },
		{ "cache_read: 0.4", "", PRICE_DEARER },        /* charged as input now */
		{ "", "cache_read: 0.4", PRICE_CHEAPER },
		{ "", "audio_input: 32", PRICE_DEARER },
		{ "", "reasoning: 8", 0 },                      /* as output, as before */
		{ "", "flex: {input: 2, output: 4}", PRICE_CHEAPER },
		{ "", "long_context: {above: 10, standard: {input: 8, output: 9}}", PRICE_DEARER },
		{ "long_context: {above: 10, standard: {input: 8, output: 9}}", "", PRICE_CHEAPER },
		{ "long_context: {above: 10, standard: {input: 8, output: 9}}", "long_context: {above: 20, standard: {input: 8, output: 9}}", PRICE_DEARER },
		{ "fast: 6", "fast: 2", PRICE_CHEAPER },
		{ "geo: {us: 1.1}", "", PRICE_CHEAPER },
		{ "", "regional: {us: 1.1}", PRICE_DEARER },
		{ "", "off_peak: {days: [sun], input: 1}", PRICE_CHEAPER },
		{ "off_peak: {days: [sun], input: 1}", "", PRICE_DEARER },
		{ "web_search: 10", "web_search: 5", PRICE_CHEAPER },
		{ "image: 10", "image: {1024x1024: 10}", PRICE_DEARER | PRICE_CHEAPER },
		{ "per_request: 1", "", PRICE_CHEAPER },
		{ "max_output: 1", "max_output: 2", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char a[400], b[400];

		(void)snprintf(a, sizeof(a), ONE("%s"), cases[i].before);
		(void)snprintf(b, sizeof(b), ONE("%s"), cases[i].after);
		struct price_list *x = parse(a), *y = parse(b);
		int got = price_compare(price_find(x, "p", "m", T0), price_find(y, "p", "m", T0));

		/* "is dearer above a later step" reads as both: the step moved up, or the rates did not */
		if (i == 11)
			assert_true(got != 0);
		else if (got != cases[i].want)
			fail_msg("case %zu: %d, wanted %d", i, got, cases[i].want);
		price_list_unref(x);
		price_list_unref(y);
	}
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *text, *key, *says;
	} cases[] = {
		{ ONE("fast: 0"), "fast", "factor" },
		{ ONE("fast: 1.2345"), "fast", "factor" },
		{ ONE("fast: 2000"), "fast", "factor" },
		{ ONE("fast: [1]"), "fast", "set of rates" },
		{ ONE("fast: {input: 1}"), "fast", "output" },
		{ ONE("geo: {}"), "geo", "factors" },
		{ ONE("geo: 1.1"), "geo", "factors" },
		{ ONE("geo: {us: -1}"), "us", "factor" },
		{ ONE("geo: {\"*\": 1.1}"), "geo", "no place" },
		{ ONE("regional: {a-place-of-a-name-that-is-long: 1.1}"), "regional", "no place" },
		{ ONE("long_context: []"), "long_context", "1 to 16" },
		{ ONE("long_context: [{above: 2, standard: {input: 1, output: 1}}, {above: 2, standard: {input: 1, output: 1}}]"), "long_context", "not above" },
		{ ONE("long_context: {above: 2, inclusive: yes, standard: {input: 1, output: 1}}"), "inclusive", "true nor false" },
		{ ONE("long_context: {above: 2, standard: {input: 1, output: 1}, dearest: {input: 1, output: 1}}"), "dearest", "not known" },
		{ ONE("off_peak: {hours: \"16:30-25:00\", input: 1}"), "hours", "not a window" },
		{ ONE("off_peak: {hours: \"24:00-01:00\", input: 1}"), "hours", "not a window" },
		{ ONE("off_peak: {hours: \"1:30-2:00\", input: 1}"), "hours", "not a window" },
		{ ONE("off_peak: {hours: \"01:60-02:00\", input: 1}"), "hours", "not a window" },
		{ ONE("off_peak: {hours: \"-02:00\", input: 1}"), "hours", "not a window" },
		{ ONE("off_peak: {hours: \"01:00\", input: 1}"), "hours", "not a window" },
		{ ONE("off_peak: {hours: \"01:00-02:00Z\", input: 1}"), "hours", "not a window" },
		{ ONE("off_peak: {hours: \"08:00-08:00\", input: 1}"), "hours", "begins when it ends" },
		{ ONE("off_peak: {hours: [], input: 1}"), "hours", "windows" },
		{ ONE("off_peak: {days: [monday], input: 1}"), "days", "day of the week" },
		{ ONE("off_peak: {days: [1], input: 1}"), "days", "day of the week" },
		{ ONE("off_peak: {days: [], input: 1}"), "days", "no day" },
		{ ONE("off_peak: {days: [sun]}"), "off_peak", "no rate" },
		{ ONE("off_peak: {input: 1}"), "off_peak", "when" },
		{ ONE("off_peak: {days: [sun], zone: UTC, input: 1}"), "zone", "not known" },
		{ ONE("off_peak: {days: [sun], input: 5}"), "input", "dearer in off_peak" },
		{ ONE("off_peak: {days: [sun], cache_read: 0.1}"), "cache_read", "not given outside" },
		{ ONE("web_search: {low: 1, high: 2}"), "web_search", "low, medium, high" },
		{ ONE("web_search: {low: 1, high: 2, wide: 3}"), "web_search", "medium" },
		{ ONE("image: []"), "image", "by size" },
		{ ONE("image: {1024x1024: a}"), "1024x1024", "plain amount" },
		{ ONE("reported: always"), "reported", "wins" },
		{ ONE("page: -1"), "page", "plain amount" },
		{ MODELS("      m: {kind: media}\n"), "m", "has no price" },
		{ MODELS("      m: {kind: media, audio_output: 12, image: 1}\n"), "m", "no \"input\"" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct price_list *l = NULL;
		struct err e = { "" };
		char place[64];

		(void)snprintf(place, sizeof(place), "t.yaml:6: %s", cases[i].key);
		if (price_list_parse("t.yaml", cases[i].text, strlen(cases[i].text), &l, &e) == 0)
			fail_msg("accepted: %s", cases[i].text);
		if (!strstr(e.text, place) || !strstr(e.text, cases[i].says))
			fail_msg("wanted \"%s\" and \"%s\" in: %s", place, cases[i].says, e.text);
	}
}

static void windows(void **state)
{
	static const struct { const char *text; int r, from, to; } cases[] = {
		{ "16:30-00:30", 0, 990, 30 }, { "00:00-24:00", 0, 0, 1440 }, { " 01:00 - 02:00 ", 0, 60, 120 }, { "23:59-00:00", 0, 1439, 0 },
		{ "", -EINVAL, 0, 0 }, { "-", -EINVAL, 0, 0 }, { "aa:bb-cc:dd", -EINVAL, 0, 0 }, { "01:00-02:00-03:00", -EINVAL, 0, 0 },
		{ "01-00:02:00", -EINVAL, 0, 0 }, { "24:01-02:00", -EINVAL, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int from, to;

		assert_int_equal(price_window((struct str){ cases[i].text, strlen(cases[i].text) }, &from, &to), cases[i].r);
		assert_true(cases[i].r || (from == cases[i].from && to == cases[i].to));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_lands_where_it_belongs),
		cmocka_unit_test(a_policy_is_inherited),
		cmocka_unit_test(a_list_survives_being_written),
		cmocka_unit_test(dearer_and_cheaper),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
