// SPDX-License-Identifier: Apache-2.0
/* names.h: host name -> addresses, cached for half a minute per worker, resolved off the loop. */
#ifndef PURSE_PATH_NAMES_H
#define PURSE_PATH_NAMES_H

#include <sys/socket.h>

#include "terms.h"

struct loop;
struct names;
struct names_wait;

#define NAMES_ADDRS_MAX 8

/* n = 0: error says why. Never called inside names_get. */
typedef void (*names_fn)(void *ctx, const struct sockaddr_storage *addrs, unsigned n, const char *error);

int names_new(struct loop *l, struct names **ret);
void names_free(struct names *n);
int names_get(struct names *n, const char *host, uint16_t port, names_fn fn, void *ctx, struct names_wait **ret);
void names_cancel(struct names_wait *w); /* NULL ok; not after fn was called */

#endif
