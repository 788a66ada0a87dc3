// SPDX-License-Identifier: Apache-2.0
/*
 * The table of a hand-over, run against every order in which two processes, a channel and a deadline can meet: all states that can be
 * reached are visited. In none do both have the money; where nothing moves any more exactly one lives and has it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/handover_stage.h"

/* The new one, in the order of its start. TAKEN: it has what the old one had. OPEN: it has said so. */
enum young { BORN, SAID_HELLO, WELCOME, SAID_FREEZE, TAKEN, SAID_OPEN, DEAD, REFUSED };

struct state {
	uint8_t stage, young;
	uint8_t queue[4], n; /* to the old one: events */
	uint8_t told;        /* to the new one: 1 WELCOME, 2 FROZEN, 3 NO; 0 = nothing waits */
	bool is_killed;      /* the signal is on its way: it dies at some step, not at the next */
	bool old_is_dead, has_crashed;
};

#define STATES_MAX 200000
static struct state seen[STATES_MAX];
static size_t nseen, at;
static unsigned crashes_after_open;

static void add(struct state s)
{
	for (size_t i = s.n; i < sizeof(s.queue); i++)
		s.queue[i] = 0;
	for (size_t i = 0; i < nseen; i++)
		if (memcmp(&seen[i], &s, sizeof(s)) == 0)
			return;
	assert_true(nseen < STATES_MAX);
	seen[nseen++] = s;
}

static bool old_has_money(const struct state *s)
{
	return !s->old_is_dead && s->stage <= HANDOVER_CALMING;
}

static bool young_has_money(const struct state *s)
{
	return s->young == TAKEN || s->young == SAID_OPEN;
}

static struct state old_does(struct state s, enum handover_event event)
{
	struct handover_step step = handover_step((enum handover_stage)s.stage, event);

	s.stage = (uint8_t)step.next;
	switch (step.act) {
	case HANDOVER_DO_WELCOME:
		s.told = 1;
		break;
	case HANDOVER_DO_REFUSE:
	case HANDOVER_DO_FORGET: /* the channel ends, and the lock is ours */
		s.told = 3;
		break;
	case HANDOVER_DO_FREEZE:
		s.told = 2;
		break;
	case HANDOVER_DO_KILL:
		s.is_killed = true;
		break;
	case HANDOVER_DO_GO_ON:
		assert_int_equal(s.young, DEAD); /* two must never have it */
		break;
	case HANDOVER_DO_DIE:
		s.old_is_dead = true;
		break;
	default:
		break;
	}
	return s;
}

static struct state says(struct state s, enum handover_event event, enum young next)
{
	if (!s.old_is_dead)
		s.queue[s.n++] = (uint8_t)event;
	s.young = (uint8_t)next;
	return s;
}

/* Everything that can happen next, one thing each. How many of it must happen some day. */
static unsigned moves(const struct state *now, enum handover_event hello)
{
	struct state s = *now;
	unsigned n = 0;

#define MOVE(to) (add(to), n++)
	/* the new one */
	if (s.young == BORN)
		MOVE(says(s, hello, SAID_HELLO));
	if (s.young == SAID_HELLO && s.told) {
		struct state to = s;

		to.told = 0;
		to.young = s.told == 1 ? WELCOME : REFUSED;
		MOVE(to);
	}
	if (s.young == WELCOME)
		MOVE(says(s, HANDOVER_SAYS_FREEZE, SAID_FREEZE));
	if (s.young == SAID_FREEZE && s.told == 2) {
		struct state to = s;

		to.told = 0;
		to.young = TAKEN;
		MOVE(to);
	}
	if (s.young == TAKEN)
		MOVE(says(s, HANDOVER_SAYS_OPEN, SAID_OPEN));
	if (s.young != DEAD && (s.is_killed || s.young == REFUSED)) {
		struct state to = s;

		to.young = DEAD;
		MOVE(to);
	}
	/* By itself, once, wherever it stands. */
	if (s.young != DEAD && !s.has_crashed && s.young != REFUSED) {
		struct state to = s;

		to.young = DEAD;
		to.has_crashed = true;
		add(to);
	}
	if (s.old_is_dead)
		return n;
	/* the old one: what was said first, then the end of the channel */
	if (s.n) {
		struct state to = s;

		memmove(to.queue, to.queue + 1, sizeof(to.queue) - 1);
		to.n--;
		MOVE(old_does(to, (enum handover_event)s.queue[0]));
	} else if (s.young == DEAD && s.stage != HANDOVER_IDLE) {
		MOVE(old_does(s, HANDOVER_IS_GONE));
	}
	/* Its deadline, also while OPEN waits unread: then worse than the code, which reads first. */
	if (s.stage == HANDOVER_MEETING || s.stage == HANDOVER_AWAY || s.stage == HANDOVER_KNOCKED)
		(void)MOVE(old_does(s, HANDOVER_IS_LATE));
	if (s.stage == HANDOVER_AWAY)
		(void)MOVE(old_does(s, HANDOVER_IS_STUCK));
	if (s.stage == HANDOVER_CALMING)
		MOVE(old_does(s, HANDOVER_IS_CALM));
	return n;
}

static void explore(enum handover_event hello)
{
	nseen = at = 0;
	add((struct state){ .stage = HANDOVER_KNOCKED, .young = BORN });
	for (; at < nseen; at++) {
		const struct state s = seen[at];

		assert_false(old_has_money(&s) && young_has_money(&s));
		if (moves(&s, hello))
			continue;
		bool old_lives = old_has_money(&s), young_lives = s.young == SAID_OPEN;

		/* An owner that dies by itself after its OPEN was read: as any crash. */
		if (s.has_crashed && s.old_is_dead) {
			crashes_after_open++;
			continue;
		}
		assert_int_equal(old_lives + young_lives, 1);
		assert_int_equal(young_lives, s.stage == HANDOVER_LEFT);
	}
}

static void one_has_the_money_and_one_lives(void **state)
{
	(void)state;
	explore(HANDOVER_SAYS_HELLO);
	print_message("%zu states\n", nseen);
	assert_true(nseen > 50);
	assert_true(crashes_after_open > 0);
	explore(HANDOVER_SAYS_UNFIT);
}

/* With the lock in its hands it can start as soon as the channel ends: nothing but its end may end the channel. */
static void who_has_the_lock_is_never_just_forgotten(void **state)
{
	(void)state;
	for (int stage = HANDOVER_MEETING; stage < HANDOVER_LEFT; stage++)
		for (int event = 0; event < HANDOVER_EVENTS; event++) {
			struct handover_step s = handover_step((enum handover_stage)stage, (enum handover_event)event);

			assert_true(s.act != HANDOVER_DO_FORGET && s.act != HANDOVER_DO_REFUSE);
			if (s.next == HANDOVER_IDLE)
				assert_int_equal(event, HANDOVER_IS_GONE);
		}
	/* And who has left goes back nowhere. */
	for (int event = 0; event < HANDOVER_EVENTS; event++)
		assert_int_equal(handover_step(HANDOVER_LEFT, (enum handover_event)event).next, HANDOVER_LEFT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_has_the_money_and_one_lives),
		cmocka_unit_test(who_has_the_lock_is_never_just_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
