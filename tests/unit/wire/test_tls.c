// SPDX-License-Identifier: Apache-2.0
/*
 * test_tls.c: connections of tls.h against each other, over socket pairs: bytes,
 * ends, resumption. What is spoken at all is test_tls_spoken.c, which certificates are believed test_tls_certificates.c.
 */
#include "certs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "cuts.h"
#include "one_pki.h"
#include "wire/tls_inside.h"

/* ---- bytes */

static void test_bytes_both_ways(void **state)
{
	struct pair p;
	char got[64];

	(void)state;
	pair_open(&p, &pki, "api.example.com", false);
	pair_shake(&p);
	assert_int_equal(tls_write(p.client, "question", 8), 8);
	assert_int_equal(tls_read(p.server, got, sizeof(got)), 8);
	assert_memory_equal(got, "question", 8);
	assert_int_equal(tls_read(p.server, got, sizeof(got)), -EAGAIN);
	assert_int_equal(tls_blocked_on(p.server), TLS_WANT_READ);
	assert_int_equal(tls_write(p.server, "answer", 6), 6);
	assert_int_equal(tls_read(p.client, got, sizeof(got)), 6);
	assert_false(tls_alpn_is_h2(p.server));
	pair_close(&p);
}

static void test_host_in_any_case_and_only_names(void **state)
{
	static const struct {
		const char *host;
		int r;
	} rows[] = {
		{ "API.Example.COM", 0 },  { "api.example.com.", 0 }, { ".example.com", -EINVAL }, { "", -EINVAL },
		{ "127.0.0.1", -EINVAL },  { "a b", -EINVAL },        { "*.example.com", -EINVAL },
		{ "api.example.com:443", -EINVAL },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tls *t = NULL;
		assert_int_equal(tls_connect_new(pki.client, 0, rows[i].host, &t), rows[i].r);
		tls_free(t);
	}
}

/* The sniffed part of the ClientHello is served first, the rest comes from the socket: at every cut. */
static void test_prefix_at_every_cut(void **state)
{
	size_t hello = 1;

	(void)state;
	for (size_t cut = 0; cut <= hello; cut++) {
		struct pair p;
		char prefix[4096];
		struct err e = { 0 };
		pair_sockets(&p);
		assert_int_equal(tls_connect_new(pki.client, p.fd[0], "api.example.com", &p.client), 0);
		assert_int_equal(tls_handshake(p.client, &e), TLS_WANT_READ);
		ssize_t n = recv(p.fd[1], prefix, sizeof(prefix), MSG_PEEK);
		assert_true(n > 100);
		hello = (size_t)n;
		if (cut)
			assert_int_equal(recv(p.fd[1], prefix, cut, 0), cut);
		assert_int_equal(tls_accept_new(pki.server, p.fd[1], prefix, cut, true, &p.server), 0);
		assert_int_equal(tls_has_pending(p.server), cut > 0);
		memset(prefix, 0xff, sizeof(prefix)); /* it was copied */
		pair_shake(&p);
		pair_close(&p);
		if (cut > 12 && cut + 12 < hello)
			cut += 6;
	}
}

/* Application data may stand right behind the client's last flight, in the same bytes. */
static void test_data_behind_the_handshake(void **state)
{
	struct pair p;
	struct err e = { 0 };
	char got[16];

	(void)state;
	pair_open(&p, &pki, "api.example.com", false);
	assert_int_equal(tls_handshake(p.client, &e), TLS_WANT_READ);
	assert_int_equal(tls_handshake(p.server, &e), TLS_WANT_READ);
	assert_int_equal(tls_handshake(p.client, &e), TLS_DONE);
	assert_int_equal(tls_write(p.client, "early bird", 10), 10);
	assert_int_equal(tls_handshake(p.server, &e), TLS_DONE);
	assert_true(tls_has_pending(p.server));
	assert_int_equal(tls_read(p.server, got, sizeof(got)), 10);
	assert_false(tls_has_pending(p.server));
	pair_close(&p);
}

