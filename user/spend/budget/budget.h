// SPDX-License-Identifier: Apache-2.0
/*
 * budget.h: accounts, holds and charges: promise P1 lives here. Works on two arrays that the caller maps
 * (kern/gate.h in the daemon, plain memory in tests): struct gate_account[] and struct gate_hold[].
 *
 * A hold must fit in every window of the account and of every account above it: all or nothing. One mutex guards the
 * whole tree (a critical section is some hundred nanoseconds; a lock-free hold over several words can refuse a call that fits
 * while another one is being rolled back). The gate and readers see each 64-bit word whole; words are written with atomic stores in
 * an order that never shows more credit than there is.
 *
 * A call belongs to the window instances in which it was *held* (its start), also when it settles later. An instance that is over is
 * remembered while such calls are in flight: its limit holds for what they still take.
 * Time is an argument. No I/O. All functions are thread-safe.
 *
 *   hold -> sent -> charge -> settled    (row durable: slot free)
 *   hold -> give up -> settled           (nothing went upstream; what was written ahead is gone: slot free)
 *
 * The arrays are pinned and outlive the daemon, so what stands in them at the start is a claim, not a balance. The order
 * of a start (replay.h does the middle part):
 *
 *   budget_new            every row is wiped: nothing left anywhere, the gate denies; holds are kept as orphans
 *   budget_seed           no call id and no moment seen before is given again
 *   budget_set_account    parents first; the kernel still reads left = 0
 *   budget_restore        what the ledger says was spent
 *   budget_orphans/adopt  what was in flight; nothing is held after this
 *   budget_open           what is left is published, holds are taken from here on (-EOWNERDEAD before)
 *
 * Reading the accounts array without the lock: read start_s, left_nanousd, held_nanousd, start_s again. A start_s that is
 * BUDGET_CHANGING or differs means that the row was being changed: read again. Otherwise held <= left (P1), unless an
 * operator cut a limit below what was spent or a provider billed more than was held; left never shows more than there is.
 */
#ifndef PURSE_SPEND_BUDGET_H
#define PURSE_SPEND_BUDGET_H

#include "base/err.h"
#include "gate_abi.h"
#include "spend/rules/rules.h"
#include "terms.h"

struct budget;

/* In gate_window.start_s while limit and left of a window change together. */
#define BUDGET_CHANGING INT64_C(-1)

int budget_new(struct gate_account *accounts, size_t naccounts, struct gate_hold *holds, size_t nholds,
	       struct budget **ret);
void budget_free(struct budget *b); /* leaves the arrays as they are */
/* The same for a hand-over: the kernel goes on by the accounts as they are until budget_open, which puts the new ones in their place. */
int budget_take(struct gate_account *accounts, size_t naccounts, struct gate_hold *holds, size_t nholds,
		struct budget **ret);

/* ---- accounts. limits[w] = GATE_NO_LIMIT for none. */
struct account_spec {
	char name[GATE_NAME_MAX]; /* [A-Za-z0-9._-], 1..47 */
	char parent[GATE_NAME_MAX]; /* "" = top */
	int64_t limits[WINDOW_COUNT];
	nanousd floor;
	bool paused;
	bool clamp; /* non-streamed calls may have their output limit lowered to what is left; also for all accounts below */
	/*
	 * When hours, days, weeks and months begin: an IANA zone name ("" = UTC) and the minute of its day (0..1439). Another zone or
	 * minute for an account that has windows open: each open window ends at the first boundary of the new kind at or after the end
	 * that it was opened with, so a change never opens a window early, also when it is made while no daemon runs (as long as the gate's
	 * rows are there: not over a reboot). See window.h.
	 */
	char zone[48];
	int32_t reset_minute;
	/* A temporary raise: added to the limits until raise_until_s (unix seconds; 0 = none). >= 0 each; no use on a window without limit. */
	nanousd raise[WINDOW_COUNT];
	int64_t raise_until_s;
	struct rules rules;
};
/* Creates or changes. Editing a limit takes effect at once, also below what is spent; spent and held stay.
 * Errors: bad name, unknown parent, a loop, too deep, table full. *ret_index may be NULL. */
