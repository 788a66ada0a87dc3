// SPDX-License-Identifier: Apache-2.0
/* daemon/path.c: the config as the path wants it: providers, LLM addresses, options of the data path. */
#include "daemon/daemon.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ctl/config/config.h"
#include "ctl/endpoints.h"
#include "ctl/events_door.h"
#include "kern/gate.h"
#include "path/path.h"
#include "provider/provider.h"
#include "upgrade.h"
#include "wire/ca.h"
#include "wire/tls.h"

int start_endpoints(struct daemon *d, struct err *e)
{
	const char *extra = d->config->upstream_ca[0] ? d->config->upstream_ca : NULL;
	struct tls_ctx *client = NULL;
	int r = endpoints_new(d->config, d->gate, d->loop, &d->endpoints, e);

	if (r < 0)
		return r;
	/* What proves an address is what a call to the provider is verified with. */
	r = ca_client_ctx_new(d->ca, extra, &client, e);
	if (r == 0)
		r = endpoints_prove_with(d->endpoints, client, d->door, e);
	tls_ctx_unref(client);
	if (r < 0)
		endpoints_free(d->endpoints);
	return r;
}

void stop_endpoints(struct daemon *d)
{
	struct endpoints *gone = d->endpoints;

	(void)pthread_mutex_lock(&d->sight_lock);
	d->endpoints = NULL;
	(void)pthread_mutex_unlock(&d->sight_lock);
	endpoints_free(gone);
}

static void sighted(void *ctx, uint16_t provider, const char *name, const struct gate_flow *flow, const char *agent, bool listed)
{
	struct daemon *d = ctx;

	(void)pthread_mutex_lock(&d->sight_lock);
	if (d->endpoints)
		endpoints_sighted(d->endpoints, provider, name, flow, agent, listed);
	(void)pthread_mutex_unlock(&d->sight_lock);
}

static void refused(void *ctx, const struct gate_flow *flow, const char *agent, const char *word, const char *text)
{
	struct daemon *d = ctx;

	events_door_tell(d->door, flow, agent, word, text);
}

static struct path_provider *providers_of(const struct config *c)
{
	struct path_provider *p = calloc(c->providers.n, sizeof(*p));

	for (size_t i = 0; p && i < c->providers.n; i++) {
		const struct config_provider *from = &c->providers.v[i];

		p[i] = (struct path_provider){
			.name = from->name, .ops = provider_find(from->dialect), .hosts = from->hosts.v,
			.nhosts = from->hosts.n, .prefix = from->prefix, .port = (uint16_t)from->port, .addrs = from->addrs,
			.naddrs = from->naddrs, .prices_as = from->prices_as, .region = from->region, .multiplier_pct = (int)from->price_percent,
			.output_rate = from->output_rate, .drain_on_abort = from->on_abort == CONFIG_DRAIN,
			.drain_ms = from->drain_for_ns / 1000000,
		};
	}
	return p;
}

int start_path(struct daemon *d, struct err *e)
{
	const struct config *c = d->config;
	struct path_env env = {
		.gate = d->gate, .money = d->money, .ca = d->ca, .sighted = sighted, .sighted_ctx = d,
		.refused = refused, .refused_ctx = d,
	};

	gate_set_policy(d->gate, c->others == CONFIG_DENY, c->taken_ports.v, c->taken_ports.n,
			(uint64_t)c->heartbeat_stale_ns);
	d->providers = providers_of(c);
	if (!d->providers)
		return err_set(e, ENOMEM, "path: out of memory");
	struct path_options o = {
		.providers = d->providers, .nproviders = c->providers.n,
		.proxies = c->proxy, .nproxies = c->proxies.n, .workers = (unsigned)c->workers,
		.listen_port = (uint16_t)c->listen_port, .http2 = c->http2, .refuse_ech = c->ech == CONFIG_ECH_REFUSE, .body_max = (size_t)c->body_max_bytes,
		.connect_timeout_ms = c->connect_timeout_ns / 1000000,
		.response_timeout_ms = c->response_timeout_ns / 1000000, .upstream_ca = c->upstream_ca,
		.request_timeout_ms = c->request_timeout_ns / 1000000, .stall_timeout_ms = c->stall_timeout_ns / 1000000,
		.connections_max = (uint64_t)c->connections_max, .connections_per_agent = (uint64_t)c->connections_per_agent,
		.bodies_max = (uint64_t)c->bodies_max_bytes, .bodies_per_agent = (uint64_t)c->bodies_per_agent_bytes,
	};
	o.inherited = upgrade_listeners(d->upgrade, &o.ninherited);
	upgrade_listeners_taken(d->upgrade);
	int r = path_start(&o, &env, d->prices, &d->path, e);

	if (r < 0)
		free(d->providers);
	return r;
}

void stop_path(struct daemon *d)
{
	/* Earlier ones have the same time, and end at the same time. */
	upgrade_end_elders(d->upgrade, DRAIN_MS);
	path_stop(d->path, d->leave_until_ns && clock_boot_ns() > d->leave_until_ns ? 0 : DRAIN_MS);
	free(d->providers);
}
