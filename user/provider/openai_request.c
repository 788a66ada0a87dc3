// SPDX-License-Identifier: Apache-2.0
/*
 * openai_request.c: what a request of the OpenAI family asks for: the bounds of a hold, and the edits that make
 * the stream tell its usage.
 *
 * Bounds. Input: a byte-level tokenizer never makes more tokens than there are bytes, so the body bounds all text in
 * it; what the provider adds unseen has an allowance:
 *
 *	64 + 16 per message, input item or prompt (chat template) + 512 and 16 per tool if there are tools
 *
 * Input that is not text in the body (images, audio, files, stored answers, conversations and prompts, results of server
 * tools) is `input_hidden`. Images count as hidden also when they come inside the body: a small file may be a large picture.
 *
 * Output: where several limits stand, the largest; 0 or less bounds nothing. A prediction's rejected tokens are
 * charged, so its bytes are added.
 *
 * Tier: what the answer may have at the dearest. "flex" is held at the standard price, since a host without that tier answers
 * at the standard one; "ultrafast" is a multiple of the standard price (`fast`). No service_tier means the project's default at OpenAI: held as standard; "auto" is UNKNOWN.
 *
 * Server tools with a fee that the answer counts (web and file searches, code interpreters in their smallest container) are
 * bounded by max_tool_calls, each at as many calls.
 *
 * Refused, as their price cannot be known from what we read: background answers (settle elsewhere), several candidate
 * models, searches that the answer does not count.
 */
#include "provider/openai.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "provider/reading.h"
#include "provider/steady.h"

#define EXTRA_BASE 64
#define EXTRA_PER_ITEM 16
#define EXTRA_TOOLS 512
#define EXTRA_PER_TOOL 16
#define COMPLETIONS_DEFAULT 16 /* documented default of max_tokens */

#define ABSENT INT64_MIN

/* Who runs a tool, and what bounds it. */
enum tool_kind {
	TOOL_CLIENT,      /* the agent runs it: nothing loops at the provider */
	TOOL_WEB_SEARCH,  /* counted and priced, as the next two */
	TOOL_FILE_SEARCH,
	TOOL_CODE,
	TOOL_LOOP,        /* loops, no fee of its own: max_tool_calls bounds it */
	TOOL_FEE,         /* has a fee that no answer counts for us, or is unknown */
	TOOL_KINDS,
};

struct request {
	struct ask *ask;
	enum endpoint ep;
	int64_t stream;
	int64_t n, best_of;
	int64_t max_tokens, max_completion_tokens, max_output_tokens;
	int64_t max_tool_calls;
	int64_t messages, input_items, prompts; /* counts */
	int64_t tools, functions;               /* counts */
	int64_t prediction_bytes;
	bool has_tool[TOOL_KINDS];
	bool contexts_differ; /* several search tools, not all with the same size of context */
	/* of the element that is being read */
	struct note tool_type, item_type, search_context;
	bool tool_type_stood, item_encrypted;
	struct json_value limits[3]; /* as options: max_tokens, max_completion_tokens, max_output_tokens */
	struct json_value options, include_usage; /* kind and place only; .end = 0: absent */
	struct steady steady;
};

static const struct word tier_words[] = {
	{ "default", TIER_STANDARD }, { "standard", TIER_STANDARD }, { "on_demand", TIER_STANDARD },
	{ "flex", TIER_STANDARD /* see above */ },
	{ "priority", TIER_PRIORITY }, { "fast", TIER_PRIORITY },
	{ NULL, 0 },
};

static const struct word responses_tools[] = {
	{ "function", TOOL_CLIENT },     { "custom", TOOL_CLIENT },       { "local_shell", TOOL_CLIENT },
	{ "apply_patch", TOOL_CLIENT },  { "computer", TOOL_CLIENT },     { "computer_use_preview*", TOOL_CLIENT },
	{ "web_search*", TOOL_WEB_SEARCH }, { "file_search", TOOL_FILE_SEARCH }, { "code_interpreter", TOOL_CODE },
	{ "mcp", TOOL_LOOP },            { "tool_search", TOOL_LOOP },
	{ NULL, 0 },
};

