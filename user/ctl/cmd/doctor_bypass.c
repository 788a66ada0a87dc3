// SPDX-License-Identifier: Apache-2.0
/* doctor_bypass.c: see doctor_bypass.h. The agent, its cgroup and the one outside are removed again whatever comes. */
#include "ctl/cmd/doctor_bypass.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/json.h"
#include "base/jsonw.h"
#include "base/str.h"
#include "ctl/cmd/cmd.h"
#include "ctl/records.h"
#include "ctl_abi.h"
#include "kern/cgroup.h"
#include "kern/ways.h"

#define LLM_PORT 443

struct bypass {
	struct cli *cli;
	char agent[32];
	char host[256], host_of_address[256]; /* the one that is being read, and whose address was taken */
	char dir[1024], outside[1100];
	struct way_targets targets;
	struct way_result *results;
	size_t n;
};

/* ---- targets: an endpoint's name and its first address of each family; the daemon knows that they belong together */

enum { WANT_HOST, WANT_ADDRESS };

static void take_endpoint(void *ctx, int id, const struct json_value *v)
{
	struct bypass *b = ctx;
	struct way_targets *t = &b->targets;
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(LLM_PORT) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(LLM_PORT) };
	char text[256];

	if (v->kind != JSON_STRING || !str_copy(text, sizeof(text), v->s))
		return;
	if (id == WANT_HOST) {
		(void)snprintf(b->host, sizeof(b->host), "%s%.240s", text[0] == '.' ? "purse-doctor" : "", text);
		return;
	}
	/* Of the endpoint that came first, if it has both. */
	if (t->host && strcmp(b->host, t->host) != 0 && t->v4.sin_family && t->v6.sin6_family)
		return;
	if (!t->v4.sin_family && inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		t->v4 = v4;
	else if (!t->v6.sin6_family && inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
		t->v6 = v6;
	else
		return;
	/* What is said in TLS is said to the IPv4 address, if there is one. */
	if (!t->host || inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
		memcpy(b->host_of_address, b->host, sizeof(b->host));
		t->host = b->host_of_address;
	}
}

static int find_targets(struct bypass *b)
{
	static const struct json_want wants[] = {
		[WANT_HOST] = { .path = "endpoints[].host", .id = WANT_HOST },
		[WANT_ADDRESS] = { .path = "endpoints[].addresses[]", .id = WANT_ADDRESS },
	};
	struct json *json = json_new();
	struct err e = { "" };
	struct client_answer a;
	char port[16];
	int exit_code = json ? cli_call(b->cli, "GET", "/v1/status", NULL, &a) : PURSE_EXIT_FAILURE;

	if (exit_code == PURSE_EXIT_OK) {
		(void)json_scan(json, buf_ptr(&a.body), buf_len(&a.body), wants, 2, take_endpoint, b);
		record_field(&a.body, "daemon.port4", port, sizeof(port));
		b->targets.port4 = (uint16_t)strtoul(port, NULL, 10);
		client_answer_done(&a);
	}
	json_free(json);
	if (exit_code || b->targets.v4.sin_family || b->targets.v6.sin6_family)
		return exit_code;
	(void)err_set(&e, ENOENT, "no address of an LLM endpoint is known: names cannot be resolved here; `purse status` says why");
	return cli_fail(&e, PURSE_EXIT_FAILURE);
}

/* ---- the agent */

/* As way_targets.enrol, in a child: a second agent, of a cgroup that is there already. */
static int enrol(void *ctx, const char *dir, bool on)
{
	const struct bypass *b = ctx;
	char mount[600], body[1600], target[96];
	struct client_answer a;
	size_t n;
	/* The folder's own name is unique on this machine while we live. */
	const char *name = strrchr(dir, '/') + strlen("/purse-");

	if (cgroup_mount(mount, sizeof(mount), NULL) < 0 || strncmp(dir, mount, n = strlen(mount)) != 0)
		return -ENOENT;
	(void)snprintf(target, sizeof(target), "/v1/agents/%.64s", name);
	(void)snprintf(body, sizeof(body), "{\"name\":\"%.64s\",\"cgroup\":\"%.1200s\",\"total\":\"0.01\",\"temporary\":true}", name, dir + n);
	int r = client_call(b->cli->socket, on ? "POST" : "DELETE", on ? "/v1/agents" : target, on ? body : NULL, &a, NULL);

	if (r < 0)
		return r;
	r = a.status / 100 == 2 ? 0 : -EPROTO;
	client_answer_done(&a);
	return r;
}

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
	b->targets.enrol = enrol;
	b->targets.ctx = b;
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

static size_t count(const struct bypass *b, enum way_end end, bool needs_nothing)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		n += b->results[i].end == end && (b->results[i].need == WAY_NEEDS_NOTHING) == needs_nothing;
	return n;
}

