// SPDX-License-Identifier: Apache-2.0
/* test_agents.c: the registry: what config and ledger make of it, changes, failures that take back, cgroups that come and go. */
#include "cm.h"

#include <stdlib.h>

#include "base/clock.h"
#include "ctl/agents.h"
#include "ctl/agents_flows.h"
#include "ctl/agents_own.h"
#include "ctl/config/config.h"
#include "fakes.h"

#define ACCOUNTS 64
#define HOLDS 16
#define NOW INT64_C(1787220000)

static struct gate_account rows[ACCOUNTS];
static struct gate_hold holds[HOLDS];
static struct config *config;
static struct budget *budget;
static struct agents *agents;
static uint32_t at;

static void fresh(void)
{
	memset(rows, 0, sizeof(rows));
	memset(holds, 0, sizeof(holds));
	memset(fake_agents, 0, sizeof(fake_agents));
	memset(fake_cgroups, 0, sizeof(fake_cgroups));
	memset(fake_spent, 0, sizeof(fake_spent));
	memset(fake_open, 0, sizeof(fake_open));
	fake_naccounts = fake_nledger_agents = fake_nchanges = fake_ledger_error = fake_enrol_error = 0;
}

/* A daemon's start over whatever ledger and gate hold now. */
static int start(const char *text, struct err *e)
{
	*e = (struct err){ "" };
	if (config_parse("t.yaml", text, strlen(text), &config, e) < 0)
		fail_msg("%s", e->text);
	assert_int_equal(budget_new(rows, ACCOUNTS, holds, HOLDS, &budget), 0);
	struct agents_env env = { .config = config, .budget = budget };
	int r = agents_new(&env, &agents, e);

	if (r == 0)
		r = agents_load(agents, NOW, e);
	if (r == 0) {
		budget_open(budget);
		r = agents_enrol(agents, e);
	}
	return r;
}

static void stop(void)
{
	agents_free(agents);
	budget_free(budget);
	config_free(config);
	agents = NULL;
}

static void must_start(const char *text)
{
	struct err e;

	if (start(text, &e) < 0)
		fail_msg("%s", e.text);
}

static const struct gate_agent *enrolled(const char *dir)
{
	static struct gate_agent a;
	uint64_t id = fake_cgroup_id(dir);

	return id && gate_find_agent(NULL, id, &a) == 0 ? &a : NULL;
}

static struct account_view view(const char *name)
{
	struct account_view v = { 0 };
	uint32_t i = budget_find(budget, name);

	if (i)
		assert_int_equal(budget_view(budget, i, NOW, &v), 0);
	return v;
}

static struct agent_change change(const char *name, bool is_agent)
{
	struct agent_change c = { .is_agent = is_agent };

	(void)snprintf(c.name, sizeof(c.name), "%s", name);
	return c;
}

#define TEAM "accounts: [{name: team, month: 500USD}]\n"
#define BOT "agents: [{name: bot, account: team, day: 25USD, on_exhausted: explain}]\n"

static void config_makes_agents(void **state)
{
	fresh();
	(void)snprintf(fake_spent[0].account, GATE_NAME_MAX, "bot");
	fake_spent[0].spent = 3 * NANOUSD_PER_USD;
	must_start(TEAM BOT);
	const struct gate_agent *a = enrolled("/cg/purse/bot");
	struct account_view bot = view("bot"), team = view("team");

	assert_non_null(a);
	assert_string_equal(a->name, "bot");
	assert_int_equal(a->account, budget_find(budget, "bot"));
	assert_int_equal(a->flags, GATE_AGENT_EXPLAIN);
	assert_string_equal(bot.parent, "team");
	assert_int_equal(bot.windows[WINDOW_DAY].limit, 25 * NANOUSD_PER_USD);
	assert_int_equal(bot.windows[WINDOW_DAY].spent, 3 * NANOUSD_PER_USD);
	assert_int_equal(team.windows[WINDOW_MONTH].spent, 3 * NANOUSD_PER_USD);
	assert_int_equal(fake_naccounts, 0); /* the config's are not the ledger's */
	stop();
}

