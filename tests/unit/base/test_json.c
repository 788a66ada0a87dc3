// SPDX-License-Identifier: Apache-2.0
/*
 * test_json.c: what is reported, in which order and with which byte ranges; what is refused;
 * and that a cut or spoiled text is never taken for a whole one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Hits as text, one a line: "id kind value @at-end key@key_at". */
struct trace {
	char text[8192];
	size_t n;
};

static void note(void *ctx, int id, const struct json_value *v)
{
	static const char *const kinds[] = { "null", "bool", "int", "number", "string", "object", "array" };
	struct trace *t = ctx;

	t->n += (size_t)snprintf(t->text + t->n, sizeof(t->text) - t->n, "%d %s ", id, kinds[v->kind]);
	if (v->kind == JSON_STRING || v->kind == JSON_NUMBER)
		t->n += (size_t)snprintf(t->text + t->n, sizeof(t->text) - t->n, "%.*s ", STR_FMT(v->s));
	else if (v->kind != JSON_NULL)
		t->n += (size_t)snprintf(t->text + t->n, sizeof(t->text) - t->n, "%lld ", (long long)v->i);
	t->n += (size_t)snprintf(t->text + t->n, sizeof(t->text) - t->n, "@%zu-%zu k%zu\n", v->at, v->end, v->key_at);
	assert_true(t->n < sizeof(t->text));
}

/*
 * Exactly len + JSON_PADDING bytes of heap, so that ASan sees a read too far; the
 * padding holds what would complete a text that was cut.
 */
static int scan(struct json *j, const char *text, size_t len, const struct json_want *wants, size_t n,
		struct trace *t)
{
	char *mem = malloc(len + JSON_PADDING);
	int r;

	if (len)
		memcpy(mem, text, len);
	for (size_t i = 0; i < JSON_PADDING; i++)
		mem[len + i] = "]}\\\"1e5"[i % 7];
	memset(t, 0, sizeof(*t));
	r = json_scan(j, mem, len, wants, n, note, t);
	free(mem);
	return r;
}

static int setup(void **state)
{
	*state = json_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	json_free(*state);
	json_free(NULL);
	return 0;
}

