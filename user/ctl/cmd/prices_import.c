// SPDX-License-Identifier: Apache-2.0
/*
 * cmd/prices_import.c: `purse prices import FILE`: a public price file as a list of ours. Says what could not be mapped, what looks wrong and
 * what would change against the prices in force; with --apply it writes OUT.yaml. A price that falls is not taken without --accept-cheaper or a
 * person's yes. Reads no network; the daemon takes the file at its next reload, if its config names it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "ctl/cmd/prices.h"
#include "ctl/cmd/table.h"
#include "ctl_abi.h"
#include "spend/price/import.h"

struct flags {
	const char *into, *provider, *source, *as_of;
	bool apply, accept_cheaper, verbose;
};
#define AT(member) offsetof(struct flags, member)
static const struct args_row rows[] = {
	{ .name = "--into", .type = ARGS_TEXT, .offset = AT(into), .value = "OUT.yaml", .help = "the list to write, which the config should name" },
	{ .name = "--apply", .type = ARGS_SWITCH, .offset = AT(apply), .help = "write it; without this only say what would change" },
	{ .name = "--provider", .type = ARGS_TEXT, .offset = AT(provider), .value = "NAME", .help = "prices of this provider only, by its name in our list" },
	{ .name = "--accept-cheaper", .type = ARGS_SWITCH, .offset = AT(accept_cheaper), .help = "also take prices that fall" },
	{ .name = "--source", .type = ARGS_TEXT, .offset = AT(source), .value = "TEXT", .help = "where the file is from; default its name" },
	{ .name = "--as-of", .type = ARGS_TEXT, .offset = AT(as_of), .value = "DATE", .help = "the day of its figures; default today" },
	{ .name = "--verbose", .letter = 'v', .type = ARGS_SWITCH, .offset = AT(verbose), .help = "name every model" },
};

/* One model of the import: its entries stand together. */
struct model {
	const struct import_entry *first;
	const struct price *prices[16];
	size_t at; /* of the first, among those of the import */
	size_t n;
	const struct price *before; /* in force now; NULL = new */
	int change;                 /* PRICE_DEARER | PRICE_CHEAPER; 0 = the same, or new */
	bool left_out;              /* cheaper, and nobody said yes */
};

struct job {
	struct flags f;
	const char *name;
	struct price_import *im;
	struct price_list *in_force, *old; /* old: what OUT.yaml holds now; NULL = nothing */
	struct model *models;
	size_t n, removed;
	size_t added, dearer, cheaper, same;
};

/* ---- reading */

static int read_all(const char *path, struct buf *b, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;

	if (fd < 0)
		return err_set(e, errno, "%s: %s", path, strerror(errno));
	while (buf_len(b) <= PRICE_IMPORT_MAX_BYTES) {
		char *to = buf_reserve(b, 65536);

		n = to ? read(fd, to, 65536) : -1;
		if (n <= 0)
			break;
		buf_grew(b, (size_t)n);
	}
	int error = errno;

	(void)close(fd);
	if (buf_len(b) > PRICE_IMPORT_MAX_BYTES)
		return err_set(e, EFBIG, "%s: is larger than %u MiB; a price file is not", path, PRICE_IMPORT_MAX_BYTES >> 20);
	return n < 0 ? err_set(e, error, "%s: %s", path, strerror(error)) : 0;
}

static int read_import(struct job *j, struct err *e)
{
	struct import_options o = { .provider = j->f.provider, .source = j->f.source ? j->f.source : j->name, .as_of = j->f.as_of };
	struct buf b;
	int r;

	buf_init(&b, PRICE_IMPORT_MAX_BYTES + 131072);
	r = read_all(j->name, &b, e);
	r = r < 0 ? r : price_import_read(j->name, buf_ptr(&b) ? buf_ptr(&b) : "", buf_len(&b), &o, &j->im, e);
	buf_done(&b);
	return r;
}

static bool same_model(const struct price *a, const struct price *b)
{
	return !strcmp(a->provider, b->provider) && !strcmp(a->model, b->model);
}

/* Only a name of its own counts: an alias or a dated name of another model may have another price. */
static const struct price *listed(const struct price_list *l, const struct price *like, int64_t at_s)
{
	const struct price *p = l ? price_find(l, like->provider, like->model, at_s) : NULL;

	return p && same_model(p, like) ? p : NULL;
}

