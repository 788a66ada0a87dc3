// SPDX-License-Identifier: Apache-2.0
/* test_inherited.c: what may be descriptor 0, 1 or 2 of a child, and what is said about the rest. tests/e2e/test_jail.py has the sockets that need root. */
#include "cm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/cmd/inherited.h"

static int file(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int null(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int folder(void)
{
	return open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int folder_path(void)
{
	return open("/", O_PATH | O_CLOEXEC);
}

static int tube(void)
{
	int ends[2];

	return pipe2(ends, O_CLOEXEC) == 0 ? ends[0] : -1;
}

static int memory(void)
{
	return memfd_create("x", MFD_CLOEXEC);
}

static int terminal(void)
{
	return posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static int unix_pair(void)
{
	int ends[2];

	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0 ? ends[0] : -1;
}

static int unix_listener(void)
{
	return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int poller(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int event(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static int netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static int tcp(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int listener(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return listen(fd, 1) == 0 ? fd : -1;
}

/* A connection to a listener that dies with the child. */
static int connected(int family, int type, const char *address)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr *sa = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	socklen_t len = family == AF_INET ? sizeof(v4) : sizeof(v6);
	int there = socket(family, type | SOCK_CLOEXEC, 0), here = socket(family, type | SOCK_CLOEXEC, 0);

	if (inet_pton(family, address, family == AF_INET ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr) != 1)
		return -1;
	if (bind(there, sa, len) < 0 || (type == SOCK_STREAM && listen(there, 1) < 0) || getsockname(there, sa, &len) < 0)
		return -1;
	return connect(here, sa, len) == 0 ? here : -1;
}

static int loopback4(void)
{
	return connected(AF_INET, SOCK_STREAM, "127.0.0.1");
}

static int loopback4_other(void)
{
	return connected(AF_INET, SOCK_STREAM, "127.200.3.4");
}

static int loopback6(void)
{
	return connected(AF_INET6, SOCK_STREAM, "::1");
}

static int loopback_mapped(void)
{
	return connected(AF_INET6, SOCK_STREAM, "::ffff:127.0.0.1");
}

static int udp(void)
{
	return connected(AF_INET, SOCK_DGRAM, "127.0.0.1");
}

static int none(void)
{
	return -2;
}

static const struct {
	int (*make)(void);
	const char *text; /* NULL: may stay */
} cases[] = {
	{ file, NULL }, { null, NULL }, { tube, NULL }, { memory, NULL }, { terminal, NULL }, { unix_pair, NULL }, { unix_listener, NULL },
	{ loopback4, NULL }, { loopback4_other, NULL }, { loopback6, NULL }, { loopback_mapped, NULL }, { none, NULL },
	{ folder, " is a folder" }, { folder_path, " is a folder" }, { poller, " is anon_inode:[eventpoll]" }, { event, " is anon_inode:[eventfd" },
	{ netlink, " is a socket of family 16" }, { tcp, " is an internet socket without a peer" }, { listener, " is an internet socket without a peer" },
	{ udp, " is a connection to 127.0.0.1 port " },
};

/* In a child: 0 as it should be, 77 cannot be made here. */
static int look(size_t i, int place)
{
	static const char *const names[] = { "stdin", "stdout", "stderr" };
	char text[128];
	struct err e = { "" };
	int fd = cases[i].make(), plain = null();

	if (fd == -1)
		return 77;
	for (int other = 0; other < 3; other++)
		if (dup2(plain, other) < 0)
			return 2;
	if ((fd >= 0 ? dup2(fd, place) : close(place)) < 0)
		return 3;
	int r = inherited_check(&e);

	if (!cases[i].text)
		return r == 0 && !e.text[0] ? 0 : 4;
	(void)snprintf(text, sizeof(text), "%s%s", names[place], cases[i].text);
	return r == -EPERM && strncmp(e.text, text, strlen(text)) == 0 && strstr(e.text, "give the command a pipe") ? 0 : 5;
}

static void each_kind_is_judged(void **state)
{
	for (size_t i = 0; i < COUNT(cases); i++)
		for (int place = 0; place < 3; place++) {
			pid_t pid = fork();
			int status;

			if (pid == 0)
				_exit(look(i, place));
			assert_int_equal(waitpid(pid, &status, 0), pid);
			if (WEXITSTATUS(status) == 77)
				print_message("case %zu cannot be made here\n", i);
			else if (status != 0)
				fail_msg("case %zu as %d: %d", i, place, WEXITSTATUS(status));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_is_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
