// SPDX-License-Identifier: Apache-2.0
/*
 * openai_error.c: refusals in OpenAI's error shape, as its SDKs show them.
 */
#include "provider/openai.h"

#include <errno.h>
#include <stdio.h>

#include "provider/refusal_json.h"

static const char *const types[REFUSAL_REASON_COUNT] = {
	[REFUSAL_NONE] = "server_error",
	[REFUSAL_BUDGET] = "insufficient_quota",
	[REFUSAL_BUDGET_HELD] = "rate_limit_exceeded",
	[REFUSAL_PAUSED] = "insufficient_quota",
	[REFUSAL_UNKNOWN_MODEL] = "invalid_request_error",
	[REFUSAL_UNKNOWN_ENDPOINT] = "invalid_request_error",
	[REFUSAL_BAD_REQUEST] = "invalid_request_error",
	[REFUSAL_BODY_TOO_LARGE] = "invalid_request_error",
	[REFUSAL_NAME_MISMATCH] = "invalid_request_error",
	[REFUSAL_LEDGER] = "server_error",
	[REFUSAL_OVERLOADED] = "server_error",
	[REFUSAL_UPSTREAM_UNREACHABLE] = "server_error",
	[REFUSAL_UPSTREAM_CERT] = "server_error",
	[REFUSAL_UPSTREAM_PROTOCOL] = "server_error",
	[REFUSAL_UPSTREAM_TIMEOUT] = "server_error",
	[REFUSAL_RULE] = "rate_limit_exceeded",
	[REFUSAL_STOPPED] = "server_error",
	[REFUSAL_OVER_SHARE] = "rate_limit_exceeded",
	[REFUSAL_SLOW_REQUEST] = "invalid_request_error",
};

static const char *type_of(const struct refusal *why)
{
	return types[(unsigned)why->reason < REFUSAL_REASON_COUNT ? why->reason : REFUSAL_NONE];
}

static const char *code_of(const struct refusal *why, char *ret, size_t size)
{
	(void)snprintf(ret, size, "purse_%s", refusal_word(why->reason));
	return ret;
}

static void write_inner(struct jsonw *w, const struct refusal *why, const char *message, const char *request_id)
{
	char code[64];

	jsonw_object(w, "error");
	jsonw_cstr(w, "message", message);
	jsonw_cstr(w, "type", type_of(why));
	jsonw_null(w, "param");
	jsonw_cstr(w, "code", code_of(why, code, sizeof(code)));
	refusal_json(w, why, request_id);
	jsonw_close(w);
}

int openai_write_error(struct buf *out, int status, const struct refusal *why, const char *message,
		       const char *request_id)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_object(&w, NULL);
	write_inner(&w, why, message, request_id);
	jsonw_close(&w);
	return jsonw_end(&w);
}

/* The Responses error event has its members at the top; SDKs look for "error" first, so it is there as well. */
static void write_responses_members(struct jsonw *w, const struct refusal *why, const char *message)
{
	char code[64];

	jsonw_cstr(w, "type", "error");
	jsonw_cstr(w, "code", code_of(why, code, sizeof(code)));
	jsonw_cstr(w, "message", message);
	jsonw_null(w, "param");
	jsonw_i64(w, "sequence_number", 0); /* typed clients want one; which would be next is not known here */
}

int openai_write_stream_error(struct buf *out, enum endpoint ep, const struct refusal *why, const char *message)
{
	bool responses = ep == ENDPOINT_OPENAI_RESPONSES;
	struct jsonw w;
	int r = buf_printf(out, "%sdata: ", responses ? "event: error\n" : "");

	if (r < 0)
		return r;
	jsonw_init(&w, out);
	jsonw_object(&w, NULL);
	if (responses)
		write_responses_members(&w, why, message);
	write_inner(&w, why, message, NULL);
	jsonw_close(&w);
	r = jsonw_end(&w);
	return r < 0 ? r : buf_append(out, "\n\n", 2);
}
