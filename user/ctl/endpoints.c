// SPDX-License-Identifier: Apache-2.0
/* endpoints.c: see endpoints.h. DNS is asked through base/loop.h, proofs come from endpoint_proof.h; endpoints_table.c keeps what they say. */
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
#include "ctl/endpoints_own.h"
#include "ctl/events_door.h"

#define SWEEP_MS 60000
#define LISTED_EVERY_NS INT64_C(100000000) /* sightings of listed addresses only say "still in use": a sample does */

static int64_t now_boot_s(void) { return clock_boot_ns() / 1000000000; }

void endpoints_sweep(struct endpoints *ep, int64_t now_s)
{
	table_drop_left(ep, now_s);
	for (size_t i = 0; i < ep->nhosts; i++)
		host_forget_old(&ep->hosts[i], true, now_s);
}

/* ---- what DNS says */

/* A name server that blocks names says 127.0.0.1 or 0.0.0.0: agents' own local services must not be taken for that. */
static bool has_usable(const struct sockaddr_storage *addrs, unsigned n)
{
	uint8_t addr[16];

	for (unsigned i = 0; i < n; i++)
		if (addr_from_sockaddr(&addrs[i], addr, NULL) && !addr_is_special(addr))
			return true;
	return false;
}

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
	if (!has_usable(addrs, n))
		return learn(h, NULL, 0, "only loopback, link-local or the like: such an address has to stand in the config's `addresses`", now_s);
	if (was_bad)
		log_info("gate", "%s: resolves again", h->name);
	h->error[0] = '\0';
	h->answered_s = now_s;
	for (unsigned i = 0; i < n; i++) {
		uint8_t addr[16];

		if (!addr_from_sockaddr(&addrs[i], addr, NULL) || addr_is_special(addr))
			continue;
		(void)host_take(h, addr, ENDPOINT_BY_DNS, true, now_s);
		confirmed |= host_find(h, addr) != NULL;
	}
	/* Something was confirmed just now (a full table may have taken nothing): what is old may go. */
	if (confirmed)
		host_forget_old(h, false, now_s);
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

/* Its own machine, a neighbour of the agent, or anywhere: a relay that the agent runs there is as good a proof. */
static const char *why_not_learned(const uint8_t addr[16], bool is_own)
{
	if (is_own)
		return "is this machine's own";
	return addr_is_private(addr) ? "is of a private network and not in the config's `addresses`" : NULL;
}

static void tell_learned(struct endpoints *ep, const struct proof *p, const struct address *a)
{
	char text[ADDR_TEXT_MAX];

	log_info("gate", "%s: address %s is used by agent %s and proved to serve that name: listed", p->name,
		 addr_show(p->addr, text, sizeof(text)), p->agent);
	if (ep->door)
		events_door_tell(ep->door, &p->flow, p->agent, "learned",
				 a->is_near ? "no refusal: this address proved to serve an LLM host's name and is near its others: listed like them "
					      "for an hour (purse endpoints)" :
					      "no refusal: this address proved to serve an LLM host's name: listed as shared for an hour (purse "
					      "endpoints); a relay would prove the same");
}

void endpoints_proven(struct endpoints *ep, const struct proof *p, bool is_own, int64_t now_s)
{
	uint16_t provider = (uint16_t)p->tag;
	struct host *h = provider < ep->config->providers.n ? host_of(ep, provider, p->name) : NULL;
	char text[ADDR_TEXT_MAX];

	if (!h)
		return;
	bool near = table_is_near(ep, provider, p->addr);
	if (host_find(h, p->addr)) {
		(void)host_take(h, p->addr, ENDPOINT_BY_SNI, near, now_s);
		return;
	}
	const char *why = near ? NULL : why_not_learned(p->addr, is_own);
	if (why) {
		log_warn("gate", "%s: address %s %s and serves that name: a relay of agent %s? Not listed", p->name,
			 addr_show(p->addr, text, sizeof(text)), why, p->agent);
		return;
	}
	table_make_room_for_learned(h, p->agent);
	/* All others that stay are better founded: no room is none. */
	if (h->n == ENDPOINTS_PER_HOST)
		return;
	struct address *a = host_take(h, p->addr, ENDPOINT_BY_SNI, near, now_s);
	if (!a)
		return;
	(void)str_copy(a->taught_by, sizeof(a->taught_by), str_of(p->agent));
	tell_learned(ep, p, a);
}

static void proof_done(void *ctx, const struct proof *p, const char *why, bool is_own)
{
	char text[ADDR_TEXT_MAX];

	if (!why)
		return endpoints_proven(ctx, p, is_own, now_boot_s());
	log_info("gate", "%s: address %s port %u was used by agent %s but does not prove to serve that name (%s): not listed", p->name,
		 addr_show(p->addr, text, sizeof(text)), p->port, p->agent, why);
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
	const struct address *a = h ? host_find(h, p->addr) : NULL;

	if (!h || addr_is_special(p->addr) || !is_probed_port(ep, provider, p->port))
		return;
	if (!a && addr_is_private(p->addr) && !table_is_near(ep, provider, p->addr))
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

void endpoints_sighted(struct endpoints *ep, uint16_t provider, const char *name, const struct gate_flow *flow, const char *agent, bool listed)
{
	struct proof p = { .port = flow->dport, .tag = provider, .flow = *flow };
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
	memcpy(p.addr, flow->dst, 16);
	(void)str_copy(p.agent, sizeof(p.agent), str_of(agent));
	(void)pthread_mutex_lock(&ep->lock);
	ep->sighted++;
	if (ep->ninbox == ENDPOINTS_INBOX_MAX) {
		ep->dropped++;
	} else if (!is_in_inbox(ep, &p)) {
		ep->inbox[ep->ninbox++] = p;
		wakes = true;
	}
	(void)pthread_mutex_unlock(&ep->lock);
	if (wakes)
		loop_wake_send(ep->wake);
}

int endpoints_prove_with(struct endpoints *ep, struct tls_ctx *client, struct events_door *door, struct err *e)
{
	ep->door = door;
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
			(void)host_take(h, p->nets[i].addr, ENDPOINT_BY_CONFIG, true, h->ep->loop ? now_boot_s() : 0);
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

static int start(struct endpoints *ep, struct err *e)
{
	int r = 0;

	table_start(ep, ep->loop ? now_boot_s() : 0);
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
	free(ep->left);
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
		.known_by = a->known_by, .since_s = a->since_s, .seen_s = a->seen_s, .taught_by = a->taught_by,
		.leaves_s = a->known_by & ENDPOINT_BY_CONFIG ? -1 : a->seen_s + ENDPOINTS_FORGET_S,
	};
	memcpy(ret->addr, a->addr, 16);
	(void)table_owner(ep, a->addr, &ret->class);
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
		.learned = table_learned(ep), .sighted = ep->sighted, .proofs = p.begun, .proven = p.proven, .failed = p.failed,
		.dropped = ep->dropped + p.dropped,
	};
}
