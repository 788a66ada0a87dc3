// SPDX-License-Identifier: Apache-2.0
/*
 * daemon.c: `pursed`: the parts in the order in which they start; they stop in the reverse order. Everything between is in the
 * folders; here is only what joins them: who is handed to whom, and the timers.
 *
 * The ledger starts after budget and alerts, since its writer frees hold slots and tells of refusals until it is closed. The gate stays pinned at the
 * end: without a daemon agents are denied, not set free.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "ctl/agents.h"
#include "ctl/agents_flows.h"
#include "ctl/alert/alerts.h"
#include "ctl/args.h"
#include "ctl/config/config.h"
#include "ctl/control.h"
#include "ctl/endpoints.h"
#include "ctl/events.h"
#include "ctl/events_door.h"
#include "ctl/openings.h"
#include "ctl/process.h"
#include "ctl/server.h"
#include "ctl/trust.h"
#include "ctl/handover.h"
#include "ctl_abi.h"
#include "kern/gate.h"
#include "kern/probe.h"
#include "path/money.h"
#include "path/path.h"
#include "provider/provider.h"
#include "spend/budget/budget.h"
#include "spend/ledger/ledger.h"
#include "spend/price/price.h"
#include "spend/replay.h"
#include "upgrade.h"
#include "wire/ca.h"
#include "wire/tls.h"

#define ARGS_MAX 32
#define DRAIN_MS 5000
#define LEAVE_MAX_NS (3600 * INT64_C(1000000000)) /* for the calls of one that handed over */
#define LEAVE_LOOK_MS 200
#define FLOW_MAX_AGE_NS (30 * INT64_C(1000000000))
#define ROLL_AT_LEAST_MS 1000 /* also when the clock was set */
#define EMBEDDED_FIRST_NS (20 * INT64_C(1000000000))
#define EMBEDDED_GRACE_NS INT64_C(1000000000)

struct flags {
	const char *config;
	bool debug, embedded, take_over, help, version;
};

struct daemon;
struct tick {
	struct daemon *d;
	void (*run)(struct daemon *d);
	int64_t every_ms;
	struct loop_timer *timer;
};
#define STEPS_MAX 32
enum { TICK_BEAT, TICK_VERIFY, TICK_ROLL, TICK_ALERTS, TICK_WATCH, TICK_REAP, TICK_LEASES, TICK_CA, TICK_COUNT };

struct daemon {
	const struct config *config;
	struct loop *loop;
	struct gate *gate;
	struct budget *budget;
	struct ledger *ledger;
	struct price_list *prices;
	struct ca *ca;
	struct agents *agents;
	struct endpoints *endpoints;
	struct path_provider *providers;
	struct money *money;
	struct path *path;
	struct upgrade *upgrade;
	struct events *events;
	struct events_door *door;
	struct openings *openings;
	struct alerts *alerts;
	struct server *server;
	struct control control;
	struct tick ticks[TICK_COUNT];
	char trust_dir[1100], cgroup_was[1100];
	int64_t started_ns; /* boot clock */
	bool gate_ok, is_beating;
	bool is_gate_on;       /* gate_ok, but for agents that live where it is not */
	bool is_resuming;      /* takes back what another one did not take over */
	bool is_stop_asked;    /* while the money was on its way */
	bool is_up[STEPS_MAX]; /* by step */
	int64_t leave_until_ns; /* 0 = has not handed over */
	struct loop_timer *leave_timer;
	pthread_mutex_t sight_lock; /* endpoints, as the path's threads use them */
	bool takes_over;       /* asked to (--take-over) */
	bool is_embedded;      /* stops when nobody holds a lease any more */
	int64_t leased_ns;     /* boot clock: when somebody last did */
	struct err gate_error;
	uint64_t gate_repairs, told_repairs;
	struct err gate_problem; /* the last one, also if it was put right */
};

static int64_t now_s(void)
{
	return clock_realtime_ns() / 1000000000;
}

/* ---- the ledger's calls, on its writer's thread */

static void row_is_durable(void *ctx, uint32_t slot)
{
	struct daemon *d = ctx;

	budget_settled(d->budget, slot);
}

static void ledger_health(void *ctx, bool healthy, const char *why)
{
	struct daemon *d = ctx;

	/* The ledger has logged why. */
	budget_close_holds(d->budget, !healthy);
}

static void refusal_is_recorded(void *ctx, const char *agent, const struct refusal *why)
{
	struct daemon *d = ctx;

	alerts_refused(d->alerts, agent, why);
}

/* ---- steps: start and stop of one part each */

