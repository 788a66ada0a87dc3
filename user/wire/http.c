// SPDX-License-Identifier: Apache-2.0
/*
 * http.c: looks up and edits the fields of a head, and says what may stand in one at all. It knows nothing of how
 * a head travels: that is h1.c and h2.c.
 */
#include "wire/http.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

/* Byte classes: a table instead of comparisons, since every byte of every head passes here. */
enum {
	CLASS_TOKEN = 1 << 0,  /* RFC 9110 5.6.2 tchar */
	CLASS_VALUE = 1 << 1,  /* RFC 9110 5.5 field-vchar, SP, HTAB */
	CLASS_TARGET = 1 << 2, /* visible ASCII but "#" */
	CLASS_HOST = 1 << 3,   /* what a uri-host and its port are made of; no "@", no "/" */
};
#define T CLASS_TOKEN
#define V CLASS_VALUE
#define G CLASS_TARGET
#define H CLASS_HOST
static const unsigned char class_of[256] = {
	['\t'] = V,
	[' '] = V,
	['#'] = T | V,
	['"'] = V | G,
	['('] = V | G | H,
	[')'] = V | G | H,
	['/'] = V | G,
	['<'] = V | G,
	['>'] = V | G,
	['?'] = V | G,
	['@'] = V | G,
	['{'] = V | G,
	['}'] = V | G,
	['\\'] = V | G,
	[','] = V | G | H,
	[';'] = V | G | H,
	['='] = V | G | H,
	[':'] = V | G | H,
	['['] = V | G | H,
	[']'] = V | G | H,
	['!'] = T | V | G | H,
	['$'] = T | V | G | H,
	['%'] = T | V | G | H,
	['&'] = T | V | G | H,
	['\''] = T | V | G | H,
	['*'] = T | V | G | H,
	['+'] = T | V | G | H,
	['-'] = T | V | G | H,
	['.'] = T | V | G | H,
	['^'] = T | V | G,
	['_'] = T | V | G | H,
	['`'] = T | V | G,
	['|'] = T | V | G,
	['~'] = T | V | G | H,
	['0' ... '9'] = T | V | G | H,
	['A' ... 'Z'] = T | V | G | H,
	['a' ... 'z'] = T | V | G | H,
	[0x80 ... 0xff] = V,
};
#undef T
#undef V
#undef G
#undef H

static bool all_of(struct str s, unsigned char class)
{
	unsigned char all = class;

	for (size_t i = 0; i < s.n; i++)
		all &= class_of[(unsigned char)s.p[i]];
	return all != 0;
}

/* True if one of the eight bytes is below 0x20 or is 0x7f; it may also say so of a good one (then all_of decides). */
static bool has_control(uint64_t w)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
	const uint64_t del = w ^ (ones * 0x7f);

	return (((w - ones * 0x20) & ~w) | ((del - ones) & ~del)) & tops;
}

/* Values are most of a head, and nearly all of them are plain: eight bytes at a time. */
static bool all_value(struct str s)
{
	uint64_t w;

	for (; s.n >= sizeof(w); s.p += sizeof(w), s.n -= sizeof(w)) {
		memcpy(&w, s.p, sizeof(w));
		if (has_control(w) && !all_of((struct str){ s.p, sizeof(w) }, CLASS_VALUE))
			return false;
	}
	return all_of(s, CLASS_VALUE);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool http_is_token(struct str s)
{
	return s.n > 0 && all_of(s, CLASS_TOKEN);
}

bool http_is_value(struct str s)
{
	if (s.n == 0)
		return true;
	return !is_blank(s.p[0]) && !is_blank(s.p[s.n - 1]) && all_value(s);
}

bool http_is_target(struct str s)
{
	if (s.n == 0 || !all_of(s, CLASS_TARGET))
		return false;
	return s.p[0] == '/' || (s.n == 1 && s.p[0] == '*');
}

/* The port behind an authority's host: empty, or ":" and up to five digits. */
static bool is_port(struct str s)
{
	if (s.n == 0)
		return true;
	if (s.p[0] != ':' || s.n > 6)
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

bool http_is_authority(struct str s)
{
	const char *end;
	size_t host;

	if (s.n == 0 || !all_of(s, CLASS_HOST))
		return false;
	if (s.p[0] == '[') {
		end = memchr(s.p, ']', s.n);
		if (!end || end == s.p + 1 || memchr(s.p + 1, '[', s.n - 1))
			return false;
		host = (size_t)(end - s.p) + 1;
		for (size_t i = 1; i < host - 1; i++)
			if (!memchr("0123456789abcdefABCDEF:.", s.p[i], 24))
				return false;
	} else {
		end = memchr(s.p, ':', s.n);
		host = end ? (size_t)(end - s.p) : s.n;
		if (host == 0 || memchr(s.p, '[', host) || memchr(s.p, ']', host))
			return false;
	}
	return is_port((struct str){ s.p + host, s.n - host });
}

bool http_is_hop(struct str name)
{
	static const struct str hops[] = {
		{ "connection", 10 }, { "keep-alive", 10 }, { "proxy-connection", 16 }, { "te", 2 },
		{ "trailer", 7 }, { "transfer-encoding", 17 }, { "upgrade", 7 },
	};

	for (size_t i = 0; i < sizeof(hops) / sizeof(hops[0]); i++)
		if (name.n == hops[i].n && str_eq_nocase(name, hops[i]))
			return true;
	return false;
}

int http_read_length(struct str value, int64_t *ret)
{
	const int64_t most = INT64_C(1) << 53;
	int64_t n = 0;

	if (value.n == 0)
		return -EINVAL;
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return -EINVAL;
		n = n * 10 + (value.p[i] - '0');
		/* Stopped at the first step over the bound, so that n cannot overflow. */
		if (n > most)
			return -EINVAL;
	}
	*ret = n;
	return 0;
}

const struct http_field *http_find(const struct http_head *h, struct str name)
{
	for (size_t i = 0; i < h->nfields; i++)
		if (str_eq_nocase(h->fields[i].name, name))
			return &h->fields[i];
	return NULL;
}

size_t http_count(const struct http_head *h, struct str name)
{
	size_t n = 0;

	for (size_t i = 0; i < h->nfields; i++)
		n += str_eq_nocase(h->fields[i].name, name);
	return n;
}

/* Drops all fields of that name from index `from` on; the others keep their order. */
static void drop_from(struct http_head *h, size_t from, struct str name)
{
	size_t to = from;

	for (size_t i = from; i < h->nfields; i++)
		if (!str_eq_nocase(h->fields[i].name, name))
			h->fields[to++] = h->fields[i];
	h->nfields = to;
}

void http_drop(struct http_head *h, struct str name)
{
	drop_from(h, 0, name);
}

int http_add(struct http_head *h, struct str name, struct str value)
{
	if (h->nfields >= HTTP_FIELDS_MAX)
		return -ENOSPC;
	h->fields[h->nfields++] = (struct http_field){ .name = name, .value = value };
	return 0;
}

int http_set(struct http_head *h, struct str name, struct str value)
{
	for (size_t i = 0; i < h->nfields; i++) {
		if (!str_eq_nocase(h->fields[i].name, name))
			continue;
		h->fields[i].value = value;
		drop_from(h, i + 1, name);
		return 0;
	}
	return http_add(h, name, value);
}
