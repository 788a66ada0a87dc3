// SPDX-License-Identifier: Apache-2.0
/* cost_ask.c: see cost_ask.h. Carries values over; what they cost is cost.c's. */
#include "spend/cost_ask.h"

#include <errno.h>
#include <string.h>

static enum search_context search_context_of(const char *word)
{
	static const char *const words[SEARCH_CONTEXT_COUNT] = {
		[SEARCH_CONTEXT_LOW] = "low", [SEARCH_CONTEXT_MEDIUM] = "medium", [SEARCH_CONTEXT_HIGH] = "high",
	};

	for (int i = SEARCH_CONTEXT_UNKNOWN + 1; i < SEARCH_CONTEXT_COUNT; i++)
		if (!strcmp(word, words[i]))
			return (enum search_context)i;
	return SEARCH_CONTEXT_UNKNOWN;
}

int cost_ask_bounds(const struct ask *a, struct cost_bounds *ret, struct err *e)
{
	int64_t output = -1;

	if (a->unbounded_tools || a->max_searches < 0 || a->max_file_searches < 0 || a->max_code_sessions < 0)
		return err_set(e, ERANGE, "the tools of this request may loop without a bound; declare one (max_tool_calls, max_uses)");
	if (a->max_output >= 0 && __builtin_mul_overflow(a->max_output, a->choices, &output))
		return err_set(e, ERANGE, "the output bound is out of range");
	*ret = (struct cost_bounds){
		.input = a->body_bytes + a->extra_input_tokens,
		.input_is_model_max = a->input_hidden,
		.passes = a->passes,
		.output = output,
		.choices = a->choices,
		.cache_write = a->cache_write,
		.cache_write_1h = a->cache_write_1h,
		.audio = a->audio,
		.web_searches = a->max_searches,
		.file_searches = a->max_file_searches,
		.code_sessions = a->max_code_sessions,
		.images = a->images,
		.characters = a->characters,
		.audio_ms = a->audio_ms,
		.terms = {
			.tier = a->tier,
			.fast = a->fast,
			.geo = a->geo,
			.search_context = search_context_of(a->search_context),
			.image_quality = a->image_quality,
			.image_size = a->image_size,
		},
	};
	return 0;
}

int64_t cost_output_most(const struct price *p, const struct cost_bounds *b)
{
	int64_t all;

	if (b->output >= 0)
		return b->output;
	if (p->max_output < 0 || __builtin_mul_overflow(p->max_output, b->choices, &all))
		return -1;
	return all;
}

static bool is_text(enum endpoint e)
{
	return e == ENDPOINT_OPENAI_CHAT || e == ENDPOINT_OPENAI_RESPONSES || e == ENDPOINT_OPENAI_COMPLETIONS ||
	       e == ENDPOINT_ANTHROPIC_MESSAGES;
}

bool cost_ask_rolls(enum endpoint endpoint, const struct ask *a, int64_t output_rate)
{
	return a->stream && is_text(endpoint) && output_rate > 0 && !a->audio && !a->output_bursts;
}
