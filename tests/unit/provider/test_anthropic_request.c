// SPDX-License-Identifier: Apache-2.0
/* test_anthropic_request.c: bounds and refusals of Messages requests. */
#include "calls.h"

#include <errno.h>

static const struct provider_ops *ops(void)
{
	return provider_find("anthropic");
}

struct ask_case {
	const char *rest; /* behind "model": "m" */
	struct ask want;  /* max_output is 10 and extra 64 unless written */
};

#define SEARCH(rest) "{\"type\":\"web_search_20250305\",\"name\":\"web_search\"" rest "}"
#define BLOCK(block) "\"messages\":[{\"content\":[" block "]}]"

static const struct ask_case cases[] = {
	{ "\"max_tokens\":10", { .stream = false } },
	{ "\"stream\":true", { .stream = true } },
	{ "\"stream\":null", { .stream = false } },
	{ "\"messages\":[{\"content\":\"a\"},{\"content\":\"b\"}]", { .extra_input_tokens = 96 } },
	{ "\"service_tier\":\"standard_only\"", { .stream = false } },
	{ "\"service_tier\":\"auto\"", { .tier = TIER_UNKNOWN } },
	{ "\"service_tier\":\"new\"", { .tier = TIER_UNKNOWN } },
	{ "\"speed\":\"standard\",\"inference_geo\":\"global\"", { .stream = false } },
	{ "\"speed\":null,\"inference_geo\":null", { .stream = false } },
	{ "\"speed\":\"fast\",\"inference_geo\":\"us\"", { .fast = true, .geo = "us", .passes = 1 } },
	/* cache */
	{ "\"cache_control\":{\"type\":\"ephemeral\"}", { .cache_write = true } },
	{ "\"system\":[{\"type\":\"text\",\"text\":\"x\",\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"5m\"}}]", { .cache_write = true } },
	{ "\"system\":[{\"cache_control\":{\"ttl\":\"1h\"}}]", { .cache_write = true, .cache_write_1h = true } },
	{ BLOCK("{\"content\":[{\"cache_control\":{\"t\\u0074l\":\"1h\"}}]}"),
	  { .cache_write = true, .cache_write_1h = true, .extra_input_tokens = 80 } },
	{ "\"system\":[{\"cache_control\":{\"ttl\":\"1h\",\"ttl\":\"5m\"}}]", { .cache_write = true, .cache_write_1h = true } },
	{ "\"system\":[{\"cache_control\":null}]", { .stream = false } },
	/* thinking */
	{ "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":3000}", { .reasoning_asked = true } },
	{ "\"thinking\":{\"type\":\"adaptive\"}", { .reasoning_asked = true } },
	{ "\"thinking\":{\"type\":\"disabled\"}", { .stream = false } },
	{ "\"output_config\":{\"effort\":\"high\"}", { .reasoning_asked = true } },
	/* input elsewhere */
	{ BLOCK("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"AA\"}}"), { .extra_input_tokens = 80 + 5120 } },
	{ BLOCK("{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://x\"}}"), { .input_hidden = true, .extra_input_tokens = 80 } },
	{ BLOCK("{\"type\":\"document\",\"source\":{\"type\":\"file\",\"file_id\":\"f\"}}"), { .input_hidden = true, .extra_input_tokens = 80 } },
	{ BLOCK("{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"media_type\":\"application/pdf\",\"data\":\"AA\"}}"), { .input_hidden = true, .extra_input_tokens = 80 } },
	{ BLOCK("{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":\"AA\"}}"), { .extra_input_tokens = 80 } },
	{ BLOCK("{\"type\":\"tool_result\",\"content\":[{\"type\":\"image\",\"source\":{\"url\":\"https://x\",\"type\":\"url\"}}]}"), { .input_hidden = true, .extra_input_tokens = 80 } },
	{ BLOCK("{\"source\":{\"type\":\"base64\",\"type\":\"url\"}}"), { .input_hidden = true, .extra_input_tokens = 80 } },
	{ BLOCK("{\"type\":\"container_upload\",\"file_id\":\"f\"}"), { .input_hidden = true, .extra_input_tokens = 80 } },
	/* a tool call with such arguments is text */
	{ BLOCK("{\"type\":\"tool_use\",\"input\":{\"url\":\"https://x\",\"type\":\"file\",\"source\":\"main.c\"}}"), { .extra_input_tokens = 80 } },
	{ BLOCK("{\"type\":\"url\"},{\"source\":{\"type\":\"text\"}}"), { .extra_input_tokens = 80 } },
	/* tools */
	{ "\"tools\":[]", { .stream = false } },
	{ "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}]", { .extra_input_tokens = 64 + 1024 + 32 } },
	{ "\"tools\":[{\"type\":\"custom\",\"name\":\"f\"},{\"name\":\"g\",\"max_uses\":3}]", { .extra_input_tokens = 64 + 1024 + 64 } },
	{ "\"tools\":[{\"type\":\"bash_20250124\"},{\"type\":\"text_editor_20250728\"},{\"type\":\"computer_20250124\"},{\"type\":\"memory_20250818\"}]",
	  { .extra_input_tokens = 64 + 1024 + 4 * 32 + 4 * 1024 } },
	{ "\"tools\":[" SEARCH(",\"max_uses\":3") "]", { .max_searches = 3, .input_hidden = true, .extra_input_tokens = 64 + 1024 + 32 } },
	{ "\"tools\":[" SEARCH(",\"max_uses\":3") "," SEARCH(",\"max_uses\":4") "]",
	  { .max_searches = 7, .input_hidden = true, .extra_input_tokens = 64 + 1024 + 64 } },
	{ "\"tools\":[" SEARCH(",\"max_uses\":3") "," SEARCH("") "]",
	  { .max_searches = -1, .input_hidden = true, .unbounded_tools = true, .extra_input_tokens = 64 + 1024 + 64 } },
	{ "\"tools\":[" SEARCH("") "," SEARCH(",\"max_uses\":3") "]",
	  { .max_searches = -1, .input_hidden = true, .unbounded_tools = true, .extra_input_tokens = 64 + 1024 + 64 } },
	{ "\"tools\":[" SEARCH(",\"max_uses\":null") "]",
	  { .max_searches = -1, .input_hidden = true, .unbounded_tools = true, .extra_input_tokens = 64 + 1024 + 32 } },
	{ "\"tools\":[" SEARCH(",\"max_uses\":-1") "]",
	  { .max_searches = -1, .input_hidden = true, .unbounded_tools = true, .extra_input_tokens = 64 + 1024 + 32 } },
	{ "\"tools\":[" SEARCH(",\"max_uses\":9223372036854775807") "," SEARCH(",\"max_uses\":9223372036854775807") "]",
	  { .max_searches = -1, .input_hidden = true, .unbounded_tools = true, .extra_input_tokens = 64 + 1024 + 64 } },
	{ "\"tools\":[{\"type\":\"web_fetch_20250910\"}]", { .unbounded_tools = true, .input_hidden = true, .extra_input_tokens = 64 + 1024 + 32 } },
	{ "\"tools\":[{\"type\":\"web_fetch_20250910\",\"max_uses\":3}]", { .passes = 4, .input_hidden = true, .extra_input_tokens = 64 + 1024 + 32 } },
	{ "\"tools\":[{\"type\":\"code_execution_20250825\"}]", { .unbounded_tools = true, .input_hidden = true, .extra_input_tokens = 64 + 1024 + 32 } },
	{ "\"tools\":[{\"type\":\"advisor_20260301\"}]", { .unbounded_tools = true, .input_hidden = true, .extra_input_tokens = 64 + 1024 + 32 } },
	{ "\"tools\":[{\"type\":\"from_next_year\"}]", { .unbounded_tools = true, .input_hidden = true, .extra_input_tokens = 64 + 1024 + 32 } },
	{ "\"mcp_servers\":[{\"url\":\"https://x\"}]", { .unbounded_tools = true } },
	{ "\"mcp_servers\":[]", { .stream = false } },
	{ "\"container\":\"c\"", { .unbounded_tools = true } },
	{ "\"container\":null", { .stream = false } },
	{ "\"context_management\":{\"edits\":[{\"type\":\"clear_tool_uses_20250919\"}]}", { .stream = false } },
	{ "\"context_management\":{\"edits\":[{\"type\":\"clear_thinking_20251015\"},{\"type\":\"compact_20260112\"}]}", { .unbounded_tools = true } },
};

