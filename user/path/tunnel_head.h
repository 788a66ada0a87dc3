// SPDX-License-Identifier: Apache-2.0
/*
 * tunnel_head.h: the two heads that open a tunnel through an HTTP proxy: the agent's CONNECT (RFC 9110 9.3.6) and the proxy's answer. Strict,
 * since the proxy reads the same bytes: what it could read otherwise is not passed. Pure.
 */
#ifndef PURSE_PATH_TUNNEL_HEAD_H
#define PURSE_PATH_TUNNEL_HEAD_H

#include "base/addr.h"
#include "base/err.h"
#include "path/plain.h"

#define TUNNEL_HEAD_MAX (8 * 1024)

enum tunnel_verdict {
	TUNNEL_MORE,
	TUNNEL_HEAD,  /* whole, the struct is filled */
	TUNNEL_OTHER, /* tunnel_read_connect only: another request */
	TUNNEL_BAD,   /* e says what */
};

struct tunnel_head {
	char host[256];      /* lower-case, without port or dot at its end; "" = an address */
	struct addr_port to; /* the address then; the port */
	bool is_llm;  /* host is one */
	size_t bytes; /* what follows is the tunnel's */
};
/* p: all bytes from the first. is_llm hears the target, and what else in the head a proxy could go by. */
enum tunnel_verdict tunnel_read_connect(const char *p, size_t n, plain_is_llm_fn is_llm, void *ctx, struct tunnel_head *ret, struct err *e);

struct tunnel_answer {
	unsigned status; /* 200..599 */
	size_t bytes;    /* what follows is the tunnel's, or the answer's body */
};
/* The proxy's. Interim answers (1xx) have no place here. */
enum tunnel_verdict tunnel_read_answer(const char *p, size_t n, struct tunnel_answer *ret, struct err *e);

#endif
