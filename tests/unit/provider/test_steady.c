// SPDX-License-Identifier: Apache-2.0
/* Which requests may bound the input of others (ask.input_steady): every way in which a provider may read less than what stands there is a no. */
#include "calls.h"

#include "provider/anthropic.h"
#include "provider/openai.h"

#define A(rest) "{\"model\":\"m\",\"max_tokens\":9," rest "}"
#define A_BLOCK(block) A("\"messages\":[{\"role\":\"user\",\"content\":[" block "]}]")
#define O(rest) "{\"model\":\"m\"," rest "}"
#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define IN "\"input\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static const struct steady_case {
	const struct provider_ops *ops;
	enum endpoint ep;
	const char *body;
	bool steady;
	int64_t soft, light;
} cases[] = {
	{ &anthropic_ops, MESSAGES, A(HI), true, 0, 0 },
	{ &anthropic_ops, MESSAGES, A(HI ",\"system\":\"s\",\"metadata\":{\"user_id\":\"u\"},\"temperature\":1,\"stream\":true"), true, 0, 0 },
	{ &anthropic_ops, MESSAGES, A(HI ",\"tools\":[{\"name\":\"t\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\"}}]"), true, 0, 0 },
	{ &anthropic_ops, MESSAGES, A(HI ",\"tool_choice\":{\"type\":\"auto\"}"), true, 0, 0 },
	/* Tools that are not read now may be the next time. */
	{ &anthropic_ops, MESSAGES, A(HI ",\"tool_choice\":{\"type\":\"none\"}"), false, 0, 0 },
	{ &anthropic_ops, MESSAGES, A(HI ",\"tools\":[{\"name\":\"t\",\"defer_loading\":true}]"), false, 0, 0 },
	/* Members that nobody knows. */
	{ &anthropic_ops, MESSAGES, A(HI ",\"forget\":\"the middle\""), false, 0, 0 },
	/* The second of two may be the one that is read. */
	{ &anthropic_ops, MESSAGES, A(HI ",\"system\":\"long\",\"system\":\"\""), false, 0, 0 },
	{ &anthropic_ops, MESSAGES, A("\"messages\":[{\"role\":\"user\",\"content\":\"long\",\"content\":\"\"}]"), false, 0, 0 },
	{ &anthropic_ops, MESSAGES, A("\"messages\":[{\"role\":\"user\",\"content\":\"long\",\"\\u0063ontent\":\"\"}]"), false, 0, 0 },
	{ &anthropic_ops, MESSAGES, A(HI ",\"tools\":[{\"name\":\"t\",\"input_schema\":{\"properties\":{\"a\":1,\"a\":2}}}]"), false, 0, 0 },
	/* What is edited away, and what replaces what stands before it. */
	{ &anthropic_ops, MESSAGES, A(HI ",\"context_management\":{\"edits\":[{\"type\":\"clear_tool_uses_20250919\"}]}"), false, 0, 0 },
	{ &anthropic_ops, MESSAGES, A(HI ",\"context_management\":{\"edits\":[{\"type\":\"clear_thinking_20251015\"}]}"), true, 0, 0 },
	{ &anthropic_ops, MESSAGES, A_BLOCK("{\"type\":\"compaction\",\"content\":\"c\"}"), false, 0, 0 },
	{ &anthropic_ops, MESSAGES, A_BLOCK("{\"type\":\"new_thing\"}"), false, 0, 0 },
	{ &anthropic_ops, MESSAGES, A_BLOCK("{\"text\":\"no type\"}"), false, 0, 0 },
	{ &anthropic_ops, MESSAGES, A_BLOCK("{\"type\":\"tool_result\",\"content\":[{\"type\":\"tool_reference\",\"tool_name\":\"t\"}]}"), false, 0, 0 },
	{ &anthropic_ops, MESSAGES, A_BLOCK("{\"type\":\"tool_result\",\"content\":[{\"type\":\"text\",\"text\":\"t\"}]},{\"type\":\"text\",\"text\":\"t\"}"), true, 0, 0 },
	{ &anthropic_ops, MESSAGES, A_BLOCK("{\"type\":\"tool_use\",\"id\":\"1\",\"name\":\"n\",\"input\":{\"type\":\"anything\"}}"), true, 0, 0 },
	/* Old thinking is dropped: counted here, maybe not there. */
	{ &anthropic_ops, MESSAGES, A_BLOCK("{\"type\":\"thinking\",\"thinking\":\"hm\"},{\"type\":\"redacted_thinking\",\"data\":\"x\"}"), true, 35 + 39, 0 },
	{ &anthropic_ops, MESSAGES, A_BLOCK("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"AAAA\"}}"), true, 0, 82 },
	{ &anthropic_ops, MESSAGES, A_BLOCK("{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"u\"}}"), false, 0, 0 },
	{ &anthropic_ops, MESSAGES, A_BLOCK("{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":\"x\"}}"), false, 0, 0 },
	{ &anthropic_ops, MESSAGES, A(HI ",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"w\",\"max_uses\":2}]"), false, 0, 0 },

	{ &openai_ops, CHAT, O(HI), true, 0, 0 },
	{ &openai_ops, CHAT, O(HI ",\"temperature\":1,\"reasoning_effort\":\"low\",\"stream\":true"), true, 0, 0 },
	{ &openai_ops, CHAT, O(HI ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"auto\""), true, 0, 0 },
	{ &openai_ops, CHAT, O(HI ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"none\""), false, 0, 0 },
	{ &openai_ops, CHAT, O(HI ",\"transforms\":[\"middle-out\"]"), false, 0, 0 },
	{ &openai_ops, CHAT, O("\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"t\"}]}]"), true, 0, 0 },
	{ &openai_ops, CHAT, O("\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{}}]}]"), false, 0, 0 },
	{ &openai_ops, CHAT, O("\"messages\":[{\"role\":\"assistant\",\"content\":\"t\",\"reasoning_content\":\"t\"}]"), false, 0, 0 },
	/* Who sends requests on to hosts of others has as many tokenizers as they have, and may cut. */
	{ &openrouter_ops, CHAT, O(HI), false, 0, 0 },
	{ &openai_compatible_ops, CHAT, O(HI), false, 0, 0 },
	{ &openai_ops, RESPONSES, O(IN), true, 0, 0 },
	{ &openai_ops, RESPONSES, O(IN ",\"truncation\":\"disabled\",\"instructions\":\"i\",\"store\":false"), true, 0, 0 },
	{ &openai_ops, RESPONSES, O(IN ",\"truncation\":\"auto\""), false, 0, 0 },
	{ &openai_ops, RESPONSES, O(IN ",\"previous_response_id\":\"resp_1\""), false, 0, 0 },
	{ &openai_ops, RESPONSES, O("\"input\":[{\"type\":\"reasoning\",\"encrypted_content\":\"abc\"}]"), true, 46, 0 },
	{ &openai_ops, RESPONSES, O("\"input\":[{\"type\":\"compaction\",\"encrypted_content\":\"abc\"}]"), false, 0, 0 },
	{ &openai_ops, RESPONSES, O("\"input\":[{\"type\":\"item_reference\",\"id\":\"abc\"}]"), false, 0, 0 },
	{ &openai_ops, RESPONSES, O("\"input\":[{\"type\":\"function_call_output\",\"output\":\"x\"}]"), true, 0, 0 },
};

