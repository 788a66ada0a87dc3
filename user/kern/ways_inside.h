// SPDX-License-Identifier: Apache-2.0
/* ways_inside.h: one attempt, between ways.c and ways_uring.c. */
#ifndef PURSE_KERN_WAYS_INSIDE_H
#define PURSE_KERN_WAYS_INSIDE_H

#include "kern/ways.h"

struct way_socket {
	int domain, type, protocol;
	const char *loaded_as; /* in /proc/net/protocols; NULL = always there */
};

struct attempt {
	const struct way_targets *t;
	struct way_result *r; /* shared with the parent */
	const struct way_socket *socket;
	int fd, ring;         /* made before the cgroup was entered */
	void *ring_mem[3];
	struct ring_order *order; /* shared memory, for a ring whose thread has another address space */
};

void way_say(struct attempt *a, enum way_end end, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void way_say_errno(struct attempt *a, const char *call, int err);
void way_say_where(struct attempt *a, int fd); /* a connect went through: captured or open */

void way_uring_connect(struct attempt *a);
void way_uring_make(struct attempt *a);
void way_uring_foreign(struct attempt *a);
void way_uring_tell(struct attempt *a);

#endif
