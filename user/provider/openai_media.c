// SPDX-License-Identifier: Apache-2.0
/*
 * openai_media.c: what a request for pictures or for speech asks for, and the form of a transcription.
 *
 * Pictures: as many as `n`; each is at most what the model can put out at once, or its price by quality and size. Pictures shown half done
 * (partial_images) are held as whole ones. Streamed, only one is asked for: how several streamed ones count is documented nowhere.
 *
 * Speech: characters of `input`, counted as Unicode code points. The answer is sound, which tells no usage, unless it is asked for as
 * events: a price per character is exact from the request alone, tokens without events are settled at the hold.
 *
 * Transcriptions: sound that was sent in is as long as its bytes allow at 500 bytes a second (4 kbit/s, below what speech codecs
 * use). Nothing but the provider's own decoder knows the real length: a file made of silence may be longer, and is then charged
 * above its hold. Tokens are bounded by the model's own maximum.
 */
#include "provider/openai.h"

#include <errno.h>

#include "base/str.h"
#include "provider/form.h"
#include "provider/request.h"

#define EXTRA_INPUT 64
#define PICTURES_MAX 100        /* the API takes 10; more cannot be meant */
#define LEAST_BYTES_PER_SECOND 500

struct media_request {
	struct request common; /* first: request.h */
	int64_t n, partial_images;
};

static int read_text(void *ctx, const struct json_value *v, struct err *e)
{
	struct ask *a = ((struct request *)ctx)->ask;

	for (size_t i = 0; i < v->s.n; i++)
		a->characters += ((unsigned char)v->s.p[i] & 0xc0) != 0x80;
	return 0;
}

static int keep_word(const char *path, struct str s, char *to, size_t size, struct err *e)
{
	if (s.n >= size)
		return err_set(e, EINVAL, "\"%s\": is %zu bytes long, at most %zu are known to any price list; check the word", path,
			       s.n, size - 1);
	(void)str_copy(to, size, s);
	return 0;
}

static int read_quality(void *ctx, const struct json_value *v, struct err *e)
{
	struct ask *a = ((struct request *)ctx)->ask;

	return keep_word("quality", v->s, a->image_quality, sizeof(a->image_quality), e);
}

static int read_size(void *ctx, const struct json_value *v, struct err *e)
{
	struct ask *a = ((struct request *)ctx)->ask;

	return keep_word("size", v->s, a->image_size, sizeof(a->image_size), e);
}

static int read_stream_format(void *ctx, const struct json_value *v, struct err *e)
{
	((struct request *)ctx)->stream = str_is(v->s, "sse");
	return 0;
}

#define OFFSET(member) .to = offsetof(struct media_request, member)

static const struct field image_fields[] = {
	{ "model", KIND_STRING, .once = true, .read = request_model },
	{ "prompt", KIND_STRING, .once = true, .read = request_nothing },
	{ "n", KIND_INT, .once = true, OFFSET(n) },
	{ "partial_images", KIND_INT, .once = true, OFFSET(partial_images) },
	{ "stream", KIND_BOOL, .once = true, OFFSET(common.stream) },
	{ "quality", KIND_STRING, .once = true, .read = read_quality },
	{ "size", KIND_STRING, .once = true, .read = read_size },
	{ "image", KIND_ANY, .once = true, .refuse = "pictures made from pictures are not metered; leave it out" },
	{ "images", KIND_ANY, .once = true, .refuse = "pictures made from pictures are not metered; leave it out" },
};

static const struct field speech_fields[] = {
	{ "model", KIND_STRING, .once = true, .read = request_model },
	{ "input", KIND_STRING, .once = true, .read = read_text },
	{ "instructions", KIND_STRING, .once = true, .read = request_nothing },
	{ "stream_format", KIND_STRING, .once = true, .read = read_stream_format },
};

