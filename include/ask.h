// SPDX-License-Identifier: Apache-2.0
/*
 * ask.h: what a request asks for, in plain values: provider/ reads it out of a body, spend/ says what it can cost at most, path/ carries
 * it from one to the other and makes the edits that it names. Nothing here owns anything.
 */
#ifndef PURSE_ASK_H
#define PURSE_ASK_H

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

#endif
