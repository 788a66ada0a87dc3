// SPDX-License-Identifier: Apache-2.0
/* test_rules.c: the plain values: names, bounds, globs, and the text form with whatever a ledger or a person may put there. */
#include "spend_test.h"

#include <errno.h>
#include <time.h>

#include "base/str.h"
#include "spend/rules/rules.h"

/* ---- a generator of our own, so that a seed means the same everywhere */

static uint64_t seed;

static uint64_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint64_t below(uint64_t n)
{
	return next() % n;
}

/* ---- names */

static void names(void **state)
{
	enum rule r;

	for (int k = 0; k < RULE_COUNT; k++) {
		assert_int_equal(rule_of(str_of(rule_name((enum rule)k)), &r), 0);
		assert_int_equal(r, k);
		/* refusal.rule has room for it */
		assert_true(strlen(rule_name((enum rule)k)) < sizeof(((struct refusal *)0)->rule));
	}
	assert_int_equal(rule_of(STR("Loop"), &r), -EINVAL);
	assert_int_equal(rule_of(STR(""), &r), -EINVAL);
	assert_int_equal(rule_of(STR("loop\0"), &r), -EINVAL);
	assert_string_equal(rule_name(RULE_COUNT), "?");
	assert_string_equal(rule_name((enum rule)-1), "?");
	assert_string_equal(rule_name(RULE_MODEL_LIMIT), "model_limit");
}

/* ---- globs */

static const struct {
	const char *glob, *provider, *model;
	bool matches;
} globs[] = {
	{ "gpt-5", "openai", "gpt-5", true },
	{ "gpt-5", "openai", "gpt-5-mini", false },
	{ "gpt-5*", "openai", "gpt-5", true },
	{ "gpt-5*", "openai", "gpt-5-mini", true },
	{ "gpt-5*", "openai", "xgpt-5", false },
	{ "GPT-5*", "openai", "gpt-5-mini", true },
	{ "gpt-?", "openai", "gpt-4", true },
	{ "gpt-?", "openai", "gpt-", false },
	{ "gpt-?", "openai", "gpt-45", false },
	{ "*", "openai", "anything", true },
	{ "*", "openai", "", true },
	{ "?", "openai", "", false },
	{ "", "openai", "", true },
	{ "", "openai", "x", false },
	{ "*-pro", "openai", "o1-pro", true },
	{ "*-pro", "openai", "o1-pro-2026", false },
	{ "*a*b*c", "x", "xxaxxbxxc", true },
	{ "*a*b*c", "x", "xxaxxcxxb", false },
	{ "a**b", "x", "ab", true },
	{ "a*?b", "x", "ab", false },
	{ "a*?b", "x", "axb", true },
	{ "*ab", "x", "aab", true },
	{ "*aab", "x", "aaab", true },
	/* the provider is asked only where the glob has a slash */
	{ "openai/gpt-5*", "openai", "gpt-5-mini", true },
	{ "openai/*", "anthropic", "claude", false },
	{ "*/gpt-5", "azure", "gpt-5", true },
	{ "OpenAI/GPT*", "openai", "gpt-5", true },
	{ "openai*", "openai", "gpt-5", false },
	/* a model's own slash */
	{ "meta-llama/*", "together", "meta-llama/Llama-4", true },
	{ "together/meta-llama/*", "together", "meta-llama/Llama-4", true },
	{ "together/*", "together", "meta-llama/Llama-4", true },
	/* no provider told: any may be meant */
	{ "openai/gpt-5*", NULL, "gpt-5-mini", true },
	{ "openai/gpt-4*", NULL, "gpt-5-mini", false },
	{ "gpt-5", "openai", NULL, false },
	{ "*", "openai", NULL, true },
	/* what looks special elsewhere is plain here */
	{ "[ab]", "x", "a", false },
	{ "[ab]", "x", "[ab]", true },
	{ "a.c", "x", "abc", false },
	/* only ASCII letters have two cases */
	{ "@", "x", "`", false },
	{ "[", "x", "{", false },
};

