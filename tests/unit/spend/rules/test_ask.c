// SPDX-License-Identifier: Apache-2.0
/* rules/test_ask.c: each rule through the budget: what it lets through, what it refuses, what it says, and what a change of rules keeps. */
#include "rules_world.h"

static void open_world(struct world *w)
{
	world_init(w);
	budget_open(w->b);
}

static void close_world(struct world *w)
{
	world_check(w);
	world_done(w);
}

/* ---- models */

static void models(void **state)
{
	static const struct {
		const char *model, *provider, *want; /* NULL = goes through */
	} cases[] = {
		{ "gpt-5-mini", "openai", NULL },
		{ "GPT-5", "openai", NULL },
		{ "gpt-5-pro", "openai", "denied by \"*-pro\"" },
		{ "gpt-4o", "openai", "not on the list" },
		{ "claude-opus", "anthropic", NULL },
		{ "claude-opus", "elsewhere", "not on the list" },
		{ "", "openai", "not on the list" },
	};
	struct rules r = { .allow = { "gpt-5*", "anthropic/claude*" }, .nallow = 2, .deny = { "*-pro" }, .ndeny = 1 };
	struct world w;

	open_world(&w);
	uint32_t bot = set_rules(&w, "bot", "", -1, &r);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ask a = { .account = bot, .model = cases[i].model, .provider = cases[i].provider };

		if (!cases[i].want) {
			spend_call(&w, a);
			continue;
		}
		struct refusal why = ask_refused(&w, a, RULE_MODELS, "bot");

		assert_non_null(strstr(why.detail, cases[i].want));
		assert_non_null(strstr(why.detail, cases[i].model));
		assert_int_equal(why.retry_s, 0);
	}
	assert_int_equal(rules_at(&w, bot, 0).v[RULE_MODELS].refused, 4);
	close_world(&w);
}

/* A name that is cut off in the slot is matched as a whole. */
static void a_long_model_name_hides_nothing(void **state)
{
	struct rules r = { .deny = { "*-pro" }, .ndeny = 1 };
	char name[GATE_MODEL_MAX + 40];
	struct world w;

	memset(name, 'x', sizeof(name));
	strcpy(name + sizeof(name) - 5, "-pro");
	open_world(&w);
	uint32_t bot = set_rules(&w, "bot", "", -1, &r);

	(void)ask_refused(&w, CALL(bot, .model = name), RULE_MODELS, "bot");
	close_world(&w);
}

static void a_denied_model_comes_before_money(void **state)
{
	struct rules r = { .deny = { "m" }, .ndeny = 1 };
	struct world w;

	open_world(&w);
	uint32_t bot = set_rules(&w, "bot", "", 10, &r);

	(void)ask_refused(&w, CALL(bot, .amount = 11), RULE_MODELS, "bot");
	struct told t = ask_call(&w, CALL(bot, .amount = 11, .model = "other"));

	assert_int_equal(t.why.reason, REFUSAL_BUDGET);
	assert_string_equal(t.why.rule, "");
	close_world(&w);
}

/* ---- per call */

static void per_call(void **state)
{
	struct rules r = { .per_call = 500000000 };
	struct world w;

	open_world(&w);
	uint32_t bot = set_rules(&w, "bot", "", -1, &r);

	uint32_t slot = ask_slot(&w, CALL(bot, .amount = 500000000));
	struct refusal why = ask_refused(&w, CALL(bot, .amount = 500000001), RULE_PER_CALL, "bot");

	assert_int_equal(why.limit, 500000000);
	assert_int_equal(why.needed, 500000001);
	assert_string_equal(why.detail, "limit 0.50USD per call, this one may cost 0.500000001USD");
	assert_int_equal(budget_afford(w.b, bot, "m", T0 * S), 500000000);

	/* It cannot grow past that either. */
	nanousd amount = 0;

	assert_int_equal(budget_extend(w.b, slot, 500000001, 600000000, 0, &amount, &why), -EDQUOT);
	assert_int_equal(why.reason, REFUSAL_RULE);
	assert_string_equal(why.rule, "per_call");
	assert_string_equal(why.account, "bot");
	assert_int_equal(amount, 0);
	charge_slot(&w, slot, 1);
	slot = ask_slot(&w, CALL(bot, .amount = 100));
	assert_int_equal(budget_extend(w.b, slot, 200, 600000000, 0, &amount, &why), 0);
	assert_int_equal(amount, 500000000);
	world_check(&w);
	budget_release(w.b, slot);
	(void)ask_refused(&w, CALL(bot, .amount = INT64_MAX), RULE_PER_CALL, "bot");
	close_world(&w);
}

