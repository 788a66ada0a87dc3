// SPDX-License-Identifier: Apache-2.0
/* str.c: bytes to meaning: comparisons, numbers, host names. Money is in usd.c. */
#include "base/str.h"

#include <errno.h>
#include <string.h>

#define HOST_MAX 253
#define LABEL_MAX 63

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

struct str str_of(const char *nul_terminated)
{
	return (struct str){ .p = nul_terminated, .n = nul_terminated ? strlen(nul_terminated) : 0 };
}

bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (!a.n || !memcmp(a.p, b.p, a.n));
}

bool str_eq_nocase(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && (!prefix.n || !memcmp(s.p, prefix.p, prefix.n));
}

bool str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n && (!suffix.n || !memcmp(s.p + (s.n - suffix.n), suffix.p, suffix.n));
}

struct str str_trim(struct str s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

struct str str_cut(struct str *s, char sep)
{
	const char *at = s->n ? memchr(s->p, sep, s->n) : NULL;
	struct str before = *s;

	if (!at) {
		if (s->n)
			s->p += s->n;
		s->n = 0;
		return before;
	}
	before.n = (size_t)(at - s->p);
	s->p = at + 1;
	s->n -= before.n + 1;
	return before;
}

int str_to_i64(struct str s, int64_t *ret)
{
	int64_t v = 0;

	if (!s.n)
		return -EINVAL;
	for (size_t i = 0; i < s.n; i++)
		if (!is_digit(s.p[i]))
			return -EINVAL;
	for (size_t i = 0; i < s.n; i++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s.p[i] - '0', &v))
			return -ERANGE;
	*ret = v;
	return 0;
}

bool str_copy(char *to, size_t size, struct str s)
{
	size_t n = s.n < size ? s.n : size - 1;

	if (!size)
		return false;
	if (n)
		memcpy(to, s.p, n);
	to[n] = '\0';
	return n == s.n;
}

static bool label_ok(struct str label)
{
	if (!label.n || label.n > LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++) {
		char c = lower(label.p[i]);

		if (!is_digit(c) && !(c >= 'a' && c <= 'z') && c != '-' && c != '_')
			return false;
	}
	return true;
}

/*
 * A name whose last label is a number is an IPv4 address to somebody: 127.0.0.1, 127.1,
 * 0x7f000001 (WHATWG URL, "ends in a number"). No top-level domain is one.
 */
static bool label_is_number(struct str label)
{
	bool hex = label.n >= 2 && label.p[0] == '0' && lower(label.p[1]) == 'x';

	for (size_t i = hex ? 2 : 0; i < label.n; i++) {
		char c = lower(label.p[i]);

		if (!is_digit(c) && !(hex && c >= 'a' && c <= 'f'))
			return false;
	}
	return true;
}

static bool host_ok(struct str host)
{
	struct str rest = host, label = { 0 };

	if (!host.n || host.n > HOST_MAX || host.p[host.n - 1] == '.')
		return false;
	while (rest.n) {
		label = str_cut(&rest, '.');
		if (!label_ok(label))
			return false;
	}
	return !label_is_number(label);
}

static int port_of(struct str s, int *ret)
{
	int64_t port;

	if (s.n > 5 || str_to_i64(s, &port) < 0 || port < 1 || port > 65535)
		return -EINVAL;
	*ret = (int)port;
	return 0;
}

int str_host(struct str s, char *ret, size_t size, int *ret_port)
{
	int port = -1;

	if (s.n && memchr(s.p, ':', s.n)) {
		struct str host = str_cut(&s, ':');

		/* What follows is all digits, so a second colon (IPv6) ends here. "host:" is refused too. */
		if (port_of(s, &port) < 0)
			return -EINVAL;
		s = host;
	}
	if (s.n && s.p[s.n - 1] == '.')
		s.n--;
	if (!host_ok(s))
		return -EINVAL;
	if (s.n >= size)
		return -ENOSPC;
	for (size_t i = 0; i < s.n; i++)
		ret[i] = lower(s.p[i]);
	ret[s.n] = '\0';
	if (ret_port)
		*ret_port = port;
	return 0;
}
