// SPDX-License-Identifier: Apache-2.0
/*
 * endpoints_table.c: the addresses of each host, how long they stay, who makes room for whom, and what the gate is told of it all. Decides
 * nothing about whom to believe: endpoints.c does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ctl/endpoints_own.h"
#include "kern/gate.h"

#define NEAR_V4 (96 + 24)
#define NEAR_V6 48

struct address *host_find(const struct host *h, const uint8_t addr[16])
{
	for (size_t i = 0; i < h->n; i++)
		if (memcmp(h->addrs[i].addr, addr, 16) == 0)
			return &h->addrs[i];
	return NULL;
}

static bool is_learned(const struct address *a) { return a->known_by == ENDPOINT_BY_SNI; }

enum gate_class provider_class(const struct config_provider *p)
{
	return p->class == CONFIG_DEDICATED ? GATE_CLASS_DEDICATED : GATE_CLASS_SHARED;
}

/* ---- the gate */

/* What the gate should say of an address: the strictest of all that have it. NULL = nobody has. */
const struct host *table_owner(const struct endpoints *ep, const uint8_t addr[16], enum gate_class *ret)
{
	const struct host *owner = NULL;

	for (size_t i = 0; i < ep->nhosts; i++) {
		const struct host *h = &ep->hosts[i];
		const struct address *a = host_find(h, addr);
		enum gate_class class = GATE_CLASS_SHARED;

		if (!a)
			continue;
		if (!is_learned(a) || a->is_near)
			class = provider_class(provider_of(h));
		if (!owner || (class == GATE_CLASS_DEDICATED && *ret != GATE_CLASS_DEDICATED)) {
			owner = h;
			*ret = class;
		}
	}
	/* The longest match counts in the gate: an address must not be a hole in a range. */
	for (size_t i = 0; owner && i < ep->config->providers.n; i++) {
		const struct config_provider *p = &ep->config->providers.v[i];

		for (size_t j = 0; j < p->addresses.n; j++)
			if (p->class == CONFIG_DEDICATED && addr_in_net(addr, &p->nets[j]))
				*ret = GATE_CLASS_DEDICATED;
	}
	return owner;
}

/* Prefix i, but for the one that gate_put_endpoint and gate_drop_endpoint see to themselves. */
static bool other_form(const struct endpoints *ep, size_t i, const struct addr_net *net, struct addr_net *ret)
{
	static const struct addr_net well_known = { .addr = { 0, 0x64, 0xff, 0x9b }, .prefixlen = 96 };
	const struct addr_net *prefix = &ep->config->nat64[i];

	return (prefix->prefixlen != 96 || memcmp(prefix->addr, well_known.addr, 16) != 0) && addr_nat64(net, prefix, ret);
}

static void put(struct endpoints *ep, const struct addr_net *net, enum gate_class class, uint16_t provider)
{
	struct addr_net form;
	char text[ADDR_NET_TEXT_MAX];
	int r = gate_put_endpoint(ep->gate, net->addr, net->prefixlen, class, provider);

	for (size_t i = 0; r == 0 && i < ep->config->nat64_prefixes.n; i++)
		if (other_form(ep, i, net, &form))
			r = gate_put_endpoint(ep->gate, form.addr, form.prefixlen, class, provider);
	if (r < 0)
		log_error("gate", "%s: address %s cannot be put into the endpoints table: %s", ep->config->providers.v[provider].name,
			  addr_show_net(net, text, sizeof(text)), strerror(-r));
}

static void sync_gate(struct endpoints *ep, const uint8_t addr[16])
{
	struct addr_net net = { .prefixlen = 128 }, form;
	enum gate_class class;
	const struct host *owner = table_owner(ep, addr, &class);

	memcpy(net.addr, addr, 16);
	if (owner)
		return put(ep, &net, class, owner->provider);
	for (size_t i = 0; i < ep->config->nat64_prefixes.n; i++)
		if (other_form(ep, i, &net, &form))
			(void)gate_drop_endpoint(ep->gate, form.addr, form.prefixlen);
	(void)gate_drop_endpoint(ep->gate, addr, 128);
}

/* ---- addresses of a host */

static void drop_at(struct host *h, struct address *a, const char *why)
{
	uint8_t addr[16];
	char text[ADDR_TEXT_MAX];

	memcpy(addr, a->addr, 16);
	*a = h->addrs[--h->n];
	sync_gate(h->ep, addr);
	log_info("gate", "%s: address %s dropped: %s", h->name, addr_show(addr, text, sizeof(text)), why);
}

/* Oldest by proof. -> NULL: none. */
static struct address *oldest_learned(struct host *h)
{
	struct address *oldest = NULL;

