// SPDX-License-Identifier: Apache-2.0
/*
 * config.c: reads a YAML tree into struct config by the rows of config_rows.c. Checks each value for itself; what values
 * must be to each other is in config_check.c, how they are shown in config_show.c.
 */
#include "ctl/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "base/yaml.h"
#include "ctl/config_rows.h"
#include "ctl/nearest.h"
#include "ctl/units.h"
#include "ctl_abi.h"

#define CONFIG_FILE_MAX (4u << 20)
#define CONFIG_MEMORY_MAX (64u << 20)

/* One reading of one text. */
struct reading {
	const char *name;
	const struct yaml *y;
	struct arena *arena;
	struct err *e;
	char key[96]; /* "agents.day": what complaints name */
};

#define BAD(r, n, ...) yaml_complain((r)->y, (n), (r)->e, (r)->key, __VA_ARGS__)

/* ---- values */

static int keep(struct reading *r, struct str s, const char **ret)
{
	struct str copy = arena_str(r->arena, s.p, s.n);

	if (!copy.p)
		return err_set(r->e, ENOMEM, "%s: needs more than %u MiB of memory", r->name, CONFIG_MEMORY_MAX >> 20);
	*ret = copy.p;
	return 0;
}

static int keep_array(struct reading *r, size_t n, size_t size, void **ret)
{
	*ret = arena_alloc(r->arena, n ? n * size : 1);
	if (!*ret)
		return err_set(r->e, ENOMEM, "%s: needs more than %u MiB of memory", r->name, CONFIG_MEMORY_MAX >> 20);
	return 0;
}

static bool is_path(struct str s)
{
	return s.n > 1 && s.n < 1024 && s.p[0] == '/' && !memchr(s.p, '\n', s.n) && strlen(s.p) == s.n;
}

static int read_text(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct str s = yaml_scalar(n);

	if (s.n > 255 || (s.n == 0 && row->required))
		return BAD(r, n, "is not a text of 1 to 255 bytes; write e.g. %s", row->example);
	return keep(r, s, at);
}

static int read_path(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct str s = yaml_scalar(n);

	if (row->type == CONFIG_ROOT && str_eq(s, STR("auto")))
		return keep(r, s, at);
	if (row->type == CONFIG_FILE && s.n == 0)
		return keep(r, s, at);
	if (!is_path(s))
		return BAD(r, n, "is not an absolute path; write e.g. %s", row->example);
	if (row->max > 0 && s.n > (size_t)row->max)
		return BAD(r, n, "is longer than %lld bytes, too long for a socket below it; write e.g. %s",
			   (long long)row->max, row->example);
	/* One trailing slash is a habit, not a mistake. */
	if (s.p[s.n - 1] == '/')
		s.n--;
	return keep(r, s, at);
}

static int read_name(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct str s = yaml_scalar(n);
	struct err why;

	if (row->type == CONFIG_ABOVE && s.n == 0)
		return keep(r, s, at);
	if (units_check_name(s, &why) < 0)
		return BAD(r, n, "%s", why.text);
	if (row->type == CONFIG_WHO && s.n > 31)
		return BAD(r, n, "is longer than 31 bytes; write e.g. %s", row->example);
	return keep(r, s, at);
}

static int read_cgroup(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct str s = yaml_scalar(n);
	struct err why;

	if (s.n > 0 && units_check_cgroup(s, &why) < 0)
		return BAD(r, n, "%s", why.text);
	return keep(r, s, at);
}

static int read_prefix(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct str s = yaml_scalar(n);
	bool good = s.n == 0 || (s.p[0] == '/' && s.n > 1 && s.n < 128 && s.p[s.n - 1] != '/');

	for (size_t i = 0; good && i < s.n; i++)
		good = s.p[i] > ' ' && s.p[i] < 0x7f && !strchr("?#%\\\"", s.p[i]) &&
		       !(s.p[i] == '/' && i + 1 < s.n && (s.p[i + 1] == '/' || s.p[i + 1] == '.'));
	if (!good)
		return BAD(r, n, "is not a path prefix (a slash first, none at the end, no '?', '#', '%%'); "
			   "write e.g. %s", row->example);
	return keep(r, s, at);
}

