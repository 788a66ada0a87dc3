// SPDX-License-Identifier: Apache-2.0
/* yaml_quote.c: a text as a double-quoted scalar (YAML 1.1, 5.7 and 7.3.1) that reads back to the same. Pure. */
#include <string.h>

#include "base/buf.h"
#include "base/yaml.h"

/* What a reader refuses, takes for the end of a line, or skips, by its first bytes; the second byte is in a range. */
static const struct row {
	const char *head;
	unsigned char from, to;
	unsigned code; /* of `from` */
} rows[] = {
	{ "", 0x01, 0x1f, 0x01 },
	{ "", 0x7f, 0x7f, 0x7f },
	{ "\xc2", 0x80, 0x9f, 0x80 },
	{ "\xe2\x80", 0xa8, 0xa9, 0x2028 },
	{ "\xef\xbb", 0xbf, 0xbf, 0xfeff },
	{ "\xef\xbf", 0xbe, 0xbf, 0xfffe },
};

static const struct row *row_of(const char *s)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const size_t n = strlen(rows[i].head);

		if (strncmp(s, rows[i].head, n) == 0 && (unsigned char)s[n] >= rows[i].from && (unsigned char)s[n] <= rows[i].to)
			return &rows[i];
	}
	return NULL;
}

int yaml_quote(struct buf *out, const char *s)
{
	int r = buf_append(out, "\"", 1);

	while (r == 0 && *s) {
		const struct row *row = row_of(s);

		if (row) {
			s += strlen(row->head);
			r = buf_printf(out, "\\u%04x", row->code + ((unsigned char)*s - row->from));
		} else if (*s == '"' || *s == '\\') {
			r = buf_printf(out, "\\%c", *s);
		} else {
			r = buf_append(out, s, 1);
		}
		s++;
	}
	return r ? r : buf_append(out, "\"", 1);
}
