// SPDX-License-Identifier: Apache-2.0
/*
 * Sockets that were connected before the enrolment are ended (SOCK_DESTROY), wherever the agent has them: in its own
 * cgroup, below it, in another network namespace, or made elsewhere and handed to it. What is not the agent's, or not of interest,
 * stays.
 */
#include "acts.h"

#include <sys/resource.h>

#include "kern/sockets.h"

static char late[PATH_MAX], below[2 * PATH_MAX];

static int setup_late(void **unused)
{
	struct err e = { "" };

	(void)before_each(NULL);
	(void)snprintf(late, sizeof(late), "%.4000s/late", rig.root);
	(void)snprintf(below, sizeof(below), "%s/x/y", late);
	assert_int_equal(cgroup_make(below, &e), 0);
	return 0;
}

static int end_late(void **unused)
{
	for (int i = 0; i < 100 && cgroup_remove(late) == -EBUSY; i++)
		(void)usleep(10000);
	return 0;
}

struct old {
	const char *cut; /* the agent's cgroup */
	struct dial d;
	int inherited;    /* a socket that was connected elsewhere; 0 = none */
};

static int connected(const struct old *o)
{
	if (o->inherited)
		return o->inherited;
	int fd = socket(o->d.family, o->d.type, 0);

	return connect(fd, sa(&o->d.to), address_size(&o->d.to)) < 0 ? -1 : fd;
}

static int end_old(const char *dir, size_t *ret_ended, struct err *e)
{
	struct gate_old of = { .cgroup_dir = dir };
	int r = gate_end_old_flows(rig.g, &of, 1, NULL, NULL, e);

	if (r == 0)
		*ret_ended = of.ended;
	return r < 0 ? r : of.error;
}

/* Answers what a read says after the cut; 0 = the socket still stands. */
static int cut_and_read(void *ctx, struct seen *seen)
{
	const struct old *o = ctx;
	struct err e = { "" };
	size_t ended = 0;
	char c;
	int fd = connected(o);

	if (fd < 0)
		return ECHILD;
	int r = end_old(o->cut, &ended, &e);

	if (r < 0) {
		fprintf(stderr, "%s\n", e.text);
		return -r;
	}
	seen->number = (int)ended;
	return recv(fd, &c, 1, MSG_DONTWAIT) < 0 && errno != EAGAIN ? errno : 0;
}

static void expect_ended(const char *where, struct old *o)
{
	assert_int_equal(act(where, cut_and_read, o), ECONNABORTED);
	assert_int_equal(rig.seen->number, 1);
}

static void expect_left(const char *where, struct old *o)
{
	assert_int_equal(act(where, cut_and_read, o), 0);
	assert_int_equal(rig.seen->number, 0);
}

static void tcp_is_ended(void **unused)
{
	for (enum form f = V4; f < FORMS; f++) {
		struct old o = { .cut = late, .d = make_dial(f, HOST_DEDICATED, PORT_OTHER, SOCK_STREAM) };

		expect_ended(late, &o);
	}
}

static void udp_is_ended(void **unused)
{
	for (enum form f = V4; f < FORMS; f++) {
		struct old o = { .cut = late, .d = make_dial(f, HOST_SHARED, PORT_OTHER, SOCK_DGRAM) };

		expect_ended(late, &o);
	}
}

static void captured_port_is_ended(void **unused)
{
	struct old o = { .cut = late, .d = make_dial(V4, HOST_OTHER, PORT_CAPTURED, SOCK_STREAM) };

	expect_ended(late, &o);
}

static void below_is_ended(void **unused)
{
	struct old o = { .cut = late, .d = make_dial(V6, HOST_DEDICATED, PORT_OTHER, SOCK_STREAM) };

	expect_ended(below, &o);
}

/* The actor stays in a namespace of its own, with what it connected there; the test, like the daemon, is in another. */
static int connect_elsewhere(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;

	if (unshare(CLONE_NEWNET) < 0)
		return errno;
	dress_namespace();
	(void)open_listener("0.0.0.0", PORT_OTHER, SOCK_STREAM, NULL);
	int fd = socket(d->family, d->type, 0);

	return connect(fd, sa(&d->to), address_size(&d->to)) < 0 ? errno : 0;
}

static int connect_only(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	int fd = socket(d->family, d->type, 0);

	return connect(fd, sa(&d->to), address_size(&d->to)) < 0 ? errno : 0;
}

static void other_namespace_is_ended(void **unused)
{
	struct dial d = make_dial(V4, HOST_DEDICATED, PORT_OTHER, SOCK_STREAM);
	struct actor a = actor_start(late, connect_elsewhere, &d);
	struct err e = { "" };
	size_t ended = 0;

	assert_int_equal(rig.seen->err, 0);
	assert_int_equal(end_old(late, &ended, &e), 0);
	assert_int_equal(ended, 1);
	assert_int_equal(end_old(late, &ended, &e), 0);
	assert_int_equal(ended, 0);
	actor_end(&a);
}

