// SPDX-License-Identifier: Apache-2.0
/* endpoints.c: see endpoints.h. DNS is asked through base/loop.h; the table is kern/gate.h's. */
#include "ctl/endpoints.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "ctl/config.h"
#include "kern/gate.h"

struct address {
	uint8_t addr[16]; /* v4 as v4-mapped */
	int64_t seen_s;
};

struct host {
	struct endpoints *ep;
	const char *name;
	uint16_t provider; /* index */
	bool fixed, wildcard, told_full;
	struct address *addrs;
	size_t n, cap;
	char error[96];
	struct loop_timer *timer;
	struct loop_resolve *asking;
};

struct endpoints {
	const struct config *config;
	struct gate *gate;
	struct loop *loop;
	struct host *hosts;
	size_t nhosts;
	unsigned seed;
};

static struct address *find(const struct host *h, const uint8_t addr[16])
{
	for (size_t i = 0; i < h->n; i++)
		if (memcmp(h->addrs[i].addr, addr, 16) == 0)
			return &h->addrs[i];
	return NULL;
}

/* Somebody else's addresses too: two hosts behind one front. */
static const struct host *other_with(const struct host *not, const uint8_t addr[16])
{
	for (size_t i = 0; i < not->ep->nhosts; i++) {
		const struct host *h = &not->ep->hosts[i];

		if (h != not && find(h, addr))
			return h;
	}
	return NULL;
}

static enum gate_class class_of(const struct host *h)
{
	return h->ep->config->providers.v[h->provider].class == CONFIG_DEDICATED ? GATE_CLASS_DEDICATED
										 : GATE_CLASS_SHARED;
}

static void put(struct host *h, const uint8_t addr[16])
{
	const struct host *other = other_with(h, addr);
	enum gate_class class = class_of(h);
	char text[64];

	/* The stricter of the two, whoever came first. */
	if (other && class_of(other) == GATE_CLASS_DEDICATED)
		class = GATE_CLASS_DEDICATED;
	int r = gate_put_endpoint(h->ep->gate, addr, 128, class, h->provider);
	if (r < 0)
		log_error("gate", "%s: address %s cannot be put into the endpoints table: %s", h->name,
			  addr_show(addr, text, sizeof(text)), strerror(-r));
	else
		log_debug("gate", "%s: address %s", h->name, addr_show(addr, text, sizeof(text)));
}

static void learn_one(struct host *h, const uint8_t addr[16], int64_t now_s)
{
	struct address *known = find(h, addr);

	if (known) {
		known->seen_s = now_s;
		return;
	}
	if (h->n == ENDPOINTS_PER_HOST) {
		if (!h->told_full)
			log_warn("gate", "%s: more than %d addresses; further ones are classed by SNI only", h->name,
				 ENDPOINTS_PER_HOST);
		h->told_full = true;
		return;
	}
	if (h->n == h->cap) {
		size_t cap = h->cap ? h->cap * 2 : 8;
		struct address *more = reallocarray(h->addrs, cap, sizeof(*more));

		if (!more)
			return;
		h->addrs = more;
		h->cap = cap;
	}
	put(h, addr);
	h->addrs[h->n] = (struct address){ .seen_s = now_s };
	memcpy(h->addrs[h->n++].addr, addr, 16);
}

static void forget_old(struct host *h, int64_t now_s)
{
	size_t kept = 0;
	char text[64];

	for (size_t i = 0; i < h->n; i++) {
		struct address a = h->addrs[i];

		if (now_s - a.seen_s < ENDPOINTS_FORGET_S) {
			h->addrs[kept++] = a;
			continue;
		}
		if (!other_with(h, a.addr))
			(void)gate_drop_endpoint(h->ep->gate, a.addr, 128);
		log_info("gate", "%s: address %s not seen for a day, dropped", h->name, addr_show(a.addr, text, sizeof(text)));
	}
	h->n = kept;
}

static void learn(struct host *h, const struct sockaddr_storage *addrs, unsigned n, const char *why, int64_t now_s)
{
	bool was_bad = h->error[0] != '\0';

	if (n == 0) {
		if (!was_bad)
			log_warn("gate", "%s: cannot be resolved (%s); %zu known addresses stay, agents' connections are "
				 "classed by SNI", h->name, why ? why : "no address", h->n);
		(void)snprintf(h->error, sizeof(h->error), "%s", why && why[0] ? why : "no address");
		return;
	}
	if (was_bad)
		log_info("gate", "%s: resolves again", h->name);
	h->error[0] = '\0';
	for (unsigned i = 0; i < n; i++) {
		uint8_t addr[16];

		if (addr_from_sockaddr(&addrs[i], addr, NULL))
			learn_one(h, addr, now_s);
	}
	/* Something was confirmed just now (a full table may have taken nothing): what is old may go. */
	for (size_t i = 0; i < h->n; i++) {
		if (h->addrs[i].seen_s == now_s) {
			forget_old(h, now_s);
			return;
		}
	}
}

