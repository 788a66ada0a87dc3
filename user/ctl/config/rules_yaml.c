// SPDX-License-Identifier: Apache-2.0
/* rules_yaml.c: see rules_yaml.h. JSON is YAML, so one tree and one walk serve config, control requests and what is shown. */
#include "ctl/config/rules_yaml.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "ctl/nearest.h"
#include "ctl/units.h"

#define SECOND_NS INT64_C(1000000000)

struct writing {
	struct jsonw w;
	struct err *e;
	int ret;
	const struct yaml_node *culprit;
};

static void put_members(struct writing *wr, const struct yaml_node *base, const struct yaml_node *over);

/* Whose values are whole numbers; all others are texts, also when digits only. */
static bool is_count(const char *key)
{
	static const char *const keys[] = { "requests_per_minute", "tokens_per_minute", "calls_in_flight", "times", "within_s" };

	for (size_t i = 0; key && i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

static void put_within(struct writing *wr, const struct yaml_node *n)
{
	int64_t ns;

	if (units_to_ns(yaml_scalar(n), &ns) == 0 && ns > 0 && ns % SECOND_NS == 0) {
		jsonw_i64(&wr->w, "within_s", ns / SECOND_NS);
		return;
	}
	if (wr->ret == 0)
		wr->ret = err_set(wr->e, EINVAL, "within: \"%.40s\" is not a duration of whole seconds; write e.g. 1m", yaml_scalar(n).p);
	wr->culprit = n;
}

static void put_value(struct writing *wr, const char *key, const struct yaml_node *n)
{
	int64_t v;

	if (key && strcmp(key, "within") == 0) {
		put_within(wr, n);
	} else if (yaml_kind(n) == YAML_MAP) {
		jsonw_object(&wr->w, key);
		put_members(wr, n, NULL);
		jsonw_close(&wr->w);
	} else if (yaml_kind(n) == YAML_LIST) {
		jsonw_array(&wr->w, key);
		for (size_t i = 0; i < yaml_count(n); i++)
			put_value(wr, NULL, yaml_at(n, i));
		jsonw_close(&wr->w);
	} else if (is_count(key) && str_to_i64(yaml_scalar(n), &v) == 0) {
		jsonw_i64(&wr->w, key, v);
	} else {
		jsonw_str(&wr->w, key, yaml_scalar(n));
	}
}

/* "within" and "within_s" are one value. */
static const struct yaml_node *find_over(const struct yaml_node *over, const char *key)
{
	const struct yaml_node *n = yaml_find(over, key);

	return n || strcmp(key, "within_s") != 0 ? n : yaml_find(over, "within");
}

static bool has_key(const struct yaml_node *base, const char *key)
{
	return yaml_find(base, key) || (strcmp(key, "within") == 0 && yaml_find(base, "within_s"));
}

static void put_member(struct writing *wr, const char *key, const struct yaml_node *old, const struct yaml_node *fresh)
{
	if (!fresh) {
		if (!yaml_is_null(old))
			put_value(wr, key, old);
		return;
	}
	if (yaml_is_null(fresh))
		return;
	if (yaml_kind(old) == YAML_MAP && yaml_kind(fresh) == YAML_MAP) {
		jsonw_object(&wr->w, key);
		put_members(wr, old, fresh);
		jsonw_close(&wr->w);
		return;
	}
	put_value(wr, old && strcmp(key, "within_s") == 0 && str_to_i64(yaml_scalar(fresh), &(int64_t){ 0 }) < 0 ? "within" : key, fresh);
}

static void put_members(struct writing *wr, const struct yaml_node *base, const struct yaml_node *over)
{
	char key[64];

	for (size_t i = 0; i < yaml_count(base); i++) {
		(void)str_copy(key, sizeof(key), yaml_key(base, i));
		put_member(wr, key, yaml_at(base, i), over ? find_over(over, key) : NULL);
	}
	for (size_t i = 0; over && i < yaml_count(over); i++) {
		(void)str_copy(key, sizeof(key), yaml_key(over, i));
		if (!has_key(base, key))
			put_member(wr, key, NULL, yaml_at(over, i));
	}
}

/* base and over as one JSON text, then read by the rules' own reader. */
static int read_merged(const struct yaml_node *base, const struct yaml_node *over, struct rules *ret,
		       const struct yaml_node **ret_culprit, struct err *e)
{
	struct writing wr = { .e = e };
	struct buf text;

	buf_init(&text, RULES_TEXT_MAX);
	jsonw_init(&wr.w, &text);
	jsonw_object(&wr.w, NULL);
	put_members(&wr, base, over);
	jsonw_close(&wr.w);
	int r = jsonw_end(&wr.w);

	if (wr.ret < 0)
		r = wr.ret;
	else if (r < 0)
		r = err_set(e, EINVAL, "is longer than %d bytes; use fewer models, or wider globs", RULES_TEXT_MAX);
	else
		r = rules_parse(buf_ptr(&text), buf_len(&text), ret, e);
	/* Who calls says of what it is. */
	if (r < 0 && strncmp(e->text, "rules: ", 7) == 0)
		memmove(e->text, e->text + 7, strlen(e->text + 7) + 1);
	if (r < 0 && wr.culprit)
		*ret_culprit = wr.culprit;
	buf_done(&text);
	return r;
}

/* ---- keys: told here, where the nearest known one can be named */

static const char *const top_keys[] = { "requests_per_minute", "tokens_per_minute", "calls_in_flight", "per_call", "loop", "burn_rate",
					"models", "model_limits", "dry_run", NULL };
static const char *const times_keys[] = { "times", "within", "within_s", NULL };
static const char *const model_keys[] = { "allow", "deny", NULL };
static const char *const limit_keys[] = { "models", "hour", "day", "week", "month", "total", NULL };
static const struct {
	const char *key;
	const char *const *keys;
} below[] = { { "loop", times_keys }, { "burn_rate", times_keys }, { "models", model_keys }, { "model_limits", limit_keys } };

static int check_map(const struct yaml_node *map, const char *above, const char *const *keys, const struct yaml_node **ret_culprit,
		     struct err *e)
{
	for (size_t i = 0; i < yaml_count(map); i++) {
		struct nearest near;
		bool known = false;

		nearest_init(&near, yaml_key(map, i));
		for (size_t k = 0; keys[k]; k++) {
			known = known || str_eq(yaml_key(map, i), str_of(keys[k]));
			nearest_offer(&near, keys[k]);
		}
		if (known)
			continue;
		*ret_culprit = yaml_at(map, i);
		const char *meant = nearest_word(&near) ? nearest_word(&near) : keys[0];

		return err_set(e, EINVAL, "%s%s%.*s: is not a known key; did you mean \"%s\"?", above, above[0] ? "." : "",
			       STR_FMT(yaml_key(map, i)), meant);
	}
	return 0;
}

static int check_keys(const struct yaml_node *top, const struct yaml_node **ret_culprit, struct err *e)
{
	int r = check_map(top, "", top_keys, ret_culprit, e);

	for (size_t i = 0; r == 0 && i < sizeof(below) / sizeof(below[0]); i++) {
		const struct yaml_node *n = yaml_find(top, below[i].key);

		if (n && yaml_kind(n) == YAML_MAP)
			r = check_map(n, below[i].key, below[i].keys, ret_culprit, e);
		for (size_t k = 0; r == 0 && n && yaml_kind(n) == YAML_LIST && k < yaml_count(n); k++)
			if (yaml_kind(yaml_at(n, k)) == YAML_MAP)
				r = check_map(yaml_at(n, k), below[i].key, below[i].keys, ret_culprit, e);
	}
	return r;
}

/* Complaints begin with the key that they are about, some in quotes. */
static const struct yaml_node *find_culprit(const struct yaml_node *map, const char *complaint)
{
	struct str text = str_of(complaint + (complaint[0] == '"'));

	for (size_t i = 0; i < yaml_count(map); i++)
		if (str_starts(text, yaml_key(map, i)))
			return yaml_at(map, i);
	return map;
}

int rules_from_yaml(const struct yaml_node *n, struct rules *ret, const struct yaml_node **ret_culprit, struct err *e)
{
	const struct yaml_node *culprit = NULL;
	int r = check_keys(n, &culprit, e);

	if (r == 0)
		r = read_merged(n, NULL, ret, &culprit, e);
	if (r < 0)
		*ret_culprit = culprit ? culprit : find_culprit(n, e->text);
	return r;
}

int rules_merge(const struct rules *old, struct str patch, struct rules *ret, struct err *e)
{
	const struct yaml_node *culprit = NULL;
	struct yaml *base = NULL, *over = NULL;
	struct buf text;

	buf_init(&text, RULES_TEXT_MAX);
	int r = rules_write(old, &text);

	if (r == 0)
		r = yaml_parse("rules", buf_ptr(&text), buf_len(&text), &base, e);
	if (r == 0)
		r = yaml_parse("rules", patch.p, patch.n, &over, e);
	if (r == 0 && yaml_kind(yaml_root(over)) != YAML_MAP)
		r = err_set(e, EINVAL, "rules: is not an object; write e.g. {\"requests_per_minute\":60}");
	if (r == 0)
		r = check_keys(yaml_root(over), &culprit, e);
	if (r == 0)
		r = read_merged(yaml_root(base), yaml_root(over), ret, &culprit, e);
	yaml_free(base);
	yaml_free(over);
	buf_done(&text);
	return r;
}

/* ---- showing */

static int show_node(struct buf *out, const char *key, const struct yaml_node *n);

static int show_scalar(struct buf *out, struct str s)
{
	bool plain = s.n > 0 && s.p[0] != '-';

	for (size_t i = 0; i < s.n; i++)
		plain = plain && ((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
				  (s.p[i] >= '0' && s.p[i] <= '9') || strchr("_.-", s.p[i]));
	/* Globs have no quote and no backslash in them: rules_check. */
	return buf_printf(out, plain ? "%.*s" : "\"%.*s\"", STR_FMT(s));
}

static int show_member(struct buf *out, struct str name, const struct yaml_node *n)
{
	char mem[32], key[64];
	int64_t v;

	if (str_eq(name, STR("within_s")) && str_to_i64(yaml_scalar(n), &v) == 0)
		return buf_printf(out, "within: %s", units_show_ns(v * SECOND_NS, mem, sizeof(mem)));
	(void)str_copy(key, sizeof(key), name);
	int r = buf_printf(out, "%s: ", key);

	return r ? r : show_node(out, key, n);
}

static int show_node(struct buf *out, const char *key, const struct yaml_node *n)
{
	bool map = yaml_kind(n) == YAML_MAP;
	int r;

	if (yaml_kind(n) == YAML_SCALAR)
		return show_scalar(out, yaml_scalar(n));
	if (yaml_count(n) == 0)
		return buf_printf(out, map ? "{}" : "[]");
	r = buf_printf(out, map ? "{ " : "[");
	for (size_t i = 0; r == 0 && i < yaml_count(n); i++) {
		if (i)
			r = buf_append(out, ", ", 2);
		if (r == 0)
			r = map ? show_member(out, yaml_key(n, i), yaml_at(n, i)) : show_node(out, key, yaml_at(n, i));
	}
	return r ? r : buf_printf(out, map ? " }" : "]");
}

int rules_show(const struct rules *rules, struct buf *out)
{
	struct yaml *y = NULL;
	struct err ignored;
	struct buf text;

	buf_init(&text, RULES_TEXT_MAX);
	int r = rules_write(rules, &text);

	if (r == 0)
		r = yaml_parse("rules", buf_ptr(&text), buf_len(&text), &y, &ignored);
	if (r == 0)
		r = show_node(out, NULL, yaml_root(y));
	yaml_free(y);
	buf_done(&text);
	return r;
}

void rules_put(struct jsonw *w, const char *key, const struct rules *rules)
{
	struct writing wr = { .w = *w };
	struct yaml *y = NULL;
	struct err ignored;
	struct buf text;

	buf_init(&text, RULES_TEXT_MAX);
	if (rules_write(rules, &text) == 0 && yaml_parse("rules", buf_ptr(&text), buf_len(&text), &y, &ignored) == 0)
		put_value(&wr, key, yaml_root(y));
	else
		jsonw_null(&wr.w, key);
	*w = wr.w;
	yaml_free(y);
	buf_done(&text);
}
