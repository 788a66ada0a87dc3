// SPDX-License-Identifier: Apache-2.0
/*
 * cmd/estimate.c: `purse estimate FILE|-`: what a request body would cost, without sending it: the same reader, price list and bounds as the
 * daemon's. Needs no daemon, no key and no network. It tells bounds, not a forecast: nobody knows how long an answer gets.
 *
 * With --agent the daemon is asked whether it would let that agent make such a call now (cmd/estimate_fit.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/jsonw.h"
#include "base/str.h"
#include "ctl/cmd/cmd.h"
#include "ctl/cmd/estimate_fit.h"
#include "ctl/units.h"
#include "ctl_abi.h"
#include "provider/provider.h"
#include "spend/bound.h"
#include "spend/cost_ask.h"

struct flags {
	const char *provider, *endpoint, *agent;
};
#define AT(member) offsetof(struct flags, member)
static const char *const endpoint_words[] = { "chat", "responses", "completions", "embeddings", "messages", "images", "speech", NULL };
static const enum endpoint endpoints[] = { ENDPOINT_OPENAI_CHAT, ENDPOINT_OPENAI_RESPONSES, ENDPOINT_OPENAI_COMPLETIONS,
					   ENDPOINT_OPENAI_EMBEDDINGS, ENDPOINT_ANTHROPIC_MESSAGES, ENDPOINT_OPENAI_IMAGES, ENDPOINT_OPENAI_SPEECH };
static const struct args_row rows[] = {
	{ .name = "--provider", .type = ARGS_TEXT, .offset = AT(provider), .value = "NAME", .help = "of the config; default: the first that has the model" },
	{ .name = "--endpoint", .type = ARGS_WORD, .offset = AT(endpoint), .words = endpoint_words,
	  .help = "chat, responses, completions, embeddings, messages, images, speech; default: by the dialect and the body" },
	{ .name = "--agent", .type = ARGS_TEXT, .offset = AT(agent), .value = "NAME",
	  .help = "would it fit into this agent's budget and rules now? Asks the daemon; exit code 1: no" },
};

struct estimate {
	const struct config_provider *provider;
	enum endpoint endpoint;
	struct ask ask;
	const struct price *price;
	struct cost_bounds bounds;
	nanousd ceiling, first; /* first: what a rolling hold starts with; -1 = it does not roll */
	nanousd input_only, all; /* input at a quarter of its bytes, alone and with all output that is allowed; -1 = not known */
	int64_t tokens;         /* a guess of the input: four bytes each */
	int64_t output;         /* the most; -1 = not bounded */
	char region[16];
};

/* ---- reading */

static int read_body(const char *path, size_t most, struct buf *b, struct err *e)
{
	int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	ssize_t n = 0;

	if (fd < 0)
		return err_set(e, errno, "%s: %s", path, strerror(errno));
	while (buf_len(b) <= most) {
		char *to = buf_reserve(b, 65536);

		n = to ? read(fd, to, 65536) : -1;
		if (n <= 0)
			break;
		buf_grew(b, (size_t)n);
	}
	if (fd != STDIN_FILENO)
		(void)close(fd);
	if (buf_len(b) > most)
		return err_set(e, EFBIG, "%s: is larger than body_max (%zu bytes); the daemon would refuse it", path, most);
	if (n < 0)
		return err_set(e, EIO, "%s: cannot be read", path);
	return buf_len(b) ? 0 : err_set(e, EINVAL, "%s: is empty; a request body in JSON is expected", path);
}

static void has_key(void *ctx, int id, const struct json_value *v)
{
	(void)v;
	((bool *)ctx)[id] = true;
}

/* A body says by its own keys what it is for. */
static enum endpoint guess_endpoint(struct json *j, const struct buf *b, bool anthropic)
{
	static const struct json_want wants[] = { { "messages", 0 }, { "input", 1 }, { "prompt", 2 }, { "size", 3 }, { "voice", 4 }, { "encoding_format", 5 } };
	bool has[6] = { false };

	if (anthropic)
		return ENDPOINT_ANTHROPIC_MESSAGES;
	if (json_scan(j, buf_ptr(b), buf_len(b), wants, 6, has_key, has) < 0)
		return ENDPOINT_OPENAI_CHAT; /* the reader says what is wrong with it */
	if (has[0])
		return ENDPOINT_OPENAI_CHAT;
	if (has[4])
		return ENDPOINT_OPENAI_SPEECH;
	if (has[5])
		return ENDPOINT_OPENAI_EMBEDDINGS;
	if (has[1])
		return ENDPOINT_OPENAI_RESPONSES;
	return has[2] && has[3] ? ENDPOINT_OPENAI_IMAGES : ENDPOINT_OPENAI_COMPLETIONS;
}

