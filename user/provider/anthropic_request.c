// SPDX-License-Identifier: Apache-2.0
/*
 * anthropic_request.c: what a Messages request asks for: the bounds of a hold.
 *
 * Input: the body's bytes bound its text (see openai_bounds.c); what is added unseen has an allowance:
 *
 *	64 + 16 per message (template)
 *	+ 1024 and 32 per tool if there are tools (system prompt of tool use)
 *	+ 1024 per tool that Anthropic defines and the agent runs: bash, text editor, computer, memory
 *	+ 5120 per picture inside the body (a small file may be a large picture; a picture has at most about 4800 tokens)
 *
 * Pictures and documents by URL or file id, PDF (pages become pictures) and results of server tools are `input_hidden`.
 *
 * Output: max_tokens bounds one pass, thinking included. What makes the server run further passes is `unbounded_tools`: server
 * tools, MCP servers, compaction, other models behind the one asked for. A web search with max_uses is bounded in its
 * fees; each of its passes is held to read no more than the model can take at once.
 *
 * A web fetch has no fee: with max_uses its passes are bounded as those of a search are. A speed or a geography that the price list
 * of the model does not know is refused where the hold is computed, an unknown speed here; fallback models are refused.
 */
#include "provider/anthropic.h"

#include <errno.h>

#include "base/str.h"
#include "provider/request.h"

#define EXTRA_BASE 64
#define EXTRA_PER_MESSAGE 16
#define EXTRA_TOOLS 1024
#define EXTRA_PER_TOOL 32
#define EXTRA_DEFINED_TOOL 1024
#define EXTRA_PICTURE 5120

struct anthropic_request {
	struct request common; /* first: request.h */
	int64_t max_tokens;
	int64_t defined_tools, pictures; /* counts */
	struct json_value limit; /* max_tokens: kind and place; .end = 0: absent */
	int64_t thinking_budget;
	int64_t searches; /* sum of max_uses; -1 = one search tool has none */
	int64_t fetches;  /* the same */
	/* of the tool that is being read */
	bool max_uses_stood;
	int64_t max_uses;
};

static const struct word tier_words[] = {
	{ "standard_only", TIER_STANDARD }, { "standard", TIER_STANDARD },
	{ NULL, 0 }, /* "auto": UNKNOWN */
};

enum tool_kind {
	TOOL_CLIENT,  /* the agent defines and runs it */
	TOOL_DEFINED, /* Anthropic defines it, the agent runs it: its definition is input */
	TOOL_SEARCH,  /* runs at the server, counted and priced */
	TOOL_FETCH,   /* runs at the server, costs no more than what it makes the model read */
	TOOL_SERVER,  /* runs at the server: further passes, maybe a fee; also what we do not know */
};

static const struct word tool_words[] = {
	{ "", TOOL_CLIENT },          { "custom", TOOL_CLIENT },
	{ "bash_*", TOOL_DEFINED },   { "text_editor_*", TOOL_DEFINED },
	{ "computer_*", TOOL_DEFINED }, { "memory_*", TOOL_DEFINED },
	{ "web_search_*", TOOL_SEARCH }, { "web_fetch_*", TOOL_FETCH },
	{ NULL, 0 },
};

static int read_max_tokens(void *ctx, const struct json_value *v, struct err *e)
{
	struct anthropic_request *q = ctx;

	q->limit = *v;
	if (v->kind == JSON_INT)
		q->max_tokens = v->i;
	return 0;
}

static int read_tier(void *ctx, const struct json_value *v, struct err *e)
{
	((struct request *)ctx)->ask->tier = word_value(tier_words, v->s, TIER_UNKNOWN);
	return 0;
}

static int read_thinking(void *ctx, const struct json_value *v, struct err *e)
{
	((struct request *)ctx)->ask->reasoning_asked |= v->kind == JSON_STRING && !str_is(v->s, "disabled");
	return 0;
}

static int read_effort(void *ctx, const struct json_value *v, struct err *e)
{
	((struct request *)ctx)->ask->reasoning_asked = true;
	return 0;
}

