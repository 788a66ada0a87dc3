// SPDX-License-Identifier: Apache-2.0
/*
 * The ways round a naive gate, one subtest each: fast open, MPTCP, io_uring, sockets
 * that were inherited, passed or moved, nested cgroups, odd addresses, raw and ping sockets, source routes,
 * other namespaces, connections older than the enrolment. Each ends at the daemon or nowhere.
 */
#include "rig.h"

#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static const struct sockaddr *sa(const struct sockaddr_storage *ss)
{
	return (const struct sockaddr *)ss;
}

static struct dial llm(enum form form)
{
	return make_dial(form, HOST_DEDICATED, PORT_CAPTURED, SOCK_STREAM);
}

static enum place egress_of(enum form form)
{
	return form == V6 ? AT_EGRESS6 : AT_EGRESS4;
}

/* The script goes to the LLM; expected is the daemon, told that it is agent a, for each form of address. */
static void expect_captured(const char *group, script_fn script)
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

/* ---- fast open */

static int fast_open(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	int fd = socket(d->family, SOCK_STREAM, 0);

	return sendto(fd, "hello", 5, MSG_FASTOPEN, sa(&d->to), address_size(&d->to)) < 0 ? errno : 0;
}

static void msg_fastopen(void **unused)
{
	expect_captured(rig.agent_a, fast_open);
}

static int fast_open_connect(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	int fd = socket(d->family, SOCK_STREAM, 0);
	int one = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)) < 0 ||
	    connect(fd, sa(&d->to), address_size(&d->to)) < 0)
		return errno;
	return write(fd, "hello", 5) < 0 ? errno : 0;
}

static void tcp_fastopen_connect(void **unused)
{
	expect_captured(rig.agent_a, fast_open_connect);
}

/* Out of credit: the denial reaches the sender though it never called connect. */
static void msg_fastopen_denied(void **unused)
{
	struct dial d = llm(V4);

	gate_accounts(rig.g)[ACCOUNT_A].windows[WINDOW_DAY].left_nanousd = 0;
	(void)act(rig.agent_a, fast_open, &d);
	expect_denied(EDQUOT, GATE_REASON_NO_CREDIT);
}

/* ---- MPTCP */

static int open_mptcp(void *ctx, struct seen *seen)
{
	return socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP) < 0 ? errno : 0;
}

static void mptcp_is_refused_to_agents(void **unused)
{
	if (act(rig.stranger, open_mptcp, NULL) != 0) {
		print_message("skipped: no MPTCP in this kernel (%s)\n", strerror(rig.seen->err));
		skip();
	}
	(void)act(rig.agent_a, open_mptcp, NULL);
	expect_denied(EPERM, GATE_REASON_SOCKET_TYPE);
}

static int inherit_mptcp(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	int fd = socket(d->family, SOCK_STREAM, IPPROTO_MPTCP);

	if (fd < 0 || cgroup_enter(rig.agent_a, 0, NULL) < 0)
		return ECHILD;
	return connect(fd, sa(&d->to), address_size(&d->to)) < 0 ? errno : 0;
}

static void mptcp_made_by_a_stranger(void **unused)
{
	if (act(rig.stranger, open_mptcp, NULL) != 0)
		skip();
	expect_captured(rig.stranger, inherit_mptcp);
}

/* ---- io_uring, by hand */

struct ring {
	int fd;
	struct io_uring_params p;
	char *sq, *cq;
	struct io_uring_sqe *sqes;
};

static int ring_open(struct ring *r, unsigned flags)
{
	memset(r, 0, sizeof(*r));
	r->p.flags = flags;
	r->p.sq_thread_idle = 2000;
	r->fd = (int)syscall(__NR_io_uring_setup, 4, &r->p);
	if (r->fd < 0)
		return errno;
	r->sq = mmap(NULL, r->p.sq_off.array + r->p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
		     IORING_OFF_SQ_RING);
	r->cq = mmap(NULL, r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_CQ_RING);
	r->sqes = mmap(NULL, r->p.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		       r->fd, IORING_OFF_SQES);
	return r->sq == MAP_FAILED || r->cq == MAP_FAILED || r->sqes == MAP_FAILED ? errno : 0;
}

