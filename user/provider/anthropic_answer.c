// SPDX-License-Identifier: Apache-2.0
/*
 * anthropic_answer.c: what the answers of the Messages API report. Its counters are exclusive (input_tokens leaves out
 * what was read from or written to the cache): they are made inclusive here.
 *
 * A stream tells its input in message_start, exactly, and everything in message_delta, whose values replace those
 * of before; only the latter makes a usage seen, since the former's output is a placeholder. The split of cache writes by
 * lifetime may stand in message_start only: later totals keep it.
 *
 * A speed and a geography stand in message_start, in the last usage, or in both. Words for them that are not known may have any
 * price: the call is then settled at its hold.
 *
 * usage.iterations[] lists what was charged one by one, other models included: they become the parts.
 */
#include "provider/anthropic.h"

#include <errno.h>

#include "base/str.h"
#include "provider/reading.h"

enum usage_key {
	KEY_INPUT, /* without cached and written */
	KEY_CACHE_READ,
	KEY_CACHE_WRITE, /* all lifetimes */
	KEY_WRITE_5M,
	KEY_WRITE_1H,
	KEY_OUTPUT,
	KEY_REASONING,
	KEY_SEARCHES,
	KEYS,
};

enum {
	AT_START = 0,  /* + enum usage_key: message.usage */
	AT_USAGE = 16, /* usage */
	AT_PART = 32,  /* usage.iterations[] */
	AT_MODEL = 48,
	AT_TIER,
	AT_TYPE,
	AT_ERROR,
	AT_TEXT,
	AT_INPUT_OBJECT,
	AT_BLOCK_TYPE,
	AT_BLOCK_NAME,
	AT_PART_MODEL,
	AT_PART_END,
	AT_SPEED,
	AT_GEO,
};

#define USAGE_WANTS(at, base) \
	{ at "input_tokens", (base) + KEY_INPUT }, \
	{ at "cache_read_input_tokens", (base) + KEY_CACHE_READ }, \
	{ at "cache_creation_input_tokens", (base) + KEY_CACHE_WRITE }, \
	{ at "cache_creation.ephemeral_5m_input_tokens", (base) + KEY_WRITE_5M }, \
	{ at "cache_creation.ephemeral_1h_input_tokens", (base) + KEY_WRITE_1H }, \
	{ at "output_tokens", (base) + KEY_OUTPUT }, \
	{ at "output_tokens_details.thinking_tokens", (base) + KEY_REASONING }, \
	{ at "server_tool_use.web_search_requests", (base) + KEY_SEARCHES }

#define PARTS_WANTS \
	{ "usage.iterations[].model", AT_PART_MODEL }, \
	USAGE_WANTS("usage.iterations[].", AT_PART), \
	{ "usage.iterations[]", AT_PART_END }

static const struct json_want answer_wants[] = {
	{ "type", AT_TYPE },
	{ "error", AT_ERROR },
	{ "model", AT_MODEL },
	{ "content[].type", AT_BLOCK_TYPE },
	{ "content[].text", AT_TEXT },
	{ "content[].thinking", AT_TEXT },
	{ "content[].content", AT_TEXT }, /* compaction; results of server tools are arrays */
	{ "content[].input", AT_INPUT_OBJECT },
	{ "usage.service_tier", AT_TIER },
	{ "usage.speed", AT_SPEED },
	{ "usage.inference_geo", AT_GEO },
	USAGE_WANTS("usage.", AT_USAGE),
	PARTS_WANTS,
};

static const struct json_want event_wants[] = {
	{ "type", AT_TYPE },
	{ "error", AT_ERROR },
	{ "message.model", AT_MODEL },
	{ "message.usage.service_tier", AT_TIER },
	{ "message.usage.speed", AT_SPEED },
	{ "message.usage.inference_geo", AT_GEO },
	{ "usage.speed", AT_SPEED },
	{ "usage.inference_geo", AT_GEO },
	USAGE_WANTS("message.usage.", AT_START),
	{ "content_block.type", AT_BLOCK_TYPE },
	{ "content_block.name", AT_BLOCK_NAME },
	{ "content_block.text", AT_TEXT },
	{ "content_block.thinking", AT_TEXT },
	{ "content_block.content", AT_TEXT },
	{ "delta.text", AT_TEXT },
	{ "delta.thinking", AT_TEXT },
	{ "delta.partial_json", AT_TEXT },
	{ "delta.content", AT_TEXT },
	{ "usage.service_tier", AT_TIER },
	USAGE_WANTS("usage.", AT_USAGE),
	PARTS_WANTS,
};

struct keys {
	int64_t key[KEYS]; /* -1 = not said */
	bool bad;
};

struct reading {
	struct report next;
	struct keys start, usage, part;
	bool parts_begun;
	bool cache_1h; /* the request asked for the longer lifetime somewhere */
	char part_model[80];
	struct note type, block_type, block_name;
	bool error;
};

