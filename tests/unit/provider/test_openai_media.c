// SPDX-License-Identifier: Apache-2.0
/* test_openai_media.c: pictures, speech, transcriptions: what is asked for, and what answers tell. */
#include "calls.h"

#include <errno.h>

#define IMAGES ENDPOINT_OPENAI_IMAGES
#define SPEECH ENDPOINT_OPENAI_SPEECH
#define WRITTEN ENDPOINT_OPENAI_TRANSCRIPTIONS

static const struct provider_ops *ops(void)
{
	return provider_find("openai");
}

/* ---- requests */

struct ask_case {
	enum endpoint ep;
	const char *body;
	int64_t images, choices, characters;
	const char *quality, *size;
	bool stream, media;
};

static const struct ask_case asks[] = {
	{ IMAGES, "{\"model\":\"m\",\"prompt\":\"a cat\"}", 1, 1, 0, "", "", false, false },
	{ IMAGES, "{\"model\":\"m\",\"prompt\":\"a\",\"n\":4,\"quality\":\"hd\",\"size\":\"1024x1792\"}", 4, 4, 0, "hd", "1024x1792", false, false },
	{ IMAGES, "{\"model\":\"m\",\"prompt\":\"a\",\"n\":null,\"quality\":null,\"size\":null}", 1, 1, 0, "", "", false, false },
	{ IMAGES, "{\"model\":\"m\",\"prompt\":\"a\",\"stream\":true,\"partial_images\":2}", 1, 3, 0, "", "", true, false },
	{ SPEECH, "{\"model\":\"m\",\"input\":\"hello\",\"voice\":\"v\"}", 0, 1, 5, "", "", false, true },
	{ SPEECH, "{\"model\":\"m\",\"input\":\"h\\u00e9\\ud83d\\ude00\\n\"}", 0, 1, 4, "", "", false, true },
	{ SPEECH, "{\"model\":\"m\",\"input\":\"\\ud800\"}", 0, 1, 1, "", "", false, true },
	{ SPEECH, "{\"model\":\"m\",\"input\":\"hello\",\"stream_format\":\"audio\"}", 0, 1, 5, "", "", false, true },
	{ SPEECH, "{\"model\":\"m\",\"input\":\"hello\",\"stream_format\":\"sse\"}", 0, 1, 5, "", "", true, false },
	{ SPEECH, "{\"model\":\"m\",\"voice\":\"v\"}", 0, 1, 0, "", "", false, true },
};

static void test_asks(void **state)
{
	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		const struct ask_case *c = &asks[i];
		struct err e = { 0 };
		struct ask a;

		if (calls_ask(ops(), c->ep, c->body, &a, &e) != 0)
			fail_msg("%s: %s", c->body, e.text);
		if (a.images != c->images || a.choices != c->choices || a.characters != c->characters || a.stream != c->stream ||
		    a.answer_is_media != c->media || strcmp(a.image_quality, c->quality) != 0 || strcmp(a.image_size, c->size) != 0)
			fail_msg("%s: images %lld choices %lld characters %lld stream %d media %d \"%s\" \"%s\"", c->body, (long long)a.images,
				 (long long)a.choices, (long long)a.characters, a.stream, a.answer_is_media, a.image_quality, a.image_size);
		assert_string_equal(a.model, "m");
		assert_int_equal(a.body_bytes, strlen(c->body));
		assert_int_equal(a.max_output, -1);
		assert_int_equal(a.passes, 1);
	}
}

struct bad_case {
	enum endpoint ep;
	const char *body, *text;
};

