// SPDX-License-Identifier: Apache-2.0
/* caps.c: see caps.h. Reads /proc and cgroup.procs, decides by a table. */
#include "kern/caps.h"

#include <dirent.h>
#include <fcntl.h>
#include <fts.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef CAP_BPF
#define CAP_BPF 39
#endif
#define BIT(n) (UINT64_C(1) << (n))
#define THREADS_MAX 256 /* of one process */

#define WITH(needs, what) needs, "way open with " needs ": " what
static const struct caps_way_row rows[CAPS_WAY_COUNT] = {
	[CAPS_PACKET] = { "open-packet", WITH("CAP_NET_RAW", "packet sockets, which no hook of this kernel sees (no lsm_cgroup)"), BIT(CAP_NET_RAW) },
	[CAPS_TUNNEL] = { "open-tunnel", WITH("CAP_NET_ADMIN", "TUN, tunnels, XDP, tc, address translation: packets past the sockets that the gate sees"),
			  BIT(CAP_NET_ADMIN) },
	[CAPS_BPF] = { "open-bpf", WITH("CAP_BPF", "BPF programs of its own, and for root the gate's pinned maps"), BIT(CAP_BPF) },
	[CAPS_ADMIN] = { "open-admin", WITH("CAP_SYS_ADMIN", "mounting the cgroup tree and leaving its cgroup, other namespaces, taking the gate off"),
			 BIT(CAP_SYS_ADMIN) },
	[CAPS_PTRACE] = { "open-ptrace", WITH("CAP_SYS_PTRACE", "acting through processes outside (ptrace, /proc/PID/root, pidfd_getfd)"),
			  BIT(CAP_SYS_PTRACE) },
	[CAPS_KERNEL] = { "open-kernel", WITH("CAP_SYS_MODULE or CAP_SYS_RAWIO", "changing the kernel"), BIT(CAP_SYS_MODULE) | BIT(CAP_SYS_RAWIO) },
	[CAPS_CGROUP] = { "open-cgroup", WITH("a cgroup folder above its own that it may write", "moving to another cgroup, where it is no agent"), 0 },
};

const struct caps_way_row *caps_way(enum caps_way w)
{
	return &rows[w];
}

/* ---- one thread */

void caps_take_line(struct caps_thread *t, const char *line)
{
	unsigned long long v;
	unsigned real, effective;

	if (sscanf(line, "Uid: %u %u", &real, &effective) == 2)
		t->uid = effective;
	else if (sscanf(line, "CapPrm: %llx", &v) == 1 || sscanf(line, "CapEff: %llx", &v) == 1)
		t->held |= v;
	else if (sscanf(line, "CapBnd: %llx", &v) == 1)
		t->bounding = v;
	else if (sscanf(line, "NoNewPrivs: %llu", &v) == 1)
		t->no_new_privs = v != 0;
}

/* Root has after its next exec what its bounding set lets it. */
static uint64_t reach(const struct caps_thread *t)
{
	return t->held | (t->uid == 0 && !t->no_new_privs ? t->bounding : 0);
}

uint32_t caps_ways_of(const struct caps_thread *t, bool has_lsm)
{
	uint64_t caps = reach(t);
	uint32_t ways = 0;

	for (int w = 0; w < CAPS_WAY_COUNT; w++)
		if ((caps & rows[w].any_of) && !(w == CAPS_PACKET && has_lsm))
			ways |= 1u << w;
	return ways;
}

