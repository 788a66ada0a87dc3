// SPDX-License-Identifier: Apache-2.0
/*
 * ca.c: the authority: made, found again, its leaves cached. What stands in the certificates is ca_make.c's business,
 * how files are kept ca_files.c's. The root's key exists only inside make_certificates().
 */
#include "wire/ca.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "wire/ca_inside.h"
#include "wire/tls_inside.h"

#define PATH_MAX_BYTES 1024
#define HOST_MAX 256

/* Stands while the files are being replaced: a crash in between leaves it behind, and the next start makes them anew
 * instead of finding a key that does not fit. */
#define UNFINISHED "unfinished"

struct leaf {
	struct list link; /* ca->by_age */
	char host[HOST_MAX];
	struct tls_ctx *ctx;
	int64_t made_s, renew_s;
};

struct names {
	char **v;
	size_t n;
};

struct ca {
	ca_clock now;
	char root_path[PATH_MAX_BYTES], bundle_path[PATH_MAX_BYTES];
	struct names permitted;   /* as given */
	struct names constraints; /* what the issuer has to be constrained to */
	X509 *root, *issuer;
	EVP_PKEY *issuer_key;
	EVP_PKEY *leaf_key; /* all leaves share a key that never leaves memory */
	unsigned char issuer_sha256[32], root_sha256[32];
	pthread_mutex_t lock; /* what follows */
	struct map *leaves;   /* host -> struct leaf */
	struct list by_age;   /* oldest first */
};

/* ---- names */

static void names_done(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
}

/* Exactly as str_host would write it: lower-case, no port, no dot at the end. */
static bool is_host(const char *name)
{
	char written[HOST_MAX];

	return !str_host(str_of(name), written, sizeof(written), NULL) && !strcmp(written, name);
}

/* "api.example.com", or ".example.com" for all below; all of ".com" is nothing that one CA should speak for. */
static bool is_permittable(const char *name)
{
	if (name[0] != '.')
		return is_host(name);
	return is_host(name + 1) && strchr(name + 1, '.');
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, once each; bare: without the leading dot. */
static int names_copy(struct names *to, const char *const *names, size_t n, bool bare)
{
	to->v = calloc(n, sizeof(*to->v));
	if (!to->v)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		to->v[i] = strdup(bare && names[i][0] == '.' ? names[i] + 1 : names[i]);
		if (!to->v[i])
			return -ENOMEM;
		to->n++;
	}
	qsort(to->v, to->n, sizeof(*to->v), by_name);
	size_t kept = 1;
	for (size_t i = 1; i < to->n; i++) {
		if (strcmp(to->v[kept - 1], to->v[i]))
			to->v[kept++] = to->v[i];
		else
			free(to->v[i]);
	}
	to->n = kept;
	return 0;
}

static int take_names(struct ca *ca, const char *const *names, size_t n, struct err *e)
{
	/* Without a name the certificate would not be constrained at all. */
	if (!n)
		return err_set(e, EINVAL, "ca: no host names to sign for; configure at least one provider with hosts");
	for (size_t i = 0; i < n; i++)
		if (!is_permittable(names[i]))
			return err_set(e, EINVAL, "ca: \"%s\" is no host name to sign for; write api.example.com, or "
				       ".example.com for every name below it", names[i]);
	if (names_copy(&ca->permitted, names, n, false) || names_copy(&ca->constraints, names, n, true))
		return err_set(e, ENOMEM, "ca: no memory");
	return 0;
}

/* ---- making */

static int openssl_error(struct err *e, const char *what)
{
	char text[160];

	tls_error_text(text, sizeof(text));
	return err_set(e, EIO, "ca: cannot %s: %s", what, text);
}

/* The root's key ends here: freed means wiped, it was never written, so nobody can sign a second issuer. */
static int make_certificates(struct ca *ca, struct err *e)
{
	char node[32] = "node", label[65];
	unsigned id = 0;
	int64_t now = ca->now(), end = now + CA_DAYS * 86400;

	if (getentropy(&id, sizeof(id)))
		return err_set(e, errno, "ca: no random numbers: %s", strerror(errno));
	EVP_PKEY *root_key = ca_make_key();

	X509_free(ca->root);
	X509_free(ca->issuer);
	EVP_PKEY_free(ca->issuer_key);
	ca->root = ca->issuer = NULL;
	(void)gethostname(node, sizeof(node) - 1);
	(void)snprintf(label, sizeof(label), "purse root %s %08x", node, id);
	ca->issuer_key = ca_make_key();
	if (root_key)
		ca->root = ca_make_root(root_key, label, now, end);
	if (ca->root && ca->issuer_key)
		ca->issuer = ca_make_issuer(ca->issuer_key, ca->root, root_key,
					    (const char *const *)ca->constraints.v, ca->constraints.n, now, end);
	EVP_PKEY_free(root_key);
	return ca->issuer ? 0 : openssl_error(e, "make certificates");
}

