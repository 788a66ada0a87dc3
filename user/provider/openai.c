// SPDX-License-Identifier: Apache-2.0
/*
 * openai.c: the OpenAI API family: which paths cost money, and its vtables. Three rows of one dialect, since hosts
 * that copy the API differ in what matters here: what is free at OpenAI may cost elsewhere, and stream usage must
 * be asked for, or must not.
 *
 * Free is what its provider documents as not metered. Everything that stands in no table is refused: images,
 * audio, files uploads, batches, fine-tuning, assistants, realtime, response compaction.
 */
#include "provider/openai.h"

#include "provider/reading.h"

#define METERED \
	{ "POST", "/chat/completions", ENDPOINT_OPENAI_CHAT }, \
	{ "POST", "/responses", ENDPOINT_OPENAI_RESPONSES }, \
	{ "POST", "/completions", ENDPOINT_OPENAI_COMPLETIONS }, \
	{ "POST", "/embeddings", ENDPOINT_OPENAI_EMBEDDINGS }

static const struct route openai_routes[] = {
	METERED,
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

static const struct openai_traits openai = { .asks_for_usage = true, .completions_default = true };
static const struct openai_traits compatible = { .asks_for_usage = true, .completions_default = false };
static const struct openai_traits reporting = { .asks_for_usage = false, .completions_default = false };

static int read_request(struct json *j, enum endpoint ep, const char *body, size_t len, struct ask *ret, struct err *e)
{
	return openai_read_request(j, &openai, ep, body, len, ret, e);
}

static int read_request_compatible(struct json *j, enum endpoint ep, const char *body, size_t len, struct ask *ret,
				   struct err *e)
{
	return openai_read_request(j, &compatible, ep, body, len, ret, e);
}

static int read_request_reporting(struct json *j, enum endpoint ep, const char *body, size_t len, struct ask *ret,
				  struct err *e)
{
	return openai_read_request(j, &reporting, ep, body, len, ret, e);
}

const struct provider_ops openai_ops = {
	.name = "openai",
	.dialect_help = "OpenAI itself (and Azure's /openai/v1): chat, responses, completions, embeddings",
	.classify = classify,
	.read_request = read_request,
	.read_answer = openai_read_answer,
	.read_event = openai_read_event,
	.write_error = openai_write_error,
	.write_stream_error = openai_write_stream_error,
};

const struct provider_ops openai_compatible_ops = {
	.name = "openai-compatible",
	.dialect_help = "other hosts with OpenAI's API: DeepSeek, Together, Fireworks, OpenRouter, xAI, vLLM; moderations are not taken as free",
	.classify = classify_compatible,
	.read_request = read_request_compatible,
	.read_answer = openai_read_answer,
	.read_event = openai_read_event,
	.write_error = openai_write_error,
	.write_stream_error = openai_write_stream_error,
};

const struct provider_ops openai_reporting_ops = {
	.name = "openai-reporting",
	.dialect_help = "as openai-compatible, for hosts that report stream usage unasked: Mistral, Groq, Perplexity; requests are not edited",
	.classify = classify_compatible,
	.read_request = read_request_reporting,
	.read_answer = openai_read_answer,
	.read_event = openai_read_event,
	.write_error = openai_write_error,
	.write_stream_error = openai_write_stream_error,
};
