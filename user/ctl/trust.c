// SPDX-License-Identifier: Apache-2.0
/* trust.c: see trust.h. */
#include "ctl/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "ctl/config/config.h"
#include "ctl_abi.h"

static const struct trust_var vars[] = {
	{ "SSL_CERT_FILE", false, "OpenSSL, Go, rustls, httpx" },
	{ "REQUESTS_CA_BUNDLE", false, "Python requests" },
	{ "CURL_CA_BUNDLE", false, "curl" },
	{ "AWS_CA_BUNDLE", false, "AWS SDKs" },
	{ "GIT_SSL_CAINFO", false, "git" },
	{ "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", false, "gRPC" },
	{ "DENO_CERT", false, "Deno" },
	{ "NODE_EXTRA_CA_CERTS", true, "Node.js" },
};

const struct trust_var *trust_var_at(size_t i)
{
	return i < sizeof(vars) / sizeof(vars[0]) ? &vars[i] : NULL;
}

int trust_dir(const struct config *c, char *ret, size_t size)
{
	int n = snprintf(ret, size, "%s%s", c->run_dir, PURSE_TRUST_SUFFIX);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int copy(const char *from, int dir, const char *name, struct err *e)
{
	CLEANUP_CLOSE int in = open(from, O_RDONLY | O_CLOEXEC);
	char mem[65536], fresh[64];
	ssize_t n = 1;

	if (in < 0)
		return err_set(e, errno, "trust: cannot read %s: %s", from, strerror(errno));
	(void)snprintf(fresh, sizeof(fresh), ".%s.new", name);
	(void)unlinkat(dir, fresh, 0);
	CLEANUP_CLOSE int out = openat(dir, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (out < 0)
		return err_set(e, errno, "trust: cannot write %s: %s", name, strerror(errno));
	while (n > 0) {
		n = read(in, mem, sizeof(mem));
		if (n < 0 || (n > 0 && write(out, mem, (size_t)n) != n))
			return err_set(e, errno ? errno : EIO, "trust: cannot copy %s: %s", from, strerror(errno ? errno : EIO));
	}
	/* The umask of the daemon is 077; these two are for everybody. */
	if (fchmod(out, 0644) < 0 || renameat(dir, fresh, dir, name) < 0)
		return err_set(e, errno, "trust: cannot put %s in place: %s", name, strerror(errno));
	return 0;
}

int trust_publish(const char *dir, const char *root_path, const char *bundle_path, struct err *e)
{
	struct stat st;

	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return err_set(e, errno, "trust: cannot make %s: %s", dir, strerror(errno));
	CLEANUP_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, errno, "trust: cannot open %s: %s", dir, strerror(errno));
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return err_set(e, EPERM, "trust: %s belongs to uid %u with mode %03o; agents would trust what somebody else "
			       "puts there: remove it", dir, (unsigned)st.st_uid, (unsigned)st.st_mode & 0777);
	if (fchmod(fd, 0755) < 0)
		return err_set(e, errno, "trust: %s: %s", dir, strerror(errno));
	int r = copy(root_path, fd, TRUST_ROOT, e);

	return r ? r : copy(bundle_path, fd, TRUST_BUNDLE, e);
}
