// SPDX-License-Identifier: Apache-2.0
/*
 * price/import.h: the two public price files as prices of ours: LiteLLM's flat JSON and genai-prices' v2 data.json. What they say and
 * we cannot is counted, what looks wrong is flagged; nothing is dropped in silence. A file with a value that cannot be a price is
 * refused as a whole.
 */
#ifndef PURSE_SPEND_PRICE_IMPORT_H
#define PURSE_SPEND_PRICE_IMPORT_H

#include "base/buf.h"
#include "spend/price/price.h"

#define PRICE_IMPORT_MAX_BYTES (32u << 20)

enum import_format { IMPORT_UNKNOWN = 0, IMPORT_LITELLM, IMPORT_GENAI };

enum import_note_kind {
	IMPORT_NOT_MAPPED = 0, /* a field about money that has no place in our list */
	IMPORT_SKIPPED,        /* a whole model */
	IMPORT_FLAG,           /* imported, but it looks wrong */
	IMPORT_DERIVED,        /* not in the file: filled in, to the dearer */
	IMPORT_NOTE_COUNT,
};

struct import_note {
	enum import_note_kind kind;
	const char *what;            /* the field or the reason: what is counted */
	const char *provider, *model;
};

struct import_entry {
	struct price price;
	const char **aliases;
	size_t naliases;
};

struct price_import;

struct import_options {
	const char *provider; /* only this one, by its name in our list; NULL = all */
	const char *source, *as_of; /* for every entry; source NULL = the file's name and form */
};

/* name is what errors call the file. text has JSON_PADDING behind it (struct buf). */
int price_import_read(const char *name, const char *text, size_t len, const struct import_options *o, struct price_import **ret,
		      struct err *e);
void price_import_free(struct price_import *im); /* NULL ok */
enum import_format price_import_format(const struct price_import *im);
size_t price_import_count(const struct price_import *im);
const struct import_entry *price_import_at(const struct price_import *im, size_t i); /* entries of one model stand together */
/* What the public file does not know and `before` does: how much the model reads and writes at most. */
void price_import_keep_limits(struct price_import *im, size_t i, const struct price *before);
size_t price_import_models(const struct price_import *im); /* models in the file, also those that were skipped */
size_t price_import_fields(const struct price_import *im); /* fields about money that were mapped */
size_t price_import_notes(const struct price_import *im);
const struct import_note *price_import_note(const struct price_import *im, size_t i);

/* ---- comparing and writing */

/* a against b, rate by rate and fee by fee; the bits say what there is. */
#define PRICE_DEARER 1
#define PRICE_CHEAPER 2
int price_compare(const struct price *before, const struct price *after);

struct price_writer {
	struct buf *out;
	int error; /* the first one; sticks */
	const char *provider; /* whose models are being written; NULL = none yet */
	const char *source, *as_of;
};
/* A price list in our own form. Prices of one provider must come together, and those of one model too. */
void price_write_begin(struct price_writer *w, struct buf *out, const char *comment);
void price_write_model(struct price_writer *w, const struct price *const *prices, size_t n, const char *const *aliases, size_t naliases);
int price_write_end(struct price_writer *w);

#endif
