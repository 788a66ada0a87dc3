// SPDX-License-Identifier: Apache-2.0
/* config/rows.c: every key of purse.yaml as one row. Nothing but data; deploy/purse.yaml shows the same to people. */
#include <stdint.h>

#include "ctl/config/rows.h"

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)
#define KIB INT64_C(1024)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const others_words[] = { [CONFIG_ALLOW] = "allow", [CONFIG_DENY] = "deny", NULL };
static const char *const ech_words[] = { [CONFIG_ECH_REFUSE] = "refuse", [CONFIG_ECH_ALLOW] = "allow", NULL };
static const char *const class_words[] = { [CONFIG_DEDICATED] = "dedicated", [CONFIG_SHARED] = "shared", NULL };
static const char *const exhausted_words[] = { [CONFIG_REFUSE] = "refuse", [CONFIG_EXPLAIN] = "explain", NULL };
static const char *const failure_words[] = { [CONFIG_CLOSED] = "closed", [CONFIG_OPEN] = "open", NULL };
static const char *const abort_words[] = { [CONFIG_CANCEL] = "cancel", [CONFIG_DRAIN] = "drain", NULL };
static const char *const window_words[] = { [WINDOW_HOUR] = "hour", [WINDOW_DAY] = "day", [WINDOW_WEEK] = "week",
					    [WINDOW_MONTH] = "month", [WINDOW_TOTAL] = "total", [WINDOW_COUNT] = NULL };
static const char *const when_words[] = {
	[CONFIG_REFUSED] = "refused", [CONFIG_RULE] = "rule", [CONFIG_OVERRUN] = "estimated_overrun",
	[CONFIG_LEDGER_UNHEALTHY] = "ledger_unhealthy", [CONFIG_GATE_DETACHED] = "gate_detached", [CONFIG_WHEN_COUNT] = NULL,
};

#define LIMIT(type_, kind, word) \
	{ .key = word, .type = CONFIG_USD, .offset = offsetof(struct type_, limits) + (kind) * sizeof(int64_t), \
	  .example = "12.50USD", .help = "limit per " word }
#define LIMITS(type_) \
	LIMIT(type_, WINDOW_HOUR, "hour"), LIMIT(type_, WINDOW_DAY, "day"), LIMIT(type_, WINDOW_WEEK, "week"), \
	LIMIT(type_, WINDOW_MONTH, "month"), LIMIT(type_, WINDOW_TOTAL, "total")

#define TERMS \
	{ .key = "timezone", .type = CONFIG_ZONE, .offset = AT(terms.timezone), .example = "Europe/Berlin", \
	  .help = "where its days begin; default: the top's timezone" }, \
	{ .key = "resets_at", .type = CONFIG_MINUTE, .offset = AT(terms.resets_at), .example = "\"06:00\"", \
	  .help = "when its days, weeks and months begin; default: the top's resets_at" }, \
	{ .key = "clamp", .type = CONFIG_BOOL, .offset = AT(terms.clamp), .fallback = "false", .example = "true", \
	  .help = "calls that are not streamed have their output limit lowered to what is left; also for all below" }, \
	{ .key = "rules", .type = CONFIG_RULES, .offset = AT(terms.rules), .example = "{ requests_per_minute: 60 }", \
	  .help = "what it may do beside what it may spend: docs/control.md" }

