// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_config.c: a text as YAML tree and as purse.yaml. Checked besides memory: a complaint names the file; a map finds what it says it
 * has; what `config show` writes reads back and shows the same.
 */
#include "fuzz.h"

#include "base/str.h"
#include "base/yaml.h"
#include "ctl/config/config.h"

const struct str fuzz_seeds[] = {
	FUZZ_SEED("state_dir: /var/lib/purse\nworkers: 2\ncapture_ports: [443, 8443]\nothers: deny\nheartbeat_stale: 700ms\nbody_max: 1MiB\n"
		  "nat64_prefixes: [\"64:ff9b::/96\"]\nhttp2: false\ntimezone: UTC\nresets_at: \"06:00\"\n"),
	FUZZ_SEED("providers:\n  - name: p\n    dialect: openai\n    hosts: [a.example, .b.example]\n    port: 8443\n    addresses: [192.0.2.0/24]\n"
		  "    class: shared\n    price_percent: 110\n    region: eu\n    output_rate: 100\n    on_abort: drain\n    drain_for: 2s\n"),
	FUZZ_SEED("accounts:\n  - name: t\n    month: 1000USD\n    rules: { requests_per_minute: 60, loop: { times: 5, within: 1m },\n"
		  "      models: { allow: [\"gpt*\"] }, dry_run: [loop] }\nagents:\n  - name: b\n    account: t\n    day: 1USD\n    on_exhausted: explain\n"
		  "    exhausted_below: 0.10USD\n"),
	FUZZ_SEED("alerts:\n  - name: a\n    accounts: [\"*\"]\n    at: [50, 90%]\n    when: [refused, rule]\n    forecast: true\n"
		  "    webhook: https://a.example/x\n    timeout: 5s\n    repeat: 1h\n"),
	FUZZ_SEED("# nothing\n---\n{\"workers\": 1, 'run_dir': \"/run/\\x41\"}\n"),
	FUZZ_SEEDS_END,
};

static void walk(const struct yaml_node *n, unsigned depth)
{
	MUST(depth <= 33 && yaml_line(n) >= 1);
	if (yaml_kind(n) == YAML_SCALAR) {
		MUST(strlen(yaml_scalar(n).p) == yaml_scalar(n).n && yaml_count(n) == 0);
		return;
	}
	for (size_t i = 0; i < yaml_count(n); i++) {
		if (yaml_kind(n) == YAML_MAP)
			MUST(yaml_find(n, yaml_key(n, i).p) == yaml_at(n, i));
		walk(yaml_at(n, i), depth + 1);
	}
}

static void check_complaint(const struct err *e)
{
	MUST(memchr(e->text, '\0', sizeof(e->text)) && strstr(e->text, "f.yaml"));
}

static void check_tree(const char *text, size_t size)
{
	struct err e = { "" };
	struct yaml *y;

	if (yaml_parse("f.yaml", text, size, &y, &e) < 0) {
		check_complaint(&e);
		return;
	}
	if (yaml_root(y))
		walk(yaml_root(y), 1);
	yaml_free(y);
}

static void show_again(const struct config *c)
{
	struct config *again;
	struct buf first, second, json;

	buf_init(&first, 1 << 24);
	buf_init(&second, 1 << 24);
	buf_init(&json, 1 << 24);
	MUST(config_show(c, &first) == 0);
	MUST(config_parse("f.yaml", buf_ptr(&first), buf_len(&first), &again, NULL) == 0);
	MUST(config_show(again, &second) == 0);
	MUST(fuzz_same(&first, &second));
	MUST(config_show_json(c, &json) == 0);
	config_free(again);
	buf_done(&first);
	buf_done(&second);
	buf_done(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size);
	struct err e = { "" };
	struct config *c;

	check_tree(text, size);
	if (config_parse("f.yaml", text, size, &c, &e) < 0) {
		check_complaint(&e);
	} else {
		show_again(c);
		config_free(c);
	}
	free(text);
	return 0;
}
