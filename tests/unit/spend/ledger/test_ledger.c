// SPDX-License-Identifier: Apache-2.0
/* The ledger: what goes in comes out, once, in order, durable, and stays as it is. What is listed is test_lists.c, trouble with the file test_trouble.c. */
#include <errno.h>
#include <time.h>

#include "ledger_test.h"

static void a_row_comes_back_as_it_went_in(void **state)
{
	struct place p;
	struct rows got = { .n = 0 };
	struct err e = { "" };
	struct ledger_call c = {
		.call_id = 1787135400000000123, .account = "team.a", .agent = "bot-1", .comm = "python3", .pid = 4242,
		.cgroup_id = UINT64_C(0xfedcba9876543210), .provider = "openai", .model = "gpt-x", .served_model = "gpt-x-2026-01-31",
		.endpoint = ENDPOINT_OPENAI_RESPONSES, .tier = TIER_PRIORITY,
		.usage = { 1000, 200, 30, 40, 500, 60, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21 }, .usage_known = true, .held = 123456789, .cost = 98765432,
		.estimated = true, .price = "openai/gpt-x@2026-08-21", .status = 200, .end = "agent-gone",
		.started_ns = T0 * S + 123, .first_byte_us = 4567, .total_us = 89012, .request_id = "req_'\"%_x", .slot = 3,
	};

	place_init(&p);
	ledger_call(p.l, &c);
	assert_true(wait_for(&p.seen->n, 1, 5));
	assert_int_equal(p.seen->slots[0], 3);
	assert_int_equal(ledger_read(p.l, &(struct ledger_query){ 0 }, collect, &got, &e), 0);
	assert_int_equal(got.n, 1);
	c.slot = 0; /* not kept */
	assert_memory_equal(&got.rows[0].call, &c, sizeof(c));
	assert_int_equal(ledger_has_call(p.l, c.call_id, NULL), 1);
	assert_int_equal(ledger_has_call(p.l, c.call_id + 1, NULL), 0);
	uint64_t last;
	int64_t newest_ns;

	assert_int_equal(ledger_newest(p.l, &last, &newest_ns, NULL), 0);
	assert_int_equal(last, c.call_id);
	assert_int_equal(newest_ns, c.started_ns);
	assert_int_equal(ledger_queued(p.l), 0);
	place_done(&p);
}

static void an_empty_ledger_says_nothing(void **state)
{
	struct place p;
	struct rows got = { .n = 0 };

	place_init(&p);
	uint64_t last = 1;
	int64_t newest_ns = 1;

	assert_int_equal(ledger_newest(p.l, &last, &newest_ns, NULL), 0);
	assert_int_equal(last, 0);
	assert_int_equal(newest_ns, 0);
	assert_int_equal(spent(&p, "a", 0), 0);
	assert_int_equal(ledger_read(p.l, &(struct ledger_query){ 0 }, collect, &got, NULL), 0);
	assert_int_equal(got.n, 0);
	assert_true(ledger_is_healthy(p.l));
	is_clean(&p);
	place_done(&p);
}

static void sums_follow_the_hour_of_the_start(void **state)
{
	struct place p;
	const int64_t hour = T0 / 3600 * 3600;

	place_init(&p);
	put(&p, 1, "a", 10, hour - 1);
	put(&p, 2, "a", 20, hour);
	put(&p, 3, "a", 40, hour + 3599);
	put(&p, 4, "a", 80, hour + 3600);
	put(&p, 5, "b", 1000, hour);
	put(&p, 6, "a", 0, hour);
	assert_true(wait_for(&p.seen->n, 6, 5));
	assert_int_equal(spent(&p, "a", 0), 150);
	assert_int_equal(spent(&p, "a", hour), 140);
	assert_int_equal(spent(&p, "a", hour + 3600), 80);
	assert_int_equal(spent(&p, "a", hour + 7200), 0);
	assert_int_equal(spent(&p, "b", 0), 1000);
	assert_int_equal(spent(&p, "c", 0), 0);
	nanousd n;

	assert_int_equal(ledger_spent_between(p.l, "a", hour, hour + 3600, &n, NULL), 0);
	assert_int_equal(n, 60);
	is_clean(&p);
	place_done(&p);
}