static int read_cache_control(void *ctx, const struct json_value *v, struct err *e)
{
	((struct request *)ctx)->ask->cache_write = true;
	return 0;
}

/* At any depth, so that none is missed; a tool argument of that name and value only makes the hold dearer. */
static int read_ttl(void *ctx, const struct json_value *v, struct err *e)
{
	((struct request *)ctx)->ask->cache_write_1h |= v->kind == JSON_STRING && str_is(v->s, "1h");
	return 0;
}

static int read_source_type(void *ctx, const struct json_value *v, struct err *e)
{
	if (v->kind == JSON_STRING && (str_is(v->s, "url") || str_is(v->s, "file")))
		((struct request *)ctx)->ask->input_hidden = true;
	return 0;
}

static int read_media_type(void *ctx, const struct json_value *v, struct err *e)
{
	struct anthropic_request *q = ctx;

	if (v->kind != JSON_STRING)
		return 0;
	if (str_starts(v->s, STR("image/")))
		q->pictures++;
	else if (!str_is(v->s, "text/plain"))
		q->common.ask->input_hidden = true;
	return 0;
}

static int read_max_uses(void *ctx, const struct json_value *v, struct err *e)
{
	struct anthropic_request *q = ctx;

	int r = stands_once(&q->max_uses_stood, "tools[].max_uses", e);

	if (r == 0)
		q->max_uses = v->kind == JSON_INT && v->i >= 0 ? v->i : ABSENT;
	return r;
}

static void add_searches(struct anthropic_request *q, bool paid)
{
	int64_t *sum = paid ? &q->searches : &q->fetches;
	bool bounded = q->max_uses != ABSENT && *sum >= 0 && !__builtin_add_overflow(*sum, q->max_uses, sum);

	q->common.ask->input_hidden = true; /* results are read as input */
	if (!bounded) {
		*sum = -1;
		q->common.ask->unbounded_tools = true;
	}
}

static int read_tool(void *ctx, const struct json_value *v, struct err *e)
{
	struct anthropic_request *q = ctx;
	enum tool_kind kind = word_value(tool_words, note_str(&q->common.tool_type), TOOL_SERVER);

	if (kind == TOOL_SEARCH || kind == TOOL_FETCH)
		add_searches(q, kind == TOOL_SEARCH);
	q->defined_tools += kind == TOOL_DEFINED;
	if (kind == TOOL_SERVER) {
		q->common.ask->unbounded_tools = true;
		q->common.ask->input_hidden = true;
	}
	request_tool_end(&q->common);
	q->max_uses_stood = false;
	q->max_uses = ABSENT;
	return 0;
}

static int read_choice(void *ctx, const struct json_value *v, struct err *e)
{
	static const struct word known[] = { { "auto", 1 }, { "any", 1 }, { "tool", 1 }, { NULL, 0 } };

	/* With "none" tools may not be read at all. */
	steady_word(&((struct request *)ctx)->steady, known, v);
	return 0;
}

static int read_block_type(void *ctx, const struct json_value *v, struct err *e)
{
	note_take(&((struct request *)ctx)->steady.type, v);
	return 0;
}

static int read_block(void *ctx, const struct json_value *v, struct err *e)
{
	static const struct word known[] = {
		{ "text", STEADY_HARD }, { "tool_use", STEADY_HARD }, { "tool_result", STEADY_HARD },
		{ "image", STEADY_LIGHT }, { "thinking", STEADY_SOFT }, { "redacted_thinking", STEADY_SOFT },
		{ NULL, 0 },
	};

	/* A compaction replaces all before it; a reference brings in what is left out elsewhere; others may be anything. */
	steady_part(&((struct request *)ctx)->steady, known, v);
	return 0;
}

static int read_inner_type(void *ctx, const struct json_value *v, struct err *e)
{
	note_take(&((struct request *)ctx)->steady.inner, v);
	return 0;
}

