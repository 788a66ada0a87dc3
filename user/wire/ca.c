// SPDX-License-Identifier: Apache-2.0
/*
 * ca.c: the authority on disk and in memory: made, found again, its leaves cached. What stands in the certificates is
 * ca_make.c's business. The root's key exists only inside ca_create().
 */
#include "wire/ca.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "wire/ca_make.h"
#include "wire/tls_inside.h"

#define CA_DAYS 365L
#define RENEW_SECONDS (30 * 86400)
#define LEAF_SECONDS (7 * 86400L)
#define LEAF_RENEW_SECONDS 86400
#define LEAVES_MAX 1024
#define FILE_MAX (8 * 1024 * 1024)

struct leaf {
	struct tls_ctx *ctx;
	time_t renew_at;
};

struct ca {
	char root_path[512], bundle_path[512];
	char **names;
	size_t nnames;
	X509 *root, *issuer;
	EVP_PKEY *issuer_key, *leaf_key; /* all leaves share a key that never leaves memory */
	unsigned char issuer_sha256[32], root_sha256[32];
	pthread_mutex_t lock;
	struct map *leaves;
};

static const char *const system_bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Alpine, Arch */
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* RHEL, Fedora */
	"/etc/ssl/ca-bundle.pem", /* SUSE */
	"/etc/ssl/cert.pem",
};

/* ---- files */

static int write_file(const char *path, mode_t mode, const void *p, size_t n, struct err *e)
{
	char tmp[600];
	(void)snprintf(tmp, sizeof tmp, "%s.new", path);
	(void)unlink(tmp);
	CLEANUP_CLOSE int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0 || fchmod(fd, mode) || write(fd, p, n) != (ssize_t)n || fsync(fd) || rename(tmp, path))
		return err_set(e, errno ? errno : EIO, "ca: cannot write %s: %s", path, strerror(errno));
	return 0;
}

static int write_bio(const char *path, mode_t mode, BIO *bio, struct err *e)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);
	return write_file(path, mode, p, (size_t)n, e);
}

static int open_dir(const char *dir, struct err *e)
{
	struct stat st;

	if (mkdir(dir, 0700) && errno != EEXIST)
		return err_set(e, errno, "ca: cannot make %s: %s", dir, strerror(errno));
	if (lstat(dir, &st) || !S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "ca: %s is not a directory", dir);
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return err_set(e, EPERM, "ca: %s has owner %u and mode %o; it holds a key: chown it to %u and chmod 700", dir,
			       st.st_uid, st.st_mode & 0777, geteuid());
	return 0;
}

/* The key file must be a plain file of ours that nobody else may read. */
static FILE *open_key(const char *path, struct err *e)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0) {
		(void)err_set(e, errno, "ca: cannot open %s: %s", path, strerror(errno));
		return NULL;
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077)) {
		(void)err_set(e, EPERM, "ca: %s must be a plain file of uid %u with mode 600; if others could read it, remove the directory and let purse make a new CA",
			      path, geteuid());
		close(fd);
		return NULL;
	}
	return fdopen(fd, "r");
}

static X509 *read_cert(const char *path)
{
	FILE *f = fopen(path, "re");
	X509 *c = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

	if (f)
		fclose(f);
	ERR_clear_error();
	return c;
}

static int copy_system_roots(BIO *to)
{
	for (size_t i = 0; i < sizeof system_bundles / sizeof *system_bundles; i++) {
		FILE *f = fopen(system_bundles[i], "re");
		char chunk[16384];
		size_t n, total = 0;
		if (!f)
			continue;
		while ((n = fread(chunk, 1, sizeof chunk, f)) > 0 && (total += n) < FILE_MAX)
			(void)BIO_write(to, chunk, (int)n);
		fclose(f);
		return 0;
	}
	return -ENOENT;
}

/* System roots change under us: written at every start. */
static int write_bundle(struct ca *ca, struct err *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int r = -ENOMEM;

	if (bio && copy_system_roots(bio))
		log_warn("ca", "no system root bundle was found: bundle.pem holds purse's root alone");
	if (bio && BIO_puts(bio, "\n") > 0 && PEM_write_bio_X509(bio, ca->root))
		r = write_bio(ca->bundle_path, 0644, bio, e);
	BIO_free(bio);
	return r;
}

/* ---- make */

static int save(const struct ca *ca, const char *dir, struct err *e)
{
	char path[600];
	BIO *root = BIO_new(BIO_s_mem()), *chain = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_secmem());
	int r = err_set(e, ENOMEM, "ca: no memory");

	if (root && chain && key && PEM_write_bio_X509(root, ca->root) && PEM_write_bio_X509(chain, ca->issuer) &&
	    PEM_write_bio_X509(chain, ca->root) && PEM_write_bio_PrivateKey(key, ca->issuer_key, NULL, NULL, 0, NULL, NULL)) {
		(void)snprintf(path, sizeof path, "%s/issuer.key", dir);
		r = write_bio(path, 0600, key, e);
		(void)snprintf(path, sizeof path, "%s/issuer.pem", dir);
		if (!r)
			r = write_bio(path, 0644, chain, e);
		if (!r)
			r = write_bio(ca->root_path, 0644, root, e);
	}
	BIO_free(root);
	BIO_free(chain);
	BIO_free(key);
	return r;
}

