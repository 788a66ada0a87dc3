// SPDX-License-Identifier: Apache-2.0
/* route/ledger.c: control requests about the ledger: its rows and sums, and pruning. Run on threads of their own: ledger and budget only. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/jsonw.h"
#include "base/str.h"
#include "ctl/body.h"
#include "ctl/ledger_json.h"
#include "ctl/route/route.h"
#include "ctl/units.h"
#include "ctl_abi.h"
#include "spend/ledger/prune.h"
#include "spend/prune.h"

/* ---- reading */

/* One number of the query. false: *a refuses. */
static bool take_number(const struct request *r, const char *key, int64_t min, int64_t max, int64_t *ret, struct answer *a)
{
	char mem[32];
	bool bad;

	if (!query_find(r->query, key, mem, sizeof(mem), &bad))
		return true;
	if (!bad && str_to_i64(str_of(mem), ret) == 0 && *ret >= min && *ret <= max)
		return true;
	answer_refuse(a, 400, "%s: is not a whole number from %lld to %lld", key, (long long)min, (long long)max);
	return false;
}

static bool take_text(const struct request *r, const char *key, char *mem, size_t size, const char **ret,
		      struct answer *a)
{
	bool bad;

	if (!query_find(r->query, key, mem, size, &bad))
		return true;
	*ret = mem;
	if (bad)
		answer_refuse(a, 400, "%s: is not a text of at most %zu bytes", key, size - 1);
	return !bad;
}

static bool take_kind(const char *word, struct ledger_ask *ask, struct answer *a)
{
	for (int k = 0; k < LEDGER_KIND_COUNT; k++)
		if (strcmp(word, ledger_kind_names[k]) == 0) {
			ask->kind = (enum ledger_kind)k;
			return true;
		}
	answer_refuse(a, 400, "kind: \"%s\" is not calls, refusals, changes, groups or bill", word);
	return false;
}

/* What the texts of a query are kept in. */
struct texts {
	char agent[GATE_NAME_MAX], account[GATE_NAME_MAX], model[GATE_MODEL_MAX], provider[32], kind[16], by[96], by_day[8], estimated[8];
};

static bool take_query(const struct request *r, struct texts *t, struct ledger_ask *ask, struct answer *a)
{
	const char *kind = "calls", *by = NULL, *by_day = NULL, *estimated = NULL;
	int64_t pid = 0, cgroup = 0, status = -1;
	struct ledger_query *q = &ask->q;
	struct err e = { "" };

	if (!take_text(r, "agent", t->agent, sizeof(t->agent), &q->agent, a) ||
	    !take_text(r, "account", t->account, sizeof(t->account), &q->account, a) ||
	    !take_text(r, "model", t->model, sizeof(t->model), &q->model, a) ||
	    !take_text(r, "provider", t->provider, sizeof(t->provider), &q->provider, a) ||
	    !take_text(r, "kind", t->kind, sizeof(t->kind), &kind, a) || !take_text(r, "by", t->by, sizeof(t->by), &by, a) ||
	    !take_text(r, "by_day", t->by_day, sizeof(t->by_day), &by_day, a) ||
	    !take_text(r, "estimated", t->estimated, sizeof(t->estimated), &estimated, a) ||
	    !take_number(r, "since", 0, INT64_C(1) << 33, &q->since_s, a) || !take_number(r, "until", 0, INT64_C(1) << 33, &q->until_s, a) ||
	    !take_number(r, "limit", 1, CTL_LEDGER_ROWS_MAX, &q->limit, a) || !take_number(r, "pid", 1, UINT32_MAX, &pid, a) ||
	    !take_number(r, "cgroup", 1, INT64_MAX, &cgroup, a) || !take_number(r, "status", 0, 999, &status, a) ||
	    !take_number(r, "min_cost", 0, INT64_MAX, &q->min_cost, a) || !take_kind(kind, ask, a))
		return false;
	q->pid = (uint32_t)pid;
	q->cgroup_id = (uint64_t)cgroup;
	q->status = status < 0 ? 0 : status == 0 ? -1 : (int)status;
	q->estimated = estimated && strcmp(estimated, "1") == 0;
	ask->by_day = by_day && strcmp(by_day, "1") == 0;
	if (by && ledger_by_parse(by, &ask->by, &e) < 0)
		answer_refuse(a, 400, "%s", e.text);
	else if (ask->kind == LEDGER_BILL && (!q->provider || !q->provider[0]))
		answer_refuse(a, 400, "bill: needs a provider");
	else
		return true;
	return false;
}

void route_ledger(const struct control *c, const struct request *r, struct answer *a)
{
	struct ledger_ask ask = { .q.limit = CTL_LEDGER_ROWS_DEFAULT };
	struct texts texts;
	struct err e = { "" };

	if (!take_query(r, &texts, &ask, a))
		return;
	int ret = ledger_json(c->ledger, &ask, a->body, &e);

	if (ret < 0)
		answer_error(a, ret, &e);
}

/* ---- pruning */

