// SPDX-License-Identifier: Apache-2.0
/*
 * test_hello.c: ClientHellos as OpenSSL writes them and ones built by hand, cut at every byte and split into records
 * every which way. What hello_parse answers for all bytes must also be its answer, or HELLO_MORE, for each prefix.
 */
#include "cuts.h"

#include <openssl/ssl.h>

#include "base/str.h"
#include "wire/hello.h"

static const char *const kind_names[] = { "more", "tls", "http", "other", "bad" };

/* ---- one input, all prefixes */

/* The answer for the first n bytes, from a copy that ends there. */
static enum hello_kind parse_copy(struct str in, size_t n, struct hello *ret)
{
	void *copy = cuts_copy(in.p, n);
	struct err e = { "" };
	enum hello_kind kind;

	memset(ret, 0x5a, sizeof(*ret));
	kind = hello_parse(copy, n, ret, &e);
	if (kind == HELLO_BAD)
		assert_non_null(strstr(e.text, "ClientHello"));
	free(copy);
	return kind;
}

/* Prefixes answer MORE, and from some length on what the whole answers. Returns that length. */
static size_t check_prefixes(struct str in, enum hello_kind expected, struct hello *ret)
{
	struct hello h;
	size_t turn = in.n + 1;

	if (parse_copy(in, in.n, ret) != expected) {
		fprintf(stderr, "whole: %s, expected %s\n", kind_names[parse_copy(in, in.n, ret)], kind_names[expected]);
		fail();
	}
	for (size_t n = 0; n <= in.n; n++) {
		enum hello_kind kind = parse_copy(in, n, &h);

		if (turn > in.n && kind != HELLO_MORE)
			turn = n;
		if (turn <= in.n) {
			assert_int_equal(kind, expected);
			if (kind == HELLO_TLS)
				assert_string_equal(h.sni, ret->sni);
		}
	}
	return turn;
}

/* ---- hellos that OpenSSL writes */

struct client {
	const char *sni, *alpn; /* alpn in wire form; NULL = none */
	size_t alpn_len;
	int max_version;
	int padding; /* bytes of a custom extension, several of them */
};

static int add_big(SSL *s, unsigned type, unsigned context, const unsigned char **out, size_t *outlen, X509 *x,
		   size_t chainidx, int *al, void *arg)
{
	*outlen = *(int *)arg > 60000 ? 60000 : (size_t)*(int *)arg;
	*out = calloc(1, *outlen ? *outlen : 1);
	return *out != NULL;
}

static void free_big(SSL *s, unsigned type, unsigned context, const unsigned char *out, void *arg)
{
	free((void *)(uintptr_t)out);
}

/* What a client sends first. The caller frees it with free(). */
static struct str hello_of(const struct client *c)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	struct str ret;
	char *bytes;
	SSL *ssl;

	assert_non_null(ctx);
	if (c->max_version)
		SSL_CTX_set_max_proto_version(ctx, c->max_version);
	if (c->padding)
		assert_int_equal(SSL_CTX_add_custom_ext(ctx, 0xfff0, SSL_EXT_CLIENT_HELLO, add_big, free_big,
							(void *)(uintptr_t)&c->padding, NULL, NULL), 1);
	ssl = SSL_new(ctx);
	assert_non_null(ssl);
	SSL_set_bio(ssl, in, out);
	if (c->sni)
		assert_int_equal(SSL_set_tlsext_host_name(ssl, c->sni), 1);
	if (c->alpn)
		assert_int_equal(SSL_set_alpn_protos(ssl, (const unsigned char *)c->alpn, (unsigned)c->alpn_len), 0);
	assert_int_equal(SSL_connect(ssl), -1);
	ret.n = (size_t)BIO_get_mem_data(out, &bytes);
	ret.p = cuts_copy(bytes, ret.n);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return ret;
}

/*
 * The same message in records of at most `max` bytes. Two-byte steps and so on: pieces are cut at random when seed is set.
 */
static struct str split_records(struct str in, size_t max, uint32_t seed)
{
	struct buf content, out;
	struct str ret;

