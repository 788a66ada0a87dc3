// SPDX-License-Identifier: Apache-2.0
/* test_openai_answer.c: reports from whole and streamed answers in the OpenAI shape, and what agents see of streams. */
#include "calls.h"

#include <errno.h>

#define COMPLETIONS ENDPOINT_OPENAI_COMPLETIONS
#define EMBEDDINGS ENDPOINT_OPENAI_EMBEDDINGS

static const struct provider_ops *ops(void)
{
	return provider_find("openai");
}

/* What a report is expected to say; everything not named is zero. */
struct want {
	bool seen, failed, ended, hidden, said;
	const char *model; /* NULL = "" */
	enum tier tier;
	struct usage u;
	int64_t bytes;
	bool begun; /* output, though no text of it */
	size_t parts;
	bool overflow;
};

static void check(const char *name, const struct report *r, const struct want *w)
{
	const char *model = w->model ? w->model : "";

	if (r->seen != w->seen || r->failed != w->failed || r->ended != w->ended || r->reasoning_hidden != w->hidden ||
	    r->tier != w->tier || r->tier_said != w->said || strcmp(r->model, model) != 0)
		fail_msg("%s: seen %d failed %d ended %d hidden %d tier %d (%d) model \"%s\"", name, r->seen, r->failed,
			 r->ended, r->reasoning_hidden, r->tier, r->tier_said, r->model);
	if (w->seen && memcmp(&r->usage, &w->u, sizeof(w->u)) != 0)
		fail_msg("%s: input %lld read %lld w5 %lld w1 %lld output %lld reasoning %lld audio %lld/%lld searches %lld", name,
			 (long long)r->usage.input, (long long)r->usage.cache_read, (long long)r->usage.cache_write_5m,
			 (long long)r->usage.cache_write_1h, (long long)r->usage.output, (long long)r->usage.reasoning,
			 (long long)r->usage.audio_input, (long long)r->usage.audio_output,
			 (long long)r->usage.web_searches);
	if (r->output_bytes != w->bytes || r->output_seen != (w->bytes > 0 || w->begun) || r->nparts != w->parts ||
	    r->parts_overflow != w->overflow)
		fail_msg("%s: bytes %lld parts %zu overflow %d", name, (long long)r->output_bytes, r->nparts,
			 r->parts_overflow);
}

/* ---- whole answers */

struct answer_case {
	const char *name;
	enum endpoint ep;
	const char *body;
	struct want want;
};

