// SPDX-License-Identifier: Apache-2.0
/* test_settle_rule.c: every end of a call that was sent, and what it may never be: free after output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "path/settle_rule.h"

#define SENT .all_sent = true

struct rule_case {
	const char *name;
	struct settle_facts f;
	enum settle_rule want;
};

static const struct rule_case cases[] = {
	{ "usage", { SENT, .status = 200, .complete = true, .reported = true }, SETTLE_REPORTED },
	{ "usage in an error", { SENT, .status = 500, .complete = true, .reported = true, .own_error = true }, SETTLE_REPORTED },
	{ "half a request, closed", { .status = 0 }, SETTLE_NOTHING },
	{ "half a request, the agent left", { .status = 0, .gave_up = true }, SETTLE_NOTHING },
	{ "half a request, refused early", { .status = 413, .complete = true }, SETTLE_NOTHING },
	{ "half a request, a front broke", { .status = 502, .complete = true }, SETTLE_NOTHING },
	{ "half a request, and yet a good answer", { .status = 200, .streamed = true }, SETTLE_ESTIMATE },
	{ "closed before any answer", { SENT }, SETTLE_INPUT },
	{ "closed before any answer, stream", { SENT, .streamed = true }, SETTLE_INPUT },
	{ "silent", { SENT, .gave_up = true }, SETTLE_HOLD },
	{ "silent, stream", { SENT, .gave_up = true, .streamed = true }, SETTLE_ESTIMATE },
	{ "an error in place of output", { SENT, .status = 200, .streamed = true, .complete = true, .own_error = true }, SETTLE_NOTHING },
	{ "an error behind output", { SENT, .status = 200, .streamed = true, .complete = true, .own_error = true, .output_seen = true },
	  SETTLE_ESTIMATE },
	{ "whole, no usage", { SENT, .status = 200, .complete = true, .output_seen = true }, SETTLE_ESTIMATE },
	{ "whole, nothing seen in it", { SENT, .status = 200, .complete = true }, SETTLE_HOLD },
	{ "whole, some could not be read", { SENT, .status = 200, .complete = true, .output_seen = true, .missed = true }, SETTLE_HOLD },
	{ "whole, nothing could be read", { SENT, .status = 200, .complete = true, .missed = true }, SETTLE_HOLD },
	{ "usage, and some could not be read", { SENT, .status = 200, .complete = true, .reported = true, .missed = true }, SETTLE_REPORTED },
	{ "a refusal that could not be read", { SENT, .status = 429, .complete = true, .missed = true }, SETTLE_NOTHING },
	{ "whole, cut off", { SENT, .status = 200 }, SETTLE_HOLD },
	{ "stream, cut off", { SENT, .status = 200, .streamed = true, .output_seen = true }, SETTLE_ESTIMATE },
	{ "stream, cut before output", { SENT, .status = 200, .streamed = true }, SETTLE_ESTIMATE },
	{ "500 of the provider", { SENT, .status = 500, .complete = true, .own_error = true }, SETTLE_NOTHING },
	{ "500 of who knows", { SENT, .status = 500, .complete = true }, SETTLE_INPUT },
	{ "504 of the provider", { SENT, .status = 504, .complete = true, .own_error = true }, SETTLE_INPUT },
	{ "504 of a front", { SENT, .status = 504, .complete = true }, SETTLE_HOLD },
	{ "504 of a front, stream", { SENT, .status = 504, .complete = true, .streamed = true }, SETTLE_ESTIMATE },
	{ "524 of a front", { SENT, .status = 524, .complete = true }, SETTLE_HOLD },
	{ "408", { SENT, .status = 408, .complete = true }, SETTLE_HOLD },
	{ "499", { SENT, .status = 499, .complete = true, .own_error = true }, SETTLE_INPUT },
	{ "a status that nobody knows", { SENT, .status = 999, .complete = true }, SETTLE_INPUT },
	{ "a status below all", { SENT, .status = 42, .complete = true }, SETTLE_INPUT },
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (settle_rule(&cases[i].f) != cases[i].want)
			fail_msg("%s: %d, want %d", cases[i].name, settle_rule(&cases[i].f), cases[i].want);
}

static void test_statuses(void **state)
{
	static const int free_ones[] = { 301, 307, 400, 401, 402, 403, 404, 409, 413, 415, 422, 424, 429, 498, 501, 503, 505, 525, 526, 529 };
	static const int broken[] = { 502, 520, 521, 522, 523, 530, 599 };

	for (size_t i = 0; i < sizeof(free_ones) / sizeof(free_ones[0]); i++)
		for (int k = 0; k < 4; k++) {
			struct settle_facts f = { SENT, .status = free_ones[i], .complete = true, .streamed = k & 1, .own_error = k & 2 };

			if (settle_rule(&f) != SETTLE_NOTHING)
				fail_msg("%d", f.status);
		}
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		for (int k = 0; k < 4; k++) {
			struct settle_facts f = { SENT, .status = broken[i], .complete = true, .streamed = k & 1, .own_error = k & 2 };

			if (settle_rule(&f) != SETTLE_INPUT)
				fail_msg("%d", f.status);
		}
}

/* Whatever else happened: output that was seen is never free, and more output never makes it cheaper. */
static void test_never_free_after_output(void **state)
{
	for (int status = 0; status < 700; status++)
		for (int k = 0; k < 32; k++) {
			struct settle_facts f = { .status = status, .streamed = k & 1, .all_sent = k & 2, .complete = k & 4,
						  .gave_up = k & 8, .own_error = k & 16, .output_seen = true };
			enum settle_rule with = settle_rule(&f);

			f.output_seen = false;
			if (status && with < SETTLE_ESTIMATE)
				fail_msg("status %d, %d: %d", status, k, with);
			if (status && with != SETTLE_ESTIMATE && settle_rule(&f) > with)
				fail_msg("status %d, %d: dearer without output", status, k);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases), cmocka_unit_test(test_statuses),
					    cmocka_unit_test(test_never_free_after_output) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
