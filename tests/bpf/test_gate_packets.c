// SPDX-License-Identifier: Apache-2.0
/*
 * The second lock, and what is older than the enrolment: connections, datagrams and raw sockets that connect never
 * saw, source routes and routing headers, and that enrolment counts from the moment it returns.
 */
#include "acts.h"

/* ---- the second lock */

static char late[2 * PATH_MAX];
static uint64_t late_id;

static int late_setup(void **unused)
{
	struct err e = { "" };

	(void)before_each(NULL);
	(void)snprintf(late, sizeof(late), "%s/late", rig.root);
	assert_int_equal(cgroup_make(late, &e), 0);
	assert_int_equal(cgroup_id(late, &late_id, &e), 0);
	return 0;
}

static int late_teardown(void **unused)
{
	(void)gate_expel(rig.g, late_id);
	for (int i = 0; i < 100 && cgroup_remove(late) == -EBUSY; i++)
		(void)usleep(10000);
	return 0;
}

static int enrol_late(void)
{
	struct gate_agent a = { .account = ACCOUNT_A, .name = "late" };

	return gate_enrol(rig.g, late_id, &a);
}

/* Asks without end; the test says in seen->number what is true since when: odd = enrolled. Counts wrong answers in err. */
static int ask_without_end(void *ctx, struct seen *seen)
{
	struct sockaddr_storage to = make_address(V4, HOST_DEDICATED, PORT_OTHER);

	for (int child = 0; child < 2; child++) {
		if (fork() != 0)
			continue;
		for (;;) {
			int before = __atomic_load_n(&seen->number, __ATOMIC_SEQ_CST);
			int fd = socket(AF_INET, SOCK_DGRAM, 0);
			bool is_denied = connect(fd, sa(&to), address_size(&to)) < 0;

			(void)close(fd);
			/* 0: the test is changing it just now. */
			if (before != 0 && before == __atomic_load_n(&seen->number, __ATOMIC_SEQ_CST) && is_denied != (before & 1))
				(void)__atomic_add_fetch(&seen->peer.ss_family, 1, __ATOMIC_SEQ_CST);
		}
	}
	return 0;
}

/* What programs remember about a cgroup is void the moment enrolment returns. */
static void enrolment_counts_at_once(void **unused)
{
	struct actor a = actor_start(late, ask_without_end, NULL);

	for (int phase = 1; phase <= 4000; phase++) {
		__atomic_store_n(&rig.seen->number, 0, __ATOMIC_SEQ_CST);
		assert_int_equal(phase & 1 ? enrol_late() : gate_expel(rig.g, late_id), 0);
		__atomic_store_n(&rig.seen->number, phase, __ATOMIC_SEQ_CST);
		(void)usleep(20);
	}
	kill_group(late);
	actor_end(&a);
	assert_int_equal(rig.seen->peer.ss_family, 0);
	assert_true(counter(GATE_COUNT_DENY) > 100);
}

/* The agent is above; what was remembered is about the group below it. */
static void enrolment_above_counts_at_once(void **unused)
{
	struct dial d = make_dial(V4, HOST_DEDICATED, PORT_OTHER, SOCK_DGRAM);
	char below[2 * PATH_MAX + 8];

	(void)snprintf(below, sizeof(below), "%s/b/c", late);
	assert_int_equal(cgroup_make(below, NULL), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(act(below, run_dial, &d), 0);
		assert_int_equal(enrol_late(), 0);
		assert_int_equal(act(below, run_dial, &d), told(EACCES));
		assert_int_equal(gate_expel(rig.g, late_id), 0);
	}
}

static int use_old_connection(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	int fd = socket(d->family, d->type, 0);

	if (connect(fd, sa(&d->to), address_size(&d->to)) < 0 || enrol_late() < 0)
		return ECHILD;
	return write(fd, "late", 4) < 0 ? errno : 0;
}

static void connection_older_than_enrolment(void **unused)
{
	for (enum form f = V4; f < FORMS; f++) {
		struct dial d = llm(f);
		uint64_t before = counter(GATE_COUNT_EGRESS_DROP);
		struct sockaddr_storage peer;
		socklen_t size = sizeof(peer);
		struct actor a;
		struct events events;
		char buf[8];
		int fd;

		(void)gate_expel(rig.g, late_id);
		a = actor_start(late, use_old_connection, &d);
		fd = accept(rig.provider[0], (struct sockaddr *)&peer, &size);
		assert_true(fd >= 0);
		(void)usleep(20000);
		assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), -1);
		assert_true(counter(GATE_COUNT_EGRESS_DROP) > before);
		events = take_events();
		assert_int_equal(events.last.reason, GATE_REASON_EGRESS);
		assert_true(events.last.agent_cgroup == late_id);
		actor_end(&a);
		(void)close(fd);
	}
}

