// SPDX-License-Identifier: Apache-2.0
/*
 * world.h: a node in simulation: the real budget, replay, audit and ledger code over arrays that stand for the kernel's maps and a disk
 * in memory; a clock that goes where the dice send it; calls that begin, stream, end; accounts that come, move and go; and crashes.
 */
#ifndef PURSE_TESTS_SIM_WORLD_H
#define PURSE_TESTS_SIM_WORLD_H

#include "model.h"
#include "simvfs.h"
#include "spend/ledger/ledger.h"

#define ROWS 24   /* places for accounts; one less than names can ask for */
#define SLOTS 24

struct dice {
	uint64_t state;
};
uint64_t dice_roll(struct dice *d, uint64_t n); /* 0 … n - 1 */
bool dice_luck(struct dice *d, uint64_t percent);

/* How often what happens: thrown anew for each world, so that some are calm, some crash all the time. */
struct temper {
	unsigned calls, tree, clock, crashes, faults, syncs;
	bool zones, raises, small_limits, rules;
};

struct world {
	struct dice dice;
	struct temper temper;
	struct model model;
	struct gate_account *rows; /* what outlives the daemon, not the machine */
	struct gate_hold *holds;
	struct budget *budget;
	struct ledger *ledger;
	struct simdisk *disk;
	int64_t now_ns;
	bool flaky; /* faults of the disk are armed: calls that write may fail */
	/* Rows that are durable, whose slots are given back later (the callback comes late). */
	uint32_t durable[SLOTS];
	size_t ndurable;
	/* The arrays as they stood when the process died in the midst of something. */
	struct gate_account *rows_at_death;
	struct gate_hold *holds_at_death;
	struct call *touched; /* by the step that runs */
	struct gate_hold *holds_before; /* the next start's input */
	/* An edit of an account that was not yet confirmed: after a crash the ledger may know either. */
	int doubtful; /* NOBODY */
	struct place doubtful_was, doubtful_new;
	/* Figures for the summary. */
	uint64_t holds_given, refusals, settled, crashes, power_cuts, starts, audits;
};

void world_init(struct world *w, uint64_t seed);
void world_done(struct world *w);
void world_step(struct world *w);
/* Everything that is queued gets durable, then every row and every sum is compared. */
void world_settle(struct world *w);

/* The line of the step that runs, for the last 50. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- between world.c (steps) and boot.c (crashes and starts) */
void boot(struct world *w); /* after a death, or the first time */
void crash(struct world *w);
void power_cut(struct world *w);
void stop_and_start(struct world *w); /* in good order */
void death_strikes(struct world *w); /* the copy of the arrays is what the next start finds */
void reconcile(struct world *w);     /* rows = calls, one by one */
void flush(struct world *w);         /* until the queue is empty; the disk is well */
void slot_settled(struct world *w, size_t which);

#endif
