// SPDX-License-Identifier: Apache-2.0
/* upgrade.c: see upgrade.h and docs/upgrade.md; upgrade_own.h says which file does what. */
#include "upgrade.h"

#include <stdlib.h>

#include "base/str.h"
#include "kern/gate.h"
#include "upgrade_own.h"

/* The old one lets go within milliseconds; one that is stopped must not keep us from our loop. */
#define LET_GO_MS 500

struct upgrade *upgrade_new(const struct upgrade_calls *calls, void *ctx, const char *socket_path)
{
	struct upgrade *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->calls = calls;
	u->ctx = ctx;
	(void)str_copy(u->path, sizeof(u->path), str_of(socket_path));
	taking_init(&u->taking);
	leaving_init(&u->leaving);
	return u;
}

int upgrade_settle(struct upgrade *u, const struct upgrade_env *env, struct err *e)
{
	u->env = *env;
	u->own = gate_start(env->gate);
	int r = leaving_begin(u, e);

	if (r < 0 || !u->taking.is_on)
		return r;
	taking_open(u);
	/* Mostly it has by the time somebody wants to take over from us. */
	(void)elders_let_go(u, LET_GO_MS);
	return 0;
}

void upgrade_free(struct upgrade *u)
{
	if (!u)
		return;
	leaving_done(u);
	elders_free(u);
	/* The last: the old one takes this for our end. */
	taking_done(&u->taking);
	free(u);
}
