// SPDX-License-Identifier: Apache-2.0
/*
 * gate_load.c: the programs into the kernel, and the links that make them run.
 * An update keeps the link and swaps the program under it, so that there is
 * no moment without enforcement.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/crash.h"
#include "base/log.h"
#include "gate.skel.h"
#include "kern/gate_inside.h"
#include "kern/probe.h"

/* ---- what libbpf and the verifier have to say */

#define LAST_LINES 4

/* libbpf's print function is one for the process and takes no context; loads are serialised by the mutex. */
static pthread_mutex_t print_mutex = PTHREAD_MUTEX_INITIALIZER;
static char last_words[480];
static bool has_verifier_log;

/* Lines that are about the ones before them. */
static bool is_noise(const char *line)
{
	return !line[0] || strstr(line, "-- END PROG") || strstr(line, "failed to load object") ||
	       strstr(line, "failed to load BPF skeleton") ||
	       strncmp(line, "processed ", 10) == 0;
}

/* Keeps the last lines that say something, newest last, joined by "; ". */
static void keep_last_words(char *text)
{
	char *lines[LAST_LINES] = { NULL };
	size_t used = 0;
	int n = 0;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (!is_noise(line))
			lines[n++ % LAST_LINES] = line;
	if (n == 0)
		return;
	for (int i = n > LAST_LINES ? n - LAST_LINES : 0; i < n; i++) {
		int wrote = snprintf(last_words + used, sizeof(last_words) - used, "%s%.*s", used ? "; " : "",
				     (int)(sizeof(last_words) / LAST_LINES - 4), lines[i % LAST_LINES]);

		used += (size_t)wrote < sizeof(last_words) - used ? (size_t)wrote : sizeof(last_words) - used - 1;
	}
}

static int print_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	CLEANUP_FREE char *text = NULL;

	if (level != LIBBPF_WARN || vasprintf(&text, fmt, ap) < 0)
		return 0;
	/* The verifier's log explains; the lines that libbpf adds after it do not. */
	if (strstr(text, "PROG LOAD LOG")) {
		has_verifier_log = true;
		keep_last_words(text);
	} else if (!has_verifier_log) {
		keep_last_words(text);
	}
	return 0;
}

static int load_error(const struct gate *g, int ret, struct err *e)
{
	struct utsname u = { .release = "(unknown)" };

	(void)uname(&u);
	return err_set(e, ret, "gate: kernel %s refused the programs for %s (%s); %s", u.release, g->pin_dir, strerror(-ret),
		       last_words[0] ? last_words : "no reason given; `purse doctor` says what this kernel lacks");
}

/* ---- load */

static int set_pin_paths(struct gate *g, struct err *e)
{
	struct bpf_map *map;
	char path[PATH_MAX];

	bpf_object__for_each_map(map, g->programs->obj) {
		/* Constants and what programs remember of a walk belong to this load, not to the gate. */
		if (strchr(bpf_map__name(map), '.') || map == g->programs->maps.identities)
			continue;
		gate_pin_path(g, g->maps_folder, bpf_map__name(map), path);
		if (bpf_map__set_pin_path(map, path) < 0)
			return err_set(e, ENOMEM, "gate: out of memory");
	}
	return 0;
}

static uint32_t prog_id(int fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) < 0 ? 0 : info.id;
}

static int find_hooks(struct gate *g)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, g->programs->obj) {
		if (!bpf_program__autoload(prog))
			continue;
		ASSERT(g->nhooks < GATE_HOOKS_MAX);
		g->hooks[g->nhooks++] = (struct gate_hook){
			.name = bpf_program__name(prog),
			.prog_id = prog_id(bpf_program__fd(prog)),
		};
	}
	return 0;
}

/* Opens, configures, loads. Maps that are pinned are used again, others made and pinned. */
int gate_load(struct gate *g, struct err *e)
{
	libbpf_print_fn_t before;
	int ret;

	(void)pthread_mutex_lock(&print_mutex);
	last_words[0] = '\0';
	has_verifier_log = false;
	before = libbpf_set_print(print_libbpf);
	g->programs = gate_bpf__open();
	ret = g->programs ? set_pin_paths(g, e) : load_error(g, -errno, e);
	if (ret == 0) {
		g->programs->rodata->has_set_retval = probe_has_set_retval();
		(void)bpf_program__set_autoload(g->programs->progs.gate_family, probe_has_lsm_cgroup());
		ret = gate_bpf__load(g->programs);
		if (ret < 0)
			(void)load_error(g, ret, e);
	}
	(void)libbpf_set_print(before);
	(void)pthread_mutex_unlock(&print_mutex);
	return ret < 0 ? ret : find_hooks(g);
}

/* ---- attach */

static bool link_is_on(const struct bpf_link *link, uint64_t cgroup, uint32_t *ret_prog)
{
	struct bpf_link_info info = { 0 };
	uint32_t size = sizeof(info);

	/* A link whose cgroup is gone stays pinned and says cgroup_id 0. */
	if (bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &size) < 0 || info.type != BPF_LINK_TYPE_CGROUP)
		return false;
	*ret_prog = info.prog_id;
	return info.cgroup.cgroup_id == cgroup;
}

static struct bpf_program *program_of(const struct gate *g, const struct gate_hook *h)
{
	return bpf_object__find_program_by_name(g->programs->obj, h->name);
}