static const struct answer_case answers[] = {
	{ "chat", CHAT,
	  "{\"model\":\"m-1\",\"service_tier\":\"default\",\"choices\":[{\"message\":{\"content\":\"h\\u00e9\",\"refusal\":null}}],"
	  "\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":5,\"total_tokens\":25,\"prompt_tokens_details\":{\"cached_tokens\":8,"
	  "\"audio_tokens\":2},\"completion_tokens_details\":{\"reasoning_tokens\":3,\"audio_tokens\":1}}}",
	  { .seen = true, .ended = true, .said = true, .model = "m-1", .bytes = 3,
	    .u = { .input = 20, .cache_read = 8, .output = 5, .reasoning = 3, .audio_input = 2, .audio_output = 1 } } },
	{ "chat tools", CHAT,
	  "{\"model\":\"m\",\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[{\"function\":{\"name\":\"ab\",\"arguments\":\"{}\"}}]}}],"
	  "\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":1}}",
	  { .seen = true, .ended = true, .model = "m", .bytes = 4, .u = { .input = 2, .output = 1 } } },
	{ "no usage", CHAT, "{\"model\":\"m\",\"choices\":[{\"message\":{\"content\":\"hi\"}}]}",
	  { .ended = true, .model = "m", .bytes = 2 } },
	{ "null usage", CHAT, "{\"model\":\"m\",\"choices\":[{\"message\":{\"content\":\"hi\"}}],\"usage\":null}",
	  { .ended = true, .model = "m", .bytes = 2 } },
	{ "zero usage", CHAT,
	  "{\"model\":\"m\",\"choices\":[{\"message\":{\"content\":\"hi\"}}],\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0,\"total_tokens\":0}}",
	  { .ended = true, .model = "m", .bytes = 2 } },
	{ "zero output beside text", CHAT,
	  "{\"model\":\"m\",\"choices\":[{\"message\":{\"content\":\"hi\"}}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":0}}",
	  { .ended = true, .model = "m", .bytes = 2 } },
	{ "zero input", CHAT, "{\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":4}}",
	  { .ended = true, .model = "m" } },
	{ "refused without output", CHAT, "{\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":0}}",
	  { .seen = true, .ended = true, .model = "m", .u = { .input = 9 } } },
	{ "negative", CHAT, "{\"model\":\"m\",\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":-4}}", { .ended = true, .model = "m" } },
	{ "fraction", CHAT, "{\"model\":\"m\",\"usage\":{\"prompt_tokens\":9.5,\"completion_tokens\":4}}", { .ended = true, .model = "m" } },
	{ "string", CHAT, "{\"model\":\"m\",\"usage\":{\"prompt_tokens\":\"9\",\"completion_tokens\":4}}", { .ended = true, .model = "m" } },
	{ "huge", CHAT, "{\"model\":\"m\",\"usage\":{\"prompt_tokens\":1000000001,\"completion_tokens\":4}}", { .ended = true, .model = "m" } },
	{ "most", CHAT, "{\"model\":\"m\",\"usage\":{\"prompt_tokens\":1000000000,\"completion_tokens\":4}}",
	  { .seen = true, .ended = true, .model = "m", .u = { .input = 1000000000, .output = 4 } } },
	{ "sum over the maximum", CHAT,
	  "{\"model\":\"m\",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":900000000,\"total_tokens\":1800000001,"
	  "\"completion_tokens_details\":{\"reasoning_tokens\":900000000}}}", { .ended = true, .model = "m" } },
	{ "twice in one object: the dearer", CHAT,
	  "{\"model\":\"m\",\"usage\":{\"prompt_tokens\":9,\"prompt_tokens\":8,\"completion_tokens\":1,\"completion_tokens\":4,\"prompt_tokens_details\":"
	  "{\"cached_tokens\":2,\"cached_tokens\":7}}}",
	  { .seen = true, .ended = true, .model = "m", .u = { .input = 9, .cache_read = 2, .output = 4 } } },
	{ "xAI: reasoning outside", CHAT,
	  "{\"model\":\"x\",\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":45,\"prompt_tokens_details\":{\"cached_tokens\":4},"
	  "\"completion_tokens_details\":{\"reasoning_tokens\":30}}}",
	  { .seen = true, .ended = true, .model = "x", .u = { .input = 10, .cache_read = 4, .output = 35, .reasoning = 30 } } },
	{ "Gemini: thinking only in the total", CHAT,
	  "{\"model\":\"x\",\"usage\":{\"prompt_tokens\":35,\"completion_tokens\":12,\"total_tokens\":109}}",
	  { .seen = true, .ended = true, .model = "x", .u = { .input = 35, .output = 74 } } },
	{ "a total that explains nothing", CHAT,
	  "{\"model\":\"x\",\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":1015,\"prompt_tokens_details\":{\"cached_tokens\":1000}}}",
	  { .seen = true, .ended = true, .model = "x", .u = { .input = 10, .cache_read = 1000, .output = 5 } } },
	{ "DeepSeek", CHAT,
	  "{\"model\":\"d\",\"choices\":[{\"message\":{\"content\":\"ab\",\"reasoning_content\":\"cde\"}}],\"usage\":{\"prompt_tokens\":17,\"completion_tokens\":47,"
	  "\"total_tokens\":64,\"prompt_cache_hit_tokens\":5,\"prompt_cache_miss_tokens\":12}}",
	  { .seen = true, .ended = true, .model = "d", .bytes = 5, .u = { .input = 17, .cache_read = 5, .output = 47 } } },
	{ "cache writes", CHAT,
	  "{\"model\":\"d\",\"usage\":{\"prompt_tokens\":17,\"completion_tokens\":4,\"prompt_tokens_details\":{\"cached_tokens\":null,\"cache_write_tokens\":9}}}",
	  { .seen = true, .ended = true, .model = "d", .u = { .input = 17, .cache_write_5m = 9, .output = 4 } } },
	{ "Groq compound", CHAT,
	  "{\"model\":\"c\",\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":6},\"usage_breakdown\":{\"models\":["
	  "{\"model\":\"a\",\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":2}},{\"model\":\"b\",\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":4}}]}}",
	  { .seen = true, .ended = true, .model = "c", .parts = 2, .u = { .input = 30, .output = 6 } } },
	{ "a part is missing", CHAT,
	  "{\"model\":\"c\",\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":6},\"usage_breakdown\":{\"models\":["
	  "{\"model\":\"a\",\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":2}}]}}",
	  { .seen = true, .ended = true, .model = "c", .parts = 1, .overflow = true, .u = { .input = 30, .output = 6 } } },
	{ "hidden reasoning by model", CHAT, "{\"model\":\"openai/gpt-5-mini\",\"choices\":[]}",
	  { .ended = true, .hidden = true, .model = "openai/gpt-5-mini" } },
	{ "error in a 200", CHAT, "{\"error\":{\"message\":\"no\"}}", { .failed = true, .ended = true } },
	{ "error as a string", CHAT, "{\"code\":\"x\",\"error\":\"no\"}", { .failed = true, .ended = true } },
	{ "error null", CHAT, "{\"error\":null,\"model\":\"m\"}", { .ended = true, .model = "m" } },
	{ "tiers", CHAT, "{\"service_tier\":\"flex\"}", { .ended = true, .said = true, .tier = TIER_FLEX } },
	{ "tiers", CHAT, "{\"service_tier\":\"priority\"}", { .ended = true, .said = true, .tier = TIER_PRIORITY } },
	{ "tiers", CHAT, "{\"service_tier\":\"scale\"}", { .ended = true, .said = true, .tier = TIER_UNKNOWN } },
	{ "tiers", CHAT, "{\"service_tier\":\"auto\"}", { .ended = true } },
	{ "tiers", CHAT, "{\"service_tier\":null}", { .ended = true } },
	{ "completions", COMPLETIONS,
	  "{\"model\":\"m\",\"choices\":[{\"text\":\"abc\"},{\"text\":\"d\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7,\"total_tokens\":12}}",
	  { .seen = true, .ended = true, .model = "m", .bytes = 4, .u = { .input = 5, .output = 7 } } },
	{ "embeddings", EMBEDDINGS,
	  "{\"model\":\"e\",\"data\":[{\"embedding\":[0.1,-2e-3]}],\"usage\":{\"prompt_tokens\":5,\"total_tokens\":5}}",
	  { .seen = true, .ended = true, .model = "e", .u = { .input = 5 } } },
	{ "embeddings with an odd total", EMBEDDINGS, "{\"model\":\"e\",\"usage\":{\"prompt_tokens\":5,\"total_tokens\":9}}",
	  { .seen = true, .ended = true, .model = "e", .u = { .input = 5 } } },
	{ "responses", RESPONSES,
	  "{\"model\":\"m\",\"status\":\"completed\",\"error\":null,\"service_tier\":\"flex\",\"output\":[{\"type\":\"reasoning\",\"summary\":[{\"text\":\"a\"}]},"
	  "{\"type\":\"web_search_call\",\"action\":{\"type\":\"search\"}},{\"type\":\"web_search_call\",\"action\":{\"type\":\"open_page\"}},"
	  "{\"type\":\"web_search_call\"},{\"type\":\"function_call\",\"arguments\":\"{}\"},"
	  "{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"hello\"}]}],"
	  "\"usage\":{\"input_tokens\":50,\"input_tokens_details\":{\"cached_tokens\":10,\"cache_write_tokens\":20},\"output_tokens\":30,"
	  "\"output_tokens_details\":{\"reasoning_tokens\":25},\"total_tokens\":80}}",
	  { .seen = true, .ended = true, .hidden = true, .said = true, .tier = TIER_FLEX, .model = "m", .bytes = 8,
	    .u = { .input = 50, .cache_read = 10, .cache_write_5m = 20, .output = 30, .reasoning = 25, .web_searches = 2 } } },
	{ "responses that count searches", RESPONSES,
	  "{\"model\":\"m\",\"status\":\"completed\",\"output\":[],\"usage\":{\"input_tokens\":5,\"output_tokens\":3},\"tool_usage\":{\"web_search\":{\"num_requests\":4}}}",
	  { .seen = true, .ended = true, .model = "m", .u = { .input = 5, .output = 3, .web_searches = 4 } } },
	{ "responses incomplete with zeros", RESPONSES,
	  "{\"model\":\"m\",\"status\":\"incomplete\",\"output\":[],\"usage\":{\"input_tokens\":0,\"output_tokens\":0,\"total_tokens\":0}}",
	  { .ended = true, .model = "m" } },
	{ "responses failed", RESPONSES, "{\"model\":\"m\",\"status\":\"failed\",\"error\":{\"code\":\"x\"},\"usage\":null}",
	  { .failed = true, .ended = true, .model = "m" } },
	{ "responses not done", RESPONSES, "{\"model\":\"m\",\"status\":\"queued\",\"usage\":null}", { .model = "m" } },
	{ "effort", RESPONSES, "{\"model\":\"m\",\"status\":\"completed\",\"reasoning\":{\"effort\":\"low\"}}",
	  { .ended = true, .hidden = true, .model = "m" } },
	{ "escaped keys", CHAT, "{\"mod\\u0065l\":\"m\",\"us\\u0061ge\":{\"prompt_tokens\":3,\"c\\u006fmpletion_tokens\":4}}",
	  { .seen = true, .ended = true, .model = "m", .u = { .input = 3, .output = 4 } } },
	{ "usage elsewhere is not usage", CHAT, "{\"model\":\"m\",\"choices\":[{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}]}",
	  { .ended = true, .model = "m" } },
	{ "an empty model", CHAT, "{\"model\":\"\",\"choices\":[]}", { .ended = true } },
};

