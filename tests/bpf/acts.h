// SPDX-License-Identifier: Apache-2.0
/*
 * acts.h: what happens on the stage of rig.h: actors (children in a cgroup that run a script and then hold still until the
 * test has looked), where things arrive, what an actor may be told, and what a test may expect.
 */
#ifndef PURSE_TESTS_BPF_ACTS_H
#define PURSE_TESTS_BPF_ACTS_H

#include "kern/probe.h"
#include "rig.h"

/* ---- actors */

/* Runs in the child, already in its cgroup. Returns 0 or a positive errno; leaves its sockets open. */
typedef int (*script_fn)(void *ctx, struct seen *seen);

struct actor {
	pid_t pid;
	int go;
};

static UNUSED struct actor actor_start(const char *cgroup, script_fn script, void *ctx)
{
	int ready[2], go[2];
	struct actor a;
	char byte;

	memset(rig.seen, 0, sizeof(*rig.seen));
	rig.seen->err = ECHILD; /* "died before it could tell" */
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	(void)fflush(NULL);
	a.pid = fork();
	assert_true(a.pid >= 0);
	if (a.pid == 0) {
		(void)alarm(20);
		(void)close(go[1]);
		(void)close(ready[0]);
		if (cgroup && cgroup_enter(cgroup, 0, NULL) < 0)
			_exit(1);
		rig.seen->err = script(ctx, rig.seen);
		(void)!write(ready[1], "", 1);
		(void)!read(go[0], &byte, 1); /* until the test closes its end */
		_exit(0);
	}
	(void)close(ready[1]);
	(void)close(go[0]);
	(void)!read(ready[0], &byte, 1);
	(void)close(ready[0]);
	a.go = go[1];
	return a;
}

static UNUSED void actor_end(struct actor *a)
{
	int status;

	(void)close(a->go);
	(void)waitpid(a->pid, &status, 0);
}

/* Starts, waits until it is through, ends. For scripts whose sockets nobody looks at. */
static UNUSED int act(const char *cgroup, script_fn script, void *ctx)
{
	struct actor a = actor_start(cgroup, script, ctx);

	actor_end(&a);
	return rig.seen->err;
}

/* ---- where something arrived */

enum place { NOWHERE, AT_PROVIDER, AT_EGRESS4, AT_EGRESS6, AT_PROVIDER_UDP };

/* Takes the next connection (kept open until the next call) or datagram; waits up to wait_ms for one. */
static UNUSED enum place arrival(int wait_ms, struct sockaddr_storage *ret_peer)
{
	struct pollfd p[8] = { { .fd = rig.egress4 }, { .fd = rig.egress6 } };
	static const enum place places[8] = { AT_EGRESS4,  AT_EGRESS6,	    AT_PROVIDER,     AT_PROVIDER,
					      AT_PROVIDER, AT_PROVIDER_UDP, AT_PROVIDER_UDP, AT_PROVIDER_UDP };

	for (int i = 0; i < 3; i++) {
		p[2 + i].fd = rig.provider[i];
		p[5 + i].fd = rig.provider_udp[i];
	}
	for (int i = 0; i < 8; i++)
		p[i].events = POLLIN;
	if (rig.accepted > 0)
		(void)close(rig.accepted);
	rig.accepted = 0;
	if (poll(p, 8, wait_ms) <= 0)
		return NOWHERE;
	for (int i = 0; i < 8; i++) {
		socklen_t size = sizeof(*ret_peer);
		char buf[64];

		if (!(p[i].revents & POLLIN))
			continue;
		if (places[i] == AT_PROVIDER_UDP) {
			(void)recvfrom(p[i].fd, buf, sizeof(buf), 0, (struct sockaddr *)ret_peer, &size);
		} else {
			rig.accepted = accept4(p[i].fd, (struct sockaddr *)ret_peer, &size, SOCK_CLOEXEC);
		}
		return places[i];
	}
	return NOWHERE;
}

