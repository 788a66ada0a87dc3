// SPDX-License-Identifier: Apache-2.0
/* What the ledger is asked for: listings, refusals, changes, accounts and agents; also beside a running daemon. */
#include <errno.h>

#include "ledger_test.h"

static void listings_filter_and_are_newest_first(void **state)
{
	struct place p;
	static const struct {
		struct ledger_query q;
		size_t n;
		uint64_t first;
	} cases[] = {
		{ { 0 }, 7, 7 },
		{ { .limit = 2 }, 2, 7 },
		{ { .agent = "a" }, 3, 5 },
		{ { .agent = "" }, 7, 7 },
		{ { .agent = "z" }, 0, 0 },
		{ { .model = "m" }, 7, 7 },
		{ { .model = "served" }, 1, 6 },
		{ { .model = "x" }, 0, 0 },
		{ { .provider = "p" }, 7, 7 },
		{ { .provider = "a' OR '1'='1" }, 0, 0 },
		{ { .since_s = T0 + 30 }, 5, 7 },
		{ { .until_s = T0 + 30 }, 2, 2 },
		{ { .agent = "a", .since_s = T0 + 20, .until_s = T0 + 50 }, 1, 3 },
		{ { .since_s = INT64_MAX }, 0, 0 },
		{ { .agent = "a", .limit = 1, .model = "m", .provider = "p" }, 1, 5 },
		{ { .account = "b" }, 3, 6 },
		{ { .account = "a", .agent = "b" }, 0, 0 },
		{ { .agent = "c" }, 1, 7 }, /* charged to b's account, above it */
		{ { .account = "up" }, 1, 7 },
		{ { .agent = "c", .account = "c" }, 0, 0 },
		{ { .pid = 3 }, 1, 3 },
		{ { .cgroup_id = UINT64_C(0xff00000000000004) }, 1, 4 },
		{ { .status = 500 }, 1, 2 },
		{ { .status = -1 }, 1, 1 },
		{ { .estimated = true }, 2, 4 },
		{ { .min_cost = 5 }, 3, 7 },
		{ { .min_cost = 4, .estimated = true }, 1, 4 },
	};

	place_init(&p);
	for (uint32_t i = 1; i <= 7; i++) {
		struct ledger_call c = call_of(i, i == 7 ? "up" : i % 2 ? "a" : "b", i, T0 + i * 10);

		if (i == 6)
			(void)snprintf(c.served_model, sizeof(c.served_model), "served");
		if (i == 7)
			(void)snprintf(c.agent, sizeof(c.agent), "c");
		c.pid = i;
		c.cgroup_id = UINT64_C(0xff00000000000000) + i;
		c.status = i == 1 ? 0 : i == 2 ? 500 : 200;
		c.estimated = i == 4 || i == 3;
		ledger_call(p.l, &c);
	}
	assert_true(wait_for(&p.seen->n, 7, 5));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rows got = { .n = 0 };
		struct err e = { "" };

		if (ledger_read(p.l, &cases[i].q, collect, &got, &e) < 0)
			fail_msg("%zu: %s", i, e.text);
		if (got.n != cases[i].n || (got.n && got.rows[0].call.call_id != cases[i].first))
			fail_msg("case %zu: %zu rows, first %llu", i, got.n, (unsigned long long)got.rows[0].call.call_id);
	}
	place_done(&p);
}

