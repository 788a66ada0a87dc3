// SPDX-License-Identifier: Apache-2.0
/*
 * config/check.c: what the values of a config must be to each other: names once, accounts that exist and form no loop, hosts of
 * one provider only, known dialects. Each complaint names the line of the later of the two.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/str.h"
#include "base/yaml.h"
#include "ctl/config/rows.h"
#include "provider/provider.h"

/* Element i of the list `table` in the file, and in it the value of `key`; NULL where defaults stand. */
static const struct yaml_node *node_of(const struct yaml_node *root, const char *table, size_t i, const char *key)
{
	const struct yaml_node *list = root ? yaml_find(root, table) : NULL;
	const struct yaml_node *element = list && i < yaml_count(list) ? yaml_at(list, i) : NULL;
	const struct yaml_node *value = element && key ? yaml_find(element, key) : NULL;

	return value ? value : element ? element : root;
}

struct check {
	const struct yaml *y;
	const struct yaml_node *root;
	struct config *c;
	struct err *e;
};
#define BAD(k, table, i, key, ...) \
	yaml_complain((k)->y, node_of((k)->root, table, i, key), (k)->e, table "." key, __VA_ARGS__)

/* ---- providers */

static bool hosts_overlap(const char *a, const char *b)
{
	struct str x = str_of(a), y = str_of(b);

	if (str_eq(x, y))
		return true;
	if (x.p[0] == '.')
		return str_ends(y, x) || (y.p[0] == '.' && str_ends(x, y));
	return y.p[0] == '.' && str_ends(x, y);
}

static int check_hosts(struct check *k, size_t at)
{
	const struct config_provider *p = &k->c->providers.v[at];

	for (size_t h = 0; h < p->hosts.n; h++) {
		for (size_t i = 0; i <= at; i++) {
			const struct config_provider *q = &k->c->providers.v[i];

			for (size_t j = 0; j < (i == at ? h : q->hosts.n); j++) {
				/* Below one's own wildcard is redundant, not ambiguous. */
				if (i == at ? strcmp(p->hosts.v[h], q->hosts.v[j]) != 0
					    : !hosts_overlap(p->hosts.v[h], q->hosts.v[j]))
					continue;
				return BAD(k, "providers", at, "hosts",
					   "holds %s, which is already covered by %s of provider \"%s\"; list each "
					   "host once", p->hosts.v[h], q->hosts.v[j], q->name);
			}
		}
	}
	return 0;
}

static int check_dialect(struct check *k, size_t at)
{
	const struct config_provider *p = &k->c->providers.v[at];
	char known[128] = "";

	if (provider_find(p->dialect))
		return 0;
	for (size_t i = 0; provider_at(i); i++) {
		size_t used = strlen(known);

		(void)snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "", provider_at(i)->name);
	}
	return BAD(k, "providers", at, "dialect", "is not one of %s; write e.g. openai", known);
}

