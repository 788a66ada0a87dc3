// SPDX-License-Identifier: Apache-2.0
/*
 * ledger.c: the file of the ledger: schema, statements, opening. SQLite shows here and nowhere else. Who writes when is
 * ledger_writer.c; what is read for whom is ledger_read.c.
 *
 *   calls     one row per settled call. call_id is the key: a row that is offered again is not written again.
 *   hours     per account and hour (of the call's start): sum of cost, number of calls. A balance is a short sum over it.
 *   refusals  what purse said no to, and why.
 *   changes   who changed what: the audit trail.
 *   accounts, agents   what was made at run time, so that it survives a restart.
 *   places    account -> the account above it, also of accounts that are gone.
 *   meta      made_by, made_at.
 *
 * Invariants, checked by ledger_check:
 *   - hours(account, h).cost and .calls = sum and count of calls of that account with started_ns in [h, h + 1 hour)
 *   - 0 <= cost, 0 <= started_ns
 * calls, refusals and changes are append-only: triggers refuse UPDATE and DELETE.
 *
 * WAL with synchronous=FULL: a row is durable when COMMIT returns, also through a power cut. user_version is the schema's version; the
 * application_id says that the file is ours.
 */
#include "spend/ledger.h"

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
#include "spend/ledger_db.h"

#define LEDGER_VERSION 1
#define LEDGER_APPLICATION_ID 0x70757273 /* "purs" */
#define BUSY_MS 2000
#define OPEN_CHECK_BYTES (INT64_C(64) << 20)

