// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_provider.c: bytes of an agent or a provider to every reader of every dialect. First byte: which reader and
 * which endpoint; second: ask. The rest is a path, a request, an answer, or events parted by LF.
 *
 * Checked besides memory: edits and cuts stay inside the text, ascend, and leave JSON that reads again without
 * edits; counts stay in range; a bound is never negative but -1.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "provider/provider.h"

#define MUST(cond) \
	do { \
		if (!(cond)) \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct json *json;

/* Exactly the promised padding. */
static char *padded(struct str s)
{
	char *p = malloc(s.n + JSON_PADDING);

	MUST(p);
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	memset(p + s.n, 0, JSON_PADDING);
	return p;
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
	char *p = padded(s), *q;
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
	char *p = padded(s);
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
		char *p = padded(data);

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
	case 0: fuzz_path(ops, s); break;
	case 1: fuzz_request(ops, ep, s); break;
	case 2: fuzz_answer(ops, ep, s); break;
	default: fuzz_events(ops, ep, &ask, s); break;
	}
	return 0;
}
