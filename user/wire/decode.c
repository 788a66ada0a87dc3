// SPDX-License-Identifier: Apache-2.0
/*
 * decode.c: content codings behind one vtable: zlib, brotli, zstd, and identity. Streaming: whatever a
 * flush made decodable comes out at once. The bounds are checked here, once, for all of them.
 */
#include "wire/decode.h"

#include <brotli/decode.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/str.h"

#define STEP_BYTES (16 * 1024)
#define ZSTD_WINDOW_LOG_MAX 23 /* 8 MiB: RFC 8878 3.1.1.1.2 names it as what a decoder should bear */

/* One step of a coding: reads from *in, writes to out. 0, or -EBADMSG / -ENOMEM. *ret_out = bytes written. */
struct coding {
	struct str names[2];
	int (*start)(struct decode *d);
	int (*step)(struct decode *d, struct str *in, unsigned char *out, size_t room, size_t *ret_out);
	void (*stop)(struct decode *d);
};

struct decode {
	const struct coding *coding;
	size_t max, out_total;
	int error; /* sticks */
	bool is_over; /* the coded data has ended; what follows is not ours */
	bool is_started;
	bool is_between_members; /* gzip */
	/* First bytes that have to be seen together: deflate, one of the two that tell zlib from raw; zstd, the magic. */
	unsigned char held[4];
	size_t nheld;
	union {
		z_stream z;
		BrotliDecoderState *br;
		ZSTD_DStream *zstd;
	};
};

static void use(struct str *in, size_t n)
{
	in->p += n;
	in->n -= n;
}

/* Moves bytes from in to held, until there are n. */
static void hold(struct decode *d, struct str *in, size_t n)
{
	for (; d->nheld < n && in->n; use(in, 1))
		d->held[d->nheld++] = (unsigned char)in->p[0];
}

/* ---- identity */

static int identity_start(struct decode *d)
{
	return 0;
}

static int identity_step(struct decode *d, struct str *in, unsigned char *out, size_t room, size_t *ret_out)
{
	const size_t n = in->n < room ? in->n : room;

	memcpy(out, in->p, n);
	use(in, n);
	*ret_out = n;
	return 0;
}

static void identity_stop(struct decode *d)
{
}

/* ---- zlib: gzip and deflate */

static int z_start(struct decode *d, int window_bits)
{
	d->z = (z_stream){ 0 };
	if (inflateInit2(&d->z, window_bits) != Z_OK)
		return -ENOMEM;
	d->is_started = true;
	return 0;
}

static int gzip_start(struct decode *d)
{
	return z_start(d, 15 + 16);
}

static int z_step(struct decode *d, struct str *in, unsigned char *out, size_t room, size_t *ret_out, int *ret_z)
{
	/* zlib counts in unsigned int; decode_feed goes round until all is used. */
	const size_t most = in->n < (1u << 30) ? in->n : (1u << 30);

	d->z.next_in = (unsigned char *)(uintptr_t)in->p;
	d->z.avail_in = (unsigned)most;
	d->z.next_out = out;
	d->z.avail_out = (unsigned)room;
	*ret_z = inflate(&d->z, Z_NO_FLUSH);
	use(in, most - d->z.avail_in);
	*ret_out = room - d->z.avail_out;
	switch (*ret_z) {
	case Z_OK:
	case Z_STREAM_END:
	case Z_BUF_ERROR: /* nothing to do now: not an error */
		return 0;
	case Z_MEM_ERROR:
		return -ENOMEM;
	default:
		return -EBADMSG;
	}
}

static int gzip_step(struct decode *d, struct str *in, unsigned char *out, size_t room, size_t *ret_out)
{
	int z, ret;

	if (d->is_between_members) {
		if (in->n == 0)
			return 0;
		/* RFC 1952 2.2. What is no member behind the last one is left alone, as gzip(1) does with padding. */
		d->is_over = (unsigned char)in->p[0] != 0x1f;
		if (d->is_over)
			return 0;
	}
	d->is_between_members = false;
	ret = z_step(d, in, out, room, ret_out, &z);
	if (ret == 0 && z == Z_STREAM_END) {
		d->is_between_members = true;
		(void)inflateReset(&d->z);
	}
	return ret;
}

