// SPDX-License-Identifier: Apache-2.0
/* test_openai_usage.c: one usage object, its spellings and the two hosts that count beside it. */
#include "calls.h"

#include "provider/openai_usage.h"

static void take(struct openai_usage *k, enum usage_key key, int64_t n)
{
	struct json_value v = { .kind = JSON_INT, .i = n };

	openai_usage_take(k, key, &v);
}

struct sum_case {
	int64_t input, output, reasoning, cached, total; /* -1 = not said */
	int64_t want_output;
};

static const struct sum_case sums[] = {
	{ 10, 5, 3, 0, 15, 5 },	      /* inside, as OpenAI */
	{ 10, 5, 30, 0, 45, 35 },     /* beside, as xAI */
	{ 10, 5, 30, 4, 45, 35 },
	{ 10, 5, 30, 0, 44, 5 },      /* neither */
	{ 10, 5, 30, 0, 15, 5 },      /* more reasoning than output: as reported */
	{ 35, 12, -1, -1, 109, 74 },  /* only in the total, as Gemini */
	{ 35, 12, 0, 0, 109, 74 },
	{ 35, 12, 0, 7, 109, 12 },
	{ 35, -1, -1, -1, 109, 74 },
	{ 10, 5, -1, -1, -1, 5 },
	{ 10, 5, -1, -1, 3, 5 },      /* a total that is too small */
	{ -1, 5, -1, -1, 20, 5 },
};

static void test_sums(void **state)
{
	for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
		const struct sum_case *c = &sums[i];
		struct openai_usage k;
		struct usage u = { 0 };

		openai_usage_init(&k);
		k.key[USAGE_INPUT] = c->input;
		k.key[USAGE_OUTPUT] = c->output;
		k.key[USAGE_REASONING] = c->reasoning;
		k.key[USAGE_CACHE_READ] = c->cached;
		k.key[USAGE_TOTAL] = c->total;
		assert_true(openai_usage_apply(&k, ENDPOINT_OPENAI_CHAT, &u));
		if (u.output != c->want_output)
			fail_msg("row %zu: output %lld", i, (long long)u.output);
	}
}

static void test_dearer_of_two(void **state)
{
	struct openai_usage k;

	openai_usage_init(&k);
	for (int key = 0; key < USAGE_KEYS; key++) {
		take(&k, key, 5);
		take(&k, key, 9);
		take(&k, key, 7);
		assert_int_equal(k.key[key], key == USAGE_CACHE_READ || key == USAGE_AUDIO_CACHE_READ ? 5 : 9);
	}
	assert_false(k.bad);
}

static void test_bad(void **state)
{
	static const struct json_value values[] = {
		{ .kind = JSON_INT, .i = -1 }, { .kind = JSON_INT, .i = USAGE_TOKENS_MAX + 1 }, { .kind = JSON_STRING },
		{ .kind = JSON_NUMBER },       { .kind = JSON_BOOL, .i = 1 },			  { .kind = JSON_ARRAY },
	};
	struct usage u = { .input = 3 }, before = u;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct openai_usage k;

		openai_usage_init(&k);
		take(&k, USAGE_INPUT, 5);
		openai_usage_take(&k, USAGE_OUTPUT, &values[i]);
		assert_true(k.bad);
		assert_false(openai_usage_apply(&k, ENDPOINT_OPENAI_CHAT, &u));
		assert_memory_equal(&u, &before, sizeof(u));
	}
}

static void test_nothing_said(void **state)
{
	struct openai_usage k;
	struct usage u = { .input = 3, .output = 4 }, before = u;

	openai_usage_init(&k);
	assert_false(openai_usage_apply(&k, ENDPOINT_OPENAI_CHAT, &u));
	take(&k, USAGE_INPUT, 0);
	take(&k, USAGE_OUTPUT, 0);
	take(&k, USAGE_TOTAL, 0);
	assert_false(openai_usage_apply(&k, ENDPOINT_OPENAI_CHAT, &u));
	assert_memory_equal(&u, &before, sizeof(u));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_dearer_of_two),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_nothing_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
