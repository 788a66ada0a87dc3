// SPDX-License-Identifier: Apache-2.0
/*
 * openai_request.c: what stands in a request of the OpenAI family, as far as it decides about money. What it bounds is openai_bounds.c,
 * what is changed in it openai_edits.c.
 *
 * Input that is not text in the body (images, audio, files, stored answers, conversations and prompts, results of server
 * tools) is `input_hidden`. Images count as hidden also when they come inside the body: a small file may be a large picture.
 *
 * Tier: what the answer may have at the dearest. "flex" is held at the standard price, since a host without that tier answers
 * at the standard one; "ultrafast" is a multiple of the standard price (`fast`). No service_tier means the project's default at OpenAI:
 * held as standard; "auto" is UNKNOWN.
 *
 * Refused, as their price cannot be known from what we read: background answers (settle elsewhere), several candidate
 * models, searches that the answer does not count.
 */
#include "provider/openai_request.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

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

static int read_tier(void *ctx, const struct json_value *v, struct err *e)
{
	struct request *q = ctx;

	q->ask->fast = str_is(v->s, "ultrafast");
	q->ask->tier = q->ask->fast ? TIER_STANDARD : word_value(tier_words, v->s, TIER_UNKNOWN);
	return 0;
}

static int take_limit(struct openai_request *q, int which, int64_t *to, const struct json_value *v)
{
	q->limits[which] = *v;
	if (v->kind == JSON_INT)
		*to = v->i;
	return 0;
}

static int read_max_tokens(void *ctx, const struct json_value *v, struct err *e)
{
	struct openai_request *q = ctx;

	return take_limit(q, LIMIT_TOKENS, &q->max_tokens, v);
}

static int read_max_completion_tokens(void *ctx, const struct json_value *v, struct err *e)
{
	struct openai_request *q = ctx;

	return take_limit(q, LIMIT_COMPLETION, &q->max_completion_tokens, v);
}

static int read_max_output_tokens(void *ctx, const struct json_value *v, struct err *e)
{
	struct openai_request *q = ctx;

	return take_limit(q, LIMIT_OUTPUT, &q->max_output_tokens, v);
}

static int read_options(void *ctx, const struct json_value *v, struct err *e)
{
	((struct openai_request *)ctx)->options = *v;
	return 0;
}

static int read_include_usage(void *ctx, const struct json_value *v, struct err *e)
{
	((struct openai_request *)ctx)->include_usage = *v;
	return 0;
}

static int read_item_type(void *ctx, const struct json_value *v, struct err *e)
{
	note_take(&((struct openai_request *)ctx)->item_type, v);
	return 0;
}

static int read_item_encrypted(void *ctx, const struct json_value *v, struct err *e)
{
	((struct openai_request *)ctx)->item_encrypted = v->kind == JSON_STRING;
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
	struct openai_request *q = ctx;

	if (v->kind != JSON_INT && v->kind != JSON_NUMBER)
		q->input_items++;
	/* These name something that the provider has stored. */
	q->common.steady.type = q->item_type;
	steady_part(&q->common.steady, known, v);
	if (note_is(&q->item_type, "item_reference") || (note_is(&q->item_type, "reasoning") && !q->item_encrypted))
		q->common.ask->input_hidden = true;
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
		((struct openai_request *)ctx)->prompts++;
	return 0;
}

static int read_search_context(void *ctx, const struct json_value *v, struct err *e)
{
	note_take(&((struct openai_request *)ctx)->search_context, v);
	return 0;
}

/* "medium" is the documented default. Searches do not tell of which tool they were. */
static void take_search_context(struct openai_request *q)
{
	struct str said = q->search_context.text[0] ? note_str(&q->search_context) : STR("medium");
	bool fits = said.n < sizeof(q->common.ask->search_context);

	q->contexts_differ |= !fits || (q->has_tool[TOOL_WEB_SEARCH] && !str_is(said, q->common.ask->search_context));
	(void)str_copy(q->common.ask->search_context, sizeof(q->common.ask->search_context), q->contexts_differ ? STR("") : said);
}

