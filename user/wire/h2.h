// SPDX-License-Identifier: Apache-2.0
/*
 * h2.h: one HTTP/2 server connection (RFC 9113) on nghttp2, whose types show nowhere else. Bytes in, calls out;
 * bytes to send are pulled. No I/O. Same strictness as h1.h for what may stand in a head; pseudo-header rules
 * and hop-by-hop fields are refused per stream (PROTOCOL_ERROR).
 * Bounds: 100 streams at once, header list 64 KiB and 128 fields, 8 CONTINUATIONs, reset burst 1000 then 33/s (Rapid Reset), windows
 * of 256 KiB per stream and 1 MiB in all, 8 MiB of queued answer per stream. Our own, since nghttp2 1.52 lacks the glitch
 * limiter: over 100 resets that the peer provoked (MadeYouReset), over 1000 streams refused, or 1000 frames within 3 s that achieve nothing (pings, settings,
 * priorities, empty DATA, tiny window updates), close the connection.
 */
#ifndef PURSE_WIRE_H2_H
#define PURSE_WIRE_H2_H

#include "base/buf.h"
#include "base/err.h"
#include "wire/http.h"

struct h2;

/*
 * stream is > 0. Inside a callback every h2_ call but h2_free, h2_feed and h2_pull is fine. Once the answer is
 * queued to its end, or the stream was reset by h2_reset, on_body and on_fin are not called any more: up to 1 MiB that still comes
 * is read and dropped, since many clients send all before they look; then the stream is reset with NO_ERROR.
 */
struct h2_calls {
	/* head is valid during the call only. fin: no body follows. */
	void (*on_head)(void *ctx, int32_t stream, struct http_head *head, bool fin);
	/* The window is given back by h2_consumed, not by itself. */
	void (*on_body)(void *ctx, int32_t stream, const void *p, size_t n);
	/* Request complete; not called when on_head had fin. */
	void (*on_fin)(void *ctx, int32_t stream);
	/* Gone, for whatever reason (also after our own full answer): the stream number means nothing after this. Once for
	 * each on_head, unless the connection is freed first. */
	void (*on_closed)(void *ctx, int32_t stream, bool by_peer_reset);
	/* More answer bytes may be queued for this stream (h2_queued fell below the low mark of 64 KiB). */
	void (*on_drain)(void *ctx, int32_t stream);
};

int h2_new(const struct h2_calls *calls, void *ctx, struct h2 **ret); /* queues our SETTINGS */
void h2_free(struct h2 *h); /* NULL ok; calls nobody */
/* 0; negative: send what h2_pull has, then close. After an error of the connection that nghttp2 answers by itself this is
 * 0, and h2_wants_close is true once the GOAWAY is pulled. */
int h2_feed(struct h2 *h, const void *p, size_t n, struct err *e);
/* Appends what is ready to go to out, stopping once out holds about `upto` bytes. */
int h2_pull(struct h2 *h, struct buf *out, size_t upto);
bool h2_wants_close(const struct h2 *h); /* nothing left to read or write */

/*
 * Answers. -ENOENT: the stream is gone; -EINVAL: out of order (a second head, a body before it or behind its end) or
 * something that must not stand in a head; -EMSGSIZE: over 8 MiB are queued.
 * Status and fields are taken from head, names lower-cased; hop-by-hop fields are skipped, content-length is written as
 * `length` says. fin: no body.
 */
int h2_answer(struct h2 *h, int32_t stream, const struct http_head *head, bool fin);
int h2_interim(struct h2 *h, int32_t stream, int status); /* 1xx */
int h2_body(struct h2 *h, int32_t stream, const void *p, size_t n, bool fin); /* copies */
size_t h2_queued(const struct h2 *h, int32_t stream);   /* answer bytes not yet pulled */
uint64_t h2_sent(const struct h2 *h, int32_t stream);  /* and those that were, all in all */
void h2_reset(struct h2 *h, int32_t stream, uint32_t error_code);
/* Request body bytes are dealt with. What a stream that ended still owed is given back by itself. */
void h2_consumed(struct h2 *h, int32_t stream, size_t n);
/* No further streams, please: those that are on their way are taken all the same (RFC 9113 section 6.8). h2_goaway may follow. */
void h2_notice(struct h2 *h);
void h2_goaway(struct h2 *h); /* finish what runs, take no new streams */

#endif
