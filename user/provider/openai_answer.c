// SPDX-License-Identifier: Apache-2.0
/*
 * openai_answer.c: what the answers of the OpenAI family report: usage, model, tier, errors, the end; and which parts of a
 * stream exist only because purse asked for usage.
 *
 * An event is read into a copy of the report, which counts only if the whole event was readable.
 *
 * Money that the provider reports is read where its dialect has it documented (openai_traits.reports_cost); of two figures in one
 * event the larger counts, a later event replaces an earlier one.
 *
 * Server tools are counted by their items in output[]: a search or a file search once each, a code interpreter once per container
 * that is named. A picture made by a tool has a price that no counter tells: the call is then settled at its hold.
 *
 * Reasoning that no text shows (for the estimate when no usage comes): a reasoning item or an effort in a
 * Responses answer, a request that asks for it, or a model that is known to reason without showing it in chat answers.
 */
#include "provider/openai.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "provider/money.h"
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
	AT_ITEM_CONTAINER,
	AT_ITEM,
	AT_OUTPUT_ITEM,
	AT_SEARCHES,
	AT_PICTURES,
	AT_COST,
	AT_BYOK,
	AT_PART_MODEL,
	AT_PART_END,
};

_Static_assert(USAGE_KEYS <= 16, "the usage keys of one object have 16 ids");

enum item_kind { ITEM_OTHER, ITEM_SEARCH, ITEM_FILE_SEARCH, ITEM_CODE, ITEM_KINDS };

struct reading {
	struct report next; /* the report as it will be */
	const struct openai_traits *t;
	enum endpoint ep;
	struct openai_usage usage, part;
	bool parts_begun;
	char part_model[80];
	bool error;
	struct note type, object, status, item_type, item_action, item_container;
	size_t delta_bytes;
	enum item_kind item;      /* the event's `item`, and the container that it named */
	struct note container;
	bool reasoning_item;
	int64_t output_items[ITEM_KINDS]; /* in the answer's output[] */
	nanousd cost; /* -1 = not said */
	bool cost_bad, byok;
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

/* Where hosts report money; which of them is read is a trait of the dialect. */
#define COST_WANTS(at) \
	{ at "cost", AT_COST + 16 * COST_IN_USD }, \
	{ at "cost_in_usd_ticks", AT_COST + 16 * COST_IN_TICKS }, \
	{ at "cost.total_cost", AT_COST + 16 * COST_IN_TOTAL }, \
	{ at "is_byok", AT_BYOK }

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
	COST_WANTS("usage."),
	OPENAI_USAGE_WANTS("x_groq.usage.", AT_USAGE),
	{ "x_groq.error", AT_ERROR },
	PARTS_WANTS(""),
	PARTS_WANTS("x_groq."),
};

/* One element of output[], or the item of an event. */
#define ITEM_WANTS(at) \
	{ at ".type", AT_ITEM_TYPE }, \
	{ at ".container_id", AT_ITEM_CONTAINER }, \
	{ at ".action.type", AT_ITEM_ACTION }

/* A Responses answer: the whole body, or below "response." in an event. */
#define RESPONSE_WANTS(at) \
	{ at "model", AT_MODEL }, \
	{ at "service_tier", AT_TIER }, \
	{ at "status", AT_STATUS }, \
	{ at "error", AT_ERROR }, \
	{ at "reasoning.effort", AT_EFFORT }, \
	{ at "tool_usage.web_search.num_requests", AT_SEARCHES }, \
	{ at "tool_usage.image_gen.input_tokens", AT_PICTURES }, \
	{ at "tool_usage.image_gen.output_tokens", AT_PICTURES }, \
	COST_WANTS(at "usage."), \
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

bool openai_model_hides_reasoning(const char *model)
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
	r->fast = str_is(v->s, "ultrafast"); /* a multiple of the standard price */
	r->tier = r->fast ? TIER_STANDARD : word_value(tier_words, v->s, TIER_UNKNOWN);
	r->tier_said = r->fast_said = true;
}

static const struct word item_words[] = {
	{ "web_search_call", ITEM_SEARCH }, { "file_search_call", ITEM_FILE_SEARCH },
	{ "code_interpreter_call", ITEM_CODE }, { NULL, 0 },
};

/* FNV-1a; never 0, which is an empty place. */
static uint64_t hash_of(const char *text)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return h ? h : 1;
}

/* A container is charged once, however often it is used. One without a name, or one too many to keep apart: not certain. */
static void take_container(struct report *r, const char *name)
{
	uint64_t h = hash_of(name);

	for (size_t i = 0; name[0] && i < sizeof(r->code_sessions_seen) / sizeof(r->code_sessions_seen[0]); i++) {
		uint64_t *place = &r->code_sessions_seen[i];

		if (*place == h)
			return;
		if (*place == 0) {
			*place = h;
			r->usage.code_sessions++;
			return;
		}
	}
	r->unpriced = true;
}

/* A search is charged; opening a page that it found is not. A call that does not say which it was is charged. */
static enum item_kind take_item(struct reading *g)
{
	enum item_kind kind = word_value(item_words, note_str(&g->item_type), ITEM_OTHER);

	if (kind == ITEM_SEARCH && g->item_action.text[0] != '\0' && !note_is(&g->item_action, "search"))
		kind = ITEM_OTHER;
	g->next.unpriced |= note_is(&g->item_type, "image_generation_call");
	g->reasoning_item |= note_is(&g->item_type, "reasoning");
	g->next.output_seen |= g->item_type.text[0] != '\0'; /* a reasoning item or a call may have no text */
	note_clear(&g->item_type);
	note_clear(&g->item_action);
	g->container = g->item_container;
	note_clear(&g->item_container);
	return kind;
}

