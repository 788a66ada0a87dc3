// SPDX-License-Identifier: Apache-2.0
/*
 * openai_answer.c: what the answers of the OpenAI family report: usage, model, tier, errors, the end; and which parts of a
 * stream exist only because purse asked for usage.
 *
 * An event is read into a copy of the report, which counts only if the whole event was readable.
 *
 * Reasoning that no text shows (for the estimate when no usage comes): a reasoning item or an effort in a
 * Responses answer, a request that asks for it, or a model that is known to reason without showing it in chat answers.
 */
#include "provider/openai.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "provider/openai_usage.h"
#include "provider/reading.h"

enum {
	AT_USAGE = 0,  /* + enum usage_key */
	AT_PART = 16,  /* the same, of one part */
	AT_MODEL = 32,
	AT_TIER,
	AT_ERROR,
	AT_TYPE,
	AT_OBJECT,
	AT_STATUS,
	AT_EFFORT,
	AT_CHOICES,
	AT_USAGE_MEMBER,
	AT_FILTER_RESULTS,
	AT_TEXT,
	AT_REASONING_TEXT,
	AT_REASONING_SEALED,
	AT_AUDIO,
	AT_DELTA,
	AT_ITEM_TYPE,
	AT_ITEM_ACTION,
	AT_ITEM,
	AT_OUTPUT_ITEM,
	AT_SEARCHES,
	AT_PART_MODEL,
	AT_PART_END,
};

struct reading {
	struct report next; /* the report as it will be */
	enum endpoint ep;
	struct openai_usage usage, part;
	bool parts_begun;
	char part_model[80];
	bool error;
	struct note type, object, status, item_type, item_action;
	size_t delta_bytes;
	bool item_is_search;      /* the event's `item` */
	bool reasoning_item;
	int64_t output_searches;  /* in the answer's output[] */
	/* for the verdict */
	int64_t choices; /* elements; -1 = no such member */
	struct json_value usage_member;
	unsigned usage_members;
	bool filter_results;
};

#define PARTS_WANTS(at) \
	{ at "usage_breakdown.models[].model", AT_PART_MODEL }, \
	OPENAI_USAGE_WANTS(at "usage_breakdown.models[].usage.", AT_PART), \
	{ at "usage_breakdown.models[]", AT_PART_END }

/* What a chat choice says, streamed below "delta", whole below "message". */
#define MESSAGE_WANTS(at) \
	{ at "content", AT_TEXT }, \
	{ at "content[].text", AT_TEXT }, \
	{ at "content[].thinking[].text", AT_REASONING_TEXT }, /* Mistral */ \
	{ at "refusal", AT_TEXT }, \
	{ at "reasoning_content", AT_REASONING_TEXT }, /* DeepSeek, z.ai, vLLM */ \
	{ at "reasoning", AT_REASONING_TEXT },         /* Groq, OpenRouter */ \
	{ at "reasoning_details[].data", AT_REASONING_SEALED }, /* OpenRouter: encrypted */ \
	{ at "tool_calls[].function.name", AT_TEXT }, \
	{ at "tool_calls[].function.arguments", AT_TEXT }, \
	{ at "tool_calls[].custom.input", AT_TEXT }, \
	{ at "function_call.arguments", AT_TEXT }, \
	{ at "audio.transcript", AT_TEXT }, \
	{ at "audio", AT_AUDIO }

static const struct json_want chat_wants[] = {
	{ "model", AT_MODEL },
	{ "service_tier", AT_TIER },
	{ "error", AT_ERROR },
	{ "choices[].error", AT_ERROR },
	{ "object", AT_OBJECT },
	{ "choices", AT_CHOICES },
	{ "usage", AT_USAGE_MEMBER },
	{ "prompt_filter_results", AT_FILTER_RESULTS },
	{ "choices[].text", AT_TEXT },
	MESSAGE_WANTS("choices[].delta."),
	MESSAGE_WANTS("choices[].message."),
	OPENAI_USAGE_WANTS("usage.", AT_USAGE),
	OPENAI_USAGE_WANTS("x_groq.usage.", AT_USAGE),
	{ "x_groq.error", AT_ERROR },
	PARTS_WANTS(""),
	PARTS_WANTS("x_groq."),
};

/* One element of output[], or the item of an event. */
#define ITEM_WANTS(at) \
	{ at ".type", AT_ITEM_TYPE }, \
	{ at ".action.type", AT_ITEM_ACTION }

/* A Responses answer: the whole body, or below "response." in an event. */
#define RESPONSE_WANTS(at) \
	{ at "model", AT_MODEL }, \
	{ at "service_tier", AT_TIER }, \
	{ at "status", AT_STATUS }, \
	{ at "error", AT_ERROR }, \
	{ at "reasoning.effort", AT_EFFORT }, \
	{ at "tool_usage.web_search.num_requests", AT_SEARCHES }, \
	ITEM_WANTS(at "output[]"), \
	{ at "output[]", AT_OUTPUT_ITEM }, \
	OPENAI_USAGE_WANTS(at "usage.", AT_USAGE)

