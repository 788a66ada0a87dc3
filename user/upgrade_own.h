// SPDX-License-Identifier: Apache-2.0
/*
 * upgrade_own.h: the inside of struct upgrade. One process is three things to others, at different times:
 *
 *   upgrade_new.c     it takes over from the one before it
 *   upgrade_elders.c  it answers those before it that still have calls
 *   upgrade_old.c     another takes over from it
 *   upgrade.c         the object itself, and the moment at which a start is over
 */
#ifndef PURSE_UPGRADE_OWN_H
#define PURSE_UPGRADE_OWN_H

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "ctl/handover.h"
#include "ctl/handover_stage.h"
#include "path/money.h"
#include "upgrade.h"

/* From FROZEN to OPEN. A successor that needs longer is ended, and the old one goes on. */
#define FROZEN_MAX_MS 30000

struct loop_io;
struct loop_timer;

struct elder {
	int fd, money;
	uint32_t owner;
	pid_t pid;
	bool has_let_go; /* it has read our OPEN */
	struct money_serve *serve;
	_Atomic bool is_gone;
};

/* upgrade_new.c */
struct taking {
	int from; /* channel to the old one; an elder's from the time it is frozen */
	pid_t pid;
	bool is_on, is_frozen;
	int lock, pins, control;
	struct path_inherited *listeners;
	size_t nlisteners;
	int *leases;
	size_t nleases;
};

/* upgrade_old.c */
struct leaving {
	int listen;
	struct loop_io *listen_io;
	int to, pidfd, money; /* money: our end of its socket */
	pid_t pid;
	struct loop_io *to_io;
	struct loop_timer *timer;
	enum handover_stage stage;
	bool was_calmed, was_frozen; /* what has to be undone to go on */
	pthread_t beater;
	_Atomic bool beats;
	bool has_beater;
	int give_error;
};

struct upgrade {
	const struct upgrade_calls *calls;
	void *ctx;
	char path[108];
	struct upgrade_env env;
	uint32_t own; /* gate_start */
	struct taking taking;
	struct elder *elders[BUDGET_KEEP_MAX];
	size_t nelders;
	struct leaving leaving;
};

static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* ---- upgrade_elders.c */
int elder_add(struct upgrade *u, const struct handover_msg *m, int fd, int money, bool has_let_go);
void elders_free(struct upgrade *u); /* lets go of all */
/* Waits so long for the newest to let go. NULL: all have; else the one that has not. */
const struct elder *elders_let_go(struct upgrade *u, int wait_ms);

/* ---- upgrade_new.c */
void taking_init(struct taking *t);
void taking_done(struct taking *t);
void taking_open(struct upgrade *u); /* says that the money is ours */

/* ---- upgrade_old.c */
void leaving_init(struct leaving *l);
int leaving_begin(struct upgrade *u, struct err *e); /* listens for a successor */
void leaving_done(struct upgrade *u);

#endif
