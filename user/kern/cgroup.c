// SPDX-License-Identifier: Apache-2.0
/*
 * cgroup.c: the cgroup v2 tree through its file system. It makes, finds and
 * enters groups; limits and controllers are nobody's business here.
 */
#include "kern/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "base/cleanup.h"

#define ROOT_INODE 1 /* kernfs numbers the root of a hierarchy 1, whatever namespace looks at it */
#define DEPTH_MAX 64

static void close_file(FILE **f)
{
	if (*f)
		(void)fclose(*f);
}
#define CLEANUP_FILE __attribute__((cleanup(close_file)))

/* mountinfo writes blank, tab, newline and backslash as \ooo. In place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
		    s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

/* One line of proc(5) mountinfo. True: a cgroup2 mount that shows "/"; the place is copied. */
static bool line_is_cgroup2_root(char *line, char *ret, size_t size)
{
	enum { FIELD_ROOT = 3, FIELD_PLACE = 4 };
	char *fields[FIELD_PLACE + 1] = { NULL };
	char *rest = line;
	char *type = strstr(line, " - ");

	if (!type)
		return false;
	*type = '\0';
	type += 3;
	for (int i = 0; i <= FIELD_PLACE; i++) {
		fields[i] = strsep(&rest, " ");
		if (!fields[i])
			return false;
	}
	if (strncmp(type, "cgroup2 ", 8) != 0 || strcmp(fields[FIELD_ROOT], "/") != 0)
		return false;
	unescape(fields[FIELD_PLACE]);
	return (size_t)snprintf(ret, size, "%s", fields[FIELD_PLACE]) < size;
}

int cgroup_mount_in(const char *mountinfo, bool (*accept)(const char *dir), char *ret, size_t size, struct err *e)
{
	CLEANUP_FILE FILE *f = fopen(mountinfo, "re");
	CLEANUP_FREE char *line = NULL;
	char dir[PATH_MAX];
	size_t cap = 0;
	bool seen = false;

	if (!f)
		return err_set(e, errno, "cgroup: cannot read %s: %s", mountinfo, strerror(errno));
	while (getline(&line, &cap, f) > 0) {
		if (!line_is_cgroup2_root(line, dir, sizeof(dir)))
			continue;
		seen = true;
		if (!accept(dir))
			continue;
		if ((size_t)snprintf(ret, size, "%s", dir) >= size)
			return err_set(e, ENAMETOOLONG, "cgroup: the mount point %s is longer than %zu bytes", dir, size);
		return 0;
	}
	if (seen)
		return err_set(e, ENOENT,
			       "cgroup: the cgroup2 mount in %s shows only a part of the tree (a cgroup namespace); run with the "
			       "host's cgroup namespace and /sys/fs/cgroup, or name the folder with cgroup_root",
			       mountinfo);
	return err_set(e, ENOENT,
		       "cgroup: no cgroup2 file system in %s; mount one, e.g. mount -t cgroup2 none /sys/fs/cgroup/unified",
		       mountinfo);
}

static bool is_true_root(const char *dir)
{
	struct stat st;

	return stat(dir, &st) == 0 && st.st_ino == ROOT_INODE;
}

int cgroup_mount(char *ret, size_t size, struct err *e)
{
	return cgroup_mount_in("/proc/self/mountinfo", is_true_root, ret, size, e);
}

