// SPDX-License-Identifier: Apache-2.0
/* Imports of both public forms, with small files of our own making: what maps, what is counted, what is refused. */
#include <errno.h>
#include <stdlib.h>

#include "spend/cost.h"
#include "spend/price/import.h"
#include "spend_test.h"

static struct err last;

/* NULL: refused, last says why. */
static struct price_import *read_text(const char *text, const char *provider)
{
	struct import_options o = { .provider = provider, .source = "test", .as_of = "2026-08-21" };
	size_t n = strlen(text);
	char *padded = calloc(1, n + BUF_PADDING);
	struct price_import *im = NULL;

	memcpy(padded, text, n);
	last.text[0] = '\0';
	if (price_import_read("f.json", padded, n, &o, &im, &last) < 0)
		im = NULL;
	free(padded); /* nothing of it may be kept */
	return im;
}

static struct price_import *good(const char *text)
{
	struct price_import *im = read_text(text, NULL);

	if (!im)
		fail_msg("%s", last.text);
	return im;
}

static const struct import_entry *entry_of(const struct price_import *im, const char *provider, const char *model)
{
	for (size_t i = 0; i < price_import_count(im); i++) {
		const struct import_entry *e = price_import_at(im, i);

		if (!strcmp(e->price.provider, provider) && !strcmp(e->price.model, model))
			return e;
	}
	return NULL;
}

static const struct price *price_in(const struct price_import *im, const char *provider, const char *model)
{
	const struct import_entry *e = entry_of(im, provider, model);

	if (!e)
		fail_msg("%s/%s is not there", provider, model);
	return &e->price;
}

static size_t notes(const struct price_import *im, enum import_note_kind kind, const char *what)
{
	size_t n = 0;

	for (size_t i = 0; i < price_import_notes(im); i++) {
		const struct import_note *note = price_import_note(im, i);

		n += note->kind == kind && strstr(note->what, what) != NULL;
	}
	return n;
}

#define USD_M(usd_times_1000) ((usd_times_1000)*INT64_C(1000000))
#define USD_K(usd_times_1000) ((usd_times_1000)*INT64_C(1000000000))

