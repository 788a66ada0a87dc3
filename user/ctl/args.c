// SPDX-License-Identifier: Apache-2.0
/* args.c: see args.h. */
#include "ctl/args.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "ctl/nearest.h"
#include "ctl/units.h"

struct reading {
	const struct args_table *tables;
	size_t ntables;
	int64_t now_s;
	struct err *e;
};

static const struct args_row *find(const struct reading *r, struct str name, char letter, void **ret_into)
{
	for (size_t t = 0; t < r->ntables; t++) {
		for (size_t i = 0; i < r->tables[t].nrows; i++) {
			const struct args_row *row = &r->tables[t].rows[i];

			if (letter ? row->letter == letter : str_eq(str_of(row->name), name)) {
				*ret_into = r->tables[t].into;
				return row;
			}
		}
	}
	return NULL;
}

static int refuse_unknown(const struct reading *r, struct str name)
{
	struct nearest near;

	nearest_init(&near, name);
	for (size_t t = 0; t < r->ntables; t++)
		for (size_t i = 0; i < r->tables[t].nrows; i++)
			nearest_offer(&near, r->tables[t].rows[i].name);
	if (nearest_word(&near))
		return err_set(r->e, EINVAL, "%.*s is not a flag here; did you mean %s?", STR_FMT(name), nearest_word(&near));
	return err_set(r->e, EINVAL, "%.*s is not a flag here; --help lists those that are", STR_FMT(name));
}

static int put_usd(const struct reading *r, const struct args_row *row, const char *value, struct args_usd *to)
{
	struct args_usd v = { .given = true };

	if (row->type == ARGS_USD && strcmp(value, "none") == 0)
		v.none = true;
	else if (str_to_usd(str_of(value), true, &v.v) < 0)
		return err_set(r->e, EINVAL, "%s: \"%s\" is not a USD amount%s; write e.g. 12.50USD", row->name, value,
			       row->type == ARGS_USD ? " or none" : "");
	*to = v;
	return 0;
}

static int put_text(const struct reading *r, const struct args_row *row, const char *value, struct args_texts *to)
{
	if (to->n == ARGS_TEXTS_MAX)
		return err_set(r->e, EINVAL, "%s: may be given %d times, not more", row->name, ARGS_TEXTS_MAX);
	to->v[to->n++] = value;
	return 0;
}

static int put_word(const struct reading *r, const struct args_row *row, const char *value, const char **to)
{
	char all[128] = "";

	for (size_t i = 0; row->words[i]; i++) {
		if (strcmp(value, row->words[i]) == 0) {
			*to = row->words[i];
			return 0;
		}
		size_t used = strlen(all);

		(void)snprintf(all + used, sizeof(all) - used, "%s%s", i ? ", " : "", row->words[i]);
	}
	return err_set(r->e, EINVAL, "%s: \"%s\" is not one of %s", row->name, value, all);
}

static int put(const struct reading *r, const struct args_row *row, const char *value, void *into)
{
	void *at = (char *)into + row->offset;
	int64_t v;

	switch (row->type) {
	case ARGS_SWITCH:
		*(bool *)at = true;
		return 0;
	case ARGS_TEXT:
		*(const char **)at = value;
		return 0;
	case ARGS_TEXTS:
		return put_text(r, row, value, at);
	case ARGS_INT:
		if (str_to_i64(str_of(value), &v) < 0 || v < row->min || v > row->max)
			return err_set(r->e, EINVAL, "%s: \"%s\" is not a whole number from %lld to %lld", row->name, value,
				       (long long)row->min, (long long)row->max);
		*(int64_t *)at = v;
		return 0;
	case ARGS_USD:
	case ARGS_AMOUNT:
		return put_usd(r, row, value, at);
	case ARGS_WORD:
		return put_word(r, row, value, at);
	case ARGS_TIME:
		if (units_to_time(str_of(value), r->now_s, &v) < 0)
			return err_set(r->e, EINVAL, "%s: \"%s\" is not a moment; write e.g. 2h (so long ago), today, "
				       "2026-08-21 or 2026-08-21T10:00:00Z", row->name, value);
		*(int64_t *)at = v;
		return 0;
	}
	return -EINVAL;
}

/* One flag at *argv; moves *argv on to its last word. */
static int read_flag(const struct reading *r, char ***argv)
{
	const char *word = **argv;
	bool is_long = word[1] == '-';
	struct str name = str_of(word);
	const char *value = NULL, *equals = is_long ? strchr(word, '=') : NULL;
	void *into;

	if (equals) {
		name.n = (size_t)(equals - word);
		value = equals + 1;
	} else if (!is_long && word[2]) {
		name.n = 2;
		value = word + 2;
	}
	const struct args_row *row = find(r, name, is_long ? 0 : word[1], &into);

	if (!row)
		return refuse_unknown(r, name);
	if (row->type == ARGS_SWITCH && value)
		return err_set(r->e, EINVAL, "%s takes no value", row->name);
	if (row->type != ARGS_SWITCH && !value) {
		value = (*argv)[1];
		if (!value)
			return err_set(r->e, EINVAL, "%s: needs %s behind it", row->name, row->value ? row->value : "a value");
		(*argv)++;
	}
	return put(r, row, value, into);
}

int args_read(const struct args_table *tables, size_t ntables, char **argv, bool stop_at_word, int64_t now_s,
	      struct args *ret, struct err *e)
{
	struct reading r = { .tables = tables, .ntables = ntables, .now_s = now_s, .e = e };
	struct args a = { 0 };

	for (; *argv; argv++) {
		if (strcmp(*argv, "--") == 0) {
			a.rest = argv + 1;
			break;
		}
		if ((*argv)[0] == '-' && (*argv)[1]) {
			int rc = read_flag(&r, &argv);

			if (rc < 0)
				return rc;
			continue;
		}
		if (stop_at_word) {
			a.rest = argv;
			break;
		}
		if (a.nwords == ARGS_WORDS_MAX)
			return err_set(e, EINVAL, "\"%s\": too many words", *argv);
		a.words[a.nwords++] = *argv;
	}
	*ret = a;
	return 0;
}

void args_help(FILE *to, const struct args_row *rows, size_t nrows)
{
	for (size_t i = 0; i < nrows; i++) {
		char left[64], words[48] = "";

		for (size_t w = 0; rows[i].words && rows[i].words[w]; w++) {
			size_t used = strlen(words);

			(void)snprintf(words + used, sizeof(words) - used, "%s%s", w ? "|" : "", rows[i].words[w]);
		}
		const char *value = rows[i].type == ARGS_SWITCH ? "" : words[0] ? words : rows[i].value ? rows[i].value : "VALUE";

		if (rows[i].letter)
			(void)snprintf(left, sizeof(left), "-%c, %s %s", rows[i].letter, rows[i].name, value);
		else
			(void)snprintf(left, sizeof(left), "%s %s", rows[i].name, value);
		(void)fprintf(to, "  %-32s %s\n", left, rows[i].help);
	}
}