static void glob_table(void **state)
{
	for (size_t i = 0; i < sizeof(globs) / sizeof(globs[0]); i++)
		if (rules_glob(globs[i].glob, globs[i].provider, globs[i].model) != globs[i].matches)
			fail_msg("\"%s\" and \"%s/%s\": not %d", globs[i].glob, globs[i].provider ? globs[i].provider : "(any)",
				 globs[i].model ? globs[i].model : "(null)", globs[i].matches);
}

/* The slow one, which tries everything. */
static bool slow_glob(const char *g, const char *t)
{
	if (!*g)
		return !*t;
	if (*g == '*')
		return slow_glob(g + 1, t) || (*t && slow_glob(g, t + 1));
	return *t && (*g == '?' || *g == *t) && slow_glob(g + 1, t + 1);
}

static void random_text(char *to, size_t most, const char *letters)
{
	size_t n = below(most + 1);

	for (size_t i = 0; i < n; i++)
		to[i] = letters[below(strlen(letters))];
	to[n] = '\0';
}

static void globs_agree_with_trying_everything(void **state)
{
	char glob[10], text[14];

	seed = 0x1234567;
	print_message("seed %#llx\n", (unsigned long long)seed);
	for (int i = 0; i < 200000; i++) {
		random_text(glob, 8, "ab*?*");
		random_text(text, 12, "ab");
		if (rules_glob(glob, "", text) != slow_glob(glob, text))
			fail_msg("\"%s\" and \"%s\"", glob, text);
	}
}

static void a_glob_of_stars_costs_nothing_worth_naming(void **state)
{
	char glob[RULES_GLOB_MAX], text[4096];
	struct timespec from, to;

	for (size_t i = 0; i + 1 < sizeof(glob); i++)
		glob[i] = i % 2 ? 'a' : '*';
	glob[sizeof(glob) - 2] = 'b';
	glob[sizeof(glob) - 1] = '\0';
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < 100; i++)
		assert_false(rules_glob(glob, "p", text));
	(void)clock_gettime(CLOCK_MONOTONIC, &to);
	/* Trying everything would not end in this universe. */
	assert_true((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 < 2000);
}

/* ---- bounds */

static struct model_limit limit_of(const char *models, enum window_kind k, nanousd limit)
{
	struct model_limit l = { .models = "" };

	(void)snprintf(l.models, sizeof(l.models), "%s", models);
	for (int w = 0; w < WINDOW_COUNT; w++)
		l.limits[w] = GATE_NO_LIMIT;
	l.limits[k] = limit;
	return l;
}

static void full(struct rules *r)
{
	*r = (struct rules){
		.requests_per_minute = 60, .tokens_per_minute = INT64_MAX, .calls_in_flight = 4, .per_call = 500000000,
		.loop_times = 5, .loop_within_s = 60, .burn_times = 10, .burn_within_s = 600,
		.allow = { "gpt-5*", "openai/o?" }, .nallow = 2, .deny = { "*-pro" }, .ndeny = 1,
		.nmodel_limits = 2, .dry_run = 1u << RULE_LOOP | 1u << RULE_MODEL_LIMIT,
	};
	r->model_limits[0] = limit_of("claude-opus*", WINDOW_DAY, 5000000001);
	r->model_limits[1] = limit_of("*", WINDOW_TOTAL, 0);
	r->model_limits[1].limits[WINDOW_HOUR] = RULES_NANOUSD_MAX;
}

