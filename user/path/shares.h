// SPDX-License-Identifier: Apache-2.0
/*
 * shares.h: how much of what all share one agent may have: connections (each is a descriptor) and bytes of bodies in memory (of requests, and of
 * large answers that are read whole). Counts, says no, and says which resting connection has to go so that a newer one of the same agent has its
 * place. One lock, any thread.
 *
 * Two bounds on each: a number of its own, and what is left. Nobody gets more than twice what is still free after it, so that the first to
 * come, also several of them together, always leave room for those who have little: one gets two thirds at most, two get two fifths each.
 *
 * It opens and closes nothing, and knows agents by a number only.
 */
#ifndef PURSE_PATH_SHARES_H
#define PURSE_PATH_SHARES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

enum share_kind { SHARE_CONNECTIONS, SHARE_BODIES, SHARE_COUNT };

struct share_limit {
	uint64_t all, agent;
};

struct shares;
struct share; /* one agent's share; there as long as somebody refers to it */

/* -ENOMEM. The limits are copied. */
int shares_new(const struct share_limit limits[SHARE_COUNT], unsigned workers, struct shares **ret);
void shares_free(struct shares *b); /* NULL ok; nobody refers to an agent any more */

struct share *share_get(struct shares *b, uint64_t agent); /* a reference; NULL = no memory */
struct share *share_ref(struct share *a);
void share_unref(struct share *a); /* NULL ok */

/* All of n or nothing. false: over one of the two bounds. */
bool share_take(struct share *a, enum share_kind kind, uint64_t n);
void share_give(struct share *a, enum share_kind kind, uint64_t n);
/* The numbers, for telling why: what it has, and the most that it may have as things are. */
void share_view(struct share *a, enum share_kind kind, uint64_t *ret_has, uint64_t *ret_most);
/* Something was refused: how many times since it was last told, if it is time to tell again (once a minute), else 0. */
uint64_t share_refused(struct share *a, int64_t now_ns);

/*
 * An open connection's place. Embedded in what it is for; its fields are shares.c's. open and close are once each; rest and rouse may be
 * said again. A worker is where it is served: only there is it closed.
 */
struct place {
	struct list link; /* its agent's resting ones, longest first; or its worker's chosen ones */
	struct share *agent;
	unsigned worker;
	enum { PLACE_BUSY, PLACE_RESTS, PLACE_IS_CHOSEN } state;
};

#define SHARES_NOBODY (~0u)

/*
 * Takes one connection, with the place of the one that rests longest if there is no other way: *ret_worker is to be woken then and takes it
 * from shares_chosen(), else SHARES_NOBODY. false: over the bound, and none rests.
 */
bool share_take_place(struct share *a, unsigned *ret_worker);
/* The same for p, whose agent it refers to from now on. */
bool place_open(struct place *p, struct share *a, unsigned worker, unsigned *ret_worker);
void place_close(struct place *p); /* also one that was never opened, if it is zero */
void place_rest(struct place *p);  /* between two requests: may be closed for another one */
/* It is used again. If it was chosen meanwhile it stays: the agent has one more than it should, until something ends. */
void place_rouse(struct place *p);
/* One of that worker's that lost its place and is to be closed (or roused); NULL = none left. */
struct place *shares_chosen(struct shares *b, unsigned worker);

#endif
