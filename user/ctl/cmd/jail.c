// SPDX-License-Identifier: Apache-2.0
/* jail.c: see jail.h. Raw system calls for capabilities: libcap would be one more dependency for a few bits. */
#include "ctl/cmd/jail.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <mntent.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"
#include "ctl/trust.h"
#include "kern/cgroup.h"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

static const struct {
	int bit;
	const char *name; /* without CAP_ */
} dropped[] = {
	{ CAP_NET_RAW, "NET_RAW" },     /* packet sockets: no cgroup hook sees them */
	{ CAP_NET_ADMIN, "NET_ADMIN" }, /* tunnels, XDP, routes */
	{ CAP_BPF, "BPF" },             /* programs of one's own above the gate's */
	{ CAP_PERFMON, "PERFMON" },     /* the same, through tracing */
	{ CAP_SYS_ADMIN, "SYS_ADMIN" }, /* namespaces, mounts, bpf on older kernels */
	{ CAP_SYS_PTRACE, "SYS_PTRACE" }, /* other processes: their memory, descriptors and, at /proc/PID/root, writable cgroup trees */
	{ CAP_SYS_MODULE, "SYS_MODULE" }, /* the kernel itself */
	{ CAP_SYS_RAWIO, "SYS_RAWIO" },   /* its memory */
};
#define DROPPED_COUNT (sizeof(dropped) / sizeof(dropped[0]))

const char *jail_dropped(void)
{
	static char text[256];
	size_t n = 0;

	for (size_t i = 0; i < DROPPED_COUNT; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%sCAP_%s", i ? ", " : "", dropped[i].name);
	return text;
}

int jail_keep_caps(const char *names, uint64_t *ret, struct err *e)
{
	struct str rest = str_of(names);
	uint64_t bits = 0;

	while (rest.n > 0) {
		struct str name = str_cut(&rest, ','), bare = name;
		bool known = false;

		if (name.n > 4 && strncasecmp(name.p, "CAP_", 4) == 0)
			bare = (struct str){ .p = name.p + 4, .n = name.n - 4 };
		for (size_t i = 0; i < DROPPED_COUNT; i++) {
			if (str_eq_nocase(bare, str_of(dropped[i].name))) {
				bits |= UINT64_C(1) << dropped[i].bit;
				known = true;
			}
		}
		if (!known)
			return err_set(e, EINVAL, "--keep-cap: \"%.*s\" is not one of those that are dropped: %s", STR_FMT(name),
				       jail_dropped());
	}
	*ret = bits;
	return 0;
}

static int drop_caps(uint64_t keep, struct err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };
	uint64_t gone = 0;

	for (size_t i = 0; i < DROPPED_COUNT; i++)
		if (!(keep & (UINT64_C(1) << dropped[i].bit)))
			gone |= UINT64_C(1) << dropped[i].bit;
	for (size_t i = 0; i < DROPPED_COUNT; i++) {
		if (!(gone & (UINT64_C(1) << dropped[i].bit)))
			continue;
		(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, dropped[i].bit, 0, 0);
		/* EINVAL: a kernel that does not know it. */
		if (prctl(PR_CAPBSET_READ, dropped[i].bit) == 1 && prctl(PR_CAPBSET_DROP, dropped[i].bit) < 0 && errno != EINVAL)
			return err_set(e, errno, "cannot drop CAP_%s: %s; `purse run` needs root", dropped[i].name, strerror(errno));
	}
	if (syscall(SYS_capget, &head, data) < 0)
		return err_set(e, errno, "capget: %s", strerror(errno));
	for (int w = 0; w < 2; w++) {
		uint32_t mask = ~(uint32_t)(gone >> (32 * w));

		data[w].effective &= mask;
		data[w].permitted &= mask;
		data[w].inheritable &= mask;
	}
	if (syscall(SYS_capset, &head, data) < 0)
		return err_set(e, errno, "capset: %s", strerror(errno));
	return 0;
}

/*
 * A process that can write to cgroup.procs leaves its cgroup, and its budget, behind. So the child sees every cgroup2 mount read-only, in a
 * mount namespace of its own; without CAP_SYS_ADMIN it cannot change that. Who keeps the capability keeps the choice. Other processes have other
 * views of it (/proc/PID/root): without CAP_SYS_PTRACE those of a process that has a capability which it has not are closed, and that is every
 * process of root which has not given away its own.
 */
static int close_cgroupfs(uint64_t keep, struct err *e)
{
	struct mntent *m;
	FILE *mounts;
	int r = 0;

	if (keep & (UINT64_C(1) << CAP_SYS_ADMIN))
		return 0;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_set(e, errno, "cannot make a mount namespace: %s; `purse run` needs root", strerror(errno));
	mounts = setmntent("/proc/self/mounts", "re");
	if (!mounts)
		return err_set(e, errno, "/proc/self/mounts: %s", strerror(errno));
	while (r == 0 && (m = getmntent(mounts)))
		if (strcmp(m->mnt_type, "cgroup2") == 0 &&
		    mount(NULL, m->mnt_dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
			r = err_set(e, errno, "cannot make %s read-only: %s", m->mnt_dir, strerror(errno));
	(void)endmntent(mounts);
	return r;
}

bool jail_is_root(const struct jail *j)
{
	const struct passwd *p = j->user ? getpwnam(j->user) : NULL;

	return j->user ? p && p->pw_uid == 0 : geteuid() == 0;
}

static int become(const char *name, struct err *e)
{
	struct passwd *p = getpwnam(name);

	if (!p)
		return err_set(e, ENOENT, "--user: \"%s\" is not a user of this machine", name);
	if (initgroups(p->pw_name, p->pw_gid) < 0 || setresgid(p->pw_gid, p->pw_gid, p->pw_gid) < 0 ||
	    setresuid(p->pw_uid, p->pw_uid, p->pw_uid) < 0)
		return err_set(e, errno, "--user: cannot become \"%s\": %s", name, strerror(errno));
	if (setenv("HOME", p->pw_dir, 1) < 0 || setenv("USER", name, 1) < 0 || setenv("LOGNAME", name, 1) < 0)
		return err_set(e, errno, "setenv: %s", strerror(errno));
	return 0;
}

static int set_trust(const char *dir, struct err *e)
{
	char root[1200], bundle[1200];

	(void)snprintf(root, sizeof(root), "%s/" TRUST_ROOT, dir);
	(void)snprintf(bundle, sizeof(bundle), "%s/" TRUST_BUNDLE, dir);
	for (size_t i = 0; trust_var_at(i); i++)
		if (setenv(trust_var_at(i)->name, trust_var_at(i)->root_alone ? root : bundle, 1) < 0)
			return err_set(e, errno, "setenv: %s", strerror(errno));
	return 0;
}

int jail_enter(const struct jail *j, struct err *e)
{
	int r = cgroup_enter(j->cgroup_dir, 0, e);

	if (r == 0 && close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		r = err_set(e, errno, "close_range: %s", strerror(errno));
	if (r == 0)
		r = close_cgroupfs(j->keep_caps, e);
	/* Groups and user need capabilities that stay; the bounding set needs them before the user is gone. */
	if (r == 0)
		r = drop_caps(j->keep_caps, e);
	if (r == 0 && j->user)
		r = become(j->user, e);
	if (r == 0)
		r = set_trust(j->trust_dir, e);
	return r;
}
