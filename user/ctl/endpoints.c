// SPDX-License-Identifier: Apache-2.0
/* endpoints.c: see endpoints.h. DNS is asked through base/loop.h, proofs come from proof.h; the table itself is kern/gate.h's. */
#include "ctl/endpoints.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "ctl/config.h"
#include "ctl/proof.h"
#include "kern/gate.h"

#define INBOX_MAX 64
#define SWEEP_MS 60000
#define LISTED_EVERY_NS INT64_C(100000000) /* sightings of listed addresses only say "still in use": a sample does */
#define NEAR_V4 (96 + 24)
#define NEAR_V6 48

struct address {
	uint8_t addr[16]; /* v4 as v4-mapped */
	unsigned known_by;
	bool is_near; /* of one known by sni */
	int64_t since_s, seen_s;
};

struct host {
	struct endpoints *ep;
	const char *name;
	uint16_t provider; /* index */
	bool fixed, wildcard, told_full;
	struct address *addrs;
	size_t n, cap;
	char error[96];
	int64_t answered_s, asks_s;
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
	struct prover *prover; /* NULL = nothing is learned from SNI */
	struct loop_timer *sweep;

	/* The one door for other threads. */
	pthread_mutex_t lock;
	struct loop_wake *wake;
	struct proof inbox[INBOX_MAX];
	unsigned ninbox;
	uint64_t sighted, dropped;
	_Atomic int64_t listed_ns; /* when the last sighting of a listed address was taken */
};

static int64_t now_boot_s(void) { return clock_boot_ns() / 1000000000; }

static struct address *find(const struct host *h, const uint8_t addr[16])
{
	for (size_t i = 0; i < h->n; i++)
		if (memcmp(h->addrs[i].addr, addr, 16) == 0)
			return &h->addrs[i];
	return NULL;
}

static bool is_learned(const struct address *a) { return a->known_by == ENDPOINT_BY_SNI; }

static const struct config_provider *provider_of(const struct host *h) { return &h->ep->config->providers.v[h->provider]; }

static enum gate_class provider_class(const struct config_provider *p)
{
	return p->class == CONFIG_DEDICATED ? GATE_CLASS_DEDICATED : GATE_CLASS_SHARED;
}

/* ---- the gate */

/* What the gate should say of an address: the strictest of all that have it. NULL = nobody has. */
static const struct host *owner_of(const struct endpoints *ep, const uint8_t addr[16], enum gate_class *ret)
{
	const struct host *owner = NULL;

	for (size_t i = 0; i < ep->nhosts; i++) {
		const struct host *h = &ep->hosts[i];
		const struct address *a = find(h, addr);
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
	const struct host *owner = owner_of(ep, addr, &class);

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

static size_t count_learned(const struct host *h)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++)
		n += is_learned(&h->addrs[i]);
	return n;
}

static size_t count_all_learned(const struct endpoints *ep)
{
	size_t n = 0;

	for (size_t i = 0; i < ep->nhosts; i++)
		n += count_learned(&ep->hosts[i]);
	return n;
}

