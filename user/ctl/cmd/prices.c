// SPDX-License-Identifier: Apache-2.0
/*
 * cmd/prices.c: `purse prices`: the price list that the config names, read from its files; `show` one model's price, `history` its prices in
 * time and what calls were charged at. `import` is cmd/prices_import.c. Needs no daemon.
 */
#include "ctl/cmd/prices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "ctl/cmd/table.h"
#include "ctl/records.h"
#include "ctl/units.h"
#include "ctl_abi.h"
#include "spend/ledger/sums.h"
#include "spend/price/import.h"

int prices_in_force(struct cli *cli, struct price_list **ret)
{
	struct err e = { "" };
	int exit_code = cli_config(cli);

	if (exit_code)
		return exit_code;
	if (price_list_load(cli->config->prices.v, cli->config->prices.n, ret, &e) < 0)
		return cli_fail(&e, PURSE_EXIT_FAILURE);
	return PURSE_EXIT_OK;
}

/* ---- JSON: rates are USD per million; one femto-dollar per token is one nano-dollar per million tokens: the same integer */

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

static void json_sets(struct jsonw *w, const struct rates *sets)
{
	for (unsigned set = 0; set < RATE_SETS; set++)
		json_rates(w, price_set_words[set], &sets[set]);
}

static void json_fee(struct jsonw *w, const char *key, femtousd each, int64_t per)
{
	if (each != PRICE_UNKNOWN)
		jsonw_usd(w, key, per == 1000 ? (each + 999) / 1000 : each);
}

static void json_factors(struct jsonw *w, const char *key, const struct price_factor *f, size_t n)
{
	if (!n)
		return;
	jsonw_object(w, key);
	for (size_t i = 0; i < n; i++)
		jsonw_i64(w, f[i].name, f[i].permille);
	jsonw_close(w);
}

static void json_fees(struct jsonw *w, const struct price *p)
{
	json_fee(w, "per_request", p->per_request ? p->per_request : PRICE_UNKNOWN, 1000);
	json_fee(w, "web_search", p->per_web_search[SEARCH_CONTEXT_UNKNOWN], 1000);
	json_fee(w, "file_search", p->per_file_search, 1000);
	json_fee(w, "code_session", p->per_code_session, 1000);
	json_fee(w, "page", p->per_page, 1000);
	json_fee(w, "audio_second", p->per_audio_ms, 1000000);
	json_fee(w, "video_second", p->per_video_ms, 1000000);
	json_fee(w, "character", p->per_character, 1000000);
	if (p->nimages)
		jsonw_array(w, "image");
	for (size_t i = 0; i < p->nimages; i++) {
		jsonw_object(w, NULL);
		jsonw_cstr(w, "quality", p->images[i].quality);
		jsonw_cstr(w, "size", p->images[i].size);
		json_fee(w, "each_thousand", p->images[i].each, 1000);
		jsonw_close(w);
	}
	if (p->nimages)
		jsonw_close(w);
}

static void json_longs(struct jsonw *w, const struct price *p)
{
	if (!p->nlongs)
		return;
	jsonw_array(w, "long_context");
	for (size_t i = 0; i < p->nlongs; i++) {
		jsonw_object(w, NULL);
		jsonw_i64(w, "above", p->longs[i].above);
		jsonw_bool(w, "inclusive", p->longs[i].inclusive);
		json_sets(w, p->longs[i].sets);
		jsonw_close(w);
	}
	jsonw_close(w);
}

static void json_day(struct jsonw *w, const char *key, int64_t at_s)
{
	char mem[40];

	if (at_s)
		jsonw_cstr(w, key, units_show_time(at_s * 1000000000, false, mem, sizeof(mem)));
}

void prices_json(struct jsonw *w, const char *key, const struct price *p)
{
	jsonw_object(w, key);
	jsonw_cstr(w, "provider", p->provider);
	jsonw_cstr(w, "model", p->model);
	jsonw_cstr(w, "as_of", p->as_of);
	jsonw_cstr(w, "source", p->source);
	json_day(w, "from", p->from_s);
	json_day(w, "to", p->to_s);
	json_sets(w, p->sets);
	json_longs(w, p);
	jsonw_bool(w, "off_peak", p->noff_peak > 0);
	if (p->fast_permille)
		jsonw_i64(w, "fast_permille", p->fast_permille);
	json_factors(w, "geo_permille", p->geo, p->ngeo);
	json_factors(w, "regional_permille", p->regional, p->nregional);
	json_fees(w, p);
	if (p->max_input >= 0)
		jsonw_i64(w, "max_input", p->max_input);
	if (p->max_output >= 0)
		jsonw_i64(w, "max_output", p->max_output);
	jsonw_close(w);
}

