// SPDX-License-Identifier: Apache-2.0
/*
 * config/values.c: one reader per type of value: scalars, and lists of scalars. Each checks a value for itself; tables and defaults are
 * in config.c, what values must be to each other in config/check.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "base/yaml.h"
#include "ctl/config/rows.h"
#include "ctl/config/rules_yaml.h"
#include "ctl/units.h"
#include "spend/budget/budget.h"
#include "spend/budget/zone.h"

#define BAD(r, n, ...) yaml_complain((r)->y, (n), (r)->e, (r)->key, __VA_ARGS__)

/* ---- values */

int config_keep(struct config_reading *r, struct str s, const char **ret)
{
	struct str copy = arena_str(r->arena, s.p, s.n);

	if (!copy.p)
		return err_set(r->e, ENOMEM, "%s: needs more than %u MiB of memory", r->name, CONFIG_MEMORY_MAX >> 20);
	*ret = copy.p;
	return 0;
}

int config_keep_array(struct config_reading *r, size_t n, size_t size, void **ret)
{
	*ret = arena_alloc(r->arena, n ? n * size : 1);
	if (!*ret)
		return err_set(r->e, ENOMEM, "%s: needs more than %u MiB of memory", r->name, CONFIG_MEMORY_MAX >> 20);
	return 0;
}

static bool is_path(struct str s)
{
	return s.n > 1 && s.n < 1024 && s.p[0] == '/' && !memchr(s.p, '\n', s.n) && !memchr(s.p, '\0', s.n);
}

static int read_text(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct str s = yaml_scalar(n);

	if (s.n > 255 || (s.n == 0 && row->required))
		return BAD(r, n, "is not a text of 1 to 255 bytes; write e.g. %s", row->example);
	return config_keep(r, s, at);
}

static int read_path(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct str s = yaml_scalar(n);

	if (row->type == CONFIG_ROOT && str_eq(s, STR("auto")))
		return config_keep(r, s, at);
	if (row->type == CONFIG_FILE && s.n == 0)
		return config_keep(r, s, at);
	/* Trailing slashes are a habit, not a mistake. */
	while (s.n > 1 && s.p[s.n - 1] == '/')
		s.n--;
	if (!is_path(s))
		return BAD(r, n, "is not an absolute path; write e.g. %s", row->example);
	if (row->max > 0 && s.n > (size_t)row->max)
		return BAD(r, n, "is longer than %lld bytes, too long for a socket below it; write e.g. %s",
			   (long long)row->max, row->example);
	return config_keep(r, s, at);
}

static int read_name(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct str s = yaml_scalar(n);
	struct err why;

	if (row->type == CONFIG_ABOVE && s.n == 0)
		return config_keep(r, s, at);
	if (units_check_name(s, &why) < 0)
		return BAD(r, n, "%s", why.text);
	if (row->type == CONFIG_WHO && s.n > 31)
		return BAD(r, n, "is longer than 31 bytes; write e.g. %s", row->example);
	return config_keep(r, s, at);
}

static int read_cgroup(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct str s = yaml_scalar(n);
	struct err why;

	if (s.n > 0 && units_check_cgroup(s, &why) < 0)
		return BAD(r, n, "%s", why.text);
	return config_keep(r, s, at);
}

static int read_prefix(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct str s = yaml_scalar(n);
	bool good = s.n == 0 || (s.p[0] == '/' && s.n > 1 && s.n < 128 && s.p[s.n - 1] != '/');

	for (size_t i = 0; good && i < s.n; i++)
		good = s.p[i] > ' ' && s.p[i] < 0x7f && !strchr("?#%\\\"", s.p[i]) &&
		       !(s.p[i] == '/' && i + 1 < s.n && (s.p[i + 1] == '/' || s.p[i + 1] == '.'));
	if (!good)
		return BAD(r, n, "is not a path prefix (a slash first, none at the end, no '?', '#', '%%'); "
			   "write e.g. %s", row->example);
	return config_keep(r, s, at);
}

static int read_int(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	int64_t v;

	if (str_to_i64(yaml_scalar(n), &v) < 0 || v < row->min || v > row->max)
		return BAD(r, n, "is not a whole number from %lld to %lld; write e.g. %s", (long long)row->min,
			   (long long)row->max, row->example);
	*(int64_t *)at = v;
	return 0;
}

static int read_bool(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct str s = yaml_scalar(n);

	if (!str_eq(s, STR("true")) && !str_eq(s, STR("false")))
		return BAD(r, n, "is not true or false; write e.g. %s", row->example);
	*(bool *)at = s.p[0] == 't';
	return 0;
}