static int group(struct job *j, int64_t now_s)
{
	size_t count = price_import_count(j->im);

	j->models = calloc(count ? count : 1, sizeof(*j->models));
	if (!j->models)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct import_entry *entry = price_import_at(j->im, i);
		struct model *m = j->n && same_model(&j->models[j->n - 1].first->price, &entry->price) ? &j->models[j->n - 1] : &j->models[j->n++];

		if (!m->first) {
			m->first = entry;
			m->at = i;
		}
		if (m->n < sizeof(m->prices) / sizeof(m->prices[0]))
			m->prices[m->n++] = &entry->price;
	}
	for (size_t i = 0; i < j->n; i++) {
		struct model *m = &j->models[i];

		m->before = listed(j->in_force, m->prices[0], now_s);
		m->before = m->before ? m->before : listed(j->old, m->prices[0], now_s);
		for (size_t k = 0; m->before && k < m->n; k++)
			price_import_keep_limits(j->im, m->at + k, m->before);
		for (size_t k = 0; m->before && k < m->n; k++)
			if ((!m->prices[k]->from_s || m->prices[k]->from_s <= now_s) && (!m->prices[k]->to_s || now_s < m->prices[k]->to_s))
				m->change = price_compare(m->before, m->prices[k]);
		j->added += !m->before;
		j->cheaper += (m->change & PRICE_CHEAPER) != 0;
		j->dearer += m->change == PRICE_DEARER;
		j->same += m->before && !m->change;
	}
	return 0;
}

static bool is_imported(const struct job *j, const struct price *p)
{
	for (size_t i = 0; i < j->n; i++)
		if (same_model(j->models[i].prices[0], p))
			return true;
	return false;
}

/* The old list's provider is one that this import is about. */
static bool is_replaced(const struct job *j, const char *provider)
{
	if (j->f.provider)
		return !strcmp(j->f.provider, provider);
	for (size_t i = 0; i < j->n; i++)
		if (!strcmp(j->models[i].prices[0]->provider, provider))
			return true;
	return false;
}

/* ---- saying it */

struct tally {
	enum import_note_kind kind;
	const char *what;
	size_t n;
};

static int most_first(const void *a, const void *b)
{
	const struct tally *x = a, *y = b;

	return x->kind != y->kind ? (int)x->kind - (int)y->kind : (x->n < y->n) - (x->n > y->n);
}

static const char *const note_heads[IMPORT_NOTE_COUNT] = {
	[IMPORT_NOT_MAPPED] = "fields about money that our list cannot say (left out)",
	[IMPORT_SKIPPED] = "models that were left out",
	[IMPORT_FLAG] = "looks wrong (taken as it is)",
	[IMPORT_DERIVED] = "not in the file, filled in",
};

static void say_notes(const struct job *j)
{
	size_t count = price_import_notes(j->im), n = 0;
	struct tally *t = calloc(count ? count : 1, sizeof(*t));

	for (size_t i = 0; t && i < count; i++) {
		const struct import_note *note = price_import_note(j->im, i);
		size_t k = 0;

		while (k < n && (t[k].kind != note->kind || strcmp(t[k].what, note->what)))
			k++;
		n += k == n;
		t[k] = (struct tally){ .kind = note->kind, .what = note->what, .n = t[k].n + 1 };
	}
	if (t && n)
		qsort(t, n, sizeof(*t), most_first);
	for (size_t k = 0; t && k < n; k++) {
		if (k == 0 || t[k].kind != t[k - 1].kind)
			(void)printf("\n%s:\n", note_heads[t[k].kind]);
		(void)printf("  %5zu  %s\n", t[k].n, t[k].what);
		for (size_t i = 0; j->f.verbose && i < count; i++) {
			const struct import_note *note = price_import_note(j->im, i);

			if (note->kind == t[k].kind && !strcmp(note->what, t[k].what))
				(void)printf("           %s/%s\n", note->provider ? note->provider : "", note->model ? note->model : "");
		}
	}
	free(t);
}

static const char *rate_text(femtousd rate, char *mem, size_t size)
{
	return rate == PRICE_UNKNOWN ? "-" : usd_show_short(rate, mem, size);
}

