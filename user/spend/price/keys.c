// SPDX-License-Identifier: Apache-2.0
/*
 * price/keys.c: the keys of one price in a list: numbers, rates, tiers, long context, hours, factors, fees. Numbers are read from their
 * text into integers of 1e-15 USD; no digit is lost or a complaint is made. docs/prices.md has the meaning of each key.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "spend/price/read.h"

/* ---- values */

int price_read_no_memory(struct price_reader *rd)
{
	return err_set(rd->e, ENOMEM, "%s: out of memory", rd->file);
}

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
static int read_usd(struct price_reader *rd, const struct yaml_node *n, const char *key, int64_t scale, femtousd *ret)
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

static int read_tokens(struct price_reader *rd, const struct yaml_node *n, const char *key, int64_t *ret)
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

int price_read_date(struct price_reader *rd, const struct yaml_node *n, const char *key, int64_t *ret)
{
	if (yaml_kind(n) != YAML_SCALAR || price_date(yaml_scalar(n), ret) < 0)
		return COMPLAIN(rd, n, key, "is not a date; write YEAR-MONTH-DAY, e.g. 2026-09-01 (00:00 UTC is meant)");
	return 0;
}

int price_read_text(struct price_reader *rd, const struct yaml_node *n, const char *key, const char **ret)
{
	struct str s = yaml_scalar(n);

	if (yaml_kind(n) != YAML_SCALAR || s.n == 0 || s.n > 300)
		return COMPLAIN(rd, n, key, "is not a text; write 1 to 300 characters");
	*ret = price_list_text(rd->list, s);
	return *ret ? 0 : price_read_no_memory(rd);
}

int price_read_reported(struct price_reader *rd, const struct yaml_node *n, enum price_reported *ret)
{
	static const char *const words[PRICE_REPORTED_COUNT] = { [PRICE_REPORTED_WINS] = "wins", [PRICE_REPORTED_IGNORED] = "ignored" };

	for (unsigned i = 0; i < PRICE_REPORTED_COUNT; i++)
		if (yaml_kind(n) == YAML_SCALAR && str_eq(yaml_scalar(n), str_of(words[i]))) {
			*ret = (enum price_reported)i;
			return 0;
		}
	return COMPLAIN(rd, n, "reported", "is not known; write wins (money that the provider itself reports is what is charged) or ignored");
}

/* A factor in thousandths: 0.001 to 1000. */
static int read_factor(struct price_reader *rd, const struct yaml_node *n, const char *key, int32_t *ret)
{
	int64_t v = 0;

	if (yaml_kind(n) != YAML_SCALAR || price_decimal(yaml_scalar(n), 3, 1000, 1000, &v) < 0 || v < 1 || v > 1000000)
		return COMPLAIN(rd, n, key, "is not a factor; write 0.001 to 1000 with at most three decimals, e.g. 1.1");
	*ret = (int32_t)v;
	return 0;
}

/* ---- rates */

/* 1 USD per million (tokens, characters, milliseconds) = 1e9 fUSD each; per thousand (requests, searches, pictures) = 1e12. */
#define USD_PER_MILLION (FEMTOUSD_PER_NANOUSD * 1000)
#define USD_PER_THOUSAND (FEMTOUSD_PER_NANOUSD * 1000000)

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

static femtousd *rate_by_key(struct rates *r, struct str key)
{
	for (size_t i = 0; price_rate_rows[i].key; i++)
		if (str_eq(key, str_of(price_rate_rows[i].key)))
			return price_rate(r, i);
	return NULL;
}

static int no_rate(struct price_reader *rd, const struct yaml_node *n, struct str key)
{
	return COMPLAIN(rd, n, key.p, "is not a rate; known are input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, "
			"audio_input, audio_cache_read, audio_output, image_input, image_cache_read, image_output, video_input");
}

