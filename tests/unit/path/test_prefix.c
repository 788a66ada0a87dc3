// SPDX-License-Identifier: Apache-2.0
/*
 * The table of what earlier requests had in tokens: what it answers, what it forgets, who sees it; and that its bound is one, for bodies
 * that grow at random and a tokenizer that merges.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "path/fingerprint.h"
#include "path/prefix.h"

#define BLOCK 100
#define SCOPE 7
#define MODEL 9

static const uint64_t no_tails[BODY_TAILS_MAX];

static struct prefix_request request(const uint64_t *blocks, size_t n, int64_t bytes)
{
	return (struct prefix_request){ .scope = SCOPE, .model = MODEL, .bytes = bytes, .block = BLOCK, .blocks = blocks, .nblocks = n };
}

static void put_as(struct prefix_table *t, uint64_t scope, uint64_t model, const uint64_t *hashes, size_t n, const uint64_t *tails,
		   int64_t tokens, int64_t now)
{
	struct prefix_memo m = { .scope = scope, .model = model, .n = n };

	memcpy(m.hashes, hashes, n * sizeof *hashes);
	memcpy(m.tails, tails, sizeof m.tails);
	prefix_put(t, &m, tokens, now);
}

static void put(struct prefix_table *t, const uint64_t *hashes, size_t n, int64_t tokens, int64_t now)
{
	put_as(t, SCOPE, MODEL, hashes, n, no_tails, tokens, now);
}

static void test_longest_and_best(void **state)
{
	struct prefix_table *t = prefix_new();
	const uint64_t b[] = { 11, 12, 13, 14, 15 };
	struct prefix_request r = request(b, 5, 550);

	assert_true(prefix_bound(t, &r, 1) == INT64_MAX);
	put(t, b, 2, 60, 1); /* 200 bytes known, and maybe more behind */
	assert_int_equal(prefix_bound(t, &r, 1), 60 + 350 + PREFIX_SLACK);
	put(t, b, 4, 100, 2);
	assert_int_equal(prefix_bound(t, &r, 2), 100 + 150 + PREFIX_SLACK);
	/* A longer one that had far more behind it is worse than a shorter one. */
	put(t, b + 4, 1, 900, 3);
	assert_int_equal(prefix_bound(t, &r, 3), 100 + 150 + PREFIX_SLACK);
	/* Of two truths about one beginning the smaller is kept. */
	put(t, b, 4, 500, 4);
	assert_int_equal(prefix_bound(t, &r, 4), 100 + 150 + PREFIX_SLACK);
	put(t, b, 4, 80, 5);
	assert_int_equal(prefix_bound(t, &r, 5), 80 + 150 + PREFIX_SLACK);
	prefix_free(t);
}

static void test_others_do_not_see_it(void **state)
{
	struct prefix_table *t = prefix_new();
	const uint64_t b[] = { 11, 12 };
	struct prefix_request r = request(b, 2, 250);

	put(t, b, 2, 60, 1);
	/* Equal hashes, as a weak key would make them: the scope keeps accounts, models, endpoints and headers apart. */
	r.scope = SCOPE + 1;
	assert_true(prefix_bound(t, &r, 1) == INT64_MAX);
	r.scope = SCOPE ^ (UINT64_C(1) << 60); /* the same set of the table */
	assert_true(prefix_bound(t, &r, 1) == INT64_MAX);
	r.scope = SCOPE;
	assert_true(prefix_bound(t, &r, 1) < INT64_MAX);
	/* The same scope and hash, and another length: what stands behind counts. */
	r.bytes = 1250;
	assert_int_equal(prefix_bound(t, &r, 1), 60 + 1050 + PREFIX_SLACK);
	prefix_free(t);
}

static void test_it_ages(void **state)
{
	struct prefix_table *t = prefix_new();
	const uint64_t b[] = { 11 };
	struct prefix_request r = request(b, 1, 150);

	put(t, b, 1, 60, 5);
	assert_true(prefix_bound(t, &r, 5 + PREFIX_TTL_NS - 1) < INT64_MAX);
	assert_true(prefix_bound(t, &r, 5 + PREFIX_TTL_NS) == INT64_MAX);
	/* Seen again with more behind it: its age stays, until it is over. */
	put(t, b, 1, 70, PREFIX_TTL_NS - 5);
	assert_true(prefix_bound(t, &r, 5 + PREFIX_TTL_NS) == INT64_MAX);
	put(t, b, 1, 70, 5 + PREFIX_TTL_NS);
	assert_int_equal(prefix_bound(t, &r, 5 + PREFIX_TTL_NS), 70 + 50 + PREFIX_SLACK);
	prefix_free(t);
}