static void json_begin(struct jsonw *w, struct client_answer *a)
{
	cli_json_begin(w, a);
	jsonw_cstr(w, "unit", "USD per million tokens, milliseconds or characters; per thousand of anything else");
}

/* ---- the list */

static void rate_cell(struct table *t, femtousd rate)
{
	char mem[32];

	table_cell(t, rate == PRICE_UNKNOWN ? "" : usd_show_short(rate, mem, sizeof(mem)));
}

static const char *const heads[] = { "PROVIDER", "MODEL", "INPUT", "CACHE READ", "CACHE WRITE", "OUTPUT", "MAX OUTPUT", "AS OF" };

static void table_row(struct table *t, const struct price *p)
{
	const struct rates *r = &p->sets[TIER_STANDARD];

	table_cell(t, p->provider);
	table_cell(t, p->model);
	rate_cell(t, r->input);
	rate_cell(t, r->cache_read);
	rate_cell(t, r->cache_write_5m);
	rate_cell(t, r->output);
	if (p->max_output < 0)
		table_cell(t, "");
	else
		table_cellf(t, "%lld", (long long)p->max_output);
	table_cell(t, p->as_of);
}

static bool is_wanted(const struct price *p, const char *provider) { return !provider || strcmp(p->provider, provider) == 0; }

static int list_json(const struct price_list *l, const char *provider)
{
	struct client_answer a;
	struct jsonw w;

	json_begin(&w, &a);
	jsonw_array(&w, "prices");
	for (size_t i = 0; i < price_list_count(l); i++)
		if (is_wanted(price_list_at(l, i), provider))
			prices_json(&w, NULL, price_list_at(l, i));
	jsonw_close(&w);
	return cli_json_print(&w, &a);
}

static bool has_provider(const struct price_list *l, const char *provider)
{
	for (size_t i = 0; i < price_list_count(l); i++)
		if (is_wanted(price_list_at(l, i), provider))
			return true;
	return false;
}

static int list_table(const struct price_list *l, const char *provider)
{
	struct table t;
	struct err e;

	if (provider && !has_provider(l, provider)) {
		(void)err_set(&e, ENOENT, "provider \"%s\" is not in the price list; `purse prices` lists what there is", provider);
		return cli_fail(&e, PURSE_EXIT_FAILURE);
	}
	table_init(&t, heads, 8, 0x7c);
	for (size_t i = 0; i < price_list_count(l); i++)
		if (is_wanted(price_list_at(l, i), provider))
			table_row(&t, price_list_at(l, i));
	(void)printf("USD per million tokens, standard tier; `purse prices show MODEL` has all of one, --json all of everything\n\n");
	table_print(&t, stdout);
	return PURSE_EXIT_OK;
}

/* ---- one model */

#define PROVIDERS_MAX 64

/* The providers of the list, each once. */
static size_t providers_of(const struct price_list *l, const char *only, const char **ret)
{
	size_t n = 0;

	for (size_t i = 0; i < price_list_count(l) && n < PROVIDERS_MAX; i++) {
		const struct price *p = price_list_at(l, i);
		size_t k = 0;

		while (k < n && strcmp(ret[k], p->provider))
			k++;
		if (k == n && is_wanted(p, only))
			ret[n++] = p->provider;
	}
	return n;
}

static int not_listed(const char *model, const char *provider)
{
	struct err e;

	(void)err_set(&e, ENOENT, "no price for model \"%s\"%s%s: calls of it are refused; `purse prices` lists what there is", model,
		      provider ? " at " : "", provider ? provider : "");
	return cli_fail(&e, PURSE_EXIT_FAILURE);
}

static int print_own_form(const struct price *const *prices, size_t n)
{
	struct price_writer w;
	struct buf b;

	buf_init(&b, CTL_ANSWER_MAX);
	price_write_begin(&w, &b, "USD per million tokens, characters or milliseconds; per thousand of anything else");
	price_write_model(&w, prices, n, NULL, 0);
	int r = price_write_end(&w);

	if (r == 0)
		(void)fwrite(buf_ptr(&b), 1, buf_len(&b), stdout);
	buf_done(&b);
	return r < 0 ? PURSE_EXIT_FAILURE : PURSE_EXIT_OK;
}

static int show_one(struct cli *cli, const struct price_list *l, const struct price *p, struct jsonw *w)
{
	(void)cli;
	(void)l;
	if (!w)
		return print_own_form(&p, 1);
	prices_json(w, NULL, p);
	return PURSE_EXIT_OK;
}

