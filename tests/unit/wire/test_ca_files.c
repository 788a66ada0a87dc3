// SPDX-License-Identifier: Apache-2.0
/*
 * test_ca_files.c: the CA on disk: modes, found again or made anew, and refused with words when something is wrong.
 */
#include "ca_place.h"

#include <stdatomic.h>

/* ---- on disk */

static void test_files_and_modes(void **state)
{
	struct place p;
	bool is_new;
	size_t n;

	(void)state;
	place_make(&p);
	mode_t before = umask(0);
	struct ca *ca = must_open(&p, USUAL, &is_new);
	umask(before);
	assert_true(is_new);
	assert_int_equal(mode_of(p.dir), 0700);
	assert_int_equal(mode_of(in(&p, "issuer.key")), 0600);
	assert_int_equal(mode_of(in(&p, "root.pem")), 0644);
	assert_string_equal(ca_root_path(ca), in(&p, "root.pem"));
	assert_string_equal(ca_bundle_path(ca), in(&p, "bundle.pem"));

	/* Only these, and only one private key among them: the root's was never written. */
	DIR *d = opendir(p.dir);
	int files = 0, keys = 0;
	for (const struct dirent *f; (f = readdir(d));) {
		if (f->d_name[0] == '.')
			continue;
		files++;
		char *text = slurp(in(&p, f->d_name), &n);
		for (const char *at = text; (at = strstr(at, "PRIVATE KEY-----\n")); at++)
			keys++;
		free(text);
	}
	closedir(d);
	assert_int_equal(files, 4);
	assert_int_equal(keys, 2); /* one BEGIN line and one END line */

	/* The bundle holds ours and what the system has. */
	char *root = slurp(ca_root_path(ca), &n), *bundle = slurp(ca_bundle_path(ca), &n);
	assert_non_null(strstr(bundle, root));
	if (!access("/etc/ssl/certs/ca-certificates.crt", R_OK))
		assert_true(n > 100000);
	free(root);
	free(bundle);

	char fingerprint[65];
	int64_t end;
	ca_describe(ca, fingerprint, sizeof(fingerprint), &end);
	assert_int_equal(strlen(fingerprint), 64);
	assert_in_range(end, time(NULL) + 364 * DAY, time(NULL) + 366 * DAY);
	ca_close(ca);
	place_free(&p);
}

static void test_a_strict_umask_does_not_matter(void **state)
{
	struct place p;
	bool is_new;

	(void)state;
	place_make(&p);
	mode_t before = umask(077);
	struct ca *ca = must_open(&p, USUAL, &is_new);
	umask(before);
	assert_int_equal(mode_of(in(&p, "bundle.pem")), 0644);
	ca_close(ca);
	place_free(&p);
}

static void fingerprint_of(const struct place *p, const char *const *names, size_t n, bool expect_new, char ret[65])
{
	bool is_new;
	int64_t end;
	struct ca *ca = must_open(p, names, n, &is_new);

	assert_int_equal(is_new, expect_new);
	ca_describe(ca, ret, 65, &end);
	ca_close(ca);
}

static void test_found_again_or_made_anew(void **state)
{
	static const char *const other_order[] = { ".azure.example.com", "api.anthropic.com", "api.openai.com",
						   "api.openai.com" };
	static const char *const more[] = { "api.openai.com", "api.anthropic.com", ".azure.example.com", "llm.example.org" };
	static const char *const fewer[] = { "api.openai.com" };
	struct place p;
	char first[65], now[65];

	(void)state;
	place_make(&p);
	fingerprint_of(&p, USUAL, true, first);
	for (int i = 0; i < 3; i++) {
		fingerprint_of(&p, USUAL, false, now);
		assert_string_equal(first, now);
	}
	fingerprint_of(&p, other_order, 4, false, now); /* a set */
	assert_string_equal(first, now);
	fingerprint_of(&p, more, 4, true, now);
	assert_string_not_equal(first, now);
	fingerprint_of(&p, fewer, 1, true, first);
	assert_string_not_equal(first, now);

	/* 30 days before its end it is renewed, not earlier. */
	int64_t made = time(NULL);
	clock_s = made + 334 * DAY;
	fingerprint_of(&p, fewer, 1, false, now);
	assert_string_equal(first, now);
	clock_s = made + 336 * DAY;
	fingerprint_of(&p, fewer, 1, true, now);
	assert_string_not_equal(first, now);
	fingerprint_of(&p, fewer, 1, false, first);
	assert_string_equal(first, now);
	place_free(&p);
}