static const struct word chat_tools[] = {
	{ "function", TOOL_CLIENT }, { "custom", TOOL_CLIENT }, { "", TOOL_CLIENT },
	{ NULL, 0 },
};

static int read_model(void *ctx, const struct json_value *v, struct err *e)
{
	struct request *q = ctx;

	return model_asked(v->s, q->ask->model, sizeof(q->ask->model), e);
}

/* For members of which only the presence of a second one matters. */
static int read_nothing(void *ctx, const struct json_value *v, struct err *e)
{
	return 0;
}

static int read_tier(void *ctx, const struct json_value *v, struct err *e)
{
	struct request *q = ctx;

	q->ask->fast = str_is(v->s, "ultrafast");
	q->ask->tier = q->ask->fast ? TIER_STANDARD : word_value(tier_words, v->s, TIER_UNKNOWN);
	return 0;
}

enum { LIMIT_TOKENS, LIMIT_COMPLETION, LIMIT_OUTPUT };

static int take_limit(struct request *q, int which, int64_t *to, const struct json_value *v)
{
	q->limits[which] = *v;
	if (v->kind == JSON_INT)
		*to = v->i;
	return 0;
}

static int read_max_tokens(void *ctx, const struct json_value *v, struct err *e)
{
	struct request *q = ctx;

	return take_limit(q, LIMIT_TOKENS, &q->max_tokens, v);
}

static int read_max_completion_tokens(void *ctx, const struct json_value *v, struct err *e)
{
	struct request *q = ctx;

	return take_limit(q, LIMIT_COMPLETION, &q->max_completion_tokens, v);
}

static int read_max_output_tokens(void *ctx, const struct json_value *v, struct err *e)
{
	struct request *q = ctx;

	return take_limit(q, LIMIT_OUTPUT, &q->max_output_tokens, v);
}

static int read_options(void *ctx, const struct json_value *v, struct err *e)
{
	((struct request *)ctx)->options = *v;
	return 0;
}

static int read_include_usage(void *ctx, const struct json_value *v, struct err *e)
{
	((struct request *)ctx)->include_usage = *v;
	return 0;
}

static int read_messages(void *ctx, const struct json_value *v, struct err *e)
{
	((struct request *)ctx)->messages = v->i;
	((struct request *)ctx)->steady.conversation_end = v->end;
	return 0;
}

static int read_item_type(void *ctx, const struct json_value *v, struct err *e)
{
	note_take(&((struct request *)ctx)->item_type, v);
	return 0;
}

static int read_item_encrypted(void *ctx, const struct json_value *v, struct err *e)
{
	((struct request *)ctx)->item_encrypted = v->kind == JSON_STRING;
	return 0;
}

/* One element of `input`. Token ids (numbers) are no items: each is fewer tokens than bytes already. */
static int read_item(void *ctx, const struct json_value *v, struct err *e)
{
	static const struct word known[] = {
		{ "", STEADY_HARD }, { "message", STEADY_HARD }, { "function_call", STEADY_HARD }, { "function_call_output", STEADY_HARD },
		{ "custom_tool_call", STEADY_HARD }, { "custom_tool_call_output", STEADY_HARD }, { "reasoning", STEADY_SOFT },
		{ NULL, 0 },
	};
	struct request *q = ctx;

	if (v->kind != JSON_INT && v->kind != JSON_NUMBER)
		q->input_items++;
	/* These name something that the provider has stored. */
	q->steady.type = q->item_type;
	steady_part(&q->steady, known, v);
	if (note_is(&q->item_type, "item_reference") || (note_is(&q->item_type, "reasoning") && !q->item_encrypted))
		q->ask->input_hidden = true;
	note_clear(&q->item_type);
	q->item_encrypted = false;
	return 0;
}

