// SPDX-License-Identifier: Apache-2.0
/*
 * daemon.h: one pursed: its parts, and how each is started and stopped. daemon.c has them in order; what belongs to one part is in a file here. Who is
 * handed to whom is seen in the start functions, nowhere else. All on the main thread but where it says otherwise.
 *
 * start_x leaves nothing behind when it fails; stop_x is called once for each start_x that did not.
 */
#ifndef PURSE_DAEMON_H
#define PURSE_DAEMON_H

#include <pthread.h>

#include "base/clock.h"
#include "base/err.h"
#include "ctl/control.h"
#include "terms.h"

#define PARTS_MAX 32
#define SELF_ARGS_MAX 32
#define DRAIN_MS 5000 /* for calls in flight at the end */

struct daemon;
struct tick {
	struct daemon *d;
	void (*run)(struct daemon *d);
	int64_t every_ms;
	struct loop_timer *timer;
};
enum { TICK_BEAT, TICK_VERIFY, TICK_ROLL, TICK_ALERTS, TICK_WATCH, TICK_REAP, TICK_LEASES, TICK_CA, TICK_TRUST, TICK_COUNT };

struct daemon {
	const struct config *config;
	struct loop *loop;
	struct gate *gate;
	struct budget *budget;
	struct ledger *ledger;
	struct price_list *prices;
	struct ca *ca;
	struct agents *agents;
	struct endpoints *endpoints;
	struct path_provider *providers;
	struct money *money;
	struct path *path;
	struct upgrade *upgrade;
	struct events *events;
	struct events_door *door;
	struct openings *openings;
	struct alerts *alerts;
	struct server *server;
	struct control control;
	struct tick ticks[TICK_COUNT];
	char trust_dir[1100], cgroup_was[1100];
	int64_t started_ns; /* boot clock */
	bool gate_ok, is_beating;
	bool is_gate_on;       /* gate_ok, but for agents that live where it is not */
	bool is_resuming;      /* takes back what another one did not take over */
	bool is_stop_asked;    /* while the money was on its way */
	bool is_up[PARTS_MAX]; /* by part */
	int64_t leave_until_ns; /* 0 = has not handed over */
	struct loop_timer *leave_timer;
	pthread_mutex_t sight_lock; /* endpoints, as the path's threads use them */
	bool takes_over;       /* asked to (--take-over) */
	bool is_embedded;      /* stops when nobody holds a lease any more */
	int64_t leased_ns;     /* boot clock: when somebody last did */
	struct err gate_error;
	uint64_t gate_repairs, told_repairs;
	struct err gate_problem; /* the last one, also if it was put right */
	struct {
		char path[4096]; /* that we were started from */
		const char *argv[SELF_ARGS_MAX + 2]; /* our flags with --take-over; NULL behind */
	} self;
	pid_t successor; /* that we started and that has not taken over yet; 0 = none */
};

static inline int64_t now_s(void)
{
	return clock_realtime_ns() / 1000000000;
}

/* ground.c */
int start_loop(struct daemon *d, struct err *e);
void stop_loop(struct daemon *d);
int start_dirs(struct daemon *d, struct err *e);
int start_cgroup(struct daemon *d, struct err *e);
void stop_cgroup(struct daemon *d);

/* gate.c */
int start_gate(struct daemon *d, struct err *e);
void stop_gate(struct daemon *d);

/* events.c */
int start_events(struct daemon *d, struct err *e);
void stop_events(struct daemon *d);
int start_openings(struct daemon *d, struct err *e);
void stop_openings(struct daemon *d);
int start_door(struct daemon *d, struct err *e);
void stop_door(struct daemon *d);

/* heartbeat.c */
void stop_beating(struct daemon *d);
void beat_if_well(struct daemon *d);
void verify_gate(struct daemon *d);

/* books.c */
int start_budget(struct daemon *d, struct err *e);
void stop_budget(struct daemon *d);
int start_ledger(struct daemon *d, struct err *e);
void stop_ledger(struct daemon *d);
int start_agents(struct daemon *d, struct err *e);
void stop_agents(struct daemon *d);
int start_money(struct daemon *d, struct err *e);
void stop_money(struct daemon *d);

/* prices.c */
int start_prices(struct daemon *d, struct err *e);
void stop_prices(struct daemon *d);
int reload_prices(void *ctx, struct err *e);

/* trust.c */
int start_ca(struct daemon *d, struct err *e);
void stop_ca(struct daemon *d);
void renew_ca(struct daemon *d);
void follow_trust(struct daemon *d);

/* path.c */
int start_endpoints(struct daemon *d, struct err *e);
void stop_endpoints(struct daemon *d);
int start_path(struct daemon *d, struct err *e);
void stop_path(struct daemon *d);

/* alerts.c */
int start_alerts(struct daemon *d, struct err *e);
void stop_alerts(struct daemon *d);
void look_at_alerts(struct daemon *d);

/* control.c */
void set_control(struct daemon *d);
int reload(void *ctx, struct err *e); /* what is followed: price lists and trusted roots; everything else in the config needs a restart */
int start_server(struct daemon *d, struct err *e);
void stop_server(struct daemon *d);

/* timers.c */
void stop_timers(struct daemon *d);
int start_timers(struct daemon *d, struct err *e);

/* signals.c */
void reap_successor(struct daemon *d); /* tells of one that ended without taking over */
void remember_self(struct daemon *d, int argc, char **argv);
int start_signals(struct daemon *d, struct err *e);

/* handover.c */
int start_upgrade(struct daemon *d, struct err *e);
void stop_upgrade(struct daemon *d);
int meet_earlier(struct daemon *d, struct err *e);
int take_over(struct daemon *d, struct err *e);
int start_elders(struct daemon *d, struct err *e);
void stop_elders(struct daemon *d);
int settle_in(struct daemon *d, struct err *e);

/* ../daemon.c */
void stop_handed(struct daemon *d);
int start_handed(struct daemon *d, struct err *e);

#endif
