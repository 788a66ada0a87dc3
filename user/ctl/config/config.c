// SPDX-License-Identifier: Apache-2.0
/*
 * config.c: reads a YAML tree into struct config by the rows of config/rows.c. Checks each value for itself; what values
 * must be to each other is in config/check.c, how they are shown in config/show.c.
 */
#include "ctl/config/config.h"

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
#include "ctl/config/rows.h"
#include "ctl/nearest.h"
#include "ctl/units.h"
#include "ctl_abi.h"

#define CONFIG_FILE_MAX (4u << 20)

#define BAD(r, n, ...) yaml_complain((r)->y, (n), (r)->e, (r)->key, __VA_ARGS__)

/* ---- lists of tables */

struct plain_list {
	void *v;
	size_t n;
};

static int read_table(struct config_reading *r, const struct config_table *t, const struct yaml_node *map, void *into);
static int set_defaults(struct config_reading *r, const struct config_table *t, void *into);

static int read_rows(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	const struct config_table *t = row->table;
	struct plain_list list = { .n = yaml_count(n) };
	CLEANUP_FREE void *fresh = calloc(1, t->size);

	if (list.n > (size_t)row->max)
		return BAD(r, n, "has %zu entries; at most %lld are possible", list.n, (long long)row->max);
	if (!fresh)
		return -ENOMEM;
	int ret = config_keep_array(r, list.n, t->size, &list.v);
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

static void name_key(struct config_reading *r, const struct config_table *t, struct str key)
{
	(void)snprintf(r->key, sizeof(r->key), "%s%s%.*s", t->name, t->name[0] ? "." : "", STR_FMT(key));
}

static int read_row(struct config_reading *r, const struct config_table *t, const struct config_row *row,
		    const struct yaml_node *n, void *into)
{
	name_key(r, t, str_of(row->key));
	const struct config_reader *reader = &config_readers[row->type];

	if (yaml_kind(n) != reader->kind) {
		const char *example = row->example ? row->example : "- name: …";

		if (reader->kind == YAML_LIST)
			return BAD(r, n, row->table ? "is not a list; write e.g. %s" : "is not a list; write e.g. [%s]",
				   example);
		return BAD(r, n, reader->kind == YAML_MAP ? "is not a map of keys to values; write e.g. %s"
							   : "is not a single value; write e.g. %s", example);
	}
	if (row->type == CONFIG_ROWS)
		return read_rows(r, row, n, (char *)into + row->offset);
	return reader->read(r, row, n, (char *)into + row->offset);
}

/* Defaults are read by the same code, from the rows' own YAML. */
static int set_defaults(struct config_reading *r, const struct config_table *t, void *into)
{
	for (size_t i = 0; i < t->nrows; i++) {
		const struct config_row *row = &t->rows[i];
		struct config_reading own = { .name = "built-in", .arena = r->arena, .e = r->e };
		struct yaml *y = NULL;

		if (!row->fallback) {
			void *at = (char *)into + row->offset;

			if (row->type == CONFIG_USD)
				*(int64_t *)at = GATE_NO_LIMIT;
			else if (row->type == CONFIG_MINUTE || row->type == CONFIG_INT)
				*(int64_t *)at = CONFIG_UNSAID;
			else if (config_readers[row->type].kind == YAML_SCALAR)
				*(const char **)at = "";
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

static int refuse_unknown(struct config_reading *r, const struct config_table *t, struct str key,
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

static int read_table(struct config_reading *r, const struct config_table *t, const struct yaml_node *map, void *into)
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

static int keep_nets(struct config_reading *r, const struct config_texts *texts, struct addr_net **ret)
{
	void *mem = NULL;
	int r0 = config_keep_array(r, texts->n, sizeof(struct addr_net), &mem);

	*ret = mem;
	for (size_t i = 0; r0 == 0 && i < texts->n; i++)
		ASSERT(addr_parse_net(texts->v[i], &(*ret)[i]));
	return r0;
}

static int put_addresses(struct config_reading *r, struct config_provider *p)
{
	void *mem = NULL;
	int ret = keep_nets(r, &p->addresses, &p->nets);

	if (ret == 0)
		ret = config_keep_array(r, p->addresses.n, sizeof(struct sockaddr_storage), &mem);
	p->addrs = mem;
	for (size_t i = 0; ret == 0 && i < p->addresses.n; i++)
		if (p->nets[i].prefixlen == 128)
			p->addrs[p->naddrs++] = addr_to_sockaddr(p->nets[i].addr, (uint16_t)p->port);
	return ret;
}

static int put_proxies(struct config_reading *r, struct config *c)
{
	void *proxy = NULL, *ports = NULL;
	int ret = config_keep_array(r, c->proxies.n, sizeof(struct addr_port), &proxy);

	if (ret == 0)
		ret = config_keep_array(r, c->capture_ports.n + c->proxies.n, sizeof(uint16_t), &ports);
	if (ret < 0)
		return ret;
	c->proxy = proxy;
	c->taken_ports.v = ports;
	for (size_t i = 0; i < c->capture_ports.n; i++)
		c->taken_ports.v[c->taken_ports.n++] = c->capture_ports.v[i];
	for (size_t i = 0; i < c->proxies.n; i++) {
		size_t k = 0;

		ASSERT(addr_parse_port(c->proxies.v[i], &c->proxy[i]));
		while (k < c->taken_ports.n && c->taken_ports.v[k] != c->proxy[i].port)
			k++;
		if (k == c->taken_ports.n)
			c->taken_ports.v[c->taken_ports.n++] = c->proxy[i].port;
	}
	return 0;
}

/* Run from the folder it was built in, purse finds the shipped list beside the program. */
static int find_shipped_prices(struct config_reading *r, struct config *c)
{
	char exe[512], beside[600];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (c->prices.n != 1 || strcmp(c->prices.v[0], CONFIG_SHIPPED_PRICES) || !access(c->prices.v[0], R_OK) || n <= 0)
		return 0;
	exe[n] = '\0';
	*strrchr(exe, '/') = '\0';
	(void)snprintf(beside, sizeof(beside), "%s/prices.yaml", exe);
	return access(beside, R_OK) ? 0 : config_keep(r, str_of(beside), &c->prices.v[0]);
}

/* What an account does not say, the top says; what no one says, depends. */
static void put_unsaid(struct config *c)
{
	struct config_terms *terms;

	for (size_t i = 0; i < c->accounts.n + c->agents.n; i++) {
		terms = i < c->accounts.n ? &c->accounts.v[i].terms : &c->agents.v[i - c->accounts.n].terms;
		if (!terms->timezone[0])
			terms->timezone = c->timezone;
		if (terms->resets_at == CONFIG_UNSAID)
			terms->resets_at = c->resets_at;
	}
	for (size_t i = 0; i < c->providers.n; i++) {
		struct config_provider *p = &c->providers.v[i];

		if (!p->prices_as[0])
			p->prices_as = p->name;
		if (p->output_rate == CONFIG_UNSAID)
			p->output_rate = !strcmp(p->dialect, "openai") || !strcmp(p->dialect, "anthropic") ? CONFIG_OUTPUT_RATE : 0;
	}
}

static int read_all(const char *name, const struct yaml *y, struct config *c, struct err *e)
{
	struct config_reading r = { .name = name, .y = y, .arena = c->arena, .e = e };
	const struct yaml_node *root = y ? yaml_root(y) : NULL;
	int ret = set_defaults(&r, &config_top, c);

	/* A file of comments only is an empty one. */
	if (root && yaml_is_null(root))
		root = NULL;
	if (ret == 0)
		ret = config_keep(&r, str_of(y ? name : ""), &c->path);
	if (ret == 0 && root)
		ret = read_table(&r, &config_top, root, c);
	if (ret == 0)
		put_unsaid(c);
	for (size_t i = 0; ret == 0 && i < c->providers.n; i++)
		ret = put_addresses(&r, &c->providers.v[i]);
	if (ret == 0)
		ret = keep_nets(&r, &c->nat64_prefixes, &c->nat64);
	if (ret == 0)
		ret = put_proxies(&r, c);
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
