// SPDX-License-Identifier: Apache-2.0
/* route/endpoints.c: GET /v1/endpoints: what the gate takes for LLM addresses, and why. */
#include <string.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/jsonw.h"
#include "ctl/config/config.h"
#include "ctl/endpoints.h"
#include "ctl/route/route.h"

struct writing {
	const struct control *c;
	struct jsonw *w;
	int64_t now_s;
};

static const char *class_text(enum gate_class class) { return class == GATE_CLASS_DEDICATED ? "dedicated" : "shared"; }

static void put_seconds(struct jsonw *w, const char *key, bool known, int64_t s)
{
	if (known)
		jsonw_i64(w, key, s < 0 ? 0 : s);
	else
		jsonw_null(w, key);
}

/* host: so that each row can be read alone. */
static void put_address(const struct writing *wr, const char *host, size_t i, size_t j)
{
	struct endpoint_address a;
	char text[ADDR_TEXT_MAX];

	endpoints_address_at(wr->c->endpoints, i, j, &a);
	jsonw_object(wr->w, NULL);
	jsonw_cstr(wr->w, "host", host);
	jsonw_cstr(wr->w, "address", addr_show(a.addr, text, sizeof(text)));
	jsonw_cstr(wr->w, "class", class_text(a.class));
	jsonw_cstr(wr->w, "known_by", a.known_by & ENDPOINT_BY_CONFIG ? "config" : a.known_by & ENDPOINT_BY_DNS ? "dns" : "sni");
	jsonw_bool(wr->w, "proven", a.known_by & ENDPOINT_BY_SNI);
	jsonw_cstr(wr->w, "taught_by", a.taught_by[0] ? a.taught_by : NULL);
	put_seconds(wr->w, "age_s", true, wr->now_s - a.since_s);
	put_seconds(wr->w, "seen_s", a.leaves_s >= 0, wr->now_s - a.seen_s);
	put_seconds(wr->w, "leaves_s", a.leaves_s >= 0, a.leaves_s - wr->now_s);
	jsonw_close(wr->w);
}

static bool put_host(void *ctx, size_t i, const struct endpoint_view *v)
{
	struct writing *wr = ctx;

	jsonw_object(wr->w, NULL);
	jsonw_cstr(wr->w, "provider", v->provider);
	jsonw_cstr(wr->w, "host", v->host);
	jsonw_bool(wr->w, "wildcard", v->wildcard);
	put_seconds(wr->w, "answered_s", v->answered_s >= 0, wr->now_s - v->answered_s);
	put_seconds(wr->w, "ttl_s", v->asks_s >= 0, v->asks_s - wr->now_s);
	jsonw_cstr(wr->w, "error", v->error[0] ? v->error : NULL);
	jsonw_array(wr->w, "addresses");
	for (size_t j = 0; j < v->naddrs; j++)
		put_address(wr, v->host, i, j);
	jsonw_close(wr->w);
	jsonw_close(wr->w);
	return true;
}

static void put_ranges(const struct writing *wr)
{
	const struct config *c = wr->c->config;
	char text[ADDR_NET_TEXT_MAX];

	for (size_t i = 0; i < c->providers.n; i++) {
		const struct config_provider *p = &c->providers.v[i];

		for (size_t j = 0; j < p->addresses.n; j++) {
			if (p->nets[j].prefixlen == 128)
				continue;
			jsonw_object(wr->w, NULL);
			jsonw_cstr(wr->w, "provider", p->name);
			jsonw_cstr(wr->w, "range", addr_show_net(&p->nets[j], text, sizeof(text)));
			jsonw_cstr(wr->w, "class", p->class == CONFIG_DEDICATED ? "dedicated" : "shared");
			jsonw_close(wr->w);
		}
	}
}

void route_endpoints(const struct control *c, const struct request *r, struct answer *a)
{
	struct jsonw w;
	struct writing wr = { .c = c, .w = &w, .now_s = clock_boot_ns() / 1000000000 };
	struct endpoints_counts n;

	endpoints_count(c->endpoints, &n);
	answer_begin(&w, a);
	jsonw_array(&w, "endpoints");
	endpoints_each(c->endpoints, put_host, &wr);
	jsonw_close(&w);
	jsonw_array(&w, "ranges");
	put_ranges(&wr);
	jsonw_close(&w);
	jsonw_array(&w, "nat64_prefixes");
	for (size_t i = 0; i < c->config->nat64_prefixes.n; i++)
		jsonw_cstr(&w, NULL, c->config->nat64_prefixes.v[i]);
	jsonw_close(&w);
	jsonw_object(&w, "learned");
	jsonw_i64(&w, "addresses", (int64_t)n.learned);
	jsonw_i64(&w, "at_most", ENDPOINTS_LEARNED_MAX);
	jsonw_i64(&w, "of_one_agent", ENDPOINTS_LEARNED_PER_AGENT);
	jsonw_i64(&w, "sighted", (int64_t)n.sighted);
	jsonw_i64(&w, "proofs", (int64_t)n.proofs);
	jsonw_i64(&w, "proven", (int64_t)n.proven);
	jsonw_i64(&w, "failed", (int64_t)n.failed);
	jsonw_i64(&w, "dropped", (int64_t)n.dropped);
	jsonw_close(&w);
	answer_finish(&w, a);
}