void endpoints_learn(struct endpoints *ep, const char *host, const struct sockaddr_storage *addrs, unsigned n,
		     const char *why, int64_t now_s)
{
	for (size_t i = 0; i < ep->nhosts; i++)
		if (!ep->hosts[i].fixed && !ep->hosts[i].wildcard && strcmp(ep->hosts[i].name, host) == 0)
			learn(&ep->hosts[i], addrs, n, why, now_s);
}

/* ---- asking */

static void again(struct host *h)
{
	int64_t fifth = ENDPOINTS_EVERY_MS / 5;

	loop_timer_set(h->timer, ENDPOINTS_EVERY_MS - fifth + rand_r(&h->ep->seed) % (2 * fifth));
}

static void answered(void *ctx, const struct sockaddr_storage *addrs, unsigned n, unsigned ttl_s, const char *error)
{
	struct host *h = ctx;

	h->asking = NULL;
	learn(h, addrs, n, error, clock_boot_ns() / 1000000000);
	again(h);
}

static void ask(void *ctx)
{
	struct host *h = ctx;
	uint16_t port = (uint16_t)h->ep->config->providers.v[h->provider].port;
	int r = loop_resolve(h->ep->loop, h->name, port, answered, h, &h->asking);

	if (r < 0) {
		h->asking = NULL;
		learn(h, NULL, 0, strerror(-r), 0);
		again(h);
	}
}

/* ---- made and freed */

static int start_host(struct host *h, struct err *e)
{
	const struct config_provider *p = &h->ep->config->providers.v[h->provider];

	for (size_t i = 0; h->fixed && i < p->addresses.n; i++) {
		uint8_t addr[16];

		if (addr_from_sockaddr(&p->addrs[i], addr, NULL))
			learn_one(h, addr, 0);
	}
	if (h->wildcard && !h->fixed)
		log_info("gate", "provider %s: names below %s cannot be resolved; connections to them are recognised by "
			 "SNI only, on the captured ports", p->name, h->name + 1);
	if (h->fixed || h->wildcard || !h->ep->loop)
		return 0;
	int r = loop_timer_new(h->ep->loop, ask, h, &h->timer);
	if (r < 0)
		return err_set(e, -r, "endpoints: no timer for %s: %s", h->name, strerror(-r));
	ask(h);
	return 0;
}

int endpoints_new(const struct config *c, struct gate *gate, struct loop *loop, struct endpoints **ret, struct err *e)
{
	struct endpoints *ep = calloc(1, sizeof(*ep));
	size_t n = 0;

	for (size_t i = 0; i < c->providers.n; i++)
		n += c->providers.v[i].hosts.n;
	if (ep)
		ep->hosts = calloc(n ? n : 1, sizeof(*ep->hosts));
	if (!ep || !ep->hosts) {
		endpoints_free(ep);
		return err_set(e, ENOMEM, "endpoints: out of memory");
	}
	ep->config = c;
	ep->gate = gate;
	ep->loop = loop;
	ep->seed = (unsigned)clock_boot_ns();
	for (size_t i = 0; i < c->providers.n; i++) {
		const struct config_provider *p = &c->providers.v[i];

		for (size_t j = 0; j < p->hosts.n; j++)
			ep->hosts[ep->nhosts++] = (struct host){
				.ep = ep, .name = p->hosts.v[j], .provider = (uint16_t)i,
				.fixed = p->addresses.n > 0, .wildcard = p->hosts.v[j][0] == '.',
			};
	}
	for (size_t i = 0; i < ep->nhosts; i++) {
		int r = start_host(&ep->hosts[i], e);

		if (r < 0) {
			endpoints_free(ep);
			return r;
		}
	}
	*ret = ep;
	return 0;
}

void endpoints_free(struct endpoints *ep)
{
	if (!ep)
		return;
	for (size_t i = 0; i < ep->nhosts; i++) {
		struct host *h = &ep->hosts[i];

		if (h->asking)
			loop_resolve_cancel(h->asking);
		if (h->timer)
			loop_timer_free(h->timer);
		free(h->addrs);
	}
	free(ep->hosts);
	free(ep);
}

/* ---- looking */

void endpoints_each(const struct endpoints *ep, bool (*fn)(void *ctx, size_t i, const struct endpoint_view *v), void *ctx)
{
	for (size_t i = 0; i < ep->nhosts; i++) {
		const struct host *h = &ep->hosts[i];
		struct endpoint_view v = {
			.provider = ep->config->providers.v[h->provider].name, .host = h->name, .fixed = h->fixed,
			.wildcard = h->wildcard, .naddrs = h->n, .error = h->error,
		};

		if (!fn(ctx, i, &v))
			return;
	}
}

const char *endpoints_address(const struct endpoints *ep, size_t i, size_t j, char *ret, size_t size)
{
	return addr_show(ep->hosts[i].addrs[j].addr, ret, size);
}
