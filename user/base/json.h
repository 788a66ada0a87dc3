// SPDX-License-Identifier: Apache-2.0
/*
 * json.h: finding the few values that matter in a JSON text, in one forward
 * pass over it (simdjson on-demand behind C). A table names the wanted paths;
 * the callback is called for each match in the order in which the values END in the
 * text, so that the members of an object come before the object itself.
 *
 * Paths: "model", "usage.prompt_tokens", "usage.iterations[].model" (each
 * element), "usage.iterations[]" (called once per element, at its end),
 * "**.image_url" (the key at any depth, also inside arrays). Keys are compared
 * after unescaping. Every occurrence of a duplicated key is reported: what a
 * duplicate means is the caller's decision.
 *
 * The whole text is checked: UTF-8, structure, one value, nothing behind it.
 * Depth over 64 is -E2BIG. A number outside int64 comes as JSON_NUMBER with .i
 * unset and its text; an integer comes as JSON_INT.
 */
#ifndef PURSE_BASE_JSON_H
#define PURSE_BASE_JSON_H

#include "terms.h"

#define JSON_PADDING 64

struct json; /* a parser: reusable, one per thread, grows to the largest text seen */

enum json_kind { JSON_NULL, JSON_BOOL, JSON_INT, JSON_NUMBER, JSON_STRING, JSON_OBJECT, JSON_ARRAY };

struct json_value {
	enum json_kind kind;
	int64_t i;      /* JSON_INT; JSON_BOOL as 0 or 1; JSON_ARRAY: number of elements */
	struct str s;   /* JSON_STRING: unescaped, valid during the callback; JSON_NUMBER and JSON_INT: its text */
	size_t at, end; /* byte range of the value in the text, quotes and brackets included */
	size_t key_at;  /* where its key's opening quote stands; at, for an element or the root */
};

struct json_want {
	const char *path;
	int id; /* the caller's name for it */
};

typedef void (*json_hit_fn)(void *ctx, int id, const struct json_value *v);

struct json *json_new(void); /* NULL = no memory */
void json_free(struct json *j);
/*
 * text must have JSON_PADDING readable bytes behind len (struct buf has).
 * 0; -EINVAL not JSON; -E2BIG too deep; -ENOMEM. Hits may have been called
 * before an error is found: use what they collected only on 0.
 */
int json_scan(struct json *j, const char *text, size_t len, const struct json_want *wants, size_t nwants,
	      json_hit_fn hit, void *ctx);

#endif
