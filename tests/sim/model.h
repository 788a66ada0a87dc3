// SPDX-License-Identifier: Apache-2.0
/*
 * model.h: what should be, figured the slow way: a plain list of calls, a plain list of accounts, and sums made anew over all of them at
 * each look. Written from docs and headers, not from budget.c: no running sums, no slots, no publication. It shares only the
 * structs that it looks at.
 */
#ifndef PURSE_TESTS_SIM_MODEL_H
#define PURSE_TESTS_SIM_MODEL_H

#include "spend/budget/budget.h"

#define NAMES 20     /* accounts that can ever be: "a0" … */
#define CALLS_MAX 60000
#define NOBODY (-1)
#define PAST 8
#define NS INT64_C(1000000000)

enum call_state {
	CALL_HELD,    /* nothing sent */
	CALL_SENT,
	CALL_CHARGED, /* the cost is final, nobody has said that its row is durable */
	CALL_ROWED,   /* the ledger has said so; the slot is still taken */
	CALL_GIVEN_UP,  /* it never cost anything, but the ledger may still have it written ahead */
	CALL_FORGOTTEN, /* the ledger has said that it has not; the slot is still taken */
	CALL_OVER,    /* row durable, slot free */
	CALL_GONE,    /* forgotten, slot free */
};

struct call {
	uint64_t id;
	int account; /* whose it was */
	uint32_t slot;
	const char *model;
	enum call_state state;
	nanousd amount, cost;
	int64_t started_ns;
	/* The last step on it may or may not have happened (a crash in the midst of it): what it was before. */
	bool is_torn;
	enum call_state old_state;
	nanousd old_amount;
	bool may_be_lost; /* a power cut: it never had a row */
	/* The hold as the ledger was told to write it ahead (0 = not told), and as it surely stands on the disk. */
	nanousd told, ahead;
	bool has_moved; /* an account above it came, went or changed its calendar since it began */
};

struct seen_window {
	int64_t start_s, end_s;
	int64_t due_s; /* the end it was opened with; 0 = not seen */
	nanousd spent, sum, limit; /* at the last look */
};

struct place {
	bool lives;
	int parent; /* NOBODY = top. Of one that does not live: where it stood last */
	struct account_spec spec;
	uint32_t index; /* of its row */
	bool windows_known;
	bool is_stretched; /* its calendar was changed: a window that was open then ended later. Only the arrays know, so a power cut forgets it */
	struct seen_window windows[WINDOW_COUNT];
	/* Instances that are over, the latest ones: calls that began in them may still grow. */
	struct seen_window past[WINDOW_COUNT][PAST];
	size_t npast[WINDOW_COUNT];
};

struct model {
	struct place places[NAMES];
	struct call *calls;
	size_t ncalls, first_open; /* calls before first_open are OVER or GONE */
	int64_t seen_ns;  /* time goes on from here */
	bool holds_closed;
	bool in_doubt; /* an account moved between calendars, and the ledger was not yet asked: what is spent is not less than it should be */
};

/* How the world tells of a broken invariant; does not return. */
_Noreturn void broken(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void model_init(struct model *m);
void model_done(struct model *m);

/* ---- the tree */
const char *name_of(int name);
int name_find(const char *text); /* NOBODY */
bool model_is_below(const struct model *m, int name, int top); /* or the same */
int model_depth(const struct model *m, int name);  /* 1 = top */
int model_height(const struct model *m, int name); /* 1 = none below */
bool model_has_children(const struct model *m, int name);
bool model_has_slots(const struct model *m, int name); /* calls of its own that are not over */
/* Where money of this account counts: itself, else the first above it that lives. NOBODY. */
int model_living(const struct model *m, int name);
nanousd model_limit(const struct model *m, int name, int k);

/* ---- the calls */
struct call *model_add_call(struct model *m);
struct call *model_find_call(struct model *m, uint64_t id); /* NULL */
size_t model_busy(const struct model *m); /* slots taken */
bool call_is_held(const struct call *c);
bool call_is_spent(const struct call *c);
/* What stands in the instance [start_s, end_s) of a window of `name`, by the list. */
struct sums {
	nanousd spent, held;
};
struct sums model_sums(const struct model *m, int name, int64_t start_s, int64_t end_s);

/* ---- looking at what budget.c made */
enum look {
	LOOK_STRICT, /* the step was none of those below */
	LOOK_LOOSE,  /* it may have let spent + held rise above a limit: an edit, a move, an overrun */
	LOOK_START,  /* a start: windows are told anew */
};
void model_look(struct model *m, const struct gate_account *rows, const struct gate_hold *holds, enum look how);
/*
 * A hold or an extension was granted to a call of `account` that began at started_ns: it must have fitted everywhere, also in windows that are
 * over by now (unless has_moved: then who they belonged to cannot be told). Returns the least that is left in any of them.
 */
nanousd model_granted(const struct model *m, int account, int64_t started_ns, bool has_moved);
/*
 * The rules of the account and those above it that the model knows: most per call, calls in flight, budgets for some models. Granted a call, or
 * more for it: they must hold with it counted.
 */
void model_rules_hold(const struct model *m, const struct call *c, bool is_new);
void model_rule_refused(const struct model *m, int account, const char *asked_model, nanousd amount, int64_t started_ns,
			const struct refusal *why);
nanousd model_most_per_call(const struct model *m, int account); /* INT64_MAX = any */
bool model_has_model_limits(const struct model *m, int account);
/* It was refused for want of money: is that so? */
void model_refused(const struct model *m, int account, int64_t started_ns, nanousd more, const struct refusal *why);

#endif