static void litellm_fields_land(void **state)
{
	struct price_import *im = good(
		"{\"sample_spec\":{\"input_cost_per_token\":\"a text\",\"litellm_provider\":\"one of\"},"
		"\"fallback_generalizations\":{\"rules\":[]},"
		"\"m\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\",\"input_cost_per_token\":1.25e-06,\"output_cost_per_token\":1e-05,"
		"\"cache_read_input_token_cost\":1.25e-07,\"cache_creation_input_token_cost\":1.5e-6,\"cache_creation_input_token_cost_above_1hr\":2e-6,"
		"\"output_cost_per_reasoning_token\":1.1e-5,\"input_cost_per_audio_token\":3.2e-5,\"output_cost_per_audio_token\":6.4e-5,"
		"\"cache_creation_input_audio_token_cost\":4e-7,\"input_cost_per_image_token\":5e-6,\"output_cost_per_image_token\":4e-5,"
		"\"input_cost_per_token_above_272k_tokens\":2.5e-06,\"output_cost_per_token_above_272k_tokens\":1.5e-05,"
		"\"input_cost_per_token_above_500k_tokens\":5e-06,"
		"\"cache_read_input_token_cost_above_272k_tokens\":2.5e-7,\"input_cost_per_token_flex\":6.25e-7,\"output_cost_per_token_flex\":5e-6,"
		"\"input_cost_per_token_above_272k_tokens_flex\":1.25e-6,\"output_cost_per_token_above_272k_tokens_flex\":7.5e-6,"
		"\"input_cost_per_token_priority\":2.5e-6,\"output_cost_per_token_priority\":2e-5,\"input_cost_per_token_batches\":6.25e-7,"
		"\"output_cost_per_token_batches\":5e-6,\"max_input_tokens\":272000,\"max_output_tokens\":128000.0,\"max_tokens\":null,"
		"\"search_context_cost_per_query\":{\"search_context_size_low\":0.01,\"search_context_size_medium\":0.02,\"search_context_size_high\":0.05},"
		"\"regional_processing_uplift_multiplier_eu\":1.1,\"provider_specific_entry\":{\"us\":1.1,\"fast\":6.0,\"odd\":1},"
		"\"citation_cost_per_token\":1e-6,\"supports_vision\":true,\"source\":\"https://x\"}}");
	const struct price *p = price_in(im, "openai", "m");
	const struct rates *r = p->sets;

	assert_int_equal(price_import_format(im), IMPORT_LITELLM);
	assert_int_equal(price_import_models(im), 1);
	assert_int_equal(r->input, USD_M(1250));
	assert_int_equal(r->cache_write_1h, USD_M(2000));
	assert_int_equal(r->reasoning, USD_M(11000));
	assert_int_equal(r->audio_cache_read, USD_M(400)); /* a misnamed field */
	assert_int_equal(r->image_output, USD_M(40000));
	assert_int_equal(r[TIER_FLEX].input, USD_M(625));
	/* not told for the tier: in proportion, or as standard where that is dearer */
	assert_int_equal(r[TIER_FLEX].cache_read, USD_M(125));
	assert_int_equal(r[TIER_PRIORITY].cache_read, USD_M(250));
	assert_int_equal(r[TIER_PRIORITY].audio_input, USD_M(64000));
	assert_int_equal(r[TIER_BATCH].output, USD_M(5000));
	assert_int_equal(p->nlongs, 2);
	assert_int_equal(p->longs[0].above, 272000);
	assert_int_equal(p->longs[0].sets[TIER_FLEX].output, USD_M(7500));
	assert_int_equal(p->longs[0].sets[TIER_STANDARD].cache_write_5m, USD_M(3000));
	assert_int_equal(p->longs[0].sets[TIER_PRIORITY].input, PRICE_UNKNOWN);
	assert_int_equal(p->longs[1].above, 500000);
	assert_int_equal(p->longs[1].sets[TIER_STANDARD].output, USD_M(15000)); /* as below */
	assert_int_equal(p->longs[1].sets[TIER_STANDARD].cache_read, USD_M(500));
	assert_int_equal(p->max_input, 272000);
	assert_int_equal(p->max_output, 128000);
	assert_int_equal(p->per_web_search[SEARCH_CONTEXT_LOW], USD_K(10000));
	assert_int_equal(p->per_web_search[SEARCH_CONTEXT_UNKNOWN], USD_K(50000));
	assert_string_equal(p->regional[0].name, "eu");
	assert_int_equal(p->geo[0].permille, 1100);
	assert_int_equal(p->fast_permille, 6000);
	assert_string_equal(p->as_of, "2026-08-21");
	assert_int_equal(notes(im, IMPORT_NOT_MAPPED, "citation_cost_per_token"), 1);
	assert_int_equal(notes(im, IMPORT_NOT_MAPPED, "provider_specific_entry"), 1);
	assert_int_equal(notes(im, IMPORT_NOT_MAPPED, ""), 2);
	assert_int_equal(notes(im, IMPORT_FLAG, "reasoning"), 1);
	price_import_free(im);
}

