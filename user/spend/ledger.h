// SPDX-License-Identifier: Apache-2.0
/*
 * ledger.h: the durable record, SQLite in WAL with synchronous=FULL: one row per call, plus refusals and account changes as an
 * audit trail. Append-only. The schema and its invariants stand at the head of ledger.c.
 *
 * One writer thread commits in groups; ledger_call returns at once and `durable` is called (on the writer's thread)
 * when the row has been synced. When a commit fails the ledger is unhealthy: records stay queued and are tried again (same
 * call id: a row that did get in is not written twice), `health` is told, and the caller closes new holds.
 * Reading opens connections of its own; thread-safe.
 */
#ifndef PURSE_SPEND_LEDGER_H
#define PURSE_SPEND_LEDGER_H

#include "base/err.h"
#include "gate_abi.h"
#include "terms.h"

struct ledger;

struct ledger_call {
	uint64_t call_id;
	char account[GATE_NAME_MAX];
	char agent[GATE_NAME_MAX];
	char comm[GATE_COMM_MAX];
	uint32_t pid;
	uint64_t cgroup_id;
	char provider[32];
	char model[GATE_MODEL_MAX];       /* as asked */
	char served_model[GATE_MODEL_MAX]; /* as answered, "" if not said */
	enum endpoint endpoint;
	enum tier tier;
	struct usage usage;
	bool usage_known;
	nanousd held, cost;
	bool estimated;
	char price[64];      /* which price: "openai/gpt-5@2026-08-21" */
	int status;          /* of the provider; 0 = none came */
	char end[24];        /* "done", "agent-gone", "provider-cut", "orphan", "error" … */
	int64_t started_ns;  /* realtime; decides the window */
	int64_t first_byte_us, total_us; /* -1 = never */
	char request_id[64]; /* the provider's */
	uint32_t slot;       /* hold slot, handed to durable */
};

struct ledger_calls {
	void (*durable)(void *ctx, uint32_t slot);
	void (*health)(void *ctx, bool healthy, const char *why);
};

/* Opens or makes FILE, checks it (schema version; quick_check up to 64 MB), starts the writer. Errors say what to do. */
int ledger_open(const char *path, const struct ledger_calls *calls, void *ctx, struct ledger **ret, struct err *e);
/* Only reading (and ledger_check), also while a daemon has it open: no writer, nothing is made or migrated. */
int ledger_peek(const char *path, struct ledger **ret, struct err *e);
/* Writes what is queued (waits up to 5 s), stops the writer, closes. Returns -EIO if something stayed unwritten. */
int ledger_close(struct ledger *l);

void ledger_call(struct ledger *l, const struct ledger_call *c); /* copies */
void ledger_refusal(struct ledger *l, const char *agent, const char *provider, const char *model,
		    const struct refusal *why, int64_t at_ns); /* bounded queue; dropped ones are counted */
/* who: "uid 0 pid 123 purse agent set"; what: one line. Waits until durable; 0 or -EIO. */
int ledger_change(struct ledger *l, const char *who, const char *what, int64_t at_ns);

/*
 * Reading for the start. What an account itself spent in calls that started at from_s (a full hour) or later; what is below it in the tree
 * is not in it.
 */
int ledger_spent(struct ledger *l, const char *account, int64_t from_s, nanousd *ret, struct err *e);
int ledger_spent_between(struct ledger *l, const char *account, int64_t from_s, int64_t to_s, nanousd *ret, struct err *e);
bool ledger_has_call(struct ledger *l, uint64_t call_id);
uint64_t ledger_max_call_id(struct ledger *l);
int64_t ledger_newest_start_ns(struct ledger *l); /* 0 = no call yet */

/*
 * Where each account that ever was stands or last stood in the tree: money spent by one that was removed goes on counting in what was
 * above it. Removing through ledger_save_account notes it; replay.h notes the rest. Waits until durable; 0 or -EIO.
 */
struct ledger_place {
	char account[GATE_NAME_MAX], parent[GATE_NAME_MAX]; /* parent "" = top */
};
int ledger_save_places(struct ledger *l, const struct ledger_place *places, size_t n);
int ledger_each_place(struct ledger *l, void (*fn)(void *ctx, const struct ledger_place *), void *ctx);

/*
 * One moment of the ledger: everything read through a view agrees. Opening prepares, begin fixes the moment (fast); one thread.
 */
struct ledger_view;
int ledger_view_open(struct ledger *l, struct ledger_view **ret, struct err *e);
int ledger_view_begin(struct ledger_view *v);
void ledger_view_close(struct ledger_view *v); /* NULL ok */
/* Every hour in which an account spent something, accounts in order, hours ascending. */
int ledger_view_hours(struct ledger_view *v,
		      void (*fn)(void *ctx, const char *account, int64_t hour_s, nanousd cost, uint64_t calls), void *ctx);
int ledger_view_places(struct ledger_view *v, void (*fn)(void *ctx, const struct ledger_place *), void *ctx);
int ledger_view_has_call(struct ledger_view *v, uint64_t call_id); /* 1, 0, negative errno */

/* Accounts and agents that were made at run time survive a restart here (the config's own rows are applied over them). */
struct ledger_agent {
	char name[GATE_NAME_MAX];
	char account[GATE_NAME_MAX]; /* account of its own limits (same name by default) */
	char cgroup[512];            /* path below the cgroup2 mount, "/…" */
	uint32_t flags;              /* enum gate_agent_flag */
};
struct account_spec;
int ledger_save_account(struct ledger *l, const struct account_spec *a, bool removed);
int ledger_save_agent(struct ledger *l, const struct ledger_agent *a, bool removed);
int ledger_each_account(struct ledger *l, void (*fn)(void *ctx, const struct account_spec *), void *ctx);
int ledger_each_agent(struct ledger *l, void (*fn)(void *ctx, const struct ledger_agent *), void *ctx);

/* Reading for people: newest first. */
struct ledger_query {
	const char *agent, *model, *provider; /* NULL = any */
	int64_t since_s, until_s;             /* 0 = open */
	int64_t limit;                        /* rows; default 100 */
	bool refusals;                        /* refusals instead of calls */
	bool changes;                         /* audit trail instead of calls */
};
struct ledger_row {
	struct ledger_call call;         /* calls */
	int64_t at_ns;
	char who[128], what[256];        /* changes; refusals: agent and text */
	struct refusal why;              /* refusals */
};
int ledger_read(struct ledger *l, const struct ledger_query *q, void (*fn)(void *ctx, const struct ledger_row *), void *ctx,
		struct err *e);

/* integrity_check, sums of rows = sums of the hour buckets, ids unique. 0 or -EUCLEAN and the first row that disagrees. */
int ledger_check(struct ledger *l, struct err *e);
size_t ledger_queued(struct ledger *l);
bool ledger_is_healthy(struct ledger *l);

#endif
