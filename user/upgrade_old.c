// SPDX-License-Identifier: Apache-2.0
/*
 * upgrade_old.c: another process takes over from this one. What happens (words over the channel, its end, the timer) goes through the table of
 * ctl/handover_stage.h; the table says what is done, and that is below, one function each.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "base/crash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/thread.h"
#include "ctl/server.h"
#include "ctl_abi.h"
#include "kern/gate.h"
#include "upgrade_own.h"

#define CALM_AGAIN_MS 20
#define HELLO_MAX_MS 5000
#define BEAT_NS 100000000

void leaving_init(struct leaving *l)
{
	l->listen = l->to = l->pidfd = l->money = -1;
}

/* Tests do not wait for half a minute. */
static int64_t frozen_max_ms(void)
{
#ifdef PURSE_CRASH_POINTS
	const char *ms = getenv("PURSE_FROZEN_MAX_MS");

	if (ms)
		return strtol(ms, NULL, 10);
#endif
	return FROZEN_MAX_MS;
}

/* ---- nobody else beats while main threads read and write ledgers */

static void *beat_on(void *ctx)
{
	struct upgrade *u = ctx;
	const struct timespec nap = { .tv_nsec = BEAT_NS };

	while (atomic_load(&u->leaving.beats)) {
		gate_beat(u->env.gate);
		(void)nanosleep(&nap, NULL);
	}
	return NULL;
}

static void start_beater(struct upgrade *u)
{
	struct leaving *l = &u->leaving;

	atomic_store(&l->beats, true);
	l->has_beater = thread_start(&l->beater, NULL, beat_on, u) == 0;
	if (!l->has_beater)
		log_error("upgrade", "no thread for the heartbeat: agents may be refused until the hand-over is done");
}

static void stop_beater(struct leaving *l)
{
	atomic_store(&l->beats, false);
	if (l->has_beater)
		(void)pthread_join(l->beater, NULL);
	l->has_beater = false;
}

/* ---- what is handed over */

static void put_place(void *ctx, const struct path_inherited *from)
{
	struct upgrade *u = ctx;
	const struct handover_msg m = {
		.kind = HANDOVER_LISTENER, .version = HANDOVER_VERSION,
		.place = { .cookie = from->cookie, .dev = from->dev, .ino = from->ino, .agent = from->agent, .pid = from->pid, .tid = from->tid,
			   .port4 = from->port4, .port6 = from->port6, .is_own = from->is_own, .has4 = from->fd4 >= 0, .has6 = from->fd6 >= 0 },
	};
	const int fds[HANDOVER_FDS] = { from->fd4, from->fd6 };

	if (u->leaving.give_error == 0)
		u->leaving.give_error = handover_send(u->leaving.to, &m, fds);
}

static void put_open(void *ctx, int fd, bool is_lease)
{
	struct upgrade *u = ctx;
	const struct handover_msg m = { .kind = is_lease ? HANDOVER_LEASE : HANDOVER_CONTROL, .version = HANDOVER_VERSION };
	const int fds[HANDOVER_FDS] = { fd, -1 };

	if (u->leaving.give_error == 0)
		u->leaving.give_error = handover_send(u->leaving.to, &m, fds);
}

static void put_elder(struct upgrade *u, const struct elder *d)
{
	const struct handover_msg m = { .kind = HANDOVER_ELDER, .version = HANDOVER_VERSION, .owner = d->owner, .pid = (uint32_t)d->pid };
	const int fds[HANDOVER_FDS] = { d->fd, d->money };

	if (u->leaving.give_error == 0)
		u->leaving.give_error = handover_send(u->leaving.to, &m, fds);
}

static void put_all(struct upgrade *u)
{
	const struct handover_msg m = { .kind = HANDOVER_FROZEN, .version = HANDOVER_VERSION, .owner = u->own };
	struct leaving *l = &u->leaving;
	int pair[2], fds[HANDOVER_FDS] = { -1, -1 };

	l->give_error = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ? -errno : 0;
	if (l->give_error < 0)
		return;
	l->money = pair[0];
	fds[0] = pair[1];
	path_each_listener(u->env.path, put_place, u);
	server_each_open(u->env.server, put_open, u);
	for (size_t i = 0; i < u->nelders; i++)
		put_elder(u, u->elders[i]);
	if (l->give_error == 0)
		l->give_error = handover_send(l->to, &m, fds);
	(void)close(pair[1]);
}

