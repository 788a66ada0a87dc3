// SPDX-License-Identifier: Apache-2.0
/* Which ports a listener of ours tries: never one that the kernel may choose for somebody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kern/ports.h"

static void in_order(void **unused)
{
	static const struct {
		struct ports_range r;
		unsigned n;
		uint16_t port;
	} rows[] = {
		{ { 32768, 60999 }, 0, 61000 },	     { { 32768, 60999 }, 1, 61001 },	   { { 32768, 60999 }, 4535, 65535 },
		{ { 32768, 60999 }, 4536, 32767 },   { { 32768, 60999 }, 4536 + 31743, 1024 }, { { 32768, 60999 }, 4536 + 31744, 0 },
		{ { 1024, 65535 }, 0, 0 },	     { { 1, 65535 }, 0, 0 },		   { { 1024, 65534 }, 0, 65535 },
		{ { 1024, 65534 }, 1, 0 },	     { { 1025, 65535 }, 0, 1024 },	   { { 1025, 65535 }, 1, 0 },
		{ { 40000, 65535 }, 0, 39999 },	     { { 5000, 5000 }, 0, 5001 },	   { { 80, 90 }, 0, 91 },
		{ { 32768, 60999 }, UINT32_MAX, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(ports_outside(&rows[i].r, rows[i].n), rows[i].port);
}

/* Over whole ranges: each port once, none inside, none that needs a privilege unless it is above. */
static void every_one_once(void **unused)
{
	static const struct ports_range ranges[] = { { 32768, 60999 }, { 1024, 65535 }, { 1, 2 }, { 65535, 65535 }, { 2000, 2000 } };

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		bool *seen = calloc(65536, sizeof(*seen));
		unsigned n = 0;

		for (uint16_t port; (port = ports_outside(&ranges[i], n)) != 0; n++) {
			assert_true(ports_is_outside(&ranges[i], port));
			assert_false(seen[port]);
			seen[port] = true;
		}
		assert_true(n <= 65535);
		free(seen);
	}
}

static void range_of_this_namespace(void **unused)
{
	struct ports_range r;

	assert_int_equal(ports_range(&r), 0);
	assert_true(r.first <= r.last && r.last > 0);
	assert_false(ports_is_outside(&r, 0));
	assert_false(ports_is_outside(&r, r.first));
	assert_false(ports_is_outside(&r, r.last));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),
		cmocka_unit_test(every_one_once),
		cmocka_unit_test(range_of_this_namespace),
	};

	return cmocka_run_group_tests_name("ports", tests, NULL, NULL);
}
