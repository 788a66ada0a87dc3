// SPDX-License-Identifier: Apache-2.0
/*
 * handover_stage.h: where the old one of two daemons stands while another takes over from it, as a table: what happens, what is done about
 * it, where it stands then. Pure; user/upgrade_old.c does it, docs/upgrade.md has the same table for people.
 *
 * What it is for: at any instant at most one of the two has the money, and in the end exactly one lives, wherever messages, the deadline and the
 * death of a process cross. So there are two points of no return, and only one of them can be passed:
 *   DOOMED  the old one has decided to end the other: what that one still says counts for nothing, and when it is gone the old one goes on
 *   LEFT    the old one has read OPEN: it ends nobody any more, and with the owner of the money it ends itself
 */
#ifndef PURSE_CTL_HANDOVER_STAGE_H
#define PURSE_CTL_HANDOVER_STAGE_H

enum handover_stage {
	HANDOVER_IDLE,    /* nobody is taking over */
	HANDOVER_KNOCKED, /* somebody is there and has said nothing */
	HANDOVER_MEETING, /* it has the lock, so it can start as soon as we are gone: from here on only its end ends this */
	HANDOVER_CALMING, /* it asked for the money; slow requests end first */
	HANDOVER_AWAY,    /* the money is on its way: nobody here has it */
	HANDOVER_DOOMED,
	HANDOVER_LEFT,
	HANDOVER_STAGES,
};

enum handover_event {
	HANDOVER_SAYS_HELLO,
	HANDOVER_SAYS_UNFIT, /* a HELLO that cannot be answered with WELCOME */
	HANDOVER_SAYS_FREEZE,
	HANDOVER_SAYS_OPEN,
	HANDOVER_SAYS_ORDER, /* from the owner of the money: end calls, end */
	HANDOVER_SAYS_WRONG, /* what nobody says, or what cannot be read */
	HANDOVER_SAYS_LAST = HANDOVER_SAYS_WRONG,
	HANDOVER_IS_CALM,
	HANDOVER_IS_STUCK,   /* what is here cannot be handed over */
	HANDOVER_IS_LATE,
	HANDOVER_IS_GONE,    /* the channel's end: the process is no more */
	HANDOVER_EVENTS,
};

enum handover_act {
	HANDOVER_DO_NOTHING,
	HANDOVER_DO_WELCOME,
	HANDOVER_DO_REFUSE,
	HANDOVER_DO_FORGET, /* it has nothing of ours */
	HANDOVER_DO_CALM,
	HANDOVER_DO_FREEZE,
	HANDOVER_DO_KILL,
	HANDOVER_DO_GO_ON,  /* with whatever was stopped for it */
	HANDOVER_DO_LEAVE,
	HANDOVER_DO_OBEY,
	HANDOVER_DO_DIE,
	HANDOVER_ACTS,
};

struct handover_step {
	enum handover_act act;
	enum handover_stage next;
};

/* What is not in the table changes nothing. */
struct handover_step handover_step(enum handover_stage stage, enum handover_event event);

#endif