/* A full socket: what was not taken is given again from another address, and arrives once. */
static void test_partial_writes(void **state)
{
	const size_t total = 1 << 20;
	unsigned char *all = malloc(total), *got = malloc(total);
	size_t sent = 0, have = 0, again = 0;
	uint32_t seed = CUTS_SEED;
	struct pair p;

	(void)state;
	for (size_t i = 0; i < total; i++)
		all[i] = (unsigned char)cuts_random(&seed);
	pair_open(&p, &pki, "api.example.com", false);
	int small = 4096;
	(void)setsockopt(p.fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	pair_shake(&p);
	while (have < total) {
		if (sent < total) {
			size_t n = total - sent;
			void *copy = cuts_copy(all + sent, n);
			ssize_t r = tls_write(p.client, copy, n);
			free(copy);
			if (r == -EAGAIN)
				again++;
			else
				assert_true(r > 0);
			sent += r > 0 ? (size_t)r : 0;
		}
		size_t want = 1 + cuts_random(&seed) % 40000;
		if (want > total - have)
			want = total - have;
		ssize_t r = tls_read(p.server, got + have, want);
		assert_true(r > 0 || r == -EAGAIN);
		have += r > 0 ? (size_t)r : 0;
	}
	assert_true(again > 0);
	assert_memory_equal(all, got, total);
	free(all);
	free(got);
	pair_close(&p);
}

/* Several records that came in one recv are one tls_read, and there is nothing left to turn round for. */
static void test_records_of_one_recv(void **state)
{
	struct pair p;
	char got[64];

	(void)state;
	pair_open(&p, &pki, "api.example.com", false);
	pair_shake(&p);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tls_write(p.client, "12345678", 8), 8);
	assert_int_equal(tls_read(p.server, got, sizeof(got)), 24);
	assert_false(tls_has_pending(p.server));
	for (int i = 0; i < 3; i++)
		assert_int_equal(tls_write(p.client, "12345678", 8), 8);
	assert_int_equal(tls_read(p.server, got, 5), 5);
	assert_true(tls_has_pending(p.server));
	assert_int_equal(tls_read(p.server, got, 5), 5);
	assert_true(tls_has_pending(p.server));
	assert_int_equal(tls_read(p.server, got, 14), 14);
	assert_false(tls_has_pending(p.server));
	pair_close(&p);
}

/* Half a record must not look like something to read: a peer that stops there would keep a worker turning. */
static void test_half_a_record_is_nothing(void **state)
{
	char wire[256], got[64];
	struct pair p;

	(void)state;
	pair_open(&p, &pki, "api.example.com", false);
	pair_shake(&p);
	/* Two records; the second is cut at every byte. */
	assert_int_equal(tls_read(p.client, got, sizeof(got)), -EAGAIN); /* the ticket */
	for (size_t cut = 1; cut < 40; cut++) {
		assert_int_equal(tls_write(p.client, "first", 5), 5);
		ssize_t first = recv(p.fd[1], wire, sizeof(wire), 0);
		assert_int_equal(tls_write(p.client, "second", 6), 6);
		ssize_t second = recv(p.fd[1], wire + first, sizeof(wire) - (size_t)first, 0);
		assert_true(first > 5 && (size_t)second > 5);
		if (cut >= (size_t)second) {
			assert_true(cut > 20);
			pair_close(&p);
			return;
		}
		/* Played back through the client's end, as if they came that way. */
		size_t head = (size_t)first + cut;
		assert_int_equal(send(p.fd[0], wire, head, 0), head);
		assert_int_equal(tls_read(p.server, got, sizeof(got)), 5);
		assert_false(tls_has_pending(p.server));
		assert_int_equal(tls_read(p.server, got, sizeof(got)), -EAGAIN);
		assert_false(tls_has_pending(p.server));
		assert_int_equal(send(p.fd[0], wire + head, (size_t)(first + second) - head, 0),
				 (size_t)(first + second) - head);
		assert_int_equal(tls_read(p.server, got, sizeof(got)), 6);
		assert_memory_equal(got, "second", 6);
		assert_false(tls_has_pending(p.server));
	}
	pair_close(&p);
}

/* ---- ends */

