// SPDX-License-Identifier: Apache-2.0
/*
 * second.h: a spliced TLS connection whose server answers the ClientHello with a HelloRetryRequest (RFC 8446 4.1.4) gets a second one, in the
 * clear, and a server may go by its name. It has to be the same name. What the agent says behind its first hello waits until the server
 * has answered, and after a HelloRetryRequest until the second hello was read. Pure.
 */
#ifndef PURSE_PATH_SECOND_H
#define PURSE_PATH_SECOND_H

#include "terms.h"

struct hello;

/* Record head, message head, version, random: what tells a HelloRetryRequest from a ServerHello. */
#define SECOND_ANSWER (5 + 4 + 2 + 32)

struct second {
	enum { SECOND_SERVER, SECOND_AGENT, SECOND_OVER } waits_for;
	char sni[256];
	bool has_ech;
	size_t n;
	unsigned char answer[SECOND_ANSWER];
};

enum second_verdict {
	SECOND_HOLD,
	SECOND_PASS,   /* waits_for is SECOND_OVER: all that is held and all that follows */
	SECOND_REFUSE,
};

void second_begin(struct second *s, const struct hello *first);
/* The server's next bytes, while waits_for is SECOND_SERVER. */
void second_server(struct second *s, const void *p, size_t n);
/* All that is held of the agent's bytes, while waits_for is SECOND_AGENT. */
enum second_verdict second_agent(struct second *s, const void *p, size_t n);

#endif
