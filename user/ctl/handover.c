// SPDX-License-Identifier: Apache-2.0
/* handover.c: see handover.h. */
#include "ctl/handover.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

#define SEND_MS 10000 /* for the other side to read on */

static int address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return str_copy(ret->sun_path, sizeof(ret->sun_path), str_of(path)) ? 0 : -ENAMETOOLONG;
}

int handover_listen(const char *path, int *ret_fd, struct err *e)
{
	struct sockaddr_un un;

	if (address(path, &un) < 0)
		return err_set(e, ENAMETOOLONG, "hand-over socket: the path \"%s\" is too long for a socket; choose a shorter run_dir", path);
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	(void)unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0 || chmod(path, 0600) < 0 || listen(fd, 4) < 0)
		return err_set(e, errno, "hand-over socket %s: %s", path, strerror(errno));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int handover_connect(const char *path, int *ret_fd)
{
	struct sockaddr_un un;

	if (address(path, &un) < 0)
		return -ENAMETOOLONG;
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int handover_may(int fd, pid_t *ret_pid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return -errno;
	*ret_pid = peer.pid;
	return peer.uid == 0 || peer.uid == geteuid() ? 0 : -EPERM;
}

union ancillary {
	struct cmsghdr head;
	char mem[CMSG_SPACE(HANDOVER_FDS * sizeof(int))];
};

int handover_send(int fd, const struct handover_msg *m, const int fds[HANDOVER_FDS])
{
	struct iovec io = { .iov_base = (void *)m, .iov_len = sizeof(*m) };
	union ancillary a = { .mem = { 0 } };
	struct msghdr h = { .msg_iov = &io, .msg_iovlen = 1 };
	int have[HANDOVER_FDS];
	size_t n = 0;
	ssize_t sent;

	for (size_t i = 0; fds && i < HANDOVER_FDS; i++)
		if (fds[i] >= 0)
			have[n++] = fds[i];
	if (n) {
		h.msg_control = a.mem;
		h.msg_controllen = CMSG_SPACE(n * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&h);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), have, n * sizeof(int));
	}
	struct pollfd room = { .fd = fd, .events = POLLOUT };

	do
		sent = sendmsg(fd, &h, MSG_NOSIGNAL);
	while (sent < 0 && (errno == EINTR || (errno == EAGAIN && poll(&room, 1, SEND_MS) > 0)));
	return sent < 0 ? -errno : sent == sizeof(*m) ? 0 : -EMSGSIZE;
}

int handover_recv(int fd, struct handover_msg *ret, int fds[HANDOVER_FDS])
{
	struct iovec io = { .iov_base = ret, .iov_len = sizeof(*ret) };
	union ancillary a;
	struct msghdr h = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = a.mem, .msg_controllen = sizeof(a.mem) };
	ssize_t n;

	for (size_t i = 0; i < HANDOVER_FDS; i++)
		fds[i] = -1;
	do
		n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	if (n == sizeof(*ret) && !(h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && ret->version == HANDOVER_VERSION) {
		ret->text[sizeof(ret->text) - 1] = '\0';
		return 0;
	}
	for (size_t i = 0; i < HANDOVER_FDS; i++)
		(void)(fds[i] >= 0 && close(fds[i])), fds[i] = -1;
	return n == 0 ? -EPIPE : -EPROTO;
}
