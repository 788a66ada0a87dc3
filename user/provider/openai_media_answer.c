// SPDX-License-Identifier: Apache-2.0
/*
 * openai_media_answer.c: what answers with pictures, speech and transcriptions report: tokens where the model is priced by
 * tokens; else how many pictures were made, or how long the sound is. Never both: a list may have a price for either, and
 * one picture is charged once. Tokens that no detail tells apart are those of the picture or of the sound.
 */
#include "provider/openai.h"

#include <errno.h>

#include "base/str.h"
#include "provider/money.h"
#include "provider/openai_usage.h"
#include "provider/reading.h"

enum {
	AT_USAGE = 0, /* + enum usage_key */
	AT_MODEL = 16,
	AT_TYPE,
	AT_ERROR,
	AT_DATA,
	AT_SECONDS,
	AT_DURATION,
	AT_TEXT,
	AT_DELTA,
	AT_MEDIA,
};

struct reading {
	struct report next;
	struct openai_usage usage;
	struct note type;
	bool error, media;
	int64_t pictures;          /* -1 = no list of them */
	int64_t seconds, duration; /* ms; -1 = not said */
	size_t text_bytes, delta_bytes;
};

static const struct json_want wants[] = {
	{ "model", AT_MODEL },
	{ "type", AT_TYPE },
	{ "error", AT_ERROR },
	{ "data", AT_DATA },
	{ "usage.seconds", AT_SECONDS },
	{ "duration", AT_DURATION },
	{ "text", AT_TEXT },
	{ "delta", AT_DELTA },
	{ "b64_json", AT_MEDIA },
	{ "audio", AT_MEDIA },
	OPENAI_USAGE_WANTS("usage.", AT_USAGE),
};

/* A number of seconds as milliseconds, up; what cannot be one makes the usage unknown. */
static void take_seconds(struct reading *g, const struct json_value *v, int64_t *to)
{
	int64_t ms;

	if (v->kind == JSON_NULL)
		return;
	if ((v->kind != JSON_INT && v->kind != JSON_NUMBER) || money_read(v->s, 6, &ms) < 0 || ms > USAGE_TOKENS_MAX)
		g->usage.bad = true;
	else if (ms > *to)
		*to = ms;
}

static void hit(void *ctx, int id, const struct json_value *v)
{
	struct reading *g = ctx;

	if (id < AT_MODEL) {
		openai_usage_take(&g->usage, id - AT_USAGE, v);
		return;
	}
	switch (id) {
	case AT_MODEL: model_answered(g->next.model, sizeof(g->next.model), v); break;
	case AT_TYPE: note_take(&g->type, v); break;
	case AT_ERROR: g->error |= v->kind != JSON_NULL; break;
	case AT_DATA: g->pictures = v->kind == JSON_ARRAY ? v->i : 1; break;
	case AT_SECONDS: take_seconds(g, v, &g->seconds); break;
	case AT_DURATION: take_seconds(g, v, &g->duration); break;
	case AT_TEXT: g->text_bytes = v->kind == JSON_STRING ? v->s.n : 0; break;
	case AT_DELTA: g->delta_bytes = v->kind == JSON_STRING ? v->s.n : 0; break;
	case AT_MEDIA: g->media |= v->kind == JSON_STRING && v->s.n > 0; break;
	default: break;
	}
}

static int read(struct json *j, struct str text, const struct report *r, struct reading *g)
{
	*g = (struct reading){ .next = *r, .pictures = -1, .seconds = -1, .duration = -1 };
	openai_usage_init(&g->usage);
	return json_scan(j, text.p, text.n, wants, sizeof(wants) / sizeof(wants[0]), hit, g);
}

/* Sound is charged by the second; a length that is no whole number of them is rounded up. */
static int64_t heard_ms(const struct reading *g)
{
	int64_t ms = g->seconds > 0 ? g->seconds : g->duration;

	return ms > 0 ? (ms + 999) / 1000 * 1000 : 0;
}

static void name_tokens(const struct reading *g, enum endpoint ep, struct usage *u)
{
	if (ep == ENDPOINT_OPENAI_IMAGES && g->usage.key[USAGE_IMAGE_OUTPUT] < 0)
		u->image_output = u->output;
	if (ep == ENDPOINT_OPENAI_SPEECH && g->usage.key[USAGE_AUDIO_OUTPUT] < 0)
		u->audio_output = u->output;
	if (ep == ENDPOINT_OPENAI_TRANSCRIPTIONS && g->usage.key[USAGE_AUDIO_INPUT] < 0)
		u->audio_input = u->input;
}

static void conclude(struct reading *g, enum endpoint ep)
{
	struct report *r = &g->next;
	bool tokens = openai_usage_apply(&g->usage, ep, &r->usage);

	if (tokens)
		name_tokens(g, ep, &r->usage);

	r->failed |= g->error;
	r->output_seen |= g->media || g->pictures > 0;
	if (tokens)
		r->usage.images = r->usage.audio_ms = 0;
	usage_judge(r, tokens);
	if (tokens || r->seen || g->usage.bad)
		return;
	if (ep == ENDPOINT_OPENAI_IMAGES && g->pictures > 0)
		r->usage.images = g->pictures;
	if (ep == ENDPOINT_OPENAI_TRANSCRIPTIONS && heard_ms(g) > 0)
		r->usage.audio_ms = heard_ms(g);
	r->seen = r->usage.images > 0 || r->usage.audio_ms > 0;
}

int openai_read_media_answer(struct json *j, enum endpoint ep, const char *body, size_t len, struct report *r)
{
	struct reading g;
	int e = read(j, (struct str){ .p = body, .n = len }, r, &g);

	if (e < 0)
		return e == -ENOMEM ? e : -EINVAL;
	output_bytes(&g.next, g.text_bytes);
	conclude(&g, ep);
	g.next.ended = true;
	*r = g.next;
	return 0;
}

static const struct word ends[] = {
	{ "image_generation.completed", 1 }, { "speech.audio.done", 1 }, { "transcript.text.done", 1 }, { NULL, 0 },
};

void openai_read_media_event(struct json *j, enum endpoint ep, struct str name, struct str data, struct report *r)
{
	struct reading g;
	struct str type;

	if (data.n == 0 || read(j, data, r, &g) < 0)
		return;
	type = g.type.text[0] ? note_str(&g.type) : name;
	output_bytes(&g.next, g.delta_bytes); /* the whole text stands in the last event again */
	g.error |= str_is(type, "error");
	if (str_is(type, "image_generation.completed"))
		g.pictures = 1;
	conclude(&g, ep);
	output_event(&g.next, r->output_bytes);
	g.next.ended |= word_value(ends, type, 0) != 0;
	*r = g.next;
}
