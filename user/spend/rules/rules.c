// SPDX-License-Identifier: Apache-2.0
/*
 * rules.c: the words of rules, their bounds, and globs over model names. Plain values only: what was seen lately is rules/state.c,
 * the text form rules/text.c, asking them about a call rules/ask.c.
 */
#include "spend/rules/rules.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "gate_abi.h"
#include "spend/budget/window.h"

/* ---- words */

static const char *const names[RULE_COUNT] = {
	[RULE_MODELS] = "models",
	[RULE_PER_CALL] = "per_call",
	[RULE_IN_FLIGHT] = "calls_in_flight",
	[RULE_REQUESTS] = "requests_per_minute",
	[RULE_TOKENS] = "tokens_per_minute",
	[RULE_MODEL_LIMIT] = "model_limit",
	[RULE_LOOP] = "loop",
	[RULE_BURN] = "burn_rate",
};

const char *rule_name(enum rule r)
{
	return (unsigned)r < RULE_COUNT ? names[r] : "?";
}

int rule_of(struct str name, enum rule *ret)
{
	for (unsigned r = 0; r < RULE_COUNT; r++)
		if (strlen(names[r]) == name.n && memcmp(names[r], name.p, name.n) == 0) {
			*ret = (enum rule)r;
			return 0;
		}
	return -EINVAL;
}

uint32_t rules_set(const struct rules *r)
{
	return (uint32_t)(r->nallow || r->ndeny) << RULE_MODELS | (uint32_t)(r->per_call != 0) << RULE_PER_CALL |
	       (uint32_t)(r->calls_in_flight != 0) << RULE_IN_FLIGHT | (uint32_t)(r->requests_per_minute != 0) << RULE_REQUESTS |
	       (uint32_t)(r->tokens_per_minute != 0) << RULE_TOKENS | (uint32_t)(r->nmodel_limits != 0) << RULE_MODEL_LIMIT |
	       (uint32_t)(r->loop_times != 0) << RULE_LOOP | (uint32_t)(r->burn_times != 0) << RULE_BURN;
}

bool rules_any(const struct rules *r)
{
	return rules_set(r) != 0;
}

/* ---- globs */

static unsigned char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c - 'A' + 'a') : (unsigned char)c;
}

/*
 * The text comes in two parts, so that "provider/model" need not be put together. When a literal fails, only the last star is given
 * one more byte: an earlier one could win nothing that the last cannot, so the work is at most glob x text.
 */
static bool matches(const char *glob, struct str a, struct str b)
{
	const char *star = NULL;
	size_t at = 0, star_at = 0, n = a.n + b.n;

	while (at < n) {
		char c = at < a.n ? a.p[at] : b.p[at - a.n];

		if (*glob == '*') {
			star = ++glob;
			star_at = at;
		} else if (*glob && (*glob == '?' || lower(*glob) == lower(c))) {
			glob++;
			at++;
		} else if (star) {
			glob = star;
			at = ++star_at;
		} else {
			return false;
		}
	}
	while (*glob == '*')
		glob++;
	return *glob == '\0';
}

/* "provider/": the name, and the slash as part of the glob's own text. */
static bool matches_provider(const char *glob, const char *provider, const char *model)
{
	char front[RULES_GLOB_MAX];
	size_t n = strnlen(provider, sizeof(front) - 1);

	memcpy(front, provider, n);
	front[n++] = '/';
	return matches(glob, (struct str){ front, n }, (struct str){ model, strlen(model) });
}

bool rules_glob(const char *glob, const char *provider, const char *model)
{
	const char *slash = strchr(glob, '/');

	model = model ? model : "";
	if (matches(glob, (struct str){ NULL, 0 }, (struct str){ model, strlen(model) }))
		return true;
	if (!slash)
		return false;
	return provider ? matches_provider(glob, provider, model)
			: matches(slash + 1, (struct str){ NULL, 0 }, (struct str){ model, strlen(model) });
}

/* ---- bounds */

static int check_glob(const char *glob, const char *key, struct err *e)
{
	size_t n = strnlen(glob, RULES_GLOB_MAX);

	if (n == 0 || n == RULES_GLOB_MAX)
		return err_set(e, EINVAL, "%s: \"%.79s\" is not a model glob; write 1 to %d characters, e.g. gpt-5*", key, glob,
			       RULES_GLOB_MAX - 1);
	for (size_t i = 0; i < n; i++)
		if (glob[i] <= ' ' || glob[i] > '~' || glob[i] == '"' || glob[i] == '\\')
			return err_set(e, EINVAL, "%s: a glob has a blank, a quote, a backslash or a byte outside ASCII at place %zu; write e.g. gpt-5*",
				       key, i + 1);
	return 0;
}

