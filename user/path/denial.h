// SPDX-License-Identifier: Apache-2.0
/*
 * denial.h: connections that the daemon refuses where the gate let them come: each reason with its word and its text, and the one place where
 * it is counted, logged and told to `purse events`. Refusals of calls are others: refuse.c.
 */
#ifndef PURSE_PATH_DENIAL_H
#define PURSE_PATH_DENIAL_H

#include "terms.h"

struct conn;

enum denial {
	DENIAL_HELLO,       /* malformed, or said in a way that two readers could read differently */
	DENIAL_LATE,        /* nothing, or half of it, within the time */
	DENIAL_STRANGER,    /* an LLM name, by a process that is no agent */
	DENIAL_NOT_TLS,     /* towards an LLM address */
	DENIAL_PLAIN_HTTP,  /* for an LLM host, or towards an LLM address */
	DENIAL_TUNNEL,      /* CONNECT, HTTP/2 without TLS or TLS later on: what follows could be for anybody */
	DENIAL_OTHER_NAME,  /* towards an address where only LLM traffic lives */
	DENIAL_NO_NAME,     /* towards an LLM address */
	DENIAL_ODD_NAME,    /* no host name */
	DENIAL_ECH,         /* the name that counts is encrypted */
	DENIAL_SECOND_NAME, /* after a HelloRetryRequest another name than before */
	DENIAL_PROXY,       /* towards a configured proxy: not plain HTTP */
	DENIAL_CONNECT,     /* a CONNECT for it that cannot be passed on */
	DENIAL_TUNNEL_NAME, /* in a tunnel: an LLM name that CONNECT did not ask for */
	DENIAL_LANDS,       /* the name leads to an LLM address, or to this machine */
	DENIAL_COUNT,
};

/* detail: more for the log, of this connection; NULL ok. The connection stays as it is: the caller closes or answers it. */
void denial_tell(struct conn *c, enum denial why, const char *detail);

#endif
