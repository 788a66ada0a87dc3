// SPDX-License-Identifier: Apache-2.0
/*
 * h1_tale.h: what HTTP/1 input tells, as text: one line per fact, bodies joined; tables of inputs and the tale that is expected, whole and
 * in every cut.
 */
#ifndef PURSE_TESTS_H1_TALE_H
#define PURSE_TESTS_H1_TALE_H

#include "cuts.h"

#include "base/str.h"
#include "wire/h1.h"

struct teller {
	struct h1 *h1;
	enum h1_side side;
	bool in_body, is_bad, answers_head, eof;
};

/* Who said that the last bad input is bad: our own scan, or llhttp behind it. */
static bool refused_by_llhttp;

static const char *const length_names[] = { "none", "fixed", "chunked", "close" };

static inline void tell_head(struct teller *t, struct buf *tale)
{
	const struct http_head *h = h1_head(t->h1);

	if (t->side == H1_REQUESTS)
		(void)buf_printf(tale, "%.*s %.*s @%.*s", STR_FMT(h->method), STR_FMT(h->target), STR_FMT(h->authority));
	else
		(void)buf_printf(tale, "%d %.*s", h->status, STR_FMT(h->reason));
	(void)buf_printf(tale, " %s", length_names[h->length]);
	if (h->length == HTTP_LENGTH_FIXED)
		(void)buf_printf(tale, "=%lld", (long long)h->content_length);
	(void)buf_printf(tale, "%s%s%s%s\n", h->keep_alive ? "" : " last", h->http10 ? " 1.0" : "",
			 h->expect_continue ? " expect" : "", h->upgrade ? " upgrade" : "");
	for (size_t i = 0; i < h->nfields; i++)
		(void)buf_printf(tale, " %.*s: %.*s\n", STR_FMT(h->fields[i].name), STR_FMT(h->fields[i].value));
}

static inline void tell_fact(struct teller *t, enum h1_fact fact, struct str body, struct buf *tale)
{
	if (fact != H1_BODY && t->in_body) {
		(void)buf_append(tale, "]\n", 2);
		t->in_body = false;
	}
	if (fact == H1_HEAD)
		tell_head(t, tale);
	if (fact == H1_BODY && !t->in_body)
		(void)buf_append(tale, "[", 1);
	if (fact == H1_BODY) {
		assert_true(body.n > 0);
		(void)buf_append(tale, body.p, body.n);
		t->in_body = true;
	}
	if (fact == H1_END)
		(void)buf_append(tale, "end\n", 4);
	if (fact == H1_BAD && !t->is_bad)
		(void)buf_append(tale, "bad\n", 4);
	t->is_bad |= fact == H1_BAD;
}

static inline void *begin(void *ctx)
{
	struct teller *t = cuts_copy(ctx, sizeof(*t));

	t->h1 = h1_new(t->side);
	assert_non_null(t->h1);
	if (t->answers_head)
		h1_expect_no_body(t->h1);
	return t;
}

static inline void feed(void *parser, struct str in, struct buf *tale)
{
	struct teller *t = parser;
	struct err e = { "" };
	struct str body = { 0 };
	enum h1_fact fact;

	do {
		fact = h1_next(t->h1, &in, &body, &e);
		if (fact != H1_MORE)
			tell_fact(t, fact, body, tale);
	} while (fact != H1_MORE && fact != H1_BAD);
	if (fact == H1_MORE)
		assert_int_equal(in.n, 0);
	if (fact == H1_BAD) {
		assert_true(strlen(e.text) > 10);
		refused_by_llhttp = strstr(e.text, "llhttp") != NULL;
	}
}

static inline void end(void *parser, struct buf *tale)
{
	struct teller *t = parser;
	enum h1_fact fact = t->eof ? h1_eof(t->h1, NULL) : H1_MORE;

	if (t->in_body && fact == H1_MORE)
		(void)buf_append(tale, "]\n", 2);
	if (fact != H1_MORE)
		tell_fact(t, fact, (struct str){ 0 }, tale);
	h1_free(t->h1);
	free(t);
}

static inline void check_tale(struct teller teller, struct str in, const char *expected)
{
	const struct cuts_run run = { .begin = begin, .feed = feed, .end = end, .ctx = &teller };
	struct buf tale;

	cuts_check(&run, in, &tale);
	if (strcmp(buf_ptr(&tale), expected) != 0) {
		fprintf(stderr, "input:\n%.*s\ntold:\n%s\nexpected:\n%s\n", STR_FMT(in), buf_ptr(&tale), expected);
		fail();
	}
	buf_done(&tale);
}

struct row {
	const char *name;
	struct str in;
	const char *expected; /* NULL: "bad\n" */
};
#define S(literal) { literal, sizeof(literal) - 1 }
#define H "Host: a.example\r\n"

static inline void check_rows(const struct row *rows, size_t n, struct teller teller)
{
	for (size_t i = 0; i < n; i++) {
		const char *expected = rows[i].expected ? rows[i].expected : "bad\n";

		print_message("  %s\n", rows[i].name);
		refused_by_llhttp = false;
		check_tale(teller, rows[i].in, expected);
		/* The scan must not lean on what llhttp happens to refuse, too: rows that name it are its own. */
		assert_int_equal(refused_by_llhttp, strstr(rows[i].name, "llhttp") != NULL);
	}
}
#define CHECK_ROWS(rows, ...) check_rows(rows, sizeof(rows) / sizeof((rows)[0]), (struct teller){ __VA_ARGS__ })

/* `in` repeated, as a whole input of its own; the caller frees it. */
static inline struct str repeat(const char *before, const char *unit, size_t n, const char *behind)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	assert_int_equal(buf_append(&b, before, strlen(before)), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(buf_append(&b, unit, strlen(unit)), 0);
	assert_int_equal(buf_append(&b, behind, strlen(behind)), 0);
	return (struct str){ b.mem, b.len };
}

#endif