static void the_same_call_is_not_written_twice(void **state)
{
	struct place p;

	place_init(&p);
	put(&p, 1, "a", 10, T0);
	put(&p, 1, "a", 99, T0);
	assert_true(wait_for(&p.seen->n, 2, 5)); /* both slots are freed */
	put(&p, 1, "b", 5, T0);
	assert_true(wait_for(&p.seen->n, 3, 5));
	assert_int_equal(spent(&p, "a", 0), 10);
	assert_int_equal(spent(&p, "b", 0), 0);
	is_clean(&p);
	place_done(&p);
}

static void durable_comes_in_the_order_of_the_calls(void **state)
{
	struct place p;
	const uint32_t n = 20000;

	place_init(&p);
	for (uint32_t i = 1; i <= n; i++)
		put(&p, i, i % 2 ? "a" : "b", i, T0 + i % 9000);
	assert_true(wait_for(&p.seen->n, n, 30));
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(p.seen->slots[i], i + 1);
	assert_int_equal(spent(&p, "a", 0) + spent(&p, "b", 0), (nanousd)n * (n + 1) / 2);
	is_clean(&p);
	place_done(&p);
}

/* All that woke the writer is gone before it looks: a call that was given up before it was sent. The next one has to be written all the same. */
static void a_hold_that_is_over_at_once_does_not_end_the_writer(void **state)
{
	const struct timespec moment = { .tv_nsec = LEDGER_GATHER_MS * 1000000L / 5 }, longer = { .tv_nsec = LEDGER_GATHER_MS * 4000000L };
	struct place p;

	place_init(&p);
	for (uint64_t i = 1; i <= 20; i++) {
		struct ledger_hold h = { .call_id = i, .account = "a", .agent = "a", .amount = 5, .started_ns = T0 * S };

		ledger_hold(p.l, &h);
		(void)nanosleep(&moment, NULL);
		ledger_hold_over(p.l, i, LEDGER_NO_SLOT);
		(void)nanosleep(&longer, NULL);
	}
	put(&p, 21, "a", 1, T0);
	assert_true(wait_for(&p.seen->n, 1, 5));
	place_done(&p);
}

static void closing_writes_what_is_queued(void **state)
{
	struct place p;

	place_init(&p);
	for (uint32_t i = 1; i <= 500; i++)
		put(&p, i, "a", 1, T0);
	assert_int_equal(ledger_close(p.l), 0);
	assert_int_equal(p.seen->n, 500);
	place_open(&p);
	assert_int_equal(spent(&p, "a", 0), 500);
	place_done(&p);
}

static void rows_cannot_be_changed(void **state)
{
	struct place p;

	place_init(&p);
	put(&p, 1, "a", 10, T0);
	assert_true(wait_for(&p.seen->n, 1, 5));
	assert_int_equal(ledger_change(p.l, "w", "x", T0), 0);
	ledger_refusal(p.l, "a", "p", "m", &(struct refusal){ .reason = REFUSAL_BUDGET }, T0);
	assert_int_equal(ledger_change(p.l, "w", "y", T0), 0);
	assert_int_equal(sql(p.path, "UPDATE calls SET cost_nanousd = 0"), SQLITE_CONSTRAINT);
	assert_int_equal(sql(p.path, "DELETE FROM calls"), SQLITE_CONSTRAINT);
	assert_int_equal(sql(p.path, "UPDATE changes SET who = ''"), SQLITE_CONSTRAINT);
	assert_int_equal(sql(p.path, "DELETE FROM refusals"), SQLITE_CONSTRAINT);
	assert_int_equal(sql(p.path, "INSERT INTO prunes(before_s, calls, cost_nanousd) VALUES(1, 0, 0)"), SQLITE_OK);
	assert_int_equal(sql(p.path, "DELETE FROM prunes"), SQLITE_CONSTRAINT);
	/* A pruning that is on opens what is older than it, and nothing else. */
	assert_int_equal(sql(p.path, "INSERT INTO pruning VALUES(1); DELETE FROM calls"), SQLITE_CONSTRAINT);
	assert_int_equal(sql(p.path, "UPDATE calls SET cost_nanousd = 0"), SQLITE_CONSTRAINT);
	assert_int_equal(sql(p.path, "DELETE FROM pruning"), SQLITE_OK);
	assert_int_equal(sql(p.path, "INSERT INTO calls(call_id, cost_nanousd) VALUES(2, 'x')"), SQLITE_CONSTRAINT);
	place_done(&p);
}

