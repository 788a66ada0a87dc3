// SPDX-License-Identifier: Apache-2.0
/*
 * ca_files.c: the CA's directory. Everything goes through a descriptor of it that was checked once: it is ours, nobody
 * else can write or even look into it, so no name in it can be swapped under us. What the files mean is ca.c's business.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "wire/ca_inside.h"

#define FILE_MAX (1024 * 1024)
#define BUNDLE_MAX (16 * 1024 * 1024)

int ca_dir_open(const char *path, struct ca_dir *ret, struct err *e)
{
	struct stat st;

	if (mkdir(path, 0700) && errno != EEXIST)
		return err_set(e, errno, "ca: cannot make the directory %s: %s", path, strerror(errno));
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return err_set(e, ENOTDIR,
			       "ca: %s has to be a directory (not a link to one): it holds a key; move what is there away",
			       path);
	if (fd < 0 || fstat(fd, &st))
		return err_set(e, errno, "ca: cannot open the directory %s: %s", path, strerror(errno));
	if (st.st_uid != geteuid())
		return err_set(e, EPERM, "ca: %s belongs to uid %u, not to %u; it holds a key: chown it", path, st.st_uid,
			       geteuid());
	if (st.st_mode & 077)
		return err_set(e, EPERM,
			       "ca: %s has mode %04o, so others can look into it; it holds a key: chmod 0700 it, and "
			       "remove it first if they had time to read", path, st.st_mode & 07777);
	if (flock(fd, LOCK_EX))
		return err_set(e, errno, "ca: cannot lock %s: %s", path, strerror(errno));
	*ret = (struct ca_dir){ .fd = TAKE_FD(fd), .path = path };
	return 0;
}

void ca_dir_close(struct ca_dir *d)
{
	if (d->fd >= 0)
		(void)close(d->fd);
	d->fd = -1;
}

bool ca_dir_has(const struct ca_dir *d, const char *name)
{
	struct stat st;

	/* In doubt (EIO) it is there: opening it then says what is wrong. */
	return !fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) || errno != ENOENT;
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done ? -errno : -EIO;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

static int write_temporary(const struct ca_dir *d, const char *name, mode_t mode, const void *p, size_t n)
{
	(void)unlinkat(d->fd, name, 0);
	CLEANUP_CLOSE int fd = openat(d->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, p, n);

	/* The umask may have taken bits away. */
	if (!r && (fchmod(fd, mode) || fsync(fd)))
		r = -errno;
	return r;
}

int ca_dir_write(const struct ca_dir *d, const char *name, mode_t mode, const void *p, size_t n, struct err *e)
{
	char temporary[64];

	(void)snprintf(temporary, sizeof(temporary), "%s.new", name);
	int r = write_temporary(d, temporary, mode, p, n);

	if (!r && (renameat(d->fd, temporary, d->fd, name) || fsync(d->fd)))
		r = -errno;
	if (!r)
		return 0;
	(void)unlinkat(d->fd, temporary, 0);
	return err_set(e, -r, "ca: cannot write %s/%s: %s", d->path, name, strerror(-r));
}

int ca_dir_remove(const struct ca_dir *d, const char *name, struct err *e)
{
	if (unlinkat(d->fd, name, 0) || fsync(d->fd))
		return err_set(e, errno, "ca: cannot remove %s/%s: %s", d->path, name, strerror(errno));
	return 0;
}

static int check_file(const struct ca_dir *d, const char *name, const struct stat *st, bool secret, struct err *e)
{
	if (!S_ISREG(st->st_mode) || st->st_size > FILE_MAX)
		return err_set(e, EBADMSG, "ca: %s/%s has to be a plain file of less than 1 MiB", d->path, name);
	if (!secret)
		return 0;
	if (st->st_uid != geteuid())
		return err_set(e, EPERM, "ca: %s/%s is a key and belongs to uid %u, not to %u; chown it, or remove %s to let "
			       "purse make a new CA", d->path, name, st->st_uid, geteuid(), d->path);
	if (st->st_mode & 077)
		return err_set(e, EPERM, "ca: %s/%s is a key and has mode %04o; chmod 0600 it, or remove %s to let purse "
			       "make a new CA if others had time to read it", d->path, name, st->st_mode & 07777, d->path);
	return 0;
}

static int read_all(int fd, char *to, size_t n)
{
	while (n > 0) {
		ssize_t got = read(fd, to, n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -EIO;
		to += got;
		n -= (size_t)got;
	}
	return 0;
}

int ca_dir_read(const struct ca_dir *d, const char *name, bool secret, char **ret, size_t *ret_n, struct err *e)
{
	struct stat st;

	/* O_NONBLOCK: a FIFO must not hold us up before it is found to be none of ours. */
	CLEANUP_CLOSE int fd = openat(d->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return err_set(e, errno, "ca: cannot open %s/%s: %s; if it is lost, remove %s to let purse make a new CA "
			       "(agents then need the new root)", d->path, name, strerror(errno), d->path);
	int r = check_file(d, name, &st, secret, e);

	if (r)
		return r;
	char *p = malloc((size_t)st.st_size + 1);
	if (!p)
		return err_set(e, ENOMEM, "ca: no memory");
	r = read_all(fd, p, (size_t)st.st_size);
	if (r) {
		explicit_bzero(p, (size_t)st.st_size);
		free(p);
		return err_set(e, -r, "ca: cannot read %s/%s: %s", d->path, name, strerror(-r));
	}
	p[st.st_size] = '\0';
	*ret = p;
	*ret_n = (size_t)st.st_size;
	return 0;
}

int ca_system_roots(struct bio_st *bio)
{
	static const char *const usual[] = {
		"/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Alpine, Arch */
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* RHEL, Fedora */
		"/etc/pki/tls/certs/ca-bundle.crt",                  /* older RHEL */
		"/etc/ssl/ca-bundle.pem",                            /* SUSE */
		"/etc/ssl/cert.pem",                                 /* Alpine, BSD habits */
	};
	char piece[16 * 1024];
	size_t n, total = 0;

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		FILE *f = fopen(usual[i], "re");
		if (!f)
			continue;
		while ((n = fread(piece, 1, sizeof(piece), f)) > 0 && (total += n) <= BUNDLE_MAX)
			(void)BIO_write(bio, piece, (int)n);
		(void)fclose(f);
		if (total > BUNDLE_MAX)
			return -EFBIG;
		if (total > 0)
			return 0;
	}
	return -ENOENT;
}
