// SPDX-License-Identifier: Apache-2.0
/* ledger/submit.c: what others want written, into the writer's queue. Copies, counts, wakes; nobody here waits for a disk unless it says so. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/str.h"
#include "spend/ledger/own.h"

#define REFUSALS_QUEUED_MAX 4096
#define RULES_TEXT_MAX 65536

static void submit(struct ledger *l, struct item *it)
{
	ASSERT(l->may_write);
	(void)pthread_mutex_lock(&l->lock);
	if (it->kind == ITEM_CALL) {
		l->ncalls++;
		it->has_hold |= holds_over(l->holds, it->call.call_id);
	}
	l->nrefusals += it->kind == ITEM_REFUSAL;
	bool was_empty = !l->queue.first && !holds_are_due(l->holds);

	queue_add(&l->queue, it);
	if (was_empty)
		(void)pthread_cond_signal(&l->work);
	(void)pthread_mutex_unlock(&l->lock);
}

static int submit_and_wait(struct ledger *l, struct item *it)
{
	struct waiter w = { 0 };

	it->waiter = &w;
	submit(l, it);
	if (!l->has_thread)
		(void)ledger_step(l);
	(void)pthread_mutex_lock(&l->lock);
	while (!w.is_done)
		(void)pthread_cond_wait(&l->done, &l->lock);
	(void)pthread_mutex_unlock(&l->lock);
	return w.result;
}

#define COPY_TEXT(to, from) ((void)str_copy(to, sizeof(to), str_of((from) ? (from) : "")))

/* ---- calls */

void ledger_call(struct ledger *l, const struct ledger_call *c)
{
	struct item *it = item_new(ITEM_CALL);

	it->call = *c;
	ASSERT(c->cost >= 0 && c->call_id <= INT64_MAX);
	it->call.started_ns = c->started_ns < 0 ? 0 : c->started_ns;
	submit(l, it);
}

void ledger_hold(struct ledger *l, const struct ledger_hold *h)
{
	struct item *it = item_new(ITEM_HOLD);

	it->hold = *h;
	ASSERT(h->amount >= 0 && h->call_id <= INT64_MAX);
	it->hold.started_ns = h->started_ns < 0 ? 0 : h->started_ns;
	(void)pthread_mutex_lock(&l->lock);
	bool was_empty = !l->queue.first && !holds_are_due(l->holds);

	holds_add(l->holds, it);
	if (was_empty)
		(void)pthread_cond_signal(&l->work);
	(void)pthread_mutex_unlock(&l->lock);
}

void ledger_hold_grew(struct ledger *l, uint64_t call_id, nanousd amount)
{
	(void)pthread_mutex_lock(&l->lock);
	bool was_idle = !l->queue.first && !holds_are_due(l->holds);

	holds_grew(l->holds, call_id, amount);
	if (was_idle && holds_are_due(l->holds))
		(void)pthread_cond_signal(&l->work);
	(void)pthread_mutex_unlock(&l->lock);
}

void ledger_hold_over(struct ledger *l, uint64_t call_id, uint32_t slot)
{
	(void)pthread_mutex_lock(&l->lock);
	bool may_have_row = holds_over(l->holds, call_id);

	(void)pthread_mutex_unlock(&l->lock);
	if (!may_have_row) {
		if (l->calls.durable && slot != LEDGER_NO_SLOT)
			l->calls.durable(l->ctx, slot);
		return;
	}
	struct item *it = item_new(ITEM_HOLD_OVER);

	it->over.call_id = call_id;
	it->over.slot = slot;
	submit(l, it);
}

/* ---- calls that were in flight when an earlier daemon, or the machine, ended */

struct found {
	struct ledger_hold *v;
	size_t n, cap;
	bool is_short; /* of memory */
};

static void keep_found(void *ctx, const struct ledger_hold *h)
{
	struct found *f = ctx;

	if (f->n == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 64;
		struct ledger_hold *v = realloc(f->v, cap * sizeof(*v));

		f->is_short |= !v;
		if (!v)
			return;
		f->v = v;
		f->cap = cap;
	}
	f->v[f->n++] = *h;
}