static int write_bio(const struct ca_dir *d, const char *name, mode_t mode, BIO *bio, struct err *e)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	return ca_dir_write(d, name, mode, p, (size_t)n, e);
}

static int write_files(const struct ca *ca, const struct ca_dir *d, struct err *e)
{
	BIO *root = BIO_new(BIO_s_mem()), *chain = BIO_new(BIO_s_mem());
	BIO *key = BIO_new(BIO_s_secmem()); /* wiped when freed */
	int r;

	if (!root || !chain || !key || !PEM_write_bio_X509(root, ca->root) || !PEM_write_bio_X509(chain, ca->issuer) ||
	    !PEM_write_bio_X509(chain, ca->root) ||
	    !PEM_write_bio_PrivateKey(key, ca->issuer_key, NULL, NULL, 0, NULL, NULL))
		r = openssl_error(e, "write certificates");
	else
		r = ca_dir_write(d, UNFINISHED, 0600, "", 0, e);
	if (!r)
		r = write_bio(d, "issuer.key", 0600, key, e);
	if (!r)
		r = write_bio(d, "issuer.pem", 0644, chain, e);
	if (!r)
		r = write_bio(d, "root.pem", 0644, root, e);
	if (!r)
		r = ca_dir_remove(d, UNFINISHED, e);
	BIO_free(root);
	BIO_free(chain);
	BIO_free(key);
	return r;
}

/* System roots change under us: written at every start. */
static int write_bundle(const struct ca *ca, const struct ca_dir *d, struct err *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int roots = bio ? ca_system_roots(bio) : -ENOMEM;

	if (roots == -ENOENT)
		log_warn("ca", "no system root certificates were found: bundle.pem holds purse's root alone, so agents can "
			 "reach LLM hosts only; install ca-certificates and start again");
	else if (roots)
		(void)err_set(e, -roots, "ca: cannot read the system's root certificates: %s", strerror(-roots));
	int r = roots == -ENOENT ? 0 : roots;

	if (!r && (BIO_puts(bio, "\n") <= 0 || !PEM_write_bio_X509(bio, ca->root)))
		r = openssl_error(e, "write bundle.pem");
	if (!r)
		r = write_bio(d, "bundle.pem", 0644, bio, e);
	BIO_free(bio);
	return r;
}

/* ---- finding again */

static int damaged(const struct ca_dir *d, const char *name, struct err *e)
{
	ERR_clear_error();
	return err_set(e, EBADMSG, "ca: %s/%s is damaged; remove %s to let purse make a new CA (agents then need the new "
		       "root)", d->path, name, d->path);
}

static int read_cert(const struct ca_dir *d, const char *name, X509 **ret, struct err *e)
{
	char *text;
	size_t n;
	int r = ca_dir_read(d, name, false, &text, &n, e);

	if (r)
		return r;
	BIO *bio = BIO_new_mem_buf(text, (int)n);

	*ret = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	free(text);
	return *ret ? 0 : damaged(d, name, e);
}

/* A passphrase is never asked for: a daemon has nobody to ask. */
static int no_passphrase(char *to, int size, int rwflag, void *ctx)
{
	return -1;
}

static int read_key(const struct ca_dir *d, const char *name, EVP_PKEY **ret, struct err *e)
{
	char *text;
	size_t n;
	int r = ca_dir_read(d, name, true, &text, &n, e);

	if (r)
		return r;
	BIO *bio = BIO_new_mem_buf(text, (int)n);

	*ret = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	OPENSSL_cleanse(text, n);
	free(text);
	return *ret ? 0 : damaged(d, name, e);
}

static int read_files(struct ca *ca, const struct ca_dir *d, struct err *e)
{
	int r = read_key(d, "issuer.key", &ca->issuer_key, e);

	if (!r)
		r = read_cert(d, "issuer.pem", &ca->issuer, e);
	if (!r)
		r = read_cert(d, "root.pem", &ca->root, e);
	if (r)
		return r;
	if (X509_check_private_key(ca->issuer, ca->issuer_key) == 1 &&
	    X509_verify(ca->issuer, X509_get0_pubkey(ca->root)) == 1)
		return 0;
	ERR_clear_error();
	return err_set(e, EBADMSG, "ca: issuer.key, issuer.pem and root.pem in %s do not belong together; remove it to let "
		       "purse make a new CA (agents then need the new root)", d->path);
}

