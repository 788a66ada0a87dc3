// SPDX-License-Identifier: Apache-2.0
/* ledger/prune.c: see ledger/prune.h. */
#include "spend/ledger/prune.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define BATCH_ROWS 2000
/* The writer has the disk to itself meanwhile: half of the time or more. */
#define PAUSE_NS 20000000L

struct prune_batch {
	int64_t before_s;
	const struct ledger_keep *keep;
	struct ledger_pruned done; /* by this batch */
	bool is_last, shrinks;     /* shrinks: it gave pages back, there may be more */
};

static int keep_row(const struct prune_batch *b, const struct ledger_call *c)
{
	return b->keep ? b->keep->row(b->keep->ctx, c) : 0;
}

/* Rows into sums: taken from their hours, put to their days. */
static int gather_rows(struct prune_batch *b, struct ledger_db *db, struct tally *tally, int64_t until_ns)
{
	const struct db_value until[] = { DB_I(until_ns) };
	int r = db_start(db, DB_PRUNE_ROWS, until, 1);

	while (r == 0 && (r = db_next(db, DB_PRUNE_ROWS)) == 1) {
		struct ledger_call c;

		db_call_read(db, DB_PRUNE_ROWS, &c);
		r = keep_row(b, &c);
		if (r == 0)
			r = tally_call(tally, &c, -1);
		if (r == 0)
			r = tally_day(tally, &c);
		b->done.calls++;
		b->done.cost += c.cost;
	}
	db_end(db, DB_PRUNE_ROWS);
	if (r == 0 && b->keep)
		r = b->keep->sync(b->keep->ctx);
	return r;
}

static int move_rows(struct prune_batch *b, struct ledger_db *db, struct tally *tally, int64_t until_ns)
{
	const struct db_value until[] = { DB_I(until_ns) };
	int r = gather_rows(b, db, tally, until_ns);

	if (r == 0)
		r = db_run(db, DB_PRUNE_ALLOW, until, 1);
	if (r == 0)
		r = tally_write(tally, db);
	if (r == 0)
		r = db_run(db, DB_PRUNE_CALLS, until, 1);
	if (r == 0)
		r = db_run(db, DB_PRUNE_OVER, NULL, 0);
	const struct db_value record[] = { DB_I(b->before_s), DB_I(b->done.calls), DB_I(b->done.cost) };

	return r == 0 ? db_run(db, DB_PUT_PRUNE, record, 3) : r;
}

static int ask_i64(struct ledger_db *db, enum ledger_stmt s, const struct db_value *values, size_t n, int64_t *ret)
{
	int r = db_start(db, s, values, n);

	if (r == 0 && (r = db_next(db, s)) == 1)
		*ret = db_i64(db, s, 0);
	db_end(db, s);
	return r < 0 ? r : 0;
}

/* Files that schema 1 made keep their free pages for later rows. */
static int give_back(struct prune_batch *b, struct ledger_db *db)
{
	int64_t before = 0, after = 0;
	int r = ask_i64(db, DB_FREE_PAGES, NULL, 0, &before);

	if (r == 0)
		r = db_run(db, DB_VACUUM_SOME, NULL, 0);
	if (r == 0)
		r = ask_i64(db, DB_FREE_PAGES, NULL, 0, &after);
	b->shrinks = r == 0 && after > 0 && after < before;
	return r;
}

int prune_batch_write(struct prune_batch *b, struct ledger_db *db, struct tally *tally)
{
	const struct db_value values[] = { DB_I(b->before_s * LEDGER_NS_PER_S), DB_I(BATCH_ROWS) };
	int64_t last_ns = -1;
	int r = ask_i64(db, DB_PRUNE_UNTIL, values, 2, &last_ns);

	if (r < 0)
		return r;
	b->done = (struct ledger_pruned){ 0 };
	/* max() of nothing is NULL, which reads as 0; calls of the year 1970 are none. */
	b->is_last = last_ns <= 0;
	return b->is_last ? give_back(b, db) : move_rows(b, db, tally, last_ns + 1);
}

static void rest(void)
{
	const struct timespec moment = { .tv_nsec = PAUSE_NS };

	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
}

int ledger_prune(struct ledger *l, int64_t before_s, const struct ledger_keep *keep, struct ledger_pruned *ret, struct err *e)
{
	struct prune_batch b = { .before_s = before_s, .keep = keep };

	*ret = (struct ledger_pruned){ 0 };
	if (before_s < 0 || before_s % 86400 || before_s > INT64_MAX / LEDGER_NS_PER_S)
		return err_set(e, EINVAL, "ledger: %lld is not the beginning of a day (UTC)", (long long)before_s);
	do {
		int r = ledger_run_batch(l, &b);

		if (r < 0)
			return err_set(e, -r, "ledger: pruning stopped after %llu calls: %s; the sums are right, try again for the rest",
				       (unsigned long long)ret->calls, strerror(-r));
		ret->calls += b.done.calls;
		ret->cost += b.done.cost;
		rest();
	} while (!b.is_last || b.shrinks);
	return 0;
}
