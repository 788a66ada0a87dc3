// SPDX-License-Identifier: Apache-2.0
/*
 * test_decode.c: content codings, whole and in every cut; flushed blocks come out at once; bombs and garbage stop.
 * gzip, deflate and zstd data are made here by their libraries, brotli data was made by its encoder.
 */
#include "cuts.h"

#include <errno.h>
#include <zlib.h>
#include <zstd.h>

#include "base/str.h"
#include "wire/decode.h"

#define S(literal) { literal, sizeof(literal) - 1 }

/* ---- encoders */

/* Text with some redundancy, compresses about 5:1. */
static struct str make_text(size_t n)
{
	static const char *const words[] = { "data: ", "token ", "{\"usage\":", "12", "345", "}\n\n", "delta ", "the ", "\xe2\x82\xac" };
	uint32_t seed = CUTS_SEED;
	char *p = malloc(n);
	size_t at = 0;

	assert_non_null(p);
	while (at < n) {
		const char *w = words[cuts_random(&seed) % 9];
		size_t k = strlen(w);

		k = k < n - at ? k : n - at;
		memcpy(p + at, w, k);
		at += k;
	}
	return (struct str){ p, n };
}

static void free_str(struct str s)
{
	free((char *)(uintptr_t)s.p);
}

/* Appends one deflate stream: 15 + 16 = gzip, 15 = zlib, -15 = raw; flush_every > 0: a sync flush behind so many bytes. */
static void deflate_to(struct buf *out, struct str in, int window_bits, size_t flush_every)
{
	z_stream z = { 0 };
	size_t room = deflateBound(NULL, in.n) + 100 + (flush_every ? in.n / flush_every * 20 : 0);
	char *to = buf_reserve(out, room);

	assert_non_null(to);
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_out = (unsigned char *)to;
	z.avail_out = (unsigned)room;
	z.next_in = (unsigned char *)(uintptr_t)in.p;
	do {
		size_t n = flush_every && flush_every < in.n ? flush_every : in.n;

		z.avail_in = (unsigned)n;
		in.n -= n;
		(void)deflate(&z, in.n ? Z_SYNC_FLUSH : Z_FINISH);
	} while (in.n);
	assert_int_equal(z.avail_in, 0);
	buf_grew(out, room - z.avail_out);
	(void)deflateEnd(&z);
}

static void zstd_to(struct buf *out, struct str in, int window_log)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t room = ZSTD_compressBound(in.n), n;
	char *to = buf_reserve(out, room);

	assert_non_null(to);
	if (window_log) {
		(void)ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log);
		/* Without the content size the frame header carries the window. */
		(void)ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
	}
	n = ZSTD_compress2(c, to, room, in.p, in.n);
	assert_false(ZSTD_isError(n));
	buf_grew(out, n);
	ZSTD_freeCCtx(c);
}

/* ---- the tale: the decoded bytes, then the error */

struct teller {
	struct decode *d;
	struct str coding;
	size_t max;
	int error;
};

static void *begin(void *ctx)
{
	struct teller *t = cuts_copy(ctx, sizeof(*t));

	assert_int_equal(decode_new(t->coding, t->max, &t->d), 0);
	return t;
}

static void feed(void *parser, struct str in, struct buf *tale)
{
	struct teller *t = parser;
	int ret = decode_feed(t->d, in.p, in.n, tale);

	assert_true(t->error == 0 || ret == t->error);
	t->error = ret;
}

static void end(void *parser, struct buf *tale)
{
	struct teller *t = parser;

	(void)buf_printf(tale, "|%d", t->error);
	decode_free(t->d);
	free(t);
}

static void check_decodes(struct str coding, struct str in, struct str expected, int error)
{
	struct teller teller = { .coding = coding, .max = 1 << 22 };
	const struct cuts_run run = { .begin = begin, .feed = feed, .end = end, .ctx = &teller };
	struct buf tale;
	char last[16];

	cuts_check(&run, in, &tale);
	(void)snprintf(last, sizeof(last), "|%d", error);
	assert_int_equal(buf_len(&tale), expected.n + strlen(last) + 1);
	assert_memory_equal(buf_ptr(&tale), expected.p, expected.n);
	assert_string_equal(buf_ptr(&tale) + expected.n, last);
	buf_done(&tale);
}

