// SPDX-License-Identifier: Apache-2.0
/* test_buf.c: the queue against a plain model, its maximum, its padding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static void padding_is_zero(const struct buf *b)
{
	for (size_t i = 0; i < BUF_PADDING; i++)
		assert_int_equal(buf_ptr(b)[buf_len(b) + i], 0);
}

static void appends_and_consumes(void **state)
{
	struct buf b;

	buf_init(&b, 100);
	assert_null(buf_ptr(&b));
	assert_int_equal(buf_len(&b), 0);
	assert_int_equal(buf_append(&b, "hello ", 6), 0);
	assert_int_equal(buf_append(&b, NULL, 0), 0);
	assert_int_equal(buf_printf(&b, "%s %d", "world", 7), 0);
	assert_int_equal(buf_len(&b), 13);
	assert_memory_equal(buf_ptr(&b), "hello world 7", 13);
	padding_is_zero(&b);
	buf_consume(&b, 6);
	assert_memory_equal(buf_ptr(&b), "world 7", 7);
	buf_consume(&b, 7);
	assert_int_equal(buf_len(&b), 0);
	buf_done(&b);
	buf_done(&b);
	buf_init(&b, 100);
	assert_int_equal(buf_append(&b, "x", 1), 0);
	buf_done(&b);
}

static void the_maximum_holds(void **state)
{
	struct buf b;

	buf_init(&b, 10);
	assert_int_equal(buf_append(&b, "0123456789a", 11), -EMSGSIZE);
	assert_int_equal(buf_append(&b, "0123456789", 10), 0);
	assert_int_equal(buf_append(&b, "a", 1), -EMSGSIZE);
	assert_int_equal(buf_append(&b, "a", 0), 0);
	assert_int_equal(buf_printf(&b, "%d", 1), -EMSGSIZE);
	assert_null(buf_reserve(&b, 1));
	assert_null(buf_reserve(&b, SIZE_MAX));
	buf_consume(&b, 4);
	assert_int_equal(buf_printf(&b, "%d", 1234), 0);
	assert_memory_equal(buf_ptr(&b), "4567891234", 10);
	padding_is_zero(&b);
	buf_done(&b);
	buf_init(&b, SIZE_MAX);
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_null(buf_reserve(&b, SIZE_MAX / 2));
	buf_done(&b);
	buf_init(&b, 0);
	assert_int_equal(buf_append(&b, "", 0), 0);
	assert_int_equal(buf_append(&b, "x", 1), -EMSGSIZE);
	buf_done(&b);
}

static void reserve_then_grew(void **state)
{
	struct buf b;
	char *p;

	buf_init(&b, 1 << 16);
	p = buf_reserve(&b, 5000);
	assert_non_null(p);
	memset(p, 'y', 5000);
	buf_grew(&b, 10);
	assert_int_equal(buf_len(&b), 10);
	/* What was written beyond is gone; the padding is clean. */
	padding_is_zero(&b);
	buf_clear(&b);
	assert_int_equal(buf_len(&b), 0);
	assert_non_null(buf_ptr(&b));
	buf_done(&b);
}

static void shrinks_only_when_empty_and_large(void **state)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	assert_non_null(buf_reserve(&b, 200000));
	memset(buf_reserve(&b, 200000), 'z', 200000);
	buf_grew(&b, 200000);
	buf_shrink(&b);
	assert_int_equal(buf_len(&b), 200000);
	buf_consume(&b, 200000);
	buf_shrink(&b);
	assert_null(buf_ptr(&b));
	assert_int_equal(buf_append(&b, "small", 5), 0);
	buf_clear(&b);
	buf_shrink(&b);
	assert_non_null(buf_ptr(&b));
	buf_done(&b);
}

/* Random appends and consumes; the bytes are a counter, so order and loss both show. */
static void behaves_as_a_queue(void **state)
{
	unsigned seed = 20261124;
	struct buf b;
	size_t in = 0, out = 0;

	print_message("seed %u\n", seed);
	srand(seed);
	buf_init(&b, 5000);
	for (int step = 0; step < 20000; step++) {
		size_t n = (size_t)rand() % 1500;

		if (rand() % 2) {
			char chunk[1500];

			for (size_t i = 0; i < n; i++)
				chunk[i] = (char)((in + i) % 251);
			if (buf_append(&b, chunk, n) == 0)
				in += n;
			else
				assert_true(in - out + n > 5000);
		} else {
			if (n > buf_len(&b))
				n = buf_len(&b);
			buf_consume(&b, n);
			out += n;
		}
		assert_int_equal(buf_len(&b), in - out);
		assert_true(b.cap <= 5000);
		if (in > out) {
			assert_int_equal((unsigned char)buf_ptr(&b)[0], out % 251);
			assert_int_equal((unsigned char)buf_ptr(&b)[in - out - 1], (in - 1) % 251);
		}
		if (buf_ptr(&b) && step % 64 == 0)
			for (size_t i = 0; i < in - out; i++)
				assert_int_equal((unsigned char)buf_ptr(&b)[i], (out + i) % 251);
	}
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_and_consumes),
		cmocka_unit_test(the_maximum_holds),
		cmocka_unit_test(reserve_then_grew),
		cmocka_unit_test(shrinks_only_when_empty_and_large),
		cmocka_unit_test(behaves_as_a_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
