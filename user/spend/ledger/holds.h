// SPDX-License-Identifier: Apache-2.0
/*
 * ledger/holds.h: which calls are in flight, as far as open_calls has to know: those that have a row, those that are due for one. Memory
 * only; ledger/writer.c guards it with its lock and writes what is due.
 */
#ifndef PURSE_SPEND_LEDGER_HOLDS_H
#define PURSE_SPEND_LEDGER_HOLDS_H

#include "spend/ledger/item.h"

struct holds;

struct holds *holds_new(void); /* NULL = out of memory */
void holds_free(struct holds *h); /* NULL ok */
/* Takes `it`, an ITEM_HOLD that the caller made; it becomes due. One whose call is known already is freed. */
void holds_add(struct holds *h, struct item *it);
/* It has a row since before this start. */
void holds_known(struct holds *h, const struct ledger_hold *hold);
/* Due again once it is an eighth above what was taken last. */
void holds_grew(struct holds *h, uint64_t call_id, nanousd amount);
/* Forgets it. True: it was taken, so there may be a row. */
bool holds_over(struct holds *h, uint64_t call_id);
bool holds_are_due(const struct holds *h);
/* A copy of the next one that is due, as an item; NULL = none. */
struct item *holds_take(struct holds *h);
size_t holds_count(const struct holds *h);

#endif
