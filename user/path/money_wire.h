// SPDX-License-Identifier: Apache-2.0
/*
 * money_wire.h: one question and its answer between two processes of one machine: plain structs, one message each (SOCK_SEQPACKET).
 * Both sides have compared money_dialect() before the first of them.
 */
#ifndef PURSE_PATH_MONEY_WIRE_H
#define PURSE_PATH_MONEY_WIRE_H

#include "spend/budget/budget.h"
#include "spend/ledger/ledger.h"

#define MONEY_WIRE_VERSION 2u

enum money_verb {
	MONEY_HOLD = 1,
	MONEY_EXTEND,
	MONEY_AFFORD,
	MONEY_IS_BELOW,
	MONEY_CLAMPS,
	MONEY_COUNT_TOKENS,
	MONEY_SENT,
	MONEY_GIVE_UP,
	MONEY_COUNT_REFUSAL,
	MONEY_GET_HOLD,
	MONEY_FIND,
	MONEY_VIEW,
	MONEY_CHARGE,
	MONEY_WRITE_HOLD,
	MONEY_HOLD_GREW,
	MONEY_REFUSAL,
	MONEY_NOTE,
	MONEY_VERB_COUNT,
};

/* Each verb uses what it needs of this. */
struct money_ask {
	uint32_t verb;
	uint32_t slot, account, other;
	uint64_t call_id, cgroup_id, fingerprint;
	int64_t amount, at_least, tokens, at_ns;
	uint32_t pid;
	uint16_t provider, endpoint;
	char agent[GATE_NAME_MAX]; /* or the name of an account */
	char comm[GATE_COMM_MAX], model[GATE_MODEL_MAX], provider_name[32];
	union {
		struct refusal why;
		struct ledger_call call;
		struct ledger_hold hold;
	};
};

struct money_answer {
	int32_t error;
	uint32_t slot;
	uint64_t call_id;
	int64_t amount; /* or yes and no, or an account */
	union {
		struct {
			struct refusal why;
			struct rule_notes notes;
		};
		struct account_view view;
		struct gate_hold hold;
	};
};

#endif
