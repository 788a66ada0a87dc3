// SPDX-License-Identifier: Apache-2.0
/* denial.c: see denial.h. */
#include "path/denial.h"

#include "base/log.h"
#include "path/conn.h"

/* Stable words for machines; the texts say what to do. */
static const struct {
	const char *word, *text;
} denials[DENIAL_COUNT] = {
	[DENIAL_HELLO] = { "bad-hello", "the TLS ClientHello is broken, or something stands before it" },
	[DENIAL_LATE] = { "late-hello", "no complete TLS ClientHello or HTTP head within 5 s: protocols where the server speaks first have no "
					"place on captured ports (capture_ports)" },
	[DENIAL_STRANGER] = { "not-agent", "not an agent, and `others: deny` is set" },
	[DENIAL_NOT_TLS] = { "not-tls", "not TLS, towards an address of an LLM provider; use https://" },
	[DENIAL_PLAIN_HTTP] = { "plain-http", "plain HTTP to an LLM provider; use https://" },
	[DENIAL_TUNNEL] = { "tunnel", "CONNECT, or HTTP/2 without TLS, on a captured port hides whom it asks for; leave the proxy out (NO_PROXY), "
				      "or its port out of capture_ports if it keeps agents from LLM hosts" },
	[DENIAL_OTHER_NAME] = { "other-name", "the TLS name is not a configured LLM host, but the address is one" },
	[DENIAL_NO_NAME] = { "no-name", "no server name (SNI) in TLS towards an LLM address" },
	[DENIAL_ODD_NAME] = { "odd-name", "the server name (SNI) in TLS is no host name" },
	[DENIAL_ECH] = { "hidden-name", "the name inside TLS may be hidden (ECH); browsers: --disable-features=EncryptedClientHello for Chromium, "
					"security.tls.ech.grease_probability=0 and network.dns.echconfig.enabled=false for Firefox; "
					"or `ech: allow` (not towards LLM addresses)" },
	[DENIAL_SECOND_NAME] = { "second-name", "the TLS client changed its server name, or hid it, after a HelloRetryRequest" },
	[DENIAL_PROXY] = { "proxy", "no plain HTTP, towards a configured proxy (`proxies`): what is inside cannot be read; HTTPS_PROXY=http://…, not https:// or socks" },
	[DENIAL_CONNECT] = { "bad-connect", "a CONNECT for a configured proxy that two readers could read differently" },
	[DENIAL_TUNNEL_NAME] = { "tunnel-name", "inside a proxy's tunnel the TLS name is an LLM host that CONNECT did not ask for; let CONNECT name it" },
	[DENIAL_LANDS] = { "llm-address", "the name leads to an address of an LLM provider, or to loopback or link-local" },
};

void denial_tell(struct conn *c, enum denial why, const char *detail)
{
	const struct path_env *env = c->worker->env;
	const struct gate_flow *flow = &c->who.flow;

	log_warn(c->who.subject, "connection to port %u refused: %s%s%s", flow->dport, denials[why].text, detail ? ": " : "",
		 detail ? detail : "");
	if (why == DENIAL_PLAIN_HTTP || why == DENIAL_TUNNEL)
		WORKER_COUNT(c->worker, plain_http, 1);
	else
		WORKER_COUNT(c->worker, refused, 1);
	if (why == DENIAL_ECH)
		WORKER_COUNT(c->worker, hidden_names, 1);
	if (env->refused)
		env->refused(env->refused_ctx, flow, c->who.agent, denials[why].word, denials[why].text);
}
