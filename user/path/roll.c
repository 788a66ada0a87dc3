// SPDX-License-Identifier: Apache-2.0
/*
 * roll.c: turns the bound of output tokens into money and keeps the hold above it. The budget's lock is taken only when the bound
 * has passed what is held, a slice at a time.
 */
#include "path/roll.h"

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "path/meter.h"
#include "path/money.h"
#include "spend/cost_ask.h"

int roll_cost(const struct exchange *x, int64_t output, nanousd *ret)
{
	const struct report *r = &x->report;
	struct cost_bounds b = x->bounds;

	b.output = output;
	/* A provider that says 0 has not counted yet. */
	if (r->input_exact && r->usage.input > 0)
		return cost_estimate(x->price, &b, &r->usage, 0, true, INT64_MAX, ret);
	return cost_ceiling(x->price, &b, ret, NULL);
}

int64_t roll_afforded(const struct exchange *x, nanousd amount, int64_t most)
{
	int64_t low = -1, high = most;

	while (low < high) {
		int64_t middle = low + (high - low + 1) / 2;
		nanousd cost;

		if (!roll_cost(x, middle, &cost) && cost <= amount)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

void roll_begin(struct exchange *x)
{
	int64_t full = cost_output_most(x->price, &x->bounds);
	nanousd first;

	if (!cost_ask_rolls(x->endpoint, &x->ask, x->provider->output_rate) || full < 0)
		return;
	bound_init(&x->bound, x->provider->output_rate, x->ask.choices, full);
	bound_saw(&x->bound, 0, 0, x->ask.output_sight != OUTPUT_SHOWN, false, 0);
	int64_t tokens = bound_tokens(&x->bound, 0);
	if (roll_cost(x, tokens, &first) || first >= x->ceiling)
		return; /* small: held whole, nothing to extend */
	x->held = first > 0 ? first : 1;
	x->covered = tokens;
	x->rolls = true;
}

void roll_sent(struct exchange *x)
{
	if (x->rolls)
		bound_start(&x->bound, clock_boot_ns());
}

void roll_saw(struct exchange *x, bool all_read)
{
	if (!x->rolls)
		return;
	/* Once paused, bytes may wait anywhere between here and the provider: what was read says no more what was made. */
	bool hidden = x->report.reasoning_hidden || x->was_paused || !x->meter || !meter_sees_text(x->meter);
	bound_saw(&x->bound, x->report.output_bytes, x->meter ? meter_events(x->meter) : 0, hidden, all_read, clock_boot_ns());
}

static bool too_little(struct exchange *x)
{
	/* Waiting does not help this answer: it is over. */
	if (x->refusal.reason == REFUSAL_BUDGET_HELD)
		x->refusal.reason = REFUSAL_BUDGET;
	money_count_refusal(x->worker->env->money, x->who.flow.account);
	return false;
}

/* As much as is needed, and a slice more, so that the next time is not at once. */
static bool extend(struct exchange *x, int64_t tokens)
{
	nanousd least = x->ceiling, wish = x->ceiling, before = x->held;
	int64_t more;

	if (__builtin_add_overflow(tokens, x->bound.slice, &more) || more > x->bound.full)
		more = x->bound.full;
	if (roll_cost(x, tokens, &least) || least > x->ceiling)
		least = x->ceiling;
	if (roll_cost(x, more, &wish) || wish > x->ceiling)
		wish = x->ceiling;
	/* It may be covered by now: the exact input is less than what was held for it. */
	if (least > x->held &&
	    money_extend(x->worker->env->money, x->slot, least, wish, clock_realtime_ns(), &x->held, &x->refusal))
		return too_little(x);
	if (least > before)
		money_hold_grew(x->worker->env->money, x->call_id, x->held);
	x->covered = x->held >= x->ceiling ? x->bound.full : roll_afforded(x, x->held, x->bound.full);
	if (x->covered < tokens)
		x->covered = tokens; /* held at the ceiling, which is the most that it can cost */
	money_count_tokens(x->worker->env->money, x->slot, reserve_tokens(x), clock_realtime_ns());
	CRASH_POINT("extended");
	return true;
}

bool roll_covers(struct exchange *x)
{
	/* What was all said needs no more. */
	if (!x->rolls || x->hold != HOLD_SENT || x->report.ended)
		return true;
	int64_t tokens = bound_tokens(&x->bound, clock_boot_ns());
	if (tokens <= x->covered || extend(x, tokens))
		return true;
	log_info(x->who.subject, "call %llu: %lld tokens of output do not fit any more", (unsigned long long)x->call_id,
		 (long long)tokens);
	return false;
}
