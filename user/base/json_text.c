// SPDX-License-Identifier: Apache-2.0
/* json_text.c: see json_text.h. */
#include "base/json_text.h"

#include <string.h>

const unsigned char json_char_class[256] = {
	[' '] = JSON_CHAR_BLANK, ['\t'] = JSON_CHAR_BLANK, ['\n'] = JSON_CHAR_BLANK, ['\r'] = JSON_CHAR_BLANK,
	[','] = JSON_CHAR_STRUCT, [':'] = JSON_CHAR_STRUCT, ['{'] = JSON_CHAR_STRUCT, ['}'] = JSON_CHAR_STRUCT,
	['['] = JSON_CHAR_STRUCT, [']'] = JSON_CHAR_STRUCT,
	['0' ... '9'] = JSON_CHAR_DIGIT,
};

const char json_escape[256] = {
	['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t',
};

static int hex_digit(char c)
{
	if (json_is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int json_hex4(const char *p)
{
	int v = 0;

	for (int i = 0; i < 4; i++) {
		int d = hex_digit(p[i]);

		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

static char *put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (char)c;
		return to;
	}
	if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*to++ = (char)(0xe0 | c >> 12);
		} else {
			*to++ = (char)(0xf0 | c >> 18);
			*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		}
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*to++ = (char)(0x80 | (c & 0x3f));
	return to;
}

/*
 * p stands behind "\u". Half a surrogate pair alone is JSON by its grammar (RFC 8259
 * section 8.2) but no character: U+FFFD.
 */
static const char *take_u(const char *p, const char *end, char **to)
{
	uint32_t c = (uint32_t)json_hex4(p), low;

	p += 4;
	if (c >= 0xd800 && c <= 0xdbff && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
		low = (uint32_t)json_hex4(p + 2);
		if (low >= 0xdc00 && low <= 0xdfff) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			p += 6;
		}
	}
	if (c >= 0xd800 && c <= 0xdfff)
		c = 0xfffd;
	*to = put_utf8(*to, c);
	return p;
}

size_t json_unescape(const char *p, const char *end, char *to)
{
	char *begin = to;

	while (p < end) {
		const char *esc = memchr(p, '\\', (size_t)(end - p));
		size_t n = (size_t)((esc ? esc : end) - p);

		memcpy(to, p, n);
		to += n;
		p += n;
		if (!esc)
			break;
		if (p[1] == 'u') {
			p = take_u(p + 2, end, &to);
		} else {
			*to++ = json_escape_letter(p[1]);
			p += 2;
		}
	}
	return (size_t)(to - begin);
}

static size_t digits_at(const char *p, size_t i, size_t n)
{
	size_t from = i;

	while (i < n && json_is_digit(p[i]))
		i++;
	return i - from;
}

/* The integer at the front: its length; whether it fits and what it is. */
static size_t take_int(const char *p, size_t n, bool *ret_fits, int64_t *ret)
{
	bool negative = n && p[0] == '-';
	size_t i = negative, digits = digits_at(p, i, n);
	/* Counted downwards: INT64_MIN has no positive twin. */
	int64_t v = 0;
	bool fits = true;

	if (!digits || (p[i] == '0' && digits > 1))
		return 0;
	for (size_t end = i + digits; fits && i < end; i++)
		fits = !__builtin_mul_overflow(v, 10, &v) && !__builtin_sub_overflow(v, p[i] - '0', &v);
	if (fits && !negative)
		fits = !__builtin_sub_overflow(INT64_C(0), v, &v);
	/* "-0" is not the integer 0 to everybody. */
	*ret_fits = fits && !(negative && v == 0);
	*ret = *ret_fits ? v : 0;
	return negative + digits;
}

size_t json_number(const char *p, size_t n, bool *ret_is_int, int64_t *ret)
{
	size_t digits, i = take_int(p, n, ret_is_int, ret), whole = i;

	if (!i)
		return 0;
	if (i < n && p[i] == '.') {
		digits = digits_at(p, ++i, n);
		if (!digits)
			return 0;
		i += digits;
	}
	if (i < n && (p[i] | 0x20) == 'e') {
		i++;
		if (i < n && (p[i] == '+' || p[i] == '-'))
			i++;
		digits = digits_at(p, i, n);
		if (!digits)
			return 0;
		i += digits;
	}
	if (i > whole) {
		*ret_is_int = false;
		*ret = 0;
	}
	return i;
}