/* ---- in flight */

static void in_flight(void **state)
{
	struct rules r = { .calls_in_flight = 3 };
	struct world w;

	open_world(&w);
	uint32_t team = set_rules(&w, "team", "", -1, &r), a = world_account(&w, "a", "team", -1, -1),
		 b = world_account(&w, "b", "team", -1, -1);
	uint32_t slots[3] = { ask_slot(&w, CALL(a)), ask_slot(&w, CALL(b)), ask_slot(&w, CALL(team)) };
	struct refusal why = ask_refused(&w, CALL(a), RULE_IN_FLIGHT, "team");

	assert_int_equal(why.retry_s, 1);
	assert_string_equal(why.detail, "limit 3 calls in flight, seen 3");
	assert_int_equal(rules_at(&w, team, 0).v[RULE_IN_FLIGHT].seen, 3);

	/* Released, charged (its row not yet durable): each makes a place. */
	budget_release(w.b, slots[0]);
	slots[0] = ask_slot(&w, CALL(b));
	(void)ask_refused(&w, CALL(b), RULE_IN_FLIGHT, "team");
	budget_sent(w.b, slots[1]);
	(void)budget_charge(w.b, slots[1], 1, false);
	(void)budget_charge(w.b, slots[1], 1, false); /* the second counts for nothing */
	assert_int_equal(rules_at(&w, team, 0).v[RULE_IN_FLIGHT].seen, 2);
	uint32_t again = ask_slot(&w, CALL(a));

	(void)ask_refused(&w, CALL(b), RULE_IN_FLIGHT, "team");
	budget_settled(w.b, slots[1]);
	world_check(&w);
	charge_slot(&w, slots[0], 1);
	charge_slot(&w, slots[2], 1);
	charge_slot(&w, again, 1);
	assert_int_equal(rules_at(&w, team, 0).v[RULE_IN_FLIGHT].seen, 0);
	close_world(&w);
}

/* ---- rates */

static void requests(void **state)
{
	struct rules r = { .requests_per_minute = 5 };
	struct world w;

	open_world(&w);
	uint32_t bot = set_rules(&w, "bot", "", -1, &r);

	for (int64_t at_s = 0; at_s < 5; at_s++)
		spend_call(&w, CALL(bot, .at_s = at_s * 10));
	struct refusal why = ask_refused(&w, CALL(bot, .at_s = 40), RULE_REQUESTS, "bot");

	assert_string_equal(why.detail, "limit 5 calls per minute, seen 5");
	assert_int_equal(why.retry_s, 21); /* the one of second 0 has left at 61 */
	(void)ask_refused(&w, CALL(bot, .at_s = 60), RULE_REQUESTS, "bot");
	/* Those that were refused do not count. */
	spend_call(&w, CALL(bot, .at_s = 61));
	(void)ask_refused(&w, CALL(bot, .at_s = 61), RULE_REQUESTS, "bot");
	assert_int_equal(rules_at(&w, bot, 61).v[RULE_REQUESTS].seen, 5);
	assert_int_equal(rules_at(&w, bot, 61).v[RULE_REQUESTS].refused, 3);
	/* The clock goes back: nothing opens again. */
	(void)ask_refused(&w, CALL(bot, .at_s = -3600), RULE_REQUESTS, "bot");
	/* And far ahead. */
	spend_call(&w, CALL(bot, .at_s = 86400));
	assert_int_equal(rules_at(&w, bot, 86400).v[RULE_REQUESTS].seen, 1);
	close_world(&w);
}

/* A call that only another rule, or money, refuses takes no place. */
static void what_is_refused_takes_no_place(void **state)
{
	struct rules r = { .requests_per_minute = 1, .loop_times = 2, .loop_within_s = 10, .deny = { "bad" }, .ndeny = 1 };
	struct world w;

	open_world(&w);
	uint32_t bot = set_rules(&w, "bot", "", 10, &r);

	(void)ask_refused(&w, CALL(bot, .model = "bad", .fingerprint = 3), RULE_MODELS, "bot");
	assert_int_equal(ask_call(&w, CALL(bot, .amount = 11, .fingerprint = 3)).why.reason, REFUSAL_BUDGET);
	assert_int_equal(rules_at(&w, bot, 0).v[RULE_REQUESTS].seen, 0);
	spend_call(&w, CALL(bot, .fingerprint = 3));
	(void)ask_refused(&w, CALL(bot, .fingerprint = 3), RULE_REQUESTS, "bot");
	close_world(&w);
}

