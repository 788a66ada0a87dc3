// SPDX-License-Identifier: Apache-2.0
/*
 * alert/keep.c: what was told, kept and handed on. One thread writes the state file and then gives what is new to the senders: written
 * first, so that a crash in between makes a late alert, not a second one. The file is replaced as a whole (written beside, synced, renamed).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/jsonw.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "ctl/alert/own.h"
#include "ctl/records.h"
#include "ctl/units.h"

#define STATE_MAX (64u << 20)
#define TOLD_MAX 128

static const char *const when_keys[CONFIG_WHEN_COUNT] = {
	[CONFIG_REFUSED] = "refused",			 [CONFIG_RULE] = "rule", [CONFIG_OVERRUN] = "estimated_overrun",
	[CONFIG_LEDGER_UNHEALTHY] = "ledger_unhealthy", [CONFIG_GATE_DETACHED] = "gate_detached",
};

/* ---- sights */

struct sight *sight_get(struct eye *eye, const char *account)
{
	struct sight *s = map_find(eye->sights, str_of(account));

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (s && map_put(eye->sights, str_of(account), s, NULL) < 0) {
		free(s);
		s = NULL;
	}
	return s;
}

void sight_free(void *v)
{
	struct sight *s = v;

	if (!s)
		return;
	for (size_t i = 0; i < sizeof(s->newest) / sizeof(s->newest[0]); i++)
		free(s->newest[i]);
	free(s);
}

/* ---- telling */

