// SPDX-License-Identifier: Apache-2.0
/*
 * openai.h: the parts of the OpenAI dialect. Private to user/provider/: openai.c (paths, the vtables),
 * openai_request.c, openai_answer.c, openai_error.c.
 */
#ifndef PURSE_PROVIDER_OPENAI_H
#define PURSE_PROVIDER_OPENAI_H

#include "provider/provider.h"

extern const struct provider_ops openai_ops;            /* api.openai.com, Azure's /openai/v1 */
extern const struct provider_ops openai_compatible_ops; /* other hosts with this API */
extern const struct provider_ops openai_reporting_ops;  /* the same, stream usage always reported */

/* Where hosts of this API differ in what matters for money. */
struct openai_traits {
	bool asks_for_usage;       /* stream usage must be asked for with stream_options */
	bool completions_default;  /* /completions without max_tokens stops at 16 tokens */
};

int openai_read_request(struct json *j, const struct openai_traits *t, enum endpoint ep, const char *body, size_t len,
			struct ask *ret, struct err *e);
int openai_read_answer(struct json *j, enum endpoint ep, const char *body, size_t len, struct report *r);
void openai_read_event(struct json *j, enum endpoint ep, const struct ask *ask, struct str name, struct str data,
		       struct report *r, struct event_verdict *ret);
int openai_write_error(struct buf *out, int status, const struct refusal *why, const char *message,
		       const char *request_id);
int openai_write_stream_error(struct buf *out, enum endpoint ep, const struct refusal *why, const char *message);

#endif
