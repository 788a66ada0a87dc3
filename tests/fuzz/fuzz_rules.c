// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_rules.c: rules of accounts. First byte: 0 their text, 1 YAML, 2 a text, LF and a patch over it, 3 a glob, LF, provider, LF, model.
 *
 * Checked besides memory: what was read can be written, passes its own check, and reads back as the same; a patch put twice is a patch
 * put once; a glob without wildcards matches itself only.
 */
#include "fuzz.h"

#include "base/str.h"
#include "base/yaml.h"
#include "ctl/config/rules_yaml.h"
#include "spend/rules/rules.h"

#define ALL \
	"{\"requests_per_minute\":60,\"tokens_per_minute\":100000,\"calls_in_flight\":4,\"per_call\":\"0.50\"," \
	"\"loop\":{\"times\":5,\"within_s\":60},\"burn_rate\":{\"times\":10,\"within_s\":600}," \
	"\"models\":{\"allow\":[\"gpt-5*\"],\"deny\":[\"*-pro\"]}," \
	"\"model_limits\":[{\"models\":\"claude-opus*\",\"day\":\"5.00\",\"total\":null}],\"dry_run\":[\"loop\"]}"
const struct str fuzz_seeds[] = {
	FUZZ_SEED("\0" ALL),
	FUZZ_SEED("\1" "requests_per_minute: 60\nloop: { times: 5, within: 1m }\nmodels:\n  deny: [\"a?b\", c]\nper_call: $0.50\ndry_run: [models]\n"),
	FUZZ_SEED("\2" ALL "\n{\"models\":{\"deny\":null},\"loop\":null,\"per_call\":\"1USD\",\"burn_rate\":{\"within\":\"2m\"}}"),
	FUZZ_SEED("\2{}\n" ALL),
	FUZZ_SEED("\3*a*b?c\nopenai\naxbyc"),
	FUZZ_SEED("\3openai/g*\nopenai\ngpt"),
	FUZZ_SEEDS_END,
};

static void write_to(const struct rules *r, struct buf *out)
{
	buf_init(out, 1 << 20);
	MUST(rules_write(r, out) == 0);
}

static void must_equal(const struct rules *a, const struct rules *b)
{
	struct buf x, y;

	write_to(a, &x);
	write_to(b, &y);
	MUST(fuzz_same(&x, &y) && rules_set(a) == rules_set(b));
	buf_done(&x);
	buf_done(&y);
}

static void read_shown(const struct rules *r)
{
	struct rules again;
	const struct yaml_node *culprit;
	struct yaml *y;
	struct buf out;

	buf_init(&out, 1 << 20);
	MUST(rules_show(r, &out) == 0);
	MUST(yaml_parse("f", buf_ptr(&out), buf_len(&out), &y, NULL) == 0);
	MUST(rules_from_yaml(yaml_root(y), &again, &culprit, NULL) == 0);
	must_equal(r, &again);
	yaml_free(y);
	buf_done(&out);
}

static void check(const struct rules *r)
{
	struct rules again;
	struct buf out;

	MUST(rules_check_values(r, NULL) == 0);
	MUST(r->nallow <= RULES_MODELS_MAX && r->ndeny <= RULES_MODELS_MAX && r->nmodel_limits <= RULES_MODEL_LIMITS_MAX);
	write_to(r, &out);
	MUST(rules_parse(buf_ptr(&out), buf_len(&out), &again, NULL) == 0);
	must_equal(r, &again);
	buf_done(&out);
	read_shown(r);
}

static void from_yaml(struct str s)
{
	const struct yaml_node *culprit = NULL;
	struct err e = { "" };
	struct rules r;
	struct yaml *y;

	if (yaml_parse("f", s.p, s.n, &y, NULL) < 0)
		return;
	if (yaml_root(y) && yaml_kind(yaml_root(y)) == YAML_MAP) {
		if (rules_from_yaml(yaml_root(y), &r, &culprit, &e) == 0)
			check(&r);
		else
			MUST(e.text[0] && culprit && yaml_line(culprit) >= 1);
	}
	yaml_free(y);
}

static void merge(struct str patch)
{
	struct rules old, once, twice;
	struct str text = str_cut(&patch, '\n');
	char *p = fuzz_padded(text), *q = fuzz_padded(patch);
	struct err e = { "" };

	if (rules_parse(p, text.n, &old, NULL) == 0) {
		if (rules_merge(&old, (struct str){ q, patch.n }, &once, &e) == 0) {
			check(&once);
			MUST(rules_merge(&once, (struct str){ q, patch.n }, &twice, NULL) == 0);
			must_equal(&once, &twice);
		} else {
			MUST(e.text[0]);
		}
		MUST(rules_merge(&old, STR("{}"), &once, NULL) == 0);
		must_equal(&old, &once);
	}
	free(p);
	free(q);
}

static bool has(const char *s, const char *bytes)
{
	return s[strcspn(s, bytes)] != '\0';
}

static void glob(struct str s)
{
	struct str pattern = str_cut(&s, '\n'), provider = str_cut(&s, '\n');
	char g[RULES_GLOB_MAX], p[64], m[256];
	bool matches;

	(void)str_copy(g, sizeof(g), pattern);
	(void)str_copy(p, sizeof(p), provider);
	(void)str_copy(m, sizeof(m), s);
	matches = rules_glob(g, p, m);
	MUST(!matches || has(g, "*?/") || strcasecmp(g, m) == 0);
	MUST(rules_glob("*", p, m));
	MUST(has(m, "/*?") || strlen(m) >= RULES_GLOB_MAX || rules_glob(m, p, m));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data + 1, size - 1 };
	struct rules r;
	char *copy;

	if (size == 0)
		return 0;
	copy = fuzz_padded(in);
	in.p = copy;
	switch (data[0] & 3) {
	case 0:
		if (rules_parse(copy, in.n, &r, NULL) == 0)
			check(&r);
		break;
	case 1: from_yaml(in); break;
	case 2: merge(in); break;
	default: glob(in);
	}
	free(copy);
	return 0;
}
