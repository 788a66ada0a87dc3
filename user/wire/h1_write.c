// SPDX-License-Identifier: Apache-2.0
/*
 * h1_write.c: writes heads and chunks. All is checked again before the first byte is written, whoever made the head
 * (h1.c, h2.c or a step that edited it): what leaves here can be read in one way only. A failed write leaves out
 * as it was.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "wire/h1.h"

/* Longest of what is written around the fields: framing and connection lines, the empty line. */
#define TAIL_MAX 128

struct pen {
	char *at;
};

static void put(struct pen *w, struct str s)
{
	if (s.n)
		memcpy(w->at, s.p, s.n);
	w->at += s.n;
}

static void put_number(struct pen *w, uint64_t n, unsigned base)
{
	char digits[24];
	size_t at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n);
	put(w, (struct str){ digits + at, sizeof(digits) - at });
}

static char *room_for(struct buf *out, size_t n, int *ret_error)
{
	char *at = n <= out->max ? buf_reserve(out, n) : NULL;

	if (!at)
		*ret_error = buf_len(out) + n > out->max ? -EMSGSIZE : -ENOMEM;
	return at;
}

/* Host comes from the authority, lengths and connection options from their own members. */
static bool is_left_out(struct str name, bool is_request)
{
	return (name.n == 14 && str_eq_nocase(name, STR("content-length"))) || http_is_hop(name) ||
	       (is_request && name.n == 4 && str_eq_nocase(name, STR("host")));
}

/* Bytes that the fields take; -EINVAL for one that must not be written. */
static int measure_fields(const struct http_head *h, bool is_request, size_t *ret)
{
	size_t n = 0;

	if (h->nfields > HTTP_FIELDS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < h->nfields; i++) {
		const struct http_field *f = &h->fields[i];

		if (!http_is_token(f->name) || !http_is_value(f->value))
			return -EINVAL;
		if (!is_left_out(f->name, is_request))
			n += f->name.n + f->value.n + 4;
	}
	*ret = n;
	return 0;
}

static void put_fields(struct pen *w, const struct http_head *h, bool is_request)
{
	for (size_t i = 0; i < h->nfields; i++) {
		const struct http_field *f = &h->fields[i];

		if (is_left_out(f->name, is_request))
			continue;
		put(w, f->name);
		put(w, STR(": "));
		put(w, f->value);
		put(w, STR("\r\n"));
	}
}

static void put_length(struct pen *w, int64_t n)
{
	put(w, STR("Content-Length: "));
	put_number(w, (uint64_t)n, 10);
	put(w, STR("\r\n"));
}

static void put_framing(struct pen *w, const struct http_head *h)
{
	if (h->length == HTTP_LENGTH_FIXED)
		put_length(w, h->content_length);
	else if (h->length == HTTP_LENGTH_CHUNKED)
		put(w, STR("Transfer-Encoding: chunked\r\n"));
}

static void put_connection(struct pen *w, const struct http_head *h)
{
	if (!h->keep_alive || h->length == HTTP_LENGTH_CLOSE)
		put(w, STR("Connection: close\r\n"));
	else if (h->http10)
		/* Said to an HTTP/1.0 peer only: for it closing is the default. */
		put(w, STR("Connection: keep-alive\r\n"));
}

int h1_write_request(struct buf *out, const struct http_head *h)
{
	struct pen w;
	size_t fields, n;
	char *at;
	int ret;

	if (!http_is_token(h->method) || !http_is_target(h->target) || !http_is_authority(h->authority))
		return -EINVAL;
	if (h->length == HTTP_LENGTH_CLOSE || (h->length == HTTP_LENGTH_FIXED && h->content_length < 0))
		return -EINVAL;
	ret = measure_fields(h, true, &fields);
	if (ret)
		return ret;
	n = h->method.n + h->target.n + h->authority.n + fields + TAIL_MAX;
	if (n > HTTP_HEAD_MAX)
		return -EMSGSIZE;
	at = room_for(out, n, &ret);
	if (!at)
		return ret;
	w.at = at;
	put(&w, h->method);
	put(&w, STR(" "));
	put(&w, h->target);
	put(&w, STR(" HTTP/1.1\r\nHost: "));
	put(&w, h->authority);
	put(&w, STR("\r\n"));
	put_fields(&w, h, true);
	put_framing(&w, h);
	put_connection(&w, h);
	put(&w, STR("\r\n"));
	buf_grew(out, (size_t)(w.at - at));
	return 0;
}

/* Statuses that never have a body (RFC 9110 6.4.1); 304 may still name a length. */
static bool has_no_framing(int status)
{
	return status < 200 || status == 204;
}

static bool is_response_writable(const struct http_head *h)
{
	if (h->status < 100 || h->status > 999 || !http_is_value(h->reason))
		return false;
	if (h->length == HTTP_LENGTH_FIXED && h->content_length < 0)
		return false;
	if (!has_no_framing(h->status))
		return true;
	return h->length == HTTP_LENGTH_NONE || (h->length == HTTP_LENGTH_FIXED && h->content_length == 0);
}

static void put_response_framing(struct pen *w, const struct http_head *h)
{
	/* Without any length the reader would take all that follows for the body. */
	if (h->length == HTTP_LENGTH_NONE && !has_no_framing(h->status) && h->status != 304)
		put_length(w, 0);
	if (!has_no_framing(h->status))
		put_framing(w, h);
	/* An interim answer says nothing about the connection. */
	if (h->status >= 200)
		put_connection(w, h);
}

int h1_write_response(struct buf *out, const struct http_head *h)
{
	struct pen w;
	size_t fields, n;
	char *at;
	int ret;

	if (!is_response_writable(h))
		return -EINVAL;
	ret = measure_fields(h, false, &fields);
	if (ret)
		return ret;
	n = h->reason.n + fields + TAIL_MAX;
	if (n > HTTP_HEAD_MAX)
		return -EMSGSIZE;
	at = room_for(out, n, &ret);
	if (!at)
		return ret;
	w.at = at;
	put(&w, STR("HTTP/1.1 "));
	put_number(&w, (uint64_t)h->status, 10);
	put(&w, STR(" "));
	put(&w, h->reason);
	put(&w, STR("\r\n"));
	put_fields(&w, h, false);
	put_response_framing(&w, h);
	put(&w, STR("\r\n"));
	buf_grew(out, (size_t)(w.at - at));
	return 0;
}

int h1_write_chunk(struct buf *out, const void *p, size_t n)
{
	struct pen w;
	char *at;
	int ret;

	/* A chunk of no bytes would end the message. */
	if (n == 0)
		return -EINVAL;
	if (n > SIZE_MAX - 32)
		return -EMSGSIZE;
	at = room_for(out, n + 20, &ret);
	if (!at)
		return ret;
	w.at = at;
	put_number(&w, n, 16);
	put(&w, STR("\r\n"));
	put(&w, (struct str){ p, n });
	put(&w, STR("\r\n"));
	buf_grew(out, (size_t)(w.at - at));
	return 0;
}

int h1_write_last_chunk(struct buf *out)
{
	return buf_append(out, "0\r\n\r\n", 5);
}
