// SPDX-License-Identifier: Apache-2.0
/* upgrade.c: see upgrade.h and docs/upgrade.md. */
#include "upgrade.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "ctl/handover.h"
#include "ctl/server.h"
#include "ctl_abi.h"
#include "kern/gate.h"
#include "path/money.h"

/* From FREEZE to OPEN. A successor that needs longer is ended, and the old one goes on. */
#define FROZEN_MAX_MS 30000
#define FREEZE_AGAIN_MS 20
#define HELLO_MAX_MS 5000
#define BEAT_NS 100000000
#define ANSWER_S (FROZEN_MAX_MS / 1000 + 20)

enum stage {
	STAGE_IDLE,    /* nobody is taking over */
	STAGE_MEETING, /* HELLO came */
	STAGE_CALMING, /* FREEZE came */
	STAGE_FROZEN,
	STAGE_LEFT,
};

struct elder {
	int fd, money;
	uint32_t owner;
	pid_t pid;
	struct money_serve *serve;
	_Atomic bool is_gone;
};

struct upgrade {
	const struct upgrade_calls *calls;
	void *ctx;
	char path[108];
	struct upgrade_env env;
	uint32_t own; /* gate_start */

	/* taking over */
	int from; /* channel to the old one; an elder's from the time it is frozen */
	pid_t from_pid;
	bool is_taking, is_frozen;
	int lock, pins, control;
	struct path_inherited *listeners;
	size_t nlisteners;
	int *leases;
	size_t nleases;
	struct elder *elders[BUDGET_KEEP_MAX];
	size_t nelders;

	/* being taken over */
	int listen;
	struct loop_io *listen_io;
	int to, to_pidfd, money; /* our end of the money socket */
	pid_t to_pid;
	struct loop_io *to_io;
	struct loop_timer *timer;
	enum stage stage;
	pthread_t beater;
	_Atomic bool beats;
	bool has_beater;
	int give_error;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

struct upgrade *upgrade_new(const struct upgrade_calls *calls, void *ctx, const char *socket_path)
{
	struct upgrade *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->calls = calls;
	u->ctx = ctx;
	u->from = u->lock = u->pins = u->control = u->listen = u->to = u->to_pidfd = u->money = -1;
	(void)str_copy(u->path, sizeof(u->path), str_of(socket_path));
	return u;
}

/* ---- elders */

static void elder_free(struct elder *d)
{
	money_serve_stop(d->serve);
	close_fd(&d->fd);
	close_fd(&d->money);
	free(d);
}

static int elder_add(struct upgrade *u, const struct handover_msg *m, int fd, int money)
{
	struct elder *d = u->nelders < BUDGET_KEEP_MAX ? calloc(1, sizeof(*d)) : NULL;

	if (!d)
		return u->nelders < BUDGET_KEEP_MAX ? -ENOMEM : -E2BIG;
	d->fd = fd;
	d->money = money;
	d->owner = m->owner;
	d->pid = (pid_t)m->pid;
	u->elders[u->nelders++] = d;
	return 0;
}

static void elder_gone(void *ctx, uint32_t owner)
{
	struct elder *d = ctx;

	(void)owner;
	atomic_store(&d->is_gone, true);
}

int upgrade_serve(struct upgrade *u, struct budget *b, struct ledger *l, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < u->nelders; i++)
		r = money_serve_start(u->elders[i]->money, u->elders[i]->owner, b, l, elder_gone, u->elders[i],
				      &u->elders[i]->serve);
	return r < 0 ? err_set(e, -r, "take-over: cannot answer the process that hands over: %s", strerror(-r)) : 0;
}

void upgrade_pause_elders(struct upgrade *u)
{
	(void)upgrade_reap(u);
	for (size_t i = 0; i < u->nelders; i++) {
		money_serve_stop(u->elders[i]->serve);
		u->elders[i]->serve = NULL;
	}
}

size_t upgrade_reap(struct upgrade *u)
{
	for (size_t i = 0; i < u->nelders;) {
		struct elder *d = u->elders[i];

		if (!atomic_load(&d->is_gone)) {
			i++;
			continue;
		}
		log_info("upgrade", "process %d has ended its last call", (int)d->pid);
		elder_free(d);
		u->elders[i] = u->elders[--u->nelders];
	}
	return u->nelders;
}

