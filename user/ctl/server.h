// SPDX-License-Identifier: Apache-2.0
/*
 * server.h: the control API's sockets: HTTP/1.1 on a unix socket (mode 0600, in a directory 0700), answered on the daemon's main
 * loop; what is slow runs on a thread of its own. The peer's user comes from SO_PEERCRED, whatever the file's mode.
 * Bounds: CTL_REQUEST_MAX, CTL_CONNS_MAX, CTL_IDLE_MS of ctl_abi.h. What requests there are: route.h.
 */
#ifndef PURSE_CTL_SERVER_H
#define PURSE_CTL_SERVER_H

#include "base/err.h"
#include "ctl/control.h"

struct loop;
struct server;

struct server_options {
	const char *socket_path; /* NULL: nothing is bound, only server_adopt (tests) */
	int64_t idle_ms;         /* 0 = CTL_IDLE_MS */
	int64_t wait_ms;         /* 0 = CTL_WAIT_MS */
	int listen_fd;           /* > 0: listening already at socket_path, from the process that hands over; taken, also on failure */
};

/* A socket file that a dead daemon left is replaced: the gate's lock has made sure that it is dead. */
int server_new(struct loop *loop, const struct control *c, const struct server_options *o, struct server **ret,
	       struct err *e);
/* Closes all connections, waits for threads, removes the socket file. NULL ok. */
void server_free(struct server *s);
/*
 * A hand-over (docs/upgrade.md). server_pause: nothing is read or accepted, connections wait; true: no slow request is running and no answer
 * is held back any more.
 * server_resume: as before. server_each_open: the listening socket and the leases, borrowed. server_leave: the socket file is another's now and
 * stays at server_free. server_adopt_lease: a connection that another process had answered with a lease.
 */
bool server_pause(struct server *s);
void server_resume(struct server *s);
void server_each_open(const struct server *s, void (*fn)(void *ctx, int fd, bool is_lease), void *ctx);
void server_leave(struct server *s);
int server_adopt_lease(struct server *s, int fd);
/* Takes over a connected unix stream socket. */
int server_adopt(struct server *s, int fd);
/* Old connections were ended: answers that waited for it go out. */
void server_look_again(struct server *s);
unsigned server_conns(const struct server *s);
unsigned server_leases(const struct server *s); /* connections that are held open by GET /v1/lease */

#endif
