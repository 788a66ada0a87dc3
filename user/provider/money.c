// SPDX-License-Identifier: Apache-2.0
/*
 * money.c: exact decimals. The number is its digits without the point, and the place of the point: shifting by a
 * power of ten moves that place only, so nothing is lost before the one rounding at the end.
 */
#include "provider/money.h"

#include <errno.h>

#include "base/str.h"

#define NANO_DIGITS 9
/* An exponent beyond this makes any JSON text of ours zero or too large; it also keeps the sums below from overflowing. */
#define EXPONENT_MAX 100000000

struct decimal {
	bool negative, non_zero;
	struct str digits; /* with the point still in it */
	int64_t point;     /* digits in front of the point */
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static char peek(struct str s) { return s.n ? s.p[0] : '\0'; }

static void skip(struct str *s)
{
	s->p++;
	s->n--;
}

static bool skip_sign(struct str *s, bool plus_too)
{
	bool minus = peek(*s) == '-';

	if (minus || (plus_too && peek(*s) == '+'))
		skip(s);
	return minus;
}

/* [eE][+-]digits, or nothing. */
static int read_exponent(struct str *s, int64_t *ret)
{
	int64_t e = 0;

	*ret = 0;
	if (peek(*s) != 'e' && peek(*s) != 'E')
		return 0;
	skip(s);
	bool minus = skip_sign(s, true);

	if (!is_digit(peek(*s)))
		return -EINVAL;
	for (; is_digit(peek(*s)); skip(s))
		if (e < EXPONENT_MAX)
			e = e * 10 + (peek(*s) - '0');
	*ret = minus ? -e : e;
	return 0;
}

/* Up to the exponent. */
static int read_digits(struct str *s, struct decimal *d)
{
	const char *from = s->p;
	int64_t n = 0;
	bool stands = false;

	d->point = -1;
	for (; is_digit(peek(*s)) || (peek(*s) == '.' && d->point < 0); skip(s)) {
		if (peek(*s) == '.') {
			d->point = n;
			continue;
		}
		n++;
		stands = true;
		d->non_zero |= peek(*s) != '0';
	}
	if (d->point < 0)
		d->point = n;
	d->digits = (struct str){ .p = from, .n = (size_t)(s->p - from) };
	return stands ? 0 : -EINVAL;
}

static int read_decimal(struct str s, struct decimal *d)
{
	int64_t e;

	*d = (struct decimal){ .negative = skip_sign(&s, false) };
	if (read_digits(&s, d) < 0 || read_exponent(&s, &e) < 0 || s.n > 0)
		return -EINVAL;
	d->point += e;
	return 0;
}

/* The digits as a whole number with the first d->point of them in front of the point, rounded up. */
static int whole(const struct decimal *d, nanousd *ret)
{
	int64_t at = 0, sum = 0;
	bool rest = false;

	for (size_t i = 0; i < d->digits.n; i++) {
		char c = d->digits.p[i];

		if (c == '.')
			continue;
		if (at++ >= d->point)
			rest |= c != '0';
		else if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, c - '0', &sum))
			return -ERANGE;
	}
	/* The point is behind the last digit: zeros. A sum that is not zero overflows after 19 of them. */
	for (; at < d->point && sum > 0; at++)
		if (__builtin_mul_overflow(sum, 10, &sum))
			return -ERANGE;
	if (rest && __builtin_add_overflow(sum, 1, &sum))
		return -ERANGE;
	*ret = sum;
	return 0;
}

int money_read(struct str text, int unit, nanousd *ret)
{
	struct decimal d;

	if (read_decimal(text, &d) < 0 || (d.negative && d.non_zero))
		return -EINVAL;
	d.point += NANO_DIGITS - unit;
	return whole(&d, ret);
}
