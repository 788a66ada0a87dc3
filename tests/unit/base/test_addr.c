// SPDX-License-Identifier: Apache-2.0
/* Addresses: sixteen bytes, sockaddr and text, there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/addr.h"

static const struct {
	const char *in6, *shown;
	bool is_v4;
} rows[] = {
	{ "::ffff:198.51.100.7", "198.51.100.7", true },
	{ "::ffff:0.0.0.0", "0.0.0.0", true },
	{ "::198.51.100.7", "::198.51.100.7", false }, /* compatible, not mapped */
	{ "2001:db8::10", "2001:db8::10", false },
	{ "64:ff9b::c633:6407", "64:ff9b::c633:6407", false },
	{ "::", "::", false },
};

static void there_and_back(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t addr[16], again[16];
		char text[ADDR_TEXT_MAX];
		uint16_t port = 0;

		assert_int_equal(inet_pton(AF_INET6, rows[i].in6, addr), 1);
		assert_int_equal(addr_is_v4(addr), rows[i].is_v4);
		assert_string_equal(addr_show(addr, text, sizeof(text)), rows[i].shown);
		struct sockaddr_storage ss = addr_to_sockaddr(addr, 44301);
		assert_int_equal(ss.ss_family, rows[i].is_v4 ? AF_INET : AF_INET6);
		assert_true(addr_from_sockaddr(&ss, again, &port));
		assert_memory_equal(addr, again, sizeof(addr));
		assert_int_equal(port, 44301);
		assert_true(addr_from_sockaddr(&ss, again, NULL));
	}
}

static void other_families_are_refused(void **state)
{
	struct sockaddr_storage ss = { .ss_family = AF_UNIX };
	uint8_t addr[16] = { 7 };
	uint16_t port = 9;

	assert_false(addr_from_sockaddr(&ss, addr, &port));
	assert_int_equal(addr[0], 7);
	assert_int_equal(port, 9);
}

static void too_small_a_place(void **state)
{
	uint8_t addr[16] = { 0x20, 0x01 };
	char text[4];

	assert_string_equal(addr_show(addr, text, sizeof(text)), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(other_families_are_refused),
		cmocka_unit_test(too_small_a_place),
	};
	return cmocka_run_group_tests_name("base/addr", tests, NULL, NULL);
}
