// SPDX-License-Identifier: Apache-2.0
/* alert/own.h: the inside of struct alerts, for alerts.c (what is looked at) and alert/keep.c (what is remembered and handed on). */
#ifndef PURSE_CTL_ALERTS_OWN_H
#define PURSE_CTL_ALERTS_OWN_H

#include <pthread.h>

#include "base/map.h"
#include "ctl/alert/book.h"
#include "ctl/alert/watch.h"
#include "ctl/alert/alerts.h"

#define REFUSED_MAX 256

/* One alert's eye on one account. */
struct sight {
	struct watch w;
	uint64_t tick; /* when the account was last there */
	struct refusal *newest[CONFIG_RULE + 1]; /* by CONFIG_REFUSED and CONFIG_RULE; NULL = none yet */
};

struct eye {
	const struct config_alert *config;
	struct map *sights; /* account -> struct sight */
	struct watch machine;
	bool ledger_bad, gate_bad; /* told so */
	struct sender *to[ALERT_PLACE_COUNT]; /* NULL = not wanted */
};

struct alerts {
	struct alerts_env env;
	char path[1200];
	struct eye *eyes;
	size_t neyes;
	uint64_t tick, overruns;
	bool has_overruns;

	pthread_mutex_t lock; /* the sights, the book, and what follows */
	pthread_cond_t news;
	pthread_t keeper;
	bool has_keeper, closing, stop, dirty;
	struct book book;
	uint64_t dropped;

	pthread_mutex_t refused_lock;
	struct refused {
		char agent[GATE_NAME_MAX];
		struct refusal why;
	} refused[REFUSED_MAX];
	size_t nrefused;
};

/* alert/keep.c. The lock is held in the first two. */
struct sight *sight_get(struct eye *eye, const char *account); /* made if there is none; NULL = no memory */
void sight_free(void *s);
/* Into the book, to be written and sent; the caller has filled in what the fact is about. */
void alerts_tell(struct alerts *a, struct eye *eye, struct alert_fact *f, int64_t now_s);
/* The state file into sights and book. A broken one is told and left out. */
void alerts_remember(struct alerts *a);
int alerts_start_keeping(struct alerts *a, struct err *e);
void alerts_stop_keeping(struct alerts *a);

#endif
