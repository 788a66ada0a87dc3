// SPDX-License-Identifier: Apache-2.0
/*
 * form.c: a cursor over a multipart body. The body begins with "--B"; each part ends at the first CRLF "--B", which must be
 * followed by CRLF (another part) or "--" (the end, behind which one CRLF may stand).
 */
#include "provider/form.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

#define BOUNDARY_MAX 70 /* RFC 2046 section 5.1.1 */

static int bad(struct err *e, const char *what)
{
	return err_set(e, EINVAL, "form: %s; send plain multipart/form-data (RFC 7578)", what);
}

/* ---- name=value pairs of a header line, for Content-Type and Content-Disposition */

static bool is_token_byte(char c)
{
	return (unsigned char)c > 0x20 && (unsigned char)c < 0x7f && !strchr("()<>@,;:\\\"/[]?={}", c);
}

static struct str cut_token(struct str *s)
{
	struct str t = *s;

	for (t.n = 0; t.n < s->n && is_token_byte(s->p[t.n]); t.n++)
		;
	s->p += t.n;
	s->n -= t.n;
	return t;
}

/* Up to the next quote. A backslash could hide that quote from another reader. */
static int cut_quoted(struct str *s, struct str *ret)
{
	struct str v = { .p = s->p + 1 };
	size_t i = 1;

	for (; i < s->n && s->p[i] != '"'; i++)
		if (s->p[i] == '\\' || (unsigned char)s->p[i] < 0x20 || s->p[i] == 0x7f)
			return -EINVAL;
	if (i == s->n)
		return -EINVAL;
	v.n = i - 1;
	s->p += i + 1;
	s->n -= i + 1;
	*ret = v;
	return 0;
}

/* `;name=value`, blanks around. 1 = there is one, 0 = nothing is left. */
static int next_param(struct str *s, struct str *ret_name, struct str *ret_value)
{
	*s = str_trim(*s);
	if (s->n == 0)
		return 0;
	if (s->p[0] != ';')
		return -EINVAL;
	*s = str_trim((struct str){ .p = s->p + 1, .n = s->n - 1 });
	*ret_name = cut_token(s);
	if (ret_name->n == 0 || s->n < 2 || s->p[0] != '=')
		return -EINVAL;
	s->p++;
	s->n--;
	if (s->p[0] == '"')
		return cut_quoted(s, ret_value) < 0 ? -EINVAL : 1;
	*ret_value = cut_token(s);
	return ret_value->n > 0 ? 1 : -EINVAL;
}

/* ---- the boundary */

static bool is_boundary(struct str b)
{
	if (b.n == 0 || b.n > BOUNDARY_MAX || b.p[b.n - 1] == ' ')
		return false;
	for (size_t i = 0; i < b.n; i++) {
		char c = b.p[i];
		bool letter = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

		if (!letter && (c == '\0' || !strchr("'()+_,-./:=? ", c)))
			return false;
	}
	return true;
}

static int read_boundary(struct str type, struct str *ret)
{
	struct str name, value;
	bool stood = false;
	int r;

	struct str media = str_trim(str_cut(&type, ';'));

	if (!str_eq_nocase(media, STR("multipart/form-data")))
		return -EINVAL;
	/* str_cut took the semicolon away. */
	if (type.n == 0)
		return -EINVAL;
	type.p--;
	type.n++;
	while ((r = next_param(&type, &name, &value)) > 0) {
		if (!str_eq_nocase(name, STR("boundary")))
			continue;
		if (stood || !is_boundary(value))
			return -EINVAL;
		stood = true;
		*ret = value;
	}
	return r < 0 || !stood ? -EINVAL : 0;
}

int form_begin(struct form *f, struct str content_type, struct str body, struct err *e)
{
	struct str b = { 0 };

	if (read_boundary(content_type, &b) < 0)
		return bad(e, "Content-Type is not multipart/form-data with one boundary");
	*f = (struct form){ .n = 4 + b.n };
	memcpy(f->delimiter, "\r\n--", 4);
	memcpy(f->delimiter + 4, b.p, b.n);
	if (!str_starts(body, (struct str){ .p = f->delimiter + 2, .n = f->n - 2 }))
		return bad(e, "the body does not begin with the boundary that Content-Type names");
	f->rest = (struct str){ .p = body.p + f->n - 2, .n = body.n - (f->n - 2) };
	return 0;
}

/* ---- parts */

static void advance(struct form *f, size_t n)
{
	f->rest.p += n;
	f->rest.n -= n;
}

