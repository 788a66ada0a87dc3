// SPDX-License-Identifier: Apache-2.0
/*
 * tls_ctx.c: what both sides of TLS allow, set in code and not left to the distribution's defaults, and how a
 * provider's chain is verified. Sessions of providers are kept per verified name.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/str.h"
#include "wire/tls_inside.h"

/* AEAD with forward secrecy; TLS 1.3 has nothing else. AES-128 first: it is the cheapest where there is hardware
 * for it, and a client without puts ChaCha20 first, which SSL_OP_PRIORITIZE_CHACHA then follows. */
#define TLS12_CIPHERS "ECDHE+AESGCM+AES128:ECDHE+CHACHA20:ECDHE+AESGCM+AES256:!aNULL:!PSK"
#define TLS13_CIPHERS "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
#define GROUPS "X25519:P-256:P-384"
#define SIGNATURES \
	"ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA384:RSA+SHA384:" \
	"ECDSA+SHA512:RSA-PSS+SHA512:RSA+SHA512:ed25519"
/* Several records per recv; given back whenever it is empty (SSL_MODE_RELEASE_BUFFERS). */
#define READ_BUFFER (32 * 1024)
#define CHAIN_DEPTH 8
/* Longer ones are taken in the order they come in. */
#define ORDERED_MAX 16
#define HOSTS_MAX 256
#define SESSIONS_PER_HOST 4
/* A resumed connection is not verified again: bounds for how long a verdict lives on. */
#define SESSION_SECONDS 3600

void tls_error_text(char *ret, size_t size)
{
	unsigned long code = ERR_get_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	(void)snprintf(ret, size, "%s", reason ? reason : "unknown TLS error");
	ERR_clear_error();
}

int tls_spki_sha256(struct x509_st *cert, unsigned char ret[32])
{
	unsigned char *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);

	if (n <= 0)
		return -EINVAL;
	int ok = EVP_Digest(der, (size_t)n, ret, NULL, EVP_sha256(), NULL);
	OPENSSL_free(der);
	return ok ? 0 : -EIO;
}

/* ---- both sides */

