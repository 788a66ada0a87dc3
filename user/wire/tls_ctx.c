// SPDX-License-Identifier: Apache-2.0
/*
 * tls_ctx.c: what both sides of TLS allow, set in code and not left to the distribution's defaults, and how a provider's chain is
 * verified. Sessions of providers are kept per verified name and used once (RFC 8446 C.4).
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "wire/tls_inside.h"

/* AEAD with forward secrecy; TLS 1.3 has nothing else. */
#define TLS12_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK"
#define GROUPS "X25519:P-256:P-384"
#define SESSIONS_MAX 256

void tls_error_text(char *ret, size_t size)
{
	unsigned long code = ERR_get_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	if (size)
		(void)snprintf(ret, size, "%s", reason ? reason : "unknown TLS error");
	ERR_clear_error();
}

int tls_spki_sha256(X509 *cert, unsigned char ret[32])
{
	unsigned char *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);

	if (n <= 0)
		return -EINVAL;
	int ok = EVP_Digest(der, (size_t)n, ret, NULL, EVP_sha256(), NULL);
	OPENSSL_free(der);
	return ok ? 0 : -EIO;
}

static int common_settings(SSL_CTX *s)
{
	SSL_CTX_set_security_level(s, 2);
	SSL_CTX_set_options(s, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(s, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				    SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(s, 1);
	/* With read-ahead the buffer takes several records in one recv. */
	SSL_CTX_set_default_read_buffer_len(s, 64 * 1024);
	return SSL_CTX_set_min_proto_version(s, TLS1_2_VERSION) && SSL_CTX_set_cipher_list(s, TLS12_CIPHERS) &&
			       SSL_CTX_set1_groups_list(s, GROUPS) ?
		       0 :
		       -EINVAL;
}

static struct tls_ctx *ctx_new(const SSL_METHOD *method, bool is_client)
{
	struct tls_ctx *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	atomic_store(&c->refs, 1);
	c->is_client = is_client;
	pthread_mutex_init(&c->lock, NULL);
	c->ssl = SSL_CTX_new(method);
	if (!c->ssl || common_settings(c->ssl)) {
		tls_ctx_unref(c);
		return NULL;
	}
	SSL_CTX_set_app_data(c->ssl, c);
	return c;
}

struct tls_ctx *tls_ctx_ref(struct tls_ctx *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

static void free_session(void *s) { SSL_SESSION_free(s); }

void tls_ctx_unref(struct tls_ctx *c)
{
	if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	SSL_CTX_free(c->ssl);
	map_free(c->sessions, free_session);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* ---- towards agents */

/* h2 before http/1.1 if the connection offers it (its struct tls says so); no overlap is an alert. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in,
		       unsigned int inlen, void *arg)
{
	static const unsigned char both[] = "\x02h2\x08http/1.1", h1[] = "\x08http/1.1";
	bool h2 = tls_offers_h2(SSL_get_ex_data(ssl, tls_ex_index()));
	unsigned char *chosen = NULL;

	if (SSL_select_next_proto(&chosen, outlen, h2 ? both : h1, h2 ? sizeof both - 1 : sizeof h1 - 1, in, inlen) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

int tls_server_ctx_new(X509 *leaf, EVP_PKEY *key, X509 *issuer, struct tls_ctx **ret)
{
	static const unsigned char id[] = "purse";
	struct tls_ctx *c = ctx_new(TLS_server_method(), false);

	if (!c)
		return -ENOMEM;
	SSL_CTX_set_alpn_select_cb(c->ssl, choose_alpn, NULL);
	SSL_CTX_set_num_tickets(c->ssl, 1);
	SSL_CTX_set_max_early_data(c->ssl, 0);
	if (!SSL_CTX_use_certificate(c->ssl, leaf) || !SSL_CTX_use_PrivateKey(c->ssl, key) ||
	    !SSL_CTX_add1_chain_cert(c->ssl, issuer) || !SSL_CTX_set_session_id_context(c->ssl, id, sizeof id - 1)) {
		ERR_clear_error();
		tls_ctx_unref(c);
		return -EINVAL;
	}
	*ret = c;
	return 0;
}

/* ---- towards providers */

/* Our own CA never vouches for a provider, even if somebody put it into the system store. */
static bool is_own_key(const struct tls_ctx *c, X509 *cert)
{
	unsigned char digest[32];

	if (tls_spki_sha256(cert, digest))
		return true;
	for (size_t i = 0; i < c->nown_keys; i++)
		if (!memcmp(digest, c->own_keys[i], sizeof digest))
			return true;
	return false;
}

static int check_certificate(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct tls_ctx *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	X509 *cert = X509_STORE_CTX_get_current_cert(store);

	if (ok && cert && is_own_key(c, cert)) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
		ok = 0;
	}
	if (!ok)
		tls_note_cert_error(ssl, X509_STORE_CTX_get_error_depth(store), X509_STORE_CTX_get_error(store));
	return ok;
}

/* Called by OpenSSL when a ticket came; 1 = we took the reference. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_ctx *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	void *old = NULL;
	int r = -1;

	if (!host || !SSL_SESSION_is_resumable(session))
		return 0;
	pthread_mutex_lock(&c->lock);
	if (map_count(c->sessions) < SESSIONS_MAX || map_find(c->sessions, str_of(host)))
		r = map_put(c->sessions, str_of(host), session, &old);
	pthread_mutex_unlock(&c->lock);
	SSL_SESSION_free(old);
	return r == 0;
}

SSL_SESSION *tls_ctx_take_session(struct tls_ctx *c, const char *host)
{
	pthread_mutex_lock(&c->lock);
	SSL_SESSION *s = map_remove(c->sessions, str_of(host));
	pthread_mutex_unlock(&c->lock);
	return s;
}

static int load_roots(struct tls_ctx *c, const char *extra_ca, struct err *e)
{
	char text[160];

	if (!SSL_CTX_set_default_verify_paths(c->ssl)) {
		tls_error_text(text, sizeof text);
		return err_set(e, EIO, "upstream TLS: system roots cannot be loaded: %s", text);
	}
	ERR_clear_error();
	if (extra_ca && !SSL_CTX_load_verify_locations(c->ssl, extra_ca, NULL)) {
		tls_error_text(text, sizeof text);
		return err_set(e, EINVAL, "upstream_ca: \"%s\" is not a readable PEM file with certificates: %s", extra_ca,
			       text);
	}
	return 0;
}

int tls_client_ctx_new(const char *extra_ca, const unsigned char (*own_keys)[32], size_t nown_keys, struct tls_ctx **ret,
		       struct err *e)
{
	static const unsigned char alpn[] = "\x08http/1.1";
	struct tls_ctx *c = ctx_new(TLS_client_method(), true);

	if (!c || !(c->sessions = map_new()) || nown_keys > TLS_OWN_KEYS_MAX) {
		tls_ctx_unref(c);
		return err_set(e, ENOMEM, "upstream TLS: no memory");
	}
	for (size_t i = 0; i < nown_keys; i++)
		memcpy(c->own_keys[i], own_keys[i], 32);
	c->nown_keys = nown_keys;

	int r = load_roots(c, extra_ca, e);
	if (r) {
		tls_ctx_unref(c);
		return r;
	}
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, check_certificate);
	SSL_CTX_set_purpose(c->ssl, X509_PURPOSE_SSL_SERVER);
	SSL_CTX_set_verify_depth(c->ssl, 8);
	X509_VERIFY_PARAM_set_hostflags(SSL_CTX_get0_param(c->ssl),
					X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	/* Chains that break RFC 5280 in ways which matter (no CA flag, wrong key usage) are refused. */
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(c->ssl), X509_V_FLAG_X509_STRICT | X509_V_FLAG_TRUSTED_FIRST);
	(void)SSL_CTX_set_alpn_protos(c->ssl, alpn, sizeof alpn - 1);
	SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->ssl, keep_session);
	*ret = c;
	return 0;
}