static int start_loop(struct daemon *d, struct err *e)
{
	int r = loop_new(&d->loop);

	return r < 0 ? err_set(e, -r, "loop: %s", strerror(-r)) : 0;
}

static void stop_loop(struct daemon *d)
{
	loop_free(d->loop);
}

static int start_dirs(struct daemon *d, struct err *e)
{
	int r = process_harden(e);

	if (r == 0)
		r = process_make_dir(d->config->state_dir, e);
	return r ? r : process_make_dir(d->config->run_dir, e);
}

/* The gate denies at once, not only after the last beat went stale. */
static void stop_beating(struct daemon *d)
{
	__atomic_store_n(&gate_state(d->gate)->heartbeat_ns, 0, __ATOMIC_RELEASE);
}

static int start_gate(struct daemon *d, struct err *e)
{
	const struct config *c = d->config;
	char lock[1200];

	(void)config_place(c->run_dir, PURSE_LOCK_NAME, lock, sizeof(lock));
	struct gate_options o = {
		.pin_dir = c->bpffs, .lock_path = lock,
		.cgroup_root = strcmp(c->cgroup_root, "auto") == 0 ? NULL : c->cgroup_root,
		.inherited_lock = upgrade_take_lock(d->upgrade), .inherited_pins = upgrade_take_pins(d->upgrade),
	};
	int r = gate_open(&o, &d->gate, e);

	/* Whatever an earlier daemon last said: nobody serves yet. But one that hands over does. */
	if (r == 0 && !upgrade_is_taking(d->upgrade))
		stop_beating(d);
	return r;
}

static void stop_gate(struct daemon *d)
{
	/* Another one beats: who took over from us, or who did not get rid of it to us. */
	if (!upgrade_has_left(d->upgrade) && !upgrade_is_taking(d->upgrade))
		stop_beating(d);
	gate_close(d->gate);
}

static int start_cgroup(struct daemon *d, struct err *e)
{
	uint64_t id = 0;
	int r = upgrade_is_taking(d->upgrade)
			? process_join_cgroup(upgrade_from(d->upgrade), d->cgroup_was, sizeof(d->cgroup_was), &id, e)
			: process_take_cgroup(d->cgroup_was, sizeof(d->cgroup_was), &id, e);

	if (r < 0 && d->config->others == CONFIG_DENY)
		return err_prefix(e, r, "others: deny needs a cgroup for the daemon");
	if (r < 0)
		log_warn("daemon", "no cgroup of its own: %s", e->text);
	gate_set_daemon_cgroup(d->gate, r < 0 ? 0 : id);
	return 0;
}

static void stop_cgroup(struct daemon *d)
{
	process_leave_cgroup(d->cgroup_was);
}

static int start_budget(struct daemon *d, struct err *e)
{
	bool takes = upgrade_is_taking(d->upgrade) || d->is_resuming;
	uint32_t owners[BUDGET_KEEP_MAX + 1];
	size_t n = upgrade_owners(d->upgrade, owners);
	int r = (takes ? budget_take : budget_new)(gate_accounts(d->gate), GATE_ACCOUNTS_MAX, gate_holds(d->gate), GATE_HOLDS_MAX,
						   &d->budget);

	if (r < 0)
		return err_set(e, -r, "budget: %s", strerror(-r));
	/* Ours, when it was not taken from us after all. */
	if (d->is_resuming)
		owners[n++] = gate_start(d->gate);
	budget_set_owner(d->budget, gate_start(d->gate));
	budget_keep(d->budget, owners, n);
	return 0;
}

static void stop_budget(struct daemon *d)
{
	budget_free(d->budget);
}

static int start_ledger(struct daemon *d, struct err *e)
{
	static const struct ledger_calls calls = { .durable = row_is_durable, .health = ledger_health, .refused = refusal_is_recorded };
	char path[1200];

	(void)config_place(d->config->state_dir, PURSE_LEDGER_NAME, path, sizeof(path));
	return ledger_open(path, &calls, d, &d->ledger, e);
}

static void stop_ledger(struct daemon *d)
{
	if (ledger_close(d->ledger) < 0)
		log_error("ledger", "rows stayed unwritten; their calls are still in the gate's memory and are taken up at the "
			  "next start (not after a reboot)");
}

static int start_prices(struct daemon *d, struct err *e)
{
	int r = price_list_load(d->config->prices.v, d->config->prices.n, &d->prices, e);

	if (r == 0)
		log_info("prices", "%zu models", price_list_count(d->prices));
	return r;
}

static void stop_prices(struct daemon *d)
{
	price_list_unref(d->prices);
}