/* A stored prompt (Responses) brings its own text, and may bring tools. */
static int read_prompt(void *ctx, const struct json_value *v, struct err *e)
{
	struct request *q = ctx;

	if (v->kind == JSON_OBJECT) {
		q->ask->input_hidden = true;
		q->ask->unbounded_tools = true;
	}
	return 0;
}

/* Each string or token list in a completions `prompt` is answered on its own. */
static int read_prompt_item(void *ctx, const struct json_value *v, struct err *e)
{
	if (v->kind != JSON_INT && v->kind != JSON_NUMBER)
		((struct request *)ctx)->prompts++;
	return 0;
}

static int read_tool_type(void *ctx, const struct json_value *v, struct err *e)
{
	struct request *q = ctx;

	return note_take_once(&q->tool_type, &q->tool_type_stood, "tools[].type", v, e);
}

static int read_search_context(void *ctx, const struct json_value *v, struct err *e)
{
	note_take(&((struct request *)ctx)->search_context, v);
	return 0;
}

/* "medium" is the documented default. Searches do not tell of which tool they were. */
static void take_search_context(struct request *q)
{
	struct str said = q->search_context.text[0] ? note_str(&q->search_context) : STR("medium");
	bool fits = said.n < sizeof(q->ask->search_context);

	q->contexts_differ |= !fits || (q->has_tool[TOOL_WEB_SEARCH] && !str_is(said, q->ask->search_context));
	(void)str_copy(q->ask->search_context, sizeof(q->ask->search_context), q->contexts_differ ? STR("") : said);
}

static int read_tool(void *ctx, const struct json_value *v, struct err *e)
{
	struct request *q = ctx;
	const struct word *table = q->ep == ENDPOINT_OPENAI_RESPONSES ? responses_tools : chat_tools;
	enum tool_kind kind = word_value(table, note_str(&q->tool_type), TOOL_FEE);

	if (kind == TOOL_WEB_SEARCH)
		take_search_context(q);
	q->has_tool[kind] = true;
	note_clear(&q->search_context);
	note_clear(&q->tool_type);
	q->tool_type_stood = false;
	return 0;
}

/* A larger container costs a multiple of the smallest, and the answer does not say which it was. */
static int read_container_size(void *ctx, const struct json_value *v, struct err *e)
{
	if (v->kind == JSON_STRING && str_is(v->s, "1g"))
		return 0;
	return err_set(e, EINVAL, "\"tools[].container.memory_limit\": a container larger than \"1g\" has a price that the answer does not "
		       "tell; leave it out");
}

static int read_cache_ttl(void *ctx, const struct json_value *v, struct err *e)
{
	if (v->kind == JSON_STRING && str_is(v->s, "30m"))
		return 0;
	return err_set(e, EINVAL, "\"prompt_cache_options.ttl\": only \"30m\" has a known price; send that or leave it out");
}

/* Strings only: a tool schema may have properties of these names, as objects. */
static int read_hidden_string(void *ctx, const struct json_value *v, struct err *e)
{
	if (v->kind == JSON_STRING)
		((struct request *)ctx)->ask->input_hidden = true;
	return 0;
}

static int read_hidden(void *ctx, const struct json_value *v, struct err *e)
{
	((struct request *)ctx)->ask->input_hidden = true;
	return 0;
}

static int read_audio_input(void *ctx, const struct json_value *v, struct err *e)
{
	struct request *q = ctx;

	q->ask->input_hidden = true;
	q->ask->audio = true;
	return 0;
}

static int read_audio_output(void *ctx, const struct json_value *v, struct err *e)
{
	struct request *q = ctx;

	q->ask->audio |= v->kind == JSON_OBJECT || (v->kind == JSON_STRING && str_is(v->s, "audio"));
	return 0;
}

