// SPDX-License-Identifier: Apache-2.0
/*
 * upgrade.h: one daemon takes over from another while calls run: docs/upgrade.md has the reasons and the order. This is the order itself, for both
 * sides; what is stopped and started stays the daemon's, which it reaches through struct upgrade_calls.
 *
 *   the new one                                    the old one
 *   upgrade_meet    HELLO ->                       stops looking after the programs; <- WELCOME, the locks
 *   (its programs are put in the place of the old ones)
 *   upgrade_take    FREEZE ->                      freeze(); <- what is listened on, FROZEN
 *   (ledger, balances, listeners, control)
 *   upgrade_serve   answers the calls that still run over there
 *   upgrade_settle  OPEN ->                        <- LET_GO; leave()
 *
 * Until it has read OPEN the old one can go on as if nothing had been: resume() when the channel ends. Where it stands, and what each event
 * then means, is a table: ctl/handover_stage.h. Everything on the main thread.
 */
#ifndef PURSE_UPGRADE_H
#define PURSE_UPGRADE_H

#include "base/err.h"
#include "path/path.h"
#include "spend/budget/budget.h"
#include "terms.h"

struct gate;
struct ledger;
struct loop;
struct money;
struct server;
struct upgrade;

struct upgrade_calls {
	bool (*calm)(void *ctx);          /* nothing slow runs that needs the ledger; asked again until it is so */
	void (*freeze)(void *ctx);        /* lets go of budget, ledger and all that uses them; beats go on meanwhile */
	int (*resume)(void *ctx);         /* has them back. Negative: cannot; the daemon ends */
	void (*leave)(void *ctx);         /* they are another's */
	void (*end)(void *ctx, int64_t ms);
	void (*stop_calls)(void *ctx, uint32_t account);
};

/* What the daemon tells of itself once it has it. */
struct upgrade_env {
	struct loop *loop;
	struct gate *gate;
	struct path *path;
	struct server *server;
	struct money *money;
};

struct upgrade *upgrade_new(const struct upgrade_calls *calls, void *ctx, const char *socket_path);
void upgrade_free(struct upgrade *u);

/* ---- the new one's side. None there, or gone before FROZEN: 0, and this is a plain start (upgrade_is_taking). */
int upgrade_meet(struct upgrade *u, struct err *e);
int upgrade_take(struct upgrade *u, struct err *e);
bool upgrade_is_taking(const struct upgrade *u);
pid_t upgrade_from(const struct upgrade *u);
int upgrade_take_lock(struct upgrade *u);    /* a descriptor, 0 = none */
int upgrade_take_pins(struct upgrade *u);    /* a descriptor, 0 = none */
int upgrade_take_control(struct upgrade *u); /* a descriptor, 0 = none */
const struct path_inherited *upgrade_listeners(const struct upgrade *u, size_t *ret_n);
void upgrade_listeners_taken(struct upgrade *u); /* the descriptors are the path's */
size_t upgrade_owners(const struct upgrade *u, uint32_t ret[BUDGET_KEEP_MAX]); /* whose holds go on; for budget_keep */
int upgrade_serve(struct upgrade *u, struct budget *b, struct ledger *l, struct err *e);
void upgrade_adopt_leases(struct upgrade *u, struct server *s);
/* The last step of every start: listens for a successor, and says OPEN. */
int upgrade_settle(struct upgrade *u, const struct upgrade_env *env, struct err *e);

/* ---- earlier processes that still have calls */
void upgrade_stop_calls(struct upgrade *u, uint32_t account);
size_t upgrade_reap(struct upgrade *u);                 /* lets go of those that are gone; how many there are */
void upgrade_end_elders(struct upgrade *u, int64_t ms); /* asks them to end */
void upgrade_wait_elders(struct upgrade *u, int64_t ms); /* for their end, then serves no more */
void upgrade_pause_elders(struct upgrade *u);            /* serves no more for now; in freeze() */

/* ---- the old one's side */
bool upgrade_is_meeting(const struct upgrade *u); /* somebody is taking over: programs are its business */
bool upgrade_is_frozen(const struct upgrade *u);  /* the money is on its way */
bool upgrade_has_left(const struct upgrade *u);

#endif
