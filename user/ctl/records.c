// SPDX-License-Identifier: Apache-2.0
/* records.c: see records.h. */
#include "ctl/records.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"

#define PATH_MAX_BYTES 128

struct reading {
	size_t nfields;
	char *values[RECORD_FIELDS_MAX];
	void (*fn)(void *ctx, const char *const *values);
	void *ctx;
	bool failed;
};

static void clear(struct reading *r)
{
	for (size_t i = 0; i < r->nfields; i++) {
		free(r->values[i]);
		r->values[i] = NULL;
	}
}

static void tell(struct reading *r)
{
	const char *values[RECORD_FIELDS_MAX];

	for (size_t i = 0; i < r->nfields; i++)
		values[i] = r->values[i] ? r->values[i] : "";
	r->fn(r->ctx, values);
	clear(r);
}

static void hit(void *ctx, int id, const struct json_value *v)
{
	struct reading *r = ctx;

	if ((size_t)id == r->nfields) {
		tell(r);
		return;
	}
	free(r->values[id]);
	r->values[id] = NULL;
	if (v->kind == JSON_BOOL)
		r->values[id] = strdup(v->i ? "true" : "false");
	else if (v->kind == JSON_STRING || v->kind == JSON_INT || v->kind == JSON_NUMBER)
		r->values[id] = strndup(v->s.p ? v->s.p : "", v->s.n);
	else
		return;
	r->failed = r->failed || !r->values[id];
}

int records_read(const struct buf *json, const char *list, const char *const *fields, size_t nfields,
		 void (*fn)(void *ctx, const char *const *values), void *ctx)
{
	struct reading r = { .nfields = nfields, .fn = fn, .ctx = ctx };
	struct json_want wants[RECORD_FIELDS_MAX + 1];
	char paths[RECORD_FIELDS_MAX][PATH_MAX_BYTES];
	struct json *j;

	if (nfields > RECORD_FIELDS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < nfields; i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), "%s%s%s", list ? list : "", list ? "." : "", fields[i]);
		wants[i] = (struct json_want){ .path = paths[i], .id = (int)i };
	}
	wants[nfields] = (struct json_want){ .path = list, .id = (int)nfields };
	j = json_new();
	if (!j)
		return -ENOMEM;
	int ret = json_scan(j, buf_ptr(json), buf_len(json), wants, nfields + (list != NULL), hit, &r);
	json_free(j);
	if (ret == 0 && !list)
		tell(&r);
	clear(&r);
	return ret < 0 ? ret : r.failed ? -ENOMEM : 0;
}

struct one {
	char *mem;
	size_t size;
};

static void take_one(void *ctx, const char *const *values)
{
	struct one *o = ctx;

	(void)str_copy(o->mem, o->size, str_of(values[0]));
}

void record_field(const struct buf *json, const char *field, char *mem, size_t size)
{
	struct one o = { .mem = mem, .size = size };

	mem[0] = '\0';
	(void)records_read(json, NULL, &field, 1, take_one, &o);
}
