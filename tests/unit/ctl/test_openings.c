// SPDX-License-Identifier: Apache-2.0
/* test_openings.c: what agents hold is told once per agent and way, forgotten with the agent, and at hand; a look that is on does not hold up the end. */
#include "cm.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/loop.h"
#include "ctl/agents.h"
#include "ctl/config/config.h"
#include "ctl/events.h"
#include "ctl/openings.h"
#include "ctl_abi.h"
#include "fakes.h"

/* ---- instead of kern/caps.c: what the test says */
static struct {
	char dir[64];
	uint32_t ways;
} held[4];
static _Atomic int looks;
static _Atomic bool is_slow;

const struct caps_way_row *caps_way(enum caps_way w)
{
	static const struct caps_way_row rows[CAPS_WAY_COUNT] = {
		{ "open-0", "CAP_0", "text 0", 1 }, { "open-1", "CAP_1", "text 1", 2 }, { "open-2", "CAP_2", "text 2", 4 }, { "open-3", "CAP_3", "text 3", 8 },
		{ "open-4", "CAP_4", "text 4", 16 }, { "open-5", "CAP_5", "text 5", 32 }, { "open-6", "CAP_6", "text 6", 0 },
	};

	return &rows[w];
}

void caps_look(struct caps_agent *a, bool has_lsm, const _Atomic bool *stop)
{
	assert_string_equal(a->dir + strlen(a->dir) - strlen(a->cgroup), a->cgroup);
	looks++;
	while (is_slow && !*stop)
		(void)usleep(1000);
	a->ways = 0;
	for (size_t i = 0; i < COUNT(held); i++)
		if (strcmp(held[i].dir, a->dir) == 0)
			a->ways = held[i].ways;
	for (int w = 0; w < CAPS_WAY_COUNT; w++) {
		a->by[w].pid = 100 + w;
		(void)snprintf(a->by[w].comm, sizeof(a->by[w].comm), "p%d", w);
	}
}

static const char config_text[] = "agents: [{name: a, day: 1USD}, {name: b, day: 1USD}, {name: c, day: 1USD}]\n";
static struct gate_account rows[64];
static struct gate_hold holds[8];
static struct config *config;
static struct budget *budget;
static struct agents *agents;
static struct events *events;
static struct loop *loop;
static struct loop_timer *timer;
static struct openings *o;

static void stop(void *ctx)
{
	loop_stop(loop);
}

/* So many looks at three agents, and what comes of them. */
static void turn(int rounds)
{
	for (int target = looks + 3 * rounds; looks < target;) {
		loop_timer_set(timer, 20);
		loop_run(loop);
	}
	loop_timer_set(timer, 50);
	loop_run(loop);
}

static int set_up(void **state)
{
	struct err e = { "" };

	memset(held, 0, sizeof(held));
	assert_int_equal(config_parse("t.yaml", config_text, strlen(config_text), &config, &e), 0);
	assert_int_equal(budget_new(rows, 64, holds, 8, &budget), 0);
	struct agents_env env = { .config = config, .budget = budget };

	assert_int_equal(agents_new(&env, &agents, &e), 0);
	assert_int_equal(agents_load(agents, 1787220000, &e), 0);
	budget_open(budget);
	assert_int_equal(agents_enrol(agents, &e), 0);
	assert_int_equal(events_new(NULL, NULL, &events, &e), 0);
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(loop_timer_new(loop, stop, NULL, &timer), 0);
	assert_int_equal(openings_new(loop, agents, events, false, 10, &o, &e), 0);
	return 0;
}

static int tear_down(void **state)
{
	openings_free(o);
	loop_timer_free(timer);
	loop_free(loop);
	events_free(events);
	agents_free(agents);
	budget_free(budget);
	config_free(config);
	return 0;
}

static void hold(int i, const char *agent, uint32_t ways)
{
	(void)snprintf(held[i].dir, sizeof(held[i].dir), "/cg/purse/%s", agent);
	held[i].ways = ways;
}

static int told(const char *line)
{
	struct buf out;
	int n = 0;

	buf_init(&out, 1 << 20);
	assert_int_equal(events_write(events, CTL_EVENTS_KEPT, &out), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	for (const char *p = buf_ptr(&out); (p = strstr(p, line)); p++)
		n++;
	buf_done(&out);
	return n;
}

static void each_is_told_once(void **state)
{
	assert_null(openings_find(o, "a"));
	hold(0, "a", 1 | 4);
	turn(1);
	const struct caps_agent *found = openings_find(o, "a");

	assert_non_null(found);
	assert_int_equal(found->ways, 5);
	assert_int_equal(found->by[2].pid, 102);
	assert_null(openings_find(o, "b"));
	assert_null(openings_find(o, "nobody"));
	assert_null(openings_find(NULL, "a"));
	assert_int_equal(told("\"reason\":\"open-"), 2);
	assert_int_equal(told("\"reason\":\"open-2\",\"text\":\"text 2\",\"agent\":\"a\""), 1);
	assert_int_equal(told("\"pid\":102,\"comm\":\"p2\""), 1);
	/* Not again, neither when it goes on nor when it comes back; but what is new. */
	turn(1);
	hold(0, "a", 0);
	turn(1);
	assert_null(openings_find(o, "a"));
	hold(0, "a", 1 | 2 | 4);
	hold(1, "b", 4);
	turn(1);
	assert_int_equal(told("\"reason\":\"open-"), 4);
	assert_int_equal(told("\"reason\":\"open-1\",\"text\":\"text 1\",\"agent\":\"a\""), 1);
	assert_int_equal(told("\"agent\":\"b\""), 1);
	assert_int_equal(told("\"count\":1"), 4);
}

static void another_cgroup_is_another_agent(void **state)
{
	hold(0, "a", 1);
	turn(1);
	fake_cgroup_vanish("/cg/purse/a");
	agents_watch(agents);
	hold(1, "b", 0);
	int n = looks;

	while (looks < n + 2)
		turn(0);
	turn(0);
	assert_null(openings_find(o, "a"));
	assert_int_equal(cgroup_make("/cg/purse/a", NULL), 0);
	agents_watch(agents);
	turn(1);
	assert_non_null(openings_find(o, "a"));
	/* Told anew. */
	assert_int_equal(told("\"agent\":\"a\""), 2);
}

static void a_look_does_not_hold_up_the_end(void **state)
{
	is_slow = true;
	while (!looks)
		turn(0);
	openings_free(o);
	o = NULL;
	is_slow = false;
}

static int reset(void **state)
{
	looks = 0;
	return set_up(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_is_told_once, reset, tear_down),
		cmocka_unit_test_setup_teardown(another_cgroup_is_another_agent, reset, tear_down),
		cmocka_unit_test_setup_teardown(a_look_does_not_hold_up_the_end, reset, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
