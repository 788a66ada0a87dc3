// SPDX-License-Identifier: Apache-2.0
/*
 * Odd destinations and sockets that are used again: addresses of zeros, loopback as an endpoint, NAT64, UDP in all its forms,
 * bound sockets, devices and namespaces, connects that fail, flows that nobody takes.
 */
#include "acts.h"

#include <linux/if_tun.h>

/* ---- odd addresses */

struct odd {
	const char *addr;
	int port;       /* 0: the egress listener's */
	const char *bind_to;
	int type;
	int family_in_call; /* 0: as the address */
};

static int dial_odd(void *ctx, struct seen *seen)
{
	const struct odd *o = ctx;
	struct sockaddr_storage to = parse_address(o->addr, o->port ? o->port : rig.port4);
	int fd = socket(to.ss_family, o->type, 0);

	if (o->bind_to) {
		struct sockaddr_storage from = parse_address(o->bind_to, 0);

		if (bind(fd, sa(&from), address_size(&from)) < 0)
			return errno;
	}
	if (o->type == SOCK_DGRAM) {
		socklen_t size = address_size(&to);

		if (o->family_in_call >= 0)
			to.ss_family = (sa_family_t)o->family_in_call;
		return sendto(fd, "x", 1, 0, sa(&to), size) < 0 ? errno : 0;
	}
	return dial_on(fd, &to, seen);
}

/* Zeros are this host: not captured, not denied, whatever the state of the agent. */
static void zeros_mean_loopback(void **unused)
{
	static struct odd odd[] = {
		{ "0.0.0.0", 0, NULL, SOCK_STREAM, -1 },
		{ "::ffff:0.0.0.0", 0, NULL, SOCK_STREAM, -1 },
		{ "::ffff:127.0.0.1", 0, NULL, SOCK_STREAM, -1 },
		{ "127.0.0.1", 0, NULL, SOCK_STREAM, -1 },
	};
	struct sockaddr_storage peer;

	kill_daemon();
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct actor a = actor_start(rig.agent_a, dial_odd, &odd[i]);

		if (rig.seen->err)
			fail_msg("%s: %s", odd[i].addr, strerror(rig.seen->err));
		assert_int_equal(arrival(2000, &peer), AT_EGRESS4);
		actor_end(&a);
	}
	assert_int_equal(flows_left(), 0);
}

/* Bound to an address of this host, 0.0.0.0 is that address; it may be a configured endpoint. */
static void zeros_on_a_bound_socket(void **unused)
{
	static struct odd odd[] = {
		{ "0.0.0.0", PORT_OTHER, "198.51.100.10", SOCK_STREAM, -1 },
		{ "::ffff:0.0.0.0", PORT_OTHER, "::ffff:198.51.100.10", SOCK_STREAM, -1 },
	};
	uint8_t dst[16];

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct actor a = actor_start(rig.agent_a, dial_odd, &odd[i]);
		struct gate_flow flow = expect_flow(AT_EGRESS4, rig.id_a, ACCOUNT_A);
		struct sockaddr_storage ss = make_address(V4, HOST_DEDICATED, 0);

		address_bytes(&ss, dst);
		assert_memory_equal(flow.dst, dst, 16);
		actor_end(&a);
	}
}

