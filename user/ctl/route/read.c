// SPDX-License-Identifier: Apache-2.0
/* route/read.c: control requests that look and change nothing. What they write is the command line's --json, word for word. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/jsonw.h"
#include "base/str.h"
#include "ctl/agents.h"
#include "ctl/config/config.h"
#include "ctl/endpoints.h"
#include "ctl/events.h"
#include "ctl/route/route.h"
#include "ctl/units.h"
#include "ctl_abi.h"
#include "kern/gate.h"
#include "spend/budget/budget.h"
#include "wire/ca.h"

/* ---- gate, trust */

void route_gate(const struct control *c, const struct request *r, struct answer *a)
{
	const struct gate_state *s = gate_state(c->gate);
	uint64_t counters[GATE_COUNT_COUNT];
	struct daemon_view v = { 0 };
	struct jsonw w;

	c->describe(c->daemon, &v);
	gate_counters(c->gate, counters);
	answer_begin(&w, a);
	jsonw_bool(&w, "links_ok", v.gate_ok);
	jsonw_cstr(&w, "problem", v.gate_text[0] ? v.gate_text : NULL);
	jsonw_i64(&w, "heartbeat_age_ms", (clock_boot_ns() - (int64_t)s->heartbeat_ns) / 1000000);
	jsonw_i64(&w, "stale_after_ms", (int64_t)s->stale_after_ns / 1000000);
	jsonw_bool(&w, "others_deny", s->others_deny);
	jsonw_i64(&w, "generation", (int64_t)s->generation);
	jsonw_i64(&w, "daemon_cgroup", (int64_t)s->daemon_cgroup);
	jsonw_object(&w, "counters");
	for (int i = 0; i < GATE_COUNT_COUNT; i++)
		jsonw_i64(&w, gate_counter_name((enum gate_counter)i), (int64_t)counters[i]);
	jsonw_close(&w);
	answer_finish(&w, a);
}

void route_trust(const struct control *c, const struct request *r, struct answer *a)
{
	char fingerprint[128] = "", mem[32], path[1200];
	int64_t not_after_s = 0;
	struct jsonw w;

	ca_describe(c->ca, fingerprint, sizeof(fingerprint), &not_after_s);
	answer_begin(&w, a);
	jsonw_cstr(&w, "fingerprint", fingerprint);
	jsonw_cstr(&w, "not_after", units_show_time(not_after_s * 1000000000, false, mem, sizeof(mem)));
	(void)snprintf(path, sizeof(path), "%s/root.pem", c->trust_dir);
	jsonw_cstr(&w, "root", path);
	(void)snprintf(path, sizeof(path), "%s/bundle.pem", c->trust_dir);
	jsonw_cstr(&w, "bundle", path);
	jsonw_array(&w, "names");
	for (size_t i = 0; i < c->config->providers.n; i++)
		for (size_t j = 0; j < c->config->providers.v[i].hosts.n; j++)
			jsonw_cstr(&w, NULL, c->config->providers.v[i].hosts.v[j]);
	jsonw_close(&w);
	answer_finish(&w, a);
}

/* ---- events */

void route_events(const struct control *c, const struct request *r, struct answer *a)
{
	char mem[8];
	bool bad, follows = query_find(r->query, "follow", mem, sizeof(mem), &bad) && !bad && strcmp(mem, "1") == 0;

	a->type = "application/x-ndjson";
	a->length = follows ? ANSWER_EVENTS : ANSWER_WHOLE;
	/* Like tail -f: a few for context. */
	int ret = events_write(c->events, follows ? 10 : CTL_EVENTS_KEPT, a->body);
	if (ret < 0)
		answer_refuse(a, 500, "events: %s", strerror(-ret));
}

/* Held by each `purse run`: an embedded daemon lives as long as somebody holds one. */
void route_lease(const struct control *c, const struct request *r, struct answer *a)
{
	struct jsonw w;

	answer_begin(&w, a);
	jsonw_i64(&w, "pid", getpid());
	answer_finish(&w, a);
	a->length = ANSWER_LEASE;
}
