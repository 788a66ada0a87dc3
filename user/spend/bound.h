// SPDX-License-Identifier: Apache-2.0
/*
 * bound.h: how many output tokens a stream can have made by now, and can still make before its provider notices a cancel. Pure:
 * time is an argument. docs/holds.md explains the formulas; what they rest on is `rate`, the most tokens a second that the provider makes
 * for one call, and that who hears no more of us stops within BOUND_NOTICE_MS.
 *
 *   made(t) <= made(t0) + rate x (t - t0)      by time, always
 *   made(t) <= bytes and events read by t      by sight, if the stream shows all that is made, and all that came was read: each token
 *                                              has a byte of text, or an event of its own
 *
 * Both together: each time that text came and everything was read, the smaller becomes the new made(t0). A silent stream grows by
 * time: a provider may hold text back while it makes more.
 */
#ifndef PURSE_SPEND_BOUND_H
#define PURSE_SPEND_BOUND_H

#include <stdbool.h>
#include <stdint.h>

/* From the cancel's first byte to the last token; what is on its way to us counts too. */
#define BOUND_NOTICE_MS 1000
/* Longest time between two looks at a silent stream. */
#define BOUND_TICK_MS 250
/* An estimate of what was on its way is never below this: small streams have no pace yet. */
#define BOUND_IN_FLIGHT_MIN 64
/* Text that a token has, for estimates (providers' own rule of thumb is four). */
#define BOUND_BYTES_PER_TOKEN 3

struct bound {
	int64_t rate;  /* tokens per second, all choices together */
	int64_t slice; /* tokens that come between two looks and until a cancel is noticed */
	int64_t full;  /* what the request itself allows */
	bool hidden;   /* not all that is made is shown: time alone counts */
	int64_t start_ns;         /* the request's first byte went out; 0 = not yet */
	int64_t base, base_ns;    /* at base_ns no more than `base` tokens were made */
	int64_t base_bytes;       /* of text seen at base_ns */
	int64_t bytes;            /* of text seen */
	int64_t text_ns;          /* when the first of it was */
};

/* rate > 0, choices >= 1, full >= 0. */
void bound_init(struct bound *b, int64_t rate, int64_t choices, int64_t full);
/* The request is about to leave. */
void bound_start(struct bound *b, int64_t now_ns);
/*
 * Something was read: `bytes` of text and `events` so far, and whether nothing that has arrived is left unread. hidden: from now on, and
 * in hindsight: what was made unseen before we knew is in the bound again.
 */
void bound_saw(struct bound *b, int64_t bytes, int64_t events, bool hidden, bool all_read, int64_t now_ns);
/* Tokens made by now, at most. */
int64_t bound_made(const struct bound *b, int64_t now_ns);
/* What must be held now: made, and the slice. Never above full. */
int64_t bound_tokens(const struct bound *b, int64_t now_ns);

/* An estimate, no bound: what a text of so many bytes has in tokens. */
int64_t bound_text_tokens(int64_t bytes);
/*
 * An estimate: tokens on their way when a stream was cut that made `tokens` within took_ns: a second of its own pace, or of the
 * provider's rate when it is too young to have one. rate <= 0: the provider's is not known.
 */
int64_t bound_in_flight(int64_t rate, int64_t tokens, int64_t took_ns);

#endif