static void make_id(char ret[33])
{
	unsigned char random[16];

	if (getrandom(random, sizeof(random), GRND_NONBLOCK) != sizeof(random)) {
		int64_t now[2] = { clock_realtime_ns(), clock_boot_ns() };

		memcpy(random, now, sizeof(random));
	}
	for (size_t i = 0; i < sizeof(random); i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", random[i]);
}

void alerts_tell(struct alerts *a, struct eye *eye, struct alert_fact *f, int64_t now_s)
{
	char text[ALERT_TEXT_MAX], id[33];
	struct buf json;

	make_id(id);
	f->alert = eye->config->name;
	f->id = id;
	f->now_s = now_s;
	alert_say(f, text, sizeof(text));
	buf_init(&json, ALERT_JSON_MAX);
	struct entry *x = alert_write(f, text, &json) == 0 ? book_add(&a->book, text, buf_ptr(&json), buf_len(&json)) : NULL;

	buf_done(&json);
	log_info("alerts", "\"%s\": %s", f->alert, text);
	if (!x) {
		a->dropped++;
		return;
	}
	memcpy(x->id, id, sizeof(x->id));
	x->at_s = now_s;
	(void)str_copy(x->alert, sizeof(x->alert), str_of(f->alert));
	(void)str_copy(x->account, sizeof(x->account), str_of(f->account));
	(void)str_copy(x->kind, sizeof(x->kind), str_of(alert_kind_names[f->kind]));
	if (f->kind == ALERT_THRESHOLD || f->kind == ALERT_FORECAST)
		(void)str_copy(x->window, sizeof(x->window), str_of(units_window_names[f->window]));
	if (f->kind == ALERT_THRESHOLD)
		(void)snprintf(x->percent, sizeof(x->percent), "%u", f->percent);
	for (int p = 0; p < ALERT_PLACE_COUNT; p++)
		x->to[p].wanted = eye->to[p] != NULL;
	x->fresh = true;
	a->dirty = true;
}

/* From a sender's thread. */
static void take_report(void *ctx, const char *id, enum alert_place place, const struct alert_report *r)
{
	struct alerts *a = ctx;

	(void)pthread_mutex_lock(&a->lock);
	struct entry *x = book_find(&a->book, id);

	if (x)
		x->to[place].report = *r;
	a->dirty = true;
	(void)pthread_cond_signal(&a->news);
	(void)pthread_mutex_unlock(&a->lock);
}

static struct eye *eye_of(struct alerts *a, const char *alert)
{
	for (size_t i = 0; i < a->neyes; i++)
		if (strcmp(a->eyes[i].config->name, alert) == 0)
			return &a->eyes[i];
	return NULL;
}

/* The lock is held; senders never take it while they hold theirs. */
static void hand_on(struct alerts *a, struct entry *x)
{
	struct eye *eye = eye_of(a, x->alert);
	struct alert_parcel parcel = {
		.id = x->id, .kind = x->kind, .account = x->account, .window = x->window, .percent = x->percent, .text = x->text,
		.json = x->json, .at_s = x->at_s,
	};

	x->fresh = false;
	for (int p = 0; p < ALERT_PLACE_COUNT; p++) {
		struct delivery *d = &x->to[p];

		if (!d->wanted || d->report.state != ALERT_PENDING)
			continue;
		int r = eye && eye->to[p] ? sender_put(eye->to[p], &parcel) : -ENOENT;
		if (r == 0)
			continue;
		d->report.state = ALERT_DROPPED;
		(void)snprintf(d->report.error, sizeof(d->report.error), "%s",
			       r == -ENOBUFS ? "too many were waiting" : r == -ENOENT ? "not in the config any more" : strerror(-r));
		a->dropped++;
		a->dirty = true;
		log_warn("alerts", "\"%s\": %s: dropped: %s", x->alert, alert_place_names[p], d->report.error);
	}
}

/* ---- the state file */

struct writing {
	struct jsonw w;
	const struct eye *eye;
};

static bool put_sight(void *ctx, struct str account, void *value)
{
	struct writing *wr = ctx;
	const struct sight *s = value;
	char told[TOLD_MAX];
	bool any = false;

	for (int k = 0; k < WINDOW_COUNT; k++)
		any = any || s->w.windows[k].told || s->w.windows[k].refused;
	for (int i = 0; i < CONFIG_WHEN_COUNT; i++)
		any = any || s->w.when_s[i];
	if (!any)
		return true;
	jsonw_object(&wr->w, NULL);
	jsonw_cstr(&wr->w, "alert", wr->eye->config->name);
	jsonw_str(&wr->w, "account", account);
	jsonw_object(&wr->w, "windows");
	for (int k = 0; k < WINDOW_COUNT; k++) {
		watch_show_told(&s->w.windows[k], wr->eye->config, told, sizeof(told));
		if (!told[0])
			continue;
		jsonw_object(&wr->w, units_window_names[k]);
		jsonw_i64(&wr->w, "start_s", s->w.windows[k].start_s);
		jsonw_cstr(&wr->w, "told", told);
		jsonw_close(&wr->w);
	}
	jsonw_close(&wr->w);
	jsonw_object(&wr->w, "when");
	for (int i = 0; i < CONFIG_WHEN_COUNT; i++)
		if (s->w.when_s[i])
			jsonw_i64(&wr->w, when_keys[i], s->w.when_s[i]);
	jsonw_close(&wr->w);
	jsonw_close(&wr->w);
	return true;
}

static int write_state(struct alerts *a, struct buf *out)
{
	struct writing wr = { .eye = NULL };

	jsonw_init(&wr.w, out);
	jsonw_object(&wr.w, NULL);
	jsonw_array(&wr.w, "sights");
	for (size_t i = 0; i < a->neyes; i++) {
		wr.eye = &a->eyes[i];
		map_each(wr.eye->sights, put_sight, &wr);
	}
	jsonw_close(&wr.w);
	jsonw_array(&wr.w, "fired");
	book_write(&a->book, true, &wr.w);
	jsonw_close(&wr.w);
	jsonw_close(&wr.w);
	return jsonw_end(&wr.w);
}

static int save(const char *path, const struct buf *text)
{
	char beside[1300];

	(void)snprintf(beside, sizeof(beside), "%s.new", path);
	CLEANUP_CLOSE int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	for (size_t at = 0; at < buf_len(text);) {
		ssize_t n = write(fd, buf_ptr(text) + at, buf_len(text) - at);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	return fsync(fd) < 0 || rename(beside, path) < 0 ? -errno : 0;
}

/* ---- reading it */

enum { S_ALERT, S_ACCOUNT, S_WINDOWS, S_WHEN = S_WINDOWS + 2 * WINDOW_COUNT, S_COUNT = S_WHEN + CONFIG_WHEN_COUNT };

static void read_sight(void *ctx, const char *const *v)
{
	struct alerts *a = ctx;
	struct eye *eye = eye_of(a, v[S_ALERT]);
	struct sight *s = eye && v[S_ACCOUNT][0] ? sight_get(eye, v[S_ACCOUNT]) : NULL;

	if (!s)
		return;
	for (int k = 0; k < WINDOW_COUNT; k++) {
		if (str_to_i64(str_of(v[S_WINDOWS + 2 * k]), &s->w.windows[k].start_s) == 0)
			watch_read_told(&s->w.windows[k], eye->config, str_of(v[S_WINDOWS + 2 * k + 1]));
	}
	for (int i = 0; i < CONFIG_WHEN_COUNT; i++)
		(void)str_to_i64(str_of(v[S_WHEN + i]), &s->w.when_s[i]);
}

static int read_state(struct alerts *a, const struct buf *text)
{
	const char *fields[S_COUNT] = { [S_ALERT] = "alert", [S_ACCOUNT] = "account" };
	char paths[S_COUNT][48];

	for (int k = 0; k < WINDOW_COUNT; k++) {
		(void)snprintf(paths[2 * k], sizeof(paths[0]), "windows.%s.start_s", units_window_names[k]);
		(void)snprintf(paths[2 * k + 1], sizeof(paths[0]), "windows.%s.told", units_window_names[k]);
		fields[S_WINDOWS + 2 * k] = paths[2 * k];
		fields[S_WINDOWS + 2 * k + 1] = paths[2 * k + 1];
	}
	for (int i = 0; i < CONFIG_WHEN_COUNT; i++) {
		(void)snprintf(paths[2 * WINDOW_COUNT + i], sizeof(paths[0]), "when.%s", when_keys[i]);
		fields[S_WHEN + i] = paths[2 * WINDOW_COUNT + i];
	}
	int r = records_read(text, "sights[]", fields, S_COUNT, read_sight, a);

	return r < 0 ? r : book_read(&a->book, text, "fired[]");
}

static int load(const char *path, struct buf *ret)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (n > 0) {
		char *to = buf_reserve(ret, 65536);

		if (!to)
			return -EFBIG;
		n = read(fd, to, 65536);
		if (n < 0)
			return -errno;
		buf_grew(ret, (size_t)n);
	}
	return 0;
}

void alerts_remember(struct alerts *a)
{
	struct buf text;
	struct entry *x;

	if (!a->path[0])
		return;
	buf_init(&text, STATE_MAX);
	int r = load(a->path, &text);

	if (r == 0)
		r = read_state(a, &text);
	if (r < 0 && r != -ENOENT)
		log_warn("alerts", "%s cannot be read (%s): alerts of the current windows may be told again", a->path, strerror(-r));
	buf_done(&text);
	/* What did not arrive before we ended is sent now. */
	for (size_t i = 0; (x = book_newest(&a->book, i)); i++)
		for (int p = 0; p < ALERT_PLACE_COUNT; p++)
			x->fresh = x->fresh || (x->to[p].wanted && x->to[p].report.state == ALERT_PENDING);
	a->dirty = true;
}

/* ---- the thread */

/* The lock is held at the begin and at the end. */
static void keep(struct alerts *a)
{
	char ids[ALERT_KEPT][33];
	struct entry *x;
	struct buf text;
	size_t n = 0;
	int r = 0;

	buf_init(&text, STATE_MAX);
	/* Oldest first, so that they arrive in their order. */
	for (size_t i = a->book.n; i-- > 0;)
		if ((x = book_newest(&a->book, i))->fresh)
			memcpy(ids[n++], x->id, sizeof(ids[0]));
	if (a->path[0])
		r = write_state(a, &text);
	a->dirty = false;
	(void)pthread_mutex_unlock(&a->lock);
	if (r == 0 && a->path[0])
		r = save(a->path, &text);
	if (r < 0)
		log_warn("alerts", "%s cannot be written (%s): after a restart alerts may be told again", a->path, strerror(-r));
	buf_done(&text);
	(void)pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < n && !a->closing; i++) {
		x = book_find(&a->book, ids[i]);
		if (x && x->fresh)
			hand_on(a, x);
	}
}

