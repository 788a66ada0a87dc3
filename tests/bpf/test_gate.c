// SPDX-License-Identifier: Apache-2.0
/*
 * The verdict table with real sockets: every row and column of it, by v4, v6 and
 * v4-mapped address, over TCP and UDP. A subtest is a row x column x form; what has to come out stands in the
 * table below in the same words as in tests/unit/kern/test_verdict.c, here as what the application gets.
 */
#include "acts.h"

/* What the application gets. */
enum cell { PASS, REDIR, REDIR_402, REDIR_STRANGER, NO_CREDIT, PAUSED, DEAD, NOT_AGENT, IDENTITY, UDP, NETNS };

static const struct {
	enum gate_reason reason;
	int errnum;
	uint32_t flow_flags;
	bool is_redirect;
} cells[] = {
	[PASS] = { 0 },
	[REDIR] = { .is_redirect = true },
	[REDIR_402] = { .is_redirect = true, .flow_flags = GATE_FLOW_NO_CREDIT },
	[REDIR_STRANGER] = { .is_redirect = true, .flow_flags = GATE_FLOW_STRANGER },
	[NO_CREDIT] = { .reason = GATE_REASON_NO_CREDIT, .errnum = EDQUOT },
	[PAUSED] = { .reason = GATE_REASON_PAUSED, .errnum = EDQUOT },
	[DEAD] = { .reason = GATE_REASON_DAEMON_DEAD, .errnum = ECONNREFUSED },
	[NOT_AGENT] = { .reason = GATE_REASON_NOT_AGENT, .errnum = EACCES },
	[IDENTITY] = { .reason = GATE_REASON_IDENTITY, .errnum = EACCES },
	[UDP] = { .reason = GATE_REASON_UDP, .errnum = EACCES },
	[NETNS] = { .reason = GATE_REASON_NETNS, .errnum = EACCES },
};

enum column { DEDICATED, SHARED, CAPTURED, OTHER, COLUMNS };
static const struct {
	const char *name;
	int host, port;
	enum gate_class class;
} columns[COLUMNS] = {
	[DEDICATED] = { "dedicated", HOST_DEDICATED, PORT_CAPTURED, GATE_CLASS_DEDICATED },
	[SHARED] = { "shared", HOST_SHARED, PORT_OTHER, GATE_CLASS_SHARED },
	[CAPTURED] = { "captured port", HOST_OTHER, PORT_CAPTURED, GATE_CLASS_OTHER },
	[OTHER] = { "other", HOST_OTHER, PORT_OTHER, GATE_CLASS_OTHER },
};

/* ---- what a row changes before the call */

static void no_credit(void)
{
	gate_accounts(rig.g)[ACCOUNT_A].windows[WINDOW_DAY].left_nanousd = 0;
}

static void no_credit_above(void)
{
	gate_accounts(rig.g)[ACCOUNT_TOP].windows[WINDOW_DAY].left_nanousd = -5;
}

static void at_the_floor(void)
{
	gate_accounts(rig.g)[ACCOUNT_A].floor_nanousd = PLENTY;
}

static void second_window_empty(void)
{
	gate_accounts(rig.g)[ACCOUNT_A].windows[WINDOW_TOTAL].limit_nanousd = 7;
	gate_accounts(rig.g)[ACCOUNT_A].windows[WINDOW_TOTAL].left_nanousd = 0;
}

static void no_credit_explain(void)
{
	no_credit();
	enrol(rig.id_a, "agent-a", ACCOUNT_A, GATE_AGENT_EXPLAIN);
}

static void agent_paused(void)
{
	enrol(rig.id_a, "agent-a", ACCOUNT_A, GATE_AGENT_PAUSED);
}

static void agent_paused_explain(void)
{
	enrol(rig.id_a, "agent-a", ACCOUNT_A, GATE_AGENT_PAUSED | GATE_AGENT_EXPLAIN);
}