static void refusals_and_changes_are_kept(void **state)
{
	struct place p;
	struct rows got = { .n = 0 };
	const struct refusal why = { .reason = REFUSAL_BUDGET, .account = "team", .window = WINDOW_WEEK, .limit = 100, .spent = 99,
				     .held = 1, .needed = 7, .reset_s = T0, .detail = "x" };

	place_init(&p);
	ledger_refusal(p.l, "bot", "openai", "gpt-x", &why, T0 * S);
	ledger_refusal(p.l, "other", "openai", "gpt-x", &(struct refusal){ .reason = REFUSAL_PAUSED }, T0 * S + 1);
	ledger_note(p.l, "other", "openai", "gpt-x", &(struct refusal){ .reason = REFUSAL_RULE, .rule = "loop", .retry_s = 60 }, T0 * S + 2);
	assert_int_equal(ledger_change(p.l, "uid 0 pid 1 purse", "agent bot: day=5USD", T0 * S), 0);
	assert_int_equal(ledger_change(p.l, "uid 0 pid 2 purse", "second", T0 * S), 0);
	assert_int_equal(ledger_read(p.l, &(struct ledger_query){ .refusals = true, .agent = "bot" }, collect, &got, NULL), 0);
	assert_int_equal(got.n, 1);
	assert_string_equal(got.rows[0].who, "bot");
	assert_string_equal(got.rows[0].call.model, "gpt-x");
	assert_memory_equal(&got.rows[0].why, &why, sizeof(why));
	assert_false(got.rows[0].dry_run);
	got.n = 0;
	assert_int_equal(ledger_read(p.l, &(struct ledger_query){ .refusals = true }, collect, &got, NULL), 0);
	assert_int_equal(got.n, 3);
	assert_string_equal(got.rows[0].who, "other");
	assert_true(got.rows[0].dry_run);
	assert_string_equal(got.rows[0].why.rule, "loop");
	assert_int_equal(got.rows[0].why.retry_s, 60);
	assert_string_equal(got.rows[1].who, "other");
	got.n = 0;
	assert_int_equal(ledger_read(p.l, &(struct ledger_query){ .changes = true }, collect, &got, NULL), 0);
	assert_int_equal(got.n, 2);
	assert_string_equal(got.rows[0].what, "second");
	assert_string_equal(got.rows[1].who, "uid 0 pid 1 purse");
	place_done(&p);
}

/* What a listing shows is valid during the call only: copied. */
struct change {
	char verb[64], subject[64], before[64];
	size_t after_len;
};

static void on_change(void *ctx, const struct ledger_row *row)
{
	struct change *c = ctx;

	(void)snprintf(c->verb, sizeof(c->verb), "%s", row->verb);
	(void)snprintf(c->subject, sizeof(c->subject), "%s", row->subject);
	(void)snprintf(c->before, sizeof(c->before), "%s", row->before);
	c->after_len = strlen(row->after);
}

static void changes_have_before_and_after(void **state)
{
	struct place p;
	struct change got;
	char *big = malloc(LEDGER_CHANGE_JSON_MAX + 2);

	memset(big, 'x', LEDGER_CHANGE_JSON_MAX + 1);
	big[LEDGER_CHANGE_JSON_MAX + 1] = '\0';
	struct ledger_change c = { .who = "uid 0", .verb = "agent set", .subject = "bot", .before = "{\"day\":\"5.00\"}", .after = big, .at_ns = T0 };

	place_init(&p);
	assert_int_equal(ledger_changed(p.l, &c), -EMSGSIZE);
	big[LEDGER_CHANGE_JSON_MAX] = '\0';
	assert_int_equal(ledger_changed(p.l, &c), 0);
	assert_int_equal(ledger_read(p.l, &(struct ledger_query){ .changes = true, .account = "bot" }, on_change, &got, NULL), 0);
	assert_string_equal(got.verb, "agent set");
	assert_string_equal(got.subject, "bot");
	assert_string_equal(got.before, "{\"day\":\"5.00\"}");
	assert_int_equal(got.after_len, LEDGER_CHANGE_JSON_MAX);
	c = (struct ledger_change){ .who = "uid 0", .verb = "agent added", .subject = "other", .at_ns = T0 };
	assert_int_equal(ledger_changed(p.l, &c), 0);
	assert_int_equal(ledger_read(p.l, &(struct ledger_query){ .changes = true, .limit = 1 }, on_change, &got, NULL), 0);
	assert_string_equal(got.subject, "other");
	assert_string_equal(got.before, "");
	assert_int_equal(got.after_len, 0);
	free(big);
	place_done(&p);
}

struct saved {
	struct account_spec accounts[4];
	struct ledger_agent agents[4];
	struct ledger_place places[8];
	size_t naccounts, nagents, nplaces;
};

static void on_account(void *ctx, const struct account_spec *a)
{
	struct saved *s = ctx;

	s->accounts[s->naccounts++] = *a;
}

