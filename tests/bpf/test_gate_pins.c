// SPDX-License-Identifier: Apache-2.0
/*
 * What outlives the daemon and what does not: maps and links that stay pinned, updates under running
 * enforcement, links that somebody tampered with, locks, layouts, roots.
 */
#include "acts.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/mount.h>



/* ---- open again */

static void fresh_then_not(void **unused)
{
	uint64_t generation = gate_state(rig.g)->generation;

	assert_true(gate_is_fresh(rig.g));
	assert_int_equal(generation, 1);
	assert_int_equal(gate_state(rig.g)->abi_version, GATE_ABI_VERSION);
	close_gate();
	open_gate();
	assert_false(gate_is_fresh(rig.g));
	assert_int_equal(gate_state(rig.g)->generation, 2);
}

static void balances_holds_agents_stay(void **unused)
{
	struct gate_hold *h = &gate_holds(rig.g)[GATE_HOLDS_MAX - 1];
	struct gate_agent a;

	gate_accounts(rig.g)[ACCOUNT_A].windows[WINDOW_DAY].left_nanousd = 123456789;
	gate_accounts(rig.g)[GATE_ACCOUNTS_MAX - 1].calls = 77;
	*h = (struct gate_hold){ .state = GATE_HOLD_SENT, .call_id = 42, .amount_nanousd = 1, .model = "some-model" };
	close_gate();
	open_gate();
	assert_int_equal(gate_accounts(rig.g)[ACCOUNT_A].windows[WINDOW_DAY].left_nanousd, 123456789);
	assert_string_equal(gate_accounts(rig.g)[ACCOUNT_A].name, "agent-a");
	assert_int_equal(gate_accounts(rig.g)[GATE_ACCOUNTS_MAX - 1].calls, 77);
	h = &gate_holds(rig.g)[GATE_HOLDS_MAX - 1];
	assert_int_equal(h->call_id, 42);
	assert_string_equal(h->model, "some-model");
	assert_int_equal(gate_find_agent(rig.g, rig.id_a, &a), 0);
	assert_string_equal(a.name, "agent-a");
}

static void denied_while_closed(void **unused)
{
	gate_state(rig.g)->stale_after_ns = 1;
	close_gate();
	/* The hooks' coarse clock moves with the tick, at most 10 ms: let it pass the last beat. */
	(void)usleep(30000);
	assert_int_equal(dial_llm(rig.agent_a), told(ECONNREFUSED));
	assert_int_equal(dial_llm(rig.stranger), 0);
	open_gate();
	/* A new daemon that has not beaten yet is not alive either. */
	assert_int_equal(dial_llm(rig.agent_a), told(ECONNREFUSED));
}

/* Actors inherit the locks' descriptors; another lock file and the other lock handed on stand for an orderly hand-over. */
static void reopen_beside_actors(void)
{
	char lock[160];
	int pins = dup(gate_pins_fd(rig.g));

	close_gate();
	rig.o.inherited_pins = pins;
	(void)snprintf(lock, sizeof(lock), "%s.again", rig.lock_path);
	rig.o.lock_path = lock;
	open_gate();
	(void)unlink(lock);
	rig.o.lock_path = rig.lock_path;
	rig.o.inherited_pins = 0;
}

/* A connection that was redirected under the old programs still knows its peer under the new ones. */
static void sockets_are_remembered(void **unused)
{
	struct dial d = make_dial(V4, HOST_DEDICATED, PORT_CAPTURED, SOCK_STREAM);
	struct actor a = actor_start(rig.agent_a, dial_then_ask_later, &d);

	assert_int_equal(rig.seen->err, 0);
	reopen_beside_actors();
	memset(&rig.seen->peer, 0, sizeof(rig.seen->peer));
	(void)usleep(30000);
	assert_true(same_address(&rig.seen->peer, &d.to));
	kill_group(rig.agent_a);
	actor_end(&a);
}

/* ---- update in place */

static uint32_t link_id(const char *name, uint32_t *ret_prog)
{
	struct bpf_link_info info = { 0 };
	uint32_t size = sizeof(info);
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/links/%s", rig.pin_dir, name);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	(void)close(fd);
	*ret_prog = info.prog_id;
	return info.id;
}

