// SPDX-License-Identifier: Apache-2.0
/*
 * terminate.c: the TLS handshake with the agent, under a leaf for the name it asked for. The leaf is minted
 * without asking the provider first: it says only "this is purse", names a configured host, and nothing is forwarded unless the
 * provider's own chain verified (upstream.c); so a bad upstream certificate can be told as an answer
 * that the SDK shows, and a refusal needs no provider at all. (docs/decisions.md)
 */
#include <errno.h>
#include <string.h>

#include "base/crash.h"
#include "base/log.h"
#include "path/conn.h"
#include "wire/ca.h"
#include "wire/tls.h"

#define HANDSHAKE_MS 10000

static void handshake_failed(struct conn *c, const struct err *e)
{
	WORKER_COUNT(c->worker, tls_failed, 1);
	if (tls_client_distrusts_us(c->tls)) {
		WORKER_COUNT(c->worker, tls_distrusted, 1);
		log_warn(c->who.subject, "%s (pid %u) does not trust purse's CA for %s; see `purse trust env`",
			 c->who.flow.comm, c->who.flow.pid, c->sni);
	} else {
		log_info(c->who.subject, "TLS handshake for %s failed: %s", c->sni, e->text);
	}
	conn_close(c);
}

static void handshake_step(struct conn *c)
{
	struct err e = { 0 };

	c->tls_wants_write = false;
	switch (tls_handshake(c->tls, &e)) {
	case TLS_WANT_READ:
		return;
	case TLS_WANT_WRITE:
		/* What the client sends meanwhile waits, or it would wake us without end. */
		c->tls_wants_write = c->read_wants_write = true;
		return;
	case TLS_FAILED:
		return handshake_failed(c, &e);
	case TLS_DONE:
		break;
	}
	CRASH_POINT("terminated");
	if (tls_alpn_is_h2(c->tls))
		h2_server_begin(c);
	else
		h1_server_begin(c);
}

static void handshake_timeout(struct conn *c)
{
	WORKER_COUNT(c->worker, tls_failed, 1);
	log_info(c->who.subject, "TLS handshake for %s took longer than 10 s", c->sni);
	conn_close(c);
}

const struct stage stage_terminate = {
	.name = "terminate",
	.readable = handshake_step,
	.writable = handshake_step,
	.timeout = handshake_timeout,
};

void terminate_begin(struct conn *c, bool offer_h2)
{
	struct tls_ctx *leaf = NULL;
	struct err e = { 0 };

	CRASH_POINT("hello");
	int r = ca_leaf(c->worker->env->ca, c->sni, &leaf, &e);
	if (!r)
		r = tls_accept_new(leaf, c->fd, buf_ptr(&c->in), buf_len(&c->in), offer_h2, &c->tls);
	tls_ctx_unref(leaf);
	if (r) {
		log_error(c->who.subject, "no certificate for %s: %s", c->sni, e.text[0] ? e.text : strerror(-r));
		return conn_close(c);
	}
	buf_clear(&c->in);
	buf_shrink(&c->in);
	conn_set_stage(c, &stage_terminate);
	conn_set_timeout(c, HANDSHAKE_MS);
	handshake_step(c);
}
