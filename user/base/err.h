// SPDX-License-Identifier: Apache-2.0
/*
 * err.h: how an error travels with its text.
 *
 * Functions answer 0 or a negative errno. One that can fail for a reason that a
 * person must read takes a `struct err *` (may be NULL) and fills it on failure
 * only. The text has subject, value, expectation, next step.
 */
#ifndef PURSE_BASE_ERR_H
#define PURSE_BASE_ERR_H

struct err {
	char text[768];
};

/* Sets the text (printf) and returns -errnum, so that one can write `return err_set(e, EINVAL, …)`. */
int err_set(struct err *e, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "context: " in front of what stands there; returns ret unchanged. */
int err_prefix(struct err *e, int ret, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
