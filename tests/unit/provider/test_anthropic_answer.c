// SPDX-License-Identifier: Apache-2.0
/* test_anthropic_answer.c: reports from whole and streamed Messages answers. */
#include "calls.h"

#include <errno.h>

static const struct provider_ops *ops(void)
{
	return provider_find("anthropic");
}

struct want {
	bool seen, failed, ended, hidden, exact, said, overflow;
	const char *model;
	enum tier tier;
	struct usage u;
	int64_t bytes;
	size_t nparts;
	struct usage_part parts[3];
};

static void check_usage(const char *name, const struct usage *got, const struct usage *want)
{
	if (memcmp(got, want, sizeof(*got)) != 0)
		fail_msg("%s: input %lld read %lld w5 %lld w1 %lld output %lld reasoning %lld searches %lld", name,
			 (long long)got->input, (long long)got->cache_read, (long long)got->cache_write_5m,
			 (long long)got->cache_write_1h, (long long)got->output, (long long)got->reasoning,
			 (long long)got->web_searches);
}

static void check(const char *name, const struct report *r, const struct want *w)
{
	if (r->seen != w->seen || r->failed != w->failed || r->ended != w->ended || r->reasoning_hidden != w->hidden ||
	    r->input_exact != w->exact || r->tier_said != w->said || r->tier != w->tier ||
	    r->parts_overflow != w->overflow || strcmp(r->model, w->model ? w->model : "") != 0 ||
	    r->output_bytes != w->bytes || r->nparts != w->nparts)
		fail_msg("%s: seen %d failed %d ended %d hidden %d exact %d tier %d (%d) overflow %d model \"%s\" bytes %lld parts %zu",
			 name, r->seen, r->failed, r->ended, r->reasoning_hidden, r->input_exact, r->tier, r->tier_said,
			 r->parts_overflow, r->model, (long long)r->output_bytes, r->nparts);
	if (w->seen || w->exact)
		check_usage(name, &r->usage, &w->u);
	for (size_t i = 0; i < w->nparts; i++) {
		assert_string_equal(r->parts[i].model, w->parts[i].model);
		check_usage(name, &r->parts[i].usage, &w->parts[i].usage);
	}
}

/* ---- streams */

struct event {
	const char *name, *data;
};

struct stream_case {
	const char *name;
	struct ask ask;
	struct event events[12];
	struct want want;
};

#define START(usage) \
	{ "message_start", "{\"type\":\"message_start\",\"message\":{\"model\":\"c\",\"content\":[],\"usage\":{" usage "}}}   " }
#define TEXT(text) \
	{ "content_block_delta", "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"" text "\"} }" }
#define BLOCK(block) { "content_block_start", "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{" block "}}" }
#define DELTA(usage) \
	{ "message_delta", "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{" usage "}}" }
#define STOP { "message_stop", "{\"type\":\"message_stop\"    }" }
#define PING { "ping", "{\"type\": \"ping\"}" }

