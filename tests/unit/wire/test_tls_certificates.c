// SPDX-License-Identifier: Apache-2.0
/*
 * test_tls_certificates.c: which certificates of providers are believed. Each row is a good chain but for one flaw; what
 * the person reads is part of the verdict. Other shapes of chains and servers are test_tls_chains.c, what is stapled test_tls_ocsp.c.
 */
#include "certs.h"

#include <errno.h>

#include "tls_pair.h"

#define HOST "api.example.com"
#define DAY 86400

struct row {
	const char *name;
	struct flaw root, issuer, leaf;
	const char *host;    /* NULL = HOST */
	bool no_issuer_sent, other_root, self_signed;
	bool not_sent; /* such a certificate cannot be shown with what we offer: refused without being seen */
	int own_key;         /* 1 = the root's key is ours, 2 = the issuer's, 3 = the leaf's */
	const char *refused; /* NULL = believed; else a part of the text */
};

static const struct row rows[] = {
	/* good */
	{ .name = "good" },
	{ .name = "RSA leaf", .leaf = { .rsa_bits = 2048, .usage = "critical,digitalSignature,keyEncipherment" } },
	{ .name = "RSA chain, SHA-384", .root.rsa_bits = 2048, .issuer = { .rsa_bits = 2048, .digest = "SHA384" },
	  .leaf.digest = "SHA384" },
	{ .name = "wildcard", .leaf.san = "DNS:*.example.com" },
	{ .name = "second of two names", .leaf.san = "DNS:www.example.com,DNS:" HOST },
	{ .name = "name in upper case", .leaf.san = "DNS:API.EXAMPLE.COM" },
	{ .name = "CN of another name beside the right SAN", .leaf.cn = "evil.example.net" },
	{ .name = "no extended key usage", .leaf.extended = "" },
	{ .name = "constraint that permits", .issuer.constraints = "critical,permitted;DNS:example.com" },
	{ .name = "root without key usage", .root.usage = "" },
	{ .name = "root's CA flag not critical", .root.basic = "CA:TRUE" },
	{ .name = "Ed25519 leaf", .leaf.curve = "ED25519" },
	{ .name = "Ed25519 chain", .root.curve = "ED25519", .issuer.curve = "ED25519", .leaf.curve = "ED25519" },
	{ .name = "P-384 chain", .root.curve = "P-384", .issuer = { .curve = "P-384", .digest = "SHA384" },
	  .leaf = { .curve = "P-384", .digest = "SHA384" } },
	{ .name = "RSA 3072 leaf", .leaf.rsa_bits = 3072 },
	{ .name = "international name", .leaf.san = "DNS:xn--bcher-kva.example.com", .host = "xn--bcher-kva.example.com" },
	{ .name = "wildcard below an international name", .leaf.san = "DNS:*.xn--bcher-kva.example",
	  .host = "api.xn--bcher-kva.example" },
	{ .name = "ten names", .leaf.san = "DNS:a.example.com,DNS:b.example.com,DNS:c.example.com,DNS:d.example.com,DNS:*.example.net,"
					   "IP:192.0.2.1,email:x@example.com,DNS:e.example.com,DNS:f.example.com,DNS:" HOST },
	{ .name = "for servers and clients", .leaf.extended = "serverAuth,clientAuth" },
	{ .name = "no key usage", .leaf.usage = "" },
	{ .name = "constraints on names and addresses satisfied",
	  .issuer.constraints = "critical,permitted;DNS:example.com,permitted;IP:192.0.2.0/255.255.255.0,excluded;DNS:example.net",
	  .leaf.san = "DNS:" HOST ",IP:192.0.2.7" },
	{ .name = "constraints of the root satisfied", .root.constraints = "critical,permitted;DNS:com" },

	/* names */
	{ .name = "wrong name", .leaf.san = "DNS:www.example.com", .refused = "for another name" },
	{ .name = "name below", .leaf.san = "DNS:a." HOST, .refused = "for another name" },
	{ .name = "name above", .leaf.san = "DNS:example.com", .refused = "for another name" },
	{ .name = "CN only", .leaf = { .cn = HOST, .san = "" }, .refused = "for another name" },
	{ .name = "CN right, SAN wrong", .leaf = { .cn = HOST, .san = "DNS:www.example.com" },
	  .refused = "for another name" },
	{ .name = "CN right, SAN an address", .leaf = { .cn = HOST, .san = "IP:192.0.2.1" }, .refused = "another name" },
	{ .name = "partial wildcard in front", .leaf.san = "DNS:*pi.example.com", .refused = "for another name" },
	{ .name = "partial wildcard behind", .leaf.san = "DNS:a*.example.com", .refused = "for another name" },
	{ .name = "partial wildcard in the middle", .leaf.san = "DNS:a*i.example.com", .refused = "for another name" },
	{ .name = "wildcard inside an international name", .leaf.san = "DNS:xn--*.example.com", .host = "xn--bcher-kva.example.com",
	  .refused = "for another name" },
	{ .name = "an address in the CN, no names", .leaf = { .cn = "192.0.2.1", .san = "" }, .refused = "for another name" },
	{ .name = "NUL at the end of the name", .leaf = { .san_raw = HOST "\0", .san_raw_len = sizeof(HOST) },
	  .refused = "for another name" },
	{ .name = "the name behind a NUL", .leaf = { .cn = HOST, .san_raw = "evil.net\0" HOST, .san_raw_len = sizeof(HOST) + 8 },
	  .refused = "for another name" },
	{ .name = "a space behind the name", .leaf = { .san_raw = HOST " ", .san_raw_len = sizeof(HOST) },
	  .refused = "for another name" },
	{ .name = "an empty name", .leaf = { .cn = HOST, .san_raw = "" }, .refused = "for another name" },
	{ .name = "wildcard over two labels", .leaf.san = "DNS:*.example.com", .host = "a.b.example.com",
	  .refused = "for another name" },
	{ .name = "wildcard for nothing", .leaf.san = "DNS:*.example.com", .host = "example.com",
	  .refused = "for another name" },
	{ .name = "wildcard in the middle", .leaf.san = "DNS:api.*.com", .refused = "for another name" },
	{ .name = "two wildcards", .leaf.san = "DNS:*.*.com", .refused = "for another name" },
	{ .name = "bare wildcard", .leaf.san = "DNS:*", .host = "localhost", .refused = "for another name" },
	{ .name = "wildcard for a top-level domain", .leaf.san = "DNS:*.com", .host = "example.com",
	  .refused = "for another name" },
	{ .name = "NUL in the name", .leaf = { .san_raw = HOST "\0.evil.net", .san_raw_len = sizeof(HOST) + 9 },
	  .refused = "for another name" },
	{ .name = "leading dot", .leaf.san = "DNS:.example.com", .refused = "for another name" },
	{ .name = "the name as an e-mail address", .leaf.san = "email:a@" HOST, .refused = "for another name" },
	{ .name = "the name as a URI", .leaf.san = "URI:https://" HOST "/", .refused = "for another name" },

	/* time */
	{ .name = "expired", .leaf = { .from_s = -2 * DAY, .to_s = -60 }, .refused = "certificate has expired" },
	{ .name = "not yet valid", .leaf = { .from_s = 600, .to_s = DAY }, .refused = "not yet valid" },
	{ .name = "issuer expired", .issuer = { .from_s = -2 * DAY, .to_s = -60 }, .refused = "has expired" },
	{ .name = "root expired", .root = { .from_s = -2 * DAY, .to_s = -60 }, .refused = "has expired" },
	{ .name = "issuer not yet valid", .issuer = { .from_s = 600, .to_s = DAY }, .refused = "not yet valid" },

	/* trust */
	{ .name = "self-signed", .self_signed = true, .refused = "self-signed" },
	{ .name = "untrusted root", .other_root = true, .refused = "unable to get" },
	{ .name = "issuer not sent", .no_issuer_sent = true, .refused = "upstream_ca" },
	{ .name = "leads to our root", .own_key = 1, .refused = "purse's own CA" },
	{ .name = "leads to our issuer", .own_key = 2, .refused = "purse's own CA" },
	{ .name = "is our own leaf", .own_key = 3, .refused = "purse's own CA" },

	/* what a certificate may do */
	{ .name = "root without CA flag", .root.basic = "critical,CA:FALSE", .refused = "" },
	{ .name = "issuer without key usage", .issuer.usage = "", .refused = "key usage" },
	{ .name = "issuer without CA flag", .issuer.basic = "critical,CA:FALSE", .refused = "" },
	{ .name = "issuer without basic constraints", .issuer.basic = "", .refused = "" },
	{ .name = "issuer's CA flag not critical", .issuer.basic = "CA:TRUE", .refused = "" },
	{ .name = "issuer may not sign certificates", .issuer.usage = "critical,digitalSignature", .refused = "" },
	{ .name = "path too long", .root.basic = "critical,CA:TRUE,pathlen:0", .refused = "path length" },
	{ .name = "issuer for clients only", .issuer.extended = "clientAuth", .refused = "purpose" },
	{ .name = "leaf for clients only", .leaf.extended = "clientAuth", .refused = "purpose" },
	{ .name = "leaf for code signing", .leaf.extended = "codeSigning", .refused = "purpose" },
	{ .name = "constraints violated", .issuer.constraints = "critical,permitted;DNS:example.net",
	  .refused = "subtree violation" },
	{ .name = "address outside the constraints", .issuer.constraints = "critical,permitted;IP:10.0.0.0/255.0.0.0",
	  .leaf.san = "DNS:" HOST ",IP:192.0.2.1", .refused = "subtree violation" },
	{ .name = "address excluded", .issuer.constraints = "critical,excluded;IP:0.0.0.0/0.0.0.0",
	  .leaf.san = "DNS:" HOST ",IP:192.0.2.1", .refused = "subtree violation" },
	{ .name = "a second name outside the constraints", .issuer.constraints = "critical,permitted;DNS:example.com",
	  .leaf.san = "DNS:" HOST ",DNS:www.example.net", .refused = "subtree violation" },
	{ .name = "a wildcard above the constraints", .issuer.constraints = "critical,permitted;DNS:" HOST,
	  .leaf.san = "DNS:*.example.com", .refused = "subtree violation" },
	{ .name = "constraints of the root violated by an address", .root.constraints = "critical,excluded;IP:0.0.0.0/0.0.0.0",
	  .leaf.san = "DNS:" HOST ",IP:192.0.2.1", .refused = "subtree violation" },
	{ .name = "a CA as a server", .leaf = { .basic = "critical,CA:TRUE", .usage = "critical,digitalSignature,keyCertSign" },
	  .refused = "CA:TRUE" },
	{ .name = "a CA as a server, with a server's key usage", .leaf.basic = "critical,CA:TRUE", .refused = "CA:TRUE" },
	{ .name = "leaf that may only encipher", .leaf = { .rsa_bits = 2048, .usage = "critical,keyEncipherment" },
	  .refused = "digitalSignature" },
	{ .name = "leaf that may only agree on keys", .leaf.usage = "critical,keyAgreement", .refused = "digitalSignature" },
	{ .name = "leaf that may only sign lists", .leaf.usage = "critical,cRLSign", .refused = "purpose" },
	{ .name = "name excluded", .issuer.constraints = "critical,excluded;DNS:" HOST, .refused = "subtree violation" },
	{ .name = "constraints of the root violated", .root.constraints = "critical,permitted;DNS:example.net",
	  .refused = "subtree violation" },
	{ .name = "unknown critical extension", .leaf.unknown_critical = "1.3.6.1.4.1.55555.1",
	  .refused = "critical extension" },
	{ .name = "unknown critical extension of the issuer", .issuer.unknown_critical = "1.3.6.1.4.1.55555.1",
	  .refused = "critical extension" },

	{ .name = "leaf that does not say whose key signed it", .leaf.no_key_id = true,
	  .refused = "have this one made again" },

	/* strength */
	{ .name = "RSA 1024 leaf", .leaf.rsa_bits = 1024, .refused = "too weak" },
	{ .name = "RSA 1024 issuer", .issuer.rsa_bits = 1024, .refused = "too weak" },
	{ .name = "RSA 1024 root", .root.rsa_bits = 1024, .refused = "too weak" },
	{ .name = "P-192 issuer", .issuer.curve = "P-192", .refused = "too weak" },
	{ .name = "P-192 root", .root.curve = "P-192", .refused = "too weak" },
	{ .name = "P-192 leaf", .leaf.curve = "P-192", .not_sent = true, .refused = "" },
	{ .name = "SHA-1 on the leaf", .leaf.digest = "SHA1", .refused = "too weak" },
	{ .name = "SHA-1 on the issuer", .issuer.digest = "SHA1", .refused = "too weak" },
	{ .name = "MD5 on the leaf", .issuer.rsa_bits = 2048, .leaf.digest = "MD5", .refused = "too weak" },
	{ .name = "MD5 on the issuer", .root.rsa_bits = 2048, .issuer.digest = "MD5", .refused = "too weak" },
};

