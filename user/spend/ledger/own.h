// SPDX-License-Identifier: Apache-2.0
/*
 * ledger/own.h: the inside of struct ledger, for ledger/writer.c (the thread, opening and closing), ledger/submit.c (what is queued) and
 * ledger/background.c (the check of a large file).
 */
#ifndef PURSE_SPEND_LEDGER_OWN_H
#define PURSE_SPEND_LEDGER_OWN_H

#include <pthread.h>
#include <stdatomic.h>

#include "spend/ledger/holds.h"
#include "spend/ledger/item.h"
#include "spend/ledger/prune.h"

struct queue {
	struct item *first, **end;
};

struct ledger {
	char *path;
	struct ledger_calls calls;
	void *ctx;
	pthread_t thread;
	bool may_write;  /* not opened by ledger_peek */
	bool has_thread; /* false: whoever opened it calls ledger_step */

	pthread_mutex_t lock;
	pthread_cond_t work, done; /* monotonic */
	struct queue queue;        /* not yet taken by the writer */
	size_t ncalls, nrefusals;  /* queued or being written */
	uint64_t refusals_lost;
	bool stopping;
	int64_t stop_by_ns;
	atomic_bool healthy;
	struct holds *holds;         /* calls in flight */
	struct prune_batch *prune;   /* to be done after the next group; NULL = none */
	struct waiter *prune_waiter;
	atomic_bool damaged;         /* found by the background check: unhealthy for good */

	struct ledger_db *db; /* the writer's; NULL = to be opened again */
	bool suspect;         /* the next opening reads every page */
	struct tally *tally;  /* the writer's */

	pthread_t checker; /* reads the pages of a large file once */
	bool has_checker;

	pthread_mutex_t read_lock;
	struct ledger_db *reader;
};

/* Into the queue, which the writer empties; the caller waits, or does not. */
void queue_add(struct queue *q, struct item *it);
void set_health(struct ledger *l, bool healthy, const char *why);

/* A thread of low priority that reads every page once. 0, or no thread. */
void background_start(struct ledger *l);
void background_stop(struct ledger *l);

#endif