static void cgroups_are_checked(void **state)
{
	struct err e;

	fresh();
	assert_true(start("cgroup_root: /elsewhere\n", &e) < 0);
	assert_non_null(strstr(e.text, "is not below the cgroup2 mount /cg"));
	stop();
	assert_true(start("cgroup_root: /cg/scratch\nagents: [{name: a, cgroup: /purse/a}]\n", &e) < 0);
	assert_non_null(strstr(e.text, "is not below cgroup_root \"/cg/scratch\""));
	stop();
	assert_true(start("cgroup_root: /cg/scratch\nagents: [{name: a, cgroup: /scratchy/a}]\n", &e) < 0);
	stop();
	must_start("cgroup_root: /cg/scratch\nagents: [{name: a}, {name: b, cgroup: /scratch/b}]\n");
	assert_non_null(enrolled("/cg/scratch/purse/a"));
	assert_non_null(enrolled("/cg/scratch/b"));
	stop();
	/* The default of one is what another one names. */
	assert_true(start("agents: [{name: a}, {name: b, cgroup: /purse/a}]\n", &e) < 0);
	assert_non_null(strstr(e.text, "is already that of agent \"a\""));
	stop();
}

static void run_time_agents_survive(void **state)
{
	struct agent_change c = change("tmp", true), g = change("group", false);
	struct err e = { "" };

	fresh();
	must_start(TEAM BOT);
	g.has_limit[WINDOW_DAY] = true;
	g.limits[WINDOW_DAY] = 9 * NANOUSD_PER_USD;
	g.has_parent = true;
	(void)snprintf(g.parent, sizeof(g.parent), "team");
	assert_int_equal(agents_add(agents, &g, "uid 0 pid 1", &e), 0);
	c.has_parent = c.has_floor = c.has_on_failure = c.fail_open = true;
	(void)snprintf(c.parent, sizeof(c.parent), "group");
	c.floor = 5;
	assert_int_equal(agents_add(agents, &c, "uid 0 pid 1", &e), 0);
	assert_int_equal(enrolled("/cg/purse/tmp")->flags, GATE_AGENT_FAIL_OPEN);
	assert_string_equal(fake_changes[0], "uid 0 pid 1: account add group none -> {\"day\":\"9.00\",\"parent\":\"team\"}");
	assert_string_equal(fake_changes[1], "uid 0 pid 1: agent add tmp none -> {\"account\":\"group\",\"exhausted_below\":\"0.000000005\","
					     "\"cgroup\":\"/purse/tmp\",\"on_exhausted\":\"refuse\",\"on_failure\":\"open\"}");
	assert_int_equal(agents_halt(agents, "bot", true, AGENT_PAUSE, "w", &at, &e), 0);
	assert_true(view("bot").paused);
	assert_int_equal(enrolled("/cg/purse/bot")->flags, GATE_AGENT_EXPLAIN | GATE_AGENT_PAUSED);
	stop();

	/* The next daemon: same ledger, same gate. What is paused stays paused, also what the config defines. */
	must_start(TEAM BOT);
	assert_string_equal(view("tmp").parent, "group");
	assert_int_equal(view("tmp").floor, 5);
	assert_int_equal(enrolled("/cg/purse/tmp")->flags, GATE_AGENT_FAIL_OPEN);
	assert_true(view("bot").paused);
	assert_int_equal(enrolled("/cg/purse/bot")->flags, GATE_AGENT_EXPLAIN | GATE_AGENT_PAUSED);
	assert_int_equal(agents_halt(agents, "bot", true, AGENT_RESUME, "w", &at, &e), 0);
	stop();

	/* Taken out of the config: gone, although the ledger has a row from the pause. Its enrolment goes too. */
	must_start("");
	assert_null(enrolled("/cg/purse/bot"));
	assert_int_equal(budget_find(budget, "bot"), 0);
	/* Its group lost the account above it, so it is paused rather than unlimited. */
	assert_true(view("group").paused);
	assert_string_equal(view("group").parent, "");
	assert_non_null(enrolled("/cg/purse/tmp"));
	stop();
}

