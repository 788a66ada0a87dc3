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

#define LEDGER_PRICE_MAX 128
#define LEDGER_NO_SLOT UINT32_MAX

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
	char price[LEDGER_PRICE_MAX]; /* which price: "openai/gpt-5@2026-08-21" */
	int status;          /* of the provider; 0 = none came */
	char end[24];        /* "done", "agent-gone", "provider-cut", "orphan", "power-cut", "error" … */
	int64_t started_ns;  /* realtime; decides the window */
	int64_t first_byte_us, total_us; /* -1 = never */
	char request_id[64]; /* the provider's */
	uint32_t slot;       /* hold slot, handed to durable; LEDGER_NO_SLOT = there is none, durable is not told */
};

struct ledger_calls {
	void (*durable)(void *ctx, uint32_t slot); /* its call's row is there, or what was written ahead of a call that never was is gone */
	void (*health)(void *ctx, bool healthy, const char *why);
	/* A refusal is on record (not what a rule in dry-run would have refused); on the writer's thread. NULL = not wanted. */
	void (*refused)(void *ctx, const char *agent, const struct refusal *why);
};

/*
 * Opens or makes FILE, brings an older schema up to date, checks it, starts the writer. Errors say what to do. The pages of a file above
 * 64 MB are read afterwards, by a thread of low priority: damage found then closes the ledger for good (health is told).
 */
int ledger_open(const char *path, const struct ledger_calls *calls, void *ctx, struct ledger **ret, struct err *e);
/* Only reading (and ledger_check), also while a daemon has it open: no writer, nothing is made or migrated. */
int ledger_peek(const char *path, struct ledger **ret, struct err *e);
/* Writes what is queued (waits up to 5 s), stops the writer, closes. Returns -EIO if something stayed unwritten. */
int ledger_close(struct ledger *l);

/*
 * Holds written ahead. Hold slots are kernel memory: they outlive the daemon, not a power cut. A call that is still open when the next
 * group is committed (at most LEDGER_GATHER_MS and one sync after it began) has a row in open_calls, which goes with the commit of the
 * call's own row. Nothing here waits or writes on the caller's thread; a call that is over sooner never touches the disk twice.
 *
 *   ledger_hold        after budget_hold
 *   ledger_hold_grew   after budget_extend; written once the whole is an eighth above what was written last
 *   ledger_hold_over   after budget_give_up: nothing was sent, nothing is charged. `durable` is told of the slot when no row of it is left,
 *                      at once and on the caller's thread if there never was one
 *   ledger_call        ends it by itself
 *
 * The next start (replay.h) charges what is left without a slot at the row's amount, end "power-cut".
 */
#define LEDGER_GATHER_MS 5
struct ledger_hold {
	uint64_t call_id;
	char account[GATE_NAME_MAX], agent[GATE_NAME_MAX];
	char comm[GATE_COMM_MAX];
	uint32_t pid;
	uint64_t cgroup_id;
	char provider[32];
	char model[GATE_MODEL_MAX];
	enum endpoint endpoint;
	nanousd amount;     /* the whole hold */
	int64_t started_ns; /* of the hold slot: started_realtime_ns */
};
void ledger_hold(struct ledger *l, const struct ledger_hold *h); /* copies */
void ledger_hold_grew(struct ledger *l, uint64_t call_id, nanousd amount);
void ledger_hold_over(struct ledger *l, uint64_t call_id, uint32_t slot); /* LEDGER_NO_SLOT = there is none */

/* For the start: what becomes of each hold that is found written. CHARGE: a row, end "power-cut". Waits until all of it is durable. */
enum ledger_fate {
	LEDGER_HOLD_KEEP,   /* its slot lives: the call's own row will come */
	LEDGER_HOLD_CHARGE,
	LEDGER_HOLD_DROP,   /* nothing was sent */
};
struct ledger_taken {
	size_t kept, charged;
	nanousd cost; /* of those charged */
};
int ledger_take_holds(struct ledger *l, enum ledger_fate (*fate)(void *ctx, const struct ledger_hold *h), void *ctx,
		      struct ledger_taken *ret, struct err *e);

void ledger_call(struct ledger *l, const struct ledger_call *c); /* copies */
void ledger_refusal(struct ledger *l, const char *agent, const char *provider, const char *model,
		    const struct refusal *why, int64_t at_ns); /* bounded queue; dropped ones are counted */
/* What a rule in dry-run would have refused (struct rule_notes): kept beside the refusals, marked. The call itself went on. */
void ledger_note(struct ledger *l, const char *agent, const char *provider, const char *model, const struct refusal *why,
		 int64_t at_ns);

