// SPDX-License-Identifier: Apache-2.0
/* The ledger on a disk that fails, case by case; what the simulator (tests/sim) found stands here by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "simvfs.c"
#include "spend/ledger/ledger.h"
#include "spend/ledger/db.h"

static unsigned durable;

static void is_durable(void *ctx, uint32_t slot)
{
	(void)ctx;
	(void)slot;
	durable++;
}

static struct ledger *open_it(const char *path)
{
	static const struct ledger_calls calls = { .durable = is_durable };
	struct ledger *l = NULL;
	struct err e = { "" };

	if (ledger_open_stepped(path, &calls, NULL, &l, &e) < 0)
		fail_msg("%s", e.text);
	return l;
}

static void call(struct ledger *l, uint64_t id)
{
	struct ledger_call c = { .call_id = id, .account = "a", .agent = "a", .provider = "p", .model = "m", .end = "done", .cost = 5,
				 .held = 7, .started_ns = (int64_t)id * 1000000000 };

	ledger_call(l, &c);
}

/*
 * A sync fails: the kernel drops what it should have written, and goes on showing it. The daemon is killed, the next one finds the dropped
 * rows in the log and takes them for written. What is appended behind them is acknowledged, and a power cut takes both.
 */
static void what_follows_a_failed_sync_survives_a_power_cut(void **state)
{
	char path[64];

	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/purse-test-%d/disk.db", getpid());
	for (uint64_t seed = 0; seed < 40; seed++) {
		struct simdisk *d = simdisk_new(seed);
		struct ledger *l = open_it(path);

		durable = 0;
		call(l, 1);
		assert_int_equal(ledger_step(l), 0);
		assert_int_equal(ledger_has_call(l, 1, NULL), 1); /* its reader stays open: closing the writer does not empty the log */
		call(l, 2);
		simdisk_fault(d, SIMDISK_SYNC_EIO, 1, 1);
		assert_true(ledger_step(l) < 0);
		assert_int_equal(durable, 1);
		simdisk_process_dies(d);
		(void)ledger_close(l);
		l = open_it(path);
		call(l, 3);
		assert_int_equal(ledger_step(l), 0);
		assert_int_equal(durable, 2);
		simdisk_power_cut(d);
		(void)ledger_close(l);
		l = open_it(path);
		for (uint64_t id = 1; id <= 3; id += 2)
			if (ledger_has_call(l, id, NULL) != 1)
				fail_msg("seed %u: call %u was acknowledged and is lost", (unsigned)seed, (unsigned)id);
		(void)ledger_close(l);
		simdisk_free(d);
	}
	(void)unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_follows_a_failed_sync_survives_a_power_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
