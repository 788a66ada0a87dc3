// SPDX-License-Identifier: Apache-2.0
/* ledger/holds.c: see ledger/holds.h. Open addressing by call id: ids are given by us, one after the other, so they need no hashing. */
#include "spend/ledger/holds.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/list.h"

#define SLOTS_MIN ((size_t)64)

struct open_hold {
	struct list due; /* on holds.due, or alone */
	nanousd taken;   /* the amount of the last item that went to the writer; -1 = none did */
	struct item *it;
};

struct holds {
	struct open_hold **slots; /* a power of two of them; linear probing, removal by shifting back */
	size_t nslots, count;
	struct list due;
};

struct holds *holds_new(void)
{
	struct holds *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->slots = calloc(SLOTS_MIN, sizeof(struct open_hold *));
	h->nslots = SLOTS_MIN;
	list_init(&h->due);
	if (!h->slots) {
		free(h);
		return NULL;
	}
	return h;
}

static void hold_free(struct open_hold *o)
{
	if (!o)
		return;
	item_free(o->it);
	free(o);
}

void holds_free(struct holds *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->nslots; i++)
		hold_free(h->slots[i]);
	free(h->slots);
	free(h);
}

static size_t home(const struct holds *h, uint64_t call_id)
{
	return (size_t)(call_id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (h->nslots - 1);
}

/* Where it is, or the empty slot where it would be. */
static size_t place_of(const struct holds *h, uint64_t call_id)
{
	size_t i = home(h, call_id);

	while (h->slots[i] && h->slots[i]->it->hold.call_id != call_id)
		i = (i + 1) & (h->nslots - 1);
	return i;
}

/* Dying is better than a call that a power cut would forget: its slot survives us. */
static void grow(struct holds *h)
{
	struct open_hold **old = h->slots;
	size_t n = h->nslots;

	h->slots = calloc(2 * n, sizeof(struct open_hold *));
	ASSERT(h->slots);
	h->nslots = 2 * n;
	for (size_t i = 0; i < n; i++)
		if (old[i])
			h->slots[place_of(h, old[i]->it->hold.call_id)] = old[i];
	free(old);
}

static struct open_hold *insert(struct holds *h, struct item *it, nanousd taken)
{
	if (4 * (h->count + 1) > 3 * h->nslots)
		grow(h);
	size_t i = place_of(h, it->hold.call_id);

	if (h->slots[i]) {
		item_free(it);
		return NULL;
	}
	struct open_hold *o = calloc(1, sizeof(*o));

	ASSERT(o);
	o->it = it;
	o->taken = taken;
	list_init(&o->due);
	h->slots[i] = o;
	h->count++;
	return o;
}

void holds_add(struct holds *h, struct item *it)
{
	struct open_hold *o = insert(h, it, -1);

	if (o)
		list_add_tail(&h->due, &o->due);
}

void holds_known(struct holds *h, const struct ledger_hold *hold)
{
	struct item *it = item_new(ITEM_HOLD);

	it->hold = *hold;
	(void)insert(h, it, hold->amount);
}

void holds_grew(struct holds *h, uint64_t call_id, nanousd amount)
{
	struct open_hold *o = h->slots[place_of(h, call_id)];

	if (!o || amount <= o->it->hold.amount)
		return;
	o->it->hold.amount = amount;
	if (list_empty(&o->due) && amount - o->taken >= o->taken / 8)
		list_add_tail(&h->due, &o->due);
}

static void take_out(struct holds *h, size_t i)
{
	size_t mask = h->nslots - 1;

	h->slots[i] = NULL;
	h->count--;
	for (size_t k = (i + 1) & mask; h->slots[k]; k = (k + 1) & mask) {
		size_t want = home(h, h->slots[k]->it->hold.call_id);

		/* It may move to the hole unless its home lies behind the hole on the way to it. */
		if (((k - want) & mask) < ((k - i) & mask))
			continue;
		h->slots[i] = h->slots[k];
		h->slots[k] = NULL;
		i = k;
	}
}

bool holds_over(struct holds *h, uint64_t call_id)
{
	size_t i = place_of(h, call_id);
	struct open_hold *o = h->slots[i];

	if (!o)
		return false;
	bool may_have_row = o->taken >= 0;

	take_out(h, i);
	list_remove(&o->due);
	hold_free(o);
	return may_have_row;
}

bool holds_are_due(const struct holds *h)
{
	return !list_empty(&h->due);
}

struct item *holds_take(struct holds *h)
{
	if (list_empty(&h->due))
		return NULL;
	struct open_hold *o = list_entry(h->due.next, struct open_hold, due);
	struct item *copy = item_new(ITEM_HOLD);

	copy->hold = o->it->hold;
	o->taken = o->it->hold.amount;
	list_remove(&o->due);
	return copy;
}

size_t holds_count(const struct holds *h)
{
	return h->count;
}