static void test_answers(void **state)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		const struct answer_case *c = &answers[i];
		struct report r;

		report_init(&r);
		assert_int_equal(calls_answer(ops(), c->ep, c->body, &r), 0);
		check(c->name, &r, &c->want);
	}
}

static void test_unreadable_answers(void **state)
{
	static const char *const bodies[] = { "", "x", "{", "{\"model\":\"m\",\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":5}} x",
					      "{\"model\":\"m\",\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":5}" };
	struct report r, before;

	report_init(&before);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		report_init(&r);
		assert_int_equal(calls_answer(ops(), CHAT, bodies[i], &r), -EINVAL);
		assert_memory_equal(&r, &before, sizeof(r));
	}
}

/* Seventeen parts do not fit: the cost is then unknown, never a sum of the first sixteen. */
static void test_many_parts(void **state)
{
	char body[4096] = "{\"model\":\"c\",\"usage\":{\"prompt_tokens\":17,\"completion_tokens\":17},\"usage_breakdown\":{\"models\":[";
	struct report r;

	for (int n = 0; n < 17; n++) {
		strcat(body, n ? "," : "");
		strcat(body, "{\"model\":\"a\",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}");
	}
	strcat(body, "]}}");
	report_init(&r);
	assert_int_equal(calls_answer(ops(), CHAT, body, &r), 0);
	assert_true(r.parts_overflow);
	assert_int_equal(r.nparts, USAGE_PARTS_MAX);
}