static void litellm_names_and_kinds(void **state)
{
	struct price_import *im = good(
		"{\"mistral/large\":{\"litellm_provider\":\"mistral\",\"mode\":\"chat\",\"input_cost_per_token\":1e-6,\"output_cost_per_token\":1e-6},"
		"\"azure/eu/x\":{\"litellm_provider\":\"azure\",\"mode\":\"chat\",\"input_cost_per_token\":1e-6,\"output_cost_per_token\":1e-6},"
		"\"vertex_ai/claude@1\":{\"litellm_provider\":\"vertex_ai-anthropic_models\",\"mode\":\"chat\",\"input_cost_per_token\":1e-6,\"output_cost_per_token\":1e-6},"
		"\"xai/g\":{\"litellm_provider\":\"xai\",\"mode\":\"chat\",\"input_cost_per_token\":1e-6,\"output_cost_per_token\":1e-6},"
		"\"g\":{\"litellm_provider\":\"xai\",\"mode\":\"chat\",\"input_cost_per_token\":2e-6,\"output_cost_per_token\":1e-6},"
		"\"e\":{\"litellm_provider\":\"openai\",\"mode\":\"embedding\",\"input_cost_per_token\":2e-8,\"output_cost_per_token\":0.0},"
		"\"hd/1024-x-1792/dall-e-3\":{\"litellm_provider\":\"openai\",\"mode\":\"image_generation\",\"input_cost_per_pixel\":6.539e-8,\"output_cost_per_pixel\":0.0},"
		"\"low/1024-x-1024/pic\":{\"litellm_provider\":\"openai\",\"mode\":\"image_generation\",\"input_cost_per_image\":0.011},"
		"\"1024-x-1024/50-steps/pic\":{\"litellm_provider\":\"openai\",\"mode\":\"image_generation\",\"output_cost_per_image\":0.06},"
		"\"pic\":{\"litellm_provider\":\"openai\",\"mode\":\"image_generation\",\"input_cost_per_token\":5e-6,\"output_cost_per_image_token\":4e-5},"
		"\"dall-e-3\":{\"litellm_provider\":\"openai\",\"mode\":\"image_generation\",\"input_cost_per_image\":0.04},"
		"\"w\":{\"litellm_provider\":\"openai\",\"mode\":\"audio_transcription\",\"input_cost_per_second\":0.0001,\"output_cost_per_second\":0.0001},"
		"\"t\":{\"litellm_provider\":\"openai\",\"mode\":\"audio_speech\",\"input_cost_per_character\":1.5e-05},"
		"\"rr\":{\"litellm_provider\":\"cohere\",\"mode\":\"rerank\",\"input_cost_per_query\":0.002,\"input_cost_per_token\":0.0,\"output_cost_per_token\":0.0},"
		"\"v\":{\"litellm_provider\":\"openai\",\"mode\":\"video_generation\",\"output_cost_per_video_per_second\":0.1},"
		"\"o\":{\"litellm_provider\":\"mistral\",\"mode\":\"ocr\",\"ocr_cost_per_page\":0.001,\"annotation_cost_per_page\":0.003},"
		"\"free\":{\"litellm_provider\":\"ollama\",\"mode\":\"chat\",\"input_cost_per_token\":0.0,\"output_cost_per_token\":0.0},"
		"\"none\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\"},"
		"\"half\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\",\"output_cost_per_token\":1e-6},"
		"\"minutes\":{\"litellm_provider\":\"bedrock\",\"mode\":\"chat\",\"input_cost_per_second\":0.1}}");

	(void)price_in(im, "mistral", "large");
	(void)price_in(im, "azure", "eu/x");
	(void)price_in(im, "vertex_ai", "claude@1");
	assert_int_equal(price_in(im, "xai", "g")->sets[0].input, USD_M(1000));
	assert_int_equal(notes(im, IMPORT_SKIPPED, "another price"), 1);
	assert_int_equal(price_in(im, "openai", "e")->sets[0].output, PRICE_UNKNOWN);
	const struct price *p = price_in(im, "openai", "dall-e-3");
	nanousd n;

	assert_true(p->is_media && p->nimages == 2);
	assert_int_equal(cost_of(p, &(struct usage){ .images = 1 }, &(struct cost_terms){ .image_size = "1024x1792", .image_quality = "hd" }, &n, NULL), 0);
	assert_int_equal(n, 119991174); /* 1835008 pixels at 65.39 nano-dollars, up */
	assert_int_equal(cost_of(p, &(struct usage){ .images = 1 }, &(struct cost_terms){ .image_size = "1024x1024" }, &n, NULL), 0);
	assert_int_equal(n, 40000000);
	p = price_in(im, "openai", "pic");
	assert_int_equal(p->nimages, 2);
	assert_int_equal(p->sets[0].image_output, USD_M(40000));
	assert_int_equal(price_in(im, "openai", "w")->per_audio_ms, 100000000); /* two names, one charge */
	assert_int_equal(price_in(im, "openai", "t")->per_character, USD_M(15000));
	assert_int_equal(price_in(im, "cohere", "rr")->per_request, USD_K(2000));
	assert_int_equal(price_in(im, "openai", "v")->per_video_ms, 100000000000);
	assert_int_equal(price_in(im, "mistral", "o")->per_page, USD_K(1000));
	assert_int_equal(notes(im, IMPORT_NOT_MAPPED, "annotation_cost_per_page"), 1);
	assert_null(entry_of(im, "ollama", "free"));
	assert_int_equal(notes(im, IMPORT_SKIPPED, "costs nothing"), 1);
	assert_int_equal(notes(im, IMPORT_SKIPPED, "charged by"), 2);
	assert_int_equal(notes(im, IMPORT_SKIPPED, "none for input"), 1);
	price_import_free(im);
	/* two names for one charge, in either order: the dearer */
	im = good("{\"a\":{\"litellm_provider\":\"p\",\"input_cost_per_token\":1e-6,\"output_cost_per_token\":1e-6,\"cache_read_input_token_cost\":2e-7,"
		  "\"input_cost_per_token_cache_hit\":1e-7},\"b\":{\"litellm_provider\":\"p\",\"input_cost_per_token\":1e-6,\"output_cost_per_token\":1e-6,"
		  "\"cache_read_input_token_cost\":1e-7,\"input_cost_per_token_cache_hit\":2e-7}}");
	assert_int_equal(price_in(im, "p", "a")->sets[0].cache_read, USD_M(200));
	assert_int_equal(price_in(im, "p", "b")->sets[0].cache_read, USD_M(200));
	price_import_free(im);
	im = read_text("{\"mistral/large\":{\"litellm_provider\":\"mistral\",\"input_cost_per_token\":1e-6,\"output_cost_per_token\":1e-6},"
		       "\"x\":{\"litellm_provider\":\"openai\",\"input_cost_per_token\":1e-6,\"output_cost_per_token\":1e-6}}", "mistral");
	assert_int_equal(price_import_count(im), 1);
	price_import_free(im);
}

