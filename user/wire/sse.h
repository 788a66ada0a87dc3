// SPDX-License-Identifier: Apache-2.0
/*
 * sse.h: splits a text/event-stream (WHATWG HTML 9.2.6) into events. CR, LF, CRLF line ends, BOM, comments, several
 * data lines, data before event, a last event without its blank line, cuts at any byte. Keeps at most one
 * event; one over max_bytes (raw) makes the splitter overflow: it then tells SSE_OVERFLOW, drops that event's fields and
 * goes on with the next event. `raw` of an SSE_OVERFLOW is the next piece of that event; there may be several.
 * So: the raws of all facts, SSE_EVENT and SSE_OVERFLOW, one behind the other, are the input, byte for byte.
 * Comments and empty lines alone make an event too, with has_data false.
 */
#ifndef PURSE_WIRE_SSE_H
#define PURSE_WIRE_SSE_H

#include "terms.h"

struct sse;

enum sse_fact { SSE_MORE, SSE_EVENT, SSE_OVERFLOW, SSE_NO_MEMORY };

struct sse_event {
	struct str name; /* "" if none */
	struct str data; /* data lines joined with LF; JSON_PADDING readable bytes behind it */
	struct str raw;  /* the whole block as it came, blank line included */
	/* Where `data` stands inside `raw`; -1 if it is spread over several lines. */
	int64_t data_at;
	bool has_data;
};

struct sse *sse_new(size_t max_bytes); /* NULL = no memory */
void sse_free(struct sse *s);
/* Advances *in; the event is valid until the next call. */
enum sse_fact sse_next(struct sse *s, struct str *in, struct sse_event *ret);
/* The stream ended: SSE_EVENT if an unfinished event is left (its raw then lacks the blank line), else SSE_MORE. */
enum sse_fact sse_end(struct sse *s, struct sse_event *ret);

#endif
