// SPDX-License-Identifier: Apache-2.0
/*
 * The budget against a slow model, at random: accounts in several places, calls that are held, grow, settle or are let go, limits cut and
 * raised for a while, zones and parents changed, clocks that jump both ways, daemons that die. The model keeps nothing but a list of calls
 * and the windows that it was shown; every sum is computed anew from the list. After every step:
 *
 *   - each window's spent and held are the sums of the calls that began in it, of the account and all below it
 *   - a window never begins before the one before it has ended (no window is granted twice), and holds this moment
 *   - what was allowed fitted, what was refused did not, an extension got exactly what was left
 *   - budget_check agrees
 */
#include <errno.h>

#include "spend/budget/window.h"
#include "spend/budget/zone.h"
#include "spend_test.h"

#define N 7
#define CALLS_MAX 20000
#define SEEN_MAX 4000
#define STEPS 60000

static const char *const zones[] = { "", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Kiritimati",
				     "Etc/GMT+12", "America/Havana" };

struct call {
	bool is_open, is_sent;
	int who;
	int64_t start_ns;
	nanousd amount, cost;
	uint32_t slot;
};

struct shown {
	int64_t start, end;
};

struct model {
	struct world w;
	unsigned rnd;
	int64_t now_s, latest_s;
	struct account_spec specs[N];
	int parent[N]; /* -1 = top */
	uint32_t index[N];
	struct call calls[CALLS_MAX];
	size_t ncalls;
	struct shown seen[N][WINDOW_COUNT][SEEN_MAX];
	size_t nseen[N][WINDOW_COUNT];
	bool moves;     /* parents change too: then sums of windows that are over are not compared */
	size_t held, refused, grown, stopped, restarts, moved, doubts, windows, rezoned;
};

static int pick(struct model *m, int n)
{
	return (int)((unsigned)rand_r(&m->rnd) % (unsigned)n);
}

static bool below(const struct model *m, int who, int top)
{
	for (int i = who; i >= 0; i = m->parent[i])
		if (i == top)
			return true;
	return false;
}

static void sums(const struct model *m, int top, const struct shown *in, nanousd *ret_spent, nanousd *ret_held)
{
	*ret_spent = *ret_held = 0;
	for (size_t c = 0; c < m->ncalls; c++) {
		const struct call *k = &m->calls[c];
		int64_t s = k->start_ns / S;

		if (!below(m, k->who, top) || s < in->start || (in->end && s >= in->end))
			continue;
		*(k->is_open ? ret_held : ret_spent) += k->is_open ? k->amount : k->cost;
	}
}

static nanousd limit_of(const struct model *m, int i, int k)
{
	const struct account_spec *s = &m->specs[i];

	if (s->limits[k] == GATE_NO_LIMIT)
		return GATE_NO_LIMIT;
	return s->limits[k] + (m->latest_s < s->raise_until_s ? s->raise[k] : 0);
}

static int64_t now_of(struct model *m)
{
	m->latest_s = m->now_s > m->latest_s ? m->now_s : m->latest_s;
	return m->now_s;
}

/* ---- looking */

static void look_at_window(struct model *m, int i, int k, const struct window_view *v, bool is_fresh_calendar)
{
	size_t *n = &m->nseen[i][k];
	struct shown *last = *n ? &m->seen[i][k][*n - 1] : NULL;
	nanousd spent, held;

	assert_true(v->start_s <= m->latest_s && (k == WINDOW_TOTAL || m->latest_s < v->end_s));
	if (last && last->start == v->start_s) {
		assert_true(v->end_s == last->end || is_fresh_calendar);
		last->end = v->end_s;
	} else {
		/* A start with another calendar after the old window was over may look back into it: then that money counts in both. */
		if (last && v->start_s < last->end && !(is_fresh_calendar && m->latest_s >= last->end))
			fail_msg("%s, %s: from %lld, but the one before ends at %lld", m->specs[i].name, window_name((enum window_kind)k),
				 (long long)v->start_s, (long long)last->end);
		assert_true(*n < SEEN_MAX);
		m->seen[i][k][(*n)++] = (struct shown){ v->start_s, v->end_s };
		m->windows++;
	}
	sums(m, i, &m->seen[i][k][*n - 1], &spent, &held);
	if (v->spent != spent || v->held != held || v->limit != limit_of(m, i, k))
		fail_msg("%s, %s from %lld: spent %lld (%lld), held %lld (%lld), limit %lld (%lld)", m->specs[i].name,
			 window_name((enum window_kind)k), (long long)v->start_s, (long long)v->spent, (long long)spent, (long long)v->held,
			 (long long)held, (long long)v->limit, (long long)limit_of(m, i, k));
}

