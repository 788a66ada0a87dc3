// SPDX-License-Identifier: Apache-2.0
/*
 * daemon.c: `pursed`: the parts in the order in which they start; they stop in the reverse order. Everything between is in the
 * folders; here is only what joins them: who is handed to whom, and the timers.
 *
 * The ledger starts after budget and alerts, since its writer frees hold slots and tells of refusals until it is closed. The gate stays pinned at the
 * end: without a daemon agents are denied, not set free.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "ctl/agents.h"
#include "ctl/alerts.h"
#include "ctl/args.h"
#include "ctl/config.h"
#include "ctl/control.h"
#include "ctl/endpoints.h"
#include "ctl/events.h"
#include "ctl/process.h"
#include "ctl/server.h"
#include "ctl/trust.h"
#include "ctl_abi.h"
#include "kern/gate.h"
#include "path/path.h"
#include "provider/provider.h"
#include "spend/budget.h"
#include "spend/ledger.h"
#include "spend/price.h"
#include "spend/replay.h"
#include "wire/ca.h"
#include "wire/tls.h"

#define DRAIN_MS 5000
#define FLOW_MAX_AGE_NS (30 * INT64_C(1000000000))
#define ROLL_AT_LEAST_MS 1000 /* also when the clock was set */
#define EMBEDDED_FIRST_NS (20 * INT64_C(1000000000))
#define EMBEDDED_GRACE_NS INT64_C(1000000000)

struct daemon;
struct tick {
	struct daemon *d;
	void (*run)(struct daemon *d);
	int64_t every_ms;
	struct loop_timer *timer;
};
enum { TICK_BEAT, TICK_VERIFY, TICK_ROLL, TICK_ALERTS, TICK_WATCH, TICK_REAP, TICK_LEASES, TICK_COUNT };

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
	struct path *path;
	struct events *events;
	struct alerts *alerts;
	struct server *server;
	struct control control;
	struct tick ticks[TICK_COUNT];
	char trust_dir[1100], cgroup_was[1100];
	int64_t started_ns; /* boot clock */
	bool gate_ok, is_beating;
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
	};
	int r = gate_open(&o, &d->gate, e);

	/* Whatever an earlier daemon last said: nobody serves yet. */
	if (r == 0)
		stop_beating(d);
	return r;
}

static void stop_gate(struct daemon *d)
{
	stop_beating(d);
	gate_close(d->gate);
}

static int start_cgroup(struct daemon *d, struct err *e)
{
	uint64_t id = 0;
	int r = process_take_cgroup(d->cgroup_was, sizeof(d->cgroup_was), &id, e);

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
	int r = budget_new(gate_accounts(d->gate), GATE_ACCOUNTS_MAX, gate_holds(d->gate), GATE_HOLDS_MAX, &d->budget);

	return r < 0 ? err_set(e, -r, "budget: %s", strerror(-r)) : 0;
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
	budget_open(d->budget);
	return 0;
}

static int start_agents(struct daemon *d, struct err *e)
{
	struct agents_env env = { .config = d->config, .gate = d->gate, .budget = d->budget, .ledger = d->ledger };
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
	unsigned char own[2][32];
	struct tls_ctx *client = NULL;
	int r = endpoints_new(d->config, d->gate, d->loop, &d->endpoints, e);

	if (r < 0)
		return r;
	/* What proves an address is what a call to the provider is verified with. */
	memcpy(own[0], ca_issuer_key_sha256(d->ca), 32);
	memcpy(own[1], ca_root_key_sha256(d->ca), 32);
	r = tls_client_ctx_new(extra, (const unsigned char (*)[32])own, 2, &client, e);
	if (r == 0)
		r = endpoints_prove_with(d->endpoints, client, e);
	tls_ctx_unref(client);
	if (r < 0)
		endpoints_free(d->endpoints);
	return r;
}

static void stop_endpoints(struct daemon *d)
{
	endpoints_free(d->endpoints);
}

static void sighted(void *ctx, uint16_t provider, const char *name, const uint8_t addr[16], uint16_t port, bool listed)
{
	endpoints_sighted(ctx, provider, name, addr, port, listed);
}

static struct path_provider *providers_of(const struct config *c)
{
	struct path_provider *p = calloc(c->providers.n, sizeof(*p));

