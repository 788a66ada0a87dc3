// SPDX-License-Identifier: Apache-2.0
/*
 * price/import.c: the frame of an import: which form a file has, its entries and notes, how a number becomes a price, what looks wrong.
 * The forms themselves are price/litellm.c and price/genai.c. No files: text in, prices out.
 */
#include "spend/price/import_own.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define ARENA_MAX_BYTES (256u << 20)
#define ENTRIES_MAX 200000

int import_no_memory(struct price_import *im) { return err_set(im->e, ENOMEM, "%s: out of memory", im->name); }

int import_complain(struct price_import *im, struct str field, const struct pj_value *v, const char *what)
{
	int shown = v->raw.n > 60 ? 60 : (int)v->raw.n, name = field.n > 80 ? 80 : (int)field.n;

	return err_set(im->e, EINVAL, "%s: %s%s%s%.*s: %.*s %s; nothing of this file was taken", im->name, im->model ? "model \"" : "",
		       im->model ? im->model : "", im->model ? "\": " : "", name, field.p, shown, v->raw.p, what);
}

static int grow(void **array, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return 0;
	size_t more = *cap ? *cap * 2 : 256;
	void *bigger = more > ENTRIES_MAX * 8 ? NULL : reallocarray(*array, more, size);

	if (!bigger)
		return -ENOMEM;
	*array = bigger;
	*cap = more;
	return 0;
}

int import_note(struct price_import *im, enum import_note_kind kind, const char *what)
{
	if (grow((void **)&im->notes, im->nnotes, &im->notes_cap, sizeof(*im->notes)) < 0)
		return import_no_memory(im);
	im->notes[im->nnotes++] = (struct import_note){ .kind = kind, .what = what, .provider = im->provider, .model = im->model };
	return 0;
}

const char *import_text(struct price_import *im, struct str s) { return arena_str(im->arena, s.p, s.n).p; }

/* ---- objects and numbers */

int import_check_members(struct price_import *im, const struct pj_value *object)
{
	struct str keys[IMPORT_FIELDS_MAX], k;
	struct pj_walk w = pj_walk(object);
	struct pj_value v;
	size_t n = 0;

	while (pj_next(&w, &k, &v)) {
		if (n == IMPORT_FIELDS_MAX)
			return import_complain(im, k, &v, "is one field too many; a model has at most 256");
		keys[n] = pj_text(im->arena, k);
		if (!keys[n].p)
			return import_no_memory(im);
		for (size_t i = 0; i < n; i++)
			if (str_eq(keys[i], keys[n]))
				return import_complain(im, k, &v, "stands twice in one object; which of the two is meant cannot be known");
		n++;
	}
	return 0;
}

int import_price(struct price_import *im, struct str field, const struct pj_value *v, int64_t factor, int pow10, int64_t max, femtousd *ret)
{
	bool rounded = false;
	int64_t price;

	if (v->kind == JSON_NULL)
		return 0;
	if (v->kind != JSON_NUMBER)
		return import_complain(im, field, v, "is no price; a number is expected, without quotes");
	if (v->raw.p[0] == '-')
		return import_complain(im, field, v, "is below zero; no price is");
	int r = pj_scale(v->raw, factor, pow10 + 15, max, &price, &rounded);

	if (r == -ERANGE)
		return import_complain(im, field, v, "is more than any price; is the unit right?");
	if (r < 0)
		return import_complain(im, field, v, "is no price; a plain number is expected");
	im->fields++;
	*ret = price;
	return rounded ? import_note(im, IMPORT_DERIVED, "digits below 1e-15 USD rounded up") : 0;
}

void import_limit(const struct pj_value *v, int64_t *ret)
{
	bool rounded = false;
	int64_t n;

	if (v->kind == JSON_NUMBER && v->raw.p[0] != '-' && pj_scale(v->raw, 1, 0, USAGE_TOKENS_MAX, &n, &rounded) == 0 && n > 0)
		*ret = n;
}

/* ---- entries */

