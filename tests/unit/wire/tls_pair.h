// SPDX-License-Identifier: Apache-2.0
/* tls_pair.h: for tests: a small PKI, and two ends of tls.h on a pair of sockets. */
#ifndef PURSE_TESTS_TLS_PAIR_H
#define PURSE_TESTS_TLS_PAIR_H

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "certs.h"
#include "wire/tls_inside.h"

struct pki {
	struct cert root, issuer, leaf;
	char root_path[64];
	struct tls_ctx *client, *server;
};

static inline struct tls_ctx *pki_client(const struct pki *k, const unsigned char (*own)[32], size_t nown)
{
	struct tls_ctx *c = NULL;
	struct err e = { 0 };

	if (tls_client_ctx_new(k->root_path, own, nown, &c, &e))
		fail_msg("%s", e.text);
	return c;
}

/* A server that sends what it is told, also what our own contexts would refuse to send. */
static inline struct tls_ctx *pki_server(const struct cert *leaf, X509 *issuer)
{
	/* A stand-in of the same kind of key, since OpenSSL keeps one certificate per kind. */
	struct flaw kind = { .rsa_bits = EVP_PKEY_is_a(leaf->key, "RSA") ? 2048 : 0,
			     .curve = EVP_PKEY_is_a(leaf->key, "ED25519") ? "ED25519" : NULL };
	struct cert good = cert_make(CERT_LEAF, &kind, NULL);
	struct tls_ctx *c = NULL;
	STACK_OF(X509) *chain = sk_X509_new_null();

	assert_int_equal(tls_server_ctx_new(good.x, good.key, NULL, &c), 0);
	cert_free(&good);
	SSL_CTX_set_security_level(c->ssl, 0);
	if (issuer)
		assert_true(sk_X509_push(chain, issuer));
	assert_int_equal(SSL_CTX_use_cert_and_key(c->ssl, leaf->x, leaf->key, chain, 1), 1);
	sk_X509_free(chain);
	return c;
}

static inline void pki_make(struct pki *k, const struct flaw *root, const struct flaw *issuer, const struct flaw *leaf)
{
	static const struct flaw names = { .san = "DNS:api.example.com,DNS:other.example.com" };

	k->root = cert_make(CERT_ROOT, root, NULL);
	k->issuer = cert_make(CERT_ISSUER, issuer, &k->root);
	k->leaf = cert_make(CERT_LEAF, leaf ? leaf : &names, &k->issuer);
	cert_write(k->root.x, k->root_path);
	k->server = pki_server(&k->leaf, k->issuer.x);
	k->client = pki_client(k, NULL, 0);
}

static inline void pki_free(struct pki *k)
{
	tls_ctx_unref(k->client);
	tls_ctx_unref(k->server);
	(void)unlink(k->root_path);
	cert_free(&k->root);
	cert_free(&k->issuer);
	cert_free(&k->leaf);
}

struct pair {
	int fd[2]; /* client, server */
	struct tls *client, *server;
};

static inline void pair_sockets(struct pair *p)
{
	int big = 1 << 20;

	*p = (struct pair){ 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p->fd), 0);
	(void)setsockopt(p->fd[0], SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
}

static inline void pair_ends(struct pair *p, const struct pki *k, const char *host, bool h2)
{
	assert_int_equal(tls_connect_new(k->client, p->fd[0], host, &p->client), 0);
	assert_int_equal(tls_accept_new(k->server, p->fd[1], NULL, 0, h2, &p->server), 0);
}

static inline void pair_open(struct pair *p, const struct pki *k, const char *host, bool h2)
{
	pair_sockets(p);
	pair_ends(p, k, host, h2);
}

static inline void pair_open_tcp(struct pair *p, const struct pki *k, const char *host)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*p = (struct pair){ 0 };
	assert_int_equal(bind(l, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&a, &n), 0);
	p->fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(p->fd[0], (struct sockaddr *)&a, sizeof(a)), 0);
	p->fd[1] = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	(void)fcntl(p->fd[0], F_SETFL, O_NONBLOCK);
	close(l);
	pair_ends(p, k, host, false);
}

static inline void pair_shake(struct pair *p)
{
	struct err e = { 0 };
	enum tls_want c = TLS_WANT_READ, s = TLS_WANT_READ;

	for (int i = 0; i < 10000 && (c != TLS_DONE || s != TLS_DONE); i++) {
		if (c != TLS_DONE)
			c = tls_handshake(p->client, &e);
		if (s != TLS_DONE)
			s = tls_handshake(p->server, &e);
		if (c == TLS_FAILED || s == TLS_FAILED)
			fail_msg("handshake: %s", e.text);
	}
	assert_int_equal(c, TLS_DONE);
	assert_int_equal(s, TLS_DONE);
}

/* The client's verdict on what the server shows. */
static inline enum tls_want pair_verdict(struct pair *p, struct err *e)
{
	enum tls_want c = TLS_WANT_READ, s = TLS_WANT_READ;

	for (int i = 0; i < 20 && c != TLS_DONE && c != TLS_FAILED; i++) {
		c = tls_handshake(p->client, e);
		if (s == TLS_WANT_READ)
			s = tls_handshake(p->server, NULL);
	}
	return c;
}

static inline void pair_close_client(struct pair *p)
{
	tls_free(p->client);
	close(p->fd[0]);
	p->client = NULL;
	p->fd[0] = -1;
}

static inline void pair_close(struct pair *p)
{
	tls_free(p->client);
	tls_free(p->server);
	for (int i = 0; i < 2; i++)
		if (p->fd[i] >= 0)
			close(p->fd[i]);
}

#endif
