// SPDX-License-Identifier: Apache-2.0
/* test_openai_request.c: bounds, refusals and edits of requests in the OpenAI shape. */
#include "calls.h"

#include <errno.h>

#define COMPLETIONS ENDPOINT_OPENAI_COMPLETIONS
#define EMBEDDINGS ENDPOINT_OPENAI_EMBEDDINGS
#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static const struct provider_ops *ops(void)
{
	return provider_find("openai");
}

/* ---- what bounds the output */

struct bound_case {
	enum endpoint ep;
	const char *body;
	int64_t max_output, choices;
	enum tier tier;
};

static const struct bound_case bounds[] = {
	{ CHAT, "{\"model\":\"m\"," HI "}", -1, 1, TIER_STANDARD },
	{ CHAT, "{\"model\":\"m\",\"max_tokens\":7," HI "}", 7, 1, TIER_STANDARD },
	{ CHAT, "{\"model\":\"m\",\"max_completion_tokens\":9," HI "}", 9, 1, TIER_STANDARD },
	{ CHAT, "{\"model\":\"m\",\"max_tokens\":7,\"max_completion_tokens\":9," HI "}", 9, 1, TIER_STANDARD },
	{ CHAT, "{\"model\":\"m\",\"max_completion_tokens\":9,\"max_tokens\":70," HI "}", 70, 1, TIER_STANDARD },
	{ CHAT, "{\"model\":\"m\",\"max_tokens\":null," HI "}", -1, 1, TIER_STANDARD },
	{ CHAT, "{\"model\":\"m\",\"max_tokens\":0," HI "}", -1, 1, TIER_STANDARD },
	{ CHAT, "{\"model\":\"m\",\"max_tokens\":-1,\"max_completion_tokens\":9," HI "}", -1, 1, TIER_STANDARD },
	{ CHAT, "{\"model\":\"m\",\"max_output_tokens\":9," HI "}", -1, 1, TIER_STANDARD }, /* not a chat field */
	{ CHAT, "{\"model\":\"m\",\"n\":3,\"max_tokens\":7," HI "}", 7, 3, TIER_STANDARD },
	{ CHAT, "{\"model\":\"m\",\"n\":null," HI "}", -1, 1, TIER_STANDARD },
	/* a prediction's rejected tokens are charged: "{\"type\":\"content\",\"content\":\"abcd\"}" has 35 bytes */
	{ CHAT, "{\"model\":\"m\",\"max_tokens\":7,\"prediction\":{\"type\":\"content\",\"content\":\"abcd\"}," HI "}", 42, 1,
	  TIER_STANDARD },
	{ CHAT, "{\"model\":\"m\",\"max_tokens\":9223372036854775807,\"prediction\":{\"content\":\"abcd\"}," HI "}", -1, 1,
	  TIER_STANDARD },
	{ CHAT, "{\"\\u006dodel\":\"m\",\"m\\u0061x_tokens\":5," HI "}", 5, 1, TIER_STANDARD }, /* escaped keys */
	/* nested keys of the same name are not the request's */
	{ CHAT, "{\"model\":\"m\",\"metadata\":{\"max_tokens\":5,\"n\":\"x\",\"stream\":1}," HI "}", -1, 1, TIER_STANDARD },
	{ RESPONSES, "{\"model\":\"m\",\"input\":\"hi\"}", -1, 1, TIER_STANDARD },
	{ RESPONSES, "{\"model\":\"m\",\"input\":\"hi\",\"max_output_tokens\":64}", 64, 1, TIER_STANDARD },
	{ RESPONSES, "{\"model\":\"m\",\"input\":\"hi\",\"max_tokens\":5,\"n\":4}", -1, 1, TIER_STANDARD },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":\"hi\"}", 16, 1, TIER_STANDARD },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":\"hi\",\"max_tokens\":null}", 16, 1, TIER_STANDARD },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":\"hi\",\"max_tokens\":99}", 99, 1, TIER_STANDARD },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":\"hi\",\"max_tokens\":0}", -1, 1, TIER_STANDARD },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":[\"a\",\"b\",\"c\"]}", 16, 3, TIER_STANDARD },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":[1,2,3]}", 16, 1, TIER_STANDARD },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":[[1,2],[3]],\"n\":2}", 16, 4, TIER_STANDARD },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":[],\"n\":2}", 16, 2, TIER_STANDARD },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"],\"n\":2,\"best_of\":5}", 16, 10, TIER_STANDARD },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":\"a\",\"best_of\":5}", 16, 5, TIER_STANDARD },
	{ EMBEDDINGS, "{\"model\":\"m\",\"input\":[\"a\",\"b\"],\"max_tokens\":5,\"n\":3}", 0, 1, TIER_STANDARD },
	/* tiers: the dearest that the answer may have */
	{ CHAT, "{\"model\":\"m\",\"service_tier\":\"default\"," HI "}", -1, 1, TIER_STANDARD },
	{ CHAT, "{\"model\":\"m\",\"service_tier\":null," HI "}", -1, 1, TIER_STANDARD },
	{ CHAT, "{\"model\":\"m\",\"service_tier\":\"flex\"," HI "}", -1, 1, TIER_STANDARD },
	{ CHAT, "{\"model\":\"m\",\"service_tier\":\"priority\"," HI "}", -1, 1, TIER_PRIORITY },
	{ CHAT, "{\"model\":\"m\",\"service_tier\":\"fast\"," HI "}", -1, 1, TIER_PRIORITY },
	{ CHAT, "{\"model\":\"m\",\"service_tier\":\"auto\"," HI "}", -1, 1, TIER_UNKNOWN },
	{ CHAT, "{\"model\":\"m\",\"service_tier\":\"ultrafast\"," HI "}", -1, 1, TIER_STANDARD },
	{ CHAT, "{\"model\":\"m\",\"service_tier\":\"hyperfast\"," HI "}", -1, 1, TIER_UNKNOWN },
	{ CHAT, "{\"model\":\"m\",\"service_tier\":\"\"," HI "}", -1, 1, TIER_UNKNOWN },
};

