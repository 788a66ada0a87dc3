// SPDX-License-Identifier: Apache-2.0
/*
 * h1_head.c: the strict reading of one HTTP/1 head. A byte that two parsers might understand in two ways is refused,
 * never repaired. Error texts name the line and the rule, never a value: values are secrets.
 */
#include "wire/h1_head.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* More options than this in Connection are no honest client; it bounds options x fields. */
#define CONNECTION_OPTIONS_MAX 16

const char *h1_side_name(enum h1_side side)
{
	return side == H1_REQUESTS ? "request" : "response";
}

static int bad(struct err *e, enum h1_side side, const char *what)
{
	return err_set(e, EBADMSG, "%s head: %s", h1_side_name(side), what);
}

/* ---- step one: bytes to fields */

/* Cuts one line off raw, without its CRLF. The collector made sure that every line has one. */
static bool cut_line(struct str *raw, struct str *ret)
{
	const char *lf = raw->n ? memchr(raw->p, '\n', raw->n) : NULL;
	size_t n;

	if (!lf || lf == raw->p || lf[-1] != '\r')
		return false;
	n = (size_t)(lf - raw->p) + 1;
	*ret = (struct str){ raw->p, n - 2 };
	raw->p += n;
	raw->n -= n;
	return true;
}

int h1_field_scan(struct str line, unsigned line_no, struct http_field *ret, struct err *e)
{
	const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
	struct str name, value;

	if (line.n && (line.p[0] == ' ' || line.p[0] == '\t'))
		return err_set(e, EBADMSG, "head line %u: starts with a blank (folded lines are refused)", line_no);
	if (!colon)
		return err_set(e, EBADMSG, "head line %u: no colon; a field is \"name: value\"", line_no);
	name = (struct str){ line.p, (size_t)(colon - line.p) };
	if (!http_is_token(name))
		return err_set(e, EBADMSG, "head line %u: the field name is %s; names are letters, digits and !#$%%&'*+-.^_`|~",
			       line_no, name.n ? "no token (a blank before the colon?)" : "empty");
	value = str_trim((struct str){ colon + 1, line.n - name.n - 1 });
	if (!http_is_value(value))
		return err_set(e, EBADMSG, "head line %u: the field value has a control byte (CR, NUL or another)", line_no);
	*ret = (struct http_field){ .name = name, .value = value };
	return 0;
}

/* "HTTP/1.1" or "HTTP/1.0", the only two spellings. */
static bool read_version(struct str s, struct http_head *head)
{
	if (s.n != 8 || memcmp(s.p, "HTTP/1.", 7) != 0 || (s.p[7] != '0' && s.p[7] != '1'))
		return false;
	head->http10 = s.p[7] == '0';
	return true;
}

static int check_target(const struct http_head *head, struct err *e)
{
	const enum h1_side side = H1_REQUESTS;
	struct str t = head->target;

	if (str_eq(head->method, STR("CONNECT")))
		return bad(e, side, "CONNECT is not taken here; send the request itself");
	if (t.n == 0)
		return bad(e, side, "the target is empty");
	if (t.p[0] != '/' && t.p[0] != '*')
		return bad(e, side, "the target is not in origin form; write \"/path?query\", and the host in Host");
	if (!http_is_target(t))
		return bad(e, side, "the target has a byte that must be percent-encoded (blank, control, \"#\" or over 0x7e)");
	if (t.p[0] == '*' && !str_eq(head->method, STR("OPTIONS")))
		return bad(e, side, "the target \"*\" is for OPTIONS only");
	return 0;
}

static int scan_request_line(struct str line, struct http_head *head, struct err *e)
{
	const char *sp = memchr(line.p, ' ', line.n);
	const char *end = line.p + line.n;
	const char *sp2 = sp ? memchr(sp + 1, ' ', (size_t)(end - sp - 1)) : NULL;

	if (!sp2 || memchr(sp2 + 1, ' ', (size_t)(end - sp2 - 1)))
		return bad(e, H1_REQUESTS, "the first line is not \"METHOD target HTTP/1.1\" with single blanks");
	head->method = (struct str){ line.p, (size_t)(sp - line.p) };
	head->target = (struct str){ sp + 1, (size_t)(sp2 - sp - 1) };
	if (!http_is_token(head->method))
		return bad(e, H1_REQUESTS, "the method is no token");
	if (!read_version((struct str){ sp2 + 1, (size_t)(end - sp2 - 1) }, head))
		return bad(e, H1_REQUESTS, "the version is neither HTTP/1.1 nor HTTP/1.0");
	return check_target(head, e);
}