/* ---- history: what the list says by date, and what the ledger was charged at */

#define USES_MAX 256

struct use {
	char price[LEDGER_PRICE_MAX];
	int64_t first_s, last_s, calls;
	nanousd cost;
};
struct uses {
	const char *prefix; /* "openai/gpt-5@": of this model only */
	struct use v[USES_MAX];
	size_t n, dropped;
};

static void take_line(void *ctx, const struct ledger_bill_line *line)
{
	struct uses *u = ctx;
	size_t i = 0;

	if (strncmp(line->price, u->prefix, strlen(u->prefix)))
		return;
	while (i < u->n && strcmp(u->v[i].price, line->price))
		i++;
	if (i == USES_MAX) {
		u->dropped++;
		return;
	}
	struct use *use = &u->v[i];

	if (i == u->n) {
		(void)snprintf(use->price, sizeof(use->price), "%s", line->price);
		use->first_s = line->day_s;
		use->calls = use->cost = 0;
		u->n++;
	}
	use->last_s = line->day_s;
	use->calls += line->sum.calls;
	use->cost += line->sum.cost;
}

/* Without a ledger there is no use yet, which is no error. */
static int read_uses(struct cli *cli, const struct price *p, struct uses *u)
{
	char path[1200], prefix[300];
	struct ledger *ledger = NULL;
	struct err e = { "" };
	int r = 0;

	(void)config_place(cli->config->state_dir, PURSE_LEDGER_NAME, path, sizeof(path));
	if (access(path, F_OK) < 0)
		return PURSE_EXIT_OK;
	if (ledger_peek(path, &ledger, &e) < 0)
		return cli_fail(&e, PURSE_EXIT_FAILURE);
	(void)snprintf(prefix, sizeof(prefix), "%s/%s@", p->provider, p->model);
	u->prefix = prefix;
	for (size_t i = 0; r == 0 && i < cli->config->providers.n; i++)
		if (!strcmp(cli->config->providers.v[i].prices_as, p->provider))
			r = ledger_bill(ledger, cli->config->providers.v[i].name, 0, INT64_MAX / 1000000000, true, take_line, u, &e);
	(void)ledger_close(ledger);
	u->prefix = NULL;
	return r < 0 ? cli_fail(&e, PURSE_EXIT_FAILURE) : PURSE_EXIT_OK;
}

static void uses_table(const struct uses *u)
{
	static const char *const use_heads[] = { "PRICE", "CALLS", "COST", "FIRST DAY", "LAST DAY" };
	char mem[40];
	struct table t;

	table_init(&t, use_heads, 5, 0x6);
	for (size_t i = 0; i < u->n; i++) {
		table_cell(&t, u->v[i].price);
		table_cellf(&t, "%lld", (long long)u->v[i].calls);
		table_cell(&t, usd_show_short(u->v[i].cost, mem, sizeof(mem)));
		table_cellf(&t, "%.10s", units_show_time(u->v[i].first_s * 1000000000, false, mem, sizeof(mem)));
		table_cellf(&t, "%.10s", units_show_time(u->v[i].last_s * 1000000000, false, mem, sizeof(mem)));
	}
	(void)printf(u->n ? "\n# charged so far\n" : "\n# nothing was charged at these prices yet\n");
	if (u->n)
		table_print(&t, stdout);
}

static void uses_json(struct jsonw *w, const struct uses *u)
{
	char mem[40];

	jsonw_array(w, "charged");
	for (size_t i = 0; i < u->n; i++) {
		jsonw_object(w, NULL);
		jsonw_cstr(w, "price", u->v[i].price);
		jsonw_i64(w, "calls", u->v[i].calls);
		jsonw_usd(w, "cost_usd", u->v[i].cost);
		jsonw_cstr(w, "first_day", units_show_time(u->v[i].first_s * 1000000000, false, mem, sizeof(mem)));
		jsonw_cstr(w, "last_day", units_show_time(u->v[i].last_s * 1000000000, false, mem, sizeof(mem)));
		jsonw_close(w);
	}
	jsonw_close(w);
}

#define DATED_MAX 64

/* All entries of the model that p is of. */
static size_t dated(const struct price_list *l, const struct price *p, const struct price **ret)
{
	size_t n = 0;

	for (size_t i = 0; i < price_list_count(l) && n < DATED_MAX; i++) {
		const struct price *q = price_list_at(l, i);

		if (!strcmp(q->provider, p->provider) && !strcmp(q->model, p->model))
			ret[n++] = q;
	}
	return n;
}

