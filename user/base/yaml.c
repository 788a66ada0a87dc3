// SPDX-License-Identifier: Apache-2.0
/*
 * yaml.c: libyaml's events to a tree in an arena. What a value means is the caller's
 * business; here only the form is judged. Anchors would allow a small file to mean a huge
 * one, tags would allow types that nobody checks: both are refused.
 */
#include "base/yaml.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "base/str.h"

#define DEPTH_MAX 32
/* The densest text, "[a,a,a]", makes a node of about 200 bytes from two. */
#define ARENA_PER_BYTE ((size_t)256)
#define ARENA_MIN ((size_t)65536)
#define VALUE_SHOWN 80

struct yaml_node {
	const struct yaml *owner;
	enum yaml_kind kind;
	unsigned line;
	bool plain; /* a scalar without quotes */
	struct str text;
	size_t count;
	const struct yaml_node **items;
	struct str *keys; /* of a map, beside items */
};

struct yaml {
	struct arena *arena;
	const char *name;
	const struct yaml_node *root;
};

/* While a list or map is read. */
struct member {
	struct member *next;
	const struct yaml_node *node;
	struct str key;
	unsigned line;
};

struct reading {
	struct yaml *y;
	yaml_parser_t parser;
	const char *text;
	struct err *e;
};

static unsigned line_of(yaml_mark_t mark)
{
	return (unsigned)mark.line + 1;
}

static int no_memory(struct reading *rd)
{
	return err_set(rd->e, ENOMEM, "%s: no memory to read it; make it smaller", rd->y->name);
}

/* Where the reader (UTF-8 errors) stopped it tells bytes only. */
static unsigned line_at(const char *text, size_t offset)
{
	unsigned line = 1;

	for (size_t i = 0; i < offset; i++)
		line += text[i] == '\n';
	return line;
}

static int not_yaml(struct reading *rd)
{
	const yaml_parser_t *p = &rd->parser;

	if (p->error == YAML_MEMORY_ERROR)
		return no_memory(rd);
	if (p->error == YAML_READER_ERROR)
		return err_set(rd->e, EINVAL, "%s:%u: not UTF-8 text (%s); save it as UTF-8 without control characters",
			       rd->y->name, line_at(rd->text, p->problem_offset), p->problem);
	if (p->context)
		return err_set(rd->e, EINVAL, "%s:%u: not YAML: %s (%s that began in line %u)", rd->y->name,
			       line_of(p->problem_mark), p->problem, p->context, line_of(p->context_mark));
	return err_set(rd->e, EINVAL, "%s:%u: not YAML: %s", rd->y->name, line_of(p->problem_mark), p->problem);
}

static int next_event(struct reading *rd, yaml_event_t *ret)
{
	return yaml_parser_parse(&rd->parser, ret) ? 0 : not_yaml(rd);
}

/* Anchor and tag of an event, wherever its kind keeps them. */
static int check_properties(struct reading *rd, const yaml_event_t *ev)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		anchor = ev->data.scalar.anchor;
		tag = ev->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
		break;
	case YAML_ALIAS_EVENT:
		return err_set(rd->e, EINVAL, "%s:%u: alias \"*%.64s\": aliases are not supported; write the value out",
			       rd->y->name, line_of(ev->start_mark), (const char *)ev->data.alias.anchor);
	default:
		break;
	}
	if (anchor)
		return err_set(rd->e, EINVAL, "%s:%u: anchor \"&%.64s\": anchors are not supported; remove it",
			       rd->y->name, line_of(ev->start_mark), (const char *)anchor);
	if (tag)
		return err_set(rd->e, EINVAL, "%s:%u: tag \"%.64s\": tags are not supported; remove it", rd->y->name,
			       line_of(ev->start_mark), (const char *)tag);
	return 0;
}