int budget_set_account(struct budget *b, const struct account_spec *spec, int64_t now_s, uint32_t *ret_index,
		       struct err *e);
int budget_remove_account(struct budget *b, const char *name, struct err *e); /* -EBUSY: children or holds */
int budget_pause(struct budget *b, const char *name, bool paused); /* -ENOENT */
uint32_t budget_find(struct budget *b, const char *name); /* 0 = none */
/* Replay: adds what the ledger says this account itself spent in the window instances that hold now_s, here and in every account
 * above. Only right where all of these have the same calendar; see budget_restore_by. */
void budget_restore(struct budget *b, uint32_t account, const nanousd spent[WINDOW_COUNT]);
/* The same for an account that comes back while its money still counts at `counted_at` (0 = nowhere) and above: it moves, and is
 * never counted twice nor out of sight in between. Only windows that still begin at start_s take part (NULL = all). */
void budget_restore_from(struct budget *b, uint32_t account, const nanousd spent[WINDOW_COUNT],
			 const int64_t start_s[WINDOW_COUNT], uint32_t counted_at);

/*
 * Accounts above one another may count by different calendars: this one asks for each window by its own bounds what the account that comes
 * back spent (with all that is gone below it) in calls that began in [from_s, to_s); to_s INT64_MAX = open. `spent` runs without the lock
 * and is asked once for each pair of bounds; accounts must not be changed by another thread meanwhile. counted_at as above. Returns what
 * `spent` returned if that is negative; then nothing was changed.
 */
typedef int (*budget_spent_fn)(void *ctx, int64_t from_s, int64_t to_s, nanousd *ret);
int budget_restore_by(struct budget *b, uint32_t account, uint32_t counted_at, budget_spent_fn spent, void *ctx);
/*
 * An account that moved below one of another calendar left windows in doubt: what stands in them is not less than was spent. Whoever
 * knows the ledger takes a budget_snapshot and the ledger at one instant, computes what should stand there, and adds the difference.
 * Returns how many there are, fills up to n. budget_correct does nothing if the window has begun anew meanwhile.
 */
struct budget_doubt {
	uint32_t account;
	enum window_kind kind;
	int64_t start_s;
};
size_t budget_in_doubt(struct budget *b, struct budget_doubt *ret, size_t n);
void budget_correct(struct budget *b, const struct budget_doubt *d, nanousd difference);

/*
 * Model limits (rules.h), the same for them: what an account itself spent on one model, in calls that began in [at_s, at_s + length_s)
 * (an hour or day of ledger_view_hours), or in one call that began at at_s (length_s 0). The budget knows which limits of the
 * account and above it are for that model, and which windows hold that time. True: some window begins or ends inside the piece; it was
 * counted everywhere but there, and the calls in it must follow one by one, each with `of` = the piece.
 *
 *   at a start          between budget_set_account of all accounts and budget_open, for every piece of every account; what a removed one
 *                       spent: with `account` = the one above it that lives, as for budget_restore. Orphans count by budget_adopt
 *   while calls run     a limit that is made counts from nothing, and goes on wrong until it is told what was spent before; so does the one
 *                       above an account that moved. budget_snapshot, and in its `at`: ledger_view_begin and budget_recount_models(account);
 *                       then every piece of that view of the account and all below it, and as a call each hold of the snapshot that
 *                       is CHARGED there and not in the view; then budget_recounted. Exact: what is charged meanwhile counts live
 */
struct spent_piece {
	const char *provider, *model; /* model as asked */
	int64_t at_s, length_s;
	nanousd cost;
	const struct spent_piece *of; /* NULL = this is the whole */
};
bool budget_restore_model(struct budget *b, uint32_t account, const struct spent_piece *p);
void budget_recount_models(struct budget *b, uint32_t account); /* only inside budget_snapshot's `at` */
void budget_recounted(struct budget *b, uint32_t account);

/* No call id up to `call_id` and no moment before `seen_ns` (realtime) is given out from now on. */
void budget_seed(struct budget *b, uint64_t call_id, int64_t seen_ns);
/* Ends the start: what is left is published to the gate, holds are taken. */
void budget_open(struct budget *b);
bool budget_is_open(struct budget *b);

