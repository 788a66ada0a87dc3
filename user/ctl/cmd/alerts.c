// SPDX-License-Identifier: Apache-2.0
/* cmd/alerts.c: `purse alerts`: what was told and whether it arrived; `purse alerts test NAME`. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "ctl/alert/send.h"
#include "ctl/cmd/cmd.h"
#include "ctl/records.h"
#include "ctl/cmd/table.h"
#include "ctl/units.h"
#include "ctl_abi.h"

enum { A_AT, A_ALERT, A_TEXT, A_PLACES };
enum { P_STATE, P_ATTEMPTS, P_ERROR, P_COUNT };
static const char *const fields[A_PLACES + ALERT_PLACE_COUNT * P_COUNT] = {
	"at", "alert", "text",
	"deliveries.webhook.state", "deliveries.webhook.attempts", "deliveries.webhook.error",
	"deliveries.slack.state", "deliveries.slack.attempts", "deliveries.slack.error",
	"deliveries.exec.state", "deliveries.exec.attempts", "deliveries.exec.error",
};
static const char *const heads[] = { "AT", "ALERT", "DELIVERIES", "TEXT" };

static void show(void *ctx, const char *const *v)
{
	struct table *t = ctx;
	char said[512] = "";
	size_t n = 0;

	for (int p = 0; p < ALERT_PLACE_COUNT; p++) {
		const char *const *x = v + A_PLACES + p * P_COUNT;

		if (!x[P_STATE][0] || n >= sizeof(said))
			continue;
		n += (size_t)snprintf(said + n, sizeof(said) - n, "%s%s %s", n ? ", " : "", alert_place_names[p], x[P_STATE]);
		if (x[P_ERROR][0] && strcmp(x[P_STATE], "sent") != 0 && n < sizeof(said))
			n += (size_t)snprintf(said + n, sizeof(said) - n, " after %s tries (%s)", x[P_ATTEMPTS], x[P_ERROR]);
	}
	table_cell(t, v[A_AT]);
	table_cell(t, v[A_ALERT]);
	table_cell(t, said);
	table_cell(t, v[A_TEXT]);
}

static int list(struct cli *cli)
{
	struct client_answer a;
	char name[GATE_NAME_MAX], dropped[24];
	struct table t;
	bool done;
	int exit_code = cli_get(cli, "/v1/alerts", &a, &done);

	if (done)
		return exit_code;
	table_init(&t, heads, 4, 0);
	int r = records_read(&a.body, "fired[]", fields, sizeof(fields) / sizeof(fields[0]), show, &t);

	record_field(&a.body, "alerts[].name", name, sizeof(name));
	record_field(&a.body, "dropped", dropped, sizeof(dropped));
	if (table_rows(&t))
		table_print(&t, stdout);
	else
		(void)printf(name[0] ? "nothing was told yet; `purse alerts test %s` tries it out\n"
				     : "no alerts in the config: docs/control.md shows how to write one%.0s\n", name);
	if (dropped[0] && strcmp(dropped, "0") != 0)
		(void)printf("%s deliveries were dropped since the daemon's start\n", dropped);
	client_answer_done(&a);
	return r ? PURSE_EXIT_FAILURE : PURSE_EXIT_OK;
}

static int test(struct cli *cli, const struct command *self, const char *name)
{
	struct client_answer a;
	struct err e = { "" }, why;
	char target[128];

	if (units_check_name(str_of(name), &why) < 0) {
		(void)err_set(&e, EINVAL, "\"%s\" %s", name, why.text);
		return cli_usage(self, &e);
	}
	(void)snprintf(target, sizeof(target), "/v1/alerts/%s/test", name);
	int exit_code = cli_call(cli, "POST", target, NULL, &a);

	if (exit_code)
		return exit_code;
	if (cli->json)
		exit_code = cli_print_json(&a);
	else
		(void)printf("on its way; `purse alerts` says whether it arrives\n");
	client_answer_done(&a);
	return exit_code;
}

int cmd_alerts(struct cli *cli, const struct command *self, char **argv)
{
	struct args args;
	struct err e = { "" };
	bool done;
	int exit_code = cli_args(cli, self, NULL, 0, NULL, argv, 0, 2, &args, &done);

	if (done)
		return exit_code;
	if (args.nwords == 0)
		return list(cli);
	if (args.nwords == 2 && strcmp(args.words[0], "test") == 0)
		return test(cli, self, args.words[1]);
	(void)err_set(&e, EINVAL, "\"%s\" is not test NAME", args.words[0]);
	return cli_usage(self, &e);
}
