// SPDX-License-Identifier: Apache-2.0
/*
 * ca_inside.h: what ca.c, ca_keep.c, ca_make.c and ca_files.c share. OpenSSL's structs are named, never included.
 * Times are unix seconds and an argument everywhere, so that tests can move them.
 */
#ifndef PURSE_WIRE_CA_INSIDE_H
#define PURSE_WIRE_CA_INSIDE_H

#include <sys/types.h>

#include "wire/ca.h"

struct bio_st;
struct evp_pkey_st;
struct x509_st;

#define CA_DAYS INT64_C(365)
/* Before the end of those in use, the next ones are made and shown to agents, and later used: 30 days for agents to be
 * started again, which is when they learn of new roots. */
#define CA_NEXT_S (INT64_C(60) * 86400)
#define CA_RENEW_S (INT64_C(30) * 86400)
#define CA_LEAF_S (INT64_C(7) * 86400)
#define CA_LEAF_RENEW_S INT64_C(86400)
#define CA_LEAVES_MAX 1024

typedef int64_t (*ca_clock)(void);
int ca_open_at(ca_clock now, const char *dir, const char *const *names, size_t nnames, struct ca **ret,
	       bool *ret_is_new, struct err *e);

/* ---- certificates (ca_make.c). NULL on failure, the reason is in OpenSSL's error queue. */

/* A fresh P-256 key. */
struct evp_pkey_st *ca_make_key(void);
/* Self-signed, pathlen 1. */
struct x509_st *ca_make_root(struct evp_pkey_st *key, const char *label, int64_t now_s, int64_t end_s);
/* Signed by the root: pathlen 0, serverAuth, critical nameConstraints over names (bare, without a leading dot), all
 * IPs excluded. */
struct x509_st *ca_make_issuer(struct evp_pkey_st *key, struct x509_st *root, struct evp_pkey_st *root_key,
			       const char *const *names, size_t nnames, int64_t now_s, int64_t end_s);
/* Signed by the issuer: host as CN and as the only SAN. */
struct x509_st *ca_make_leaf(struct evp_pkey_st *key, struct x509_st *issuer, struct evp_pkey_st *issuer_key,
			     const char *host, int64_t now_s, int64_t end_s);
/* When it ends; 0 if that cannot be read. */
int64_t ca_not_after(const struct x509_st *cert);
/* Valid at that time: it has begun (the clock may have been wrong when it was made) and ends later. */
bool ca_is_valid_at(const struct x509_st *cert, int64_t at_s);
/* True if exactly these names (sorted, without duplicates) are permitted and all IPs are excluded. */
bool ca_is_constrained_to(const struct x509_st *issuer, const char *const *names, size_t nnames);

/* ---- which certificates there are (ca_keep.c) */

struct ca_keep {
	ca_clock now;
	const char *dir;
	const char *const *names; /* what issuers are constrained to */
	size_t nnames;
};

struct ca_set {
	struct x509_st *root, *issuer; /* NULL = none */
	struct evp_pkey_st *key;       /* the issuer's */
};

#define CA_OLD_MAX 8 /* four roots, each followed by its issuer */
#define CA_KEYS_MAX (CA_OLD_MAX + 4)

struct ca_certs {
	struct ca_set now, next; /* next: trusted by agents already, not used yet */
	struct x509_st *old[CA_OLD_MAX];
	size_t nold;
};

/* Finds what the directory has, makes what is missing or due, writes it all. Refuses a directory as ca_dir_open does. is_new: the
 * issuer in use is another than the one that was found. */
int ca_keep_open(const struct ca_keep *k, struct ca_certs *ret, bool *ret_is_new, struct err *e);
/* ca_keep_open would change something. */
bool ca_certs_are_due(const struct ca_keep *k, const struct ca_certs *c);
/* The SPKI digests of all of them; 0 = failed. */
size_t ca_certs_keys(const struct ca_certs *c, unsigned char ret[CA_KEYS_MAX][32]);
void ca_certs_done(struct ca_certs *c);

/* ---- files of a directory that is ours alone (ca_files.c) */

struct ca_dir {
	int fd;           /* holds a lock until closed: two daemons must not make a CA at once; -1 = none */
	const char *path; /* for error texts; the caller's */
};

/* Makes it (0700) if missing. Refuses symbolic links, other owners and modes wider than 0700. */
int ca_dir_open(const char *path, struct ca_dir *ret, struct err *e);
void ca_dir_close(struct ca_dir *d);
bool ca_dir_has(const struct ca_dir *d, const char *name);
/* Temporary file, fsync, rename, fsync of the directory: the old or the new content, never a mixture. */
int ca_dir_write(const struct ca_dir *d, const char *name, mode_t mode, const void *p, size_t n, struct err *e);
int ca_dir_remove(const struct ca_dir *d, const char *name, struct err *e);
/* A plain file of at most 1 MiB; secret: ours, and nobody else may read it. *ret is NUL-terminated; wipe and free it. */
int ca_dir_read(const struct ca_dir *d, const char *name, bool secret, char **ret, size_t *ret_n, struct err *e);
/* Appends the first of the usual bundles of system roots to bio. 0, -ENOENT if there is none, -EFBIG. */
int ca_system_roots(struct bio_st *bio);

#endif
