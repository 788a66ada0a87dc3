// SPDX-License-Identifier: Apache-2.0
/*
 * openai_bounds.c: the bounds of a hold for a request of the OpenAI family.
 *
 * Input: a byte-level tokenizer never makes more tokens than there are bytes, so the body bounds all text in
 * it; what the provider adds unseen has an allowance:
 *
 *	64 + 16 per message, input item or prompt (chat template) + 512 and 16 per tool if there are tools
 *
 * Output: where several limits stand, the largest; 0 or less bounds nothing. A prediction's rejected tokens are
 * charged, so its bytes are added.
 *
 * Server tools with a fee that the answer counts (web and file searches, code interpreters in their smallest container) are
 * bounded by max_tool_calls, each at as many calls.
 */
#include "provider/openai_request.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

#define EXTRA_BASE 64
#define EXTRA_PER_ITEM 16
#define EXTRA_TOOLS 512
#define EXTRA_PER_TOOL 16
#define COMPLETIONS_DEFAULT 16 /* documented default of max_tokens */

/* The larger of two limits that may be absent; -1 if none bounds anything. */
static int64_t larger_limit(int64_t a, int64_t b)
{
	int64_t most = a > b ? a : b;

	if (most == ABSENT || (a != ABSENT && a < 1) || (b != ABSENT && b < 1))
		return -1;
	return most;
}

static void bound_output(struct openai_request *q, const struct openai_traits *t)
{
	struct ask *ask = q->common.ask;

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

static int bound_choices(struct openai_request *q, struct err *e)
{
	bool many = q->ep == ENDPOINT_OPENAI_CHAT || q->ep == ENDPOINT_OPENAI_COMPLETIONS;
	int64_t choices = q->n > q->best_of ? q->n : q->best_of;

	q->common.ask->choices = 1;
	if (!many)
		return 0;
	if (q->n < 1 || q->best_of < 1)
		return err_set(e, EINVAL, "\"%s\": is %lld, 1 or more is expected; correct the request",
			       q->n < 1 ? "n" : "best_of", (long long)(q->n < 1 ? q->n : q->best_of));
	if (q->ep == ENDPOINT_OPENAI_COMPLETIONS && q->prompts > 1 &&
	    __builtin_mul_overflow(choices, q->prompts, &choices))
		return err_set(e, EINVAL, "\"n\": %lld answers to each of %lld prompts are too many to count; ask for fewer",
			       (long long)q->n, (long long)q->prompts);
	q->common.ask->choices = choices;
	return 0;
}

static void bound_tools(struct openai_request *q)
{
	struct ask *ask = q->common.ask;
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

static void bound_input(struct openai_request *q)
{
	struct ask *ask = q->common.ask;
	int64_t items = q->common.messages + q->input_items + q->prompts;
	int64_t tools = q->common.tools + q->functions;

	ask->extra_input_tokens = EXTRA_BASE + EXTRA_PER_ITEM * items;
	if (tools > 0)
		ask->extra_input_tokens += EXTRA_TOOLS + EXTRA_PER_TOOL * tools;
}

/* ---- what will be seen of the output */

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

int openai_bound(struct openai_request *q, const struct openai_traits *t, struct err *e)
{
	struct ask *ask = q->common.ask;

	bound_output(q, t);
	bound_tools(q);
	bound_input(q);
	ask->output_sight = sight_of(ask);
	ask->output_bursts = q->prediction_bytes > 0 || q->best_of > q->n;
	return bound_choices(q, e);
}
