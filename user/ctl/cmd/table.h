// SPDX-License-Identifier: Apache-2.0
/* table.h: rows of texts, printed with aligned columns for people. Control characters are shown as '?'. */
#ifndef PURSE_CTL_TABLE_H
#define PURSE_CTL_TABLE_H

#include <stdio.h>

#include "terms.h"

#define TABLE_COLUMNS_MAX 16

struct table {
	const char *const *heads;
	size_t ncolumns;
	unsigned right; /* bit i: column i is aligned to the right */
	char **cells;
	size_t ncells, cap;
	bool failed;
};

void table_init(struct table *t, const char *const *heads, size_t ncolumns, unsigned right);
void table_cell(struct table *t, const char *text); /* copies; NULL or "" shows as "-" */
void table_cellf(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
size_t table_rows(const struct table *t);
/* Prints and frees. */
void table_print(struct table *t, FILE *to);

#endif
