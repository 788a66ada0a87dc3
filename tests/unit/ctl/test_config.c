// SPDX-License-Identifier: Apache-2.0
/* test_config.c: every key good and bad, what values must be to each other, the exact words of complaints, and that what is shown reads
 * back to the same. */
#include "cm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "ctl/config.h"

static struct config *good(const char *text)
{
	struct config *c = NULL;
	struct err e = { "" };

	if (config_parse("t.yaml", text, strlen(text), &c, &e) < 0)
		fail_msg("refused: %s\n%s", e.text, text);
	return c;
}

static void defaults_hold(void **state)
{
	static const char *const texts[] = { "", "# nothing\n", "accounts:\nagents:\nproviders:\n", "workers: ~\n" };

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct config *c = good(texts[i]);

		assert_string_equal(c->state_dir, "/var/lib/purse");
		assert_string_equal(c->run_dir, "/run/purse");
		assert_string_equal(c->bpffs, "/sys/fs/bpf/purse");
		assert_string_equal(c->cgroup_root, "auto");
		assert_int_equal(c->workers, 2);
		assert_int_equal(c->listen_port, 0);
		assert_int_equal(c->capture_ports.n, 1);
		assert_int_equal(c->capture_ports.v[0], 443);
		assert_int_equal(c->others, CONFIG_ALLOW);
		assert_int_equal(c->heartbeat_stale_ns, 2000000000);
		assert_int_equal(c->connect_timeout_ns, 10000000000);
		assert_int_equal(c->response_timeout_ns, 600000000000);
		assert_int_equal(c->body_max_bytes, 32 << 20);
		assert_string_equal(c->upstream_ca, "");
		assert_true(c->http2);
		assert_int_equal(c->prices.n, 1);
		assert_int_equal(c->providers.n, 2);
		assert_string_equal(c->providers.v[0].name, "openai");
		assert_string_equal(c->providers.v[0].dialect, "openai");
		assert_string_equal(c->providers.v[0].hosts.v[0], "api.openai.com");
		assert_string_equal(c->providers.v[0].prefix, "/v1");
		assert_string_equal(c->providers.v[0].prices_as, "openai");
		assert_int_equal(c->providers.v[0].port, 443);
		assert_int_equal(c->providers.v[1].class, CONFIG_DEDICATED);
		assert_string_equal(c->providers.v[1].hosts.v[0], "api.anthropic.com");
		assert_int_equal(c->accounts.n, 0);
		assert_int_equal(c->agents.n, 0);
		config_free(c);
	}
}

static const char full[] = "state_dir: /tmp/s/\n"
			   "run_dir: /tmp/r\n"
			   "bpffs: /sys/fs/bpf/p2\n"
			   "cgroup_root: /sys/fs/cgroup/x\n"
			   "workers: 64\n"
			   "listen_port: 8443\n"
			   "capture_ports: [443, 8443]\n"
			   "others: deny\n"
			   "heartbeat_stale: 1500ms\n"
			   "body_max: 64KiB\n"
			   "connect_timeout: 500ms\n"
			   "response_timeout: 1h\n"
			   "upstream_ca: /tmp/roots.pem\n"
			   "http2: false\n"
			   "prices: [/a.yaml, /b.yaml]\n"
			   "providers:\n"
			   "  - name: v\n"
			   "    dialect: openai\n"
			   "    hosts: [LLM.Example.Internal, .Models.example.net]\n"
			   "    prefix: /api/v1\n"
			   "    port: 8443\n"
			   "    addresses: [198.51.100.7, '2001:db8::7']\n"
			   "    class: shared\n"
			   "    prices_as: openai\n"
			   "accounts:\n"
			   "  - name: team\n"
			   "    month: 500USD\n"
			   "    parent: org\n"
			   "  - {name: org, total: $9000}\n"
			   "agents:\n"
			   "  - name: bot\n"
			   "    cgroup: /x/bot\n"
			   "    account: team\n"
			   "    hour: 0.000001USD\n"
			   "    day: 25\n"
			   "    exhausted_below: 0.05USD\n"
			   "    on_exhausted: explain\n"
			   "    on_failure: open\n"
			   "  - name: sub.bot-2_x\n"
			   "    account: bot\n";

