// SPDX-License-Identifier: Apache-2.0
/* dial.h: a non-blocking TCP connect that tries the given addresses one after the other. */
#ifndef PURSE_PATH_DIAL_H
#define PURSE_PATH_DIAL_H

#include <sys/socket.h>

#include "terms.h"

struct dial;
struct loop;

/* fd >= 0: connected, the callee owns it. fd < 0: none answered; error says why. The dial is gone when this is called. */
typedef void (*dial_fn)(void *ctx, int fd, const char *error);

/*
 * like: a socket in whose network namespace to dial from (the caller's, and open until the dial is over); -1 = our own.
 * timeout_ms is for all addresses together. fn is never called inside dial_start. Addresses are copied (at most 8).
 */
int dial_start(struct loop *l, int like, const struct sockaddr_storage *addrs, unsigned n, int64_t timeout_ms, dial_fn fn,
	       void *ctx, struct dial **ret);
void dial_cancel(struct dial *d); /* NULL ok */

#endif
