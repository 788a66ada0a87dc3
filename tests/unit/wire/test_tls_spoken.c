// SPDX-License-Identifier: Apache-2.0
/*
 * test_tls_spoken.c: tls.h against plain OpenSSL with everything allowed, and against records written by hand: versions,
 * ciphers, ALPN, renegotiation, key updates.
 */
#include "certs.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>

#include "one_pki.h"

/* ---- what is spoken */

/* A plain OpenSSL peer with everything allowed, against ours. */
struct raw {
	SSL_CTX *ctx;
	SSL *ssl;
};

static void raw_client(struct raw *r, int fd)
{
	r->ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_security_level(r->ctx, 0);
	SSL_CTX_set_min_proto_version(r->ctx, TLS1_VERSION);
	r->ssl = SSL_new(r->ctx);
	SSL_set_fd(r->ssl, fd);
	SSL_set_connect_state(r->ssl);
}

static void raw_free(struct raw *r)
{
	SSL_free(r->ssl);
	SSL_CTX_free(r->ctx);
	ERR_clear_error();
}

/* Ours is the server; true = both sides are through. */
static bool shake_raw(struct pair *p, struct raw *r, struct err *e)
{
	bool done = false;

	for (int i = 0; i < 20; i++) {
		ERR_clear_error();
		int ok = SSL_do_handshake(r->ssl);
		if (ok != 1 && SSL_get_error(r->ssl, ok) != SSL_ERROR_WANT_READ && !done)
			done = false;
		enum tls_want w = done ? TLS_DONE : tls_handshake(p->server, e);
		if (w == TLS_FAILED)
			return false;
		done |= w == TLS_DONE;
		if (done && ok == 1)
			return true;
	}
	return false;
}

static void test_server_refuses_the_old(void **state)
{
	static const struct {
		const char *name, *ciphers, *groups;
		int max;
		bool ok;
	} rows[] = {
		{ "TLS 1.3", NULL, NULL, TLS1_3_VERSION, true },
		{ "TLS 1.2", "ECDHE-ECDSA-AES128-GCM-SHA256", NULL, TLS1_2_VERSION, true },
		{ "TLS 1.2 ChaCha", "ECDHE-ECDSA-CHACHA20-POLY1305", NULL, TLS1_2_VERSION, true },
		{ "TLS 1.1", NULL, NULL, TLS1_1_VERSION, false },
		{ "TLS 1.0", NULL, NULL, TLS1_VERSION, false },
		{ "CBC", "ECDHE-ECDSA-AES128-SHA256", NULL, TLS1_2_VERSION, false },
		{ "CBC SHA1", "ECDHE-ECDSA-AES128-SHA", NULL, TLS1_2_VERSION, false },
		{ "CCM", "ECDHE-ECDSA-AES128-CCM", NULL, TLS1_2_VERSION, false },
		{ "no forward secrecy", "AES128-GCM-SHA256", NULL, TLS1_2_VERSION, false },
		{ "anonymous", "AECDH-AES128-SHA", NULL, TLS1_2_VERSION, false },
		{ "P-521 only", NULL, "P-521", TLS1_3_VERSION, false },
		{ "P-256 only", NULL, "P-256", TLS1_3_VERSION, true },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p;
		struct raw r;
		struct err e = { 0 };
		pair_sockets(&p);
		raw_client(&r, p.fd[0]);
		SSL_set_max_proto_version(r.ssl, rows[i].max);
		if (rows[i].ciphers)
			assert_true(SSL_set_cipher_list(r.ssl, rows[i].ciphers));
		if (rows[i].groups)
			assert_true(SSL_set1_groups_list(r.ssl, rows[i].groups));
		assert_int_equal(tls_accept_new(pki.server, p.fd[1], NULL, 0, false, &p.server), 0);
		bool ok = shake_raw(&p, &r, &e);
		if (ok != rows[i].ok)
			fail_msg("%s: %s", rows[i].name, ok ? "was accepted" : e.text);
		assert_int_equal(ok, e.text[0] == '\0');
		raw_free(&r);
		pair_close(&p);
	}
}

