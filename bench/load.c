// SPDX-License-Identifier: Apache-2.0
/*
 * load.c ADDRESS PORT CA CONNECTIONS SECONDS BODY_BYTES [stream|open]: a closed loop of chat calls for api.openai.com, one thread per connection, TLS kept
 * alive. Prints one JSON line: requests/s, p50 and p99 in microseconds; for streams the time to the first byte. `open`: opens that many
 * slow streams, says so, waits for SECONDS.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES 400000
static struct sockaddr_in to;
static SSL_CTX *ctx;
static char *request;
static int request_len, streaming, opening;
static double until;
static float *samples;
static _Atomic int nsamples, failures, opened;

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static SSL *dial(int *fd)
{
	int one = 1;
	SSL *s = SSL_new(ctx);

	*fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(*fd, (struct sockaddr *)&to, sizeof(to)))
		return NULL;
	SSL_set_fd(s, *fd);
	SSL_set_tlsext_host_name(s, "api.openai.com");
	SSL_set1_host(s, "api.openai.com");
	return SSL_connect(s) == 1 ? s : NULL;
}

/* Seconds until the first byte, or until the whole answer; < 0 = failed. */
static double call(SSL *s)
{
	static _Thread_local char in[1 << 17];
	double start = now_s(), first = 0;
	size_t have = 0, need = 0;
	int ok = 0;

	if (SSL_write(s, request, request_len) != request_len)
		return -1;
	for (;;) {
		int n = SSL_read(s, in + have, (int)(sizeof(in) - 1 - have));
		if (n <= 0)
			return -1;
		if (!first)
			first = now_s() - start;
		have += (size_t)n;
		in[have] = 0;
		if (!ok && have >= 12)
			ok = !strncmp(in, "HTTP/1.1 200", 12);
		if (opening)
			return ok ? 0 : -1;
		if (streaming) {
			if (have >= 5 && !memcmp(in + have - 5, "0\r\n\r\n", 5))
				return ok ? first : -1;
			continue;
		}
		char *end = strstr(in, "\r\n\r\n"), *length = strcasestr(in, "\ncontent-length:");
		if (end && length)
			need = (size_t)(end + 4 - in) + strtoul(length + 16, NULL, 10);
		if (need && have >= need)
			return ok ? now_s() - start : -1;
	}
}

static void *worker(void *arg)
{
	int fd, warm = 3;
	SSL *s = dial(&fd);

	if (!s) {
		failures++;
		return NULL;
	}
	if (opening) {
		if (call(s) == 0)
			opened++;
		else
			failures++;
		while (now_s() < until)
			sleep(1);
		return NULL;
	}
	while (now_s() < until) {
		double t = call(s);
		if (t < 0) {
			failures++;
			return NULL;
		}
		if (warm && warm--)
			continue;
		int i = nsamples++;
		if (i < SAMPLES)
			samples[i] = (float)(t * 1e6);
	}
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	if (argc < 7)
		return 2;
	int connections = atoi(argv[4]), filler = atoi(argv[6]);
	double seconds = atof(argv[5]), start;
	streaming = argc > 7;
	opening = argc > 7 && !strcmp(argv[7], "open");
	char *body = malloc((size_t)filler + 512), *pad = malloc((size_t)filler + 1);
	memset(pad, 'x', (size_t)filler);
	pad[filler] = 0;
	int n = sprintf(body, "{\"model\":\"fake-mini\",\"max_tokens\":300,%s\"messages\":[{\"role\":\"user\",\"content\":\"%s%s\"}]}",
			streaming ? "\"stream\":true,\"stream_options\":{\"include_usage\":true}," : "", opening ? "slow" : "", pad);
	request = malloc((size_t)n + 512);
	request_len = sprintf(request, "POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\nauthorization: Bearer sk-bench\r\n"
			      "content-type: application/json\r\ncontent-length: %d\r\n\r\n%s", n, body);
	to.sin_family = AF_INET;
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	inet_pton(AF_INET, argv[1], &to.sin_addr);
	ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_load_verify_locations(ctx, argv[3], NULL) != 1)
		return 1;
	samples = malloc(SAMPLES * sizeof(*samples));
	pthread_t *t = malloc((size_t)connections * sizeof(*t));
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 512 * 1024);
	start = now_s();
	until = start + seconds;
	for (int i = 0; i < connections; i++)
		if (pthread_create(&t[i], &attr, worker, NULL))
			return 1;
	if (opening) {
		while (opened + failures < connections && now_s() < until)
			usleep(10000);
		printf("{\"opened\":%d,\"failures\":%d}\n", opened, failures);
		fflush(stdout);
	}
	for (int i = 0; i < connections; i++)
		pthread_join(t[i], NULL);
	if (opening)
		return 0;
	int count = nsamples < SAMPLES ? nsamples : SAMPLES;
	qsort(samples, (size_t)count, sizeof(*samples), by_value);
	printf("{\"n\":%d,\"rps\":%.0f,\"p50\":%.1f,\"p99\":%.1f,\"failures\":%d}\n", nsamples, nsamples / (now_s() - start),
	       count ? samples[count / 2] : 0, count ? samples[count * 99 / 100] : 0, failures);
	return failures ? 1 : 0;
}