static const char schema_1[] =
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE calls("
	" call_id INTEGER PRIMARY KEY, account TEXT NOT NULL, agent TEXT NOT NULL, comm TEXT NOT NULL, pid INTEGER NOT NULL,"
	" cgroup_id INTEGER NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, served_model TEXT NOT NULL,"
	" endpoint INTEGER NOT NULL, tier INTEGER NOT NULL,"
	" input INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write_5m INTEGER NOT NULL,"
	" cache_write_1h INTEGER NOT NULL, output INTEGER NOT NULL, reasoning INTEGER NOT NULL,"
	" audio_input INTEGER NOT NULL, audio_output INTEGER NOT NULL, web_searches INTEGER NOT NULL,"
	" usage_known INTEGER NOT NULL, held_nanousd INTEGER NOT NULL, cost_nanousd INTEGER NOT NULL,"
	" estimated INTEGER NOT NULL, price TEXT NOT NULL, status INTEGER NOT NULL, end TEXT NOT NULL,"
	" started_ns INTEGER NOT NULL, first_byte_us INTEGER NOT NULL, total_us INTEGER NOT NULL,"
	" request_id TEXT NOT NULL) STRICT;"
	"CREATE INDEX calls_by_agent ON calls(agent, started_ns);"
	"CREATE INDEX calls_by_time ON calls(started_ns);"
	"CREATE TABLE hours(account TEXT NOT NULL, hour_s INTEGER NOT NULL, cost_nanousd INTEGER NOT NULL,"
	" calls INTEGER NOT NULL, PRIMARY KEY(account, hour_s)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE refusals("
	" id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, agent TEXT NOT NULL, provider TEXT NOT NULL,"
	" model TEXT NOT NULL, reason INTEGER NOT NULL, account TEXT NOT NULL, window INTEGER NOT NULL,"
	" limit_nanousd INTEGER NOT NULL, spent_nanousd INTEGER NOT NULL, held_nanousd INTEGER NOT NULL,"
	" needed_nanousd INTEGER NOT NULL, reset_s INTEGER NOT NULL, detail TEXT NOT NULL) STRICT;"
	"CREATE INDEX refusals_by_agent ON refusals(agent, at_ns);"
	"CREATE INDEX refusals_by_time ON refusals(at_ns);"
	"CREATE TABLE changes(id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL) STRICT;"
	"CREATE TABLE accounts(name TEXT PRIMARY KEY, parent TEXT NOT NULL, hour INTEGER NOT NULL, day INTEGER NOT NULL,"
	" week INTEGER NOT NULL, month INTEGER NOT NULL, total INTEGER NOT NULL, floor_nanousd INTEGER NOT NULL,"
	" paused INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE agents(name TEXT PRIMARY KEY, account TEXT NOT NULL, cgroup TEXT NOT NULL, flags INTEGER NOT NULL)"
	" STRICT, WITHOUT ROWID;"
	"CREATE TABLE places(account TEXT PRIMARY KEY, parent TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TRIGGER calls_stay BEFORE UPDATE ON calls BEGIN SELECT RAISE(ABORT, 'calls is append-only'); END;"
	"CREATE TRIGGER calls_stay_put BEFORE DELETE ON calls BEGIN SELECT RAISE(ABORT, 'calls is append-only'); END;"
	"CREATE TRIGGER refusals_stay BEFORE UPDATE ON refusals BEGIN SELECT RAISE(ABORT, 'refusals is append-only'); END;"
	"CREATE TRIGGER refusals_stay_put BEFORE DELETE ON refusals BEGIN SELECT RAISE(ABORT, 'refusals is append-only'); END;"
	"CREATE TRIGGER changes_stay BEFORE UPDATE ON changes BEGIN SELECT RAISE(ABORT, 'changes is append-only'); END;"
	"CREATE TRIGGER changes_stay_put BEFORE DELETE ON changes BEGIN SELECT RAISE(ABORT, 'changes is append-only'); END;"
	"INSERT INTO meta VALUES('made_by', 'purse'), ('made_at', strftime('%Y-%m-%dT%H:%M:%SZ', 'now'));"
	"PRAGMA application_id = 1886745203;"
	"PRAGMA user_version = 1;";
_Static_assert(LEDGER_APPLICATION_ID == 1886745203, "the schema's application_id");

/* From version i to i + 1. A new version adds a row; each runs in one transaction that also sets user_version. */
static const char *const migrations[LEDGER_VERSION] = {
	[0] = schema_1,
};

#define CALL_COLUMNS \
	"call_id, account, agent, comm, pid, cgroup_id, provider, model, served_model, endpoint, tier, input, cache_read," \
	" cache_write_5m, cache_write_1h, output, reasoning, audio_input, audio_output, web_searches, usage_known," \
	" held_nanousd, cost_nanousd, estimated, price, status, end, started_ns, first_byte_us, total_us, request_id"
#define CALL_FILTER \
	" started_ns >= ?1 AND started_ns < ?2 AND (?3 IS NULL OR provider = ?3) AND" \
	" (?4 IS NULL OR model = ?4 OR served_model = ?4)"
#define REFUSAL_COLUMNS \
	"at_ns, agent, provider, model, reason, account, window, limit_nanousd, spent_nanousd, held_nanousd," \
	" needed_nanousd, reset_s, detail"
#define REFUSAL_FILTER " at_ns >= ?1 AND at_ns < ?2 AND (?3 IS NULL OR provider = ?3) AND (?4 IS NULL OR model = ?4)"
#define SUMS_OF_ROWS \
	"SELECT account, started_ns / 3600000000000 * 3600 AS hour_s, sum(cost_nanousd) AS cost, count(*) AS n" \
	" FROM calls GROUP BY 1, 2"

static const char *const statements[DB_STMT_COUNT] = {
	[DB_BEGIN] = "BEGIN IMMEDIATE",
	[DB_COMMIT] = "COMMIT",
	[DB_ROLLBACK] = "ROLLBACK",
	[DB_PUT_CALL] = "INSERT INTO calls(" CALL_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
			" ON CONFLICT(call_id) DO NOTHING",
	[DB_PUT_HOUR] = "INSERT INTO hours VALUES(?1, ?2, ?3, 1) ON CONFLICT DO UPDATE"
			" SET cost_nanousd = cost_nanousd + excluded.cost_nanousd, calls = calls + 1",
	[DB_PUT_REFUSAL] = "INSERT INTO refusals(" REFUSAL_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[DB_PUT_CHANGE] = "INSERT INTO changes(at_ns, who, what) VALUES(?, ?, ?)",
	[DB_PUT_ACCOUNT] = "INSERT OR REPLACE INTO accounts VALUES(?,?,?,?,?,?,?,?,?)",
	[DB_DROP_ACCOUNT] = "DELETE FROM accounts WHERE name = ?",
	[DB_PUT_PLACE] = "INSERT OR REPLACE INTO places VALUES(?, ?)",
	[DB_PUT_AGENT] = "INSERT OR REPLACE INTO agents VALUES(?,?,?,?)",
	[DB_DROP_AGENT] = "DELETE FROM agents WHERE name = ?",
	[DB_BEGIN_VIEW] = "BEGIN",
	[DB_END_VIEW] = "COMMIT",
	[DB_TOUCH] = "SELECT 1 FROM meta LIMIT 1",
	[DB_SPENT] = "SELECT coalesce(sum(cost_nanousd), 0) FROM hours WHERE account = ?1 AND hour_s >= ?2 AND hour_s < ?3",
	[DB_HAS_CALL] = "SELECT 1 FROM calls WHERE call_id = ?",
	[DB_MAX_CALL] = "SELECT coalesce(max(call_id), 0) FROM calls",
	[DB_NEWEST_START] = "SELECT coalesce(max(started_ns), 0) FROM calls",
	[DB_HOURS] = "SELECT account, hour_s, cost_nanousd, calls FROM hours ORDER BY account, hour_s",
	[DB_PLACES] = "SELECT account, parent FROM places",
	[DB_ACCOUNTS] = "SELECT name, parent, hour, day, week, month, total, floor_nanousd, paused FROM accounts ORDER BY name",
	[DB_AGENTS] = "SELECT name, account, cgroup, flags FROM agents ORDER BY name",
	[DB_CALLS] = "SELECT " CALL_COLUMNS " FROM calls WHERE" CALL_FILTER " ORDER BY started_ns DESC, call_id DESC LIMIT ?5",
	[DB_CALLS_OF_AGENT] = "SELECT " CALL_COLUMNS " FROM calls INDEXED BY calls_by_agent WHERE agent = ?6 AND" CALL_FILTER
			      " ORDER BY started_ns DESC, call_id DESC LIMIT ?5",
	[DB_REFUSALS] = "SELECT " REFUSAL_COLUMNS " FROM refusals WHERE" REFUSAL_FILTER " ORDER BY at_ns DESC, id DESC LIMIT ?5",
	[DB_REFUSALS_OF_AGENT] = "SELECT " REFUSAL_COLUMNS " FROM refusals WHERE agent = ?6 AND" REFUSAL_FILTER
				 " ORDER BY at_ns DESC, id DESC LIMIT ?5",
	[DB_CHANGES] = "SELECT at_ns, who, what FROM changes WHERE at_ns >= ?1 AND at_ns < ?2 ORDER BY id DESC LIMIT ?5",
	[DB_INTEGRITY] = "PRAGMA integrity_check(1)",
	[DB_ROWS_NOT_IN_HOURS] = "SELECT r.account, r.hour_s, r.cost, r.n, coalesce(h.cost_nanousd, 0), coalesce(h.calls, 0) FROM ("
				 SUMS_OF_ROWS ") r LEFT JOIN hours h ON h.account = r.account AND h.hour_s = r.hour_s"
				 " WHERE h.cost_nanousd IS NOT r.cost OR h.calls IS NOT r.n LIMIT 1",
	[DB_HOURS_NOT_IN_ROWS] = "SELECT h.account, h.hour_s, 0, 0, h.cost_nanousd, h.calls FROM hours h LEFT JOIN ("
				 SUMS_OF_ROWS ") r ON r.account = h.account AND r.hour_s = h.hour_s WHERE r.account IS NULL LIMIT 1",
	[DB_ODD_ROW] = "SELECT call_id, cost_nanousd, started_ns FROM calls WHERE cost_nanousd < 0 OR started_ns < 0 LIMIT 1",
};

struct ledger_db {
	sqlite3 *sql;
	sqlite3_stmt *stmts[DB_STMT_COUNT];
	char error[256];
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

static int bind(struct ledger_db *db, enum ledger_stmt s, const struct db_value *values, size_t n)
{
	sqlite3_stmt *st = db->stmts[s];
	int code = SQLITE_OK;

	ASSERT(st);
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

/* ---- the columns of a call */

void db_call_values(const struct ledger_call *c, struct db_value *ret)
{
	const struct usage *u = &c->usage;
	const struct db_value values[DB_CALL_COLUMNS] = {
		DB_I(c->call_id), DB_T(c->account), DB_T(c->agent), DB_T(c->comm), DB_I(c->pid), DB_I(c->cgroup_id),
		DB_T(c->provider), DB_T(c->model), DB_T(c->served_model), DB_I(c->endpoint), DB_I(c->tier), DB_I(u->input),
		DB_I(u->cache_read), DB_I(u->cache_write_5m), DB_I(u->cache_write_1h), DB_I(u->output), DB_I(u->reasoning),
		DB_I(u->audio_input), DB_I(u->audio_output), DB_I(u->web_searches), DB_I(c->usage_known), DB_I(c->held),
		DB_I(c->cost), DB_I(c->estimated), DB_T(c->price), DB_I(c->status), DB_T(c->end), DB_I(c->started_ns),
		DB_I(c->first_byte_us), DB_I(c->total_us), DB_T(c->request_id),
	};

	memcpy(ret, values, sizeof(values));
}

void db_call_read(struct ledger_db *db, enum ledger_stmt s, struct ledger_call *c)
{
	int i = 0;
#define TEXT(field) db_text(db, s, i++, c->field, sizeof(c->field))
#define INT(field) (c->field = (__typeof__(c->field))db_i64(db, s, i++))
	INT(call_id);
	TEXT(account);
	TEXT(agent);
	TEXT(comm);
	INT(pid);
	INT(cgroup_id);
	TEXT(provider);
	TEXT(model);
	TEXT(served_model);
	INT(endpoint);
	INT(tier);
	INT(usage.input);
	INT(usage.cache_read);
	INT(usage.cache_write_5m);
	INT(usage.cache_write_1h);
	INT(usage.output);
	INT(usage.reasoning);
	INT(usage.audio_input);
	INT(usage.audio_output);
	INT(usage.web_searches);
	INT(usage_known);
	INT(held);
	INT(cost);
	INT(estimated);
	TEXT(price);
	INT(status);
	TEXT(end);
	INT(started_ns);
	INT(first_byte_us);
	INT(total_us);
	TEXT(request_id);
#undef TEXT
#undef INT
	ASSERT(i == DB_CALL_COLUMNS);
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

static int check_pages(struct ledger_db *db, const char *path, struct err *e)
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
 * Agents are denied while a daemon starts, and quick_check reads some 50 MB a second and cannot be interrupted: a large ledger is left to
 * `purse audit`. A handle that failed (DB_CHECK_ALL) is read to the end whatever it takes.
 */
static int check_some_pages(struct ledger_db *db, const char *path, struct err *e)
{
	int64_t bytes = 0;
	int r = pragma_i64(db, "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()", &bytes);

	if (r < 0)
		return open_failed(db, path, r, e);
	if (bytes <= OPEN_CHECK_BYTES)
		return check_pages(db, path, e);
	log_info("ledger", "%s has %lld MB: its pages are checked by `purse audit`, not at the start", path, (long long)(bytes >> 20));
	return 0;
}

static int migrate(struct ledger_db *db, const char *path, int64_t from, struct err *e)
{
	for (int64_t v = from; v < LEDGER_VERSION; v++) {
		int code = sqlite3_exec(db->sql, "BEGIN IMMEDIATE", NULL, NULL, NULL);

		if (code == SQLITE_OK)
			code = sqlite3_exec(db->sql, migrations[v], NULL, NULL, NULL);
		if (code == SQLITE_OK)
			code = sqlite3_exec(db->sql, "COMMIT", NULL, NULL, NULL);
		int r = failed(db, code);
		if (r < 0) {
			(void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
			return err_prefix(e, open_failed(db, path, r, e), "taking it from schema %lld to %lld", (long long)v,
					  (long long)v + 1);
		}
	}
	return 0;
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

static int prepare(struct ledger_db *db, const char *path, enum db_mode mode, struct err *e)
{
	int from = mode == DB_READ ? DB_FIRST_OF_READERS : 0, to = mode == DB_READ ? DB_STMT_COUNT : DB_FIRST_OF_READERS;

	for (int s = from; s < to; s++) {
		int code = sqlite3_prepare_v3(db->sql, statements[s], -1, SQLITE_PREPARE_PERSISTENT, &db->stmts[s], NULL);

		if (code != SQLITE_OK)
			return open_failed(db, path, failed(db, code), e);
	}
	return 0;
}

static int set_up(struct ledger_db *db, const char *path, enum db_mode mode, enum db_trust trust, struct err *e)
{
	/* 16 MiB of log before it is copied back; it is cut to 64 MiB when a reader kept it long. */
	static const char writing[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4096;"
				      "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;";
	static const char reading[] = "PRAGMA query_only = 1; PRAGMA cache_size = -2048; PRAGMA temp_store = MEMORY;";

	(void)sqlite3_extended_result_codes(db->sql, 1);
	(void)sqlite3_busy_timeout(db->sql, BUSY_MS);
	int r = failed(db, sqlite3_exec(db->sql, mode == DB_READ ? reading : writing, NULL, NULL, NULL));

	if (r < 0)
		return open_failed(db, path, r, e);
	if (trust != DB_CHECK_HEADER)
		r = trust == DB_CHECK_ALL ? check_pages(db, path, e) : check_some_pages(db, path, e);
	if (r == 0)
		r = check_version(db, path, mode, e);
	return r < 0 ? r : prepare(db, path, mode, e);
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
