// SPDX-License-Identifier: Apache-2.0
/* test_form.c: multipart bodies, whole, cut short at every byte, and in the ways in which two readers would differ. */
#include "calls.h"

#include <errno.h>

#include "provider/form.h"

#define TYPE "multipart/form-data; boundary=BoUnd"
#define HEAD(name) "Content-Disposition: form-data; name=\"" name "\"\r\n\r\n"
#define PART(name, value) "--BoUnd\r\n" HEAD(name) value "\r\n"
#define END "--BoUnd--\r\n"

/* Every part as name=value; in one text, or the complaint. Static memory. */
static const char *shown(const char *type, struct str body)
{
	static char text[4096];
	struct err e = { 0 };
	struct form f;
	struct form_part p;
	char *exact = malloc(body.n + 1);
	int r;
	size_t n = 0;

	memcpy(exact, body.p, body.n);
	text[0] = '\0';
	r = form_begin(&f, str_of(type), (struct str){ .p = exact, .n = body.n }, &e);
	while (r == 0 && (r = form_next(&f, &p, &e)) > 0) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s%s=%.*s;", STR_FMT(p.name), p.has_filename ? "*" : "", STR_FMT(p.value));
		assert_true(n < sizeof(text));
		r = 0;
	}
	if (r < 0)
		snprintf(text, sizeof(text), "! %s", e.text);
	free(exact);
	return text;
}

struct form_case {
	const char *type, *body, *want; /* "!": refused */
};

static const struct form_case cases[] = {
	{ TYPE, PART("model", "m-1") END, "model=m-1;" },
	{ TYPE, PART("model", "m-1") "--BoUnd--", "model=m-1;" },
	{ TYPE, PART("a", "") PART("b", "x\r\ny") END, "a=;b=x\r\ny;" },
	{ TYPE, PART("a", "\r\n") END, "a=\r\n;" },
	{ TYPE, PART("a", "--Bo\r\n--BoUn\r\n-") END, "a=--Bo\r\n--BoUn\r\n-;" },
	{ TYPE, "--BoUnd--", "" },
	{ TYPE, "--BoUnd\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a b.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n" END,
	  "file*=RIFF;" },
	{ TYPE, "--BoUnd\r\ncontent-type: audio/wav\r\nCONTENT-DISPOSITION:form-data;filename=x;name=file\r\n\r\nR\r\n" END, "file*=R;" },
	{ TYPE, "--BoUnd\r\nContent-Disposition: form-data; name=\"file\"; filename*=UTF-8''a\r\nContent-Transfer-Encoding: binary\r\n\r\nR\r\n" END,
	  "file*=R;" },
	{ "Multipart/Form-Data;boundary=\"BoUnd\"", PART("a", "1") END, "a=1;" },
	{ "multipart/form-data; charset=utf-8; boundary=BoUnd", PART("a", "1") END, "a=1;" },
	{ "multipart/form-data; boundary=\"Bo Und\"", "--Bo Und\r\n" HEAD("a") "1\r\n--Bo Und--", "a=1;" },
	/* content types */
	{ "application/json", PART("a", "1") END, "!" },
	{ "multipart/mixed; boundary=BoUnd", PART("a", "1") END, "!" },
	{ "multipart/form-data", PART("a", "1") END, "!" },
	{ "multipart/form-data; boundary=", PART("a", "1") END, "!" },
	{ "multipart/form-data; boundary=\"\"", "--\r\n" HEAD("a") "1\r\n----", "!" },
	{ TYPE "; boundary=Other", PART("a", "1") END, "!" },
	{ "multipart/form-data; boundary=Other", PART("a", "1") END, "!" },
	{ "multipart/form-data; boundary=bound", PART("a", "1") END, "!" }, /* case counts */
	{ "multipart/form-data; boundary=\"BoUnd", PART("a", "1") END, "!" },
	{ "multipart/form-data; boundary=\"Bo\\Und\"", PART("a", "1") END, "!" },
	{ "multipart/form-data; boundary=\"BoUnd \"", PART("a", "1") END, "!" },
	{ "multipart/form-data; boundary=BoUnd x", PART("a", "1") END, "!" },
	{ "multipart/form-data; boundary=BoUnd; x", PART("a", "1") END, "!" },
	{ "multipart/form-data; boundary=0123456789012345678901234567890123456789012345678901234567890123456789x", "--x", "!" },
	/* where the body begins and ends */
	{ TYPE, "", "!" },
	{ TYPE, "--BoUnd", "!" },
	{ TYPE, "\r\n" PART("a", "1") END, "!" },
	{ TYPE, "preamble\r\n" PART("a", "1") END, "!" },
	{ TYPE, PART("a", "1") END "epilogue", "!" },
	{ TYPE, PART("a", "1") END "\r\n", "!" },
	{ TYPE, PART("a", "1") "--BoUnd-", "!" },
	{ TYPE, PART("a", "1") "--BoUnd--\n", "!" },
	{ TYPE, PART("a", "1"), "!" },
	{ TYPE, "--BoUnd\r\n" HEAD("a") "1", "!" },
	/* what could be a boundary to another reader */
	{ TYPE, "--BoUnd \r\n" HEAD("a") "1\r\n" END, "!" },
	{ TYPE, "--BoUnd\n" HEAD("a") "1\r\n" END, "!" },
	{ TYPE, PART("a", "1\r\n--BoUndX") END, "!" },
	{ TYPE, PART("a", "1\n--BoUnd\r\n" HEAD("model") "dear") END, "!" },
	{ TYPE, PART("a", "1\r--BoUnd\r\n" HEAD("model") "dear") END, "!" },
	{ TYPE, PART("a", "--BoUnd\r\n" HEAD("model") "dear") END, "!" },
	{ TYPE, PART("a", "x--BoUnd") END, "!" },
	/* headers */
	{ TYPE, "--BoUnd\r\n\r\n1\r\n" END, "!" },
	{ TYPE, "--BoUnd\r\nContent-Type: text/plain\r\n\r\n1\r\n" END, "!" },
	{ TYPE, "--BoUnd\r\nContent-Disposition: form-data\r\n\r\n1\r\n" END, "!" },
	{ TYPE, "--BoUnd\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n1\r\n" END, "!" },
	{ TYPE, "--BoUnd\r\nContent-Disposition: form-data; name=\"a\"; name=\"b\"\r\n\r\n1\r\n" END, "!" },
	{ TYPE, "--BoUnd\r\nContent-Disposition: form-data; name=\"a\"; name*=UTF-8''b\r\n\r\n1\r\n" END, "!" },
	{ TYPE, "--BoUnd\r\nContent-Disposition: form-data; name=\"a\\\"b\"\r\n\r\n1\r\n" END, "!" },
	{ TYPE, "--BoUnd\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n" END, "!" },
	{ TYPE, "--BoUnd\r\nContent-Disposition: form-data;\r\n name=\"a\"\r\n\r\n1\r\n" END, "!" },
	{ TYPE, "--BoUnd\r\nContent-Disposition: form-data; name=\"a\"\n\r\n1\r\n" END, "!" },
	{ TYPE, "--BoUnd\r\nContent-Disposition: form-data; name=\"a\"\n\n\r\n1\r\n" END, "!" },
	{ TYPE, "--BoUnd\r\nContent-Disposition: form-data; name=\"a\"\r\r\n1\r\n" END, "!" },
	{ TYPE, "--BoUnd\r\nContent-Disposition : form-data; name=\"a\"\r\n\r\n1\r\n" END, "!" },
	{ TYPE, "--BoUnd\r\nno header\r\n" HEAD("a") "1\r\n" END, "!" },
	{ TYPE, "--BoUnd\r\nContent-Disposition: form-data; name=\"a\"\r\n" HEAD("b") "1\r\n" END, "!" },
	{ TYPE, "--BoUnd\r\nContent-Transfer-Encoding: base64\r\n" HEAD("a") "1\r\n" END, "!" },
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *got = shown(cases[i].type, str_of(cases[i].body));

		if (cases[i].want[0] == '!' ? got[0] != '!' : strcmp(got, cases[i].want) != 0)
			fail_msg("row %zu: %s | %s: \"%s\"", i, cases[i].type, cases[i].body, got);
	}
}