static void litellm_steps_and_hours(void **state)
{
	static const char head[] = "{\"m\":{\"litellm_provider\":\"p\",\"mode\":\"chat\",";
	char text[1200];

	(void)snprintf(text, sizeof(text), "%s\"input_cost_per_token\":1e-06,\"output_cost_per_token\":2e-06,\"cache_read_input_token_cost\":1e-7,"
		       "\"tiered_pricing\":[{\"range\":[32000,128000],\"input_cost_per_token\":7e-07,\"output_cost_per_token\":3.5e-06},"
		       "{\"range\":[0,32000.0],\"input_cost_per_token\":4.6e-07},{\"range\":[5,6],\"output_cost_per_token\":1}]}}", head);
	struct price_import *im = good(text);
	const struct price *p = price_in(im, "p", "m");

	assert_int_equal(p->nlongs, 2);
	assert_int_equal(p->longs[0].above, 0);
	assert_int_equal(p->longs[0].sets[0].input, USD_M(460));
	assert_int_equal(p->longs[0].sets[0].output, USD_M(2000)); /* the model's */
	assert_int_equal(p->longs[0].sets[0].cache_read, USD_M(460)); /* its own input, not the model's cache */
	assert_int_equal(p->longs[1].above, 32000);
	assert_int_equal(notes(im, IMPORT_NOT_MAPPED, "step without input"), 1);
	price_import_free(im);
	/* without a flat price the lowest step is it */
	(void)snprintf(text, sizeof(text), "%s\"tiered_pricing\":[{\"range\":[0,10],\"input_cost_per_token\":4e-07,\"output_cost_per_token\":1e-6},"
		       "{\"range\":[10,20],\"input_cost_per_token\":5e-07,\"output_cost_per_token\":3.5e-06}]}}", head);
	im = good(text);
	p = price_in(im, "p", "m");
	assert_true(p->nlongs == 1 && p->longs[0].above == 10 && p->sets[0].input == USD_M(400));
	price_import_free(im);

	static const struct {
		const char *hours;
		size_t windows; /* 0 = not believed */
	} cases[] = {
		{ "\"hours_utc\":\"16:30-00:30\",\"output_cost_per_token\":1e-6", 1 },
		{ "\"hours_utc\":[\"01:00-02:00\",\"03:00-04:00\"],\"output_cost_per_token\":1e-6", 2 },
		{ "\"hours_utc\":\"16:30\",\"output_cost_per_token\":1e-6", 0 },
		{ "\"hours_utc\":\"16:30-16:30\",\"output_cost_per_token\":1e-6", 0 },
		{ "\"hours_utc\":[],\"output_cost_per_token\":1e-6", 0 },
		{ "\"hours_utc\":[\"01:00-02:00\",5],\"output_cost_per_token\":1e-6", 0 },
		{ "\"windows\":[{}],\"output_cost_per_token\":1e-6", 0 },
		{ "\"hours_utc\":\"16:30-00:30\",\"weekday_timezone\":\"Mars\",\"output_cost_per_token\":1e-6", 0 },
		{ "\"hours_utc\":\"16:30-00:30\",\"output_cost_per_token\":3e-6", 0 }, /* dearer by night: no */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(text, sizeof(text), "%s\"input_cost_per_token\":1e-06,\"output_cost_per_token\":2e-06,\"off_peak_pricing\":{%s}}}", head,
			       cases[i].hours);
		im = good(text);
		p = price_in(im, "p", "m");
		if ((p->noff_peak ? p->off_peak->nwindows : 0) != cases[i].windows)
			fail_msg("case %zu", i);
		assert_true(p->noff_peak || price_import_notes(im) == 1);
		price_import_free(im);
	}
}

