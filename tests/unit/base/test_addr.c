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

static const struct {
	const char *text, *shown; /* NULL = refused */
	unsigned prefixlen;
} nets[] = {
	{ "198.51.100.7", "198.51.100.7", 128 },
	{ "198.51.100.0/24", "198.51.100.0/24", 120 },
	{ "198.51.100.7/32", "198.51.100.7", 128 },
	{ "0.0.0.0/0", "0.0.0.0/0", 96 },
	{ "2001:db8::/32", "2001:db8::/32", 32 },
	{ "::/0", "::/0", 0 },
	{ "2001:db8::7/128", "2001:db8::7", 128 },
	{ "198.51.100.7/24", NULL, 0 },
	{ "198.51.100.0/33", NULL, 0 },
	{ "198.51.100.0/", NULL, 0 },
	{ "198.51.100.0/-1", NULL, 0 },
	{ "198.51.100.0/ 24", NULL, 0 },
	{ "198.51.100.0/0000024", NULL, 0 },
	{ "2001:db8::/129", NULL, 0 },
	{ "2001:db8::1/64", NULL, 0 },
	{ "/24", NULL, 0 },
	{ "", NULL, 0 },
	{ "example.com/24", NULL, 0 },
	{ "2001:0db8:0000:0000:0000:0000:0000:0001:ffff:ffff:ffff/64", NULL, 0 },
};

static void ranges(void **state)
{
	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
		struct addr_net n;
		char text[ADDR_NET_TEXT_MAX];

		if (addr_parse_net(nets[i].text, &n) != !!nets[i].shown)
			fail_msg("%s", nets[i].text);
		if (!nets[i].shown)
			continue;
		assert_string_equal(addr_show_net(&n, text, sizeof(text)), nets[i].shown);
		assert_int_equal(n.prefixlen, nets[i].prefixlen);
	}
}

static void in_a_range(void **state)
{
	static const struct {
		const char *net, *addr;
		bool is_in;
	} in[] = {
		{ "198.51.100.0/23", "198.51.101.255", true }, { "198.51.100.0/23", "198.51.102.0", false },
		{ "198.51.100.7", "198.51.100.7", true },      { "198.51.100.7", "198.51.100.6", false },
		{ "2001:db8::/33", "2001:db8:7fff::1", true }, { "2001:db8::/33", "2001:db8:8000::1", false },
		{ "::/0", "198.51.100.7", true },
	};

	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		struct addr_net n, a;

		assert_true(addr_parse_net(in[i].net, &n) && addr_parse_net(in[i].addr, &a));
		assert_int_equal(addr_in_net(a.addr, &n), in[i].is_in);
	}
}

static void special_ones(void **state)
{
	static const char *const special[] = { "0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.0.1", "169.254.169.254", "224.0.0.1", "255.255.255.255",
					       "::", "::1", "fe80::1", "febf::1", "ff02::1" };
	static const char *const usual[] = { "1.0.0.0", "126.0.0.1", "128.0.0.1", "169.253.0.1", "223.255.255.255", "10.0.0.1", "::2",
					     "fec0::1", "fd00::1", "2001:db8::1", "64:ff9b::7f00:1" };
	struct addr_net n;

	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		assert_true(addr_parse_net(special[i], &n) && addr_is_special(n.addr));
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		assert_true(addr_parse_net(usual[i], &n) && !addr_is_special(n.addr));
}

static void private_ones(void **state)
{
	static const char *const private[] = { "10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "100.127.0.1",
					       "198.18.0.1", "198.19.0.1", "fc00::1", "fdff::1", "fec0::1", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1",
					       "64:ff9b:1::1", "127.0.0.1", "169.254.0.1", "::1", "fe80::1" };
	static const char *const usual[] = { "9.255.255.255", "11.0.0.0", "172.15.0.1", "172.32.0.1", "192.167.0.1", "192.169.0.1", "100.63.0.1",
					     "100.128.0.1", "198.17.0.1", "198.20.0.1", "fb00::1", "fe00::1", "64:ff9b::9.0.0.1", "64:ff9b:2::1", "2001:db8::1" };
	struct addr_net n;

	for (size_t i = 0; i < sizeof(private) / sizeof(private[0]); i++)
		assert_true(addr_parse_net(private[i], &n) && addr_is_private(n.addr));
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		assert_true(addr_parse_net(usual[i], &n) && !addr_is_private(n.addr));
}

