// SPDX-License-Identifier: Apache-2.0
/*
 * The catalogue of ways round the gate that `purse doctor --bypass` tries (kern/ways.h), against the gate alone: none is open, but where
 * this kernel has no hook for it or where a helper is needed that others: deny would stop. And with no gate the ways that can be tried
 * are open, so that a row cannot pass for the wrong reason.
 */
#include "acts.h"

#include "kern/probe.h"
#include "kern/ways.h"

static struct way_targets targets;

static void set_targets(void)
{
	struct sockaddr_storage v4 = make_address(V4, HOST_DEDICATED, PORT_CAPTURED), v6 = make_address(V6, HOST_DEDICATED, PORT_CAPTURED);

	targets = (struct way_targets){ .cgroup_dir = rig.agent_a, .outside_dir = rig.stranger };
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

	set_targets();
	for (size_t i = 0; i < ways_count(); i++) {
		struct way_result r;

		ways_try(i, &targets, &r);
		print_message("  %-24s %-10s %s\n", r.name, way_end_text(r.end), r.text);
		if (r.end == WAY_OPEN && !(needs_lsm(r.name) && !has_lsm) && r.need != WAY_NEEDS_HELPER)
			is_bad = true;
	}
	assert_false(is_bad);
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
		if (r.need == WAY_NEEDS_HELPER)
			assert_int_not_equal(r.end, WAY_OPEN);
	}
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
