// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_words.c: one value as people write it, to every reader of one: amounts, durations, sizes, moments, names, hosts, addresses.
 * Checked besides memory: what is shown of a value reads back as the value.
 */
#include "fuzz.h"

#include "base/addr.h"
#include "base/str.h"
#include "ctl/units.h"
#include "spend/budget/window.h"

const struct str fuzz_seeds[] = {
	FUZZ_SEED("$12.50 USD"), FUZZ_SEED("0.000000001usd"), FUZZ_SEED("9000000000USD"), FUZZ_SEED("500ms"), FUZZ_SEED("7d"), FUZZ_SEED("32MiB"),
	FUZZ_SEED("2026-08-21T10:00:00Z"), FUZZ_SEED("@1700000000"), FUZZ_SEED("2h"), FUZZ_SEED("23:59"), FUZZ_SEED("API.example.com:443"),
	FUZZ_SEED("198.51.100.0/24"), FUZZ_SEED("2001:db8::/32"), FUZZ_SEED("64:ff9b::c633:6407"), FUZZ_SEED("/a/b.slice"), FUZZ_SEED("9223372036854775807"),
	FUZZ_SEED("month"),
	FUZZ_SEEDS_END,
};

static void check_amounts(struct str s)
{
	char shown[32];
	nanousd v, again;

	for (int bare = 0; bare < 2; bare++) {
		if (str_to_usd(s, bare, &v) < 0)
			continue;
		MUST(v >= 0 && v <= INT64_C(9000000000) * NANOUSD_PER_USD);
		MUST(str_to_usd(str_of(usd_show(v, shown, sizeof(shown))), false, &again) == 0 && again == v);
		(void)usd_show_short(-v, shown, sizeof(shown));
	}
}

static void check_units(struct str s)
{
	char shown[32];
	int64_t v, again;
	int32_t minute;

	if (units_to_ns(s, &v) == 0)
		MUST(units_to_ns(str_of(units_show_ns(v, shown, sizeof(shown))), &again) == 0 && again == v);
	if (units_to_bytes(s, &v) == 0)
		MUST(units_to_bytes(str_of(units_show_bytes(v, shown, sizeof(shown))), &again) == 0 && again == v);
	if (units_to_minute(s, &minute) == 0) {
		MUST(minute >= 0 && minute < 1440);
		MUST(units_to_minute(str_of(units_show_minute(minute, shown, sizeof(shown))), &minute) == 0);
	}
	if (units_to_time(s, 1790000000, &v) == 0 && v >= 0 && v < INT64_C(9000000000))
		MUST(units_to_time(str_of(units_show_time(v * 1000000000, false, shown, sizeof(shown))), 0, &again) == 0 && again == v);
	if (str_to_i64(s, &v) == 0)
		MUST(v >= 0);
}

static void check_names(struct str s, const char *text)
{
	struct err e = { "" };
	enum window_kind kind;
	char host[256], again[256];
	int port;

	MUST(units_check_name(s, &e) == 0 ? s.n <= 47 : e.text[0]);
	e.text[0] = '\0';
	MUST(units_check_cgroup(s, &e) == 0 ? s.n < 512 : e.text[0]);
	if (window_parse(text, &kind) == 0)
		MUST(kind < WINDOW_COUNT && strcmp(window_name(kind), text) == 0);
	if (str_host(s, host, sizeof(host), &port) == 0) {
		MUST(port == -1 || (port >= 1 && port <= 65535));
		MUST(str_host(str_of(host), again, sizeof(again), &port) == 0 && port == -1 && strcmp(host, again) == 0);
	}
}

static void check_nets(const char *text)
{
	const struct addr_net prefix = { { 0, 0x64, 0xff, 0x9b }, 96 };
	struct addr_net net, again, mapped;
	char shown[64];

	if (!addr_parse_net(text, &net))
		return;
	MUST(net.prefixlen <= 128 && addr_in_net(net.addr, &net));
	MUST(addr_parse_net(addr_show_net(&net, shown, sizeof(shown)), &again));
	MUST(again.prefixlen == net.prefixlen && memcmp(again.addr, net.addr, 16) == 0);
	if (addr_nat64(&net, &prefix, &mapped))
		MUST(mapped.prefixlen <= 128 && addr_in_net(mapped.addr, &prefix));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *tight = fuzz_copy(data, size), *text = malloc(size + 1);
	const struct str s = { tight, size };

	MUST(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	check_amounts(s);
	check_units(s);
	check_names(s, text);
	check_nets(text);
	free(tight);
	free(text);
	return 0;
}
