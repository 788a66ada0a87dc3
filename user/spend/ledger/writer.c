// SPDX-License-Identifier: Apache-2.0
/*
 * ledger/writer.c: the one thread that writes the ledger. Whatever is queued when it wakes goes into one transaction (group
 * commit); a call's slot is given back after its row is durable. A failed commit closes the connection ("treat any fsync
 * error as final for that handle"): it is opened and checked again each second until the queue is written. Calls stay
 * queued until then; refusals too, up to a bound; changes are answered -EIO at once, since somebody is waiting.
 *
 * No SQLite here, no balances.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/str.h"
#include "spend/ledger/own.h"

#define GATHER_NS (LEDGER_GATHER_MS * 1000000L)
#define RETRY_NS INT64_C(1000000000)
#define CLOSE_WAIT_NS INT64_C(5000000000)

/* ---- queues */

static void queue_init(struct queue *q)
{
	q->first = NULL;
	q->end = &q->first;
}

void queue_add(struct queue *q, struct item *it)
{
	it->next = NULL;
	*q->end = it;
	q->end = &it->next;
}

/* Puts `head` in front of q; head is empty afterwards. */
static void queue_put_back(struct queue *q, struct queue *head)
{
	if (!head->first)
		return;
	*head->end = q->first;
	if (!q->first)
		q->end = head->end;
	q->first = head->first;
	queue_init(head);
}

static struct queue queue_take(struct queue *q)
{
	struct queue all = *q;

	if (!all.first)
		all.end = NULL;
	queue_init(q);
	return all;
}

/* ---- a group -> one transaction */

static int group_error(struct ledger *l, int r, struct err *e)
{
	return err_set(e, -r, "%s: cannot be written: %s", l->path, r == -EBUSY ? "another process holds its lock" :
		       r == -ENOSPC ? "the disk is full" : db_error(l->db));
}

/* The crash points are about calls: what a start writes must not use them up. */
static bool has_call(const struct queue *group)
{
	for (const struct item *it = group->first; it; it = it->next)
		if (it->kind == ITEM_CALL)
			return true;
	return false;
}

static int write_rows(struct ledger *l, const struct queue *group)
{
	int r = 0;

	tally_clear(l->tally);
	for (const struct item *it = group->first; r == 0 && it; it = it->next)
		r = item_write(l->db, l->tally, it);
	return r == 0 ? tally_write(l->tally, l->db) : r;
}

static int write_group(struct ledger *l, const struct queue *group, struct err *e)
{
	int r = db_run(l->db, DB_BEGIN, NULL, 0);

	if (r < 0)
		return group_error(l, r, e);
	r = write_rows(l, group);
	if (r == 0) {
		if (has_call(group))
			CRASH_POINT("ledger-before-commit");
		r = db_run(l->db, DB_COMMIT, NULL, 0);
	}
	if (r < 0) {
		(void)group_error(l, r, e);
		(void)db_run(l->db, DB_ROLLBACK, NULL, 0);
		return r;
	}
	if (has_call(group))
		CRASH_POINT("ledger-after-commit");
	return 0;
}

/* Opens the file again if an earlier failure closed it. */
static int writer_connect(struct ledger *l, struct err *e)
{
	if (l->db)
		return 0;
	int r = db_open(l->path, DB_WRITE, l->suspect ? DB_CHECK_ALL : DB_CHECK_HEADER, &l->db, e);

	if (r == 0)
		l->suspect = false;
	return r;
}

static int writer_try(struct ledger *l, const struct queue *group, struct err *e)
{
	int r = writer_connect(l, e);

	if (r < 0)
		return r;
	r = write_group(l, group, e);
	if (r == 0)
		return 0;
	if (r == -EBUSY)
		return r; /* nothing was tried: the connection is as good as before */
	l->suspect |= r != -ENOSPC;
	db_close(l->db);
	l->db = NULL;
	return r;
}

/* ---- after a group */