/* One line of the audit trail. before and after: one JSON value each, NULL or "" = there was, or is, none. */
#define LEDGER_CHANGE_JSON_MAX 65536
struct ledger_change {
	const char *who;     /* "uid 0 pid 123" */
	const char *verb;    /* "agent set" */
	const char *subject; /* "bot-1" */
	const char *before, *after;
	int64_t at_ns;
};
/* Waits until durable; 0, -EIO, or -EMSGSIZE (before or after is longer than LEDGER_CHANGE_JSON_MAX). */
int ledger_changed(struct ledger *l, const struct ledger_change *c);
/* The older form: the verb alone says it all. */
int ledger_change(struct ledger *l, const char *who, const char *what, int64_t at_ns);

/*
 * Reading for the start. What an account itself spent in calls that started in [from_s, to_s), exact for any second; what is below it in
 * the tree is not in it. -ERANGE: the range begins or ends in the middle of a day that was pruned.
 */
int ledger_spent(struct ledger *l, const char *account, int64_t from_s, nanousd *ret, struct err *e);
int ledger_spent_between(struct ledger *l, const char *account, int64_t from_s, int64_t to_s, nanousd *ret, struct err *e);
/* The same by provider and model (as asked), for limits on models; a day that was pruned counts where it lies within as a whole. */
int ledger_models_between(struct ledger *l, const char *account, int64_t from_s, int64_t to_s,
			  void (*fn)(void *ctx, const char *provider, const char *model, nanousd cost), void *ctx, struct err *e);
int ledger_has_call(struct ledger *l, uint64_t call_id, struct err *e); /* 1, 0, negative errno: not known, which is not "no" */
int ledger_newest(struct ledger *l, uint64_t *ret_call_id, int64_t *ret_start_ns, struct err *e); /* the highest of each; 0 = no call yet */

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
/*
 * Every hour in which an account spent something, by model: accounts in order, then by time. What was pruned comes as one piece a day.
 * at_s: begin of the hour or day, length_s how long it is. of: only that account itself; NULL = all.
 */
struct ledger_hour {
	const char *account, *provider, *model; /* model as asked */
	int64_t at_s, length_s;
	nanousd cost;
	uint64_t calls;
};
int ledger_view_hours(struct ledger_view *v, const char *of, void (*fn)(void *ctx, const struct ledger_hour *), void *ctx);
/* The calls that started in [from_s, to_s), in no particular order: the ragged ends of windows that begin within an hour. */
int ledger_view_calls(struct ledger_view *v, const char *of, int64_t from_s, int64_t to_s,
		      void (*fn)(void *ctx, const struct ledger_call *), void *ctx);
/* The holds that are written ahead. */
int ledger_view_holds(struct ledger_view *v, void (*fn)(void *ctx, const struct ledger_hold *), void *ctx);
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

/* Reading for people: newest first. Sums by agent, model, day …: ledger/sums.h. */
struct ledger_query {
	const char *agent, *model, *provider, *account; /* NULL = any */
	int64_t since_s, until_s;             /* 0 = open */
	int64_t limit;                        /* rows; default 100 */
	bool refusals;                        /* refusals instead of calls */
	bool changes;                         /* audit trail instead of calls */
	/* Calls only. */
	uint32_t pid;                         /* 0 = any */
	uint64_t cgroup_id;                   /* 0 = any */
	int status;                           /* of the provider; 0 = any, -1 = none came */
	bool estimated;                       /* only those */
	nanousd min_cost;                     /* 0 = any */
};
struct ledger_row {
	struct ledger_call call;         /* calls */
	int64_t at_ns;
	char who[128], what[256];        /* changes: what = verb and subject; refusals: agent and text */
	struct refusal why;              /* refusals */
	bool dry_run;                    /* refusals: a rule in dry-run would have refused, the call went on */
	char verb[64], subject[64];      /* changes */
	const char *before, *after;      /* changes: JSON, "" = none; valid during the call */
};
int ledger_read(struct ledger *l, const struct ledger_query *q, void (*fn)(void *ctx, const struct ledger_row *), void *ctx,
		struct err *e);

/*
 * integrity_check; sums of rows = sums of the hours; what was pruned = sums of the days; no open call that has its row. 0 or -EUCLEAN and
 * the first row that disagrees.
 */
int ledger_check(struct ledger *l, struct err *e);
size_t ledger_queued(struct ledger *l);
bool ledger_is_healthy(struct ledger *l);

#endif
