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

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "terms.h"

/* One change to a request body: cut [at, at+cut), put `text` there. Ascending, not overlapping. */
struct body_edit {
	size_t at, cut;
	const char *text; /* static, or as long-lived as the request */
};
#define BODY_EDITS_MAX 3

/* Where an output limit stands in the body, or can be put (cut = 0): `before`, the number, `after`. */
struct limit_place {
	size_t at, cut;
	const char *before, *after; /* static */
};
#define LIMIT_PLACES_MAX 2

/* A root member's value in a request body; what: which member. */
struct body_span {
	size_t at, end;
	int what;
};
#define BODY_TAILS_MAX 2
#define BODY_TAIL_MIN 1024

/* Does a stream show all output that is charged? What may be thought unseen is held by time (docs/holds.md). */
enum output_sight {
	OUTPUT_UNSURE = 0, /* the model may think unseen */
	OUTPUT_SHOWN,      /* each token that is made shows */
	OUTPUT_HIDDEN,     /* it is known to think unseen, or was asked to think */
};

/* What a request asks for: what the hold is computed from. */
struct ask {
	char model[80];      /* as sent; GATE_MODEL_MAX */
	bool stream;
	bool hide_usage;     /* edits ask for stream usage that the client did not want: hide it again */
	bool input_hidden;   /* input is not all in the body (files or images by URL or id, previous_response_id …) */
	bool cache_write;    /* cache_control present (Anthropic), or automatic caching */
	bool cache_write_1h; /* a ttl of 1h stands somewhere */
	bool audio;
	bool unbounded_tools; /* server-side tools that loop without a declared bound */
	enum tier tier;      /* the dearest that the answer may have: UNKNOWN for auto, STANDARD for flex */
	bool fast;           /* a mode that multiplies the price: Anthropic's speed "fast", OpenAI's tier "ultrafast" */
	char geo[16];        /* where it is to be made, if that has a price of its own: "us"; "" = none; "*" = the answer will tell */
	int64_t body_bytes;  /* size of the body: input tokens <= bytes + extra_input_tokens */
	int64_t extra_input_tokens; /* allowance for what the provider adds unseen */
	/*
	 * For a bound by an earlier request with the same beginning (path/prefix.h). steady: all of the input stands in the body, and
	 * neither what is asked for nor what stands further back makes the provider leave something out of it. Where that is not
	 * certain it is false.
	 */
	bool input_steady;
	int64_t input_soft_bytes;  /* of thinking: its provider drops it once it is old, so it counts in one request and not in the next */
	int64_t input_light_bytes; /* of pictures: few tokens for many bytes */
	struct body_span tails[BODY_TAILS_MAX]; /* long values behind the conversation that stay as it grows: tools, system; ascending */
	size_t ntails;
	int64_t max_output;  /* per choice; -1 = the request does not bound it */
	int64_t choices;     /* n, best_of, prompts: multiplies the output; >= 1 */
	int64_t max_searches; /* paid web searches at most; -1 = not bounded by the request */
	char search_context[8]; /* how much each of them reads, as sent: "low", "medium", "high"; "" = not known */
	int64_t max_file_searches, max_code_sessions; /* calls of other paid server tools at most; -1 = not bounded */
	int64_t passes;      /* how often the server may run the model over all of the input: 1 + its tool calls; >= 1 */
	int64_t images;      /* pictures asked for; their quality and size as sent, "" = the provider's choice */
	char image_quality[16], image_size[16];
	int64_t characters;  /* of text to be spoken: code points; what they cost is known from the request */
	int64_t audio_ms;    /* sound sent in, at most */
	bool answer_is_media; /* the answer is sound or a picture, no text to be read: it tells no usage */
	/*
	 * For a lower output limit (clamp): each place gets the same number. None = cannot be lowered. limit_least: the provider takes no
	 * less, or what was asked for would make no sense with less.
	 */
	struct limit_place limits[LIMIT_PLACES_MAX];
	size_t nlimits;
	int64_t limit_least;
	enum output_sight output_sight;
	bool output_bursts; /* output may be charged faster than it is made: best_of, predictions */
	bool reasoning_asked; /* thinking or an effort stands in the request: output may be more than the text shows */
	struct body_edit edits[BODY_EDITS_MAX];
	size_t nedits;
};

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