static int read_unbounded(void *ctx, const struct json_value *v, struct err *e)
{
	if (v->kind != JSON_ARRAY || v->i > 0)
		((struct request *)ctx)->ask->unbounded_tools = true;
	return 0;
}

static int read_doubt(void *ctx, const struct json_value *v, struct err *e)
{
	((struct request *)ctx)->steady.doubt = true;
	return 0;
}

static int read_input(void *ctx, const struct json_value *v, struct err *e)
{
	((struct request *)ctx)->steady.conversation_end = v->end;
	return 0;
}

static int read_instructions(void *ctx, const struct json_value *v, struct err *e)
{
	steady_tail(&((struct request *)ctx)->steady, STEADY_SYSTEM, v);
	return 0;
}

static int read_tools(void *ctx, const struct json_value *v, struct err *e)
{
	struct request *q = ctx;

	q->tools = v->i;
	steady_tail(&q->steady, STEADY_TOOLS, v);
	return 0;
}

/* "auto" cuts the middle out of what is too long. */
static int read_truncation(void *ctx, const struct json_value *v, struct err *e)
{
	static const struct word known[] = { { "disabled", 1 }, { NULL, 0 } };

	steady_word(&((struct request *)ctx)->steady, known, v);
	return 0;
}

static int read_choice(void *ctx, const struct json_value *v, struct err *e)
{
	static const struct word known[] = { { "auto", 1 }, { "required", 1 }, { NULL, 0 } };

	/* With "none" tools may not be read at all. */
	if (v->kind != JSON_OBJECT)
		steady_word(&((struct request *)ctx)->steady, known, v);
	return 0;
}

static int read_choice_type(void *ctx, const struct json_value *v, struct err *e)
{
	static const struct word known[] = { { "function", 1 }, { "custom", 1 }, { NULL, 0 } };

	steady_word(&((struct request *)ctx)->steady, known, v);
	return 0;
}

static int read_part_type(void *ctx, const struct json_value *v, struct err *e)
{
	static const struct word known[] = {
		{ "text", 1 }, { "refusal", 1 }, { "input_text", 1 }, { "output_text", 1 }, { NULL, 0 },
	};

	steady_word(&((struct request *)ctx)->steady, known, v);
	return 0;
}

static int read_effort(void *ctx, const struct json_value *v, struct err *e)
{
	bool none = (v->kind == JSON_STRING && (str_is(v->s, "none") || str_is(v->s, "disabled"))) ||
		    (v->kind == JSON_BOOL && v->i == 0);

	((struct request *)ctx)->ask->reasoning_asked |= !none;
	return 0;
}

static int read_prediction(void *ctx, const struct json_value *v, struct err *e)
{
	((struct request *)ctx)->prediction_bytes = (int64_t)(v->end - v->at);
	return 0;
}

#define INTEGER(name, member) { name, KIND_INT, .once = true, .to = offsetof(struct request, member) }

