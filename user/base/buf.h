// SPDX-License-Identifier: Apache-2.0
/*
 * buf.h: a growing byte queue with a maximum at birth: append at the end,
 * consume at the front. Always JSON_PADDING (64) zeroed-or-stale readable bytes
 * stand behind the content, so that base/json.h can read it in place.
 */
#ifndef PURSE_BASE_BUF_H
#define PURSE_BASE_BUF_H

#include <stddef.h>
#include <sys/types.h>

#include "terms.h"

#define BUF_PADDING 64

struct buf {
	char *mem; /* private; use buf_ptr */
	size_t start, len, cap, max;
};

void buf_init(struct buf *b, size_t max_bytes);
void buf_done(struct buf *b); /* frees; b may be used again after buf_init */
static inline char *buf_ptr(const struct buf *b) { return b->mem ? b->mem + b->start : (char *)b->mem; }
static inline size_t buf_len(const struct buf *b) { return b->len; }
/* Makes room for n more bytes and returns where they go; -> NULL: over max or no memory. Then buf_grew(). */
char *buf_reserve(struct buf *b, size_t n);
void buf_grew(struct buf *b, size_t n);
int buf_append(struct buf *b, const void *p, size_t n); /* 0, -EMSGSIZE over max, -ENOMEM */
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_consume(struct buf *b, size_t n); /* n <= len */
void buf_clear(struct buf *b); /* keeps the memory */
void buf_shrink(struct buf *b); /* empty and over 64 KiB: gives the memory back */

#endif
