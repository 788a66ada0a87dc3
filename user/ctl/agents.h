// SPDX-License-Identifier: Apache-2.0
/*
 * agents.h: the registry of the daemon: agents and group accounts, from the config and made at run time. It keeps four places in
 * step: the registry itself, budgets (spend/budget/budget.h), enrolment in the gate (kern/gate.h) and the rows in the
 * ledger that let run-time ones survive a restart. Every change is an audit row before the caller hears "done".
 *
 * What the config defines is applied over what the ledger remembers; of what is configured only a pause and a raise survive a restart.
 * For the main loop's thread only. Does not know who asks: the server has checked that.
 */
#ifndef PURSE_CTL_AGENTS_H
#define PURSE_CTL_AGENTS_H

#include "base/err.h"
#include "gate_abi.h"
#include "spend/budget/budget.h"
#include "terms.h"

struct agents;
struct config;
struct flows_calls;
struct gate;
struct ledger;
struct loop;

struct agents_env {
	const struct config *config;
	struct gate *gate;
	struct budget *budget;
	struct ledger *ledger;
	struct loop *loop; /* NULL: connections are ended within the calls, and cgroups are not watched between looks (tests) */
};

/* Finds the cgroup2 mount and checks cgroup_root. */
int agents_new(const struct agents_env *env, struct agents **ret, struct err *e);
void agents_free(struct agents *a); /* NULL ok; enrolment and cgroups stay */

/* ---- start, in this order: replay_begin, agents_load, replay_finish, budget_open (spend/replay.h), agents_enrol */
/* Accounts into the budget, with what the ledger says was spent in the windows that hold now_s. */
int agents_load(struct agents *a, int64_t now_s, struct err *e);
/* Cgroups made, agents enrolled; what the gate still has of earlier runs and nobody knows any more is expelled. */
int agents_enrol(struct agents *a, struct err *e);

/*
 * Cgroups that vanished or were made anew under the same path, raises that are over, connections past the egress that there may be; call every
 * second or so. The kernel tells of cgroups before that.
 */
void agents_watch(struct agents *a);
/* The gate dropped a packet of that agent: it has a connection that is none. Ended soon, so that a program sees a reset instead of a stall. */
void agents_saw_drop(struct agents *a, uint64_t cgroup_id);

/* ---- what is ended in the background (ctl/agents_flows.h): of who is enrolled, paused or killed. A change that began it has returned before. */
void agents_tell(struct agents *a, const struct flows_calls *calls);
uint64_t agents_ticket(const struct agents *a); /* of all that was begun so far */
bool agents_is_over(const struct agents *a, uint64_t ticket);

/* ---- looking */
struct agent_view {
	const char *name;    /* also the name of its account */
	const char *cgroup;  /* below the mount, "/purse/bot" */
	const char *dir;     /* the directory: mount + cgroup */
	uint64_t cgroup_id;  /* 0 while missing */
	uint32_t flags;      /* enum gate_agent_flag */
	bool missing;        /* its cgroup is gone: nothing is enrolled */
	bool from_config;
	bool temporary;      /* made by `purse run`, goes with its cgroup */
};
/* In the order in which they were made. fn returns false to stop. */
void agents_each(const struct agents *a, bool (*fn)(void *ctx, const struct agent_view *v), void *ctx);
int agents_find(const struct agents *a, const char *name, struct agent_view *ret); /* -ENOENT */
/* Groups and agents' own accounts alike. index is the budget's. */
void agents_each_account(const struct agents *a, bool (*fn)(void *ctx, const char *name, uint32_t index), void *ctx);
/* What was asked for; what is in force and spent is the budget's to tell. NULL = none. Valid until the next change. */
const struct account_spec *agents_spec(const struct agents *a, const char *name);
/* Name of the agent with that cgroup id; NULL = none. */
const char *agents_name_of(const struct agents *a, uint64_t cgroup_id);

/* ---- changing. who: "uid 0 pid 123". */
struct agent_change {
	char name[GATE_NAME_MAX];
	bool is_agent; /* false: a group account; the last block is then ignored */
	bool has_parent;
	char parent[GATE_NAME_MAX]; /* "" = top */
	bool has_limit[WINDOW_COUNT];
	int64_t limits[WINDOW_COUNT]; /* GATE_NO_LIMIT takes it away */
	bool has_floor;
	nanousd floor;
	bool has_zone, has_resets_at, has_clamp, clamp, has_rules;
	char zone[48];      /* IANA; "" = the config's default */
	char resets_at[8];  /* "06:00"; "" likewise */
	char rules[8192];   /* what rules_merge (ctl/config/rules_yaml.h) takes: what it names changes, the rest stays; "" = all away */

	bool has_cgroup;
	char cgroup[512];
	bool has_on_exhausted, explain;
	bool has_on_failure, fail_open;
	bool temporary; /* add only */
};
/*
 * Errors: -EINVAL bad value; -EEXIST add: the name is taken; -ENOENT; -EBUSY remove: calls in flight or accounts below it; -EIO the
 * ledger could not record it (nothing is changed then). *ret_note (128 bytes, may be NULL): "" or what to know.
 */
int agents_add(struct agents *a, const struct agent_change *c, const char *who, struct err *e);
int agents_set(struct agents *a, const struct agent_change *c, const char *who, char *ret_note, size_t size,
	       struct err *e);
int agents_remove(struct agents *a, const char *name, bool is_agent, const char *who, char *ret_note, size_t size,
		  struct err *e);

/*
 * Killing is pausing; who asks then cuts the calls in flight of *ret_index and of all below it. What these have open past the egress is ended: a socket
 * may have been passed in.
 */
enum agent_halt { AGENT_PAUSE, AGENT_RESUME, AGENT_KILL };
int agents_halt(struct agents *a, const char *name, bool is_agent, enum agent_halt how, const char *who, uint32_t *ret_index,
		struct err *e);

/*
 * Raises limits until a moment; in place of an earlier raise. It survives a restart, also of what the config defines, and is over by
 * itself. until_s 0 ends one that is on.
 */
struct agent_raise {
	char name[GATE_NAME_MAX];
	bool is_agent;
	nanousd raise[WINDOW_COUNT]; /* 0 = not this window; -EINVAL for one without a limit */
	int64_t until_s;
};
#define AGENT_RAISE_LONGEST_S (366 * 86400)
int agents_raise(struct agents *a, const struct agent_raise *r, const char *who, struct err *e);

#endif
