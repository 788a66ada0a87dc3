// SPDX-License-Identifier: Apache-2.0
/* tls_inside.h: what tls.c, tls_ctx.c and ca.c share. The only header of ours with OpenSSL types. */
#ifndef PURSE_WIRE_TLS_INSIDE_H
#define PURSE_WIRE_TLS_INSIDE_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "wire/tls.h"

#define TLS_OWN_KEYS_MAX 2

struct tls_ctx {
	_Atomic int refs;
	SSL_CTX *ssl;
	bool is_client;
	/* client only: */
	unsigned char own_keys[TLS_OWN_KEYS_MAX][32]; /* SPKI digests that never vouch for a provider */
	size_t nown_keys;
	pthread_mutex_t lock;  /* sessions */
	struct map *sessions;  /* host -> SSL_SESSION, the newest */
};

/* Server side, for ca.c: takes references of its own. -ENOMEM or -EINVAL. */
int tls_server_ctx_new(X509 *leaf, EVP_PKEY *key, X509 *issuer, struct tls_ctx **ret);
/* A session of that host to resume, or NULL; the caller's reference. */
SSL_SESSION *tls_ctx_take_session(struct tls_ctx *c, const char *host);
/* SHA-256 over the DER SubjectPublicKeyInfo. */
int tls_spki_sha256(X509 *cert, unsigned char ret[32]);
/* The first error of the queue in words, and an empty queue after. */
void tls_error_text(char *ret, size_t size);
/* SSL ex_data index under which each SSL has its struct tls. */
int tls_ex_index(void);
bool tls_offers_h2(const struct tls *t);
/* The certificate failed because of this (X509_V_ERR_*), set by the verify callback. */
void tls_note_cert_error(SSL *ssl, int depth, int error);

#endif