#define GENAI(models) "[{\"id\":\"x-ai\",\"name\":\"n\",\"models\":[" models "]}]"

static void genai_lands(void **state)
{
	struct price_import *im = good(GENAI(
		"{\"id\":\"a\",\"match\":{\"or\":[{\"equals\":\"a\"},{\"equals\":\"a-2026\"},{\"starts_with\":\"a-beta\"},{\"contains\":\"b\"}]},\"context_window\":1000,"
		"\"prices\":{\"input_mtok\":{\"base\":3,\"tiers\":[{\"start\":200000,\"price\":6}]},\"output_mtok\":{\"base\":15,\"tiers\":[{\"start\":100000,\"price\":20}]},"
		"\"cache_read_mtok\":0.3,\"cache_write_mtok\":3.75,\"cache_write_1h_mtok\":6,\"input_audio_mtok\":7,\"cache_audio_read_mtok\":0.7,"
		"\"web_searches_kcount\":10,\"requests_kcount\":5,\"output_citation_mtok\":2}},"
		"{\"id\":\"b\",\"match\":{\"equals\":\"a-2026\"},\"prices\":{\"input_mtok\":1,\"output_mtok\":1}},"
		"{\"id\":\"dated\",\"match\":{\"equals\":\"d\"},\"prices\":[{\"prices\":{\"input_mtok\":2,\"output_mtok\":10}},"
		"{\"constraint\":{\"start_date\":\"2026-09-01\"},\"prices\":{\"input_mtok\":3,\"output_mtok\":15}},"
		"{\"constraint\":{\"start_date\":\"2026-10-01\"},\"prices\":{\"input_mtok\":4,\"output_mtok\":15}}]},"
		"{\"id\":\"night\",\"prices\":[{\"prices\":{\"input_mtok\":0.135,\"output_mtok\":0.55}},"
		"{\"constraint\":{\"start_time\":\"00:30:00Z\",\"end_time\":\"16:30:00Z\"},\"prices\":{\"input_mtok\":0.27,\"output_mtok\":1.1}}]},"
		"{\"id\":\"day\",\"prices\":[{\"prices\":{\"input_mtok\":2,\"output_mtok\":2}},"
		"{\"constraint\":{\"start_time\":\"01:00:00Z\",\"end_time\":\"02:00:00Z\"},\"prices\":{\"input_mtok\":1,\"output_mtok\":1}}]},"
		"{\"id\":\"odd\",\"prices\":[{\"prices\":{\"input_mtok\":2,\"output_mtok\":2}},"
		"{\"constraint\":{\"start_time\":\"01:00:30Z\",\"end_time\":\"02:00:00Z\"},\"prices\":{\"input_mtok\":1,\"output_mtok\":1}}]},"
		"{\"id\":\"embed\",\"prices\":{\"input_mtok\":0.02}},{\"id\":\"zero\",\"prices\":{\"input_mtok\":0,\"output_mtok\":0}},"
		"{\"id\":\"call\",\"prices\":{\"requests_kcount\":8}},{\"id\":\"nothing\",\"prices\":{}}"));
	const struct price *p = price_in(im, "xai", "a");

	assert_int_equal(price_import_format(im), IMPORT_GENAI);
	assert_int_equal(price_import_models(im), 10);
	assert_int_equal(p->nlongs, 2);
	assert_int_equal(p->longs[0].above, 100000);
	assert_int_equal(p->longs[0].sets[0].input, USD_M(3000));
	assert_int_equal(p->longs[0].sets[0].output, USD_M(20000));
	assert_int_equal(p->longs[1].sets[0].input, USD_M(6000));
	assert_int_equal(p->longs[1].sets[0].output, USD_M(20000));
	assert_int_equal(p->longs[1].sets[0].cache_read, USD_M(300)); /* each price has its own steps */
	assert_int_equal(p->sets[0].audio_cache_read, USD_M(700));
	assert_int_equal(p->per_web_search[0], USD_K(10000));
	assert_int_equal(p->per_request, USD_K(5000));
	assert_int_equal(p->max_input, 1000);
	const struct import_entry *e = entry_of(im, "xai", "a");

	assert_int_equal(e->naliases, 2); /* "b" is a model of its own */
	assert_string_equal(e->aliases[0], "a-2026");
	assert_string_equal(e->aliases[1], "a-beta");
	assert_int_equal(entry_of(im, "xai", "b")->naliases, 0); /* the first that matches wins */
	assert_int_equal(notes(im, IMPORT_NOT_MAPPED, "match.starts_with"), 1);
	assert_int_equal(notes(im, IMPORT_NOT_MAPPED, "output_citation_mtok"), 1);
	p = price_in(im, "xai", "dated");
	assert_true(p[0].from_s == 0 && p[0].to_s == 1788220800 && p[0].sets[0].input == USD_M(2000));
	size_t dated = 0;

	for (size_t i = 0; i < price_import_count(im); i++)
		dated += !strcmp(price_import_at(im, i)->price.model, "dated");
	assert_int_equal(dated, 3);
	/* the dearer is the rule, also where the file has it the other way round */
	p = price_in(im, "xai", "night");
	assert_true(p->sets[0].input == USD_M(270) && p->noff_peak == 1 && p->off_peak->rates.input == USD_M(135));
	assert_true(p->off_peak->windows[0].from_min == 990 && p->off_peak->windows[0].to_min == 30);
	p = price_in(im, "xai", "day");
	assert_true(p->sets[0].input == USD_M(2000) && p->off_peak->windows[0].from_min == 60 && p->off_peak->rates.input == USD_M(1000));
	p = price_in(im, "xai", "odd");
	assert_true(p->noff_peak == 0 && p->sets[0].input == USD_M(2000) && notes(im, IMPORT_FLAG, "cannot be read") == 1);
	assert_int_equal(price_in(im, "xai", "embed")->sets[0].output, PRICE_UNKNOWN);
	assert_true(price_in(im, "xai", "call")->is_media);
	assert_int_equal(notes(im, IMPORT_SKIPPED, "costs nothing"), 1);
	assert_int_equal(notes(im, IMPORT_SKIPPED, "no price for input"), 1);
	price_import_free(im);
}

