// SPDX-License-Identifier: Apache-2.0
/*
 * openai_usage.c: turns the usage objects of the OpenAI family into inclusive counters. Most hosts count cached tokens
 * in the input and reasoning in the output already; two do not, and only their total tells.
 */
#include "provider/openai_usage.h"

#include "provider/reading.h"

void openai_usage_init(struct openai_usage *k)
{
	for (int i = 0; i < USAGE_KEYS; i++)
		k->key[i] = -1;
	k->bad = false;
}

void openai_usage_take(struct openai_usage *k, enum usage_key key, const struct json_value *v)
{
	int64_t n, *have = &k->key[key];

	if (token_count(v, &n) < 0) {
		k->bad = true;
		return;
	}
	if (n < 0)
		return;
	/* Fewer cached tokens are dearer; of all else more is. */
	bool is_discount = key == USAGE_CACHE_READ || key == USAGE_AUDIO_CACHE_READ;

	if (*have < 0 || (is_discount ? n < *have : n > *have))
		*have = n;
}

static int64_t at_least_0(int64_t n)
{
	return n > 0 ? n : 0;
}

/*
 * xAI counts reasoning beside completion_tokens; Gemini's OpenAI-shaped API leaves thinking out of both and shows it in
 * the total only. Any other total that does not add up is the provider's own riddle: taken as reported.
 */
static int64_t output_of(const struct openai_usage *k)
{
	int64_t input = at_least_0(k->key[USAGE_INPUT]), output = at_least_0(k->key[USAGE_OUTPUT]);
	int64_t reasoning = at_least_0(k->key[USAGE_REASONING]), total = k->key[USAGE_TOTAL];
	bool plain = reasoning == 0 && k->key[USAGE_CACHE_READ] <= 0;

	if (k->key[USAGE_INPUT] < 0 || total <= input + output)
		return output;
	if (total == input + output + reasoning)
		return output + reasoning;
	return plain ? total - input : output;
}

static void put(int64_t said, int64_t *to)
{
	if (said >= 0)
		*to = said;
}

bool openai_usage_apply(const struct openai_usage *k, enum endpoint ep, struct usage *u)
{
	const int64_t *key = k->key;
	bool any = key[USAGE_INPUT] > 0 || key[USAGE_OUTPUT] > 0 || key[USAGE_TOTAL] > 0;

	if (k->bad || !any)
		return false;
	put(key[USAGE_INPUT], &u->input);
	put(key[USAGE_CACHE_READ], &u->cache_read);
	put(key[USAGE_CACHE_WRITE], &u->cache_write_5m);
	put(key[USAGE_REASONING], &u->reasoning);
	put(key[USAGE_AUDIO_INPUT], &u->audio_input);
	put(key[USAGE_AUDIO_OUTPUT], &u->audio_output);
	put(key[USAGE_AUDIO_CACHE_READ], &u->audio_cache_read);
	put(key[USAGE_IMAGE_INPUT], &u->image_input);
	put(key[USAGE_IMAGE_OUTPUT], &u->image_output);
	/* Counted from the answer's items as well: the larger is right. */
	if (key[USAGE_SEARCHES] > u->web_searches)
		u->web_searches = key[USAGE_SEARCHES];
	if (ep != ENDPOINT_OPENAI_EMBEDDINGS && (key[USAGE_OUTPUT] >= 0 || key[USAGE_TOTAL] >= 0))
		u->output = output_of(k);
	return true;
}