static void adding_is_checked(void **state)
{
	struct {
		struct agent_change c;
		int ret;
		const char *text;
	} cases[] = {
		{ change("bot", true), -EEXIST, "the name is taken; change it with `purse agent set bot`" },
		{ change("team", true), -EEXIST, "the name is taken; change it with `purse account set team`" },
		{ change("a/b", true), -EINVAL, "is not a name" },
		{ change("none", false), -EINVAL, "reserved" },
		{ change("x", true), -ENOENT, "the account above it, \"zzz\", does not exist" },
		{ change("x", true), -EINVAL, "is not a cgroup path" },
		{ change("x", true), -EEXIST, "is already that of agent \"bot\"" },
	};
	struct err e;

	fresh();
	must_start(TEAM BOT);
	cases[4].c.has_parent = true;
	(void)snprintf(cases[4].c.parent, GATE_NAME_MAX, "zzz");
	cases[5].c.has_cgroup = cases[6].c.has_cgroup = true;
	(void)snprintf(cases[5].c.cgroup, 512, "/a/../../etc");
	(void)snprintf(cases[6].c.cgroup, 512, "/purse/bot");
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct agent_view v;

		e = (struct err){ "" };
		assert_int_equal(agents_add(agents, &cases[i].c, "w", &e), cases[i].ret);
		if (!strstr(e.text, cases[i].text))
			fail_msg("says %s, wanted %s", e.text, cases[i].text);
		assert_int_equal(agents_find(agents, "x", &v), -ENOENT);
		assert_int_equal(budget_find(budget, "x"), 0);
	}
	assert_int_equal(fake_nchanges, 0);
	stop();
}

static void what_cannot_be_recorded_is_not_made(void **state)
{
	struct agent_change c = change("x", true), s = change("bot", true);
	struct agent_view v;
	struct err e = { "" };

	fresh();
	must_start(TEAM BOT);
	fake_ledger_error = -EIO;
	assert_int_equal(agents_add(agents, &c, "w", &e), -EIO);
	assert_int_equal(agents_find(agents, "x", &v), -ENOENT);
	assert_null(enrolled("/cg/purse/x"));
	assert_int_equal(budget_find(budget, "x"), 0);
	s.has_limit[WINDOW_DAY] = true;
	s.limits[WINDOW_DAY] = 1000 * NANOUSD_PER_USD;
	assert_int_equal(agents_set(agents, &s, "w", NULL, 0, &e), -EIO);
	assert_int_equal(view("bot").windows[WINDOW_DAY].limit, 25 * NANOUSD_PER_USD);
	assert_int_equal(agents_halt(agents, "bot", true, AGENT_PAUSE, "w", &at, &e), -EIO);
	assert_false(view("bot").paused);
	assert_int_equal(enrolled("/cg/purse/bot")->flags, GATE_AGENT_EXPLAIN);
	assert_int_equal(agents_remove(agents, "bot", true, "w", NULL, 0, &e), -EIO);
	assert_non_null(enrolled("/cg/purse/bot"));
	assert_int_equal(enrolled("/cg/purse/bot")->account, budget_find(budget, "bot"));
	assert_false(view("bot").paused);
	fake_ledger_error = 0;

	fake_enrol_error = -E2BIG;
	assert_true(agents_add(agents, &c, "w", &e) < 0);
	assert_non_null(strstr(e.text, "cannot be enrolled"));
	assert_int_equal(budget_find(budget, "x"), 0);
	assert_int_equal(fake_nchanges, 0);
	stop();
}

static void setting_and_moving(void **state)
{
	struct agent_change s = change("bot", true), l = change("team", false);
	char note[128];
	struct err e = { "" };

	fresh();
	must_start(TEAM BOT);
	s.has_limit[WINDOW_DAY] = true;
	s.limits[WINDOW_DAY] = GATE_NO_LIMIT;
	s.has_on_exhausted = s.has_cgroup = true;
	(void)snprintf(s.cgroup, sizeof(s.cgroup), "/other");
	assert_int_equal(agents_set(agents, &s, "w", note, sizeof(note), &e), 0);
	assert_non_null(strstr(note, "config file"));
	assert_false(view("bot").windows[WINDOW_DAY].limited);
	assert_null(enrolled("/cg/purse/bot"));
	assert_int_equal(enrolled("/cg/other")->flags, 0);
	assert_int_equal(agents_set(agents, &l, "w", note, sizeof(note), &e), 0);
	/* Loops and wrong kinds. */
	l.has_parent = true;
	(void)snprintf(l.parent, sizeof(l.parent), "bot");
	assert_int_equal(agents_set(agents, &l, "w", note, sizeof(note), &e), -ELOOP);
	assert_string_equal(view("team").parent, "");
	l.is_agent = true;
	assert_int_equal(agents_set(agents, &l, "w", note, sizeof(note), &e), -ENOENT);
	assert_non_null(strstr(e.text, "but an account of that name does"));
	stop();
}

