// SPDX-License-Identifier: Apache-2.0
/*
 * json_paths.h: the inside of json.cc: a table of wanted paths as a tree, so that one
 * comparison per key decides for all paths that got this far. Nodes are numbers; a walker
 * holds the set of nodes that lead to the value it stands at.
 */
#ifndef PURSE_BASE_JSON_PATHS_H
#define PURSE_BASE_JSON_PATHS_H

#include <string.h>

#include "base/json.h"

#define JSON_PATH_NONE 0xffff
#define JSON_PATH_ROOT 0 /* the node of the root value, path "" */
#define JSON_PATH_DEEP 1 /* the node of "**": an ancestor-or-root of everything */

struct json_path_node {
	struct str key;       /* "" for element nodes and the two above */
	uint16_t first_child; /* by key */
	uint16_t next;        /* sibling */
	uint16_t element;     /* "[]" */
	uint16_t first_id;    /* into ids: who wants this value */
};

struct json_path_id {
	int id;
	uint16_t next;
};

struct json_plan {
	struct json_want *wants; /* own copy, to know the table again */
	size_t nwants;
	struct json_path_node *nodes;
	struct json_path_id *ids; /* one per want */
	uint16_t nnodes;
	bool has_deep;
};

/* The few tables that one parser is asked with, newest first. */
#define JSON_PLANS 8
struct json_plans {
	struct json_plan *slots[JSON_PLANS];
};

/* The plan for this table, made if need be. NULL = no memory. Valid until the next call. */
struct json_plan *json_plans_find(struct json_plans *p, const struct json_want *wants, size_t nwants);
void json_plans_done(struct json_plans *p);

static inline uint16_t json_path_child(const struct json_plan *p, uint16_t node, struct str key)
{
	uint16_t n = p->nodes[node].first_child;

	for (; n != JSON_PATH_NONE; n = p->nodes[n].next)
		if (p->nodes[n].key.n == key.n && (!key.n || !memcmp(p->nodes[n].key.p, key.p, key.n)))
			break;
	return n;
}

#endif
