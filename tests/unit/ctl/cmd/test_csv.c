// SPDX-License-Identifier: Apache-2.0
/* CSV out: what a spreadsheet would run is guarded. CSV in: as spreadsheets and providers write it. */
#include "cm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/cmd/csv.h"

static void cells_are_guarded(void **state)
{
	static const struct {
		const char *cell, *out;
	} cases[] = {
		{ "plain", "plain" },
		{ "", "" },
		{ "a,b", "\"a,b\"" },
		{ "say \"so\"", "\"say \"\"so\"\"\"" },
		{ "two\nlines", "\"two\nlines\"" },
		{ "-1", "-1" },
		{ "+3.5", "+3.5" },
		{ "-1.2.3", "\"'-1.2.3\"" },
		{ "-", "\"'-\"" },
		{ "=1+1", "\"'=1+1\"" },
		{ "=HYPERLINK(\"http://x\")", "\"'=HYPERLINK(\"\"http://x\"\")\"" },
		{ "+cmd|' /C calc'!A0", "\"'+cmd|' /C calc'!A0\"" },
		{ "@SUM(A1)", "\"'@SUM(A1)\"" },
		{ "\t=1", "\"'\t=1\"" },
		{ "\r=1", "\"'\r=1\"" },
		{ "a=b", "a=b" },
		{ "-model", "\"'-model\"" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *row[] = { cases[i].cell, "x" };
		char *text = NULL, want[128];
		size_t n;
		FILE *f = open_memstream(&text, &n);

		csv_row(f, row, 2);
		(void)fclose(f);
		(void)snprintf(want, sizeof(want), "%s,x\r\n", cases[i].out);
		assert_string_equal(text, want);
		free(text);
	}
}

struct rows {
	char text[512]; /* cells joined with |, rows with / */
	size_t lines[8], n;
};

static int on_row(void *ctx, size_t line, const char *const *cells, size_t n, struct err *e)
{
	struct rows *r = ctx;

	r->lines[r->n++] = line;
	for (size_t i = 0; i < n; i++) {
		(void)strcat(r->text, i ? "|" : "");
		(void)strcat(r->text, cells[i]);
	}
	(void)strcat(r->text, "/");
	return strcmp(cells[0], "stop") == 0 ? err_set(e, EINVAL, "stopped") : 0;
}

static void files_are_read(void **state)
{
	static const struct {
		const char *in, *rows, *error;
	} cases[] = {
		{ "a,b\nc,d\n", "a|b/c|d/", NULL },
		{ "a,b\r\nc,d", "a|b/c|d/", NULL },
		{ "\xef\xbb\xbf" "a,b\n", "a|b/", NULL },
		{ "a,,\n,b\n", "a||/|b/", NULL },
		{ "\n\na\n\n", "a/", NULL },
		{ "\"a,\"\"b\"\"\",c\n", "a,\"b\"|c/", NULL },
		{ "\"two\nlines\",x\ny\n", "two\nlines|x/y/", NULL },
		{ "\"a\"b,c\n", "ab|c/", NULL },
		{ "", "", NULL },
		{ "a\rb,c\n", "a\rb|c/", NULL },
		{ "ok\n\"open\nx", "ok/", "f.csv, line 2: a quote is opened and not closed" },
		{ "stop\nnever\n", "stop/", "stopped" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rows got = { .n = 0 };
		struct err e = { "" };
		int r = csv_read("f.csv", cases[i].in, strlen(cases[i].in), on_row, &got, &e);

		assert_string_equal(got.text, cases[i].rows);
		assert_int_equal(r, cases[i].error ? -EINVAL : 0);
		if (cases[i].error)
			assert_string_equal(e.text, cases[i].error);
	}
	struct rows got = { .n = 0 };
	struct err e = { "" };
	char many[300];

	assert_int_equal(csv_read("f.csv", "a\0b", 3, on_row, &got, &e), -EINVAL);
	assert_non_null(strstr(e.text, "NUL"));
	memset(many, ',', sizeof(many));
	assert_int_equal(csv_read("f.csv", many, sizeof(many), on_row, &got, &e), -EINVAL);
	assert_non_null(strstr(e.text, "too many columns"));
	got = (struct rows){ .n = 0 };
	assert_int_equal(csv_read("f.csv", "\n\"x\ny\"\nz\n", 9, on_row, &got, &e), 0);
	assert_int_equal(got.lines[0], 2);
	assert_int_equal(got.lines[1], 4);
}

/* What is written is read back as it was, but for the guard. */
static void there_and_back(void **state)
{
	unsigned rnd = 20261124;
	static const char letters[] = "ab,\"\n\r=-+@1.\t";

	print_message("seed %u\n", rnd);
	for (int i = 0; i < 5000; i++) {
		char cells[3][8], *text = NULL, want[64] = "";
		const char *row[3];
		size_t n;
		FILE *f = open_memstream(&text, &n);
		struct rows got = { .n = 0 };
		struct err e = { "" };

		for (int c = 0; c < 3; c++) {
			int len = rand_r(&rnd) % 6 + (c == 0);

			for (int k = 0; k < len; k++)
				cells[c][k] = letters[(unsigned)rand_r(&rnd) % (sizeof(letters) - 1)];
			cells[c][len] = '\0';
			row[c] = cells[c];
			bool number = strspn(cells[c] + (strchr("+-", cells[c][0]) && cells[c][0]), "1.") ==
				      strlen(cells[c] + (strchr("+-", cells[c][0]) && cells[c][0])) && strchr(cells[c], '1') &&
				      strchr(cells[c], '.') == strrchr(cells[c], '.');

			(void)snprintf(want + strlen(want), sizeof(want) - strlen(want), "%s%s%s", c ? "|" : "",
				       cells[c][0] && strchr("=-+@\t\r\n", cells[c][0]) && !number ? "'" : "", cells[c]);
		}
		(void)strcat(want, "/");
		csv_row(f, row, 3);
		(void)fclose(f);
		if (csv_read("f", text, n, on_row, &got, &e) < 0)
			fail_msg("%s: %s", e.text, text);
		assert_string_equal(got.text, want);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cells_are_guarded),
		cmocka_unit_test(files_are_read),
		cmocka_unit_test(there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
