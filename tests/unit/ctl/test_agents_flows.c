// SPDX-License-Identifier: Apache-2.0
/* test_agents_flows.c: looks for old connections beside a loop that goes on turning: who comes first, what is told, what stops. */
#include "cm.h"

#include <stdlib.h>

#include "base/loop.h"
#include "ctl/agents_flows.h"
#include "fakes.h"

static struct loop *loop;
static struct flows *flows;
static struct loop_timer *timer;
static int turns;
static char told[4096];
static int overs;

static void note_ended(void *ctx, const char *agent, uint64_t cgroup_id, size_t n)
{
	size_t used = strlen(told);

	(void)snprintf(told + used, sizeof(told) - used, "%s/%llu:%zu ", agent, (unsigned long long)cgroup_id, n);
}

static void note_over(void *ctx)
{
	overs++;
}

static void set_open(int place, const char *dir, size_t n)
{
	(void)snprintf(fake_open[place].dir, sizeof(fake_open[0].dir), "%s", dir);
	fake_open[place].open = n;
}

/* Turns until cond() says yes. */
static bool (*cond)(void);

static void on_turn(void *ctx)
{
	turns++;
	if (cond())
		loop_stop(loop);
	else
		loop_timer_set(timer, 1);
}

static void turn_until(bool (*fn)(void))
{
	cond = fn;
	loop_timer_set(timer, 0);
	loop_run(loop);
}

static int set_up(void **state)
{
	const struct flows_calls calls = { .ended = note_ended, .over = note_over };
	struct err e = { "" };

	memset(fake_open, 0, sizeof(fake_open));
	fake_looks_held = fake_look_waits = false;
	fake_looks = fake_looked_at = turns = overs = 0;
	told[0] = '\0';
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(loop_timer_new(loop, on_turn, NULL, &timer), 0);
	assert_int_equal(flows_new(NULL, loop, &flows, &e), 0);
	flows_tell(flows, &calls);
	return 0;
}

static int tear_down(void **state)
{
	fake_looks_held = false;
	flows_free(flows);
	loop_timer_free(timer);
	loop_free(loop);
	return 0;
}

static bool is_held(void) { return fake_look_waits; }
static bool has_turned(void) { return turns >= 50; }
static bool is_over(void) { return flows_is_over(flows, flows_last(flows)) && overs > 0; }
static bool has_told_c(void) { return strstr(told, "c/3") != NULL; }
static bool has_told_999(void) { return strstr(told, "999/") != NULL; }

static void the_loop_turns_while_a_look_is_held_up(void **state)
{
	set_open(0, "/cg/late", 3);
	fake_looks_held = true;
	flows_end(flows, "late", "/cg/late", 7, FLOWS_ENROLLED);
	uint64_t ticket = flows_last(flows);

	turn_until(is_held);
	turns = 0;
	turn_until(has_turned);
	assert_false(flows_is_over(flows, ticket));
	assert_string_equal(told, "");
	fake_looks_held = false;
	turn_until(is_over);
	assert_string_equal(told, "late/7:3 ");
	assert_true(flows_is_over(flows, 0));
}

static void what_comes_meanwhile_is_one_look(void **state)
{
	set_open(0, "/cg/a", 1);
	set_open(1, "/cg/b", 2);
	set_open(2, "/cg/c", 4);
	fake_looks_held = true;
	flows_end(flows, "a", "/cg/a", 1, FLOWS_ENROLLED);
	turn_until(is_held);
	uint64_t first = flows_last(flows);

	flows_end(flows, "c", "/cg/c", 3, FLOWS_ROUND);
	assert_int_equal(flows_last(flows), first); /* nobody waits for it */
	flows_end(flows, "b", "/cg/b", 2, FLOWS_ENROLLED);
	flows_end(flows, "a", "/cg/a", 1, FLOWS_HALTED);
	assert_int_equal(flows_last(flows), first + 2);
	assert_false(flows_may_begin_round(flows));
	fake_looks_held = false;
	turn_until(has_told_c);
	/* a; b with a again; the round. */
	assert_int_equal(fake_looks, 3);
	assert_int_equal(fake_looked_at, 4);
	assert_string_equal(told, "a/1:1 b/2:2 c/3:4 ");
}

