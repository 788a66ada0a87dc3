// SPDX-License-Identifier: Apache-2.0
/*
 * forward.c: sends the call on and hands the answer back as it comes. The head is written anew from its parsed form; the body
 * goes as it came, with the edits that ask names. What is changed on the way (docs/transparency.md):
 *   request   Host and framing written anew; hop-by-hop fields end here; accept-encoding is narrowed to what the
 *             meter can read (identity where purse edits the stream); stream_options.include_usage is put in
 *   answer    framing; alt-svc dropped (no drift to QUIC); the usage chunk that only purse asked for
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/str.h"
#include "path/exchange.h"
#include "path/meter.h"
#include "path/money.h"
#include "path/roll.h"
#include "path/upstream.h"
#include "wire/decode.h"

/* ---- the request */

static void narrow_accept_encoding(struct exchange *x, struct http_head *head)
{
	const struct http_field *f = http_find(head, STR("accept-encoding"));

	if (x->endpoint == ENDPOINT_FREE)
		return;
	if (x->ask.hide_usage)
		(void)http_set(head, f ? f->name : STR("accept-encoding"), STR("identity"));
	else if (f && !decode_knows_all(f->value))
		(void)http_set(head, f->name, STR("gzip"));
}

/* The body as pieces: what came, with the edits in between. Returns their number. */
static size_t body_pieces(const struct exchange *x, struct str ret[2 * BODY_EDITS_MAX + 1])
{
	const char *body = buf_ptr(&x->body);
	size_t at = 0, n = 0;

	for (size_t i = 0; i < x->ask.nedits; i++) {
		const struct body_edit *e = &x->ask.edits[i];
		ret[n++] = (struct str){ .p = body + at, .n = e->at - at };
		ret[n++] = (struct str){ .p = e->text, .n = strlen(e->text) };
		at = e->at + e->cut;
	}
	ret[n++] = (struct str){ .p = body + at, .n = buf_len(&x->body) - at };
	return n;
}

/* ---- the answer, as upstream tells it */

static void up_sent(void *ctx)
{
	struct exchange *x = ctx;

	if (x->hold == HOLD_HELD) {
		money_sent(x->worker->env->money, x->slot);
		x->hold = HOLD_SENT;
		roll_sent(x);
	}
	WORKER_COUNT(x->worker, forwarded, 1);
	CRASH_POINT("head-sent");
}

static void up_all_sent(void *ctx)
{
	struct exchange *x = ctx;

	exchange_forget_request(x);
	CRASH_POINT("body-sent");
}

static void keep_request_id(struct exchange *x, const struct http_head *head)
{
	const struct http_field *f = http_find(head, STR("x-request-id"));

	if (!f)
		f = http_find(head, STR("request-id"));
	if (f)
		(void)snprintf(x->request_id, sizeof x->request_id, "%.*s", (int)(f->value.n < 63 ? f->value.n : 63),
			       f->value.p);
}

/* An answer that ends early for that reason would look like the agent's own limit. */
static void say_clamped(struct exchange *x, struct http_head *head)
{
	if (!x->clamped)
		return;
	(void)snprintf(x->clamped_text, sizeof x->clamped_text, "%lld", (long long)x->clamped);
	(void)http_set(head, STR("x-purse-clamped"), str_of(x->clamped_text));
}

static void up_head(void *ctx, struct http_head *head)
{
	struct exchange *x = ctx;

	x->status = head->status;
	x->first_byte_ns = clock_boot_ns();
	keep_request_id(x, head);
	http_drop(head, STR("alt-svc"));
	if (x->endpoint != ENDPOINT_FREE)
		x->meter = meter_new(x->provider->ops, x->endpoint, &x->ask, x->worker->json, head,
				     x->worker->options->body_max * 4, x->room.agent, &x->report);
	/* Events may be taken out, or purse may have to end the stream with one of its own. */
	x->is_events = x->meter && meter_is_events(x->meter);
	if (x->is_events && head->length == HTTP_LENGTH_FIXED) {
		http_drop(head, STR("content-length"));
		head->length = HTTP_LENGTH_CHUNKED;
	}
	say_clamped(x, head);
	x->answer_begun = true;
	if (x->serve && !x->serve->head(x, head))
		exchange_agent_lost(x);
}

static void pass_on(struct exchange *x, const void *p, size_t n)
{
	if (!x->serve || !n)
		return;
	if (x->is_events)
		tail_take(&x->tail, p, n);
	if (!x->serve->body(x, p, n))
		return exchange_agent_lost(x);
	if (!x->up_paused && x->serve->queued(x) > CONN_OUT_HIGH) {
		x->up_paused = x->was_paused = true;
		upstream_pause(x->up, true);
	}
}

/* What came does not fit into the budget any more: the agent gets the whole events of it, then the reason. */
static void stop_here(struct exchange *x, const char *p, size_t n)
{
	if (x->is_events && !meter_is_coded(x->meter))
		n = tail_whole(&x->tail, p, n);
	pass_on(x, p, n);
	exchange_stop(x, x->serve ? "budget-cut" : "agent-gone");
}

