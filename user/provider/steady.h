// SPDX-License-Identifier: Apache-2.0
/*
 * steady.h: whether a request's input is all that stands in its body and stays so when more is put behind it: what ask.input_steady and
 * what follows it there say (ask.h). Filled by the dialects' tables; each kind of part that is not known is a doubt. Private to
 * user/provider/.
 */
#ifndef PURSE_PROVIDER_STEADY_H
#define PURSE_PROVIDER_STEADY_H

#include "provider/reading.h"

/* What a part's bytes are worth, the value of its word. */
enum { STEADY_UNKNOWN = 0, STEADY_HARD, STEADY_LIGHT, STEADY_SOFT };
/* body_span.what */
enum { STEADY_SYSTEM, STEADY_TOOLS };

struct steady {
	bool doubt;
	int64_t soft, light;
	size_t conversation_end;
	struct note type, inner; /* of the part that is being read, and of a part inside it */
	struct body_span tails[BODY_TAILS_MAX];
	size_t ntails;
};

/* A word that must be one of the known ones (value 1). */
void steady_word(struct steady *s, const struct word *known, const struct json_value *v);
/* A part of the conversation ended; its type is in s->type, or s->inner. */
void steady_part(struct steady *s, const struct word *known, const struct json_value *v);
void steady_inner(struct steady *s, const struct word *known, const struct json_value *v);
/* A root value that may stand behind the conversation. */
void steady_tail(struct steady *s, int what, const struct json_value *v);
/* known: as fields_read_known says. After all else of the ask is known. */
void steady_end(const struct steady *s, bool known, struct ask *ask);

#endif
