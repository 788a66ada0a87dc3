// SPDX-License-Identifier: Apache-2.0
/* h2_guard.c: counts, and says when it is enough. Knows no frames and no sessions. */
#include "wire/h2_guard.h"

#include <string.h>

void h2_guard_init(struct h2_guard *g, int64_t (*now_ns)(void))
{
	*g = (struct h2_guard){ .now_ns = now_ns, .noise_since_ns = now_ns() };
}

const char *h2_guard_glitch(struct h2_guard *g)
{
	return ++g->glitches > H2_GLITCHES_MAX ? "over 100 protocol errors on one connection" : NULL;
}

/* The clock is asked once in a thousand frames. */
const char *h2_guard_noise(struct h2_guard *g)
{
	if (++g->noise < H2_NOISE_MAX)
		return NULL;
	int64_t now = g->now_ns(), since = g->noise_since_ns;

	g->noise = 0;
	g->noise_since_ns = now;
	return now - since < H2_NOISE_NS ? "a flood of frames that achieve nothing" : NULL;
}

const char *h2_guard_refused(struct h2_guard *g)
{
	return ++g->refused > H2_REFUSED_MAX ? "over 1000 streams beyond those that SETTINGS allow" : NULL;
}

static bool is_left_out(const struct h2_guard *g, int32_t id)
{
	for (size_t i = 0; i < g->ngaps; i++)
		if (id >= g->gaps[i].from && id <= g->gaps[i].to)
			return true;
	return false;
}

static void note_gap(struct h2_guard *g, int32_t from, int32_t to)
{
	if (g->ngaps == H2_GAPS_MAX)
		memmove(&g->gaps[0], &g->gaps[1], --g->ngaps * sizeof(g->gaps[0]));
	g->gaps[g->ngaps].from = from;
	g->gaps[g->ngaps++].to = to;
}

/*
 * nghttp2 silently ignores HEADERS on an id below the highest, since it cannot tell an id that was never used
 * (connection error) from one that is closed (trailers that crossed our reset: harmless). Clients
 * count by two, so what they leave out is a short list.
 */
const char *h2_guard_id(struct h2_guard *g, int32_t id)
{
	int32_t next = g->highest ? g->highest + 2 : 1;

	/* Zero and even ids are nghttp2's to refuse. */
	if (id <= 0 || !(id & 1))
		return NULL;
	if (id <= g->highest)
		return is_left_out(g, id) ? "a stream id lower than one used before" : NULL;
	if (id > next)
		note_gap(g, next, id - 2);
	g->highest = id;
	return NULL;
}
