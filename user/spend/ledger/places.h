// SPDX-License-Identifier: Apache-2.0
/*
 * places.h: where money counts that was spent by an account which is gone: at the first account above it that still exists, by the
 * places that the ledger remembers. Shared by replay.c and audit.c, so that both see the same tree.
 */
#ifndef PURSE_SPEND_PLACES_H
#define PURSE_SPEND_PLACES_H

#include "spend/ledger/ledger.h"

struct places;

int places_read(struct ledger_view *v, struct places **ret);
void places_free(struct places *p); /* NULL ok */
const char *places_parent(const struct places *p, const char *account); /* NULL = not known */
/*
 * The first living account at or above `account`: `lives` says its number, 0 = gone. 0 = there is none. passes (may be NULL): told whether
 * the way led over that name.
 */
uint32_t places_living(const struct places *p, const char *account, uint32_t (*lives)(void *ctx, const char *name), void *ctx,
		       const char *over, bool *ret_passes);
/* Every account whose place is known. */
void places_each(const struct places *p, void (*fn)(void *ctx, const char *account, const char *parent), void *ctx);

#endif