	buf_init(&content, 1 << 20);
	buf_init(&out, 1 << 20);
	while (in.n) {
		const unsigned char *p = (const unsigned char *)in.p;
		size_t n = (size_t)p[3] << 8 | p[4];

		assert_int_equal(buf_append(&content, in.p + 5, n), 0);
		in.p += 5 + n;
		in.n -= 5 + n;
	}
	while (buf_len(&content)) {
		size_t n = seed ? cuts_random(&seed) % max + 1 : max;
		char head[5] = { 22, 3, 1 };

		n = n < buf_len(&content) ? n : buf_len(&content);
		head[3] = (char)(n >> 8);
		head[4] = (char)n;
		assert_int_equal(buf_append(&out, head, 5), 0);
		assert_int_equal(buf_append(&out, buf_ptr(&content), n), 0);
		buf_consume(&content, n);
	}
	buf_done(&content);
	ret = (struct str){ cuts_copy(buf_ptr(&out), buf_len(&out)), buf_len(&out) };
	buf_done(&out);
	return ret;
}

static void free_str(struct str s)
{
	free((char *)(uintptr_t)s.p);
}

#define ALPN(literal) .alpn = literal, .alpn_len = sizeof(literal) - 1
static const struct {
	const char *name;
	struct client client;
	struct hello expected;
} clients[] = {
	{ "plain", { .sni = "api.example.com" }, { .sni = "api.example.com", .tls13 = true } },
	{ "upper case", { .sni = "API.Example.COM" }, { .sni = "api.example.com", .tls13 = true } },
	{ "h2 and http/1.1", { .sni = "a.example", ALPN("\x02h2\x08http/1.1") },
	  { .sni = "a.example", .tls13 = true, .has_alpn = true, .alpn_h2 = true, .alpn_http11 = true } },
	{ "http/1.1", { .sni = "a.example", ALPN("\x08http/1.1") }, { .sni = "a.example", .tls13 = true, .has_alpn = true, .alpn_http11 = true } },
	{ "other ALPN", { .sni = "a.example", ALPN("\x03h2c\x08http/1.0\x01h") }, { .sni = "a.example", .tls13 = true, .has_alpn = true } },
	{ "no SNI", { .sni = NULL }, { .sni = "", .tls13 = true } },
	{ "TLS 1.2", { .sni = "a.example", .max_version = TLS1_2_VERSION }, { .sni = "a.example" } },
	{ "IP as SNI", { .sni = "192.0.2.1" }, { .sni = "", .tls13 = true } },
	{ "IPv6 as SNI", { .sni = "2001:db8::7" }, { .sni = "", .tls13 = true } },
	{ "port in SNI", { .sni = "a.example:443" }, { .sni = "", .is_odd = true, .tls13 = true } },
	{ "no host name", { .sni = "a b/c" }, { .sni = "", .is_odd = true, .tls13 = true } },
	{ "trailing dot", { .sni = "a.example." }, { .sni = "a.example", .tls13 = true } },
	{ "two trailing dots", { .sni = "a.example.." }, { .sni = "", .is_odd = true, .tls13 = true } },
	{ "a dot in front", { .sni = ".a.example" }, { .sni = "", .is_odd = true, .tls13 = true } },
	{ "a blank behind", { .sni = "a.example " }, { .sni = "", .is_odd = true, .tls13 = true } },
	{ "IDN, as it stands in the DNS", { .sni = "xn--bcher-kva.example" }, { .sni = "xn--bcher-kva.example", .tls13 = true } },
	{ "IDN, in UTF-8", { .sni = "b\xc3\xbc" "cher.example" }, { .sni = "", .is_odd = true, .tls13 = true } },
	{ "an underscore", { .sni = "a_b.example" }, { .sni = "a_b.example", .tls13 = true } },
	{ "a wildcard", { .sni = "*.example" }, { .sni = "", .is_odd = true, .tls13 = true } },
	{ "a label of 64", { .sni = "0123456789012345678901234567890123456789012345678901234567890123.example" },
	  { .sni = "", .is_odd = true, .tls13 = true } },
	{ "one segment is not enough", { .sni = "a.example", .padding = 3000 }, { .sni = "a.example", .tls13 = true } },
	{ "one record is not enough", { .sni = "a.example", .padding = 17000, ALPN("\x02h2") },
	  { .sni = "a.example", .tls13 = true, .has_alpn = true, .alpn_h2 = true } },
};

