// SPDX-License-Identifier: Apache-2.0
/*
 * openai_edits.c: what may be changed in a request of the OpenAI family: a stream tells its usage, an output limit is lowered. Places in
 * the body as it was sent; nothing is written here.
 */
#include "provider/openai_request.h"

static void edit_add(struct ask *ask, size_t at, size_t cut, const char *text)
{
	ask->edits[ask->nedits++] = (struct body_edit){ .at = at, .cut = cut, .text = text };
	ask->hide_usage = true;
}

int openai_ask_for_usage(const struct openai_request *q, const char *body, size_t len)
{
	const struct json_value *o = &q->options, *u = &q->include_usage;
	size_t brace;
	int r = body_brace(body, len, &brace);

	if (r < 0)
		return r;
	if (o->end == 0)
		edit_add(q->common.ask, brace + 1, 0, "\"stream_options\":{\"include_usage\":true},");
	else if (o->kind == JSON_NULL)
		edit_add(q->common.ask, o->at, o->end - o->at, "{\"include_usage\":true}");
	else if (u->end == 0)
		edit_add(q->common.ask, o->at + 1, 0, object_is_empty(body, o->at, o->end) ? "\"include_usage\":true" :
										      "\"include_usage\":true,");
	else if (u->kind == JSON_NULL || u->i == 0)
		edit_add(q->common.ask, u->at, u->end - u->at, "true");
	return 0;
}

static void place_add(struct ask *ask, size_t at, size_t cut, const char *before, const char *after)
{
	ask->limits[ask->nlimits++] = (struct limit_place){ .at = at, .cut = cut, .before = before, .after = after };
}

void openai_place_limit(const struct openai_request *q, const struct openai_traits *t, const char *body, size_t len)
{
	static const char *const members[] = {
		[LIMIT_TOKENS] = "\"max_tokens\":", [LIMIT_COMPLETION] = "\"max_completion_tokens\":",
		[LIMIT_OUTPUT] = "\"max_output_tokens\":",
	};
	struct ask *ask = q->common.ask;
	int from = q->ep == ENDPOINT_OPENAI_RESPONSES ? LIMIT_OUTPUT : LIMIT_TOKENS;
	int to = q->ep == ENDPOINT_OPENAI_CHAT ? LIMIT_COMPLETION : from;
	size_t brace;

	if (q->ep == ENDPOINT_OPENAI_EMBEDDINGS || q->prediction_bytes || body_brace(body, len, &brace))
		return;
	for (int i = from; i <= to; i++)
		if (q->limits[i].end)
			place_add(ask, q->limits[i].at, q->limits[i].end - q->limits[i].at, "", "");
	/* Ascending, as edits are. */
	if (ask->nlimits == 2 && ask->limits[0].at > ask->limits[1].at) {
		struct limit_place first = ask->limits[1];
		ask->limits[1] = ask->limits[0];
		ask->limits[0] = first;
	}
	/* OpenAI's newer models take the newer name only, most other hosts know the older one. */
	if (!ask->nlimits)
		place_add(ask, brace + 1, 0, members[t->completions_default ? to : from], ",");
}