static int ca_create(struct ca *ca, const char *dir, struct err *e)
{
	char host[64] = "node", label[64];
	EVP_PKEY *root_key = ca_make_key();

	(void)gethostname(host, sizeof host - 1);
	(void)snprintf(label, sizeof label, "purse root %.30s %08lx", host, (unsigned long)time(NULL));
	X509_free(ca->root);
	X509_free(ca->issuer);
	EVP_PKEY_free(ca->issuer_key);
	ca->issuer_key = ca_make_key();
	ca->root = root_key ? ca_make_root(root_key, label, CA_DAYS) : NULL;
	ca->issuer = ca->root && ca->issuer_key ? ca_make_issuer(ca->issuer_key, ca->root, root_key, (const char *const *)ca->names, ca->nnames,
								   CA_DAYS) :
						  NULL;
	/* Freed means wiped (OpenSSL clears private keys), and it was never written: nobody can sign a second issuer. */
	EVP_PKEY_free(root_key);
	if (!ca->issuer) {
		char text[160];
		tls_error_text(text, sizeof text);
		return err_set(e, EIO, "ca: cannot make certificates: %s", text);
	}
	return save(ca, dir, e);
}

/* ---- find again */

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* The permitted names of the issuer, compared as a set with ours. */
static bool same_names(const struct ca *ca)
{
	NAME_CONSTRAINTS *nc = X509_get_ext_d2i(ca->issuer, NID_name_constraints, NULL, NULL);
	bool same = nc && (size_t)sk_GENERAL_SUBTREE_num(nc->permittedSubtrees) == ca->nnames;

	for (size_t i = 0; same && i < ca->nnames; i++) {
		const GENERAL_NAME *g = sk_GENERAL_SUBTREE_value(nc->permittedSubtrees, (int)i)->base;
		const char *name = ca->names[i][0] == '.' ? ca->names[i] + 1 : ca->names[i];
		same = g->type == GEN_DNS && ASN1_STRING_length(g->d.dNSName) == (int)strlen(name) &&
		       !memcmp(ASN1_STRING_get0_data(g->d.dNSName), name, strlen(name));
	}
	NAME_CONSTRAINTS_free(nc);
	return same;
}

static bool lives_longer(const X509 *c, long seconds)
{
	time_t then = time(NULL) + seconds;
	return X509_cmp_time(X509_get0_notAfter(c), &then) > 0;
}

enum found { FOUND_GOOD, FOUND_STALE, FOUND_NONE };

static int ca_load(struct ca *ca, const char *dir, enum found *ret, struct err *e)
{
	char pem[600], key[600];

	(void)snprintf(pem, sizeof pem, "%s/issuer.pem", dir);
	(void)snprintf(key, sizeof key, "%s/issuer.key", dir);
	*ret = FOUND_NONE;
	if (access(key, F_OK) && access(pem, F_OK) && access(ca->root_path, F_OK))
		return 0;
	FILE *f = open_key(key, e);
	if (!f)
		return -EPERM;
	ca->issuer_key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	ca->issuer = read_cert(pem);
	ca->root = read_cert(ca->root_path);
	const char *bad = !ca->issuer_key ? key : !ca->issuer ? pem : !ca->root ? ca->root_path : NULL;
	if (bad)
		return err_set(e, EBADMSG, "ca: %s is damaged; remove %s to let purse make a new CA (agents then need the new root)",
			       bad, dir);
	if (X509_check_private_key(ca->issuer, ca->issuer_key) != 1 ||
	    X509_verify(ca->issuer, X509_get0_pubkey(ca->root)) != 1) {
		ERR_clear_error();
		return err_set(e, EBADMSG, "ca: the files in %s do not belong together; remove it to let purse make a new CA",
			       dir);
	}
	*ret = same_names(ca) && lives_longer(ca->issuer, RENEW_SECONDS) ? FOUND_GOOD : FOUND_STALE;
	return 0;
}

static int copy_names(struct ca *ca, const char *const *names, size_t n)
{
	ca->names = calloc(n ? n : 1, sizeof *ca->names);
	for (size_t i = 0; ca->names && i < n; i++) {
		ca->names[i] = strdup(names[i]);
		if (!ca->names[i])
			return -ENOMEM;
		ca->nnames++;
	}
	if (!ca->names)
		return -ENOMEM;
	qsort(ca->names, ca->nnames, sizeof *ca->names, by_name);
	return 0;
}

