// SPDX-License-Identifier: Apache-2.0
/*
 * alert/command.c: one run of an alert's command (alert/post.h): as the daemon's user, in a process group of its own, with nothing open but
 * 0, 1 and 2, the JSON on stdin from a file in memory (so that a command which does not read it cannot hold us up).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/alert/post.h"

#define SLICE_MS 100 /* how late a stop may be heard */

static int input_of(struct str text, struct err *why)
{
	int fd = memfd_create("purse-alert", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	(void)err_set(why, errno, "its input cannot be made: %s", strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

/* 0 or a positive errno. */
static int spawn(const struct alert_command *c, int in, pid_t *ret)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t none, all;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	int r = posix_spawn_file_actions_init(&files);

	if (r)
		return r;
	r = posix_spawnattr_init(&how);
	if (r == 0) {
		(void)posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
		(void)posix_spawnattr_setpgroup(&how, 0);
		(void)posix_spawnattr_setsigmask(&how, &none);
		(void)posix_spawnattr_setsigdefault(&how, &all);
		r = posix_spawn_file_actions_adddup2(&files, in, 0);
		if (r == 0)
			r = posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
		if (r == 0)
			r = posix_spawn_file_actions_adddup2(&files, 1, 2);
		if (r == 0)
			r = posix_spawn_file_actions_addclosefrom_np(&files, 3);
		if (r == 0)
			r = posix_spawn(ret, c->argv[0], &files, &how, (char *const *)c->argv, (char *const *)c->env);
		(void)posix_spawnattr_destroy(&how);
	}
	(void)posix_spawn_file_actions_destroy(&files);
	return r;
}

/* True: it ended by itself. */
static bool wait_for(pid_t pid, const struct alert_command *c, bool *ret_stopped)
{
	int64_t end_ns = clock_boot_ns() + c->timeout_ms * 1000000;
	CLEANUP_CLOSE int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (clock_boot_ns() < end_ns) {
		*ret_stopped = __atomic_load_n(c->stop, __ATOMIC_RELAXED);
		if (*ret_stopped)
			return false;
		/* Without a pidfd this is a nap of one slice. */
		if (poll(&p, 1, SLICE_MS) > 0)
			return true;
		siginfo_t info = { 0 };

		if (fd < 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid)
			return true;
	}
	return false;
}

enum alert_outcome alert_command(const struct alert_command *c, struct err *why)
{
	CLEANUP_CLOSE int in = input_of(c->input, why);
	bool stopped = false;
	int status = 0;
	pid_t pid;

	if (in < 0)
		return ALERT_TRY_AGAIN;
	int r = spawn(c, in, &pid);

	if (r) {
		(void)err_set(why, r, "%s: cannot be run: %s", c->argv[0], strerror(r));
		return r == ENOMEM || r == EAGAIN ? ALERT_TRY_AGAIN : ALERT_HOPELESS;
	}
	bool ended = wait_for(pid, c, &stopped);

	/* What it left running in its group goes too. */
	(void)kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (stopped)
		return ALERT_STOPPED;
	if (!ended)
		(void)err_set(why, ETIMEDOUT, "%s: killed, it took longer than %lld ms", c->argv[0], (long long)c->timeout_ms);
	else if (WIFSIGNALED(status))
		(void)err_set(why, EPROTO, "%s: died of signal %d", c->argv[0], WTERMSIG(status));
	else if (WEXITSTATUS(status))
		(void)err_set(why, EPROTO, "%s: ended with %d", c->argv[0], WEXITSTATUS(status));
	else
		return ALERT_DELIVERED;
	return ALERT_TRY_AGAIN;
}