static void test_asks(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ask a, w = cases[i].want;
		char body[1024];
		struct err e = { 0 };
		bool limited = strstr(cases[i].rest, "max_tokens\"") != NULL;

		snprintf(body, sizeof(body), "{\"model\":\"m\",%s%s}", limited ? "" : "\"max_tokens\":10,", cases[i].rest);
		if (calls_ask(ops(), MESSAGES, body, &a, &e) != 0)
			fail_msg("%s: %s", cases[i].rest, e.text);
		strcpy(w.model, "m");
		if (!strstr(cases[i].rest, "inference_geo\":\""))
			strcpy(w.geo, "*");
		w.max_output = 10;
		w.choices = 1;
		w.body_bytes = (int64_t)strlen(body);
		w.extra_input_tokens += w.extra_input_tokens ? 0 : 64;
		if (a.stream != w.stream || a.input_hidden != w.input_hidden || a.cache_write != w.cache_write ||
		    a.cache_write_1h != w.cache_write_1h || a.unbounded_tools != w.unbounded_tools || a.tier != w.tier ||
		    a.max_searches != w.max_searches || a.reasoning_asked != w.reasoning_asked ||
		    a.extra_input_tokens != w.extra_input_tokens || a.fast != w.fast || strcmp(a.geo, w.geo) != 0 ||
		    (w.passes && a.passes != w.passes))
			fail_msg("%s: stream %d hidden %d write %d/%d unbounded %d tier %d searches %lld reasoning %d extra %lld",
				 cases[i].rest, a.stream, a.input_hidden, a.cache_write, a.cache_write_1h, a.unbounded_tools,
				 a.tier, (long long)a.max_searches, a.reasoning_asked, (long long)a.extra_input_tokens);
		assert_int_equal(a.max_output, w.max_output);
		assert_int_equal(a.choices, 1);
		assert_int_equal(a.body_bytes, w.body_bytes);
		assert_true(a.nedits == 0 && !a.hide_usage && !a.audio);
	}
}

