// SPDX-License-Identifier: Apache-2.0
/*
 * replay_models.c: what was spent under limits on models, piece by piece: hours of the ledger as wholes, and where a window begins or ends
 * within one, its calls one by one. While calls run only the hours of the accounts concerned are read: the main loop waits for it.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/str.h"
#include "spend/replay_own.h"

#define NS_PER_S INT64_C(1000000000)

/* An hour that some window cuts. Zeroed before it is filled: its bytes are its key. */
struct ragged_key {
	int64_t at_s;
	char account[GATE_NAME_MAX], provider[32], model[GATE_MODEL_MAX];
};
struct ragged {
	struct ragged_key key;
	uint32_t at; /* the account that it is told to */
	struct spent_piece piece;
};

struct telling {
	struct budget *b;
	struct ledger_view *v;
	const struct places *places;
	uint32_t below;     /* only accounts there; 0 = all */
	struct map *ragged; /* by key -> struct ragged */
	struct map *hours;  /* by begin and account -> struct ragged, any one of it */
	int error;
	/* Whose hours come: they come account by account. */
	char name[GATE_NAME_MAX];
	uint32_t counts_at;
};

static uint32_t lives(void *ctx, const char *name)
{
	return budget_find(ctx, name);
}

static struct ragged_key key_of(int64_t at_s, const char *account, const char *provider, const char *model)
{
	struct ragged_key k;

	memset(&k, 0, sizeof(k));
	k.at_s = at_s;
	(void)str_copy(k.account, sizeof(k.account), str_of(account));
	(void)str_copy(k.provider, sizeof(k.provider), str_of(provider));
	(void)str_copy(k.model, sizeof(k.model), str_of(model));
	return k;
}

#define BYTES_OF(p) ((struct str){ (const char *)(p), sizeof(*(p)) })

static void keep_ragged(struct telling *t, const struct ledger_hour *h, const struct spent_piece *piece)
{
	struct ragged *r = calloc(1, sizeof(*r));

	if (!r) {
		t->error = -ENOMEM;
		return;
	}
	r->key = key_of(h->at_s, h->account, h->provider, h->model);
	r->at = t->counts_at;
	r->piece = *piece;
	r->piece.provider = r->key.provider;
	r->piece.model = r->key.model;
	if (map_put(t->ragged, BYTES_OF(&r->key), r, NULL) < 0) {
		free(r);
		t->error = -ENOMEM;
		return;
	}
	if (map_put(t->hours, (struct str){ (const char *)&r->key, offsetof(struct ragged_key, provider) }, r, NULL) < 0)
		t->error = -ENOMEM;
}

static void tell_hour(void *ctx, const struct ledger_hour *h)
{
	struct telling *t = ctx;

	if (strcmp(h->account, t->name) != 0) {
		(void)str_copy(t->name, sizeof(t->name), str_of(h->account));
		t->counts_at = places_living(t->places, t->name, lives, t->b, NULL, NULL);
		if (t->counts_at && t->below && !budget_is_below(t->b, t->counts_at, t->below))
			t->counts_at = 0;
	}
	if (!t->counts_at)
		return;
	const struct spent_piece piece = { .provider = h->provider, .model = h->model, .at_s = h->at_s, .length_s = h->length_s, .cost = h->cost };

	if (budget_restore_model(t->b, t->counts_at, &piece))
		keep_ragged(t, h, &piece);
}

struct one_hour {
	struct telling *t;
	int64_t at_s;
};

static void tell_call(void *ctx, const struct ledger_call *c)
{
	const struct one_hour *hour = ctx;
	const struct ragged_key key = key_of(hour->at_s, c->account, c->provider, c->model);
	const struct ragged *r = map_find(hour->t->ragged, BYTES_OF(&key));

	if (!r)
		return;
	const struct spent_piece one = { .provider = c->provider, .model = c->model, .at_s = c->started_ns / NS_PER_S, .cost = c->cost,
					 .of = &r->piece };

	(void)budget_restore_model(hour->t->b, r->at, &one);
}

static bool tell_ragged(void *ctx, struct str key, void *value)
{
	struct telling *t = ctx;
	const struct ragged *r = value;
	struct one_hour hour = { t, r->piece.at_s };

	(void)key;
	t->error = ledger_view_calls(t->v, r->key.account, hour.at_s, hour.at_s + r->piece.length_s, tell_call, &hour);
	return t->error == 0;
}

static void tell_account(struct telling *t, const char *name)
{
	int r = t->error ? t->error : ledger_view_hours(t->v, name, tell_hour, t);

	if (r < 0)
		t->error = r;
}

