// SPDX-License-Identifier: Apache-2.0
/*
 * hello.c: reads a ClientHello (RFC 8446 4.1.2, 5.1) with a cursor that remembers its first error. It reads what
 * decides where a connection goes and who may see it; it does not judge ciphers or keys, OpenSSL does that
 * when the connection is terminated. Strict about structure: a hello that two readers could understand in two ways
 * could name one host to us and another to the server.
 */
#include "wire/hello.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

#define RECORD_HEAD 5
#define RECORD_MAX 16384 /* plain text of one record */
#define HANDSHAKE_HEAD 4
#define BLANK_MAX 64

enum { CONTENT_FIRST = 20, CONTENT_HANDSHAKE = 22, CONTENT_LAST = 24, HANDSHAKE_CLIENT_HELLO = 1 };
enum { EXT_SERVER_NAME = 0, EXT_ALPN = 16, EXT_SUPPORTED_VERSIONS = 43, EXT_ECH = 0xfe0d };

/* ---- the cursor: reads past the end give zero and stick */

struct cursor {
	const unsigned char *p;
	size_t left;
	const char *wrong; /* the first thing that was */
};

static bool spoil(struct cursor *c, const char *wrong)
{
	if (!c->wrong)
		c->wrong = wrong;
	c->left = 0;
	return false;
}

static struct cursor take(struct cursor *c, size_t n, const char *what)
{
	struct cursor part = { .p = c->p, .left = n };

	if (c->wrong || n > c->left) {
		(void)spoil(c, what);
		return (struct cursor){ .wrong = what };
	}
	c->p += n;
	c->left -= n;
	return part;
}

static unsigned take_number(struct cursor *c, unsigned bytes, const char *what)
{
	struct cursor part = take(c, bytes, what);
	unsigned n = 0;

	for (size_t i = 0; i < part.left; i++)
		n = n << 8 | part.p[i];
	return n;
}

/* A vector with its length (of `bytes` bytes) in front. */
static struct cursor take_vector(struct cursor *c, unsigned bytes, const char *what)
{
	return take(c, take_number(c, bytes, what), what);
}

/* ---- extensions: each gets a cursor over its own bytes and must use all of them */

/* Digits, dots and colons: an address, which RFC 6066 forbids and some send all the same. It says no more than none does. */
static bool is_address(struct str s)
{
	size_t i = 0;

	while (i < s.n && s.p[i] && strchr("0123456789abcdefABCDEF.:", s.p[i]))
		i++;
	return i == s.n;
}

static void read_server_name(struct cursor *c, struct hello *h)
{
	struct cursor list = take_vector(c, 2, "server_name list");
	bool seen = false;
	int port;

	if (!list.wrong && list.left == 0)
		(void)spoil(c, "an empty server_name list");
	while (list.left) {
		const unsigned type = take_number(&list, 1, "server_name type");
		struct cursor name = take_vector(&list, 2, "server_name entry");

		if (list.wrong || type != 0 || seen) {
			/* RFC 6066 3: one name per type; host_name is the only type there is. */
			(void)spoil(c, "a server_name list that is not one host_name");
			return;
		}
		seen = true;
		const struct str host = { (const char *)name.p, name.left };
		if (str_host(host, h->sni, sizeof(h->sni), &port) || port != -1) {
			h->sni[0] = '\0';
			h->is_odd = !is_address(host);
		}
	}
}

static void read_alpn(struct cursor *c, struct hello *h)
{
	struct cursor list = take_vector(c, 2, "ALPN list");

	h->has_alpn = true;
	if (!list.wrong && list.left == 0)
		(void)spoil(c, "an empty ALPN list");
	while (list.left) {
		struct cursor name = take_vector(&list, 1, "ALPN entry");
		const struct str s = { (const char *)name.p, name.left };

		if (list.wrong || s.n == 0) {
			(void)spoil(c, "an ALPN list with a broken or empty entry");
			return;
		}
		h->alpn_h2 |= str_eq(s, STR("h2"));
		h->alpn_http11 |= str_eq(s, STR("http/1.1"));
	}
}

static void read_versions(struct cursor *c, struct hello *h)
{
	struct cursor list = take_vector(c, 1, "supported_versions list");

	if (!list.wrong && (list.left == 0 || list.left % 2))
		(void)spoil(c, "a supported_versions list of odd or no length");
	while (list.left >= 2)
		h->tls13 |= take_number(&list, 2, "version") == 0x0304;
}

static void read_ech(struct cursor *c, struct hello *h)
{
	h->has_ech = true;
	(void)take(c, c->left, "ECH");
}

static const struct {
	unsigned type;
	void (*read)(struct cursor *c, struct hello *h);
} extensions[] = {
	{ .type = EXT_SERVER_NAME, .read = read_server_name },
	{ .type = EXT_ALPN, .read = read_alpn },
	{ .type = EXT_SUPPORTED_VERSIONS, .read = read_versions },
	{ .type = EXT_ECH, .read = read_ech },
};