static void test_bounds(void **state)
{
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		const struct bound_case *c = &bounds[i];
		struct err e = { 0 };
		struct ask a;
		int r = calls_ask(ops(), c->ep, c->body, &a, &e);

		if (r != 0)
			fail_msg("%s: %d %s", c->body, r, e.text);
		if (a.max_output != c->max_output || a.choices != c->choices || a.tier != c->tier || a.fast != (strstr(c->body, "ultrafast") != NULL))
			fail_msg("%s: output %lld choices %lld tier %d", c->body, (long long)a.max_output,
				 (long long)a.choices, a.tier);
		assert_string_equal(a.model, "m");
		assert_int_equal(a.body_bytes, strlen(c->body));
		assert_int_equal(a.cache_write, c->ep != EMBEDDINGS);
		assert_false(a.input_hidden || a.unbounded_tools || a.hide_usage || a.stream || a.audio);
		assert_int_equal(a.nedits, 0);
		assert_int_equal(a.max_searches, 0);
	}
}

static void test_completions_elsewhere(void **state)
{
	static const char body[] = "{\"model\":\"m\",\"prompt\":\"hi\"}";
	struct ask a;

	assert_int_equal(calls_ask(provider_find("openai-compatible"), COMPLETIONS, body, &a, NULL), 0);
	assert_int_equal(a.max_output, -1); /* the default of 16 is OpenAI's */
}

/* ---- refusals */

struct bad_case {
	enum endpoint ep;
	const char *body, *text;
};

