// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_meter.c: an answer of a provider through the whole meter: decoder, events, usage. First byte: which dialect and endpoint; second,
 * by bits: 1 an event stream, 2 gzip, 4 usage is hidden, 8 reasoning was asked for; the next two: how the input is cut.
 *
 * Checked besides memory: whole and cut make the same report and hand on the same bytes (gzip but for bombs, which are seen as they come
 * in); what is handed on is never longer than what came; counts are in range.
 */
#include "fuzz.h"

#include "base/str.h"
#include "path/meter.h"

#define CHAT(more) "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"hi\"}}]" more "}\n\n"
const struct str fuzz_seeds[] = {
	FUZZ_SEED("\0\5\1\1" CHAT(",\"usage\":null") "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n"),
	FUZZ_SEED("\0\1\1\2" CHAT("") ": x\r\n\r\ndata: {\"error\":{\"message\":\"x\"}}\r\n\r\n"),
	FUZZ_SEED("\0\0\1\3{\"model\":\"m\",\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5},\"choices\":[{\"message\":{\"content\":\"hi\"}}]}"),
	FUZZ_SEED("\x23\1\1\4" "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\",\"usage\":{\"input_tokens\":9,"
		  "\"output_tokens\":1}}}\n\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":7}}\n\nevent: message_stop\n"
		  "data: {\"type\":\"message_stop\"}\n\n"),
	FUZZ_SEED("\4\1\1\5" "data: {\"type\":\"response.completed\",\"response\":{\"model\":\"m\",\"usage\":{\"input_tokens\":9,\"output_tokens\":5}}}\n\n"),
	FUZZ_SEED("\0\2\1\6\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x4c\x4a\x06\x00\xc2\x41\x24\x35\x03\x00\x00\x00"),
	FUZZ_SEEDS_END,
};

#define BODY_MAX (1 << 16)

struct outcome_of {
	struct report report;
	struct buf edited;
	bool edits, sees_text;
	int64_t events;
};

static struct json *json;

static void run(const uint8_t *how, uint32_t cuts, struct str in, struct outcome_of *o)
{
	struct ask ask = { .model = "m", .stream = how[1] & 1, .hide_usage = how[1] & 4, .reasoning_asked = how[1] & 8 };
	struct http_head head = { .status = 200, .length = HTTP_LENGTH_CHUNKED };
	size_t rows = 0;
	struct meter *m;

	while (provider_at(rows))
		rows++;
	MUST(http_add(&head, STR("Content-Type"), how[1] & 1 ? STR("text/event-stream") : STR("application/json")) == 0);
	if (how[1] & 2)
		MUST(http_add(&head, STR("Content-Encoding"), STR("gzip")) == 0);
	memset(o, 0, sizeof(*o));
	buf_init(&o->edited, 1 << 24);
	report_init(&o->report);
	m = meter_new(provider_at(how[0] % rows), ENDPOINT_OPENAI_CHAT + how[0] / rows % (ENDPOINT_COUNT - ENDPOINT_OPENAI_CHAT), &ask, json, &head,
		      BODY_MAX, NULL, &o->report);
	MUST(m);
	o->edits = meter_edits(m);
	while (in.n) {
		const size_t n = fuzz_piece(&cuts, in.n);
		char *piece = fuzz_copy(in.p, n);

		meter_feed(m, piece, n, o->edits ? &o->edited : NULL);
		free(piece);
		in.p += n;
		in.n -= n;
	}
	meter_end(m, o->edits ? &o->edited : NULL);
	o->sees_text = meter_sees_text(m);
	o->events = meter_events(m);
	meter_free(m);
}

static void must_equal(const struct outcome_of *a, const struct outcome_of *b)
{
	MUST(a->edits == b->edits && a->sees_text == b->sees_text && a->events == b->events);
	MUST(fuzz_same(&a->edited, &b->edited));
	MUST(memcmp(&a->report, &b->report, sizeof(a->report)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome_of whole, cut;
	struct str in;

	if (size < 4)
		return 0;
	json = json ? json : json_new();
	MUST(json);
	in = (struct str){ (const char *)data + 4, size - 4 };
	run(data, 0, in, &whole);
	run(data, (uint32_t)data[2] << 8 | data[3] | 0x10000, in, &cut);
	if (!(data[1] & 2))
		must_equal(&whole, &cut);
	MUST(buf_len(&whole.edited) <= in.n && buf_len(&cut.edited) <= in.n);
	MUST(whole.report.output_bytes >= 0 && whole.report.output_events >= 0 && whole.report.reported_cost >= -1);
	MUST(whole.report.nparts <= USAGE_PARTS_MAX);
	MUST(!whole.report.seen || (whole.report.usage.input <= USAGE_TOKENS_MAX && whole.report.usage.output <= USAGE_TOKENS_MAX));
	buf_done(&whole.edited);
	buf_done(&cut.edited);
	return 0;
}