static bool read_extension(unsigned type, struct cursor *body, struct hello *h)
{
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		if (extensions[i].type != type)
			continue;
		extensions[i].read(body, h);
		if (!body->wrong && body->left)
			(void)spoil(body, "bytes behind the content of an extension");
	}
	return !body->wrong;
}

static void read_extensions(struct cursor *c, struct hello *h)
{
	struct cursor all = take_vector(c, 2, "the extensions");
	unsigned char seen[65536 / 8] = { 0 };

	while (all.left) {
		const unsigned type = take_number(&all, 2, "an extension's type");
		struct cursor body = take_vector(&all, 2, "an extension");

		if (all.wrong) {
			(void)spoil(c, all.wrong);
			return;
		}
		/* RFC 8446 4.2: not twice. The first or the last SNI? Two readers may differ. */
		if (seen[type / 8] & (1u << type % 8)) {
			(void)spoil(c, "the same extension twice");
			return;
		}
		seen[type / 8] |= (unsigned char)(1u << type % 8);
		if (!read_extension(type, &body, h)) {
			(void)spoil(c, body.wrong);
			return;
		}
	}
}

/* The body of the handshake message. NULL, or what is wrong. */
static const char *read_client_hello(const unsigned char *p, size_t n, struct hello *h)
{
	struct cursor c = { .p = p, .left = n };
	struct cursor part;

	if (take_number(&c, 1, "the version") != 3)
		(void)spoil(&c, "a version that is not 3.x");
	(void)take_number(&c, 1, "the version");
	(void)take(&c, 32, "the random");
	part = take_vector(&c, 1, "the session id");
	if (part.left > 32)
		(void)spoil(&c, "a session id of over 32 bytes");
	part = take_vector(&c, 2, "the cipher suites");
	if (part.left == 0 || part.left % 2)
		(void)spoil(&c, "cipher suites of odd or no length");
	part = take_vector(&c, 1, "the compression methods");
	if (part.left == 0)
		(void)spoil(&c, "no compression method");
	/* TLS 1.2 may come without any extension. */
	if (c.left)
		read_extensions(&c, h);
	if (!c.wrong && c.left)
		(void)spoil(&c, "bytes behind the extensions");
	return c.wrong;
}

/* ---- records */

static enum hello_kind bad(struct err *e, const char *what)
{
	(void)err_set(e, EBADMSG, "ClientHello: broken at %s", what);
	return HELLO_BAD;
}

/* The handshake message while its records are walked: first without copying, to learn whether it is all there. */
struct assembly {
	unsigned char *to; /* NULL: only count */
	size_t have, want; /* bytes of the message, its head included; want is HANDSHAKE_HEAD until the head is known */
	unsigned char head[HANDSHAKE_HEAD];
	const unsigned char *first; /* where the content of the first record stands */
	size_t taken; /* of the input, record heads included */
	unsigned records;
};

/* Takes in what is there of one record's content. NULL, or what is wrong. */
static const char *assemble(struct assembly *a, const unsigned char *content, size_t there, size_t whole)
{
	size_t i;

	if (a->records++ == 0)
		a->first = content;
	for (i = 0; i < there && a->have + i < HANDSHAKE_HEAD; i++)
		a->head[a->have + i] = content[i];
	if (a->have + there > 0 && a->head[0] != HANDSHAKE_CLIENT_HELLO)
		return "the handshake type: it is not a ClientHello";
	if (a->to)
		memcpy(a->to + a->have, content, there);
	a->have += there;
	if (a->have < HANDSHAKE_HEAD)
		return NULL;
	a->want = HANDSHAKE_HEAD + ((size_t)a->head[1] << 16 | (size_t)a->head[2] << 8 | a->head[3]);
	if (a->want > HELLO_MAX - RECORD_HEAD)
		return "its length: over 32 KiB";
	/* What else a record holds would be read by the server, and not by us. */
	return a->have + (whole - there) > a->want ? "the record: bytes behind the ClientHello" : NULL;
}

/* Walks the records. NULL, or what is wrong. */
static const char *walk(const unsigned char *p, size_t n, struct assembly *a)
{
	a->want = HANDSHAKE_HEAD;
	while (a->have < a->want && n >= RECORD_HEAD) {
		const size_t whole = (size_t)p[3] << 8 | p[4];
		const size_t there = whole < n - RECORD_HEAD ? whole : n - RECORD_HEAD;
		const char *wrong;

		if (p[0] != CONTENT_HANDSHAKE || p[1] != 3)
			return "a record that is no handshake";
		if (whole == 0 || whole > RECORD_MAX)
			return "a record's length: zero or over 16 KiB";
		wrong = assemble(a, p + RECORD_HEAD, there, whole);
		if (wrong)
			return wrong;
		p += RECORD_HEAD + there;
		n -= RECORD_HEAD + there;
		a->taken += RECORD_HEAD + there;
	}
	return NULL;
}

static enum hello_kind parse_tls(const unsigned char *p, size_t n, struct hello *ret, struct err *e)
{
	/* What does not fit is not looked at, so that the answer is the same for any cut of the input. */
	const size_t seen = n < HELLO_MAX ? n : HELLO_MAX;
	unsigned char copy[HELLO_MAX];
	struct assembly a = { 0 };
	struct hello h = { 0 };
	const unsigned char *message;
	const char *wrong = walk(p, seen, &a);

