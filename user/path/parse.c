// SPDX-License-Identifier: Apache-2.0
/*
 * parse.c: what is asked for, and of whom. route: from the head alone, so that a hopeless request is refused before its
 * body comes. parse: from the body. What cannot be read with certainty is refused: the provider might read it otherwise.
 */
#include <errno.h>
#include <string.h>

#include "base/crash.h"
#include "base/str.h"
#include "path/exchange.h"
#include "path/room.h"
#include "path/worker.h"

/* Every request is checked, not just the connection: one TLS name, one host. */
static bool is_for_sni(const struct exchange *x)
{
	char host[256];
	int port = -1;

	return !str_host(x->request->authority, host, sizeof host, &port) && !strcmp(host, x->sni) &&
	       (port == -1 || port == x->who.flow.dport);
}

/* Free paths must be in their plain form: one that only decodes to a free path may be another one to the provider. */
static bool is_plain_path(const struct exchange *x)
{
	struct str rest = x->request->target;
	struct str path = str_cut(&rest, '?');
	size_t prefix = strlen(x->provider->prefix);

	return path.n == prefix + strlen(x->path) && !memcmp(path.p, x->provider->prefix, prefix) &&
	       !memcmp(path.p + prefix, x->path, strlen(x->path));
}

enum stepped route_run(struct exchange *x)
{
	const struct http_head *r = x->request;

	if (identity_refresh(x->worker, &x->who))
		return refuse_because(x, REFUSAL_BAD_REQUEST, "%s was removed while its connection was open", x->who.subject);
	if (!is_for_sni(x))
		return refuse_because(x, REFUSAL_NAME_MISMATCH, "Host is %.*s, the TLS name is %s",
				      (int)(r->authority.n < 100 ? r->authority.n : 100), r->authority.p, x->sni);
	if (provider_path(r->target, x->provider->prefix, x->path, EXCHANGE_PATH_MAX))
		return refuse_because(x, REFUSAL_UNKNOWN_ENDPOINT, "%.*s %.*s", STR_FMT(r->method),
				      (int)(r->target.n < 120 ? r->target.n : 120), r->target.p);
	x->endpoint = x->provider->ops->classify(r->method, str_of(x->path));
	if (x->endpoint == ENDPOINT_UNKNOWN || (x->endpoint == ENDPOINT_FREE && !is_plain_path(x)))
		return refuse_because(x, REFUSAL_UNKNOWN_ENDPOINT, "%.*s %s%.120s", STR_FMT(r->method),
				      x->provider->prefix, x->path);
	if (r->length == HTTP_LENGTH_FIXED && (uint64_t)r->content_length > x->worker->options->body_max)
		return refuse_because(x, REFUSAL_BODY_TOO_LARGE, "%lld bytes, at most %zu (body_max)",
				      (long long)r->content_length, x->worker->options->body_max);
	if (x->endpoint != ENDPOINT_FREE && http_find(r, STR("content-encoding")))
		return refuse_because(x, REFUSAL_BAD_REQUEST, "a request body with Content-Encoding cannot be priced; send it plain");
	return (enum stepped)room_take(x);
}

/* A form's boundary stands in its header. Two of those could name two boundaries. */
static int read_form(struct exchange *x, struct err *e)
{
	const struct http_field *type = http_find(x->request, STR("content-type"));

	if (!type || http_count(x->request, STR("content-type")) > 1 || !x->provider->ops->read_form)
		return err_set(e, EINVAL, "one Content-Type of multipart/form-data is expected here");
	return x->provider->ops->read_form(x->endpoint, type->value, buf_ptr(&x->body), buf_len(&x->body), &x->ask, e);
}

static int read_body(struct exchange *x, struct err *e)
{
	if (endpoint_is_form(x->endpoint))
		return read_form(x, e);
	return x->provider->ops->read_request(x->worker->json, x->endpoint, buf_ptr(&x->body), buf_len(&x->body), &x->ask, e);
}

enum stepped parse_run(struct exchange *x)
{
	struct err e = { 0 };

	CRASH_POINT("parsed");
	if (x->endpoint == ENDPOINT_FREE)
		return STEP_NEXT;
	if (!buf_len(&x->body))
		return refuse_because(x, REFUSAL_BAD_REQUEST, "the body is empty");
	if (read_body(x, &e))
		return refuse_because(x, REFUSAL_BAD_REQUEST, "%.200s", e.text);
	return STEP_NEXT;
}
