// SPDX-License-Identifier: Apache-2.0
/*
 * price/genai.c: genai-prices' data.json, format v2: a list of providers, each with models; USD per million tokens (_mtok), per thousand
 * (_kcount) and so on. A value is a number or {base, tiers}, a cliff above `start` tokens of input. Several prices of one model are told apart
 * by a start date or by a time of day; of those the last that holds counts. Models are found there by patterns: what is not a plain name cannot
 * be said in our list, and is counted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "spend/price/import_own.h"

#define STEPS_MAX 8
#define VARIANTS_MAX 16

static const struct { const char *theirs, *ours; } provider_names[] = {
	{ "aws", "bedrock" }, { "x-ai", "xai" }, { "google", "gemini" }, { "voyageai", "voyage" }, { "moonshotai", "moonshot" },
};

static const struct { const char *key; size_t at; } rate_keys[] = {
	{ "input_mtok", offsetof(struct rates, input) },
	{ "output_mtok", offsetof(struct rates, output) },
	{ "cache_read_mtok", offsetof(struct rates, cache_read) },
	{ "cache_write_mtok", offsetof(struct rates, cache_write_5m) },
	{ "cache_write_1h_mtok", offsetof(struct rates, cache_write_1h) },
	{ "input_audio_mtok", offsetof(struct rates, audio_input) },
	{ "output_audio_mtok", offsetof(struct rates, audio_output) },
	{ "cache_audio_read_mtok", offsetof(struct rates, audio_cache_read) },
	{ "input_image_mtok", offsetof(struct rates, image_input) },
	{ "cache_image_read_mtok", offsetof(struct rates, image_cache_read) },
	{ "output_image_mtok", offsetof(struct rates, image_output) },
	{ "input_video_mtok", offsetof(struct rates, video_input) },
	{ "output_reasoning_mtok", offsetof(struct rates, reasoning) },
};

/* One price of a model, and when it holds. */
struct variant {
	struct price p;
	bool has_date, has_time;
	int64_t start_s;
	int from_min, to_min;
};

struct genai {
	struct price_import *im;
	struct variant variants[VARIANTS_MAX];
	size_t nvariants;
	int64_t context;
};

static int not_mapped(struct price_import *im, struct str key)
{
	const char *what = import_text(im, key);

	return what ? import_note(im, IMPORT_NOT_MAPPED, what) : import_no_memory(im);
}

/* ---- one set of prices */

struct steps {
	int64_t above[STEPS_MAX];
	femtousd rate[STEPS_MAX][RATES_COUNT]; /* PRICE_UNKNOWN: as in the step below */
	size_t n;
};

static size_t step_at(struct steps *s, int64_t above)
{
	size_t i = 0;

	while (i < s->n && s->above[i] < above)
		i++;
	if (i < s->n && s->above[i] == above)
		return i;
	if (s->n == STEPS_MAX)
		return STEPS_MAX;
	memmove(&s->above[i + 1], &s->above[i], (s->n - i) * sizeof(s->above[0]));
	memmove(&s->rate[i + 1], &s->rate[i], (s->n - i) * sizeof(s->rate[0]));
	memset(s->rate[i], 0xff, sizeof(s->rate[i]));
	s->above[i] = above;
	s->n++;
	return i;
}

static int take_tiers(struct price_import *im, struct str key, const struct pj_value *v, size_t row, struct steps *steps, femtousd *base)
{
	struct pj_value part, one, start, price;
	struct pj_walk w;
	struct str k;
	int r = import_check_members(im, v);

	if (r == 0 && (!pj_find(v, "base", &part) || part.kind != JSON_NUMBER))
		return import_complain(im, key, v, "has no base price");
	r = r < 0 ? r : import_price(im, key, &part, 1, -6, IMPORT_TOKEN_MAX, base);
	if (r < 0 || !pj_find(v, "tiers", &part))
		return r;
	w = pj_walk(&part);
	while (r == 0 && pj_next(&w, &k, &one)) {
		bool rounded = false;
		int64_t above;

		if (!pj_find(&one, "start", &start) || !pj_find(&one, "price", &price) || start.kind != JSON_NUMBER ||
		    pj_scale(start.raw, 1, 0, USAGE_TOKENS_MAX, &above, &rounded) < 0)
			return import_complain(im, key, &one, "is no step; {start, price} is expected");
		size_t i = step_at(steps, above);

		r = i == STEPS_MAX ? import_complain(im, key, &one, "is one step too many; at most 8 are read")
				   : import_price(im, key, &price, 1, -6, IMPORT_TOKEN_MAX, &steps->rate[i][row]);
	}
	return r;
}

