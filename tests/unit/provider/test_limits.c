// SPDX-License-Identifier: Apache-2.0
/* Where an output limit can be lowered in a body, and whether a stream shows all that it makes. */
#include "calls.h"

#include "provider/anthropic.h"
#include "provider/openai.h"

/* The body with the number in each place. */
static const char *lowered(const char *body, struct ask *a, const char *number)
{
	static char texts[LIMIT_PLACES_MAX][64];

	a->nedits = 0;
	for (size_t i = 0; i < a->nlimits; i++) {
		(void)snprintf(texts[i], sizeof texts[i], "%s%s%s", a->limits[i].before, number, a->limits[i].after);
		a->edits[a->nedits++] = (struct body_edit){ .at = a->limits[i].at, .cut = a->limits[i].cut, .text = texts[i] };
	}
	return calls_edited(body, a);
}

static void test_places(void **state)
{
	static const struct {
		const struct provider_ops *ops;
		enum endpoint ep;
		const char *body, *expected; /* NULL = cannot be lowered */
	} cases[] = {
		{ &openai_ops, CHAT, "{\"model\":\"m\",\"max_tokens\":9000}", "{\"model\":\"m\",\"max_tokens\":77}" },
		{ &openai_ops, CHAT, "{\"model\":\"m\",\"max_completion_tokens\" : 9000 }", "{\"model\":\"m\",\"max_completion_tokens\" : 77 }" },
		{ &openai_ops, CHAT, "{\"max_completion_tokens\":1,\"model\":\"m\",\"max_tokens\":2}",
		  "{\"max_completion_tokens\":77,\"model\":\"m\",\"max_tokens\":77}" },
		{ &openai_ops, CHAT, "{\"max_tokens\":1,\"model\":\"m\",\"max_completion_tokens\":2}",
		  "{\"max_tokens\":77,\"model\":\"m\",\"max_completion_tokens\":77}" },
		/* One that stands but bounds nothing would still win over a second one: it is the one that is written over. */
		{ &openai_ops, CHAT, "{\"model\":\"m\",\"max_tokens\":null}", "{\"model\":\"m\",\"max_tokens\":77}" },
		{ &openai_ops, CHAT, "{\"model\":\"m\",\"max_tokens\":0}", "{\"model\":\"m\",\"max_tokens\":77}" },
		/* None: a member of its own, in the name that the host takes. */
		{ &openai_ops, CHAT, " {\"model\":\"m\"}", " {\"max_completion_tokens\":77,\"model\":\"m\"}" },
		{ &openai_compatible_ops, CHAT, "{\"model\":\"m\"}", "{\"max_tokens\":77,\"model\":\"m\"}" },
		{ &openai_reporting_ops, CHAT, "{\"model\":\"m\"}", "{\"max_tokens\":77,\"model\":\"m\"}" },
		{ &openai_ops, RESPONSES, "{\"model\":\"m\",\"max_output_tokens\":5}", "{\"model\":\"m\",\"max_output_tokens\":77}" },
		{ &openai_ops, RESPONSES, "{\"model\":\"m\"}", "{\"max_output_tokens\":77,\"model\":\"m\"}" },
		/* Another endpoint's name means nothing. */
		{ &openai_ops, RESPONSES, "{\"model\":\"m\",\"max_tokens\":5}", "{\"max_output_tokens\":77,\"model\":\"m\",\"max_tokens\":5}" },
		{ &openai_ops, ENDPOINT_OPENAI_COMPLETIONS, "{\"model\":\"m\"}", "{\"max_tokens\":77,\"model\":\"m\"}" },
		/* A name inside of something else is none. */
		{ &openai_ops, CHAT, "{\"model\":\"m\",\"metadata\":{\"max_tokens\":5}}",
		  "{\"max_completion_tokens\":77,\"model\":\"m\",\"metadata\":{\"max_tokens\":5}}" },
		{ &openai_ops, CHAT, "{\"model\":\"m\",\"max_tokens\":5,\"prediction\":{\"content\":\"x\"}}", NULL },
		{ &openai_ops, ENDPOINT_OPENAI_EMBEDDINGS, "{\"model\":\"m\"}", NULL },
		{ &anthropic_ops, MESSAGES, "{\"model\":\"m\",\"max_tokens\":9000}", "{\"model\":\"m\",\"max_tokens\":77}" },
		{ &anthropic_ops, MESSAGES, "{\"model\":\"m\"}", NULL }, /* is needed there */
		{ &anthropic_ops, MESSAGES, "{\"model\":\"m\",\"max_tokens\":0}", NULL },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct ask a;
		struct err e = { 0 };
		assert_int_equal(calls_ask(cases[i].ops, cases[i].ep, cases[i].body, &a, &e), 0);
		if (!cases[i].expected)
			assert_int_equal(a.nlimits, 0);
		else
			assert_string_equal(lowered(cases[i].body, &a, "77"), cases[i].expected);
	}
}