static void reports_wanted_paths(void **state)
{
	static const struct {
		const char *text;
		struct json_want wants[8];
		const char *trace;
	} cases[] = {
		{ "{\"model\":\"m\"}", { { "model", 1 } }, "1 string m @9-12 k1\n" },
		{ " {\"a\" : {\"b\":[1, 22 ]} } ", { { "a.b", 1 }, { "a", 2 }, { "a.b[]", 3 }, { "", 4 } },
		  "3 int 1 @14-15 k14\n3 int 22 @17-19 k17\n1 array 2 @13-21 k9\n2 object 1 @8-22 k2\n"
		  "4 object 1 @1-24 k1\n" },
		{ "{\"u\":{\"i\":[{\"m\":\"x\"},{\"m\":\"y\",\"n\":0},7]}}", { { "u.i[].m", 1 }, { "u.i[]", 2 } },
		  "1 string x @16-19 k12\n2 object 1 @11-20 k11\n1 string y @26-29 k22\n2 object 2 @21-36 k21\n"
		  "2 int 7 @37-38 k37\n" },
		/* "**": at the top, inside objects, inside arrays, inside itself; with more behind. */
		{ "{\"k\":1,\"a\":[{\"k\":{\"k\":2}}]}", { { "**.k", 1 }, { "**.k.k", 2 }, { "k", 3 } },
		  "1 int 1 @5-6 k1\n3 int 1 @5-6 k1\n1 int 2 @22-23 k18\n2 int 2 @22-23 k18\n1 object 1 @17-24 k13\n" },
		{ "{\"x\":{\"a\":[{\"b\":5}]},\"a\":[{\"b\":6}]}", { { "**.a[].b", 1 } }, "1 int 5 @16-17 k12\n1 int 6 @31-32 k27\n" },
		{ "[{\"k\":1}]", { { "**.k", 1 }, { "[].k", 2 }, { "k", 3 } }, "1 int 1 @6-7 k2\n2 int 1 @6-7 k2\n" },
		{ "[[1],[2,3]]", { { "[][]", 1 }, { "[]", 2 } },
		  "1 int 1 @2-3 k2\n2 array 1 @1-4 k1\n1 int 2 @6-7 k6\n1 int 3 @8-9 k8\n2 array 2 @5-10 k5\n" },
		/* Every occurrence of a key. */
		{ "{\"m\":1,\"m\":\"2\"}", { { "m", 1 } }, "1 int 1 @5-6 k1\n1 string 2 @11-14 k7\n" },
		/* One path for two ids, in the order of the table. */
		{ "{\"m\":1}", { { "m", 8 }, { "m", 7 } }, "8 int 1 @5-6 k1\n7 int 1 @5-6 k1\n" },
		/* Keys are compared after unescaping, whole and with case. */
		{ "{\"mod\\u0065l\":1,\"model2\":2,\"Model\":3,\"mode\":4}", { { "model", 1 } }, "1 int 1 @14-15 k1\n" },
		{ "{\"a.b\":1,\"a\":{\"b\":2}}", { { "a.b", 1 } }, "1 int 2 @18-19 k14\n" },
		{ "{\"a[]\":1}", { { "a[]", 1 } }, "" },
		{ "{\"\":{\"\":1}}", { { "a", 1 } }, "" },
		{ "{}", { { "", 1 }, { "**.a", 2 } }, "1 object 0 @0-2 k0\n" },
		{ "[]", { { "", 1 }, { "[]", 2 } }, "1 array 0 @0-2 k0\n" },
		{ "{\"a\":{},\"b\":[]}", { { "a", 1 }, { "b", 2 }, { "b[]", 3 } },
		  "1 object 0 @5-7 k1\n2 array 0 @12-14 k8\n" },
		{ " 12 ", { { "", 1 } }, "1 int 12 @1-3 k1\n" },
		{ "\"s\"", { { "", 1 } }, "1 string s @0-3 k0\n" },
		{ "null", { { "", 1 } }, "1 null @0-4 k0\n" },
		{ "[true,false,null]", { { "[]", 1 } },
		  "1 bool 1 @1-5 k1\n1 bool 0 @6-11 k6\n1 null @12-16 k12\n" },
		{ "{\"a\":1}", { { NULL, 0 } }, "" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct trace t;
		size_t n = 0;
		int r;

		while (n < 8 && cases[i].wants[n].path)
			n++;
		r = scan(*state, cases[i].text, strlen(cases[i].text), cases[i].wants, n, &t);
		if (r || strcmp(t.text, cases[i].trace) != 0)
			fail_msg("%s: %d\n%swanted\n%s", cases[i].text, r, t.text, cases[i].trace);
	}
}

static void reads_scalars(void **state)
{
	static const struct {
		const char *text, *trace; /* NULL = -EINVAL */
	} cases[] = {
		{ "0", "int 0" },
		{ "7", "int 7" },
		{ "-7", "int -7" },
		{ "9223372036854775807", "int 9223372036854775807" },
		{ "-9223372036854775808", "int -9223372036854775808" },
		{ "9223372036854775808", "number 9223372036854775808" },
		{ "-9223372036854775809", "number -9223372036854775809" },
		{ "123456789012345678901234567890", "number 123456789012345678901234567890" },
		{ "-0", "number -0" },
		{ "1.0", "number 1.0" },
		{ "1e5", "number 1e5" },
		{ "1E+05", "number 1E+05" },
		{ "-0.5e-3", "number -0.5e-3" },
		{ "0e0", "number 0e0" },
		{ "1e999", "number 1e999" },
		{ "", NULL },
		{ "-", NULL },
		{ "+1", NULL },
		{ "01", NULL },
		{ "-01", NULL },
		{ "00", NULL },
		{ "1.", NULL },
		{ ".5", NULL },
		{ "1.e5", NULL },
		{ "1e", NULL },
		{ "1e+", NULL },
		{ "1e5.5", NULL },
		{ "1.5.5", NULL },
		{ "0x10", NULL },
		{ "1_000", NULL },
		{ "1a", NULL },
		{ "1\"a\"", NULL },
		{ "- 1", NULL },
		{ "--1", NULL },
		{ "NaN", NULL },
		{ "Infinity", NULL },
		{ "-Infinity", NULL },
		{ "True", NULL },
		{ "tru", NULL },
		{ "truee", NULL },
		{ "true1", NULL },
		{ "nul", NULL },
		{ "nullnull", NULL },
		{ "undefined", NULL },
		{ "'a'", NULL },
		{ "\"\"", "string " },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "string \"\\/\b\f\n\r\t" },
		{ "\"\\u0041\\u00e4\\u20AC\\uD83D\\uDE00z\"", "string A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z" },
		/* Half a pair is JSON and no character. */
		{ "\"\\ud83d\"", "string \xef\xbf\xbd" },
		{ "\"\\ude00\"", "string \xef\xbf\xbd" },
		{ "\"\\ud83dx\"", "string \xef\xbf\xbdx" },
		{ "\"\\ud83d\\n\"", "string \xef\xbf\xbd\n" },
		{ "\"\\ud83d\\u0041\"", "string \xef\xbf\xbd" "A" },
		{ "\"\\ud83d\\ue000\"", "string \xef\xbf\xbd\xee\x80\x80" },
		{ "\"\\ud83d\\ud83d\\ude00\"", "string \xef\xbf\xbd\xf0\x9f\x98\x80" },
		{ "\"\\\\u0041\"", "string \\u0041" },
		{ "\"gr\xc3\xb6\xc3\x9f" "e\"", "string gr\xc3\xb6\xc3\x9f" "e" },
		{ "\"\\a\"", NULL },
		{ "\"\\x41\"", NULL },
		{ "\"\\u\"", NULL },
		{ "\"\\u004\"", NULL },
		{ "\"\\u004g\"", NULL },
		{ "\"\\u 041\"", NULL },
		{ "\"\\U0041\"", NULL },
		{ "\"\\\n\"", NULL },
		{ "\"a\nb\"", NULL },
		{ "\"a\tb\"", NULL },
		{ "\"a\x01\"", NULL },
		{ "\"a", NULL },
		{ "\"a\\\"", NULL },
		{ "\"", NULL },
		{ "\"\x80\"", NULL },
		{ "\"\xc0\xaf\"", NULL },
		{ "\"\xed\xa0\x80\"", NULL },
		{ "\"\xf4\x90\x80\x80\"", NULL },
		{ "\"\xe2\x82\"", NULL },
		{ "\xef\xbb\xbf" "1", NULL },
		{ "\"\x7f\"", "string \x7f" },
	};
	static const struct json_want root[] = { { "", 1 } }, element[] = { { "[]", 1 } };

	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[256], want[256];
		struct trace t;
		int r;

		/* As the root, as the last of an array, and where nobody wants it: all must agree. */
		r = scan(*state, cases[i].text, strlen(cases[i].text), root, 1, &t);
		(void)snprintf(want, sizeof(want), "1 %s @0-%zu", cases[i].trace ? cases[i].trace : "",
			       strlen(cases[i].text));
		if (cases[i].trace ? r || strncmp(t.text, want, strlen(want)) != 0 : r != -EINVAL)
			fail_msg("<%s>: %d %s wanted %s", cases[i].text, r, t.text, want);
		(void)snprintf(text, sizeof(text), "[0,%s]", cases[i].text);
		r = scan(*state, text, strlen(text), element, 1, &t);
		(void)snprintf(want, sizeof(want), "1 int 0 @1-2 k1\n1 %s @3-%zu", cases[i].trace ? cases[i].trace : "",
			       strlen(cases[i].text) + 3);
		if (cases[i].trace ? r || strncmp(t.text, want, strlen(want)) != 0 : r != -EINVAL)
			fail_msg("%s: %d %s wanted %s", text, r, t.text, want);
		(void)snprintf(text, sizeof(text), "{\"skipped\" : %s }", cases[i].text);
		r = scan(*state, text, strlen(text), element, 1, &t);
		if (r != (cases[i].trace ? 0 : -EINVAL))
			fail_msg("%s: %d", text, r);
		/* As a key, if it is a string. */
		(void)snprintf(text, sizeof(text), "{%s:1}", cases[i].text);
		r = scan(*state, text, strlen(text), element, 1, &t);
		if (r != (cases[i].trace && cases[i].text[0] == '"' ? 0 : -EINVAL))
			fail_msg("%s: %d", text, r);
	}
}

