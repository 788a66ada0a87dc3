// SPDX-License-Identifier: Apache-2.0
/*
 * endpoints.h: keeps the gate's table of LLM addresses fresh. An address is there because
 *   config  it, or a range that it is in, stands in a provider's `addresses`: stays for ever;
 *   dns     DNS names it, asked again when its TTL is over (within bounds): stays for an hour after DNS has stopped naming it. Never below
 *           the last good set: without a good answer nothing goes;
 *   sni     an agent went there under a configured name, and a TLS handshake from the daemon proved that the address serves that name:
 *           stays for an hour after the last proof. Bounded in number, of one agent, of one host and in all: who brought up the most
 *           makes room, the oldest first. Addresses of private networks, which an agent's neighbours have, are not learned this way.
 * So an attacker, or a broken resolver, can make the table larger, within bounds, not smaller. A v4 address is listed in all its NAT64 forms.
 *
 * What an agent brought up has its provider's class only near (same /24, /48) what config or DNS name; elsewhere it counts as shared: any
 * address of a large CDN serves any of its customers' names, and so does a relay that an agent runs; neither is to be closed to others.
 *
 * Names below a wildcard host (".example.com") cannot be asked for; they are known by SNI alone.
 * For the main loop's thread only, but endpoints_sighted.
 */
#ifndef PURSE_CTL_ENDPOINTS_H
#define PURSE_CTL_ENDPOINTS_H

#include <sys/socket.h>

#include "base/err.h"
#include "gate_abi.h"
#include "terms.h"

struct config;
struct endpoints;
struct events_door;
struct gate;
struct loop;
struct tls_ctx;

#define ENDPOINTS_PER_HOST 256     /* addresses remembered of one host */
#define ENDPOINTS_FORGET_S 3600    /* not named or proven for so long: may be dropped */
#define ENDPOINTS_TTL_LEAST_S 5    /* a TTL is taken for at least and at most this; up to a tenth more, so that nodes do not ask in step */
#define ENDPOINTS_TTL_MOST_S 300
#define ENDPOINTS_RETRY_S 5       /* after no answer */
#define ENDPOINTS_LEARNED_PER_HOST 32 /* known by SNI alone */
#define ENDPOINTS_LEARNED_PER_AGENT 16
#define ENDPOINTS_LEARNED_MAX 256
#define ENDPOINTS_PROVE_AGAIN_S 600 /* seen in use, and not named or proven for so long: proven again */

/* loop NULL: asks nobody (tests feed endpoints_learn and endpoints_proven). */
int endpoints_new(const struct config *c, struct gate *gate, struct loop *loop, struct endpoints **ret,
		  struct err *e);
void endpoints_free(struct endpoints *ep); /* NULL ok; the gate's table stays as it is */
/* From now on sightings are proven, verified by this context (takes a reference); what is learned is told there (NULL ok). */
int endpoints_prove_with(struct endpoints *ep, struct tls_ctx *client, struct events_door *door, struct err *e);

/* What DNS said about a host, and for how long (0 addresses: error, in `why`), and the sweep that follows from it. */
void endpoints_learn(struct endpoints *ep, const char *host, const struct sockaddr_storage *addrs, unsigned n, unsigned ttl_s,
		     const char *why, int64_t now_s);
/*
 * An agent's TLS connection asks for `name`, which is one of that provider's. listed: the gate knows the address.
 * Returns at once; any thread. Cheap enough for every connection; too many at a time are forgotten.
 */
void endpoints_sighted(struct endpoints *ep, uint16_t provider, const char *name, const struct gate_flow *flow, const char *agent, bool listed);
/* What follows from a proof. is_own: the address is this machine's own, where an agent could listen and relay. */
struct proof;
void endpoints_proven(struct endpoints *ep, const struct proof *p, bool is_own, int64_t now_s);
/* Drops what was known by SNI alone and is old; an hour after the start also what an earlier daemon left and nobody found again. */
void endpoints_sweep(struct endpoints *ep, int64_t now_s);

struct endpoint_view {
	const char *provider, *host;
	bool fixed;    /* from `addresses`: DNS is not asked */
	bool wildcard; /* by SNI only */
	size_t naddrs;
	const char *error;  /* of the last answer; "" */
	int64_t answered_s; /* clock_boot seconds of the last good answer; -1 = none */
	int64_t asks_s;     /* when it is asked again; -1 = never */
};
void endpoints_each(const struct endpoints *ep, bool (*fn)(void *ctx, size_t i, const struct endpoint_view *v), void *ctx);

enum { ENDPOINT_BY_CONFIG = 1, ENDPOINT_BY_DNS = 2, ENDPOINT_BY_SNI = 4 };
struct endpoint_address {
	uint8_t addr[16];
	enum gate_class class; /* in the gate: the strictest of all hosts that have it */
	unsigned known_by;     /* ENDPOINT_BY_… bits */
	int64_t since_s, seen_s;
	int64_t leaves_s; /* unless seen again; -1 = never */
	const char *taught_by; /* the agent that brought it up; "" = none did. Valid until the next change */
};
/* Address j of entry i. */
void endpoints_address_at(const struct endpoints *ep, size_t i, size_t j, struct endpoint_address *ret);
/* The same as text ("198.51.100.7"); ret >= 64 bytes. */
const char *endpoints_address(const struct endpoints *ep, size_t i, size_t j, char *ret, size_t size);

struct endpoints_counts {
	size_t learned; /* known by SNI alone, now */
	uint64_t sighted, proofs, proven, failed, dropped; /* dropped: too many at a time */
};
void endpoints_count(const struct endpoints *ep, struct endpoints_counts *ret);

#endif
