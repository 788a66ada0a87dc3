// SPDX-License-Identifier: Apache-2.0
/*
 * ca_keep.c: which certificates the authority has now, next and had before, as the directory keeps them: found again, made,
 * renewed in time. A root's key exists only inside make_set(). Leaves and names are ca.c's business.
 *
 * The root of the next ones is made and shown to agents long before it is used: an agent reads its trust once, when it
 * starts, and one that started in the meantime goes on without noticing. Who used to be trusted stays in the files until
 * it ends, for a daemon that is being relieved, and so that nobody takes it for a provider.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "wire/ca_inside.h"
#include "wire/tls_inside.h"

/* Stands while the files are being replaced: a crash in between leaves it behind, and the next start makes them anew
 * instead of finding a key that does not fit. */
#define UNFINISHED "unfinished"
#define OLD "old.pem"

/* ---- sets */

static void set_done(struct ca_set *s)
{
	X509_free(s->root);
	X509_free(s->issuer);
	EVP_PKEY_free(s->key);
	*s = (struct ca_set){ 0 };
}

void ca_certs_done(struct ca_certs *c)
{
	set_done(&c->now);
	set_done(&c->next);
	while (c->nold)
		X509_free(c->old[--c->nold]);
}

static bool holds_until(const struct ca_set *s, int64_t now_s, int64_t until_s)
{
	return s->issuer && ca_is_valid_at(s->issuer, now_s) && ca_is_valid_at(s->root, now_s) &&
	       ca_is_valid_at(s->issuer, until_s) && ca_is_valid_at(s->root, until_s);
}

static bool is_fit(const struct ca_keep *k, const struct ca_set *s)
{
	int64_t now = k->now();

	return holds_until(s, now, now + CA_RENEW_S) && ca_is_constrained_to(s->issuer, k->names, k->nnames);
}

static bool wants_next(const struct ca_keep *k, const struct ca_certs *c)
{
	int64_t now = k->now();

	return !holds_until(&c->now, now, now + CA_NEXT_S) && !is_fit(k, &c->next);
}

bool ca_certs_are_due(const struct ca_keep *k, const struct ca_certs *c)
{
	for (size_t i = 0; i < c->nold; i++)
		if (!ca_is_valid_at(c->old[i], k->now()))
			return true;
	return !is_fit(k, &c->now) || wants_next(k, c);
}

static bool add_key(X509 *cert, unsigned char (*ret)[32], size_t *n)
{
	if (!cert)
		return true;
	return !tls_spki_sha256(cert, ret[(*n)++]);
}

size_t ca_certs_keys(const struct ca_certs *c, unsigned char ret[CA_KEYS_MAX][32])
{
	size_t n = 0;
	bool ok = add_key(c->now.issuer, ret, &n) && add_key(c->now.root, ret, &n) && add_key(c->next.issuer, ret, &n) &&
		  add_key(c->next.root, ret, &n);

	for (size_t i = 0; ok && i < c->nold; i++)
		ok = add_key(c->old[i], ret, &n);
	return ok ? n : 0;
}

/* ---- making */

static int openssl_error(struct err *e, const char *what)
{
	char text[160];

	tls_error_text(text, sizeof(text));
	return err_set(e, EIO, "ca: cannot %s: %s", what, text);
}

/* The root's key ends here: freed means wiped, it was never written, so nobody can sign a second issuer. */
static int make_set(const struct ca_keep *k, struct ca_set *s, struct err *e)
{
	char node[32] = "node", label[65];
	unsigned id = 0;
	int64_t now = k->now(), end = now + CA_DAYS * 86400;

	set_done(s);
	if (getentropy(&id, sizeof(id)))
		return err_set(e, errno, "ca: no random numbers: %s", strerror(errno));
	EVP_PKEY *root_key = ca_make_key();

	(void)gethostname(node, sizeof(node) - 1);
	(void)snprintf(label, sizeof(label), "purse root %s %08x", node, id);
	s->key = ca_make_key();
	if (root_key)
		s->root = ca_make_root(root_key, label, now, end);
	if (s->root && s->key)
		s->issuer = ca_make_issuer(s->key, s->root, root_key, k->names, k->nnames, now, end);
	EVP_PKEY_free(root_key);
	return s->issuer ? 0 : openssl_error(e, "make certificates");
}

/* Moves it to the old ones while it lasts; the oldest make room. */
static void retire(struct ca_certs *c, struct ca_set *s, int64_t now_s)
{
	if (holds_until(s, now_s, now_s)) {
		if (c->nold + 2 > CA_OLD_MAX) {
			X509_free(c->old[0]);
			X509_free(c->old[1]);
			c->nold -= 2;
			memmove(&c->old[0], &c->old[2], c->nold * sizeof(c->old[0]));
		}
		c->old[c->nold++] = s->root;
		c->old[c->nold++] = s->issuer;
		s->root = s->issuer = NULL;
	}
	set_done(s);
}