static void check_same(const struct hello *a, const struct hello *b)
{
	assert_string_equal(a->sni, b->sni);
	assert_int_equal(a->is_odd, b->is_odd);
	assert_int_equal(a->has_ech, b->has_ech);
	assert_int_equal(a->has_alpn, b->has_alpn);
	assert_int_equal(a->alpn_h2, b->alpn_h2);
	assert_int_equal(a->alpn_http11, b->alpn_http11);
	assert_int_equal(a->tls13, b->tls13);
}

static void reads_openssl_in_every_cut(void **state)
{
	struct hello h;

	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
		struct str in = hello_of(&clients[i].client);

		print_message("  %s (%zu bytes)\n", clients[i].name, in.n);
		/* Not a byte earlier than all of it. */
		assert_int_equal(check_prefixes(in, HELLO_TLS, &h), in.n);
		check_same(&h, &clients[i].expected);
		free_str(in);
	}
}

static void reads_split_records(void **state)
{
	static const size_t sizes[] = { 1, 2, 3, 4, 5, 7, 100, 500, 16384 };
	uint32_t seed = CUTS_SEED;
	struct hello h;

	for (size_t i = 0; i < 3; i++) {
		struct str in = hello_of(&clients[i].client), split;

		for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
			split = split_records(in, sizes[k], 0);
			assert_int_equal(check_prefixes(split, HELLO_TLS, &h), split.n);
			check_same(&h, &clients[i].expected);
			free_str(split);
		}
		for (size_t k = 0; k < 20; k++) {
			split = split_records(in, 80, cuts_random(&seed));
			assert_int_equal(check_prefixes(split, HELLO_TLS, &h), split.n);
			check_same(&h, &clients[i].expected);
			free_str(split);
		}
		free_str(in);
	}
}

static void ignores_what_follows(void **state)
{
	struct str in = hello_of(&clients[0].client);
	char *more = malloc(in.n + HELLO_MAX + 100);
	struct hello h;

	assert_non_null(more);
	memcpy(more, in.p, in.n);
	memset(more + in.n, 'x', HELLO_MAX + 100);
	assert_int_equal(hello_parse(more, in.n + HELLO_MAX + 100, &h, NULL), HELLO_TLS);
	check_same(&h, &clients[0].expected);
	assert_int_equal(h.bytes, in.n);
	free(more);
	free_str(in);
}

static void is_bounded(void **state)
{
	struct client c = { .sni = "a.example", .padding = 32000 };
	struct str in = hello_of(&c), split;
	struct hello h;

	/* Just under the bound; as many small records over it; and a length that says so at once. */
	assert_true(in.n < HELLO_MAX);
	assert_int_equal(hello_parse(in.p, in.n, &h, NULL), HELLO_TLS);
	split = split_records(in, 100, 0);
	assert_true(split.n > HELLO_MAX);
	assert_int_equal(hello_parse(split.p, HELLO_MAX - 1, &h, NULL), HELLO_MORE);
	assert_int_equal(hello_parse(split.p, HELLO_MAX, &h, NULL), HELLO_BAD);
	assert_int_equal(hello_parse(split.p, split.n, &h, NULL), HELLO_BAD);
	free_str(split);
	free_str(in);
	c.padding = 40000;
	in = hello_of(&c);
	assert_int_equal(check_prefixes((struct str){ in.p, 100 }, HELLO_BAD, &h), 9);
	free_str(in);
}

/* Flipping any byte of a good hello must never read past its end, and may never name another host silently longer. */
static void survives_flipped_bytes(void **state)
{
	struct str in = hello_of(&clients[2].client);
	unsigned char *copy = cuts_copy(in.p, in.n);
	struct hello h;

	for (size_t i = 0; i < in.n; i++) {
		for (unsigned v = 0; v < 256; v++) {
			copy[i] = (unsigned char)v;
			if (hello_parse(copy, in.n, &h, NULL) == HELLO_TLS)
				assert_true(strlen(h.sni) < sizeof(h.sni));
		}
		copy[i] = (unsigned char)in.p[i];
	}
	free(copy);
	free_str(in);
}

/* ---- hellos built by hand */

#define RANDOM32 "0123456789abcdef0123456789abcdef"
#define PLAIN_START "\x03\x03" RANDOM32 "\x00\x00\x02\x13\x01\x01\x00"
#define SNI_A "\x00\x00\x00\x06\x00\x04\x00\x00\x01" "a"

