// SPDX-License-Identifier: Apache-2.0
/* cmd_agent.c: `purse agent add|set|rm|pause|resume` and `purse account add|set|rm`: flags to one control request. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "ctl/budget_flags.h"
#include "ctl/cmd.h"
#include "ctl/records.h"
#include "ctl/units.h"
#include "ctl_abi.h"

struct verb {
	const char *name;
	const char *method;
	const char *behind; /* the name in the path; NULL: the name stands in the body */
	bool has_body, agents_only;
	const char *done;
};
static const struct verb verbs[] = {
	{ "add", "POST", NULL, true, false, "added" },
	{ "set", "PATCH", "", true, false, "changed" },
	{ "rm", "DELETE", "", false, false, "removed" },
	{ "pause", "POST", "/pause", false, true, "paused" },
	{ "resume", "POST", "/resume", false, true, "resumed" },
};

static const struct verb *find_verb(const char *name, bool is_agent)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0 && (is_agent || !verbs[i].agents_only))
			return &verbs[i];
	return NULL;
}

static int call(struct cli *cli, const struct verb *v, const char *kind, const char *name, const struct budget_flags *f)
{
	char target[128], note[256], cgroup[600];
	struct client_answer a;
	struct buf body;

	if (v->behind)
		(void)snprintf(target, sizeof(target), "/v1/%ss/%s%s", kind, name, v->behind);
	else
		(void)snprintf(target, sizeof(target), "/v1/%ss", kind);
	buf_init(&body, CTL_REQUEST_MAX);
	int exit_code = PURSE_EXIT_OK;

	if (v->has_body && budget_flags_body(f, v->behind ? NULL : name, false, &body) < 0)
		exit_code = PURSE_EXIT_FAILURE;
	if (exit_code == PURSE_EXIT_OK)
		exit_code = cli_call(cli, v->method, target, v->has_body ? buf_ptr(&body) : NULL, &a);
	buf_done(&body);
	if (exit_code)
		return exit_code;
	if (cli->json) {
		exit_code = cli_print_json(&a);
	} else {
		record_field(&a.body, "cgroup", cgroup, sizeof(cgroup));
		record_field(&a.body, "note", note, sizeof(note));
		(void)printf("%s %s %s", kind, name, v->done);
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
	const struct args_row *rows = is_agent ? budget_flag_rows : budget_group_rows;
	struct budget_flags f = { 0 };
	struct args args;
	struct err e = { "" }, why;
	bool done;
	int exit_code = cli_args(cli, self, rows, is_agent ? budget_flag_nrows : budget_group_nrows, &f, argv, 2, 2, &args,
				 &done);

	if (done)
		return exit_code;
	const struct verb *v = find_verb(args.words[0], is_agent);

	if (!v) {
		(void)err_set(&e, EINVAL, "\"%s\" is not one of %s", args.words[0],
			      is_agent ? "add, set, rm, pause, resume" : "add, set, rm");
		return cli_usage(self, &e);
	}
	if (units_check_name(str_of(args.words[1]), &why) < 0)
		(void)err_set(&e, EINVAL, "\"%s\" %s", args.words[1], why.text);
	else if (!v->has_body && budget_flags_any(&f))
		(void)err_set(&e, EINVAL, "%s takes no limits or other values", v->name);
	else if (strcmp(v->name, "set") == 0 && !budget_flags_any(&f))
		(void)err_set(&e, EINVAL, "nothing to set; write e.g. --day 25USD");
	if (e.text[0])
		return cli_usage(self, &e);
	return call(cli, v, self->name, args.words[1], &f);
}

int cmd_agent(struct cli *cli, const struct command *self, char **argv)
{
	return change(cli, self, argv, true);
}

int cmd_account(struct cli *cli, const struct command *self, char **argv)
{
	return change(cli, self, argv, false);
}
