// SPDX-License-Identifier: Apache-2.0
/* steps.h: the steps of a world, by what they are about, for the table in world.c; and what they choose by. */
#ifndef PURSE_TESTS_SIM_STEPS_H
#define PURSE_TESTS_SIM_STEPS_H

#include "world.h"

#define ROLL(n) dice_roll(&w->dice, n)
#define LUCK(percent) dice_luck(&w->dice, percent)

/* ---- world.c */

int64_t seen_now(struct world *w);
void seen_second(struct world *w);
int any_living(struct world *w);
struct call *any_call(struct world *w, unsigned mask);

/* ---- calls.c */

void step_hold(struct world *w);
void step_sent(struct world *w);
void step_give_up(struct world *w);
void step_extend(struct world *w);
void step_charge(struct world *w);
void step_settled(struct world *w);
void step_ledger(struct world *w);
void holds_are_durable(struct world *w);
const char *any_model(struct world *w);

/* ---- accounts.c */

void step_set(struct world *w);
void step_pause(struct world *w);
void step_remove(struct world *w);
void settle_doubts(struct world *w);

#endif