static void reads_all(void **state)
{
	struct config *c = good(full);
	const struct config_provider *p = &c->providers.v[0];

	assert_string_equal(c->state_dir, "/tmp/s"); /* the habit of a slash */
	assert_int_equal(c->capture_ports.n, 2);
	assert_int_equal(c->others, CONFIG_DENY);
	assert_int_equal(c->heartbeat_stale_ns, 1500000000);
	assert_int_equal(c->body_max_bytes, 65536);
	assert_false(c->http2);
	assert_int_equal(c->providers.n, 1); /* the file's list, not beside the defaults */
	assert_string_equal(p->hosts.v[0], "llm.example.internal");
	assert_string_equal(p->hosts.v[1], ".models.example.net");
	assert_string_equal(p->prices_as, "openai");
	assert_int_equal(p->class, CONFIG_SHARED);
	assert_int_equal(p->addresses.n, 2);
	assert_int_equal(p->addrs[0].ss_family, AF_INET);
	assert_int_equal(((struct sockaddr_in *)&p->addrs[0])->sin_port, htons(8443));
	assert_int_equal(p->addrs[1].ss_family, AF_INET6);
	assert_string_equal(c->accounts.v[0].parent, "org");
	assert_int_equal(c->accounts.v[0].limits[WINDOW_MONTH], 500 * NANOUSD_PER_USD);
	assert_true(c->accounts.v[0].limits[WINDOW_DAY] == GATE_NO_LIMIT);
	assert_int_equal(c->accounts.v[0].line, 26);
	assert_int_equal(c->agents.v[0].limits[WINDOW_HOUR], 1000);
	assert_int_equal(c->agents.v[0].limits[WINDOW_DAY], 25 * NANOUSD_PER_USD);
	assert_int_equal(c->agents.v[0].exhausted_below, 50000000);
	assert_int_equal(c->agents.v[0].on_exhausted, CONFIG_EXPLAIN);
	assert_int_equal(c->agents.v[0].on_failure, CONFIG_OPEN);
	assert_string_equal(c->agents.v[1].cgroup, "");
	assert_int_equal(c->agents.v[1].exhausted_below, 0);
	config_free(c);
}

static char *shown(const struct config *c, int (*show)(const struct config *, struct buf *))
{
	struct buf out;

	buf_init(&out, 1 << 20);
	assert_int_equal(show(c, &out), 0);
	char *s = strndup(buf_ptr(&out), buf_len(&out));

	buf_done(&out);
	assert_non_null(s);
	return s;
}

static void shows_what_it_reads(void **state)
{
	const char *const texts[] = {
		"", full,
		"state_dir: \"/tmp/a \\\"b\\\" #c\"\nrun_dir: '/tmp/true'\nagents: [{name: 'true'}, {name: \"9\"}, {name: no}]\n",
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct config *a = good(texts[i]);
		char *first = shown(a, config_show);
		struct config *b = good(first);
		char *second = shown(b, config_show);

		/* The first line names the file. */
		assert_string_equal(strchr(first, '\n'), strchr(second, '\n'));
		config_free(a);
		config_free(b);
		free(first);
		free(second);
	}
	struct config *c = good(full);
	char *json = shown(c, config_show_json);

	assert_non_null(strstr(json, "\"capture_ports\":[443,8443]"));
	assert_non_null(strstr(json, "\"day\":\"25.00\""));
	assert_null(strstr(json, "\"week\""));
	free(json);
	config_free(c);
}

static void the_example_is_the_default(void **state)
{
	struct config *example = NULL, *plain = good("");
	struct err e = { "" };

	if (access("deploy/purse.yaml", R_OK) < 0)
		skip();
	if (config_load("deploy/purse.yaml", true, &example, &e) < 0)
		fail_msg("%s", e.text);
	char *a = shown(example, config_show), *b = shown(plain, config_show);

	assert_string_equal(strchr(a, '\n'), strchr(b, '\n'));
	free(a);
	free(b);
	config_free(example);
	config_free(plain);
}

