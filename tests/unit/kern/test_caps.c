// SPDX-License-Identifier: Apache-2.0
/* test_caps.c: what a thread holds, which ways that opens, which mounts let it leave, and a look at a process of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kern/caps.h"
#include "kern/cgroup.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define W(w) (1u << (w))
#define ROOT_WAYS (W(CAPS_PACKET) | W(CAPS_TUNNEL) | W(CAPS_BPF) | W(CAPS_ADMIN) | W(CAPS_PTRACE) | W(CAPS_KERNEL))
#define FULL "000001ffffffffff"
#define NONE "0000000000000000"

/* The lines of status that count, between others that do not. */
#define STATUS(uid, prm, eff, bnd, nnp) \
	"Name:\tCapEff: 1ff\nUmask:\t0022\nState:\tS (sleeping)\nUid:\t" uid "\nGid:\t0\t0\t0\t0\nCapInh:\t" FULL "\nCapPrm:\t" prm "\nCapEff:\t" eff \
	"\nCapBnd:\t" bnd "\nCapAmb:\t" NONE "\nNoNewPrivs:\t" nnp "\nSeccomp:\t0\n"

static void ways_follow_from_status(void **state)
{
	static const struct {
		const char *status;
		bool has_lsm;
		uint32_t ways;
	} cases[] = {
		{ STATUS("0\t0\t0\t0", FULL, FULL, FULL, "0"), false, ROOT_WAYS },
		{ STATUS("0\t0\t0\t0", FULL, FULL, FULL, "0"), true, ROOT_WAYS & ~W(CAPS_PACKET) },
		/* Dropped for now, back after an exec: by root only, and not with no_new_privs. */
		{ STATUS("0\t0\t0\t0", NONE, NONE, FULL, "0"), false, ROOT_WAYS },
		{ STATUS("1000\t0\t1000\t1000", NONE, NONE, FULL, "0"), false, ROOT_WAYS },
		{ STATUS("0\t1000\t0\t0", NONE, NONE, FULL, "0"), false, 0 },
		{ STATUS("0\t0\t0\t0", NONE, NONE, FULL, "1"), false, 0 },
		{ STATUS("1000\t1000\t1000\t1000", NONE, NONE, FULL, "0"), false, 0 },
		/* Permitted is as good as effective. */
		{ STATUS("1000\t1000\t1000\t1000", "0000000000002000", NONE, NONE, "0"), false, W(CAPS_PACKET) },
		{ STATUS("1000\t1000\t1000\t1000", "0000000000001000", "0000000000001000", NONE, "1"), false, W(CAPS_TUNNEL) },
		{ STATUS("1\t1\t1\t1", "0000008000000000", NONE, NONE, "0"), false, W(CAPS_BPF) },
		{ STATUS("1\t1\t1\t1", "0000000000200000", NONE, NONE, "0"), false, W(CAPS_ADMIN) },
		{ STATUS("1\t1\t1\t1", "0000000000080000", NONE, NONE, "0"), false, W(CAPS_PTRACE) },
		{ STATUS("1\t1\t1\t1", "0000000000010000", NONE, NONE, "0"), false, W(CAPS_KERNEL) },
		{ STATUS("1\t1\t1\t1", "0000000000020000", NONE, NONE, "0"), false, W(CAPS_KERNEL) },
		/* What `purse run` leaves to root, and what Docker gives. */
		{ STATUS("0\t0\t0\t0", "0000013ffed4cfff", "0000013ffed4cfff", "0000013ffed4cfff", "0"), false, 0 },
		{ STATUS("0\t0\t0\t0", "00000000a80425fb", "00000000a80425fb", "00000000a80425fb", "0"), false, W(CAPS_PACKET) },
		{ "", false, 0 },
		{ "CapEff:\tzz\nUid:\t-\nCapEff:\n", false, 0 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct caps_thread t = { .uid = 1 };
		char *copy = strdup(cases[i].status), *rest = copy;

		for (char *line; (line = strsep(&rest, "\n"));)
			caps_take_line(&t, line);
		uint32_t ways = caps_ways_of(&t, cases[i].has_lsm);

		free(copy);
		if (ways != cases[i].ways)
			fail_msg("case %zu: %#x, wanted %#x", i, ways, cases[i].ways);
	}
}

static void each_way_has_its_words(void **state)
{
	for (int w = 0; w < CAPS_WAY_COUNT; w++) {
		const struct caps_way_row *row = caps_way((enum caps_way)w);

		assert_int_equal(strncmp(row->word, "open-", 5), 0);
		assert_true(row->needs[0] && row->text[0]);
		assert_true(!row->any_of == (w == CAPS_CGROUP));
		for (int other = 0; other < w; other++)
			assert_string_not_equal(row->word, caps_way((enum caps_way)other)->word);
	}
}

static void mounts_that_show_more(void **state)
{
	static const struct {
		const char *line;
		bool shows;
	} cases[] = {
		{ "30 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n", true },
		{ "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", true },
		{ "30 24 0:26 / /sys/fs/cgroup rw,relatime shared:4 master:1 propagate_from:2 - cgroup2 none ro\n", true },
		{ "30 24 0:26 / /sys/fs/cgroup ro,nosuid shared:4 - cgroup2 cgroup2 rw\n", false },
		{ "30 24 0:26 / /sys/fs/cgroup rwx - cgroup2 cgroup2 rw\n", false },
		{ "30 24 0:26 / /sys/fs/cgroup rw - cgroup cgroup rw\n", false },
		{ "30 24 0:26 / / rw - ext4 /dev/vda rw\n", false },
		/* A container's own part of the tree. */
		{ "30 24 0:26 /purse/bot /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", false },
		{ "30 24 0:26 /purse/bot/a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", false },
		{ "30 24 0:26 /purse /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", true },
		{ "30 24 0:26 /purse/bots /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", true },
		{ "30 24 0:26 /.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", true },
		{ " - cgroup2 ", false },
		{ "", false },
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		if (caps_line_shows_more(cases[i].line, "/purse/bot") != cases[i].shows)
			fail_msg("%s", cases[i].line);
}

/* A child in a cgroup of its own, with one capability in one of its processes; needs root. */
static void a_live_one_is_seen(void **state)
{
	static const _Atomic bool go_on = false, stop = true;
	char mount[256], dir[400];
	struct err e = { "" };
	int tube[2];
	char c;

	if (geteuid() != 0 || cgroup_mount(mount, sizeof(mount), &e) < 0) {
		(void)printf("needs root and a cgroup2 mount\n");
		skip();
	}
	(void)snprintf(dir, sizeof(dir), "%s/purse-test-caps-%d/in", mount, (int)getpid());
	if (cgroup_make(dir, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(pipe2(tube, O_CLOEXEC), 0);
	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)prctl(PR_SET_NAME, "holder");
		if (cgroup_enter(dir, 0, NULL) < 0 || write(tube[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(tube[0], &c, 1), 1);
	/* The agent is the folder above: those below it are looked at, too. */
	*strrchr(dir, '/') = '\0';
	struct caps_agent a = { .dir = dir, .cgroup = dir + strlen(mount) }, none = a;

	caps_look(&a, true, &go_on);
	caps_look(&none, true, &stop);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	for (int i = 0; i < 100 && cgroup_remove(dir) < 0; i++)
		(void)usleep(10000);
	assert_int_equal(a.ways & ~W(CAPS_CGROUP), ROOT_WAYS & ~W(CAPS_PACKET));
	assert_int_equal(a.by[CAPS_TUNNEL].pid, pid);
	assert_string_equal(a.by[CAPS_TUNNEL].comm, "holder");
	assert_int_equal(none.ways, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ways_follow_from_status),
		cmocka_unit_test(each_way_has_its_words),
		cmocka_unit_test(mounts_that_show_more),
		cmocka_unit_test(a_live_one_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
