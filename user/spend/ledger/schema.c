// SPDX-License-Identifier: Apache-2.0
/*
 * ledger/schema.c: the tables and their history. A new version adds a row to the tables at the end, and never changes an old text: files
 * that were made by it are out there.
 *
 *   calls     one row per settled call. call_id is the key: a row that is offered again is not written again.
 *   hours     per account, hour (of the call's start), provider, model, agent: the sums of the calls. A balance is a short sum over it.
 *   days      the same per UTC day, and by tier, price and served model, of calls that were pruned: they are in `days` or in `calls` and
 *             `hours`, never in both.
 *   prunes    one row per pruning: what went from calls into days.
 *   pruning   one row while a pruning has its transaction open: up to when rows of calls may be deleted. Empty at any other time.
 *   seen      agent -> account, where the names differ.
 *   open_calls  holds written ahead: calls that were in flight at the last commit.
 *   refusals  what purse said no to, and why; with dry_run = 1 what a rule would have refused.
 *   changes   who changed what from what to what: the audit trail.
 *   accounts, agents   what was made at run time, so that it survives a restart.
 *   places    account -> the account above it, also of accounts that are gone.
 *   meta      made_by, made_at.
 *
 * Invariants, checked by ledger_check:
 *   - hours(account, h, provider, model, agent) = sums of such calls with started_ns in [h, h + 1 hour)
 *   - sums of days = sums of prunes
 *   - 0 <= cost, 0 <= started_ns
 *   - no call_id is in calls and in open_calls
 * calls, refusals, changes, days and prunes are append-only: triggers refuse UPDATE and DELETE, but for what `pruning` allows.
 */
#include "spend/ledger/schema.h"

/* Deletes, updates: refused. */
#define APPEND_ONLY(table, stay, stay_put) \
	"CREATE TRIGGER " stay " BEFORE UPDATE ON " table " BEGIN SELECT RAISE(ABORT, '" table " is append-only'); END;" \
	"CREATE TRIGGER " stay_put " BEFORE DELETE ON " table " BEGIN SELECT RAISE(ABORT, '" table " is append-only'); END;"

static const char to_1[] =
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
	APPEND_ONLY("calls", "calls_stay", "calls_stay_put")
	APPEND_ONLY("refusals", "refusals_stay", "refusals_stay_put")
	APPEND_ONLY("changes", "changes_stay", "changes_stay_put")
	"INSERT INTO meta VALUES('made_by', 'purse'), ('made_at', strftime('%Y-%m-%dT%H:%M:%SZ', 'now'));"
	"PRAGMA application_id = 1886745203;"
	"PRAGMA user_version = 1;";
_Static_assert(LEDGER_APPLICATION_ID == 1886745203, "the schema's application_id");

/* The sums of hours and days, in the order of DB_USAGE (ledger/db.h). */
#define SUMS_OF_2 \
	" calls INTEGER NOT NULL, estimated INTEGER NOT NULL, unknown INTEGER NOT NULL, cost_nanousd INTEGER NOT NULL," \
	" estimated_nanousd INTEGER NOT NULL, unknown_nanousd INTEGER NOT NULL, input INTEGER NOT NULL," \
	" cache_read INTEGER NOT NULL, cache_write_5m INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL," \
	" output INTEGER NOT NULL, reasoning INTEGER NOT NULL, audio_input INTEGER NOT NULL, audio_output INTEGER NOT NULL," \
	" audio_cache_read INTEGER NOT NULL, image_input INTEGER NOT NULL, image_cache_read INTEGER NOT NULL," \
	" video_input INTEGER NOT NULL, image_output INTEGER NOT NULL," \
	" web_searches INTEGER NOT NULL, file_searches INTEGER NOT NULL, code_sessions INTEGER NOT NULL," \
	" images INTEGER NOT NULL, audio_ms INTEGER NOT NULL, video_ms INTEGER NOT NULL, characters INTEGER NOT NULL," \
	" pages INTEGER NOT NULL,"