static bool is_within(const char *path, const char *cgroup)
{
	size_t n = strlen(cgroup);

	return strncmp(path, cgroup, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

bool caps_line_shows_more(const char *line, const char *cgroup)
{
	const char *type = strstr(line, " - cgroup2 ");
	char root[4096], options[8];

	return type && sscanf(line, "%*s %*s %*s %4095s %*s %7s", root, options) == 2 && strncmp(options, "rw", 2) == 0 &&
	       (options[2] == ',' || options[2] == '\0') && !is_within(root, cgroup);
}

/* ---- an agent */

struct look {
	struct caps_agent *a;
	bool has_lsm;
	const _Atomic bool *stop;
	struct stat own_user_ns;
	ino_t mount_ns; /* the last one whose mounts were read: they show no more than the agent's own */
};

static FILE *open_proc(int pid, int tid, const char *file)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", pid, tid, file);
	return fopen(path, "re");
}

static bool read_thread(int pid, int tid, struct caps_thread *ret)
{
	FILE *f = open_proc(pid, tid, "status");
	CLEANUP_FREE char *line = NULL;
	size_t cap = 0;

	*ret = (struct caps_thread){ .uid = (uid_t)-1 };
	while (f && getline(&line, &cap, f) > 0)
		caps_take_line(ret, line);
	if (f)
		(void)fclose(f);
	return f && ret->uid != (uid_t)-1;
}

static bool is_in_our_user_ns(const struct look *l, int pid, int tid)
{
	struct stat st;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/ns/user", pid, tid);
	/* Cannot be told: in doubt it is said. */
	return stat(path, &st) < 0 || (st.st_ino == l->own_user_ns.st_ino && st.st_dev == l->own_user_ns.st_dev);
}

/* Its mounts, and only once per mount namespace in a row. */
static bool sees_more(struct look *l, int pid, int tid)
{
	CLEANUP_FREE char *line = NULL;
	bool more = false;
	struct stat st;
	char path[64];
	size_t cap = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/ns/mnt", pid, tid);
	if (stat(path, &st) == 0) {
		if (st.st_ino == l->mount_ns)
			return false;
		l->mount_ns = st.st_ino;
	}
	FILE *f = open_proc(pid, tid, "mountinfo");

	while (f && !more && getline(&line, &cap, f) > 0)
		more = caps_line_shows_more(line, l->a->cgroup);
	if (f)
		(void)fclose(f);
	return more;
}

/* To leave, the cgroup.procs of a folder above has to be writable; which one does not matter. */
static bool may_write_above(const struct caps_agent *a, const struct caps_thread *t)
{
	size_t mount = strlen(a->dir) - strlen(a->cgroup);
	char path[4096];
	struct stat st;

	if (reach(t) & BIT(CAP_DAC_OVERRIDE))
		return true;
	(void)snprintf(path, sizeof(path) - 16, "%s", a->dir);
	for (char *slash; (slash = strrchr(path, '/')) && (size_t)(slash - path) >= mount && slash > path;) {
		(void)strcpy(slash, "/cgroup.procs");
		if (stat(path, &st) == 0 && ((st.st_uid == t->uid && (st.st_mode & S_IWUSR)) || (st.st_mode & S_IWOTH)))
			return true;
		*slash = '\0';
	}
	return false;
}

static void take_comm(int pid, char ret[16])
{
	FILE *f = open_proc(pid, pid, "comm");

	ret[0] = '\0';
	if (f && fgets(ret, 16, f))
		ret[strcspn(ret, "\n")] = '\0';
	if (f)
		(void)fclose(f);
}

static void look_at_thread(struct look *l, int pid, int tid)
{
	struct caps_agent *a = l->a;
	struct caps_thread t;

	if (!read_thread(pid, tid, &t) || !is_in_our_user_ns(l, pid, tid))
		return;
	uint32_t found = caps_ways_of(&t, l->has_lsm);

	if (!(a->ways & (1u << CAPS_CGROUP)) && may_write_above(a, &t) && sees_more(l, pid, tid))
		found |= 1u << CAPS_CGROUP;
	for (int w = 0; w < CAPS_WAY_COUNT; w++)
		if ((found & ~a->ways) & (1u << w)) {
			a->by[w].pid = pid;
			take_comm(pid, a->by[w].comm);
		}
	a->ways |= found;
}

static void look_at_process(struct look *l, int pid)
{
	char path[64];
	struct dirent *entry;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	for (int n = 0; d && n < THREADS_MAX + 2 && !*l->stop && (entry = readdir(d)); n++)
		if (entry->d_name[0] != '.')
			look_at_thread(l, pid, atoi(entry->d_name));
	if (d)
		(void)closedir(d);
}

/* false: a threaded cgroup, which has no list of processes. */
static bool look_at_list(struct look *l, const char *dir, const char *name)
{
	char path[4200], line[32];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "re");

	if (!f)
		return true;
	while (!*l->stop && fgets(line, sizeof(line), f))
		look_at_process(l, atoi(line));
	bool is_read = !ferror(f);

	(void)fclose(f);
	return is_read;
}

void caps_look(struct caps_agent *a, bool has_lsm, const _Atomic bool *stop)
{
	struct look l = { .a = a, .has_lsm = has_lsm, .stop = stop };
	char *roots[] = { (char *)a->dir, NULL };

	a->ways = 0;
	if (stat("/proc/self/ns/user", &l.own_user_ns) < 0)
		return;
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);

	for (FTSENT *at; tree && !*stop && (at = fts_read(tree));)
		if (at->fts_info == FTS_D && !look_at_list(&l, at->fts_path, "cgroup.procs"))
			(void)look_at_list(&l, at->fts_path, "cgroup.threads");
	if (tree)
		(void)fts_close(tree);
}
