// SPDX-License-Identifier: Apache-2.0
/*
 * test_estimate.c: streams of our own making, cut behind every event: what the estimate says was made is never less than what was, for
 * the shapes that text has at the providers. The figures of real recordings stand in docs/metering.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "spend/bound.h"
#include "path/meter.h"
#include "path/settle_rule.h"

enum shape { CHAT, CHAT_TOOL, RESPONSES, MESSAGES, MESSAGES_TOOL };

struct estimate_case {
	const char *name;
	enum shape shape;
	const char *text; /* of one event */
	int tokens;       /* that are in it */
	int events;
	double least, most; /* estimate / truth at the end */
};

static const struct estimate_case cases[] = {
	{ "English, a token an event", CHAT, " word", 1, 400, 1.0, 2.0 },
	{ "single characters, a token an event", CHAT, "}", 1, 400, 1.0, 1.5 },
	{ "numbers, a token an event", CHAT, "17", 1, 400, 1.0, 1.5 },
	{ "Chinese, two tokens an event", CHAT, "\xe4\xbd\xa0\xe5\xa5\xbd", 2, 400, 1.0, 1.5 },
	{ "escapes count as what they stand for", CHAT, "\\n\\t", 1, 400, 1.0, 1.5 },
	{ "arguments of a tool", CHAT_TOOL, "\\\"a\\\":", 1, 400, 1.0, 2.0 },
	{ "English at Responses", RESPONSES, " word", 1, 400, 1.0, 2.0 },
	{ "many tokens an event", MESSAGES, " and now some more words of it", 7, 60, 1.0, 1.6 },
	{ "arguments of a tool, many tokens an event", MESSAGES_TOOL, "{\\\"path\\\": \\\"/x\\\", \\\"n\\\": 1", 9, 30, 0.7, 1.5 },
};

static const char *const frames[] = {
	[CHAT] = "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"}}]}\n\n",
	[CHAT_TOOL] = "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"%s\"}}]}}]}\n\n",
	[RESPONSES] = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"%s\"}\n\n",
	[MESSAGES] = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"%s\"}}\n\n",
	[MESSAGES_TOOL] = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"%s\"}}\n\n",
};

static int64_t estimated(const struct report *r)
{
	return bound_text_tokens(settle_text_bytes(r->output_bytes, r->output_events));
}

static void play(const struct estimate_case *c, struct json *json)
{
	bool messages = c->shape >= MESSAGES;
	enum endpoint ep = messages ? ENDPOINT_ANTHROPIC_MESSAGES : c->shape == RESPONSES ? ENDPOINT_OPENAI_RESPONSES : ENDPOINT_OPENAI_CHAT;
	struct http_head h = { .status = 200, .length = HTTP_LENGTH_CHUNKED };
	struct ask ask = { .model = "m", .stream = true };
	struct report r;
	char text[512];

	report_init(&r);
	assert_int_equal(http_add(&h, STR("content-type"), STR("text/event-stream")), 0);
	struct meter *m = meter_new(provider_find(messages ? "anthropic" : "openai"), ep, &ask, json, &h, 1 << 20, NULL, &r);
	assert_non_null(m);
	for (int i = 1; i <= c->events; i++) {
		int n = snprintf(text, sizeof text, frames[c->shape], c->text);

		for (int k = 0; k < n; k++) { /* byte by byte: an event that is not whole counts for nothing */
			assert_int_equal(r.output_events, i - 1);
			meter_feed(m, text + k, 1, NULL);
		}
		assert_int_equal(r.output_events, i);
		int64_t made = (int64_t)i * c->tokens, guess = estimated(&r);
		int64_t cut = guess + bound_in_flight(0, guess, 0);

		if (cut < made)
			fail_msg("%s: cut behind event %d: %lld of %lld tokens", c->name, i, (long long)cut, (long long)made);
	}
	double ratio = (double)estimated(&r) / (c->events * c->tokens);

	if (ratio < c->least || ratio > c->most)
		fail_msg("%s: %.2f of the truth", c->name, ratio);
	meter_free(m);
}

static void test_shapes(void **state)
{
	struct json *json = json_new();

	assert_non_null(json);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		play(&cases[i], json);
	json_free(json);
}

static void test_text_bytes(void **state)
{
	assert_int_equal(settle_text_bytes(0, 0), 0);
	assert_int_equal(settle_text_bytes(100, 1), 100);
	assert_int_equal(settle_text_bytes(100, 34), 102);
	assert_int_equal(settle_text_bytes(0, INT64_MAX), INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_shapes), cmocka_unit_test(test_text_bytes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
