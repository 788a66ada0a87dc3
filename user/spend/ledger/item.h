// SPDX-License-Identifier: Apache-2.0
/* ledger/item.h: one thing that waits to be written, between the queue (ledger/writer.c) and the tables (ledger/item.c). */
#ifndef PURSE_SPEND_LEDGER_ITEM_H
#define PURSE_SPEND_LEDGER_ITEM_H

#include "spend/ledger/db.h"
#include "spend/ledger/tally.h"

enum item_kind {
	ITEM_CALL,
	ITEM_HOLD,      /* a call in flight, written ahead */
	ITEM_HOLD_OVER, /* it was written, and nothing was sent */
	ITEM_REFUSAL,
	ITEM_CHANGE,
	ITEM_ACCOUNT,
	ITEM_PLACE,
	ITEM_AGENT,
	ITEM_KIND_COUNT,
};

/* Somebody who waits until an item is durable. Lives on the waiter's stack. */
struct waiter {
	bool is_done;
	int result;
};

struct item {
	struct item *next;
	enum item_kind kind;
	struct waiter *waiter; /* NULL = nobody waits */
	bool removed;          /* ACCOUNT, AGENT */
	bool has_hold;         /* CALL: its hold may be in open_calls */
	union {
		struct ledger_call call;
		struct ledger_hold hold;
		struct {
			uint64_t call_id;
			uint32_t slot; /* LEDGER_NO_SLOT = nobody waits for it */
		} over;
		struct {
			char agent[GATE_NAME_MAX], provider[32], model[GATE_MODEL_MAX];
			struct refusal why;
			int64_t at_ns;
			bool dry_run;
		} refusal;
		struct {
			char who[128], verb[256], subject[64];
			char *before, *after; /* the item's own */
			int64_t at_ns;
		} change;
		struct {
			struct account_spec *spec; /* the item's own */
			char *rules;               /* their text, the item's own */
		} account;
		struct ledger_place place;
		struct ledger_agent agent;
	};
};

/* Aborts when there is no memory: a charge without a row would be lost money. Dying is not: its slot is CHARGED, the next start writes it. */
struct item *item_new(enum item_kind kind);
void item_free(struct item *it);
/* Its rows, inside the transaction that is open; what it adds to hours goes into `tally`. 0 or a negative errno. */
int item_write(struct ledger_db *db, struct tally *tally, const struct item *it);

#endif
