// SPDX-License-Identifier: Apache-2.0
/*
 * tls.c: one TLS connection on a non-blocking socket: handshake, bytes, ends, and what went wrong in words. What is
 * allowed and how chains are verified stands in tls_ctx.c, the socket in tls_sock.c.
 */
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "wire/tls_inside.h"

/* A flight of a handshake fits into a few reads; more in one call would be somebody keeping us busy. */
#define HANDSHAKE_RECVS 16

struct tls {
	SSL *ssl;
	struct tls_sock sock;
	bool offer_h2;
	bool broken; /* a fatal error was seen: OpenSSL must not be asked again */
	bool write_over; /* the socket takes no more; what came before may still be read */
	bool cert_failed, cert_is_own, distrusted, left_silently;
	int cert_error, cert_depth;
	const char *refusal;
	bool read_over; /* read_end is the answer of every further tls_read */
	bool read_end_untold;
	ssize_t read_end;
	enum tls_want blocked_on;
	char host[256]; /* client side */
};

struct tls *tls_of(const struct ssl_st *ssl)
{
	return SSL_get_app_data(ssl);
}

bool tls_offers_h2(const struct tls *t)
{
	return t->offer_h2;
}

const char *tls_host(const struct tls *t)
{
	return t->host;
}

void tls_note_cert_error(struct tls *t, int depth, int error, bool own)
{
	t->cert_failed = true;
	t->cert_is_own = own;
	t->cert_error = error;
	t->cert_depth = depth;
}

void tls_note_refusal(struct tls *t, const char *why)
{
	t->cert_failed = true;
	t->refusal = why;
}

/* ---- life */

static int tls_new(struct tls_ctx *c, int fd, struct tls **ret)
{
	struct tls *t = calloc(1, sizeof(*t));
	BIO *bio = NULL;

	if (!t)
		return -ENOMEM;
	t->sock.fd = fd;
	t->blocked_on = TLS_DONE;
	t->ssl = tls_ctx_ssl(c);
	if (t->ssl)
		bio = tls_sock_bio(&t->sock);
	if (!bio) {
		tls_free(t);
		ERR_clear_error();
		return -ENOMEM;
	}
	SSL_set_bio(t->ssl, bio, bio);
	(void)SSL_set_app_data(t->ssl, t);
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
	if (prefix_len > 0) {
		t->sock.prefix = malloc(prefix_len);
		if (!t->sock.prefix) {
			tls_free(t);
			return -ENOMEM;
		}
		memcpy(t->sock.prefix, prefix, prefix_len);
		t->sock.prefix_len = prefix_len;
	}
	SSL_set_accept_state(t->ssl);
	*ret = t;
	return 0;
}

int tls_connect_new(struct tls_ctx *client, int fd, const char *host, struct tls **ret)
{
	struct tls *t;
	char name[sizeof(t->host)];
	int port;

	/* OpenSSL takes ".example.com" to mean any name below it: what is verified has to be one name, whole. */
	if (str_host(str_of(host), name, sizeof(name), &port) || port != -1)
		return -EINVAL;
	int r = tls_new(client, fd, &t);

	if (r)
		return r;
	memcpy(t->host, name, sizeof(name));
	if (!SSL_set_tlsext_host_name(t->ssl, t->host) || !SSL_set1_host(t->ssl, t->host)) {
		ERR_clear_error();
		tls_free(t);
		return -EINVAL;
	}
	SSL_SESSION *session = tls_ctx_take_session(client, t->host);

	if (session)
		(void)SSL_set_session(t->ssl, session);
	SSL_SESSION_free(session);
	SSL_set_connect_state(t->ssl);
	ERR_clear_error();
	*ret = t;
	return 0;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	/* Otherwise OpenSSL takes a connection that ends without close_notify as a reason to spoil its session
	 * (RFC 5246 7.2.1 no longer asks for that), and the next one could not resume. */
	if (t->ssl && !t->broken)
		SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(t->ssl);
	free(t->sock.prefix);
	free(t);
}

/* ---- what went wrong */

/* Alerts that mean "I do not trust your certificate"; SSL_R_*_ALERT_* is the alert's number + 1000. */
static bool is_distrust(int reason)
{
	switch (reason - SSL_AD_REASON_OFFSET) {
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
		return true;
	default:
		return false;
	}
}