static void drop_ended(struct ca_certs *c, int64_t now_s)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->nold; i++)
		if (ca_is_valid_at(c->old[i], now_s))
			c->old[kept++] = c->old[i];
		else
			X509_free(c->old[i]);
	c->nold = kept;
}

/* ---- writing */

static int write_bio(const struct ca_dir *d, const char *name, mode_t mode, BIO *bio, struct err *e)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	return ca_dir_write(d, name, mode, p, (size_t)n, e);
}

static int remove_if_there(const struct ca_dir *d, const char *name, struct err *e)
{
	return ca_dir_has(d, name) ? ca_dir_remove(d, name, e) : 0;
}

/* All roots, the one in use first: readers of one certificate get that. */
static bool put_roots(BIO *to, const struct ca_certs *c)
{
	bool ok = PEM_write_bio_X509(to, c->now.root) && (!c->next.root || PEM_write_bio_X509(to, c->next.root));

	for (size_t i = 0; ok && i < c->nold; i++)
		if (X509_self_signed(c->old[i], 0) == 1)
			ok = PEM_write_bio_X509(to, c->old[i]);
	return ok;
}

static int write_set(const struct ca_dir *d, const struct ca_set *s, const char *key_name, const char *chain_name, struct err *e)
{
	BIO *chain = BIO_new(BIO_s_mem());
	BIO *key = BIO_new(BIO_s_secmem()); /* wiped when freed */
	int r;

	if (!chain || !key || !PEM_write_bio_X509(chain, s->issuer) || !PEM_write_bio_X509(chain, s->root) ||
	    !PEM_write_bio_PrivateKey(key, s->key, NULL, NULL, 0, NULL, NULL))
		r = openssl_error(e, "write certificates");
	else
		r = write_bio(d, key_name, 0600, key, e);
	if (!r)
		r = write_bio(d, chain_name, 0644, chain, e);
	BIO_free(chain);
	BIO_free(key);
	return r;
}

static int write_roots(const struct ca_dir *d, const struct ca_certs *c, struct err *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int r = bio && put_roots(bio, c) ? write_bio(d, "root.pem", 0644, bio, e) : openssl_error(e, "write root.pem");

	BIO_free(bio);
	return r;
}

static int write_old(const struct ca_dir *d, const struct ca_certs *c, struct err *e)
{
	if (!c->nold)
		return remove_if_there(d, OLD, e);
	BIO *bio = BIO_new(BIO_s_mem());
	bool ok = bio;

	for (size_t i = 0; ok && i < c->nold; i++)
		ok = PEM_write_bio_X509(bio, c->old[i]);
	int r = ok ? write_bio(d, OLD, 0644, bio, e) : openssl_error(e, "write " OLD);

	BIO_free(bio);
	return r;
}

static int write_now(const struct ca_dir *d, const struct ca_certs *c, struct err *e)
{
	int r = ca_dir_write(d, UNFINISHED, 0600, "", 0, e);

	if (!r)
		r = write_set(d, &c->now, "issuer.key", "issuer.pem", e);
	if (!r)
		r = write_roots(d, c, e);
	if (!r)
		r = ca_dir_remove(d, UNFINISHED, e);
	return r;
}

/* Removed last when it became the one in use: until then a crash finds it again. */
static int write_next(const struct ca_dir *d, const struct ca_certs *c, struct err *e)
{
	if (c->next.issuer)
		return write_set(d, &c->next, "next.key", "next.pem", e);
	int r = remove_if_there(d, "next.key", e);

	return r ? r : remove_if_there(d, "next.pem", e);
}

