// SPDX-License-Identifier: Apache-2.0
/*
 * Promise P1 under threads: eight of them hold, extend, send, charge, release on a tree with several windows, while one watches the mapped words
 * without the lock and asserts held <= left at every read, and one asks the check under the lock. At the end the sum of all charges is
 * what was spent, to the nano-dollar. A second round adds time: windows end and the clock goes back meanwhile.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "spend_test.h"

#define THREADS 8
#define ROUNDS 30000
#define LEAVES 4
#define OPEN_MAX_ 40 /* calls in flight per thread: 320 in all want 256 slots */

struct race {
	struct world w;
	uint32_t org, teams[2], leaves[LEAVES];
	_Atomic int64_t now_s;
	bool time_moves;
	atomic_bool over;
	_Atomic int64_t spent[LEAVES], watched, held, refused, no_slot, grown, stopped;
};

struct worker {
	struct race *r;
	unsigned rnd;
};

static int64_t now(struct race *r, unsigned *rnd)
{
	if (!r->time_moves)
		return T0;
	/* Mostly forward, sometimes an hour back. */
	int64_t t = atomic_fetch_add(&r->now_s, rand_r(rnd) % 3);

	return rand_r(rnd) % 16 == 0 ? t - 3600 : t;
}

/* The slot is this thread's own: only it changes the amount. */
static void extend(struct race *r, uint32_t slot, unsigned *rnd)
{
	nanousd was = r->w.holds[slot].amount_nanousd, at_least = was + 1 + rand_r(rnd) % 30, wish = at_least + rand_r(rnd) % 50, got = -1;
	struct refusal why;

	if (budget_extend(r->w.b, slot, at_least, wish, 0, &got, &why) < 0) {
		assert_int_equal(r->w.holds[slot].amount_nanousd, was);
		assert_int_equal(why.needed, at_least);
		atomic_fetch_add(&r->stopped, 1);
		return;
	}
	if (got < at_least || got > wish || r->w.holds[slot].amount_nanousd != got)
		abort();
	atomic_fetch_add(&r->grown, 1);
}

static void end_call(struct race *r, uint32_t slot, int leaf, unsigned *rnd)
{
	struct gate_hold *h = &r->w.holds[slot];

	if (rand_r(rnd) % 3 == 0) {
		budget_release(r->w.b, slot);
		return;
	}
	nanousd cost = rand_r(rnd) % (h->amount_nanousd + 1);

	budget_sent(r->w.b, slot);
	assert_int_equal(budget_charge(r->w.b, slot, cost, false), 0);
	atomic_fetch_add(&r->spent[leaf], cost);
	budget_settled(r->w.b, slot);
}

static void *work(void *arg)
{
	struct worker *me = arg;
	struct race *r = me->r;
	uint32_t slots[OPEN_MAX_];
	int leaf_of[OPEN_MAX_], open = 0;

	for (int i = 0; i < ROUNDS; i++) {
		int leaf = rand_r(&me->rnd) % LEAVES;
		struct hold_request q = { .account = r->leaves[leaf], .amount = 1 + rand_r(&me->rnd) % 50,
					  .now_ns = now(r, &me->rnd) * S, .comm = "x", .model = "m", .provider_name = "p" };
		struct refusal why;
		uint64_t id;
		int got = open < OPEN_MAX_ ? budget_hold(r->w.b, &q, &slots[open], &id, &why) : -EAGAIN;

		if (got == 0) {
			leaf_of[open++] = leaf;
			atomic_fetch_add(&r->held, 1);
		} else if (got == -EDQUOT) {
			atomic_fetch_add(&r->refused, 1);
		} else if (got == -ENOSPC) {
			atomic_fetch_add(&r->no_slot, 1);
		}
		if (open && rand_r(&me->rnd) % 2)
			extend(r, slots[rand_r(&me->rnd) % open], &me->rnd);
		if (open && (got != 0 || rand_r(&me->rnd) % 2)) {
			int k = rand_r(&me->rnd) % open;

			end_call(r, slots[k], leaf_of[k], &me->rnd);
			slots[k] = slots[--open];
			leaf_of[k] = leaf_of[open];
		}
	}
	while (open--)
		end_call(r, slots[open], leaf_of[open], &me->rnd);
	return NULL;
}

/* As budget.h tells readers: start, left, held, start. */
static void watch_window(struct race *r, const struct gate_window *w)
{
	int64_t start = __atomic_load_n(&w->start_s, __ATOMIC_ACQUIRE);
	int64_t left = __atomic_load_n(&w->left_nanousd, __ATOMIC_ACQUIRE);
	int64_t held = __atomic_load_n(&w->held_nanousd, __ATOMIC_ACQUIRE);

	if (start == BUDGET_CHANGING || start != __atomic_load_n(&w->start_s, __ATOMIC_ACQUIRE))
		return;
	if (held > left || held < 0 || left < 0) {
		(void)fprintf(stderr, "P1 broken: held %lld, left %lld\n", (long long)held, (long long)left);
		abort();
	}
	atomic_fetch_add(&r->watched, 1);
}