static int start_ca(struct daemon *d, struct err *e)
{
	const struct config *c = d->config;
	const char *names[64 * 64];
	char dir[1200];
	size_t n = 0;
	bool is_new = false;

	for (size_t i = 0; i < c->providers.n; i++)
		for (size_t j = 0; j < c->providers.v[i].hosts.n && n < sizeof(names) / sizeof(names[0]); j++)
			names[n++] = c->providers.v[i].hosts.v[j];
	(void)config_place(c->state_dir, PURSE_CA_NAME, dir, sizeof(dir));
	int r = ca_open(dir, names, n, &d->ca, &is_new, e);

	if (r < 0)
		return r;
	if (is_new)
		log_info("ca", "new certificates for the configured hosts; agents that run already keep the old ones until they are "
			 "started again");
	(void)trust_dir(c, d->trust_dir, sizeof(d->trust_dir));
	r = trust_publish(d->trust_dir, ca_root_path(d->ca), ca_bundle_path(d->ca), e);
	if (r < 0)
		ca_close(d->ca);
	return r;
}

static void stop_ca(struct daemon *d)
{
	ca_close(d->ca);
}

/* Balances from the ledger, then what was in flight when an earlier daemon died; spend/replay.h has the order. */
static int replay(struct daemon *d, struct err *e)
{
	struct replay_counts n = { 0 };
	int64_t now = now_s();
	char cost[32];
	int r = replay_begin(d->budget, d->ledger, clock_realtime_ns(), e);

	if (r == 0)
		r = agents_load(d->agents, now, e);
	if (r == 0)
		r = replay_finish(d->budget, d->ledger, now, &n, e);
	if (r < 0)
		return r;
	if (n.orphans_sent + n.orphans_charged + n.orphans_known > 0)
		log_warn("ledger", "%zu calls were in flight when the last daemon ended: charged at their whole hold; %zu were charged "
			 "and are written now; %zu were on record (%s)", n.orphans_sent, n.orphans_charged, n.orphans_known,
			 usd_show(n.orphans_cost, cost, sizeof(cost)));
	if (n.kept > 0)
		log_info("upgrade", "%zu calls in flight go on", n.kept);
	budget_open(d->budget);
	return 0;
}

static int start_agents(struct daemon *d, struct err *e)
{
	struct agents_env env = { .config = d->config, .gate = d->gate, .budget = d->budget, .ledger = d->ledger, .loop = d->loop };
	int r = agents_new(&env, &d->agents, e);

	if (r < 0)
		return r;
	r = replay(d, e);
	if (r == 0)
		r = agents_enrol(d->agents, e);
	if (r < 0)
		agents_free(d->agents);
	return r;
}

static void stop_agents(struct daemon *d)
{
	agents_free(d->agents);
}

static int start_endpoints(struct daemon *d, struct err *e)
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

static void stop_endpoints(struct daemon *d)
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

