// SPDX-License-Identifier: Apache-2.0
/*
 * sse.c: the event splitter. Every byte is looked at once and copied once: lines are found by memchr in the input, the
 * event gathers in one buffer, and a single data line is told in place. It knows lines and fields; what data
 * means is provider/'s business.
 *
 * CR, LF and CRLF all end a line, so a CR at the end of the input leaves open whether an LF belongs to it. Between lines
 * that costs nothing (the LF is taken in when it comes). At the blank line that ends an event it decides what
 * `raw` holds, so the answer must not depend on how the input was cut: if the line before ended in a bare CR,
 * the event is told at once (a CR stream; an LF that still comes opens the next raw); else it waits for one more byte.
 */
#include "wire/sse.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

/* How far one search for a line end looks: bounds what a search for an LF that is not there costs. */
#define WINDOW 4096

enum line_end { END_LF, END_CR, END_CRLF };

struct sse {
	size_t max;
	struct buf raw;    /* the event so far */
	struct buf joined; /* its data, once there are two data lines */
	size_t line_at;    /* in raw: where the unfinished line begins */
	size_t line_len;   /* bytes of it, also when raw is given up */
	size_t name_at, name_len;
	size_t data_at, data_len;
	unsigned ndata;
	enum line_end last_end;
	char head[3]; /* the first bytes of the stream: a BOM? */
	unsigned nhead;
	bool is_first_line;
	bool after_cr;      /* the last byte was a CR that ended a line: an LF belongs to it */
	bool blank_cr;      /* and that line was the blank one: the event is complete but for that LF */
	bool is_overflow;   /* raw is given up; pieces are told as they come */
	bool was_told;      /* the event in raw was told: forget it */
	bool is_no_memory;
};

struct sse *sse_new(size_t max_bytes)
{
	struct sse *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->max = max_bytes;
	s->is_first_line = true;
	buf_init(&s->raw, max_bytes);
	buf_init(&s->joined, max_bytes);
	return s;
}

void sse_free(struct sse *s)
{
	if (!s)
		return;
	buf_done(&s->raw);
	buf_done(&s->joined);
	free(s);
}

static void forget_event(struct sse *s)
{
	buf_clear(&s->raw);
	buf_shrink(&s->raw);
	buf_clear(&s->joined);
	buf_shrink(&s->joined);
	s->line_at = s->line_len = 0;
	s->name_len = 0;
	s->data_len = 0;
	s->ndata = 0;
	s->is_overflow = false;
	s->was_told = false;
}

/* ---- lines to fields */

static bool is_bom(const struct sse *s)
{
	return s->nhead == 3 && memcmp(s->head, "\xef\xbb\xbf", 3) == 0;
}

static bool on_data(struct sse *s, struct str value, size_t at)
{
	if (s->ndata == 1) {
		/* A second line: from here on the data has a buffer of its own. */
		if (buf_append(&s->joined, buf_ptr(&s->raw) + s->data_at, s->data_len))
			return false;
	}
	if (s->ndata >= 1) {
		if (buf_append(&s->joined, "\n", 1) || buf_append(&s->joined, value.p, value.n))
			return false;
	}
	s->ndata += s->ndata < 2;
	s->data_at = at;
	s->data_len = value.n;
	return true;
}

/* One whole line, without its end. False: no memory. */
static bool on_line(struct sse *s, struct str line)
{
	const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
	const struct str name = { line.p, colon ? (size_t)(colon - line.p) : line.n };
	/* No colon: the whole line is the name, the value is empty. */
	struct str value = { line.p + line.n, 0 };

	if (colon)
		value = (struct str){ colon + 1, line.n - name.n - 1 };
	if (value.n && value.p[0] == ' ')
		value = (struct str){ value.p + 1, value.n - 1 };
	if (str_eq(name, STR("data")))
		return on_data(s, value, (size_t)(value.p - buf_ptr(&s->raw)));
	if (str_eq(name, STR("event"))) {
		s->name_at = (size_t)(value.p - buf_ptr(&s->raw));
		s->name_len = value.n;
	}
	return true;
}

/* The line before the line end that was just taken in: a field, or blank. False: no memory. */
static bool finish_line(struct sse *s, bool *ret_is_blank)
{
	const size_t bom = s->is_first_line && is_bom(s) && s->line_len >= 3 ? 3 : 0;
	struct str line;

	*ret_is_blank = s->line_len == bom;
	if (!s->is_overflow) {
		line = (struct str){ buf_ptr(&s->raw) + s->line_at + bom, s->line_len - bom };
		if (!on_line(s, line))
			return false;
	}
	s->is_first_line = false;
	s->line_len = 0;
	return true;
}

/* ---- bytes to lines */

/* Bytes up to the end of the line, that end excluded; *ret_found says whether it is there. */
static size_t line_bytes(struct str in, bool *ret_found)
{
	const size_t n = in.n < WINDOW ? in.n : WINDOW;
	const char *lf = memchr(in.p, '\n', n);
	const size_t to = lf ? (size_t)(lf - in.p) : n;
	const char *cr = memchr(in.p, '\r', to);

	*ret_found = lf || cr;
	return cr ? (size_t)(cr - in.p) : to;
}

static void note_head(struct sse *s, struct str line)
{
	for (size_t i = 0; i < line.n && s->nhead < 3 && s->is_first_line; i++)
		s->head[s->nhead++] = line.p[i];
}

