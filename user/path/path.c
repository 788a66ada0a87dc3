// SPDX-License-Identifier: Apache-2.0
/*
 * path.c: the egress as a whole: listeners, shared TLS context, price list, the set of workers. What a connection
 * goes through is in the step files; what a thread owns is in worker.c.
 */
#include "path/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "kern/gate.h"
#include "kern/netns.h"
#include "path/shares.h"
#include "path/fingerprint.h"
#include "path/listening.h"
#include "path/namespaces.h"
#include "path/prefix.h"
#include "path/worker.h"
#include "spend/price/price.h"
#include "wire/ca.h"
#include "wire/tls.h"

struct path {
	struct path_options options;
	struct path_env env;
	pthread_mutex_t lock; /* prices */
	struct price_list *prices;
	struct tls_ctx *client_tls;
	struct listenings listenings;
	struct namespaces *namespaces;
	struct fingerprint_key fingerprints;
	struct prefix_table *prefixes;
	struct shares *shares;
	_Atomic bool stopping, leaving;
	struct path_inherited own; /* descriptors belong to the listenings */
	_Atomic int64_t drain_until_ns;
	struct worker *workers;
};

static int add_listening(struct path *p, int fd, uint64_t cookie)
{
	return fd < 0 || listenings_add(&p->listenings, fd, cookie) ? 0 : -ENOMEM;
}

static const struct path_inherited *inherited_own(const struct path *p)
{
	for (size_t i = 0; i < p->options.ninherited; i++)
		if (p->options.inherited[i].is_own)
			return &p->options.inherited[i];
	return NULL;
}

struct strays {
	const struct path_options *options;
	uint64_t cookies[GATE_LISTENERS_MAX];
	size_t n;
};

static void find_stray(void *ctx, uint64_t cookie, const struct gate_listener *l)
{
	struct strays *s = ctx;
	size_t i = 0;

	(void)l;
	while (i < s->options->ninherited && s->options->inherited[i].cookie != cookie)
		i++;
	if (i == s->options->ninherited && s->n < GATE_LISTENERS_MAX)
		s->cookies[s->n++] = cookie;
}

/* Rows of listeners that nobody has: what an even earlier daemon left, while one ran that did not know of these rows. */
static void drop_strays(struct path *p)
{
	struct strays *s = calloc(1, sizeof *s);

	if (!s)
		return;
	s->options = &p->options;
	(void)gate_each_listener(p->env.gate, find_stray, s);
	for (size_t i = 0; i < s->n; i++)
		(void)gate_drop_listener(p->env.gate, s->cookies[i]);
	free(s);
}

static int listeners_take(struct path *p, const struct path_inherited *own, struct err *e)
{
	drop_strays(p);
	p->own = *own;
	if (add_listening(p, own->fd4, own->cookie) || add_listening(p, own->fd6, own->cookie))
		return err_set(e, ENOMEM, "egress: no memory");
	gate_set_listeners(p->env.gate, own->port4, own->port6, own->cookie);
	log_info("egress", "listening on 127.0.0.1:%u%s, taken over", own->port4, own->port6 ? " and ::1" : "");
	return 0;
}

static int listeners_open(struct path *p, struct err *e)
{
	struct netns_listener l = NETNS_LISTENER_NONE;

	if (inherited_own(p))
		return listeners_take(p, inherited_own(p), e);

	/* The row of an earlier daemon keeps its port for us until it is ours; then nobody serves what else it left. */
	l.port4 = gate_state(p->env.gate)->port4;
	l.port6 = gate_state(p->env.gate)->port6;
	int r = netns_listen(-1, p->options.listen_port, &l);

	gate_clear_listeners(p->env.gate);
	/* From us, too, if we have no cgroup of our own. */
	if (!r && (l.fd4 < 0 || l.fd6 < 0))
		r = netns_listen(-1, p->options.listen_port, &l);
	if (r)
		return err_set(e, -r, "egress: SO_NETNS_COOKIE: %s; Linux 5.14 or newer is needed", strerror(-r));
	r = add_listening(p, l.fd4, l.cookie);
	if (!r)
		r = add_listening(p, l.fd6, l.cookie);
	if (r)
		return err_set(e, -r, "egress: no memory");
	if (l.fd4 < 0)
		return err_set(e, l.why4, "egress: cannot listen on 127.0.0.1:%u: %s; choose another listen_port, or 0",
			       p->options.listen_port, strerror(l.why4));
	/* No ::1 in this namespace is fine: the gate then denies native IPv6 of agents, and clients fall back. */
	if (l.fd6 < 0)
		log_warn("egress", "no listener on ::1 (%s): agents' native IPv6 connections are denied", strerror(l.why6));
	p->own = (struct path_inherited){ .fd4 = l.fd4, .fd6 = l.fd6, .port4 = l.port4, .port6 = l.port6, .cookie = l.cookie, .is_own = true };
	gate_set_listeners(p->env.gate, l.port4, l.port6, l.cookie);
	log_info("egress", "listening on 127.0.0.1:%u%s", l.port4, l.port6 ? " and ::1" : "");
	return 0;
}