/* System roots change under us: written at every start. */
static int write_bundle(const struct ca_dir *d, const struct ca_certs *c, struct err *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int roots = bio ? ca_system_roots(bio) : -ENOMEM;

	if (roots == -ENOENT)
		log_warn("ca", "no system root certificates were found: bundle.pem holds purse's root alone, so agents can "
			 "reach LLM hosts only; install ca-certificates and start again");
	else if (roots)
		(void)err_set(e, -roots, "ca: cannot read the system's root certificates: %s", strerror(-roots));
	int r = roots == -ENOENT ? 0 : roots;

	if (!r && (BIO_puts(bio, "\n") <= 0 || !put_roots(bio, c)))
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

/* At most max certificates of a file, at least one. */
static int read_certs(const struct ca_dir *d, const char *name, X509 **ret, size_t max, size_t *ret_n, struct err *e)
{
	char *text;
	size_t n, got = 0;
	int r = ca_dir_read(d, name, false, &text, &n, e);

	if (r)
		return r;
	BIO *bio = BIO_new_mem_buf(text, (int)n);

	while (bio && got < max && (ret[got] = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		got++;
	BIO_free(bio);
	free(text);
	ERR_clear_error(); /* the end of the file is one */
	if (!got)
		return damaged(d, name, e);
	*ret_n = got;
	return 0;
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

static bool belongs_together(const struct ca_set *s)
{
	bool ok = X509_check_private_key(s->issuer, s->key) == 1 && X509_verify(s->issuer, X509_get0_pubkey(s->root)) == 1;

	ERR_clear_error();
	return ok;
}

static int read_now(const struct ca_dir *d, struct ca_set *s, struct err *e)
{
	size_t n;
	int r = read_key(d, "issuer.key", &s->key, e);

	if (!r)
		r = read_certs(d, "issuer.pem", &s->issuer, 1, &n, e);
	if (!r)
		r = read_certs(d, "root.pem", &s->root, 1, &n, e);
	if (r || belongs_together(s))
		return r;
	return err_set(e, EBADMSG, "ca: issuer.key, issuer.pem and root.pem in %s do not belong together; remove it to let "
		       "purse make a new CA (agents then need the new root)", d->path);
}

/* Nothing depends on them yet: what cannot be used is made again. */
static void read_next(const struct ca_dir *d, struct ca_certs *c)
{
	X509 *chain[2] = { NULL, NULL };
	size_t n = 0;
	struct err why;

	if (!ca_dir_has(d, "next.pem"))
		return;
	int r = read_key(d, "next.key", &c->next.key, &why);

	if (!r)
		r = read_certs(d, "next.pem", chain, 2, &n, &why);
	c->next.issuer = chain[0];
	c->next.root = chain[1];
	if (r)
		log_warn("ca", "next.key or next.pem in %s cannot be used: the next certificates are made again", d->path);
	/* The one in use: a crash came before it was taken away here. */
	bool is_now = n == 2 && c->now.root && !X509_cmp(c->next.root, c->now.root);

	if (r || n < 2 || is_now || !belongs_together(&c->next))
		set_done(&c->next);
}

static void read_old(const struct ca_dir *d, struct ca_certs *c)
{
	struct err why;

	if (ca_dir_has(d, OLD) && read_certs(d, OLD, c->old, CA_OLD_MAX, &c->nold, &why))
		log_warn("ca", "%s/" OLD " cannot be used: what it held is no longer trusted", d->path);
}

static int find(const struct ca_dir *d, struct ca_certs *c, struct err *e)
{
	bool any = ca_dir_has(d, "issuer.key") || ca_dir_has(d, "issuer.pem") || ca_dir_has(d, "root.pem");
	int r = 0;

	if (any && !ca_dir_has(d, UNFINISHED))
		r = read_now(d, &c->now, e);
	if (!r) {
		read_next(d, c);
		read_old(d, c);
	}
	return r;
}

/* ---- in time */

static int replace_now(const struct ca_keep *k, struct ca_certs *c, struct err *e)
{
	retire(c, &c->now, k->now());
	if (!is_fit(k, &c->next))
		return make_set(k, &c->now, e);
	c->now = c->next;
	c->next = (struct ca_set){ 0 };
	return 0;
}

static int refresh(const struct ca_keep *k, const struct ca_dir *d, struct ca_certs *c, bool *ret_is_new, struct err *e)
{
	bool is_new = !is_fit(k, &c->now);
	int r = is_new ? replace_now(k, c, e) : 0;

	drop_ended(c, k->now());
	if (c->next.issuer && !is_fit(k, &c->next))
		set_done(&c->next);
	if (!r && wants_next(k, c))
		r = make_set(k, &c->next, e);
	/* Before the one in use is written over. */
	if (!r)
		r = write_old(d, c, e);
	if (!r)
		r = is_new ? write_now(d, c, e) : write_roots(d, c, e);
	if (!r)
		r = write_next(d, c, e);
	if (!r)
		r = write_bundle(d, c, e);
	*ret_is_new = is_new;
	return r;
}

int ca_keep_open(const struct ca_keep *k, struct ca_certs *ret, bool *ret_is_new, struct err *e)
{
	struct ca_certs c = { 0 };
	struct ca_dir d = { .fd = -1 };
	bool is_new = false;
	int r = ca_dir_open(k->dir, &d, e);

	if (!r)
		r = find(&d, &c, e);
	if (!r)
		r = refresh(k, &d, &c, &is_new, e);
	ca_dir_close(&d);
	if (r) {
		ca_certs_done(&c);
		return r;
	}
	*ret = c;
	*ret_is_new = is_new;
	return 0;
}
