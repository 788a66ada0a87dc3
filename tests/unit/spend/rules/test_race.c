// SPDX-License-Identifier: Apache-2.0
/*
 * rules/test_race.c: rules under threads, with a clock that the threads themselves push on. Sixteen of them ask as fast as they can;
 * what was let through is checked afterwards, call by call: no 60 seconds have more than the limit, no instant more in flight. Another one
 * changes rules, moves an account and asks the check under the lock meanwhile.
 */
#include "rules_world.h"

#include <pthread.h>

#define THREADS 16
#define ROUNDS 4000

struct race {
	struct world w;
	uint32_t accounts[4]; /* team, two below it, one below those */
	_Atomic int64_t now_ns;
	_Atomic int64_t in_flight, most_in_flight, spent;
	_Atomic bool over;
	int64_t (*granted)[ROUNDS]; /* per thread: when */
	size_t ngranted[THREADS];
	struct rules rules;
};

struct worker {
	struct race *race;
	unsigned n;
	uint64_t seed;
	pthread_t thread;
};

static uint64_t below(struct worker *me, uint64_t n)
{
	me->seed ^= me->seed << 13;
	me->seed ^= me->seed >> 7;
	me->seed ^= me->seed << 17;
	return me->seed % n;
}

static void note_most(_Atomic int64_t *most, int64_t v)
{
	int64_t old = *most;

	while (v > old && !__atomic_compare_exchange_n((int64_t *)most, &old, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

static void finish(struct worker *me, uint32_t slot, nanousd amount)
{
	struct race *r = me->race;

	r->in_flight--;
	if (below(me, 4) == 0) {
		budget_release(r->w.b, slot);
		return;
	}
	nanousd cost = (nanousd)below(me, (uint64_t)amount + 1);

	budget_count_tokens(r->w.b, slot, (int64_t)below(me, 100), r->now_ns);
	r->spent += cost;
	charge_slot(&r->w, slot, cost);
}

static void *work(void *ctx)
{
	struct worker *me = ctx;
	struct race *r = me->race;

	for (int i = 0; i < ROUNDS; i++) {
		/* Mostly tiny steps, so that many threads stand at the edge of a second together. */
		int64_t now_ns = r->now_ns += (int64_t)below(me, below(me, 100) ? 20000000 : 3000000000);
		struct told t = { .error = 0 };
		struct hold_request q = { .account = r->accounts[below(me, 4)], .amount = (nanousd)below(me, 50) + 1, .model = "m",
					  .now_ns = now_ns - (int64_t)below(me, 1000000000), .provider_name = "p", .tokens = 10,
					  .notes = &t.notes, .fingerprint = below(me, 8) + 1 };

		if (budget_hold(r->w.b, &q, &t.slot, &t.id, &t.why) < 0) {
			assert_true(t.why.rule[0]);
			continue;
		}
		/* Counted after the place was taken and before it is given back: the true figure is never lower than this one. */
		note_most(&r->most_in_flight, ++r->in_flight);
		struct gate_hold h;

		budget_get_hold(r->w.b, t.slot, &h);
		r->granted[me->n][r->ngranted[me->n]++] = h.started_realtime_ns;
		if (below(me, 3) == 0)
			sched_yield();
		finish(me, t.slot, q.amount);
	}
	return NULL;
}

static void *disturb(void *ctx)
{
	struct worker *me = ctx;
	struct race *r = me->race;
	struct rules changed = r->rules;

	while (!r->over) {
		struct err e = { "" };

		if (budget_check(r->w.b, &e) < 0)
			fail_msg("%s", e.text);
		/* What limits the race stays; what stands beside it comes and goes. */
		changed.per_call = below(me, 2) ? 1000 : 0;
		changed.tokens_per_minute = below(me, 2) ? INT64_MAX : 0;
		changed.nmodel_limits = below(me, 2) + 1;
		(void)set_rules(&r->w, "team", "", -1, &changed);
		(void)world_account(&r->w, "deep", below(me, 2) ? "one" : "two", -1, -1);
		(void)rules_at(&r->w, r->accounts[0], 0);
		sched_yield();
	}
	return NULL;
}

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static size_t all_granted(struct race *r, int64_t **ret)
{
	size_t n = 0;

	*ret = calloc(THREADS * ROUNDS, sizeof(**ret));
	for (int t = 0; t < THREADS; t++) {
		memcpy(*ret + n, r->granted[t], r->ngranted[t] * sizeof(**ret));
		n += r->ngranted[t];
	}
	qsort(*ret, n, sizeof(**ret), by_time);
	return n;
}

static void run(struct race *r, const struct rules *rules)
{
	struct worker workers[THREADS + 1];

	r->rules = *rules;
	r->granted = calloc(THREADS, sizeof(*r->granted));
	r->now_ns = T0 * S;
	world_init(&r->w);
	budget_open(r->w.b);
	r->accounts[0] = set_rules(&r->w, "team", "", -1, rules);
	r->accounts[1] = world_account(&r->w, "one", "team", -1, -1);
	r->accounts[2] = world_account(&r->w, "two", "team", -1, -1);
	r->accounts[3] = world_account(&r->w, "deep", "one", -1, -1);
	for (unsigned t = 0; t <= THREADS; t++) {
		workers[t] = (struct worker){ .race = r, .n = t, .seed = 0x9e3779b97f4a7c15 * (t + 1) };
		assert_int_equal(pthread_create(&workers[t].thread, NULL, t < THREADS ? work : disturb, &workers[t]), 0);
	}
	for (unsigned t = 0; t < THREADS; t++)
		(void)pthread_join(workers[t].thread, NULL);
	r->over = true;
	(void)pthread_join(workers[THREADS].thread, NULL);
	world_check(&r->w);
	assert_int_equal(rules_at(&r->w, r->accounts[0], 0).v[RULE_IN_FLIGHT].seen, 0);
}

static void done(struct race *r)
{
	world_done(&r->w);
	free(r->granted);
	free(r);
}

static void a_hundred_a_minute(void **state)
{
	struct rules rules = { .requests_per_minute = 100, .model_limits = { limit_on("m", WINDOW_TOTAL, INT64_C(1000000000)),
									     limit_on("?", WINDOW_HOUR, INT64_C(1000000000)) },
			       .nmodel_limits = 2 };
	struct race *r = calloc(1, sizeof(*r));
	int64_t *times;

	run(r, &rules);
	size_t n = all_granted(r, &times), closest = 0;
	int64_t took_ns = r->now_ns - T0 * S;

	for (size_t i = 0; i + 100 < n; i++) {
		if (times[i + 100] - times[i] < 60 * S)
			fail_msg("101 calls within %lld ns", (long long)(times[i + 100] - times[i]));
		closest += times[i + 100] - times[i] < 62 * S;
	}
	print_message("%zu calls in %lld s of their clock; %zu times 101 within 62 s\n", n, (long long)(took_ns / S), closest);
	/* Strict by a second, not more: a hundred fit into each 61 that begin. */
	assert_true((int64_t)n >= took_ns / S / 62 * 100);
	assert_true(closest > 100);
	/* The limit on the model has seen them all, whatever was changed beside it. */
	struct rules_view v = rules_at(&r->w, r->accounts[0], 0);

	assert_int_equal(v.model_limits[0].windows[WINDOW_TOTAL].spent, r->spent);
	free(times);
	done(r);
}

static void eight_at_once(void **state)
{
	struct rules rules = { .calls_in_flight = 8, .model_limits = { limit_on("m", WINDOW_TOTAL, 100000) }, .nmodel_limits = 1 };
	struct race *r = calloc(1, sizeof(*r));

	rules.model_limits[1] = limit_on("x", WINDOW_TOTAL, 1);
	run(r, &rules);
	struct window_view v = rules_at(&r->w, r->accounts[0], 0).model_limits[0].windows[WINDOW_TOTAL];

	print_message("at most %lld in flight, spent %lld of 100000\n", (long long)r->most_in_flight, (long long)v.spent);
	assert_true(r->most_in_flight <= 8);
	assert_int_equal(v.spent, r->spent);
	/* How much of it is reached before the rounds are over is the scheduler's business. */
	assert_true(v.spent <= 100000 && v.spent > 0);
	assert_int_equal(v.held, 0);
	done(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hundred_a_minute),
		cmocka_unit_test(eight_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