static const struct field fields[] = {
	{ "model", KIND_STRING, .once = true, .read = read_model },
	{ "stream", KIND_BOOL, .once = true, .to = offsetof(struct request, stream) },
	{ "stream_options", KIND_OBJECT, .once = true, .nulls = true, .read = read_options },
	{ "stream_options.include_usage", KIND_BOOL, .once = true, .nulls = true, .read = read_include_usage },
	INTEGER("n", n),
	INTEGER("best_of", best_of),
	{ "max_tokens", KIND_INT, .once = true, .nulls = true, .read = read_max_tokens },
	{ "max_completion_tokens", KIND_INT, .once = true, .nulls = true, .read = read_max_completion_tokens },
	{ "max_output_tokens", KIND_INT, .once = true, .nulls = true, .read = read_max_output_tokens },
	INTEGER("max_tool_calls", max_tool_calls),
	{ "service_tier", KIND_STRING, .once = true, .read = read_tier },
	{ "prediction", KIND_OBJECT, .once = true, .read = read_prediction },
	{ "reasoning_effort", KIND_STRING, .once = true, .read = read_effort },
	{ "reasoning.effort", KIND_ANY, .once = true, .read = read_effort },
	{ "reasoning.summary", KIND_ANY, .once = true, .read = read_effort },
	{ "reasoning.enabled", KIND_ANY, .once = true, .read = read_effort },
	{ "reasoning.max_tokens", KIND_ANY, .once = true, .read = read_effort },
	{ "thinking.type", KIND_ANY, .once = true, .read = read_effort },

	{ "messages", KIND_ARRAY, .once = true, .read = read_messages },
	{ "input", KIND_ANY, .once = true, .read = read_input },
	{ "input[]", KIND_ANY, .nulls = true, .read = read_item },
	{ "input[].type", KIND_ANY, .read = read_item_type },
	{ "input[].encrypted_content", KIND_ANY, .read = read_item_encrypted },
	{ "prompt", KIND_ANY, .once = true, .read = read_prompt },
	{ "prompt[]", KIND_ANY, .nulls = true, .read = read_prompt_item },
	{ "previous_response_id", KIND_STRING, .once = true, .read = read_hidden },
	{ "conversation", KIND_STRING | KIND_OBJECT, .once = true, .read = read_hidden },
	{ "context_management", KIND_ANY, .once = true, .read = read_unbounded },

	{ "tools", KIND_ARRAY, .once = true, .read = read_tools },
	{ "tools[]", KIND_ANY, .nulls = true, .read = read_tool },
	{ "tools[].type", KIND_ANY, .nulls = true, .read = read_tool_type },
	{ "tools[].search_context_size", KIND_ANY, .read = read_search_context },
	{ "tools[].container.memory_limit", KIND_ANY, .read = read_container_size },
	{ "prompt_cache_options.ttl", KIND_ANY, .once = true, .read = read_cache_ttl },
	{ "functions", KIND_ARRAY, .once = true, .to = offsetof(struct request, functions) },

	/* For input_steady: what is known to change nothing about what is read, and what may. */
#define HARMLESS(name) { name, KIND_ANY, .nulls = true, .read = read_nothing }
	HARMLESS("temperature"), HARMLESS("top_p"), HARMLESS("stop"), HARMLESS("seed"), HARMLESS("user"), HARMLESS("metadata"),
	HARMLESS("store"), HARMLESS("logprobs"), HARMLESS("top_logprobs"), HARMLESS("presence_penalty"), HARMLESS("frequency_penalty"),
	HARMLESS("logit_bias"), HARMLESS("response_format"), HARMLESS("parallel_tool_calls"), HARMLESS("verbosity"),
	HARMLESS("prompt_cache_key"), HARMLESS("prompt_cache_retention"), HARMLESS("prompt_cache_options"),
	HARMLESS("safety_identifier"), HARMLESS("include"), HARMLESS("reasoning"), HARMLESS("text"),
	{ "instructions", KIND_ANY, .read = read_instructions },
	{ "truncation", KIND_ANY, .read = read_truncation },
	{ "tool_choice", KIND_ANY, .read = read_choice },
	{ "tool_choice.type", KIND_ANY, .nulls = true, .read = read_choice_type },
	{ "tools[].defer_loading", KIND_ANY, .read = read_doubt },
	{ "messages[].reasoning_content", KIND_ANY, .read = read_doubt },
	{ "messages[].reasoning", KIND_ANY, .read = read_doubt },
	{ "messages[].content[].type", KIND_ANY, .nulls = true, .read = read_part_type },
	{ "input[].content[].type", KIND_ANY, .nulls = true, .read = read_part_type },
	{ "input[].output[].type", KIND_ANY, .nulls = true, .read = read_part_type },

	{ "**.image_url", KIND_ANY, .read = read_hidden_string },
	{ "**.image_url.url", KIND_ANY, .read = read_hidden_string },
	{ "**.video_url", KIND_ANY, .read = read_hidden_string },
	{ "**.video_url.url", KIND_ANY, .read = read_hidden_string },
	{ "**.audio_url", KIND_ANY, .read = read_hidden_string },
	{ "**.audio_url.url", KIND_ANY, .read = read_hidden_string },
	{ "**.file_id", KIND_ANY, .read = read_hidden_string },
	{ "**.file_url", KIND_ANY, .read = read_hidden_string },
	{ "**.file_data", KIND_ANY, .read = read_hidden_string },
	{ "messages[].content[].input_audio", KIND_ANY, .read = read_audio_input },
	{ "messages[].audio", KIND_ANY, .read = read_audio_input },
	{ "input[].content[].input_audio", KIND_ANY, .read = read_audio_input },
	{ "modalities[]", KIND_ANY, .read = read_audio_output },
	{ "audio", KIND_ANY, .once = true, .read = read_audio_output },

	{ "background", KIND_BOOL, .once = true,
	  .refuse = "an answer made in the background is charged apart from this call, where no budget can hold it; send false, and stream instead" },
	{ "deferred", KIND_ANY, .once = true,
	  .refuse = "a deferred answer is charged apart from this call, where no budget can hold it; leave it out" },
	{ "web_search_options", KIND_ANY, .once = true,
	  .refuse = "these searches are charged but the answer does not count them; use the web_search tool of /responses with max_tool_calls" },
	{ "search_parameters", KIND_ANY, .once = true,
	  .refuse = "these searches are charged but cannot be bounded; leave it out" },
	{ "models", KIND_ANY, .once = true, .refuse = "names several candidates, so the price is not certain; send one model" },
	{ "fallbacks", KIND_ANY, .once = true, .refuse = "names further models, so the price is not certain; leave it out" },
	{ "plugins", KIND_ANY, .once = true, .refuse = "plugins have prices of their own that cannot be bounded; leave it out" },
	{ "preset", KIND_ANY, .once = true, .refuse = "a stored preset may change model and limits unseen; write them into the request" },
};
#define NFIELDS (sizeof(fields) / sizeof(fields[0]))