static const struct bad_case bad[] = {
	{ CHAT, "", "valid JSON" },
	{ CHAT, "{", "valid JSON" },
	{ CHAT, "{\"model\":\"m\"} x", "valid JSON" },
	{ CHAT, "{\"model\":\"m\xff\"}", "valid JSON" },
	{ CHAT, "[]", "\"model\": is missing" },
	{ CHAT, "{}", "\"model\": is missing" },
	{ RESPONSES, "{\"model\":\"m\",\"prompt_cache_options\":{\"ttl\":\"24h\"}}", "only \"30m\" has a known price" },
	{ RESPONSES, "{\"model\":\"m\",\"tools\":[{\"type\":\"code_interpreter\",\"container\":{\"memory_limit\":\"4g\"}}]}", "memory_limit" },
	{ CHAT, "null", "\"model\": is missing" },
	{ CHAT, "{" HI "}", "\"model\": is missing" },
	{ CHAT, "{\"model\":null," HI "}", "\"model\": is missing" },
	{ CHAT, "{\"model\":5}", "\"model\": a whole number stands there, a string is expected" },
	{ CHAT, "{\"model\":[\"m\"]}", "an array stands there" },
	{ CHAT, "{\"model\":\"\"}", "is empty" },
	{ CHAT, "{\"model\":\"m\\u0000x\"}", "control" },
	{ CHAT, "{\"model\":\"m\\n\"}", "control" },
	{ CHAT, "{\"model\":\"aaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbb\"}", "80 bytes" },
	{ CHAT, "{\"model\":\"a\",\"model\":\"b\"}", "\"model\": stands twice" },
	{ CHAT, "{\"model\":\"a\",\"mod\\u0065l\":\"b\"}", "\"model\": stands twice" },
	{ CHAT, "{\"model\":null,\"model\":\"b\"}", "\"model\": stands twice" },
	{ CHAT, "{\"model\":\"a\",\"stream\":true,\"stream\":false}", "\"stream\": stands twice" },
	{ CHAT, "{\"model\":\"a\",\"max_tokens\":1,\"max_tokens\":100000}", "\"max_tokens\": stands twice" },
	{ CHAT, "{\"model\":\"a\",\"n\":1,\"n\":100}", "\"n\": stands twice" },
	{ CHAT, "{\"model\":\"a\",\"messages\":[],\"messages\":[]}", "\"messages\": stands twice" },
	{ CHAT, "{\"model\":\"a\",\"tools\":[],\"tools\":[{\"type\":\"web_search\"}]}", "\"tools\": stands twice" },
	{ CHAT, "{\"model\":\"a\",\"service_tier\":\"flex\",\"service_tier\":\"priority\"}", "\"service_tier\": stands twice" },
	{ CHAT, "{\"model\":\"a\",\"stream_options\":{},\"stream_options\":{}}", "\"stream_options\": stands twice" },
	{ CHAT, "{\"model\":\"a\",\"stream_options\":{\"include_usage\":true,\"include_usage\":false}}",
	  "\"stream_options.include_usage\": stands twice" },
	{ RESPONSES, "{\"model\":\"a\",\"input\":\"x\",\"input\":\"y\"}", "\"input\": stands twice" },
	{ COMPLETIONS, "{\"model\":\"a\",\"prompt\":\"x\",\"prompt\":\"y\"}", "\"prompt\": stands twice" },
	{ RESPONSES, "{\"model\":\"a\",\"max_tool_calls\":1,\"max_tool_calls\":9}", "\"max_tool_calls\": stands twice" },
	{ RESPONSES, "{\"model\":\"a\",\"tools\":[{\"type\":\"function\",\"type\":\"mcp\"}]}", "\"tools[].type\": stands twice" },
	{ CHAT, "{\"model\":\"a\",\"stream\":\"true\"}", "\"stream\": a string stands there, true or false is expected" },
	{ CHAT, "{\"model\":\"a\",\"stream\":1}", "\"stream\": a whole number" },
	{ CHAT, "{\"model\":\"a\",\"max_tokens\":\"5\"}", "\"max_tokens\": a string" },
	{ CHAT, "{\"model\":\"a\",\"max_tokens\":1e3}", "\"max_tokens\": a number that is no whole number" },
	{ CHAT, "{\"model\":\"a\",\"max_tokens\":99999999999999999999}", "\"max_tokens\": a number that is no whole number" },
	{ CHAT, "{\"model\":\"a\",\"n\":0}", "\"n\": is 0" },
	{ CHAT, "{\"model\":\"a\",\"n\":-3}", "\"n\": is -3" },
	{ COMPLETIONS, "{\"model\":\"a\",\"best_of\":0}", "\"best_of\": is 0" },
	{ COMPLETIONS, "{\"model\":\"a\",\"prompt\":[\"a\",\"b\",\"c\"],\"n\":9223372036854775807}", "too many to count" },
	{ CHAT, "{\"model\":\"a\",\"messages\":{}}", "\"messages\": an object" },
	{ CHAT, "{\"model\":\"a\",\"stream_options\":true}", "\"stream_options\": true or false stands" },
	{ CHAT, "{\"model\":\"a\",\"stream_options\":{\"include_usage\":\"no\"}}", "include_usage\": a string" },
	{ RESPONSES, "{\"model\":\"a\",\"background\":true}", "\"background\": an answer made in the background" },
	{ RESPONSES, "{\"model\":\"a\",\"background\":\"true\"}", "\"background\"" },
	{ CHAT, "{\"model\":\"a\",\"web_search_options\":{}}", "\"web_search_options\"" },
	{ CHAT, "{\"model\":\"gpt-4o-search-preview\"}", "charged per search" },
	{ CHAT, "{\"model\":\"a\",\"models\":[\"b\",\"c\"]}", "\"models\": names several" },
	{ CHAT, "{\"model\":\"a\",\"fallbacks\":[\"b\"]}", "\"fallbacks\"" },
	{ CHAT, "{\"model\":\"a\",\"plugins\":[{\"id\":\"web\"}]}", "\"plugins\"" },
	{ CHAT, "{\"model\":\"a\",\"preset\":\"p\"}", "\"preset\"" },
	{ CHAT, "{\"model\":\"a\",\"search_parameters\":{\"mode\":\"auto\"}}", "\"search_parameters\"" },
	{ CHAT, "{\"model\":\"a\",\"deferred\":true}", "\"deferred\"" },
};

