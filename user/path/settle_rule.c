// SPDX-License-Identifier: Apache-2.0
/*
 * settle_rule.c: the table of settle_rule.h. A status that is not in it: 5xx may come after the work, all others come before it.
 */
#include "path/settle_rule.h"

#include <stddef.h>

#include "spend/bound.h"

enum status_class {
	CLASS_REFUSED,  /* before the work */
	CLASS_BROKEN,   /* the way to the model broke, before or after */
	CLASS_INTERNAL, /* the provider's own fault, or a front's */
	CLASS_WAITED,   /* somebody stopped waiting: the model may have gone on */
};

struct row {
	int status;
	enum status_class class;
};

static const struct row rows[] = {
	{ 408, CLASS_WAITED },  { 499, CLASS_WAITED },  { 500, CLASS_INTERNAL }, { 501, CLASS_REFUSED }, { 503, CLASS_REFUSED },
	{ 504, CLASS_WAITED },  { 505, CLASS_REFUSED }, { 524, CLASS_WAITED },	 { 525, CLASS_REFUSED }, { 526, CLASS_REFUSED },
	{ 529, CLASS_REFUSED },
};

static enum status_class class_of(int status)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].status == status)
			return rows[i].class;
	return status >= 300 && status < 500 ? CLASS_REFUSED : CLASS_BROKEN;
}

/* Nobody waited for the end: a whole answer may be ready by now, a stream is as long as was seen. */
static enum settle_rule unwatched(const struct settle_facts *f)
{
	return f->streamed ? SETTLE_ESTIMATE : SETTLE_HOLD;
}

static enum settle_rule without_answer(const struct settle_facts *f)
{
	return f->gave_up ? unwatched(f) : SETTLE_INPUT;
}

static enum settle_rule of_success(const struct settle_facts *f)
{
	if (f->own_error && !f->output_seen)
		return SETTLE_NOTHING;
	if (f->streamed)
		return SETTLE_ESTIMATE;
	return f->complete && f->output_seen && !f->missed ? SETTLE_ESTIMATE : SETTLE_HOLD;
}

static enum settle_rule of_failure(const struct settle_facts *f)
{
	if (f->output_seen)
		return SETTLE_ESTIMATE;
	switch (class_of(f->status)) {
	case CLASS_REFUSED:
		return SETTLE_NOTHING;
	case CLASS_INTERNAL:
		return f->own_error ? SETTLE_NOTHING : SETTLE_INPUT;
	case CLASS_WAITED:
		return f->own_error ? SETTLE_INPUT : unwatched(f);
	default:
		return SETTLE_INPUT;
	}
}

int64_t settle_text_bytes(int64_t bytes, int64_t events)
{
	int64_t least;

	if (__builtin_mul_overflow(events, BOUND_BYTES_PER_TOKEN, &least))
		least = INT64_MAX;
	return bytes > least ? bytes : least;
}

enum settle_rule settle_rule(const struct settle_facts *f)
{
	if (f->reported)
		return SETTLE_REPORTED;
	if (!f->all_sent && !f->output_seen && (f->status < 200 || f->status >= 300))
		return SETTLE_NOTHING;
	if (!f->status)
		return without_answer(f);
	return f->status >= 200 && f->status < 300 ? of_success(f) : of_failure(f);
}
