// SPDX-License-Identifier: Apache-2.0
/*
 * price/write.c: prices as a list in our own form, which price.c reads again to the same prices; and what of two prices is dearer.
 * Rates are written with all their digits; nothing is rounded here.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/yaml.h"
#include "spend/price/import.h"
#include "spend/price/own.h"

/* ---- comparing */

static int compare(femtousd before, femtousd after)
{
	if (before == after)
		return 0;
	if (before == PRICE_UNKNOWN)
		return PRICE_DEARER; /* a charge that was not there; where it was charged otherwise, a person may look */
	return after == PRICE_UNKNOWN || after < before ? PRICE_CHEAPER : PRICE_DEARER;
}

static int compare_rates(const struct rates *before, const struct rates *after)
{
	struct rates a = *before, b = *after;
	int bits = 0;

	/* A set that is not sold any more, or newly, is charged as the dearest that may stand for it. */
	if (a.input == PRICE_UNKNOWN || b.input == PRICE_UNKNOWN)
		return a.input == b.input ? 0 : a.input == PRICE_UNKNOWN ? PRICE_CHEAPER : PRICE_DEARER;
	for (size_t row = 0; row < RATES_COUNT; row++) {
		femtousd was = *price_rate(&a, row), is = *price_rate(&b, row);

		/* Unknown parts are charged as their whole. */
		if (was == PRICE_UNKNOWN && is != PRICE_UNKNOWN)
			was = strstr(price_rate_rows[row].key, "output") || !strcmp(price_rate_rows[row].key, "reasoning") ? a.output : a.input;
		if (is == PRICE_UNKNOWN && was != PRICE_UNKNOWN)
			is = strstr(price_rate_rows[row].key, "output") || !strcmp(price_rate_rows[row].key, "reasoning") ? b.output : b.input;
		bits |= compare(was, is);
	}
	return bits;
}

static int compare_sets(const struct rates *before, const struct rates *after)
{
	int bits = 0;

	for (unsigned set = 0; set < RATE_SETS; set++)
		bits |= compare_rates(&before[set], &after[set]);
	return bits;
}

static int compare_longs(const struct price *before, const struct price *after)
{
	int bits = 0;
	size_t n = before->nlongs < after->nlongs ? before->nlongs : after->nlongs;

	for (size_t i = 0; i < n; i++) {
		const struct price_long *a = &before->longs[i], *b = &after->longs[i];

		bits |= a->above < b->above || (a->inclusive && !b->inclusive) ? PRICE_CHEAPER : 0;
		bits |= a->above > b->above || (!a->inclusive && b->inclusive) ? PRICE_DEARER : 0;
		bits |= compare_sets(a->sets, b->sets);
	}
	bits |= before->nlongs > n ? PRICE_CHEAPER : 0;
	return bits | (after->nlongs > n ? PRICE_DEARER : 0);
}

static int compare_factors(const struct price_factor *before, size_t nbefore, const struct price_factor *after, size_t nafter)
{
	int bits = 0;

	for (size_t i = 0; i < nbefore || i < nafter; i++) {
		int32_t was = i < nbefore ? before[i].permille : 1000, is = i < nafter ? after[i].permille : 1000;

		bits |= is > was ? PRICE_DEARER : is < was ? PRICE_CHEAPER : 0;
	}
	return bits;
}

static femtousd image_like(const struct price_image *images, size_t n, const struct price_image *like)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(images[i].size, like->size) && !strcmp(images[i].quality, like->quality))
			return images[i].each;
	return PRICE_UNKNOWN;
}

static int compare_images(const struct price_image *before, size_t nbefore, const struct price_image *after, size_t nafter)
{
	int bits = 0;

	for (size_t i = 0; i < nbefore; i++)
		bits |= compare(before[i].each, image_like(after, nafter, &before[i]));
	for (size_t i = 0; i < nafter; i++)
		bits |= compare(image_like(before, nbefore, &after[i]), after[i].each);
	return bits;
}

