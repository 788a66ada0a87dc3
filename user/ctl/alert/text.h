// SPDX-License-Identifier: Apache-2.0
/* alert/text.h: what there is to tell, as plain values, and how it reads: one sentence for people, one JSON object for machines. Pure. */
#ifndef PURSE_CTL_ALERT_TEXT_H
#define PURSE_CTL_ALERT_TEXT_H

#include "base/buf.h"
#include "gate_abi.h"
#include "terms.h"

enum alert_kind {
	ALERT_THRESHOLD,
	ALERT_FORECAST,
	ALERT_REFUSED,
	ALERT_RULE,
	ALERT_OVERRUN,
	ALERT_LEDGER,
	ALERT_GATE,
	ALERT_TEST,
	ALERT_KIND_COUNT,
};
extern const char *const alert_kind_names[ALERT_KIND_COUNT];

struct alert_fact {
	enum alert_kind kind;
	const char *alert;   /* its name in the config */
	const char *id;      /* the same in every delivery of it */
	const char *account; /* "" = the whole machine */
	const char *zone;    /* the account's; "" = UTC */
	int64_t now_s;

	/* THRESHOLD, FORECAST */
	enum window_kind window;
	unsigned percent;
	nanousd limit, spent, held;
	int64_t start_s, end_s; /* end 0 = never */
	int64_t used_up_s;      /* FORECAST */
	nanousd per_hour;

	/* REFUSED, RULE, OVERRUN: how many since the last one told; REFUSED and RULE: the newest */
	uint64_t count;
	struct refusal why;
	/* LEDGER, GATE: it is over */
	bool over;
	const char *detail; /* GATE: what is wrong */
};

#define ALERT_TEXT_MAX 640
void alert_say(const struct alert_fact *f, char *ret, size_t size);
/* With the sentence in it as "text". 0 or negative errno. */
int alert_write(const struct alert_fact *f, const char *text, struct buf *out);

#endif