static void removing(void **state)
{
	struct hold_request h = { .amount = 5, .now_ns = NOW * 1000000000, .comm = "", .model = "", .provider_name = "" };
	struct refusal why;
	struct err e = { "" };
	uint32_t slot;
	uint64_t id;

	fresh();
	must_start(TEAM BOT);
	assert_int_equal(agents_remove(agents, "team", false, "w", NULL, 0, &e), -EBUSY);
	assert_non_null(strstr(e.text, "below it"));
	assert_false(view("team").paused);
	h.account = budget_find(budget, "bot");
	assert_int_equal(budget_hold(budget, &h, &slot, &id, &why), 0);
	assert_int_equal(agents_remove(agents, "bot", true, "w", NULL, 0, &e), -EBUSY);
	assert_non_null(enrolled("/cg/purse/bot"));
	assert_int_equal(enrolled("/cg/purse/bot")->flags, GATE_AGENT_EXPLAIN);
	assert_false(view("bot").paused);
	budget_release(budget, slot);
	assert_int_equal(agents_remove(agents, "bot", true, "w", NULL, 0, &e), 0);
	assert_null(enrolled("/cg/purse/bot"));
	/* Its last row in the gate denied: between the account's end and its own nobody connected on a number without an owner. */
	for (int i = 0; i < FAKE_MAX; i++)
		if (strcmp(fake_agents[i].agent.name, "bot") == 0)
			assert_true(fake_agents[i].agent.flags & GATE_AGENT_PAUSED);
	assert_int_equal(budget_find(budget, "bot"), 0);
	assert_int_equal(agents_remove(agents, "team", false, "w", NULL, 0, &e), 0);
	assert_int_equal(agents_remove(agents, "team", false, "w", NULL, 0, &e), -ENOENT);
	assert_int_equal(budget_check(budget, &e), 0);
	stop();
}

static void cgroups_come_and_go(void **state)
{
	struct agent_view v;

	fresh();
	must_start(BOT TEAM);
	uint64_t first = fake_cgroup_id("/cg/purse/bot");

	agents_watch(agents);
	assert_non_null(enrolled("/cg/purse/bot"));
	fake_cgroup_vanish("/cg/purse/bot");
	agents_watch(agents);
	assert_int_equal(agents_find(agents, "bot", &v), 0);
	assert_true(v.missing);
	assert_int_equal(gate_find_agent(NULL, first, &(struct gate_agent){ 0 }), -ENOENT);
	agents_watch(agents);
	/* A service manager makes it again: the same agent under a new id. */
	assert_int_equal(cgroup_make("/cg/purse/bot", NULL), 0);
	agents_watch(agents);
	assert_non_null(enrolled("/cg/purse/bot"));
	assert_int_equal(agents_find(agents, "bot", &v), 0);
	assert_false(v.missing);
	assert_true(v.cgroup_id != first);
	/* Gone and back between two looks. */
	fake_cgroup_vanish("/cg/purse/bot");
	assert_int_equal(cgroup_make("/cg/purse/bot", NULL), 0);
	uint64_t second = v.cgroup_id;

	agents_watch(agents);
	assert_non_null(enrolled("/cg/purse/bot"));
	assert_int_equal(gate_find_agent(NULL, second, &(struct gate_agent){ 0 }), -ENOENT);
	stop();
}

/* ---- connections past the egress */

/* A daemon without descriptors cannot look: expelled for that, an agent would go where it likes. */
static void what_cannot_be_looked_at_is_not_gone(void **state)
{
	static const int errors[] = { EMFILE, ENFILE, ENOMEM, EACCES };

	fresh();
	must_start(BOT TEAM);
	for (size_t i = 0; i < COUNT(errors); i++) {
		fake_cgroup_error = errors[i];
		agents_watch(agents);
		agents_watch(agents);
		fake_cgroup_error = 0;
		assert_non_null(enrolled("/cg/purse/bot"));
	}
	fake_cgroup_vanish("/cg/purse/bot");
	fake_cgroup_error = EMFILE;
	agents_watch(agents);
	fake_cgroup_error = 0;
	agents_watch(agents);
	assert_int_equal(cgroup_make("/cg/purse/bot", NULL), 0);
	agents_watch(agents);
	assert_non_null(enrolled("/cg/purse/bot"));
	stop();
}