static void refuses_bad_structure(void **state)
{
	static const char *const cases[] = {
		"", " ", "\n\t", "{", "}", "[", "]", "{]", "[}", "[1}", "{\"a\":1]", "[[1]", "[1]]", "{{}}", "[,]", "[1,]",
		"[,1]", "[1,,2]", "[1 2]", "[1:2]", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,\"a\":1}",
		"{\"a\":1 \"b\":2}", "{\"a\":1,,\"b\":2}", "{\"a\"::1}", "{\"a\",1}", "{\"a\" 1}", "{1:2}", "{a:1}",
		"{null:1}", "{[]:1}", "{\"a\":1:2}", "{:1}", "{} {}", "{},", "{}x", "1 2", "1,2", "\"a\" \"b\"",
		"\"a\"\"b\"", "\"a\"b", "b\"a\"", "[\"a\"b]", "[\"a\" b]", "[b\"a\"]", "[1\"a\"]", "[\"a\"1]", "[true\"a\"]", ":", ",", "//x\n1",
		"/**/1", "[1]//x", "\\", "\\\"a\"", "[\\\"a\\\"]", "[\"a\" \\\"b\"]", "[\"a\"\\\"b\"]", "\xc2\xa0" "1", "1\x0b", "\x0c" "1", "[1\x01]",
		"{\"a\":1}\xff", "[[[[[[[[", "[[[[[[[1", "{\"a\":[}", "{\"a\":{\"b\":1}", "{\"a\":\"b}", "[\"a\",\"b]",
	};
	static const struct json_want wants[] = { { "a", 1 }, { "**.b", 2 }, { "", 3 } };

	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t n = 0; n <= COUNT(wants); n++) {
			struct trace t;
			int r = scan(*state, cases[i], strlen(cases[i]), wants, n, &t);

			if (r != -EINVAL)
				fail_msg("<%s>: %d", cases[i], r);
		}
	struct trace t;
	assert_int_equal(json_scan(*state, NULL, 0, wants, 3, note, &t), -EINVAL);
	/* NUL is no blank and ends nothing. */
	assert_int_equal(scan(*state, "1\0", 2, wants, 3, &t), -EINVAL);
	assert_int_equal(scan(*state, "\0", 1, wants, 3, &t), -EINVAL);
	assert_int_equal(scan(*state, "{}\0{}", 5, wants, 3, &t), -EINVAL);
	assert_int_equal(scan(*state, "\"a\0b\"", 5, wants, 3, &t), -EINVAL);
}

