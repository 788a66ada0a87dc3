// SPDX-License-Identifier: Apache-2.0
/* bill_compare.c: see bill_compare.h. */
#include "ctl/cmd/bill_compare.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/jsonw.h"
#include "base/map.h"
#include "base/str.h"
#include "ctl/cmd/csv.h"
#include "ctl/records.h"
#include "ctl/cmd/table.h"

#define DAY_S INT64_C(86400)
#define AMOUNT_MAX 9e9L /* USD; nano-dollars of it fit */

/* Zeroed before it is filled: its bytes are its key. */
struct key {
	char day[12], model[84];
};
struct entry {
	struct key key;
	nanousd ours, theirs;
};

enum column { C_DAY, C_MODEL, C_AMOUNT, C_COUNT };
static const char *const column_names[C_COUNT][8] = {
	[C_DAY] = { "date", "day", "start_date", "start_time", "usage_date", NULL },
	[C_MODEL] = { "model", "line_item", "description", "sku", NULL },
	[C_AMOUNT] = { "amount", "cost", "amount_usd", "cost_usd", "amount_value", NULL },
};

struct work {
	const struct bill_compare *in;
	struct map *entries; /* by key -> struct entry */
	int column[C_COUNT]; /* -1 = the file has none */
	bool has_head;
	size_t rows, outside;
	int error;
};

static struct entry *entry_of(struct work *w, const char *day, const char *model)
{
	struct key key;

	memset(&key, 0, sizeof(key));
	if (w->column[C_DAY] >= 0)
		(void)snprintf(key.day, sizeof(key.day), "%.10s", day);
	if (w->column[C_MODEL] >= 0)
		(void)snprintf(key.model, sizeof(key.model), "%.80s", model);
	for (char *p = key.model; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	struct str k = { (const char *)&key, sizeof(key) };
	struct entry *e = map_find(w->entries, k);

	if (e)
		return e;
	e = calloc(1, sizeof(*e));
	if (!e || map_put(w->entries, k, e, NULL) < 0) {
		free(e);
		w->error = -ENOMEM;
		return NULL;
	}
	e->key = key;
	return e;
}

static void add(nanousd *to, nanousd n)
{
	if (__builtin_add_overflow(*to, n, to))
		*to = n < 0 ? INT64_MIN : INT64_MAX;
}

/* ---- theirs */

static int find_columns(struct work *w, const char *const *cells, size_t n, struct err *e)
{
	for (int c = 0; c < C_COUNT; c++) {
		w->column[c] = -1;
		for (const char *const *name = column_names[c]; *name && w->column[c] < 0; name++)
			for (size_t i = 0; i < n && w->column[c] < 0; i++)
				if (strcasecmp(cells[i], *name) == 0)
					w->column[c] = (int)i;
	}
	if (w->column[C_AMOUNT] < 0)
		return err_set(e, EINVAL, "%s, line 1: no column for the amount; the head line has to name date, model, amount", w->in->name);
	if (w->column[C_DAY] < 0 && w->column[C_MODEL] < 0)
		return err_set(e, EINVAL, "%s, line 1: neither a column for the day nor for the model", w->in->name);
	return 0;
}

/* "2026-11-03", "2026-11-03T00:00:00Z", "1793664000" */
static bool day_of(const char *text, int64_t *ret)
{
	struct tm tm = { 0 };
	int n = 0;
	int64_t s;

	if (sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &n) == 3 && n == 10) {
		tm.tm_year -= 1900;
		tm.tm_mon -= 1;
		*ret = timegm(&tm);
		return true;
	}
	if (str_to_i64(str_of(text), &s) < 0 || s < 0 || s > INT64_C(1) << 33)
		return false;
	*ret = s / DAY_S * DAY_S;
	return true;
}

/* Their figures may have more digits than we keep, and exponents: a comparison, no booking. */
static bool amount_of(const char *text, nanousd *ret)
{
	char plain[64];
	size_t n = 0;
	char *end;

	for (const char *p = text; *p && n < sizeof(plain) - 1; p++)
		if (*p != '$' && *p != ',' && *p != ' ')
			plain[n++] = *p;
	plain[n] = '\0';
	long double v = strtold(plain, &end);

	if (end == plain || (*end && strcasecmp(end, "USD") != 0) || !isfinite(v) || v > AMOUNT_MAX || v < -AMOUNT_MAX)
		return false;
	*ret = (nanousd)llroundl(v * 1e9L);
	return true;
}