/* A body that was cut anywhere is refused; only the last CRLF may be missing. */
static void test_cut_short(void **state)
{
	static const char body[] = PART("model", "m") "--BoUnd\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n\1\2\r\n" END;

	for (size_t n = 0; n < sizeof(body) - 1; n++) {
		const char *got = shown(TYPE, (struct str){ .p = body, .n = n });

		if (n != sizeof(body) - 3 && got[0] != '!')
			fail_msg("cut at %zu: \"%s\"", n, got);
	}
	assert_string_equal(shown(TYPE, STR(body)), "model=m;file*=\1\2;");
}

static void test_binary(void **state)
{
	static const char body[] = "--BoUnd\r\n" HEAD("f") "a\0\r\n\r--\n\xff\r\n" END;
	struct form f;
	struct form_part p;

	assert_int_equal(form_begin(&f, STR(TYPE), STR(body), NULL), 0);
	assert_int_equal(form_next(&f, &p, NULL), 1);
	assert_int_equal(p.value.n, 9);
	assert_memory_equal(p.value.p, "a\0\r\n\r--\n\xff", 9);
	assert_int_equal(form_next(&f, &p, NULL), 0);
	assert_int_equal(form_next(&f, &p, NULL), 0);
}

static void test_bounds(void **state)
{
	static char text[FORM_HEADERS_MAX + 4096];
	size_t n = 0;

	for (int i = 0; i <= FORM_PARTS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", PART("a", ""));
	snprintf(text + n, sizeof(text) - n, "%s", END);
	assert_non_null(strstr(shown(TYPE, str_of(text)), "too many parts"));

	n = (size_t)snprintf(text, sizeof(text), "--BoUnd\r\nX: ");
	memset(text + n, 'x', FORM_HEADERS_MAX);
	snprintf(text + n + FORM_HEADERS_MAX, sizeof(text) - n - FORM_HEADERS_MAX, "\r\n" HEAD("a") "\r\n" END);
	assert_non_null(strstr(shown(TYPE, str_of(text)), "too long"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases), cmocka_unit_test(test_cut_short),
					    cmocka_unit_test(test_binary), cmocka_unit_test(test_bounds) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
