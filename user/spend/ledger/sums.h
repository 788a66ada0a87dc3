// SPDX-License-Identifier: Apache-2.0
/*
 * ledger/sums.h: the ledger in sums: by agent, model, provider, account, process, cgroup, hour and day, and the bill of one provider. Sums
 * over whole hours come from the hours table (and days, for what was pruned), only the ragged ends and questions that ask for single calls
 * read the calls. What was pruned has no pid, cgroup, status or hour any more: it is left out where one of these is asked for, and
 * `pruned` says that there was some.
 */
#ifndef PURSE_SPEND_LEDGER_SUMS_H
#define PURSE_SPEND_LEDGER_SUMS_H

#include "spend/ledger/ledger.h"

/*
 * The kinds of usage by the names of their members in struct usage, which are also the names of their columns and in JSON. A new member needs
 * a column: schema, and a place here.
 */
#define LEDGER_USAGE(X) \
	X(input) X(cache_read) X(cache_write_5m) X(cache_write_1h) X(output) X(reasoning) X(audio_input) X(audio_output) \
	X(audio_cache_read) X(image_input) X(image_cache_read) X(video_input) X(image_output) X(web_searches) X(file_searches) \
	X(code_sessions) X(images) X(audio_ms) X(video_ms) X(characters) X(pages)
#define LEDGER_COUNT_ONE(name) +1
#define LEDGER_USAGE_KINDS (0 LEDGER_USAGE(LEDGER_COUNT_ONE))
_Static_assert(LEDGER_USAGE_KINDS * sizeof(int64_t) == sizeof(struct usage), "a kind of usage without a column");

struct ledger_sum {
	int64_t calls;
	int64_t estimated;     /* calls charged on an estimate … */
	int64_t unknown;       /* … of which so many told no usage at all */
	nanousd cost;
	nanousd estimated_cost, unknown_cost; /* the parts of cost that these make */
	struct usage usage;    /* as told; of estimated calls what was told before they were cut */
};
/* Sums saturate. */
void ledger_sum_call(struct ledger_sum *s, const struct ledger_call *c);
void ledger_sum_add(struct ledger_sum *s, const struct ledger_sum *other);
void ledger_sum_negate(struct ledger_sum *s);

enum ledger_by {
	LEDGER_BY_ACCOUNT = 1 << 0,
	LEDGER_BY_AGENT = 1 << 1,
	LEDGER_BY_PROVIDER = 1 << 2,
	LEDGER_BY_MODEL = 1 << 3,
	LEDGER_BY_DAY = 1 << 4, /* UTC */
	LEDGER_BY_HOUR = 1 << 5,
	LEDGER_BY_PID = 1 << 6,
	LEDGER_BY_CGROUP = 1 << 7,
};
#define LEDGER_BY_KINDS 8

/* What is not grouped by is "" or 0. */
struct ledger_group {
	char account[GATE_NAME_MAX], agent[GATE_NAME_MAX], provider[32], model[GATE_MODEL_MAX];
	int64_t at_s; /* begin of the hour or day */
	uint32_t pid;
	uint64_t cgroup_id;
	struct ledger_sum sum;
};
/* In order of time if by day or hour, then the dearest first; at most q->limit. by = 0: one group, all of it. refusals and changes of q: no. */
int ledger_groups(struct ledger *l, const struct ledger_query *q, unsigned by, void (*fn)(void *ctx, const struct ledger_group *),
		  void *ctx, bool *ret_pruned, struct err *e);

/*
 * What should be on a provider's invoice: calls that started in [from_s, to_s) by the model that served, tier and price. Costs per kind of
 * token are not split: a call is rounded once.
 */
struct ledger_bill_line {
	char model[GATE_MODEL_MAX];
	enum tier tier;
	char price[LEDGER_PRICE_MAX];
	int64_t day_s; /* by day: begin of the UTC day; else 0 */
	struct ledger_sum sum;
};
int ledger_bill(struct ledger *l, const char *provider, int64_t from_s, int64_t to_s, bool by_day,
		void (*fn)(void *ctx, const struct ledger_bill_line *), void *ctx, struct err *e);

#endif
