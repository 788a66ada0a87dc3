// SPDX-License-Identifier: Apache-2.0
/* test_rules_yaml.c: changes of rules over what there is, and that what is shown reads back to the same. */
#include "cm.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "ctl/config/rules_yaml.h"
#include "gate_abi.h"

static struct rules read_yaml(const char *text)
{
	const struct yaml_node *culprit = NULL;
	struct rules r = { 0 };
	struct yaml *y = NULL;
	struct err e = { "" };

	assert_int_equal(yaml_parse("t", text, strlen(text), &y, &e), 0);
	if (rules_from_yaml(yaml_root(y), &r, &culprit, &e) < 0)
		fail_msg("%s: %s", text, e.text);
	yaml_free(y);
	return r;
}

static const char *shown(const struct rules *r)
{
	static char mem[4096];
	struct buf out;

	buf_init(&out, sizeof(mem));
	assert_int_equal(rules_show(r, &out), 0);
	(void)str_copy(mem, sizeof(mem), (struct str){ buf_ptr(&out), buf_len(&out) });
	buf_done(&out);
	return mem;
}

static void merges(void **state)
{
	static const struct {
		const char *before, *patch, *after; /* after NULL: refused with text */
		const char *text;
	} cases[] = {
		{ "{}", "{}", "{}", NULL },
		{ "{}", "{\"requests_per_minute\":60}", "{ requests_per_minute: 60 }", NULL },
		{ "{requests_per_minute: 60}", "{\"requests_per_minute\":\"61\"}", "{ requests_per_minute: 61 }", NULL },
		{ "{requests_per_minute: 60, calls_in_flight: 2}", "{\"requests_per_minute\":null}", "{ calls_in_flight: 2 }", NULL },
		{ "{calls_in_flight: 2}", "{\"requests_per_minute\":null}", "{ calls_in_flight: 2 }", NULL },
		{ "{per_call: 1USD}", "{\"per_call\":\"0.5\"}", "{ per_call: 0.50 }", NULL },
		{ "{loop: {times: 5, within: 1m}}", "{\"loop\":{\"within\":\"90s\"}}", "{ loop: { times: 5, within: 90s } }", NULL },
		{ "{loop: {times: 5, within: 1m}}", "{\"loop\":{\"within_s\":120}}", "{ loop: { times: 5, within: 2m } }", NULL },
		{ "{loop: {times: 5, within_s: 60}}", "{\"loop\":{\"times\":6}}", "{ loop: { times: 6, within: 1m } }", NULL },
		{ "{loop: {times: 5, within: 1m}}", "{\"loop\":null}", "{}", NULL },
		{ "{models: {allow: [a, b], deny: [c]}}", "{\"models\":{\"allow\":[\"d\"]}}", "{ models: { allow: [d], deny: [c] } }", NULL },
		{ "{models: {allow: [a], deny: [c]}}", "{\"models\":{\"allow\":[]}}", "{ models: { deny: [c] } }", NULL },
		{ "{models: {allow: [a]}}", "{\"models\":null}", "{}", NULL },
		{ "{loop: {times: 5, within: 1m}, dry_run: [loop]}", "{\"dry_run\":[]}", "{ loop: { times: 5, within: 1m } }", NULL },
		{ "{model_limits: [{models: a, day: 5}]}", "{\"model_limits\":[{\"models\":\"b*\",\"total\":\"7\"}]}",
		  "{ model_limits: [{ models: \"b*\", total: 7.00 }] }", NULL },
		/* what cannot be */
		{ "{}", "[]", NULL, "is not an object" },
		{ "{}", "5", NULL, "is not an object" },
		{ "{}", "{\"requests_per_minute\":1,\"requests_per_minute\":2}", NULL, "" },
		{ "{}", "{\"loop\":{\"times\":5}}", NULL, "it needs both, or neither" },
		{ "{}", "{\"loop\":5}", NULL, "loop" },
		{ "{}", "{\"models\":[\"a\"]}", NULL, "models" },
		{ "{}", "{\"rpm\":5}", NULL, "rpm: is not a known key; did you mean" },
		{ "{}", "{\"burn_rate\":{\"time\":5}}", NULL, "burn_rate.time: is not a known key; did you mean \"times\"?" },
		{ "{}", "{\"requests_per_minute\":99999999999999999999}", NULL, "requests_per_minute" },
		{ "{}", "{\"requests_per_minute\":{\"a\":{\"b\":[1]}}}", NULL, "requests_per_minute" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct rules before = read_yaml(cases[i].before), after = { 0 };
		struct err e = { "" };
		int r = rules_merge(&before, str_of(cases[i].patch), &after, &e);

		if ((r == 0) != (cases[i].after != NULL))
			fail_msg("%s + %s: %d %s", cases[i].before, cases[i].patch, r, e.text);
		if (r == 0 && strcmp(shown(&after), cases[i].after) != 0)
			fail_msg("%s + %s: %s, wanted %s", cases[i].before, cases[i].patch, shown(&after), cases[i].after);
		if (r < 0 && !strstr(e.text, cases[i].text))
			fail_msg("%s + %s: says %s", cases[i].before, cases[i].patch, e.text);
	}
}

static void shows_what_it_reads(void **state)
{
	struct rules r = read_yaml("{requests_per_minute: 60, tokens_per_minute: 9223372036854775807, calls_in_flight: 4, per_call: 0.000000001, "
				   "loop: {times: 5, within: 1m}, burn_rate: {times: 10, within: 7d}, models: {allow: ['*', 'a?b', '-x', 'p/m'], "
				   "deny: ['true', '5']}, model_limits: [{models: '5', hour: 1, day: 2, week: 3, month: 4, total: 5}], dry_run: [loop, models]}");
	struct rules again = read_yaml(shown(&r));

	assert_memory_equal(&r, &again, sizeof(r));
	assert_int_equal(again.per_call, 1);
	assert_int_equal(again.nallow, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(merges),
		cmocka_unit_test(shows_what_it_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
