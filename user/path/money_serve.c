// SPDX-License-Identifier: Apache-2.0
/*
 * money_serve.c: the owner's side of money.h: one thread per process that handed over and still has calls. It trusts that process (root, checked
 * when the hand-over began) but not that it lives: a slot that is none of its own is refused, not touched.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "path/money.h"
#include "path/money_wire.h"
#include "spend/replay.h"

struct money_serve {
	int fd, stop_fd;
	uint32_t owner;
	struct budget *budget;
	struct ledger *ledger;
	void (*gone)(void *ctx, uint32_t owner);
	void *ctx;
	pthread_t thread;
};

typedef void (*answer_fn)(struct money_serve *s, const struct money_ask *q, struct money_answer *ret);

static void hold(struct money_serve *s, const struct money_ask *q, struct money_answer *ret)
{
	struct hold_request r = {
		.account = q->account, .amount = q->amount > 0 ? q->amount : 1, .cgroup_id = q->cgroup_id, .pid = q->pid, .provider = q->provider,
		.endpoint = q->endpoint, .comm = q->comm, .model = q->model, .provider_name = q->provider_name, .now_ns = q->at_ns,
		.tokens = q->tokens, .fingerprint = q->fingerprint, .notes = &ret->notes, .owner = s->owner,
	};

	ret->error = budget_hold(s->budget, &r, &ret->slot, &ret->call_id, &ret->why);
}

static void extend(struct money_serve *s, const struct money_ask *q, struct money_answer *ret)
{
	ret->error = budget_extend(s->budget, q->slot, q->at_least, q->amount, q->at_ns, &ret->amount, &ret->why);
}

static void afford(struct money_serve *s, const struct money_ask *q, struct money_answer *ret)
{
	ret->amount = budget_afford(s->budget, q->account, q->model, q->at_ns);
}

static void is_below(struct money_serve *s, const struct money_ask *q, struct money_answer *ret)
{
	ret->amount = budget_is_below(s->budget, q->account, q->other);
}

static void clamps(struct money_serve *s, const struct money_ask *q, struct money_answer *ret)
{
	ret->amount = budget_clamps(s->budget, q->account);
}

static void count_tokens(struct money_serve *s, const struct money_ask *q, struct money_answer *ret)
{
	(void)ret;
	budget_count_tokens(s->budget, q->slot, q->tokens, q->at_ns);
}

static void sent(struct money_serve *s, const struct money_ask *q, struct money_answer *ret)
{
	(void)ret;
	budget_sent(s->budget, q->slot);
}

static void give_up(struct money_serve *s, const struct money_ask *q, struct money_answer *ret)
{
	(void)ret;
	budget_give_up(s->budget, q->slot);
	ledger_hold_over(s->ledger, q->call_id, q->slot);
}

static void count_refusal(struct money_serve *s, const struct money_ask *q, struct money_answer *ret)
{
	(void)ret;
	budget_count_refusal(s->budget, q->account);
}

static void get_hold(struct money_serve *s, const struct money_ask *q, struct money_answer *ret)
{
	budget_get_hold(s->budget, q->slot, &ret->hold);
}

static void find(struct money_serve *s, const struct money_ask *q, struct money_answer *ret)
{
	ret->amount = budget_find(s->budget, q->agent);
}

static void view(struct money_serve *s, const struct money_ask *q, struct money_answer *ret)
{
	ret->error = budget_view(s->budget, q->account, q->at_ns, &ret->view);
}

static void charge(struct money_serve *s, const struct money_ask *q, struct money_answer *ret)
{
	struct ledger_call c = q->call;

	c.slot = q->slot;
	if (c.cost < 0)
		c.cost = 0;
	ret->amount = budget_charge(s->budget, q->slot, c.cost, c.estimated);
	ledger_call(s->ledger, &c);
}

static void write_hold(struct money_serve *s, const struct money_ask *q, struct money_answer *ret)
{
	(void)ret;
	ledger_hold(s->ledger, &q->hold);
}

static void hold_grew(struct money_serve *s, const struct money_ask *q, struct money_answer *ret)
{
	(void)ret;
	ledger_hold_grew(s->ledger, q->call_id, q->amount);
}

static void refusal(struct money_serve *s, const struct money_ask *q, struct money_answer *ret)
{
	(void)ret;
	ledger_refusal(s->ledger, q->agent, q->provider_name, q->model, &q->why, q->at_ns);
}

static void note(struct money_serve *s, const struct money_ask *q, struct money_answer *ret)
{
	(void)ret;
	ledger_note(s->ledger, q->agent, q->provider_name, q->model, &q->why, q->at_ns);
}

/* what a slot must be in for the verb; 0 = the verb has no slot */
#define HELD (1u << GATE_HOLD_HELD)
#define SENT (1u << GATE_HOLD_SENT)
#define CHARGED (1u << GATE_HOLD_CHARGED)

