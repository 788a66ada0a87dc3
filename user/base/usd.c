// SPDX-License-Identifier: Apache-2.0
/* usd.c: money as people write it (declared in str.h). Integers only; nothing is ever rounded on the way in. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define DECIMALS 9
#define USD_MAX INT64_C(9000000000)

/* Takes the digits at the front of *s. -> how many, or -1 when the value goes over max. */
static int take_digits(struct str *s, int64_t max, int64_t *ret)
{
	int64_t v = 0;
	int n = 0;

	for (; s->n && s->p[0] >= '0' && s->p[0] <= '9'; s->p++, s->n--, n++) {
		/* v <= max < 1e10 here, so this does not overflow. */
		v = v * 10 + (s->p[0] - '0');
		if (v > max)
			return -1;
	}
	*ret = v;
	return n;
}

static bool take(struct str *s, struct str word)
{
	if (s->n < word.n || !str_eq_nocase((struct str){ .p = s->p, .n = word.n }, word))
		return false;
	s->p += word.n;
	s->n -= word.n;
	return true;
}

static int take_amount(struct str *s, nanousd *ret)
{
	int64_t dollars, nanos = 0;
	int n;

	if (take_digits(s, USD_MAX, &dollars) < 1)
		return -EINVAL;
	if (take(s, STR("."))) {
		n = take_digits(s, NANOUSD_PER_USD - 1, &nanos);
		if (n < 1 || n > DECIMALS)
			return -EINVAL;
		for (; n < DECIMALS; n++)
			nanos *= 10;
	}
	*ret = dollars * NANOUSD_PER_USD + nanos;
	return *ret > USD_MAX * NANOUSD_PER_USD ? -EINVAL : 0;
}

int str_to_usd(struct str s, bool allow_bare, nanousd *ret)
{
	bool has_currency;
	nanousd v;

	s = str_trim(s);
	has_currency = take(&s, STR("$"));
	if (take_amount(&s, &v) < 0)
		return -EINVAL;
	s = str_trim(s);
	if (take(&s, STR("USD")))
		has_currency = true;
	if (s.n || (!has_currency && !allow_bare))
		return -EINVAL;
	*ret = v;
	return 0;
}

/* INT64_MIN has no positive twin, hence unsigned. */
static uint64_t magnitude(nanousd v)
{
	return v < 0 ? -(uint64_t)v : (uint64_t)v;
}

/* Cuts zeros at the end of "0.1200…" down to two decimals. */
static void cut_zeros(char *text, int decimals)
{
	size_t n = strlen(text);

	for (; decimals > 2 && text[n - 1] == '0'; decimals--)
		text[--n] = '\0';
}

const char *usd_show(nanousd amount, char *ret, size_t size)
{
	uint64_t v = magnitude(amount);
	char text[32];

	(void)snprintf(text, sizeof(text), "%s%" PRIu64 ".%09" PRIu64, amount < 0 ? "-" : "", v / 1000000000,
		       v % 1000000000);
	cut_zeros(text, DECIMALS);
	(void)snprintf(ret, size, "%sUSD", text);
	return ret;
}

const char *usd_show_short(nanousd amount, char *ret, size_t size)
{
	uint64_t v = (magnitude(amount) + 50000) / 100000; /* in units of 0.0001 USD */
	char text[32];

	(void)snprintf(text, sizeof(text), "%s$%" PRIu64 ".%04" PRIu64, amount < 0 && v ? "-" : "", v / 10000,
		       v % 10000);
	cut_zeros(text, 4);
	(void)snprintf(ret, size, "%s", text);
	return ret;
}