#define AT(member) offsetof(struct config_provider, member)
static const struct config_row provider_rows[] = {
	{ .key = "name", .type = CONFIG_WHO, .required = true, .offset = AT(name), .example = "openai",
	  .help = "what the ledger calls it" },
	{ .key = "dialect", .type = CONFIG_TEXT, .required = true, .offset = AT(dialect), .example = "openai",
	  .help = "API family: openai, openai-compatible, openai-reporting, anthropic" },
	{ .key = "hosts", .type = CONFIG_HOSTS, .required = true, .offset = AT(hosts), .max = 64,
	  .example = "api.openai.com", .help = "host names; .example.com = every name below it" },
	{ .key = "prefix", .type = CONFIG_PREFIX, .offset = AT(prefix), .fallback = "/v1", .example = "/v1",
	  .help = "path in front of the API's own paths" },
	{ .key = "port", .type = CONFIG_INT, .offset = AT(port), .fallback = "443", .min = 1, .max = 65535,
	  .example = "443", .help = "where purse dials it" },
	{ .key = "addresses", .type = CONFIG_ADDRESSES, .offset = AT(addresses), .max = 64,
	  .example = "198.51.100.7", .help = "dialled and gated instead of what DNS says; ranges (198.51.100.0/24) are gated only" },
	{ .key = "class", .type = CONFIG_WORD, .offset = AT(class), .fallback = "dedicated", .words = class_words,
	  .example = "dedicated", .help = "do other services live on the same addresses?" },
	{ .key = "prices_as", .type = CONFIG_TEXT, .offset = AT(prices_as), .example = "openai",
	  .help = "name in the price list; default: name" },
	{ .key = "price_percent", .type = CONFIG_INT, .offset = AT(price_percent), .fallback = "100", .min = 100, .max = 1000,
	  .example = "110", .help = "what this host charges, in per cent of the list: regional hosts of OpenAI 110" },
	{ .key = "region", .type = CONFIG_TEXT, .offset = AT(region), .max = 15, .example = "eu",
	  .help = "which `regional` factor of a model's price holds at its hosts; default: the first label of the host (eu.api.openai.com)" },
	{ .key = "output_rate", .type = CONFIG_INT, .offset = AT(output_rate), .min = 0, .max = 1000000,
	  .example = "500", .help = "tokens a second that it makes for one call, at most: what rolling holds rest on; 0 = streams hold "
	  "their whole ceiling; default 500 for openai and anthropic, else 0" },
	{ .key = "on_abort", .type = CONFIG_WORD, .offset = AT(on_abort), .fallback = "cancel", .words = abort_words,
	  .example = "cancel", .help = "a stream whose agent left: cancel and estimate, or drain: read on for its exact usage" },
	{ .key = "drain_for", .type = CONFIG_DURATION, .offset = AT(drain_for_ns), .fallback = "60s", .min = SECOND,
	  .max = 3600 * SECOND, .example = "60s", .help = "so long at most, with on_abort: drain" },
};
#undef AT
static const struct config_table provider_table = {
	.name = "providers", .rows = provider_rows, .nrows = COUNT(provider_rows),
	.size = sizeof(struct config_provider), .line_offset = SIZE_MAX,
};

#define AT(member) offsetof(struct config_account, member)
static const struct config_row account_rows[] = {
	{ .key = "name", .type = CONFIG_NAME, .required = true, .offset = AT(name), .example = "team-a",
	  .help = "name of the account" },
	{ .key = "parent", .type = CONFIG_ABOVE, .offset = AT(parent), .example = "team-a",
	  .help = "the account above it; \"\" = none" },
	LIMITS(config_account),
	TERMS,
};
#undef AT
static const struct config_table account_table = {
	.name = "accounts", .rows = account_rows, .nrows = COUNT(account_rows),
	.size = sizeof(struct config_account), .line_offset = offsetof(struct config_account, line),
};

