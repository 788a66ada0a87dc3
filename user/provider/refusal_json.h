// SPDX-License-Identifier: Apache-2.0
/*
 * refusal_json.h: the "purse" member of every error body: the figures behind a refusal, for programs. The same for
 * all dialects; the words around it are the dialect's. Private to user/provider/.
 *
 *	"purse": {"reason", "account", "window", "limit_usd", "spent_usd", "held_usd", "needed_usd", "resets_at",
 *	          "detail", "request_id"}
 *
 * Money is a decimal string. Members that do not apply are left out; resets_at is null when the window never ends.
 */
#ifndef PURSE_PROVIDER_REFUSAL_JSON_H
#define PURSE_PROVIDER_REFUSAL_JSON_H

#include "base/jsonw.h"

void refusal_json(struct jsonw *w, const struct refusal *why, const char *request_id /* NULL or "": none */);
/* "budget_exhausted" …: the word of a reason, also inside error codes. */
const char *refusal_word(enum refusal_reason reason);

#endif