static const char *model_of(const char *text, char *mem, size_t size)
{
	const char *cut = strstr(text, ", ");

	(void)snprintf(mem, size, "%.*s", cut ? (int)(cut - text) : (int)strlen(text), text);
	return mem;
}

static int their_row(void *ctx, size_t line, const char *const *cells, size_t n, struct err *e)
{
	struct work *w = ctx;
	char day[16] = "", model[84] = "";
	int64_t at_s = w->in->from_s;
	nanousd amount;

	if (!w->has_head) {
		w->has_head = true;
		return find_columns(w, cells, n, e);
	}
	for (int c = 0; c < C_COUNT; c++)
		if (w->column[c] >= (int)n)
			return err_set(e, EINVAL, "%s, line %zu: has %zu columns, the head line has more", w->in->name, line, n);
	if (w->column[C_DAY] >= 0 && !day_of(cells[w->column[C_DAY]], &at_s))
		return err_set(e, EINVAL, "%s, line %zu: \"%.40s\" is not a day; write e.g. 2026-11-03", w->in->name, line,
			       cells[w->column[C_DAY]]);
	if (!amount_of(cells[w->column[C_AMOUNT]], &amount))
		return err_set(e, EINVAL, "%s, line %zu: \"%.40s\" is not an amount in USD", w->in->name, line, cells[w->column[C_AMOUNT]]);
	w->rows++;
	if (at_s + DAY_S <= w->in->from_s || (w->in->to_s && at_s >= w->in->to_s)) {
		w->outside++;
		return 0;
	}
	time_t t = (time_t)at_s;
	struct tm tm;

	(void)gmtime_r(&t, &tm);
	(void)strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	if (w->column[C_MODEL] >= 0)
		(void)model_of(cells[w->column[C_MODEL]], model, sizeof(model));
	struct entry *to = entry_of(w, day, model);

	if (to)
		add(&to->theirs, amount);
	return w->error;
}

/* ---- ours */

static void our_row(void *ctx, const char *const *v)
{
	struct work *w = ctx;
	struct entry *to = entry_of(w, v[0], v[1]);
	nanousd cost;

	if (to && str_to_usd(str_of(v[2]), true, &cost) == 0)
		add(&to->ours, cost);
}

/* ---- the differences */

struct differences {
	struct entry *v;
	size_t n;
	nanousd ours, theirs;
};

static bool collect(void *ctx, struct str key, void *value)
{
	struct differences *d = ctx;
	const struct entry *e = value;
	nanousd by = e->ours - e->theirs;

	(void)key;
	add(&d->ours, e->ours);
	add(&d->theirs, e->theirs);
	if (by > BILL_COMPARE_SAME || by < -BILL_COMPARE_SAME)
		d->v[d->n++] = *e;
	return true;
}

static int by_key(const void *a, const void *b)
{
	return memcmp(&((const struct entry *)a)->key, &((const struct entry *)b)->key, sizeof(struct key));
}

/* A bare figure: for machines, and columns that say what they are. */
static const char *show(nanousd amount, char *mem, size_t size)
{
	char text[48];
	size_t n = strlen(usd_show(amount, text, sizeof(text)));

	(void)snprintf(mem, size, "%.*s", (int)(n - strlen("USD")), text);
	return mem;
}

static const char *const heads[] = { "DAY", "MODEL", "OURS", "THEIRS", "DIFFERENCE" };
static const char *const csv_heads[] = { "day", "model", "ours", "theirs", "difference" };

static void print_table(const struct differences *d, const struct work *w, FILE *to)
{
	struct table t;
	char a[48], b[48], c[48];

	table_init(&t, heads, 5, 0x1c);
	for (size_t i = 0; i < d->n; i++) {
		table_cell(&t, d->v[i].key.day);
		table_cell(&t, d->v[i].key.model);
		table_cell(&t, show(d->v[i].ours, a, sizeof(a)));
		table_cell(&t, show(d->v[i].theirs, a, sizeof(a)));
		table_cell(&t, show(d->v[i].ours - d->v[i].theirs, a, sizeof(a)));
	}
	table_print(&t, to);
	(void)fprintf(to, "%zu differences of more than half a cent; in all ours %s, theirs %s, difference %s USD\n", d->n,
		      show(d->ours, a, sizeof(a)), show(d->theirs, b, sizeof(b)), show(d->ours - d->theirs, c, sizeof(c)));
	if (w->outside)
		(void)fprintf(to, "%zu of %zu rows of the file are of other days\n", w->outside, w->rows);
}

