// SPDX-License-Identifier: Apache-2.0
/* doctor_openings.c: see doctor_openings.h. */
#include "ctl/cmd/doctor_openings.h"

#include <stdio.h>

#include "base/json.h"
#include "base/str.h"
#include "gate_abi.h"

enum { NAME, NEEDS, PID };

struct reading {
	void (*say)(void *ctx, const char *agent, const char *text);
	void *ctx;
	char agent[GATE_NAME_MAX], needs[64];
	char text[512]; /* "CAP_NET_RAW (process 12), …" */
	size_t n;
};

static void finish(struct reading *r)
{
	if (r->n > 0)
		r->say(r->ctx, r->agent, r->text);
	r->n = 0;
	r->text[0] = '\0';
}

/* In the order in which they stand: an agent's name, then what each way needs and who has it. */
static void hit(void *ctx, int id, const struct json_value *v)
{
	struct reading *r = ctx;

	if (id == NAME && v->kind == JSON_STRING) {
		finish(r);
		(void)str_copy(r->agent, sizeof(r->agent), v->s);
	} else if (id == NEEDS && v->kind == JSON_STRING) {
		(void)str_copy(r->needs, sizeof(r->needs), v->s);
	} else if (id == PID) {
		int n = snprintf(r->text + r->n, sizeof(r->text) - r->n, "%s%s (process %.*s)", r->n ? ", " : "", r->needs, STR_FMT(v->s));

		r->n += n > 0 && (size_t)n < sizeof(r->text) - r->n ? (size_t)n : 0;
	}
}

void doctor_openings(const struct buf *status, void (*say)(void *ctx, const char *agent, const char *text), void *ctx)
{
	static const struct json_want wants[] = {
		{ "agents[].name", NAME }, { "agents[].open_ways[].needs", NEEDS }, { "agents[].open_ways[].pid", PID },
	};
	struct reading r = { .say = say, .ctx = ctx };
	struct json *json = json_new();

	if (json && json_scan(json, buf_ptr(status), buf_len(status), wants, 3, hit, &r) == 0)
		finish(&r);
	json_free(json);
}