static void own_key(const struct row *row, const struct pki *k, unsigned char ret[32])
{
	const struct cert *all[] = { NULL, &k->root, &k->issuer, &k->leaf };

	memset(ret, 0xa5, 32);
	if (row->own_key)
		assert_int_equal(tls_spki_sha256(all[row->own_key]->x, ret), 0);
}

static void run(const struct row *row)
{
	struct pki k, other;
	struct pair p;
	struct err e = { 0 };
	unsigned char own[2][32] = { { 0 } };
	const char *host = row->host ? row->host : HOST;

	pki_make(&k, &row->root, &row->issuer, &row->leaf);
	pki_make(&other, NULL, NULL, NULL);
	own_key(row, &k, own[1]);
	if (row->self_signed) {
		struct cert alone = cert_make(CERT_LEAF, &row->leaf, NULL);
		tls_ctx_unref(k.server);
		k.server = pki_server(&alone, NULL);
		cert_free(&alone);
	}
	if (row->no_issuer_sent) {
		tls_ctx_unref(k.server);
		k.server = pki_server(&k.leaf, NULL);
	}
	tls_ctx_unref(k.client);
	k.client = pki_client(row->other_root ? &other : &k, (const unsigned char(*)[32])own, 2);
	pair_open(&p, &k, host, false);
	enum tls_want w = pair_verdict(&p, &e);

	if (w != (row->refused ? TLS_FAILED : TLS_DONE))
		fail_msg("%s: %s", row->name, w == TLS_DONE ? "was believed" : e.text);
	assert_int_equal(tls_failed_on_cert(p.client), row->refused && !row->not_sent);
	if (row->refused && !row->not_sent && (!strstr(e.text, row->refused) || strncmp(e.text, host, strlen(host))))
		fail_msg("%s: says \"%s\"", row->name, e.text);
	pair_close(&p);
	pki_free(&k);
	pki_free(&other);
}

