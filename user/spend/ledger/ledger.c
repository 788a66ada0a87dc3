// SPDX-License-Identifier: Apache-2.0
/*
 * ledger.c: the file of the ledger: opening, checking, migrating, running a statement. SQLite shows here and nowhere else. Its texts, the
 * schema and its invariants stand in ledger/schema.c and ledger/statements.c; who writes when is ledger/writer.c; what is read for whom is
 * ledger/read.c and ledger/sums.c.
 *
 * WAL with synchronous=FULL: a row is durable when COMMIT returns, also through a power cut. user_version is the schema's version; the
 * application_id says that the file is ours.
 */
#include "spend/ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "spend/ledger/db.h"
#include "spend/ledger/schema.h"

#define BUSY_MS 2000
#define PROGRESS_STEPS 20000 /* of SQLite's machine: some milliseconds */

struct ledger_db {
	sqlite3 *sql;
	sqlite3_stmt *stmts[DB_STMT_COUNT];
	bool is_writer;
	char error[256];
	bool (*stop)(void *ctx);
	void *stop_ctx;
};

/* ---- errors */

static int errno_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CANTOPEN:
		return -ENOENT;
	case SQLITE_INTERRUPT:
		return -EINTR;
	default:
		return -EIO;
	}
}

static int failed(struct ledger_db *db, int code)
{
	if (errno_of(code) < 0)
		(void)snprintf(db->error, sizeof(db->error), "%s (SQLite %d)", db->sql ? sqlite3_errmsg(db->sql) : sqlite3_errstr(code),
			       code);
	return errno_of(code);
}

const char *db_error(struct ledger_db *db)
{
	return db->error;
}

/* ---- running statements */

/* A reader asks for two or three of its statements: each is prepared when it is asked for. */
static int prepare(struct ledger_db *db, enum ledger_stmt s)
{
	ASSERT(db->is_writer == (s < DB_FIRST_OF_READERS));
	return sqlite3_prepare_v3(db->sql, ledger_statements[s], -1, SQLITE_PREPARE_PERSISTENT, &db->stmts[s], NULL);
}

static int bind(struct ledger_db *db, enum ledger_stmt s, const struct db_value *values, size_t n)
{
	int code = db->stmts[s] ? SQLITE_OK : prepare(db, s);
	sqlite3_stmt *st = db->stmts[s];

	for (size_t i = 0; code == SQLITE_OK && i < n; i++) {
		if (values[i].text)
			code = sqlite3_bind_text(st, (int)i + 1, values[i].text, -1, SQLITE_STATIC);
		else if (values[i].i == INT64_MIN)
			code = sqlite3_bind_null(st, (int)i + 1);
		else
			code = sqlite3_bind_int64(st, (int)i + 1, values[i].i);
	}
	return failed(db, code);
}

int db_start(struct ledger_db *db, enum ledger_stmt s, const struct db_value *values, size_t n)
{
	int r = bind(db, s, values, n);

	if (r < 0)
		db_end(db, s);
	return r;
}

int db_next(struct ledger_db *db, enum ledger_stmt s)
{
	int code = sqlite3_step(db->stmts[s]);

	return code == SQLITE_ROW ? 1 : failed(db, code);
}

void db_end(struct ledger_db *db, enum ledger_stmt s)
{
	if (!db->stmts[s])
		return; /* never asked */
	(void)sqlite3_reset(db->stmts[s]);
	(void)sqlite3_clear_bindings(db->stmts[s]);
}

int db_run(struct ledger_db *db, enum ledger_stmt s, const struct db_value *values, size_t n)
{
	int r = db_start(db, s, values, n);

	if (r < 0)
		return r;
	do
		r = db_next(db, s);
	while (r == 1);
	db_end(db, s);
	return r;
}

int db_changed(struct ledger_db *db)
{
	return sqlite3_changes(db->sql);
}

int64_t db_i64(struct ledger_db *db, enum ledger_stmt s, int column)
{
	return sqlite3_column_int64(db->stmts[s], column);
}

void db_text(struct ledger_db *db, enum ledger_stmt s, int column, char *ret, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(db->stmts[s], column);

	(void)str_copy(ret, size, str_of(text ? text : ""));
}

const char *db_chars(struct ledger_db *db, enum ledger_stmt s, int column)
{
	const char *text = (const char *)sqlite3_column_text(db->stmts[s], column);

	return text ? text : "";
}

