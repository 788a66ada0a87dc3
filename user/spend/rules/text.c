// SPDX-License-Identifier: Apache-2.0
/*
 * rules/text.c: rules as one JSON object, written and read back; declared in rules.h. A text that says anything that is not understood
 * is refused as a whole: half a set of rules would let pass what the other half forbids.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/json.h"
#include "base/jsonw.h"
#include "base/str.h"
#include "gate_abi.h"
#include "spend/rules/rules.h"
#include "spend/budget/window.h"

#define TEXT_MAX (64 << 10)

/* ---- writing */

static void write_number(struct jsonw *w, const char *key, int64_t v)
{
	if (v)
		jsonw_i64(w, key, v);
}

static void write_pair(struct jsonw *w, const char *key, int64_t times, int64_t within_s)
{
	if (!times)
		return;
	jsonw_object(w, key);
	jsonw_i64(w, "times", times);
	jsonw_i64(w, "within_s", within_s);
	jsonw_close(w);
}

static void write_globs(struct jsonw *w, const char *key, const char (*globs)[RULES_GLOB_MAX], size_t n)
{
	if (!n)
		return;
	jsonw_array(w, key);
	for (size_t i = 0; i < n; i++)
		jsonw_cstr(w, NULL, globs[i]);
	jsonw_close(w);
}

static void write_model_limit(struct jsonw *w, const struct model_limit *l)
{
	jsonw_object(w, NULL);
	jsonw_cstr(w, "models", l->models);
	for (int k = 0; k < WINDOW_COUNT; k++)
		if (l->limits[k] != GATE_NO_LIMIT)
			jsonw_usd(w, window_name((enum window_kind)k), l->limits[k]);
	jsonw_close(w);
}

static void write_lists(struct jsonw *w, const struct rules *r)
{
	if (r->nallow || r->ndeny) {
		jsonw_object(w, "models");
		write_globs(w, "allow", r->allow, r->nallow);
		write_globs(w, "deny", r->ndeny ? r->deny : NULL, r->ndeny);
		jsonw_close(w);
	}
	if (r->nmodel_limits) {
		jsonw_array(w, "model_limits");
		for (size_t i = 0; i < r->nmodel_limits; i++)
			write_model_limit(w, &r->model_limits[i]);
		jsonw_close(w);
	}
	if (r->dry_run) {
		jsonw_array(w, "dry_run");
		for (unsigned k = 0; k < RULE_COUNT; k++)
			if (r->dry_run >> k & 1)
				jsonw_cstr(w, NULL, rule_name((enum rule)k));
		jsonw_close(w);
	}
}

int rules_write(const struct rules *r, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_object(&w, NULL);
	write_number(&w, "requests_per_minute", r->requests_per_minute);
	write_number(&w, "tokens_per_minute", r->tokens_per_minute);
	write_number(&w, "calls_in_flight", r->calls_in_flight);
	if (r->per_call)
		jsonw_usd(&w, "per_call", r->per_call);
	write_pair(&w, "loop", r->loop_times, r->loop_within_s);
	write_pair(&w, "burn_rate", r->burn_times, r->burn_within_s);
	write_lists(&w, r);
	jsonw_close(&w);
	return jsonw_end(&w);
}

/* ---- reading */

enum type { COUNT, USD, WINDOW_USD, GLOB, ALLOW, DENY, RULE, LIST, MEMBERS, ROW, ROOT };

struct member {
	const char *path;
	enum type type;
	size_t offset; /* COUNT, USD: in struct rules; WINDOW_USD, GLOB: in struct model_limit */
};
#define AT(member) offsetof(struct rules, member)
#define AT_WINDOW(w) (offsetof(struct model_limit, limits) + (w) * sizeof(int64_t))