static int read_inner(void *ctx, const struct json_value *v, struct err *e)
{
	static const struct word known[] = { { "text", STEADY_HARD }, { "image", STEADY_LIGHT }, { NULL, 0 } };

	steady_inner(&((struct request *)ctx)->steady, known, v);
	return 0;
}

/* The edits that clear old tool uses or thinking only make the input smaller; any other may be a pass of its own. */
static int read_edit_type(void *ctx, const struct json_value *v, struct err *e)
{
	bool clears = v->kind == JSON_STRING && str_starts(v->s, STR("clear_"));

	((struct request *)ctx)->ask->unbounded_tools |= !clears;
	((struct request *)ctx)->steady.doubt |= v->kind != JSON_STRING || !str_starts(v->s, STR("clear_thinking"));
	return 0;
}

static int read_speed(void *ctx, const struct json_value *v, struct err *e)
{
	((struct request *)ctx)->ask->fast = str_is(v->s, "fast");
	if (str_is(v->s, "standard") || str_is(v->s, "fast"))
		return 0;
	return err_set(e, EINVAL, "\"speed\": \"%.*s\" has a price that this version does not know; send \"standard\" or \"fast\", or leave it out",
		       (int)(v->s.n < 40 ? v->s.n : 40), v->s.p);
}

static int read_geo(void *ctx, const struct json_value *v, struct err *e)
{
	struct ask *ask = ((struct request *)ctx)->ask;

	ask->geo[0] = '\0';
	if (str_is(v->s, "global"))
		return 0;
	if (v->s.n > 0 && v->s.n < sizeof(ask->geo))
		return str_copy(ask->geo, sizeof(ask->geo), v->s) ? 0 : -EINVAL;
	return err_set(e, EINVAL, "\"inference_geo\": \"%.*s\" is no geography that a price list knows; send \"us\" or \"global\", or leave it out",
		       (int)(v->s.n < 40 ? v->s.n : 40), v->s.p);
}

#define OFFSET(member) .to = offsetof(struct anthropic_request, member)

static const struct field fields[] = {
	{ "model", KIND_STRING, .once = true, .read = request_model },
	{ "stream", KIND_BOOL, .once = true, OFFSET(common.stream) },
	{ "max_tokens", KIND_INT, .once = true, .nulls = true, .read = read_max_tokens },
	{ "service_tier", KIND_STRING, .once = true, .read = read_tier },
	{ "speed", KIND_STRING, .once = true, .read = read_speed },
	{ "inference_geo", KIND_STRING, .once = true, .read = read_geo },
	{ "thinking.type", KIND_ANY, .once = true, .read = read_thinking },
	{ "thinking.budget_tokens", KIND_INT, .once = true, OFFSET(thinking_budget) },
	{ "output_config.effort", KIND_ANY, .once = true, .read = read_effort },
	{ "messages", KIND_ARRAY, .once = true, .read = request_messages },

	{ "tools", KIND_ARRAY, .once = true, .read = request_tools },
	{ "tools[]", KIND_ANY, .nulls = true, .read = read_tool },
	{ "tools[].type", KIND_ANY, .nulls = true, .read = request_tool_type },
	{ "tools[].max_uses", KIND_ANY, .nulls = true, .read = read_max_uses },
	{ "mcp_servers", KIND_ANY, .once = true, .read = request_unbounded },
	{ "container", KIND_ANY, .once = true, .read = request_unbounded },
	{ "compaction", KIND_ANY, .once = true, .read = request_unbounded },
	{ "context_management.edits[].type", KIND_ANY, .nulls = true, .read = read_edit_type },

	/* For input_steady: what is known to change nothing about what is read, and what may. */
	{ "system", KIND_ANY, .read = request_system },
	{ "thinking", KIND_ANY, .read = request_nothing },
	{ "output_config", KIND_ANY, .read = request_nothing },
	{ "metadata", KIND_ANY, .read = request_nothing },
	{ "temperature", KIND_ANY, .read = request_nothing },
	{ "top_p", KIND_ANY, .read = request_nothing },
	{ "top_k", KIND_ANY, .read = request_nothing },
	{ "stop_sequences", KIND_ANY, .read = request_nothing },
	{ "cache_control", KIND_ANY, .read = request_nothing },
	{ "context_management", KIND_ANY, .read = request_nothing },
	{ "tool_choice", KIND_ANY, .read = request_nothing },
	{ "tool_choice.type", KIND_ANY, .read = read_choice },
	{ "tools[].defer_loading", KIND_ANY, .read = request_doubt },
	{ "messages[].content[].type", KIND_ANY, .nulls = true, .read = read_block_type },
	{ "messages[].content[]", KIND_ANY, .nulls = true, .read = read_block },
	{ "messages[].content[].content[].type", KIND_ANY, .nulls = true, .read = read_inner_type },
	{ "messages[].content[].content[]", KIND_ANY, .nulls = true, .read = read_inner },

	{ "**.cache_control", KIND_ANY, .read = read_cache_control },
	{ "**.ttl", KIND_ANY, .read = read_ttl },
	{ "**.source.type", KIND_ANY, .read = read_source_type },
	{ "**.media_type", KIND_ANY, .read = read_media_type },
	{ "**.file_id", KIND_ANY, .read = request_hidden_string },

	{ "fallbacks", KIND_ANY, .once = true, .refuse = "names further models, so the price is not certain; leave it out" },
	{ "models", KIND_ANY, .once = true, .refuse = "names several candidates, so the price is not certain; send one model" },
};