static void set_open(const char *dir, size_t n)
{
	(void)snprintf(fake_open[0].dir, sizeof(fake_open[0].dir), "%s", dir);
	fake_open[0].open = n;
}

static char ended[256];

static void note_ended(void *ctx, const char *agent, uint64_t cgroup_id, size_t n)
{
	/* First the gate knows, then they are ended. */
	assert_int_equal(gate_find_agent(NULL, cgroup_id, &(struct gate_agent){ 0 }), 0);
	(void)snprintf(ended, sizeof(ended), "%s:%zu", agent, n);
}

static void hear_of_ended(void)
{
	const struct flows_calls calls = { .ended = note_ended };

	ended[0] = '\0';
	agents_tell(agents, &calls);
}

static void old_connections_end(void **state)
{
	struct agent_change late = change("late", true), moved = change("late", true);
	struct err e = { "" };

	fresh();
	must_start(TEAM BOT);
	hear_of_ended();
	set_open("/cg/purse/late", 2);
	assert_int_equal(agents_add(agents, &late, "w", &e), 0);
	assert_string_equal(ended, "late:2");
	assert_true(agents_ticket(agents) > 0);
	assert_true(agents_is_over(agents, agents_ticket(agents)));

	moved.has_cgroup = true;
	(void)snprintf(moved.cgroup, sizeof(moved.cgroup), "/elsewhere");
	set_open("/cg/elsewhere", 3);
	assert_int_equal(agents_set(agents, &moved, "w", NULL, 0, &e), 0);
	assert_string_equal(ended, "late:3");

	/* Made anew under the same path: another cgroup. */
	fake_cgroup_vanish("/cg/elsewhere");
	assert_int_equal(cgroup_make("/cg/elsewhere", NULL), 0);
	set_open("/cg/elsewhere", 4);
	agents_watch(agents);
	assert_string_equal(ended, "late:4");
	stop();
}

static void halting_ends_them_of_all_below(void **state)
{
	struct agent_change inner = change("inner", false), leaf = change("leaf", true);
	struct err e = { "" };

	fresh();
	must_start(TEAM BOT);
	inner.has_parent = leaf.has_parent = true;
	(void)snprintf(inner.parent, sizeof(inner.parent), "team");
	(void)snprintf(leaf.parent, sizeof(leaf.parent), "inner");
	assert_int_equal(agents_add(agents, &inner, "w", &e), 0);
	assert_int_equal(agents_add(agents, &leaf, "w", &e), 0);
	hear_of_ended();
	set_open("/cg/purse/leaf", 2);
	assert_int_equal(agents_halt(agents, "bot", true, AGENT_PAUSE, "w", &at, &e), 0);
	assert_string_equal(ended, "");
	assert_int_equal(agents_halt(agents, "team", false, AGENT_KILL, "w", &at, &e), 0);
	assert_string_equal(ended, "leaf:2");
	set_open("/cg/purse/bot", 5);
	assert_int_equal(agents_halt(agents, "bot", true, AGENT_RESUME, "w", &at, &e), 0);
	assert_string_equal(ended, "leaf:2");
	assert_int_equal(agents_halt(agents, "bot", true, AGENT_PAUSE, "w", &at, &e), 0);
	assert_string_equal(ended, "bot:5");
	stop();
}

static void look_again(void)
{
	/* Rounds leave a pause, of a hundred times what the last took: nothing here. */
	for (int i = 0; i < 1000 && ended[0] == '\0'; i++)
		agents_watch(agents);
}

