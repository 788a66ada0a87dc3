// SPDX-License-Identifier: Apache-2.0
/*
 * ca.c: the authority: for which names it signs, its leaves, their cache, and what others may know of it. Which root and issuer
 * it has at what time is ca_keep.c's business, what stands in certificates ca_make.c's, how files are kept ca_files.c's.
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
#include <sys/stat.h>
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

#define CLIENTS_MAX 8

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

/* The files that say whom to trust, as they were. */
enum { TRUSTED_EXTRA, TRUSTED_BUNDLE, TRUSTED_FOLDER, TRUSTED_FILES };
struct trusted {
	struct file_state {
		ino_t ino;
		off_t size;
		struct timespec changed;
	} files[TRUSTED_FILES];
};

struct ca {
	struct ca_keep keep;
	char dir[PATH_MAX_BYTES], root_path[PATH_MAX_BYTES], bundle_path[PATH_MAX_BYTES];
	struct names permitted;   /* as given */
	struct names constraints; /* what the issuer has to be constrained to */
	EVP_PKEY *leaf_key; /* all leaves share a key that never leaves memory */
	pthread_mutex_t lock;                 /* what follows */
	struct ca_certs certs;                /* changed by ca_renew alone */
	struct map *leaves;                   /* host -> struct leaf */
	struct list by_age;                   /* oldest first */
	struct tls_ctx *clients[CLIENTS_MAX]; /* that have to refuse our keys, also those to come */
	size_t nclients;
	struct trusted loaded, tried;         /* what the clients trust; what could not be loaded. ca_clients_follow's thread */
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

/* ---- life */

static int openssl_error(struct err *e, const char *what)
{
	char text[160];

	tls_error_text(text, sizeof(text));
	return err_set(e, EIO, "ca: cannot %s: %s", what, text);
}

static int set_paths(struct ca *ca, const char *dir, struct err *e)
{
	int n = snprintf(ca->dir, sizeof(ca->dir), "%s", dir);
	int m = snprintf(ca->root_path, sizeof(ca->root_path), "%s/root.pem", dir);
	int l = snprintf(ca->bundle_path, sizeof(ca->bundle_path), "%s/bundle.pem", dir);

	if (n >= 0 && m >= 0 && l >= 0 && (size_t)l < sizeof(ca->bundle_path))
		return 0;
	return err_set(e, ENAMETOOLONG, "ca: the name of the directory %.80s… is longer than %d bytes", dir,
		       PATH_MAX_BYTES - 16);
}

static int fill(struct ca *ca, const char *dir, const char *const *names, size_t nnames, bool *ret_is_new, struct err *e)
{
	int r = take_names(ca, names, nnames, e);

	if (!r)
		r = set_paths(ca, dir, e);
	if (r)
		return r;
	ca->keep.dir = ca->dir;
	ca->keep.names = (const char *const *)ca->constraints.v;
	ca->keep.nnames = ca->constraints.n;
	r = ca_keep_open(&ca->keep, &ca->certs, ret_is_new, e);
	if (r)
		return r;
	ca->leaf_key = ca_make_key();
	return ca->leaf_key ? 0 : openssl_error(e, "make a key");
}

int ca_open_at(ca_clock now, const char *dir, const char *const *names, size_t nnames, struct ca **ret,
	       bool *ret_is_new, struct err *e)
{
	struct ca *ca = calloc(1, sizeof(*ca));
	bool is_new = false;

	if (!ca)
		return err_set(e, ENOMEM, "ca: no memory");
	ca->keep.now = now;
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
	while (ca->nclients)
		tls_ctx_unref(ca->clients[--ca->nclients]);
	ca_certs_done(&ca->certs);
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
	int64_t now = ca->keep.now(), end = now + CA_LEAF_S, last = ca_not_after(ca->certs.now.issuer), renew;

	if (now >= last)
		return err_set(e, EKEYEXPIRED, "ca: the CA has expired, no certificate for %s can be made; start pursed again "
			       "to make a new one", host);
	if (end > last)
		end = last;
	/* One that is cut short by the issuer's end is used to its end: a new one would live no longer. */
	renew = end == last ? end : end - CA_LEAF_RENEW_S;
	X509 *cert = ca_make_leaf(ca->leaf_key, ca->certs.now.issuer, ca->certs.now.key, host, now, end);
	int r = cert ? tls_server_ctx_new(cert, ca->leaf_key, ca->certs.now.issuer, ret) : -EIO;

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
	if (l && (ca->keep.now() >= l->renew_s || ca->keep.now() < l->made_s)) {
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

void ca_describe(struct ca *ca, char *ret_fingerprint, size_t size, int64_t *ret_not_after_s)
{
	unsigned char digest[32];
	unsigned int n = sizeof(digest);

	if (size)
		ret_fingerprint[0] = '\0';
	pthread_mutex_lock(&ca->lock);
	bool ok = size >= 2 * sizeof(digest) + 1 && X509_digest(ca->certs.now.root, EVP_sha256(), digest, &n);
	*ret_not_after_s = ca_not_after(ca->certs.now.issuer);
	pthread_mutex_unlock(&ca->lock);
	for (size_t i = 0; ok && i < sizeof(digest); i++)
		(void)snprintf(ret_fingerprint + 2 * i, 3, "%02x", digest[i]);
}

/* ---- towards providers */

static int refuse_keys(struct ca *ca, const struct ca_certs *certs, struct err *e)
{
	unsigned char keys[CA_KEYS_MAX][32];
	size_t n = ca_certs_keys(certs, keys);

	if (!n)
		return openssl_error(e, "digest our keys");
	for (size_t i = 0; i < ca->nclients; i++)
		tls_client_refuse_keys(ca->clients[i], (const unsigned char(*)[32])keys, n);
	return 0;
}

static struct file_state file_state(const char *path)
{
	struct stat st;

	if (!path || stat(path, &st) < 0)
		return (struct file_state){ 0 };
	return (struct file_state){ .ino = st.st_ino, .size = st.st_size, .changed = st.st_ctim };
}

static struct trusted look_at_trusted(const char *extra_ca)
{
	return (struct trusted){ .files = {
		[TRUSTED_EXTRA] = file_state(extra_ca),
		[TRUSTED_BUNDLE] = file_state(X509_get_default_cert_file()),
		[TRUSTED_FOLDER] = file_state(X509_get_default_cert_dir()),
	} };
}

static bool is_same(const struct trusted *a, const struct trusted *b)
{
	for (int i = 0; i < TRUSTED_FILES; i++)
		if (a->files[i].ino != b->files[i].ino || a->files[i].size != b->files[i].size ||
		    a->files[i].changed.tv_sec != b->files[i].changed.tv_sec || a->files[i].changed.tv_nsec != b->files[i].changed.tv_nsec)
			return false;
	return true;
}

/* That nobody but we refer to any more: a hand-over that failed makes new ones. */
static void drop_unused_clients(struct ca *ca)
{
	size_t n = 0;

	for (size_t i = 0; i < ca->nclients; i++) {
		if (atomic_load(&ca->clients[i]->refs) == 1)
			tls_ctx_unref(ca->clients[i]);
		else
			ca->clients[n++] = ca->clients[i];
	}
	ca->nclients = n;
}

int ca_client_ctx_new(struct ca *ca, const char *extra_ca, struct tls_ctx **ret, struct err *e)
{
	struct tls_ctx *c;
	struct trusted now = look_at_trusted(extra_ca);
	int r = tls_client_ctx_new(extra_ca, NULL, 0, &c, e);

	if (r)
		return r;
	pthread_mutex_lock(&ca->lock);
	if (!ca->nclients)
		ca->loaded = now;
	drop_unused_clients(ca);
	if (ca->nclients < CLIENTS_MAX) {
		ca->clients[ca->nclients++] = tls_ctx_ref(c);
		r = refuse_keys(ca, &ca->certs, e);
	} else {
		r = err_set(e, ENOSPC, "upstream TLS: more than %d contexts", CLIENTS_MAX);
	}
	pthread_mutex_unlock(&ca->lock);
	if (r)
		tls_ctx_unref(c);
	else
		*ret = c;
	return r;
}

int ca_clients_follow(struct ca *ca, const char *extra_ca, struct err *e)
{
	struct trusted now = look_at_trusted(extra_ca); /* before it is read: a change in between is seen the next time */

	if (is_same(&now, &ca->loaded) || is_same(&now, &ca->tried))
		return 0;
	ca->tried = now;
	pthread_mutex_lock(&ca->lock);
	size_t n = ca->nclients;
	pthread_mutex_unlock(&ca->lock);
	/* Made and dropped by this thread, too. */
	for (size_t i = 0; i < n; i++) {
		int r = tls_client_ctx_load(ca->clients[i], extra_ca, e);

		if (r)
			return r;
	}
	ca->loaded = now;
	return 1;
}

/* ---- renewal */

/* The files are written without the lock, since connections wait for it; a second daemon that got there first is followed. */
int ca_renew(struct ca *ca, bool *ret_changed, bool *ret_is_new, struct err *e)
{
	struct ca_certs fresh, before;
	bool made;

	*ret_changed = *ret_is_new = false;
	if (!ca_certs_are_due(&ca->keep, &ca->certs))
		return 0;
	int r = ca_keep_open(&ca->keep, &fresh, &made, e);

	if (r)
		return r;
	pthread_mutex_lock(&ca->lock);
	/* First nobody takes the new ones for a provider, then they are used. */
	r = refuse_keys(ca, &fresh, e);
	if (!r) {
		before = ca->certs;
		ca->certs = fresh;
		*ret_changed = true;
		*ret_is_new = X509_cmp(before.now.issuer, fresh.now.issuer) != 0;
	}
	while (*ret_is_new && !list_empty(&ca->by_age))
		forget(ca, list_entry(ca->by_age.next, struct leaf, link));
	pthread_mutex_unlock(&ca->lock);
	ca_certs_done(r ? &fresh : &before);
	return r;
}
