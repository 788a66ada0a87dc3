// SPDX-License-Identifier: Apache-2.0
/*
 * cmd/doctor.c: `purse doctor`: what this kernel and machine can do (kern/probe.h), and whether config, daemon, gate, agents and
 * certificates are as they should be. Looks only. Exit 1 when something essential is missing.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/jsonw.h"
#include "ctl/cmd/cmd.h"
#include "ctl/cmd/doctor_bypass.h"
#include "ctl/cmd/doctor_openings.h"
#include "ctl/records.h"
#include "ctl/cmd/table.h"
#include "ctl/trust.h"
#include "ctl_abi.h"
#include "kern/probe.h"
#include "spend/price/price.h"

#define CHECKS_MAX 64
#define AGENTS_TOLD_MAX 8

enum state { GOOD, WARNING, BAD };
static const char *const state_words[] = { [GOOD] = "ok", [WARNING] = "warning", [BAD] = "missing" };

struct check {
	char name[64];
	enum state state;
	char text[768];
};
struct visit {
	struct cli *cli;
	struct check checks[CHECKS_MAX];
	size_t n;
	unsigned missing_agents, agents, open_agents;
};

static void note(struct visit *v, const char *name, enum state state, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static void note(struct visit *v, const char *name, enum state state, const char *fmt, ...)
{
	struct check *c = &v->checks[v->n < CHECKS_MAX ? v->n++ : CHECKS_MAX - 1];
	va_list ap;

	(void)snprintf(c->name, sizeof(c->name), "%s", name);
	c->state = state;
	va_start(ap, fmt);
	(void)vsnprintf(c->text, sizeof(c->text), fmt, ap);
	va_end(ap);
}

/* ---- the machine */

static void look_at_kernel(struct visit *v)
{
	static const enum state states[] = { [PROBE_OK] = GOOD, [PROBE_MISSING_OPTIONAL] = WARNING,
					     [PROBE_MISSING_ESSENTIAL] = BAD };
	struct probe_result results[32];
	size_t n = probe_run(results, 32);

	for (size_t i = 0; i < n && i < 32; i++)
		note(v, results[i].name, states[results[i].state], "%s", results[i].text);
}

/* ---- files */

static bool look_at_config(struct visit *v)
{
	struct cli *cli = v->cli;
	struct err e = { "" };

	if (cli_config_load(cli, &e) < 0) {
		note(v, "config", BAD, "%s", e.text);
		return false;
	}
	note(v, "config", GOOD, "%s", cli->config->path[0] ? cli->config->path : "no file: built-in defaults");
	return true;
}

static void look_at_prices(struct visit *v)
{
	struct price_list *l = NULL;
	struct err e = { "" };

	if (price_list_load(v->cli->config->prices.v, v->cli->config->prices.n, &l, &e) < 0)
		note(v, "prices", BAD, "%s", e.text);
	else
		note(v, "prices", GOOD, "%zu models", price_list_count(l));
	price_list_unref(l);
}

static void look_at_trust(struct visit *v)
{
	char dir[1200], root[1300], bundle[1300];

	if (trust_dir(v->cli->config, dir, sizeof(dir)) < 0)
		return;
	(void)snprintf(root, sizeof(root), "%s/" TRUST_ROOT, dir);
	(void)snprintf(bundle, sizeof(bundle), "%s/" TRUST_BUNDLE, dir);
	if (access(root, R_OK) < 0 || access(bundle, R_OK) < 0)
		note(v, "certificates", WARNING, "not in %s: %s; pursed puts them there when it starts", dir, strerror(errno));
	else
		note(v, "certificates", GOOD, "%s; `purse trust env` prints the variables", dir);
}

/* ---- the daemon */

static bool is_true(const char *word)
{
	return strcmp(word, "true") == 0;
}

static void take_daemon(void *ctx, const char *const *f)
{
	struct visit *v = ctx;

	note(v, "daemon", is_true(f[1]) ? GOOD : BAD, "pursed %s, pid %s%s", f[2], f[0], is_true(f[1]) ? "" : ": not healthy");
	note(v, "ledger", is_true(f[3]) ? GOOD : BAD, "%s",
	     is_true(f[3]) ? "rows become durable" : "cannot write: new calls are refused; is the disk full?");
}

static void take_agent(void *ctx, const char *const *f)
{
	struct visit *v = ctx;

	v->agents++;
	if (is_true(f[2]) && ++v->missing_agents <= AGENTS_TOLD_MAX)
		note(v, "agent", WARNING, "\"%s\": its cgroup %s is gone; nothing runs there that could be metered", f[0], f[1]);
}

static void take_openings(void *ctx, const char *agent, const char *text)
{
	struct visit *v = ctx;

	if (++v->open_agents <= AGENTS_TOLD_MAX)
		note(v, "agent", WARNING, "\"%s\": ways past the gate are open to it: %s; take them away (`purse run --user` does); `purse events` says "
		     "what each of them allows", agent, text);
}

