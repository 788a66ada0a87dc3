// SPDX-License-Identifier: Apache-2.0
/*
 * h1.c: collects heads, has them read (h1_head.c) and read again (h1_opinion.c), then counts bodies out. Bodies and chunk
 * framing are read here, by a decoder that knows one spelling. What is written is in h1_write.c.
 */
#include "wire/h1.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/str.h"
#include "wire/h1_head.h"

#define MAGIC 0x68317031u
#define CHUNK_EXT_MAX 256          /* per chunk */
#define CHUNK_EXT_TOTAL (16 * 1024) /* per message: one-byte chunks with long extensions (CVE-2024-22019) */
#define CHUNK_DIGITS_MAX 16
#define CHUNK_MAX (INT64_C(1) << 53)
#define TRAILERS_MAX (16 * 1024)
#define INTERIM_MAX 16 /* 1xx heads before one answer */

enum state {
	S_IDLE,       /* between messages */
	S_IDLE_CR,    /* requests: the CR of an empty line before the request line */
	S_HEAD,       /* collecting */
	S_LENGTH,     /* `left` bytes of body to come */
	S_UNTIL_EOF,
	S_CHUNK_SIZE, /* digits */
	S_CHUNK_EXT,
	S_CHUNK_SIZE_LF,
	S_CHUNK_DATA, /* `left` bytes of this chunk to come */
	S_CHUNK_CR,
	S_CHUNK_LF,
	S_TRAILERS,
	S_END,    /* H1_END is to be told */
	S_CLOSED, /* the message before said that it is the last */
	S_BAD,
};

struct h1 {
	unsigned magic;
	enum h1_side side;
	enum state state;
	bool skip_empty_line; /* one empty line before a request is taken, not two */
	bool no_body_next;
	bool is_interim;
	bool chunk_has_digit;
	unsigned chunk_digits, ninterim;
	size_t ext_bytes, ext_total;
	int64_t left;
	/* A head stays valid while the next one is collected, so there are two. */
	struct buf collecting, told;
	size_t line_start; /* in collecting: where the unfinished line begins */
	struct http_head head;
	struct err why; /* S_BAD */
};

/* ---- a whole head */

static int set_request_length(struct h1 *p, const struct h1_meaning *m)
{
	struct http_head *h = &p->head;

	h->length = m->is_chunked ? HTTP_LENGTH_CHUNKED : m->has_length ? HTTP_LENGTH_FIXED : HTTP_LENGTH_NONE;
	h->content_length = m->has_length ? m->length : 0;
	p->state = m->is_chunked ? S_CHUNK_SIZE : h->content_length > 0 ? S_LENGTH : S_END;
	return 0;
}

static int set_bodyless_length(struct h1 *p, const struct h1_meaning *m, struct err *e)
{
	struct http_head *h = &p->head;
	const bool may_name_length = h->status >= 200 && h->status != 204;

	/* RFC 9110 8.6, RFC 9112 6.1: must not be sent; a body behind it would be taken for the next answer. */
	if (!may_name_length && (m->is_chunked || (m->has_length && m->length > 0)))
		return err_set(e, EBADMSG, "response head: status %d has no body, but a length is given", h->status);
	h->length = may_name_length && m->has_length ? HTTP_LENGTH_FIXED : HTTP_LENGTH_NONE;
	h->content_length = h->length == HTTP_LENGTH_FIXED ? m->length : 0;
	p->state = S_END;
	return 0;
}

static int set_response_length(struct h1 *p, const struct h1_meaning *m, struct err *e)
{
	struct http_head *h = &p->head;

	p->is_interim = h->status < 200;
	if (h->status == 101)
		return err_set(e, EBADMSG, "response head: status 101, but no upgrade was asked for");
	if (p->is_interim && ++p->ninterim > INTERIM_MAX)
		return err_set(e, EBADMSG, "response head: over %d interim (1xx) answers before one", INTERIM_MAX);
	if (p->is_interim || h->status == 204 || h->status == 304 || p->no_body_next)
		return set_bodyless_length(p, m, e);
	if (m->is_chunked || m->has_length)
		return set_request_length(p, m);
	h->length = HTTP_LENGTH_CLOSE;
	h->keep_alive = false;
	p->state = S_UNTIL_EOF;
	return 0;
}

