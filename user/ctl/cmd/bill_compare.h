// SPDX-License-Identifier: Apache-2.0
/*
 * bill_compare.h: what the ledger says a provider should bill against what the provider's cost export says, by day and model. Pure: texts in,
 * text out.
 *
 * The export is CSV with a head line. Needed is a column for the amount (amount, cost, amount_usd, cost_usd, amount_value: USD, also in the
 * form 1.2e-05), at least one of a day (date, day, start_date, start_time, usage_date: 2026-11-03…, or unix seconds; UTC) and a model
 * (model, line_item, description, sku: what stands before the first ", " counts: "gpt-5-2025-08-07, input"). Case matters not; other columns
 * are not read. Rows of the same day and model are added up; what the file does not tell apart is not told apart on our side either.
 */
#ifndef PURSE_CTL_BILL_COMPARE_H
#define PURSE_CTL_BILL_COMPARE_H

#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "terms.h"

/* Half a cent: what rounding can make. */
#define BILL_COMPARE_SAME INT64_C(5000000)

struct bill_compare {
	const char *name; /* of the file, for errors */
	const char *text;
	size_t len;
	int64_t from_s, to_s;   /* rows of days outside are left out, and counted */
	const struct buf *ours; /* the answer of kind=bill, by_day */
	bool json, csv;
};

/* Prints. 0 and whether they agree; -EINVAL: the file cannot be read (e: line and why). */
int bill_compare(const struct bill_compare *in, FILE *to, bool *ret_agrees, struct err *e);

#endif
