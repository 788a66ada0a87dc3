// SPDX-License-Identifier: Apache-2.0
/* ledger/statements.c: everything that is asked of the ledger's file, a fixed list. The columns of each row are read by ledger/rows.c. */
#include "spend/ledger/schema.h"

#define COMMA_NAME(name) ", " #name
#define COMMA_MARK(name) ",?"
#define COMMA_SUM(name) ", sum(" #name ")"
#define COMMA_ADD(name) ", " #name " = " #name " + excluded." #name

#define CALL_COLUMNS \
	"call_id, account, agent, comm, pid, cgroup_id, provider, model, served_model, endpoint, tier, usage_known, held_nanousd," \
	" cost_nanousd, estimated, price, status, end, started_ns, first_byte_us, total_us, request_id" DB_USAGE(COMMA_NAME)
#define CALL_MARKS "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?" DB_USAGE(COMMA_MARK)
/* A cgroup id is 64 bits without a sign, stored as the same bits with one: compare for equality only. */
#define CALL_FILTER \
	" started_ns >= ?1 AND started_ns < ?2 AND (?3 IS NULL OR provider = ?3) AND" \
	" (?4 IS NULL OR model = ?4 OR served_model = ?4) AND (?7 IS NULL OR agent = ?7) AND (?8 IS NULL OR pid = ?8) AND" \
	" (?9 IS NULL OR cgroup_id = ?9) AND (?10 IS NULL OR status = ?10) AND (?11 IS NULL OR estimated = ?11) AND" \
	" (?12 IS NULL OR cost_nanousd >= ?12)"
#define NEWEST_CALLS " ORDER BY started_ns DESC, call_id DESC LIMIT ?5"
#define REFUSAL_COLUMNS \
	"at_ns, agent, provider, model, reason, account, window, limit_nanousd, spent_nanousd, held_nanousd," \
	" needed_nanousd, reset_s, detail, rule, retry_s, dry_run"
#define REFUSAL_FILTER \
	" at_ns >= ?1 AND at_ns < ?2 AND (?3 IS NULL OR provider = ?3) AND (?4 IS NULL OR model = ?4) AND (?6 IS NULL OR account = ?6)"
#define HOLD_COLUMNS "call_id, account, agent, comm, pid, cgroup_id, provider, model, endpoint, amount_nanousd, started_ns"

#define SUM_COLUMNS "calls, estimated, unknown, cost_nanousd, estimated_nanousd, unknown_nanousd" DB_USAGE(COMMA_NAME)
#define SUM_MARKS "?,?,?,?,?,?" DB_USAGE(COMMA_MARK)
/* One call as a sum of itself. */
#define CALL_AS_SUM \
	"1 AS calls, estimated, (estimated AND NOT usage_known) AS unknown, cost_nanousd," \
	" cost_nanousd * estimated AS estimated_nanousd, cost_nanousd * (estimated AND NOT usage_known) AS unknown_nanousd" \
	DB_USAGE(COMMA_NAME)
#define SUMS \
	"sum(calls), sum(estimated), sum(unknown), sum(cost_nanousd), sum(estimated_nanousd), sum(unknown_nanousd)" DB_USAGE(COMMA_SUM)
#define ADD(name) #name " = " #name " + excluded." #name
#define ADD_SUMS \
	ADD(calls) ", " ADD(estimated) ", " ADD(unknown) ", " ADD(cost_nanousd) ", " ADD(estimated_nanousd) ", " ADD(unknown_nanousd) \
	DB_USAGE(COMMA_ADD)

/*
 * What is to be grouped, row by row: ledger/sums.c adds it up, since SQLite would sort all of it in memory first. ?1, ?2: whole hours [from,
 * to); ?3, ?4: nanoseconds before them; ?5, ?6: behind them; ?7, ?8: whole days; ?9 … ?11: agent, provider, model; ?12: account; ?13 … ?17:
 * pid, cgroup, status, estimated, min cost.
 */
#define GROUP_FILTER "(?9 IS NULL OR agent = ?9) AND (?10 IS NULL OR provider = ?10) AND (?11 IS NULL OR model = ?11)"
#define OF_CALLS "account, agent, provider, model, started_ns / 3600000000000 * 3600 AS at_s, pid, cgroup_id, " CALL_AS_SUM " FROM calls"
#define OF_SUMS(at, table) "account, agent, provider, model, " at " AS at_s, 0 AS pid, 0 AS cgroup_id, " SUM_COLUMNS " FROM " table
#define GROUPS(of_account) \
	"SELECT " OF_SUMS("hour_s", "hours") " WHERE " of_account " hour_s >= ?1 AND hour_s < ?2 AND " GROUP_FILTER \
	" UNION ALL SELECT " OF_CALLS " WHERE " of_account " started_ns >= ?3 AND started_ns < ?4 AND " GROUP_FILTER \
	" UNION ALL SELECT " OF_CALLS " WHERE " of_account " started_ns >= ?5 AND started_ns < ?6 AND " GROUP_FILTER \
	" UNION ALL SELECT " OF_SUMS("day_s", "days") " WHERE " of_account " day_s >= ?7 AND day_s < ?8 AND " GROUP_FILTER