static void tell_elders(struct upgrade *u, const struct handover_msg *m)
{
	for (size_t i = 0; i < u->nelders; i++)
		(void)handover_send(u->elders[i]->fd, m, NULL);
}

void upgrade_stop_calls(struct upgrade *u, uint32_t account)
{
	const struct handover_msg m = { .kind = HANDOVER_STOP_CALLS, .version = HANDOVER_VERSION, .account = account };

	tell_elders(u, &m);
}

void upgrade_end_elders(struct upgrade *u, int64_t ms)
{
	const struct handover_msg m = { .kind = HANDOVER_END, .version = HANDOVER_VERSION, .ms = (uint32_t)ms };

	tell_elders(u, &m);
}

void upgrade_wait_elders(struct upgrade *u, int64_t ms)
{
	int64_t until = clock_boot_ns() + ms * 1000000;
	const struct timespec nap = { .tv_nsec = 10000000 };

	while (upgrade_reap(u) > 0 && clock_boot_ns() < until)
		(void)nanosleep(&nap, NULL);
	while (u->nelders > 0)
		elder_free(u->elders[--u->nelders]);
}

size_t upgrade_owners(const struct upgrade *u, uint32_t ret[BUDGET_KEEP_MAX])
{
	for (size_t i = 0; i < u->nelders; i++)
		ret[i] = u->elders[i]->owner;
	return u->nelders;
}

/* ---- taking over */

static int say(int fd, uint32_t kind)
{
	struct handover_msg m = { .kind = kind, .version = HANDOVER_VERSION, .dialect = money_dialect(), .pid = (uint32_t)getpid() };

	(void)snprintf(m.text, sizeof(m.text), "%s", PURSE_VERSION);
	return handover_send(fd, &m, NULL);
}

/* The old one is gone: what it had said is worth nothing, but the lock is the lock. */
static void start_plainly(struct upgrade *u, const char *why)
{
	log_warn("upgrade", "process %d %s: starting without it; what it had in flight is charged", (int)u->from_pid, why);
	close_fd(&u->from);
	close_fd(&u->control);
	for (size_t i = 0; i < u->nlisteners; i++) {
		close_fd(&u->listeners[i].fd4);
		close_fd(&u->listeners[i].fd6);
	}
	u->nlisteners = 0;
	while (u->nleases > 0)
		close_fd(&u->leases[--u->nleases]);
	while (u->nelders > 0)
		elder_free(u->elders[--u->nelders]);
	u->is_taking = false;
}