static bool is_fit(const struct ca *ca)
{
	int64_t now = ca->now(), soon = now + CA_RENEW_S;

	return ca_is_constrained_to(ca->issuer, (const char *const *)ca->constraints.v, ca->constraints.n) &&
	       ca_is_valid_at(ca->issuer, now) && ca_is_valid_at(ca->root, now) &&
	       ca_is_valid_at(ca->issuer, soon) && ca_is_valid_at(ca->root, soon);
}

/* The CA of the directory, a new one where there is none or the old one no longer fits. */
static int find_or_make(struct ca *ca, const struct ca_dir *d, bool *ret_is_new, struct err *e)
{
	bool any = ca_dir_has(d, "issuer.key") || ca_dir_has(d, "issuer.pem") || ca_dir_has(d, "root.pem");
	int r = 0;

	*ret_is_new = true;
	if (any && !ca_dir_has(d, UNFINISHED)) {
		r = read_files(ca, d, e);
		if (!r)
			*ret_is_new = !is_fit(ca);
	}
	if (!r && *ret_is_new)
		r = make_certificates(ca, e);
	if (!r && *ret_is_new)
		r = write_files(ca, d, e);
	return r;
}

/* ---- life */

static int set_paths(struct ca *ca, const char *dir, struct err *e)
{
	int n = snprintf(ca->root_path, sizeof(ca->root_path), "%s/root.pem", dir);
	int m = snprintf(ca->bundle_path, sizeof(ca->bundle_path), "%s/bundle.pem", dir);

	if (n >= 0 && m >= 0 && (size_t)m < sizeof(ca->bundle_path))
		return 0;
	return err_set(e, ENAMETOOLONG, "ca: the name of the directory %.80s… is longer than %d bytes", dir,
		       PATH_MAX_BYTES - 16);
}

static int fill(struct ca *ca, const char *dir, const char *const *names, size_t nnames, bool *ret_is_new, struct err *e)
{
	struct ca_dir d = { .fd = -1 };
	int r = take_names(ca, names, nnames, e);

	if (!r)
		r = set_paths(ca, dir, e);
	if (!r)
		r = ca_dir_open(dir, &d, e);
	if (!r)
		r = find_or_make(ca, &d, ret_is_new, e);
	if (!r)
		r = write_bundle(ca, &d, e);
	ca_dir_close(&d);
	if (r)
		return r;
	ca->leaf_key = ca_make_key();
	if (!ca->leaf_key || tls_spki_sha256(ca->issuer, ca->issuer_sha256) ||
	    tls_spki_sha256(ca->root, ca->root_sha256))
		return openssl_error(e, "make or digest a key");
	return 0;
}

int ca_open_at(ca_clock now, const char *dir, const char *const *names, size_t nnames, struct ca **ret,
	       bool *ret_is_new, struct err *e)
{
	struct ca *ca = calloc(1, sizeof(*ca));
	bool is_new = false;

	if (!ca)
		return err_set(e, ENOMEM, "ca: no memory");
	ca->now = now;
	(void)pthread_mutex_init(&ca->lock, NULL);
	list_init(&ca->by_age);
	ca->leaves = map_new();
	int r = ca->leaves ? fill(ca, dir, names, nnames, &is_new, e) : err_set(e, ENOMEM, "ca: no memory");

	if (r) {
		ca_close(ca);
		return r;
	}
	*ret = ca;
	*ret_is_new = is_new;
	return 0;
}

static int64_t wall_clock(void)
{
	return clock_realtime_ns() / 1000000000;
}

int ca_open(const char *dir, const char *const *names, size_t nnames, struct ca **ret, bool *ret_is_new, struct err *e)
{
	return ca_open_at(wall_clock, dir, names, nnames, ret, ret_is_new, e);
}

static void leaf_free(void *value)
{
	struct leaf *l = value;

	list_remove(&l->link);
	tls_ctx_unref(l->ctx);
	free(l);
}

void ca_close(struct ca *ca)
{
	if (!ca)
		return;
	names_done(&ca->permitted);
	names_done(&ca->constraints);
	map_free(ca->leaves, leaf_free);
	X509_free(ca->root);
	X509_free(ca->issuer);
	EVP_PKEY_free(ca->issuer_key);
	EVP_PKEY_free(ca->leaf_key);
	(void)pthread_mutex_destroy(&ca->lock);
	free(ca);
}