static const struct bad_case bad[] = {
	{ IMAGES, "{\"prompt\":\"a\"}", "\"model\": is missing" },
	{ IMAGES, "{\"model\":\"m\",\"model\":\"n\"}", "stands twice" },
	{ IMAGES, "{\"model\":\"m\",\"n\":0}", "1 to 100" },
	{ IMAGES, "{\"model\":\"m\",\"n\":-1}", "1 to 100" },
	{ IMAGES, "{\"model\":\"m\",\"n\":101}", "1 to 100" },
	{ IMAGES, "{\"model\":\"m\",\"n\":9223372036854775807}", "1 to 100" },
	{ IMAGES, "{\"model\":\"m\",\"n\":1.5}", "\"n\": a number" },
	{ IMAGES, "{\"model\":\"m\",\"n\":\"1\"}", "\"n\": a string" },
	{ IMAGES, "{\"model\":\"m\",\"n\":1,\"n\":9}", "stands twice" },
	{ IMAGES, "{\"model\":\"m\",\"quality\":\"hd\",\"quality\":\"low\"}", "stands twice" },
	{ IMAGES, "{\"model\":\"m\",\"size\":\"a size that no list knows\"}", "\"size\": is" },
	{ IMAGES, "{\"model\":\"m\",\"partial_images\":-1}", "partial_images" },
	{ IMAGES, "{\"model\":\"m\",\"stream\":true,\"n\":2}", "streamed pictures" },
	{ IMAGES, "{\"model\":\"m\",\"image\":\"data:\"}", "pictures made from pictures" },
	{ IMAGES, "x", "valid JSON" },
	{ SPEECH, "{\"input\":\"a\"}", "\"model\": is missing" },
	{ SPEECH, "{\"model\":\"m\",\"input\":\"a\",\"input\":\"b\"}", "stands twice" },
	{ SPEECH, "{\"model\":\"m\",\"input\":[\"a\"]}", "\"input\": an array" },
	{ SPEECH, "{\"model\":\"m\",\"stream_format\":\"sse\",\"stream_format\":\"audio\"}", "stands twice" },
	{ WRITTEN, "{\"model\":\"m\"}", "no form" },
};

static void test_bad(void **state)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = { 0 };
		struct ask a;

		if (calls_ask(ops(), bad[i].ep, bad[i].body, &a, &e) != -EINVAL || !strstr(e.text, bad[i].text))
			fail_msg("%s: \"%s\"", bad[i].body, e.text);
	}
}

/* ---- the form */

#define TYPE "multipart/form-data; boundary=b"
#define PART(name, value) "--b\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define SOUND "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n\1\2\3\r\n"
#define END "--b--\r\n"

struct form_case {
	const char *body, *want; /* the model, or a text of the complaint behind "!" */
	bool stream;
};

static const struct form_case forms[] = {
	{ PART("model", "m-1") SOUND END, "m-1", false },
	{ SOUND PART("model", "m-1") PART("response_format", "json") PART("stream", "true") END, "m-1", true },
	{ SOUND PART("model", "m-1") PART("stream", "False") END, "m-1", false },
	{ PART("model", "m-1") PART("model", "m-2") SOUND END, "!stands twice", false },
	{ PART("model", "m-1") SOUND SOUND END, "!stands twice", false },
	{ PART("model", "m-1") SOUND PART("stream", "false") PART("stream", "true") END, "!stands twice", false },
	{ SOUND END, "!\"model\": is missing", false },
	{ PART("model", "") SOUND END, "!is empty", false },
	{ PART("model", "m\r\nn") SOUND END, "!control", false },
	{ PART("model", "m-1") END, "!\"file\": is missing", false },
	{ PART("model", "m-1") SOUND, "!boundary is missing", false },
	{ "{\"model\":\"m\"}", "!does not begin", false },
};

static void test_forms(void **state)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const struct form_case *c = &forms[i];
		struct err e = { 0 };
		struct ask a;
		int r = ops()->read_form(WRITTEN, STR(TYPE), c->body, strlen(c->body), &a, &e);

		if (c->want[0] == '!') {
			if (r != -EINVAL || !strstr(e.text, c->want + 1))
				fail_msg("row %zu: %d \"%s\"", i, r, e.text);
			continue;
		}
		if (r != 0)
			fail_msg("row %zu: %s", i, e.text);
		assert_string_equal(a.model, c->want);
		assert_int_equal(a.stream, c->stream);
		assert_true(a.audio && a.input_hidden && a.audio_ms == 1000 && a.body_bytes == (int64_t)strlen(c->body));
	}
	for (size_t i = 0; provider_at(i); i++)
		if (provider_at(i) != ops())
			assert_null(provider_at(i)->read_form);
}