/* The examples of RFC 6052 2.4, whatever suffix follows, and ranges. */
static void nat64_forms(void **state)
{
	static const struct {
		const char *v4, *prefix, *form;
	} forms[] = {
		{ "192.0.2.33", "2001:db8::/32", "2001:db8:c000:221::/64" },
		{ "192.0.2.33", "2001:db8:100::/40", "2001:db8:1c0:2:21::/80" },
		{ "192.0.2.33", "2001:db8:122::/48", "2001:db8:122:c000:2:2100::/88" },
		{ "192.0.2.33", "2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::/96" },
		{ "192.0.2.33", "2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100:0/104" },
		{ "192.0.2.33", "2001:db8:122:344::/96", "2001:db8:122:344::c000:221" },
		{ "192.0.2.0/24", "2001:db8:122:344::/96", "2001:db8:122:344::c000:200/120" },
		{ "192.0.0.0/16", "2001:db8::/32", "2001:db8:c000::/48" },
		{ "192.0.2.0/24", "2001:db8:122::/48", "2001:db8:122:c000:2::/80" },
		{ "192.0.2.33", "2001:db8::/33", NULL },
		{ "192.0.2.33", "2001:db8::/104", NULL },
		{ "2001:db8::1", "64:ff9b::/96", NULL },
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct addr_net v4, prefix, form;
		char text[ADDR_NET_TEXT_MAX];

		assert_true(addr_parse_net(forms[i].v4, &v4) && addr_parse_net(forms[i].prefix, &prefix));
		assert_int_equal(addr_nat64(&v4, &prefix, &form), !!forms[i].form);
		if (forms[i].form)
			assert_string_equal(addr_show_net(&form, text, sizeof(text)), forms[i].form);
	}
}

/* NULL: refused. */
static const struct {
	const char *text, *addr;
	uint16_t port;
} with_ports[] = {
	{ "198.51.100.7:3128", "198.51.100.7", 3128 }, { "[2001:db8::1]:65535", "2001:db8::1", 65535 },
	{ "[::ffff:198.51.100.7]:1", "198.51.100.7", 1 },
	{ .text = "198.51.100.7" }, { .text = "198.51.100.7:" }, { .text = "198.51.100.7:0" }, { .text = "198.51.100.7:65536" }, { .text = "198.51.100.7:99999999999" },
	{ .text = "198.51.100.7:080" }, { .text = "198.51.100.7:80 " }, { .text = "198.51.100.7:+80" }, { .text = "198.51.100.007:80" }, { .text = "198.51.100:80" },
	{ .text = "2001:db8::1:80" }, { .text = "[198.51.100.7]:80" }, { .text = "[2001:db8::1]" }, { .text = "[2001:db8::1:80" }, { .text = "[]:80" }, { .text = "[:80" }, { .text = ":80" }, { .text = "" },
	{ .text = "198.51.100.0/24:80" }, { .text = "[2001:db8::/32]:80" }, { .text = "proxy.example:80" }, { .text = "[2001:db8::1%lo]:80" },
	{ .text = "[1111:1111:1111:1111:1111:1111:1111:1111111111111]:80" },
};

static void ports_behind(void **state)
{
	for (size_t i = 0; i < sizeof(with_ports) / sizeof(with_ports[0]); i++) {
		struct addr_port to;
		char text[ADDR_TEXT_MAX];

		if (addr_parse_port(with_ports[i].text, &to) != !!with_ports[i].addr)
			fail_msg("%s", with_ports[i].text);
		if (!with_ports[i].addr)
			continue;
		assert_string_equal(addr_show(to.addr, text, sizeof(text)), with_ports[i].addr);
		assert_int_equal(to.port, with_ports[i].port);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(ports_behind),
		cmocka_unit_test(other_families_are_refused),
		cmocka_unit_test(too_small_a_place),
		cmocka_unit_test(ranges),
		cmocka_unit_test(in_a_range),
		cmocka_unit_test(nat64_forms),
		cmocka_unit_test(special_ones),
		cmocka_unit_test(private_ones),
	};
	return cmocka_run_group_tests_name("base/addr", tests, NULL, NULL);
}
