// SPDX-License-Identifier: Apache-2.0
/*
 * exchange.h: one request and its answer, from the head to the settled charge. The steps stand in a table in
 * exchange.c; only the driver there moves an exchange on, logs the move and walks back. A step is one file:
 * parse.c, reserve.c, forward.c, settle.c; meter.c and roll.c are branches of forward; watch.c is what time and operators do to
 * exchanges; refuse.c answers for whoever said no.
 *
 * Which HTTP version the agent speaks is behind struct serve_ops; which one the provider speaks is behind upstream.h.
 */
#ifndef PURSE_PATH_EXCHANGE_H
#define PURSE_PATH_EXCHANGE_H

#include "base/buf.h"
#include "spend/bound.h"
#include "path/conn.h"
#include "path/prefix.h"
#include "path/room.h"
#include "path/tail.h"
#include "provider/provider.h"
#include "spend/cost.h"
#include "wire/http.h"

struct arena;
struct exchange;
struct meter;
struct upstream;

/* The agent's side of an exchange, HTTP/1.1 or HTTP/2. All asynchronous: bytes are queued. */
struct serve_ops {
	void (*interim)(struct exchange *x, int status);
	/* false: the agent is gone (exchange_agent_gone was or will be called). */
	bool (*head)(struct exchange *x, const struct http_head *head);
	bool (*body)(struct exchange *x, const void *p, size_t n);
	void (*fin)(struct exchange *x);   /* the answer is complete */
	void (*abort)(struct exchange *x); /* it will never be: h1 closes, h2 resets */
	void (*flush)(struct exchange *x); /* write what is queued now */
	size_t (*queued)(const struct exchange *x);
	/* It waited for room and takes its body now. NULL = this side cannot keep a body waiting (room.h). */
	void (*more)(struct exchange *x);
};

/* What became of the money. Only reserve.c and settle.c move it. */
enum hold_phase { HOLD_NONE, HOLD_HELD, HOLD_SENT, HOLD_OVER };

enum step { STEP_ROUTE, STEP_BODY, STEP_PARSE, STEP_RESERVE, STEP_FORWARD, STEP_SETTLE, STEP_COUNT };

struct exchange {
	unsigned magic;
	struct worker *worker;
	struct list link; /* worker->exchanges */
	struct arena *arena;
	struct identity who;
	char sni[256];
	int64_t started_ns;      /* boot clock */
	int64_t first_byte_ns;   /* boot clock; 0 = none yet */

	/* agent's side; serve is NULL once the agent is gone */
	const struct serve_ops *serve;
	void *serve_ctx;
	bool answer_begun, agent_waits_100;

	/* driver */
	enum step step;
	bool stepping, breaking, ended;

	/* route and parse */
	bool is_head, is_http10, keep_alive; /* of the request, for the answer's head */
	struct http_head *request; /* in the arena, like path: both are NULL once the request is out */
	char *path;                /* decoded, prefix removed */
	const struct path_provider *provider;
	uint16_t provider_index;
	enum endpoint endpoint;
	struct buf body;
	struct room room; /* what it takes of its agent's share */
	struct ask ask;
	struct refusal refusal; /* why, once somebody said no */

	/* reserve */
	struct price_list *prices; /* a reference: the list this call is priced by */
	const struct price *price; /* of the model asked for */
	struct cost_bounds bounds;
	uint64_t fingerprint;      /* of the request: the same again (spend/rules/rules.h) */
	int64_t input_bound;       /* tokens */
	bool input_by_known;       /* by what an earlier request had, not by bytes (prefix_call.h) */
	struct prefix_memo memo;   /* what its report will say more about */
	char region[16]; /* bounds.terms points to it */
	enum hold_phase hold;
	nanousd ceiling; /* the dearest that the call can be */
	nanousd held;
	bool rolls;      /* held is less, and grows (roll.h) */
	struct bound bound;
	int64_t covered; /* output tokens that held is enough for */
	char clamped_text[24];
	int64_t clamped; /* the output limit that it was lowered to; 0 = it was not */
	uint32_t slot;
	uint64_t call_id;

