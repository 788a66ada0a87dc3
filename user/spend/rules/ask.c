// SPDX-License-Identifier: Apache-2.0
/*
 * rules/ask.c: whether a call may begin. Rule by rule in the order of enum rule, each for the account and then those above it; the first
 * "no" is the refusal. Which model is the first question: whoever may not use it should learn that, and not that money is short.
 * Asking changes nothing but counters, with one exception: a request that is refused as a loop counts as seen.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "spend/rules/account.h"

struct question {
	struct budget *b;
	const struct hold_request *r;
	struct gate_hold as_held; /* model and provider as the slot will have them */
	int64_t now_s;
	uint32_t i; /* the account that is asked */
};

static struct account_rules *rules_of(const struct question *q)
{
	return q->b->accounts[q->i].rules;
}

/* ---- refusals */

static bool no(const struct question *q, enum rule rule, int64_t retry_s, struct refusal *ret, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

static bool no(const struct question *q, enum rule rule, int64_t retry_s, struct refusal *ret, const char *fmt, ...)
{
	va_list args;

	*ret = (struct refusal){ .reason = REFUSAL_RULE, .retry_s = retry_s, .needed = q->r->amount };
	memcpy(ret->account, q->b->accounts[q->i].name, sizeof(ret->account));
	(void)snprintf(ret->rule, sizeof(ret->rule), "%s", rule_name(rule));
	va_start(args, fmt);
	(void)vsnprintf(ret->detail, sizeof(ret->detail), fmt, args);
	va_end(args);
	return true;
}

static const char *usd(nanousd amount, char text[32])
{
	return usd_show(amount, text, 32);
}

/* ---- one function per rule: true = no */

static const char *first_match(const struct question *q, size_t from, size_t n)
{
	for (size_t g = from; g < from + n; g++)
		if (rules_glob(rules_of(q)->globs[g], q->r->provider_name, q->r->model))
			return rules_of(q)->globs[g];
	return NULL;
}

static bool ask_models(const struct question *q, struct refusal *ret)
{
	const struct account_rules *a = rules_of(q);
	const char *denied = first_match(q, a->nallow, a->ndeny), *model = q->r->model ? q->r->model : "";

	if (denied)
		return no(q, RULE_MODELS, 0, ret, "model \"%.80s\" is denied by \"%s\"", model, denied);
	if (a->nallow && !first_match(q, 0, a->nallow))
		return no(q, RULE_MODELS, 0, ret, "model \"%.80s\" is not on the list of allowed ones", model);
	return false;
}

static bool ask_per_call(const struct question *q, struct refusal *ret)
{
	return rules_stop_per_call(&q->b->accounts[q->i], q->r->amount, ret);
}

static bool ask_in_flight(const struct question *q, struct refusal *ret)
{
	const struct account_rules *a = rules_of(q);

	if (a->flight.calls < a->calls_in_flight)
		return false;
	return no(q, RULE_IN_FLIGHT, 1, ret, "limit %lld calls in flight, seen %lld", (long long)a->calls_in_flight,
		  (long long)a->flight.calls);
}

static bool ask_requests(const struct question *q, struct refusal *ret)
{
	const struct account_rules *a = rules_of(q);
	int64_t seen = lately_sum(a->requests, q->now_s), too_many = seen - (a->requests_per_minute - 1);

	if (too_many <= 0)
		return false;
	return no(q, RULE_REQUESTS, lately_wait_s(a->requests, q->now_s, too_many), ret, "limit %lld calls per minute, seen %lld",
		  (long long)a->requests_per_minute, (long long)seen);
}

/* What waiting helps: nothing, if the call alone is too large; one second, if it is up to calls in flight. */
static int64_t tokens_wait_s(const struct question *q, int64_t too_many)
{
	int64_t wait_s;

	if (rules_held_tokens(q->r->tokens) > rules_of(q)->tokens_per_minute)
		return 0;
	wait_s = lately_wait_s(rules_of(q)->tokens, q->now_s, too_many);
	return wait_s ? wait_s : 1;
}

static bool ask_tokens(const struct question *q, struct refusal *ret)
{
	const struct account_rules *a = rules_of(q);
	int64_t used = lately_sum(a->tokens, q->now_s), wanted = rules_held_tokens(q->r->tokens);
	/* Neither is above half of 64 bits. */
	int64_t seen = used + a->flight.tokens, left = a->tokens_per_minute - seen;

	if (wanted <= left)
		return false;
	return no(q, RULE_TOKENS, tokens_wait_s(q, wanted - left), ret,
		  "limit %lld tokens per minute, seen %lld used and %lld held, this call may take %lld", (long long)a->tokens_per_minute,
		  (long long)used, (long long)a->flight.tokens, (long long)wanted);
}

static bool ask_model_limit(const struct question *q, struct refusal *ret)
{
	return rules_stop_model(&q->b->accounts[q->i], &q->as_held, q->r->amount, ret);
}

static bool ask_loop(const struct question *q, struct refusal *ret)
{
	const struct account_rules *a = rules_of(q);
	int64_t most = a->loop_times - 1, oldest_s = q->now_s;

	if (!q->r->fingerprint || sightings_count(&a->loop, q->r->fingerprint, q->now_s, a->loop_within_s, most, &oldest_s) < most)
		return false;
	/* This one counts as well, so the next is let through when the oldest but one has left. */
	oldest_s = q->now_s;
	(void)sightings_count(&a->loop, q->r->fingerprint, q->now_s, a->loop_within_s, most - 1, &oldest_s);
	return no(q, RULE_LOOP, oldest_s + a->loop_within_s + 1 - q->now_s, ret,
		  "limit %lld identical requests within %lld s, this is at least the %lldth", (long long)most, (long long)a->loop_within_s,
		  (long long)a->loop_times);
}

/* The account's limited window whose pace is exceeded the most clearly, shortest first; WINDOW_TOTAL has no pace. */
static bool burns(const struct question *q, int k, nanousd spent, nanousd *ret_allowed)
{
	const struct account_rules *a = rules_of(q);
	const struct window_money *w = &q->b->accounts[q->i].windows[k];
	int64_t length_s = w->now.end_s - w->now.start_s;

	if (w->limit == GATE_NO_LIMIT || w->now.end_s == 0 || length_s <= 0)
		return false;
	__int128 allowed = (__int128)a->burn_times * w->limit * a->burn_within_s / length_s;

	*ret_allowed = allowed > INT64_MAX ? INT64_MAX : (nanousd)allowed;
	return spent > *ret_allowed;
}

static bool ask_burn(const struct question *q, struct refusal *ret)
{
	const struct account_rules *a = rules_of(q);
	nanousd spent = lately_sum(a->burn, q->now_s), allowed;
	char seen[32], limit[32], window[32];

	for (int k = 0; k < WINDOW_COUNT; k++) {
		if (!burns(q, k, spent, &allowed))
			continue;
		return no(q, RULE_BURN, lately_wait_s(a->burn, q->now_s, spent - allowed), ret,
			  "limit %s within %lld s, %lld times the pace of %s per %s; seen %s", usd(allowed, limit),
			  (long long)a->burn_within_s, (long long)a->burn_times, usd(q->b->accounts[q->i].windows[k].limit, window),
			  window_name((enum window_kind)k), usd(spent, seen));
	}
	return false;
}

static bool (*const asks[RULE_COUNT])(const struct question *q, struct refusal *ret) = {
	[RULE_MODELS] = ask_models, [RULE_PER_CALL] = ask_per_call, [RULE_IN_FLIGHT] = ask_in_flight, [RULE_REQUESTS] = ask_requests,
	[RULE_TOKENS] = ask_tokens, [RULE_MODEL_LIMIT] = ask_model_limit, [RULE_LOOP] = ask_loop, [RULE_BURN] = ask_burn,
};

/* ---- all of them */

static void note(const struct question *q, enum rule rule, const struct refusal *why)
{
	struct rule_notes *notes = q->r->notes;

	rules_of(q)->would_refuse[rule]++;
	if (notes && notes->n < RULE_COUNT)
		notes->v[notes->n++] = *why;
}

/* One rule, from the account up. True = refused. */
static bool ask(struct question *q, enum rule rule, struct refusal *ret_why)
{
	struct refusal why;

	for_chain(q->b, i, q->r->account) {
		struct account_rules *a = q->b->accounts[i].rules;

		q->i = i;
		if (!a || !rules_has(a, rule) || !asks[rule](q, &why))
			continue;
		if (rules_are_dry(a, rule)) {
			note(q, rule, &why);
			continue;
		}
		a->refused[rule]++;
		*ret_why = why;
		return true;
	}
	return false;
}

static uint32_t asked_rules(const struct budget *b, uint32_t account)
{
	uint32_t has = 0;

	for_chain(b, i, account)
		if (b->accounts[i].rules)
			has |= b->accounts[i].rules->has;
	return has;
}

int rules_ask_chain(struct budget *b, const struct hold_request *r, int64_t now_s, struct refusal *ret_why)
{
	uint32_t has = asked_rules(b, r->account);

	if (!has)
		return 0;
	struct question q = { .b = b, .r = r, .now_s = now_s };

	q.as_held.started_realtime_ns = b->seen_ns;
	(void)str_copy(q.as_held.model, sizeof(q.as_held.model), str_of(r->model ? r->model : ""));
	(void)str_copy(q.as_held.provider_name, sizeof(q.as_held.provider_name), str_of(r->provider_name ? r->provider_name : ""));
	for (unsigned k = 0; k < RULE_COUNT; k++)
		if ((has >> k & 1) && ask(&q, (enum rule)k, ret_why)) {
			if (k == RULE_LOOP)
				rules_saw(b, r, now_s);
			return -EDQUOT;
		}
	return 0;
}
