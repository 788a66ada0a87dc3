// SPDX-License-Identifier: Apache-2.0
/*
 * ways_tell.c: how an attempt ended. A redirected connection is on loopback, all others are not: that is looked at before a byte is sent. Then
 * purse has to answer, since a listener that nobody accepts on is on loopback, too. No TLS library: a hello that offers 1.2 only is answered
 * with a certificate in the clear.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/addr.h"
#include "kern/ways_inside.h"

#define ANSWER_MS 3000

void way_say(struct attempt *a, enum way_end end, const char *fmt, ...)
{
	va_list ap;

	a->r.end = end;
	va_start(ap, fmt);
	(void)vsnprintf(a->r.text, sizeof(a->r.text), fmt, ap);
	va_end(ap);
}

/* What an errno of the attempt means. The gate's own come before routing and before any packet. */
void way_say_errno(struct attempt *a, const char *call, int err)
{
	switch (err) {
	case EACCES:
	case EPERM:
	case EDQUOT:
	case ECONNREFUSED:
		way_say(a, WAY_BLOCKED, "%s: %s", call, strerrorname_np(err));
		break;
	default:
		way_say(a, WAY_UNTESTED, "%s: %s", call, strerror(err));
	}
}

static bool is_loopback(const struct sockaddr_storage *ss)
{
	uint8_t addr[16];

	return addr_from_sockaddr(ss, addr, NULL) && addr_is_loopback(addr);
}

bool way_is_captured(struct attempt *a, int fd)
{
	struct sockaddr_storage own;
	socklen_t size = sizeof(own);

	if (getsockname(fd, (struct sockaddr *)&own, &size) < 0)
		way_say_errno(a, "getsockname", errno);
	else if (!is_loopback(&own))
		way_say(a, WAY_OPEN, "a connection to the address itself was begun");
	else
		return true;
	return false;
}

/* ---- talking to whoever is there */

static int64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool wait_for(int fd, short events, int64_t until_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left = until_ms - now_ms();

	return left > 0 && poll(&p, 1, (int)left) == 1;
}

