// SPDX-License-Identifier: Apache-2.0
/* netns.c: see netns.h. */
#include "kern/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "kern/cgroup.h"
#include "kern/gate_inside.h"
#include "kern/ports.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14 */
#endif
#define BACKLOG 4096
#define DEPTH_MAX 32 /* folders below an agent's cgroup */

/* ---- seeing */

static int id_of(const char *path, struct netns_id *ret)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	*ret = (struct netns_id){ .dev = st.st_dev, .ino = st.st_ino };
	return 0;
}

int netns_own(struct netns_id *ret)
{
	return id_of("/proc/thread-self/ns/net", ret);
}

static void ns_path(const struct netns_seen *s, char ret[64])
{
	(void)snprintf(ret, 64, "/proc/%d/task/%d/ns/net", s->pid, s->tid);
}

struct look {
	netns_see_fn see;
	void *ctx;
	uint64_t agent;
	struct gate *gate;
	int error;
};

static void look_at(const struct look *l, int pid, int tid)
{
	struct netns_seen s = { .pid = pid, .tid = tid, .agent = l->agent };
	char path[64];

	ns_path(&s, path);
	if (id_of(path, &s.id) == 0)
		l->see(l->ctx, &s);
}

/* A threaded cgroup refuses to list processes; its threads are looked at one by one. 0 in the list: not visible from our pid namespace. */
static bool look_at_list(const struct look *l, int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	char line[32];

	if (!f) {
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	while (fgets(line, sizeof(line), f)) {
		long pid = strtol(line, NULL, 10);

		if (pid > 0)
			look_at(l, (int)pid, (int)pid);
	}
	bool is_read = !ferror(f);

	(void)fclose(f);
	return is_read;
}

/* Takes the descriptor. */
static void look_below(const struct look *l, int dir, int depth)
{
	if (!look_at_list(l, dir, "cgroup.procs"))
		(void)look_at_list(l, dir, "cgroup.threads");

	DIR *d = fdopendir(dir);

	if (!d) {
		(void)close(dir);
		return;
	}
	for (struct dirent *entry; depth < DEPTH_MAX && (entry = readdir(d));) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		int sub = openat(dirfd(d), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (sub >= 0)
			look_below(l, sub, depth + 1);
	}
	(void)closedir(d);
}

static bool look_at_agent(void *ctx, uint64_t cgroup_id, const struct gate_agent *a)
{
	struct look *l = ctx;
	int dir = cgroup_open(l->gate->root_fd, cgroup_id);

	(void)a;
	l->agent = cgroup_id;
	if (dir >= 0)
		look_below(l, dir, 0);
	else if (dir != -ESTALE && dir != -ENOENT)
		l->error = dir;
	return true;
}

int netns_look_agents(struct gate *g, netns_see_fn see, void *ctx)
{
	struct look l = { .see = see, .ctx = ctx, .gate = g };

	gate_each_agent(g, look_at_agent, &l);
	return l.error;
}

int netns_look_process(int pid, netns_see_fn see, void *ctx)
{
	struct look l = { .see = see, .ctx = ctx };
	struct dirent *entry;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *d = opendir(path);

	if (!d)
		return -ESRCH;
	/* The first one is the process itself. */
	for (int n = 0; n < NETNS_THREADS_MAX + 2 && (entry = readdir(d)); n++)
		if (entry->d_name[0] != '.')
			look_at(&l, pid, atoi(entry->d_name));
	(void)closedir(d);
	return 0;
}

int netns_open(const struct netns_seen *s)
{
	struct stat st;
	char path[64];

	ns_path(s, path);
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	/* The process may have ended and its number be another's by now. */
	if (st.st_dev != s->id.dev || st.st_ino != s->id.ino)
		return -ESTALE;
	return TAKE_FD(fd);
}

/* ---- listening */

/* One descriptor for all workers (no SO_REUSEPORT: another process of the same uid could join the group). */
static int listen_on(int family, uint16_t port, int *ret_fd, uint16_t *ret_port)
{
	struct sockaddr_storage ss = { .ss_family = (sa_family_t)family };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;
	socklen_t len = family == AF_INET ? sizeof(*v4) : sizeof(*v6);
	int one = 1;

	if (family == AF_INET) {
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		v4->sin_port = htons(port);
	} else {
		v6->sin6_addr = in6addr_loopback;
		v6->sin6_port = htons(port);
	}
	CLEANUP_CLOSE int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	*ret_port = ntohs(family == AF_INET ? v4->sin_port : v6->sin6_port);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* `before`: what it was the last time. */
static int listen_outside(int family, uint16_t before, int *ret_fd, uint16_t *ret_port)
{
	struct ports_range range;
	int r = ports_range(&range);

	if (r == 0 && ports_is_outside(&range, before) && listen_on(family, before, ret_fd, ret_port) == 0)
		return 0;
	for (unsigned n = 0; r == 0; n++) {
		uint16_t port = ports_outside(&range, n);

		if (!port)
			break;
		int tried = listen_on(family, port, ret_fd, ret_port);

		if (tried != -EADDRINUSE)
			return tried;
	}
	log_warn("egress", "no port to listen on outside of net.ipv4.ip_local_port_range%s%s: should this daemon crash, an agent can try to get its "
		 "port; leave some ports out of that range", r < 0 ? ", which cannot be read: " : "", r < 0 ? strerror(-r) : "");
	return listen_on(family, 0, ret_fd, ret_port);
}

int netns_cookie(int fd, uint64_t *ret)
{
	socklen_t len = sizeof(*ret);

	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, ret, &len) < 0 ? -errno : 0;
}

static int ask_here(uint64_t *ret_cookie, bool *ret_loopback_is_up)
{
	CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = { .ifr_name = "lo" };
	int r = fd < 0 ? -errno : netns_cookie(fd, ret_cookie);

	if (r < 0)
		return r;
	*ret_loopback_is_up = ioctl(fd, SIOCGIFFLAGS, &lo) == 0 && (lo.ifr_flags & IFF_UP);
	return 0;
}

static int listen_here(bool is_abroad, uint16_t port, struct netns_listener *l)
{
	bool loopback_is_up = false;
	int r = ask_here(&l->cookie, &loopback_is_up);

	if (r < 0)
		return r;
	/* One can listen on 127.0.0.1 all the same, but who is sent there waits in vain until a timeout. */
	if (is_abroad && !loopback_is_up) {
		l->why4 = l->why6 = ENETDOWN;
		return 0;
	}
	if (l->fd4 < 0)
		l->why4 = -(port ? listen_on(AF_INET, port, &l->fd4, &l->port4) : listen_outside(AF_INET, l->port4, &l->fd4, &l->port4));
	if (l->fd4 < 0)
		l->port4 = 0;
	if (l->fd6 < 0)
		l->why6 = -(port ? listen_on(AF_INET6, port, &l->fd6, &l->port6) : listen_outside(AF_INET6, l->port6, &l->fd6, &l->port6));
	if (l->fd6 < 0)
		l->port6 = 0;
	return 0;
}

/* ---- going there */

struct visit {
	int ns, result;
	int (*do_there)(void *ctx);
	void *ctx;
};

static void *visit_run(void *arg)
{
	struct visit *v = arg;

	v->result = setns(v->ns, CLONE_NEWNET) < 0 ? -errno : v->do_there(v->ctx);
	return NULL;
}

int netns_visit(int ns, int (*do_there)(void *ctx), void *ctx)
{
	struct visit v = { .ns = ns, .do_there = do_there, .ctx = ctx };
	pthread_t thread;
	int r = pthread_create(&thread, NULL, visit_run, &v);

	if (r)
		return -r;
	(void)pthread_join(thread, NULL);
	return v.result;
}

struct listen_request {
	struct netns_listener *l;
	uint16_t port;
};

static int listen_there(void *ctx)
{
	const struct listen_request *r = ctx;

	return listen_here(true, r->port, r->l);
}

int netns_listen(int ns, uint16_t port, struct netns_listener *l)
{
	struct listen_request r = { .l = l, .port = port };

	return ns < 0 ? listen_here(false, port, l) : netns_visit(ns, listen_there, &r);
}

static int socket_here(void *family)
{
	int fd = socket(*(int *)family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

int netns_socket(int like, int family)
{
	uint64_t here, there;
	CLEANUP_CLOSE int fd = socket_here(&family);

	if (fd < 0)
		return fd;
	int r = netns_cookie(fd, &here);

	if (!r)
		r = netns_cookie(like, &there);
	if (r < 0)
		return r;
	if (here == there)
		return TAKE_FD(fd);

	CLEANUP_CLOSE int ns = ioctl(like, SIOCGSKNS); /* Linux 4.10 */

	return ns < 0 ? -errno : netns_visit(ns, socket_here, &family);
}