int upgrade_meet(struct upgrade *u, struct err *e)
{
	struct timeval wait = { .tv_sec = ANSWER_S };
	struct handover_msg m;
	int fds[HANDOVER_FDS], r = handover_connect(u->path, &u->from);

	if (r == -ENOENT || r == -ECONNREFUSED) {
		log_info("upgrade", "no daemon to take over from: this is a plain start");
		return 0;
	}
	if (r == 0)
		r = handover_may(u->from, &u->from_pid);
	if (r == 0 && setsockopt(u->from, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0)
		r = -errno;
	if (r == 0)
		r = say(u->from, HANDOVER_HELLO);
	if (r == 0)
		r = handover_recv(u->from, &m, fds);
	if (r == -EPIPE) {
		start_plainly(u, "has ended");
		return 0;
	}
	if (r == 0 && m.kind == HANDOVER_NO)
		return err_set(e, EBUSY, "take-over: process %d says: %s", (int)u->from_pid, m.text);
	if (r == 0 && (m.kind != HANDOVER_WELCOME || fds[0] < 0))
		r = -EPROTO;
	if (r < 0)
		return err_set(e, -r, "take-over: process %d does not answer as it should: %s; stop it, then start this one", (int)u->from_pid,
			       strerror(-r));
	u->lock = fds[0];
	u->pins = fds[1]; /* none from a version that had no such lock */
	u->is_taking = true;
	CRASH_POINT("upgrade-met");
	log_info("upgrade", "taking over from process %d, version %s", (int)u->from_pid, m.text);
	return 0;
}

static int grow(void *array, size_t n, size_t size)
{
	void **a = array, *more;

	if (n & (n - 1))
		return 0; /* room up to the next power of two */
	more = realloc(*a, (n ? 2 * n : 1) * size);
	if (!more)
		return -ENOMEM;
	*a = more;
	return 0;
}

static int take_listener(struct upgrade *u, const struct handover_place *p, const int fds[HANDOVER_FDS])
{
	int r = grow(&u->listeners, u->nlisteners, sizeof(*u->listeners));

	if (r < 0 || p->has4 + p->has6 != (fds[0] >= 0) + (fds[1] >= 0))
		return r < 0 ? r : -EPROTO;
	u->listeners[u->nlisteners++] = (struct path_inherited){
		.fd4 = p->has4 ? fds[0] : -1, .fd6 = !p->has6 ? -1 : p->has4 ? fds[1] : fds[0], .port4 = p->port4, .port6 = p->port6,
		.is_own = p->is_own, .cookie = p->cookie, .dev = p->dev, .ino = p->ino, .agent = p->agent, .pid = p->pid, .tid = p->tid,
	};
	return 0;
}

static int take_lease(struct upgrade *u, int fd)
{
	int r = grow(&u->leases, u->nleases, sizeof(*u->leases));

	if (r == 0)
		u->leases[u->nleases++] = fd;
	return r;
}

/* 1: all is said. */
static int take_one(struct upgrade *u)
{
	struct handover_msg m;
	int fds[HANDOVER_FDS], r = handover_recv(u->from, &m, fds);

	if (r < 0)
		return r;
	switch (m.kind) {
	case HANDOVER_LISTENER:
		return take_listener(u, &m.place, fds);
	case HANDOVER_CONTROL:
		u->control = fds[0];
		return 0;
	case HANDOVER_LEASE:
		return take_lease(u, fds[0]);
	case HANDOVER_ELDER:
		return elder_add(u, &m, fds[0], fds[1]);
	case HANDOVER_FROZEN:
		m.pid = (uint32_t)u->from_pid;
		r = elder_add(u, &m, u->from, fds[0]);
		return r < 0 ? r : 1;
	default:
		return -EPROTO;
	}
}

int upgrade_take(struct upgrade *u, struct err *e)
{
	int r = u->is_taking ? say(u->from, HANDOVER_FREEZE) : 1;

	while (r == 0)
		r = take_one(u);
	if (r == -EPIPE) {
		start_plainly(u, "ended during the hand-over");
		return 0;
	}
	if (r < 0)
		return err_set(e, -r, "take-over: what process %d hands over does not come as it should: %s", (int)u->from_pid, strerror(-r));
	u->is_frozen = u->is_taking;
	CRASH_POINT("upgrade-taken");
	return 0;
}

bool upgrade_is_taking(const struct upgrade *u)
{
	return u->is_taking;
}

pid_t upgrade_from(const struct upgrade *u)
{
	return u->from_pid;
}

static int give_up_fd(int *fd)
{
	int ret = *fd > 0 ? *fd : 0;

	*fd = -1;
	return ret;
}

int upgrade_take_lock(struct upgrade *u)
{
	return give_up_fd(&u->lock);
}

int upgrade_take_pins(struct upgrade *u)
{
	return give_up_fd(&u->pins);
}

int upgrade_take_control(struct upgrade *u)
{
	return give_up_fd(&u->control);
}

const struct path_inherited *upgrade_listeners(const struct upgrade *u, size_t *ret_n)
{
	*ret_n = u->nlisteners;
	return u->listeners;
}

void upgrade_listeners_taken(struct upgrade *u)
{
	u->nlisteners = 0;
}

void upgrade_adopt_leases(struct upgrade *u, struct server *s)
{
	for (size_t i = 0; i < u->nleases; i++)
		(void)server_adopt_lease(s, u->leases[i]);
	u->nleases = 0;
}

/* ---- being taken over */

/* Nobody else beats while main threads read and write ledgers. */
static void *beat_on(void *ctx)
{
	struct upgrade *u = ctx;
	const struct timespec nap = { .tv_nsec = BEAT_NS };

	while (atomic_load(&u->beats)) {
		gate_beat(u->env.gate);
		(void)nanosleep(&nap, NULL);
	}
	return NULL;
}

static void start_beater(struct upgrade *u)
{
	sigset_t all, before;

	atomic_store(&u->beats, true);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	u->has_beater = pthread_create(&u->beater, NULL, beat_on, u) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!u->has_beater)
		log_error("upgrade", "no thread for the heartbeat: agents may be refused until the hand-over is done");
}