static int read_head(struct h1 *p, struct err *e)
{
	struct buf done = p->collecting;
	struct str raw = { buf_ptr(&done), buf_len(&done) };
	struct h1_meaning means;
	int ret;

	p->collecting = p->told;
	p->told = done;
	ret = h1_head_scan(p->side, raw, &p->head, e);
	ret = ret ? ret : h1_head_understand(p->side, &p->head, &means, e);
	ret = ret ? ret : h1_second_opinion(p->side, raw, &p->head, &means, e);
	if (ret)
		return ret;
	h1_head_finish(&p->head, &means);
	p->ext_total = 0;
	p->chunk_digits = 0;
	p->left = means.has_length ? means.length : 0;
	return p->side == H1_REQUESTS ? set_request_length(p, &means) : set_response_length(p, &means, e);
}

/* ---- collecting: heads and trailers, line by line */

static void use(struct str *in, size_t n)
{
	in->p += n;
	in->n -= n;
}

/*
 * Moves bytes up to the end of the current line into collecting. 1: a line is complete and at *ret_line (its CRLF
 * included); 0: more input is needed; -EBADMSG.
 */
static int collect_line(struct h1 *p, struct str *in, size_t max, struct str *ret_line, struct err *e)
{
	const size_t have = buf_len(&p->collecting);
	const size_t room = max - have;
	const size_t window = in->n < room ? in->n : room;
	const char *lf = window ? memchr(in->p, '\n', window) : NULL;
	const size_t n = lf ? (size_t)(lf - in->p) + 1 : window;
	const char *line;
	int ret;

	if (!lf && in->n > window)
		return err_set(e, EBADMSG, "%s: head or trailers over %zu bytes", h1_side_name(p->side), max);
	ret = n ? buf_append(&p->collecting, in->p, n) : 0;
	if (ret)
		return err_set(e, -ret, "%s head: no memory", h1_side_name(p->side));
	use(in, n);
	if (!lf)
		return 0;
	line = buf_ptr(&p->collecting) + p->line_start;
	*ret_line = (struct str){ line, buf_len(&p->collecting) - p->line_start };
	/* Told here and not when the head is whole: it may never be, for a sender that ends lines otherwise. */
	if (ret_line->n < 2 || line[ret_line->n - 2] != '\r')
		return err_set(e, EBADMSG, "%s head: a line ends in LF without CR", h1_side_name(p->side));
	p->line_start = buf_len(&p->collecting);
	return 1;
}

static enum h1_fact go_bad(struct h1 *p, struct err *e)
{
	p->state = S_BAD;
	if (e)
		*e = p->why;
	return H1_BAD;
}

static enum h1_fact step_bad(struct h1 *p, struct str *in, struct str *ret_body)
{
	return H1_BAD;
}

static void begin_collecting(struct h1 *p)
{
	buf_clear(&p->collecting);
	buf_shrink(&p->collecting);
	p->line_start = 0;
}

/* Steps answer H1_MORE for "go on with what is left of the input", too: the driver sees which it is. */
static enum h1_fact step_idle(struct h1 *p, struct str *in, struct str *ret_body)
{
	/* RFC 9112 2.2: an empty line before a request line; some clients send one behind a body. */
	if (in->p[0] == '\r' && p->skip_empty_line) {
		p->skip_empty_line = false;
		p->state = S_IDLE_CR;
		use(in, 1);
		return H1_MORE;
	}
	begin_collecting(p);
	p->state = S_HEAD;
	return H1_MORE;
}

static enum h1_fact step_idle_cr(struct h1 *p, struct str *in, struct str *ret_body)
{
	if (in->p[0] != '\n') {
		(void)err_set(&p->why, EBADMSG, "request head: CR without LF before the first line");
		return H1_BAD;
	}
	use(in, 1);
	p->state = S_IDLE;
	return H1_MORE;
}

static enum h1_fact step_head(struct h1 *p, struct str *in, struct str *ret_body)
{
	struct str line;
	int ret = collect_line(p, in, HTTP_HEAD_MAX, &line, &p->why);