static void link_stays_program_changes(void **unused)
{
	static const char *const names[] = { "gate_connect4", "gate_connect6",	"gate_sendmsg4",    "gate_sendmsg6",    "gate_getpeername4",
					     "gate_getpeername6", "gate_sockops", "gate_sock_create", "gate_egress" };
	uint32_t links[16], progs[16], prog;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		links[i] = link_id(names[i], &progs[i]);
	close_gate();
	open_gate();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(link_id(names[i], &prog), links[i]);
		assert_int_not_equal(prog, progs[i]);
	}
	assert_int_equal(gate_verify(rig.g, NULL), 0);
}

/* Knocks at the LLM for as long as the test holds its end; counts every answer that is not a refusal. */
static int hammer(void *ctx, struct seen *seen)
{
	struct sockaddr_storage to = make_address(V4, HOST_DEDICATED, PORT_CAPTURED);
	pid_t pid = fork();

	if (pid != 0)
		return pid < 0 ? errno : 0;
	for (int i = 0; i < 1000000 && getppid() != 1; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (fd >= 0 && connect(fd, (struct sockaddr *)&to, address_size(&to)) == 0)
			seen->number++;
		if (fd >= 0)
			(void)close(fd);
	}
	_exit(0);
}

static void enforced_during_updates(void **unused)
{
	struct sockaddr_storage peer;
	struct actor a;

	kill_daemon();
	a = actor_start(rig.agent_a, hammer, NULL);
	for (int i = 0; i < 10; i++)
		reopen_beside_actors();
	kill_group(rig.agent_a);
	actor_end(&a);
	assert_int_equal(rig.seen->number, 0);
	assert_int_equal(arrival(0, &peer), NOWHERE);
	assert_true(counter(GATE_COUNT_DENY) > 10);
}

/* ---- the lock */

static void second_daemon_is_refused(void **unused)
{
	struct gate *second = NULL;
	struct err e = { "" };
	char pid[16];

	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	assert_int_equal(gate_open(&rig.o, &second, &e), -EBUSY);
	assert_null(second);
	assert_non_null(strstr(e.text, pid));
	assert_int_equal(gate_remove(&rig.o, &e), -EBUSY);
	assert_int_equal(gate_verify(rig.g, NULL), 0);
}

/* Another run_dir, and another way to the same folder. */
static void second_daemon_elsewhere_is_refused(void **unused)
{
	char lock[160], pid[32], mnt[] = "/tmp/purse-mount-XXXXXX", path[160];
	struct gate_options o = rig.o;
	struct gate *second = NULL;
	struct err e = { "" };
	uint32_t prog, before = 0;

	(void)link_id("gate_connect4", &before);
	(void)snprintf(lock, sizeof(lock), "%s.second", rig.lock_path);
	(void)snprintf(pid, sizeof(pid), "process %d,", (int)getpid());
	o.lock_path = lock;
	assert_int_equal(gate_open(&o, &second, &e), -EBUSY);
	assert_non_null(strstr(e.text, pid));
	assert_non_null(strstr(e.text, rig.pin_dir));
	assert_int_equal(gate_remove(&o, &e), -EBUSY);

	assert_non_null(mkdtemp(mnt));
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("/sys/fs/bpf", mnt, NULL, MS_BIND, NULL), 0);
	(void)snprintf(path, sizeof(path), "%s%s", mnt, strrchr(rig.pin_dir, '/'));
	o.pin_dir = path;
	assert_int_equal(gate_open(&o, &second, &e), -EBUSY);
	assert_int_equal(umount(mnt), 0);
	(void)rmdir(mnt);
	(void)unlink(lock);

	/* Nothing was touched. */
	(void)link_id("gate_connect4", &prog);
	assert_int_equal(prog, before);
	assert_int_equal(gate_state(rig.g)->generation, 1);
	assert_int_equal(gate_verify(rig.g, NULL), 0);
}