static int start_path(struct daemon *d, struct err *e)
{
	const struct config *c = d->config;
	struct path_env env = {
		.gate = d->gate, .money = d->money, .ca = d->ca, .sighted = sighted, .sighted_ctx = d,
		.refused = refused, .refused_ctx = d,
	};

	gate_set_policy(d->gate, c->others == CONFIG_DENY, c->capture_ports.v, c->capture_ports.n,
			(uint64_t)c->heartbeat_stale_ns);
	d->providers = providers_of(c);
	if (!d->providers)
		return err_set(e, ENOMEM, "path: out of memory");
	struct path_options o = {
		.providers = d->providers, .nproviders = c->providers.n, .workers = (unsigned)c->workers,
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

static void stop_path(struct daemon *d)
{
	/* Earlier ones have the same time, and end at the same time. */
	upgrade_end_elders(d->upgrade, DRAIN_MS);
	path_stop(d->path, d->leave_until_ns && clock_boot_ns() > d->leave_until_ns ? 0 : DRAIN_MS);
	free(d->providers);
}

/* An agent in a network namespace where nobody listens yet: it made a socket there, or was refused already. */
static void heard_from_gate(void *ctx, const struct gate_event *event)
{
	struct daemon *d = ctx;

	if ((event->reason == GATE_REASON_LOOK || event->reason == GATE_REASON_NETNS) && event->agent_cgroup)
		path_look(d->path, event->agent_cgroup, (int)event->pid);
	if (event->reason == GATE_REASON_EGRESS && event->agent_cgroup)
		agents_saw_drop(d->agents, event->agent_cgroup);
}

static void flows_ended(void *ctx, const char *agent, uint64_t cgroup_id, size_t n)
{
	struct daemon *d = ctx;

	events_put_ended(d->events, agent, cgroup_id, n, clock_realtime_ns());
}

static void flows_over(void *ctx)
{
	struct daemon *d = ctx;

	if (d->server)
		server_look_again(d->server);
}

static int start_events(struct daemon *d, struct err *e)
{
	const struct flows_calls calls = { .ended = flows_ended, .over = flows_over, .ctx = d };
	int r = events_new(d->gate, d->loop, &d->events, e);

	if (r < 0)
		return r;
	events_tap(d->events, heard_from_gate, d);
	agents_tell(d->agents, &calls);
	events_door_to(d->door, d->events);
	return 0;
}

static void stop_events(struct daemon *d)
{
	events_door_to(d->door, NULL);
	events_free(d->events);
}

static int start_openings(struct daemon *d, struct err *e)
{
	return openings_new(d->loop, d->agents, d->events, probe_has_lsm_cgroup(), 0, &d->openings, e);
}

static void stop_openings(struct daemon *d)
{
	openings_free(d->openings);
}

static int start_door(struct daemon *d, struct err *e)
{
	return events_door_new(d->loop, &d->door, e);
}

static void stop_door(struct daemon *d)
{
	events_door_free(d->door);
}

static int start_alerts(struct daemon *d, struct err *e)
{
	char path[1200];

	(void)config_place(d->config->state_dir, PURSE_ALERTS_NAME, path, sizeof(path));
	struct alerts_env env = { .config = d->config, .state_path = path };

	return alerts_new(&env, &d->alerts, e);
}

static void stop_alerts(struct daemon *d)
{
	alerts_free(d->alerts);
}

/* ---- what the control server may ask */

static void describe_namespaces(struct daemon *d, struct daemon_view *ret)
{
	struct path_namespace seen[DAEMON_NAMESPACES_MAX];

	ret->namespaces = path_list_namespaces(d->path, seen, DAEMON_NAMESPACES_MAX);
	for (size_t i = 0; i < ret->namespaces && i < DAEMON_NAMESPACES_MAX; i++)
		ret->namespace[i] = (struct namespace_view){ .inode = seen[i].inode, .agent = seen[i].agent, .pid = seen[i].pid,
							     .port4 = seen[i].port4, .port6 = seen[i].port6 };
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
	ret->counts[ret->ncounts].name = "elders"; /* processes that handed over and still have calls */
	ret->counts[ret->ncounts++].value = upgrade_reap(d->upgrade);
	ret->counts[ret->ncounts].name = "gate_repairs";
	ret->counts[ret->ncounts++].value = d->gate_repairs;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		ret->counts[ret->ncounts].name = counts[i].name;
		ret->counts[ret->ncounts++].value = *(uint64_t *)((char *)&c + counts[i].offset);
	}
}

static int reload_prices(void *ctx, struct err *e)
{
	struct daemon *d = ctx;
	struct price_list *fresh = NULL;
	int r = price_list_load(d->config->prices.v, d->config->prices.n, &fresh, e);

	if (r < 0)
		return r;
	path_set_prices(d->path, fresh);
	price_list_unref(d->prices);
	d->prices = fresh;
	log_info("prices", "loaded again: %zu models; everything else in the config needs a restart", price_list_count(fresh));
	return 0;
}

static void stop_calls(void *ctx, uint32_t account)
{
	struct daemon *d = ctx;

	path_stop_calls(d->path, account);
	upgrade_stop_calls(d->upgrade, account);
}

static void set_control(struct daemon *d)
{
	d->control = (struct control){
		.config = d->config, .gate = d->gate, .budget = d->budget, .ledger = d->ledger, .ca = d->ca,
		.agents = d->agents, .endpoints = d->endpoints, .events = d->events, .openings = d->openings, .alerts = d->alerts, .trust_dir = d->trust_dir,
		.daemon = d, .describe = describe, .reload = reload_prices, .stop_calls = stop_calls,
	};
}

static int start_server(struct daemon *d, struct err *e)
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

static void stop_server(struct daemon *d)
{
	if (!d->server)
		return;
	if (upgrade_has_left(d->upgrade) || upgrade_is_taking(d->upgrade))
		server_leave(d->server);
	server_free(d->server);
	d->server = NULL;
}

/* ---- timers */

static void beat(struct daemon *d)
{
	/* Not while the ledger is unwell: agents are then answered with the reason, which needs the daemon. */
	d->is_beating = d->is_gate_on && path_is_alive(d->path);
	if (d->is_beating)
		gate_beat(d->gate);
}

/* Detached, replaced or unpinned by somebody: said aloud, put back at once, said again. While it is off the gate gets no beat. */
static void verify(struct daemon *d)
{
	bool was_ok = d->gate_ok;

	/* Programs are being put in the place of ours. */
	if (upgrade_is_meeting(d->upgrade))
		return;
	int r = gate_verify(d->gate, &d->gate_error);

	if (r < 0)
		d->gate_problem = d->gate_error;
	/* One agent lives where the gate is not: nothing to put back, and no reason to deny the others. */
	if (r < 0 && r != -EXDEV) {
		stop_beating(d);
		log_error("daemon", "%s; putting it back", d->gate_problem.text);
		r = gate_repair(d->gate, &d->gate_error);
		d->gate_repairs += r == 0 || r == -EXDEV;
	}
	d->gate_ok = r == 0;
	d->is_gate_on = r == 0 || r == -EXDEV;
	if (was_ok && !d->gate_ok)
		log_error("daemon", "%s%s", d->gate_error.text, d->is_gate_on ? "" :
			  "; it cannot be put back: agents are denied where the gate still is");
	if (!was_ok && d->gate_ok)
		log_info("gate", "attached as it should be");
}

static void roll(struct daemon *d)
{
	(void)budget_roll(d->budget, now_s());
}

static void look_out(struct daemon *d)
{
	struct path_counts c;
	/* What was put back between two looks was gone all the same. */
	bool gate_ok = d->gate_ok && d->gate_repairs == d->told_repairs;

	path_count(d->path, &c);
	d->told_repairs = d->gate_repairs;
	struct alerts_health h = {
		.agents = d->agents, .budget = d->budget,
		.ledger_ok = ledger_is_healthy(d->ledger), .gate_ok = gate_ok, .gate_text = d->gate_problem.text, .overruns = c.overruns,
	};

	alerts_tick(d->alerts, &h, now_s());
}

static void watch(struct daemon *d)
{
	agents_watch(d->agents);
	(void)upgrade_reap(d->upgrade);
}

static void reap(struct daemon *d)
{
	(void)gate_reap_flows(d->gate, FLOW_MAX_AGE_NS);
}

static void leases(struct daemon *d)
{
	int64_t now = clock_boot_ns();

	if (!d->is_embedded)
		return;
	if (d->server && server_leases(d->server) > 0)
		d->leased_ns = now;
	/* The first one has time to come; a next one may take over from the last. */
	if (now - (d->leased_ns ? d->leased_ns : d->started_ns + EMBEDDED_FIRST_NS) > EMBEDDED_GRACE_NS) {
		log_info("daemon", "the last run is over: stopping");
		loop_stop(d->loop);
	}
}

/* A daemon may run for longer than its certificates last. */
static void renew_ca(struct daemon *d)
{
	bool changed, is_new;
	struct err e;
	int r = ca_renew(d->ca, &changed, &is_new, &e);

	if (r == 0 && changed)
		r = trust_publish(d->trust_dir, ca_root_path(d->ca), ca_bundle_path(d->ca), &e);
	if (r < 0)
		log_error("ca", "%s; the certificates are to be renewed, and this is tried again in an hour", e.text);
	else if (is_new)
		log_info("ca", "new certificates for the configured hosts; agents that were started more than 30 days ago have to be started again");
	else if (changed)
		log_info("ca", "the root of the next certificates is published; agents learn of it when they are started, and it is used when the "
			 "present one has 30 days left");
}

static void on_tick(void *ctx)
{
	struct tick *t = ctx;

	t->run(t->d);
	loop_timer_set(t->timer, t->every_ms);
}

static void stop_timers(struct daemon *d)
{
	for (int i = 0; i < TICK_COUNT; i++)
		if (d->ticks[i].timer) {
			loop_timer_free(d->ticks[i].timer);
			d->ticks[i].timer = NULL;
		}
}

static int start_timers(struct daemon *d, struct err *e)
{
	static const struct tick kinds[TICK_COUNT] = {
		[TICK_VERIFY] = { .run = verify, .every_ms = 1000 },
		[TICK_BEAT] = { .run = beat, .every_ms = 250 },
		[TICK_ROLL] = { .run = roll, .every_ms = ROLL_AT_LEAST_MS },
		[TICK_ALERTS] = { .run = look_out, .every_ms = 1000 },
		[TICK_WATCH] = { .run = watch, .every_ms = 1000 },
		[TICK_REAP] = { .run = reap, .every_ms = 10000 },
		[TICK_LEASES] = { .run = leases, .every_ms = 250 },
		[TICK_CA] = { .run = renew_ca, .every_ms = 3600 * 1000 },
	};

	int r = 0;

	for (int i = 0; r == 0 && i < TICK_COUNT; i++) {
		d->ticks[i] = kinds[i];
		d->ticks[i].d = d;
		r = loop_timer_new(d->loop, on_tick, &d->ticks[i], &d->ticks[i].timer);
	}
	if (r < 0)
		(void)err_set(e, -r, "timers: %s", strerror(-r));
	if (r == 0)
		verify(d);
	if (r == 0 && !d->is_gate_on) {
		*e = d->gate_error;
		r = -ENOLINK;
	}
	if (r < 0) {
		stop_timers(d);
		return r;
	}
	for (int i = 0; i < TICK_COUNT; i++)
		on_tick(&d->ticks[i]);
	return 0;
}

/* ---- signals */

/* What SIGUSR2 starts: the path that we were started from, and our flags with --take-over. */
static struct {
	char path[4096];
	const char *argv[ARGS_MAX + 2];
} self;

static void remember_self(int argc, char **argv)
{
	static const char take_over[] = "--take-over";
	ssize_t n = readlink("/proc/self/exe", self.path, sizeof(self.path) - 1);
	int k = 0;

	self.path[n > 0 ? n : 0] = '\0';
	for (int i = 0; i < argc && k < ARGS_MAX; i++)
		if (strcmp(argv[i], take_over) != 0)
			self.argv[k++] = argv[i];
	self.argv[k++] = take_over;
	self.argv[k] = NULL;
}

static void on_stop(void *ctx, int signum)
{
	struct daemon *d = ctx;

	if (upgrade_is_frozen(d->upgrade)) {
		d->is_stop_asked = true;
		return;
	}
	log_info("daemon", "%s: stopping; calls in flight have %d seconds", strsignal(signum), DRAIN_MS / 1000);
	loop_stop(d->loop);
}

/* The binary that stands where ours was started from, with our own flags. It says by itself whether it can. */
static void on_upgrade(void *ctx, int signum)
{
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;

	(void)ctx;
	(void)signum;
	(void)sigemptyset(&none);
	(void)posix_spawnattr_init(&attr);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	int r = self.path[0] ? posix_spawn(&pid, self.path, NULL, &attr, (char *const *)self.argv, environ) : ENOENT;

	(void)posix_spawnattr_destroy(&attr);
	if (r)
		log_error("upgrade", "cannot start %s: %s; this one goes on", self.path, strerror(r));
	else
		log_info("upgrade", "%s: process %d is started and will take over", self.path, (int)pid);
}

static void on_hangup(void *ctx, int signum)
{
	struct err e = { "" };

	if (reload_prices(ctx, &e) < 0)
		log_error("prices", "not loaded, the old list stays: %s", e.text);
}

static int start_signals(struct daemon *d, struct err *e)
{
	int r = loop_signal(d->loop, SIGTERM, on_stop, d);

	if (r == 0)
		r = loop_signal(d->loop, SIGINT, on_stop, d);
	if (r == 0)
		r = loop_signal(d->loop, SIGHUP, on_hangup, d);
	if (r == 0)
		r = loop_signal(d->loop, SIGUSR2, on_upgrade, d);
	return r < 0 ? err_set(e, -r, "signals: %s", strerror(-r)) : 0;
}

/* ---- a hand-over: upgrade.h has the order, docs/upgrade.md the reasons */

static void stop_handed(struct daemon *d);
static int start_handed(struct daemon *d, struct err *e);

static bool is_calm(void *ctx)
{
	struct daemon *d = ctx;

	return server_pause(d->server);
}

static void freeze(void *ctx)
{
	struct daemon *d = ctx;

	money_freeze(d->money);
	path_pause(d->path);
	upgrade_pause_elders(d->upgrade);
	stop_handed(d);
}

static int resume(void *ctx)
{
	struct daemon *d = ctx;
	struct err e = { "" };

	d->is_resuming = true;
	int r = start_handed(d, &e);

	d->is_resuming = false;
	if (r == 0)
		r = upgrade_serve(d->upgrade, d->budget, d->ledger, &e);
	if (r < 0) {
		log_error("upgrade", "what was handed over cannot be taken back: %s", e.text);
		return r;
	}
	if (path_resume(d->path) < 0)
		log_error("upgrade", "network namespaces are not watched any more; start this daemon again");
	money_thaw(d->money, d->budget, d->ledger);
	set_control(d);
	server_resume(d->server);
	if (d->is_stop_asked)
		loop_stop(d->loop);
	return 0;
}

static void look_whether_over(void *ctx)
{
	struct daemon *d = ctx;

	if (path_is_over(d->path) || clock_boot_ns() > d->leave_until_ns) {
		loop_stop(d->loop);
		return;
	}
	loop_timer_set(d->leave_timer, LEAVE_LOOK_MS);
}

static void leave(void *ctx)
{
	struct daemon *d = ctx;

	d->leave_until_ns = clock_boot_ns() + LEAVE_MAX_NS;
	path_leave(d->path);
	stop_server(d);
	if (loop_timer_new(d->loop, look_whether_over, d, &d->leave_timer) < 0 || d->is_stop_asked)
		loop_stop(d->loop);
	else
		look_whether_over(d);
}

static void end_now(void *ctx, int64_t ms)
{
	struct daemon *d = ctx;

	log_info("upgrade", "the daemon that took over stops: calls in flight here have %lld seconds", (long long)(ms / 1000));
	loop_stop(d->loop);
}

static void stop_calls_here(void *ctx, uint32_t account)
{
	struct daemon *d = ctx;

	path_stop_calls(d->path, account);
}

static int start_upgrade(struct daemon *d, struct err *e)
{
	static const struct upgrade_calls calls = { .calm = is_calm, .freeze = freeze, .resume = resume, .leave = leave, .end = end_now,
						    .stop_calls = stop_calls_here };
	char path[1200];

	(void)config_place(d->config->run_dir, HANDOVER_NAME, path, sizeof(path));
	d->upgrade = upgrade_new(&calls, d, path);
	return d->upgrade ? 0 : err_set(e, ENOMEM, "out of memory");
}

static void stop_upgrade(struct daemon *d)
{
	if (d->leave_timer)
		loop_timer_free(d->leave_timer);
	upgrade_free(d->upgrade);
}

static int meet(struct daemon *d, struct err *e)
{
	return d->takes_over ? upgrade_meet(d->upgrade, e) : 0;
}

static int take(struct daemon *d, struct err *e)
{
	return upgrade_is_taking(d->upgrade) ? upgrade_take(d->upgrade, e) : 0;
}

static int start_elders(struct daemon *d, struct err *e)
{
	return upgrade_serve(d->upgrade, d->budget, d->ledger, e);
}

static void stop_elders(struct daemon *d)
{
	/* A take-over that failed: its calls are not ours. */
	if (!upgrade_is_taking(d->upgrade))
		upgrade_wait_elders(d->upgrade, DRAIN_MS + 1000);
	else
		upgrade_pause_elders(d->upgrade);
}

static int settle(struct daemon *d, struct err *e)
{
	struct upgrade_env env = { .loop = d->loop, .gate = d->gate, .path = d->path, .server = d->server, .money = d->money };

	gate_sign_lock(d->gate);
	return upgrade_settle(d->upgrade, &env, e);
}

static int start_money(struct daemon *d, struct err *e)
{
	int r = money_new(d->budget, d->ledger, &d->money);

	return r < 0 ? err_set(e, -r, "out of memory") : 0;
}

static void stop_money(struct daemon *d)
{
	money_free(d->money);
}

/* ---- the whole */

/* handed: only one process at a time has it; a hand-over stops it in the one and starts it in the other. */
static const struct step {
	const char *name;
	int (*start)(struct daemon *d, struct err *e);
	void (*stop)(struct daemon *d);
	bool handed;
} steps[] = {
	{ "loop", start_loop, stop_loop, false },
	{ "door", start_door, stop_door, false },
	{ "dirs", start_dirs, NULL, false },
	{ "upgrade", start_upgrade, stop_upgrade, false },
	{ "prices", start_prices, stop_prices, false },
	{ "ca", start_ca, stop_ca, false },
	{ "meet", meet, NULL, false },
	{ "gate", start_gate, stop_gate, false },
	{ "cgroup", start_cgroup, stop_cgroup, false },
	{ "take", take, NULL, false },
	{ "budget", start_budget, stop_budget, true },
	{ "alerts", start_alerts, stop_alerts, true },
	{ "ledger", start_ledger, stop_ledger, true },
	{ "agents", start_agents, stop_agents, true },
	{ "endpoints", start_endpoints, stop_endpoints, true },
	{ "elders", start_elders, stop_elders, false },
	{ "money", start_money, stop_money, false },
	{ "path", start_path, stop_path, false },
	{ "events", start_events, stop_events, true },
	{ "openings", start_openings, stop_openings, true },
	{ "timers", start_timers, stop_timers, true },
	{ "signals", start_signals, NULL, false },
	{ "control", start_server, stop_server, false },
	{ "settle", settle, NULL, false },
};
#define STEP_COUNT (sizeof(steps) / sizeof(steps[0]))
_Static_assert(STEP_COUNT <= STEPS_MAX, "is_up");

static void stop_from(struct daemon *d, size_t n)
{
	while (n-- > 0)
		if (d->is_up[n] && steps[n].stop)
			steps[n].stop(d);
}

static void stop_handed(struct daemon *d)
{
	for (size_t n = STEP_COUNT; n-- > 0;)
		if (steps[n].handed && d->is_up[n]) {
			steps[n].stop(d);
			d->is_up[n] = false;
		}
}

static int start_handed(struct daemon *d, struct err *e)
{
	int r = 0;

	for (size_t n = 0; r == 0 && n < STEP_COUNT; n++)
		if (steps[n].handed) {
			r = steps[n].start(d, e);
			d->is_up[n] = r == 0;
		}
	return r;
}

static int run(const struct config *c, const struct flags *f)
{
	struct daemon *d = calloc(1, sizeof(*d));
	struct err e = { "" };
	size_t n = 0;

	if (!d)
		return PURSE_EXIT_FAILURE;
	d->config = c;
	d->is_embedded = f->embedded;
	d->takes_over = f->take_over;
	d->started_ns = clock_boot_ns();
	(void)pthread_mutex_init(&d->sight_lock, NULL);
	while (n < STEP_COUNT && steps[n].start(d, &e) == 0)
		d->is_up[n++] = true;
	if (n < STEP_COUNT) {
		log_error("daemon", "cannot start (%s): %s", steps[n].name, e.text);
	} else {
		log_info("daemon", "ready: version %s, listening on 127.0.0.1:%u and [::1]:%u, %zu providers, control %s/%s",
			 PURSE_VERSION, gate_state(d->gate)->port4, gate_state(d->gate)->port6, c->providers.n, c->run_dir,
			 PURSE_SOCKET_NAME);
		process_tell_manager();
		loop_run(d->loop);
	}
	stop_from(d, n);
	(void)pthread_mutex_destroy(&d->sight_lock);
	free(d);
	return n < STEP_COUNT ? PURSE_EXIT_FAILURE : PURSE_EXIT_OK;
}

static const struct args_row rows[] = {
	{ .name = "--config", .letter = 'c', .type = ARGS_TEXT, .offset = offsetof(struct flags, config), .value = "FILE",
	  .help = "default $" PURSE_CONFIG_ENV ", else " PURSE_CONFIG_PATH },
	{ .name = "--debug", .type = ARGS_SWITCH, .offset = offsetof(struct flags, debug), .help = "log more" },
	{ .name = "--embedded", .type = ARGS_SWITCH, .offset = offsetof(struct flags, embedded),
	  .help = "stop after the last `purse run` (which uses this)" },
	{ .name = "--take-over", .type = ARGS_SWITCH, .offset = offsetof(struct flags, take_over),
	  .help = "from the daemon that runs, with its calls in flight; starts plainly where none does" },
	{ .name = "--help", .letter = 'h', .type = ARGS_SWITCH, .offset = offsetof(struct flags, help), .help = "this text" },
	{ .name = "--version", .letter = 'V', .type = ARGS_SWITCH, .offset = offsetof(struct flags, version),
	  .help = "print the version" },
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static int read_flags(char **argv, struct flags *f)
{
	struct args_table table = { rows, ROW_COUNT, f };
	struct args args = { 0 };
	struct err e = { "" };

	if (args_read(&table, 1, argv, false, 0, &args, &e) == 0 && args.nwords > 0)
		(void)err_set(&e, EINVAL, "\"%s\": pursed takes no words; commands are for purse", args.words[0]);
	if (e.text[0])
		(void)fprintf(stderr, "pursed: %s\n", e.text);
	return e.text[0] ? PURSE_EXIT_USAGE : PURSE_EXIT_OK;
}

int main(int argc, char **argv)
{
	struct flags f = { 0 };
	struct config *c = NULL;
	struct err e = { "" };
	const char *path;
	bool named;
	int exit_code = read_flags(argv + 1, &f);

	if (exit_code)
		return exit_code;
	if (f.help || f.version) {
		(void)printf(f.version ? "pursed %s\n" : "usage: pursed [flags]      (version %s)\nRuns in the foreground and logs to "
			     "stderr. SIGTERM: drain and stop. SIGHUP: load prices again. SIGUSR2: start the binary anew, which takes over.\n", PURSE_VERSION);
		if (f.help)
			args_help(stdout, rows, ROW_COUNT);
		return PURSE_EXIT_OK;
	}
	if (f.debug)
		log_set_level(LOG_LEVEL_DEBUG);
	(void)signal(SIGPIPE, SIG_IGN);
	config_resolve(f.config, &path, &named);
	if (config_load(path, named, &c, &e) < 0) {
		log_error("config", "%s", e.text);
		return PURSE_EXIT_CONFIG;
	}
	remember_self(argc, argv);
	exit_code = run(c, &f);
	config_free(c);
	return exit_code;
}
