// SPDX-License-Identifier: Apache-2.0
/*
 * price/tiers.c: sets of rates in a price list: a tier, and the steps of long context with their tiers.
 */
#include <string.h>

#include "base/str.h"
#include "spend/price/read.h"

static int no_rate(struct price_reader *rd, const struct yaml_node *n, struct str key)
{
	return COMPLAIN(rd, n, key.p, "is not a rate; known are input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, "
			"audio_input, audio_cache_read, audio_output, image_input, image_cache_read, image_output, video_input");
}

int price_read_tier(struct price_reader *rd, const struct yaml_node *n, const char *tier, bool needs_output, struct rates *ret)
{
	memset(ret, 0xff, sizeof(*ret));
	if (yaml_kind(n) != YAML_MAP)
		return COMPLAIN(rd, n, tier, "is not a set of rates; write e.g. {input: 1.25, output: 10}");
	for (size_t i = 0; i < yaml_count(n); i++) {
		struct str key = yaml_key(n, i);
		femtousd *rate = price_rate_by_key(ret, key);
		int r = rate ? price_read_usd(rd, yaml_at(n, i), key.p, USD_PER_MILLION, rate) : no_rate(rd, yaml_at(n, i), key);

		if (r < 0)
			return r;
	}
	if (ret->input == PRICE_UNKNOWN || (needs_output && ret->output == PRICE_UNKNOWN))
		return COMPLAIN(rd, n, tier, "has no \"%s\" rate; add it, in USD per million tokens",
				ret->input == PRICE_UNKNOWN ? "input" : "output");
	return 0;
}

/* ---- long context */

static int read_above(struct price_reader *rd, const struct yaml_node *n, int64_t *ret)
{
	if (yaml_kind(n) == YAML_SCALAR && str_eq(yaml_scalar(n), STR("0"))) {
		*ret = 0;
		return 0;
	}
	return price_read_tokens(rd, n, "above", ret);
}

static int read_inclusive(struct price_reader *rd, const struct yaml_node *n, bool *ret)
{
	struct str s = yaml_scalar(n);

	if (yaml_kind(n) != YAML_SCALAR || (!str_eq(s, STR("true")) && !str_eq(s, STR("false"))))
		return COMPLAIN(rd, n, "inclusive", "is neither true nor false");
	*ret = str_eq(s, STR("true"));
	return 0;
}

static int read_long_key(struct price_reader *rd, const struct yaml_node *v, struct str key, bool needs_output, struct price_long *ret)
{
	if (str_eq(key, STR("above")))
		return read_above(rd, v, &ret->above);
	if (str_eq(key, STR("inclusive")))
		return read_inclusive(rd, v, &ret->inclusive);
	for (unsigned set = 0; set < RATE_SETS; set++)
		if (str_eq(key, str_of(price_set_words[set])))
			return price_read_tier(rd, v, key.p, needs_output, &ret->sets[set]);
	return COMPLAIN(rd, v, key.p, "is not known here; long_context has above, inclusive, standard, flex, priority, batch, fast");
}

static int read_one_long(struct price_reader *rd, const struct yaml_node *n, bool needs_output, struct price_long *ret)
{
	memset(ret->sets, 0xff, sizeof(ret->sets));
	if (yaml_kind(n) != YAML_MAP || !yaml_find(n, "above") || !yaml_find(n, "standard"))
		return COMPLAIN(rd, n, "long_context", "needs \"above\" (tokens) and \"standard\" (rates); write e.g. {above: 272000, "
				"standard: {input: 2.5, output: 15}}");
	for (size_t i = 0; i < yaml_count(n); i++) {
		int r = read_long_key(rd, yaml_at(n, i), yaml_key(n, i), needs_output, ret);

		if (r < 0)
			return r;
	}
	return 0;
}

int price_read_long_context(struct price_reader *rd, const struct yaml_node *n, bool needs_output, struct price *p)
{
	int r;
	struct price_long *l = price_read_several(rd, n, "long_context", sizeof(*l), &r);

	for (size_t i = 0; r == 0 && i < price_read_count(n); i++) {
		r = read_one_long(rd, price_read_one(n, i), needs_output, &l[i]);
		if (r == 0 && i > 0 && l[i].above <= l[i - 1].above)
			r = COMPLAIN(rd, price_read_one(n, i), "long_context", "is not above the one before it; write them from the lowest \"above\" to the highest");
	}
	if (r == 0) {
		p->longs = l;
		p->nlongs = price_read_count(n);
	}
	return r;
}