static void *watch(void *arg)
{
	struct race *r = arg;

	while (!atomic_load(&r->over))
		for (int i = 0; i < ACCOUNTS; i++)
			for (int k = 0; k < WINDOW_COUNT; k++)
				if (r->w.accounts[i].flags & GATE_ACCOUNT_USED)
					watch_window(r, &r->w.accounts[i].windows[k]);
	return NULL;
}

static void *check(void *arg)
{
	struct race *r = arg;
	struct err e;

	while (!atomic_load(&r->over)) {
		if (budget_check(r->w.b, &e) < 0) {
			(void)fprintf(stderr, "%s\n", e.text);
			abort();
		}
		(void)usleep(500);
	}
	return NULL;
}

static void race_init(struct race *r, int64_t org_total)
{
	static const char *const zones[LEAVES] = { "Asia/Kathmandu", "", "Australia/Lord_Howe", "Europe/Berlin" };
	char name[16];

	world_init(&r->w);
	r->org = world_account(&r->w, "org", "", -1, org_total);
	for (int t = 0; t < 2; t++) {
		(void)snprintf(name, sizeof(name), "team%d", t);
		r->teams[t] = world_account(&r->w, name, "org", org_total / 2, -1);
	}
	for (int l = 0; l < LEAVES; l++) {
		struct account_spec s;
		struct err e;

		(void)snprintf(name, sizeof(name), "leaf%d", l);
		s = spec_of(name, l % 2 ? "team1" : "team0", -1, -1);
		s.limits[WINDOW_HOUR] = org_total / 3;
		if (r->time_moves) {
			(void)snprintf(s.zone, sizeof(s.zone), "%s", zones[l]);
			s.reset_minute = 61 * l;
		}
		s.limits[WINDOW_MONTH] = l == 0 ? 600 : org_total; /* leaf0 is always short */
		assert_int_equal(budget_set_account(r->w.b, &s, T0, &r->leaves[l], &e), 0);
	}
	budget_open(r->w.b);
	atomic_store(&r->now_s, T0);
}

static void run(struct race *r)
{
	pthread_t threads[THREADS], watcher, checker;
	struct worker workers[THREADS];

	assert_int_equal(pthread_create(&watcher, NULL, watch, r), 0);
	assert_int_equal(pthread_create(&checker, NULL, check, r), 0);
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ r, 1000u + (unsigned)i };
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	atomic_store(&r->over, true);
	(void)pthread_join(watcher, NULL);
	(void)pthread_join(checker, NULL);
	print_message("seeds 1000..%d: %lld holds, %lld refused, %lld grown, %lld stopped, %lld without a slot, %lld reads watched\n",
		      1000 + THREADS - 1, (long long)r->held, (long long)r->refused, (long long)r->grown, (long long)r->stopped,
		      (long long)r->no_slot, (long long)r->watched);
	assert_true(r->held > 1000);
	assert_true(r->grown > 1000);
	assert_true(r->watched > 1000);
	world_check(&r->w);
	assert_int_equal(budget_in_flight(r->w.b), 0);
	for (int i = 0; i < HOLDS; i++)
		assert_int_equal(r->w.holds[i].state, GATE_HOLD_FREE);
}

static void sums_agree(struct race *r, enum window_kind k)
{
	int64_t teams[2] = { 0 }, all = 0;

	for (int l = 0; l < LEAVES; l++) {
		struct window_view v = world_window(&r->w, r->leaves[l], k, T0);

		assert_int_equal(v.spent, r->spent[l]);
		assert_int_equal(v.held, 0);
		teams[l % 2] += r->spent[l];
		all += r->spent[l];
	}
	for (int t = 0; t < 2; t++)
		assert_int_equal(world_window(&r->w, r->teams[t], k, T0).spent, teams[t]);
	assert_int_equal(world_window(&r->w, r->org, k, T0).spent, all);
	assert_int_equal(world_window(&r->w, r->org, k, T0).held, 0);
}

/* Room for a part only: holds race for the last money again and again. */
static void never_a_cent_over(void **state)
{
	static struct race r;

	race_init(&r, 200000);
	run(&r);
	for (int k = 0; k < WINDOW_COUNT; k++)
		sums_agree(&r, (enum window_kind)k);
	assert_true(r.refused > 0 && r.stopped > 0);
	assert_true(world_window(&r.w, r.org, WINDOW_TOTAL, T0).spent <= 200000);
	world_done(&r.w);
}

