// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_prices.c: price lists. First byte: 0 our own YAML, 1 a public JSON file (LiteLLM's or genai-prices' form).
 *
 * Checked besides memory: every entry is found under its name at its time; rates are known and >= 0, or unknown; what is written of a list
 * loads, and is neither dearer nor cheaper. An import is written as `purse prices import` does it, and has to load too.
 */
#include "fuzz.h"

#include "spend/price/price.h"
#include "spend/price/import.h"

const struct str fuzz_seeds[] = {
	FUZZ_SEED("\0providers:\n  p:\n    source: s\n    as_of: 2026-08-21\n    models:\n      m:\n        input: 1.25\n        output: 10\n"
		  "        cache_read: 0.125\n        aliases: [n, \"o-*\"]\n        max_input: 1000\n"),
	FUZZ_SEED("\0providers:\n  p:\n    source: s\n    models:\n      m:\n        -\n          to: 2026-01-01\n          input: 1\n"
		  "          output: 2\n        -\n          from: 2026-01-01\n          input: 2\n          output: 3\n          web_search: 10\n"),
	FUZZ_SEED("\0providers:\n  p:\n    source: s\n    models:\n      m:\n        input: 1\n        output: 2\n        flex: {input: 0.5, output: 1}\n"
		  "        long_context: {above: 200000, standard: {input: 2, output: 3}}\n        off_peak: {days: [sat, sun], hours: [\"16:30-00:30\"], input: 0.5}\n"
		  "        fast: {input: 6, output: 12}\n        web_search: {low: 5, medium: 10, high: 20}\n        reported: ignored\n"
		  "        geo: {us: 1.1, eu: 1.055}\n        regional: {eu: 1.1}\n        image: {1024x1024: 40, hd/1x1: 80, any: 20}\n        video_input: 3\n"
		  "      o:\n        input: 1\n        output: 2\n        fast: 2.5\n        long_context:\n          - {above: 5, inclusive: true, standard: {input: 8, output: 9},"
		  " batch: {input: 4, output: 6}}\n          - {above: 9, standard: {input: 9, output: 9}}\n        off_peak: {hours: \"10:00-24:00\", output: 1}\n"),
	FUZZ_SEED("\0providers:\n  p:\n    models:\n      m:\n        kind: media\n        per_request: 1\n        audio_second: 0.1\n        page: 2\n"
		  "        character: 0.5\n        max_output: 10\n"),
	FUZZ_SEED("\1{\"m\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\",\"input_cost_per_token\":1.25e-06,\"output_cost_per_token\":1e-05,"
		  "\"cache_read_input_token_cost\":1.25e-07,\"input_cost_per_token_above_200k_tokens\":2.5e-06,\"max_input_tokens\":1000,"
		  "\"search_context_cost_per_query\":{\"search_context_size_low\":0.01},\"input_cost_per_token_flex\":1e-7}}"),
	FUZZ_SEED("\1{\"m-2026-01-01\":{\"litellm_provider\":\"anthropic\",\"input_cost_per_token\":3e-06,\"output_cost_per_token\":1.5e-05,"
		  "\"cache_creation_input_token_cost\":3.75e-06,\"output_cost_per_image\":0.04}}"),
	FUZZ_SEED("\1[{\"id\":\"openai\",\"name\":\"OpenAI\",\"models\":[{\"id\":\"m\",\"match\":{\"or\":[{\"equals\":\"m\"},{\"starts_with\":\"m-\"}]},"
		  "\"prices\":{\"input_mtok\":1.25,\"output_mtok\":{\"base\":10,\"tiers\":[{\"start\":200000,\"price\":15}]}}}]}]"),
	FUZZ_SEED("\1[{\"id\":\"p\",\"models\":[{\"id\":\"m\",\"match\":{\"equals\":\"m\"},\"prices\":[{\"prices\":{\"input_mtok\":1,\"output_mtok\":2}},"
		  "{\"constraint\":{\"start_date\":\"2026-01-01\"},\"prices\":{\"input_mtok\":2,\"output_mtok\":3,\"requests_kcount\":5}}]}]}]"),
	FUZZ_SEEDS_END,
};

#define GROUP_MAX 64
#define ALIASES_MAX 256

