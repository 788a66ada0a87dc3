// SPDX-License-Identifier: Apache-2.0
/*
 * price.c: price lists: YAML in, an immutable table out. The form, in short (docs/prices.md has it in full):
 *
 *   source: https://…           # where figures are from; also per provider and per entry
 *   as_of: 2026-08-21           # when they were read; likewise
 *   providers:
 *     openai:
 *       models:
 *         gpt-x:                # one entry, or a list of entries with from/to
 *           aliases: [gpt-x-latest]
 *           input: 1.25         # USD per million tokens
 *           cache_read: 0.125
 *           output: 10
 *           flex: {input: 0.625, output: 5}
 *           long_context: {above: 272000, standard: {input: 2.5, output: 15}}
 *           web_search: 10      # USD per thousand
 *           max_input: 272000   # tokens
 *
 * Numbers are read from their text into integers of 1e-15 USD; no digit is lost or a complaint is made. Looking up is
 * price_find.c.
 */
#include "spend/price.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/yaml.h"
#include "spend/price_own.h"

#define FILE_MAX_BYTES (8u << 20)
#define MODELS_MAX 100000

struct reader {
	const struct yaml *y;
	const char *file;
	struct err *e;
	struct price_list *list;
	const char *provider, *source, *as_of; /* what an entry inherits */
};

#define COMPLAIN(rd, node, key, ...) yaml_complain((rd)->y, node, (rd)->e, key, __VA_ARGS__)

/* ---- values */

int price_decimal(struct str s, int max_decimals, int64_t scale, int64_t max, int64_t *ret)
{
	struct str rest = s, whole = str_cut(&rest, '.');
	bool has_point = whole.n < s.n;
	int64_t units, fraction = 0;

	if (has_point && (rest.n == 0 || whole.n == 0))
		return -EINVAL;
	if (rest.n > (size_t)max_decimals) {
		for (size_t i = (size_t)max_decimals; i < rest.n; i++)
			if (rest.p[i] != '0')
				return rest.p[i] > '0' && rest.p[i] <= '9' ? -EDOM : -EINVAL;
		rest.n = (size_t)max_decimals;
	}
	if (str_to_i64(whole, &units) < 0 || (rest.n && str_to_i64(rest, &fraction) < 0))
		return -EINVAL;
	if (units > max)
		return -ERANGE;
	int64_t fraction_scale = scale;

	for (size_t i = 0; i < rest.n; i++)
		fraction_scale /= 10;
	*ret = units * scale + fraction * fraction_scale;
	return 0;
}

/* scale: how many femto-dollars 1 USD of the written unit is, per token or item. */
static int read_usd(struct reader *rd, const struct yaml_node *n, const char *key, int64_t scale, femtousd *ret)
{
	int r = yaml_kind(n) != YAML_SCALAR || yaml_is_null(n) ? -EINVAL
							       : price_decimal(yaml_scalar(n), 9, scale, PRICE_MAX_USD, ret);
	if (r == 0)
		return 0;
	if (r == -EDOM)
		return COMPLAIN(rd, n, key, "has more than nine decimals, which cannot be kept exactly; write at most nine");
	if (r == -ERANGE)
		return COMPLAIN(rd, n, key, "is more than %lld USD; is the unit right? Tokens are priced per million, searches and "
				"requests per thousand", (long long)PRICE_MAX_USD);
	return COMPLAIN(rd, n, key, "is not a plain amount of USD; write digits with or without a decimal point, e.g. 1.25 (no "
			"sign, no exponent, no currency)");
}

static int read_tokens(struct reader *rd, const struct yaml_node *n, const char *key, int64_t *ret)
{
	int64_t v;

	if (yaml_kind(n) != YAML_SCALAR || str_to_i64(yaml_scalar(n), &v) < 0 || v < 1 || v > USAGE_TOKENS_MAX)
		return COMPLAIN(rd, n, key, "is not a number of tokens; write 1 to %lld, digits only", (long long)USAGE_TOKENS_MAX);
	*ret = v;
	return 0;
}

