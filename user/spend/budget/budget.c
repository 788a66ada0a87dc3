// SPDX-License-Identifier: Apache-2.0
/*
 * budget.c: the life of a hold, and how its money moves: limit -> held -> spent. Accounts and their tree are made in
 * budget/tree.c, their windows begin and end in budget/time.c; looking, checking and starting over what a dead daemon left is budget/look.c.
 * No I/O, no clock.
 *
 * Order of stores, for those who read without the lock: held falls before left falls, and left rises (a window begins anew) only while
 * start_s says BUDGET_CHANGING. So whoever reads left first and held second sees held <= left.
 */
#include "spend/budget/budget.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/crash.h"
#include "base/str.h"
#include "spend/budget/own.h"
#include "spend/rules/account.h"
#include "spend/budget/window.h"

#define STORE(word, value) __atomic_store_n(&(word), (value), __ATOMIC_RELEASE)

/* ---- publication */

static nanousd left_of(const struct budget *b, const struct window_money *w)
{
	return b->is_open ? w->limit - w->now.spent : 0;
}

void publish_held(struct budget *b, uint32_t i, int w)
{
	STORE(b->rows[i].windows[w].held_nanousd, b->accounts[i].windows[w].now.held);
}

void publish_left(struct budget *b, uint32_t i, int w)
{
	STORE(b->rows[i].windows[w].left_nanousd, left_of(b, &b->accounts[i].windows[w]));
}

void publish_window(struct budget *b, uint32_t i, int w)
{
	struct gate_window *to = &b->rows[i].windows[w];
	const struct window_money *from = &b->accounts[i].windows[w];

	/* An exchange, since nothing below may be seen before it. */
	(void)__atomic_exchange_n(&to->start_s, BUDGET_CHANGING, __ATOMIC_ACQ_REL);
	publish_held(b, i, w);
	publish_left(b, i, w);
	/* After left: a window that gets its first limit is never seen with the endless left of an unlimited one. */
	STORE(to->limit_nanousd, from->limit);
	STORE(to->end_s, from->now.end_s);
	STORE(to->start_s, from->now.start_s);
}

void publish_flags(struct budget *b, uint32_t i)
{
	const struct account *a = &b->accounts[i];
	uint32_t flags = !a->used ? 0 : (uint32_t)GATE_ACCOUNT_USED | (a->paused || !b->is_open ? GATE_ACCOUNT_PAUSED : 0);

	STORE(b->rows[i].flags, flags);
}

/* ---- money */

void instance_spend(struct instance *in, nanousd amount)
{
	nanousd sum;

	if (__builtin_add_overflow(in->spent, amount, &sum) || sum > SPENT_MAX)
		sum = SPENT_MAX;
	ASSERT(sum >= 0);
	in->spent = sum;
}

void instance_excuse(struct instance *in, nanousd limit)
{
	in->excused = in->spent + in->held > limit ? in->spent + in->held : 0;
}

void slot_set_state(struct gate_hold *h, uint32_t state)
{
	STORE(h->state, state);
}

uint32_t slot_state(const struct gate_hold *h)
{
	return __atomic_load_n(&h->state, __ATOMIC_ACQUIRE);
}

void slot_free(struct budget *b, uint32_t slot)
{
	slot_set_state(&b->holds[slot], GATE_HOLD_FREE);
	ASSERT(b->nfree < b->nholds);
	b->free_slots[b->nfree++] = slot;
}

static struct gate_hold *slot_get(struct budget *b, uint32_t slot)
{
	ASSERT(slot < b->nholds);
	return &b->holds[slot];
}

/* Money leaves "held" in every window that it still counts in, and `cost` of it becomes "spent". */
static void unhold_window(struct budget *b, uint32_t i, int k, const struct gate_hold *h, nanousd cost)
{
	struct window_money *w = &b->accounts[i].windows[k];
	struct instance *in = window_at(w, h->started_realtime_ns);

	if (!in)
		return; /* that instance is over and forgotten, and its money with it */
	in->held -= h->amount_nanousd;
	ASSERT(in->held >= 0);
	if (in == &w->now)
		publish_held(b, i, k);
	if (cost > 0) {
		instance_spend(in, cost);
		if (in == &w->now)
			publish_left(b, i, k);
	}
	if (cost > h->amount_nanousd || in->spent + in->held <= w->limit)
		instance_excuse(in, w->limit);
	if (in != &w->now && in->held == 0)
		window_forget(w, in);
}

