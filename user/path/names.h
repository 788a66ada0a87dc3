// SPDX-License-Identifier: Apache-2.0
/*
 * names.h: host name -> addresses for one worker, cached, looked up off the loop. What agents make it ask never stands before what purse
 * has to know itself:
 *   names of the config   an answer that is over is given once more, for up to an hour, while it is asked for again: it decides only whom
 *                         to dial, and the certificate decides whether that is the provider
 *   names of agents       a few look-ups at once, fewer for each agent; the others wait in turn; a failure is kept for some seconds; on a
 *                         shelf of their own in the cache
 * Equal questions are asked once. Loop thread only.
 */
#ifndef PURSE_PATH_NAMES_H
#define PURSE_PATH_NAMES_H

#include <sys/socket.h>

#include "terms.h"

struct loop;
struct names;
struct names_wait;

#define NAMES_ADDRS_MAX 8
#define NAMES_OURS UINT32_MAX /* asker: purse itself, for a host of the config */

/* n = 0: error says why. Never called inside names_get. */
typedef void (*names_fn)(void *ctx, const struct sockaddr_storage *addrs, unsigned n, const char *error);

int names_new(struct loop *l, struct names **ret);
void names_free(struct names *n); /* nobody waits any more */
/*
 * asker: the account of the agent that wants it (0: processes that are no agents, as one), or NAMES_OURS. 0; -ENOMEM; -EINVAL: no name;
 * -EBUSY: that asker waits for too many names already.
 */
int names_get(struct names *n, uint32_t asker, const char *host, uint16_t port, names_fn fn, void *ctx, struct names_wait **ret);
void names_cancel(struct names_wait *w); /* NULL ok; not after fn was called */

#endif
