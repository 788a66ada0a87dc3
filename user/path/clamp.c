// SPDX-License-Identifier: Apache-2.0
/*
 * clamp.c: a call that would be held at more than there is has its output limit lowered instead of being refused, where its account
 * says so (clamp: true). Only calls that are held whole: a rolling one needs no smaller limit. The body is changed in
 * one or two places (docs/transparency.md), the answer says so in x-purse-clamped.
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "path/roll.h"
#include "spend/cost_ask.h"

/* A smaller answer than this is of no use to anybody. */
#define CLAMP_FLOOR 16

/* Edits stay ascending. */
static void edit_insert(struct ask *a, const struct body_edit *e)
{
	size_t i = a->nedits++;

	for (; i > 0 && a->edits[i - 1].at > e->at; i--)
		a->edits[i] = a->edits[i - 1];
	a->edits[i] = *e;
}

static bool edit_limits(struct exchange *x, int64_t limit)
{
	struct body_edit edits[LIMIT_PLACES_MAX];
	struct ask *a = &x->ask;

	if (!a->nlimits || a->nedits + a->nlimits > BODY_EDITS_MAX)
		return false;
	for (size_t i = 0; i < a->nlimits; i++) {
		const struct limit_place *p = &a->limits[i];
		const char *text = arena_printf(x->arena, "%s%lld%s", p->before, (long long)limit, p->after);
		if (!text)
			return false;
		edits[i] = (struct body_edit){ .at = p->at, .cut = p->cut, .text = text };
	}
	for (size_t i = 0; i < a->nlimits; i++)
		edit_insert(a, &edits[i]);
	return true;
}

bool clamp_to(struct exchange *x, nanousd most)
{
	int64_t full = cost_output_most(x->price, &x->bounds), least = CLAMP_FLOOR, tokens, limit;
	nanousd cost;

	if (full <= 0 || x->ask.choices < 1)
		return false;
	/* Thinking that takes its whole budget leaves room for an answer, too. */
	if (__builtin_add_overflow(x->ask.limit_least, least, &least))
		return false;
	tokens = roll_afforded(x, most, full);
	limit = tokens < 0 ? 0 : tokens / x->ask.choices;
	if (limit < least || limit >= full / x->ask.choices || roll_cost(x, limit * x->ask.choices, &cost) || !edit_limits(x, limit))
		return false;
	log_info(x->who.subject, "%s: output limit lowered to %lld tokens, which is what the budget has left", x->ask.model,
		 (long long)limit);
	x->ask.max_output = limit;
	x->bounds.output = limit * x->ask.choices;
	x->ceiling = x->held = cost > 0 ? cost : 1;
	x->clamped = limit;
	return true;
}
