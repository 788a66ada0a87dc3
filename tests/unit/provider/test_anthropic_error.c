// SPDX-License-Identifier: Apache-2.0
/* test_anthropic_error.c: refusals as Anthropic's SDKs expect them. */
#include "calls.h"

static const struct provider_ops *ops(void)
{
	return provider_find("anthropic");
}

static void text_of(struct buf *out, char *ret, size_t size)
{
	assert_true(buf_len(out) < size);
	memcpy(ret, buf_ptr(out), buf_len(out));
	ret[buf_len(out)] = '\0';
	buf_done(out);
}

static void test_error(void **state)
{
	static const struct refusal why = { .reason = REFUSAL_UNKNOWN_MODEL, .detail = "claude-x" };
	struct buf out;
	char text[2048];

	buf_init(&out, 4096);
	assert_int_equal(ops()->write_error(&out, 400, &why, "no price", "req_1"), 0);
	text_of(&out, text, sizeof(text));
	assert_string_equal(text, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"no price\","
				  "\"purse\":{\"reason\":\"model_not_priced\",\"detail\":\"claude-x\"}},\"request_id\":\"req_1\"}");
}

static void test_types(void **state)
{
	static const struct {
		int status;
		const char *type;
	} rows[] = {
		{ 400, "invalid_request_error" }, { 402, "billing_error" },    { 403, "permission_error" },
		{ 404, "not_found_error" },	  { 413, "request_too_large" }, { 429, "rate_limit_error" },
		{ 502, "api_error" },		  { 503, "overloaded_error" },  { 504, "timeout_error" },
		{ 418, "billing_error" /* by reason */ },
	};
	static const struct refusal why = { .reason = REFUSAL_BUDGET, .window = WINDOW_TOTAL };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out;
		char text[2048], want[100];

		buf_init(&out, 4096);
		assert_int_equal(ops()->write_error(&out, rows[i].status, &why, "m", NULL), 0);
		text_of(&out, text, sizeof(text));
		snprintf(want, sizeof(want), "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"m\",", rows[i].type);
		assert_true(str_starts(str_of(text), str_of(want)));
		assert_non_null(strstr(text, "\"window\":\"total\""));
		assert_non_null(strstr(text, "\"resets_at\":null"));
		assert_null(strstr(text, "request_id"));
	}
}

static void test_stream_error(void **state)
{
	for (int reason = 0; reason < REFUSAL_REASON_COUNT; reason++) {
		struct refusal why = { .reason = (enum refusal_reason)reason };
		struct buf out;
		struct report r;
		char text[2048];

		buf_init(&out, 4096);
		assert_int_equal(ops()->write_stream_error(&out, ENDPOINT_ANTHROPIC_MESSAGES, &why, "a\nb"), 0);
		text_of(&out, text, sizeof(text));
		assert_true(str_starts(str_of(text), STR("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"")));
		assert_true(str_ends(str_of(text), STR("}\n\n")));
		report_init(&r);
		calls_event(ops(), ENDPOINT_ANTHROPIC_MESSAGES, NULL, "", str_of(strchr(text, '{')), &r);
		assert_true(r.failed);
	}
}

static void test_no_room(void **state)
{
	static const struct refusal why = { .reason = REFUSAL_BUDGET };
	struct buf out;

	for (size_t max = 0; max < 100; max++) {
		buf_init(&out, max);
		assert_true(ops()->write_stream_error(&out, ENDPOINT_ANTHROPIC_MESSAGES, &why, "no") < 0);
		buf_done(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error),	     cmocka_unit_test(test_types),
		cmocka_unit_test(test_stream_error), cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, calls_setup, calls_teardown);
}