static void depth_is_limited(void **state)
{
	static const struct json_want wants[] = { { "**.a", 1 } };
	static const struct {
		const char *open, *close;
	} kinds[] = { { "[", "]" }, { "{\"a\":", "}" }, { "[{\"b\":", "}]" } };

	for (size_t k = 0; k < COUNT(kinds); k++) {
		for (int depth = 60; depth < 70; depth++) {
			size_t per = k == 2 ? 2 : 1, n = 0;
			char text[1024];
			struct trace *t = malloc(sizeof(*t));
			int r;

			for (size_t i = 0; i < (size_t)depth / per; i++)
				n += (size_t)sprintf(text + n, "%s", kinds[k].open);
			n += (size_t)sprintf(text + n, "1");
			for (size_t i = 0; i < (size_t)depth / per; i++)
				n += (size_t)sprintf(text + n, "%s", kinds[k].close);
			r = scan(*state, text, n, wants, 1, t);
			assert_int_equal(r, depth / per * per > 64 ? -E2BIG : 0);
			free(t);
		}
	}
}

static void a_million_brackets_do_not_hurt(void **state)
{
	size_t n = 1000000;
	char *text = malloc(n);
	struct trace t;

	memset(text, '[', n);
	assert_int_equal(scan(*state, text, n, NULL, 0, &t), -E2BIG);
	memset(text, ']', n);
	assert_int_equal(scan(*state, text, n, NULL, 0, &t), -EINVAL);
	memset(text, '"', n);
	assert_int_equal(scan(*state, text, n, NULL, 0, &t), -EINVAL);
	memset(text, '\\', n);
	assert_int_equal(scan(*state, text, n, NULL, 0, &t), -EINVAL);
	text[0] = '"';
	text[n - 1] = '"';
	/* n - 2 backslashes, an even number: all escaped. */
	assert_int_equal(scan(*state, text, n, NULL, 0, &t), 0);
	text[1] = 'x';
	assert_int_equal(scan(*state, text, n, NULL, 0, &t), -EINVAL);
	memset(text, ' ', n);
	text[0] = '"';
	text[1] = '"';
	assert_int_equal(scan(*state, text, n, (struct json_want[]){ { "", 1 } }, 1, &t), 0);
	assert_string_equal(t.text, "1 string  @0-2 k0\n");
	free(text);
}

