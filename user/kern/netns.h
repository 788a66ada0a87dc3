// SPDX-License-Identifier: Apache-2.0
/*
 * netns.h: network namespaces that are not ours: which ones the agents' processes are in, and sockets inside of them. A socket
 * belongs to the namespace in which it was made, whoever uses it: it is made there by a helper thread (setns moves one thread
 * only), which then ends. Who listens where, and for how long, is not decided here.
 *
 * A namespace is told apart by the inode of /proc/PID/ns/net, which is not used again while a socket of ours keeps the namespace
 * alive; the gate knows it by its cookie, which is never used again until the machine boots.
 */
#ifndef PURSE_KERN_NETNS_H
#define PURSE_KERN_NETNS_H

#include <sys/types.h>

#include "base/err.h"
#include "terms.h"

struct gate;

struct netns_id {
	dev_t dev;
	ino_t ino;
};

/* One sighting. */
struct netns_seen {
	struct netns_id id;
	int pid, tid;
	uint64_t agent; /* key in agents of the cgroup that was looked at; 0 = it was a look at a process */
};
typedef void (*netns_see_fn)(void *ctx, const struct netns_seen *s);

int netns_own(struct netns_id *ret); /* of the calling thread */
/*
 * Every process of every enrolled cgroup and of those below; the same namespace comes many times. Any thread. Negative
 * errno: the cgroups cannot be opened by their ids (CAP_DAC_READ_SEARCH).
 */
int netns_look_agents(struct gate *g, netns_see_fn see, void *ctx);
/* The threads of one process, NETNS_THREADS_MAX at most: one of them may have gone elsewhere alone. -ESRCH: it is gone. */
#define NETNS_THREADS_MAX 256
int netns_look_process(int pid, netns_see_fn see, void *ctx);
/* A descriptor of what was seen, for netns_listen. -ESTALE: it has gone somewhere else meanwhile. */
int netns_open(const struct netns_seen *s);

/* Descriptors are the caller's; -1 with the errno that says why there is none. */
struct netns_listener {
	int fd4, fd6; /* 127.0.0.1, ::1 */
	int why4, why6;
	uint16_t port4, port6;
	uint64_t cookie;
};
#define NETNS_LISTENER_NONE { .fd4 = -1, .fd6 = -1 }
/*
 * Listens in the namespace `ns` (-1 = the caller's own) on `port`; 0 = l->port4 and port6 as they come in if they can be had, else the first that
 * can, outside of what the kernel chooses from (ports.h). Fills in what *l has not yet. A family
 * that cannot be had there is no error: no ::1, or a loopback device that is down (ENETDOWN; in another namespace only). Negative errno: nothing could be asked there.
 */
int netns_listen(int ns, uint16_t port, struct netns_listener *l);

/* Runs do_there in the namespace `ns`, on a thread of its own: what it answered, or a negative errno of the way there. */
int netns_visit(int ns, int (*do_there)(void *ctx), void *ctx);
int netns_cookie(int fd, uint64_t *ret); /* of the namespace of that socket. Linux 5.14 */

/*
 * A TCP socket (non-blocking, close-on-exec) in the namespace of the socket `like`: what it dials goes by that namespace's routes and
 * rules. Some 50 us where that is not ours. The descriptor or a negative errno.
 */
int netns_socket(int like, int family);

#endif
