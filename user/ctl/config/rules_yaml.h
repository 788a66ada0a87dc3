// SPDX-License-Identifier: Apache-2.0
/*
 * rules_yaml.h: rules as people write them: a map in the config, an object in a control request. Keys and values are those of
 * spend/rules/rules.h, which also checks them; here is only what is said on top: durations ("within: 1m" beside "within_s": 60), what a change
 * leaves alone, and which line of the file is to blame.
 */
#ifndef PURSE_CTL_RULES_YAML_H
#define PURSE_CTL_RULES_YAML_H

#include "base/buf.h"
#include "base/err.h"
#include "base/jsonw.h"
#include "base/yaml.h"
#include "spend/rules/rules.h"

#define RULES_TEXT_MAX 16384

/* n is a map. -EINVAL: *ret_culprit is the node that the complaint is about. */
int rules_from_yaml(const struct yaml_node *n, struct rules *ret, const struct yaml_node **ret_culprit, struct err *e);
/*
 * A change over what there is: an object of which each member replaces the one of that name, null takes it away, and objects in
 * it are merged likewise (a JSON merge patch: {"models":{"deny":["*-pro"]}} keeps models.allow). Lists are replaced as wholes.
 */
int rules_merge(const struct rules *old, struct str patch, struct rules *ret, struct err *e);
/* { requests_per_minute: 60, loop: { times: 5, within: 1m } }; reads back to the same. */
int rules_show(const struct rules *r, struct buf *out);
/* As an object into what is being written. */
void rules_put(struct jsonw *w, const char *key, const struct rules *r);

#endif