static void say_change(const struct model *m, const char *what)
{
	const struct rates *is = &m->prices[0]->sets[TIER_STANDARD], *was = m->before ? &m->before->sets[TIER_STANDARD] : NULL;
	char a[32], b[32], c[32], d[32];

	(void)printf("  %-8s %s/%s", what, m->prices[0]->provider, m->prices[0]->model);
	if (was)
		(void)printf("  %s, %s -> %s, %s%s", rate_text(was->input, a, sizeof(a)), rate_text(was->output, b, sizeof(b)),
			     rate_text(is->input, c, sizeof(c)), rate_text(is->output, d, sizeof(d)),
			     was->input == is->input && was->output == is->output ? " (in other rates)" : "");
	(void)printf("%s\n", m->left_out ? "  left as it is" : "");
}

#define SHOWN_MOST 20

static void say_some(const struct job *j, const char *what, bool (*is)(const struct model *m), size_t count)
{
	size_t shown = 0;

	for (size_t i = 0; i < j->n; i++)
		if (is(&j->models[i]) && (j->f.verbose || shown < SHOWN_MOST)) {
			say_change(&j->models[i], what);
			shown++;
		}
	if (count > shown)
		(void)printf("  … and %zu more %s (--verbose names all)\n", count - shown, what);
}

static bool is_dearer(const struct model *m) { return m->change == PRICE_DEARER; }
static bool is_cheaper(const struct model *m) { return m->change & PRICE_CHEAPER; }
static bool is_new(const struct model *m) { return !m->before; }

static void say_removed(struct job *j)
{
	for (size_t i = 0; j->old && i < price_list_count(j->old); i++) {
		const struct price *p = price_list_at(j->old, i);

		if (!is_replaced(j, p->provider) || is_imported(j, p))
			continue;
		if (j->removed++ < SHOWN_MOST || j->f.verbose)
			(void)printf("  removed  %s/%s\n", p->provider, p->model);
	}
}

static void say_changes(struct job *j)
{
	(void)printf("\nagainst the prices in force (USD per million, input, output):\n");
	say_some(j, "dearer", is_dearer, j->dearer);
	say_some(j, "cheaper", is_cheaper, j->cheaper);
	if (j->f.verbose)
		say_some(j, "new", is_new, j->added);
	say_removed(j);
	(void)printf("  %zu new, %zu dearer, %zu cheaper, %zu the same, %zu removed\n", j->added, j->dearer, j->cheaper, j->same, j->removed);
}

static void say_json(struct job *j, bool applied)
{
	static const char *const kinds[IMPORT_NOTE_COUNT] = { "not_mapped", "skipped", "flagged", "derived" };
	size_t counts[IMPORT_NOTE_COUNT] = { 0 };
	struct client_answer a;
	struct jsonw w;

	for (size_t i = 0; i < price_import_notes(j->im); i++)
		counts[price_import_note(j->im, i)->kind]++;
	cli_json_begin(&w, &a);
	jsonw_cstr(&w, "format", price_import_format(j->im) == IMPORT_LITELLM ? "litellm" : "genai-prices");
	jsonw_i64(&w, "models", (int64_t)price_import_models(j->im));
	jsonw_i64(&w, "imported", (int64_t)j->n);
	jsonw_i64(&w, "fields", (int64_t)price_import_fields(j->im));
	for (unsigned k = 0; k < IMPORT_NOTE_COUNT; k++)
		jsonw_i64(&w, kinds[k], (int64_t)counts[k]);
	jsonw_i64(&w, "new", (int64_t)j->added);
	jsonw_i64(&w, "dearer", (int64_t)j->dearer);
	jsonw_i64(&w, "cheaper", (int64_t)j->cheaper);
	jsonw_i64(&w, "same", (int64_t)j->same);
	jsonw_i64(&w, "removed", (int64_t)j->removed);
	jsonw_bool(&w, "applied", applied);
	jsonw_array(&w, "notes");
	for (size_t i = 0; j->f.verbose && i < price_import_notes(j->im); i++) {
		const struct import_note *n = price_import_note(j->im, i);

		jsonw_object(&w, NULL);
		jsonw_cstr(&w, "kind", kinds[n->kind]);
		jsonw_cstr(&w, "what", n->what);
		jsonw_cstr(&w, "provider", n->provider);
		jsonw_cstr(&w, "model", n->model);
		jsonw_close(&w);
	}
	jsonw_close(&w);
	(void)cli_json_print(&w, &a);
}