	if (ret < 0)
		return H1_BAD;
	if (ret == 0 || line.n > 2)
		return H1_MORE;
	return read_head(p, &p->why) ? H1_BAD : H1_HEAD;
}

/* ---- bodies */

static struct str take(struct h1 *p, struct str *in)
{
	const size_t n = (uint64_t)p->left < in->n ? (size_t)p->left : in->n;
	const struct str piece = { in->p, n };

	use(in, n);
	p->left -= (int64_t)n;
	return piece;
}

static enum h1_fact step_length(struct h1 *p, struct str *in, struct str *ret_body)
{
	*ret_body = take(p, in);
	if (p->left == 0)
		p->state = S_END;
	return H1_BODY;
}

static enum h1_fact step_until_eof(struct h1 *p, struct str *in, struct str *ret_body)
{
	*ret_body = *in;
	use(in, in->n);
	return H1_BODY;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static enum h1_fact bad_chunk(struct h1 *p, const char *what)
{
	(void)err_set(&p->why, EBADMSG, "%s body: %s", h1_side_name(p->side), what);
	return H1_BAD;
}

static enum h1_fact step_chunk_size(struct h1 *p, struct str *in, struct str *ret_body)
{
	const char c = in->p[0];
	const int digit = hex_digit(c);

	use(in, 1);
	if (digit >= 0) {
		if (++p->chunk_digits > CHUNK_DIGITS_MAX)
			return bad_chunk(p, "a chunk size of over 16 digits");
		p->left = p->left * 16 + digit;
		return p->left > CHUNK_MAX ? bad_chunk(p, "a chunk of over 2^53 bytes") : H1_MORE;
	}
	if (p->chunk_digits == 0 || (c != '\r' && c != ';'))
		return bad_chunk(p, "a chunk size that is not hex digits, then CRLF or \";\"");
	p->ext_bytes = 0;
	p->state = c == ';' ? S_CHUNK_EXT : S_CHUNK_SIZE_LF;
	return H1_MORE;
}

static enum h1_fact step_chunk_ext(struct h1 *p, struct str *in, struct str *ret_body)
{
	const unsigned char c = (unsigned char)in->p[0];

	use(in, 1);
	if (c == '\r') {
		p->state = S_CHUNK_SIZE_LF;
		return H1_MORE;
	}
	if ((c < 0x20 && c != '\t') || c == 0x7f)
		return bad_chunk(p, "a control byte in a chunk extension");
	if (++p->ext_bytes > CHUNK_EXT_MAX || ++p->ext_total > CHUNK_EXT_TOTAL)
		return bad_chunk(p, "chunk extensions over 256 bytes in a chunk or 16 KiB in a message");
	return H1_MORE;
}

static enum h1_fact step_chunk_size_lf(struct h1 *p, struct str *in, struct str *ret_body)
{
	if (in->p[0] != '\n')
		return bad_chunk(p, "CR without LF behind a chunk size");
	use(in, 1);
	p->chunk_digits = 0;
	p->state = p->left ? S_CHUNK_DATA : S_TRAILERS;
	if (p->state == S_TRAILERS)
		begin_collecting(p);
	return H1_MORE;
}

static enum h1_fact step_chunk_data(struct h1 *p, struct str *in, struct str *ret_body)
{
	*ret_body = take(p, in);
	if (p->left == 0)
		p->state = S_CHUNK_CR;
	return H1_BODY;
}

static enum h1_fact step_chunk_cr(struct h1 *p, struct str *in, struct str *ret_body)
{
	if (in->p[0] != '\r')
		return bad_chunk(p, "a chunk is not followed by CRLF");
	use(in, 1);
	p->state = S_CHUNK_LF;
	return H1_MORE;
}

static enum h1_fact step_chunk_lf(struct h1 *p, struct str *in, struct str *ret_body)
{
	if (in->p[0] != '\n')
		return bad_chunk(p, "CR without LF behind a chunk");
	use(in, 1);
	p->state = S_CHUNK_SIZE;
	return H1_MORE;
}

static enum h1_fact step_trailers(struct h1 *p, struct str *in, struct str *ret_body)
{
	struct http_field dropped;
	struct str line;
	int ret = collect_line(p, in, TRAILERS_MAX, &line, &p->why);