static void item_over(struct ledger *l, struct item *it, int result)
{
	(void)pthread_mutex_lock(&l->lock);
	l->ncalls -= it->kind == ITEM_CALL;
	l->nrefusals -= it->kind == ITEM_REFUSAL;
	if (it->waiter) {
		it->waiter->result = result;
		it->waiter->is_done = true;
		(void)pthread_cond_broadcast(&l->done);
	}
	(void)pthread_mutex_unlock(&l->lock);
	item_free(it);
}

/* The slot that waited for this item. */
static uint32_t slot_of(const struct item *it)
{
	return it->kind == ITEM_CALL ? it->call.slot : it->kind == ITEM_HOLD_OVER ? it->over.slot : LEDGER_NO_SLOT;
}

static void group_durable(struct ledger *l, struct queue *group)
{
	struct item *next;

	for (struct item *it = group->first; it; it = next) {
		next = it->next;
		if (l->calls.durable && slot_of(it) != LEDGER_NO_SLOT)
			l->calls.durable(l->ctx, slot_of(it));
		if (it->kind == ITEM_REFUSAL && l->calls.refused && !it->refusal.dry_run)
			l->calls.refused(l->ctx, it->refusal.agent, &it->refusal.why);
		item_over(l, it, 0);
	}
}

/* What somebody waits for is answered; the rest is kept, in order. */
static void group_failed(struct ledger *l, struct queue *group)
{
	struct queue kept;
	struct item *next;

	queue_init(&kept);
	for (struct item *it = group->first; it; it = next) {
		next = it->next;
		if (it->waiter)
			item_over(l, it, -EIO);
		else
			queue_add(&kept, it);
	}
	(void)pthread_mutex_lock(&l->lock);
	queue_put_back(&l->queue, &kept);
	(void)pthread_mutex_unlock(&l->lock);
}

void set_health(struct ledger *l, bool healthy, const char *why)
{
	if (healthy && atomic_load(&l->damaged))
		return;
	if (atomic_exchange(&l->healthy, healthy) == healthy)
		return;
	if (healthy)
		log_info("ledger", "writes again");
	else
		log_error("ledger", "%s; no new calls until it can be written", why);
	if (l->calls.health)
		l->calls.health(l->ctx, healthy, why);
}

static void tell_lost_refusals(struct ledger *l)
{
	(void)pthread_mutex_lock(&l->lock);
	uint64_t lost = l->refusals_lost;

	l->refusals_lost = 0;
	(void)pthread_mutex_unlock(&l->lock);
	if (lost)
		log_warn("ledger", "%llu refusals were not recorded: too many at once", (unsigned long long)lost);
}

/* ---- the thread */

static int64_t monotonic_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * LEDGER_NS_PER_S + ts.tv_nsec;
}

static void wait_until(struct ledger *l, int64_t ns)
{
	struct timespec ts = { .tv_sec = ns / LEDGER_NS_PER_S, .tv_nsec = ns % LEDGER_NS_PER_S };

	(void)pthread_cond_timedwait(&l->work, &l->lock, &ts);
}

/*
 * A sync costs more than a hundred rows: a moment is waited so that more calls share one. Nobody waits for it on the way of a call,
 * and a crash in between finds the calls in their hold slots.
 */
static void gather(struct ledger *l)
{
	const struct timespec moment = { .tv_nsec = GATHER_NS };

	(void)pthread_mutex_unlock(&l->lock);
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
	(void)pthread_mutex_lock(&l->lock);
}

static bool has_work(const struct ledger *l)
{
	return l->queue.first || l->prune || holds_are_due(l->holds);
}

/* Everything that is queued, then the calls that are still in flight: what ends one of these comes in a later group. */
static void take_group(struct ledger *l, struct queue *ret)
{
	struct item *it;

	queue_init(ret);
	if (l->queue.first)
		*ret = queue_take(&l->queue);
	while ((it = holds_take(l->holds)))
		queue_add(ret, it);
}

