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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kern/netns.h"

/* States of the kernel's enum (net/tcp_states.h): what has a peer. LISTEN (10), CLOSE (7), TIME_WAIT (6) and NEW_SYN_RECV (12) have not. */
#define STATES_WITH_PEER ((1u << 1) | (1u << 2) | (1u << 3) | (1u << 4) | (1u << 5) | (1u << 8) | (1u << 9) | (1u << 11))
#define SET_MAX (1u << 20)
#define PLACES_MAX 1024 /* as many as the path listens in */
#define ANSWER_TIMEOUT_S 5

/* Whose a number is. Filled first, then sorted and asked. */
struct mark {
	uint64_t v;
	size_t owner;
};
struct set {
	struct mark *v;
	size_t n, size;
};

static int set_add(struct set *s, uint64_t v, size_t owner)
{
	if (s->n == s->size) {
		size_t size = s->size ? s->size * 2 : 64;
		struct mark *grown = size <= SET_MAX ? reallocarray(s->v, size, sizeof(*grown)) : NULL;

		if (!grown)
			return -ENOMEM;
		s->v = grown;
		s->size = size;
	}
	s->v[s->n++] = (struct mark){ .v = v, .owner = owner };
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = ((const struct mark *)a)->v, y = ((const struct mark *)b)->v;

	return x < y ? -1 : x > y;
}

static void set_sort(struct set *s)
{
	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), compare);
}

static const struct mark *set_find(const struct set *s, uint64_t v)
{
	struct mark key = { .v = v };

	return s->n ? bsearch(&key, s->v, s->n, sizeof(key), compare) : NULL;
}

/* One place to look: the caller's own namespace has no descriptor. */
struct place {
	dev_t dev;
	ino_t ino;
	int fd; /* -1 = our own */
};
struct sweep {
	struct sockets_job *job;
	struct set cgroups, inodes;
	struct place places[PLACES_MAX];
	size_t nplaces;
	size_t owner; /* whose processes are being walked */
};

static bool is_stopped(const struct sweep *s)
{
	return s->job->stop && s->job->stop(s->job->ctx);
}

/* Not all of this one: what was found is dealt with, and it is told. */
static void note_too_many(struct sweep *s)
{
	s->job->owners[s->owner].error = -E2BIG;
}

/* ---- whose */

