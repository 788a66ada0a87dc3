// SPDX-License-Identifier: Apache-2.0
/*
 * yaml.h: a YAML text as a tree that remembers its lines, on libyaml, whose
 * types show nowhere else. Used for the config and for price lists: both owe the
 * user errors with file, line, key, value and expectation, also for checks made
 * long after parsing (that is why not libcyaml: it forgets the lines).
 * Anchors, tags and more than one document are refused; so are a key that stands twice, a
 * key that is not a word, NUL in a value, more than 32 levels. Errors keep their errno
 * (-ENOENT: no such file), -EFBIG over max_bytes, else -EINVAL.
 */
#ifndef PURSE_BASE_YAML_H
#define PURSE_BASE_YAML_H

#include "base/err.h"
#include "terms.h"

struct yaml;
struct yaml_node;
enum yaml_kind { YAML_SCALAR, YAML_MAP, YAML_LIST };

/* name is what errors call the file. */
int yaml_parse(const char *name, const char *text, size_t len, struct yaml **ret, struct err *e);
int yaml_load(const char *path, size_t max_bytes, struct yaml **ret, struct err *e);
/* libyaml exports a yaml_free of its own and would call ours instead (both are extern "C"). */
#define yaml_free purse_yaml_free
void yaml_free(struct yaml *y); /* NULL ok */
const struct yaml_node *yaml_root(const struct yaml *y); /* NULL = empty file */

/* All take NULL as a node that is nothing: no scalar, no members, null. */
enum yaml_kind yaml_kind(const struct yaml_node *n);
unsigned yaml_line(const struct yaml_node *n); /* 1.. */
struct str yaml_scalar(const struct yaml_node *n); /* NUL-terminated; "" if not a scalar */
bool yaml_is_null(const struct yaml_node *n); /* null, ~ or empty plain scalar */
size_t yaml_count(const struct yaml_node *n);
const struct yaml_node *yaml_at(const struct yaml_node *n, size_t i); /* list element, or i-th value of a map */
struct str yaml_key(const struct yaml_node *map, size_t i);
const struct yaml_node *yaml_find(const struct yaml_node *map, const char *key);

/* s (UTF-8) in double quotes, so that it reads back to the same whatever is in it. 0 or what buf_append says. */
struct buf;
int yaml_quote(struct buf *out, const char *s);

/*
 * "FILE:LINE: KEY: "VALUE" WHAT": the form of every complaint; VALUE of scalars only and cut when
 * long. Returns -EINVAL. y may be NULL if n is not; n NULL leaves the line out, key NULL the key.
 */
int yaml_complain(const struct yaml *y, const struct yaml_node *n, struct err *e, const char *key,
		  const char *what_fmt, ...) __attribute__((format(printf, 5, 6)));

#endif