static void tokens(void **state)
{
	struct rules r = { .tokens_per_minute = 1000 };
	struct world w;
	struct refusal why;

	open_world(&w);
	uint32_t bot = set_rules(&w, "bot", "", -1, &r);
	uint32_t one = ask_slot(&w, CALL(bot, .tokens = 600)), two;

	/* Alone too large: waiting is of no use. */
	why = ask_refused(&w, CALL(bot, .tokens = 1001), RULE_TOKENS, "bot");
	assert_int_equal(why.retry_s, 0);
	/* Stopped by what is held: soon. */
	why = ask_refused(&w, CALL(bot, .tokens = 401), RULE_TOKENS, "bot");
	assert_int_equal(why.retry_s, 1);
	assert_string_equal(why.detail, "limit 1000 tokens per minute, seen 0 used and 600 held, this call may take 401");
	two = ask_slot(&w, CALL(bot, .tokens = 400));
	/* It grows, and its grown hold counts. */
	budget_count_tokens(w.b, one, 700, (T0 + 1) * S);
	assert_int_equal(rules_at(&w, bot, 1).v[RULE_TOKENS].seen, 1100);
	(void)ask_refused(&w, CALL(bot, .at_s = 1, .tokens = 1), RULE_TOKENS, "bot");
	/* Settled at what it really took, at the moment when it was over. */
	budget_count_tokens(w.b, one, 90, (T0 + 30) * S);
	charge_slot(&w, one, 1);
	assert_int_equal(rules_at(&w, bot, 30).v[RULE_TOKENS].seen, 490);
	/* Nothing was sent: nothing is used. */
	budget_release(w.b, two);
	assert_int_equal(rules_at(&w, bot, 30).v[RULE_TOKENS].seen, 90);
	why = ask_refused(&w, CALL(bot, .at_s = 30, .tokens = 911), RULE_TOKENS, "bot");
	assert_int_equal(why.retry_s, 61);
	(void)ask_refused(&w, CALL(bot, .at_s = 90, .tokens = 911), RULE_TOKENS, "bot");
	/* Charged without a count: what was held is taken for used. */
	charge_slot(&w, ask_slot(&w, CALL(bot, .at_s = 91, .tokens = 911)), 1);
	assert_int_equal(rules_at(&w, bot, 91).v[RULE_TOKENS].seen, 911);
	/* Over and settled: a late count is nobody's. */
	uint32_t slot = ask_slot(&w, CALL(bot, .at_s = 91));

	budget_sent(w.b, slot);
	(void)budget_charge(w.b, slot, 1, false);
	budget_count_tokens(w.b, slot, 5000, (T0 + 91) * S);
	budget_settled(w.b, slot);
	assert_int_equal(rules_at(&w, bot, 91).v[RULE_TOKENS].seen, 911);
	close_world(&w);
}

/* ---- loop */

static void loop(void **state)
{
	struct rules r = { .loop_times = 3, .loop_within_s = 60 };
	struct world w;

	open_world(&w);
	uint32_t bot = set_rules(&w, "bot", "", -1, &r);

	spend_call(&w, CALL(bot, .at_s = 0, .fingerprint = 7));
	spend_call(&w, CALL(bot, .at_s = 10, .fingerprint = 8));
	spend_call(&w, CALL(bot, .at_s = 20, .fingerprint = 7));
	struct refusal why = ask_refused(&w, CALL(bot, .at_s = 30, .fingerprint = 7), RULE_LOOP, "bot");

	/* Seen at 0, 20 and now 30: two fewer than three are left at 81, when that of 20 has gone. */
	assert_int_equal(why.retry_s, 51);
	assert_non_null(strstr(why.detail, "2 identical requests within 60 s"));
	spend_call(&w, CALL(bot, .at_s = 30, .fingerprint = 8));
	for (int i = 0; i < 5; i++)
		spend_call(&w, CALL(bot, .at_s = 30, .fingerprint = 0)); /* unknown is never the same */
	/* It hammers on: the refused ones count, so it stays out for as long as it does. */
	for (int64_t at_s = 40; at_s < 400; at_s += 10)
		(void)ask_refused(&w, CALL(bot, .at_s = at_s, .fingerprint = 7), RULE_LOOP, "bot");
	/* Last at 380 and 390: one who waits as long as he is told gets in, and not a second earlier. */
	why = ask_refused(&w, CALL(bot, .at_s = 400, .fingerprint = 7), RULE_LOOP, "bot");
	assert_int_equal(why.retry_s, 51);
	spend_call(&w, CALL(bot, .at_s = 400 + 51, .fingerprint = 7));
	close_world(&w);
}

