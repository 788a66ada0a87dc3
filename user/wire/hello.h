// SPDX-License-Identifier: Apache-2.0
/*
 * hello.h: reads the first bytes of a connection: is it TLS, and for whom? Pure. The ClientHello may come
 * over any number of segments and records (RFC 8446 5.1), up to HELLO_MAX bytes.
 */
#ifndef PURSE_WIRE_HELLO_H
#define PURSE_WIRE_HELLO_H

#include "base/err.h"
#include "terms.h"

#define HELLO_MAX (32 * 1024)

enum hello_kind {
	HELLO_MORE,  /* not enough bytes to say */
	HELLO_TLS,   /* a whole ClientHello: the struct is filled */
	HELLO_HTTP,  /* looks like a plain-text HTTP request */
	HELLO_OTHER, /* something else */
	HELLO_BAD,   /* TLS, but malformed or over HELLO_MAX, or what some server reads TLS behind; e says what */
};

struct hello {
	char sni[256];  /* lower-cased host_name, "" if none or not a valid host name (RFC 6066 3) */
	bool is_odd;    /* there is a name that is neither host name nor IP address: who knows what a server makes of it */
	bool has_ech;   /* encrypted_client_hello (0xfe0d); that it is GREASE cannot be told */
	bool alpn_h2;
	bool alpn_http11;
	bool has_alpn;
	bool tls13;     /* supported_versions holds 0x0304 */
	size_t bytes;   /* of the input, record heads included: what follows is no longer the hello */
};

/* p: all bytes read so far, from the first. */
enum hello_kind hello_parse(const void *p, size_t n, struct hello *ret, struct err *e);

#endif
