// SPDX-License-Identifier: Apache-2.0
/*
 * sim.c: the simulator's main. Runs world after world, each with its own seed, and looks at every balance after every step.
 *
 *   sim                      worlds of 4,000 steps until 15 seconds are over
 *   sim --seconds N          longer
 *   sim --seed N [--steps M] that world only, M steps of it: how a failure is seen again, and made shorter
 *   sim -v                   every step's line, and what the code logs
 *
 * A broken invariant prints the seed, the number of the step, and the last 50 steps; exit 1.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "world.h"

#define LINES 50
#define STEPS 4000

static struct {
	char lines[LINES][160];
	uint64_t nlines, seed, step, steps;
	bool is_loud;
	struct world *world;
} sim = { .steps = STEPS };

void say(const char *fmt, ...)
{
	char *line = sim.lines[sim.nlines++ % LINES];
	va_list args;
	int n = snprintf(line, sizeof(sim.lines[0]), "%7" PRIu64 "  ", sim.step);

	va_start(args, fmt);
	(void)vsnprintf(line + n, sizeof(sim.lines[0]) - (size_t)n, fmt, args);
	va_end(args);
	if (sim.is_loud)
		(void)fprintf(stderr, "%s\n", line);
}

static void tell(void)
{
	for (uint64_t i = sim.nlines < LINES ? 0 : sim.nlines - LINES; i < sim.nlines && !sim.is_loud; i++)
		(void)fprintf(stderr, "%s\n", sim.lines[i % LINES]);
}

/* With -v: what the model holds to be true. */
static void tell_calls(void)
{
	const struct model *m = &sim.world->model;

	for (size_t i = 0; sim.is_loud && i < m->ncalls; i++)
		(void)fprintf(stderr, "  call %" PRIu64 " of %s (counts at %s), slot %u, state %d, held %" PRId64 ", cost %" PRId64 ", began %" PRId64 "\n",
			      m->calls[i].id, name_of(m->calls[i].account), name_of(model_living(m, m->calls[i].account)), m->calls[i].slot,
			      (int)m->calls[i].state, m->calls[i].amount, m->calls[i].cost, m->calls[i].started_ns / NS);
}

static void tell_seed(void)
{
	(void)fprintf(stderr, "\nagain: sim --seed %" PRIu64 " --steps %" PRIu64 "\n", sim.seed, sim.step + 1);
}

void broken(const char *fmt, ...)
{
	va_list args;

	tell();
	tell_calls();
	(void)fprintf(stderr, "\nBROKEN at step %" PRIu64 " of seed %" PRIu64 ": ", sim.step, sim.seed);
	va_start(args, fmt);
	(void)vfprintf(stderr, fmt, args);
	va_end(args);
	tell_seed();
	_exit(1);
}

/* ---- in place of base/: an assertion is a finding, a log line is noise */

void purse_assert_failed(const char *cond, const char *file, int line)
{
	broken("ASSERT(%s) at %s:%d", cond, file, line);
}

void log_set_level(enum log_level least)
{
	(void)least;
}

void log_line(enum log_level level, const char *subject, const char *fmt, ...)
{
	va_list args;

	if (!sim.is_loud || level < LOG_LEVEL_INFO)
		return;
	(void)fprintf(stderr, "         %s: ", subject);
	va_start(args, fmt);
	(void)vfprintf(stderr, fmt, args);
	va_end(args);
	(void)fputc('\n', stderr);
}

static void crashed(int sig)
{
	(void)sig;
	broken("the code under test crashed (signal %d)", sig);
}

/* ---- worlds */

struct totals {
	uint64_t worlds, steps, holds, refusals, settled, crashes, power_cuts, starts, audits;
};

static void run_world(uint64_t seed, struct totals *t)
{
	static struct world w;

	sim.seed = seed;
	sim.world = &w;
	sim.nlines = sim.step = 0;
	world_init(&w, seed);
	for (sim.step = 1; sim.step <= sim.steps; sim.step++)
		world_step(&w);
	world_settle(&w);
	t->worlds++;
	t->steps += sim.steps;
	t->holds += w.holds_given;
	t->refusals += w.refusals;
	t->settled += w.settled;
	t->crashes += w.crashes;
	t->power_cuts += w.power_cuts;
	t->starts += w.starts;
	t->audits += w.audits;
	world_done(&w);
}

static double now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int usage(void)
{
	(void)fprintf(stderr, "sim [--seconds N | --seed N] [--steps M] [--from SEED] [-v]\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct totals t = { 0 };
	double seconds = 15, from = now();
	uint64_t seed = 0;
	bool has_seed = false;

	for (int i = 1; i < argc; i++) {
		bool has_value = i + 1 < argc;

		if (strcmp(argv[i], "-v") == 0)
			sim.is_loud = true;
		else if (!has_value)
			return usage();
		else if (strcmp(argv[i], "--seconds") == 0)
			seconds = atof(argv[++i]);
		else if (strcmp(argv[i], "--steps") == 0)
			sim.steps = strtoull(argv[++i], NULL, 0);
		else if (strcmp(argv[i], "--from") == 0)
			seed = strtoull(argv[++i], NULL, 0);
		else if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[++i], NULL, 0), has_seed = true;
		else
			return usage();
	}
	if (!seed && !has_seed)
		seed = (uint64_t)time(NULL) * 1000; /* printed on failure */
	(void)signal(SIGSEGV, crashed);
	(void)signal(SIGFPE, crashed);
	do
		run_world(seed++, &t);
	while (!has_seed && now() - from < seconds);

	double took = (double)clock() / CLOCKS_PER_SEC;

	(void)printf("%" PRIu64 " worlds, %" PRIu64 " steps (%.1f million a minute of CPU): %" PRIu64 " holds, %" PRIu64 " refusals, %" PRIu64
		     " calls settled, %" PRIu64 " deaths, %" PRIu64 " power cuts, %" PRIu64 " starts, %" PRIu64 " audits; every balance right after every step\n",
		     t.worlds, t.steps, (double)t.steps / took * 60 / 1e6, t.holds, t.refusals, t.settled, t.crashes, t.power_cuts, t.starts,
		     t.audits);
	return 0;
}
