// SPDX-License-Identifier: Apache-2.0
/*
 * ways_whose.c: whose is a socket? Made in one cgroup, namespace or thread and used in another; and how a process of an attempt
 * gets from one cgroup to the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kern/cgroup.h"
#include "kern/ways_pass.h"
#include "kern/ways_stage.h"

/* ---- from one cgroup to the other */

static bool enter(struct attempt *a, const char *dir)
{
	struct err e = { "" };

	if (!dir)
		way_say(a, WAY_UNTESTED, "no cgroup outside to go to");
	else if (cgroup_enter(dir, 0, &e) < 0)
		way_say(a, WAY_UNTESTED, "%.250s", e.text);
	else
		return true;
	return false;
}

bool way_enter(struct attempt *a) { return enter(a, a->t.cgroup_dir); }
bool way_leave(struct attempt *a) { return enter(a, a->t.outside_dir); }

bool way_nest(struct attempt *a, const char *below)
{
	struct err e = { "" };

	(void)snprintf(a->dir, sizeof(a->dir), "%.1100s/way-%d%s", a->t.cgroup_dir, (int)getpid(), below);
	if (cgroup_make(a->dir, &e) == 0)
		return enter(a, a->dir);
	way_say(a, WAY_UNTESTED, "%.250s", e.text);
	return false;
}

void way_unnest(struct attempt *a)
{
	(void)cgroup_enter(a->t.cgroup_dir, 0, NULL);
	(void)snprintf(a->dir, sizeof(a->dir), "%.1100s/way-%d", a->t.cgroup_dir, (int)getpid());
	(void)cgroup_remove(a->dir);
}

/* ---- a socket that comes from elsewhere */

static void use_on_target(struct attempt *a)
{
	struct sockaddr_storage to;

	if (way_target(a, WAY_V4, 0, &to))
		way_connect_on(a, a->fd, &to);
}

static void make_outside(struct attempt *a) { a->fd = socket(AF_INET, SOCK_STREAM, 0); }

static void try_passed_in(struct attempt *a)
{
	int pair[2] = { -1, -1 };

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return way_say_errno(a, "socketpair", errno);
	pid_t giver = fork();

	if (giver == 0) {
		if (way_leave(a))
			(void)way_give(pair[1], socket(AF_INET, SOCK_STREAM, 0));
		_exit(0);
	}
	(void)waitpid(giver, NULL, 0);
	(void)close(pair[1]);
	a->fd = way_take(pair[0]);
	if (a->fd < 0)
		return way_say(a, WAY_UNTESTED, "no socket could be passed from outside");
	use_on_target(a);
}

static void try_carried_out(struct attempt *a)
{
	a->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (!way_leave(a))
		return;
	use_on_target(a);
	(void)way_enter(a);
}

static void try_moved_out(struct attempt *a)
{
	struct sockaddr_in to = stage_target(a);
	int fd = -1;

	if (!way_leave(a))
		return;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return way_say_errno(a, "connect", errno);
	(void)!write(fd, "", 1);
	way_say(a, WAY_BLOCKED, "nothing arrived");
}

/* ---- nested cgroups and threads */

static void try_nested(struct attempt *a)
{
	if (way_nest(a, "/deeper"))
		way_dial(a, WAY_V4, 0);
	way_unnest(a);
}

static void *dial_thread(void *a)
{
	way_dial(a, WAY_V4, 0);
	return NULL;
}

static void run_thread(struct attempt *a, void *(*body)(void *))
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, body, a);

	if (r)
		return way_say(a, WAY_UNTESTED, "cannot start a thread: %s", strerror(r));
	(void)pthread_join(thread, NULL);
}

static void try_thread(struct attempt *a) { run_thread(a, dial_thread); }

static bool write_word(const struct attempt *a, const char *file, const char *word)
{
	char path[1400];

	(void)snprintf(path, sizeof(path), "%s/%s", a->dir, file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, word, strlen(word)) == (ssize_t)strlen(word);

	if (fd >= 0)
		(void)close(fd);
	return ok;
}

