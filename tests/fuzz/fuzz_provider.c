// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_provider.c: bytes of an agent or a provider to every reader of every dialect. First byte: which reader and
 * which endpoint; second: ask. The rest is a path, a request, an answer, or events parted by LF.
 *
 * Checked besides memory: edits and cuts stay inside the text, ascend, and leave JSON that reads again without
 * edits; counts stay in range; a bound is never negative but -1; a refusal with such text in it is JSON, and one event.
 */
#include "fuzz.h"

#include "base/str.h"
#include "provider/provider.h"

/* First byte: dialects times endpoints; second: 0 a path, 1 a request, 2 an answer, 3 events; then bits of an ask. */
#define EVERY(what) \
	FUZZ_SEED("\0" what), FUZZ_SEED("\1" what), FUZZ_SEED("\2" what), FUZZ_SEED("\3" what), FUZZ_SEED("\4" what), FUZZ_SEED("\5" what), \
	FUZZ_SEED("\6" what), FUZZ_SEED("\7" what), FUZZ_SEED("\x08" what), FUZZ_SEED("\x09" what)
const struct str fuzz_seeds[] = {
	EVERY("\0/v1/chat/completions?a=b"),
	FUZZ_SEED("\0\0/v1/%6dessages"), FUZZ_SEED("\1\0/v1/../v1//messages"), FUZZ_SEED("\2\0/v1/models"),
	EVERY("\1{\"model\":\"m\",\"max_tokens\":7,\"stream\":true,\"n\":2,\"service_tier\":\"flex\",\"messages\":[{\"role\":\"user\","
	      "\"content\":[{\"type\":\"text\",\"text\":\"hi\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://a.example/x\"}}]}],"
	      "\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\",\"max_uses\":3}]}"),
	EVERY("\1{\"model\":\"m\",\"input\":\"hi\",\"max_output_tokens\":9,\"reasoning\":{\"effort\":\"high\"},\"tools\":[{\"type\":\"web_search\"},"
	      "{\"type\":\"file_search\"}],\"prompt\":\"a\",\"quality\":\"high\",\"size\":\"1024x1024\",\"stream_options\":{\"include_usage\":false}}"),
	EVERY("\2{\"model\":\"m\",\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":3,\"audio_tokens\":1},"
	      "\"completion_tokens_details\":{\"reasoning_tokens\":2},\"cost\":0.001},\"service_tier\":\"default\"}"),
	EVERY("\2{\"type\":\"message\",\"model\":\"m\",\"usage\":{\"input_tokens\":9,\"output_tokens\":5,\"cache_read_input_tokens\":3,"
	      "\"cache_creation\":{\"ephemeral_5m_input_tokens\":1,\"ephemeral_1h_input_tokens\":2},\"server_tool_use\":{\"web_search_requests\":1}}}"),
	EVERY("\7{\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n"
	      "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5}}\n[DONE]"),
	EVERY("\3{\"type\":\"message_start\",\"message\":{\"model\":\"m\",\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n"
	      "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n"
	      "{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":7}}\n{\"type\":\"message_stop\"}"),
	EVERY("\3{\"type\":\"response.output_text.delta\",\"delta\":\"x\"}\n"
	      "{\"type\":\"response.completed\",\"response\":{\"model\":\"m\",\"usage\":{\"input_tokens\":9,\"output_tokens\":5}}}"),
	EVERY("\2{\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}"),
	FUZZ_SEEDS_END,
};

static struct json *json;

static void is_json(void *ctx, int id, const struct json_value *v)
{
	*(bool *)ctx = v->kind == JSON_OBJECT;
}

/* What a refusal says may come from the request: names, models. */
static void fuzz_error(const struct provider_ops *ops, struct str s)
{
	static const struct json_want root = { "", 0 };
	struct refusal why = { .reason = REFUSAL_RULE };
	bool object = false;
	char text[512];
	struct buf out;

	(void)str_copy(text, sizeof(text), s);
	(void)str_copy(why.detail, sizeof(why.detail), s);
	(void)str_copy(why.rule, sizeof(why.rule), s);
	buf_init(&out, 1 << 16);
	MUST(ops->write_error(&out, 403, &why, text, text) == 0);
	MUST(json_scan(json, buf_ptr(&out), buf_len(&out), &root, 1, is_json, &object) == 0 && object);
	buf_clear(&out);
	MUST(ops->write_stream_error(&out, ENDPOINT_OPENAI_CHAT, &why, text) == 0);
	/* One event, whatever is in it. */
	MUST(memmem(buf_ptr(&out), buf_len(&out), "\n\n", 2) == buf_ptr(&out) + buf_len(&out) - 2 && !memchr(buf_ptr(&out), '\r', buf_len(&out)));
	buf_done(&out);
}

static void fuzz_path(const struct provider_ops *ops, struct str s)
{
	char path[512], again[512];

	if (provider_path(s, "/v1", path, sizeof(path)) < 0)
		return;
	MUST(path[0] == '/' && strlen(path) < sizeof(path));
	(void)ops->classify(STR("POST"), str_of(path));
	(void)ops->classify(STR("GET"), str_of(path));
	(void)provider_path(str_of(path), "", again, sizeof(again));
}

