// SPDX-License-Identifier: Apache-2.0
/*
 * listening.h: sockets that all workers accept on. One is made and dropped by any thread while workers use it: each worker holds a
 * reference, and the descriptor is closed with the last one. A worker hears of changes by its wake and then makes its own list equal
 * to the path's.
 */
#ifndef PURSE_PATH_LISTENING_H
#define PURSE_PATH_LISTENING_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "terms.h"

struct worker;

struct listening {
	struct list link; /* in listenings */
	atomic_uint refs;
	int fd;
	uint64_t netns_cookie; /* of the namespace that it is in: half of the key of a flow */
};

/* The list of the path. `changes` counts, so that a worker that is woken for something else looks at one number. */
struct listenings {
	pthread_mutex_t lock;
	struct list all;
	_Atomic uint64_t changes; /* from 1 */
};
void listenings_init(struct listenings *l);
void listenings_done(struct listenings *l); /* drops all; workers must be gone */
/* Takes the descriptor, also on failure. The caller wakes the workers. NULL = no memory. */
struct listening *listenings_add(struct listenings *l, int fd, uint64_t netns_cookie);
void listenings_drop(struct listenings *l, struct listening *one); /* NULL ok; the caller wakes the workers */

/* ---- a worker's side, on its own thread */
struct worker_listen {
	struct list link;
	struct worker *worker;
	struct listening *on;
	struct loop_io *io;
};
/* Makes w->listens equal to the path's list; cheap when nothing changed. Negative errno: the rest is tried at the next call. */
int listening_sync(struct worker *w, struct listenings *l);
void listening_want(struct worker *w, bool on);
void listening_free_all(struct worker *w);

#endif
