// SPDX-License-Identifier: Apache-2.0
/* alerts.c: see alerts.h. What is looked at, once a second; what becomes of it is in alert/keep.c. */
#include "ctl/alert/alerts.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/jsonw.h"
#include "base/log.h"
#include "base/str.h"
#include "ctl/agents.h"
#include "ctl/alert/group.h"
#include "ctl/alert/post.h"
#include "ctl/alert/own.h"

static bool is_watched(const struct config_alert *c, const char *account)
{
	for (size_t i = 0; i < c->accounts.n; i++)
		if (fnmatch(c->accounts.v[i], account, 0) == 0)
			return true;
	return false;
}

/* ---- one account */

struct looking {
	struct alerts *a;
	const struct alerts_health *h;
	int64_t now_s;
	struct eye *eye;
	const char *account, *zone;
};

static void tell(void *ctx, struct alert_fact *f)
{
	struct looking *l = ctx;

	f->account = l->account;
	f->zone = l->zone;
	alerts_tell(l->a, l->eye, f, l->now_s);
}

static void tell_refusals(struct looking *l, struct sight *s)
{
	for (int when = CONFIG_REFUSED; when <= CONFIG_RULE; when++) {
		struct alert_fact f = { .kind = when == CONFIG_RULE ? ALERT_RULE : ALERT_REFUSED };

		if (!s->newest[when] || !watch_when(&s->w, l->eye->config, (enum config_when)when, 0, l->now_s, &f.count))
			continue;
		f.why = *s->newest[when];
		tell(l, &f);
	}
}

static bool look(void *ctx, const char *name, uint32_t index)
{
	struct looking *l = ctx;
	const struct account_spec *spec = NULL;
	struct account_view v;
	bool seen = false;

	for (size_t i = 0; i < l->a->neyes; i++) {
		struct eye *eye = &l->a->eyes[i];
		struct sight *s = is_watched(eye->config, name) ? sight_get(eye, name) : NULL;

		if (!s)
			continue;
		if (!seen && budget_view(l->h->budget, index, l->now_s, &v) < 0)
			return true;
		if (!seen)
			spec = agents_spec(l->h->agents, name);
		seen = true;
		l->eye = eye;
		l->account = name;
		l->zone = spec ? spec->zone : "";
		struct watched before[WINDOW_COUNT];

		memcpy(before, s->w.windows, sizeof(before));
		watch_account(&s->w, eye->config, &v, l->now_s, tell, l);
		tell_refusals(l, s);
		for (int k = 0; k < WINDOW_COUNT; k++)
			l->a->dirty = l->a->dirty || before[k].told != s->w.windows[k].told;
		s->tick = l->a->tick;
	}
	return true;
}

/* ---- refusals: from any thread, taken up by the next tick */

void alerts_refused(struct alerts *a, const char *agent, const struct refusal *why)
{
	if (!a->neyes)
		return;
	(void)pthread_mutex_lock(&a->refused_lock);
	if (a->nrefused < REFUSED_MAX) {
		struct refused *r = &a->refused[a->nrefused];

		(void)str_copy(r->agent, sizeof(r->agent), str_of(agent));
		r->why = *why;
	}
	/* Those that do not fit are still counted. */
	a->nrefused++;
	(void)pthread_mutex_unlock(&a->refused_lock);
}

static void take_refusal(struct alerts *a, const struct refused *r, uint64_t count)
{
	const char *account = r->why.account[0] ? r->why.account : r->agent;
	enum config_when when = r->why.reason == REFUSAL_RULE ? CONFIG_RULE : CONFIG_REFUSED;

	for (size_t i = 0; i < a->neyes; i++) {
		struct eye *eye = &a->eyes[i];
		struct sight *s = is_watched(eye->config, account) ? sight_get(eye, account) : NULL;
		/* A rule's refusal is a refusal, for whoever asks for no more than that. */
		enum config_when as = eye->config->when & (1 << when) ? when : CONFIG_REFUSED;

		if (!s)
			continue;
		if (r->why.reason == REFUSAL_BUDGET && (unsigned)r->why.window < WINDOW_COUNT)
			watch_refused(&s->w, r->why.window);
		if (!(eye->config->when & (1 << as)))
			continue;
		s->w.since[as] += count;
		if (!s->newest[as])
			s->newest[as] = malloc(sizeof(*s->newest[as]));
		if (s->newest[as])
			*s->newest[as] = r->why;
	}
}

