// SPDX-License-Identifier: Apache-2.0
/*
 * sniff.c: reads the first bytes and decides, once, where a connection goes. In doubt towards an address where LLM traffic
 * lives: refuse.
 *
 *                         | LLM name            | other name, or none      | no TLS
 *   LLM address           | terminate           | refuse (shared: splice   | refuse; HTTP: answered 403
 *                         |                     |  if named and no ECH)    |
 *   other address         | terminate           | splice                   | splice; HTTP that asks for an
 *                         |                     |                          |  LLM host: answered 403
 *   not an agent          | refuse              | splice, as above         | as above
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "path/conn.h"
#include "path/plain.h"
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

#define HTTP_HINT "purse: plain HTTP to an LLM provider is not forwarded. Use https://: purse meters it there.\n"

static bool is_llm_host(void *ctx, const char *host)
{
	struct conn *c = ctx;
	uint16_t unused;

	return path_provider_of(c->worker->path, host, &unused) != NULL;
}

static void refuse_http(struct conn *c)
{
	static const char answer[] = "HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 92\r\n"
				     "connection: close\r\n\r\n" HTTP_HINT;

	_Static_assert(sizeof HTTP_HINT - 1 == 92, "content-length");

	log_warn(c->who.subject, "plain HTTP to an LLM provider (port %u) answered 403; use https://", c->who.flow.dport);
	WORKER_COUNT(c->worker, plain_http, 1);
	conn_answer_plain(c, answer, sizeof answer - 1);
}

static void decide_http(struct conn *c)
{
	if (is_llm_address(c))
		return refuse_http(c);
	switch (plain_read(buf_ptr(&c->in), buf_len(&c->in), is_llm_host, c)) {
	case PLAIN_MORE:
		return;
	case PLAIN_LLM:
		return refuse_http(c);
	case PLAIN_OTHER:
		return splice_begin(c, "");
	case PLAIN_LONG:
		return refuse(c, "a plain HTTP request whose head does not end within 16 KiB");
	}
}

static void decide_tls(struct conn *c, const struct hello *h)
{
	const struct path_provider *p = h->sni[0] ? path_provider_of(c->worker->path, h->sni, &c->provider_index) : NULL;

	if (p && (c->who.flow.flags & GATE_FLOW_STRANGER))
		return refuse(c, "not an agent, and `others: deny` is set");
	if (p) {
		const struct path_env *env = c->worker->env;

		if (env->sighted)
			env->sighted(env->sighted_ctx, c->provider_index, h->sni, c->who.flow.dst, c->who.flow.dport, is_llm_address(c));
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
		return decide_http(c);
	case HELLO_OTHER:
		return decide_plain(c);
	case HELLO_BAD:
		return refuse(c, e.text);
	}
}

/*
 * Silence is no way through, whatever the address: a connection that was handed on unread could send its ClientHello later, with an LLM's
 * name, to an address that is not listed. Protocols where the server speaks first have no place on captured ports.
 */
static void sniff_timeout(struct conn *c)
{
	refuse(c, "no complete TLS ClientHello within 5 s");
}

const struct stage stage_sniff = { .name = "sniff", .readable = sniff_readable, .timeout = sniff_timeout };
