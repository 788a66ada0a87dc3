// SPDX-License-Identifier: Apache-2.0
/*
 * plain.c: see plain.h. Reads leniently on purpose: it does not have to know what the server would take for the host, only everything that
 * it might. Lines end with LF or CR (a lone CR ends a line for some servers); runs of blanks are one.
 */
#include "path/plain.h"

#include <string.h>
#include <strings.h>

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\0'; }

/* host[:port], perhaps with user@ in front and a path behind. */
static bool asks_for(const struct plain *r, const char *p, size_t n)
{
	char host[256];
	size_t k = 0, from = 0;

	for (size_t i = 0; i < n && p[i] != '/' && p[i] != '?' && p[i] != '#'; i++)
		if (p[i] == '@')
			from = i + 1;
	p += from;
	n -= from;
	while (k < n && k < sizeof(host) - 1 && !is_blank(p[k]) && !strchr(":/?#", p[k])) {
		host[k] = p[k] >= 'A' && p[k] <= 'Z' ? (char)(p[k] | 0x20) : p[k];
		k++;
	}
	while (k && host[k - 1] == '.')
		k--;
	host[k] = '\0';
	return k && r->is_llm(r->ctx, host);
}

/* ---- request lines: METHOD http://host/path …; METHOD //host/…; CONNECT host:port */

static bool target_asks(const struct plain *r, const char *p, size_t n)
{
	const char *end = p + n, *at = memchr(p, ' ', n);

	if (!at)
		return false;
	at++;
	const char *slashes = memmem(at, (size_t)(end - at), "//", 2);
	if (slashes && asks_for(r, slashes + 2, (size_t)(end - slashes - 2)))
		return true;
	return asks_for(r, at, (size_t)(end - at));
}

static bool has(const char *p, size_t n, const char *word)
{
	const size_t m = strlen(word);

	for (; n >= m; p++, n--)
		if (strncasecmp(p, word, m) == 0)
			return true;
	return false;
}

/* Behind a head or a body only what has a version is a request line; of what is too long not all was read. */
static bool may_be_request(const struct plain *r)
{
	return !r->is_late || r->n == PLAIN_LINE_MAX || has(r->line, r->n, " HTTP/");
}

static bool is_method(const struct plain *r, const char *method)
{
	return r->n > strlen(method) && strncasecmp(r->line, method, strlen(method)) == 0;
}

static enum plain_verdict judge_request(const struct plain *r)
{
	if (!may_be_request(r))
		return PLAIN_MORE;
	if (target_asks(r, r->line, r->n))
		return PLAIN_LLM;
	return is_method(r, "CONNECT ") || is_method(r, "PRI * HTTP/2") ? PLAIN_HIDDEN : PLAIN_MORE;
}

/* ---- headers */

/* HTTP/2, or TLS (RFC 2817), on this very connection. */
static bool upgrades_to_hidden(const char *p, size_t n)
{
	return has(p, n, "h2c") || has(p, n, "tls/");
}

static enum plain_verdict judge_header(struct plain *r)
{
	const char *p = r->line, *colon;
	size_t n = r->n;

	if (r->is_folding && is_blank(*p) && asks_for(r, p + 1, n - 1))
		return PLAIN_LLM;
	if (is_blank(*p)) {
		p++;
		n--;
	} else {
		r->is_folding = false;
	}
	colon = memchr(p, ':', n);
	size_t name = colon ? (size_t)(colon - p) : 0;
	if (!colon)
		return PLAIN_MORE;
	n -= name + 1;
	if (name && is_blank(p[name - 1]))
		name--;
	const char *value = n && is_blank(colon[1]) ? colon + 2 : colon + 1;
	n -= (size_t)(value - colon - 1);
	if (name == 7 && strncasecmp(p, "upgrade", 7) == 0 && upgrades_to_hidden(value, n))
		return PLAIN_HIDDEN;
	if (name != 4 || strncasecmp(p, "host", 4) != 0)
		return PLAIN_MORE;
	r->is_folding = true;
	return asks_for(r, value, n) ? PLAIN_LLM : PLAIN_MORE;
}

/* ---- lines */

static enum plain_verdict judge(struct plain *r)
{
	enum plain_verdict v = r->n ? judge_request(r) : PLAIN_MORE;

	if (v == PLAIN_MORE && r->n)
		v = judge_header(r);
	r->is_late |= r->n > 0;
	return v;
}

static enum plain_verdict end_line(struct plain *r)
{
	enum plain_verdict v = r->is_dull ? PLAIN_MORE : judge(r);

	r->is_dull = false;
	r->n = 0;
	return v;
}

static enum plain_verdict add(struct plain *r, char c)
{
	if (r->is_dull || (is_blank(c) && r->n && r->line[r->n - 1] == ' '))
		return PLAIN_MORE;
	r->line[r->n++] = is_blank(c) ? ' ' : c;
	if (r->n < PLAIN_LINE_MAX)
		return PLAIN_MORE;
	/* Names stand at the front. */
	enum plain_verdict v = end_line(r);
	r->is_dull = true;
	return v;
}

static enum plain_verdict step(struct plain *r, char c)
{
	bool is_end = c == '\n' || c == '\r';

	r->has_head |= c == '\n' && !r->since_lf && r->is_late;
	r->since_lf = c == '\n' ? 0 : r->since_lf + !is_end;
	return is_end ? end_line(r) : add(r, c);
}

enum plain_verdict plain_feed(struct plain *r, const char *p, size_t n)
{
	enum plain_verdict v = PLAIN_MORE;

	for (size_t i = 0; i < n && v == PLAIN_MORE; i++)
		v = step(r, p[i]);
	return v;
}

enum plain_verdict plain_read(const char *p, size_t n, plain_is_llm_fn is_llm, void *ctx)
{
	struct plain r = { .is_llm = is_llm, .ctx = ctx };
	enum plain_verdict v = PLAIN_MORE;

	for (size_t i = 0; i < n && i < PLAIN_HEAD_MAX && v == PLAIN_MORE && !r.has_head; i++)
		v = step(&r, p[i]);
	if (v != PLAIN_MORE)
		return v;
	if (r.has_head)
		return PLAIN_OTHER;
	return n >= PLAIN_HEAD_MAX ? PLAIN_LONG : PLAIN_MORE;
}
