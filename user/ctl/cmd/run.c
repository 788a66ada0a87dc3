// SPDX-License-Identifier: Apache-2.0
/*
 * cmd/run.c: `purse run`: one command as an agent with a budget. Agent and cgroup are made, the command runs inside, what it leaves
 * behind is killed, and what it cost is said. Steps in order, undone in reverse.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "ctl/cmd/budget_flags.h"
#include "ctl/cmd/cmd.h"
#include "ctl/cmd/inherited.h"
#include "ctl/cmd/jail.h"
#include "ctl/cmd/launch.h"
#include "ctl/records.h"
#include "ctl/trust.h"
#include "ctl/units.h"
#include "ctl_abi.h"
#include "kern/cgroup.h"

#define SETTLE_WAIT_MS 3000
#define POLL_MS 50

struct flags {
	struct budget_flags budget;
	const char *agent, *keep_caps, *user;
};
#define AT(member) offsetof(struct flags, member)
static const struct args_row own_rows[] = {
	{ .name = "--agent", .type = ARGS_TEXT, .offset = AT(agent), .value = "NAME",
	  .help = "this agent, made if there is none; default: a new one for this run" },
	{ .name = "--user", .type = ARGS_TEXT, .offset = AT(user), .value = "USER", .help = "run the command as this user" },
	{ .name = "--keep-cap", .type = ARGS_TEXT, .offset = AT(keep_caps), .value = "CAP",
	  .help = "do not drop this capability (a way past the gate)" },
};
#define OWN_COUNT (sizeof(own_rows) / sizeof(own_rows[0]))

struct run {
	struct cli *cli;
	struct flags flags;
	char **argv;
	char name[GATE_NAME_MAX];
	uint64_t keep_caps;
	bool temporary; /* the name is ours: the agent goes at the end */
	pid_t daemon;   /* started by us */
	int lease;      /* keeps an embedded daemon, whoever started it */
	bool has_agent, nested; /* nested: the run has a cgroup of its own below the agent's */
	char dir[1024];   /* the cgroup of the run */
	char trust[1200];
	sigset_t signals, old_signals;
	int status; /* of the command, as an exit code */
};

static void nap(void)
{
	struct timespec t = { .tv_nsec = POLL_MS * 1000000L };

	(void)nanosleep(&t, NULL);
}

/* ---- the agent's line in the daemon's status */

enum { V_NAME, V_CALLS, V_REFUSALS, V_WINDOWS };
enum { W_LIMIT, W_SPENT, W_HELD, W_FIELDS };

struct figures {
	const char *name;
	bool found;
	char calls[24], refusals[24];
	char limit[WINDOW_COUNT][32], spent[WINDOW_COUNT][32], held[WINDOW_COUNT][32];
};

static void take_figures(void *ctx, const char *const *v)
{
	struct figures *f = ctx;

	if (strcmp(v[V_NAME], f->name) != 0)
		return;
	f->found = true;
	(void)str_copy(f->calls, sizeof(f->calls), str_of(v[V_CALLS]));
	(void)str_copy(f->refusals, sizeof(f->refusals), str_of(v[V_REFUSALS]));
	for (int w = 0; w < WINDOW_COUNT; w++) {
		const char *const *x = v + V_WINDOWS + w * W_FIELDS;

		(void)str_copy(f->limit[w], sizeof(f->limit[w]), str_of(x[W_LIMIT]));
		(void)str_copy(f->spent[w], sizeof(f->spent[w]), str_of(x[W_SPENT]));
		(void)str_copy(f->held[w], sizeof(f->held[w]), str_of(x[W_HELD]));
	}
}

static bool read_figures(const struct run *r, struct figures *ret)
{
	static const char *const names[W_FIELDS] = { "limit", "spent", "held" };
	const char *fields[V_WINDOWS + WINDOW_COUNT * W_FIELDS] = { "name", "calls", "refusals" };
	char paths[WINDOW_COUNT * W_FIELDS][48];
	struct client_answer a;

	*ret = (struct figures){ .name = r->name };
	if (client_call(r->cli->socket, "GET", "/v1/status", NULL, &a, NULL) < 0)
		return false;
	for (int i = 0; i < WINDOW_COUNT * W_FIELDS; i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), "windows.%s.%s", units_window_names[i / W_FIELDS],
			       names[i % W_FIELDS]);
		fields[V_WINDOWS + i] = paths[i];
	}
	(void)records_read(&a.body, "accounts[]", fields, V_WINDOWS + WINDOW_COUNT * W_FIELDS, take_figures, ret);
	client_answer_done(&a);
	return ret->found;
}

/* ---- before */