static void on_agent(void *ctx, const struct ledger_agent *a)
{
	struct saved *s = ctx;

	s->agents[s->nagents++] = *a;
}

static void on_place(void *ctx, const struct ledger_place *a)
{
	struct saved *s = ctx;

	s->places[s->nplaces++] = *a;
}

static void accounts_and_agents_survive(void **state)
{
	struct place p;
	struct saved got = { .naccounts = 0 };
	struct account_spec a = spec_of("team", "", 5, -1), b = spec_of("bot", "team", -1, 7);
	struct ledger_agent agent = { .name = "bot", .account = "bot", .cgroup = "/purse/bot", .flags = GATE_AGENT_EXPLAIN };

	b.paused = true;
	b.floor = 3;
	b.clamp = true;
	(void)snprintf(b.zone, sizeof(b.zone), "Asia/Kathmandu");
	b.reset_minute = 1439;
	b.raise[WINDOW_DAY] = 11;
	b.raise[WINDOW_TOTAL] = 12;
	b.raise_until_s = T0;
	b.rules.requests_per_minute = 60;
	b.rules.per_call = 500000000;
	(void)snprintf(b.rules.allow[0], sizeof(b.rules.allow[0]), "gpt-5*");
	b.rules.nallow = 1;
	place_init(&p);
	assert_int_equal(ledger_save_account(p.l, &a, false), 0);
	assert_int_equal(ledger_save_account(p.l, &b, false), 0);
	assert_int_equal(ledger_save_agent(p.l, &agent, false), 0);
	a.limits[WINDOW_HOUR] = 2;
	assert_int_equal(ledger_save_account(p.l, &a, false), 0); /* changed, not added */
	assert_int_equal(ledger_close(p.l), 0);
	place_open(&p);
	assert_int_equal(ledger_each_account(p.l, on_account, &got), 0);
	assert_int_equal(ledger_each_agent(p.l, on_agent, &got), 0);
	assert_int_equal(got.naccounts, 2);
	assert_memory_equal(&got.accounts[0], &b, sizeof(b));
	assert_memory_equal(&got.accounts[1], &a, sizeof(a));
	assert_int_equal(got.nagents, 1);
	assert_memory_equal(&got.agents[0], &agent, sizeof(agent));
	assert_int_equal(ledger_save_account(p.l, &b, true), 0);
	assert_int_equal(ledger_save_agent(p.l, &agent, true), 0);
	got = (struct saved){ .naccounts = 0 };
	assert_int_equal(ledger_each_account(p.l, on_account, &got), 0);
	assert_int_equal(ledger_each_agent(p.l, on_agent, &got), 0);
	assert_int_equal(ledger_each_place(p.l, on_place, &got), 0);
	assert_int_equal(got.naccounts, 1);
	assert_int_equal(got.nagents, 0);
	assert_int_equal(got.nplaces, 2); /* bot is gone, where it stood is not */
	place_done(&p);
}

static void peeking_reads_beside_a_daemon_and_makes_nothing(void **state)
{
	struct place p;
	struct ledger *l = NULL;
	struct err e = { "" };
	nanousd n;

	place_init(&p);
	put(&p, 1, "a", 10, T0);
	assert_true(wait_for(&p.seen->n, 1, 5));
	assert_int_equal(ledger_peek(p.path, &l, &e), 0);
	assert_int_equal(ledger_spent(l, "a", 0, &n, &e), 0);
	assert_int_equal(n, 10);
	assert_int_equal(ledger_check(l, &e), 0);
	assert_int_equal(ledger_close(l), 0);
	char other[160];

	(void)snprintf(other, sizeof(other), "%s/other.db", p.dir);
	assert_true(ledger_peek(other, &l, &e) < 0);
	assert_int_not_equal(access(other, F_OK), 0);
	assert_non_null(strstr(e.text, other));
	place_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listings_filter_and_are_newest_first),
		cmocka_unit_test(refusals_and_changes_are_kept),
		cmocka_unit_test(changes_have_before_and_after),
		cmocka_unit_test(accounts_and_agents_survive),
		cmocka_unit_test(peeking_reads_beside_a_daemon_and_makes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