/* body -> handshake -> one record */
static struct str wrap(struct str body)
{
	char *p = malloc(body.n + 9);
	const size_t m = body.n + 4;

	assert_non_null(p);
	memcpy(p, (char[]){ 22, 3, 1, (char)(m >> 8), (char)m, 1, 0, (char)(body.n >> 8), (char)body.n }, 9);
	memcpy(p + 9, body.p, body.n);
	return (struct str){ p, m + 5 };
}

#define S(literal) { literal, sizeof(literal) - 1 }
static const struct {
	const char *name;
	struct str body;
	enum hello_kind expected;
	struct hello hello;
} bodies[] = {
	{ "no extensions at all", S(PLAIN_START), HELLO_TLS, { .sni = "" } },
	{ "empty extensions", S(PLAIN_START "\x00\x00"), HELLO_TLS, { .sni = "" } },
	{ "SNI", S(PLAIN_START "\x00\x0a" SNI_A), HELLO_TLS, { .sni = "a" } },
	{ "GREASE around it", S(PLAIN_START "\x00\x13" "\x0a\x0a\x00\x00" SNI_A "\x1a\x1a\x00\x01\x00"), HELLO_TLS, { .sni = "a" } },
	{ "GREASE in versions and ALPN",
	  S(PLAIN_START "\x00\x1a" "\x00\x2b\x00\x07\x06\x0a\x0a\x03\x04\x03\x03" "\x00\x10\x00\x0b\x00\x09\x02\x0a\x0a\x02h2\x02\x1a\x1a"),
	  HELLO_TLS, { .sni = "", .tls13 = true, .has_alpn = true, .alpn_h2 = true } },
	{ "versions without 1.3", S(PLAIN_START "\x00\x09" "\x00\x2b\x00\x05\x04\x03\x03\x03\x02"), HELLO_TLS, { .sni = "" } },
	{ "ECH", S(PLAIN_START "\x00\x10" SNI_A "\xfe\x0d\x00\x02\x00\x00"), HELLO_TLS, { .sni = "a", .has_ech = true } },
	{ "SNI with a NUL", S(PLAIN_START "\x00\x0c" "\x00\x00\x00\x08\x00\x06\x00\x00\x03" "a\0b"), HELLO_TLS, { .sni = "", .is_odd = true } },
	{ "SNI of no bytes", S(PLAIN_START "\x00\x09" "\x00\x00\x00\x05\x00\x03\x00\x00\x00"), HELLO_TLS, { .sni = "" } },
	{ "a cipher list and session id", S("\x03\x03" RANDOM32 "\x02xy\x00\x04\x13\x01\x13\x02\x02\x01\x00"), HELLO_TLS, { .sni = "" } },
	{ "SNI twice", S(PLAIN_START "\x00\x14" SNI_A SNI_A), HELLO_BAD, { .sni = "" } },
	{ "GREASE twice", S(PLAIN_START "\x00\x08" "\x0a\x0a\x00\x00\x0a\x0a\x00\x00"), HELLO_BAD, { .sni = "" } },
	{ "two names in one SNI", S(PLAIN_START "\x00\x0e" "\x00\x00\x00\x0a\x00\x08\x00\x00\x01" "a\x00\x00\x01" "b"), HELLO_BAD, { .sni = "" } },
	{ "a name of another type", S(PLAIN_START "\x00\x0a" "\x00\x00\x00\x06\x00\x04\x01\x00\x01" "a"), HELLO_BAD, { .sni = "" } },
	{ "empty SNI list", S(PLAIN_START "\x00\x06" "\x00\x00\x00\x02\x00\x00"), HELLO_BAD, { .sni = "" } },
	{ "empty SNI extension", S(PLAIN_START "\x00\x04" "\x00\x00\x00\x00"), HELLO_BAD, { .sni = "" } },
	{ "SNI list shorter than its extension", S(PLAIN_START "\x00\x0b" "\x00\x00\x00\x07\x00\x04\x00\x00\x01" "ab"), HELLO_BAD, { .sni = "" } },
	{ "SNI list longer than its extension", S(PLAIN_START "\x00\x0a" "\x00\x00\x00\x06\x00\x05\x00\x00\x01" "a"), HELLO_BAD, { .sni = "" } },
	{ "SNI name longer than its list", S(PLAIN_START "\x00\x0a" "\x00\x00\x00\x06\x00\x04\x00\x00\x02" "a"), HELLO_BAD, { .sni = "" } },
	{ "extension longer than all", S(PLAIN_START "\x00\x0a" "\x00\x00\x00\x07\x00\x04\x00\x00\x01" "a"), HELLO_BAD, { .sni = "" } },
	{ "extensions longer than the message", S(PLAIN_START "\x00\x0b" SNI_A), HELLO_BAD, { .sni = "" } },
	{ "bytes behind the extensions", S(PLAIN_START "\x00\x0a" SNI_A "x"), HELLO_BAD, { .sni = "" } },
	{ "half an extension", S(PLAIN_START "\x00\x03" "\x00\x17\x00"), HELLO_BAD, { .sni = "" } },
	{ "half an extensions length", S(PLAIN_START "\x00"), HELLO_BAD, { .sni = "" } },
	{ "empty ALPN list", S(PLAIN_START "\x00\x06" "\x00\x10\x00\x02\x00\x00"), HELLO_BAD, { .sni = "" } },
	{ "empty ALPN name", S(PLAIN_START "\x00\x07" "\x00\x10\x00\x03\x00\x01\x00"), HELLO_BAD, { .sni = "" } },
	{ "odd versions", S(PLAIN_START "\x00\x08" "\x00\x2b\x00\x04\x03\x03\x04\x03"), HELLO_BAD, { .sni = "" } },
	{ "no versions", S(PLAIN_START "\x00\x05" "\x00\x2b\x00\x01\x00"), HELLO_BAD, { .sni = "" } },
	{ "version 2", S("\x02\x00" RANDOM32 "\x00\x00\x02\x13\x01\x01\x00"), HELLO_BAD, { .sni = "" } },
	{ "long session id", S("\x03\x03" RANDOM32 "\x21" RANDOM32 "x\x00\x02\x13\x01\x01\x00"), HELLO_BAD, { .sni = "" } },
	{ "odd ciphers", S("\x03\x03" RANDOM32 "\x00\x00\x03\x13\x01\x13\x01\x00"), HELLO_BAD, { .sni = "" } },
	{ "no ciphers", S("\x03\x03" RANDOM32 "\x00\x00\x00\x01\x00"), HELLO_BAD, { .sni = "" } },
	{ "no compression", S("\x03\x03" RANDOM32 "\x00\x00\x02\x13\x01\x00"), HELLO_BAD, { .sni = "" } },
	{ "short random", S("\x03\x03" "0123"), HELLO_BAD, { .sni = "" } },
	{ "nothing", S(""), HELLO_BAD, { .sni = "" } },
};