static int history_of(struct cli *cli, const struct price_list *l, const struct price *p, struct jsonw *w)
{
	struct uses *u = calloc(1, sizeof(*u));
	const struct price *all[DATED_MAX];
	size_t n = dated(l, p, all);
	int exit_code = u ? read_uses(cli, p, u) : PURSE_EXIT_FAILURE;

	if (!exit_code && w) {
		jsonw_object(w, NULL);
		jsonw_cstr(w, "provider", p->provider);
		jsonw_cstr(w, "model", p->model);
		jsonw_array(w, "listed");
		for (size_t i = 0; i < n; i++)
			prices_json(w, NULL, all[i]);
		jsonw_close(w);
		uses_json(w, u);
		jsonw_close(w);
	} else if (!exit_code) {
		exit_code = print_own_form(all, n);
		uses_table(u);
	}
	free(u);
	return exit_code;
}

/* ---- one model at every provider that has it, or at one */

struct view {
	const char *list; /* what the JSON calls them */
	int (*one)(struct cli *cli, const struct price_list *l, const struct price *p, struct jsonw *w); /* w NULL = for people */
};
static const struct view view_prices = { .list = "prices", .one = show_one };
static const struct view view_history = { .list = "models", .one = history_of };

static int look(struct cli *cli, const struct price_list *l, const char *model, const char *provider, int64_t at_s,
		const struct view *view)
{
	const char *providers[PROVIDERS_MAX];
	size_t n = providers_of(l, provider, providers), found = 0;
	struct client_answer a;
	struct jsonw w;
	int exit_code = PURSE_EXIT_OK;

	if (cli->json) {
		json_begin(&w, &a);
		jsonw_array(&w, view->list);
	}
	for (size_t i = 0; i < n && !exit_code; i++) {
		const struct price *p = price_find(l, providers[i], model, at_s);

		if (!p)
			continue;
		found++;
		exit_code = view->one(cli, l, p, cli->json ? &w : NULL);
	}
	if (cli->json) {
		jsonw_close(&w);
		int printed = cli_json_print(&w, &a);

		exit_code = exit_code ? exit_code : printed;
	}
	return found || exit_code ? exit_code : not_listed(model, provider);
}

/* ---- the daemon's */

static int reload(struct cli *cli)
{
	char note[256] = "";
	struct client_answer a;
	int exit_code = cli_call(cli, "POST", "/v1/reload", NULL, &a);

	if (exit_code)
		return exit_code;
	record_field(&a.body, "note", note, sizeof(note));
	if (cli->json)
		exit_code = cli_print_json(&a);
	else
		(void)printf("the daemon has read its price lists again; %s\n", note);
	client_answer_done(&a);
	return exit_code;
}

/* ---- the command */

struct flags {
	const char *provider;
	int64_t at_s;
};
static const struct args_row rows[] = {
	{ .name = "--provider", .type = ARGS_TEXT, .offset = offsetof(struct flags, provider), .value = "NAME", .help = "of this provider only" },
	{ .name = "--at", .type = ARGS_TIME, .offset = offsetof(struct flags, at_s), .value = "T", .help = "show: as it is then; default now" },
};

int cmd_prices(struct cli *cli, const struct command *self, char **argv)
{
	struct flags f = { .at_s = cli_now_s() };
	struct price_list *l = NULL;
	struct err e = { "" };
	struct args args;
	bool done;

	if (argv[0] && !strcmp(argv[0], "import"))
		return cmd_prices_import(cli, self, argv + 1);
	int exit_code = cli_args(cli, self, rows, sizeof(rows) / sizeof(rows[0]), &f, argv, 0, 2, &args, &done);

	if (done)
		return exit_code;
	if (args.nwords == 1 && !strcmp(args.words[0], "reload"))
		return reload(cli);
	bool is_show = args.nwords == 2 && !strcmp(args.words[0], "show"), is_history = args.nwords == 2 && !strcmp(args.words[0], "history");

	if (args.nwords && !is_show && !is_history) {
		(void)err_set(&e, EINVAL, "\"%s\" is not understood here; write `purse prices`, `purse prices show MODEL`, `purse prices history "
			      "MODEL`, `purse prices import FILE` or `purse prices reload`", args.words[args.nwords - 1]);
		return cli_usage(self, &e);
	}
	exit_code = prices_in_force(cli, &l);
	if (exit_code)
		return exit_code;
	if (is_show)
		exit_code = look(cli, l, args.words[1], f.provider, f.at_s, &view_prices);
	else if (is_history)
		exit_code = look(cli, l, args.words[1], f.provider, f.at_s, &view_history);
	else
		exit_code = cli->json ? list_json(l, f.provider) : list_table(l, f.provider);
	price_list_unref(l);
	return exit_code;
}
