// SPDX-License-Identifier: Apache-2.0
/*
 * What gate_verify has to see and gate_repair has to put back, beyond links and programs (test_gate_pins.c): pins that are another's,
 * words and rows that somebody wrote over, an agent where our programs are not in effect. And what a look costs.
 */
#include "acts.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/resource.h>
#include <time.h>

static void pin_path(const char *kind, const char *name, char ret[256])
{
	(void)snprintf(ret, 256, "%s/%s/%s", rig.pin_dir, kind, name);
}

static void expect_seen_and_repaired(const char *words)
{
	struct err e = { "" };

	assert_int_equal(gate_verify(rig.g, &e), -ENOLINK);
	if (!strstr(e.text, words))
		fail_msg("\"%s\" does not say %s", e.text, words);
	assert_int_equal(gate_repair(rig.g, &e), 0);
	assert_int_equal(gate_verify(rig.g, &e), 0);
}

/* ---- pins */

/* One of the same name, the same layout and more: nobody who looks at the name sees it. */
static void pin_of_another_map(void **unused)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	char path[256];
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "holds", 4, sizeof(struct gate_hold), GATE_HOLDS_MAX, &opts);

	assert_true(fd >= 0);
	assert_int_equal(gate_verify(rig.g, NULL), 0);
	pin_path("maps", "holds", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	(void)close(fd);
	gate_holds(rig.g)[5].call_id = 4711;
	expect_seen_and_repaired("maps/holds is another's");
	close_gate();
	open_gate();
	assert_int_equal(gate_holds(rig.g)[5].call_id, 4711);
}

static void pin_of_another_link(void **unused)
{
	char path[256], other[256];

	pin_path("links", "gate_connect4", path);
	pin_path("links", "gate_connect6", other);
	int fd = bpf_obj_get(other);

	assert_int_equal(gate_verify(rig.g, NULL), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	(void)close(fd);
	expect_seen_and_repaired("links/gate_connect4 is another's");
}

/* rm -r of the folder, and somebody else starts before it is put back: the first says so and leaves it alone. */
static void folder_taken_meanwhile(void **unused)
{
	char command[300], lock[160];
	struct gate_options o = rig.o;
	struct gate *second = NULL;
	struct err e = { "" };

	(void)snprintf(lock, sizeof(lock), "%s.second", rig.lock_path);
	(void)snprintf(command, sizeof(command), "rm -r %s", rig.pin_dir);
	assert_int_equal(system(command), 0);
	o.lock_path = lock;
	assert_int_equal(gate_open(&o, &second, &e), 0);
	assert_int_equal(gate_verify(rig.g, &e), -ENOLINK);
	assert_int_equal(gate_repair(rig.g, &e), -EBUSY);
	assert_int_equal(gate_verify(second, &e), 0);
	gate_close(second);
	(void)unlink(lock);
	assert_int_equal(gate_repair(rig.g, &e), 0);
}

/* ---- words and rows */

static void words_are_put_back(void **unused)
{
	static const uint16_t ports[] = { 443, 8443 };
	struct gate_state *st = gate_state(rig.g);
	const struct {
		const char *name;
		void *word;
		size_t size;
	} words[] = {
		{ "abi_version", &st->abi_version, 4 },	      { "others_deny", &st->others_deny, 4 },
		{ "stale_after_ns", &st->stale_after_ns, 8 }, { "nports", &st->nports, 2 },
		{ "captured port", &st->ports[1], 2 },	      { "daemon_cgroup", &st->daemon_cgroup, 8 },
		{ "netns_cookie", &st->netns_cookie, 8 },     { "port4", &st->port4, 2 },
		{ "port6", &st->port6, 2 },
	};

	gate_set_policy(rig.g, true, ports, 2, 600 * (uint64_t)SECOND_NS);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct gate_state before = *st;

		assert_int_equal(gate_verify(rig.g, NULL), 0);
		memset(words[i].word, 0, words[i].size);
		expect_seen_and_repaired(words[i].name);
		assert_memory_equal(st, &before, sizeof(before));
	}
}

