// SPDX-License-Identifier: Apache-2.0
/*
 * load.c: asks for chat completions as fast as answers come, from one thread, so that the generator costs the same for every way that is
 * compared and has no scheduling of its own. Speaks HTTP/1.1 over TLS with keep-alive, verifies the certificate, checks that each answer
 * is a whole 200. Prints one JSON line; "calls" has a fraction: with the warm-up, and with what had come of answers when time was up.
 *
 *   load -a ADDRESS -C CA.pem [-p 443] [-n api.openai.com] [-c CONNECTIONS] [-t SECONDS] [-b FILLER_BYTES] [-m chat|stream|paced|brief|open]
 *
 * chat: latency of whole calls. stream, paced, brief: also the time to the first byte; the latter two with a gap between chunks.
 * open: each connection opens one slow stream; says how many are open, keeps them for SECONDS and goes. Model and markers: upstream.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 20000
#define SAMPLES_MAX 4000000
#define HEAD_MAX 4096
#define WARM_UP 3 /* calls per connection whose time does not count: handshakes, pools, caches */

enum mode { CHAT, STREAM, PACED, BRIEF, OPEN };
static const char *const mode_names[] = { "chat", "stream", "paced", "brief", "open" };

struct conn {
	SSL *ssl;
	int fd;
	size_t sent;
	char head[HEAD_MAX];
	size_t have, left; /* head bytes; body bytes still to come, when the length is known */
	char tail[5];      /* the last bytes of a chunked body */
	bool in_body, is_chunked;
	unsigned calls;
	long taken; /* bytes of this answer */
	double started, first;
};

static struct {
	const char *address, *ca, *name;
	int port, connections, filler;
	double seconds;
	enum mode mode;
} opt = { .name = "api.openai.com", .port = 443, .connections = 1, .filler = 800, .seconds = 3 };

static char *request;
static size_t request_len;
static float *whole, *first;
static int count, failures, opened;
static long bytes, answer_bytes; /* received; of one whole answer */

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_request(void)
{
	static const char *const extra[] = {
		[CHAT] = "",
		[STREAM] = "\"stream\":true,\"stream_options\":{\"include_usage\":true},",
		[PACED] = "\"stream\":true,\"stream_options\":{\"include_usage\":true},\"user\":\"paced\",",
		[BRIEF] = "\"stream\":true,\"stream_options\":{\"include_usage\":true},\"user\":\"brief\",",
		[OPEN] = "\"stream\":true,\"stream_options\":{\"include_usage\":true},\"user\":\"slow\",",
	};
	size_t max = (size_t)opt.filler + 2048;
	char *body = malloc(max), *filler = malloc((size_t)opt.filler + 1);
	int n;

	request = malloc(max);
	memset(filler, 'x', (size_t)opt.filler);
	filler[opt.filler] = 0;
	n = snprintf(body, max, "{\"model\":\"fake-mini\",\"max_tokens\":300,%s\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}",
		     extra[opt.mode], filler);
	request_len = (size_t)snprintf(request, max, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nauthorization: Bearer sk-bench\r\n"
				       "content-type: application/json\r\naccept: */*\r\ncontent-length: %d\r\n\r\n%s", opt.name, n, body);
	free(body);
	free(filler);
}

static bool dial(struct conn *c, SSL_CTX *ctx)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port) };
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || inet_pton(AF_INET, opt.address, &to.sin_addr) != 1 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)))
		return false;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->ssl = SSL_new(ctx);
	SSL_set_fd(c->ssl, c->fd);
	SSL_set_tlsext_host_name(c->ssl, opt.name);
	SSL_set1_host(c->ssl, opt.name);
	if (SSL_connect(c->ssl) != 1)
		return false;
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	return true;
}

static bool wants_more(struct conn *c, int r)
{
	int e = SSL_get_error(c->ssl, r);

	return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
}

/* Sends what the socket takes. */
static bool push(struct conn *c)
{
	while (c->sent < request_len) {
		int n = SSL_write(c->ssl, request + c->sent, (int)(request_len - c->sent));

		if (n <= 0)
			return wants_more(c, n);
		c->sent += (size_t)n;
	}
	return true;
}

static bool begin(struct conn *c)
{
	c->sent = c->have = c->left = 0;
	c->in_body = c->is_chunked = false;
	memset(c->tail, 0, sizeof(c->tail));
	c->first = 0;
	c->taken = 0;
	c->started = now_s();
	return push(c);
}

/* Body bytes; true = this was the last of them. */
static bool take_body(struct conn *c, const char *p, size_t n)
{
	size_t keep = n < sizeof(c->tail) ? n : sizeof(c->tail);

	if (!c->is_chunked) {
		c->left -= n < c->left ? n : c->left;
		return c->left == 0;
	}
	memmove(c->tail, c->tail + keep, sizeof(c->tail) - keep);
	memcpy(c->tail + sizeof(c->tail) - keep, p + n - keep, keep);
	return !memcmp(c->tail, "0\r\n\r\n", 5);
}