static void check_ask(const struct ask *a)
{
	MUST(a->model[0] && strlen(a->model) < sizeof(a->model));
	MUST(a->passes >= 1 || a->unbounded_tools);
	MUST(a->max_file_searches >= -1 && a->max_code_sessions >= -1 && a->images >= 0 && a->characters >= 0);
	MUST(strlen(a->geo) < sizeof(a->geo));
	MUST(a->max_output >= -1 && a->max_searches >= -1 && a->choices >= 1 && a->extra_input_tokens > 0);
	MUST(a->nedits <= BODY_EDITS_MAX && a->hide_usage == (a->nedits > 0));
}

static void fuzz_request(const struct provider_ops *ops, enum endpoint ep, struct str s)
{
	char *p = fuzz_padded(s), *q;
	struct str edited;
	struct ask a, b;
	struct err e;

	if (ops->read_request(json, ep, p, s.n, &a, &e) == 0) {
		check_ask(&a);
		if (a.nedits > 0) {
			const struct body_edit *ed = &a.edits[0];
			size_t n = strlen(ed->text);

			MUST(a.nedits == 1 && ed->at <= s.n && ed->cut <= s.n - ed->at);
			edited.n = s.n - ed->cut + n;
			q = calloc(1, edited.n + JSON_PADDING);
			MUST(q);
			memcpy(q, p, ed->at);
			memcpy(q + ed->at, ed->text, n);
			memcpy(q + ed->at + n, p + ed->at + ed->cut, s.n - ed->at - ed->cut);
			MUST(ops->read_request(json, ep, q, edited.n, &b, &e) == 0);
			MUST(b.nedits == 0 && strcmp(a.model, b.model) == 0 && a.max_output == b.max_output);
			free(q);
		}
	}
	free(p);
}

static void check_report(const struct report *r)
{
	bool counted = r->usage.images > 0 || r->usage.audio_ms > 0;

	MUST(r->reported_cost >= -1 && (!r->reported_bad || r->reported_cost == -1));
	MUST(strlen(r->geo) < sizeof(r->geo));
	MUST(r->nparts <= USAGE_PARTS_MAX && strlen(r->model) < sizeof(r->model));
	MUST(r->usage.input >= 0 && r->usage.output >= 0 && r->usage.cache_read >= 0 && r->usage.cache_write_5m >= 0 &&
	     r->usage.cache_write_1h >= 0 && r->usage.web_searches >= 0 && r->output_bytes >= 0);
	if (r->seen)
		MUST((r->usage.input > 0 || counted) && r->usage.input <= USAGE_TOKENS_MAX && r->usage.output <= USAGE_TOKENS_MAX);
	for (size_t i = 0; i < r->nparts; i++)
		MUST(r->parts[i].usage.input >= 0 && r->parts[i].usage.input <= USAGE_TOKENS_MAX);
}

static void fuzz_answer(const struct provider_ops *ops, enum endpoint ep, struct str s)
{
	char *p = fuzz_padded(s);
	struct report r;

	report_init(&r);
	(void)ops->read_answer(json, ep, p, s.n, &r);
	check_report(&r);
	free(p);
}

static void fuzz_events(const struct provider_ops *ops, enum endpoint ep, const struct ask *ask, struct str s)
{
	struct report r;

	report_init(&r);
	while (s.n > 0) {
		struct str data = str_cut(&s, '\n');
		struct event_verdict v;
		char *p = fuzz_padded(data);

		ops->read_event(json, ep, ask, STR(""), (struct str){ .p = p, .n = data.n }, &r, &v);
		MUST(v.cut_at <= data.n && v.cut <= data.n - v.cut_at);
		MUST(!(v.hide && v.cut));
		if (v.cut > 0) {
			struct report left;

			report_init(&left);
			memmove(p + v.cut_at, p + v.cut_at + v.cut, data.n - v.cut_at - v.cut);
			memset(p + data.n - v.cut, 0, v.cut);
			MUST(ops->read_answer(json, ep, p, data.n - v.cut, &left) == 0);
		}
		check_report(&r);
		free(p);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct provider_ops *ops;
	struct ask ask = { .model = "m" };
	struct str s;
	enum endpoint ep;
	size_t rows = 0;

	if (!json)
		json = json_new();
	MUST(json);
	if (size < 2)
		return 0;
	while (provider_at(rows))
		rows++;
	ops = provider_at(data[0] % rows);
	ep = ENDPOINT_OPENAI_CHAT + data[0] / rows % (ENDPOINT_COUNT - ENDPOINT_OPENAI_CHAT);
	ask.hide_usage = data[1] & 4;
	ask.reasoning_asked = data[1] & 8;
	ask.cache_write_1h = data[1] & 16;
	s = (struct str){ .p = (const char *)data + 2, .n = size - 2 };
	switch (data[1] & 3) {
	case 0:
		fuzz_path(ops, s);
		fuzz_error(ops, s);
		break;
	case 1: fuzz_request(ops, ep, s); break;
	case 2: fuzz_answer(ops, ep, s); break;
	default: fuzz_events(ops, ep, &ask, s); break;
	}
	return 0;
}
