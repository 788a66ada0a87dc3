// SPDX-License-Identifier: Apache-2.0
/*
 * What the verifier has to do for each program: instructions it went through (bpf_prog_info.verified_insns, Linux 5.16+). A program that
 * grows by more than a tenth on a kernel that is on record fails here, long before it no longer loads there. The record is the table
 * below; a row that is wrong on purpose is changed together with the program.
 */
#include "acts.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/utsname.h>

static const char *const programs[] = {
	"gate_connect4", "gate_connect6", "gate_sendmsg4", "gate_sendmsg6", "gate_getpeername4", "gate_getpeername6",
	"gate_sock_create", "gate_family", "gate_sockops", "gate_egress", "gate_bind4", "gate_bind6",
};
#define PROGRAMS (sizeof(programs) / sizeof(programs[0]))

/* By kernel series, in the order of the names above. 0 = not loaded there. */
static const struct {
	const char *series;
	unsigned insns[PROGRAMS];
} record[] = {
#include "verifier_cost.h"
};

static unsigned insns_of(const char *program)
{
	struct bpf_link_info link = { 0 };
	struct bpf_prog_info prog = { 0 };
	uint32_t link_size = sizeof(link), prog_size = sizeof(prog);
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/links/%s", rig.pin_dir, program);
	int fd = bpf_obj_get(path);

	if (fd < 0)
		return 0; /* optional, and not here */
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &link, &link_size), 0);
	int prog_fd = bpf_prog_get_fd_by_id(link.prog_id);

	assert_true(prog_fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(prog_fd, &prog, &prog_size), 0);
	(void)close(prog_fd);
	(void)close(fd);
	return prog.verified_insns;
}

static void verifier_cost(void **unused)
{
	struct utsname u;
	unsigned major = 0, minor = 0, seen[PROGRAMS];
	char series[32];
	bool is_known = false;

	assert_int_equal(uname(&u), 0);
	assert_int_equal(sscanf(u.release, "%u.%u", &major, &minor), 2);
	(void)snprintf(series, sizeof(series), "%u.%u", major, minor);
	for (size_t p = 0; p < PROGRAMS; p++) {
		seen[p] = insns_of(programs[p]);
		printf("verifier-cost %s %s %u\n", series, programs[p], seen[p]);
	}
	for (size_t r = 0; r < sizeof(record) / sizeof(record[0]); r++) {
		if (strcmp(record[r].series, series) != 0)
			continue;
		is_known = true;
		for (size_t p = 0; p < PROGRAMS; p++)
			if (record[r].insns[p] && seen[p] > record[r].insns[p] + record[r].insns[p] / 10)
				fail_msg("%s on %s: %u instructions, %u are on record", programs[p], series, seen[p], record[r].insns[p]);
	}
	if (!is_known)
		print_message("no record for Linux %s: measured only\n", series);
}

static int setup(void **unused)
{
	return rig_up(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(verifier_cost) };
	const char *obstacle = rig_obstacle();

	if (obstacle) {
		print_message("skipped: %s\n", obstacle);
		return 0;
	}
	return cmocka_run_group_tests_name("verifier cost", tests, setup, NULL);
}