/* A daemon that was just about to go leaves between two calls, so: more than once. */
static int find_daemon(struct run *r, struct err *e)
{
	int ret = -ENOTCONN;

	for (int i = 0; i < 3 && ret == -ENOTCONN; i++) {
		ret = client_lease(r->cli->socket, &r->lease, e);
		if (ret != -ENOTCONN)
			break;
		if (geteuid() != 0)
			return err_set(e, EPERM, "no daemon is running, and starting one needs root");
		ret = launch_daemon(r->cli, &r->daemon, e);
		if (ret == 0)
			ret = client_lease(r->cli->socket, &r->lease, e);
	}
	return ret;
}

static int start_daemon(struct run *r)
{
	struct err e = { "" };
	int exit_code = cli_config(r->cli);

	if (exit_code)
		return exit_code;
	if (trust_dir(r->cli->config, r->trust, sizeof(r->trust)) < 0)
		(void)err_set(&e, ENAMETOOLONG, "run_dir is too long");
	else if (find_daemon(r, &e) == 0)
		return PURSE_EXIT_OK;
	return cli_fail(&e, PURSE_EXIT_FAILURE);
}

/* Ours alone: it is stopped, and we wait for it. With other runs on it stays, and goes after the last of them. */
static void leave_daemon(struct run *r)
{
	struct client_answer a;
	char leases[16] = "";

	if (r->daemon > 0 && client_call(r->cli->socket, "GET", "/v1/status", NULL, &a, NULL) == 0) {
		record_field(&a.body, "daemon.leases", leases, sizeof(leases));
		client_answer_done(&a);
	}
	if (r->daemon > 0 && (strcmp(leases, "1") == 0 || strcmp(leases, "0") == 0 || !leases[0]))
		launch_stop(r->daemon);
	cleanup_close_(&r->lease);
}

struct found {
	const char *name;
	char dir[1024];
};

static void take_dir(void *ctx, const char *const *v)
{
	struct found *f = ctx;

	if (strcmp(v[0], f->name) == 0)
		(void)str_copy(f->dir, sizeof(f->dir), str_of(v[1]));
}

/* "" = there is no such agent. */
static int find_agent(struct run *r, struct found *f)
{
	static const char *const fields[] = { "name", "cgroup_dir" };
	struct client_answer a;
	int exit_code = cli_call(r->cli, "GET", "/v1/status", NULL, &a);

	if (exit_code)
		return exit_code;
	(void)records_read(&a.body, "agents[]", fields, 2, take_dir, f);
	client_answer_done(&a);
	return PURSE_EXIT_OK;
}

static int send_agent(struct run *r, bool exists, struct found *f)
{
	char target[128];
	struct client_answer a;
	struct err e = { "" };
	struct buf body;
	int exit_code;

	(void)snprintf(target, sizeof(target), exists ? "/v1/agents/%s" : "/v1/agents", r->name);
	buf_init(&body, CTL_REQUEST_MAX);
	if (budget_flags_body(&r->flags.budget, exists ? NULL : r->name, r->temporary, &body, &e) < 0)
		exit_code = cli_fail(&e, PURSE_EXIT_USAGE);
	else
		exit_code = cli_call(r->cli, exists ? "PATCH" : "POST", target, buf_ptr(&body), &a);
	buf_done(&body);
	if (exit_code)
		return exit_code;
	if (!exists)
		record_field(&a.body, "cgroup_dir", f->dir, sizeof(f->dir));
	client_answer_done(&a);
	return PURSE_EXIT_OK;
}

static int make_agent(struct run *r)
{
	struct found f = { .name = r->name };
	struct err e = { "" };
	int exit_code = find_agent(r, &f);
	bool exists = f.dir[0] != '\0';

	if (exit_code == PURSE_EXIT_OK && (!exists || budget_flags_any(&r->flags.budget)))
		exit_code = send_agent(r, exists, &f);
	if (exit_code)
		return exit_code;
	r->has_agent = true;
	/* An agent that stays may have other runs at the same time: what is killed at the end has to be ours alone. */
	r->nested = !r->temporary;
	int n = r->nested ? snprintf(r->dir, sizeof(r->dir), "%s/run-%d", f.dir, (int)getpid())
			  : snprintf(r->dir, sizeof(r->dir), "%s", f.dir);
	if (n < 0 || (size_t)n >= sizeof(r->dir))
		(void)err_set(&e, ENAMETOOLONG, "the agent's cgroup path is too long");
	else if (r->nested)
		(void)cgroup_make(r->dir, &e);
	return e.text[0] ? cli_fail(&e, PURSE_EXIT_FAILURE) : PURSE_EXIT_OK;
}

/* ---- the command */

static struct jail jail_of(const struct run *r)
{
	return (struct jail){ .cgroup_dir = r->dir, .trust_dir = r->trust, .user = r->flags.user, .keep_caps = r->keep_caps };
}

