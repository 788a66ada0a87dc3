// SPDX-License-Identifier: Apache-2.0
/*
 * openai.c: the OpenAI API family: which paths cost money, and its vtables. Three rows of one dialect, since hosts
 * that copy the API differ in what matters here: what is free at OpenAI may cost elsewhere, and stream usage must
 * be asked for, or must not.
 *
 * Free is what its provider documents as not metered. Everything that stands in no table is refused: pictures made from
 * pictures, translations, files uploads, batches, fine-tuning, assistants, realtime, response compaction.
 */
#include "provider/openai.h"

#include "provider/reading.h"

#define METERED \
	{ "POST", "/chat/completions", ENDPOINT_OPENAI_CHAT }, \
	{ "POST", "/responses", ENDPOINT_OPENAI_RESPONSES }, \
	{ "POST", "/completions", ENDPOINT_OPENAI_COMPLETIONS }, \
	{ "POST", "/embeddings", ENDPOINT_OPENAI_EMBEDDINGS }

/* Only at OpenAI: what hosts that copy the API count and charge there differs from one to the next. */
#define MEDIA \
	{ "POST", "/images/generations", ENDPOINT_OPENAI_IMAGES }, \
	{ "POST", "/audio/speech", ENDPOINT_OPENAI_SPEECH }, \
	{ "POST", "/audio/transcriptions", ENDPOINT_OPENAI_TRANSCRIPTIONS }

static const struct route openai_routes[] = {
	METERED,
	MEDIA,
	{ "GET", "/models", ENDPOINT_FREE },
	{ "GET", "/models/**", ENDPOINT_FREE },
	{ "POST", "/moderations", ENDPOINT_FREE },
	{ "POST", "/responses/input_tokens", ENDPOINT_FREE },
	/* Stored answers. One made in the background could still settle here: read_request refuses to make those. */
	{ "GET", "/responses/*", ENDPOINT_FREE },
	{ "GET", "/responses/*/input_items", ENDPOINT_FREE },
	{ "DELETE", "/responses/*", ENDPOINT_FREE },
	{ "GET", "/files", ENDPOINT_FREE },
	{ "GET", "/files/*", ENDPOINT_FREE },
	{ "GET", "/files/*/content", ENDPOINT_FREE },
	{ "DELETE", "/files/*", ENDPOINT_FREE },
};

/* Elsewhere only what reads lists and balances is free: Mistral, for one, charges for moderations. */
static const struct route compatible_routes[] = {
	METERED,
	{ "GET", "/models", ENDPOINT_FREE },
	{ "GET", "/models/**", ENDPOINT_FREE },
	{ "GET", "/responses/*", ENDPOINT_FREE },
	{ "GET", "/responses/*/input_items", ENDPOINT_FREE },
	{ "DELETE", "/responses/*", ENDPOINT_FREE },
	{ "GET", "/user/balance", ENDPOINT_FREE }, /* DeepSeek */
	{ "GET", "/credits", ENDPOINT_FREE },      /* OpenRouter, as the next two */
	{ "GET", "/generation", ENDPOINT_FREE },
	{ "GET", "/key", ENDPOINT_FREE },
};

static enum endpoint classify(struct str method, struct str path)
{
	return routes_classify(openai_routes, sizeof(openai_routes) / sizeof(openai_routes[0]), method, path);
}

static enum endpoint classify_compatible(struct str method, struct str path)
{
	return routes_classify(compatible_routes, sizeof(compatible_routes) / sizeof(compatible_routes[0]), method, path);
}

/* One dialect: what it differs in, and its readers, which hand that on. */
#define DIALECT(d, ...) \
	static const struct openai_traits d = { __VA_ARGS__ }; \
	static int d##_request(struct json *j, enum endpoint ep, const char *body, size_t len, struct ask *ret, struct err *e) \
	{ \
		return openai_read_request(j, &d, ep, body, len, ret, e); \
	} \
	static int d##_answer(struct json *j, enum endpoint ep, const char *body, size_t len, struct report *r) \
	{ \
		return openai_read_answer(j, &d, ep, body, len, r); \
	} \
	static void d##_event(struct json *j, enum endpoint ep, const struct ask *ask, struct str name, struct str data, \
			      struct report *r, struct event_verdict *ret) \
	{ \
		openai_read_event(j, &d, ep, ask, name, data, r, ret); \
	}

#define READERS(d) \
	.read_request = d##_request, .read_answer = d##_answer, .read_event = d##_event, \
	.write_error = openai_write_error, .write_stream_error = openai_write_stream_error

DIALECT(openai, .steady_input = true, .asks_for_usage = true, .completions_default = true)
DIALECT(compatible, .asks_for_usage = true)
DIALECT(reporting, .asks_for_usage = false)
DIALECT(openrouter, .asks_for_usage = false, .reports_cost = COST_IN_USD)
DIALECT(xai, .asks_for_usage = true, .reports_cost = COST_IN_TICKS)
DIALECT(perplexity, .asks_for_usage = false, .reports_cost = COST_IN_TOTAL)

const struct provider_ops openai_ops = {
	.name = "openai",
	.dialect_help = "OpenAI itself (and Azure's /openai/v1): chat, responses, completions, embeddings, images, speech, transcriptions",
	.classify = classify,
	READERS(openai),
	.read_form = openai_read_form,
};

const struct provider_ops openai_compatible_ops = {
	.name = "openai-compatible",
	.dialect_help = "other hosts with OpenAI's API: DeepSeek, Together, Fireworks, vLLM; moderations are not taken as free",
	.classify = classify_compatible,
	READERS(compatible),
};

const struct provider_ops openai_reporting_ops = {
	.name = "openai-reporting",
	.dialect_help = "as openai-compatible, for hosts that report stream usage unasked: Mistral, Groq; requests are not edited",
	.classify = classify_compatible,
	READERS(reporting),
};

const struct provider_ops openrouter_ops = {
	.name = "openrouter",
	.dialect_help = "OpenRouter: as openai-reporting, and its usage.cost is what is charged",
	.classify = classify_compatible,
	READERS(openrouter),
};

const struct provider_ops xai_ops = {
	.name = "xai",
	.dialect_help = "xAI: as openai-compatible, and its usage.cost_in_usd_ticks is what is charged",
	.classify = classify_compatible,
	READERS(xai),
};

const struct provider_ops perplexity_ops = {
	.name = "perplexity",
	.dialect_help = "Perplexity: as openai-reporting, and its usage.cost.total_cost is what is charged",
	.classify = classify_compatible,
	READERS(perplexity),
};
