// SPDX-License-Identifier: Apache-2.0
/*
 * openai_request.h: what stands in a request of the OpenAI family, between openai_request.c (reads it), openai_bounds.c (what it may cost)
 * and openai_edits.c (what is changed in it).
 */
#ifndef PURSE_PROVIDER_OPENAI_REQUEST_H
#define PURSE_PROVIDER_OPENAI_REQUEST_H

#include "provider/openai.h"
#include "provider/request.h"

/* Who runs a tool, and what bounds it. */
enum tool_kind {
	TOOL_CLIENT,      /* the agent runs it: nothing loops at the provider */
	TOOL_WEB_SEARCH,  /* counted and priced, as the next two */
	TOOL_FILE_SEARCH,
	TOOL_CODE,
	TOOL_LOOP,        /* loops, no fee of its own: max_tool_calls bounds it */
	TOOL_FEE,         /* has a fee that no answer counts for us, or is unknown */
	TOOL_KINDS,
};

/* Where an output limit may stand: max_tokens, max_completion_tokens, max_output_tokens. */
enum { LIMIT_TOKENS, LIMIT_COMPLETION, LIMIT_OUTPUT, LIMIT_COUNT };

struct openai_request {
	struct request common; /* first: request.h */
	enum endpoint ep;
	int64_t n, best_of;
	int64_t max_tokens, max_completion_tokens, max_output_tokens;
	int64_t max_tool_calls;
	int64_t input_items, prompts, functions; /* counts */
	int64_t prediction_bytes;
	bool has_tool[TOOL_KINDS];
	bool contexts_differ; /* several search tools, not all with the same size of context */
	/* of the element that is being read */
	struct note item_type, search_context;
	bool item_encrypted;
	struct json_value limits[LIMIT_COUNT];    /* .end = 0: absent */
	struct json_value options, include_usage; /* kind and place only; .end = 0: absent */
};

/* Input, output, choices, server tools, and how much of the output will be seen. -EINVAL with a text: they have no bounds. */
int openai_bound(struct openai_request *q, const struct openai_traits *t, struct err *e);

/* Where a lower output limit would go: over each that stands, or else as a member of its own. */
void openai_place_limit(const struct openai_request *q, const struct openai_traits *t, const char *body, size_t len);
/* Makes stream_options.include_usage true, wherever the body has it now. -EINVAL if the body is no object. */
int openai_ask_for_usage(const struct openai_request *q, const char *body, size_t len);

#endif