/* ---- the edits */

static void edit_add(struct ask *ask, size_t at, size_t cut, const char *text)
{
	ask->edits[ask->nedits++] = (struct body_edit){ .at = at, .cut = cut, .text = text };
	ask->hide_usage = true;
}

/* Makes stream_options.include_usage true, wherever the body has it now. */
static int ask_for_usage(const struct request *q, const char *body, size_t len)
{
	const struct json_value *o = &q->options, *u = &q->include_usage;
	size_t brace;
	int r = body_brace(body, len, &brace);

	if (r < 0)
		return r;
	if (o->end == 0)
		edit_add(q->ask, brace + 1, 0, "\"stream_options\":{\"include_usage\":true},");
	else if (o->kind == JSON_NULL)
		edit_add(q->ask, o->at, o->end - o->at, "{\"include_usage\":true}");
	else if (u->end == 0)
		edit_add(q->ask, o->at + 1, 0, object_is_empty(body, o->at, o->end) ? "\"include_usage\":true" :
										      "\"include_usage\":true,");
	else if (u->kind == JSON_NULL || u->i == 0)
		edit_add(q->ask, u->at, u->end - u->at, "true");
	return 0;
}

static void place_add(struct ask *ask, size_t at, size_t cut, const char *before, const char *after)
{
	ask->limits[ask->nlimits++] = (struct limit_place){ .at = at, .cut = cut, .before = before, .after = after };
}

