// SPDX-License-Identifier: Apache-2.0
/*
 * test_tls_flow.c: bytes both ways at once, directions that wait for each other, what a connection holds while it
 * idles, and clients that hang up instead of saying what they do not like.
 */
#include "certs.h"

#include <errno.h>
#include <malloc.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "cuts.h"
#include "one_pki.h"

/* ---- both ways at once */

#define TOTAL ((size_t)4 << 20)

struct way {
	struct tls *from, *to;
	unsigned char *all, *got;
	size_t sent, have;
};

static void way_make(struct way *w, struct tls *from, struct tls *to, uint32_t *seed)
{
	*w = (struct way){ .from = from, .to = to, .all = malloc(TOTAL), .got = malloc(TOTAL) };
	for (size_t i = 0; i < TOTAL; i++)
		w->all[i] = (unsigned char)cuts_random(seed);
}

static size_t up_to(size_t left, size_t most, uint32_t *seed)
{
	size_t n = 1 + cuts_random(seed) % most;

	return n < left ? n : left;
}

/* A piece of any size is given, from an address of its own, and another one taken. */
static void way_step(struct way *w, uint32_t *seed)
{
	ssize_t r;

	if (w->sent < TOTAL) {
		/* What was not taken is given again, at least as much of it: the size is drawn from the place. */
		uint32_t here = (uint32_t)w->sent * 2654435761u + 1;
		size_t n = up_to(TOTAL - w->sent, 50000, &here);
		void *copy = cuts_copy(w->all + w->sent, n);
		r = tls_write(w->from, copy, n);
		free(copy);
		assert_true(r > 0 || r == -EAGAIN);
		w->sent += r > 0 ? (size_t)r : 0;
	}
	if (w->have < TOTAL) {
		r = tls_read(w->to, w->got + w->have, up_to(TOTAL - w->have, 70000, seed));
		assert_true(r > 0 || r == -EAGAIN);
		w->have += r > 0 ? (size_t)r : 0;
	}
}

