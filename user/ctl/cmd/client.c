// SPDX-License-Identifier: Apache-2.0
/* client.c: see client.h. wire/h1.h reads the answers; no connection is kept. */
#include "ctl/cmd/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "ctl/records.h"
#include "ctl_abi.h"
#include "wire/h1.h"

/* An audit of a large ledger takes a while. */
#define ANSWER_TIMEOUT_S 600

static int connect_to(const char *path, int *ret, struct err *e)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = ANSWER_TIMEOUT_S };

	if (!str_copy(un.sun_path, sizeof(un.sun_path), str_of(path)))
		return err_set(e, ENAMETOOLONG, "control socket: \"%s\" is too long for a socket", path);
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_set(e, errno, "control socket: %s", strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
		bool absent = errno == ENOENT || errno == ECONNREFUSED;

		if (absent)
			return err_set(e, ENOTCONN, "no daemon is running (nobody listens on %s); start pursed with the same "
				       "config", path);
		return err_set(e, errno, "control socket %s: %s%s", path, strerror(errno),
			       errno == EACCES ? "; try again as root" : "");
	}
	*ret = TAKE_FD(fd);
	return 0;
}

static int send_all(int fd, const char *p, size_t n, struct err *e)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		/* Refused before it read all of it: the answer says why. */
		if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
			return 0;
		if (sent < 0)
			return err_set(e, errno, "control socket: cannot send: %s", strerror(errno));
		p += sent;
		n -= (size_t)sent;
	}
	return 0;
}

static int send_request(int fd, const char *method, const char *target, const char *body, struct err *e)
{
	struct http_head h = { .method = str_of(method), .target = str_of(target), .authority = STR("purse") };
	struct buf out;

	if (body) {
		(void)http_add(&h, STR("Content-Type"), STR("application/json"));
		h.length = HTTP_LENGTH_FIXED;
		h.content_length = (int64_t)strlen(body);
	}
	buf_init(&out, 2 * CTL_REQUEST_MAX);
	int r = h1_write_request(&out, &h);
	if (r == 0 && body)
		r = buf_append(&out, body, strlen(body));
	if (r < 0)
		(void)err_set(e, -r, "the request is too large");
	else
		r = send_all(fd, buf_ptr(&out), buf_len(&out), e);
	buf_done(&out);
	return r;
}

/* What comes in, fact by fact. */
struct receiving {
	int fd;
	struct h1 *parser;
	char mem[65536];
	struct str in;
	bool eof;
};

static enum h1_fact next_fact(struct receiving *r, struct str *ret_body, struct err *e)
{
	for (;;) {
		enum h1_fact fact = h1_next(r->parser, &r->in, ret_body, e);

		if (fact != H1_MORE)
			return fact;
		ssize_t n = recv(r->fd, r->mem, sizeof(r->mem), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			(void)err_set(e, errno, "control socket: %s", errno == EAGAIN ? "no answer in time" : strerror(errno));
			return H1_BAD;
		}
		if (n == 0) {
			fact = h1_eof(r->parser, e);
			if (fact == H1_MORE)
				(void)err_set(e, ECONNRESET, "control socket: the daemon closed the connection without an answer");
			return fact == H1_MORE ? H1_BAD : fact;
		}
		r->in = (struct str){ .p = r->mem, .n = (size_t)n };
	}
}

/* The head's status, or a negative errno. */
static int receive_head(struct receiving *r, struct err *e)
{
	struct str body;
	enum h1_fact fact = next_fact(r, &body, e);

	/* An interim answer is a head with an end of its own. */
	while (fact == H1_HEAD && h1_head(r->parser)->status < 200) {
		fact = next_fact(r, &body, e);
		if (fact == H1_END)
			fact = next_fact(r, &body, e);
	}
	return fact == H1_HEAD ? h1_head(r->parser)->status : -EPROTO;
}

static int begin(const char *socket_path, const char *method, const char *target, const char *body,
		 struct receiving *r, struct err *e)
{
	int ret = connect_to(socket_path, &r->fd, e);

