// SPDX-License-Identifier: Apache-2.0
/*
 * alert/send.h: one place that is told (a webhook, a Slack hook, a command), with a thread of its own: what is put is delivered in order,
 * tried again with growing waits, and given up after ALERT_GIVE_UP_S. A place that does not answer holds up nobody else. The queue is
 * bounded; putting never waits.
 */
#ifndef PURSE_CTL_ALERT_SEND_H
#define PURSE_CTL_ALERT_SEND_H

#include "base/err.h"
#include "terms.h"

struct config_alert;
struct sender;

#define ALERT_QUEUE_MAX 64
#define ALERT_GIVE_UP_S 3600
#define ALERT_WAIT_FIRST_MS 1000 /* doubled each time, +- half */
#define ALERT_WAIT_MOST_MS 300000

enum alert_place { ALERT_WEBHOOK, ALERT_SLACK, ALERT_EXEC, ALERT_PLACE_COUNT };
extern const char *const alert_place_names[ALERT_PLACE_COUNT];

/* What one alert is, ready to go: NUL-terminated, copied by sender_put. */
struct alert_parcel {
	const char *id, *kind, *account, *window, *percent; /* "" where it does not apply */
	const char *text;
	const char *json;
	int64_t at_s;
};

enum alert_state { ALERT_PENDING, ALERT_SENT, ALERT_FAILED, ALERT_DROPPED, ALERT_STATE_COUNT };
struct alert_report {
	enum alert_state state; /* PENDING: will be tried again */
	unsigned attempts;
	char error[200]; /* of the last try; "" */
	int64_t at_ns;
};
/* On the sender's thread, after each try. */
typedef void (*alert_report_fn)(void *ctx, const char *id, enum alert_place place, const struct alert_report *r);

/* Does this alert tell anybody there? */
bool sender_wanted(const struct config_alert *c, enum alert_place place);
/* c outlives it. first_wait_ms 0 = ALERT_WAIT_FIRST_MS (tests are in a hurry). */
int sender_new(const struct config_alert *c, enum alert_place place, int64_t first_wait_ms, alert_report_fn report, void *ctx,
	       struct sender **ret, struct err *e);
/* Cuts a delivery that runs (no report) and drops the rest of the queue, without waiting; before many sender_free. NULL ok. */
void sender_stop(struct sender *s);
/* The same, and joins: at most ALERT_STOP_MS after the stop. NULL ok. */
void sender_free(struct sender *s);
int sender_put(struct sender *s, const struct alert_parcel *p); /* -ENOBUFS: the queue is full; -ENOMEM */

#endif
