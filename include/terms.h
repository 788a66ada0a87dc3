// SPDX-License-Identifier: Apache-2.0
/*
 * terms.h: the nouns that every part of purse shares. Plain values only: no
 * functions with a state, no pointers that own anything. Folders on one row
 * of the tree do not know each other; these values are what they exchange.
 */
#ifndef PURSE_TERMS_H
#define PURSE_TERMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Money. One nano-dollar is 1e-9 USD. Signed, so that "limit - spent" has an
 * answer when a limit was cut below what is spent. +-9.2e9 USD fit.
 */
typedef int64_t nanousd;
#define NANOUSD_PER_USD INT64_C(1000000000)

/* Bytes that somebody else owns. Not NUL-terminated. p may be NULL if n is 0. */
struct str {
	const char *p;
	size_t n;
};
#define STR(literal) ((struct str){ .p = (literal), .n = sizeof(literal) - 1 })
#define STR_FMT(s) (int)(s).n, (s).p /* for "%.*s" */

/*
 * How a step, a connection or a call ended. It decides who is told and who
 * pays. Inside modules the idiom is 0 or a negative errno; this is the seam.
 */
enum outcome {
	OUTCOME_OK = 0,      /* done */
	OUTCOME_AGAIN,       /* not yet: call again when there is more */
	OUTCOME_CLOSED,      /* the peer closed in good order */
	OUTCOME_AGENT_FAULT, /* the agent's side broke a rule or went away */
	OUTCOME_PEER_FAULT,  /* the provider's side broke a rule or went away */
	OUTCOME_REFUSED,     /* purse said no; a struct refusal says why */
	OUTCOME_OUR_FAULT,   /* purse itself failed: fail closed */
	OUTCOME_COUNT,
};

/* Budget windows. A limit may stand on any set of them. By the calendar of the account (spend/budget/window.h). */
enum window_kind {
	WINDOW_HOUR = 0,
	WINDOW_DAY,
	WINDOW_WEEK, /* from Monday */
	WINDOW_MONTH,
	WINDOW_TOTAL, /* never ends */
	WINDOW_COUNT,
};

/* What a request path is. METERED_* need a hold before they are forwarded. */
enum endpoint {
	ENDPOINT_UNKNOWN = 0, /* refused: an unknown path is never free */
	ENDPOINT_FREE,        /* lists, token counting: forwarded without a hold */
	ENDPOINT_OPENAI_CHAT,
	ENDPOINT_OPENAI_RESPONSES,
	ENDPOINT_OPENAI_COMPLETIONS,
	ENDPOINT_OPENAI_EMBEDDINGS,
	ENDPOINT_ANTHROPIC_MESSAGES,
	ENDPOINT_OPENAI_IMAGES,         /* pictures from text */
	ENDPOINT_OPENAI_SPEECH,         /* text to be spoken */
	ENDPOINT_OPENAI_TRANSCRIPTIONS, /* speech to be written: a form (multipart/form-data), not JSON */
	ENDPOINT_COUNT, /* the numbers stand in ledgers: new ones go above this line, none is moved */
};

/* Service tiers that change the price. UNKNOWN is priced at the dearest. */
enum tier {
	TIER_STANDARD = 0,
	TIER_FLEX,
	TIER_PRIORITY,
	TIER_BATCH,
	TIER_UNKNOWN, /* "auto" or a word we do not know */
	TIER_COUNT,
};

/*
 * Tokens of one call, in *inclusive* counters whatever the dialect says:
 * input holds cached and written tokens, output holds reasoning.
 * All counts >= 0 and at most USAGE_TOKENS_MAX (a larger one is "bad").
 */
#define USAGE_TOKENS_MAX INT64_C(1000000000)
struct usage {
	int64_t input;
	int64_t cache_read;     /* part of input */
	int64_t cache_write_5m; /* part of input */
	int64_t cache_write_1h; /* part of input */
	int64_t output;
	int64_t reasoning;    /* part of output */
	int64_t audio_input;  /* part of input */
	int64_t audio_output; /* part of output */
	int64_t audio_cache_read; /* part of cache_read and of audio_input */
	int64_t image_input;  /* part of input */
	int64_t image_cache_read; /* part of cache_read and of image_input */
	int64_t video_input;  /* part of input */
	int64_t image_output; /* part of output */
	/* Not tokens: what some models and tools are billed by instead, or on top. */
	int64_t web_searches; /* count of paid searches */
	int64_t file_searches, code_sessions; /* calls of server-side tools */
	int64_t images;       /* pictures made */
	int64_t audio_ms;     /* sound heard or spoken, milliseconds */
	int64_t video_ms;
	int64_t characters;   /* of text to be spoken */
	int64_t pages;        /* read by OCR */
};

/* Why purse said no. Each has one row in path/refuse.c: status, text, next step. */
enum refusal_reason {
	REFUSAL_NONE = 0,
	REFUSAL_BUDGET,           /* a window of an account is used up */
	REFUSAL_BUDGET_HELD,      /* would fit once calls in flight settle: 429 */
	REFUSAL_PAUSED,           /* agent or account is paused */
	REFUSAL_UNKNOWN_MODEL,    /* no price for this model at this provider */
	REFUSAL_UNKNOWN_ENDPOINT, /* path is not one that we can meter */
	REFUSAL_BAD_REQUEST,      /* head or body cannot be read with certainty */
	REFUSAL_BODY_TOO_LARGE,
	REFUSAL_NAME_MISMATCH,    /* SNI != Host/:authority */
	REFUSAL_LEDGER,           /* ledger cannot make rows durable now */
	REFUSAL_OVERLOADED,       /* a table is full */
	REFUSAL_UPSTREAM_UNREACHABLE,
	REFUSAL_UPSTREAM_CERT,
	REFUSAL_UPSTREAM_PROTOCOL,
	REFUSAL_UPSTREAM_TIMEOUT,
	REFUSAL_RULE,             /* a rule of an account (spend/rules/rules.h); `rule` says which */
	REFUSAL_STOPPED,          /* an operator killed the call */
	REFUSAL_OVER_SHARE,       /* the agent has its share of connections or of memory for bodies: 429 */
	REFUSAL_SLOW_REQUEST,     /* it did not come to its end in time: 408 */
	REFUSAL_REASON_COUNT,     /* the numbers stand in ledgers: new ones go above this line, none is moved */
};

/* Everything a refusal's text can name. Strings are NUL-terminated copies. */
struct refusal {
	enum refusal_reason reason;
	char account[48];        /* the account that stopped it, "" if none */
	enum window_kind window; /* valid for BUDGET and BUDGET_HELD */
	nanousd limit;
	nanousd spent;
	nanousd held;
	nanousd needed;          /* what this call would have held */
	int64_t reset_s;         /* unix seconds; 0 = never */
	char rule[32];           /* valid for RULE: "requests_per_minute", "loop" …; also "model_limit" with BUDGET */
	int64_t retry_s;         /* RULE: waiting that long helps; 0 = waiting does not help */
	char detail[256];        /* free text: model name, header, error */
};

#endif
