// SPDX-License-Identifier: Apache-2.0
/*
 * test_reported.c: what answers tell besides plain tokens: money of the provider's own, speed and geography, paid server tools,
 * pictures and sound in the token counts. By dialect: a figure counts only where its provider documents it.
 */
#include "calls.h"

/* ---- money */

struct money_case {
	const char *dialect;
	enum endpoint ep;
	const char *usage; /* members of the usage object */
	nanousd cost;
	bool bad, byok;
};

#define TOKENS "\"prompt_tokens\":16,\"completion_tokens\":2,\"input_tokens\":16,\"output_tokens\":2"

static const struct money_case money[] = {
	{ "openrouter", CHAT, TOKENS ",\"cost\":1.4e-05,\"is_byok\":false", 14000, false, false },
	{ "openrouter", RESPONSES, TOKENS ",\"cost\":1.13e-05", 11300, false, false },
	{ "openrouter", CHAT, TOKENS ",\"cost\":0.0076509169000000005", 7650917, false, false },
	{ "openrouter", CHAT, TOKENS ",\"cost\":0,\"is_byok\":true", 0, false, true },
	{ "openrouter", CHAT, TOKENS ",\"is_byok\":true,\"cost\":0.000005", 5000, false, true },
	{ "openrouter", CHAT, TOKENS ",\"cost\":null", -1, false, false },
	{ "openrouter", CHAT, TOKENS, -1, false, false },
	{ "openrouter", CHAT, TOKENS ",\"cost\":-0.5", -1, true, false },
	{ "openrouter", CHAT, TOKENS ",\"cost\":\"0.5\"", -1, true, false },
	{ "openrouter", CHAT, TOKENS ",\"cost\":true", -1, true, false },
	{ "openrouter", CHAT, TOKENS ",\"cost\":{\"total_cost\":1}", -1, true, false },
	{ "openrouter", CHAT, TOKENS ",\"cost\":1e300", -1, true, false },
	{ "openrouter", CHAT, TOKENS ",\"cost\":0.5,\"cost\":0.7", 700000000, false, false }, /* twice: the dearer */
	{ "openrouter", CHAT, TOKENS ",\"cost\":0.7,\"cost\":0.5", 700000000, false, false },
	{ "openrouter", CHAT, TOKENS ",\"cost\":0.7,\"cost\":-1", -1, true, false },
	{ "openrouter", CHAT, TOKENS ",\"cost_details\":{\"cost\":9}", -1, false, false },
	{ "openrouter", CHAT, TOKENS ",\"cost_in_usd_ticks\":10000000000", -1, false, false },
	{ "openrouter", CHAT, "\"prompt_tokens\":0,\"completion_tokens\":180,\"cost\":0.00045", 450000, false, false }, /* no tokens to believe */
	{ "xai", CHAT, TOKENS ",\"cost_in_usd_ticks\":1330500", 133050, false, false },
	{ "xai", RESPONSES, TOKENS ",\"cost_in_usd_ticks\":1", 1, false, false },
	{ "xai", CHAT, TOKENS ",\"cost_in_usd_ticks\":-1", -1, true, false },
	{ "xai", CHAT, TOKENS ",\"cost_in_usd_ticks\":99999999999999999999", -1, true, false },
	{ "xai", CHAT, TOKENS ",\"cost\":5", -1, false, false },
	{ "perplexity", CHAT, TOKENS ",\"cost\":{\"input_tokens_cost\":1,\"total_cost\":0.006}", 6000000, false, false },
	{ "perplexity", RESPONSES, TOKENS ",\"cost\":{\"total_cost\":0.006,\"currency\":\"USD\"}", 6000000, false, false },
	{ "perplexity", CHAT, TOKENS ",\"cost\":0.006", -1, false, false },
	/* any host could write such a key */
	{ "openai", CHAT, TOKENS ",\"cost\":0.000001,\"cost_in_usd_ticks\":1", -1, false, false },
	{ "openai-compatible", CHAT, TOKENS ",\"cost\":0.000001,\"cost_in_usd_ticks\":1", -1, false, false },
	{ "openai-reporting", RESPONSES, TOKENS ",\"cost\":{\"total_cost\":0.1}", -1, false, false },
	{ "anthropic", MESSAGES, TOKENS ",\"cost\":0.000001", -1, false, false },
};