	for (size_t i = 0; i < h->n; i++)
		if (is_learned(&h->addrs[i]) && (!oldest || h->addrs[i].seen_s < oldest->seen_s))
			oldest = &h->addrs[i];
	return oldest;
}

size_t host_learned(const struct host *h)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++)
		n += is_learned(&h->addrs[i]);
	return n;
}

size_t table_learned(const struct endpoints *ep)
{
	size_t n = 0;

	for (size_t i = 0; i < ep->nhosts; i++)
		n += host_learned(&ep->hosts[i]);
	return n;
}

/* ---- room for what agents brought up. only NULL: of all hosts */

static size_t taught_by(const struct endpoints *ep, const struct host *only, const char *agent)
{
	size_t n = 0;

	for (size_t i = 0; i < ep->nhosts; i++) {
		const struct host *h = &ep->hosts[i];

		for (size_t j = 0; (!only || h == only) && j < h->n; j++)
			n += is_learned(&h->addrs[j]) && strcmp(h->addrs[j].taught_by, agent) == 0;
	}
	return n;
}

/* Whose teacher has the most, the one to come counted for `agent`; of those the oldest. */
static void drop_for(struct endpoints *ep, struct host *only, const char *agent, bool only_own)
{
	struct host *of = NULL;
	struct address *worst = NULL;
	size_t most = 0;

	for (size_t i = 0; i < ep->nhosts; i++) {
		struct host *h = &ep->hosts[i];

		for (size_t j = 0; (!only || h == only) && j < h->n; j++) {
			struct address *a = &h->addrs[j];
			bool is_own = strcmp(a->taught_by, agent) == 0;
			size_t n = is_learned(a) && (is_own || !only_own) ? taught_by(ep, only, a->taught_by) + is_own : 0;

			if (n < most || n == 0 || (n == most && worst && a->seen_s >= worst->seen_s))
				continue;
			most = n;
			worst = a;
			of = h;
		}
	}
	if (worst)
		drop_at(of, worst, "makes room for newer ones that agents brought up");
}

void table_make_room_for_learned(struct host *h, const char *agent)
{
	if (taught_by(h->ep, NULL, agent) >= ENDPOINTS_LEARNED_PER_AGENT)
		drop_for(h->ep, NULL, agent, true);
	if (host_learned(h) >= ENDPOINTS_LEARNED_PER_HOST)
		drop_for(h->ep, h, agent, false);
	else if (table_learned(h->ep) >= ENDPOINTS_LEARNED_MAX)
		drop_for(h->ep, NULL, agent, false);
}

static bool make_room(struct host *h)
{
	struct address *old = h->n == ENDPOINTS_PER_HOST ? oldest_learned(h) : NULL;

	if (old)
		drop_at(h, old, "makes room");
	if (h->n == ENDPOINTS_PER_HOST) {
		if (!h->told_full)
			log_warn("gate", "%s: more than %d addresses; further ones are classed by SNI only", h->name,
				 ENDPOINTS_PER_HOST);
		h->told_full = true;
		return false;
	}
	if (h->n == h->cap) {
		size_t cap = h->cap ? h->cap * 2 : 8;
		struct address *more = reallocarray(h->addrs, cap, sizeof(*more));

		if (!more)
			return false;
		h->addrs = more;
		h->cap = cap;
	}
	return true;
}

struct address *host_take(struct host *h, const uint8_t addr[16], unsigned known_by, bool is_near, int64_t now_s)
{
	struct address *a = host_find(h, addr);
	char text[ADDR_TEXT_MAX];

	if (a) {
		bool grows = is_learned(a) && known_by != ENDPOINT_BY_SNI;

		a->seen_s = now_s;
		a->known_by |= known_by;
		if (grows)
			sync_gate(h->ep, addr);
		return a;
	}
	if (!make_room(h))
		return NULL;
	a = &h->addrs[h->n++];
	*a = (struct address){ .known_by = known_by, .is_near = is_near, .since_s = now_s, .seen_s = now_s };
	memcpy(a->addr, addr, 16);
	sync_gate(h->ep, addr);
	log_debug("gate", "%s: address %s", h->name, addr_show(addr, text, sizeof(text)));
	return a;
}

static bool is_old(const struct address *a, int64_t now_s)
{
	return !(a->known_by & ENDPOINT_BY_CONFIG) && now_s - a->seen_s >= ENDPOINTS_FORGET_S;
}

void host_forget_old(struct host *h, bool learned_only, int64_t now_s)
{
	for (size_t i = h->n; i-- > 0;)
		if (is_old(&h->addrs[i], now_s) && (!learned_only || is_learned(&h->addrs[i])))
			drop_at(h, &h->addrs[i], "neither named by DNS nor proven for an hour");
}

