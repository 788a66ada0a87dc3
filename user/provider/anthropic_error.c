// SPDX-License-Identifier: Apache-2.0
/*
 * anthropic_error.c: refusals in Anthropic's error shape, as its SDKs show them.
 */
#include "provider/anthropic.h"

#include "provider/refusal_json.h"

struct status_type {
	int status;
	const char *type;
};

static const struct status_type status_types[] = {
	{ 400, "invalid_request_error" }, { 401, "authentication_error" }, { 402, "billing_error" },
	{ 403, "permission_error" },	  { 404, "not_found_error" },	   { 413, "request_too_large" },
	{ 429, "rate_limit_error" },	  { 500, "api_error" },		   { 502, "api_error" },
	{ 503, "overloaded_error" },	  { 504, "timeout_error" },	   { 529, "overloaded_error" },
};

/* A stream has no status left to say: the type by reason. */
static const char *const reason_types[REFUSAL_REASON_COUNT] = {
	[REFUSAL_NONE] = "api_error",
	[REFUSAL_BUDGET] = "billing_error",
	[REFUSAL_BUDGET_HELD] = "rate_limit_error",
	[REFUSAL_PAUSED] = "billing_error",
	[REFUSAL_UNKNOWN_MODEL] = "invalid_request_error",
	[REFUSAL_UNKNOWN_ENDPOINT] = "invalid_request_error",
	[REFUSAL_BAD_REQUEST] = "invalid_request_error",
	[REFUSAL_BODY_TOO_LARGE] = "request_too_large",
	[REFUSAL_NAME_MISMATCH] = "invalid_request_error",
	[REFUSAL_LEDGER] = "api_error",
	[REFUSAL_OVERLOADED] = "overloaded_error",
	[REFUSAL_OVER_SHARE] = "rate_limit_error",
	[REFUSAL_SLOW_REQUEST] = "timeout_error",
	[REFUSAL_UPSTREAM_UNREACHABLE] = "api_error",
	[REFUSAL_UPSTREAM_CERT] = "api_error",
	[REFUSAL_UPSTREAM_PROTOCOL] = "api_error",
	[REFUSAL_UPSTREAM_TIMEOUT] = "timeout_error",
	[REFUSAL_RULE] = "rate_limit_error",
	[REFUSAL_STOPPED] = "api_error",
};

static const char *type_by_reason(const struct refusal *why)
{
	return reason_types[(unsigned)why->reason < REFUSAL_REASON_COUNT ? why->reason : REFUSAL_NONE];
}

static const char *type_by_status(int status, const struct refusal *why)
{
	for (size_t i = 0; i < sizeof(status_types) / sizeof(status_types[0]); i++)
		if (status_types[i].status == status)
			return status_types[i].type;
	return type_by_reason(why);
}

static int write_body(struct buf *out, const char *type, const struct refusal *why, const char *message,
		      const char *request_id)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_object(&w, NULL);
	jsonw_cstr(&w, "type", "error");
	jsonw_object(&w, "error");
	jsonw_cstr(&w, "type", type);
	jsonw_cstr(&w, "message", message);
	refusal_json(&w, why, NULL);
	jsonw_close(&w);
	if (request_id && request_id[0])
		jsonw_cstr(&w, "request_id", request_id);
	jsonw_close(&w);
	return jsonw_end(&w);
}

int anthropic_write_error(struct buf *out, int status, const struct refusal *why, const char *message,
			  const char *request_id)
{
	return write_body(out, type_by_status(status, why), why, message, request_id);
}

int anthropic_write_stream_error(struct buf *out, enum endpoint ep, const struct refusal *why, const char *message)
{
	int r = buf_printf(out, "event: error\ndata: ");

	if (r < 0)
		return r;
	r = write_body(out, type_by_reason(why), why, message, NULL);
	return r < 0 ? r : buf_append(out, "\n\n", 2);
}