static int take_scalar(struct reading *rd, struct yaml_node *n, const yaml_event_t *ev)
{
	const char *value = (const char *)ev->data.scalar.value;
	size_t len = ev->data.scalar.length;

	/* The tree promises NUL-terminated text. */
	if (memchr(value, '\0', len))
		return err_set(rd->e, EINVAL, "%s:%u: a NUL character in a value; remove it", rd->y->name, n->line);
	n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	n->text = arena_str(rd->y->arena, value, len);
	return n->text.p ? 0 : no_memory(rd);
}

/* The collected members as arrays. */
static int take_members(struct reading *rd, struct yaml_node *n, const struct member *first)
{
	size_t i = 0;

	n->items = arena_alloc(rd->y->arena, n->count * sizeof(*n->items));
	n->keys = n->kind == YAML_MAP ? arena_alloc(rd->y->arena, n->count * sizeof(*n->keys)) : NULL;
	if (!n->items || (n->kind == YAML_MAP && !n->keys))
		return no_memory(rd);
	for (; first; first = first->next, i++) {
		n->items[i] = first->node;
		if (n->keys)
			n->keys[i] = first->key;
	}
	return 0;
}

static int take_node(struct reading *rd, const yaml_event_t *ev, unsigned depth, const struct yaml_node **ret);

static int next_node(struct reading *rd, yaml_event_type_t end, unsigned depth, bool *ret_end,
		     const struct yaml_node **ret)
{
	yaml_event_t ev;
	int r = next_event(rd, &ev);

	if (r < 0)
		return r;
	*ret_end = ev.type == end;
	if (!*ret_end)
		r = take_node(rd, &ev, depth, ret);
	yaml_event_delete(&ev);
	return r;
}

static int take_key(struct reading *rd, struct member *m, const struct yaml_node *key, struct map *seen)
{
	const struct member *before;

	m->line = key->line;
	m->key = key->text;
	if (key->kind != YAML_SCALAR)
		return err_set(rd->e, EINVAL, "%s:%u: a key that is a list or map; keys must be words", rd->y->name,
			       key->line);
	before = map_find(seen, m->key);
	if (before)
		return err_set(rd->e, EINVAL, "%s:%u: %.64s: this key stands in line %u already; keep one of them",
			       rd->y->name, key->line, m->key.p, before->line);
	return map_put(seen, m->key, m, NULL) < 0 ? no_memory(rd) : 0;
}

/* One element of a list, or key and value of a map (then `seen` is given). */
static int take_member(struct reading *rd, struct yaml_node *n, unsigned depth, struct map *seen, bool *ret_end,
		       struct member **ret)
{
	yaml_event_type_t end = n->kind == YAML_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
	const struct yaml_node *first = NULL;
	struct member *m;
	bool no_value;
	int r;

	r = next_node(rd, end, depth + 1, ret_end, &first);
	if (r < 0 || *ret_end)
		return r;
	m = arena_alloc(rd->y->arena, sizeof(*m));
	if (!m)
		return no_memory(rd);
	*ret = m;
	m->node = first;
	if (!seen)
		return 0;
	r = take_key(rd, m, first, seen);
	/* libyaml makes an empty scalar of a missing value, so this end does not come. */
	return r < 0 ? r : next_node(rd, YAML_NO_EVENT, depth + 1, &no_value, &m->node);
}

static int take_container(struct reading *rd, struct yaml_node *n, unsigned depth, struct map *seen)
{
	struct member *first = NULL, **last = &first;
	bool end = false;

	for (;;) {
		int r = take_member(rd, n, depth, seen, &end, last);

		if (r < 0)
			return r;
		if (end)
			return take_members(rd, n, first);
		last = &(*last)->next;
		n->count++;
	}
}

static int take_map(struct reading *rd, struct yaml_node *n, unsigned depth)
{
	struct map *seen = map_new();
	int r = seen ? take_container(rd, n, depth, seen) : no_memory(rd);

	map_free(seen, NULL);
	return r;
}

