// SPDX-License-Identifier: Apache-2.0
/*
 * h1_head.h: private to h1.c: reading one collected head in three steps. `scan` takes the bytes apart, strictly, and
 * puts every field into head->fields; `understand` works out what the fields mean for framing and marks those that are
 * for one hop only; `finish` takes them out. Before the last one h1.c asks llhttp for a second opinion on all of it.
 */
#ifndef PURSE_WIRE_H1_HEAD_H
#define PURSE_WIRE_H1_HEAD_H

#include "base/err.h"
#include "wire/h1.h"
#include "wire/http.h"

struct h1_meaning {
	/* What the framing fields said, before status and method had their say. */
	bool has_length;
	bool is_chunked;
	int64_t length; /* has_length only */
	/* By field: false = for us alone. */
	bool stays[HTTP_FIELDS_MAX];
};

/* raw: start line, field lines, empty line, each ended by CRLF. Points head into raw. 0 or -EBADMSG. */
int h1_head_scan(enum h1_side side, struct str raw, struct http_head *head, struct err *e);
int h1_head_understand(enum h1_side side, struct http_head *head, struct h1_meaning *ret, struct err *e);
/*
 * Does llhttp read from raw what we read? All fields must still stand in ours. 0, or -EBADMSG when it refuses the head or
 * reads something else.
 */
int h1_second_opinion(enum h1_side side, struct str raw, const struct http_head *ours, const struct h1_meaning *means,
		      struct err *e);
void h1_head_finish(struct http_head *head, const struct h1_meaning *m);
/* One field line without its CRLF; also for trailers. line_no is for the error text. 0 or -EBADMSG. */
int h1_field_scan(struct str line, unsigned line_no, struct http_field *ret, struct err *e);
const char *h1_side_name(enum h1_side side); /* "request" or "response" */

#endif
