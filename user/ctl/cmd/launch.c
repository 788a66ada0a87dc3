// SPDX-License-Identifier: Apache-2.0
/* launch.c: see launch.h. */
#include "ctl/cmd/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/cmd/client.h"
#include "ctl/cmd/cmd.h"

#define READY_WAIT_MS 10000
#define STOP_WAIT_MS 10000
#define POLL_MS 20

static void nap(void)
{
	struct timespec t = { .tv_nsec = POLL_MS * 1000000L };

	(void)nanosleep(&t, NULL);
}

static int open_log(const struct config *c, char *path, size_t size)
{
	(void)mkdir(c->state_dir, 0700);
	(void)config_place(c->state_dir, "embedded.log", path, size);
	return open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* In the child. */
_Noreturn static void become_daemon(const struct cli *cli, int log)
{
	char path[1024];
	char *argv[] = { "pursed", "--embedded", "-c", (char *)cli->config_path, NULL };
	sigset_t none;

	/* Away from the terminal: Ctrl-C is for the command, the daemon goes after it. */
	(void)setsid();
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)dup2(log, STDERR_FILENO);
	(void)dup2(log, STDOUT_FILENO);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null >= 0)
		(void)dup2(null, STDIN_FILENO);
	(void)close_range(3, ~0u, 0);
	if (!cli->config_named)
		argv[2] = NULL;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 8);

	if (n > 0) {
		path[n] = '\0';
		char *slash = strrchr(path, '/');

		(void)strcpy(slash ? slash + 1 : path, "pursed");
		(void)execv(path, argv);
	}
	(void)execvp("pursed", argv);
	(void)dprintf(STDERR_FILENO, "pursed: neither beside purse nor in PATH: %s\n", strerror(errno));
	_exit(127);
}

/* What the log says last, as the reason. */
static int tell_failure(int log, const char *path, const char *what, struct err *e)
{
	char mem[4096];
	off_t size = lseek(log, 0, SEEK_END), from = size > (off_t)sizeof(mem) - 1 ? size - (off_t)sizeof(mem) + 1 : 0;
	ssize_t n = pread(log, mem, sizeof(mem) - 1, from);

	if (n > 0) {
		mem[n] = '\0';
		(void)fprintf(stderr, "%s%s", mem, mem[n - 1] == '\n' ? "" : "\n");
	}
	return err_set(e, EIO, "pursed %s; its log stands above and in %s", what, path);
}

static bool is_ready(const struct cli *cli)
{
	struct client_answer a;
	bool ready = client_call(cli->socket, "GET", "/v1/healthz", NULL, &a, NULL) == 0;

	if (ready) {
		ready = a.status == 200;
		client_answer_done(&a);
	}
	return ready;
}

int launch_daemon(struct cli *cli, pid_t *ret_pid, struct err *e)
{
	char path[1200];
	CLEANUP_CLOSE int log = open_log(cli->config, path, sizeof(path));
	int64_t deadline = clock_boot_ns() + READY_WAIT_MS * INT64_C(1000000);
	pid_t pid;
	int status;

	if (log < 0)
		return err_set(e, errno, "cannot write %s, the log of an embedded daemon: %s", path, strerror(errno));
	pid = fork();
	if (pid < 0)
		return err_set(e, errno, "fork: %s", strerror(errno));
	if (pid == 0)
		become_daemon(cli, log);
	while (!is_ready(cli)) {
		if (waitpid(pid, &status, WNOHANG) == pid) {
			/* Two runs at once: the other one's daemon holds the gate's lock. */
			for (int i = 0; i < 100 && !is_ready(cli); i++)
				nap();
			*ret_pid = 0;
			return is_ready(cli) ? 0 : tell_failure(log, path, "ended before it was ready", e);
		}
		if (clock_boot_ns() > deadline) {
			launch_stop(pid);
			return tell_failure(log, path, "was not ready within 10 seconds", e);
		}
		nap();
	}
	*ret_pid = pid;
	return 0;
}

void launch_stop(pid_t pid)
{
	if (pid <= 0)
		return;
	(void)kill(pid, SIGTERM);
	for (int waited = 0; waited < STOP_WAIT_MS; waited += POLL_MS) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return;
		nap();
	}
	/* Safe at any moment, it only costs the orderly end. */
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}
