// SPDX-License-Identifier: Apache-2.0
/*
 * csv.h: comma-separated values (RFC 4180), out and in. What is written can be opened by a spreadsheet: a text that would be taken for a
 * formula there (it begins with =, +, -, @, a tab or a line end, and is not a number) gets a ' in front, also where an agent chose it.
 */
#ifndef PURSE_CTL_CSV_H
#define PURSE_CTL_CSV_H

#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "terms.h"

#define CSV_COLUMNS_MAX 64

void csv_row(FILE *to, const char *const *cells, size_t n);

/*
 * Calls fn for each row, the first one too; cells are valid during the call. Quoted cells, CRLF, a byte order mark; blank lines are left out.
 * 0; -EINVAL with line and reason: an open quote, a NUL, more than CSV_COLUMNS_MAX columns; what fn returned if that is negative.
 */
typedef int (*csv_row_fn)(void *ctx, size_t line, const char *const *cells, size_t n, struct err *e);
int csv_read(const char *name, const char *text, size_t len, csv_row_fn fn, void *ctx, struct err *e);

#endif
