// SPDX-License-Identifier: Apache-2.0
/*
 * h1.h: HTTP/1.1 in both directions, bytes in, facts out (RFC 9112). llhttp with every leniency
 * off behind our own strict scan of the raw head and of chunk framing, since a request that is smuggled past
 * us is a free call: bare CR or LF, NUL, an empty or non-token name, obs-fold, any Transfer-Encoding but one
 * "chunked", TE with Content-Length, unequal or non-digit lengths, a missing or second Host, an
 * absolute-form or non-origin target (but OPTIONS *), CONNECT, chunk extensions over 256 bytes, CR without LF
 * in chunk framing: all are H1_BAD. Trailers are read, checked and dropped.
 * A parser does no I/O and logs nothing.
 */
#ifndef PURSE_WIRE_H1_H
#define PURSE_WIRE_H1_H

#include "base/buf.h"
#include "base/err.h"
#include "wire/http.h"

struct h1;
enum h1_side { H1_REQUESTS, H1_RESPONSES };

enum h1_fact {
	H1_MORE, /* all input used; feed more */
	H1_HEAD, /* h1_head() is valid until the next H1_HEAD or h1_free */
	H1_BODY, /* *ret_body is a piece of body, inside the input */
	H1_END,  /* message complete (needs no input: ask until H1_MORE); the next call starts the next message */
	H1_BAD,  /* e says why; the parser stays bad */
};

struct h1 *h1_new(enum h1_side side); /* NULL = no memory */
void h1_free(struct h1 *p);

/*
 * Reads from *in (advances it over what was used) until there is one fact to tell. Responses: 1xx heads
 * are told as H1_HEAD followed by H1_END and do not count as the answer; 101 is H1_BAD, since we never ask for it.
 * Bytes behind a message with keep_alive false are H1_BAD: do not ask for the next message then.
 * Input that was not used when H1_HEAD, H1_BODY or H1_END is returned belongs to the next call.
 */
enum h1_fact h1_next(struct h1 *p, struct str *in, struct str *ret_body, struct err *e);
struct http_head *h1_head(struct h1 *p);
/*
 * Responses: the next answer belongs to a HEAD request, so it has no body whatever its length says. For such an
 * answer, and for 304, head->length is FIXED if there is a Content-Length, else NONE; H1_END follows at once.
 */
void h1_expect_no_body(struct h1 *p);
/* The peer closed. H1_END if that completes the message (HTTP_LENGTH_CLOSE), H1_MORE if idle between
 * messages, else H1_BAD. */
enum h1_fact h1_eof(struct h1 *p, struct err *e);
bool h1_is_idle(const struct h1 *p); /* between messages, no byte of the next one seen */

/*
 * Writing. A head is always written anew from its parsed form: start line, Host (requests), the fields in
 * order, then Content-Length, or Transfer-Encoding: chunked, or Connection: close as `length` and `keep_alive`
 * say. Fields for one hop and content-length (in requests also host) inside fields are skipped. The version is
 * always HTTP/1.1; http10 says that the reader speaks 1.0 (then keep_alive is written out, and CHUNKED is the caller's
 * mistake). A response with length NONE gets Content-Length: 0 unless its status has no body.
 * 0, -EMSGSIZE, -EINVAL (a byte that must not be in a head, a length that cannot be), -ENOMEM; out is then unchanged.
 */
int h1_write_request(struct buf *out, const struct http_head *h);
int h1_write_response(struct buf *out, const struct http_head *h);
int h1_write_chunk(struct buf *out, const void *p, size_t n); /* n > 0 */
int h1_write_last_chunk(struct buf *out);

#endif
