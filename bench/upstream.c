// SPDX-License-Identifier: Apache-2.0
/*
 * upstream.c CERT KEY ADDRESS PORT: a provider for benchmarks, which answers at once and always the same: TLS 1.3 with keep-alive, one
 * thread per connection. Markers near the start of the body decide:
 *
 *   nothing                    1 kB of JSON with a usage object
 *   "stream":true              SSE: 200 chunks, usage, [DONE]; as fast as the socket takes them
 *   … and "user":"paced"       a gap of 1 ms after each chunk, so that each one travels alone
 *   … and "user":"brief"       5 chunks, a gap of 1 ms after each: for the time to the first byte
 *   … and "user":"slow"        a gap of 1 s
 *
 * It bills nothing and checks nothing; the provider that does is tests/lib/fake_provider.py.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNKS 200
#define REQUEST_MAX (1 << 20)
#define MARKERS_WITHIN 512

#define CHUNK_HEAD "{\"id\":\"chatcmpl-b\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"fake-mini\",\"choices\":["
static const char token[] = CHUNK_HEAD "{\"index\":0,\"delta\":{\"content\":\"word \"},\"finish_reason\":null}],\"usage\":null}";
static const char last[] = CHUNK_HEAD "],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":200,\"total_tokens\":212}}";
static char answer[2048];
static int answer_len;
static SSL_CTX *ctx;

static int chunk(SSL *s, const char *data)
{
	char out[512];
	int n = snprintf(out, sizeof(out), "%zx\r\ndata: %s\n\n\r\n", strlen(data) + 8, data);

	return SSL_write(s, out, n) == n ? 0 : -1;
}

static int stream(SSL *s, int chunks, useconds_t gap_us)
{
	static const char head[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

	if (SSL_write(s, head, sizeof(head) - 1) <= 0)
		return -1;
	for (int i = 0; i < chunks; i++) {
		if (chunk(s, token))
			return -1;
		if (gap_us)
			usleep(gap_us);
	}
	return chunk(s, last) || chunk(s, "[DONE]") || SSL_write(s, "0\r\n\r\n", 5) <= 0 ? -1 : 0;
}

/* One request; 0 = go on. */
static int serve(SSL *s, char *in)
{
	size_t have = 0, need = 0, look;
	char *end = NULL, *body = NULL;

	while (!end || have < need) {
		int n = SSL_read(s, in + have, (int)(REQUEST_MAX - 1 - have));

		if (n <= 0)
			return -1;
		have += (size_t)n;
		in[have] = 0;
		if (!end && (end = strstr(in, "\r\n\r\n"))) {
			char *length = strcasestr(in, "\ncontent-length:");

			body = end + 4;
			need = (size_t)(body - in) + (length && length < end ? strtoul(length + 16, NULL, 10) : 0);
		}
	}
	look = have - (size_t)(body - in);
	look = look < MARKERS_WITHIN ? look : MARKERS_WITHIN;
	if (!memmem(body, look, "\"stream\":true", 13))
		return SSL_write(s, answer, answer_len) == answer_len ? 0 : -1;
	if (memmem(body, look, "\"brief\"", 7))
		return stream(s, 5, 1000);
	return stream(s, CHUNKS, memmem(body, look, "\"paced\"", 7) ? 1000 : memmem(body, look, "\"slow\"", 6) ? 1000000 : 0);
}

static void *connection(void *arg)
{
	int fd = (int)(long)arg, one = 1;
	SSL *s = SSL_new(ctx);
	char *in = malloc(REQUEST_MAX);

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	SSL_set_fd(s, fd);
	if (SSL_accept(s) == 1)
		while (serve(s, in) == 0)
			;
	SSL_free(s);
	close(fd);
	free(in);
	return NULL;
}

static void make_answer(void)
{
	char body[1024];
	int n = snprintf(body, sizeof(body), "{\"id\":\"chatcmpl-b\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"fake-mini\",\"choices\":[{\"index\":0,"
			 "\"message\":{\"role\":\"assistant\",\"content\":\"%0700d\"},\"finish_reason\":\"stop\"}],"
			 "\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":5,\"total_tokens\":17}}", 7);

	answer_len = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", n, body);
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
	pthread_attr_t attr;
	pthread_t t;

	if (argc != 5 || inet_pton(AF_INET, argv[3], &a.sin_addr) != 1) {
		fprintf(stderr, "upstream: CERT KEY ADDRESS PORT are needed\n");
		return 2;
	}
	a.sin_port = htons((uint16_t)atoi(argv[4]));
	signal(SIGPIPE, SIG_IGN);
	make_answer();
	ctx = SSL_CTX_new(TLS_server_method());
	if (SSL_CTX_use_certificate_chain_file(ctx, argv[1]) != 1 || SSL_CTX_use_PrivateKey_file(ctx, argv[2], SSL_FILETYPE_PEM) != 1) {
		fprintf(stderr, "upstream: \"%s\" and \"%s\" are no certificate and key\n", argv[1], argv[2]);
		return 1;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 4096)) {
		perror("upstream: listen");
		return 1;
	}
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (;;) {
		int c = accept(fd, NULL, NULL);

		if (c >= 0 && pthread_create(&t, &attr, connection, (void *)(long)c))
			close(c);
	}
}