static void unhold(struct budget *b, const struct gate_hold *h, nanousd cost)
{
	for_chain(b, i, h->account)
		for (int k = 0; k < WINDOW_COUNT; k++)
			unhold_window(b, i, k, h, cost);
}

/* ---- holding */

/* A call and what it holds: nothing before budget_hold, something when it is extended. */
struct claim {
	uint32_t account;
	int64_t started_ns;
	nanousd own;
};

/* What the call could hold in this window at most, its own included. in NULL: over and forgotten, nothing more. */
static nanousd window_room(const struct window_money *w, const struct instance *in, nanousd own)
{
	if (!in)
		return w->limit == GATE_NO_LIMIT ? SPENT_MAX : own;
	nanousd others = in->held - own, left = w->limit - in->spent - others;

	return left < SPENT_MAX - others ? left : SPENT_MAX - others;
}

/* The most that fits all the way up; may be negative. */
static nanousd room(struct budget *b, const struct claim *c)
{
	nanousd least = SPENT_MAX;

	for_chain(b, i, c->account)
		for (int k = 0; k < WINDOW_COUNT; k++) {
			struct window_money *w = &b->accounts[i].windows[k];
			nanousd here = window_room(w, window_at(w, c->started_ns), c->own);

			least = here < least ? here : least;
		}
	return least;
}

/* What stops `amount`, for people; the call's own hold is not in `held`. */
static void explain_window(struct account *a, int k, const struct claim *c, nanousd amount, bool is_held, struct refusal *ret_why)
{
	struct window_money *w = &a->windows[k];
	const struct instance *in = window_at(w, c->started_ns);

	*ret_why = (struct refusal){
		.reason = is_held ? REFUSAL_BUDGET_HELD : REFUSAL_BUDGET,
		.window = (enum window_kind)k,
		.limit = w->limit,
		.spent = in ? in->spent : w->limit,
		.held = in ? in->held - c->own : 0,
		.needed = amount,
		.reset_s = in ? in->end_s : w->now.end_s,
	};
	memcpy(ret_why->account, a->name, sizeof(ret_why->account));
}

/* The reason that tells the agent the most: used up before merely held, deepest account first, longest window first. */
static int explain(struct budget *b, const struct claim *c, nanousd amount, struct refusal *ret_why)
{
	struct account *stop = NULL;
	int stop_window = 0;
	bool stop_is_held = false;

	for_chain(b, i, c->account) {
		struct account *a = &b->accounts[i];

		for (int k = WINDOW_COUNT - 1; k >= 0; k--) {
			struct window_money *w = &a->windows[k];
			const struct instance *in = window_at(w, c->started_ns);

			if (amount <= window_room(w, in, c->own))
				continue;
			bool is_held = in && amount <= w->limit - in->spent && amount <= SPENT_MAX - (in->held - c->own);

			if (stop && (is_held || !stop_is_held))
				continue;
			stop = a;
			stop_window = k;
			stop_is_held = is_held;
		}
	}
	ASSERT(stop);
	explain_window(stop, stop_window, c, amount, stop_is_held, ret_why);
	return -EDQUOT;
}

static int fits(struct budget *b, const struct hold_request *r, int64_t now_ns, struct refusal *ret_why)
{
	struct claim c = { .account = r->account, .started_ns = now_ns };

	return r->amount <= room(b, &c) ? 0 : explain(b, &c, r->amount, ret_why);
}

static int refuse(struct refusal *ret_why, int error, enum refusal_reason reason, const char *account, const char *detail)
{
	*ret_why = (struct refusal){ .reason = reason };
	(void)snprintf(ret_why->account, sizeof(ret_why->account), "%s", account);
	(void)snprintf(ret_why->detail, sizeof(ret_why->detail), "%s", detail);
	return -error;
}

static int may_hold(struct budget *b, const struct hold_request *r, int64_t now_ns, struct refusal *ret_why)
{
	if (!b->is_open || b->holds_closed)
		return refuse(ret_why, EOWNERDEAD, REFUSAL_LEDGER, "", "");
	if (!account_is_valid(b, r->account))
		return refuse(ret_why, EDQUOT, REFUSAL_PAUSED, "", "the account was removed");
	for_chain(b, i, r->account) {
		if (b->accounts[i].paused)
			return refuse(ret_why, EDQUOT, REFUSAL_PAUSED, b->accounts[i].name, "");
		(void)account_roll(b, i, now_ns / NS_PER_S);
	}
	int no = rules_ask(b, r, now_ns / NS_PER_S, ret_why);

	if (no == 0)
		no = fits(b, r, now_ns, ret_why);
	if (no < 0)
		return no;
	if (b->nfree == 0)
		return refuse(ret_why, ENOSPC, REFUSAL_OVERLOADED, "", "too many calls in flight");
	return 0;
}

