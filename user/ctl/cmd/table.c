// SPDX-License-Identifier: Apache-2.0
/* table.c: see table.h. Widths count code points, which is right for the names and figures that stand here. */
#include "ctl/cmd/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void table_init(struct table *t, const char *const *heads, size_t ncolumns, unsigned right)
{
	*t = (struct table){ .heads = heads, .ncolumns = ncolumns, .right = right };
}

static char *clean(const char *text)
{
	char *s = strdup(text && text[0] ? text : "-");

	for (char *p = s; p && *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return s;
}

void table_cell(struct table *t, const char *text)
{
	if (t->ncells == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		char **cells = reallocarray(t->cells, cap, sizeof(*cells));

		if (!cells) {
			t->failed = true;
			return;
		}
		t->cells = cells;
		t->cap = cap;
	}
	char *s = clean(text);

	if (!s)
		t->failed = true;
	else
		t->cells[t->ncells++] = s;
}

void table_cellf(struct table *t, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	table_cell(t, text);
}

size_t table_rows(const struct table *t)
{
	return t->ncells / t->ncolumns;
}

static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void print_line(const struct table *t, const char *const *cells, const size_t *widths, FILE *to)
{
	for (size_t c = 0; c < t->ncolumns; c++) {
		int pad = (int)(widths[c] - width(cells[c]));
		bool last = c + 1 == t->ncolumns;

		if (t->right & (1u << c))
			(void)fprintf(to, "%*s%s", pad, "", cells[c]);
		else
			(void)fprintf(to, "%s%*s", cells[c], last ? 0 : pad, "");
		(void)fputs(last ? "\n" : "  ", to);
	}
}

void table_print(struct table *t, FILE *to)
{
	size_t widths[TABLE_COLUMNS_MAX];

	for (size_t c = 0; c < t->ncolumns; c++) {
		widths[c] = width(t->heads[c]);
		for (size_t i = c; i < t->ncells; i += t->ncolumns)
			if (width(t->cells[i]) > widths[c])
				widths[c] = width(t->cells[i]);
	}
	print_line(t, t->heads, widths, to);
	for (size_t r = 0; r < table_rows(t); r++)
		print_line(t, (const char *const *)t->cells + r * t->ncolumns, widths, to);
	if (t->failed)
		(void)fputs("(out of memory: rows are missing)\n", to);
	for (size_t i = 0; i < t->ncells; i++)
		free(t->cells[i]);
	free(t->cells);
}
