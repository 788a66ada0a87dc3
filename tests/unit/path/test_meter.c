// SPDX-License-Identifier: Apache-2.0
/* The meter as a branch: what it reports, and what is written on when it edits, at every cut of the answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <zlib.h>

#include "base/str.h"
#include "path/meter.h"
#include "path/shares.h"

static const char chat_stream[] =
	"data: {\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}],\"usage\":null}\n\n"
	": ping\n\n"
	"data: {\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n"
	"data: {\"model\":\"m-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9}}\n\n"
	"data: [DONE]\n\n";

static const char chat_stream_unasked[] =
	"data: {\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n"
	": ping\n\n"
	"data: {\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\n"
	"data: [DONE]\n\n";

static struct json *json;

static int setup(void **state)
{
	json = json_new();
	return json ? 0 : -1;
}

static int teardown(void **state)
{
	json_free(json);
	return 0;
}

static struct http_head head_of(const char *type, const char *coding)
{
	struct http_head h = { .status = 200, .length = HTTP_LENGTH_CHUNKED };

	assert_int_equal(http_add(&h, STR("Content-Type"), str_of(type)), 0);
	if (coding)
		assert_int_equal(http_add(&h, STR("content-encoding"), str_of(coding)), 0);
	return h;
}

/* Feeds in two pieces cut at `cut`; returns what was written on. */
static struct buf run(const char *type, const char *coding, const char *bytes, size_t n, size_t cut, bool hide,
		      struct report *r)
{
	struct http_head h = head_of(type, coding);
	struct ask ask = { .stream = true, .hide_usage = hide };
	struct buf out;

	buf_init(&out, 1 << 20);
	report_init(r);
	struct meter *m = meter_new(provider_find("openai"), ENDPOINT_OPENAI_CHAT, &ask, json, &h, 1 << 20, NULL, r);
	assert_non_null(m);
	struct buf *edited = meter_edits(m) ? &out : NULL;
	meter_feed(m, bytes, cut, edited);
	meter_feed(m, bytes + cut, n - cut, edited);
	meter_end(m, edited);
	meter_free(m);
	return out;
}

static void usage_is_hidden_at_every_cut(void **state)
{
	size_t n = sizeof chat_stream - 1;

	for (size_t cut = 0; cut <= n; cut++) {
		struct report r;
		struct buf out = run("text/event-stream; charset=utf-8", NULL, chat_stream, n, cut, true, &r);
		assert_int_equal(buf_len(&out), sizeof chat_stream_unasked - 1);
		assert_memory_equal(buf_ptr(&out), chat_stream_unasked, buf_len(&out));
		assert_true(r.seen);
		assert_int_equal(r.usage.input, 7);
		assert_int_equal(r.usage.output, 2);
		buf_done(&out);
	}
}

static void a_client_that_asked_gets_every_byte(void **state)
{
	struct report r;
	struct buf out = run("text/event-stream", NULL, chat_stream, sizeof chat_stream - 1, 10, false, &r);

	assert_int_equal(buf_len(&out), 0); /* it does not edit: the bytes go straight */
	assert_true(r.seen);
	buf_done(&out);
}

static void a_whole_answer(void **state)
{
	static const char json_answer[] =
		"{\"model\":\"m-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}";
	struct report r;

	for (size_t cut = 0; cut < sizeof json_answer - 1; cut++) {
		struct buf out = run("application/json", NULL, json_answer, sizeof json_answer - 1, cut, false, &r);
		assert_true(r.seen);
		assert_int_equal(r.usage.input, 3);
		buf_done(&out);
	}
	/* Cut short: unknown, never zero. */
	struct buf out = run("application/json", NULL, json_answer, sizeof json_answer - 5, 3, false, &r);
	assert_false(r.seen);
	buf_done(&out);
}

static void a_gzipped_stream_is_read_but_not_edited(void **state)
{
	unsigned char packed[2048];
	z_stream z = { .next_in = (unsigned char *)(uintptr_t)chat_stream, .avail_in = sizeof chat_stream - 1,
		       .next_out = packed, .avail_out = sizeof packed };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	size_t n = sizeof packed - z.avail_out;
	deflateEnd(&z);
	for (size_t cut = 0; cut <= n; cut += 3) {
		struct report r;
		struct buf out = run("text/event-stream", "gzip", (char *)packed, n, cut, true, &r);
		assert_int_equal(buf_len(&out), 0);
		assert_true(r.seen);
		assert_int_equal(r.usage.output, 2);
		buf_done(&out);
	}
}

static void an_unknown_coding_is_unknown_usage(void **state)
{
	struct report r;
	struct buf out = run("application/json", "x-secret", "{}", 2, 1, false, &r);

	assert_false(r.seen);
	buf_done(&out);
}

/* A whole answer is kept until its end: of the agent's share, and given back however it ends. */
static void a_large_answer_counts_in_its_agents_share(void **state)
{
	static const char head_text[] = "{\"model\":\"m-1\",\"choices\":[],\"pad\":\"", tail_text[] = "\",\"usage\":{\"prompt_tokens\":3,"
		"\"completion_tokens\":4,\"total_tokens\":7}}";
	const struct share_limit limits[SHARE_COUNT] = { { 10, 10 }, { 8 << 20, 2 << 20 } };
	struct http_head h = head_of("application/json", NULL);
	struct ask ask = { 0 };
	static char pad[1 << 20];
	struct shares *shares;
	uint64_t has, most;

	memset(pad, 'x', sizeof pad);
	assert_int_equal(shares_new(limits, 1, &shares), 0);
	struct share *agent = share_get(shares, 1);
	for (int mib = 1; mib <= 4; mib++) {
		struct report r;

		report_init(&r);
		struct meter *m = meter_new(provider_find("openai"), ENDPOINT_OPENAI_CHAT, &ask, json, &h, 1 << 24, agent, &r);
		assert_non_null(m);
		meter_feed(m, head_text, sizeof head_text - 1, NULL);
		for (int i = 0; i < mib; i++)
			meter_feed(m, pad, sizeof pad, NULL);
		share_view(agent, SHARE_BODIES, &has, &most);
		assert_true(mib > 2 ? has == 0 : has >= (uint64_t)mib << 20);
		meter_feed(m, tail_text, sizeof tail_text - 1, NULL);
		meter_end(m, NULL);
		assert_int_equal(r.seen, mib <= 2);
		assert_int_equal(meter_missed(m), mib > 2);
		meter_free(m);
		share_view(agent, SHARE_BODIES, &has, &most);
		assert_int_equal(has, 0);
	}
	share_unref(agent);
	shares_free(shares);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usage_is_hidden_at_every_cut),
		cmocka_unit_test(a_client_that_asked_gets_every_byte),
		cmocka_unit_test(a_whole_answer),
		cmocka_unit_test(a_gzipped_stream_is_read_but_not_edited),
		cmocka_unit_test(an_unknown_coding_is_unknown_usage),
		cmocka_unit_test(a_large_answer_counts_in_its_agents_share),
	};
	return cmocka_run_group_tests_name("path/meter", tests, setup, teardown);
}
