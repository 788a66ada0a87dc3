// SPDX-License-Identifier: Apache-2.0
/*
 * cuts.h: for tests of parsers: the same input whole, byte by byte and cut at random must tell the same. A parser's
 * test writes what it was told into a text (a "tale"); here the tales of all cuts are compared. Each piece is fed from
 * a copy of its own size, so that AddressSanitizer sees a read past its end or after its life.
 */
#ifndef PURSE_TESTS_CUTS_H
#define PURSE_TESTS_CUTS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/buf.h"
#include "terms.h"

#define CUTS_SEED 20240611u
#define CUTS_RANDOM 20
#define TALE_MAX (4u << 20)

/* xorshift: the same numbers everywhere. */
static inline uint32_t cuts_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static inline void *cuts_copy(const void *p, size_t n)
{
	void *copy = malloc(n ? n : 1);

	assert_non_null(copy);
	if (n)
		memcpy(copy, p, n);
	return copy;
}

/* One run over a parser: begin makes it, feed takes a piece (valid during the call only), end tells the rest and frees. */
struct cuts_run {
	void *(*begin)(void *ctx);
	void (*feed)(void *parser, struct str piece, struct buf *tale);
	void (*end)(void *parser, struct buf *tale);
	void *ctx;
};

static inline void cuts_tell(const struct cuts_run *run, struct str in, size_t piece_max, uint32_t seed, struct buf *tale)
{
	void *parser = run->begin(run->ctx);
	uint32_t state = seed;

	buf_init(tale, TALE_MAX);
	while (in.n) {
		size_t n = seed ? cuts_random(&state) % piece_max + 1 : piece_max;
		char *copy;

		n = n < in.n ? n : in.n;
		copy = cuts_copy(in.p, n);
		run->feed(parser, (struct str){ copy, n }, tale);
		free(copy);
		in.p += n;
		in.n -= n;
	}
	run->end(parser, tale);
	assert_int_equal(buf_append(tale, "", 1), 0);
}

static inline void cuts_compare(const struct cuts_run *run, struct str in, const char *expected, size_t piece_max,
				uint32_t seed)
{
	struct buf tale;

	cuts_tell(run, in, piece_max, seed, &tale);
	if (strcmp(buf_ptr(&tale), expected) != 0) {
		fprintf(stderr, "input: %.*s\npieces of %s%zu, seed %u:\n%s\nexpected:\n%s\n", (int)in.n, in.p,
			seed ? "up to " : "", piece_max, seed, buf_ptr(&tale), expected);
		fail();
	}
	buf_done(&tale);
}

/* All cuts tell what the whole input tells; *ret_tale (NUL-terminated) is that; the caller frees it with buf_done. */
static inline void cuts_check(const struct cuts_run *run, struct str in, struct buf *ret_tale)
{
	uint32_t seed = CUTS_SEED;

	cuts_tell(run, in, in.n ? in.n : 1, 0, ret_tale);
	cuts_compare(run, in, buf_ptr(ret_tale), 1, 0);
	cuts_compare(run, in, buf_ptr(ret_tale), 2, 0);
	for (unsigned i = 0; i < CUTS_RANDOM; i++)
		cuts_compare(run, in, buf_ptr(ret_tale), in.n < 64 ? 7 : in.n / 5, cuts_random(&seed));
}

#endif
