// SPDX-License-Identifier: Apache-2.0
/* From schema 1 to 2: a file that schema 1's own statements made, one that does not add up, one from the future, and the power going at every write. */
#include "simvfs.c"

#include <errno.h>

#include "base/log.h"
#include "spend/ledger/db.h"
#include "spend/ledger/schema.h"
#include "spend_test.h"

#define HOUR (T0 / 3600 * 3600)

/* As the first version wrote them: 31 columns, hours by account alone. */
static const char rows_1[] =
	"INSERT INTO calls VALUES"
	"(11, 'team', 'bot', 'python3', 42, -5, 'openai', 'gpt-x', 'gpt-x-1', 2, 0, 100, 10, 1, 2, 50, 5, 3, 4, 6, 1, 900, 700, 0,"
	" 'openai/gpt-x@2026-08-21', 200, 'done', %1$lld, 5, 9, 'req_1'),"
	"(12, 'team', 'team', 'curl', 43, 6, 'openai', 'gpt-x', '', 2, 1, 7, 0, 0, 0, 8, 0, 0, 0, 0, 0, 900, 20, 1, 'p', 200, 'agent-gone',"
	" %1$lld + 3599999999999, -1, 9, ''),"
	"(13, 'team', 'bot', 'curl', 44, 6, 'anthropic', 'claude', '', 6, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 5, 3, 0, 'p', 529, 'error',"
	" %1$lld + 3600000000000, -1, 9, '');"
	"INSERT INTO hours VALUES('team', %2$lld, 720, 2), ('team', %2$lld + 3600, 3, 1);"
	"INSERT INTO refusals(at_ns, agent, provider, model, reason, account, window, limit_nanousd, spent_nanousd, held_nanousd, needed_nanousd,"
	" reset_s, detail) VALUES(%1$lld, 'bot', 'openai', 'gpt-x', 1, 'team', 1, 5, 4, 3, 2, 1, 'why');"
	"INSERT INTO changes(at_ns, who, what) VALUES(%1$lld, 'uid 0 pid 1', 'agent \"bot\" day=5.00');"
	"INSERT INTO accounts VALUES('team', 'org', 1, 2, 3, 4, 5, 6, 1);"
	"INSERT INTO agents VALUES('bot', 'bot', '/purse/bot', 2);"
	"INSERT INTO places VALUES('team', 'org'), ('org', '');";

static void make_1(const char *path, const char *harm)
{
	char rows[4000];
	sqlite3 *db;

	(void)snprintf(rows, sizeof(rows), rows_1, (long long)HOUR * 1000000000, (long long)HOUR);
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, ledger_migrations[0], NULL, NULL, NULL), SQLITE_OK);
	if (sqlite3_exec(db, rows, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(db));
	if (harm && sqlite3_exec(db, harm, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(db));
	assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
}

static int64_t ask(const char *path, const char *question)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	int64_t ret = -1;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, question, -1, &st, NULL), SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW)
		ret = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	return ret;
}

struct rows {
	struct ledger_call calls[3];
	size_t n;
	struct refusal why;
	char what[256];
	struct account_spec account;
	struct ledger_agent agent;
};

static void on_call(void *ctx, const struct ledger_row *row)
{
	struct rows *r = ctx;

	assert_true(r->n < 3);
	r->calls[r->n++] = row->call;
}
static void on_refusal(void *ctx, const struct ledger_row *row) { ((struct rows *)ctx)->why = row->why; }
static void on_change(void *ctx, const struct ledger_row *row)
{
	memcpy(((struct rows *)ctx)->what, row->what, sizeof(row->what));
	assert_string_equal(row->before, "");
}
static void on_account(void *ctx, const struct account_spec *a) { ((struct rows *)ctx)->account = *a; }
static void on_agent(void *ctx, const struct ledger_agent *a) { ((struct rows *)ctx)->agent = *a; }

static nanousd spent(struct ledger *l, int64_t from_s, int64_t to_s)
{
	nanousd n = -1;

	assert_int_equal(ledger_spent_between(l, "team", from_s, to_s, &n, NULL), 0);
	return n;
}