/* kill -9: the name of the dead one still stands there, the lock does not. */
static void lock_of_the_dead_is_free(void **unused)
{
	close_gate();
	pid_t pid = fork();

	if (pid == 0) {
		struct gate *g = NULL;

		(void)gate_open(&rig.o, &g, NULL);
		(void)kill(getpid(), SIGKILL);
	}
	assert_true(pid > 0);
	(void)waitpid(pid, NULL, 0);
	open_gate();
	assert_int_equal(gate_state(rig.g)->generation, 3);
}

static void lock_of_other_pins_is_refused(void **unused)
{
	struct gate_options o = rig.o;
	struct gate *g = NULL;
	struct err e = { "" };

	close_gate();
	o.inherited_pins = open("/sys/fs/bpf", O_RDONLY | O_DIRECTORY);
	assert_int_equal(gate_open(&o, &g, &e), -EINVAL);
	assert_non_null(strstr(e.text, "`bpffs` must be the same"));
	open_gate();
}

static void lock_in_a_folder_that_is_missing(void **unused)
{
	char dir[] = "/tmp/purse-lock-XXXXXX", path[64], sub[64];

	assert_non_null(mkdtemp(dir));
	(void)snprintf(sub, sizeof(sub), "%s/a", dir);
	(void)snprintf(path, sizeof(path), "%s/a/gate.lock", dir);
	close_gate();
	rig.o.lock_path = path;
	open_gate();
	assert_int_equal(access(path, F_OK), 0);
	rig.o.lock_path = rig.lock_path;
	(void)unlink(path);
	(void)rmdir(sub);
	(void)rmdir(dir);
}

/* ---- layouts */

static void another_layout_is_refused(void **unused)
{
	struct gate *g = NULL;
	struct err e = { "" };

	gate_state(rig.g)->abi_version = GATE_ABI_VERSION + 7;
	close_gate();
	assert_int_equal(gate_open(&rig.o, &g, &e), -EPROTO);
	assert_non_null(strstr(e.text, "purse uninstall"));
	assert_int_equal(gate_peek(rig.pin_dir, &g, &e), -EPROTO);
	assert_null(g);
	/* Refused, and still closed: what is pinned goes on. */
	assert_int_equal(dial_llm(rig.agent_a), told(ECONNREFUSED));
}

static void another_size_is_refused(void **unused)
{
	struct gate *g = NULL;
	struct err e = { "" };
	char path[256];
	int fd;

	close_gate();
	(void)snprintf(path, sizeof(path), "%s/maps/agents", rig.pin_dir);
	(void)unlink(path);
	fd = bpf_map_create(BPF_MAP_TYPE_HASH, "agents", 8, 24, 16, NULL);
	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	(void)close(fd);
	assert_int_equal(gate_open(&rig.o, &g, &e), -EPROTO);
	assert_non_null(strstr(e.text, "agents"));
}

/* Made, and its daemon died before it declared them usable. */
static void undeclared_maps_are_fresh(void **unused)
{
	gate_state(rig.g)->abi_version = 0;
	close_gate();
	open_gate();
	assert_true(gate_is_fresh(rig.g));
	assert_int_equal(gate_state(rig.g)->abi_version, GATE_ABI_VERSION);
}

static void missing_map_means_fresh(void **unused)
{
	char path[256];

	close_gate();
	(void)snprintf(path, sizeof(path), "%s/maps/holds", rig.pin_dir);
	assert_int_equal(unlink(path), 0);
	open_gate();
	assert_true(gate_is_fresh(rig.g));
	assert_int_equal(dial_llm(rig.stranger), 0);
}

static void pin_folder_must_be_on_bpffs(void **unused)
{
	static const char *const bad[] = { "/tmp/purse", "purse", "/purse", "", "/nowhere/at/all" };
	struct gate_options o = rig.o;
	char lock[160];

	(void)snprintf(lock, sizeof(lock), "%s.bad", rig.lock_path);
	o.lock_path = lock;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct gate *g = NULL;
		struct err e = { "" };

		o.pin_dir = bad[i];
		assert_true(gate_open(&o, &g, &e) < 0);
		assert_non_null(strstr(e.text, "pin_dir"));
	}
	(void)unlink(lock);
	assert_int_equal(access("/tmp/purse/maps", F_OK), -1);
}

