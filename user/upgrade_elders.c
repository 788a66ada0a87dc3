// SPDX-License-Identifier: Apache-2.0
/* upgrade_elders.c: earlier processes that still have calls: their questions about money are answered, and orders go to them. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "upgrade_own.h"

static void elder_free(struct elder *d)
{
	money_serve_stop(d->serve);
	close_fd(&d->fd);
	close_fd(&d->money);
	free(d);
}

void elders_free(struct upgrade *u)
{
	while (u->nelders > 0)
		elder_free(u->elders[--u->nelders]);
}

int elder_add(struct upgrade *u, const struct handover_msg *m, int fd, int money, bool has_let_go)
{
	struct elder *d = u->nelders < BUDGET_KEEP_MAX ? calloc(1, sizeof(*d)) : NULL;

	if (!d)
		return u->nelders < BUDGET_KEEP_MAX ? -ENOMEM : -E2BIG;
	d->fd = fd;
	d->money = money;
	d->owner = m->owner;
	d->pid = (pid_t)m->pid;
	d->has_let_go = has_let_go;
	u->elders[u->nelders++] = d;
	return 0;
}

/* One that is gone has let go, too. */
static bool has_let_go(struct elder *d, int wait_ms)
{
	struct pollfd p = { .fd = d->fd, .events = POLLIN };
	struct handover_msg m;
	int fds[HANDOVER_FDS];

	if (d->has_let_go || poll(&p, 1, wait_ms) <= 0)
		return d->has_let_go;
	int r = handover_recv(d->fd, &m, fds);

	close_fd(&fds[0]);
	close_fd(&fds[1]);
	d->has_let_go = r == -EPIPE || (r == 0 && m.kind == HANDOVER_LET_GO);
	return d->has_let_go;
}

const struct elder *elders_let_go(struct upgrade *u, int wait_ms)
{
	for (size_t i = 0; i < u->nelders; i++)
		if (!has_let_go(u->elders[i], wait_ms))
			return u->elders[i];
	return NULL;
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
	elders_free(u);
}

size_t upgrade_owners(const struct upgrade *u, uint32_t ret[BUDGET_KEEP_MAX])
{
	for (size_t i = 0; i < u->nelders; i++)
		ret[i] = u->elders[i]->owner;
	return u->nelders;
}