static int take_rate(struct price_import *im, struct str key, const struct pj_value *v, size_t at, struct price *p, struct steps *steps)
{
	femtousd *base = (femtousd *)((char *)&p->sets[TIER_STANDARD] + at);

	if (v->kind == JSON_OBJECT)
		return take_tiers(im, key, v, at / sizeof(femtousd), steps, base);
	return import_price(im, key, v, 1, -6, IMPORT_TOKEN_MAX, base);
}

static int take_fee(struct price_import *im, struct str key, const struct pj_value *v, struct price *p)
{
	femtousd fee = PRICE_UNKNOWN;
	int r = import_price(im, key, v, 1, -3, IMPORT_FEE_MAX, &fee);

	fee = fee > 0 ? (fee + 999) / 1000 * 1000 : fee;
	if (r < 0 || fee == PRICE_UNKNOWN)
		return r;
	if (str_eq(key, STR("requests_kcount")))
		p->per_request = fee;
	for (unsigned i = 0; str_eq(key, STR("web_searches_kcount")) && i < SEARCH_CONTEXT_COUNT; i++)
		p->per_web_search[i] = fee;
	return 0;
}

static int take_price(struct price_import *im, struct str key, const struct pj_value *v, struct price *p, struct steps *steps)
{
	for (size_t i = 0; i < sizeof(rate_keys) / sizeof(rate_keys[0]); i++)
		if (str_eq(key, str_of(rate_keys[i].key)))
			return take_rate(im, key, v, rate_keys[i].at, p, steps);
	if (str_eq(key, STR("web_searches_kcount")) || str_eq(key, STR("requests_kcount")))
		return v->kind == JSON_OBJECT ? not_mapped(im, key) : take_fee(im, key, v, p);
	return not_mapped(im, key);
}

/* Each price has its own steps there; ours is a whole set per step. */
static int put_steps(struct price_import *im, const struct steps *s, struct price *p)
{
	struct price_long *l = s->n ? arena_alloc(im->arena, s->n * sizeof(*l)) : NULL;
	femtousd now[RATES_COUNT];

	if (s->n && !l)
		return import_no_memory(im);
	memcpy(now, &p->sets[TIER_STANDARD], sizeof(now));
	for (size_t i = 0; i < s->n; i++) {
		for (size_t row = 0; row < RATES_COUNT; row++)
			now[row] = s->rate[i][row] != PRICE_UNKNOWN ? s->rate[i][row] : now[row];
		l[i].above = s->above[i];
		memset(l[i].sets, 0xff, sizeof(l[i].sets));
		memcpy(&l[i].sets[TIER_STANDARD], now, sizeof(now));
	}
	p->longs = l;
	p->nlongs = s->n;
	return 0;
}

static int read_prices(struct price_import *im, const struct pj_value *v, struct price *p)
{
	struct steps steps = { .n = 0 };
	struct pj_walk w = pj_walk(v);
	struct pj_value one;
	struct str k;
	int r = v->kind == JSON_OBJECT ? import_check_members(im, v) : import_complain(im, STR("prices"), v, "is no set of prices");

	while (r == 0 && pj_next(&w, &k, &one))
		r = take_price(im, k, &one, p, &steps);
	return r < 0 ? r : put_steps(im, &steps, p);
}

/* ---- when */

/* "16:30:00Z"; whole minutes only. */
static int minute_of(struct str s)
{
	struct str hm = { .p = s.p, .n = s.n > 5 ? 5 : s.n };
	char both[16];
	int from, ignored;

	if (hm.n != 5 || !(s.n == 5 || str_eq((struct str){ .p = s.p + 5, .n = s.n - 5 }, STR(":00Z")) ||
			   str_eq((struct str){ .p = s.p + 5, .n = s.n - 5 }, STR(":00"))))
		return -1;
	memcpy(both, hm.p, 5);
	memcpy(both + 5, "-00:00", 6);
	return price_window((struct str){ .p = both, .n = 11 }, &from, &ignored) < 0 ? -1 : from;
}

/* 1 = a constraint that we cannot say. */
static int read_constraint(struct price_import *im, const struct pj_value *v, struct variant *ret)
{
	struct pj_value date, from, to;

	if (pj_find(v, "start_date", &date)) {
		struct str s = pj_string(im->arena, &date);

		ret->has_date = true;
		return s.p && price_date(s, &ret->start_s) == 0 ? 0 : 1;
	}
	if (!pj_find(v, "start_time", &from) || !pj_find(v, "end_time", &to))
		return 1;
	ret->has_time = true;
	ret->from_min = minute_of(pj_string(im->arena, &from));
	ret->to_min = minute_of(pj_string(im->arena, &to));
	return ret->from_min < 0 || ret->to_min < 0 || ret->from_min == ret->to_min;
}