/* Priority is capacity bought ahead, not a price per token: such answers are charged at the list price. */
static const struct word tier_words[] = {
	{ "standard", TIER_STANDARD }, { "priority", TIER_STANDARD }, { "batch", TIER_BATCH }, { NULL, 0 },
};

/* ---- usage */

static void keys_init(struct keys *k)
{
	for (int i = 0; i < KEYS; i++)
		k->key[i] = -1;
	k->bad = false;
}

static void keys_take(struct keys *k, enum usage_key key, const struct json_value *v)
{
	int64_t n;

	if (token_count(v, &n) < 0)
		k->bad = true;
	else if (n > k->key[key]) /* of a key that stands twice the dearer counts */
		k->key[key] = n;
}

/* Splits the written tokens by lifetime. What no split explains goes to the longer one where that may be. */
static void put_writes(const struct keys *k, bool cache_1h, struct usage *u)
{
	int64_t w5 = k->key[KEY_WRITE_5M], w1 = k->key[KEY_WRITE_1H], total = k->key[KEY_CACHE_WRITE];
	bool split = w5 >= 0 || w1 >= 0;

	if (split) {
		u->cache_write_5m = w5 > 0 ? w5 : 0;
		u->cache_write_1h = w1 > 0 ? w1 : 0;
	}
	if (total > u->cache_write_5m + u->cache_write_1h) {
		int64_t rest = total - u->cache_write_5m - u->cache_write_1h;
		bool longer = cache_1h || (u->cache_write_1h > 0 && u->cache_write_5m == 0);

		*(longer ? &u->cache_write_1h : &u->cache_write_5m) += rest;
	} else if (total >= 0 && !split) {
		u->cache_write_1h = u->cache_write_1h < total ? u->cache_write_1h : total;
		u->cache_write_5m = total - u->cache_write_1h;
	}
}

static void put_input(const struct keys *k, bool cache_1h, struct usage *u)
{
	int64_t uncached = u->input - u->cache_read - u->cache_write_5m - u->cache_write_1h;

	if (k->key[KEY_INPUT] >= 0)
		uncached = k->key[KEY_INPUT];
	if (k->key[KEY_CACHE_READ] >= 0)
		u->cache_read = k->key[KEY_CACHE_READ];
	put_writes(k, cache_1h, u);
	u->input = uncached + u->cache_read + u->cache_write_5m + u->cache_write_1h;
}

/* Puts what was said over *u; false: nothing usable. Input that is all zero is not said: every call has some. */
static bool keys_apply(const struct keys *k, bool cache_1h, struct usage *u)
{
	bool input = k->key[KEY_INPUT] > 0 || k->key[KEY_CACHE_READ] > 0 || k->key[KEY_CACHE_WRITE] > 0 ||
		     k->key[KEY_WRITE_5M] > 0 || k->key[KEY_WRITE_1H] > 0;

	if (k->bad || (!input && k->key[KEY_OUTPUT] <= 0))
		return false;
	if (input)
		put_input(k, cache_1h, u);
	if (k->key[KEY_OUTPUT] >= 0)
		u->output = k->key[KEY_OUTPUT];
	if (k->key[KEY_REASONING] >= 0)
		u->reasoning = k->key[KEY_REASONING];
	if (k->key[KEY_SEARCHES] >= 0)
		u->web_searches = k->key[KEY_SEARCHES];
	return true;
}

/* ---- one hit */

static void take_part(struct reading *g)
{
	struct usage u = { 0 };

	parts_begin(&g->next, &g->parts_begun);
	if (keys_apply(&g->part, g->cache_1h, &u))
		part_add(&g->next, str_of(g->part_model), &u);
	g->next.parts_overflow |= g->part.bad;
	keys_init(&g->part);
	g->part_model[0] = '\0';
}

static void take_block_type(struct reading *g, const struct json_value *v)
{
	note_take(&g->block_type, v);
	/* What is shown is a summary, or nothing. */
	g->next.reasoning_hidden |= note_is(&g->block_type, "thinking") || note_is(&g->block_type, "redacted_thinking");
}

static void take_tier(struct report *r, const struct json_value *v)
{
	if (v->kind != JSON_STRING || v->s.n == 0)
		return;
	r->tier = word_value(tier_words, v->s, TIER_UNKNOWN);
	r->tier_said = true;
}

static void take_speed(struct report *r, const struct json_value *v)
{
	if (v->kind == JSON_NULL)
		return;
	r->fast = v->kind == JSON_STRING && str_is(v->s, "fast");
	r->fast_said = true;
	r->unpriced |= !r->fast && !(v->kind == JSON_STRING && str_is(v->s, "standard"));
}