static void root_must_be_a_cgroup(void **unused)
{
	struct gate_options o = rig.o;
	struct gate *g = NULL;
	struct err e = { "" };

	close_gate();
	o.cgroup_root = "/tmp";
	assert_int_equal(gate_open(&o, &g, &e), -ENOTSUP);
	o.cgroup_root = "/sys/fs/cgroup/nowhere";
	assert_int_equal(gate_open(&o, &g, &e), -ENOENT);
	open_gate();
}

/* ---- verify, and the repair: in place, or by opening again */

static bool in_place;

static int fresh_gate_in_place(void **unused)
{
	in_place = true;
	return fresh_gate(unused);
}

static int no_gate_in_place(void **unused)
{
	in_place = false;
	return no_gate(unused);
}

static void expect_broken(const char *name)
{
	struct err e = { "" };

	assert_int_equal(gate_verify(rig.g, &e), -ENOLINK);
	if (!strstr(e.text, name))
		fail_msg("\"%s\" does not name %s", e.text, name);
	if (in_place) {
		assert_int_equal(gate_repair(rig.g, &e), 0);
	} else {
		close_gate();
		open_gate();
	}
	assert_int_equal(gate_verify(rig.g, &e), 0);
	rig_normal();
	kill_daemon();
	assert_int_equal(dial_llm(rig.agent_a), told(ECONNREFUSED));
}

static int open_link(const char *name)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/links/%s", rig.pin_dir, name);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	return fd;
}

static void detached_link(void **unused)
{
	int fd = open_link("gate_connect4");

	assert_int_equal(gate_verify(rig.g, NULL), 0);
	assert_int_equal(bpf_link_detach(fd), 0);
	(void)close(fd);
	expect_broken("gate_connect4");
}

static void removed_pin(void **unused)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/links/gate_egress", rig.pin_dir);
	assert_int_equal(unlink(path), 0);
	expect_broken("gate_egress");
}

static void removed_map_pin(void **unused)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/maps/holds", rig.pin_dir);
	assert_int_equal(unlink(path), 0);
	expect_broken("holds");
}

/* All of it at once, as by rm -r. */
static void removed_folder(void **unused)
{
	char command[300];

	(void)snprintf(command, sizeof(command), "rm -r %s", rig.pin_dir);
	assert_int_equal(system(command), 0);
	expect_broken("gate_");
	assert_int_equal(gate_accounts(rig.g)[ACCOUNT_A].parent, ACCOUNT_TOP);
}

static void replaced_program(void **unused)
{
	const struct bpf_insn allow[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 },
					  { .code = BPF_JMP | BPF_EXIT } };
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_CGROUP_INET6_CONNECT);
	int prog = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "allow", "GPL", allow, 2, &opts);
	int fd = open_link("gate_connect6");

	assert_true(prog >= 0);
	assert_int_equal(bpf_link_update(fd, prog, NULL), 0);
	(void)close(fd);
	(void)close(prog);
	expect_broken("gate_connect6");
}

/* An older version had a program that this one has not. */
static void link_of_another_version_is_dropped(void **unused)
{
	const struct bpf_insn refuse[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
					   { .code = BPF_JMP | BPF_EXIT } };
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_CGROUP_INET4_CONNECT);
	int prog = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "refuse", "GPL", refuse, 2, &opts);
	int root = open(rig.root, O_RDONLY | O_DIRECTORY);
	int link = bpf_link_create(prog, root, BPF_CGROUP_INET4_CONNECT, NULL);
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/links/gate_of_old", rig.pin_dir);
	assert_true(link >= 0);
	assert_int_equal(bpf_obj_pin(link, path), 0);
	(void)close(link);
	(void)close(prog);
	(void)close(root);
	assert_int_equal(dial_llm(rig.stranger), EPERM);
	close_gate();
	open_gate();
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(dial_llm(rig.stranger), 0);
}

