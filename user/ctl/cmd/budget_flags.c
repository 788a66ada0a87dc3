// SPDX-License-Identifier: Apache-2.0
/* budget_flags.c: see budget_flags.h. */
#include "ctl/cmd/budget_flags.h"

#include <errno.h>
#include <string.h>

#include "base/jsonw.h"
#include "base/str.h"
#include "ctl/units.h"

static const char *const exhausted_words[] = { "refuse", "explain", NULL };
static const char *const failure_words[] = { "closed", "open", NULL };
static const char *const clamp_words[] = { "on", "off", NULL };

#define AT(member) offsetof(struct budget_flags, member)
#define LIMIT(kind, word) \
	{ .name = "--" word, .type = ARGS_USD, .offset = AT(limits) + (kind) * sizeof(struct args_usd), .value = "USD", \
	  .help = "limit per " word "; none takes it away" }
#define LIMITS \
	LIMIT(WINDOW_HOUR, "hour"), LIMIT(WINDOW_DAY, "day"), LIMIT(WINDOW_WEEK, "week"), LIMIT(WINDOW_MONTH, "month"), \
	{ .name = "--total", .type = ARGS_USD, .offset = AT(limits) + WINDOW_TOTAL * sizeof(struct args_usd), \
	  .value = "USD", .help = "limit for good; none takes it away" }

#define TERMS \
	{ .name = "--timezone", .type = ARGS_TEXT, .offset = AT(timezone), .value = "ZONE", \
	  .help = "where its days begin: Europe/Berlin; none = the config's" }, \
	{ .name = "--resets-at", .type = ARGS_TEXT, .offset = AT(resets_at), .value = "HH:MM", \
	  .help = "when its days, weeks and months begin; none = the config's" }, \
	{ .name = "--clamp", .type = ARGS_WORD, .offset = AT(clamp), .words = clamp_words, \
	  .help = "lower the output limit of whole answers to what is left" }, \
	{ .name = "--rpm", .type = ARGS_TEXT, .offset = AT(rpm), .value = "N", .help = "rule: requests per minute; none, as with all rules" }, \
	{ .name = "--tpm", .type = ARGS_TEXT, .offset = AT(tpm), .value = "N", .help = "rule: tokens per minute" }, \
	{ .name = "--in-flight", .type = ARGS_TEXT, .offset = AT(in_flight), .value = "N", .help = "rule: calls at once" }, \
	{ .name = "--per-call", .type = ARGS_USD, .offset = AT(per_call), .value = "USD", .help = "rule: most that one call may cost" }, \
	{ .name = "--allow-models", .type = ARGS_TEXT, .offset = AT(allow), .value = "GLOBS", \
	  .help = "rule: only these: \"gpt-5*,claude-*\"" }, \
	{ .name = "--deny-models", .type = ARGS_TEXT, .offset = AT(deny), .value = "GLOBS", .help = "rule: never these" }, \
	{ .name = "--model-limit", .type = ARGS_TEXTS, .offset = AT(model_limits), .value = "GLOB=WINDOW:USD", \
	  .help = "rule: a budget for these models: \"claude-opus*=day:5,month:50\"; again for more of them" }, \
	{ .name = "--loop", .type = ARGS_TEXT, .offset = AT(loop), .value = "N/TIME", \
	  .help = "rule: refuse the N-th identical request within TIME: 5/1m" }, \
	{ .name = "--burn-rate", .type = ARGS_TEXT, .offset = AT(burn), .value = "N/TIME", \
	  .help = "rule: refuse when spending N times faster than the budget lasts: 10/10m" }, \
	{ .name = "--dry-run", .type = ARGS_TEXT, .offset = AT(dry_run), .value = "RULES", \
	  .help = "these rules only note what they would refuse: loop,burn_rate" }

const struct args_row budget_flag_rows[] = {
	LIMITS,
	{ .name = "--account", .type = ARGS_TEXT, .offset = AT(parent), .value = "PARENT",
	  .help = "the account above the agent's own; none = top" },
	{ .name = "--exhausted-below", .type = ARGS_AMOUNT, .offset = AT(floor), .value = "USD",
	  .help = "the kernel refuses once this little is left" },
	{ .name = "--on-exhausted", .type = ARGS_WORD, .offset = AT(on_exhausted), .words = exhausted_words,
	  .help = "EDQUOT from the kernel, or connect and answer 402" },
	{ .name = "--on-failure", .type = ARGS_WORD, .offset = AT(on_failure), .words = failure_words,
	  .help = "non-LLM hosts on captured ports while the daemon is dead" },
	{ .name = "--cgroup", .type = ARGS_TEXT, .offset = AT(cgroup), .value = "PATH",
	  .help = "below the cgroup2 mount; default /purse/NAME" },
	TERMS,
};
const size_t budget_flag_nrows = sizeof(budget_flag_rows) / sizeof(budget_flag_rows[0]);