static void stop_beater(struct upgrade *u)
{
	atomic_store(&u->beats, false);
	if (u->has_beater)
		(void)pthread_join(u->beater, NULL);
	u->has_beater = false;
}

static void drop_channel(struct upgrade *u)
{
	if (u->to_io)
		loop_io_free(u->to_io);
	u->to_io = NULL;
	close_fd(&u->to);
	close_fd(&u->to_pidfd);
	/* If it is a child of ours. */
	if (u->to_pid > 0)
		(void)waitpid(u->to_pid, NULL, WNOHANG);
	u->to_pid = 0;
	loop_timer_stop(u->timer);
}

static void kill_successor(struct upgrade *u)
{
	/* What follows comes with the end of the channel, when it is really gone. */
	(void)syscall(SYS_pidfd_send_signal, u->to_pidfd, SIGKILL, NULL, 0);
}

static int listen_again(struct upgrade *u, struct err *e);

static void go_on(struct upgrade *u, const char *why)
{
	enum stage was = u->stage;
	pid_t pid = u->to_pid;

	drop_channel(u);
	u->stage = STAGE_IDLE;
	log_error("upgrade", "process %d %s before it had taken over: this one goes on", (int)pid, why);
	if (was == STAGE_FROZEN) {
		close_fd(&u->money);
		if (u->calls->resume(u->ctx) < 0)
			_exit(PURSE_EXIT_FAILURE); /* as a crash: the next start charges what is in flight, until then agents are denied */
		stop_beater(u);
		/* It may have listened at our place already. */
		(void)listen_again(u, NULL);
	} else if (was == STAGE_CALMING) {
		server_resume(u->env.server);
	}
}

static void put_place(void *ctx, const struct path_inherited *from)
{
	struct upgrade *u = ctx;
	const struct handover_msg m = {
		.kind = HANDOVER_LISTENER, .version = HANDOVER_VERSION,
		.place = { .cookie = from->cookie, .dev = from->dev, .ino = from->ino, .agent = from->agent, .pid = from->pid, .tid = from->tid,
			   .port4 = from->port4, .port6 = from->port6, .is_own = from->is_own, .has4 = from->fd4 >= 0, .has6 = from->fd6 >= 0 },
	};
	const int fds[HANDOVER_FDS] = { from->fd4, from->fd6 };

	if (u->give_error == 0)
		u->give_error = handover_send(u->to, &m, fds);
}

static void put_open(void *ctx, int fd, bool is_lease)
{
	struct upgrade *u = ctx;
	const struct handover_msg m = { .kind = is_lease ? HANDOVER_LEASE : HANDOVER_CONTROL, .version = HANDOVER_VERSION };
	const int fds[HANDOVER_FDS] = { fd, -1 };

	if (u->give_error == 0)
		u->give_error = handover_send(u->to, &m, fds);
}

static void put_elder(struct upgrade *u, const struct elder *d)
{
	const struct handover_msg m = { .kind = HANDOVER_ELDER, .version = HANDOVER_VERSION, .owner = d->owner, .pid = (uint32_t)d->pid };
	const int fds[HANDOVER_FDS] = { d->fd, d->money };

	if (u->give_error == 0)
		u->give_error = handover_send(u->to, &m, fds);
}

static void put_all(struct upgrade *u)
{
	const struct handover_msg m = { .kind = HANDOVER_FROZEN, .version = HANDOVER_VERSION, .owner = u->own };
	int pair[2], fds[HANDOVER_FDS] = { -1, -1 };

	u->give_error = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ? -errno : 0;
	if (u->give_error < 0)
		return;
	u->money = pair[0];
	fds[0] = pair[1];
	path_each_listener(u->env.path, put_place, u);
	server_each_open(u->env.server, put_open, u);
	for (size_t i = 0; i < u->nelders; i++)
		put_elder(u, u->elders[i]);
	if (u->give_error == 0)
		u->give_error = handover_send(u->to, &m, fds);
	(void)close(pair[1]);
}

