// SPDX-License-Identifier: Apache-2.0
/*
 * prefix_call.c: which requests may bound others and which reports are believed. In doubt the bytes of the body bound the input, as
 * they do without any of this.
 */
#include "path/prefix_call.h"

#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "path/fingerprint.h"
#include "path/prefix.h"
#include "path/worker.h"

/* 4 MB: more than any model reads. What stands behind counts by its bytes. */
#define BLOCKS_MAX 1024
/* Headers that may change how a request is read. */
#define HEADERS_MAX 12
/* Fewer tokens than one for so many bytes of text are not believed: something was left out that we did not see. */
#define BYTES_PER_TOKEN_MAX 12

static struct str bytes_of(const void *p, size_t n) { return (struct str){ .p = p, .n = n }; }

static bool is_text(enum endpoint e)
{
	return e == ENDPOINT_OPENAI_CHAT || e == ENDPOINT_OPENAI_RESPONSES || e == ENDPOINT_ANTHROPIC_MESSAGES;
}

static bool changes_reading(struct str name)
{
	return (name.n > 10 && !strncasecmp(name.p, "anthropic-", 10)) || (name.n > 7 && !strncasecmp(name.p, "openai-", 7));
}

static bool scope_of(const struct exchange *x, const struct fingerprint_key *k, struct prefix_memo *m)
{
	const struct str model[] = { str_of(x->provider->name), str_of(x->ask.model) };
	struct str parts[5 + HEADERS_MAX] = {
		bytes_of(&x->who.flow.account, sizeof x->who.flow.account), bytes_of(&x->provider_index, sizeof x->provider_index),
		bytes_of(&x->endpoint, sizeof x->endpoint), str_of(x->ask.model), x->request->target,
	};
	size_t n = 5;

	for (size_t i = 0; i < x->request->nfields; i++) {
		if (!changes_reading(x->request->fields[i].name))
			continue;
		if (n == sizeof parts / sizeof parts[0])
			return false;
		parts[n++] = x->request->fields[i].value;
	}
	m->scope = fingerprint(k, parts, n);
	m->model = fingerprint(k, model, 2);
	return true;
}

static bool may_say_more(const struct exchange *x)
{
	return x->ask.input_steady && is_text(x->endpoint) && buf_len(&x->body) >= FINGERPRINT_BLOCK;
}

static void take_tails(const struct exchange *x, const struct fingerprint_key *k, struct prefix_request *r, struct prefix_memo *m)
{
	for (size_t i = 0; i < x->ask.ntails; i++) {
		const struct body_span *s = &x->ask.tails[i];
		const struct str parts[] = { bytes_of(&s->what, sizeof s->what), bytes_of(buf_ptr(&x->body) + s->at, s->end - s->at) };
		r->tails[i] = m->tails[i] = fingerprint(k, parts, 2);
		r->tail_bytes[i] = (int64_t)(s->end - s->at);
	}
}

static void take_blocks(const uint64_t *blocks, size_t n, struct prefix_memo *m)
{
	size_t kept[PREFIX_KEPT_MAX];

	m->n = prefix_keeps(n, kept);
	for (size_t i = 0; i < m->n; i++)
		m->hashes[i] = blocks[kept[i]];
}

static void bound_by_known(struct exchange *x, const struct prefix_request *r)
{
	int64_t known = prefix_bound(path_prefixes(x->worker->path), r, clock_boot_ns()), bytes = x->input_bound;

	if (known == INT64_MAX || __builtin_add_overflow(known, x->ask.input_soft_bytes + x->ask.extra_input_tokens, &known) || known >= bytes)
		return;
	x->input_bound = known;
	x->input_by_known = true;
	WORKER_COUNT(x->worker, input_known, 1);
	log_debug(x->who.subject, "%s: at most %lld tokens of input by an earlier request, %lld by bytes", x->ask.model, (long long)known,
		  (long long)bytes);
}

void prefix_seek(struct exchange *x)
{
	const struct fingerprint_key *k = path_fingerprint_key(x->worker->path);
	const struct str head[] = { str_of(x->sni), str_of(x->path) }, body = { .p = buf_ptr(&x->body), .n = buf_len(&x->body) };
	struct prefix_memo *m = &x->memo;
	bool more = may_say_more(x) && scope_of(x, k, m);
	uint64_t blocks[BLOCKS_MAX];
	struct prefix_request r = { .bytes = (int64_t)body.n, .block = FINGERPRINT_BLOCK, .blocks = blocks };

	x->input_bound = x->ask.body_bytes + x->ask.extra_input_tokens;
	/* What stands behind the conversation is no beginning: it is matched on its own. */
	r.nblocks = fingerprint_blocks(k, head, 2, body, x->ask.ntails ? x->ask.tails[0].at : body.n, blocks, more ? BLOCKS_MAX : 0,
				       &x->fingerprint);
	if (!more)
		return;
	r.scope = m->scope;
	r.model = m->model;
	take_tails(x, k, &r, m);
	take_blocks(blocks, r.nblocks, m);
	bound_by_known(x, &r);
}

/* Served by another model than the one asked for: its tokenizer may be another. "gpt-5" is served as "gpt-5-2025-08-07". */
static bool is_same_model(const struct exchange *x)
{
	return str_starts(str_of(x->report.model), str_of(x->ask.model));
}

/* All of the request's input was read once, and counted. */
static bool is_exact(const struct exchange *x)
{
	const struct report *r = &x->report;
	bool whole = r->seen && (r->ended || x->answer_complete);

	return x->status == 200 && !r->failed && !r->nparts && !r->parts_overflow && !r->unpriced && (r->input_exact || whole) &&
	       r->usage.input > 0 && is_same_model(x);
}

static bool is_plausible(const struct exchange *x)
{
	const struct ask *a = &x->ask;
	int64_t text = a->body_bytes - a->input_soft_bytes - a->input_light_bytes, tokens = x->report.usage.input;

	return tokens >= text / BYTES_PER_TOKEN_MAX && tokens <= a->body_bytes + a->extra_input_tokens;
}

void prefix_learn(struct exchange *x)
{
	const struct prefix_memo *m = &x->memo;
	struct prefix_table *t = path_prefixes(x->worker->path);

	if (!m->n || !is_exact(x))
		return;
	if (x->input_by_known && x->report.usage.input > x->input_bound) {
		log_warn(x->who.subject, "call %llu: %s read %lld tokens, where earlier requests let expect %lld at most: not relied on for a day",
			 (unsigned long long)x->call_id, x->ask.model, (long long)x->report.usage.input, (long long)x->input_bound);
		prefix_distrust(t, m->model, clock_boot_ns());
	} else if (is_plausible(x)) {
		prefix_put(t, m, x->report.usage.input, clock_boot_ns());
	}
}
