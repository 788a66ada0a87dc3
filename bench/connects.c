// SPDX-License-Identifier: Apache-2.0
/*
 * connects.c ADDRESS PORT N: N times socket, non-blocking connect, close: work for the gate's hooks and nothing else. Prints nanoseconds
 * per round.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	double start = now_ns();
	int n;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 || (n = atoi(argv[3])) < 1)
		return 2;
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	for (int i = 0; i < n; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		(void)!connect(fd, (struct sockaddr *)&to, sizeof(to));
		close(fd);
	}
	printf("%.0f\n", (now_ns() - start) / n);
	return 0;
}
