// SPDX-License-Identifier: Apache-2.0
/* config_rows.c: every key of purse.yaml as one row. Nothing but data; deploy/purse.yaml shows the same to people. */
#include <stdint.h>

#include "ctl/config_rows.h"

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)
#define KIB INT64_C(1024)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const others_words[] = { [CONFIG_ALLOW] = "allow", [CONFIG_DENY] = "deny", NULL };
static const char *const class_words[] = { [CONFIG_DEDICATED] = "dedicated", [CONFIG_SHARED] = "shared", NULL };
static const char *const exhausted_words[] = { [CONFIG_REFUSE] = "refuse", [CONFIG_EXPLAIN] = "explain", NULL };
static const char *const failure_words[] = { [CONFIG_CLOSED] = "closed", [CONFIG_OPEN] = "open", NULL };

#define LIMIT(type_, kind, word) \
	{ .key = word, .type = CONFIG_USD, .offset = offsetof(struct type_, limits) + (kind) * sizeof(int64_t), \
	  .example = "12.50USD", .help = "limit per " word }
#define LIMITS(type_) \
	LIMIT(type_, WINDOW_HOUR, "hour"), LIMIT(type_, WINDOW_DAY, "day"), LIMIT(type_, WINDOW_WEEK, "week"), \
	LIMIT(type_, WINDOW_MONTH, "month"), LIMIT(type_, WINDOW_TOTAL, "total")

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
	  .example = "198.51.100.7", .help = "dialled and gated instead of what DNS says" },
	{ .key = "class", .type = CONFIG_WORD, .offset = AT(class), .fallback = "dedicated", .words = class_words,
	  .example = "dedicated", .help = "do other services live on the same addresses?" },
	{ .key = "prices_as", .type = CONFIG_TEXT, .offset = AT(prices_as), .example = "openai",
	  .help = "name in the price list; default: name" },
	{ .key = "price_percent", .type = CONFIG_INT, .offset = AT(price_percent), .fallback = "100", .min = 100, .max = 1000,
	  .example = "110", .help = "what this host charges, in per cent of the list: regional hosts of OpenAI 110" },
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
};
#undef AT
static const struct config_table agent_table = {
	.name = "agents", .rows = agent_rows, .nrows = COUNT(agent_rows),
	.size = sizeof(struct config_agent), .line_offset = offsetof(struct config_agent, line),
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
	  .max = 65535, .example = "0", .help = "on 127.0.0.1 and ::1; 0 = the kernel picks" },
	{ .key = "capture_ports", .type = CONFIG_PORTS, .offset = AT(capture_ports), .fallback = "[443]",
	  .max = GATE_PORTS_MAX, .example = "443", .help = "TCP ports that agents' connections are taken from" },
	{ .key = "others", .type = CONFIG_WORD, .offset = AT(others), .fallback = "allow", .words = others_words,
	  .example = "allow", .help = "processes that are no agents: allow | deny LLM endpoints" },
	{ .key = "heartbeat_stale", .type = CONFIG_DURATION, .offset = AT(heartbeat_stale_ns), .fallback = "2s",
	  .min = 600 * MS, .max = 60 * SECOND, .example = "2s",
	  .help = "the gate denies when the daemon has not beaten for so long" },
	{ .key = "body_max", .type = CONFIG_SIZE, .offset = AT(body_max_bytes), .fallback = "32MiB",
	  .min = 4 * KIB, .max = KIB * KIB * KIB, .example = "32MiB", .help = "a larger request body is refused" },
	{ .key = "connect_timeout", .type = CONFIG_DURATION, .offset = AT(connect_timeout_ns), .fallback = "10s",
	  .min = 100 * MS, .max = 300 * SECOND, .example = "10s", .help = "to reach a provider" },
	{ .key = "response_timeout", .type = CONFIG_DURATION, .offset = AT(response_timeout_ns),
	  .fallback = "10m", .min = SECOND, .max = 86400 * SECOND, .example = "600s",
	  .help = "longest silence of a provider while a call is open" },
	{ .key = "upstream_ca", .type = CONFIG_FILE, .offset = AT(upstream_ca), .example = "/etc/purse/roots.pem",
	  .help = "further roots trusted for providers; \"\" = system roots only" },
	{ .key = "http2", .type = CONFIG_BOOL, .offset = AT(http2), .fallback = "true", .example = "true",
	  .help = "offer HTTP/2 to agents" },
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
};
#undef AT
const struct config_table config_top = {
	.name = "", .rows = top_rows, .nrows = COUNT(top_rows), .size = sizeof(struct config),
	.line_offset = SIZE_MAX,
};
