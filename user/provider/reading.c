// SPDX-License-Identifier: Apache-2.0
/*
 * reading.c: the walk over request bodies and the small judgements about answers that all dialects share.
 * No key of any dialect stands here.
 */
#include "provider/reading.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"

/* ---- request bodies */

struct walk {
	const struct field *fields;
	void *ctx;
	struct err *e;
	int error; /* the first complaint sticks */
	bool stood[FIELDS_MAX];
	size_t nfields;
	int64_t members, known; /* of the body itself */
};

static const char *const kind_names[] = {
	[JSON_NULL] = "null",      [JSON_BOOL] = "true or false", [JSON_INT] = "a whole number",
	[JSON_NUMBER] = "a number that is no whole number in range", [JSON_STRING] = "a string",
	[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",
};

static int wrong_kind(const struct field *f, const struct json_value *v, struct err *e)
{
	const char *want[2] = { "", "" };
	size_t n = 0;

	for (size_t k = 0; k < sizeof(kind_names) / sizeof(kind_names[0]) && n < 2; k++)
		if (f->kinds & (1u << k))
			want[n++] = kind_names[k];
	return err_set(e, EINVAL, "\"%s\": %s stands there, %s%s%s is expected; correct the request", f->path,
		       kind_names[v->kind], want[0], n > 1 ? " or " : "", want[1]);
}

static bool is_present(const struct json_value *v)
{
	bool empty = (v->kind == JSON_BOOL || v->kind == JSON_ARRAY) && v->i == 0;

	return v->kind != JSON_NULL && !empty;
}

static int field_hit(struct walk *w, const struct field *f, bool *stood, const struct json_value *v)
{
	if (f->once && *stood)
		return err_set(w->e, EINVAL,
			       "\"%s\": stands twice, so which one counts is not certain; send it once", f->path);
	*stood = true;
	if (v->kind == JSON_NULL && !f->nulls)
		return 0;
	if (f->kinds && !(f->kinds & (1u << v->kind)) && v->kind != JSON_NULL)
		return wrong_kind(f, v, w->e);
	if (f->refuse)
		return is_present(v) ? err_set(w->e, EINVAL, "\"%s\": %s", f->path, f->refuse) : 0;
	if (f->read)
		return f->read(w->ctx, v, w->e);
	*(int64_t *)((char *)w->ctx + f->to) = v->i;
	return 0;
}

static void walk_hit(void *ctx, int id, const struct json_value *v)
{
	struct walk *w = ctx;

	if ((size_t)id == w->nfields) {
		w->members = v->i;
		return;
	}
	w->known += strpbrk(w->fields[id].path, ".[*") == NULL;
	if (w->error == 0)
		w->error = field_hit(w, &w->fields[id], &w->stood[id], v);
}

int fields_read(struct json *j, const char *body, size_t len, const struct field *fields, size_t nfields, void *ctx,
		struct err *e)
{
	bool known;

	return fields_read_known(j, body, len, fields, nfields, ctx, &known, e);
}

int fields_read_known(struct json *j, const char *body, size_t len, const struct field *fields, size_t nfields, void *ctx,
		      bool *ret_known, struct err *e)
{
	struct json_want wants[FIELDS_MAX + 1];
	struct walk w = { .fields = fields, .ctx = ctx, .e = e, .nfields = nfields };
	int r;

	ASSERT(nfields <= FIELDS_MAX);
	for (size_t i = 0; i < nfields; i++)
		wants[i] = (struct json_want){ .path = fields[i].path, .id = (int)i };
	wants[nfields] = (struct json_want){ .path = "", .id = (int)nfields };
	r = json_scan(j, body, len, wants, nfields + 1, walk_hit, &w);
	*ret_known = r == 0 && w.known == w.members && !json_repeats(j);
	if (r == -EINVAL)
		return err_set(e, EINVAL, "body: is not valid JSON (UTF-8, one value); send one JSON object");
	if (r == -E2BIG)
		return err_set(e, EINVAL, "body: nests too deep to be read with certainty; send a flatter JSON object");
	return r < 0 ? r : w.error;
}

static bool has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

int model_asked(struct str s, char *ret, size_t size, struct err *e)
{
	if (s.n == 0)
		return err_set(e, EINVAL, "\"model\": is empty; name the model that is to answer");
	if (s.n >= size)
		return err_set(e, EINVAL, "\"model\": is %zu bytes long, at most %zu are known to any price list; check the name",
			       s.n, size - 1);
	/* A NUL would let us price a shorter name than the provider reads. */
	if (has_control(s))
		return err_set(e, EINVAL, "\"model\": holds control characters; send the plain name");
	(void)str_copy(ret, size, s);
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int body_brace(const char *body, size_t len, size_t *ret)
{
	size_t i = len >= 3 && memcmp(body, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

	while (i < len && is_blank(body[i]))
		i++;
	if (i == len || body[i] != '{')
		return -EINVAL;
	*ret = i;
	return 0;
}

bool object_is_empty(const char *body, size_t at, size_t end)
{
	for (size_t i = at + 1; i + 1 < end; i++)
		if (!is_blank(body[i]))
			return false;
	return true;
}

/* ---- words */

bool str_is(struct str s, const char *word)
{
	return str_eq(s, str_of(word));
}

int word_value(const struct word *table, struct str s, int otherwise)
{
	for (; table->text; table++) {
		struct str t = str_of(table->text);
		bool prefix = t.n > 0 && t.p[t.n - 1] == '*';

		if (prefix ? str_starts(s, (struct str){ .p = t.p, .n = t.n - 1 }) : str_eq(s, t))
			return table->value;
	}
	return otherwise;
}

void note_take(struct note *n, const struct json_value *v)
{
	note_clear(n);
	if (v->kind == JSON_STRING)
		(void)str_copy(n->text, sizeof(n->text), v->s);
}

int stands_once(bool *stood, const char *path, struct err *e)
{
	if (*stood)
		return err_set(e, EINVAL, "\"%s\": stands twice in one tool, so which one counts is not certain; send it once", path);
	*stood = true;
	return 0;
}

int note_take_once(struct note *n, bool *stood, const char *path, const struct json_value *v, struct err *e)
{
	int r = stands_once(stood, path, e);

	if (r == 0)
		note_take(n, v);
	return r;
}

bool note_is(const struct note *n, const char *word)
{
	return strcmp(n->text, word) == 0;
}

struct str note_str(const struct note *n)
{
	return str_of(n->text);
}

/* ---- answers */

void model_answered(char *ret, size_t size, const struct json_value *v)
{
	if (v->kind == JSON_STRING && v->s.n > 0 && v->s.n < size && !has_control(v->s))
		(void)str_copy(ret, size, v->s);
}

void output_bytes(struct report *r, size_t n)
{
	if (n == 0)
		return;
	r->output_seen = true;
	r->output_bytes += (int64_t)n;
}

bool part_model_answered(char *ret, size_t size, const struct json_value *v)
{
	model_answered(ret, size, v);
	return v->kind != JSON_STRING || v->s.n == 0 || ret[0] != '\0';
}

void output_text(struct report *r, const struct json_value *v)
{
	if (v->kind == JSON_STRING)
		output_bytes(r, v->s.n);
}

void output_event(struct report *r, int64_t bytes_before)
{
	r->output_events += r->output_bytes > bytes_before;
}

int token_count(const struct json_value *v, int64_t *ret)
{
	if (v->kind == JSON_NULL) {
		*ret = -1;
		return 0;
	}
	if (v->kind != JSON_INT || v->i < 0 || v->i > USAGE_TOKENS_MAX)
		return -EINVAL;
	*ret = v->i;
	return 0;
}

/*
 * Every answer has input, and has output if some was seen. A usage that says otherwise is unknown, not free: zeros
 * are seen in recordings of answers that were charged.
 */
void usage_judge(struct report *r, bool said)
{
	const struct usage *u = &r->usage;
	bool in_range = u->input <= USAGE_TOKENS_MAX && u->output <= USAGE_TOKENS_MAX;
	bool plausible = in_range && u->input > 0 && (u->output > 0 || !r->output_seen);

	if (said)
		r->seen = plausible;
	else if (r->seen && !plausible)
		r->seen = false; /* an early usage, overtaken by output */
}

void parts_begin(struct report *r, bool *begun)
{
	if (*begun)
		return;
	*begun = true;
	r->nparts = 0;
	r->parts_overflow = false;
}

void part_add(struct report *r, struct str model, const struct usage *u)
{
	struct usage_part *p;

	if (r->nparts == USAGE_PARTS_MAX || model.n >= sizeof(p->model) || u->input > USAGE_TOKENS_MAX ||
	    u->output > USAGE_TOKENS_MAX) {
		r->parts_overflow = true;
		return;
	}
	p = &r->parts[r->nparts++];
	(void)str_copy(p->model, sizeof(p->model), model);
	p->usage = *u;
}

void parts_judge(struct report *r)
{
	int64_t input = 0, output = 0;

	if (r->nparts == 0)
		return;
	for (size_t i = 0; i < r->nparts; i++) {
		input += r->parts[i].usage.input;
		output += r->parts[i].usage.output;
		r->parts[i].usage.web_searches = 0;
	}
	r->parts[0].usage.web_searches = r->usage.web_searches;
	/* Parts may hold more than the top level says (other models), never less: then some are missing. */
	if (input < r->usage.input || output < r->usage.output)
		r->parts_overflow = true;
}

void member_range(struct str text, const struct json_value *v, size_t *ret_at, size_t *ret_n)
{
	size_t at = v->key_at, end = v->end, i = at;

	while (i > 0 && is_blank(text.p[i - 1]))
		i--;
	if (i > 0 && text.p[i - 1] == ',') {
		at = i - 1;
	} else {
		/* The first member: the comma behind it goes. */
		for (i = end; i < text.n && is_blank(text.p[i]); i++)
			;
		if (i < text.n && text.p[i] == ',')
			end = i + 1;
	}
	*ret_at = at;
	*ret_n = end - at;
}

/* ---- paths */

static bool pattern_matches(const char *pattern, struct str path)
{
	struct str pat = str_of(pattern);

	/* Both begin with a slash: the first segments are empty. */
	for (;;) {
		bool last = memchr(pat.p, '/', pat.n) == NULL, path_last = memchr(path.p, '/', path.n) == NULL;
		struct str want = str_cut(&pat, '/');
		struct str have;

		if (str_is(want, "**"))
			return path.n > 0;
		have = str_cut(&path, '/');
		if (str_is(want, "*") ? have.n == 0 : !str_eq(want, have))
			return false;
		if (last || path_last)
			return last && path_last;
	}
}

enum endpoint routes_classify(const struct route *routes, size_t n, struct str method, struct str path)
{
	if (path.n == 0)
		return ENDPOINT_UNKNOWN;
	for (size_t i = 0; i < n; i++) {
		bool same = str_is(method, routes[i].method) ||
			    (str_is(method, "HEAD") && str_is(STR("GET"), routes[i].method));

		if (same && pattern_matches(routes[i].pattern, path))
			return routes[i].endpoint;
	}
	return ENDPOINT_UNKNOWN;
}