static const char sample[] =
	"{\"model\":\"gpt-\\u0078\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
	"\"say \\\"hi\\\"\\n \xe2\x82\xac\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:...\"}}]}],"
	"\"temperature\":0.70,\"max_tokens\":1024,\"stream\":true,\"stop\":null,\"n\":-1,\"tools\":[]}";

static const struct json_want sample_wants[] = {
	{ "model", 1 }, { "max_tokens", 2 }, { "stream", 3 }, { "**.image_url", 4 }, { "messages[].role", 5 },
};

static void no_prefix_of_a_text_is_a_text(void **state)
{
	struct trace t;

	assert_int_equal(scan(*state, sample, strlen(sample), sample_wants, COUNT(sample_wants), &t), 0);
	assert_non_null(strstr(t.text, "1 string gpt-x @"));
	assert_non_null(strstr(t.text, "4 object 1 @"));
	for (size_t n = 0; n < strlen(sample); n++)
		assert_int_equal(scan(*state, sample, n, sample_wants, COUNT(sample_wants), &t), -EINVAL);
}

/*
 * An independent judge: a slow recursive-descent checker. Texts spoiled at random must
 * be taken or refused alike, also with escapes and quotes at 64-byte borders.
 */
static const char *judge_value(const char *p, const char *end, int depth);

