// SPDX-License-Identifier: Apache-2.0
/*
 * worker.h: one thread of the egress: a loop and what its connections share. Nothing in here is touched by another
 * thread but the fields marked so. The environment (gate, budget, ledger, ca) is shared by all and thread-safe.
 */
#ifndef PURSE_PATH_WORKER_H
#define PURSE_PATH_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "path/path.h"

struct shares;
struct fingerprint_key;
struct json;
struct loop;
struct loop_io;
struct loop_timer;
struct loop_wake;
struct names;
struct tls_ctx;
struct upstreams;

#define WORKER_SCRATCH (64 * 1024)

/* After a hand-over: for the next request on a connection that is kept alive. */
#define WORKER_LEAVE_IDLE_MS 10000

struct worker {
	struct path *path;
	const struct path_options *options;
	const struct path_env *env;
	unsigned index;
	pthread_t thread;
	bool started;

	struct loop *loop;
	struct loop_wake *wake; /* the one door for other threads: look at path->stopping and at stops */
	struct loop_timer *tick;
	struct list listens; /* struct worker_listen, as in the path's list when changes was listens_seen */
	uint64_t listens_seen;
	bool is_deaf; /* takes nothing until the next tick */

	struct json *json;
	char *scratch; /* WORKER_SCRATCH + JSON_PADDING bytes; used within one callback only */
	struct names *names;
	struct upstreams *upstreams;

	struct list conns;     /* struct conn, all open ones */
	struct list exchanges; /* struct exchange, all open ones, also those whose agent is gone */
	struct list waiting;   /* struct exchange by room.waiting: for memory */
	int64_t looked_ns;     /* boot clock: when connections were last looked over */
	int64_t told_files_ns; /* boot clock: when it was last told that descriptors are used up */
	bool leaving; /* handed over: takes no connections, keeps none alive */
	_Atomic bool is_over; /* and has none left */
	bool draining;
	int64_t drain_until_ns;

	/* Accounts whose calls are to be stopped: put there by any thread, under the lock, then the wake is sent. */
	pthread_mutex_t stop_lock;
	uint32_t *stops;
	size_t nstops;

	struct path_counts counts; /* written here only, with relaxed stores; read by path_count */
	_Atomic int64_t turned_ns; /* CLOCK_BOOTTIME of the last tick; read by path_is_alive */
};

/* Counters are single-writer: a relaxed store is enough for a reader that never sees half a word. */
#define WORKER_COUNT(w, what, by) \
	__atomic_store_n(&(w)->counts.what, (w)->counts.what + (uint64_t)(by), __ATOMIC_RELAXED)

int worker_start(struct worker *w, struct path *p, unsigned index, struct err *e);
void worker_wake(struct worker *w); /* any thread: what it listens on has changed */
void worker_stop_calls(struct worker *w, uint32_t account); /* any thread; returns at once */
void worker_stop_join(struct worker *w); /* after path->stopping was set: drains, joins, frees */

/* ---- what workers ask of the path as a whole (path.c) */
struct price_list *path_prices(struct path *p); /* a reference: price_list_unref */
struct tls_ctx *path_client_tls(struct path *p); /* borrowed */
const struct path_options *path_options_of(struct path *p);
const struct path_env *path_env_of(struct path *p);
const struct fingerprint_key *path_fingerprint_key(struct path *p);
struct prefix_table *path_prefixes(struct path *p);
struct listenings *path_listenings(struct path *p);
void path_wake_workers(struct path *p);
void path_wake_worker(struct path *p, unsigned index); /* SHARES_NOBODY ok */
struct shares *path_shares(struct path *p);
bool path_is_leaving(struct path *p);
bool path_is_stopping(struct path *p, int64_t *ret_drain_until_ns);
/* The provider that owns this host name, and its index. NULL = not an LLM name. */
const struct path_provider *path_provider_of(struct path *p, const char *host, uint16_t *ret_index);

#endif