/* A local model server that is a configured endpoint; 0.0.0.0 is another name for it. The listener itself still passes. */
static void loopback_as_an_endpoint(void **unused)
{
	static struct odd llms[] = {
		{ "127.0.0.1", PORT_OTHER, NULL, SOCK_STREAM, -1 },
		{ "0.0.0.0", PORT_OTHER, NULL, SOCK_STREAM, -1 },
		{ "::ffff:0.0.0.0", PORT_OTHER, NULL, SOCK_STREAM, -1 },
		/* To the kernel :: is ::ffff:127.0.0.1 here. */
		{ "::", PORT_OTHER, "::ffff:198.51.100.77", SOCK_STREAM, -1 },
	};
	struct odd listener = { "127.0.0.1", 0, NULL, SOCK_STREAM, -1 };
	struct sockaddr_storage ss = parse_address("127.0.0.1", 0), peer;
	struct actor a;
	uint8_t addr[16];

	address_bytes(&ss, addr);
	assert_int_equal(gate_put_endpoint(rig.g, addr, 128, GATE_CLASS_DEDICATED, 0), 0);
	for (size_t i = 0; i < sizeof(llms) / sizeof(llms[0]); i++) {
		a = actor_start(rig.agent_a, dial_odd, &llms[i]);
		(void)expect_flow(AT_EGRESS4, rig.id_a, ACCOUNT_A);
		actor_end(&a);
	}
	a = actor_start(rig.agent_a, dial_odd, &listener);
	assert_int_equal(rig.seen->err, 0);
	assert_int_equal(arrival(2000, &peer), AT_EGRESS4);
	assert_int_equal(gate_take_flow(rig.g, rig.netns_cookie, &peer, &(struct gate_flow){ 0 }), -ENOENT);
	actor_end(&a);
	assert_int_equal(gate_drop_endpoint(rig.g, addr, 128), 0);
}

/* NAT64 reaches the same provider; no route is needed to see the verdict. */
static void nat64_form(void **unused)
{
	static struct odd odd = { "64:ff9b::198.51.100.10", PORT_OTHER, NULL, SOCK_STREAM, -1 };
	struct actor a = actor_start(rig.agent_a, dial_odd, &odd);

	(void)expect_flow(AT_EGRESS6, rig.id_a, ACCOUNT_A);
	actor_end(&a);
}

/* Unconnected UDP takes family 0 for AF_INET. */
static void udp_with_family_unspec(void **unused)
{
	static struct odd odd = { "198.51.100.10", PORT_OTHER, NULL, SOCK_DGRAM, AF_UNSPEC };

	assert_int_equal(act(rig.stranger, dial_odd, &odd), 0);
	drain_arrivals();
	(void)act(rig.agent_a, dial_odd, &odd);
	expect_denied(EACCES, GATE_REASON_UDP);
}

static void udp_443_and_dns(void **unused)
{
	static const uint16_t no_443[] = { 8443 };
	static struct odd https = { "198.51.100.30", PORT_CAPTURED, NULL, SOCK_DGRAM, -1 };
	static struct odd dns = { "198.51.100.30", PORT_DNS, NULL, SOCK_DGRAM, -1 };
	struct sockaddr_storage peer;

	gate_set_policy(rig.g, false, no_443, 1, 600 * (uint64_t)SECOND_NS);
	assert_int_equal(act(rig.agent_a, dial_odd, &dns), 0);
	assert_int_equal(arrival(2000, &peer), AT_PROVIDER_UDP);
	(void)act(rig.agent_a, dial_odd, &https);
	expect_denied(EACCES, GATE_REASON_UDP);
}

static int connected_udp_elsewhere(void *ctx, struct seen *seen)
{
	struct sockaddr_storage harmless = make_address(V4, HOST_OTHER, PORT_OTHER);
	struct sockaddr_storage to = make_address(V4, HOST_DEDICATED, PORT_OTHER);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (connect(fd, sa(&harmless), address_size(&harmless)) < 0)
		return ECHILD;
	return sendto(fd, "x", 1, 0, sa(&to), address_size(&to)) < 0 ? errno : 0;
}

static void connected_udp_sends_elsewhere(void **unused)
{
	(void)act(rig.agent_a, connected_udp_elsewhere, NULL);
	expect_denied(EACCES, GATE_REASON_UDP);
}

static int bound_dial(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	struct sockaddr_storage from = d->family == AF_INET ? make_address(V4, 77, 0) : make_address(V6, HOST_OTHER, 0);
	int fd = socket(d->family, SOCK_STREAM, 0);

	if (bind(fd, sa(&from), address_size(&from)) < 0)
		return errno;
	return dial_on(fd, &d->to, seen);
}