	for (size_t i = 0; p && i < c->providers.n; i++) {
		const struct config_provider *from = &c->providers.v[i];

		p[i] = (struct path_provider){
			.name = from->name, .ops = provider_find(from->dialect), .hosts = from->hosts.v,
			.nhosts = from->hosts.n, .prefix = from->prefix, .port = (uint16_t)from->port, .addrs = from->addrs,
			.naddrs = from->naddrs, .prices_as = from->prices_as, .multiplier_pct = (int)from->price_percent,
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
		.gate = d->gate, .budget = d->budget, .ledger = d->ledger, .ca = d->ca, .sighted = sighted, .sighted_ctx = d->endpoints,
	};

	gate_set_policy(d->gate, c->others == CONFIG_DENY, c->capture_ports.v, c->capture_ports.n,
			(uint64_t)c->heartbeat_stale_ns);
	d->providers = providers_of(c);
	if (!d->providers)
		return err_set(e, ENOMEM, "path: out of memory");
	struct path_options o = {
		.providers = d->providers, .nproviders = c->providers.n, .workers = (unsigned)c->workers,
		.listen_port = (uint16_t)c->listen_port, .http2 = c->http2, .body_max = (size_t)c->body_max_bytes,
		.connect_timeout_ms = c->connect_timeout_ns / 1000000,
		.response_timeout_ms = c->response_timeout_ns / 1000000, .upstream_ca = c->upstream_ca,
	};
	int r = path_start(&o, &env, d->prices, &d->path, e);

	if (r < 0)
		free(d->providers);
	return r;
}

static void stop_path(struct daemon *d)
{
	path_stop(d->path, DRAIN_MS);
	free(d->providers);
}

/* An agent in a network namespace where nobody listens yet: it made a socket there, or was refused already. */
static void heard_from_gate(void *ctx, const struct gate_event *event)
{
	struct daemon *d = ctx;

	if ((event->reason == GATE_REASON_LOOK || event->reason == GATE_REASON_NETNS) && event->agent_cgroup)
		path_look(d->path, event->agent_cgroup, (int)event->pid);
}

static int start_events(struct daemon *d, struct err *e)
{
	int r = events_new(d->gate, d->loop, &d->events, e);

	if (r == 0)
		events_tap(d->events, heard_from_gate, d);
	return r;
}

static void stop_events(struct daemon *d)
{
	events_free(d->events);
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
		COUNT(conns), COUNT(conns_open), COUNT(strangers), COUNT(spliced), COUNT(plain_http), COUNT(tls_failed), COUNT(tls_distrusted),
		COUNT(exchanges), COUNT(exchanges_open), COUNT(refused), COUNT(forwarded), COUNT(free_calls),
		COUNT(upstream_conns), COUNT(upstream_reused), COUNT(upstream_failed), COUNT(settled), COUNT(estimated),
		COUNT(overruns), COUNT(namespaces),
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
}

static int start_server(struct daemon *d, struct err *e)
{
	char path[1200];

	d->control = (struct control){
		.config = d->config, .gate = d->gate, .budget = d->budget, .ledger = d->ledger, .ca = d->ca,
		.agents = d->agents, .endpoints = d->endpoints, .events = d->events, .alerts = d->alerts, .trust_dir = d->trust_dir,
		.daemon = d, .describe = describe, .reload = reload_prices, .stop_calls = stop_calls,
	};
	(void)config_place(d->config->run_dir, PURSE_SOCKET_NAME, path, sizeof(path));
	struct server_options o = { .socket_path = path };

	return server_new(d->loop, &d->control, &o, &d->server, e);
}

static void stop_server(struct daemon *d)
{
	server_free(d->server);
}

/* ---- timers */

static void beat(struct daemon *d)
{
	/* Not while the ledger is unwell: agents are then answered with the reason, which needs the daemon. */
	d->is_beating = d->gate_ok && path_is_alive(d->path);
	if (d->is_beating)
		gate_beat(d->gate);
}

/* Detached, replaced or unpinned by somebody: said aloud, put back at once, said again. While it is off the gate gets no beat. */
static void verify(struct daemon *d)
{
	bool was_ok = d->gate_ok;
	struct err why;

	d->gate_ok = gate_verify(d->gate, &d->gate_error) == 0;
	if (!d->gate_ok) {
		stop_beating(d);
		why = d->gate_error;
		d->gate_problem = why;
		log_error("daemon", "%s; putting it back", why.text);
		d->gate_ok = gate_repair(d->gate, &d->gate_error) == 0;
		d->gate_repairs += d->gate_ok;
	}
	if (was_ok && !d->gate_ok)
		log_error("daemon", "%s; it cannot be put back: agents are denied where the gate still is", d->gate_error.text);
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

static void on_tick(void *ctx)
{
	struct tick *t = ctx;

	t->run(t->d);
	loop_timer_set(t->timer, t->every_ms);
}

static void stop_timers(struct daemon *d)
{
	for (int i = 0; i < TICK_COUNT; i++)
		if (d->ticks[i].timer)
			loop_timer_free(d->ticks[i].timer);
}

static int start_timers(struct daemon *d, struct err *e)
{
	static const struct tick kinds[TICK_COUNT] = {
		[TICK_VERIFY] = { .run = verify, .every_ms = 1000 },
		[TICK_BEAT] = { .run = beat, .every_ms = 250 },
		[TICK_ROLL] = { .run = roll, .every_ms = ROLL_AT_LEAST_MS },
		[TICK_ALERTS] = { .run = look_out, .every_ms = 1000 },
		[TICK_WATCH] = { .run = watch, .every_ms = 2000 },
		[TICK_REAP] = { .run = reap, .every_ms = 10000 },
		[TICK_LEASES] = { .run = leases, .every_ms = 250 },
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
	if (r == 0 && !d->gate_ok) {
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

static void on_stop(void *ctx, int signum)
{
	struct daemon *d = ctx;

	log_info("daemon", "%s: stopping; calls in flight have %d seconds", strsignal(signum), DRAIN_MS / 1000);
	loop_stop(d->loop);
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
	return r < 0 ? err_set(e, -r, "signals: %s", strerror(-r)) : 0;
}

/* ---- the whole */

static const struct step {
	const char *name;
	int (*start)(struct daemon *d, struct err *e);
	void (*stop)(struct daemon *d);
} steps[] = {
	{ "loop", start_loop, stop_loop },
	{ "dirs", start_dirs, NULL },
	{ "prices", start_prices, stop_prices },
	{ "gate", start_gate, stop_gate },
	{ "cgroup", start_cgroup, stop_cgroup },
	{ "budget", start_budget, stop_budget },
	{ "alerts", start_alerts, stop_alerts },
	{ "ledger", start_ledger, stop_ledger },
	{ "ca", start_ca, stop_ca },
	{ "agents", start_agents, stop_agents },
	{ "endpoints", start_endpoints, stop_endpoints },
	{ "path", start_path, stop_path },
	{ "events", start_events, stop_events },
	{ "timers", start_timers, stop_timers },
	{ "signals", start_signals, NULL },
	{ "control", start_server, stop_server },
};
#define STEP_COUNT (sizeof(steps) / sizeof(steps[0]))

static void stop_from(struct daemon *d, size_t n)
{
	while (n-- > 0)
		if (steps[n].stop)
			steps[n].stop(d);
}

static int run(const struct config *c, bool is_embedded)
{
	struct daemon *d = calloc(1, sizeof(*d));
	struct err e = { "" };
	size_t n = 0;

	if (!d)
		return PURSE_EXIT_FAILURE;
	d->config = c;
	d->is_embedded = is_embedded;
	d->started_ns = clock_boot_ns();
	while (n < STEP_COUNT && steps[n].start(d, &e) == 0)
		n++;
	if (n < STEP_COUNT) {
		log_error("daemon", "cannot start (%s): %s", steps[n].name, e.text);
	} else {
		log_info("daemon", "ready: version %s, listening on 127.0.0.1:%u and [::1]:%u, %zu providers, control %s/%s",
			 PURSE_VERSION, gate_state(d->gate)->port4, gate_state(d->gate)->port6, c->providers.n, c->run_dir,
			 PURSE_SOCKET_NAME);
		loop_run(d->loop);
	}
	stop_from(d, n);
	free(d);
	return n < STEP_COUNT ? PURSE_EXIT_FAILURE : PURSE_EXIT_OK;
}

struct flags {
	const char *config;
	bool debug, embedded, help, version;
};
static const struct args_row rows[] = {
	{ .name = "--config", .letter = 'c', .type = ARGS_TEXT, .offset = offsetof(struct flags, config), .value = "FILE",
	  .help = "default $" PURSE_CONFIG_ENV ", else " PURSE_CONFIG_PATH },
	{ .name = "--debug", .type = ARGS_SWITCH, .offset = offsetof(struct flags, debug), .help = "log more" },
	{ .name = "--embedded", .type = ARGS_SWITCH, .offset = offsetof(struct flags, embedded),
	  .help = "stop after the last `purse run` (which uses this)" },
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
			     "stderr. SIGTERM: drain and stop. SIGHUP: load prices again.\n", PURSE_VERSION);
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
	exit_code = run(c, f.embedded);
	config_free(c);
	return exit_code;
}
