// SPDX-License-Identifier: Apache-2.0
/* price/import_own.h: between price/import.c (the frame) and the two readers of forms. */
#ifndef PURSE_SPEND_PRICE_IMPORT_OWN_H
#define PURSE_SPEND_PRICE_IMPORT_OWN_H

#include "base/arena.h"
#include "base/map.h"
#include "spend/price/import.h"
#include "spend/price/json.h"
#include "spend/price/own.h"

/* Dearest that is believed: 1 USD a token, 1000 USD a picture, search or second. */
#define IMPORT_TOKEN_MAX INT64_C(1000000000000000)
#define IMPORT_FEE_MAX INT64_C(1000000000000000000)
#define IMPORT_FIELDS_MAX 256 /* of one object: duplicates are looked for among them */

/* A name that leads to a model if nothing else has it. */
struct import_soft {
	struct import_soft *next;
	const char *provider, *model, *name;
};

struct price_import {
	const char *name;
	const struct import_options *o;
	struct err *e;
	enum import_format format;
	struct arena *arena;
	struct map *names; /* "provider\nmodel" -> entry index + 1, as a pointer */
	struct import_entry *entries;
	size_t n, cap;
	struct import_note *notes;
	size_t nnotes, notes_cap;
	size_t models, fields;
	struct import_soft *soft;
	/* What is being read: for errors and notes. */
	const char *provider, *model;
};

int import_no_memory(struct price_import *im);
/* "FILE: model "M": FIELD: VALUE WHAT" */
int import_complain(struct price_import *im, struct str field, const struct pj_value *v, const char *what);
int import_note(struct price_import *im, enum import_note_kind kind, const char *what);
/* A copy that lives as long as im; NULL = no memory. */
const char *import_text(struct price_import *im, struct str s);
/* Members of one object: no name may stand twice. */
int import_check_members(struct price_import *im, const struct pj_value *object);
/* USD x factor x 10^pow10 as femto-dollars; null leaves PRICE_UNKNOWN. A value that is no price is a complaint. */
int import_price(struct price_import *im, struct str field, const struct pj_value *v, int64_t factor, int pow10, int64_t max, femtousd *ret);
/* Tokens; also 128000.0. Nonsense leaves it unknown. */
void import_limit(const struct pj_value *v, int64_t *ret);

/* The entry of that name so far; NULL = none. */
struct import_entry *import_find(struct price_import *im, const char *provider, const char *model);
/* -ENOMEM; the name must be free, or p one more entry of the model that was added last. */
int import_add(struct price_import *im, const struct price *p, const char **aliases, size_t naliases);
int import_lead(struct price_import *im, const char *provider, const char *name, size_t index);
/* False: the name leads somewhere already. */
bool import_take_alias(struct price_import *im, const char *provider, const char *alias);
/* Whether prices of this provider are wanted. */
bool import_wants(const struct price_import *im, const char *provider);
/* What a set leaves unsaid and `from` does not: the dearer of from's own and that in proportion. */
void import_fill(struct rates *to, const struct rates *from);
/* Flags of price-schema: what looks wrong about a price. */
int import_check(struct price_import *im, const struct price *p);

int import_litellm(struct price_import *im, const struct pj_value *root);
int import_genai(struct price_import *im, const struct pj_value *root);

#endif