/* We are the server, our certificate is out, and all that is missing is the client's part. */
static bool certificate_was_shown(const struct tls *t)
{
	if (!SSL_is_server(t->ssl) || SSL_session_reused(t->ssl))
		return false;
	/* TLS 1.3: our Finished is out, theirs is not in; TLS 1.2: ServerHelloDone was said. */
	return (SSL_in_init(t->ssl) && SSL_get_finished(t->ssl, NULL, 0) > 0) ||
	       SSL_get_state(t->ssl) == TLS_ST_SW_SRVR_DONE;
}

/* Marks the connection as unusable and keeps what the error queue knows. */
static void tls_break(struct tls *t)
{
	unsigned long first = ERR_peek_error();

	t->broken = true;
	if (first && is_distrust(ERR_GET_REASON(first)))
		t->distrusted = true;
	/* Node and Java's HttpClient hang up without an alert. */
	if ((t->sock.ended || t->sock.error) && certificate_was_shown(t))
		t->distrusted = t->left_silently = true;
}

/* What OpenSSL's words leave open: what to do about it. */
static const char *cert_advice(int error)
{
	switch (error) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return "; a private CA has to be named in upstream_ca";
	case X509_V_ERR_CERT_NOT_YET_VALID:
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "; is this machine's clock right?";
	case X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER:
	case X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER:
		return "; RFC 5280 wants it in all but self-signed certificates: have this one made again";
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_CRL_NOT_YET_VALID:
		return "; put a current list into upstream_ca";
	default:
		return "";
	}
}

static void say_cert_error(const struct tls *t, struct err *e)
{
	if (t->cert_is_own)
		(void)err_set(e, EACCES, "%s: the chain leads to purse's own CA, which never vouches for a provider",
			      t->host);
	else if (t->refusal)
		(void)err_set(e, EACCES, "%s: %s", t->host, t->refusal);
	else if (t->cert_error == X509_V_ERR_HOSTNAME_MISMATCH)
		(void)err_set(e, EACCES, "%s: the certificate is for another name", t->host);
	else
		(void)err_set(e, EACCES, "%s: %s (certificate %d of the chain)%s", t->host,
			      X509_verify_cert_error_string(t->cert_error), t->cert_depth,
			      cert_advice(t->cert_error));
}

static void say_failure(const struct tls *t, struct err *e)
{
	const char *who = t->host, *colon = t->host[0] ? ": " : "";
	int reason = ERR_GET_REASON(ERR_peek_error());
	char text[160];

	if (t->cert_failed)
		say_cert_error(t, e);
	else if (t->left_silently)
		(void)err_set(e, ECONNRESET, "the client hung up when it saw the certificate");
	else if (ERR_peek_error() && reason > SSL_AD_REASON_OFFSET)
		(void)err_set(e, EPROTO, "%s%sthe other side refused with the alert \"%s\"", who, colon,
			      SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET));
	else if (ERR_peek_error()) {
		tls_error_text(text, sizeof(text));
		(void)err_set(e, EPROTO, "%s%sTLS handshake: %s", who, colon, text);
	} else
		(void)err_set(e, ECONNRESET, "%s%sthe connection ended during the TLS handshake%s%s", who, colon,
			      t->sock.error ? ": " : "", t->sock.error ? strerror(t->sock.error) : "");
}

static enum tls_want handshake_failed(struct tls *t, struct err *e)
{
	tls_break(t);
	say_failure(t, e);
	ERR_clear_error();
	return TLS_FAILED;
}

bool tls_failed_on_cert(const struct tls *t)
{
	return t->cert_failed;
}

bool tls_client_distrusts_us(const struct tls *t)
{
	return t->distrusted;
}

/* ---- handshake */

/* OpenSSL 3.0 takes whatever protocol a server picks, also one that we did not offer. */
static bool alpn_is_ours(const struct tls *t)
{
	const unsigned char *name;
	unsigned int n;

	if (SSL_is_server(t->ssl))
		return true;
	SSL_get0_alpn_selected(t->ssl, &name, &n);
	return n == 0 || (n == 8 && !memcmp(name, "http/1.1", 8));
}

enum tls_want tls_handshake(struct tls *t, struct err *e)
{
	if (t->broken)
		return handshake_failed(t, e);
	ERR_clear_error();
	t->sock.recvs_left = HANDSHAKE_RECVS;
	int r = SSL_do_handshake(t->ssl);

	if (r != 1) {
		switch (SSL_get_error(t->ssl, r)) {
		case SSL_ERROR_WANT_READ:
			return TLS_WANT_READ;
		case SSL_ERROR_WANT_WRITE:
			return TLS_WANT_WRITE;
		default:
			return handshake_failed(t, e);
		}
	}
	if (!alpn_is_ours(t)) {
		t->broken = true;
		(void)err_set(e, EPROTO, "%s: the server chose a protocol (ALPN) that was not offered", t->host);
		return TLS_FAILED;
	}
	return TLS_DONE;
}