static void bound_source_address(void **unused)
{
	struct dial d[] = { llm(V4), llm(V6) };

	for (int i = 0; i < 2; i++) {
		struct actor a = actor_start(rig.agent_a, bound_dial, &d[i]);

		(void)expect_flow(i ? AT_EGRESS6 : AT_EGRESS4, rig.id_a, ACCOUNT_A);
		actor_end(&a);
	}
}

static void no_v6_listener(void **unused)
{
	struct dial d = llm(V6);

	gate_set_listeners(rig.g, rig.port4, 0, rig.netns_cookie);
	(void)act(rig.agent_a, run_dial, &d);
	expect_denied(EACCES, GATE_REASON_NETNS);
	d = llm(V4);
	struct actor a = actor_start(rig.agent_a, run_dial, &d);

	(void)expect_flow(AT_EGRESS4, rig.id_a, ACCOUNT_A);
	actor_end(&a);
}

/* ---- devices and namespaces */

static int dial_on_lo(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	int fd = socket(d->family, SOCK_STREAM, 0);

	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0)
		return errno;
	return dial_on(fd, &d->to, seen);
}

static void bound_to_lo(void **unused)
{
	expect_captured(rig.agent_a, dial_on_lo);
}

static int dial_on_tun(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	struct ifreq r = { .ifr_name = "purse0", .ifr_flags = IFF_TUN };
	int tun = open("/dev/net/tun", O_RDWR);
	int fd = socket(d->family, SOCK_STREAM, 0);

	if (tun < 0 || ioctl(tun, TUNSETIFF, &r) < 0)
		return ENODEV;
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "purse0", 7) < 0)
		return ENODEV;
	return dial_on(fd, &d->to, seen);
}

/* Redirected to loopback it would hang until it times out. */
static void bound_to_another_device(void **unused)
{
	struct dial d = llm(V4);

	if (act(rig.agent_a, dial_on_tun, &d) == ENODEV) {
		print_message("skipped: no TUN device here\n");
		skip();
	}
	expect_denied(EACCES, GATE_REASON_NETNS);
}

static int dial_from_new_netns(void *ctx, struct seen *seen)
{
	if (unshare(CLONE_NEWNET) < 0)
		return ECHILD;
	dress_namespace();
	return run_dial(ctx, seen);
}

static void another_network_namespace(void **unused)
{
	struct dial d = llm(V4);

	(void)act(rig.agent_a, dial_from_new_netns, &d);
	expect_denied(EACCES, GATE_REASON_NETNS);
	/* What nobody captures is left alone: refused by the empty namespace itself. */
	d = make_dial(V4, HOST_OTHER, PORT_OTHER, SOCK_STREAM);
	assert_int_equal(act(rig.agent_a, dial_from_new_netns, &d), ECONNREFUSED);
	assert_int_equal(take_events().n, 0);
}

/* ---- again on the same socket */

static int redirect_then_other(void *ctx, struct seen *seen)
{
	struct sockaddr_storage first = make_address(V4, HOST_DEDICATED, PORT_CAPTURED);
	struct sockaddr_storage second = make_address(V4, HOST_OTHER, PORT_OTHER);
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, sa(&first), address_size(&first)) < 0 || connect(fd, &nobody, sizeof(nobody)) < 0)
		return errno;
	return dial_on(fd, &second, seen);
}

static void reconnected_elsewhere(void **unused)
{
	struct sockaddr_storage expected = make_address(V4, HOST_OTHER, PORT_OTHER);
	struct actor a = actor_start(rig.agent_a, redirect_then_other, NULL);

	assert_int_equal(rig.seen->err, 0);
	assert_true(same_address(&rig.seen->peer, &expected));
	/* Nobody took the first one; it went with the disconnect. */
	assert_int_equal(flows_left(), 0);
	actor_end(&a);
}

static int other_then_redirect(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	struct sockaddr_storage first = make_address(V4, HOST_OTHER, PORT_OTHER);
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, sa(&first), address_size(&first)) < 0 || connect(fd, &nobody, sizeof(nobody)) < 0)
		return errno;
	return dial_on(fd, &d->to, seen);
}