static int take_node(struct reading *rd, const yaml_event_t *ev, unsigned depth, const struct yaml_node **ret)
{
	struct yaml_node *n;
	int r = check_properties(rd, ev);

	if (r < 0)
		return r;
	if (depth > DEPTH_MAX)
		return err_set(rd->e, EINVAL, "%s:%u: nested deeper than %d levels; flatten it", rd->y->name,
			       line_of(ev->start_mark), DEPTH_MAX);
	n = arena_alloc(rd->y->arena, sizeof(*n));
	if (!n)
		return no_memory(rd);
	n->owner = rd->y;
	n->line = line_of(ev->start_mark);
	if (ev->type == YAML_SCALAR_EVENT) {
		r = take_scalar(rd, n, ev);
	} else if (ev->type == YAML_SEQUENCE_START_EVENT) {
		n->kind = YAML_LIST;
		r = take_container(rd, n, depth, NULL);
	} else {
		n->kind = YAML_MAP;
		r = take_map(rd, n, depth);
	}
	if (r == 0)
		*ret = n;
	return r;
}

/* stream start, document start, node, document end, stream end; or no document at all. */
static int take_stream(struct reading *rd)
{
	yaml_event_t ev;
	bool have_root = false;

	for (;;) {
		yaml_event_type_t type;
		int r = next_event(rd, &ev);

		if (r < 0)
			return r;
		type = ev.type;
		if (type == YAML_DOCUMENT_START_EVENT && have_root)
			r = err_set(rd->e, EINVAL, "%s:%u: a second document begins; use one file for each",
				    rd->y->name, line_of(ev.start_mark));
		else if (type == YAML_DOCUMENT_START_EVENT &&
			 ev.data.document_start.tag_directives.start != ev.data.document_start.tag_directives.end)
			r = err_set(rd->e, EINVAL, "%s:%u: %%TAG: tags are not supported; remove it", rd->y->name,
				    line_of(ev.start_mark));
		else if (type == YAML_DOCUMENT_START_EVENT)
			have_root = true;
		else if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_END_EVENT &&
			 type != YAML_STREAM_END_EVENT)
			r = take_node(rd, &ev, 1, &rd->y->root);
		yaml_event_delete(&ev);
		if (r < 0 || type == YAML_STREAM_END_EVENT)
			return r;
	}
}

int yaml_parse(const char *name, const char *text, size_t len, struct yaml **ret, struct err *e)
{
	size_t max = len < (SIZE_MAX - ARENA_MIN) / ARENA_PER_BYTE ? len * ARENA_PER_BYTE + ARENA_MIN : SIZE_MAX;
	struct yaml *y = calloc(1, sizeof(*y));
	struct reading rd = { .y = y, .text = text, .e = e };
	int r;

	if (y)
		y->arena = arena_new(max);
	if (y && y->arena)
		y->name = arena_str(y->arena, name, strlen(name)).p;
	if (!y || !y->name || !yaml_parser_initialize(&rd.parser)) {
		yaml_free(y);
		return err_set(e, ENOMEM, "%s: no memory to read it", name);
	}
	yaml_parser_set_encoding(&rd.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&rd.parser, (const unsigned char *)(text ? text : ""), text ? len : 0);
	r = take_stream(&rd);
	yaml_parser_delete(&rd.parser);
	if (r < 0) {
		yaml_free(y);
		return r;
	}
	*ret = y;
	return 0;
}

void yaml_free(struct yaml *y)
{
	if (!y)
		return;
	arena_free(y->arena);
	free(y);
}

/* ---- files */

/* Does not trust the size that stat tells: the file may grow, or have none (procfs). */
static int read_all(int fd, const char *path, size_t max_bytes, struct buf *to, struct err *e)
{
	for (;;) {
		size_t room = max_bytes + 1 - buf_len(to);
		char *p = buf_reserve(to, room < 65536 ? room : 65536);
		ssize_t n;

		if (!p)
			return err_set(e, ENOMEM, "%s: no memory to read it", path);
		n = read(fd, p, room < 65536 ? room : 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "%s: cannot be read: %s", path, strerror(errno));
		if (n == 0)
			return 0;
		buf_grew(to, (size_t)n);
		if (buf_len(to) > max_bytes)
			return err_set(e, EFBIG, "%s: larger than %zu bytes; is it the right file?", path, max_bytes);
	}
}

