// SPDX-License-Identifier: Apache-2.0
/* test_yaml.c: trees, lines, and each complaint with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "base/buf.h"
#include "base/yaml.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct yaml *parse(const char *text)
{
	struct yaml *y = NULL;
	struct err e;
	int r = yaml_parse("t.yaml", text, strlen(text), &y, &e);

	if (r < 0)
		fail_msg("%s", e.text);
	return y;
}

static void remembers_values_and_lines(void **state)
{
	struct yaml *y = parse("# head\n"
			       "listen: 127.0.0.1:4141\n"
			       "\n"
			       "agents:\n"
			       "  - name: bot\n"
			       "    day: \"25USD\"\n"
			       "  - {name: two, day: 3}\n"
			       "empty:\n"
			       "quoted: \"\"\n"
			       "text: |\n"
			       "  one\n"
			       "  two\n"
			       "last: x\n");
	const struct yaml_node *root = yaml_root(y), *agents, *n;

	assert_int_equal(yaml_kind(root), YAML_MAP);
	assert_int_equal(yaml_count(root), 6);
	assert_int_equal(yaml_line(root), 2);
	assert_string_equal(yaml_key(root, 1).p, "agents");
	assert_string_equal(yaml_scalar(yaml_find(root, "listen")).p, "127.0.0.1:4141");
	agents = yaml_find(root, "agents");
	assert_int_equal(yaml_kind(agents), YAML_LIST);
	assert_int_equal(yaml_count(agents), 2);
	assert_int_equal(yaml_line(agents), 5);
	n = yaml_find(yaml_at(agents, 0), "day");
	assert_int_equal(yaml_line(n), 6);
	assert_string_equal(yaml_scalar(n).p, "25USD");
	assert_string_equal(yaml_scalar(yaml_find(yaml_at(agents, 1), "name")).p, "two");
	assert_int_equal(yaml_line(yaml_at(agents, 1)), 7);
	n = yaml_find(root, "empty");
	assert_int_equal(yaml_line(n), 8);
	assert_true(yaml_is_null(n));
	n = yaml_find(root, "quoted");
	assert_false(yaml_is_null(n));
	assert_int_equal(yaml_scalar(n).n, 0);
	assert_string_equal(yaml_scalar(yaml_find(root, "text")).p, "one\ntwo\n");
	assert_int_equal(yaml_line(yaml_find(root, "last")), 13);
	yaml_free(y);
}

static void nothing_is_looked_at_safely(void **state)
{
	struct yaml *y = parse("a: 1\nb: [x]\n");
	const struct yaml_node *a = yaml_find(yaml_root(y), "a"), *b = yaml_find(yaml_root(y), "b");

	assert_null(yaml_find(yaml_root(y), "c"));
	assert_null(yaml_find(a, "x"));
	assert_null(yaml_find(b, "x"));
	assert_null(yaml_find(NULL, "x"));
	assert_null(yaml_at(b, 1));
	assert_null(yaml_at(a, 0));
	assert_null(yaml_at(NULL, 0));
	assert_int_equal(yaml_key(b, 0).n, 0);
	assert_int_equal(yaml_key(NULL, 0).n, 0);
	assert_int_equal(yaml_count(a), 0);
	assert_int_equal(yaml_scalar(b).n, 0);
	assert_string_equal(yaml_scalar(NULL).p, "");
	assert_true(yaml_is_null(NULL));
	assert_false(yaml_is_null(b));
	assert_int_equal(yaml_line(NULL), 1);
	yaml_free(y);
	yaml_free(NULL);
}

static void knows_null(void **state)
{
	static const struct {
		const char *text;
		bool null;
	} cases[] = {
		{ "a:", true },	     { "a: ~", true },	    { "a: null", true },   { "a: Null", true },
		{ "a: NULL", true }, { "a: \"\"", false },  { "a: 'null'", false }, { "a: nul", false },
		{ "a: []", false },  { "a: {}", false },    { "a: |\n", false },   { "a: 0", false },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct yaml *y = parse(cases[i].text);

		if (yaml_is_null(yaml_find(yaml_root(y), "a")) != cases[i].null)
			fail_msg("%s", cases[i].text);
		yaml_free(y);
	}
}

static void empty_files_have_no_root(void **state)
{
	static const char *const cases[] = { "", "\n\n", "# only a comment\n", "\xef\xbb\xbf" };

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct yaml *y = parse(cases[i]);

		assert_null(yaml_root(y));
		yaml_free(y);
	}
	struct yaml *y = parse("---\n...\n");
	assert_true(yaml_is_null(yaml_root(y)));
	yaml_free(y);
	y = NULL;
	assert_int_equal(yaml_parse("t", NULL, 0, &y, NULL), 0);
	yaml_free(y);
}

static void refuses_with_file_and_line(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "a: 1\nb: 2\na: 3\n", "t.yaml:3: a: this key stands in line 1 already; keep one of them" },
		{ "x:\n  - {k: 1, \"k\": 2}\n", "t.yaml:2: k: this key stands in line 2 already; keep one of them" },
		{ "a: &x 1\nb: *x\n", "t.yaml:1: anchor \"&x\": anchors are not supported; remove it" },
		{ "a: 1\nb: &y [1]\n", "t.yaml:2: anchor \"&y\": anchors are not supported; remove it" },
		{ "a: 1\nb: &z {c: 1}\n", "t.yaml:2: anchor \"&z\": anchors are not supported; remove it" },
		{ "&k a: 1\n", "t.yaml:1: anchor \"&k\": anchors are not supported; remove it" },
		{ "a: !!int 1\n", "t.yaml:1: tag \"tag:yaml.org,2002:int\": tags are not supported; remove it" },
		{ "a: ! 1\n", "t.yaml:1: tag \"!\": tags are not supported; remove it" },
		{ "a:\n  - !x [1]\n", "t.yaml:2: tag \"!x\": tags are not supported; remove it" },
		{ "a: 1\nb: !y {}\n", "t.yaml:2: tag \"!y\": tags are not supported; remove it" },
		{ "a: *nobody\n", "t.yaml:1: alias \"*nobody\": aliases are not supported; write the value out" },
		{ "a: 1\n---\nb: 2\n", "t.yaml:2: a second document begins; use one file for each" },
		{ "a: 1\n...\n---\n", "t.yaml:3: a second document begins; use one file for each" },
		{ "? [1]\n: 2\n", "t.yaml:1: a key that is a list or map; keys must be words" },
		{ "a: \"x\\0y\"\n", "t.yaml:1: a NUL character in a value; remove it" },
		{ "%TAG !e! tag:e,2000:\n---\na: 1\n", "t.yaml:1: %TAG: tags are not supported; remove it" },
		{ "a: 1\nb: \"no end\n", "t.yaml:3: not YAML: " },
		{ "a: 1\n b: 2\n", "t.yaml:2: not YAML: " },
		{ "a: [1, 2\n", "t.yaml:2: not YAML: " },
		{ "a: 1\n\tb: 2\n", "t.yaml:2: not YAML: " },
		{ "a: 1\nb: \x80\n", "t.yaml:2: not UTF-8 text (" },
		{ "a: 1\n\nb: \x01\n", "t.yaml:3: not UTF-8 text (" },
		{ "a: @x\n", "t.yaml:1: not YAML: " },
		{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
		  "t.yaml:1: nested deeper than 32 levels; flatten it" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct yaml *y = NULL;
		struct err e = { "" };
		int r = yaml_parse("t.yaml", cases[i].text, strlen(cases[i].text), &y, &e);

		if (r != -EINVAL || y || strncmp(e.text, cases[i].error, strlen(cases[i].error)) != 0)
			fail_msg("<%s>: %d \"%s\", wanted \"%s\"", cases[i].text, r, e.text, cases[i].error);
		assert_int_equal(yaml_parse("t.yaml", cases[i].text, strlen(cases[i].text), &y, NULL), -EINVAL);
	}
}

static void thirty_one_levels_and_a_value_are_fine(void **state)
{
	yaml_free(parse("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"));
}

static void deep_and_wide_texts_end(void **state)
{
	size_t n = 200000;
	char *text = malloc(n + 1);
	struct yaml *y = NULL;
	struct err e;

	text[n] = '\0';
	memset(text, '[', n);
	assert_int_equal(yaml_parse("t", text, n, &y, &e), -EINVAL);
	memset(text, '{', n);
	assert_int_equal(yaml_parse("t", text, n, &y, &e), -EINVAL);
	for (size_t i = 0; i < n; i += 2)
		memcpy(text + i, i ? ",a" : "[a", 2);
	text[n - 1] = ']';
	assert_int_equal(yaml_parse("t", text, n, &y, &e), 0);
	assert_int_equal(yaml_count(yaml_root(y)), n / 2 - 1);
	yaml_free(y);
	/* Thousands of keys: looking for doubles must not be quadratic. */
	free(text);
	text = malloc(1 << 20);
	n = 0;
	for (int i = 0; i < 40000; i++)
		n += (size_t)sprintf(text + n, "key-%d: %d\n", i, i);
	assert_int_equal(yaml_parse("t", text, n, &y, &e), 0);
	assert_string_equal(yaml_scalar(yaml_find(yaml_root(y), "key-39999")).p, "39999");
	yaml_free(y);
	free(text);
}