/* ---- streams */

struct event {
	const char *name, *data;
	const char *seen; /* with hide_usage: NULL = as data; "" = hidden */
};

struct stream_case {
	const char *name;
	enum endpoint ep;
	struct event events[12];
	struct want want;
};

#define C(delta) "{\"model\":\"m\",\"choices\":[{\"delta\":{" delta "}}]"
#define USAGE "\"usage\":{\"prompt_tokens\":13,\"completion_tokens\":20,\"total_tokens\":33}"

static const struct stream_case streams[] = {
	{ "OpenAI", CHAT,
	  { { "", C("\"role\":\"assistant\",\"content\":\"\"") ",\"usage\":null}", C("\"role\":\"assistant\",\"content\":\"\"") "}" },
	    { "", C("\"content\":\"Not\"") ",\"usage\":null}", C("\"content\":\"Not\"") "}" },
	    { "", "{\"usage\":null,\"choices\":[{\"delta\":{\"content\":\" much\"}}]}", "{\"choices\":[{\"delta\":{\"content\":\" much\"}}]}" },
	    { "", "{\"choices\":[{\"delta\":{}}] , \"usage\" : null , \"x\":1}", "{\"choices\":[{\"delta\":{}}]  , \"x\":1}" },
	    { "", "{\"model\":\"m\",\"service_tier\":\"default\",\"choices\":[]," USAGE "}", "" },
	    { "", "[DONE]", NULL } },
	  { .seen = true, .ended = true, .said = true, .model = "m", .bytes = 8, .u = { .input = 13, .output = 20 } } },
	{ "Azure", CHAT,
	  { { "", "{\"choices\":[],\"model\":\"\",\"prompt_filter_results\":[{}]}", NULL },
	    { "", C("\"content\":\"a\"") ",\"usage\":null}", C("\"content\":\"a\"") "}" },
	    { "", "{\"choices\":[],\"model\":\"m\",\"obfuscation\":\"xx\"," USAGE "}", "" },
	    { "", "[DONE]", NULL } },
	  { .seen = true, .ended = true, .model = "m", .bytes = 1, .u = { .input = 13, .output = 20 } } },
	{ "usage in the last chunk with choices", CHAT,
	  { { "", C("\"content\":\"a\"") "}", NULL },
	    { "", C("\"content\":\"\"") "," USAGE "}", C("\"content\":\"\"") "}" },
	    { "", C("") "}", NULL },
	    { "", "[DONE]", NULL } },
	  { .seen = true, .ended = true, .model = "m", .bytes = 1, .u = { .input = 13, .output = 20 } } },
	{ "cumulative: the last, never the sum", CHAT,
	  { { "", "{\"model\":\"m\",\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":1},\"choices\":[{\"delta\":{\"content\":\"a\"}}]}",
	      "{\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}" },
	    { "", "{\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":2},\"choices\":[{\"delta\":{\"content\":\"b\"}}]}",
	      "{\"choices\":[{\"delta\":{\"content\":\"b\"}}]}" },
	    { "", "{\"object\":\"chat.completion.done\",\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":3},\"choices\":[{\"delta\":{\"content\":\"\"}}]}",
	      "{\"object\":\"chat.completion.done\",\"choices\":[{\"delta\":{\"content\":\"\"}}]}" } },
	  { .seen = true, .ended = true, .model = "m", .bytes = 2, .u = { .input = 11, .output = 3 } } },
	{ "later values replace, null does not", CHAT,
	  { { "", "{\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":9,\"prompt_tokens_details\":{\"cached_tokens\":5}}}", "" },
	    { "", "{\"choices\":[],\"usage\":{\"prompt_tokens\":null,\"completion_tokens\":4,\"prompt_tokens_details\":null}}", "" },
	    { "", "{\"choices\":[],\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}}", "" },
	    { "", "[DONE]", NULL } },
	  { .seen = true, .ended = true, .u = { .input = 11, .cache_read = 5, .output = 4 } } },
	{ "Groq: the same figures twice", CHAT,
	  { { "", C("\"reasoning\":\"We\"") "}", NULL },
	    { "", "{\"model\":\"m\",\"choices\":[{\"delta\":{}}],\"x_groq\":{\"id\":\"r\",\"usage\":{\"queue_time\":0.5,\"prompt_tokens\":13,\"completion_tokens\":20}}," USAGE "}",
	      "{\"model\":\"m\",\"choices\":[{\"delta\":{}}],\"x_groq\":{\"id\":\"r\",\"usage\":{\"queue_time\":0.5,\"prompt_tokens\":13,\"completion_tokens\":20}}}" },
	    { "", "[DONE]", NULL } },
	  { .seen = true, .ended = true, .model = "m", .bytes = 2, .u = { .input = 13, .output = 20 } } },
	{ "Groq: x_groq only", CHAT,
	  { { "", "{\"model\":\"m\",\"choices\":[{\"delta\":{}}],\"x_groq\":{\"usage\":{\"prompt_tokens\":13,\"completion_tokens\":20}}}", NULL },
	    { "", "[DONE]", NULL } },
	  { .seen = true, .ended = true, .model = "m", .u = { .input = 13, .output = 20 } } },
	{ "a breakdown said again: the last", CHAT,
	  { { "", "{\"choices\":[{}],\"usage_breakdown\":{\"models\":[{\"model\":\"a\",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}]}}", NULL },
	    { "", "{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":3},\"x_groq\":{\"usage_breakdown\":{\"models\":[{\"model\":\"a\",\"usage\":{\"prompt_tokens\":1,"
	      "\"completion_tokens\":1}},{\"model\":\"b\",\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":2}}]}}}", "" } },
	  { .seen = true, .parts = 2, .u = { .input = 3, .output = 3 } } },
	{ "Mistral thinking", CHAT,
	  { { "", C("\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"Okay\"}]}]") "}", NULL },
	    { "", C("\"content\":\"x\"") ",\"p\":\"abcdef\"}", NULL },
	    { "", "[DONE]", NULL } },
	  { .ended = true, .model = "m", .bytes = 5 } },
	{ "no usage at all", CHAT,
	  { { "", C("\"content\":\"abcd\"") "}", NULL }, { "", "[DONE]", NULL } },
	  { .ended = true, .model = "m", .bytes = 4 } },
	{ "cut", CHAT, { { "", C("\"content\":\"abcd\"") ",\"usage\":null}", C("\"content\":\"abcd\"") "}" } }, { .model = "m", .bytes = 4 } },
	{ "an early usage that output overtakes", CHAT,
	  { { "", C("\"role\":\"a\"") ",\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":0}}", C("\"role\":\"a\"") "}" },
	    { "", C("\"content\":\"abcd\"") "}", NULL } },
	  { .model = "m", .bytes = 4 } },
	{ "error mid-stream", CHAT,
	  { { "", C("\"content\":\"a\"") "}", NULL },
	    { "error", "{\"error\":{\"message\":\"no\",\"status_code\":400}}", NULL } },
	  { .failed = true, .model = "m", .bytes = 1 } },
	{ "error with usage: shown as it is, charged", CHAT,
	  { { "", "{\"model\":\"m\",\"error\":{\"code\":502},\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]," USAGE "}", NULL } },
	  { .seen = true, .failed = true, .model = "m", .u = { .input = 13, .output = 20 } } },
	{ "error event that is no JSON", CHAT, { { "error", "boom", NULL } }, { .failed = true } },
	{ "unreadable data changes nothing", CHAT,
	  { { "", "{\"model\":\"m\"", NULL }, { "", "", NULL }, { "", "{\"choices\":[],\"usage\":{\"prompt_tokens\":5,", NULL }, { "", "[DONE", NULL } },
	  { 0 } },
	{ "[DONE] with blanks", CHAT, { { "", " [DONE]\t", NULL } }, { .ended = true } },
	{ "tool calls", CHAT,
	  { { "", C("\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\"}}]") "}", NULL },
	    { "", C("\"function_call\":{\"arguments\":\"xy\"},\"refusal\":\"z\"") "}", NULL } },
	  { .model = "m", .bytes = 1 + 3 + 2 + 1 } },
	{ "legacy completions", COMPLETIONS,
	  { { "", "{\"model\":\"m\",\"choices\":[{\"text\":\"ab\"}],\"usage\":null}", "{\"model\":\"m\",\"choices\":[{\"text\":\"ab\"}]}" },
	    { "", "{\"model\":\"m\",\"choices\":[]," USAGE "}", "" },
	    { "", "[DONE]", NULL } },
	  { .seen = true, .ended = true, .model = "m", .bytes = 2, .u = { .input = 13, .output = 20 } } },
	{ "escaped usage key", CHAT,
	  { { "", "{\"choices\":[],\"us\\u0061ge\":{\"prompt_tokens\":13,\"completion_tokens\":20}}", "" },
	    { "", "{\"choices\":[{}],\"us\\u0061ge\":null}", "{\"choices\":[{}]}" } },
	  { .seen = true, .u = { .input = 13, .output = 20 } } },
	{ "usage twice in one chunk: not ours to cut", CHAT, { { "", "{\"choices\":[{}],\"usage\":null,\"usage\":null}", NULL } }, { 0 } },
	{ "only usage", CHAT, { { "", "{" USAGE "}", "" } }, { .seen = true, .u = { .input = 13, .output = 20 } } },
	{ "Responses", RESPONSES,
	  { { "response.created", "{\"type\":\"response.created\",\"response\":{\"model\":\"m\",\"service_tier\":\"auto\",\"status\":\"in_progress\",\"error\":null,\"usage\":null}}", NULL },
	    { "response.output_text.delta", "{\"type\":\"response.output_text.delta\",\"delta\":\"Hel\"}", NULL },
	    { "response.output_text.delta", "{\"delta\":\"lo\",\"type\":\"response.output_text.delta\"}", NULL },
	    { "", "{\"type\":\"response.function_call_arguments.delta\",\"delta\":\"{}\"}", NULL },
	    { "response.output_text.done", "{\"type\":\"response.output_text.done\",\"text\":\"Hello\"}", NULL },
	    { "response.output_item.added", "{\"type\":\"response.output_item.added\",\"item\":{\"type\":\"web_search_call\"}}", NULL },
	    { "response.output_item.done", "{\"item\":{\"action\":{\"type\":\"search\"},\"type\":\"web_search_call\"},\"type\":\"response.output_item.done\"}", NULL },
	    { "response.output_item.done", "{\"type\":\"response.output_item.done\",\"item\":{\"type\":\"web_search_call\",\"action\":{\"type\":\"open_page\"}}}", NULL },
	    { "response.completed", "{\"type\":\"response.completed\",\"response\":{\"model\":\"m-2\",\"service_tier\":\"default\",\"output\":[{\"type\":\"web_search_call\",\"action\":{\"type\":\"search\"}}],"
	      "\"usage\":{\"input_tokens\":9,\"output_tokens\":12,\"total_tokens\":21}}}", NULL } },
	  { .seen = true, .ended = true, .said = true, .model = "m-2", .bytes = 7, .u = { .input = 9, .output = 12, .web_searches = 1 } } },
	{ "Responses, names only in the SSE line", RESPONSES,
	  { { "response.output_text.delta", "{\"delta\":\"abc\"}", NULL },
	    { "response.incomplete", "{\"response\":{\"model\":\"m\",\"usage\":{\"input_tokens\":9,\"output_tokens\":12}}}", NULL } },
	  { .seen = true, .ended = true, .model = "m", .bytes = 3, .u = { .input = 9, .output = 12 } } },
	{ "Responses, reasoning that no text shows", RESPONSES,
	  { { "", "{\"type\":\"response.created\",\"response\":{\"model\":\"m\",\"reasoning\":{\"effort\":\"medium\"}}}", NULL },
	    { "", "{\"type\":\"response.output_text.delta\",\"delta\":\"a\"}", NULL } },
	  { .hidden = true, .model = "m", .bytes = 1 } },
	{ "Responses, reasoning shown", RESPONSES,
	  { { "", "{\"type\":\"response.output_item.added\",\"item\":{\"type\":\"reasoning\"}}", NULL },
	    { "", "{\"type\":\"response.reasoning_text.delta\",\"delta\":\"abc\"}", NULL },
	    { "", "{\"type\":\"response.output_item.done\",\"item\":{\"type\":\"reasoning\"}}", NULL } },
	  { .bytes = 3 } },
	{ "Responses, a summary shows not all", RESPONSES,
	  { { "", "{\"type\":\"response.output_item.added\",\"item\":{\"type\":\"reasoning\"}}", NULL },
	    { "", "{\"type\":\"response.reasoning_summary_text.delta\",\"delta\":\"abc\"}", NULL } },
	  { .hidden = true, .bytes = 3 } },
	{ "Responses quota error", RESPONSES,
	  { { "", "{\"type\":\"response.created\",\"response\":{\"model\":\"m\",\"usage\":null}}", NULL },
	    { "error", "{\"type\":\"error\",\"error\":{\"code\":\"insufficient_quota\"}}", NULL },
	    { "response.failed", "{\"type\":\"response.failed\",\"response\":{\"model\":\"m\",\"error\":{\"code\":\"insufficient_quota\"},\"usage\":null}}", NULL } },
	  { .failed = true, .ended = true, .model = "m" } },
	{ "Responses failed after reasoning: output began", RESPONSES,
	  { { "", "{\"type\":\"response.output_item.added\",\"item\":{\"type\":\"reasoning\",\"summary\":[]}}", NULL },
	    { "", "{\"type\":\"response.failed\",\"response\":{\"usage\":null}}", NULL } },
	  { .failed = true, .ended = true, .hidden = true, .begun = true } },
	{ "encrypted reasoning", CHAT,
	  { { "", C("\"content\":\"\",\"reasoning\":null,\"reasoning_details\":[{\"type\":\"reasoning.encrypted\",\"data\":\"AAAA\"}]") "}", NULL } },
	  { .hidden = true, .begun = true, .model = "m" } },
	{ "Responses failed after work: charged", RESPONSES,
	  { { "", "{\"type\":\"response.output_text.delta\",\"delta\":\"a\"}", NULL },
	    { "", "{\"type\":\"response.failed\",\"response\":{\"model\":\"m\",\"usage\":{\"input_tokens\":9,\"output_tokens\":12}}}", NULL } },
	  { .seen = true, .failed = true, .ended = true, .model = "m", .bytes = 1, .u = { .input = 9, .output = 12 } } },
	{ "xAI counts server tools", RESPONSES,
	  { { "", "{\"type\":\"response.completed\",\"response\":{\"model\":\"g\",\"output\":[{\"type\":\"web_search_call\"}],\"usage\":{\"input_tokens\":9,\"output_tokens\":12,"
	      "\"num_server_side_tools_used\":3}}}", NULL } },
	  { .seen = true, .ended = true, .begun = true, .model = "g", .u = { .input = 9, .output = 12, .web_searches = 3 } } },
	{ "Responses usage is not hidden", RESPONSES,
	  { { "", "{\"type\":\"response.completed\",\"response\":{},\"usage\":null}", NULL } }, { .ended = true } },
};