struct check_case {
	const char *name;
	size_t offset;
	int64_t value;
	const char *want; /* in the text; NULL = good */
};
#define CASE(member, value, want) { #member " " #value, offsetof(struct rules, member), value, want }
static const struct check_case checks[] = {
	CASE(requests_per_minute, -1, "requests_per_minute: -1"),
	CASE(requests_per_minute, INT64_MIN, "requests_per_minute"),
	CASE(requests_per_minute, INT64_MAX, NULL),
	CASE(requests_per_minute, 0, NULL),
	CASE(tokens_per_minute, -5, "tokens_per_minute: -5"),
	CASE(tokens_per_minute, INT64_MAX, NULL),
	CASE(calls_in_flight, -1, "calls_in_flight: -1"),
	CASE(per_call, -1, "per_call: -1"),
	CASE(per_call, RULES_NANOUSD_MAX, NULL),
	CASE(per_call, RULES_NANOUSD_MAX + 1, "per_call"),
	CASE(loop_times, 1, "loop times: 1 is out of range; write 2 to 1000"),
	CASE(loop_times, 1001, "loop times: 1001"),
	CASE(loop_times, 0, "needs both"),
	CASE(loop_within_s, 0, "needs both"),
	CASE(loop_within_s, 86401, "loop within: 86401"),
	CASE(loop_within_s, -1, "loop within: -1"),
	CASE(burn_times, 1, NULL),
	CASE(burn_times, 1000001, "burn_rate times"),
	CASE(burn_within_s, 7 * 86400, NULL),
	CASE(burn_within_s, 7 * 86400 + 1, "burn_rate within"),
	CASE(burn_within_s, 0, "burn_rate: times is 10 and within 0"),
	CASE(nallow, RULES_MODELS_MAX + 1, "models: allow: 17 globs"),
	CASE(nallow, 3, "models: allow"), /* the third is empty */
	CASE(ndeny, -1, "models: deny"),
	CASE(nmodel_limits, RULES_MODEL_LIMITS_MAX + 1, "model_limits: 9"),
	CASE(nmodel_limits, 3, "model_limits"),
	CASE(model_limits[0].limits[WINDOW_DAY], -1, "the day limit, -1"),
	CASE(model_limits[0].limits[WINDOW_DAY], RULES_NANOUSD_MAX + 1, "out of range"),
	CASE(model_limits[0].limits[WINDOW_DAY], GATE_NO_LIMIT, "has no limit"),
	CASE(model_limits[0].limits[WINDOW_DAY], 0, NULL),
};

static void check_table(void **state)
{
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		const struct check_case *c = &checks[i];
		struct err e = { "" };
		struct rules r;

		full(&r);
		memcpy((char *)&r + c->offset, &c->value, sizeof(c->value));
		int got = rules_check(&r, "bot", &e);

		if (got != (c->want ? -EINVAL : 0))
			fail_msg("%s: %d %s", c->name, got, e.text);
		if (c->want && (!strstr(e.text, c->want) || strncmp(e.text, "account \"bot\": ", 15) != 0))
			fail_msg("%s: says: %s", c->name, e.text);
	}
}

static void bad_globs(void **state)
{
	static const char *const bad[] = { "", " ", "a b", "a\"", "a\\", "a\tb", "gpt-5\n", "\xc3\xa9", "\x7f" };
	struct rules r = { .nallow = 1 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(r.allow[0], sizeof(r.allow[0]), "%s", bad[i]);
		assert_int_equal(rules_check(&r, "a", NULL), -EINVAL);
	}
	memset(r.allow[0], 'x', sizeof(r.allow[0])); /* does not end */
	assert_int_equal(rules_check(&r, "a", NULL), -EINVAL);
	r.allow[0][sizeof(r.allow[0]) - 1] = '\0';
	assert_int_equal(rules_check(&r, "a", NULL), 0);
}

static void same_models_twice(void **state)
{
	struct rules r;

	full(&r);
	r.model_limits[1] = limit_of("Claude-OPUS*", WINDOW_DAY, 1);
	assert_int_equal(rules_check(&r, "a", NULL), -EINVAL);
}

static void none_and_any(void **state)
{
	struct rules r = { 0 };

	assert_false(rules_any(&r));
	assert_int_equal(rules_check(&r, "a", NULL), 0);
	r.dry_run = 1u << RULE_LOOP;
	assert_false(rules_any(&r)); /* a dry run of nothing */
	r.dry_run = 1u << RULE_COUNT;
	assert_int_equal(rules_check(&r, "a", NULL), -EINVAL);
	full(&r);
	assert_true(rules_any(&r));
	assert_int_equal(rules_set(&r), (1u << RULE_COUNT) - 1);
	assert_int_equal(rules_check(&r, "a", NULL), 0);
}

/* ---- the text form */

static const char *write_text(const struct rules *r, char *to, size_t size)
{
	struct buf b;

	buf_init(&b, 64 << 10);
	assert_int_equal(rules_write(r, &b), 0);
	assert_true(buf_len(&b) < size);
	memcpy(to, buf_ptr(&b), buf_len(&b));
	to[buf_len(&b)] = '\0';
	buf_done(&b);
	return to;
}