/* ---- calls */
struct hold_request {
	uint32_t account;
	nanousd amount; /* > 0 */
	uint64_t cgroup_id;
	uint32_t pid;
	uint16_t provider, endpoint;
	const char *comm, *model, *provider_name;
	int64_t now_ns; /* realtime */
	int64_t tokens;       /* what `amount` is held for: input and output tokens, for rules on tokens */
	uint64_t fingerprint; /* of the request (host, path, body), for the loop breaker; 0 = none */
	struct rule_notes *notes; /* what rules in dry-run would have refused; NULL = not wanted */
	uint32_t owner;           /* the process that has the call; 0 = this one (budget_set_owner) */
};
/*
 * 0: *ret_slot and *ret_call_id. -EDQUOT: *ret_why is BUDGET, BUDGET_HELD or PAUSED with all its fields.
 * -ENOSPC: no free slot (why = OVERLOADED). -EOWNERDEAD: holds are closed (budget_close_holds; why = LEDGER).
 */
int budget_hold(struct budget *b, const struct hold_request *r, uint32_t *ret_slot, uint64_t *ret_call_id,
		struct refusal *ret_why);
/*
 * Rolling holds: raises the hold (HELD or SENT) to `wish`, or to as much of it as fits if that is >= at_least; *ret_amount is the new
 * whole. Never lowers. Counts in the window instances in which the call began, also when they are over by now: their limit holds for it
 * still, as it is at now_ns: without a raise that has ended. -EDQUOT: not even at_least fits, nothing changed, *ret_why as budget_hold.
 */
int budget_extend(struct budget *b, uint32_t slot, nanousd at_least, nanousd wish, int64_t now_ns, nanousd *ret_amount,
		  struct refusal *ret_why);
/* What one more hold of this account could be at most right now (rules on money included); for clamp. >= 0. */
nanousd budget_afford(struct budget *b, uint32_t account, const char *model, int64_t now_ns);
/* Is `account` that one, or below it? */
bool budget_is_below(struct budget *b, uint32_t account, uint32_t top);
bool budget_clamps(struct budget *b, uint32_t account);
/*
 * What the call takes by now, input and output: first the tokens that its hold is for (hold_request.tokens), after an extension those that
 * the whole is for, and right before budget_charge the real count; without that, what was held last is taken for used. For the rule
 * on tokens. now_ns is also what a charge goes by in tokens_per_minute and burn_rate.
 */
void budget_count_tokens(struct budget *b, uint32_t slot, int64_t tokens, int64_t now_ns);
void budget_sent(struct budget *b, uint32_t slot); /* before the first byte goes upstream */
/*
 * HELD only: nothing was sent, the money goes back at once. The slot stays, HELD with amount 0, until budget_settled: as long as the ledger
 * may have the hold written ahead, a start that finds no slot for it takes the machine for having gone down, and charges it.
 */
void budget_give_up(struct budget *b, uint32_t slot);
void budget_release(struct budget *b, uint32_t slot); /* both, for a hold that no ledger was told of */
/* Moves the money from held to spent, exactly `cost` (may be above the hold: recorded, and returned as overrun > 0). The slot
 * stays, in CHARGED, until budget_settled. */
nanousd budget_charge(struct budget *b, uint32_t slot, nanousd cost, bool estimated);
void budget_settled(struct budget *b, uint32_t slot); /* charged or given up, and the ledger has it so: slot free */
void budget_count_refusal(struct budget *b, uint32_t account);

/* The hold as it stands; its started_realtime_ns (never before any earlier hold's, also when the clock went back) is what the ledger
 * row must carry. Valid until budget_settled. */
void budget_get_hold(struct budget *b, uint32_t slot, struct gate_hold *ret);

/* Fail closed while the ledger cannot write: new holds answer -EOWNERDEAD. */
void budget_close_holds(struct budget *b, bool closed);