static void test_steady(void **state)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct steady_case *c = &cases[i];
		struct ask ask;
		struct err e = { 0 };
		int r = calls_ask(c->ops, c->ep, c->body, &ask, &e);

		if (r < 0 || ask.input_steady != c->steady || (c->steady && (ask.input_soft_bytes != c->soft || ask.input_light_bytes != c->light)))
			fail_msg("%s: %d %s, steady %d soft %lld light %lld", c->body, r, e.text, ask.input_steady,
				 (long long)ask.input_soft_bytes, (long long)ask.input_light_bytes);
	}
}

static void test_tails(void **state)
{
	static char body[9000], longer[2001];
	struct ask ask;
	struct err e = { 0 };

	memset(longer, 'x', sizeof longer - 1);
	(void)snprintf(body, sizeof body, A("\"system\":\"%s\",%s,\"tools\":[{\"name\":\"%s\"}]"), longer, HI, longer);
	assert_int_equal(calls_ask(&anthropic_ops, MESSAGES, body, &ask, &e), 0);
	/* What stands before the conversation is its beginning. */
	assert_int_equal(ask.ntails, 1);
	assert_memory_equal(body + ask.tails[0].at, "[{\"name\":\"xx", 12);
	assert_memory_equal(body + ask.tails[0].end - 4, "x\"}]", 4);
	(void)snprintf(body, sizeof body, A("%s,\"tools\":[{\"name\":\"%s\"}],\"system\":\"%s\""), HI, longer, longer);
	assert_int_equal(calls_ask(&anthropic_ops, MESSAGES, body, &ask, &e), 0);
	assert_int_equal(ask.ntails, 2);
	assert_true(ask.tails[0].end < ask.tails[1].at && ask.tails[0].what != ask.tails[1].what);
	assert_int_equal(calls_ask(&anthropic_ops, MESSAGES, A(HI ",\"system\":\"short\""), &ask, &e), 0);
	assert_int_equal(ask.ntails, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_steady, calls_setup, calls_teardown),
		cmocka_unit_test_setup_teardown(test_tails, calls_setup, calls_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
