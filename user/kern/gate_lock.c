// SPDX-License-Identifier: Apache-2.0
/*
 * gate_lock.c: what keeps a second daemon out, twice: a file in run_dir (control socket, hand-over) and the pin folder itself, since two
 * daemons with other run_dirs on the same pins would put their programs in the place of each other's and write over each other's balances.
 *
 * Both are an flock: it is on the inode, so that it holds whatever path, mount or mount namespace the folder is reached by; it ends with the
 * last descriptor, so that a kill -9 leaves nothing stale; and it goes over to a successor with the descriptor. Who has it stands beside it
 * for the message only: in the file, and for the folder, where no file can be made, in a symbolic link that leads nowhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kern/gate_inside.h"

#define OWNER "owner"
#define OWNER_NEXT "owner-next"
#define TRIES 5

/* ---- the file in run_dir */

/* mkdir -p of the folder that `path` is in. */
static int make_folder_of(const char *path)
{
	char dir[PATH_MAX];

	if ((size_t)snprintf(dir, sizeof(dir), "%s", path) >= sizeof(dir))
		return -ENAMETOOLONG;
	for (char *p = strchr(dir + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(dir, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return 0;
}

/* For the message below only: the lock is the flock. */
static int sign_file(int fd)
{
	char text[32];
	ssize_t n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(fd, 0) < 0)
		return -errno;
	return pwrite(fd, text, (size_t)n, 0) == n ? 0 : -EIO;
}

int gate_lock(const char *path, int *ret_fd, struct err *e)
{
	char text[32] = "";
	ssize_t n;
	int ret = make_folder_of(path);

	if (ret < 0)
		return err_set(e, ret, "lock %s: cannot make its folder: %s", path, strerror(-ret));
	CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_set(e, errno, "lock %s: cannot open: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return err_set(e, errno, "lock %s: cannot lock: %s", path, strerror(errno));
		n = pread(fd, text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = '\0';
		text[strcspn(text, "\n")] = '\0';
		return err_set(e, EBUSY, "lock %s: the gate is held by process %s; stop that pursed first", path,
			       text[0] ? text : "(unknown)");
	}
	ret = sign_file(fd);
	if (ret < 0)
		return err_set(e, -ret, "lock %s: cannot write the process id: %s", path, strerror(-ret));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* ---- the pin folder */

static void owner_path(const char *pin_dir, const char *name, char ret[PATH_MAX])
{
	(void)snprintf(ret, PATH_MAX, "%s/%s", pin_dir, name);
}

/* The next one is put over the last one: there is no moment without a name to tell. */
static void sign_pins(const char *pin_dir)
{
	char path[PATH_MAX], next[PATH_MAX], text[32];

	owner_path(pin_dir, OWNER, path);
	owner_path(pin_dir, OWNER_NEXT, next);
	(void)snprintf(text, sizeof(text), "process %d", (int)getpid());
	(void)unlink(next);
	if (symlink(text, next) == 0)
		(void)rename(next, path);
}

void gate_lock_unsign(const char *pin_dir)
{
	char path[PATH_MAX];

	owner_path(pin_dir, OWNER, path);
	(void)unlink(path);
	owner_path(pin_dir, OWNER_NEXT, path);
	(void)unlink(path);
}

static int held_error(const char *pin_dir, struct err *e)
{
	char path[PATH_MAX], text[32];

	owner_path(pin_dir, OWNER, path);
	ssize_t n = readlink(path, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return err_set(e, EBUSY,
		       "pins %s: the gate is held by %s, a pursed with another run_dir; two on the same pins would undo each other's work: "
		       "stop that one first, or give this one a `bpffs` and a `cgroup_root` of its own", pin_dir, text[0] ? text : "another process");
}

/* Is what the descriptor is of what stands at the path now? */
static bool is_at(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

int gate_lock_pins(const char *pin_dir, int *ret_fd, struct err *e)
{
	for (int i = 0; i < TRIES; i++) {
		CLEANUP_CLOSE int fd = open(pin_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0)
			return err_set(e, errno, "pins %s: cannot open: %s", pin_dir, strerror(errno));
		if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			return errno == EWOULDBLOCK ? held_error(pin_dir, e) :
						      err_set(e, errno, "pins %s: cannot lock: %s", pin_dir, strerror(errno));
		/* Somebody may have removed and made it again meanwhile: then this is the lock of nothing. */
		if (is_at(fd, pin_dir)) {
			sign_pins(pin_dir);
			*ret_fd = TAKE_FD(fd);
			return 0;
		}
	}
	return err_set(e, EAGAIN, "pins %s: the folder is removed and made again all the time; find out by whom", pin_dir);
}

int gate_lock_verify(struct gate *g, struct err *e)
{
	return is_at(g->pins_fd, g->pin_dir) ? 0 : err_set(e, ENOLINK, "gate: %s was removed; what stands there now is not ours", g->pin_dir);
}

int gate_lock_pins_again(struct gate *g, struct err *e)
{
	int fd = -1;

	if (g->pins_fd >= 0 && is_at(g->pins_fd, g->pin_dir))
		return 0;
	int ret = gate_lock_pins(g->pin_dir, &fd, e);

	if (ret < 0)
		return ret;
	cleanup_close_(&g->pins_fd);
	g->pins_fd = fd;
	return 0;
}

int gate_lock_check_pins(const struct gate *g, struct err *e)
{
	if (is_at(g->pins_fd, g->pin_dir))
		return 0;
	return err_set(e, EINVAL, "pins %s: the process that hands over has other ones; `bpffs` must be the same in both configs", g->pin_dir);
}

void gate_sign_lock(const struct gate *g)
{
	(void)sign_file(g->lock_fd);
	sign_pins(g->pin_dir);
}