/* ---- start: what a dead daemon left in the holds array. Called before any new hold, after restore. */
struct orphan {
	uint32_t slot;
	struct gate_hold hold; /* a copy */
	char name[GATE_NAME_MAX];    /* the account that held it, as it was called then; "" = cannot be told */
	char account[GATE_NAME_MAX]; /* where it is charged: that one, else the first above it that still exists, else `name` */
};
/* Fills up to n, returns how many there are. HELD ones are released at once and are not reported. */
size_t budget_orphans(struct budget *b, struct orphan *ret, size_t n);
/* Takes an orphan over as CHARGED (cost counted in the windows it belongs to) so that the ledger can write its row. */
void budget_adopt(struct budget *b, uint32_t slot, nanousd cost, bool already_in_ledger);

/*
 * ---- a hand-over (docs/upgrade.md): calls that another process still has go on while the money is here.
 * budget_set_owner: whose the holds are that are taken here. budget_keep: before replay_begin, at most BUDGET_KEEP_MAX: holds of these
 * processes are no orphans. budget_keep_holds (in replay_finish) lets them stand, HELD or SENT, where they count; those whose account is gone
 * are orphans after all, and count as SENT. budget_holds_of: what one of these processes has, up to n; returns how many there are.
 */
#define BUDGET_KEEP_MAX 16
void budget_set_owner(struct budget *b, uint32_t owner);
void budget_keep(struct budget *b, const uint32_t *owners, size_t n);
bool budget_keeps(struct budget *b, const struct gate_hold *h);
size_t budget_keep_holds(struct budget *b);
size_t budget_holds_of(struct budget *b, uint32_t owner, struct orphan *ret, size_t n);

/* ---- looking */
struct window_view {
	bool limited;
	nanousd limit; /* as it is now, the raise included */
	nanousd raised; /* so much of it is a raise that ends at raise_until_s */
	nanousd spent, held;
	int64_t start_s, end_s;
};
struct account_view {
	char name[GATE_NAME_MAX];
	char parent[GATE_NAME_MAX];
	bool paused;
	nanousd floor;
	struct window_view windows[WINDOW_COUNT]; /* spent and held are right also where there is no limit */
	uint64_t calls, refusals;
	int64_t raise_until_s; /* 0 = no raise now */
};
size_t budget_accounts_end(struct budget *b); /* no account has this index or a higher one */
int budget_view(struct budget *b, uint32_t account, int64_t now_s, struct account_view *ret); /* -ENOENT */
/* Rules as they stand. */
struct rule_view {
	bool set, dry_run;
	/*
	 * RULE_IN_FLIGHT calls, RULE_REQUESTS calls and RULE_TOKENS tokens in the last minute (with those held), RULE_BURN nano-dollars within
	 * burn_within_s; RULE_PER_CALL and RULE_LOOP have a limit only, RULE_MODELS and RULE_MODEL_LIMIT neither (see model_limits).
	 */
	int64_t seen, limit;
	uint64_t refused, would_refuse; /* by this account's rule since it was set; would_refuse: in dry-run */
};
struct rules_view {
	bool any;
	struct rule_view v[RULE_COUNT];
	struct model_limit_view {
		char models[RULES_GLOB_MAX];
		struct window_view windows[WINDOW_COUNT];
	} model_limits[RULES_MODEL_LIMITS_MAX];
	size_t nmodel_limits;
};
int budget_rules_view(struct budget *b, uint32_t account, int64_t now_ns, struct rules_view *ret); /* -ENOENT */
/* Rolls every window whose end has passed, ends raises that are over; returns the next moment (unix s) at which it wants to be called. */
int64_t budget_roll(struct budget *b, int64_t now_s);
/* Checks P1 and held == sum of holds on the spot, under the lock, also in windows that are over but have calls in flight. 0, or -EUCLEAN with the first row that disagrees. */
int budget_check(struct budget *b, struct err *e);
/* For the audit: copies of both arrays (budget_accounts_end rows and all slots) of one instant; `at` runs at that instant, under the lock,
 * and must be short. 0 or -ENOMEM; the caller frees both. */
struct budget_snapshot {
	struct gate_account *accounts;
	size_t naccounts;
	struct gate_hold *holds;
	size_t nholds;
	bool open;
};
int budget_snapshot(struct budget *b, void (*at)(void *ctx), void *ctx, struct budget_snapshot *ret);
size_t budget_in_flight(struct budget *b); /* slots not free */

#endif
