// SPDX-License-Identifier: Apache-2.0
/*
 * price/off_peak.c: cheaper hours and days in a price list.
 */
#include <string.h>

#include "base/str.h"
#include "spend/price/read.h"

static int read_hours(struct price_reader *rd, const struct yaml_node *n, struct price_off_peak *o)
{
	const size_t most = sizeof(o->windows) / sizeof(o->windows[0]);

	if (price_read_count(n) == 0 || price_read_count(n) > most)
		return COMPLAIN(rd, n, "hours", "has %zu windows; write 1 to %zu", price_read_count(n), most);
	for (size_t i = 0; i < price_read_count(n); i++) {
		const struct yaml_node *v = price_read_one(n, i);
		int from, to;

		if (yaml_kind(v) != YAML_SCALAR || price_window(yaml_scalar(v), &from, &to) < 0)
			return COMPLAIN(rd, v, "hours", "is not a window of the day; write FROM-TO in UTC, e.g. \"16:30-00:30\"");
		/* The same time twice: all day or nothing? */
		if (from == to)
			return COMPLAIN(rd, v, "hours", "begins when it ends; leave \"hours\" out if the whole day is meant");
		o->windows[i].from_min = (int16_t)from;
		o->windows[i].to_min = (int16_t)to;
	}
	o->nwindows = (unsigned)price_read_count(n);
	return 0;
}

static const char *const day_words[7] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

static int read_days(struct price_reader *rd, const struct yaml_node *n, struct price_off_peak *o)
{
	for (size_t i = 0; i < price_read_count(n); i++) {
		const struct yaml_node *v = price_read_one(n, i);
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
		femtousd *rate = price_rate_by_key(&ret->rates, key);
		int r;

		rates += rate != NULL;
		if (rate)
			r = price_read_usd(rd, v, key.p, USD_PER_MILLION, rate);
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

int price_read_off_peak(struct price_reader *rd, const struct yaml_node *n, struct price *p)
{
	int r;
	struct price_off_peak *o = price_read_several(rd, n, "off_peak", sizeof(*o), &r);

	for (size_t i = 0; r == 0 && i < price_read_count(n); i++)
		r = read_one_off_peak(rd, price_read_one(n, i), &o[i]);
	if (r == 0) {
		p->off_peak = o;
		p->noff_peak = price_read_count(n);
	}
	return r;
}

/* The dearer hours must be the rule and the cheaper the exception: whatever is unsure about a time is then charged the dearer. */
int price_check_off_peak(struct price_reader *rd, const struct yaml_node *n, struct price *p)
{
	struct rates standard = p->sets[TIER_STANDARD];

	for (size_t i = 0; i < p->noff_peak; i++) {
		struct rates cheap = p->off_peak[i].rates;

		for (size_t row = 0; row < RATES_COUNT; row++)
			if (*price_rate(&cheap, row) != PRICE_UNKNOWN &&
			    (*price_rate(&standard, row) == PRICE_UNKNOWN || *price_rate(&cheap, row) > *price_rate(&standard, row)))
				return COMPLAIN(rd, price_read_one(yaml_find(n, "off_peak"), i), price_rate_rows[row].key,
						"is dearer in off_peak than outside it, or not given outside; the price itself must be the dearer one");
	}
	return 0;
}
