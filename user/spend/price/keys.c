// SPDX-License-Identifier: Apache-2.0
/*
 * price/keys.c: the keys of one price in a list, each to what reads it: rates (here), tiers and long context (tiers.c), hours (off_peak.c),
 * factors, fees and pictures (here). docs/prices.md has the meaning of each key.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "spend/price/read.h"

/* ---- factors, fees, pictures */

static int read_factors(struct price_reader *rd, const struct yaml_node *n, const char *key, const struct price_factor **ret, size_t *ret_n)
{
	size_t count = yaml_count(n);
	struct price_factor *f;

	if (yaml_kind(n) != YAML_MAP || count == 0 || count > PRICE_SEVERAL_MAX)
		return COMPLAIN(rd, n, key, "is not a set of factors; write e.g. {us: 1.1}");
	f = price_list_room(rd->list, count * sizeof(*f));
	if (!f)
		return price_read_no_memory(rd);
	for (size_t i = 0; i < count; i++) {
		struct str name = yaml_key(n, i);
		int r;

		if (name.n == 0 || name.n > 15 || str_eq(name, STR("*")))
			return COMPLAIN(rd, yaml_at(n, i), key, "has a name that is no place; write 1 to 15 characters, e.g. us");
		f[i].name = price_list_text(rd->list, name);
		r = f[i].name ? price_read_factor(rd, yaml_at(n, i), name.p, &f[i].permille) : price_read_no_memory(rd);
		if (r < 0)
			return r;
	}
	*ret = f;
	*ret_n = count;
	return 0;
}

/* Fast mode: a factor on everything, or rates of its own. */
static int read_fast(struct price_reader *rd, const struct yaml_node *n, bool has_output, struct price *p)
{
	if (yaml_kind(n) == YAML_SCALAR)
		return price_read_factor(rd, n, "fast", &p->fast_permille);
	return price_read_tier(rd, n, "fast", has_output, &p->sets[RATE_SET_FAST]);
}

static int read_web_search(struct price_reader *rd, const struct yaml_node *n, struct price *p)
{
	static const char *const sizes[SEARCH_CONTEXT_COUNT] = { "", "low", "medium", "high" };
	femtousd *fee = p->per_web_search;
	int r = 0;

	if (yaml_kind(n) == YAML_SCALAR) {
		r = price_read_usd(rd, n, "web_search", USD_PER_THOUSAND, &fee[0]);
		for (unsigned i = 1; r == 0 && i < SEARCH_CONTEXT_COUNT; i++)
			fee[i] = fee[0];
		return r;
	}
	if (yaml_kind(n) != YAML_MAP || yaml_count(n) != SEARCH_CONTEXT_COUNT - 1)
		return COMPLAIN(rd, n, "web_search", "is neither an amount nor one for each of low, medium, high; write e.g. 10, or {low: 5, medium: 8, high: 12}");
	for (unsigned i = 1; r == 0 && i < SEARCH_CONTEXT_COUNT; i++) {
		const struct yaml_node *v = yaml_find(n, sizes[i]);

		r = v ? price_read_usd(rd, v, sizes[i], USD_PER_THOUSAND, &fee[i])
		      : COMPLAIN(rd, n, "web_search", "has no \"%s\"; write e.g. {low: 5, medium: 8, high: 12}", sizes[i]);
		fee[0] = r == 0 && fee[i] > fee[0] ? fee[i] : fee[0];
	}
	return r;
}

/* "1024x1024", "hd", "hd/1024x1024", "any": what begins with a digit is a size. */
static int image_name(struct price_reader *rd, struct str name, struct price_image *ret)
{
	struct str rest = name, first = str_cut(&rest, '/');
	bool both = rest.p && first.n < name.n, is_size = name.n && name.p[0] >= '0' && name.p[0] <= '9';

	if (str_eq(name, STR("any")))
		first = STR("");
	ret->quality = price_list_text(rd->list, both || !is_size ? first : STR(""));
	ret->size = price_list_text(rd->list, both ? rest : is_size ? first : STR(""));
	return ret->quality && ret->size ? 0 : -ENOMEM;
}

#define IMAGES_MAX 64