static void look(struct model *m, bool is_fresh_calendar)
{
	struct account_view v;

	for (int i = 0; i < N; i++) {
		assert_int_equal(budget_view(m->w.b, m->index[i], now_of(m), &v), 0);
		for (int k = 0; k < WINDOW_COUNT; k++)
			look_at_window(m, i, k, &v.windows[k], is_fresh_calendar);
	}
	world_check(&m->w);
}

/* What a call that began at start_ns could hold at most, `own` of it being held already. */
static nanousd room(const struct model *m, int who, int64_t start_ns, nanousd own)
{
	nanousd least = INT64_MAX / 2;

	for (int i = who; i >= 0; i = m->parent[i])
		for (int k = 0; k < WINDOW_COUNT; k++)
			for (size_t n = m->nseen[i][k]; n-- > 0;) {
				const struct shown *in = &m->seen[i][k][n];
				nanousd spent, held;

				if (start_ns / S < in->start || (in->end && start_ns / S >= in->end))
					continue;
				if (limit_of(m, i, k) == GATE_NO_LIMIT)
					break;
				sums(m, i, in, &spent, &held);
				if (limit_of(m, i, k) - spent - held + own < least)
					least = limit_of(m, i, k) - spent - held + own;
				break;
			}
	return least;
}

static bool is_over_somewhere(const struct model *m, const struct call *c)
{
	for (int i = c->who; i >= 0; i = m->parent[i])
		for (int k = 0; k < WINDOW_TOTAL; k++)
			if (c->start_ns / S < m->seen[i][k][m->nseen[i][k] - 1].start)
				return true;
	return false;
}

/* ---- acts */

static void act_hold(struct model *m)
{
	struct call *c = &m->calls[m->ncalls];
	int who = pick(m, N);
	nanousd amount = 1 + pick(m, 60);
	struct refusal why = { 0 };
	struct gate_hold h;

	if (m->ncalls == CALLS_MAX || budget_in_flight(m->w.b) == HOLDS)
		return;
	look(m, false); /* so that the windows of this moment are known */
	nanousd most = room(m, who, m->latest_s * S, 0);

	if (pick(m, 2) && most < INT64_MAX / 4) /* some limit stands */
		assert_int_equal(budget_afford(m->w.b, m->index[who], "m", m->now_s * S), most > 0 ? most : 0);
	if (world_hold(&m->w, m->index[who], amount, now_of(m), &c->slot, &why) < 0) {
		assert_true(amount > most);
		assert_true(why.spent + why.held + why.needed > why.limit);
		assert_true(why.reset_s == 0 || why.reset_s > m->latest_s);
		m->refused++;
		return;
	}
	assert_true(amount <= most);
	budget_get_hold(m->w.b, c->slot, &h);
	assert_int_equal(h.started_realtime_ns / S, m->latest_s);
	*c = (struct call){ .is_open = true, .who = who, .start_ns = h.started_realtime_ns, .amount = amount, .slot = c->slot };
	m->ncalls++;
	m->held++;
}

static struct call *open_call(struct model *m)
{
	if (m->ncalls == 0)
		return NULL;
	size_t from = (size_t)pick(m, (int)m->ncalls);