/* False = time to go. */
static bool next_group(struct ledger *l, struct queue *ret)
{
	(void)pthread_mutex_lock(&l->lock);
	while (!has_work(l) && !l->stopping)
		(void)pthread_cond_wait(&l->work, &l->lock);
	if (!l->stopping)
		gather(l);
	/* What was due may be gone by now, a call that was given up before it was sent: no reason to end. */
	bool more = has_work(l) || !l->stopping;

	take_group(l, ret);
	(void)pthread_mutex_unlock(&l->lock);
	return more;
}

/* ---- a batch of pruning: a transaction of its own, since its failure (a full disk under the copy) is nobody else's */

static int prune_transaction(struct ledger *l, struct prune_batch *b)
{
	int r = db_run(l->db, DB_BEGIN, NULL, 0);

	if (r < 0)
		return r;
	tally_clear(l->tally);
	r = prune_batch_write(b, l->db, l->tally);
	if (r == 0)
		r = db_run(l->db, DB_COMMIT, NULL, 0);
	if (r < 0)
		(void)db_run(l->db, DB_ROLLBACK, NULL, 0);
	return r;
}

static void run_prune(struct ledger *l)
{
	(void)pthread_mutex_lock(&l->lock);
	struct prune_batch *b = l->prune;

	(void)pthread_mutex_unlock(&l->lock);
	if (!b)
		return;
	int r = l->db ? prune_transaction(l, b) : -EIO;

	(void)pthread_mutex_lock(&l->lock);
	l->prune = NULL;
	l->prune_waiter->result = r;
	l->prune_waiter->is_done = true;
	(void)pthread_cond_broadcast(&l->done);
	(void)pthread_mutex_unlock(&l->lock);
}

/* Waits a second between attempts. False: the daemon is stopping and has waited long enough. */
static bool may_try_again(struct ledger *l)
{
	int64_t again = monotonic_ns() + RETRY_NS;

	(void)pthread_mutex_lock(&l->lock);
	/* New work wakes us too early: look at the clock. */
	while (monotonic_ns() < again && !(l->stopping && monotonic_ns() >= l->stop_by_ns)) {
		int64_t until = l->stopping && l->stop_by_ns < again ? l->stop_by_ns : again;

		wait_until(l, until);
	}
	bool again_is_fine = !l->stopping || monotonic_ns() < l->stop_by_ns;

	(void)pthread_mutex_unlock(&l->lock);
	return again_is_fine;
}

/* One transaction and everything that follows from it. 0, or why it could not be written: what may wait stands in the queue again. */
static int write_round(struct ledger *l, struct queue *group)
{
	struct err e;
	int r = writer_try(l, group, &e);

	if (r < 0) {
		set_health(l, false, e.text);
		group_failed(l, group);
		return r;
	}
	/* Healthy before the slots are freed: who sees a free slot may hold again. */
	set_health(l, true, "");
	group_durable(l, group);
	tell_lost_refusals(l);
	return 0;
}

static void *writer(void *arg)
{
	struct ledger *l = arg;
	struct queue group;

	while (next_group(l, &group)) {
		int r = group.first ? write_round(l, &group) : 0;

		run_prune(l);
		if (r < 0 && !may_try_again(l))
			break;
	}
	return NULL;
}

int ledger_step(struct ledger *l)
{
	struct queue group;

	ASSERT(!l->has_thread);
	(void)pthread_mutex_lock(&l->lock);
	take_group(l, &group);
	(void)pthread_mutex_unlock(&l->lock);
	int r = group.first ? write_round(l, &group) : 0;

	run_prune(l);
	return r;
}

/* ---- opening and closing */

static void init_cond(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(c, &attr);
	(void)pthread_condattr_destroy(&attr);
}

static void ledger_free(struct ledger *l)
{
	/* The writer last: who closes last empties the log, and a reader may not. After a stop in good order the ledger is one file. */
	db_close(l->reader);
	db_close(l->db);
	holds_free(l->holds);
	tally_free(l->tally);
	(void)pthread_mutex_destroy(&l->lock);
	(void)pthread_mutex_destroy(&l->read_lock);
	(void)pthread_cond_destroy(&l->work);
	(void)pthread_cond_destroy(&l->done);
	free(l->path);
	free(l);
}