/* Each value is told after what stands in it. MEMBERS, ROW and ROOT are objects whose members stand in this table too. */
static const struct member members[] = {
	{ "requests_per_minute", COUNT, AT(requests_per_minute) },
	{ "tokens_per_minute", COUNT, AT(tokens_per_minute) },
	{ "calls_in_flight", COUNT, AT(calls_in_flight) },
	{ "per_call", USD, AT(per_call) },
	{ "loop.times", COUNT, AT(loop_times) },
	{ "loop.within_s", COUNT, AT(loop_within_s) },
	{ "loop", MEMBERS, 0 },
	{ "burn_rate.times", COUNT, AT(burn_times) },
	{ "burn_rate.within_s", COUNT, AT(burn_within_s) },
	{ "burn_rate", MEMBERS, 0 },
	{ "models.allow[]", ALLOW, 0 },
	{ "models.allow", LIST, 0 },
	{ "models.deny[]", DENY, 0 },
	{ "models.deny", LIST, 0 },
	{ "models", MEMBERS, 0 },
	{ "model_limits[].models", GLOB, offsetof(struct model_limit, models) },
	{ "model_limits[].hour", WINDOW_USD, AT_WINDOW(WINDOW_HOUR) },
	{ "model_limits[].day", WINDOW_USD, AT_WINDOW(WINDOW_DAY) },
	{ "model_limits[].week", WINDOW_USD, AT_WINDOW(WINDOW_WEEK) },
	{ "model_limits[].month", WINDOW_USD, AT_WINDOW(WINDOW_MONTH) },
	{ "model_limits[].total", WINDOW_USD, AT_WINDOW(WINDOW_TOTAL) },
	{ "model_limits[]", ROW, 0 },
	{ "model_limits", LIST, 0 },
	{ "dry_run[]", RULE, 0 },
	{ "dry_run", LIST, 0 },
	{ "", ROOT, 0 },
};
#define NMEMBERS (sizeof(members) / sizeof(members[0]))

struct reader {
	struct rules r;
	struct model_limit row; /* the one being read */
	uint32_t seen;          /* bit per member: a key that stands twice is refused */
	int64_t inner, outer;   /* members that were understood: of the object being read, of the root */
	int error;
	struct err *e;
};

static void fail(struct reader *rd, const char *path, const char *want)
{
	if (rd->error == 0)
		rd->error = err_set(rd->e, EINVAL, "rules: \"%s\" %s", path[0] ? path : "the text", want);
}

static bool is_inner(const char *path)
{
	return strchr(path, '.') != NULL;
}

static void row_clear(struct reader *rd)
{
	rd->row = (struct model_limit){ .models = "" };
	for (int k = 0; k < WINDOW_COUNT; k++)
		rd->row.limits[k] = GATE_NO_LIMIT;
}

static void read_count(struct reader *rd, const struct member *m, const struct json_value *v)
{
	if (v->kind != JSON_INT || v->i < 0)
		fail(rd, m->path, "is not a count; write a whole number of 0 or more (0 = none)");
	else
		memcpy((char *)&rd->r + m->offset, &v->i, sizeof(v->i));
}

static void read_usd(struct reader *rd, const struct member *m, const struct json_value *v)
{
	char *to = m->type == USD ? (char *)&rd->r : (char *)&rd->row;
	nanousd amount;

	if (v->kind == JSON_NULL)
		return;
	if (v->kind != JSON_STRING || str_to_usd(v->s, true, &amount) < 0)
		fail(rd, m->path, "is not an amount; write a string such as \"12.50\"");
	else
		memcpy(to + m->offset, &amount, sizeof(amount));
}

static void take_glob(struct reader *rd, const char *path, const struct json_value *v, char *to)
{
	if (v->kind != JSON_STRING || memchr(v->s.p ? v->s.p : "", 0, v->s.n) || !str_copy(to, RULES_GLOB_MAX, v->s))
		fail(rd, path, "is not a model glob of at most 79 characters; write e.g. \"gpt-5*\"");
}

static void read_list_item(struct reader *rd, const struct member *m, const struct json_value *v)
{
	bool is_allow = m->type == ALLOW;
	size_t *n = is_allow ? &rd->r.nallow : &rd->r.ndeny;

	if (*n == RULES_MODELS_MAX) {
		fail(rd, m->path, "has more than 16 globs; use wider ones");
		return;
	}
	take_glob(rd, m->path, v, is_allow ? rd->r.allow[*n] : rd->r.deny[*n]);
	(*n)++;
}