static void reconnected_to_the_llm(void **unused)
{
	struct dial d = llm(V4);
	struct actor a = actor_start(rig.agent_a, other_then_redirect, &d);
	struct sockaddr_storage peer;

	assert_int_equal(arrival(2000, &peer), AT_EGRESS4);
	actor_end(&a);
	assert_true(same_address(&rig.seen->peer, &d.to));
}

/* The first connect is redirected and fails before a SYN: its pair of addresses is in use. The second goes elsewhere. */
static int fail_early_then_other(void *ctx, struct seen *seen)
{
	struct sockaddr_storage from = make_address(V4, 77, 0);
	struct sockaddr_storage first = make_address(V4, HOST_DEDICATED, PORT_CAPTURED);
	struct sockaddr_storage second = make_address(V4, HOST_OTHER, PORT_OTHER);
	socklen_t size = sizeof(from);
	int fds[2], one = 1;

	for (int i = 0; i < 2; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		(void)setsockopt(fds[i], SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(fds[i], sa(&from), address_size(&from)) < 0 ||
		    getsockname(fds[i], (struct sockaddr *)&from, &size) < 0)
			return errno;
	}
	if (connect(fds[0], sa(&first), address_size(&first)) < 0)
		return errno;
	if (connect(fds[1], sa(&first), address_size(&first)) == 0 || errno != EADDRNOTAVAIL)
		return ECHILD;
	return dial_on(fds[1], &second, seen);
}

static void redirect_that_never_left(void **unused)
{
	struct sockaddr_storage expected = make_address(V4, HOST_OTHER, PORT_OTHER);
	struct actor a = actor_start(rig.agent_a, fail_early_then_other, NULL);

	assert_int_equal(rig.seen->err, 0);
	assert_true(same_address(&rig.seen->peer, &expected));
	/* The first socket's, not one for the connection that passed. */
	assert_int_equal(flows_left(), 1);
	actor_end(&a);
}

/* ---- flows that nobody takes */

static void failed_connect_leaves_no_flow(void **unused)
{
	struct dial d[] = { llm(V4), llm(V6), llm(MAPPED) };

	/* Ports where nobody listens. */
	gate_set_listeners(rig.g, 9, 9, rig.netns_cookie);
	for (int i = 0; i < 3; i++) {
		struct actor a = actor_start(rig.agent_a, run_dial, &d[i]);

		/* Looked at while the socket is still open. */
		assert_int_equal(rig.seen->err, ECONNREFUSED);
		assert_int_equal(flows_left(), 0);
		actor_end(&a);
	}
}

static void closed_connection_leaves_no_flow(void **unused)
{
	struct dial d = llm(V4);

	assert_int_equal(act(rig.agent_a, run_dial, &d), 0);
	drain_arrivals();
	assert_int_equal(flows_left(), 0);
}

/* ---- all of them */

static int setup(void **unused)
{
	return rig_up(true);
}

int main(void)
{
#define WAY(f) cmocka_unit_test_setup(f, before_each)
	const struct CMUnitTest tests[] = {
		WAY(zeros_mean_loopback),
		WAY(zeros_on_a_bound_socket),
		WAY(loopback_as_an_endpoint),
		WAY(nat64_form),
		WAY(udp_with_family_unspec),
		WAY(udp_443_and_dns),
		WAY(connected_udp_sends_elsewhere),
		WAY(bound_source_address),
		WAY(no_v6_listener),
		WAY(bound_to_lo),
		WAY(bound_to_another_device),
		WAY(another_network_namespace),
		WAY(reconnected_elsewhere),
		WAY(reconnected_to_the_llm),
		WAY(redirect_that_never_left),
		WAY(failed_connect_leaves_no_flow),
		WAY(closed_connection_leaves_no_flow),
	};
	const char *obstacle = rig_obstacle();

	if (obstacle) {
		print_message("skipped: %s\n", obstacle);
		return 0;
	}
	return cmocka_run_group_tests_name("addresses", tests, setup, NULL);
}
