// SPDX-License-Identifier: Apache-2.0
/* cmd/trust.c: `purse trust env|show|install`. env and install need no daemon, only certificates that one has made. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/jsonw.h"
#include "ctl/cmd/cmd.h"
#include "ctl/records.h"
#include "ctl/cmd/table.h"
#include "ctl/trust.h"
#include "ctl_abi.h"

/* Where distributions look for further roots, and what makes them take them. */
static const struct store {
	const char *dir, *tool;
} stores[] = {
	{ "/usr/local/share/ca-certificates", "update-ca-certificates" }, /* Debian, Alpine */
	{ "/etc/pki/ca-trust/source/anchors", "update-ca-trust" },        /* Fedora */
	{ "/etc/ca-certificates/trust-source/anchors", "update-ca-trust" }, /* Arch */
};

static int files_of(struct cli *cli, char *root, char *bundle, size_t size)
{
	char dir[1200];
	struct err e = { "" };
	int exit_code = cli_config(cli);

	if (exit_code)
		return exit_code;
	if (trust_dir(cli->config, dir, sizeof(dir)) < 0 || config_place(dir, TRUST_ROOT, root, size) < 0 ||
	    config_place(dir, TRUST_BUNDLE, bundle, size) < 0)
		(void)err_set(&e, ENAMETOOLONG, "run_dir is too long");
	else if (access(root, R_OK) < 0 || access(bundle, R_OK) < 0)
		(void)err_set(&e, errno, "the certificates are not in %s (%s); pursed makes them when it starts", dir,
			      strerror(errno));
	return e.text[0] ? cli_fail(&e, PURSE_EXIT_FAILURE) : PURSE_EXIT_OK;
}

static int trust_env(struct cli *cli)
{
	char root[1300], bundle[1300];
	struct client_answer a;
	struct jsonw w;
	int exit_code = files_of(cli, root, bundle, sizeof(root));

	if (exit_code)
		return exit_code;
	if (!cli->json) {
		for (size_t i = 0; trust_var_at(i); i++)
			(void)printf("export %s='%s'\n", trust_var_at(i)->name, trust_var_at(i)->root_alone ? root : bundle);
		return PURSE_EXIT_OK;
	}
	cli_json_begin(&w, &a);
	jsonw_object(&w, "env");
	for (size_t i = 0; trust_var_at(i); i++)
		jsonw_cstr(&w, trust_var_at(i)->name, trust_var_at(i)->root_alone ? root : bundle);
	jsonw_close(&w);
	return cli_json_print(&w, &a);
}

static int trust_show(struct cli *cli)
{
	static const char *const heads[] = { "VARIABLE", "FILE", "CLIENTS" };
	char mem[1300];
	struct client_answer a;
	struct table t;
	bool done;
	int exit_code = cli_get(cli, "/v1/trust", &a, &done);

	if (done)
		return exit_code;
	record_field(&a.body, "fingerprint", mem, sizeof(mem));
	(void)printf("root         SHA-256 %s\n", mem);
	record_field(&a.body, "not_after", mem, sizeof(mem));
	(void)printf("valid until  %s\n", mem);
	record_field(&a.body, "root", mem, sizeof(mem));
	(void)printf("certificate  %s\n", mem);
	record_field(&a.body, "bundle", mem, sizeof(mem));
	(void)printf("bundle       %s\ncan sign     only these names:", mem);
	client_answer_done(&a);
	for (size_t i = 0; i < cli->config->providers.n; i++)
		for (size_t j = 0; j < cli->config->providers.v[i].hosts.n; j++)
			(void)printf(" %s", cli->config->providers.v[i].hosts.v[j]);
	(void)printf("\n\n");
	table_init(&t, heads, 3, 0);
	for (size_t i = 0; trust_var_at(i); i++) {
		table_cell(&t, trust_var_at(i)->name);
		table_cell(&t, trust_var_at(i)->root_alone ? "root" : "bundle");
		table_cell(&t, trust_var_at(i)->clients);
	}
	table_print(&t, stdout);
	return PURSE_EXIT_OK;
}

/* ---- install */

static int run_tool(const char *tool, struct err *e)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return err_set(e, errno, "fork: %s", strerror(errno));
	if (pid == 0) {
		/* Its report goes where ours does not: stdout is for --json. */
		(void)dup2(STDERR_FILENO, STDOUT_FILENO);
		(void)execlp(tool, tool, (char *)NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, EIO, "%s failed; run it by hand", tool);
	return 0;
}

static int copy_to(const char *from, const char *to, struct err *e)
{
	CLEANUP_CLOSE int in = open(from, O_RDONLY | O_CLOEXEC);
	CLEANUP_CLOSE int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	char mem[65536];
	ssize_t n = in < 0 ? -1 : read(in, mem, sizeof(mem));

	if (n < 0)
		return err_set(e, errno, "cannot read %s: %s", from, strerror(errno));
	if (out < 0 || write(out, mem, (size_t)n) != n)
		return err_set(e, errno, "cannot write %s: %s%s", to, strerror(errno), errno == EACCES ? "; try again as root" : "");
	return 0;
}

static int trust_install(struct cli *cli)
{
	char root[1300], bundle[1300], to[256];
	const struct store *s = NULL;
	struct err e = { "" };
	int exit_code = files_of(cli, root, bundle, sizeof(root));

	if (exit_code)
		return exit_code;
	for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]) && !s; i++)
		if (access(stores[i].dir, F_OK) == 0)
			s = &stores[i];
	if (!s)
		(void)err_set(&e, ENOENT, "this system keeps its roots in no place that is known here; add %s by hand", root);
	if (s) {
		(void)snprintf(to, sizeof(to), "%s/purse.crt", s->dir);
		if (copy_to(root, to, &e) == 0)
			(void)run_tool(s->tool, &e);
	}
	if (e.text[0])
		return cli_fail(&e, PURSE_EXIT_FAILURE);
	if (cli->json)
		(void)printf("{\"installed\":\"%s\"}\n", to);
	else
		(void)printf("installed %s: clients that use the system's roots now trust purse for its LLM hosts\n", to);
	return PURSE_EXIT_OK;
}

int cmd_trust(struct cli *cli, const struct command *self, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(struct cli *cli);
	} verbs[] = { { "env", trust_env }, { "show", trust_show }, { "install", trust_install } };
	struct err e = { "" };
	struct args args;
	bool done;
	int exit_code = cli_args(cli, self, NULL, 0, NULL, argv, 1, 1, &args, &done);

	if (done)
		return exit_code;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, args.words[0]) == 0)
			return verbs[i].run(cli);
	(void)err_set(&e, EINVAL, "\"%s\" is not one of install, env, show", args.words[0]);
	return cli_usage(self, &e);
}
