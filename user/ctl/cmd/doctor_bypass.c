// SPDX-License-Identifier: Apache-2.0
/* doctor_bypass.c: see doctor_bypass.h. The agent, its cgroup and the one outside are removed again whatever comes. */
#include "ctl/cmd/doctor_bypass.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/jsonw.h"
#include "base/str.h"
#include "ctl/cmd/cmd.h"
#include "ctl/records.h"
#include "ctl/cmd/table.h"
#include "ctl_abi.h"
#include "kern/cgroup.h"
#include "kern/ways.h"

#define LLM_PORT 443

struct bypass {
	struct cli *cli;
	char agent[32];
	char dir[1024], outside[1100];
	struct way_targets targets;
	struct way_result *results;
	size_t n;
};

/* ---- targets: the first address of each family that an endpoint has */

static void take_address(void *ctx, int id, const struct json_value *v)
{
	struct way_targets *t = ctx;
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(LLM_PORT) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(LLM_PORT) };
	char text[64];

	(void)id;
	if (v->kind != JSON_STRING || !str_copy(text, sizeof(text), v->s))
		return;
	if (!t->v4.sin_family && inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		t->v4 = v4;
	if (!t->v6.sin6_family && inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
		t->v6 = v6;
}

static int find_targets(struct bypass *b)
{
	static const struct json_want want = { .path = "endpoints[].addresses[]" };
	struct json *json = json_new();
	struct err e = { "" };
	struct client_answer a;
	int exit_code = json ? cli_call(b->cli, "GET", "/v1/status", NULL, &a) : PURSE_EXIT_FAILURE;

	if (exit_code == PURSE_EXIT_OK) {
		(void)json_scan(json, buf_ptr(&a.body), buf_len(&a.body), &want, 1, take_address, &b->targets);
		client_answer_done(&a);
	}
	json_free(json);
	if (exit_code || b->targets.v4.sin_family || b->targets.v6.sin6_family)
		return exit_code;
	(void)err_set(&e, ENOENT, "no address of an LLM endpoint is known: names cannot be resolved here; `purse status` says why");
	return cli_fail(&e, PURSE_EXIT_FAILURE);
}

/* ---- the agent */

static int make_agent(struct bypass *b)
{
	struct client_answer a;
	struct err e = { "" };
	char body[160], *slash;

	(void)snprintf(b->agent, sizeof(b->agent), "doctor-%d", (int)getpid());
	(void)snprintf(body, sizeof(body), "{\"name\":\"%s\",\"total\":\"0.01\",\"temporary\":true}", b->agent);
	int exit_code = cli_call(b->cli, "POST", "/v1/agents", body, &a);

	if (exit_code)
		return exit_code;
	record_field(&a.body, "cgroup_dir", b->dir, sizeof(b->dir));
	client_answer_done(&a);
	/* Beside the folder that agents' cgroups are in: below where the gate is attached, and no agent's. */
	(void)snprintf(b->outside, sizeof(b->outside), "%s", b->dir);
	for (int up = 0; up < 2 && (slash = strrchr(b->outside, '/')); up++)
		*slash = '\0';
	(void)snprintf(b->outside + strlen(b->outside), sizeof(b->outside) - strlen(b->outside), "/purse-%s", b->agent);
	b->targets.cgroup_dir = b->dir;
	if (cgroup_make(b->outside, &e) == 0)
		b->targets.outside_dir = b->outside;
	return PURSE_EXIT_OK;
}

static void remove_agent(struct bypass *b)
{
	struct client_answer a;
	char target[64];

	if (b->targets.outside_dir)
		(void)cgroup_remove(b->outside);
	if (!b->dir[0])
		return;
	(void)cgroup_remove(b->dir);
	(void)snprintf(target, sizeof(target), "/v1/agents/%s", b->agent);
	if (client_call(b->cli->socket, "DELETE", target, NULL, &a, NULL) == 0)
		client_answer_done(&a);
}

/* ---- telling */

static size_t count_open(const struct bypass *b, bool needs_nothing)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		n += b->results[i].end == WAY_OPEN && (b->results[i].need == WAY_NEEDS_NOTHING) == needs_nothing;
	return n;
}

static void print_json(const struct bypass *b)
{
	struct client_answer a;
	struct jsonw w;

	cli_json_begin(&w, &a);
	jsonw_bool(&w, "ok", count_open(b, true) == 0);
	jsonw_array(&w, "ways");
	for (size_t i = 0; i < b->n; i++) {
		jsonw_object(&w, NULL);
		jsonw_cstr(&w, "name", b->results[i].name);
		jsonw_cstr(&w, "tries", b->results[i].why);
		jsonw_cstr(&w, "end", b->results[i].end == WAY_OPEN ? "open" : way_end_text(b->results[i].end));
		jsonw_cstr(&w, "needs", b->results[i].need ? way_need_text(b->results[i].need) : NULL);
		jsonw_cstr(&w, "text", b->results[i].text);
		jsonw_close(&w);
	}
	jsonw_close(&w);
	(void)cli_json_print(&w, &a);
}

static void print_table(const struct bypass *b)
{
	static const char *const heads[] = { "WAY", "END", "WHAT HAPPENED", "WHAT IT TRIES" };
	size_t open = count_open(b, true), conditional = count_open(b, false);
	struct table t;
	char text[320];

	table_init(&t, heads, 4, 0);
	for (size_t i = 0; i < b->n; i++) {
		const struct way_result *r = &b->results[i];
		bool tells_need = r->end == WAY_OPEN && r->need != WAY_NEEDS_NOTHING;

		(void)snprintf(text, sizeof(text), "%s%s%s", r->text, tells_need ? "; " : "", tells_need ? way_need_text(r->need) : "");
		table_cell(&t, r->name);
		table_cell(&t, way_end_text(r->end));
		table_cell(&t, text);
		table_cell(&t, r->why);
	}
	table_print(&t, stdout);
	if (open)
		(void)printf("\n%zu ways are OPEN to an agent with nothing but its own code\n", open);
	else
		(void)printf("\nno way is open to an agent with nothing but its own code%s\n", conditional ? "" : ", with help or with capabilities");
	if (conditional)
		(void)printf("%zu ways are open to agents with help from outside or with capabilities: see above\n", conditional);
}

int doctor_bypass(struct cli *cli)
{
	struct bypass b = { .cli = cli };
	int exit_code = cli_config(cli);

	if (exit_code == PURSE_EXIT_OK)
		exit_code = find_targets(&b);
	if (exit_code == PURSE_EXIT_OK)
		exit_code = make_agent(&b);
	b.results = calloc(ways_count(), sizeof(*b.results));
	for (; b.results && exit_code == PURSE_EXIT_OK && b.n < ways_count(); b.n++)
		ways_try(b.n, &b.targets, &b.results[b.n]);
	remove_agent(&b);
	if (exit_code == PURSE_EXIT_OK) {
		if (cli->json)
			print_json(&b);
		else
			print_table(&b);
		exit_code = count_open(&b, true) ? PURSE_EXIT_FAILURE : PURSE_EXIT_OK;
	}
	free(b.results);
	return exit_code;
}