static void test_close_notify(void **state)
{
	struct pair p;
	char got[16];

	(void)state;
	pair_open(&p, &pki, "api.example.com", false);
	pair_shake(&p);
	assert_int_equal(tls_write(p.client, "bye", 3), 3);
	tls_shutdown(p.client);
	assert_int_equal(tls_read(p.server, got, sizeof(got)), 3);
	assert_true(tls_has_pending(p.server)); /* the end */
	assert_int_equal(tls_read(p.server, got, sizeof(got)), 0);
	assert_false(tls_has_pending(p.server));
	assert_int_equal(tls_read(p.server, got, sizeof(got)), 0);
	/* The other direction is still open. */
	assert_int_equal(tls_write(p.server, "see you", 7), 7);
	pair_close(&p);
}

static void test_truncation_is_no_end(void **state)
{
	struct pair p;
	char got[16];

	(void)state;
	pair_open(&p, &pki, "api.example.com", false);
	pair_shake(&p);
	assert_int_equal(tls_write(p.client, "cut", 3), 3);
	(void)shutdown(p.fd[0], SHUT_WR);
	assert_int_equal(tls_read(p.server, got, sizeof(got)), 3);
	assert_int_equal(tls_read(p.server, got, sizeof(got)), -ECONNRESET);
	assert_int_equal(tls_read(p.server, got, sizeof(got)), -ECONNRESET);
	assert_int_equal(tls_write(p.server, "x", 1), -ECONNRESET);
	tls_shutdown(p.server); /* harmless */
	pair_close(&p);
}

static void test_reset_and_broken_pipe(void **state)
{
	struct pair p;
	char got[16];

	(void)state;
	pair_open_tcp(&p, &pki, "api.example.com");
	pair_shake(&p);
	struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	assert_int_equal(setsockopt(p.fd[0], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	pair_close_client(&p);
	assert_int_equal(tls_read(p.server, got, sizeof(got)), -ECONNRESET);
	pair_close(&p);

	/* Writing to a peer that is gone: an errno, not SIGPIPE. */
	pair_open(&p, &pki, "api.example.com", false);
	pair_shake(&p);
	pair_close_client(&p);
	assert_int_equal(tls_write(p.server, "x", 1), -EPIPE);
	pair_close(&p);
}

static void test_garbage(void **state)
{
	struct pair p;
	char got[16];

	(void)state;
	pair_open(&p, &pki, "api.example.com", false);
	pair_shake(&p);
	assert_int_equal(send(p.fd[0], "\x17\x03\x03\x00\x14garbage garbage garb", 25, 0), 25);
	assert_int_equal(tls_read(p.server, got, sizeof(got)), -EPROTO);
	assert_int_equal(tls_read(p.server, got, sizeof(got)), -EPROTO);
	pair_close(&p);
}

static void test_end_during_the_handshake(void **state)
{
	struct pair p;
	struct err e = { 0 };

	(void)state;
	pair_open(&p, &pki, "api.example.com", false);
	assert_int_equal(tls_handshake(p.client, &e), TLS_WANT_READ);
	(void)shutdown(p.fd[1], SHUT_RDWR);
	assert_int_equal(tls_handshake(p.client, &e), TLS_FAILED);
	assert_non_null(strstr(e.text, "api.example.com: the connection ended"));
	assert_false(tls_failed_on_cert(p.client));
	pair_close(&p);
}

/* ---- resumption */

static bool connect_once(const char *host, bool clean)
{
	struct pair p;
	char got[8];

	pair_open(&p, &pki, host, false);
	pair_shake(&p);
	assert_int_equal(tls_write(p.server, "hi", 2), 2);
	assert_int_equal(tls_read(p.client, got, sizeof(got)), 2); /* takes the ticket, too */
	bool resumed = tls_was_resumed(p.client);
	assert_int_equal(resumed, tls_was_resumed(p.server));
	if (clean)
		tls_shutdown(p.client);
	pair_close(&p);
	return resumed;
}

static void test_resumption(void **state)
{
	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		tls_ctx_unref(pki.client);
		pki.client = pki_client(&pki, NULL, 0);
		SSL_CTX_set_max_proto_version(pki.server->ssl, version);
		assert_false(connect_once("api.example.com", true));
		assert_true(connect_once("api.example.com", true));
		assert_false(connect_once("other.example.com", true)); /* sessions are kept per verified name */
		assert_true(connect_once("api.example.com", false)); /* the connection before was dropped: */
		assert_true(connect_once("api.example.com", true));
	}
	SSL_CTX_set_max_proto_version(pki.server->ssl, 0);
}

static void test_tickets_are_used_once_and_not_for_ever(void **state)
{
	(void)state;
	tls_ctx_unref(pki.client);
	pki.client = pki_client(&pki, NULL, 0);
	for (int i = 0; i < 3; i++)
		(void)connect_once("api.example.com", true);
	SSL_SESSION *one = tls_ctx_take_session(pki.client, "api.example.com");
	assert_non_null(one);
	assert_null(tls_ctx_take_session(pki.client, "api.example.com"));
	SSL_SESSION_free(one);

	/* TLS 1.2 sessions are kept, so one can be made old under the context's hands. */
	SSL_CTX_set_max_proto_version(pki.server->ssl, TLS1_2_VERSION);
	(void)connect_once("api.example.com", true);
	one = tls_ctx_take_session(pki.client, "api.example.com");
	assert_non_null(one);
	SSL_SESSION_set_time(one, time(NULL) - 3601);
	SSL_SESSION_free(one);
	assert_null(tls_ctx_take_session(pki.client, "api.example.com"));
	SSL_CTX_set_max_proto_version(pki.server->ssl, 0);
}

/* ---- trust in us */

static void test_client_that_distrusts_us(void **state)
{
	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct pair p;
		struct err e = { 0 };
		enum tls_want c = TLS_WANT_READ, s = TLS_WANT_READ;
		struct tls_ctx *stranger = NULL;
		assert_int_equal(tls_client_ctx_new(NULL, NULL, 0, &stranger, &e), 0);
		SSL_CTX_set_max_proto_version(stranger->ssl, version);
		pair_sockets(&p);
		assert_int_equal(tls_connect_new(stranger, p.fd[0], "api.example.com", &p.client), 0);
		assert_int_equal(tls_accept_new(pki.server, p.fd[1], NULL, 0, false, &p.server), 0);
		for (int i = 0; i < 10 && (c != TLS_FAILED || s == TLS_WANT_READ); i++) {
			if (c != TLS_FAILED)
				c = tls_handshake(p.client, &e);
			if (s == TLS_WANT_READ)
				s = tls_handshake(p.server, &e);
		}
		assert_int_equal(s, TLS_FAILED);
		assert_true(tls_client_distrusts_us(p.server));
		assert_false(tls_failed_on_cert(p.server));
		assert_true(tls_failed_on_cert(p.client));
		assert_non_null(strstr(e.text, "unknown CA"));
		pair_close(&p);
		tls_ctx_unref(stranger);
	}
}

