// SPDX-License-Identifier: Apache-2.0
/*
 * h2_guard.h: what one HTTP/2 connection may get away with: breaches, frames that achieve nothing, the order of stream
 * ids. nghttp2 1.52 bounds resets, CONTINUATIONs, SETTINGS entries and queued acknowledgements; this bounds the rest. Private to h2.c.
 */
#ifndef PURSE_WIRE_H2_GUARD_H
#define PURSE_WIRE_H2_GUARD_H

#include "terms.h"

#define H2_GLITCHES_MAX 100
/* So many at once, and then so many in that time. */
#define H2_NOISE_MAX 1000
#define H2_NOISE_NS INT64_C(3000000000)
/* Streams refused because too many were open. A client that has read our SETTINGS opens none. */
#define H2_REFUSED_MAX 1000
#define H2_GAPS_MAX 16

struct h2_guard {
	int64_t (*now_ns)(void);
	unsigned glitches, noise, refused;
	int64_t noise_since_ns;
	int32_t highest; /* stream id that the client used */
	struct {
		int32_t from, to;
	} gaps[H2_GAPS_MAX]; /* ids that it left out, newest last */
	size_t ngaps;
};

void h2_guard_init(struct h2_guard *g, int64_t (*now_ns)(void));
/* Each answers NULL, or why the connection has to end. */
/* A breach that costs the peer nothing and us a stream. */
const char *h2_guard_glitch(struct h2_guard *g);
/* A frame that is allowed and achieves nothing. */
const char *h2_guard_noise(struct h2_guard *g);
/* A stream was refused. Counted when it comes and not when it is answered: one who does not take our answers makes them pile
 * up. */
const char *h2_guard_refused(struct h2_guard *g);
/* HEADERS came on this id: one that was left out before may not be used any more (RFC 9113 5.1.1). */
const char *h2_guard_id(struct h2_guard *g, int32_t id);

#endif
