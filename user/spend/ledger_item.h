// SPDX-License-Identifier: Apache-2.0
/* ledger_item.h: one thing that waits to be written, between the queue (ledger_writer.c) and the tables (ledger_item.c). */
#ifndef PURSE_SPEND_LEDGER_ITEM_H
#define PURSE_SPEND_LEDGER_ITEM_H

#include "spend/ledger_db.h"

enum item_kind { ITEM_CALL, ITEM_REFUSAL, ITEM_CHANGE, ITEM_ACCOUNT, ITEM_PLACE, ITEM_AGENT, ITEM_KIND_COUNT };

/* Somebody who waits until an item is durable. Lives on the waiter's stack. */
struct waiter {
	bool is_done;
	int result;
};

struct item {
	struct item *next;
	enum item_kind kind;
	struct waiter *waiter; /* NULL = nobody waits */
	bool removed;
	union {
		struct ledger_call call;
		struct {
			char agent[GATE_NAME_MAX], provider[32], model[GATE_MODEL_MAX];
			struct refusal why;
			int64_t at_ns;
		} refusal;
		struct {
			char who[128], what[256];
			int64_t at_ns;
		} change;
		struct account_spec account;
		struct ledger_place place;
		struct ledger_agent agent;
	};
};

/* Its rows, inside the transaction that is open. 0 or a negative errno. */
int item_write(struct ledger_db *db, const struct item *it);

#endif
