// SPDX-License-Identifier: Apache-2.0
/*
 * price/values.c: single values of a price list: amounts, tokens, factors, dates, times of the day. Numbers are read from their text into
 * integers of 1e-15 USD; no digit is lost or a complaint is made.
 */
#include <errno.h>

#include "base/str.h"
#include "spend/price/read.h"

/* ---- from text */

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

/* ---- from a list */

int price_read_no_memory(struct price_reader *rd)
{
	return err_set(rd->e, ENOMEM, "%s: out of memory", rd->file);
}

int price_read_usd(struct price_reader *rd, const struct yaml_node *n, const char *key, int64_t scale, femtousd *ret)
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

int price_read_tokens(struct price_reader *rd, const struct yaml_node *n, const char *key, int64_t *ret)
{
	int64_t v;

	if (yaml_kind(n) != YAML_SCALAR || str_to_i64(yaml_scalar(n), &v) < 0 || v < 1 || v > USAGE_TOKENS_MAX)
		return COMPLAIN(rd, n, key, "is not a number of tokens; write 1 to %lld, digits only", (long long)USAGE_TOKENS_MAX);
	*ret = v;
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

int price_read_factor(struct price_reader *rd, const struct yaml_node *n, const char *key, int32_t *ret)
{
	int64_t v = 0;

	if (yaml_kind(n) != YAML_SCALAR || price_decimal(yaml_scalar(n), 3, 1000, 1000, &v) < 0 || v < 1 || v > 1000000)
		return COMPLAIN(rd, n, key, "is not a factor; write 0.001 to 1000 with at most three decimals, e.g. 1.1");
	*ret = (int32_t)v;
	return 0;
}

size_t price_read_count(const struct yaml_node *n) { return yaml_kind(n) == YAML_LIST ? yaml_count(n) : 1; }
const struct yaml_node *price_read_one(const struct yaml_node *n, size_t i) { return yaml_kind(n) == YAML_LIST ? yaml_at(n, i) : n; }

void *price_read_several(struct price_reader *rd, const struct yaml_node *n, const char *key, size_t size, int *ret_error)
{
	size_t count = price_read_count(n);

	*ret_error = 0;
	if (count == 0 || count > PRICE_SEVERAL_MAX) {
		*ret_error = COMPLAIN(rd, n, key, "has %zu parts; write 1 to %d", count, PRICE_SEVERAL_MAX);
		return NULL;
	}
	void *room = price_list_room(rd->list, count * size);

	if (!room)
		*ret_error = price_read_no_memory(rd);
	return room;
}
