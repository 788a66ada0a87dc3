// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_json.c: bytes to the JSON scanner, the walk of spend/price/json.c, the number reader and the writer.
 *
 * Checked besides memory: the root is told once and last; every value stands where it is said to, and read alone is the same value; the
 * walk finds as many members as the scanner counted; what jsonw wrote of any bytes reads back, and is written the same again.
 */
#include "fuzz.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/json_text.h"
#include "base/jsonw.h"
#include "base/str.h"
#include "spend/price/json.h"

const struct str fuzz_seeds[] = {
	FUZZ_SEED("{\"a\":{\"b\":1},\"k\":[{\"a\":\"x\\u00e9\\ud83d\\ude00\\n\"},-0,1e9,null,true],\"k\":\"\"}"),
	FUZZ_SEED("[{\"a\":1},{\"a\":9223372036854775807},{\"a\":-9223372036854775808},{\"a\":9223372036854775808}]"),
	FUZZ_SEED("{\"a\":[{\"b\":\"\\ud800\"},{\"b\":[]},{\"b\":{}}],\"m\":1.25e-06}"),
	FUZZ_SEED(" \"a\\\\\\\"\" "),
	FUZZ_SEED("-12.5e+3"),
	FUZZ_SEEDS_END,
};

#define KEPT_MAX 64

struct kept {
	struct json_value v;
	char *s; /* a copy of v.s */
};
struct seen {
	size_t len, roots, n;
	struct kept kept[KEPT_MAX];
};

enum { ROOT, SOME };
static const struct json_want wants[] = {
	{ "", ROOT }, { "a", SOME }, { "a.b", SOME }, { "a[].b", SOME }, { "[].a", SOME }, { "**.k", SOME }, { "k[]", SOME },
};
#define NWANTS (sizeof(wants) / sizeof(wants[0]))

static struct json *json, *second;

static void hit(void *ctx, int id, const struct json_value *v)
{
	struct seen *seen = ctx;

	MUST(v->at < v->end && v->end <= seen->len && v->key_at <= v->at);
	MUST(seen->roots == 0);
	seen->roots += id == ROOT;
	if (seen->n < KEPT_MAX)
		seen->kept[seen->n++] = (struct kept){ *v, fuzz_copy(v->s.p, v->s.n) };
}

static void drop(struct seen *seen)
{
	for (size_t i = 0; i < seen->n; i++)
		free(seen->kept[i].s);
}

struct only {
	const struct kept *wanted;
	size_t n;
};

static void same(void *ctx, int id, const struct json_value *v)
{
	struct only *o = ctx;

	MUST(v->kind == o->wanted->v.kind && v->end - v->at == o->wanted->v.end - o->wanted->v.at);
	MUST(v->kind == JSON_STRING || v->kind == JSON_NUMBER || v->kind == JSON_NULL || v->i == o->wanted->v.i);
	if (v->kind == JSON_STRING || v->kind == JSON_NUMBER || v->kind == JSON_INT)
		MUST(v->s.n == o->wanted->v.s.n && (v->s.n == 0 || memcmp(v->s.p, o->wanted->s, v->s.n) == 0));
	o->n++;
}

static void read_alone(const char *text, const struct kept *k)
{
	const size_t n = k->v.end - k->v.at;
	char *alone = fuzz_padded((struct str){ text + k->v.at, n });
	struct only o = { .wanted = k };

	MUST(json_scan(second, alone, n, wants, 1, same, &o) == 0 && o.n == 1);
	free(alone);
}

static void walk(struct arena *a, const struct pj_value *v, struct str text)
{
	struct pj_walk w = pj_walk(v);
	struct pj_value inner;
	struct str key, s;
	int64_t scaled;
	bool rounded;

	MUST(v->raw.p >= text.p && v->raw.n > 0 && v->raw.p + v->raw.n <= text.p + text.n);
	if (v->kind == JSON_NUMBER && pj_scale(v->raw, 1, 15, INT64_MAX, &scaled, &rounded) == 0)
		MUST(scaled >= 0);
	if (v->kind == JSON_STRING) {
		s = pj_string(a, v);
		MUST(s.p && s.n <= v->raw.n - 2);
	}
	while (pj_next(&w, &key, &inner)) {
		MUST(v->kind == JSON_ARRAY || v->kind == JSON_OBJECT);
		MUST(pj_text(a, key).n <= key.n);
		walk(a, &inner, v->raw);
	}
}

static void check_walk(const char *text, size_t n, bool is_json)
{
	struct pj_value root;
	struct arena *a;

	if (price_json_check("f", text, n, NULL) < 0)
		return;
	MUST(is_json);
	a = arena_new(1 << 24);
	MUST(a);
	root = price_json_root(text, n);
	walk(a, &root, (struct str){ text, n });
	arena_free(a);
}

static void take_text(void *ctx, int id, const struct json_value *v)
{
	struct buf *to = ctx;

	MUST(v->kind == JSON_STRING);
	MUST(v->s.n == 0 || buf_append(to, v->s.p, v->s.n) == 0);
}

static void write_text(struct str s, struct buf *out, struct buf *text)
{
	struct jsonw w;

	buf_init(out, 1 << 24);
	buf_init(text, 1 << 24);
	jsonw_init(&w, out);
	jsonw_str(&w, NULL, s);
	MUST(jsonw_end(&w) == 0);
	MUST(json_scan(second, buf_ptr(out), buf_len(out), wants, 1, take_text, text) == 0);
}

static void check_writer(struct str s)
{
	struct buf out, text, out2, text2;

	write_text(s, &out, &text);
	write_text((struct str){ buf_ptr(&text), buf_len(&text) }, &out2, &text2);
	MUST(fuzz_same(&out, &out2) && fuzz_same(&text, &text2));
	buf_done(&out);
	buf_done(&text);
	buf_done(&out2);
	buf_done(&text2);
}

static void check_number(struct str s)
{
	char copy[64];
	char *end;
	int64_t v;
	bool is_int = false;
	size_t n = json_number(s.p, s.n, &is_int, &v);

	MUST(n <= s.n);
	if (n == 0 || !is_int)
		return;
	MUST(n < sizeof(copy));
	memcpy(copy, s.p, n);
	copy[n] = '\0';
	MUST(strtoll(copy, &end, 10) == v && end == copy + n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str in = { (const char *)data, size };
	struct seen seen = { .len = size };
	char *text = fuzz_padded(in), *tight = fuzz_copy(data, size);
	int r;

	if (!json)
		json = json_new(), second = json_new();
	MUST(json && second);
	r = json_scan(json, text, size, wants, NWANTS, hit, &seen);
	MUST(r == 0 || r == -EINVAL || r == -E2BIG);
	if (r == 0) {
		MUST(seen.roots == 1);
		for (size_t i = 0; i < seen.n; i++)
			read_alone(text, &seen.kept[i]);
	}
	check_walk(text, size, r == 0);
	check_writer(in);
	check_number((struct str){ tight, size });
	drop(&seen);
	free(text);
	free(tight);
	return 0;
}
