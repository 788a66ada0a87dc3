// SPDX-License-Identifier: Apache-2.0
/* replay_own.h: between replay.c and replay_models.c. */
#ifndef PURSE_SPEND_REPLAY_OWN_H
#define PURSE_SPEND_REPLAY_OWN_H

#include "spend/ledger/places.h"
#include "spend/replay.h"

/* At a start: every account's limits on models, from one moment of the ledger. */
int replay_models_all(struct budget *b, struct ledger_view *v, const struct places *places, struct err *e);

#endif