/* piece 0: in one. */
static bool send_all(int fd, const uint8_t *p, size_t n, size_t piece, int64_t until_ms)
{
	const struct timespec nap = { .tv_nsec = 1000000 };

	while (n > 0 && wait_for(fd, POLLOUT, until_ms)) {
		ssize_t r = send(fd, p, piece && piece < n ? piece : n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (r < 0 && errno != EAGAIN)
			return false;
		if (r > 0) {
			p += r;
			n -= (size_t)r;
		}
		if (piece)
			(void)nanosleep(&nap, NULL);
	}
	return n == 0;
}

enum heard { HEARD_NOTHING, HEARD_END, HEARD_ENOUGH };

/* Reads until enough() says so, or the other side ends, or it takes too long. */
static enum heard listen_to(int fd, uint8_t *p, size_t size, size_t *ret_n, bool (*enough)(const uint8_t *p, size_t n), int64_t until_ms)
{
	*ret_n = 0;
	while (*ret_n < size && !enough(p, *ret_n)) {
		if (!wait_for(fd, POLLIN, until_ms))
			return HEARD_NOTHING;
		ssize_t r = recv(fd, p + *ret_n, size - *ret_n, MSG_DONTWAIT);

		if (r <= 0)
			return HEARD_END;
		*ret_n += (size_t)r;
	}
	return HEARD_ENOUGH;
}

static int64_t deadline(const struct attempt *a) { return now_ms() + (a->t.answer_ms ? a->t.answer_ms : ANSWER_MS); }

static void say_silent(struct attempt *a)
{
	way_say(a, WAY_BROKEN, "led to the egress listener, where nobody answers: is pursed alive? `purse doctor`, `purse status`");
}

static void say_end(struct attempt *a, int fd, enum way_end closed)
{
	int err = 0;
	socklen_t size = sizeof(err);

	(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size);
	if (err == ECONNREFUSED)
		way_say(a, WAY_BROKEN, "led to the egress port, where nobody listens: is pursed alive? `purse doctor`");
	else if (closed == WAY_BROKEN)
		way_say(a, closed, "led to the egress listener, which hung up without an answer: `purse doctor`, `purse events`");
	else
		way_say(a, closed, "purse hung up");
}

/* ---- plain HTTP: refused, with a hint whose it is */

static bool is_whole_hint(const uint8_t *p, size_t n) { return memmem(p, n, "\r\n\r\npurse: ", 11) != NULL; }

void way_say_http(struct attempt *a, int fd, const char *request, size_t sent, enum way_end closed)
{
	uint8_t got[1024];
	size_t n = 0;
	int64_t until = deadline(a);

	if (!send_all(fd, (const uint8_t *)request + sent, strlen(request) - sent, 0, until))
		return say_end(a, fd, closed);
	enum heard h = listen_to(fd, got, sizeof(got), &n, is_whole_hint, until);

	if (n > 12 && memcmp(got, "HTTP/1.1 403", 12) == 0 && is_whole_hint(got, n))
		way_say(a, WAY_CAPTURED, "purse answered: 403");
	else if (n > 0)
		way_say(a, WAY_OPEN, "somebody answered who is not purse");
	else if (h == HEARD_END)
		say_end(a, fd, closed);
	else
		say_silent(a);
}

void way_say_where(struct attempt *a, int fd, size_t sent)
{
	if (way_is_captured(a, fd))
		way_say_http(a, fd, WAY_REQUEST, sent, WAY_BROKEN);
}

/* ---- TLS */

enum { RECORD_HANDSHAKE = 22, MESSAGE_CERTIFICATE = 11 };

/* The handshake bytes of the records so far; a ServerHello and a Certificate may share one. */
static size_t unwrap(const uint8_t *p, size_t n, uint8_t *ret, size_t size)
{
	size_t at = 0, used = 0;

	while (n - at > 5 && p[at] == RECORD_HANDSHAKE) {
		size_t length = (size_t)p[at + 3] << 8 | p[at + 4], have = n - at - 5 < length ? n - at - 5 : length;

		if (have > size - used)
			have = size - used;
		memcpy(ret + used, p + at + 5, have);
		used += have;
		if (have < length)
			break;
		at += 5 + length;
	}
	return used;
}

static bool has_certificate(const uint8_t *p, size_t n)
{
	uint8_t flat[8192];
	size_t used = unwrap(p, n, flat, sizeof(flat));

	if (n > 0 && p[0] != RECORD_HANDSHAKE)
		return true;
	for (size_t at = 0; used - at >= 4;) {
		size_t length = (size_t)flat[at + 1] << 16 | (size_t)flat[at + 2] << 8 | flat[at + 3];

		if (length > used - at - 4)
			return false;
		if (flat[at] == MESSAGE_CERTIFICATE)
			return true;
		at += 4 + length;
	}
	return false;
}

void way_say_tls(struct attempt *a, int fd, const uint8_t *hello, size_t n, size_t piece, enum way_end closed)
{
	uint8_t got[8192];
	size_t ngot = 0;
	int64_t until = deadline(a);

	if (!send_all(fd, hello, n, piece, until))
		return say_end(a, fd, closed);
	enum heard h = listen_to(fd, got, sizeof(got), &ngot, has_certificate, until);
	bool is_handshake = ngot > 0 && got[0] == RECORD_HANDSHAKE;

	if (is_handshake && memmem(got, ngot, "purse issuer", 12))
		way_say(a, WAY_CAPTURED, "purse answered: its certificate");
	else if (is_handshake)
		way_say(a, WAY_OPEN, "a TLS server answered whose certificate is not purse's");
	else if (h == HEARD_END || ngot > 0)
		say_end(a, fd, closed);
	else
		say_silent(a);
}
