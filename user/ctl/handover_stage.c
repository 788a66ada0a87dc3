// SPDX-License-Identifier: Apache-2.0
/* handover_stage.c: the table of handover_stage.h. */
#include "ctl/handover_stage.h"

#include "base/assert.h"

#define DO(act, next) { HANDOVER_DO_##act, HANDOVER_##next }

static const struct {
	struct handover_step other_words; /* whatever else it says there */
	struct {
		enum handover_event event;
		struct handover_step step;
	} rows[5];
} stages[HANDOVER_STAGES] = {
	[HANDOVER_KNOCKED] = { DO(FORGET, IDLE), {
		{ HANDOVER_SAYS_HELLO, DO(WELCOME, MEETING) },
		{ HANDOVER_SAYS_UNFIT, DO(REFUSE, IDLE) },
		{ HANDOVER_IS_LATE, DO(FORGET, IDLE) },
		{ HANDOVER_IS_GONE, DO(FORGET, IDLE) },
	} },
	[HANDOVER_MEETING] = { DO(KILL, DOOMED), {
		{ HANDOVER_SAYS_FREEZE, DO(CALM, CALMING) },
		{ HANDOVER_IS_LATE, DO(KILL, DOOMED) },
		{ HANDOVER_IS_GONE, DO(GO_ON, IDLE) },
	} },
	[HANDOVER_CALMING] = { DO(KILL, DOOMED), {
		{ HANDOVER_IS_CALM, DO(FREEZE, AWAY) },
		{ HANDOVER_IS_GONE, DO(GO_ON, IDLE) },
	} },
	[HANDOVER_AWAY] = { DO(KILL, DOOMED), {
		{ HANDOVER_SAYS_OPEN, DO(LEAVE, LEFT) },
		{ HANDOVER_IS_STUCK, DO(KILL, DOOMED) },
		{ HANDOVER_IS_LATE, DO(KILL, DOOMED) },
		{ HANDOVER_IS_GONE, DO(GO_ON, IDLE) },
	} },
	/* Nothing that it says counts, OPEN least of all: it may have been on its way when we decided. */
	[HANDOVER_DOOMED] = { DO(NOTHING, DOOMED), {
		{ HANDOVER_IS_GONE, DO(GO_ON, IDLE) },
	} },
	[HANDOVER_LEFT] = { DO(NOTHING, LEFT), {
		{ HANDOVER_SAYS_ORDER, DO(OBEY, LEFT) },
		{ HANDOVER_IS_GONE, DO(DIE, LEFT) },
	} },
};

struct handover_step handover_step(enum handover_stage stage, enum handover_event event)
{
	ASSERT(stage < HANDOVER_STAGES && event < HANDOVER_EVENTS);
	for (unsigned i = 0; i < sizeof(stages[0].rows) / sizeof(stages[0].rows[0]); i++)
		if (stages[stage].rows[i].step.act != HANDOVER_DO_NOTHING && stages[stage].rows[i].event == event)
			return stages[stage].rows[i].step;
	if (event <= HANDOVER_SAYS_LAST && stages[stage].other_words.act != HANDOVER_DO_NOTHING)
		return stages[stage].other_words;
	return (struct handover_step){ HANDOVER_DO_NOTHING, stage };
}