static int progress(void *arg)
{
	struct ledger_db *db = arg;

	return db->stop(db->stop_ctx);
}

void db_on_progress(struct ledger_db *db, bool (*stop)(void *ctx), void *ctx)
{
	db->stop = stop;
	db->stop_ctx = ctx;
	sqlite3_progress_handler(db->sql, stop ? PROGRESS_STEPS : 0, stop ? progress : NULL, db);
}

/* ---- opening: places and modes of files */

static int make_directory(const char *dir, struct err *e)
{
	if (mkdir(dir, 0700) == 0 || errno == EEXIST)
		return 0;
	if (errno == ENOENT) {
		CLEANUP_FREE char *up = strdup(dir);
		char *slash = up ? strrchr(up, '/') : NULL;

		if (slash && slash != up) {
			*slash = '\0';
			int r = make_directory(up, e);
			if (r < 0)
				return r;
			if (mkdir(dir, 0700) == 0 || errno == EEXIST)
				return 0;
		}
	}
	return err_set(e, errno, "ledger: directory %s cannot be made: %s; make it, owned by the daemon's user, mode 0700", dir,
		       strerror(errno));
}

/* A file whose name is not on the disk is gone after a power cut, whatever was synced into it. */
static void sync_directory(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fsync(fd);
	(void)close(fd);
}

/* SQLite gives -wal and -shm the mode of the database, so it is made first, closed to others. */
static int make_file(const char *path, struct err *e)
{
	CLEANUP_FREE char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	struct stat st;

	if (slash && slash != dir) {
		*slash = '\0';
		int r = make_directory(dir, e);
		if (r < 0)
			return r;
	}
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0) {
		(void)close(fd);
		sync_directory(dir && slash && slash != dir ? dir : slash ? "/" : ".");
		return 0;
	}
	if (errno != EEXIST)
		return err_set(e, errno, "ledger %s: cannot be made: %s; see to the directory's owner, mode and free space", path,
			       strerror(errno));
	/* Not opened: closing any descriptor of it would drop the locks that other connections of this process hold. */
	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "ledger %s: is not a regular file; move it away or set state_dir to another place", path);
	if ((st.st_mode & 077) && chmod(path, 0600) < 0)
		return err_set(e, errno, "ledger %s: mode is %03o and cannot be set to 600: %s", path, st.st_mode & 0777, strerror(errno));
	return 0;
}

/* ---- opening: the database */

static int pragma_i64(struct ledger_db *db, const char *text, int64_t *ret)
{
	sqlite3_stmt *st = NULL;
	int code = sqlite3_prepare_v2(db->sql, text, -1, &st, NULL);

	if (code == SQLITE_OK && (code = sqlite3_step(st)) == SQLITE_ROW)
		*ret = sqlite3_column_int64(st, 0);
	int r = failed(db, code);

	(void)sqlite3_finalize(st);
	return r;
}

static int damaged(const char *path, const char *what, struct err *e)
{
	return err_set(e, EUCLEAN,
		       "ledger %s: is damaged: %s. Nothing was changed. Stop purse and either put back a backup of it, or recover what can "
		       "be read (sqlite3 %s .recover | sqlite3 new.db; then `purse audit`), or move it away together with its -wal and "
		       "-shm: spending then starts again at zero", path, what, path);
}

static int open_failed(struct ledger_db *db, const char *path, int r, struct err *e)
{
	if (r == -EUCLEAN)
		return damaged(path, db->error, e);
	if (r == -EBUSY)
		return err_set(e, EBUSY, "ledger %s: another process holds its lock (%s); find it with: fuser %s", path, db->error, path);
	if (r == -ENOSPC)
		return err_set(e, ENOSPC, "ledger %s: the disk is full; free some space, purse goes on by itself", path);
	return err_set(e, -r, "ledger %s: cannot be opened: %s; see to the file's owner and mode", path, db->error);
}