static bool set_common(SSL_CTX *s)
{
	SSL_CTX_set_security_level(s, 2);
	SSL_CTX_set_options(s, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
				       SSL_OP_PRIORITIZE_CHACHA);
	/* A file of the distribution may have set it; it would make truncation look like a good end. */
	SSL_CTX_clear_options(s, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |
					 SSL_OP_LEGACY_SERVER_CONNECT);
	SSL_CTX_set_mode(s, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				    SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(s, 1);
	SSL_CTX_set_default_read_buffer_len(s, READ_BUFFER);
	SSL_CTX_set_max_early_data(s, 0);
	return SSL_CTX_set_min_proto_version(s, TLS1_2_VERSION) && SSL_CTX_set_max_proto_version(s, 0) &&
	       SSL_CTX_set_cipher_list(s, TLS12_CIPHERS) && SSL_CTX_set_ciphersuites(s, TLS13_CIPHERS) &&
	       SSL_CTX_set1_groups_list(s, GROUPS) && SSL_CTX_set1_sigalgs_list(s, SIGNATURES);
}

static SSL_CTX *ssl_ctx_new(struct tls_ctx *c, const SSL_METHOD *method)
{
	SSL_CTX *s = SSL_CTX_new(method);

	if (!s || !set_common(s)) {
		SSL_CTX_free(s);
		ERR_clear_error();
		return NULL;
	}
	SSL_CTX_set_app_data(s, c);
	return s;
}

static struct tls_ctx *ctx_new(const SSL_METHOD *method)
{
	struct tls_ctx *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	atomic_store(&c->refs, 1);
	(void)pthread_mutex_init(&c->lock, NULL);
	c->ssl = ssl_ctx_new(c, method);
	if (!c->ssl) {
		tls_ctx_unref(c);
		return NULL;
	}
	return c;
}

struct ssl_st *tls_ctx_ssl(struct tls_ctx *c)
{
	pthread_mutex_lock(&c->lock);
	struct ssl_st *s = SSL_new(c->ssl); /* which takes a reference of the context */
	pthread_mutex_unlock(&c->lock);
	return s;
}

struct tls_ctx *tls_ctx_ref(struct tls_ctx *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

/* ---- sessions of providers */

struct host_sessions {
	SSL_SESSION *all[SESSIONS_PER_HOST]; /* oldest first */
	size_t n;
};

static void host_sessions_free(void *value)
{
	struct host_sessions *h = value;

	while (h->n)
		SSL_SESSION_free(h->all[--h->n]);
	free(h);
}

void tls_ctx_unref(struct tls_ctx *c)
{
	if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	SSL_CTX_free(c->ssl);
	map_free(c->sessions, host_sessions_free);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

static struct host_sessions *sessions_of(struct tls_ctx *c, const char *host)
{
	struct host_sessions *h = map_find(c->sessions, str_of(host));

	if (h || map_count(c->sessions) >= HOSTS_MAX)
		return h;
	h = calloc(1, sizeof(*h));
	if (h && map_put(c->sessions, str_of(host), h, NULL)) {
		free(h);
		h = NULL;
	}
	return h;
}

/* Called by OpenSSL when a ticket came; 1 = we took the reference. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_ctx *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	SSL_SESSION *old = NULL;
	bool kept = false;

	if (SSL_get_verify_result(ssl) != X509_V_OK || !SSL_SESSION_is_resumable(session))
		return 0;
	pthread_mutex_lock(&c->lock);
	/* One of a context that was replaced vouches for what may not be trusted any more: a resumed session is not verified again. */
	struct host_sessions *h = SSL_get_SSL_CTX(ssl) == c->ssl ? sessions_of(c, tls_host(tls_of(ssl))) : NULL;
	if (h) {
		if (h->n == SESSIONS_PER_HOST) {
			old = h->all[0];
			memmove(&h->all[0], &h->all[1], --h->n * sizeof(h->all[0]));
		}
		h->all[h->n++] = session;
		kept = true;
	}
	pthread_mutex_unlock(&c->lock);
	SSL_SESSION_free(old);
	return kept;
}

static bool is_usable(const SSL_SESSION *s)
{
	const X509 *cert = SSL_SESSION_get0_peer((SSL_SESSION *)s);
	long age = (long)time(NULL) - SSL_SESSION_get_time(s);

	return cert && SSL_SESSION_is_resumable(s) && age >= 0 && age < SESSION_SECONDS &&
	       age < SSL_SESSION_get_timeout(s) && X509_cmp_current_time(X509_get0_notAfter(cert)) > 0;
}

/* TLS 1.3 tickets are used once (RFC 8446 C.4), earlier sessions as often as one likes. */
static SSL_SESSION *newest(struct host_sessions *h)
{
	while (h->n) {
		SSL_SESSION *s = h->all[h->n - 1];
		if (is_usable(s) && SSL_SESSION_get_protocol_version(s) < TLS1_3_VERSION) {
			(void)SSL_SESSION_up_ref(s);
			return s;
		}
		h->n--;
		if (is_usable(s))
			return s;
		SSL_SESSION_free(s);
	}
	return NULL;
}

struct ssl_session_st *tls_ctx_take_session(struct tls_ctx *c, const char *host)
{
	pthread_mutex_lock(&c->lock);
	struct host_sessions *h = map_find(c->sessions, str_of(host));
	SSL_SESSION *s = h ? newest(h) : NULL;
	pthread_mutex_unlock(&c->lock);
	return s;
}

/* ---- towards agents */

/* h2 before http/1.1 if the connection offers it; no overlap is an alert. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in,
		       unsigned int inlen, void *arg)
{
	static const unsigned char both[] = "\x02h2\x08http/1.1", h1[] = "\x08http/1.1";
	bool h2 = tls_offers_h2(tls_of(ssl));
	unsigned char *chosen = NULL;

	if (SSL_select_next_proto(&chosen, outlen, h2 ? both : h1, h2 ? sizeof(both) - 1 : sizeof(h1) - 1, in,
				  inlen) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

int tls_server_ctx_new(struct x509_st *leaf, struct evp_pkey_st *key, struct x509_st *issuer, struct tls_ctx **ret)
{
	static const unsigned char id[] = "purse";
	struct tls_ctx *c = ctx_new(TLS_server_method());

	if (!c)
		return -ENOMEM;
	SSL_CTX_set_alpn_select_cb(c->ssl, choose_alpn, NULL);
	/* Tickets carry the whole session under a key of this context: nothing is kept per agent. */
	SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_num_tickets(c->ssl, 1);
	if (!SSL_CTX_use_certificate(c->ssl, leaf) || !SSL_CTX_use_PrivateKey(c->ssl, key) ||
	    (issuer && !SSL_CTX_add1_chain_cert(c->ssl, issuer)) ||
	    !SSL_CTX_set_session_id_context(c->ssl, id, sizeof(id) - 1)) {
		tls_ctx_unref(c);
		return -EINVAL;
	}
	*ret = c;
	return 0;
}

/* ---- towards providers */

/* Our own CA never vouches for a provider, even if somebody put it into the system store. In doubt it is ours. */
static bool is_own_key(struct tls_ctx *c, X509 *cert)
{
	unsigned char digest[32];
	bool own = false;

	if (tls_spki_sha256(cert, digest))
		return true;
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; !own && i < c->nown_keys; i++)
		own = !memcmp(digest, c->own_keys[i], sizeof(digest));
	pthread_mutex_unlock(&c->lock);
	return own;
}

