// SPDX-License-Identifier: Apache-2.0
/* test_openai_error.c: refusals as OpenAI's SDKs expect them. */
#include "calls.h"

static const struct refusal budget = {
	.reason = REFUSAL_BUDGET, .account = "team-a", .window = WINDOW_DAY, .limit = 10 * NANOUSD_PER_USD,
	.spent = 9500000001, .held = 300000000, .needed = 1, .reset_s = 1767225600,
};

#define PURSE_BUDGET "\"purse\":{\"reason\":\"budget_exhausted\",\"account\":\"team-a\",\"window\":\"day\",\"limit_usd\":\"10.00\"," \
	"\"spent_usd\":\"9.500000001\",\"held_usd\":\"0.30\",\"needed_usd\":\"0.000000001\",\"resets_at\":\"2026-01-01T00:00:00Z\""

static void expect(struct buf *out, const char *want)
{
	char text[2048];

	assert_true(buf_len(out) < sizeof(text));
	memcpy(text, buf_ptr(out), buf_len(out));
	text[buf_len(out)] = '\0';
	assert_string_equal(text, want);
	buf_done(out);
}

static void test_error(void **state)
{
	struct buf out;

	buf_init(&out, 4096);
	assert_int_equal(provider_find("openai")->write_error(&out, 402, &budget, "say \"no\"", "req_1"), 0);
	expect(&out, "{\"error\":{\"message\":\"say \\\"no\\\"\",\"type\":\"insufficient_quota\",\"param\":null,"
		     "\"code\":\"purse_budget_exhausted\"," PURSE_BUDGET ",\"request_id\":\"req_1\"}}}");
}

static void test_stream_error(void **state)
{
	struct buf out;

	buf_init(&out, 4096);
	assert_int_equal(provider_find("openai")->write_stream_error(&out, ENDPOINT_OPENAI_CHAT, &budget, "no"), 0);
	expect(&out, "data: {\"error\":{\"message\":\"no\",\"type\":\"insufficient_quota\",\"param\":null,"
		     "\"code\":\"purse_budget_exhausted\"," PURSE_BUDGET "}}}\n\n");
	buf_init(&out, 4096);
	assert_int_equal(provider_find("openai")->write_stream_error(&out, ENDPOINT_OPENAI_RESPONSES, &budget, "no"), 0);
	expect(&out, "event: error\ndata: {\"type\":\"error\",\"code\":\"purse_budget_exhausted\",\"message\":\"no\",\"param\":null,"
		     "\"sequence_number\":0,\"error\":{\"message\":\"no\",\"type\":\"insufficient_quota\",\"param\":null,"
		     "\"code\":\"purse_budget_exhausted\"," PURSE_BUDGET "}}}\n\n");
}

/* Every reason has a type, a code of its own, and reads back as JSON and as a failed stream. */
static void test_reasons(void **state)
{
	static const enum endpoint eps[] = { ENDPOINT_OPENAI_CHAT, ENDPOINT_OPENAI_RESPONSES };
	const struct provider_ops *ops = provider_find("openai");

	for (int reason = 0; reason < REFUSAL_REASON_COUNT; reason++)
		for (size_t k = 0; k < 2; k++) {
			struct refusal why = { .reason = (enum refusal_reason)reason, .detail = "x\ny" };
			struct buf out;
			struct report r;
			struct str data;

			buf_init(&out, 4096);
			assert_int_equal(ops->write_stream_error(&out, eps[k], &why, "line\nbreak"), 0);
			data = (struct str){ .p = buf_ptr(&out), .n = buf_len(&out) };
			while (data.p[0] != '{')
				data.p++, data.n--;
			assert_true(str_ends(data, STR("}\n\n")));
			data.n -= 2;
			assert_null(memchr(data.p, '\n', data.n)); /* one data line */
			report_init(&r);
			calls_event(ops, eps[k], NULL, "", data, &r);
			assert_true(r.failed);
			buf_done(&out);
		}
}

static void test_no_room(void **state)
{
	struct buf out;

	for (size_t max = 0; max < 200; max++) {
		buf_init(&out, max);
		assert_true(provider_find("openai")->write_error(&out, 402, &budget, "no", NULL) < 0);
		buf_done(&out);
		buf_init(&out, max);
		assert_true(provider_find("openai")->write_stream_error(&out, ENDPOINT_OPENAI_RESPONSES, &budget, "no") < 0);
		buf_done(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error),	cmocka_unit_test(test_stream_error),
		cmocka_unit_test(test_reasons), cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, calls_setup, calls_teardown);
}