static int client_tls_open(struct path *p, struct err *e)
{
	const char *extra = p->options.upstream_ca && *p->options.upstream_ca ? p->options.upstream_ca : NULL;

	return ca_client_ctx_new(p->env.ca, extra, &p->client_tls, e);
}

/* What the daemon needs besides agents' connections: its own files, kept connections to providers, listeners in namespaces. */
static uint64_t files_reserved(const struct path_options *o, uint64_t files)
{
	uint64_t want = 256 + (uint64_t)o->workers * 72 + files / 10;

	return want < files / 2 ? want : files / 2;
}

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

static int shares_open(struct path *p)
{
	const struct path_options *o = &p->options;
	struct rlimit files = { .rlim_cur = 1024 };

	(void)getrlimit(RLIMIT_NOFILE, &files);
	uint64_t room = files.rlim_cur - files_reserved(o, files.rlim_cur);
	struct share_limit limits[SHARE_COUNT] = {
		[SHARE_CONNECTIONS] = { o->connections_max && o->connections_max < room ? o->connections_max : room, o->connections_per_agent },
		/* One body of the largest size always fits into what nobody uses. */
		[SHARE_BODIES] = { larger(o->bodies_max, 2 * (uint64_t)o->body_max), larger(o->bodies_per_agent, o->body_max) },
	};

	if (o->connections_max > room)
		log_warn("egress", "connections_max is %llu, but the limit of open files (%llu) leaves %llu", (unsigned long long)o->connections_max,
			 (unsigned long long)files.rlim_cur, (unsigned long long)room);
	return shares_new(limits, o->workers, &p->shares);
}

int path_start(const struct path_options *o, const struct path_env *env, struct price_list *prices, struct path **ret,
	       struct err *e)
{
	struct path *p = calloc(1, sizeof *p);
	if (!p)
		return err_set(e, ENOMEM, "egress: no memory");
	p->options = *o;
	p->env = *env;
	p->prices = price_list_ref(prices);
	listenings_init(&p->listenings);
	pthread_mutex_init(&p->lock, NULL);
	p->workers = calloc(o->workers, sizeof *p->workers);

	int r = p->workers ? 0 : err_set(e, ENOMEM, "egress: no memory");
	p->prefixes = prefix_new();
	if (!r && !p->prefixes)
		r = err_set(e, ENOMEM, "egress: no memory");
	if (!r && fingerprint_key_new(&p->fingerprints))
		r = err_set(e, EIO, "egress: the kernel gives no random numbers");
	if (!r && shares_open(p))
		r = err_set(e, ENOMEM, "egress: no memory");
	if (!r)
		r = client_tls_open(p, e);
	if (!r)
		r = listeners_open(p, e);
	for (unsigned i = 0; !r && i < o->workers; i++)
		r = worker_start(&p->workers[i], p, i, e);
	if (!r)
		r = namespaces_start(p, &p->namespaces, e);
	if (r) {
		path_stop(p, 0);
		return r;
	}
	p->options.inherited = NULL;
	p->options.ninherited = 0;
	*ret = p;
	return 0;
}

/* ---- a hand-over */

void path_pause(struct path *p)
{
	namespaces_pause(p->namespaces);
}

int path_resume(struct path *p)
{
	return namespaces_resume(p->namespaces);
}

void path_each_listener(struct path *p, void (*fn)(void *ctx, const struct path_inherited *one), void *ctx)
{
	fn(ctx, &p->own);
	namespaces_each(p->namespaces, fn, ctx);
}

void path_leave(struct path *p)
{
	atomic_store(&p->leaving, true);
	path_wake_workers(p);
}

bool path_is_leaving(struct path *p)
{
	return atomic_load(&p->leaving);
}

bool path_is_over(struct path *p)
{
	for (unsigned i = 0; i < p->options.workers; i++)
		if (!atomic_load(&p->workers[i].is_over))
			return false;
	return true;
}

