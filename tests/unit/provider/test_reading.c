// SPDX-License-Identifier: Apache-2.0
/* test_reading.c: words, members, judgements about usages and parts that all dialects share. */
#include "calls.h"

#include <errno.h>

#include "provider/reading.h"

static void test_words(void **state)
{
	static const struct word table[] = { { "a", 1 }, { "web_*", 2 }, { "", 3 }, { NULL, 0 } };

	assert_int_equal(word_value(table, STR("a"), -1), 1);
	assert_int_equal(word_value(table, STR("ab"), -1), -1);
	assert_int_equal(word_value(table, STR("web_"), -1), 2);
	assert_int_equal(word_value(table, STR("web_search"), -1), 2);
	assert_int_equal(word_value(table, STR("web"), -1), -1);
	assert_int_equal(word_value(table, STR(""), -1), 3);
	assert_int_equal(word_value(table, STR("A"), -1), -1);
	assert_int_equal(word_value(table, (struct str){ .p = "a\0b", .n = 3 }, -1), -1);
}

static void test_notes(void **state)
{
	struct json_value v = { .kind = JSON_STRING, .s = STR("function") };
	struct note n;

	note_take(&n, &v);
	assert_true(note_is(&n, "function"));
	v.kind = JSON_NULL;
	note_take(&n, &v);
	assert_true(note_is(&n, ""));
	/* Too long: cut, and so not equal to any word. */
	v = (struct json_value){ .kind = JSON_STRING,
				 .s = STR("functionfunctionfunctionfunctionfunctionfunctionfunctionfunctionfunction") };
	note_take(&n, &v);
	assert_false(note_is(&n, "function"));
}

static void test_brace(void **state)
{
	static const struct {
		const char *body;
		int r;
		size_t at;
	} rows[] = {
		{ "{}", 0, 0 }, { " \t\r\n{}", 0, 4 }, { "\xef\xbb\xbf{}", 0, 3 }, { "\xef\xbb\xbf {}", 0, 4 },
		{ "", -EINVAL, 0 }, { "  ", -EINVAL, 0 }, { "[{}]", -EINVAL, 0 }, { "\xef\xbb", -EINVAL, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t at = 0;

		assert_int_equal(body_brace(rows[i].body, strlen(rows[i].body), &at), rows[i].r);
		assert_int_equal(at, rows[i].at);
	}
}

static void test_models(void **state)
{
	char got[8];

	assert_int_equal(model_asked(STR("abcdefg"), got, sizeof(got), NULL), 0);
	assert_string_equal(got, "abcdefg");
	assert_int_equal(model_asked(STR("abcdefgh"), got, sizeof(got), NULL), -EINVAL);
	assert_int_equal(model_asked(STR(""), got, sizeof(got), NULL), -EINVAL);
	assert_int_equal(model_asked(STR("a\x7f"), got, sizeof(got), NULL), -EINVAL);
	assert_int_equal(model_asked((struct str){ .p = "a\0b", .n = 3 }, got, sizeof(got), NULL), -EINVAL);
	assert_string_equal(got, "abcdefg");
}

static void test_judge(void **state)
{
	static const struct {
		struct usage u;
		bool output_seen, said, seen_before, seen;
	} rows[] = {
		{ { .input = 5, .output = 5 }, true, true, false, true },
		{ { .input = 5, .output = 0 }, false, true, false, true },
		{ { .input = 5, .output = 0 }, true, true, false, false },
		{ { .input = 0, .output = 5 }, true, true, false, false },
		{ { .input = 0, .output = 0 }, false, true, false, false },
		{ { .input = 5, .output = 5 }, true, false, false, false },
		{ { .input = 5, .output = 5 }, true, false, true, true },
		{ { .input = 5, .output = 0 }, true, false, true, false },
		{ { .input = USAGE_TOKENS_MAX + 1, .output = 5 }, true, true, false, false },
		{ { .input = 5, .output = USAGE_TOKENS_MAX + 1 }, true, true, true, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct report r = { .usage = rows[i].u, .output_seen = rows[i].output_seen, .seen = rows[i].seen_before };

		usage_judge(&r, rows[i].said);
		assert_int_equal(r.seen, rows[i].seen);
	}
}

static void test_parts(void **state)
{
	struct report r;
	struct usage u = { .input = USAGE_TOKENS_MAX, .output = USAGE_TOKENS_MAX, .web_searches = 9 };
	char long_name[100];

	report_init(&r);
	r.usage = (struct usage){ .input = 5, .output = 5, .web_searches = 3 };
	parts_judge(&r); /* none: nothing to judge */
	assert_false(r.parts_overflow);
	for (int i = 0; i < USAGE_PARTS_MAX; i++)
		part_add(&r, STR("m"), &u);
	parts_judge(&r);
	assert_false(r.parts_overflow);
	assert_int_equal(r.parts[0].usage.web_searches, 3);
	assert_int_equal(r.parts[1].usage.web_searches, 0);
	part_add(&r, STR("m"), &u);
	assert_true(r.parts_overflow);

	report_init(&r);
	memset(long_name, 'a', sizeof(long_name));
	part_add(&r, (struct str){ .p = long_name, .n = 80 }, &u);
	assert_true(r.parts_overflow && r.nparts == 0);
	report_init(&r);
	u.input++;
	part_add(&r, STR("m"), &u);
	assert_true(r.parts_overflow && r.nparts == 0);
}

static int read_nothing(void *ctx, const struct json_value *v, struct err *e)
{
	++*(int *)ctx;
	return 0;
}

/* The first complaint is the one that is told, and nothing is read behind it. */
static void test_fields_stop(void **state)
{
	static const struct field fields[] = {
		{ "a", KIND_BOOL | KIND_STRING, .once = true, .read = read_nothing },
		{ "b", KIND_INT, .read = read_nothing },
		{ "c", KIND_ANY, .nulls = true, .read = read_nothing },
	};
	static const struct {
		const char *body, *text;
		int r, reads;
	} rows[] = {
		{ "{\"a\":true,\"b\":5,\"c\":null}", "", 0, 3 },
		{ "{\"a\":null,\"b\":null,\"b\":6,\"b\":7}", "", 0, 2 },
		{ "{\"a\":5,\"b\":5,\"b\":\"x\"}", "\"a\": a whole number stands there, true or false or a string is expected", -EINVAL, 0 },
		{ "{\"b\":5,\"a\":null,\"a\":null,\"b\":6}", "\"a\": stands twice", -EINVAL, 1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str s = str_of(rows[i].body);
		char *p = calls_padded(s);
		struct err e = { 0 };
		int reads = 0;

		assert_int_equal(fields_read(calls_json, p, s.n, fields, 3, &reads, &e), rows[i].r);
		assert_true(str_starts(str_of(e.text), str_of(rows[i].text)));
		assert_int_equal(reads, rows[i].reads);
		free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),  cmocka_unit_test(test_notes), cmocka_unit_test(test_brace),
		cmocka_unit_test(test_models), cmocka_unit_test(test_judge), cmocka_unit_test(test_parts),
		cmocka_unit_test(test_fields_stop),
	};

	return cmocka_run_group_tests(tests, calls_setup, calls_teardown);
}
