// SPDX-License-Identifier: Apache-2.0
/*
 * The gate's decision, three ways: the design's table row by row with what the
 * application sees; every input there is (all combinations) against the promises
 * that must hold whatever the table says; the small functions at their edges.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "verdict.h"

/* ---- the table. Columns: dedicated, shared, other on a captured port, other. */

enum column { DEDICATED, SHARED, CAPTURED, OTHER, COLUMNS };

/* Cells: what comes out, in one word. */
enum cell {
	PASS,
	REDIR,          /* redirect without flags */
	REDIR_402,      /* redirect, GATE_FLOW_NO_CREDIT */
	REDIR_STRANGER, /* redirect, GATE_FLOW_STRANGER */
	NO_CREDIT,
	PAUSED,
	DEAD,
	NOT_AGENT,
	IDENTITY,
	UDP,
	NETNS,
};

static const struct {
	enum verdict_action action;
	enum gate_reason reason;
	int errnum;
	unsigned flow_flags;
} cells[] = {
	[PASS] = { .action = VERDICT_PASS },
	[REDIR] = { .action = VERDICT_REDIRECT },
	[REDIR_402] = { .action = VERDICT_REDIRECT, .flow_flags = GATE_FLOW_NO_CREDIT },
	[REDIR_STRANGER] = { .action = VERDICT_REDIRECT, .flow_flags = GATE_FLOW_STRANGER },
	[NO_CREDIT] = { .action = VERDICT_DENY, .reason = GATE_REASON_NO_CREDIT, .errnum = EDQUOT },
	[PAUSED] = { .action = VERDICT_DENY, .reason = GATE_REASON_PAUSED, .errnum = EDQUOT },
	[DEAD] = { .action = VERDICT_DENY, .reason = GATE_REASON_DAEMON_DEAD, .errnum = ECONNREFUSED },
	[NOT_AGENT] = { .action = VERDICT_DENY, .reason = GATE_REASON_NOT_AGENT, .errnum = EACCES },
	[IDENTITY] = { .action = VERDICT_DENY, .reason = GATE_REASON_IDENTITY, .errnum = EACCES },
	[UDP] = { .action = VERDICT_DENY, .reason = GATE_REASON_UDP, .errnum = EACCES },
	[NETNS] = { .action = VERDICT_DENY, .reason = GATE_REASON_NETNS, .errnum = EACCES },
};

