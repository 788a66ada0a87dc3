// SPDX-License-Identifier: Apache-2.0
/*
 * price/find.c: the table of a price list and the way from (provider, model, time) to a price. Immutable after
 * price_list_finish, shared by reference count. Names are compared exactly, as providers do.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/str.h"
#include "spend/price/own.h"

#define LIST_MAX_BYTES (256u << 20)

struct price_list {
	atomic_uint refs;
	unsigned file;
	struct arena *arena;   /* entries, prices, texts */
	struct map *names;     /* "provider\nname" -> struct price_entry */
	struct price_entry **entries;
	size_t nentries, cap;
	const struct price **prices; /* of entries that a name leads to, in the order of the files */
	size_t nprices;
};

struct price_list *price_list_new(void)
{
	struct price_list *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	atomic_init(&l->refs, 1);
	l->arena = arena_new(LIST_MAX_BYTES);
	l->names = map_new();
	if (!l->arena || !l->names) {
		price_list_unref(l);
		return NULL;
	}
	return l;
}

void price_list_next_file(struct price_list *l)
{
	l->file++;
}

const char *price_list_text(struct price_list *l, struct str s)
{
	return arena_str(l->arena, s.p, s.n).p;
}

void *price_list_room(struct price_list *l, size_t n) { return arena_alloc(l->arena, n); }

struct price_entry *price_list_entry(struct price_list *l, const char *provider, struct str model)
{
	struct price_entry *entry = arena_alloc(l->arena, sizeof(*entry));

	if (!entry || !(entry->model = price_list_text(l, model)))
		return NULL;
	entry->file = l->file;
	if (l->nentries == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct price_entry **more = reallocarray(l->entries, cap, sizeof(*more));

		if (!more)
			return NULL;
		l->entries = more;
		l->cap = cap;
	}
	l->entries[l->nentries++] = entry;
	return entry;
}

struct price *price_entry_add(struct price_list *l, struct price_entry *entry)
{
	struct price **more = arena_alloc(l->arena, (entry->n + 1) * sizeof(*more));
	struct price *p = arena_alloc(l->arena, sizeof(*p));

	if (!more || !p)
		return NULL;
	if (entry->n)
		memcpy(more, entry->prices, entry->n * sizeof(*more));
	more[entry->n++] = p;
	entry->prices = more;
	return p;
}

/* -ENOENT: no such key can exist. */
static int make_key(char *to, size_t size, const char *provider, struct str name, struct str *ret)
{
	int n = snprintf(to, size, "%s\n%.*s", provider, STR_FMT(name));

	if (n < 0 || (size_t)n >= size)
		return -ENOENT;
	*ret = (struct str){ .p = to, .n = (size_t)n };
	return 0;
}

int price_list_name(struct price_list *l, const char *provider, struct str name, struct price_entry *entry, bool is_alias)
{
	char key[PRICE_PROVIDER_MAX + PRICE_NAME_MAX + 2];
	struct str k;

	if (make_key(key, sizeof(key), provider, name, &k) < 0)
		return -ENOMEM;
	struct price_entry *other = map_find(l->names, k);

	if (other && other->file == entry->file)
		return other == entry && is_alias ? 0 : -EEXIST;
	int r = map_put(l->names, k, entry, NULL);

	if (r < 0)
		return r;
	if (other)
		other->names--;
	entry->names++;
	return 0;
}

static int collect(struct price_list *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->nentries; i++)
		n += l->entries[i]->names ? l->entries[i]->n : 0;
	l->prices = calloc(n ? n : 1, sizeof(*l->prices));
	if (!l->prices)
		return -ENOMEM;
	for (size_t i = 0; i < l->nentries; i++)
		for (size_t k = 0; l->entries[i]->names && k < l->entries[i]->n; k++)
			l->prices[l->nprices++] = l->entries[i]->prices[k];
	return 0;
}

int price_list_finish(struct price_list *l, int error, struct price_list **ret)
{
	if (error == 0)
		error = collect(l);
	if (error < 0) {
		price_list_unref(l);
		return error;
	}
	*ret = l;
	return 0;
}

