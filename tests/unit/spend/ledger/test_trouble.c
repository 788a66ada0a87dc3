// SPDX-License-Identifier: Apache-2.0
/* Every way the ledger's file can be in trouble: not ours, broken, held, no room, gone, and the writer killed at any time. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "ledger_test.h"

/* ---- files */

static void files_and_folders_are_closed_to_others(void **state)
{
	struct place p = { .dir = scratch_new(), .seen = calloc(1, sizeof(struct seen)) };
	struct stat st;
	static const char *const ends[] = { "", "-wal", "-shm" };

	(void)umask(0);
	(void)snprintf(p.path, sizeof(p.path), "%s/a/b/ledger.db", p.dir);
	place_open(&p);
	put(&p, 1, "a", 10, T0);
	assert_true(wait_for(&p.seen->n, 1, 5));
	for (int i = 0; i < 3; i++) {
		char file[160];

		(void)snprintf(file, sizeof(file), "%s%s", p.path, ends[i]);
		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	char folder[160];

	(void)snprintf(folder, sizeof(folder), "%s/a/b", p.dir);
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(ledger_close(p.l), 0);
	assert_int_equal(chmod(p.path, 0644), 0);
	place_open(&p);
	assert_int_equal(stat(p.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	(void)umask(022);
	place_done(&p);
}

static void fails_to_open(const char *path, int want, const char *says)
{
	struct ledger *l = NULL;
	struct err e = { "" };
	int r = ledger_open(path, NULL, NULL, &l, &e);

	if (r == 0)
		fail_msg("opened; wanted \"%s\"", says);
	if (want)
		assert_int_equal(r, want);
	if (!strstr(e.text, says) || !strstr(e.text, path))
		fail_msg("wanted \"%s\" in: %s", says, e.text);
}

static void strange_files_are_refused(void **state)
{
	struct place p;
	char link[160];

	place_init(&p);
	assert_int_equal(ledger_close(p.l), 0);
	assert_int_equal(sql(p.path, "PRAGMA user_version = 3"), SQLITE_OK);
	fails_to_open(p.path, -EPROTO, "made by a newer purse");
	assert_int_equal(sql(p.path, "PRAGMA user_version = 2; PRAGMA application_id = 5"), SQLITE_OK);
	fails_to_open(p.path, -EINVAL, "another program");
	(void)snprintf(link, sizeof(link), "%s/link.db", p.dir);
	assert_int_equal(symlink(p.path, link), 0);
	fails_to_open(link, -EINVAL, "not a regular file");
	assert_int_equal(unlink(link), 0);
	assert_int_equal(mkdir(link, 0700), 0);
	fails_to_open(link, -EINVAL, "not a regular file");
	assert_int_equal(rmdir(link), 0);
	FILE *f = fopen(link, "w");

	assert_true(fputs("this is no database, but long enough to look like a page header, is it not? It goes on and on.", f) > 0);
	(void)fclose(f);
	fails_to_open(link, -EUCLEAN, "is damaged");
	struct err e = { "" };

	assert_true(ledger_open("/proc/nonexistent/x/ledger.db", NULL, NULL, &p.l, &e) < 0);
	assert_non_null(strstr(e.text, "/proc/nonexistent cannot be made"));
	scratch_free(p.dir);
	free(p.seen);
}

/* Some bytes at a time are turned over: the open says so, or the check does, or nothing that counts was hit. Never a crash. */
static void flipped_bits(void **state)
{
	struct place p;
	struct stat st;
	int refused = 0, found = 0, unseen = 0;

	place_init(&p);
	for (uint32_t i = 1; i <= 300; i++)
		put(&p, i, i % 3 ? "a" : "b", i, T0 + i * 60);
	assert_true(wait_for(&p.seen->n, 300, 5));
	assert_int_equal(ledger_close(p.l), 0); /* the log is copied back into the file */
	assert_int_equal(stat(p.path, &st), 0);
	unsigned char *good = malloc((size_t)st.st_size), *bad = malloc((size_t)st.st_size);
	FILE *f = fopen(p.path, "r");

	assert_int_equal(fread(good, 1, (size_t)st.st_size, f), st.st_size);
	(void)fclose(f);
	for (off_t at = 0; at < st.st_size; at += at < 200 ? 7 : 997) {
		struct err e = { "" };

		memcpy(bad, good, (size_t)st.st_size);
		for (off_t k = at; k < at + 16 && k < st.st_size; k++)
			bad[k] ^= 0xff;
		f = fopen(p.path, "w");
		assert_int_equal(fwrite(bad, 1, (size_t)st.st_size, f), st.st_size);
		(void)fclose(f);
		int r = ledger_open(p.path, NULL, NULL, &p.l, &e);

		if (r < 0) {
			refused++;
			assert_non_null(strstr(e.text, p.path));
			continue;
		}
		r = ledger_check(p.l, &e);
		found += r < 0;
		unseen += r == 0;
		assert_true(r == 0 || e.text[0]);
		(void)ledger_close(p.l);
		char side[160];

		(void)snprintf(side, sizeof(side), "%s-wal", p.path);
		(void)unlink(side);
		(void)snprintf(side, sizeof(side), "%s-shm", p.path);
		(void)unlink(side);
	}
	print_message("refused at open %d, found by the check %d, in places that hold nothing %d\n", refused, found, unseen);
	assert_true(refused > 0);
	free(good);
	free(bad);
	scratch_free(p.dir);
	free(p.seen);
}

/* ---- trouble while running */

static void a_held_lock_closes_and_opens_again(void **state)
{
	struct place p;
	sqlite3 *other;

	place_init(&p);
	put(&p, 1, "a", 1, T0);
	assert_true(wait_for(&p.seen->n, 1, 5));
	assert_int_equal(sqlite3_open(p.path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	put(&p, 2, "a", 2, T0);
	assert_true(wait_for(&p.seen->unhealthy, 1, 8));
	assert_false(ledger_is_healthy(p.l));
	assert_non_null(strstr(p.seen->why, "lock"));
	assert_int_equal(ledger_queued(p.l), 1);
	assert_int_equal(p.seen->n, 1);
	assert_int_equal(ledger_change(p.l, "w", "x", T0), -EIO); /* somebody waits: told, not kept */
	put(&p, 3, "a", 4, T0);
	assert_int_equal(spent(&p, "a", 0), 1); /* reading goes on */
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(other);
	assert_true(wait_for(&p.seen->healthy, 1, 8));
	assert_true(wait_for(&p.seen->n, 3, 8));
	assert_true(ledger_is_healthy(p.l));
	assert_int_equal(spent(&p, "a", 0), 7);
	assert_int_equal(p.seen->unhealthy, 1); /* once per change, not once per attempt */
	assert_int_equal(p.seen->healthy, 1);
	struct rows got = { .n = 0 };

	assert_int_equal(ledger_read(p.l, &(struct ledger_query){ .changes = true }, collect, &got, NULL), 0);
	assert_int_equal(got.n, 0);
	is_clean(&p);
	place_done(&p);
}

static void closing_gives_up_after_five_seconds(void **state)
{
	struct place p;
	sqlite3 *other;

	place_init(&p);
	assert_int_equal(sqlite3_open(p.path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	put(&p, 1, "a", 1, T0);
	time_t begin = time(NULL);

	assert_int_equal(ledger_close(p.l), -EIO);
	assert_true(time(NULL) - begin <= 9);
	(void)sqlite3_close(other);
	place_open(&p);
	assert_int_equal(spent(&p, "a", 0), 0); /* its slot is still CHARGED: the next start writes it */
	place_done(&p);
}

static void refusals_are_bounded(void **state)
{
	struct place p;
	sqlite3 *other;

	place_init(&p);
	assert_int_equal(sqlite3_open(p.path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	for (int i = 0; i < 10000; i++)
		ledger_refusal(p.l, "a", "p", "m", &(struct refusal){ .reason = REFUSAL_BUDGET }, T0 * S + i);
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(other);
	assert_int_equal(ledger_close(p.l), 0);
	place_open(&p);
	struct rows got = { .n = 0 };

	assert_int_equal(ledger_read(p.l, &(struct ledger_query){ .refusals = true, .limit = 20000 }, collect, &got, NULL), 0);
	assert_int_equal(got.n, 4096);
	place_done(&p);
}

/* In a child with its own mounts: 0 fine, 77 not allowed here. */
static int disk_full_child(void)
{
	char dir[] = "/tmp/purse-full-XXXXXX", filler[64];
	struct place p = { .dir = dir, .seen = calloc(1, sizeof(struct seen)) };

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || !mkdtemp(dir))
		return 77;
	if (mount("none", dir, "tmpfs", 0, "size=1m") < 0) {
		(void)rmdir(dir);
		return 77;
	}
	(void)snprintf(p.path, sizeof(p.path), "%s/ledger.db", dir);
	place_open(&p);
	put(&p, 1, "a", 1, T0);
	assert_true(wait_for(&p.seen->n, 1, 5));
	(void)snprintf(filler, sizeof(filler), "%s/filler", dir);
	int fd = open(filler, O_CREAT | O_WRONLY, 0600);
	char zeros[4096] = { 0 };

	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	for (uint32_t i = 2; i <= 200; i++)
		put(&p, i, "a", 1, T0);
	assert_true(wait_for(&p.seen->unhealthy, 1, 10));
	assert_false(ledger_is_healthy(p.l));
	assert_non_null(strstr(p.seen->why, "disk is full"));
	assert_true(ledger_queued(p.l) > 0);
	(void)usleep(1500000); /* an attempt in between fails again */
	assert_int_equal(p.seen->unhealthy, 1);
	(void)close(fd);
	assert_int_equal(unlink(filler), 0);
	assert_true(wait_for(&p.seen->n, 200, 10));
	assert_true(ledger_is_healthy(p.l));
	assert_int_equal(p.seen->healthy, 1);
	assert_int_equal(spent(&p, "a", 0), 200);
	is_clean(&p);
	assert_int_equal(ledger_close(p.l), 0);
	(void)umount2(dir, MNT_DETACH);
	(void)rmdir(dir);
	free(p.seen);
	return 0;
}

static void a_full_disk_closes_and_opens_again(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(disk_full_child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("no mounts allowed here\n");
		skip();
	}
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_file_that_vanished_is_not_made_anew(void **state)
{
	struct place p;
	sqlite3 *other;

	place_init(&p);
	assert_int_equal(sqlite3_open(p.path, &other), SQLITE_OK);
	struct ledger_db *db = NULL;
	struct err e = { "" };
	char gone[160];

	(void)snprintf(gone, sizeof(gone), "%s/gone.db", p.dir);
	assert_true(db_open(gone, DB_WRITE, DB_CHECK_HEADER, &db, &e) < 0);
	assert_int_not_equal(access(gone, F_OK), 0);
	FILE *f = fopen(gone, "w"); /* emptied */

	(void)fclose(f);
	assert_int_equal(db_open(gone, DB_WRITE, DB_CHECK_HEADER, &db, &e), -EUCLEAN);
	(void)sqlite3_close(other);
	place_done(&p);
}

/* ---- kill -9 */

/* Writes without end; counts in shared memory what it was told is durable. */
static void writing_child(const char *path, struct seen *shared, uint64_t first)
{
	struct ledger *l;

	if (ledger_open(path, &calls, shared, &l, NULL) < 0)
		_exit(1);
	for (uint64_t id = first;; id++) {
		struct ledger_call c = call_of(id, id % 2 ? "a" : "b", (nanousd)id, T0 + (int64_t)id);

		while (ledger_queued(l) > 500)
			(void)usleep(100);
		ledger_call(l, &c);
	}
}

static void killed_at_any_time_nothing_durable_is_lost(void **state)
{
	struct place p;
	unsigned rnd = 4711;
	uint64_t first = 1;

	print_message("seed %u\n", rnd);
	place_init(&p);
	assert_int_equal(ledger_close(p.l), 0);
	struct seen *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(shared, MAP_FAILED);
	for (int round = 0; round < 40; round++) {
		int status;
		pid_t pid;

		memset(shared, 0, sizeof(*shared));
		pid = fork();
		if (pid == 0)
			writing_child(p.path, shared, first);
		(void)usleep(5000 + rand_r(&rnd) % 40000);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		place_open(&p);
		for (uint32_t i = 0; i < atomic_load(&shared->n); i++)
			assert_int_equal(ledger_has_call(p.l, shared->slots[i], NULL), 1);
		is_clean(&p);
		/* All rows up to the last, no holes: rows go in in order. */
		uint64_t last;
		int64_t newest_ns;

		assert_int_equal(ledger_newest(p.l, &last, &newest_ns, NULL), 0);
		assert_int_equal(spent(&p, "a", 0) + spent(&p, "b", 0), (nanousd)(last * (last + 1) / 2));
		first = last + 1;
		assert_int_equal(ledger_close(p.l), 0);
	}
	print_message("%llu rows written by 40 killed writers\n", (unsigned long long)(first - 1));
	assert_true(first > 1000);
	(void)munmap(shared, sizeof(*shared));
	place_open(&p);
	place_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_and_folders_are_closed_to_others),
		cmocka_unit_test(strange_files_are_refused),
		cmocka_unit_test(flipped_bits),
		cmocka_unit_test(a_held_lock_closes_and_opens_again),
		cmocka_unit_test(closing_gives_up_after_five_seconds),
		cmocka_unit_test(refusals_are_bounded),
		cmocka_unit_test(a_full_disk_closes_and_opens_again),
		cmocka_unit_test(a_file_that_vanished_is_not_made_anew),
		cmocka_unit_test(killed_at_any_time_nothing_durable_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
