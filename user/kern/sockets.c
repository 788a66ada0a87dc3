// SPDX-License-Identifier: Apache-2.0
/* sockets.c: see sockets.h. Collects whose sockets (cgroup ids, inodes) and where (namespaces), then dumps and ends in each place. */
#include "kern/sockets.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/* States of the kernel's enum (net/tcp_states.h): what has a peer. LISTEN (10), CLOSE (7), TIME_WAIT (6) and NEW_SYN_RECV (12) have not. */
#define STATES_WITH_PEER ((1u << 1) | (1u << 2) | (1u << 3) | (1u << 4) | (1u << 5) | (1u << 8) | (1u << 9) | (1u << 11))
#define SET_MAX (1u << 20)
#define ANSWER_TIMEOUT_S 5

/* A sorted set of numbers, filled first and asked afterwards. */
struct set {
	uint64_t *v;
	size_t n, size;
};

static int set_add(struct set *s, uint64_t v)
{
	if (s->n == s->size) {
		size_t size = s->size ? s->size * 2 : 64;
		uint64_t *grown = size <= SET_MAX ? reallocarray(s->v, size, sizeof(*grown)) : NULL;

		if (!grown)
			return -ENOMEM;
		s->v = grown;
		s->size = size;
	}
	s->v[s->n++] = v;
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void set_sort(struct set *s)
{
	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), compare);
}

static bool set_has(const struct set *s, uint64_t v)
{
	return s->n && bsearch(&v, s->v, s->n, sizeof(v), compare);
}

/* One place to look: the caller's own namespace has no descriptor. */
#define PLACES_MAX 256
struct sweep {
	struct set cgroups, inodes;
	struct {
		dev_t dev;
		ino_t ino;
		int fd; /* -1 = our own */
	} places[PLACES_MAX];
	size_t nplaces;
	bool (*pick)(void *ctx, const struct socket_seen *s);
	void *ctx;
	size_t ended;
};

/* ---- whose */

static int add_sockets_of(struct sweep *s, int proc_fd)
{
	int fd = openat(proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	char target[64];
	int r = 0;

	if (!d) {
		if (fd >= 0)
			(void)close(fd);
		return 0; /* it ended meanwhile */
	}
	while (r == 0 && (entry = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), entry->d_name, target, sizeof(target) - 1);
		unsigned long long inode;

		if (n <= 0)
			continue;
		target[n] = '\0';
		if (sscanf(target, "socket:[%llu]", &inode) == 1)
			r = set_add(&s->inodes, inode);
	}
	(void)closedir(d);
	return r;
}

