// SPDX-License-Identifier: Apache-2.0
/* map.h: string -> pointer hash. Keys are copied. Values are the caller's. Not thread-safe. */
#ifndef PURSE_BASE_MAP_H
#define PURSE_BASE_MAP_H

#include "terms.h"

struct map;

struct map *map_new(void);
void map_free(struct map *m, void (*free_value)(void *)); /* NULL ok on both */
int map_put(struct map *m, struct str key, void *value, void **ret_old); /* 0 or -ENOMEM; ret_old may be NULL */
void *map_find(const struct map *m, struct str key); /* NULL = none */
void *map_remove(struct map *m, struct str key);
size_t map_count(const struct map *m);
/* fn returns false to stop. The map must not change inside. */
void map_each(const struct map *m, bool (*fn)(void *ctx, struct str key, void *value), void *ctx);

#endif