/* ---- good streams */

#define BR_FIRST "\x60\x01\x00\x80\x94\x82\x4e\x0e\x22\x09\x32\x79\x79\xa7\x91\xe5\x53\x67\xc3\x00"
#define BR_SECOND "\x71\x01\x00\x40\x02\x20\x09\x31\x04\x98\x2c\x2a\x6d\xc9\x6b\x00"
#define TEXT_FIRST "data: the first event\n\n"
#define TEXT_SECOND "data: the second event\n\n"
static const struct str br_whole = S(BR_FIRST BR_SECOND);
static const struct str br_text = S(TEXT_FIRST TEXT_SECOND);

static void decodes_deflate_family(void **state)
{
	static const size_t sizes[] = { 0, 1, 20, 3000, 200000 };
	static const struct {
		struct str coding;
		int window_bits;
	} kinds[] = { { S("gzip"), 31 }, { S(" X-GZIP "), 31 }, { S("Deflate"), 15 }, { S("deflate"), -15 } };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct str text = make_text(sizes[i]);

		for (size_t k = 0; k < 4; k++) {
			struct buf coded;

			buf_init(&coded, 1 << 22);
			deflate_to(&coded, text, kinds[k].window_bits, i % 2 ? 100 : 0);
			check_decodes(kinds[k].coding, (struct str){ buf_ptr(&coded), buf_len(&coded) }, text, 0);
			buf_done(&coded);
		}
		free_str(text);
	}
}

static void decodes_gzip_members(void **state)
{
	struct str text = make_text(3000);
	struct buf coded;

	buf_init(&coded, 1 << 22);
	deflate_to(&coded, (struct str){ text.p, 1000 }, 31, 0);
	deflate_to(&coded, (struct str){ text.p, 0 }, 31, 0);
	deflate_to(&coded, (struct str){ text.p + 1000, 2000 }, 31, 50);
	check_decodes(STR("gzip"), (struct str){ buf_ptr(&coded), buf_len(&coded) }, text, 0);
	/* Padding behind the last member is nobody's business. */
	assert_int_equal(buf_append(&coded, "\0\0\0\x1f\x8b\0", 6), 0);
	check_decodes(STR("gzip"), (struct str){ buf_ptr(&coded), buf_len(&coded) }, text, 0);
	buf_done(&coded);
	free_str(text);
}

static void decodes_brotli_zstd_identity(void **state)
{
	struct str text = make_text(100000);
	struct buf coded;

	check_decodes(STR("br"), br_whole, br_text, 0);
	check_decodes(STR(""), text, text, 0);
	check_decodes(STR("identity"), text, text, 0);
	buf_init(&coded, 1 << 22);
	zstd_to(&coded, (struct str){ text.p, 60000 }, 0);
	zstd_to(&coded, (struct str){ text.p + 60000, 40000 }, 20);
	check_decodes(STR("zstd"), (struct str){ buf_ptr(&coded), buf_len(&coded) }, text, 0);
	buf_done(&coded);
	free_str(text);
	/* A frame to be skipped, before and behind a frame with content. */
	check_decodes(STR("zstd"), STR("\x5a\x2a\x4d\x18\x02\x00\x00\x00xx\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello"
				       "\x50\x2a\x4d\x18\x00\x00\x00\x00\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello"),
		      STR("hellohello"), 0);
}

/* The last byte in may bring more out than one step holds; nothing comes in after it to ask for the rest. */
static void drains_the_last_byte(void **state)
{
	struct str zeros = { calloc(1, 600000), 600000 };
	struct buf coded;

	assert_non_null(zeros.p);
	buf_init(&coded, 1 << 20);
	zstd_to(&coded, zeros, 0);
	check_decodes(STR("zstd"), (struct str){ buf_ptr(&coded), buf_len(&coded) }, zeros, 0);
	buf_clear(&coded);
	deflate_to(&coded, zeros, 31, 0);
	check_decodes(STR("gzip"), (struct str){ buf_ptr(&coded), buf_len(&coded) }, zeros, 0);
	/* 600000 zeros, by its encoder */
	check_decodes(STR("br"), STR("\x5b\xbf\x27\x09\x40\x02\x20\x1e\x0b\x24\xef\x23\x01"), zeros, 0);
	buf_done(&coded);
	free_str(zeros);
}