static int compare_hours(const struct price *before, const struct price *after)
{
	if (before->noff_peak == after->noff_peak &&
	    (!before->noff_peak || !memcmp(before->off_peak, after->off_peak, before->noff_peak * sizeof(*before->off_peak))))
		return 0;
	return after->noff_peak ? PRICE_CHEAPER : PRICE_DEARER; /* other hours: a person should look */
}

int price_compare(const struct price *before, const struct price *after)
{
	const femtousd was[] = { before->per_request, before->per_file_search, before->per_code_session, before->per_audio_ms,
				 before->per_video_ms, before->per_character, before->per_page };
	const femtousd is[] = { after->per_request, after->per_file_search, after->per_code_session, after->per_audio_ms,
				after->per_video_ms, after->per_character, after->per_page };
	int32_t fast_before = before->fast_permille, fast_after = after->fast_permille;
	int bits = compare_sets(before->sets, after->sets) | compare_longs(before, after) |
		   compare_images(before->images, before->nimages, after->images, after->nimages) |
		   compare_hours(before, after) | compare_factors(before->geo, before->ngeo, after->geo, after->ngeo) |
		   compare_factors(before->regional, before->nregional, after->regional, after->nregional);

	for (size_t i = 0; i < sizeof(was) / sizeof(was[0]); i++)
		bits |= compare(was[i], is[i]);
	for (unsigned i = 0; i < SEARCH_CONTEXT_COUNT; i++)
		bits |= compare(before->per_web_search[i], after->per_web_search[i]);
	return bits | (fast_after > fast_before ? PRICE_DEARER : fast_after < fast_before ? PRICE_CHEAPER : 0);
}

/* ---- writing */

static void put(struct price_writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct price_writer *w, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (w->error == 0)
		w->error = n < 0 || (size_t)n >= sizeof(line) ? -1 : buf_append(w->out, line, (size_t)n);
}

/* Always in quotes: names may be numbers, words of YAML, or begin with its signs. */
static void put_text(struct price_writer *w, const char *s)
{
	if (w->error == 0)
		w->error = yaml_quote(w->out, s);
}

/* Per million: one fUSD is the ninth decimal. Per thousand: a thousand of them. */
static void put_usd(struct price_writer *w, const char *key, femtousd v, int64_t per)
{
	char digits[16];
	int64_t nano = per == 1000 ? v / 1000 + (v % 1000 != 0) : v;
	size_t n;

	(void)snprintf(digits, sizeof(digits), "%09" PRId64, nano % 1000000000);
	for (n = 9; n > 0 && digits[n - 1] == '0'; n--)
		digits[n - 1] = '\0';
	put(w, "%s%s%" PRId64 "%s%s", key, key[0] ? ": " : "", nano / 1000000000, n ? "." : "", digits);
}

static void put_rates(struct price_writer *w, const struct rates *r, bool *first)
{
	struct rates copy = *r;

	for (size_t row = 0; row < RATES_COUNT; row++) {
		if (*price_rate(&copy, row) == PRICE_UNKNOWN)
			continue;
		put(w, *first ? "" : ", ");
		put_usd(w, price_rate_rows[row].key, *price_rate(&copy, row), 1000000);
		*first = false;
	}
}

static void put_set(struct price_writer *w, const char *indent, const char *name, const struct rates *r)
{
	bool first = true;

	if (r->input == PRICE_UNKNOWN)
		return;
	put(w, "%s%s: {", indent, name);
	put_rates(w, r, &first);
	put(w, "}\n");
}

static void put_date(struct price_writer *w, const char *indent, const char *key, int64_t at_s)
{
	int64_t days = at_s / 86400 + 719468, era = days / 146097, doe = days % 146097; /* days since 0000-03-01 */
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153, month = mp < 10 ? mp + 3 : mp - 9;

	if (at_s)
		put(w, "%s%s: %04" PRId64 "-%02" PRId64 "-%02" PRId64 "\n", indent, key, yoe + era * 400 + (month <= 2), month,
		    doy - (153 * mp + 2) / 5 + 1);
}