void path_stop(struct path *p, int64_t drain_ms)
{
	if (!p)
		return;
	namespaces_stop(p->namespaces);
	atomic_store(&p->drain_until_ns, clock_boot_ns() + drain_ms * 1000000);
	atomic_store(&p->stopping, true);
	for (unsigned i = 0; p->workers && i < p->options.workers; i++)
		worker_stop_join(&p->workers[i]);
	listenings_done(&p->listenings);
	tls_ctx_unref(p->client_tls);
	price_list_unref(p->prices);
	prefix_free(p->prefixes);
	shares_free(p->shares);
	pthread_mutex_destroy(&p->lock);
	free(p->workers);
	free(p);
}

void path_stop_calls(struct path *p, uint32_t account)
{
	for (unsigned i = 0; i < p->options.workers; i++)
		worker_stop_calls(&p->workers[i], account);
}

void path_wake_workers(struct path *p)
{
	for (unsigned i = 0; i < p->options.workers; i++)
		worker_wake(&p->workers[i]);
}

void path_wake_worker(struct path *p, unsigned index)
{
	if (index < p->options.workers)
		worker_wake(&p->workers[index]);
}

void path_look(struct path *p, uint64_t agent, int pid)
{
	namespaces_look(p->namespaces, agent, pid);
}

size_t path_list_namespaces(struct path *p, struct path_namespace *ret, size_t most)
{
	return namespaces_list(p->namespaces, ret, most);
}

void path_set_prices(struct path *p, struct price_list *prices)
{
	pthread_mutex_lock(&p->lock);
	struct price_list *old = p->prices;
	p->prices = price_list_ref(prices);
	pthread_mutex_unlock(&p->lock);
	price_list_unref(old);
}

struct price_list *path_prices(struct path *p)
{
	pthread_mutex_lock(&p->lock);
	struct price_list *l = price_list_ref(p->prices);
	pthread_mutex_unlock(&p->lock);
	return l;
}

bool path_is_alive(struct path *p)
{
	int64_t now = clock_boot_ns();

	for (unsigned i = 0; i < p->options.workers; i++)
		if (now - atomic_load_explicit(&p->workers[i].turned_ns, memory_order_relaxed) > 1000000000)
			return false;
	return true;
}

void path_count(struct path *p, struct path_counts *ret)
{
	uint64_t *sum = (uint64_t *)ret;

	*ret = (struct path_counts){ 0 };
	for (unsigned i = 0; i < p->options.workers; i++) {
		const uint64_t *one = (const uint64_t *)&p->workers[i].counts;
		for (size_t k = 0; k < sizeof *ret / sizeof *sum; k++)
			sum[k] += __atomic_load_n(&one[k], __ATOMIC_RELAXED);
	}
	ret->namespaces = path_list_namespaces(p, NULL, 0);
}

struct tls_ctx *path_client_tls(struct path *p) { return p->client_tls; }
const struct fingerprint_key *path_fingerprint_key(struct path *p) { return &p->fingerprints; }
struct prefix_table *path_prefixes(struct path *p) { return p->prefixes; }
struct shares *path_shares(struct path *p) { return p->shares; }
struct listenings *path_listenings(struct path *p) { return &p->listenings; }
const struct path_options *path_options_of(struct path *p) { return &p->options; }
const struct path_env *path_env_of(struct path *p) { return &p->env; }

bool path_is_stopping(struct path *p, int64_t *ret_drain_until_ns)
{
	if (!atomic_load(&p->stopping))
		return false;
	*ret_drain_until_ns = atomic_load(&p->drain_until_ns);
	return true;
}

/* ".example.com" matches every name below it, never example.com itself and never "evilexample.com". */
static bool host_matches(const char *pattern, const char *host)
{
	size_t np = strlen(pattern), nh = strlen(host);

	if (pattern[0] != '.')
		return !strcmp(pattern, host);
	return nh > np && !strcmp(host + nh - np, pattern);
}

const struct path_provider *path_provider_of(struct path *p, const char *host, uint16_t *ret_index)
{
	for (size_t i = 0; i < p->options.nproviders; i++) {
		const struct path_provider *one = &p->options.providers[i];
		for (size_t k = 0; k < one->nhosts; k++)
			if (host_matches(one->hosts[k], host)) {
				*ret_index = (uint16_t)i;
				return one;
			}
	}
	return NULL;
}
