// SPDX-License-Identifier: Apache-2.0
/*
 * alert/post.h: one delivery of an alert, once: an HTTP POST, or a command. Blocks until it is over or `stop` says so; for a sender's own
 * thread (alert/send.h). Redirects are not followed, certificates are verified, everything has its deadline, and a stop is heard within
 * ALERT_STOP_MS.
 */
#ifndef PURSE_CTL_ALERT_POST_H
#define PURSE_CTL_ALERT_POST_H

#include "base/err.h"
#include "terms.h"

#define ALERT_STOP_MS 2000

/* What the try came to. */
enum alert_outcome {
	ALERT_DELIVERED,
	ALERT_TRY_AGAIN, /* the other side may be well later: no connection, timeout, 408, 425, 429, 5xx, exit status not 0 */
	ALERT_HOPELESS,  /* it will not: another 4xx, a redirect, a command that is not there or that left something running */
	ALERT_STOPPED,   /* by `stop` */
};

/* Before the first thread, and after the last one. */
int alert_post_init(struct err *e);
void alert_post_done(void);

struct alert_post {
	const char *url;
	const char *secret_file; /* "" = not signed. Read anew each time, so that a secret can be changed */
	const char *id;          /* x-purse-alert-id */
	struct str body;         /* JSON */
	int64_t timeout_ms;
	int64_t now_s;           /* of the signature: x-purse-signature: t=NOW,v1=HEX over "NOW.BODY" */
	const bool *stop;        /* read atomically */
};
/* *ret_after_s: what Retry-After asked for, 0 = nothing. why: said when not delivered. */
enum alert_outcome alert_post(const struct alert_post *p, int64_t *ret_after_s, struct err *why);

struct alert_command {
	const char *const *argv; /* argv[0] absolute; ends in NULL */
	const char *const *env;  /* "NAME=value", all that it gets; ends in NULL */
	struct str input;        /* on its stdin */
	int64_t timeout_ms;      /* for it and all that it starts; then they are killed (alert/group.h) */
	const bool *stop;
};
enum alert_outcome alert_command(const struct alert_command *c, struct err *why);

#endif
