// SPDX-License-Identifier: Apache-2.0
/* ca_place.h: for tests: a directory for a CA, a clock that can be moved, files read and overwritten. */
#ifndef PURSE_TESTS_CA_PLACE_H
#define PURSE_TESTS_CA_PLACE_H

#include "certs.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>

#include "wire/ca.h"
#include "wire/ca_inside.h"

#define DAY INT64_C(86400)

static int64_t clock_s; /* 0 = the real one */

static inline int64_t test_clock(void)
{
	return clock_s ? clock_s : (int64_t)time(NULL);
}

struct place {
	char top[64], dir[96];
};

static inline void place_make(struct place *p)
{
	clock_s = 0;
	strcpy(p->top, "/tmp/purse-ca-XXXXXX");
	assert_non_null(mkdtemp(p->top));
	snprintf(p->dir, sizeof(p->dir), "%s/ca", p->top);
}

static inline void place_clear(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *f;

	while (d && (f = readdir(d)))
		if (f->d_name[0] != '.')
			(void)unlinkat(dirfd(d), f->d_name, 0);
	if (d)
		closedir(d);
	(void)rmdir(dir);
}

static inline void place_free(struct place *p)
{
	place_clear(p->dir);
	(void)unlink(p->dir);
	place_clear(p->top);
}

static inline const char *in(const struct place *p, const char *name)
{
	static char path[4][400];
	static unsigned turn;
	char *to = path[turn++ % 4];

	snprintf(to, sizeof(path[0]), "%s/%s", p->dir, name);
	return to;
}

static const char *const usual[] = { "api.openai.com", "api.anthropic.com", ".azure.example.com" };
#define USUAL usual, 3

static inline struct ca *must_open(const struct place *p, const char *const *names, size_t n, bool *is_new)
{
	struct ca *ca = NULL;
	struct err e = { 0 };

	if (ca_open_at(test_clock, p->dir, names, n, &ca, is_new, &e))
		fail_msg("%s", e.text);
	return ca;
}

static inline void must_fail(const struct place *p, int why, const char *words)
{
	struct ca *ca = NULL;
	bool is_new;
	struct err e = { 0 };
	int r = ca_open_at(test_clock, p->dir, USUAL, &ca, &is_new, &e);

	if (r != why || !strstr(e.text, words))
		fail_msg("%d (%s) instead of %d and \"%s\"", r, e.text, why, words);
	assert_null(ca);
}

static inline void *slurp(const char *path, size_t *n)
{
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	char *p = calloc(1, 4 << 20);
	*n = fread(p, 1, (4 << 20) - 1, f);
	fclose(f);
	return p;
}

static inline void spit(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	fclose(f);
}

static inline mode_t mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? 0 : st.st_mode & 07777;
}

static inline X509 *read_x(const char *path)
{
	FILE *f = fopen(path, "r");
	X509 *x = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

	if (f)
		fclose(f);
	return x;
}

static inline EVP_PKEY *read_k(const char *path)
{
	FILE *f = fopen(path, "r");
	EVP_PKEY *k = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;

	if (f)
		fclose(f);
	return k;
}

#endif