static int read_image(struct price_reader *rd, const struct yaml_node *n, const char *key, const struct price_image **ret, size_t *ret_n)
{
	bool one = yaml_kind(n) == YAML_SCALAR;
	size_t count = one ? 1 : yaml_count(n);
	struct price_image *images;

	if (yaml_kind(n) == YAML_LIST || count == 0 || count > IMAGES_MAX)
		return COMPLAIN(rd, n, key, "is neither an amount nor amounts by size; write e.g. 40, or {1024x1024: 40, hd/1024x1024: 80}");
	images = price_list_room(rd->list, count * sizeof(*images));
	if (!images)
		return price_read_no_memory(rd);
	for (size_t i = 0; i < count; i++) {
		struct str name = one ? STR("") : yaml_key(n, i);
		int r;

		if (name.n > 31)
			return COMPLAIN(rd, yaml_at(n, i), name.p, "is too long for a size or a quality; write e.g. hd/1024x1024");
		if (image_name(rd, name, &images[i]) < 0)
			return price_read_no_memory(rd);
		r = price_read_usd(rd, one ? n : yaml_at(n, i), one ? key : name.p, USD_PER_THOUSAND, &images[i].each);
		if (r < 0)
			return r;
	}
	*ret = images;
	*ret_n = count;
	return 0;
}

/* ---- one entry */

enum entry_key { KEY_ALIASES, KEY_SOURCE, KEY_AS_OF, KEY_FROM, KEY_TO, KEY_KIND, KEY_FLEX, KEY_PRIORITY, KEY_BATCH, KEY_FAST,
		 KEY_LONG, KEY_OFF_PEAK, KEY_GEO, KEY_REGIONAL, KEY_WEB_SEARCH, KEY_IMAGE, KEY_REPORTED, KEY_MAX_INPUT, KEY_MAX_OUTPUT,
		 KEY_COUNT };
static const char *const entry_keys[KEY_COUNT] = {
	[KEY_ALIASES] = "aliases", [KEY_SOURCE] = "source", [KEY_AS_OF] = "as_of", [KEY_FROM] = "from", [KEY_TO] = "to",
	[KEY_KIND] = "kind", [KEY_FLEX] = "flex", [KEY_PRIORITY] = "priority", [KEY_BATCH] = "batch", [KEY_FAST] = "fast",
	[KEY_LONG] = "long_context", [KEY_OFF_PEAK] = "off_peak", [KEY_GEO] = "geo", [KEY_REGIONAL] = "regional",
	[KEY_WEB_SEARCH] = "web_search", [KEY_IMAGE] = "image", [KEY_REPORTED] = "reported", [KEY_MAX_INPUT] = "max_input",
	[KEY_MAX_OUTPUT] = "max_output",
};

/* Fees that are one amount. Seconds are per thousand too, which is per million milliseconds. */
static const struct { const char *key; size_t at; int64_t scale; } fee_rows[] = {
	{ "per_request", offsetof(struct price, per_request), USD_PER_THOUSAND },
	{ "file_search", offsetof(struct price, per_file_search), USD_PER_THOUSAND },
	{ "code_session", offsetof(struct price, per_code_session), USD_PER_THOUSAND },
	{ "page", offsetof(struct price, per_page), USD_PER_THOUSAND },
	{ "audio_second", offsetof(struct price, per_audio_ms), USD_PER_MILLION },
	{ "video_second", offsetof(struct price, per_video_ms), USD_PER_MILLION },
	{ "character", offsetof(struct price, per_character), USD_PER_MILLION },
};

static int read_as_of(struct price_reader *rd, const struct yaml_node *v, struct price *p)
{
	int64_t ignored;
	int r = price_read_date(rd, v, "as_of", &ignored);

	return r < 0 ? r : price_read_text(rd, v, "as_of", &p->as_of);
}

static int read_named_key(struct price_reader *rd, const struct yaml_node *v, struct str key, bool has_output, struct price *p)
{
	enum entry_key k = 0;

	while (k < KEY_COUNT && !str_eq(key, str_of(entry_keys[k])))
		k++;
	switch (k) {
	case KEY_ALIASES: /* price.c */
	case KEY_KIND:    /* read_kind */
		return 0;
	case KEY_SOURCE:
		return price_read_text(rd, v, key.p, &p->source);
	case KEY_AS_OF:
		return read_as_of(rd, v, p);
	case KEY_FROM:
		return price_read_date(rd, v, key.p, &p->from_s);
	case KEY_TO:
		return price_read_date(rd, v, key.p, &p->to_s);
	case KEY_FLEX:
		return price_read_tier(rd, v, key.p, has_output, &p->sets[TIER_FLEX]);
	case KEY_PRIORITY:
		return price_read_tier(rd, v, key.p, has_output, &p->sets[TIER_PRIORITY]);
	case KEY_BATCH:
		return price_read_tier(rd, v, key.p, has_output, &p->sets[TIER_BATCH]);
	case KEY_FAST:
		return read_fast(rd, v, has_output, p);
	case KEY_LONG:
		return price_read_long_context(rd, v, has_output, p);
	case KEY_OFF_PEAK:
		return price_read_off_peak(rd, v, p);
	case KEY_GEO:
		return read_factors(rd, v, key.p, &p->geo, &p->ngeo);
	case KEY_REGIONAL:
		return read_factors(rd, v, key.p, &p->regional, &p->nregional);
	case KEY_WEB_SEARCH:
		return read_web_search(rd, v, p);
	case KEY_IMAGE:
		return read_image(rd, v, key.p, &p->images, &p->nimages);
	case KEY_REPORTED:
		return price_read_reported(rd, v, &p->reported);
	case KEY_MAX_INPUT:
		return price_read_tokens(rd, v, key.p, &p->max_input);
	case KEY_MAX_OUTPUT:
		return price_read_tokens(rd, v, key.p, &p->max_output);
	default:
		return COMPLAIN(rd, v, key.p, "is not known in a price; see docs/prices.md for the keys");
	}
}

