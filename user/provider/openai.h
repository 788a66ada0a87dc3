// SPDX-License-Identifier: Apache-2.0
/*
 * openai.h: the parts of the OpenAI dialect. Private to user/provider/: openai.c (paths, the vtables),
 * openai_request.c (with openai_bounds.c, openai_edits.c), openai_media.c, openai_answer.c, openai_media_answer.c, openai_error.c.
 */
#ifndef PURSE_PROVIDER_OPENAI_H
#define PURSE_PROVIDER_OPENAI_H

#include "provider/provider.h"

extern const struct provider_ops openai_ops;            /* api.openai.com, Azure's /openai/v1 */
extern const struct provider_ops openai_compatible_ops; /* other hosts with this API */
extern const struct provider_ops openai_reporting_ops;  /* the same, stream usage always reported */
extern const struct provider_ops openrouter_ops, xai_ops, perplexity_ops; /* the same, and they report money */

/* In which form a provider's documents promise the cost of a call: what it reports there is what is charged. */
enum cost_report {
	COST_NOT_REPORTED = 0,
	COST_IN_USD,   /* usage.cost: OpenRouter */
	COST_IN_TICKS, /* usage.cost_in_usd_ticks, 1e-10 USD each: xAI */
	COST_IN_TOTAL, /* usage.cost.total_cost, USD: Perplexity */
};

/* Where hosts of this API differ in what matters for money. */
struct openai_traits {
	bool asks_for_usage;       /* stream usage must be asked for with stream_options */
	bool completions_default;  /* /completions without max_tokens stops at 16 tokens */
	enum cost_report reports_cost;
	bool steady_input; /* never cuts a conversation unasked, one model has one tokenizer: not so where requests go to hosts of others */
};

/* Is it known to think where its chat answers do not show it? */
bool openai_model_hides_reasoning(const char *model);
int openai_read_request(struct json *j, const struct openai_traits *t, enum endpoint ep, const char *body, size_t len,
			struct ask *ret, struct err *e);
/* openai_media.c, openai_media_answer.c: pictures, speech, transcriptions. */
static inline bool openai_is_media(enum endpoint ep)
{
	return ep == ENDPOINT_OPENAI_IMAGES || ep == ENDPOINT_OPENAI_SPEECH || ep == ENDPOINT_OPENAI_TRANSCRIPTIONS;
}
int openai_read_media_answer(struct json *j, enum endpoint ep, const char *body, size_t len, struct report *r);
void openai_read_media_event(struct json *j, enum endpoint ep, struct str name, struct str data, struct report *r);
int openai_read_media(struct json *j, enum endpoint ep, const char *body, size_t len, struct ask *ret, struct err *e);
int openai_read_form(enum endpoint ep, struct str content_type, const char *body, size_t len, struct ask *ret, struct err *e);
int openai_read_answer(struct json *j, const struct openai_traits *t, enum endpoint ep, const char *body, size_t len,
		       struct report *r);
void openai_read_event(struct json *j, const struct openai_traits *t, enum endpoint ep, const struct ask *ask,
		       struct str name, struct str data, struct report *r, struct event_verdict *ret);
int openai_write_error(struct buf *out, int status, const struct refusal *why, const char *message,
		       const char *request_id);
int openai_write_stream_error(struct buf *out, enum endpoint ep, const struct refusal *why, const char *message);

#endif