/* Near what the operator or DNS names, of any host of the same provider. */
bool table_is_near(const struct endpoints *ep, uint16_t provider, const uint8_t addr[16])
{
	struct addr_net around = { .prefixlen = addr_is_v4(addr) ? NEAR_V4 : NEAR_V6 };
	const struct config_provider *p = &ep->config->providers.v[provider];

	for (size_t i = 0; i < p->addresses.n; i++)
		if (addr_in_net(addr, &p->nets[i]))
			return true;
	for (size_t i = 0; i < ep->nhosts; i++) {
		const struct host *h = &ep->hosts[i];

		for (size_t j = 0; h->provider == provider && j < h->n; j++) {
			memcpy(around.addr, h->addrs[j].addr, 16);
			if (!is_learned(&h->addrs[j]) && addr_in_net(addr, &around))
				return true;
		}
	}
	return false;
}

/* ---- what an earlier daemon left */

static bool is_exempt_or_form(const uint8_t addr[16], const struct gate_endpoint *e)
{
	static const struct addr_net well_known = { .addr = { 0, 0x64, 0xff, 0x9b }, .prefixlen = 96 };

	/* Those forms go with the address itself. */
	return (e->class != GATE_CLASS_DEDICATED && e->class != GATE_CLASS_SHARED) || addr_in_net(addr, &well_known);
}

static bool note_left(void *ctx, const uint8_t addr[16], unsigned prefixlen, const struct gate_endpoint *e)
{
	struct endpoints *ep = ctx;

	if (is_exempt_or_form(addr, e))
		return true;
	if (ep->nleft == ep->left_cap) {
		size_t cap = ep->left_cap ? ep->left_cap * 2 : 64;
		struct addr_net *more = reallocarray(ep->left, cap, sizeof(*more));

		if (!more)
			return false; /* the rest stays until the next start */
		ep->left = more;
		ep->left_cap = cap;
	}
	ep->left[ep->nleft] = (struct addr_net){ .prefixlen = prefixlen };
	memcpy(ep->left[ep->nleft++].addr, addr, 16);
	return true;
}

static bool is_form_of(const struct endpoints *ep, const struct addr_net *of, const struct addr_net *net)
{
	struct addr_net form;

	if (of->prefixlen == net->prefixlen && memcmp(of->addr, net->addr, 16) == 0)
		return true;
	for (size_t i = 0; i < ep->config->nat64_prefixes.n; i++)
		if (addr_nat64(of, &ep->config->nat64[i], &form) && form.prefixlen == net->prefixlen &&
		    memcmp(form.addr, net->addr, 16) == 0)
			return true;
	return false;
}

static bool is_known(const struct endpoints *ep, const struct addr_net *net)
{
	struct addr_net one = { .prefixlen = 128 };

	for (size_t i = 0; i < ep->config->providers.n; i++)
		for (size_t j = 0; j < ep->config->providers.v[i].addresses.n; j++)
			if (is_form_of(ep, &ep->config->providers.v[i].nets[j], net))
				return true;
	for (size_t i = 0; i < ep->nhosts; i++) {
		for (size_t j = 0; j < ep->hosts[i].n; j++) {
			memcpy(one.addr, ep->hosts[i].addrs[j].addr, 16);
			if (is_form_of(ep, &one, net))
				return true;
		}
	}
	return false;
}

/* Never while a host has no good answer: what was left may be all there is of it. */
static bool all_answered(const struct endpoints *ep)
{
	for (size_t i = 0; i < ep->nhosts; i++)
		if (!ep->hosts[i].fixed && !ep->hosts[i].wildcard && ep->hosts[i].answered_s < 0)
			return false;
	return true;
}

void table_drop_left(struct endpoints *ep, int64_t now_s)
{
	size_t n = 0;

	if (!ep->nleft || now_s < ep->left_until_s || !all_answered(ep))
		return;
	for (size_t i = 0; i < ep->nleft; i++) {
		if (is_known(ep, &ep->left[i]))
			continue;
		(void)gate_drop_endpoint(ep->gate, ep->left[i].addr, ep->left[i].prefixlen);
		n++;
	}
	ep->nleft = 0;
	if (n)
		log_info("gate", "%zu addresses that an earlier daemon left were not found again, dropped", n);
}

static void put_ranges(struct endpoints *ep)
{
	for (size_t i = 0; i < ep->config->providers.n; i++) {
		const struct config_provider *p = &ep->config->providers.v[i];

		for (size_t j = 0; j < p->addresses.n; j++)
			if (p->nets[j].prefixlen < 128)
				put(ep, &p->nets[j], provider_class(p), (uint16_t)i);
	}
}

void table_start(struct endpoints *ep, int64_t now_s)
{
	gate_each_endpoint(ep->gate, note_left, ep);
	ep->left_until_s = now_s + ENDPOINTS_FORGET_S;
	put_ranges(ep);
}
