// SPDX-License-Identifier: Apache-2.0
/*
 * upgrade_new.c: this process takes over from the one before it: meets it, takes what it hands over, says that the money is its own. What comes
 * over the channel is kept until the daemon asks for it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/crash.h"
#include "base/log.h"
#include "ctl/server.h"
#include "ctl_abi.h"
#include "upgrade_own.h"

#define ANSWER_S (FROZEN_MAX_MS / 1000 + 20)

void taking_init(struct taking *t)
{
	t->from = t->lock = t->pins = t->control = -1;
}

static void close_listeners(struct taking *t)
{
	for (size_t i = 0; i < t->nlisteners; i++) {
		close_fd(&t->listeners[i].fd4);
		close_fd(&t->listeners[i].fd6);
	}
	t->nlisteners = 0;
}

static void close_leases(struct taking *t)
{
	while (t->nleases > 0)
		close_fd(&t->leases[--t->nleases]);
}

void taking_done(struct taking *t)
{
	bool is_elder = t->is_on && t->is_frozen;

	close_fd(&t->lock);
	close_fd(&t->pins);
	close_fd(&t->control);
	close_listeners(t);
	close_leases(t);
	free(t->listeners);
	free(t->leases);
	if (!is_elder)
		close_fd(&t->from);
}

static int say(int fd, uint32_t kind)
{
	struct handover_msg m = { .kind = kind, .version = HANDOVER_VERSION, .dialect = money_dialect(), .pid = (uint32_t)getpid() };

	(void)snprintf(m.text, sizeof(m.text), "%s", PURSE_VERSION);
	return handover_send(fd, &m, NULL);
}

/* The old one is gone: what it had said is worth nothing, but the lock is the lock. */
static void start_plainly(struct upgrade *u, const char *why)
{
	log_warn("upgrade", "process %d %s: starting without it; what it had in flight is charged", (int)u->taking.pid, why);
	close_fd(&u->taking.from);
	close_fd(&u->taking.control);
	close_listeners(&u->taking);
	close_leases(&u->taking);
	elders_free(u);
	u->taking.is_on = false;
}

