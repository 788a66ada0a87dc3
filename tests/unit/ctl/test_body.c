// SPDX-License-Identifier: Apache-2.0
/* test_body.c: bodies of control requests, and records read from answers. */
#include "cm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "ctl/body.h"
#include "ctl/records.h"
#include "gate_abi.h"

struct change {
	char name[8];
	int64_t day, floor;
	bool has_day, explain, has_explain, temporary;
};
#define AT(m) offsetof(struct change, m)
static const struct body_row rows[] = {
	{ .key = "name", .type = BODY_TEXT, .required = true, .offset = AT(name), .size = 8, .has_offset = SIZE_MAX },
	{ .key = "day", .type = BODY_LIMIT, .offset = AT(day), .has_offset = AT(has_day) },
	{ .key = "exhausted_below", .type = BODY_USD, .offset = AT(floor), .has_offset = SIZE_MAX },
	{ .key = "on_exhausted", .type = BODY_WORD, .offset = AT(explain), .has_offset = AT(has_explain),
	  .words = { "refuse", "explain" } },
	{ .key = "temporary", .type = BODY_BOOL, .offset = AT(temporary), .has_offset = SIZE_MAX },
};

static int read_text(const char *text, struct change *c, struct err *e)
{
	struct buf b;

	*c = (struct change){ 0 };
	*e = (struct err){ "" };
	buf_init(&b, 1 << 20);
	assert_non_null(buf_reserve(&b, 1));
	assert_int_equal(buf_append(&b, text, strlen(text)), 0);
	int r = body_read(rows, COUNT(rows), (struct str){ buf_ptr(&b), buf_len(&b) }, c, e);

	buf_done(&b);
	return r;
}

static void takes(void **state)
{
	struct change c;
	struct err e;

	assert_int_equal(read_text(" {\"name\":\"bot\",\n\"day\":\"12.5\",\"exhausted_below\":\"0.000000001\","
				   "\"on_exhausted\":\"explain\",\"temporary\":true}\n", &c, &e), 0);
	assert_string_equal(c.name, "bot");
	assert_int_equal(c.day, 12500000000);
	assert_int_equal(c.floor, 1);
	assert_true(c.has_day && c.explain && c.has_explain && c.temporary);
	assert_int_equal(read_text("{\"name\":\"a:\\\"{b\",\"day\":null}", &c, &e), 0);
	assert_string_equal(c.name, "a:\"{b");
	assert_true(c.day == GATE_NO_LIMIT && c.has_day && !c.has_explain);
	assert_int_equal(read_text("{\"name\":\"a\",\"day\":25}", &c, &e), 0);
	assert_int_equal(c.day, 25 * NANOUSD_PER_USD);
	assert_int_equal(read_text("{\"n\\u0061me\":\"a\"}", &c, &e), 0);
}

static void refuses(void **state)
{
	static const struct {
		const char *text, *complaint;
	} cases[] = {
		{ "", "the body is not one JSON object" },
		{ "\n\n\n\n", "the body is not one JSON object" },
		{ "[]", "the body is not one JSON object" },
		{ "\"name\"", "the body is not one JSON object" },
		{ "{\"name\":\"a\"", "the body is not one JSON object" },
		{ "{\"name\":\"a\"} x", "the body is not one JSON object" },
		{ "[{\"name\":\"a\"}]", "the body is not one JSON object" },
		{ "{}", "name: is missing" },
		{ "{\"name\":null}", "name: is not a string" },
		{ "{\"name\":7}", "name: is not a string" },
		{ "{\"name\":\"a\\u0000b\"}", "name: is not a string" },
		{ "{\"name\":\"12345678\"}", "name: is longer than 7 bytes" },
		{ "{\"name\":\"a\",\"name\":\"b\"}", "name: stands twice in the body" },
		{ "{\"name\":\"a\",\"dya\":\"5\"}", "dya: is not a known key; did you mean \"day\"?" },
		{ "{\"name\":\"a\",\"frobnicate\":{\"day\":5}}", "frobnicate: is not a known key" },
		{ "{\"name\":\"a\",\"x\":[{\"y\":1}]}", "x: is not a known key" },
		{ "{\"name\":\"a\",\"day\":\"5 EUR\"}", "day: \"5 EUR\" is not a USD amount or null; write e.g. \"12.50\"" },
		{ "{\"name\":\"a\",\"day\":-5}", "day: \"\" is not a USD amount or null" },
		{ "{\"name\":\"a\",\"day\":1e3}", "day: \"\" is not a USD amount or null" },
		{ "{\"name\":\"a\",\"day\":{}}", "day: \"\" is not a USD amount or null" },
		{ "{\"name\":\"a\",\"exhausted_below\":null}", "exhausted_below: \"\" is not a USD amount;" },
		{ "{\"name\":\"a\",\"on_exhausted\":\"stop\"}", "on_exhausted: \"stop\" is not \"refuse\" or \"explain\"" },
		{ "{\"name\":\"a\",\"on_exhausted\":true}", "on_exhausted: \"\" is not \"refuse\" or \"explain\"" },
		{ "{\"name\":\"a\",\"temporary\":1}", "temporary: is not true or false" },
	};
	struct change c;
	struct err e;

	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(read_text(cases[i].text, &c, &e), -EINVAL);
		if (!strstr(e.text, cases[i].complaint))
			fail_msg("%s\n  says %s, wanted %s", cases[i].text, e.text, cases[i].complaint);
	}
}

/* ---- records */

struct seen {
	char text[512];
};

static void see(void *ctx, const char *const *v)
{
	struct seen *s = ctx;
	size_t n = strlen(s->text);

	(void)snprintf(s->text + n, sizeof(s->text) - n, "[%s|%s|%s]", v[0], v[1], v[2]);
}

static void records(void **state)
{
	static const char text[] = "{\"a\":1,\"list\":[{\"n\":\"x\",\"w\":{\"day\":\"5\"},\"b\":true},{\"n\":null,\"b\":false},{}],"
				   "\"e\":{\"m\":\"why\"}}";
	static const char *const fields[] = { "n", "w.day", "b" }, *const roots[] = { "a", "e.m", "zzz" };
	struct seen s = { "" };
	struct buf b;
	char mem[16];

	buf_init(&b, 4096);
	assert_int_equal(buf_append(&b, text, sizeof(text) - 1), 0);
	assert_int_equal(records_read(&b, "list[]", fields, 3, see, &s), 0);
	assert_string_equal(s.text, "[x|5|true][||false][||]");
	s.text[0] = '\0';
	assert_int_equal(records_read(&b, NULL, roots, 3, see, &s), 0);
	assert_string_equal(s.text, "[1|why|]");
	record_field(&b, "e.m", mem, sizeof(mem));
	assert_string_equal(mem, "why");
	record_field(&b, "none.such", mem, sizeof(mem));
	assert_string_equal(mem, "");
	buf_clear(&b);
	assert_int_equal(buf_append(&b, "{\"a\":", 5), 0);
	assert_true(records_read(&b, NULL, roots, 3, see, &s) < 0);
	record_field(&b, "a", mem, sizeof(mem));
	assert_string_equal(mem, "");
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes),
		cmocka_unit_test(refuses),
		cmocka_unit_test(records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
