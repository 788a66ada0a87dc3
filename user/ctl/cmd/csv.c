// SPDX-License-Identifier: Apache-2.0
/* csv.c: see csv.h. */
#include "ctl/cmd/csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- out */

static bool is_number(const char *s)
{
	size_t digits = 0, dots = 0;

	for (s += *s == '-' || *s == '+'; *s; s++) {
		dots += *s == '.';
		digits += *s >= '0' && *s <= '9';
		if (*s != '.' && (*s < '0' || *s > '9'))
			return false;
	}
	return digits > 0 && dots <= 1;
}

static bool is_formula(const char *s)
{
	return *s && strchr("=+-@\t\r\n", *s) && !is_number(s);
}

static void cell(FILE *to, const char *s)
{
	bool guarded = is_formula(s);

	if (!guarded && !strpbrk(s, ",\"\r\n")) {
		(void)fputs(s, to);
		return;
	}
	(void)fputs(guarded ? "\"'" : "\"", to);
	for (; *s; s++) {
		if (*s == '"')
			(void)fputc('"', to);
		(void)fputc(*s, to);
	}
	(void)fputc('"', to);
}

void csv_row(FILE *to, const char *const *cells, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		cell(to, cells[i]);
		(void)fputs(i + 1 == n ? "\r\n" : ",", to);
	}
}

/* ---- in */

struct reading {
	const char *name;
	const char *p, *end;
	char *out;           /* cells of the row, each with its NUL; never longer than the text */
	size_t line;
	const char *cells[CSV_COLUMNS_MAX];
	size_t n;
	struct err *e;
};

static int bad(struct reading *r, const char *what)
{
	return err_set(r->e, EINVAL, "%s, line %zu: %s", r->name, r->line, what);
}

static int quoted(struct reading *r)
{
	size_t begin = r->line;

	for (r->p++; r->p < r->end; r->p++) {
		if (*r->p == '"') {
			if (r->p + 1 == r->end || r->p[1] != '"') {
				r->p++;
				return 0;
			}
			r->p++;
		}
		if (*r->p == '\0')
			return bad(r, "has a NUL byte");
		r->line += *r->p == '\n';
		*r->out++ = *r->p;
	}
	r->line = begin;
	return bad(r, "a quote is opened and not closed");
}

static int one_cell(struct reading *r)
{
	if (r->n == CSV_COLUMNS_MAX)
		return bad(r, "has too many columns");
	r->cells[r->n++] = r->out;
	if (r->p < r->end && *r->p == '"') {
		int e = quoted(r);

		if (e < 0)
			return e;
	}
	while (r->p < r->end && *r->p != ',' && *r->p != '\n' && !(*r->p == '\r' && (r->p + 1 == r->end || r->p[1] == '\n'))) {
		if (*r->p == '\0')
			return bad(r, "has a NUL byte");
		*r->out++ = *r->p++;
	}
	*r->out++ = '\0';
	return 0;
}

static int one_row(struct reading *r, char *mem, csv_row_fn fn, void *ctx)
{
	size_t line = r->line;

	r->out = mem;
	r->n = 0;
	for (;;) {
		int e = one_cell(r);

		if (e < 0)
			return e;
		if (r->p < r->end && *r->p == ',') {
			r->p++;
			continue;
		}
		break;
	}
	r->p += r->p < r->end && *r->p == '\r';
	r->p += r->p < r->end && *r->p == '\n';
	r->line++;
	if (r->n == 1 && !r->cells[0][0])
		return 0;
	return fn(ctx, line, r->cells, r->n, r->e);
}

int csv_read(const char *name, const char *text, size_t len, csv_row_fn fn, void *ctx, struct err *e)
{
	struct reading r = { .name = name, .p = text, .end = text + len, .line = 1, .e = e };
	char *mem = malloc(len + CSV_COLUMNS_MAX + 2);
	int ret = 0;

	if (!mem)
		return err_set(e, ENOMEM, "%s: out of memory", name);
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		r.p += 3;
	while (ret == 0 && r.p < r.end)
		ret = one_row(&r, mem, fn, ctx);
	free(mem);
	return ret;
}
