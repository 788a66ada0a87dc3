// SPDX-License-Identifier: Apache-2.0
/* process.c: see process.h. */
#include "ctl/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "ctl_abi.h"
#include "kern/cgroup.h"

int process_harden(struct err *e)
{
	struct rlimit files, none = { 0, 0 };

	(void)umask(077);
	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_set(e, errno, "process: cannot switch off core files: %s", strerror(errno));
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_set(e, errno, "process: getrlimit: %s", strerror(errno));
	files.rlim_cur = files.rlim_max;
	/* Not fatal: fewer connections fit. */
	(void)setrlimit(RLIMIT_NOFILE, &files);
	return 0;
}

static int make_above(const char *path, struct err *e)
{
	char part[PATH_MAX];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		(void)snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (mkdir(part, 0755) == 0)
			(void)chmod(part, 0755);
		else if (errno != EEXIST)
			return err_set(e, errno, "%s: cannot make it: %s", part, strerror(errno));
	}
	return 0;
}

int process_make_dir(const char *path, struct err *e)
{
	struct stat st;
	int r = make_above(path, e);

	if (r < 0)
		return r;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_set(e, errno, "%s: cannot make it: %s", path, strerror(errno));
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, errno, "%s: cannot open it as a folder: %s", path, strerror(errno));
	if (st.st_uid != geteuid())
		return err_set(e, EPERM, "%s: belongs to uid %u, not to us (uid %u); change its owner or choose another folder", path,
			       (unsigned)st.st_uid, (unsigned)geteuid());
	if ((st.st_mode & 077) && fchmod(fd, 0700) < 0)
		return err_set(e, errno, "%s: cannot close it to others: %s", path, strerror(errno));
	return 0;
}

/* ---- the cgroup */

static bool is_ours_alone(const char *dir)
{
	char path[PATH_MAX];
	long pid;
	bool alone = true;

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	FILE *f = fopen(path, "re");

	if (!f)
		return false;
	/* 0: a process that this pid namespace does not show. */
	while (alone && fscanf(f, "%ld", &pid) == 1)
		alone = pid == getpid();
	(void)fclose(f);
	return alone;
}

int process_take_cgroup(char *was, size_t size, uint64_t *ret_id, struct err *e)
{
	char mount[512], path[512], dir[1100];
	int r = cgroup_mount(mount, sizeof(mount), e);

	if (r == 0)
		r = cgroup_of(0, path, sizeof(path), e);
	if (r < 0)
		return r;
	(void)snprintf(dir, sizeof(dir), "%s%s", mount, path);
	was[0] = '\0';
	if (strcmp(path, "/") != 0 && strcmp(path, PURSE_DAEMON_CGROUP) != 0 && is_ours_alone(dir))
		return cgroup_id(dir, ret_id, e);
	(void)snprintf(was, size, "%s", dir);
	(void)snprintf(dir, sizeof(dir), "%s" PURSE_DAEMON_CGROUP, mount);
	r = cgroup_make(dir, e);
	if (r == 0)
		r = cgroup_enter(dir, 0, e);
	return r ? r : cgroup_id(dir, ret_id, e);
}

int process_join_cgroup(pid_t pid, char *was, size_t size, uint64_t *ret_id, struct err *e)
{
	char mount[512], path[512], own[512], dir[1100];
	int r = cgroup_mount(mount, sizeof(mount), e);

	if (r == 0)
		r = cgroup_of(pid, path, sizeof(path), e);
	if (r == 0)
		r = cgroup_of(0, own, sizeof(own), e);
	if (r < 0)
		return r;
	was[0] = '\0';
	(void)snprintf(dir, sizeof(dir), "%s%s", mount, path);
	/* A service manager's stays where it is; ours goes with the last of us. */
	if (strcmp(path, PURSE_DAEMON_CGROUP) == 0)
		(void)snprintf(was, size, "%s%s", mount, strcmp(own, path) == 0 ? "" : own);
	if (strcmp(own, path) != 0)
		r = cgroup_enter(dir, 0, e);
	return r ? r : cgroup_id(dir, ret_id, e);
}

void process_tell_manager(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const char *where = getenv("NOTIFY_SOCKET");
	size_t n = where ? strlen(where) : 0;
	char text[64];

	if (n < 2 || n >= sizeof(un.sun_path))
		return;
	memcpy(un.sun_path, where, n);
	if (un.sun_path[0] == '@')
		un.sun_path[0] = '\0';
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int len = snprintf(text, sizeof(text), "READY=1\nMAINPID=%d", (int)getpid());

	if (fd < 0 || sendto(fd, text, (size_t)len, MSG_NOSIGNAL, (struct sockaddr *)&un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		log_warn("daemon", "the service manager cannot be told that we are ready: %s", strerror(errno));
}

void process_leave_cgroup(const char *was)
{
	char mount[512], dir[1100];

	if (!was[0] || cgroup_mount(mount, sizeof(mount), NULL) < 0)
		return;
	(void)snprintf(dir, sizeof(dir), "%s" PURSE_DAEMON_CGROUP, mount);
	/* Busy while another daemon is in it. */
	if (cgroup_enter(was, 0, NULL) == 0)
		(void)cgroup_remove(dir);
}
