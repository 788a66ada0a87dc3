// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_decode.c: bytes to the content decoders. First byte: which; the next two: how the input is cut.
 *
 * Checked besides memory: the bounds hold; an error sticks; input that decodes gives the same bytes whole and cut, and
 * input that does not gives the start of the same bytes.
 */
#include "fuzz.h"

#include <errno.h>

#include "wire/decode.h"

#define OUT_MAX (3u << 20)

const struct str fuzz_seeds[] = {
	FUZZ_SEED("\1\1\1\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x4c\x4a\x06\x00\xc2\x41\x24\x35\x03\x00\x00\x00"
		  "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x4c\x4a\x06\x00\xc2\x41\x24\x35\x03\x00\x00\x00"),
	FUZZ_SEED("\2\1\2\x78\x9c\x4b\x4c\x4a\x06\x00\x02\x4d\x01\x27"),
	FUZZ_SEED("\2\1\3\x4b\x4c\x4a\x06\x00"),
	FUZZ_SEED("\3\1\4\x60\x01\x00\x80\x94\x82\x4e\x0e\x22\x09\x32\x79\x79\xa7\x91\xe5\x53\x67\xc3\x00"
		  "\x71\x01\x00\x40\x02\x20\x09\x31\x04\x98\x2c\x2a\x6d\xc9\x6b\x00"),
	FUZZ_SEED("\4\1\5\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello"),
	FUZZ_SEED("\0\1\6hello"),
	FUZZ_SEEDS_END,
};

static int run(struct str coding, uint32_t cuts, struct str in, struct buf *out)
{
	struct decode *d;
	int ret = 0, before;

	buf_init(out, OUT_MAX + 10);
	MUST(decode_new(coding, OUT_MAX, &d) == 0);
	while (in.n) {
		const size_t n = fuzz_piece(&cuts, in.n);
		char *piece = fuzz_copy(in.p, n);

		before = ret;
		ret = decode_feed(d, piece, n, out);
		MUST(before == 0 || ret == before);
		MUST(ret == 0 || ret == -EBADMSG || ret == -EMSGSIZE || ret == -ENOMEM);
		free(piece);
		in.p += n;
		in.n -= n;
	}
	MUST(buf_len(out) <= OUT_MAX);
	decode_free(d);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const codings[] = { "identity", "gzip", "deflate", "br", "zstd" };
	struct buf whole, cut;
	struct str coding, in;
	size_t n;
	int a, b;

	if (size < 3)
		return 0;
	coding.p = codings[data[0] % 5];
	coding.n = strlen(coding.p);
	in = (struct str){ (const char *)data + 3, size - 3 };
	a = run(coding, 0, in, &whole);
	b = run(coding, (uint32_t)data[1] << 8 | data[2] | 0x10000, in, &cut);
	MUST(a == b);
	MUST(a != 0 || buf_len(&whole) == buf_len(&cut));
	n = buf_len(&whole) < buf_len(&cut) ? buf_len(&whole) : buf_len(&cut);
	MUST(n == 0 || memcmp(buf_ptr(&whole), buf_ptr(&cut), n) == 0);
	buf_done(&whole);
	buf_done(&cut);
	return 0;
}