static void row_is_put_back(void **unused)
{
	assert_int_equal(gate_drop_listener(rig.g, rig.netns_cookie), 0);
	assert_int_equal(dial_llm(rig.agent_a), told(EACCES));
	expect_seen_and_repaired("`listeners` is gone");
	assert_int_equal(gate_put_listener(rig.g, rig.netns_cookie, 1, rig.port6), 0);
	expect_seen_and_repaired("says ports 1 and");
	assert_int_equal(dial_llm(rig.agent_a), 0);
}

/* ---- in effect */

/* The links are on one cgroup, an agent lives beside it: nothing else in the kernel is wrong. */
static void agent_outside_is_seen(void **unused)
{
	char narrow[PATH_MAX];
	struct err e = { "" };
	int r = 0;

	close_gate();
	(void)snprintf(narrow, sizeof(narrow), "%s", rig.agent_b);
	rig.o.cgroup_root = narrow;
	open_gate();
	rig_normal();
	rig.o.cgroup_root = rig.root;
	for (int i = 0; r == 0 && i < 4; i++)
		r = gate_verify(rig.g, &e);
	assert_int_equal(r, -EXDEV);
	assert_non_null(strstr(e.text, "agent \"agent-a\""));
	assert_non_null(strstr(e.text, "gate_connect4"));
	/* It stays so, whoever's turn it would be, and no repair is claimed. */
	for (int i = 0; i < 4; i++) {
		assert_int_equal(gate_verify(rig.g, &e), -EXDEV);
		assert_int_equal(gate_repair(rig.g, &e), -EXDEV);
	}
	assert_int_equal(gate_expel(rig.g, rig.id_a), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(gate_verify(rig.g, &e), 0);
}

static void agent_that_is_gone_is_no_fault(void **unused)
{
	char path[PATH_MAX];
	uint64_t id;

	make_group(path, "short-lived", &id);
	enrol(id, "short-lived", ACCOUNT_A, 0);
	assert_int_equal(cgroup_remove(path), 0);
	for (int i = 0; i < 6; i++)
		assert_int_equal(gate_verify(rig.g, NULL), 0);
	assert_int_equal(gate_expel(rig.g, id), 0);
	assert_int_equal(gate_expel(rig.g, rig.id_a), 0);
	assert_int_equal(gate_expel(rig.g, rig.id_b), 0);
	assert_int_equal(gate_verify(rig.g, NULL), 0);
}

/* A daemon that is out of descriptors is not told that its gate is gone; what is really gone it sees. */
static void without_descriptors(void **unused)
{
	struct rlimit was, none;
	char path[256];
	int r[3];

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	r[0] = gate_verify(rig.g, NULL);
	r[1] = gate_verify(rig.g, NULL);
	pin_path("links", "gate_egress", path);
	(void)unlink(path);
	r[2] = gate_verify(rig.g, NULL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(r[0], 0);
	assert_int_equal(r[1], 0);
	assert_int_equal(r[2], -ENOLINK);
	expect_seen_and_repaired("gate_egress is gone");
}

/* ---- the price, once a second */

static void costs_little(void **unused)
{
	enum { ROUNDS = 500 };
	struct timespec t0, t1;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
	for (int i = 0; i < ROUNDS; i++)
		assert_int_equal(gate_verify(rig.g, NULL), 0);
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
	double us = ((double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec)) / 1e3 / ROUNDS;

	print_message("one look costs %.1f us of CPU\n", us);
	/* Ten times what it is on a quiet machine. An emulated one is slower still (tests/kernels). */
	const char *slower = getenv("PURSE_PATIENCE");

	assert_true(us < 1000.0 * (slower ? atoi(slower) : 1));
}

static int setup(void **unused)
{
	return rig_up(false);
}

int main(void)
{
#define FRESH(f) cmocka_unit_test_setup_teardown(f, fresh_gate, no_gate)
	const struct CMUnitTest tests[] = {
		FRESH(pin_of_another_map),
		FRESH(pin_of_another_link),
		FRESH(folder_taken_meanwhile),
		FRESH(words_are_put_back),
		FRESH(row_is_put_back),
		FRESH(agent_outside_is_seen),
		FRESH(agent_that_is_gone_is_no_fault),
		FRESH(without_descriptors),
		FRESH(costs_little),
	};
	const char *obstacle = rig_obstacle();

	if (obstacle) {
		print_message("skipped: %s\n", obstacle);
		return 0;
	}
	return cmocka_run_group_tests_name("what is looked at once a second", tests, setup, NULL);
}
