// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_fingerprint.c: a request's bytes to its numbers. First two bytes: how long a body is made of them, by repeating; the third: where
 * it is cut; up to the first LF is a part before it.
 *
 * Checked besides memory: the number made on the way is the number made at once; a body that begins as another has its blocks; one byte
 * more, or a bit changed, is another number.
 */
#include "fuzz.h"

#include "base/str.h"
#include "path/fingerprint.h"

const struct str fuzz_seeds[] = {
	FUZZ_SEED("\1\0\x80POST /v1\n{\"model\":\"m\"}"),
	FUZZ_SEED("\xff\xff\x10\n\0\0\0\0"),
	FUZZ_SEED("\x1f\xf0\xff" "a\nb"),
	FUZZ_SEEDS_END,
};

#define BLOCKS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fingerprint_key key;
	struct str rest, parts[2], body;
	uint64_t blocks[BLOCKS_MAX], again[BLOCKS_MAX], whole, cut;
	size_t n, m, k;
	char *mem;

	if (size < 3)
		return 0;
	if (!key.last)
		MUST(fingerprint_key_new(&key) == 0);
	rest = (struct str){ (const char *)data + 3, size - 3 };
	parts[0] = str_cut(&rest, '\n');
	n = rest.n ? (size_t)data[0] << 8 | data[1] : 0;
	mem = malloc(n + 1);
	MUST(mem);
	for (size_t i = 0; i < n; i++)
		mem[i] = rest.p[i % rest.n];
	mem[n] = 'x';
	body = parts[1] = (struct str){ fuzz_copy(mem, n), n };
	k = fingerprint_blocks(&key, parts, 1, body, SIZE_MAX, blocks, BLOCKS_MAX, &whole);
	MUST(k <= BLOCKS_MAX && k * FINGERPRINT_BLOCK <= n && whole != 0);
	MUST(fingerprint(&key, parts, 2) == whole);

	body.n = n * data[2] / 255;
	m = fingerprint_blocks(&key, parts, 1, body, SIZE_MAX, again, BLOCKS_MAX, &cut);
	MUST(m <= k && memcmp(blocks, again, m * sizeof(again[0])) == 0);
	MUST((cut == whole) == (body.n == n));
	free((char *)body.p);

	body = (struct str){ mem, n + 1 };
	(void)fingerprint_blocks(&key, parts, 1, body, SIZE_MAX, again, BLOCKS_MAX, &cut);
	MUST(cut != whole);
	mem[n * data[2] / 255] ^= 4;
	(void)fingerprint_blocks(&key, parts, 1, body, SIZE_MAX, again, BLOCKS_MAX, &whole);
	MUST(cut != whole);
	free(mem);
	return 0;
}
