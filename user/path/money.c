// SPDX-License-Identifier: Apache-2.0
/* money.c: the path's side of money.h: here or, after a hand-over, over a socket. The owner's side is money_serve.c. */
#include "path/money.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "path/money_wire.h"

/* The owner answers in microseconds; one that is silent for so long is as good as dead, and our slots are safe with its successor. */
#define ANSWER_S 90

struct money {
	pthread_rwlock_t moving; /* read: a verb runs; written: the money moves */
	struct budget *budget;
	struct ledger *ledger;
	int fd; /* >= 0: it is away */
	pthread_mutex_t one; /* one question at a time */
	_Atomic bool is_lost;
	void (*lost)(void *ctx);
	void *lost_ctx;
};

uint64_t money_dialect(void)
{
	return (uint64_t)MONEY_WIRE_VERSION << 48 | (uint64_t)sizeof(struct money_ask) << 24 | sizeof(struct money_answer);
}

int money_new(struct budget *b, struct ledger *l, struct money **ret)
{
	struct money *m = calloc(1, sizeof(*m));
	pthread_rwlockattr_t attr;

	if (!m)
		return -ENOMEM;
	(void)pthread_rwlockattr_init(&attr);
	/* A stream of verbs must not keep the freeze waiting. */
	(void)pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	(void)pthread_rwlock_init(&m->moving, &attr);
	(void)pthread_rwlockattr_destroy(&attr);
	(void)pthread_mutex_init(&m->one, NULL);
	m->budget = b;
	m->ledger = l;
	m->fd = -1;
	*ret = m;
	return 0;
}

void money_free(struct money *m)
{
	if (!m)
		return;
	if (m->fd >= 0)
		(void)close(m->fd);
	(void)pthread_rwlock_destroy(&m->moving);
	(void)pthread_mutex_destroy(&m->one);
	free(m);
}

void money_freeze(struct money *m)
{
	(void)pthread_rwlock_wrlock(&m->moving);
}

void money_thaw(struct money *m, struct budget *b, struct ledger *l)
{
	m->budget = b;
	m->ledger = l;
	(void)pthread_rwlock_unlock(&m->moving);
}

void money_thaw_away(struct money *m, int fd, void (*lost)(void *ctx), void *ctx)
{
	struct timeval wait = { .tv_sec = ANSWER_S };

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	m->budget = NULL;
	m->ledger = NULL;
	m->fd = fd;
	m->lost = lost;
	m->lost_ctx = ctx;
	(void)pthread_rwlock_unlock(&m->moving);
}

/* False: it is here. Either way money_leave follows. */
static bool money_enter(struct money *m)
{
	(void)pthread_rwlock_rdlock(&m->moving);
	return m->fd >= 0;
}

static void money_leave(struct money *m)
{
	(void)pthread_rwlock_unlock(&m->moving);
}

bool money_is_away(struct money *m)
{
	bool away = money_enter(m);

	money_leave(m);
	return away;
}

/* ---- away */

static void lose(struct money *m, const char *why)
{
	if (atomic_exchange(&m->is_lost, true))
		return;
	log_error("upgrade", "the process that took over does not answer (%s): what is in flight here is charged by the next start", why);
	if (m->lost)
		m->lost(m->lost_ctx);
}