/* ---- the one question */

static void ask_about_cheaper(struct job *j)
{
	bool yes = j->f.accept_cheaper;

	if (!yes && j->cheaper && j->f.apply && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
		char answer[16] = "";

		(void)printf("\n%zu prices fall, as listed above. Public lists have errors; a price that is too low lets agents overspend.\nTake them? [y/N] ",
			     j->cheaper);
		(void)fflush(stdout);
		yes = fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
	}
	for (size_t i = 0; i < j->n; i++)
		j->models[i].left_out = !yes && is_cheaper(&j->models[i]);
}

/* ---- writing */

static bool keeps_old(const struct job *j, const struct price *p)
{
	if (!is_replaced(j, p->provider))
		return true;
	for (size_t i = 0; i < j->n; i++)
		if (j->models[i].left_out && same_model(j->models[i].prices[0], p))
			return true;
	return false;
}

#define ALIASES_MAX 256

static void write_old(const struct job *j, struct price_writer *w, const char *provider)
{
	for (size_t i = 0; j->old && i < price_list_count(j->old); i++) {
		const struct price *p = price_list_at(j->old, i), *group[64];
		const char *aliases[ALIASES_MAX];
		size_t n = 0;

		if (strcmp(p->provider, provider) || !keeps_old(j, p))
			continue;
		while (i + n < price_list_count(j->old) && n < 64 && same_model(p, price_list_at(j->old, i + n))) {
			group[n] = price_list_at(j->old, i + n);
			n++;
		}
		size_t naliases = price_list_aliases(j->old, p, aliases, ALIASES_MAX);

		price_write_model(w, group, n, aliases, naliases);
		i += n - 1;
	}
}

static void write_models(const struct job *j, struct price_writer *w)
{
	const char *last = NULL;

	for (size_t i = 0; i < j->n; i++) {
		const struct model *m = &j->models[i];

		if (!last || strcmp(last, m->prices[0]->provider)) {
			last = m->prices[0]->provider;
			write_old(j, w, last);
		}
		if (!m->left_out)
			price_write_model(w, m->prices, m->n, m->first->aliases, m->first->naliases);
	}
	/* Providers that this import says nothing of. */
	last = NULL;
	for (size_t i = 0; j->old && i < price_list_count(j->old); i++) {
		const char *provider = price_list_at(j->old, i)->provider;

		if ((!last || strcmp(last, provider)) && !is_replaced(j, provider))
			write_old(j, w, provider);
		last = provider;
	}
}

static int put_file(const char *path, const struct buf *b, struct err *e)
{
	char temp[1100];
	int n = snprintf(temp, sizeof(temp), "%s.new", path);
	int fd = n > 0 && (size_t)n < sizeof(temp) ? open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644) : -1;
	size_t done = 0;

	if (fd < 0)
		return err_set(e, errno ? errno : EINVAL, "%s: cannot be written: %s", temp, strerror(errno));
	while (done < buf_len(b)) {
		ssize_t k = write(fd, buf_ptr(b) + done, buf_len(b) - done);

		if (k <= 0)
			break;
		done += (size_t)k;
	}
	bool ok = done == buf_len(b) && fsync(fd) == 0;

	ok &= close(fd) == 0;
	if (ok && rename(temp, path) == 0)
		return 0;
	int error = errno;

	(void)unlink(temp);
	return err_set(e, error, "%s: cannot be written: %s; it is as it was", path, strerror(error));
}

/* What is written is read again first: a list that does not load would stop the next reload. */
static int apply(struct job *j, struct err *e)
{
	struct price_list *check = NULL;
	struct price_writer w;
	char comment[600];
	struct buf b;
	int r;

	buf_init(&b, 8u << 20);
	(void)snprintf(comment, sizeof(comment), "Imported by `purse prices import` from %.300s (%s), figures as of %s. It is written anew by each import.",
		       j->name, price_import_format(j->im) == IMPORT_LITELLM ? "LiteLLM's form" : "genai-prices' form", j->f.as_of);
	price_write_begin(&w, &b, comment);
	write_models(j, &w);
	r = price_write_end(&w);
	if (r < 0)
		r = err_set(e, EFBIG, "%s: would be larger than 8 MiB; take one provider only (--provider)", j->f.into);
	r = r < 0 ? r : price_list_parse(j->f.into, buf_ptr(&b), buf_len(&b), &check, e);
	price_list_unref(check);
	r = r < 0 ? r : put_file(j->f.into, &b, e);
	buf_done(&b);
	return r;
}