/* The timer: somebody who takes too long, or the ledger is still needed. */
static void freeze(void *ctx)
{
	struct upgrade *u = ctx;

	if (u->stage == STAGE_IDLE) {
		drop_channel(u);
		return;
	}
	if (u->stage == STAGE_MEETING || u->stage == STAGE_FROZEN) {
		log_error("upgrade", "process %d has not taken over within %d s: it is ended", (int)u->to_pid, FROZEN_MAX_MS / 1000);
		kill_successor(u);
		return;
	}
	if (!u->calls->calm(u->ctx)) {
		loop_timer_set(u->timer, FREEZE_AGAIN_MS);
		return;
	}
	u->stage = STAGE_FROZEN;
	start_beater(u);
	u->calls->freeze(u->ctx);
	CRASH_POINT("upgrade-frozen");
	put_all(u);
	CRASH_POINT("upgrade-given");
	loop_timer_set(u->timer, FROZEN_MAX_MS);
	if (u->give_error < 0)
		log_error("upgrade", "the hand-over to process %d failed: %s", (int)u->to_pid, strerror(-u->give_error));
	if (u->give_error < 0 && u->give_error != -EPIPE)
		kill_successor(u);
}

static void owner_lost(void *ctx)
{
	(void)ctx;
	log_error("upgrade", "the daemon that took over is gone: ending; calls in flight are charged by the next start");
	_exit(PURSE_EXIT_FAILURE);
}

static void opened(struct upgrade *u)
{
	u->stage = STAGE_LEFT;
	loop_timer_stop(u->timer);
	stop_beater(u);
	log_info("upgrade", "process %d has taken over; this one ends with its last call", (int)u->to_pid);
	money_thaw_away(u->env.money, u->money, owner_lost, u);
	u->money = -1;
	upgrade_hear_no_more(u);
	/* They are the successor's to answer. */
	while (u->nelders > 0)
		elder_free(u->elders[--u->nelders]);
	u->calls->leave(u->ctx);
	CRASH_POINT("upgrade-left");
}

static void hello(struct upgrade *u, const struct handover_msg *m)
{
	struct handover_msg no = { .kind = HANDOVER_NO, .version = HANDOVER_VERSION, .pid = (uint32_t)getpid() };
	const int fds[HANDOVER_FDS] = { gate_lock_fd(u->env.gate), gate_pins_fd(u->env.gate) };

	(void)upgrade_reap(u);
	if (m->dialect != money_dialect())
		(void)snprintf(no.text, sizeof(no.text), "version %s and %.40s cannot hand calls over to each other; stop this one, then start the "
			       "other: calls in flight have five seconds", PURSE_VERSION, m->text);
	else if (u->nelders + 1 >= BUDGET_KEEP_MAX)
		(void)snprintf(no.text, sizeof(no.text), "%zu earlier processes still have calls; try again when one of them has ended", u->nelders);
	if (no.text[0]) {
		log_error("upgrade", "process %d may not take over: %s", (int)u->to_pid, no.text);
		(void)handover_send(u->to, &no, NULL);
		drop_channel(u);
		return;
	}
	u->stage = STAGE_MEETING;
	loop_timer_set(u->timer, FROZEN_MAX_MS);
	log_info("upgrade", "process %d, version %.40s, takes over", (int)u->to_pid, m->text);
	no.kind = HANDOVER_WELCOME;
	(void)snprintf(no.text, sizeof(no.text), "%s", PURSE_VERSION);
	(void)handover_send(u->to, &no, fds);
	CRASH_POINT("upgrade-welcomed");
}

static void hear(void *ctx, unsigned ready)
{
	struct upgrade *u = ctx;
	struct handover_msg m;
	int fds[HANDOVER_FDS], r = handover_recv(u->to, &m, fds);

	(void)ready;
	if (r == -EAGAIN)
		return;
	close_fd(&fds[0]);
	close_fd(&fds[1]);
	if (r < 0 && u->stage == STAGE_LEFT)
		owner_lost(u);
	if (r < 0 && r != -EPIPE && u->stage == STAGE_FROZEN)
		kill_successor(u); /* two must never have the money */
	else if (r < 0)
		go_on(u, r == -EPIPE ? "ended" : "says what cannot be understood");
	else if (m.kind == HANDOVER_HELLO && u->stage == STAGE_IDLE)
		hello(u, &m);
	else if (m.kind == HANDOVER_FREEZE && u->stage == STAGE_MEETING) {
		u->stage = STAGE_CALMING;
		freeze(u);
	} else if (m.kind == HANDOVER_OPEN && u->stage == STAGE_FROZEN)
		opened(u);
	else if (m.kind == HANDOVER_STOP_CALLS && u->stage == STAGE_LEFT)
		u->calls->stop_calls(u->ctx, m.account);
	else if (m.kind == HANDOVER_END && u->stage == STAGE_LEFT)
		u->calls->end(u->ctx, m.ms);
}