/* 1 = the answer is whole, 0 = more to come, -1 = it is not what we asked for. */
static int take(struct conn *c, const char *p, size_t n)
{
	char *end, *length;
	size_t before = c->have, room = sizeof(c->head) - 1 - c->have;

	if (c->in_body)
		return take_body(c, p, n);
	memcpy(c->head + c->have, p, n < room ? n : room);
	c->have += n < room ? n : room;
	c->head[c->have] = 0;
	end = strstr(c->head, "\r\n\r\n");
	if (!end)
		return c->have < sizeof(c->head) - 1 ? 0 : -1;
	if (strncmp(c->head, "HTTP/1.1 200", 12)) {
		fprintf(stderr, "load: %.300s\n", c->head);
		return -1;
	}
	*end = 0;
	length = strcasestr(c->head, "\ncontent-length:");
	c->is_chunked = strcasestr(c->head, "\ntransfer-encoding:") != NULL;
	c->left = length ? strtoul(length + 16, NULL, 10) : 0;
	c->in_body = true;
	p += (size_t)(end + 4 - c->head) - before;
	n -= (size_t)(end + 4 - c->head) - before;
	return n ? take_body(c, p, n) : 0;
}

static bool finished(struct conn *c)
{
	double end = now_s();

	if (!answer_bytes)
		answer_bytes = c->taken;
	if (++c->calls > WARM_UP && count < SAMPLES_MAX) {
		whole[count] = (float)((end - c->started) * 1e6);
		first[count++] = (float)((c->first - c->started) * 1e6);
	}
	return begin(c);
}

static bool ready(struct conn *c)
{
	static char in[1 << 16];

	if (!push(c))
		return false;
	for (;;) {
		int r, n = SSL_read(c->ssl, in, sizeof(in));

		if (n <= 0)
			return wants_more(c, n);
		bytes += n;
		c->taken += n;
		if (!c->first)
			c->first = now_s();
		r = take(c, in, (size_t)n);
		if (r < 0)
			return false;
		if (opt.mode == OPEN && c->in_body && !c->calls++)
			opened++;
		/* The others first, then this one's next answer. */
		if (r > 0)
			return finished(c);
	}
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static float at(float *sorted, double share)
{
	return count ? sorted[(int)((double)(count - 1) * share)] : 0;
}

static void options(int argc, char **argv)
{
	for (int o; (o = getopt(argc, argv, "a:C:p:n:c:t:b:m:")) > 0;) {
		switch (o) {
		case 'a': opt.address = optarg; break;
		case 'C': opt.ca = optarg; break;
		case 'p': opt.port = atoi(optarg); break;
		case 'n': opt.name = optarg; break;
		case 'c': opt.connections = atoi(optarg); break;
		case 't': opt.seconds = atof(optarg); break;
		case 'b': opt.filler = atoi(optarg); break;
		case 'm':
			for (enum mode m = CHAT; m <= OPEN; m++)
				if (!strcmp(optarg, mode_names[m]))
					opt.mode = m;
			break;
		default: exit(2);
		}
	}
	if (!opt.address || !opt.ca || opt.connections < 1 || opt.connections > CONNECTIONS_MAX || opt.filler < 0) {
		fprintf(stderr, "load: -a ADDRESS and -C CA.pem are needed; see the head of bench/load.c\n");
		exit(2);
	}
}

static void loop(struct conn *conns, int ep, double until)
{
	struct epoll_event ev[64];
	bool said = false;
	double last = now_s();

	while (now_s() < until && failures < opt.connections) {
		int n = epoll_wait(ep, ev, 64, 100), was = opened;

		for (int i = 0; i < n; i++) {
			struct conn *c = &conns[ev[i].data.u32];

			if (!ready(c)) {
				failures++;
				epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL);
			}
		}
		if (opened != was)
			last = now_s();
		if (opt.mode == OPEN && !said && (opened + failures == opt.connections || now_s() - last > 5)) {
			said = true;
			printf("{\"opened\":%d,\"failures\":%d}\n", opened, failures);
			fflush(stdout);
		}
	}
}

int main(int argc, char **argv)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct conn *conns;
	double start;

	options(argc, argv);
	make_request();
	conns = calloc((size_t)opt.connections, sizeof(*conns));
	whole = malloc(SAMPLES_MAX * sizeof(*whole));
	first = malloc(SAMPLES_MAX * sizeof(*first));
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_load_verify_locations(ctx, opt.ca, NULL) != 1) {
		fprintf(stderr, "load: \"%s\" has no certificate that can be read\n", opt.ca);
		return 1;
	}
	for (int i = 0; i < opt.connections; i++) {
		struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = (uint32_t)i };

		if (!dial(&conns[i], ctx)) {
			fprintf(stderr, "load: connection %d to %s:%d failed: %s\n", i, opt.address, opt.port, strerror(errno));
			return 1;
		}
		if (!begin(&conns[i]))
			failures++;
		epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd, &ev);
	}
	start = now_s();
	loop(conns, ep, start + opt.seconds);
	if (opt.mode == OPEN)
		return failures > 0;
	qsort(whole, (size_t)count, sizeof(*whole), by_value);
	qsort(first, (size_t)count, sizeof(*first), by_value);
	printf("{\"calls\":%.2f,\"n\":%d,\"rps\":%.0f,\"p50\":%.1f,\"p99\":%.1f,\"first50\":%.1f,\"first99\":%.1f,\"failures\":%d}\n",
	       answer_bytes ? (double)bytes / (double)answer_bytes : 0, count, count / (now_s() - start), at(whole, .5), at(whole, .99), at(first, .5), at(first, .99), failures);
	return failures > 0;
}