static void take_endpoint(void *ctx, const char *const *f)
{
	struct visit *v = ctx;

	if (f[2][0])
		note(v, "endpoint", WARNING, "%s (%s): cannot be resolved: %s; agents are still classed by name on captured ports",
		     f[0], f[1], f[2]);
}

static void take_gate(void *ctx, const char *const *f)
{
	struct visit *v = ctx;
	bool links = is_true(f[0]), beats = strtol(f[2], NULL, 10) <= strtol(f[3], NULL, 10);

	note(v, "gate links", links ? GOOD : BAD, "%s", links ? "attached, with our programs" : f[1][0] ? f[1] : "not attached");
	note(v, "gate heartbeat", beats ? GOOD : BAD, "%s ms old, stale after %s ms", f[2], f[3]);
	if (strcmp(f[4], "0") != 0)
		note(v, "gate events", WARNING, "%s were lost: more refusals than could be read", f[4]);
}

static void look_at_daemon(struct visit *v)
{
	static const char *const daemon_fields[] = { "daemon.pid", "daemon.healthy", "daemon.version", "daemon.ledger_healthy" };
	static const char *const agent_fields[] = { "name", "cgroup", "cgroup_missing" };
	static const char *const endpoint_fields[] = { "host", "provider", "error" };
	static const char *const gate_fields[] = { "links_ok", "problem", "heartbeat_age_ms", "stale_after_ms",
						   "counters.event_lost" };
	struct client_answer a;
	char namespaces[24];
	struct err e = { "" };

	if (client_call(v->cli->socket, "GET", "/v1/status", NULL, &a, &e) < 0) {
		note(v, "daemon", WARNING, "%s", e.text);
		return;
	}
	(void)records_read(&a.body, NULL, daemon_fields, 4, take_daemon, v);
	(void)records_read(&a.body, "agents[]", agent_fields, 3, take_agent, v);
	doctor_openings(&a.body, take_openings, v);
	if (v->agents > 0 && v->missing_agents == 0)
		note(v, "agents", GOOD, "%u enrolled; to %u of them ways past the gate are open", v->agents, v->open_agents);
	(void)records_read(&a.body, "endpoints[]", endpoint_fields, 3, take_endpoint, v);
	record_field(&a.body, "daemon.counts.namespaces", namespaces, sizeof(namespaces));
	note(v, "namespaces", GOOD, "listening in %s other network namespaces (containers) of agents", namespaces);
	client_answer_done(&a);
	if (client_call(v->cli->socket, "GET", "/v1/gate", NULL, &a, &e) == 0) {
		(void)records_read(&a.body, NULL, gate_fields, 5, take_gate, v);
		client_answer_done(&a);
	}
}

/* ---- telling */

static bool is_well(const struct visit *v)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->checks[i].state == BAD)
			return false;
	return true;
}

static void print_json(const struct visit *v)
{
	struct client_answer a;
	struct jsonw w;

	cli_json_begin(&w, &a);
	jsonw_bool(&w, "ok", is_well(v));
	jsonw_array(&w, "checks");
	for (size_t i = 0; i < v->n; i++) {
		jsonw_object(&w, NULL);
		jsonw_cstr(&w, "name", v->checks[i].name);
		jsonw_cstr(&w, "state", state_words[v->checks[i].state]);
		jsonw_cstr(&w, "text", v->checks[i].text);
		jsonw_close(&w);
	}
	jsonw_close(&w);
	(void)cli_json_print(&w, &a);
}

static void print_table(const struct visit *v)
{
	static const char *const heads[] = { "CHECK", "STATE", "WHAT WAS FOUND" };
	struct table t;

	table_init(&t, heads, 3, 0);
	for (size_t i = 0; i < v->n; i++) {
		table_cell(&t, v->checks[i].name);
		table_cell(&t, state_words[v->checks[i].state]);
		table_cell(&t, v->checks[i].text);
	}
	table_print(&t, stdout);
	(void)printf("\n%s\n", is_well(v) ? "nothing essential is missing" : "something essential is missing");
}

int cmd_doctor(struct cli *cli, const struct command *self, char **argv)
{
	static const struct args_row rows[] = {
		{ .name = "--bypass", .type = ARGS_SWITCH, .help = "try the known ways round the gate, from a scratch agent; one line per way" },
	};
	struct visit *v;
	struct args args;
	bool done, bypass = false;
	int exit_code = cli_args(cli, self, rows, 1, &bypass, argv, 0, 0, &args, &done);

	if (done)
		return exit_code;
	if (bypass)
		return doctor_bypass(cli);
	v = calloc(1, sizeof(*v));
	if (!v)
		return PURSE_EXIT_FAILURE;
	v->cli = cli;
	look_at_kernel(v);
	if (look_at_config(v)) {
		look_at_prices(v);
		look_at_trust(v);
		look_at_daemon(v);
	}
	if (cli->json)
		print_json(v);
	else
		print_table(v);
	exit_code = is_well(v) ? PURSE_EXIT_OK : PURSE_EXIT_FAILURE;
	free(v);
	return exit_code;
}
