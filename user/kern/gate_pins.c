// SPDX-License-Identifier: Apache-2.0
/*
 * gate_pins.c: the folders on bpffs and single pins in them. Whose they are: gate_lock.c; of which layout: gate_layout.c.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "base/cleanup.h"
#include "kern/gate_inside.h"

#define BPFFS "/sys/fs/bpf"

static const char *const map_names[GATE_MAP_COUNT] = {
	[GATE_MAP_AGENTS] = "agents",	   [GATE_MAP_ACCOUNTS] = "accounts", [GATE_MAP_HOLDS] = "holds",
	[GATE_MAP_ENDPOINTS] = "endpoints", [GATE_MAP_FLOWS] = "flows",	     [GATE_MAP_STATE] = "state",
	[GATE_MAP_EVENTS] = "events",	   [GATE_MAP_COUNTERS] = "counters",
	[GATE_MAP_LISTENERS] = "listeners",
};

const char *gate_map_name(enum gate_map m)
{
	return map_names[m];
}

void gate_pin_path(const struct gate *g, const char *kind, const char *name, char ret[PATH_MAX])
{
	(void)snprintf(ret, PATH_MAX, "%s/%s/%s", g->pin_dir, kind, name);
}

static bool is_bpffs(const char *dir)
{
	struct statfs fs;

	return statfs(dir, &fs) == 0 && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

/* The folder above pin_dir is there and on bpffs, by mounting one at its usual place if need be. */
static int need_bpffs(const char *pin_dir, struct err *e)
{
	char parent[PATH_MAX];
	char *slash;

	(void)snprintf(parent, sizeof(parent), "%s", pin_dir);
	slash = strrchr(parent, '/');
	if (pin_dir[0] != '/' || !slash || slash == parent)
		return err_set(e, EINVAL, "pin_dir \"%s\": not an absolute path below a bpf file system; use e.g. " BPFFS "/purse",
			       pin_dir);
	*slash = '\0';
	if (is_bpffs(parent))
		return 0;
	if (strcmp(parent, BPFFS) != 0)
		return err_set(e, ENOTSUP, "pin_dir %s: %s is not on a bpf file system; use a folder below " BPFFS, pin_dir, parent);
	if (mount("bpf", BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
		return err_set(e, errno, "pin_dir %s: cannot mount a bpf file system at " BPFFS ": %s", pin_dir, strerror(errno));
	return 0;
}

int gate_pins_make(const struct gate *g, struct err *e)
{
	static const char *const folders[] = { "", "/maps", "/links" };
	char path[PATH_MAX];
	int ret = need_bpffs(g->pin_dir, e);

	for (size_t i = 0; ret == 0 && i < sizeof(folders) / sizeof(folders[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", g->pin_dir, folders[i]);
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			ret = err_set(e, errno, "pin_dir %s: cannot make %s: %s", g->pin_dir, path, strerror(errno));
	}
	return ret;
}

/* ---- single pins */

int gate_pins_dir(const struct gate *g, const char *kind)
{
	char path[PATH_MAX];

	gate_pin_path(g, kind, "", path);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int gate_pin_verify(const struct gate *g, int dir, const char *kind, const char *name, const struct gate_pin *pin, uint64_t *ino, struct err *e)
{
	struct stat st;
	char path[PATH_MAX];

	gate_pin_path(g, kind, name, path);
	/* Without a descriptor for the folder (there may be none left) it takes longer; it is no sign that the pin is gone. */
	if ((dir < 0 ? lstat(path, &st) : fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW)) < 0)
		return err_set(e, ENOLINK, "gate: the pin %s is gone: what it holds would end with this process", path);
	if (st.st_ino == *ino)
		return 0;
	CLEANUP_CLOSE int there = bpf_obj_get(path);

	/* The next look will tell. */
	if (there < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
		return 0;
	uint32_t found = there < 0 ? 0 : pin->id_of(there), ours = pin->id_of(pin->fd);

	if (found == 0 || found != ours)
		return err_set(e, ENOLINK, "gate: the pin %s is another's (id %u), ours is id %u", path, found, ours);
	*ino = st.st_ino;
	return 0;
}

int gate_pin_replace(const char *path, int fd, struct err *e)
{
	char next[PATH_MAX];

	if ((size_t)snprintf(next, sizeof(next), "%s-next", path) >= sizeof(next))
		return err_set(e, ENAMETOOLONG, "gate: cannot pin %s: too long", path);
	(void)unlink(next);
	if (bpf_obj_pin(fd, next) < 0 || rename(next, path) < 0)
		return err_set(e, errno, "gate: cannot pin %s: %s", path, strerror(errno));
	return 0;
}

/* ---- all pins of a folder */

int gate_each_pin(const char *folder, gate_pin_fn fn, void *ctx, struct err *e)
{
	char path[PATH_MAX + NAME_MAX + 2];
	struct dirent *entry;
	int ret = 0;
	DIR *d = opendir(folder);

	if (!d)
		return err_set(e, errno, "gate: cannot read %s: %s", folder, strerror(errno));
	while (ret == 0 && (entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		ret = fn(ctx, path, entry->d_name, e);
	}
	(void)closedir(d);
	return ret;
}

/* ---- removal */

static int remove_pin(void *are_links, const char *path, const char *name, struct err *e)
{
	if (*(bool *)are_links) {
		CLEANUP_CLOSE int fd = bpf_obj_get(path);

		/* Whoever else keeps it open: it ends now. On a dead cgroup there is nothing to end. */
		if (fd >= 0)
			(void)bpf_link_detach(fd);
	}
	return unlink(path) < 0 ? err_set(e, errno, "gate: cannot remove %s: %s", path, strerror(errno)) : 0;
}

int gate_pins_remove_folder(const char *pin_dir, const char *kind, bool are_links, struct err *e)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", pin_dir, kind) >= sizeof(path))
		return err_set(e, ENAMETOOLONG, "pin_dir: a path of %zu bytes is too long", strlen(pin_dir));
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	int ret = gate_each_pin(path, remove_pin, &are_links, e);

	if (ret == 0 && rmdir(path) < 0)
		ret = err_set(e, errno, "gate: cannot remove %s: %s", path, strerror(errno));
	return ret;
}

static int drop_other_link(void *gate, const char *path, const char *name, struct err *e)
{
	const struct gate *g = gate;

	for (size_t i = 0; i < g->nhooks; i++)
		if (strcmp(g->hooks[i].name, name) == 0)
			return 0;
	return unlink(path) < 0 ? err_set(e, errno, "gate: cannot remove %s of another version: %s", name, strerror(errno)) : 0;
}

int gate_pins_drop_other_links(struct gate *g, struct err *e)
{
	char path[PATH_MAX];

	gate_pin_path(g, "links", "", path);
	return gate_each_pin(path, drop_other_link, g, e);
}

int gate_pins_remove(const char *pin_dir, struct err *e)
{
	int ret = gate_pins_remove_folder(pin_dir, "links", true, e);

	if (ret == 0)
		ret = gate_pins_remove_folder(pin_dir, "maps", false, e);
	if (ret == 0)
		ret = gate_pins_remove_folder(pin_dir, GATE_MAPS_NEXT, false, e);
	if (ret == 0)
		gate_lock_unsign(pin_dir);
	if (ret == 0 && rmdir(pin_dir) < 0 && errno != ENOENT)
		ret = err_set(e, errno, "gate: cannot remove %s: %s", pin_dir, strerror(errno));
	return ret;
}