	if (wrong)
		return bad(e, wrong);
	if (a.have < a.want || a.have < HANDSHAKE_HEAD)
		return n < HELLO_MAX ? HELLO_MORE : bad(e, "its length: over 32 KiB with its records");
	message = a.first;
	if (a.records > 1) {
		a = (struct assembly){ .to = copy };
		(void)walk(p, seen, &a);
		message = copy;
	}
	wrong = read_client_hello(message + HANDSHAKE_HEAD, a.want - HANDSHAKE_HEAD, &h);
	if (wrong)
		return bad(e, wrong);
	h.bytes = a.taken;
	*ret = h;
	return HELLO_TLS;
}

/* ---- what else it may be */

static enum hello_kind instead(struct err *e, const char *what)
{
	(void)err_set(e, EBADMSG, "no ClientHello, but %s", what);
	return HELLO_BAD;
}

/* Behind a PROXY header or a SOCKS greeting comes a hello that we would not see. */
static const struct {
	struct str start;
	enum hello_kind kind;
} starts[] = {
	{ STR("GET "), HELLO_HTTP },     { STR("POST "), HELLO_HTTP },    { STR("PUT "), HELLO_HTTP },
	{ STR("HEAD "), HELLO_HTTP },    { STR("DELETE "), HELLO_HTTP },  { STR("OPTIONS "), HELLO_HTTP },
	{ STR("PATCH "), HELLO_HTTP },   { STR("CONNECT "), HELLO_HTTP }, { STR("TRACE "), HELLO_HTTP },
	{ STR("PRI * HTTP/2.0\r\n"), HELLO_HTTP },
	{ STR("PROXY "), HELLO_BAD },    { STR("\r\n\r\n\0\r\nQUIT\n"), HELLO_BAD },
	{ STR("\4\1"), HELLO_BAD },	{ STR("\4\2"), HELLO_BAD },
	{ STR("\5\1"), HELLO_BAD },	{ STR("\5\2"), HELLO_BAD },	{ STR("\5\3"), HELLO_BAD },	{ STR("\5\4"), HELLO_BAD },
};

static enum hello_kind match_start(struct str in, struct err *e)
{
	enum hello_kind kind = HELLO_OTHER;

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		if (str_starts(in, starts[i].start))
			return starts[i].kind == HELLO_BAD ? instead(e, "a PROXY header or a SOCKS greeting") : starts[i].kind;
		if (str_starts(starts[i].start, in))
			kind = HELLO_MORE;
	}
	return kind;
}

/* Empty lines before a request are skipped by servers (RFC 9112 2.2). */
static enum hello_kind match_text(struct str in, struct err *e)
{
	enum hello_kind kind = match_start(in, e);
	size_t blank = 0;

	while (blank < in.n && (in.p[blank] == '\r' || in.p[blank] == '\n'))
		blank++;
	if (kind != HELLO_OTHER || !blank)
		return kind;
	if (blank > BLANK_MAX)
		return HELLO_OTHER;
	return blank == in.n ? HELLO_MORE : match_start((struct str){ in.p + blank, in.n - blank }, e);
}

/*
 * A hello in the record form of SSL 2 (RFC 5246 E.2) has no SNI; no client that could talk TLS 1.2 with us
 * sends one. length | 0x8000, type 1, version.
 */
static enum hello_kind match_ssl2(const unsigned char *p, size_t n, struct err *e)
{
	if (n < 3)
		return HELLO_MORE;
	if (p[2] != HANDSHAKE_CLIENT_HELLO)
		return HELLO_OTHER;
	if (n < 5)
		return HELLO_MORE;
	/* A server that knows no later version answers with its own. */
	if (p[3] == 3 || (p[3] == 0 && p[4] == 2))
		return bad(e, "its form: SSL 2");
	return HELLO_OTHER;
}

/*
 * Records that are no handshake, or of another version, before the hello: Go's server skips warning alerts and takes any version below
 * 0x1000, both seen to end in a handshake for the name that follows, which we would not have read. (OpenSSL 3.0 takes neither.)
 */
static enum hello_kind match_record(const unsigned char *p, size_t n, struct hello *ret, struct err *e)
{
	if (n < 2)
		return HELLO_MORE;
	if (p[0] == CONTENT_HANDSHAKE && p[1] == 3)
		return parse_tls(p, n, ret, e);
	return p[1] < 0x10 ? instead(e, "another TLS record before it") : HELLO_OTHER;
}

enum hello_kind hello_parse(const void *p, size_t n, struct hello *ret, struct err *e)
{
	const unsigned char *b = p;

	if (n == 0)
		return HELLO_MORE;
	if (b[0] >= CONTENT_FIRST && b[0] <= CONTENT_LAST)
		return match_record(b, n, ret, e);
	if (b[0] & 0x80)
		return match_ssl2(b, n, e);
	return match_text((struct str){ p, n }, e);
}
