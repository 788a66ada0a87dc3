// SPDX-License-Identifier: Apache-2.0
/*
 * ways_untried.c: what belongs to the catalogue and is not tried on anybody's node, since it would take the gate off, ask a provider, or
 * need what a node does not have. Each says why, and what to do.
 */
#include "kern/ways_inside.h"

#define UNTRIED(text) .untried = (text)

static const struct way rows[] = {
	{ 26, "relay elsewhere", "a VPN, SSH or relay on another machine", WAY_NEEDS_PEER,
	  UNTRIED("needs a machine outside. purse is no egress firewall: an allow-list of destinations closes it") },
	{ 36, "fronting", "another customer's name in TLS, the LLM's in the request",
	  UNTRIED("would ask a CDN. Behind LLM names each request has to name the host of its TLS; list a CDN's whole family as hosts (docs/names.md)") },
	{ 42, "kept connection", "a connection from before the budget was used up",
	  UNTRIED("would cost a call. purse asks the budget for each request, not for each connection") },
	{ 45, "gate taken off by root", "BPF_LINK_DETACH, or the pins removed", WAY_NEEDS_CAPS,
	  UNTRIED("would take the gate off. Root can; pursed puts it back within a second: watch gate_repairs in `purse status --json`") },
	{ 46, "another BPF manager", "one that removes programs which are not its own",
	  UNTRIED("would need one. `purse doctor`, row \"gate links\", says whether ours are attached") },
	{ 47, "cgroup v1", "sockets of no cgroup v2",
	  UNTRIED("would change the node. `purse doctor` says which kernel and cgroup tree this is") },
	{ 48, "pursed in a container", "a daemon in a container guards its own subtree only",
	  UNTRIED("would need another daemon. pursed refuses a cgroup mount that does not show the root") },
	{ 50, "reboot", "agents that start before pursed",
	  UNTRIED("would need a reboot. Order agents' units After= and Requires= pursed.service; its pins do not outlive the machine") },
	{ 51, "microVM, gVisor", "an agent with a network stack of its own",
	  UNTRIED("needs such a runtime. Its packets pass no socket hook: give agents none, or keep its bridge from LLM addresses by firewall") },
	{ 56, "second hello", "another name after a HelloRetryRequest",
	  UNTRIED("needs a server that asks for one. purse refuses a second name that is not the first (docs/names.md)") },
};
const struct way_table ways_untried = WAY_TABLE(rows);
