// SPDX-License-Identifier: Apache-2.0
/* cgroup.h: the cgroup v2 tree: where it is mounted (also hybrid), ids, making and entering. */
#ifndef PURSE_KERN_CGROUP_H
#define PURSE_KERN_CGROUP_H

#include "base/err.h"
#include "terms.h"

/* The first cgroup2 mount in /proc/self/mountinfo that shows the root of the hierarchy. -ENOENT with advice. */
int cgroup_mount(char *ret, size_t size, struct err *e);
/* The same over any file of that form; accept() says whether a mount that claims to show the root really does. For tests. */
int cgroup_mount_in(const char *mountinfo, bool (*accept)(const char *dir), char *ret, size_t size, struct err *e);
/* Directory -> id (inode number). -ENOTSUP: not cgroup2. */
int cgroup_id(const char *dir, uint64_t *ret, struct err *e);
/* The other way: the directory of an id, wherever it is below the mount that mount_fd is a folder of. Negative errno: -ESTALE it is gone. */
int cgroup_open(int mount_fd, uint64_t id);
/* mkdir -p below the mount; a path with ".." or not absolute is -EINVAL. */
int cgroup_make(const char *dir, struct err *e);
int cgroup_remove(const char *dir); /* rmdir, children first; -EBUSY with processes inside */
int cgroup_enter(const char *dir, int pid /* 0 = self */, struct err *e);
/* The cgroup v2 path of a process, "/a/b" ("0::" line of /proc/PID/cgroup). */
int cgroup_of(int pid, char *ret, size_t size, struct err *e);

#endif
