// SPDX-License-Identifier: Apache-2.0
/*
 * sniff.c: reads the first bytes and decides, once, where a connection goes. In doubt towards an address where LLM traffic
 * lives: refuse.
 *
 *                         | LLM name            | other name, or none      | no TLS
 *   LLM address           | terminate           | refuse (shared: splice   | refuse; HTTP: answered 403
 *                         |                     |  if named and no ECH)    |
 *   other address         | terminate           | splice; refuse ECH       | splice; HTTP that asks for an
 *                         |                     |  (`ech: allow`: splice)  |  LLM host, or hides it: answered 403
 *   not an agent          | refuse              | splice, as above         | as above
 *
 * ECH: the name that we read is not the one that the server goes by, and browsers send the extension with random content (GREASE) in every
 * hello, so that the two cannot be told apart. docs/decisions.md says why it is refused.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "path/conn.h"
#include "path/denial.h"
#include "path/plain.h"
#include "wire/hello.h"

static bool is_llm_address(const struct conn *c)
{
	return c->who.flow.class == GATE_CLASS_DEDICATED || c->who.flow.class == GATE_CLASS_SHARED;
}

static void refuse(struct conn *c, enum denial why, const char *detail)
{
	denial_tell(c, why, detail);
	conn_close(c);
}

static void decide_plain(struct conn *c)
{
	if (is_llm_address(c))
		return refuse(c, DENIAL_NOT_TLS, NULL);
	splice_begin(c, NULL);
}

static bool is_llm_host(void *ctx, const char *host)
{
	struct conn *c = ctx;
	uint16_t unused;

	return path_provider_of(c->worker->path, host, &unused) != NULL;
}

#define ANSWER(length, hint) \
	"HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: " length "\r\n" \
	"connection: close\r\n\r\n" hint
#define HTTP_HINT "purse: plain HTTP to an LLM provider is not forwarded. Use https://: purse meters it there.\n"
#define TUNNEL_HINT "purse: CONNECT, or HTTP/2 without TLS, hides whom it asks for. Go there without a proxy (NO_PROXY), by https://.\n"
_Static_assert(sizeof HTTP_HINT - 1 == 92 && sizeof TUNNEL_HINT - 1 == 113, "content-length");

static void answer_http(struct conn *c, enum denial why)
{
	static const char http[] = ANSWER("92", HTTP_HINT), tunnel[] = ANSWER("113", TUNNEL_HINT);

	denial_tell(c, why, NULL);
	if (why == DENIAL_TUNNEL)
		return conn_answer_plain(c, tunnel, sizeof tunnel - 1);
	conn_answer_plain(c, http, sizeof http - 1);
}

static void decide_http(struct conn *c)
{
	if (is_llm_address(c))
		return answer_http(c, DENIAL_PLAIN_HTTP);
	switch (plain_read(buf_ptr(&c->in), buf_len(&c->in), is_llm_host, c)) {
	case PLAIN_MORE:
		return;
	case PLAIN_LLM:
		return answer_http(c, DENIAL_PLAIN_HTTP);
	case PLAIN_HIDDEN:
		return answer_http(c, DENIAL_TUNNEL);
	case PLAIN_OTHER:
		return splice_begin(c, NULL);
	case PLAIN_LONG:
		return refuse(c, DENIAL_HELLO, "a plain HTTP request whose head does not end within 16 KiB");
	}
}

static void terminate(struct conn *c, const struct path_provider *p, const struct hello *h)
{
	const struct path_env *env = c->worker->env;

	if (env->sighted)
		env->sighted(env->sighted_ctx, c->provider_index, h->sni, &c->who.flow, c->who.agent, is_llm_address(c));
	c->provider = p;
	memcpy(c->sni, h->sni, sizeof c->sni);
	terminate_begin(c, h->alpn_h2 && c->worker->options->http2);
}

/* Of a name that is none of ours. DENIAL_COUNT: nothing against it. */
static enum denial judge_other(const struct conn *c, const struct hello *h)
{
	bool is_stranger = c->who.flow.flags & GATE_FLOW_STRANGER;

	if (h->is_odd)
		return DENIAL_ODD_NAME;
	if (h->has_ech && (is_llm_address(c) || (c->worker->options->refuse_ech && !is_stranger)))
		return DENIAL_ECH;
	if (!h->sni[0] && is_llm_address(c))
		return DENIAL_NO_NAME;
	return c->who.flow.class == GATE_CLASS_DEDICATED ? DENIAL_OTHER_NAME : DENIAL_COUNT;
}

static void decide_tls(struct conn *c, const struct hello *h)
{
	const struct path_provider *p = h->sni[0] ? path_provider_of(c->worker->path, h->sni, &c->provider_index) : NULL;
	enum denial why = p ? DENIAL_COUNT : judge_other(c, h);

	if (p && (c->who.flow.flags & GATE_FLOW_STRANGER))
		why = DENIAL_STRANGER;
	if (why != DENIAL_COUNT)
		return refuse(c, why, h->sni[0] ? h->sni : NULL);
	if (p)
		return terminate(c, p, h);
	splice_begin(c, h);
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
		return refuse(c, DENIAL_HELLO, e.text);
	}
}

/*
 * Silence is no way through, whatever the address: a connection that was handed on unread could send its ClientHello later, with an LLM's
 * name, to an address that is not listed. Protocols where the server speaks first have no place on captured ports.
 */
static void sniff_timeout(struct conn *c)
{
	refuse(c, DENIAL_LATE, NULL);
}

const struct stage stage_sniff = { .name = "sniff", .readable = sniff_readable, .timeout = sniff_timeout };