/* Made while the clock was wrong, in the future or long ago: of no use to anybody, so it is made again. */
static void test_made_with_a_wrong_clock(void **state)
{
	static const int64_t wrong_by[] = { 400 * DAY, 2 * DAY, 3600 + 60, -400 * DAY };
	struct place p;
	char first[65], now[65];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong_by) / sizeof(wrong_by[0]); i++) {
		place_make(&p);
		clock_s = time(NULL) + wrong_by[i];
		fingerprint_of(&p, USUAL, true, first);
		clock_s = 0;
		fingerprint_of(&p, USUAL, true, now);
		assert_string_not_equal(first, now);
		fingerprint_of(&p, USUAL, false, first);
		assert_string_equal(first, now);
		place_free(&p);
	}
	/* Backdating covers less than an hour. */
	place_make(&p);
	clock_s = time(NULL) + 3000;
	fingerprint_of(&p, USUAL, true, first);
	clock_s = 0;
	fingerprint_of(&p, USUAL, false, now);
	assert_string_equal(first, now);
	place_free(&p);
}

/* A crash between two renames leaves files that do not fit; the next start makes them anew by itself. */
static void test_crash_while_it_was_written(void **state)
{
	struct place p, q;
	char first[65], now[65];
	size_t n;

	(void)state;
	place_make(&p);
	place_make(&q);
	fingerprint_of(&p, USUAL, true, first);
	fingerprint_of(&q, USUAL, true, now);
	char *key = slurp(in(&q, "issuer.key"), &n);
	spit(in(&p, "issuer.key"), key, n);
	spit(in(&p, "unfinished"), "", 0);
	fingerprint_of(&p, USUAL, true, now);
	assert_string_not_equal(first, now);
	assert_int_not_equal(access(in(&p, "unfinished"), F_OK), 0);
	fingerprint_of(&p, USUAL, false, first);
	/* A temporary file that was left behind is in nobody's way. */
	spit(in(&p, "bundle.pem.new"), "half", 4);
	fingerprint_of(&p, USUAL, false, first);
	free(key);
	place_free(&p);
	place_free(&q);
}

static void test_missing_bundle_is_written_again(void **state)
{
	struct place p;
	char first[65], now[65];

	(void)state;
	place_make(&p);
	fingerprint_of(&p, USUAL, true, first);
	assert_int_equal(unlink(in(&p, "bundle.pem")), 0);
	fingerprint_of(&p, USUAL, false, now);
	assert_string_equal(first, now);
	assert_int_equal(access(in(&p, "bundle.pem"), R_OK), 0);
	place_free(&p);
}

static void test_damage_is_named(void **state)
{
	static const char *const files[] = { "issuer.key", "issuer.pem", "root.pem" };

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct place p;
		char was[65];
		size_t n;
		place_make(&p);
		fingerprint_of(&p, USUAL, true, was);
		char *good = slurp(in(&p, files[i]), &n);
		char *bad = malloc(n);
		/* cut off, overwritten, empty, gone */
		spit(in(&p, files[i]), good, n / 2);
		must_fail(&p, -EBADMSG, files[i]);
		memset(bad, 'x', n);
		spit(in(&p, files[i]), bad, n);
		must_fail(&p, -EBADMSG, files[i]);
		spit(in(&p, files[i]), "", 0);
		must_fail(&p, -EBADMSG, "to let purse make a new CA");
		assert_int_equal(unlink(in(&p, files[i])), 0);
		must_fail(&p, -ENOENT, files[i]);
		must_fail(&p, -ENOENT, "to let purse make a new CA");
		free(good);
		free(bad);
		place_free(&p);
	}
}

static void test_files_that_do_not_belong_together(void **state)
{
	static const char *const files[] = { "issuer.key", "issuer.pem", "root.pem" };

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct place p, q;
		char was[65];
		size_t n;
		place_make(&p);
		place_make(&q);
		fingerprint_of(&p, USUAL, true, was);
		fingerprint_of(&q, USUAL, true, was);
		char *foreign = slurp(in(&q, files[i]), &n);
		spit(in(&p, files[i]), foreign, n);
		must_fail(&p, -EBADMSG, "do not belong together");
		free(foreign);
		place_free(&p);
		place_free(&q);
	}
}

