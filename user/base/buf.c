// SPDX-License-Identifier: Apache-2.0
/*
 * buf.c: [stale start][content len][room][64 bytes padding]. cap leaves the padding
 * out. The 64 bytes behind the content are zeroed whenever it grows.
 */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define CAP_MIN ((size_t)1024)
#define KEEP_MAX ((size_t)65536)

void buf_init(struct buf *b, size_t max_bytes)
{
	/* Leaves room for the padding and for doubling without a wrap. */
	if (max_bytes > SIZE_MAX / 4)
		max_bytes = SIZE_MAX / 4;
	*b = (struct buf){ .max = max_bytes };
}

void buf_done(struct buf *b)
{
	free(b->mem);
	*b = (struct buf){ .max = b->max };
}

static void compact(struct buf *b)
{
	if (b->start) {
		memmove(b->mem, b->mem + b->start, b->len);
		b->start = 0;
	}
}

static size_t grown_cap(const struct buf *b, size_t need)
{
	size_t cap = b->cap < CAP_MIN ? CAP_MIN : b->cap;

	while (cap < need)
		cap *= 2;
	/* need <= max, so this still has room. */
	return cap > b->max && need <= b->max ? (b->max > need ? b->max : need) : cap;
}

static int grow(struct buf *b, size_t cap)
{
	char *mem = malloc(cap + BUF_PADDING);

	if (!mem)
		return -ENOMEM;
	if (b->len)
		memcpy(mem, b->mem + b->start, b->len);
	memset(mem + b->len, 0, BUF_PADDING);
	free(b->mem);
	b->mem = mem;
	b->cap = cap;
	b->start = 0;
	return 0;
}

static int make_room(struct buf *b, size_t n)
{
	size_t need;

	if (n > b->max - b->len)
		return -EMSGSIZE;
	need = b->len + n;
	if (b->mem && n <= b->cap - b->start - b->len)
		return 0;
	/*
	 * Moving is cheap when less stands than was consumed. Otherwise a bigger
	 * block costs one copy too and makes the next move rarer.
	 */
	if (b->mem && need <= b->cap && (b->start >= b->len || b->cap >= b->max)) {
		compact(b);
		return 0;
	}
	if (b->mem && need <= b->cap)
		need = b->cap < b->max ? b->cap + 1 : b->cap;
	return grow(b, grown_cap(b, need));
}

char *buf_reserve(struct buf *b, size_t n)
{
	return make_room(b, n) < 0 ? NULL : b->mem + b->start + b->len;
}

void buf_grew(struct buf *b, size_t n)
{
	ASSERT(b->mem && n <= b->cap - b->start - b->len);
	b->len += n;
	memset(b->mem + b->start + b->len, 0, BUF_PADDING);
}

int buf_append(struct buf *b, const void *p, size_t n)
{
	int r = make_room(b, n);

	if (r < 0)
		return r;
	if (n)
		memcpy(b->mem + b->start + b->len, p, n);
	buf_grew(b, n);
	return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n, r;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	if ((size_t)n > b->max - b->len)
		return -EMSGSIZE;
	/* The NUL of printf lands in the padding. */
	r = make_room(b, (size_t)n);
	if (r < 0)
		return r;
	va_start(ap, fmt);
	(void)vsnprintf(b->mem + b->start + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	buf_grew(b, (size_t)n);
	return 0;
}

void buf_consume(struct buf *b, size_t n)
{
	ASSERT(n <= b->len);
	b->start += n;
	b->len -= n;
	if (b->len == 0)
		b->start = 0;
}

void buf_clear(struct buf *b)
{
	b->start = b->len = 0;
}

void buf_shrink(struct buf *b)
{
	if (b->len == 0 && b->cap > KEEP_MAX) {
		free(b->mem);
		b->mem = NULL;
		b->start = b->cap = 0;
	}
}
