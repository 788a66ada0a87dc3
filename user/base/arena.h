// SPDX-License-Identifier: Apache-2.0
/*
 * arena.h: memory that is freed all at once. An exchange has one. Not thread-safe.
 * Every arena has a maximum at birth; past it allocations answer NULL.
 */
#ifndef PURSE_BASE_ARENA_H
#define PURSE_BASE_ARENA_H

#include <stddef.h>

#include "terms.h"

struct arena;

struct arena *arena_new(size_t max_bytes);
void arena_free(struct arena *a); /* NULL is fine */
void arena_reset(struct arena *a); /* keeps the first block for reuse */
void *arena_alloc(struct arena *a, size_t n); /* 16-byte aligned, zeroed; NULL when over the maximum */
struct str arena_str(struct arena *a, const char *p, size_t n); /* a NUL-terminated copy; .p NULL on failure */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
