// SPDX-License-Identifier: Apache-2.0
/* alert/send.c: see alert/send.h. The deliveries themselves are in alert/post.c and alert/command.c. */
#include "ctl/alert/send.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/jsonw.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "ctl/alert/post.h"
#include "ctl/config/config.h"

#define STACK_BYTES (256 * 1024)
#define ENV_MAX 10

const char *const alert_place_names[ALERT_PLACE_COUNT] = {
	[ALERT_WEBHOOK] = "webhook", [ALERT_SLACK] = "slack", [ALERT_EXEC] = "exec",
};

/* The parcel's texts, in one piece of memory behind it. */
struct parcel {
	struct alert_parcel v;
	char mem[];
};

struct sender {
	const struct config_alert *config;
	enum alert_place place;
	int64_t first_wait_ms;
	alert_report_fn report;
	void *ctx;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t news;
	bool stop;                              /* also read without the lock, by deliveries */
	struct parcel *queue[ALERT_QUEUE_MAX]; /* the oldest first */
	size_t n;
};

bool sender_wanted(const struct config_alert *c, enum alert_place place)
{
	return place == ALERT_WEBHOOK ? c->webhook[0] != '\0' : place == ALERT_SLACK ? c->slack[0] != '\0' : c->exec.n > 0;
}

/* ---- parcels */

static struct parcel *parcel_new(const struct alert_parcel *from)
{
	const char *texts[] = { from->id, from->kind, from->account, from->window, from->percent, from->text, from->json };
	const char **to[] = { NULL, NULL, NULL, NULL, NULL, NULL, NULL };
	size_t n = 0, at = 0;

	for (size_t i = 0; i < 7; i++)
		n += strlen(texts[i]) + 1;
	struct parcel *p = malloc(sizeof(*p) + n);

	if (!p)
		return NULL;
	p->v.at_s = from->at_s;
	to[0] = &p->v.id, to[1] = &p->v.kind, to[2] = &p->v.account, to[3] = &p->v.window, to[4] = &p->v.percent, to[5] = &p->v.text,
	to[6] = &p->v.json;
	for (size_t i = 0; i < 7; i++) {
		size_t len = strlen(texts[i]) + 1;

		memcpy(p->mem + at, texts[i], len);
		*to[i] = p->mem + at;
		at += len;
	}
	return p;
}

/* ---- one try */

static enum alert_outcome post(const struct sender *s, const struct alert_parcel *p, int64_t *ret_after_s, struct err *why)
{
	struct alert_post post = {
		.url = s->config->webhook, .secret_file = s->config->secret_file, .id = p->id, .body = str_of(p->json),
		.timeout_ms = s->config->timeout_ns / 1000000, .now_s = clock_realtime_ns() / 1000000000, .stop = &s->stop,
	};

	return alert_post(&post, ret_after_s, why);
}

/* Slack reads &, < and > as its own. */
static int put_slack_text(struct buf *out, const char *text)
{
	int r = 0;

	for (; r == 0 && *text; text++)
		r = *text == '&' ? buf_append(out, "&amp;", 5) : *text == '<' ? buf_append(out, "&lt;", 4)
		  : *text == '>' ? buf_append(out, "&gt;", 4) : buf_append(out, text, 1);
	return r;
}

static enum alert_outcome post_slack(const struct sender *s, const struct alert_parcel *p, int64_t *ret_after_s, struct err *why)
{
	enum alert_outcome out = ALERT_HOPELESS;
	struct buf text, body;
	struct jsonw w;

	buf_init(&text, 16384);
	buf_init(&body, 65536);
	int r = put_slack_text(&text, p->text);

	jsonw_init(&w, &body);
	jsonw_object(&w, NULL);
	jsonw_str(&w, "text", (struct str){ buf_ptr(&text), buf_len(&text) });
	jsonw_close(&w);
	if (jsonw_end(&w) == 0 && r == 0) {
		struct alert_post post = {
			.url = s->config->slack, .secret_file = "", .id = p->id, .body = { buf_ptr(&body), buf_len(&body) },
			.timeout_ms = s->config->timeout_ns / 1000000, .stop = &s->stop,
		};

		out = alert_post(&post, ret_after_s, why);
	}
	buf_done(&text);
	buf_done(&body);
	return out;
}

