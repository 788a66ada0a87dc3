// SPDX-License-Identifier: Apache-2.0
/* The maps as verbs: the read-only view, agents, endpoints, flows, events, counters, and what bpftool shows of them. */
#include "acts.h"



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
	assert_int_equal(dial_llm(rig.agent_a), told(ECONNREFUSED));
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
	return cmocka_run_group_tests_name("maps", tests, setup, NULL);
}