static void play(const struct money_case *c, bool stream, struct report *r)
{
	const struct provider_ops *ops = provider_find(c->dialect);
	bool responses = c->ep == RESPONSES;
	char text[512];

	snprintf(text, sizeof(text), stream && responses ? "{\"type\":\"response.completed\",\"response\":{\"usage\":{%s}}}" :
				     "{\"choices\":[],\"usage\":{%s}}", c->usage);
	report_init(r);
	if (stream)
		calls_event(ops, c->ep, NULL, "", str_of(text), r);
	else
		assert_int_equal(calls_answer(ops, c->ep, text, r), 0);
}

static void test_money(void **state)
{
	for (size_t i = 0; i < sizeof(money) / sizeof(money[0]); i++)
		for (int stream = 0; stream < 2; stream++) {
			const struct money_case *c = &money[i];
			struct report r;

			play(c, stream, &r);
			if (r.reported_cost != c->cost || r.reported_bad != c->bad || r.reported_byok != c->byok)
				fail_msg("%s %s (%d): %lld bad %d byok %d", c->dialect, c->usage, stream, (long long)r.reported_cost,
					 r.reported_bad, r.reported_byok);
		}
}

static void event(const char *dialect, enum endpoint ep, const char *data, struct report *r)
{
	calls_event(provider_find(dialect), ep, NULL, "", str_of(data), r);
}

/* A later figure replaces an earlier one, also a bad one; an event without one changes nothing. */
static void test_money_grows(void **state)
{
	struct report r;

	report_init(&r);
	event("perplexity", CHAT, "{\"choices\":[{}],\"usage\":{" TOKENS ",\"cost\":{\"total_cost\":0.001}}}", &r);
	event("perplexity", CHAT, "{\"choices\":[{}],\"usage\":{" TOKENS ",\"cost\":{\"total_cost\":0.002}}}", &r);
	event("perplexity", CHAT, "{\"choices\":[{}]}", &r);
	assert_int_equal(r.reported_cost, 2000000);
	event("perplexity", CHAT, "{\"choices\":[{}],\"usage\":{\"cost\":{\"total_cost\":-1}}}", &r);
	assert_true(r.reported_bad && r.reported_cost == -1);
	event("perplexity", CHAT, "{\"choices\":[{}],\"usage\":{\"cost\":{\"total_cost\":0.003}}}", &r);
	assert_true(!r.reported_bad && r.reported_cost == 3000000);
	event("perplexity", CHAT, "{\"choices\":[{}],\"usage\":{\"cost\":{\"total_cost\":0.004}}", &r); /* cut */
	assert_int_equal(r.reported_cost, 3000000);
}

/* ---- speed, place, tier */

struct mode_case {
	const char *dialect;
	enum endpoint ep;
	const char *body;
	bool fast, fast_said, geo_said, unpriced;
	const char *geo;
	enum tier tier;
};

