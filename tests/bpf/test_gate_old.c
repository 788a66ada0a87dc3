// SPDX-License-Identifier: Apache-2.0
/*
 * Sockets that were connected before the enrolment are ended (SOCK_DESTROY), wherever the agent has them: in its own
 * cgroup, below it, in another network namespace, or made elsewhere and handed to it. What is not the agent's, or not of interest,
 * stays.
 */
#include "acts.h"

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
	int r = gate_end_old_flows(rig.g, o->cut, &ended, &e);

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

static void other_namespace_is_ended(void **unused)
{
	struct dial d = make_dial(V4, HOST_DEDICATED, PORT_OTHER, SOCK_STREAM);
	struct actor a = actor_start(late, connect_elsewhere, &d);
	struct err e = { "" };
	size_t ended = 0;

	assert_int_equal(rig.seen->err, 0);
	assert_int_equal(gate_end_old_flows(rig.g, late, &ended, &e), 0);
	assert_int_equal(ended, 1);
	assert_int_equal(gate_end_old_flows(rig.g, late, &ended, &e), 0);
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

static void gone_cgroup_is_an_error(void **unused)
{
	struct err e = { "" };
	size_t ended = 7;

	assert_int_equal(gate_end_old_flows(rig.g, "/sys/fs/cgroup/no-such-folder", &ended, &e), -ENOENT);
	assert_int_equal(ended, 7);
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
		OLD(gone_cgroup_is_an_error),
	};
	const char *obstacle = rig_obstacle();

	if (obstacle) {
		print_message("skipped: %s\n", obstacle);
		return 0;
	}
	return cmocka_run_group_tests_name("old", tests, setup, NULL);
}