static void reads_built_hellos(void **state)
{
	struct hello h;

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct str in = wrap(bodies[i].body), split;

		print_message("  %s\n", bodies[i].name);
		(void)check_prefixes(in, bodies[i].expected, &h);
		if (bodies[i].expected == HELLO_TLS)
			check_same(&h, &bodies[i].hello);
		split = split_records(in, 3, 0);
		(void)check_prefixes(split, bodies[i].expected, &h);
		free_str(split);
		free_str(in);
	}
}

static const struct {
	const char *name;
	struct str in;
	enum hello_kind expected;
} firsts[] = {
	{ "nothing", S(""), HELLO_MORE },
	{ "a record head", S("\x16\x03\x01\x00\x05"), HELLO_MORE },
	{ "GET", S("GET / HTTP/1.1\r\n"), HELLO_HTTP },
	{ "POST", S("POST /v1 HTTP/1.1\r\n"), HELLO_HTTP },
	{ "CONNECT", S("CONNECT a:443 HTTP/1.1\r\n"), HELLO_HTTP },
	{ "h2 with prior knowledge", S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), HELLO_HTTP },
	{ "the start of a method", S("OPTION"), HELLO_MORE },
	{ "P may be four methods", S("P"), HELLO_MORE },
	{ "no method", S("POSTER / HTTP/1.1"), HELLO_OTHER },
	{ "lower case", S("get / HTTP/1.1"), HELLO_OTHER },
	{ "SSH", S("SSH-2.0-OpenSSH_9.2\r\n"), HELLO_OTHER },
	{ "NUL bytes", S("\0\0\0\0"), HELLO_OTHER },
	{ "postgres asks for TLS", S("\0\0\0\x08\x04\xd2\x16\x2f"), HELLO_OTHER },
	{ "a warning alert before the hello", S("\x15\x03\x01\x00\x02\x01\x5a\x16\x03\x01\x00\x05"), HELLO_BAD },
	{ "an alert", S("\x15\x03\x01\x00\x02\x02\x28"), HELLO_BAD },
	{ "change_cipher_spec", S("\x14\x03\x03\x00\x01\x01"), HELLO_BAD },
	{ "application data", S("\x17\x03\x03\x00\x01x"), HELLO_BAD },
	{ "a heartbeat", S("\x18\x03\x03\x00\x01x"), HELLO_BAD },
	{ "a record of version 2.1", S("\x16\x02\x01\x00\x05"), HELLO_BAD },
	{ "a record of version 0.0", S("\x16\x00\x00\x00\x05"), HELLO_BAD },
	{ "0x16 but not TLS", S("\x16\x10\x01\x00\x05"), HELLO_OTHER },
	{ "a PROXY header", S("PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n"), HELLO_BAD },
	{ "a PROXY header, binary", S("\r\n\r\n\0\r\nQUIT\n\x21\x11"), HELLO_BAD },
	{ "SOCKS 5", S("\5\1\0"), HELLO_BAD },
	{ "SOCKS 4", S("\4\1\x01\xbb"), HELLO_BAD },
	{ "five, but not SOCKS", S("\5\0\0"), HELLO_OTHER },
	{ "empty lines before a request", S("\r\n\n\r\nPOST /v1 HTTP/1.1\r\n"), HELLO_HTTP },
	{ "empty lines before something else", S("\r\nHELO a\r\n"), HELLO_OTHER },
	{ "nothing but empty lines", S("\r\n\r\n"), HELLO_MORE },
	{ "SSL 2", S("\x80\x2e\x01\x00\x02\x00\x15"), HELLO_BAD },
	{ "SSL 2 form of TLS", S("\x80\x2e\x01\x03\x01\x00\x15"), HELLO_BAD },
	{ "SSL 2 form of a later version", S("\x80\x2e\x01\x03\x09\x00\x15"), HELLO_BAD },
	{ "SSL 2, too short", S("\x80\x2e\x01\x03"), HELLO_MORE },
	{ "high bit, but not SSL 2", S("\x80\x2e\x02\x03\x01"), HELLO_OTHER },
	{ "high bit, another version", S("\x80\x2e\x01\x07\x01"), HELLO_OTHER },
	{ "ServerHello", S("\x16\x03\x03\x00\x04\x02\x00\x00\x00"), HELLO_BAD },
	{ "empty record", S("\x16\x03\x01\x00\x00"), HELLO_BAD },
	{ "record over 16 KiB", S("\x16\x03\x01\x40\x01\x01"), HELLO_BAD },
	{ "message over 32 KiB", S("\x16\x03\x01\x40\x00\x01\x00\x80\x00"), HELLO_BAD },
	{ "bytes behind the hello in its record", S("\x16\x03\x01\x00\x06\x01\x00\x00\x01"), HELLO_BAD },
	{ "another type between the records", S("\x16\x03\x01\x00\x04\x01\x00\x00\x30\x17\x03\x03\x00\x01x"), HELLO_BAD },
	{ "alert between the records", S("\x16\x03\x01\x00\x01\x01\x15\x03\x03\x00\x02\x01\x00"), HELLO_BAD },
	{ "record of another version", S("\x16\x03\x01\x00\x01\x01\x16\x02\x03\x00\x02\x01\x00"), HELLO_BAD },
};

static void tells_kinds_apart(void **state)
{
	struct hello h;

	for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
		print_message("  %s\n", firsts[i].name);
		(void)check_prefixes(firsts[i].in, firsts[i].expected, &h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_openssl_in_every_cut),
		cmocka_unit_test(reads_split_records),
		cmocka_unit_test(ignores_what_follows),
		cmocka_unit_test(is_bounded),
		cmocka_unit_test(survives_flipped_bytes),
		cmocka_unit_test(reads_built_hellos),
		cmocka_unit_test(tells_kinds_apart),
	};

	print_message("seed %u\n", CUTS_SEED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