static UNUSED void drain_arrivals(void)
{
	struct sockaddr_storage peer;

	while (arrival(0, &peer) != NOWHERE)
		;
}

/* ---- events: the last one and how many */

struct events {
	int n, looks;
	struct gate_event last;
};

static UNUSED void keep_event(void *ctx, const struct gate_event *ev)
{
	struct events *events = ctx;

	/* Not a refusal; test_gate_netns.c looks for it. */
	if (ev->reason == GATE_REASON_LOOK) {
		events->looks++;
		return;
	}
	events->n++;
	events->last = *ev;
}

static UNUSED struct events take_events(void)
{
	struct events events = { 0 };

	gate_read_events(rig.g, keep_event, &events);
	return events;
}

static UNUSED uint64_t counter(enum gate_counter c)
{
	uint64_t all[GATE_COUNT_COUNT];

	gate_counters(rig.g, all);
	return all[c];
}

/* How many flows nobody has taken. Takes them all away. */
static UNUSED size_t flows_left(void)
{
	return gate_reap_flows(rig.g, -SECOND_NS);
}

/* ---- the plain script: dial one address */

struct dial {
	struct sockaddr_storage to;
	int family; /* of the socket */
	int type;
	bool use_sendto; /* datagrams: sendto instead of connect and send */
};

static UNUSED struct dial make_dial(enum form form, int host, int port, int type)
{
	return (struct dial){
		.to = make_address(form, host, port),
		.family = form == V4 ? AF_INET : AF_INET6,
		.type = type,
	};
}

/* connect and what the application then sees of it. */
static UNUSED int dial_on(int fd, const struct sockaddr_storage *to, struct seen *seen)
{
	socklen_t size = sizeof(seen->peer);
	socklen_t local_size = sizeof(seen->local);

	if (connect(fd, (const struct sockaddr *)to, address_size(to)) < 0)
		return errno;
	if (getpeername(fd, (struct sockaddr *)&seen->peer, &size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&seen->local, &local_size) < 0)
		return errno;
	return 0;
}

/* The same, and a process stays behind in the cgroup that asks the socket for its peer until it is killed. */
static UNUSED int dial_then_ask_later(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	int fd = socket(d->family, SOCK_STREAM, 0);
	int err = dial_on(fd, &d->to, seen);
	pid_t pid = err ? -1 : fork();

	while (pid == 0) {
		socklen_t size = sizeof(seen->peer);

		(void)getpeername(fd, (struct sockaddr *)&seen->peer, &size);
		(void)usleep(1000);
	}
	return err;
}

static UNUSED int run_dial(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	int fd = socket(d->family, d->type | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0)
		return errno;
	if (d->use_sendto)
		return sendto(fd, "x", 1, 0, (const struct sockaddr *)&d->to, address_size(&d->to)) < 0 ? errno : 0;
	ret = dial_on(fd, &d->to, seen);
	if (ret == 0 && d->type == SOCK_DGRAM)
		return send(fd, "x", 1, 0) < 0 ? errno : 0;
	return ret;
}

/* Takes the flow of the connection that has just arrived at the egress. */
static UNUSED struct gate_flow expect_flow(enum place expected, uint64_t agent, uint32_t account)
{
	struct sockaddr_storage peer;
	struct gate_flow flow = { 0 };
	enum place place = arrival(2000, &peer);

	if (rig.seen->err != 0)
		fail_msg("connect: %s", strerror(rig.seen->err));
	assert_int_equal(place, expected);
	assert_int_equal(gate_take_flow(rig.g, rig.netns_cookie, &peer, &flow), 0);
	assert_int_equal(gate_take_flow(rig.g, rig.netns_cookie, &peer, &flow), -ENOENT);
	assert_true(flow.agent_cgroup == agent);
	assert_int_equal(flow.account, account);
	return flow;
}

