// SPDX-License-Identifier: Apache-2.0
/*
 * prefix.h: what earlier requests are known to have had in input tokens, by their beginnings: a conversation grows by appending, so the next
 * request has at most as many tokens as that one, and one for each byte that is new. A bounded table under one lock; any thread. It knows
 * numbers only: hashes that the caller made with a secret (fingerprint.h), token counts. docs/holds.md says what makes the bound one.
 *
 * It does not judge reports or requests: prefix_call.c does.
 */
#ifndef PURSE_PATH_PREFIX_H
#define PURSE_PATH_PREFIX_H

#include "provider/provider.h"

#define PREFIX_SETS 1024
#define PREFIX_WAYS 8
/* Beginnings of one request that are kept: the last ones all, further back ever fewer. */
#define PREFIX_KEPT_DENSE 16
#define PREFIX_KEPT_MAX 32
/* A name may come to mean another model, with another tokenizer. */
#define PREFIX_TTL_NS (INT64_C(3600) * 1000000000)
#define PREFIX_DISTRUST_NS (24 * PREFIX_TTL_NS)
/* Tokens that a cut in two can make of a text that had fewer, and what is unseen and not in ask.extra_input_tokens. */
#define PREFIX_SLACK 512

struct prefix_table;

/* One request: who and what it asks (scope), what begins it, what ends it. */
struct prefix_request {
	uint64_t scope;          /* account, provider, model, endpoint, headers */
	uint64_t model;          /* provider and model: what is distrusted at once */
	int64_t bytes;           /* of the body */
	int64_t block;           /* bytes of one block */
	const uint64_t *blocks;  /* hashes of its beginnings, one block longer each */
	size_t nblocks;
	uint64_t tails[BODY_TAILS_MAX]; /* hashes of long values that stand behind all blocks; 0 = none */
	int64_t tail_bytes[BODY_TAILS_MAX];
};

/* What is kept of a request until its report is complete. */
struct prefix_memo {
	uint64_t scope, model;
	uint64_t tails[BODY_TAILS_MAX];
	uint64_t hashes[PREFIX_KEPT_MAX];
	size_t n; /* 0 = its report says nothing about others */
};

struct prefix_table *prefix_new(void); /* NULL = no memory */
void prefix_free(struct prefix_table *t); /* NULL is fine */
/* Input tokens of the request at most, by all that is known; INT64_MAX = nothing is. */
int64_t prefix_bound(struct prefix_table *t, const struct prefix_request *r, int64_t now_ns);
/* Which beginnings are to be put: indices of blocks, ascending; returns how many. */
size_t prefix_keeps(size_t nblocks, size_t ret[PREFIX_KEPT_MAX]);
/* So many tokens had a request with these beginnings, the ones that prefix_keeps chose. tokens > 0. */
void prefix_put(struct prefix_table *t, const struct prefix_memo *m, int64_t tokens, int64_t now_ns);
/* A bound was too low: nothing of this model is believed for a day. */
void prefix_distrust(struct prefix_table *t, uint64_t model, int64_t now_ns);

#endif
