// SPDX-License-Identifier: Apache-2.0
/* test_args.c: command lines, good and bad, and the request bodies that budget flags become. */
#include "cm.h"

#include <errno.h>
#include <string.h>

#include "ctl/args.h"
#include "ctl/cmd/budget_flags.h"

struct flags {
	bool json;
	const char *file, *word;
	int64_t n, since;
	struct args_usd day, floor;
	struct args_texts many;
};
static const char *const words[] = { "closed", "open", NULL };
#define AT(m) offsetof(struct flags, m)
static const struct args_row rows[] = {
	{ .name = "--json", .type = ARGS_SWITCH, .offset = AT(json), .help = "" },
	{ .name = "--config", .letter = 'c', .type = ARGS_TEXT, .offset = AT(file), .value = "FILE", .help = "" },
	{ .name = "--on-failure", .type = ARGS_WORD, .offset = AT(word), .words = words, .help = "" },
	{ .name = "--limit", .letter = 'n', .type = ARGS_INT, .offset = AT(n), .min = 1, .max = 9, .help = "" },
	{ .name = "--since", .type = ARGS_TIME, .offset = AT(since), .help = "" },
	{ .name = "--day", .type = ARGS_USD, .offset = AT(day), .value = "USD", .help = "" },
	{ .name = "--exhausted-below", .type = ARGS_AMOUNT, .offset = AT(floor), .help = "" },
	{ .name = "--many", .type = ARGS_TEXTS, .offset = AT(many), .help = "" },
};

#define ARGV(...) ((char *[]){ __VA_ARGS__, NULL })

static int read_args(char **argv, bool stop, struct flags *f, struct args *a, struct err *e)
{
	struct args_table t = { rows, COUNT(rows), f };

	*f = (struct flags){ 0 };
	*e = (struct err){ "" };
	return args_read(&t, 1, argv, stop, 1000000, a, e);
}

static void takes_flags_anywhere(void **state)
{
	struct flags f;
	struct args a;
	struct err e;

	assert_int_equal(read_args(ARGV("add", "--day", "25", "bot", "--json", "-cx.yaml", "-n", "7", "--on-failure=open"), false,
				   &f, &a, &e), 0);
	assert_int_equal(a.nwords, 2);
	assert_string_equal(a.words[1], "bot");
	assert_true(f.json);
	assert_string_equal(f.file, "x.yaml");
	assert_int_equal(f.n, 7);
	assert_string_equal(f.word, "open");
	assert_true(f.day.given && !f.day.none);
	assert_int_equal(f.day.v, 25 * NANOUSD_PER_USD);
	assert_null(a.rest);

	assert_int_equal(read_args(ARGV("--day=none", "--config=", "--", "--json", "-x"), false, &f, &a, &e), 0);
	assert_true(f.day.given && f.day.none);
	assert_string_equal(f.file, "");
	assert_false(f.json);
	assert_string_equal(a.rest[0], "--json");

	assert_int_equal(read_args(ARGV("--json", "cmd", "--day", "zzz"), true, &f, &a, &e), 0);
	assert_string_equal(a.rest[0], "cmd");
	assert_string_equal(a.rest[1], "--day");
	assert_int_equal(a.nwords, 0);

	assert_int_equal(read_args(ARGV("--many", "a", "w", "--many=b=c"), false, &f, &a, &e), 0);
	assert_int_equal(f.many.n, 2);
	assert_string_equal(f.many.v[0], "a");
	assert_string_equal(f.many.v[1], "b=c");
	assert_int_equal(read_args(ARGV("--many=1", "--many=2", "--many=3", "--many=4", "--many=5", "--many=6", "--many=7", "--many=8", "--many=9"), false, &f,
				   &a, &e), -EINVAL);
	assert_non_null(strstr(e.text, "8 times, not more"));

	assert_int_equal(read_args(ARGV("-", "--since", "10s"), false, &f, &a, &e), 0);
	assert_string_equal(a.words[0], "-");
	assert_int_equal(f.since, 999990);
}

