// SPDX-License-Identifier: Apache-2.0
/*
 * provider.c: the table of dialects, how a request target becomes the path that they classify, and an
 * empty report. What a dialect knows stands in its own files.
 */
#include "provider/provider.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "provider/anthropic.h"
#include "provider/openai.h"

static const struct provider_ops *const rows[] = {
	&openai_ops,
	&openai_compatible_ops,
	&openai_reporting_ops,
	&openrouter_ops,
	&xai_ops,
	&perplexity_ops,
	&anthropic_ops,
};

const struct provider_ops *provider_at(size_t i)
{
	return i < sizeof(rows) / sizeof(rows[0]) ? rows[i] : NULL;
}

const struct provider_ops *provider_find(const char *name)
{
	for (size_t i = 0; provider_at(i); i++)
		if (strcmp(rows[i]->name, name) == 0)
			return rows[i];
	return NULL;
}

void report_init(struct report *r)
{
	memset(r, 0, sizeof(*r));
	r->tier = TIER_STANDARD;
	r->reported_cost = -1;
}

bool endpoint_is_form(enum endpoint ep)
{
	return ep == ENDPOINT_OPENAI_TRANSCRIPTIONS;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next byte of the target, decoded; -EINVAL for a bad escape or a byte that no path may hold. */
static int next_byte(struct str *s)
{
	int c = (unsigned char)s->p[0], used = 1;

	if (c == '%') {
		if (s->n < 3 || hex_value(s->p[1]) < 0 || hex_value(s->p[2]) < 0)
			return -EINVAL;
		c = hex_value(s->p[1]) << 4 | hex_value(s->p[2]);
		used = 3;
	}
	s->p += used;
	s->n -= (size_t)used;
	return c < 0x20 || c == 0x7f ? -EINVAL : c;
}

static bool has_dot_segment(struct str path)
{
	while (path.n > 0) {
		struct str seg = str_cut(&path, '/');

		if (str_eq(seg, STR(".")) || str_eq(seg, STR("..")))
			return true;
	}
	return false;
}

/* Decoded, slashes folded, NUL-terminated. */
static int decode(struct str s, char *to, size_t size, size_t *ret_n)
{
	size_t n = 0;

	while (s.n > 0) {
		int c = next_byte(&s);

		if (c < 0)
			return c;
		if (c == '/' && n > 0 && to[n - 1] == '/')
			continue;
		if (n + 1 >= size)
			return -ENOSPC;
		to[n++] = (char)c;
	}
	to[n] = '\0';
	*ret_n = n;
	return 0;
}

int provider_path(struct str target, const char *prefix, char *ret, size_t size)
{
	char path[4096];
	struct str p = { .p = path }, pre = str_of(prefix ? prefix : "");
	int r;

	for (size_t i = 0; i < target.n; i++)
		if (target.p[i] == '?' || target.p[i] == '#')
			target.n = i;
	if (target.n == 0 || target.p[0] != '/')
		return -EINVAL;
	r = decode(target, path, sizeof(path), &p.n);
	if (r < 0)
		return r;
	if (has_dot_segment(p))
		return -EINVAL;
	if (pre.n > 0) {
		if (!str_starts(p, pre) || (p.n > pre.n && p.p[pre.n] != '/' && pre.p[pre.n - 1] != '/'))
			return -ENOENT;
		p.p += pre.n;
		p.n -= pre.n;
		if (p.n == 0)
			p = STR("/");
		else if (p.p[0] != '/') /* the prefix was written with a final slash: take it back */
			p = (struct str){ .p = p.p - 1, .n = p.n + 1 };
	}
	if (p.n + 1 > size)
		return -ENOSPC;
	memcpy(ret, p.p, p.n);
	ret[p.n] = '\0';
	return 0;
}
