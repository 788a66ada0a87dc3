// SPDX-License-Identifier: Apache-2.0
/* request.c: readers of members that mean the same in every dialect. Which members these are stands in the dialects' tables. */
#include "provider/request.h"

#include <errno.h>

int request_model(void *ctx, const struct json_value *v, struct err *e)
{
	struct ask *ask = ((struct request *)ctx)->ask;

	return model_asked(v->s, ask->model, sizeof(ask->model), e);
}

int request_names_model(const struct ask *ask, struct err *e)
{
	if (ask->model[0] == '\0')
		return err_set(e, EINVAL, "\"model\": is missing; name the model that is to answer, it decides the price");
	return 0;
}

int request_messages(void *ctx, const struct json_value *v, struct err *e)
{
	struct request *q = ctx;

	q->messages = v->i;
	q->steady.conversation_end = v->end;
	return 0;
}

int request_tools(void *ctx, const struct json_value *v, struct err *e)
{
	struct request *q = ctx;

	q->tools = v->i;
	steady_tail(&q->steady, STEADY_TOOLS, v);
	return 0;
}

int request_tool_type(void *ctx, const struct json_value *v, struct err *e)
{
	struct request *q = ctx;

	return note_take_once(&q->tool_type, &q->tool_type_stood, "tools[].type", v, e);
}

void request_tool_end(struct request *q)
{
	note_clear(&q->tool_type);
	q->tool_type_stood = false;
}

int request_system(void *ctx, const struct json_value *v, struct err *e)
{
	steady_tail(&((struct request *)ctx)->steady, STEADY_SYSTEM, v);
	return 0;
}

int request_hidden_string(void *ctx, const struct json_value *v, struct err *e)
{
	if (v->kind == JSON_STRING)
		((struct request *)ctx)->ask->input_hidden = true;
	return 0;
}

int request_hidden(void *ctx, const struct json_value *v, struct err *e)
{
	((struct request *)ctx)->ask->input_hidden = true;
	return 0;
}

int request_unbounded(void *ctx, const struct json_value *v, struct err *e)
{
	if (v->kind != JSON_ARRAY || v->i > 0)
		((struct request *)ctx)->ask->unbounded_tools = true;
	return 0;
}

int request_doubt(void *ctx, const struct json_value *v, struct err *e)
{
	((struct request *)ctx)->steady.doubt = true;
	return 0;
}

int request_nothing(void *ctx, const struct json_value *v, struct err *e)
{
	return 0;
}