#define LITE(fields) "{\"m\":{\"litellm_provider\":\"p\",\"mode\":\"chat\"," fields "}}"
#define PRICED "\"input_cost_per_token\":1e-6,\"output_cost_per_token\":1e-6"

static void bad_files_are_refused_as_a_whole(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "", "not JSON" },
		{ "{}", "no price file" },
		{ "[]", "no price file" },
		{ "7", "no price file" },
		{ "{\"a\":{\"b\":1}}", "no price file" },
		{ LITE("\"input_cost_per_token\":NaN"), "not JSON" },
		{ LITE("\"input_cost_per_token\":-1e-6"), "model \"m\": input_cost_per_token: -1e-6 is below zero" },
		{ LITE("\"input_cost_per_token\":-0.0"), "below zero" },
		{ LITE("\"input_cost_per_token\":true"), "true is no price" },
		{ LITE("\"input_cost_per_token\":\"1e-6\""), "without quotes" },
		{ LITE("\"input_cost_per_token\":[1]"), "is no price" },
		{ LITE("\"input_cost_per_token\":1e3"), "is the unit right" },
		{ LITE(PRICED ",\"input_cost_per_token\":2e-6"), "stands twice" },
		{ LITE(PRICED ",\"input_cost_per\\u005ftoken\":2e-6"), "stands twice" },
		{ "{\"m\":{\"litellm_provider\":\"p\"," PRICED "},\"m\":{\"litellm_provider\":\"p\"," PRICED "}}", "stands twice" },
		{ LITE(PRICED ",\"search_context_cost_per_query\":\"10\""), "by size" },
		{ LITE(PRICED ",\"search_context_cost_per_query\":{\"search_context_size_low\":\"1\"}"), "without quotes" },
		{ LITE(PRICED ",\"provider_specific_entry\":{\"fast\":-6}"), "no factor" },
		{ LITE(PRICED ",\"provider_specific_entry\":{\"fast\":\"6\"}"), "no factor" },
		{ LITE(PRICED ",\"tiered_pricing\":{}"), "no list" },
		{ LITE(PRICED ",\"tiered_pricing\":[5]"), "no step" },
		{ LITE(PRICED ",\"tiered_pricing\":[{\"range\":[-1,2],\"input_cost_per_token\":1}]"), "no range" },
		{ GENAI("{\"id\":\"a\",\"prices\":{\"input_mtok\":\"1\"}}"), "without quotes" },
		{ GENAI("{\"id\":\"a\",\"prices\":{\"input_mtok\":-1}}"), "below zero" },
		{ GENAI("{\"id\":\"a\",\"prices\":{\"input_mtok\":{\"tiers\":[]}}}"), "no base" },
		{ GENAI("{\"id\":\"a\",\"prices\":{\"input_mtok\":{\"base\":1,\"tiers\":[{\"price\":1}]}}}"), "no step" },
		{ GENAI("{\"id\":\"a\",\"prices\":7}"), "no set" },
		{ GENAI("{\"id\":\"a\",\"prices\":{\"input_mtok\":1,\"input_mtok\":2}}"), "stands twice" },
		{ GENAI("7"), "no model" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct price_import *im = read_text(cases[i].text, NULL);

		if (im)
			fail_msg("accepted: %s", cases[i].text);
		if (!strstr(last.text, cases[i].says) || !strstr(last.text, "f.json"))
			fail_msg("wanted \"%s\" in: %s", cases[i].says, last.text);
	}
	/* on one real entry this is a text: no price, no error */
	struct price_import *im = good(LITE(PRICED ",\"provider_specific_entry\":\"titan\""));

	assert_int_equal(notes(im, IMPORT_NOT_MAPPED, "provider_specific_entry"), 1);
	price_import_free(im);
}