static void rounds_follow_the_gate(void **state)
{
	struct agent_view v;

	fresh();
	must_start(TEAM BOT);
	hear_of_ended();
	set_open("/cg/purse/bot", 1);
	look_again(); /* the first is at all */
	assert_string_equal(ended, "bot:1");
	/* Nothing new: none. */
	ended[0] = '\0';
	set_open("/cg/purse/bot", 2);
	int before = fake_looks;

	for (int i = 0; i < 10; i++)
		agents_watch(agents);
	assert_int_equal(fake_looks, before);
	/* But once a minute: what was passed in says nothing. */
	agents->rounded_ns -= 61 * INT64_C(1000000000);
	look_again();
	assert_string_equal(ended, "bot:2");
	ended[0] = '\0';
	set_open("/cg/purse/bot", 2);
	/* An address came to the endpoints, or nobody had served. */
	fake_old_epoch++;
	look_again();
	assert_string_equal(ended, "bot:2");
	/* The gate dropped a packet of it. Of a cgroup that nobody knows: nothing. */
	ended[0] = '\0';
	set_open("/cg/purse/bot", 3);
	assert_int_equal(agents_find(agents, "bot", &v), 0);
	before = fake_looks;
	agents_saw_drop(agents, v.cgroup_id + 1000);
	assert_int_equal(fake_looks, before);
	agents_saw_drop(agents, v.cgroup_id);
	look_again();
	assert_string_equal(ended, "bot:3");
	/* A flood of them is one look until the next time. */
	agents_watch(agents);
	ended[0] = '\0';
	before = fake_looks;
	for (int i = 0; i < 10000; i++)
		agents_saw_drop(agents, v.cgroup_id);
	assert_true(fake_looks <= before + 1);
	stop();
}

static void temporary_ones_go_with_their_cgroup(void **state)
{
	struct agent_change c = change("run-1", true), d = change("run-2", true);
	struct err e = { "" };

	fresh();
	must_start("");
	c.temporary = d.temporary = true;
	assert_int_equal(agents_add(agents, &c, "w", &e), 0);
	assert_int_equal(agents_add(agents, &d, "w", &e), 0);
	stop();
	/* The machine went down in between: one cgroup is still there, one is not. */
	fake_cgroup_vanish("/cg/purse/run-2");
	must_start("");
	assert_non_null(enrolled("/cg/purse/run-1"));
	assert_int_equal(budget_find(budget, "run-2"), 0);
	assert_int_equal(fake_cgroup_id("/cg/purse/run-2"), 0);
	assert_int_equal(fake_nledger_agents, 1);
	assert_int_equal(fake_naccounts, 1);
	stop();
}

static void strangers_in_the_gate_are_expelled(void **state)
{
	struct gate_agent old = { .name = "old" }, bot = { .name = "bot" };

	fresh();
	for (uint64_t id = 1; id < 50; id++)
		assert_int_equal(gate_enrol(NULL, 1000 + id, id % 2 ? &old : &bot), 0);
	must_start(TEAM BOT);
	int left = 0;

	for (int i = 0; i < FAKE_MAX; i++)
		left += fake_agents[i].id != 0;
	assert_int_equal(left, 1);
	assert_non_null(enrolled("/cg/purse/bot"));
	stop();
}

#define TERMS "timezone: Europe/Berlin\nresets_at: '06:00'\n"

