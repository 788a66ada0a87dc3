// SPDX-License-Identifier: Apache-2.0
/*
 * settle_rule.h: what the end of a sent call means for its charge. Pure. docs/holds.md ("What an end costs") says the same for people.
 *
 *   end                                                              | rule
 *   the provider told usage or money                                 | REPORTED
 *   the same of a stream that was cut                                | REPORTED, but no less than the ESTIMATE
 *   the request was not sent in full                                 | NOTHING: nobody can answer half a request
 *   no answer began: the provider closed                             | INPUT: it may have read the request; what it made it would have sent
 *   no answer began: it was silent for too long, or we ended it      | whole answers: HOLD, they are made before they are sent;
 *                                                                    | streams: ESTIMATE
 *   2xx, an error in place of output                                 | NOTHING
 *   2xx, a whole answer that was cut off                             | HOLD: all of it was made
 *   2xx, a whole answer that could not be read, or shows no output   | HOLD: nobody knows what it holds
 *   2xx, any other without usage                                     | ESTIMATE: input as held, output as seen; of a stream that could not be
 *                                                                    | read, what can have been made in its time
 *   another status after output                                      | ESTIMATE: what was made is charged
 *   408, 499, 504, 524: somebody stopped waiting for the model       | as "silent for too long"; with the provider's own error: INPUT
 *   502, 520 to 523, other 5xx of a front: the way to it broke       | INPUT
 *   500                                                              | with the provider's own error NOTHING, else INPUT
 *   501, 503, 505, 525, 526, 529: refused before the work            | NOTHING
 *   any other 4xx and 3xx: refused before the work                   | NOTHING
 *
 * All but REPORTED and NOTHING are marked estimated in the ledger.
 */
#ifndef PURSE_PATH_SETTLE_RULE_H
#define PURSE_PATH_SETTLE_RULE_H

#include <stdbool.h>
#include <stdint.h>

enum settle_rule {
	SETTLE_NOTHING,
	SETTLE_INPUT,    /* the input as held, or exact; no output */
	SETTLE_ESTIMATE, /* the input, and the output as seen and on its way */
	SETTLE_HOLD,
	SETTLE_REPORTED,
};

struct settle_facts {
	int status;       /* of the answer; 0 = none began */
	bool streamed;    /* asked for as a stream */
	bool all_sent;    /* the whole request was handed to the provider's connection */
	bool complete;    /* the answer came to its end */
	bool gave_up;     /* the provider was silent for too long, or the call was ended on our side */
	bool reported;    /* usage or money */
	bool output_seen;
	bool missed;      /* some of the answer could not be read: there is more than was seen */
	bool own_error;   /* an error in the provider's own form stood in the answer */
};

/* For the estimate: text that was seen, in bytes, of which BOUND_BYTES_PER_TOKEN are a token. An event with text is a token at least. */
int64_t settle_text_bytes(int64_t bytes, int64_t events);

enum settle_rule settle_rule(const struct settle_facts *f);

#endif
