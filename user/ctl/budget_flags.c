// SPDX-License-Identifier: Apache-2.0
/* budget_flags.c: see budget_flags.h. */
#include "ctl/budget_flags.h"

#include <string.h>

#include "base/jsonw.h"
#include "ctl/units.h"

static const char *const exhausted_words[] = { "refuse", "explain", NULL };
static const char *const failure_words[] = { "closed", "open", NULL };

#define AT(member) offsetof(struct budget_flags, member)
#define LIMIT(kind, word) \
	{ .name = "--" word, .type = ARGS_USD, .offset = AT(limits) + (kind) * sizeof(struct args_usd), .value = "USD", \
	  .help = "limit per " word "; none takes it away" }
#define LIMITS \
	LIMIT(WINDOW_HOUR, "hour"), LIMIT(WINDOW_DAY, "day"), LIMIT(WINDOW_WEEK, "week"), LIMIT(WINDOW_MONTH, "month"), \
	{ .name = "--total", .type = ARGS_USD, .offset = AT(limits) + WINDOW_TOTAL * sizeof(struct args_usd), \
	  .value = "USD", .help = "limit for good; none takes it away" }

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
};
const size_t budget_flag_nrows = sizeof(budget_flag_rows) / sizeof(budget_flag_rows[0]);

const struct args_row budget_group_rows[] = {
	LIMITS,
	{ .name = "--parent", .type = ARGS_TEXT, .offset = AT(parent), .value = "PARENT",
	  .help = "the account above it; none = top" },
};
const size_t budget_group_nrows = sizeof(budget_group_rows) / sizeof(budget_group_rows[0]);

bool budget_flags_any(const struct budget_flags *f)
{
	bool any = f->floor.given || f->parent || f->cgroup || f->on_exhausted || f->on_failure;

	for (int w = 0; w < WINDOW_COUNT; w++)
		any = any || f->limits[w].given;
	return any;
}

int budget_flags_body(const struct budget_flags *f, const char *name, bool temporary, struct buf *out)
{
	struct jsonw w;

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
	if (f->parent)
		jsonw_cstr(&w, "parent", strcmp(f->parent, "none") == 0 ? "" : f->parent);
	if (f->cgroup)
		jsonw_cstr(&w, "cgroup", f->cgroup);
	if (f->on_exhausted)
		jsonw_cstr(&w, "on_exhausted", f->on_exhausted);
	if (f->on_failure)
		jsonw_cstr(&w, "on_failure", f->on_failure);
	if (temporary)
		jsonw_bool(&w, "temporary", true);
	jsonw_close(&w);
	int r = jsonw_end(&w);

	return r ? r : buf_append(out, "", 1);
}
