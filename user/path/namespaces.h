// SPDX-License-Identifier: Apache-2.0
/*
 * namespaces.h: listeners in the network namespaces of agents (containers, `ip netns`, unshare -n). A thread of its own looks where the
 * processes of enrolled cgroups are: about once a second, and at once when the gate denied somebody for want of a listener. Where it finds a new
 * namespace it opens listeners, gives them to the workers and tells the gate; where no process of an agent has been
 * for NAMESPACES_KEEP_NS it takes them away again, since a socket keeps a namespace alive. Upstream is dialled from the daemon's own namespace.
 *
 * Does not cover: processes that are no agents (others: deny) in a namespace where no agent is: they have no listener and are denied.
 */
#ifndef PURSE_PATH_NAMESPACES_H
#define PURSE_PATH_NAMESPACES_H

#include "base/err.h"
#include "terms.h"

/* With listeners, or waiting for their loopback to come up. Below GATE_LISTENERS_MAX. */
#define NAMESPACES_MAX 1024
/* Of one agent: who may make namespaces must not use up those of others. */
#define NAMESPACES_OF_AGENT_MAX 64
#define NAMESPACES_KEEP_NS INT64_C(5000000000)

struct namespaces;
struct path;
struct path_inherited;
struct path_namespace;

int namespaces_start(struct path *p, struct namespaces **ret, struct err *e);
/*
 * A hand-over (docs/upgrade.md): pause ends the looking, what was found stays; adopt takes over what another process found and listens
 * on (before the first look; -E2BIG, -ENOMEM: the descriptors are closed); resume looks again.
 */
void namespaces_pause(struct namespaces *n);
int namespaces_resume(struct namespaces *n);
void namespaces_each(struct namespaces *n, void (*fn)(void *ctx, const struct path_inherited *one), void *ctx);
void namespaces_stop(struct namespaces *n); /* NULL ok; before the workers end */
/* A process of that agent (its key in agents) was denied for want of a listener. Any thread, returns at once. */
void namespaces_look(struct namespaces *n, uint64_t agent, int pid);
/* Up to `most` of them; returns how many there are with a listener. Any thread. */
size_t namespaces_list(struct namespaces *n, struct path_namespace *ret, size_t most);

#endif
