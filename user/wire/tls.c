// SPDX-License-Identifier: Apache-2.0
/*
 * tls.c: one TLS connection on a non-blocking socket. A BIO of our own serves the sniffed bytes first and then the
 * socket, so that nothing has to be peeked, and never raises SIGPIPE. What is allowed and how chains are verified stands in tls_ctx.c.
 */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "wire/tls_inside.h"

struct tls {
	SSL *ssl;
	int fd;
	char *prefix; /* sniffed bytes not yet given to OpenSSL; NULL when used up */
	size_t prefix_len, prefix_at;
	bool offer_h2, broken, cert_failed, distrusted;
	int cert_error, cert_depth;
	char host[256]; /* client side */
};

/* ---- the BIO */

static int bio_read(BIO *b, char *to, size_t n, size_t *ret)
{
	struct tls *t = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	if (t->prefix) {
		size_t left = t->prefix_len - t->prefix_at;
		*ret = n < left ? n : left;
		memcpy(to, t->prefix + t->prefix_at, *ret);
		t->prefix_at += *ret;
		if (t->prefix_at == t->prefix_len) {
			free(t->prefix);
			t->prefix = NULL;
		}
		return 1;
	}
	ssize_t got = recv(t->fd, to, n, 0);
	if (got > 0) {
		*ret = (size_t)got;
		return 1;
	}
	*ret = 0;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(b);
	return 0;
}

static int bio_write(BIO *b, const char *p, size_t n, size_t *ret)
{
	struct tls *t = BIO_get_data(b);
	ssize_t sent = send(t->fd, p, n, MSG_NOSIGNAL);

	BIO_clear_retry_flags(b);
	if (sent >= 0) {
		*ret = (size_t)sent;
		return 1;
	}
	*ret = 0;
	if (errno == EAGAIN || errno == EINTR)
		BIO_set_retry_write(b);
	return 0;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	/* OpenSSL flushes after each flight; there is nothing behind us to flush. */
	return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_DUP;
}

static BIO_METHOD *bio_method;
static int ex_index;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_method(void)
{
	ex_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "purse socket");
	if (bio_method) {
		(void)BIO_meth_set_read_ex(bio_method, bio_read);
		(void)BIO_meth_set_write_ex(bio_method, bio_write);
		(void)BIO_meth_set_ctrl(bio_method, bio_ctrl);
	}
}

int tls_ex_index(void) { return ex_index; }
bool tls_offers_h2(const struct tls *t) { return t && t->offer_h2; }

void tls_note_cert_error(SSL *ssl, int depth, int error)
{
	struct tls *t = SSL_get_ex_data(ssl, ex_index);

	t->cert_failed = true;
	t->cert_error = error;
	t->cert_depth = depth;
}

static int tls_new(struct tls_ctx *c, int fd, struct tls **ret)
{
	struct tls *t = calloc(1, sizeof *t);
	BIO *bio = NULL;

	(void)pthread_once(&once, make_method);
	if (t && bio_method && (t->ssl = SSL_new(c->ssl)))
		bio = BIO_new(bio_method);
	if (!bio || !SSL_set_ex_data(t->ssl, ex_index, t)) {
		BIO_free(bio);
		tls_free(t);
		ERR_clear_error();
		return -ENOMEM;
	}
	t->fd = fd;
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	*ret = t;
	return 0;
}

int tls_accept_new(struct tls_ctx *leaf, int fd, const void *prefix, size_t prefix_len, bool offer_h2, struct tls **ret)
{
	struct tls *t;
	int r = tls_new(leaf, fd, &t);

	if (r)
		return r;
	t->offer_h2 = offer_h2;
	if (prefix_len) {
		t->prefix = malloc(prefix_len);
		if (!t->prefix) {
			tls_free(t);
			return -ENOMEM;
		}
		memcpy(t->prefix, prefix, prefix_len);
		t->prefix_len = prefix_len;
	}
	SSL_set_accept_state(t->ssl);
	*ret = t;
	return 0;
}

int tls_connect_new(struct tls_ctx *client, int fd, const char *host, struct tls **ret)
{
	struct tls *t;
	int r = tls_new(client, fd, &t);

	if (r)
		return r;
	(void)snprintf(t->host, sizeof t->host, "%s", host);
	if (!SSL_set_tlsext_host_name(t->ssl, t->host) || !SSL_set1_host(t->ssl, t->host)) {
		ERR_clear_error();
		tls_free(t);
		return -EINVAL;
	}
	SSL_SESSION *session = tls_ctx_take_session(client, host);
	if (session)
		(void)SSL_set_session(t->ssl, session);
	SSL_SESSION_free(session);
	SSL_set_connect_state(t->ssl);
	*ret = t;
	return 0;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	free(t->prefix);
	free(t);
}

