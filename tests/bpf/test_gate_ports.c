// SPDX-License-Identifier: Apache-2.0
/*
 * The port of a listener while nobody listens on it: after a crash the row stands, and the heartbeat counts for some seconds more. An agent that
 * asks the kernel for any port, as often as it likes, must not get that one.
 */
#include "acts.h"

#include "kern/netns.h"

#define RANGE_FILE "/proc/sys/net/ipv4/ip_local_port_range"
#define ASK_FOR_RANGE 51 /* IP_LOCAL_PORT_RANGE, Linux 6.3 */

enum { LOW = 40000, HIGH = 40039 };

static void write_range(unsigned low, unsigned high)
{
	FILE *f = fopen(RANGE_FILE, "we");

	assert_non_null(f);
	assert_true(fprintf(f, "%u %u", low, high) > 0);
	assert_int_equal(fclose(f), 0);
}

static struct netns_listener listen_here(uint16_t port, uint16_t before)
{
	struct netns_listener l = NETNS_LISTENER_NONE;

	l.port4 = l.port6 = before;
	assert_int_equal(netns_listen(-1, port, &l), 0);
	assert_true(l.fd4 >= 0 && l.fd6 >= 0);
	return l;
}

static void leave(struct netns_listener *l)
{
	(void)close(l->fd4);
	(void)close(l->fd6);
}

/* What an agent tries, until the range is used up. `number`: of its sockets on the port that it was after. */
struct hunt {
	uint16_t port;
	int family;
};

static int hunt_port(void *ctx, struct seen *seen)
{
	const struct hunt *h = ctx;
	uint32_t only = (uint32_t)h->port << 16 | h->port;

	for (int i = 0; i < 3 * (HIGH - LOW + 1); i++) {
		int fd = socket(h->family, SOCK_STREAM, 0);
		struct sockaddr_storage ss = parse_address(h->family == AF_INET ? (i % 2 ? "127.0.0.1" : "0.0.0.0") : i % 2 ? "::1" : "::", 0);
		socklen_t size = sizeof(ss);

		if (i % 3 == 1)
			(void)setsockopt(fd, IPPROTO_IP, ASK_FOR_RANGE, &only, sizeof(only));
		/* listen() without bind() every third time. */
		if (i % 3 != 2 && bind(fd, (struct sockaddr *)&ss, address_size(&ss)) < 0)
			continue;
		if (listen(fd, 8) == 0 && getsockname(fd, (struct sockaddr *)&ss, &size) == 0)
			seen->number += address_port(&ss) == h->port;
	}
	return 0;
}

static int hunt(int family, uint16_t port)
{
	struct hunt h = { .port = port, .family = family };

	assert_int_equal(act(rig.agent_a, hunt_port, &h), 0);
	return rig.seen->number;
}

/* A daemon that crashed: its row stands, its beat is fresh, its sockets are gone. */
static void crash(struct netns_listener *l)
{
	gate_set_listeners(rig.g, l->port4, l->port6, l->cookie);
	gate_beat(rig.g);
	leave(l);
}

/* Why: in the range it is a matter of how often one asks. */
static void in_the_range_it_can_be_had(void **unused)
{
	struct netns_listener l = listen_here(LOW + 7, 0);

	crash(&l);
	assert_true(hunt(AF_INET, LOW + 7) > 0);
	assert_true(hunt(AF_INET6, LOW + 7) > 0);
}

static void outside_it_cannot(void **unused)
{
	struct netns_listener l = listen_here(0, 0);

	assert_int_equal(l.port4, HIGH + 1);
	assert_int_equal(l.port6, HIGH + 1);
	crash(&l);
	assert_int_equal(hunt(AF_INET, l.port4), 0);
	assert_int_equal(hunt(AF_INET6, l.port6), 0);
	/* By name it never could. */
	struct dial d = make_dial(V4, HOST_DEDICATED, PORT_CAPTURED, SOCK_STREAM);

	assert_int_equal(act(rig.agent_a, run_dial, &d), ECONNREFUSED);
	/* And the next daemon has it again. */
	struct netns_listener again = listen_here(0, l.port4);

	assert_int_equal(again.port4, l.port4);
	leave(&again);
}

static void the_same_if_it_can_be_had(void **unused)
{
	struct netns_listener first = listen_here(0, HIGH + 500), second;

	assert_int_equal(first.port4, HIGH + 500);
	assert_int_equal(first.port6, HIGH + 500);
	/* Taken by somebody else: the first that is free. */
	second = listen_here(0, HIGH + 500);
	assert_int_equal(second.port4, HIGH + 1);
	leave(&second);
	leave(&first);
	/* One of an older version was in the range: not again. */
	first = listen_here(0, LOW + 3);
	assert_int_equal(first.port4, HIGH + 1);
	second = listen_here(0, LOW + 3);
	assert_int_equal(second.port4, HIGH + 2);
	leave(&second);
	leave(&first);
	/* Who names one gets it. */
	first = listen_here(LOW + 9, HIGH + 9);
	assert_int_equal(first.port4, LOW + 9);
	leave(&first);
}

static void nothing_outside(void **unused)
{
	struct netns_listener l;

	write_range(1024, 65535);
	l = listen_here(0, 0);
	assert_true(l.port4 >= 1024 && l.port6 >= 1024);
	leave(&l);
	write_range(LOW, 65535);
	l = listen_here(0, 0);
	assert_int_equal(l.port4, LOW - 1);
	leave(&l);
}

/* The range is each namespace's own. */
static void range_of_that_namespace(void **unused)
{
	struct netns_listener l = NETNS_LISTENER_NONE;
	int ready[2], go[2], ns;
	char path[64], byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid_t pid = fork();

	if (pid == 0) {
		(void)close(go[1]);
		if (unshare(CLONE_NEWNET) < 0)
			_exit(1);
		dress_namespace();
		write_range(50000, 50009);
		(void)!write(ready[1], "", 1);
		(void)!read(go[0], &byte, 1);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(netns_listen(ns, 0, &l), 0);
	assert_int_equal(l.port4, 50010);
	assert_int_equal(l.port6, 50010);
	leave(&l);
	(void)close(ns);
	(void)close(go[0]);
	(void)close(go[1]);
	(void)close(ready[0]);
	(void)close(ready[1]);
	(void)waitpid(pid, NULL, 0);
}

static int narrow(void **unused)
{
	write_range(LOW, HIGH);
	return before_each(unused);
}

static int setup(void **unused)
{
	return rig_up(true);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup(f, narrow)
	const struct CMUnitTest tests[] = {
		CASE(in_the_range_it_can_be_had),
		CASE(outside_it_cannot),
		CASE(the_same_if_it_can_be_had),
		CASE(range_of_that_namespace),
		CASE(nothing_outside),
	};
	const char *obstacle = rig_obstacle();

	if (obstacle) {
		print_message("skipped: %s\n", obstacle);
		return 0;
	}
	return cmocka_run_group_tests_name("the port of a listener", tests, setup, NULL);
}