static const struct json_want responses_wants[] = {
	RESPONSE_WANTS(""),
	{ "output[].content[].text", AT_TEXT },
	{ "output[].content[].refusal", AT_TEXT },
	{ "output[].summary[].text", AT_TEXT },
	{ "output[].arguments", AT_TEXT },
	{ "output[].input", AT_TEXT },
};

static const struct json_want responses_event_wants[] = {
	{ "type", AT_TYPE },
	{ "error", AT_ERROR },
	{ "delta", AT_DELTA },
	ITEM_WANTS("item"),
	{ "item", AT_ITEM },
	RESPONSE_WANTS("response."),
};

static const struct word tier_words[] = {
	{ "default", TIER_STANDARD }, { "standard", TIER_STANDARD }, { "on_demand", TIER_STANDARD },
	{ "flex", TIER_FLEX }, { "priority", TIER_PRIORITY }, { "fast", TIER_PRIORITY }, { "batch", TIER_BATCH },
	{ NULL, 0 },
};

/* Models that reason where their chat answers do not show it. Compared behind the last slash ("openai/gpt-5"). */
static const struct word hidden_models[] = {
	{ "o1*", 1 }, { "o3*", 1 }, { "o4*", 1 }, { "gpt-5*", 1 }, { "gpt-6*", 1 }, { "codex*", 1 },
	{ "grok-3-mini*", 1 }, { "grok-4*", 1 }, { "gemini-2.5*", 1 }, { "gemini-3*", 1 },
	{ NULL, 0 },
};

static bool model_hides_reasoning(const char *model)
{
	const char *slash = strrchr(model, '/');

	return word_value(hidden_models, str_of(slash ? slash + 1 : model), 0) != 0;
}

/* ---- one hit */

static void take_tier(struct report *r, const struct json_value *v)
{
	/* "auto" is the request's word handed back before it was decided. */
	if (v->kind != JSON_STRING || str_is(v->s, "auto") || v->s.n == 0)
		return;
	r->tier = word_value(tier_words, v->s, TIER_UNKNOWN);
	r->tier_said = true;
}

/* A search is charged; opening a page that it found is not. A call that does not say which it was is charged. */
static bool take_item(struct reading *g)
{
	bool search = note_is(&g->item_type, "web_search_call") &&
		      (g->item_action.text[0] == '\0' || note_is(&g->item_action, "search"));

	g->reasoning_item |= note_is(&g->item_type, "reasoning");
	g->next.output_seen |= g->item_type.text[0] != '\0'; /* a reasoning item or a call may have no text */
	note_clear(&g->item_type);
	note_clear(&g->item_action);
	return search;
}

static void take_part(struct reading *g)
{
	struct usage u = { 0 };

	parts_begin(&g->next, &g->parts_begun);
	if (openai_usage_apply(&g->part, g->ep, &u))
		part_add(&g->next, str_of(g->part_model), &u);
	g->next.parts_overflow |= g->part.bad;
	openai_usage_init(&g->part);
	g->part_model[0] = '\0';
}

static void take_reasoning(struct reading *g, const struct json_value *v)
{
	output_text(&g->next, v);
	g->next.reasoning_shown |= v->kind == JSON_STRING && v->s.n > 0;
}

static void take_sealed(struct reading *g, const struct json_value *v)
{
	bool there = v->kind == JSON_STRING && v->s.n > 0;

	g->reasoning_item |= there;
	g->next.output_seen |= there;
}

static void take_usage_member(struct reading *g, const struct json_value *v)
{
	g->usage_member = *v;
	g->usage_members++;
}

static void hit(void *ctx, int id, const struct json_value *v)
{
	struct reading *g = ctx;
	bool there = v->kind != JSON_NULL;

	if (id < AT_PART) {
		openai_usage_take(&g->usage, id - AT_USAGE, v);
		return;
	}
	if (id < AT_MODEL) {
		openai_usage_take(&g->part, id - AT_PART, v);
		return;
	}
	switch (id) {
	case AT_MODEL: model_answered(g->next.model, sizeof(g->next.model), v); break;
	case AT_TIER: take_tier(&g->next, v); break;
	case AT_ERROR: g->error |= there; break;
	case AT_TYPE: note_take(&g->type, v); break;
	case AT_OBJECT: note_take(&g->object, v); break;
	case AT_STATUS: note_take(&g->status, v); break;
	case AT_EFFORT: g->reasoning_item |= v->kind == JSON_STRING && !str_is(v->s, "none"); break;
	case AT_CHOICES: g->choices = v->kind == JSON_ARRAY ? v->i : 1; break;
	case AT_USAGE_MEMBER: take_usage_member(g, v); break;
	case AT_FILTER_RESULTS: g->filter_results |= there; break;
	case AT_TEXT: output_text(&g->next, v); break;
	case AT_REASONING_TEXT: take_reasoning(g, v); break;
	case AT_REASONING_SEALED: take_sealed(g, v); break;
	case AT_AUDIO: g->reasoning_item |= there; break; /* tokens that the text does not show either */
	case AT_DELTA: g->delta_bytes = v->kind == JSON_STRING ? v->s.n : 0; break;
	case AT_ITEM_TYPE: note_take(&g->item_type, v); break;
	case AT_ITEM_ACTION: note_take(&g->item_action, v); break;
	case AT_ITEM: g->item_is_search = take_item(g); break;
	case AT_OUTPUT_ITEM: g->output_searches += take_item(g); break;
	case AT_SEARCHES: openai_usage_take(&g->usage, USAGE_SEARCHES, v); break;
	case AT_PART_MODEL: g->part.bad |= !part_model_answered(g->part_model, sizeof(g->part_model), v); break;
	case AT_PART_END: take_part(g); break;
	default: break;
	}
}