static enum alert_outcome run(const struct sender *s, const struct alert_parcel *p, int64_t *ret_after_s, struct err *why)
{
	const char *const pairs[][2] = {
		{ "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
		{ "PURSE_ALERT", s->config->name },	 { "PURSE_ALERT_ID", p->id },	      { "PURSE_ALERT_KIND", p->kind },
		{ "PURSE_ALERT_ACCOUNT", p->account }, { "PURSE_ALERT_WINDOW", p->window }, { "PURSE_ALERT_PERCENT", p->percent },
		{ "PURSE_ALERT_TEXT", p->text },
	};
	const char *argv[64] = { NULL };
	char *env[ENV_MAX] = { NULL };
	bool whole = s->config->exec.n < 64;

	for (size_t i = 0; whole && i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (asprintf(&env[i], "%s=%s", pairs[i][0], pairs[i][1]) < 0) {
			env[i] = NULL;
			whole = false;
		}
	for (size_t i = 0; whole && i < s->config->exec.n; i++)
		argv[i] = s->config->exec.v[i];
	struct alert_command c = {
		.argv = argv, .env = (const char *const *)env, .input = str_of(p->json),
		.timeout_ms = s->config->timeout_ns / 1000000, .stop = &s->stop,
	};
	enum alert_outcome out = whole ? alert_command(&c, why) : ALERT_TRY_AGAIN;

	for (size_t i = 0; i < ENV_MAX; i++)
		free(env[i]);
	return out;
}

/* ---- the thread */

static int64_t jitter(int64_t ms)
{
	uint32_t random;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = (uint32_t)clock_boot_ns();
	return ms / 2 + (int64_t)(random % (uint64_t)(ms + 1));
}

/* True: time to stop. */
static bool nap(struct sender *s, int64_t ms)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	(void)pthread_mutex_lock(&s->lock);
	while (!s->stop && pthread_cond_timedwait(&s->news, &s->lock, &until) != ETIMEDOUT)
		;
	bool stop = s->stop;

	(void)pthread_mutex_unlock(&s->lock);
	return stop;
}

/* False: stopped. */
static bool deliver(struct sender *s, const struct alert_parcel *p)
{
	static enum alert_outcome (*const tries[])(const struct sender *s, const struct alert_parcel *p, int64_t *ret_after_s,
						   struct err *why) = {
		[ALERT_WEBHOOK] = post, [ALERT_SLACK] = post_slack, [ALERT_EXEC] = run,
	};
	int64_t wait_ms = s->first_wait_ms, after_s = 0;
	struct alert_report r = { .state = ALERT_PENDING };

	while (r.state == ALERT_PENDING) {
		struct err why = { "" };
		enum alert_outcome out = tries[s->place](s, p, &after_s, &why);

		if (out == ALERT_STOPPED)
			return false;
		r.attempts++;
		r.at_ns = clock_realtime_ns();
		bool late = r.at_ns / 1000000000 - p->at_s > ALERT_GIVE_UP_S;

		r.state = out == ALERT_DELIVERED ? ALERT_SENT : out == ALERT_HOPELESS || late ? ALERT_FAILED : ALERT_PENDING;
		(void)str_copy(r.error, sizeof(r.error), str_of(why.text));
		if (r.state != ALERT_SENT)
			log_warn("alerts", "\"%s\": %s: try %u: %s%s", s->config->name, alert_place_names[s->place], r.attempts, r.error,
				 r.state == ALERT_FAILED ? "; given up" : "");
		s->report(s->ctx, p->id, s->place, &r);
		if (r.state == ALERT_PENDING && nap(s, after_s ? after_s * 1000 : jitter(wait_ms)))
			return false;
		wait_ms = wait_ms * 2 > ALERT_WAIT_MOST_MS ? ALERT_WAIT_MOST_MS : wait_ms * 2;
	}
	return true;
}

static void *work(void *ctx)
{
	struct sender *s = ctx;
	bool goes_on = true;

	while (goes_on) {
		(void)pthread_mutex_lock(&s->lock);
		while (!s->stop && s->n == 0)
			(void)pthread_cond_wait(&s->news, &s->lock);
		struct parcel *p = s->stop ? NULL : s->queue[0];

		(void)pthread_mutex_unlock(&s->lock);
		goes_on = p && deliver(s, &p->v);
		if (!goes_on)
			break;
		(void)pthread_mutex_lock(&s->lock);
		s->n--;
		memmove(s->queue, s->queue + 1, s->n * sizeof(s->queue[0]));
		(void)pthread_mutex_unlock(&s->lock);
		free(p);
	}
	return NULL;
}

static int start_thread(struct sender *s)
{
	pthread_attr_t attr;
	int r = pthread_attr_init(&attr);

	if (r)
		return -r;
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	r = thread_start(&s->thread, &attr, work, s);
	(void)pthread_attr_destroy(&attr);
	return r;
}

int sender_new(const struct config_alert *c, enum alert_place place, int64_t first_wait_ms, alert_report_fn report, void *ctx,
	       struct sender **ret, struct err *e)
{
	struct sender *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;

	if (!s)
		return err_set(e, ENOMEM, "alerts: out of memory");
	s->config = c;
	s->place = place;
	s->first_wait_ms = first_wait_ms ? first_wait_ms : ALERT_WAIT_FIRST_MS;
	s->report = report;
	s->ctx = ctx;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->news, &attr);
	(void)pthread_condattr_destroy(&attr);
	int r = start_thread(s);

	if (r < 0) {
		(void)pthread_cond_destroy(&s->news);
		(void)pthread_mutex_destroy(&s->lock);
		free(s);
		return err_set(e, -r, "alerts: \"%s\": no thread: %s", c->name, strerror(-r));
	}
	*ret = s;
	return 0;
}

void sender_stop(struct sender *s)
{
	if (!s)
		return;
	(void)pthread_mutex_lock(&s->lock);
	__atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
	(void)pthread_cond_signal(&s->news);
	(void)pthread_mutex_unlock(&s->lock);
}

void sender_free(struct sender *s)
{
	if (!s)
		return;
	sender_stop(s);
	(void)pthread_join(s->thread, NULL);
	for (size_t i = 0; i < s->n; i++)
		free(s->queue[i]);
	(void)pthread_cond_destroy(&s->news);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

int sender_put(struct sender *s, const struct alert_parcel *p)
{
	struct parcel *copy = parcel_new(p);
	int r = copy ? 0 : -ENOMEM;

	(void)pthread_mutex_lock(&s->lock);
	if (r == 0 && s->n == ALERT_QUEUE_MAX)
		r = -ENOBUFS;
	if (r == 0) {
		s->queue[s->n++] = copy;
		(void)pthread_cond_signal(&s->news);
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (r < 0)
		free(copy);
	return r;
}
