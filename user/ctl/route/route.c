// SPDX-License-Identifier: Apache-2.0
/* route.c: the table of control requests and how one is found; small answers that need no other file. */
#include "ctl/route/route.h"
#include "ctl_abi.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/jsonw.h"
#include "base/str.h"

static const struct route routes[] = {
	{ "GET", "/v1/healthz", ROUTE_ANYONE, false, "health", route_health },
	{ "GET", "/v1/status", ROUTE_OWNER, false, "status", route_status },
	{ "GET", "/v1/gate", ROUTE_OWNER, false, "gate", route_gate },
	{ "GET", "/v1/trust", ROUTE_OWNER, false, "trust", route_trust },
	{ "GET", "/v1/events", ROUTE_OWNER, false, "events", route_events },
	{ "GET", "/v1/ledger", ROUTE_OWNER, true, "ledger", route_ledger },
	{ "POST", "/v1/ledger/prune", ROUTE_OUTSIDE, true, "ledger prune", route_ledger_prune },
	{ "GET", "/v1/audit", ROUTE_OWNER, true, "audit", route_audit },
	{ "GET", "/v1/lease", ROUTE_OUTSIDE, false, "lease", route_lease },
	{ "POST", "/v1/reload", ROUTE_OUTSIDE, false, "reload", route_reload },
	{ "POST", "/v1/agents", ROUTE_OUTSIDE, false, "agent add", route_agent_add },
	{ "PATCH", "/v1/agents/*", ROUTE_OUTSIDE, false, "agent set", route_agent_set },
	{ "DELETE", "/v1/agents/*", ROUTE_OUTSIDE, false, "agent rm", route_agent_remove },
	{ "GET", "/v1/agents/*/fit", ROUTE_OWNER, false, "fit", route_agent_fit },
	{ "POST", "/v1/agents/*/pause", ROUTE_OUTSIDE, false, "agent pause", route_agent_pause },
	{ "POST", "/v1/agents/*/resume", ROUTE_OUTSIDE, false, "agent resume", route_agent_resume },
	{ "POST", "/v1/agents/*/kill", ROUTE_OUTSIDE, false, "agent kill", route_agent_kill },
	{ "POST", "/v1/agents/*/raise", ROUTE_OUTSIDE, false, "agent raise", route_agent_raise },
	{ "DELETE", "/v1/agents/*/raise", ROUTE_OUTSIDE, false, "agent raise", route_agent_lower },
	{ "POST", "/v1/accounts", ROUTE_OUTSIDE, false, "account add", route_account_add },
	{ "PATCH", "/v1/accounts/*", ROUTE_OUTSIDE, false, "account set", route_account_set },
	{ "DELETE", "/v1/accounts/*", ROUTE_OUTSIDE, false, "account rm", route_account_remove },
	{ "POST", "/v1/accounts/*/pause", ROUTE_OUTSIDE, false, "account pause", route_account_pause },
	{ "POST", "/v1/accounts/*/resume", ROUTE_OUTSIDE, false, "account resume", route_account_resume },
	{ "POST", "/v1/accounts/*/kill", ROUTE_OUTSIDE, false, "account kill", route_account_kill },
	{ "POST", "/v1/accounts/*/raise", ROUTE_OUTSIDE, false, "account raise", route_account_raise },
	{ "DELETE", "/v1/accounts/*/raise", ROUTE_OUTSIDE, false, "account raise", route_account_lower },
	{ "GET", "/v1/endpoints", ROUTE_OWNER, false, "endpoints", route_endpoints },
	{ "GET", "/v1/alerts", ROUTE_OWNER, false, "alerts", route_alerts },
	{ "POST", "/v1/alerts/*/test", ROUTE_OUTSIDE, false, "alerts test", route_alert_test },
};
#define ROUTE_COUNT (sizeof(routes) / sizeof(routes[0]))

const struct route *route_at(size_t i)
{
	return i < ROUTE_COUNT ? &routes[i] : NULL;
}

static bool matches(struct str pattern, struct str path, struct str *ret_name)
{
	while (pattern.n > 0 || path.n > 0) {
		bool ends = !memchr(pattern.p, '/', pattern.n) != !memchr(path.p, '/', path.n);
		struct str want = str_cut(&pattern, '/');
		struct str have = str_cut(&path, '/');

		if (ends)
			return false;
		if (!str_eq(want, STR("*"))) {
			if (!str_eq(want, have))
				return false;
		} else {
			if (have.n == 0)
				return false;
			*ret_name = have;
		}
	}
	return true;
}