static void test_both_ways_at_random(void **state)
{
	uint32_t seed = CUTS_SEED;

	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct pair p;
		struct way ways[2];
		int small = 8192;
		SSL_CTX_set_max_proto_version(pki.server->ssl, version);
		pair_open(&p, &pki, "api.example.com", false);
		pair_shake(&p);
		for (int i = 0; i < 2; i++)
			(void)setsockopt(p.fd[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
		way_make(&ways[0], p.client, p.server, &seed);
		way_make(&ways[1], p.server, p.client, &seed);
		for (int i = 0; ways[0].have < TOTAL || ways[1].have < TOTAL; i++) {
			assert_true(i < 10000000);
			way_step(&ways[cuts_random(&seed) & 1], &seed);
		}
		for (int i = 0; i < 2; i++) {
			assert_memory_equal(ways[i].all, ways[i].got, TOTAL);
			free(ways[i].all);
			free(ways[i].got);
		}
		pair_close(&p);
	}
	SSL_CTX_set_max_proto_version(pki.server->ssl, 0);
}

/* ---- directions that wait for each other */

struct raw {
	SSL_CTX *ctx;
	SSL *ssl;
};

static void raw_open(struct raw *r, struct pair *p)
{
	struct err e = { 0 };
	enum tls_want w = TLS_WANT_READ;
	int ok = 0;

	pair_sockets(p);
	r->ctx = SSL_CTX_new(TLS_client_method());
	r->ssl = SSL_new(r->ctx);
	SSL_set_fd(r->ssl, p->fd[0]);
	SSL_set_connect_state(r->ssl);
	assert_int_equal(tls_accept_new(pki.server, p->fd[1], NULL, 0, false, &p->server), 0);
	for (int i = 0; i < 20 && (ok != 1 || w != TLS_DONE); i++) {
		ok = SSL_do_handshake(r->ssl);
		if (w != TLS_DONE)
			w = tls_handshake(p->server, &e);
	}
	assert_int_equal(ok, 1);
	assert_int_equal(w, TLS_DONE);
}

static void raw_close(struct raw *r, struct pair *p)
{
	SSL_free(r->ssl);
	SSL_CTX_free(r->ctx);
	ERR_clear_error();
	pair_close(p);
}

static size_t raw_read(struct raw *r)
{
	static char got[100000];
	int n = SSL_read(r->ssl, got, sizeof(got));

	if (n <= 0)
		assert_int_equal(SSL_get_error(r->ssl, n), SSL_ERROR_WANT_READ);
	return n > 0 ? (size_t)n : 0;
}

static void raw_key_update(struct raw *r)
{
	assert_true(SSL_key_update(r->ssl, SSL_KEY_UPDATE_REQUESTED));
	assert_int_equal(SSL_write(r->ssl, "abc", 3), 3);
}

static void set_room(int fd, int bytes)
{
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
}

/* A write is half done: the answer to a key update waits until it is through, and what stands behind it is read. */
static void test_key_update_amid_a_write(void **state)
{
	static char big[100000];
	size_t written = 0, back = 0;
	struct pair p;
	struct raw r;
	char got[16];
	ssize_t n;

	(void)state;
	raw_open(&r, &p);
	set_room(p.fd[1], 30000);
	while ((n = tls_write(p.server, big, sizeof(big))) > 0)
		written += (size_t)n;
	assert_int_equal(n, -EAGAIN);
	assert_int_equal(tls_blocked_on(p.server), TLS_WANT_WRITE);
	raw_key_update(&r);
	assert_int_equal(tls_read(p.server, got, sizeof(got)), 3);
	assert_int_equal(tls_read(p.server, got, sizeof(got)), -EAGAIN);
	assert_int_equal(tls_blocked_on(p.server), TLS_WANT_READ);
	do
		back += raw_read(&r);
	while ((n = tls_write(p.server, big, sizeof(big))) == -EAGAIN);
	assert_true(n > 0);
	written += (size_t)n;
	for (size_t k; back < written && (k = raw_read(&r)) > 0;)
		back += k;
	assert_int_equal(back, written);
	raw_close(&r, &p);
}

/* All was written and fills the socket. The answer to one key update waits for the next write; for that to a second one
 * the read has to wait, but nobody turns in circles, and then all is there. */
static void test_key_updates_against_a_full_socket(void **state)
{
	static char big[20000];
	struct pair p;
	struct raw r;
	char got[16];
	size_t back = 0;

	(void)state;
	raw_open(&r, &p);
	assert_int_equal(tls_write(p.server, big, sizeof(big)), sizeof(big));
	set_room(p.fd[1], 0);
	raw_key_update(&r);
	assert_int_equal(tls_read(p.server, got, sizeof(got)), 3);
	assert_memory_equal(got, "abc", 3);
	raw_key_update(&r);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(tls_read(p.server, got, sizeof(got)), -EAGAIN);
		assert_int_equal(tls_blocked_on(p.server), TLS_WANT_WRITE);
		assert_false(tls_has_pending(p.server));
	}
	while (back < sizeof(big))
		back += raw_read(&r);
	assert_int_equal(tls_read(p.server, got, sizeof(got)), 3);
	assert_memory_equal(got, "abc", 3);
	assert_int_equal(tls_read(p.server, got, sizeof(got)), -EAGAIN);
	assert_int_equal(tls_blocked_on(p.server), TLS_WANT_READ);
	assert_int_equal(tls_write(p.server, "x", 1), 1);
	assert_int_equal(raw_read(&r), 1);
	raw_close(&r, &p);
}

/* ---- what an idle connection holds */

