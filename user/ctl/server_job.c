// SPDX-License-Identifier: Apache-2.0
/*
 * server_job.c: slow requests of the control API, each on a thread of its own, JOBS_MAX at most. A job works on copies and outlives its
 * connection if that goes away.
 */
#include "ctl/server_own.h"

#include <stdlib.h>

#include "base/loop.h"
#include "base/str.h"
#include "ctl_abi.h"

#define JOBS_MAX 8

static void *job_run(void *ctx)
{
	struct job *j = ctx;
	struct server *s = j->s;

	j->route->run(s->control, &j->request, &j->answer);
	(void)pthread_mutex_lock(&s->lock);
	j->done = true;
	(void)pthread_mutex_unlock(&s->lock);
	loop_wake_send(s->wake);
	return NULL;
}

void job_free(struct job *j)
{
	if (j->conn)
		j->conn->job = NULL;
	list_remove(&j->node);
	j->s->njobs--;
	buf_done(&j->body);
	buf_done(&j->out);
	free(j);
}

void jobs_done(void *ctx)
{
	struct server *s = ctx;

	list_for_each_safe(node, next, &s->jobs) {
		struct job *j = list_entry(node, struct job, node);

		(void)pthread_mutex_lock(&s->lock);
		bool done = j->done;
		(void)pthread_mutex_unlock(&s->lock);
		if (!done)
			continue;
		(void)pthread_join(j->thread, NULL);
		struct conn *c = j->conn;
		bool alive = c != NULL;

		if (c) {
			c->busy = false;
			c->job = NULL;
			j->conn = NULL;
			alive = conn_answer(c, &j->answer);
		}
		job_free(j);
		if (alive)
			conn_step(c);
	}
}

static bool copy_request(struct job *j, const struct request *r)
{
	j->request = *r;
	j->request.peer = NULL; /* the connection may go */
	if (!str_copy(j->method, sizeof(j->method), r->method) || !str_copy(j->path, sizeof(j->path), r->path) ||
	    !str_copy(j->query, sizeof(j->query), r->query) || !str_copy(j->name, sizeof(j->name), r->name) ||
	    buf_append(&j->body, r->body.p, r->body.n) < 0)
		return false;
	j->request.method = str_of(j->method);
	j->request.path = str_of(j->path);
	j->request.query = str_of(j->query);
	j->request.name = str_of(j->name);
	j->request.body = (struct str){ .p = buf_ptr(&j->body), .n = buf_len(&j->body) };
	return true;
}

/* false: the connection is gone. */
bool conn_start_job(struct conn *c, const struct route *route)
{
	struct server *s = c->s;
	struct job *j = s->njobs < JOBS_MAX ? calloc(1, sizeof(*j)) : NULL;

	if (!j)
		return conn_refuse(c, 503, "too many slow requests at once; try again in a moment");
	j->s = s;
	j->route = route;
	buf_init(&j->body, CTL_REQUEST_MAX);
	buf_init(&j->out, CTL_ANSWER_MAX);
	j->answer = (struct answer){ .status = 200, .type = "application/json", .body = &j->out };
	list_add_tail(&s->jobs, &j->node);
	s->njobs++;
	if (!copy_request(j, &c->request)) {
		job_free(j);
		return conn_refuse(c, 400, "the request's path or query is too long");
	}
	if (pthread_create(&j->thread, NULL, job_run, j) != 0) {
		job_free(j);
		return conn_refuse(c, 503, "no thread for a slow request; try again in a moment");
	}
	j->conn = c;
	c->job = j;
	c->busy = true;
	loop_timer_stop(c->timer);
	return true;
}
