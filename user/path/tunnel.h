// SPDX-License-Identifier: Apache-2.0
/*
 * tunnel.h: what an agent asks a configured proxy (`proxies`) to CONNECT it to. An LLM host: purse says yes itself, the proxy hears nothing of
 * it, and what follows has to be TLS for that host. Another: the head goes to the proxy as it is, the answer comes back as it is, and what the agent
 * then says in the tunnel is sniffed like a connection's first bytes. It goes with its conn.
 */
#ifndef PURSE_PATH_TUNNEL_H
#define PURSE_PATH_TUNNEL_H

#include "base/buf.h"
#include "terms.h"

struct conn;
struct tunnel;
struct tunnel_head;

/* Is it where the agent wanted to go? */
bool tunnel_is_to_proxy(const struct conn *c);
/* c->in begins with that head. Goes on with sniff_again, or the conn is answered or closed. */
void tunnel_begin(struct conn *c, const struct tunnel_head *h);
/* The LLM host that was asked for; NULL: another, or no tunnel (t NULL ok). */
const char *tunnel_llm_host(const struct tunnel *t);
/*
 * For splice: the connection to the proxy, the caller's now; what came from there and is not passed on is put behind what is in `to`. -ENOMEM.
 * *ret_is_refusal: the proxy said no; all that is left is the rest of its answer.
 */
int tunnel_take(struct tunnel *t, struct buf *to, bool *ret_is_refusal);
void tunnel_free(struct tunnel *t); /* NULL ok */

#endif