static int read_tool(void *ctx, const struct json_value *v, struct err *e)
{
	struct openai_request *q = ctx;
	const struct word *table = q->ep == ENDPOINT_OPENAI_RESPONSES ? responses_tools : chat_tools;
	enum tool_kind kind = word_value(table, note_str(&q->common.tool_type), TOOL_FEE);

	if (kind == TOOL_WEB_SEARCH)
		take_search_context(q);
	q->has_tool[kind] = true;
	note_clear(&q->search_context);
	request_tool_end(&q->common);
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

static int read_input(void *ctx, const struct json_value *v, struct err *e)
{
	((struct request *)ctx)->steady.conversation_end = v->end;
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
	((struct openai_request *)ctx)->prediction_bytes = (int64_t)(v->end - v->at);
	return 0;
}

#define INTEGER(name, member) { name, KIND_INT, .once = true, .to = offsetof(struct openai_request, member) }

static const struct field fields[] = {
	{ "model", KIND_STRING, .once = true, .read = request_model },
	{ "stream", KIND_BOOL, .once = true, .to = offsetof(struct openai_request, common.stream) },
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

	{ "messages", KIND_ARRAY, .once = true, .read = request_messages },
	{ "input", KIND_ANY, .once = true, .read = read_input },
	{ "input[]", KIND_ANY, .nulls = true, .read = read_item },
	{ "input[].type", KIND_ANY, .read = read_item_type },
	{ "input[].encrypted_content", KIND_ANY, .read = read_item_encrypted },
	{ "prompt", KIND_ANY, .once = true, .read = read_prompt },
	{ "prompt[]", KIND_ANY, .nulls = true, .read = read_prompt_item },
	{ "previous_response_id", KIND_STRING, .once = true, .read = request_hidden },
	{ "conversation", KIND_STRING | KIND_OBJECT, .once = true, .read = request_hidden },
	{ "context_management", KIND_ANY, .once = true, .read = request_unbounded },

	{ "tools", KIND_ARRAY, .once = true, .read = request_tools },
	{ "tools[]", KIND_ANY, .nulls = true, .read = read_tool },
	{ "tools[].type", KIND_ANY, .nulls = true, .read = request_tool_type },
	{ "tools[].search_context_size", KIND_ANY, .read = read_search_context },
	{ "tools[].container.memory_limit", KIND_ANY, .read = read_container_size },
	{ "prompt_cache_options.ttl", KIND_ANY, .once = true, .read = read_cache_ttl },
	{ "functions", KIND_ARRAY, .once = true, .to = offsetof(struct openai_request, functions) },

	/* For input_steady: what is known to change nothing about what is read, and what may. */
#define HARMLESS(name) { name, KIND_ANY, .nulls = true, .read = request_nothing }
	HARMLESS("temperature"), HARMLESS("top_p"), HARMLESS("stop"), HARMLESS("seed"), HARMLESS("user"), HARMLESS("metadata"),
	HARMLESS("store"), HARMLESS("logprobs"), HARMLESS("top_logprobs"), HARMLESS("presence_penalty"), HARMLESS("frequency_penalty"),
	HARMLESS("logit_bias"), HARMLESS("response_format"), HARMLESS("parallel_tool_calls"), HARMLESS("verbosity"),
	HARMLESS("prompt_cache_key"), HARMLESS("prompt_cache_retention"), HARMLESS("prompt_cache_options"),
	HARMLESS("safety_identifier"), HARMLESS("include"), HARMLESS("reasoning"), HARMLESS("text"),
	{ "instructions", KIND_ANY, .read = request_system },
	{ "truncation", KIND_ANY, .read = read_truncation },
	{ "tool_choice", KIND_ANY, .read = read_choice },
	{ "tool_choice.type", KIND_ANY, .nulls = true, .read = read_choice_type },
	{ "tools[].defer_loading", KIND_ANY, .read = request_doubt },
	{ "messages[].reasoning_content", KIND_ANY, .read = request_doubt },
	{ "messages[].reasoning", KIND_ANY, .read = request_doubt },
	{ "messages[].content[].type", KIND_ANY, .nulls = true, .read = read_part_type },
	{ "input[].content[].type", KIND_ANY, .nulls = true, .read = read_part_type },
	{ "input[].output[].type", KIND_ANY, .nulls = true, .read = read_part_type },

	{ "**.image_url", KIND_ANY, .read = request_hidden_string },
	{ "**.image_url.url", KIND_ANY, .read = request_hidden_string },
	{ "**.video_url", KIND_ANY, .read = request_hidden_string },
	{ "**.video_url.url", KIND_ANY, .read = request_hidden_string },
	{ "**.audio_url", KIND_ANY, .read = request_hidden_string },
	{ "**.audio_url.url", KIND_ANY, .read = request_hidden_string },
	{ "**.file_id", KIND_ANY, .read = request_hidden_string },
	{ "**.file_url", KIND_ANY, .read = request_hidden_string },
	{ "**.file_data", KIND_ANY, .read = request_hidden_string },
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
	struct openai_request q = {
		.common.ask = &ask, .ep = ep, .n = 1, .best_of = 1,
		.max_tokens = ABSENT, .max_completion_tokens = ABSENT, .max_output_tokens = ABSENT, .max_tool_calls = -1,
	};
	bool known;
	int r = fields_read_known(j, body, len, fields, NFIELDS, &q, &known, e);

	if (r == 0)
		r = request_names_model(&ask, e);
	if (r < 0)
		return r;
	if (ep == ENDPOINT_OPENAI_CHAT && searches_always(ask.model))
		return err_set(e, EINVAL, "\"model\": %s is charged per search, which its answers do not count; use the web_search tool of /responses",
			       ask.model);
	ask.stream = q.common.stream != 0;
	ask.cache_write = ep != ENDPOINT_OPENAI_EMBEDDINGS; /* caching is automatic */
	r = openai_bound(&q, t, e);
	if (r < 0)
		return r;
	steady_end(&q.common.steady, known && t->steady_input, &ask);
	openai_place_limit(&q, t, body, len);
	if (t->asks_for_usage && ask.stream && (ep == ENDPOINT_OPENAI_CHAT || ep == ENDPOINT_OPENAI_COMPLETIONS))
		r = openai_ask_for_usage(&q, body, len);
	if (r < 0)
		return err_set(e, EINVAL, "body: is no JSON object; send one");
	*ret = ask;
	return 0;
}
