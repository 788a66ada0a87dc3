// SPDX-License-Identifier: Apache-2.0
/*
 * The ways to a connection that a naive gate does not see, and whose socket it is: fast open, MPTCP, io_uring,
 * sockets that were inherited, passed or moved, nested cgroups, kinds of socket that agents may not have. Each
 * ends at the daemon or nowhere.
 */
#include "acts.h"

#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "kern/probe.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

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

/* No inet socket, so only the security module sees it. */
static void refused_families(void **unused)
{
	static struct kind kinds[] = {
		{ "packet", AF_PACKET, SOCK_RAW, 0x0300 },
		{ "packet, cooked", AF_PACKET, SOCK_DGRAM, 0x0300 },
		{ "XDP", AF_XDP, SOCK_RAW, 0 },
		{ "vsock", AF_VSOCK, SOCK_STREAM, 0 },
		{ "SMC", AF_SMC, SOCK_STREAM, 0 },
	};

	if (!probe_has_lsm_cgroup()) {
		print_message("skipped: the bpf security module is off\n");
		skip();
	}
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

/* ---- all of them */

static int setup(void **unused)
{
	return rig_up(true);
}

int main(void)
{
#define WAY(f) cmocka_unit_test_setup(f, before_each)
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
		WAY(refused_families),
		WAY(allowed_kinds),
	};
	const char *obstacle = rig_obstacle();

	if (obstacle) {
		print_message("skipped: %s\n", obstacle);
		return 0;
	}
	return cmocka_run_group_tests_name("ways to a connection", tests, setup, NULL);
}
