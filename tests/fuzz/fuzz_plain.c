// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_plain.c: an agent's plain HTTP. Checked besides memory: a prefix says MORE, or what the whole says; names come
 * lower-case without port; and whatever our own parser takes for a request to the host is seen as one. A CONNECT that is passed on is none for the host
 * to either of the two readers, and ends where they say.
 */
#include "fuzz.h"

#include "base/str.h"
#include "path/plain.h"
#include "path/tunnel_head.h"
#include "wire/h1.h"

#define LLM "llm.example"

const struct str fuzz_seeds[] = {
	FUZZ_SEED("GET / HTTP/1.1\r\nHost: " LLM "\r\n\r\n"),
	FUZZ_SEED("POST http://" LLM ":80/v1 HTTP/1.1\r\nhost:a.example\r\n\r\n"),
	FUZZ_SEED("CONNECT " LLM ":443 HTTP/1.1\nX: y\nHost: b\n\n"),
	FUZZ_SEED("CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\nProxy-Authorization: Basic x\r\n\r\n\x16\x03"),
	FUZZ_SEED("CONNECT " LLM ":443 HTTP/1.1\r\n\r\n"),
	FUZZ_SEED("CONNECT [2001:db8::1]:443 HTTP/1.0\r\nhost: " LLM "\r\n\r\n"),
	FUZZ_SEED("GET / HTTP/1.0\r\nHost: b.example\r\nHost: LLM.example.\r\n\r\n"),
	FUZZ_SEED("\r\nGET / HTTP/1.1\r\nHost:\r\n " LLM "\r\n\r\nGET http://" LLM "/ HTTP/1.1\r\nupgrade: h2c\r\n\r\n"),
	FUZZ_SEEDS_END,
};

static bool is_llm(void *ctx, const char *host)
{
	const size_t n = strlen(host);

	/* Whatever stands there, host name or not. */
	MUST(n > 0 && n < 256 && strcspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZ:/?#") == n);
	return strcmp(host, LLM) == 0;
}

static enum plain_verdict read_copy(const void *p, size_t n)
{
	char *copy = fuzz_copy(p, n);
	enum plain_verdict v = plain_read(copy, n, is_llm, NULL);

	free(copy);
	return v;
}

static bool h1_means_llm(const void *p, size_t n)
{
	struct h1 *h = h1_new(H1_REQUESTS);
	struct str in = { p, n }, body;
	char host[256];
	bool ret;

	MUST(h);
	ret = h1_next(h, &in, &body, NULL) == H1_HEAD && str_host(h1_head(h)->authority, host, sizeof(host), NULL) == 0 &&
	      strcmp(host, LLM) == 0;
	h1_free(h);
	return ret;
}

/* The whole stream in pieces: the same as in one, and no milder than what was said of its first head. */
static void check_stream(const uint8_t *data, size_t size, enum plain_verdict head)
{
	struct plain whole = { .is_llm = is_llm }, cut = { .is_llm = is_llm };
	enum plain_verdict v = plain_feed(&whole, (const char *)data, size), w = PLAIN_MORE;
	uint32_t state = (uint32_t)size | 1;

	for (size_t at = 0, n; at < size && w == PLAIN_MORE; at += n) {
		n = 1 + fuzz_random(&state) % (size - at);
		w = plain_feed(&cut, (const char *)data + at, n);
	}
	MUST(v == w);
	MUST((head != PLAIN_LLM && head != PLAIN_HIDDEN) || v == head);
}

static void check_connect(const uint8_t *data, size_t size)
{
	struct tunnel_head h, part_h;
	struct err e;
	char *copy = fuzz_copy(data, size);
	enum tunnel_verdict v = tunnel_read_connect(copy, size, is_llm, NULL, &h, &e), part;
	uint32_t state = (uint32_t)size | 1;

	if (v == TUNNEL_HEAD) {
		MUST(h.bytes <= size && h.bytes <= TUNNEL_HEAD_MAX && h.to.port && memcmp(copy + h.bytes - 4, "\r\n\r\n", 4) == 0);
		MUST(h.is_llm == (strcmp(h.host, LLM) == 0));
		MUST(h.is_llm || plain_read(copy, h.bytes, is_llm, NULL) == PLAIN_HIDDEN);
		MUST(h.is_llm || !h1_means_llm(copy, h.bytes));
	}
	free(copy);
	for (int i = 0; i < 8; i++) {
		const size_t n = 1 + fuzz_random(&state) % size;

		copy = fuzz_copy(data, n);
		part = tunnel_read_connect(copy, n, is_llm, NULL, &part_h, &e);
		MUST(part == TUNNEL_MORE || part == v);
		free(copy);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum plain_verdict all, part;
	uint32_t state = (uint32_t)size | 1;

	if (!size)
		return 0;
	all = read_copy(data, size);
	MUST(all != PLAIN_MORE || size < PLAIN_HEAD_MAX);
	for (int i = 0; i < 16 && size; i++) {
		part = read_copy(data, fuzz_random(&state) % size);
		MUST(part == PLAIN_MORE || part == all);
	}
	if (size < PLAIN_HEAD_MAX && h1_means_llm(data, size))
		MUST(all == PLAIN_LLM || all == PLAIN_HIDDEN);
	check_stream(data, size, all);
	check_connect(data, size);
	return 0;
}