/* Plays the stream; with hide_usage compares what the agent sees. */
static void play(const struct stream_case *c, bool hide, struct report *r)
{
	struct ask ask = { .model = "m", .stream = true, .hide_usage = hide };

	report_init(r);
	for (size_t i = 0; i < 12 && c->events[i].data; i++) {
		const struct event *ev = &c->events[i];
		struct event_verdict v = calls_event(ops(), c->ep, &ask, ev->name, str_of(ev->data), r);
		const char *seen = calls_seen(ev->data, &v);
		const char *want = !hide || !ev->seen ? ev->data : ev->seen[0] ? ev->seen : NULL;

		if ((seen == NULL) != (want == NULL) || (seen && strcmp(seen, want) != 0))
			fail_msg("%s, event %zu: agent sees %s", c->name, i, seen ? seen : "nothing");
	}
}

static void test_streams(void **state)
{
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		struct report r, shown;

		play(&streams[i], true, &r);
		check(streams[i].name, &r, &streams[i].want);
		play(&streams[i], false, &shown); /* an agent that asked for usage itself sees all of it */
		calls_same_report(&r, &shown);
	}
}

/* An event cut anywhere changes nothing and hides nothing. */
static void test_cut_events(void **state)
{
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++)
		for (size_t k = 0; k < 12 && streams[i].events[k].data; k++) {
			struct str data = str_of(streams[i].events[k].data);
			struct ask ask = { .hide_usage = true };

			if (data.p[0] != '{')
				continue;
			for (size_t n = 0; n < data.n; n++) {
				struct report r, before;
				struct event_verdict v;

				if (data.p[n] == '{' && n == 0)
					continue;
				report_init(&r);
				before = r;
				v = calls_event(ops(), streams[i].ep, &ask, "", (struct str){ .p = data.p, .n = n }, &r);
				assert_memory_equal(&r, &before, sizeof(r));
				assert_true(!v.hide && v.cut == 0);
			}
		}
}