static void take_output_item(struct reading *g)
{
	enum item_kind kind = take_item(g);

	g->output_items[kind]++;
	if (kind == ITEM_CODE)
		take_container(&g->next, g->container.text);
}

/* Only a number is money; ticks are 10^-10 dollars. Not said: null, or the object that holds Perplexity's total. */
static void take_cost(struct reading *g, enum cost_report as, const struct json_value *v)
{
	nanousd cost;

	if (as != g->t->reports_cost || v->kind == JSON_NULL)
		return;
	if ((v->kind != JSON_INT && v->kind != JSON_NUMBER) || money_read(v->s, as == COST_IN_TICKS ? 10 : 0, &cost) < 0)
		g->cost_bad = true;
	else if (cost > g->cost)
		g->cost = cost;
}

static void take_part(struct reading *g)
{
	struct usage u = { 0 };

	parts_begin(&g->next, &g->parts_begun);
	if (openai_usage_apply(&g->part, g->ep, &u))
		part_add(&g->next, str_of(g->part_model), &u);
	g->next.parts_overflow |= g->part.bad || g->part.key[USAGE_UNCOUNTED] > 0;
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
	if (id >= AT_COST + 16) {
		take_cost(g, (id - AT_COST) / 16, v);
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
	case AT_ITEM_CONTAINER: note_take(&g->item_container, v); break;
	case AT_ITEM: g->item = take_item(g); break;
	case AT_OUTPUT_ITEM: take_output_item(g); break;
	case AT_PICTURES: g->next.unpriced |= there && !(v->kind == JSON_INT && v->i == 0); break;
	case AT_BYOK: g->byok |= v->kind == JSON_BOOL && v->i; break;
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

static int read(struct json *j, struct wants w, const struct openai_traits *t, enum endpoint ep, struct str text,
		const struct report *r, struct reading *g)
{
	*g = (struct reading){ .next = *r, .t = t, .ep = ep, .choices = -1, .cost = -1 };
	openai_usage_init(&g->usage);
	openai_usage_init(&g->part);
	return json_scan(j, text.p, text.n, w.p, w.n, hit, g);
}

static void conclude_cost(struct reading *g)
{
	struct report *r = &g->next;

	if (g->cost_bad || g->cost >= 0) {
		r->reported_bad = g->cost_bad;
		r->reported_cost = g->cost_bad ? -1 : g->cost;
	}
	r->reported_byok |= g->byok;
}

/* What does not depend on streamed or not. */
static void conclude(struct reading *g, const struct ask *ask)
{
	struct report *r = &g->next;
	bool may_hide = r->reasoning_hidden || g->reasoning_item || (ask && ask->reasoning_asked);

	r->failed |= g->error;
	r->unpriced |= g->usage.key[USAGE_UNCOUNTED] > 0;
	/* Perplexity counts reasoning beside the output, and at a price of its own; the money that it reports has it. */
	r->unpriced |= g->t->reports_cost == COST_IN_TOTAL && g->usage.key[USAGE_REASONING] > 0;
	if (g->output_items[ITEM_SEARCH] > r->usage.web_searches)
		r->usage.web_searches = g->output_items[ITEM_SEARCH];
	if (g->output_items[ITEM_FILE_SEARCH] > r->usage.file_searches)
		r->usage.file_searches = g->output_items[ITEM_FILE_SEARCH];
	conclude_cost(g);
	usage_judge(r, openai_usage_apply(&g->usage, g->ep, &r->usage));
	parts_judge(r);
	r->reasoning_hidden = (may_hide && !r->reasoning_shown) ||
			      openai_model_hides_reasoning(r->model[0] || !ask ? r->model : ask->model);
}

int openai_read_answer(struct json *j, const struct openai_traits *t, enum endpoint ep, const char *body, size_t len,
		       struct report *r)
{
	struct reading g;
	struct str text = { .p = body, .n = len };

	if (openai_is_media(ep))
		return openai_read_media_answer(j, ep, body, len, r);
	int e = read(j, ep == ENDPOINT_OPENAI_RESPONSES ? WANTS(responses_wants) : WANTS(chat_wants), t, ep, text, r, &g);

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
	if (str_is(type, "response.output_item.done")) {
		r->usage.web_searches += g->item == ITEM_SEARCH;
		r->usage.file_searches += g->item == ITEM_FILE_SEARCH;
		if (g->item == ITEM_CODE)
			take_container(r, g->container.text);
	}
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

void openai_read_event(struct json *j, const struct openai_traits *t, enum endpoint ep, const struct ask *ask,
		       struct str name, struct str data, struct report *r, struct event_verdict *ret)
{
	bool responses = ep == ENDPOINT_OPENAI_RESPONSES;
	struct reading g;

	*ret = (struct event_verdict){ 0 };
	r->failed |= str_is(name, "error");
	if (str_eq(str_trim(data), STR("[DONE]"))) {
		r->ended = true;
		return;
	}
	if (openai_is_media(ep)) {
		openai_read_media_event(j, ep, name, data, r);
		return;
	}
	if (data.n == 0 ||
	    read(j, responses ? WANTS(responses_event_wants) : WANTS(chat_wants), t, ep, data, r, &g) < 0)
		return;
	if (responses)
		read_response_type(&g, name);
	conclude(&g, ask);
	output_event(&g.next, r->output_bytes);
	g.next.ended |= note_is(&g.object, "chat.completion.done"); /* Perplexity, in place of [DONE] */
	*r = g.next;
	if (ask && ask->hide_usage && !responses)
		judge_event(&g, data, ret);
}