int upgrade_meet(struct upgrade *u, struct err *e)
{
	struct timeval wait = { .tv_sec = ANSWER_S };
	struct handover_msg m;
	int fds[HANDOVER_FDS], r = handover_connect(u->path, &u->taking.from);

	if (r == -ENOENT || r == -ECONNREFUSED) {
		log_info("upgrade", "no daemon to take over from: this is a plain start");
		return 0;
	}
	if (r == 0)
		r = handover_may(u->taking.from, &u->taking.pid);
	if (r == 0 && setsockopt(u->taking.from, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0)
		r = -errno;
	if (r == 0)
		r = say(u->taking.from, HANDOVER_HELLO);
	if (r == 0)
		r = handover_recv(u->taking.from, &m, fds);
	if (r == -EPIPE) {
		start_plainly(u, "has ended");
		return 0;
	}
	if (r == 0 && m.kind == HANDOVER_NO)
		return err_set(e, EBUSY, "take-over: process %d says: %s", (int)u->taking.pid, m.text);
	if (r == 0 && (m.kind != HANDOVER_WELCOME || fds[0] < 0))
		r = -EPROTO;
	if (r < 0)
		return err_set(e, -r, "take-over: process %d does not answer as it should: %s; stop it, then start this one", (int)u->taking.pid,
			       strerror(-r));
	u->taking.lock = fds[0];
	u->taking.pins = fds[1]; /* none from a version that had no such lock */
	u->taking.is_on = true;
	CRASH_POINT("upgrade-met");
	log_info("upgrade", "taking over from process %d, version %s", (int)u->taking.pid, m.text);
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
	int r = grow(&u->taking.listeners, u->taking.nlisteners, sizeof(*u->taking.listeners));

	if (r < 0 || p->has4 + p->has6 != (fds[0] >= 0) + (fds[1] >= 0))
		return r < 0 ? r : -EPROTO;
	u->taking.listeners[u->taking.nlisteners++] = (struct path_inherited){
		.fd4 = p->has4 ? fds[0] : -1, .fd6 = !p->has6 ? -1 : p->has4 ? fds[1] : fds[0], .port4 = p->port4, .port6 = p->port6,
		.is_own = p->is_own, .cookie = p->cookie, .dev = p->dev, .ino = p->ino, .agent = p->agent, .pid = p->pid, .tid = p->tid,
	};
	return 0;
}

static int take_lease(struct upgrade *u, int fd)
{
	int r = grow(&u->taking.leases, u->taking.nleases, sizeof(*u->taking.leases));

	if (r == 0)
		u->taking.leases[u->taking.nleases++] = fd;
	return r;
}

/* 1: all is said. */
static int take_one(struct upgrade *u)
{
	struct handover_msg m;
	int fds[HANDOVER_FDS], r = handover_recv(u->taking.from, &m, fds);

	if (r < 0)
		return r;
	switch (m.kind) {
	case HANDOVER_LISTENER:
		return take_listener(u, &m.place, fds);
	case HANDOVER_CONTROL:
		u->taking.control = fds[0];
		return 0;
	case HANDOVER_LEASE:
		return take_lease(u, fds[0]);
	case HANDOVER_ELDER:
		return elder_add(u, &m, fds[0], fds[1], true);
	case HANDOVER_FROZEN:
		m.pid = (uint32_t)u->taking.pid;
		r = elder_add(u, &m, u->taking.from, fds[0], false);
		return r < 0 ? r : 1;
	default:
		return -EPROTO;
	}
}

int upgrade_take(struct upgrade *u, struct err *e)
{
	int r = u->taking.is_on ? say(u->taking.from, HANDOVER_FREEZE) : 1;

	while (r == 0)
		r = take_one(u);
	if (r == -EPIPE) {
		start_plainly(u, "ended during the hand-over");
		return 0;
	}
	if (r < 0)
		return err_set(e, -r, "take-over: what process %d hands over does not come as it should: %s", (int)u->taking.pid, strerror(-r));
	u->taking.is_frozen = u->taking.is_on;
	CRASH_POINT("upgrade-taken");
	return 0;
}

bool upgrade_is_taking(const struct upgrade *u)
{
	return u->taking.is_on;
}

pid_t upgrade_from(const struct upgrade *u)
{
	return u->taking.pid;
}

static int give_up_fd(int *fd)
{
	int ret = *fd > 0 ? *fd : 0;

	*fd = -1;
	return ret;
}

int upgrade_take_lock(struct upgrade *u)
{
	return give_up_fd(&u->taking.lock);
}

int upgrade_take_pins(struct upgrade *u)
{
	return give_up_fd(&u->taking.pins);
}

int upgrade_take_control(struct upgrade *u)
{
	return give_up_fd(&u->taking.control);
}

const struct path_inherited *upgrade_listeners(const struct upgrade *u, size_t *ret_n)
{
	*ret_n = u->taking.nlisteners;
	return u->taking.listeners;
}

void upgrade_listeners_taken(struct upgrade *u)
{
	u->taking.nlisteners = 0;
}

void upgrade_adopt_leases(struct upgrade *u, struct server *s)
{
	for (size_t i = 0; i < u->taking.nleases; i++)
		(void)server_adopt_lease(s, u->taking.leases[i]);
	u->taking.nleases = 0;
}

void taking_open(struct upgrade *u)
{
	/* If it is gone by now there is nobody to tell; its calls are settled by upgrade_serve. */
	CRASH_POINT("upgrade-before-open");
	(void)say(u->taking.from, HANDOVER_OPEN);
	CRASH_POINT("upgrade-after-open");
	u->taking.from = -1; /* the elder's */
	u->taking.is_on = false;
}
