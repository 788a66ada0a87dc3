// SPDX-License-Identifier: Apache-2.0
/* daemon/signals.c: what the daemon does when it is told to stop, to read its prices again, to be replaced. */
#include "daemon/daemon.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "upgrade.h"

void remember_self(struct daemon *d, int argc, char **argv)
{
	static const char take_over[] = "--take-over";
	ssize_t n = readlink("/proc/self/exe", d->self.path, sizeof(d->self.path) - 1);
	int k = 0;

	d->self.path[n > 0 ? n : 0] = '\0';
	for (int i = 0; i < argc && k < SELF_ARGS_MAX; i++)
		if (strcmp(argv[i], take_over) != 0)
			d->self.argv[k++] = argv[i];
	d->self.argv[k++] = take_over;
	d->self.argv[k] = NULL;
}

static void on_stop(void *ctx, int signum)
{
	struct daemon *d = ctx;

	if (upgrade_is_frozen(d->upgrade)) {
		d->is_stop_asked = true;
		return;
	}
	log_info("daemon", "%s: stopping; calls in flight have %d seconds", strsignal(signum), DRAIN_MS / 1000);
	loop_stop(d->loop);
}

/* 0 or a positive errno. */
static int start_again(struct daemon *d)
{
	posix_spawnattr_t attr;
	sigset_t none;

	(void)sigemptyset(&none);
	(void)posix_spawnattr_init(&attr);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	int r = d->self.path[0] ? posix_spawn(&d->successor, d->self.path, NULL, &attr, (char *const *)d->self.argv, environ) : ENOENT;

	(void)posix_spawnattr_destroy(&attr);
	if (r)
		d->successor = 0;
	return r;
}

/* The binary that stands where ours was started from, with our own flags. It says by itself whether it can. */
static void on_upgrade(void *ctx, int signum)
{
	struct daemon *d = ctx;

	(void)signum;
	reap_successor(d);
	if (d->successor) {
		log_warn("upgrade", "process %d is started already and has not taken over yet", (int)d->successor);
		return;
	}
	int r = start_again(d);

	if (r)
		log_error("upgrade", "cannot start %s: %s; this one goes on", d->self.path, strerror(r));
	else
		log_info("upgrade", "%s: process %d is started and will take over", d->self.path, (int)d->successor);
}

void reap_successor(struct daemon *d)
{
	pid_t pid = d->successor;
	int status;

	if (!pid || waitpid(pid, &status, WNOHANG) != pid)
		return;
	d->successor = 0;
	log_error("upgrade", "process %d, which was to take over, %s %d; this one goes on", (int)pid, WIFSIGNALED(status) ? "died of signal" : "ended with",
		  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void on_hangup(void *ctx, int signum)
{
	struct err e = { "" };

	if (reload(ctx, &e) < 0)
		log_error("prices", "not loaded, the old list stays: %s", e.text);
}

int start_signals(struct daemon *d, struct err *e)
{
	int r = loop_signal(d->loop, SIGTERM, on_stop, d);

	if (r == 0)
		r = loop_signal(d->loop, SIGINT, on_stop, d);
	if (r == 0)
		r = loop_signal(d->loop, SIGHUP, on_hangup, d);
	if (r == 0)
		r = loop_signal(d->loop, SIGUSR2, on_upgrade, d);
	return r < 0 ? err_set(e, -r, "signals: %s", strerror(-r)) : 0;
}
