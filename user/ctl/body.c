// SPDX-License-Identifier: Apache-2.0
/* body.c: see body.h. The JSON itself is base/json.h's; here is only what a flat object of known keys means. */
#include "ctl/body.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "ctl/nearest.h"
#include "gate_abi.h"

#define ROWS_MAX 32

struct reading {
	struct str body;
	const struct body_row *rows;
	size_t nrows;
	char *into;
	bool seen[ROWS_MAX];
	size_t members; /* hits of known keys */
	int ret;
	struct err *e;
};

static int put_text(struct reading *r, const struct body_row *row, const struct json_value *v)
{
	if (v->kind != JSON_STRING || memchr(v->s.p ? v->s.p : "", '\0', v->s.n))
		return err_set(r->e, EINVAL, "%s: is not a string", row->key);
	if (!str_copy(r->into + row->offset, row->size, v->s))
		return err_set(r->e, EINVAL, "%s: is longer than %zu bytes", row->key, row->size - 1);
	return 0;
}

static int put_usd(struct reading *r, const struct body_row *row, const struct json_value *v)
{
	nanousd amount;

	if (v->kind == JSON_NULL && row->type == BODY_LIMIT)
		amount = GATE_NO_LIMIT;
	else if ((v->kind != JSON_STRING && v->kind != JSON_INT && v->kind != JSON_NUMBER) ||
		 str_to_usd(v->s, true, &amount) < 0)
		return err_set(r->e, EINVAL, "%s: \"%.*s\" is not a USD amount%s; write e.g. \"12.50\"", row->key,
			       v->kind == JSON_STRING ? (int)(v->s.n > 40 ? 40 : v->s.n) : 0, v->s.p ? v->s.p : "",
			       row->type == BODY_LIMIT ? " or null" : "");
	memcpy(r->into + row->offset, &amount, sizeof(amount));
	return 0;
}

static int put_flag(struct reading *r, const struct body_row *row, const struct json_value *v)
{
	bool *to = (bool *)(r->into + row->offset);

	if (row->type == BODY_BOOL) {
		if (v->kind != JSON_BOOL)
			return err_set(r->e, EINVAL, "%s: is not true or false", row->key);
		*to = v->i != 0;
		return 0;
	}
	for (int i = 0; i < 2; i++) {
		if (v->kind == JSON_STRING && str_eq(v->s, str_of(row->words[i]))) {
			*to = i != 0;
			return 0;
		}
	}
	return err_set(r->e, EINVAL, "%s: \"%.*s\" is not \"%s\" or \"%s\"", row->key,
		       v->kind == JSON_STRING ? (int)(v->s.n > 40 ? 40 : v->s.n) : 0, v->s.p ? v->s.p : "",
		       row->words[0], row->words[1]);
}

static int put_object(struct reading *r, const struct body_row *row, const struct json_value *v)
{
	struct str text = { .p = r->body.p + v->at, .n = v->end - v->at };

	if (v->kind == JSON_NULL)
		text.n = 0;
	else if (v->kind != JSON_OBJECT)
		return err_set(r->e, EINVAL, "%s: is not an object or null", row->key);
	if (!str_copy(r->into + row->offset, row->size, text))
		return err_set(r->e, EINVAL, "%s: is longer than %zu bytes", row->key, row->size - 1);
	return 0;
}

static void hit(void *ctx, int id, const struct json_value *v)
{
	struct reading *r = ctx;
	const struct body_row *row = &r->rows[id];

	r->members++;
	if (r->ret < 0)
		return;
	if (r->seen[id]) {
		r->ret = err_set(r->e, EINVAL, "%s: stands twice in the body", row->key);
		return;
	}
	r->seen[id] = true;
	if (row->type == BODY_TEXT)
		r->ret = put_text(r, row, v);
	else if (row->type == BODY_OBJECT)
		r->ret = put_object(r, row, v);
	else if (row->type == BODY_USD || row->type == BODY_LIMIT)
		r->ret = put_usd(r, row, v);
	else
		r->ret = put_flag(r, row, v);
	if (r->ret == 0 && row->has_offset != SIZE_MAX)
		*(bool *)(r->into + row->has_offset) = true;
}

/* Walks text that is known to be valid JSON: members of the outermost object, and the first key that no row has. */
static size_t count_members(const struct reading *r, struct str text, struct str *ret_unknown)
{
	size_t members = 0, depth = 0, start = 0;
	struct str last = { 0 };

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == '{' || c == '[') {
			depth++;
		} else if (c == '}' || c == ']') {
			depth--;
		} else if (c == '"') {
			for (start = ++i; i < text.n && text.p[i] != '"'; i++)
				i += text.p[i] == '\\';
			last = (struct str){ .p = text.p + start, .n = i - start };
		} else if (c == ':' && depth == 1) {
			bool known = false;

			members++;
			for (size_t k = 0; k < r->nrows; k++)
				known = known || str_eq(last, str_of(r->rows[k].key));
			if (!known && !ret_unknown->p)
				*ret_unknown = last;
		}
	}
	return members;
}

static bool is_object(struct str text)
{
	size_t i = 0;

	while (i < text.n && strchr(" \t\r\n", text.p[i]))
		i++;
	return i < text.n && text.p[i] == '{';
}

static int refuse_unknown(const struct reading *r, struct str key)
{
	struct nearest near;

	nearest_init(&near, key);
	for (size_t i = 0; i < r->nrows; i++)
		nearest_offer(&near, r->rows[i].key);
	if (nearest_word(&near))
		return err_set(r->e, EINVAL, "%.*s: is not a known key; did you mean \"%s\"?",
			       (int)(key.n > 60 ? 60 : key.n), key.p, nearest_word(&near));
	return err_set(r->e, EINVAL, "%.*s: is not a known key; docs/control.md lists all",
		       (int)(key.n > 60 ? 60 : key.n), key.p);
}

int body_read(const struct body_row *rows, size_t nrows, struct str body, void *into, struct err *e)
{
	struct reading r = { .body = body, .rows = rows, .nrows = nrows, .into = into, .e = e };
	struct json_want wants[ROWS_MAX];
	struct str unknown = { 0 };
	struct json *j = json_new();
	int ret = -ENOMEM;

	for (size_t i = 0; i < nrows; i++)
		wants[i] = (struct json_want){ .path = rows[i].key, .id = (int)i };
	if (j)
		ret = json_scan(j, body.p ? body.p : "", body.n, wants, nrows, hit, &r);
	json_free(j);
	if (ret == -ENOMEM)
		return err_set(e, ENOMEM, "out of memory");
	if (ret < 0 || !is_object(body))
		return err_set(e, EINVAL, "the body is not one JSON object; write e.g. {\"name\":\"bot\"}");
	if (r.ret < 0)
		return r.ret;
	if (count_members(&r, body, &unknown) != r.members)
		return refuse_unknown(&r, unknown.p ? unknown : STR("?"));
	for (size_t i = 0; i < nrows; i++)
		if (rows[i].required && !r.seen[i])
			return err_set(e, EINVAL, "%s: is missing", rows[i].key);
	return 0;
}
