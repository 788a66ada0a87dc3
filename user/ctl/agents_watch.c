// SPDX-License-Identifier: Apache-2.0
/*
 * agents_watch.c: what happens to agents without anybody asking: their cgroups go and come back, and connections past the egress turn up.
 *
 * A cgroup that is made anew under an agent's path is another cgroup to the gate, and a stranger's until it is enrolled. The kernel says so at once
 * (inotify on the folder above it); a look every second finds what it does not say: folders above that are gone, too, or watches that it
 * has none left of. What was opened in the moments between is ended like everything else from before an enrolment.
 */
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "ctl/agents_own.h"
#include "kern/cgroup.h"
#include "kern/gate.h"

#define EVERY_OTHER 2       /* watched ones are looked at in every second look */
#define DROPS_SEARCHED_MAX 64 /* between two looks */
#define ROUND_EVERY_NS INT64_C(60000000000)

/* ---- cgroups that go and come */

/* A watch does not end with its folder, and keeps what is left of that: it is taken back with the last who has it. */
void agents_unwatch(struct agents *a, struct seat *s)
{
	int wd = s->wd;

	s->wd = 0;
	s->is_watched = false;
	list_for_each(node, &a->seats)
		if (list_entry(node, struct seat, node)->wd == wd)
			return;
	if (wd > 0)
		(void)inotify_rm_watch(a->notify_fd, wd);
}

/* Before the look at the folder itself: what happens from here on is told. */
static void watch_parent(struct agents *a, struct seat *s)
{
	char parent[1100];
	const char *slash = strrchr(s->dir, '/');
	int wd = -1;

	if (a->notify_fd >= 0 && slash && (size_t)(slash - s->dir) < sizeof(parent)) {
		memcpy(parent, s->dir, (size_t)(slash - s->dir));
		parent[slash - s->dir] = '\0';
		wd = inotify_add_watch(a->notify_fd, parent, IN_CREATE | IN_DELETE | IN_ONLYDIR);
	}
	if (s->wd && wd != s->wd)
		agents_unwatch(a, s);
	s->wd = wd > 0 ? wd : 0;
	s->is_watched = wd > 0;
}

enum look { LOOK_SAME, LOOK_OTHER, LOOK_GONE, LOOK_FAILED };

/* What cannot be looked at (no descriptors left, say) is no news: an agent that was expelled for that would go where it likes. */
static enum look look_at(const struct seat *s, uint64_t *ret_id)
{
	int r = cgroup_id(s->dir, ret_id, NULL);

	if (r == 0)
		return *ret_id == s->cgroup_id ? LOOK_SAME : LOOK_OTHER;
	if (r != -ENOENT && r != -ENOTDIR)
		return LOOK_FAILED;
	return s->cgroup_id == 0 ? LOOK_SAME : LOOK_GONE;
}

static void watch_one(struct agents *a, struct seat *s)
{
	uint64_t id = 0;
	struct err why;

	/* Above one that is gone there may soon be nothing, and then something else. */
	if (!s->is_watched || s->cgroup_id == 0)
		watch_parent(a, s);
	enum look look = look_at(s, &id);

	if (look == LOOK_SAME || look == LOOK_FAILED)
		return;
	/* The folder above it may be another one, too. */
	watch_parent(a, s);
	look = look_at(s, &id);
	if (look == LOOK_GONE) {
		log_warn("agents", "\"%s\": its cgroup %s is gone; expelled until it comes back", s->spec.name, s->cgroup);
		seat_expel(a, s);
	}
	if (look != LOOK_OTHER)
		return;
	/* Made anew under the same path, e.g. by a service manager: the same agent to the user. */
	if (seat_enrol(a, s, &why) < 0)
		log_error("agents", "%s", why.text);
	else
		log_info("agents", "\"%s\": its cgroup %s was made anew, enrolled again (id %llu)", s->spec.name,
			 s->cgroup, (unsigned long long)id);
}