static void plenty_of_money_and_few_slots(void **state)
{
	static struct race r;

	race_init(&r, INT64_C(1000000000));
	run(&r);
	for (int k = 0; k < WINDOW_COUNT; k++)
		sums_agree(&r, (enum window_kind)k);
	world_done(&r.w);
}

static void windows_end_with_holds_in_flight(void **state)
{
	static struct race r;

	r.time_moves = true;
	race_init(&r, 5000000);
	run(&r);
	print_message("%lld hours went by\n", (long long)(r.now_s - T0) / 3600);
	sums_agree(&r, WINDOW_TOTAL);
	for (int i = 1; i < ACCOUNTS; i++)
		for (int k = 0; k < WINDOW_COUNT; k++)
			assert_int_equal(r.w.accounts[i].windows[k].held_nanousd, 0);
	world_done(&r.w);
}

/* Limits are cut and raised, and a leaf moves between the teams, all the while. */
static void *edit(void *arg)
{
	struct race *r = arg;
	unsigned rnd = 77;

	while (!atomic_load(&r->over)) {
		struct account_spec s = spec_of("leaf3", rand_r(&rnd) % 2 ? "team1" : "team0", -1, 1000 + rand_r(&rnd) % 100000);
		struct err e;

		if (budget_set_account(r->w.b, &s, T0, NULL, &e) < 0)
			abort();
		(void)budget_pause(r->w.b, "leaf2", rand_r(&rnd) % 4 == 0);
		(void)usleep(200);
	}
	return NULL;
}

static void edits_under_way_lose_nothing(void **state)
{
	static struct race r;
	pthread_t threads[THREADS], checker, editor;
	struct worker workers[THREADS];

	race_init(&r, INT64_C(1000000000));
	assert_int_equal(pthread_create(&checker, NULL, check, &r), 0);
	assert_int_equal(pthread_create(&editor, NULL, edit, &r), 0);
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ &r, 500u + (unsigned)i };
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	atomic_store(&r.over, true);
	(void)pthread_join(checker, NULL);
	(void)pthread_join(editor, NULL);
	(void)world_account(&r.w, "leaf3", "team1", -1, -1); /* home again: as sums_agree expects */
	world_check(&r.w);
	for (int k = 0; k < WINDOW_COUNT; k++)
		sums_agree(&r, (enum window_kind)k);
	world_done(&r.w);
}

/*
 * As tight as it gets: whatever is free is held at once, so that held stands at left most of the time. The order in which
 * a charge writes its two words then shows.
 */
static void *squeeze(void *arg)
{
	struct worker *me = arg;
	struct race *r = me->r;

	for (int i = 0; i < 700000; i++) {
		struct account_view v;
		struct hold_request q = { .account = r->org, .now_ns = T0 * S };
		struct refusal why;
		uint32_t slot;
		uint64_t id;

		(void)budget_view(r->w.b, r->org, T0, &v);
		q.amount = v.windows[WINDOW_TOTAL].limit - v.windows[WINDOW_TOTAL].spent - v.windows[WINDOW_TOTAL].held;
		if (q.amount <= 0 || budget_hold(r->w.b, &q, &slot, &id, &why) < 0)
			continue;
		atomic_fetch_add(&r->held, 1);
		(void)budget_charge(r->w.b, slot, q.amount < 1000 ? q.amount : 1000, false);
		budget_settled(r->w.b, slot);
	}
	return NULL;
}

static void *watch_one(void *arg)
{
	struct race *r = arg;

	while (!atomic_load(&r->over))
		watch_window(r, &r->w.accounts[r->org].windows[WINDOW_TOTAL]);
	return NULL;
}

static void the_order_of_stores_shows_no_breach(void **state)
{
	static struct race r;
	pthread_t threads[2], watcher;
	struct worker w = { &r, 1 };

	world_init(&r.w);
	r.org = world_account(&r.w, "org", "", -1, INT64_C(1000000000000));
	budget_open(r.w.b);
	assert_int_equal(pthread_create(&watcher, NULL, watch_one, &r), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, squeeze, &w), 0);
	for (int i = 0; i < 2; i++)
		(void)pthread_join(threads[i], NULL);
	atomic_store(&r.over, true);
	(void)pthread_join(watcher, NULL);
	assert_true(r.held > 100 && r.watched > 100);
	world_check(&r.w);
	world_done(&r.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_a_cent_over),
		cmocka_unit_test(plenty_of_money_and_few_slots),
		cmocka_unit_test(windows_end_with_holds_in_flight),
		cmocka_unit_test(the_order_of_stores_shows_no_breach),
		cmocka_unit_test(edits_under_way_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