static void test_bad_settings_have_words(void **state)
{
	static const unsigned char keys[TLS_OWN_KEYS_MAX + 1][32];
	struct tls_ctx *c = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(tls_client_ctx_new("/nonexistent/ca.pem", NULL, 0, &c, &e), -EINVAL);
	assert_non_null(strstr(e.text, "upstream_ca: \"/nonexistent/ca.pem\""));
	assert_int_equal(tls_client_ctx_new("/dev/null", NULL, 0, &c, &e), -EINVAL);
	assert_int_equal(tls_client_ctx_new(NULL, keys, TLS_OWN_KEYS_MAX + 1, &c, &e), -EINVAL);
	assert_null(c);
	tls_ctx_unref(NULL);
	tls_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_both_ways),
		cmocka_unit_test(test_host_in_any_case_and_only_names),
		cmocka_unit_test(test_prefix_at_every_cut),
		cmocka_unit_test(test_data_behind_the_handshake),
		cmocka_unit_test(test_partial_writes),
		cmocka_unit_test(test_records_of_one_recv),
		cmocka_unit_test(test_half_a_record_is_nothing),
		cmocka_unit_test(test_close_notify),
		cmocka_unit_test(test_truncation_is_no_end),
		cmocka_unit_test(test_reset_and_broken_pipe),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_end_during_the_handshake),
		cmocka_unit_test(test_resumption),
		cmocka_unit_test(test_tickets_are_used_once_and_not_for_ever),
		cmocka_unit_test(test_client_that_distrusts_us),
		cmocka_unit_test(test_bad_settings_have_words),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
