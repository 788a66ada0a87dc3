// SPDX-License-Identifier: Apache-2.0
/*
 * price.c: price lists: YAML in, an immutable table out: files, providers, models. The keys of one price are price/keys.c, looking
 * up is price/find.c. The form, in short (docs/prices.md has it in full):
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
 */
#include "spend/price/price.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "spend/price/read.h"

#define FILE_MAX_BYTES (8u << 20)
#define MODELS_MAX 100000

static int read_aliases(struct price_reader *rd, const struct yaml_node *n, struct price_entry *entry)
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
			return price_read_no_memory(rd);
	}
	return 0;
}

static int read_entry(struct price_reader *rd, const struct yaml_node *n, struct price_entry *entry)
{
	if (yaml_kind(n) != YAML_MAP)
		return COMPLAIN(rd, n, entry->model, "is not a price; write e.g. {input: 1.25, output: 10}");
	struct price *p = price_entry_add(rd->list, entry);

	if (!p)
		return price_read_no_memory(rd);
	price_init(p);
	p->provider = rd->provider;
	p->model = entry->model;
	p->source = rd->source;
	p->as_of = rd->as_of;
	p->reported = rd->reported;
	return price_read_entry(rd, n, p);
}

static bool overlap(const struct price *a, const struct price *b)
{
	return (!a->to_s || b->from_s < a->to_s) && (!b->to_s || a->from_s < b->to_s);
}

/* Entries of one model must not both hold at any moment. */
static int check_dates(struct price_reader *rd, const struct yaml_node *n, const struct price_entry *entry)
{
	for (size_t i = 0; i < entry->n; i++)
		for (size_t k = 0; k < i; k++)
			if (overlap(entry->prices[i], entry->prices[k]))
				return COMPLAIN(rd, yaml_at(n, i), entry->model, "holds at the same time as an earlier entry of this model; "
						"give both from and to dates that do not overlap");
	return 0;
}

static int read_model(struct price_reader *rd, struct str name, const struct yaml_node *n)
{
	struct price_entry *entry;
	int r;

	if (name.n == 0 || name.n >= PRICE_NAME_MAX)
		return COMPLAIN(rd, n, name.p, "has a name that is too long for a model; 1 to %d characters are wanted",
				PRICE_NAME_MAX - 1);
	entry = price_list_entry(rd->list, rd->provider, name);
	if (!entry)
		return price_read_no_memory(rd);
	r = price_list_name(rd->list, rd->provider, name, entry, false);
	if (r == -EEXIST)
		return COMPLAIN(rd, n, name.p, "stands twice for provider %s in this file; a name has one price", rd->provider);
	if (r < 0)
		return price_read_no_memory(rd);
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

/* source, as_of and reported, on the file and on a provider. 1 = it was one of them. */
static int read_origin(struct price_reader *rd, struct str key, const struct yaml_node *v)
{
	int64_t ignored;
	int r;

	if (str_eq(key, STR("source"))) {
		r = price_read_text(rd, v, "source", &rd->source);
	} else if (str_eq(key, STR("as_of"))) {
		r = price_read_date(rd, v, "as_of", &ignored);
		r = r < 0 ? r : price_read_text(rd, v, "as_of", &rd->as_of);
	} else if (str_eq(key, STR("reported"))) {
		r = price_read_reported(rd, v, &rd->reported);
	} else {
		return 0;
	}
	return r < 0 ? r : 1;
}

static int read_provider(struct price_reader *file_rd, struct str name, const struct yaml_node *n)
{
	struct price_reader rd = *file_rd;
	const struct yaml_node *models = yaml_find(n, "models");

	if (yaml_kind(n) != YAML_MAP || !models || yaml_kind(models) != YAML_MAP)
		return COMPLAIN(&rd, n, name.p, "has no \"models\"; write models: and below it one entry per model");
	if (name.n == 0 || name.n >= PRICE_PROVIDER_MAX)
		return COMPLAIN(&rd, n, name.p, "has a name that is too long for a provider; 1 to %d characters are wanted",
				PRICE_PROVIDER_MAX - 1);
	rd.provider = price_list_text(rd.list, name);
	if (!rd.provider)
		return price_read_no_memory(&rd);
	for (size_t i = 0; i < yaml_count(n); i++) {
		int r = yaml_at(n, i) == models ? 1 : read_origin(&rd, yaml_key(n, i), yaml_at(n, i));

		if (r == 0)
			return COMPLAIN(&rd, yaml_at(n, i), yaml_key(n, i).p, "is not known here; a provider has models, source, as_of, reported");
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

static int read_file(struct price_reader *rd)
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
	struct price_reader rd = { .y = y, .file = name, .e = e, .list = l, .as_of = "undated" };

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