static int check_providers(struct check *k)
{
	struct config *c = k->c;

	if (c->providers.n == 0)
		return yaml_complain(k->y, node_of(k->root, "providers", 0, NULL), k->e, "providers",
				     "is an empty list: nothing would be metered; leave the key out for the defaults");
	for (size_t i = 0; i < c->providers.n; i++) {
		const struct config_provider *p = &c->providers.v[i];

		for (size_t j = 0; j < i; j++)
			if (strcmp(p->name, c->providers.v[j].name) == 0)
				return BAD(k, "providers", i, "name", "is the name of two providers; give each its own");
		int r = check_dialect(k, i);
		if (r == 0)
			r = check_hosts(k, i);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- accounts and agents share one set of names: an agent has an account of its own name */

/* What the map holds for a name: whose parent it has, from where in the file. */
struct seat {
	const char *parent;
	bool is_agent;
	size_t i;
	unsigned line;
};

static int seat_one(struct check *k, struct map *seats, struct seat *s, const char *name)
{
	const struct seat *old = map_find(seats, str_of(name));

	if (old && s->is_agent)
		return BAD(k, "agents", s->i, "name", "is already the name of the %s in line %u; an agent's own "
			   "account has its name: give each its own", old->is_agent ? "agent" : "account", old->line);
	if (old)
		return BAD(k, "accounts", s->i, "name", "is already the name of the account in line %u; give each "
			   "its own", old->line);
	return map_put(seats, str_of(name), s, NULL);
}

static int check_above(struct check *k, const struct map *seats, const struct seat *s, const char *name)
{
	const struct seat *at = s;
	unsigned depth = 1;

	while (at->parent[0]) {
		const struct seat *above = map_find(seats, str_of(at->parent));

		/* Told where it stands: a missing one further up is told at its own entry. */
		if (!above && at == s) {
			if (s->is_agent)
				return BAD(k, "agents", s->i, "account", "is not an account; add it under accounts, "
					   "or write \"\" for none");
			return BAD(k, "accounts", s->i, "parent", "is not an account; add it under accounts, or "
				   "write \"\" for none");
		}
		if (!above)
			return 0;
		if (++depth > GATE_TREE_DEPTH) {
			const char *what = "leads to a loop, or to more than %d accounts above each other; cut the "
					   "chain of \"%s\"";

			return s->is_agent ? BAD(k, "agents", s->i, "account", what, GATE_TREE_DEPTH, name)
					   : BAD(k, "accounts", s->i, "parent", what, GATE_TREE_DEPTH, name);
		}
		at = above;
	}
	return 0;
}

static int check_tree(struct check *k, struct map *seats, struct seat *s)
{
	struct config *c = k->c;
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->accounts.n; i++) {
		s[i] = (struct seat){ .parent = c->accounts.v[i].parent, .i = i, .line = c->accounts.v[i].line };
		r = seat_one(k, seats, &s[i], c->accounts.v[i].name);
	}
	struct seat *a = s + c->accounts.n;

	for (size_t i = 0; r == 0 && i < c->agents.n; i++) {
		a[i] = (struct seat){ .parent = c->agents.v[i].account, .is_agent = true, .i = i,
				      .line = c->agents.v[i].line };
		r = seat_one(k, seats, &a[i], c->agents.v[i].name);
	}
	for (size_t i = 0; r == 0 && i < c->accounts.n; i++)
		r = check_above(k, seats, &s[i], c->accounts.v[i].name);
	for (size_t i = 0; r == 0 && i < c->agents.n; i++)
		r = check_above(k, seats, &a[i], c->agents.v[i].name);
	return r;
}

static int check_cgroups(struct check *k, struct map *places)
{
	struct config *c = k->c;

	for (size_t i = 0; i < c->agents.n; i++) {
		struct config_agent *a = &c->agents.v[i];
		const struct config_agent *old = a->cgroup[0] ? map_find(places, str_of(a->cgroup)) : NULL;

		if (old)
			return BAD(k, "agents", i, "cgroup", "is also the cgroup of \"%s\" in line %u; give each agent "
				   "its own", old->name, old->line);
		if (a->cgroup[0] && map_put(places, str_of(a->cgroup), a, NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int check_ports(struct check *k)
{
	struct config *c = k->c;
	const struct yaml_node *n = k->root ? yaml_find(k->root, "capture_ports") : NULL;

	for (size_t i = 0; i < c->capture_ports.n; i++)
		for (size_t j = 0; j < i; j++)
			if (c->capture_ports.v[i] == c->capture_ports.v[j])
				return yaml_complain(k->y, yaml_at(n, i), k->e, "capture_ports",
						     "stands twice; list each port once");
	return 0;
}

static int check_proxies(struct check *k)
{
	struct config *c = k->c;
	const struct yaml_node *n = k->root ? yaml_find(k->root, "proxies") : NULL;

	for (size_t i = 0; i < c->proxies.n; i++)
		for (size_t j = 0; j < i; j++)
			if (memcmp(c->proxy[i].addr, c->proxy[j].addr, sizeof(c->proxy[i].addr)) == 0 && c->proxy[i].port == c->proxy[j].port)
				return yaml_complain(k->y, yaml_at(n, i), k->e, "proxies", "stands twice; list each proxy once");
	if (c->taken_ports.n > GATE_PORTS_MAX)
		return yaml_complain(k->y, n, k->e, "proxies", "and capture_ports together have %zu ports, at most %d are possible; leave some out",
				     c->taken_ports.n, GATE_PORTS_MAX);
	return 0;
}

/* ---- alerts */

/* Secrets and money figures go only where TLS goes, or nowhere off this machine. */
static int check_url(struct check *k, size_t at, const char *key, const char *url)
{
	static const char *const here[] = { "localhost", "127.0.0.1", "[::1]" };
	const struct config_alert *a = &k->c->alerts.v[at];
	struct str rest = str_of(url);

	if (!str_starts(rest, STR("http://")) || a->allow_http)
		return 0;
	rest.p += 7;
	rest.n -= 7;
	for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++) {
		size_t n = strlen(here[i]);

		if (str_starts(rest, str_of(here[i])) && (rest.n == n || rest.p[n] == ':' || rest.p[n] == '/'))
			return 0;
	}
	return yaml_complain(k->y, node_of(k->root, "alerts", at, key), k->e, key[0] == 's' ? "alerts.slack" : "alerts.webhook",
			     "is http:// to another machine; write https://, or allow_http: true");
}

static int check_alert(struct check *k, size_t at)
{
	struct config_alert *a = &k->c->alerts.v[at];

	for (size_t j = 0; j < at; j++)
		if (strcmp(a->name, k->c->alerts.v[j].name) == 0)
			return BAD(k, "alerts", at, "name", "is the name of two alerts; give each its own");
	for (size_t i = 1; i < a->at.n; i++)
		if (a->at.v[i] <= a->at.v[i - 1])
			return BAD(k, "alerts", at, "at", "does not ascend at %u%%; write each percentage once, smallest first", a->at.v[i]);
	if (!a->webhook[0] && !a->slack[0] && a->exec.n == 0)
		return BAD(k, "alerts", at, "name", "tells nobody; give it a webhook, slack or exec");
	if (a->secret_file[0] && !a->webhook[0])
		return BAD(k, "alerts", at, "secret_file", "signs a webhook, and there is none; give it a webhook, or take it out");
	if (a->exec.n > 0 && a->exec.v[0][0] != '/')
		return BAD(k, "alerts", at, "exec", "runs \"%s\", which is not an absolute path; write e.g. [/usr/local/bin/page]",
			   a->exec.v[0]);
	int r = check_url(k, at, "webhook", a->webhook);

	return r ? r : check_url(k, at, "slack", a->slack);
}

static int check_alerts(struct check *k)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < k->c->alerts.n; i++)
		r = check_alert(k, i);
	return r;
}

int config_check(const struct yaml *y, const struct yaml_node *root, struct config *c, struct err *e)
{
	struct check k = { .y = y, .root = root, .c = c, .e = e };
	struct map *seats = map_new(), *places = map_new();
	struct seat *s = arena_alloc(c->arena, (c->accounts.n + c->agents.n + 1) * sizeof(*s));
	int r = -ENOMEM;

	if (seats && places && s) {
		r = check_providers(&k);
		if (r == 0)
			r = check_tree(&k, seats, s);
		if (r == 0)
			r = check_cgroups(&k, places);
		if (r == 0)
			r = check_ports(&k);
		if (r == 0)
			r = check_proxies(&k);
		if (r == 0)
			r = check_alerts(&k);
	}
	if (r == -ENOMEM)
		(void)err_set(e, ENOMEM, "config: out of memory");
	map_free(seats, NULL);
	map_free(places, NULL);
	return r;
}