	if (ret < 0)
		return H1_BAD;
	if (ret == 0)
		return H1_MORE;
	if (line.n == 2) {
		p->state = S_END;
		return H1_MORE;
	}
	line.n -= 2;
	ret = h1_field_scan(line, 1, &dropped, &p->why);
	if (ret) {
		(void)err_prefix(&p->why, ret, "%s trailers", h1_side_name(p->side));
		return H1_BAD;
	}
	return H1_MORE;
}

static enum h1_fact step_end(struct h1 *p, struct str *in, struct str *ret_body)
{
	const bool is_last = !p->head.keep_alive && !p->is_interim;

	if (!p->is_interim) {
		p->ninterim = 0;
		p->no_body_next = false;
	}
	p->is_interim = false;
	p->skip_empty_line = p->side == H1_REQUESTS;
	p->state = is_last ? S_CLOSED : S_IDLE;
	return H1_END;
}

static enum h1_fact step_closed(struct h1 *p, struct str *in, struct str *ret_body)
{
	(void)err_set(&p->why, EBADMSG, "%s: bytes behind the last message of the connection", h1_side_name(p->side));
	return H1_BAD;
}

/* ---- the driver */

typedef enum h1_fact (*step_fn)(struct h1 *p, struct str *in, struct str *ret_body);
static const step_fn steps[] = {
	[S_IDLE] = step_idle,
	[S_IDLE_CR] = step_idle_cr,
	[S_HEAD] = step_head,
	[S_LENGTH] = step_length,
	[S_UNTIL_EOF] = step_until_eof,
	[S_CHUNK_SIZE] = step_chunk_size,
	[S_CHUNK_EXT] = step_chunk_ext,
	[S_CHUNK_SIZE_LF] = step_chunk_size_lf,
	[S_CHUNK_DATA] = step_chunk_data,
	[S_CHUNK_CR] = step_chunk_cr,
	[S_CHUNK_LF] = step_chunk_lf,
	[S_TRAILERS] = step_trailers,
	[S_END] = step_end,
	[S_CLOSED] = step_closed,
	[S_BAD] = step_bad,
};

enum h1_fact h1_next(struct h1 *p, struct str *in, struct str *ret_body, struct err *e)
{
	enum h1_fact fact = H1_MORE;

	ASSERT(p->magic == MAGIC);
	/* S_END and S_BAD have something to say without input. Every other turn uses a byte or changes the state. */
	while (fact == H1_MORE && (in->n || p->state == S_END || p->state == S_BAD))
		fact = steps[p->state](p, in, ret_body);
	return fact == H1_BAD ? go_bad(p, e) : fact;
}

enum h1_fact h1_eof(struct h1 *p, struct err *e)
{
	ASSERT(p->magic == MAGIC);
	if (p->state == S_UNTIL_EOF)
		p->state = S_END;
	if (p->state == S_END)
		return step_end(p, NULL, NULL);
	if (p->state == S_IDLE || p->state == S_CLOSED)
		return H1_MORE;
	if (p->state != S_BAD)
		(void)err_set(&p->why, EBADMSG, "%s: the connection closed in the middle of a message",
			      h1_side_name(p->side));
	return go_bad(p, e);
}

bool h1_is_idle(const struct h1 *p)
{
	return p->state == S_IDLE || p->state == S_CLOSED;
}

struct http_head *h1_head(struct h1 *p)
{
	return &p->head;
}

void h1_expect_no_body(struct h1 *p)
{
	p->no_body_next = true;
}

struct h1 *h1_new(enum h1_side side)
{
	struct h1 *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->magic = MAGIC;
	p->side = side;
	p->skip_empty_line = side == H1_REQUESTS;
	buf_init(&p->collecting, HTTP_HEAD_MAX);
	buf_init(&p->told, HTTP_HEAD_MAX);
	return p;
}

void h1_free(struct h1 *p)
{
	if (!p)
		return;
	buf_done(&p->collecting);
	buf_done(&p->told);
	p->magic = 0;
	free(p);
}
