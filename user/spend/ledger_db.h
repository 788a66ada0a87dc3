// SPDX-License-Identifier: Apache-2.0
/*
 * ledger_db.h: one connection to the ledger's file, its statements by number. The inside of spend/ledger*.c; SQLite itself shows in
 * ledger.c only. A connection belongs to one thread at a time.
 */
#ifndef PURSE_SPEND_LEDGER_DB_H
#define PURSE_SPEND_LEDGER_DB_H

#include "base/err.h"
#include "spend/budget.h"
#include "spend/ledger.h"

enum ledger_stmt {
	/* of the writer */
	DB_BEGIN,
	DB_COMMIT,
	DB_ROLLBACK,
	DB_PUT_CALL,
	DB_PUT_HOUR,
	DB_PUT_REFUSAL,
	DB_PUT_CHANGE,
	DB_PUT_ACCOUNT,
	DB_DROP_ACCOUNT,
	DB_PUT_PLACE,
	DB_PUT_AGENT,
	DB_DROP_AGENT,
	/* of readers */
	DB_BEGIN_VIEW,
	DB_END_VIEW,
	DB_TOUCH,
	DB_SPENT,
	DB_HAS_CALL,
	DB_MAX_CALL,
	DB_NEWEST_START,
	DB_HOURS,
	DB_PLACES,
	DB_ACCOUNTS,
	DB_AGENTS,
	DB_CALLS,
	DB_CALLS_OF_AGENT,
	DB_REFUSALS,
	DB_REFUSALS_OF_AGENT,
	DB_CHANGES,
	DB_INTEGRITY,
	DB_ROWS_NOT_IN_HOURS,
	DB_HOURS_NOT_IN_ROWS,
	DB_ODD_ROW,
	DB_STMT_COUNT,
};
#define DB_FIRST_OF_READERS DB_BEGIN_VIEW

struct db_value {
	const char *text; /* NULL = integer */
	int64_t i;
};
#define DB_I(v) ((struct db_value){ .i = (int64_t)(v) })
#define DB_T(v) ((struct db_value){ .text = (v) })
/* "any" as a filter: NULL. */
#define DB_T_OR_ANY(v) ((v) && *(v) ? DB_T(v) : (struct db_value){ .i = INT64_MIN })

struct ledger_db;

/* CREATE makes file and schema where there are none; WRITE wants both to be there. */
enum db_mode { DB_CREATE, DB_WRITE, DB_READ };
/* How much is looked at before the file is trusted. */
enum db_trust { DB_CHECK_ALL, DB_CHECK_SOME, DB_CHECK_HEADER };
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

/* Rows of the calls table, in the column order of DB_PUT_CALL and DB_CALLS. */
#define DB_CALL_COLUMNS 31
void db_call_values(const struct ledger_call *c, struct db_value *ret);
void db_call_read(struct ledger_db *db, enum ledger_stmt s, struct ledger_call *ret);

/* The account and agent rows. */
#define LEDGER_NS_PER_S INT64_C(1000000000)
#define LEDGER_HOUR_NS (3600 * LEDGER_NS_PER_S)

/* ---- between ledger_writer.c, which owns struct ledger, and ledger_read.c */
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