static int read_int(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	int64_t v;

	if (str_to_i64(yaml_scalar(n), &v) < 0 || v < row->min || v > row->max)
		return BAD(r, n, "is not a whole number from %lld to %lld; write e.g. %s", (long long)row->min,
			   (long long)row->max, row->example);
	*(int64_t *)at = v;
	return 0;
}

static int read_bool(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct str s = yaml_scalar(n);

	if (!str_eq(s, STR("true")) && !str_eq(s, STR("false")))
		return BAD(r, n, "is not true or false; write e.g. %s", row->example);
	*(bool *)at = s.p[0] == 't';
	return 0;
}

static int read_duration(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	char low[32], high[32];
	int64_t v;

	if (units_to_ns(yaml_scalar(n), &v) < 0 || v < row->min || v > row->max)
		return BAD(r, n, "is not a duration from %s to %s; write e.g. %s",
			   units_show_ns(row->min, low, sizeof(low)), units_show_ns(row->max, high, sizeof(high)),
			   row->example);
	*(int64_t *)at = v;
	return 0;
}

static int read_size(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	char low[32], high[32];
	int64_t v;

	if (units_to_bytes(yaml_scalar(n), &v) < 0 || v < row->min || v > row->max)
		return BAD(r, n, "is not a size from %s to %s; write e.g. %s",
			   units_show_bytes(row->min, low, sizeof(low)),
			   units_show_bytes(row->max, high, sizeof(high)), row->example);
	*(int64_t *)at = v;
	return 0;
}

static int read_usd(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	nanousd v;

	if (str_to_usd(yaml_scalar(n), true, &v) < 0)
		return BAD(r, n, "is not a USD amount; write e.g. %s", row->example);
	*(int64_t *)at = v;
	return 0;
}

static int read_word(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	char all[128] = "";

	for (int64_t i = 0; row->words[i]; i++) {
		if (str_eq(yaml_scalar(n), str_of(row->words[i]))) {
			*(int64_t *)at = i;
			return 0;
		}
		size_t used = strlen(all);

		(void)snprintf(all + used, sizeof(all) - used, "%s%s", i ? ", " : "", row->words[i]);
	}
	return BAD(r, n, "is not one of %s; write e.g. %s", all, row->example);
}

/* ---- lists: one element at a time, by the row's type */

static int read_port_element(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	int64_t v;

	if (str_to_i64(yaml_scalar(n), &v) < 0 || v < 1 || v > 65535)
		return BAD(r, n, "is not a port from 1 to 65535; write e.g. [%s]", row->example);
	*(uint16_t *)at = (uint16_t)v;
	return 0;
}

static int read_path_element(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	if (!is_path(yaml_scalar(n)))
		return BAD(r, n, "is not an absolute path; write e.g. [%s]", row->example);
	return keep(r, yaml_scalar(n), at);
}

static int read_host_element(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct str s = yaml_scalar(n), below = s;
	char host[256];
	bool wild = s.n > 0 && s.p[0] == '.';
	int port;

	if (wild)
		below = (struct str){ .p = s.p + 1, .n = s.n - 1 };
	if (str_host(below, host + wild, sizeof(host) - 1, &port) < 0 || port >= 0 ||
	    (wild && !strchr(host + 1, '.')))
		return BAD(r, n, "is not a host name; write e.g. api.example.com, or .example.com for every name "
			   "below it");
	if (wild)
		host[0] = '.';
	return keep(r, str_of(host), at);
}

static int read_address_element(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct in6_addr a;
	struct str s = yaml_scalar(n);

	if (inet_pton(AF_INET, s.p, &a) != 1 && inet_pton(AF_INET6, s.p, &a) != 1)
		return BAD(r, n, "is not an IP address; write e.g. %s", row->example);
	return keep(r, s, at);
}

struct plain_list {
	void *v;
	size_t n;
};

