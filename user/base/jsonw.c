// SPDX-License-Identifier: Apache-2.0
/* jsonw.c: commas, quotes, escapes. Writes no blanks. Which key may stand where is asserted. */
#include "base/jsonw.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"

/* has_member[depth]: what stands on each level. Level 0 holds the one root value. */
#define HAS_MEMBER 1
#define IS_OBJECT 2

static void put(struct jsonw *w, const void *p, size_t n)
{
	if (w->error == 0)
		w->error = buf_append(w->out, p, n);
}

void jsonw_init(struct jsonw *w, struct buf *out)
{
	*w = (struct jsonw){ .out = out };
}

int jsonw_end(struct jsonw *w)
{
	ASSERT(w->depth == 0);
	return w->error;
}

/* Length of the UTF-8 character at p (RFC 3629), 0 if there is none. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
	unsigned char least = 0x80, most = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	/* No overlong forms, no surrogates, nothing over U+10FFFF. */
	if (p[0] == 0xe0)
		least = 0xa0;
	else if (p[0] == 0xed)
		most = 0x9f;
	else if (p[0] == 0xf0)
		least = 0x90;
	else if (p[0] == 0xf4)
		most = 0x8f;
	if (len > n || p[1] < least || p[1] > most)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return len;
}

static void put_escape(struct jsonw *w, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char letters[0x20] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't' };
	char letter = c < 0x20 ? letters[c] : (char)c;

	if (letter)
		put(w, (char[]){ '\\', letter }, 2);
	else
		put(w, (char[]){ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }, 6);
}

static void put_string(struct jsonw *w, struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t from = 0; /* first byte not yet written */

	put(w, "\"", 1);
	for (size_t i = 0, n; i < s.n; i += n) {
		n = utf8_length(p + i, s.n - i);
		if (n && p[i] >= 0x20 && p[i] != '"' && p[i] != '\\')
			continue;
		if (i > from)
			put(w, s.p + from, i - from);
		if (n)
			put_escape(w, p[i]);
		else
			put(w, "\xef\xbf\xbd", 3);
		n = 1;
		from = i + 1;
	}
	if (s.n > from)
		put(w, s.p + from, s.n - from);
	put(w, "\"", 1);
}

/* What stands before a value: a comma, a key. */
static void begin(struct jsonw *w, const char *key)
{
	unsigned char *level = &w->has_member[w->depth];

	ASSERT(!key == !(*level & IS_OBJECT));
	/* One value at the root. */
	ASSERT(w->depth > 0 || !(*level & HAS_MEMBER));
	if (*level & HAS_MEMBER)
		put(w, ",", 1);
	*level |= HAS_MEMBER;
	if (key) {
		put_string(w, str_of(key));
		put(w, ":", 1);
	}
}

static void open_level(struct jsonw *w, const char *key, const char *bracket, unsigned char kind)
{
	begin(w, key);
	ASSERT(w->depth + 1 < sizeof(w->has_member));
	put(w, bracket, 1);
	w->has_member[++w->depth] = kind;
}

void jsonw_object(struct jsonw *w, const char *key)
{
	open_level(w, key, "{", IS_OBJECT);
}

void jsonw_array(struct jsonw *w, const char *key)
{
	open_level(w, key, "[", 0);
}

void jsonw_close(struct jsonw *w)
{
	ASSERT(w->depth > 0);
	put(w, w->has_member[w->depth--] & IS_OBJECT ? "}" : "]", 1);
}

void jsonw_str(struct jsonw *w, const char *key, struct str s)
{
	begin(w, key);
	put_string(w, s);
}

void jsonw_cstr(struct jsonw *w, const char *key, const char *s)
{
	if (s)
		jsonw_str(w, key, str_of(s));
	else
		jsonw_null(w, key);
}

void jsonw_i64(struct jsonw *w, const char *key, int64_t v)
{
	begin(w, key);
	if (w->error == 0)
		w->error = buf_printf(w->out, "%" PRId64, v);
}

void jsonw_bool(struct jsonw *w, const char *key, bool v)
{
	begin(w, key);
	put(w, v ? "true" : "false", v ? 4 : 5);
}

void jsonw_null(struct jsonw *w, const char *key)
{
	begin(w, key);
	put(w, "null", 4);
}

void jsonw_usd(struct jsonw *w, const char *key, nanousd v)
{
	char text[32];
	struct str s = str_of(usd_show(v, text, sizeof(text)));

	/* Without the currency: the member's name and the API say that. */
	s.n -= 3;
	jsonw_str(w, key, s);
}
