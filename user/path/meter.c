// SPDX-License-Identifier: Apache-2.0
/*
 * meter.c: three ways to read an answer: not at all, whole (JSON), or event by event (SSE); before that the content
 * coding is undone, for the meter's copy only.
 */
#include "path/meter.h"

#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "base/str.h"
#include "path/shares.h"
#include "wire/decode.h"
#include "wire/sse.h"

/* One event may hold images in base64 or a whole compaction. */
#define EVENT_MAX (16 * 1024 * 1024)
/* Where events are held back to be edited: what is longer passes unread, since it must fit what may wait for the agent. */
#define EDITED_EVENT_MAX (4 * 1024 * 1024)
#define DECODED_MAX (256 * 1024 * 1024)
/* Decoded this much at a time: it is what a coding of a thousand to one may become in memory at once. */
#define CODED_SLICE (4 * 1024)
/* A whole answer up to this is not counted: the usual ones take no lock. Larger ones are by lumps of it. */
#define LUMP (256 * 1024)

enum meter_mode { METER_BLIND, METER_WHOLE, METER_EVENTS };

struct meter {
	const struct provider_ops *ops;
	enum endpoint endpoint;
	const struct ask *ask;
	struct json *json;
	struct report *report;
	enum meter_mode mode;
	bool edits, saw_event;
	bool is_events, is_coded;
	bool missed;
	struct share *agent;
	uint64_t taken; /* of its share */
	int64_t nevents;
	struct decode *decode; /* NULL = identity */
	struct buf plain;      /* decoded bytes of this feed; WHOLE: the answer so far */
	struct sse *sse;
};

static bool media_type_is(const struct http_head *head, struct str type)
{
	const struct http_field *f = http_find(head, STR("content-type"));
	struct str value = f ? f->value : STR("");

	return str_eq_nocase(str_trim(str_cut(&value, ';')), type);
}

/* Nothing is kept any more. */
static void forget(struct meter *m)
{
	buf_done(&m->plain);
	if (m->taken)
		share_give(m->agent, SHARE_BODIES, m->taken);
	m->taken = 0;
}

/* From here on nothing is read. */
static void go_blind(struct meter *m)
{
	m->mode = METER_BLIND;
	m->missed = true;
	forget(m);
}

/* What is kept by now, of its agent's share. */
static bool is_counted(struct meter *m)
{
	uint64_t lumps = buf_len(&m->plain) / LUMP * LUMP;

	if (!m->agent || lumps <= m->taken)
		return true;
	if (!share_take(m->agent, SHARE_BODIES, lumps - m->taken))
		return false;
	m->taken = lumps;
	return true;
}

static void open_decoder(struct meter *m, const struct http_head *head)
{
	const struct http_field *f = http_find(head, STR("content-encoding"));

	if (!f || str_eq_nocase(f->value, STR("identity")))
		return;
	if (http_count(head, STR("content-encoding")) > 1 || decode_new(f->value, DECODED_MAX, &m->decode))
		go_blind(m);
}

struct meter *meter_new(const struct provider_ops *ops, enum endpoint ep, const struct ask *ask, struct json *json,
			const struct http_head *head, size_t body_max, struct share *agent, struct report *report)
{
	struct meter *m = calloc(1, sizeof *m);
	if (!m)
		return NULL;
	m->agent = agent ? share_ref(agent) : NULL;
	m->ops = ops;
	m->endpoint = ep;
	m->ask = ask;
	m->json = json;
	m->report = report;
	m->mode = media_type_is(head, STR("text/event-stream")) ? METER_EVENTS : METER_WHOLE;
	m->is_events = m->mode == METER_EVENTS;
	buf_init(&m->plain, body_max);
	if (ask->answer_is_media && m->mode == METER_WHOLE && !media_type_is(head, STR("application/json")))
		m->mode = METER_BLIND; /* sound or a picture: nothing to read, and nothing to keep; errors are JSON */
	open_decoder(m, head);
	m->is_coded = m->decode || m->mode == METER_BLIND;
	m->edits = m->mode == METER_EVENTS && !m->decode && ask->hide_usage;
	if (m->mode == METER_EVENTS && !(m->sse = sse_new(m->edits ? EDITED_EVENT_MAX : EVENT_MAX))) {
		meter_free(m);
		return NULL;
	}
	return m;
}