static int read_list(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	static const struct {
		size_t size;
		int (*read)(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at);
	} elements[CONFIG_TYPE_COUNT] = {
		[CONFIG_PORTS] = { sizeof(uint16_t), read_port_element },
		[CONFIG_PATHS] = { sizeof(char *), read_path_element },
		[CONFIG_HOSTS] = { sizeof(char *), read_host_element },
		[CONFIG_ADDRESSES] = { sizeof(char *), read_address_element },
	};
	size_t size = elements[row->type].size;
	struct plain_list list = { .n = yaml_count(n) };

	if (list.n > (size_t)row->max || (row->required && list.n == 0))
		return BAD(r, n, "has %zu entries, must be %d to %lld; write e.g. [%s]", list.n, row->required,
			   (long long)row->max, row->example);
	int ret = keep_array(r, list.n, size, &list.v);
	for (size_t i = 0; ret == 0 && i < list.n; i++) {
		const struct yaml_node *element = yaml_at(n, i);

		if (yaml_kind(element) != YAML_SCALAR)
			return BAD(r, element, "is not a single value; write e.g. [%s]", row->example);
		ret = elements[row->type].read(r, row, element, (char *)list.v + i * size);
	}
	if (ret == 0)
		memcpy(at, &list, sizeof(list));
	return ret;
}

static int read_table(struct reading *r, const struct config_table *t, const struct yaml_node *map, void *into);
static int set_defaults(struct reading *r, const struct config_table *t, void *into);

static int read_rows(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	const struct config_table *t = row->table;
	struct plain_list list = { .n = yaml_count(n) };
	CLEANUP_FREE void *fresh = calloc(1, t->size);

	if (list.n > (size_t)row->max)
		return BAD(r, n, "has %zu entries; at most %lld are possible", list.n, (long long)row->max);
	if (!fresh)
		return -ENOMEM;
	int ret = keep_array(r, list.n, t->size, &list.v);
	if (ret == 0)
		ret = set_defaults(r, t, fresh);
	for (size_t i = 0; ret == 0 && i < list.n; i++) {
		char *element = (char *)list.v + i * t->size;

		memcpy(element, fresh, t->size);
		ret = read_table(r, t, yaml_at(n, i), element);
	}
	if (ret == 0)
		memcpy(at, &list, sizeof(list));
	return ret;
}

/* ---- rows */

static const struct {
	enum yaml_kind kind;
	int (*read)(struct reading *r, const struct config_row *row, const struct yaml_node *n, void *at);
} readers[CONFIG_TYPE_COUNT] = {
	[CONFIG_TEXT] = { YAML_SCALAR, read_text },
	[CONFIG_PATH] = { YAML_SCALAR, read_path },
	[CONFIG_ROOT] = { YAML_SCALAR, read_path },
	[CONFIG_FILE] = { YAML_SCALAR, read_path },
	[CONFIG_NAME] = { YAML_SCALAR, read_name },
	[CONFIG_ABOVE] = { YAML_SCALAR, read_name },
	[CONFIG_WHO] = { YAML_SCALAR, read_name },
	[CONFIG_CGROUP] = { YAML_SCALAR, read_cgroup },
	[CONFIG_PREFIX] = { YAML_SCALAR, read_prefix },
	[CONFIG_INT] = { YAML_SCALAR, read_int },
	[CONFIG_BOOL] = { YAML_SCALAR, read_bool },
	[CONFIG_DURATION] = { YAML_SCALAR, read_duration },
	[CONFIG_SIZE] = { YAML_SCALAR, read_size },
	[CONFIG_USD] = { YAML_SCALAR, read_usd },
	[CONFIG_WORD] = { YAML_SCALAR, read_word },
	[CONFIG_PORTS] = { YAML_LIST, read_list },
	[CONFIG_PATHS] = { YAML_LIST, read_list },
	[CONFIG_HOSTS] = { YAML_LIST, read_list },
	[CONFIG_ADDRESSES] = { YAML_LIST, read_list },
	[CONFIG_ROWS] = { YAML_LIST, read_rows },
};

static void name_key(struct reading *r, const struct config_table *t, struct str key)
{
	(void)snprintf(r->key, sizeof(r->key), "%s%s%.*s", t->name, t->name[0] ? "." : "", STR_FMT(key));
}