static const struct stream_case streams[] = {
	{ "plain", { .stream = true },
	  { START("\"input_tokens\":17,\"output_tokens\":1,\"service_tier\":\"standard\""), BLOCK("\"type\":\"text\",\"text\":\"\""), PING,
	    TEXT("Hel"), TEXT("lo"), DELTA("\"output_tokens\":27"), STOP },
	  { .seen = true, .ended = true, .exact = true, .said = true, .model = "c", .bytes = 5, .u = { .input = 17, .output = 27 } } },
	{ "exclusive becomes inclusive", { .stream = true },
	  { START("\"input_tokens\":10,\"cache_read_input_tokens\":100,\"cache_creation_input_tokens\":30,"
		  "\"cache_creation\":{\"ephemeral_5m_input_tokens\":20,\"ephemeral_1h_input_tokens\":10},\"output_tokens\":1"),
	    TEXT("a"), DELTA("\"output_tokens\":5,\"output_tokens_details\":{\"thinking_tokens\":2}"), STOP },
	  { .seen = true, .ended = true, .exact = true, .model = "c", .bytes = 1,
	    .u = { .input = 140, .cache_read = 100, .cache_write_5m = 20, .cache_write_1h = 10, .output = 5, .reasoning = 2 } } },
	{ "the split stands in message_start only", { .stream = true },
	  { START("\"input_tokens\":10,\"cache_creation_input_tokens\":30,\"cache_creation\":{\"ephemeral_5m_input_tokens\":20,\"ephemeral_1h_input_tokens\":10}"),
	    TEXT("a"), DELTA("\"input_tokens\":10,\"cache_creation_input_tokens\":30,\"cache_read_input_tokens\":0,\"output_tokens\":5"), STOP },
	  { .seen = true, .ended = true, .exact = true, .model = "c", .bytes = 1,
	    .u = { .input = 40, .cache_write_5m = 20, .cache_write_1h = 10, .output = 5 } } },
	{ "a total that grew, 1h only", { .stream = true },
	  { START("\"input_tokens\":1,\"cache_creation_input_tokens\":30,\"cache_creation\":{\"ephemeral_5m_input_tokens\":0,\"ephemeral_1h_input_tokens\":30}"),
	    DELTA("\"cache_creation_input_tokens\":50,\"output_tokens\":5"), STOP },
	  { .seen = true, .ended = true, .exact = true, .model = "c", .u = { .input = 51, .cache_write_1h = 50, .output = 5 } } },
	{ "a total without a split", { .stream = true },
	  { START("\"input_tokens\":1,\"cache_creation_input_tokens\":30"), DELTA("\"output_tokens\":5"), STOP },
	  { .seen = true, .ended = true, .exact = true, .model = "c", .u = { .input = 31, .cache_write_5m = 30, .output = 5 } } },
	{ "a total without a split, 1h asked", { .cache_write_1h = true },
	  { START("\"input_tokens\":1,\"cache_creation_input_tokens\":30"), DELTA("\"output_tokens\":5"), STOP },
	  { .seen = true, .ended = true, .exact = true, .model = "c", .u = { .input = 31, .cache_write_1h = 30, .output = 5 } } },
	{ "a total that shrank", { .stream = true },
	  { START("\"input_tokens\":1,\"cache_creation_input_tokens\":30,\"cache_creation\":{\"ephemeral_5m_input_tokens\":20,\"ephemeral_1h_input_tokens\":10}"),
	    DELTA("\"cache_creation_input_tokens\":15,\"output_tokens\":5"), STOP },
	  { .seen = true, .ended = true, .exact = true, .model = "c", .u = { .input = 16, .cache_write_5m = 5, .cache_write_1h = 10, .output = 5 } } },
	{ "all input from the cache", { .stream = true },
	  { START("\"input_tokens\":0,\"cache_read_input_tokens\":100,\"output_tokens\":1"),
	    DELTA("\"input_tokens\":0,\"cache_read_input_tokens\":100,\"output_tokens\":5"), STOP },
	  { .seen = true, .ended = true, .exact = true, .model = "c", .u = { .input = 100, .cache_read = 100, .output = 5 } } },
	{ "message_delta replaces input", { .stream = true },
	  { START("\"input_tokens\":43,\"output_tokens\":1"), TEXT("pong"), DELTA("\"input_tokens\":61,\"output_tokens\":2"), STOP },
	  { .seen = true, .ended = true, .exact = true, .model = "c", .bytes = 4, .u = { .input = 61, .output = 2 } } },
	{ "message_delta with zero input keeps it", { .stream = true },
	  { START("\"input_tokens\":43,\"cache_read_input_tokens\":7,\"output_tokens\":1"), TEXT("pong"),
	    DELTA("\"input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":2"), STOP },
	  { .seen = true, .ended = true, .exact = true, .model = "c", .bytes = 4, .u = { .input = 50, .cache_read = 7, .output = 2 } } },
	{ "several message_delta: the last", { .stream = true },
	  { START("\"input_tokens\":43,\"output_tokens\":1"), DELTA("\"output_tokens\":2"), DELTA("\"output_tokens\":9"), STOP },
	  { .seen = true, .ended = true, .exact = true, .model = "c", .u = { .input = 43, .output = 9 } } },
	{ "message_start twice", { .stream = true },
	  { START("\"input_tokens\":17,\"output_tokens\":1"), START("\"input_tokens\":17,\"output_tokens\":1"), TEXT("Hi"), DELTA("\"output_tokens\":227"), STOP },
	  { .seen = true, .ended = true, .exact = true, .model = "c", .bytes = 2, .u = { .input = 17, .output = 227 } } },
	{ "a second message spliced in", { .stream = true },
	  { START("\"input_tokens\":17,\"output_tokens\":1"), TEXT("ab"), START("\"input_tokens\":18,\"output_tokens\":1"), TEXT("cd"), DELTA("\"output_tokens\":65"), STOP },
	  { .seen = true, .ended = true, .exact = true, .model = "c", .bytes = 4, .u = { .input = 18, .output = 65 } } },
	{ "cut before message_delta: input only, not seen", { .stream = true },
	  { START("\"input_tokens\":17,\"cache_read_input_tokens\":5,\"output_tokens\":1"), TEXT("Hello") },
	  { .exact = true, .model = "c", .bytes = 5, .u = { .input = 22, .cache_read = 5 } } },
	{ "zero output beside text", { .stream = true },
	  { START("\"input_tokens\":17"), TEXT("Hello"), DELTA("\"output_tokens\":0"), STOP },
	  { .ended = true, .exact = true, .model = "c", .bytes = 5, .u = { .input = 17 } } },
	{ "refused without output", { .stream = true },
	  { START("\"input_tokens\":17,\"output_tokens\":1"), DELTA("\"input_tokens\":17,\"output_tokens\":0"), STOP },
	  { .seen = true, .ended = true, .exact = true, .model = "c", .u = { .input = 17 } } },
	{ "no usage anywhere", { .stream = true }, { START(""), TEXT("Hello"), STOP }, { .ended = true, .model = "c", .bytes = 5 } },
	{ "a bad count is no count", { .stream = true },
	  { START("\"input_tokens\":17"), TEXT("a"), DELTA("\"output_tokens\":-3"), STOP },
	  { .ended = true, .exact = true, .model = "c", .bytes = 1, .u = { .input = 17 } } },
	{ "thinking is a summary", { .stream = true },
	  { START("\"input_tokens\":17"), BLOCK("\"type\":\"thinking\",\"thinking\":\"\""),
	    { "", "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"abc\"}}" },
	    { "", "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"signature_delta\",\"signature\":\"AAAAAAAA\"}}" } },
	  { .hidden = true, .exact = true, .model = "c", .bytes = 3, .u = { .input = 17 } } },
	{ "thinking asked", { .reasoning_asked = true }, { START("\"input_tokens\":17") },
	  { .hidden = true, .exact = true, .model = "c", .u = { .input = 17 } } },
	{ "tool arguments", { .stream = true },
	  { START("\"input_tokens\":17"), BLOCK("\"type\":\"tool_use\",\"name\":\"f\",\"input\":{}"),
	    { "", "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\"\"}}" } },
	  { .exact = true, .model = "c", .bytes = 4, .u = { .input = 17 } } },
	{ "searches", { .max_searches = 5 },
	  { START("\"input_tokens\":2037,\"output_tokens\":1"), BLOCK("\"type\":\"server_tool_use\",\"name\":\"web_search\",\"input\":{}"),
	    BLOCK("\"type\":\"web_search_tool_result\",\"content\":[]"), TEXT("x"),
	    DELTA("\"input_tokens\":15665,\"output_tokens\":50,\"server_tool_use\":{\"web_search_requests\":2,\"web_fetch_requests\":0}"), STOP },
	  { .seen = true, .ended = true, .model = "c", .bytes = 1, .u = { .input = 15665, .output = 50, .web_searches = 2 } } },
	{ "a search was begun: input is not exact any more", { .stream = true },
	  { START("\"input_tokens\":20"), BLOCK("\"type\":\"server_tool_use\",\"name\":\"web_search\",\"input\":{}") },
	  { .model = "c" } },
	{ "a search may come", { .max_searches = 5 }, { START("\"input_tokens\":20") }, { .model = "c" } },
	{ "server tools may come", { .unbounded_tools = true }, { START("\"input_tokens\":20") }, { .model = "c" } },
	{ "sealed thinking, then zeros: unknown", { .stream = true },
	  { START("\"input_tokens\":20"), BLOCK("\"type\":\"redacted_thinking\",\"data\":\"AAAA\""), DELTA("\"output_tokens\":0"), STOP },
	  { .ended = true, .hidden = true, .exact = true, .model = "c", .u = { .input = 20 } } },
	{ "iterations", { .stream = true },
	  { START("\"input_tokens\":1128,\"output_tokens\":2"), TEXT("x"),
	    DELTA("\"input_tokens\":2411,\"output_tokens\":145,\"server_tool_use\":{\"web_search_requests\":1},\"iterations\":["
		  "{\"type\":\"message\",\"input_tokens\":1128,\"output_tokens\":135,\"cache_read_input_tokens\":0},"
		  "{\"input_tokens\":2500,\"output_tokens\":18,\"cache_read_input_tokens\":43,\"type\":\"advisor_message\",\"model\":\"c-big\"},"
		  "{\"type\":\"message\",\"input_tokens\":1283,\"output_tokens\":10}]"), STOP },
	  { .seen = true, .ended = true, .exact = true, .model = "c", .bytes = 1, .nparts = 3,
	    .u = { .input = 2411, .output = 145, .web_searches = 1 },
	    .parts = { { "", { .input = 1128, .output = 135, .web_searches = 1 } },
		       { "c-big", { .input = 2543, .cache_read = 43, .output = 18 } },
		       { "", { .input = 1283, .output = 10 } } } } },
	{ "fallback", { .stream = true },
	  { START("\"input_tokens\":408"), TEXT("x"),
	    DELTA("\"input_tokens\":412,\"output_tokens\":264,\"iterations\":[{\"type\":\"message\",\"model\":\"c\",\"input_tokens\":408,\"output_tokens\":0},"
		  "{\"type\":\"fallback_message\",\"model\":\"d\",\"input_tokens\":412,\"output_tokens\":264}]"), STOP },
	  { .seen = true, .ended = true, .exact = true, .model = "c", .bytes = 1, .nparts = 2, .u = { .input = 412, .output = 264 },
	    .parts = { { "c", { .input = 408 } }, { "d", { .input = 412, .output = 264 } } } } },
	{ "iterations said again: the last", { .stream = true },
	  { START("\"input_tokens\":5"), DELTA("\"output_tokens\":1,\"iterations\":[{\"input_tokens\":5,\"output_tokens\":1},{\"input_tokens\":5,\"output_tokens\":1}]"),
	    DELTA("\"output_tokens\":3,\"iterations\":[{\"input_tokens\":5,\"output_tokens\":3}]"), STOP },
	  { .seen = true, .ended = true, .exact = true, .model = "c", .nparts = 1, .u = { .input = 5, .output = 3 },
	    .parts = { { "", { .input = 5, .output = 3 } } } } },
	{ "iterations that do not cover the whole", { .stream = true },
	  { START("\"input_tokens\":50"), DELTA("\"output_tokens\":9,\"iterations\":[{\"input_tokens\":20,\"output_tokens\":9}]"), STOP },
	  { .seen = true, .ended = true, .exact = true, .overflow = true, .model = "c", .nparts = 1, .u = { .input = 50, .output = 9 },
	    .parts = { { "", { .input = 20, .output = 9 } } } } },
	{ "a bad iteration", { .stream = true },
	  { START("\"input_tokens\":5"), DELTA("\"output_tokens\":9,\"iterations\":[{\"input_tokens\":5,\"output_tokens\":9},{\"input_tokens\":\"x\"}]"), STOP },
	  { .seen = true, .ended = true, .exact = true, .overflow = true, .model = "c", .nparts = 1, .u = { .input = 5, .output = 9 },
	    .parts = { { "", { .input = 5, .output = 9 } } } } },
	{ "empty iterations", { .stream = true }, { START("\"input_tokens\":5"), DELTA("\"output_tokens\":9,\"iterations\":[]"), STOP },
	  { .seen = true, .ended = true, .exact = true, .model = "c", .u = { .input = 5, .output = 9 } } },
	{ "error", { .stream = true },
	  { START("\"input_tokens\":5"), TEXT("a"), { "error", "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}" } },
	  { .failed = true, .exact = true, .model = "c", .bytes = 1, .u = { .input = 5 } } },
	{ "error by name only", { .stream = true }, { { "error", "overloaded" } }, { .failed = true } },
	{ "types only in the SSE line", { .stream = true },
	  { START("\"input_tokens\":5"), { "message_delta", "{\"usage\":{\"output_tokens\":4}}" }, { "message_stop", "{}" } },
	  { .seen = true, .ended = true, .exact = true, .model = "c", .u = { .input = 5, .output = 4 } } },
	{ "tiers", { .stream = true }, { START("\"input_tokens\":5,\"service_tier\":\"batch\"") },
	  { .exact = true, .said = true, .tier = TIER_BATCH, .model = "c", .u = { .input = 5 } } },
	{ "priority is bought ahead", { .stream = true }, { START("\"input_tokens\":5,\"service_tier\":\"priority\"") },
	  { .exact = true, .said = true, .model = "c", .u = { .input = 5 } } },
	{ "an unknown tier is the dearest", { .stream = true }, { START("\"input_tokens\":5,\"service_tier\":\"x\"") },
	  { .exact = true, .said = true, .tier = TIER_UNKNOWN, .model = "c", .u = { .input = 5 } } },
	{ "unreadable", { .stream = true }, { { "message_start", "{\"type\":\"message_start\",\"message\":{\"model\":\"c\"" }, { "", "" }, { "x", "[1,2" } }, { .seen = false } },
};

static void test_streams(void **state)
{
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		const struct stream_case *c = &streams[i];
		struct report r;

		report_init(&r);
		for (size_t k = 0; k < 12 && c->events[k].data; k++) {
			struct event_verdict v = calls_event(ops(), MESSAGES, &c->ask, c->events[k].name,
							     str_of(c->events[k].data), &r);

			assert_true(!v.hide && v.cut == 0);
		}
		check(c->name, &r, &c->want);
	}
}

/* An event cut anywhere before its last brace changes nothing. */
static void test_cut_events(void **state)
{
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++)
		for (size_t k = 0; k < 12 && streams[i].events[k].data; k++) {
			struct str data = str_of(streams[i].events[k].data);
			const char *brace = strrchr(data.p, '}');
			struct report r, before;

			report_init(&before);
			for (size_t n = 0; brace && n <= (size_t)(brace - data.p); n++) {
				report_init(&r);
				calls_event(ops(), MESSAGES, NULL, "", (struct str){ .p = data.p, .n = n }, &r);
				if (memcmp(&r, &before, sizeof(r)) != 0)
					fail_msg("%s, event %zu cut at %zu", streams[i].name, k, n);
			}
		}
}