static void check_price(const struct price *p)
{
	for (size_t set = 0; set < RATE_SETS; set++)
		for (size_t row = 0; row < RATES_COUNT; row++)
			MUST(*price_rate((struct rates *)&p->sets[set], row) >= PRICE_UNKNOWN);
	MUST(p->per_request >= 0 && p->max_input >= -1 && p->max_output >= -1);
	MUST(!p->to_s || p->from_s < p->to_s);
	for (size_t i = 1; i < p->nlongs; i++)
		MUST(p->longs[i - 1].above <= p->longs[i].above);
}

static bool same_model(const struct price *a, const struct price *b)
{
	return !strcmp(a->provider, b->provider) && !strcmp(a->model, b->model);
}

static struct price_list *read_written(struct price_writer *w)
{
	struct price_list *ret = NULL;
	struct err e = { "" };

	MUST(price_write_end(w) == 0);
	if (price_list_parse("again", buf_ptr(w->out), buf_len(w->out), &ret, &e) < 0)
		fuzz_fail(e.text);
	return ret;
}

/* Entries of one model, and models of one provider, need not stand together in a list of ours: only lists where they do are written. */
static bool is_grouped(const struct price_list *l)
{
	const size_t n = price_list_count(l);

	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 2; j < n; j++)
			if (!strcmp(price_list_at(l, i)->provider, price_list_at(l, j)->provider) &&
			    (strcmp(price_list_at(l, j - 1)->provider, price_list_at(l, j)->provider) ||
			     (same_model(price_list_at(l, i), price_list_at(l, j)) && !same_model(price_list_at(l, j - 1), price_list_at(l, j)))))
				return false;
	return true;
}

static void write_again(struct price_list *l)
{
	const struct price *group[GROUP_MAX];
	const char *aliases[ALIASES_MAX];
	struct price_list *again;
	struct price_writer w;
	struct buf out;

	buf_init(&out, 1 << 24);
	price_write_begin(&w, &out, "c");
	for (size_t i = 0, n; i < price_list_count(l); i += n) {
		const struct price *p = price_list_at(l, i);

		for (n = 0; i + n < price_list_count(l) && n < GROUP_MAX && same_model(p, price_list_at(l, i + n)); n++)
			group[n] = price_list_at(l, i + n);
		price_write_model(&w, group, n, aliases, price_list_aliases(l, p, aliases, ALIASES_MAX));
	}
	again = read_written(&w);
	MUST(price_list_count(again) == price_list_count(l));
	for (size_t i = 0; i < price_list_count(l); i++) {
		MUST(same_model(price_list_at(l, i), price_list_at(again, i)));
		MUST(price_compare(price_list_at(l, i), price_list_at(again, i)) == 0);
	}
	price_list_unref(again);
	buf_done(&out);
}

static void own(const char *text, size_t n)
{
	struct err e = { "" };
	struct price_list *l;

	if (price_list_parse("f.yaml", text, n, &l, &e) < 0) {
		MUST(strstr(e.text, "f.yaml"));
		return;
	}
	for (size_t i = 0; i < price_list_count(l); i++) {
		const struct price *p = price_list_at(l, i);

		check_price(p);
		MUST(price_find(l, p->provider, p->model, p->from_s) == p);
	}
	if (is_grouped(l))
		write_again(l);
	price_list_unref(l);
}

static void public(const char *text, size_t n)
{
	const struct import_options o = { .source = "s", .as_of = "2026-08-21" };
	const struct price *group[GROUP_MAX];
	struct price_import *im;
	struct err e = { "" };
	struct price_writer w;
	struct buf out;

	if (price_import_read("f.json", text, n, &o, &im, &e) < 0) {
		MUST(strstr(e.text, "f.json"));
		return;
	}
	buf_init(&out, 1 << 24);
	price_write_begin(&w, &out, "c");
	for (size_t i = 0, m; i < price_import_count(im); i += m) {
		const struct import_entry *first = price_import_at(im, i);

		for (m = 0; i + m < price_import_count(im) && m < GROUP_MAX && same_model(&first->price, &price_import_at(im, i + m)->price); m++) {
			group[m] = &price_import_at(im, i + m)->price;
			check_price(group[m]);
		}
		price_write_model(&w, group, m, first->aliases, first->naliases);
	}
	price_list_unref(read_written(&w));
	price_import_free(im);
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	text = fuzz_padded((struct str){ (const char *)data + 1, size - 1 });
	if (data[0] & 1)
		public(text, size - 1);
	else
		own(text, size - 1);
	free(text);
	return 0;
}