const struct args_row budget_group_rows[] = {
	LIMITS,
	{ .name = "--parent", .type = ARGS_TEXT, .offset = AT(parent), .value = "PARENT",
	  .help = "the account above it; none = top" },
	{ .name = "--exhausted-below", .type = ARGS_AMOUNT, .offset = AT(floor), .value = "USD",
	  .help = "the kernel refuses once this little is left" },
	TERMS,
};
const size_t budget_group_nrows = sizeof(budget_group_rows) / sizeof(budget_group_rows[0]);

const struct args_row budget_raise_rows[] = {
	{ .name = "--for", .type = ARGS_TEXT, .offset = AT(span), .value = "TIME", .help = "raise: for so long: 2h" },
	{ .name = "--until", .type = ARGS_TEXT, .offset = AT(until), .value = "MOMENT", .help = "raise: until 2026-08-21T18:00:00Z" },
	{ .name = "--end", .type = ARGS_SWITCH, .offset = AT(end), .help = "raise: end it now" },
};
const size_t budget_raise_nrows = sizeof(budget_raise_rows) / sizeof(budget_raise_rows[0]);

bool budget_flags_limit(const struct budget_flags *f)
{
	bool any = false;

	for (int w = 0; w < WINDOW_COUNT; w++)
		any = any || f->limits[w].given;
	return any;
}

static bool any_rule(const struct budget_flags *f)
{
	return f->rpm || f->tpm || f->in_flight || f->per_call.given || f->model_limits.n > 0 || f->allow || f->deny || f->loop || f->burn || f->dry_run;
}

static bool any_other(const struct budget_flags *f)
{
	return f->floor.given || f->parent || f->cgroup || f->on_exhausted || f->on_failure || f->timezone || f->resets_at || f->clamp ||
	       any_rule(f);
}

bool budget_flags_any(const struct budget_flags *f)
{
	return budget_flags_limit(f) || any_other(f);
}

/* ---- rules: what is given, as a change of those there are (ctl/config/rules_yaml.h) */

static bool is_none(const char *value)
{
	return strcmp(value, "none") == 0;
}

static int put_count(struct jsonw *w, const char *flag, const char *key, const char *value, struct err *e)
{
	int64_t v;

	if (!value)
		return 0;
	if (is_none(value)) {
		jsonw_null(w, key);
		return 0;
	}
	if (str_to_i64(str_of(value), &v) < 0 || v < 1)
		return err_set(e, EINVAL, "%s: \"%s\" is not a whole number above 0, or none", flag, value);
	jsonw_i64(w, key, v);
	return 0;
}

/* "5/1m" */
static int put_times(struct jsonw *w, const char *flag, const char *key, const char *value, struct err *e)
{
	struct str within, times;
	int64_t n, ns;

	if (!value)
		return 0;
	if (is_none(value)) {
		jsonw_null(w, key);
		return 0;
	}
	within = str_of(value);
	times = str_cut(&within, '/');
	if (str_to_i64(times, &n) < 0 || units_to_ns(within, &ns) < 0 || ns < 1000000000)
		return err_set(e, EINVAL, "%s: \"%s\" is not a number and a time, or none; write e.g. 5/1m", flag, value);
	jsonw_object(w, key);
	jsonw_i64(w, "times", n);
	jsonw_i64(w, "within_s", ns / 1000000000);
	jsonw_close(w);
	return 0;
}

/* "a,b"; none = an empty list */
static void put_list(struct jsonw *w, const char *key, const char *value)
{
	struct str rest = str_of(value ? value : "");

	if (!value)
		return;
	jsonw_array(w, key);
	while (!is_none(value) && rest.n > 0) {
		struct str word = str_trim(str_cut(&rest, ','));

		if (word.n > 0)
			jsonw_str(w, NULL, word);
	}
	jsonw_close(w);
}

/* "day:5,month:50USD". Returns how many there are. */
static int put_windows(struct jsonw *w, struct str rest, struct err *e)
{
	int n = 0;

	for (; rest.n > 0; n++) {
		struct str amount = str_trim(str_cut(&rest, ',')), window = str_trim(str_cut(&amount, ':'));
		nanousd limit;
		int kind = 0;

		while (kind < WINDOW_COUNT && !str_eq(window, str_of(units_window_names[kind])))
			kind++;
		if (kind == WINDOW_COUNT || str_to_usd(str_trim(amount), true, &limit) < 0)
			return err_set(e, EINVAL, "--model-limit: \"%.*s%s%.*s\" is not a window (hour, day, week, month, total) and a USD amount; write e.g. "
				       "claude-opus*=day:5USD", STR_FMT(window), amount.n ? ":" : "", STR_FMT(amount));
		jsonw_usd(w, units_window_names[kind], limit);
	}
	return n;
}

/* "claude-opus*=day:5,month:50USD" */
static int put_model_limit(struct jsonw *w, const char *value, struct err *e)
{
	const char *equals = strrchr(value, '=');
	struct str models = { value, equals ? (size_t)(equals - value) : 0 };

	jsonw_object(w, NULL);
	jsonw_str(w, "models", models);
	int n = put_windows(w, str_of(equals ? equals + 1 : ""), e);

	jsonw_close(w);
	if (n == 0 || models.n == 0)
		return err_set(e, EINVAL, "--model-limit: \"%s\" is not models and their limit, or none; write e.g. claude-opus*=day:5USD", value);
	return n < 0 ? n : 0;
}

