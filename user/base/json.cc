// SPDX-License-Identifier: Apache-2.0
/*
 * json.cc: base/json.h. simdjson's stage 1 (vectorised, chosen for the CPU at run time) checks
 * UTF-8 and control characters and lists where every token starts; one loop below walks that
 * list, checks the grammar, every number, word and escape, and reports what is wanted.
 *
 * We do not use simdjson's own second stages: "on demand" leaves what it skips unchecked
 * and reads behind an unfinished text, and the DOM builds what we would throw away. Here
 * every token is bounded by the list and by the length.
 *
 * The only C++ file. Nothing here throws: memory comes from malloc and nothrow new.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <memory>
#include <new>

#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include <simdjson.h>

extern "C" {
#include "base/json.h"
#include "base/json_paths.h"
#include "base/json_text.h"
}

namespace {

constexpr unsigned DEPTH_MAX = 64;
/* A parser that read a larger text gives the memory for its token list (4 bytes a byte) back. */
constexpr size_t KEEP_TEXT = size_t(2) << 20;
constexpr size_t CAPACITY_MIN = 4096;
constexpr size_t TEXT_MAX = UINT32_MAX - 1024;
/* Of one object, looked at for a key that stands twice; one with more members counts as if it had such a key. */
constexpr int64_t KEYS_MAX = 48;

/* An open object or array. */
struct level {
	size_t at, key_at;
	int64_t count;
	uint16_t *states; /* the wanted paths that lead here; nstates of them */
	uint16_t nstates;
	bool is_array;
	bool watched; /* something inside may be wanted */
	uint64_t keys[KEYS_MAX]; /* key_mark of the members so far */
};

/* Equal keys have equal marks; up to 16 bytes only they do. Reads behind the key: JSON_PADDING. */
uint64_t key_mark(const char *p, size_t n)
{
	uint64_t first, last = 0;

	memcpy(&first, p, sizeof first);
	if (n < sizeof first)
		first &= (uint64_t(1) << 8 * n) - 1;
	else
		memcpy(&last, p + n - sizeof last, sizeof last);
	return (first * UINT64_C(0x9e3779b97f4a7c15)) ^ (last * UINT64_C(0xc2b2ae3d27d4eb4f) + n);
}

/*
 * Finds one backslash after the other. In code (and JSON in JSON) they stand a few bytes
 * apart: a bit mask of 64 bytes at a time saves a mispredicted branch for each. Far apart
 * they are memchr's. Reads up to 63 bytes behind the text (JSON_PADDING).
 */
class backslashes {
public:
	size_t at; /* len or more = none: one behind the text is behind every string too */

	backslashes(const char *text_, size_t len_) : text(text_), len(len_)
	{
		load(0);
		find();
	}

	void next()
	{
		mask &= mask - 1;
		find();
	}

private:
	const char *const text;
	const size_t len;
	size_t base;
	uint64_t mask; /* bit i: text[base + i] is a backslash not yet passed */

	void find()
	{
		if (__builtin_expect(!mask, 0))
			load_next();
		at = mask ? base + size_t(__builtin_ctzll(mask)) : len;
	}

	void load_next()
	{
		for (int blocks = 0; !mask && len - base > 64; blocks++) {
			size_t to = base + 64;

			if (blocks >= 4) {
				const void *p = memchr(text + to, '\\', len - to);

				to = (p ? size_t(static_cast<const char *>(p) - text) : len - 1) & ~size_t(63);
			}
			load(to);
		}
	}

	void load(size_t to)
	{
		base = to;
		mask = 0;
#ifdef __SSE2__
		for (int i = 0; i < 64; i += 16) {
			__m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i *>(text + base + i));

			v = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
			mask |= uint64_t(uint32_t(_mm_movemask_epi8(v))) << i;
		}
#else
		for (int i = 0; i < 64; i++)
			mask |= uint64_t(text[base + i] == '\\') << i;
#endif
	}
};

} // namespace

struct json {
	std::unique_ptr<simdjson::internal::dom_parser_implementation> stage1;
	struct json_plans plans;
	struct json_plan *plan;
	uint16_t *states; /* (DEPTH_MAX + 1) sets of plan nodes */
	size_t states_cap;
	char *scratch; /* for unescaping */
	size_t scratch_cap;
	bool repeats;
	struct level levels[DEPTH_MAX];
};

