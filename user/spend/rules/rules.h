// SPDX-License-Identifier: Apache-2.0
/*
 * rules.h: what an account may do beside how much it may spend. A call must satisfy the rules of its account and of every account
 * above it; they are asked under the budget's lock together with the money (budget_hold), so two calls at once cannot both take the
 * last place. Rates are exact over the last 60 seconds, in steps of one second, towards the strict side: what was seen in a second
 * counts until 60 whole seconds have passed.
 *
 * A rule in dry-run is asked like the others, but its "no" only leaves a note (struct rule_notes).
 *
 * This header is the plain values and their text form; the state that rules keep (what was seen lately) is rules/state.h.
 */
#ifndef PURSE_SPEND_RULES_H
#define PURSE_SPEND_RULES_H

#include "base/buf.h"
#include "base/err.h"
#include "terms.h"

enum rule {
	RULE_MODELS = 0,  /* the model is not on the allow list, or is on the deny list */
	RULE_PER_CALL,    /* more than one call may hold */
	RULE_IN_FLIGHT,   /* calls at once */
	RULE_REQUESTS,    /* calls begun per minute */
	RULE_TOKENS,      /* tokens per minute: settled ones at their real count, those in flight at what is held for them */
	RULE_MODEL_LIMIT, /* a budget for some models only */
	RULE_LOOP,        /* the same request again and again */
	RULE_BURN,        /* spends much faster than its budget lasts */
	RULE_COUNT,
};

#define RULES_GLOB_MAX 80
#define RULES_MODELS_MAX 16
#define RULES_MODEL_LIMITS_MAX 8
#define RULES_LOOP_TIMES_MAX 1000
#define RULES_LOOP_WITHIN_MAX_S 86400
#define RULES_BURN_TIMES_MAX 1000000
#define RULES_BURN_WITHIN_MAX_S (7 * 86400)
#define RULES_NANOUSD_MAX (INT64_C(9000000000) * NANOUSD_PER_USD) /* what the text form can carry */

/* Globs: * and ? over the model as asked for; case matters not. "provider/model" is matched too if the glob has a slash. */
struct model_limit {
	char models[RULES_GLOB_MAX];
	int64_t limits[WINDOW_COUNT]; /* GATE_NO_LIMIT = none */
};

/* All zero = no rules. */
struct rules {
	int64_t requests_per_minute; /* 0 = none, as below */
	int64_t tokens_per_minute;
	int64_t calls_in_flight;
	nanousd per_call;
	int64_t loop_times, loop_within_s; /* refused from the loop_times-th identical request within so long; both or none */
	int64_t burn_times, burn_within_s; /* spent within the last burn_within_s > burn_times x (limit x burn_within_s / window length), for any limited window */
	char allow[RULES_MODELS_MAX][RULES_GLOB_MAX]; /* empty list = all */
	char deny[RULES_MODELS_MAX][RULES_GLOB_MAX];  /* wins over allow */
	size_t nallow, ndeny;
	struct model_limit model_limits[RULES_MODEL_LIMITS_MAX];
	size_t nmodel_limits;
	uint32_t dry_run; /* bit per enum rule */
};

/* The same words in config keys, JSON, refusals and the ledger: "models", "per_call", "calls_in_flight", "requests_per_minute" … */
const char *rule_name(enum rule r);
int rule_of(struct str name, enum rule *ret); /* -EINVAL */
bool rules_any(const struct rules *r);
uint32_t rules_set(const struct rules *r); /* bit per enum rule */
/* Each value for itself and against the others. -EINVAL and what is wrong. */
int rules_check(const struct rules *r, const char *account, struct err *e);
int rules_check_values(const struct rules *r, struct err *e); /* the same without the account in front */
/*
 * The text form, one JSON object with the config's keys; {} for none. Written into out (appended), read back by rules_parse.
 *   {"requests_per_minute":60,"tokens_per_minute":100000,"calls_in_flight":4,"per_call":"0.50",
 *    "loop":{"times":5,"within_s":60},"burn_rate":{"times":10,"within_s":600},
 *    "models":{"allow":["gpt-5*"],"deny":["*-pro"]},
 *    "model_limits":[{"models":"claude-opus*","day":"5.00"}],"dry_run":["loop"]}
 * Reading takes money also as "0.50USD" and "$0.50", windows without a limit also as null; an unknown key, a key that stands twice,
 * and values that rules_check would not take are -EINVAL.
 */
int rules_write(const struct rules *r, struct buf *out);
int rules_parse(const char *text, size_t len, struct rules *ret, struct err *e);
/* provider NULL = any of them. */
bool rules_glob(const char *glob, const char *provider, const char *model);

/* What rules in dry-run would have refused for one call. */
struct rule_notes {
	size_t n;
	struct refusal v[RULE_COUNT];
};

#endif