static int read_variant(struct genai *g, const struct pj_value *v, const struct price *from)
{
	struct variant *one = &g->variants[g->nvariants];
	struct pj_value constraint, prices;
	int r = v->kind == JSON_OBJECT ? import_check_members(g->im, v) : import_complain(g->im, STR("prices"), v, "is no price");

	*one = (struct variant){ .p = *from };
	if (r == 0 && !pj_find(v, "prices", &prices))
		return import_complain(g->im, STR("prices"), v, "has no prices in it");
	r = r < 0 ? r : read_prices(g->im, &prices, &one->p);
	if (r < 0)
		return r;
	if (pj_find(v, "constraint", &constraint) && constraint.kind == JSON_OBJECT && read_constraint(g->im, &constraint, one))
		return import_note(g->im, IMPORT_FLAG, "a price whose time cannot be read was left out");
	g->nvariants++;
	return 0;
}

/* Two prices by the time of day: the dearer is the price, the other its cheaper hours. Rate by rate, should they cross. */
static int join_hours(struct genai *g, const struct variant *rule, const struct variant *timed, struct price *ret)
{
	struct price_off_peak *o = arena_alloc(g->im->arena, sizeof(*o));
	struct rates a = rule->p.sets[TIER_STANDARD], b = timed->p.sets[TIER_STANDARD];
	bool timed_is_cheap = (price_compare(&rule->p, &timed->p) & PRICE_DEARER) == 0;
	struct rates *cheap = timed_is_cheap ? &b : &a;

	if (!o)
		return import_no_memory(g->im);
	*ret = timed_is_cheap ? rule->p : timed->p;
	o->nwindows = 1;
	o->windows[0].from_min = (int16_t)(timed_is_cheap ? timed->from_min : timed->to_min);
	o->windows[0].to_min = (int16_t)(timed_is_cheap ? timed->to_min : timed->from_min);
	for (size_t row = 0; row < RATES_COUNT; row++) {
		femtousd *peak = price_rate(&ret->sets[TIER_STANDARD], row), low = *price_rate(cheap, row);

		if (*peak == PRICE_UNKNOWN || low > *peak)
			*price_rate(cheap, row) = PRICE_UNKNOWN; /* never dearer by night */
	}
	o->rates = *cheap;
	ret->off_peak = o;
	ret->noff_peak = 1;
	return 0;
}

/* ---- names */

/*
 * A pattern is no name, but its own text is one that it fits: "claude-3-opus" of starts_with claude-3-opus; with a date behind it price_find gets there
 * too. Such names come after all that are said in full.
 */
static int add_soft(struct price_import *im, const char *name)
{
	struct import_soft *s = name ? arena_alloc(im->arena, sizeof(*s)) : NULL;

	if (!s)
		return import_no_memory(im);
	*s = (struct import_soft){ .next = im->soft, .provider = im->provider, .model = im->model, .name = name };
	im->soft = s;
	return 0;
}

static int take_soft_names(struct price_import *im)
{
	struct import_soft *in_order = NULL;

	while (im->soft) {
		struct import_soft *s = im->soft;

		im->soft = s->next;
		s->next = in_order;
		in_order = s;
	}
	for (struct import_soft *s = in_order; s; s = s->next) {
		struct import_entry *entry = import_find(im, s->provider, s->model);
		const char **more = entry ? arena_alloc(im->arena, (entry->naliases + 1) * sizeof(*more)) : NULL;

		if (!entry || strcmp(entry->price.model, s->model) || import_find(im, s->provider, s->name))
			continue;
		if (!more)
			return import_no_memory(im);
		if (entry->naliases)
			memcpy(more, entry->aliases, entry->naliases * sizeof(*more));
		more[entry->naliases++] = s->name;
		entry->aliases = more;
		if (import_lead(im, s->provider, s->name, (size_t)(entry - im->entries)) < 0)
			return import_no_memory(im);
	}
	return 0;
}

