// SPDX-License-Identifier: Apache-2.0
/* test_log.c: form of a line, levels, escapes, the rate limit, threads. Reads stderr through a pipe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

static int saved = -1, reading = -1;

static void capture(void)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_true(fcntl(fds[0], F_SETPIPE_SZ, 1 << 20) > 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	saved = dup(STDERR_FILENO);
	assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
	(void)close(fds[1]);
	reading = fds[0];
}

/* What was logged since capture(). */
static char *captured(void)
{
	size_t cap = 1 << 20;
	char *text = calloc(1, cap);
	ssize_t n, len = 0;

	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	(void)close(saved);
	while ((n = read(reading, text + len, cap - 1 - (size_t)len)) > 0)
		len += n;
	(void)close(reading);
	return text;
}

/* The limit counts by the second: begin in a fresh one, so that cases do not meet. */
static void next_second(void)
{
	struct timespec now, rest = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	rest.tv_nsec = 999999999 - now.tv_nsec + 1;
	if (rest.tv_nsec > 999999999)
		rest.tv_nsec = 999999999;
	(void)nanosleep(&rest, NULL);
}

static unsigned count_lines(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void has_time_level_subject_text(void **state)
{
	int y, mo, d, h, mi, s, ms, n = 0;
	char *text;

	capture();
	log_warn("agent bot", "spent %d of %s", 3, "$5");
	text = captured();
	assert_int_equal(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %n", &y, &mo, &d, &h, &mi, &s, &ms, &n), 7);
	assert_int_equal(n, 25);
	assert_string_equal(text + n, "WARN  agent bot: spent 3 of $5\n");
	free(text);
}

static void levels_below_the_least_are_silent(void **state)
{
	char *text;

	capture();
	log_set_level(LOG_LEVEL_WARN);
	log_debug("x", "one");
	log_info("x", "two");
	log_warn("x", "three");
	log_error("x", "four");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("x", "five");
	log_set_level(LOG_LEVEL_INFO);
	text = captured();
	assert_int_equal(count_lines(text), 3);
	assert_null(strstr(text, "one"));
	assert_null(strstr(text, "two"));
	assert_non_null(strstr(text, " WARN  x: three\n"));
	assert_non_null(strstr(text, " ERROR x: four\n"));
	assert_non_null(strstr(text, " DEBUG x: five\n"));
	free(text);
}

static void control_characters_are_escaped(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "a\nb", "a\\x0ab" },
		{ "\x1b[31mred", "\\x1b[31mred" },
		{ "tab\there", "tab\\x09here" },
		{ "del\x7f", "del\\x7f" },
		{ "csi\xc2\x9bm", "csi\\xc2\\x9bm" },
		{ "größe 你好", "größe 你好" },
		{ "cut\xc2", "cut\xc2" },
		{ "", "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char want[128];
		char *text;

		capture();
		log_info(cases[i].in, "%s", cases[i].in);
		text = captured();
		(void)snprintf(want, sizeof(want), "INFO  %s: %s\n", cases[i].out, cases[i].out);
		assert_non_null(strstr(text, want));
		assert_int_equal(count_lines(text), 1);
		free(text);
	}
}

static void long_text_is_cut_and_says_so(void **state)
{
	char *big = malloc(100001), *text;

	/* The worst: every byte becomes four. */
	memset(big, '\x01', 100000);
	big[100000] = '\0';
	capture();
	log_info(big, "%s", big);
	text = captured();
	free(big);
	assert_int_equal(count_lines(text), 1);
	assert_non_null(strstr(text, " [cut]\n"));
	assert_true(strlen(text) < 10000);
	free(text);
}

static void floods_are_dropped_and_counted(void **state)
{
	char *text;

	next_second();
	capture();
	for (int i = 0; i < 1000; i++)
		log_info("flood", "%d", i);
	next_second();
	log_info("flood", "after");
	log_info("flood", "again");
	text = captured();
	/* 1000 lines take far less than a second; should a slow machine cross one, more pass. */
	assert_true(count_lines(text) >= 402);
	if (count_lines(text) == 402) {
		assert_non_null(strstr(text, "flood: 399\n"));
		assert_null(strstr(text, "flood: 400\n"));
		assert_non_null(strstr(text, "flood: after [600 lines before this one were dropped]\n"));
		assert_non_null(strstr(text, "flood: again\n"));
	}
	free(text);
}

static void *log_fifty(void *arg)
{
	for (int i = 0; i < 50; i++)
		log_info("thread", "abcdefghijklmnopqrstuvwxyz");
	return arg;
}

static void lines_of_threads_stay_whole(void **state)
{
	pthread_t threads[4];
	unsigned n = 0;
	char *text, *line, *save = NULL;

	next_second();
	capture();
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_fifty, NULL), 0);
	for (int i = 0; i < 4; i++)
		(void)pthread_join(threads[i], NULL);
	text = captured();
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save), n++)
		assert_string_equal(line + 25, "INFO  thread: abcdefghijklmnopqrstuvwxyz");
	assert_int_equal(n, 200);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_time_level_subject_text),
		cmocka_unit_test(levels_below_the_least_are_silent),
		cmocka_unit_test(control_characters_are_escaped),
		cmocka_unit_test(long_text_is_cut_and_says_so),
		cmocka_unit_test(floods_are_dropped_and_counted),
		cmocka_unit_test(lines_of_threads_stay_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