static int read_entry_key(struct price_reader *rd, const struct yaml_node *v, struct str key, bool has_output, struct price *p)
{
	femtousd *rate = price_rate_by_key(&p->sets[TIER_STANDARD], key);

	if (rate)
		return price_read_usd(rd, v, key.p, USD_PER_MILLION, rate);
	for (size_t i = 0; i < sizeof(fee_rows) / sizeof(fee_rows[0]); i++)
		if (str_eq(key, str_of(fee_rows[i].key)))
			return price_read_usd(rd, v, key.p, fee_rows[i].scale, (femtousd *)((char *)p + fee_rows[i].at));
	return read_named_key(rd, v, key, has_output, p);
}

enum kind { KIND_TEXT, KIND_EMBEDDING, KIND_MEDIA, KIND_COUNT };

static int read_kind(struct price_reader *rd, const struct yaml_node *n, enum kind *ret)
{
	static const char *const words[KIND_COUNT] = { "text", "embedding", "media" };
	const struct yaml_node *kind = yaml_find(n, "kind");

	*ret = KIND_TEXT;
	for (unsigned i = 0; kind && i <= KIND_COUNT; i++) {
		if (i == KIND_COUNT)
			return COMPLAIN(rd, kind, "kind", "is not a kind of model; write text, embedding or media");
		if (str_eq(yaml_scalar(kind), str_of(words[i]))) {
			*ret = (enum kind)i;
			break;
		}
	}
	return 0;
}

static bool has_unit(const struct price *p)
{
	return p->nimages || p->per_audio_ms >= 0 || p->per_video_ms >= 0 || p->per_character >= 0 || p->per_page >= 0 || p->per_request > 0;
}

static int check_media(struct price_reader *rd, const struct yaml_node *n, const struct price *p)
{
	const struct rates *r = &p->sets[TIER_STANDARD];

	if (r->input == PRICE_UNKNOWN && !has_unit(p))
		return COMPLAIN(rd, n, p->model, "is of kind media and has no price; add image, audio_second, video_second, character, page or "
				"per_request, or input and output");
	for (size_t i = 0; r->input == PRICE_UNKNOWN && i < RATES_COUNT; i++)
		if (*price_rate((struct rates *)r, i) != PRICE_UNKNOWN)
			return COMPLAIN(rd, n, p->model, "has a rate \"%s\" but no \"input\"; add input (0 if it is not charged)", price_rate_rows[i].key);
	return 0;
}

static int check_entry(struct price_reader *rd, const struct yaml_node *n, enum kind kind, struct price *p)
{
	const struct rates *r = &p->sets[TIER_STANDARD];

	if (p->to_s && p->to_s <= p->from_s)
		return COMPLAIN(rd, n, p->model, "ends before it begins; \"to\" is the first day on which it does not hold any more");
	if (kind == KIND_MEDIA)
		return check_media(rd, n, p);
	if (r->input == PRICE_UNKNOWN)
		return COMPLAIN(rd, n, p->model, "has no \"input\" price; add it, in USD per million tokens");
	if (kind == KIND_TEXT && r->output == PRICE_UNKNOWN)
		return COMPLAIN(rd, n, p->model, "has no \"output\" price; add it, in USD per million tokens, or say kind: embedding");
	if (kind == KIND_EMBEDDING && r->output != PRICE_UNKNOWN)
		return COMPLAIN(rd, n, p->model, "is of kind embedding but has an \"output\" price; take one of the two away");
	return 0;
}

int price_read_entry(struct price_reader *rd, const struct yaml_node *n, struct price *p)
{
	enum kind kind;
	int r = read_kind(rd, n, &kind);

	p->is_media = kind == KIND_MEDIA;
	for (size_t i = 0; r == 0 && i < yaml_count(n); i++)
		r = read_entry_key(rd, yaml_at(n, i), yaml_key(n, i), kind == KIND_TEXT, p);
	if (r == 0)
		r = check_entry(rd, n, kind, p);
	return r < 0 ? r : price_check_off_peak(rd, n, p);
}