static const struct mode_case modes[] = {
	{ "anthropic", MESSAGES, "{\"usage\":{\"speed\":\"fast\",\"inference_geo\":\"us\"}}", true, true, true, false, "us", TIER_STANDARD },
	{ "anthropic", MESSAGES, "{\"usage\":{\"speed\":\"standard\",\"inference_geo\":\"global\"}}", false, true, true, false, "", TIER_STANDARD },
	{ "anthropic", MESSAGES, "{\"usage\":{\"speed\":null,\"inference_geo\":null}}", false, false, false, false, "", TIER_STANDARD },
	{ "anthropic", MESSAGES, "{\"usage\":{\"inference_geo\":\"not_available\"}}", false, false, true, false, "", TIER_STANDARD },
	{ "anthropic", MESSAGES, "{\"usage\":{\"inference_geo\":\"\"}}", false, false, true, false, "", TIER_STANDARD },
	{ "anthropic", MESSAGES, "{\"usage\":{\"inference_geo\":\"mars\"}}", false, false, true, false, "mars", TIER_STANDARD },
	{ "anthropic", MESSAGES, "{\"usage\":{\"inference_geo\":\"a-name-that-does-not-fit\"}}", false, false, true, true, "", TIER_STANDARD },
	{ "anthropic", MESSAGES, "{\"usage\":{\"inference_geo\":7}}", false, false, true, true, "", TIER_STANDARD },
	{ "anthropic", MESSAGES, "{\"usage\":{\"speed\":\"warp\"}}", false, true, false, true, "", TIER_STANDARD },
	{ "anthropic", MESSAGES, "{\"usage\":{\"speed\":1}}", false, true, false, true, "", TIER_STANDARD },
	{ "openai", CHAT, "{\"service_tier\":\"ultrafast\"}", true, true, false, false, "", TIER_STANDARD },
	{ "openai", CHAT, "{\"service_tier\":\"fast\"}", false, true, false, false, "", TIER_PRIORITY },
	{ "openai", RESPONSES, "{\"service_tier\":\"default\"}", false, true, false, false, "", TIER_STANDARD },
	{ "openai", RESPONSES, "{\"service_tier\":\"auto\"}", false, false, false, false, "", TIER_STANDARD },
	{ "openai", CHAT, "{\"service_tier\":\"hyperfast\"}", false, true, false, false, "", TIER_UNKNOWN },
	/* what no counter tells */
	{ "openai", RESPONSES, "{\"output\":[{\"type\":\"image_generation_call\"}]}", false, false, false, true, "", TIER_STANDARD },
	{ "openai", RESPONSES, "{\"tool_usage\":{\"image_gen\":{\"output_tokens\":5}}}", false, false, false, true, "", TIER_STANDARD },
	{ "openai", RESPONSES, "{\"tool_usage\":{\"image_gen\":{\"output_tokens\":0,\"input_tokens\":null}}}", false, false, false, false, "",
	  TIER_STANDARD },
	{ "openai-compatible", CHAT, "{\"usage\":{" TOKENS ",\"prompt_tokens_details\":{\"video_tokens\":3}}}", false, false, false, true, "",
	  TIER_STANDARD },
	{ "perplexity", CHAT, "{\"usage\":{" TOKENS ",\"citation_tokens\":3}}", false, false, false, true, "", TIER_STANDARD },
	{ "perplexity", CHAT, "{\"usage\":{" TOKENS ",\"reasoning_tokens\":3}}", false, false, false, true, "", TIER_STANDARD },
	{ "xai", CHAT, "{\"usage\":{" TOKENS ",\"reasoning_tokens\":1}}", false, false, false, false, "", TIER_STANDARD },
	{ "openai-compatible", CHAT, "{\"usage\":{" TOKENS ",\"prompt_tokens_details\":{\"video_tokens\":0}}}", false, false, false, false, "",
	  TIER_STANDARD },
};

static void test_modes(void **state)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		const struct mode_case *c = &modes[i];
		struct report r;

		report_init(&r);
		assert_int_equal(calls_answer(provider_find(c->dialect), c->ep, c->body, &r), 0);
		if (r.fast != c->fast || r.fast_said != c->fast_said || r.geo_said != c->geo_said || r.unpriced != c->unpriced ||
		    strcmp(r.geo, c->geo) != 0 || r.tier != c->tier)
			fail_msg("%s: fast %d (%d) geo \"%s\" (%d) unpriced %d tier %d", c->body, r.fast, r.fast_said, r.geo, r.geo_said,
				 r.unpriced, r.tier);
	}
}

/* Both may stand at the start, at the end, or in either. */
static void test_mode_in_stream(void **state)
{
	struct report r;

	report_init(&r);
	event("anthropic", MESSAGES,
	      "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,\"speed\":\"fast\",\"inference_geo\":\"us\"}}}", &r);
	event("anthropic", MESSAGES, "{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":5}}", &r);
	assert_true(r.seen && r.fast && r.fast_said && r.geo_said);
	assert_string_equal(r.geo, "us");
	event("anthropic", MESSAGES, "{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":6,\"speed\":\"standard\",\"inference_geo\":\"global\"}}", &r);
	assert_true(!r.fast && r.geo[0] == '\0' && r.geo_said);
}

/* ---- counters */

struct count_case {
	const char *name;
	enum endpoint ep;
	const char *body;
	struct usage u;
	bool unpriced;
};

#define R_USAGE "\"usage\":{\"input_tokens\":9,\"output_tokens\":5}"

