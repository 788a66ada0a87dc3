// SPDX-License-Identifier: Apache-2.0
/* price/json.c: a walk over checked JSON text, and exact arithmetic on its numbers. No double anywhere. */
#include "spend/price/json.h"

#include <errno.h>
#include <string.h>

#include "base/json_text.h"
#include "base/str.h"

static void ignore(void *ctx, int id, const struct json_value *v)
{
	(void)ctx;
	(void)id;
	(void)v;
}

int price_json_check(const char *name, const char *text, size_t len, struct err *e)
{
	static const struct json_want root = { "", 0 };
	struct json *j = json_new();
	int r = j ? json_scan(j, text, len, &root, 1, ignore, NULL) : -ENOMEM;

	json_free(j);
	if (r == -ENOMEM)
		return err_set(e, ENOMEM, "%s: out of memory", name);
	if (r < 0)
		return err_set(e, EINVAL, "%s: is not JSON (%s); NaN, Infinity, comments and a comma at the end are no JSON either", name,
			       r == -E2BIG ? "nested too deep" : "broken structure, word, number or text");
	return 0;
}

/* ---- the walk */

static const char *past_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		p += *p == '\\';
	return p + 1;
}

static const char *past_value(const char *p, const char *end)
{
	int depth = 0;

	if (*p == '"')
		return past_string(p, end);
	if (*p != '{' && *p != '[') {
		while (p < end && !json_ends_word(*p))
			p++;
		return p;
	}
	while (p < end) {
		if (*p == '"') {
			p = past_string(p, end);
			continue;
		}
		depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
		p++;
		if (depth == 0)
			break;
	}
	return p;
}

static const char *past_blanks(const char *p, const char *end)
{
	while (p < end && json_is_blank(*p))
		p++;
	return p;
}

static enum json_kind kind_of(char c)
{
	switch (c) {
	case '{': return JSON_OBJECT;
	case '[': return JSON_ARRAY;
	case '"': return JSON_STRING;
	case 'n': return JSON_NULL;
	case 't':
	case 'f': return JSON_BOOL;
	default: return JSON_NUMBER;
	}
}

static struct pj_value value_at(const char *p, const char *end)
{
	const char *after = past_value(p, end);

	return (struct pj_value){ .kind = kind_of(*p), .raw = { .p = p, .n = (size_t)((after > end ? end : after) - p) } };
}

struct pj_value price_json_root(const char *text, size_t len)
{
	return value_at(past_blanks(text, text + len), text + len);
}

struct pj_walk pj_walk(const struct pj_value *v)
{
	struct pj_walk w = { 0 };

	if (v->kind == JSON_OBJECT || v->kind == JSON_ARRAY)
		w = (struct pj_walk){ .p = v->raw.p + 1, .end = v->raw.p + v->raw.n - 1, .is_object = v->kind == JSON_OBJECT };
	return w;
}

bool pj_next(struct pj_walk *w, struct str *ret_key, struct pj_value *ret)
{
	*ret_key = STR("");
	if (!w->p)
		return false;
	w->p = past_blanks(w->p, w->end);
	if (w->p < w->end && *w->p == ',')
		w->p = past_blanks(w->p + 1, w->end);
	if (w->p >= w->end)
		return false;
	if (w->is_object) {
		const char *after = past_string(w->p, w->end);

		*ret_key = (struct str){ .p = w->p + 1, .n = (size_t)(after - w->p) - 2 };
		w->p = past_blanks(past_blanks(after, w->end) + 1, w->end); /* the colon */
	}
	*ret = value_at(w->p, w->end);
	w->p = ret->raw.p + ret->raw.n;
	return true;
}

bool pj_find(const struct pj_value *object, const char *key, struct pj_value *ret)
{
	struct pj_walk w = pj_walk(object);
	struct str k;

	while (pj_next(&w, &k, ret))
		if (str_eq(k, str_of(key)))
			return true;
	return false;
}

struct str pj_text(struct arena *a, struct str raw)
{
	if (!raw.n || !memchr(raw.p, '\\', raw.n))
		return raw.p ? raw : STR("");
	char *to = arena_alloc(a, raw.n + 1);

	if (!to)
		return (struct str){ 0 };
	return (struct str){ .p = to, .n = json_unescape(raw.p, raw.p + raw.n, to) };
}

struct str pj_string(struct arena *a, const struct pj_value *v)
{
	if (v->kind != JSON_STRING)
		return (struct str){ 0 };
	return pj_text(a, (struct str){ .p = v->raw.p + 1, .n = v->raw.n - 2 });
}

/* ---- numbers */

#define MANTISSA_DIGITS 30 /* x factor x a power of ten still fits 128 bits, or is out of range anyway */
#define EXPONENT_MAX 1000

struct decimal {
	unsigned __int128 mantissa;
	int exponent;
	bool more; /* digits that did not fit and are not all zero */
};

static void take_digit(struct decimal *d, int *count, char c, bool is_fraction)
{
	if (*count >= MANTISSA_DIGITS) {
		d->more |= c != '0';
		d->exponent += !is_fraction;
		return;
	}
	*count += d->mantissa > 0 || c != '0';
	d->mantissa = d->mantissa * 10 + (unsigned)(c - '0');
	d->exponent -= is_fraction;
}

static int read_exponent(const char *p, const char *end)
{
	bool negative = p < end && *p == '-';
	int n = 0;

	for (p += p < end && (*p == '-' || *p == '+'); p < end; p++)
		n = n < EXPONENT_MAX ? n * 10 + (*p - '0') : n;
	return negative ? -n : n;
}

static int read_decimal(struct str s, struct decimal *ret)
{
	const char *p = s.p, *end = s.p + s.n;
	bool is_fraction = false, any = false;
	int count = 0;

	*ret = (struct decimal){ 0 };
	for (; p < end && *p != 'e' && *p != 'E'; p++) {
		if (*p == '.') {
			is_fraction = true;
			continue;
		}
		if (!json_is_digit(*p))
			return -EINVAL;
		any = true;
		take_digit(ret, &count, *p, is_fraction);
	}
	if (!any)
		return -EINVAL;
	if (p < end)
		ret->exponent += read_exponent(p + 1, end);
	return 0;
}

int pj_scale(struct str number, int64_t factor, int pow10, int64_t max, int64_t *ret, bool *ret_rounded)
{
	struct decimal d;
	int r = read_decimal(number, &d);

	if (r < 0)
		return r;
	bool rounded = d.more && factor > 0;
	unsigned __int128 v = d.mantissa, scaled;
	int exponent = d.exponent + pow10;

	if (__builtin_mul_overflow(v, (unsigned __int128)factor, &scaled))
		return -ERANGE;
	for (; exponent > 0 && scaled; exponent--)
		if (__builtin_mul_overflow(scaled, (unsigned __int128)10, &scaled))
			return -ERANGE;
	for (; exponent < 0 && scaled; exponent++) {
		rounded |= scaled % 10 != 0;
		scaled /= 10;
	}
	scaled += rounded;
	if (scaled > (unsigned __int128)max)
		return -ERANGE;
	*ret = (int64_t)scaled;
	if (rounded && ret_rounded)
		*ret_rounded = true;
	return 0;
}
