// SPDX-License-Identifier: Apache-2.0
/* Every reason and every counter has words of its own, and numbers outside do not crash. The ring itself: tests/bpf/. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "kern/gate.h"

static void reasons(void **unused)
{
	for (int a = 0; a < GATE_REASON_COUNT; a++) {
		assert_non_null(gate_reason_text((enum gate_reason)a));
		for (int b = 0; b < a; b++)
			assert_string_not_equal(gate_reason_text((enum gate_reason)a), gate_reason_text((enum gate_reason)b));
	}
	assert_string_equal(gate_reason_text(GATE_REASON_COUNT), "unknown reason");
	assert_string_equal(gate_reason_text((enum gate_reason)0xffffffff), "unknown reason");
}

/* They become metric names. */
static void counters(void **unused)
{
	for (int a = 0; a < GATE_COUNT_COUNT; a++) {
		const char *name = gate_counter_name((enum gate_counter)a);

		assert_non_null(name);
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
		for (int b = 0; b < a; b++)
			assert_string_not_equal(name, gate_counter_name((enum gate_counter)b));
	}
	assert_string_equal(gate_counter_name(GATE_COUNT_COUNT), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(reasons), cmocka_unit_test(counters) };

	return cmocka_run_group_tests_name("gate_events", tests, NULL, NULL);
}