/* 500 bytes are a second of sound at least. */
static void test_sound_is_bounded_by_its_bytes(void **state)
{
	static const char head[] = PART("model", "m") "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n";
	static char body[sizeof(head) + 100000 + 16];
	struct ask a;

	memcpy(body, head, sizeof(head) - 1);
	memset(body + sizeof(head) - 1, 'x', 100000);
	memcpy(body + sizeof(head) - 1 + 100000, "\r\n--b--", 7);
	assert_int_equal(ops()->read_form(WRITTEN, STR(TYPE), body, sizeof(head) - 1 + 100000 + 7, &a, NULL), 0);
	assert_int_equal(a.audio_ms, 201000);
}

/* ---- answers */

struct answer_case {
	enum endpoint ep;
	const char *body;
	bool seen, failed, output;
	struct usage u;
};

#define TOKENS "\"usage\":{\"input_tokens\":50,\"output_tokens\":4160,\"total_tokens\":4210,\"input_tokens_details\":{\"text_tokens\":10," \
	       "\"image_tokens\":40},\"output_tokens_details\":{\"image_tokens\":4160,\"text_tokens\":0}}"

static const struct answer_case answers[] = {
	{ IMAGES, "{\"created\":1,\"data\":[{\"url\":\"u\"},{\"b64_json\":\"AA\"}]}", true, false, true, { .images = 2 } },
	{ IMAGES, "{\"created\":1,\"data\":[{\"b64_json\":\"AA\"}]," TOKENS "}", true, false, true,
	  { .input = 50, .output = 4160, .image_input = 40, .image_output = 4160 } },
	{ IMAGES, "{\"usage\":{\"input_tokens\":5,\"output_tokens\":9},\"data\":[{},{}]}", true, false, true, { .input = 5, .output = 9, .image_output = 9 } },
	{ IMAGES, "{\"data\":[{\"url\":\"u\"}],\"usage\":null}", true, false, true, { .images = 1 } },
	{ IMAGES, "{\"data\":[{\"url\":\"u\"}],\"usage\":{\"input_tokens\":0,\"output_tokens\":0}}", true, false, true, { .images = 1 } },
	{ IMAGES, "{\"data\":[{\"url\":\"u\"}],\"usage\":{\"input_tokens\":-1,\"output_tokens\":5}}", false, false, true, { 0 } },
	{ IMAGES, "{\"data\":[]}", false, false, false, { 0 } },
	{ IMAGES, "{\"created\":1}", false, false, false, { 0 } },
	{ IMAGES, "{\"error\":{\"message\":\"no\"}}", false, true, false, { 0 } },
	{ WRITTEN, "{\"text\":\"hi\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"input_token_details\":{\"text_tokens\":10,\"audio_tokens\":4},"
		   "\"output_tokens\":101,\"total_tokens\":115}}",
	  true, false, true, { .input = 14, .audio_input = 4, .output = 101 } },
	{ WRITTEN, "{\"text\":\"hi\",\"usage\":{\"type\":\"duration\",\"seconds\":9}}", true, false, true, { .audio_ms = 9000 } },
	{ WRITTEN, "{\"text\":\"hi\",\"duration\":8.470000267028809}", true, false, true, { .audio_ms = 9000 } },
	{ WRITTEN, "{\"text\":\"hi\",\"duration\":8.2,\"usage\":{\"seconds\":10}}", true, false, true, { .audio_ms = 10000 } },
	{ WRITTEN, "{\"text\":\"hi\",\"usage\":{\"seconds\":1e1}}", true, false, true, { .audio_ms = 10000 } },
	{ WRITTEN, "{\"text\":\"hi\",\"usage\":{\"seconds\":-3}}", false, false, true, { 0 } },
	{ WRITTEN, "{\"text\":\"hi\",\"usage\":{\"seconds\":0}}", false, false, true, { 0 } },
	{ WRITTEN, "{\"text\":\"hi\",\"usage\":{\"seconds\":1e9}}", false, false, true, { 0 } },
	{ WRITTEN, "{\"text\":\"hi\",\"usage\":{\"seconds\":\"9\"}}", false, false, true, { 0 } },
	{ WRITTEN, "{\"text\":\"hi\"}", false, false, true, { 0 } },
	{ SPEECH, "{\"error\":{\"message\":\"no\"}}", false, true, false, { 0 } },
};

