// SPDX-License-Identifier: Apache-2.0
/*
 * The power goes at every single write, sync and truncation of database and log, and of what was not synced some is kept, some torn, some
 * lost (seeded; PURSE_SEEDS=50: so many times each). After each: the ledger opens, adds up, has every call that was called durable and every hold that was written ahead.
 */
#include <errno.h>

#include "simvfs.c"

#include "base/log.h"
#include "spend/ledger/db.h"
#include "spend_test.h"

#define CALLS 40

struct run {
	char path[128];
	struct simdisk *disk;
	struct ledger *l;
	bool durable[CALLS + 1];       /* told so */
	bool queued[CALLS + 1];        /* its row was handed over: it may be there */
	bool over[CALLS + 1];          /* released: may be gone */
	nanousd ahead[CALLS + 1];      /* the hold that a successful commit took; 0 = none */
	nanousd amount[CALLS + 1];     /* the hold as it is now */
	bool changed;                  /* ledger_changed said 0 */
};

static void on_durable(void *ctx, uint32_t slot)
{
	((struct run *)ctx)->durable[slot] = true;
}

static const struct ledger_calls calls = { .durable = on_durable };

static nanousd cost_of_call(uint32_t i) { return 1000 + i; }
static const char *account_of(uint32_t i) { return i % 3 ? "a" : "b"; }

static void hold(struct run *r, uint32_t i)
{
	struct ledger_hold h = { .call_id = i, .amount = 5000 + i, .started_ns = (T0 + i * 400) * S, .endpoint = ENDPOINT_OPENAI_CHAT };

	(void)snprintf(h.account, sizeof(h.account), "%s", account_of(i));
	(void)snprintf(h.agent, sizeof(h.agent), "%s", account_of(i));
	r->amount[i] = h.amount;
	ledger_hold(r->l, &h);
}

static void end(struct run *r, uint32_t i)
{
	struct ledger_call c = { .call_id = i, .cost = cost_of_call(i), .held = r->amount[i], .started_ns = (T0 + i * 400) * S, .slot = i,
				 .status = 200, .usage = { .input = i, .output = 2 * i }, .usage_known = true };

	(void)snprintf(c.account, sizeof(c.account), "%s", account_of(i));
	(void)snprintf(c.agent, sizeof(c.agent), "%s", account_of(i));
	(void)snprintf(c.model, sizeof(c.model), "m%u", i % 4);
	r->queued[i] = true;
	ledger_call(r->l, &c);
}

/* One commit; what it says is durable is noted. */
static bool step(struct run *r)
{
	if (ledger_step(r->l) < 0)
		return false;
	for (uint32_t i = 1; i <= CALLS; i++)
		if (r->amount[i] && !r->queued[i] && !r->over[i])
			r->ahead[i] = r->ahead[i] && r->amount[i] - r->ahead[i] < r->ahead[i] / 8 ? r->ahead[i] : r->amount[i];
	return true;
}

/* Calls that come, grow, end, are let go. Stops where the power goes. */
static void live(struct run *r)
{
	struct ledger_change change = { .who = "uid 0", .verb = "agent set", .subject = "a", .after = "{}", .at_ns = T0 * S };

	for (uint32_t i = 1; i <= CALLS; i++) {
		hold(r, i);
		if (i % 5 == 0) { /* over before any commit */
			end(r, i);
			continue;
		}
		if (i % 2 == 0 && !step(r))
			return;
		if (i > 3 && i % 4 == 0) {
			r->amount[i - 1] *= 2;
			ledger_hold_grew(r->l, i - 1, r->amount[i - 1]);
		}
		if (i > 6 && (i - 6) % 5 && (i - 6) % 7 == 3) {
			r->over[i - 6] = true;
			ledger_hold_over(r->l, i - 6, LEDGER_NO_SLOT);
		} else if (i > 6 && (i - 6) % 5) {
			end(r, i - 6);
		}
		if (i == 20 && ledger_changed(r->l, &change) == 0)
			r->changed = true;
		if (i % 3 == 0 && !step(r))
			return;
	}
	(void)step(r);
}