static void put_longs(struct price_writer *w, const char *in, const struct price *p)
{
	char deeper[24];

	if (!p->nlongs)
		return;
	(void)snprintf(deeper, sizeof(deeper), "%s    ", in);
	put(w, "%slong_context:\n", in);
	for (size_t i = 0; i < p->nlongs; i++) {
		put(w, "%s  - above: %" PRId64 "\n", in, p->longs[i].above);
		if (p->longs[i].inclusive)
			put(w, "%sinclusive: true\n", deeper);
		for (unsigned set = 0; set < RATE_SETS; set++)
			put_set(w, deeper, price_set_words[set], &p->longs[i].sets[set]);
	}
}

static void put_hours(struct price_writer *w, const char *in, const struct price *p)
{
	static const char *const days[7] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

	for (size_t i = 0; i < p->noff_peak; i++) {
		const struct price_off_peak *o = &p->off_peak[i];
		bool first = true;

		put(w, i ? "%s  - {" : "%soff_peak:\n%s  - {", in, in);
		for (unsigned k = 0; k < o->nwindows; k++) {
			int from = o->windows[k].from_min, to = o->windows[k].to_min;

			put(w, "%s\"%02d:%02d-%02d:%02d\"", k ? ", " : "hours: [", from / 60, from % 60, to / 60, to % 60);
		}
		put(w, o->nwindows ? "]" : "");
		first = !o->nwindows;
		for (unsigned d = 0, named = 0; o->days && d < 7; d++)
			if (o->days >> d & 1)
				put(w, "%s%s", named++ ? ", " : first ? "days: [" : ", days: [", days[d]);
		put(w, o->days ? "]" : "");
		first = first && !o->days;
		put_rates(w, &o->rates, &first);
		put(w, "}\n");
	}
}

static void put_factors(struct price_writer *w, const char *in, const char *key, const struct price_factor *f, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i == 0)
			put(w, "%s%s: {", in, key);
		put(w, "%s", i ? ", " : "");
		put_text(w, f[i].name);
		put(w, ": %d.%03d%s", f[i].permille / 1000, f[i].permille % 1000, i + 1 == n ? "}\n" : "");
	}
}

static void put_fee(struct price_writer *w, const char *in, const char *key, femtousd v, int64_t per)
{
	if (v == PRICE_UNKNOWN)
		return;
	put(w, "%s", in);
	put_usd(w, key, v, per);
	put(w, "\n");
}

static void put_search(struct price_writer *w, const char *in, const femtousd *fee)
{
	if (fee[SEARCH_CONTEXT_LOW] == fee[SEARCH_CONTEXT_HIGH] && fee[SEARCH_CONTEXT_LOW] == fee[SEARCH_CONTEXT_MEDIUM]) {
		put_fee(w, in, "web_search", fee[SEARCH_CONTEXT_UNKNOWN], 1000);
		return;
	}
	put(w, "%sweb_search: {", in);
	put_usd(w, "low", fee[SEARCH_CONTEXT_LOW], 1000);
	put(w, ", ");
	put_usd(w, "medium", fee[SEARCH_CONTEXT_MEDIUM], 1000);
	put(w, ", ");
	put_usd(w, "high", fee[SEARCH_CONTEXT_HIGH], 1000);
	put(w, "}\n");
}

static void put_images(struct price_writer *w, const char *in, const char *key, const struct price_image *images, size_t n)
{
	if (n == 1 && !images[0].size[0] && !images[0].quality[0]) {
		put_fee(w, in, key, images[0].each, 1000);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const struct price_image *im = &images[i];
		char name[80];

		(void)snprintf(name, sizeof(name), "%s%s%s", im->quality, im->quality[0] && im->size[0] ? "/" : "", im->size);
		if (i == 0)
			put(w, "%s%s: {", in, key);
		put(w, "%s", i ? ", " : "");
		put_text(w, name[0] ? name : "any");
		put(w, ": ");
		put_usd(w, "", im->each, 1000);
		put(w, "%s", i + 1 == n ? "}\n" : "");
	}
}

