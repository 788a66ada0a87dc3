// SPDX-License-Identifier: Apache-2.0
/* tunnel_head.c: see tunnel_head.h. Lines end in CRLF and nowhere else; no line is folded; nothing says that a body follows. */
#include "path/tunnel_head.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "wire/http.h"

#define CONNECT STR("CONNECT ")

static enum tunnel_verdict bad(struct err *e, const char *what)
{
	(void)err_set(e, EBADMSG, "%s", what);
	return TUNNEL_BAD;
}

/* The head's bytes, its empty line included; 0: there is no end yet. */
static size_t find_end(const char *p, size_t n)
{
	const char *end = memmem(p, n < TUNNEL_HEAD_MAX ? n : TUNNEL_HEAD_MAX, "\r\n\r\n", 4);

	return end ? (size_t)(end - p) + 4 : 0;
}

static bool is_control(char c) { return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f; }

/* Without its CRLF. *at moves behind it. false: a control character, or a CR or LF on its own. */
static bool next_line(struct str *at, struct str *ret)
{
	const char *end = memmem(at->p, at->n, "\r\n", 2);

	if (!end)
		return false;
	*ret = (struct str){ at->p, (size_t)(end - at->p) };
	at->n -= ret->n + 2;
	at->p += ret->n + 2;
	for (size_t i = 0; i < ret->n; i++)
		if (is_control(ret->p[i]))
			return false;
	return true;
}

/* ---- CONNECT */

static bool read_target(struct str target, struct tunnel_head *ret)
{
	char text[300];
	int port;

	if (!str_copy(text, sizeof(text), target))
		return false;
	if (addr_parse_port(text, &ret->to))
		return true;
	if (str_host(target, ret->host, sizeof(ret->host), &port) < 0 || port < 1)
		return false;
	ret->to.port = (uint16_t)port;
	return true;
}

/* "CONNECT host:port HTTP/1.1", one blank between each. */
static bool read_request_line(struct str line, struct tunnel_head *ret)
{
	const size_t method = CONNECT.n;

	if (!str_ends(line, STR(" HTTP/1.1")) && !str_ends(line, STR(" HTTP/1.0")))
		return false;
	if (line.n <= method + 9)
		return false;
	return read_target((struct str){ line.p + method, line.n - method - 9 }, ret);
}

/* Of what says that a body follows, only that there is none. */
static const char *judge_field(struct str line)
{
	struct str value = line, name = str_cut(&value, ':');

	if (name.n == line.n || !http_is_token(name))
		return "a header line without a name";
	if (str_eq_nocase(name, STR("transfer-encoding")))
		return "a CONNECT with a body";
	while (value.n && (value.p[0] == ' ' || value.p[0] == '\t')) {
		value.p++;
		value.n--;
	}
	return str_eq_nocase(name, STR("content-length")) && !str_eq(value, STR("0")) ? "a CONNECT with a body" : NULL;
}

static const char *read_fields(struct str at)
{
	struct str line;
	const char *wrong = NULL;

	while (!wrong && at.n > 2)
		wrong = next_line(&at, &line) ? judge_field(line) : "a control character, or a line end that is none";
	return wrong;
}

/* A header with an LLM host that a proxy could prefer to the target, or one that turns the connection into something else. */
static bool means_others(struct str fields, plain_is_llm_fn is_llm, void *ctx)
{
	struct plain r = { .is_llm = is_llm, .ctx = ctx, .is_late = true };

	return plain_feed(&r, fields.p, fields.n) != PLAIN_MORE;
}

enum tunnel_verdict tunnel_read_connect(const char *p, size_t n, plain_is_llm_fn is_llm, void *ctx, struct tunnel_head *ret, struct err *e)
{
	struct tunnel_head h = { .bytes = find_end(p, n) };
	struct str at = { p, h.bytes }, line;

	if (n < CONNECT.n && memcmp(p, CONNECT.p, n) == 0)
		return TUNNEL_MORE;
	if (n < CONNECT.n || memcmp(p, CONNECT.p, CONNECT.n) != 0)
		return TUNNEL_OTHER;
	if (!h.bytes)
		return n < TUNNEL_HEAD_MAX ? TUNNEL_MORE : bad(e, "a head that does not end within 8 KiB");
	if (!next_line(&at, &line) || !read_request_line(line, &h))
		return bad(e, "no \"CONNECT host:port HTTP/1.1\"");
	const char *wrong = read_fields(at);

	if (wrong)
		return bad(e, wrong);
	h.is_llm = h.host[0] && is_llm(ctx, h.host);
	if (!h.is_llm && means_others(at, is_llm, ctx))
		return bad(e, "a header with an LLM host, or Upgrade");
	*ret = h;
	return TUNNEL_HEAD;
}

/* ---- the answer */

static bool read_status_line(struct str line, struct tunnel_answer *ret)
{
	unsigned status = 0;

	if (line.n < 12 || (!str_starts(line, STR("HTTP/1.1 ")) && !str_starts(line, STR("HTTP/1.0 "))) || (line.n > 12 && line.p[12] != ' '))
		return false;
	for (size_t i = 9; i < 12; i++) {
		if (line.p[i] < '0' || line.p[i] > '9')
			return false;
		status = status * 10 + (unsigned)(line.p[i] - '0');
	}
	ret->status = status;
	return status >= 200 && status <= 599;
}

enum tunnel_verdict tunnel_read_answer(const char *p, size_t n, struct tunnel_answer *ret, struct err *e)
{
	struct tunnel_answer a = { .bytes = find_end(p, n) };
	struct str at = { p, a.bytes }, line;

	if (!a.bytes)
		return n < TUNNEL_HEAD_MAX ? TUNNEL_MORE : bad(e, "an answer whose head does not end within 8 KiB");
	if (!next_line(&at, &line) || !read_status_line(line, &a))
		return bad(e, "an answer that does not begin with \"HTTP/1.1 200\" or the like");
	*ret = a;
	return TUNNEL_HEAD;
}
