// SPDX-License-Identifier: Apache-2.0
/*
 * tail.h: where the events of a stream end that is passed on unread: a stream that purse has to end goes on with an event of
 * purse's own, which must not stand inside another one. Line ends are LF or CRLF here (CR alone is never seen at a provider).
 */
#ifndef PURSE_PATH_TAIL_H
#define PURSE_PATH_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct tail {
	char last[4];
	unsigned n;
};

static inline bool tail_is_end(const char *p, size_t n)
{
	return (n >= 2 && !memcmp(p + n - 2, "\n\n", 2)) || (n >= 4 && !memcmp(p + n - 4, "\r\n\r\n", 4));
}

/* These bytes were passed on. */
static inline void tail_take(struct tail *t, const char *p, size_t n)
{
	size_t keep = n < sizeof t->last ? sizeof t->last - n : 0;

	if (keep > t->n)
		keep = t->n;
	memmove(t->last, t->last + t->n - keep, keep);
	t->n = (unsigned)keep;
	for (size_t from = n > sizeof t->last ? n - sizeof t->last : 0; from < n; from++)
		t->last[t->n++] = p[from];
}

/* Nothing was passed on, or an event's end was the last of it. */
static inline bool tail_at_end(const struct tail *t) { return !t->n || tail_is_end(t->last, t->n); }

/* How much of these bytes, that come next, ends with an event: 0 = none of it. */
static inline size_t tail_whole(const struct tail *t, const char *p, size_t n)
{
	for (size_t end = n; end > 0; end--) {
		struct tail probe = *t;

		if (p[end - 1] != '\n')
			continue;
		tail_take(&probe, p, end);
		if (tail_at_end(&probe))
			return end;
	}
	return 0;
}

#endif
