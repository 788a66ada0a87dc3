// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_mounts.c: bytes as /proc/self/mountinfo. First byte: the room for the answer. Checked besides memory: the place ends
 * in its array and is the one that was accepted.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kern/cgroup.h"

const struct str fuzz_seeds[] = {
	FUZZ_SEED("\xff" "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"),
	FUZZ_SEED("\xff" "30 23 0:26 /a /x rw - cgroup2 none rw\n31 23 0:27 / /sys/fs/c\\040g\\134 rw shared:1 master:2 - cgroup2 none rw\n"),
	FUZZ_SEED("\5" "1 1 0:1 / /\\777\\08 - cgroup2\n"),
	FUZZ_SEEDS_END,
};

static char accepted[4096];

static bool accept_odd(const char *dir)
{
	if (strlen(dir) % 2 == 0 || strlen(dir) >= sizeof(accepted))
		return false;
	(void)snprintf(accepted, sizeof(accepted), "%s", dir);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	char path[64], *ret;
	size_t room;

	if (size < 1 || data[0] == 0)
		return 0;
	if (fd < 0)
		fd = memfd_create("mountinfo", MFD_CLOEXEC);
	MUST(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data + 1, size - 1, 0) == (ssize_t)size - 1);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	room = data[0];
	ret = malloc(room);
	MUST(ret);
	if (cgroup_mount_in(path, accept_odd, ret, room, NULL) == 0)
		MUST(memchr(ret, '\0', room) && strcmp(ret, accepted) == 0);
	free(ret);
	return 0;
}
