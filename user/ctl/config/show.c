// SPDX-License-Identifier: Apache-2.0
/* config/show.c: what is in force, from the rows: as YAML that reads back to the same, as JSON, and the keys explained. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/jsonw.h"
#include "base/str.h"
#include "base/yaml.h"
#include "ctl/config/rows.h"
#include "ctl/config/rules_yaml.h"
#include "ctl/units.h"

/* A value as text; lists, words and rules are walked by the callers. size >= 32. NULL = nothing to show (no limit). */
static const char *scalar_of(const struct config_row *row, const void *at, char *mem, size_t size)
{
	int64_t v = 0;

	switch (row->type) {
	case CONFIG_BOOL:
		return *(const bool *)at ? "true" : "false";
	case CONFIG_INT:
	case CONFIG_DURATION:
	case CONFIG_SIZE:
	case CONFIG_USD:
	case CONFIG_WORD:
	case CONFIG_MINUTE:
		memcpy(&v, at, sizeof(v));
		break;
	default:
		return *(const char *const *)at;
	}
	if (row->type == CONFIG_WORD)
		return row->words[v];
	if (row->type == CONFIG_MINUTE)
		return units_show_minute((int32_t)v, mem, size);
	if (row->type == CONFIG_USD)
		return v == GATE_NO_LIMIT ? NULL : usd_show(v, mem, size);
	if (row->type == CONFIG_DURATION)
		return units_show_ns(v, mem, size);
	if (row->type == CONFIG_SIZE)
		return units_show_bytes(v, mem, size);
	(void)snprintf(mem, size, "%lld", (long long)v);
	return mem;
}

static bool is_list(const struct config_row *row)
{
	return row->type >= CONFIG_PORTS;
}

static bool is_plain_value(const struct config_row *row)
{
	return !is_list(row) && row->type != CONFIG_WORDS && row->type != CONFIG_RULES;
}

struct plain_list {
	const char *v;
	size_t n;
};
static struct plain_list list_at(const void *at)
{
	struct plain_list l;

	memcpy(&l, at, sizeof(l));
	return l;
}

static bool has_numbers(const struct config_row *row)
{
	return row->type == CONFIG_PORTS || row->type == CONFIG_PERCENTS;
}

static const char *element_of(const struct config_row *row, struct plain_list l, size_t i, char *mem, size_t size)
{
	if (!has_numbers(row))
		return ((const char *const *)(const void *)l.v)[i];
	(void)snprintf(mem, size, "%u", ((const uint16_t *)(const void *)l.v)[i]);
	return mem;
}

static int64_t mask_at(const void *at)
{
	int64_t mask;

	memcpy(&mask, at, sizeof(mask));
	return mask;
}

/* NULL: none. */
static const struct rules *rules_at(const void *at)
{
	return *(const struct rules *const *)at;
}

/* ---- YAML */

static bool is_plain(const char *s)
{
	static const char *const words[] = { "null", "true", "false", "yes", "no", "on", "off", "y", "n" };
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-");

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_eq_nocase(str_of(s), str_of(words[i])))
			return false;
	return n > 0 && s[n] == '\0' && s[0] != '-';
}

static int put_yaml_text(struct buf *out, const struct config_row *row, const char *s)
{
	/* Numbers, amounts, booleans and words are plain by themselves. */
	if (is_plain(s) || (row->type >= CONFIG_INT && row->type <= CONFIG_WORD && row->type != CONFIG_MINUTE))
		return buf_append(out, s, strlen(s));
	return yaml_quote(out, s);
}

static int show_list(struct buf *out, const struct config_row *row, const void *at)
{
	struct plain_list l = list_at(at);
	int r = buf_append(out, "[", 1);
	char mem[32];

	for (size_t i = 0; r == 0 && i < l.n; i++) {
		if (i)
			r = buf_append(out, ", ", 2);
		if (r == 0)
			r = put_yaml_text(out, row, element_of(row, l, i, mem, sizeof(mem)));
	}
	return r ? r : buf_append(out, "]", 1);
}

static int show_words(struct buf *out, const struct config_row *row, const void *at)
{
	int64_t mask = mask_at(at);
	bool first = true;
	int r = buf_append(out, "[", 1);

	for (int64_t i = 0; r == 0 && row->words[i]; i++) {
		if (!(mask & (INT64_C(1) << i)))
			continue;
		r = buf_printf(out, "%s%s", first ? "" : ", ", row->words[i]);
		first = false;
	}
	return r ? r : buf_append(out, "]", 1);
}

static int show_value(struct buf *out, const struct config_row *row, const void *at, const char *scalar)
{
	if (row->type == CONFIG_RULES)
		return rules_show(rules_at(at), out);
	if (row->type == CONFIG_WORDS)
		return show_words(out, row, at);
	return is_list(row) ? show_list(out, row, at) : put_yaml_text(out, row, scalar);
}

