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
#include "ctl/config/config.h"
#include "spend/rules/rules.h"

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
			   "proxies: ['10.0.0.8:3128', '[2001:db8::8]:8443']\n"
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
			   "    region: eu\n"
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

static const char terms[] = "timezone: Europe/Berlin\nresets_at: 06:00\n"
			    "providers: [{name: a, dialect: anthropic, hosts: [a.example.com]}, {name: v, dialect: openai-compatible, "
			    "hosts: [b.example.com]}, {name: w, dialect: openai, hosts: [c.example.com], output_rate: 0, on_abort: drain, drain_for: 5s}]\n"
			    "accounts:\n"
			    "- name: team\n"
			    "  timezone: America/New_York\n"
			    "  rules:\n"
			    "    requests_per_minute: 60\n"
			    "    tokens_per_minute: 100000\n"
			    "    calls_in_flight: 4\n"
			    "    per_call: 0.50USD\n"
			    "    loop: {times: 5, within: 1m}\n"
			    "    burn_rate: {times: 10, within_s: 600}\n"
			    "    models: {allow: [gpt-5*, 'claude-*'], deny: [\"*-pro\"]}\n"
			    "    model_limits: [{models: gpt-5*, day: 5USD, total: $50}]\n"
			    "    dry_run: [loop, burn_rate]\n"
			    "agents:\n"
			    "- {name: bot, resets_at: '23:59', clamp: true, rules: {}}\n"
			    "- {name: plain, rules: }\n"
			    "alerts:\n"
			    "- name: ops\n"
			    "  accounts: [team, 'b?t']\n"
			    "  windows: [day, total]\n"
			    "  at: [50%, 99]\n"
			    "  when: [refused, gate_detached]\n"
			    "  webhook: http://127.0.0.1:8080/hook\n"
			    "  secret_file: /etc/secret\n"
			    "  slack: https://hooks.example.com/x?a=b\n"
			    "  exec: [/usr/local/bin/page, 'a b', \"c\\\"d\"]\n";

static void reads_terms_rules_and_alerts(void **state)
{
	struct config *c = good(terms);
	const struct config_account *team = &c->accounts.v[0];
	const struct config_agent *bot = &c->agents.v[0];
	const struct config_alert *ops = &c->alerts.v[0];

	assert_string_equal(team->terms.timezone, "America/New_York");
	assert_int_equal(team->terms.resets_at, 360);
	assert_string_equal(bot->terms.timezone, "Europe/Berlin");
	assert_int_equal(bot->terms.resets_at, 23 * 60 + 59);
	assert_true(bot->terms.clamp);
	assert_non_null(bot->terms.rules);
	assert_false(rules_any(bot->terms.rules));
	assert_null(c->agents.v[1].terms.rules);
	assert_int_equal(team->terms.rules->loop_within_s, 60);
	assert_int_equal(team->terms.rules->burn_within_s, 600);
	assert_int_equal(team->terms.rules->per_call, 500000000);
	assert_int_equal(team->terms.rules->nallow, 2);
	assert_string_equal(team->terms.rules->deny[0], "*-pro");
	assert_int_equal(team->terms.rules->model_limits[0].limits[WINDOW_TOTAL], 50 * NANOUSD_PER_USD);
	assert_int_equal(team->terms.rules->dry_run, 1 << RULE_LOOP | 1 << RULE_BURN);
	assert_int_equal(c->providers.v[0].output_rate, 500);
	assert_int_equal(c->providers.v[1].output_rate, 0);
	assert_int_equal(c->providers.v[2].output_rate, 0);
	assert_int_equal(c->providers.v[0].on_abort, CONFIG_CANCEL);
	assert_int_equal(c->providers.v[2].on_abort, CONFIG_DRAIN);
	assert_int_equal(c->providers.v[2].drain_for_ns, 5000000000);
	assert_int_equal(ops->accounts.n, 2);
	assert_int_equal(ops->windows, 1 << WINDOW_DAY | 1 << WINDOW_TOTAL);
	assert_int_equal(ops->at.n, 2);
	assert_int_equal(ops->at.v[1], 99);
	assert_int_equal(ops->when, 1 << CONFIG_REFUSED | 1 << CONFIG_GATE_DETACHED);
	assert_true(ops->forecast);
	assert_string_equal(ops->exec.v[2], "c\"d");
	config_free(c);

	c = good("alerts: [{name: a, exec: [/bin/true]}]");
	assert_int_equal(c->alerts.v[0].at.n, 4);
	assert_int_equal(c->alerts.v[0].windows, 0);
	assert_string_equal(c->alerts.v[0].accounts.v[0], "*");
	config_free(c);
}