#define P "- {name: p, dialect: openai, hosts: [h.example.com], "
static const struct {
	const char *text, *complaint;
} bad[] = {
	/* values, each type */
	{ "workers: 0", "t.yaml:1: workers: \"0\" is not a whole number from 1 to 64; write e.g. 2" },
	{ "workers: 65", "t.yaml:1: workers: \"65\" is not a whole number from 1 to 64; write e.g. 2" },
	{ "workers: -1", "t.yaml:1: workers: \"-1\" is not a whole number from 1 to 64; write e.g. 2" },
	{ "workers: 99999999999999999999", "t.yaml:1: workers: \"99999999999999999999\" is not a whole number from 1 to 64; write e.g. 2" },
	{ "\n\nworkers: 0x2", "t.yaml:3: workers: \"0x2\" is not a whole number from 1 to 64; write e.g. 2" },
	{ "http2: yes", "t.yaml:1: http2: \"yes\" is not true or false; write e.g. true" },
	{ "others: maybe", "t.yaml:1: others: \"maybe\" is not one of allow, deny; write e.g. allow" },
	{ "heartbeat_stale: 2", "t.yaml:1: heartbeat_stale: \"2\" is not a duration from 600ms to 1m; write e.g. 2s" },
	{ "heartbeat_stale: 100ms", "t.yaml:1: heartbeat_stale: \"100ms\" is not a duration from 600ms to 1m; write e.g. 2s" },
	{ "connect_timeout: 9999999999999999h", "t.yaml:1: connect_timeout: \"9999999999999999h\" is not a duration from 100ms to 5m; write e.g. 10s" },
	{ "body_max: 32MB", "t.yaml:1: body_max: \"32MB\" is not a size from 4KiB to 1GiB; write e.g. 32MiB" },
	{ "body_max: 9223372036854775807GiB", "t.yaml:1: body_max: \"9223372036854775807GiB\" is not a size from 4KiB to 1GiB; write e.g. 32MiB" },
	{ "state_dir: var/lib", "t.yaml:1: state_dir: \"var/lib\" is not an absolute path; write e.g. /var/lib/purse" },
	{ "state_dir: /", "t.yaml:1: state_dir: \"/\" is not an absolute path; write e.g. /var/lib/purse" },
	{ "run_dir: /123456789012345678901234567890123456789012345678901234567890123456789012345678901",
	  "is longer than 80 bytes, too long for a socket below it; write e.g. /run/purse" },
	{ "cgroup_root: root", "t.yaml:1: cgroup_root: \"root\" is not an absolute path; write e.g. auto" },
	{ "capture_ports: 443", "t.yaml:1: capture_ports: \"443\" is not a list; write e.g. [443]" },
	{ "capture_ports: [443, 99999]", "t.yaml:1: capture_ports: \"99999\" is not a port from 1 to 65535; write e.g. [443]" },
	{ "capture_ports: [443, 80, 443]", "t.yaml:1: capture_ports: \"443\" stands twice; list each port once" },
	{ "prices: [prices.yaml]", "t.yaml:1: prices: \"prices.yaml\" is not an absolute path; write e.g. [/usr/local/share/purse/prices.yaml]" },
	{ "agents: [{name: a, day: 12 EUR}]", "t.yaml:1: agents.day: \"12 EUR\" is not a USD amount; write e.g. 12.50USD" },
	{ "agents: [{name: a, day: -5USD}]", "t.yaml:1: agents.day: \"-5USD\" is not a USD amount; write e.g. 12.50USD" },
	{ "agents: [{name: a, day: 0.0000000001USD}]", "t.yaml:1: agents.day: \"0.0000000001USD\" is not a USD amount; write e.g. 12.50USD" },
	{ "agents:\n  - name: a b", "t.yaml:2: agents.name: \"a b\" is not a name (letters, digits, '.', '_', '-', at most 47 of them, a letter or digit first); write e.g. team-a" },
	{ "agents: [{name: none}]", "t.yaml:1: agents.name: \"none\" is a reserved word; write e.g. my-none" },
	{ "agents: [{name: a, cgroup: /a/../b}]", "t.yaml:1: agents.cgroup: \"/a/../b\" is not a cgroup path below the cgroup2 mount (absolute, no \"..\", no trailing slash); write e.g. /purse/bot" },
	{ "agents: [{name: a, on_failure: shut}]", "t.yaml:1: agents.on_failure: \"shut\" is not one of closed, open; write e.g. closed" },
	/* shape */
	{ "workers: [2]", "is not a single value; write e.g. 2" },
	{ "agents: {name: a}", "is not a list; write e.g. - name: …" },
	{ "agents: [a]", "t.yaml:1: agents: is not a map of keys to values; write e.g. - name: bot" },
	{ "- workers", "t.yaml:1: the file: is not a map of keys to values; write e.g. workers: 2" },
	{ "workers: 2\nworkers: 3", "workers" },
	{ "listn_port: 1", "t.yaml:1: listn_port: is not a known key; did you mean \"listen_port\"?" },
	{ "agents:\n  - name: a\n    dya: 5USD", "t.yaml:3: agents.dya: is not a known key; did you mean \"day\"?" },
	{ "frobnicate: 1", "t.yaml:1: frobnicate: is not a known key; see the comments in deploy/purse.yaml for all keys" },
	{ "agents: [{day: 5USD}]", "t.yaml:1: agents.name: is missing; write e.g. name: bot" },
	{ "providers: [{name: p, hosts: [a.example.com]}]", "t.yaml:1: providers.dialect: is missing; write e.g. dialect: openai" },
	{ "providers: [{name: p, dialect: openai, hosts: []}]", "must be 1 to 64; write e.g. [api.openai.com]" },
	/* against each other */
	{ "providers: []", "is an empty list: nothing would be metered; leave the key out for the defaults" },
	{ "providers: [{name: p, dialect: cohere, hosts: [a.example.com]}]", "t.yaml:1: providers.dialect: \"cohere\" is not one of openai, " },
	{ "providers:\n" P "}\n- {name: p, dialect: openai, hosts: [i.example.com]}", "t.yaml:3: providers.name: \"p\" is the name of two providers; give each its own" },
	{ "providers:\n" P "}\n- {name: q, dialect: openai, hosts: [x.example.com, H.example.com.]}",
	  "holds h.example.com, which is already covered by h.example.com of provider \"p\"; list each host once" },
	{ "providers:\n" P "}\n- {name: q, dialect: openai, hosts: [.example.com]}",
	  "holds .example.com, which is already covered by h.example.com of provider \"p\"; list each host once" },
	{ "providers: [{name: q, dialect: openai, hosts: [a.example.com, a.example.com]}]", "list each host once" },
	{ "providers: [{name: q, dialect: openai, hosts: ['http://a.example.com']}]", "t.yaml:1: providers.hosts: \"http://a.example.com\" is not a host name; write e.g. api.example.com, or .example.com for every name below it" },
	{ "providers: [{name: q, dialect: openai, hosts: ['a.example.com:443']}]", "is not a host name" },
	{ "providers: [{name: q, dialect: openai, hosts: [198.51.100.7]}]", "is not a host name" },
	{ "providers: [{name: q, dialect: openai, hosts: ['*.example.com']}]", "is not a host name" },
	{ "providers: [{name: q, dialect: openai, hosts: [.com]}]", "is not a host name" },
	{ "providers:\n" P "addresses: [example.com]}", "t.yaml:2: providers.addresses: \"example.com\" is not an IP address; write e.g. 198.51.100.7" },
	{ "providers:\n" P "prefix: v1}", "is not a path prefix" },
	{ "providers:\n" P "prefix: /v1/}", "is not a path prefix" },
	{ "providers:\n" P "prefix: /../x}", "is not a path prefix" },
	{ "accounts: [{name: a}, {name: a}]", "t.yaml:1: accounts.name: \"a\" is already the name of the account in line 1; give each its own" },
	{ "accounts:\n  - name: a\nagents:\n  - name: a", "t.yaml:4: agents.name: \"a\" is already the name of the account in line 2; an agent's own account has its name: give each its own" },
	{ "accounts: [{name: a, parent: b}]", "t.yaml:1: accounts.parent: \"b\" is not an account; add it under accounts, or write \"\" for none" },
	{ "agents: [{name: a, account: team}]", "t.yaml:1: agents.account: \"team\" is not an account; add it under accounts, or write \"\" for none" },
	{ "accounts: [{name: a, parent: a}]", "leads to a loop" },
	{ "accounts: [{name: a, parent: b}, {name: b, parent: a}]", "leads to a loop" },
	{ "accounts: [{name: a}, {name: b, parent: a}, {name: c, parent: b}, {name: d, parent: c}, {name: e, parent: d}, {name: f, parent: e}, {name: g, parent: f}, {name: h, parent: g}, {name: i, parent: h}]",
	  "or to more than 8 accounts above each other; cut the chain of \"i\"" },
	{ "agents: [{name: a, cgroup: /x}, {name: b, cgroup: /x}]", "t.yaml:1: agents.cgroup: \"/x\" is also the cgroup of \"a\" in line 1; give each agent its own" },
	/* YAML itself */
	{ "workers: &a 2", "t.yaml:1" },
	{ "workers: 2\n---\nworkers: 3", "t.yaml" },
	{ "\tworkers: 2", "t.yaml" },
};

