// SPDX-License-Identifier: Apache-2.0
/*
 * records.h: reads a JSON answer of the control API as records of texts: one for each element of a list, or one for the
 * whole. For showing; numbers come as their text, true and false as words, null and what is missing as "".
 */
#ifndef PURSE_CTL_RECORDS_H
#define PURSE_CTL_RECORDS_H

#include "base/buf.h"
#include "terms.h"

#define RECORD_FIELDS_MAX 48

/* list: "agents[]", or NULL for the root object. fields: "name", "windows.day.limit". 0, -EINVAL, -ENOMEM. */
int records_read(const struct buf *json, const char *list, const char *const *fields, size_t nfields,
		 void (*fn)(void *ctx, const char *const *values), void *ctx);
/* One field of the root object into mem; "" when it is not there. */
void record_field(const struct buf *json, const char *field, char *mem, size_t size);

#endif