/* ---- bytes */

static ssize_t io_error(struct tls *t, int r)
{
	ssize_t ret;

	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		t->blocked_on = TLS_WANT_READ;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		t->blocked_on = TLS_WANT_WRITE;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		ret = t->sock.error ? -t->sock.error : -ECONNRESET;
		break;
	default:
		ret = -EPROTO;
	}
	/* In TLS 1.3 a client that distrusts us may say so only after its own part of the handshake. */
	tls_break(t);
	ERR_clear_error();
	return ret;
}

/*
 * OpenSSL has no whole record left. It also gives its buffers back: it allocates the one for writing whenever a ticket
 * comes, and would hold it until the next write. In the middle of a record, versions before 3.0.14 freed what they
 * still read into (CVE-2024-4741).
 */
static void stop_reading(struct tls *t)
{
	t->sock.fresh = false;
	if (!strcmp(SSL_rstate_string(t->ssl), "RH"))
		(void)SSL_free_buffers(t->ssl);
}

ssize_t tls_read(struct tls *t, void *p, size_t n)
{
	size_t got = 0;
	ssize_t r;

	ASSERT(n > 0 && n <= SSIZE_MAX);
	if (t->read_over) {
		t->read_end_untold = false;
		return t->read_end;
	}
	if (t->broken)
		return -ECONNRESET;
	/* One recv, then all records that came with it: what is behind the last whole one is not asked for again. */
	t->sock.recvs_left = 1;
	do {
		size_t part = 0;
		ERR_clear_error();
		int ok = SSL_read_ex(t->ssl, (char *)p + got, n - got, &part);
		got += part;
		r = ok ? 1 : io_error(t, ok);
	} while (r > 0 && got < n);
	if (r == -EAGAIN)
		stop_reading(t);
	if (r > 0 || r == -EAGAIN)
		return got ? (ssize_t)got : -EAGAIN;
	t->read_over = true;
	t->read_end = r;
	t->read_end_untold = got > 0;
	return got ? (ssize_t)got : r;
}

/*
 * A write that has to read first: the peer sent half a handshake message. A server may split a large ticket over
 * records; all that a client has to say after its handshake are five bytes, and one that stops
 * in the middle of them wants us to turn in circles on a socket that is always writable.
 */
static ssize_t write_error(struct tls *t, int r)
{
	ssize_t ret;

	if (SSL_get_error(t->ssl, r) == SSL_ERROR_SYSCALL) {
		t->write_over = true;
		ERR_clear_error();
		return t->sock.error ? -t->sock.error : -ECONNRESET;
	}
	ret = io_error(t, r);
	if (ret != -EAGAIN || t->blocked_on != TLS_WANT_READ || !SSL_is_server(t->ssl))
		return ret;
	tls_break(t);
	return -EPROTO;
}

ssize_t tls_write(struct tls *t, const void *p, size_t n)
{
	size_t sent = 0;
	ssize_t r;

	ASSERT(n > 0 && n <= SSIZE_MAX);
	if (t->broken || t->write_over)
		return t->sock.error ? -t->sock.error : -ECONNRESET;
	t->sock.recvs_left = 1;
	do {
		size_t part = 0;
		ERR_clear_error();
		int ok = SSL_write_ex(t->ssl, (const char *)p + sent, n - sent, &part);
		sent += part;
		r = ok ? 1 : write_error(t, ok);
	} while (r > 0 && sent < n);
	if (sent)
		return (ssize_t)sent;
	return r ? r : -EPIPE;
}

enum tls_want tls_blocked_on(const struct tls *t)
{
	return t->blocked_on;
}

/* OpenSSL's own answer counts half a record too: whoever acted on that would turn in circles until the rest comes. */
bool tls_has_pending(const struct tls *t)
{
	if (t->read_over || t->broken)
		return t->read_end_untold;
	return t->sock.prefix || (t->sock.fresh && SSL_has_pending(t->ssl));
}

void tls_shutdown(struct tls *t)
{
	if (t->broken || t->write_over || !SSL_is_init_finished(t->ssl))
		return;
	ERR_clear_error();
	t->sock.recvs_left = 0;
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

bool tls_was_resumed(const struct tls *t)
{
	return SSL_session_reused(t->ssl);
}