static bool is_called(const struct seat *s, const char *name)
{
	return strcmp(strrchr(s->dir, '/') + 1, name) == 0;
}

static void heard(struct agents *a, const struct inotify_event *ev)
{
	bool all = ev->mask & IN_Q_OVERFLOW;

	list_for_each(node, &a->seats) {
		struct seat *s = list_entry(node, struct seat, node);

		if (!s->is_agent || (s->wd != ev->wd && !all))
			continue;
		if (ev->mask & IN_IGNORED)
			s->wd = s->is_watched = 0;
		else if (all || (ev->len && is_called(s, ev->name)))
			watch_one(a, s);
	}
}

static void readable(void *ctx, unsigned ready)
{
	struct agents *a = ctx;
	char mem[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n = read(a->notify_fd, mem, sizeof(mem));

	(void)ready;
	for (ssize_t at = 0; n > 0 && at < n;) {
		const struct inotify_event *ev = (const struct inotify_event *)(mem + at);

		heard(a, ev);
		at += (ssize_t)(sizeof(*ev) + ev->len);
	}
}

void agents_watch_begin(struct agents *a)
{
	if (!a->env.loop)
		return;
	a->notify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	int r = a->notify_fd < 0 ? -errno : loop_io_new(a->env.loop, a->notify_fd, readable, a, &a->notify);

	if (r < 0)
		log_warn("agents", "cgroups cannot be watched (%s): one that is made anew is enrolled after up to a second", strerror(-r));
	else
		loop_io_want(a->notify, LOOP_READ);
}

void agents_watch_end(struct agents *a)
{
	if (a->notify)
		loop_io_free(a->notify);
	if (a->notify_fd >= 0)
		(void)close(a->notify_fd);
}

/* ---- connections past the egress */

static void end_flows(struct agents *a, bool all)
{
	list_for_each(node, &a->seats) {
		struct seat *s = list_entry(node, struct seat, node);

		if (s->is_agent && s->cgroup_id && (all || s->saw_drop))
			flows_end(a->flows, s->spec.name, s->dir, s->cgroup_id, FLOWS_ROUND);
		s->saw_drop = false;
	}
	a->any_drop = false;
}

/*
 * All of them when all may have some: at a start, when nobody served for a while, when an address came to the endpoints; and every minute, since no
 * hook sees a process that is moved in with its sockets, or a socket that is passed in.
 */
static void look_for_flows(struct agents *a)
{
	uint64_t epoch = gate_old_epoch(a->env.gate);
	int64_t now = clock_boot_ns();
	bool all = epoch != a->round_epoch || now - a->rounded_ns >= ROUND_EVERY_NS;

	if (!flows_may_begin_round(a->flows))
		return;
	if (all || a->any_drop)
		end_flows(a, all);
	a->round_epoch = epoch;
	if (all)
		a->rounded_ns = now;
}

void agents_saw_drop(struct agents *a, uint64_t id)
{
	if (id == a->last_drop || a->drops_searched++ >= DROPS_SEARCHED_MAX)
		return;
	a->last_drop = id;
	list_for_each(node, &a->seats) {
		struct seat *s = list_entry(node, struct seat, node);

		if (s->is_agent && s->cgroup_id == id)
			s->saw_drop = a->any_drop = true;
	}
	if (a->any_drop)
		look_for_flows(a);
}

void agents_watch(struct agents *a)
{
	bool all = a->looks++ % EVERY_OTHER == 0;

	list_for_each(node, &a->seats) {
		struct seat *s = list_entry(node, struct seat, node);

		if (s->is_agent && (all || !s->is_watched || s->cgroup_id == 0))
			watch_one(a, s);
	}
	agents_end_raises(a, clock_realtime_ns() / 1000000000);
	a->last_drop = 0;
	a->drops_searched = 0;
	look_for_flows(a);
}