_Noreturn static void become_command(const struct run *r)
{
	struct jail j = jail_of(r);
	struct err e = { "" };

	if (jail_enter(&j, &e) < 0) {
		(void)fprintf(stderr, "purse: cannot run %s: %s\n", r->argv[0], e.text);
		_exit(PURSE_EXIT_FAILURE);
	}
	(void)sigprocmask(SIG_SETMASK, &r->old_signals, NULL);
	(void)execvp(r->argv[0], r->argv);
	/* As shells have it. */
	int code = errno == ENOENT ? 127 : 126;

	(void)fprintf(stderr, "purse: %s: %s\n", r->argv[0], strerror(errno));
	_exit(code);
}

static int exit_code_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : PURSE_EXIT_FAILURE;
}

static void wait_for(struct run *r, pid_t pid)
{
	siginfo_t info;
	int status;

	for (;;) {
		int sig = sigwaitinfo(&r->signals, &info);

		if (sig == SIGCHLD) {
			if (waitpid(pid, &status, WNOHANG) == pid) {
				r->status = exit_code_of(status);
				return;
			}
			continue;
		}
		/* What the terminal sends, the command in its foreground group gets by itself. */
		if (sig > 0 && !(info.si_code == SI_KERNEL && (sig == SIGINT || sig == SIGQUIT)))
			(void)kill(pid, sig);
	}
}

/* What stays open is said before it is used. */
static void warn(const struct run *r)
{
	struct jail j = jail_of(r);
	const char *user = getenv("SUDO_USER");

	if (r->flags.keep_caps)
		(void)fprintf(stderr, "purse: %s keeps %s: with it the command can reach the network past the gate\n", r->argv[0],
			      r->flags.keep_caps);
	if (jail_is_root(&j))
		(void)fprintf(stderr, "purse: %s runs as root: through files that only root may write and services that do what root asks "
			      "(systemd, cron, docker) it can get past its budget; use --user %s\n", r->argv[0], user ? user : "NAME");
}

static int run_command(struct run *r)
{
	struct err e = { "" };
	pid_t pid;

	warn(r);
	/* Asked to stop while things were being made: nothing has run yet. */
	static const int stops[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigset_t pending;

	(void)sigpending(&pending);
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
		if (sigismember(&pending, stops[i]) == 1)
			return 128 + stops[i];
	(void)fflush(NULL);
	pid = fork();
	if (pid < 0) {
		(void)err_set(&e, errno, "fork: %s", strerror(errno));
		return cli_fail(&e, PURSE_EXIT_FAILURE);
	}
	if (pid == 0)
		become_command(r);
	wait_for(r, pid);
	return PURSE_EXIT_OK;
}

/* ---- after */

static bool write_file(const char *dir, const char *name, const char *text)
{
	char path[1200];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) > 0;
}

static void kill_rest(struct run *r)
{
	if (!r->dir[0])
		return;
	(void)write_file(r->dir, "cgroup.kill", "1");
	/* Dead processes leave the group a moment later. */
	for (int waited = 0; waited < SETTLE_WAIT_MS && cgroup_remove(r->dir) == -EBUSY; waited += POLL_MS)
		nap();
}

static bool is_zero(const char *amount)
{
	return strspn(amount, "0.") == strlen(amount);
}

/* Calls that were cut off with the command are charged a moment later. */
static bool wait_settled(const struct run *r, struct figures *f)
{
	for (int waited = 0;; waited += POLL_MS) {
		if (!read_figures(r, f))
			return false;
		if (is_zero(f->held[WINDOW_TOTAL]) || waited >= SETTLE_WAIT_MS)
			return true;
		nap();
	}
}

/* "NAME spent $0.0123 of $25.00 today in 12 calls, 3 refused"; further windows with a limit one line each. */
static void print_summary(const struct run *r)
{
	static const char *const words[WINDOW_COUNT] = {
		[WINDOW_HOUR] = "this hour", [WINDOW_DAY] = "today", [WINDOW_WEEK] = "this week",
		[WINDOW_MONTH] = "this month", [WINDOW_TOTAL] = "in total",
	};
	struct figures f;
	char spent[32], limit[32];
	bool first = true;

	if (!wait_settled(r, &f)) {
		(void)fprintf(stderr, "purse: %s: what it spent cannot be told, the daemon does not answer; see `purse ledger`\n",
			      r->name);
		return;
	}
	for (int w = 0; w < WINDOW_COUNT; w++) {
		if (!f.limit[w][0] && !(w == WINDOW_TOTAL && first))
			continue;
		(void)cli_usd(f.spent[w], spent, sizeof(spent));
		(void)cli_usd(f.limit[w], limit, sizeof(limit));
		if (first)
			(void)fprintf(stderr, "purse: %s spent %s", r->name, spent);
		else
			(void)fprintf(stderr, "purse: %*s       %s", (int)strlen(r->name), "", spent);
		if (f.limit[w][0])
			(void)fprintf(stderr, " of %s %s", limit, words[w]);
		if (first)
			(void)fprintf(stderr, " in %s call%s, %s refused", f.calls, strcmp(f.calls, "1") == 0 ? "" : "s", f.refusals);
		(void)fprintf(stderr, "\n");
		first = false;
	}
	if (!is_zero(f.held[WINDOW_TOTAL]))
		(void)fprintf(stderr, "purse: calls are still in flight; `purse ledger --agent %s` will show them\n", r->name);
}

