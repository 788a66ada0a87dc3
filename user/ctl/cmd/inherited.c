// SPDX-License-Identifier: Apache-2.0
/* inherited.c: see inherited.h. An allow-list: what is not known is refused. */
#include "ctl/cmd/inherited.h"

#include <errno.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/addr.h"
#include "terms.h"

#define TEXT_MAX 160

/* An inet peer as v6, v4 mapped. */
static bool take_peer(int fd, uint8_t ret[16], uint16_t *ret_port)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);

	return getpeername(fd, (struct sockaddr *)&ss, &len) == 0 && addr_from_sockaddr(&ss, ret, ret_port);
}

/* A connection that is on this machine to its end cannot be a way out: to go elsewhere it has to connect again, which the gate sees. */
static bool socket_may_stay(int fd, char *ret_what)
{
	int domain = -1, type = -1, protocol = -1;
	socklen_t len = sizeof(int);
	uint8_t peer[16];
	char text[64];
	uint16_t port;

	(void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	(void)getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
	(void)getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len);
	if (domain == AF_UNIX)
		return true;
	if (domain != AF_INET && domain != AF_INET6) {
		(void)snprintf(ret_what, TEXT_MAX, "a socket of family %d", domain);
		return false;
	}
	if (!take_peer(fd, peer, &port)) {
		(void)snprintf(ret_what, TEXT_MAX, "an internet socket without a peer");
		return false;
	}
	(void)snprintf(ret_what, TEXT_MAX, "a connection to %s port %u", addr_show(peer, text, sizeof(text)), port);
	return type == SOCK_STREAM && protocol == IPPROTO_TCP && addr_is_loopback(peer);
}

static bool may_stay(int fd, const struct stat *st, char *ret_what)
{
	char path[32], target[64];
	struct statfs fs;

	if (S_ISSOCK(st->st_mode))
		return socket_may_stay(fd, ret_what);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	target[n > 0 ? n : 0] = '\0';
	/* io_uring, epoll, bpf, … have no type of file. */
	if ((st->st_mode & S_IFMT) == 0 || strncmp(target, "anon_inode:", 11) == 0) {
		(void)snprintf(ret_what, TEXT_MAX, "%s", target[0] ? target : "no file at all");
		return false;
	}
	if (S_ISDIR(st->st_mode)) {
		(void)snprintf(ret_what, TEXT_MAX, "a folder");
		return false;
	}
	if (fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC) {
		(void)snprintf(ret_what, TEXT_MAX, "a file of the cgroup tree");
		return false;
	}
	return true;
}

int inherited_check(struct err *e)
{
	static const char *const names[] = { "stdin", "stdout", "stderr" };
	char what[TEXT_MAX];
	struct stat st;

	for (int fd = 0; fd < 3; fd++)
		if (fstat(fd, &st) == 0 && !may_stay(fd, &st, what))
			return err_set(e, EPERM, "%s is %s, opened outside of the agent: it can lead past the gate; give the command a pipe, a file "
				       "or a terminal, e.g. `cat | purse run … | cat`", names[fd], what);
	return 0;
}
