// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_control.c: what comes over the control socket behind the HTTP (fuzz_h1): METHOD, blank, path and query, LF, body.
 *
 * Checked besides memory: who may not gets nothing, whatever the path, and an agent changes nothing; a refusal is JSON; values of a query and of a body end in their
 * arrays, amounts are in range, an object that was taken is one.
 */
#include "fuzz.h"

#include "base/str.h"
#include "ctl/body.h"
#include "ctl/route/route.h"
#include "gate_abi.h"

const struct str fuzz_seeds[] = {
	FUZZ_SEED("POST /v1/agents\n{\"text\":\"bot\",\"limit\":\"12.5\",\"usd\":\"1\",\"flag\":true,\"word\":\"b\",\"object\":{\"loop\":null}}"),
	FUZZ_SEED("POST /v1/agents/bot/pause\n{\"text\":\"\\u00e9\",\"limit\":null}"),
	FUZZ_SEED("GET /v1/ledger?text=a%20b&from=2h&kind=bill&text=%00\n"),
	FUZZ_SEED("DELETE /v1/accounts/a.b\n{\"text\":\"a\",\"object\":null,\"usd\":0.000000001}"),
	FUZZ_SEED("GET /v1/status?follow=1\n"),
	FUZZ_SEEDS_END,
};

struct values {
	char text[8], object[64];
	int64_t limit, usd;
	bool flag, word, has_limit;
};
#define AT(m) offsetof(struct values, m)
static const struct body_row rows[] = {
	{ .key = "text", .type = BODY_TEXT, .required = true, .offset = AT(text), .size = 8, .has_offset = SIZE_MAX },
	{ .key = "limit", .type = BODY_LIMIT, .offset = AT(limit), .has_offset = AT(has_limit) },
	{ .key = "usd", .type = BODY_USD, .offset = AT(usd), .has_offset = SIZE_MAX },
	{ .key = "flag", .type = BODY_BOOL, .offset = AT(flag), .has_offset = SIZE_MAX },
	{ .key = "word", .type = BODY_WORD, .offset = AT(word), .has_offset = SIZE_MAX, .words = { "a", "b" } },
	{ .key = "object", .type = BODY_OBJECT, .offset = AT(object), .size = 64, .has_offset = SIZE_MAX },
};

static void note(void *ctx, int id, const struct json_value *v)
{
	*(enum json_kind *)ctx = v->kind;
}

static enum json_kind kind_of(struct str text)
{
	static const struct json_want root = { "", 0 };
	static struct json *json;
	enum json_kind kind;
	char *p = fuzz_padded(text);

	json = json ? json : json_new();
	MUST(json && json_scan(json, p, text.n, &root, 1, note, &kind) == 0);
	free(p);
	return kind;
}

static void check_route(struct str method, struct str path, struct str query, bool is_owner, enum peer_place place)
{
	const struct peer peer = { .place = place, .why = "somebody" };
	struct request r = { .method = method, .path = path, .query = query, .peer = &peer };
	struct buf body;
	struct answer a = { .body = &body };
	const struct route *route;

	buf_init(&body, 1 << 16);
	route = route_find(&r, is_owner, &a);
	if (route) {
		MUST(is_owner || route->who == ROUTE_ANYONE);
		MUST(place == PEER_OUTSIDE || (route->who != ROUTE_OUTSIDE && str_eq(method, STR("GET"))));
		MUST(str_eq(method, str_of(route->method)));
		MUST(r.name.n == 0 || (r.name.p >= path.p && r.name.p + r.name.n <= path.p + path.n));
		MUST(!r.name.n == !strchr(route->path, '*') && !memchr(r.name.n ? r.name.p : "", '/', r.name.n));
	} else {
		MUST(a.status == (is_owner ? a.status : 403) && a.status >= 403 && a.status <= 405);
		MUST(kind_of((struct str){ buf_ptr(&body), buf_len(&body) }) == JSON_OBJECT);
	}
	buf_done(&body);
}

static void check_query(struct str query)
{
	static const char *const keys[] = { "text", "from", "kind", "follow", "" };
	bool bad;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char *mem = malloc(8);

		MUST(mem);
		if (query_find(query, keys[i], mem, 8, &bad) && !bad)
			MUST(memchr(mem, '\0', 8));
		free(mem);
	}
}

static void check_body(struct str body)
{
	struct values v;
	struct err e;
	char *p = fuzz_padded(body);

	memset(&v, 0, sizeof(v));
	e.text[0] = '\0';
	if (body_read(rows, sizeof(rows) / sizeof(rows[0]), (struct str){ p, body.n }, &v, &e) < 0) {
		MUST(e.text[0] && memchr(e.text, '\0', sizeof(e.text)));
	} else {
		MUST(memchr(v.text, '\0', sizeof(v.text)) && memchr(v.object, '\0', sizeof(v.object)));
		MUST(v.usd >= 0 && (v.limit >= 0 || v.limit == GATE_NO_LIMIT));
		MUST(!v.object[0] || kind_of(str_of(v.object)) == JSON_OBJECT);
		MUST(kind_of(body) == JSON_OBJECT);
	}
	free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = fuzz_copy(data, size);
	struct str body = { copy, size };
	struct str query = str_cut(&body, '\n');
	struct str method = str_cut(&query, ' ');
	struct str path = str_cut(&query, '?');

	check_route(method, path, query, true, PEER_OUTSIDE);
	check_route(method, path, query, true, PEER_IN_AGENT);
	check_route(method, path, query, false, PEER_OUTSIDE);
	check_query(query);
	check_body(body);
	free(copy);
	return 0;
}
