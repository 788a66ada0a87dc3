// SPDX-License-Identifier: Apache-2.0
/*
 * decode.h: undoes a Content-Encoding (RFC 9110 8.4) for metering only; the agent always gets the bytes
 * as they came. gzip, x-gzip, deflate (zlib or raw), br, zstd, identity; a chain of codings is not decoded.
 * Bounded against bombs by the total output. Not by a ratio: a model that repeats itself compresses a thousand to one, and what is not
 * read cannot be charged right.
 */
#ifndef PURSE_WIRE_DECODE_H
#define PURSE_WIRE_DECODE_H

#include "base/buf.h"

struct decode;

/* -EOPNOTSUPP: a coding we do not know. An empty coding is identity. */
int decode_new(struct str coding, size_t max_output, struct decode **ret);
void decode_free(struct decode *d);
/* Appends to out what can be decoded now. 0; -EBADMSG corrupt; -EMSGSIZE over the limits; -ENOMEM. Errors stick. */
int decode_feed(struct decode *d, const void *p, size_t n, struct buf *out);
/* True if an Accept-Encoding value names only codings that decode_new knows (q-values ignored; "*" is not known). */
bool decode_knows_all(struct str accept_encoding);

#endif