static void add_sockets_of(struct sweep *s, int proc_fd)
{
	int fd = openat(proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	char target[64];

	if (!d) {
		if (fd >= 0)
			(void)close(fd);
		return; /* it ended meanwhile */
	}
	while ((entry = readdir(d)) && !is_stopped(s)) {
		ssize_t n = readlinkat(dirfd(d), entry->d_name, target, sizeof(target) - 1);
		unsigned long long inode;

		if (n <= 0)
			continue;
		target[n] = '\0';
		if (sscanf(target, "socket:[%llu]", &inode) == 1 && set_add(&s->inodes, inode, s->owner) < 0) {
			note_too_many(s);
			break;
		}
	}
	(void)closedir(d);
}

static void add_place(struct sweep *s, int proc_fd)
{
	struct stat st;

	if (fstatat(proc_fd, "ns/net", &st, 0) < 0)
		return; /* it ended meanwhile */
	for (size_t i = 0; i < s->nplaces; i++)
		if (s->places[i].dev == st.st_dev && s->places[i].ino == st.st_ino)
			return;
	int fd = s->nplaces < PLACES_MAX ? openat(proc_fd, "ns/net", O_RDONLY | O_CLOEXEC) : -1;

	if (fd >= 0)
		s->places[s->nplaces++] = (struct place){ .dev = st.st_dev, .ino = st.st_ino, .fd = fd };
	else if (errno != ENOENT && errno != ESRCH)
		note_too_many(s);
}

/* cgroup.procs cannot be read in a threaded cgroup; its threads share their process' descriptors. */
static void add_processes(struct sweep *s, const char *dir)
{
	static const char *const lists[] = { "cgroup.procs", "cgroup.threads" };

	for (size_t i = 0; i < 2; i++) {
		char path[4200], line[32];

		(void)snprintf(path, sizeof(path), "%s/%s", dir, lists[i]);
		FILE *f = fopen(path, "re");

		if (!f)
			continue;
		bool is_read = false;

		while (fgets(line, sizeof(line), f) && !is_stopped(s)) {
			is_read = true;
			(void)snprintf(path, sizeof(path), "/proc/%ld", strtol(line, NULL, 10));
			CLEANUP_CLOSE int proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

			if (proc < 0)
				continue;
			add_place(s, proc);
			add_sockets_of(s, proc);
		}
		bool failed = ferror(f);

		(void)fclose(f);
		if (is_read || !failed)
			break;
	}
}

static void collect_one(struct sweep *s)
{
	struct sockets_owner *o = &s->job->owners[s->owner];
	char *roots[] = { (char *)o->dir, NULL };
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	bool any = false;

	for (FTSENT *at; tree && (at = fts_read(tree)) && !is_stopped(s);) {
		if (at->fts_info != FTS_D)
			continue;
		any = true;
		if (set_add(&s->cgroups, at->fts_statp->st_ino, s->owner) < 0)
			note_too_many(s);
		add_processes(s, at->fts_path);
	}
	if (tree)
		(void)fts_close(tree);
	if (!any)
		o->error = -ENOENT;
}

static int collect(struct sweep *s)
{
	for (s->owner = 0; s->owner < s->job->n && !is_stopped(s); s->owner++) {
		s->job->owners[s->owner].error = 0;
		s->job->owners[s->owner].ended = 0;
		collect_one(s);
	}
	set_sort(&s->cgroups);
	set_sort(&s->inodes);
	return is_stopped(s) ? -ECANCELED : 0;
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

static void seen_of(const struct inet_diag_msg *m, int protocol, uint64_t netns_cookie, struct socket_seen *ret)
{
	*ret = (struct socket_seen){ .protocol = protocol, .dport = ntohs(m->id.idiag_dport), .netns_cookie = netns_cookie };
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

/* What is to be ended in one place. */
struct found {
	struct {
		struct inet_diag_req_v2 which;
		size_t owner;
	} *v;
	size_t n, size;
	uint64_t netns_cookie;
};

static int found_add(struct found *f, const struct inet_diag_msg *m, int protocol, size_t owner)
{
	if (f->n == f->size) {
		size_t size = f->size ? f->size * 2 : 16;
		void *grown = size <= SET_MAX ? reallocarray(f->v, size, sizeof(*f->v)) : NULL;

		if (!grown)
			return -ENOMEM;
		f->v = grown;
		f->size = size;
	}
	f->v[f->n].which = (struct inet_diag_req_v2){ .sdiag_family = m->idiag_family, .sdiag_protocol = (uint8_t)protocol, .id = m->id };
	f->v[f->n++].owner = owner;
	return 0;
}

static int take_message(struct sweep *s, const struct nlmsghdr *h, int protocol, struct found *f)
{
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	const struct mark *mark;
	struct socket_seen seen;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return 0;
	mark = set_find(&s->cgroups, cgroup_of_message(h));
	if (!mark)
		mark = set_find(&s->inodes, m->idiag_inode);
	if (!mark)
		return 0;
	seen_of(m, protocol, f->netns_cookie, &seen);
	return s->job->pick(s->job->ctx, mark->owner, &seen) ? found_add(f, m, protocol, mark->owner) : 0;
}

/* 1: not the end of a dump. 0, or why there was none: told in the last message, or in place of any. */
static int end_of_dump(const struct nlmsghdr *h)
{
	int r = 0;

	if (h->nlmsg_type != NLMSG_DONE && h->nlmsg_type != NLMSG_ERROR)
		return 1;
	if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(r))) /* `error` is the first member of struct nlmsgerr */
		memcpy(&r, NLMSG_DATA(h), sizeof(r));
	return r;
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
			int end = end_of_dump(h);

			if (end <= 0)
				return end;
			r = take_message(s, h, protocol, f);
		}
		r = r == 0 && is_stopped(s) ? -ECANCELED : r;
	}
	return r;
}

/* 1 = ended. What the kernel says otherwise. */
static int end_one(int fd, const struct inet_diag_req_v2 *which)
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
	return r == 0 ? 1 : r;
}

static int diag_open(void)
{
	struct timeval patience = { .tv_sec = ANSWER_TIMEOUT_S };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0)
		return fd < 0 ? -errno : fd;
	int r = -errno;

	(void)close(fd);
	return r;
}