static const char to_2[] =
	"ALTER TABLE calls ADD COLUMN audio_cache_read INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE calls ADD COLUMN image_input INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE calls ADD COLUMN image_cache_read INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE calls ADD COLUMN video_input INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE calls ADD COLUMN image_output INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE calls ADD COLUMN file_searches INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE calls ADD COLUMN code_sessions INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE calls ADD COLUMN images INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE calls ADD COLUMN audio_ms INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE calls ADD COLUMN video_ms INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE calls ADD COLUMN characters INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE calls ADD COLUMN pages INTEGER NOT NULL DEFAULT 0;"
	/* One index for balances and for listings: an agent's calls are those of its account, `seen` knows the exceptions. */
	"DROP INDEX calls_by_agent;"
	"CREATE INDEX calls_by_account ON calls(account, started_ns);"
	"CREATE TABLE seen(agent TEXT NOT NULL, account TEXT NOT NULL, PRIMARY KEY(agent, account)) STRICT, WITHOUT ROWID;"
	"INSERT INTO seen SELECT DISTINCT agent, account FROM calls WHERE agent <> account;"
	"DROP TABLE hours;"
	"CREATE TABLE hours(account TEXT NOT NULL, hour_s INTEGER NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,"
	" agent TEXT NOT NULL," SUMS_OF_2 " PRIMARY KEY(account, hour_s, provider, model, agent)) STRICT, WITHOUT ROWID;"
	"INSERT INTO hours SELECT account, started_ns / 3600000000000 * 3600, provider, model, agent, count(*), sum(estimated),"
	" sum(estimated AND NOT usage_known), sum(cost_nanousd), sum(cost_nanousd * estimated),"
	" sum(cost_nanousd * (estimated AND NOT usage_known)), sum(input), sum(cache_read), sum(cache_write_5m),"
	" sum(cache_write_1h), sum(output), sum(reasoning), sum(audio_input), sum(audio_output), 0, 0, 0, 0, 0, sum(web_searches),"
	" 0, 0, 0, 0, 0, 0, 0 FROM calls GROUP BY 1, 2, 3, 4, 5;"
	"CREATE TABLE days(account TEXT NOT NULL, day_s INTEGER NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,"
	" agent TEXT NOT NULL, served_model TEXT NOT NULL, tier INTEGER NOT NULL, price TEXT NOT NULL," SUMS_OF_2
	" PRIMARY KEY(account, day_s, provider, model, agent, served_model, tier, price)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE prunes(id INTEGER PRIMARY KEY, before_s INTEGER NOT NULL, calls INTEGER NOT NULL,"
	" cost_nanousd INTEGER NOT NULL) STRICT;"
	"CREATE TABLE pruning(before_ns INTEGER NOT NULL) STRICT;"
	"CREATE TABLE open_calls(call_id INTEGER PRIMARY KEY, account TEXT NOT NULL, agent TEXT NOT NULL, comm TEXT NOT NULL,"
	" pid INTEGER NOT NULL, cgroup_id INTEGER NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,"
	" endpoint INTEGER NOT NULL, amount_nanousd INTEGER NOT NULL, started_ns INTEGER NOT NULL) STRICT;"
	"DROP TRIGGER calls_stay_put;"
	"CREATE TRIGGER calls_stay_put BEFORE DELETE ON calls"
	" WHEN NOT EXISTS(SELECT 1 FROM pruning WHERE OLD.started_ns < before_ns)"
	" BEGIN SELECT RAISE(ABORT, 'calls is append-only'); END;"
	"CREATE TRIGGER days_stay BEFORE UPDATE ON days WHEN NOT EXISTS(SELECT 1 FROM pruning)"
	" BEGIN SELECT RAISE(ABORT, 'days is append-only'); END;"
	"CREATE TRIGGER days_stay_put BEFORE DELETE ON days BEGIN SELECT RAISE(ABORT, 'days is append-only'); END;"
	APPEND_ONLY("prunes", "prunes_stay", "prunes_stay_put")
	"ALTER TABLE refusals ADD COLUMN rule TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE refusals ADD COLUMN retry_s INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE refusals ADD COLUMN dry_run INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE changes RENAME COLUMN what TO verb;"
	"ALTER TABLE changes ADD COLUMN subject TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE changes ADD COLUMN before TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE changes ADD COLUMN after TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE accounts ADD COLUMN zone TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE accounts ADD COLUMN reset_minute INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE accounts ADD COLUMN raise_hour INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE accounts ADD COLUMN raise_day INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE accounts ADD COLUMN raise_week INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE accounts ADD COLUMN raise_month INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE accounts ADD COLUMN raise_total INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE accounts ADD COLUMN raise_until_s INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE accounts ADD COLUMN clamp INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE accounts ADD COLUMN rules TEXT NOT NULL DEFAULT '{}';"
	"PRAGMA user_version = 2;";

const char *const ledger_migrations[LEDGER_VERSION] = {
	[0] = to_1,
	[1] = to_2,
};

/* The new hours are made from the calls. If the old ones said something else, somebody has to look first: money may be missing. */
#define SUMS_OF_1 \
	"(SELECT account, started_ns / 3600000000000 * 3600 AS hour_s, sum(cost_nanousd) AS cost, count(*) AS n FROM calls GROUP BY 1, 2)"
static const char doubt_1[] =
	"SELECT 'account \"' || r.account || '\", hour beginning ' || r.hour_s || ': its calls add up to ' || r.cost ||"
	" ' nano-dollars, its sum says ' || coalesce(h.cost_nanousd, 0) FROM " SUMS_OF_1 " r LEFT JOIN hours h"
	" ON h.account = r.account AND h.hour_s = r.hour_s WHERE h.cost_nanousd IS NOT r.cost OR h.calls IS NOT r.n"
	" UNION ALL SELECT 'account \"' || h.account || '\", hour beginning ' || h.hour_s || ': has no calls, its sum says ' ||"
	" h.cost_nanousd FROM hours h LEFT JOIN " SUMS_OF_1 " r ON r.account = h.account AND r.hour_s = h.hour_s"
	" WHERE r.account IS NULL LIMIT 1";

const char *const ledger_doubts[LEDGER_VERSION] = {
	[1] = doubt_1,
};
