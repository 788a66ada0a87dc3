// SPDX-License-Identifier: Apache-2.0
/*
 * config.h: purse.yaml as plain values. One table of rows (config/rows.c) says for every key its type, place, default, bounds
 * and help; reading, `config show` and the messages come from it. Values are checked for themselves while they are read
 * (config.c) and against each other afterwards (config/check.c). Immutable once loaded.
 *
 * Every complaint: FILE:LINE: key: "value" is not …; write e.g. …
 */
#ifndef PURSE_CTL_CONFIG_H
#define PURSE_CTL_CONFIG_H

#include <sys/socket.h>

#include "base/buf.h"
#include "base/addr.h"
#include "base/err.h"
#include "gate_abi.h"
#include "terms.h"

struct arena;
struct rules;

#define CONFIG_SHIPPED_PRICES "/usr/local/share/purse/prices.yaml"

struct config_texts {
	const char **v;
	size_t n;
};

struct config_provider {
	const char *name, *dialect;
	struct config_texts hosts; /* lower-case; ".example.com" = every name below */
	const char *prefix;
	int64_t port;
	struct config_texts addresses; /* as written */
	struct addr_net *nets; /* the same; addresses.n of them */
	struct sockaddr_storage *addrs; /* those that are no ranges, with `port` set: what is dialled */
	size_t naddrs;
	int64_t class; /* enum config_class */
	const char *prices_as; /* never "": the name by default */
	int64_t price_percent;
	const char *region; /* "" = the first label of the host that is asked */
	int64_t output_rate;  /* tokens per second at most; 0 = streams hold their whole ceiling */
	int64_t on_abort;     /* enum config_on_abort */
	int64_t drain_for_ns;
};
enum config_class { CONFIG_DEDICATED, CONFIG_SHARED };
enum config_on_abort { CONFIG_CANCEL, CONFIG_DRAIN };
#define CONFIG_OUTPUT_RATE 500 /* of openai and anthropic, when nothing is said; of all others 0 */

/* When an account's windows begin, and its rules. */
struct config_terms {
	const char *timezone; /* never NULL; "" in the file = the top's */
	int64_t resets_at;    /* minute of the day */
	bool clamp;
	const struct rules *rules; /* NULL = none */
};
#define CONFIG_UNSAID INT64_C(-1) /* while reading, of a number without a default of its own */

struct config_account {
	const char *name, *parent; /* parent "" = top */
	int64_t limits[WINDOW_COUNT]; /* nano-dollars; GATE_NO_LIMIT */
	struct config_terms terms;
	unsigned line;
};

struct config_agent {
	const char *name;
	const char *cgroup;  /* "" = the default, PURSE_AGENTS_CGROUP/NAME below cgroup_root */
	const char *account; /* the account above its own; "" = none */
	int64_t limits[WINDOW_COUNT];
	int64_t exhausted_below; /* nano-dollars */
	int64_t on_exhausted;    /* enum config_on_exhausted */
	int64_t on_failure;      /* enum config_on_failure */
	struct config_terms terms;
	unsigned line;
};
enum config_on_exhausted { CONFIG_REFUSE, CONFIG_EXPLAIN };
enum config_on_failure { CONFIG_CLOSED, CONFIG_OPEN };
enum config_ech { CONFIG_ECH_REFUSE, CONFIG_ECH_ALLOW };
enum config_others { CONFIG_ALLOW, CONFIG_DENY };

/* Who is told of what, and how (ctl/alert/alerts.h). */
struct config_alert {
	const char *name;
	struct config_texts accounts; /* globs */
	int64_t windows;              /* bit per window_kind; 0 = all with a limit */
	struct {
		uint16_t *v; /* per cent, ascending */
		size_t n;
	} at;
	int64_t when; /* bit per enum config_when */
	bool forecast;
	int64_t pace_ns, repeat_ns, timeout_ns;
	const char *webhook, *secret_file, *slack; /* "" = none */
	struct config_texts exec;
	bool allow_http;
	unsigned line;
};
enum config_when { CONFIG_REFUSED, CONFIG_RULE, CONFIG_OVERRUN, CONFIG_LEDGER_UNHEALTHY, CONFIG_GATE_DETACHED, CONFIG_WHEN_COUNT };

struct config {
	const char *state_dir, *run_dir, *bpffs;
	const char *cgroup_root; /* absolute directory; "auto" = the mount's root */
	int64_t workers, listen_port;
	struct {
		uint16_t *v;
		size_t n;
	} capture_ports;
	struct config_texts proxies; /* as written */
	struct addr_port *proxy; /* the same */
	struct {
		uint16_t *v;
		size_t n;
	} taken_ports; /* capture_ports and those of the proxies: what the gate is told */
	int64_t others; /* enum config_others */
	int64_t heartbeat_stale_ns, connect_timeout_ns, response_timeout_ns;
	int64_t request_timeout_ns, stall_timeout_ns;
	int64_t body_max_bytes, bodies_max_bytes, bodies_per_agent_bytes;
	int64_t connections_max, connections_per_agent; /* connections_max 0 = what the limit of open files leaves */
	struct config_texts nat64_prefixes; /* as written */
	struct addr_net *nat64; /* the same */
	const char *upstream_ca; /* "" = system roots only */
	bool http2;
	int64_t ech; /* enum config_ech */
	const char *timezone; /* "" = UTC */
	int64_t resets_at;    /* minute of the day */
	struct config_texts prices; /* the default, when it is not installed: prices.yaml beside the program */
	struct {
		struct config_provider *v;
		size_t n;
	} providers;
	struct {
		struct config_account *v;
		size_t n;
	} accounts;
	struct {
		struct config_agent *v;
		size_t n;
	} agents;
	struct {
		struct config_alert *v;
		size_t n;
	} alerts;

	const char *path; /* the file, "" = built-in defaults */
	struct arena *arena; /* owns all of the above */
};

/* Which file: the flag (NULL = none given), else $PURSE_CONFIG, else the usual place; the first two have to exist. */
void config_resolve(const char *flag, const char **ret_path, bool *ret_named);
/* path: the file. named: somebody asked for this file, so that it has to exist. */
int config_load(const char *path, bool named, struct config **ret, struct err *e);
/* The same from memory; name is what complaints call it. */
int config_parse(const char *name, const char *text, size_t len, struct config **ret, struct err *e);
void config_free(struct config *c); /* NULL ok */

/* What is in force, in the file's own form (reading it again gives the same), or as JSON. */
int config_show(const struct config *c, struct buf *out);
int config_show_json(const struct config *c, struct buf *out);
/* Every key with type, default and help, for `purse config check --help`. */
int config_explain(struct buf *out);

/* <run_dir>/control.sock and the like: dir + "/" + name into ret; -ENAMETOOLONG. */
int config_place(const char *dir, const char *name, char *ret, size_t size);

#endif