static void size_is_bounded(void **state)
{
	size_t n = PRICE_IMPORT_MAX_BYTES + 1;
	char *text = calloc(1, n + BUF_PADDING);
	struct import_options o = { .source = "s", .as_of = "2026-08-21" };
	struct price_import *im = NULL;
	struct err e = { "" };

	memset(text, ' ', n);
	assert_int_equal(price_import_read("big.json", text, n, &o, &im, &e), -EFBIG);
	assert_non_null(strstr(e.text, "32 MiB"));
	free(text);
	/* many fields in one model would be looked at pair by pair */
	text = malloc(64 << 10);
	n = (size_t)snprintf(text, 64 << 10, "{\"m\":{\"litellm_provider\":\"p\"");
	for (int i = 0; i < 400; i++)
		n += (size_t)snprintf(text + n, (64 << 10) - n, ",\"f%d\":1", i);
	(void)snprintf(text + n, (64 << 10) - n, "}}");
	assert_null(read_text(text, NULL));
	assert_non_null(strstr(last.text, "too many"));
	free(text);
}

/* What looks wrong is said, and taken. */
static void odd_prices_are_flagged(void **state)
{
	static const struct {
		const char *fields, *says;
	} cases[] = {
		{ PRICED ",\"cache_read_input_token_cost\":2e-6", "reading the cache is dearer" },
		{ PRICED ",\"cache_creation_input_token_cost\":5e-7", "writing the cache is cheaper" },
		{ PRICED ",\"input_cost_per_token_flex\":6e-7", "flex is not half" },
		{ PRICED ",\"input_cost_per_token_batches\":4e-7", "batch is not half" },
		{ PRICED ",\"input_cost_per_token_priority\":50e-6", "priority" },
		{ PRICED ",\"input_cost_per_token_priority\":1e-6", "priority" },
		{ PRICED ",\"input_cost_per_token_above_200k_tokens\":5e-7", "long context is cheaper" },
		{ "\"input_cost_per_token\":2e-6,\"output_cost_per_token\":1e-6", "swapped" },
		{ "\"input_cost_per_token\":2e-4,\"output_cost_per_token\":1e-3", "over 100 USD" },
		{ PRICED ",\"supports_prompt_caching\":true", "claims a prompt cache" },
		{ PRICED ",\"provider_specific_entry\":{\"fast\":0.5}", "fast" },
	};
	char text[400];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(text, sizeof(text), "{\"m\":{\"litellm_provider\":\"p\",\"mode\":\"chat\",%s}}", cases[i].fields);
		struct price_import *im = good(text);

		(void)price_in(im, "p", "m");
		if (notes(im, IMPORT_FLAG, cases[i].says) != 1)
			fail_msg("no flag \"%s\" for %s", cases[i].says, cases[i].fields);
		price_import_free(im);
	}
	/* what all sound prices look like is not flagged */
	struct price_import *im = good(LITE("\"input_cost_per_token\":3e-6,\"output_cost_per_token\":15e-6,\"cache_read_input_token_cost\":3e-7,"
					    "\"cache_creation_input_token_cost\":3.75e-6,\"input_cost_per_token_flex\":1.5e-6,\"output_cost_per_token_flex\":7.5e-6"));

	assert_int_equal(notes(im, IMPORT_FLAG, ""), 0);
	assert_int_equal(notes(im, IMPORT_DERIVED, "twice input"), 1);
	price_import_free(im);
}