static void bound_input(struct anthropic_request *q)
{
	int64_t extra = EXTRA_BASE + EXTRA_PER_MESSAGE * q->common.messages + EXTRA_PICTURE * q->pictures;

	if (q->common.tools > 0)
		extra += EXTRA_TOOLS + EXTRA_PER_TOOL * q->common.tools + EXTRA_DEFINED_TOOL * q->defined_tools;
	q->common.ask->extra_input_tokens = extra;
}

/* Thinking must have its budget below max_tokens, and room for an answer. */
static void place_limit(struct anthropic_request *q)
{
	struct ask *ask = q->common.ask;

	ask->limit_least = q->thinking_budget > 0 ? q->thinking_budget : 0;
	if (q->limit.end && q->max_tokens > 0)
		ask->limits[ask->nlimits++] = (struct limit_place){ .at = q->limit.at, .cut = q->limit.end - q->limit.at,
								    .before = "", .after = "" };
}

int anthropic_read_request(struct json *j, enum endpoint ep, const char *body, size_t len, struct ask *ret,
			   struct err *e)
{
	struct ask ask = { .tier = TIER_STANDARD, .choices = 1, .body_bytes = (int64_t)len,
			   .geo = "*" /* the workspace may have a default of its own */ };
	struct anthropic_request q = { .common.ask = &ask, .max_tokens = ABSENT, .max_uses = ABSENT };
	bool known;
	int r = fields_read_known(j, body, len, fields, sizeof(fields) / sizeof(fields[0]), &q, &known, e);

	if (r == 0)
		r = request_names_model(&ask, e);
	if (r < 0)
		return r;
	ask.stream = q.common.stream != 0;
	/* 0 is asked for to warm the cache; the API refuses less, and a missing one. */
	ask.max_output = q.max_tokens >= 0 ? q.max_tokens : -1;
	ask.max_searches = q.searches;
	ask.passes = 1;
	if (q.searches > 0 && __builtin_add_overflow(ask.passes, q.searches, &ask.passes))
		ask.unbounded_tools = true;
	if (q.fetches > 0 && __builtin_add_overflow(ask.passes, q.fetches, &ask.passes))
		ask.unbounded_tools = true;
	/* Thinks only when asked to, and then shows a summary at most. */
	ask.output_sight = ask.reasoning_asked ? OUTPUT_HIDDEN : OUTPUT_SHOWN;
	place_limit(&q);
	bound_input(&q);
	steady_end(&q.common.steady, known, &ask);
	*ret = ask;
	return 0;
}