/* An agent in credit on TCP with a living daemon in reach; rows say what is different. */
#define NORMAL .who = VERDICT_AGENT, .is_tcp = true, .daemon_alive = true, .listener_in_reach = true
#define STRANGER NORMAL, .who = VERDICT_STRANGER
#define DATAGRAM NORMAL, .is_tcp = false

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const struct {
	const char *name;
	struct verdict_input in;
	enum cell expected[COLUMNS];
} rows[] = {
	{ "in credit", { NORMAL }, { REDIR, REDIR, REDIR, PASS } },
	{ "in credit, explain", { NORMAL, .agent_flags = GATE_AGENT_EXPLAIN }, { REDIR, REDIR, REDIR, PASS } },
	{ "in credit, no listener in reach", { NORMAL, .listener_in_reach = false }, { NETNS, NETNS, NETNS, PASS } },
	{ "out of credit", { NORMAL, .credit = VERDICT_NO_CREDIT }, { NO_CREDIT, REDIR_402, REDIR_402, PASS } },
	{ "out of credit, explain",
	  { NORMAL, .credit = VERDICT_NO_CREDIT, .agent_flags = GATE_AGENT_EXPLAIN },
	  { REDIR_402, REDIR_402, REDIR_402, PASS } },
	{ "out of credit, explain, no listener in reach",
	  { NORMAL, .credit = VERDICT_NO_CREDIT, .agent_flags = GATE_AGENT_EXPLAIN, .listener_in_reach = false },
	  { NETNS, NETNS, NETNS, PASS } },
	{ "paused", { NORMAL, .credit = VERDICT_IS_PAUSED }, { PAUSED, REDIR_402, REDIR_402, PASS } },
	{ "paused, explain",
	  { NORMAL, .credit = VERDICT_IS_PAUSED, .agent_flags = GATE_AGENT_EXPLAIN },
	  { REDIR_402, REDIR_402, REDIR_402, PASS } },
	{ "daemon dead", { NORMAL, .daemon_alive = false }, { DEAD, DEAD, DEAD, PASS } },
	{ "daemon dead, fail open",
	  { NORMAL, .daemon_alive = false, .agent_flags = GATE_AGENT_FAIL_OPEN },
	  { DEAD, DEAD, PASS, PASS } },
	{ "daemon alive, fail open", { NORMAL, .agent_flags = GATE_AGENT_FAIL_OPEN }, { REDIR, REDIR, REDIR, PASS } },
	{ "daemon dead, out of credit",
	  { NORMAL, .daemon_alive = false, .credit = VERDICT_NO_CREDIT, .agent_flags = GATE_AGENT_EXPLAIN },
	  { DEAD, DEAD, DEAD, PASS } },
	{ "stranger, others deny", { STRANGER, .others_deny = true }, { NOT_AGENT, REDIR_STRANGER, PASS, PASS } },
	{ "stranger, others deny, daemon dead",
	  { STRANGER, .others_deny = true, .daemon_alive = false },
	  { NOT_AGENT, DEAD, PASS, PASS } },
	{ "stranger, others deny, no listener in reach",
	  { STRANGER, .others_deny = true, .listener_in_reach = false },
	  { NOT_AGENT, NETNS, PASS, PASS } },
	{ "stranger, others deny, UDP", { STRANGER, .others_deny = true, .is_tcp = false }, { UDP, UDP, PASS, PASS } },
	{ "stranger, others allow", { STRANGER }, { PASS, PASS, PASS, PASS } },
	{ "stranger, others allow, UDP", { STRANGER, .is_tcp = false }, { PASS, PASS, PASS, PASS } },
	{ "stranger, others allow, daemon dead", { STRANGER, .daemon_alive = false }, { PASS, PASS, PASS, PASS } },
	{ "in doubt", { NORMAL, .who = VERDICT_IN_DOUBT }, { IDENTITY, IDENTITY, IDENTITY, PASS } },
	{ "in doubt, fail open, daemon dead",
	  { NORMAL, .who = VERDICT_IN_DOUBT, .agent_flags = GATE_AGENT_FAIL_OPEN, .daemon_alive = false },
	  { IDENTITY, IDENTITY, IDENTITY, PASS } },
	{ "in doubt, UDP", { DATAGRAM, .who = VERDICT_IN_DOUBT }, { IDENTITY, IDENTITY, IDENTITY, PASS } },
	{ "UDP", { DATAGRAM }, { UDP, UDP, UDP, PASS } },
	{ "UDP, daemon dead, fail open",
	  { DATAGRAM, .daemon_alive = false, .agent_flags = GATE_AGENT_FAIL_OPEN },
	  { UDP, UDP, UDP, PASS } },
	{ "the daemon", { STRANGER, .others_deny = true, .is_daemon = true }, { PASS, PASS, PASS, PASS } },
	{ "the daemon, UDP, not beating",
	  { STRANGER, .others_deny = true, .is_daemon = true, .is_tcp = false, .daemon_alive = false },
	  { PASS, PASS, PASS, PASS } },
	{ "to the listener", { NORMAL, .to_listener = true, .credit = VERDICT_NO_CREDIT }, { PASS, PASS, PASS, PASS } },
};
#pragma GCC diagnostic pop

static void put_in_column(struct verdict_input *in, enum column c)
{
	in->class = c == DEDICATED ? GATE_CLASS_DEDICATED : c == SHARED ? GATE_CLASS_SHARED : GATE_CLASS_OTHER;
	in->port_is_captured = c == CAPTURED;
}

static void check_cell(const char *name, const char *how, enum column c, const struct verdict_input *in, enum cell expected)
{
	struct verdict v = verdict(in);

	if (v.action != cells[expected].action || v.reason != cells[expected].reason || v.errnum != cells[expected].errnum ||
	    v.flow_flags != cells[expected].flow_flags)
		fail_msg("%s%s, column %d: action %d reason %d errno %d flags %u", name, how, c, v.action, v.reason, v.errnum,
			 v.flow_flags);
}

