// SPDX-License-Identifier: Apache-2.0
/*
 * cost_rates.c: which rates of a price a request is charged at: tier, long context, hours, and the factors on them. What the
 * list leaves out falls back here, always to the dearer. No counts, no sums.
 */
#include <string.h>

#include "spend/cost_own.h"

static femtousd or_else(femtousd rate, femtousd fallback) { return rate == PRICE_UNKNOWN ? fallback : rate; }

static bool is_sold(const struct rates *r) { return r->input != PRICE_UNKNOWN; }

bool rates_by_token(const struct price *p) { return !p->is_media || is_sold(&p->sets[TIER_STANDARD]); }

/* ---- completing a set */

/* Read from a cache, of a kind that has its own rate: dearer of the two wholes it is part of. */
static femtousd cached(femtousd own, femtousd kind, femtousd cache_read)
{
	return or_else(own, kind == PRICE_UNKNOWN ? cache_read : max64(kind, cache_read));
}

/* Fills what the list left out, as price.h says. `output` stays unknown where a model has none. */
static struct rates resolved(const struct rates *r)
{
	struct rates full = *r;

	full.cache_read = or_else(r->cache_read, r->input);
	full.cache_write_5m = or_else(r->cache_write_5m, r->input);
	full.cache_write_1h = or_else(r->cache_write_1h, r->cache_write_5m == PRICE_UNKNOWN ? r->input : 2 * r->input);
	full.reasoning = or_else(r->reasoning, r->output);
	full.audio_input = or_else(r->audio_input, r->input);
	full.audio_cache_read = cached(r->audio_cache_read, r->audio_input, full.cache_read);
	full.audio_output = or_else(r->audio_output, r->output);
	full.image_input = or_else(r->image_input, r->input);
	full.image_cache_read = cached(r->image_cache_read, r->image_input, full.cache_read);
	full.image_output = or_else(r->image_output, r->output);
	full.video_input = or_else(r->video_input, r->input);
	return full;
}

void rates_raise(struct rates *to, const struct rates *r)
{
	femtousd a[RATES_COUNT], b[RATES_COUNT];

	memcpy(a, to, sizeof(a));
	memcpy(b, r, sizeof(b));
	for (size_t i = 0; i < RATES_COUNT; i++)
		a[i] = max64(a[i], b[i]);
	memcpy(to, a, sizeof(a));
}

static void raise_if_sold(struct rates *to, const struct rates *r)
{
	if (!is_sold(r))
		return;
	struct rates full = resolved(r);

	rates_raise(to, &full);
}

/* ---- tier and long context */

size_t rates_crossed(const struct price *p, int64_t input)
{
	size_t n = 0;

	while (n < p->nlongs && (input > p->longs[n].above || (p->longs[n].inclusive && input == p->longs[n].above)))
		n++;
	return n;
}

static const struct rates *listed(const struct price *p, unsigned set, size_t crossed)
{
	return crossed ? &p->longs[crossed - 1].sets[set] : &p->sets[set];
}

static struct rates dearest(const struct price *p, size_t crossed)
{
	struct rates all = resolved(&p->sets[TIER_STANDARD]);

	for (size_t level = 0; level <= crossed; level++)
		for (unsigned set = 0; set <= TIER_BATCH; set++)
			raise_if_sold(&all, listed(p, set, level));
	return all;
}

/*
 * Sold, but not for so long a context: what stands for it is either the tier's own lower rate or the standard one up here. Which, the list
 * does not say.
 */
static bool either(const struct price *p, unsigned set, size_t crossed, struct rates *ret)
{
	bool sold = false;

	*ret = resolved(listed(p, TIER_STANDARD, crossed));
	for (size_t level = 0; level < crossed; level++) {
		sold |= is_sold(listed(p, set, level));
		raise_if_sold(ret, listed(p, set, level));
	}
	return sold;
}

static unsigned set_of(const struct price *p, const struct cost_terms *t)
{
	return t->fast && is_sold(&p->sets[RATE_SET_FAST]) ? RATE_SET_FAST : (unsigned)t->tier;
}

struct rates rates_pick_peak(const struct price *p, const struct cost_terms *t, size_t crossed)
{
	unsigned set = set_of(p, t);
	struct rates both;

	if (set == TIER_UNKNOWN && !(t->fast && is_sold(&p->sets[RATE_SET_FAST])))
		return dearest(p, crossed);
	if (is_sold(listed(p, set, crossed)))
		return resolved(listed(p, set, crossed));
	return either(p, set, crossed, &both) ? both : dearest(p, crossed);
}

/* ---- hours */

#define DAY_S 86400
#define DAY_MIN 1440

static bool in_window(int from_min, int to_min, int minute) { return minute >= from_min && minute < to_min; }

