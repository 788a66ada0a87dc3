// SPDX-License-Identifier: Apache-2.0
/* mountinfo of several kinds of machine, paths that are refused, and, as root, groups made, entered and removed for real. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kern/cgroup.h"

static bool accept_all(const char *dir)
{
	return true;
}

static bool accept_none(const char *dir)
{
	return false;
}

static bool accept_unified(const char *dir)
{
	return strcmp(dir, "/sys/fs/cgroup/unified") == 0;
}

#define PURE "25 30 0:23 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define HYBRID \
	"31 30 0:27 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n" \
	"33 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n" \
	"32 31 0:28 / /sys/fs/cgroup/unified rw,nosuid shared:10 master:3 - cgroup2 none rw\n"
#define NESTED "40 30 0:23 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n"

static void mounts(void **unused)
{
	static const struct {
		const char *name, *text;
		bool (*accept)(const char *dir);
		const char *expected; /* NULL: -ENOENT */
		const char *advice;
	} cases[] = {
		{ "pure", PURE, accept_all, "/sys/fs/cgroup", NULL },
		{ "hybrid", HYBRID, accept_all, "/sys/fs/cgroup/unified", NULL },
		{ "part of the tree, then all of it", NESTED HYBRID, accept_all, "/sys/fs/cgroup/unified", NULL },
		{ "first one lies", PURE HYBRID, accept_unified, "/sys/fs/cgroup/unified", NULL },
		{ "no optional fields", "25 30 0:23 / /cg rw - cgroup2 none rw\n", accept_all, "/cg", NULL },
		{ "blank in the name", "25 30 0:23 / /my\\040cg rw - cgroup2 none rw\n", accept_all, "/my cg", NULL },
		{ "backslash in the name", "25 30 0:23 / /a\\134040 rw - cgroup2 none rw\n", accept_all, "/a\\040", NULL },
		{ "no newline at the end", "25 30 0:23 / /cg rw - cgroup2 none rw", accept_all, "/cg", NULL },
		{ "v1 only", "33 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", accept_all, NULL, "mount -t cgroup2" },
		{ "part of the tree", NESTED, accept_all, NULL, "no cgroup2 file system" },
		{ "namespace", PURE, accept_none, NULL, "cgroup namespace" },
		{ "name says cgroup2, type does not", "25 30 0:23 / /cgroup2 rw - ext4 cgroup2 rw\n", accept_all, NULL, "" },
		{ "cut short", "25 30 0:23 / - cgroup2 none rw\n", accept_all, NULL, "" },
		{ "no separator", "25 30 0:23 / /cg rw cgroup2 none rw\n", accept_all, NULL, "" },
		{ "empty", "", accept_all, NULL, "" },
		{ "type cut short", "25 30 0:23 / /cg rw - cgroup2", accept_all, NULL, "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char path[] = "/tmp/purse-mountinfo-XXXXXX";
		char dir[PATH_MAX] = "untouched";
		struct err e = { "" };
		int fd = mkstemp(path);
		int ret;

		assert_true(fd >= 0);
		assert_int_equal(write(fd, cases[i].text, strlen(cases[i].text)), strlen(cases[i].text));
		(void)close(fd);
		ret = cgroup_mount_in(path, cases[i].accept, dir, sizeof(dir), &e);
		(void)unlink(path);
		if (ret != (cases[i].expected ? 0 : -ENOENT))
			fail_msg("%s: %d (%s)", cases[i].name, ret, e.text);
		assert_string_equal(dir, cases[i].expected ? cases[i].expected : "untouched");
		if (cases[i].advice && !strstr(e.text, cases[i].advice))
			fail_msg("%s: text \"%s\" without \"%s\"", cases[i].name, e.text, cases[i].advice);
	}
}

static void mount_point_that_does_not_fit(void **unused)
{
	char path[] = "/tmp/purse-mountinfo-XXXXXX";
	int fd = mkstemp(path);
	char dir[8];

	assert_true(fd >= 0);
	assert_int_equal(write(fd, PURE, strlen(PURE)), strlen(PURE));
	(void)close(fd);
	assert_int_equal(cgroup_mount_in(path, accept_all, dir, sizeof(dir), NULL), -ENAMETOOLONG);
	assert_int_equal(cgroup_mount_in("/nowhere/mountinfo", accept_all, dir, sizeof(dir), NULL), -ENOENT);
	(void)unlink(path);
}

static void refused_paths(void **unused)
{
	static const struct {
		const char *dir;
		int expected;
	} cases[] = {
		{ "relative/path", -EINVAL },	   { "", -EINVAL },
		{ "/sys/fs/cgroup/../../tmp/x", -EINVAL }, { "/..", -EINVAL },
		{ "/sys/..", -EINVAL },		   { "/tmp/purse-no-cgroup", -ENOTSUP },
		{ "/tmp", -ENOTSUP },		   { "/", -ENOTSUP },
	};
	uint64_t id = 7;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = { "" };
		int ret = cgroup_make(cases[i].dir, &e);

		if (ret != cases[i].expected || !e.text[0])
			fail_msg("\"%s\": %d (%s)", cases[i].dir, ret, e.text);
	}
	assert_int_equal(access("/tmp/purse-no-cgroup", F_OK), -1);
	assert_int_equal(cgroup_id("/tmp", &id, NULL), -ENOTSUP);
	assert_int_equal(cgroup_id("/nowhere", &id, NULL), -ENOENT);
	assert_int_equal(id, 7);
	assert_true(cgroup_remove("/tmp") < 0);
	assert_int_equal(access("/tmp", F_OK), 0);
	assert_true(cgroup_remove("/nowhere") < 0);
}

static void real_groups(void **unused)
{
	char root[PATH_MAX], top[PATH_MAX + 64], deep[PATH_MAX + 128], of[PATH_MAX], name[64];
	struct err e = { "" };
	uint64_t id;
	int status;
	pid_t pid;

	if (geteuid() != 0 || cgroup_mount(root, sizeof(root), &e) < 0) {
		print_message("skipped: needs root and cgroup v2 (%s)\n", e.text);
		skip();
	}
	(void)snprintf(name, sizeof(name), "purse-unit-%d", (int)getpid());
	(void)snprintf(top, sizeof(top), "%s/%s", root, name);
	(void)snprintf(deep, sizeof(deep), "%s/a..b/c", top);
	assert_int_equal(cgroup_make(deep, &e), 0);
	assert_int_equal(cgroup_make(deep, &e), 0);
	assert_int_equal(cgroup_id(deep, &id, &e), 0);
	assert_true(id > 1);
	assert_int_equal(cgroup_id(root, &id, &e), 0);
	assert_int_equal(id, 1);

	pid = fork();
	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	assert_int_equal(cgroup_enter(deep, pid, &e), 0);
	assert_int_equal(cgroup_of(pid, of, sizeof(of), &e), 0);
	assert_string_equal(of, deep + strlen(root));
	assert_int_equal(cgroup_of(pid, of, 4, &e), -ENAMETOOLONG);
	assert_int_equal(cgroup_remove(top), -EBUSY);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	assert_int_equal(cgroup_of(pid, of, sizeof(of), &e), -ENOENT);
	assert_int_equal(cgroup_remove(top), 0);
	assert_int_equal(access(top, F_OK), -1);
	assert_true(cgroup_enter(top, 0, &e) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mounts),
		cmocka_unit_test(mount_point_that_does_not_fit),
		cmocka_unit_test(refused_paths),
		cmocka_unit_test(real_groups),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
