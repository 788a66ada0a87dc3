// SPDX-License-Identifier: Apache-2.0
/* cmd/endpoints.c: `purse endpoints`: which addresses the gate takes for LLM providers, and how it knows. */
#include <stdlib.h>
#include <string.h>

#include "ctl/cmd/cmd.h"
#include "ctl/records.h"
#include "ctl/cmd/table.h"
#include "ctl_abi.h"

enum { H_PROVIDER, H_HOST, H_WILDCARD, H_TTL, H_ERROR, H_COUNT };
static const char *const host_fields[] = { "provider", "host", "wildcard", "ttl_s", "error" };
static const char *const host_heads[] = { "PROVIDER", "HOST", "TTL LEFT", "LAST ERROR" };
enum { A_HOST, A_ADDRESS, A_CLASS, A_KNOWN_BY, A_PROVEN, A_TAUGHT_BY, A_AGE, A_LEAVES, A_COUNT };
static const char *const address_fields[] = { "host", "address", "class", "known_by", "proven", "taught_by", "age_s", "leaves_s" };
static const char *const address_heads[] = { "HOST", "ADDRESS", "CLASS", "KNOWN BY", "BROUGHT UP BY", "AGE", "LEAVES IN" };
static const char *const range_fields[] = { "provider", "range", "class" };

/* "125" -> "2m 5s"; "" -> none. */
static void seconds(struct table *t, const char *text, const char *none)
{
	long s = strtol(text, NULL, 10);

	if (!text[0])
		table_cell(t, none);
	else if (s >= 3600)
		table_cellf(t, "%ldh %ldm", s / 3600, s / 60 % 60);
	else if (s >= 60)
		table_cellf(t, "%ldm %lds", s / 60, s % 60);
	else
		table_cellf(t, "%lds", s);
}

static void show_host(void *ctx, const char *const *v)
{
	struct table *t = ctx;

	table_cell(t, v[H_PROVIDER]);
	table_cell(t, v[H_HOST]);
	seconds(t, v[H_TTL], strcmp(v[H_WILDCARD], "true") == 0 ? "not asked: by SNI only" : "not asked: addresses in the config");
	table_cell(t, v[H_ERROR]);
}

static void show_address(void *ctx, const char *const *v)
{
	struct table *t = ctx;

	table_cell(t, v[A_HOST]);
	table_cell(t, v[A_ADDRESS]);
	table_cell(t, v[A_CLASS]);
	table_cellf(t, "%s%s", v[A_KNOWN_BY], strcmp(v[A_PROVEN], "true") == 0 && strcmp(v[A_KNOWN_BY], "sni") != 0 ? ", sni" : "");
	table_cell(t, v[A_TAUGHT_BY]);
	seconds(t, v[A_AGE], "-");
	seconds(t, v[A_LEAVES], "stays");
}

static void show_range(void *ctx, const char *const *v)
{
	struct table *t = ctx;

	table_cell(t, v[0]);
	table_cell(t, v[1]);
	table_cell(t, v[2]);
	table_cell(t, "config, range");
	table_cell(t, "");
	table_cell(t, "");
	table_cell(t, "stays");
}

int cmd_endpoints(struct cli *cli, const struct command *self, char **argv)
{
	struct client_answer a;
	struct table hosts, addresses;
	struct args args;
	bool done;
	int exit_code = cli_args(cli, self, NULL, 0, NULL, argv, 0, 0, &args, &done);

	if (done)
		return exit_code;
	exit_code = cli_get(cli, "/v1/endpoints", &a, &done);
	if (done)
		return exit_code;
	table_init(&hosts, host_heads, 4, 0);
	table_init(&addresses, address_heads, 7, 0);
	int r = records_read(&a.body, "endpoints[]", host_fields, H_COUNT, show_host, &hosts);
	if (r == 0)
		r = records_read(&a.body, "endpoints[].addresses[]", address_fields, A_COUNT, show_address, &addresses);
	if (r == 0)
		r = records_read(&a.body, "ranges[]", range_fields, 3, show_range, &addresses);
	table_print(&hosts, stdout);
	(void)printf("\n");
	table_print(&addresses, stdout);
	client_answer_done(&a);
	return r ? PURSE_EXIT_FAILURE : PURSE_EXIT_OK;
}