static int two_digits(const char *p) { return (p[0] - '0') * 10 + (p[1] - '0'); }

static bool is_digits(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	return true;
}

/* "2026-09-01", UTC midnight. */
int price_date(struct str s, int64_t *ret_s)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (s.n != 10 || !is_digits(s.p, 4) || s.p[4] != '-' || !is_digits(s.p + 5, 2) || s.p[7] != '-' || !is_digits(s.p + 8, 2))
		return -EINVAL;
	int year = two_digits(s.p) * 100 + two_digits(s.p + 2), month = two_digits(s.p + 5), day = two_digits(s.p + 8);
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days[month - 1] + (month == 2 && leap))
		return -EINVAL;
	int64_t n = day - 1 + (month > 2 && leap);

	for (int m = 1; m < month; m++)
		n += days[m - 1];
	int64_t before = year - 1;

	n += before * 365 + before / 4 - before / 100 + before / 400 - 719162; /* days before 1970 */
	*ret_s = n * 86400;
	return 0;
}

static int read_date(struct reader *rd, const struct yaml_node *n, const char *key, int64_t *ret)
{
	if (yaml_kind(n) != YAML_SCALAR || price_date(yaml_scalar(n), ret) < 0)
		return COMPLAIN(rd, n, key, "is not a date; write YEAR-MONTH-DAY, e.g. 2026-09-01 (00:00 UTC is meant)");
	return 0;
}

static int read_text(struct reader *rd, const struct yaml_node *n, const char *key, const char **ret)
{
	struct str s = yaml_scalar(n);

	if (yaml_kind(n) != YAML_SCALAR || s.n == 0 || s.n > 300)
		return COMPLAIN(rd, n, key, "is not a text; write 1 to 300 characters");
	*ret = price_list_text(rd->list, s);
	return *ret ? 0 : err_set(rd->e, ENOMEM, "%s: out of memory", rd->file);
}

/* ---- rates */

#define USD_PER_MILLION (FEMTOUSD_PER_NANOUSD * 1000)    /* 1 USD per million tokens = 1e9 fUSD per token */
#define USD_PER_THOUSAND (FEMTOUSD_PER_NANOUSD * 1000000) /* 1 USD per thousand = 1e12 fUSD each */

static const struct rate_row {
	const char *key;
	size_t at;
} rate_rows[] = {
	{ "input", offsetof(struct rates, input) },
	{ "cache_read", offsetof(struct rates, cache_read) },
	{ "cache_write_5m", offsetof(struct rates, cache_write_5m) },
	{ "cache_write_1h", offsetof(struct rates, cache_write_1h) },
	{ "output", offsetof(struct rates, output) },
	{ "reasoning", offsetof(struct rates, reasoning) },
	{ "audio_input", offsetof(struct rates, audio_input) },
	{ "audio_output", offsetof(struct rates, audio_output) },
};

static femtousd *rate_by_key(struct rates *r, struct str key)
{
	for (size_t i = 0; i < sizeof(rate_rows) / sizeof(rate_rows[0]); i++)
		if (str_eq(key, str_of(rate_rows[i].key)))
			return (femtousd *)((char *)r + rate_rows[i].at);
	return NULL;
}

static const struct rates nothing_known = {
	PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN,
};