static void datagrams_older_than_enrolment(void **unused)
{
	for (enum form f = V4; f < FORMS; f++) {
		struct dial d = make_dial(f, HOST_DEDICATED, PORT_OTHER, SOCK_DGRAM);

		(void)gate_expel(rig.g, late_id);
		(void)act(late, use_old_connection, &d);
		/* A connected v6 socket to a mapped address runs the sendmsg4 hook on every send: denied one step earlier. */
		if (f == MAPPED)
			expect_denied(EACCES, GATE_REASON_UDP);
		else
			expect_denied(EPERM, GATE_REASON_EGRESS);
	}
}

static int use_old_raw(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	int fd = socket(d->family, SOCK_RAW, IPPROTO_UDP);

	if (fd < 0 || enrol_late() < 0)
		return ECHILD;
	struct sockaddr_storage to = d->to;

	if (to.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&to)->sin6_port = 0;
	return sendto(fd, "\0\1\0\1\0\10\0\0", 8, 0, sa(&to), address_size(&to)) < 0 ? errno : 0;
}

static void raw_socket_older_than_enrolment(void **unused)
{
	struct dial d[] = { make_dial(V4, HOST_DEDICATED, PORT_OTHER, SOCK_DGRAM), make_dial(V6, HOST_SHARED, PORT_OTHER, SOCK_DGRAM) };

	for (int i = 0; i < 2; i++) {
		(void)gate_expel(rig.g, late_id);
		(void)act(late, use_old_raw, &d[i]);
		expect_denied(EPERM, GATE_REASON_EGRESS);
	}
}

/*
 * RFC 791: type, length, pointer, addresses. The wire goes to the first stop, sendmsg sees the end; the LLM is the stop
 * between them, where neither looks.
 */
struct route {
	uint8_t kind; /* 131 loose, 137 strict */
	uint8_t first[4];
};

static int send_source_routed(void *ctx, struct seen *seen)
{
	const struct route *route = ctx;
	struct sockaddr_storage to = make_address(V4, HOST_OTHER, PORT_OTHER);
	unsigned char option[12] = { 1, route->kind, 11, 4, 0, 0, 0, 0, 198, 51, 100, HOST_DEDICATED };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	memcpy(option + 4, route->first, 4);
	if (setsockopt(fd, IPPROTO_IP, IP_OPTIONS, option, sizeof(option)) < 0)
		return ENOPROTOOPT;
	return sendto(fd, "x", 1, 0, sa(&to), address_size(&to)) < 0 ? errno : 0;
}

static void ipv4_source_route(void **unused)
{
	static struct route routes[] = {
		{ 131, { 198, 51, 100, HOST_SELF } },
		{ 137, { 198, 51, 100, HOST_SELF } },
		{ 131, { 127, 0, 0, 1 } },
		{ 131, { 198, 51, 100, HOST_DEDICATED } },
	};

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		/* The option, not the address: a stranger may. */
		if (act(rig.stranger, send_source_routed, &routes[i]) != 0)
			print_message("route %zu: not sent by anybody (%s)\n", i, strerror(rig.seen->err));
		(void)act(rig.agent_a, send_source_routed, &routes[i]);
		expect_denied(EPERM, GATE_REASON_EGRESS);
		drain_arrivals();
	}
}

static int send_with_harmless_option(void *ctx, struct seen *seen)
{
	struct sockaddr_storage to = make_address(V4, HOST_OTHER, PORT_OTHER);
	/* NOP and record route with room for one. */
	unsigned char option[] = { 1, 7, 7, 4, 0, 0, 0, 0 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (setsockopt(fd, IPPROTO_IP, IP_OPTIONS, option, sizeof(option)) < 0)
		return ENOPROTOOPT;
	return sendto(fd, "x", 1, 0, sa(&to), address_size(&to)) < 0 ? errno : 0;
}

static void ipv4_other_options_pass(void **unused)
{
	struct sockaddr_storage peer;

	assert_int_equal(act(rig.agent_a, send_with_harmless_option, NULL), 0);
	assert_int_equal(arrival(2000, &peer), AT_PROVIDER_UDP);
}

/* Segment routing header (RFC 8754): segments stand in reverse; the wire goes to the last in the array, sendmsg sees [0]. */
static int send_segment_routed(void *ctx, struct seen *seen)
{
	struct sockaddr_storage to = make_address(V6, HOST_OTHER, PORT_OTHER);
	struct sockaddr_storage middle = make_address(V6, HOST_DEDICATED, 0), first = make_address(V6, HOST_SELF, 0);
	struct {
		uint8_t next, length, type, left, last, flags;
		uint16_t tag;
		struct in6_addr segments[3];
	} header = { .length = 6, .type = 4, .left = 2, .last = 2 };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	header.segments[1] = ((struct sockaddr_in6 *)&middle)->sin6_addr;
	header.segments[2] = ((struct sockaddr_in6 *)&first)->sin6_addr;
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_RTHDR, &header, sizeof(header)) < 0)
		return ENOPROTOOPT;
	return sendto(fd, "x", 1, 0, sa(&to), address_size(&to)) < 0 ? errno : 0;
}

