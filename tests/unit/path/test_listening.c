// SPDX-License-Identifier: Apache-2.0
/*
 * Workers' lists of listeners against the path's: added and dropped in any order, taken up late, by several workers; who holds a
 * listener keeps its descriptor open, the last one closes it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "path/listening.h"
#include "path/worker.h"

#define WORKERS 2
#define MOST 40

static struct worker workers[WORKERS];
static struct listenings all;

static int setup(void **unused)
{
	listenings_init(&all);
	for (int i = 0; i < WORKERS; i++) {
		memset(&workers[i], 0, sizeof(workers[i]));
		list_init(&workers[i].listens);
		assert_int_equal(loop_new(&workers[i].loop), 0);
	}
	return 0;
}

static int teardown(void **unused)
{
	for (int i = 0; i < WORKERS; i++) {
		listening_free_all(&workers[i]);
		loop_free(workers[i].loop);
	}
	listenings_done(&all);
	return 0;
}

static int make_listener(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && listen(fd, 1) == 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static size_t length(const struct list *l)
{
	size_t n = 0;

	list_for_each(pos, l)
		n++;
	return n;
}

static void expect_equal(struct worker *w)
{
	struct list *mine = w->listens.next;

	assert_int_equal(length(&w->listens), length(&all.all));
	list_for_each(pos, &all.all) {
		assert_ptr_equal(list_entry(mine, struct worker_listen, link)->on, list_entry(pos, struct listening, link));
		mine = mine->next;
	}
}

static void any_order(void **unused)
{
	struct listening *have[MOST];
	unsigned seed = 20261124;
	size_t n = 0;

	printf("seed %u\n", seed);
	for (int step = 0; step < 3000; step++) {
		unsigned r = (unsigned)rand_r(&seed);

		if (r % 5 < 2 && n < MOST) {
			have[n] = listenings_add(&all, make_listener(), r);
			assert_non_null(have[n++]);
		} else if (r % 5 < 4 && n > 0) {
			size_t i = r / 5 % n;

			listenings_drop(&all, have[i]);
			have[i] = have[--n];
		} else {
			/* Some are more often awake than others. */
			struct worker *w = &workers[r / 5 % 7 == 0];

			assert_int_equal(listening_sync(w, &all), 0);
			expect_equal(w);
		}
	}
	for (int i = 0; i < WORKERS; i++) {
		assert_int_equal(listening_sync(&workers[i], &all), 0);
		expect_equal(&workers[i]);
	}
}

static void the_last_one_closes(void **unused)
{
	int fd = make_listener();
	struct listening *one = listenings_add(&all, fd, 1);

	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(listening_sync(&workers[i], &all), 0);
	listenings_drop(&all, one);
	assert_true(is_open(fd));
	assert_int_equal(listening_sync(&workers[0], &all), 0);
	assert_true(is_open(fd));
	assert_int_equal(listening_sync(&workers[1], &all), 0);
	assert_false(is_open(fd));
	listenings_drop(&all, NULL);

	/* One that no worker ever heard of. */
	fd = make_listener();
	listenings_drop(&all, listenings_add(&all, fd, 2));
	assert_false(is_open(fd));
	assert_int_equal(listening_sync(&workers[0], &all), 0);
	expect_equal(&workers[0]);
}

/* A worker cannot take it up: it keeps what it has, and tries again. */
static void one_that_cannot_be_taken_up(void **unused)
{
	int file = open("/dev/zero", O_RDONLY | O_CLOEXEC), good = make_listener();
	struct listening *first = listenings_add(&all, good, 1);

	assert_int_equal(listening_sync(&workers[0], &all), 0);
	struct listening *bad = listenings_add(&all, file, 2), *after = listenings_add(&all, make_listener(), 3);

	if (listening_sync(&workers[0], &all) == 0) {
		print_message("skipped: this kernel polls everything\n");
		return;
	}
	assert_int_equal(length(&workers[0].listens), 1);
	assert_true(listening_sync(&workers[0], &all) < 0);
	listenings_drop(&all, bad);
	assert_int_equal(listening_sync(&workers[0], &all), 0);
	expect_equal(&workers[0]);
	listenings_drop(&all, first);
	listenings_drop(&all, after);
	assert_int_equal(listening_sync(&workers[0], &all), 0);
	assert_int_equal(length(&workers[0].listens), 0);
}

static void deaf_and_hearing(void **unused)
{
	(void)listenings_add(&all, make_listener(), 1);
	assert_int_equal(listening_sync(&workers[0], &all), 0);
	listening_want(&workers[0], false);
	(void)listenings_add(&all, make_listener(), 1);
	assert_int_equal(listening_sync(&workers[0], &all), 0);
	assert_true(workers[0].is_deaf);
	listening_want(&workers[0], true);
	assert_false(workers[0].is_deaf);
	expect_equal(&workers[0]);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(any_order), TEST(the_last_one_closes), TEST(one_that_cannot_be_taken_up), TEST(deaf_and_hearing) };

	return cmocka_run_group_tests_name("listening", tests, NULL, NULL);
}