/* ---- handshake */

static bool is_distrust(unsigned long code)
{
	switch (ERR_GET_REASON(code)) {
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
		return true;
	default:
		return false;
	}
}

static void say_cert_error(const struct tls *t, struct err *e)
{
	if (t->cert_error == X509_V_ERR_CERT_REJECTED)
		(void)err_set(e, EACCES, "%s: the chain leads to purse's own CA, which never vouches for a provider", t->host);
	else if (t->cert_error == X509_V_ERR_HOSTNAME_MISMATCH)
		(void)err_set(e, EACCES, "%s: the certificate is for another name", t->host);
	else
		(void)err_set(e, EACCES, "%s: %s (certificate %d of the chain)", t->host,
			      X509_verify_cert_error_string(t->cert_error), t->cert_depth);
}

static enum tls_want failed(struct tls *t, int ssl_error, int saved_errno, struct err *e)
{
	unsigned long code = ERR_peek_error();
	char text[160];

	t->broken = true;
	t->distrusted = code && is_distrust(code);
	if (t->cert_failed)
		say_cert_error(t, e);
	else if (code) {
		tls_error_text(text, sizeof text);
		(void)err_set(e, EPROTO, "%s%s%s", t->host, t->host[0] ? ": " : "", text);
	} else
		(void)err_set(e, ECONNRESET, "%s%sthe connection closed during the TLS handshake%s%s", t->host,
			      t->host[0] ? ": " : "", saved_errno ? ": " : "", saved_errno ? strerror(saved_errno) : "");
	ERR_clear_error();
	return TLS_FAILED;
}

enum tls_want tls_handshake(struct tls *t, struct err *e)
{
	ERR_clear_error();
	errno = 0;
	int r = SSL_do_handshake(t->ssl);
	if (r == 1)
		return TLS_DONE;
	int saved = errno, why = SSL_get_error(t->ssl, r);
	if (why == SSL_ERROR_WANT_READ)
		return TLS_WANT_READ;
	if (why == SSL_ERROR_WANT_WRITE)
		return TLS_WANT_WRITE;
	return failed(t, why, saved, e);
}

bool tls_failed_on_cert(const struct tls *t) { return t->cert_failed; }
bool tls_client_distrusts_us(const struct tls *t) { return t->distrusted; }

/* ---- bytes */

static ssize_t io_error(struct tls *t, int r)
{
	int saved = errno, why = SSL_get_error(t->ssl, r);

	switch (why) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		/* In TLS 1.3 a client that distrusts us says so only after its handshake is done. */
		t->distrusted = ERR_peek_error() && is_distrust(ERR_peek_error());
		t->broken = true;
		ERR_clear_error();
		return saved == ETIMEDOUT ? -ETIMEDOUT : -ECONNRESET;
	}
}

ssize_t tls_read(struct tls *t, void *p, size_t n)
{
	size_t got = 0;

	if (t->broken)
		return -ECONNRESET;
	ERR_clear_error();
	errno = 0;
	int r = SSL_read_ex(t->ssl, p, n, &got);
	return r ? (ssize_t)got : io_error(t, r);
}

ssize_t tls_write(struct tls *t, const void *p, size_t n)
{
	size_t sent = 0;

	if (t->broken)
		return -ECONNRESET;
	ERR_clear_error();
	errno = 0;
	int r = SSL_write_ex(t->ssl, p, n, &sent);
	if (r)
		return (ssize_t)sent;
	ssize_t why = io_error(t, r);
	return why ? why : -EPIPE;
}

/* Read-ahead may hold whole records that are not decrypted yet: SSL_has_pending sees those too. */
bool tls_has_pending(const struct tls *t) { return !t->broken && (SSL_has_pending(t->ssl) || t->prefix); }

void tls_shutdown(struct tls *t)
{
	if (t->broken || !SSL_is_init_finished(t->ssl))
		return;
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}

bool tls_alpn_is_h2(const struct tls *t)
{
	const unsigned char *name;
	unsigned int n;

	SSL_get0_alpn_selected(t->ssl, &name, &n);
	return n == 2 && !memcmp(name, "h2", 2);
}

bool tls_was_resumed(const struct tls *t) { return SSL_session_reused(t->ssl); }