/* cilium#48420's shape: the cgroup died, the link stays pinned and says nothing. */
static void cgroup_that_died(void **unused)
{
	struct err e = { "" };
	char first[PATH_MAX];
	uint64_t id;

	close_gate();
	end_pins(rig.pin_dir);
	make_group(first, "first", &id);
	rig.o.cgroup_root = first;
	open_gate();
	assert_int_equal(cgroup_remove(first), 0);
	for (int i = 0; i < 200 && gate_verify(rig.g, NULL) == 0; i++)
		(void)usleep(10000);
	assert_int_equal(gate_verify(rig.g, &e), -ENOLINK);
	close_gate();
	rig.o.cgroup_root = rig.root;
	open_gate();
	put_endpoints();
	rig_normal();
	assert_int_equal(gate_verify(rig.g, &e), 0);
	kill_daemon();
	assert_int_equal(dial_llm(rig.agent_a), told(ECONNREFUSED));
}

static void another_root_was_asked_for(void **unused)
{
	char narrow[PATH_MAX];

	close_gate();
	(void)snprintf(narrow, sizeof(narrow), "%s", rig.agent_b);
	rig.o.cgroup_root = narrow;
	open_gate();
	rig_normal();
	kill_daemon();
	assert_int_equal(dial_llm(rig.agent_b), told(ECONNREFUSED));
	/* No longer below the root that the gate is on. */
	assert_int_equal(dial_llm(rig.agent_a), 0);
	rig.o.cgroup_root = rig.root;
}

/* ---- remove */

static void removed_means_gone(void **unused)
{
	struct err e = { "" };
	/* A descriptor that somebody keeps must not keep enforcement. */
	int kept = open_link("gate_connect4");

	kill_daemon();
	assert_int_equal(dial_llm(rig.agent_a), told(ECONNREFUSED));
	close_gate();
	assert_int_equal(gate_remove(&rig.o, &e), 0);
	assert_int_equal(access(rig.pin_dir, F_OK), -1);
	assert_int_equal(dial_llm(rig.agent_a), 0);
	assert_int_equal(gate_remove(&rig.o, &e), 0);
	(void)close(kept);
}

/* ---- all of them */

static int setup(void **unused)
{
	return rig_up(false);
}

int main(void)
{
#define FRESH(f) cmocka_unit_test_setup_teardown(f, fresh_gate, no_gate)
#define IN_PLACE(f) cmocka_unit_test_setup_teardown(f, fresh_gate_in_place, no_gate_in_place)
	const struct CMUnitTest tests[] = {
		FRESH(fresh_then_not),
		FRESH(balances_holds_agents_stay),
		FRESH(denied_while_closed),
		FRESH(sockets_are_remembered),
		FRESH(link_stays_program_changes),
		FRESH(enforced_during_updates),
		FRESH(second_daemon_is_refused),
		FRESH(second_daemon_elsewhere_is_refused),
		FRESH(lock_of_the_dead_is_free),
		FRESH(lock_of_other_pins_is_refused),
		FRESH(lock_in_a_folder_that_is_missing),
		FRESH(another_layout_is_refused),
		FRESH(another_size_is_refused),
		FRESH(undeclared_maps_are_fresh),
		FRESH(missing_map_means_fresh),
		FRESH(pin_folder_must_be_on_bpffs),
		FRESH(root_must_be_a_cgroup),
		FRESH(detached_link),
		FRESH(removed_pin),
		FRESH(removed_map_pin),
		FRESH(replaced_program),
		IN_PLACE(detached_link),
		IN_PLACE(removed_pin),
		IN_PLACE(removed_map_pin),
		IN_PLACE(removed_folder),
		IN_PLACE(replaced_program),
		FRESH(link_of_another_version_is_dropped),
		FRESH(cgroup_that_died),
		FRESH(another_root_was_asked_for),
		FRESH(removed_means_gone),
	};
	const char *obstacle = rig_obstacle();

	if (obstacle) {
		print_message("skipped: %s\n", obstacle);
		return 0;
	}
	return cmocka_run_group_tests_name("what stays pinned", tests, setup, NULL);
}
