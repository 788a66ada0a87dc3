// SPDX-License-Identifier: Apache-2.0
/*
 * anthropic.c: the Anthropic API: which paths cost money, and its vtable. Batches, files uploads, sessions and the
 * old /complete stand in no table and are refused.
 */
#include "provider/anthropic.h"

#include "provider/reading.h"

static const struct route routes[] = {
	{ "POST", "/messages", ENDPOINT_ANTHROPIC_MESSAGES },
	{ "POST", "/messages/count_tokens", ENDPOINT_FREE },
	{ "GET", "/models", ENDPOINT_FREE },
	{ "GET", "/models/*", ENDPOINT_FREE },
	/* Reading batches costs nothing; making one does, and is refused. */
	{ "GET", "/messages/batches", ENDPOINT_FREE },
	{ "GET", "/messages/batches/*", ENDPOINT_FREE },
	{ "GET", "/messages/batches/*/results", ENDPOINT_FREE },
	{ "GET", "/files", ENDPOINT_FREE },
	{ "GET", "/files/*", ENDPOINT_FREE },
	{ "GET", "/files/*/content", ENDPOINT_FREE },
	{ "DELETE", "/files/*", ENDPOINT_FREE },
};

static enum endpoint classify(struct str method, struct str path)
{
	return routes_classify(routes, sizeof(routes) / sizeof(routes[0]), method, path);
}

const struct provider_ops anthropic_ops = {
	.name = "anthropic",
	.dialect_help = "Anthropic and hosts with its Messages API",
	.classify = classify,
	.read_request = anthropic_read_request,
	.read_answer = anthropic_read_answer,
	.read_event = anthropic_read_event,
	.write_error = anthropic_write_error,
	.write_stream_error = anthropic_write_stream_error,
};
