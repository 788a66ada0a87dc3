// SPDX-License-Identifier: Apache-2.0
/*
 * h2_head.c: collects the fields of one HTTP/2 request and decides whether they make a head that may be written anew
 * as HTTP/1.1. A field that this lets through and that one would have refused is a smuggled request.
 */
#include "wire/h2_head.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define FIELD_OVERHEAD 32 /* how a header list is measured: RFC 9113 6.5.2 */

struct h2_head {
	struct http_head head;
	bool bad, scheme_seen;
	struct str host;  /* the host field; .p NULL = none */
	size_t list_size; /* as the peer was told to count it */
	size_t text_len;
	char text[HTTP_HEAD_MAX];
};

struct h2_head *h2_head_new(void)
{
	struct h2_head *h = malloc(sizeof(*h));

	/* The text is not touched: most heads need 2 KiB of it. */
	if (h)
		memset(h, 0, offsetof(struct h2_head, text));
	return h;
}

void h2_head_free(struct h2_head *h)
{
	free(h);
}

static struct str keep(struct h2_head *h, struct str s)
{
	char *to = h->text + h->text_len;

	if (s.n)
		memcpy(to, s.p, s.n);
	h->text_len += s.n;
	return (struct str){ .p = to, .n = s.n };
}

static void take_pseudo(struct h2_head *h, struct str name, struct str value)
{
	if (str_eq(name, STR(":method")))
		h->head.method = value;
	else if (str_eq(name, STR(":path")))
		h->head.target = value;
	else if (str_eq(name, STR(":authority")))
		h->head.authority = value;
	else if (str_eq(name, STR(":scheme")) && str_eq_nocase(value, STR("https")))
		h->scheme_seen = true;
	else
		h->bad = true;
}

static bool is_lower(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] >= 'A' && name.p[i] <= 'Z')
			return false;
	return true;
}

/* A field that says something to us and is not passed on; false = an ordinary one. */
static bool take_own(struct h2_head *h, struct str name, struct str value)
{
	if (str_eq(name, STR("host"))) {
		h->bad |= h->host.p != NULL;
		h->host = value;
	} else if (str_eq(name, STR("te"))) {
		/* The only coding that HTTP/2 leaves to ask for (RFC 9113 8.2.2). We drop trailers. */
		h->bad |= !str_eq_nocase(value, STR("trailers"));
	} else if (str_eq(name, STR("expect"))) {
		h->head.expect_continue = str_eq_nocase(value, STR("100-continue"));
		h->bad |= !h->head.expect_continue;
	} else if (http_is_hop(name)) {
		h->bad |= !str_eq(name, STR("trailer"));
	} else {
		return false;
	}
	return true;
}

void h2_head_field(struct h2_head *h, struct str name, struct str value)
{
	h->list_size += name.n + value.n + FIELD_OVERHEAD;
	if (h->list_size > HTTP_HEAD_MAX)
		h->bad = true;
	if (h->bad)
		return;
	name = keep(h, name);
	value = keep(h, value);
	if (!http_is_value(value))
		h->bad = true;
	else if (name.n && name.p[0] == ':')
		take_pseudo(h, name, value);
	else if (!http_is_token(name) || !is_lower(name))
		h->bad = true;
	else if (!take_own(h, name, value) && http_add(&h->head, name, value))
		h->bad = true;
}

/* :authority and host must agree: which of them the provider believes is not ours to guess (RFC 9113 8.3.1). */
static bool settle_authority(struct h2_head *h)
{
	struct http_head *head = &h->head;

	if (h->host.p && head->authority.p && !str_eq_nocase(h->host, head->authority))
		return false;
	if (!head->authority.p)
		head->authority = h->host;
	return http_is_authority(head->authority);
}

static bool settle_length(struct http_head *head, bool fin)
{
	const struct http_field *f = http_find(head, STR("content-length"));

	head->length = fin ? HTTP_LENGTH_NONE : HTTP_LENGTH_CHUNKED;
	if (!f)
		return true;
	if (http_count(head, STR("content-length")) != 1 || http_read_length(f->value, &head->content_length) ||
	    (fin && head->content_length))
		return false;
	head->length = HTTP_LENGTH_FIXED;
	return true;
}

static bool is_target_of(struct str target, struct str method)
{
	if (!http_is_target(target))
		return false;
	return target.p[0] == '/' || str_eq(method, STR("OPTIONS"));
}

struct http_head *h2_head_finish(struct h2_head *h, bool fin)
{
	struct http_head *head = &h->head;

	if (h->bad || !h->scheme_seen || !http_is_token(head->method) || str_eq(head->method, STR("CONNECT")) ||
	    !is_target_of(head->target, head->method) || !settle_authority(h) || !settle_length(head, fin))
		return NULL;
	head->keep_alive = true;
	return head;
}
