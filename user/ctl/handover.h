// SPDX-License-Identifier: Apache-2.0
/*
 * handover.h: what two daemons say to one another while one takes over from the other: messages of one size with descriptors beside them, on a
 * unix socket of its own in run_dir (root only, like the control socket). Who says what when: docs/upgrade.md, user/upgrade.h, ctl/handover_stage.h.
 */
#ifndef PURSE_CTL_HANDOVER_H
#define PURSE_CTL_HANDOVER_H

#include <sys/types.h>

#include "base/err.h"
#include "terms.h"

#define HANDOVER_NAME "handover.sock"
#define HANDOVER_VERSION 1u
#define HANDOVER_FDS 2

enum handover_kind {
	/* new to old */
	HANDOVER_HELLO = 1, /* dialect, pid, text = version */
	HANDOVER_FREEZE,    /* my programs are in place, let go of the money */
	HANDOVER_OPEN,      /* it is mine now; end what you have */
	HANDOVER_STOP_CALLS, /* account: an operator ends its calls */
	HANDOVER_END,       /* end now: what does not end within ms is cut */
	/* old to new */
	HANDOVER_WELCOME,   /* pid, text = version; the lock, the lock of the pins */
	HANDOVER_NO,        /* text = why not */
	HANDOVER_LISTENER,  /* place; 127.0.0.1 and ::1 as far as there are */
	HANDOVER_CONTROL,   /* the listening control socket */
	HANDOVER_LEASE,     /* one of its connections */
	HANDOVER_ELDER,     /* owner, pid: a process that handed over earlier: its channel and its money socket */
	HANDOVER_FROZEN,    /* owner: mine; my money socket. All is said. */
	HANDOVER_LET_GO,    /* I have read OPEN: nothing here ends you any more, and you may be taken over from */
};

struct handover_place {
	uint64_t cookie, dev, ino, agent;
	int32_t pid, tid;
	uint16_t port4, port6;
	bool is_own, has4, has6;
};

struct handover_msg {
	uint32_t kind, version;
	uint64_t dialect;
	uint32_t pid, owner, account, ms;
	struct handover_place place;
	char text[256];
};

/* The socket's path, in a folder that only we enter. *ret_fd listens. */
int handover_listen(const char *path, int *ret_fd, struct err *e);
/* -ENOENT, -ECONNREFUSED: nobody is there. */
int handover_connect(const char *path, int *ret_fd);
/* NULL or an errno: who is at the other end may not. *ret_pid: who it is. */
int handover_may(int fd, pid_t *ret_pid);
/* -1 in fds: none. Negative errno. */
int handover_send(int fd, const struct handover_msg *m, const int fds[HANDOVER_FDS]);
/* Negative errno: -EAGAIN, -EPIPE at the end. fds that did not come are -1; the caller's. Descriptors come close-on-exec. */
int handover_recv(int fd, struct handover_msg *ret, int fds[HANDOVER_FDS]);

#endif