/* A new link takes the pin of an old one; the old one ends after that, not before. */
static int attach_new(struct gate *g, struct gate_hook *h, const char *path, struct err *e)
{
	struct bpf_link *link = bpf_program__attach_cgroup(program_of(g, h), g->root_fd);

	if (!link)
		return err_set(e, errno, "gate: cannot attach %s to the cgroup: %s", h->name, strerror(errno));
	int ret = gate_pin_replace(path, bpf_link__fd(link), e);

	if (ret < 0) {
		(void)bpf_link__destroy(link);
		return ret;
	}
	h->link = link;
	return 0;
}

static int attach_hook(struct gate *g, struct gate_hook *h, struct err *e)
{
	struct bpf_link *old;
	char path[PATH_MAX];
	uint32_t prog;
	int ret;

	gate_pin_path(g, "links", h->name, path);
	old = access(path, F_OK) == 0 ? bpf_link__open(path) : NULL;
	if (old && link_is_on(old, g->root_id, &prog)) {
		ret = bpf_link__update_program(old, program_of(g, h));
		if (ret == 0) {
			h->link = old;
			return 0;
		}
		log_warn("gate", "%s: update in place failed (%s); attaching anew", h->name, strerror(-ret));
	} else if (old) {
		log_info("gate", "%s: its pinned link is on another cgroup or a dead one; attaching anew", h->name);
	}
	ret = attach_new(g, h, path, e);
	if (old)
		(void)bpf_link__destroy(old);
	return ret;
}

int gate_attach(struct gate *g, struct err *e)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < g->nhooks; i++) {
		ret = attach_hook(g, &g->hooks[i], e);
		CRASH_POINT("gate-attached");
	}
	/* Only now: until here the old programs are better than none. */
	return ret < 0 ? ret : gate_pins_drop_other_links(g, e);
}

static uint32_t link_id(int fd)
{
	struct bpf_link_info info = { 0 };
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) < 0 ? 0 : info.id;
}

/* What is wrong with one hook. 0, or -ENOLINK. */
static int verify_hook(const struct gate *g, int dir, struct gate_hook *h, struct err *e)
{
	struct gate_pin pin = { .id_of = link_id };
	uint32_t prog = 0;

	if (!h->link || !link_is_on(h->link, g->root_id, &prog))
		return err_set(e, ENOLINK,
			       "gate: %s is no longer attached to cgroup %llu: somebody detached it or the cgroup is gone", h->name,
			       (unsigned long long)g->root_id);
	if (prog == 0 || prog != h->prog_id)
		return err_set(e, ENOLINK, "gate: %s was replaced by another program (id %u)", h->name, prog);
	pin.fd = bpf_link__fd(h->link);
	return gate_pin_verify(g, dir, "links", h->name, &pin, &h->pin_ino, e);
}

int gate_hooks_verify(struct gate *g, struct err *e)
{
	CLEANUP_CLOSE int dir = gate_pins_dir(g, "links");
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < g->nhooks; i++)
		ret = verify_hook(g, dir, &g->hooks[i], e);
	return ret;
}

/* Back on, before the broken one is let go: for a moment both run, which changes nothing (the second sees what the first decided). */
static int repair_hook(struct gate *g, int dir, struct gate_hook *h, struct err *e)
{
	struct bpf_link *old = h->link;
	char path[PATH_MAX];
	uint32_t prog;

	if (old && link_is_on(old, g->root_id, &prog) && prog != h->prog_id &&
	    bpf_link__update_program(old, program_of(g, h)) == 0 && verify_hook(g, dir, h, NULL) == 0)
		return 0;
	gate_pin_path(g, "links", h->name, path);
	h->link = NULL;
	int ret = attach_new(g, h, path, e);

	if (ret < 0) {
		h->link = old;
		return ret;
	}
	if (old)
		(void)bpf_link__destroy(old);
	return 0;
}

int gate_hooks_repair(struct gate *g, struct err *e)
{
	CLEANUP_CLOSE int dir = gate_pins_dir(g, "links");
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < g->nhooks; i++)
		if (verify_hook(g, dir, &g->hooks[i], NULL) < 0)
			ret = repair_hook(g, dir, &g->hooks[i], e);
	return ret;
}

/* ---- in effect, where it matters */

#define EFFECTIVE_MAX 64

static bool is_in_effect(const struct gate *g, const struct gate_hook *h, int cgroup)
{
	uint32_t ids[EFFECTIVE_MAX];
	LIBBPF_OPTS(bpf_prog_query_opts, q, .query_flags = BPF_F_QUERY_EFFECTIVE, .prog_ids = ids, .prog_cnt = EFFECTIVE_MAX);
	int ret = bpf_prog_query_opts(cgroup, bpf_program__expected_attach_type(program_of(g, h)), &q);

	/* More than there is room for: ours may be among the rest. Cannot be asked: the links are what we know. */
	if (ret < 0)
		return true;
	for (uint32_t i = 0; i < q.prog_cnt; i++)
		if (ids[i] == h->prog_id)
			return true;
	return false;
}

const char *gate_hooks_missing_in(const struct gate *g, int cgroup)
{
	for (size_t i = 0; i < g->nhooks; i++)
		if (!is_in_effect(g, &g->hooks[i], cgroup))
			return g->hooks[i].name;
	return NULL;
}

void gate_unload(struct gate *g)
{
	for (size_t i = 0; i < g->nhooks; i++)
		if (g->hooks[i].link)
			(void)bpf_link__destroy(g->hooks[i].link);
	g->nhooks = 0;
	gate_bpf__destroy(g->programs);
	g->programs = NULL;
}