static int name_key(char *to, size_t size, const char *provider, const char *model, struct str *ret)
{
	int n = snprintf(to, size, "%s\n%s", provider, model);

	*ret = (struct str){ .p = to, .n = n < 0 ? 0 : (size_t)n };
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

struct import_entry *import_find(struct price_import *im, const char *provider, const char *model)
{
	char mem[PRICE_PROVIDER_MAX + PRICE_NAME_MAX + 2];
	struct str key;
	uintptr_t at = name_key(mem, sizeof(mem), provider, model, &key) < 0 ? 0 : (uintptr_t)map_find(im->names, key);

	return at ? &im->entries[at - 1] : NULL;
}

int import_lead(struct price_import *im, const char *provider, const char *name, size_t index)
{
	char mem[PRICE_PROVIDER_MAX + PRICE_NAME_MAX + 2];
	struct str key;
	int r = name_key(mem, sizeof(mem), provider, name, &key);

	return r < 0 ? r : map_put(im->names, key, (void *)(uintptr_t)(index + 1), NULL);
}

bool import_take_alias(struct price_import *im, const char *provider, const char *alias)
{
	return !import_find(im, provider, alias) && import_lead(im, provider, alias, im->n) == 0;
}

int import_add(struct price_import *im, const struct price *p, const char **aliases, size_t naliases)
{
	if (im->n >= ENTRIES_MAX || grow((void **)&im->entries, im->n, &im->cap, sizeof(*im->entries)) < 0)
		return import_no_memory(im);
	im->entries[im->n] = (struct import_entry){ .price = *p, .aliases = aliases, .naliases = naliases };
	if (!import_find(im, p->provider, p->model) && import_lead(im, p->provider, p->model, im->n) < 0)
		return import_no_memory(im);
	im->n++;
	return 0;
}

bool import_wants(const struct price_import *im, const char *provider)
{
	return !im->o->provider || !strcmp(im->o->provider, provider);
}

/* ---- filling in */

static bool is_output_row(size_t row)
{
	const char *key = price_rate_rows[row].key;

	return strstr(key, "output") || !strcmp(key, "reasoning");
}

static femtousd in_proportion(femtousd part, femtousd whole_from, femtousd whole_to)
{
	if (whole_from <= 0)
		return part;
	unsigned __int128 v = ((unsigned __int128)part * (uint64_t)whole_to + (uint64_t)whole_from - 1) / (uint64_t)whole_from;

	return v > IMPORT_TOKEN_MAX ? IMPORT_TOKEN_MAX : (femtousd)v;
}

void import_fill(struct rates *to, const struct rates *from)
{
	struct rates f = *from;

	if (to->input == PRICE_UNKNOWN)
		to->input = from->input;
	if (to->output == PRICE_UNKNOWN)
		to->output = from->output;
	for (size_t row = 0; row < RATES_COUNT; row++) {
		femtousd own = *price_rate(&f, row), *there = price_rate(to, row);

		if (*there != PRICE_UNKNOWN || own == PRICE_UNKNOWN)
			continue;
		femtousd scaled = is_output_row(row) ? in_proportion(own, from->output, to->output) : in_proportion(own, from->input, to->input);

		*there = scaled > own ? scaled : own;
	}
}

/* ---- what looks wrong */

static bool is_known(femtousd rate) { return rate != PRICE_UNKNOWN; }

/* rate x den == of x num, but for what rounding may have done */
static bool is_share(femtousd rate, femtousd of, int num, int den)
{
	__int128 d = (__int128)rate * den - (__int128)of * num;

	return d > -2 * den && d < 2 * den;
}

static const char *odd_tier(unsigned set, femtousd rate, femtousd standard)
{
	if (set == TIER_FLEX && !is_share(rate, standard, 1, 2))
		return "flex is not half of standard";
	if (set == TIER_BATCH && !is_share(rate, standard, 1, 2))
		return "batch is not half of standard";
	if (set == TIER_PRIORITY && (rate <= standard || rate > 3 * standard))
		return "priority is not between one and three times standard";
	return NULL;
}

static const char *odd_set(const struct rates *r)
{
	if (is_known(r->cache_read) && r->cache_read > r->input)
		return "reading the cache is dearer than input";
	if (r->cache_write_5m > 0 && r->cache_write_5m < r->input)
		return "writing the cache is cheaper than input";
	if (is_known(r->cache_write_1h) && is_known(r->cache_write_5m) && r->cache_write_1h < r->cache_write_5m)
		return "writing the cache for an hour is cheaper than for five minutes";
	if (is_known(r->output) && r->output < r->input)
		return "output is cheaper than input: swapped?";
	return NULL;
}

static int flag(struct price_import *im, const char *what) { return what ? import_note(im, IMPORT_FLAG, what) : 0; }

int import_check(struct price_import *im, const struct price *p)
{
	const struct rates *standard = &p->sets[TIER_STANDARD];
	int r = 0;

	if (!is_known(standard->input))
		return 0;
	r = flag(im, odd_set(standard));
	if (r == 0 && standard->input > 100 * (FEMTOUSD_PER_NANOUSD * 1000))
		r = flag(im, "input is over 100 USD per million tokens");
	for (unsigned set = TIER_FLEX; r == 0 && set <= TIER_BATCH; set++)
		if (is_known(p->sets[set].input))
			r = flag(im, odd_tier(set, p->sets[set].input, standard->input));
	for (size_t i = 0; r == 0 && i < p->nlongs; i++)
		if (p->longs[i].sets[TIER_STANDARD].input < standard->input || p->longs[i].sets[TIER_STANDARD].output < standard->output)
			r = flag(im, "long context is cheaper than short");
	if (r == 0 && is_known(standard->reasoning) && standard->reasoning != standard->output)
		r = flag(im, "reasoning has another price than output");
	if (r == 0 && (p->fast_permille > 10000 || (p->fast_permille > 0 && p->fast_permille <= 1000)))
		r = flag(im, "fast mode is no factor between one and ten");
	return r;
}

/* ---- a file */

static enum import_format format_of(const struct pj_value *root)
{
	struct pj_walk w = pj_walk(root);
	struct pj_value v, inner;
	struct str k;

	if (root->kind == JSON_ARRAY)
		return pj_next(&w, &k, &v) && pj_find(&v, "id", &inner) && pj_find(&v, "models", &inner) ? IMPORT_GENAI : IMPORT_UNKNOWN;
	for (int i = 0; i < 8 && root->kind == JSON_OBJECT && pj_next(&w, &k, &v); i++)
		if (v.kind == JSON_OBJECT && pj_find(&v, "litellm_provider", &inner))
			return IMPORT_LITELLM;
	return IMPORT_UNKNOWN;
}

static int read_text(struct price_import *im, const char *text, size_t len)
{
	struct pj_value root;
	int r;

	if (len > PRICE_IMPORT_MAX_BYTES)
		return err_set(im->e, EFBIG, "%s: is larger than %u MiB; a price file is not", im->name, PRICE_IMPORT_MAX_BYTES >> 20);
	r = price_json_check(im->name, text, len, im->e);
	if (r < 0)
		return r;
	root = price_json_root(text, len);
	im->format = format_of(&root);
	if (im->format == IMPORT_UNKNOWN)
		return err_set(im->e, EINVAL, "%s: is no price file that we know; LiteLLM's model_prices_and_context_window.json and the data.json (v2) "
			       "of genai-prices are read", im->name);
	return im->format == IMPORT_LITELLM ? import_litellm(im, &root) : import_genai(im, &root);
}

static int by_place(const void *a, const void *b)
{
	const struct import_entry *x = a, *y = b;
	int r = strcmp(x->price.provider, y->price.provider);

	r = r ? r : strcmp(x->price.model, y->price.model);
	return r ? r : (x->price.from_s > y->price.from_s) - (x->price.from_s < y->price.from_s);
}

int price_import_read(const char *name, const char *text, size_t len, const struct import_options *o, struct price_import **ret,
		      struct err *e)
{
	struct price_import *im = calloc(1, sizeof(*im));
	int r = -ENOMEM;

	if (!im)
		return err_set(e, ENOMEM, "%s: out of memory", name);
	im->name = name;
	im->o = o;
	im->e = e;
	im->arena = arena_new(ARENA_MAX_BYTES);
	im->names = map_new();
	r = im->arena && im->names ? read_text(im, text, len) : import_no_memory(im);
	if (r < 0) {
		price_import_free(im);
		return r;
	}
	/* Names are in order from here on; the map is not used any more. */
	if (im->n)
		qsort(im->entries, im->n, sizeof(*im->entries), by_place);
	im->o = NULL;
	im->e = NULL;
	im->name = NULL;
	*ret = im;
	return 0;
}

void price_import_free(struct price_import *im)
{
	if (!im)
		return;
	map_free(im->names, NULL);
	arena_free(im->arena);
	free(im->entries);
	free(im->notes);
	free(im);
}

enum import_format price_import_format(const struct price_import *im) { return im->format; }
size_t price_import_count(const struct price_import *im) { return im->n; }
const struct import_entry *price_import_at(const struct price_import *im, size_t i) { return i < im->n ? &im->entries[i] : NULL; }

void price_import_keep_limits(struct price_import *im, size_t i, const struct price *before)
{
	struct price *p = &im->entries[i].price;

	p->max_input = p->max_input < 0 ? before->max_input : p->max_input;
	p->max_output = p->max_output < 0 ? before->max_output : p->max_output;
}

size_t price_import_models(const struct price_import *im) { return im->models; }
size_t price_import_fields(const struct price_import *im) { return im->fields; }
size_t price_import_notes(const struct price_import *im) { return im->nnotes; }
const struct import_note *price_import_note(const struct price_import *im, size_t i) { return i < im->nnotes ? &im->notes[i] : NULL; }
