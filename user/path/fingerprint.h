// SPDX-License-Identifier: Apache-2.0
/*
 * fingerprint.h: one number for "the same request again" (spend/rules/rules.h, loop). Keyed per process by the kernel's random
 * numbers, so that nobody can aim at another request's number; two requests that were not made for it share one with a chance of
 * less than 2^-38 for bodies up to 32 MB (a polynomial over the field of 2^61 - 1 in each of four lanes). Not for storing: the next
 * process has another key. It keeps nothing of the request.
 */
#ifndef PURSE_PATH_FINGERPRINT_H
#define PURSE_PATH_FINGERPRINT_H

#include "terms.h"

struct fingerprint_key {
	uint64_t lane[4], last; /* below 2^61 - 1 */
};
int fingerprint_key_new(struct fingerprint_key *ret); /* negative errno */
/* Of the parts in this order; where one ends counts. Never 0. */
uint64_t fingerprint(const struct fingerprint_key *k, const struct str *parts, size_t nparts);

/*
 * The same number of a body that comes behind other parts, and on the way: blocks[i] is of these parts and the body's first i + 1 blocks
 * of FINGERPRINT_BLOCK bytes, up to `until` bytes and `most` blocks. Never 0, as unlikely to be shared. Returns how many.
 */
#define FINGERPRINT_BLOCK ((size_t)4088)
size_t fingerprint_blocks(const struct fingerprint_key *k, const struct str *parts, size_t nparts, struct str body, size_t until,
			  uint64_t *blocks, size_t most, uint64_t *ret_whole);

#endif