static int find_holds(struct ledger *l, struct found *f, struct err *e)
{
	struct ledger_view *v;
	int r = ledger_view_open(l, &v, e);

	if (r < 0)
		return r;
	r = ledger_view_begin(v);
	if (r == 0)
		r = ledger_view_holds(v, keep_found, f);
	if (r == 0 && f->is_short)
		r = -ENOMEM;
	if (r < 0)
		(void)err_set(e, -r, "ledger %s: the calls that were in flight cannot be read: %s", l->path, strerror(-r));
	ledger_view_close(v);
	return r;
}

static struct item *power_cut(const struct ledger_hold *h)
{
	struct item *it = item_new(ITEM_CALL);
	struct ledger_call *c = &it->call;

	*c = (struct ledger_call){
		.call_id = h->call_id, .pid = h->pid, .cgroup_id = h->cgroup_id, .endpoint = h->endpoint, .tier = TIER_UNKNOWN,
		.held = h->amount, .cost = h->amount, .estimated = true, .started_ns = h->started_ns, .first_byte_us = -1, .total_us = -1,
		.slot = LEDGER_NO_SLOT,
	};
	COPY_TEXT(c->account, h->account);
	COPY_TEXT(c->agent, h->agent);
	COPY_TEXT(c->comm, h->comm);
	COPY_TEXT(c->provider, h->provider);
	COPY_TEXT(c->model, h->model);
	COPY_TEXT(c->end, "power-cut");
	it->has_hold = true;
	return it;
}

static struct item *over(const struct ledger_hold *h)
{
	struct item *it = item_new(ITEM_HOLD_OVER);

	it->over.call_id = h->call_id;
	it->over.slot = LEDGER_NO_SLOT;
	return it;
}

/* Rows are written in order: the last one speaks for all. */
static int submit_chain(struct ledger *l, struct item *first)
{
	int r = 0;

	for (struct item *it = first, *next; it; it = next) {
		next = it->next;
		if (next)
			submit(l, it);
		else
			r = submit_and_wait(l, it);
	}
	return r;
}

int ledger_take_holds(struct ledger *l, enum ledger_fate (*fate)(void *ctx, const struct ledger_hold *h), void *ctx,
		      struct ledger_taken *ret, struct err *e)
{
	struct found f = { .n = 0 };
	struct item *first = NULL, **end = &first;
	struct ledger_taken taken = { 0 };
	int r = find_holds(l, &f, e);

	for (size_t i = 0; r == 0 && i < f.n; i++) {
		enum ledger_fate what = fate(ctx, &f.v[i]);

		taken.kept += what == LEDGER_HOLD_KEEP;
		if (what == LEDGER_HOLD_KEEP) {
			(void)pthread_mutex_lock(&l->lock);
			holds_known(l->holds, &f.v[i]);
			(void)pthread_mutex_unlock(&l->lock);
			continue;
		}
		taken.charged += what == LEDGER_HOLD_CHARGE;
		taken.cost += what == LEDGER_HOLD_CHARGE ? f.v[i].amount : 0;
		*end = what == LEDGER_HOLD_CHARGE ? power_cut(&f.v[i]) : over(&f.v[i]);
		end = &(*end)->next;
	}
	free(f.v);
	if (r < 0)
		return r;
	r = submit_chain(l, first);
	if (r < 0)
		return err_set(e, -r, "ledger %s: calls that were in flight at a power cut cannot be written", l->path);
	*ret = taken;
	return 0;
}

int ledger_run_batch(struct ledger *l, struct prune_batch *b)
{
	struct waiter w = { 0 };

	(void)pthread_mutex_lock(&l->lock);
	if (l->prune || l->stopping) {
		(void)pthread_mutex_unlock(&l->lock);
		return -EBUSY;
	}
	l->prune = b;
	l->prune_waiter = &w;
	(void)pthread_cond_signal(&l->work);
	if (!l->has_thread) {
		(void)pthread_mutex_unlock(&l->lock);
		(void)ledger_step(l);
		return w.result;
	}
	while (!w.is_done)
		(void)pthread_cond_wait(&l->done, &l->lock);
	(void)pthread_mutex_unlock(&l->lock);
	return w.result;
}