/* ---- the command */

static bool is_in_config(const struct cli *cli, const char *path)
{
	for (size_t i = 0; i < cli->config->prices.n; i++)
		if (!strcmp(cli->config->prices.v[i], path))
			return true;
	return false;
}

static void say_next(const struct cli *cli, const struct job *j)
{
	size_t left = 0;

	for (size_t i = 0; i < j->n; i++)
		left += j->models[i].left_out;
	if (left)
		(void)printf("%zu prices that fall were left as they are; --accept-cheaper takes them\n", left);
	if (!j->f.apply)
		(void)printf("nothing was written; --into OUT.yaml --apply writes it\n");
	else if (is_in_config(cli, j->f.into))
		(void)printf("%s is written; it is in force after a reload (SIGHUP, systemctl reload pursed)\n", j->f.into);
	else
		(void)printf("%s is written, but the config does not name it yet: add it to `prices:` (the last file wins), then reload\n", j->f.into);
}

static int run(struct cli *cli, struct job *j, int64_t now_s, struct err *e)
{
	int r = read_import(j, e);

	if (r == 0 && j->f.into && access(j->f.into, F_OK) == 0)
		r = price_list_load(&j->f.into, 1, &j->old, e);
	if (r == 0)
		r = group(j, now_s) < 0 ? err_set(e, ENOMEM, "out of memory") : 0;
	if (r < 0)
		return r;
	if (!cli->json) {
		(void)printf("%s: %s, %zu models, %zu of them taken with %zu prices\n", j->name,
			     price_import_format(j->im) == IMPORT_LITELLM ? "LiteLLM's form" : "genai-prices' form", price_import_models(j->im), j->n,
			     price_import_fields(j->im));
		say_notes(j);
		say_changes(j);
	} else {
		for (size_t i = 0; j->old && i < price_list_count(j->old); i++)
			j->removed += is_replaced(j, price_list_at(j->old, i)->provider) && !is_imported(j, price_list_at(j->old, i));
	}
	ask_about_cheaper(j);
	r = j->f.apply ? apply(j, e) : 0;
	if (r == 0 && cli->json)
		say_json(j, j->f.apply);
	else if (r == 0)
		say_next(cli, j);
	return r;
}

static bool is_day(const char *s)
{
	struct tm tm = { 0 };
	const char *end = strptime(s, "%Y-%m-%d", &tm);

	return strlen(s) == 10 && end && !*end;
}

int cmd_prices_import(struct cli *cli, const struct command *self, char **argv)
{
	struct job j = { 0 };
	struct err e = { "" };
	struct args args;
	bool done;
	char today[16];
	int64_t now_s = cli_now_s();
	time_t now = (time_t)now_s;
	struct tm tm;
	int exit_code = cli_args(cli, self, rows, sizeof(rows) / sizeof(rows[0]), &j.f, argv, 1, 1, &args, &done);

	if (done)
		return exit_code;
	(void)strftime(today, sizeof(today), "%Y-%m-%d", gmtime_r(&now, &tm));
	j.f.as_of = j.f.as_of ? j.f.as_of : today;
	j.name = args.words[0];
	if (!is_day(j.f.as_of))
		(void)err_set(&e, EINVAL, "--as-of: \"%.40s\" is not a date; write YEAR-MONTH-DAY", j.f.as_of);
	else if (j.f.apply && !j.f.into)
		(void)err_set(&e, EINVAL, "--apply needs --into OUT.yaml: which file is to be written?");
	if (e.text[0])
		return cli_usage(self, &e);
	exit_code = prices_in_force(cli, &j.in_force);
	if (exit_code)
		return exit_code;
	int r = run(cli, &j, now_s, &e);

	price_import_free(j.im);
	price_list_unref(j.in_force);
	price_list_unref(j.old);
	free(j.models);
	return r < 0 ? cli_fail(&e, PURSE_EXIT_FAILURE) : PURSE_EXIT_OK;
}
