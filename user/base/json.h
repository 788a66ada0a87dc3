// SPDX-License-Identifier: Apache-2.0
/*
 * json.h: finding the few values that matter in a JSON text, in one forward
 * pass over it (simdjson's tokenizer behind C). A table names the wanted paths;
 * the callback is called for each match in the order in which the values END in the
 * text, so that the members of an object come before the object itself.
 *
 * Paths: "model", "usage.prompt_tokens", "usage.iterations[].model" (each
 * element), "usage.iterations[]" (called once per element, at its end),
 * "**.image_url" (the key at any depth, also inside arrays, also at the top; more
 * may follow: "**.image_url.detail"), "" (the root), "[].id" (root is an array).
 * A path that is malformed is our bug and asserts. Keys are compared after
 * unescaping. Every occurrence of a duplicated key is reported: what a duplicate
 * means is the caller's decision.
 *
 * The whole text is checked, also what nobody wants: UTF-8, structure, every number,
 * word and escape, one value, nothing behind it, no byte order mark. Half a surrogate
 * pair ("\ud800" alone) is JSON by its grammar: accepted, and U+FFFD where it is
 * reported. More than 64 objects and arrays in each other are -E2BIG. An integer in
 * int64 comes as JSON_INT; "-0", fractions, exponents and larger ones as JSON_NUMBER
 * with .i unset.
 */
#ifndef PURSE_BASE_JSON_H
#define PURSE_BASE_JSON_H

#include "terms.h"

#define JSON_PADDING 64

/* A parser: reusable, one per thread. Keeps 4 bytes per byte of the largest text up to 2 MiB. */
struct json;

enum json_kind { JSON_NULL, JSON_BOOL, JSON_INT, JSON_NUMBER, JSON_STRING, JSON_OBJECT, JSON_ARRAY };

struct json_value {
	enum json_kind kind;
	int64_t i;      /* JSON_INT; JSON_BOOL as 0 or 1; JSON_ARRAY, JSON_OBJECT: number of elements, members */
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
 * 0; -EINVAL not JSON; -E2BIG too deep, or 4 GiB; -ENOMEM. Hits may have been called
 * before an error is found: use what they collected only on 0.
 */
/* The table is known again by its content, so it may live anywhere. Not to be called from inside hit. */
int json_scan(struct json *j, const char *text, size_t len, const struct json_want *wants, size_t nwants,
	      json_hit_fn hit, void *ctx);
/*
 * After json_scan: an object of the text, at any depth, has a key twice; or may have: more than 48 members, long keys that differ in their
 * middle only, a key with an escape in it.
 */
bool json_repeats(const struct json *j);

#endif