static void is_whole(struct ledger *l)
{
	struct rows r = { .n = 0 };
	struct err e = { "" };

	if (ledger_check(l, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(ledger_read(l, &(struct ledger_query){ 0 }, on_call, &r, &e), 0);
	assert_int_equal(r.n, 3);
	assert_int_equal(r.calls[2].call_id, 11);
	assert_int_equal(r.calls[2].usage.web_searches, 6);
	assert_int_equal(r.calls[2].usage.audio_output, 4);
	assert_int_equal(r.calls[2].usage.pages, 0);
	assert_int_equal(r.calls[2].cgroup_id, (uint64_t)-5);
	assert_string_equal(r.calls[2].request_id, "req_1");
	assert_string_equal(r.calls[2].price, "openai/gpt-x@2026-08-21");
	assert_true(r.calls[1].estimated && !r.calls[1].usage_known);
	assert_int_equal(spent(l, 0, INT64_MAX), 723);
	assert_int_equal(spent(l, HOUR, HOUR + 3600), 720);
	assert_int_equal(spent(l, HOUR + 1, HOUR + 3601), 23);
	r.n = 0;
	assert_int_equal(ledger_read(l, &(struct ledger_query){ .agent = "bot" }, on_call, &r, &e), 0);
	assert_int_equal(r.n, 2);
	assert_int_equal(ledger_read(l, &(struct ledger_query){ .refusals = true }, on_refusal, &r, &e), 0);
	assert_int_equal(r.why.reason, REFUSAL_BUDGET);
	assert_string_equal(r.why.detail, "why");
	assert_int_equal(ledger_read(l, &(struct ledger_query){ .changes = true }, on_change, &r, &e), 0);
	assert_string_equal(r.what, "agent \"bot\" day=5.00");
	assert_int_equal(ledger_each_account(l, on_account, &r), 0);
	assert_int_equal(r.account.limits[WINDOW_TOTAL], 5);
	assert_true(r.account.paused && !r.account.clamp && !r.account.zone[0] && !rules_any(&r.account.rules));
	assert_int_equal(ledger_each_agent(l, on_agent, &r), 0);
	assert_string_equal(r.agent.cgroup, "/purse/bot");
}

struct place {
	char *dir, path[128];
};

static void place_init(struct place *p)
{
	p->dir = scratch_new();
	(void)snprintf(p->path, sizeof(p->path), "%s/ledger.db", p->dir);
}

static void the_first_schema_becomes_the_second(void **state)
{
	struct place p;
	struct ledger *l = NULL;
	struct err e = { "" };

	place_init(&p);
	make_1(p.path, NULL);
	/* Who only reads does not change it. */
	assert_int_equal(ledger_peek(p.path, &l, &e), -EPROTO);
	assert_non_null(strstr(e.text, "start pursed once"));
	assert_int_equal(ask(p.path, "PRAGMA user_version"), 1);
	if (ledger_open(p.path, NULL, NULL, &l, &e) < 0)
		fail_msg("%s", e.text);
	is_whole(l);
	struct ledger_call more = { .call_id = 14, .account = "team", .agent = "bot", .cost = 1, .started_ns = HOUR * S, .slot = LEDGER_NO_SLOT };

	ledger_call(l, &more);
	assert_int_equal(ledger_close(l), 0);
	assert_int_equal(ask(p.path, "PRAGMA user_version"), 2);
	assert_int_equal(ledger_open(p.path, NULL, NULL, &l, &e), 0);
	assert_int_equal(spent(l, 0, INT64_MAX), 724);
	assert_int_equal(ledger_close(l), 0);
	scratch_free(p.dir);
}

/* What is made from a file that does not add up must not hide it: nothing is changed, and it says what is wrong. */
static void one_that_does_not_add_up_is_refused(void **state)
{
	static const struct {
		const char *harm, *says;
	} cases[] = {
		{ "UPDATE hours SET cost_nanousd = 721 WHERE cost_nanousd = 720", "add up to 720 nano-dollars, its sum says 721" },
		{ "DELETE FROM hours WHERE calls = 1", "its sum says 0" },
		{ "INSERT INTO hours VALUES('ghost', 0, 5, 1)", "\"ghost\"" },
		{ "UPDATE hours SET calls = 3 WHERE calls = 2", "team" },
		{ "DROP TRIGGER calls_stay_put; DELETE FROM calls WHERE call_id = 13", "has no calls" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct place p;
		struct ledger *l = NULL;
		struct err e = { "" };

		place_init(&p);
		make_1(p.path, cases[i].harm);
		assert_int_equal(ledger_open(p.path, NULL, NULL, &l, &e), -EUCLEAN);
		if (!strstr(e.text, cases[i].says) || !strstr(e.text, "from schema 1 to 2"))
			fail_msg("wanted \"%s\" in: %s", cases[i].says, e.text);
		assert_int_equal(ask(p.path, "PRAGMA user_version"), 1);
		scratch_free(p.dir);
	}
}

static void one_with_damaged_pages_is_refused(void **state)
{
	struct place p;
	struct ledger *l = NULL;
	struct err e = { "" };

	place_init(&p);
	make_1(p.path, NULL);
	int64_t pages = ask(p.path, "PRAGMA page_count");
	FILE *f = fopen(p.path, "r+");
	int refused = 0;

	for (int64_t page = 2; page <= pages; page++) {
		char old[16], bad[16];

		(void)fseek(f, (page - 1) * 4096, SEEK_SET);
		assert_int_equal(fread(old, 1, sizeof(old), f), sizeof(old));
		for (size_t i = 0; i < sizeof(old); i++)
			bad[i] = (char)~old[i];
		(void)fseek(f, (page - 1) * 4096, SEEK_SET);
		assert_int_equal(fwrite(bad, 1, sizeof(bad), f), sizeof(bad));
		(void)fflush(f);
		int r = ledger_open(p.path, NULL, NULL, &l, &e);

		if (r == 0) /* a free page */
			(void)ledger_close(l);
		refused += r == -EUCLEAN;
		(void)fseek(f, (page - 1) * 4096, SEEK_SET);
		assert_int_equal(fwrite(old, 1, sizeof(old), f), sizeof(old));
		(void)fflush(f);
		assert_int_equal(r, -EUCLEAN);
	}
	(void)fclose(f);
	assert_int_equal(refused, pages - 1);
	assert_int_equal(ledger_open(p.path, NULL, NULL, &l, &e), 0);
	is_whole(l);
	assert_int_equal(ledger_close(l), 0);
	scratch_free(p.dir);
}

static void one_from_the_future_is_refused(void **state)
{
	struct place p;
	struct ledger *l = NULL;
	struct err e = { "" };

	place_init(&p);
	make_1(p.path, "PRAGMA user_version = 3");
	assert_int_equal(ledger_open(p.path, NULL, NULL, &l, &e), -EPROTO);
	assert_non_null(strstr(e.text, "made by a newer purse (schema 3, this one knows 2)"));
	assert_int_equal(ask(p.path, "PRAGMA user_version"), 3);
	scratch_free(p.dir);
}

/* The power goes at every operation of the migration: afterwards the file is of schema 1 or of schema 2, and the next start finishes. */
static void never_in_between(void **state)
{
	struct place p;
	uint64_t ones = 0, twos = 0, at = 1;
	bool died = true;

	place_init(&p);
	log_set_level((enum log_level)(LOG_LEVEL_ERROR + 1));
	for (; died; at++) {
		struct simdisk *disk = simdisk_new(at * 31);
		struct ledger *l = NULL;
		struct err e = { "" };

		(void)unlink(p.path);
		FILE *f = fopen(p.path, "w"); /* the stand-in; what counts is in the disk's memory */

		(void)fclose(f);
		make_1(p.path, NULL);
		simdisk_fault(disk, SIMDISK_DEATH, at, 1);
		int r = ledger_open_stepped(p.path, NULL, NULL, &l, &e);

		died = simdisk_is_dead(disk);
		simdisk_power_cut(disk);
		if (r == 0)
			(void)ledger_close(l);
		int64_t version = ask(p.path, "PRAGMA user_version");

		ones += version == 1;
		twos += version == 2;
		if (version != 1 && version != 2)
			fail_msg("operation %llu: schema %lld", (unsigned long long)at, (long long)version);
		if (ledger_open_stepped(p.path, NULL, NULL, &l, &e) < 0)
			fail_msg("operation %llu, schema %lld: %s", (unsigned long long)at, (long long)version, e.text);
		is_whole(l);
		assert_int_equal(ledger_close(l), 0);
		simdisk_free(disk);
	}
	log_set_level(LOG_LEVEL_INFO);
	print_message("%llu operations: %llu times still schema 1, %llu times schema 2\n", (unsigned long long)(at - 1),
		      (unsigned long long)ones, (unsigned long long)twos);
	assert_true(ones > 10 && twos > 0);
	scratch_free(p.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_schema_becomes_the_second),
		cmocka_unit_test(one_that_does_not_add_up_is_refused),
		cmocka_unit_test(one_with_damaged_pages_is_refused),
		cmocka_unit_test(one_from_the_future_is_refused),
		cmocka_unit_test(never_in_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
