// SPDX-License-Identifier: Apache-2.0
/* test_endpoint_proof.c: handshakes with servers of the test's own on loopback: who proves a name, who does not, and every bound. */
#include "../wire/certs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>

#include "base/clock.h"
#include "base/loop.h"
#include "ctl/endpoint_proof.h"
#include "wire/tls.h"

struct server {
	int fd;
	uint16_t port;
	SSL_CTX *tls; /* NULL: accepts and says nothing */
	pthread_t thread;
	bool has_thread;
};

static struct cert ca, good;
static char ca_path[64];
static struct loop *loop;
static struct prover *prover;
static struct tls_ctx *client;

static struct {
	unsigned n, want;
	bool own;
	char why[256];
} heard;

static void hear(void *ctx, const struct proof *p, const char *why, bool is_own)
{
	heard.n++;
	heard.own = is_own;
	(void)snprintf(heard.why, sizeof(heard.why), "%s", why ? why : "");
	if (heard.n == heard.want)
		loop_stop(loop);
}

static void *serve(void *arg)
{
	struct server *s = arg;

	for (int fd; (fd = accept(s->fd, NULL, NULL)) >= 0; close(fd)) {
		SSL *t = SSL_new(s->tls);
		char byte;

		(void)SSL_set_fd(t, fd);
		if (SSL_accept(t) == 1)
			(void)SSL_read(t, &byte, 1);
		SSL_free(t);
	}
	return NULL;
}

static struct server server_new(bool talks)
{
	struct server s = { .fd = socket(AF_INET, SOCK_STREAM, 0) };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);

	assert_int_equal(bind(s.fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s.fd, 64), 0);
	assert_int_equal(getsockname(s.fd, (struct sockaddr *)&a, &n), 0);
	s.port = ntohs(a.sin_port);
	if (talks) {
		s.tls = SSL_CTX_new(TLS_server_method());
		assert_int_equal(SSL_CTX_use_certificate(s.tls, good.x), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(s.tls, good.key), 1);
	}
	return s;
}

static void server_start(struct server *s)
{
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	s->has_thread = true;
}

static void server_end(struct server *s)
{
	(void)shutdown(s->fd, SHUT_RDWR);
	if (s->has_thread)
		(void)pthread_join(s->thread, NULL);
	close(s->fd);
	SSL_CTX_free(s->tls);
}

static struct proof what(const char *name, uint16_t port)
{
	struct proof p = { .addr = { [10] = 0xff, 0xff, 127, 0, 0, 1 }, .port = port };

	(void)snprintf(p.name, sizeof(p.name), "%s", name);
	return p;
}

/* Runs until so many were heard. */
static void run(unsigned n)
{
	heard.n = 0;
	heard.want = n;
	loop_run(loop);
	assert_int_equal(heard.n, n);
}

static struct proof_counts counts(void)
{
	struct proof_counts c;

	prover_count(prover, &c);
	return c;
}

static int setup(void **state)
{
	struct err e = { "" };

	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(tls_client_ctx_new(ca_path, NULL, 0, &client, &e), 0);
	assert_int_equal(prover_new(loop, client, hear, NULL, &prover), 0);
	return 0;
}

static int teardown(void **state)
{
	prover_free(prover);
	tls_ctx_unref(client);
	loop_free(loop);
	return 0;
}

static void a_server_of_that_name_proves_it(void **state)
{
	struct server s = server_new(true);
	struct proof p = what("api.example.com", s.port);

	server_start(&s);
	assert_true(prover_ask(prover, &p));
	assert_false(prover_ask(prover, &p)); /* it is on its way */
	run(1);
	assert_string_equal(heard.why, "");
	assert_true(heard.own);
	/* A good answer is not kept here: who asks again wants it again. */
	assert_true(prover_ask(prover, &p));
	run(1);
	assert_int_equal(counts().proven, 2);
	server_end(&s);
}

static void others_do_not(void **state)
{
	struct server s = server_new(true), none = server_new(false);
	struct proof wrong = what("api.other.test", s.port), closed = what("api.example.com", none.port);

	server_start(&s);
	server_end(&none);
	assert_true(prover_ask(prover, &wrong));
	run(1);
	assert_non_null(strstr(heard.why, "name"));
	assert_true(prover_ask(prover, &closed));
	run(1);
	assert_string_equal(heard.why, strerror(ECONNREFUSED));
	/* Not again for a while; another port or name is another question. */
	assert_false(prover_ask(prover, &wrong));
	assert_false(prover_ask(prover, &closed));
	struct proof right = what("api.example.com", s.port);
	assert_true(prover_ask(prover, &right));
	run(1);
	assert_string_equal(heard.why, "");
	assert_int_equal(counts().failed, 2);
	server_end(&s);
}

static void begun_at_most_so_often(void **state)
{
	struct server s = server_new(true);
	int64_t began = clock_boot_ns();

	server_start(&s);
	for (int i = 0; i < 5; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "h%d.example.org", i);
		struct proof p = what(name, s.port);
		assert_true(prover_ask(prover, &p));
	}
	run(5);
	assert_true(clock_boot_ns() - began >= 4 * (PROOF_EVERY_MS - 2) * INT64_C(1000000));
	server_end(&s);
}

static void the_silent_hold_up_only_so_many(void **state)
{
	struct server s = server_new(false);
	unsigned took = 0;

	for (int i = 0; i < 100; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "h%d.example.com", i);
		struct proof p = what(name, s.port);
		took += prover_ask(prover, &p);
	}
	assert_int_equal(took, PROOF_WAITING_MAX);
	assert_int_equal(counts().dropped, 100 - PROOF_WAITING_MAX);
	int64_t began = clock_boot_ns();
	run(1);
	assert_true(clock_boot_ns() - began >= (PROOF_DEADLINE_MS - 50) * INT64_C(1000000));
	assert_non_null(strstr(heard.why, "within 5 s"));
	assert_int_equal(counts().begun, PROOF_AT_ONCE);
	server_end(&s);
	/* The rest is freed unheard by teardown. */
}

int main(void)
{
	/* Servers here hang up in the middle; pursed ignores it likewise. */
	(void)signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_server_of_that_name_proves_it, setup, teardown),
		cmocka_unit_test_setup_teardown(others_do_not, setup, teardown),
		cmocka_unit_test_setup_teardown(begun_at_most_so_often, setup, teardown),
		cmocka_unit_test_setup_teardown(the_silent_hold_up_only_so_many, setup, teardown),
	};

	ca = cert_make(CERT_ROOT, NULL, NULL);
	good = cert_make(CERT_LEAF, &(struct flaw){ .san = "DNS:api.example.com" }, &ca);
	cert_write(ca.x, ca_path);
	int r = cmocka_run_group_tests_name("ctl/proof", tests, NULL, NULL);
	(void)unlink(ca_path);
	cert_free(&good);
	cert_free(&ca);
	return r;
}