static bool begin(struct run *r, const char *dir, uint64_t seed, uint64_t die_at)
{
	struct err e = { "" };

	memset(r, 0, sizeof(*r));
	(void)snprintf(r->path, sizeof(r->path), "%s/ledger.db", dir);
	(void)unlink(r->path); /* a stand-in: the pages are in the disk's memory */
	r->disk = simdisk_new(seed);
	if (die_at)
		simdisk_fault(r->disk, SIMDISK_DEATH, die_at, 1);
	if (ledger_open_stepped(r->path, &calls, r, &r->l, &e) < 0) {
		r->l = NULL;
		return false;
	}
	return true;
}

/* ---- afterwards */

struct row {
	bool there;
	nanousd cost;
	char end[24];
};
struct found {
	struct row calls[CALLS + 1];
	nanousd holds[CALLS + 1];
	bool change;
};

static void on_row(void *ctx, const struct ledger_row *row)
{
	struct found *f = ctx;
	struct row *to = &f->calls[row->call.call_id];

	assert_in_range(row->call.call_id, 1, CALLS);
	assert_false(to->there);
	*to = (struct row){ .there = true, .cost = row->call.cost };
	(void)snprintf(to->end, sizeof(to->end), "%s", row->call.end);
}

static void on_change(void *ctx, const struct ledger_row *row)
{
	((struct found *)ctx)->change |= strcmp(row->verb, "agent set") == 0;
}

static void on_hold(void *ctx, const struct ledger_hold *h)
{
	assert_in_range(h->call_id, 1, CALLS);
	((struct found *)ctx)->holds[h->call_id] = h->amount;
}

static void look(struct ledger *l, struct found *f)
{
	struct ledger_view *v;

	memset(f, 0, sizeof(*f));
	assert_int_equal(ledger_read(l, &(struct ledger_query){ .limit = 1000 }, on_row, f, NULL), 0);
	assert_int_equal(ledger_read(l, &(struct ledger_query){ .changes = true }, on_change, f, NULL), 0);
	assert_int_equal(ledger_view_open(l, &v, NULL), 0);
	assert_int_equal(ledger_view_begin(v), 0);
	assert_int_equal(ledger_view_holds(v, on_hold, f), 0);
	ledger_view_close(v);
}

#define WRONG(...) fail_msg("seed %llu, power cut at operation %llu: " __VA_ARGS__)

static nanousd sum_of(struct ledger *l)
{
	nanousd a = -1, b = -1;

	assert_int_equal(ledger_spent(l, "a", 0, &a, NULL), 0);
	assert_int_equal(ledger_spent(l, "b", 0, &b, NULL), 0);
	return a + b;
}

static void check_calls(const struct run *r, const struct found *f, unsigned long long seed, unsigned long long at)
{
	for (uint32_t i = 1; i <= CALLS; i++) {
		if (r->durable[i] && !f->calls[i].there)
			WRONG("call %u was durable and is gone", seed, at, i);
		if (f->calls[i].there && !r->queued[i])
			WRONG("call %u was never written", seed, at, i);
		if (f->calls[i].there && f->calls[i].cost != cost_of_call(i))
			WRONG("call %u has another cost", seed, at, i);
		if (r->ahead[i] && !r->queued[i] && !r->over[i] && f->holds[i] < r->ahead[i])
			WRONG("hold %u was written ahead with %lld and has %lld", seed, at, i, (long long)r->ahead[i], (long long)f->holds[i]);
		if (r->ahead[i] && !r->over[i] && !f->holds[i] && !f->calls[i].there)
			WRONG("call %u is neither in flight nor has a row", seed, at, i);
		if (f->holds[i] > r->amount[i])
			WRONG("hold %u is above what it ever was", seed, at, i);
	}
	if (r->changed && !f->change)
		WRONG("a change was durable and is gone", seed, at);
}

static enum ledger_fate charge(void *ctx, const struct ledger_hold *h)
{
	(void)ctx, (void)h;
	return LEDGER_HOLD_CHARGE;
}