/* The plain names in a match: equals, or or of such. Others are patterns. */
static int read_match(struct genai *g, const struct pj_value *match, const char **names, size_t *n, size_t most)
{
	struct pj_walk w = pj_walk(match);
	struct pj_value v;
	struct str k;
	int r = 0;

	while (r == 0 && match->kind == JSON_OBJECT && pj_next(&w, &k, &v)) {
		struct str name = pj_string(g->im->arena, &v);

		if (str_eq(k, STR("or"))) {
			struct pj_walk each = pj_walk(&v);
			struct pj_value one;
			struct str ignored;

			while (r == 0 && pj_next(&each, &ignored, &one))
				r = pj_find(&one, "or", &v) ? not_mapped(g->im, STR("match.or.or")) : read_match(g, &one, names, n, most);
			continue;
		}
		if (name.p && name.n && name.n < PRICE_NAME_MAX && (str_eq(k, STR("starts_with")) || str_eq(k, STR("contains")) ||
								    str_eq(k, STR("ends_with"))))
			r = add_soft(g->im, import_text(g->im, name));
		if (r < 0)
			return r;
		if (!str_eq(k, STR("equals")) || !name.p || !name.n || name.n >= PRICE_NAME_MAX || *n == most) {
			static const char *const patterns[] = { "starts_with", "ends_with", "contains", "regex", "and" };
			const char *what = "match: name";

			for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
				what = str_eq(k, str_of(patterns[i])) ? patterns[i] : what;
			r = import_note(g->im, IMPORT_NOT_MAPPED, strcmp(what, "match: name") ? arena_printf(g->im->arena, "match.%s", what) : what);
			continue;
		}
		names[*n] = import_text(g->im, name);
		r = names[(*n)++] ? 0 : import_no_memory(g->im);
	}
	return r;
}

#define NAMES_MAX 64

static int read_aliases(struct genai *g, const struct pj_value *model, const struct price *p, const char ***ret, size_t *ret_n)
{
	const char *names[NAMES_MAX];
	size_t n = 0, kept = 0;
	struct pj_value match;
	int r = pj_find(model, "match", &match) ? read_match(g, &match, names, &n, NAMES_MAX) : 0;
	const char **list = arena_alloc(g->im->arena, (n + 1) * sizeof(*list));

	if (r < 0 || !list)
		return r < 0 ? r : import_no_memory(g->im);
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], p->model) && import_take_alias(g->im, p->provider, names[i]))
			list[kept++] = names[i];
	*ret = list;
	*ret_n = kept;
	return 0;
}

/* ---- one model */

static const char *no_price(struct price *p)
{
	struct rates *r = &p->sets[TIER_STANDARD];

	if (r->output == PRICE_UNKNOWN && strstr(p->model, "embed") && r->input > 0)
		return NULL;
	if (r->input == PRICE_UNKNOWN && r->output == PRICE_UNKNOWN && p->per_request > 0) {
		p->is_media = true;
		return NULL;
	}
	if (r->input == PRICE_UNKNOWN)
		return "has no price for input";
	if (r->input == 0 && (r->output == 0 || r->output == PRICE_UNKNOWN) && p->per_request == 0)
		return "costs nothing, or nobody knows: no price is not price zero";
	return NULL;
}

static int add_price(struct genai *g, struct price *p, const char **aliases, size_t naliases)
{
	const char *why = no_price(p);
	int r;

	if (why)
		return import_note(g->im, IMPORT_SKIPPED, why);
	if (p->sets[TIER_STANDARD].cache_write_5m > 0 && p->sets[TIER_STANDARD].cache_write_1h == PRICE_UNKNOWN &&
	    import_note(g->im, IMPORT_DERIVED, "cache_write_1h: twice input") < 0)
		return -ENOMEM;
	r = import_check(g->im, p);
	return r < 0 ? r : import_add(g->im, p, aliases, naliases);
}

static int by_start(const void *a, const void *b)
{
	const struct variant *x = a, *y = b;

	return (x->start_s > y->start_s) - (x->start_s < y->start_s);
}

/* By date: each holds until the next begins. */
static int add_dated(struct genai *g, const char **aliases, size_t naliases)
{
	bool first = true;
	int r = 0;

	/* The one without a date stands first in the file: it holds from ever. */
	qsort(g->variants, g->nvariants, sizeof(g->variants[0]), by_start);
	for (size_t i = 0; r == 0 && i < g->nvariants; i++) {
		struct price *p = &g->variants[i].p;
		const int64_t from_s = first ? 0 : g->variants[i].start_s;
		const bool is_last = i + 1 == g->nvariants;

		if (!is_last && g->variants[i + 1].start_s <= from_s) {
			r = import_note(g->im, IMPORT_FLAG, "two prices that begin at the same time: the last one counts");
			continue;
		}
		p->from_s = from_s;
		p->to_s = is_last ? 0 : g->variants[i + 1].start_s;
		r = add_price(g, p, first ? aliases : NULL, first ? naliases : 0);
		first = false;
	}
	return r;
}