static enum endpoint endpoint_of(const struct flags *f, struct json *j, const struct buf *b, const struct config_provider *p)
{
	for (size_t i = 0; f->endpoint && endpoint_words[i]; i++)
		if (!strcmp(f->endpoint, endpoint_words[i]))
			return endpoints[i];
	return guess_endpoint(j, b, !strcmp(p->dialect, "anthropic"));
}

/* -EINVAL: this provider cannot read it. -ENOENT: no price. */
static int try_provider(const struct flags *f, struct json *j, const struct buf *b, const struct price_list *l, int64_t now_s,
			struct estimate *ret, struct err *e)
{
	const struct provider_ops *ops = provider_find(ret->provider->dialect);

	ret->endpoint = endpoint_of(f, j, b, ret->provider);
	if (!ops || ops->read_request(j, ret->endpoint, buf_ptr(b), buf_len(b), &ret->ask, e) < 0)
		return -EINVAL;
	ret->price = price_find(l, ret->provider->prices_as, ret->ask.model, now_s);
	if (!ret->price)
		return err_set(e, ENOENT, "model \"%s\" has no price at %s: the daemon would refuse it; `purse prices --provider %s` lists what there is",
			       ret->ask.model, ret->provider->name, ret->provider->prices_as);
	return 0;
}

static int find_provider(struct cli *cli, const struct flags *f, struct json *j, const struct buf *b, const struct price_list *l,
			 int64_t now_s, struct estimate *ret, struct err *e)
{
	int r = err_set(e, ENOENT, "provider \"%.60s\" is not in the config; `purse config show` lists its providers", f->provider ? f->provider : "");

	for (size_t i = 0; i < cli->config->providers.n; i++) {
		struct err one = { "" };

		ret->provider = &cli->config->providers.v[i];
		if (f->provider && strcmp(f->provider, ret->provider->name))
			continue;
		int now = try_provider(f, j, b, l, now_s, ret, &one);

		if (now == 0)
			return 0;
		/* A body that is understood and has no price says more than one that is not understood. */
		if (r != -ENOENT || now == -ENOENT || i == 0 || f->provider) {
			r = now;
			*e = one;
		}
	}
	return r;
}

/* ---- what the daemon would hold */

/* As the path does, for the first of its hosts. */
static void name_region(struct estimate *s)
{
	const struct config_provider *p = s->provider;
	struct str rest = str_of(p->hosts.n ? p->hosts.v[0] : ""), first = str_cut(&rest, '.');

	if (!str_copy(s->region, sizeof(s->region), p->region[0] ? str_of(p->region) : first))
		s->region[0] = '\0';
}

static int bounds_of(struct estimate *s, int64_t now_s, struct err *e)
{
	int r = cost_ask_bounds(&s->ask, &s->bounds, e);

	if (r < 0)
		return err_prefix(e, r, "the daemon would refuse this");
	name_region(s);
	s->bounds.terms.region = s->region;
	s->bounds.terms.multiplier_pct = (int)s->provider->price_percent;
	s->bounds.terms.at_s = now_s;
	return 0;
}

/* What a stream starts with. -1 = its whole ceiling. */
static void first_hold(struct estimate *s)
{
	struct cost_bounds b = s->bounds;
	struct bound bound;

	s->first = -1;
	if (s->output < 0 || !cost_ask_rolls(s->endpoint, &s->ask, s->provider->output_rate))
		return;
	bound_init(&bound, s->provider->output_rate, s->ask.choices, s->output);
	b.output = bound_tokens(&bound, 0);
	if (cost_ceiling(s->price, &b, &s->first, NULL) < 0 || s->first >= s->ceiling)
		s->first = -1;
}

static nanousd of_usage(const struct estimate *s, struct usage u)
{
	nanousd n;

	return cost_of(s->price, &u, &s->bounds.terms, &n, NULL) < 0 ? -1 : n;
}

static int fill(struct estimate *s, int64_t now_s, struct err *e)
{
	int r = bounds_of(s, now_s, e);

	r = r < 0 ? r : cost_ceiling(s->price, &s->bounds, &s->ceiling, e);
	if (r < 0)
		return r;
	s->output = cost_output_most(s->price, &s->bounds);
	s->tokens = (s->ask.body_bytes + 3) / 4;
	if (s->price->max_input >= 0 && s->tokens > s->price->max_input)
		s->tokens = s->price->max_input;
	first_hold(s);
	s->input_only = s->ask.answer_is_media ? -1 : of_usage(s, (struct usage){ .input = s->tokens });
	s->all = s->ask.answer_is_media || s->output < 0 ? -1 : of_usage(s, (struct usage){ .input = s->tokens, .output = s->output });
	return 0;
}

/* ---- showing */