static int open_regular(const char *path, struct err *e)
{
	struct stat st;
	/* O_NONBLOCK: a FIFO must not make us wait before we see that it is one. */
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, errno, "%s: cannot be opened: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s: not a regular file; name a YAML file", path);
	return TAKE_FD(fd);
}

int yaml_load(const char *path, size_t max_bytes, struct yaml **ret, struct err *e)
{
	CLEANUP_CLOSE int fd = open_regular(path, e);
	struct buf text;
	int r;

	if (fd < 0)
		return fd;
	if (max_bytes > SIZE_MAX / 8)
		max_bytes = SIZE_MAX / 8;
	buf_init(&text, max_bytes + 1);
	r = read_all(fd, path, max_bytes, &text, e);
	if (r == 0)
		r = yaml_parse(path, buf_ptr(&text), buf_len(&text), ret, e);
	buf_done(&text);
	return r;
}

/* ---- looking at it. A NULL node is nothing: no scalar, no members. */

const struct yaml_node *yaml_root(const struct yaml *y)
{
	return y->root;
}

enum yaml_kind yaml_kind(const struct yaml_node *n)
{
	return n ? n->kind : YAML_SCALAR;
}

unsigned yaml_line(const struct yaml_node *n)
{
	return n ? n->line : 1;
}

struct str yaml_scalar(const struct yaml_node *n)
{
	return n && n->kind == YAML_SCALAR ? n->text : STR("");
}

bool yaml_is_null(const struct yaml_node *n)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };

	if (!n)
		return true;
	if (n->kind != YAML_SCALAR || !n->plain)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_eq(n->text, str_of(words[i])))
			return true;
	return false;
}

size_t yaml_count(const struct yaml_node *n)
{
	return n ? n->count : 0;
}

const struct yaml_node *yaml_at(const struct yaml_node *n, size_t i)
{
	return i < yaml_count(n) ? n->items[i] : NULL;
}

struct str yaml_key(const struct yaml_node *map, size_t i)
{
	return i < yaml_count(map) && map->keys ? map->keys[i] : STR("");
}

const struct yaml_node *yaml_find(const struct yaml_node *map, const char *key)
{
	for (size_t i = 0; i < yaml_count(map) && map->keys; i++)
		if (str_eq(map->keys[i], str_of(key)))
			return map->items[i];
	return NULL;
}

/* The value as it may stand in a line of text: cut, control characters as blanks. */
static void show_value(const struct yaml_node *n, char *to, size_t size)
{
	bool whole;

	if (!n || n->kind != YAML_SCALAR) {
		to[0] = '\0';
		return;
	}
	to[0] = '"';
	whole = str_copy(to + 1, size - 8, n->text);
	for (char *p = to; *p; p++)
		if (iscntrl((unsigned char)*p))
			*p = ' ';
	strcat(to, whole ? "\" " : "...\" ");
}

int yaml_complain(const struct yaml *y, const struct yaml_node *n, struct err *e, const char *key,
		  const char *what_fmt, ...)
{
	const char *name = y ? y->name : n ? n->owner->name : "YAML";
	char what[sizeof(e->text)], value[VALUE_SHOWN + 8], place[16] = "";
	va_list ap;

	va_start(ap, what_fmt);
	(void)vsnprintf(what, sizeof(what), what_fmt, ap);
	va_end(ap);
	show_value(n, value, sizeof(value));
	if (n)
		(void)snprintf(place, sizeof(place), ":%u", n->line);
	return err_set(e, EINVAL, "%s%s: %s%s%s%s", name, place, key ? key : "", key ? ": " : "", value, what);
}