#define AT(member) offsetof(struct config_agent, member)
static const struct config_row agent_rows[] = {
	{ .key = "name", .type = CONFIG_NAME, .required = true, .offset = AT(name), .example = "bot",
	  .help = "name of the agent and of its own account" },
	{ .key = "cgroup", .type = CONFIG_CGROUP, .offset = AT(cgroup), .example = "/purse/bot",
	  .help = "below the cgroup2 mount; made if missing; default /purse/NAME below cgroup_root" },
	{ .key = "account", .type = CONFIG_ABOVE, .offset = AT(account), .example = "team-a",
	  .help = "the account above its own; \"\" = none" },
	LIMITS(config_agent),
	{ .key = "exhausted_below", .type = CONFIG_USD, .offset = AT(exhausted_below), .fallback = "0USD",
	  .example = "0.05USD", .help = "the kernel refuses once this little is left" },
	{ .key = "on_exhausted", .type = CONFIG_WORD, .offset = AT(on_exhausted), .fallback = "refuse",
	  .words = exhausted_words, .example = "refuse", .help = "refuse: EDQUOT | explain: connect, then 402" },
	{ .key = "on_failure", .type = CONFIG_WORD, .offset = AT(on_failure), .fallback = "closed",
	  .words = failure_words, .example = "closed",
	  .help = "captured non-LLM ports while the daemon is dead" },
	TERMS,
};
#undef AT
static const struct config_table agent_table = {
	.name = "agents", .rows = agent_rows, .nrows = COUNT(agent_rows),
	.size = sizeof(struct config_agent), .line_offset = offsetof(struct config_agent, line),
};

#define AT(member) offsetof(struct config_alert, member)
static const struct config_row alert_rows[] = {
	{ .key = "name", .type = CONFIG_NAME, .required = true, .offset = AT(name), .example = "team-chat",
	  .help = "what `purse alerts` calls it" },
	{ .key = "accounts", .type = CONFIG_GLOBS, .offset = AT(accounts), .max = 64, .fallback = "[\"*\"]", .example = "team-*",
	  .help = "of which accounts; * and ? as in file names" },
	{ .key = "windows", .type = CONFIG_WORDS, .offset = AT(windows), .words = window_words, .example = "[day]",
	  .help = "of which windows; default: all that have a limit" },
	{ .key = "at", .type = CONFIG_PERCENTS, .offset = AT(at), .fallback = "[50%, 80%, 95%, 100%]", .max = 16, .example = "80%",
	  .help = "when so much of a limit is spent; once per window" },
	{ .key = "forecast", .type = CONFIG_BOOL, .offset = AT(forecast), .fallback = "true", .example = "true",
	  .help = "when a limit will be used up before its window ends, at the pace of late" },
	{ .key = "pace", .type = CONFIG_DURATION, .offset = AT(pace_ns), .fallback = "15m", .min = 10 * SECOND,
	  .max = 86400 * SECOND, .example = "15m", .help = "how long \"of late\" is" },
	{ .key = "when", .type = CONFIG_WORDS, .offset = AT(when), .words = when_words, .example = "[refused]",
	  .help = "and when one of these happens" },
	{ .key = "repeat", .type = CONFIG_DURATION, .offset = AT(repeat_ns), .fallback = "1h", .min = SECOND,
	  .max = 30 * 86400 * SECOND, .example = "1h", .help = "the same of `when` for the same account: not again within so long" },
	{ .key = "webhook", .type = CONFIG_URL, .offset = AT(webhook), .example = "https://ops.example.com/purse",
	  .help = "JSON is posted there" },
	{ .key = "secret_file", .type = CONFIG_FILE, .offset = AT(secret_file), .example = "/etc/purse/webhook.secret",
	  .help = "signs the webhook: x-purse-signature" },
	{ .key = "slack", .type = CONFIG_URL, .offset = AT(slack), .example = "https://hooks.example.com/services/x",
	  .help = "an incoming webhook in Slack's form" },
	{ .key = "exec", .type = CONFIG_WORDLIST, .offset = AT(exec), .max = 32, .example = "/usr/local/bin/page, budget",
	  .help = "a command, run as the daemon's user with the JSON on stdin" },
	{ .key = "timeout", .type = CONFIG_DURATION, .offset = AT(timeout_ns), .fallback = "10s", .min = 100 * MS,
	  .max = 300 * SECOND, .example = "10s", .help = "of one delivery" },
	{ .key = "allow_http", .type = CONFIG_BOOL, .offset = AT(allow_http), .fallback = "false", .example = "false",
	  .help = "http:// to other machines too" },
};
#undef AT
static const struct config_table alert_table = {
	.name = "alerts", .rows = alert_rows, .nrows = COUNT(alert_rows),
	.size = sizeof(struct config_alert), .line_offset = offsetof(struct config_alert, line),
};