struct price_list *price_list_ref(struct price_list *l)
{
	(void)atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
	return l;
}

void price_list_unref(struct price_list *l)
{
	if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
		return;
	free(l->prices);
	free(l->entries);
	map_free(l->names, NULL);
	arena_free(l->arena);
	free(l);
}

size_t price_list_count(const struct price_list *l)
{
	return l->nprices;
}

const struct price *price_list_at(const struct price_list *l, size_t i)
{
	return i < l->nprices ? l->prices[i] : NULL;
}

struct alias_search {
	const struct price *of;
	const char **ret;
	size_t n, most;
	struct price_list *l;
};

static bool is_alias(void *ctx, struct str key, void *value)
{
	struct alias_search *s = ctx;
	const struct price_entry *entry = value;
	struct str name = key;

	(void)str_cut(&name, '\n');
	for (size_t i = 0; i < entry->n && s->n < s->most; i++)
		if (entry->prices[i] == s->of && !str_eq(name, str_of(entry->model))) {
			const char *copy = price_list_text(s->l, name);

			if (copy)
				s->ret[s->n++] = copy;
		}
	return s->n < s->most;
}

size_t price_list_aliases(struct price_list *l, const struct price *p, const char **ret, size_t most)
{
	struct alias_search s = { .of = p, .ret = ret, .most = most, .l = l };

	map_each(l->names, is_alias, &s);
	return s.n;
}

/* ---- finding */

static const struct price *find_exact(const struct price_list *l, const char *provider, struct str name, int64_t at_s)
{
	char key[PRICE_PROVIDER_MAX + PRICE_NAME_MAX + 2];
	struct str k;

	if (name.n == 0 || name.n >= PRICE_NAME_MAX || make_key(key, sizeof(key), provider, name, &k) < 0)
		return NULL;
	const struct price_entry *entry = map_find(l->names, k);

	for (size_t i = 0; entry && i < entry->n; i++) {
		const struct price *p = entry->prices[i];

		if (at_s >= p->from_s && (p->to_s == 0 || at_s < p->to_s))
			return p;
	}
	return NULL;
}

static bool all_digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

/* "-2026-01-31", "-20260131" or "@…" at the end; the name without it, or nothing. */
static struct str without_date(struct str name)
{
	const char *at = name.n ? memchr(name.p, '@', name.n) : NULL;
	int64_t ignored;

	if (at)
		return (struct str){ .p = name.p, .n = (size_t)(at - name.p) };
	if (name.n > 11 && name.p[name.n - 11] == '-' &&
	    price_date((struct str){ .p = name.p + name.n - 10, .n = 10 }, &ignored) == 0)
		return (struct str){ .p = name.p, .n = name.n - 11 };
	if (name.n > 9 && name.p[name.n - 9] == '-' && all_digits((struct str){ .p = name.p + name.n - 8, .n = 8 })) {
		const char *d = name.p + name.n - 8;
		char dashed[11];

		(void)snprintf(dashed, sizeof(dashed), "%.4s-%.2s-%.2s", d, d + 4, d + 6);
		if (price_date((struct str){ .p = dashed, .n = 10 }, &ignored) == 0)
			return (struct str){ .p = name.p, .n = name.n - 9 };
	}
	return (struct str){ 0 };
}

/* Fine-tuned models are called ft:BASE:ORG:NAME:ID and priced as ft:BASE. */
static struct str fine_tuned_base(struct str name)
{
	const char *end;

	if (!str_starts(name, STR("ft:")) || !(end = memchr(name.p + 3, ':', name.n - 3)))
		return (struct str){ 0 };
	return (struct str){ .p = name.p, .n = (size_t)(end - name.p) };
}

const struct price *price_find(const struct price_list *l, const char *provider, const char *model, int64_t at_s)
{
	struct str name = str_of(model);

	for (int step = 0; step < 3 && name.n; step++) {
		const struct price *p = find_exact(l, provider, name, at_s);

		if (p)
			return p;
		struct str base = fine_tuned_base(name);

		name = base.n ? base : without_date(name);
	}
	return NULL;
}
