// SPDX-License-Identifier: Apache-2.0
/*
 * http.h: a message head as plain values, whatever version carried it. Made by
 * h1.c and h2.c, written by h1.c and h2.c. Field order and the case of names are
 * kept as they came (HTTP/2 names are lower-case by RFC 9113 8.2.1).
 */
#ifndef PURSE_WIRE_HTTP_H
#define PURSE_WIRE_HTTP_H

#include "terms.h"

#define HTTP_FIELDS_MAX 128
#define HTTP_HEAD_MAX (64 * 1024) /* bytes of a whole head */

struct http_field {
	struct str name;
	struct str value; /* no leading or trailing blanks, no CR LF NUL */
};

enum http_length { HTTP_LENGTH_NONE, HTTP_LENGTH_FIXED, HTTP_LENGTH_CHUNKED, HTTP_LENGTH_CLOSE };

struct http_head {
	struct str method;    /* requests */
	struct str target;    /* requests: origin-form "/path?query" as sent; h2 :path */
	struct str authority; /* requests: Host or :authority as sent */
	int status;           /* responses: 100..999 */
	struct str reason;    /* responses, may be empty */
	/* All fields but Host, Connection, Transfer-Encoding, Keep-Alive, Proxy-Connection, TE, Trailer, Upgrade,
	 * Expect, and whatever Connection named: what is hop-by-hop is consumed by the parser (RFC 9110 7.6.1).
	 * Content-Length stands here as it came; the writers leave it out and write `length` instead. */
	struct http_field fields[HTTP_FIELDS_MAX];
	size_t nfields;
	enum http_length length;
	int64_t content_length; /* FIXED only */
	bool keep_alive;        /* h1: the sender will take another message */
	int keep_alive_s;       /* h1: for so long, as far as it said (Keep-Alive: timeout); 0 = it did not */
	bool expect_continue;   /* requests: Expect: 100-continue was sent (and consumed) */
	bool upgrade;           /* an Upgrade was asked for (and consumed): we do not */
	bool http10;            /* an HTTP/1.0 message */
};

/* First field of that name, any case; NULL = none. */
const struct http_field *http_find(const struct http_head *h, struct str name);
size_t http_count(const struct http_head *h, struct str name);
void http_drop(struct http_head *h, struct str name);                  /* all of that name */
int http_add(struct http_head *h, struct str name, struct str value);  /* -ENOSPC */
/* Replaces the first, drops the rest, adds when there is none. */
int http_set(struct http_head *h, struct str name, struct str value);

/* What may stand in a head, the same for both versions; readers and writers ask these. */
bool http_is_token(struct str s);  /* RFC 9110 5.6.2, not empty: methods and field names */
bool http_is_value(struct str s);  /* printable ASCII, blanks inside, bytes over 0x7f; no blank at either end; may be empty */
bool http_is_target(struct str s); /* origin-form: "/" and visible ASCII, no "#"; or "*" */
bool http_is_authority(struct str s); /* uri-host [":" port] as Host has it (RFC 9112 3.2), not empty, no userinfo */
/* Fields for one hop only (RFC 9110 7.6.1): never in fields[], never forwarded, forbidden in HTTP/2. */
bool http_is_hop(struct str name);
/* Digits only, at most 2^53; 0 or -EINVAL. */
int http_read_length(struct str value, int64_t *ret);

#endif
