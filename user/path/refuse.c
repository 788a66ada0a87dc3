// SPDX-License-Identifier: Apache-2.0
/*
 * refuse.c: how purse says no: one table from reason to status and text, in the provider's own error shape, so that the
 * SDK shows it. `x-should-retry: false` stops the SDKs of OpenAI and Anthropic from trying again (it goes before their status
 * rules); where waiting helps it is 429 with retry-after instead. Never 5xx for a budget: clients retry those.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "path/exchange.h"
#include "path/meter.h"
#include "path/money.h"
#include "spend/rules/rules.h"
#include "spend/budget/window.h"

struct refusal_row {
	int status;
	const char *reason_phrase;
	bool retry;   /* the client may try again */
	bool trail;   /* worth a row in the ledger's audit trail */
	const char *text; /* %s = detail */
};

static const struct refusal_row rows[REFUSAL_REASON_COUNT] = {
	[REFUSAL_BUDGET] = { 402, "Payment Required", false, true, "" },
	[REFUSAL_BUDGET_HELD] = { 429, "Too Many Requests", true, true, "" },
	[REFUSAL_PAUSED] = { 402, "Payment Required", false, true, "" },
	[REFUSAL_RULE] = { 403, "Forbidden", false, true, "" }, /* where waiting helps: 429 (row_of) */
	[REFUSAL_STOPPED] = { 402, "Payment Required", false, true, "" },
	[REFUSAL_OVER_SHARE] = { 429, "Too Many Requests", true, false, "purse: %s." },
	[REFUSAL_SLOW_REQUEST] = { 408, "Request Timeout", true, false, "purse: %s." },
	[REFUSAL_UNKNOWN_MODEL] = { 400, "Bad Request", false, true,
		"purse: no price is known for model \"%s\"; a call without a price is refused. Add it to the price list (see `purse prices`)." },
	[REFUSAL_UNKNOWN_ENDPOINT] = { 403, "Forbidden", false, true,
		"purse: %s is not an endpoint that purse can meter, so it is refused." },
	[REFUSAL_BAD_REQUEST] = { 400, "Bad Request", false, false, "purse: %s" },
	[REFUSAL_BODY_TOO_LARGE] = { 413, "Content Too Large", false, false, "purse: request body too large: %s." },
	[REFUSAL_NAME_MISMATCH] = { 421, "Misdirected Request", false, true,
		"purse: %s; every request must name the host of its TLS connection." },
	[REFUSAL_LEDGER] = { 503, "Service Unavailable", false, false,
		"purse: the ledger cannot be written now, so no call is let through. Look at `purse status` on the host." },
	[REFUSAL_OVERLOADED] = { 503, "Service Unavailable", true, false, "purse: too many calls in flight on this host." },
	[REFUSAL_UPSTREAM_UNREACHABLE] = { 502, "Bad Gateway", true, false, "purse: cannot reach the provider: %s." },
	[REFUSAL_UPSTREAM_CERT] = { 502, "Bad Gateway", false, true,
		"purse: the provider's TLS certificate was refused: %s. Nothing was sent." },
	[REFUSAL_UPSTREAM_PROTOCOL] = { 502, "Bad Gateway", true, false, "purse: the provider's answer broke off or cannot be read: %s." },
	[REFUSAL_UPSTREAM_TIMEOUT] = { 504, "Gateway Timeout", true, false, "purse: the provider did not answer in time: %s." },
};

enum stepped refuse_because(struct exchange *x, enum refusal_reason why, const char *fmt, ...)
{
	va_list ap;

	x->refusal = (struct refusal){ .reason = why };
	va_start(ap, fmt);
	(void)vsnprintf(x->refusal.detail, sizeof x->refusal.detail, fmt, ap);
	va_end(ap);
	return STEP_REFUSED;
}

static void reset_text(const struct refusal *r, char *ret, size_t size)
{
	struct tm tm;
	time_t at = (time_t)r->reset_s;

	if (!r->reset_s || !gmtime_r(&at, &tm))
		(void)snprintf(ret, size, "does not reset by itself");
	else
		(void)strftime(ret, size, "resets at %Y-%m-%dT%H:%M:%SZ", &tm);
}