static const struct {
	answer_fn answer;
	unsigned states;
} verbs[MONEY_VERB_COUNT] = {
	[MONEY_HOLD] = { hold, 0 },
	[MONEY_EXTEND] = { extend, HELD | SENT },
	[MONEY_AFFORD] = { afford, 0 },
	[MONEY_IS_BELOW] = { is_below, 0 },
	[MONEY_CLAMPS] = { clamps, 0 },
	[MONEY_COUNT_TOKENS] = { count_tokens, HELD | SENT },
	[MONEY_SENT] = { sent, HELD | SENT },
	[MONEY_GIVE_UP] = { give_up, HELD },
	[MONEY_COUNT_REFUSAL] = { count_refusal, 0 },
	[MONEY_GET_HOLD] = { get_hold, HELD | SENT | CHARGED },
	[MONEY_FIND] = { find, 0 },
	[MONEY_VIEW] = { view, 0 },
	[MONEY_CHARGE] = { charge, HELD | SENT },
	[MONEY_WRITE_HOLD] = { write_hold, 0 },
	[MONEY_HOLD_GREW] = { hold_grew, 0 },
	[MONEY_REFUSAL] = { refusal, 0 },
	[MONEY_NOTE] = { note, 0 },
};

/* The slot is its own and in a state in which the verb means something; slots of the asking process change only by its own questions. */
static bool may(struct money_serve *s, const struct money_ask *q)
{
	struct gate_hold h;

	if (!verbs[q->verb].states)
		return true;
	if (q->slot >= GATE_HOLDS_MAX)
		return false;
	budget_get_hold(s->budget, q->slot, &h);
	/* One that was given up counts no more: as if it were free. */
	if (h.state == GATE_HOLD_HELD && !h.amount_nanousd)
		return false;
	return h.owner == s->owner && h.state < 32 && (verbs[q->verb].states & 1u << h.state);
}

static int answer(struct money_serve *s, struct money_ask *q, struct money_answer *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (q->verb == 0 || q->verb >= MONEY_VERB_COUNT)
		return -EPROTO;
	/* Texts end. */
	q->agent[sizeof(q->agent) - 1] = q->comm[sizeof(q->comm) - 1] = q->model[sizeof(q->model) - 1] = '\0';
	q->provider_name[sizeof(q->provider_name) - 1] = '\0';
	if (may(s, q)) {
		verbs[q->verb].answer(s, q, ret);
		return 0;
	}
	log_error("upgrade", "a process that handed over asks for verb %u of slot %u, which is not its own: not done", q->verb, q->slot);
	ret->error = -EPERM;
	if (q->verb == MONEY_EXTEND)
		ret->why.reason = REFUSAL_LEDGER;
	return 0;
}

/* 0: answered. Else the process is gone or speaks nonsense. */
static int serve_one(struct money_serve *s, struct money_ask *q, struct money_answer *a)
{
	ssize_t n = recv(s->fd, q, sizeof(*q), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n != sizeof(*q) || answer(s, q, a) < 0)
		return -EPROTO;
	do
		n = send(s->fd, a, sizeof(*a), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == sizeof(*a) ? 0 : -EPIPE;
}

static void settle_what_is_left(struct money_serve *s)
{
	struct replay_counts n = { 0 };
	char cost[32];

	/* Also where it spoke nonsense: nothing comes from it any more. */
	(void)shutdown(s->fd, SHUT_RDWR);
	replay_abandoned(s->budget, s->ledger, s->owner, &n);
	if (n.orphans_sent)
		log_warn("upgrade", "the process before this one ended with %zu calls in flight: charged at their whole hold (%s)",
			 n.orphans_sent, usd_show(n.orphans_cost, cost, sizeof(cost)));
	if (s->gone)
		s->gone(s->ctx, s->owner);
}

static void *serve(void *ctx)
{
	struct money_serve *s = ctx;
	struct money_ask *q = calloc(1, sizeof(*q));
	struct money_answer *a = calloc(1, sizeof(*a));
	struct pollfd fds[] = { { .fd = s->fd, .events = POLLIN }, { .fd = s->stop_fd, .events = POLLIN } };
	int r = q && a ? 0 : -ENOMEM;

	while (r == 0) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			break;
		r = serve_one(s, q, a);
	}
	if (r < 0)
		settle_what_is_left(s);
	free(q);
	free(a);
	return NULL;
}

int money_serve_start(int fd, uint32_t owner, struct budget *b, struct ledger *l, void (*gone)(void *ctx, uint32_t owner), void *ctx,
		      struct money_serve **ret)
{
	struct money_serve *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	*s = (struct money_serve){ .fd = fd, .owner = owner, .budget = b, .ledger = l, .gone = gone, .ctx = ctx };
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (s->stop_fd < 0) {
		free(s);
		return -errno;
	}
	int r = thread_start(&s->thread, NULL, serve, s);

	if (r < 0) {
		(void)close(s->stop_fd);
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void money_serve_stop(struct money_serve *s)
{
	uint64_t one = 1;

	if (!s)
		return;
	(void)!write(s->stop_fd, &one, sizeof(one));
	(void)pthread_join(s->thread, NULL);
	(void)close(s->stop_fd);
	free(s);
}