static void test_eviction(void **state)
{
	struct prefix_table *t = prefix_new();
	size_t known = 0, n = 3 * (size_t)PREFIX_SETS * PREFIX_WAYS;
	uint64_t first;

	for (size_t i = 1; i <= n; i++) {
		uint64_t h = i * UINT64_C(0x9e3779b97f4a7c15);
		put(t, &h, 1, 60, (int64_t)i);
	}
	for (size_t i = 1; i <= n; i++) {
		uint64_t h = i * UINT64_C(0x9e3779b97f4a7c15);
		struct prefix_request r = request(&h, 1, 150);
		known += prefix_bound(t, &r, (int64_t)n) < INT64_MAX;
	}
	assert_in_range(known, PREFIX_SETS * PREFIX_WAYS * 9 / 10, PREFIX_SETS * PREFIX_WAYS);
	/* All in one set: the oldest gives way. */
	for (uint64_t i = 1; i <= PREFIX_WAYS + 1; i++) {
		uint64_t h = i * PREFIX_SETS;
		put(t, &h, 1, 60, (int64_t)(n + i));
	}
	first = PREFIX_SETS;
	struct prefix_request r = request(&first, 1, 150);
	assert_true(prefix_bound(t, &r, (int64_t)n) == INT64_MAX);
	first = 2 * PREFIX_SETS;
	assert_true(prefix_bound(t, &r, (int64_t)n) < INT64_MAX);
	prefix_free(t);
}

static void test_tails(void **state)
{
	struct prefix_table *t = prefix_new();
	const uint64_t b[] = { 11, 12 }, tails[BODY_TAILS_MAX] = { 501, 502 };
	struct prefix_request r = request(b, 2, 1000);

	put_as(t, SCOPE, MODEL, b, 2, tails, 60, 1);
	assert_int_equal(prefix_bound(t, &r, 1), 60 + 800 + PREFIX_SLACK);
	r.tails[0] = 502;
	r.tail_bytes[0] = 300;
	assert_int_equal(prefix_bound(t, &r, 1), 60 + 500 + PREFIX_SLACK);
	r.tails[1] = 501;
	r.tail_bytes[1] = 400;
	assert_int_equal(prefix_bound(t, &r, 1), 60 + 100 + PREFIX_SLACK);
	/* One that stands there twice was read once only. */
	r.tails[1] = 502;
	r.tail_bytes[1] = 300;
	assert_int_equal(prefix_bound(t, &r, 1), 60 + 500 + PREFIX_SLACK);
	/* Others behind the same beginning: the later request replaces, whatever its size. */
	put(t, b, 2, 900, 2);
	assert_int_equal(prefix_bound(t, &r, 2), 900 + 800 + PREFIX_SLACK);
	prefix_free(t);
}

static void test_distrust(void **state)
{
	struct prefix_table *t = prefix_new();
	const uint64_t b[] = { 11 };
	struct prefix_request r = request(b, 1, 150);

	put(t, b, 1, 60, 1);
	put_as(t, SCOPE + 1, MODEL + 1, b, 1, no_tails, 60, 1);
	prefix_distrust(t, MODEL, 2);
	assert_true(prefix_bound(t, &r, 2) == INT64_MAX);
	put(t, b, 1, 60, 3);
	assert_true(prefix_bound(t, &r, 3) == INT64_MAX);
	r.scope = SCOPE + 1;
	r.model = MODEL + 1;
	assert_true(prefix_bound(t, &r, 3) < INT64_MAX);
	r.scope = SCOPE;
	r.model = MODEL;
	put(t, b, 1, 60, 2 + PREFIX_DISTRUST_NS);
	assert_true(prefix_bound(t, &r, 2 + PREFIX_DISTRUST_NS) < INT64_MAX);
	prefix_free(t);
}

static void test_which_are_kept(void **state)
{
	for (size_t n = 0; n < 1100; n++) {
		size_t kept[PREFIX_KEPT_MAX], k = prefix_keeps(n, kept);

		assert_true(k <= PREFIX_KEPT_MAX && (n == 0) == (k == 0));
		for (size_t i = 1; i < k; i++)
			assert_true(kept[i] > kept[i - 1]);
		for (size_t i = 0; i < k && i < PREFIX_KEPT_DENSE; i++)
			assert_int_equal(kept[k - 1 - i], n - 1 - i);
		/* Never more than twice as far back as it had to be. */
		for (size_t cut = 1; cut <= n; cut++) {
			size_t best = n;
			for (size_t i = 0; i < k; i++)
				if (kept[i] + 1 <= cut)
					best = cut - (kept[i] + 1);
			assert_true(best == n ? cut < n : best <= n - cut);
		}
	}
}