static void copy_text(char *to, size_t size, const char *from)
{
	(void)str_copy(to, size, str_of(from ? from : ""));
}

static void slot_fill(struct gate_hold *h, const struct hold_request *r, uint64_t id, int64_t now_ns)
{
	*h = (struct gate_hold){
		.state = GATE_HOLD_FREE,
		.account = r->account,
		.call_id = id,
		.amount_nanousd = r->amount,
		.started_realtime_ns = now_ns,
		.cgroup_id = r->cgroup_id,
		.pid = r->pid,
		.provider = r->provider,
		.endpoint = r->endpoint,
		.owner = r->owner,
	};
	copy_text(h->comm, sizeof(h->comm), r->comm);
	copy_text(h->model, sizeof(h->model), r->model);
	copy_text(h->provider_name, sizeof(h->provider_name), r->provider_name);
	slot_set_state(h, GATE_HOLD_HELD);
}

int budget_hold(struct budget *b, const struct hold_request *r, uint32_t *ret_slot, uint64_t *ret_call_id,
		struct refusal *ret_why)
{
	ASSERT(r->amount > 0);
	(void)pthread_mutex_lock(&b->lock);
	int64_t now_ns = budget_now(b, r->now_ns);
	int error = may_hold(b, r, now_ns, ret_why);

	if (error == 0) {
		uint32_t slot = b->free_slots[--b->nfree];

		b->last_id = (uint64_t)now_ns > b->last_id ? (uint64_t)now_ns : b->last_id + 1;
		slot_fill(&b->holds[slot], r, b->last_id, now_ns);
		if (!r->owner)
			b->holds[slot].owner = b->owner;
		b->accounts[r->account].nholds++;
		for_chain(b, i, r->account)
			for (int k = 0; k < WINDOW_COUNT; k++) {
				b->accounts[i].windows[k].now.held += r->amount;
				publish_held(b, i, k);
			}
		rules_take(b, slot, r, now_ns / NS_PER_S);
		*ret_slot = slot;
		*ret_call_id = b->last_id;
	}
	(void)pthread_mutex_unlock(&b->lock);
	if (error == 0)
		CRASH_POINT("hold-taken");
	return error;
}

/* ---- extending */

/* The slot first: a crash in between charges the larger hold. */
static void grow(struct budget *b, struct gate_hold *h, nanousd amount)
{
	nanousd more = amount - h->amount_nanousd;

	STORE(h->amount_nanousd, amount);
	for_chain(b, i, h->account)
		for (int k = 0; k < WINDOW_COUNT; k++) {
			struct window_money *w = &b->accounts[i].windows[k];
			struct instance *in = window_at(w, h->started_realtime_ns);

			if (!in)
				continue;
			in->held += more;
			if (in == &w->now)
				publish_held(b, i, k);
		}
	rules_extend(b, h, more);
}

static int extend(struct budget *b, struct gate_hold *h, nanousd at_least, nanousd wish, struct refusal *ret_why)
{
	struct claim c = { .account = h->account, .started_ns = h->started_realtime_ns, .own = h->amount_nanousd };
	nanousd most = room(b, &c), amount = wish < most ? wish : most;

	if (amount < at_least && h->amount_nanousd < at_least)
		return explain(b, &c, at_least, ret_why);
	amount = rules_room(b, h, amount);
	if (amount < at_least && h->amount_nanousd < at_least)
		return rules_explain(b, h, at_least, ret_why);
	if (amount > h->amount_nanousd)
		grow(b, h, amount);
	return 0;
}

int budget_extend(struct budget *b, uint32_t slot, nanousd at_least, nanousd wish, int64_t now_ns, nanousd *ret_amount,
		  struct refusal *ret_why)
{
	(void)pthread_mutex_lock(&b->lock);
	struct gate_hold *h = slot_get(b, slot);

	ASSERT(slot_is_open(h));
	roll_chain(b, h->account, budget_now(b, now_ns) / NS_PER_S);
	int error = extend(b, h, at_least, wish < at_least ? at_least : wish, ret_why);

