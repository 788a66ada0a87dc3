// SPDX-License-Identifier: Apache-2.0
/*
 * anthropic.h: the parts of the Anthropic dialect. Private to user/provider/: anthropic.c (paths, the vtable),
 * anthropic_request.c, anthropic_answer.c, anthropic_error.c.
 */
#ifndef PURSE_PROVIDER_ANTHROPIC_H
#define PURSE_PROVIDER_ANTHROPIC_H

#include "provider/provider.h"

extern const struct provider_ops anthropic_ops;

int anthropic_read_request(struct json *j, enum endpoint ep, const char *body, size_t len, struct ask *ret,
			   struct err *e);
int anthropic_read_answer(struct json *j, enum endpoint ep, const char *body, size_t len, struct report *r);
void anthropic_read_event(struct json *j, enum endpoint ep, const struct ask *ask, struct str name, struct str data,
			  struct report *r, struct event_verdict *ret);
int anthropic_write_error(struct buf *out, int status, const struct refusal *why, const char *message,
			  const char *request_id);
int anthropic_write_stream_error(struct buf *out, enum endpoint ep, const struct refusal *why, const char *message);

#endif
