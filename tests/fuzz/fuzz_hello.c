// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_hello.c: bytes to the ClientHello reader. Checked besides memory: a prefix answers MORE or what the whole
 * answers; a name is a lower-case host name that ends in the array.
 */
#include "fuzz.h"

#include "base/str.h"
#include "wire/hello.h"

#define RANDOM32 "0123456789abcdef0123456789abcdef"
#define HELLO "\x03\x03" RANDOM32 "\x00\x00\x02\x13\x01\x01\x00\x00\x37" \
	      "\x00\x00\x00\x0e\x00\x0c\x00\x00\x09" "a.example" \
	      "\x00\x10\x00\x0e\x00\x0c\x02h2\x08http/1.1" \
	      "\x00\x2b\x00\x05\x04\x03\x04\x03\x03" "\xfe\x0d\x00\x02\x00\x00"
const struct str fuzz_seeds[] = {
	FUZZ_SEED("\x16\x03\x01\x00\x66\x01\x00\x00\x62" HELLO),
	FUZZ_SEED("\x16\x03\x01\x00\x02\x01\x00\x16\x03\x01\x00\x64\x00\x62" HELLO),
	FUZZ_SEED("POST /v1 HTTP/1.1\r\n"),
	FUZZ_SEED("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	FUZZ_SEED("\x80\x2e\x01\x03\x01\x00\x15"),
	FUZZ_SEED("\x15\x03\x01\x00\x02\x01\x5a\x16\x03\x01\x00\x66\x01"),
	FUZZ_SEED("\r\n\r\n\0\r\nQUIT\n\x21\x11"),
	FUZZ_SEED("\r\nGET / HTTP/1.1\r\n"),
	FUZZ_SEEDS_END,
};

static enum hello_kind parse(const void *p, size_t n, struct hello *ret)
{
	char *copy = fuzz_copy(p, n);
	enum hello_kind kind = hello_parse(copy, n, ret, NULL);

	free(copy);
	return kind;
}

static void check_name(const struct hello *h)
{
	char again[256];
	int port;

	MUST(memchr(h->sni, '\0', sizeof(h->sni)));
	MUST(!h->is_odd || h->sni[0] == '\0');
	if (h->sni[0] == '\0')
		return;
	MUST(str_host(str_of(h->sni), again, sizeof(again), &port) == 0 && port == -1);
	MUST(strcmp(h->sni, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hello h, part;
	enum hello_kind kind = parse(data, size, &h);
	uint32_t state = (uint32_t)size | 1;

	if (kind == HELLO_TLS) {
		check_name(&h);
		MUST(h.bytes > 5 && h.bytes <= size);
	}
	for (int i = 0; i < 20 && size; i++) {
		/* The short prefixes are the interesting ones; some of all lengths. */
		const size_t n = i < 10 ? (size_t)i < size ? (size_t)i : size : fuzz_random(&state) % size;
		const enum hello_kind said = parse(data, n, &part);

		MUST(said == HELLO_MORE || said == kind);
		MUST(said != HELLO_TLS || strcmp(part.sni, h.sni) == 0);
	}
	return 0;
}