/* A stream of events, each flushed: what is in must come out, before anything else comes in. */
static void gives_flushed_blocks_at_once(void **state)
{
	struct buf out;
	struct decode *d;
	z_stream z = { 0 };
	unsigned char coded[500];
	char event[64];
	int windows[] = { 31, 15, -15 };

	buf_init(&out, 1 << 20);
	for (int k = 0; k < 3; k++) {
		assert_int_equal(decode_new(k == 0 ? STR("gzip") : STR("deflate"), 1 << 20, &d), 0);
		memset(&z, 0, sizeof(z));
		assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, windows[k], 8, Z_DEFAULT_STRATEGY), Z_OK);
		for (int i = 0; i < 100; i++) {
			int n = snprintf(event, sizeof(event), "data: {\"i\":%d}\n\n", i);

			z.next_in = (unsigned char *)event;
			z.avail_in = (unsigned)n;
			z.next_out = coded;
			z.avail_out = sizeof(coded);
			(void)deflate(&z, Z_SYNC_FLUSH);
			assert_int_equal(decode_feed(d, coded, sizeof(coded) - z.avail_out, &out), 0);
			assert_int_equal(buf_len(&out), n);
			assert_memory_equal(buf_ptr(&out), event, (size_t)n);
			buf_clear(&out);
		}
		(void)deflateEnd(&z);
		decode_free(d);
	}
	assert_int_equal(decode_new(STR("br"), 1 << 20, &d), 0);
	assert_int_equal(decode_feed(d, BR_FIRST, sizeof(BR_FIRST) - 1, &out), 0);
	assert_true(str_eq((struct str){ buf_ptr(&out), buf_len(&out) }, STR(TEXT_FIRST)));
	decode_free(d);
	buf_done(&out);
}

static void gives_flushed_zstd_at_once(void **state)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	struct decode *d;
	struct buf out;
	char coded[500], event[64];

	buf_init(&out, 1 << 20);
	assert_int_equal(decode_new(STR("zstd"), 1 << 20, &d), 0);
	for (int i = 0; i < 100; i++) {
		int n = snprintf(event, sizeof(event), "data: {\"i\":%d}\n\n", i);
		ZSTD_inBuffer in = { event, (size_t)n, 0 };
		ZSTD_outBuffer to = { coded, sizeof(coded), 0 };

		assert_int_equal(ZSTD_compressStream2(c, &to, &in, ZSTD_e_flush), 0);
		assert_int_equal(decode_feed(d, coded, to.pos, &out), 0);
		assert_int_equal(buf_len(&out), n);
		assert_memory_equal(buf_ptr(&out), event, (size_t)n);
		buf_clear(&out);
	}
	decode_free(d);
	ZSTD_freeCCtx(c);
	buf_done(&out);
}

/* ---- bad streams */

static const struct {
	const char *name;
	struct str coding, in;
	const char *out;
} corrupt[] = {
	{ "no gzip", S("gzip"), S("hello, this is plain"), "" },
	{ "gzip of another method", S("gzip"), S("\x1f\x8b\x07\x00\x00\x00\x00\x00\x00\x03"), "" },
	{ "gzip broken inside", S("gzip"), S("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff"), "" },
	{ "gzip with a wrong sum", S("gzip"), S("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x01\x00\x00\x00\x00\x00\x00\x00"), "" },
	{ "gzip behind a member broken", S("gzip"),
	  S("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x1f\x00"), "" },
	{ "zlib that wants a dictionary", S("deflate"), S("\x78\xbb\x00\x00\x00\x01\x03\x00"), "" },
	{ "raw with a bad block", S("deflate"), S("\x07\x00\x00"), "" },
	{ "no brotli", S("br"), S("\xff\xff\xff\xff\xff\xff"), "" },
	{ "no zstd", S("zstd"), S("hello, this is plain"), "" },
	{ "zstd of a format before RFC 8878", S("zstd"), S("\x27\xb5\x2f\xfd\x20"), "" },
	{ "such a frame behind a good one", S("zstd"),
	  S("\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello\x27\xb5\x2f\xfd"), "hello" },
	{ "zstd wants 16 MiB of window", S("zstd"), S("\x28\xb5\x2f\xfd\x00\x70\x01\x00\x00"), "" },
	{ "zstd wants 2 GiB of window", S("zstd"), S("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00"), "" },
};