static void print_csv(const struct differences *d, FILE *to)
{
	char a[48], b[48], c[48];

	csv_row(to, csv_heads, 5);
	for (size_t i = 0; i < d->n; i++) {
		const char *cells[] = { d->v[i].key.day, d->v[i].key.model, show(d->v[i].ours, a, sizeof(a)), show(d->v[i].theirs, b, sizeof(b)),
					show(d->v[i].ours - d->v[i].theirs, c, sizeof(c)) };

		csv_row(to, cells, 5);
	}
}

static int print_json(const struct differences *d, const struct work *w, FILE *to)
{
	struct jsonw j;
	struct buf out;
	char mem[48];

	buf_init(&out, 64u << 20);
	jsonw_init(&j, &out);
	jsonw_object(&j, NULL);
	jsonw_array(&j, "differences");
	for (size_t i = 0; i < d->n; i++) {
		jsonw_object(&j, NULL);
		jsonw_cstr(&j, "day", d->v[i].key.day[0] ? d->v[i].key.day : NULL);
		jsonw_cstr(&j, "model", d->v[i].key.model[0] ? d->v[i].key.model : NULL);
		jsonw_cstr(&j, "ours", show(d->v[i].ours, mem, sizeof(mem)));
		jsonw_cstr(&j, "theirs", show(d->v[i].theirs, mem, sizeof(mem)));
		jsonw_cstr(&j, "difference", show(d->v[i].ours - d->v[i].theirs, mem, sizeof(mem)));
		jsonw_close(&j);
	}
	jsonw_close(&j);
	jsonw_cstr(&j, "ours", show(d->ours, mem, sizeof(mem)));
	jsonw_cstr(&j, "theirs", show(d->theirs, mem, sizeof(mem)));
	jsonw_cstr(&j, "difference", show(d->ours - d->theirs, mem, sizeof(mem)));
	jsonw_i64(&j, "rows", (int64_t)w->rows);
	jsonw_i64(&j, "rows_of_other_days", (int64_t)w->outside);
	jsonw_close(&j);
	int r = jsonw_end(&j);

	if (r == 0)
		(void)fprintf(to, "%.*s\n", (int)buf_len(&out), buf_ptr(&out));
	buf_done(&out);
	return r;
}

static int print(const struct work *w, FILE *to, bool *ret_agrees)
{
	size_t n = map_count(w->entries);
	struct differences d = { .v = calloc(n ? n : 1, sizeof(*d.v)) };
	int r = 0;

	if (!d.v)
		return -ENOMEM;
	map_each(w->entries, collect, &d);
	qsort(d.v, d.n, sizeof(*d.v), by_key);
	if (w->in->json)
		r = print_json(&d, w, to);
	else if (w->in->csv)
		print_csv(&d, to);
	else
		print_table(&d, w, to);
	*ret_agrees = d.n == 0;
	free(d.v);
	return r;
}

int bill_compare(const struct bill_compare *in, FILE *to, bool *ret_agrees, struct err *e)
{
	static const char *const fields[] = { "day", "model", "cost" };
	struct work w = { .in = in, .entries = map_new() };
	int r = w.entries ? csv_read(in->name, in->text, in->len, their_row, &w, e) : err_set(e, ENOMEM, "%s: out of memory", in->name);

	if (r == 0 && !w.has_head)
		r = err_set(e, EINVAL, "%s: is empty; the head line has to name date, model, amount", in->name);
	if (r == 0 && records_read(in->ours, "bill[]", fields, 3, our_row, &w) < 0)
		r = err_set(e, EINVAL, "the ledger's answer cannot be read");
	if (r == 0 && w.error)
		r = err_set(e, -w.error, "%s: out of memory", in->name);
	if (r == 0 && (r = print(&w, to, ret_agrees)) < 0)
		(void)err_set(e, -r, "%s: out of memory", in->name);
	map_free(w.entries, free);
	return r;
}