static void text_of_all(void **state)
{
	char text[8192];
	struct rules r = { 0 };

	assert_string_equal(write_text(&r, text, sizeof(text)), "{}");
	full(&r);
	assert_string_equal(write_text(&r, text, sizeof(text)),
			    "{\"requests_per_minute\":60,\"tokens_per_minute\":9223372036854775807,\"calls_in_flight\":4,\"per_call\":\"0.50\","
			    "\"loop\":{\"times\":5,\"within_s\":60},\"burn_rate\":{\"times\":10,\"within_s\":600},"
			    "\"models\":{\"allow\":[\"gpt-5*\",\"openai/o?\"],\"deny\":[\"*-pro\"]},"
			    "\"model_limits\":[{\"models\":\"claude-opus*\",\"day\":\"5.000000001\"},"
			    "{\"models\":\"*\",\"hour\":\"9000000000.00\",\"total\":\"0.00\"}],"
			    "\"dry_run\":[\"model_limit\",\"loop\"]}");
}

static void random_globs(char (*globs_)[RULES_GLOB_MAX], size_t *n)
{
	*n = below(RULES_MODELS_MAX + 1);
	for (size_t i = 0; i < *n; i++) {
		random_text(globs_[i], RULES_GLOB_MAX - 2, "abcXYZ019-._:/*?<>&'%{}[]");
		if (!globs_[i][0])
			globs_[i][0] = '*';
	}
}

static int64_t random_count(int64_t least, int64_t most)
{
	static const int64_t edges[] = { 1, 2, 3, 1000, INT64_MAX };

	if (below(3) == 0)
		return 0;
	int64_t v = below(2) ? edges[below(5)] : (int64_t)(next() >> (1 + below(62)));

	return v < least ? least : v > most ? most : v;
}

static void random_rules(struct rules *r)
{
	*r = (struct rules){
		.requests_per_minute = random_count(1, INT64_MAX), .tokens_per_minute = random_count(1, INT64_MAX),
		.calls_in_flight = random_count(1, INT64_MAX), .per_call = random_count(1, RULES_NANOUSD_MAX),
		.loop_times = random_count(2, RULES_LOOP_TIMES_MAX), .burn_times = random_count(1, RULES_BURN_TIMES_MAX),
		.nmodel_limits = below(RULES_MODEL_LIMITS_MAX + 1), .dry_run = (uint32_t)below(1u << RULE_COUNT),
	};
	r->loop_within_s = r->loop_times ? (int64_t)below(RULES_LOOP_WITHIN_MAX_S) + 1 : 0;
	r->burn_within_s = r->burn_times ? (int64_t)below(RULES_BURN_WITHIN_MAX_S) + 1 : 0;
	random_globs(r->allow, &r->nallow);
	random_globs(r->deny, &r->ndeny);
	for (size_t m = 0; m < r->nmodel_limits; m++) {
		(void)snprintf(r->model_limits[m].models, RULES_GLOB_MAX, "m%zu*%llx", m, (unsigned long long)next());
		for (int k = 0; k < WINDOW_COUNT; k++)
			r->model_limits[m].limits[k] = below(2) ? GATE_NO_LIMIT : (int64_t)below(RULES_NANOUSD_MAX + 1);
		r->model_limits[m].limits[below(WINDOW_COUNT)] = (int64_t)below(RULES_NANOUSD_MAX + 1);
	}
}

static void text_reads_back_to_the_same(void **state)
{
	char text[16384];

	seed = 0xfeedbeef;
	print_message("seed %#llx\n", (unsigned long long)seed);
	for (int i = 0; i < 3000; i++) {
		struct rules r, back;
		struct err e = { "" };

		random_rules(&r);
		assert_int_equal(rules_check(&r, "a", &e), 0);
		(void)write_text(&r, text, sizeof(text));
		memset(&back, 0xa5, sizeof(back));
		if (rules_parse(text, strlen(text), &back, &e) < 0)
			fail_msg("%s: %s", e.text, text);
		assert_memory_equal(&back, &r, sizeof(r));
	}
}