static void table(void **unused)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (enum column c = 0; c < COLUMNS; c++) {
			struct verdict_input in = rows[i].in;

			put_in_column(&in, c);
			check_cell(rows[i].name, "", c, &in, rows[i].expected[c]);
			/* Port 443 that is not in the list of captured ports matters for datagrams only. */
			if (in.is_tcp) {
				in.port_is_https = true;
				check_cell(rows[i].name, ", 443", c, &in, rows[i].expected[c]);
			}
		}
		/* An exempt address passes in every row. */
		struct verdict_input in = rows[i].in;

		in.class = GATE_CLASS_EXEMPT;
		in.port_is_captured = true;
		in.port_is_https = true;
		check_cell(rows[i].name, ", exempt", OTHER, &in, PASS);
	}
}

static void udp_443_is_denied_though_not_captured(void **unused)
{
	struct verdict_input in = { .who = VERDICT_AGENT, .daemon_alive = true, .port_is_https = true };

	check_cell("agent, UDP 443", "", OTHER, &in, UDP);
	in.who = VERDICT_IN_DOUBT;
	check_cell("in doubt, UDP 443", "", OTHER, &in, IDENTITY);
	in.who = VERDICT_STRANGER;
	in.others_deny = true;
	check_cell("stranger, UDP 443", "", OTHER, &in, PASS);
	in.who = VERDICT_AGENT;
	in.port_is_https = false;
	check_cell("agent, DNS", "", OTHER, &in, PASS);
}

/* A class that this version does not know is an LLM's. */
static void unknown_class_counts_as_dedicated(void **unused)
{
	static const unsigned odd[] = { 4, 5, 127, 255, 256, 0xffffffff };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t j = 0; j < sizeof(odd) / sizeof(odd[0]); j++) {
			struct verdict_input in = rows[i].in;

			in.class = odd[j];
			check_cell(rows[i].name, ", odd class", DEDICATED, &in, rows[i].expected[DEDICATED]);
		}
	}
}

/* ---- all inputs against what must always hold */

static void check_promises(const struct verdict_input *in)
{
	struct verdict v = verdict(in);
	bool is_llm = in->class == GATE_CLASS_DEDICATED || in->class == GATE_CLASS_SHARED;
	bool is_excused = in->class == GATE_CLASS_EXEMPT || in->to_listener || in->is_daemon;
	bool may_be_agent = in->who != VERDICT_STRANGER;

	/* P2: no agent reaches an LLM address but through the daemon, whatever its flags. */
	if (may_be_agent && is_llm && !is_excused)
		assert_int_not_equal(v.action, VERDICT_PASS);
	/* P3: with the daemon dead nothing is sent to it. */
	if (!in->daemon_alive)
		assert_int_not_equal(v.action, VERDICT_REDIRECT);
	/* Only an agent out of credit is announced as one, and it is never announced as anything else. */
	if (v.action == VERDICT_REDIRECT && in->who == VERDICT_AGENT)
		assert_int_equal(v.flow_flags, in->credit == VERDICT_IN_CREDIT ? 0 : GATE_FLOW_NO_CREDIT);
	if (v.action == VERDICT_REDIRECT && in->who == VERDICT_STRANGER)
		assert_int_equal(v.flow_flags, GATE_FLOW_STRANGER);
	if (v.action == VERDICT_REDIRECT)
		assert_true(in->is_tcp && in->listener_in_reach && in->who != VERDICT_IN_DOUBT);
	else
		assert_int_equal(v.flow_flags, 0);
	/* A denial says why; nothing else does. */
	if (v.action == VERDICT_DENY) {
		assert_int_not_equal(v.reason, GATE_REASON_NONE);
		assert_true(v.errnum == EDQUOT || v.errnum == ECONNREFUSED || v.errnum == EACCES);
	} else {
		assert_int_equal(v.reason, GATE_REASON_NONE);
		assert_int_equal(v.errnum, 0);
	}
	/* The short cut in gate.bpf.c. */
	if (in->who == VERDICT_STRANGER && !in->others_deny)
		assert_int_equal(v.action, VERDICT_PASS);
	/* What is not ours is left alone. */
	if (in->class == GATE_CLASS_OTHER && !in->port_is_captured && !in->port_is_https)
		assert_int_equal(v.action, VERDICT_PASS);
	if (is_excused)
		assert_int_equal(v.action, VERDICT_PASS);
}