static int deflate_start(struct decode *d)
{
	return 0;
}

/* "deflate" means zlib (RFC 9110 8.4.1.2), but raw deflate is sent under that name, too: the first two bytes tell. */
static int deflate_begin(struct decode *d, struct str *in)
{
	unsigned char first, second;
	size_t none;
	int z, ret;

	hold(d, in, 1);
	if (in->n == 0)
		return 0;
	first = d->held[0];
	second = (unsigned char)in->p[0];
	ret = z_start(d, (first & 0x0f) == 8 && (first * 256 + second) % 31 == 0 ? 15 : -15);
	if (ret)
		return ret;
	/* One byte cannot decode to anything: at least a block header and an end code are needed. */
	return z_step(d, &(struct str){ (const char *)d->held, 1 }, &first, 1, &none, &z);
}

static int deflate_step(struct decode *d, struct str *in, unsigned char *out, size_t room, size_t *ret_out)
{
	int z, ret = d->is_started ? 0 : deflate_begin(d, in);

	if (ret || !d->is_started)
		return ret;
	ret = z_step(d, in, out, room, ret_out, &z);
	d->is_over = ret == 0 && z == Z_STREAM_END;
	return ret;
}

static void z_stop(struct decode *d)
{
	if (d->is_started)
		(void)inflateEnd(&d->z);
}

/* ---- brotli */

static int br_start(struct decode *d)
{
	d->br = BrotliDecoderCreateInstance(NULL, NULL, NULL);
	return d->br ? 0 : -ENOMEM;
}

static bool is_br_memory_error(BrotliDecoderErrorCode code)
{
	return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES && code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
}

static int br_step(struct decode *d, struct str *in, unsigned char *out, size_t room, size_t *ret_out)
{
	const unsigned char *next = (const unsigned char *)in->p;
	size_t left = in->n, room_left = room;
	BrotliDecoderResult r = BrotliDecoderDecompressStream(d->br, &left, &next, &room_left, &out, NULL);

	use(in, in->n - left);
	*ret_out = room - room_left;
	if (r == BROTLI_DECODER_RESULT_ERROR)
		return is_br_memory_error(BrotliDecoderGetErrorCode(d->br)) ? -ENOMEM : -EBADMSG;
	d->is_over = r == BROTLI_DECODER_RESULT_SUCCESS;
	return 0;
}

static void br_stop(struct decode *d)
{
	if (d->br)
		BrotliDecoderDestroyInstance(d->br);
}

/* ---- zstd */

static int zstd_start(struct decode *d)
{
	d->zstd = ZSTD_createDStream();
	if (!d->zstd)
		return -ENOMEM;
	if (ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX)))
		return -EINVAL;
	return 0;
}

static int zstd_run(struct decode *d, struct str *in, unsigned char *out, size_t room, size_t *ret_out)
{
	ZSTD_inBuffer i = { .src = in->p, .size = in->n };
	ZSTD_outBuffer o = { .dst = out, .size = room };
	const size_t r = ZSTD_decompressStream(d->zstd, &o, &i);

	use(in, i.pos);
	*ret_out = o.pos;
	/* The frame has ended and all of it is out: frames behind it are decoded, too (RFC 8878 3.1). */
	if (r == 0)
		d->nheld = 0;
	if (!ZSTD_isError(r))
		return 0;
	return ZSTD_getErrorCode(r) == ZSTD_error_memory_allocation ? -ENOMEM : -EBADMSG;
}

/*
 * Only the frames of RFC 8878: the library is often built with the decoders of the formats before it, which no client
 * asks for and nobody looks after; it would choose them by the magic number.
 */
