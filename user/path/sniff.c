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
 *   a configured proxy    | refuse              | refuse                   | HTTP alone: CONNECT is a tunnel (tunnel.h)
 *
 * In a tunnel the same again, by the address where it leads; an LLM name has to be the one of the CONNECT.
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
#include "path/tunnel.h"
#include "path/tunnel_head.h"
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

#define HTTP_HINT "purse: plain HTTP to an LLM provider is not forwarded. Use https://: purse meters it there.\n"
#define TUNNEL_HINT "purse: CONNECT, or HTTP/2 without TLS, hides whom it asks for. Go there without a proxy (NO_PROXY), by https://.\n"

static void answer_http(struct conn *c, enum denial why)
{
	denial_tell(c, why, NULL);
	conn_answer_plain(c, "403 Forbidden", why == DENIAL_TUNNEL ? TUNNEL_HINT : HTTP_HINT);
}

static void judge_http(struct conn *c)
{
	switch (plain_read(buf_ptr(&c->in), buf_len(&c->in), conn_is_llm_host, c)) {
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

static void decide_http(struct conn *c)
{
	if (is_llm_address(c))
		return answer_http(c, DENIAL_PLAIN_HTTP);
	judge_http(c);
}

static void decide_proxy(struct conn *c)
{
	struct tunnel_head head;
	struct err e;

	switch (tunnel_read_connect(buf_ptr(&c->in), buf_len(&c->in), conn_is_llm_host, c, &head, &e)) {
	case TUNNEL_MORE:
		return;
	case TUNNEL_HEAD:
		return tunnel_begin(c, &head);
	case TUNNEL_OTHER:
		return judge_http(c);
	case TUNNEL_BAD:
		return refuse(c, DENIAL_CONNECT, e.text);
	}
}

static void terminate(struct conn *c, const struct path_provider *p, const struct hello *h)
{
	const struct path_env *env = c->worker->env;

	/* In a tunnel the address is the proxy's. */
	if (env->sighted && !c->tunnel)
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

static enum denial judge_ours(const struct conn *c, const struct hello *h)
{
	const char *asked = tunnel_llm_host(c->tunnel);

	if (c->who.flow.flags & GATE_FLOW_STRANGER)
		return DENIAL_STRANGER;
	return c->tunnel && (!asked || strcmp(asked, h->sni) != 0) ? DENIAL_TUNNEL_NAME : DENIAL_COUNT;
}

static void decide_tls(struct conn *c, const struct hello *h)
{
	const struct path_provider *p = h->sni[0] ? path_provider_of(c->worker->path, h->sni, &c->provider_index) : NULL;
	enum denial why = p ? judge_ours(c, h) : judge_other(c, h);

	if (why != DENIAL_COUNT)
		return refuse(c, why, h->sni[0] ? h->sni : NULL);
	if (p)
		return terminate(c, p, h);
	splice_begin(c, h);
}

static void look(struct conn *c)
{
	bool is_to_proxy = !c->tunnel && tunnel_is_to_proxy(c);
	struct hello hello;
	struct err e;

	switch (hello_parse(buf_ptr(&c->in), buf_len(&c->in), &hello, &e)) {
	case HELLO_MORE:
		return;
	case HELLO_TLS:
		return is_to_proxy ? refuse(c, DENIAL_PROXY, NULL) : decide_tls(c, &hello);
	case HELLO_HTTP:
		return is_to_proxy ? decide_proxy(c) : decide_http(c);
	case HELLO_OTHER:
		return is_to_proxy ? refuse(c, DENIAL_PROXY, NULL) : decide_plain(c);
	case HELLO_BAD:
		return refuse(c, DENIAL_HELLO, e.text);
	}
}

static void sniff_readable(struct conn *c)
{
	char *to = buf_reserve(&c->in, 4096);
	ssize_t got = to ? recv(c->fd, to, 4096, MSG_DONTWAIT) : -1;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0)
		return conn_close(c);
	buf_grew(&c->in, (size_t)got);
	look(c);
}

void sniff_again(struct conn *c)
{
	conn_set_stage(c, &stage_sniff);
	conn_set_timeout(c, CONN_SNIFF_MS);
	conn_read_more(c, true);
	if (buf_len(&c->in))
		look(c);
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