static void *work(void *ctx)
{
	struct alerts *a = ctx;

	(void)pthread_mutex_lock(&a->lock);
	while (!a->stop || a->dirty) {
		if (a->dirty)
			keep(a);
		else
			(void)pthread_cond_wait(&a->news, &a->lock);
	}
	(void)pthread_mutex_unlock(&a->lock);
	return NULL;
}

int alerts_start_keeping(struct alerts *a, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->neyes; i++)
		for (int p = 0; r == 0 && p < ALERT_PLACE_COUNT; p++)
			if (sender_wanted(a->eyes[i].config, (enum alert_place)p))
				r = sender_new(a->eyes[i].config, (enum alert_place)p, a->env.first_wait_ms, take_report, a,
					       &a->eyes[i].to[p], e);
	if (r < 0)
		return r;
	r = thread_start(&a->keeper, NULL, work, a);
	a->has_keeper = r == 0;
	return r ? err_set(e, -r, "alerts: no thread: %s", strerror(-r)) : 0;
}

void alerts_stop_keeping(struct alerts *a)
{
	/* The senders first: their last reports are still kept. What is handed on no more stays pending for the next start. */
	(void)pthread_mutex_lock(&a->lock);
	a->closing = true;
	(void)pthread_mutex_unlock(&a->lock);
	for (size_t i = 0; i < a->neyes; i++)
		for (int p = 0; p < ALERT_PLACE_COUNT; p++)
			sender_stop(a->eyes[i].to[p]);
	for (size_t i = 0; i < a->neyes; i++) {
		for (int p = 0; p < ALERT_PLACE_COUNT; p++) {
			sender_free(a->eyes[i].to[p]);
			a->eyes[i].to[p] = NULL;
		}
	}
	if (!a->has_keeper)
		return;
	(void)pthread_mutex_lock(&a->lock);
	a->stop = true;
	(void)pthread_cond_signal(&a->news);
	(void)pthread_mutex_unlock(&a->lock);
	(void)pthread_join(a->keeper, NULL);
	a->has_keeper = false;
}