namespace {

/* One pass over one text. Error codes are sticky by returning at once. */
class walk {
public:
	walk(struct json *j_, const char *text_, size_t len_, json_hit_fn hit_, void *ctx_)
		: j(j_), plan(j_->plan), text(text_), len(len_), tokens(j_->stage1->structural_indexes.get()),
		  ntokens(j_->stage1->n_structural_indexes), hit(hit_), ctx(ctx_), esc(text_, len_)
	{
	}

	int run();

private:
	struct json *const j;
	const struct json_plan *const plan;
	const char *const text;
	const size_t len;
	const uint32_t *const tokens;
	const size_t ntokens;
	const json_hit_fn hit;
	void *const ctx;

	backslashes esc; /* at the first one not yet checked */
	size_t next = 0; /* the token to look at */
	unsigned depth = 0; /* open levels */
	/* Of the value about to be read: which wanted paths end or go on here, where its key is. */
	uint16_t *states = nullptr;
	uint16_t nstates = 0;
	size_t key_at = 0;

	/* A position past the last token, so that comparisons need no second case. */
	size_t token_at(size_t i) const { return i < ntokens ? tokens[i] : len; }
	char token() const { return next < ntokens ? text[tokens[next]] : '\0'; }

	int string_end(size_t at, size_t *ret_end);
	int escapes_pass(size_t end);
	int unescape_into_scratch(size_t at, size_t end, struct str *ret);
	int key();
	void mark_key(const char *p, size_t n);
	void match_key(struct str name);
	void element();
	int open(bool is_array);
	void close(size_t end);
	int value();
	int string(size_t at);
	int number(size_t at);
	int word(size_t at, const char *want, size_t n, enum json_kind kind, int64_t i);
	void report(struct json_value *v);
	bool ends_here(size_t at) const { return at == len || json_ends_word(text[at]); }
};

/* Only blanks stand between a closing quote and the next token, or stage 1 would have listed them. */
int walk::string_end(size_t at, size_t *ret_end)
{
	size_t end = token_at(next);

	while (end > at + 1 && json_is_blank(text[end - 1]))
		end--;
	if (end < at + 2 || text[end - 1] != '"')
		return -EINVAL;
	*ret_end = end;
	return 0;
}

/* Checks the escapes before `end` (just behind the closing quote) and moves past them. */
int walk::escapes_pass(size_t end)
{
	while (esc.at < end) {
		size_t at = esc.at;
		char c = text[at + 1];

		esc.next();
		/* The second of a pair starts no escape of its own. */
		if (c == '\\')
			esc.next();
		else if (!json_escape_letter(c) && !(c == 'u' && end - at >= 7 && json_hex4(text + at + 2) >= 0))
			return -EINVAL;
	}
	return 0;
}

int walk::unescape_into_scratch(size_t at, size_t end, struct str *ret)
{
	size_t need = end - at;

	if (need > j->scratch_cap) {
		char *mem = static_cast<char *>(realloc(j->scratch, need));

		if (!mem)
			return -ENOMEM;
		j->scratch = mem;
		j->scratch_cap = need;
	}
	ret->p = j->scratch;
	ret->n = json_unescape(text + at, text + end, j->scratch);
	return 0;
}

void walk::report(struct json_value *v)
{
	v->key_at = key_at;
	for (uint16_t i = 0; i < nstates; i++)
		for (uint16_t id = plan->nodes[states[i]].first_id; id != JSON_PATH_NONE; id = plan->ids[id].next)
			hit(ctx, plan->ids[id].id, v);
}

void walk::match_key(struct str name)
{
	const struct level *l = &j->levels[depth - 1];

	states = l->states + l->nstates;
	nstates = 0;
	if (plan->has_deep) {
		uint16_t n = json_path_child(plan, JSON_PATH_DEEP, name);

		if (n != JSON_PATH_NONE)
			states[nstates++] = n;
	}
	for (uint16_t i = 0; i < l->nstates; i++) {
		uint16_t n = json_path_child(plan, l->states[i], name);

		if (n != JSON_PATH_NONE)
			states[nstates++] = n;
	}
}

void walk::mark_key(const char *p, size_t n)
{
	struct level *l = &j->levels[depth - 1];
	uint64_t mark = key_mark(p, n);

	if (l->count >= KEYS_MAX) {
		j->repeats = true;
		return;
	}
	for (int64_t i = 0; i < l->count; i++)
		j->repeats |= l->keys[i] == mark;
	l->keys[l->count] = mark;
}

/* Reads `"key" :`. */
int walk::key()
{
	size_t at = token_at(next), end = 0;
	bool has_escape;
	struct str name;
	int r;

	if (token() != '"')
		return -EINVAL;
	next++;
	if (token() != ':')
		return -EINVAL;
	r = string_end(at, &end);
	has_escape = esc.at < end;
	if (r < 0 || (has_escape && escapes_pass(end) < 0))
		return -EINVAL;
	next++;
	/* One that is written with an escape may be any other. */
	j->repeats |= has_escape;
	mark_key(text + at + 1, end - at - 2);
	j->levels[depth - 1].count++;
	key_at = at;
	nstates = 0;
	if (!j->levels[depth - 1].watched)
		return 0;
	name = { text + at + 1, end - at - 2 };
	if (has_escape) {
		r = unescape_into_scratch(at + 1, end - 1, &name);
		if (r < 0)
			return r;
	}
	match_key(name);
	return 0;
}

/* What leads to the next element of the innermost array. */
void walk::element()
{
	struct level *l = &j->levels[depth - 1];

	l->count++;
	key_at = token_at(next);
	states = l->states + l->nstates;
	nstates = 0;
	for (uint16_t i = 0; i < l->nstates; i++) {
		uint16_t n = plan->nodes[l->states[i]].element;

		if (n != JSON_PATH_NONE)
			states[nstates++] = n;
	}
}

int walk::open(bool is_array)
{
	struct level *l;

	if (depth == DEPTH_MAX)
		return -E2BIG;
	l = &j->levels[depth++];
	l->at = token_at(next);
	l->key_at = key_at;
	l->count = 0;
	l->states = states;
	l->nstates = nstates;
	l->is_array = is_array;
	l->watched = nstates || plan->has_deep;
	next++;
	return 0;
}

void walk::close(size_t end)
{
	const struct level *l = &j->levels[--depth];

	if (l->nstates) {
		struct json_value v = {};

		v.kind = l->is_array ? JSON_ARRAY : JSON_OBJECT;
		v.i = l->count;
		v.at = l->at;
		v.end = end;
		states = l->states;
		nstates = l->nstates;
		key_at = l->key_at;
		report(&v);
	}
}

int walk::string(size_t at)
{
	struct json_value v = {};
	bool has_escape;
	int r;

	next++;
	if (string_end(at, &v.end) < 0)
		return -EINVAL;
	has_escape = esc.at < v.end;
	if (has_escape && escapes_pass(v.end) < 0)
		return -EINVAL;
	if (!nstates)
		return 0;
	v.kind = JSON_STRING;
	v.at = at;
	v.s = { text + at + 1, v.end - at - 2 };
	if (has_escape) {
		r = unescape_into_scratch(at + 1, v.end - 1, &v.s);
		if (r < 0)
			return r;
	}
	report(&v);
	return 0;
}

/* What follows must not be part of a word. */
int walk::number(size_t at)
{
	struct json_value v = {};
	bool is_int;
	size_t n = json_number(text + at, len - at, &is_int, &v.i);

	if (!n || !ends_here(at + n))
		return -EINVAL;
	next++;
	if (nstates) {
		v.kind = is_int ? JSON_INT : JSON_NUMBER;
		v.at = at;
		v.end = at + n;
		v.s = { text + at, n };
		report(&v);
	}
	return 0;
}

int walk::word(size_t at, const char *want, size_t n, enum json_kind kind, int64_t i)
{
	if (len - at < n || memcmp(text + at, want, n) != 0 || !ends_here(at + n))
		return -EINVAL;
	next++;
	if (nstates) {
		struct json_value v = {};

		v.kind = kind;
		v.i = i;
		v.at = at;
		v.end = at + n;
		report(&v);
	}
	return 0;
}

/* A scalar, or the opening of a container. */
int walk::value()
{
	size_t at = token_at(next);
	char c = token();

	switch (c) {
	case '"':
		return string(at);
	case '{':
	case '[':
		return open(c == '[');
	case 't':
		return word(at, "true", 4, JSON_BOOL, 1);
	case 'f':
		return word(at, "false", 5, JSON_BOOL, 0);
	case 'n':
		return word(at, "null", 4, JSON_NULL, 0);
	default:
		return c == '-' || json_is_digit(c) ? number(at) : -EINVAL;
	}
}

int walk::run()
{
	unsigned before;
	int r;

	states = j->states;
	states[nstates++] = JSON_PATH_ROOT;
	key_at = token_at(0);
	for (;;) {
		before = depth;
		r = value();
		if (r < 0)
			return r;
		bool opened = depth > before;
		/* Closes what ends here; leaves with the next member, element or the end of the text. */
		for (;; opened = false) {
			if (!depth)
				return next == ntokens ? 0 : -EINVAL;
			bool is_array = j->levels[depth - 1].is_array;
			char c = token();

			if (c == (is_array ? ']' : '}')) {
				close(token_at(next++) + 1);
				continue;
			}
			if (!opened) {
				if (c != ',')
					return -EINVAL;
				next++;
			}
			if (is_array) {
				element();
			} else {
				r = key();
				if (r < 0)
					return r;
			}
			break;
		}
	}
}

int make_room(struct json *j, size_t len)
{
	auto *s = j->stage1.get();
	size_t cap = CAPACITY_MIN;

	while (cap < len)
		cap *= 2;
	if (cap > TEXT_MAX)
		cap = TEXT_MAX;
	return s->capacity() >= len || s->set_capacity(cap) == simdjson::SUCCESS ? 0 : -ENOMEM;
}

int make_plan(struct json *j, const struct json_want *wants, size_t nwants)
{
	size_t need;

	j->plan = json_plans_find(&j->plans, wants, nwants);
	if (!j->plan)
		return -ENOMEM;
	/* A value's set holds each node at most once. */
	need = size_t(j->plan->nnodes) * (DEPTH_MAX + 2);
	if (need > j->states_cap) {
		void *mem = realloc(j->states, need * sizeof(*j->states));

		if (!mem)
			return -ENOMEM;
		j->states = static_cast<uint16_t *>(mem);
		j->states_cap = need;
	}
	return 0;
}

void give_back(struct json *j)
{
	if (j->stage1->capacity() > KEEP_TEXT)
		(void)j->stage1->set_capacity(CAPACITY_MIN);
	if (j->scratch_cap > KEEP_TEXT) {
		free(j->scratch);
		j->scratch = nullptr;
		j->scratch_cap = 0;
	}
}

} // namespace