static void add_place(struct sweep *s, int proc_fd)
{
	struct stat st;
	int fd = openat(proc_fd, "ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	bool is_known = fstat(fd, &st) < 0;

	for (size_t i = 0; !is_known && i < s->nplaces; i++)
		is_known = s->places[i].dev == st.st_dev && s->places[i].ino == st.st_ino;
	if (is_known || s->nplaces == PLACES_MAX) {
		(void)close(fd);
		return;
	}
	s->places[s->nplaces].dev = st.st_dev;
	s->places[s->nplaces].ino = st.st_ino;
	s->places[s->nplaces++].fd = fd;
}

/* cgroup.procs cannot be read in a threaded cgroup; its threads share their process' descriptors. */
static int add_processes(struct sweep *s, const char *dir)
{
	static const char *const lists[] = { "cgroup.procs", "cgroup.threads" };
	int r = 0;

	for (size_t i = 0; i < 2; i++) {
		char path[4200], line[32];

		(void)snprintf(path, sizeof(path), "%s/%s", dir, lists[i]);
		FILE *f = fopen(path, "re");

		if (!f)
			continue;
		bool is_read = false;

		while (r == 0 && fgets(line, sizeof(line), f)) {
			is_read = true;
			(void)snprintf(path, sizeof(path), "/proc/%ld", strtol(line, NULL, 10));
			CLEANUP_CLOSE int proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

			if (proc < 0)
				continue;
			add_place(s, proc);
			r = add_sockets_of(s, proc);
		}
		bool failed = ferror(f);

		(void)fclose(f);
		if (is_read || !failed)
			break;
	}
	return r;
}

static int collect(struct sweep *s, const char *dir, struct err *e)
{
	char *roots[] = { (char *)dir, NULL };
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	int r = 0;

	if (!tree)
		return err_set(e, errno, "cgroup %s: cannot be read: %s", dir, strerror(errno));
	for (FTSENT *at; r == 0 && (at = fts_read(tree));) {
		if (at->fts_info != FTS_D)
			continue;
		r = set_add(&s->cgroups, at->fts_statp->st_ino);
		if (r == 0)
			r = add_processes(s, at->fts_path);
	}
	(void)fts_close(tree);
	if (r == 0 && s->cgroups.n == 0)
		return err_set(e, ENOENT, "cgroup %s: there is no such folder", dir);
	if (r < 0)
		return err_set(e, r, "cgroup %s: too many sockets or cgroups to look through", dir);
	set_sort(&s->cgroups);
	set_sort(&s->inodes);
	return 0;
}

/* ---- one place */

struct request {
	struct nlmsghdr head;
	struct inet_diag_req_v2 diag;
};

static int diag_send(int fd, const struct inet_diag_req_v2 *what, uint16_t type, uint16_t flags)
{
	struct request r = {
		.head = { .nlmsg_len = sizeof(r), .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags },
		.diag = *what,
	};

	return send(fd, &r, sizeof(r), 0) == (ssize_t)sizeof(r) ? 0 : -errno;
}

static void seen_of(const struct inet_diag_msg *m, int protocol, struct socket_seen *ret)
{
	*ret = (struct socket_seen){ .protocol = protocol, .dport = ntohs(m->id.idiag_dport) };
	if (m->idiag_family == AF_INET6) {
		memcpy(ret->dst, m->id.idiag_dst, 16);
		return;
	}
	ret->dst[10] = ret->dst[11] = 0xff;
	memcpy(ret->dst + 12, m->id.idiag_dst, 4);
}

static uint64_t cgroup_of_message(const struct nlmsghdr *h)
{
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	const struct nlattr *a = (const struct nlattr *)(m + 1);
	size_t rest = h->nlmsg_len - NLMSG_LENGTH(sizeof(*m));
	uint64_t id = 0;

	while (rest >= sizeof(*a) && a->nla_len >= sizeof(*a) && a->nla_len <= rest) {
		size_t step = NLA_ALIGN(a->nla_len);

		if (a->nla_type == INET_DIAG_CGROUP_ID && a->nla_len >= sizeof(*a) + sizeof(id))
			memcpy(&id, a + 1, sizeof(id));
		if (step >= rest)
			break;
		rest -= step;
		a = (const struct nlattr *)((const char *)a + step);
	}
	return id;
}

struct found {
	struct inet_diag_req_v2 *v;
	size_t n, size;
};

static int found_add(struct found *f, const struct inet_diag_msg *m, int protocol)
{
	if (f->n == f->size) {
		size_t size = f->size ? f->size * 2 : 16;
		void *grown = size <= SET_MAX ? reallocarray(f->v, size, sizeof(*f->v)) : NULL;

		if (!grown)
			return -ENOMEM;
		f->v = grown;
		f->size = size;
	}
	f->v[f->n++] = (struct inet_diag_req_v2){ .sdiag_family = m->idiag_family, .sdiag_protocol = (uint8_t)protocol, .id = m->id };
	return 0;
}

static int take_message(struct sweep *s, const struct nlmsghdr *h, int protocol, struct found *f)
{
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	struct socket_seen seen;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return 0;
	if (!set_has(&s->cgroups, cgroup_of_message(h)) && !set_has(&s->inodes, m->idiag_inode))
		return 0;
	seen_of(m, protocol, &seen);
	return s->pick(s->ctx, &seen) ? found_add(f, m, protocol) : 0;
}

/* The dump to its end. */
static int dump(struct sweep *s, int fd, uint8_t family, int protocol, struct found *f)
{
	struct inet_diag_req_v2 all = { .sdiag_family = family, .sdiag_protocol = (uint8_t)protocol, .idiag_states = STATES_WITH_PEER };
	static _Thread_local char answer[32768];
	int r = diag_send(fd, &all, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP);

	while (r == 0) {
		ssize_t n = recv(fd, answer, sizeof(answer), 0);

		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		for (struct nlmsghdr *h = (struct nlmsghdr *)answer; r == 0 && NLMSG_OK(h, (size_t)n); h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
			r = take_message(s, h, protocol, f);
		}
	}
	return r;
}

/* One that ended by itself meanwhile is no failure. */
static int end_one(struct sweep *s, int fd, const struct inet_diag_req_v2 *which)
{
	char answer[4096];
	int r = diag_send(fd, which, SOCK_DESTROY, NLM_F_ACK);
	ssize_t n = r < 0 ? 0 : recv(fd, answer, sizeof(answer), 0);
	struct nlmsghdr *h = (struct nlmsghdr *)answer;

	if (r < 0 || n < (ssize_t)sizeof(*h))
		return r < 0 ? r : n < 0 ? -errno : -EPIPE;
	if (h->nlmsg_type != NLMSG_ERROR)
		return 0;
	r = ((struct nlmsgerr *)NLMSG_DATA(h))->error;
	s->ended += r == 0;
	return r == -ENOENT || r == -ESTALE ? 0 : r;
}

static int sweep_here(struct sweep *s)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	static const int protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
	CLEANUP_CLOSE int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	struct timeval patience = { .tv_sec = ANSWER_TIMEOUT_S };
	struct found f = { 0 };
	int r = 0;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	for (size_t p = 0; r == 0 && p < 2; p++)
		for (size_t i = 0; r == 0 && i < 2; i++) {
			r = dump(s, fd, families[i], protocols[p], &f);
			/* -ENOENT: this kernel has no such family or cannot list it (udp_diag is a module): nothing to end there. */
			r = r == -ENOENT ? 0 : r;
		}
	for (size_t i = 0; r == 0 && i < f.n; i++)
		r = end_one(s, fd, &f.v[i]);
	free(f.v);
	return r;
}