static void knock(void *ctx, unsigned ready)
{
	struct upgrade *u = ctx;
	struct handover_msg no = { .kind = HANDOVER_NO, .version = HANDOVER_VERSION, .text = "another process is taking over at this moment" };
	int fd = accept4(u->listen, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	pid_t pid = 0;

	(void)ready;
	if (fd < 0)
		return;
	if (handover_may(fd, &pid) < 0 || u->to >= 0 || u->stage != STAGE_IDLE) {
		(void)handover_send(fd, &no, NULL);
		(void)close(fd);
		return;
	}
	u->to = fd;
	u->to_pid = pid;
	u->to_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (u->to_pidfd < 0 || loop_io_new(u->env.loop, fd, hear, u, &u->to_io) < 0) {
		drop_channel(u);
		return;
	}
	loop_io_want(u->to_io, LOOP_READ);
	loop_timer_set(u->timer, HELLO_MAX_MS);
}

static int listen_again(struct upgrade *u, struct err *e)
{
	upgrade_hear_no_more(u);
	int r = handover_listen(u->path, &u->listen, e);

	if (r < 0)
		return r;
	r = loop_io_new(u->env.loop, u->listen, knock, u, &u->listen_io);
	if (r < 0)
		return err_set(e, -r, "hand-over socket: %s", strerror(-r));
	loop_io_want(u->listen_io, LOOP_READ);
	return 0;
}

int upgrade_settle(struct upgrade *u, const struct upgrade_env *env, struct err *e)
{
	u->env = *env;
	u->own = gate_start(env->gate);
	int r = loop_timer_new(env->loop, freeze, u, &u->timer);

	if (r < 0)
		return err_set(e, -r, "hand-over socket: %s", strerror(-r));
	r = listen_again(u, e);
	if (r < 0)
		return r;
	if (!u->is_taking)
		return 0;
	/* If it is gone by now there is nobody to tell; its calls are settled by upgrade_serve. */
	CRASH_POINT("upgrade-before-open");
	(void)say(u->from, HANDOVER_OPEN);
	CRASH_POINT("upgrade-after-open");
	u->from = -1; /* the elder's */
	u->is_taking = false;
	return 0;
}

bool upgrade_is_meeting(const struct upgrade *u)
{
	return u->stage != STAGE_IDLE;
}

bool upgrade_is_frozen(const struct upgrade *u)
{
	return u->stage == STAGE_FROZEN;
}

bool upgrade_has_left(const struct upgrade *u)
{
	return u->stage == STAGE_LEFT;
}

void upgrade_hear_no_more(struct upgrade *u)
{
	if (u->listen_io)
		loop_io_free(u->listen_io);
	u->listen_io = NULL;
	close_fd(&u->listen);
}

void upgrade_free(struct upgrade *u)
{
	if (!u)
		return;
	bool is_elder = u->is_taking && u->is_frozen;

	upgrade_hear_no_more(u);
	if (u->stage != STAGE_LEFT)
		stop_beater(u);
	if (u->timer)
		drop_channel(u);
	if (u->timer)
		loop_timer_free(u->timer);
	close_fd(&u->money);
	close_fd(&u->lock);
	close_fd(&u->pins);
	close_fd(&u->control);
	for (size_t i = 0; i < u->nlisteners; i++) {
		close_fd(&u->listeners[i].fd4);
		close_fd(&u->listeners[i].fd6);
	}
	while (u->nleases > 0)
		close_fd(&u->leases[--u->nleases]);
	while (u->nelders > 0)
		elder_free(u->elders[--u->nelders]);
	/* The last: the old one takes this for our end. */
	if (!is_elder)
		close_fd(&u->from);
	free(u->listeners);
	free(u->leases);
	free(u);
}