/* What the application gets for an errno of the gate: before 6.1 every denial is EPERM. */
static UNUSED int told(int err)
{
	static int has_set_retval = -1;

	if (has_set_retval < 0)
		has_set_retval = probe_has_set_retval();
	return has_set_retval ? err : EPERM;
}

/* That way is denied, with this errno and this reason in an event. */
static UNUSED void expect_denied(int err, enum gate_reason reason)
{
	struct sockaddr_storage peer;
	struct events events = take_events();

	err = told(err);
	if (rig.seen->err != err)
		fail_msg("errno %d (%s), expected %d (%s)", rig.seen->err, strerror(rig.seen->err), err, strerror(err));
	assert_int_equal(arrival(0, &peer), NOWHERE);
	assert_true(events.n > 0);
	if (events.last.reason != reason)
		fail_msg("reason \"%s\", expected \"%s\"", gate_reason_text(events.last.reason), gate_reason_text(reason));
}

static UNUSED const struct sockaddr *sa(const struct sockaddr_storage *ss)
{
	return (const struct sockaddr *)ss;
}

static UNUSED struct dial llm(enum form form)
{
	return make_dial(form, HOST_DEDICATED, PORT_CAPTURED, SOCK_STREAM);
}

static UNUSED enum place egress_of(enum form form)
{
	return form == V6 ? AT_EGRESS6 : AT_EGRESS4;
}

/* The script goes to the LLM; expected is the daemon, told that it is agent a, for each form of address. */
static UNUSED void expect_captured(const char *group, script_fn script)
{
	for (enum form f = V4; f < FORMS; f++) {
		struct dial d = llm(f);
		struct actor a = actor_start(group, script, &d);
		struct gate_flow flow = expect_flow(egress_of(f), rig.id_a, ACCOUNT_A);
		uint8_t dst[16];

		address_bytes(&d.to, dst);
		assert_memory_equal(flow.dst, dst, 16);
		assert_int_equal(flow.dport, PORT_CAPTURED);
		actor_end(&a);
	}
}

/* ---- cgroups below agent a */

static UNUSED char nested[2 * PATH_MAX];

static UNUSED uint64_t make_nested(const char *below)
{
	struct err e = { "" };
	uint64_t id;

	(void)snprintf(nested, sizeof(nested), "%s/%s", rig.agent_a, below);
	assert_int_equal(cgroup_make(nested, &e), 0);
	assert_int_equal(cgroup_id(nested, &id, &e), 0);
	return id;
}

static UNUSED void remove_nested(void)
{
	char path[PATH_MAX + 2];

	(void)snprintf(path, sizeof(path), "%s/n", rig.agent_a);
	for (int i = 0; i < 100 && cgroup_remove(path) == -EBUSY; i++)
		(void)usleep(10000);
}

/* cmocka per-test setup and teardown. */
static UNUSED int before_each(void **unused)
{
	rig_normal();
	drain_arrivals();
	(void)flows_left();
	while (take_events().n > 0)
		;
	return 0;
}

/* ---- for tests that open and close the gate themselves */

static UNUSED void open_gate(void)
{
	struct err e = { "" };

	if (gate_open(&rig.o, &rig.g, &e) < 0)
		fail_msg("%s", e.text);
}

static UNUSED void close_gate(void)
{
	gate_close(rig.g);
	rig.g = NULL;
}

static UNUSED int dial_llm(const char *group)
{
	struct dial d = make_dial(V4, HOST_DEDICATED, PORT_CAPTURED, SOCK_STREAM);

	return act(group, run_dial, &d);
}

/* Every subtest has a gate of its own that was never there before. */
static UNUSED int fresh_gate(void **unused)
{
	open_gate();
	put_endpoints();
	return before_each(NULL);
}

static UNUSED int no_gate(void **unused)
{
	close_gate();
	end_pins(rig.pin_dir);
	drain_arrivals();
	return 0;
}

#endif
