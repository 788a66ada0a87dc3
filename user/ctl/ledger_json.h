// SPDX-License-Identifier: Apache-2.0
/*
 * ledger_json.h: what is asked of the ledger, as a query of the control API and back, and its rows as JSON. Used by the daemon's routes, by
 * the command line (which asks, and opens a ledger itself when no daemon runs) and for the copy that pruning makes.
 */
#ifndef PURSE_CTL_LEDGER_JSON_H
#define PURSE_CTL_LEDGER_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/jsonw.h"
#include "spend/ledger/ledger.h"
#include "spend/ledger/sums.h"

enum ledger_kind { LEDGER_CALLS, LEDGER_REFUSALS, LEDGER_CHANGES, LEDGER_GROUPS, LEDGER_BILL, LEDGER_KIND_COUNT };
extern const char *const ledger_kind_names[LEDGER_KIND_COUNT]; /* "calls" … */

struct ledger_ask {
	enum ledger_kind kind;
	struct ledger_query q; /* its texts point to whatever they were read from */
	unsigned by;           /* GROUPS */
	bool by_day;           /* BILL */
};

/* "agent,model": enum ledger_by bits. -EINVAL and the words that there are. */
int ledger_by_parse(const char *words, unsigned *ret, struct err *e);
const char *ledger_by_name(int bit); /* "agent" of LEDGER_BY_AGENT's place */
/* The members that every row of it has, in order; 0 ends the list. For CSV heads. */
const char *const *ledger_fields(const struct ledger_ask *a, size_t *ret_n);

/* The whole answer, one JSON object. */
int ledger_json(struct ledger *l, const struct ledger_ask *a, struct buf *out, struct err *e);
/* One call's members, into the object that is open. */
void ledger_json_call(struct jsonw *w, const struct ledger_call *c);

#endif
