// SPDX-License-Identifier: Apache-2.0
/* cmd_prices.c: `purse prices`: the price list that the config names, read from its files. Needs no daemon. */
#include <errno.h>
#include <string.h>

#include "base/jsonw.h"
#include "base/str.h"
#include "ctl/cmd.h"
#include "ctl/table.h"
#include "ctl_abi.h"
#include "spend/price.h"

/* One femto-dollar per token is one nano-dollar per million tokens: the same integer, shown as money. */
static void rate_cell(struct table *t, femtousd rate)
{
	char mem[32];

	table_cell(t, rate == PRICE_UNKNOWN ? "" : usd_show_short(rate, mem, sizeof(mem)));
}

static const char *const heads[] = { "PROVIDER", "MODEL", "INPUT", "CACHE READ", "CACHE WRITE", "OUTPUT", "MAX OUTPUT", "AS OF" };

static void table_row(struct table *t, const struct price *p)
{
	table_cell(t, p->provider);
	table_cell(t, p->model);
	rate_cell(t, p->sets[TIER_STANDARD].input);
	rate_cell(t, p->sets[TIER_STANDARD].cache_read);
	rate_cell(t, p->sets[TIER_STANDARD].cache_write_5m);
	rate_cell(t, p->sets[TIER_STANDARD].output);
	if (p->max_output < 0)
		table_cell(t, "");
	else
		table_cellf(t, "%lld", (long long)p->max_output);
	table_cell(t, p->as_of);
}

static void json_rates(struct jsonw *w, const char *key, const struct rates *r)
{
	struct rates copy = *r;

	if (r->input == PRICE_UNKNOWN)
		return;
	jsonw_object(w, key);
	for (size_t i = 0; price_rate_rows[i].key; i++)
		if (*price_rate(&copy, i) != PRICE_UNKNOWN)
			jsonw_usd(w, price_rate_rows[i].key, *price_rate(&copy, i));
	jsonw_close(w);
}

static void json_row(struct jsonw *w, const struct price *p)
{
	jsonw_object(w, NULL);
	jsonw_cstr(w, "provider", p->provider);
	jsonw_cstr(w, "model", p->model);
	jsonw_cstr(w, "as_of", p->as_of);
	jsonw_cstr(w, "source", p->source);
	for (unsigned set = 0; set < RATE_SETS; set++)
		json_rates(w, price_set_words[set], &p->sets[set]);
	if (p->max_input >= 0)
		jsonw_i64(w, "max_input", p->max_input);
	if (p->max_output >= 0)
		jsonw_i64(w, "max_output", p->max_output);
	jsonw_close(w);
}

static bool is_wanted(const struct price *p, const char *provider)
{
	return !provider || strcmp(p->provider, provider) == 0;
}

static int print_json(const struct price_list *l, const char *provider)
{
	struct client_answer a = { 0 };
	struct jsonw w;

	buf_init(&a.body, CTL_ANSWER_MAX);
	jsonw_init(&w, &a.body);
	jsonw_object(&w, NULL);
	jsonw_cstr(&w, "unit", "USD per million tokens");
	jsonw_array(&w, "prices");
	for (size_t i = 0; i < price_list_count(l); i++)
		if (is_wanted(price_list_at(l, i), provider))
			json_row(&w, price_list_at(l, i));
	jsonw_close(&w);
	jsonw_close(&w);
	int exit_code = jsonw_end(&w) < 0 ? PURSE_EXIT_FAILURE : cli_print_json(&a);

	client_answer_done(&a);
	return exit_code;
}

static int print_table(const struct price_list *l, const char *provider)
{
	struct table t;

	table_init(&t, heads, 8, 0x7c);
	for (size_t i = 0; i < price_list_count(l); i++)
		if (is_wanted(price_list_at(l, i), provider))
			table_row(&t, price_list_at(l, i));
	(void)printf("USD per million tokens, standard tier; --json shows all tiers and sources\n\n");
	table_print(&t, stdout);
	return PURSE_EXIT_OK;
}

int cmd_prices(struct cli *cli, const struct command *self, char **argv)
{
	struct {
		const char *provider;
	} f = { 0 };
	static const struct args_row rows[] = {
		{ .name = "--provider", .type = ARGS_TEXT, .offset = 0, .value = "NAME", .help = "of this provider only" },
	};
	struct price_list *l = NULL;
	struct err e = { "" };
	struct args args;
	bool done;
	int exit_code = cli_args(cli, self, rows, 1, &f, argv, 0, 0, &args, &done);

	if (done)
		return exit_code;
	exit_code = cli_config(cli);
	if (exit_code)
		return exit_code;
	if (price_list_load(cli->config->prices.v, cli->config->prices.n, &l, &e) < 0)
		return cli_fail(&e, PURSE_EXIT_FAILURE);
	exit_code = cli->json ? print_json(l, f.provider) : print_table(l, f.provider);
	price_list_unref(l);
	return exit_code;
}
