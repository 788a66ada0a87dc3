// SPDX-License-Identifier: Apache-2.0
/* test_refusal_json.c: which figures stand behind which refusal. */
#include "calls.h"

#include "provider/refusal_json.h"

static void write(const struct refusal *why, const char *request_id, char *ret, size_t size)
{
	struct buf out;
	struct jsonw w;

	buf_init(&out, 4096);
	jsonw_init(&w, &out);
	jsonw_object(&w, NULL);
	refusal_json(&w, why, request_id);
	jsonw_close(&w);
	assert_int_equal(jsonw_end(&w), 0);
	assert_true(buf_len(&out) < size);
	memcpy(ret, buf_ptr(&out), buf_len(&out));
	ret[buf_len(&out)] = '\0';
	buf_done(&out);
}

static void test_members(void **state)
{
	static const struct {
		struct refusal why;
		const char *request_id, *want;
	} rows[] = {
		{ { .reason = REFUSAL_PAUSED, .account = "a" }, NULL, "{\"purse\":{\"reason\":\"paused\",\"account\":\"a\"}}" },
		{ { .reason = REFUSAL_OVERLOADED }, "r", "{\"purse\":{\"reason\":\"overloaded\",\"request_id\":\"r\"}}" },
		{ { .reason = REFUSAL_BAD_REQUEST, .detail = "\"\\\xff" }, "", "{\"purse\":{\"reason\":\"bad_request\",\"detail\":\"\\\"\\\\\xef\xbf\xbd\"}}" },
		/* spent above a limit that was cut, and a number that is no reason */
		{ { .reason = REFUSAL_BUDGET_HELD, .window = WINDOW_HOUR, .limit = -1 }, NULL,
		  "{\"purse\":{\"reason\":\"budget_held\",\"window\":\"hour\",\"limit_usd\":\"-0.000000001\",\"spent_usd\":\"0.00\","
		  "\"held_usd\":\"0.00\",\"needed_usd\":\"0.00\",\"resets_at\":null}}" },
		{ { .reason = (enum refusal_reason)99 }, NULL, "{\"purse\":{\"reason\":\"refused\"}}" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[1024];

		write(&rows[i].why, rows[i].request_id, text, sizeof(text));
		assert_string_equal(text, rows[i].want);
	}
}

static void test_words(void **state)
{
	for (int a = 0; a < REFUSAL_REASON_COUNT; a++) {
		assert_non_null(refusal_word((enum refusal_reason)a));
		for (int b = 0; b < a; b++)
			assert_string_not_equal(refusal_word((enum refusal_reason)a), refusal_word((enum refusal_reason)b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_members), cmocka_unit_test(test_words) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