/* A tier: a map of rates. needs_output: the model's standard has one, so this must too. */
static int read_tier(struct reader *rd, const struct yaml_node *n, const char *tier, bool needs_output, struct rates *ret)
{
	*ret = nothing_known;
	if (yaml_kind(n) != YAML_MAP)
		return COMPLAIN(rd, n, tier, "is not a set of rates; write e.g. {input: 1.25, output: 10}");
	for (size_t i = 0; i < yaml_count(n); i++) {
		struct str key = yaml_key(n, i);
		femtousd *rate = rate_by_key(ret, key);

		if (!rate)
			return COMPLAIN(rd, yaml_at(n, i), key.p, "is not a rate; known are input, cache_read, cache_write_5m, "
					"cache_write_1h, output, reasoning, audio_input, audio_output");
		int r = read_usd(rd, yaml_at(n, i), key.p, USD_PER_MILLION, rate);
		if (r < 0)
			return r;
	}
	if (ret->input == PRICE_UNKNOWN || (needs_output && ret->output == PRICE_UNKNOWN))
		return COMPLAIN(rd, n, tier, "has no \"%s\" rate; add it, in USD per million tokens",
				ret->input == PRICE_UNKNOWN ? "input" : "output");
	return 0;
}

static int read_long_context(struct reader *rd, const struct yaml_node *n, bool needs_output, struct price *p)
{
	const struct yaml_node *above = yaml_find(n, "above"), *standard = yaml_find(n, "standard");
	int r;

	if (yaml_kind(n) != YAML_MAP || !above || !standard)
		return COMPLAIN(rd, n, "long_context", "needs \"above\" (tokens) and \"standard\" (rates); write e.g. {above: 272000, "
				"standard: {input: 2.5, output: 15}}");
	for (size_t i = 0; i < yaml_count(n); i++) {
		struct str key = yaml_key(n, i);
		const struct yaml_node *v = yaml_at(n, i);

		if (str_eq(key, STR("above")))
			r = read_tokens(rd, v, "above", &p->long_threshold);
		else if (str_eq(key, STR("standard")))
			r = read_tier(rd, v, "standard", needs_output, &p->long_standard);
		else if (str_eq(key, STR("flex")))
			r = read_tier(rd, v, "flex", needs_output, &p->long_flex);
		else if (str_eq(key, STR("priority")))
			r = read_tier(rd, v, "priority", needs_output, &p->long_priority);
		else
			r = COMPLAIN(rd, v, key.p, "is not known here; long_context has above, standard, flex, priority");
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- one entry */

enum entry_key { KEY_ALIASES, KEY_SOURCE, KEY_AS_OF, KEY_FROM, KEY_TO, KEY_KIND, KEY_FLEX, KEY_PRIORITY, KEY_BATCH,
		 KEY_LONG, KEY_PER_REQUEST, KEY_WEB_SEARCH, KEY_MAX_INPUT, KEY_MAX_OUTPUT, KEY_COUNT };
static const char *const entry_keys[KEY_COUNT] = {
	[KEY_ALIASES] = "aliases", [KEY_SOURCE] = "source", [KEY_AS_OF] = "as_of", [KEY_FROM] = "from", [KEY_TO] = "to",
	[KEY_KIND] = "kind", [KEY_FLEX] = "flex", [KEY_PRIORITY] = "priority", [KEY_BATCH] = "batch",
	[KEY_LONG] = "long_context", [KEY_PER_REQUEST] = "per_request", [KEY_WEB_SEARCH] = "web_search",
	[KEY_MAX_INPUT] = "max_input", [KEY_MAX_OUTPUT] = "max_output",
};

static int read_entry_key(struct reader *rd, const struct yaml_node *v, struct str key, bool has_output, struct price *p)
{
	enum entry_key k = 0;
	femtousd *rate = rate_by_key(&p->standard, key);

	if (rate)
		return read_usd(rd, v, key.p, USD_PER_MILLION, rate);
	while (k < KEY_COUNT && !str_eq(key, str_of(entry_keys[k])))
		k++;
	switch (k) {
	case KEY_ALIASES: /* read_aliases */
	case KEY_KIND:    /* read_kind */
		return 0;
	case KEY_SOURCE:
		return read_text(rd, v, key.p, &p->source);
	case KEY_AS_OF: {
		int64_t ignored;
		int r = read_date(rd, v, key.p, &ignored);

		return r < 0 ? r : read_text(rd, v, key.p, &p->as_of);
	}
	case KEY_FROM:
		return read_date(rd, v, key.p, &p->from_s);
	case KEY_TO:
		return read_date(rd, v, key.p, &p->to_s);
	case KEY_FLEX:
		return read_tier(rd, v, key.p, has_output, &p->flex);
	case KEY_PRIORITY:
		return read_tier(rd, v, key.p, has_output, &p->priority);
	case KEY_BATCH:
		return read_tier(rd, v, key.p, has_output, &p->batch);
	case KEY_LONG:
		return read_long_context(rd, v, has_output, p);
	case KEY_PER_REQUEST:
		return read_usd(rd, v, key.p, USD_PER_THOUSAND, &p->per_request);
	case KEY_WEB_SEARCH:
		return read_usd(rd, v, key.p, USD_PER_THOUSAND, &p->per_web_search);
	case KEY_MAX_INPUT:
		return read_tokens(rd, v, key.p, &p->max_input);
	case KEY_MAX_OUTPUT:
		return read_tokens(rd, v, key.p, &p->max_output);
	default:
		return COMPLAIN(rd, v, key.p, "is not known in a price; see docs/prices.md for the keys");
	}
}

static int read_kind(struct reader *rd, const struct yaml_node *n, bool *ret_has_output)
{
	const struct yaml_node *kind = yaml_find(n, "kind");

	*ret_has_output = true;
	if (!kind || str_eq(yaml_scalar(kind), STR("text")))
		return 0;
	if (!str_eq(yaml_scalar(kind), STR("embedding")))
		return COMPLAIN(rd, kind, "kind", "is not a kind of model; write text or embedding");
	*ret_has_output = false;
	return 0;
}

static int check_entry(struct reader *rd, const struct yaml_node *n, bool has_output, const struct price *p)
{
	if (p->standard.input == PRICE_UNKNOWN)
		return COMPLAIN(rd, n, p->model, "has no \"input\" price; add it, in USD per million tokens");
	if (has_output && p->standard.output == PRICE_UNKNOWN)
		return COMPLAIN(rd, n, p->model, "has no \"output\" price; add it, in USD per million tokens, or say kind: embedding");
	if (!has_output && p->standard.output != PRICE_UNKNOWN)
		return COMPLAIN(rd, n, p->model, "is of kind embedding but has an \"output\" price; take one of the two away");
	if (p->to_s && p->to_s <= p->from_s)
		return COMPLAIN(rd, n, p->model, "ends before it begins; \"to\" is the first day on which it does not hold any more");
	return 0;
}

static int read_aliases(struct reader *rd, const struct yaml_node *n, struct price_entry *entry)
{
	const struct yaml_node *a = yaml_find(n, "aliases");

	if (!a)
		return 0;
	if (yaml_kind(a) != YAML_LIST)
		return COMPLAIN(rd, a, "aliases", "is not a list; write e.g. [gpt-x-latest]");
	for (size_t i = 0; i < yaml_count(a); i++) {
		const struct yaml_node *v = yaml_at(a, i);
		struct str name = yaml_scalar(v);

		if (yaml_kind(v) != YAML_SCALAR || name.n == 0 || name.n >= PRICE_NAME_MAX)
			return COMPLAIN(rd, v, "aliases", "is not a model name; write 1 to %d characters", PRICE_NAME_MAX - 1);
		int r = price_list_name(rd->list, rd->provider, name, entry, true);
		if (r == -EEXIST)
			return COMPLAIN(rd, v, "aliases", "stands twice for provider %s in this file; a name has one price",
					rd->provider);
		if (r < 0)
			return err_set(rd->e, -r, "%s: out of memory", rd->file);
	}
	return 0;
}

static int read_entry(struct reader *rd, const struct yaml_node *n, struct price_entry *entry)
{
	bool has_output;

	if (yaml_kind(n) != YAML_MAP)
		return COMPLAIN(rd, n, entry->model, "is not a price; write e.g. {input: 1.25, output: 10}");
	struct price *p = price_entry_add(rd->list, entry);

	if (!p)
		return err_set(rd->e, ENOMEM, "%s: out of memory", rd->file);
	*p = (struct price){
		.provider = rd->provider, .model = entry->model, .source = rd->source, .as_of = rd->as_of,
		.standard = nothing_known, .flex = nothing_known, .priority = nothing_known, .batch = nothing_known,
		.long_standard = nothing_known, .long_flex = nothing_known, .long_priority = nothing_known,
		.per_web_search = PRICE_UNKNOWN, .max_input = -1, .max_output = -1,
	};
	int r = read_kind(rd, n, &has_output);

	for (size_t i = 0; r == 0 && i < yaml_count(n); i++)
		r = read_entry_key(rd, yaml_at(n, i), yaml_key(n, i), has_output, p);
	return r < 0 ? r : check_entry(rd, n, has_output, p);
}

static bool overlap(const struct price *a, const struct price *b)
{
	return (!a->to_s || b->from_s < a->to_s) && (!b->to_s || a->from_s < b->to_s);
}

/* Entries of one model must not both hold at any moment. */
static int check_dates(struct reader *rd, const struct yaml_node *n, const struct price_entry *entry)
{
	for (size_t i = 0; i < entry->n; i++)
		for (size_t k = 0; k < i; k++)
			if (overlap(entry->prices[i], entry->prices[k]))
				return COMPLAIN(rd, yaml_at(n, i), entry->model, "holds at the same time as an earlier entry of this model; "
						"give both from and to dates that do not overlap");
	return 0;
}

static int read_model(struct reader *rd, struct str name, const struct yaml_node *n)
{
	struct price_entry *entry;
	int r;

	if (name.n == 0 || name.n >= PRICE_NAME_MAX)
		return COMPLAIN(rd, n, name.p, "has a name that is too long for a model; 1 to %d characters are wanted",
				PRICE_NAME_MAX - 1);
	entry = price_list_entry(rd->list, rd->provider, name);
	if (!entry)
		return err_set(rd->e, ENOMEM, "%s: out of memory", rd->file);
	r = price_list_name(rd->list, rd->provider, name, entry, false);
	if (r == -EEXIST)
		return COMPLAIN(rd, n, name.p, "stands twice for provider %s in this file; a name has one price", rd->provider);
	if (r < 0)
		return err_set(rd->e, -r, "%s: out of memory", rd->file);
	if (yaml_kind(n) != YAML_LIST) {
		r = read_entry(rd, n, entry);
		return r < 0 ? r : read_aliases(rd, n, entry);
	}
	if (yaml_count(n) == 0)
		return COMPLAIN(rd, n, name.p, "has no price; write e.g. {input: 1.25, output: 10}");
	for (size_t i = 0; r == 0 && i < yaml_count(n); i++) {
		r = read_entry(rd, yaml_at(n, i), entry);
		if (r == 0)
			r = read_aliases(rd, yaml_at(n, i), entry);
	}
	return r < 0 ? r : check_dates(rd, n, entry);
}

/* ---- a provider, a file */

/* source and as_of, on the file and on a provider. 1 = it was one of them. */
static int read_origin(struct reader *rd, struct str key, const struct yaml_node *v)
{
	int64_t ignored;
	int r;

	if (str_eq(key, STR("source"))) {
		r = read_text(rd, v, "source", &rd->source);
	} else if (str_eq(key, STR("as_of"))) {
		r = read_date(rd, v, "as_of", &ignored);
		r = r < 0 ? r : read_text(rd, v, "as_of", &rd->as_of);
	} else {
		return 0;
	}
	return r < 0 ? r : 1;
}

static int read_provider(struct reader *file_rd, struct str name, const struct yaml_node *n)
{
	struct reader rd = *file_rd;
	const struct yaml_node *models = yaml_find(n, "models");

	if (yaml_kind(n) != YAML_MAP || !models || yaml_kind(models) != YAML_MAP)
		return COMPLAIN(&rd, n, name.p, "has no \"models\"; write models: and below it one entry per model");
	if (name.n == 0 || name.n >= PRICE_PROVIDER_MAX)
		return COMPLAIN(&rd, n, name.p, "has a name that is too long for a provider; 1 to %d characters are wanted",
				PRICE_PROVIDER_MAX - 1);
	rd.provider = price_list_text(rd.list, name);
	if (!rd.provider)
		return err_set(rd.e, ENOMEM, "%s: out of memory", rd.file);
	for (size_t i = 0; i < yaml_count(n); i++) {
		int r = yaml_at(n, i) == models ? 1 : read_origin(&rd, yaml_key(n, i), yaml_at(n, i));

		if (r == 0)
			return COMPLAIN(&rd, yaml_at(n, i), yaml_key(n, i).p, "is not known here; a provider has models, source, as_of");
		if (r < 0)
			return r;
	}
	if (yaml_count(models) > MODELS_MAX)
		return COMPLAIN(&rd, models, "models", "has more than %d models", MODELS_MAX);
	for (size_t i = 0; i < yaml_count(models); i++) {
		int r = read_model(&rd, yaml_key(models, i), yaml_at(models, i));

		if (r < 0)
			return r;
	}
	return 0;
}

static int read_file(struct reader *rd)
{
	const struct yaml_node *root = yaml_root(rd->y), *providers = root ? yaml_find(root, "providers") : NULL;

	if (!providers || yaml_kind(providers) != YAML_MAP)
		return err_set(rd->e, EINVAL, "%s: no \"providers\" in it; a price list has providers: NAME: models: …", rd->file);
	for (size_t i = 0; i < yaml_count(root); i++) {
		int r = yaml_at(root, i) == providers ? 1 : read_origin(rd, yaml_key(root, i), yaml_at(root, i));

		if (r == 0)
			return COMPLAIN(rd, yaml_at(root, i), yaml_key(root, i).p,
					"is not known here; a price list has providers, source, as_of");
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < yaml_count(providers); i++) {
		int r = read_provider(rd, yaml_key(providers, i), yaml_at(providers, i));

		if (r < 0)
			return r;
	}
	return 0;
}

static int add_file(struct price_list *l, const char *name, const struct yaml *y, struct err *e)
{
	struct reader rd = { .y = y, .file = name, .e = e, .list = l, .as_of = "undated" };

	rd.source = price_list_text(l, str_of(name));
	if (!rd.source)
		return err_set(e, ENOMEM, "%s: out of memory", name);
	price_list_next_file(l);
	return read_file(&rd);
}

int price_list_load(const char *const *paths, size_t npaths, struct price_list **ret, struct err *e)
{
	struct price_list *l = price_list_new();
	int r = l ? 0 : err_set(e, ENOMEM, "price list: out of memory");

	for (size_t i = 0; r == 0 && i < npaths; i++) {
		struct yaml *y = NULL;

		r = yaml_load(paths[i], FILE_MAX_BYTES, &y, e);
		if (r == 0)
			r = add_file(l, paths[i], y, e);
		yaml_free(y);
	}
	return price_list_finish(l, r, ret);
}

int price_list_parse(const char *name, const char *text, size_t len, struct price_list **ret, struct err *e)
{
	struct price_list *l = price_list_new();
	struct yaml *y = NULL;
	int r = l ? yaml_parse(name, text, len, &y, e) : err_set(e, ENOMEM, "price list: out of memory");

	if (r == 0)
		r = add_file(l, name, y, e);
	yaml_free(y);
	return price_list_finish(l, r, ret);
}
