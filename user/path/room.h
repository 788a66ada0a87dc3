// SPDX-License-Identifier: Apache-2.0
/*
 * room.h: what one call takes of its agent's share (shares.h): one connection, to the provider, and the bytes of its body. A declared body is
 * taken whole before its first byte is read, so that two halves never wait for each other's memory. One that does not fit now is not read: the agent's
 * socket fills and its program waits in send(), for up to ROOM_WAIT_NS. That is possible where a connection carries one request (HTTP/1.1); an
 * HTTP/2 stream would keep a window of bytes while it waits, and is refused at once with a hint to come again. So is a body without a length that
 * outgrows what is left.
 */
#ifndef PURSE_PATH_ROOM_H
#define PURSE_PATH_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct share;
struct exchange;
struct worker;

#define ROOM_WAIT_NS INT64_C(10000000000)

struct room {
	struct share *agent; /* NULL = takes nothing */
	struct list waiting;        /* worker->waiting, first come first tried */
	int64_t until_ns;           /* boot clock: it waits so long */
	uint64_t body;              /* bytes that are taken */
	bool has_connection;
};

/* A reference on agent is taken. */
void room_init(struct room *r, struct share *agent);
/* The head is known: enum stepped. WAIT: room_tick goes on. Otherwise REFUSED with x->refusal. */
int room_take(struct exchange *x);
/* The body will be n bytes long. false: x->refusal says why not. */
bool room_grow(struct exchange *x, size_t n);
void room_give_body(struct exchange *x);
void room_give(struct exchange *x); /* everything, also the reference; said again is harmless */
/* Tries those that wait; a few times a second. */
void room_tick(struct worker *w, int64_t now_ns);

#endif
