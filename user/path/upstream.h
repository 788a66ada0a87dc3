// SPDX-License-Identifier: Apache-2.0
/*
 * upstream.h: the provider's side: one request and its answer over a verified TLS connection, from a pool per worker. Which
 * HTTP version runs below is this file's business alone (HTTP/1.1 today).
 *
 * The request is sent when the connection is ready; `sent` is called before its first byte goes out: that is the moment
 * from which the call may cost money. No request is ever sent twice: a POST that may have arrived may have been billed.
 */
#ifndef PURSE_PATH_UPSTREAM_H
#define PURSE_PATH_UPSTREAM_H

#include "path/worker.h"
#include "wire/http.h"

struct upstreams; /* the pool */
struct upstream;  /* one request on its way */

struct upstream_calls {
	void (*sent)(void *ctx); /* the first byte is about to go */
	void (*all_sent)(void *ctx); /* the whole request is out: the body is no longer needed */
	/* The final answer's head (no 1xx). May be changed by the callee. */
	void (*head)(void *ctx, struct http_head *head);
	void (*body)(void *ctx, const void *p, size_t n);
	/* Complete; the upstream is gone when this is called. */
	void (*end)(void *ctx);
	/* Broken, timed out or refused; gone when this is called. */
	void (*failed)(void *ctx, enum refusal_reason why, const char *text);
	/* After a batch of body calls: a good moment to flush. all_read: nothing that has arrived is left. */
	void (*batch)(void *ctx, bool all_read);
};

int upstreams_new(struct worker *w, struct upstreams **ret);
void upstreams_free(struct upstreams *u);
void upstreams_prune(struct upstreams *u, int64_t now_ns); /* closes what has idled too long */

/*
 * Starts. host is the verified name. head's strings and the body pieces must stay until `all_sent`, end, failed or cancel.
 * No callback runs inside this call.
 */
int upstream_start(struct upstreams *u, const struct path_provider *p, const char *host, const struct http_head *head,
		   const struct str *body, size_t npieces, const struct upstream_calls *calls, void *ctx,
		   struct upstream **ret);
void upstream_pause(struct upstream *up, bool on); /* stop reading the answer */
void upstream_cancel(struct upstream *up);         /* closes; no callback after this */

#endif