static void test_refusals(void **state)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = { 0 };
		struct ask a = { .model = "untouched" };
		int r = calls_ask(ops(), bad[i].ep, bad[i].body, &a, &e);

		if (r != -EINVAL || !strstr(e.text, bad[i].text))
			fail_msg("%s: %d \"%s\"", bad[i].body, r, e.text);
		assert_string_equal(a.model, "untouched");
	}
}

/* Present but empty: nothing to refuse. */
static void test_empty_is_absent(void **state)
{
	struct ask a;

	assert_int_equal(calls_ask(ops(), RESPONSES,
				   "{\"model\":\"a\",\"background\":false,\"models\":[],\"plugins\":null,\"deferred\":false}", &a,
				   NULL), 0);
}

static void test_too_deep(void **state)
{
	char body[512] = "{\"model\":\"m\",\"x\":";
	size_t n = strlen(body);
	struct err e = { 0 };
	struct ask a;

	memset(body + n, '[', 100);
	memset(body + n + 100, ']', 100);
	strcpy(body + n + 200, "}");
	assert_int_equal(calls_ask(ops(), CHAT, body, &a, &e), -EINVAL);
	assert_non_null(strstr(e.text, "too deep"));
}

/* ---- what is not in the body, and tools */

struct flag_case {
	enum endpoint ep;
	const char *rest; /* behind "model": "m" */
	bool hidden, unbounded, audio, reasoning;
	int64_t searches, files, code;
};