/* ---- what is done, in the order of a hand-over that goes well */

static void happens(struct upgrade *u, enum handover_event event, const struct handover_msg *m);

static void drop_channel(struct leaving *l)
{
	if (l->to_io)
		loop_io_free(l->to_io);
	l->to_io = NULL;
	close_fd(&l->to);
	close_fd(&l->pidfd);
	/* If it is a child of ours. */
	if (l->pid > 0)
		(void)waitpid(l->pid, NULL, WNOHANG);
	l->pid = 0;
	loop_timer_stop(l->timer);
}

static void forget(struct upgrade *u, const struct handover_msg *m)
{
	(void)m;
	drop_channel(&u->leaving);
}

/* Why a HELLO cannot be answered with WELCOME; "" = it can. */
static void why_not(struct upgrade *u, const struct handover_msg *m, char *ret, size_t size)
{
	const struct elder *stuck;

	(void)upgrade_reap(u);
	stuck = elders_let_go(u, 0);
	ret[0] = '\0';
	if (m->dialect != money_dialect())
		(void)snprintf(ret, size, "version %s and %.40s cannot hand calls over to each other; stop this one, then start the "
			       "other: calls in flight have five seconds", PURSE_VERSION, m->text);
	else if (u->nelders + 1 >= BUDGET_KEEP_MAX)
		(void)snprintf(ret, size, "%zu earlier processes still have calls; try again when one of them has ended", u->nelders);
	else if (stuck)
		(void)snprintf(ret, size, "process %d, which handed over to this one, has not let go yet; try again in a moment, or end it",
			       (int)stuck->pid);
}

static void refuse(struct upgrade *u, const struct handover_msg *m)
{
	struct handover_msg no = { .kind = HANDOVER_NO, .version = HANDOVER_VERSION, .pid = (uint32_t)getpid() };

	why_not(u, m, no.text, sizeof(no.text));
	log_error("upgrade", "process %d may not take over: %s", (int)u->leaving.pid, no.text);
	(void)handover_send(u->leaving.to, &no, NULL);
	drop_channel(&u->leaving);
}

static void welcome(struct upgrade *u, const struct handover_msg *m)
{
	struct handover_msg yes = { .kind = HANDOVER_WELCOME, .version = HANDOVER_VERSION, .pid = (uint32_t)getpid() };
	const int fds[HANDOVER_FDS] = { gate_lock_fd(u->env.gate), gate_pins_fd(u->env.gate) };

	loop_timer_set(u->leaving.timer, frozen_max_ms());
	log_info("upgrade", "process %d, version %.40s, takes over", (int)u->leaving.pid, m->text);
	(void)snprintf(yes.text, sizeof(yes.text), "%s", PURSE_VERSION);
	(void)handover_send(u->leaving.to, &yes, fds);
	CRASH_POINT("upgrade-welcomed");
}

static void calm(struct upgrade *u, const struct handover_msg *m)
{
	(void)m;
	u->leaving.was_calmed = true;
	if (u->calls->calm(u->ctx))
		happens(u, HANDOVER_IS_CALM, NULL);
	else
		loop_timer_set(u->leaving.timer, CALM_AGAIN_MS);
}

static void freeze(struct upgrade *u, const struct handover_msg *m)
{
	struct leaving *l = &u->leaving;

	(void)m;
	l->was_frozen = true;
	start_beater(u);
	u->calls->freeze(u->ctx);
	CRASH_POINT("upgrade-frozen");
	put_all(u);
	loop_timer_set(l->timer, frozen_max_ms());
	CRASH_POINT("upgrade-given");
	if (l->give_error < 0)
		log_error("upgrade", "the hand-over to process %d failed: %s", (int)l->pid, strerror(-l->give_error));
	/* If it is gone the channel says so by itself. */
	if (l->give_error < 0 && l->give_error != -EPIPE)
		happens(u, HANDOVER_IS_STUCK, NULL);
}

