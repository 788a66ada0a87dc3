// SPDX-License-Identifier: Apache-2.0
/*
 * h2_head.h: a request head out of HTTP/2 fields (RFC 9113 8.3), with the same rules for what may stand in it as
 * HTTP/1.1 has. Pure; private to h2.c. What the frame layer sees already (order of pseudo-header fields, upper case,
 * length against body) is checked there.
 */
#ifndef PURSE_WIRE_H2_HEAD_H
#define PURSE_WIRE_H2_HEAD_H

#include "wire/http.h"

struct h2_head;

struct h2_head *h2_head_new(void); /* NULL = no memory */
void h2_head_free(struct h2_head *h); /* NULL ok */
/* Copies both. What is wrong sticks and is told by h2_head_finish. */
void h2_head_field(struct h2_head *h, struct str name, struct str value);
/* NULL: the head may not stand. fin: no body follows. */
struct http_head *h2_head_finish(struct h2_head *h, bool fin);

#endif