static const struct flag_case flags[] = {
	{ CHAT, "\"messages\":[{\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x/y.png\"}}]}]", .hidden = true },
	{ CHAT, "\"messages\":[{\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AA\"}}]}]", .hidden = true },
	{ CHAT, "\"messages\":[{\"content\":[{\"type\":\"image_url\",\"image_url\":\"https://x/y.png\"}]}]", .hidden = true },
	{ CHAT, "\"messages\":[{\"content\":[{\"type\":\"image_url\",\"imag\\u0065_url\":{\"url\":\"u\"}}]}]", .hidden = true },
	{ CHAT, "\"messages\":[{\"content\":[{\"type\":\"file\",\"file\":{\"file_id\":\"f\"}}]}]", .hidden = true },
	{ CHAT, "\"messages\":[{\"content\":[{\"type\":\"file\",\"file\":{\"file_data\":\"data:…\"}}]}]", .hidden = true },
	{ CHAT, "\"messages\":[{\"content\":[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AA\"}}]}]", .hidden = true, .audio = true },
	{ CHAT, "\"messages\":[{\"role\":\"assistant\",\"audio\":{\"id\":\"a\"}}]", .hidden = true, .audio = true },
	{ CHAT, "\"modalities\":[\"text\",\"audio\"],\"audio\":{\"voice\":\"alloy\"}", .audio = true },
	{ CHAT, "\"modalities\":[\"text\"]", .searches = 0 },
	/* a tool with parameters of these names is neither a picture nor a file */
	{ CHAT, "\"tools\":[{\"type\":\"function\",\"function\":{\"parameters\":{\"properties\":{\"image_url\":{\"type\":\"string\"},"
		"\"file_id\":{\"type\":\"string\"},\"url\":{\"type\":\"string\"}}}}}]", .searches = 0 },
	{ CHAT, "\"tools\":[{\"type\":\"function\"},{\"type\":\"custom\"},{\"function\":{}}]", .searches = 0 },
	{ CHAT, "\"tools\":[{\"type\":\"web_search\"}]", .hidden = true, .unbounded = true },
	{ CHAT, "\"tools\":[{\"type\":\"openrouter:web_search\"}],\"max_tool_calls\":2", .hidden = true, .unbounded = true },
	{ CHAT, "\"reasoning_effort\":\"low\"", .reasoning = true },
	{ CHAT, "\"reasoning_effort\":\"none\"", .searches = 0 },
	{ CHAT, "\"thinking\":{\"type\":\"enabled\"}", .reasoning = true },
	{ CHAT, "\"thinking\":{\"type\":\"disabled\"}", .searches = 0 },
	{ CHAT, "\"reasoning\":{\"enabled\":false}", .searches = 0 },
	{ RESPONSES, "\"reasoning\":{\"effort\":\"high\",\"summary\":null}", .reasoning = true },
	{ RESPONSES, "\"reasoning\":{\"effort\":null,\"summary\":null}", .searches = 0 },
	{ RESPONSES, "\"input\":[{\"content\":[{\"type\":\"input_image\",\"image_url\":\"u\"}]}]", .hidden = true },
	{ RESPONSES, "\"input\":[{\"content\":[{\"type\":\"input_image\",\"file_id\":\"f\"}]}]", .hidden = true },
	{ RESPONSES, "\"input\":[{\"content\":[{\"type\":\"input_file\",\"file_url\":\"u\"}]}]", .hidden = true },
	{ RESPONSES, "\"input\":[{\"type\":\"computer_call_output\",\"output\":{\"image_url\":\"u\"}}]", .hidden = true },
	{ RESPONSES, "\"input\":[{\"type\":\"item_reference\",\"id\":\"i\"}]", .hidden = true },
	{ RESPONSES, "\"input\":[{\"id\":\"i\",\"type\":\"reasoning\",\"summary\":[]}]", .hidden = true },
	{ RESPONSES, "\"input\":[{\"type\":\"reasoning\",\"encrypted_content\":\"AAAA\"},{\"type\":\"message\"}]", .searches = 0 },
	{ RESPONSES, "\"input\":[{\"type\":\"reasoning\",\"encrypted_content\":\"AAAA\"},{\"type\":\"reasoning\"}]", .hidden = true },
	{ RESPONSES, "\"previous_response_id\":\"r\"", .hidden = true },
	{ RESPONSES, "\"previous_response_id\":null", .searches = 0 },
	{ RESPONSES, "\"conversation\":{\"id\":\"c\"}", .hidden = true },
	{ RESPONSES, "\"conversation\":\"c\"", .hidden = true },
	{ RESPONSES, "\"prompt\":{\"id\":\"p\"}", .hidden = true, .unbounded = true },
	{ RESPONSES, "\"context_management\":[{\"type\":\"compaction\"}]", .unbounded = true },
	{ RESPONSES, "\"context_management\":[]", .searches = 0 },
	{ RESPONSES, "\"tools\":[{\"type\":\"function\"},{\"type\":\"computer_use_preview\"},{\"type\":\"local_shell\"}]", .searches = 0 },
	{ RESPONSES, "\"tools\":[{\"type\":\"web_search\"}]", .hidden = true, .unbounded = true, .searches = -1 },
	{ RESPONSES, "\"tools\":[{\"type\":\"web_search\"}],\"max_tool_calls\":4", .hidden = true, .searches = 4 },
	{ RESPONSES, "\"max_tool_calls\":4,\"tools\":[{\"type\":\"web_search_preview_2025_03_11\"}]", .hidden = true, .searches = 4 },
	{ RESPONSES, "\"tools\":[{\"type\":\"web_search\"}],\"max_tool_calls\":-1", .hidden = true, .unbounded = true, .searches = -1 },
	{ RESPONSES, "\"tools\":[{\"type\":\"mcp\"}]", .hidden = true, .unbounded = true },
	{ RESPONSES, "\"tools\":[{\"type\":\"mcp\"}],\"max_tool_calls\":4", .hidden = true },
	{ RESPONSES, "\"tools\":[{\"type\":\"file_search\"}],\"max_tool_calls\":4", .hidden = true, .files = 4 },
	{ RESPONSES, "\"tools\":[{\"type\":\"file_search\"}]", .hidden = true, .unbounded = true, .files = -1 },
	{ RESPONSES, "\"tools\":[{\"type\":\"code_interpreter\"}],\"max_tool_calls\":4", .hidden = true, .code = 4 },
	{ RESPONSES, "\"tools\":[{\"type\":\"code_interpreter\",\"container\":{\"type\":\"auto\",\"memory_limit\":\"1g\"}},{\"type\":\"web_search\"}],\"max_tool_calls\":2",
	  .hidden = true, .code = 2, .searches = 2 },
	{ CHAT, "\"tools\":[{\"type\":\"code_interpreter\"}],\"max_tool_calls\":2", .hidden = true, .unbounded = true },
	{ RESPONSES, "\"prompt_cache_options\":{\"mode\":\"explicit\",\"ttl\":\"30m\"}", .searches = 0 },
	{ RESPONSES, "\"tools\":[{\"type\":\"image_generation\"}],\"max_tool_calls\":4", .hidden = true, .unbounded = true },
	{ RESPONSES, "\"tools\":[{\"type\":\"from_next_year\"}],\"max_tool_calls\":4", .hidden = true, .unbounded = true },
	{ RESPONSES, "\"tools\":[{}],\"max_tool_calls\":4", .hidden = true, .unbounded = true },
	{ RESPONSES, "\"tools\":[null],\"max_tool_calls\":4", .hidden = true, .unbounded = true },
	/* the type of one tool is not the next one's */
	{ RESPONSES, "\"tools\":[{\"type\":\"function\"},{\"name\":\"x\"}],\"max_tool_calls\":4", .hidden = true, .unbounded = true },
	{ EMBEDDINGS, "\"input\":[{\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"u\"}}]}]", .hidden = true },
};

