// SPDX-License-Identifier: Apache-2.0
/*
 * tls.h: TLS on a non-blocking socket, both sides, on OpenSSL 3, whose types show nowhere else but ca.c.
 * TLS 1.2+, AEAD with forward secrecy only, no renegotiation, no compression, no 0-RTT, security level 2 set in code.
 * A tls_ctx is shared by threads and reference-counted; a tls belongs to one thread.
 */
#ifndef PURSE_WIRE_TLS_H
#define PURSE_WIRE_TLS_H

#include <sys/types.h>

#include "base/err.h"
#include "terms.h"

struct tls_ctx;
struct tls;

/* ---- contexts */
struct tls_ctx *tls_ctx_ref(struct tls_ctx *c);
void tls_ctx_unref(struct tls_ctx *c); /* NULL ok */
/*
 * Towards providers: verifies the chain against the system roots and, if not NULL, also the PEM file extra_ca;
 * host names without CN fallback and without partial wildcards. own_keys (at most 2): a
 * chain that holds a certificate with such a SubjectPublicKeyInfo SHA-256 is refused, so that our own CA never vouches for a provider.
 */
int tls_client_ctx_new(const char *extra_ca, const unsigned char (*own_keys)[32], size_t nown_keys, struct tls_ctx **ret,
		       struct err *e);

/* ---- connections. fd stays the caller's: tls_free does not close it. */
/* Server: prefix = bytes already read from fd (the sniffed ClientHello); they are copied. offer_h2: ALPN h2 before http/1.1. */
int tls_accept_new(struct tls_ctx *leaf, int fd, const void *prefix, size_t prefix_len, bool offer_h2,
		   struct tls **ret);
/* Client: SNI and verification for host. A session cached for this host in the ctx is resumed. ALPN http/1.1. */
int tls_connect_new(struct tls_ctx *client, int fd, const char *host, struct tls **ret);
void tls_free(struct tls *t); /* NULL ok */

enum tls_want { TLS_DONE, TLS_WANT_READ, TLS_WANT_WRITE, TLS_FAILED };
/* TLS_FAILED: e has the alert or the verification error in words ("certificate has expired"). */
enum tls_want tls_handshake(struct tls *t, struct err *e);
/* True after TLS_FAILED when the reason was the peer's certificate. */
bool tls_failed_on_cert(const struct tls *t);
/* After TLS_FAILED on the server side: the client told us that it does not trust our CA (alert unknown_ca, bad_certificate …). */
bool tls_client_distrusts_us(const struct tls *t);

/* > 0 bytes; 0 = closed in good order (close_notify); -EAGAIN: wait for readable; -ECONNRESET closed without
 * close_notify; other negative errno. */
ssize_t tls_read(struct tls *t, void *p, size_t n);
/* > 0 bytes taken (may be fewer); -EAGAIN wait for writable; negative errno. After -EAGAIN the same or a longer buffer
 * starting with the same bytes may be given again, at another address. */
ssize_t tls_write(struct tls *t, const void *p, size_t n);
bool tls_has_pending(const struct tls *t); /* decrypted bytes wait inside: do not wait for the socket */
void tls_shutdown(struct tls *t);          /* sends close_notify, best effort, never blocks */
bool tls_alpn_is_h2(const struct tls *t);
bool tls_was_resumed(const struct tls *t);

#endif