static bool is_cgroup2(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

int cgroup_id(const char *dir, uint64_t *ret, struct err *e)
{
	CLEANUP_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return err_set(e, errno, "cgroup %s: cannot open: %s", dir, strerror(errno));
	if (!is_cgroup2(fd))
		return err_set(e, ENOTSUP, "cgroup %s: not on a cgroup2 file system; name a folder below the cgroup2 mount", dir);
	if (fstat(fd, &st) < 0)
		return err_set(e, errno, "cgroup %s: cannot stat: %s", dir, strerror(errno));
	*ret = st.st_ino;
	return 0;
}

#define FILEID_KERNFS 0xfe /* <linux/exportfs.h> is not for user space; a handle of this type is an id, since 5.5 */

int cgroup_open(int mount_fd, uint64_t id)
{
	union {
		struct file_handle head;
		char room[sizeof(struct file_handle) + sizeof(id)];
	} h = { .head = { .handle_bytes = sizeof(id), .handle_type = FILEID_KERNFS } };
	int fd;

	memcpy(h.head.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(mount_fd, &h.head, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool has_dotdot(const char *path)
{
	for (const char *p = strstr(path, ".."); p; p = strstr(p + 1, ".."))
		if ((p == path || p[-1] == '/') && (p[2] == '/' || p[2] == '\0'))
			return true;
	return false;
}

int cgroup_make(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	int depth = 0;

	if (dir[0] != '/' || has_dotdot(dir))
		return err_set(e, EINVAL, "cgroup \"%s\": not an absolute path without \"..\"", dir);
	if ((size_t)snprintf(path, sizeof(path), "%s", dir) >= sizeof(path))
		return err_set(e, ENAMETOOLONG, "cgroup: a path of %zu bytes is too long", strlen(dir));
	/* Every folder that is missing must be missing on cgroup2: never make one anywhere else. */
	for (char *p = path + 1;; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		char end = *p;

		*p = '\0';
		if (access(path, F_OK) < 0) {
			char *slash = strrchr(path, '/');

			*slash = '\0';
			CLEANUP_CLOSE int parent = open(slash == path ? "/" : path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			*slash = '/';
			if (parent < 0)
				return err_set(e, errno, "cgroup %s: cannot open the folder above: %s", path, strerror(errno));
			if (!is_cgroup2(parent))
				return err_set(e, ENOTSUP, "cgroup %s: the folder above is not on a cgroup2 file system", path);
			if (mkdirat(parent, slash + 1, 0755) < 0 && errno != EEXIST)
				return err_set(e, errno, "cgroup %s: cannot make: %s", path, strerror(errno));
		}
		*p = end;
		if (end == '\0')
			break;
		if (++depth > DEPTH_MAX)
			return err_set(e, EINVAL, "cgroup %s: more than %d levels", dir, DEPTH_MAX);
	}
	uint64_t id;

	return cgroup_id(dir, &id, e);
}

static int remove_at(int parent, const char *name, int depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	DIR *d;
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (!is_cgroup2(fd) || depth > DEPTH_MAX) {
		(void)close(fd);
		return -EINVAL;
	}
	d = fdopendir(fd);
	if (!d) {
		ret = -errno;
		(void)close(fd);
		return ret;
	}
	while (ret == 0 && (entry = readdir(d)) != NULL) {
		if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		ret = remove_at(dirfd(d), entry->d_name, depth + 1);
		if (ret == -ENOENT)
			ret = 0;
	}
	(void)closedir(d);
	if (ret == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0)
		ret = -errno;
	return ret;
}

int cgroup_remove(const char *dir)
{
	return remove_at(AT_FDCWD, dir, 0);
}

int cgroup_enter(const char *dir, int pid, struct err *e)
{
	char path[PATH_MAX];
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", pid ? pid : (int)getpid());

	if ((size_t)snprintf(path, sizeof(path), "%s/cgroup.procs", dir) >= sizeof(path))
		return err_set(e, ENAMETOOLONG, "cgroup: a path of %zu bytes is too long", strlen(dir));
	CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, errno, "cgroup %s: cannot open cgroup.procs: %s", dir, strerror(errno));
	if (write(fd, text, (size_t)n) != n)
		return err_set(e, errno, "cgroup %s: cannot move process %s into it: %s", dir, text, strerror(errno));
	return 0;
}

int cgroup_of(int pid, char *ret, size_t size, struct err *e)
{
	CLEANUP_FREE char *line = NULL;
	char path[64];
	size_t cap = 0;

	if (pid)
		(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	else
		(void)snprintf(path, sizeof(path), "/proc/self/cgroup");
	CLEANUP_FILE FILE *f = fopen(path, "re");

	if (!f)
		return err_set(e, errno, "cgroup: cannot read %s: %s", path, strerror(errno));
	while (getline(&line, &cap, f) > 0) {
		if (strncmp(line, "0::", 3) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		if ((size_t)snprintf(ret, size, "%s", line + 3) >= size)
			return err_set(e, ENAMETOOLONG, "cgroup: the path in %s is longer than %zu bytes", path, size);
		return 0;
	}
	return err_set(e, ENOENT, "cgroup: %s has no \"0::\" line; the process is in no cgroup v2", path);
}