/* What is left after a cut is good JSON without that member. */
static void test_cut_leaves_json(void **state)
{
	static const char *const chunks[] = {
		"{\"usage\":null}", "{ \"usage\" : null }", "{\"usage\":null,\"a\":1}", "{ \"usage\": null , \"a\":1}",
		"{\"a\":1,\"usage\":null}", "{\"a\":1 ,\n\"usage\":null\n}", "{\"a\":1,\"usage\":null,\"b\":2}",
		"{\"choices\":[{}],\"usage\":{\"prompt_tokens\":1,\"a\":[1,{\"b\":\"}\"}]},\"z\":\"\\\"\"}",
	};
	struct ask ask = { .hide_usage = true };

	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		struct report r;
		struct event_verdict v, again;
		char left[256];

		report_init(&r);
		v = calls_event(ops(), CHAT, &ask, "", str_of(chunks[i]), &r);
		assert_true(!v.hide && v.cut > 0);
		strcpy(left, calls_seen(chunks[i], &v));
		assert_null(strstr(left, "usage"));
		assert_int_equal(calls_answer(ops(), CHAT, left, &r), 0);
		again = calls_event(ops(), CHAT, &ask, "", str_of(left), &r);
		assert_true(!again.hide && again.cut == 0);
	}
}

static void test_no_ask(void **state)
{
	struct report r;
	struct event_verdict v;

	report_init(&r);
	v = calls_event(ops(), CHAT, NULL, "", STR("{\"choices\":[]," USAGE "}"), &r);
	assert_true(r.seen && !v.hide && v.cut == 0);
}