static void a_loop_of_two(void **state)
{
	struct rules r = { .loop_times = 2, .loop_within_s = 5 };
	struct world w;

	open_world(&w);
	uint32_t bot = set_rules(&w, "bot", "", -1, &r);

	spend_call(&w, CALL(bot, .at_s = 0, .fingerprint = 7));
	assert_int_equal(ask_refused(&w, CALL(bot, .at_s = 5, .fingerprint = 7), RULE_LOOP, "bot").retry_s, 6);
	assert_int_equal(ask_refused(&w, CALL(bot, .at_s = 10, .fingerprint = 7), RULE_LOOP, "bot").retry_s, 6);
	spend_call(&w, CALL(bot, .at_s = 16, .fingerprint = 7));
	close_world(&w);
}

/* The same bot under two agents of one team is one bot for the team. */
static void a_loop_across_a_team(void **state)
{
	struct rules r = { .loop_times = 3, .loop_within_s = 60 };
	struct world w;

	open_world(&w);
	uint32_t team = set_rules(&w, "team", "", -1, &r), a = world_account(&w, "a", "team", -1, -1),
		 b = set_rules(&w, "b", "team", -1, &r);

	spend_call(&w, CALL(a, .at_s = 0, .fingerprint = 7));
	spend_call(&w, CALL(b, .at_s = 0, .fingerprint = 7));
	(void)ask_refused(&w, CALL(b, .at_s = 0, .fingerprint = 7), RULE_LOOP, "team");
	/* That one was seen by both of them: b's own rule is full now, too. */
	(void)ask_refused(&w, CALL(b, .at_s = 0, .fingerprint = 7), RULE_LOOP, "b");
	(void)team;
	close_world(&w);
}

/* ---- burn rate */

static void burn(void **state)
{
	/* A day of 86400: one per second is the pace; ten times that within a minute is 600. */
	struct rules r = { .burn_times = 10, .burn_within_s = 60 };
	struct world w;

	open_world(&w);
	uint32_t bot = set_rules(&w, "bot", "", 86400, &r);

	spend_call(&w, CALL(bot, .at_s = 0, .amount = 300));
	spend_call(&w, CALL(bot, .at_s = 30, .amount = 300));
	spend_call(&w, CALL(bot, .at_s = 31, .amount = 1)); /* 600 is not above 600 */
	struct refusal why = ask_refused(&w, CALL(bot, .at_s = 31), RULE_BURN, "bot");

	assert_int_equal(why.retry_s, 30);
	assert_string_equal(why.detail, "limit 0.0000006USD within 60 s, 10 times the pace of 0.0000864USD per day; seen 0.000000601USD");
	assert_int_equal(rules_at(&w, bot, 31).v[RULE_BURN].seen, 601);
	(void)ask_refused(&w, CALL(bot, .at_s = 60), RULE_BURN, "bot");
	spend_call(&w, CALL(bot, .at_s = 61));
	/* Held money has not burnt yet. */
	uint32_t slot = ask_slot(&w, CALL(bot, .at_s = 62, .amount = 5000));

	budget_release(w.b, ask_slot(&w, CALL(bot, .at_s = 62)));
	charge_slot(&w, slot, 5000);
	(void)ask_refused(&w, CALL(bot, .at_s = 62), RULE_BURN, "bot");
	close_world(&w);
}