static int scan_status_line(struct str line, struct http_head *head, struct err *e)
{
	const char *p = line.p;

	if (line.n < 12 || p[8] != ' ' || !read_version((struct str){ p, 8 }, head))
		return bad(e, H1_RESPONSES, "the first line is not \"HTTP/1.1 status reason\"");
	for (int i = 9; i < 12; i++)
		if (p[i] < '0' || p[i] > '9')
			return bad(e, H1_RESPONSES, "the status is not three digits");
	head->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
	if (head->status < 100)
		return bad(e, H1_RESPONSES, "the status is below 100");
	/* The blank behind the status is due even before an empty reason, but many servers leave both out. */
	if (line.n > 12 && p[12] != ' ')
		return bad(e, H1_RESPONSES, "the status is not three digits and a blank");
	if (line.n > 13)
		head->reason = str_trim((struct str){ p + 13, line.n - 13 });
	if (!http_is_value(head->reason))
		return bad(e, H1_RESPONSES, "the reason has a control byte");
	return 0;
}

int h1_head_scan(enum h1_side side, struct str raw, struct http_head *head, struct err *e)
{
	struct str line = { 0 };
	unsigned line_no = 1;
	int ret;

	/* Not the array: it is 4 KiB, and nfields says how much of it counts. */
	memset(head, 0, offsetof(struct http_head, fields));
	memset((char *)head + offsetof(struct http_head, nfields), 0,
	       sizeof(*head) - offsetof(struct http_head, nfields));
	if (!cut_line(&raw, &line) || line.n == 0)
		return bad(e, side, "the first line is empty");
	ret = side == H1_REQUESTS ? scan_request_line(line, head, e) : scan_status_line(line, head, e);
	if (ret)
		return ret;
	while (cut_line(&raw, &line) && line.n) {
		line_no++;
		if (head->nfields >= HTTP_FIELDS_MAX)
			return err_set(e, EBADMSG, "%s head: over %d fields", h1_side_name(side), HTTP_FIELDS_MAX);
		ret = h1_field_scan(line, line_no, &head->fields[head->nfields], e);
		if (ret)
			return err_prefix(e, ret, "%s", h1_side_name(side));
		head->nfields++;
	}
	/* The empty line ends the head: anything behind it, or its absence, means that the collector erred. */
	return raw.n || line.n ? bad(e, side, "does not end with an empty line") : 0;
}

/* ---- step two: what the fields mean */

struct reading {
	enum h1_side side;
	struct http_head *head;
	struct h1_meaning *means;
	bool has_host, close, keep_alive;
	struct str options[CONNECTION_OPTIONS_MAX]; /* what Connection named, but for its own words */
	size_t noptions;
	struct err *e;
};

