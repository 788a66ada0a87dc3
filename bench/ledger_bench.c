// SPDX-License-Identifier: Apache-2.0
/*
 * ledger_bench.c FILE ROWS AGENTS DAYS: what the ledger takes and gives, through spend/ledger.h alone. Writes ROWS settled calls of AGENTS
 * agents, spread evenly over DAYS that end now, and waits until each is durable; as in the daemon, no more calls are on the way than there
 * are hold slots. Then reads one agent's day: the sum that a start needs, and the rows that `purse ledger` shows. Prints one JSON line.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "spend/ledger.h"

#define ON_THE_WAY_MAX 4096
#define DAY_S 86400
#define READS 5

struct slots {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	long queued, durable;
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_durable(void *ctx, uint32_t slot)
{
	struct slots *s = ctx;

	pthread_mutex_lock(&s->lock);
	s->durable++;
	pthread_cond_signal(&s->freed);
	pthread_mutex_unlock(&s->lock);
}

static void on_health(void *ctx, bool healthy, const char *why)
{
	if (!healthy)
		fprintf(stderr, "ledger_bench: %s\n", why);
}

static void wait_until(struct slots *s, long on_the_way)
{
	pthread_mutex_lock(&s->lock);
	while (s->queued - s->durable > on_the_way)
		pthread_cond_wait(&s->freed, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

static void agent_name(char *out, long i)
{
	snprintf(out, GATE_NAME_MAX, "agent-%ld", i);
}

static void write_rows(struct ledger *l, struct slots *s, long rows, long agents, long days, int64_t end_s)
{
	struct ledger_call c = {
		.comm = "python3", .provider = "openai", .model = "fake-mini", .served_model = "fake-mini", .usage_known = true,
		.held = 2000000, .cost = 125000, .price = "openai/fake-mini@2026-01-01", .status = 200, .end = "done",
		.first_byte_us = 400000, .total_us = 900000, .request_id = "req_0123456789abcdef",
	};
	int64_t span_s = days * DAY_S;

	c.usage.input = 1200;
	c.usage.output = 90;
	for (long i = 0; i < rows; i++) {
		c.call_id = (uint64_t)i + 1;
		c.pid = (uint32_t)(i % 30000) + 2;
		c.started_ns = (end_s - span_s + (int64_t)((double)i / (double)rows * (double)span_s)) * 1000000000 + i % 1000000000;
		agent_name(c.agent, i % agents);
		agent_name(c.account, i % agents);
		pthread_mutex_lock(&s->lock);
		s->queued++;
		pthread_mutex_unlock(&s->lock);
		ledger_call(l, &c);
		if (i % 64 == 0)
			wait_until(s, ON_THE_WAY_MAX);
	}
	wait_until(s, 0);
}

static void on_row(void *ctx, const struct ledger_row *row)
{
	++*(long *)ctx;
}

/* The best of a few: the first one may still wait for the writer's checkpoint. */
static double read_sum_ms(struct ledger *l, const char *account, int64_t from_s, struct err *e)
{
	double best = 1e9;

	for (int i = 0; i < READS; i++) {
		double start = now_s(), took;
		nanousd spent;

		if (ledger_spent(l, account, from_s, &spent, e))
			return -1;
		took = now_s() - start;
		best = took < best ? took : best;
	}
	return best * 1e3;
}

static double read_rows_ms(struct ledger *l, const char *agent, int64_t from_s, long *ret_rows, struct err *e)
{
	struct ledger_query q = { .agent = agent, .since_s = from_s, .limit = 100000 };
	double best = 1e9;

	for (int i = 0; i < READS; i++) {
		double start = now_s(), took;

		*ret_rows = 0;
		if (ledger_read(l, &q, on_row, ret_rows, e))
			return -1;
		took = now_s() - start;
		best = took < best ? took : best;
	}
	return best * 1e3;
}

int main(int argc, char **argv)
{
	static struct slots slots = { .lock = PTHREAD_MUTEX_INITIALIZER, .freed = PTHREAD_COND_INITIALIZER };
	const struct ledger_calls calls = { .durable = on_durable, .health = on_health };
	int64_t end_s = time(NULL), day_s = end_s / DAY_S * DAY_S - DAY_S; /* yesterday: a whole day */
	long rows, agents, day_rows;
	struct ledger *l = NULL;
	struct err e = { 0 };
	char agent[GATE_NAME_MAX];
	double start, write_s, sum_ms, rows_ms;

	if (argc != 5)
		return 2;
	rows = atol(argv[2]);
	agents = atol(argv[3]);
	agent_name(agent, agents / 2);
	if (ledger_open(argv[1], &calls, &slots, &l, &e)) {
		fprintf(stderr, "ledger_bench: %s\n", e.text);
		return 1;
	}
	start = now_s();
	write_rows(l, &slots, rows, agents, atol(argv[4]), end_s);
	write_s = now_s() - start;
	sum_ms = read_sum_ms(l, agent, day_s, &e);
	rows_ms = read_rows_ms(l, agent, day_s, &day_rows, &e);
	if (sum_ms < 0 || rows_ms < 0)
		fprintf(stderr, "ledger_bench: %s\n", e.text);
	printf("{\"rows\":%ld,\"agents\":%ld,\"per_s\":%.0f,\"sum_ms\":%.3f,\"rows_ms\":%.3f,\"day_rows\":%ld}\n", rows, agents,
	       (double)rows / write_s, sum_ms, rows_ms, day_rows);
	return ledger_close(l) ? 1 : 0;
}