static struct str cut(struct str *in, size_t n)
{
	const struct str piece = { in->p, n };

	in->p += n;
	in->n -= n;
	return piece;
}

/* Asked before anything of the piece is taken in, so that a turn either happens or does not. */
static bool fits(const struct sse *s, size_t n)
{
	return s->is_overflow || n <= s->max - buf_len(&s->raw);
}

static bool gather(struct sse *s, struct str piece)
{
	return s->is_overflow || buf_append(&s->raw, piece.p, piece.n) == 0;
}

static enum sse_fact tell_event(struct sse *s, struct sse_event *ret)
{
	const char *raw = buf_ptr(&s->raw);

	s->was_told = true;
	*ret = (struct sse_event){
		.name = { raw + s->name_at, s->name_len },
		.raw = { raw, buf_len(&s->raw) },
		.data_at = -1,
		.has_data = s->ndata > 0,
	};
	if (s->name_len == 0)
		ret->name = STR("");
	if (s->ndata > 1) {
		ret->data = (struct str){ buf_ptr(&s->joined), buf_len(&s->joined) };
		return SSE_EVENT;
	}
	/* Without a data line: an empty string that still has readable bytes behind it. */
	ret->data = s->ndata ? (struct str){ raw + s->data_at, s->data_len } : (struct str){ raw + buf_len(&s->raw), 0 };
	if (s->ndata)
		ret->data_at = (int64_t)s->data_at;
	return SSE_EVENT;
}

static enum sse_fact tell_overflow(struct str raw, struct sse_event *ret)
{
	*ret = (struct sse_event){ .name = STR(""), .data = STR(""), .raw = raw, .data_at = -1 };
	return SSE_OVERFLOW;
}

/* ---- turns: each takes up to one line end from the input, or finds that it does not fit */

enum turn { TURN_GO_ON, TURN_EVENT_END, TURN_NO_ROOM, TURN_NO_MEMORY };

/* The byte behind a CR: an LF belongs to that line end. Any other is left alone. */
static enum turn take_after_cr(struct sse *s, struct str *in, struct str *ret_piece)
{
	const bool is_lf = in->p[0] == '\n';
	const enum turn done = s->blank_cr ? TURN_EVENT_END : TURN_GO_ON;

	if (is_lf && !fits(s, 1))
		return TURN_NO_ROOM;
	*ret_piece = cut(in, is_lf);
	if (!gather(s, *ret_piece))
		return TURN_NO_MEMORY;
	if (is_lf)
		s->last_end = END_CRLF;
	s->line_at = buf_len(&s->raw);
	s->after_cr = s->blank_cr = false;
	return done;
}

static enum turn take_line(struct sse *s, struct str *in, struct str *ret_piece)
{
	const enum line_end end_before = s->last_end;
	bool found, is_blank;
	const size_t n = line_bytes(*in, &found);

	if (!fits(s, n + found))
		return TURN_NO_ROOM;
	note_head(s, (struct str){ in->p, n });
	s->after_cr = found && in->p[n] == '\r';
	s->line_len += n;
	*ret_piece = cut(in, n + found);
	if (!gather(s, *ret_piece))
		return TURN_NO_MEMORY;
	if (!found)
		return TURN_GO_ON;
	s->last_end = s->after_cr ? END_CR : END_LF;
	if (!finish_line(s, &is_blank))
		return TURN_NO_MEMORY;
	s->line_at = buf_len(&s->raw);
	s->blank_cr = is_blank && s->after_cr && end_before != END_CR;
	return is_blank && !s->blank_cr ? TURN_EVENT_END : TURN_GO_ON;
}

static enum sse_fact give_up(struct sse *s, struct sse_event *ret)
{
	s->is_overflow = true;
	return tell_overflow((struct str){ buf_ptr(&s->raw), buf_len(&s->raw) }, ret);
}

enum sse_fact sse_next(struct sse *s, struct str *in, struct sse_event *ret)
{
	struct str piece;
	enum turn turn;

	if (s->was_told)
		forget_event(s);
	if (s->is_overflow)
		buf_clear(&s->raw);
	while (in->n && !s->is_no_memory) {
		piece = (struct str){ 0 };
		turn = s->after_cr ? take_after_cr(s, in, &piece) : take_line(s, in, &piece);
		if (turn == TURN_NO_ROOM)
			return give_up(s, ret);
		s->is_no_memory = turn == TURN_NO_MEMORY;
		s->was_told = turn == TURN_EVENT_END;
		if (s->is_overflow && piece.n)
			return tell_overflow(piece, ret);
		if (turn == TURN_EVENT_END && !s->is_overflow)
			return tell_event(s, ret);
		/* The end of a given-up event that took no byte: all of it has been told. */
		if (s->was_told)
			forget_event(s);
	}
	return s->is_no_memory ? SSE_NO_MEMORY : SSE_MORE;
}

enum sse_fact sse_end(struct sse *s, struct sse_event *ret)
{
	bool is_blank;

	if (s->was_told)
		forget_event(s);
	if (s->is_no_memory)
		return SSE_NO_MEMORY;
	if (s->is_overflow || buf_len(&s->raw) == 0)
		return SSE_MORE;
	if (!finish_line(s, &is_blank))
		return SSE_NO_MEMORY;
	return tell_event(s, ret);
}
