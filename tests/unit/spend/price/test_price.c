// SPDX-License-Identifier: Apache-2.0
/* Price lists: exact numbers, names, dates, files over files, and every way to get one wrong. */
#include <errno.h>

#include "spend/price/price.h"
#include "price_test.h"

#define MODELS(text) "providers:\n  p:\n    models:\n" text

static void numbers_are_exact(void **state)
{
	static const struct {
		const char *text;
		femtousd want;
	} cases[] = {
		{ "1.25", 1250000000 }, { "0", 0 }, { "0.0", 0 }, { "0.000000001", 1 }, { "0.1", 100000000 }, { "0.3", 300000000 },
		{ "15", 15000000000 }, { "0.123456789", 123456789 }, { "2.50", 2500000000 }, { "1000000", 1000000000000000 },
		{ "0.1000000000000", 100000000 }, { "007.5", 7500000000 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[200];

		(void)snprintf(text, sizeof(text), MODELS("      m: {input: %s, output: %s}\n"), cases[i].text, cases[i].text);
		struct price_list *l = parse(text);
		const struct price *p = price_find(l, "p", "m", T0);

		assert_non_null(p);
		assert_int_equal(p->sets[TIER_STANDARD].input, cases[i].want);
		assert_int_equal(p->sets[TIER_STANDARD].output, cases[i].want);
		assert_int_equal(p->sets[TIER_STANDARD].cache_read, PRICE_UNKNOWN);
		assert_int_equal(p->sets[TIER_FLEX].input, PRICE_UNKNOWN);
		assert_int_equal(p->per_web_search[0], PRICE_UNKNOWN);
		assert_int_equal(p->per_request, 0);
		assert_int_equal(p->max_input, -1);
		price_list_unref(l);
	}
}

static void every_key_lands_where_it_belongs(void **state)
{
	struct price_list *l = parse("source: https://example.com/prices\nas_of: 2026-08-21\n" MODELS(
		"      m:\n"
		"        aliases: [m-latest, m-x]\n"
		"        source: https://example.com/m\n"
		"        as_of: 2026-09-02\n"
		"        input: 1\n        cache_read: 0.1\n        cache_write_5m: 1.25\n        cache_write_1h: 2\n"
		"        output: 10\n        reasoning: 11\n        audio_input: 12\n        audio_output: 13\n"
		"        flex: {input: 0.5, output: 5}\n        priority: {input: 2, output: 20, cache_read: 0.2}\n"
		"        batch: {input: 0.4, output: 4}\n"
		"        long_context:\n          above: 200000\n          standard: {input: 2, output: 15}\n"
		"          flex: {input: 1.5, output: 7}\n          priority: {input: 4, output: 30}\n"
		"        per_request: 5\n        web_search: 10\n        max_input: 272000\n        max_output: 128000\n"
		"      emb: {kind: embedding, input: 0.02}\n"));
	const struct price *p = price_find(l, "p", "m", T0);

	assert_string_equal(p->provider, "p");
	assert_string_equal(p->model, "m");
	assert_string_equal(p->source, "https://example.com/m");
	assert_string_equal(p->as_of, "2026-09-02");
	assert_int_equal(p->sets[TIER_STANDARD].cache_write_1h, 2000000000);
	assert_int_equal(p->sets[TIER_STANDARD].reasoning, 11000000000);
	assert_int_equal(p->sets[TIER_STANDARD].audio_input, 12000000000);
	assert_int_equal(p->sets[TIER_STANDARD].audio_output, 13000000000);
	assert_int_equal(p->sets[TIER_FLEX].output, 5000000000);
	assert_int_equal(p->sets[TIER_PRIORITY].cache_read, 200000000);
	assert_int_equal(p->sets[TIER_BATCH].input, 400000000);
	assert_int_equal(p->longs[0].above, 200000);
	assert_int_equal(p->longs[0].sets[TIER_STANDARD].output, 15000000000);
	assert_int_equal(p->longs[0].sets[TIER_FLEX].input, 1500000000);
	assert_int_equal(p->longs[0].sets[TIER_PRIORITY].output, 30000000000);
	assert_int_equal(p->per_request, 5 * FEMTOUSD_PER_NANOUSD * 1000000);
	assert_int_equal(p->per_web_search[0], 10 * FEMTOUSD_PER_NANOUSD * 1000000); /* 0.01 USD */
	assert_int_equal(p->max_input, 272000);
	assert_int_equal(p->max_output, 128000);
	assert_ptr_equal(price_find(l, "p", "m-latest", T0), p);
	assert_ptr_equal(price_find(l, "p", "m-x", T0), p);
	p = price_find(l, "p", "emb", T0);
	assert_int_equal(p->sets[TIER_STANDARD].output, PRICE_UNKNOWN);
	assert_string_equal(p->source, "https://example.com/prices");
	assert_int_equal(price_list_count(l), 2);
	assert_string_equal(price_list_at(l, 1)->model, "emb");
	assert_null(price_list_at(l, 2));
	price_list_unref(l);
}

static void names_are_found_and_nothing_else(void **state)
{
	struct price_list *l = parse(MODELS(
		"      gpt-x: {input: 1, output: 2, aliases: [gpt-x-chat]}\n"
		"      gpt-x-2024-05-13: {input: 5, output: 15}\n"
		"      claude-y: {input: 3, output: 4}\n"
		"      ft:gpt-x: {input: 7, output: 8}\n"
		"      vendor/gpt-z: {input: 9, output: 9}\n"));
	static const struct {
		const char *model;
		int64_t want; /* input, USD per million; 0 = unknown */
	} cases[] = {
		{ "gpt-x", 1 }, { "gpt-x-chat", 1 }, { "gpt-x-2024-05-13", 5 }, { "gpt-x-2026-01-31", 1 }, { "gpt-x-20260131", 1 },
		{ "gpt-x-chat-2026-01-31", 1 }, { "claude-y@20260131", 3 }, { "claude-y@default", 3 }, { "claude-y-20260131", 3 },
		{ "ft:gpt-x:org:name:id", 7 }, { "ft:gpt-x-2026-01-31:org::id", 7 }, { "ft:gpt-x", 7 }, { "vendor/gpt-z", 9 },
		{ "GPT-X", 0 }, { "gpt", 0 }, { "gpt-x-", 0 }, { "gpt-x-2026-13-01", 0 }, { "gpt-x-2026-02-30", 0 },
		{ "gpt-x-20261301", 0 }, { "gpt-x-0613", 0 }, { "gpt-x-mini", 0 }, { "ft:claude-y:org::id", 0 }, { "", 0 },
		{ "-2026-01-31", 0 }, { "@x", 0 }, { "gpt-z", 0 }, { "gpt-x\n", 0 }, { "gpt-x-2026-01-31-2026-01-31", 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct price *p = price_find(l, "p", cases[i].model, T0);

		if (p ? p->sets[TIER_STANDARD].input != cases[i].want * 1000000000 : cases[i].want != 0)
			fail_msg("\"%s\": %s", cases[i].model, p ? p->model : "unknown");
	}
	assert_null(price_find(l, "q", "gpt-x", T0));
	assert_null(price_find(l, "", "gpt-x", T0));
	char long_name[500];

	memset(long_name, 'a', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	assert_null(price_find(l, "p", long_name, T0));
	assert_null(price_find(l, long_name, "gpt-x", T0));
	price_list_unref(l);
}

static void prices_have_dates(void **state)
{
	struct price_list *l = parse(MODELS(
		"      m:\n        - {input: 2, output: 10, to: 2026-09-01}\n        - {input: 3, output: 15, from: 2026-09-01, to: 2027-01-01}\n"));
	const int64_t sep1 = 1788220800, jan1 = 1798761600;

	assert_int_equal(price_find(l, "p", "m", 0)->sets[TIER_STANDARD].input, 2000000000);
	assert_int_equal(price_find(l, "p", "m", sep1 - 1)->sets[TIER_STANDARD].input, 2000000000);
	assert_int_equal(price_find(l, "p", "m", sep1)->sets[TIER_STANDARD].input, 3000000000);
	assert_int_equal(price_find(l, "p", "m", jan1 - 1)->sets[TIER_STANDARD].input, 3000000000);
	assert_null(price_find(l, "p", "m", jan1));
	assert_null(price_find(l, "p", "m-2026-05-05", jan1));
	assert_int_equal(price_list_count(l), 2);
	price_list_unref(l);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void later_files_replace_entries(void **state)
{
	char *dir = scratch_new(), a[64], b[64];
	struct price_list *l;
	struct err e = { "" };

	(void)snprintf(a, sizeof(a), "%s/a.yaml", dir);
	(void)snprintf(b, sizeof(b), "%s/b.yaml", dir);
	write_file(a, MODELS("      m: {input: 1, output: 1, aliases: [m-1, m-2]}\n      n: {input: 2, output: 2}\n"));
	write_file(b, MODELS("      m: {input: 5, output: 5}\n      x: {input: 6, output: 6, aliases: [n, m-2]}\n"));
	const char *both[] = { a, b };

	if (price_list_load(both, 2, &l, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(price_find(l, "p", "m", T0)->sets[TIER_STANDARD].input, 5000000000);
	assert_int_equal(price_find(l, "p", "m-1", T0)->sets[TIER_STANDARD].input, 1000000000); /* that name was not replaced */
	assert_int_equal(price_find(l, "p", "m-2", T0)->sets[TIER_STANDARD].input, 6000000000);
	assert_int_equal(price_find(l, "p", "n", T0)->sets[TIER_STANDARD].input, 6000000000);
	assert_int_equal(price_list_count(l), 3); /* a's n has no name left */
	price_list_unref(l);
	write_file(b, MODELS("      m: {input: 5}\n"));
	assert_true(price_list_load(both, 2, &l, &e) < 0);
	assert_non_null(strstr(e.text, "b.yaml:4"));
	scratch_free(dir);
}

static void a_missing_file_is_an_error(void **state)
{
	const char *none[] = { "/nonexistent/prices.yaml" };
	struct price_list *l = NULL;
	struct err e = { "" };

	assert_true(price_list_load(none, 1, &l, &e) < 0);
	assert_non_null(strstr(e.text, "/nonexistent/prices.yaml"));
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *text, *place, *says;
	} cases[] = {
		{ MODELS("      m: {input: -1, output: 1}\n"), "t.yaml:4: input", "not a plain amount" },
		{ MODELS("      m: {input: +1, output: 1}\n"), "t.yaml:4: input", "not a plain amount" },
		{ MODELS("      m: {input: 1e-6, output: 1}\n"), "t.yaml:4: input", "exponent" },
		{ MODELS("      m: {input: NaN, output: 1}\n"), "t.yaml:4: input", "not a plain amount" },
		{ MODELS("      m: {input: .nan, output: 1}\n"), "t.yaml:4: input", "not a plain amount" },
		{ MODELS("      m: {input: inf, output: 1}\n"), "t.yaml:4: input", "not a plain amount" },
		{ MODELS("      m: {input: true, output: 1}\n"), "t.yaml:4: input", "not a plain amount" },
		{ MODELS("      m: {input: ~, output: 1}\n"), "t.yaml:4: input", "not a plain amount" },
		{ MODELS("      m: {input: \"\", output: 1}\n"), "t.yaml:4: input", "not a plain amount" },
		{ MODELS("      m: {input: 1., output: 1}\n"), "t.yaml:4: input", "not a plain amount" },
		{ MODELS("      m: {input: .5, output: 1}\n"), "t.yaml:4: input", "not a plain amount" },
		{ MODELS("      m: {input: 1.2.3, output: 1}\n"), "t.yaml:4: input", "not a plain amount" },
		{ MODELS("      m: {input: 0x10, output: 1}\n"), "t.yaml:4: input", "not a plain amount" },
		{ MODELS("      m: {input: 1USD, output: 1}\n"), "t.yaml:4: input", "not a plain amount" },
		{ MODELS("      m: {input: [1], output: 1}\n"), "t.yaml:4: input", "not a plain amount" },
		{ MODELS("      m: {input: 0.0000000001, output: 1}\n"), "t.yaml:4: input", "nine decimals" },
		{ MODELS("      m: {input: 0.000000000x, output: 1}\n"), "t.yaml:4: input", "not a plain amount" },
		{ MODELS("      m: {input: 1000001, output: 1}\n"), "t.yaml:4: input", "is the unit right" },
		{ MODELS("      m: {input: 99999999999999999999999, output: 1}\n"), "t.yaml:4: input", "not a plain amount" },
		{ MODELS("      m: {input: 1}\n"), "t.yaml:4: m", "no \"output\" price" },
		{ MODELS("      m: {output: 1}\n"), "t.yaml:4: m", "no \"input\" price" },
		{ MODELS("      m: {kind: embedding, input: 1, output: 1}\n"), "t.yaml:4: m", "kind embedding" },
		{ MODELS("      m: {kind: picture, input: 1, output: 1}\n"), "t.yaml:4: kind", "not a kind" },
		{ MODELS("      m: {input: 1, output: 1, outptu: 2}\n"), "t.yaml:4: outptu", "not known" },
		{ MODELS("      m: {input: 1, output: 1, flex: {input: 1}}\n"), "t.yaml:4: flex", "no \"output\" rate" },
		{ MODELS("      m: {input: 1, output: 1, flex: {output: 1}}\n"), "t.yaml:4: flex", "no \"input\" rate" },
		{ MODELS("      m: {input: 1, output: 1, flex: 1}\n"), "t.yaml:4: flex", "not a set of rates" },
		{ MODELS("      m: {input: 1, output: 1, flex: {input: 1, output: 1, web_search: 1}}\n"), "t.yaml:4: web_search",
		  "not a rate" },
		{ MODELS("      m: {input: 1, output: 1, long_context: {above: 10}}\n"), "t.yaml:4: long_context", "needs" },
		{ MODELS("      m: {input: 1, output: 1, long_context: {above: -1, standard: {input: 1, output: 1}}}\n"), "t.yaml:4: above",
		  "number of tokens" },
		{ MODELS("      m: {input: 1, output: 1, max_input: 1.5}\n"), "t.yaml:4: max_input", "number of tokens" },
		{ MODELS("      m: {input: 1, output: 1, max_output: 200k}\n"), "t.yaml:4: max_output", "number of tokens" },
		{ MODELS("      m: {input: 1, output: 1, as_of: yesterday}\n"), "t.yaml:4: as_of", "not a date" },
		{ MODELS("      m: {input: 1, output: 1, from: 2026-02-29}\n"), "t.yaml:4: from", "not a date" },
		{ MODELS("      m: {input: 1, output: 1, from: 2026-03-01, to: 2026-03-01}\n"), "t.yaml:4: m", "ends before" },
		{ MODELS("      m: {input: 1, output: 1}\n      n: {input: 1, output: 1, aliases: [m]}\n"), "t.yaml:5: aliases", "stands twice" },
		{ MODELS("      m: {input: 1, output: 1, aliases: [n]}\n      n: {input: 1, output: 1}\n"), "t.yaml:5: n", "stands twice" },
		{ MODELS("      m: {input: 1, output: 1}\n      m: {input: 2, output: 1}\n"), "t.yaml:5", "" },
		{ MODELS("      m: {input: 1, output: 1, aliases: n}\n"), "t.yaml:4: aliases", "not a list" },
		{ MODELS("      m:\n        - {input: 1, output: 1}\n        - {input: 2, output: 2, from: 2026-01-01}\n"), "t.yaml:6: m",
		  "at the same time" },
		{ MODELS("      m: []\n"), "t.yaml:4: m", "has no price" },
		{ MODELS("      m: 1.25\n"), "t.yaml:4: m", "is not a price" },
		{ "providers:\n  p: {}\n", "t.yaml:2: p", "has no \"models\"" },
		{ "providers:\n  p:\n    modells: {}\n", "t.yaml:3", "" },
		{ "price: {}\n", "t.yaml", "no \"providers\"" },
		{ "", "t.yaml", "no \"providers\"" },
		{ "[1, 2]\n", "t.yaml", "no \"providers\"" },
		{ "provider: {}\nproviders: {}\n", "t.yaml:1: provider", "not known here" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct price_list *l = NULL;
		struct err e = { "" };

		if (price_list_parse("t.yaml", cases[i].text, strlen(cases[i].text), &l, &e) == 0)
			fail_msg("accepted: %s", cases[i].text);
		if (!strstr(e.text, cases[i].place) || !strstr(e.text, cases[i].says))
			fail_msg("wanted \"%s\" and \"%s\" in: %s", cases[i].place, cases[i].says, e.text);
	}
}

/* Cut anywhere, a list is either an error or a smaller list; never a crash, never a price of zero that nobody wrote. */
static void a_cut_list_is_harmless(void **state)
{
	static const char text[] = MODELS("      m: {input: 12.5, output: 100.25, aliases: [a, b], flex: {input: 6.25, output: 50}}\n"
					  "      n:\n        - {input: 2, output: 10, to: 2026-09-01}\n");

	for (size_t n = 0; n < sizeof(text); n++) {
		struct price_list *l = NULL;
		struct err e = { "" };

		if (price_list_parse("t.yaml", text, n, &l, &e) < 0) {
			assert_true(e.text[0] != '\0');
			continue;
		}
		for (size_t i = 0; i < price_list_count(l); i++)
			assert_true(price_list_at(l, i)->sets[TIER_STANDARD].input > 0 && price_list_at(l, i)->sets[TIER_STANDARD].output > 0);
		price_list_unref(l);
	}
}

static void references_keep_a_list(void **state)
{
	struct price_list *l = parse(MODELS("      m: {input: 1, output: 1}\n"));
	const struct price *p = price_find(l, "p", "m", T0);

	assert_ptr_equal(price_list_ref(l), l);
	price_list_unref(l);
	assert_string_equal(p->model, "m");
	price_list_unref(l);
	price_list_unref(NULL);
}

/* The list that we ship: it loads, every price is plausible and says where it is from. */
static void the_shipped_list_is_sound(void **state)
{
	const char *paths[] = { "deploy/prices.yaml" };
	struct price_list *l;
	struct err e = { "" };

	if (access(paths[0], R_OK) != 0)
		skip();
	if (price_list_load(paths, 1, &l, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(price_list_count(l) > 100);
	for (size_t i = 0; i < price_list_count(l); i++) {
		const struct price *p = price_list_at(l, i);
		const struct rates *r = &p->sets[TIER_STANDARD];

		if (strlen(p->as_of) != 10 || strncmp(p->source, "http", 4) != 0)
			fail_msg("%s/%s: no source or date", p->provider, p->model);
		if (p->is_media && r->input == PRICE_UNKNOWN)
			continue; /* billed otherwise: the loader has seen to it */
		if (r->input <= 0 || r->output == 0)
			fail_msg("%s/%s: free of charge", p->provider, p->model);
		if (r->cache_read != PRICE_UNKNOWN && r->cache_read > r->input)
			fail_msg("%s/%s: reading the cache is dearer than input", p->provider, p->model);
		if (r->cache_write_5m != PRICE_UNKNOWN && r->cache_write_5m < r->input)
			fail_msg("%s/%s: writing the cache is cheaper than input", p->provider, p->model);
		if (p->sets[TIER_FLEX].input != PRICE_UNKNOWN && p->sets[TIER_FLEX].input > r->input)
			fail_msg("%s/%s: flex is dearer than standard", p->provider, p->model);
		if (p->sets[TIER_PRIORITY].input != PRICE_UNKNOWN && p->sets[TIER_PRIORITY].input < r->input)
			fail_msg("%s/%s: priority is cheaper than standard", p->provider, p->model);
		if (p->nlongs && (p->longs[0].sets[TIER_STANDARD].input < r->input || p->longs[0].sets[TIER_STANDARD].output < r->output))
			fail_msg("%s/%s: long context is cheaper", p->provider, p->model);
		if (strcmp(p->provider, "anthropic") == 0 && (r->cache_read == PRICE_UNKNOWN || r->cache_write_1h != 2 * r->input))
			fail_msg("%s/%s: cache prices are missing or odd", p->provider, p->model);
	}
	price_list_unref(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_exact),
		cmocka_unit_test(every_key_lands_where_it_belongs),
		cmocka_unit_test(names_are_found_and_nothing_else),
		cmocka_unit_test(prices_have_dates),
		cmocka_unit_test(later_files_replace_entries),
		cmocka_unit_test(a_missing_file_is_an_error),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(a_cut_list_is_harmless),
		cmocka_unit_test(references_keep_a_list),
		cmocka_unit_test(the_shipped_list_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
