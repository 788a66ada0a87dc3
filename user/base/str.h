// SPDX-License-Identifier: Apache-2.0
/* str.h: reading bytes that may not end in NUL. All pure. */
#ifndef PURSE_BASE_STR_H
#define PURSE_BASE_STR_H

#include "terms.h"

bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII only, as RFC 9110 field names */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_trim(struct str s); /* spaces and tabs at both ends */
/* Cuts s at the first `sep`: returns the part before, leaves the rest in *s. */
struct str str_cut(struct str *s, char sep);
/* Digits only, no sign, no blank; 0 or -EINVAL / -ERANGE. */
int str_to_i64(struct str s, int64_t *ret);
/* Copies into a NUL-terminated array, cutting what does not fit; returns false when it cut. */
bool str_copy(char *to, size_t size, struct str s);
struct str str_of(const char *nul_terminated);

/*
 * Lower-case host name without port and without a trailing dot, as in SNI
 * (RFC 6066 section 3) and Host (RFC 9110 section 7.2). Labels of 1..63 letters, digits,
 * '-' (not at an end) and '_'; 253 in all; port 1..65535, "host:" is refused. 0, -EINVAL
 * when it is not a host name (an IP literal is -EINVAL too, also "127.1" and
 * "0x7f000001": any name whose last label is a number), -ENOSPC.
 */
int str_host(struct str s, char *ret, size_t size, int *ret_port /* -1 = none; NULL ok */);

/*
 * "12.50USD", "$12.50", "$12.50 USD", "12.5 usd", "0.000001USD" -> nano-dollars. More than nine
 * decimals, no currency, another currency, a sign, or over 9e9 USD is -EINVAL.
 * A bare number is taken only with allow_bare.
 */
int str_to_usd(struct str s, bool allow_bare, nanousd *ret);
/* "12.50USD"; at least two decimals, at most nine, never rounded. ret >= 32 bytes. */
const char *usd_show(nanousd amount, char *ret, size_t size);
/* For people in tables: "$1.50", "-$0.0001", rounded half away to 4 decimals with trailing zeros cut to 2. */
const char *usd_show_short(nanousd amount, char *ret, size_t size);

#endif