static const struct {
	const char *text, *want; /* NULL = good */
} texts[] = {
	{ "{}", NULL },
	{ " {\n} ", NULL },
	{ "{\"loop\":{\"times\":5,\"within_s\":60}}", NULL },
	{ "{\"loop\":{\"within_s\":60,\"times\":5}}", NULL },
	{ "{\"per_call\":\"$0.50\"}", NULL },
	{ "{\"per_call\":\"0.5 USD\"}", NULL },
	{ "{\"per_call\":null}", NULL },
	{ "{\"requests_per_minute\":0}", NULL },
	{ "{\"models\":{}}", NULL },
	{ "{\"models\":{\"allow\":[],\"deny\":[]},\"model_limits\":[],\"dry_run\":[]}", NULL },
	{ "{\"model_limits\":[{\"models\":\"a\",\"day\":\"1\",\"hour\":null}]}", NULL },
	{ "{\"dry_run\":[\"loop\",\"loop\"]}", NULL },
	{ "", "not a JSON" },
	{ "{", "not a JSON" },
	{ "[]", "not an object" },
	{ "null", "not an object" },
	{ "5", "not an object" },
	{ "{}x", "not a JSON" },
	{ "{\"requests\":5}", "not known" },
	{ "{\"Loop\":{}}", "not known" },
	{ "{\"\":1}", "not known" },
	{ "{\"loop\":{\"times\":5,\"within_s\":60,\"x\":1}}", "\"loop\" has a key that is not known" },
	{ "{\"loop\":{\"times\":5}}", "needs both" },
	{ "{\"loop\":{}}", NULL },
	{ "{\"loop\":5}", "not an object" },
	{ "{\"loop\":[{\"times\":5,\"within_s\":60}]}", "not an object" },
	{ "{\"loop\":{\"times\":5,\"within_s\":60},\"loop\":{\"times\":9,\"within_s\":60}}", "stands twice" },
	{ "{\"per_call\":\"1\",\"per_call\":\"2\"}", "stands twice" },
	{ "{\"per_call\":\"1\",\"p\\u0065r_call\":\"2\"}", "stands twice" },
	{ "{\"per_call\":0.5}", "not an amount" },
	{ "{\"per_call\":\"\"}", "not an amount" },
	{ "{\"per_call\":\"-1\"}", "not an amount" },
	{ "{\"per_call\":\"0.0000000001\"}", "not an amount" },
	{ "{\"per_call\":\"1 EUR\"}", "not an amount" },
	{ "{\"per_call\":\"9000000000.000000001\"}", "not an amount" },
	{ "{\"requests_per_minute\":-1}", "not a count" },
	{ "{\"requests_per_minute\":1.5}", "not a count" },
	{ "{\"requests_per_minute\":1e3}", "not a count" },
	{ "{\"requests_per_minute\":9223372036854775808}", "not a count" },
	{ "{\"requests_per_minute\":\"60\"}", "not a count" },
	{ "{\"requests_per_minute\":true}", "not a count" },
	{ "{\"requests_per_minute\":null}", "not a count" },
	{ "{\"models\":[\"a\"]}", "not an object" },
	{ "{\"models\":{\"allow\":\"a\"}}", "not a list" },
	{ "{\"models\":{\"allow\":[5]}}", "not a model glob" },
	{ "{\"models\":{\"allow\":[[\"a\"]]}}", "not a model glob" },
	{ "{\"models\":{\"allow\":[\"\"]}}", "not a model glob" },
	{ "{\"models\":{\"allow\":[\"a\\u0000b\"]}}", "not a model glob" },
	{ "{\"models\":{\"allow\":[\"a\"],\"allow\":[\"b\"]}}", "stands twice" },
	{ "{\"models\":{\"forbid\":[\"a\"]}}", "not known" },
	{ "{\"models\":{\"allow\":{\"x\":1}}}", "not a list" },
	{ "{\"model_limits\":{\"a\":\"5\"}}", "not a list" },
	{ "{\"model_limits\":[5]}", "not an object" },
	{ "{\"model_limits\":[{\"models\":\"a\"}]}", "has no limit" },
	{ "{\"model_limits\":[{\"day\":\"5\"}]}", "not a model glob" },
	{ "{\"model_limits\":[{\"models\":\"a\",\"day\":\"5\",\"day\":\"6\"}]}", "stands twice" },
	{ "{\"model_limits\":[{\"models\":\"a\",\"day\":\"5\"},{\"models\":\"b\",\"day\":\"6\"}]}", NULL },
	{ "{\"model_limits\":[{\"models\":\"a\",\"year\":\"5\"}]}", "not known" },
	{ "{\"model_limits\":[{\"models\":\"a\",\"day\":\"5\"},{\"models\":\"A\",\"day\":\"6\"}]}", "stands twice" },
	{ "{\"dry_run\":[\"nothing\"]}", "name of a rule" },
	{ "{\"dry_run\":\"loop\"}", "not a list" },
	{ "{\"dry_run\":[1]}", "name of a rule" },
};