static void owner_lost(void *ctx)
{
	(void)ctx;
	log_error("upgrade", "the daemon that took over is gone: ending; calls in flight are charged by the next start");
	_exit(PURSE_EXIT_FAILURE);
}

static void hear_no_more(struct upgrade *u)
{
	struct leaving *l = &u->leaving;

	if (l->listen_io)
		loop_io_free(l->listen_io);
	l->listen_io = NULL;
	close_fd(&l->listen);
}

static void leave(struct upgrade *u, const struct handover_msg *m)
{
	const struct handover_msg let_go = { .kind = HANDOVER_LET_GO, .version = HANDOVER_VERSION };
	struct leaving *l = &u->leaving;

	(void)m;
	loop_timer_stop(l->timer);
	(void)handover_send(l->to, &let_go, NULL);
	stop_beater(l);
	log_info("upgrade", "process %d has taken over; this one ends with its last call", (int)l->pid);
	money_thaw_away(u->env.money, l->money, owner_lost, u);
	l->money = -1;
	hear_no_more(u);
	/* They are the successor's to answer. */
	elders_free(u);
	u->calls->leave(u->ctx);
	CRASH_POINT("upgrade-left");
}

static void obey(struct upgrade *u, const struct handover_msg *m)
{
	if (m->kind == HANDOVER_STOP_CALLS)
		u->calls->stop_calls(u->ctx, m->account);
	else
		u->calls->end(u->ctx, m->ms);
}

static void die(struct upgrade *u, const struct handover_msg *m)
{
	(void)m;
	owner_lost(u);
}

/* ---- and when it does not go well */

/* What follows comes with the end of the channel, when it is really gone: two must never have the money. */
static void doom(struct upgrade *u, const struct handover_msg *m)
{
	struct leaving *l = &u->leaving;

	(void)m;
	loop_timer_stop(l->timer);
	log_error("upgrade", "process %d has not taken over as it should, or not within %d s: it is ended", (int)l->pid, FROZEN_MAX_MS / 1000);
	CRASH_POINT("upgrade-doomed");
	(void)pidfd_send_signal(l->pidfd, SIGKILL, NULL, 0);
}

static void go_on(struct upgrade *u, const struct handover_msg *m)
{
	struct leaving *l = &u->leaving;
	pid_t pid = l->pid;
	bool was_frozen = l->was_frozen, was_calmed = l->was_calmed;

	(void)m;
	l->was_calmed = l->was_frozen = false;
	drop_channel(l);
	log_error("upgrade", "process %d ended before it had taken over: this one goes on", (int)pid);
	if (was_frozen) {
		close_fd(&l->money);
		if (u->calls->resume(u->ctx) < 0)
			_exit(PURSE_EXIT_FAILURE); /* as a crash: the next start charges what is in flight, until then agents are denied */
		stop_beater(l);
		/* It may have listened at our place already. */
		(void)leaving_begin(u, NULL);
	} else if (was_calmed) {
		server_resume(u->env.server);
	}
}

static void (*const acts[HANDOVER_ACTS])(struct upgrade *u, const struct handover_msg *m) = {
	[HANDOVER_DO_WELCOME] = welcome, [HANDOVER_DO_REFUSE] = refuse, [HANDOVER_DO_FORGET] = forget, [HANDOVER_DO_CALM] = calm,
	[HANDOVER_DO_FREEZE] = freeze,   [HANDOVER_DO_KILL] = doom,     [HANDOVER_DO_GO_ON] = go_on,   [HANDOVER_DO_LEAVE] = leave,
	[HANDOVER_DO_OBEY] = obey,       [HANDOVER_DO_DIE] = die,
};

static void happens(struct upgrade *u, enum handover_event event, const struct handover_msg *m)
{
	struct handover_step step = handover_step(u->leaving.stage, event);

	/* Before it is done: what is done may make something happen. */
	u->leaving.stage = step.next;
	if (acts[step.act])
		acts[step.act](u, m);
}

/* ---- what happens */

static enum handover_event event_of(struct upgrade *u, const struct handover_msg *m)
{
	char why[sizeof(m->text)];

