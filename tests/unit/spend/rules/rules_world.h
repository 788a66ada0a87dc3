// SPDX-License-Identifier: Apache-2.0
/* rules_world.h: what the tests of rules share: accounts with rules in an open budget, and calls written in one line. */
#ifndef PURSE_TEST_RULES_WORLD_H
#define PURSE_TEST_RULES_WORLD_H

#include "spend_test.h"

#include <errno.h>

#include "spend/rules/rules.h"

/* A call as a test thinks of it; zero = does not matter. */
struct ask {
	uint32_t account;
	int64_t at_s;   /* since T0 */
	nanousd amount; /* 0 = 1 */
	int64_t tokens;
	uint64_t fingerprint;
	const char *model, *provider;
};

#define CALL(who, ...) ((struct ask){ .account = (who), __VA_ARGS__ })

struct told {
	int error;
	uint32_t slot;
	uint64_t id;
	struct refusal why;
	struct rule_notes notes;
};

static inline struct told ask_call(struct world *w, struct ask a)
{
	struct told t = { .error = 0 };
	struct hold_request r = { .account = a.account, .amount = a.amount ? a.amount : 1, .now_ns = (T0 + a.at_s) * S, .comm = "agent",
				  .model = a.model ? a.model : "m", .provider_name = a.provider ? a.provider : "p", .tokens = a.tokens,
				  .fingerprint = a.fingerprint, .notes = &t.notes, .endpoint = ENDPOINT_OPENAI_CHAT };

	t.error = budget_hold(w->b, &r, &t.slot, &t.id, &t.why);
	return t;
}

/* Must go through. */
static inline uint32_t ask_slot(struct world *w, struct ask a)
{
	struct told t = ask_call(w, a);

	if (t.error)
		fail_msg("refused by %s of %s: %s", t.why.rule, t.why.account, t.why.detail);
	return t.slot;
}

/* Must be refused by that rule of that account. */
static inline struct refusal ask_refused(struct world *w, struct ask a, enum rule rule, const char *account)
{
	struct told t = ask_call(w, a);

	if (t.error != -EDQUOT)
		fail_msg("%s should have refused, but the answer is %d", rule_name(rule), t.error);
	if (rule != RULE_MODEL_LIMIT)
		assert_int_equal(t.why.reason, REFUSAL_RULE);
	assert_string_equal(t.why.rule, rule_name(rule));
	assert_string_equal(t.why.account, account);
	return t.why;
}

static inline void charge_slot(struct world *w, uint32_t slot, nanousd cost)
{
	budget_sent(w->b, slot);
	(void)budget_charge(w->b, slot, cost, false);
	budget_settled(w->b, slot);
}

/* From asking to settled. */
static inline void spend_call(struct world *w, struct ask a)
{
	charge_slot(w, ask_slot(w, a), a.amount ? a.amount : 1);
}

static inline uint32_t set_rules(struct world *w, const char *name, const char *parent, int64_t day, const struct rules *r)
{
	struct account_spec s = spec_of(name, parent, day, -1);
	struct err e = { "" };
	uint32_t i = 0;

	s.rules = *r;
	if (budget_set_account(w->b, &s, T0, &i, &e) < 0)
		fail_msg("%s", e.text);
	return i;
}

static inline struct model_limit limit_on(const char *models, enum window_kind k, nanousd limit)
{
	struct model_limit l = { .models = "" };

	(void)snprintf(l.models, sizeof(l.models), "%s", models);
	for (int w = 0; w < WINDOW_COUNT; w++)
		l.limits[w] = GATE_NO_LIMIT;
	l.limits[k] = limit;
	return l;
}

static inline struct rules_view rules_at(struct world *w, uint32_t account, int64_t at_s)
{
	struct rules_view v;

	assert_int_equal(budget_rules_view(w->b, account, (T0 + at_s) * S, &v), 0);
	return v;
}

static inline struct rules on(const char *models, enum window_kind k, nanousd limit)
{
	return (struct rules){ .model_limits = { limit_on(models, k, limit) }, .nmodel_limits = 1 };
}

static inline struct window_view model_window(struct world *w, uint32_t account, size_t m, enum window_kind k, int64_t at_s)
{
	struct rules_view v = rules_at(w, account, at_s);

	assert_true(m < v.nmodel_limits);
	return v.model_limits[m].windows[k];
}

#endif