static void tell_gone(void *ctx, const char *account, const char *parent)
{
	struct telling *t = ctx;
	uint32_t at = budget_find(t->b, account) ? 0 : places_living(t->places, account, lives, t->b, NULL, NULL);

	(void)parent;
	if (at && budget_is_below(t->b, at, t->below))
		tell_account(t, account);
}

/* The accounts that live there, then those that are gone from there. */
static int tell_below(struct telling *t)
{
	uint32_t end = (uint32_t)budget_accounts_end(t->b);

	for (uint32_t i = 1; i < end; i++) {
		struct account_view v;

		if (budget_view(t->b, i, 0, &v) == 0 && budget_is_below(t->b, i, t->below))
			tell_account(t, v.name);
	}
	places_each(t->places, tell_gone, t);
	return t->error;
}

static int tell(struct telling *t)
{
	int r = -ENOMEM;

	t->ragged = map_new();
	t->hours = map_new();
	if (t->ragged && t->hours)
		r = t->below ? tell_below(t) : ledger_view_hours(t->v, NULL, tell_hour, t);
	if (r == 0 && t->error == 0)
		map_each(t->hours, tell_ragged, t);
	map_free(t->hours, NULL);
	map_free(t->ragged, free);
	return r < 0 ? r : t->error;
}

/* Most accounts have no limits on models. */
static bool any_models(struct budget *b)
{
	uint32_t end = (uint32_t)budget_accounts_end(b);

	for (uint32_t i = 1; i < end; i++) {
		struct rules_view v;

		if (budget_rules_view(b, i, 0, &v) == 0 && v.nmodel_limits)
			return true;
	}
	return false;
}

int replay_models_all(struct budget *b, struct ledger_view *v, const struct places *places, struct err *e)
{
	struct telling t = { .b = b, .v = v, .places = places };
	int r = any_models(b) ? tell(&t) : 0;

	return r < 0 ? err_set(e, -r, "ledger: what was spent on models cannot be read: %s; see `purse audit`", strerror(-r)) : 0;
}

/* ---- while calls run */

struct instant {
	struct ledger_view *v;
	struct budget *b;
	const uint32_t *accounts; /* to be counted anew */
	size_t n;
	int error;
};

static void fix(void *ctx)
{
	struct instant *i = ctx;

	i->error = ledger_view_begin(i->v);
	for (size_t k = 0; i->error == 0 && k < i->n; k++)
		budget_recount_models(i->b, i->accounts[k]);
}

/* Charged, and not in the ledger yet at that instant. */
static int tell_charged(struct telling *t, const struct budget_snapshot *s)
{
	for (size_t i = 0; i < s->nholds; i++) {
		const struct gate_hold *h = &s->holds[i];

		if (h->state != GATE_HOLD_CHARGED || !budget_is_below(t->b, h->account, t->below))
			continue;
		int known = ledger_view_has_call(t->v, h->call_id);
		const struct spent_piece one = { .provider = h->provider_name, .model = h->model, .at_s = h->started_realtime_ns / NS_PER_S,
						 .cost = h->cost_nanousd };

		if (known < 0)
			return known;
		if (!known)
			(void)budget_restore_model(t->b, h->account, &one);
	}
	return 0;
}

static int recount(struct budget *b, struct ledger_view *v, uint32_t account)
{
	struct budget_snapshot s = { 0 };
	struct instant instant = { .v = v, .b = b, .accounts = &account, .n = 1 };
	struct telling t = { .b = b, .v = v, .below = account };
	struct places *places = NULL;
	int r = budget_snapshot(b, fix, &instant, &s);

	if (r == 0)
		r = instant.error;
	bool begun = r == 0;

	if (r == 0)
		r = places_read(v, &places);
	t.places = places;
	if (r == 0)
		r = tell(&t);
	if (r == 0)
		r = tell_charged(&t, &s);
	if (begun)
		budget_recounted(b, account);
	places_free(places);
	free(s.accounts);
	free(s.holds);
	return r;
}

int replay_models(struct budget *b, struct ledger *l, uint32_t account, struct err *e)
{
	int r = 0;

	/* Its own limits, then those above it: an account that moved took its money along. */
	for (uint32_t i = account; r == 0 && i;) {
		struct rules_view rules;
		struct account_view view;

		if (budget_rules_view(b, i, 0, &rules) == 0 && rules.nmodel_limits) {
			struct ledger_view *v;

			r = ledger_view_open(l, &v, e);
			if (r < 0)
				return r;
			r = recount(b, v, i);
			ledger_view_close(v);
		}
		if (budget_view(b, i, 0, &view) < 0)
			break;
		i = view.parent[0] ? budget_find(b, view.parent) : 0;
	}
	return r < 0 ? err_set(e, -r, "ledger: what was spent on models cannot be read: %s; see `purse audit`", strerror(-r)) : 0;
}