/* One operation, waits for its answer: a result or a negative errno. */
static int ring_call(struct ring *r, const struct io_uring_sqe *sqe)
{
	unsigned *tail = (unsigned *)(r->sq + r->p.sq_off.tail), *array = (unsigned *)(r->sq + r->p.sq_off.array);
	unsigned *head = (unsigned *)(r->cq + r->p.cq_off.head), mask = r->p.sq_entries - 1;
	unsigned *cq_tail = (unsigned *)(r->cq + r->p.cq_off.tail);
	unsigned at = *tail & mask, submit = r->p.flags & IORING_SETUP_SQPOLL ? 0 : 1;
	unsigned flags = IORING_ENTER_GETEVENTS | (submit ? 0 : IORING_ENTER_SQ_WAKEUP);
	struct io_uring_cqe *cqe;

	r->sqes[at] = *sqe;
	array[at] = at;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(cq_tail, __ATOMIC_ACQUIRE) == *head) {
		if (syscall(__NR_io_uring_enter, r->fd, submit, 1, flags, NULL, 0) < 0 && errno != EINTR)
			return -errno;
		submit = 0;
	}
	cqe = &((struct io_uring_cqe *)(r->cq + r->p.cq_off.cqes))[*head & (r->p.cq_entries - 1)];
	at = (unsigned)cqe->res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return (int)at;
}

static int ring_connect(struct ring *r, int fd, const struct sockaddr_storage *to)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_CONNECT, .fd = fd };

	sqe.addr = (uint64_t)(uintptr_t)to;
	sqe.off = address_size(to);
	return -ring_call(r, &sqe);
}

static int ring_socket(struct ring *r, int family, int type, int protocol)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_SOCKET, .fd = family, .len = (unsigned)protocol };

	sqe.off = (unsigned)type;
	return ring_call(r, &sqe);
}

static int uring_connect(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	struct ring r;
	int err = ring_open(&r, 0);

	return err ? err : ring_connect(&r, socket(d->family, SOCK_STREAM, 0), &d->to);
}

static int try_uring(void *ctx, struct seen *seen)
{
	struct ring r;

	return ring_open(&r, *(unsigned *)ctx);
}

static void need_uring(unsigned flags)
{
	if (act(NULL, try_uring, &flags) != 0) {
		print_message("skipped: no io_uring here (%s)\n", strerror(rig.seen->err));
		skip();
	}
}

static void io_uring_connect(void **unused)
{
	need_uring(0);
	expect_captured(rig.agent_a, uring_connect);
}

static int uring_raw_socket(void *ctx, struct seen *seen)
{
	struct ring r;
	int err = ring_open(&r, 0);
	int fd = err ? -err : ring_socket(&r, AF_INET, SOCK_RAW, IPPROTO_UDP);

	return fd < 0 ? -fd : 0;
}

static void io_uring_raw_socket(void **unused)
{
	need_uring(0);
	if (act(rig.stranger, uring_raw_socket, NULL) != 0) {
		print_message("skipped: no IORING_OP_SOCKET (%s)\n", strerror(rig.seen->err));
		skip();
	}
	(void)act(rig.agent_a, uring_raw_socket, NULL);
	expect_denied(EPERM, GATE_REASON_SOCKET_TYPE);
}

/* A stranger owns the ring and its kernel thread; the agent made the socket: the socket tells. */
static int uring_of_a_stranger(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	struct ring r;
	int err = ring_open(&r, IORING_SETUP_SQPOLL);

	if (err)
		return err;
	if (cgroup_enter(rig.agent_a, 0, NULL) < 0)
		return ECHILD;
	return ring_connect(&r, socket(d->family, SOCK_STREAM, 0), &d->to);
}

