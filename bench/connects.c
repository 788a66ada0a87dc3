// SPDX-License-Identifier: Apache-2.0
/* connects.c ADDRESS PORT N: N non-blocking connects that are dropped at once: work for the gate's hooks and nothing else. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };

	if (argc != 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		return 2;
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	for (int i = atoi(argv[3]); i > 0; i--) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(fd, (struct sockaddr *)&to, sizeof(to));
		close(fd);
	}
	return 0;
}
