// SPDX-License-Identifier: Apache-2.0
/*
 * tls_inside.h: what tls.c, tls_sock.c, tls_ctx.c, tls_ocsp.c and ca*.c share. OpenSSL's structs are named, never
 * included: only these .c files see inside.
 */
#ifndef PURSE_WIRE_TLS_INSIDE_H
#define PURSE_WIRE_TLS_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "wire/tls.h"

struct bio_st;
struct evp_pkey_st;
struct ssl_ctx_st;
struct ssl_session_st;
struct ssl_st;
struct x509_st;

#define TLS_OWN_KEYS_MAX 16

struct tls_ctx {
	_Atomic int refs;
	pthread_mutex_t lock; /* what follows */
	struct ssl_ctx_st *ssl; /* a client's is replaced by tls_client_ctx_load: whoever uses it takes a reference */
	/* client only: */
	unsigned char own_keys[TLS_OWN_KEYS_MAX][32]; /* SPKI digests that never vouch for a provider */
	size_t nown_keys;
	struct map *sessions; /* host -> struct host_sessions (tls_ctx.c) */
};

/* Server side, for ca.c: takes references of its own. -ENOMEM or -EINVAL. issuer NULL: nothing but the leaf is sent. */
int tls_server_ctx_new(struct x509_st *leaf, struct evp_pkey_st *key, struct x509_st *issuer, struct tls_ctx **ret);
/* From now on these keys (at most TLS_OWN_KEYS_MAX) and no others are refused. Any thread. */
void tls_client_refuse_keys(struct tls_ctx *c, const unsigned char (*keys)[32], size_t n);
/* A connection of that context; NULL = no memory. Any thread. */
struct ssl_st *tls_ctx_ssl(struct tls_ctx *c);
/* Trusts from now on what the files say now. On failure it goes on as before. Any thread; connections that are there stay. */
int tls_client_ctx_load(struct tls_ctx *c, const char *extra_ca, struct err *e);
/* A session of that host to resume, or NULL; the caller's reference. */
struct ssl_session_st *tls_ctx_take_session(struct tls_ctx *c, const char *host);
/* SHA-256 over the DER SubjectPublicKeyInfo. */
int tls_spki_sha256(struct x509_st *cert, unsigned char ret[32]);
/* The first error of the queue in words, and an empty queue after. */
void tls_error_text(char *ret, size_t size);

/* ---- what contexts need to know about a connection (tls.c) */

/* The struct tls of an SSL. */
struct tls *tls_of(const struct ssl_st *ssl);
bool tls_offers_h2(const struct tls *t);
/* The verified name, "" on the server side. */
const char *tls_host(const struct tls *t);
/* Verification stopped at that certificate: X509_V_ERR_*; own: it was one of ours. */
void tls_note_cert_error(struct tls *t, int depth, int error, bool own);
/* The chain is as RFC 5280 has it, but not to our liking, or what is stapled to it is not: why, a text that stays. */
void tls_note_refusal(struct tls *t, const char *why);

/* Client contexts: ask for a stapled OCSP response and look at what comes (tls_ocsp.c). */
bool tls_ask_for_staples(struct ssl_ctx_st *s);

/* ---- the socket under a connection (tls_sock.c) */

struct tls_sock {
	int fd;
	char *prefix; /* sniffed bytes not yet given to OpenSSL; NULL when used up */
	size_t prefix_len, prefix_at;
	/* recv(2) calls that may still be made: bounds the work of one call, and lets records that are already
	 * here be taken without asking the socket again. */
	unsigned recvs_left;
	bool fresh; /* bytes came since the last time that OpenSSL asked for more in vain */
	bool ended; /* the peer's FIN was seen */
	int error;  /* last errno of the socket other than EAGAIN */
};

/* A BIO over s, which must outlive it. NULL = no memory. */
struct bio_st *tls_sock_bio(struct tls_sock *s);

#endif