struct json *json_new(void)
{
	struct json *j = new (std::nothrow) json();

	if (!j)
		return nullptr;
	/* Depth is for simdjson's stage 2, which we do not use. */
	if (simdjson::get_active_implementation()->create_dom_parser_implementation(CAPACITY_MIN, 1, j->stage1) !=
	    simdjson::SUCCESS) {
		delete j;
		return nullptr;
	}
	return j;
}

void json_free(struct json *j)
{
	if (!j)
		return;
	json_plans_done(&j->plans);
	free(j->states);
	free(j->scratch);
	delete j;
}

bool json_repeats(const struct json *j) { return j->repeats; }

int json_scan(struct json *j, const char *text, size_t len, const struct json_want *wants, size_t nwants,
	      json_hit_fn hit, void *ctx)
{
	int r;

	if (!text || !len)
		return -EINVAL;
	if (len > TEXT_MAX)
		return -E2BIG;
	r = make_plan(j, wants, nwants);
	if (r == 0)
		r = make_room(j, len);
	if (r < 0)
		return r;
	j->repeats = false;
	switch (j->stage1->stage1(reinterpret_cast<const uint8_t *>(text), len, simdjson::stage1_mode::regular)) {
	case simdjson::SUCCESS:
		r = walk(j, text, len, hit, ctx).run();
		break;
	case simdjson::MEMALLOC:
	case simdjson::CAPACITY:
		r = -ENOMEM;
		break;
	default:
		r = -EINVAL;
	}
	give_back(j);
	return r;
}
