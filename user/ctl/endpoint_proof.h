// SPDX-License-Identifier: Apache-2.0
/*
 * endpoint_proof.h: does this address really serve this name? Asked by a TLS handshake from the daemon, verified in full like a call to the provider;
 * not a byte of HTTP is sent. Agents cause these questions, so they are bounded in every way: how many wait, how many at a time,
 * how often, and a name that an address does not serve is not asked for again for some minutes.
 * For one loop's thread only.
 */
#ifndef PURSE_CTL_ENDPOINT_PROOF_H
#define PURSE_CTL_ENDPOINT_PROOF_H

#include "gate_abi.h"
#include "terms.h"

#define PROOF_WAITING_MAX 64
#define PROOF_AT_ONCE 2
#define PROOF_EVERY_MS 200	/* one is begun at most so often */
#define PROOF_DEADLINE_MS 5000
#define PROOF_FAILED_MAX 256	/* remembered; the oldest goes */
#define PROOF_FAILED_S 600

struct loop;
struct tls_ctx;
struct prover;

struct proof {
	char name[256];
	uint8_t addr[16];
	uint16_t port;
	/* The asker's own, and who made it ask: not looked at, except that the first to ask is who asked. */
	unsigned tag;
	struct gate_flow flow;
	char agent[GATE_NAME_MAX];
};

/* why NULL = proven. is_own: the address is one of this machine. Never called inside prover_ask. */
typedef void (*proof_fn)(void *ctx, const struct proof *p, const char *why, bool is_own);

/* Takes a reference on client. */
int prover_new(struct loop *l, struct tls_ctx *client, proof_fn fn, void *ctx, struct prover **ret);
void prover_free(struct prover *p); /* NULL ok; fn does not hear of what is open */
/* false: asked already, failed lately, or too many wait. */
bool prover_ask(struct prover *p, const struct proof *what);

struct proof_counts {
	uint64_t begun, proven, failed, dropped; /* dropped: too many waited */
};
void prover_count(const struct prover *p, struct proof_counts *ret);

#endif