int db_check_pages(struct ledger_db *db, const char *path, struct err *e)
{
	sqlite3_stmt *st = NULL;
	char what[160] = "";
	int code = sqlite3_prepare_v2(db->sql, "PRAGMA quick_check(1)", -1, &st, NULL);

	if (code == SQLITE_OK && (code = sqlite3_step(st)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(st, 0);

		(void)snprintf(what, sizeof(what), "quick_check says \"%s\"", text ? text : "?");
		for (char *p = what; *p; p++)
			*p = *p == '\n' ? ' ' : *p;
	}
	bool is_fine = strcmp(what, "quick_check says \"ok\"") == 0;
	int r = failed(db, code);

	(void)sqlite3_finalize(st);
	if (r < 0)
		return open_failed(db, path, r, e);
	return is_fine ? 0 : damaged(path, what, e);
}

/*
 * Agents are denied while a daemon starts, and quick_check reads some 50 MB a second: a large ledger is read afterwards (ledger/writer.c).
 * A handle that failed (DB_CHECK_ALL) is read to the end whatever it takes.
 */
static int check_some_pages(struct ledger_db *db, const char *path, struct err *e)
{
	int64_t bytes = 0;
	int r = pragma_i64(db, "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()", &bytes);

	if (r < 0)
		return open_failed(db, path, r, e);
	return bytes <= DB_OPEN_CHECK_BYTES ? db_check_pages(db, path, e) : 0;
}

/* Does the old file add up? What is made from it must not hide that it does not. */
static int doubt(struct ledger_db *db, const char *path, int64_t version, struct err *e)
{
	const char *question = ledger_doubts[version];
	sqlite3_stmt *st = NULL;
	char what[300] = "";

	if (!question)
		return 0;
	int code = sqlite3_prepare_v2(db->sql, question, -1, &st, NULL);

	if (code == SQLITE_OK && (code = sqlite3_step(st)) == SQLITE_ROW)
		(void)snprintf(what, sizeof(what), "%s", (const char *)sqlite3_column_text(st, 0));
	int r = failed(db, code);

	(void)sqlite3_finalize(st);
	if (r < 0)
		return open_failed(db, path, r, e);
	return what[0] ? damaged(path, what, e) : 0;
}

/* One transaction: after a crash the file is of the one version or of the other. */
static int migrate_one(struct ledger_db *db, const char *path, int64_t from, struct err *e)
{
	int r = failed(db, sqlite3_exec(db->sql, "BEGIN IMMEDIATE", NULL, NULL, NULL));

	if (r < 0)
		return open_failed(db, path, r, e);
	r = doubt(db, path, from, e);
	if (r < 0) {
		(void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
		return r;
	}
	int code = sqlite3_exec(db->sql, ledger_migrations[from], NULL, NULL, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_exec(db->sql, "COMMIT", NULL, NULL, NULL);
	r = failed(db, code);
	if (r == 0)
		return 0;
	(void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
	return open_failed(db, path, r, e);
}

static int migrate(struct ledger_db *db, const char *path, int64_t from, struct err *e)
{
	/* Every page is copied or counted on: a large file is read whole here, once. */
	int r = from > 0 ? db_check_pages(db, path, e) : 0;

	for (int64_t v = from; r == 0 && v < LEDGER_VERSION; v++) {
		if (from > 0)
			log_info("ledger", "%s: from schema %lld to %lld; this reads all of it", path, (long long)v, (long long)v + 1);
		r = migrate_one(db, path, v, e);
		if (r < 0)
			(void)err_prefix(e, r, "taking it from schema %lld to %lld", (long long)v, (long long)v + 1);
	}
	return r;
}

static int check_version(struct ledger_db *db, const char *path, enum db_mode mode, struct err *e)
{
	int64_t version = 0, application = 0, tables = 0;
	int r = pragma_i64(db, "PRAGMA user_version", &version);

	if (r == 0)
		r = pragma_i64(db, "PRAGMA application_id", &application);
	if (r == 0)
		r = pragma_i64(db, "SELECT count(*) FROM sqlite_schema", &tables);
	if (r < 0)
		return open_failed(db, path, r, e);
	if (tables > 0 && application != LEDGER_APPLICATION_ID)
		return err_set(e, EINVAL, "ledger %s: is a database of another program; move it away or set state_dir to another place", path);
	if (version > LEDGER_VERSION)
		return err_set(e, EPROTO, "ledger %s: made by a newer purse (schema %lld, this one knows %d); start that one, or put back the "
			       "backup from before the upgrade", path, (long long)version, LEDGER_VERSION);
	if (version == LEDGER_VERSION)
		return 0;
	if (tables == 0 && mode != DB_CREATE)
		return damaged(path, "there is nothing in it", e);
	if (mode == DB_READ)
		return err_set(e, EPROTO, "ledger %s: has the older schema %lld; start pursed once, it brings it to %d", path,
			       (long long)version, LEDGER_VERSION);
	return migrate(db, path, version, e);
}

/* The writer's all at once: what fails must not fail in the middle of a group. */
static int prepare_writer(struct ledger_db *db, const char *path, struct err *e)
{
	for (int s = 0; s < DB_FIRST_OF_READERS; s++) {
		int code = prepare(db, (enum ledger_stmt)s);

		if (code != SQLITE_OK)
			return open_failed(db, path, failed(db, code), e);
	}
	return 0;
}

/*
 * What a failed sync did not write stays readable in the page cache, so the recovery of the next opening takes it for written; rows that are
 * appended behind it would be acknowledged, and go with it in a power cut. Nothing is appended to a log that was found: what it holds goes
 * into the database first. A reader that keeps the log open stops this; only the start goes on then.
 */
static int empty_log(struct ledger_db *db, const char *path, enum db_mode mode, struct err *e)
{
	int64_t is_busy = 0;
	int r = pragma_i64(db, "PRAGMA wal_checkpoint(TRUNCATE)", &is_busy);

	if (r == 0 && is_busy && mode != DB_CREATE)
		r = -EBUSY;
	if (r == 0 && is_busy)
		log_warn("ledger", "%s: somebody reads it for long, so its log goes on as it was found", path);
	return r < 0 ? open_failed(db, path, r, e) : 0;
}

/* Counts only where there is no page yet; anywhere else it would write to a file that nobody has looked at. */
static int prepare_empty(struct ledger_db *db)
{
	int64_t pages = 0;
	int r = pragma_i64(db, "PRAGMA page_count", &pages);

	return r < 0 || pages > 0 ? r : failed(db, sqlite3_exec(db->sql, "PRAGMA auto_vacuum = INCREMENTAL", NULL, NULL, NULL));
}

static int set_up(struct ledger_db *db, const char *path, enum db_mode mode, enum db_trust trust, struct err *e)
{
	/* 16 MiB of log before it is copied back; it is cut to 64 MiB when a reader kept it long. */
	static const char writing[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4096;"
				      "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;";
	static const char reading[] = "PRAGMA query_only = 1; PRAGMA cache_size = -2048; PRAGMA temp_store = MEMORY;";

	(void)sqlite3_extended_result_codes(db->sql, 1);
	(void)sqlite3_busy_timeout(db->sql, BUSY_MS);
	int r = mode == DB_CREATE ? prepare_empty(db) : 0;

	if (r == 0)
		r = failed(db, sqlite3_exec(db->sql, mode == DB_READ ? reading : writing, NULL, NULL, NULL));

	if (r < 0)
		return open_failed(db, path, r, e);
	if (trust != DB_CHECK_HEADER)
		r = trust == DB_CHECK_ALL ? db_check_pages(db, path, e) : check_some_pages(db, path, e);
	if (r == 0)
		r = check_version(db, path, mode, e);
	if (r == 0 && mode != DB_READ)
		r = empty_log(db, path, mode, e);
	return r < 0 || mode == DB_READ ? r : prepare_writer(db, path, e);
}

int db_open(const char *path, enum db_mode mode, enum db_trust trust, struct ledger_db **ret, struct err *e)
{
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | (mode == DB_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
	int r = mode == DB_CREATE ? make_file(path, e) : 0;

	if (r < 0)
		return r;
	struct ledger_db *db = calloc(1, sizeof(*db));

	if (!db)
		return err_set(e, ENOMEM, "ledger %s: out of memory", path);
	db->is_writer = mode != DB_READ;
	r = failed(db, sqlite3_open_v2(path, &db->sql, flags, NULL));
	r = r < 0 ? open_failed(db, path, r, e) : set_up(db, path, mode, trust, e);
	if (r < 0) {
		db_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

void db_close(struct ledger_db *db)
{
	if (!db)
		return;
	for (int s = 0; s < DB_STMT_COUNT; s++)
		(void)sqlite3_finalize(db->stmts[s]);
	(void)sqlite3_close(db->sql);
	free(db);
}