static int check_globs(const char (*globs)[RULES_GLOB_MAX], size_t n, const char *key, struct err *e)
{
	int r = 0;

	if (n > RULES_MODELS_MAX)
		return err_set(e, EINVAL, "%s: %zu globs; at most %d are taken, so use wider ones", key, n, RULES_MODELS_MAX);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = check_glob(globs[i], key, e);
	return r;
}

static int check_model_limit(const struct rules *r, size_t at, struct err *e)
{
	const struct model_limit *l = &r->model_limits[at];
	bool is_limited = false;
	int bad = check_glob(l->models, "model_limits: models", e);

	if (bad < 0)
		return bad;
	for (int k = 0; k < WINDOW_COUNT; k++) {
		if (l->limits[k] == GATE_NO_LIMIT)
			continue;
		if (l->limits[k] < 0 || l->limits[k] > RULES_NANOUSD_MAX)
			return err_set(e, EINVAL, "model_limits: \"%s\": the %s limit, %lld nano-dollars, is out of range; write 0USD to 9000000000USD",
				       l->models, window_name((enum window_kind)k), (long long)l->limits[k]);
		is_limited = true;
	}
	if (!is_limited)
		return err_set(e, EINVAL, "model_limits: \"%s\" has no limit; give it at least one window, e.g. day: 5USD", l->models);
	for (size_t i = 0; i < at; i++)
		if (strcasecmp(r->model_limits[i].models, l->models) == 0)
			return err_set(e, EINVAL, "model_limits: \"%s\" stands twice; put its limits into one row", l->models);
	return 0;
}

struct bound {
	const char *key;
	int64_t value, min, max; /* 0 is allowed as "none" */
};

static int check_bound(const struct bound *b, struct err *e)
{
	if (b->value == 0 || (b->value >= b->min && b->value <= b->max))
		return 0;
	if (b->max == INT64_MAX)
		return err_set(e, EINVAL, "%s: %lld is negative; write a number above 0, or leave it out", b->key, (long long)b->value);
	return err_set(e, EINVAL, "%s: %lld is out of range; write %lld to %lld, or leave it out", b->key, (long long)b->value,
		       (long long)b->min, (long long)b->max);
}

static int check_both(const char *key, int64_t times, int64_t within_s, struct err *e)
{
	if (!times == !within_s)
		return 0;
	return err_set(e, EINVAL, "%s: times is %lld and within %lld seconds; it needs both, or neither", key, (long long)times,
		       (long long)within_s);
}

static int check_numbers(const struct rules *r, struct err *e)
{
	const struct bound bounds[] = {
		{ "requests_per_minute", r->requests_per_minute, 1, INT64_MAX },
		{ "tokens_per_minute", r->tokens_per_minute, 1, INT64_MAX },
		{ "calls_in_flight", r->calls_in_flight, 1, INT64_MAX },
		{ "per_call", r->per_call, 1, RULES_NANOUSD_MAX },
		/* From the first one on would be from any request on. */
		{ "loop times", r->loop_times, 2, RULES_LOOP_TIMES_MAX },
		{ "loop within", r->loop_within_s, 1, RULES_LOOP_WITHIN_MAX_S },
		{ "burn_rate times", r->burn_times, 1, RULES_BURN_TIMES_MAX },
		{ "burn_rate within", r->burn_within_s, 1, RULES_BURN_WITHIN_MAX_S },
	};
	int bad = 0;

	for (size_t i = 0; bad == 0 && i < sizeof(bounds) / sizeof(bounds[0]); i++)
		bad = check_bound(&bounds[i], e);
	if (bad == 0)
		bad = check_both("loop", r->loop_times, r->loop_within_s, e);
	if (bad == 0)
		bad = check_both("burn_rate", r->burn_times, r->burn_within_s, e);
	return bad;
}

int rules_check_values(const struct rules *r, struct err *e)
{
	int bad = check_numbers(r, e);

	if (bad == 0)
		bad = check_globs(r->allow, r->nallow, "models: allow", e);
	if (bad == 0)
		bad = check_globs(r->deny, r->ndeny, "models: deny", e);
	if (bad == 0 && r->nmodel_limits > RULES_MODEL_LIMITS_MAX)
		bad = err_set(e, EINVAL, "model_limits: %zu of them; at most %d are taken", r->nmodel_limits, RULES_MODEL_LIMITS_MAX);
	for (size_t i = 0; bad == 0 && i < r->nmodel_limits; i++)
		bad = check_model_limit(r, i, e);
	if (bad == 0 && r->dry_run >> RULE_COUNT)
		bad = err_set(e, EINVAL, "dry_run: 0x%x names rules that do not exist; list rules by name, e.g. [loop]", r->dry_run);
	return bad;
}

int rules_check(const struct rules *r, const char *account, struct err *e)
{
	int bad = rules_check_values(r, e);

	return bad < 0 ? err_prefix(e, bad, "account \"%.47s\"", account) : 0;
}