static void test_flags(void **state)
{
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		const struct flag_case *c = &flags[i];
		char body[1024];
		struct err e = { 0 };
		struct ask a;

		snprintf(body, sizeof(body), "{\"model\":\"m\",%s}", c->rest);
		if (calls_ask(ops(), c->ep, body, &a, &e) != 0)
			fail_msg("%s: %s", c->rest, e.text);
		if (a.input_hidden != c->hidden || a.unbounded_tools != c->unbounded || a.audio != c->audio ||
		    a.reasoning_asked != c->reasoning || a.max_searches != c->searches ||
		    a.max_file_searches != c->files || a.max_code_sessions != c->code)
			fail_msg("%s: hidden %d unbounded %d audio %d reasoning %d searches %lld", c->rest, a.input_hidden,
				 a.unbounded_tools, a.audio, a.reasoning_asked, (long long)a.max_searches);
	}
}

struct context_case {
	const char *tools, *want;
};

#define WEB "\"type\":\"web_search\""
static const struct context_case contexts[] = {
	{ "{" WEB "}", "medium" },
	{ "{" WEB ",\"search_context_size\":\"low\"}", "low" },
	{ "{\"search_context_size\":\"high\"," WEB "}", "high" },
	{ "{" WEB ",\"search_context_size\":null}", "medium" },
	{ "{" WEB ",\"search_context_size\":\"low\"},{" WEB ",\"search_context_size\":\"low\"}", "low" },
	{ "{" WEB ",\"search_context_size\":\"low\"},{" WEB "}", "" },
	{ "{" WEB ",\"search_context_size\":\"low\"},{" WEB "},{" WEB ",\"search_context_size\":\"low\"}", "" },
	{ "{" WEB ",\"search_context_size\":\"as-much-as-there-is\"}", "" },
	{ "{\"type\":\"function\",\"search_context_size\":\"low\"},{" WEB "}", "medium" },
	{ "{\"type\":\"function\"}", "" },
};