	switch (m->kind) {
	case HANDOVER_HELLO:
		why_not(u, m, why, sizeof(why));
		return why[0] ? HANDOVER_SAYS_UNFIT : HANDOVER_SAYS_HELLO;
	case HANDOVER_FREEZE:
		return HANDOVER_SAYS_FREEZE;
	case HANDOVER_OPEN:
		return HANDOVER_SAYS_OPEN;
	case HANDOVER_STOP_CALLS:
	case HANDOVER_END:
		return HANDOVER_SAYS_ORDER;
	default:
		return HANDOVER_SAYS_WRONG;
	}
}

/* False: there was nothing. */
static bool hear_one(struct upgrade *u)
{
	struct handover_msg m;
	int fds[HANDOVER_FDS], r = u->leaving.to < 0 ? -EAGAIN : handover_recv(u->leaving.to, &m, fds);

	if (r == -EAGAIN)
		return false;
	close_fd(&fds[0]);
	close_fd(&fds[1]);
	happens(u, r == 0 ? event_of(u, &m) : r == -EPIPE ? HANDOVER_IS_GONE : HANDOVER_SAYS_WRONG, &m);
	return true;
}

static void hear(void *ctx, unsigned ready)
{
	(void)ready;
	(void)hear_one(ctx);
}

/* What came before the deadline was looked at counts: if we slept through it, its OPEN is here. */
static void is_late(struct upgrade *u)
{
	enum handover_stage stage = u->leaving.stage;

	while (u->leaving.stage == stage && hear_one(u))
		;
	if (u->leaving.stage == stage)
		happens(u, HANDOVER_IS_LATE, NULL);
}

static void on_timer(void *ctx)
{
	struct upgrade *u = ctx;

	if (u->leaving.stage == HANDOVER_CALMING)
		calm(u, NULL);
	else
		is_late(u);
}

static void knock(void *ctx, unsigned ready)
{
	struct upgrade *u = ctx;
	struct leaving *l = &u->leaving;
	struct handover_msg no = { .kind = HANDOVER_NO, .version = HANDOVER_VERSION, .text = "another process is taking over at this moment" };
	int fd = accept4(l->listen, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	pid_t pid = 0;

	(void)ready;
	if (fd < 0)
		return;
	if (handover_may(fd, &pid) < 0 || l->stage != HANDOVER_IDLE) {
		(void)handover_send(fd, &no, NULL);
		(void)close(fd);
		return;
	}
	l->to = fd;
	l->pid = pid;
	l->pidfd = pidfd_open(pid, 0);
	if (l->pidfd < 0 || loop_io_new(u->env.loop, fd, hear, u, &l->to_io) < 0) {
		drop_channel(l);
		return;
	}
	l->stage = HANDOVER_KNOCKED;
	loop_io_want(l->to_io, LOOP_READ);
	loop_timer_set(l->timer, HELLO_MAX_MS);
}

/* ---- begin and end */

int leaving_begin(struct upgrade *u, struct err *e)
{
	struct leaving *l = &u->leaving;

	hear_no_more(u);
	int r = l->timer ? 0 : loop_timer_new(u->env.loop, on_timer, u, &l->timer);

	if (r < 0)
		return err_set(e, -r, "hand-over socket: %s", strerror(-r));
	r = handover_listen(u->path, &l->listen, e);
	if (r < 0)
		return r;
	r = loop_io_new(u->env.loop, l->listen, knock, u, &l->listen_io);
	if (r < 0)
		return err_set(e, -r, "hand-over socket: %s", strerror(-r));
	loop_io_want(l->listen_io, LOOP_READ);
	return 0;
}

void leaving_done(struct upgrade *u)
{
	struct leaving *l = &u->leaving;

	hear_no_more(u);
	if (l->stage != HANDOVER_LEFT)
		stop_beater(l);
	if (l->timer) {
		drop_channel(l);
		loop_timer_free(l->timer);
	}
	close_fd(&l->money);
}

/* Programs are the other's business as soon as it may replace them. */
bool upgrade_is_meeting(const struct upgrade *u)
{
	return u->leaving.stage > HANDOVER_KNOCKED;
}

bool upgrade_is_frozen(const struct upgrade *u)
{
	return u->leaving.was_frozen && !upgrade_has_left(u);
}

bool upgrade_has_left(const struct upgrade *u)
{
	return u->leaving.stage == HANDOVER_LEFT;
}
