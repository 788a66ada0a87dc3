// SPDX-License-Identifier: Apache-2.0
/*
 * ledger/db.h: one connection to the ledger's file, its statements by number. The inside of spend/ledger/; SQLite itself shows in
 * ledger.c only. A connection belongs to one thread at a time.
 */
#ifndef PURSE_SPEND_LEDGER_DB_H
#define PURSE_SPEND_LEDGER_DB_H

#include "base/err.h"
#include "spend/budget/budget.h"
#include "spend/ledger/ledger.h"
#include "spend/ledger/sums.h"

enum ledger_stmt {
	/* of the writer */
	DB_BEGIN,
	DB_COMMIT,
	DB_ROLLBACK,
	DB_PUT_CALL,
	DB_PUT_HOUR,
	DB_PUT_SEEN,
	DB_PUT_HOLD,
	DB_DROP_HOLD,
	DB_PUT_REFUSAL,
	DB_PUT_CHANGE,
	DB_PUT_ACCOUNT,
	DB_DROP_ACCOUNT,
	DB_PUT_PLACE,
	DB_PUT_AGENT,
	DB_DROP_AGENT,
	/* of pruning, by the writer */
	DB_PRUNE_UNTIL,
	DB_PRUNE_ALLOW,
	DB_PRUNE_ROWS,
	DB_PRUNE_CALLS,
	DB_PRUNE_HOURS,
	DB_PRUNE_OVER,
	DB_PUT_DAY,
	DB_PUT_PRUNE,
	DB_VACUUM_SOME,
	DB_FREE_PAGES,
	/* of readers */
	DB_BEGIN_VIEW,
	DB_END_VIEW,
	DB_TOUCH,
	DB_SPENT,
	DB_SPENT_RAGGED,
	DB_SPENT_MODELS,
	DB_HAS_CALL,
	DB_MAX_CALL,
	DB_NEWEST_START,
	DB_HOURS,
	DB_HOURS_OF,
	DB_CALLS_BETWEEN,
	DB_CALLS_OF_BETWEEN,
	DB_HOLDS,
	DB_PLACES,
	DB_ACCOUNTS,
	DB_AGENTS,
	DB_SEEN,
	DB_CALLS,
	DB_CALLS_OF_ACCOUNT,
	DB_CALLS_OF_AGENT,
	DB_REFUSALS,
	DB_REFUSALS_OF_AGENT,
	DB_CHANGES,
	DB_GROUPS,
	DB_GROUPS_OF_ACCOUNT,
	DB_GROUPS_OF_CALLS,
	DB_GROUPS_OF_CALLS_OF_ACCOUNT,
	DB_HAS_DAYS,
	DB_BILL,
	DB_PRUNED,
	DB_INTEGRITY,
	DB_ROWS_NOT_IN_HOURS,
	DB_HOURS_NOT_IN_ROWS,
	DB_ODD_ROW,
	DB_ODD_HOLD,
	DB_STMT_COUNT,
};
#define DB_FIRST_OF_READERS DB_BEGIN_VIEW

struct db_value {
	const char *text; /* NULL = integer */
	int64_t i; /* INT64_MIN = NULL */
};
#define DB_I(v) ((struct db_value){ .i = (int64_t)(v) })
#define DB_T(v) ((struct db_value){ .text = (v) })
/* "any" as a filter: NULL. */
#define DB_ANY ((struct db_value){ .i = INT64_MIN })
#define DB_T_OR_ANY(v) ((v) && *(v) ? DB_T(v) : DB_ANY)
#define DB_I_OR_ANY(v, is_any) ((is_any) ? DB_ANY : DB_I(v))

struct ledger_db;

