// SPDX-License-Identifier: Apache-2.0
/*
 * openai_usage.h: the usage object of the OpenAI family, in all the spellings that hosts give it. Private to the
 * openai_*.c files.
 *
 * Inside one event the dearer of two spellings counts (Groq gives the same figures twice); from event to event a later
 * value replaces an earlier one, key by key; nothing is ever summed.
 */
#ifndef PURSE_PROVIDER_OPENAI_USAGE_H
#define PURSE_PROVIDER_OPENAI_USAGE_H

#include "provider/provider.h"

enum usage_key {
	USAGE_INPUT,
	USAGE_CACHE_READ,
	USAGE_CACHE_WRITE,
	USAGE_OUTPUT,
	USAGE_REASONING,
	USAGE_AUDIO_INPUT,
	USAGE_AUDIO_OUTPUT,
	USAGE_TOTAL,
	USAGE_SEARCHES,
	USAGE_AUDIO_CACHE_READ,
	USAGE_IMAGE_INPUT,
	USAGE_IMAGE_OUTPUT,
	USAGE_UNCOUNTED, /* tokens with a price of their own that no counter of ours tells */
	USAGE_KEYS,
};

/* The wants of one usage object that stands at path `at` (a literal, with its final dot); ids are base + enum usage_key. */
#define OPENAI_USAGE_WANTS(at, base) \
	{ at "prompt_tokens", (base) + USAGE_INPUT }, \
	{ at "input_tokens", (base) + USAGE_INPUT }, \
	{ at "completion_tokens", (base) + USAGE_OUTPUT }, \
	{ at "output_tokens", (base) + USAGE_OUTPUT }, \
	{ at "total_tokens", (base) + USAGE_TOTAL }, \
	{ at "prompt_tokens_details.cached_tokens", (base) + USAGE_CACHE_READ }, \
	{ at "input_tokens_details.cached_tokens", (base) + USAGE_CACHE_READ }, \
	{ at "prompt_cache_hit_tokens", (base) + USAGE_CACHE_READ },   /* DeepSeek */ \
	{ at "cached_tokens", (base) + USAGE_CACHE_READ },             /* Together, Moonshot */ \
	{ at "num_cached_tokens", (base) + USAGE_CACHE_READ },         /* Mistral */ \
	{ at "cached_prompt_text_tokens", (base) + USAGE_CACHE_READ }, /* xAI */ \
	{ at "prompt_tokens_details.cache_write_tokens", (base) + USAGE_CACHE_WRITE }, \
	{ at "input_tokens_details.cache_write_tokens", (base) + USAGE_CACHE_WRITE }, \
	{ at "completion_tokens_details.reasoning_tokens", (base) + USAGE_REASONING }, \
	{ at "output_tokens_details.reasoning_tokens", (base) + USAGE_REASONING }, \
	{ at "reasoning_tokens", (base) + USAGE_REASONING }, \
	{ at "prompt_tokens_details.audio_tokens", (base) + USAGE_AUDIO_INPUT }, \
	{ at "input_tokens_details.audio_tokens", (base) + USAGE_AUDIO_INPUT }, \
	{ at "completion_tokens_details.audio_tokens", (base) + USAGE_AUDIO_OUTPUT }, \
	{ at "output_tokens_details.audio_tokens", (base) + USAGE_AUDIO_OUTPUT }, \
	{ at "input_token_details.audio_tokens", (base) + USAGE_AUDIO_INPUT }, /* transcriptions */ \
	{ at "prompt_tokens_details.cached_tokens_details.audio_tokens", (base) + USAGE_AUDIO_CACHE_READ }, \
	{ at "input_tokens_details.cached_tokens_details.audio_tokens", (base) + USAGE_AUDIO_CACHE_READ }, \
	{ at "prompt_tokens_details.image_tokens", (base) + USAGE_IMAGE_INPUT }, \
	{ at "input_tokens_details.image_tokens", (base) + USAGE_IMAGE_INPUT }, \
	{ at "completion_tokens_details.image_tokens", (base) + USAGE_IMAGE_OUTPUT }, \
	{ at "output_tokens_details.image_tokens", (base) + USAGE_IMAGE_OUTPUT }, \
	{ at "prompt_tokens_details.video_tokens", (base) + USAGE_UNCOUNTED }, \
	{ at "completion_tokens_details.video_tokens", (base) + USAGE_UNCOUNTED }, \
	{ at "citation_tokens", (base) + USAGE_UNCOUNTED },     /* Perplexity, beside all others */ \
	{ at "num_search_queries", (base) + USAGE_SEARCHES },   /* Perplexity */ \
	{ at "server_tool_use_details.web_search_requests", (base) + USAGE_SEARCHES }, /* OpenRouter */ \
	{ at "num_server_side_tools_used", (base) + USAGE_SEARCHES }                   /* xAI, charged per call */

struct openai_usage {
	int64_t key[USAGE_KEYS]; /* -1 = not said */
	bool bad;                /* holds something that cannot be a count: the object is as good as missing */
};

void openai_usage_init(struct openai_usage *k);
void openai_usage_take(struct openai_usage *k, enum usage_key key, const struct json_value *v);
/* Puts what was said over *u. False: nothing usable was said (missing, null, all zero, bad), *u is as before. */
bool openai_usage_apply(const struct openai_usage *k, enum endpoint ep, struct usage *u);

#endif
