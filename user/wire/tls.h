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
 * Towards providers: verifies the chain against the system roots and, if not NULL, also the PEM file extra_ca, which
 * may hold revocation lists, too (no list of an issuer = nothing is known); host names without CN fallback and without
 * partial wildcards. A stapled OCSP response has to be good, and has to be there if the certificate says so (must-staple);
 * nothing is fetched. own_keys (at most 16; ca_client_ctx_new gives ours): a chain that holds a certificate with such a SubjectPublicKeyInfo SHA-256 is
 * refused, so that our own CA never vouches for a provider.
 */
int tls_client_ctx_new(const char *extra_ca, const unsigned char (*own_keys)[32], size_t nown_keys, struct tls_ctx **ret,
		       struct err *e);

/* ---- connections. fd stays the caller's: tls_free does not close it. */
/* Server: prefix = bytes already read from fd (the sniffed ClientHello); they are copied. offer_h2: ALPN h2 before http/1.1. */
int tls_accept_new(struct tls_ctx *leaf, int fd, const void *prefix, size_t prefix_len, bool offer_h2,
		   struct tls **ret);
/* Client: SNI and verification for host (a name without port, else -EINVAL). A session cached for this host in the ctx is
 * resumed, for at most an hour and never past the end of the certificate. ALPN http/1.1. */
int tls_connect_new(struct tls_ctx *client, int fd, const char *host, struct tls **ret);
void tls_free(struct tls *t); /* NULL ok */

enum tls_want { TLS_DONE, TLS_WANT_READ, TLS_WANT_WRITE, TLS_FAILED };
/* TLS_FAILED: e has the alert or the verification error in words ("certificate has expired"). */
enum tls_want tls_handshake(struct tls *t, struct err *e);
/* True after TLS_FAILED when the reason was the peer's certificate. */
bool tls_failed_on_cert(const struct tls *t);
/* After TLS_FAILED on the server side: the client does not trust our CA. It said so (alert unknown_ca, bad_certificate …), or
 * hung up when it saw our certificate, as Node and Java's HttpClient do. */
bool tls_client_distrusts_us(const struct tls *t);

/*
 * > 0 bytes; 0 = closed in good order (close_notify); -EAGAIN: wait for readable; -ECONNRESET closed without
 * close_notify; -EPROTO a broken record or an alert; other negative errno. Makes at most one recv(2) and then takes
 * all whole records that came, as far as they fit: after a positive result tls_has_pending says whether to call
 * again at once or to wait for the socket.
 */
ssize_t tls_read(struct tls *t, void *p, size_t n);
/*
 * > 0 bytes taken (fewer than n: the socket is full); -EAGAIN wait for writable; negative errno. After that the rest, or a
 * longer buffer starting with the same bytes, must be given next, at whatever address. When the socket breaks, what came before
 * can still be read.
 */
ssize_t tls_write(struct tls *t, const void *p, size_t n);
/*
 * After -EAGAIN: what OpenSSL waits for. Usually what one expects, but a read may wait for writable (two key updates came
 * and the answer to the first one does not fit into the socket), and on the client side a write for readable (half a
 * ticket came): waiting for the expected side only turns in circles until the rest comes. On the server side such a write
 * is -EPROTO.
 */
enum tls_want tls_blocked_on(const struct tls *t);
/* There is something to read without waiting for the socket: bytes, or the end. Half a record is nothing. */
bool tls_has_pending(const struct tls *t);
void tls_shutdown(struct tls *t); /* sends close_notify, best effort, never blocks */
bool tls_alpn_is_h2(const struct tls *t);
bool tls_was_resumed(const struct tls *t);

#endif