static void tells_corrupt_streams(void **state)
{
	for (size_t i = 0; i < sizeof(corrupt) / sizeof(corrupt[0]); i++) {
		print_message("  %s\n", corrupt[i].name);
		check_decodes(corrupt[i].coding, corrupt[i].in, (struct str){ corrupt[i].out, strlen(corrupt[i].out) }, -EBADMSG);
	}
}

/* A good stream with one byte flipped, fed whole and in pieces: no crash, and an error once told stays. */
static void survives_flipped_bytes(void **state)
{
	struct str text = make_text(2000), in;
	struct buf coded, out;
	struct decode *d;
	int ret;

	buf_init(&coded, 1 << 20);
	buf_init(&out, 1 << 20);
	deflate_to(&coded, text, 31, 200);
	in = (struct str){ buf_ptr(&coded), buf_len(&coded) };
	for (size_t i = 0; i < in.n; i++) {
		buf_ptr(&coded)[i] ^= 0x21;
		assert_int_equal(decode_new(STR("gzip"), 1 << 20, &d), 0);
		ret = decode_feed(d, in.p, in.n / 2, &out);
		if (ret)
			assert_int_equal(decode_feed(d, in.p + in.n / 2, in.n - in.n / 2, &out), ret);
		else
			(void)decode_feed(d, in.p + in.n / 2, in.n - in.n / 2, &out);
		decode_free(d);
		buf_ptr(&coded)[i] ^= 0x21;
		buf_clear(&out);
	}
	buf_done(&out);
	buf_done(&coded);
	free_str(text);
}

/* ---- bounds */

static int feed_all(struct str coding, size_t max, struct str in, size_t *ret_out)
{
	struct decode *d;
	struct buf out;
	int ret;

	buf_init(&out, 1 << 28);
	assert_int_equal(decode_new(coding, max, &d), 0);
	ret = decode_feed(d, in.p, in.n, &out);
	*ret_out = buf_len(&out);
	decode_free(d);
	buf_done(&out);
	return ret;
}

static void stops_at_max_output(void **state)
{
	struct str text = make_text(100000);
	struct buf coded;
	size_t n;

	buf_init(&coded, 1 << 22);
	deflate_to(&coded, text, 31, 0);
	assert_int_equal(feed_all(STR("gzip"), 100000, (struct str){ buf_ptr(&coded), buf_len(&coded) }, &n), 0);
	assert_int_equal(n, 100000);
	assert_int_equal(feed_all(STR("gzip"), 99999, (struct str){ buf_ptr(&coded), buf_len(&coded) }, &n), -EMSGSIZE);
	assert_int_equal(n, 99999);
	assert_int_equal(feed_all(STR("identity"), 99999, text, &n), -EMSGSIZE);
	assert_int_equal(n, 99999);
	assert_int_equal(feed_all(STR("br"), 10, br_whole, &n), -EMSGSIZE);
	assert_int_equal(n, 10);
	buf_done(&coded);
	free_str(text);
}

#define BR_BOMB \
	"\xcb\xff\xff\x3f\x00\x24\x00\xe2\xb1\x40\x72\xef\xff\xf8\xff\xff\x07\x80\x04\x40\x1c\x16\x80\xee\xfd\x1f\xff" \
	"\xff\xff\x00\x90\x00\x88\xc3\x02\xd0\xbd\xff\xe3\xff\xff\x1f\x00\x12\x00\x71\x58\x00\xba\xf7\x7f\xfc\xff\xff" \
	"\x03\x40\x02\x20\x0e\x0b\x40\xf7\xfe\x8f\xff\xff\x7f\x00\x48\x00\xc4\x61\x01\xe8\xde\xff\xf1\xff\xff\x0f\x00" \
	"\x09\x80\x38\x2c\x00\xdd\xfb\xbf\xfc\xff\xff\x03\x20\x01\x10\x87\x05\xa0\x7b\xff\x07"

