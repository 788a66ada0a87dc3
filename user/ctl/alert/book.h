// SPDX-License-Identifier: Apache-2.0
/*
 * alert/book.h: the last ALERT_KEPT alerts and how their deliveries went, as plain values, and their JSON: for `purse alerts` and for the
 * state file. No I/O, no lock: alerts.c has both.
 */
#ifndef PURSE_CTL_ALERT_BOOK_H
#define PURSE_CTL_ALERT_BOOK_H

#include "base/buf.h"
#include "base/jsonw.h"
#include "ctl/alert/send.h"
#include "gate_abi.h"

#define ALERT_KEPT 200
#define ALERT_JSON_MAX 16384

struct entry {
	char id[33];
	char alert[GATE_NAME_MAX], account[GATE_NAME_MAX]; /* account "" = the machine */
	char kind[24], window[8], percent[8];
	int64_t at_s;
	char *text, *json; /* owned */
	struct delivery {
		bool wanted;
		struct alert_report report;
	} to[ALERT_PLACE_COUNT];
	bool fresh; /* not handed to the senders yet */
};
struct book {
	struct entry v[ALERT_KEPT];
	size_t next, n; /* next: where the next one goes */
};

/* The oldest makes room. NULL = no memory. The rest of it is the caller's to fill in. */
struct entry *book_add(struct book *b, const char *text, const char *json, size_t json_len);
struct entry *book_find(struct book *b, const char *id);
/* i-th newest; NULL = there are not so many. */
struct entry *book_newest(struct book *b, size_t i);
void book_done(struct book *b);

/* An array of all of them, newest first. whole: with the JSON that was sent, so that book_read can make them again. */
void book_write(struct book *b, bool whole, struct jsonw *w);
/* list: where the array stands in the text, "fired[]". Returns how many were read, or a negative errno. */
int book_read(struct book *b, const struct buf *text, const char *list);

#endif
