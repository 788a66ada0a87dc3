// SPDX-License-Identifier: Apache-2.0
/*
 * ledger/background.c: the pages of a large ledger are read after the start, not before it: agents are denied while a daemon starts. Damage
 * that is found then closes the ledger for good: calls in flight are still written, new ones are refused.
 *
 * A reader that reads for a minute keeps the log from being copied back: when the log has grown past WAL_MAX_BYTES the check stops and
 * begins anew later.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "spend/ledger/own.h"

#define WAL_MAX_BYTES (INT64_C(512) << 20)
#define AGAIN_S 600
#define ATTEMPTS 20

static int64_t size_of(const char *path, const char *suffix)
{
	char name[1400];
	struct stat st;

	(void)snprintf(name, sizeof(name), "%s%s", path, suffix);
	return stat(name, &st) == 0 ? (int64_t)st.st_size : 0;
}

static bool is_stopping(struct ledger *l)
{
	(void)pthread_mutex_lock(&l->lock);
	bool stopping = l->stopping;

	(void)pthread_mutex_unlock(&l->lock);
	return stopping;
}

static bool should_stop(void *ctx)
{
	struct ledger *l = ctx;

	return is_stopping(l) || size_of(l->path, "-wal") > WAL_MAX_BYTES;
}

static int check_once(struct ledger *l, struct err *e)
{
	struct ledger_db *db = NULL;
	int r = db_open(l->path, DB_READ, DB_CHECK_HEADER, &db, e);

	if (r < 0)
		return r;
	db_on_progress(db, should_stop, l);
	r = db_check_pages(db, l->path, e);
	db_close(db);
	return r;
}

static void tell(struct ledger *l, int r, const struct err *e)
{
	if (r == 0) {
		log_info("ledger", "%s: all pages were read, no damage", l->path);
		return;
	}
	if (r != -EUCLEAN) {
		log_warn("ledger", "%s: the pages could not all be read (%s); `purse audit` reads them", l->path, e->text);
		return;
	}
	atomic_store(&l->damaged, true);
	set_health(l, false, e->text);
}

/* Sleeps, but not through the end. False: the end. */
static bool wait_a_while(struct ledger *l)
{
	for (int i = 0; i < AGAIN_S * 10; i++) {
		const struct timespec tenth = { .tv_nsec = 100000000L };

		if (is_stopping(l))
			return false;
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &tenth, NULL);
	}
	return true;
}

static void *checker(void *arg)
{
	struct ledger *l = arg;
	struct err e = { "" };
	int r = -EINTR;

	/* Of this thread alone. */
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
	for (int i = 0; r == -EINTR && i < ATTEMPTS; i++) {
		r = check_once(l, &e);
		if (r == -EINTR && !wait_a_while(l))
			return NULL;
	}
	tell(l, r, &e);
	return NULL;
}

void background_start(struct ledger *l)
{
	if (size_of(l->path, "") <= DB_OPEN_CHECK_BYTES)
		return;
	log_info("ledger", "%s has %lld MB: its pages are read while purse serves", l->path, (long long)(size_of(l->path, "") >> 20));
	l->has_checker = pthread_create(&l->checker, NULL, checker, l) == 0;
}

/* `stopping` is set: it ends within a moment. */
void background_stop(struct ledger *l)
{
	if (!l->has_checker)
		return;
	(void)pthread_join(l->checker, NULL);
}