	if (error == 0)
		*ret_amount = h->amount_nanousd;
	(void)pthread_mutex_unlock(&b->lock);
	if (error == 0)
		CRASH_POINT("extended");
	return error;
}

nanousd budget_afford(struct budget *b, uint32_t account, const char *model, int64_t now_ns)
{
	nanousd most = 0;

	(void)pthread_mutex_lock(&b->lock);
	struct claim c = { .account = account, .started_ns = budget_now(b, now_ns) };

	if (b->is_open && !b->holds_closed && account_is_valid(b, account)) {
		roll_chain(b, account, c.started_ns / NS_PER_S);
		most = rules_afford(b, account, model, room(b, &c));
	}
	for_chain(b, i, most > 0 ? account : 0)
		if (b->accounts[i].paused)
			most = 0;
	(void)pthread_mutex_unlock(&b->lock);
	return most > 0 ? most : 0;
}

void budget_sent(struct budget *b, uint32_t slot)
{
	(void)pthread_mutex_lock(&b->lock);
	struct gate_hold *h = slot_get(b, slot);

	ASSERT(slot_is_open(h));
	slot_set_state(h, GATE_HOLD_SENT);
	(void)pthread_mutex_unlock(&b->lock);
	CRASH_POINT("sent");
}

/* ---- it is over */

static void give_up(struct budget *b, uint32_t slot)
{
	struct gate_hold *h = slot_get(b, slot);

	ASSERT(slot_is_open(h) && slot_state(h) == GATE_HOLD_HELD);
	unhold(b, h, 0);
	rules_release(b, slot);
	STORE(h->amount_nanousd, 0);
}

static void settled(struct budget *b, uint32_t slot)
{
	struct gate_hold *h = slot_get(b, slot);

	ASSERT(slot_state(h) == GATE_HOLD_CHARGED || slot_is_given_up(h));
	if (h->account)
		b->accounts[h->account].nholds--;
	slot_free(b, slot);
}

void budget_give_up(struct budget *b, uint32_t slot)
{
	(void)pthread_mutex_lock(&b->lock);
	give_up(b, slot);
	(void)pthread_mutex_unlock(&b->lock);
	CRASH_POINT("given-up");
}

void budget_release(struct budget *b, uint32_t slot)
{
	(void)pthread_mutex_lock(&b->lock);
	give_up(b, slot);
	settled(b, slot);
	(void)pthread_mutex_unlock(&b->lock);
}

nanousd budget_charge(struct budget *b, uint32_t slot, nanousd cost, bool estimated)
{
	ASSERT(cost >= 0);
	(void)pthread_mutex_lock(&b->lock);
	struct gate_hold *h = slot_get(b, slot);
	uint32_t state = slot_state(h);

	/* A call is charged once: the first figure stands. */
	if (state != GATE_HOLD_CHARGED) {
		ASSERT(slot_is_open(h));
		h->cost_nanousd = cost;
		h->estimated = estimated;
		slot_set_state(h, GATE_HOLD_CHARGED);
		unhold(b, h, cost);
		rules_charge(b, slot, cost);
		STORE(b->rows[h->account].calls, b->rows[h->account].calls + 1);
	}
	nanousd overrun = h->cost_nanousd - h->amount_nanousd;

	(void)pthread_mutex_unlock(&b->lock);
	CRASH_POINT("charged");
	return overrun > 0 ? overrun : 0;
}

void budget_settled(struct budget *b, uint32_t slot)
{
	(void)pthread_mutex_lock(&b->lock);
	settled(b, slot);
	(void)pthread_mutex_unlock(&b->lock);
	CRASH_POINT("settled");
}

void budget_get_hold(struct budget *b, uint32_t slot, struct gate_hold *ret)
{
	(void)pthread_mutex_lock(&b->lock);
	*ret = *slot_get(b, slot);
	(void)pthread_mutex_unlock(&b->lock);
}

void budget_count_refusal(struct budget *b, uint32_t account)
{
	(void)pthread_mutex_lock(&b->lock);
	if (account_is_valid(b, account))
		STORE(b->rows[account].refusals, b->rows[account].refusals + 1);
	(void)pthread_mutex_unlock(&b->lock);
}

void budget_close_holds(struct budget *b, bool closed)
{
	(void)pthread_mutex_lock(&b->lock);
	b->holds_closed = closed;
	(void)pthread_mutex_unlock(&b->lock);
}
