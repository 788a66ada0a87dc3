// SPDX-License-Identifier: Apache-2.0
/*
 * path.h: the egress as the daemon sees it: start it, stop it, look at its counters. The steps are in the files that
 * docs/path.md lists. It runs its own worker threads, each with a loop; everything handed over in
 * path_env must outlive path_stop and be thread-safe (all of it says so in its header).
 */
#ifndef PURSE_PATH_PATH_H
#define PURSE_PATH_PATH_H

#include <sys/socket.h>

#include "base/err.h"
#include "gate_abi.h"
#include "terms.h"

struct addr_port;
struct ca;
struct gate;
struct money;
struct path;
struct price_list;
struct provider_ops;

/* One configured provider. All pointers live as long as the path. */
struct path_provider {
	const char *name;
	const struct provider_ops *ops;
	const char *const *hosts; /* exact lower-case names, or ".example.com" for all below */
	size_t nhosts;
	const char *prefix;    /* "/v1"; "" = none */
	uint16_t port;         /* dialled upstream */
	const struct sockaddr_storage *addrs; /* dialled instead of what DNS says, if naddrs > 0 */
	size_t naddrs;
	const char *prices_as; /* name in the price list */
	int multiplier_pct;    /* 100 */
	const char *region;    /* of its hosts; NULL or "" = the first label of the one that is asked */
	/*
	 * Rolling holds (docs/holds.md): a stream holds its input and the output that can have been made by now plus a slice. It rests on
	 * a bound of how fast this provider can make tokens for one call; 0 = no rolling, streams hold their whole ceiling.
	 */
	int64_t output_rate; /* tokens per second, at most */
	/* A streamed call whose agent left: cancel and estimate, or read on to its exact usage for so long. */
	bool drain_on_abort;
	int64_t drain_ms;
};

/* Listeners of one namespace, opened by another process: 127.0.0.1 and ::1, -1 = none. */
struct path_inherited {
	int fd4, fd6;
	uint16_t port4, port6;
	bool is_own; /* of the daemon's own namespace; the rest is for others, as namespaces.h keeps it */
	uint64_t cookie, dev, ino, agent;
	int pid, tid;
};

struct path_options {
	const struct path_inherited *inherited; /* a hand-over: listened on as they are; the descriptors are the path's then. During path_start */
	size_t ninherited;
	const struct path_provider *providers; /* index = the `provider` of gate endpoints and hold slots */
	size_t nproviders;
	const struct addr_port *proxies; /* HTTP proxies whose CONNECTs are read (tunnel.h) */
	size_t nproxies;
	unsigned workers;
	uint16_t listen_port; /* 0 = a free one that the kernel gives to nobody */
	bool http2;
	bool refuse_ech; /* of agents, wherever they go; towards LLM addresses it always is */
	size_t body_max;
	int64_t connect_timeout_ms, response_timeout_ms;
	/* From a request's first byte to the end of its head, and again to the end of its body; an answer of which nothing is taken. */
	int64_t request_timeout_ms, stall_timeout_ms;
	uint64_t connections_max, connections_per_agent; /* connections_max 0 = what the limit of open files leaves */
	uint64_t bodies_max, bodies_per_agent;           /* bytes; raised to where one body of body_max fits */
	const char *upstream_ca; /* NULL or "" = system roots only */
};

struct path_env {
	struct gate *gate;
	struct money *money; /* budget and ledger, wherever they are: money.h */
	struct ca *ca;
	/*
	 * NULL ok. An agent's TLS connection names a host of that provider (index); listed: the gate has the address as an
	 * endpoint. Any worker's thread; returns at once.
	 */
	void (*sighted)(void *ctx, uint16_t provider, const char *name, const struct gate_flow *flow, const char *agent, bool listed);
	void *sighted_ctx;
	/* NULL ok. A connection that the gate let come was refused (denial.h): word and text are static; agent "" = none. Likewise. */
	void (*refused)(void *ctx, const struct gate_flow *flow, const char *agent, const char *word, const char *text);
	void *refused_ctx;
};

/*
 * Opens the listeners (127.0.0.1, and ::1 where there is one), tells the gate about them, starts the workers and the watch over other network
 * namespaces (namespaces.h). Rows of listeners that an earlier daemon left are cleared. Takes a reference on prices.
 */
int path_start(const struct path_options *o, const struct path_env *env, struct price_list *prices, struct path **ret,
	       struct err *e);
/* Takes no new connections, gives calls in flight up to drain_ms, settles the rest, joins the threads, frees. */
void path_stop(struct path *p, int64_t drain_ms);
/*
 * A hand-over, docs/upgrade.md. path_each_listener: what there is to be inherited, the descriptors stay the path's; between path_pause and
 * path_resume nothing is added or dropped. path_leave: accepts no more, ends with the calls and connections that it has; no
 * connection is kept alive after its next answer. path_is_over: it has none left.
 */
void path_pause(struct path *p);
int path_resume(struct path *p);
void path_each_listener(struct path *p, void (*fn)(void *ctx, const struct path_inherited *one), void *ctx);
void path_leave(struct path *p);
bool path_is_over(struct path *p);
/* New calls use the new list; calls in flight keep theirs. Takes a reference. */
void path_set_prices(struct path *p, struct price_list *prices);
/*
 * Cuts the calls in flight of an account and of all below it: streams end with the provider's own error event, the upstream is
 * cancelled, the charge is what was used. Returns at once; any thread. The account should be paused first.
 */
void path_stop_calls(struct path *p, uint32_t account);
/* True if every worker's loop turned within the last second: the daemon beats only then. */
bool path_is_alive(struct path *p);

/*
 * The gate denied a process of that agent (its key in agents) for want of a listener in its network namespace: look there at once, as
 * namespaces.h says. Any thread, returns at once.
 */
void path_look(struct path *p, uint64_t agent, int pid);

/* A network namespace that is not ours and has listeners. */
struct path_namespace {
	uint64_t inode; /* of /proc/PID/ns/net: "net:[4026532345]" */
	uint64_t agent; /* key in agents: whose process was seen there first */
	int pid;        /* seen there last */
	uint16_t port4, port6; /* 0 = none of that family */
};
/* Up to `most`; returns how many there are. Any thread. */
size_t path_list_namespaces(struct path *p, struct path_namespace *ret, size_t most);

/* Sums over workers; for status and metrics. */
struct path_counts {
	uint64_t conns, conns_open, strangers, spliced, plain_http, tls_failed, tls_distrusted;
	uint64_t hidden_names; /* refused for ECH; in `refused`, too */
	uint64_t exchanges, exchanges_open, refused, forwarded, free_calls;
	uint64_t upstream_conns, upstream_reused, upstream_failed;
	uint64_t settled, estimated, overruns;
	uint64_t input_known; /* holds whose input an earlier request bounds (docs/holds.md) */
	/* Refused by a bound of shares.h; resting connections closed for newer ones; requests and answers that took too long; accept without descriptors. */
	uint64_t over_share, shed, slow_requests, stalled, out_of_files;
	uint64_t namespaces; /* other network namespaces with listeners, now; not of a worker */
};
void path_count(struct path *p, struct path_counts *ret);

#endif
