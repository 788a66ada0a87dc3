// SPDX-License-Identifier: Apache-2.0
/* daemon/control.c: what the control server may see and do (ctl/control.h). */
#include "daemon/daemon.h"

#include <stdio.h>

#include "base/clock.h"
#include "ctl/config/config.h"
#include "ctl/events_door.h"
#include "ctl/server.h"
#include "ctl_abi.h"
#include "kern/gate.h"
#include "path/path.h"
#include "spend/ledger/ledger.h"
#include "spend/price/price.h"
#include "upgrade.h"

static void describe_namespaces(struct daemon *d, struct daemon_view *ret)
{
	struct path_namespace seen[DAEMON_NAMESPACES_MAX];

	ret->namespaces = path_list_namespaces(d->path, seen, DAEMON_NAMESPACES_MAX);
	for (size_t i = 0; i < ret->namespaces && i < DAEMON_NAMESPACES_MAX; i++)
		ret->namespace[i] = (struct namespace_view){ .inode = seen[i].inode, .agent = seen[i].agent, .pid = seen[i].pid,
							     .port4 = seen[i].port4, .port6 = seen[i].port6 };
}

static void put_count(struct daemon_view *v, const char *name, uint64_t value)
{
	v->counts[v->ncounts].name = name;
	v->counts[v->ncounts++].value = value;
}

static void describe(void *ctx, struct daemon_view *ret)
{
	static const struct {
		const char *name;
		size_t offset;
	} counts[] = {
#define COUNT(member) { #member, offsetof(struct path_counts, member) }
		COUNT(conns), COUNT(conns_open), COUNT(strangers), COUNT(spliced), COUNT(plain_http), COUNT(hidden_names), COUNT(tls_failed), COUNT(tls_distrusted),
		COUNT(exchanges), COUNT(exchanges_open), COUNT(refused), COUNT(forwarded), COUNT(free_calls),
		COUNT(upstream_conns), COUNT(upstream_reused), COUNT(upstream_failed), COUNT(settled), COUNT(estimated),
		COUNT(overruns), COUNT(input_known), COUNT(over_share), COUNT(shed), COUNT(slow_requests), COUNT(stalled), COUNT(out_of_files),
		COUNT(namespaces),
#undef COUNT
	};
	struct daemon *d = ctx;
	struct path_counts c;

	path_count(d->path, &c);
	*ret = (struct daemon_view){
		.uptime_s = (clock_boot_ns() - d->started_ns) / 1000000000,
		.port4 = gate_state(d->gate)->port4, .port6 = gate_state(d->gate)->port6,
		.path_alive = path_is_alive(d->path), .beating = d->is_beating, .gate_ok = d->gate_ok,
		.ledger_healthy = ledger_is_healthy(d->ledger), .prices = price_list_count(d->prices),
		.leases = server_leases(d->server),
	};
	describe_namespaces(d, ret);
	if (!d->gate_ok)
		(void)snprintf(ret->gate_text, sizeof(ret->gate_text), "%s", d->gate_error.text);
	put_count(ret, "elders", upgrade_reap(d->upgrade)); /* processes that handed over and still have calls */
	put_count(ret, "gate_repairs", d->gate_repairs);
	put_count(ret, "events_lost", events_door_lost(d->door)); /* of the workers: more at once than the main loop could take in */
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		put_count(ret, counts[i].name, *(uint64_t *)((char *)&c + counts[i].offset));
}

static void stop_calls(void *ctx, uint32_t account)
{
	struct daemon *d = ctx;

	path_stop_calls(d->path, account);
	upgrade_stop_calls(d->upgrade, account);
}

int reload(void *ctx, struct err *e)
{
	follow_trust(ctx);
	return reload_prices(ctx, e);
}

void set_control(struct daemon *d)
{
	d->control = (struct control){
		.config = d->config, .gate = d->gate, .budget = d->budget, .ledger = d->ledger, .ca = d->ca,
		.agents = d->agents, .endpoints = d->endpoints, .events = d->events, .openings = d->openings, .alerts = d->alerts, .trust_dir = d->trust_dir,
		.daemon = d, .describe = describe, .reload = reload, .stop_calls = stop_calls,
	};
}

int start_server(struct daemon *d, struct err *e)
{
	char path[1200];

	set_control(d);
	(void)config_place(d->config->run_dir, PURSE_SOCKET_NAME, path, sizeof(path));
	struct server_options o = { .socket_path = path, .listen_fd = upgrade_take_control(d->upgrade) };
	int r = server_new(d->loop, &d->control, &o, &d->server, e);

	if (r == 0)
		upgrade_adopt_leases(d->upgrade, d->server);
	return r;
}

void stop_server(struct daemon *d)
{
	if (!d->server)
		return;
	if (upgrade_has_left(d->upgrade) || upgrade_is_taking(d->upgrade))
		server_leave(d->server);
	server_free(d->server);
	d->server = NULL;
}
