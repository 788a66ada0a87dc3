// SPDX-License-Identifier: Apache-2.0
/* places.c: the remembered tree in memory: name -> name above it. */
#include "spend/ledger/places.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/str.h"

/* Removed accounts can stack up above each other deeper than a living tree; a loop in what is remembered must end too. */
#define WAY_MAX 64

struct places {
	struct map *above; /* name -> char *parent */
	int error;
};

static void keep(void *ctx, const struct ledger_place *place)
{
	struct places *p = ctx;
	char *parent = strdup(place->parent);
	void *old = NULL;

	if (!parent || map_put(p->above, str_of(place->account), parent, &old) < 0) {
		free(parent);
		p->error = -ENOMEM;
	}
	free(old);
}

int places_read(struct ledger_view *v, struct places **ret)
{
	struct places *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->above = map_new();
	int r = p->above ? ledger_view_places(v, keep, p) : -ENOMEM;

	if (r == 0)
		r = p->error;
	if (r < 0) {
		places_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void places_free(struct places *p)
{
	if (!p)
		return;
	map_free(p->above, free);
	free(p);
}

const char *places_parent(const struct places *p, const char *account)
{
	return map_find(p->above, str_of(account));
}

uint32_t places_living(const struct places *p, const char *account, uint32_t (*lives)(void *ctx, const char *name), void *ctx,
		       const char *over, bool *ret_passes)
{
	bool passes = false;

	for (int step = 0; step < WAY_MAX && account && *account; step++) {
		passes |= over && strcmp(account, over) == 0;
		uint32_t index = lives(ctx, account);

		if (index) {
			if (ret_passes)
				*ret_passes = passes;
			return index;
		}
		account = places_parent(p, account);
	}
	if (ret_passes)
		*ret_passes = passes;
	return 0;
}

struct each {
	void (*fn)(void *ctx, const char *account, const char *parent);
	void *ctx;
};

static bool tell(void *ctx, struct str key, void *value)
{
	struct each *e = ctx;
	char name[GATE_NAME_MAX];

	(void)str_copy(name, sizeof(name), key);
	e->fn(e->ctx, name, value);
	return true;
}

void places_each(const struct places *p, void (*fn)(void *ctx, const char *account, const char *parent), void *ctx)
{
	struct each e = { fn, ctx };

	map_each(p->above, tell, &e);
}