/* ---- whole answers */

static const struct {
	const char *name, *body;
	struct want want;
} answers[] = {
	{ "plain", "{\"type\":\"message\",\"model\":\"c\",\"content\":[{\"type\":\"text\",\"text\":\"Hi!\"},{\"type\":\"tool_use\",\"input\":{\"a\":1}}],"
		   "\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":5,\"cache_creation_input_tokens\":3,"
		   "\"cache_creation\":{\"ephemeral_5m_input_tokens\":1,\"ephemeral_1h_input_tokens\":2},\"output_tokens\":7,\"service_tier\":\"standard\"}}",
	  { .seen = true, .ended = true, .said = true, .model = "c", .bytes = 3 + 7,
	    .u = { .input = 18, .cache_read = 5, .cache_write_5m = 1, .cache_write_1h = 2, .output = 7 } } },
	{ "thinking", "{\"model\":\"c\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"ab\"}],\"usage\":{\"input_tokens\":10,\"output_tokens\":7}}",
	  { .seen = true, .ended = true, .hidden = true, .model = "c", .bytes = 2, .u = { .input = 10, .output = 7 } } },
	{ "compaction", "{\"model\":\"c\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}],\"usage\":{\"input_tokens\":612,\"output_tokens\":28,\"iterations\":["
			"{\"type\":\"compaction\",\"input_tokens\":60385,\"output_tokens\":522},{\"type\":\"message\",\"input_tokens\":612,\"output_tokens\":28}]}}",
	  { .seen = true, .ended = true, .model = "c", .bytes = 1, .nparts = 2, .u = { .input = 612, .output = 28 },
	    .parts = { { "", { .input = 60385, .output = 522 } }, { "", { .input = 612, .output = 28 } } } } },
	{ "no usage", "{\"model\":\"c\",\"content\":[{\"type\":\"text\",\"text\":\"Hi!\"}]}", { .ended = true, .model = "c", .bytes = 3 } },
	{ "zeros", "{\"model\":\"c\",\"content\":[{\"type\":\"text\",\"text\":\"Hi!\"}],\"usage\":{\"input_tokens\":0,\"output_tokens\":0}}",
	  { .ended = true, .model = "c", .bytes = 3 } },
	{ "cache warming", "{\"model\":\"c\",\"content\":[],\"usage\":{\"input_tokens\":1,\"cache_creation_input_tokens\":90,\"output_tokens\":0}}",
	  { .seen = true, .ended = true, .model = "c", .u = { .input = 91, .cache_write_5m = 90 } } },
	{ "error", "{\"type\":\"error\",\"error\":{\"type\":\"api_error\"}}", { .failed = true, .ended = true } },
	{ "sum over the maximum", "{\"model\":\"c\",\"usage\":{\"input_tokens\":900000000,\"cache_read_input_tokens\":900000000,\"output_tokens\":1}}",
	  { .ended = true, .model = "c" } },
};