/* What is given is all of them, as with lists in the config. */
static int put_model_limits(struct jsonw *w, const struct args_texts *given, struct err *e)
{
	int r = 0;

	if (given->n == 0)
		return 0;
	if (given->n == 1 && is_none(given->v[0])) {
		jsonw_null(w, "model_limits");
		return 0;
	}
	jsonw_array(w, "model_limits");
	for (size_t i = 0; r == 0 && i < given->n; i++)
		r = put_model_limit(w, given->v[i], e);
	jsonw_close(w);
	return r;
}

static int put_rules(struct jsonw *w, const struct budget_flags *f, struct err *e)
{
	int r = 0;

	jsonw_object(w, "rules");
	if (r == 0)
		r = put_count(w, "--rpm", "requests_per_minute", f->rpm, e);
	if (r == 0)
		r = put_count(w, "--tpm", "tokens_per_minute", f->tpm, e);
	if (r == 0)
		r = put_count(w, "--in-flight", "calls_in_flight", f->in_flight, e);
	if (r == 0)
		r = put_times(w, "--loop", "loop", f->loop, e);
	if (r == 0)
		r = put_times(w, "--burn-rate", "burn_rate", f->burn, e);
	if (r == 0)
		r = put_model_limits(w, &f->model_limits, e);
	if (f->per_call.none)
		jsonw_null(w, "per_call");
	else if (f->per_call.given)
		jsonw_usd(w, "per_call", f->per_call.v);
	if (f->allow || f->deny) {
		jsonw_object(w, "models");
		put_list(w, "allow", f->allow);
		put_list(w, "deny", f->deny);
		jsonw_close(w);
	}
	put_list(w, "dry_run", f->dry_run);
	jsonw_close(w);
	return r;
}

/* ---- bodies */

/* Ends in NUL, for who sends it as a string. */
static int end_body(struct jsonw *w, struct buf *out, int r, struct err *e)
{
	jsonw_close(w);
	int written = jsonw_end(w);

	if (r == 0 && written == 0)
		written = buf_append(out, "", 1);
	return r ? r : written ? err_set(e, -written, "too many flags for one request") : 0;
}

static void put_word(struct jsonw *w, const char *key, const char *value)
{
	if (value)
		jsonw_cstr(w, key, is_none(value) ? "" : value);
}

int budget_flags_body(const struct budget_flags *f, const char *name, bool temporary, struct buf *out, struct err *e)
{
	struct jsonw w;
	int r = 0;

	if (f->span || f->until || f->end)
		return err_set(e, EINVAL, "--for, --until and --end are flags of raise");
	jsonw_init(&w, out);
	jsonw_object(&w, NULL);
	if (name)
		jsonw_cstr(&w, "name", name);
	for (int i = 0; i < WINDOW_COUNT; i++) {
		if (f->limits[i].none)
			jsonw_null(&w, units_window_names[i]);
		else if (f->limits[i].given)
			jsonw_usd(&w, units_window_names[i], f->limits[i].v);
	}
	if (f->floor.given)
		jsonw_usd(&w, "exhausted_below", f->floor.v);
	put_word(&w, "parent", f->parent);
	put_word(&w, "timezone", f->timezone);
	put_word(&w, "resets_at", f->resets_at);
	if (f->clamp)
		jsonw_bool(&w, "clamp", strcmp(f->clamp, "on") == 0);
	if (f->cgroup)
		jsonw_cstr(&w, "cgroup", f->cgroup);
	if (f->on_exhausted)
		jsonw_cstr(&w, "on_exhausted", f->on_exhausted);
	if (f->on_failure)
		jsonw_cstr(&w, "on_failure", f->on_failure);
	if (temporary)
		jsonw_bool(&w, "temporary", true);
	if (any_rule(f))
		r = put_rules(&w, f, e);
	return end_body(&w, out, r, e);
}

int budget_flags_raise(const struct budget_flags *f, struct buf *out, struct err *e)
{
	struct jsonw w;

	if (any_other(f))
		return err_set(e, EINVAL, "raise takes limits and --for, --until or --end; the rest is for set");
	if (f->end && (budget_flags_limit(f) || f->span || f->until))
		return err_set(e, EINVAL, "--end stands alone: it ends the whole raise");
	if (!f->end && (!f->span == !f->until))
		return err_set(e, EINVAL, "how long? write --for 2h or --until 2026-08-21T18:00:00Z");
	if (!f->end && !budget_flags_limit(f))
		return err_set(e, EINVAL, "nothing to raise; write e.g. --day 10USD");
	jsonw_init(&w, out);
	jsonw_object(&w, NULL);
	for (int i = 0; i < WINDOW_COUNT; i++) {
		if (f->limits[i].given)
			jsonw_usd(&w, units_window_names[i], f->limits[i].none ? 0 : f->limits[i].v);
	}
	if (f->span)
		jsonw_cstr(&w, "for", f->span);
	if (f->until)
		jsonw_cstr(&w, "until", f->until);
	return end_body(&w, out, 0, e);
}