static void take_refusals(struct alerts *a)
{
	(void)pthread_mutex_lock(&a->refused_lock);
	for (size_t i = 0; i < a->nrefused && i < REFUSED_MAX; i++)
		take_refusal(a, &a->refused[i], 1);
	if (a->nrefused > REFUSED_MAX)
		take_refusal(a, &a->refused[REFUSED_MAX - 1], a->nrefused - REFUSED_MAX);
	a->nrefused = 0;
	(void)pthread_mutex_unlock(&a->refused_lock);
}

/* ---- the machine */

static void tell_edge(struct looking *l, enum config_when when, enum alert_kind kind, bool ok, bool *told_bad, const char *detail)
{
	struct alert_fact f = { .kind = kind, .detail = detail, .over = ok };

	if (!(l->eye->config->when & (1 << when)) || ok == !*told_bad)
		return;
	/* What goes bad again and again is told once in a while; that it is over only if it was told. */
	if (!ok && !watch_when(&l->eye->machine, l->eye->config, when, 1, l->now_s, &f.count))
		return;
	*told_bad = !ok;
	tell(l, &f);
}

static void look_at_machine(struct looking *l, uint64_t overruns)
{
	const struct alerts_health *h = l->h;
	struct alert_fact f = { .kind = ALERT_OVERRUN };

	l->account = l->zone = "";
	tell_edge(l, CONFIG_LEDGER_UNHEALTHY, ALERT_LEDGER, h->ledger_ok, &l->eye->ledger_bad, "");
	tell_edge(l, CONFIG_GATE_DETACHED, ALERT_GATE, h->gate_ok, &l->eye->gate_bad, h->gate_text);
	if (l->eye->config->when & (1 << CONFIG_OVERRUN) &&
	    watch_when(&l->eye->machine, l->eye->config, CONFIG_OVERRUN, overruns, l->now_s, &f.count))
		tell(l, &f);
}

/* ---- accounts that are gone: `purse run` makes one each time */

#define SWEEP_MAX 64
struct sweep {
	uint64_t tick;
	char names[SWEEP_MAX][GATE_NAME_MAX];
	size_t n;
};

static bool find_gone(void *ctx, struct str key, void *value)
{
	struct sweep *sw = ctx;
	const struct sight *s = value;

	if (s->tick != sw->tick)
		(void)str_copy(sw->names[sw->n++], GATE_NAME_MAX, key);
	return sw->n < SWEEP_MAX;
}

static void sweep(struct alerts *a, struct eye *eye)
{
	struct sweep sw = { .tick = a->tick };

	map_each(eye->sights, find_gone, &sw);
	for (size_t i = 0; i < sw.n; i++)
		sight_free(map_remove(eye->sights, str_of(sw.names[i])));
}

void alerts_tick(struct alerts *a, const struct alerts_health *h, int64_t now_s)
{
	struct looking l = { .a = a, .h = h, .now_s = now_s };
	uint64_t overruns = a->has_overruns && h->overruns > a->overruns ? h->overruns - a->overruns : 0;

	if (!a->neyes)
		return;
	a->overruns = h->overruns;
	a->has_overruns = true;
	(void)pthread_mutex_lock(&a->lock);
	a->tick++;
	take_refusals(a);
	agents_each_account(h->agents, look, &l);
	for (size_t i = 0; i < a->neyes; i++) {
		l.eye = &a->eyes[i];
		look_at_machine(&l, overruns);
		if (a->tick % 60 == 0)
			sweep(a, l.eye);
	}
	if (a->dirty)
		(void)pthread_cond_signal(&a->news);
	(void)pthread_mutex_unlock(&a->lock);
}