static void read_rule(struct reader *rd, const struct member *m, const struct json_value *v)
{
	enum rule rule;

	if (v->kind != JSON_STRING || rule_of(v->s, &rule) < 0)
		fail(rd, m->path, "is not the name of a rule; write e.g. \"loop\"");
	else
		rd->r.dry_run |= UINT32_C(1) << rule;
}

static void read_list(struct reader *rd, const struct member *m, const struct json_value *v)
{
	if (v->kind != JSON_ARRAY)
		fail(rd, m->path, "is not a list; write it in [ ]");
}

/* All members of an object must have been understood. */
static void read_object(struct reader *rd, const struct member *m, const struct json_value *v)
{
	int64_t known = m->type == ROOT ? rd->outer : rd->inner;

	if (v->kind != JSON_OBJECT)
		fail(rd, m->path, "is not an object; write it in { }");
	else if (v->i != known)
		fail(rd, m->path, "has a key that is not known; `purse agent set --help` lists the rules");
	rd->inner = 0;
}

static void read_row(struct reader *rd, const struct member *m, const struct json_value *v)
{
	read_object(rd, m, v);
	if (rd->r.nmodel_limits == RULES_MODEL_LIMITS_MAX)
		fail(rd, m->path, "stands more than 8 times; use wider globs");
	else
		rd->r.model_limits[rd->r.nmodel_limits++] = rd->row;
	row_clear(rd);
	for (size_t i = 0; i < NMEMBERS; i++)
		if (members[i].type == GLOB || members[i].type == WINDOW_USD)
			rd->seen &= ~(UINT32_C(1) << i);
}

static void read_glob(struct reader *rd, const struct member *m, const struct json_value *v)
{
	take_glob(rd, m->path, v, rd->row.models);
}

static void (*const readers[])(struct reader *rd, const struct member *m, const struct json_value *v) = {
	[COUNT] = read_count, [USD] = read_usd, [WINDOW_USD] = read_usd, [GLOB] = read_glob, [ALLOW] = read_list_item,
	[DENY] = read_list_item, [RULE] = read_rule, [LIST] = read_list, [MEMBERS] = read_object, [ROW] = read_row,
	[ROOT] = read_object,
};

static bool is_item(enum type t)
{
	return t == ALLOW || t == DENY || t == RULE || t == ROW;
}

static void hit(void *ctx, int id, const struct json_value *v)
{
	struct reader *rd = ctx;
	const struct member *m = &members[id];

	if (!is_item(m->type) && m->type != ROOT) {
		if (rd->seen >> id & 1)
			fail(rd, m->path, "stands twice");
		rd->seen |= UINT32_C(1) << id;
	}
	readers[m->type](rd, m, v);
	/* After: an object's end sets `inner` back, and then counts for what it stands in. */
	if (is_item(m->type))
		return;
	if (is_inner(m->path))
		rd->inner++;
	else
		rd->outer++;
}

static int scan(struct reader *rd, const struct buf *text, struct err *e)
{
	struct json_want wants[NMEMBERS];
	struct json *j = json_new();

	if (!j)
		return err_set(e, ENOMEM, "rules: out of memory");
	for (size_t i = 0; i < NMEMBERS; i++)
		wants[i] = (struct json_want){ .path = members[i].path, .id = (int)i };
	int r = json_scan(j, buf_ptr(text), buf_len(text), wants, NMEMBERS, hit, rd);

	json_free(j);
	if (r < 0)
		return err_set(e, -r, "rules: the text is not a JSON object");
	return rd->error;
}

int rules_parse(const char *text, size_t len, struct rules *ret, struct err *e)
{
	_Static_assert(NMEMBERS <= 32, "bits of seen");
	struct reader rd = { .e = e };
	struct buf copy;

	row_clear(&rd);
	buf_init(&copy, TEXT_MAX);
	/* The scanner reads some bytes behind the text. */
	int r = buf_append(&copy, text, len);

	if (r < 0)
		r = err_set(e, -r, "rules: a text of %zu bytes; at most %d are taken", len, TEXT_MAX);
	else
		r = scan(&rd, &copy, e);
	buf_done(&copy);
	if (r == 0)
		r = rules_check_values(&rd.r, e);
	if (r == 0)
		*ret = rd.r;
	return r;
}