static int show_table(struct buf *out, const struct config_table *t, const void *from);

static int show_elements(struct buf *out, const struct config_row *row, const void *at)
{
	struct plain_list l = list_at(at);
	int r = l.n ? buf_printf(out, "\n") : buf_printf(out, " []\n");

	for (size_t i = 0; r == 0 && i < l.n; i++)
		r = show_table(out, row->table, l.v + i * row->table->size);
	return r;
}

static int show_table(struct buf *out, const struct config_table *t, const void *from)
{
	bool nested = t->name[0] != '\0', first = true;
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->nrows; i++) {
		const struct config_row *row = &t->rows[i];
		const char *at = (const char *)from + row->offset;
		char mem[64];
		const char *s = is_plain_value(row) ? scalar_of(row, at, mem, sizeof(mem)) : "";

		if (!s || (row->type == CONFIG_RULES && !rules_at(at)))
			continue;
		r = buf_printf(out, "%s%s:", !nested ? "" : first ? "  - " : "    ", row->key);
		first = false;
		if (r == 0 && row->table) {
			r = show_elements(out, row, at);
			continue;
		}
		if (r == 0)
			r = buf_append(out, " ", 1);
		if (r == 0)
			r = show_value(out, row, at, s);
		if (r == 0)
			r = buf_append(out, "\n", 1);
	}
	return r;
}

int config_show(const struct config *c, struct buf *out)
{
	int r = c->path[0] ? buf_printf(out, "# in force, from %s and the defaults\n", c->path)
			   : buf_printf(out, "# in force: built-in defaults, no file\n");

	return r ? r : show_table(out, &config_top, c);
}

/* ---- JSON: the same values as texts, numbers only where they are plain counts */

static void json_table(struct jsonw *w, const struct config_table *t, const void *from)
{
	for (size_t i = 0; i < t->nrows; i++) {
		const struct config_row *row = &t->rows[i];
		const char *at = (const char *)from + row->offset;
		char mem[64];

		if (is_list(row)) {
			struct plain_list l = list_at(at);

			jsonw_array(w, row->key);
			for (size_t j = 0; j < l.n; j++) {
				if (row->table) {
					jsonw_object(w, NULL);
					json_table(w, row->table, l.v + j * row->table->size);
					jsonw_close(w);
				} else if (has_numbers(row)) {
					jsonw_i64(w, NULL, ((const uint16_t *)(const void *)l.v)[j]);
				} else {
					jsonw_cstr(w, NULL, element_of(row, l, j, mem, sizeof(mem)));
				}
			}
			jsonw_close(w);
		} else if (row->type == CONFIG_WORDS) {
			jsonw_array(w, row->key);
			for (int64_t j = 0; row->words[j]; j++)
				if (mask_at(at) & (INT64_C(1) << j))
					jsonw_cstr(w, NULL, row->words[j]);
			jsonw_close(w);
		} else if (row->type == CONFIG_RULES) {
			if (rules_at(at))
				rules_put(w, row->key, rules_at(at));
		} else if (row->type == CONFIG_BOOL) {
			jsonw_bool(w, row->key, *(const bool *)(const void *)at);
		} else if (row->type == CONFIG_INT) {
			jsonw_i64(w, row->key, *(const int64_t *)(const void *)at);
		} else if (row->type == CONFIG_USD) {
			if (*(const int64_t *)(const void *)at != GATE_NO_LIMIT)
				jsonw_usd(w, row->key, *(const int64_t *)(const void *)at);
		} else {
			jsonw_cstr(w, row->key, scalar_of(row, at, mem, sizeof(mem)));
		}
	}
}

int config_show_json(const struct config *c, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_object(&w, NULL);
	jsonw_cstr(&w, "file", c->path[0] ? c->path : NULL);
	json_table(&w, &config_top, c);
	jsonw_close(&w);
	return jsonw_end(&w);
}

static int explain_table(struct buf *out, const struct config_table *t)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->nrows; i++) {
		const struct config_row *row = &t->rows[i];
		char key[64];

		(void)snprintf(key, sizeof(key), "%s%s%s", t->name, t->name[0] ? "." : "", row->key);
		r = buf_printf(out, "  %-28s %s%s%s%s\n", key, row->help,
			       row->fallback && !row->table ? " [" : "", row->fallback && !row->table ? row->fallback : "",
			       row->fallback && !row->table ? "]" : "");
		if (r == 0 && row->table)
			r = explain_table(out, row->table);
	}
	return r;
}

int config_explain(struct buf *out)
{
	return explain_table(out, &config_top);
}