static void only_windows_that_end_have_a_pace(void **state)
{
	struct rules r = { .burn_times = 1, .burn_within_s = 1 };
	struct account_spec s = spec_of("bot", "", -1, 1000000);
	struct world w;
	uint32_t bot;

	open_world(&w);
	s.rules = r;
	assert_int_equal(budget_set_account(w.b, &s, T0, &bot, NULL), 0);
	for (int i = 0; i < 100; i++)
		spend_call(&w, CALL(bot, .at_s = 0, .amount = 1000));
	/* Figures at the end of 64 bits: a month's pace of a week's worth. */
	s = spec_of("rich", "", -1, -1);
	s.limits[WINDOW_MONTH] = RULES_NANOUSD_MAX;
	s.limits[WINDOW_HOUR] = INT64_MAX - 1;
	s.rules = (struct rules){ .burn_times = RULES_BURN_TIMES_MAX, .burn_within_s = RULES_BURN_WITHIN_MAX_S };
	assert_int_equal(budget_set_account(w.b, &s, T0, &bot, NULL), 0);
	spend_call(&w, CALL(bot, .at_s = 0, .amount = INT64_MAX / 2));
	spend_call(&w, CALL(bot, .at_s = 3600, .amount = 1));
	/* A limit of nothing has a pace of nothing. */
	s = spec_of("poor", "", 0, -1);
	s.rules = r;
	assert_int_equal(budget_set_account(w.b, &s, T0, &bot, NULL), 0);
	assert_int_equal(ask_call(&w, CALL(bot, .at_s = 3600)).why.reason, REFUSAL_BUDGET);
	close_world(&w);
}

/* ---- dry-run */

static void dry_run(void **state)
{
	struct rules r = { .requests_per_minute = 1, .calls_in_flight = 1, .tokens_per_minute = 10, .per_call = 5, .deny = { "m" }, .ndeny = 1,
			   .loop_times = 2, .loop_within_s = 60, .burn_times = 1, .burn_within_s = 60,
			   .model_limits = { limit_on("m", WINDOW_DAY, 20) }, .nmodel_limits = 1, .dry_run = (1u << RULE_COUNT) - 1 };
	struct world w;

	open_world(&w);
	uint32_t bot = set_rules(&w, "bot", "", 86400, &r);
	struct told t = ask_call(&w, CALL(bot, .amount = 1, .fingerprint = 9, .model = "x"));

	assert_int_equal(t.error, 0);
	assert_int_equal(t.notes.n, 0);
	charge_slot(&w, ask_slot(&w, CALL(bot, .amount = 5000, .model = "y")), 5000);
	t = ask_call(&w, CALL(bot, .amount = 21, .fingerprint = 9, .tokens = 11));
	assert_int_equal(t.error, 0);
	assert_int_equal(t.notes.n, RULE_COUNT);
	for (int k = 0; k < RULE_COUNT; k++) {
		struct rule_view v = rules_at(&w, bot, 0).v[k];

		assert_string_equal(t.notes.v[k].rule, rule_name((enum rule)k));
		assert_string_equal(t.notes.v[k].account, "bot");
		assert_true(v.dry_run && v.set);
		assert_int_equal(v.refused, 0);
		assert_true(v.would_refuse >= 1);
	}
	assert_int_equal(t.notes.v[RULE_MODEL_LIMIT].reason, REFUSAL_BUDGET);
	world_check(&w); /* over the model limit, and nobody is to blame */

	/* From now on in earnest: what stands is excused, nothing is added. */
	r.dry_run = 0;
	r.deny[0][0] = 'z';
	r.per_call = r.requests_per_minute = r.calls_in_flight = r.tokens_per_minute = r.loop_times = r.loop_within_s = 0;
	r.burn_times = r.burn_within_s = 0;
	(void)set_rules(&w, "bot", "", 86400, &r);
	world_check(&w);
	assert_int_equal(ask_refused(&w, CALL(bot), RULE_MODEL_LIMIT, "bot").reason, REFUSAL_BUDGET_HELD);
	charge_slot(&w, t.slot, 21);
	assert_int_equal(ask_refused(&w, CALL(bot), RULE_MODEL_LIMIT, "bot").reason, REFUSAL_BUDGET);
	close_world(&w);
}

/* One in dry-run does not hide another that is meant; notes of those asked before stay. */
static void a_note_and_a_refusal(void **state)
{
	struct rules dry = { .per_call = 1, .dry_run = 1u << RULE_PER_CALL }, meant = { .per_call = 2 };
	struct world w;

	open_world(&w);
	(void)set_rules(&w, "team", "", -1, &meant);
	uint32_t bot = set_rules(&w, "bot", "team", -1, &dry);
	struct told t = ask_call(&w, CALL(bot, .amount = 2));

	assert_int_equal(t.error, 0);
	assert_int_equal(t.notes.n, 1);
	budget_release(w.b, t.slot);
	t = ask_call(&w, CALL(bot, .amount = 3));
	assert_int_equal(t.error, -EDQUOT);
	assert_string_equal(t.why.account, "team");
	assert_int_equal(t.notes.n, 1);
	assert_string_equal(t.notes.v[0].account, "bot");
	close_world(&w);
}