void meter_free(struct meter *m)
{
	if (!m)
		return;
	decode_free(m->decode);
	sse_free(m->sse);
	forget(m);
	share_unref(m->agent);
	free(m);
}

bool meter_edits(const struct meter *m) { return m->edits; }
bool meter_is_events(const struct meter *m) { return m->is_events; }
bool meter_is_coded(const struct meter *m) { return m->is_coded; }
int64_t meter_events(const struct meter *m) { return m->nevents; }
bool meter_sees_text(const struct meter *m) { return m->mode == METER_EVENTS && !m->missed; }
bool meter_missed(const struct meter *m) { return m->missed; }

/* The raw block without what purse caused. */
static void write_on(const struct sse_event *ev, const struct event_verdict *v, struct buf *edited)
{
	size_t at;

	if (v->hide)
		return;
	if (!v->cut || ev->data_at < 0) {
		(void)buf_append(edited, ev->raw.p, ev->raw.n);
		return;
	}
	at = (size_t)ev->data_at + v->cut_at;
	(void)buf_append(edited, ev->raw.p, at);
	(void)buf_append(edited, ev->raw.p + at + v->cut, ev->raw.n - at - v->cut);
}

static void take_event(struct meter *m, const struct sse_event *ev, struct buf *edited)
{
	struct event_verdict v = { 0 };
	bool seen_before = m->report->seen;

	m->nevents += ev->has_data;
	if (ev->has_data)
		m->ops->read_event(m->json, m->endpoint, m->ask, ev->name, ev->data, m->report, &v);
	if (!seen_before && m->report->seen)
		CRASH_POINT("usage-seen");
	if (!m->saw_event) {
		m->saw_event = true;
		CRASH_POINT("first-event");
	}
	if (edited)
		write_on(ev, &v, edited);
}

static void feed_events(struct meter *m, struct str in, struct buf *edited)
{
	struct sse_event ev;

	for (;;) {
		switch (sse_next(m->sse, &in, &ev)) {
		case SSE_MORE:
			return;
		case SSE_EVENT:
			take_event(m, &ev, edited);
			break;
		case SSE_OVERFLOW:
			m->missed = true;
			if (edited)
				(void)buf_append(edited, ev.raw.p, ev.raw.n);
			break;
		case SSE_NO_MEMORY:
			if (edited)
				(void)buf_append(edited, in.p, in.n);
			return go_blind(m);
		}
	}
}

/* False: it can be read no further. What was decoded before a fault still counts: the usage may be in it. */
static bool feed_coded(struct meter *m, const char *p, size_t n)
{
	while (n) {
		size_t some = n < CODED_SLICE ? n : CODED_SLICE;
		bool is_bad = decode_feed(m->decode, p, some, &m->plain) != 0;

		if (m->mode == METER_EVENTS) {
			feed_events(m, (struct str){ buf_ptr(&m->plain), buf_len(&m->plain) }, NULL);
			buf_clear(&m->plain);
		}
		if (is_bad || !is_counted(m))
			return false;
		p += some;
		n -= some;
	}
	return true;
}

static bool feed_plain(struct meter *m, const char *p, size_t n, struct buf *edited)
{
	if (m->mode == METER_WHOLE)
		return !buf_append(&m->plain, p, n) && is_counted(m);
	feed_events(m, (struct str){ p, n }, edited);
	return true;
}

void meter_feed(struct meter *m, const void *p, size_t n, struct buf *edited)
{
	if (m->mode == METER_BLIND) {
		if (edited)
			(void)buf_append(edited, p, n);
		return;
	}
	if (!(m->decode ? feed_coded(m, p, n) : feed_plain(m, p, n, edited)))
		go_blind(m);
}

void meter_end(struct meter *m, struct buf *edited)
{
	struct sse_event ev;

	if (m->mode == METER_WHOLE && buf_len(&m->plain))
		m->missed |= m->ops->read_answer(m->json, m->endpoint, buf_ptr(&m->plain), buf_len(&m->plain), m->report) != 0;
	if (m->mode == METER_EVENTS && sse_end(m->sse, &ev) == SSE_EVENT)
		take_event(m, &ev, edited);
	m->mode = METER_BLIND;
}