static const struct count_case counts[] = {
	{ "pictures and cached sound among the tokens", CHAT,
	  "{\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":50,\"prompt_tokens_details\":{\"cached_tokens\":30,\"audio_tokens\":20,"
	  "\"image_tokens\":40,\"cached_tokens_details\":{\"audio_tokens\":10,\"text_tokens\":20}},"
	  "\"completion_tokens_details\":{\"image_tokens\":25,\"accepted_prediction_tokens\":10,\"rejected_prediction_tokens\":15}}}",
	  { .input = 100, .cache_read = 30, .audio_input = 20, .audio_cache_read = 10, .image_input = 40, .output = 50, .image_output = 25 }, false },
	{ "file searches, a container used twice, another one", RESPONSES,
	  "{\"output\":[{\"type\":\"file_search_call\"},{\"type\":\"file_search_call\"},{\"type\":\"code_interpreter_call\",\"container_id\":\"c1\"},"
	  "{\"type\":\"code_interpreter_call\",\"container_id\":\"c1\"},{\"container_id\":\"c2\",\"type\":\"code_interpreter_call\"},"
	  "{\"type\":\"web_search_call\",\"action\":{\"type\":\"search\"}}]," R_USAGE "}",
	  { .input = 9, .output = 5, .file_searches = 2, .code_sessions = 2, .web_searches = 1 }, false },
	{ "searches at Perplexity", CHAT, "{\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5,\"num_search_queries\":3}}",
	  { .input = 9, .output = 5, .web_searches = 3 }, false },
	{ "a container without a name", RESPONSES, "{\"output\":[{\"type\":\"code_interpreter_call\"}]," R_USAGE "}",
	  { .input = 9, .output = 5 }, true },
	{ "more containers than can be kept apart", RESPONSES,
	  "{\"output\":[{\"type\":\"code_interpreter_call\",\"container_id\":\"1\"},{\"type\":\"code_interpreter_call\",\"container_id\":\"2\"},"
	  "{\"type\":\"code_interpreter_call\",\"container_id\":\"3\"},{\"type\":\"code_interpreter_call\",\"container_id\":\"4\"},"
	  "{\"type\":\"code_interpreter_call\",\"container_id\":\"5\"},{\"type\":\"code_interpreter_call\",\"container_id\":\"6\"},"
	  "{\"type\":\"code_interpreter_call\",\"container_id\":\"7\"},{\"type\":\"code_interpreter_call\",\"container_id\":\"8\"},"
	  "{\"type\":\"code_interpreter_call\",\"container_id\":\"9\"}]," R_USAGE "}",
	  { .input = 9, .output = 5, .code_sessions = 8 }, true },
};

static void test_counts(void **state)
{
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		const struct count_case *c = &counts[i];
		struct report r;

		report_init(&r);
		assert_int_equal(calls_answer(provider_find("openai"), c->ep, c->body, &r), 0);
		if (!r.seen || r.unpriced != c->unpriced || memcmp(&r.usage, &c->u, sizeof(c->u)) != 0)
			fail_msg("%s: seen %d unpriced %d files %lld code %lld searches %lld images %lld/%lld", c->name, r.seen, r.unpriced,
				 (long long)r.usage.file_searches, (long long)r.usage.code_sessions, (long long)r.usage.web_searches,
				 (long long)r.usage.image_input, (long long)r.usage.image_output);
	}
}

/* An item is told when it begins, when it is done and in the last event: it is one. A container may get its name late. */
static void test_counts_in_stream(void **state)
{
	struct report r;

	report_init(&r);
	event("openai", RESPONSES, "{\"type\":\"response.output_item.added\",\"item\":{\"type\":\"code_interpreter_call\",\"container_id\":null}}", &r);
	event("openai", RESPONSES, "{\"type\":\"response.output_item.done\",\"item\":{\"type\":\"code_interpreter_call\",\"container_id\":\"c1\"}}", &r);
	event("openai", RESPONSES, "{\"type\":\"response.output_item.added\",\"item\":{\"type\":\"file_search_call\"}}", &r);
	event("openai", RESPONSES, "{\"type\":\"response.output_item.done\",\"item\":{\"type\":\"file_search_call\"}}", &r);
	assert_int_equal(r.usage.file_searches, 1); /* counts also if the stream is cut now */
	event("openai", RESPONSES,
	      "{\"type\":\"response.completed\",\"response\":{\"output\":[{\"type\":\"code_interpreter_call\",\"container_id\":\"c1\"},"
	      "{\"type\":\"file_search_call\"}]," R_USAGE "}}", &r);
	assert_true(r.seen && !r.unpriced);
	assert_int_equal(r.usage.file_searches, 1);
	assert_int_equal(r.usage.code_sessions, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_money),	       cmocka_unit_test(test_money_grows), cmocka_unit_test(test_modes),
		cmocka_unit_test(test_mode_in_stream), cmocka_unit_test(test_counts),	   cmocka_unit_test(test_counts_in_stream),
	};

	return cmocka_run_group_tests(tests, calls_setup, calls_teardown);
}
