// SPDX-License-Identifier: Apache-2.0
/*
 * body.h: the body of a control request: one flat JSON object, its members described by rows. Strict: an unknown or a
 * doubled key, or a value of another type is refused, since a mistyped limit that is ignored is no limit.
 */
#ifndef PURSE_CTL_BODY_H
#define PURSE_CTL_BODY_H

#include "base/err.h"
#include "terms.h"

enum body_type {
	BODY_TEXT,  /* char[size] */
	BODY_LIMIT, /* int64_t nano-dollars; null = GATE_NO_LIMIT */
	BODY_USD,   /* int64_t nano-dollars */
	BODY_BOOL,  /* bool */
	BODY_WORD,  /* bool: false = words[0], true = words[1] */
	BODY_OBJECT, /* char[size]: an object, or null as "", as it stands in the body; what is in it is for who reads it */
};
struct body_row {
	const char *key;
	enum body_type type;
	bool required;
	size_t offset, size;  /* of the value; size: for BODY_TEXT */
	size_t has_offset;    /* of a bool that says "it was there"; SIZE_MAX = none */
	const char *words[2];
};

/* body has JSON_PADDING readable bytes behind it. 0 or -EINVAL with e; `into` may then be half filled. */
int body_read(const struct body_row *rows, size_t nrows, struct str body, void *into, struct err *e);

#endif
