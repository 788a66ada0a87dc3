// SPDX-License-Identifier: Apache-2.0
/*
 * upstream.c CERT KEY ADDRESS PORT: a provider for benchmarks: TLS, keep-alive, one thread per connection, fixed answers. The path decides:
 * a body with "stream":true gets SSE, 200 chunks at once ("slow" in it: one chunk a second); everything else 1 kB of JSON.
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
static char answer[2048];
static int answer_len;
static SSL_CTX *ctx;

static void chunk(SSL *s, const char *data)
{
	char out[512];
	int n = snprintf(out, sizeof(out), "%zx\r\ndata: %s\n\n\r\n", strlen(data) + 8, data);
	(void)SSL_write(s, out, n);
}

static void stream(SSL *s, int slow)
{
	static const char head[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
	static const char token[] = "{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"fake-mini\",\"choices\":[{\"index\":0,"
				    "\"delta\":{\"content\":\"word \"},\"finish_reason\":null}],\"usage\":null}";

	(void)SSL_write(s, head, sizeof(head) - 1);
	for (int i = 0; i < CHUNKS; i++) {
		chunk(s, token);
		if (slow)
			sleep(1);
	}
	chunk(s, "{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"fake-mini\",\"choices\":[],"
		 "\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":200,\"total_tokens\":212}}");
	chunk(s, "[DONE]");
	(void)SSL_write(s, "0\r\n\r\n", 5);
}

/* One request; 0 = go on. */
static int serve(SSL *s, char *in, size_t max)
{
	size_t have = 0, need = 0;
	char *end = NULL, *body = NULL;

	while (!end || have < need) {
		int n = SSL_read(s, in + have, (int)(max - 1 - have));
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
	if (memmem(body, have - (size_t)(body - in) < 4096 ? have - (size_t)(body - in) : 4096, "\"stream\":true", 13))
		stream(s, strstr(body, "slow") != NULL);
	else
		(void)SSL_write(s, answer, answer_len);
	return 0;
}

static void *connection(void *arg)
{
	int fd = (int)(long)arg, one = 1;
	SSL *s = SSL_new(ctx);
	char *in = malloc(1 << 20);

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	SSL_set_fd(s, fd);
	if (SSL_accept(s) == 1)
		while (serve(s, in, 1 << 20) == 0)
			;
	SSL_free(s);
	close(fd);
	free(in);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	char body[1024];
	int one = 1, n, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (argc != 5 || inet_pton(AF_INET, argv[3], &a.sin_addr) != 1)
		return 2;
	a.sin_port = htons((uint16_t)atoi(argv[4]));
	signal(SIGPIPE, SIG_IGN);
	n = snprintf(body, sizeof(body), "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"fake-mini\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
		     "\"assistant\",\"content\":\"%0700d\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":5,\"total_tokens\":17}}", 7);
	answer_len = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", n, body);
	ctx = SSL_CTX_new(TLS_server_method());
	if (SSL_CTX_use_certificate_chain_file(ctx, argv[1]) != 1 || SSL_CTX_use_PrivateKey_file(ctx, argv[2], SSL_FILETYPE_PEM) != 1)
		return 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 1024))
		return 1;
	for (;;) {
		pthread_t t;
		pthread_attr_t attr;
		int c = accept(fd, NULL, NULL);
		if (c < 0)
			continue;
		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, 256 * 1024);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		if (pthread_create(&t, &attr, connection, (void *)(long)c))
			close(c);
		pthread_attr_destroy(&attr);
	}
}