static void inherited_is_ended(void **unused)
{
	struct dial d = make_dial(V4, HOST_DEDICATED, PORT_OTHER, SOCK_STREAM);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct old o = { .cut = late, .d = d, .inherited = fd };

	assert_int_equal(connect(fd, sa(&d.to), address_size(&d.to)), 0);
	expect_ended(late, &o);
	(void)close(fd);
}

static void of_no_interest_is_left(void **unused)
{
	struct old o = { .cut = late, .d = make_dial(V4, HOST_OTHER, PORT_OTHER, SOCK_STREAM) };

	expect_left(late, &o);
}

static void of_others_is_left(void **unused)
{
	struct old o = { .cut = late, .d = make_dial(V4, HOST_DEDICATED, PORT_OTHER, SOCK_STREAM) };

	expect_left(rig.stranger, &o);
}

/* A way of its own: who listens at it has a port there. */
static struct sockaddr_storage loopback(enum form f, int port)
{
	return parse_address(f == V6 ? "::1" : "127.0.0.1", port);
}

static void list(const struct sockaddr_storage *ss, bool listed)
{
	uint8_t addr[16];

	address_bytes(ss, addr);
	assert_int_equal(listed ? gate_put_endpoint(rig.g, addr, 128, GATE_CLASS_DEDICATED, 0) : gate_drop_endpoint(rig.g, addr, 128), 0);
}

static void loopback_can_be_listed(void **unused)
{
	for (enum form f = V4; f <= V6; f++) {
		struct old direct = { .cut = late, .d = { .family = f == V6 ? AF_INET6 : AF_INET, .to = loopback(f, PORT_OTHER), .type = SOCK_STREAM } };
		struct old through = direct, redirected = { .cut = rig.agent_a, .d = make_dial(f, HOST_DEDICATED, PORT_OTHER, SOCK_STREAM) };

		through.d.to = loopback(f, f == V6 ? rig.port6 : rig.port4);
		list(&direct.d.to, true);
		expect_ended(late, &direct);
		expect_left(late, &through);
		expect_left(rig.agent_a, &redirected);
		list(&direct.d.to, false);
		expect_left(late, &direct);
	}
}

static void an_expelled_agent_keeps_its_own(void **unused)
{
	struct dial d = make_dial(V4, HOST_DEDICATED, PORT_OTHER, SOCK_STREAM);
	struct actor a = actor_start(late, connect_only, &d);
	struct gate_old of = { .cgroup_dir = late };
	struct err e = { "" };

	assert_int_equal(cgroup_id(late, &of.cgroup_id, &e), 0);
	assert_int_equal(gate_end_old_flows(rig.g, &of, 1, NULL, NULL, &e), 0);
	assert_int_equal(of.ended, 0);
	enrol(of.cgroup_id, "late", ACCOUNT_A, 0);
	assert_int_equal(gate_end_old_flows(rig.g, &of, 1, NULL, NULL, &e), 0);
	assert_int_equal(of.ended, 1);
	assert_int_equal(gate_expel(rig.g, of.cgroup_id), 0);
	actor_end(&a);
}

/* One look for several: what is whose is told apart, and one that is gone keeps nobody from the others. */
static void several_at_once(void **unused)
{
	struct dial d = make_dial(V6, HOST_DEDICATED, PORT_OTHER, SOCK_STREAM);
	struct actor a = actor_start(below, connect_only, &d), b = actor_start(rig.stranger, connect_only, &d);
	struct actor c = actor_start(rig.stranger, connect_only, &d);
	struct gate_old of[] = { { .cgroup_dir = late }, { .cgroup_dir = "/sys/fs/cgroup/no-such-folder" }, { .cgroup_dir = rig.stranger },
				 { .cgroup_dir = rig.agent_b } };
	struct err e = { "" };

	assert_int_equal(gate_end_old_flows(rig.g, of, 4, NULL, NULL, &e), 0);
	assert_int_equal(of[0].ended, 1);
	assert_int_equal(of[1].error, -ENOENT);
	assert_int_equal(of[2].ended, 2);
	assert_int_equal(of[3].ended, 0);
	assert_int_equal(of[0].error | of[2].error | of[3].error, 0);
	actor_end(&a);
	actor_end(&b);
	actor_end(&c);
}

static bool at_once(void *ctx)
{
	++*(int *)ctx;
	return true;
}

