// SPDX-License-Identifier: Apache-2.0
/*
 * price/json.h: walking a JSON text whose names nobody knows before, for imports: members in their order, numbers as the text that they
 * are. Only over text that price_json_check has accepted: the walk itself checks nothing again.
 */
#ifndef PURSE_SPEND_PRICE_JSON_H
#define PURSE_SPEND_PRICE_JSON_H

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

struct pj_value {
	enum json_kind kind;  /* every number is JSON_NUMBER */
	struct str raw;       /* as written, quotes and brackets included */
};

struct pj_walk {
	const char *p, *end;
	bool is_object;
};

/* The whole text is JSON, in UTF-8, not too deep. name is what errors call it. text has JSON_PADDING behind. */
int price_json_check(const char *name, const char *text, size_t len, struct err *e);
struct pj_value price_json_root(const char *text, size_t len);
/* Members of an object or elements of an array; nothing for other values. */
struct pj_walk pj_walk(const struct pj_value *v);
/* key is "" in arrays, still escaped and without its quotes in objects. False at the end. */
bool pj_next(struct pj_walk *w, struct str *ret_key, struct pj_value *ret);
bool pj_find(const struct pj_value *object, const char *key, struct pj_value *ret); /* the first of that name */
/* The text of a string, or of a key; a copy only if there is an escape in it. .p NULL: no memory. */
struct str pj_text(struct arena *a, struct str raw_without_quotes);
struct str pj_string(struct arena *a, const struct pj_value *v); /* {0} if it is none */

/*
 * A number's text x factor x 10^pow10, exactly, rounded up where digits are lost (*ret_rounded). -EINVAL not a number that can be
 * (a sign, or no number at all); -ERANGE more than max. Exponents are fine.
 */
int pj_scale(struct str number, int64_t factor, int pow10, int64_t max, int64_t *ret, bool *ret_rounded);

#endif