static int read_row(struct reading *r, const struct config_table *t, const struct config_row *row,
		    const struct yaml_node *n, void *into)
{
	name_key(r, t, str_of(row->key));
	if (yaml_kind(n) != readers[row->type].kind) {
		const char *example = row->example ? row->example : "- name: …";

		if (readers[row->type].kind == YAML_LIST)
			return BAD(r, n, row->table ? "is not a list; write e.g. %s" : "is not a list; write e.g. [%s]",
				   example);
		return BAD(r, n, "is not a single value; write e.g. %s", example);
	}
	return readers[row->type].read(r, row, n, (char *)into + row->offset);
}

/* Defaults are read by the same code, from the rows' own YAML. */
static int set_defaults(struct reading *r, const struct config_table *t, void *into)
{
	for (size_t i = 0; i < t->nrows; i++) {
		const struct config_row *row = &t->rows[i];
		struct reading own = { .name = "built-in", .arena = r->arena, .e = r->e };
		struct yaml *y = NULL;

		if (!row->fallback) {
			if (readers[row->type].kind == YAML_SCALAR && row->type != CONFIG_USD)
				*(const char **)((char *)into + row->offset) = "";
			else if (row->type == CONFIG_USD)
				*(int64_t *)((char *)into + row->offset) = GATE_NO_LIMIT;
			continue;
		}
		int ret = yaml_parse("built-in", row->fallback, strlen(row->fallback), &y, r->e);
		own.y = y;
		if (ret == 0)
			ret = read_row(&own, t, row, yaml_root(y), into);
		yaml_free(y);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static const struct config_row *find_row(const struct config_table *t, struct str key, struct nearest *near)
{
	nearest_init(near, key);
	for (size_t i = 0; i < t->nrows; i++) {
		if (str_eq(key, str_of(t->rows[i].key)))
			return &t->rows[i];
		nearest_offer(near, t->rows[i].key);
	}
	return NULL;
}

static int refuse_unknown(struct reading *r, const struct config_table *t, struct str key,
			  const struct yaml_node *n, const struct nearest *near)
{
	const char *meant = nearest_word(near);

	name_key(r, t, key);
	if (meant)
		return err_set(r->e, EINVAL, "%s:%u: %s: is not a known key; did you mean \"%s\"?", r->name,
			       yaml_line(n), r->key, meant);
	return err_set(r->e, EINVAL, "%s:%u: %s: is not a known key; see the comments in deploy/purse.yaml for all keys",
		       r->name, yaml_line(n), r->key);
}

static int read_table(struct reading *r, const struct config_table *t, const struct yaml_node *map, void *into)
{
	if (yaml_kind(map) != YAML_MAP)
		return err_set(r->e, EINVAL, "%s:%u: %s: is not a map of keys to values; write e.g. %s", r->name,
			       yaml_line(map), t->name[0] ? t->name : "the file",
			       t->name[0] ? "- name: bot" : "workers: 2");
	for (size_t i = 0; i < yaml_count(map); i++) {
		struct nearest near;
		const struct config_row *row = find_row(t, yaml_key(map, i), &near);
		const struct yaml_node *n = yaml_at(map, i);

		if (!row)
			return refuse_unknown(r, t, yaml_key(map, i), n, &near);
		/* "accounts:" with everything below it commented out. */
		if (yaml_is_null(n))
			continue;
		int ret = read_row(r, t, row, n, into);
		if (ret < 0)
			return ret;
	}
	for (size_t i = 0; i < t->nrows; i++) {
		const struct yaml_node *n = yaml_find(map, t->rows[i].key);

		if (t->rows[i].required && (!n || yaml_is_null(n)))
			return err_set(r->e, EINVAL, "%s:%u: %s.%s: is missing; write e.g. %s: %s", r->name,
				       yaml_line(map), t->name, t->rows[i].key, t->rows[i].key, t->rows[i].example);
	}
	if (t->line_offset != SIZE_MAX)
		*(unsigned *)((char *)into + t->line_offset) = yaml_line(map);
	return 0;
}

/* ---- the whole */

static void put_addresses(struct reading *r, struct config_provider *p, int *ret)
{
	void *mem;

	if (*ret == 0)
		*ret = keep_array(r, p->addresses.n, sizeof(struct sockaddr_storage), &mem);
	if (*ret < 0)
		return;
	p->addrs = mem;
	for (size_t i = 0; i < p->addresses.n; i++) {
		struct sockaddr_in *in = (struct sockaddr_in *)&p->addrs[i];
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&p->addrs[i];

		if (inet_pton(AF_INET, p->addresses.v[i], &in->sin_addr) == 1) {
			in->sin_family = AF_INET;
			in->sin_port = htons((uint16_t)p->port);
		} else {
			ASSERT(inet_pton(AF_INET6, p->addresses.v[i], &in6->sin6_addr) == 1);
			in6->sin6_family = AF_INET6;
			in6->sin6_port = htons((uint16_t)p->port);
		}
	}
}

/* Run from the folder it was built in, purse finds the shipped list beside the program. */
static int find_shipped_prices(struct reading *r, struct config *c)
{
	char exe[512], beside[600];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (c->prices.n != 1 || strcmp(c->prices.v[0], CONFIG_SHIPPED_PRICES) || !access(c->prices.v[0], R_OK) || n <= 0)
		return 0;
	exe[n] = '\0';
	*strrchr(exe, '/') = '\0';
	(void)snprintf(beside, sizeof(beside), "%s/prices.yaml", exe);
	return access(beside, R_OK) ? 0 : keep(r, str_of(beside), &c->prices.v[0]);
}

static int read_all(const char *name, const struct yaml *y, struct config *c, struct err *e)
{
	struct reading r = { .name = name, .y = y, .arena = c->arena, .e = e };
	const struct yaml_node *root = y ? yaml_root(y) : NULL;
	int ret = set_defaults(&r, &config_top, c);

	/* A file of comments only is an empty one. */
	if (root && yaml_is_null(root))
		root = NULL;
	if (ret == 0)
		ret = keep(&r, str_of(y ? name : ""), &c->path);
	if (ret == 0 && root)
		ret = read_table(&r, &config_top, root, c);
	for (size_t i = 0; ret == 0 && i < c->providers.n; i++) {
		if (!c->providers.v[i].prices_as[0])
			c->providers.v[i].prices_as = c->providers.v[i].name;
		put_addresses(&r, &c->providers.v[i], &ret);
	}
	if (ret == 0)
		ret = find_shipped_prices(&r, c);
	return ret < 0 ? ret : config_check(y, root, c, e);
}

static int make(const char *name, const struct yaml *y, struct config **ret, struct err *e)
{
	struct config *c = calloc(1, sizeof(*c));

	if (c)
		c->arena = arena_new(CONFIG_MEMORY_MAX);
	if (!c || !c->arena) {
		config_free(c);
		return err_set(e, ENOMEM, "%s: out of memory", name);
	}
	int r = read_all(name, y, c, e);
	if (r < 0)
		config_free(c);
	else
		*ret = c;
	return r;
}

int config_parse(const char *name, const char *text, size_t len, struct config **ret, struct err *e)
{
	struct yaml *y = NULL;
	int r = yaml_parse(name, text, len, &y, e);

	if (r == 0)
		r = make(name, y, ret, e);
	yaml_free(y);
	return r;
}

void config_resolve(const char *flag, const char **ret_path, bool *ret_named)
{
	const char *env = getenv(PURSE_CONFIG_ENV);

	*ret_named = flag || (env && env[0]);
	*ret_path = flag ? flag : env && env[0] ? env : PURSE_CONFIG_PATH;
}

int config_load(const char *path, bool named, struct config **ret, struct err *e)
{
	struct yaml *y = NULL;
	int r;

	if (!named && access(path, F_OK) < 0 && errno == ENOENT)
		return make("built-in defaults", NULL, ret, e);
	r = yaml_load(path, CONFIG_FILE_MAX, &y, e);
	if (r == 0)
		r = make(path, y, ret, e);
	yaml_free(y);
	return r;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	arena_free(c->arena);
	free(c);
}

int config_place(const char *dir, const char *name, char *ret, size_t size)
{
	int n = snprintf(ret, size, "%s/%s", dir, name);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}