static void a_look_can_be_stopped(void **unused)
{
	struct dial d = make_dial(V4, HOST_DEDICATED, PORT_OTHER, SOCK_STREAM);
	struct actor a = actor_start(late, connect_only, &d);
	struct gate_old of = { .cgroup_dir = late };
	struct err e = { "" };
	int asked = 0;

	assert_int_equal(gate_end_old_flows(rig.g, &of, 1, at_once, &asked, &e), -ECANCELED);
	assert_true(asked > 0);
	assert_int_equal(of.ended, 0);
	assert_int_equal(gate_end_old_flows(rig.g, &of, 1, NULL, NULL, &e), 0);
	assert_int_equal(of.ended, 1);
	actor_end(&a);
}

enum { MANY = 5000 };

static int connect_among_many(void *ctx, struct seen *seen)
{
	const struct rlimit more = { MANY + 100, MANY + 100 };
	int pair[2];

	if (setrlimit(RLIMIT_NOFILE, &more) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return ECHILD;
	for (int i = 0; i < MANY - 50; i++)
		if (dup(pair[i % 2]) < 0)
			return errno;
	return connect_only(ctx, seen);
}

static void among_thousands_of_descriptors(void **unused)
{
	struct dial d = make_dial(V4, HOST_DEDICATED, PORT_OTHER, SOCK_STREAM);
	struct actor a = actor_start(late, connect_among_many, &d);
	struct err e = { "" };
	size_t ended = 0;

	assert_int_equal(rig.seen->err, 0);
	assert_int_equal(end_old(late, &ended, &e), 0);
	assert_int_equal(ended, 1);
	actor_end(&a);
}

/* When there may be such connections. */
static void the_epoch_turns(void **unused)
{
	struct sockaddr_storage ss = make_address(V4, 77, 0);
	uint8_t addr[16];
	uint64_t was;

	address_bytes(&ss, addr);
	gate_beat(rig.g);
#define SAME(what) do { was = gate_old_epoch(rig.g); what; assert_int_equal(gate_old_epoch(rig.g), was); } while (0)
#define OTHER(what) do { was = gate_old_epoch(rig.g); what; assert_true(gate_old_epoch(rig.g) != was); } while (0)
	SAME(gate_beat(rig.g));
	OTHER(assert_int_equal(gate_put_endpoint(rig.g, addr, 128, GATE_CLASS_SHARED, 0), 0));
	SAME(assert_int_equal(gate_put_endpoint(rig.g, addr, 128, GATE_CLASS_SHARED, 0), 0));
	SAME(assert_int_equal(gate_put_endpoint(rig.g, addr, 128, GATE_CLASS_DEDICATED, 0), 0));
	SAME(assert_int_equal(gate_put_endpoint(rig.g, addr, 128, GATE_CLASS_EXEMPT, 0), 0));
	OTHER(assert_int_equal(gate_put_endpoint(rig.g, addr, 128, GATE_CLASS_DEDICATED, 0), 0));
	SAME(assert_int_equal(gate_drop_endpoint(rig.g, addr, 128), 0));
	/* Nobody served for a while: 600 s is stale here. */
	gate_state(rig.g)->heartbeat_ns -= 601 * (uint64_t)SECOND_NS;
	OTHER(gate_beat(rig.g));
	gate_state(rig.g)->heartbeat_ns = 0;
	OTHER(gate_beat(rig.g));
	SAME(gate_beat(rig.g));
}

static void gone_cgroup_is_an_error(void **unused)
{
	struct err e = { "" };
	size_t ended = 0;

	assert_int_equal(end_old("/sys/fs/cgroup/no-such-folder", &ended, &e), -ENOENT);
	assert_int_equal(ended, 0);
}

static void what_this_kernel_can(void **unused)
{
	assert_int_equal(sockets_can_end(IPPROTO_TCP), 0);
	assert_int_equal(sockets_can_end(IPPROTO_UDP), 0);
	assert_int_equal(sockets_can_end(IPPROTO_UDPLITE + 100), -ENOENT);
}

static int setup(void **unused)
{
	return rig_up(true);
}

int main(void)
{
#define OLD(f) cmocka_unit_test_setup_teardown(f, setup_late, end_late)
	const struct CMUnitTest tests[] = {
		OLD(tcp_is_ended),	     OLD(udp_is_ended),	      OLD(captured_port_is_ended), OLD(below_is_ended),
		OLD(other_namespace_is_ended), OLD(inherited_is_ended), OLD(of_no_interest_is_left), OLD(of_others_is_left),
		OLD(loopback_can_be_listed), OLD(an_expelled_agent_keeps_its_own), OLD(several_at_once), OLD(a_look_can_be_stopped),
		OLD(among_thousands_of_descriptors), OLD(the_epoch_turns), OLD(gone_cgroup_is_an_error), OLD(what_this_kernel_can),
	};
	const char *obstacle = rig_obstacle();

	if (obstacle) {
		print_message("skipped: %s\n", obstacle);
		return 0;
	}
	return cmocka_run_group_tests_name("old", tests, setup, NULL);
}