static const char *judge_blank(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

static const char *judge_string(const char *p, const char *end)
{
	if (p == end || *p++ != '"')
		return NULL;
	while (p < end && *p != '"') {
		if ((unsigned char)*p < 0x20)
			return NULL;
		if (*p++ != '\\')
			continue;
		if (p == end || !strchr("\"\\/bfnrtu", *p) || !*p)
			return NULL;
		if (*p++ == 'u')
			for (int i = 0; i < 4; i++, p++)
				if (p == end || !*p || !strchr("0123456789abcdefABCDEF", *p))
					return NULL;
	}
	return p < end ? p + 1 : NULL;
}

static const char *judge_digits(const char *p, const char *end)
{
	const char *from = p;

	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p > from ? p : NULL;
}

static const char *judge_number(const char *p, const char *end)
{
	if (p < end && *p == '-')
		p++;
	if (p < end && *p == '0')
		p++;
	else
		p = judge_digits(p, end);
	if (p && p < end && *p == '.')
		p = judge_digits(p + 1, end);
	if (p && p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		p = judge_digits(p, end);
	}
	return p;
}

static const char *judge_container(const char *p, const char *end, int depth, bool is_array)
{
	char close = is_array ? ']' : '}';

	p = judge_blank(p + 1, end);
	if (p < end && *p == close)
		return p + 1;
	for (;;) {
		if (!is_array) {
			p = judge_string(judge_blank(p, end), end);
			if (!p)
				return NULL;
			p = judge_blank(p, end);
			if (p == end || *p++ != ':')
				return NULL;
		}
		p = judge_value(p, end, depth + 1);
		if (!p || p == end)
			return NULL;
		if (*p == close)
			return p + 1;
		if (*p++ != ',')
			return NULL;
	}
}

static const char *judge_value(const char *p, const char *end, int depth)
{
	static const char *const words[] = { "true", "false", "null" };

	p = judge_blank(p, end);
	if (p == end || depth > 64)
		return NULL;
	if (*p == '{' || *p == '[') {
		p = judge_container(p, end, depth, *p == '[');
	} else if (*p == '"') {
		p = judge_string(p, end);
	} else if (*p >= 'a' && *p <= 'z') {
		for (size_t i = 0; i < COUNT(words); i++) {
			size_t n = strlen(words[i]);

			if ((size_t)(end - p) >= n && !memcmp(p, words[i], n))
				return judge_blank(p + n, end);
		}
		return NULL;
	} else {
		p = judge_number(p, end);
	}
	return p ? judge_blank(p, end) : NULL;
}

static void agrees_with_a_slow_checker(void **state)
{
	static const char letters[] = "{}[]:,\"\"\"\\\\\\\\untf/ebrals0123456789.-+eE \n\tx";
	unsigned seed = 4711, good = 0;

	print_message("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 60000; round++) {
		char text[1024];
		size_t n = 0, len = strlen(sample);
		struct trace t;
		const char *end;
		bool ok;
		int r;

		/* Blanks in front move every token across the 64-byte borders. */
		n = (size_t)rand() % 70;
		memset(text, ' ', n);
		if (round % 4 == 0) {
			size_t m = (size_t)rand() % 12;

			for (size_t i = 0; i < m; i++)
				text[n++] = letters[(size_t)rand() % (sizeof(letters) - 1)];
		} else {
			size_t from = n;

			memcpy(text + n, sample, len);
			n += len;
			for (int spoil = rand() % 3; spoil >= 0; spoil--)
				text[from + (size_t)rand() % len] = letters[(size_t)rand() % (sizeof(letters) - 1)];
		}
		/* A spoiled euro sign is not UTF-8, which the judge does not know about. */
		if (round % 4) {
			char *euro = memmem(text, n, "\xe2\x82\xac", 3);

			if (!euro)
				continue;
		}
		end = text + n;
		ok = judge_value(text, end, 0) == end;
		r = scan(*state, text, n, sample_wants, (size_t)rand() % (COUNT(sample_wants) + 1), &t);
		if (r != (ok ? 0 : -EINVAL))
			fail_msg("<%.*s>: %d, judge says %d", (int)n, text, r, ok);
		good += ok;
	}
	assert_true(good > 1000);
}

/* A string of escapes of every kind, pushed over every offset of the 64-byte blocks. */
static void escapes_at_every_offset(void **state)
{
	static const struct json_want wants[] = { { "k", 1 }, { "end", 2 } };

	for (size_t pad = 0; pad < 600; pad++) {
		struct trace t;
		char text[1024];
		int n;

		n = snprintf(text, sizeof(text), "{\"p\":\"%0*d\",\"k\":\"\\\\\\\\\\\"\\u0041\\n\\\\\",\"end\":1}", (int)pad, 0);
		assert_int_equal(scan(*state, text, (size_t)n, wants, 2, &t), 0);
		assert_non_null(strstr(t.text, "1 string \\\\\"A\n\\ @"));
		assert_non_null(strstr(t.text, "2 int 1 @"));
		/* The same with one bad escape. */
		*strstr(text, "\\n") = 'x';
		assert_int_equal(scan(*state, text, (size_t)n, wants, 2, &t), 0);
		strstr(text, "\\u")[1] = 'v';
		assert_int_equal(scan(*state, text, (size_t)n, wants, 2, &t), -EINVAL);
	}
}

/* More tables than the parser keeps, one table changed in place, and a parser that errs between. */
static void tables_are_known_by_content(void **state)
{
	char path[8] = "a";
	struct json_want changing[] = { { path, 1 } };
	struct trace t;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 20; i++) {
			char name[8], text[32], want[32];
			struct json_want wants[] = { { name, i } };

			(void)snprintf(name, sizeof(name), "k%d", i);
			(void)snprintf(text, sizeof(text), "{\"k%d\":%d}", i, i);
			(void)snprintf(want, sizeof(want), "%d int %d @", i, i);
			assert_int_equal(scan(*state, text, strlen(text), wants, 1, &t), 0);
			assert_memory_equal(t.text, want, strlen(want));
			assert_int_equal(scan(*state, "{\"x\":", 5, wants, 1, &t), -EINVAL);
		}
	}
	assert_int_equal(scan(*state, "{\"a\":1,\"b\":2}", 13, changing, 1, &t), 0);
	assert_string_equal(t.text, "1 int 1 @5-6 k1\n");
	path[0] = 'b';
	assert_int_equal(scan(*state, "{\"a\":1,\"b\":2}", 13, changing, 1, &t), 0);
	assert_string_equal(t.text, "1 int 2 @11-12 k7\n");
	changing[0].id = 5;
	assert_int_equal(scan(*state, "{\"a\":1,\"b\":2}", 13, changing, 1, &t), 0);
	assert_string_equal(t.text, "5 int 2 @11-12 k7\n");
}