struct prune_body {
	char before[32], keep[1024];
	bool has_keep;
};
#define AT(member) offsetof(struct prune_body, member)
static const struct body_row rows[] = {
	{ .key = "before", .type = BODY_TEXT, .required = true, .offset = AT(before), .size = sizeof(((struct prune_body *)0)->before),
	  .has_offset = SIZE_MAX },
	{ .key = "keep", .type = BODY_TEXT, .offset = AT(keep), .size = sizeof(((struct prune_body *)0)->keep), .has_offset = AT(has_keep) },
};

/* The calls that go, one JSON object a line, in a file that was not there before. */
struct copy {
	int fd;
	struct buf lines;
};

static int copy_flush(struct copy *c)
{
	while (buf_len(&c->lines) > 0) {
		ssize_t n = write(c->fd, buf_ptr(&c->lines), buf_len(&c->lines));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			buf_consume(&c->lines, (size_t)n);
	}
	return 0;
}

static int copy_row(void *ctx, const struct ledger_call *call)
{
	struct copy *c = ctx;
	struct jsonw w;

	jsonw_init(&w, &c->lines);
	jsonw_object(&w, NULL);
	ledger_json_call(&w, call);
	jsonw_close(&w);
	int r = jsonw_end(&w);

	if (r == 0)
		r = buf_append(&c->lines, "\n", 1);
	return r == 0 && buf_len(&c->lines) > 60000 ? copy_flush(c) : r;
}

static int copy_sync(void *ctx)
{
	struct copy *c = ctx;
	int r = copy_flush(c);

	return r == 0 && fsync(c->fd) < 0 ? -errno : r;
}

static int copy_open(struct copy *c, const char *path, struct err *e)
{
	if (path[0] != '/')
		return err_set(e, EINVAL, "keep: \"%s\" is not an absolute path", path);
	c->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (c->fd < 0)
		return err_set(e, errno, "keep: %s cannot be made: %s; name a file that does not exist yet", path, strerror(errno));
	buf_init(&c->lines, 1 << 20);
	return 0;
}

static int record(const struct control *c, const struct request *r, const char *verb, const struct prune_body *b,
		  const struct ledger_pruned *done)
{
	struct ledger_change change = { .who = r->who, .verb = verb, .subject = b->before, .at_ns = clock_realtime_ns() };
	struct buf after;
	struct jsonw w;

	buf_init(&after, 4096);
	jsonw_init(&w, &after);
	jsonw_object(&w, NULL);
	if (b->has_keep)
		jsonw_cstr(&w, "keep", b->keep);
	if (done)
		jsonw_i64(&w, "calls", (int64_t)done->calls);
	if (done)
		jsonw_usd(&w, "cost", done->cost);
	jsonw_close(&w);
	int ret = jsonw_end(&w) < 0 || buf_append(&after, "", 1) < 0 ? -ENOMEM : 0;

	change.after = buf_ptr(&after);
	ret = ret < 0 ? ret : ledger_changed(c->ledger, &change);
	buf_done(&after);
	return ret;
}

static int prune(const struct control *c, const struct request *r, const struct prune_body *b, int64_t before_s,
		 struct ledger_pruned *done, struct err *e)
{
	struct copy copy = { .fd = -1 };
	const struct ledger_keep keep = { copy_row, copy_sync, &copy };
	int ret = prune_check(c->budget, before_s, clock_realtime_ns() / 1000000000, e);

	if (ret == 0 && b->has_keep)
		ret = copy_open(&copy, b->keep, e);
	if (ret < 0)
		return ret;
	/* On record before anything goes. */
	if (record(c, r, "ledger prune", b, NULL) < 0)
		ret = err_set(e, EIO, "the ledger could not record it, so nothing was pruned");
	else
		ret = ledger_prune(c->ledger, before_s, b->has_keep ? &keep : NULL, done, e);
	if (done->calls > 0 || ret == 0)
		(void)record(c, r, "ledger pruned", b, done);
	if (copy.fd >= 0) {
		(void)close(copy.fd);
		buf_done(&copy.lines);
	}
	return ret;
}

void route_ledger_prune(const struct control *c, const struct request *r, struct answer *a)
{
	struct prune_body body = { .before = "" };
	struct ledger_pruned done = { 0 };
	struct err e = { "" };
	int64_t before_s = 0;
	struct jsonw w;
	int ret = body_read(rows, sizeof(rows) / sizeof(rows[0]), r->body, &body, &e);

	if (ret == 0 && units_to_time(str_of(body.before), clock_realtime_ns() / 1000000000, &before_s) < 0)
		ret = err_set(&e, EINVAL, "before: \"%s\" is not a day; write e.g. 2026-08-01", body.before);
	if (ret == 0)
		ret = prune(c, r, &body, before_s, &done, &e);
	if (ret < 0) {
		answer_error(a, ret, &e);
		return;
	}
	answer_begin(&w, a);
	jsonw_i64(&w, "calls", (int64_t)done.calls);
	jsonw_usd(&w, "cost", done.cost);
	answer_finish(&w, a);
}
