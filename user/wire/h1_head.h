// SPDX-License-Identifier: Apache-2.0
/*
 * h1_head.h: private to h1.c: reading one collected head in two steps. `scan` takes the bytes apart, strictly, and puts
 * every field into head->fields; `understand` then works out what the fields mean for framing and takes out those that
 * are for one hop only. Between the two h1.c asks llhttp for a second opinion on the same bytes.
 */
#ifndef PURSE_WIRE_H1_HEAD_H
#define PURSE_WIRE_H1_HEAD_H

#include "base/err.h"
#include "wire/h1.h"
#include "wire/http.h"

/* What the framing fields said, before status and method had their say. */
struct h1_framing {
	bool has_length;
	bool is_chunked;
	int64_t length; /* has_length only */
};

/* raw: start line, field lines, empty line, each ended by CRLF. Points head into raw. 0 or -EBADMSG. */
int h1_head_scan(enum h1_side side, struct str raw, struct http_head *head, struct err *e);
int h1_head_understand(enum h1_side side, struct http_head *head, struct h1_framing *ret, struct err *e);
/* One field line without its CRLF; also for trailers. line_no is for the error text. 0 or -EBADMSG. */
int h1_field_scan(struct str line, unsigned line_no, struct http_field *ret, struct err *e);
const char *h1_side_name(enum h1_side side); /* "request" or "response" */

#endif
