// SPDX-License-Identifier: Apache-2.0
/*
 * h2.h: one HTTP/2 server connection (RFC 9113) on nghttp2, whose types show nowhere else. Bytes in, calls out;
 * bytes to send are pulled. No I/O. Same strictness as h1.h for what may stand in a head; pseudo-header rules
 * and hop-by-hop fields are refused per stream (PROTOCOL_ERROR).
 * Bounds: 100 streams at once, header list 64 KiB, 8 CONTINUATIONs, reset burst 1000 then 33/s (Rapid Reset), our own count of
 * protocol errors and of server-provoked resets (nghttp2 1.52 lacks the glitch limiter): over 100 closes the connection.
 */
#ifndef PURSE_WIRE_H2_H
#define PURSE_WIRE_H2_H

#include "base/buf.h"
#include "base/err.h"
#include "wire/http.h"

struct h2;

/* stream is > 0. Inside a callback every h2_ call but h2_free, h2_feed and h2_pull is fine. */
struct h2_calls {
	/* head is valid during the call only. fin: no body follows. */
	void (*on_head)(void *ctx, int32_t stream, struct http_head *head, bool fin);
	/* The window is given back by h2_consumed, not by itself. */
	void (*on_body)(void *ctx, int32_t stream, const void *p, size_t n);
	void (*on_fin)(void *ctx, int32_t stream); /* request complete */
	/* Gone, for whatever reason (also after our own full answer): the stream number means nothing after this. */
	void (*on_closed)(void *ctx, int32_t stream, bool by_peer_reset);
	/* More answer bytes may be queued for this stream (h2_queued fell below the low mark of 64 KiB). */
	void (*on_drain)(void *ctx, int32_t stream);
};

int h2_new(const struct h2_calls *calls, void *ctx, struct h2 **ret); /* queues our SETTINGS */
void h2_free(struct h2 *h);
int h2_feed(struct h2 *h, const void *p, size_t n, struct err *e); /* 0; negative: send what h2_pull has, then close */
/* Appends what is ready to go to out, stopping once out holds about `upto` bytes. */
int h2_pull(struct h2 *h, struct buf *out, size_t upto);
bool h2_wants_close(const struct h2 *h); /* nothing left to read or write */

/* Answers. status and fields are taken from head; hop-by-hop fields are skipped. fin: no body. */
int h2_answer(struct h2 *h, int32_t stream, const struct http_head *head, bool fin);
int h2_interim(struct h2 *h, int32_t stream, int status); /* 1xx */
int h2_body(struct h2 *h, int32_t stream, const void *p, size_t n, bool fin); /* copies */
size_t h2_queued(const struct h2 *h, int32_t stream); /* answer bytes not yet pulled */
void h2_reset(struct h2 *h, int32_t stream, uint32_t error_code);
void h2_consumed(struct h2 *h, int32_t stream, size_t n); /* request body bytes are dealt with */
void h2_goaway(struct h2 *h); /* finish what runs, take no new streams */

#endif