static void test_search_context(void **state)
{
	for (size_t i = 0; i < sizeof(contexts) / sizeof(contexts[0]); i++) {
		char body[512];
		struct ask a;

		snprintf(body, sizeof(body), "{\"model\":\"m\",\"max_tool_calls\":2,\"tools\":[%s]}", contexts[i].tools);
		assert_int_equal(calls_ask(ops(), RESPONSES, body, &a, NULL), 0);
		if (strcmp(a.search_context, contexts[i].want) != 0)
			fail_msg("%s: \"%s\"", contexts[i].tools, a.search_context);
	}
}

struct extra_case {
	enum endpoint ep;
	const char *rest;
	int64_t extra;
};

static const struct extra_case extras[] = {
	{ CHAT, "\"messages\":[]", 64 },
	{ CHAT, "\"messages\":[{\"content\":\"a\"},{\"content\":\"b\"}]", 64 + 32 },
	{ CHAT, "\"messages\":[{\"content\":\"a\"}],\"tools\":[{\"type\":\"function\"},{\"type\":\"function\"}]", 64 + 16 + 512 + 32 },
	{ CHAT, "\"functions\":[{}],\"tools\":[]", 64 + 512 + 16 },
	{ RESPONSES, "\"input\":\"hello\"", 64 },
	{ RESPONSES, "\"input\":[{},{},{}]", 64 + 48 },
	{ EMBEDDINGS, "\"input\":[\"a\",\"b\"]", 64 + 32 },
	{ EMBEDDINGS, "\"input\":[1,2,3,4,5]", 64 },
	{ EMBEDDINGS, "\"input\":[[1],[2]]", 64 + 32 },
	{ COMPLETIONS, "\"prompt\":[\"a\",\"b\"]", 64 + 32 },
};

static void test_extra_input(void **state)
{
	for (size_t i = 0; i < sizeof(extras) / sizeof(extras[0]); i++) {
		char body[512];
		struct ask a;

		snprintf(body, sizeof(body), "{\"model\":\"m\",%s}", extras[i].rest);
		assert_int_equal(calls_ask(ops(), extras[i].ep, body, &a, NULL), 0);
		if (a.extra_input_tokens != extras[i].extra)
			fail_msg("%s: %lld", extras[i].rest, (long long)a.extra_input_tokens);
	}
}

/* ---- edits */

struct edit_case {
	const char *body, *edited; /* NULL: not touched */
};

static const struct edit_case edits[] = {
	{ "{\"model\":\"m\",\"stream\":true}",
	  "{\"stream_options\":{\"include_usage\":true},\"model\":\"m\",\"stream\":true}" },
	{ " \r\n\t{ \"model\":\"m\",\"stream\":true}",
	  " \r\n\t{\"stream_options\":{\"include_usage\":true}, \"model\":\"m\",\"stream\":true}" },
	{ "{\"stream\":true,\"model\":\"m\",\"stream_options\":{}}",
	  "{\"stream\":true,\"model\":\"m\",\"stream_options\":{\"include_usage\":true}}" },
	{ "{\"stream\":true,\"model\":\"m\",\"stream_options\":{ \n}}",
	  "{\"stream\":true,\"model\":\"m\",\"stream_options\":{\"include_usage\":true \n}}" },
	{ "{\"stream_options\":{\"include_obfuscation\":false},\"stream\":true,\"model\":\"m\"}",
	  "{\"stream_options\":{\"include_usage\":true,\"include_obfuscation\":false},\"stream\":true,\"model\":\"m\"}" },
	{ "{\"stream_options\":{\"include_usage\":false},\"stream\":true,\"model\":\"m\"}",
	  "{\"stream_options\":{\"include_usage\":true},\"stream\":true,\"model\":\"m\"}" },
	{ "{\"stream_options\":{\"x\":1,\"include_usage\": null ,\"y\":2},\"stream\":true,\"model\":\"m\"}",
	  "{\"stream_options\":{\"x\":1,\"include_usage\": true ,\"y\":2},\"stream\":true,\"model\":\"m\"}" },
	{ "{\"stream_options\":null,\"stream\":true,\"model\":\"m\"}",
	  "{\"stream_options\":{\"include_usage\":true},\"stream\":true,\"model\":\"m\"}" },
	{ "{\"str\\u0065am_options\":{\"include\\u005fusage\":false},\"stream\":true,\"model\":\"m\"}",
	  "{\"str\\u0065am_options\":{\"include\\u005fusage\":true},\"stream\":true,\"model\":\"m\"}" },
	/* braces and keys inside strings are text */
	{ "{\"user\":\"{\\\"stream_options\\\":{}\",\"stream\":true,\"model\":\"m\"}",
	  "{\"stream_options\":{\"include_usage\":true},\"user\":\"{\\\"stream_options\\\":{}\",\"stream\":true,\"model\":\"m\"}" },
	{ "{\"metadata\":{\"stream_options\":{\"include_usage\":true}},\"stream\":true,\"model\":\"m\"}",
	  "{\"stream_options\":{\"include_usage\":true},\"metadata\":{\"stream_options\":{\"include_usage\":true}},\"stream\":true,\"model\":\"m\"}" },
	{ "{\"stream_options\":{\"include_usage\":true},\"stream\":true,\"model\":\"m\"}", NULL },
	{ "{\"model\":\"m\",\"stream\":false}", NULL },
	{ "{\"model\":\"m\",\"stream\":null}", NULL },
	{ "{\"model\":\"m\"}", NULL },
	{ "{\"model\":\"m\",\"stream_options\":{\"include_usage\":false}}", NULL },
};