static bool is_zstd_magic(const unsigned char *m)
{
	static const unsigned char frame[4] = { 0x28, 0xb5, 0x2f, 0xfd }, skippable[3] = { 0x2a, 0x4d, 0x18 };

	return memcmp(m, frame, 4) == 0 || ((m[0] & 0xf0) == 0x50 && memcmp(m + 1, skippable, 3) == 0);
}

static int zstd_step(struct decode *d, struct str *in, unsigned char *out, size_t room, size_t *ret_out)
{
	const bool is_new_frame = d->nheld < sizeof(d->held);
	struct str magic = { (const char *)d->held, sizeof(d->held) };
	int ret;

	if (!is_new_frame)
		return zstd_run(d, in, out, room, ret_out);
	hold(d, in, sizeof(d->held));
	if (d->nheld < sizeof(d->held))
		return 0;
	if (!is_zstd_magic(d->held))
		return -EBADMSG;
	/* The magic alone decodes to nothing and is taken whole: a frame header is longer. */
	ret = zstd_run(d, &magic, out, room, ret_out);
	if (ret == 0 && magic.n)
		ret = -EBADMSG;
	return ret || in->n == 0 ? ret : zstd_run(d, in, out, room, ret_out);
}

static void zstd_stop(struct decode *d)
{
	ZSTD_freeDStream(d->zstd);
}

/* ---- what is common */

static const struct coding codings[] = {
	{ .names = { { "identity", 8 } }, .start = identity_start, .step = identity_step, .stop = identity_stop },
	{ .names = { { "gzip", 4 }, { "x-gzip", 6 } }, .start = gzip_start, .step = gzip_step, .stop = z_stop },
	{ .names = { { "deflate", 7 } }, .start = deflate_start, .step = deflate_step, .stop = z_stop },
	{ .names = { { "br", 2 } }, .start = br_start, .step = br_step, .stop = br_stop },
	{ .names = { { "zstd", 4 } }, .start = zstd_start, .step = zstd_step, .stop = zstd_stop },
};

static const struct coding *find_coding(struct str name)
{
	for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++)
		for (size_t k = 0; k < 2; k++)
			if (codings[i].names[k].n && str_eq_nocase(codings[i].names[k], name))
				return &codings[i];
	return NULL;
}

int decode_new(struct str coding, size_t max_output, struct decode **ret)
{
	const struct str name = str_trim(coding);
	const struct coding *c = find_coding(name.n ? name : STR("identity"));
	struct decode *d;
	int r;

	if (!c)
		return -EOPNOTSUPP;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->coding = c;
	d->max = max_output;
	r = c->start(d);
	if (r) {
		decode_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

void decode_free(struct decode *d)
{
	if (!d)
		return;
	d->coding->stop(d);
	free(d);
}

/* Hands on what one step gave, up to the bounds. */
static int put_out(struct decode *d, const unsigned char *p, size_t n, struct buf *out)
{
	const size_t room = d->max - d->out_total;
	const size_t fits = n < room ? n : room;
	int ret = fits ? buf_append(out, p, fits) : 0;

	d->out_total += fits;
	if (ret)
		return ret;
	return fits < n ? -EMSGSIZE : 0;
}

int decode_feed(struct decode *d, const void *p, size_t n, struct buf *out)
{
	unsigned char step[STEP_BYTES];
	struct str in = { p, n };
	size_t got = 0, before;
	int failed, full;

	/* A full step may mean that the coder holds more output, even without input. */
	while (d->error == 0 && !d->is_over && (in.n || got == sizeof(step))) {
		before = in.n;
		got = 0;
		failed = d->coding->step(d, &in, step, sizeof(step), &got);
		/* What came before a fault was seen by the agent, so it is metered, too. */
		full = put_out(d, step, got, out);
		d->error = full ? full : failed;
		if (got == 0 && in.n == before)
			break;
	}
	return d->error;
}

bool decode_knows_all(struct str accept_encoding)
{
	struct str item, name;

	while (accept_encoding.n) {
		item = str_cut(&accept_encoding, ',');
		name = str_trim(str_cut(&item, ';'));
		if (name.n && !find_coding(name))
			return false;
	}
	return true;
}