static void text_table(void **state)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct rules r;
		struct err e = { "" };
		int got = rules_parse(texts[i].text, strlen(texts[i].text), &r, &e);

		if (got != (texts[i].want ? -EINVAL : 0) || (texts[i].want && !strstr(e.text, texts[i].want)))
			fail_msg("%s: %d \"%s\"", texts[i].text, got, e.text);
	}
}

static void too_many(void **state)
{
	char text[4096] = "{\"models\":{\"allow\":[";
	struct rules r;
	struct err e = { "" };

	for (int i = 0; i < RULES_MODELS_MAX + 1; i++)
		strcat(text, i ? ",\"a\"" : "\"a\"");
	strcat(text, "]}}");
	assert_int_equal(rules_parse(text, strlen(text), &r, &e), -EINVAL);
	assert_non_null(strstr(e.text, "more than 16"));

	strcpy(text, "{\"model_limits\":[");
	for (int i = 0; i < RULES_MODEL_LIMITS_MAX + 1; i++)
		(void)snprintf(text + strlen(text), 64, "%s{\"models\":\"m%d\",\"day\":\"1\"}", i ? "," : "", i);
	strcat(text, "]}");
	assert_int_equal(rules_parse(text, strlen(text), &r, &e), -EINVAL);
	assert_non_null(strstr(e.text, "more than 8"));
}

static void a_long_text_is_refused(void **state)
{
	size_t n = 1 << 20;
	char *text = malloc(n);
	struct rules r;

	memset(text, ' ', n);
	memcpy(text, "{}", 2);
	assert_true(rules_parse(text, n, &r, NULL) < 0);
	assert_int_equal(rules_parse(text, 60000, &r, NULL), 0);
	free(text);
}

/* What is read in spite of the damage must be rules that can be written and read. */
static void garbage(void **state)
{
	char text[16384], damaged[16384];
	int good = 0;

	seed = 0xbadc0de;
	print_message("seed %#llx\n", (unsigned long long)seed);
	for (int i = 0; i < 20000; i++) {
		struct rules r, back;

		if (i % 200 == 0) {
			full(&r);
			if (i % 400)
				random_rules(&r);
			(void)write_text(&r, text, sizeof(text));
		}
		size_t n = below(10) ? strlen(text) : below(strlen(text) + 1);

		memcpy(damaged, text, n);
		for (uint64_t hits = below(4); n && hits > 0; hits--)
			damaged[below(n)] = below(2) ? (char)next() : text[below(strlen(text))];
		if (rules_parse(damaged, n, &r, NULL) < 0)
			continue;
		good++;
		assert_int_equal(rules_check(&r, "a", NULL), 0);
		(void)write_text(&r, damaged, sizeof(damaged));
		assert_int_equal(rules_parse(damaged, strlen(damaged), &back, NULL), 0);
		assert_memory_equal(&r, &back, sizeof(r));
	}
	assert_true(good > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(glob_table),
		cmocka_unit_test(globs_agree_with_trying_everything),
		cmocka_unit_test(a_glob_of_stars_costs_nothing_worth_naming),
		cmocka_unit_test(check_table),
		cmocka_unit_test(bad_globs),
		cmocka_unit_test(same_models_twice),
		cmocka_unit_test(none_and_any),
		cmocka_unit_test(text_of_all),
		cmocka_unit_test(text_reads_back_to_the_same),
		cmocka_unit_test(text_table),
		cmocka_unit_test(too_many),
		cmocka_unit_test(a_long_text_is_refused),
		cmocka_unit_test(garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
