// SPDX-License-Identifier: Apache-2.0
/* What a request asks for, as bounds of its cost: each value arrives, what has no bound is refused, who may roll. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "spend/cost_ask.h"

static struct ask plain(void)
{
	return (struct ask){ .choices = 1, .passes = 1, .max_output = 100, .body_bytes = 1000, .extra_input_tokens = 24 };
}

static void values_arrive(void **state)
{
	struct ask a = plain();
	struct cost_bounds b;
	struct err e;

	a.choices = 3;
	a.passes = 4;
	a.tier = TIER_PRIORITY;
	a.fast = a.cache_write = a.cache_write_1h = a.audio = a.input_hidden = true;
	a.max_searches = 5;
	a.max_file_searches = 6;
	a.max_code_sessions = 7;
	a.images = 8;
	a.characters = 9;
	a.audio_ms = 10;
	(void)strcpy(a.geo, "us");
	(void)strcpy(a.image_quality, "high");
	(void)strcpy(a.image_size, "1x1");
	assert_int_equal(cost_ask_bounds(&a, &b, &e), 0);
	assert_int_equal(b.input, 1024);
	assert_int_equal(b.output, 300); /* of all choices */
	assert_true(b.choices == 3 && b.passes == 4 && b.input_is_model_max && b.cache_write && b.cache_write_1h && b.audio);
	assert_true(b.web_searches == 5 && b.file_searches == 6 && b.code_sessions == 7 && b.images == 8 && b.characters == 9);
	assert_int_equal(b.audio_ms, 10);
	assert_true(b.terms.tier == TIER_PRIORITY && b.terms.fast);
	assert_string_equal(b.terms.geo, "us");
	assert_string_equal(b.terms.image_quality, "high");
	assert_string_equal(b.terms.image_size, "1x1");
	/* The host's and the time are not the request's. */
	assert_true(!b.terms.region && b.terms.multiplier_pct == 0 && b.terms.at_s == 0);
}

/* `purse estimate` once priced every search at the dearest while the daemon held by the context that was asked for. */
static void search_context(void **state)
{
	static const struct {
		const char *word;
		enum search_context context;
	} cases[] = {
		{ "", SEARCH_CONTEXT_UNKNOWN },	      { "low", SEARCH_CONTEXT_LOW },	   { "medium", SEARCH_CONTEXT_MEDIUM },
		{ "high", SEARCH_CONTEXT_HIGH },      { "HIGH", SEARCH_CONTEXT_UNKNOWN },  { "lo", SEARCH_CONTEXT_UNKNOWN },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ask a = plain();
		struct cost_bounds b;
		struct err e;

		(void)strcpy(a.search_context, cases[i].word);
		assert_int_equal(cost_ask_bounds(&a, &b, &e), 0);
		assert_int_equal(b.terms.search_context, cases[i].context);
	}
}

static void without_a_bound(void **state)
{
	struct ask cases[5];
	struct cost_bounds b;
	struct err e;

	for (size_t i = 0; i < 5; i++)
		cases[i] = plain();
	cases[0].unbounded_tools = true;
	cases[1].max_searches = -1;
	cases[2].max_file_searches = -1;
	cases[3].max_code_sessions = -1;
	cases[4].max_output = INT64_MAX / 2;
	cases[4].choices = 3;
	for (size_t i = 0; i < 5; i++) {
		e.text[0] = '\0';
		assert_int_equal(cost_ask_bounds(&cases[i], &b, &e), -ERANGE);
		assert_true(e.text[0]);
	}
}

static void most_output(void **state)
{
	struct price known = { .max_output = 50 }, unknown = { .max_output = -1 };
	struct cost_bounds b = { .output = 7, .choices = 2 };

	assert_int_equal(cost_output_most(&known, &b), 7);
	b.output = -1;
	assert_int_equal(cost_output_most(&known, &b), 100);
	assert_int_equal(cost_output_most(&unknown, &b), -1);
	b.choices = INT64_MAX;
	assert_int_equal(cost_output_most(&known, &b), -1);
}

static void who_rolls(void **state)
{
	struct ask a = plain();

	assert_false(cost_ask_rolls(ENDPOINT_OPENAI_CHAT, &a, 500));
	a.stream = true;
	assert_true(cost_ask_rolls(ENDPOINT_OPENAI_CHAT, &a, 500));
	assert_true(cost_ask_rolls(ENDPOINT_ANTHROPIC_MESSAGES, &a, 1));
	assert_false(cost_ask_rolls(ENDPOINT_OPENAI_CHAT, &a, 0));
	assert_false(cost_ask_rolls(ENDPOINT_OPENAI_IMAGES, &a, 500));
	a.audio = true;
	assert_false(cost_ask_rolls(ENDPOINT_OPENAI_CHAT, &a, 500));
	a.audio = false;
	a.output_bursts = true;
	assert_false(cost_ask_rolls(ENDPOINT_OPENAI_CHAT, &a, 500));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_arrive), cmocka_unit_test(search_context), cmocka_unit_test(without_a_bound),
		cmocka_unit_test(most_output),	 cmocka_unit_test(who_rolls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