static void the_check_names_what_disagrees(void **state)
{
	static const struct {
		const char *harm, *says;
	} cases[] = {
		{ "UPDATE hours SET cost_nanousd = cost_nanousd + 1 WHERE account = 'a'", "account \"a\"" },
		{ "UPDATE hours SET calls = 7", "7" },
		{ "DELETE FROM hours WHERE account = 'b'", "account \"b\"" },
		{ "INSERT INTO hours SELECT 'c', hour_s, provider, model, agent, 1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0 FROM hours"
		  " WHERE account = 'a'", "account \"c\"" },
		{ "UPDATE hours SET input = input + 1 WHERE account = 'a'", "tokens" },
		{ "INSERT INTO open_calls SELECT call_id, account, agent, comm, pid, cgroup_id, provider, model, endpoint, 5, started_ns FROM calls",
		  "is in open_calls too" },
		{ "INSERT INTO prunes(before_s, calls, cost_nanousd) VALUES(86400, 3, 4)", "4 in 3 were pruned" },
		{ "INSERT INTO pruning VALUES(1)", "not protected" },
		{ "DROP TRIGGER calls_stay; UPDATE calls SET cost_nanousd = 11 WHERE call_id = 1", "11" },
		{ "DROP TRIGGER calls_stay; UPDATE calls SET cost_nanousd = -10 WHERE call_id = 1", "-10" },
		{ "DROP TRIGGER calls_stay_put; DELETE FROM calls WHERE call_id = 2", "account \"b\"" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct place p;
		struct err e = { "" };

		place_init(&p);
		put(&p, 1, "a", 10, T0);
		put(&p, 2, "b", 20, T0);
		assert_true(wait_for(&p.seen->n, 2, 5));
		is_clean(&p);
		assert_int_equal(sql(p.path, cases[i].harm), SQLITE_OK);
		assert_int_equal(ledger_check(p.l, &e), -EUCLEAN);
		if (!strstr(e.text, cases[i].says))
			fail_msg("%s -> %s", cases[i].harm, e.text);
		place_done(&p);
	}
}

static void one_moment_is_one_moment(void **state)
{
	struct place p;
	struct ledger_view *v;

	place_init(&p);
	put(&p, 1, "a", 10, T0);
	assert_true(wait_for(&p.seen->n, 1, 5));
	assert_int_equal(ledger_view_open(p.l, &v, NULL), 0);
	assert_int_equal(ledger_view_begin(v), 0);
	put(&p, 2, "a", 20, T0);
	assert_true(wait_for(&p.seen->n, 2, 5));
	assert_int_equal(ledger_view_has_call(v, 1), 1);
	assert_int_equal(ledger_view_has_call(v, 2), 0);
	assert_int_equal(ledger_has_call(p.l, 2, NULL), 1);
	ledger_view_close(v);
	ledger_view_close(NULL);
	place_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_comes_back_as_it_went_in),
		cmocka_unit_test(an_empty_ledger_says_nothing),
		cmocka_unit_test(sums_follow_the_hour_of_the_start),
		cmocka_unit_test(the_same_call_is_not_written_twice),
		cmocka_unit_test(durable_comes_in_the_order_of_the_calls),
		cmocka_unit_test(a_hold_that_is_over_at_once_does_not_end_the_writer),
		cmocka_unit_test(closing_writes_what_is_queued),
		cmocka_unit_test(rows_cannot_be_changed),
		cmocka_unit_test(the_check_names_what_disagrees),
		cmocka_unit_test(one_moment_is_one_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