/* ---- what is told */

static void tell_refusal(struct ledger *l, const char *agent, const char *provider, const char *model, const struct refusal *why,
			 int64_t at_ns, bool dry_run)
{
	(void)pthread_mutex_lock(&l->lock);
	bool is_full = l->nrefusals >= REFUSALS_QUEUED_MAX;

	l->refusals_lost += is_full;
	(void)pthread_mutex_unlock(&l->lock);
	if (is_full)
		return;
	struct item *it = item_new(ITEM_REFUSAL);

	COPY_TEXT(it->refusal.agent, agent);
	COPY_TEXT(it->refusal.provider, provider);
	COPY_TEXT(it->refusal.model, model);
	it->refusal.why = *why;
	it->refusal.at_ns = at_ns;
	it->refusal.dry_run = dry_run;
	submit(l, it);
}

void ledger_refusal(struct ledger *l, const char *agent, const char *provider, const char *model, const struct refusal *why,
		    int64_t at_ns)
{
	tell_refusal(l, agent, provider, model, why, at_ns, false);
}

void ledger_note(struct ledger *l, const char *agent, const char *provider, const char *model, const struct refusal *why, int64_t at_ns)
{
	tell_refusal(l, agent, provider, model, why, at_ns, true);
}

static char *copy_of(const char *text)
{
	char *copy = strdup(text ? text : "");

	ASSERT(copy);
	return copy;
}

int ledger_changed(struct ledger *l, const struct ledger_change *c)
{
	if ((c->before && strlen(c->before) > LEDGER_CHANGE_JSON_MAX) || (c->after && strlen(c->after) > LEDGER_CHANGE_JSON_MAX))
		return -EMSGSIZE;
	struct item *it = item_new(ITEM_CHANGE);

	COPY_TEXT(it->change.who, c->who);
	COPY_TEXT(it->change.verb, c->verb);
	COPY_TEXT(it->change.subject, c->subject);
	it->change.before = copy_of(c->before);
	it->change.after = copy_of(c->after);
	it->change.at_ns = c->at_ns;
	return submit_and_wait(l, it);
}

int ledger_change(struct ledger *l, const char *who, const char *what, int64_t at_ns)
{
	const struct ledger_change c = { .who = who, .verb = what, .at_ns = at_ns };

	return ledger_changed(l, &c);
}

/* ---- what is kept */

static char *rules_text(const struct rules *r)
{
	struct buf text;
	char *ret = NULL;

	buf_init(&text, RULES_TEXT_MAX);
	if (rules_write(r, &text) == 0 && buf_append(&text, "", 1) == 0)
		ret = strdup(buf_ptr(&text));
	buf_done(&text);
	return ret;
}

int ledger_save_account(struct ledger *l, const struct account_spec *a, bool removed)
{
	struct item *it = item_new(ITEM_ACCOUNT);

	it->account.spec = malloc(sizeof(*a));
	it->account.rules = rules_text(&a->rules);
	if (!it->account.spec || !it->account.rules) {
		item_free(it);
		return -EIO;
	}
	*it->account.spec = *a;
	it->removed = removed;
	return submit_and_wait(l, it);
}

int ledger_save_agent(struct ledger *l, const struct ledger_agent *a, bool removed)
{
	struct item *it = item_new(ITEM_AGENT);

	it->agent = *a;
	it->removed = removed;
	return submit_and_wait(l, it);
}

int ledger_save_places(struct ledger *l, const struct ledger_place *places, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct item *it = item_new(ITEM_PLACE);

		it->place = places[i];
		if (i + 1 == n) /* rows are written in order: the last one speaks for all */
			return submit_and_wait(l, it);
		submit(l, it);
	}
	return 0;
}

