// SPDX-License-Identifier: Apache-2.0
/* client.h: the command line's side of the control API: one blocking request at a time over the unix socket. */
#ifndef PURSE_CTL_CLIENT_H
#define PURSE_CTL_CLIENT_H

#include "base/buf.h"
#include "base/err.h"
#include "terms.h"

struct client_answer {
	int status;
	struct buf body; /* JSON_PADDING readable bytes behind it */
};

/*
 * body NULL = none. 0 with an answer, whatever its status (client_answer_done frees it). -ENOTCONN: no daemon listens there;
 * other negative errno with e.
 */
int client_call(const char *socket_path, const char *method, const char *target, const char *body,
		struct client_answer *ret, struct err *e);
void client_answer_done(struct client_answer *a);

/* GET whose answer has no end: fn gets its bytes as they come and returns false to stop. 0 at the end of the stream. */
int client_follow(const char *socket_path, const char *target, bool (*fn)(void *ctx, const char *p, size_t n),
		  void *ctx, struct err *e);
/* Holds a lease until the descriptor (close-on-exec) is closed: an embedded daemon stays as long. -ENOTCONN as above. */
int client_lease(const char *socket_path, int *ret_fd, struct err *e);
/* Is somebody listening? */
bool client_is_up(const char *socket_path);
/* Appends "key=value" with what must be escaped escaped; the first one with '?'. */
int client_query(struct buf *target, const char *key, const char *value);

#endif
