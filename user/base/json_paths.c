// SPDX-License-Identifier: Apache-2.0
/*
 * json_paths.c: builds the tree of wanted paths. Tables are ours, never a peer's, so a
 * malformed path is a bug and asserts. Plans are kept, since a table is asked with again and again.
 */
#include "base/json_paths.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/str.h"

#define NODES_MAX 4096

/* Upper bound: every '.' and every "[]" starts a node. */
static size_t nodes_of(const char *path)
{
	size_t n = 1;

	for (; *path; path++)
		n += *path == '.' || *path == '[';
	return n;
}

static uint16_t add_node(struct json_plan *p, struct str key)
{
	p->nodes[p->nnodes] = (struct json_path_node){
		.key = key,
		.first_child = JSON_PATH_NONE,
		.next = JSON_PATH_NONE,
		.element = JSON_PATH_NONE,
		.first_id = JSON_PATH_NONE,
	};
	return p->nnodes++;
}

static uint16_t child_of(struct json_plan *p, uint16_t node, struct str key)
{
	uint16_t n = json_path_child(p, node, key);

	if (n == JSON_PATH_NONE) {
		n = add_node(p, key);
		p->nodes[n].next = p->nodes[node].first_child;
		p->nodes[node].first_child = n;
	}
	return n;
}

static uint16_t element_of(struct json_plan *p, uint16_t node)
{
	if (p->nodes[node].element == JSON_PATH_NONE) {
		uint16_t n = add_node(p, (struct str){ 0 });

		p->nodes[node].element = n;
	}
	return p->nodes[node].element;
}

/* One part between dots: a key, then any number of "[]". At the root a key may be missing: "[].x". */
static uint16_t add_part(struct json_plan *p, uint16_t node, struct str part)
{
	struct str key = part;

	while (str_ends(key, STR("[]")))
		key.n -= 2;
	ASSERT(key.n || (node == JSON_PATH_ROOT && part.n));
	if (key.n)
		node = child_of(p, node, key);
	for (size_t i = key.n; i < part.n; i += 2)
		node = element_of(p, node);
	return node;
}

static uint16_t add_path(struct json_plan *p, const char *path)
{
	struct str rest = str_of(path);
	uint16_t node = JSON_PATH_ROOT;

	if (str_starts(rest, STR("**."))) {
		(void)str_cut(&rest, '.');
		node = JSON_PATH_DEEP;
		p->has_deep = true;
		ASSERT(rest.n);
	}
	while (rest.n)
		node = add_part(p, node, str_cut(&rest, '.'));
	return node;
}

/* Appends, so that several ids of one value are called in the order of the table. */
static void add_id(struct json_plan *p, uint16_t node, uint16_t want)
{
	uint16_t *at = &p->nodes[node].first_id;

	while (*at != JSON_PATH_NONE)
		at = &p->ids[*at].next;
	p->ids[want] = (struct json_path_id){ .id = p->wants[want].id, .next = JSON_PATH_NONE };
	*at = want;
}

static void plan_free(struct json_plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; p->wants && i < p->nwants; i++)
		free((void *)p->wants[i].path);
	free(p->wants);
	free(p->nodes);
	free(p->ids);
	free(p);
}

static struct json_plan *plan_new(const struct json_want *wants, size_t nwants)
{
	struct json_plan *p = calloc(1, sizeof(*p));
	size_t nnodes = 2;

	for (size_t i = 0; i < nwants; i++)
		nnodes += nodes_of(wants[i].path);
	ASSERT(nnodes <= NODES_MAX);
	if (!p)
		return NULL;
	p->nwants = nwants;
	/* + 1: calloc(0) may answer NULL. */
	p->wants = calloc(nwants + 1, sizeof(*p->wants));
	p->ids = calloc(nwants + 1, sizeof(*p->ids));
	p->nodes = calloc(nnodes, sizeof(*p->nodes));
	if (!p->wants || !p->ids || !p->nodes)
		goto fail;
	(void)add_node(p, (struct str){ 0 }); /* JSON_PATH_ROOT */
	(void)add_node(p, (struct str){ 0 }); /* JSON_PATH_DEEP */
	for (size_t i = 0; i < nwants; i++) {
		p->wants[i] = (struct json_want){ .path = strdup(wants[i].path), .id = wants[i].id };
		if (!p->wants[i].path)
			goto fail;
		add_id(p, add_path(p, p->wants[i].path), (uint16_t)i);
	}
	return p;
fail:
	plan_free(p);
	return NULL;
}

static bool plan_is_for(const struct json_plan *p, const struct json_want *wants, size_t nwants)
{
	if (p->nwants != nwants)
		return false;
	/* By content: the caller's table may have changed or moved. */
	for (size_t i = 0; i < nwants; i++)
		if (p->wants[i].id != wants[i].id || strcmp(p->wants[i].path, wants[i].path) != 0)
			return false;
	return true;
}

static struct json_plan *to_front(struct json_plans *p, size_t i, struct json_plan *plan)
{
	memmove(&p->slots[1], &p->slots[0], i * sizeof(p->slots[0]));
	p->slots[0] = plan;
	return plan;
}

struct json_plan *json_plans_find(struct json_plans *p, const struct json_want *wants, size_t nwants)
{
	struct json_plan *plan;

	for (size_t i = 0; i < JSON_PLANS && p->slots[i]; i++)
		if (plan_is_for(p->slots[i], wants, nwants))
			return to_front(p, i, p->slots[i]);
	plan = plan_new(wants, nwants);
	if (!plan)
		return NULL;
	plan_free(p->slots[JSON_PLANS - 1]);
	return to_front(p, JSON_PLANS - 1, plan);
}

void json_plans_done(struct json_plans *p)
{
	for (size_t i = 0; i < JSON_PLANS; i++)
		plan_free(p->slots[i]);
	*p = (struct json_plans){ 0 };
}