/* ---- changes at run time */

static void a_change_keeps_what_did_not_change(void **state)
{
	struct rules r = { .requests_per_minute = 3, .loop_times = 3, .loop_within_s = 60, .calls_in_flight = 9 };
	struct world w;

	open_world(&w);
	uint32_t bot = set_rules(&w, "bot", "", 86400, &r);
	uint32_t slot = ask_slot(&w, CALL(bot, .at_s = 0, .fingerprint = 7));

	spend_call(&w, CALL(bot, .at_s = 0, .fingerprint = 7));
	spend_call(&w, CALL(bot, .at_s = 0));
	(void)ask_refused(&w, CALL(bot, .at_s = 1), RULE_REQUESTS, "bot");
	/* A higher limit: three have been seen all the same. The loop: two have. */
	r.requests_per_minute = 4;
	r.per_call = 5;
	(void)set_rules(&w, "bot", "", 86400, &r);
	assert_int_equal(rules_at(&w, bot, 1).v[RULE_REQUESTS].refused, 1);
	(void)ask_refused(&w, CALL(bot, .at_s = 1, .fingerprint = 7), RULE_LOOP, "bot");
	spend_call(&w, CALL(bot, .at_s = 1));
	(void)ask_refused(&w, CALL(bot, .at_s = 1), RULE_REQUESTS, "bot");
	assert_int_equal(rules_at(&w, bot, 1).v[RULE_IN_FLIGHT].seen, 1);
	/* Another rule comes: it sees what is in flight. */
	r.tokens_per_minute = 10;
	r.requests_per_minute = 0;
	r.calls_in_flight = 1;
	(void)set_rules(&w, "bot", "", 86400, &r);
	(void)ask_refused(&w, CALL(bot, .at_s = 1), RULE_IN_FLIGHT, "bot");
	world_check(&w);
	/* All gone and back: what is in flight is known again, the rest is not. */
	(void)set_rules(&w, "bot", "", 86400, &(struct rules){ 0 });
	assert_false(rules_at(&w, bot, 1).any);
	spend_call(&w, CALL(bot, .at_s = 1, .fingerprint = 7));
	r.requests_per_minute = 1;
	(void)set_rules(&w, "bot", "", 86400, &r);
	(void)ask_refused(&w, CALL(bot, .at_s = 1), RULE_IN_FLIGHT, "bot");
	charge_slot(&w, slot, 1);
	spend_call(&w, CALL(bot, .at_s = 1, .fingerprint = 7));
	(void)ask_refused(&w, CALL(bot, .at_s = 1), RULE_REQUESTS, "bot");
	close_world(&w);
}

static void an_account_moves_with_its_calls(void **state)
{
	struct rules r = { .calls_in_flight = 2, .tokens_per_minute = 100 };
	struct world w;

	open_world(&w);
	uint32_t one = set_rules(&w, "one", "", -1, &r), two = set_rules(&w, "two", "", -1, &r),
		 bot = world_account(&w, "bot", "one", -1, -1);
	uint32_t slot = ask_slot(&w, CALL(bot, .tokens = 40));

	(void)world_account(&w, "bot", "two", -1, -1);
	assert_int_equal(rules_at(&w, one, 0).v[RULE_IN_FLIGHT].seen, 0);
	assert_int_equal(rules_at(&w, one, 0).v[RULE_TOKENS].seen, 0);
	assert_int_equal(rules_at(&w, two, 0).v[RULE_IN_FLIGHT].seen, 1);
	assert_int_equal(rules_at(&w, two, 0).v[RULE_TOKENS].seen, 40);
	world_check(&w);
	charge_slot(&w, slot, 1);
	assert_int_equal(rules_at(&w, two, 0).v[RULE_IN_FLIGHT].seen, 0);
	close_world(&w);
}

