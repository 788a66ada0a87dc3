// SPDX-License-Identifier: Apache-2.0
/* config/rows.h: the table behind config.h. For ctl/config/ only. */
#ifndef PURSE_CTL_CONFIG_ROWS_H
#define PURSE_CTL_CONFIG_ROWS_H

#include "base/yaml.h"
#include "ctl/config/config.h"

enum config_type {
	CONFIG_TEXT,     /* const char * */
	CONFIG_PATH,     /* const char *, absolute */
	CONFIG_ROOT,     /* const char *, absolute or "auto" */
	CONFIG_FILE,     /* const char *, absolute or "" */
	CONFIG_NAME,     /* const char *, name of an agent or account */
	CONFIG_ABOVE,    /* const char *, such a name or "" */
	CONFIG_WHO,      /* const char *, name of a provider: at most 31 */
	CONFIG_CGROUP,   /* const char *, path below the mount, or "" */
	CONFIG_PREFIX,   /* const char *, "/v1" or "" */
	CONFIG_ZONE,     /* const char *, IANA name of a time zone, or "" */
	CONFIG_URL,      /* const char *, http(s), or "" */
	CONFIG_INT,      /* int64_t in [min, max] */
	CONFIG_BOOL,     /* bool */
	CONFIG_DURATION, /* int64_t nanoseconds in [min, max] */
	CONFIG_SIZE,     /* int64_t bytes in [min, max] */
	CONFIG_USD,      /* int64_t nano-dollars; default GATE_NO_LIMIT when the row has none */
	CONFIG_MINUTE,   /* int64_t, minute of a day; CONFIG_UNSAID when the row has no default */
	CONFIG_WORD,     /* int64_t, index into words */
	CONFIG_WORDS,    /* int64_t, bit i for words[i] */
	CONFIG_RULES,    /* const struct rules *, NULL = none; spend/rules/rules.h has the keys */
	CONFIG_PORTS,    /* { uint16_t *v; size_t n } */
	CONFIG_PERCENTS, /* the same, 1..100 */
	CONFIG_PATHS,    /* struct config_texts, absolute */
	CONFIG_HOSTS,    /* struct config_texts, host names in lower case */
	CONFIG_ADDRESSES, /* struct config_texts, IP addresses and ranges */
	CONFIG_NAT64,    /* struct config_texts, IPv6 ranges as RFC 6052 wants them */
	CONFIG_PROXIES,  /* struct config_texts, IP addresses with a port */
	CONFIG_GLOBS,    /* struct config_texts, patterns of names */
	CONFIG_WORDLIST, /* struct config_texts, a command and its arguments */
	CONFIG_ROWS,     /* { void *v; size_t n }, elements of `table` */
	CONFIG_TYPE_COUNT,
};

struct config_table;
struct config_row {
	const char *key;
	enum config_type type;
	bool required;
	size_t offset;
	const char *fallback; /* the default as YAML; NULL = the type's nothing: "", no limit, empty list */
	int64_t min, max;     /* values; for lists: the number of elements at most (max) */
	const char *const *words;       /* CONFIG_WORD, ends in NULL */
	const struct config_table *table; /* CONFIG_ROWS */
	const char *example;  /* for "write e.g." */
	const char *help;
};
struct config_table {
	const char *name; /* "" at the top, "agents" */
	const struct config_row *rows;
	size_t nrows;
	size_t size;        /* of one element */
	size_t line_offset; /* where an unsigned takes the element's line; SIZE_MAX = nowhere */
};
extern const struct config_table config_top;

/* One reading of one text. */
struct config_reading {
	const char *name;
	const struct yaml *y;
	struct arena *arena;
	struct err *e;
	char key[96]; /* "agents.day": what complaints name */
};
#define CONFIG_MEMORY_MAX (64u << 20)
/* Into the arena. -ENOMEM with the complaint. */
int config_keep(struct config_reading *r, struct str s, const char **ret);
int config_keep_array(struct config_reading *r, size_t n, size_t size, void **ret);

/* config/values.c: how a type is read; n is of that kind. CONFIG_ROWS has none here. */
struct config_reader {
	enum yaml_kind kind;
	int (*read)(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at);
};
extern const struct config_reader config_readers[CONFIG_TYPE_COUNT];

/* config/check.c: values against each other. y and root name the lines; NULL root = defaults only. */
int config_check(const struct yaml *y, const struct yaml_node *root, struct config *c, struct err *e);

#endif