/* weekday 0 = Monday. A window over midnight belongs to the day on which it began. */
static bool window_holds(const struct price_off_peak *o, unsigned i, unsigned weekday, int minute)
{
	int from = o->nwindows ? o->windows[i].from_min : 0, to = o->nwindows ? o->windows[i].to_min : DAY_MIN;
	unsigned days = o->days ? o->days : 0x7f, yesterday = (weekday + 6) % 7;

	if (to > from)
		return (days >> weekday & 1) && in_window(from, to, minute);
	return ((days >> weekday & 1) && minute >= from) || ((days >> yesterday & 1) && minute < to);
}

const struct price_off_peak *rates_off_peak(const struct price *p, int64_t at_s)
{
	if (at_s <= 0)
		return NULL;
	unsigned weekday = (unsigned)((at_s / DAY_S + 3) % 7); /* 1970-01-01 was a Thursday */
	int minute = (int)(at_s % DAY_S / 60);

	for (size_t i = 0; i < p->noff_peak; i++)
		for (unsigned w = 0; w < (p->off_peak[i].nwindows ? p->off_peak[i].nwindows : 1); w++)
			if (window_holds(&p->off_peak[i], w, weekday, minute))
				return &p->off_peak[i];
	return NULL;
}

static struct rates at_off_peak(const struct price *p, const struct price_off_peak *o)
{
	femtousd all[RATES_COUNT], cheaper[RATES_COUNT];
	struct rates r;

	memcpy(all, &p->sets[TIER_STANDARD], sizeof(all));
	memcpy(cheaper, &o->rates, sizeof(cheaper));
	for (size_t i = 0; i < RATES_COUNT; i++)
		all[i] = or_else(cheaper[i], all[i]);
	memcpy(&r, all, sizeof(r));
	return resolved(&r);
}

struct rates rates_pick(const struct price *p, const struct cost_terms *t, size_t crossed)
{
	const struct price_off_peak *o = p->noff_peak && crossed == 0 && !t->fast ? rates_off_peak(p, t->at_s) : NULL;

	if (!o || (t->tier != TIER_STANDARD && t->tier != TIER_UNKNOWN))
		return rates_pick_peak(p, t, crossed);
	struct rates cheap = at_off_peak(p, o);

	if (t->tier == TIER_UNKNOWN) { /* standard at these hours is one of those that it may be */
		struct rates peak = rates_pick_peak(p, t, crossed);

		rates_raise(&cheap, &peak);
	}
	return cheap;
}

/* ---- factors */

#define NO_FACTOR 1000

static int64_t dearest_factor(const struct price_factor *f, size_t n)
{
	int64_t most = NO_FACTOR;

	for (size_t i = 0; i < n; i++)
		most = max64(most, f[i].permille);
	return most;
}

static int64_t find_factor(const struct price_factor *f, size_t n, const char *name)
{
	if (!name || !name[0])
		return NO_FACTOR;
	if (!strcmp(name, COST_ANYWHERE))
		return dearest_factor(f, n);
	for (size_t i = 0; i < n; i++)
		if (!strcmp(f[i].name, name))
			return f[i].permille;
	return -1;
}

int64_t rates_fast_permille(const struct price *p, const struct cost_terms *t)
{
	if (!t->fast || is_sold(&p->sets[RATE_SET_FAST]))
		return NO_FACTOR;
	return p->fast_permille > 0 ? p->fast_permille : -1;
}

int64_t rates_geo_permille(const struct price *p, const struct cost_terms *t)
{
	return find_factor(p->geo, p->ngeo, t->geo);
}

/* A model without an uplift at a regional host costs there what it costs elsewhere. */
int64_t rates_regional_permille(const struct price *p, const struct cost_terms *t)
{
	int64_t f = find_factor(p->regional, p->nregional, t->region);

	return f < 0 ? NO_FACTOR : f;
}

/* ---- pictures */

static bool fits(const char *listed_as, const char *asked)
{
	return !listed_as[0] || !asked || !asked[0] || !strcmp(listed_as, asked);
}

/* A price for pictures of any kind stands only for those that have none of their own. */
femtousd rates_image(const struct price_image *images, size_t n, const struct cost_terms *t)
{
	femtousd most = PRICE_UNKNOWN, of_any = PRICE_UNKNOWN;
	bool is_told = (t->image_quality && t->image_quality[0]) || (t->image_size && t->image_size[0]);

	for (size_t i = 0; i < n; i++) {
		const struct price_image *im = &images[i];

		if (is_told && !im->quality[0] && !im->size[0])
			of_any = max64(of_any, im->each);
		else if (fits(im->quality, t->image_quality) && fits(im->size, t->image_size))
			most = max64(most, im->each);
	}
	return most == PRICE_UNKNOWN ? of_any : most;
}