static int bound_pictures(struct media_request *q, struct err *e)
{
	if (q->n < 1 || q->n > PICTURES_MAX)
		return err_set(e, EINVAL, "\"n\": is %lld, 1 to %d are expected; correct the request", (long long)q->n, PICTURES_MAX);
	if (q->partial_images < 0 || q->partial_images > PICTURES_MAX)
		return err_set(e, EINVAL, "\"partial_images\": is %lld, 0 to %d are expected; correct the request",
			       (long long)q->partial_images, PICTURES_MAX);
	if (q->common.stream && q->n > 1)
		return err_set(e, EINVAL, "\"n\": %lld streamed pictures cannot be counted with certainty; ask for one, or leave out \"stream\"",
			       (long long)q->n);
	q->common.ask->images = q->n;
	q->common.ask->choices = q->n * (1 + q->partial_images);
	return 0;
}

#define FIELDS(a) (a), sizeof(a) / sizeof((a)[0])

int openai_read_media(struct json *j, enum endpoint ep, const char *body, size_t len, struct ask *ret, struct err *e)
{
	bool pictures = ep == ENDPOINT_OPENAI_IMAGES;
	struct ask ask = { .tier = TIER_STANDARD, .choices = 1, .passes = 1, .body_bytes = (int64_t)len,
			   .extra_input_tokens = EXTRA_INPUT, .max_output = -1, .output_sight = OUTPUT_HIDDEN };
	struct media_request q = { .common.ask = &ask, .n = 1 };
	int r;

	if (ep == ENDPOINT_OPENAI_TRANSCRIPTIONS)
		return err_set(e, EINVAL, "body: is no form; send multipart/form-data");
	r = pictures ? fields_read(j, body, len, FIELDS(image_fields), &q, e) :
		       fields_read(j, body, len, FIELDS(speech_fields), &q, e);
	if (r == 0)
		r = request_names_model(&ask, e);
	if (r == 0 && pictures)
		r = bound_pictures(&q, e);
	if (r < 0)
		return r;
	ask.stream = q.common.stream != 0;
	ask.audio = !pictures;
	ask.answer_is_media = !pictures && !ask.stream;
	*ret = ask;
	return 0;
}

/* ---- transcriptions */

struct transcription {
	struct ask *ask;
	bool model, file, stream;
};

static int once(bool *stood, const char *name, struct err *e)
{
	if (*stood)
		return err_set(e, EINVAL, "\"%s\": stands twice, so which one counts is not certain; send it once", name);
	*stood = true;
	return 0;
}

static int take_part(struct transcription *t, const struct form_part *p, struct err *e)
{
	struct ask *a = t->ask;
	int r = 0;

	if (str_is(p->name, "model")) {
		r = once(&t->model, "model", e);
		return r == 0 ? model_asked(p->value, a->model, sizeof(a->model), e) : r;
	}
	if (str_is(p->name, "stream")) {
		r = once(&t->stream, "stream", e);
		a->stream = str_eq_nocase(p->value, STR("true")) || str_is(p->value, "1");
		return r;
	}
	if (str_is(p->name, "file")) {
		r = once(&t->file, "file", e);
		a->audio_ms = (int64_t)(p->value.n / LEAST_BYTES_PER_SECOND + 1) * 1000;
	}
	return r;
}

int openai_read_form(enum endpoint ep, struct str content_type, const char *body, size_t len, struct ask *ret, struct err *e)
{
	struct ask ask = { .tier = TIER_STANDARD, .choices = 1, .passes = 1, .body_bytes = (int64_t)len, .extra_input_tokens = EXTRA_INPUT,
			   .max_output = -1, .audio = true, .input_hidden = true,
			   .output_sight = OUTPUT_HIDDEN };
	struct transcription t = { .ask = &ask };
	struct form_part part;
	struct form f;
	int r = form_begin(&f, content_type, (struct str){ .p = body, .n = len }, e);

	while (r == 0 && (r = form_next(&f, &part, e)) > 0)
		r = take_part(&t, &part, e);
	if (r == 0)
		r = request_names_model(&ask, e);
	if (r == 0 && !t.file)
		r = err_set(e, EINVAL, "\"file\": is missing; send the sound that is to be written");
	if (r == 0)
		*ret = ask;
	return r;
}