/* A tier: a map of rates. needs_output: the model's standard has one, so this must too. */
static int read_tier(struct price_reader *rd, const struct yaml_node *n, const char *tier, bool needs_output, struct rates *ret)
{
	memset(ret, 0xff, sizeof(*ret));
	if (yaml_kind(n) != YAML_MAP)
		return COMPLAIN(rd, n, tier, "is not a set of rates; write e.g. {input: 1.25, output: 10}");
	for (size_t i = 0; i < yaml_count(n); i++) {
		struct str key = yaml_key(n, i);
		femtousd *rate = rate_by_key(ret, key);
		int r = rate ? read_usd(rd, yaml_at(n, i), key.p, USD_PER_MILLION, rate) : no_rate(rd, yaml_at(n, i), key);

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
	return read_tokens(rd, n, "above", ret);
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
			return read_tier(rd, v, key.p, needs_output, &ret->sets[set]);
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

/* One of a kind, or a list of them. */
static size_t count_of(const struct yaml_node *n) { return yaml_kind(n) == YAML_LIST ? yaml_count(n) : 1; }
static const struct yaml_node *one_of(const struct yaml_node *n, size_t i) { return yaml_kind(n) == YAML_LIST ? yaml_at(n, i) : n; }

#define SEVERAL_MAX 16

static void *several(struct price_reader *rd, const struct yaml_node *n, const char *key, size_t size, int *ret_error)
{
	size_t count = count_of(n);

	*ret_error = 0;
	if (count == 0 || count > SEVERAL_MAX) {
		*ret_error = COMPLAIN(rd, n, key, "has %zu parts; write 1 to %d", count, SEVERAL_MAX);
		return NULL;
	}
	void *room = price_list_room(rd->list, count * size);

	if (!room)
		*ret_error = price_read_no_memory(rd);
	return room;
}

static int read_long_context(struct price_reader *rd, const struct yaml_node *n, bool needs_output, struct price *p)
{
	int r;
	struct price_long *l = several(rd, n, "long_context", sizeof(*l), &r);

	for (size_t i = 0; r == 0 && i < count_of(n); i++) {
		r = read_one_long(rd, one_of(n, i), needs_output, &l[i]);
		if (r == 0 && i > 0 && l[i].above <= l[i - 1].above)
			r = COMPLAIN(rd, one_of(n, i), "long_context", "is not above the one before it; write them from the lowest \"above\" to the highest");
	}
	if (r == 0) {
		p->longs = l;
		p->nlongs = count_of(n);
	}
	return r;
}

/* ---- cheaper hours */

static int two(const char *p) { return p[0] >= '0' && p[0] <= '9' && p[1] >= '0' && p[1] <= '9' ? two_digits(p) : -1; }

/* "16:30"; 24:00 is the end of a day. -1 = not one. */
static int minute_of(struct str s)
{
	int hour = s.n == 5 && s.p[2] == ':' ? two(s.p) : -1, minute = hour < 0 ? -1 : two(s.p + 3);

	if (hour < 0 || minute < 0 || hour > 24 || minute > 59 || (hour == 24 && minute))
		return -1;
	return hour * 60 + minute;
}

int price_window(struct str s, int *ret_from, int *ret_to)
{
	struct str rest = s, first = str_cut(&rest, '-');

	*ret_from = minute_of(str_trim(first));
	*ret_to = minute_of(str_trim(rest));
	return *ret_from < 0 || *ret_to < 0 || *ret_from == 1440 ? -EINVAL : 0;
}

static int read_hours(struct price_reader *rd, const struct yaml_node *n, struct price_off_peak *o)
{
	const size_t most = sizeof(o->windows) / sizeof(o->windows[0]);

	if (count_of(n) == 0 || count_of(n) > most)
		return COMPLAIN(rd, n, "hours", "has %zu windows; write 1 to %zu", count_of(n), most);
	for (size_t i = 0; i < count_of(n); i++) {
		const struct yaml_node *v = one_of(n, i);
		int from, to;

		if (yaml_kind(v) != YAML_SCALAR || price_window(yaml_scalar(v), &from, &to) < 0)
			return COMPLAIN(rd, v, "hours", "is not a window of the day; write FROM-TO in UTC, e.g. \"16:30-00:30\"");
		/* The same time twice: all day or nothing? */
		if (from == to)
			return COMPLAIN(rd, v, "hours", "begins when it ends; leave \"hours\" out if the whole day is meant");
		o->windows[i].from_min = (int16_t)from;
		o->windows[i].to_min = (int16_t)(to == 1440 ? 1440 : to);
	}
	o->nwindows = (unsigned)count_of(n);
	return 0;
}

static const char *const day_words[7] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

static int read_days(struct price_reader *rd, const struct yaml_node *n, struct price_off_peak *o)
{
	for (size_t i = 0; i < count_of(n); i++) {
		const struct yaml_node *v = one_of(n, i);
		unsigned day = 0;

		while (day < 7 && !(yaml_kind(v) == YAML_SCALAR && str_eq(yaml_scalar(v), str_of(day_words[day]))))
			day++;
		if (day == 7)
			return COMPLAIN(rd, v, "days", "is not a day of the week; write mon, tue, wed, thu, fri, sat, sun");
		o->days |= (uint8_t)(1u << day);
	}
	return o->days ? 0 : COMPLAIN(rd, n, "days", "names no day; leave \"days\" out if every day is meant");
}

static int read_one_off_peak(struct price_reader *rd, const struct yaml_node *n, struct price_off_peak *ret)
{
	size_t rates = 0;

	memset(&ret->rates, 0xff, sizeof(ret->rates));
	if (yaml_kind(n) != YAML_MAP)
		return COMPLAIN(rd, n, "off_peak", "is not a set of keys; write e.g. {hours: \"16:30-00:30\", input: 0.135, output: 0.55}");
	for (size_t i = 0; i < yaml_count(n); i++) {
		struct str key = yaml_key(n, i);
		const struct yaml_node *v = yaml_at(n, i);
		femtousd *rate = rate_by_key(&ret->rates, key);
		int r;

		rates += rate != NULL;
		if (rate)
			r = read_usd(rd, v, key.p, USD_PER_MILLION, rate);
		else if (str_eq(key, STR("hours")))
			r = read_hours(rd, v, ret);
		else if (str_eq(key, STR("days")))
			r = read_days(rd, v, ret);
		else
			r = COMPLAIN(rd, v, key.p, "is not known here; off_peak has hours, days, and rates such as input");
		if (r < 0)
			return r;
	}
	if (rates == 0)
		return COMPLAIN(rd, n, "off_peak", "has no rate; add those that are cheaper, e.g. input: 0.135");
	if (!ret->nwindows && !ret->days)
		return COMPLAIN(rd, n, "off_peak", "does not say when; add hours (\"16:30-00:30\", UTC) or days ([sat, sun])");
	return 0;
}

static int read_off_peak(struct price_reader *rd, const struct yaml_node *n, struct price *p)
{
	int r;
	struct price_off_peak *o = several(rd, n, "off_peak", sizeof(*o), &r);

	for (size_t i = 0; r == 0 && i < count_of(n); i++)
		r = read_one_off_peak(rd, one_of(n, i), &o[i]);
	if (r == 0) {
		p->off_peak = o;
		p->noff_peak = count_of(n);
	}
	return r;
}

/* The dearer hours must be the rule and the cheaper the exception: whatever is unsure about a time is then charged the dearer. */
static int check_off_peak(struct price_reader *rd, const struct yaml_node *n, struct price *p)
{
	struct rates standard = p->sets[TIER_STANDARD];

	for (size_t i = 0; i < p->noff_peak; i++) {
		struct rates cheap = p->off_peak[i].rates;

		for (size_t row = 0; row < RATES_COUNT; row++)
			if (*price_rate(&cheap, row) != PRICE_UNKNOWN &&
			    (*price_rate(&standard, row) == PRICE_UNKNOWN || *price_rate(&cheap, row) > *price_rate(&standard, row)))
				return COMPLAIN(rd, one_of(yaml_find(n, "off_peak"), i), price_rate_rows[row].key,
						"is dearer in off_peak than outside it, or not given outside; the price itself must be the dearer one");
	}
	return 0;
}

/* ---- factors, fees, pictures */

static int read_factors(struct price_reader *rd, const struct yaml_node *n, const char *key, const struct price_factor **ret, size_t *ret_n)
{
	size_t count = yaml_count(n);
	struct price_factor *f;

	if (yaml_kind(n) != YAML_MAP || count == 0 || count > SEVERAL_MAX)
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
		r = f[i].name ? read_factor(rd, yaml_at(n, i), name.p, &f[i].permille) : price_read_no_memory(rd);
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
		return read_factor(rd, n, "fast", &p->fast_permille);
	return read_tier(rd, n, "fast", has_output, &p->sets[RATE_SET_FAST]);
}

static int read_web_search(struct price_reader *rd, const struct yaml_node *n, struct price *p)
{
	static const char *const sizes[SEARCH_CONTEXT_COUNT] = { "", "low", "medium", "high" };
	femtousd *fee = p->per_web_search;
	int r = 0;

	if (yaml_kind(n) == YAML_SCALAR) {
		r = read_usd(rd, n, "web_search", USD_PER_THOUSAND, &fee[0]);
		for (unsigned i = 1; r == 0 && i < SEARCH_CONTEXT_COUNT; i++)
			fee[i] = fee[0];
		return r;
	}
	if (yaml_kind(n) != YAML_MAP || yaml_count(n) != SEARCH_CONTEXT_COUNT - 1)
		return COMPLAIN(rd, n, "web_search", "is neither an amount nor one for each of low, medium, high; write e.g. 10, or {low: 5, medium: 8, high: 12}");
	for (unsigned i = 1; r == 0 && i < SEARCH_CONTEXT_COUNT; i++) {
		const struct yaml_node *v = yaml_find(n, sizes[i]);

		r = v ? read_usd(rd, v, sizes[i], USD_PER_THOUSAND, &fee[i])
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
		r = read_usd(rd, one ? n : yaml_at(n, i), one ? key : name.p, USD_PER_THOUSAND, &images[i].each);
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
		return read_tier(rd, v, key.p, has_output, &p->sets[TIER_FLEX]);
	case KEY_PRIORITY:
		return read_tier(rd, v, key.p, has_output, &p->sets[TIER_PRIORITY]);
	case KEY_BATCH:
		return read_tier(rd, v, key.p, has_output, &p->sets[TIER_BATCH]);
	case KEY_FAST:
		return read_fast(rd, v, has_output, p);
	case KEY_LONG:
		return read_long_context(rd, v, has_output, p);
	case KEY_OFF_PEAK:
		return read_off_peak(rd, v, p);
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
		return read_tokens(rd, v, key.p, &p->max_input);
	case KEY_MAX_OUTPUT:
		return read_tokens(rd, v, key.p, &p->max_output);
	default:
		return COMPLAIN(rd, v, key.p, "is not known in a price; see docs/prices.md for the keys");
	}
}

static int read_entry_key(struct price_reader *rd, const struct yaml_node *v, struct str key, bool has_output, struct price *p)
{
	femtousd *rate = rate_by_key(&p->sets[TIER_STANDARD], key);

	if (rate)
		return read_usd(rd, v, key.p, USD_PER_MILLION, rate);
	for (size_t i = 0; i < sizeof(fee_rows) / sizeof(fee_rows[0]); i++)
		if (str_eq(key, str_of(fee_rows[i].key)))
			return read_usd(rd, v, key.p, fee_rows[i].scale, (femtousd *)((char *)p + fee_rows[i].at));
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
	return r < 0 ? r : check_off_peak(rd, n, p);
}
