// SPDX-License-Identifier: Apache-2.0
/* peer.c: see peer.h. */
#include "ctl/peer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl/agents.h"
#include "kern/cgroup.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static int handle_of(int fd, pid_t pid)
{
	int pidfd = -1;
	socklen_t len = sizeof(pidfd);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) == 0)
		return pidfd;
	/* Anything else: the kernel could have told, but the process is gone. */
	return errno == ENOPROTOOPT && pid > 0 ? pidfd_open(pid, 0) : -1;
}

int peer_of(int fd, struct peer *ret)
{
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	*ret = (struct peer){ .uid = cred.uid, .pid = cred.pid, .pidfd = handle_of(fd, cred.pid) };
	return 0;
}

void peer_done(struct peer *p)
{
	if (p->pidfd >= 0)
		(void)close(p->pidfd);
	p->pidfd = -1;
}

/* Readable once it has ended, also as a zombie. */
static bool is_alive(const struct peer *p)
{
	struct pollfd waits = { .fd = p->pidfd, .events = POLLIN };

	return p->pidfd >= 0 && poll(&waits, 1, 0) == 0;
}

static bool is_within(const char *path, const char *cgroup)
{
	size_t n = strlen(cgroup);

	return strncmp(path, cgroup, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

struct search {
	const char *path;
	char name[GATE_NAME_MAX];
};

static bool is_another(void *ctx, const struct agent_view *v)
{
	struct search *s = ctx;

	if (!is_within(s->path, v->cgroup))
		return true;
	(void)snprintf(s->name, sizeof(s->name), "%s", v->name);
	return false;
}

/* By names, not by what is enrolled: an agent whose cgroup was made anew a moment ago is still that agent. */
static void judge(struct peer *p, const struct agents *a, const char *path)
{
	static const char deleted[] = " (deleted)";
	size_t n = strlen(path), tail = sizeof(deleted) - 1;
	struct search s = { .path = path };

	agents_each(a, is_another, &s);
	p->place = s.name[0] ? PEER_IN_AGENT : PEER_OUTSIDE;
	p->why[0] = '\0';
	if (s.name[0]) {
		(void)snprintf(p->why, sizeof(p->why), "process %d is inside agent \"%s\" (cgroup %.500s)", (int)p->pid, s.name, path);
	} else if (strncmp(path, "/..", 3) == 0 || (n >= tail && strcmp(path + n - tail, deleted) == 0)) {
		p->place = PEER_UNKNOWN;
		(void)snprintf(p->why, sizeof(p->why), "the cgroup of process %d (%.500s) cannot be placed", (int)p->pid, path);
	}
}

void peer_look(struct peer *p, const struct agents *a)
{
	struct err e = { "" };
	char path[4352]; /* PATH_MAX and a mark */

	if (p->place == PEER_IN_AGENT)
		return;
	p->place = PEER_UNKNOWN;
	if (p->pid <= 0) {
		(void)snprintf(p->why, sizeof(p->why), "the process that asks is in a pid namespace that the daemon does not see");
		return;
	}
	int r = cgroup_of(p->pid, path, sizeof(path), &e);

	/* Asked last: as long as it lives the number is its own, and what was read was about it. */
	if (!is_alive(p))
		(void)snprintf(p->why, sizeof(p->why), "process %d, which connected, has ended", (int)p->pid);
	else if (r < 0)
		(void)snprintf(p->why, sizeof(p->why), "process %d: %.600s", (int)p->pid, e.text);
	else
		judge(p, a, path);
}