/* Every prefix of a good text is taken or refused with a text, and leaks nothing (SAN=1). */
static void cut_texts_are_taken_or_refused(void **state)
{
	static const char text[] = "a: {b: [1, \"two\", 'three'], c: |\n  x\n}\nd:\n- e: \xe2\x82\xac\n- - f\n? g\n: h\n";

	for (size_t n = 0; n < sizeof(text); n++) {
		struct yaml *y = NULL;
		struct err e = { "" };
		int r = yaml_parse("t.yaml", text, n, &y, &e);

		if (r < 0)
			assert_memory_equal(e.text, "t.yaml:", 7);
		yaml_free(y);
	}
}

static void complains_in_one_form(void **state)
{
	struct yaml *y = parse("day: 25EUR\nlong: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nlist: [1]\nctl: \"a\\nb\\e[0m\"\n");
	const struct yaml_node *root = yaml_root(y);
	struct err e;

	assert_int_equal(yaml_complain(y, yaml_find(root, "day"), &e, "day", "is not a %s amount", "USD"), -EINVAL);
	assert_string_equal(e.text, "t.yaml:1: day: \"25EUR\" is not a USD amount");
	(void)yaml_complain(NULL, yaml_find(root, "day"), &e, NULL, "is odd");
	assert_string_equal(e.text, "t.yaml:1: \"25EUR\" is odd");
	(void)yaml_complain(y, yaml_find(root, "list"), &e, "list", "must be a word");
	assert_string_equal(e.text, "t.yaml:3: list: must be a word");
	(void)yaml_complain(y, NULL, &e, "port", "is missing");
	assert_string_equal(e.text, "t.yaml: port: is missing");
	(void)yaml_complain(y, yaml_find(root, "ctl"), &e, "ctl", "is odd");
	assert_string_equal(e.text, "t.yaml:4: ctl: \"a b [0m\" is odd");
	(void)yaml_complain(y, yaml_find(root, "long"), &e, "long", "is long");
	assert_non_null(strstr(e.text, "aaa...\" is long"));
	assert_true(strlen(e.text) < 120);
	assert_int_equal(yaml_complain(y, NULL, NULL, "x", "y"), -EINVAL);
	yaml_free(y);
}