static void every_input_keeps_the_promises(void **unused)
{
	enum { BITS = 8, FLAGS = GATE_AGENT_PAUSED | GATE_AGENT_EXPLAIN | GATE_AGENT_FAIL_OPEN };
	size_t n = 0;

	for (unsigned who = 0; who <= VERDICT_IN_DOUBT; who++)
		for (unsigned credit = 0; credit <= VERDICT_IS_PAUSED; credit++)
			for (unsigned class = 0; class <= GATE_CLASS_EXEMPT; class++)
				for (unsigned flags = 0; flags <= FLAGS; flags++)
					for (unsigned bits = 0; bits < 1U << BITS; bits++, n++) {
						struct verdict_input in = {
							.who = who,
							.credit = credit,
							.agent_flags = flags,
							.class = class,
							.is_tcp = bits & 1,
							.port_is_captured = bits & 2,
							.port_is_https = bits & 4,
							.daemon_alive = bits & 8,
							.others_deny = bits & 16,
							.is_daemon = (bits & 32) && who == VERDICT_STRANGER,
							.to_listener = bits & 64,
							.listener_in_reach = bits & 128,
						};
						check_promises(&in);
					}
	print_message("%zu inputs\n", n);
}

/* ---- the second lock */

static void packets(void **unused)
{
	static const struct {
		const char *name;
		struct verdict_packet_input in;
		bool passes;
	} cases[] = {
		{ "agent, dedicated", { .who = VERDICT_AGENT, .class = GATE_CLASS_DEDICATED, .is_tcp = true }, false },
		{ "agent, shared", { .who = VERDICT_AGENT, .class = GATE_CLASS_SHARED, .is_tcp = true }, false },
		{ "agent, odd class", { .who = VERDICT_AGENT, .class = 77 }, false },
		{ "agent, other", { .who = VERDICT_AGENT }, true },
		{ "agent, exempt", { .who = VERDICT_AGENT, .class = GATE_CLASS_EXEMPT }, true },
		{ "agent, other, rerouted", { .who = VERDICT_AGENT, .is_rerouted = true }, false },
		{ "agent, exempt, rerouted", { .who = VERDICT_AGENT, .class = GATE_CLASS_EXEMPT, .is_rerouted = true }, false },
		{ "in doubt, dedicated", { .who = VERDICT_IN_DOUBT, .class = GATE_CLASS_DEDICATED }, false },
		{ "in doubt, other", { .who = VERDICT_IN_DOUBT }, true },
		{ "in doubt, rerouted", { .who = VERDICT_IN_DOUBT, .is_rerouted = true }, false },
		{ "stranger, dedicated", { .class = GATE_CLASS_DEDICATED }, true },
		{ "stranger, rerouted", { .is_rerouted = true }, true },
		{ "stranger, deny, dedicated", { .class = GATE_CLASS_DEDICATED, .others_deny = true }, false },
		{ "stranger, deny, shared TCP", { .class = GATE_CLASS_SHARED, .is_tcp = true, .others_deny = true }, true },
		{ "stranger, deny, shared UDP", { .class = GATE_CLASS_SHARED, .others_deny = true }, false },
		{ "stranger, deny, other", { .others_deny = true }, true },
		{ "stranger, deny, other, rerouted", { .others_deny = true, .is_rerouted = true }, false },
		{ "stranger, deny, odd class", { .class = 9, .others_deny = true }, false },
		{ "daemon, dedicated", { .class = GATE_CLASS_DEDICATED, .others_deny = true, .is_daemon = true }, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (verdict_packet(&cases[i].in) != cases[i].passes)
			fail_msg("%s: expected %s", cases[i].name, cases[i].passes ? "pass" : "drop");
}

static void sockets(void **unused)
{
	static const struct {
		int family, type, protocol;
		bool allowed;
	} cases[] = {
		{ AF_INET, SOCK_STREAM, IPPROTO_TCP, true },	{ AF_INET6, SOCK_STREAM, IPPROTO_TCP, true },
		{ AF_INET, SOCK_DGRAM, IPPROTO_UDP, true },	{ AF_INET6, SOCK_DGRAM, IPPROTO_UDP, true },
		{ AF_INET, SOCK_RAW, IPPROTO_TCP, false },	{ AF_INET, SOCK_RAW, IPPROTO_RAW, false },
		{ AF_INET6, SOCK_RAW, IPPROTO_UDP, false },	{ AF_INET, SOCK_DGRAM, IPPROTO_ICMP, false },
		{ AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, false }, { AF_INET, SOCK_STREAM, 262 /* MPTCP */, false },
		{ AF_INET, SOCK_STREAM, IPPROTO_SCTP, false },	{ AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP, false },
		{ AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, false }, { AF_INET, SOCK_STREAM, 256 /* SMC */, false },
		{ AF_INET, SOCK_DCCP, IPPROTO_DCCP, false },	{ AF_INET, SOCK_STREAM, IPPROTO_UDP, false },
		{ AF_UNIX, SOCK_STREAM, IPPROTO_TCP, false },	{ AF_PACKET, SOCK_DGRAM, IPPROTO_UDP, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (verdict_socket((unsigned)cases[i].family, (unsigned)cases[i].type, (unsigned)cases[i].protocol) !=
		    cases[i].allowed)
			fail_msg("family %d type %d protocol %d", cases[i].family, cases[i].type, cases[i].protocol);
}

static void families(void **unused)
{
	static const int allowed[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_ALG };
	size_t n = 0;

	/* Also beyond what exists today. */
	for (int family = -1; family < 300; family++) {
		bool expected = false;

		for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
			expected |= allowed[i] == family;
		if (verdict_family(family) != expected)
			fail_msg("family %d", family);
		n += expected;
	}
	assert_int_equal(n, sizeof(allowed) / sizeof(allowed[0]));
}

static void heartbeat(void **unused)
{
	const uint64_t s = 1000000000, now = 1000 * s, stale = 5 * s;
	static const unsigned v = GATE_ABI_VERSION;
	const struct {
		const char *name;
		unsigned version;
		uint64_t beat, stale_after, at;
		bool alive;
	} cases[] = {
		{ "now", v, now, stale, now, true },
		{ "just in time", v, now - stale, stale, now, true },
		{ "a moment too late", v, now - stale - 1, stale, now, false },
		{ "never", v, 0, stale, now, false },
		{ "never, early after boot", v, 0, stale, 2 * s, false },
		{ "another layout", v + 1, now, stale, now, false },
		{ "no layout", 0, now, stale, now, false },
		{ "slightly ahead", v, now + 100, stale, now, true },
		{ "far ahead", v, now + 2 * s, stale, now, false },
		{ "absurd", v, UINT64_MAX, stale, now, false },
		{ "absurd, half way", v, UINT64_MAX / 2, stale, now, false },
		{ "no patience", v, now - 1, 0, now, false },
		{ "endless patience", v, 1, UINT64_MAX, now, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (verdict_daemon_alive(cases[i].version, cases[i].beat, cases[i].stale_after, cases[i].at) !=
				      cases[i].alive)
			fail_msg("%s: expected %s", cases[i].name, cases[i].alive ? "alive" : "dead");
}

static void window_credit(void **unused)
{
	static const struct {
		long long left, limit, floor;
		bool has;
	} cases[] = {
		{ 1, 100, 0, true },	  { 0, 100, 0, false },	     { -1, 100, 0, false },
		{ 10, 100, 10, false },	  { 11, 100, 10, true },     { -5, 100, -6, true },
		{ 0, 0, 0, false },	  { 0, GATE_NO_LIMIT, 0, true }, { INT64_MIN, GATE_NO_LIMIT, 0, true },
		{ INT64_MIN, 1, 0, false }, { INT64_MAX, INT64_MAX - 1, 0, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (verdict_window_has_credit(cases[i].left, cases[i].limit, cases[i].floor) != cases[i].has)
			fail_msg("left %lld limit %lld floor %lld", cases[i].left, cases[i].limit, cases[i].floor);
}

static void errnos_are_the_systems(void **unused)
{
	assert_int_equal(VERDICT_EACCES, EACCES);
	assert_int_equal(VERDICT_ECONNREFUSED, ECONNREFUSED);
	assert_int_equal(VERDICT_EDQUOT, EDQUOT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(udp_443_is_denied_though_not_captured),
		cmocka_unit_test(unknown_class_counts_as_dedicated),
		cmocka_unit_test(every_input_keeps_the_promises),
		cmocka_unit_test(packets),
		cmocka_unit_test(sockets),
		cmocka_unit_test(families),
		cmocka_unit_test(heartbeat),
		cmocka_unit_test(window_credit),
		cmocka_unit_test(errnos_are_the_systems),
	};

	return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