static void check(const char *body, const struct report *r, bool seen, bool failed, bool output, const struct usage *u)
{
	if (r->seen != seen || r->failed != failed || r->output_seen != output || (seen && memcmp(&r->usage, u, sizeof(*u)) != 0))
		fail_msg("%s: seen %d failed %d output %d: input %lld output %lld images %lld ms %lld", body, r->seen, r->failed, r->output_seen,
			 (long long)r->usage.input, (long long)r->usage.output, (long long)r->usage.images, (long long)r->usage.audio_ms);
}

static void test_answers(void **state)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		const struct answer_case *c = &answers[i];
		struct report r;

		report_init(&r);
		assert_int_equal(calls_answer(ops(), c->ep, c->body, &r), 0);
		check(c->body, &r, c->seen, c->failed, c->output, &c->u);
		assert_true(r.ended);
	}
	struct report r;

	report_init(&r);
	assert_int_equal(calls_answer(ops(), SPEECH, "ID3\x04 sound", &r), -EINVAL);
	assert_int_equal(calls_answer(ops(), WRITTEN, "1\n00:00:00,000 --> 00:00:02,000\nhi\n", &r), -EINVAL);
	assert_false(r.seen || r.ended || r.output_seen);
}

struct stream_case {
	enum endpoint ep;
	const char *events[4];
	bool seen, failed, output, ended;
	struct usage u;
};

static const struct stream_case streams[] = {
	{ IMAGES,
	  { "{\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA\",\"partial_image_index\":0}",
	    "{\"type\":\"image_generation.completed\",\"b64_json\":\"AAAA\"," TOKENS "}" },
	  true, false, true, true, { .input = 50, .output = 4160, .image_input = 40, .image_output = 4160 } },
	{ IMAGES, { "{\"type\":\"image_generation.completed\",\"b64_json\":\"AAAA\"}" }, true, false, true, true, { .images = 1 } },
	{ IMAGES, { "{\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA\"}" }, false, false, true, false, { 0 } },
	{ IMAGES, { "{\"type\":\"error\",\"error\":{\"message\":\"no\"}}" }, false, true, false, false, { 0 } },
	{ SPEECH,
	  { "{\"type\":\"speech.audio.delta\",\"audio\":\"AAAA\"}",
	    "{\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":14,\"output_tokens\":101,\"total_tokens\":115}}" },
	  true, false, true, true, { .input = 14, .output = 101, .audio_output = 101 } },
	{ SPEECH, { "{\"type\":\"speech.audio.delta\",\"audio\":\"AAAA\"}" }, false, false, true, false, { 0 } },
	{ WRITTEN,
	  { "{\"type\":\"transcript.text.delta\",\"delta\":\"hi\"}",
	    "{\"type\":\"transcript.text.done\",\"text\":\"hi\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"output_tokens\":3}}" },
	  true, false, true, true, { .input = 14, .audio_input = 14, .output = 3 } },
};

static void test_streams(void **state)
{
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		const struct stream_case *c = &streams[i];
		struct report r;

		report_init(&r);
		for (size_t k = 0; k < 4 && c->events[k]; k++) {
			struct str data = str_of(c->events[k]);

			for (size_t n = 0; n < data.n; n++) { /* cut anywhere: nothing changes */
				struct report before = r;

				calls_event(ops(), c->ep, NULL, "", (struct str){ .p = data.p, .n = n }, &r);
				assert_memory_equal(&r, &before, sizeof(r));
			}
			calls_event(ops(), c->ep, NULL, "", data, &r);
		}
		check(c->events[0], &r, c->seen, c->failed, c->output, &c->u);
		assert_int_equal(r.ended, c->ended);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asks),	cmocka_unit_test(test_bad),
		cmocka_unit_test(test_forms),	cmocka_unit_test(test_sound_is_bounded_by_its_bytes),
		cmocka_unit_test(test_answers), cmocka_unit_test(test_streams),
	};

	return cmocka_run_group_tests(tests, calls_setup, calls_teardown);
}