static char dir[64];

static int make_dir(void **state)
{
	(void)strcpy(dir, "/tmp/test_yaml.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char path[128];
	static const char *const names[] = { "good.yaml", "fifo" };

	for (size_t i = 0; i < COUNT(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	return rmdir(dir);
}

static void loads_files(void **state)
{
	char path[128];
	struct yaml *y = NULL;
	struct err e;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/good.yaml", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs("a: 1\nb: \"0123456789\"\n", f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(yaml_load(path, 21, &y, &e), 0);
	assert_string_equal(yaml_scalar(yaml_find(yaml_root(y), "b")).p, "0123456789");
	yaml_free(y);
	y = NULL;
	assert_int_equal(yaml_load(path, 20, &y, &e), -EFBIG);
	assert_non_null(strstr(e.text, "good.yaml: larger than 20 bytes"));
	assert_int_equal(yaml_load(path, 0, &y, &e), -EFBIG);
	assert_int_equal(yaml_load(path, SIZE_MAX, &y, &e), 0);
	yaml_free(y);
}

static void refuses_what_is_no_file(void **state)
{
	char path[128], want[256];
	struct yaml *y = NULL;
	struct err e;

	(void)snprintf(path, sizeof(path), "%s/missing.yaml", dir);
	assert_int_equal(yaml_load(path, 1000, &y, &e), -ENOENT);
	(void)snprintf(want, sizeof(want), "%s: cannot be opened: No such file or directory", path);
	assert_string_equal(e.text, want);
	assert_int_equal(yaml_load(dir, 1000, &y, &e), -EINVAL);
	assert_non_null(strstr(e.text, "not a regular file"));
	/* Nobody writes to it: must not hang. */
	(void)snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(yaml_load(path, 1000, &y, &e), -EINVAL);
	assert_int_equal(yaml_load("/dev/zero", 1000, &y, &e), -EINVAL);
	assert_int_equal(yaml_load("/dev/zero", 1000, &y, NULL), -EINVAL);
	assert_null(y);
}

/* What a reader would refuse, fold or skip is escaped. */
static void quoted_texts_read_back(void **state)
{
	static const char *const texts[] = {
		"", "a", " a ", "a\"b\\c", "\x01\t\n\r\x1f\x7f", "\xc2\x80\xc2\x85\xc2\x9f\xc2\xa0", "\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa",
		"\xef\xbb\xbf" "a", "\xef\xbf\xbd\xef\xbf\xbe\xef\xbf\xbf", "\xf0\x9f\x98\x80", "# a: [b]", "\xc2", "~",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct yaml *y = NULL;
		struct buf b;

		buf_init(&b, 1000);
		assert_int_equal(yaml_quote(&b, texts[i]), 0);
		if (strcmp(texts[i], "\xc2") != 0) { /* no text: only written, not read past its end */
			assert_int_equal(yaml_parse("f", buf_ptr(&b), buf_len(&b), &y, NULL), 0);
			assert_string_equal(yaml_scalar(yaml_root(y)).p, texts[i]);
		}
		yaml_free(y);
		buf_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remembers_values_and_lines),
		cmocka_unit_test(nothing_is_looked_at_safely),
		cmocka_unit_test(knows_null),
		cmocka_unit_test(empty_files_have_no_root),
		cmocka_unit_test(refuses_with_file_and_line),
		cmocka_unit_test(thirty_one_levels_and_a_value_are_fine),
		cmocka_unit_test(deep_and_wide_texts_end),
		cmocka_unit_test(cut_texts_are_taken_or_refused),
		cmocka_unit_test(complains_in_one_form),
		cmocka_unit_test(quoted_texts_read_back),
		cmocka_unit_test_setup_teardown(loads_files, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(refuses_what_is_no_file, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
