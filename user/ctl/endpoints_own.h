// SPDX-License-Identifier: Apache-2.0
/*
 * endpoints_own.h: what endpoints.c (who says what: DNS, agents, the config) and endpoints_table.c (what is kept of it, and what the gate is
 * told) share. Not for others.
 */
#ifndef PURSE_CTL_ENDPOINTS_OWN_H
#define PURSE_CTL_ENDPOINTS_OWN_H

#include <pthread.h>

#include "base/addr.h"
#include "ctl/config/config.h"
#include "ctl/endpoints.h"
#include "ctl/endpoint_proof.h"

#define ENDPOINTS_INBOX_MAX 64

struct address {
	uint8_t addr[16]; /* v4 as v4-mapped */
	unsigned known_by;
	bool is_near; /* of one known by sni */
	char taught_by[GATE_NAME_MAX]; /* likewise: who brought it up first */
	int64_t since_s, seen_s;
};

struct host {
	struct endpoints *ep;
	const char *name;
	uint16_t provider; /* index */
	bool fixed, wildcard, told_full;
	struct address *addrs;
	size_t n, cap;
	char error[128];
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
	struct events_door *door;
	struct loop_timer *sweep;

	/* What an earlier daemon left in the gate: stays for a while, in case that DNS does not answer now. */
	struct addr_net *left;
	size_t nleft, left_cap;
	int64_t left_until_s;

	/* The one door for other threads. */
	pthread_mutex_t lock;
	struct loop_wake *wake;
	struct proof inbox[ENDPOINTS_INBOX_MAX];
	unsigned ninbox;
	uint64_t sighted, dropped;
	_Atomic int64_t listed_ns; /* when the last sighting of a listed address was taken */
};

static inline const struct config_provider *provider_of(const struct host *h) { return &h->ep->config->providers.v[h->provider]; }

/* ---- endpoints_table.c */
struct address *host_find(const struct host *h, const uint8_t addr[16]);
/* What the gate should say of an address: the strictest of all that have it. NULL = nobody has. */
const struct host *table_owner(const struct endpoints *ep, const uint8_t addr[16], enum gate_class *ret);
enum gate_class provider_class(const struct config_provider *p);
size_t host_learned(const struct host *h);
size_t table_learned(const struct endpoints *ep);
/* Adds the address, or notes that it was seen; the gate is told. Needs room. NULL: no room. */
struct address *host_take(struct host *h, const uint8_t addr[16], unsigned known_by, bool is_near, int64_t now_s);
/* One of those known by SNI alone goes, if this agent, this host, or all, have as many as they may. */
void table_make_room_for_learned(struct host *h, const char *agent);
void host_forget_old(struct host *h, bool learned_only, int64_t now_s);
/* Near what the operator or DNS names, of any host of the same provider. */
bool table_is_near(const struct endpoints *ep, uint16_t provider, const uint8_t addr[16]);
/* At the start: notes what is in the gate, puts the config's ranges. */
void table_start(struct endpoints *ep, int64_t now_s);
void table_drop_left(struct endpoints *ep, int64_t now_s);

#endif