static void a_round_is_looked_at_in_parts_and_who_waits_comes_between(void **state)
{
	char dir[32];

	fake_looks_held = true;
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(dir, sizeof(dir), "/cg/%d", i);
		flows_end(flows, dir + 4, dir, 1000 + (uint64_t)i, FLOWS_ROUND);
	}
	turn_until(is_held);
	flows_end(flows, "urgent", "/cg/urgent", 5, FLOWS_ENROLLED);
	int before = fake_looked_at;

	set_open(0, "/cg/urgent", 1);
	set_open(1, "/cg/999", 1);
	fake_looks_held = false;
	turn_until(has_told_999);
	assert_true(before <= 256);
	assert_int_equal(fake_looked_at, 1001);
	/* Not after the whole round. */
	assert_string_equal(told, "urgent/5:1 999/1999:1 ");
}

/* What one agent has in plenty takes nobody else's place; and it is not tried for ever. */
static void who_had_no_room_is_looked_at_alone(void **state)
{
	fake_looks_held = true;
	flows_end(flows, "first", "/cg/first", 1, FLOWS_ENROLLED);
	turn_until(is_held);
	flows_end(flows, "crowd", "/cg/crowd", 2, FLOWS_ENROLLED);
	flows_end(flows, "crowded", "/cg/crowded", 3, FLOWS_ENROLLED);
	flows_end(flows, "b", "/cg/b", 4, FLOWS_ENROLLED);
	set_open(0, "/cg/b", 1);
	fake_looks_held = false;
	turn_until(is_over);
	/* first; all three; crowd; crowded */
	assert_int_equal(fake_looks, 4);
	assert_int_equal(fake_looked_at, 6);
	assert_string_equal(told, "b/4:1 ");
}

/* A stop or a hand-over waits for no look. */
static void a_look_is_stopped(void **state)
{
	struct err e = { "" };

	set_open(0, "/cg/late", 3);
	fake_looks_held = true;
	flows_end(flows, "late", "/cg/late", 7, FLOWS_ENROLLED);
	flows_end(flows, "late", "/cg/late", 7, FLOWS_ROUND);
	turn_until(is_held);
	flows_free(flows); /* still held */
	assert_int_equal(fake_open[0].open, 3);
	assert_string_equal(told, "");
	fake_looks_held = false;
	assert_int_equal(flows_new(NULL, loop, &flows, &e), 0);
}

static void rounds_leave_a_pause(void **state)
{
	fake_looks_held = true;
	flows_end(flows, "a", "/cg/a", 1, FLOWS_ROUND);
	turn_until(is_held);
	turns = 0;
	turn_until(has_turned); /* 50 ms at least: the pause is 5 s */
	fake_looks_held = false;
	while (overs == 0)
		turn_until(has_turned);
	assert_false(flows_may_begin_round(flows));
}

static void without_a_loop_it_is_done_at_once(void **state)
{
	const struct flows_calls calls = { .ended = note_ended, .over = note_over };
	struct flows *f;
	struct err e = { "" };

	assert_int_equal(flows_new(NULL, NULL, &f, &e), 0);
	flows_tell(f, &calls);
	set_open(0, "/cg/a", 2);
	flows_end(f, "a", "/cg/a", 1, FLOWS_HALTED);
	assert_true(flows_is_over(f, flows_last(f)));
	assert_string_equal(told, "a/1:2 ");
	flows_free(f);
	flows_free(NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_loop_turns_while_a_look_is_held_up),
		TEST(what_comes_meanwhile_is_one_look),
		TEST(a_round_is_looked_at_in_parts_and_who_waits_comes_between),
		TEST(who_had_no_room_is_looked_at_alone),
		TEST(a_look_is_stopped),
		TEST(rounds_leave_a_pause),
		TEST(without_a_loop_it_is_done_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
