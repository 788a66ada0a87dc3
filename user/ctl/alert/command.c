// SPDX-License-Identifier: Apache-2.0
/*
 * alert/command.c: one run of an alert's command (alert/post.h): as the daemon's user, with nothing open but 0, 1 and 2, the JSON on stdin from a
 * file in memory (so that a command which does not read it cannot hold us up), its output nowhere (so that nobody waits for the end of it).
 *
 * It is over when all that it started is over, which its cgroup tells (alert/group.h). Then, or after the timeout, or when the daemon stops, that
 * cgroup is killed, with the process group and the command itself in case there is none; and waited for END_MS, no longer, whatever happened.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/alert/group.h"
#include "ctl/alert/post.h"

#define SLICE_MS 100 /* how late a stop may be heard */
#define END_MS 1000  /* what was killed takes that long at most, unless it hangs in the kernel */

struct run {
	const struct alert_command *c;
	struct group group;
	int in, out;
	pid_t pid;
	int pidfd;    /* -1: waited for by looking */
	bool ended;   /* the command itself */
	bool stopped; /* by the daemon */
};

/* Above 2, so that no dup2 in the child is from a descriptor to itself. */
static int lift(int fd)
{
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (fd >= 0)
		(void)close(fd);
	return high;
}

static int input_of(struct str text)
{
	int fd = lift(memfd_create("purse-alert", MFD_CLOEXEC));

	if (fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	cleanup_close_(&fd);
	return -1;
}

/* In the child, with the parent's memory: only system calls. Returns a positive errno. */
static int become(const struct run *r)
{
	struct sigaction plain = { .sa_handler = SIG_DFL };
	sigset_t none;
	int error = group_enter(&r->group);

	(void)sigemptyset(&none);
	if (error == 0 && (setpgid(0, 0) < 0 || dup2(r->in, 0) < 0 || dup2(r->out, 1) < 0 || dup2(r->out, 2) < 0 || close_range(3, ~0u, 0) < 0))
		error = errno;
	if (error)
		return error;
	for (int i = 1; i < NSIG; i++)
		(void)sigaction(i, &plain, NULL);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execve(r->c->argv[0], (char *const *)r->c->argv, (char *const *)r->c->env);
	return errno;
}

/* posix_spawn cannot put the child into a cgroup before it runs. 0 or a positive errno. */
static int spawn(struct run *r)
{
	volatile int error = 0;
	sigset_t all, old;

	/* Our handlers must not run in the child. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	pid_t pid = vfork();

	if (pid == 0) {
		error = become(r);
		_exit(127);
	}
	if (pid < 0)
		error = errno;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (pid > 0 && error)
		(void)waitpid(pid, NULL, 0);
	r->pid = pid;
	return error;
}

/* Waits for a change, or ms. The pid is ours until it is waited for: it can be nobody else's. */
static bool is_over(struct run *r, int ms)
{
	struct pollfd p[] = { { .fd = r->ended ? -1 : r->pidfd, .events = POLLIN }, { .fd = r->group.events, .events = POLLPRI } };
	siginfo_t info = { 0 };

	(void)poll(p, 2, ms);
	r->ended = r->ended || (waitid(P_PID, (id_t)r->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == r->pid);
	return r->ended && group_is_empty(&r->group);
}

static bool run_on(struct run *r)
{
	int64_t end_ns = clock_boot_ns() + r->c->timeout_ms * 1000000;
	bool over = false;

	while (!over && !r->stopped && clock_boot_ns() < end_ns) {
		over = is_over(r, SLICE_MS);
		r->stopped = __atomic_load_n(r->c->stop, __ATOMIC_RELAXED);
	}
	return over;
}

/* False: it cannot be killed, and stays a child of ours. */
static bool end(struct run *r, int *ret_status)
{
	int64_t end_ns = clock_boot_ns() + END_MS * INT64_C(1000000);
	bool over;

	group_kill(&r->group);
	(void)kill(-r->pid, SIGKILL);
	(void)kill(r->pid, SIGKILL);
	do
		over = is_over(r, SLICE_MS / 10);
	while (!over && clock_boot_ns() < end_ns);
	return r->ended && waitpid(r->pid, ret_status, WNOHANG) == r->pid;
}

static enum alert_outcome judge(const struct run *r, bool over, int status, struct err *why)
{
	const char *name = r->c->argv[0];
	long long ms = r->c->timeout_ms;

	if (WIFSIGNALED(status))
		(void)err_set(why, EPROTO, "%s: died of signal %d", name, WTERMSIG(status));
	else if (WEXITSTATUS(status))
		(void)err_set(why, EPROTO, "%s: ended with %d", name, WEXITSTATUS(status));
	else if (over)
		return ALERT_DELIVERED;
	if (why->text[0])
		return ALERT_TRY_AGAIN;
	(void)err_set(why, ETIMEDOUT, "%s: ended with 0, but what it had started still ran after %lld ms and was killed; let it wait for that", name, ms);
	return ALERT_HOPELESS;
}

static enum alert_outcome run(struct run *r, struct err *why)
{
	int status = 0;
	bool over = run_on(r), in_time = r->ended;
	bool gone = end(r, &status);

	if (r->stopped)
		return ALERT_STOPPED;
	if (in_time)
		return judge(r, over, status, why);
	(void)err_set(why, ETIMEDOUT, "%s: killed, it took longer than %lld ms%s", r->c->argv[0], (long long)r->c->timeout_ms,
		      gone ? "" : "; it is not gone yet");
	return ALERT_TRY_AGAIN;
}

enum alert_outcome alert_command(const struct alert_command *c, struct err *why)
{
	CLEANUP_CLOSE int in = input_of(c->input);
	CLEANUP_CLOSE int out = lift(open("/dev/null", O_WRONLY | O_CLOEXEC));
	struct run r = { .c = c, .in = in, .out = out, .pidfd = -1 };
	enum alert_outcome outcome = ALERT_TRY_AGAIN;

	if (in < 0 || out < 0) {
		(void)err_set(why, errno, "%s: its input cannot be made: %s", c->argv[0], strerror(errno));
		return outcome;
	}
	group_make(&r.group);
	int error = spawn(&r);

	if (error) {
		(void)err_set(why, error, "%s: cannot be run: %s", c->argv[0], strerror(error));
		outcome = error == ENOMEM || error == EAGAIN ? ALERT_TRY_AGAIN : ALERT_HOPELESS;
	} else {
		r.pidfd = pidfd_open(r.pid, 0);
		outcome = run(&r, why);
		cleanup_close_(&r.pidfd);
	}
	group_remove(&r.group);
	return outcome;
}