static size_t held(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* A client that wrote before the ticket came, as in every call to a provider; OpenSSL would keep 16 kB for that. */
static void test_an_idle_connection_holds_no_buffers(void **state)
{
	enum { PAIRS = 50 };
	struct pair p[PAIRS];
	char got[64], half[64];

	(void)state;
	size_t before = held();
	/* The system's roots alone are more: an allocator that does not say (AddressSanitizer's). */
	if (before < 100000)
		skip();
	for (int i = 0; i < PAIRS; i++) {
		pair_open(&p[i], &pki, "api.example.com", false);
		pair_shake(&p[i]);
		assert_int_equal(tls_write(p[i].client, "question", 8), 8);
		assert_int_equal(tls_read(p[i].server, got, sizeof(got)), 8);
		assert_int_equal(tls_read(p[i].server, got, sizeof(got)), -EAGAIN);
		assert_int_equal(tls_write(p[i].server, "answer", 6), 6);
		assert_int_equal(tls_read(p[i].client, got, sizeof(got)), 6);
		assert_int_equal(tls_read(p[i].client, got, sizeof(got)), -EAGAIN);
	}
	assert_in_range((held() - before) / PAIRS, 10000, 2 * 18000);

	/* What is not through yet is not thrown away with them. */
	for (int i = 0; i < PAIRS; i++) {
		assert_int_equal(tls_write(p[i].client, "more", 4), 4);
		ssize_t n = recv(p[i].fd[1], half, sizeof(half), 0);
		assert_true(n > 10 && n < 40);
		for (ssize_t at = 0; at < n; at++) {
			assert_int_equal(send(p[i].fd[0], half + at, 1, 0), 1);
			assert_int_equal(tls_read(p[i].server, got, sizeof(got)), at < n - 1 ? -EAGAIN : 4);
		}
		assert_memory_equal(got, "more", 4);
		pair_close(&p[i]);
	}
}

/* ---- clients that hang up */

static void test_hanging_up_at_our_certificate_is_distrust(void **state)
{
	static const struct {
		const char *name;
		int version;
		bool unread;   /* it does not even read what we said: the socket is reset */
		bool at_once;  /* gone before we said anything */
		bool distrust;
	} rows[] = {
		{ "TLS 1.3", TLS1_3_VERSION, false, false, true },
		{ "TLS 1.2", TLS1_2_VERSION, false, false, true },
		{ "TLS 1.3, unread", TLS1_3_VERSION, true, false, true },
		{ "TLS 1.2, unread", TLS1_2_VERSION, true, false, true },
		{ "in the middle of its hello", TLS1_3_VERSION, false, true, false },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p;
		struct err e = { 0 };
		char heard[8192];
		tls_ctx_unref(pki.client);
		pki.client = pki_client(&pki, NULL, 0); /* nothing to resume */
		SSL_CTX_set_max_proto_version(pki.server->ssl, rows[i].version);
		pair_open(&p, &pki, "api.example.com", false);
		assert_int_equal(tls_handshake(p.client, &e), TLS_WANT_READ);
		if (rows[i].at_once) {
			ssize_t n = recv(p.fd[1], heard, sizeof(heard), 0);
			assert_int_equal(send(p.fd[0], heard, (size_t)n / 2, 0), n / 2);
		}
		assert_int_equal(tls_handshake(p.server, &e), TLS_WANT_READ);
		if (!rows[i].unread)
			(void)recv(p.fd[0], heard, sizeof(heard), 0);
		close(p.fd[0]);
		p.fd[0] = -1;
		assert_int_equal(tls_handshake(p.server, &e), TLS_FAILED);
		if (tls_client_distrusts_us(p.server) != rows[i].distrust)
			fail_msg("%s: %s", rows[i].name, e.text);
		if (rows[i].distrust)
			assert_string_equal(e.text, "the client hung up when it saw the certificate");
		pair_close(&p);
	}
	SSL_CTX_set_max_proto_version(pki.server->ssl, 0);
}

/* One that resumes saw no certificate: it left for another reason. */
static void test_hanging_up_when_resuming_is_not(void **state)
{
	struct pair p;
	struct err e = { 0 };
	char got[8192];

	(void)state;
	pair_open(&p, &pki, "api.example.com", false);
	pair_shake(&p);
	assert_int_equal(tls_write(p.server, "x", 1), 1);
	assert_int_equal(tls_read(p.client, got, sizeof(got)), 1);
	pair_close(&p);
	pair_open(&p, &pki, "api.example.com", false);
	assert_int_equal(tls_handshake(p.client, &e), TLS_WANT_READ);
	assert_int_equal(tls_handshake(p.server, &e), TLS_WANT_READ);
	assert_true(tls_was_resumed(p.server));
	(void)recv(p.fd[0], got, sizeof(got), 0);
	close(p.fd[0]);
	p.fd[0] = -1;
	assert_int_equal(tls_handshake(p.server, &e), TLS_FAILED);
	assert_false(tls_client_distrusts_us(p.server));
	pair_close(&p);
}

/* The other side said something and hung up while we were writing: what it said is read, then the end. */
static void test_what_came_before_a_write_broke(void **state)
{
	static char big[100000];
	struct pair p;
	struct raw r;
	char got[16];
	ssize_t n;

	(void)state;
	raw_open(&r, &p);
	assert_int_equal(SSL_write(r.ssl, "abc", 3), 3);
	assert_int_equal(shutdown(p.fd[0], SHUT_RDWR), 0);
	while ((n = tls_write(p.server, big, sizeof(big))) > 0)
		;
	assert_true(n == -EPIPE || n == -ECONNRESET);
	assert_int_equal(tls_write(p.server, big, sizeof(big)), n);
	assert_int_equal(tls_read(p.server, got, sizeof(got)), 3);
	assert_memory_equal(got, "abc", 3);
	assert_true(tls_read(p.server, got, sizeof(got)) < 0);
	tls_shutdown(p.server);
	raw_close(&r, &p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways_at_random),
		cmocka_unit_test(test_key_update_amid_a_write),
		cmocka_unit_test(test_key_updates_against_a_full_socket),
		cmocka_unit_test(test_an_idle_connection_holds_no_buffers),
		cmocka_unit_test(test_hanging_up_at_our_certificate_is_distrust),
		cmocka_unit_test(test_hanging_up_when_resuming_is_not),
		cmocka_unit_test(test_what_came_before_a_write_broke),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