static void drop_agent(struct run *r)
{
	char target[128];
	struct client_answer a;
	struct err e = { "" };
	int status = 0;

	if (!r->has_agent || !r->temporary)
		return;
	(void)snprintf(target, sizeof(target), "/v1/agents/%s", r->name);
	/* 409: a call is not settled yet. */
	for (int waited = 0; waited < SETTLE_WAIT_MS; waited += POLL_MS) {
		if (client_call(r->cli->socket, "DELETE", target, NULL, &a, &e) < 0)
			break;
		status = a.status;
		if (status != 200)
			record_field(&a.body, "error.message", e.text, sizeof(e.text));
		client_answer_done(&a);
		if (status != 409)
			break;
		nap();
	}
	if (status != 200)
		(void)fprintf(stderr, "purse: agent %s stays: %s; remove it with `purse agent rm %s`\n", r->name, e.text, r->name);
}

static int take_name(struct run *r, const struct command *self)
{
	struct err e = { "" }, why;

	if (!r->flags.agent) {
		r->temporary = true;
		(void)snprintf(r->name, sizeof(r->name), "run-%d-%llx", (int)getpid(), (unsigned long long)cli_now_s());
		return PURSE_EXIT_OK;
	}
	if (units_check_name(str_of(r->flags.agent), &why) == 0) {
		(void)str_copy(r->name, sizeof(r->name), str_of(r->flags.agent));
		return PURSE_EXIT_OK;
	}
	(void)err_set(&e, EINVAL, "--agent: \"%s\" %s", r->flags.agent, why.text);
	return cli_usage(self, &e);
}

static int take_flags(struct run *r, const struct command *self, char **argv, bool *ret_done)
{
	struct args_row rows[64];
	struct args args;
	struct err e = { "" };
	size_t n = 0;

	for (size_t i = 0; i < OWN_COUNT; i++)
		rows[n++] = own_rows[i];
	for (size_t i = 0; i < budget_flag_nrows; i++) {
		rows[n] = budget_flag_rows[i];
		rows[n++].offset += AT(budget);
	}
	int exit_code = cli_args(r->cli, self, rows, n, &r->flags, argv, 1, ARGS_WORDS_MAX + 1, &args, ret_done);

	if (*ret_done)
		return exit_code;
	*ret_done = true;
	if (!args.rest || !args.rest[0]) {
		(void)err_set(&e, EINVAL, "the command is missing; write e.g. purse run --day 5USD -- python3 agent.py");
		return cli_usage(self, &e);
	}
	r->argv = args.rest;
	if (r->flags.keep_caps && jail_keep_caps(r->flags.keep_caps, &r->keep_caps, &e) < 0)
		return cli_usage(self, &e);
	if (inherited_check(&e) < 0)
		return cli_fail(&e, PURSE_EXIT_FAILURE);
	exit_code = take_name(r, self);
	*ret_done = exit_code != PURSE_EXIT_OK;
	return exit_code;
}

int cmd_run(struct cli *cli, const struct command *self, char **argv)
{
	struct run r = { .cli = cli, .lease = -1 };
	bool done;
	int exit_code = take_flags(&r, self, argv, &done);

	if (done)
		return exit_code;
	/* From here on a signal must not leave things half made. */
	(void)sigemptyset(&r.signals);
	static const int watched[] = { SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT };

	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
		(void)sigaddset(&r.signals, watched[i]);
	(void)sigprocmask(SIG_BLOCK, &r.signals, &r.old_signals);
	exit_code = start_daemon(&r);
	if (exit_code == PURSE_EXIT_OK)
		exit_code = make_agent(&r);
	if (exit_code == PURSE_EXIT_OK) {
		exit_code = run_command(&r);
		kill_rest(&r);
		if (exit_code == PURSE_EXIT_OK) {
			print_summary(&r);
			exit_code = r.status;
		}
	}
	drop_agent(&r);
	leave_daemon(&r);
	return exit_code;
}