static void drop_oldest_of_all(struct endpoints *ep)
{
	struct host *of = NULL;
	struct address *oldest = NULL;

	for (size_t i = 0; i < ep->nhosts; i++) {
		struct address *a = oldest_learned(&ep->hosts[i]);

		if (a && (!oldest || a->seen_s < oldest->seen_s)) {
			oldest = a;
			of = &ep->hosts[i];
		}
	}
	if (oldest)
		drop_at(of, oldest, "makes room for newer ones that agents brought up");
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

static void take(struct host *h, const uint8_t addr[16], unsigned known_by, bool is_near, int64_t now_s)
{
	struct address *a = find(h, addr);
	char text[ADDR_TEXT_MAX];

	if (a) {
		bool grows = is_learned(a) && known_by != ENDPOINT_BY_SNI;

		a->seen_s = now_s;
		a->known_by |= known_by;
		if (grows)
			sync_gate(h->ep, addr);
		return;
	}
	if (!make_room(h))
		return;
	a = &h->addrs[h->n++];
	*a = (struct address){ .known_by = known_by, .is_near = is_near, .since_s = now_s, .seen_s = now_s };
	memcpy(a->addr, addr, 16);
	sync_gate(h->ep, addr);
	log_debug("gate", "%s: address %s", h->name, addr_show(addr, text, sizeof(text)));
}

static bool is_old(const struct address *a, int64_t now_s)
{
	return !(a->known_by & ENDPOINT_BY_CONFIG) && now_s - a->seen_s >= ENDPOINTS_FORGET_S;
}

static void forget_old(struct host *h, bool learned_only, int64_t now_s)
{
	for (size_t i = h->n; i-- > 0;)
		if (is_old(&h->addrs[i], now_s) && (!learned_only || is_learned(&h->addrs[i])))
			drop_at(h, &h->addrs[i], "neither named by DNS nor proven for an hour");
}

void endpoints_sweep(struct endpoints *ep, int64_t now_s)
{
	for (size_t i = 0; i < ep->nhosts; i++)
		forget_old(&ep->hosts[i], true, now_s);
}

/* ---- what DNS says */

static void learn(struct host *h, const struct sockaddr_storage *addrs, unsigned n, const char *why, int64_t now_s)
{
	bool was_bad = h->error[0] != '\0', confirmed = false;

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
	h->answered_s = now_s;
	for (unsigned i = 0; i < n; i++) {
		uint8_t addr[16];

		if (!addr_from_sockaddr(&addrs[i], addr, NULL))
			continue;
		take(h, addr, ENDPOINT_BY_DNS, true, now_s);
		confirmed |= find(h, addr) != NULL;
	}
	/* Something was confirmed just now (a full table may have taken nothing): what is old may go. */
	if (confirmed)
		forget_old(h, false, now_s);
}

static void ask_after(struct host *h, int64_t s)
{
	int64_t ms = s * 1000;

	h->asks_s = now_boot_s() + s;
	if (h->timer)
		loop_timer_set(h->timer, ms + rand_r(&h->ep->seed) % (ms / 10));
}

static int64_t clamp_ttl(unsigned ttl_s)
{
	if (ttl_s < ENDPOINTS_TTL_LEAST_S)
		return ENDPOINTS_TTL_LEAST_S;
	return ttl_s > ENDPOINTS_TTL_MOST_S ? ENDPOINTS_TTL_MOST_S : ttl_s;
}

void endpoints_learn(struct endpoints *ep, const char *host, const struct sockaddr_storage *addrs, unsigned n, unsigned ttl_s,
		     const char *why, int64_t now_s)
{
	for (size_t i = 0; i < ep->nhosts; i++) {
		struct host *h = &ep->hosts[i];

		if (h->fixed || h->wildcard || strcmp(h->name, host) != 0)
			continue;
		learn(h, addrs, n, why, now_s);
		ask_after(h, n ? clamp_ttl(ttl_s) : ENDPOINTS_RETRY_S);
	}
}

static void answered(void *ctx, const struct sockaddr_storage *addrs, unsigned n, unsigned ttl_s, const char *error)
{
	struct host *h = ctx;

	h->asking = NULL;
	learn(h, addrs, n, error, now_boot_s());
	ask_after(h, n ? clamp_ttl(ttl_s) : ENDPOINTS_RETRY_S);
}

static void ask(void *ctx)
{
	struct host *h = ctx;
	int r = loop_resolve(h->ep->loop, h->name, (uint16_t)provider_of(h)->port, answered, h, &h->asking);

	if (r < 0) {
		h->asking = NULL;
		learn(h, NULL, 0, strerror(-r), 0);
		ask_after(h, ENDPOINTS_RETRY_S);
	}
}

/* ---- what agents show */

static struct host *host_of(struct endpoints *ep, uint16_t provider, const char *name)
{
	struct host *below = NULL;
	size_t n = strlen(name);

	for (size_t i = 0; i < ep->nhosts; i++) {
		struct host *h = &ep->hosts[i];
		size_t m = strlen(h->name);

		if (h->provider != provider)
			continue;
		if (strcmp(h->name, name) == 0)
			return h;
		if (h->wildcard && n > m && strcmp(name + n - m, h->name) == 0)
			below = h;
	}
	return below;
}

/* Near what the operator or DNS names, of any host of the same provider. */
static bool is_near(const struct endpoints *ep, uint16_t provider, const uint8_t addr[16])
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

void endpoints_proven(struct endpoints *ep, uint16_t provider, const char *name, const uint8_t addr[16], bool is_own, int64_t now_s)
{
	struct host *h = provider < ep->config->providers.n ? host_of(ep, provider, name) : NULL;
	char text[ADDR_TEXT_MAX];

	if (!h)
		return;
	bool near = is_near(ep, provider, addr);
	if (find(h, addr)) {
		take(h, addr, ENDPOINT_BY_SNI, near, now_s);
		return;
	}
	/* A relay of an agent's own would be as good a proof: this machine's other services are not to be closed by it. */
	if (is_own && !near) {
		log_warn("gate", "%s: address %s is this machine's own and serves that name: a relay? Not listed", name,
			 addr_show(addr, text, sizeof(text)));
		return;
	}
	if (count_learned(h) >= ENDPOINTS_LEARNED_PER_HOST)
		drop_at(h, oldest_learned(h), "makes room for newer ones that agents brought up");
	else if (count_all_learned(ep) >= ENDPOINTS_LEARNED_MAX)
		drop_oldest_of_all(ep);
	/* All others that stay are better founded: no room is none. */
	if (h->n == ENDPOINTS_PER_HOST)
		return;
	take(h, addr, ENDPOINT_BY_SNI, near, now_s);
	log_info("gate", "%s: address %s is used by agents and proved to serve that name: listed", name, addr_show(addr, text, sizeof(text)));
}

static void proof_done(void *ctx, const struct proof *p, const char *why, bool is_own)
{
	char text[ADDR_TEXT_MAX];

	if (!why)
		return endpoints_proven(ctx, (uint16_t)p->tag, p->name, p->addr, is_own, now_boot_s());
	log_info("gate", "%s: address %s port %u was used by an agent but does not prove to serve that name (%s): not listed", p->name,
		 addr_show(p->addr, text, sizeof(text)), p->port, why);
}

/* Loopback, link-local, multicast, nothing: never a provider, and never to be dialled because an agent says so. */
static bool is_special(const uint8_t addr[16])
{
	static const uint8_t zero[16];

	if (addr_is_v4(addr))
		return addr[12] == 0 || addr[12] == 127 || addr[12] >= 224 || (addr[12] == 169 && addr[13] == 254);
	return addr[0] == 0xff || (addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80) ||
	       (memcmp(addr, zero, 15) == 0 && addr[15] <= 1);
}

static bool is_probed_port(const struct endpoints *ep, uint16_t provider, uint16_t port)
{
	for (size_t i = 0; i < ep->config->capture_ports.n; i++)
		if (ep->config->capture_ports.v[i] == port)
			return true;
	return ep->config->providers.v[provider].port == port;
}

static void consider(struct endpoints *ep, const struct proof *p)
{
	uint16_t provider = (uint16_t)p->tag;
	struct host *h = host_of(ep, provider, p->name);
	const struct address *a = h ? find(h, p->addr) : NULL;

	if (!h || is_special(p->addr) || !is_probed_port(ep, provider, p->port))
		return;
	if (a && (a->known_by & ENDPOINT_BY_CONFIG || now_boot_s() - a->seen_s < ENDPOINTS_PROVE_AGAIN_S))
		return;
	(void)prover_ask(ep->prover, p);
}

static void read_inbox(void *ctx)
{
	struct endpoints *ep = ctx;
	struct proof *took;
	unsigned n;

	(void)pthread_mutex_lock(&ep->lock);
	n = ep->ninbox;
	took = n ? malloc(n * sizeof(*took)) : NULL;
	if (took)
		memcpy(took, ep->inbox, n * sizeof(*took));
	ep->ninbox = 0;
	(void)pthread_mutex_unlock(&ep->lock);
	for (unsigned i = 0; took && i < n; i++)
		consider(ep, &took[i]);
	free(took);
}

static bool is_in_inbox(const struct endpoints *ep, const struct proof *p)
{
	for (unsigned i = 0; i < ep->ninbox; i++)
		if (memcmp(ep->inbox[i].addr, p->addr, 16) == 0 && strcmp(ep->inbox[i].name, p->name) == 0)
			return true;
	return false;
}

void endpoints_sighted(struct endpoints *ep, uint16_t provider, const char *name, const uint8_t addr[16], uint16_t port, bool listed)
{
	struct proof p = { .port = port, .tag = provider };
	bool wakes = false;

	if (!ep->prover || provider >= ep->config->providers.n || strlen(name) >= sizeof(p.name))
		return;
	if (listed) {
		int64_t now = clock_boot_ns();

		if (now - ep->listed_ns < LISTED_EVERY_NS)
			return;
		ep->listed_ns = now;
	}
	memcpy(p.name, name, strlen(name) + 1);
	memcpy(p.addr, addr, 16);
	(void)pthread_mutex_lock(&ep->lock);
	ep->sighted++;
	if (ep->ninbox == INBOX_MAX) {
		ep->dropped++;
	} else if (!is_in_inbox(ep, &p)) {
		ep->inbox[ep->ninbox++] = p;
		wakes = true;
	}
	(void)pthread_mutex_unlock(&ep->lock);
	if (wakes)
		loop_wake_send(ep->wake);
}

int endpoints_prove_with(struct endpoints *ep, struct tls_ctx *client, struct err *e)
{
	int r = loop_wake_new(ep->loop, read_inbox, ep, &ep->wake);

	if (r == 0)
		r = prover_new(ep->loop, client, proof_done, ep, &ep->prover);
	return r < 0 ? err_set(e, -r, "endpoints: cannot prove addresses: %s", strerror(-r)) : 0;
}

/* ---- made and freed */

static void sweep_due(void *ctx)
{
	struct endpoints *ep = ctx;

	endpoints_sweep(ep, now_boot_s());
	loop_timer_set(ep->sweep, SWEEP_MS);
}

static int start_host(struct host *h, struct err *e)
{
	const struct config_provider *p = provider_of(h);

	for (size_t i = 0; i < p->addresses.n; i++)
		if (p->nets[i].prefixlen == 128)
			take(h, p->nets[i].addr, ENDPOINT_BY_CONFIG, true, h->ep->loop ? now_boot_s() : 0);
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

static void put_ranges(struct endpoints *ep)
{
	for (size_t i = 0; i < ep->config->providers.n; i++) {
		const struct config_provider *p = &ep->config->providers.v[i];

		for (size_t j = 0; j < p->addresses.n; j++)
			if (p->nets[j].prefixlen < 128)
				put(ep, &p->nets[j], provider_class(p), (uint16_t)i);
	}
}

static int start(struct endpoints *ep, struct err *e)
{
	int r = 0;

	put_ranges(ep);
	for (size_t i = 0; r == 0 && i < ep->nhosts; i++)
		r = start_host(&ep->hosts[i], e);
	if (r < 0 || !ep->loop)
		return r;
	r = loop_timer_new(ep->loop, sweep_due, ep, &ep->sweep);
	if (r < 0)
		return err_set(e, -r, "endpoints: no timer: %s", strerror(-r));
	loop_timer_set(ep->sweep, SWEEP_MS);
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
		free(ep);
		return err_set(e, ENOMEM, "endpoints: out of memory");
	}
	ep->config = c;
	ep->gate = gate;
	ep->loop = loop;
	ep->seed = (unsigned)clock_boot_ns();
	(void)pthread_mutex_init(&ep->lock, NULL);
	for (size_t i = 0; i < c->providers.n; i++) {
		const struct config_provider *p = &c->providers.v[i];

		for (size_t j = 0; j < p->hosts.n; j++)
			ep->hosts[ep->nhosts++] = (struct host){
				.ep = ep, .name = p->hosts.v[j], .provider = (uint16_t)i, .answered_s = -1, .asks_s = -1,
				.fixed = p->naddrs > 0, .wildcard = p->hosts.v[j][0] == '.',
			};
	}
	int r = start(ep, e);
	if (r < 0) {
		endpoints_free(ep);
		return r;
	}
	*ret = ep;
	return 0;
}

void endpoints_free(struct endpoints *ep)
{
	if (!ep)
		return;
	prover_free(ep->prover);
	if (ep->wake)
		loop_wake_free(ep->wake);
	if (ep->sweep)
		loop_timer_free(ep->sweep);
	for (size_t i = 0; i < ep->nhosts; i++) {
		struct host *h = &ep->hosts[i];

		if (h->asking)
			loop_resolve_cancel(h->asking);
		if (h->timer)
			loop_timer_free(h->timer);
		free(h->addrs);
	}
	(void)pthread_mutex_destroy(&ep->lock);
	free(ep->hosts);
	free(ep);
}

/* ---- looking */

void endpoints_each(const struct endpoints *ep, bool (*fn)(void *ctx, size_t i, const struct endpoint_view *v), void *ctx)
{
	for (size_t i = 0; i < ep->nhosts; i++) {
		const struct host *h = &ep->hosts[i];
		struct endpoint_view v = {
			.provider = provider_of(h)->name, .host = h->name, .fixed = h->fixed, .wildcard = h->wildcard,
			.naddrs = h->n, .error = h->error, .answered_s = h->answered_s, .asks_s = h->asks_s,
		};

		if (!fn(ctx, i, &v))
			return;
	}
}

void endpoints_address_at(const struct endpoints *ep, size_t i, size_t j, struct endpoint_address *ret)
{
	const struct address *a = &ep->hosts[i].addrs[j];

	*ret = (struct endpoint_address){
		.known_by = a->known_by, .since_s = a->since_s, .seen_s = a->seen_s,
		.leaves_s = a->known_by & ENDPOINT_BY_CONFIG ? -1 : a->seen_s + ENDPOINTS_FORGET_S,
	};
	memcpy(ret->addr, a->addr, 16);
	(void)owner_of(ep, a->addr, &ret->class);
}

const char *endpoints_address(const struct endpoints *ep, size_t i, size_t j, char *ret, size_t size)
{
	return addr_show(ep->hosts[i].addrs[j].addr, ret, size);
}

void endpoints_count(const struct endpoints *ep, struct endpoints_counts *ret)
{
	struct proof_counts p = { 0 };

	if (ep->prover)
		prover_count(ep->prover, &p);
	*ret = (struct endpoints_counts){
		.learned = count_all_learned(ep), .sighted = ep->sighted, .proofs = p.begun, .proven = p.proven, .failed = p.failed,
		.dropped = ep->dropped + p.dropped,
	};
}
