// SPDX-License-Identifier: Apache-2.0
/* alert/group.c: see alert/group.h. */
#include "ctl/alert/group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "kern/cgroup.h"

#define SWEEP_WAIT_MS 200 /* what was killed is gone after some; else the next start has it */
#define SWEEP_LOOK_MS 10

static int own_dir(char *ret, size_t size)
{
	char mount[512], path[512];
	int r = cgroup_mount(mount, sizeof(mount), NULL);

	if (r == 0)
		r = cgroup_of(0, path, sizeof(path), NULL);
	if (r == 0 && (size_t)snprintf(ret, size, "%s%s", mount, strcmp(path, "/") == 0 ? "" : path) >= size)
		r = -ENAMETOOLONG;
	return r;
}

static int open_in(const char *dir, const char *file, int flags)
{
	char path[1300];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	return open(path, flags | O_CLOEXEC);
}

void group_make(struct group *g)
{
	char own[1100];

	*g = (struct group){ .procs = -1, .events = -1 };
	if (own_dir(own, sizeof(own)) < 0)
		return;
	(void)snprintf(g->dir, sizeof(g->dir), "%s/purse-alert-%d-%d", own, (int)getpid(), (int)gettid());
	if (cgroup_make(g->dir, NULL) < 0) {
		g->dir[0] = '\0';
		return;
	}
	g->procs = open_in(g->dir, "cgroup.procs", O_WRONLY);
	g->events = open_in(g->dir, "cgroup.events", O_RDONLY);
	if (g->procs < 0 || g->events < 0)
		group_remove(g);
}

int group_enter(const struct group *g)
{
	return g->procs < 0 || write(g->procs, "0", 1) == 1 ? 0 : errno;
}

static bool is_empty(int events)
{
	char text[128];
	ssize_t n = pread(events, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return strstr(text, "populated 1") == NULL;
}

bool group_is_empty(const struct group *g)
{
	return g->events < 0 || is_empty(g->events);
}

static void kill_all(const char *dir)
{
	CLEANUP_CLOSE int fd = open_in(dir, "cgroup.kill", O_WRONLY);

	if (fd < 0 || write(fd, "1", 1) != 1)
		log_warn("alerts", "%s: what is in there cannot be killed: %s", dir, strerror(errno));
}

void group_kill(const struct group *g)
{
	if (g->dir[0] && !group_is_empty(g))
		kill_all(g->dir);
}

void group_remove(struct group *g)
{
	cleanup_close_(&g->procs);
	cleanup_close_(&g->events);
	if (g->dir[0])
		(void)cgroup_remove(g->dir);
	*g = (struct group){ .procs = -1, .events = -1 };
}

/* ---- what a daemon that was killed has left */

static void sweep(const char *dir)
{
	int left_ms = SWEEP_WAIT_MS;

	kill_all(dir);
	while (cgroup_remove(dir) == -EBUSY && left_ms > 0) {
		(void)poll(NULL, 0, SWEEP_LOOK_MS);
		left_ms -= SWEEP_LOOK_MS;
	}
}

void group_sweep(void)
{
	char own[1100], dir[1400];
	struct dirent *entry;
	int pid, tid;

	if (own_dir(own, sizeof(own)) < 0)
		return;
	DIR *d = opendir(own);

	while (d && (entry = readdir(d)) != NULL) {
		if (sscanf(entry->d_name, "purse-alert-%d-%d", &pid, &tid) != 2 || pid <= 0 || kill(pid, 0) == 0 || errno != ESRCH)
			continue;
		(void)snprintf(dir, sizeof(dir), "%s/%s", own, entry->d_name);
		sweep(dir);
	}
	if (d)
		(void)closedir(d);
}