#define GROUPS_OF_CALLS(of_account) \
	"SELECT " OF_CALLS " WHERE " of_account " started_ns >= ?3 AND started_ns < ?6 AND " GROUP_FILTER " AND" \
	" (?13 IS NULL OR pid = ?13) AND (?14 IS NULL OR cgroup_id = ?14) AND (?15 IS NULL OR status = ?15) AND" \
	" (?16 IS NULL OR estimated = ?16) AND (?17 IS NULL OR cost_nanousd >= ?17)"

#define SUMS_OF_ROWS \
	"SELECT account, started_ns / 3600000000000 * 3600 AS hour_s, provider, model, agent, count(*) AS n, sum(cost_nanousd) AS cost," \
	" sum(input) AS input, sum(output) AS output FROM calls GROUP BY 1, 2, 3, 4, 5"
#define SAME_HOUR \
	"h.account = r.account AND h.hour_s = r.hour_s AND h.provider = r.provider AND h.model = r.model AND h.agent = r.agent"

const char *const ledger_statements[DB_STMT_COUNT] = {
	[DB_BEGIN] = "BEGIN IMMEDIATE",
	[DB_COMMIT] = "COMMIT",
	[DB_ROLLBACK] = "ROLLBACK",
	[DB_PUT_CALL] = "INSERT INTO calls(" CALL_COLUMNS ") VALUES(" CALL_MARKS ")"
			" ON CONFLICT(call_id) DO NOTHING",
	[DB_PUT_HOUR] = "INSERT INTO hours(account, hour_s, provider, model, agent, " SUM_COLUMNS ") VALUES(?,?,?,?,?," SUM_MARKS ")"
			" ON CONFLICT DO UPDATE SET " ADD_SUMS,
	[DB_PUT_SEEN] = "INSERT OR IGNORE INTO seen VALUES(?, ?)",
	[DB_PUT_HOLD] = "INSERT INTO open_calls(" HOLD_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?)"
			" ON CONFLICT(call_id) DO UPDATE SET amount_nanousd = excluded.amount_nanousd",
	[DB_DROP_HOLD] = "DELETE FROM open_calls WHERE call_id = ?",
	[DB_PUT_REFUSAL] = "INSERT INTO refusals(" REFUSAL_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[DB_PUT_CHANGE] = "INSERT INTO changes(at_ns, who, verb, subject, before, after) VALUES(?,?,?,?,?,?)",
	[DB_PUT_ACCOUNT] = "INSERT OR REPLACE INTO accounts(name, parent, hour, day, week, month, total, floor_nanousd, paused, zone,"
			   " reset_minute, raise_hour, raise_day, raise_week, raise_month, raise_total, raise_until_s, clamp, rules)"
			   " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[DB_DROP_ACCOUNT] = "DELETE FROM accounts WHERE name = ?",
	[DB_PUT_PLACE] = "INSERT OR REPLACE INTO places VALUES(?, ?)",
	[DB_PUT_AGENT] = "INSERT OR REPLACE INTO agents VALUES(?,?,?,?)",
	[DB_DROP_AGENT] = "DELETE FROM agents WHERE name = ?",

	/* The start of the last row of a batch of ?2, oldest first, before ?1. */
	[DB_PRUNE_UNTIL] = "SELECT max(started_ns) FROM (SELECT started_ns FROM calls WHERE started_ns < ?1 ORDER BY started_ns LIMIT ?2)",
	[DB_PRUNE_ALLOW] = "INSERT INTO pruning VALUES(?)",
	[DB_PRUNE_ROWS] = "SELECT " CALL_COLUMNS " FROM calls WHERE started_ns < ?1 ORDER BY started_ns, call_id",
	[DB_PRUNE_CALLS] = "DELETE FROM calls WHERE started_ns < ?1",
	[DB_PRUNE_HOURS] = "DELETE FROM hours WHERE account = ?1 AND hour_s = ?2 AND provider = ?3 AND model = ?4 AND agent = ?5 AND calls = 0",
	[DB_PRUNE_OVER] = "DELETE FROM pruning",
	[DB_PUT_DAY] = "INSERT INTO days(account, day_s, provider, model, agent, served_model, tier, price, " SUM_COLUMNS ")"
		       " VALUES(?,?,?,?,?,?,?,?," SUM_MARKS ") ON CONFLICT DO UPDATE SET " ADD_SUMS,
	[DB_PUT_PRUNE] = "INSERT INTO prunes(before_s, calls, cost_nanousd) VALUES(?,?,?)",
	[DB_FREE_PAGES] = "PRAGMA freelist_count",
	[DB_VACUUM_SOME] = "PRAGMA incremental_vacuum(2000)",

	[DB_BEGIN_VIEW] = "BEGIN",
	[DB_END_VIEW] = "COMMIT",
	[DB_TOUCH] = "SELECT 1 FROM meta LIMIT 1",
	/* ?2, ?3: whole hours; ?4, ?5: whole days; ?6, ?7: the range itself, whose ends must not lie within a day that was pruned. */
	[DB_SPENT] = "SELECT (SELECT coalesce(sum(cost_nanousd), 0) FROM hours WHERE account = ?1 AND hour_s >= ?2 AND hour_s < ?3) +"
		     " (SELECT coalesce(sum(cost_nanousd), 0) FROM days WHERE account = ?1 AND day_s >= ?4 AND day_s < ?5),"
		     " EXISTS(SELECT 1 FROM days WHERE account = ?1 AND day_s < ?6 AND day_s > ?6 - 86400) OR"
		     " EXISTS(SELECT 1 FROM days WHERE account = ?1 AND day_s < ?7 AND day_s > ?7 - 86400)",
	[DB_SPENT_RAGGED] = "SELECT coalesce(sum(cost_nanousd), 0) FROM calls WHERE account = ?1 AND started_ns >= ?2 AND started_ns < ?3",
	/* ?8 … ?11: the ragged ends in nanoseconds. */
	[DB_SPENT_MODELS] = "SELECT provider, model, sum(cost) FROM (SELECT provider, model, cost_nanousd AS cost FROM hours"
			    " WHERE account = ?1 AND hour_s >= ?2 AND hour_s < ?3 UNION ALL SELECT provider, model, cost_nanousd FROM days"
			    " WHERE account = ?1 AND day_s >= ?4 AND day_s < ?5 UNION ALL SELECT provider, model, cost_nanousd FROM calls"
			    " WHERE account = ?1 AND started_ns >= ?8 AND started_ns < ?9 UNION ALL SELECT provider, model, cost_nanousd"
			    " FROM calls WHERE account = ?1 AND started_ns >= ?10 AND started_ns < ?11) GROUP BY 1, 2",
	[DB_HAS_CALL] = "SELECT 1 FROM calls WHERE call_id = ?",
	[DB_MAX_CALL] = "SELECT max(coalesce((SELECT max(call_id) FROM calls), 0), coalesce((SELECT max(call_id) FROM open_calls), 0))",
	[DB_NEWEST_START] = "SELECT coalesce(max(started_ns), 0) FROM calls",
	[DB_HOURS] = "SELECT account, hour_s, 3600, provider, model, sum(cost_nanousd), sum(calls) FROM hours GROUP BY 1, 2, 4, 5"
		     " UNION ALL SELECT account, day_s, 86400, provider, model, sum(cost_nanousd), sum(calls) FROM days GROUP BY 1, 2, 4, 5"
		     " ORDER BY 1, 2, 3",
	[DB_HOURS_OF] = "SELECT account, hour_s, 3600, provider, model, sum(cost_nanousd), sum(calls) FROM hours WHERE account = ?1 GROUP BY 1, 2, 4, 5"
			" UNION ALL SELECT account, day_s, 86400, provider, model, sum(cost_nanousd), sum(calls) FROM days WHERE account = ?1"
			" GROUP BY 1, 2, 4, 5 ORDER BY 1, 2, 3",
	[DB_CALLS_BETWEEN] = "SELECT " CALL_COLUMNS " FROM calls WHERE started_ns >= ?1 AND started_ns < ?2",
	[DB_CALLS_OF_BETWEEN] = "SELECT " CALL_COLUMNS " FROM calls INDEXED BY calls_by_account WHERE account = ?3 AND started_ns >= ?1"
				" AND started_ns < ?2",
	[DB_HOLDS] = "SELECT " HOLD_COLUMNS " FROM open_calls ORDER BY call_id",
	[DB_PLACES] = "SELECT account, parent FROM places",
	[DB_ACCOUNTS] = "SELECT name, parent, hour, day, week, month, total, floor_nanousd, paused, zone, reset_minute, raise_hour, raise_day,"
			" raise_week, raise_month, raise_total, raise_until_s, clamp, rules FROM accounts ORDER BY name",
	[DB_AGENTS] = "SELECT name, account, cgroup, flags FROM agents ORDER BY name",
	[DB_SEEN] = "SELECT 1 FROM seen WHERE agent = ?1 LIMIT 1",
	[DB_CALLS] = "SELECT " CALL_COLUMNS " FROM calls WHERE" CALL_FILTER " AND (?6 IS NULL OR account = ?6)" NEWEST_CALLS,
	[DB_CALLS_OF_ACCOUNT] = "SELECT " CALL_COLUMNS " FROM calls INDEXED BY calls_by_account WHERE account = ?6 AND" CALL_FILTER NEWEST_CALLS,
	/* Of an agent that was charged to other accounts too. */
	[DB_CALLS_OF_AGENT] = "SELECT " CALL_COLUMNS " FROM calls INDEXED BY calls_by_account WHERE account IN"
			      " (SELECT ?7 UNION SELECT account FROM seen WHERE agent = ?7) AND (?6 IS NULL OR account = ?6) AND"
			      CALL_FILTER NEWEST_CALLS,
	[DB_REFUSALS] = "SELECT " REFUSAL_COLUMNS " FROM refusals WHERE" REFUSAL_FILTER " ORDER BY at_ns DESC, id DESC LIMIT ?5",
	[DB_REFUSALS_OF_AGENT] = "SELECT " REFUSAL_COLUMNS " FROM refusals WHERE agent = ?7 AND" REFUSAL_FILTER
				 " ORDER BY at_ns DESC, id DESC LIMIT ?5",
	[DB_CHANGES] = "SELECT at_ns, who, verb, subject, before, after FROM changes WHERE at_ns >= ?1 AND at_ns < ?2 AND"
		       " (?6 IS NULL OR subject = ?6) ORDER BY id DESC LIMIT ?5",
	[DB_GROUPS] = GROUPS(""),
	[DB_GROUPS_OF_ACCOUNT] = GROUPS("account = ?12 AND"),
	[DB_GROUPS_OF_CALLS] = GROUPS_OF_CALLS("(?12 IS NULL OR account = ?12) AND"),
	[DB_GROUPS_OF_CALLS_OF_ACCOUNT] = GROUPS_OF_CALLS("account = ?12 AND"),
	/* Is there something of the range that only days know? */
	[DB_HAS_DAYS] = "SELECT EXISTS(SELECT 1 FROM days WHERE day_s + 86400 > ?1 AND day_s < ?2 AND (?3 IS NULL OR provider = ?3) AND"
			" (?4 IS NULL OR account = ?4) AND (?5 IS NULL OR agent = ?5) AND (?6 IS NULL OR model = ?6))",
	[DB_BILL] = "SELECT billed, tier, price, CASE WHEN ?6 THEN day END, " SUMS " FROM ("
		    "SELECT CASE served_model WHEN '' THEN model ELSE served_model END AS billed, tier, price,"
		    " started_ns / 86400000000000 * 86400 AS day, " CALL_AS_SUM " FROM calls WHERE provider = ?1 AND started_ns >= ?2 AND"
		    " started_ns < ?3 UNION ALL SELECT CASE served_model WHEN '' THEN model ELSE served_model END, tier, price, day_s, "
		    SUM_COLUMNS " FROM days WHERE provider = ?1 AND day_s >= ?4 AND day_s < ?5) GROUP BY 1, 2, 3, 4 ORDER BY 4, 1, 2, 3",
	[DB_PRUNED] = "SELECT coalesce((SELECT sum(calls) FROM days), 0), coalesce((SELECT sum(cost_nanousd) FROM days), 0),"
		      " coalesce((SELECT sum(calls) FROM prunes), 0), coalesce((SELECT sum(cost_nanousd) FROM prunes), 0),"
		      " (SELECT count(*) FROM pruning)",
	[DB_INTEGRITY] = "PRAGMA integrity_check(1)",
	[DB_ROWS_NOT_IN_HOURS] = "SELECT r.account, r.hour_s, r.cost, r.n, coalesce(h.cost_nanousd, 0), coalesce(h.calls, 0), r.model FROM ("
				 SUMS_OF_ROWS ") r LEFT JOIN hours h ON " SAME_HOUR " WHERE h.cost_nanousd IS NOT r.cost OR h.calls IS NOT r.n"
				 " OR h.input IS NOT r.input OR h.output IS NOT r.output LIMIT 1",
	[DB_HOURS_NOT_IN_ROWS] = "SELECT h.account, h.hour_s, 0, 0, h.cost_nanousd, h.calls, h.model FROM hours h LEFT JOIN ("
				 SUMS_OF_ROWS ") r ON " SAME_HOUR " WHERE r.account IS NULL LIMIT 1",
	[DB_ODD_ROW] = "SELECT call_id, cost_nanousd, started_ns FROM calls WHERE cost_nanousd < 0 OR started_ns < 0 LIMIT 1",
	[DB_ODD_HOLD] = "SELECT o.call_id FROM open_calls o JOIN calls c ON c.call_id = o.call_id LIMIT 1",
};
