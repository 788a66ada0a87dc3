// SPDX-License-Identifier: Apache-2.0
/*
 * ways_said.c: what is said on a connection that was captured: names in TLS and in plain HTTP. Nothing is said to anybody but purse. The names
 * are such that it has nobody to ask for them: an LLM's own at its address, or this machine's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kern/ways_inside.h"

#define OTHER_NAME "localhost" /* resolves here, and to nothing that purse splices to */

/* ---- a hello that offers TLS 1.2 alone, so that the certificate comes in the clear */

struct hello {
	uint8_t p[768];
	size_t n;
};

static void add(struct hello *h, const void *p, size_t n)
{
	if (n > sizeof(h->p) - h->n)
		return;
	memcpy(h->p + h->n, p, n);
	h->n += n;
}

static void add16(struct hello *h, size_t v) { add(h, (uint8_t[]){ (uint8_t)(v >> 8), (uint8_t)v }, 2); }
static void set16(struct hello *h, size_t at, size_t v)
{
	h->p[at] = (uint8_t)(v >> 8);
	h->p[at + 1] = (uint8_t)v;
}

static void add_name(struct hello *h, const char *name)
{
	size_t n = strlen(name);

	add16(h, 0);
	add16(h, n + 5);
	add16(h, n + 3);
	add(h, "", 1);
	add16(h, n);
	add(h, name, n);
}

/* encrypted_client_hello, outer form: an AEAD, a key of 32 bytes and a payload that nobody can read. */
static void add_ech(struct hello *h)
{
	static const uint8_t body[8 + 32 + 2 + 64] = { 0, 0, 1, 0, 1, 7, 0, 32, [40] = 0, [41] = 64 };

	add16(h, 0xfe0d);
	add16(h, sizeof(body));
	add(h, body, sizeof(body));
}

/* name NULL = none. */
static void write_hello(struct hello *h, const char *name, bool has_ech)
{
	static const uint8_t head[] = { 22, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3 }, random[32] = "purse doctor --bypass";
	/* No session; ECDHE with AES-GCM or ChaCha20; no compression. */
	static const uint8_t suites[] = { 0, 0, 12, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30, 0xcc, 0xa9, 0xcc, 0xa8, 1, 0 };
	/* Groups, point formats, signatures, extended master secret. */
	static const uint8_t extensions[] = { 0, 10, 0, 6, 0, 4, 0, 29, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 14, 0, 12, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 6, 1,
					      0, 23, 0, 0 };

	h->n = 0;
	add(h, head, sizeof(head));
	add(h, random, sizeof(random));
	add(h, suites, sizeof(suites));
	size_t at = h->n;

	add16(h, 0);
	if (name)
		add_name(h, name);
	add(h, extensions, sizeof(extensions));
	if (has_ech)
		add_ech(h);
	set16(h, at, h->n - at - 2);
	set16(h, 3, h->n - 5);
	set16(h, 7, h->n - 9);
}

/* ---- trying */

static bool any_target(struct attempt *a, struct sockaddr_storage *ret)
{
	return way_target(a, a->t.v4.sin_family ? WAY_V4 : WAY_V6, 0, ret);
}

static bool unlisted(struct attempt *a, struct sockaddr_storage *ret)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = a->t.v4.sin_family ? a->t.v4.sin_port : htons(443) };

	memset(ret, 0, sizeof(*ret));
	(void)inet_pton(AF_INET, WAY_UNLISTED4, &to.sin_addr);
	memcpy(ret, &to, sizeof(to));
	return true;
}

typedef bool (*where_fn)(struct attempt *a, struct sockaddr_storage *ret);

static void say_hello(struct attempt *a, where_fn where, const char *name, bool has_ech, size_t piece, enum way_end closed)
{
	struct sockaddr_storage to;
	struct hello h;

	if (!where(a, &to))
		return;
	int fd = way_open(a, &to);

	if (fd < 0)
		return;
	write_hello(&h, name, has_ech);
	way_say_tls(a, fd, h.p, h.n, piece, closed);
}

static bool has_host(struct attempt *a)
{
	if (!a->t.host)
		way_say(a, WAY_UNTESTED, "no name of an LLM endpoint is known");
	return a->t.host != NULL;
}

static void hello_to_llm(struct attempt *a, where_fn where, size_t piece)
{
	if (has_host(a))
		say_hello(a, where, a->t.host, false, piece, WAY_BROKEN);
}

static void try_name(struct attempt *a) { hello_to_llm(a, any_target, 0); }
static void try_pieces(struct attempt *a) { hello_to_llm(a, any_target, 7); }
static void try_name_elsewhere(struct attempt *a) { hello_to_llm(a, unlisted, 0); }
static void try_other_name(struct attempt *a) { say_hello(a, any_target, OTHER_NAME, false, 0, WAY_BLOCKED); }
static void try_no_name(struct attempt *a) { say_hello(a, any_target, NULL, false, 0, WAY_BLOCKED); }
static void try_ech(struct attempt *a) { say_hello(a, any_target, OTHER_NAME, true, 0, WAY_BLOCKED); }

static void say_plain(struct attempt *a, where_fn where, const char *form)
{
	struct sockaddr_storage to;
	char request[640];

	if (!has_host(a) || !where(a, &to))
		return;
	int fd = way_open(a, &to);

	if (fd < 0)
		return;
	(void)snprintf(request, sizeof(request), form, a->t.host);
	way_say_http(a, fd, request, 0, WAY_BROKEN);
}

static void try_plain(struct attempt *a) { say_plain(a, any_target, "GET / HTTP/1.1\r\nhost: %s\r\n\r\n"); }
static void try_plain_elsewhere(struct attempt *a) { say_plain(a, unlisted, "GET / HTTP/1.1\r\nhost: %s\r\n\r\n"); }
static void try_connect(struct attempt *a) { say_plain(a, unlisted, "CONNECT %s:443 HTTP/1.1\r\n\r\n"); }

static const struct way rows[] = {
	{ 27, "proxy, captured port", "CONNECT to a proxy on a captured port", .try = try_connect },
	{ 34, "name in TLS", "an LLM's name at its address", .try = try_name },
	{ 35, "other name in TLS", "a name that is none of the address", .try = try_other_name },
	{ 37, "hidden name (ECH)", "the name that counts is encrypted", .try = try_ech },
	{ 38, "no name in TLS", "the server is left to guess", .try = try_no_name },
	{ 39, "name in pieces", "a hello of many small segments", .try = try_pieces },
	{ 41, "name elsewhere", "an LLM's name at an address that is not listed", .try = try_name_elsewhere },
	{ 43, "plain HTTP", "an LLM's name without TLS", .try = try_plain },
	{ 43, "plain HTTP elsewhere", "the same at an address that is not listed", .try = try_plain_elsewhere },
};
const struct way_table ways_said = WAY_TABLE(rows);
