// SPDX-License-Identifier: Apache-2.0
/* The provider's cost export against ours: by day and model, whatever its columns are called. */
#include "cm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/cmd/bill_compare.h"

/* 2026-11-01 and 2026-12-01 */
#define FROM 1793491200
#define TO 1796083200

static const char ours[] =
	"{\"bill\":[{\"day\":\"2026-11-03\",\"model\":\"gpt-x\",\"tier\":\"standard\",\"cost\":\"1.25\"},"
	"{\"day\":\"2026-11-03\",\"model\":\"gpt-x\",\"tier\":\"flex\",\"cost\":\"0.25\"},"
	"{\"day\":\"2026-11-04\",\"model\":\"gpt-x\",\"cost\":\"2.000000001\"},{\"day\":\"2026-11-04\",\"model\":\"gpt-y\",\"cost\":\"0.004\"}]}";

static int compare(const char *csv, bool json, char **ret_text, bool *ret_agrees, struct err *e)
{
	struct buf answer;
	size_t n;
	FILE *f = open_memstream(ret_text, &n);
	const struct bill_compare in = { .name = "costs.csv", .text = csv, .len = strlen(csv), .from_s = FROM, .to_s = TO, .ours = &answer,
					 .json = json };

	buf_init(&answer, 1 << 20);
	assert_int_equal(buf_append(&answer, ours, strlen(ours)), 0);
	assert_non_null(buf_reserve(&answer, 64));
	*ret_agrees = false;
	int r = bill_compare(&in, f, ret_agrees, e);

	(void)fclose(f);
	buf_done(&answer);
	return r;
}

static void they_agree(void **state)
{
	static const char *const files[] = {
		"date,model,amount\n2026-11-03,gpt-x,1.50\n2026-11-04,gpt-x,2.0000\n2026-11-04,gpt-y,0.0040\n",
		/* quoted, another order, columns that nobody asked for, parts of a sum, exponents, other case */
		"Project,Cost,Day,Line_Item\r\np,0.75,2026-11-03T00:00:00Z,\"GPT-X, input\"\r\np,7.5e-01,2026-11-03,\"gpt-x, output\"\r\n"
		"p,$2.00,2026-11-04,gpt-x\r\np,4e-3,2026-11-04,gpt-y\r\n",
		/* seconds; a day outside */
		"start_time,model,cost_usd\n1793664000,gpt-x,1.5 USD\n1793750400,gpt-x,2\n1793750400,gpt-y,0.003999999999999\n"
		"1796083200,gpt-x,99\n",
		/* no model, no day */
		"date,amount\n2026-11-03,1.5\n2026-11-04,2.004\n",
		"model,amount\ngpt-x,3.5\ngpt-y,0.004\n",
		/* what is less than half a cent may be missing */
		"date,model,amount\n2026-11-03,gpt-x,1.504\n2026-11-04,gpt-x,2.0\n",
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *text;
		bool agrees;
		struct err e = { "" };

		if (compare(files[i], false, &text, &agrees, &e) < 0)
			fail_msg("%zu: %s", i, e.text);
		if (!agrees)
			fail_msg("%zu: %s", i, text);
		free(text);
	}
}

static void differences_are_told(void **state)
{
	char *text;
	bool agrees;
	struct err e = { "" };

	assert_int_equal(compare("date,model,amount\n2026-11-03,gpt-x,1.00\n2026-11-04,gpt-x,2.0\n2026-11-09,gpt-z,0.5\n2026-11-09,gpt-z,-0.1\n",
				 true, &text, &agrees, &e), 0);
	assert_false(agrees);
	assert_non_null(strstr(text, "{\"day\":\"2026-11-03\",\"model\":\"gpt-x\",\"ours\":\"1.50\",\"theirs\":\"1.00\",\"difference\":\"0.50\"}"));
	assert_non_null(strstr(text, "{\"day\":\"2026-11-09\",\"model\":\"gpt-z\",\"ours\":\"0.00\",\"theirs\":\"0.40\",\"difference\":\"-0.40\"}"));
	assert_null(strstr(text, "gpt-y"));
	assert_non_null(strstr(text, "\"ours\":\"3.504000001\",\"theirs\":\"3.40\",\"difference\":\"0.104000001\",\"rows\":4,\"rows_of_other_days\":0}"));
	free(text);
}

static void files_that_cannot_be_read(void **state)
{
	static const struct {
		const char *file, *says;
	} cases[] = {
		{ "", "is empty" },
		{ "date,model\n", "no column for the amount" },
		{ "when,amount\n", "neither a column for the day nor for the model" },
		{ "date,amount\nyesterday,1\n", "line 2: \"yesterday\" is not a day" },
		{ "date,amount\n2026-11-03,much\n", "line 2: \"much\" is not an amount" },
		{ "date,amount\n2026-11-03,nan\n", "is not an amount" },
		{ "date,amount\n2026-11-03,1e300\n", "is not an amount" },
		{ "date,amount\n2026-11-03,5 EUR\n", "is not an amount" },
		{ "date,amount\n2026-11-03,\n", "is not an amount" },
		{ "date,model,amount\n2026-11-03,x\n", "line 2: has 2 columns" },
		{ "date,amount\n\"2026", "not closed" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text;
		bool agrees;
		struct err e = { "" };

		assert_int_equal(compare(cases[i].file, false, &text, &agrees, &e), -EINVAL);
		if (!strstr(e.text, cases[i].says) || !strstr(e.text, "costs.csv"))
			fail_msg("wanted \"%s\" in: %s", cases[i].says, e.text);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_agree),
		cmocka_unit_test(differences_are_told),
		cmocka_unit_test(files_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
