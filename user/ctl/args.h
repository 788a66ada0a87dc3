// SPDX-License-Identifier: Apache-2.0
/*
 * args.h: the one reader of command lines. Flags are rows; they may stand anywhere among the words, as --name VALUE or
 * --name=VALUE; "--" ends them. The rows also make the help.
 */
#ifndef PURSE_CTL_ARGS_H
#define PURSE_CTL_ARGS_H

#include <stdio.h>

#include "base/err.h"
#include "terms.h"

enum args_type {
	ARGS_SWITCH, /* bool */
	ARGS_TEXT,   /* const char *, as given */
	ARGS_TEXTS,  /* struct args_texts: one more each time that it is given */
	ARGS_INT,    /* int64_t in [min, max] */
	ARGS_USD,    /* struct args_usd; "none" takes it away */
	ARGS_AMOUNT, /* struct args_usd; "none" is refused */
	ARGS_WORD,   /* const char *, one of words */
	ARGS_TIME,   /* int64_t unix seconds, see units_to_time */
};
struct args_usd {
	bool given, none;
	nanousd v;
};
#define ARGS_TEXTS_MAX 8
struct args_texts {
	const char *v[ARGS_TEXTS_MAX];
	size_t n;
};
struct args_row {
	const char *name; /* "--day" */
	char letter;      /* 'c' for -c; 0 = none */
	enum args_type type;
	size_t offset;
	int64_t min, max;
	const char *const *words; /* ends in NULL */
	const char *value; /* what stands for the value in the help: "USD" */
	const char *help;
};
struct args_table {
	const struct args_row *rows;
	size_t nrows;
	void *into;
};

#define ARGS_WORDS_MAX 8

struct args {
	const char *words[ARGS_WORDS_MAX]; /* what is no flag */
	size_t nwords;
	char **rest; /* behind "--", or from the first word on with `stop_at_word`; NULL = none */
};

/* now_s: for ARGS_TIME. 0 or -EINVAL with what is wrong. */
int args_read(const struct args_table *tables, size_t ntables, char **argv, bool stop_at_word, int64_t now_s,
	      struct args *ret, struct err *e);
void args_help(FILE *to, const struct args_row *rows, size_t nrows);

#endif