static void windows_rules_and_clamp(void **state)
{
	struct agent_change c = change("tmp", true), s = change("bot", true);
	const struct account_spec *spec;
	struct err e = { "" };

	fresh();
	must_start(TERMS TEAM "agents: [{name: bot, day: 25USD, clamp: true, rules: {requests_per_minute: 60, loop: {times: 5, within: 1m}, "
		   "dry_run: [loop]}}, {name: ny, timezone: America/New_York, resets_at: '00:00'}]\n");
	spec = agents_spec(agents, "bot");
	assert_string_equal(spec->zone, "Europe/Berlin");
	assert_int_equal(spec->reset_minute, 360);
	assert_true(spec->clamp);
	assert_int_equal(spec->rules.requests_per_minute, 60);
	assert_int_equal(spec->rules.loop_within_s, 60);
	assert_string_equal(agents_spec(agents, "ny")->zone, "America/New_York");
	assert_int_equal(agents_spec(agents, "ny")->reset_minute, 0);
	assert_string_equal(agents_spec(agents, "team")->zone, "Europe/Berlin");

	/* What is made at run time begins with the config's. */
	assert_int_equal(agents_add(agents, &c, "w", &e), 0);
	assert_string_equal(agents_spec(agents, "tmp")->zone, "Europe/Berlin");
	assert_int_equal(agents_spec(agents, "tmp")->reset_minute, 360);

	/* A change names what changes; the rest stays, also within rules. */
	s.has_rules = s.has_zone = s.has_resets_at = true;
	(void)snprintf(s.rules, sizeof(s.rules), "{\"per_call\":\"0.50\",\"loop\":{\"within\":\"5m\"},\"models\":{\"deny\":[\"*-pro\"]}}");
	(void)snprintf(s.zone, sizeof(s.zone), "UTC");
	(void)snprintf(s.resets_at, sizeof(s.resets_at), "23:59");
	fake_nchanges = 0;
	assert_int_equal(agents_set(agents, &s, "w", NULL, 0, &e), 0);
	spec = agents_spec(agents, "bot");
	assert_int_equal(spec->rules.requests_per_minute, 60);
	assert_int_equal(spec->rules.loop_times, 5);
	assert_int_equal(spec->rules.loop_within_s, 300);
	assert_int_equal(spec->rules.per_call, 500000000);
	assert_int_equal(spec->rules.ndeny, 1);
	assert_int_equal(spec->reset_minute, 23 * 60 + 59);
	assert_non_null(strstr(fake_changes[0], "w: agent set bot {\"timezone\":\"Europe/Berlin\",\"resets_at\":\"06:00\",\"rules\":{"));
	assert_non_null(strstr(fake_changes[0], "-> {\"timezone\":\"UTC\",\"resets_at\":\"23:59\",\"rules\":{"));
	(void)snprintf(s.rules, sizeof(s.rules), "{\"loop\":null,\"models\":{\"deny\":null},\"dry_run\":null}");
	assert_int_equal(agents_set(agents, &s, "w", NULL, 0, &e), 0);
	assert_int_equal(spec->rules.loop_times, 0);
	assert_int_equal(spec->rules.ndeny, 0);
	assert_int_equal(spec->rules.requests_per_minute, 60);
	s.rules[0] = '\0';
	assert_int_equal(agents_set(agents, &s, "w", NULL, 0, &e), 0);
	assert_false(rules_any(&spec->rules));

	/* Nothing of a change that is refused stays. */
	(void)snprintf(s.zone, sizeof(s.zone), "Mars/Base");
	assert_int_equal(agents_set(agents, &s, "w", NULL, 0, &e), -EINVAL);
	assert_non_null(strstr(e.text, "\"Mars/Base\" is not a time zone that this machine knows"));
	(void)snprintf(s.zone, sizeof(s.zone), "Asia/Tokyo");
	(void)snprintf(s.rules, sizeof(s.rules), "{\"loop\":{\"times\":5}}");
	assert_int_equal(agents_set(agents, &s, "w", NULL, 0, &e), -EINVAL);
	assert_non_null(strstr(e.text, "agent \"bot\": rules: loop"));
	assert_string_equal(agents_spec(agents, "bot")->zone, "UTC");
	stop();
}

