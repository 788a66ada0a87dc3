// SPDX-License-Identifier: Apache-2.0
/*
 * meter.h: a branch off the answer: reads usage from a copy of what passes by, in phases: content decode, event split, usage.
 * What the agent receives does not go through it, with one exception: when purse asked for stream usage that the client
 * did not want, the event stream is written on event by event, without the parts that purse caused.
 */
#ifndef PURSE_PATH_METER_H
#define PURSE_PATH_METER_H

#include "provider/provider.h"
#include "wire/http.h"

struct meter;
struct share;

/*
 * For a metered endpoint; head is the answer's. body_max bounds a whole JSON answer, which is kept until its end; what is large of it counts
 * among the bodies of its agent's share (shares.h; NULL: of nobody's), and is not read where that is used up. NULL = no memory.
 */
struct meter *meter_new(const struct provider_ops *ops, enum endpoint ep, const struct ask *ask, struct json *json,
			const struct http_head *head, size_t body_max, struct share *agent, struct report *report);
void meter_free(struct meter *m); /* NULL ok */
bool meter_edits(const struct meter *m); /* true: forward what meter_feed puts into `edited` instead of the bytes */
/* Never fails towards the caller: what cannot be read is meter_missed. edited: NULL unless meter_edits. */
void meter_feed(struct meter *m, const void *p, size_t n, struct buf *edited);
/* Each token of the answer shows in what is read: false where it cannot be read, or some of it could not. */
bool meter_sees_text(const struct meter *m);
/*
 * Some of the answer, or all of it, could not be read: a coding that is unknown or broken, more than may be kept, no JSON of the dialect.
 * Its report then says less than there was. Not of what is no text by nature (sound).
 */
bool meter_missed(const struct meter *m);
bool meter_is_events(const struct meter *m); /* an event stream */
bool meter_is_coded(const struct meter *m);  /* its bytes are compressed: nothing can be written into it */
int64_t meter_events(const struct meter *m); /* with data, so far */
void meter_end(struct meter *m, struct buf *edited);

#endif