/* ---- a whole scan */

struct wants {
	const struct json_want *p;
	size_t n;
};
#define WANTS(a) ((struct wants){ .p = (a), .n = sizeof(a) / sizeof((a)[0]) })

static int read(struct json *j, struct wants w, enum endpoint ep, struct str text, const struct report *r,
		struct reading *g)
{
	*g = (struct reading){ .next = *r, .ep = ep, .choices = -1 };
	openai_usage_init(&g->usage);
	openai_usage_init(&g->part);
	return json_scan(j, text.p, text.n, w.p, w.n, hit, g);
}

/* What does not depend on streamed or not. */
static void conclude(struct reading *g, const struct ask *ask)
{
	struct report *r = &g->next;
	bool may_hide = r->reasoning_hidden || g->reasoning_item || (ask && ask->reasoning_asked);

	r->failed |= g->error;
	if (g->output_searches > r->usage.web_searches)
		r->usage.web_searches = g->output_searches;
	usage_judge(r, openai_usage_apply(&g->usage, g->ep, &r->usage));
	parts_judge(r);
	r->reasoning_hidden = (may_hide && !r->reasoning_shown) ||
			      model_hides_reasoning(r->model[0] || !ask ? r->model : ask->model);
}

int openai_read_answer(struct json *j, enum endpoint ep, const char *body, size_t len, struct report *r)
{
	struct reading g;
	struct str text = { .p = body, .n = len };
	int e = read(j, ep == ENDPOINT_OPENAI_RESPONSES ? WANTS(responses_wants) : WANTS(chat_wants), ep, text, r, &g);

	if (e < 0)
		return e == -ENOMEM ? e : -EINVAL;
	g.next.failed |= note_is(&g.status, "failed");
	conclude(&g, NULL);
	g.next.ended = !note_is(&g.status, "in_progress") && !note_is(&g.status, "queued");
	*r = g.next;
	return 0;
}

/* ---- events */

static const struct word response_ends[] = {
	{ "response.completed", 1 }, { "response.incomplete", 1 }, { "response.failed", 1 }, { NULL, 0 },
};

static void read_response_type(struct reading *g, struct str name)
{
	struct str type = g->type.text[0] ? note_str(&g->type) : name;
	struct report *r = &g->next;

	if (str_is(type, "response.audio.delta"))
		g->reasoning_item = true; /* base64: no text to count */
	else if (str_ends(type, STR(".delta")))
		output_bytes(r, g->delta_bytes);
	r->reasoning_shown |= str_is(type, "response.reasoning_text.delta") && g->delta_bytes > 0;
	if (str_is(type, "response.output_item.done"))
		r->usage.web_searches += g->item_is_search;
	r->ended |= word_value(response_ends, type, 0) != 0;
	r->failed |= str_is(type, "response.failed") || str_is(type, "error");
}

static void judge_event(const struct reading *g, struct str data, struct event_verdict *ret)
{
	const struct json_value *u = &g->usage_member;

	if (g->usage_members != 1 || g->error || (u->kind != JSON_NULL && u->kind != JSON_OBJECT))
		return;
	if (u->kind == JSON_OBJECT && g->choices <= 0 && !g->filter_results)
		ret->hide = true;
	else
		member_range(data, u, &ret->cut_at, &ret->cut);
}

void openai_read_event(struct json *j, enum endpoint ep, const struct ask *ask, struct str name, struct str data,
		       struct report *r, struct event_verdict *ret)
{
	bool responses = ep == ENDPOINT_OPENAI_RESPONSES;
	struct reading g;

	*ret = (struct event_verdict){ 0 };
	r->failed |= str_is(name, "error");
	if (str_eq(str_trim(data), STR("[DONE]"))) {
		r->ended = true;
		return;
	}
	if (data.n == 0 ||
	    read(j, responses ? WANTS(responses_event_wants) : WANTS(chat_wants), ep, data, r, &g) < 0)
		return;
	if (responses)
		read_response_type(&g, name);
	conclude(&g, ask);
	g.next.ended |= note_is(&g.object, "chat.completion.done"); /* Perplexity, in place of [DONE] */
	*r = g.next;
	if (ask && ask->hide_usage && !responses)
		judge_event(&g, data, ret);
}
