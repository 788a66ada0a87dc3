// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_form.c: a Content-Type, LF, and a multipart body. Checked besides memory: parts lie inside the body, in order; no part holds
 * the boundary, so that no other reader can find one more in it; and what was read, written out anew, reads the same.
 */
#include "fuzz.h"

#include <stdio.h>

#include "base/str.h"
#include "provider/form.h"
#include "provider/provider.h"

const struct str fuzz_seeds[] = {
	FUZZ_SEED("multipart/form-data; boundary=b\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n"
		  "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n--b--\r\n"),
	FUZZ_SEED("multipart/form-data; boundary=\"a b\"\n--a b\r\nContent-Disposition: form-data; name=stream\r\n\r\ntrue\r\n--a b--"),
	FUZZ_SEED("multipart/form-data; charset=x; boundary=b\n--b--"),
	FUZZ_SEEDS_END,
};

static void write_anew(const struct form *f, const struct form_part *p, char *to, size_t size, size_t *n)
{
	*n += (size_t)snprintf(to + *n, size - *n, "%.*s\r\nContent-Disposition: form-data; name=\"%.*s\"\r\n\r\n", (int)(f->n - 2),
			       f->delimiter + 2, STR_FMT(p->name));
	memcpy(to + *n, p->value.p, p->value.n);
	*n += p->value.n;
	memcpy(to + *n, "\r\n", 2);
	*n += 2;
}

static void read_again(struct str type, const struct form *first, char *text, size_t n, const struct form_part *parts, size_t nparts)
{
	struct form f;
	struct form_part p;

	memcpy(text + n, first->delimiter + 2, first->n - 2);
	memcpy(text + n + first->n - 2, "--", 2);
	MUST(form_begin(&f, type, (struct str){ .p = text, .n = n + first->n }, NULL) == 0);
	for (size_t i = 0; i < nparts; i++) {
		MUST(form_next(&f, &p, NULL) == 1);
		MUST(str_eq(p.name, parts[i].name) && str_eq(p.value, parts[i].value));
	}
	MUST(form_next(&f, &p, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = { .p = fuzz_copy(data, size), .n = size };
	char *whole = (char *)rest.p;
	struct str type = str_cut(&rest, '\n');
	struct form_part parts[FORM_PARTS_MAX];
	size_t nparts = 0, n = 0, room = size * 2 + 65536;
	char *anew = malloc(room);
	struct form f;
	struct ask a;
	int r;

	MUST(anew);
	(void)provider_find("openai")->read_form(ENDPOINT_OPENAI_TRANSCRIPTIONS, type, rest.p, rest.n, &a, NULL);
	if (form_begin(&f, type, rest, NULL) == 0) {
		while ((r = form_next(&f, &parts[nparts], NULL)) > 0) {
			const struct form_part *p = &parts[nparts++];

			MUST(p->value.p >= rest.p && p->value.p + p->value.n <= rest.p + rest.n);
			MUST(!p->value.n || !memmem(p->value.p, p->value.n, f.delimiter + 2, f.n - 2));
			write_anew(&f, p, anew, room, &n);
		}
		MUST(r <= 0);
		if (r == 0)
			read_again(type, &f, anew, n, parts, nparts);
	}
	free(anew);
	free(whole);
	return 0;
}
