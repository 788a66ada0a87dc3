// SPDX-License-Identifier: Apache-2.0
/*
 * endpoints.h: keeps the gate's table of LLM addresses fresh: providers' `addresses` as they stand, else what DNS says about each
 * host, asked at start and every half minute. It adds at once, drops only what no answer has shown for a day, and
 * never the last one: an attacker or a broken resolver can make the table larger, not smaller.
 *
 * Names below a wildcard host (".example.com") cannot be asked for; they are classed by SNI alone.
 * For the main loop's thread only.
 */
#ifndef PURSE_CTL_ENDPOINTS_H
#define PURSE_CTL_ENDPOINTS_H

#include <sys/socket.h>

#include "base/err.h"
#include "terms.h"

struct config;
struct endpoints;
struct gate;
struct loop;

#define ENDPOINTS_PER_HOST 256          /* addresses remembered of one host */
#define ENDPOINTS_FORGET_S (24 * 3600)  /* unseen for so long: may be dropped */
#define ENDPOINTS_EVERY_MS 30000        /* +- a fifth, so that nodes do not ask in step */

/* loop NULL: asks nobody (tests feed endpoints_learn). */
int endpoints_new(const struct config *c, struct gate *gate, struct loop *loop, struct endpoints **ret,
		  struct err *e);
void endpoints_free(struct endpoints *ep); /* NULL ok; the gate's table stays as it is */

/* What DNS said about a host (0 addresses: error, in `why`), and the daily sweep that follows from it. */
void endpoints_learn(struct endpoints *ep, const char *host, const struct sockaddr_storage *addrs, unsigned n,
		     const char *why, int64_t now_s);

struct endpoint_view {
	const char *provider, *host;
	bool fixed;    /* from `addresses` */
	bool wildcard; /* by SNI only */
	size_t naddrs;
	const char *error; /* of the last answer; "" */
};
void endpoints_each(const struct endpoints *ep, bool (*fn)(void *ctx, size_t i, const struct endpoint_view *v), void *ctx);
/* Address j of entry i as text ("198.51.100.7"); ret >= 64 bytes. */
const char *endpoints_address(const struct endpoints *ep, size_t i, size_t j, char *ret, size_t size);

#endif