static int exchange_messages(int fd, const struct money_ask *ask, struct money_answer *ret)
{
	ssize_t n;

	do
		n = send(fd, ask, sizeof(*ask), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	do
		n = recv(fd, ret, sizeof(*ret), 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n == 0 ? -EPIPE : n == sizeof(*ret) ? 0 : -EPROTO;
}

/* 0, or the owner is gone. */
static int put(struct money *m, const struct money_ask *ask, struct money_answer *ret)
{
	int r = -EPIPE;

	(void)pthread_mutex_lock(&m->one);
	if (!atomic_load(&m->is_lost)) {
		r = exchange_messages(m->fd, ask, ret);
		/* An answer that comes late would be taken for that of the next question. */
		if (r < 0)
			lose(m, strerror(-r));
	}
	(void)pthread_mutex_unlock(&m->one);
	return r;
}

static void text(char *to, size_t size, const char *from)
{
	(void)snprintf(to, size, "%s", from ? from : "");
}

static int refuse_lost(struct refusal *ret_why)
{
	*ret_why = (struct refusal){ .reason = REFUSAL_LEDGER };
	return -EOWNERDEAD;
}

/* Verbs that say something and hear nothing but that it was done. */
static bool tell(struct money *m, const struct money_ask *ask)
{
	struct money_answer a;

	return put(m, ask, &a) == 0;
}

static int64_t ask_number(struct money *m, const struct money_ask *ask)
{
	struct money_answer a;

	return put(m, ask, &a) == 0 ? a.amount : 0;
}

static int hold_away(struct money *m, const struct hold_request *r, uint32_t *ret_slot, uint64_t *ret_call_id, struct refusal *ret_why)
{
	struct money_ask ask = {
		.verb = MONEY_HOLD, .account = r->account, .amount = r->amount, .cgroup_id = r->cgroup_id, .pid = r->pid,
		.provider = r->provider, .endpoint = r->endpoint, .at_ns = r->now_ns, .tokens = r->tokens, .fingerprint = r->fingerprint,
	};
	struct money_answer a;

	text(ask.comm, sizeof(ask.comm), r->comm);
	text(ask.model, sizeof(ask.model), r->model);
	text(ask.provider_name, sizeof(ask.provider_name), r->provider_name);
	if (put(m, &ask, &a) < 0)
		return refuse_lost(ret_why);
	*ret_slot = a.slot;
	*ret_call_id = a.call_id;
	if (a.error)
		*ret_why = a.why;
	if (r->notes)
		*r->notes = a.notes;
	return a.error;
}

static int extend_away(struct money *m, uint32_t slot, nanousd at_least, nanousd wish, int64_t now_ns, nanousd *ret_amount,
		       struct refusal *ret_why)
{
	struct money_ask ask = { .verb = MONEY_EXTEND, .slot = slot, .at_least = at_least, .amount = wish, .at_ns = now_ns };
	struct money_answer a;

	if (put(m, &ask, &a) < 0)
		return refuse_lost(ret_why);
	if (a.error)
		*ret_why = a.why;
	else
		*ret_amount = a.amount;
	return a.error;
}

static int view_away(struct money *m, uint32_t account, int64_t now_s, struct account_view *ret)
{
	struct money_ask ask = { .verb = MONEY_VIEW, .account = account, .at_ns = now_s };
	struct money_answer a;

	if (put(m, &ask, &a) < 0)
		return -EOWNERDEAD;
	if (!a.error)
		*ret = a.view;
	return a.error;
}

static void get_hold_away(struct money *m, uint32_t slot, struct gate_hold *ret)
{
	struct money_ask ask = { .verb = MONEY_GET_HOLD, .slot = slot };
	struct money_answer a;

	*ret = (struct gate_hold){ 0 };
	if (put(m, &ask, &a) == 0)
		*ret = a.hold;
}

static nanousd charge_away(struct money *m, uint32_t slot, const struct ledger_call *c)
{
	struct money_ask ask = { .verb = MONEY_CHARGE, .slot = slot, .call = *c };

	return ask_number(m, &ask);
}

static void trail_away(struct money *m, enum money_verb verb, const char *agent, const char *provider, const char *model,
		       const struct refusal *why, int64_t at_ns)
{
	struct money_ask ask = { .verb = verb, .at_ns = at_ns, .why = *why };

	text(ask.agent, sizeof(ask.agent), agent);
	text(ask.model, sizeof(ask.model), model);
	text(ask.provider_name, sizeof(ask.provider_name), provider);
	(void)tell(m, &ask);
}

/* ---- the verbs */

int money_hold(struct money *m, const struct hold_request *r, uint32_t *ret_slot, uint64_t *ret_call_id, struct refusal *ret_why)
{
	int ret = money_enter(m) ? hold_away(m, r, ret_slot, ret_call_id, ret_why)
				 : budget_hold(m->budget, r, ret_slot, ret_call_id, ret_why);

	money_leave(m);
	return ret;
}

int money_extend(struct money *m, uint32_t slot, nanousd at_least, nanousd wish, int64_t now_ns, nanousd *ret_amount,
		 struct refusal *ret_why)
{
	int ret = money_enter(m) ? extend_away(m, slot, at_least, wish, now_ns, ret_amount, ret_why)
				 : budget_extend(m->budget, slot, at_least, wish, now_ns, ret_amount, ret_why);

	money_leave(m);
	return ret;
}

nanousd money_afford(struct money *m, uint32_t account, const char *model, int64_t now_ns)
{
	struct money_ask ask = { .verb = MONEY_AFFORD, .account = account, .at_ns = now_ns };

	text(ask.model, sizeof(ask.model), model);
	nanousd ret = money_enter(m) ? ask_number(m, &ask) : budget_afford(m->budget, account, model, now_ns);

	money_leave(m);
	return ret;
}

bool money_is_below(struct money *m, uint32_t account, uint32_t top)
{
	const struct money_ask ask = { .verb = MONEY_IS_BELOW, .account = account, .other = top };
	bool ret = money_enter(m) ? ask_number(m, &ask) : budget_is_below(m->budget, account, top);

	money_leave(m);
	return ret;
}

bool money_clamps(struct money *m, uint32_t account)
{
	const struct money_ask ask = { .verb = MONEY_CLAMPS, .account = account };
	bool ret = money_enter(m) ? ask_number(m, &ask) : budget_clamps(m->budget, account);

	money_leave(m);
	return ret;
}

void money_count_tokens(struct money *m, uint32_t slot, int64_t tokens, int64_t now_ns)
{
	const struct money_ask ask = { .verb = MONEY_COUNT_TOKENS, .slot = slot, .tokens = tokens, .at_ns = now_ns };

	if (money_enter(m))
		(void)tell(m, &ask);
	else
		budget_count_tokens(m->budget, slot, tokens, now_ns);
	money_leave(m);
}

void money_sent(struct money *m, uint32_t slot)
{
	const struct money_ask ask = { .verb = MONEY_SENT, .slot = slot };

	if (money_enter(m))
		(void)tell(m, &ask);
	else
		budget_sent(m->budget, slot);
	money_leave(m);
}

void money_give_up(struct money *m, uint32_t slot, uint64_t call_id)
{
	const struct money_ask ask = { .verb = MONEY_GIVE_UP, .slot = slot, .call_id = call_id };

	if (money_enter(m)) {
		(void)tell(m, &ask);
	} else {
		budget_give_up(m->budget, slot);
		ledger_hold_over(m->ledger, call_id, slot);
	}
	money_leave(m);
}

void money_count_refusal(struct money *m, uint32_t account)
{
	const struct money_ask ask = { .verb = MONEY_COUNT_REFUSAL, .account = account };

	if (money_enter(m))
		(void)tell(m, &ask);
	else
		budget_count_refusal(m->budget, account);
	money_leave(m);
}

void money_get_hold(struct money *m, uint32_t slot, struct gate_hold *ret)
{
	if (money_enter(m))
		get_hold_away(m, slot, ret);
	else
		budget_get_hold(m->budget, slot, ret);
	money_leave(m);
}

uint32_t money_find(struct money *m, const char *name)
{
	struct money_ask ask = { .verb = MONEY_FIND };

	text(ask.agent, sizeof(ask.agent), name);
	uint32_t ret = money_enter(m) ? (uint32_t)ask_number(m, &ask) : budget_find(m->budget, name);

	money_leave(m);
	return ret;
}

int money_view(struct money *m, uint32_t account, int64_t now_s, struct account_view *ret)
{
	int r = money_enter(m) ? view_away(m, account, now_s, ret) : budget_view(m->budget, account, now_s, ret);

	money_leave(m);
	return r;
}

nanousd money_charge(struct money *m, uint32_t slot, const struct ledger_call *c)
{
	nanousd overrun;

	if (money_enter(m)) {
		overrun = charge_away(m, slot, c);
	} else {
		overrun = budget_charge(m->budget, slot, c->cost, c->estimated);
		ledger_call(m->ledger, c);
	}
	money_leave(m);
	return overrun;
}

void money_write_hold(struct money *m, const struct ledger_hold *h)
{
	if (money_enter(m)) {
		struct money_ask ask = { .verb = MONEY_WRITE_HOLD, .hold = *h };

		(void)tell(m, &ask);
	} else {
		ledger_hold(m->ledger, h);
	}
	money_leave(m);
}

void money_hold_grew(struct money *m, uint64_t call_id, nanousd amount)
{
	const struct money_ask ask = { .verb = MONEY_HOLD_GREW, .call_id = call_id, .amount = amount };

	if (money_enter(m))
		(void)tell(m, &ask);
	else
		ledger_hold_grew(m->ledger, call_id, amount);
	money_leave(m);
}

void money_refusal(struct money *m, const char *agent, const char *provider, const char *model, const struct refusal *why, int64_t at_ns)
{
	if (money_enter(m))
		trail_away(m, MONEY_REFUSAL, agent, provider, model, why, at_ns);
	else
		ledger_refusal(m->ledger, agent, provider, model, why, at_ns);
	money_leave(m);
}

void money_note(struct money *m, const char *agent, const char *provider, const char *model, const struct refusal *why, int64_t at_ns)
{
	if (money_enter(m))
		trail_away(m, MONEY_NOTE, agent, provider, model, why, at_ns);
	else
		ledger_note(m->ledger, agent, provider, model, why, at_ns);
	money_leave(m);
}