/* The next start: what was in flight is charged, everything adds up. */
static void start_again(struct run *r, const struct found *f, unsigned long long seed, unsigned long long at)
{
	struct ledger_taken taken = { 0 };
	struct found after;
	struct err e = { "" };
	nanousd before = sum_of(r->l), open = 0;

	for (uint32_t i = 1; i <= CALLS; i++)
		open += f->holds[i];
	if (ledger_take_holds(r->l, charge, NULL, &taken, &e) < 0)
		WRONG("%s", seed, at, e.text);
	if (taken.cost != open || sum_of(r->l) != before + open)
		WRONG("holds of %lld, charged %lld, sum from %lld to %lld", seed, at, (long long)open, (long long)taken.cost, (long long)before,
		      (long long)sum_of(r->l));
	look(r->l, &after);
	for (uint32_t i = 1; i <= CALLS; i++) {
		if (after.holds[i])
			WRONG("hold %u is still there", seed, at, i);
		if (f->holds[i] && (after.calls[i].cost != f->holds[i] || strcmp(after.calls[i].end, "power-cut") != 0))
			WRONG("hold %u was not charged", seed, at, i);
	}
	if (ledger_check(r->l, &e) < 0)
		WRONG("%s", seed, at, e.text);
}

static void check(struct run *r, unsigned long long seed, unsigned long long at)
{
	struct found f;
	struct err e = { "" };

	if (ledger_open_stepped(r->path, &calls, r, &r->l, &e) < 0)
		WRONG("%s", seed, at, e.text);
	if (ledger_check(r->l, &e) < 0)
		WRONG("%s", seed, at, e.text);
	look(r->l, &f);
	check_calls(r, &f, seed, at);
	start_again(r, &f, seed, at);
	(void)ledger_close(r->l);
}

static uint64_t one(const char *dir, uint64_t seed, uint64_t die_at)
{
	struct run r;
	bool opened = begin(&r, dir, seed, die_at);
	struct ledger *dead = r.l;

	if (opened)
		live(&r);
	uint64_t operations = simdisk_operations(r.disk);
	bool died = simdisk_is_dead(r.disk);

	if (die_at)
		simdisk_power_cut(r.disk);
	else
		simdisk_process_dies(r.disk);
	if (dead)
		(void)ledger_close(dead); /* its handles reach nothing any more */
	check(&r, seed, die_at);
	simdisk_free(r.disk);
	return died || !die_at ? operations : 0;
}

static void nothing_acknowledged_is_lost(void **state)
{
	const char *more = getenv("PURSE_SEEDS");
	const uint64_t seeds = more ? (uint64_t)atoi(more) : 1;
	char *dir = scratch_new();

	log_set_level((enum log_level)(LOG_LEVEL_ERROR + 1)) /* none */;
	uint64_t total = one(dir, 1, 0), cuts = 0;

	assert_true(total > 100);
	for (uint64_t seed = 1; seed <= seeds; seed++)
		for (uint64_t at = 1; at <= total; at++)
			cuts += one(dir, seed * 7919 + at, at) > 0;
	print_message("%llu operations, the power cut at each with %llu seeds: %llu ledgers were checked\n", (unsigned long long)total,
		      (unsigned long long)seeds, (unsigned long long)cuts);
	assert_true(cuts > total / 2);
	scratch_free(dir);
}

/* At a start: a call that has a row and a slot would count twice, and ids would be given again. */
static void what_cannot_be_read_is_not_taken_for_none(void **state)
{
	char *dir = scratch_new();
	struct run r;
	uint64_t last = 77;
	int64_t newest_ns = 77;
	struct err e = { "" };
	int answers[2] = { 0, 0 };

	log_set_level((enum log_level)(LOG_LEVEL_ERROR + 1));
	assert_true(begin(&r, dir, 1, 0));
	hold(&r, 1);
	end(&r, 1);
	assert_true(step(&r));
	for (uint64_t at = 1; at <= 30; at++) {
		assert_int_equal(ledger_close(r.l), 0);
		assert_int_equal(ledger_open_stepped(r.path, &calls, &r, &r.l, &e), 0);
		simdisk_fault(r.disk, SIMDISK_READ_EIO, at, 1);
		int has = ledger_has_call(r.l, 1, &e), newest = has == 1 ? ledger_newest(r.l, &last, &newest_ns, &e) : -EIO;

		assert_true(has == 1 || has < 0);
		assert_true(newest < 0 || (newest == 0 && last == 1 && newest_ns == (T0 + 400) * S));
		answers[newest == 0]++;
		simdisk_fault(r.disk, SIMDISK_READ_EIO, 0, 0);
	}
	assert_true(answers[0] > 0 && answers[1] > 0);
	assert_int_equal(ledger_close(r.l), 0);
	simdisk_free(r.disk);
	scratch_free(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_acknowledged_is_lost),
		cmocka_unit_test(what_cannot_be_read_is_not_taken_for_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
