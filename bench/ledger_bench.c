// SPDX-License-Identifier: Apache-2.0
/*
 * ledger_bench.c FILE ROWS AGENTS DAYS [OPEN]: what the ledger takes and gives, through its headers alone. Writes ROWS settled calls of
 * AGENTS agents, spread evenly over DAYS that end now, and waits until each is durable; as in the daemon, no more calls are on the way than
 * there are hold slots. OPEN calls are in flight at any time, each with its hold written ahead (0: none is). The last 300,000 rows are timed
 * by themselves: what a full ledger takes. Then reads one agent's day: the sum that a start needs, the rows that `purse ledger` shows, its
 * sums by model; and the sums of all agents by day. Prints one JSON line.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "spend/ledger/ledger.h"
#include "spend/ledger/sums.h"

#define ON_THE_WAY_MAX 4096
#define DAY_S 86400
#define READS 5
#define LAST_ROWS 300000

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

struct load {
	long rows, agents, days, open;
	int64_t end_s;
};

static void row_of(const struct load *load, long i, struct ledger_call *c)
{
	int64_t span_s = load->days * DAY_S;

	c->call_id = (uint64_t)i + 1;
	c->pid = (uint32_t)(i % 30000) + 2;
	c->started_ns = (load->end_s - span_s + (int64_t)((double)i / (double)load->rows * (double)span_s)) * 1000000000 + i % 1000000000;
	agent_name(c->agent, i % load->agents);
	agent_name(c->account, i % load->agents);
}

static void hold_row(struct ledger *l, const struct ledger_call *c)
{
	struct ledger_hold h = { .call_id = c->call_id, .pid = c->pid, .amount = c->held, .started_ns = c->started_ns };

	memcpy(h.account, c->account, sizeof(h.account));
	memcpy(h.agent, c->agent, sizeof(h.agent));
	memcpy(h.comm, c->comm, sizeof(h.comm));
	memcpy(h.provider, c->provider, sizeof(h.provider));
	memcpy(h.model, c->model, sizeof(h.model));
	ledger_hold(l, &h);
}

/* Returns how long the last LAST_ROWS took; *ret_n: how many these were. */
static double write_rows(struct ledger *l, struct slots *s, const struct load *load, long *ret_n)
{
	struct ledger_call c = {
		.comm = "python3", .provider = "openai", .model = "fake-mini", .served_model = "fake-mini", .usage_known = true,
		.held = 2000000, .cost = 125000, .price = "openai/fake-mini@2026-01-01", .status = 200, .end = "done",
		.first_byte_us = 400000, .total_us = 900000, .request_id = "req_0123456789abcdef",
	};
	long from = load->rows > LAST_ROWS ? load->rows - LAST_ROWS : 0;
	double start = now_s();

	c.usage.input = 1200;
	c.usage.output = 90;
	for (long begun = 0, i = 0; i < load->rows; i++) {
		for (; load->open && begun < load->rows && begun <= i + load->open; begun++) {
			row_of(load, begun, &c);
			hold_row(l, &c);
		}
		row_of(load, i, &c);
		if (i == from) {
			wait_until(s, 0);
			start = now_s();
		}
		pthread_mutex_lock(&s->lock);
		s->queued++;
		pthread_mutex_unlock(&s->lock);
		ledger_call(l, &c);
		if (i % 64 == 0)
			wait_until(s, ON_THE_WAY_MAX);
	}
	wait_until(s, 0);
	*ret_n = load->rows - from;
	return now_s() - start;
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

static void on_group(void *ctx, const struct ledger_group *g)
{
	++*(long *)ctx;
}

static double read_groups_ms(struct ledger *l, const struct ledger_query *q, unsigned by, long *ret_groups, struct err *e)
{
	double best = 1e9;

	for (int i = 0; i < READS; i++) {
		double start = now_s(), took;

		*ret_groups = 0;
		if (ledger_groups(l, q, by, on_group, ret_groups, NULL, e))
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
	struct load load = { .end_s = time(NULL) };
	int64_t day_s = load.end_s / DAY_S * DAY_S - DAY_S; /* yesterday: a whole day */
	long day_rows, last_rows, day_groups, all_groups;
	struct ledger *l = NULL;
	struct err e = { 0 };
	char agent[GATE_NAME_MAX];
	double start, write_s, last_s, sum_ms, rows_ms, day_ms, all_ms;

	if (argc != 5 && argc != 6)
		return 2;
	load.rows = atol(argv[2]);
	load.agents = atol(argv[3]);
	load.days = atol(argv[4]);
	load.open = argc == 6 ? atol(argv[5]) : 0;
	agent_name(agent, load.agents / 2);
	if (ledger_open(argv[1], &calls, &slots, &l, &e)) {
		fprintf(stderr, "ledger_bench: %s\n", e.text);
		return 1;
	}
	start = now_s();
	last_s = write_rows(l, &slots, &load, &last_rows);
	write_s = now_s() - start;
	sum_ms = read_sum_ms(l, agent, day_s + 2700, &e); /* as a zone at +5:45 has it */
	rows_ms = read_rows_ms(l, agent, day_s, &day_rows, &e);
	day_ms = read_groups_ms(l, &(struct ledger_query){ .agent = agent, .since_s = day_s, .until_s = day_s + DAY_S },
				LEDGER_BY_MODEL | LEDGER_BY_HOUR, &day_groups, &e);
	all_ms = read_groups_ms(l, &(struct ledger_query){ 0 }, LEDGER_BY_DAY, &all_groups, &e);
	if (sum_ms < 0 || rows_ms < 0 || day_ms < 0 || all_ms < 0)
		fprintf(stderr, "ledger_bench: %s\n", e.text);
	printf("{\"rows\":%ld,\"agents\":%ld,\"open\":%ld,\"per_s\":%.0f,\"last_per_s\":%.0f,\"sum_ms\":%.3f,\"rows_ms\":%.3f,"
	       "\"day_rows\":%ld,\"day_sums_ms\":%.3f,\"all_days_ms\":%.3f,\"days\":%ld}\n", load.rows, load.agents, load.open,
	       (double)load.rows / write_s, (double)last_rows / last_s, sum_ms, rows_ms, day_rows, day_ms, all_ms, all_groups);
	return ledger_close(l) ? 1 : 0;
}