static void test_edits(void **state)
{
	static const enum endpoint both[] = { CHAT, COMPLETIONS };

	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++)
		for (size_t k = 0; k < 2; k++) {
			const struct edit_case *c = &edits[i];
			struct ask a, again;

			assert_int_equal(calls_ask(ops(), both[k], c->body, &a, NULL), 0);
			assert_int_equal(a.hide_usage, c->edited != NULL);
			assert_int_equal(a.nedits, c->edited != NULL);
			assert_string_equal(calls_edited(c->body, &a), c->edited ? c->edited : c->body);
			if (!c->edited)
				continue;
			/* What goes out needs no edit any more, and is good JSON. */
			assert_int_equal(calls_ask(ops(), both[k], c->edited, &again, NULL), 0);
			assert_int_equal(again.nedits, 0);
		}
}

static void test_no_edits(void **state)
{
	static const char body[] = "{\"model\":\"m\",\"stream\":true}";
	struct ask a;

	/* Responses always report; a reporting host must not be asked. */
	assert_int_equal(calls_ask(ops(), RESPONSES, body, &a, NULL), 0);
	assert_true(a.stream && !a.hide_usage && a.nedits == 0);
	assert_int_equal(calls_ask(provider_find("openai-reporting"), CHAT, body, &a, NULL), 0);
	assert_true(a.stream && !a.hide_usage && a.nedits == 0);
	assert_int_equal(calls_ask(provider_find("openai-compatible"), CHAT, body, &a, NULL), 0);
	assert_true(a.stream && a.hide_usage && a.nedits == 1);
}

/* A body cut anywhere is refused, and never read past. */
static void test_cut_bodies(void **state)
{
	static const char body[] = "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":false},"
				   "\"tools\":[{\"type\":\"function\"}],\"messages\":[{\"content\":\"\\u00e9\"}]}";

	for (size_t n = 0; n < sizeof(body) - 1; n++) {
		char *p = calls_padded((struct str){ .p = body, .n = n });
		struct ask a;

		assert_int_equal(ops()->read_request(calls_json, CHAT, p, n, &a, NULL), -EINVAL);
		free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),	     cmocka_unit_test(test_completions_elsewhere),
		cmocka_unit_test(test_refusals),     cmocka_unit_test(test_empty_is_absent),
		cmocka_unit_test(test_too_deep),     cmocka_unit_test(test_flags), cmocka_unit_test(test_search_context),
		cmocka_unit_test(test_extra_input),  cmocka_unit_test(test_edits),
		cmocka_unit_test(test_no_edits),     cmocka_unit_test(test_cut_bodies),
	};

	return cmocka_run_group_tests(tests, calls_setup, calls_teardown);
}
