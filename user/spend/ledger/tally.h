// SPDX-License-Identifier: Apache-2.0
/*
 * ledger/tally.h: what one transaction adds to hours, summed before it is written: four thousand calls of one agent are one row's update,
 * not four thousand. The writer's own; not thread-safe.
 */
#ifndef PURSE_SPEND_LEDGER_TALLY_H
#define PURSE_SPEND_LEDGER_TALLY_H

#include "spend/ledger/db.h"

struct tally;

struct tally *tally_new(void); /* NULL = out of memory */
void tally_free(struct tally *t); /* NULL ok */
void tally_clear(struct tally *t);
/* sign: 1 = the call is new, -1 = its row is taken away (pruning). 0 or -ENOMEM. */
int tally_call(struct tally *t, const struct ledger_call *c, int sign);
/* Also per day, tier, price and served model: for pruning. */
int tally_day(struct tally *t, const struct ledger_call *c);
/* Everything into hours, days and seen, inside the transaction that is open; then it is empty. 0 or a negative errno. */
int tally_write(struct tally *t, struct ledger_db *db);

#endif