static int read_duration(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
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

static int read_size(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
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

static int read_usd(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	nanousd v;

	if (str_to_usd(yaml_scalar(n), true, &v) < 0)
		return BAD(r, n, "is not a USD amount; write e.g. %s", row->example);
	*(int64_t *)at = v;
	return 0;
}

static int read_zone(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct str s = yaml_scalar(n);
	const struct zone *ignored;

	if (s.n >= sizeof(((struct account_spec *)0)->zone) || zone_open(s.p, &ignored, NULL) < 0)
		return BAD(r, n, "is not a time zone that this machine knows (tzdata, /usr/share/zoneinfo); write e.g. %s", row->example);
	return config_keep(r, s, at);
}

static int read_minute(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	int32_t v;

	if (units_to_minute(yaml_scalar(n), &v) < 0)
		return BAD(r, n, "is not a time of day from \"00:00\" to \"23:59\"; write e.g. %s", row->example);
	*(int64_t *)at = v;
	return 0;
}

/* What may be in it and to whom plain http is allowed is config/check.c's business. */
static int read_url(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct str s = yaml_scalar(n);
	bool good = s.n < 2048 && (str_starts(s, STR("https://")) || str_starts(s, STR("http://")));

	for (size_t i = 0; good && i < s.n; i++)
		good = s.p[i] > ' ' && s.p[i] < 0x7f && !strchr("\"\\<>^`{|}", s.p[i]);
	if (s.n > 0 && !good)
		return BAD(r, n, "is not an http(s) URL of at most 2047 bytes; write e.g. %s", row->example);
	return config_keep(r, s, at);
}

static int read_word(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	char all[192] = "";

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

/* Some of the words: bit i stands for words[i]. */
static int read_words(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	int64_t mask = 0, i;

	for (size_t k = 0; k < yaml_count(n); k++) {
		int ret = read_word(r, row, yaml_at(n, k), &i);

		if (ret < 0)
			return ret;
		if (mask & (INT64_C(1) << i))
			return BAD(r, yaml_at(n, k), "stands twice; list each word once");
		mask |= INT64_C(1) << i;
	}
	*(int64_t *)at = mask;
	return 0;
}

/* ---- lists: one element at a time, by the row's type */

static int read_port_element(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	int64_t v;

	if (str_to_i64(yaml_scalar(n), &v) < 0 || v < 1 || v > 65535)
		return BAD(r, n, "is not a port from 1 to 65535; write e.g. [%s]", row->example);
	*(uint16_t *)at = (uint16_t)v;
	return 0;
}

static int read_path_element(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	if (!is_path(yaml_scalar(n)))
		return BAD(r, n, "is not an absolute path; write e.g. [%s]", row->example);
	return config_keep(r, yaml_scalar(n), at);
}

static int read_host_element(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
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
	return config_keep(r, str_of(host), at);
}

static int read_address_element(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct addr_net net;
	struct str s = yaml_scalar(n);

	if (!addr_parse_net(s.p, &net))
		return BAD(r, n, "is neither an IP address nor a range whose last bits are zero; write e.g. %s or 198.51.100.0/24", row->example);
	/* A range of everything would take every connection for an LLM call. */
	if (net.prefixlen < 16 || (net.prefixlen < 96 + 8 && addr_is_v4(net.addr)))
		return BAD(r, n, "is wider than /8 (IPv4) or /16 (IPv6); write e.g. %s or 198.51.100.0/24", row->example);
	return config_keep(r, s, at);
}

static int read_nat64_element(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	static const struct addr_net v4 = { .addr = { [10] = 0xff, [11] = 0xff }, .prefixlen = 128 };
	struct addr_net net, form;
	struct str s = yaml_scalar(n);

	if (!addr_parse_net(s.p, &net) || addr_is_v4(net.addr) || !addr_nat64(&v4, &net, &form))
		return BAD(r, n, "is not an IPv6 range of length 32, 40, 48, 56, 64 or 96; write e.g. %s", row->example);
	return config_keep(r, s, at);
}

static int read_proxy_element(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct str s = yaml_scalar(n);
	struct addr_port to;

	if (!addr_parse_port(s.p, &to))
		return BAD(r, n, "is not an IP address with a port (no name, no http://); write e.g. [%s]", row->example);
	if (addr_is_special(to.addr))
		return BAD(r, n, "is this machine, link-local or nothing: the gate never sees such connections; write e.g. [%s]", row->example);
	return config_keep(r, s, at);
}

static int read_percent_element(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct str s = yaml_scalar(n);
	int64_t v;

	if (str_ends(s, STR("%")))
		s.n--;
	if (str_to_i64(s, &v) < 0 || v < 1 || v > 100)
		return BAD(r, n, "is not a percentage from 1%% to 100%%; write e.g. [%s]", row->example);
	*(uint16_t *)at = (uint16_t)v;
	return 0;
}

static int read_text_element(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	struct str s = yaml_scalar(n);

	if (s.n == 0 || s.n > 1023 || memchr(s.p, '\n', s.n))
		return BAD(r, n, "is not a text of 1 to 1023 bytes in one line; write e.g. [%s]", row->example);
	return config_keep(r, s, at);
}

struct plain_list {
	void *v;
	size_t n;
};

static int read_list(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	static const struct {
		size_t size;
		int (*read)(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at);
	} elements[CONFIG_TYPE_COUNT] = {
		[CONFIG_PORTS] = { sizeof(uint16_t), read_port_element },
		[CONFIG_PERCENTS] = { sizeof(uint16_t), read_percent_element },
		[CONFIG_GLOBS] = { sizeof(char *), read_text_element },
		[CONFIG_WORDLIST] = { sizeof(char *), read_text_element },
		[CONFIG_PATHS] = { sizeof(char *), read_path_element },
		[CONFIG_HOSTS] = { sizeof(char *), read_host_element },
		[CONFIG_ADDRESSES] = { sizeof(char *), read_address_element },
		[CONFIG_NAT64] = { sizeof(char *), read_nat64_element },
		[CONFIG_PROXIES] = { sizeof(char *), read_proxy_element },
	};
	size_t size = elements[row->type].size;
	struct plain_list list = { .n = yaml_count(n) };

	if (list.n > (size_t)row->max || (row->required && list.n == 0))
		return BAD(r, n, "has %zu entries, must be %d to %lld; write e.g. [%s]", list.n, row->required,
			   (long long)row->max, row->example);
	int ret = config_keep_array(r, list.n, size, &list.v);
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

/* ---- rules: a map of their own */

static int read_rules(struct config_reading *r, const struct config_row *row, const struct yaml_node *n, void *at)
{
	const struct yaml_node *culprit = n;
	struct rules *rules = arena_alloc(r->arena, sizeof(*rules));
	struct err why = { "" };

	if (!rules)
		return err_set(r->e, ENOMEM, "%s: needs more than %u MiB of memory", r->name, CONFIG_MEMORY_MAX >> 20);
	int ret = rules_from_yaml(n, rules, &culprit, &why);
	if (ret < 0)
		return err_set(r->e, -ret, "%s:%u: %s: %s", r->name, yaml_line(culprit), r->key, why.text);
	*(struct rules **)at = rules;
	return 0;
}

const struct config_reader config_readers[CONFIG_TYPE_COUNT] = {
	[CONFIG_TEXT] = { YAML_SCALAR, read_text },
	[CONFIG_PATH] = { YAML_SCALAR, read_path },
	[CONFIG_ROOT] = { YAML_SCALAR, read_path },
	[CONFIG_FILE] = { YAML_SCALAR, read_path },
	[CONFIG_NAME] = { YAML_SCALAR, read_name },
	[CONFIG_ABOVE] = { YAML_SCALAR, read_name },
	[CONFIG_WHO] = { YAML_SCALAR, read_name },
	[CONFIG_CGROUP] = { YAML_SCALAR, read_cgroup },
	[CONFIG_PREFIX] = { YAML_SCALAR, read_prefix },
	[CONFIG_ZONE] = { YAML_SCALAR, read_zone },
	[CONFIG_URL] = { YAML_SCALAR, read_url },
	[CONFIG_INT] = { YAML_SCALAR, read_int },
	[CONFIG_BOOL] = { YAML_SCALAR, read_bool },
	[CONFIG_DURATION] = { YAML_SCALAR, read_duration },
	[CONFIG_SIZE] = { YAML_SCALAR, read_size },
	[CONFIG_USD] = { YAML_SCALAR, read_usd },
	[CONFIG_MINUTE] = { YAML_SCALAR, read_minute },
	[CONFIG_WORD] = { YAML_SCALAR, read_word },
	[CONFIG_WORDS] = { YAML_LIST, read_words },
	[CONFIG_RULES] = { YAML_MAP, read_rules },
	[CONFIG_PORTS] = { YAML_LIST, read_list },
	[CONFIG_PERCENTS] = { YAML_LIST, read_list },
	[CONFIG_PATHS] = { YAML_LIST, read_list },
	[CONFIG_HOSTS] = { YAML_LIST, read_list },
	[CONFIG_ADDRESSES] = { YAML_LIST, read_list },
	[CONFIG_NAT64] = { YAML_LIST, read_list },
	[CONFIG_PROXIES] = { YAML_LIST, read_list },
	[CONFIG_GLOBS] = { YAML_LIST, read_list },
	[CONFIG_WORDLIST] = { YAML_LIST, read_list },
	[CONFIG_ROWS] = { YAML_LIST, NULL },
};
