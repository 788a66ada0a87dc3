// SPDX-License-Identifier: Apache-2.0
/* nearest.h: "did you mean": the known word that is closest to a mistyped one. Pure. */
#ifndef PURSE_CTL_NEAREST_H
#define PURSE_CTL_NEAREST_H

#include "terms.h"

/* Start with best = NULL; offer every known word; ask at the end. */
struct nearest {
	struct str wrong;
	const char *best;
	unsigned distance;
};
void nearest_init(struct nearest *n, struct str wrong);
void nearest_offer(struct nearest *n, const char *word);
/* NULL when nothing is close enough to be worth saying. */
const char *nearest_word(const struct nearest *n);

#endif