	for (size_t n = 0; n < m->ncalls; n++)
		if (m->calls[(from + n) % m->ncalls].is_open)
			return &m->calls[(from + n) % m->ncalls];
	return NULL;
}

static void act_extend(struct model *m)
{
	struct call *c = open_call(m);

	if (!c)
		return;
	nanousd at_least = c->amount + pick(m, 20) - 3, wish = at_least + pick(m, 40), got = -1;
	nanousd most = room(m, c->who, c->start_ns, c->amount), want = wish < most ? wish : most;
	struct refusal why = { 0 };
	int r = budget_extend(m->w.b, c->slot, at_least, wish, 0, &got, &why);

	want = want < c->amount ? c->amount : want;
	if (m->moves && is_over_somewhere(m, c)) {
		/* Towards strict: what a new place knows of a window that is over is a bound, or nothing. */
		assert_true(r == 0 ? got >= c->amount && got >= at_least && got <= want : true);
		c->amount = r == 0 ? got : c->amount;
		return;
	}
	assert_int_equal(r, want >= at_least ? 0 : -EDQUOT);
	if (r < 0) {
		assert_int_equal(got, -1);
		assert_true(why.spent + why.held + why.needed > why.limit);
		m->stopped++;
		return;
	}
	assert_int_equal(got, want);
	m->grown += got > c->amount;
	c->amount = got;
}

static void act_end(struct model *m)
{
	struct call *c = open_call(m);

	if (!c)
		return;
	c->is_open = false;
	if (!c->is_sent && pick(m, 3) == 0) {
		budget_release(m->w.b, c->slot);
		return;
	}
	c->cost = pick(m, 40) ? pick(m, (int)c->amount + 1) : c->amount + pick(m, 30); /* seldom dearer than was held */
	assert_int_equal(budget_charge(m->w.b, c->slot, c->cost, false), c->cost > c->amount ? c->cost - c->amount : 0);
	budget_settled(m->w.b, c->slot);
}

static void act_send(struct model *m)
{
	struct call *c = open_call(m);

	if (c) {
		budget_sent(m->w.b, c->slot);
		c->is_sent = true;
	}
}

static void act_time(struct model *m)
{
	static const int64_t by[] = { 1, 60, 600, 3600, 7 * 3600, 86400, 9 * 86400 };
	int64_t next;

	switch (pick(m, 12)) {
	case 0:
		m->now_s = m->latest_s - pick(m, 100000); /* the clock was set back */
		break;
	case 1:
	case 2:
	case 3:
	case 4: /* to the second at which something changes, or the one before */
		next = budget_roll(m->w.b, now_of(m));
		assert_true(next > m->latest_s);
		m->now_s = next - pick(m, 2);
		break;
	default:
		m->now_s = m->latest_s + 1 + pick(m, (int)by[pick(m, pick(m, 4) ? 4 : 7)]);
	}
	(void)budget_roll(m->w.b, now_of(m));
}

static void put(struct model *m, int i)
{
	struct err e = { "" };

	if (budget_set_account(m->w.b, &m->specs[i], now_of(m), &m->index[i], &e) < 0)
		fail_msg("%s", e.text);
}

static void act_edit(struct model *m)
{
	struct account_spec *s = &m->specs[pick(m, N)];
	int k = pick(m, WINDOW_COUNT);
	static const int64_t most[WINDOW_COUNT] = { 300, 900, 3000, 9000, 200000 };
	bool is_zone = pick(m, 3) == 0;

	if (is_zone) {
		(void)snprintf(s->zone, sizeof(s->zone), "%s", zones[pick(m, sizeof(zones) / sizeof(zones[0]))]);
		s->reset_minute = pick(m, 1440);
		m->rezoned++;
	} else if (pick(m, 2)) {
		s->limits[k] = pick(m, 4) == 0 ? GATE_NO_LIMIT : pick(m, (int)most[k]);
	} else {
		s->raise[k] = pick(m, (int)most[k]);
		s->raise_until_s = m->latest_s + pick(m, 20000) - 100;
	}
	put(m, (int)(s - m->specs));
	look(m, is_zone);
}

