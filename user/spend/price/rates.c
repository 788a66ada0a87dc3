// SPDX-License-Identifier: Apache-2.0
/*
 * price/rates.c: which rates and sets of rates there are, by their names in a list, and a price of which nothing is known yet.
 */
#include <string.h>

#include "base/str.h"
#include "spend/price/own.h"

const struct price_rate_row price_rate_rows[RATES_COUNT + 1] = {
	{ "input", offsetof(struct rates, input) },
	{ "cache_read", offsetof(struct rates, cache_read) },
	{ "cache_write_5m", offsetof(struct rates, cache_write_5m) },
	{ "cache_write_1h", offsetof(struct rates, cache_write_1h) },
	{ "output", offsetof(struct rates, output) },
	{ "reasoning", offsetof(struct rates, reasoning) },
	{ "audio_input", offsetof(struct rates, audio_input) },
	{ "audio_cache_read", offsetof(struct rates, audio_cache_read) },
	{ "audio_output", offsetof(struct rates, audio_output) },
	{ "image_input", offsetof(struct rates, image_input) },
	{ "image_cache_read", offsetof(struct rates, image_cache_read) },
	{ "image_output", offsetof(struct rates, image_output) },
	{ "video_input", offsetof(struct rates, video_input) },
};

const char *const price_set_words[RATE_SETS] = {
	[TIER_STANDARD] = "standard", [TIER_FLEX] = "flex", [TIER_PRIORITY] = "priority", [TIER_BATCH] = "batch", [RATE_SET_FAST] = "fast",
};

femtousd *price_rate(struct rates *r, size_t row) { return (femtousd *)((char *)r + price_rate_rows[row].at); }

femtousd *price_rate_by_key(struct rates *r, struct str key)
{
	for (size_t i = 0; price_rate_rows[i].key; i++)
		if (str_eq(key, str_of(price_rate_rows[i].key)))
			return price_rate(r, i);
	return NULL;
}

void price_init(struct price *p)
{
	/* All-unknown is all bits set: PRICE_UNKNOWN is -1 in every rate. */
	*p = (struct price){
		.provider = "", .model = "", .source = "", .as_of = "undated", .per_file_search = PRICE_UNKNOWN, .per_code_session = PRICE_UNKNOWN,
		.per_audio_ms = PRICE_UNKNOWN, .per_video_ms = PRICE_UNKNOWN, .per_character = PRICE_UNKNOWN, .per_page = PRICE_UNKNOWN,
		.max_input = -1, .max_output = -1,
	};
	memset(p->sets, 0xff, sizeof(p->sets));
	memset(p->per_web_search, 0xff, sizeof(p->per_web_search));
}
