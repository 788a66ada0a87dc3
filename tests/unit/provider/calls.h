// SPDX-License-Identifier: Apache-2.0
/*
 * calls.h: what the tests of this folder share: bodies put where a read past the padding is caught, edits
 * applied, streams played to a reader and written on as an agent would see them.
 */
#ifndef PURSE_TESTS_PROVIDER_CALLS_H
#define PURSE_TESTS_PROVIDER_CALLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "provider/provider.h"

#define CHAT ENDPOINT_OPENAI_CHAT
#define RESPONSES ENDPOINT_OPENAI_RESPONSES
#define MESSAGES ENDPOINT_ANTHROPIC_MESSAGES

static struct json *calls_json;

static inline int calls_setup(void **state)
{
	(void)state;
	calls_json = json_new();
	return calls_json ? 0 : -1;
}

static inline int calls_teardown(void **state)
{
	(void)state;
	json_free(calls_json);
	return 0;
}

/* A copy with exactly the promised padding behind it, filled with what would change the meaning if it were read. */
static inline char *calls_padded(struct str s)
{
	char *p = malloc(s.n + JSON_PADDING);

	assert_non_null(p);
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	memset(p + s.n, ']', JSON_PADDING);
	return p;
}

static inline int calls_ask(const struct provider_ops *ops, enum endpoint ep, const char *body, struct ask *ret,
			    struct err *e)
{
	struct str s = str_of(body);
	char *p = calls_padded(s);
	int r = ops->read_request(calls_json, ep, p, s.n, ret, e);

	free(p);
	return r;
}

static inline int calls_answer(const struct provider_ops *ops, enum endpoint ep, const char *body, struct report *r)
{
	struct str s = str_of(body);
	char *p = calls_padded(s);
	int e = ops->read_answer(calls_json, ep, p, s.n, r);

	free(p);
	return e;
}

static inline struct event_verdict calls_event(const struct provider_ops *ops, enum endpoint ep,
					       const struct ask *ask, const char *name, struct str data,
					       struct report *r)
{
	struct event_verdict v;
	char *p = calls_padded(data);

	ops->read_event(calls_json, ep, ask, str_of(name), (struct str){ .p = p, .n = data.n }, r, &v);
	free(p);
	return v;
}

/* The body with its edits, as it goes upstream. Static memory. */
static inline const char *calls_edited(const char *body, const struct ask *a)
{
	static char out[4096];
	size_t at = 0, n = 0;

	for (size_t i = 0; i < a->nedits; i++) {
		const struct body_edit *ed = &a->edits[i];

		assert_true(ed->at >= at && ed->at + ed->cut <= strlen(body));
		memcpy(out + n, body + at, ed->at - at);
		n += ed->at - at;
		memcpy(out + n, ed->text, strlen(ed->text));
		n += strlen(ed->text);
		at = ed->at + ed->cut;
	}
	strcpy(out + n, body + at);
	return out;
}

/* The data of an event as the agent gets it: NULL = hidden. Static memory. */
static inline const char *calls_seen(const char *data, const struct event_verdict *v)
{
	static char out[4096];

	if (v->hide)
		return NULL;
	assert_true(v->cut_at + v->cut <= strlen(data));
	memcpy(out, data, v->cut_at);
	strcpy(out + v->cut_at, data + v->cut_at + v->cut);
	return out;
}

/* Everything but what changes by design: byte counts are compared too. */
static inline void calls_same_report(const struct report *a, const struct report *b)
{
	assert_int_equal(a->seen, b->seen);
	assert_int_equal(a->failed, b->failed);
	assert_int_equal(a->ended, b->ended);
	assert_string_equal(a->model, b->model);
	assert_int_equal(a->tier, b->tier);
	assert_memory_equal(&a->usage, &b->usage, sizeof(a->usage));
	assert_int_equal(a->nparts, b->nparts);
	assert_int_equal(a->output_bytes, b->output_bytes);
	assert_int_equal(a->input_exact, b->input_exact);
	assert_int_equal(a->reasoning_hidden, b->reasoning_hidden);
	assert_int_equal(a->reported_cost, b->reported_cost);
	assert_int_equal(a->reported_bad, b->reported_bad);
	assert_int_equal(a->reported_byok, b->reported_byok);
	assert_int_equal(a->fast, b->fast);
	assert_int_equal(a->fast_said, b->fast_said);
	assert_string_equal(a->geo, b->geo);
	assert_int_equal(a->unpriced, b->unpriced);
}

#endif