/* Behind a boundary: 1 = a part follows, 0 = the end. */
static int behind_boundary(struct form *f, struct err *e)
{
	if (str_starts(f->rest, STR("\r\n"))) {
		advance(f, 2);
		return 1;
	}
	if (!str_starts(f->rest, STR("--")))
		return bad(e, "something stands behind a boundary, or the text of a part holds the boundary");
	advance(f, 2);
	if (f->rest.n > 0 && !str_eq(f->rest, STR("\r\n")))
		return bad(e, "text stands behind the last boundary");
	f->over = true;
	return 0;
}

/* One header line without its CRLF; empty = the headers are over. */
static int cut_line(struct form *f, size_t *room, struct str *ret, struct err *e)
{
	struct str s = f->rest;
	size_t i = 0;

	while (i < s.n && s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] != '\0' && i <= *room)
		i++;
	if (i > *room)
		return bad(e, "the headers of a part are too long");
	if (i + 1 >= s.n || s.p[i] != '\r' || s.p[i + 1] != '\n')
		return bad(e, "a header line of a part does not end in CR LF");
	if (i > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		return bad(e, "a header line of a part is folded");
	*ret = (struct str){ .p = s.p, .n = i };
	*room -= i;
	advance(f, i + 2);
	return 0;
}

static int read_disposition(struct str v, struct form_part *p, struct err *e)
{
	struct str name, value, kind = cut_token(&v);
	bool named = false;
	int r;

	if (!str_eq_nocase(kind, STR("form-data")))
		return bad(e, "a part's Content-Disposition is not form-data");
	while ((r = next_param(&v, &name, &value)) > 0) {
		if (str_eq_nocase(name, STR("name"))) {
			if (named)
				return bad(e, "a part has two names");
			named = true;
			p->name = value;
		} else if (str_eq_nocase(name, STR("filename")) || str_eq_nocase(name, STR("filename*"))) {
			p->has_filename = true;
		} else {
			return bad(e, "a part's Content-Disposition has a parameter that is not known");
		}
	}
	if (r < 0)
		return bad(e, "a part's Content-Disposition cannot be read with certainty");
	return named ? 0 : bad(e, "a part has no name");
}

static int read_header(struct str line, struct form_part *p, bool *disposed, struct err *e)
{
	struct str rest = line, name = cut_token(&rest);

	if (name.n == 0 || rest.n == 0 || rest.p[0] != ':')
		return bad(e, "a header line of a part is no header");
	rest = str_trim((struct str){ .p = rest.p + 1, .n = rest.n - 1 });
	if (str_eq_nocase(name, STR("content-transfer-encoding")))
		return str_eq_nocase(rest, STR("binary")) || str_eq_nocase(rest, STR("8bit")) || str_eq_nocase(rest, STR("7bit")) ?
			       0 :
			       bad(e, "a part has a transfer encoding");
	if (!str_eq_nocase(name, STR("content-disposition")))
		return 0;
	if (*disposed)
		return bad(e, "a part has two Content-Disposition headers");
	*disposed = true;
	return read_disposition(rest, p, e);
}

static int read_headers(struct form *f, struct form_part *p, struct err *e)
{
	size_t room = FORM_HEADERS_MAX;
	bool disposed = false;
	struct str line = { 0 };
	int r;

	while ((r = cut_line(f, &room, &line, e)) == 0 && line.n > 0)
		if ((r = read_header(line, p, &disposed, e)) < 0)
			return r;
	if (r == 0 && !disposed)
		return bad(e, "a part has no Content-Disposition");
	return r;
}

int form_next(struct form *f, struct form_part *ret, struct err *e)
{
	struct form_part p = { 0 };
	int r;

	if (f->over)
		return 0;
	r = behind_boundary(f, e);
	if (r <= 0)
		return r;
	if (f->parts++ == FORM_PARTS_MAX)
		return bad(e, "there are too many parts");
	r = read_headers(f, &p, e);
	if (r < 0)
		return r;
	const char *end = f->rest.n ? memmem(f->rest.p, f->rest.n, f->delimiter, f->n) : NULL;

	if (!end)
		return bad(e, "the last boundary is missing");
	p.value = (struct str){ .p = f->rest.p, .n = (size_t)(end - f->rest.p) };
	/* At the very start, or behind a bare LF, a laxer reader would take it for a boundary. */
	if (p.value.n > 0 && memmem(p.value.p, p.value.n, f->delimiter + 2, f->n - 2))
		return bad(e, "the text of a part holds the boundary");
	advance(f, p.value.n + f->n);
	*ret = p;
	return 1;
}