/* Where a lower output limit would go: over each that stands, or else as a member of its own. */
static void place_limit(const struct request *q, const struct openai_traits *t, const char *body, size_t len)
{
	static const char *const members[] = {
		[LIMIT_TOKENS] = "\"max_tokens\":", [LIMIT_COMPLETION] = "\"max_completion_tokens\":",
		[LIMIT_OUTPUT] = "\"max_output_tokens\":",
	};
	struct ask *ask = q->ask;
	int from = q->ep == ENDPOINT_OPENAI_RESPONSES ? LIMIT_OUTPUT : LIMIT_TOKENS;
	int to = q->ep == ENDPOINT_OPENAI_CHAT ? LIMIT_COMPLETION : from;
	size_t brace;

	if (q->ep == ENDPOINT_OPENAI_EMBEDDINGS || q->prediction_bytes || body_brace(body, len, &brace))
		return;
	for (int i = from; i <= to; i++)
		if (q->limits[i].end)
			place_add(ask, q->limits[i].at, q->limits[i].end - q->limits[i].at, "", "");
	/* Ascending, as edits are. */
	if (ask->nlimits == 2 && ask->limits[0].at > ask->limits[1].at) {
		struct limit_place first = ask->limits[1];
		ask->limits[1] = ask->limits[0];
		ask->limits[0] = first;
	}
	/* OpenAI's newer models take the newer name only, most other hosts know the older one. */
	if (!ask->nlimits)
		place_add(ask, brace + 1, 0, members[t->completions_default ? to : from], ",");
}

/* Models that show all that they make. Compared as hidden_models are; what is on neither list is not sure. */
static const struct word shown_models[] = {
	{ "gpt-3.5*", 1 }, { "gpt-4*", 1 }, { "chatgpt-4o*", 1 }, { "davinci-002", 1 }, { "babbage-002", 1 },
	{ "deepseek-*", 1 }, { "llama*", 1 }, { "Llama*", 1 }, { "mixtral*", 1 }, { "Mixtral*", 1 },
	{ NULL, 0 },
};

static enum output_sight sight_of(const struct ask *ask)
{
	const char *slash = strrchr(ask->model, '/');

	if (ask->reasoning_asked || openai_model_hides_reasoning(ask->model))
		return OUTPUT_HIDDEN;
	return word_value(shown_models, str_of(slash ? slash + 1 : ask->model), 0) ? OUTPUT_SHOWN : OUTPUT_UNSURE;
}

/* ---- the bounds */

/* The larger of two limits that may be absent; -1 if none bounds anything. */
static int64_t larger_limit(int64_t a, int64_t b)
{
	int64_t most = a > b ? a : b;

	if (most == ABSENT || (a != ABSENT && a < 1) || (b != ABSENT && b < 1))
		return -1;
	return most;
}

static void bound_output(struct request *q, const struct openai_traits *t)
{
	struct ask *ask = q->ask;

	switch (q->ep) {
	case ENDPOINT_OPENAI_EMBEDDINGS:
		ask->max_output = 0;
		return;
	case ENDPOINT_OPENAI_RESPONSES:
		ask->max_output = larger_limit(q->max_output_tokens, ABSENT);
		return;
	case ENDPOINT_OPENAI_COMPLETIONS:
		if (q->max_tokens == ABSENT && t->completions_default)
			q->max_tokens = COMPLETIONS_DEFAULT;
		ask->max_output = larger_limit(q->max_tokens, ABSENT);
		return;
	default:
		ask->max_output = larger_limit(q->max_tokens, q->max_completion_tokens);
		if (ask->max_output >= 0 && __builtin_add_overflow(ask->max_output, q->prediction_bytes, &ask->max_output))
			ask->max_output = -1;
	}
}

static int bound_choices(struct request *q, struct err *e)
{
	bool many = q->ep == ENDPOINT_OPENAI_CHAT || q->ep == ENDPOINT_OPENAI_COMPLETIONS;
	int64_t choices = q->n > q->best_of ? q->n : q->best_of;

	q->ask->choices = 1;
	if (!many)
		return 0;
	if (q->n < 1 || q->best_of < 1)
		return err_set(e, EINVAL, "\"%s\": is %lld, 1 or more is expected; correct the request",
			       q->n < 1 ? "n" : "best_of", (long long)(q->n < 1 ? q->n : q->best_of));
	if (q->ep == ENDPOINT_OPENAI_COMPLETIONS && q->prompts > 1 &&
	    __builtin_mul_overflow(choices, q->prompts, &choices))
		return err_set(e, EINVAL, "\"n\": %lld answers to each of %lld prompts are too many to count; ask for fewer",
			       (long long)q->n, (long long)q->prompts);
	q->ask->choices = choices;
	return 0;
}