int ca_open(const char *dir, const char *const *names, size_t nnames, struct ca **ret, bool *ret_is_new, struct err *e)
{
	struct ca *ca = calloc(1, sizeof *ca);
	enum found found = FOUND_NONE;

	if (!nnames) {
		free(ca);
		return err_set(e, EINVAL, "ca: no host names to sign for; configure at least one provider with hosts");
	}
	if (!ca || copy_names(ca, names, nnames) || !(ca->leaves = map_new())) {
		ca_close(ca);
		return err_set(e, ENOMEM, "ca: no memory");
	}
	pthread_mutex_init(&ca->lock, NULL);
	(void)snprintf(ca->root_path, sizeof ca->root_path, "%s/root.pem", dir);
	(void)snprintf(ca->bundle_path, sizeof ca->bundle_path, "%s/bundle.pem", dir);
	ca->leaf_key = ca_make_key();

	int r = ca->leaf_key ? open_dir(dir, e) : err_set(e, EIO, "ca: cannot make a key");
	if (!r)
		r = ca_load(ca, dir, &found, e);
	if (!r && found != FOUND_GOOD)
		r = ca_create(ca, dir, e);
	if (!r)
		r = write_bundle(ca, e);
	if (!r && (tls_spki_sha256(ca->issuer, ca->issuer_sha256) || tls_spki_sha256(ca->root, ca->root_sha256)))
		r = err_set(e, EIO, "ca: cannot digest the keys");
	if (r) {
		ca_close(ca);
		return r;
	}
	*ret = ca;
	*ret_is_new = found != FOUND_GOOD;
	return 0;
}

static void free_leaf(void *value)
{
	struct leaf *l = value;
	tls_ctx_unref(l->ctx);
	free(l);
}

void ca_close(struct ca *ca)
{
	if (!ca)
		return;
	for (size_t i = 0; i < ca->nnames; i++)
		free(ca->names[i]);
	free(ca->names);
	map_free(ca->leaves, free_leaf);
	X509_free(ca->root);
	X509_free(ca->issuer);
	EVP_PKEY_free(ca->issuer_key);
	EVP_PKEY_free(ca->leaf_key);
	free(ca);
}

/* ---- leaves */

bool ca_permits(const struct ca *ca, const char *host)
{
	size_t nh = strlen(host);

	for (size_t i = 0; i < ca->nnames; i++) {
		const char *name = ca->names[i];
		size_t n = strlen(name);
		if (name[0] == '.' ? nh > n && !strcmp(host + nh - n, name) : !strcmp(host, name))
			return true;
	}
	return false;
}

/* Wildcard names make as many leaves as agents think of names: when the cache is full it starts anew. */
static int remember(struct ca *ca, const char *host, struct tls_ctx *ctx)
{
	struct leaf *l = calloc(1, sizeof *l);
	void *old = NULL;

	if (!l)
		return -ENOMEM;
	*l = (struct leaf){ .ctx = tls_ctx_ref(ctx), .renew_at = time(NULL) + LEAF_SECONDS - LEAF_RENEW_SECONDS };
	if (map_count(ca->leaves) >= LEAVES_MAX) {
		struct map *fresh = map_new();
		if (fresh) {
			map_free(ca->leaves, free_leaf);
			ca->leaves = fresh;
		}
	}
	int r = map_put(ca->leaves, str_of(host), l, &old);
	if (r)
		free_leaf(l);
	if (old)
		free_leaf(old);
	return r;
}

static int mint(struct ca *ca, const char *host, struct tls_ctx **ret, struct err *e)
{
	X509 *cert = ca_make_leaf(ca->leaf_key, ca->issuer, ca->issuer_key, host, LEAF_SECONDS);
	int r = cert ? tls_server_ctx_new(cert, ca->leaf_key, ca->issuer, ret) : -EIO;

	X509_free(cert);
	if (r) {
		char text[160];
		tls_error_text(text, sizeof text);
		return err_set(e, -r, "ca: cannot mint a leaf for %s: %s", host, text);
	}
	return 0;
}

int ca_leaf(struct ca *ca, const char *host, struct tls_ctx **ret, struct err *e)
{
	int r = 0;

	if (!ca_permits(ca, host))
		return err_set(e, EPERM, "ca: %s is not a configured LLM host", host);
	pthread_mutex_lock(&ca->lock);
	const struct leaf *l = map_find(ca->leaves, str_of(host));
	if (l && time(NULL) < l->renew_at)
		*ret = tls_ctx_ref(l->ctx);
	else if (!(r = mint(ca, host, ret, e)))
		(void)remember(ca, host, *ret);
	pthread_mutex_unlock(&ca->lock);
	return r;
}

const char *ca_root_path(const struct ca *ca) { return ca->root_path; }
const char *ca_bundle_path(const struct ca *ca) { return ca->bundle_path; }
const unsigned char *ca_issuer_key_sha256(const struct ca *ca) { return ca->issuer_sha256; }
const unsigned char *ca_root_key_sha256(const struct ca *ca) { return ca->root_sha256; }

void ca_describe(const struct ca *ca, char *ret_fingerprint, size_t size, int64_t *ret_not_after_s)
{
	unsigned char digest[32];
	unsigned int n = sizeof digest;
	struct tm tm = { 0 };

	if (X509_digest(ca->root, EVP_sha256(), digest, &n) && size >= 65)
		for (size_t i = 0; i < 32; i++)
			(void)snprintf(ret_fingerprint + 2 * i, 3, "%02x", digest[i]);
	*ret_not_after_s = ASN1_TIME_to_tm(X509_get0_notAfter(ca->issuer), &tm) ? (int64_t)timegm(&tm) : 0;
}