static void *hammer(void *arg)
{
	struct prefix_table *t = arg;
	uint64_t b[20];

	for (int round = 0; round < 3000; round++) {
		for (size_t i = 0; i < 20; i++)
			b[i] = (uint64_t)(round % 50) * 100 + i + 1;
		struct prefix_request r = request(b, 20, 2050);
		put(t, b, 20, 60, round);
		int64_t bound = prefix_bound(t, &r, round);
		if (bound != INT64_MAX && bound != 60 + 50 + PREFIX_SLACK)
			return t;
		if (round % 1000 == 999)
			prefix_distrust(t, 1, round);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct prefix_table *t = prefix_new();
	pthread_t threads[4];
	void *bad;

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, t), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &bad), 0);
		assert_null(bad);
	}
	prefix_free(t);
}

/* ---- the property */

/* Greedy, the longest word first, as byte-pair tokenizers do within their words; any other byte is a token of its own. */
static const char *const words[] = {
	"        ", "    ", "function", "return ", "the ", "ing ", "tion", "abcabc", "abc", "aaaaaaaa", "aaaa", "aa", "\\n", "\",\"", "ab", "bc",
};

static int64_t tokens_of(const char *p, size_t n)
{
	int64_t tokens = 0;

	for (size_t at = 0; at < n; tokens++) {
		size_t step = 1;
		for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
			size_t len = strlen(words[w]);
			if (len > step && len <= n - at && !memcmp(p + at, words[w], len))
				step = len;
		}
		at += step;
	}
	return tokens;
}

static uint32_t seed = 20261124;
static uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static size_t write_text(char *p, size_t n)
{
	/* Some is all words, some is a token a byte: what is taken for another body's beginning shows. */
	uint32_t share = rnd(3) * 10;
	size_t at = 0;

	while (at + 16 < n) {
		if (rnd(20) < share) {
			const char *w = words[rnd(sizeof words / sizeof words[0])];
			memcpy(p + at, w, strlen(w));
			at += strlen(w);
		} else {
			p[at++] = (char)('a' + rnd(26));
		}
	}
	return at;
}

#define BODY_MAX ((size_t)200000)
#define RECENT 40

static void test_the_bound_is_one(void **state)
{
	struct fingerprint_key key;
	struct prefix_table *t = prefix_new();
	static char bodies[RECENT][BODY_MAX];
	static size_t lengths[RECENT];
	int helped = 0, rounds = 3000;

	print_message("seed %u\n", seed);
	assert_int_equal(fingerprint_key_new(&key), 0);
	for (int i = 0; i < rounds; i++) {
		/* Appended to, cut anywhere and gone on with otherwise, or new. */
		char *body = bodies[i % RECENT];
		size_t from = rnd(RECENT), keep = lengths[from] && rnd(20) ? rnd(2) ? lengths[from] : rnd((uint32_t)lengths[from]) : 0;
		if (keep > BODY_MAX - 30000)
			keep = 0;
		memmove(body, bodies[from], keep);
		size_t n = keep + write_text(body + keep, 17 + rnd(29000));
		lengths[i % RECENT] = n;

		uint64_t blocks[64], whole, hashes[PREFIX_KEPT_MAX];
		size_t kept[PREFIX_KEPT_MAX];
		struct prefix_request r = { .scope = SCOPE, .model = MODEL, .bytes = (int64_t)n, .block = FINGERPRINT_BLOCK, .blocks = blocks };
		r.nblocks = fingerprint_blocks(&key, NULL, 0, (struct str){ body, n }, n, blocks, 64, &whole);
		struct str all = { body, n };
		assert_true(whole == fingerprint(&key, &all, 1));
		int64_t bound = prefix_bound(t, &r, i), truth = tokens_of(body, n);
		assert_true(truth <= bound);
		helped += bound < (int64_t)n * 3 / 4;
		size_t k = prefix_keeps(r.nblocks, kept);
		for (size_t h = 0; h < k; h++)
			hashes[h] = blocks[kept[h]];
		put_as(t, SCOPE, MODEL, hashes, k, no_tails, truth, i);
	}
	assert_true(helped > rounds / 4);
	prefix_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longest_and_best), cmocka_unit_test(test_others_do_not_see_it), cmocka_unit_test(test_it_ages),
		cmocka_unit_test(test_eviction),	 cmocka_unit_test(test_tails),		      cmocka_unit_test(test_distrust),
		cmocka_unit_test(test_which_are_kept),	 cmocka_unit_test(test_threads),	      cmocka_unit_test(test_the_bound_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