static void refuses(void **state)
{
	static const struct {
		char *argv[6];
		const char *text;
	} cases[] = {
		{ { "--jsn" }, "--jsn is not a flag here; did you mean --json?" },
		{ { "--frobnicate" }, "--frobnicate is not a flag here; --help lists those that are" },
		{ { "-x" }, "-x is not a flag here" },
		{ { "--json=1" }, "--json takes no value" },
		{ { "--day" }, "--day: needs USD behind it" },
		{ { "--day", "12 EUR" }, "--day: \"12 EUR\" is not a USD amount or none; write e.g. 12.50USD" },
		{ { "--day", "-5" }, "--day: \"-5\" is not a USD amount or none; write e.g. 12.50USD" },
		{ { "--exhausted-below", "none" }, "--exhausted-below: \"none\" is not a USD amount; write e.g. 12.50USD" },
		{ { "--on-failure", "ajar" }, "--on-failure: \"ajar\" is not one of closed, open" },
		{ { "--limit", "10" }, "--limit: \"10\" is not a whole number from 1 to 9" },
		{ { "--since", "soon" }, "--since: \"soon\" is not a moment" },
	};
	char *many[] = { "1", "2", "3", "4", "5", "6", "7", "8", "9", NULL };
	struct flags f;
	struct args a;
	struct err e;

	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(read_args((char **)cases[i].argv, false, &f, &a, &e), -EINVAL);
		if (!strstr(e.text, cases[i].text))
			fail_msg("says %s, wanted %s", e.text, cases[i].text);
	}
	assert_int_equal(read_args(many, false, &f, &a, &e), -EINVAL);
}

static void budget_bodies(void **state)
{
	struct budget_flags f = { .parent = "none", .on_exhausted = "explain" };
	struct err e = { "" };
	struct buf out;

	f.limits[WINDOW_DAY] = (struct args_usd){ .given = true, .v = 25 * NANOUSD_PER_USD };
	f.limits[WINDOW_TOTAL] = (struct args_usd){ .given = true, .none = true };
	buf_init(&out, 4096);
	assert_int_equal(budget_flags_body(&f, "bot", true, &out, &e), 0);
	assert_string_equal(buf_ptr(&out), "{\"name\":\"bot\",\"day\":\"25.00\",\"total\":null,\"parent\":\"\","
					   "\"on_exhausted\":\"explain\",\"temporary\":true}");
	buf_clear(&out);
	assert_int_equal(budget_flags_body(&f, NULL, false, &out, &e), 0);
	assert_string_equal(buf_ptr(&out), "{\"day\":\"25.00\",\"total\":null,\"parent\":\"\",\"on_exhausted\":\"explain\"}");
	buf_done(&out);
	assert_true(budget_flags_any(&f));
	assert_false(budget_flags_any(&(struct budget_flags){ 0 }));
}

