// SPDX-License-Identifier: Apache-2.0
/*
 * tls_sock.c: the BIO between OpenSSL and a socket. It serves the sniffed bytes first, so that nothing has to be
 * peeked; never raises SIGPIPE; receives only as often as the caller allows; and remembers what the socket said,
 * since errno does not survive OpenSSL (it opens certificate files in between).
 */
#include <errno.h>
#include <openssl/bio.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "wire/tls_inside.h"

static size_t take_prefix(struct tls_sock *s, char *to, size_t n)
{
	size_t left = s->prefix_len - s->prefix_at;

	if (n > left)
		n = left;
	memcpy(to, s->prefix + s->prefix_at, n);
	s->prefix_at += n;
	if (s->prefix_at == s->prefix_len) {
		free(s->prefix);
		s->prefix = NULL;
	}
	return n;
}

static int sock_read(BIO *b, char *to, size_t n, size_t *ret)
{
	struct tls_sock *s = BIO_get_data(b);
	ssize_t got;

	BIO_clear_retry_flags(b);
	*ret = 0;
	if (s->prefix) {
		*ret = take_prefix(s, to, n);
		s->fresh = true;
		return 1;
	}
	if (!s->recvs_left) {
		BIO_set_retry_read(b);
		return 0;
	}
	s->recvs_left--;
	do
		got = recv(s->fd, to, n, 0);
	while (got < 0 && errno == EINTR);
	if (got > 0) {
		*ret = (size_t)got;
		s->fresh = true;
		return 1;
	}
	if (got == 0)
		s->ended = true;
	else if (errno == EAGAIN)
		BIO_set_retry_read(b);
	else
		s->error = errno;
	return 0;
}

static int sock_write(BIO *b, const char *p, size_t n, size_t *ret)
{
	struct tls_sock *s = BIO_get_data(b);
	ssize_t sent;

	BIO_clear_retry_flags(b);
	*ret = 0;
	do
		sent = send(s->fd, p, n, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0) {
		*ret = (size_t)sent;
		return 1;
	}
	if (errno == EAGAIN)
		BIO_set_retry_write(b);
	else
		s->error = errno;
	return 0;
}

/* OpenSSL flushes after each flight; there is nothing behind us to flush. Not answering BIO_CTRL_EOF makes it report
 * the end of the socket as such instead of sending an alert about it. */
static long sock_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_DUP;
}

static BIO_METHOD *method;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_method(void)
{
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "purse socket");
	if (!method)
		return;
	(void)BIO_meth_set_read_ex(method, sock_read);
	(void)BIO_meth_set_write_ex(method, sock_write);
	(void)BIO_meth_set_ctrl(method, sock_ctrl);
}

struct bio_st *tls_sock_bio(struct tls_sock *s)
{
	(void)pthread_once(&once, make_method);
	BIO *b = method ? BIO_new(method) : NULL;

	if (!b)
		return NULL;
	BIO_set_data(b, s);
	BIO_set_init(b, 1);
	return b;
}