/* CREATE makes file and schema where there are none; WRITE wants both to be there. */
enum db_mode { DB_CREATE, DB_WRITE, DB_READ };
/* How much is looked at before the file is trusted. */
enum db_trust { DB_CHECK_ALL, DB_CHECK_SOME, DB_CHECK_HEADER };
#define DB_OPEN_CHECK_BYTES (INT64_C(64) << 20)
int db_open(const char *path, enum db_mode mode, enum db_trust trust, struct ledger_db **ret, struct err *e);
void db_close(struct ledger_db *db); /* NULL ok */
const char *db_error(struct ledger_db *db); /* text of the last failure */

/* To its end, rows ignored. 0; -EBUSY, -ENOSPC, -EIO, -EUCLEAN (damaged) … */
int db_run(struct ledger_db *db, enum ledger_stmt s, const struct db_value *values, size_t n);
int db_changed(struct ledger_db *db); /* rows that the last db_run put in */
/* Row by row: start, then next until 0 (or < 0), then end. */
int db_start(struct ledger_db *db, enum ledger_stmt s, const struct db_value *values, size_t n);
int db_next(struct ledger_db *db, enum ledger_stmt s); /* 1 = a row */
void db_end(struct ledger_db *db, enum ledger_stmt s);
int64_t db_i64(struct ledger_db *db, enum ledger_stmt s, int column);
void db_text(struct ledger_db *db, enum ledger_stmt s, int column, char *ret, size_t size); /* cut to size, ends in NUL */
const char *db_chars(struct ledger_db *db, enum ledger_stmt s, int column); /* until the next step */
/* Asked now and then while a statement runs; true ends it with -EINTR. NULL = nobody. */
void db_on_progress(struct ledger_db *db, bool (*stop)(void *ctx), void *ctx);
/* quick_check. 0, -EUCLEAN and what is wrong, -EINTR. */
int db_check_pages(struct ledger_db *db, const char *path, struct err *e);

#define DB_USAGE LEDGER_USAGE
#define DB_USAGE_COLUMNS LEDGER_USAGE_KINDS

/* Rows of the calls table, in the column order of ledger/statements.c. */
#define DB_CALL_COLUMNS (22 + DB_USAGE_COLUMNS)
void db_call_values(const struct ledger_call *c, struct db_value *ret);
void db_call_read(struct ledger_db *db, enum ledger_stmt s, struct ledger_call *ret);
/* The sums at the end of rows of hours and days. */
#define DB_SUM_COLUMNS (6 + DB_USAGE_COLUMNS)
void db_sum_values(const struct ledger_sum *s, struct db_value *ret);
void db_sum_read(struct ledger_db *db, enum ledger_stmt s, int first, struct ledger_sum *ret);
/* Holds written ahead. */
#define DB_HOLD_COLUMNS 11
void db_hold_values(const struct ledger_hold *h, struct db_value *ret);
void db_hold_read(struct ledger_db *db, enum ledger_stmt s, struct ledger_hold *ret);

/* The account and agent rows. */
#define LEDGER_NS_PER_S INT64_C(1000000000)
#define LEDGER_HOUR_NS (3600 * LEDGER_NS_PER_S)
#define LEDGER_DAY_NS (24 * LEDGER_HOUR_NS)

/* ---- between ledger/writer.c, which owns struct ledger, and the others */
struct prune_batch;
int ledger_run_batch(struct ledger *l, struct prune_batch *b); /* waits until it is durable */
const char *ledger_path(const struct ledger *l);
/* A reading connection, kept between uses, one user at a time. NULL: cannot be opened (e says why). */
struct ledger_db *ledger_reader_lock(struct ledger *l, struct err *e);
void ledger_reader_unlock(struct ledger *l, bool broken);

/*
 * For the simulator (tests/sim), which has no threads: a ledger without a writer. Nothing is written until ledger_step, except by those that
 * wait until they are durable: they make the step themselves. One step is one attempt: 0 (also if nothing was queued), or why it failed.
 */
int ledger_open_stepped(const char *path, const struct ledger_calls *calls, void *ctx, struct ledger **ret, struct err *e);
int ledger_step(struct ledger *l);

#endif
