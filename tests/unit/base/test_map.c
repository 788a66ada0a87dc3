// SPDX-License-Identifier: Apache-2.0
/* test_map.c: the hash against a plain array, through growth and removal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/str.h"

#define KEYS 500

static void finds_what_was_put(void **state)
{
	struct map *m = map_new();
	int one = 1, two = 2;
	void *old = &two;

	assert_null(map_find(m, STR("a")));
	assert_null(map_remove(m, STR("a")));
	assert_int_equal(map_put(m, STR("a"), &one, &old), 0);
	assert_null(old);
	assert_int_equal(map_put(m, STR("a"), &two, &old), 0);
	assert_ptr_equal(old, &one);
	assert_int_equal(map_count(m), 1);
	assert_ptr_equal(map_find(m, STR("a")), &two);
	assert_null(map_find(m, STR("A")));
	assert_null(map_find(m, STR("ab")));
	assert_ptr_equal(map_remove(m, STR("a")), &two);
	assert_null(map_find(m, STR("a")));
	assert_int_equal(map_count(m), 0);
	map_free(m, NULL);
	map_free(NULL, NULL);
}

static void keys_are_bytes(void **state)
{
	struct map *m = map_new();
	int values[4];
	const struct str keys[] = { { NULL, 0 }, { "a\0b", 3 }, { "a\0c", 3 }, { "a", 1 } };

	for (int i = 0; i < 4; i++)
		assert_int_equal(map_put(m, keys[i], &values[i], NULL), 0);
	assert_int_equal(map_count(m), 4);
	for (int i = 0; i < 4; i++)
		assert_ptr_equal(map_find(m, keys[i]), &values[i]);
	assert_ptr_equal(map_find(m, STR("")), &values[0]);
	map_free(m, NULL);
}

static void keys_are_copied(void **state)
{
	struct map *m = map_new();
	char key[] = "changes";
	int v;

	assert_int_equal(map_put(m, str_of(key), &v, NULL), 0);
	key[0] = 'X';
	assert_ptr_equal(map_find(m, STR("changes")), &v);
	assert_null(map_find(m, str_of(key)));
	map_free(m, NULL);
}

/* Removal moves followers; a wrong move loses one. The model is an array of flags. */
static void random_puts_and_removals_agree_with_an_array(void **state)
{
	unsigned seed = 7;
	struct map *m = map_new();
	char *in[KEYS] = { 0 };
	static char values[KEYS];
	size_t count = 0;

	print_message("seed %u\n", seed);
	srand(seed);
	for (int step = 0; step < 40000; step++) {
		int k = rand() % KEYS;
		char key[32];
		void *old;

		(void)snprintf(key, sizeof(key), "agent-%d", k);
		if (rand() % 2) {
			assert_int_equal(map_put(m, str_of(key), &values[k], &old), 0);
			assert_ptr_equal(old, in[k]);
			count += !in[k];
			in[k] = &values[k];
		} else {
			assert_ptr_equal(map_remove(m, str_of(key)), in[k]);
			count -= in[k] != NULL;
			in[k] = NULL;
		}
		assert_int_equal(map_count(m), count);
		if (step % 1000)
			continue;
		for (int i = 0; i < KEYS; i++) {
			(void)snprintf(key, sizeof(key), "agent-%d", i);
			assert_ptr_equal(map_find(m, str_of(key)), in[i]);
		}
	}
	map_free(m, NULL);
}

struct seen {
	size_t n, stop_after;
	unsigned long sum;
};

static bool see(void *ctx, struct str key, void *value)
{
	struct seen *s = ctx;

	assert_true(str_starts(key, STR("k")));
	assert_int_equal(key.p[key.n], '\0');
	s->sum += *(unsigned long *)value;
	return ++s->n != s->stop_after;
}

static void each_sees_all_or_stops(void **state)
{
	struct map *m = map_new();
	struct seen all = { 0 }, some = { .stop_after = 3 }, none = { 0 };

	map_each(m, see, &none);
	assert_int_equal(none.n, 0);
	for (unsigned long i = 1; i <= 100; i++) {
		unsigned long *v = malloc(sizeof(*v));
		char key[16];

		*v = i;
		(void)snprintf(key, sizeof(key), "k%lu", i);
		assert_int_equal(map_put(m, str_of(key), v, NULL), 0);
	}
	map_each(m, see, &all);
	assert_int_equal(all.n, 100);
	assert_int_equal(all.sum, 5050);
	map_each(m, see, &some);
	assert_int_equal(some.n, 3);
	map_free(m, free);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_was_put),
		cmocka_unit_test(keys_are_bytes),
		cmocka_unit_test(keys_are_copied),
		cmocka_unit_test(random_puts_and_removals_agree_with_an_array),
		cmocka_unit_test(each_sees_all_or_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