/* Older models say "not_available". */
static void take_geo(struct report *r, const struct json_value *v)
{
	bool none = v->kind == JSON_STRING &&
		    (v->s.n == 0 || str_is(v->s, "global") || str_is(v->s, "not_available"));

	if (v->kind == JSON_NULL)
		return;
	r->geo_said = true;
	r->geo[0] = '\0';
	if (!none && (v->kind != JSON_STRING || v->s.n >= sizeof(r->geo)))
		r->unpriced = true;
	else if (!none)
		(void)str_copy(r->geo, sizeof(r->geo), v->s);
}

static void hit(void *ctx, int id, const struct json_value *v)
{
	struct reading *g = ctx;

	if (id < AT_USAGE) {
		keys_take(&g->start, id - AT_START, v);
		return;
	}
	if (id < AT_PART) {
		keys_take(&g->usage, id - AT_USAGE, v);
		return;
	}
	if (id < AT_MODEL) {
		keys_take(&g->part, id - AT_PART, v);
		return;
	}
	switch (id) {
	case AT_MODEL: model_answered(g->next.model, sizeof(g->next.model), v); break;
	case AT_TIER: take_tier(&g->next, v); break;
	case AT_TYPE: note_take(&g->type, v); break;
	case AT_ERROR: g->error |= v->kind != JSON_NULL; break;
	case AT_TEXT: output_text(&g->next, v); break;
	case AT_INPUT_OBJECT: output_bytes(&g->next, v->end - v->at); break;
	case AT_BLOCK_TYPE: take_block_type(g, v); break;
	case AT_BLOCK_NAME: note_take(&g->block_name, v); break;
	case AT_PART_MODEL: g->part.bad |= !part_model_answered(g->part_model, sizeof(g->part_model), v); break;
	case AT_PART_END: take_part(g); break;
	case AT_SPEED: take_speed(&g->next, v); break;
	case AT_GEO: take_geo(&g->next, v); break;
	default: break;
	}
}

/* ---- a whole scan */

static int read(struct json *j, const struct json_want *wants, size_t n, struct str text, const struct report *r,
		bool cache_1h, struct reading *g)
{
	*g = (struct reading){ .next = *r, .cache_1h = cache_1h };
	keys_init(&g->start);
	keys_init(&g->usage);
	keys_init(&g->part);
	return json_scan(j, text.p, text.n, wants, n, hit, g);
}

static void conclude(struct reading *g)
{
	struct report *r = &g->next;

	r->failed |= g->error || note_is(&g->type, "error");
	usage_judge(r, keys_apply(&g->usage, g->cache_1h, &r->usage));
	parts_judge(r);
}

int anthropic_read_answer(struct json *j, enum endpoint ep, const char *body, size_t len, struct report *r)
{
	struct reading g;
	struct str text = { .p = body, .n = len };
	int e = read(j, answer_wants, sizeof(answer_wants) / sizeof(answer_wants[0]), text, r, false, &g);

	if (e < 0)
		return e == -ENOMEM ? e : -EINVAL;
	conclude(&g);
	g.next.ended = true;
	*r = g.next;
	return 0;
}

/* ---- events */

static bool server_may_read_more(const struct ask *ask)
{
	return ask && (ask->unbounded_tools || ask->max_searches != 0);
}

static void read_start(struct reading *g, const struct ask *ask)
{
	g->start.key[KEY_OUTPUT] = -1; /* a placeholder, about 1 */
	if (keys_apply(&g->start, g->cache_1h, &g->next.usage))
		g->next.input_exact = !server_may_read_more(ask);
}

static void read_block(struct reading *g)
{
	/* Sealed thinking and calls without arguments are output that has no text. */
	g->next.output_seen |= g->block_type.text[0] != '\0';
	if (!note_is(&g->block_type, "server_tool_use"))
		return;
	g->next.input_exact = false; /* its result will be read as input */
	g->next.usage.web_searches += note_is(&g->block_name, "web_search"); /* until the usage says how many */
}

void anthropic_read_event(struct json *j, enum endpoint ep, const struct ask *ask, struct str name, struct str data,
			  struct report *r, struct event_verdict *ret)
{
	struct reading g;

	*ret = (struct event_verdict){ 0 };
	r->failed |= str_is(name, "error");
	if (data.n == 0 || read(j, event_wants, sizeof(event_wants) / sizeof(event_wants[0]), data, r,
				ask && ask->cache_write_1h, &g) < 0)
		return;
	if (g.type.text[0] == '\0')
		(void)str_copy(g.type.text, sizeof(g.type.text), name);
	g.next.reasoning_hidden |= ask && ask->reasoning_asked;
	read_start(&g, ask);
	read_block(&g);
	conclude(&g);
	output_event(&g.next, r->output_bytes);
	g.next.ended |= note_is(&g.type, "message_stop");
	*r = g.next;
}