/* A model that says one word over and over compresses a thousand to one: that has to be read. What stops a bomb is the total. */
static void reads_any_ratio_up_to_the_total(void **state)
{
	struct str zeros = { calloc(1, 4 << 20), 4 << 20 };
	struct buf coded;
	size_t n;

	assert_non_null(zeros.p);
	buf_init(&coded, 1 << 24);
	deflate_to(&coded, zeros, 31, 0);
	assert_int_equal(feed_all(STR("gzip"), 4 << 20, (struct str){ buf_ptr(&coded), buf_len(&coded) }, &n), 0);
	assert_int_equal(n, 4 << 20);
	assert_int_equal(feed_all(STR("gzip"), 1 << 20, (struct str){ buf_ptr(&coded), buf_len(&coded) }, &n), -EMSGSIZE);
	assert_int_equal(n, 1 << 20);
	buf_clear(&coded);
	zstd_to(&coded, zeros, 0);
	assert_int_equal(feed_all(STR("zstd"), 4 << 20, (struct str){ buf_ptr(&coded), buf_len(&coded) }, &n), 0);
	assert_int_equal(feed_all(STR("zstd"), 1 << 20, (struct str){ buf_ptr(&coded), buf_len(&coded) }, &n), -EMSGSIZE);
	assert_int_equal(n, 1 << 20);
	assert_int_equal(feed_all(STR("br"), 1 << 24, (struct str)S(BR_BOMB), &n), -EMSGSIZE);
	assert_int_equal(n, 1 << 24);
	buf_done(&coded);
	free_str(zeros);
}

static void stops_when_out_is_full(void **state)
{
	struct decode *d;
	struct buf out;

	buf_init(&out, 8);
	assert_int_equal(decode_new(STR("identity"), 1 << 20, &d), 0);
	assert_int_equal(decode_feed(d, "12345678", 8, &out), 0);
	assert_int_equal(decode_feed(d, "9", 1, &out), -EMSGSIZE);
	buf_clear(&out);
	assert_int_equal(decode_feed(d, "9", 1, &out), -EMSGSIZE);
	decode_free(d);
	decode_free(NULL);
	buf_done(&out);
}

/* ---- names */

static void knows_its_codings(void **state)
{
	static const struct str unknown[] = { S("compress"), S("gzip, br"), S("gzip,"), S("x"), S("gzi"), S("gzip2"), S("*") };
	struct decode *d = NULL;

	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_int_equal(decode_new(unknown[i], 1, &d), -EOPNOTSUPP);
	assert_null(d);
	assert_true(decode_knows_all(STR("")));
	assert_true(decode_knows_all(STR("gzip")));
	assert_true(decode_knows_all(STR("gzip, deflate, br, zstd")));
	assert_true(decode_knows_all(STR("GZIP;q=1.0 , identity ; q=0.5,, x-gzip")));
	assert_false(decode_knows_all(STR("*")));
	assert_false(decode_knows_all(STR("gzip, *;q=0")));
	assert_false(decode_knows_all(STR("gzip, dcb")));
	assert_false(decode_knows_all(STR("compress")));
	assert_false(decode_knows_all(STR("gzip br")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_deflate_family),
		cmocka_unit_test(decodes_gzip_members),
		cmocka_unit_test(decodes_brotli_zstd_identity),
		cmocka_unit_test(drains_the_last_byte),
		cmocka_unit_test(gives_flushed_blocks_at_once),
		cmocka_unit_test(gives_flushed_zstd_at_once),
		cmocka_unit_test(tells_corrupt_streams),
		cmocka_unit_test(survives_flipped_bytes),
		cmocka_unit_test(stops_at_max_output),
		cmocka_unit_test(reads_any_ratio_up_to_the_total),
		cmocka_unit_test(stops_when_out_is_full),
		cmocka_unit_test(knows_its_codings),
	};

	print_message("seed %u\n", CUTS_SEED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