static void test_others_must_not_reach_the_key(void **state)
{
	struct place p;
	char was[65];

	(void)state;
	place_make(&p);
	fingerprint_of(&p, USUAL, true, was);

	for (mode_t bad = 01; bad <= 040; bad <<= 1) {
		assert_int_equal(chmod(in(&p, "issuer.key"), 0600 | bad), 0);
		must_fail(&p, -EPERM, "issuer.key is a key and has mode");
	}
	assert_int_equal(chmod(in(&p, "issuer.key"), 0600), 0);
	for (mode_t bad = 01; bad <= 040; bad <<= 1) {
		assert_int_equal(chmod(p.dir, 0700 | bad), 0);
		must_fail(&p, -EPERM, "so others can look into it");
	}
	assert_int_equal(chmod(p.dir, 0700), 0);

	if (geteuid() == 0) {
		assert_int_equal(chown(in(&p, "issuer.key"), 12345, 12345), 0);
		must_fail(&p, -EPERM, "belongs to uid 12345");
		assert_int_equal(chown(in(&p, "issuer.key"), 0, 0), 0);
		assert_int_equal(chown(p.dir, 12345, 12345), 0);
		must_fail(&p, -EPERM, "belongs to uid 12345");
		assert_int_equal(chown(p.dir, 0, 0), 0);
	}

	/* A link in the place of the key, and of the directory. */
	assert_int_equal(rename(in(&p, "issuer.key"), in(&p, "elsewhere")), 0);
	assert_int_equal(symlink("elsewhere", in(&p, "issuer.key")), 0);
	must_fail(&p, -ELOOP, "issuer.key");
	assert_int_equal(unlink(in(&p, "issuer.key")), 0);
	assert_int_equal(mkfifo(in(&p, "issuer.key"), 0600), 0);
	must_fail(&p, -EBADMSG, "plain file");
	assert_int_equal(unlink(in(&p, "issuer.key")), 0);
	assert_int_equal(rename(in(&p, "elsewhere"), in(&p, "issuer.key")), 0);
	fingerprint_of(&p, USUAL, false, was);

	char moved[160];
	snprintf(moved, sizeof(moved), "%s/moved", p.top);
	assert_int_equal(rename(p.dir, moved), 0);
	assert_int_equal(symlink("moved", p.dir), 0);
	must_fail(&p, -ENOTDIR, "not a link to one");
	assert_int_equal(unlink(p.dir), 0);
	assert_int_equal(rename(moved, p.dir), 0);
	place_free(&p);
}

static void test_a_link_is_not_written_through(void **state)
{
	struct place p;
	char victim[160];
	size_t n;

	(void)state;
	place_make(&p);
	snprintf(victim, sizeof(victim), "%s/victim", p.top);
	spit(victim, "precious", 8);
	assert_int_equal(mkdir(p.dir, 0700), 0);
	assert_int_equal(symlink(victim, in(&p, "bundle.pem.new")), 0);
	assert_int_equal(symlink(victim, in(&p, "bundle.pem")), 0);
	char was[65];
	fingerprint_of(&p, USUAL, true, was);
	char *text = slurp(victim, &n);
	assert_int_equal(n, 8);
	assert_string_equal(text, "precious");
	free(text);
	place_free(&p);
}

static void test_no_place(void **state)
{
	struct place p;

	(void)state;
	place_make(&p);
	snprintf(p.dir, sizeof(p.dir), "%s/missing/ca", p.top);
	must_fail(&p, -ENOENT, "cannot make the directory");
	snprintf(p.dir, sizeof(p.dir), "%s/file", p.top);
	spit(p.dir, "", 0);
	must_fail(&p, -ENOTDIR, "has to be a directory");
	place_free(&p);
}

static void *open_it(void *arg)
{
	const struct place *p = arg;
	struct ca *ca = NULL;
	bool is_new = false;
	struct err e = { 0 };
	static _Atomic int made;

	if (ca_open_at(test_clock, p->dir, USUAL, &ca, &is_new, &e))
		return (void *)-1L;
	atomic_fetch_add(&made, is_new);
	ca_close(ca);
	return (void *)(long)atomic_load(&made);
}

/* Several daemons that start at once make one CA. */
static void test_openers_at_the_same_time(void **state)
{
	struct place p;
	pthread_t t[4];
	void *made;

	(void)state;
	place_make(&p);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, open_it, &p), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(t[i], &made), 0);
		assert_int_equal((long)made, 1);
	}
	place_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_and_modes),
		cmocka_unit_test(test_a_strict_umask_does_not_matter),
		cmocka_unit_test(test_found_again_or_made_anew),
		cmocka_unit_test(test_made_with_a_wrong_clock),
		cmocka_unit_test(test_crash_while_it_was_written),
		cmocka_unit_test(test_missing_bundle_is_written_again),
		cmocka_unit_test(test_damage_is_named),
		cmocka_unit_test(test_files_that_do_not_belong_together),
		cmocka_unit_test(test_others_must_not_reach_the_key),
		cmocka_unit_test(test_a_link_is_not_written_through),
		cmocka_unit_test(test_no_place),
		cmocka_unit_test(test_openers_at_the_same_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