/* What the ledger would say of it. */
static void correct(struct model *m)
{
	struct budget_doubt doubts[N * WINDOW_COUNT];
	size_t n = budget_in_doubt(m->w.b, doubts, N * WINDOW_COUNT);

	m->doubts += n;
	for (size_t d = 0; d < n; d++) {
		int i = 0;
		struct account_view v;
		nanousd spent, held;

		while (m->index[i] != doubts[d].account)
			i++;
		assert_int_equal(budget_view(m->w.b, m->index[i], now_of(m), &v), 0);
		const struct window_view *w = &v.windows[doubts[d].kind];

		sums(m, i, &(struct shown){ w->start_s, w->end_s }, &spent, &held);
		assert_true(w->spent >= spent); /* never less than was spent */
		assert_int_equal(w->held, held);
		budget_correct(m->w.b, &doubts[d], spent - w->spent);
	}
	assert_int_equal(budget_in_doubt(m->w.b, NULL, 0), 0);
}

static void act_move(struct model *m)
{
	int i = 1 + pick(m, N - 1), to = pick(m, N + 1) - 1;

	if (!m->moves || (to >= 0 && below(m, to, i)))
		return;
	m->parent[i] = to;
	(void)snprintf(m->specs[i].parent, sizeof(m->specs[i].parent), "%s", to < 0 ? "" : m->specs[to].name);
	put(m, i);
	correct(m);
	m->moved++;
	look(m, false);
}

/* ---- a daemon dies, the next one starts */

struct asked {
	struct model *m;
	int who;
};

static int spent_by(void *ctx, int64_t from_s, int64_t to_s, nanousd *ret)
{
	struct asked *a = ctx;

	*ret = 0;
	for (size_t c = 0; c < a->m->ncalls; c++) {
		const struct call *k = &a->m->calls[c];

		if (k->who == a->who && !k->is_open && k->start_ns / S >= from_s && k->start_ns / S < to_s)
			*ret += k->cost;
	}
	return 0;
}

static void put_tree(struct model *m, int top)
{
	for (int i = 0; i < N; i++)
		if (m->parent[i] == top) {
			struct asked a = { m, i };

			put(m, i);
			assert_int_equal(budget_restore_by(m->w.b, m->index[i], 0, spent_by, &a), 0);
			put_tree(m, i);
		}
}

static void act_die(struct model *m)
{
	static struct orphan orphans[HOLDS];
	bool other_zone = pick(m, 2);

	if (pick(m, 20))
		return;
	budget_free(m->w.b);
	assert_int_equal(budget_new(m->w.accounts, ACCOUNTS, m->w.holds, HOLDS, &m->w.b), 0);
	if (other_zone) {
		struct account_spec *s = &m->specs[pick(m, N)];

		(void)snprintf(s->zone, sizeof(s->zone), "%s", zones[pick(m, sizeof(zones) / sizeof(zones[0]))]);
	}
	budget_seed(m->w.b, 0, m->latest_s * S);
	put_tree(m, -1);
	size_t n = budget_orphans(m->w.b, orphans, HOLDS);

	for (size_t c = 0; c < m->ncalls; c++) {
		struct call *k = &m->calls[c];

		if (!k->is_open)
			continue;
		k->is_open = false;
		k->cost = 0;
		for (size_t o = 0; k->is_sent && o < n; o++)
			if (orphans[o].slot == k->slot) {
				assert_int_equal(orphans[o].hold.amount_nanousd, k->amount); /* as far as it had grown */
				k->cost = k->amount;
				budget_adopt(m->w.b, k->slot, k->cost, false);
			}
	}
	budget_open(m->w.b);
	for (size_t o = 0; o < n; o++)
		budget_settled(m->w.b, orphans[o].slot);
	m->restarts++;
	look(m, true);
}