/* ---- leaves */

bool ca_permits(const struct ca *ca, const char *host)
{
	size_t n = strlen(host);

	if (!is_host(host))
		return false;
	for (size_t i = 0; i < ca->permitted.n; i++) {
		const char *name = ca->permitted.v[i];
		size_t m = strlen(name);
		if (name[0] == '.' ? n > m && !strcmp(host + n - m, name) : !strcmp(host, name))
			return true;
	}
	return false;
}

static void forget(struct ca *ca, struct leaf *l)
{
	(void)map_remove(ca->leaves, str_of(l->host));
	leaf_free(l);
}

/* Subtrees make as many leaves as agents think of names: the oldest goes first. Not being able to remember is no
 * failure, the next connection mints again. */
static void remember(struct ca *ca, const char *host, struct tls_ctx *ctx, int64_t made_s, int64_t renew_s)
{
	struct leaf *l = calloc(1, sizeof(*l));

	if (!l)
		return;
	if (map_count(ca->leaves) >= CA_LEAVES_MAX)
		forget(ca, list_entry(ca->by_age.next, struct leaf, link));
	l->ctx = tls_ctx_ref(ctx);
	l->made_s = made_s;
	l->renew_s = renew_s;
	(void)str_copy(l->host, sizeof(l->host), str_of(host));
	list_add_tail(&ca->by_age, &l->link);
	if (map_put(ca->leaves, str_of(host), l, NULL))
		leaf_free(l);
}

static int mint(struct ca *ca, const char *host, struct tls_ctx **ret, struct err *e)
{
	int64_t now = ca->now(), end = now + CA_LEAF_S, last = ca_not_after(ca->issuer), renew;

	if (now >= last)
		return err_set(e, EKEYEXPIRED, "ca: the CA has expired, no certificate for %s can be made; start pursed again "
			       "to make a new one", host);
	if (end > last)
		end = last;
	/* One that is cut short by the issuer's end is used to its end: a new one would live no longer. */
	renew = end == last ? end : end - CA_LEAF_RENEW_S;
	X509 *cert = ca_make_leaf(ca->leaf_key, ca->issuer, ca->issuer_key, host, now, end);
	int r = cert ? tls_server_ctx_new(cert, ca->leaf_key, ca->issuer, ret) : -EIO;

	X509_free(cert);
	if (r) {
		(void)openssl_error(e, "make a certificate");
		return err_prefix(e, r, "%s", host);
	}
	remember(ca, host, *ret, now, renew);
	return 0;
}

int ca_leaf(struct ca *ca, const char *host, struct tls_ctx **ret, struct err *e)
{
	int r = 0;

	if (!ca_permits(ca, host))
		return err_set(e, EPERM, "ca: %s is not a configured LLM host", host);
	pthread_mutex_lock(&ca->lock);
	struct leaf *l = map_find(ca->leaves, str_of(host));
	/* Before it was made: the clock was set back, and agents may find it not yet valid. */
	if (l && (ca->now() >= l->renew_s || ca->now() < l->made_s)) {
		forget(ca, l);
		l = NULL;
	}
	if (l)
		*ret = tls_ctx_ref(l->ctx);
	else
		r = mint(ca, host, ret, e);
	pthread_mutex_unlock(&ca->lock);
	return r;
}

/* ---- what others may know */

const char *ca_root_path(const struct ca *ca)
{
	return ca->root_path;
}

const char *ca_bundle_path(const struct ca *ca)
{
	return ca->bundle_path;
}

const unsigned char *ca_issuer_key_sha256(const struct ca *ca)
{
	return ca->issuer_sha256;
}

const unsigned char *ca_root_key_sha256(const struct ca *ca)
{
	return ca->root_sha256;
}

void ca_describe(const struct ca *ca, char *ret_fingerprint, size_t size, int64_t *ret_not_after_s)
{
	unsigned char digest[32];
	unsigned int n = sizeof(digest);

	if (size)
		ret_fingerprint[0] = '\0';
	if (size >= 2 * sizeof(digest) + 1 && X509_digest(ca->root, EVP_sha256(), digest, &n))
		for (size_t i = 0; i < sizeof(digest); i++)
			(void)snprintf(ret_fingerprint + 2 * i, 3, "%02x", digest[i]);
	*ret_not_after_s = ca_not_after(ca->issuer);
}