/* We choose: the cheapest with AES in hardware, unless the client says that it has none by putting ChaCha20 first. */
static void test_server_chooses_the_cipher(void **state)
{
	static const struct {
		int version;
		const char *offers, *chosen;
	} rows[] = {
		{ TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256" },
		{ TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305" },
		{ TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305" },
		{ TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384" },
		{ TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256" },
		{ TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p;
		struct raw r;
		struct err e = { 0 };
		pair_sockets(&p);
		raw_client(&r, p.fd[0]);
		SSL_set_max_proto_version(r.ssl, rows[i].version);
		if (rows[i].version == TLS1_3_VERSION)
			assert_true(SSL_set_ciphersuites(r.ssl, rows[i].offers));
		else
			assert_true(SSL_set_cipher_list(r.ssl, rows[i].offers));
		assert_int_equal(tls_accept_new(pki.server, p.fd[1], NULL, 0, false, &p.server), 0);
		assert_true(shake_raw(&p, &r, &e));
		assert_string_equal(SSL_get_cipher_name(r.ssl), rows[i].chosen);
		raw_free(&r);
		pair_close(&p);
	}
}

static void test_alpn(void **state)
{
	static const struct {
		const char *offers;
		bool h2_allowed, ok, is_h2;
	} rows[] = {
		{ "\x02h2\x08http/1.1", true, true, true },   { "\x08http/1.1\x02h2", true, true, true },
		{ "\x02h2\x08http/1.1", false, true, false }, { "\x08http/1.1", true, true, false },
		{ "\x02h2", true, true, true },               { "\x02h2", false, false, false },
		{ "\x02h3\x08spdy/3.1", true, false, false }, { "", true, true, false },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p;
		struct raw r;
		struct err e = { 0 };
		pair_sockets(&p);
		raw_client(&r, p.fd[0]);
		if (rows[i].offers[0])
			assert_int_equal(SSL_set_alpn_protos(r.ssl, (const unsigned char *)rows[i].offers,
							     (unsigned)strlen(rows[i].offers)), 0);
		assert_int_equal(tls_accept_new(pki.server, p.fd[1], NULL, 0, rows[i].h2_allowed, &p.server), 0);
		assert_int_equal(shake_raw(&p, &r, &e), rows[i].ok);
		if (rows[i].ok)
			assert_int_equal(tls_alpn_is_h2(p.server), rows[i].is_h2);
		else
			assert_non_null(strstr(e.text, "no application protocol"));
		raw_free(&r);
		pair_close(&p);
	}
}

static int pick_h2(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in, unsigned int n,
		   void *arg)
{
	*out = (const unsigned char *)"h2";
	*outlen = 2;
	return SSL_TLSEXT_ERR_OK;
}

static void test_client_takes_no_protocol_that_it_did_not_offer(void **state)
{
	struct pair p;
	struct err e = { 0 };
	enum tls_want c = TLS_WANT_READ;

	(void)state;
	SSL_CTX_set_alpn_select_cb(pki.server->ssl, pick_h2, NULL);
	pair_open(&p, &pki, "api.example.com", false);
	for (int i = 0; i < 10 && c != TLS_FAILED && c != TLS_DONE; i++) {
		c = tls_handshake(p.client, &e);
		(void)tls_handshake(p.server, NULL);
	}
	assert_int_equal(c, TLS_FAILED);
	pair_close(&p);
	pki_free(&pki);
	pki_make(&pki, NULL, NULL, NULL);
}

static void test_renegotiation_is_refused(void **state)
{
	struct pair p;
	struct raw r;
	struct err e = { 0 };
	char got[16];

	(void)state;
	pair_sockets(&p);
	raw_client(&r, p.fd[0]);
	SSL_set_max_proto_version(r.ssl, TLS1_2_VERSION);
	assert_int_equal(tls_accept_new(pki.server, p.fd[1], NULL, 0, false, &p.server), 0);
	assert_true(shake_raw(&p, &r, &e));
	assert_true(SSL_renegotiate(r.ssl));
	(void)SSL_do_handshake(r.ssl);
	/* Answered with a warning, and nothing starts anew. */
	assert_int_equal(tls_read(p.server, got, sizeof(got)), -EAGAIN);
	assert_true(SSL_do_handshake(r.ssl) <= 0);
	raw_free(&r);
	pair_close(&p);
}

/* The other way: a provider asks our client to start anew. */
static void test_client_does_not_renegotiate(void **state)
{
	struct pair p;
	struct err e = { 0 };
	char got[16];

	(void)state;
	pair_sockets(&p);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	STACK_OF(X509) *chain = sk_X509_new_null();
	assert_true(sk_X509_push(chain, pki.issuer.x));
	assert_int_equal(SSL_CTX_use_cert_and_key(ctx, pki.leaf.x, pki.leaf.key, chain, 1), 1);
	sk_X509_free(chain);
	SSL *ssl = SSL_new(ctx);
	SSL_set_fd(ssl, p.fd[1]);
	SSL_set_accept_state(ssl);
	assert_int_equal(tls_connect_new(pki.client, p.fd[0], "api.example.com", &p.client), 0);
	enum tls_want w = TLS_WANT_READ;
	for (int i = 0; i < 10 && w != TLS_DONE; i++) {
		w = tls_handshake(p.client, &e);
		(void)SSL_do_handshake(ssl);
	}
	assert_int_equal(w, TLS_DONE);
	assert_int_equal(SSL_do_handshake(ssl), 1);
	assert_true(SSL_renegotiate(ssl));
	assert_int_equal(SSL_do_handshake(ssl), 1); /* the HelloRequest is out */
	int r = -1;
	ERR_clear_error();
	for (int i = 0; i < 10 && r <= 0 && !ERR_peek_error(); i++) {
		(void)tls_read(p.client, got, sizeof(got));
		r = SSL_read(ssl, got, sizeof(got));
	}
	/* A warning came back and no ClientHello. */
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	ERR_clear_error();
	pair_close(&p);
}

static void test_key_updates(void **state)
{
	struct pair p;
	struct raw r;
	struct err e = { 0 };
	char got[16];

	(void)state;
	pair_sockets(&p);
	raw_client(&r, p.fd[0]);
	assert_int_equal(tls_accept_new(pki.server, p.fd[1], NULL, 0, false, &p.server), 0);
	assert_true(shake_raw(&p, &r, &e));
	for (int i = 0; i < 5; i++) {
		assert_true(SSL_key_update(r.ssl, SSL_KEY_UPDATE_REQUESTED));
		assert_int_equal(SSL_write(r.ssl, "abc", 3), 3);
		ssize_t n;
		do
			n = tls_read(p.server, got, sizeof(got));
		while (n == -EAGAIN);
		assert_int_equal(n, 3);
		assert_int_equal(tls_write(p.server, "def", 3), 3);
		assert_int_equal(SSL_read(r.ssl, got, sizeof(got)), 3);
	}
	raw_free(&r);
	pair_close(&p);
}

/* ---- records by hand, since OpenSSL does not split a message of five bytes */

static unsigned char client_secret[32];

static void note_secret(const SSL *ssl, const char *line)
{
	static const char label[] = "CLIENT_TRAFFIC_SECRET_0 ";

	if (strncmp(line, label, sizeof(label) - 1))
		return;
	const char *hex = strrchr(line, ' ') + 1;
	for (size_t i = 0; i < sizeof(client_secret); i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &client_secret[i]), 1);
}

/* RFC 8446 7.1 with an empty context. */
static void expand(const char *label, unsigned char *ret, size_t n)
{
	unsigned char info[64] = { 0, (unsigned char)n };
	size_t len = 3 + (size_t)snprintf((char *)info + 3, sizeof(info) - 3, "tls13 %s", label);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);

	info[2] = (unsigned char)(len - 3);
	info[len++] = 0;
	assert_true(EVP_PKEY_derive_init(c) > 0 && EVP_PKEY_CTX_hkdf_mode(c, EVP_PKEY_HKDEF_MODE_EXPAND_ONLY) > 0 &&
		    EVP_PKEY_CTX_set_hkdf_md(c, EVP_sha256()) > 0 &&
		    EVP_PKEY_CTX_set1_hkdf_key(c, client_secret, sizeof(client_secret)) > 0 &&
		    EVP_PKEY_CTX_add1_hkdf_info(c, info, (int)len) > 0 && EVP_PKEY_derive(c, ret, &n) > 0);
	EVP_PKEY_CTX_free(c);
}

/* The client's seq-th application record, of an inner type. */
static void send_record(int fd, unsigned char seq, unsigned char type, const char *p, size_t n)
{
	unsigned char key[16], iv[12], rec[64] = { 23, 3, 3, 0, (unsigned char)(n + 1 + 16) }, plain[32];
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int out;

	expand("key", key, sizeof(key));
	expand("iv", iv, sizeof(iv));
	iv[11] ^= seq;
	memcpy(plain, p, n);
	plain[n] = type;
	assert_true(EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, key, iv));
	assert_true(EVP_EncryptUpdate(c, NULL, &out, rec, 5));
	assert_true(EVP_EncryptUpdate(c, rec + 5, &out, plain, (int)n + 1));
	assert_true(EVP_EncryptFinal_ex(c, rec + 5 + n + 1, &out));
	assert_true(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, rec + 5 + n + 1));
	EVP_CIPHER_CTX_free(c);
	assert_int_equal(send(fd, rec, 5 + n + 17, 0), 5 + n + 17);
}

/* A key update in two records, and between them we have something to say: an agent that stops there must not keep a
 * worker turning on a writable socket. */
static void test_half_a_key_update(void **state)
{
	char got[16];

	(void)state;
	for (size_t cut = 1; cut <= 5; cut++) {
		struct pair p;
		struct raw r;
		struct err e = { 0 };
		pair_sockets(&p);
		raw_client(&r, p.fd[0]);
		SSL_CTX_set_ciphersuites(r.ctx, "TLS_AES_128_GCM_SHA256");
		SSL_CTX_set_keylog_callback(r.ctx, note_secret);
		assert_int_equal(tls_accept_new(pki.server, p.fd[1], NULL, 0, false, &p.server), 0);
		assert_true(shake_raw(&p, &r, &e));
		send_record(p.fd[0], 0, 22, "\x18\0\0\1\0", cut);
		assert_int_equal(tls_read(p.server, got, sizeof(got)), -EAGAIN);
		assert_false(tls_has_pending(p.server));
		/* OpenSSL begins with the message once its header of four bytes is there. */
		if (cut == 4) {
			assert_int_equal(tls_write(p.server, "hello", 5), -EPROTO);
			assert_int_equal(tls_blocked_on(p.server), TLS_WANT_READ);
			assert_int_equal(tls_write(p.server, "hello", 5), -ECONNRESET);
			assert_int_equal(tls_read(p.server, got, sizeof(got)), -ECONNRESET);
		} else {
			assert_int_equal(tls_write(p.server, "hello", 5), 5);
			assert_int_equal(SSL_read(r.ssl, got, sizeof(got)), 5);
		}
		raw_free(&r);
		pair_close(&p);
	}
}

/* One call takes in what one recv gave, however much the peer sends that is no data. */
static void test_work_of_one_call_is_bounded(void **state)
{
	struct pair p;
	struct raw r;
	struct err e = { 0 };
	char got[16];
	int calls = 0;

	(void)state;
	pair_sockets(&p);
	raw_client(&r, p.fd[0]);
	assert_int_equal(tls_accept_new(pki.server, p.fd[1], NULL, 0, false, &p.server), 0);
	assert_true(shake_raw(&p, &r, &e));
	/* Collected first, so that all of it lies in the socket at once. */
	BIO *all = BIO_new(BIO_s_mem());
	SSL_set0_wbio(r.ssl, all);
	for (int i = 0; i < 3000; i++) {
		assert_true(SSL_key_update(r.ssl, SSL_KEY_UPDATE_NOT_REQUESTED));
		assert_int_equal(SSL_do_handshake(r.ssl), 1);
	}
	assert_int_equal(SSL_write(r.ssl, "abc", 3), 3);
	char *bytes;
	long n = BIO_get_mem_data(all, &bytes);
	assert_true(n > 2 * 32 * 1024);
	assert_int_equal(send(p.fd[0], bytes, (size_t)n, 0), n);
	while (tls_read(p.server, got, sizeof(got)) == -EAGAIN)
		calls++;
	assert_true(calls >= 2);
	raw_free(&r);
	pair_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_refuses_the_old),
		cmocka_unit_test(test_server_chooses_the_cipher),
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_client_takes_no_protocol_that_it_did_not_offer),
		cmocka_unit_test(test_renegotiation_is_refused),
		cmocka_unit_test(test_client_does_not_renegotiate),
		cmocka_unit_test(test_key_updates),
		cmocka_unit_test(test_half_a_key_update),
		cmocka_unit_test(test_work_of_one_call_is_bounded),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
