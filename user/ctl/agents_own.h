// SPDX-License-Identifier: Apache-2.0
/* agents_own.h: the registry's inside, shared by agents.c (start, looking), agents_change.c, agents_watch.c and agents_audit.c. Nobody else's. */
#ifndef PURSE_CTL_AGENTS_OWN_H
#define PURSE_CTL_AGENTS_OWN_H

#include "base/list.h"
#include "ctl/agents.h"
#include "ctl/agents_flows.h"
#include "spend/ledger/ledger.h"

struct loop_io;
struct map;

/* What the ledger's flags hold beside enum gate_agent_flag; cut off before they go to the gate. */
#define SAVED_FROM_CONFIG (1u << 31) /* only "paused" counts, and only while the config has that agent */
#define SAVED_TEMPORARY (1u << 30)
#define SAVED_GROUP (1u << 29) /* with SAVED_FROM_CONFIG: no agent, but a group account of the config */
#define SAVED_BITS (SAVED_FROM_CONFIG | SAVED_TEMPORARY | SAVED_GROUP)

enum seat_mark { SEAT_NEW, SEAT_VISITING, SEAT_PLACED };

/* One name: an account, and the agent whose own account it is. */
struct seat {
	struct list node; /* on agents.seats, in the order of making */
	struct account_spec spec;
	uint32_t index; /* in the budget */
	enum seat_mark mark; /* of the walk that places parents first */
	bool is_agent, from_config, temporary;
	char cgroup[512];
	char *dir; /* mount + cgroup; NULL for groups */
	uint64_t cgroup_id; /* 0 = not enrolled */
	uint32_t flags; /* enum gate_agent_flag */
	int wd;          /* of the folder above its cgroup; 0 = none */
	bool is_watched; /* and that is still the one: the kernel tells when the cgroup goes or comes */
	bool saw_drop;   /* the gate dropped a packet of its own since the last look */
};

struct agents {
	struct agents_env env;
	struct list seats;
	struct map *by_name; /* -> struct seat */
	char mount[512];     /* of cgroup2 */
	char below[512];     /* cgroup_root below the mount: "" or "/scratch" */
	struct flows *flows;

	/* of agents_watch.c */
	int notify_fd; /* -1 = none */
	struct loop_io *notify;
	unsigned looks, drops_searched;
	bool any_drop;        /* some seat's saw_drop */
	uint64_t last_drop;   /* whose, since the last look */
	uint64_t round_epoch; /* gate_old_epoch() that the last round was for */
	int64_t rounded_ns;   /* when that was; boot clock */
};

struct seat *seat_new(const char *name);
void seat_free(struct seat *s);
int seat_join(struct agents *a, struct seat *s); /* takes it on success; -EEXIST, -ENOMEM */
void seat_leave(struct agents *a, struct seat *s); /* frees it */
struct seat *seat_find(const struct agents *a, const char *name);

/* Checks the path (or takes the default if "") and sets cgroup and dir. */
int seat_set_cgroup(struct agents *a, struct seat *s, const char *cgroup, struct err *e);
/* Puts the account into the budget with what the ledger says is spent. */
int seat_open_account(struct agents *a, struct seat *s, int64_t now_s, struct err *e);
/* Makes the cgroup if need be and enrols what stands there now; an earlier id is expelled afterwards. */
int seat_enrol(struct agents *a, struct seat *s, struct err *e);
/* The gate's row again, after flags changed. No-op while missing. */
int seat_tell_gate(struct agents *a, const struct seat *s, struct err *e);
void seat_expel(struct agents *a, struct seat *s);

void agents_watch_begin(struct agents *a);
void agents_watch_end(struct agents *a);
void agents_unwatch(struct agents *a, struct seat *s);

/* agents_audit.c: the members in which s differs from `other` (NULL: all), as one JSON object. */
int seat_write(const struct seat *s, const struct seat *other, struct buf *out);
/* Takes down raises that are over. */
void agents_end_raises(struct agents *a, int64_t now_s);

#endif
