// SPDX-License-Identifier: Apache-2.0
/*
 * sniff.c: reads the first bytes and decides, once, where a connection goes. In doubt towards an address where LLM traffic
 * lives: refuse.
 *
 *                         | LLM name            | other name, or none      | no TLS
 *   LLM address           | terminate           | refuse (shared: splice   | refuse
 *                         |                     |  if named and no ECH)    |
 *   other address         | terminate           | splice                   | splice
 *   not an agent          | refuse              | splice, as above         | as above
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "path/conn.h"
#include "wire/hello.h"

static bool is_llm_address(const struct conn *c)
{
	return c->who.flow.class == GATE_CLASS_DEDICATED || c->who.flow.class == GATE_CLASS_SHARED;
}

static void refuse(struct conn *c, const char *why)
{
	log_warn(c->who.subject, "connection to port %u refused: %s", c->who.flow.dport, why);
	WORKER_COUNT(c->worker, refused, 1);
	conn_close(c);
}

static void decide_plain(struct conn *c)
{
	if (is_llm_address(c))
		return refuse(c, "not TLS, towards an address of an LLM provider; use https://");
	splice_begin(c, "");
}

static void decide_tls(struct conn *c, const struct hello *h)
{
	const struct path_provider *p = h->sni[0] ? path_provider_of(c->worker->path, h->sni, &c->provider_index) : NULL;

	if (p && (c->who.flow.flags & GATE_FLOW_STRANGER))
		return refuse(c, "not an agent, and `others: deny` is set");
	if (p) {
		c->provider = p;
		memcpy(c->sni, h->sni, sizeof c->sni);
		return terminate_begin(c, h->alpn_h2 && c->worker->options->http2);
	}
	if (c->who.flow.class == GATE_CLASS_DEDICATED)
		return refuse(c, h->sni[0] ? "the TLS name is not a configured LLM host, but the address is one" :
					     "no server name (SNI) in TLS towards an LLM address");
	if (c->who.flow.class == GATE_CLASS_SHARED && (!h->sni[0] || h->has_ech))
		return refuse(c, "the name inside TLS is hidden (ECH or no SNI) towards a front that LLM hosts share");
	splice_begin(c, h->sni);
}

static void sniff_readable(struct conn *c)
{
	char *to = buf_reserve(&c->in, 4096);
	ssize_t got = to ? recv(c->fd, to, 4096, MSG_DONTWAIT) : -1;
	struct hello hello;
	struct err e;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0)
		return conn_close(c);
	buf_grew(&c->in, (size_t)got);

	switch (hello_parse(buf_ptr(&c->in), buf_len(&c->in), &hello, &e)) {
	case HELLO_MORE:
		return;
	case HELLO_TLS:
		return decide_tls(c, &hello);
	case HELLO_HTTP:
	case HELLO_OTHER:
		return decide_plain(c);
	case HELLO_BAD:
		return refuse(c, e.text);
	}
}

/* Silence: protocols where the server speaks first. Harmless towards other addresses. */
static void sniff_timeout(struct conn *c)
{
	if (is_llm_address(c) || buf_len(&c->in))
		return refuse(c, "no complete TLS ClientHello within 5 s");
	splice_begin(c, "");
}

const struct stage stage_sniff = { .name = "sniff", .readable = sniff_readable, .timeout = sniff_timeout };