void tls_client_refuse_keys(struct tls_ctx *c, const unsigned char (*keys)[32], size_t n)
{
	ASSERT(n <= TLS_OWN_KEYS_MAX);
	pthread_mutex_lock(&c->lock);
	memcpy(c->own_keys, keys, n * sizeof(keys[0]));
	c->nown_keys = n;
	pthread_mutex_unlock(&c->lock);
}

/*
 * The strict flag also finds formal faults in roots, which are trusted because they are installed and not for what they say about
 * themselves (RFC 5280 6.1). A private CA out of `openssl req -x509` has no key usage, for one.
 */
static bool is_formal_fault_of_root(X509_STORE_CTX *store)
{
	if (X509_STORE_CTX_get_error_depth(store) != sk_X509_num(X509_STORE_CTX_get0_chain(store)) - 1)
		return false;
	switch (X509_STORE_CTX_get_error(store)) {
	case X509_V_ERR_CA_CERT_MISSING_KEY_USAGE:
	case X509_V_ERR_CA_BCONS_NOT_CRITICAL:
	case X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER:
	case X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER:
		return true;
	default:
		return false;
	}
}

/*
 * What OpenSSL lets pass in the server's own certificate: one of a CA, and one that may not sign, as every handshake of ours asks for
 * (RFC 5246 7.4.2, RFC 8446 4.4.2.2). One that is trusted as it stands, out of `openssl req -x509`, may be both.
 */
static const char *fault_of_leaf(X509_STORE_CTX *store)
{
	X509 *cert = X509_STORE_CTX_get_current_cert(store);

	if (X509_STORE_CTX_get_error_depth(store) > 0 || sk_X509_num(X509_STORE_CTX_get0_chain(store)) < 2)
		return NULL;
	/* Not X509_check_ca: that is false where the key usage contradicts. */
	if (X509_get_extension_flags(cert) & EXFLAG_CA)
		return "the certificate is one of a CA (CA:TRUE), not of a server";
	if (!(X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE))
		return "the certificate's key usage does not include digitalSignature, which TLS 1.2 and 1.3 need";
	return NULL;
}

/* Called for every certificate of the chain, and for whatever is wrong with it. */
static int check_certificate(int ok, X509_STORE_CTX *store)
{
	/* Where there is no list, nothing is known; providers do not ship any. */
	bool no_list = X509_STORE_CTX_get_error(store) == X509_V_ERR_UNABLE_TO_GET_CRL;

	if (!ok && (no_list || is_formal_fault_of_root(store))) {
		X509_STORE_CTX_set_error(store, X509_V_OK);
		return 1;
	}
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_ctx *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	X509 *cert = X509_STORE_CTX_get_current_cert(store);
	bool own = ok && cert && is_own_key(c, cert);

	if (own) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
		ok = 0;
	}
	const char *fault = ok && cert ? fault_of_leaf(store) : NULL;

	if (fault) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
		tls_note_refusal(tls_of(ssl), fault);
		return 0;
	}
	if (!ok)
		tls_note_cert_error(tls_of(ssl), X509_STORE_CTX_get_error_depth(store),
				    X509_STORE_CTX_get_error(store), own);
	return ok;
}

static bool has_twins(const STACK_OF(X509) *sent)
{
	int n = sk_X509_num(sent);

	for (int i = 0; n <= ORDERED_MAX && i < n; i++)
		for (int j = i + 1; j < n; j++)
			if (!X509_NAME_cmp(X509_get_subject_name(sk_X509_value(sent, i)), X509_get_subject_name(sk_X509_value(sent, j))))
				return true;
	return false;
}

static bool has_known_issuer(X509_STORE_CTX *store, const X509 *cert)
{
	STACK_OF(X509) *found = X509_STORE_CTX_get1_certs(store, X509_get_issuer_name(cert));
	bool known = sk_X509_num(found) > 0;

	sk_X509_pop_free(found, X509_free);
	return known;
}

/*
 * An issuer that two roots vouch for comes with two certificates, and OpenSSL follows the first one only, also where that
 * ends at a root that we do not know. So those with a known issuer come first.
 */
