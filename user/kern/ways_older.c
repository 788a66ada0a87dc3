// SPDX-License-Identifier: Apache-2.0
/*
 * ways_older.c: connections that are there already, and relays of others: nothing is asked of the gate that it could redirect, so what is looked
 * at is whether a byte arrives. On a stage (ways_stage.h): the provider's side is ours, too.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kern/cgroup.h"
#include "kern/ways_pass.h"
#include "kern/ways_stage.h"

static int connect_on_stage(struct attempt *a, int type)
{
	struct sockaddr_in to = stage_target(a);
	int fd = socket(AF_INET, type, 0);

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	way_say_errno(a, "connect from outside", errno);
	return -1;
}

static void send_byte(struct attempt *a, int fd)
{
	/* What a socket says that was destroyed under its owner: TCP, UDP. */
	if (send(fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		way_say(a, WAY_BLOCKED, "%ssend: %s", errno == ECONNABORTED || errno == EDESTADDRREQ ? "pursed ended it: " : "", strerrorname_np(errno));
	else
		way_say(a, WAY_BLOCKED, "nothing arrived");
}

/* ---- older than the enrolment: a cgroup that is not yet an agent's */

static void make_late(struct attempt *a)
{
	struct err e = { "" };

	if (!a->t.enrol)
		return way_say(a, WAY_UNTESTED, "nobody to enrol a second agent");
	(void)snprintf(a->dir, sizeof(a->dir), "%.1100s-late-%d", a->t.outside_dir, (int)getpid());
	if (cgroup_make(a->dir, &e) < 0)
		return way_say(a, WAY_UNTESTED, "%.250s", e.text);
	stage_make(a);
}

static void try_older(struct attempt *a, int type)
{
	struct err e = { "" };

	if (cgroup_enter(a->dir, 0, &e) < 0)
		return way_say(a, WAY_UNTESTED, "%.250s", e.text);
	int fd = connect_on_stage(a, type), r;

	if (fd < 0)
		return;
	r = a->t.enrol(a->t.ctx, a->dir, true);
	if (r < 0)
		return way_say(a, WAY_UNTESTED, "cannot enrol a second agent: %s", strerror(-r));
	send_byte(a, fd);
}

static void try_older_tcp(struct attempt *a) { try_older(a, SOCK_STREAM); }
static void try_older_udp(struct attempt *a) { try_older(a, SOCK_DGRAM); }

static void end_late(struct attempt *a)
{
	stage_tell(a);
	(void)a->t.enrol(a->t.ctx, a->dir, false);
	(void)cgroup_remove(a->dir);
}

/* ---- an agent gets hold of somebody else's */

static void try_moved_in(struct attempt *a)
{
	int fd = connect_on_stage(a, SOCK_STREAM);

	if (fd >= 0 && way_enter(a))
		send_byte(a, fd);
}

static void try_connection_passed(struct attempt *a)
{
	int pair[2] = { -1, -1 }, fd;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return way_say_errno(a, "socketpair", errno);
	way_say(a, WAY_UNTESTED, "no connection could be passed from outside");
	pid_t giver = fork();

	if (giver == 0) {
		if (way_leave(a) && (fd = connect_on_stage(a, SOCK_STREAM)) >= 0)
			(void)way_give(pair[1], fd);
		_exit(0);
	}
	(void)waitpid(giver, NULL, 0);
	(void)close(pair[1]);
	fd = way_take(pair[0]);
	if (fd >= 0)
		send_byte(a, fd);
}

static void tell_until_seen(struct attempt *a)
{
	stage_tell(a);
	if (a->r.end == WAY_OPEN)
		way_say(a, WAY_OPEN, "a byte arrived at the address; pursed ends such a connection when it looks again, within a minute");
}

/* ---- relays: a process outside that dials for the agent */

/* Serves one client and ends with its parent. */
_Noreturn static void relay(struct attempt *a, int client)
{
	char got[64];

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (client >= 0 && recv(client, got, sizeof(got), 0) > 0) {
		int fd = connect_on_stage(a, SOCK_STREAM);

		if (fd >= 0)
			send_byte(a, fd);
	}
	_exit(0);
}

static void make_unix_relay(struct attempt *a)
{
	int pair[2] = { -1, -1 };

	stage_make(a);
	if (a->r.text[0] || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return;
	if (fork() == 0) {
		(void)close(pair[0]);
		relay(a, pair[1]);
	}
	(void)close(pair[1]);
	a->fd = pair[0];
}

static void make_tcp_relay(struct attempt *a)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(3128), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	stage_make(a);
	if (a->r.text[0])
		return;
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 1) < 0)
		return way_say_errno(a, "listen", errno);
	if (fork() == 0)
		relay(a, accept(listener, NULL, NULL));
	(void)close(listener);
}

/* Until it hangs up: then it has done what it could, and said how that ended. */
static void ask_relay(struct attempt *a, int fd, const char *request)
{
	char byte;

	way_say(a, WAY_BLOCKED, "nothing arrived");
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		return way_say_errno(a, "send", errno);
	(void)!recv(fd, &byte, 1, 0);
}

static void try_unix_relay(struct attempt *a) { ask_relay(a, a->fd, "there, please"); }

static void dial_relay(struct attempt *a, const char *request)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(3128), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return way_say_errno(a, "connect", errno);
	ask_relay(a, fd, request);
}

static void try_tcp_relay(struct attempt *a) { dial_relay(a, "there, please"); }
static void try_proxy(struct attempt *a) { dial_relay(a, "CONNECT llm.invalid:443 HTTP/1.1\r\n\r\n"); }

static const struct way rows[] = {
	{ 9, "older udp socket", "connected before the enrolment, sends after it", .starts_outside = true, .before = make_late, .try = try_older_udp,
	  .after = end_late },
	{ 12, "older connection", "made before the enrolment, used after it", .starts_outside = true, .before = make_late, .try = try_older_tcp,
	  .after = end_late },
	{ 12, "process moved in", "enters the cgroup with an open connection", WAY_NEEDS_HELPER, .starts_outside = true, .before = stage_make,
	  .try = try_moved_in, .after = tell_until_seen },
	{ 13, "connection passed in", "an open connection by SCM_RIGHTS", WAY_NEEDS_HELPER, .before = stage_make, .try = try_connection_passed,
	  .after = tell_until_seen },
	{ 24, "unix relay", "a unix socket to a process outside that dials", WAY_NEEDS_HELPER, .before = make_unix_relay, .try = try_unix_relay,
	  .after = stage_tell },
	{ 25, "local relay", "a process outside on loopback that dials", WAY_NEEDS_HELPER, .before = make_tcp_relay, .try = try_tcp_relay,
	  .after = stage_tell },
	{ 27, "proxy, other port", "CONNECT to a proxy on a port that is not captured", WAY_NEEDS_HELPER, .before = make_tcp_relay, .try = try_proxy,
	  .after = stage_tell },
};
const struct way_table ways_older = WAY_TABLE(rows);
