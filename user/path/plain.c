// SPDX-License-Identifier: Apache-2.0
/*
 * plain.c: see plain.h. Reads leniently on purpose: it does not have to know what the server would take for the host, only everything that
 * it might. Lines end with LF; CR and blanks around are dropped.
 */
#include "path/plain.h"

#include <string.h>
#include <strings.h>

struct reading {
	bool (*is_llm)(void *ctx, const char *host);
	void *ctx;
};

/* host[:port], perhaps with user@ in front and a path behind. */
static bool asks_for(const struct reading *r, const char *p, size_t n)
{
	char host[256];
	size_t k = 0;

	for (size_t i = 0; i < n && p[i] != '/' && p[i] != '?' && p[i] != '#'; i++) {
		if (p[i] == '@') {
			n -= i + 1;
			p += i + 1;
			break;
		}
	}
	while (k < n && k < sizeof(host) - 1 && !strchr(":/?# \t\r", p[k] ? p[k] : ' ')) {
		host[k] = p[k] >= 'A' && p[k] <= 'Z' ? (char)(p[k] | 0x20) : p[k];
		k++;
	}
	while (k && host[k - 1] == '.')
		k--;
	host[k] = '\0';
	return k && r->is_llm(r->ctx, host);
}

/* METHOD http://host/path …; METHOD //host/…; CONNECT host:port */
static bool target_asks(const struct reading *r, const char *p, size_t n)
{
	const char *end = p + n, *at = memchr(p, ' ', n);

	if (!at)
		return false;
	while (at < end && *at == ' ')
		at++;
	const char *slashes = memmem(at, (size_t)(end - at), "//", 2);
	if (slashes && asks_for(r, slashes + 2, (size_t)(end - slashes - 2)))
		return true;
	return asks_for(r, at, (size_t)(end - at));
}

static bool one_header_asks(const struct reading *r, const char *p, size_t n)
{
	const char *colon = memchr(p, ':', n);
	size_t name = colon ? (size_t)(colon - p) : 0;

	while (name && (p[name - 1] == ' ' || p[name - 1] == '\t'))
		name--;
	while (name && (*p == ' ' || *p == '\t')) {
		p++;
		n--;
		name--;
	}
	if (name != 4 || strncasecmp(p, "host", 4) != 0)
		return false;
	n -= (size_t)(colon + 1 - p);
	for (p = colon + 1; n && (*p == ' ' || *p == '\t'); p++)
		n--;
	return asks_for(r, p, n);
}

/* A lone CR ends a line for some servers. */
static bool header_asks(const struct reading *r, const char *p, size_t n)
{
	const char *end = p + n, *cr;

	for (; (cr = memchr(p, '\r', (size_t)(end - p))); p = cr + 1)
		if (one_header_asks(r, p, (size_t)(cr - p)))
			return true;
	return one_header_asks(r, p, (size_t)(end - p));
}

enum plain_verdict plain_read(const char *p, size_t n, bool (*is_llm)(void *ctx, const char *host), void *ctx)
{
	const struct reading r = { .is_llm = is_llm, .ctx = ctx };
	bool is_first = true;

	for (size_t at = 0; at < n && at < PLAIN_HEAD_MAX;) {
		const char *lf = memchr(p + at, '\n', n - at);

		if (!lf)
			break;
		size_t len = (size_t)(lf - p) - at;
		if (len && p[at + len - 1] == '\r')
			len--;
		if (!len && !is_first)
			return PLAIN_OTHER;
		if (is_first ? target_asks(&r, p + at, len) : header_asks(&r, p + at, len))
			return PLAIN_LLM;
		is_first = false;
		at = (size_t)(lf - p) + 1;
	}
	return n >= PLAIN_HEAD_MAX ? PLAIN_LONG : PLAIN_MORE;
}
