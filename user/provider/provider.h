// SPDX-License-Identifier: Apache-2.0
/*
 * provider.h: what purse must know about an API family: one vtable, one file each (openai.c, anthropic.c), all
 * pure functions over bytes. Hosts that speak OpenAI's API but are not OpenAI are rows of the config with their own
 * prefix and one of the dialects "openai-compatible" (asks for stream usage as OpenAI needs it) and "openai-reporting"
 * (always reports it and may refuse to be asked: Mistral), or of the three that report money: "openrouter", "xai",
 * "perplexity". Adding a family = one file + one row in provider.c.
 *
 * Nothing here does I/O, logs, knows a price or a budget.
 */
#ifndef PURSE_PROVIDER_PROVIDER_H
#define PURSE_PROVIDER_PROVIDER_H

#include "ask.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "terms.h"

/* One more price item, for answers whose parts were served by other models (Anthropic iterations). */
struct usage_part {
	char model[80]; /* "" = the answer's model */
	struct usage usage;
};
#define USAGE_PARTS_MAX 16

/* What the answer(s) of one call reported so far. Zero-initialise with report_init. */
struct report {
	bool seen;   /* a usage that is neither missing, null nor all zero after output */
	bool failed; /* the provider reported an error in a 200 */
	bool ended;  /* the dialect's end marker was seen: [DONE], message_stop, response.completed … */
	char model[80]; /* as answered; "" = not said */
	enum tier tier; /* as answered; STANDARD when the answer says nothing and the request asked nothing */
	bool tier_said;
	struct usage usage; /* inclusive; valid if seen */
	/* Parts priced one by one instead of `usage` if nparts > 0. Paid searches of the whole call stand in the first. */
	struct usage_part parts[USAGE_PARTS_MAX];
	size_t nparts;
	bool parts_overflow; /* more parts than fit: cost is then unknown, settle at the hold */
	bool fast, fast_said; /* served in the mode that ask.fast asks for */
	char geo[16];         /* where it was made, if the answer says so and that has a price; "" = not */
	bool geo_said;
	bool unpriced;        /* it used something that has a price which no counter of ours tells: settle at the hold */
	/*
	 * Money as the provider reported it, rounded up to the nano-dollar; -1 = none. Only read where the dialect's documents
	 * promise it (openai_traits.reports_cost): any host could write such a key. With a key of the client's own at the model's
	 * maker (BYOK) it is a fee on top of what that maker bills.
	 */
	nanousd reported_cost;
	bool reported_bad; /* a figure stood there that cannot be money */
	bool reported_byok;
	uint64_t code_sessions_seen[8]; /* hashes of the containers that were named; private to the readers */
	/* For the estimate when no usage comes: bytes of output text (deltas, unescaped) seen so far. */
	int64_t output_bytes;
	int64_t output_events; /* streamed events that had such text: no token takes more than one of them */
	bool output_seen; /* some output began, with or without text */
	bool reasoning_hidden; /* reasoning happens that the text does not show */
	bool reasoning_shown;  /* reasoning came as text: private to the readers */
	bool input_exact;      /* usage.input* came early and exact (Anthropic message_start) */
};
void report_init(struct report *r);

/* What to do with one streamed event on its way to the client. */
struct event_verdict {
	bool hide;           /* the whole event is one that we asked for: drop it */
	size_t cut_at, cut;  /* else cut these bytes out of data (a ,"usage":null that we caused); cut = 0: nothing */
};

struct provider_ops {
	const char *name;    /* "openai", "openai-compatible", "openai-reporting", "anthropic" */
	const char *dialect_help; /* one line for docs and `config show` */

	/* path: without query, prefix already removed, slashes normalised, percent-decoded once. */
	enum endpoint (*classify)(struct str method, struct str path);

	/* 0; -EINVAL with e for a client that can be told what is wrong (400); body has JSON_PADDING behind. */
	int (*read_request)(struct json *j, enum endpoint ep, const char *body, size_t len, struct ask *ret,
			    struct err *e);

	/*
	 * The same for the endpoints whose body is a form (endpoint_is_form). content_type: the header's value, which has the boundary.
	 * NULL = the dialect has no such endpoint.
	 */
	int (*read_form)(enum endpoint ep, struct str content_type, const char *body, size_t len, struct ask *ret,
			 struct err *e);

	/* A whole, non-streamed answer of status 2xx. -EINVAL: not readable (report stays unseen). */
	int (*read_answer)(struct json *j, enum endpoint ep, const char *body, size_t len, struct report *r);

	/* One event of a streamed answer. name may be "". Unreadable data changes nothing and hides nothing. */
	void (*read_event)(struct json *j, enum endpoint ep, const struct ask *ask, struct str name, struct str data,
			   struct report *r, struct event_verdict *ret);

	/* A refusal in the provider's own error shape. status is what goes into the head. */
	int (*write_error)(struct buf *out, int status, const struct refusal *why, const char *message,
			   const char *request_id);
	/* The same as one SSE event (with its blank line), to end a stream. */
	int (*write_stream_error)(struct buf *out, enum endpoint ep, const struct refusal *why, const char *message);
};

bool endpoint_is_form(enum endpoint ep);

const struct provider_ops *provider_find(const char *name); /* NULL = no such dialect */
const struct provider_ops *provider_at(size_t i);           /* for listings; NULL = end */

/*
 * Path of a target: query cut off, "//" folded, %XX decoded once, dot segments refused. ret NUL-terminated.
 * "/" if nothing is left behind the prefix. -EINVAL (no leading slash, bad escape, NUL, control bytes, dot segment),
 * -ENOENT (not below the prefix), -ENOSPC. ret is not touched on failure.
 */
int provider_path(struct str target, const char *prefix, char *ret, size_t size);

#endif
