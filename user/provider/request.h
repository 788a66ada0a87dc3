// SPDX-License-Identifier: Apache-2.0
/*
 * request.h: what the requests of all dialects have: the head of the struct that a dialect's table fills, and readers (struct field) of
 * members that mean the same everywhere. Private to user/provider/.
 */
#ifndef PURSE_PROVIDER_REQUEST_H
#define PURSE_PROVIDER_REQUEST_H

#include "provider/reading.h"
#include "provider/steady.h"

#define ABSENT INT64_MIN /* a number that did not stand in the request */

/* The first member of the dialect's own struct, which is the ctx of every reader. */
struct request {
	struct ask *ask;
	int64_t stream;
	int64_t messages, tools; /* counts */
	/* of the tool that is being read */
	struct note tool_type;
	bool tool_type_stood;
	struct steady steady;
};

int request_model(void *ctx, const struct json_value *v, struct err *e);
/* -EINVAL with a text if no model stood there. */
int request_names_model(const struct ask *ask, struct err *e);
/* The array of the conversation: how many, and where it ends. */
int request_messages(void *ctx, const struct json_value *v, struct err *e);
int request_tools(void *ctx, const struct json_value *v, struct err *e);
int request_tool_type(void *ctx, const struct json_value *v, struct err *e);
/* The tool has been read: what was noted of it is forgotten. */
void request_tool_end(struct request *q);
/* A system prompt outside the conversation. */
int request_system(void *ctx, const struct json_value *v, struct err *e);
/* Input that does not stand in the body; the first only if it is a string: a tool schema may have properties of these names, as objects. */
int request_hidden_string(void *ctx, const struct json_value *v, struct err *e);
int request_hidden(void *ctx, const struct json_value *v, struct err *e);
/* The server may loop, or charge fees, as it likes. */
int request_unbounded(void *ctx, const struct json_value *v, struct err *e);
/* Nobody knows whether the input stays as it is. */
int request_doubt(void *ctx, const struct json_value *v, struct err *e);
/* For members of which it matters only that they are known, or that no second one stands. */
int request_nothing(void *ctx, const struct json_value *v, struct err *e);

#endif