static void raises(void **state)
{
	struct agent_raise r = { .name = "bot", .is_agent = true };
	int64_t now = clock_realtime_ns() / 1000000000;
	struct account_view v;
	struct err e = { "" };

	fresh();
	must_start(TEAM BOT);
	r.raise[WINDOW_DAY] = 10 * NANOUSD_PER_USD;
	r.until_s = now - 1;
	assert_int_equal(agents_raise(agents, &r, "w", &e), -EINVAL);
	r.until_s = now + 400 * 86400;
	assert_int_equal(agents_raise(agents, &r, "w", &e), -EINVAL);
	r.until_s = now + 3600;
	r.raise[WINDOW_WEEK] = 1;
	assert_int_equal(agents_raise(agents, &r, "w", &e), -EINVAL);
	assert_non_null(strstr(e.text, "agent \"bot\": has no week limit that could be raised"));
	r.raise[WINDOW_WEEK] = 0;
	assert_int_equal(agents_raise(agents, &r, "uid 0 pid 1", &e), 0);
	assert_non_null(strstr(fake_changes[0], "uid 0 pid 1: agent raise bot {\"raise\":null} -> {\"raise\":{\"day\":\"10.00\",\"until\":\""));
	assert_int_equal(budget_view(budget, budget_find(budget, "bot"), now, &v), 0);
	assert_int_equal(v.windows[WINDOW_DAY].limit, 35 * NANOUSD_PER_USD);
	assert_int_equal(v.raise_until_s, now + 3600);
	stop();

	/* It is somebody's decision that a restart does not undo, also over the config. */
	must_start(TEAM BOT);
	assert_int_equal(agents_spec(agents, "bot")->raise_until_s, now + 3600);
	assert_int_equal(budget_view(budget, budget_find(budget, "bot"), now, &v), 0);
	assert_int_equal(v.windows[WINDOW_DAY].limit, 35 * NANOUSD_PER_USD);
	/* Taken back before its time, once. */
	r.until_s = 0;
	assert_int_equal(agents_raise(agents, &r, "w", &e), 0);
	assert_int_equal(agents_raise(agents, &r, "w", &e), -EINVAL);
	assert_non_null(strstr(e.text, "no raise is on"));
	assert_int_equal(budget_view(budget, budget_find(budget, "bot"), now, &v), 0);
	assert_int_equal(v.windows[WINDOW_DAY].limit, 25 * NANOUSD_PER_USD);
	stop();

	/* One that is over by the next start is taken down by the watch, with a line in the trail. */
	fake_accounts[0].raise[WINDOW_DAY] = 5;
	fake_accounts[0].raise_until_s = now - 5;
	must_start(TEAM BOT);
	fake_nchanges = 0;
	agents_watch(agents);
	assert_int_equal(agents_spec(agents, "bot")->raise_until_s, 0);
	assert_non_null(strstr(fake_changes[0], "purse: agent raise bot {\"raise\":{"));
	stop();

	/* Out of the config: the account that the ledger kept for the raise does not come back as one of ours. */
	must_start(TEAM);
	assert_int_equal(budget_find(budget, "bot"), 0);
	stop();
}

static void groups_are_halted_too(void **state)
{
	struct agent_change g = change("group", false);
	struct err e = { "" };

	fresh();
	must_start(TEAM BOT);
	assert_int_equal(agents_add(agents, &g, "w", &e), 0);
	assert_int_equal(agents_halt(agents, "team", false, AGENT_KILL, "w", &at, &e), 0);
	assert_int_equal(at, budget_find(budget, "team"));
	assert_non_null(strstr(fake_changes[1], "w: account kill team {\"paused\":false} -> {\"paused\":true}"));
	assert_int_equal(agents_halt(agents, "group", false, AGENT_PAUSE, "w", &at, &e), 0);
	assert_int_equal(agents_halt(agents, "bot", false, AGENT_PAUSE, "w", &at, &e), -ENOENT);
	stop();
	must_start(TEAM BOT);
	assert_true(view("team").paused);
	assert_true(view("group").paused);
	assert_false(view("bot").paused);
	assert_int_equal(agents_halt(agents, "team", false, AGENT_RESUME, "w", &at, &e), 0);
	stop();
	must_start(TEAM BOT);
	assert_false(view("team").paused);
	/* A group that is ours under a name that the config once had is no shadow of that. */
	stop();
	must_start("");
	struct agent_change t = change("team", false);

	assert_int_equal(budget_find(budget, "team"), 0);
	assert_int_equal(agents_add(agents, &t, "w", &e), 0);
	stop();
	must_start("");
	assert_true(budget_find(budget, "team") != 0);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_makes_agents),
		cmocka_unit_test(cgroups_are_checked),
		cmocka_unit_test(run_time_agents_survive),
		cmocka_unit_test(adding_is_checked),
		cmocka_unit_test(what_cannot_be_recorded_is_not_made),
		cmocka_unit_test(setting_and_moving),
		cmocka_unit_test(removing),
		cmocka_unit_test(cgroups_come_and_go),
		cmocka_unit_test(what_cannot_be_looked_at_is_not_gone),
		cmocka_unit_test(old_connections_end),
		cmocka_unit_test(halting_ends_them_of_all_below),
		cmocka_unit_test(rounds_follow_the_gate),
		cmocka_unit_test(temporary_ones_go_with_their_cgroup),
		cmocka_unit_test(strangers_in_the_gate_are_expelled),
		cmocka_unit_test(windows_rules_and_clamp),
		cmocka_unit_test(raises),
		cmocka_unit_test(groups_are_halted_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
