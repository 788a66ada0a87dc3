// SPDX-License-Identifier: Apache-2.0
/*
 * server_own.h: the inside of struct server, for server.c (listens, takes connections, hands over), server_conn.c (one connection: reads requests, writes
 * answers) and server_job.c (slow requests on threads of their own).
 */
#ifndef PURSE_CTL_SERVER_OWN_H
#define PURSE_CTL_SERVER_OWN_H

#include <pthread.h>

#include "base/buf.h"
#include "base/list.h"
#include "ctl/events.h"
#include "ctl/peer.h"
#include "ctl/route/route.h"
#include "ctl/server.h"

struct h1;
struct loop_io;
struct loop_timer;
struct loop_wake;
struct job;

struct conn {
	struct list node; /* on server.conns */
	struct server *s;
	int fd;
	struct loop_io *io;
	struct loop_timer *timer;
	struct h1 *parser;
	struct buf in, body, out;
	struct request request; /* method and path point into the parser's head */
	struct peer peer;
	bool is_owner;
	bool busy;      /* a job runs for it, or its answer is held back */
	bool is_endless; /* the answer has no end: events or a lease */
	bool follows, leases;
	bool last;      /* close once `out` is written */
	bool keep_alive;
	struct events_follower follower;
	struct job *job;
	struct answer held; /* held.waits_for != 0: until agents_is_over */
	struct buf held_body;
};

/* A slow request on a thread of its own. Outlives its connection if that goes away. */
struct job {
	struct list node; /* on server.jobs */
	struct server *s;
	struct conn *conn; /* loop's thread only; NULL = nobody waits any more */
	const struct route *route;
	struct request request; /* copies: */
	char method[16], path[256], query[2048], name[256];
	struct buf body;
	struct buf out;
	struct answer answer;
	pthread_t thread;
	bool done; /* under server.lock */
};

struct server {
	struct loop *loop;
	const struct control *control;
	char path[108];
	int64_t idle_ms, wait_ms;
	int fd;
	bool is_paused, keeps_file;
	struct loop_io *io;
	struct loop_timer *resume;
	struct loop_wake *wake;
	struct list conns, jobs;
	unsigned nconns, nleases, njobs, nheld; /* leases are conns, but not counted in nconns */
	pthread_mutex_t lock; /* guards job.done */
};

/* server_conn.c. Those that return false have freed the connection. */
void conn_free(struct conn *c);
void conn_want(struct conn *c); /* asks the loop for what the connection can do now */
void conn_step(struct conn *c); /* goes on with what has come in */
bool conn_answer(struct conn *c, const struct answer *a); /* puts it on its way and makes the connection ready for what comes next */
bool conn_refuse(struct conn *c, int status, const char *text);
void conn_go_on(struct conn *c, enum answer_length length); /* the answer has begun and will not end */
void conn_let_go(struct conn *c); /* of an answer that was held back */
void conn_ready(void *ctx, unsigned ready);
void conn_timeout(void *ctx);

/* server_job.c */
bool conn_start_job(struct conn *c, const struct route *route); /* false: the connection is gone */
void jobs_done(void *ctx); /* from server.wake: answers those that are over */
void job_free(struct job *j); /* its thread has been joined */

#endif
