// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_csv.c: a text as CSV, and as a provider's cost export against a ledger. Checked besides memory: what is written of a table reads
 * back and is written the same; a comparison is whole JSON; a file is refused with its name.
 */
#include "fuzz.h"

#include <stdio.h>

#include "base/str.h"
#include "ctl/cmd/bill_compare.h"
#include "ctl/cmd/csv.h"

const struct str fuzz_seeds[] = {
	FUZZ_SEED("date,model,amount\r\n2026-11-03,gpt-x,1.50\r\n2026-11-04,\"gpt-x, input\",2\r\n2026-12-01,m,0.01\n"),
	FUZZ_SEED("\xef\xbb\xbfstart_time,line_item,amount_value,x\n1793664000,\"gpt-x, \"\"a\"\"\",1.2e-05,=1+1\n\n"),
	FUZZ_SEED("usage_date,cost\n2026-11-03T00:00:00Z,\"-1.25\"\n"),
	FUZZ_SEED("model,cost_usd\ngpt-y,$0.004\n"),
	FUZZ_SEEDS_END,
};

/* 2026-11-01 to 2026-12-01 */
#define FROM 1793491200
#define TO 1796083200
#define OURS \
	"{\"bill\":[{\"day\":\"2026-11-03\",\"model\":\"gpt-x\",\"tier\":\"standard\",\"cost\":\"1.25\"}," \
	"{\"day\":\"2026-11-04\",\"model\":\"gpt-y\",\"cost\":\"0.004\"}]}"

static int put_row(void *ctx, size_t line, const char *const *cells, size_t n, struct err *e)
{
	MUST(line >= 1 && n >= 1 && n <= CSV_COLUMNS_MAX);
	csv_row(ctx, cells, n);
	return 0;
}

/* NULL: not CSV. */
static char *rewrite(const char *text, size_t size, size_t *ret_n)
{
	char *ret = NULL;
	FILE *f = open_memstream(&ret, ret_n);
	struct err e = { "" };
	int r;

	MUST(f);
	r = csv_read("f.csv", text, size, put_row, f, &e);
	MUST(fclose(f) == 0);
	if (r == 0)
		return ret;
	MUST(strstr(e.text, "f.csv"));
	free(ret);
	return NULL;
}

static void check_csv(const char *text, size_t size)
{
	size_t n, m, o;
	char *once = rewrite(text, size, &n), *twice, *thrice;

	/* A byte order mark in the first cell, behind blank lines say, would be one of the file the next time. */
	if (!once || (n >= 3 && memcmp(once, "\xef\xbb\xbf", 3) == 0)) {
		free(once);
		return;
	}
	/* The first time a formula gets its guard, and with it quotes that it does not need. */
	twice = rewrite(once, n, &m);
	MUST(twice);
	thrice = rewrite(twice, m, &o);
	MUST(thrice && m == o && memcmp(twice, thrice, m) == 0);
	free(once);
	free(twice);
	free(thrice);
}

static void note(void *ctx, int id, const struct json_value *v)
{
	*(enum json_kind *)ctx = v->kind;
}

static void check_json(char *text, size_t n)
{
	static const struct json_want root = { "", 0 };
	static struct json *json;
	enum json_kind kind = JSON_NULL;
	char *p = fuzz_padded((struct str){ text, n });

	json = json ? json : json_new();
	MUST(json && json_scan(json, p, n, &root, 1, note, &kind) == 0 && kind == JSON_OBJECT);
	free(p);
}

static void check_bill(const char *text, size_t size, bool as_json)
{
	char *padded = fuzz_padded(STR(OURS)), *said = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&said, &n);
	struct buf ours;
	const struct bill_compare in = { .name = "f.csv", .text = text, .len = size, .from_s = FROM, .to_s = TO, .ours = &ours,
					 .json = as_json, .csv = !as_json };
	struct err e = { "" };
	bool agrees;
	int r;

	MUST(f);
	buf_init(&ours, 1 << 16);
	MUST(buf_append(&ours, OURS, sizeof(OURS) - 1) == 0);
	r = bill_compare(&in, f, &agrees, &e);
	MUST(fclose(f) == 0);
	MUST(r == 0 || strstr(e.text, "f.csv"));
	if (r == 0 && as_json)
		check_json(said, n);
	if (r == 0 && !as_json)
		check_csv(said, n);
	free(said);
	free(padded);
	buf_done(&ours);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size);

	check_csv(text, size);
	check_bill(text, size, true);
	check_bill(text, size, false);
	free(text);
	return 0;
}
