// SPDX-License-Identifier: Apache-2.0
/*
 * h1_opinion.c: llhttp, every leniency off, reads a head that we have read, and the two readings are compared: start
 * line, each field, framing, and where the head ends. llhttp sees heads only. It accepts more than we do (reason
 * enough for our own scan), so it refuses little that gets here; that it understands the same is the point.
 */
#include <errno.h>
#include <llhttp.h>

#include "base/str.h"
#include "wire/h1_head.h"

/* What llhttp made of the head; pointers into the collected bytes. */
struct opinion {
	llhttp_t llhttp;
	const struct http_head *ours;
	struct str method, target;
	size_t nfields;
	struct str name, value;
	bool differs, is_complete;
};

static struct opinion *opinion_of(llhttp_t *l)
{
	return (struct opinion *)((char *)l - offsetof(struct opinion, llhttp));
}

/* A span may come in pieces; the head is fed in one, so the pieces are adjacent. */
static void extend(struct opinion *o, struct str *s, const char *at, size_t n)
{
	if (s->p && s->p + s->n != at)
		o->differs = true;
	if (!s->p)
		s->p = at;
	s->n += n;
}

static int on_method(llhttp_t *l, const char *at, size_t n)
{
	extend(opinion_of(l), &opinion_of(l)->method, at, n);
	return 0;
}

static int on_url(llhttp_t *l, const char *at, size_t n)
{
	extend(opinion_of(l), &opinion_of(l)->target, at, n);
	return 0;
}

static int on_name(llhttp_t *l, const char *at, size_t n)
{
	extend(opinion_of(l), &opinion_of(l)->name, at, n);
	return 0;
}

static int on_value(llhttp_t *l, const char *at, size_t n)
{
	extend(opinion_of(l), &opinion_of(l)->value, at, n);
	return 0;
}

static bool is_same(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || a.p == b.p);
}

static int on_value_complete(llhttp_t *l)
{
	struct opinion *o = opinion_of(l);
	const struct http_field *ours;

	if (o->nfields >= o->ours->nfields) {
		o->differs = true;
		return 0;
	}
	ours = &o->ours->fields[o->nfields++];
	if (!is_same(o->name, ours->name) || !is_same(str_trim(o->value), ours->value))
		o->differs = true;
	o->name = o->value = (struct str){ 0 };
	return 0;
}

static int on_headers_complete(llhttp_t *l)
{
	opinion_of(l)->is_complete = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_method = on_method,
	.on_url = on_url,
	.on_header_field = on_name,
	.on_header_value = on_value,
	.on_header_value_complete = on_value_complete,
	.on_headers_complete = on_headers_complete,
};

static bool is_same_start(const struct opinion *o, enum h1_side side, const struct http_head *ours)
{
	if (o->llhttp.http_major != 1 || o->llhttp.http_minor != (ours->http10 ? 0 : 1))
		return false;
	if (side == H1_RESPONSES)
		return o->llhttp.status_code == ours->status;
	return is_same(o->method, ours->method) && is_same(o->target, ours->target);
}

static bool is_same_framing(const struct opinion *o, const struct h1_meaning *ours)
{
	const bool is_chunked = o->llhttp.flags & F_CHUNKED;
	const bool has_length = o->llhttp.flags & F_CONTENT_LENGTH;

	return is_chunked == ours->is_chunked && has_length == ours->has_length &&
	       (!has_length || o->llhttp.content_length == (uint64_t)ours->length);
}

int h1_second_opinion(enum h1_side side, struct str raw, const struct http_head *ours, const struct h1_meaning *means,
		      struct err *e)
{
	struct opinion o = { .ours = ours };
	llhttp_errno_t said;

	/* No leniency is switched on: llhttp_init leaves all flags at 0. */
	llhttp_init(&o.llhttp, side == H1_REQUESTS ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	said = llhttp_execute(&o.llhttp, raw.p, raw.n);
	if (said != HPE_PAUSED || !o.is_complete)
		return err_set(e, EBADMSG, "%s head: llhttp refuses it: %s", h1_side_name(side),
			       o.llhttp.reason ? o.llhttp.reason : llhttp_errno_name(said));
	/* It stops behind the last LF: a head that ends earlier for it is two messages. */
	if (o.differs || llhttp_get_error_pos(&o.llhttp) != raw.p + raw.n || o.nfields != ours->nfields ||
	    !is_same_start(&o, side, ours) || !is_same_framing(&o, means))
		return err_set(e, EBADMSG, "%s head: can be read in two ways (llhttp differs)", h1_side_name(side));
	return 0;
}