static struct ledger *ledger_alloc(const char *path)
{
	struct ledger *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	(void)pthread_mutex_init(&l->lock, NULL);
	(void)pthread_mutex_init(&l->read_lock, NULL);
	init_cond(&l->work);
	init_cond(&l->done);
	queue_init(&l->queue);
	atomic_init(&l->healthy, true);
	l->path = strdup(path);
	l->holds = holds_new();
	l->tally = tally_new();
	if (!l->path || !l->holds || !l->tally) {
		ledger_free(l);
		return NULL;
	}
	return l;
}

int ledger_open_stepped(const char *path, const struct ledger_calls *calls, void *ctx, struct ledger **ret, struct err *e)
{
	struct ledger *l = ledger_alloc(path);
	int r = l ? db_open(path, DB_CREATE, DB_CHECK_SOME, &l->db, e) : err_set(e, ENOMEM, "ledger %s: out of memory", path);

	if (r < 0) {
		if (l)
			ledger_free(l);
		return r;
	}
	if (calls)
		l->calls = *calls;
	l->ctx = ctx;
	l->may_write = true;
	*ret = l;
	return 0;
}

int ledger_open(const char *path, const struct ledger_calls *calls, void *ctx, struct ledger **ret, struct err *e)
{
	struct ledger *l = NULL;
	int r = ledger_open_stepped(path, calls, ctx, &l, e);

	if (r < 0)
		return r;
	l->has_thread = true; /* before it runs: it may be asked at once */
	r = pthread_create(&l->thread, NULL, writer, l);
	if (r) {
		ledger_free(l);
		return err_set(e, r, "ledger %s: its thread cannot be started: %s", path, strerror(r));
	}
	background_start(l);
	*ret = l;
	return 0;
}

int ledger_peek(const char *path, struct ledger **ret, struct err *e)
{
	struct ledger *l = ledger_alloc(path);

	if (!l)
		return err_set(e, ENOMEM, "ledger %s: out of memory", path);
	int r = db_open(path, DB_READ, DB_CHECK_HEADER, &l->reader, e);

	if (r < 0) {
		ledger_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

int ledger_close(struct ledger *l)
{
	int r = 0;

	if (!l)
		return 0;
	if (l->has_thread) {
		(void)pthread_mutex_lock(&l->lock);
		l->stopping = true;
		l->stop_by_ns = monotonic_ns() + CLOSE_WAIT_NS;
		(void)pthread_cond_broadcast(&l->work);
		(void)pthread_mutex_unlock(&l->lock);
		(void)pthread_join(l->thread, NULL);
		background_stop(l);
	}
	struct queue left = queue_take(&l->queue);

	for (struct item *it = left.first, *next; it; it = next) {
		next = it->next;
		r = -EIO;
		item_over(l, it, -EIO);
	}
	ledger_free(l);
	return r;
}

/* ---- looking */

size_t ledger_queued(struct ledger *l)
{
	(void)pthread_mutex_lock(&l->lock);
	size_t n = l->ncalls;

	(void)pthread_mutex_unlock(&l->lock);
	return n;
}

bool ledger_is_healthy(struct ledger *l)
{
	return atomic_load(&l->healthy);
}

const char *ledger_path(const struct ledger *l)
{
	return l->path;
}

struct ledger_db *ledger_reader_lock(struct ledger *l, struct err *e)
{
	(void)pthread_mutex_lock(&l->read_lock);
	if (!l->reader && db_open(l->path, DB_READ, DB_CHECK_HEADER, &l->reader, e) < 0) {
		l->reader = NULL;
		(void)pthread_mutex_unlock(&l->read_lock);
		return NULL;
	}
	return l->reader;
}

void ledger_reader_unlock(struct ledger *l, bool broken)
{
	if (broken) {
		db_close(l->reader);
		l->reader = NULL;
	}
	(void)pthread_mutex_unlock(&l->read_lock);
}