/* A name that may not be called hop-by-hop: taking it away would change what the message says or how long it is. */
static bool is_end_to_end(struct str name)
{
	static const struct str names[] = {
		{ "host", 4 },           { "content-length", 14 }, { "transfer-encoding", 17 },
		{ "content-type", 12 },  { "content-encoding", 16 }, { "content-range", 13 },
		{ "authorization", 13 }, { "expect", 6 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eq_nocase(name, names[i]))
			return true;
	return false;
}

static int on_connection_option(struct reading *m, struct str option)
{
	if (str_eq_nocase(option, STR("close"))) {
		m->close = true;
		return 0;
	}
	if (str_eq_nocase(option, STR("keep-alive"))) {
		m->keep_alive = true;
		return 0;
	}
	if (!http_is_token(option))
		return bad(m->e, m->side, "Connection holds something that is no token");
	if (is_end_to_end(option))
		return bad(m->e, m->side, "Connection names a field that is not for one hop only");
	if (m->noptions >= CONNECTION_OPTIONS_MAX)
		return bad(m->e, m->side, "Connection has over 16 options");
	m->options[m->noptions++] = option;
	return 0;
}

static int on_connection(struct reading *m, struct str value)
{
	struct str option;
	int ret = 0;

	while (value.n && !ret) {
		option = str_trim(str_cut(&value, ','));
		/* Empty list elements are to be taken (RFC 9110 5.6.1.2). */
		if (option.n)
			ret = on_connection_option(m, option);
	}
	return ret;
}

static int on_host(struct reading *m, struct str value)
{
	if (m->has_host)
		return bad(m->e, m->side, "a second Host");
	if (!http_is_authority(value))
		return bad(m->e, m->side, "Host is not \"name\" or \"name:port\"");
	m->has_host = true;
	m->head->authority = value;
	return 0;
}

static int on_length(struct reading *m, struct str value)
{
	/* Equal ones too: one more way in which two parsers can differ, and no honest client sends it. */
	if (m->means->has_length)
		return bad(m->e, m->side, "a second Content-Length");
	if (http_read_length(value, &m->means->length))
		return bad(m->e, m->side, "Content-Length is not a number of digits up to 2^53");
	m->means->has_length = true;
	return 0;
}

static int on_transfer_encoding(struct reading *m, struct str value)
{
	if (m->means->is_chunked)
		return bad(m->e, m->side, "a second Transfer-Encoding");
	if (!str_eq_nocase(value, STR("chunked")))
		return bad(m->e, m->side, "Transfer-Encoding is not \"chunked\" alone");
	/* RFC 9112 6.1: an HTTP/1.0 message with it has faulty framing. */
	if (m->head->http10)
		return bad(m->e, m->side, "Transfer-Encoding in an HTTP/1.0 message");
	m->means->is_chunked = true;
	return 0;
}

static int on_expect(struct reading *m, struct str value)
{
	if (!str_eq_nocase(value, STR("100-continue")))
		return bad(m->e, m->side, "Expect is not \"100-continue\"");
	/* RFC 9110 10.1.1: ignored in HTTP/1.0. */
	m->head->expect_continue = !m->head->http10;
	return 0;
}

static int on_upgrade(struct reading *m, struct str value)
{
	m->head->upgrade = true;
	return 0;
}

static int on_consumed(struct reading *m, struct str value)
{
	return 0;
}

/* A hint: whatever it cannot be read as is none. */
static int on_keep_alive(struct reading *m, struct str value)
{
	int64_t s;

	while (value.n) {
		struct str word = str_trim(str_cut(&value, ','));
		struct str name = str_cut(&word, '=');

		if (str_eq_nocase(name, STR("timeout")) && !str_to_i64(word, &s) && s > 0)
			m->head->keep_alive_s = s < 86400 ? (int)s : 86400;
	}
	return 0;
}

enum { IN_REQUESTS = 1, IN_RESPONSES = 2, IN_BOTH = 3 };
struct known_field {
	struct str name;
	int (*read)(struct reading *m, struct str value);
	unsigned char sides;
	bool stays; /* in fields[] */
};
static const struct known_field known_fields[] = {
	{ .name = { "host", 4 }, .read = on_host, .sides = IN_REQUESTS },
	{ .name = { "content-length", 14 }, .read = on_length, .sides = IN_BOTH, .stays = true },
	{ .name = { "transfer-encoding", 17 }, .read = on_transfer_encoding, .sides = IN_BOTH },
	{ .name = { "connection", 10 }, .read = on_connection, .sides = IN_BOTH },
	{ .name = { "keep-alive", 10 }, .read = on_keep_alive, .sides = IN_BOTH },
	{ .name = { "proxy-connection", 16 }, .read = on_consumed, .sides = IN_BOTH },
	{ .name = { "te", 2 }, .read = on_consumed, .sides = IN_BOTH },
	{ .name = { "trailer", 7 }, .read = on_consumed, .sides = IN_BOTH },
	{ .name = { "upgrade", 7 }, .read = on_upgrade, .sides = IN_BOTH },
	{ .name = { "expect", 6 }, .read = on_expect, .sides = IN_REQUESTS },
};

static const struct known_field *find_known(enum h1_side side, struct str name)
{
	const unsigned char bit = side == H1_REQUESTS ? IN_REQUESTS : IN_RESPONSES;

	for (size_t i = 0; i < ARRAY_SIZE(known_fields); i++)
		if (known_fields[i].name.n == name.n && (known_fields[i].sides & bit) &&
		    str_eq_nocase(known_fields[i].name, name))
			return &known_fields[i];
	return NULL;
}

static bool is_named_option(const struct reading *m, struct str name)
{
	for (size_t i = 0; i < m->noptions; i++)
		if (str_eq_nocase(m->options[i], name))
			return true;
	return false;
}

/* Known fields are read; those that are for us alone do not stay. */
static int read_fields(struct reading *m)
{
	const struct http_head *h = m->head;
	int ret = 0;

	for (size_t i = 0; i < h->nfields && !ret; i++) {
		const struct known_field *k = find_known(m->side, h->fields[i].name);

		m->means->stays[i] = !k || k->stays;
		ret = k ? k->read(m, h->fields[i].value) : 0;
	}
	return ret;
}

/* A second pass, since Connection may stand behind the field that it names. */
static void mark_named_options(struct reading *m)
{
	for (size_t i = 0; m->noptions && i < m->head->nfields; i++)
		if (is_named_option(m, m->head->fields[i].name))
			m->means->stays[i] = false;
}

int h1_head_understand(enum h1_side side, struct http_head *head, struct h1_meaning *ret, struct err *e)
{
	struct reading m = { .side = side, .head = head, .means = ret, .e = e };
	int r;

	ret->has_length = ret->is_chunked = false;
	ret->length = 0;
	head->keep_alive_s = 0;
	r = read_fields(&m);
	if (r)
		return r;
	if (side == H1_REQUESTS && !m.has_host)
		return bad(e, side, "no Host; it is required here, in HTTP/1.0 too");
	if (ret->is_chunked && ret->has_length)
		return bad(e, side, "both Transfer-Encoding and Content-Length");
	mark_named_options(&m);
	head->keep_alive = head->http10 ? m.keep_alive && !m.close : !m.close;
	return 0;
}

void h1_head_finish(struct http_head *head, const struct h1_meaning *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < head->nfields; i++)
		if (m->stays[i])
			head->fields[kept++] = head->fields[i];
	head->nfields = kept;
}