#define AT(member) offsetof(struct config, member)
static const struct config_row top_rows[] = {
	{ .key = "state_dir", .type = CONFIG_PATH, .offset = AT(state_dir), .fallback = "/var/lib/purse",
	  .example = "/var/lib/purse", .help = "ledger.db, ca/" },
	{ .key = "run_dir", .type = CONFIG_PATH, .offset = AT(run_dir), .fallback = "/run/purse", .max = 80,
	  .example = "/run/purse", .help = "control.sock, gate.lock" },
	{ .key = "bpffs", .type = CONFIG_PATH, .offset = AT(bpffs), .fallback = "/sys/fs/bpf/purse",
	  .example = "/sys/fs/bpf/purse", .help = "pinned links and maps" },
	{ .key = "cgroup_root", .type = CONFIG_ROOT, .offset = AT(cgroup_root), .fallback = "auto",
	  .example = "auto", .help = "where the gate attaches; auto = root of the cgroup2 mount" },
	{ .key = "workers", .type = CONFIG_INT, .offset = AT(workers), .fallback = "2", .min = 1, .max = 64,
	  .example = "2", .help = "threads" },
	{ .key = "listen_port", .type = CONFIG_INT, .offset = AT(listen_port), .fallback = "0", .min = 0,
	  .max = 65535, .example = "0", .help = "on 127.0.0.1 and ::1; 0 = a free one that the kernel gives to nobody" },
	{ .key = "capture_ports", .type = CONFIG_PORTS, .offset = AT(capture_ports), .fallback = "[443]",
	  .max = GATE_PORTS_MAX, .example = "443", .help = "TCP ports that agents' connections are taken from" },
	{ .key = "proxies", .type = CONFIG_PROXIES, .offset = AT(proxies), .max = 64, .example = "\"10.0.0.8:3128\"",
	  .help = "the company's HTTP proxies that agents may use (HTTPS_PROXY=http://…): purse reads their CONNECTs; their ports are captured, too" },
	{ .key = "ech", .type = CONFIG_WORD, .offset = AT(ech), .fallback = "refuse", .words = ech_words, .example = "refuse",
	  .help = "agents' TLS that may hide its name (Encrypted Client Hello): refuse | allow, but never towards LLM addresses" },
	{ .key = "others", .type = CONFIG_WORD, .offset = AT(others), .fallback = "allow", .words = others_words,
	  .example = "allow", .help = "processes that are no agents: allow | deny LLM endpoints" },
	{ .key = "heartbeat_stale", .type = CONFIG_DURATION, .offset = AT(heartbeat_stale_ns), .fallback = "2s",
	  .min = 600 * MS, .max = 60 * SECOND, .example = "2s",
	  .help = "the gate denies when the daemon has not beaten for so long" },
	{ .key = "nat64_prefixes", .type = CONFIG_NAT64, .offset = AT(nat64_prefixes), .fallback = "[64:ff9b::/96]", .max = 8,
	  .example = "64:ff9b::/96", .help = "IPv6 ranges through which a NAT64 reaches IPv4: gated like the address inside" },
	{ .key = "body_max", .type = CONFIG_SIZE, .offset = AT(body_max_bytes), .fallback = "32MiB",
	  .min = 4 * KIB, .max = KIB * KIB * KIB, .example = "32MiB", .help = "a larger request body is refused" },
	{ .key = "connect_timeout", .type = CONFIG_DURATION, .offset = AT(connect_timeout_ns), .fallback = "10s",
	  .min = 100 * MS, .max = 300 * SECOND, .example = "10s", .help = "to reach a provider" },
	{ .key = "response_timeout", .type = CONFIG_DURATION, .offset = AT(response_timeout_ns),
	  .fallback = "10m", .min = SECOND, .max = 86400 * SECOND, .example = "600s",
	  .help = "longest silence of a provider while a call is open" },
	{ .key = "request_timeout", .type = CONFIG_DURATION, .offset = AT(request_timeout_ns), .fallback = "2m", .min = SECOND,
	  .max = 3600 * SECOND, .example = "2m", .help = "for the head of an agent's request, and again for its body" },
	{ .key = "stall_timeout", .type = CONFIG_DURATION, .offset = AT(stall_timeout_ns), .fallback = "5m", .min = SECOND,
	  .max = 86400 * SECOND, .example = "5m", .help = "an agent that takes nothing of its answer for so long is cut off" },
	{ .key = "connections_max", .type = CONFIG_INT, .offset = AT(connections_max), .fallback = "0", .min = 0, .max = 10000000,
	  .example = "0", .help = "of all agents, to purse and from there on; 0 = what the limit of open files leaves" },
	{ .key = "connections_per_agent", .type = CONFIG_INT, .offset = AT(connections_per_agent), .fallback = "16384", .min = 2,
	  .max = 10000000, .example = "16384", .help = "of one agent, and never more than twice what is left for all" },
	{ .key = "bodies_max", .type = CONFIG_SIZE, .offset = AT(bodies_max_bytes), .fallback = "1GiB", .min = 4 * KIB,
	  .max = 1024 * KIB * KIB * KIB, .example = "1GiB", .help = "request bodies in memory, of all agents; at least twice body_max" },
	{ .key = "bodies_per_agent", .type = CONFIG_SIZE, .offset = AT(bodies_per_agent_bytes), .fallback = "256MiB", .min = 4 * KIB,
	  .max = 1024 * KIB * KIB * KIB, .example = "256MiB", .help = "of one agent, and never more than twice what is left for all; at least body_max" },
	{ .key = "upstream_ca", .type = CONFIG_FILE, .offset = AT(upstream_ca), .example = "/etc/purse/roots.pem",
	  .help = "further roots trusted for providers; \"\" = system roots only" },
	{ .key = "http2", .type = CONFIG_BOOL, .offset = AT(http2), .fallback = "true", .example = "true",
	  .help = "offer HTTP/2 to agents" },
	{ .key = "timezone", .type = CONFIG_ZONE, .offset = AT(timezone), .example = "Europe/Berlin",
	  .help = "where hours, days, weeks and months begin, unless an account says otherwise; \"\" = UTC" },
	{ .key = "resets_at", .type = CONFIG_MINUTE, .offset = AT(resets_at), .fallback = "\"00:00\"", .example = "\"06:00\"",
	  .help = "when days, weeks and months begin, unless an account says otherwise" },
	{ .key = "prices", .type = CONFIG_PATHS, .offset = AT(prices), .max = 16,
	  .fallback = "[" CONFIG_SHIPPED_PRICES "]", .example = CONFIG_SHIPPED_PRICES,
	  .help = "price lists; later files replace entries of earlier ones" },
	{ .key = "providers", .type = CONFIG_ROWS, .offset = AT(providers), .table = &provider_table, .max = 64,
	  .fallback = "- { name: openai, dialect: openai, hosts: [api.openai.com] }\n"
		      "- { name: anthropic, dialect: anthropic, hosts: [api.anthropic.com] }\n",
	  .help = "whom purse meters" },
	{ .key = "accounts", .type = CONFIG_ROWS, .offset = AT(accounts), .table = &account_table, .max = 4096,
	  .help = "budgets that agents share" },
	{ .key = "agents", .type = CONFIG_ROWS, .offset = AT(agents), .table = &agent_table, .max = 4096,
	  .help = "who is metered" },
	{ .key = "alerts", .type = CONFIG_ROWS, .offset = AT(alerts), .table = &alert_table, .max = 32,
	  .help = "who is told when money runs out" },
};
#undef AT
const struct config_table config_top = {
	.name = "", .rows = top_rows, .nrows = COUNT(top_rows), .size = sizeof(struct config),
	.line_offset = SIZE_MAX,
};