static void account_paused(void)
{
	gate_accounts(rig.g)[ACCOUNT_A].flags |= GATE_ACCOUNT_PAUSED;
}

static void account_above_paused(void)
{
	gate_accounts(rig.g)[ACCOUNT_TOP].flags |= GATE_ACCOUNT_PAUSED;
	no_credit();
}

static void dead_fail_open(void)
{
	kill_daemon();
	enrol(rig.id_a, "agent-a", ACCOUNT_A, GATE_AGENT_FAIL_OPEN);
}

static void stale_beat(void)
{
	gate_state(rig.g)->heartbeat_ns -= 10 * (uint64_t)SECOND_NS;
	gate_state(rig.g)->stale_after_ns = 9 * (uint64_t)SECOND_NS;
}

static void future_beat(void)
{
	gate_state(rig.g)->heartbeat_ns += 3600 * (uint64_t)SECOND_NS;
}

static void other_layout(void)
{
	gate_state(rig.g)->abi_version = GATE_ABI_VERSION + 1;
}

static void others_deny_dead(void)
{
	others_deny();
	kill_daemon();
}

static void listener_elsewhere(void)
{
	gate_set_listeners(rig.g, rig.port4, rig.port6, rig.netns_cookie + 1);
}

static void others_deny_listener_elsewhere(void)
{
	others_deny();
	listener_elsewhere();
}

static void no_listener(void)
{
	gate_set_listeners(rig.g, 0, 0, rig.netns_cookie);
}

static void no_account(void)
{
	enrol(rig.id_a, "agent-a", 0, 0);
}

static void account_out_of_range(void)
{
	enrol(rig.id_a, "agent-a", GATE_ACCOUNTS_MAX, 0);
}

static void account_unused(void)
{
	enrol(rig.id_a, "agent-a", 4000, 0);
}

static void account_above_unused(void)
{
	gate_accounts(rig.g)[ACCOUNT_A].parent = 4000;
}

static void account_above_out_of_range(void)
{
	gate_accounts(rig.g)[ACCOUNT_A].parent = 0xffffffff;
}

static void accounts_in_a_ring(void)
{
	gate_accounts(rig.g)[ACCOUNT_TOP].parent = ACCOUNT_A;
}

static void other_of_several_ports(void)
{
	static const uint16_t ports[] = { 1, 2, 3, PORT_CAPTURED };

	gate_set_policy(rig.g, false, ports, 4, 600 * (uint64_t)SECOND_NS);
}

static void longest_account_chain(void)
{
	uint32_t below = 0;

	for (int i = 0; i < GATE_TREE_DEPTH; i++) {
		set_account(100 + i, "link", (int)below, PLENTY);
		below = (uint32_t)(100 + i);
	}
	enrol(rig.id_a, "agent-a", below, 0);
}

static void account_chain_too_long(void)
{
	longest_account_chain();
	set_account(100 + GATE_TREE_DEPTH, "link", 100 + GATE_TREE_DEPTH - 1, PLENTY);
	enrol(rig.id_a, "agent-a", 100 + GATE_TREE_DEPTH, 0);
}

/* ---- the rows */

enum who { AGENT, STRANGER, DAEMON, TWO_AGENTS };