static void test_verdicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run(&rows[i]);
}

static void append_list(const struct pki *k, const struct cert *of, EVP_PKEY *key, X509 *listed, long to_s)
{
	X509_CRL *crl = cert_crl(of, key, listed, to_s);
	FILE *f = fopen(k->root_path, "a");

	assert_true(PEM_write_X509_CRL(f, crl));
	fclose(f);
	X509_CRL_free(crl);
}

/* Lists come in the file of the private CA. */
static void test_revocation(void **state)
{
	static const struct {
		const char *name;
		int of;     /* whose list: 0 = the root's, 1 = the issuer's */
		int listed; /* 0 = nobody, 1 = the issuer, 2 = the leaf */
		bool forged;
		long to_s;
		const char *refused;
	} lists[] = {
		{ "nobody on the issuer's list", 1, 0, false, DAY, NULL },
		{ "nobody on the root's list", 0, 0, false, DAY, NULL },
		{ "the leaf is revoked", 1, 2, false, DAY, "revoked" },
		{ "the issuer is revoked", 0, 1, false, DAY, "revoked" },
		{ "a list of yesterday", 1, 0, false, -60, "a current list into upstream_ca" },
		{ "a forged list", 1, 0, true, DAY, "signature" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct pki k;
		struct pair p;
		struct err e = { 0 };
		pki_make(&k, NULL, NULL, NULL);
		const struct cert *of = lists[i].of ? &k.issuer : &k.root;
		X509 *listed[] = { NULL, k.issuer.x, k.leaf.x };
		append_list(&k, of, lists[i].forged ? k.leaf.key : of->key, listed[lists[i].listed], lists[i].to_s);
		tls_ctx_unref(k.client);
		k.client = pki_client(&k, NULL, 0);
		pair_open(&p, &k, HOST, false);
		enum tls_want w = pair_verdict(&p, &e);
		if (w != (lists[i].refused ? TLS_FAILED : TLS_DONE) || (lists[i].refused && !strstr(e.text, lists[i].refused)))
			fail_msg("%s: %s", lists[i].name, w == TLS_DONE ? "was believed" : e.text);
		assert_int_equal(tls_failed_on_cert(p.client), lists[i].refused != NULL);
		pair_close(&p);
		pki_free(&k);
	}
}

/* A verdict is about a name and not about a connection: resuming is no way round it. */
static void test_a_refused_chain_leaves_no_session(void **state)
{
	static const struct flaw expired = { .from_s = -2 * DAY, .to_s = -60 };
	struct pki k;

	(void)state;
	pki_make(&k, NULL, NULL, &expired);
	for (int i = 0; i < 2; i++) {
		struct pair p;
		struct err e = { 0 };
		pair_open(&p, &k, HOST, false);
		assert_int_equal(pair_verdict(&p, &e), TLS_FAILED);
		assert_null(tls_ctx_take_session(k.client, HOST));
		pair_close(&p);
	}
	pki_free(&k);
}

/* Whom a list revokes while the daemon runs is refused from the next connection on, and a session from before is no way round it. */
static void test_a_list_that_comes_later(void **state)
{
	struct pki k;
	struct pair p;
	struct err e = { 0 };
	char got[8];

	(void)state;
	pki_make(&k, NULL, NULL, NULL);
	pair_open(&p, &k, HOST, false);
	pair_shake(&p);
	append_list(&k, &k.issuer, k.issuer.key, k.leaf.x, DAY);
	assert_int_equal(tls_client_ctx_load(k.client, k.root_path, &e), 0);
	/* This connection goes on, but the ticket that comes now is kept for nobody. */
	assert_int_equal(tls_write(p.server, "x", 1), 1);
	assert_int_equal(tls_read(p.client, got, sizeof(got)), 1);
	assert_null(tls_ctx_take_session(k.client, HOST));
	pair_close(&p);
	pair_open(&p, &k, HOST, false);
	assert_int_equal(pair_verdict(&p, &e), TLS_FAILED);
	assert_non_null(strstr(e.text, "revoked"));
	pair_close(&p);
	/* A file that cannot be read changes nothing. */
	assert_true(tls_client_ctx_load(k.client, "/nonexistent", &e) < 0);
	pair_open(&p, &k, HOST, false);
	assert_int_equal(pair_verdict(&p, &e), TLS_FAILED);
	assert_non_null(strstr(e.text, "revoked"));
	pair_close(&p);
	pki_free(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_revocation),
		cmocka_unit_test(test_a_refused_chain_leaves_no_session),
		cmocka_unit_test(test_a_list_that_comes_later),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