static int show_json(const struct estimate *s, const struct estimate_fit *fit)
{
	const struct usage none = { 0 };
	char name[128];
	struct client_answer a;
	struct jsonw w;

	cost_name(s->price, &none, &s->bounds.terms, name, sizeof(name));
	cli_json_begin(&w, &a);
	jsonw_cstr(&w, "provider", s->provider->name);
	jsonw_cstr(&w, "endpoint", units_endpoint_names[s->endpoint]);
	jsonw_cstr(&w, "model", s->ask.model);
	jsonw_cstr(&w, "price", name);
	jsonw_bool(&w, "stream", s->ask.stream);
	jsonw_bool(&w, "input_hidden", s->ask.input_hidden);
	jsonw_i64(&w, "input_tokens_most", s->bounds.input_is_model_max ? s->price->max_input : s->bounds.input);
	jsonw_i64(&w, "input_tokens_guess", s->tokens);
	if (s->output >= 0)
		jsonw_i64(&w, "output_tokens_most", s->output);
	jsonw_usd(&w, "ceiling_usd", s->ceiling);
	jsonw_usd(&w, "hold_usd", s->first >= 0 ? s->first : s->ceiling);
	jsonw_bool(&w, "rolls", s->first >= 0);
	if (s->input_only >= 0)
		jsonw_usd(&w, "input_guess_usd", s->input_only);
	if (s->all >= 0)
		jsonw_usd(&w, "full_answer_guess_usd", s->all);
	estimate_fit_put(fit, &w);
	return cli_json_print(&w, &a);
}

static void line(const char *what, nanousd amount, const char *why)
{
	char mem[32];

	if (amount >= 0)
		(void)printf("%-11s %18s  %s\n", what, usd_show(amount, mem, sizeof(mem)), why);
}

static int show_text(const struct estimate *s, const struct estimate_fit *fit)
{
	const struct usage none = { 0 };
	char name[128], input[100], all[140];

	cost_name(s->price, &none, &s->bounds.terms, name, sizeof(name));
	(void)printf("%s at %s (%s), priced as %s\n\n", s->ask.model, s->provider->name, units_endpoint_names[s->endpoint], name);
	(void)snprintf(input, sizeof(input), "its input, at four bytes a token (%lld)%s", (long long)s->tokens,
		       s->ask.input_hidden ? "; more of it is not in the body" : "");
	(void)snprintf(all, sizeof(all), "the same with all %lld tokens of output that it allows", (long long)s->output);
	line("about", s->input_only, input);
	line("about", s->all, all);
	line("at most", s->ceiling, "what the daemon holds for a call that does not roll; no answer costs more");
	line("first hold", s->first, "a stream starts with this and grows as it goes");
	estimate_fit_show(fit);
	return PURSE_EXIT_OK;
}

/* 1: it would not fit. */
static int show(struct cli *cli, const struct flags *f, const struct estimate *s)
{
	struct estimate_fit fit = { 0 };
	nanousd held = s->first >= 0 ? s->first : s->ceiling;
	int exit_code = f->agent ? estimate_fit_ask(cli, f->agent, s->provider->name, s->ask.model, held, &fit) : PURSE_EXIT_OK;

	if (exit_code)
		return exit_code;
	exit_code = cli->json ? show_json(s, &fit) : show_text(s, &fit);
	return exit_code ? exit_code : fit.asked && !fit.fits ? PURSE_EXIT_FAILURE : PURSE_EXIT_OK;
}

int cmd_estimate(struct cli *cli, const struct command *self, char **argv)
{
	struct flags f = { 0 };
	struct estimate s = { 0 };
	struct price_list *l = NULL;
	struct json *j = NULL;
	struct err e = { "" };
	struct args args;
	struct buf b;
	bool done;
	int64_t now_s = cli_now_s();
	int exit_code = cli_args(cli, self, rows, sizeof(rows) / sizeof(rows[0]), &f, argv, 1, 1, &args, &done);

	if (!done && !exit_code)
		exit_code = cli_config(cli);
	if (done || exit_code)
		return exit_code;
	buf_init(&b, (size_t)cli->config->body_max_bytes + 131072);
	int r = price_list_load(cli->config->prices.v, cli->config->prices.n, &l, &e);

	j = json_new();
	r = r < 0 ? r : j ? read_body(args.words[0], (size_t)cli->config->body_max_bytes, &b, &e) : err_set(&e, ENOMEM, "out of memory");
	r = r < 0 ? r : find_provider(cli, &f, j, &b, l, now_s, &s, &e);
	r = r < 0 ? r : fill(&s, now_s, &e);
	exit_code = r < 0 ? cli_fail(&e, PURSE_EXIT_FAILURE) : show(cli, &f, &s);
	json_free(j);
	buf_done(&b);
	price_list_unref(l);
	return exit_code;
}