static void bound_tools(struct request *q)
{
	struct ask *ask = q->ask;
	bool calls_bounded = q->max_tool_calls >= 0, any = false;
	int64_t calls = calls_bounded ? q->max_tool_calls : -1;

	for (int kind = TOOL_CLIENT + 1; kind < TOOL_KINDS; kind++)
		any |= q->has_tool[kind];
	if (!any)
		return;
	ask->input_hidden = true; /* results are read as input */
	ask->unbounded_tools |= q->has_tool[TOOL_FEE] || !calls_bounded ||
				__builtin_add_overflow(calls, 1, &ask->passes);
	ask->max_searches = q->has_tool[TOOL_WEB_SEARCH] ? calls : 0;
	ask->max_file_searches = q->has_tool[TOOL_FILE_SEARCH] ? calls : 0;
	ask->max_code_sessions = q->has_tool[TOOL_CODE] ? calls : 0;
}

static void bound_input(struct request *q)
{
	struct ask *ask = q->ask;
	int64_t items = q->messages + q->input_items + q->prompts;
	int64_t tools = q->tools + q->functions;

	ask->extra_input_tokens = EXTRA_BASE + EXTRA_PER_ITEM * items;
	if (tools > 0)
		ask->extra_input_tokens += EXTRA_TOOLS + EXTRA_PER_TOOL * tools;
}

/* Models that search on every chat call, asked or not. */
static bool searches_always(const char *model)
{
	return strstr(model, "-search-preview") || strstr(model, "-search-api");
}

int openai_read_request(struct json *j, const struct openai_traits *t, enum endpoint ep, const char *body, size_t len,
			struct ask *ret, struct err *e)
{
	if (openai_is_media(ep))
		return openai_read_media(j, ep, body, len, ret, e);

	struct ask ask = { .tier = TIER_STANDARD, .choices = 1, .passes = 1, .body_bytes = (int64_t)len };
	struct request q = {
		.ask = &ask, .ep = ep, .n = 1, .best_of = 1,
		.max_tokens = ABSENT, .max_completion_tokens = ABSENT, .max_output_tokens = ABSENT, .max_tool_calls = -1,
	};
	bool known;
	int r = fields_read_known(j, body, len, fields, NFIELDS, &q, &known, e);

	if (r < 0)
		return r;
	if (ask.model[0] == '\0')
		return err_set(e, EINVAL, "\"model\": is missing; name the model that is to answer, it decides the price");
	if (ep == ENDPOINT_OPENAI_CHAT && searches_always(ask.model))
		return err_set(e, EINVAL, "\"model\": %s is charged per search, which its answers do not count; use the web_search tool of /responses",
			       ask.model);
	ask.stream = q.stream != 0;
	ask.cache_write = ep != ENDPOINT_OPENAI_EMBEDDINGS; /* caching is automatic */
	bound_output(&q, t);
	bound_tools(&q);
	bound_input(&q);
	steady_end(&q.steady, known && t->steady_input, &ask);
	r = bound_choices(&q, e);
	if (r < 0)
		return r;
	place_limit(&q, t, body, len);
	ask.output_sight = sight_of(&ask);
	ask.output_bursts = q.prediction_bytes > 0 || q.best_of > q.n;
	if (t->asks_for_usage && ask.stream && (ep == ENDPOINT_OPENAI_CHAT || ep == ENDPOINT_OPENAI_COMPLETIONS))
		r = ask_for_usage(&q, body, len);
	if (r < 0)
		return err_set(e, EINVAL, "body: is no JSON object; send one");
	*ret = ask;
	return 0;
}
