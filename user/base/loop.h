// SPDX-License-Identifier: Apache-2.0
/*
 * loop.h: one event loop per thread, on libuv, whose types show nowhere else.
 * All calls are for the loop's own thread, except loop_wake_send. Objects are
 * freed at once from the caller's view: after X_free() no callback of it runs.
 * It is fine to free an object inside its own callback. Errors are negative errno.
 */
#ifndef PURSE_BASE_LOOP_H
#define PURSE_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct loop;
int loop_new(struct loop **ret);
/*
 * All objects of it must be freed before (a forgotten one is closed unheard and logged). Runs
 * what loop_defer still holds. Waits up to a second for cancelled look-ups. NULL ok.
 */
void loop_free(struct loop *l);
void loop_run(struct loop *l);  /* until loop_stop() */
void loop_stop(struct loop *l);
int64_t loop_now_ns(struct loop *l); /* CLOCK_MONOTONIC at the start of this turn; cheap */

/*
 * A descriptor that becomes readable or writable. Level-triggered. Does not own the fd (but makes
 * it non-blocking); free before close. One loop_io per fd; -EEXIST otherwise. fn hears what was
 * wanted. An error or hang-up comes as READ or WRITE or both, also unwanted ones: read to learn
 * which. With a mask of 0 nothing is heard, not even a reset.
 */
#define LOOP_READ 1u
#define LOOP_WRITE 2u
struct loop_io;
typedef void (*loop_io_fn)(void *ctx, unsigned ready);
int loop_io_new(struct loop *l, int fd, loop_io_fn fn, void *ctx, struct loop_io **ret);
void loop_io_want(struct loop_io *io, unsigned events); /* 0 = sleep; no syscall when unchanged */
void loop_io_free(struct loop_io *io); /* NULL ok */

/* One-shot timer. Setting it again moves it. Never early; up to a millisecond late, also with 0. */
struct loop_timer;
int loop_timer_new(struct loop *l, void (*fn)(void *ctx), void *ctx, struct loop_timer **ret);
void loop_timer_set(struct loop_timer *t, int64_t after_ms);
void loop_timer_stop(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);

/* Wakes the loop from another thread; sends that come close together may be merged. No send after free. */
struct loop_wake;
int loop_wake_new(struct loop *l, void (*fn)(void *ctx), void *ctx, struct loop_wake **ret);
void loop_wake_send(struct loop_wake *w); /* any thread, async-signal-safe */
void loop_wake_free(struct loop_wake *w);

/*
 * Runs fn once, after the callbacks of this turn; the place to free what is in use up the stack.
 * What fn defers in turn runs in the next one, without waiting. 0 or -ENOMEM.
 */
int loop_defer(struct loop *l, void (*fn)(void *ctx), void *ctx);

/* Until loop_free. */
int loop_signal(struct loop *l, int signum, void (*fn)(void *ctx, int signum), void *ctx);

/*
 * resolve.h off the loop, in libuv's thread pool: a thread for each that is under way, LOOP_THREADS_EACH of them per CPU and some more.
 * fn gets n addresses with port set and the seconds that the answer is good for (as
 * told: may be 0), or n = 0 and an error text; after that *ret is gone. Cancelling (which also
 * frees) makes sure that fn never runs.
 */
#define LOOP_THREADS_EACH 4
struct loop_resolve;
typedef void (*loop_resolve_fn)(void *ctx, const struct sockaddr_storage *addrs, unsigned n, unsigned ttl_s, const char *error);
int loop_resolve(struct loop *l, const char *host, uint16_t port, loop_resolve_fn fn, void *ctx,
		 struct loop_resolve **ret);
void loop_resolve_cancel(struct loop_resolve *r);

#endif
