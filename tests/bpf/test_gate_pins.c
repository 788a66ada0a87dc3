// SPDX-License-Identifier: Apache-2.0
/*
 * What outlives the daemon and what does not: maps and links that stay pinned, updates under running
 * enforcement, links that somebody tampered with, locks, layouts, the read-only view, and the maps as verbs.
 */
#include "rig.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <time.h>

static void open_gate(void)
{
	struct err e = { "" };

	if (gate_open(&rig.o, &rig.g, &e) < 0)
		fail_msg("%s", e.text);
}

static void close_gate(void)
{
	gate_close(rig.g);
	rig.g = NULL;
}

static int dial_llm(const char *group)
{
	struct dial d = make_dial(V4, HOST_DEDICATED, PORT_CAPTURED, SOCK_STREAM);

	return act(group, run_dial, &d);
}

/* Every subtest has a gate of its own that was never there before. */
static int fresh_gate(void **unused)
{
	open_gate();
	put_endpoints();
	return before_each(NULL);
}

static int no_gate(void **unused)
{
	close_gate();
	end_pins(rig.pin_dir);
	drain_arrivals();
	return 0;
}

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
	assert_int_equal(dial_llm(rig.agent_a), ECONNREFUSED);
	assert_int_equal(dial_llm(rig.stranger), 0);
	open_gate();
	/* A new daemon that has not beaten yet is not alive either. */
	assert_int_equal(dial_llm(rig.agent_a), ECONNREFUSED);
}

/* A connection that was redirected under the old programs still knows its peer under the new ones. */
static int dial_then_ask_later(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	int fd = socket(d->family, SOCK_STREAM, 0);
	int err = dial_on(fd, &d->to, seen);
	pid_t pid = err ? -1 : fork();

	/* Stays behind and asks until it is killed. */
	while (pid == 0) {
		socklen_t size = sizeof(seen->peer);

		(void)getpeername(fd, (struct sockaddr *)&seen->peer, &size);
		(void)usleep(1000);
	}
	return err;
}

/* Actors inherit the lock's descriptor; another lock file stands for an orderly hand-over. */
static void reopen_beside_actors(void)
{
	char lock[160];

	close_gate();
	(void)snprintf(lock, sizeof(lock), "%s.again", rig.lock_path);
	rig.o.lock_path = lock;
	open_gate();
	(void)unlink(lock);
	rig.o.lock_path = rig.lock_path;
}

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
	assert_int_equal(dial_llm(rig.agent_a), ECONNREFUSED);
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
	char lock[160];

	(void)snprintf(lock, sizeof(lock), "%s.bad", rig.lock_path);
	o.lock_path = lock;
	o.cgroup_root = "/tmp";
	assert_int_equal(gate_open(&o, &g, &e), -ENOTSUP);
	o.cgroup_root = "/sys/fs/cgroup/nowhere";
	assert_int_equal(gate_open(&o, &g, &e), -ENOENT);
	(void)unlink(lock);
}

/* ---- verify, and the repair by opening again */

static void expect_broken(const char *name)
{
	struct err e = { "" };

	assert_int_equal(gate_verify(rig.g, &e), -ENOLINK);
	if (!strstr(e.text, name))
		fail_msg("\"%s\" does not name %s", e.text, name);
	close_gate();
	open_gate();
	assert_int_equal(gate_verify(rig.g, &e), 0);
	rig_normal();
	kill_daemon();
	assert_int_equal(dial_llm(rig.agent_a), ECONNREFUSED);
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
	kill_daemon();
	assert_int_equal(gate_verify(rig.g, &e), 0);
	assert_int_equal(dial_llm(rig.agent_a), ECONNREFUSED);
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
	assert_int_equal(gate_verify(rig.g, NULL), 0);
	assert_int_equal(dial_llm(rig.agent_b), ECONNREFUSED);
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
	assert_int_equal(dial_llm(rig.agent_a), ECONNREFUSED);
	close_gate();
	assert_int_equal(gate_remove(&rig.o, &e), 0);
	assert_int_equal(access(rig.pin_dir, F_OK), -1);
	assert_int_equal(dial_llm(rig.agent_a), 0);
	assert_int_equal(gate_remove(&rig.o, &e), 0);
	(void)close(kept);
}

/* ---- peek */