static void test_max_tokens(void **state)
{
	static const struct {
		const char *body;
		int64_t max_output;
	} rows[] = {
		{ "{\"model\":\"m\"}", -1 },
		{ "{\"model\":\"m\",\"max_tokens\":null}", -1 },
		{ "{\"model\":\"m\",\"max_tokens\":0}", 0 }, /* warms the cache */
		{ "{\"model\":\"m\",\"max_tokens\":-5}", -1 },
		{ "{\"model\":\"m\",\"max_tokens\":64000}", 64000 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ask a;

		assert_int_equal(calls_ask(ops(), MESSAGES, rows[i].body, &a, NULL), 0);
		assert_int_equal(a.max_output, rows[i].max_output);
	}
}

static const struct {
	const char *body, *text;
} bad[] = {
	{ "{}", "\"model\": is missing" },
	{ "nothing", "valid JSON" },
	{ "{\"model\":\"a\",\"model\":\"b\"}", "\"model\": stands twice" },
	{ "{\"model\":\"a\",\"max_tokens\":1,\"m\\u0061x_tokens\":64000}", "\"max_tokens\": stands twice" },
	{ "{\"model\":\"a\",\"stream\":false,\"stream\":true}", "\"stream\": stands twice" },
	{ "{\"model\":\"a\",\"tools\":[],\"tools\":[]}", "\"tools\": stands twice" },
	{ "{\"model\":\"a\",\"messages\":[],\"messages\":[]}", "\"messages\": stands twice" },
	{ "{\"model\":\"a\",\"tools\":[{\"type\":\"custom\",\"type\":\"web_search_1\"}]}", "\"tools[].type\": stands twice" },
	{ "{\"model\":\"a\",\"tools\":[{\"type\":\"web_search_1\",\"max_uses\":1,\"max_uses\":99}]}", "\"tools[].max_uses\": stands twice" },
	{ "{\"model\":\"a\",\"max_tokens\":\"9\"}", "\"max_tokens\": a string stands there, a whole number is expected" },
	{ "{\"model\":\"a\",\"stream\":\"yes\"}", "\"stream\"" },
	{ "{\"model\":\"a\",\"speed\":\"hyper\"}", "\"speed\": \"hyper\" has a price" },
	{ "{\"model\":\"a\",\"speed\":\"standard\",\"speed\":\"fast\"}", "\"speed\"" },
	{ "{\"model\":\"a\",\"speed\":1}", "\"speed\": a whole number" },
	{ "{\"model\":\"a\",\"inference_geo\":\"\"}", "\"inference_geo\": \"\" is no geography" },
	{ "{\"model\":\"a\",\"inference_geo\":\"a-place-that-no-list-knows\"}", "is no geography" },
	{ "{\"model\":\"a\",\"fallbacks\":[{\"model\":\"b\"}]}", "\"fallbacks\"" },
};

static void test_refusals(void **state)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = { 0 };
		struct ask a;
		int r = calls_ask(ops(), MESSAGES, bad[i].body, &a, &e);

		if (r != -EINVAL || !strstr(e.text, bad[i].text))
			fail_msg("%s: %d \"%s\"", bad[i].body, r, e.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asks),
		cmocka_unit_test(test_max_tokens),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, calls_setup, calls_teardown);
}