static void complains(void **state)
{
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct config *c = NULL;
		struct err e = { "" };
		int r = config_parse("t.yaml", bad[i].text, strlen(bad[i].text), &c, &e);

		if (r >= 0 || c)
			fail_msg("taken: %s", bad[i].text);
		if (!strstr(e.text, bad[i].complaint))
			fail_msg("%s\n  says   %s\n  wanted %s", bad[i].text, e.text, bad[i].complaint);
	}
}

static void eight_levels_fit(void **state)
{
	struct config *c = good("accounts: [{name: a}, {name: b, parent: a}, {name: c, parent: b}, {name: d, parent: c}, "
				"{name: e, parent: d}, {name: f, parent: e}, {name: g, parent: f}]\n"
				"agents: [{name: h, account: g}]");

	assert_int_equal(c->agents.n, 1);
	config_free(c);
}

static void a_missing_file_is_fine_unless_named(void **state)
{
	struct config *c = NULL;
	struct err e = { "" };

	assert_true(config_load("/nonexistent/purse.yaml", true, &c, &e) < 0);
	assert_non_null(strstr(e.text, "/nonexistent/purse.yaml"));
	assert_int_equal(config_load("/nonexistent/purse.yaml", false, &c, &e), 0);
	assert_string_equal(c->path, "");
	config_free(c);
	assert_true(config_load("/", false, &c, &e) < 0);
	assert_true(config_load("/dev/zero", true, &c, &e) < 0);
}