static void count_hit(void *ctx, int id, const struct json_value *v)
{
	size_t *n = ctx;

	*n += v->s.n;
}

/* Past 2 MiB the memory is given back; the parser goes on. */
static void large_texts(void **state)
{
	static const struct json_want wants[] = { { "[]", 1 } };
	size_t n = 0, cap = 6 << 20, got = 0;
	char *text = malloc(cap + JSON_PADDING);
	struct trace t;

	text[n++] = '[';
	while (n < cap - 100)
		n += (size_t)sprintf(text + n, "%s\"\\tabc\\u0041\"", n > 1 ? "," : "");
	text[n++] = ']';
	assert_int_equal(json_scan(*state, text, n, wants, 1, count_hit, &got), 0);
	assert_int_equal(got, (n - 1) / 14 * 5);
	memset(text, 'y', n);
	text[0] = text[n - 1] = '"';
	memcpy(text + 1, "\\n", 2);
	got = 0;
	assert_int_equal(json_scan(*state, text, n, (struct json_want[]){ { "", 1 } }, 1, count_hit, &got), 0);
	assert_int_equal(got, n - 3);
	free(text);
	assert_int_equal(scan(*state, "[1]", 3, wants, 1, &t), 0);
	assert_string_equal(t.text, "1 int 1 @1-2 k1\n");
}

static void tells_of_repeated_keys(void **state)
{
	static const struct {
		const char *text;
		bool repeats;
	} texts[] = {
		{ "{}", false }, { "{\"a\":1,\"b\":2}", false }, { "{\"a\":1,\"a\":2}", true }, { "{\"a\":{\"a\":1},\"b\":{\"a\":1}}", false },
		{ "[{\"a\":1},{\"a\":2}]", false }, { "[[{\"x\":[{\"b\":0,\"a\":1,\"b\":2}]}]]", true }, { "{\"\":1,\"\":2}", true },
		{ "{\"a\":1,\"\\u0061\":2}", true }, { "{\"\\u0061\":2}", true /* may be */ },
		{ "{\"abcdefgh\":1,\"abcdefgi\":1,\"abcdefghi\":1,\"bcdefgh\":1}", false },
		{ "{\"a\":{\"z\":1,\"y\":2},\"b\":1,\"a\":3}", true }, { "\"a\"", false },
	};
	static char many[2000];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct trace t;
		assert_int_equal(scan(*state, texts[i].text, strlen(texts[i].text), NULL, 0, &t), 0);
		if (json_repeats(*state) != texts[i].repeats)
			fail_msg("%s", texts[i].text);
	}
	for (int members = 48; members < 50; members++) {
		struct trace t;
		n = 0;
		for (int i = 0; i < members; i++)
			n += (size_t)sprintf(many + n, "%s\"%d\":0", i ? "," : "{", i);
		n += (size_t)sprintf(many + n, "}");
		assert_int_equal(scan(*state, many, n, NULL, 0, &t), 0);
		assert_int_equal(json_repeats(*state), members > 48);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reports_wanted_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(reads_scalars, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_bad_structure, setup, teardown),
		cmocka_unit_test_setup_teardown(depth_is_limited, setup, teardown),
		cmocka_unit_test_setup_teardown(a_million_brackets_do_not_hurt, setup, teardown),
		cmocka_unit_test_setup_teardown(no_prefix_of_a_text_is_a_text, setup, teardown),
		cmocka_unit_test_setup_teardown(agrees_with_a_slow_checker, setup, teardown),
		cmocka_unit_test_setup_teardown(escapes_at_every_offset, setup, teardown),
		cmocka_unit_test_setup_teardown(tables_are_known_by_content, setup, teardown),
		cmocka_unit_test_setup_teardown(tells_of_repeated_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(large_texts, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
