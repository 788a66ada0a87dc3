// SPDX-License-Identifier: Apache-2.0
/* alert/book.c: see alert/book.h. */
#include "ctl/alert/book.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "ctl/records.h"
#include "ctl/units.h"

static const char *const state_names[ALERT_STATE_COUNT] = {
	[ALERT_PENDING] = "pending", [ALERT_SENT] = "sent", [ALERT_FAILED] = "failed", [ALERT_DROPPED] = "dropped",
};

static void entry_done(struct entry *x)
{
	free(x->text);
	free(x->json);
	*x = (struct entry){ 0 };
}

struct entry *book_add(struct book *b, const char *text, const char *json, size_t json_len)
{
	struct entry *x = &b->v[b->next];
	char *t = strdup(text), *j = strndup(json, json_len);

	if (!t || !j) {
		free(t);
		free(j);
		return NULL;
	}
	entry_done(x);
	x->text = t;
	x->json = j;
	b->next = (b->next + 1) % ALERT_KEPT;
	if (b->n < ALERT_KEPT)
		b->n++;
	return x;
}

struct entry *book_newest(struct book *b, size_t i)
{
	return i < b->n ? &b->v[(b->next + 2 * ALERT_KEPT - 1 - i) % ALERT_KEPT] : NULL;
}

struct entry *book_find(struct book *b, const char *id)
{
	struct entry *x;

	for (size_t i = 0; (x = book_newest(b, i)); i++)
		if (strcmp(x->id, id) == 0)
			return x;
	return NULL;
}

void book_done(struct book *b)
{
	for (size_t i = 0; i < ALERT_KEPT; i++)
		entry_done(&b->v[i]);
	b->n = b->next = 0;
}

/* ---- writing */

static void put_delivery(struct jsonw *w, const char *name, const struct delivery *d)
{
	char mem[32];

	jsonw_object(w, name);
	jsonw_cstr(w, "state", state_names[d->report.state]);
	jsonw_i64(w, "attempts", d->report.attempts);
	jsonw_cstr(w, "at", d->report.at_ns ? units_show_time(d->report.at_ns, false, mem, sizeof(mem)) : NULL);
	jsonw_cstr(w, "error", d->report.error[0] ? d->report.error : NULL);
	jsonw_close(w);
}

static void put_text(struct jsonw *w, const char *key, const char *s)
{
	jsonw_cstr(w, key, s[0] ? s : NULL);
}

/* Kept as a text, since that is what a command is given. */
static void put_percent(struct jsonw *w, const struct entry *x)
{
	int64_t percent;

	if (str_to_i64(str_of(x->percent), &percent) == 0)
		jsonw_i64(w, "percent", percent);
	else
		jsonw_null(w, "percent");
}

void book_write(struct book *b, bool whole, struct jsonw *w)
{
	struct entry *x;
	char mem[32];

	for (size_t i = 0; (x = book_newest(b, i)); i++) {
		jsonw_object(w, NULL);
		jsonw_cstr(w, "id", x->id);
		jsonw_cstr(w, "alert", x->alert);
		jsonw_cstr(w, "kind", x->kind);
		put_text(w, "account", x->account);
		put_text(w, "window", x->window);
		put_percent(w, x);
		jsonw_cstr(w, "at", units_show_time(x->at_s * 1000000000, false, mem, sizeof(mem)));
		jsonw_cstr(w, "text", x->text);
		jsonw_object(w, "deliveries");
		for (int p = 0; p < ALERT_PLACE_COUNT; p++)
			if (x->to[p].wanted)
				put_delivery(w, alert_place_names[p], &x->to[p]);
		jsonw_close(w);
		if (whole)
			jsonw_cstr(w, "json", x->json);
		jsonw_close(w);
	}
}

/* ---- reading what book_write wrote */

enum { F_ID, F_ALERT, F_KIND, F_ACCOUNT, F_WINDOW, F_PERCENT, F_AT, F_TEXT, F_JSON, F_PLACES };
enum { P_STATE, P_ATTEMPTS, P_AT, P_ERROR, P_COUNT };
static const char *const fields[F_PLACES + ALERT_PLACE_COUNT * P_COUNT] = {
	"id", "alert", "kind", "account", "window", "percent", "at", "text", "json",
	"deliveries.webhook.state", "deliveries.webhook.attempts", "deliveries.webhook.at", "deliveries.webhook.error",
	"deliveries.slack.state", "deliveries.slack.attempts", "deliveries.slack.at", "deliveries.slack.error",
	"deliveries.exec.state", "deliveries.exec.attempts", "deliveries.exec.at", "deliveries.exec.error",
};

struct reading {
	struct book *newest_first;
	int n;
};

static void read_delivery(struct delivery *d, const char *const *v)
{
	int64_t n;

	for (int s = 0; s < ALERT_STATE_COUNT; s++) {
		if (strcmp(v[P_STATE], state_names[s]) != 0)
			continue;
		d->wanted = true;
		d->report.state = (enum alert_state)s;
	}
	if (str_to_i64(str_of(v[P_ATTEMPTS]), &n) == 0 && n < 1000000)
		d->report.attempts = (unsigned)n;
	if (units_to_time(str_of(v[P_AT]), 0, &n) == 0)
		d->report.at_ns = n * 1000000000;
	(void)str_copy(d->report.error, sizeof(d->report.error), str_of(v[P_ERROR]));
}

static void read_entry(void *ctx, const char *const *v)
{
	struct reading *r = ctx;
	int64_t at_s;

	if (!v[F_ID][0] || units_to_time(str_of(v[F_AT]), 0, &at_s) < 0)
		return;
	struct entry *x = book_add(r->newest_first, v[F_TEXT], v[F_JSON], strlen(v[F_JSON]));

	if (!x)
		return;
	r->n++;
	x->at_s = at_s;
	(void)str_copy(x->id, sizeof(x->id), str_of(v[F_ID]));
	(void)str_copy(x->alert, sizeof(x->alert), str_of(v[F_ALERT]));
	(void)str_copy(x->kind, sizeof(x->kind), str_of(v[F_KIND]));
	(void)str_copy(x->account, sizeof(x->account), str_of(v[F_ACCOUNT]));
	(void)str_copy(x->window, sizeof(x->window), str_of(v[F_WINDOW]));
	(void)str_copy(x->percent, sizeof(x->percent), str_of(v[F_PERCENT]));
	for (int p = 0; p < ALERT_PLACE_COUNT; p++)
		read_delivery(&x->to[p], v + F_PLACES + p * P_COUNT);
}

/* The file has the newest first, the ring wants it last. */
int book_read(struct book *b, const struct buf *text, const char *list)
{
	struct book *turned = calloc(1, sizeof(*turned));
	struct reading r = { .newest_first = turned };

	if (!turned)
		return -ENOMEM;
	int ret = records_read(text, list, fields, sizeof(fields) / sizeof(fields[0]), read_entry, &r);

	for (size_t i = 0; ret == 0 && i < turned->n; i++) {
		struct entry *x = book_newest(turned, i);

		entry_done(&b->v[b->next]);
		b->v[b->next] = *x;
		x->text = x->json = NULL;
		b->next = (b->next + 1) % ALERT_KEPT;
		b->n = b->n < ALERT_KEPT ? b->n + 1 : b->n;
	}
	book_done(turned);
	free(turned);
	return ret < 0 ? ret : r.n;
}