static int end_found(struct sweep *s, int fd, const struct found *f)
{
	int result = 0;

	for (size_t i = 0; i < f->n && result != -ECANCELED; i++) {
		int r = end_one(fd, &f->v[i].which);

		/* One that ended by itself meanwhile is no failure. */
		if (r > 0)
			s->job->owners[f->v[i].owner].ended++;
		else if (r < 0 && r != -ENOENT && r != -ESTALE)
			result = r;
		if (is_stopped(s))
			result = -ECANCELED;
	}
	return result;
}

static int sweep_here(struct sweep *s)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	static const int protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
	CLEANUP_CLOSE int fd = diag_open();
	struct found f = { 0 };
	int r = fd < 0 ? fd : 0;

	if (r == 0)
		(void)netns_cookie(fd, &f.netns_cookie);
	for (size_t p = 0; r == 0 && p < 2; p++)
		for (size_t i = 0; r == 0 && i < 2; i++) {
			r = dump(s, fd, families[i], protocols[p], &f);
			/* -ENOENT: this kernel has no such family or cannot list it (udp_diag is a module): nothing to end there. */
			r = r == -ENOENT ? 0 : r;
		}
	if (r != -ECANCELED && f.n) {
		int ended = end_found(s, fd, &f);

		r = r ? r : ended;
	}
	free(f.v);
	return r;
}

int sockets_can_end(int protocol)
{
	/* Nobody's: from port 0 to port 0. */
	struct inet_diag_req_v2 nobody = { .sdiag_family = AF_INET, .sdiag_protocol = (uint8_t)protocol,
					   .id.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } };
	CLEANUP_CLOSE int fd = diag_open();
	int r = fd < 0 ? fd : end_one(fd, &nobody);

	if (r != -ENOENT)
		return r == -EOPNOTSUPP ? -ENOTSUP : r > 0 ? 0 : r;
	/* The same word for "no such socket" and "no such protocol": a look says which. */
	r = diag_send(fd, &nobody, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP);
	char answer[32768] = "";
	ssize_t n = r < 0 ? 0 : recv(fd, answer, sizeof(answer), 0);

	if (r < 0 || n < (ssize_t)sizeof(struct nlmsghdr))
		return r < 0 ? r : n < 0 ? -errno : -EPIPE;
	r = end_of_dump((const struct nlmsghdr *)answer);
	return r > 0 ? 0 : r;
}

static int sweep_there(void *sweep)
{
	return sweep_here(sweep);
}

static int place_error(int r, struct err *e)
{
	if (r == -EOPNOTSUPP)
		return err_set(e, ENOTSUP, "this kernel cannot end open sockets (CONFIG_INET_DIAG_DESTROY is off); what agents' old ones send "
			       "to LLM endpoints is dropped all the same");
	return err_set(e, r, "open sockets of agents cannot be ended: %s", strerror(-r));
}

static int sweep_all(struct sweep *s, struct err *e)
{
	int result = collect(s);

	/* A namespace that cannot be looked into keeps nobody from the others. */
	for (size_t i = 0; i < s->nplaces && result != -ECANCELED; i++) {
		int r = s->places[i].fd < 0 ? sweep_here(s) : netns_visit(s->places[i].fd, sweep_there, s);

		if (r == -ECANCELED)
			result = r;
		else if (r < 0 && result == 0)
			result = place_error(r, e);
	}
	return result;
}

int sockets_end(struct sockets_job *job, struct err *e)
{
	struct sweep *s = calloc(1, sizeof(*s));
	struct stat own = { 0 };

	if (!s)
		return err_set(e, ENOMEM, "open sockets: out of memory");
	s->job = job;
	s->nplaces = 1;
	(void)stat("/proc/thread-self/ns/net", &own);
	s->places[0] = (struct place){ .dev = own.st_dev, .ino = own.st_ino, .fd = -1 };
	int r = sweep_all(s, e);

	if (r == -ECANCELED)
		(void)err_set(e, ECANCELED, "ending open sockets was stopped");
	for (size_t i = 1; i < s->nplaces; i++)
		(void)close(s->places[i].fd);
	free(s->cgroups.v);
	free(s->inodes.v);
	free(s);
	return r;
}