static void test_answers(void **state)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct report r;

		report_init(&r);
		assert_int_equal(calls_answer(ops(), MESSAGES, answers[i].body, &r), 0);
		check(answers[i].name, &r, &answers[i].want);
	}
}

static void test_unreadable_answer(void **state)
{
	struct report r, before;

	report_init(&before);
	report_init(&r);
	assert_int_equal(calls_answer(ops(), MESSAGES, "{\"model\":\"c\",\"usage\":{\"input_tokens\":10,\"output_tokens\":7}", &r), -EINVAL);
	assert_memory_equal(&r, &before, sizeof(r));
}

static void test_many_iterations(void **state)
{
	char body[4096] = "{\"model\":\"c\",\"usage\":{\"input_tokens\":17,\"output_tokens\":17,\"iterations\":[";
	struct report r;

	for (int n = 0; n < 17; n++) {
		strcat(body, n ? "," : "");
		strcat(body, "{\"input_tokens\":1,\"output_tokens\":1}");
	}
	strcat(body, "]}}");
	report_init(&r);
	assert_int_equal(calls_answer(ops(), MESSAGES, body, &r), 0);
	assert_true(r.parts_overflow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams),		   cmocka_unit_test(test_cut_events),
		cmocka_unit_test(test_answers),		   cmocka_unit_test(test_unreadable_answer),
		cmocka_unit_test(test_many_iterations),
	};

	return cmocka_run_group_tests(tests, calls_setup, calls_teardown);
}
