// SPDX-License-Identifier: Apache-2.0
/* test_trust.c: published certificates, capability names, and tables. */
#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/cmd/jail.h"
#include "ctl/cmd/table.h"
#include "ctl/trust.h"

static char top[64], dir[96], root[96], bundle[96];

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	(void)fputs(text, f);
	(void)fclose(f);
}

static int set_up(void **state)
{
	(void)snprintf(top, sizeof(top), "/tmp/purse-test-XXXXXX");
	assert_non_null(mkdtemp(top));
	(void)snprintf(dir, sizeof(dir), "%s/trust", top);
	(void)snprintf(root, sizeof(root), "%s/r", top);
	(void)snprintf(bundle, sizeof(bundle), "%s/b", top);
	put(root, "ROOT");
	put(bundle, "BUNDLE");
	return 0;
}

static int tear_down(void **state)
{
	char cmd[128];

	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", top);
	return system(cmd);
}

static void is_file(const char *name, const char *text)
{
	char path[160], mem[64] = "";
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_non_null(fgets(mem, sizeof(mem), f));
	(void)fclose(f);
	assert_string_equal(mem, text);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
}

static void publishes(void **state)
{
	struct err e = { "" };
	struct stat st;
	mode_t old = umask(077);

	assert_int_equal(trust_publish(dir, root, bundle, &e), 0);
	is_file(TRUST_ROOT, "ROOT");
	is_file(TRUST_BUNDLE, "BUNDLE");
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0755);
	/* Anew, over a leftover of one that was killed. */
	char left[160];

	(void)snprintf(left, sizeof(left), "%s/.root.pem.new", dir);
	put(left, "half");
	put(root, "ROOT2");
	assert_int_equal(trust_publish(dir, root, bundle, &e), 0);
	is_file(TRUST_ROOT, "ROOT2");
	assert_true(trust_publish(dir, "/nonexistent", bundle, &e) < 0);
	is_file(TRUST_ROOT, "ROOT2");
	(void)umask(old);
}

static void refuses_what_others_can_write(void **state)
{
	struct err e = { "" };

	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(trust_publish(dir, root, bundle, &e), -EPERM);
	assert_non_null(strstr(e.text, "remove it"));
	assert_int_equal(chmod(dir, 0755), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(dir, 12345, 0), 0);
		assert_int_equal(trust_publish(dir, root, bundle, &e), -EPERM);
		assert_int_equal(chown(dir, 0, 0), 0);
	}
	/* A link to somewhere else. */
	char link[160];

	(void)snprintf(link, sizeof(link), "%s/link", top);
	assert_int_equal(symlink("/tmp", link), 0);
	assert_true(trust_publish(link, root, bundle, &e) < 0);
}

static void variables(void **state)
{
	size_t n = 0, alone = 0;

	for (; trust_var_at(n); n++)
		alone += trust_var_at(n)->root_alone;
	assert_int_equal(n, 8);
	assert_int_equal(alone, 1);
}

static void capability_names(void **state)
{
	struct err e = { "" };
	uint64_t bits = 0;

	assert_int_equal(jail_keep_caps("CAP_NET_RAW", &bits, &e), 0);
	assert_true(bits == UINT64_C(1) << CAP_NET_RAW);
	assert_int_equal(jail_keep_caps("net_admin,cap_bpf", &bits, &e), 0);
	assert_true(bits == (UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << 39));
	assert_int_equal(jail_keep_caps("CAP_CHOWN", &bits, &e), -EINVAL);
	assert_non_null(strstr(e.text, "\"CAP_CHOWN\" is not one of those that are dropped"));
	assert_int_equal(jail_keep_caps("CAP_", &bits, &e), -EINVAL);
	assert_int_equal(jail_keep_caps(",", &bits, &e), -EINVAL);
}

static void tables(void **state)
{
	static const char *const heads[] = { "A", "BB" };
	char *mem = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&mem, &size);
	struct table t;

	table_init(&t, heads, 2, 2);
	table_cell(&t, "long one");
	table_cellf(&t, "%d", 7);
	table_cell(&t, "\xc3\xa4\x1b[31m");
	table_cell(&t, NULL);
	assert_int_equal(table_rows(&t), 2);
	table_print(&t, f);
	(void)fclose(f);
	assert_string_equal(mem, "A         BB\nlong one   7\n\xc3\xa4?[31m     -\n");
	free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(publishes),        cmocka_unit_test(refuses_what_others_can_write),
		cmocka_unit_test(variables),        cmocka_unit_test(capability_names),
		cmocka_unit_test(tables),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