const struct route *route_find(struct request *r, bool is_owner, struct answer *a)
{
	static __thread char allow[64];
	const struct route *found = NULL;
	struct str name = STR("");

	allow[0] = '\0';
	for (size_t i = 0; i < ROUTE_COUNT && !found; i++) {
		if (!matches(str_of(routes[i].path), r->path, &name))
			continue;
		if (str_eq(r->method, str_of(routes[i].method))) {
			found = &routes[i];
			break;
		}
		size_t used = strlen(allow);

		(void)snprintf(allow + used, sizeof(allow) - used, "%s%s", used ? ", " : "", routes[i].method);
	}
	/* Who may not, learns nothing of what there is. */
	if (!is_owner && (!found || found->who != ROUTE_ANYONE)) {
		answer_refuse(a, 403, "uid %u may not use this: only root and the user of the daemon may", (unsigned)r->uid);
		return NULL;
	}
	if (!found && allow[0]) {
		answer_refuse(a, 405, "%.*s is not a method of %.*s; it takes %s", (int)(r->method.n > 16 ? 16 : r->method.n),
			      r->method.p, (int)(r->path.n > 100 ? 100 : r->path.n), r->path.p, allow);
		a->allow = allow;
		return NULL;
	}
	if (!found) {
		answer_refuse(a, 404, "%.*s is not a path of this API; docs/control.md lists all",
			      (int)(r->path.n > 100 ? 100 : r->path.n), r->path.p);
		return NULL;
	}
	if (found->who == ROUTE_OUTSIDE && r->peer->place != PEER_OUTSIDE) {
		answer_refuse(a, 403, "%s: %s", r->peer->why, r->peer->place == PEER_IN_AGENT
			      ? "an agent may look, not change budgets, its own or another's; ask from a shell outside of all agents"
			      : "so it may be an agent, which may look, not change; ask from a live process in the daemon's pid namespace");
		return NULL;
	}
	r->name = name;
	(void)snprintf(r->who, sizeof(r->who), "uid %u pid %d", (unsigned)r->uid, (int)r->pid);
	return found;
}

/* ---- answers */

void answer_begin(struct jsonw *w, struct answer *a)
{
	jsonw_init(w, a->body);
	jsonw_object(w, NULL);
}

void answer_finish(struct jsonw *w, struct answer *a)
{
	jsonw_close(w);
	if (jsonw_end(w) < 0)
		answer_refuse(a, 500, "the answer is longer than %d MiB; ask for less of it", CTL_ANSWER_MAX >> 20);
}

void answer_refuse(struct answer *a, int status, const char *fmt, ...)
{
	char text[1024];
	struct jsonw w;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_clear(a->body);
	a->status = status;
	a->type = "application/json";
	jsonw_init(&w, a->body);
	jsonw_object(&w, NULL);
	jsonw_object(&w, "error");
	jsonw_cstr(&w, "message", text);
	jsonw_close(&w);
	jsonw_close(&w);
	(void)jsonw_end(&w);
}

void answer_error(struct answer *a, int ret, const struct err *e)
{
	static const struct {
		int errnum, status;
	} statuses[] = { { EINVAL, 400 }, { ENOENT, 404 },    { EEXIST, 409 },      { EBUSY, 409 },  { ELOOP, 400 },
			 { ERANGE, 400 }, { ENAMETOOLONG, 400 }, { EMSGSIZE, 413 }, { ENOSPC, 507 }, { EIO, 503 } };
	int status = 500;

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].errnum == -ret)
			status = statuses[i].status;
	answer_refuse(a, status, "%s", e->text[0] ? e->text : strerror(-ret));
}

/* ---- queries */

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool decode(struct str s, char *mem, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i] == '+' ? ' ' : s.p[i];

		if (c == '%') {
			if (i + 2 >= s.n || hex(s.p[i + 1]) < 0 || hex(s.p[i + 2]) < 0)
				return false;
			c = (char)(hex(s.p[i + 1]) * 16 + hex(s.p[i + 2]));
			i += 2;
		}
		if (c == '\0' || n + 1 >= size)
			return false;
		mem[n++] = c;
	}
	mem[n] = '\0';
	return true;
}

bool query_find(struct str query, const char *key, char *mem, size_t size, bool *ret_bad)
{
	*ret_bad = false;
	while (query.n > 0) {
		struct str value = str_cut(&query, '&');
		struct str k = str_cut(&value, '=');

		if (!str_eq(k, str_of(key)))
			continue;
		*ret_bad = !decode(value, mem, size);
		return true;
	}
	return false;
}