	if (ret == 0)
		ret = send_request(r->fd, method, target, body, e);
	if (ret < 0)
		return ret;
	r->parser = h1_new(H1_RESPONSES);
	if (!r->parser)
		return err_set(e, ENOMEM, "out of memory");
	return receive_head(r, e);
}

static void end(struct receiving *r)
{
	h1_free(r->parser);
	cleanup_close_(&r->fd);
}

/* To the answer's end; *ret_body is the caller's only on success. */
static int receive_body(struct receiving *r, struct buf *ret_body, struct err *e)
{
	struct str piece = { 0 };
	enum h1_fact fact = H1_HEAD;
	int rc = 0;

	buf_init(ret_body, CTL_ANSWER_MAX + 4096);
	while (rc == 0 && fact != H1_END) {
		fact = next_fact(r, &piece, e);
		if (fact == H1_BAD)
			rc = -EPROTO;
		else if (fact == H1_BODY && buf_append(ret_body, piece.p, piece.n) < 0)
			rc = err_set(e, EMSGSIZE, "the daemon's answer is too large");
	}
	/* The padding must exist behind an empty body too. */
	if (rc == 0 && !buf_reserve(ret_body, 1))
		rc = err_set(e, ENOMEM, "out of memory");
	if (rc < 0)
		buf_done(ret_body);
	return rc;
}

int client_call(const char *socket_path, const char *method, const char *target, const char *body,
		struct client_answer *ret, struct err *e)
{
	struct receiving r = { .fd = -1 };
	int status = begin(socket_path, method, target, body, &r, e);

	if (status < 0) {
		end(&r);
		return status;
	}
	ret->status = status;
	int rc = receive_body(&r, &ret->body, e);

	end(&r);
	return rc;
}

void client_answer_done(struct client_answer *a)
{
	buf_done(&a->body);
}

int client_follow(const char *socket_path, const char *target, bool (*fn)(void *ctx, const char *p, size_t n),
		  void *ctx, struct err *e)
{
	struct receiving r = { .fd = -1 };
	struct timeval forever = { 0 };
	int ret = begin(socket_path, "GET", target, NULL, &r, e);

	if (ret >= 0 && ret != 200)
		ret = err_set(e, EPROTO, "the daemon answered %d", ret);
	if (ret > 0)
		ret = setsockopt(r.fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
	while (ret == 0) {
		struct str piece = { 0 };
		enum h1_fact fact = next_fact(&r, &piece, e);

		if (fact == H1_END || (fact == H1_BODY && !fn(ctx, piece.p, piece.n)))
			break;
		if (fact == H1_BAD)
			ret = -EPROTO;
	}
	end(&r);
	return ret;
}

int client_lease(const char *socket_path, int *ret_fd, struct err *e)
{
	struct receiving r = { .fd = -1 };
	char why[1024] = "";
	struct buf body;
	int ret = begin(socket_path, "GET", "/v1/lease", NULL, &r, e);

	if (ret == 200) {
		*ret_fd = TAKE_FD(r.fd);
		ret = 0;
	} else if (ret >= 0) {
		int status = ret;

		ret = receive_body(&r, &body, e);
		if (ret == 0) {
			record_field(&body, "error.message", why, sizeof(why));
			buf_done(&body);
			ret = err_set(e, EPROTO, "%.700s (%d)", why[0] ? why : "the daemon gives no lease", status);
		}
	}
	end(&r);
	return ret;
}

bool client_is_up(const char *socket_path)
{
	CLEANUP_CLOSE int fd = -1;

	return connect_to(socket_path, &fd, NULL) == 0;
}

int client_query(struct buf *target, const char *key, const char *value)
{
	bool first = !memchr(buf_ptr(target), '?', buf_len(target));
	int r = buf_printf(target, "%c%s=", first ? '?' : '&', key);

	for (const char *p = value; r == 0 && *p; p++) {
		bool plain = (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') ||
			     strchr("-._~", *p);

		r = plain ? buf_append(target, p, 1) : buf_printf(target, "%%%02X", (unsigned char)*p);
	}
	return r;
}