	/* forward and meter */
	struct upstream *up;
	struct meter *meter;
	struct report report;
	int status; /* of the answer, 0 = none yet */
	bool answer_complete;
	bool up_ended;  /* the provider ended it, one way or the other */
	bool timed_out; /* the provider was silent for too long */
	bool up_paused;
	bool was_paused; /* the agent read slower than the provider wrote, once: time alone bounds what was made */
	bool is_events;          /* the answer is an event stream */
	struct tail tail;        /* of the events that were passed on */
	int64_t alone_until_ns;  /* boot clock; the agent is gone, the stream is read for so long; 0 = as long as it takes */
	const char *end; /* how it ended, for the ledger */
	char request_id[64];
};

#define EXCHANGE_PATH_MAX 1024

/* What a step answers. */
enum stepped { STEP_NEXT, STEP_WAIT, STEP_REFUSED /* x->refusal is set */, STEP_FAILED /* the answer cannot be completed */ };

/* NULL = no memory. The head is copied. Nothing happens before exchange_begin. */
struct exchange *exchange_new(struct conn *c, const struct serve_ops *serve, void *serve_ctx,
			      const struct http_head *head);
/* The first steps; they may end the exchange at once (a refusal), also with serve->abort. */
void exchange_begin(struct exchange *x);
/* The server feeds the request body; false when no more is wanted (it was refused: discard the rest). */
bool exchange_body(struct exchange *x, const void *p, size_t n);
void exchange_body_end(struct exchange *x);
/* The server says: connection or stream is gone. x->serve must not be used any more. */
void exchange_agent_gone(struct exchange *x);
/* The answer cannot be handed on (a head that cannot be written, no memory): the agent's side is aborted, as if it had left. */
void exchange_agent_lost(struct exchange *x);
/* The server says: queued bytes went out, more may come. */
void exchange_drained(struct exchange *x);

/* The whole request is out: a stream may be open for long after, and needs none of it. */
void exchange_forget_request(struct exchange *x);

/* Steps say these to the driver, from callbacks. */
void exchange_go_on(struct exchange *x); /* the current step is done: next */
void exchange_fail(struct exchange *x);  /* the current step failed after it had answered WAIT; refusal may be set */
/* A worker that stops: settle now with what is known. */
void exchange_cut(struct exchange *x);
/* Not from inside a step: the call ends here. x->refusal says why, `end` is for the ledger (static). */
void exchange_stop(struct exchange *x, const char *end);

/* The steps. */
enum stepped route_run(struct exchange *x);
enum stepped parse_run(struct exchange *x);
enum stepped reserve_run(struct exchange *x);
int64_t reserve_tokens(const struct exchange *x); /* input and output that the hold is for by now */
void reserve_undo(struct exchange *x);
enum stepped forward_run(struct exchange *x);
void forward_undo(struct exchange *x);
/* The agent is gone: true = the call runs on alone to its exact usage, false = break it and estimate. */
bool forward_goes_on_alone(struct exchange *x);
void forward_drained(struct exchange *x);
enum stepped settle_run(struct exchange *x);

/* watch.c: what time does to the exchanges of a worker, and what an operator does. */
void watch_tick(struct worker *w);
void watch_stop_calls(struct worker *w, uint32_t account);

/* clamp.c: lowers the output limit so that the call costs at most `most`; false: it cannot be, nothing changed. */
bool clamp_to(struct exchange *x, nanousd most);

/* refuse.c: answers x->refusal in the provider's shape, or ends a begun stream with its error event. */
void refuse_answer(struct exchange *x);
/* What rules in dry-run would have refused: into the trail. */
struct rule_notes;
void refuse_notes(struct exchange *x, const struct rule_notes *notes);
/* Convenience: sets x->refusal and returns STEP_REFUSED. */
enum stepped refuse_because(struct exchange *x, enum refusal_reason why, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
