// SPDX-License-Identifier: Apache-2.0
/* test_clock.c: that each function reads the clock it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "base/clock.h"

static int64_t read_ns(clockid_t id)
{
	struct timespec ts;

	assert_int_equal(clock_gettime(id, &ts), 0);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void lies_between_two_readings(void **state)
{
	int64_t before = read_ns(CLOCK_REALTIME), t = clock_realtime_ns();

	assert_true(before <= t && t <= read_ns(CLOCK_REALTIME));
	before = read_ns(CLOCK_BOOTTIME);
	t = clock_boot_ns();
	assert_true(before <= t && t <= read_ns(CLOCK_BOOTTIME));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lies_between_two_readings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