static void ipv6_routing_header(void **unused)
{
	if (act(rig.stranger, send_segment_routed, NULL) == ENOPROTOOPT) {
		print_message("skipped: no segment routing here\n");
		skip();
	}
	drain_arrivals();
	(void)act(rig.agent_a, send_segment_routed, NULL);
	expect_denied(EPERM, GATE_REASON_EGRESS);
}

/* Extension headers that do not send it elsewhere: read through, not dropped. */
static int send_with_destination_options(void *ctx, struct seen *seen)
{
	struct sockaddr_storage to = make_address(V6, *(int *)ctx, PORT_OTHER);
	uint8_t header[8] = { 0, 0, 1, 4 }; /* PadN */
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	if (setsockopt(fd, IPPROTO_IPV6, IPV6_DSTOPTS, header, sizeof(header)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_HOPOPTS, header, sizeof(header)) < 0)
		return ENOPROTOOPT;
	return sendto(fd, "x", 1, 0, sa(&to), address_size(&to)) < 0 ? errno : 0;
}

static void ipv6_other_headers_pass(void **unused)
{
	struct sockaddr_storage peer;
	int host = HOST_OTHER;

	assert_int_equal(act(rig.agent_a, send_with_destination_options, &host), 0);
	assert_int_equal(arrival(2000, &peer), AT_PROVIDER_UDP);
}

/* The address becomes an LLM's after the connect: only egress is left to be in doubt. */
static int connect_then_list(void *ctx, struct seen *seen)
{
	struct sockaddr_storage to = make_address(V4, 99, PORT_OTHER);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	uint8_t addr[16];

	address_bytes(&to, addr);
	if (connect(fd, sa(&to), address_size(&to)) < 0 || gate_put_endpoint(rig.g, addr, 128, GATE_CLASS_DEDICATED, 0) < 0)
		return ECHILD;
	return send(fd, "x", 1, 0) < 0 ? errno : 0;
}

static void nested_too_deep_packet(void **unused)
{
	struct sockaddr_storage ss = make_address(V4, 99, 0);
	char below[2 * (GATE_CGROUP_DEPTH + 8)] = "n";
	uint8_t addr[16];

	/* Not an agent above it that would be found. */
	(void)gate_expel(rig.g, rig.id_a);
	for (int i = 0; i < GATE_CGROUP_DEPTH; i++)
		strcat(below, "/d");
	(void)make_nested(below);
	(void)act(nested, connect_then_list, NULL);
	remove_nested();
	address_bytes(&ss, addr);
	(void)gate_drop_endpoint(rig.g, addr, 128);
	expect_denied(EPERM, GATE_REASON_EGRESS);
}

/* ---- all of them */

static int setup(void **unused)
{
	return rig_up(true);
}

int main(void)
{
#define WAY(f) cmocka_unit_test_setup(f, before_each)
#define LATE(f) cmocka_unit_test_setup_teardown(f, late_setup, late_teardown)
	const struct CMUnitTest tests[] = {
		WAY(nested_too_deep_packet),
		LATE(enrolment_counts_at_once),
		LATE(enrolment_above_counts_at_once),
		LATE(connection_older_than_enrolment),
		LATE(datagrams_older_than_enrolment),
		LATE(raw_socket_older_than_enrolment),
		WAY(ipv4_source_route),
		WAY(ipv4_other_options_pass),
		WAY(ipv6_routing_header),
		WAY(ipv6_other_headers_pass),
	};
	const char *obstacle = rig_obstacle();

	if (obstacle) {
		print_message("skipped: %s\n", obstacle);
		return 0;
	}
	return cmocka_run_group_tests_name("packets", tests, setup, NULL);
}