static STACK_OF(X509) *known_first(X509_STORE_CTX *store, const STACK_OF(X509) *sent)
{
	STACK_OF(X509) *ordered = sk_X509_new_null();

	for (int known = 1; ordered && known >= 0; known--)
		for (int i = 0; i < sk_X509_num(sent); i++)
			if (has_known_issuer(store, sk_X509_value(sent, i)) == known)
				(void)sk_X509_push(ordered, sk_X509_value(sent, i));
	return ordered;
}

static int verify_chain(X509_STORE_CTX *store, void *arg)
{
	STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store);
	STACK_OF(X509) *ordered = has_twins(sent) ? known_first(store, sent) : NULL;

	(void)arg;
	if (ordered)
		X509_STORE_CTX_set0_untrusted(store, ordered);
	int r = X509_verify_cert(store);

	X509_STORE_CTX_set0_untrusted(store, sent);
	sk_X509_free(ordered);
	return r;
}

static int load_roots(SSL_CTX *s, const char *extra_ca, struct err *e)
{
	char text[160];

	if (!SSL_CTX_set_default_verify_paths(s)) {
		tls_error_text(text, sizeof(text));
		return err_set(e, EIO, "upstream TLS: the system's roots cannot be loaded: %s", text);
	}
	/* A machine without a bundle is no error here: what it cannot verify is refused. */
	ERR_clear_error();
	if (extra_ca && !SSL_CTX_load_verify_file(s, extra_ca)) {
		tls_error_text(text, sizeof(text));
		return err_set(e, EINVAL, "upstream_ca: \"%s\" is not a readable PEM file with certificates: %s",
			       extra_ca, text);
	}
	return 0;
}

static void set_verification(SSL_CTX *s)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(s);

	SSL_CTX_set_verify(s, SSL_VERIFY_PEER, check_certificate);
	SSL_CTX_set_cert_verify_callback(s, verify_chain, NULL);
	SSL_CTX_set_verify_depth(s, CHAIN_DEPTH);
	(void)SSL_CTX_set_purpose(s, X509_PURPOSE_SSL_SERVER);
	/* "*" stands for exactly one whole label, which is OpenSSL's default beside these. */
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
						       X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	/* Strict: chains that break RFC 5280 in ways that matter (no CA flag, wrong key usage) are refused. */
	(void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT | X509_V_FLAG_TRUSTED_FIRST |
						 X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

static int set_client(SSL_CTX *s, const char *extra_ca, struct err *e)
{
	static const unsigned char alpn[] = "\x08http/1.1";
	int r = load_roots(s, extra_ca, e);

	if (r)
		return r;
	set_verification(s);
	if (!tls_ask_for_staples(s))
		return err_set(e, ENOMEM, "upstream TLS: no memory");
	(void)SSL_CTX_set_alpn_protos(s, alpn, sizeof(alpn) - 1);
	SSL_CTX_set_session_cache_mode(s, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(s, keep_session);
	return 0;
}

int tls_client_ctx_new(const char *extra_ca, const unsigned char (*own_keys)[32], size_t nown_keys,
		       struct tls_ctx **ret, struct err *e)
{
	if (nown_keys > TLS_OWN_KEYS_MAX)
		return err_set(e, EINVAL, "upstream TLS: %zu keys to refuse, %d fit", nown_keys, TLS_OWN_KEYS_MAX);
	struct tls_ctx *c = ctx_new(TLS_client_method());

	if (c)
		c->sessions = map_new();
	if (!c || !c->sessions) {
		tls_ctx_unref(c);
		return err_set(e, ENOMEM, "upstream TLS: no memory");
	}
	if (nown_keys)
		tls_client_refuse_keys(c, own_keys, nown_keys);
	int r = set_client(c->ssl, extra_ca, e);

	if (r) {
		tls_ctx_unref(c);
		return r;
	}
	*ret = c;
	return 0;
}

int tls_client_ctx_load(struct tls_ctx *c, const char *extra_ca, struct err *e)
{
	SSL_CTX *fresh = ssl_ctx_new(c, TLS_client_method());
	struct map *sessions = map_new();
	int r = fresh && sessions ? set_client(fresh, extra_ca, e) : err_set(e, ENOMEM, "upstream TLS: no memory");

	if (r) {
		SSL_CTX_free(fresh);
		map_free(sessions, NULL);
		return r;
	}
	pthread_mutex_lock(&c->lock);
	SSL_CTX *old = c->ssl;
	struct map *old_sessions = c->sessions;
	c->ssl = fresh;
	c->sessions = sessions;
	pthread_mutex_unlock(&c->lock);
	SSL_CTX_free(old);
	map_free(old_sessions, host_sessions_free);
	return 0;
}