/* Runs the ring in the parent and submits from a child, so that the kernel thread stays with the stranger. */
static int uring_of_a_stranger_child(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	struct ring r;
	int err = ring_open(&r, IORING_SETUP_SQPOLL);
	int fd = -1;
	int status;
	pid_t pid;

	if (err)
		return err;
	fd = ring_socket(&r, d->family, SOCK_STREAM, 0);
	if (fd < 0)
		return -fd;
	pid = fork();
	if (pid == 0) {
		if (cgroup_enter(rig.agent_a, 0, NULL) < 0)
			_exit(ECHILD);
		_exit(ring_connect(&r, fd, &d->to));
	}
	(void)waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void io_uring_of_a_stranger(void **unused)
{
	need_uring(IORING_SETUP_SQPOLL);
	expect_captured(rig.stranger, uring_of_a_stranger);
}

/* Everything a stranger's: nothing here says agent. `others: deny` is what closes it. */
static void io_uring_accomplice_needs_others_deny(void **unused)
{
	struct dial d = llm(V4);

	need_uring(IORING_SETUP_SQPOLL);
	others_deny();
	(void)act(rig.stranger, uring_of_a_stranger_child, &d);
	expect_denied(EACCES, GATE_REASON_NOT_AGENT);
}

/* ---- whose socket is it */

static int inherit_and_dial(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	int fd = socket(d->family, SOCK_STREAM, 0);

	if (fd < 0 || cgroup_enter(rig.agent_a, 0, NULL) < 0)
		return ECHILD;
	return dial_on(fd, &d->to, seen);
}

static void inherited_from_a_stranger(void **unused)
{
	expect_captured(rig.stranger, inherit_and_dial);
}

static int move_out_and_dial(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	int fd = socket(d->family, SOCK_STREAM, 0);

	if (fd < 0 || cgroup_enter(rig.stranger, 0, NULL) < 0)
		return ECHILD;
	return dial_on(fd, &d->to, seen);
}

static void moved_out_after_socket(void **unused)
{
	expect_captured(rig.agent_a, move_out_and_dial);
}

static int move_to_daemon_and_dial(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	int fd = socket(d->family, SOCK_STREAM, 0);

	if (fd < 0 || cgroup_enter(rig.daemon, 0, NULL) < 0)
		return ECHILD;
	return dial_on(fd, &d->to, seen);
}

/* The daemon's exemption is for its own sockets. */
static void agents_socket_in_the_daemons_cgroup(void **unused)
{
	expect_captured(rig.agent_a, move_to_daemon_and_dial);
}

static int send_fd(int over, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(over, &m, 0) < 0 ? -errno : 0;
}

static int receive_fd(int over)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	int fd;

	if (recvmsg(over, &m, 0) < 0 || !CMSG_FIRSTHDR(&m))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

/* A helper in that group makes the socket; the actor gets it over a unix socket. */
static int passed_from(const char *group, const struct dial *d, struct seen *seen)
{
	int pair[2], status, fd;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return errno;
	pid = fork();
	if (pid == 0) {
		if (cgroup_enter(group, 0, NULL) < 0)
			_exit(1);
		_exit(send_fd(pair[1], socket(d->family, SOCK_STREAM, 0)) < 0);
	}
	(void)waitpid(pid, &status, 0);
	fd = status == 0 ? receive_fd(pair[0]) : -1;
	return fd < 0 ? ECHILD : dial_on(fd, &d->to, seen);
}

static int passed_from_stranger(void *ctx, struct seen *seen)
{
	return passed_from(rig.stranger, ctx, seen);
}

static void passed_by_a_stranger(void **unused)
{
	expect_captured(rig.agent_a, passed_from_stranger);
}

static int passed_from_agent_b(void *ctx, struct seen *seen)
{
	return passed_from(rig.agent_b, ctx, seen);
}

static void passed_by_another_agent(void **unused)
{
	struct dial d = llm(V4);

	(void)act(rig.agent_a, passed_from_agent_b, &d);
	expect_denied(EACCES, GATE_REASON_IDENTITY);
}

/* Socket of an agent that has been expelled since: what counts is who calls. */
static int expelled_creator(void *ctx, struct seen *seen)
{
	const struct dial *d = ctx;
	int fd = socket(d->family, SOCK_STREAM, 0);

	if (cgroup_enter(rig.agent_a, 0, NULL) < 0)
		return ECHILD;
	if (gate_expel(rig.g, rig.id_b) < 0)
		return ECHILD;
	return dial_on(fd, &d->to, seen);
}

static void creator_expelled_since(void **unused)
{
	for (enum form f = V4; f < FORMS; f++) {
		struct dial d = llm(f);
		struct actor a;

		enrol(rig.id_b, "agent-b", ACCOUNT_B, 0);
		a = actor_start(rig.agent_b, expelled_creator, &d);
		(void)expect_flow(egress_of(f), rig.id_a, ACCOUNT_A);
		actor_end(&a);
	}
}

/* ---- nested cgroups */

static char nested[2 * PATH_MAX];

static uint64_t make_nested(const char *below)
{
	struct err e = { "" };
	uint64_t id;

	(void)snprintf(nested, sizeof(nested), "%s/%s", rig.agent_a, below);
	assert_int_equal(cgroup_make(nested, &e), 0);
	assert_int_equal(cgroup_id(nested, &id, &e), 0);
	return id;
}

static void remove_nested(void)
{
	char path[PATH_MAX + 2];

	(void)snprintf(path, sizeof(path), "%s/n", rig.agent_a);
	for (int i = 0; i < 100 && cgroup_remove(path) == -EBUSY; i++)
		(void)usleep(10000);
}

static void nested_cgroup(void **unused)
{
	(void)make_nested("n/e/s/t/e/d");
	expect_captured(nested, run_dial);
	remove_nested();
}

static void deepest_enrolment_counts(void **unused)
{
	uint64_t id = make_nested("n/sub");
	struct dial d = llm(V4);
	struct actor a;

	enrol(id, "sub-agent", ACCOUNT_B, 0);
	a = actor_start(nested, run_dial, &d);
	(void)expect_flow(AT_EGRESS4, id, ACCOUNT_B);
	actor_end(&a);
	(void)gate_expel(rig.g, id);
	remove_nested();
}

static void nested_too_deep_to_tell(void **unused)
{
	char below[2 * (GATE_CGROUP_DEPTH + 8)] = "n";
	uint64_t before = counter(GATE_COUNT_IN_DOUBT);
	struct dial d = llm(V4);

	for (int i = 0; i < GATE_CGROUP_DEPTH; i++)
		strcat(below, "/d");
	(void)make_nested(below);
	(void)act(nested, run_dial, &d);
	remove_nested();
	expect_denied(EACCES, GATE_REASON_IDENTITY);
	assert_int_equal(counter(GATE_COUNT_IN_DOUBT) - before, 1);
}

/* ---- sockets that agents may not have */

struct kind {
	const char *name;
	int family, type, protocol;
};

static int open_kind(void *ctx, struct seen *seen)
{
	const struct kind *k = ctx;

	return socket(k->family, k->type, k->protocol) < 0 ? errno : 0;
}

static void refused_kinds(void **unused)
{
	static struct kind kinds[] = {
		{ "raw v4", AF_INET, SOCK_RAW, IPPROTO_UDP },	   { "raw v6", AF_INET6, SOCK_RAW, IPPROTO_UDP },
		{ "raw IPPROTO_RAW", AF_INET, SOCK_RAW, IPPROTO_RAW }, { "raw ICMP", AF_INET, SOCK_RAW, IPPROTO_ICMP },
		{ "ping v4", AF_INET, SOCK_DGRAM, IPPROTO_ICMP },  { "ping v6", AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6 },
		{ "UDP-Lite", AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE }, { "SCTP", AF_INET, SOCK_STREAM, IPPROTO_SCTP },
		{ "DCCP", AF_INET, SOCK_DCCP, IPPROTO_DCCP },	   { "MPTCP v6", AF_INET6, SOCK_STREAM, IPPROTO_MPTCP },
		{ "SMC", AF_INET, SOCK_STREAM, 256 },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (act(rig.stranger, open_kind, &kinds[i]) != 0) {
			print_message("%s: not in this kernel (%s)\n", kinds[i].name, strerror(rig.seen->err));
			continue;
		}
		(void)act(rig.agent_a, open_kind, &kinds[i]);
		if (rig.seen->err != EPERM)
			fail_msg("%s: %s", kinds[i].name, strerror(rig.seen->err));
		assert_int_equal(take_events().last.reason, GATE_REASON_SOCKET_TYPE);
	}
}

static void allowed_kinds(void **unused)
{
	static struct kind kinds[] = {
		{ "TCP", AF_INET, SOCK_STREAM, 0 },	     { "TCP v6", AF_INET6, SOCK_STREAM, IPPROTO_TCP },
		{ "UDP", AF_INET, SOCK_DGRAM, 0 },	     { "UDP v6", AF_INET6, SOCK_DGRAM, IPPROTO_UDP },
		{ "unix", AF_UNIX, SOCK_STREAM, 0 },	     { "netlink", AF_NETLINK, SOCK_RAW, 0 },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (act(rig.agent_a, open_kind, &kinds[i]) != 0)
			fail_msg("%s: %s", kinds[i].name, strerror(rig.seen->err));
}

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
		assert_int_equal(act(below, run_dial, &d), EACCES);
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

/* Loose source route by way of a harmless address. RFC 791: type, length, pointer, addresses. */
static int send_source_routed(void *ctx, struct seen *seen)
{
	struct sockaddr_storage via = make_address(V4, HOST_OTHER, PORT_OTHER);
	unsigned char option[] = { 1, 131, 7, 4, 198, 51, 100, HOST_DEDICATED };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (ctx)
		option[1] = 137; /* strict */
	if (setsockopt(fd, IPPROTO_IP, IP_OPTIONS, option, sizeof(option)) < 0)
		return ENOPROTOOPT;
	return sendto(fd, "x", 1, 0, sa(&via), address_size(&via)) < 0 ? errno : 0;
}

static void ipv4_source_route(void **unused)
{
	for (int strict = 0; strict < 2; strict++) {
		(void)act(rig.agent_a, send_source_routed, strict ? &late_id : NULL);
		expect_denied(EPERM, GATE_REASON_EGRESS);
	}
	/* The option, not the address: a stranger may. */
	(void)act(rig.stranger, send_source_routed, NULL);
	assert_int_not_equal(rig.seen->err, EPERM);
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

/* Segment routing header (RFC 8754): the wire goes to the first segment, connect sees the last. */
static int send_segment_routed(void *ctx, struct seen *seen)
{
	struct sockaddr_storage to = make_address(V6, HOST_OTHER, PORT_OTHER);
	struct sockaddr_storage first = make_address(V6, HOST_DEDICATED, 0);
	struct {
		uint8_t next, length, type, left, last, flags;
		uint16_t tag;
		struct in6_addr segments[2];
	} header = { .length = 4, .type = 4, .left = 1, .last = 1 };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	header.segments[1] = ((struct sockaddr_in6 *)&first)->sin6_addr;
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
		WAY(msg_fastopen),
		WAY(tcp_fastopen_connect),
		WAY(msg_fastopen_denied),
		WAY(mptcp_is_refused_to_agents),
		WAY(mptcp_made_by_a_stranger),
		WAY(io_uring_connect),
		WAY(io_uring_raw_socket),
		WAY(io_uring_of_a_stranger),
		WAY(io_uring_accomplice_needs_others_deny),
		WAY(inherited_from_a_stranger),
		WAY(moved_out_after_socket),
		WAY(agents_socket_in_the_daemons_cgroup),
		WAY(passed_by_a_stranger),
		WAY(passed_by_another_agent),
		WAY(creator_expelled_since),
		WAY(nested_cgroup),
		WAY(deepest_enrolment_counts),
		WAY(nested_too_deep_to_tell),
		WAY(refused_kinds),
		WAY(allowed_kinds),
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
		WAY(failed_connect_leaves_no_flow),
		WAY(closed_connection_leaves_no_flow),
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
	return cmocka_run_group_tests_name("ways round the gate", tests, setup, NULL);
}