static size_t count_all(const struct bypass *b, enum way_end end) { return count(b, end, true) + count(b, end, false); }

static bool is_well(const struct bypass *b) { return count(b, WAY_OPEN, true) + count_all(b, WAY_BROKEN) == 0; }

static const char *end_word(enum way_end end)
{
	return end == WAY_OPEN ? "open" : end == WAY_BROKEN ? "broken" : way_end_text(end);
}

static void print_json(const struct bypass *b)
{
	struct client_answer a;
	struct jsonw w;

	cli_json_begin(&w, &a);
	jsonw_bool(&w, "ok", is_well(b));
	jsonw_array(&w, "ways");
	for (size_t i = 0; i < b->n; i++) {
		jsonw_object(&w, NULL);
		jsonw_i64(&w, "no", b->results[i].no);
		jsonw_cstr(&w, "name", b->results[i].name);
		jsonw_cstr(&w, "tries", b->results[i].why);
		jsonw_cstr(&w, "end", end_word(b->results[i].end));
		jsonw_cstr(&w, "needs", b->results[i].need ? way_need_text(b->results[i].need) : NULL);
		jsonw_cstr(&w, "text", b->results[i].text);
		jsonw_close(&w);
	}
	jsonw_close(&w);
	(void)cli_json_print(&w, &a);
}

/* ---- one line per way; on a terminal what happened goes on below itself */

#define NAME_COLUMN 4 /* behind the number */
#define NAME_WIDTH 25
#define END_WIDTH 10
#define TEXT_COLUMN (NAME_COLUMN + NAME_WIDTH + 1 + END_WIDTH + 2)
#define TEXT_WIDTH_MIN 24

static size_t text_width(void)
{
	struct winsize size = { 0 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return SIZE_MAX;
	return size.ws_col > TEXT_COLUMN + TEXT_WIDTH_MIN ? size.ws_col - TEXT_COLUMN : TEXT_WIDTH_MIN;
}

/* How much of the text stands on this line: up to a blank, if there is one. */
static size_t line_length(const char *text, size_t width)
{
	size_t n = strlen(text), at = width;

	if (n <= width)
		return n;
	while (at > 0 && text[at] != ' ')
		at--;
	return at > 0 ? at : width;
}

static void print_wrapped(const char *text, size_t width)
{
	for (;;) {
		size_t n = line_length(text, width);

		(void)printf("%.*s\n", (int)n, text);
		text += n + strspn(text + n, " ");
		if (!*text)
			return;
		(void)printf("%*s", TEXT_COLUMN, "");
	}
}

static void print_way(const struct way_result *r, size_t width)
{
	bool tells_need = r->end == WAY_OPEN && r->need != WAY_NEEDS_NOTHING, tells_why = r->end == WAY_OPEN || r->end == WAY_BROKEN || r->end == WAY_UNTESTED;
	char text[640];

	(void)snprintf(text, sizeof(text), "%s%s%s%s%s%s", r->text, tells_need ? "; " : "", tells_need ? way_need_text(r->need) : "",
		       tells_why ? " (" : "", tells_why ? r->why : "", tells_why ? ")" : "");
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	(void)printf("%*u %-*s %-*s  ", NAME_COLUMN - 1, r->no, NAME_WIDTH, r->name, END_WIDTH, way_end_text(r->end));
	print_wrapped(text, width);
}

static void print_summary(const struct bypass *b)
{
	size_t open = count(b, WAY_OPEN, true), conditional = count(b, WAY_OPEN, false), broken = count_all(b, WAY_BROKEN);

	(void)printf("\n%zu ways: %zu captured, %zu blocked, %zu not tested\n", b->n, count_all(b, WAY_CAPTURED), count_all(b, WAY_BLOCKED),
		     count_all(b, WAY_UNTESTED));
	if (broken)
		(void)printf("%zu lead to purse, which does not answer as it should: BROKEN, see above\n", broken);
	if (open)
		(void)printf("%zu ways are OPEN to an agent with nothing but its own code\n", open);
	else
		(void)printf("no way is open to an agent with nothing but its own code%s\n", conditional ? "" : ", with help or with capabilities");
	if (conditional)
		(void)printf("%zu ways are open with help from outside or with capabilities: see above\n", conditional);
}

static void print_table(const struct bypass *b)
{
	size_t width = text_width();

	(void)printf("%*s %-*s %-*s  %s\n", NAME_COLUMN - 1, "NO", NAME_WIDTH, "WAY", END_WIDTH, "END", "WHAT HAPPENED");
	for (size_t i = 0; i < b->n; i++)
		print_way(&b->results[i], width);
	print_summary(b);
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
		exit_code = is_well(&b) ? PURSE_EXIT_OK : PURSE_EXIT_FAILURE;
	}
	free(b.results);
	return exit_code;
}