static void test_twice_is_refused(void **state)
{
	struct err e = { 0 };
	struct ask a;

	assert_true(calls_ask(&openai_ops, CHAT, "{\"model\":\"m\",\"max_tokens\":5,\"max_tokens\":null}", &a, &e) < 0);
	assert_true(calls_ask(&anthropic_ops, MESSAGES, "{\"model\":\"m\",\"max_tokens\":5,\"max_tokens\":6}", &a, &e) < 0);
}

static void test_least(void **state)
{
	struct err e = { 0 };
	struct ask a;

	assert_int_equal(calls_ask(&anthropic_ops, MESSAGES,
				   "{\"model\":\"m\",\"max_tokens\":9000,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":4000}}", &a, &e), 0);
	assert_int_equal(a.limit_least, 4000);
	assert_int_equal(calls_ask(&anthropic_ops, MESSAGES, "{\"model\":\"m\",\"max_tokens\":9000}", &a, &e), 0);
	assert_int_equal(a.limit_least, 0);
}

static void test_sight(void **state)
{
	static const struct {
		const struct provider_ops *ops;
		enum endpoint ep;
		const char *body;
		enum output_sight sight;
		bool bursts;
	} cases[] = {
		{ &openai_ops, CHAT, "{\"model\":\"gpt-4o-mini\"}", OUTPUT_SHOWN, false },
		{ &openai_compatible_ops, CHAT, "{\"model\":\"meta/Llama-3.3-70B\"}", OUTPUT_SHOWN, false },
		{ &openai_ops, CHAT, "{\"model\":\"gpt-4o-mini\",\"reasoning_effort\":\"low\"}", OUTPUT_HIDDEN, false },
		{ &openai_ops, CHAT, "{\"model\":\"gpt-5\"}", OUTPUT_HIDDEN, false },
		{ &openai_ops, RESPONSES, "{\"model\":\"o3\"}", OUTPUT_HIDDEN, false },
		/* Nobody asked it to think, but it may. */
		{ &openai_ops, CHAT, "{\"model\":\"brand-new\"}", OUTPUT_UNSURE, false },
		{ &openai_compatible_ops, CHAT, "{\"model\":\"router\"}", OUTPUT_UNSURE, false },
		{ &anthropic_ops, MESSAGES, "{\"model\":\"m\",\"max_tokens\":5}", OUTPUT_SHOWN, false },
		{ &anthropic_ops, MESSAGES, "{\"model\":\"m\",\"max_tokens\":5,\"thinking\":{\"type\":\"adaptive\"}}", OUTPUT_HIDDEN, false },
		{ &anthropic_ops, MESSAGES, "{\"model\":\"m\",\"max_tokens\":5,\"output_config\":{\"effort\":\"high\"}}", OUTPUT_HIDDEN, false },
		{ &openai_ops, CHAT, "{\"model\":\"gpt-4o\",\"max_tokens\":5,\"prediction\":{\"content\":\"x\"}}", OUTPUT_SHOWN, true },
		{ &openai_ops, ENDPOINT_OPENAI_COMPLETIONS, "{\"model\":\"davinci-002\",\"best_of\":4}", OUTPUT_SHOWN, true },
		{ &openai_ops, ENDPOINT_OPENAI_COMPLETIONS, "{\"model\":\"davinci-002\",\"best_of\":4,\"n\":4}", OUTPUT_SHOWN, false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct ask a;
		struct err e = { 0 };
		assert_int_equal(calls_ask(cases[i].ops, cases[i].ep, cases[i].body, &a, &e), 0);
		assert_int_equal(a.output_sight, cases[i].sight);
		assert_int_equal(a.output_bursts, cases[i].bursts);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_twice_is_refused),
		cmocka_unit_test(test_least),
		cmocka_unit_test(test_sight),
	};

	return cmocka_run_group_tests(tests, calls_setup, calls_teardown);
}