static void peek_reads(void **unused)
{
	struct gate *g = NULL;
	struct err e = { "" };
	struct gate_agent a;
	struct sockaddr_storage ss = make_address(V4, HOST_DEDICATED, 0);
	struct gate_endpoint ep;
	uint64_t counts[GATE_COUNT_COUNT];
	uint8_t addr[16];

	gate_accounts(rig.g)[ACCOUNT_B].windows[WINDOW_HOUR].left_nanousd = 31337;
	(void)dial_llm(rig.agent_a);
	if (gate_peek(rig.pin_dir, &g, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(gate_accounts(g)[ACCOUNT_B].windows[WINDOW_HOUR].left_nanousd, 31337);
	assert_int_equal(gate_state(g)->abi_version, GATE_ABI_VERSION);
	assert_int_equal(gate_find_agent(g, rig.id_b, &a), 0);
	assert_int_equal(a.account, ACCOUNT_B);
	address_bytes(&ss, addr);
	assert_int_equal(gate_find_endpoint(g, addr, &ep), 0);
	assert_int_equal(ep.class, GATE_CLASS_DEDICATED);
	gate_counters(g, counts);
	assert_true(counts[GATE_COUNT_CONNECT] > 0);
	/* Looks, and no more. */
	assert_int_equal(gate_enrol(g, 12345, &a), -EPERM);
	assert_int_equal(gate_expel(g, rig.id_b), -EPERM);
	assert_int_equal(gate_put_endpoint(g, addr, 128, GATE_CLASS_EXEMPT, 0), -EPERM);
	assert_int_equal(gate_events_fd(g), -EBADF);
	/* The same words, not a copy. */
	gate_accounts(rig.g)[ACCOUNT_B].windows[WINDOW_HOUR].left_nanousd = 1;
	assert_int_equal(gate_accounts(g)[ACCOUNT_B].windows[WINDOW_HOUR].left_nanousd, 1);
	gate_close(g);
	assert_int_equal(gate_verify(rig.g, NULL), 0);
}

static void peek_without_maps(void **unused)
{
	struct gate *g = NULL;
	struct err e = { "" };

	assert_int_equal(gate_peek("/sys/fs/bpf/purse-nowhere", &g, &e), -ENOENT);
	assert_non_null(strstr(e.text, "pursed has not run"));
}

/* ---- the maps as verbs */

static bool count_agents(void *ctx, uint64_t cgroup, const struct gate_agent *a)
{
	int *n = ctx;

	return ++*n < 3;
}

static bool sum_agents(void *ctx, uint64_t cgroup, const struct gate_agent *a)
{
	*(uint64_t *)ctx += cgroup;
	return true;
}

static void agents(void **unused)
{
	struct gate_agent a = { .account = 9, .name = "x" };
	uint64_t sum = 0, expected = rig.id_a + rig.id_b;
	int n = 0;

	for (uint64_t i = 1; i <= 1000; i++, expected += 1000000000 + i - 1)
		assert_int_equal(gate_enrol(rig.g, 1000000000 + i, &a), 0);
	gate_each_agent(rig.g, sum_agents, &sum);
	assert_true(sum == expected);
	gate_each_agent(rig.g, count_agents, &n);
	assert_int_equal(n, 3);
	assert_int_equal(gate_enrol(rig.g, 0, &a), -EINVAL);
	assert_int_equal(gate_expel(rig.g, 1000000001), 0);
	assert_int_equal(gate_expel(rig.g, 1000000001), -ENOENT);
	assert_int_equal(gate_find_agent(rig.g, 1000000001, &a), -ENOENT);
}

static void full_table_of_agents(void **unused)
{
	struct gate_agent a = { .account = 9 };
	int ret = 0;

	for (uint64_t i = 1; i <= GATE_AGENTS_MAX && ret == 0; i++)
		ret = gate_enrol(rig.g, 2000000000 + i, &a);
	assert_int_equal(ret, -E2BIG);
}

static int class_of(const char *text)
{
	struct sockaddr_storage ss = parse_address(text, 0);
	struct gate_endpoint ep;
	uint8_t addr[16];

	address_bytes(&ss, addr);
	return gate_find_endpoint(rig.g, addr, &ep) < 0 ? -1 : ep.class;
}

static int change_endpoint(const char *text, unsigned prefixlen, int class)
{
	struct sockaddr_storage ss = parse_address(text, 0);
	uint8_t addr[16];

	address_bytes(&ss, addr);
	if (class < 0)
		return gate_drop_endpoint(rig.g, addr, prefixlen);
	return gate_put_endpoint(rig.g, addr, prefixlen, (enum gate_class)class, 3);
}

static void endpoints(void **unused)
{
	static const struct {
		const char *addr;
		int class;
	} defaults[] = {
		{ "127.0.0.1", GATE_CLASS_EXEMPT },   { "127.255.255.254", GATE_CLASS_EXEMPT }, { "128.0.0.1", -1 },
		{ "169.254.169.254", GATE_CLASS_EXEMPT }, { "0.0.0.0", GATE_CLASS_EXEMPT },	{ "0.0.0.1", -1 },
		{ "::1", GATE_CLASS_EXEMPT },	      { "::", GATE_CLASS_EXEMPT },		{ "::2", -1 },
		{ "fe80::1", GATE_CLASS_EXEMPT },     { "febf::1", GATE_CLASS_EXEMPT },		{ "fec0::1", -1 },
		{ "64:ff9b::127.0.0.1", -1 },	      { "203.0.113.1", -1 },			{ "2001:db8::ffff", -1 },
	};

	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		if (class_of(defaults[i].addr) != defaults[i].class)
			fail_msg("%s: %d", defaults[i].addr, class_of(defaults[i].addr));
	/* The longest prefix wins. */
	assert_int_equal(change_endpoint("203.0.113.0", 120, GATE_CLASS_SHARED), 0);
	assert_int_equal(change_endpoint("203.0.113.7", 128, GATE_CLASS_DEDICATED), 0);
	assert_int_equal(class_of("203.0.113.6"), GATE_CLASS_SHARED);
	assert_int_equal(class_of("203.0.113.7"), GATE_CLASS_DEDICATED);
	/* Its NAT64 form goes along. */
	assert_int_equal(class_of("64:ff9b::203.0.113.6"), GATE_CLASS_SHARED);
	assert_int_equal(class_of("64:ff9b::203.0.113.7"), GATE_CLASS_DEDICATED);
	assert_int_equal(change_endpoint("203.0.113.7", 128, GATE_CLASS_EXEMPT), 0);
	assert_int_equal(class_of("203.0.113.7"), GATE_CLASS_EXEMPT);
	assert_int_equal(class_of("64:ff9b::203.0.113.7"), GATE_CLASS_SHARED);
	assert_int_equal(change_endpoint("203.0.113.0", 120, -1), 0);
	assert_int_equal(class_of("203.0.113.6"), -1);
	assert_int_equal(class_of("64:ff9b::203.0.113.6"), -1);
	assert_int_equal(change_endpoint("203.0.113.0", 120, -1), -ENOENT);
	/* A default that was overridden comes back. */
	assert_int_equal(change_endpoint("::1", 128, GATE_CLASS_DEDICATED), 0);
	assert_int_equal(class_of("::1"), GATE_CLASS_DEDICATED);
	assert_int_equal(change_endpoint("::1", 128, -1), 0);
	assert_int_equal(class_of("::1"), GATE_CLASS_EXEMPT);
	assert_int_equal(change_endpoint("::1", 129, GATE_CLASS_DEDICATED), -EINVAL);
	assert_int_equal(change_endpoint("::1", 129, -1), -EINVAL);
}

/* What was configured stays configured through a restart, also where a default would stand. */
static void endpoints_stay(void **unused)
{
	assert_int_equal(change_endpoint("::1", 128, GATE_CLASS_DEDICATED), 0);
	close_gate();
	open_gate();
	assert_int_equal(class_of("::1"), GATE_CLASS_DEDICATED);
	assert_int_equal(class_of("198.51.100.10"), GATE_CLASS_DEDICATED);
}

static void flows_are_reaped_by_age(void **unused)
{
	struct dial d = make_dial(V4, HOST_DEDICATED, PORT_CAPTURED, SOCK_STREAM);
	struct actor a = actor_start(rig.agent_a, run_dial, &d);
	struct gate_flow flow;

	assert_int_equal(rig.seen->err, 0);
	assert_int_equal(gate_reap_flows(rig.g, 60 * SECOND_NS), 0);
	assert_int_equal(gate_reap_flows(rig.g, 0), 1);
	assert_int_equal(gate_take_flow(rig.g, rig.netns_cookie, &rig.seen->local, &flow), -ENOENT);
	actor_end(&a);
}

static void flow_is_found_by_the_whole_key(void **unused)
{
	struct dial d = make_dial(V6, HOST_DEDICATED, PORT_CAPTURED, SOCK_STREAM);
	struct actor a = actor_start(rig.agent_a, run_dial, &d);
	struct sockaddr_storage peer = rig.seen->local, other = peer;
	struct gate_flow flow;

	assert_int_equal(gate_take_flow(rig.g, rig.netns_cookie + 1, &peer, &flow), -ENOENT);
	((struct sockaddr_in6 *)&other)->sin6_port ^= 1;
	assert_int_equal(gate_take_flow(rig.g, rig.netns_cookie, &other, &flow), -ENOENT);
	other = peer;
	other.ss_family = AF_UNIX;
	assert_int_equal(gate_take_flow(rig.g, rig.netns_cookie, &other, &flow), -ENOENT);
	assert_int_equal(gate_take_flow(rig.g, rig.netns_cookie, &peer, &flow), 0);
	assert_true(flow.agent_cgroup == rig.id_a);
	actor_end(&a);
}

/* ---- events and counters */

static int knock(void *ctx, struct seen *seen)
{
	struct sockaddr_storage to = make_address(V4, HOST_DEDICATED, PORT_CAPTURED);

	for (int i = 0; i < *(int *)ctx; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		(void)connect(fd, (struct sockaddr *)&to, address_size(&to));
		(void)close(fd);
	}
	return 0;
}

/* One read is bounded; the descriptor stays readable until all are taken; none is lost below the ring's size. */
static void many_events(void **unused)
{
	struct pollfd p = { .fd = gate_events_fd(rig.g), .events = POLLIN };
	int n = 3000, seen = 0, reads = 0;

	kill_daemon();
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(act(rig.agent_a, knock, &n), 0);
	while (poll(&p, 1, 0) == 1) {
		seen += take_events().n;
		reads++;
	}
	assert_int_equal(seen, n);
	assert_in_range(reads, 3, 10);
	assert_int_equal(counter(GATE_COUNT_EVENT_LOST), 0);
}

/* A ring that nobody reads: the denials stand, the loss is counted. */
static void lost_events_are_counted(void **unused)
{
	int n = GATE_EVENTS_BYTES / 80 + 1000;

	kill_daemon();
	assert_int_equal(act(rig.agent_a, knock, &n), 0);
	assert_true(counter(GATE_COUNT_EVENT_LOST) > 0);
	assert_int_equal(counter(GATE_COUNT_DENY), n);
	while (take_events().n > 0)
		;
}

static void counters(void **unused)
{
	uint64_t all[GATE_COUNT_COUNT];

	for (int i = 0; i < 3; i++)
		assert_int_equal(dial_llm(rig.stranger), 0);
	assert_int_equal(dial_llm(rig.agent_a), 0);
	kill_daemon();
	assert_int_equal(dial_llm(rig.agent_a), ECONNREFUSED);
	gate_counters(rig.g, all);
	assert_int_equal(all[GATE_COUNT_CONNECT], 5);
	assert_int_equal(all[GATE_COUNT_PASS_STRANGER], 3);
	assert_int_equal(all[GATE_COUNT_REDIRECT], 1);
	assert_int_equal(all[GATE_COUNT_DENY], 1);
	assert_int_equal(all[GATE_COUNT_PASS], 0);
	assert_int_equal(all[GATE_COUNT_NO_STATE], 0);
}

/* ---- bpftool */

static void bpftool_reads_well(void **unused)
{
	char line[512], cmd[320];
	bool has_name = false, has_field = false;
	FILE *f;

	(void)snprintf(cmd, sizeof(cmd), "PATH=$PATH:/usr/sbin bpftool map dump pinned %s/maps/agents 2>&1", rig.pin_dir);
	f = popen(cmd, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		has_name |= strstr(line, "agent-a") != NULL;
		has_field |= strstr(line, "\"account\"") != NULL;
	}
	if (pclose(f) != 0) {
		print_message("skipped: no bpftool here\n");
		skip();
	}
	assert_true(has_name && has_field);
}

/* ---- all of them */

static int setup(void **unused)
{
	return rig_up(false);
}

int main(void)
{
#define FRESH(f) cmocka_unit_test_setup_teardown(f, fresh_gate, no_gate)
	const struct CMUnitTest tests[] = {
		FRESH(fresh_then_not),
		FRESH(balances_holds_agents_stay),
		FRESH(denied_while_closed),
		FRESH(sockets_are_remembered),
		FRESH(link_stays_program_changes),
		FRESH(enforced_during_updates),
		FRESH(second_daemon_is_refused),
		FRESH(lock_in_a_folder_that_is_missing),
		FRESH(another_layout_is_refused),
		FRESH(another_size_is_refused),
		FRESH(undeclared_maps_are_fresh),
		FRESH(missing_map_means_fresh),
		FRESH(pin_folder_must_be_on_bpffs),
		FRESH(root_must_be_a_cgroup),
		FRESH(detached_link),
		FRESH(removed_pin),
		FRESH(replaced_program),
		FRESH(link_of_another_version_is_dropped),
		FRESH(cgroup_that_died),
		FRESH(another_root_was_asked_for),
		FRESH(removed_means_gone),
		FRESH(peek_reads),
		FRESH(peek_without_maps),
		FRESH(agents),
		FRESH(full_table_of_agents),
		FRESH(endpoints),
		FRESH(endpoints_stay),
		FRESH(flows_are_reaped_by_age),
		FRESH(flow_is_found_by_the_whole_key),
		FRESH(many_events),
		FRESH(lost_events_are_counted),
		FRESH(counters),
		FRESH(bpftool_reads_well),
	};
	const char *obstacle = rig_obstacle();

	if (obstacle) {
		print_message("skipped: %s\n", obstacle);
		return 0;
	}
	return cmocka_run_group_tests_name("what stays pinned", tests, setup, NULL);
}