/* A request for reasoning makes a stream's text an unsafe measure, unless the reasoning is text too. */
static void test_reasoning_asked(void **state)
{
	struct ask ask = { .model = "m", .reasoning_asked = true };
	struct report r;

	report_init(&r);
	calls_event(ops(), CHAT, &ask, "", STR(C("\"content\":\"a\"") "}"), &r);
	assert_true(r.reasoning_hidden);
	calls_event(ops(), CHAT, &ask, "", STR(C("\"reasoning_content\":\"abc\"") "}"), &r);
	assert_false(r.reasoning_hidden);
	calls_event(ops(), CHAT, &ask, "", STR(C("\"content\":\"a\"") "}"), &r);
	assert_false(r.reasoning_hidden);
	/* The name asked for counts until the answer says its own. */
	strcpy(ask.model, "o3");
	report_init(&r);
	calls_event(ops(), CHAT, &ask, "", STR("{\"choices\":[{\"delta\":{\"reasoning\":\"summary\"}}]}"), &r);
	assert_true(r.reasoning_hidden);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),	      cmocka_unit_test(test_unreadable_answers),
		cmocka_unit_test(test_many_parts),    cmocka_unit_test(test_streams),
		cmocka_unit_test(test_cut_events),    cmocka_unit_test(test_cut_leaves_json),
		cmocka_unit_test(test_no_ask),	      cmocka_unit_test(test_reasoning_asked),
	};

	return cmocka_run_group_tests(tests, calls_setup, calls_teardown);
}
