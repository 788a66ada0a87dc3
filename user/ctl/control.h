// SPDX-License-Identifier: Apache-2.0
/*
 * control.h: what a control request can see and touch: the daemon's parts, handed to server_new once. The data path is not
 * among them (ctl/ never sees a connection or an exchange); what is to be told of it, the main fills into daemon_view.
 */
#ifndef PURSE_CTL_CONTROL_H
#define PURSE_CTL_CONTROL_H

#include "base/err.h"
#include "terms.h"

struct agents;
struct alerts;
struct budget;
struct ca;
struct config;
struct endpoints;
struct events;
struct gate;
struct ledger;
struct openings;

#define DAEMON_COUNTS_MAX 32
#define DAEMON_NAMESPACES_MAX 256
/* Another network namespace in which the daemon listens. */
struct namespace_view {
	uint64_t inode; /* "net:[4026532345]" */
	uint64_t agent; /* key in agents */
	int pid;        /* a process of it there */
	uint16_t port4, port6;
};

struct daemon_view {
	int64_t uptime_s;
	uint16_t port4, port6;
	bool path_alive;   /* every worker's loop turns */
	bool beating;      /* the gate hears of us */
	bool gate_ok;      /* links verified within the last seconds */
	char gate_text[768]; /* why not; "" */
	bool ledger_healthy;
	size_t prices;     /* entries in force */
	unsigned leases;   /* `purse run`s that are on */
	struct {
		const char *name;
		uint64_t value;
	} counts[DAEMON_COUNTS_MAX]; /* of the data path */
	size_t ncounts;
	size_t namespaces; /* all; the first DAEMON_NAMESPACES_MAX are told */
	struct namespace_view namespace[DAEMON_NAMESPACES_MAX];
};

struct control {
	const struct config *config;
	struct gate *gate;
	struct budget *budget;
	struct ledger *ledger;
	struct ca *ca;
	struct agents *agents;
	struct endpoints *endpoints;
	struct events *events;
	const struct openings *openings; /* NULL ok */
	struct alerts *alerts;
	const char *trust_dir; /* where the public certificates are for everybody to read */

	void *daemon; /* for the calls below; main loop's thread only */
	void (*describe)(void *daemon, struct daemon_view *ret);
	int (*reload)(void *daemon, struct err *e); /* prices */
	void (*stop_calls)(void *daemon, uint32_t account); /* in flight, of an account and all below it */
};

#endif