/* All digits: the figures of a small budget differ in the last ones. */
static const char *dollars(nanousd amount, char *ret, size_t size)
{
	char exact[32];

	(void)snprintf(ret, size, "$%.*s", (int)(strlen(usd_show(amount, exact, sizeof exact)) - strlen("USD")), exact);
	return ret;
}

/* A rule that lets go by itself: the clients' own retries wait for as long as it says. */
static const struct refusal_row rule_waits = { 429, "Too Many Requests", true, true, "" };

static const struct refusal_row *row_of(const struct refusal *r)
{
	return r->reason == REFUSAL_RULE && r->retry_s > 0 ? &rule_waits : &rows[r->reason];
}

/* spend/ has put the rule's figures into detail. */
static void rule_message(const struct refusal *r, char *ret, size_t size)
{
	char again[80] = "Waiting does not help; `purse agent set` on the host changes the rule";

	if (r->retry_s > 0)
		(void)snprintf(again, sizeof again, "Try again in %lld s", (long long)r->retry_s);
	(void)snprintf(ret, size, "purse: rule %s of \"%s\" refused this call%s%s. %s.", r->rule, r->account, r->detail[0] ? ": " : "",
		       r->detail, again);
}

static void stopped_message(const struct refusal *r, char *ret, size_t size)
{
	(void)snprintf(ret, size, "purse: this call was stopped by the operator%s%s%s.", r->account[0] ? ", as were all of \"" : "",
		       r->account, r->account[0] ? "\"" : "");
}

/* "is used up" only if it is. */
static const char *state_of(const struct refusal *r)
{
	if (r->reason == REFUSAL_BUDGET_HELD)
		return "is held by calls in flight";
	return r->spent >= r->limit ? "is used up" : "does not have enough left";
}

static void budget_message(const struct refusal *r, char *ret, size_t size)
{
	char limit[32], spent[32], held[32], needed[32], reset[64], models[112] = "";

	if (r->reason == REFUSAL_PAUSED) {
		(void)snprintf(ret, size, "purse: account \"%s\" is paused; `purse agent resume` on the host lets it go on.",
			       r->account);
		return;
	}
	reset_text(r, reset, sizeof reset);
	/* A budget for some models: detail has the glob. */
	if (!strcmp(r->rule, "model_limit"))
		(void)snprintf(models, sizeof models, " for models \"%.80s\"", r->detail);
	(void)snprintf(ret, size,
		       "purse: %s budget of \"%s\"%s %s: spent %s of %s, %s held by calls in flight, this call needs up to %s; %s.",
		       window_name(r->window), r->account, models, state_of(r),
		       dollars(r->spent, spent, sizeof spent), dollars(r->limit, limit, sizeof limit),
		       dollars(r->held, held, sizeof held), dollars(r->needed, needed, sizeof needed), reset);
}

static bool is_budget(enum refusal_reason r)
{
	return r == REFUSAL_BUDGET || r == REFUSAL_BUDGET_HELD || r == REFUSAL_PAUSED;
}

static void message_of(const struct refusal *r, char *ret, size_t size)
{
	const char *fmt = rows[r->reason].text;
	const char *at = strstr(fmt, "%s");

	if (r->reason == REFUSAL_RULE)
		rule_message(r, ret, size);
	else if (r->reason == REFUSAL_STOPPED)
		stopped_message(r, ret, size);
	else if (is_budget(r->reason))
		budget_message(r, ret, size);
	else if (at)
		(void)snprintf(ret, size, "%.*s%s%s", (int)(at - fmt), fmt, r->detail, at + 2);
	else
		(void)snprintf(ret, size, "%s", fmt);
}

