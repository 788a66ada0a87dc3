// SPDX-License-Identifier: Apache-2.0
/* err.c: fills struct err. Arguments may point into the same err, so the new text is made aside first. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int errnum, const char *fmt, ...)
{
	if (e) {
		char text[sizeof(e->text)];
		va_list ap;

		va_start(ap, fmt);
		(void)vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		memcpy(e->text, text, strlen(text) + 1);
	}
	return errnum < 0 ? errnum : -errnum;
}

int err_prefix(struct err *e, int ret, const char *fmt, ...)
{
	if (e) {
		char prefix[sizeof(e->text)];
		char text[2 * sizeof(e->text) + 2];
		va_list ap;

		va_start(ap, fmt);
		(void)vsnprintf(prefix, sizeof(prefix), fmt, ap);
		va_end(ap);
		(void)snprintf(text, sizeof(text), "%s: %s", prefix, e->text);
		text[sizeof(e->text) - 1] = '\0';
		memcpy(e->text, text, strlen(text) + 1);
	}
	return ret;
}