static void reads_all(void **state)
{
	struct config *c = good(full);
	const struct config_provider *p = &c->providers.v[0];

	assert_string_equal(c->state_dir, "/tmp/s"); /* the habit of a slash */
	assert_int_equal(c->capture_ports.n, 2);
	assert_int_equal(c->proxies.n, 2);
	assert_int_equal(c->proxy[1].port, 8443);
	assert_int_equal(c->taken_ports.n, 3); /* the second proxy's is among capture_ports */
	assert_int_equal(c->taken_ports.v[2], 3128);
	assert_int_equal(c->others, CONFIG_DENY);
	assert_int_equal(c->heartbeat_stale_ns, 1500000000);
	assert_int_equal(c->body_max_bytes, 65536);
	assert_false(c->http2);
	assert_int_equal(c->providers.n, 1); /* the file's list, not beside the defaults */
	assert_string_equal(p->hosts.v[0], "llm.example.internal");
	assert_string_equal(p->hosts.v[1], ".models.example.net");
	assert_string_equal(p->prices_as, "openai");
	assert_string_equal(p->region, "eu");
	assert_int_equal(p->class, CONFIG_SHARED);
	assert_int_equal(p->addresses.n, 2);
	assert_int_equal(p->addrs[0].ss_family, AF_INET);
	assert_int_equal(((struct sockaddr_in *)&p->addrs[0])->sin_port, htons(8443));
	assert_int_equal(p->addrs[1].ss_family, AF_INET6);
	assert_string_equal(c->accounts.v[0].parent, "org");
	assert_int_equal(c->accounts.v[0].limits[WINDOW_MONTH], 500 * NANOUSD_PER_USD);
	assert_true(c->accounts.v[0].limits[WINDOW_DAY] == GATE_NO_LIMIT);
	assert_int_equal(c->accounts.v[0].line, 28);
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
		"", full, terms,
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
	{ "proxies: ['10.0.0.8:3128', proxy.example.com:3128]", "t.yaml:1: proxies: \"proxy.example.com:3128\" is not an IP address with a port (no name, no http://); write e.g. [\"10.0.0.8:3128\"]" },
	{ "proxies: ['http://10.0.0.8:3128']", "t.yaml:1: proxies: \"http://10.0.0.8:3128\" is not an IP address with a port (no name, no http://); write e.g. [\"10.0.0.8:3128\"]" },
	{ "proxies: [10.0.0.8]", "t.yaml:1: proxies: \"10.0.0.8\" is not an IP address with a port (no name, no http://); write e.g. [\"10.0.0.8:3128\"]" },
	{ "proxies: ['127.0.0.1:3128']", "t.yaml:1: proxies: \"127.0.0.1:3128\" is this machine, link-local or nothing: the gate never sees such connections; write e.g. [\"10.0.0.8:3128\"]" },
	{ "proxies: ['10.0.0.8:3128', '[::ffff:10.0.0.8]:3128']", "t.yaml:1: proxies: \"[::ffff:10.0.0.8]:3128\" stands twice; list each proxy once" },
	{ "capture_ports: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]\nproxies: ['10.0.0.8:16', '10.0.0.8:17']", "and capture_ports together have 17 ports, at most 16 are possible; leave some out" },
	{ "prices: [prices.yaml]", "t.yaml:1: prices: \"prices.yaml\" is not an absolute path; write e.g. [/usr/local/share/purse/prices.yaml]" },
	{ "agents: [{name: a, day: 12 EUR}]", "t.yaml:1: agents.day: \"12 EUR\" is not a USD amount; write e.g. 12.50USD" },
	{ "agents: [{name: a, day: -5USD}]", "t.yaml:1: agents.day: \"-5USD\" is not a USD amount; write e.g. 12.50USD" },
	{ "agents: [{name: a, day: 0.0000000001USD}]", "t.yaml:1: agents.day: \"0.0000000001USD\" is not a USD amount; write e.g. 12.50USD" },
	{ "agents:\n  - name: a b", "t.yaml:2: agents.name: \"a b\" is not a name (letters, digits, '.', '_', '-', at most 47 of them, a letter or digit first); write e.g. team-a" },
	{ "agents: [{name: none}]", "t.yaml:1: agents.name: \"none\" is a reserved word; write e.g. my-none" },
	{ "agents: [{name: a, cgroup: /a/../b}]", "t.yaml:1: agents.cgroup: \"/a/../b\" is not a cgroup path below the cgroup2 mount (absolute, no \"..\", no trailing slash); write e.g. /purse/bot" },
	{ "agents: [{name: a, on_failure: shut}]", "t.yaml:1: agents.on_failure: \"shut\" is not one of closed, open; write e.g. closed" },
	{ "timezone: Mars/Base", "t.yaml:1: timezone: \"Mars/Base\" is not a time zone that this machine knows (tzdata, /usr/share/zoneinfo); write e.g. Europe/Berlin" },
	{ "timezone: /etc/localtime", "is not a time zone that this machine knows" },
	{ "resets_at: 24:00", "t.yaml:1: resets_at: \"24:00\" is not a time of day from \"00:00\" to \"23:59\"; write e.g. \"06:00\"" },
	{ "agents: [{name: a, resets_at: 6}]", "t.yaml:1: agents.resets_at: \"6\" is not a time of day" },
	{ "agents: [{name: a, clamp: yes}]", "t.yaml:1: agents.clamp: \"yes\" is not true or false; write e.g. true" },
	{ "providers:\n" P "output_rate: -1}", "t.yaml:2: providers.output_rate: \"-1\" is not a whole number from 0 to 1000000; write e.g. 500" },
	{ "providers:\n" P "on_abort: stop}", "t.yaml:2: providers.on_abort: \"stop\" is not one of cancel, drain; write e.g. cancel" },
	{ "providers:\n" P "drain_for: 0s}", "t.yaml:2: providers.drain_for: \"0s\" is not a duration from 1s to 1h; write e.g. 60s" },
	/* rules */
	{ "agents: [{name: a, rules: 60}]", "t.yaml:1: agents.rules: \"60\" is not a map of keys to values; write e.g. { requests_per_minute: 60 }" },
	{ "agents: [{name: a, rules: []}]", "agents.rules: is not a map of keys to values" },
	{ "agents:\n- name: a\n  rules:\n    requests_per_minut: 5", "t.yaml:4: agents.rules: requests_per_minut: is not a known key; did you mean \"requests_per_minute\"?" },
	{ "accounts:\n- name: a\n  rules:\n    loop: {time: 5, within: 1m}", "t.yaml:4: accounts.rules: loop.time: is not a known key; did you mean \"times\"?" },
	{ "agents:\n- name: a\n  rules:\n    calls_in_flight: 4\n    requests_per_minute: many", "t.yaml:5: agents.rules: \"requests_per_minute\" is not a count" },
	{ "agents: [{name: a, rules: {loop: {times: 5}}}]", "agents.rules: loop: times is 5 and within 0 seconds; it needs both, or neither" },
	{ "agents: [{name: a, rules: {loop: {times: 5, within: 1500ms}}}]", "agents.rules: within: \"1500ms\" is not a duration of whole seconds; write e.g. 1m" },
	{ "agents: [{name: a, rules: {loop: {times: 1, within: 1m}}}]", "agents.rules: loop times: 1 is out of range; write 2 to 1000, or leave it out" },
	{ "agents: [{name: a, rules: {per_call: 5EUR}}]", "agents.rules: \"per_call\" is not an amount" },
	{ "agents: [{name: a, rules: {models: {allow: gpt-5}}}]", "agents.rules: \"models.allow\" is not a list" },
	{ "agents: [{name: a, rules: {models: {allow: ['gpt 5']}}}]", "agents.rules: models: allow: a glob has a blank" },
	{ "agents: [{name: a, rules: {model_limits: [{models: 'x*'}]}}]", "agents.rules: model_limits: \"x*\" has no limit; give it at least one window" },
	{ "agents: [{name: a, rules: {model_limits: [{models: 'x*', dya: 5USD}]}}]", "agents.rules: model_limits.dya: is not a known key; did you mean \"day\"?" },
	{ "agents: [{name: a, rules: {dry_run: [lop]}}]", "agents.rules: \"dry_run[]\" is not the name of a rule" },
	/* alerts */
	{ "alerts: [{name: a}]", "t.yaml:1: alerts.name: \"a\" tells nobody; give it a webhook, slack or exec" },
	{ "alerts: [{webhook: 'https://x.example.com/'}]", "t.yaml:1: alerts.name: is missing" },
	{ "alerts: [{name: a, webhook: x.example.com}]", "t.yaml:1: alerts.webhook: \"x.example.com\" is not an http(s) URL of at most 2047 bytes; write e.g. https://ops.example.com/purse" },
	{ "alerts: [{name: a, webhook: 'http://x.example.com/h'}]", "alerts.webhook: \"http://x.example.com/h\" is http:// to another machine; write https://, or allow_http: true" },
	{ "alerts: [{name: a, webhook: 'http://127.0.0.1.example.com/h'}]", "is http:// to another machine" },
	{ "alerts: [{name: a, webhook: 'http://localhost@x.example.com/'}]", "is http:// to another machine" },
	{ "alerts: [{name: a, slack: 'http://10.0.0.1/h'}]", "alerts.slack: \"http://10.0.0.1/h\" is http:// to another machine" },
	{ "alerts: [{name: a, slack: 'file:///etc/passwd'}]", "is not an http(s) URL" },
	{ "alerts: [{name: a, slack: 'https://x/h', secret_file: /s}]", "alerts.secret_file: \"/s\" signs a webhook, and there is none" },
	{ "alerts: [{name: a, exec: [page]}]", "alerts.exec: runs \"page\", which is not an absolute path; write e.g. [/usr/local/bin/page]" },
	{ "alerts: [{name: a, exec: [/bin/true], at: [0%]}]", "alerts.at: \"0%\" is not a percentage from 1% to 100%; write e.g. [80%]" },
	{ "alerts: [{name: a, exec: [/bin/true], at: [101]}]", "alerts.at: \"101\" is not a percentage" },
	{ "alerts: [{name: a, exec: [/bin/true], at: [80, 50]}]", "alerts.at: does not ascend at 50%; write each percentage once, smallest first" },
	{ "alerts: [{name: a, exec: [/bin/true], when: [sometimes]}]",
	  "alerts.when: \"sometimes\" is not one of refused, rule, estimated_overrun, ledger_unhealthy, gate_detached; write e.g. [refused]" },
	{ "alerts: [{name: a, exec: [/bin/true], windows: [day, day]}]", "alerts.windows: \"day\" stands twice; list each word once" },
	{ "alerts: [{name: a, exec: [/bin/true], windows: day}]", "alerts.windows: \"day\" is not a list" },
	{ "alerts: [{name: a, exec: [/bin/true], pace: 1s}]", "alerts.pace: \"1s\" is not a duration from 10s to 1d; write e.g. 15m" },
	{ "alerts: [{name: a, exec: [/bin/true]}, {name: a, exec: [/bin/true]}]", "alerts.name: \"a\" is the name of two alerts; give each its own" },
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
	{ "providers:\n" P "addresses: [example.com]}", "t.yaml:2: providers.addresses: \"example.com\" is neither an IP address nor a range whose last bits are zero; write e.g. 198.51.100.7 or 198.51.100.0/24" },
	{ "providers:\n" P "addresses: [198.51.100.7/24]}", "t.yaml:2: providers.addresses: \"198.51.100.7/24\" is neither an IP address nor a range whose last bits are zero; write e.g. 198.51.100.7 or 198.51.100.0/24" },
	{ "providers:\n" P "addresses: [0.0.0.0/0]}", "t.yaml:2: providers.addresses: \"0.0.0.0/0\" is wider than /8 (IPv4) or /16 (IPv6); write e.g. 198.51.100.7 or 198.51.100.0/24" },
	{ "nat64_prefixes: ['2001:db8::/33']", "t.yaml:1: nat64_prefixes: \"2001:db8::/33\" is not an IPv6 range of length 32, 40, 48, 56, 64 or 96; write e.g. 64:ff9b::/96" },
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
		cmocka_unit_test(reads_terms_rules_and_alerts),
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
