// SPDX-License-Identifier: Apache-2.0
/* uring_connect.c ADDRESS: connects by io_uring instead of connect(2), sends bytes, prints what came of it. Raw system calls. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct io_uring_params p = { 0 };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(443) };
	int ring = (int)syscall(__NR_io_uring_setup, 4, &p);

	if (argc != 2 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		return 2;
	if (ring < 0) {
		printf("no io_uring: %s\n", strerror(errno));
		return 77;
	}
	size_t sq_len = p.sq_off.array + p.sq_entries * sizeof(uint32_t);
	size_t cq_len = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	char *sq = mmap(NULL, sq_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
	char *cq = mmap(NULL, cq_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_CQ_RING);
	struct io_uring_sqe *sqe = mmap(NULL, p.sq_entries * sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
					IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || sqe == MAP_FAILED)
		return 1;

	int fd = socket(AF_INET, SOCK_STREAM, 0);
	*sqe = (struct io_uring_sqe){ .opcode = IORING_OP_CONNECT, .fd = fd, .addr = (uint64_t)(uintptr_t)&to, .off = sizeof(to) };
	((uint32_t *)(sq + p.sq_off.array))[0] = 0;
	__atomic_store_n((uint32_t *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return 1;
	const struct io_uring_cqe *cqe = (const void *)(cq + p.cq_off.cqes);
	if (cqe->res < 0) {
		printf("refused: %s\n", strerror(-cqe->res));
		return 0;
	}
	(void)!write(fd, "GET / HTTP/1.0\r\n\r\n", 18);
	char answer[12];
	printf("connected, then %s\n", read(fd, answer, 12) > 0 && memcmp(answer, "HTTP/1.1 403", 12) != 0 ? "answered" : "refused");
	return 0;
}
