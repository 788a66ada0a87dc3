// SPDX-License-Identifier: Apache-2.0
/*
 * The catalogue of ways round the gate that `purse doctor --bypass` tries (kern/ways.h), against the gate alone: none is open, but where
 * this kernel has no hook for it or where a helper is needed that others: deny would stop. And with no gate the ways that can be tried
 * are open, so that a row cannot pass for the wrong reason. Captured are ways only while somebody answers at the egress.
 */
#include "acts.h"

#include <signal.h>

#include "kern/probe.h"
#include "kern/ways.h"

static struct way_targets targets;

/* In the child of a way. Nobody here ends what is older: that is the daemon's; the egress hook has to drop it. */
static int enrol_late(void *ctx, const char *dir, bool on)
{
	uint64_t id;

	if (cgroup_id(dir, &id, NULL) < 0)
		return -ENOENT;
	if (!on)
		return gate_expel(rig.g, id);
	enrol(id, "late", ACCOUNT_B, 0);
	return 0;
}

/* What pursed says to plain HTTP, to everybody: who says a hello hears no TLS. */
static pid_t start_answering(void)
{
	static const char answer[] = "HTTP/1.1 403 Forbidden\r\n\r\npurse: no.\n";
	char got[1024];

	(void)fflush(NULL);
	pid_t pid = fork();

	while (pid == 0) {
		struct pollfd p[2] = { { .fd = rig.egress4, .events = POLLIN }, { .fd = rig.egress6, .events = POLLIN } };

		(void)poll(p, 2, -1);
		for (int i = 0; i < 2; i++) {
			int fd = p[i].revents ? accept(p[i].fd, NULL, NULL) : -1;

			if (fd < 0)
				continue;
			if (recv(fd, got, sizeof(got), 0) > 0 && got[0] != 22)
				(void)send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
			(void)close(fd);
		}
	}
	return pid;
}

static void set_targets(void)
{
	struct sockaddr_storage v4 = make_address(V4, HOST_DEDICATED, PORT_CAPTURED), v6 = make_address(V6, HOST_DEDICATED, PORT_CAPTURED);

	targets = (struct way_targets){ .cgroup_dir = rig.agent_a, .outside_dir = rig.stranger, .host = "api.openai.com", .port4 = rig.port4,
					.answer_ms = 200, .enrol = enrol_late };
	memcpy(&targets.v4, &v4, sizeof(targets.v4));
	memcpy(&targets.v6, &v6, sizeof(targets.v6));
}

/* Families that only lsm_cgroup sees. */
static bool needs_lsm(const char *name)
{
	static const char *const names[] = { "packet socket", "xdp socket", "smc", "kcm", "rds", "tipc", "vsock" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void nothing_is_open(void **unused)
{
	bool has_lsm = probe_has_lsm_cgroup(), is_bad = false;
	size_t captured = 0, broken = 0;
	unsigned no = 0;

	set_targets();
	for (size_t i = 0; i < ways_count(); i++) {
		struct way_result r;

		ways_try(i, &targets, &r);
		print_message("  %-24s %-10s %s\n", r.name, way_end_text(r.end), r.text);
		if (r.end == WAY_OPEN && !(needs_lsm(r.name) && !has_lsm) && r.need != WAY_NEEDS_HELPER && r.need != WAY_NEEDS_CGROUP)
			is_bad = true;
		captured += r.end == WAY_CAPTURED;
		broken += r.end == WAY_BROKEN;
		/* In the order of the catalogue, with none left out. */
		assert_true(r.no == no || r.no == no + 1);
		no = r.no;
	}
	assert_false(is_bad);
	/* Nobody accepted. */
	assert_int_equal(captured, 0);
	assert_true(broken >= 25);
	while (arrival(0, NULL) == AT_EGRESS4)
		;
}

static void helpers_are_stopped_where_others_are_denied(void **unused)
{
	set_targets();
	others_deny();
	for (size_t i = 0; i < ways_count(); i++) {
		struct way_result r;

		ways_try(i, &targets, &r);
		if (r.need == WAY_NEEDS_HELPER || r.need == WAY_NEEDS_CGROUP)
			assert_int_not_equal(r.end, WAY_OPEN);
	}
}

static void what_is_answered_is_captured(void **unused)
{
	size_t captured = 0;
	pid_t pid = start_answering();

	set_targets();
	for (size_t i = 0; i < ways_count(); i++) {
		struct way_result r;

		ways_try(i, &targets, &r);
		captured += r.end == WAY_CAPTURED;
		/* With an LLM's name a certificate has to come. */
		if (strcmp(r.name, "name in TLS") == 0)
			assert_int_equal(r.end, WAY_BROKEN);
		if (strcmp(r.name, "no name in TLS") == 0 || strncmp(r.name, "older ", 6) == 0)
			assert_int_equal(r.end, WAY_BLOCKED);
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	assert_true(captured >= 22);
}

static void without_an_agent_they_are_open(void **unused)
{
	size_t open = 0, captured = 0;

	set_targets();
	targets.cgroup_dir = rig.stranger;
	for (size_t i = 0; i < ways_count(); i++) {
		struct way_result r;

		ways_try(i, &targets, &r);
		open += r.end == WAY_OPEN;
		captured += r.end == WAY_CAPTURED;
	}
	assert_true(open >= 20);
	assert_int_equal(captured, 0);
}

static int setup(void **unused)
{
	return rig_up(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_is_open, before_each),
		cmocka_unit_test_setup(what_is_answered_is_captured, before_each),
		cmocka_unit_test_setup(helpers_are_stopped_where_others_are_denied, before_each),
		cmocka_unit_test_setup(without_an_agent_they_are_open, before_each),
	};
	const char *obstacle = rig_obstacle();

	if (obstacle) {
		print_message("skipped: %s\n", obstacle);
		return 0;
	}
	return cmocka_run_group_tests_name("catalogue", tests, setup, NULL);
}
