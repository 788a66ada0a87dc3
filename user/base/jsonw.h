// SPDX-License-Identifier: Apache-2.0
/*
 * jsonw.h: writes JSON into a struct buf. Commas and quotes are its business;
 * strings are escaped, bytes that are not UTF-8 become U+FFFD. A failed append
 * sticks and is told by jsonw_end.
 */
#ifndef PURSE_BASE_JSONW_H
#define PURSE_BASE_JSONW_H

#include "base/buf.h"

struct jsonw {
	struct buf *out;
	int error;
	unsigned depth;
	unsigned char has_member[32];
};

void jsonw_init(struct jsonw *w, struct buf *out);
int jsonw_end(struct jsonw *w); /* 0 or the first error; asserts that all is closed */
/* key is NULL inside arrays and at the root. */
void jsonw_object(struct jsonw *w, const char *key);
void jsonw_array(struct jsonw *w, const char *key);
void jsonw_close(struct jsonw *w); /* the innermost object or array */
void jsonw_str(struct jsonw *w, const char *key, struct str s);
void jsonw_cstr(struct jsonw *w, const char *key, const char *s); /* NULL -> null */
void jsonw_i64(struct jsonw *w, const char *key, int64_t v);
void jsonw_bool(struct jsonw *w, const char *key, bool v);
void jsonw_null(struct jsonw *w, const char *key);
/* Money: an exact decimal number of dollars as a string, "0.000123" (a float would round). */
void jsonw_usd(struct jsonw *w, const char *key, nanousd v);

#endif