static void many_agents(void **state)
{
	struct buf text;
	struct err e = { "" };
	struct config *c = NULL;

	buf_init(&text, 4 << 20);
	assert_int_equal(buf_printf(&text, "agents:\n"), 0);
	for (int i = 0; i < 4096; i++)
		assert_int_equal(buf_printf(&text, "- {name: a%d, day: 5USD}\n", i), 0);
	if (config_parse("t.yaml", buf_ptr(&text), buf_len(&text), &c, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(c->agents.n, 4096);
	config_free(c);
	c = NULL;
	assert_int_equal(buf_printf(&text, "- {name: one-more}\n"), 0);
	assert_true(config_parse("t.yaml", buf_ptr(&text), buf_len(&text), &c, &e) < 0);
	assert_non_null(strstr(e.text, "has 4097 entries; at most 4096 are possible"));
	buf_done(&text);
}

/* Any cut of a good file is either taken or complained about; nothing else. */
static void cuts_are_safe(void **state)
{
	for (size_t n = 0; n < sizeof(full); n++) {
		struct config *c = NULL;
		struct err e = { "" };

		if (config_parse("t.yaml", full, n, &c, &e) == 0)
			config_free(c);
		else
			assert_true(e.text[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_hold),
		cmocka_unit_test(reads_all),
		cmocka_unit_test(shows_what_it_reads),
		cmocka_unit_test(the_example_is_the_default),
		cmocka_unit_test(complains),
		cmocka_unit_test(eight_levels_fit),
		cmocka_unit_test(a_missing_file_is_fine_unless_named),
		cmocka_unit_test(many_agents),
		cmocka_unit_test(cuts_are_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