/* Cut or damaged anywhere: refused with a reason, or understood; never a crash, and never a price that nobody wrote. */
static void damage_is_harmless(void **state)
{
	static const char text[] = "{\"m\":{\"litellm_provider\":\"p\",\"mode\":\"chat\"," PRICED
				   ",\"tiered_pricing\":[{\"range\":[0,5],\"input_cost_per_token\":7e-07}],\"off_peak_pricing\":{\"hours_utc\":\"01:00-02:00\","
				   "\"input_cost_per_token\":1e-9},\"search_context_cost_per_query\":{\"search_context_size_low\":0.01}}}";
	uint64_t seed = 4711;
	size_t refused = 0;

	print_message("seed %llu\n", (unsigned long long)seed);
	for (size_t i = 0; i < 20000; i++) {
		char copy[sizeof(text)];
		size_t n = i < sizeof(text) ? i : sizeof(text) - 1;

		memcpy(copy, text, sizeof(text));
		copy[n] = '\0';
		if (i >= sizeof(text)) {
			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			copy[(seed >> 33) % (sizeof(text) - 1)] = (char)((seed >> 20) % 127 + 1);
		}
		struct price_import *im = read_text(copy, NULL);

		if (!im) {
			refused++;
			assert_true(last.text[0] != '\0');
			continue;
		}
		for (size_t k = 0; k < price_import_count(im); k++)
			assert_true(price_import_at(im, k)->price.sets[0].input >= 0);
		price_import_free(im);
	}
	assert_true(refused > 1000);
}

/* Of prices that begin at the same time one is in force: the last one, and the report says so. */
static void genai_same_start_keeps_the_last(void **state)
{
	static const char *const files[] = {
		"[{\"id\":\"p\",\"models\":[{\"id\":\"m\",\"match\":{\"equals\":\"n\"},\"prices\":[{\"prices\":{\"input_mtok\":1,\"output_mtok\":2}},"
		"{\"prices\":{\"input_mtok\":3,\"output_mtok\":4}}]}]}]",
		"[{\"id\":\"p\",\"models\":[{\"id\":\"m\",\"match\":{\"equals\":\"n\"},\"prices\":[{\"prices\":{\"input_mtok\":1,\"output_mtok\":2}},"
		"{\"constraint\":{\"start_date\":\"1970-01-01\"},\"prices\":{\"input_mtok\":3,\"output_mtok\":4}}]}]}]",
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct price_import *im = good(files[i]);
		const struct import_entry *e = entry_of(im, "p", "m");

		assert_int_equal(price_import_count(im), 1);
		assert_int_equal(e->price.sets[0].input, USD_M(3000));
		assert_int_equal(e->price.from_s, 0);
		assert_int_equal(e->price.to_s, 0);
		assert_int_equal(e->naliases, 1);
		assert_int_equal(notes(im, IMPORT_FLAG, "begin at the same time"), 1);
		price_import_free(im);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(litellm_fields_land),
		cmocka_unit_test(litellm_names_and_kinds),
		cmocka_unit_test(litellm_steps_and_hours),
		cmocka_unit_test(genai_lands),
		cmocka_unit_test(bad_files_are_refused_as_a_whole),
		cmocka_unit_test(size_is_bounded),
		cmocka_unit_test(odd_prices_are_flagged),
		cmocka_unit_test(damage_is_harmless),
		cmocka_unit_test(genai_same_start_keeps_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
