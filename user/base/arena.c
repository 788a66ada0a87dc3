// SPDX-License-Identifier: Apache-2.0
/*
 * arena.c: blocks that grow, cut into 16-byte steps. The maximum counts what was
 * handed out (rounded up to 16), not the unused end of a block.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP ((size_t)16)
#define BLOCK_MIN ((size_t)4096)
#define BLOCK_MAX ((size_t)65536)

struct block {
	struct block *next; /* the older one */
	size_t size, used;  /* bytes behind this head */
	alignas(16) char mem[];
};

struct arena {
	struct block *newest;
	size_t used, max;
	size_t next_size;
};

struct arena *arena_new(size_t max_bytes)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (a) {
		a->max = max_bytes;
		a->next_size = BLOCK_MIN;
	}
	return a;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	for (struct block *b = a->newest, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	free(a);
}

void arena_reset(struct arena *a)
{
	while (a->newest && a->newest->next) {
		struct block *b = a->newest;

		a->newest = b->next;
		free(b);
	}
	if (a->newest)
		a->newest->used = 0;
	a->used = 0;
	a->next_size = BLOCK_MIN;
}

static struct block *add_block(struct arena *a, size_t need)
{
	size_t size = need > a->next_size ? need : a->next_size;
	struct block *b = malloc(sizeof(*b) + size);

	if (!b)
		return NULL;
	b->size = size;
	b->used = 0;
	b->next = a->newest;
	a->newest = b;
	if (a->next_size < BLOCK_MAX)
		a->next_size *= 2;
	return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
	struct block *b = a->newest;
	size_t need;
	void *p;

	/* First, so that rounding up cannot wrap. */
	if (n > a->max - a->used)
		return NULL;
	need = n ? (n + STEP - 1) & ~(STEP - 1) : STEP;
	if (need < n || need > SIZE_MAX / 2)
		return NULL;
	if (!b || need > b->size - b->used)
		b = add_block(a, need);
	if (!b)
		return NULL;
	p = b->mem + b->used;
	b->used += need;
	/* The last piece may round up over the maximum; a->max - a->used must not wrap. */
	a->used = need > a->max - a->used ? a->max : a->used + need;
	return memset(p, 0, n);
}

struct str arena_str(struct arena *a, const char *p, size_t n)
{
	char *to = n < SIZE_MAX ? arena_alloc(a, n + 1) : NULL;

	if (!to)
		return (struct str){ 0 };
	if (n)
		memcpy(to, p, n);
	return (struct str){ .p = to, .n = n };
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *to;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return NULL;
	to = arena_alloc(a, (size_t)n + 1);
	if (!to)
		return NULL;
	va_start(ap, fmt);
	(void)vsnprintf(to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return to;
}