static void bad_rules_change_nothing(void **state)
{
	struct rules good = { .requests_per_minute = 1 };
	struct account_spec s = spec_of("bot", "", -1, -1);
	struct err e = { "" };
	struct world w;

	open_world(&w);
	s.rules.loop_times = 3; /* without a time */
	assert_int_equal(budget_set_account(w.b, &s, T0, NULL, &e), -EINVAL);
	assert_non_null(strstr(e.text, "account \"bot\": loop"));
	assert_int_equal(budget_find(w.b, "bot"), 0);
	uint32_t bot = set_rules(&w, "bot", "", -1, &good);

	spend_call(&w, CALL(bot));
	assert_int_equal(budget_set_account(w.b, &s, T0, NULL, &e), -EINVAL);
	(void)ask_refused(&w, CALL(bot), RULE_REQUESTS, "bot");
	assert_int_equal(budget_remove_account(w.b, "bot", &e), 0);
	/* Whoever comes into its place has none of it. */
	bot = world_account(&w, "other", "", -1, -1);
	spend_call(&w, CALL(bot));
	spend_call(&w, CALL(bot));
	struct rules_view v;

	assert_int_equal(budget_rules_view(w.b, bot + 1, T0 * S, &v), -ENOENT);
	close_world(&w);
}

/* ---- figures at the end of 64 bits */

static void absurd_figures(void **state)
{
	struct rules r = { .requests_per_minute = INT64_MAX, .tokens_per_minute = INT64_MAX, .calls_in_flight = INT64_MAX,
			   .per_call = RULES_NANOUSD_MAX };
	static const int64_t tokens_[] = { INT64_MAX, INT64_MIN, -1, 0 };
	struct world w;

	open_world(&w);
	uint32_t bot = set_rules(&w, "bot", "", -1, &r), slots[100];

	for (int i = 0; i < 100; i++)
		slots[i] = ask_slot(&w, CALL(bot, .tokens = tokens_[i % 4], .fingerprint = UINT64_MAX));
	assert_true(rules_at(&w, bot, 0).v[RULE_TOKENS].seen >= 0);
	for (int i = 0; i < 100; i++) {
		budget_count_tokens(w.b, slots[i], tokens_[(i + 1) % 4], INT64_MIN);
		charge_slot(&w, slots[i], INT64_MAX);
	}
	assert_true(rules_at(&w, bot, 0).v[RULE_TOKENS].seen > 0);
	world_check(&w);
	r.tokens_per_minute = 1;
	(void)set_rules(&w, "bot", "", -1, &r);
	(void)ask_refused(&w, CALL(bot, .tokens = INT64_MAX), RULE_TOKENS, "bot");
	close_world(&w);
}

/* Without rules anywhere a hold costs none of their memory. */
static void no_rules_no_memory(void **state)
{
	struct world w;

	open_world(&w);
	uint32_t bot = world_account(&w, "bot", "", 100, -1);
	struct rule_notes notes = { .n = 5 };
	struct hold_request r = { .account = bot, .amount = 1, .now_ns = T0 * S, .notes = &notes };
	struct refusal why;
	uint32_t slot;
	uint64_t id;

	assert_int_equal(budget_hold(w.b, &r, &slot, &id, &why), 0);
	assert_int_equal(notes.n, 0);
	budget_count_tokens(w.b, slot, 5, T0 * S);
	charge_slot(&w, slot, 1);
	assert_false(rules_at(&w, bot, 0).any);
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(models),
		cmocka_unit_test(a_long_model_name_hides_nothing),
		cmocka_unit_test(a_denied_model_comes_before_money),
		cmocka_unit_test(per_call),
		cmocka_unit_test(in_flight),
		cmocka_unit_test(requests),
		cmocka_unit_test(what_is_refused_takes_no_place),
		cmocka_unit_test(tokens),
		cmocka_unit_test(loop),
		cmocka_unit_test(a_loop_of_two),
		cmocka_unit_test(a_loop_across_a_team),
		cmocka_unit_test(burn),
		cmocka_unit_test(only_windows_that_end_have_a_pace),
		cmocka_unit_test(dry_run),
		cmocka_unit_test(a_note_and_a_refusal),
		cmocka_unit_test(a_change_keeps_what_did_not_change),
		cmocka_unit_test(an_account_moves_with_its_calls),
		cmocka_unit_test(bad_rules_change_nothing),
		cmocka_unit_test(absurd_figures),
		cmocka_unit_test(no_rules_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