static bool retry_after(const struct refusal *r, char *ret, size_t size)
{
	int64_t s = r->reason == REFUSAL_RULE ? r->retry_s : r->reason == REFUSAL_BUDGET_HELD || r->reason == REFUSAL_OVER_SHARE ? 1 : 0;

	(void)snprintf(ret, size, "%lld", (long long)s);
	return s > 0;
}

static void answer_whole(struct exchange *x, const struct refusal_row *row, const char *message)
{
	struct http_head head = { .status = row->status, .reason = str_of(row->reason_phrase), .keep_alive = true };
	char request_id[40], wait[24];
	struct buf body;

	(void)snprintf(request_id, sizeof request_id, "purse-%" PRIx64, (uint64_t)clock_realtime_ns());
	buf_init(&body, 64 * 1024);
	if (x->provider->ops->write_error(&body, row->status, &x->refusal, message, request_id)) {
		buf_done(&body);
		return x->serve->abort(x);
	}
	head.length = HTTP_LENGTH_FIXED;
	head.content_length = (int64_t)buf_len(&body);
	(void)http_add(&head, STR("content-type"), STR("application/json"));
	if (x->provider->ops != provider_find("anthropic"))
		(void)http_add(&head, STR("x-request-id"), str_of(request_id));
	else
		(void)http_add(&head, STR("request-id"), str_of(request_id));
	(void)http_add(&head, STR("x-should-retry"), row->retry ? STR("true") : STR("false"));
	if (row->retry && retry_after(&x->refusal, wait, sizeof wait))
		(void)http_add(&head, STR("retry-after"), str_of(wait));
	(void)http_add(&head, STR("x-purse-refused"), STR("1"));
	if (x->serve->head(x, &head) && (x->is_head || x->serve->body(x, buf_ptr(&body), buf_len(&body))))
		x->serve->fin(x);
	else if (x->serve)
		x->serve->abort(x);
	buf_done(&body);
}

/* purse cut it by its own rules: the answer is over as one that its provider failed, in good order. */
static bool ends_well(const struct exchange *x)
{
	return x->refusal.reason == REFUSAL_BUDGET || x->refusal.reason == REFUSAL_STOPPED;
}

/*
 * The stream's head is out: say why inside it, in the dialect's error event. Not behind half an event, which would be handed to the
 * application first; not into compressed bytes.
 */
static bool write_event(struct exchange *x, const char *message)
{
	bool written = false;
	struct buf event;

	if (!x->is_events || meter_is_coded(x->meter) || !tail_at_end(&x->tail))
		return false;
	buf_init(&event, 64 * 1024);
	if (!x->provider->ops->write_stream_error(&event, x->endpoint, &x->refusal, message))
		written = x->serve->body(x, buf_ptr(&event), buf_len(&event));
	buf_done(&event);
	return written;
}

static void answer_in_stream(struct exchange *x, const char *message)
{
	bool written = write_event(x, message);

	if (!x->serve)
		return;
	if (written && ends_well(x))
		x->serve->fin(x);
	else /* a cut answer must not look complete */
		x->serve->abort(x);
}

void refuse_answer(struct exchange *x)
{
	const struct refusal_row *row = row_of(&x->refusal);
	char message[768];

	message_of(&x->refusal, message, sizeof message);
	WORKER_COUNT(x->worker, refused, 1);
	log_info(x->who.subject, "refused (%d): %s", row->status, message);
	if (row->trail)
		money_refusal(x->worker->env->money, x->who.agent, x->provider->name, x->ask.model, &x->refusal,
			       clock_realtime_ns());
	if (x->answer_begun)
		answer_in_stream(x, message);
	else
		answer_whole(x, row, message);
}

void refuse_notes(struct exchange *x, const struct rule_notes *notes)
{
	for (size_t i = 0; i < notes->n; i++) {
		const struct refusal *r = &notes->v[i];
		char message[768];

		message_of(r, message, sizeof message);
		log_info(x->who.subject, "dry-run: would have been refused: %s", message);
		money_note(x->worker->env->money, x->who.agent, x->provider->name, x->ask.model, r, clock_realtime_ns());
	}
}
