// SPDX-License-Identifier: Apache-2.0
/* cmd/events.c: `purse events [-f]`: the gate's refusals as NDJSON, or one line each for people. */
#include <errno.h>
#include <string.h>

#include "ctl/cmd/cmd.h"
#include "ctl/records.h"
#include "ctl_abi.h"

enum { E_TIME, E_TEXT, E_AGENT, E_CGROUP, E_PID, E_COMM, E_DST, E_DPORT, E_PROTOCOL, E_ERRNO, E_TIMES, E_COUNT };
static const char *const fields[E_COUNT] = { "time", "text",  "agent",    "caller_cgroup", "pid", "comm",
					     "dst",  "dport", "protocol", "errno", "count" };

static void show(void *ctx, const char *const *v)
{
	bool v6 = strchr(v[E_DST], ':') != NULL;

	(void)printf("%s  %-12s %s[%s]", v[E_TIME], v[E_AGENT][0] ? v[E_AGENT] : "-", v[E_COMM], v[E_PID]);
	if (v[E_DST][0])
		(void)printf(" -> %s%s%s:%s/%s", v6 ? "[" : "", v[E_DST], v6 ? "]" : "", v[E_DPORT], v[E_PROTOCOL]);
	(void)printf("  %s%s%s", v[E_ERRNO], v[E_ERRNO][0] ? ": " : "", v[E_TEXT]);
	if (v[E_TIMES][0] && strcmp(v[E_TIMES], "1") != 0)
		(void)printf(" (%s times)", v[E_TIMES]);
	(void)printf("\n");
}

struct printing {
	bool json;
	struct buf line;
};

/* Bytes come as they come; records are told line by line. */
static bool print(void *ctx, const char *p, size_t n)
{
	struct printing *pr = ctx;

	if (pr->json) {
		(void)fwrite(p, 1, n, stdout);
		return fflush(stdout) == 0;
	}
	for (; n > 0; p++, n--) {
		if (*p != '\n') {
			(void)buf_append(&pr->line, p, 1);
			continue;
		}
		if (buf_len(&pr->line) && buf_reserve(&pr->line, 1))
			(void)records_read(&pr->line, NULL, fields, E_COUNT, show, NULL);
		buf_clear(&pr->line);
	}
	return fflush(stdout) == 0;
}

int cmd_events(struct cli *cli, const struct command *self, char **argv)
{
	struct {
		bool follow;
	} f = { 0 };
	static const struct args_row rows[] = {
		{ .name = "--follow", .letter = 'f', .type = ARGS_SWITCH, .offset = 0, .help = "go on as they happen" },
	};
	struct printing pr = { 0 };
	struct client_answer a;
	struct err e = { "" };
	struct args args;
	bool done;
	int exit_code = cli_args(cli, self, rows, 1, &f, argv, 0, 0, &args, &done);

	if (done)
		return exit_code;
	pr.json = cli->json;
	buf_init(&pr.line, 65536);
	if (!f.follow) {
		exit_code = cli_call(cli, "GET", "/v1/events", NULL, &a);
		if (exit_code == PURSE_EXIT_OK) {
			(void)print(&pr, buf_ptr(&a.body), buf_len(&a.body));
			client_answer_done(&a);
		}
	} else {
		exit_code = cli_config(cli);
		int r = exit_code ? 0 : client_follow(cli->socket, "/v1/events?follow=1", print, &pr, &e);

		if (r < 0)
			exit_code = cli_fail(&e, r == -ENOTCONN ? PURSE_EXIT_NO_DAEMON : PURSE_EXIT_FAILURE);
	}
	buf_done(&pr.line);
	return exit_code;
}
