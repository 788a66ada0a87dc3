// SPDX-License-Identifier: Apache-2.0
/*
 * test_alerts.c: the whole of alerts with real threads and a command as receiver: health, overruns, refusals, what a restart remembers,
 * state files that are broken. Also the book by itself, and how each kind reads.
 */
#include "cm.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "ctl/agents.h"
#include "ctl/alert/book.h"
#include "ctl/alert/text.h"
#include "ctl/alert/alerts.h"
#include "ctl/config/config.h"
#include "fakes.h"

#define NOW INT64_C(1787220000)
#define CENT (NANOUSD_PER_USD / 100)

static struct {
	char dir[64], out[128], state[128];
	struct gate_account rows[64];
	struct gate_hold holds[8];
	struct config *config;
	struct budget *budget;
	struct agents *agents;
	struct alerts *alerts;
	struct alerts_health health;
	int64_t now_s;
} t;

static void start(const char *more)
{
	char text[2048];
	struct err e = { "" };

	(void)snprintf(text, sizeof(text),
		       "accounts: [{name: team, month: 500USD}]\nagents: [{name: bot, account: team, day: 1USD}]\n"
		       "alerts:\n- {name: ops, forecast: false, exec: [/bin/sh, -c, 'cat >> %s; echo >> %s'], %s}\n", t.out, t.out, more);
	if (config_parse("t.yaml", text, strlen(text), &t.config, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(budget_new(t.rows, 64, t.holds, 8, &t.budget), 0);
	struct agents_env env = { .config = t.config, .budget = t.budget };

	assert_int_equal(agents_new(&env, &t.agents, &e), 0);
	assert_int_equal(agents_load(t.agents, NOW, &e), 0);
	budget_open(t.budget);
	struct alerts_env ae = { .config = t.config, .state_path = t.state, .first_wait_ms = 10 };

	if (alerts_new(&ae, &t.alerts, &e) < 0)
		fail_msg("%s", e.text);
	t.health = (struct alerts_health){ .agents = t.agents, .budget = t.budget, .ledger_ok = true, .gate_ok = true, .gate_text = "" };
}

static void stop(void)
{
	alerts_free(t.alerts);
	agents_free(t.agents);
	budget_free(t.budget);
	config_free(t.config);
}

static void tick(void)
{
	alerts_tick(t.alerts, &t.health, t.now_s++);
}

static void spend(const char *account, nanousd amount)
{
	struct hold_request h = { .account = budget_find(t.budget, account), .amount = amount, .now_ns = t.now_s * 1000000000,
				  .comm = "", .model = "m", .provider_name = "p" };
	struct refusal why;
	uint32_t slot;
	uint64_t id;

	assert_int_equal(budget_hold(t.budget, &h, &slot, &id, &why), 0);
	budget_sent(t.budget, slot);
	(void)budget_charge(t.budget, slot, amount, false);
	budget_settled(t.budget, slot);
}

static size_t lines(char *mem, size_t size)
{
	FILE *f = fopen(t.out, "r");
	size_t n = f ? fread(mem, 1, size - 1, f) : 0, count = 0;

	if (f)
		(void)fclose(f);
	mem[n] = '\0';
	for (size_t i = 0; i < n; i++)
		count += mem[i] == '\n';
	return count;
}

/* Until the receiver has n lines; then a little longer, for one too many. */
static const char *wait_for(size_t n)
{
	static char mem[65536];
	struct timespec nap = { .tv_nsec = 20000000 };

	for (int i = 0; i < 500 && lines(mem, sizeof(mem)) < n; i++)
		(void)nanosleep(&nap, NULL);
	for (int i = 0; i < 5; i++)
		(void)nanosleep(&nap, NULL);
	if (lines(mem, sizeof(mem)) != n)
		fail_msg("%zu lines, wanted %zu:\n%s", lines(mem, sizeof(mem)), n, mem);
	return mem;
}

static int set_up(void **state)
{
	memset(&t, 0, sizeof(t));
	memset(fake_agents, 0, sizeof(fake_agents));
	fake_naccounts = fake_nledger_agents = fake_nchanges = 0;
	(void)snprintf(t.dir, sizeof(t.dir), "/tmp/purse-test-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	(void)snprintf(t.out, sizeof(t.out), "%s/out", t.dir);
	(void)snprintf(t.state, sizeof(t.state), "%s/alerts.json", t.dir);
	t.now_s = NOW;
	return 0;
}

static int tear_down(void **state)
{
	char beside[160];

	(void)snprintf(beside, sizeof(beside), "%s.new", t.state);
	(void)unlink(beside);
	(void)unlink(t.out);
	(void)unlink(t.state);
	(void)rmdir(t.dir);
	return 0;
}

static void told_once_over_restarts(void **state)
{
	start("at: [50%, 80%]");
	tick();
	spend("bot", 60 * CENT);
	tick();
	tick();
	assert_non_null(strstr(wait_for(1), "\"percent\":50"));
	stop();
	for (int i = 0; i < 2; i++) {
		/* The ledger's sums are the budget's again. */
		start("at: [50%, 80%]");
		spend("bot", 60 * CENT);
		tick();
		tick();
		(void)wait_for(1);
		stop();
	}
	struct stat st;

	assert_int_equal(stat(t.state, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	start("at: [50%, 80%]");
	spend("bot", 90 * CENT);
	tick();
	assert_non_null(strstr(wait_for(2), "\"percent\":80"));
	stop();
}

static void broken_state_files(void **state)
{
	static const char *const texts[] = { "", "{", "[]", "null", "{\"sights\":5,\"fired\":{}}", "{\"sights\":[{\"alert\":\"ops\"}],\"fired\":[{\"id\":5}]}",
					     "{\"sights\":[{\"alert\":\"ops\",\"account\":\"bot\",\"windows\":{\"day\":{\"start_s\":-1,\"told\":\"50\"}}}]}" };

	for (size_t i = 0; i < COUNT(texts); i++) {
		FILE *f = fopen(t.state, "w");

		assert_non_null(f);
		(void)fputs(texts[i], f);
		(void)fclose(f);
		start("at: [50%]");
		spend("bot", 60 * CENT);
		tick();
		(void)wait_for(i + 1);
		stop();
	}
}

static void health_has_a_begin_and_an_end(void **state)
{
	const char *got;

	start("at: [], repeat: 100s, when: [ledger_unhealthy, gate_detached, estimated_overrun]");
	t.health.overruns = 5; /* from before we looked */
	tick();
	t.health.ledger_ok = false;
	tick();
	tick();
	(void)wait_for(1);
	t.health.ledger_ok = true;
	tick();
	got = wait_for(2);
	assert_non_null(strstr(got, "\"text\":\"the ledger can write again\""));
	assert_non_null(strstr(got, "\"over\":true"));
	/* Again within `repeat`: neither begin nor end. */
	t.health.ledger_ok = false;
	tick();
	t.health.ledger_ok = true;
	tick();
	t.health.gate_ok = false;
	t.health.gate_text = "somebody detached it";
	tick();
	assert_non_null(strstr(wait_for(3), "\"detail\":\"somebody detached it\""));
	t.health.overruns = 7;
	tick();
	assert_non_null(strstr(wait_for(4), "2 calls cost more than was held for them"));
	stop();
}

static void refusals_by_account(void **state)
{
	struct refusal why = { .reason = REFUSAL_RULE, .account = "team", .rule = "loop" };

	start("at: [100%], repeat: 100s, accounts: ['t*'], when: [refused]");
	tick();
	for (int i = 0; i < 1000; i++)
		alerts_refused(t.alerts, "bot", &why);
	tick();
	assert_non_null(strstr(wait_for(1), "\"count\":1000"));
	why = (struct refusal){ .reason = REFUSAL_UNKNOWN_MODEL };
	alerts_refused(t.alerts, "bot", &why); /* nobody watches bot */
	tick();
	(void)wait_for(1);
	/* Its month is used up: a call did not fit. */
	spend("team", 499 * NANOUSD_PER_USD);
	why = (struct refusal){ .reason = REFUSAL_BUDGET, .account = "team", .window = WINDOW_MONTH };
	alerts_refused(t.alerts, "bot", &why);
	tick();
	assert_non_null(strstr(wait_for(2), "team: the month budget is used up"));
	stop();
}

static void accounts_that_go_are_forgotten(void **state)
{
	struct agent_change c = { .name = "tmp", .is_agent = true };
	struct err e = { "" };

	start("at: [50%]");
	c.has_limit[WINDOW_DAY] = true;
	c.limits[WINDOW_DAY] = NANOUSD_PER_USD;
	assert_int_equal(agents_add(t.agents, &c, "w", &e), 0);
	spend("tmp", 60 * CENT);
	tick();
	(void)wait_for(1);
	assert_int_equal(agents_remove(t.agents, "tmp", true, "w", NULL, 0, &e), 0);
	for (int i = 0; i < 130; i++)
		tick();
	/* Another one of that name is another one. */
	assert_int_equal(agents_add(t.agents, &c, "w", &e), 0);
	spend("tmp", 60 * CENT);
	tick();
	(void)wait_for(2);
	stop();
}

static void none_at_all(void **state)
{
	struct refusal why = { .reason = REFUSAL_PAUSED };
	struct err e = { "" };
	struct buf out;

	assert_int_equal(config_parse("t.yaml", "", 0, &t.config, &e), 0);
	struct alerts_env env = { .config = t.config, .state_path = t.state };

	assert_int_equal(alerts_new(&env, &t.alerts, &e), 0);
	alerts_refused(t.alerts, "x", &why);
	tick();
	assert_int_equal(alerts_test(t.alerts, "x", NOW, &e), -ENOENT);
	buf_init(&out, 4096);
	assert_int_equal(alerts_write(t.alerts, &out), 0);
	assert_int_equal(buf_len(&out), strlen("{\"alerts\":[],\"fired\":[],\"dropped\":0}"));
	buf_done(&out);
	alerts_free(t.alerts);
	config_free(t.config);
	assert_int_equal(access(t.state, F_OK), -1);
}

/* ---- the book */

static void the_book_keeps_the_newest(void **state)
{
	struct book *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
	struct entry *x;
	struct jsonw w;
	struct buf text;

	assert_non_null(a);
	assert_non_null(b);
	assert_null(book_newest(a, 0));
	for (int i = 0; i < ALERT_KEPT + 50; i++) {
		x = book_add(a, "it is \"quoted\"", "{\"a\":1}", 7);
		assert_non_null(x);
		(void)snprintf(x->id, sizeof(x->id), "%d", i);
		(void)snprintf(x->alert, sizeof(x->alert), "ops");
		x->at_s = NOW + i;
		x->to[ALERT_SLACK].wanted = i % 2;
		x->to[ALERT_SLACK].report = (struct alert_report){ .state = ALERT_FAILED, .attempts = (unsigned)i, .error = "no", .at_ns = NOW * 1000000000 };
	}
	assert_string_equal(book_newest(a, 0)->id, "249");
	assert_null(book_newest(a, ALERT_KEPT));
	assert_null(book_find(a, "49"));
	assert_non_null(book_find(a, "50"));
	buf_init(&text, 1 << 20);
	jsonw_init(&w, &text);
	jsonw_object(&w, NULL);
	jsonw_array(&w, "fired");
	book_write(a, true, &w);
	jsonw_close(&w);
	jsonw_close(&w);
	assert_int_equal(jsonw_end(&w), 0);
	assert_int_equal(book_read(b, &text, "fired[]"), ALERT_KEPT);
	for (size_t i = 0; i < ALERT_KEPT; i++) {
		struct entry *p = book_newest(a, i), *q = book_newest(b, i);

		assert_string_equal(p->id, q->id);
		assert_string_equal(p->text, q->text);
		assert_string_equal(p->json, q->json);
		assert_int_equal(p->at_s, q->at_s);
		assert_int_equal(p->to[ALERT_SLACK].wanted, q->to[ALERT_SLACK].wanted);
		if (p->to[ALERT_SLACK].wanted)
			assert_int_equal(p->to[ALERT_SLACK].report.attempts, q->to[ALERT_SLACK].report.attempts);
		assert_false(q->to[ALERT_WEBHOOK].wanted);
	}
	buf_done(&text);
	book_done(a);
	book_done(b);
	free(a);
	free(b);
}

/* ---- words */

static void reads_well(void **state)
{
#define BASE .alert = "ops", .id = "1", .account = "bot", .zone = "Europe/Berlin", .now_s = NOW /* 12:00 there */
#define FIGURES .window = WINDOW_DAY, .limit = 25 * NANOUSD_PER_USD, .spent = 20 * NANOUSD_PER_USD + 10 * CENT, .held = 12 * CENT, \
		.start_s = NOW - 43200, .end_s = NOW + 43200
	static const struct {
		struct alert_fact f;
		const char *text;
	} cases[] = {
		{ { BASE, FIGURES, .kind = ALERT_THRESHOLD, .percent = 80 },
		  "bot: 80% of the day budget is spent: $20.10 of $25.00, $4.78 left; it begins anew at 2026-08-21 00:00 (Europe/Berlin)" },
		{ { BASE, FIGURES, .kind = ALERT_THRESHOLD, .percent = 100 },
		  "bot: the day budget is used up: $20.10 of $25.00 spent, new calls are refused; it begins anew at 2026-08-21 00:00 (Europe/Berlin)" },
		{ { BASE, FIGURES, .kind = ALERT_FORECAST, .used_up_s = NOW + 8400, .per_hour = 2 * NANOUSD_PER_USD },
		  "bot: at this rate the day budget is used up at 14:20, before the reset at 2026-08-21 00:00 (Europe/Berlin): $20.10 of $25.00 spent, "
		  "$2.00 an hour of late" },
		{ { BASE, .kind = ALERT_RULE, .count = 3, .why = { .reason = REFUSAL_RULE, .rule = "loop", .detail = "5 times" } },
		  "bot: a call was refused by the rule loop: 5 times (3 since the last alert)" },
		{ { BASE, .kind = ALERT_REFUSED, .count = 1, .why = { .reason = REFUSAL_BUDGET, .window = WINDOW_WEEK } },
		  "bot: a call was refused: it did not fit the week budget" },
		{ { BASE, .kind = ALERT_REFUSED, .count = 1, .why = { .reason = REFUSAL_PAUSED } }, "bot: a call was refused: paused" },
		{ { BASE, .kind = ALERT_OVERRUN, .count = 1 }, "1 call cost more than was held for it: " },
		{ { BASE, .kind = ALERT_LEDGER }, "the ledger cannot write: new calls are refused until it can" },
		{ { BASE, .kind = ALERT_GATE, .detail = "x" }, "the gate is not attached as it should be: x" },
		{ { BASE, .kind = ALERT_GATE, .detail = "x", .over = true }, "the gate is attached as it should be again" },
		{ { BASE, .kind = ALERT_TEST }, "this is a test of the alert \"ops\"" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[ALERT_TEXT_MAX];
		struct buf json;

		alert_say(&cases[i].f, text, sizeof(text));
		if (strncmp(text, cases[i].text, strlen(cases[i].text)) != 0)
			fail_msg("says   %s\nwanted %s", text, cases[i].text);
		buf_init(&json, ALERT_JSON_MAX);
		assert_int_equal(alert_write(&cases[i].f, text, &json), 0);
		assert_non_null(memmem(buf_ptr(&json), buf_len(&json), "\"alert\":\"ops\"", 13));
		buf_done(&json);
	}
}

/* Everything at its longest fits. */
static void has_bounds(void **state)
{
	char text[ALERT_TEXT_MAX], name[GATE_NAME_MAX], detail[1024];

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	memset(detail, '\x01', sizeof(detail));
	detail[sizeof(detail) - 1] = '\0';
	struct alert_fact f = { BASE, .limit = INT64_MAX / 2, .spent = INT64_MAX / 2, .held = 1, .end_s = NOW, .per_hour = INT64_MAX / 2,
				.used_up_s = NOW + 1, .count = UINT64_MAX, .why = { .reason = REFUSAL_RULE } };

	f.alert = f.account = name;
	f.detail = detail;
	memset(f.why.detail, '\x01', sizeof(f.why.detail) - 1);
	memset(f.why.rule, 'r', sizeof(f.why.rule) - 1);
	for (int k = 0; k < ALERT_KIND_COUNT; k++) {
		struct buf json;

		f.kind = (enum alert_kind)k;
		alert_say(&f, text, sizeof(text));
		buf_init(&json, ALERT_JSON_MAX);
		assert_int_equal(alert_write(&f, text, &json), 0);
		buf_done(&json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(told_once_over_restarts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(broken_state_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(health_has_a_begin_and_an_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refusals_by_account, set_up, tear_down),
		cmocka_unit_test_setup_teardown(accounts_that_go_are_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(none_at_all, set_up, tear_down),
		cmocka_unit_test(the_book_keeps_the_newest),
		cmocka_unit_test(reads_well),
		cmocka_unit_test(has_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