static const struct row {
	const char *name;
	enum who who;
	void (*change)(void);
	enum cell tcp[COLUMNS];
	enum cell udp[COLUMNS];
} rows[] = {
#define UDP_OF_AGENT { UDP, UDP, UDP, PASS }
#define ALL_PASS { PASS, PASS, PASS, PASS }
#define ALL(cell) { cell, cell, cell, PASS }
	{ "in credit", AGENT, NULL, ALL(REDIR), UDP_OF_AGENT },
	{ "in credit, several captured ports", AGENT, other_of_several_ports, ALL(REDIR), UDP_OF_AGENT },
	{ "longest account chain", AGENT, longest_account_chain, ALL(REDIR), UDP_OF_AGENT },
	{ "out of credit", AGENT, no_credit, { NO_CREDIT, REDIR_402, REDIR_402, PASS }, UDP_OF_AGENT },
	{ "account above out of credit", AGENT, no_credit_above, { NO_CREDIT, REDIR_402, REDIR_402, PASS }, UDP_OF_AGENT },
	{ "down to the floor", AGENT, at_the_floor, { NO_CREDIT, REDIR_402, REDIR_402, PASS }, UDP_OF_AGENT },
	{ "one window of two empty", AGENT, second_window_empty, { NO_CREDIT, REDIR_402, REDIR_402, PASS }, UDP_OF_AGENT },
	{ "out of credit, explain", AGENT, no_credit_explain, ALL(REDIR_402), UDP_OF_AGENT },
	{ "agent paused", AGENT, agent_paused, { PAUSED, REDIR_402, REDIR_402, PASS }, UDP_OF_AGENT },
	{ "agent paused, explain", AGENT, agent_paused_explain, ALL(REDIR_402), UDP_OF_AGENT },
	{ "account paused", AGENT, account_paused, { PAUSED, REDIR_402, REDIR_402, PASS }, UDP_OF_AGENT },
	{ "account above paused, out of credit", AGENT, account_above_paused, { PAUSED, REDIR_402, REDIR_402, PASS }, UDP_OF_AGENT },
	{ "daemon never beat", AGENT, kill_daemon, ALL(DEAD), UDP_OF_AGENT },
	{ "daemon's beat is stale", AGENT, stale_beat, ALL(DEAD), UDP_OF_AGENT },
	{ "daemon's beat is from the future", AGENT, future_beat, ALL(DEAD), UDP_OF_AGENT },
	{ "state of another layout", AGENT, other_layout, ALL(DEAD), UDP_OF_AGENT },
	{ "daemon dead, fail open", AGENT, dead_fail_open, { DEAD, DEAD, PASS, PASS }, UDP_OF_AGENT },
	{ "listener in another namespace", AGENT, listener_elsewhere, ALL(NETNS), UDP_OF_AGENT },
	{ "no listener", AGENT, no_listener, ALL(NETNS), UDP_OF_AGENT },
	{ "stranger, others allow", STRANGER, NULL, ALL_PASS, ALL_PASS },
	{ "stranger, others allow, daemon dead", STRANGER, kill_daemon, ALL_PASS, ALL_PASS },
	{ "stranger, others deny", STRANGER, others_deny, { NOT_AGENT, REDIR_STRANGER, PASS, PASS }, { UDP, UDP, PASS, PASS } },
	{ "stranger, others deny, daemon dead", STRANGER, others_deny_dead, { NOT_AGENT, DEAD, PASS, PASS }, { UDP, UDP, PASS, PASS } },
	{ "stranger, others deny, listener elsewhere", STRANGER, others_deny_listener_elsewhere,
	  { NOT_AGENT, NETNS, PASS, PASS }, { UDP, UDP, PASS, PASS } },
	{ "the daemon, others deny", DAEMON, others_deny, ALL_PASS, ALL_PASS },
	{ "the daemon, others deny, not beating", DAEMON, others_deny_dead, ALL_PASS, ALL_PASS },
	{ "creator and caller differ", TWO_AGENTS, NULL, ALL(IDENTITY), ALL(IDENTITY) },
	{ "creator and caller differ, out of credit", TWO_AGENTS, no_credit_explain, ALL(IDENTITY), ALL(IDENTITY) },
	{ "no account", AGENT, no_account, ALL(IDENTITY), ALL(IDENTITY) },
	{ "account index out of range", AGENT, account_out_of_range, ALL(IDENTITY), ALL(IDENTITY) },
	{ "account unused", AGENT, account_unused, ALL(IDENTITY), ALL(IDENTITY) },
	{ "account above unused", AGENT, account_above_unused, ALL(IDENTITY), ALL(IDENTITY) },
	{ "account above out of range", AGENT, account_above_out_of_range, ALL(IDENTITY), ALL(IDENTITY) },
	{ "accounts in a ring", AGENT, accounts_in_a_ring, ALL(IDENTITY), ALL(IDENTITY) },
	{ "account chain too long", AGENT, account_chain_too_long, ALL(IDENTITY), ALL(IDENTITY) },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* ---- one subtest */

enum way { TCP_CONNECT, UDP_CONNECT, UDP_SENDTO, WAYS };
static const char *const way_names[WAYS] = { "tcp", "udp connect", "udp sendto" };

struct subtest {
	const struct row *row;
	enum column column;
	enum form form;
	enum way way;
	char name[160];
};

/* The socket is made in agent-a; the call comes from agent-b. */
static int dial_from_two(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	int fd = socket(d->family, d->type, 0);

	if (fd < 0 || cgroup_enter(rig.agent_b, 0, NULL) < 0)
		return ECHILD;
	if (d->use_sendto)
		return sendto(fd, "x", 1, 0, (const struct sockaddr *)&d->to, address_size(&d->to)) < 0 ? errno : 0;
	if (connect(fd, (const struct sockaddr *)&d->to, address_size(&d->to)) < 0)
		return errno;
	return d->type == SOCK_DGRAM && send(fd, "x", 1, 0) < 0 ? errno : 0;
}

static void expect_redirect(const struct subtest *s, const struct dial *d, uint32_t flags, enum who who)
{
	bool is_agent = who == AGENT;
	struct gate_agent agent = { 0 };
	struct gate_flow flow;
	uint8_t dst[16];

	if (is_agent)
		assert_int_equal(gate_find_agent(rig.g, rig.id_a, &agent), 0);
	flow = expect_flow(s->form == V6 ? AT_EGRESS6 : AT_EGRESS4, is_agent ? rig.id_a : 0, agent.account);
	assert_int_equal(flow.flags, flags);
	address_bytes(&d->to, dst);
	assert_memory_equal(flow.dst, dst, 16);
	assert_int_equal(flow.dport, columns[s->column].port);
	assert_int_equal(flow.class, columns[s->column].class);
	assert_true(flow.pid != 0);
	assert_string_equal(flow.comm, "test_gate");
	/* The application sees what it asked for. */
	assert_true(same_address(&rig.seen->peer, &d->to));
}

static void expect_pass(const struct dial *d)
{
	struct sockaddr_storage peer;

	if (rig.seen->err != 0)
		fail_msg("%s", strerror(rig.seen->err));
	assert_int_equal(arrival(2000, &peer), d->type == SOCK_STREAM ? AT_PROVIDER : AT_PROVIDER_UDP);
	if (!d->use_sendto && rig.seen->peer.ss_family)
		assert_true(same_address(&rig.seen->peer, &d->to));
	assert_int_equal(flows_left(), 0);
	assert_int_equal(take_events().n, 0);
}

static void run_subtest(void **state)
{
	const struct subtest *s = *state;
	const char *group = s->row->who == STRANGER ? rig.stranger : s->row->who == DAEMON ? rig.daemon : rig.agent_a;
	enum cell expected = s->way == TCP_CONNECT ? s->row->tcp[s->column] : s->row->udp[s->column];
	struct dial d = make_dial(s->form, columns[s->column].host, columns[s->column].port,
				  s->way == TCP_CONNECT ? SOCK_STREAM : SOCK_DGRAM);
	uint64_t denied = counter(GATE_COUNT_DENY), redirected = counter(GATE_COUNT_REDIRECT);
	struct actor a;

	d.use_sendto = s->way == UDP_SENDTO;
	if (s->row->change)
		s->row->change();
	a = actor_start(group, s->row->who == TWO_AGENTS ? dial_from_two : run_dial, &d);
	if (cells[expected].is_redirect) {
		expect_redirect(s, &d, cells[expected].flow_flags, s->row->who);
	} else if (cells[expected].errnum) {
		expect_denied(cells[expected].errnum, cells[expected].reason);
	} else {
		expect_pass(&d);
	}
	actor_end(&a);
	assert_int_equal(counter(GATE_COUNT_DENY) - denied, cells[expected].errnum ? 1 : 0);
	assert_int_equal(counter(GATE_COUNT_REDIRECT) - redirected, cells[expected].is_redirect ? 1 : 0);
}

/* What an event says, field by field. */
static void event_says_it_all(void **unused)
{
	struct dial d = make_dial(V6, HOST_DEDICATED, PORT_CAPTURED, SOCK_STREAM);
	struct actor a;
	struct events events;
	uint8_t dst[16];

	no_credit();
	a = actor_start(rig.agent_a, run_dial, &d);
	events = take_events();
	actor_end(&a);
	assert_int_equal(events.n, 1);
	address_bytes(&d.to, dst);
	assert_memory_equal(events.last.dst, dst, 16);
	assert_int_equal(events.last.dport, PORT_CAPTURED);
	assert_int_equal(events.last.protocol, IPPROTO_TCP);
	assert_int_equal(events.last.reason, GATE_REASON_NO_CREDIT);
	assert_int_equal(events.last.errnum, told(EDQUOT));
	assert_int_equal(events.last.pid, a.pid);
	assert_true(events.last.agent_cgroup == rig.id_a);
	assert_true(events.last.caller_cgroup == rig.id_a);
	assert_string_equal(events.last.comm, "test_gate");
	assert_in_range(events.last.time_ns, gate_state(rig.g)->heartbeat_ns, gate_state(rig.g)->heartbeat_ns + 60 * SECOND_NS);
}

static void doubt_is_counted(void **unused)
{
	struct dial d = make_dial(V4, HOST_DEDICATED, PORT_CAPTURED, SOCK_STREAM);
	uint64_t before = counter(GATE_COUNT_IN_DOUBT);

	assert_int_equal(act(rig.agent_a, dial_from_two, &d), told(EACCES));
	assert_int_equal(counter(GATE_COUNT_IN_DOUBT) - before, 1);
}

/* ---- all of them */

static int setup(void **unused)
{
	return rig_up(true);
}

int main(void)
{
	static const struct CMUnitTest singles[] = {
		cmocka_unit_test_setup(event_says_it_all, before_each),
		cmocka_unit_test_setup(doubt_is_counted, before_each),
	};
	enum { SINGLES = sizeof(singles) / sizeof(singles[0]), ALL_TESTS = ROWS * COLUMNS * FORMS * WAYS + SINGLES };
	static struct CMUnitTest tests[ALL_TESTS];
	static struct subtest subtests[ALL_TESTS];
	const char *obstacle = rig_obstacle();
	size_t n = 0;

	if (obstacle) {
		print_message("skipped: %s\n", obstacle);
		return 0;
	}
	for (size_t r = 0; r < ROWS; r++)
		for (enum column c = 0; c < COLUMNS; c++)
			for (enum form f = 0; f < FORMS; f++)
				for (enum way w = 0; w < WAYS; w++, n++) {
					struct subtest *s = &subtests[n];

					*s = (struct subtest){ .row = &rows[r], .column = c, .form = f, .way = w };
					(void)snprintf(s->name, sizeof(s->name), "%s | %s | %s | %s", rows[r].name, columns[c].name,
						       form_names[f], way_names[w]);
					tests[n] = (struct CMUnitTest){
						.name = s->name,
						.test_func = run_subtest,
						.setup_func = before_each,
						.initial_state = s,
					};
				}
	memcpy(tests + n, singles, sizeof(singles));
	return cmocka_run_group_tests_name("gate", tests, setup, NULL);
}