static void *dial_threaded(void *ctx)
{
	struct attempt *a = ctx;
	char tid[16];

	(void)snprintf(tid, sizeof(tid), "%ld", (long)syscall(SYS_gettid));
	if (!write_word(a, "cgroup.threads", tid))
		way_say(a, WAY_UNTESTED, "cannot put a thread into a cgroup of its own: %s", strerror(errno));
	else
		way_dial(a, WAY_V4, 0);
	return NULL;
}

static void try_threaded(struct attempt *a)
{
	struct err e = { "" };

	if (!way_nest(a, ""))
		return;
	(void)strncat(a->dir, "/thread", sizeof(a->dir) - strlen(a->dir) - 1);
	if (cgroup_make(a->dir, &e) < 0)
		way_say(a, WAY_UNTESTED, "%.250s", e.text);
	else if (!write_word(a, "cgroup.type", "threaded"))
		way_say(a, WAY_UNTESTED, "no threaded cgroups here: %s", strerror(errno));
	else
		run_thread(a, dial_threaded);
	way_unnest(a);
}

/* ---- network namespaces */

static void try_own_netns(struct attempt *a)
{
	if (unshare(CLONE_NEWNET) < 0)
		return way_say_errno(a, "unshare(CLONE_NEWNET)", errno);
	way_dial(a, WAY_V4, 0);
}

static void try_own_userns(struct attempt *a)
{
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return way_say(a, WAY_UNTESTED, "user namespaces are off here: %s", strerror(errno));
	way_dial(a, WAY_V4, 0);
}

/* slirp, pasta: a process of the agent that stayed makes the connections of those in the new namespace. */
static void try_slirp(struct attempt *a)
{
	int pair[2] = { -1, -1 };
	struct sockaddr_storage to;

	if (!way_target(a, WAY_V4, 0, &to))
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return way_say_errno(a, "socketpair", errno);
	pid_t inside = fork();

	if (inside == 0) {
		(void)close(pair[0]);
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
			way_say(a, WAY_UNTESTED, "user namespaces are off here: %s", strerror(errno));
		else if ((a->fd = way_take(pair[1])) >= 0)
			way_say_where(a, a->fd, 0);
		_exit(0);
	}
	(void)close(pair[1]);
	int fd = way_open(a, &to);

	if (fd >= 0)
		(void)way_give(pair[0], fd);
	(void)close(pair[0]);
	(void)waitpid(inside, NULL, 0);
}

static void try_setns(struct attempt *a)
{
	if (setns(a->stage, CLONE_NEWNET) < 0)
		return way_say_errno(a, "setns", errno);
	way_dial(a, WAY_V4, 0);
}

static void try_setns_and_back(struct attempt *a)
{
	if (setns(a->stage, CLONE_NEWNET) < 0)
		return way_say_errno(a, "setns", errno);
	a->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (setns(a->home, CLONE_NEWNET) < 0)
		return way_say_errno(a, "setns", errno);
	use_on_target(a);
}

static const struct way rows[] = {
	{ 13, "socket made outside", "inherited from a process that is no agent", .before = make_outside, .try = use_on_target },
	{ 13, "socket passed in", "the same by SCM_RIGHTS", .try = try_passed_in },
	{ 14, "socket carried out", "made inside, used after leaving the cgroup", .try = try_carried_out },
	{ 15, "process moved out", "leaves the cgroup, then makes its socket", WAY_NEEDS_CGROUP, .before = stage_make, .try = try_moved_out,
	  .after = stage_tell },
	{ 16, "nested cgroup", "from a cgroup below the agent's", .try = try_nested },
	{ 17, "thread", "from a thread", .try = try_thread },
	{ 17, "threaded cgroup", "from a thread in a cgroup of its own", .try = try_threaded },
	{ 28, "own user namespace", "a network namespace without privileges", .try = try_own_userns },
	{ 28, "slirp", "a user namespace, and a helper of the agent's outside of it", .try = try_slirp },
	{ 29, "own network namespace", "from a namespace of its own", .need = WAY_NEEDS_CAPS, .try = try_own_netns },
	{ 29, "setns", "into somebody else's network namespace", WAY_NEEDS_CAPS, .before = stage_behind, .try = try_setns },
	{ 29, "setns and back", "a socket that was made there, used here", WAY_NEEDS_CAPS, .before = stage_behind, .try = try_setns_and_back },
};
const struct way_table ways_whose = WAY_TABLE(rows);
