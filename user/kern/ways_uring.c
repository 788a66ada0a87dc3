// SPDX-License-Identifier: Apache-2.0
/*
 * ways_uring.c: connect by io_uring: by the agent itself, by a ring that it had before it was an agent, and by a polling kernel thread whose
 * ring somebody outside has made. Raw system calls: two operations need no library.
 */
#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kern/ways_inside.h"

static struct io_uring_params params;

static bool make_ring(struct attempt *a, unsigned flags)
{
	params = (struct io_uring_params){ .flags = flags, .sq_thread_idle = 1000 };
	a->ring = (int)syscall(__NR_io_uring_setup, 4, &params);
	if (a->ring < 0)
		return false;
	const struct {
		size_t bytes;
		off_t at;
	} parts[3] = {
		{ params.sq_off.array + params.sq_entries * sizeof(uint32_t), IORING_OFF_SQ_RING },
		{ params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING },
		{ params.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES },
	};

	for (int i = 0; i < 3; i++) {
		a->ring_mem[i] = mmap(NULL, parts[i].bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, a->ring, parts[i].at);
		if (a->ring_mem[i] == MAP_FAILED)
			return false;
	}
	return true;
}

static uint32_t *word(void *ring, uint32_t at) { return (uint32_t *)((char *)ring + at); }

/* One operation, its result. */
static int submit(struct attempt *a, const struct io_uring_sqe *what)
{
	void *sq = a->ring_mem[0], *cq = a->ring_mem[1];
	uint32_t tail = *word(sq, params.sq_off.tail), head = *word(cq, params.cq_off.head);
	uint32_t slot = tail & *word(sq, params.sq_off.ring_mask);
	const struct timespec nap = { .tv_nsec = 1000000 };
	unsigned enter = IORING_ENTER_GETEVENTS | (params.flags & IORING_SETUP_SQPOLL ? IORING_ENTER_SQ_WAKEUP : 0);

	((struct io_uring_sqe *)a->ring_mem[2])[slot] = *what;
	word(sq, params.sq_off.array)[slot] = slot;
	__atomic_store_n(word(sq, params.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, a->ring, 1, 0, enter, NULL, 0) < 0)
		return -errno;
	for (int i = 0; i < 2000 && __atomic_load_n(word(cq, params.cq_off.tail), __ATOMIC_ACQUIRE) == head; i++)
		(void)nanosleep(&nap, NULL);
	if (__atomic_load_n(word(cq, params.cq_off.tail), __ATOMIC_ACQUIRE) == head)
		return -EINPROGRESS;
	const struct io_uring_cqe *done = (const void *)((char *)cq + params.cq_off.cqes);
	int result = done[head & *word(cq, params.cq_off.ring_mask)].res;

	__atomic_store_n(word(cq, params.cq_off.head), head + 1, __ATOMIC_RELEASE);
	return result;
}

static bool is_there(struct attempt *a)
{
	if (!way_has_target(a, WAY_V4))
		return false;
	if (a->ring < 0)
		way_say(a, WAY_UNTESTED, "io_uring is not to be had here");
	return a->ring >= 0;
}

static void connect_by_ring(struct attempt *a)
{
	struct sockaddr_in to = a->t.v4;
	struct io_uring_sqe s = { .opcode = IORING_OP_CONNECT, .addr = (uint64_t)(uintptr_t)&to, .off = sizeof(to) };

	if (!is_there(a))
		return;
	s.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int r = submit(a, &s);

	if (r < 0 && r != -EINPROGRESS)
		way_say_errno(a, "io_uring connect", -r);
	else
		way_say_where(a, s.fd, 0);
}

static void try_connect(struct attempt *a)
{
	(void)make_ring(a, 0);
	connect_by_ring(a);
}

static void with_older(struct attempt *a, unsigned flags)
{
	(void)make_ring(a, flags);
	if (way_enter(a))
		connect_by_ring(a);
}

static void try_older(struct attempt *a) { with_older(a, 0); }
static void try_older_polled(struct attempt *a) { with_older(a, IORING_SETUP_SQPOLL); }

/* ---- a ring that was made outside: its thread has its maker's cgroup, descriptors and memory */

struct ring_order {
	struct sockaddr_in to;
	int fd;     /* in the maker's table */
	int result; /* of the connect */
};

static void make_foreign(struct attempt *a)
{
	a->order = mmap(NULL, sizeof(*a->order), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (a->order == MAP_FAILED || !make_ring(a, IORING_SETUP_SQPOLL))
		a->ring = -1;
	else
		*a->order = (struct ring_order){ .to = a->t.v4, .fd = -1 };
}

/* By the agent: both the socket (5.19+) and the connect are ordered from the ring. */
static void try_foreign(struct attempt *a)
{
	struct io_uring_sqe make = { .opcode = IORING_OP_SOCKET, .fd = AF_INET, .off = SOCK_STREAM | SOCK_NONBLOCK };

	if (!is_there(a))
		return;
	a->order->fd = submit(a, &make);
	struct io_uring_sqe dial = { .opcode = IORING_OP_CONNECT, .fd = a->order->fd, .addr = (uint64_t)(uintptr_t)&a->order->to,
				     .off = sizeof(a->order->to) };

	if (a->order->fd >= 0)
		a->order->result = submit(a, &dial);
}

/* By the ring's maker, who has the descriptor. */
static void tell_foreign(struct attempt *a)
{
	if (a->ring < 0)
		return;
	if (a->order->fd < 0)
		way_say(a, WAY_UNTESTED, "the ring makes no sockets here: %s", strerror(-a->order->fd));
	else if (a->order->result < 0 && a->order->result != -EINPROGRESS)
		way_say_errno(a, "io_uring connect", -a->order->result);
	else
		way_say_where(a, a->order->fd, 0);
}

static const struct way rows[] = {
	{ 4, "io_uring connect", "connect without the system call", .try = try_connect },
	{ 5, "io_uring foreign ring", "a polled ring that was made outside", WAY_NEEDS_HELPER, .before = make_foreign, .try = try_foreign,
	  .after = tell_foreign },
	{ 5, "io_uring older ring", "a ring that was made before the cgroup was entered", .starts_outside = true, .try = try_older },
	{ 5, "io_uring older polling", "the same with a thread of the kernel's", .starts_outside = true, .try = try_older_polled },
};
const struct way_table ways_uring = WAY_TABLE(rows);
