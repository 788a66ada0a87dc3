// SPDX-License-Identifier: Apache-2.0
/*
 * plain.h: whom does a plain HTTP request mean? Only to refuse what means an LLM host: anything that a server might take for the host counts
 * (the target, every Host header). Pure.
 */
#ifndef PURSE_PATH_PLAIN_H
#define PURSE_PATH_PLAIN_H

#include "terms.h"

#define PLAIN_HEAD_MAX (16 * 1024)

enum plain_verdict {
	PLAIN_MORE,  /* the head is not there yet */
	PLAIN_LLM,   /* is_llm said yes to one of its hosts */
	PLAIN_OTHER, /* a whole head, and no host of it is one */
	PLAIN_LONG,  /* no end within PLAIN_HEAD_MAX */
};
/* p: all bytes from the first. is_llm hears lower-case names without port. */
enum plain_verdict plain_read(const char *p, size_t n, bool (*is_llm)(void *ctx, const char *host), void *ctx);

#endif
