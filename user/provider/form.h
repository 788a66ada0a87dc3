// SPDX-License-Identifier: Apache-2.0
/*
 * form.h: the parts of a multipart/form-data body (RFC 2046, RFC 7578), read strictly: what two parsers could read in two
 * ways is refused, since the price follows from what we read and the call from what the provider reads. Private to
 * user/provider/. No copy is made: a part's strings point into the body.
 *
 * Refused: text in front of the first boundary or behind the last one, a boundary with blanks or other bytes behind it, lines that end
 * in a bare LF or CR, folded header lines, backslashes in quoted values, transfer encodings, more than FORM_PARTS_MAX parts.
 */
#ifndef PURSE_PROVIDER_FORM_H
#define PURSE_PROVIDER_FORM_H

#include "base/err.h"
#include "terms.h"

#define FORM_PARTS_MAX 64
#define FORM_HEADERS_MAX 4096 /* bytes of header lines of one part */

struct form_part {
	struct str name;
	bool has_filename;
	struct str value;
};

struct form {
	struct str rest;
	char delimiter[4 + 70]; /* CR LF "--" boundary */
	size_t n;
	unsigned parts;
	bool over;
};

/* content_type: the value of the request's header. 0, or -EINVAL with a text for the client. */
int form_begin(struct form *f, struct str content_type, struct str body, struct err *e);
/* 1 and the next part; 0: that was the last one, and nothing is left; -EINVAL with a text for the client. */
int form_next(struct form *f, struct form_part *ret, struct err *e);

#endif
