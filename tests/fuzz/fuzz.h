// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz.h: what the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput and, if it likes, fuzz_seeds.
 *
 * Two ways to run one:
 *   make fuzz [FUZZ_SECONDS=2]       gcc, AddressSanitizer and UBSan, and the driver in driver.c: mutates the seeds
 *                                    blindly. Runs everywhere. `make test` has 2000 inputs of it with one seed.
 *   make fuzz-long [SECONDS=3600]    clang's libFuzzer (Debian: libclang-rt-14-dev), guided by coverage; so long for each target. Prints
 *                                    inputs, inputs/s, edges of our code that were reached, the corpus.
 * FUZZ_ONLY="fuzz_h1 fuzz_h2" for some of them. Both read O/corpus/NAME, where libFuzzer keeps what it found, and tests/data/fuzz/NAME:
 * inputs that failed once, each named after what was wrong. A new one goes there with its repair.
 * A program built the first way also takes files and folders: `fuzz_h1 crash-fuzz_h1 corpus/`.
 *
 * What is fed, and by whom:
 *   agents                packet (hand-made ones, read in the kernel)
 *   agents and providers  hello, h1, h2, plain (HTTP on port 80), sse, decode, json, form, provider, meter, fingerprint
 *   operators             control (routes, queries, bodies), rules, words (one value), config (YAML), prices, csv (cost exports)
 *   public files          prices (LiteLLM's and genai-prices' forms)
 *   the kernel            mounts
 * Not here: X.509 and TLS (OpenSSL; tests/unit/wire/test_tls_certificates.c), DNS (c-ares), what one daemon tells another (root only).
 */
#ifndef PURSE_TESTS_FUZZ_H
#define PURSE_TESTS_FUZZ_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "terms.h"

#define MUST(cond) \
	do { \
		if (!(cond)) \
			abort(); \
	} while (0)

/* The same with a reason. */
static inline void fuzz_fail(const char *why)
{
	fprintf(stderr, "%s\n", why);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Inputs that reach deep, for the driver; the last one has .p NULL. */
extern const struct str fuzz_seeds[] __attribute__((weak));
#define FUZZ_SEED(literal) { literal, sizeof(literal) - 1 }
#define FUZZ_SEEDS_END { NULL, 0 }

static inline uint32_t fuzz_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* A copy of exactly n bytes: reads past its end are seen. */
static inline char *fuzz_copy(const void *p, size_t n)
{
	char *copy = malloc(n ? n : 1);

	MUST(copy);
	if (n)
		memcpy(copy, p, n);
	return copy;
}

/* The same with the padding that json_scan may read, and not a byte more. */
static inline char *fuzz_padded(struct str s)
{
	char *p = malloc(s.n + JSON_PADDING);

	MUST(p);
	if (s.n)
		memcpy(p, s.p, s.n);
	memset(p + s.n, 0, JSON_PADDING);
	return p;
}

static inline bool fuzz_same(const struct buf *a, const struct buf *b)
{
	return buf_len(a) == buf_len(b) && (buf_len(a) == 0 || memcmp(buf_ptr(a), buf_ptr(b), buf_len(a)) == 0);
}

/* How much of the rest to feed next: all of it, one byte, or something in between. */
static inline size_t fuzz_piece(uint32_t *cuts, size_t rest)
{
	uint32_t r;

	if (*cuts == 0 || rest == 0)
		return rest;
	r = fuzz_random(cuts);
	if (r % 4 == 0)
		return 1;
	r = (r >> 8) % 64 + 1;
	return r < rest ? r : rest;
}

#endif
