// SPDX-License-Identifier: Apache-2.0
/* steady.c: adds up what the tables of the dialects saw. It knows no key and no word of any of them. */
#include "provider/steady.h"

void steady_word(struct steady *s, const struct word *known, const struct json_value *v)
{
	s->doubt |= v->kind != JSON_STRING || !word_value(known, v->s, 0);
}

static void take_part(struct steady *s, const struct word *known, const struct note *type, const struct json_value *v)
{
	int worth = word_value(known, note_str(type), STEADY_UNKNOWN);
	int64_t bytes = (int64_t)(v->end - v->at);

	s->doubt |= worth == STEADY_UNKNOWN;
	s->soft += worth == STEADY_SOFT ? bytes : 0;
	s->light += worth == STEADY_LIGHT ? bytes : 0;
}

void steady_part(struct steady *s, const struct word *known, const struct json_value *v)
{
	take_part(s, known, &s->type, v);
	note_clear(&s->type);
}

void steady_inner(struct steady *s, const struct word *known, const struct json_value *v)
{
	take_part(s, known, &s->inner, v);
	note_clear(&s->inner);
}

void steady_tail(struct steady *s, int what, const struct json_value *v)
{
	if (v->end - v->at >= BODY_TAIL_MIN && s->ntails < BODY_TAILS_MAX)
		s->tails[s->ntails++] = (struct body_span){ .at = v->at, .end = v->end, .what = what };
}

void steady_end(const struct steady *s, bool known, struct ask *ask)
{
	ask->input_steady = known && !s->doubt && s->conversation_end && !ask->input_hidden && !ask->unbounded_tools && !ask->audio &&
			    ask->passes == 1;
	ask->input_soft_bytes = s->soft;
	ask->input_light_bytes = s->light;
	/* Values are told in the order in which they end, and so they begin. */
	for (size_t i = 0; i < s->ntails; i++)
		if (s->tails[i].at >= s->conversation_end)
			ask->tails[ask->ntails++] = s->tails[i];
}
