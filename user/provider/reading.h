// SPDX-License-Identifier: Apache-2.0
/*
 * reading.h: what the dialects share when they read requests and answers: a table-driven walk over a request
 * body, model names, tier words, usage counters. Private to user/provider/.
 *
 * It knows no key of any dialect: those stand in the tables of openai_*.c and anthropic_*.c.
 */
#ifndef PURSE_PROVIDER_READING_H
#define PURSE_PROVIDER_READING_H

#include "provider/provider.h"

/* ---- request bodies */

#define KIND(k) (1u << (k))
#define KIND_BOOL KIND(JSON_BOOL)
#define KIND_INT KIND(JSON_INT)
#define KIND_STRING KIND(JSON_STRING)
#define KIND_OBJECT KIND(JSON_OBJECT)
#define KIND_ARRAY KIND(JSON_ARRAY)
#define KIND_ANY 0u

/*
 * One member of a request that decides about money. null counts as absent (every API we know reads it so), unless
 * `nulls`. A member with `once` that stands twice is refused: parsers differ in which of the two counts.
 */
struct field {
	const char *path;
	unsigned kinds; /* allowed kinds; another one is refused with a text. KIND_ANY: all */
	bool once, nulls;
	/* Present (not null, false or an empty array) means refusal with this text: what it does has a price we cannot know. */
	const char *refuse;
	/* 0 or a negative errno with e set; ctx is the dialect's own struct */
	int (*read)(void *ctx, const struct json_value *v, struct err *e);
	size_t to; /* without `read` and `refuse`: offset in ctx of the int64_t that takes v->i */
};
#define FIELDS_MAX 128

/* 0; -EINVAL with a text for the client; -ENOMEM. */
int fields_read(struct json *j, const char *body, size_t len, const struct field *fields, size_t nfields, void *ctx,
		struct err *e);
/*
 * The same; *ret_known: the body's own members all stand in the table, and no object in it has a key twice, as far as json_repeats can
 * tell. What the body means is then what we read in it.
 */
int fields_read_known(struct json *j, const char *body, size_t len, const struct field *fields, size_t nfields, void *ctx,
		      bool *ret_known, struct err *e);

/* A model name from a request: copied as sent. Empty, too long, or with control bytes: -EINVAL. */
int model_asked(struct str s, char *ret, size_t size, struct err *e);
/* The offset of the body's opening brace; -EINVAL if the body is no object. */
int body_brace(const char *body, size_t len, size_t *ret);
/* True if only blanks stand between the two brackets of the object at [at, end). */
bool object_is_empty(const char *body, size_t at, size_t end);

/* ---- words */

struct word {
	const char *text;
	int value;
};
/* The value of the word, or otherwise. An entry that ends in '*' matches what begins so. NULL text ends the table. */
int word_value(const struct word *table, struct str s, int otherwise);
/* True if s is the word. */
bool str_is(struct str s, const char *word);

/* A short string kept from one callback to a later one; longer ones are cut (no word of ours is that long). */
struct note {
	char text[64];
};
void note_take(struct note *n, const struct json_value *v); /* not a string: clears */
/* The same for a member that may stand only once where it stands (`path` names it for the client); -EINVAL the second time. */
int note_take_once(struct note *n, bool *stood, const char *path, const struct json_value *v, struct err *e);
/* -EINVAL if *stood, which is set: for members that fields_read cannot count, since they stand in array elements. */
int stands_once(bool *stood, const char *path, struct err *e);
static inline void note_clear(struct note *n) { n->text[0] = '\0'; }
bool note_is(const struct note *n, const char *word);
struct str note_str(const struct note *n);

/* ---- answers */

/* A model name from an answer; what does not fit or is empty changes nothing. */
void model_answered(char *ret, size_t size, const struct json_value *v);
/* The same for a part of an answer; false: a name that cannot be kept, so that it would be priced as the answer's model. */
bool part_model_answered(char *ret, size_t size, const struct json_value *v);
/* Notes text of the answer: bytes count for the estimate when no usage comes. */
void output_text(struct report *r, const struct json_value *v);
void output_bytes(struct report *r, size_t n);
/* After an event was read into r: it counts once if it brought text. bytes_before: r->output_bytes before it. */
void output_event(struct report *r, int64_t bytes_before);
/* A token count: >= 0, or -1 for null, or -EINVAL for what cannot be one (negative, fraction, over the maximum). */
int token_count(const struct json_value *v, int64_t *ret);
/* After a usage was taken into r->usage: is it one that can be believed? */
void usage_judge(struct report *r, bool said);
/* The first part of an answer replaces the parts of an earlier report. */
void parts_begin(struct report *r, bool *begun);
/* One more part; sets parts_overflow when there is no room. */
void part_add(struct report *r, struct str model, const struct usage *u);
/* After the parts of an answer: hangs the call's searches on the first, checks that parts cover the whole. */
void parts_judge(struct report *r);

/*
 * The byte range of member v with one of its commas, so that cutting it out leaves good JSON. text is known to be
 * well-formed.
 */
void member_range(struct str text, const struct json_value *v, size_t *ret_at, size_t *ret_n);

/* ---- paths */

/*
 * One known path: method ("GET" stands for HEAD too), pattern: "*" is one segment, a final "**" one or more. First match wins.
 */
struct route {
	const char *method, *pattern;
	enum endpoint endpoint;
};
enum endpoint routes_classify(const struct route *routes, size_t n, struct str method, struct str path);

#endif