struct visit {
	struct sweep *sweep;
	int ns, result;
};

/* setns moves one thread only, so a visit to another namespace gets a thread of its own. */
static void *visit_run(void *arg)
{
	struct visit *v = arg;

	v->result = setns(v->ns, CLONE_NEWNET) < 0 ? -errno : sweep_here(v->sweep);
	return NULL;
}

static int sweep_there(struct sweep *s, int ns)
{
	struct visit v = { .sweep = s, .ns = ns };
	pthread_t thread;
	int r = pthread_create(&thread, NULL, visit_run, &v);

	if (r)
		return -r;
	(void)pthread_join(thread, NULL);
	return v.result;
}

int sockets_end(const char *dir, bool (*pick)(void *ctx, const struct socket_seen *s), void *ctx, size_t *ret_ended, struct err *e)
{
	struct sweep s = { .pick = pick, .ctx = ctx, .nplaces = 1 };
	struct stat own;
	int r;

	s.places[0].fd = -1;
	if (stat("/proc/thread-self/ns/net", &own) == 0) {
		s.places[0].dev = own.st_dev;
		s.places[0].ino = own.st_ino;
	}
	r = collect(&s, dir, e);
	for (size_t i = 0; r == 0 && i < s.nplaces; i++) {
		r = s.places[i].fd < 0 ? sweep_here(&s) : sweep_there(&s, s.places[i].fd);
		if (r == -EOPNOTSUPP)
			r = err_set(e, ENOTSUP, "cgroup %s: this kernel cannot end open sockets (CONFIG_INET_DIAG_DESTROY is off); what they "
				    "send to LLM endpoints is dropped all the same", dir);
		else if (r < 0)
			r = err_set(e, r, "cgroup %s: its open sockets cannot be ended: %s", dir, strerror(-r));
	}
	for (size_t i = 1; i < s.nplaces; i++)
		(void)close(s.places[i].fd);
	free(s.cgroups.v);
	free(s.inodes.v);
	if (r == 0 && ret_ended)
		*ret_ended = s.ended;
	return r;
}
