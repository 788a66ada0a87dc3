// SPDX-License-Identifier: Apache-2.0
/*
 * ways.c: the catalogue of ways as one list, and the child that tries one. What the ways are stands in the tables of ways_*.c. A way that
 * needs somebody outside has a process there, whose child tries; all of them write into one piece of shared memory.
 */
#include "kern/ways.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kern/ways_inside.h"

#define PATIENCE_S 20

/* ---- the list */

static const struct way_table *const tables[] = { &ways_connect, &ways_udp, &ways_socket, &ways_whose, &ways_said, &ways_older, &ways_own,
						  &ways_uring, &ways_untried };
#define TABLES (sizeof(tables) / sizeof(tables[0]))

size_t ways_count(void)
{
	size_t n = 0;

	for (size_t t = 0; t < TABLES; t++)
		n += tables[t]->n;
	return n;
}

/* How many rows stand before this one: lower numbers, and the same number further up. */
static size_t place_of(size_t table, size_t row)
{
	unsigned no = tables[table]->rows[row].no;
	size_t n = 0;

	for (size_t t = 0; t < TABLES; t++)
		for (size_t r = 0; r < tables[t]->n; r++) {
			bool is_above = t < table || (t == table && r < row);

			n += tables[t]->rows[r].no < no || (tables[t]->rows[r].no == no && is_above);
		}
	return n;
}

static const struct way *way_at(size_t i)
{
	for (size_t t = 0; t < TABLES; t++)
		for (size_t r = 0; r < tables[t]->n; r++)
			if (place_of(t, r) == i)
				return &tables[t]->rows[r];
	return NULL;
}

/* ---- the child */

static void try_inside(const struct way *w, struct attempt *a)
{
	(void)alarm(PATIENCE_S);
	if (w->starts_outside ? way_leave(a) : way_enter(a))
		w->try(a);
}

static bool is_ready(struct attempt *a, const struct way *w)
{
	a->r.text[0] = '\0';
	if (!way_leave(a))
		return false;
	w->before(a);
	return a->r.text[0] == '\0';
}

_Noreturn static void be_agent(const struct way *w, struct attempt *a)
{
	/* A doctor who is interrupted leaves no accomplices behind. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)alarm(PATIENCE_S);
	if (w->before) {
		if (!is_ready(a, w))
			_exit(0);
		(void)snprintf(a->r.text, sizeof(a->r.text), "it did not end within %d s", PATIENCE_S);
		/* What was made stays its maker's: the one who tries is another process. */
		pid_t child = fork();

		if (child > 0) {
			(void)alarm(PATIENCE_S + 5);
			(void)waitpid(child, NULL, 0);
			if (w->after)
				w->after(a);
			_exit(0);
		}
	}
	try_inside(w, a);
	_exit(0);
}

void ways_try(size_t i, const struct way_targets *t, struct way_result *ret)
{
	const struct way *w = way_at(i);
	struct attempt *a = mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	*ret = (struct way_result){ .no = w->no, .name = w->name, .why = w->why, .need = w->need, .end = WAY_UNTESTED };
	if (!w->try) {
		(void)snprintf(ret->text, sizeof(ret->text), "%s", w->untried);
	} else if (a == MAP_FAILED) {
		(void)snprintf(ret->text, sizeof(ret->text), "out of memory");
	} else {
		*a = (struct attempt){ .t = *t, .r = *ret, .socket = w->socket, .fd = -1, .ring = -1, .stage = -1, .home = -1,
				       .tcp = -1, .udp = -1, .wire = -1 };
		(void)snprintf(a->r.text, sizeof(a->r.text), "it did not end within %d s", PATIENCE_S);
		(void)fflush(NULL);
		pid_t child = fork();

		if (child == 0)
			be_agent(w, a);
		if (child < 0 || waitpid(child, NULL, 0) < 0)
			(void)snprintf(a->r.text, sizeof(a->r.text), "cannot start a process: %s", strerror(errno));
		*ret = a->r;
	}
	if (a != MAP_FAILED)
		(void)munmap(a, sizeof(*a));
}

/* ---- words */

const char *way_need_text(enum way_need need)
{
	static const char *const texts[WAY_NEED_COUNT] = {
		[WAY_NEEDS_NOTHING] = "",
		[WAY_NEEDS_CAPS] = "needs a capability that `purse run` takes away",
		[WAY_NEEDS_CGROUP] = "needs a writable cgroup tree, which `purse run` takes away; `others: deny` closes it",
		[WAY_NEEDS_PEER] = "needs a peer that passes it on: boot with lsm=...,bpf to close it",
		[WAY_NEEDS_HELPER] = "needs a process outside that helps: `others: deny` closes it",
	};

	return (unsigned)need < WAY_NEED_COUNT ? texts[need] : "?";
}

const char *way_end_text(enum way_end end)
{
	static const char *const texts[WAY_END_COUNT] = {
		[WAY_BLOCKED] = "blocked", [WAY_CAPTURED] = "captured", [WAY_OPEN] = "OPEN", [WAY_UNTESTED] = "not tested",
		[WAY_BROKEN] = "BROKEN",
	};

	return (unsigned)end < WAY_END_COUNT ? texts[end] : "?";
}
