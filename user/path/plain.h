// SPDX-License-Identifier: Apache-2.0
/*
 * plain.h: whom do plain bytes mean? Only to refuse what means an LLM host, so anything that a server might take for the host counts, in any
 * line of the stream: a connection that is kept alive has more heads than the first, and where they stand is a matter that two readers of
 * lengths and chunks can see differently. The price: a body that has such a line is refused, too. Pure.
 */
#ifndef PURSE_PATH_PLAIN_H
#define PURSE_PATH_PLAIN_H

#include "terms.h"

#define PLAIN_HEAD_MAX (16 * 1024)
#define PLAIN_LINE_MAX 2048 /* of a line is looked at, runs of blanks counted as one */

enum plain_verdict {
	PLAIN_MORE,   /* nothing yet */
	PLAIN_LLM,    /* is_llm said yes to a host */
	PLAIN_HIDDEN, /* from here on others are asked for where we cannot see it: CONNECT, HTTP/2 without TLS, TLS later on */
	PLAIN_OTHER,  /* plain_read only: a whole head, and no host of it is one */
	PLAIN_LONG,   /* plain_read only: no end within PLAIN_HEAD_MAX */
};

typedef bool (*plain_is_llm_fn)(void *ctx, const char *host); /* hears lower-case names without port */

/* One direction of a connection. All zero but the first two = at its start. */
struct plain {
	plain_is_llm_fn is_llm;
	void *ctx;
	bool is_late;    /* a line was read: what follows is the request line only if it looks like one */
	bool is_dull;    /* the rest of this line does not matter */
	bool has_head;   /* an empty line has ended the first head */
	bool is_folding; /* the last header was Host: a line that begins with a blank goes on with it */
	size_t since_lf; /* bytes since the last LF, CRs not counted */
	size_t n;
	char line[PLAIN_LINE_MAX];
};
/* The next bytes; PLAIN_MORE, PLAIN_LLM or PLAIN_HIDDEN. */
enum plain_verdict plain_feed(struct plain *r, const char *p, size_t n);
/* The first head; p: all bytes from the first. */
enum plain_verdict plain_read(const char *p, size_t n, plain_is_llm_fn is_llm, void *ctx);

#endif
