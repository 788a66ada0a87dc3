// SPDX-License-Identifier: Apache-2.0
/*
 * trust.h: how agents come to trust the node's CA: public copies of its certificates that every user may read, and the
 * environment variables that clients look at. Makes no certificates (wire/ca.h does) and touches no system store.
 */
#ifndef PURSE_CTL_TRUST_H
#define PURSE_CTL_TRUST_H

#include "base/err.h"
#include "terms.h"

struct config;

#define TRUST_ROOT "root.pem"
#define TRUST_BUNDLE "bundle.pem"

/* <run_dir>-trust; -ENAMETOOLONG. */
int trust_dir(const struct config *c, char *ret, size_t size);
/* Copies the two files into dir (0755, made if missing, refused when somebody else's); each appears whole or not at all. */
int trust_publish(const char *dir, const char *root_path, const char *bundle_path, struct err *e);

/* Variables, and whether they take our root alone (added to what the client trusts) or the whole bundle (instead of it). */
struct trust_var {
	const char *name;
	bool root_alone;
	const char *clients; /* who looks at it */
};
const struct trust_var *trust_var_at(size_t i); /* NULL = end */

#endif
