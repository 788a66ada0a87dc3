// SPDX-License-Identifier: Apache-2.0
/*
 * refusal_json.c: writes the figures of a refusal. Which figures a reason has is a column of its table.
 */
#include "provider/refusal_json.h"

#include <time.h>

struct row {
	const char *word;
	bool money; /* account, window and amounts are set */
};

static const struct row rows[REFUSAL_REASON_COUNT] = {
	[REFUSAL_NONE] = { "refused", false },
	[REFUSAL_BUDGET] = { "budget_exhausted", true },
	[REFUSAL_BUDGET_HELD] = { "budget_held", true },
	[REFUSAL_PAUSED] = { "paused", false },
	[REFUSAL_UNKNOWN_MODEL] = { "model_not_priced", false },
	[REFUSAL_UNKNOWN_ENDPOINT] = { "endpoint_not_metered", false },
	[REFUSAL_BAD_REQUEST] = { "bad_request", false },
	[REFUSAL_BODY_TOO_LARGE] = { "body_too_large", false },
	[REFUSAL_NAME_MISMATCH] = { "name_mismatch", false },
	[REFUSAL_LEDGER] = { "ledger_unavailable", false },
	[REFUSAL_OVERLOADED] = { "overloaded", false },
	[REFUSAL_UPSTREAM_UNREACHABLE] = { "upstream_unreachable", false },
	[REFUSAL_UPSTREAM_CERT] = { "upstream_certificate", false },
	[REFUSAL_UPSTREAM_PROTOCOL] = { "upstream_protocol", false },
	[REFUSAL_UPSTREAM_TIMEOUT] = { "upstream_timeout", false },
	[REFUSAL_RULE] = { "rule", false },
	[REFUSAL_STOPPED] = { "stopped", false },
	[REFUSAL_OVER_SHARE] = { "over_share", false },
	[REFUSAL_SLOW_REQUEST] = { "slow_request", false },
};

static const char *const window_words[WINDOW_COUNT] = {
	[WINDOW_HOUR] = "hour", [WINDOW_DAY] = "day",     [WINDOW_WEEK] = "week",
	[WINDOW_MONTH] = "month", [WINDOW_TOTAL] = "total",
};

static const struct row *row_of(enum refusal_reason reason)
{
	return &rows[(unsigned)reason < REFUSAL_REASON_COUNT ? reason : REFUSAL_NONE];
}

const char *refusal_word(enum refusal_reason reason)
{
	return row_of(reason)->word;
}

static void write_reset(struct jsonw *w, int64_t reset_s)
{
	char text[40];
	time_t t = (time_t)reset_s;
	struct tm tm;

	if (reset_s <= 0 || !gmtime_r(&t, &tm) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		jsonw_null(w, "resets_at");
	else
		jsonw_cstr(w, "resets_at", text);
}

static void write_money(struct jsonw *w, const struct refusal *why)
{
	if ((unsigned)why->window < WINDOW_COUNT)
		jsonw_cstr(w, "window", window_words[why->window]);
	jsonw_usd(w, "limit_usd", why->limit);
	jsonw_usd(w, "spent_usd", why->spent);
	jsonw_usd(w, "held_usd", why->held);
	jsonw_usd(w, "needed_usd", why->needed);
	write_reset(w, why->reset_s);
}

void refusal_json(struct jsonw *w, const struct refusal *why, const char *request_id)
{
	const struct row *row = row_of(why->reason);

	jsonw_object(w, "purse");
	jsonw_cstr(w, "reason", row->word);
	if (why->account[0])
		jsonw_cstr(w, "account", why->account);
	if (why->rule[0])
		jsonw_cstr(w, "rule", why->rule);
	if (row->money)
		write_money(w, why);
	if (why->retry_s > 0)
		jsonw_i64(w, "retry_after_s", why->retry_s);
	if (why->detail[0])
		jsonw_cstr(w, "detail", why->detail);
	if (request_id && request_id[0])
		jsonw_cstr(w, "request_id", request_id);
	jsonw_close(w);
}