/* The start of the oldest window that is open or has calls in flight, but at most `least`. */
static int64_t oldest_start(const struct model *m, int i, int k, int64_t least)
{
	size_t n = m->nseen[i][k];

	for (size_t c = 0; c < m->ncalls; c++)
		while (m->calls[c].is_open && n > 1 && m->seen[i][k][n - 1].start > m->calls[c].start_ns / S)
			n--;
	return m->seen[i][k][n - 1].start < least ? m->seen[i][k][n - 1].start : least;
}

/* Calls that ended before all these tell nothing more but their sum, for the total. */
static void forget_old_calls(struct model *m)
{
	if (m->ncalls < 700)
		return;
	int64_t keep_s = m->latest_s;
	size_t to = 0, at[N];

	for (int i = 0; i < N; i++)
		for (int k = 0; k < WINDOW_TOTAL; k++)
			keep_s = oldest_start(m, i, k, keep_s);

	for (int i = 0; i < N; i++)
		at[i] = CALLS_MAX;
	for (size_t c = 0; c < m->ncalls; c++) {
		struct call k = m->calls[c];

		if (!k.is_open && k.start_ns / S < keep_s) {
			if (at[k.who] != CALLS_MAX) {
				m->calls[at[k.who]].cost += k.cost;
				continue;
			}
			at[k.who] = to;
		}
		m->calls[to++] = k;
	}
	m->ncalls = to;
}

static void run(bool moves, unsigned seed)
{
	static struct model m;
	static void (*const acts[])(struct model *) = { act_hold, act_hold, act_hold, act_hold, act_hold, act_extend, act_extend, act_extend,
							 act_end, act_end, act_end, act_send, act_send, act_time, act_edit, act_move,
							 act_die };
	static const int parents[N] = { -1, 0, 0, 1, 1, 2, -1 };
	static const char *const names[N] = { "org", "team0", "team1", "a", "b", "c", "alone" };

	memset(&m, 0, sizeof(m));
	m.rnd = seed;
	m.moves = moves;
	m.now_s = INT64_C(1772600000); /* 2026-03-04: transitions of all these zones lie ahead */
	world_init(&m.w);
	for (int i = 0; i < N; i++) {
		m.parent[i] = parents[i];
		m.specs[i] = spec_of(names[i], parents[i] < 0 ? "" : names[parents[i]], 400 + 100 * i, i == 0 ? 100000 : -1);
		(void)snprintf(m.specs[i].zone, sizeof(m.specs[i].zone), "%s", zones[pick(&m, sizeof(zones) / sizeof(zones[0]))]);
		m.specs[i].reset_minute = pick(&m, 3) ? pick(&m, 1440) : 0;
	}
	put_tree(&m, -1);
	budget_open(m.w.b);
	look(&m, true);
	for (int step = 0; step < STEPS; step++) {
		acts[pick(&m, sizeof(acts) / sizeof(acts[0]))](&m);
		if (step % 7 == 0)
			look(&m, false);
		forget_old_calls(&m);
	}
	while (open_call(&m))
		act_end(&m);
	look(&m, false);
	assert_int_equal(budget_in_flight(m.w.b), 0);
	print_message("seed %u: %zu held, %zu refused, %zu grown, %zu stopped, %zu windows, %zu restarts, %zu moves, %zu in doubt, %lld days\n",
		      seed, m.held, m.refused, m.grown, m.stopped, m.windows, m.restarts, m.moved, m.doubts,
		      (long long)(m.latest_s - 1772600000) / 86400);
	assert_true(m.held > 1000 && m.refused > 100 && m.grown > 100 && m.stopped > 100 && m.windows > 1000 && m.restarts > 10);
	assert_true(!moves || (m.moved > 100 && m.doubts > 100));
	world_done(&m.w);
}

static void calendars_and_growth(void **state)
{
	run(false, 20261124);
}

static void and_parents_that_change(void **state)
{
	run(true, 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calendars_and_growth),
		cmocka_unit_test(and_parents_that_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
