// SPDX-License-Identifier: Apache-2.0
/* cmd/agent.c: `purse agent` and `purse account` add|set|raise|pause|resume|kill|rm: flags to one control request. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "ctl/cmd/budget_flags.h"
#include "ctl/cmd/cmd.h"
#include "ctl/records.h"
#include "ctl/units.h"
#include "ctl_abi.h"

struct verb {
	const char *name;
	const char *method;
	const char *behind; /* the name in the path; NULL: the name stands in the body */
	int (*body)(const struct budget_flags *f, const char *name, struct buf *out, struct err *e); /* NULL = none */
	const char *done;
};

static int whole_body(const struct budget_flags *f, const char *name, struct buf *out, struct err *e)
{
	return budget_flags_body(f, name, false, out, e);
}

static int changed_body(const struct budget_flags *f, const char *name, struct buf *out, struct err *e)
{
	if (!budget_flags_any(f))
		return err_set(e, EINVAL, "nothing to set; write e.g. --day 25USD");
	return budget_flags_body(f, NULL, false, out, e);
}

static int raise_body(const struct budget_flags *f, const char *name, struct buf *out, struct err *e)
{
	return budget_flags_raise(f, out, e);
}

static const struct verb verbs[] = {
	{ "add", "POST", NULL, whole_body, "added" },
	{ "set", "PATCH", "", changed_body, "changed" },
	{ "raise", "POST", "/raise", raise_body, "raised" },
	{ "rm", "DELETE", "", NULL, "removed" },
	{ "pause", "POST", "/pause", NULL, "paused" },
	{ "resume", "POST", "/resume", NULL, "resumed" },
	{ "kill", "POST", "/kill", NULL, "paused, its calls in flight cut" },
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* body NULL = none. */
static int call(struct cli *cli, const struct verb *v, const char *kind, const char *name, bool ends, const char *body)
{
	char target[128], note[256], cgroup[600];
	struct client_answer a;

	if (v->behind)
		(void)snprintf(target, sizeof(target), "/v1/%ss/%s%s", kind, name, v->behind);
	else
		(void)snprintf(target, sizeof(target), "/v1/%ss", kind);
	int exit_code = cli_call(cli, ends ? "DELETE" : v->method, target, ends ? NULL : body, &a);

	if (exit_code)
		return exit_code;
	if (cli->json) {
		exit_code = cli_print_json(&a);
	} else {
		record_field(&a.body, "cgroup", cgroup, sizeof(cgroup));
		record_field(&a.body, "note", note, sizeof(note));
		(void)printf("%s %s %s", kind, name, ends ? "is back at its limits" : v->done);
		if (cgroup[0])
			(void)printf(", cgroup %s", cgroup);
		(void)printf("\n");
		if (note[0])
			(void)fprintf(stderr, "purse: note: %s\n", note);
	}
	client_answer_done(&a);
	return exit_code;
}

static int change(struct cli *cli, const struct command *self, char **argv, bool is_agent)
{
	struct args_row rows[64];
	size_t n = is_agent ? budget_flag_nrows : budget_group_nrows;
	struct budget_flags f = { 0 };
	struct args args;
	struct err e = { "" }, why;
	struct buf body;
	bool done;

	/* Which verb it is shows only once all flags are read. */
	memcpy(rows, is_agent ? budget_flag_rows : budget_group_rows, n * sizeof(rows[0]));
	memcpy(rows + n, budget_raise_rows, budget_raise_nrows * sizeof(rows[0]));
	int exit_code = cli_args(cli, self, rows, n + budget_raise_nrows, &f, argv, 1, 2, &args, &done);

	if (done)
		return exit_code;
	const struct verb *v = find_verb(args.words[0]);

	buf_init(&body, CTL_REQUEST_MAX);
	if (!v)
		(void)err_set(&e, EINVAL, "\"%s\" is not one of add, set, raise, pause, resume, kill, rm; `purse status` lists those that there are", args.words[0]);
	else if (args.nwords < 2)
		(void)err_set(&e, EINVAL, "%s which %s? A name is missing", v->name, self->name);
	else if (units_check_name(str_of(args.words[1]), &why) < 0)
		(void)err_set(&e, EINVAL, "\"%s\" %s", args.words[1], why.text);
	else if (!v->body && (budget_flags_any(&f) || f.span || f.until || f.end))
		(void)err_set(&e, EINVAL, "%s takes no limits or other values", v->name);
	else if (v->body)
		(void)v->body(&f, args.words[1], &body, &e);
	exit_code = e.text[0] ? cli_usage(self, &e) : call(cli, v, self->name, args.words[1], f.end, buf_ptr(&body));
	buf_done(&body);
	if (exit_code == PURSE_EXIT_OK && v->body == whole_body && is_agent && !budget_flags_limit(&f))
		(void)fprintf(stderr, "purse: note: it has no limit of its own; `purse agent set %s --day 5USD` sets one\n", args.words[1]);
	return exit_code;
}

int cmd_agent(struct cli *cli, const struct command *self, char **argv)
{
	return change(cli, self, argv, true);
}

int cmd_account(struct cli *cli, const struct command *self, char **argv)
{
	return change(cli, self, argv, false);
}