static void put_price(struct price_writer *w, const char *in, const struct price *p)
{
	const struct rates *r = &p->sets[TIER_STANDARD];
	struct rates copy = *r;

	if (!w->source || strcmp(p->source, w->source)) {
		put(w, "%ssource: ", in);
		put_text(w, p->source);
		put(w, "\n");
	}
	if (strcmp(p->as_of, "undated") && (!w->as_of || strcmp(p->as_of, w->as_of)))
		put(w, "%sas_of: %s\n", in, p->as_of);
	put_date(w, in, "from", p->from_s);
	put_date(w, in, "to", p->to_s);
	if (p->is_media || r->output == PRICE_UNKNOWN)
		put(w, "%skind: %s\n", in, p->is_media ? "media" : "embedding");
	for (size_t row = 0; row < RATES_COUNT; row++)
		put_fee(w, in, price_rate_rows[row].key, *price_rate(&copy, row), 1000000);
	for (unsigned set = TIER_FLEX; set < RATE_SETS; set++)
		put_set(w, in, price_set_words[set], &p->sets[set]);
	if (p->fast_permille)
		put(w, "%sfast: %d.%03d\n", in, p->fast_permille / 1000, p->fast_permille % 1000);
	put_longs(w, in, p);
	put_hours(w, in, p);
	put_factors(w, in, "geo", p->geo, p->ngeo);
	put_factors(w, in, "regional", p->regional, p->nregional);
	put_search(w, in, p->per_web_search);
	put_images(w, in, "image", p->images, p->nimages);
	put_fee(w, in, "per_request", p->per_request ? p->per_request : PRICE_UNKNOWN, 1000);
	put_fee(w, in, "file_search", p->per_file_search, 1000);
	put_fee(w, in, "code_session", p->per_code_session, 1000);
	put_fee(w, in, "page", p->per_page, 1000);
	put_fee(w, in, "audio_second", p->per_audio_ms, 1000000);
	put_fee(w, in, "video_second", p->per_video_ms, 1000000);
	put_fee(w, in, "character", p->per_character, 1000000);
	if (p->reported == PRICE_REPORTED_IGNORED)
		put(w, "%sreported: ignored\n", in);
	if (p->max_input >= 0)
		put(w, "%smax_input: %" PRId64 "\n", in, p->max_input);
	if (p->max_output >= 0)
		put(w, "%smax_output: %" PRId64 "\n", in, p->max_output);
}

void price_write_begin(struct price_writer *w, struct buf *out, const char *comment)
{
	*w = (struct price_writer){ .out = out };
	put(w, "# %s\n\nproviders:\n", comment);
}

static void put_aliases(struct price_writer *w, const char *in, const char *const *aliases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		put(w, i ? ", " : "%saliases: [", in);
		put_text(w, aliases[i]);
		put(w, i + 1 == n ? "]\n" : "");
	}
}

void price_write_model(struct price_writer *w, const struct price *const *prices, size_t n, const char *const *aliases, size_t naliases)
{
	const struct price *first = prices[0];

	if (!w->provider || strcmp(w->provider, first->provider)) {
		put(w, "\n  ");
		put_text(w, first->provider);
		put(w, ":\n    source: ");
		put_text(w, first->source);
		put(w, "\n");
		if (strcmp(first->as_of, "undated"))
			put(w, "    as_of: %s\n", first->as_of);
		put(w, "    models:\n");
		w->provider = first->provider;
		w->source = first->source;
		w->as_of = first->as_of;
	}
	put(w, "      ");
	put_text(w, first->model);
	put(w, ":\n");
	if (n == 1 && !first->from_s && !first->to_s) {
		put_aliases(w, "        ", aliases, naliases);
		put_price(w, "        ", first);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		put(w, "        -\n");
		put_aliases(w, "          ", aliases, i ? 0 : naliases);
		put_price(w, "          ", prices[i]);
	}
}

int price_write_end(struct price_writer *w)
{
	if (!w->provider)
		put(w, "  {}\n");
	return w->error;
}