static void terms_and_rules_in_bodies(void **state)
{
	static const struct {
		struct budget_flags f;
		const char *body; /* NULL = refused with text */
		const char *text;
	} cases[] = {
		{ { .timezone = "Europe/Berlin", .resets_at = "06:00", .clamp = "on" },
		  "{\"timezone\":\"Europe/Berlin\",\"resets_at\":\"06:00\",\"clamp\":true}", NULL },
		{ { .timezone = "none", .resets_at = "none", .clamp = "off" }, "{\"timezone\":\"\",\"resets_at\":\"\",\"clamp\":false}", NULL },
		{ { .rpm = "60", .tpm = "none", .in_flight = "4" },
		  "{\"rules\":{\"requests_per_minute\":60,\"tokens_per_minute\":null,\"calls_in_flight\":4}}", NULL },
		{ { .loop = "5/1m", .burn = "10/10m", .per_call = { .given = true, .v = 500000000 } },
		  "{\"rules\":{\"loop\":{\"times\":5,\"within_s\":60},\"burn_rate\":{\"times\":10,\"within_s\":600},\"per_call\":\"0.50\"}}", NULL },
		{ { .loop = "none", .burn = "none", .per_call = { .given = true, .none = true } },
		  "{\"rules\":{\"loop\":null,\"burn_rate\":null,\"per_call\":null}}", NULL },
		{ { .allow = "gpt-5*, claude-*,", .deny = "none", .dry_run = "loop,burn_rate" },
		  "{\"rules\":{\"models\":{\"allow\":[\"gpt-5*\",\"claude-*\"],\"deny\":[]},\"dry_run\":[\"loop\",\"burn_rate\"]}}", NULL },
#define MODELS(...) { .model_limits = { .v = { __VA_ARGS__ }, .n = sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *) } }
		{ MODELS("claude-opus*=day:5, month : 50USD ", "openai/gpt-5*=total:$1.5"),
		  "{\"rules\":{\"model_limits\":[{\"models\":\"claude-opus*\",\"day\":\"5.00\",\"month\":\"50.00\"},"
		  "{\"models\":\"openai/gpt-5*\",\"total\":\"1.50\"}]}}", NULL },
		{ MODELS("none"), "{\"rules\":{\"model_limits\":null}}", NULL },
		{ MODELS("gpt-5"), NULL, "--model-limit: \"gpt-5\" is not models and their limit, or none; write e.g. claude-opus*=day:5USD" },
		{ MODELS("=day:5"), NULL, "--model-limit: \"=day:5\" is not models" },
		{ MODELS("x="), NULL, "--model-limit: \"x=\" is not models" },
		{ MODELS("x=5"), NULL, "--model-limit: \"5\" is not a window" },
		{ MODELS("x=year:5"), NULL, "--model-limit: \"year:5\" is not a window (hour, day, week, month, total) and a USD amount" },
		{ MODELS("x=day:5EUR"), NULL, "--model-limit: \"day:5EUR\" is not a window" },
		{ MODELS("x=day:-1"), NULL, "--model-limit: \"day:-1\" is not a window" },
		{ { .rpm = "0" }, NULL, "--rpm: \"0\" is not a whole number above 0, or none" },
		{ { .tpm = "1k" }, NULL, "--tpm: \"1k\" is not a whole number above 0, or none" },
		{ { .in_flight = "-1" }, NULL, "--in-flight: \"-1\"" },
		{ { .loop = "5" }, NULL, "--loop: \"5\" is not a number and a time, or none; write e.g. 5/1m" },
		{ { .loop = "5/500ms" }, NULL, "--loop: \"5/500ms\"" },
		{ { .burn = "x/1m" }, NULL, "--burn-rate: \"x/1m\"" },
		{ { .rpm = "5", .end = true }, NULL, "are flags of raise" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e = { "" };
		struct buf out;

		buf_init(&out, 4096);
		int r = budget_flags_body(&cases[i].f, NULL, false, &out, &e);

		assert_int_equal(r, cases[i].body ? 0 : -EINVAL);
		if (cases[i].body)
			assert_string_equal(buf_ptr(&out), cases[i].body);
		else if (!strstr(e.text, cases[i].text))
			fail_msg("says %s, wanted %s", e.text, cases[i].text);
		buf_done(&out);
	}
}

static void raise_bodies(void **state)
{
#define DAY(dollars) { [WINDOW_DAY] = { .given = true, .v = (dollars) * NANOUSD_PER_USD } }
	static const struct {
		struct budget_flags f;
		const char *body, *text;
	} cases[] = {
		{ { .limits = DAY(10), .span = "2h" }, "{\"day\":\"10.00\",\"for\":\"2h\"}", NULL },
		{ { .limits = DAY(10), .until = "2026-08-21" }, "{\"day\":\"10.00\",\"until\":\"2026-08-21\"}", NULL },
		{ { .end = true }, "{}", NULL },
		{ { .limits = DAY(10) }, NULL, "how long? write --for 2h" },
		{ { .limits = DAY(10), .span = "2h", .until = "x" }, NULL, "how long?" },
		{ { .span = "2h" }, NULL, "nothing to raise; write e.g. --day 10USD" },
		{ { .limits = DAY(10), .span = "2h", .rpm = "5" }, NULL, "raise takes limits and --for" },
		{ { .limits = DAY(10), .end = true }, NULL, "--end stands alone" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e = { "" };
		struct buf out;

		buf_init(&out, 4096);
		assert_int_equal(budget_flags_raise(&cases[i].f, &out, &e), cases[i].body ? 0 : -EINVAL);
		if (cases[i].body)
			assert_string_equal(buf_ptr(&out), cases[i].body);
		else if (!strstr(e.text, cases[i].text))
			fail_msg("says %s, wanted %s", e.text, cases[i].text);
		buf_done(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_flags_anywhere),
		cmocka_unit_test(refuses),
		cmocka_unit_test(budget_bodies),
		cmocka_unit_test(terms_and_rules_in_bodies),
		cmocka_unit_test(raise_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