/* ---- asked by people */

int alerts_test(struct alerts *a, const char *name, int64_t now_s, struct err *e)
{
	struct alert_fact f = { .kind = ALERT_TEST, .account = "", .zone = "" };

	for (size_t i = 0; i < a->neyes; i++) {
		if (strcmp(a->eyes[i].config->name, name) != 0)
			continue;
		(void)pthread_mutex_lock(&a->lock);
		alerts_tell(a, &a->eyes[i], &f, now_s);
		(void)pthread_cond_signal(&a->news);
		(void)pthread_mutex_unlock(&a->lock);
		return 0;
	}
	return err_set(e, ENOENT, "alert \"%s\" is not in the config; `purse alerts` lists those that are", name);
}

int alerts_write(struct alerts *a, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_object(&w, NULL);
	jsonw_array(&w, "alerts");
	for (size_t i = 0; i < a->neyes; i++) {
		const struct config_alert *c = a->eyes[i].config;

		jsonw_object(&w, NULL);
		jsonw_cstr(&w, "name", c->name);
		jsonw_array(&w, "accounts");
		for (size_t k = 0; k < c->accounts.n; k++)
			jsonw_cstr(&w, NULL, c->accounts.v[k]);
		jsonw_close(&w);
		jsonw_array(&w, "to");
		for (int p = 0; p < ALERT_PLACE_COUNT; p++)
			if (a->eyes[i].to[p])
				jsonw_cstr(&w, NULL, alert_place_names[p]);
		jsonw_close(&w);
		jsonw_close(&w);
	}
	jsonw_close(&w);
	jsonw_array(&w, "fired");
	(void)pthread_mutex_lock(&a->lock);
	book_write(&a->book, false, &w);
	jsonw_close(&w);
	jsonw_i64(&w, "dropped", (int64_t)a->dropped);
	(void)pthread_mutex_unlock(&a->lock);
	jsonw_close(&w);
	return jsonw_end(&w);
}

/* ---- made and freed */

int alerts_new(const struct alerts_env *env, struct alerts **ret, struct err *e)
{
	struct alerts *a = calloc(1, sizeof(*a));
	const struct config *c = env->config;
	int r = 0;

	if (!a)
		return err_set(e, ENOMEM, "alerts: out of memory");
	a->env = *env;
	(void)str_copy(a->path, sizeof(a->path), str_of(env->state_path));
	(void)pthread_mutex_init(&a->lock, NULL);
	(void)pthread_mutex_init(&a->refused_lock, NULL);
	(void)pthread_cond_init(&a->news, NULL);
	group_sweep();
	if (c->alerts.n > 0)
		r = alert_post_init(e);
	if (r == 0 && c->alerts.n > 0) {
		a->eyes = calloc(c->alerts.n, sizeof(*a->eyes));
		r = a->eyes ? 0 : err_set(e, ENOMEM, "alerts: out of memory");
	}
	for (size_t i = 0; r == 0 && i < c->alerts.n; i++) {
		a->eyes[i].config = &c->alerts.v[i];
		a->neyes++;
		a->eyes[i].sights = map_new();
		if (!a->eyes[i].sights)
			r = err_set(e, ENOMEM, "alerts: out of memory");
	}
	if (r == 0 && a->neyes > 0) {
		alerts_remember(a);
		r = alerts_start_keeping(a, e);
	}
	if (r < 0)
		alerts_free(a);
	else
		*ret = a;
	return r;
}

void alerts_free(struct alerts *a)
{
	if (!a)
		return;
	alerts_stop_keeping(a);
	for (size_t i = 0; i < a->neyes; i++)
		map_free(a->eyes[i].sights, sight_free);
	if (a->neyes)
		alert_post_done();
	free(a->eyes);
	book_done(&a->book);
	(void)pthread_cond_destroy(&a->news);
	(void)pthread_mutex_destroy(&a->refused_lock);
	(void)pthread_mutex_destroy(&a->lock);
	free(a);
}