static void up_body(void *ctx, const void *p, size_t n)
{
	struct exchange *x = ctx;
	struct buf edited;

	/* Read first: passing on may end the exchange, and what came is to count. */
	if (!x->meter || !meter_edits(x->meter)) {
		if (x->meter)
			meter_feed(x->meter, p, n, NULL);
		roll_saw(x, false);
		return roll_covers(x) ? pass_on(x, p, n) : stop_here(x, p, n);
	}
	buf_init(&edited, CONN_OUT_MAX);
	meter_feed(x->meter, p, n, &edited);
	roll_saw(x, false);
	if (roll_covers(x))
		pass_on(x, buf_ptr(&edited), buf_len(&edited));
	else
		stop_here(x, buf_ptr(&edited), buf_len(&edited));
	buf_done(&edited);
}

static void up_batch(void *ctx, bool all_read)
{
	struct exchange *x = ctx;

	roll_saw(x, all_read);

	if (x->serve)
		x->serve->flush(x);
	/* All may have gone out at once: then no drain will be told. */
	if (x->serve)
		forward_drained(x);
}

static void meter_finish(struct exchange *x)
{
	struct buf rest;

	if (!x->meter)
		return;
	buf_init(&rest, CONN_OUT_MAX);
	meter_end(x->meter, meter_edits(x->meter) ? &rest : NULL);
	if (x->serve && buf_len(&rest) && !x->serve->body(x, buf_ptr(&rest), buf_len(&rest))) {
		x->serve->abort(x);
		x->serve = NULL;
	}
	buf_done(&rest);
}

static void up_end(void *ctx)
{
	struct exchange *x = ctx;

	x->up = NULL;
	x->up_ended = true;
	meter_finish(x);
	x->answer_complete = true;
	if (!x->serve)
		x->end = "agent-gone";
	else if (x->report.failed)
		x->end = "error";
	else if (x->clamped)
		x->end = "clamped";
	exchange_go_on(x);
}

static void up_failed(void *ctx, enum refusal_reason why, const char *text)
{
	struct exchange *x = ctx;

	x->up = NULL;
	x->up_ended = true;
	meter_finish(x);
	x->timed_out = why == REFUSAL_UPSTREAM_TIMEOUT;
	if (x->hold == HOLD_SENT)
		x->end = x->timed_out ? "timeout" : "provider-cut";
	log_warn(x->who.subject, "%s: %s", x->sni, text);
	(void)refuse_because(x, why, "%s", text);
	exchange_fail(x);
}

static const struct upstream_calls calls = {
	.sent = up_sent,
	.all_sent = up_all_sent,
	.head = up_head,
	.body = up_body,
	.end = up_end,
	.failed = up_failed,
	.batch = up_batch,
};

/* ---- the step */

enum stepped forward_run(struct exchange *x)
{
	struct str pieces[2 * BODY_EDITS_MAX + 1];
	struct http_head *head = x->request;
	size_t npieces = body_pieces(x, pieces);
	int64_t length = 0;

	for (size_t i = 0; i < npieces; i++)
		length += (int64_t)pieces[i].n;
	narrow_accept_encoding(x, head);
	if (length || head->length != HTTP_LENGTH_NONE) {
		head->length = HTTP_LENGTH_FIXED;
		head->content_length = length;
	}
	head->keep_alive = true;
	int r = upstream_start(x->worker->upstreams, x->provider, x->sni, head, pieces, npieces, &calls, x, &x->up);
	if (r)
		return refuse_because(x, REFUSAL_UPSTREAM_UNREACHABLE, "%s", strerror(-r));
	return STEP_WAIT;
}

void forward_undo(struct exchange *x)
{
	if (x->up)
		upstream_cancel(x->up);
	x->up = NULL;
}

/*
 * A streamed call whose agent left is cancelled: the provider stops, and what it made so far is estimated; or, where the provider's
 * row says drain, it is read on for so long, within what its hold can grow to. One that is not streamed is billed whole whether we
 * listen or not, so we listen: the charge is then exact.
 */
bool forward_goes_on_alone(struct exchange *x)
{
	if (x->endpoint == ENDPOINT_FREE || x->hold != HOLD_SENT || x->worker->draining)
		return false;
	if (x->ask.stream && (!x->provider->drain_on_abort || x->provider->drain_ms <= 0))
		return false;
	if (x->ask.stream)
		x->alone_until_ns = clock_boot_ns() + x->provider->drain_ms * 1000000;
	if (x->up_paused)
		upstream_pause(x->up, false);
	x->up_paused = false;
	return true;
}

void forward_drained(struct exchange *x)
{
	if (!x->up_paused || !x->up || x->serve->queued(x) > CONN_OUT_HIGH / 2)
		return;
	x->up_paused = false;
	upstream_pause(x->up, false);
}