static int add_model(struct genai *g, const char **aliases, size_t naliases)
{
	struct variant *v = g->variants;

	if (g->nvariants == 1 && !v[0].has_time)
		return add_price(g, &v[0].p, aliases, naliases);
	if (g->nvariants == 2 && !v[0].has_time && !v[0].has_date && v[1].has_time) {
		struct price both;
		int r = join_hours(g, &v[0], &v[1], &both);

		return r < 0 ? r : add_price(g, &both, aliases, naliases);
	}
	for (size_t i = 0; i < g->nvariants; i++)
		if (v[i].has_time)
			return import_note(g->im, IMPORT_SKIPPED, "has prices by date and by time of day, which cannot be told apart");
	if (g->nvariants == 0)
		return import_note(g->im, IMPORT_SKIPPED, "has no price");
	return add_dated(g, aliases, naliases);
}

static int read_model(struct price_import *im, const struct pj_value *model)
{
	struct genai g = { .im = im, .context = -1 };
	struct pj_value v, one;
	struct str name = pj_find(model, "id", &v) ? pj_string(im->arena, &v) : STR(""), k;
	const char **aliases = NULL;
	size_t naliases = 0;
	struct price p;
	int r;

	im->models++;
	price_init(&p);
	p.provider = im->provider;
	p.model = im->model = import_text(im, name);
	p.source = im->o->source;
	p.as_of = im->o->as_of;
	if (!p.model)
		return import_no_memory(im);
	if (name.n == 0 || name.n >= PRICE_NAME_MAX)
		return import_note(im, IMPORT_SKIPPED, "has a name that is too long or none");
	if (import_find(im, p.provider, p.model))
		return import_note(im, IMPORT_SKIPPED, "has the name of a model before it");
	r = import_check_members(im, model);
	if (r < 0)
		return r;
	if (pj_find(model, "context_window", &v))
		import_limit(&v, &p.max_input);
	if (!pj_find(model, "prices", &v))
		return import_note(im, IMPORT_SKIPPED, "has no price");
	if (v.kind == JSON_ARRAY) {
		struct pj_walk w = pj_walk(&v);

		while (r == 0 && pj_next(&w, &k, &one))
			r = g.nvariants == VARIANTS_MAX ? import_complain(im, STR("prices"), &v, "has too many prices; at most 16 are read")
							: read_variant(&g, &one, &p);
	} else {
		g.variants[0] = (struct variant){ .p = p };
		g.nvariants = 1;
		r = read_prices(im, &v, &g.variants[0].p);
	}
	r = r < 0 ? r : read_aliases(&g, model, &p, &aliases, &naliases);
	return r < 0 ? r : add_model(&g, aliases, naliases);
}

static int read_provider(struct price_import *im, const struct pj_value *provider)
{
	struct pj_value v, model;
	struct str id = pj_find(provider, "id", &v) ? pj_string(im->arena, &v) : STR(""), k;
	struct pj_walk w;
	int r = import_check_members(im, provider);

	im->model = NULL;
	im->provider = id.p ? import_text(im, id) : NULL;
	if (r < 0 || !im->provider)
		return r < 0 ? r : import_no_memory(im);
	for (size_t i = 0; i < sizeof(provider_names) / sizeof(provider_names[0]); i++)
		if (str_eq(id, str_of(provider_names[i].theirs)))
			im->provider = provider_names[i].ours;
	if (id.n == 0 || id.n >= PRICE_PROVIDER_MAX || !pj_find(provider, "models", &v))
		return import_complain(im, STR("provider"), provider, "is no provider with id and models");
	if (!import_wants(im, im->provider))
		return 0;
	w = pj_walk(&v);
	while (r == 0 && pj_next(&w, &k, &model))
		r = model.kind == JSON_OBJECT ? read_model(im, &model) : import_complain(im, STR("models"), &model, "is no model");
	return r;
}

int import_genai(struct price_import *im, const struct pj_value *root)
{
	struct pj_walk w = pj_walk(root);
	struct pj_value v;
	struct str k;
	int r = 0;

	while (r == 0 && pj_next(&w, &k, &v)) {
		im->model = NULL;
		r = v.kind == JSON_OBJECT ? read_provider(im, &v) : import_complain(im, STR("provider"), &v, "is no provider");
		r = r < 0 ? r : take_soft_names(im);
	}
	return r;
}
