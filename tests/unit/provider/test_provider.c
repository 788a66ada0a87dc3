// SPDX-License-Identifier: Apache-2.0
/* test_provider.c: the table of dialects, request targets to paths, what is free. */
#include "calls.h"

#include <errno.h>

static void test_rows(void **state)
{
	static const char *const names[] = { "openai", "openai-compatible", "openai-reporting", "openrouter", "xai", "perplexity",
					     "anthropic" };
	size_t n = 0;

	for (; provider_at(n); n++) {
		const struct provider_ops *o = provider_at(n);

		assert_true(o->dialect_help && o->classify && o->read_request && o->read_answer && o->read_event &&
			    o->write_error && o->write_stream_error);
		assert_ptr_equal(provider_find(o->name), o);
	}
	assert_int_equal(n, sizeof(names) / sizeof(names[0]));
	for (size_t i = 0; i < n; i++)
		assert_non_null(provider_find(names[i]));
	assert_null(provider_find("gemini"));
	assert_null(provider_find(""));
	assert_null(provider_find("OpenAI"));
}

static void test_report_init(void **state)
{
	struct report r, zero;

	memset(&zero, 0, sizeof(zero));
	zero.reported_cost = -1;

	memset(&r, 0xa5, sizeof(r));
	report_init(&r);
	assert_memory_equal(&r, &zero, sizeof(r));
}

struct path_case {
	const char *target, *prefix;
	int r;
	const char *path;
};

static const struct path_case paths[] = {
	{ "/v1/chat/completions", "/v1", 0, "/chat/completions" },
	{ "/v1/chat/completions?beta=true", "/v1", 0, "/chat/completions" },
	{ "/v1/messages#stream", "/v1", 0, "/messages" },
	{ "//v1///chat//completions", "/v1", 0, "/chat/completions" },
	{ "/chat/completions", "", 0, "/chat/completions" },
	{ "/chat/completions", NULL, 0, "/chat/completions" },
	{ "/v1", "/v1", 0, "/" },
	{ "/v1/", "/v1", 0, "/" },
	{ "/v1?x", "/v1", 0, "/" },
	{ "/", "", 0, "/" },
	{ "/v1/x", "/v1/", 0, "/x" },
	{ "/v1/ch%61t/compl%65tions", "/v1", 0, "/chat/completions" },
	{ "/v1/chat%2Fcompletions", "/v1", 0, "/chat/completions" },
	{ "/v1/chat%2f%2Fcompletions", "/v1", 0, "/chat/completions" },
	{ "%2Fv1/models", "/v1", -EINVAL, NULL },
	{ "/v1/models/a%3Ab", "/v1", 0, "/models/a:b" },
	{ "/v1/models/a%3Fb", "/v1", 0, "/models/a?b" },
	{ "/v1/models/%25", "/v1", 0, "/models/%" },
	{ "/v1/models/%2561", "/v1", 0, "/models/%61" }, /* decoded once */
	{ "/v1/models/.../x", "/v1", 0, "/models/.../x" },
	{ "/v1/models/.x", "/v1", 0, "/models/.x" },
	/* out of the prefix */
	{ "/v2/chat/completions", "/v1", -ENOENT, NULL },
	{ "/v11/chat/completions", "/v1", -ENOENT, NULL },
	{ "/chat/completions", "/v1", -ENOENT, NULL },
	{ "/V1/chat/completions", "/v1", -ENOENT, NULL },
	/* bad */
	{ "", "/v1", -EINVAL, NULL },
	{ "?x", "", -EINVAL, NULL },
	{ "*", "", -EINVAL, NULL },
	{ "http://api.openai.com/v1/models", "/v1", -EINVAL, NULL },
	{ "/v1/%", "/v1", -EINVAL, NULL },
	{ "/v1/%2", "/v1", -EINVAL, NULL },
	{ "/v1/%zz", "/v1", -EINVAL, NULL },
	{ "/v1/%2g", "/v1", -EINVAL, NULL },
	{ "/v1/a%00b", "/v1", -EINVAL, NULL },
	{ "/v1/a%0ab", "/v1", -EINVAL, NULL },
	{ "/v1/a\x7f", "/v1", -EINVAL, NULL },
	{ "/v1/a\tb", "/v1", -EINVAL, NULL },
	{ "/v1/models/../chat/completions", "/v1", -EINVAL, NULL },
	{ "/v1/./chat/completions", "/v1", -EINVAL, NULL },
	{ "/v1/models/%2e%2e/chat/completions", "/v1", -EINVAL, NULL },
	{ "/v1/models/..%2fchat/completions", "/v1", -EINVAL, NULL },
	{ "/v1/models/.%2E", "/v1", -EINVAL, NULL },
	{ "/..", "", -EINVAL, NULL },
};

static void test_paths(void **state)
{
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const struct path_case *c = &paths[i];
		char got[256] = "untouched";
		int r = provider_path(str_of(c->target), c->prefix, got, sizeof(got));

		if (r != c->r || strcmp(got, c->path ? c->path : "untouched") != 0)
			fail_msg("%s below %s: %d \"%s\"", c->target, c->prefix ? c->prefix : "-", r, got);
	}
}

static void test_path_sizes(void **state)
{
	char got[8] = "x", big[9000];

	assert_int_equal(provider_path(STR("/v1/abcdefg"), "/v1", got, sizeof(got)), -ENOSPC);
	assert_string_equal(got, "x");
	assert_int_equal(provider_path(STR("/v1/abcdef"), "/v1", got, sizeof(got)), 0);
	assert_string_equal(got, "/abcdef");
	memset(big, 'a', sizeof(big));
	big[0] = '/';
	assert_int_equal(provider_path((struct str){ .p = big, .n = sizeof(big) }, "", big, sizeof(big)), -ENOSPC);
	/* A NUL in the target itself. */
	assert_int_equal(provider_path((struct str){ .p = "/a\0b", .n = 4 }, "", got, sizeof(got)), -EINVAL);
}

struct route_case {
	const char *method, *path;
	enum endpoint openai, compatible, anthropic;
};
#define U ENDPOINT_UNKNOWN
#define F ENDPOINT_FREE

static const struct route_case routes[] = {
	{ "POST", "/chat/completions", ENDPOINT_OPENAI_CHAT, ENDPOINT_OPENAI_CHAT, U },
	{ "POST", "/responses", ENDPOINT_OPENAI_RESPONSES, ENDPOINT_OPENAI_RESPONSES, U },
	{ "POST", "/completions", ENDPOINT_OPENAI_COMPLETIONS, ENDPOINT_OPENAI_COMPLETIONS, U },
	{ "POST", "/embeddings", ENDPOINT_OPENAI_EMBEDDINGS, ENDPOINT_OPENAI_EMBEDDINGS, U },
	{ "POST", "/messages", U, U, ENDPOINT_ANTHROPIC_MESSAGES },
	{ "POST", "/messages/count_tokens", U, U, F },
	{ "GET", "/models", F, F, F },
	{ "HEAD", "/models", F, F, F },
	{ "GET", "/models/gpt-4o", F, F, F },
	{ "GET", "/models/a/b/endpoints", F, F, U },
	{ "POST", "/models", U, U, U },
	{ "POST", "/models/gemini:generateContent", U, U, U },
	{ "GET", "/models/", U, U, U },
	{ "POST", "/moderations", F, U, U },
	{ "POST", "/responses/input_tokens", F, U, U },
	{ "POST", "/responses/compact", U, U, U },
	{ "POST", "/responses/resp_1/cancel", U, U, U },
	{ "GET", "/responses", U, U, U }, /* the WebSocket form */
	{ "GET", "/responses/resp_1", F, F, U },
	{ "GET", "/responses/resp_1/input_items", F, F, U },
	{ "DELETE", "/responses/resp_1", F, F, U },
	{ "GET", "/files", F, U, F },
	{ "GET", "/files/f/content", F, U, F },
	{ "POST", "/files", U, U, U },
	{ "GET", "/messages/batches/b/results", U, U, F },
	{ "POST", "/messages/batches", U, U, U },
	{ "POST", "/complete", U, U, U },
	{ "GET", "/user/balance", U, F, U },
	{ "GET", "/chat/completions", U, U, U },
	{ "PUT", "/chat/completions", U, U, U },
	{ "post", "/chat/completions", U, U, U },
	{ "", "/chat/completions", U, U, U },
	{ "POST", "/chat/completions/", U, U, U },
	{ "POST", "/Chat/Completions", U, U, U },
	{ "POST", "chat/completions", U, U, U },
	{ "POST", "/chat", U, U, U },
	{ "POST", "/chat/completions/x", U, U, U },
	{ "POST", "/", U, U, U },
	{ "POST", "", U, U, U },
	{ "POST", "/images/generations", ENDPOINT_OPENAI_IMAGES, U, U },
	{ "POST", "/audio/speech", ENDPOINT_OPENAI_SPEECH, U, U },
	{ "POST", "/audio/transcriptions", ENDPOINT_OPENAI_TRANSCRIPTIONS, U, U },
	{ "POST", "/audio/translations", U, U, U },
	{ "POST", "/images/edits", U, U, U },
	{ "POST", "/batches", U, U, U },
	{ "POST", "/fine_tuning/jobs", U, U, U },
	{ "POST", "/threads/runs", U, U, U },
	{ "GET", "/realtime", U, U, U },
	{ "CONNECT", "/chat/completions", U, U, U },
};

static void check_route(const char *dialect, const struct route_case *c, enum endpoint want)
{
	enum endpoint got = provider_find(dialect)->classify(str_of(c->method), str_of(c->path));

	if (got != want)
		fail_msg("%s: %s %s: endpoint %d, want %d", dialect, c->method, c->path, got, want);
}

static void test_routes(void **state)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		check_route("openai", &routes[i], routes[i].openai);
		check_route("openai-compatible", &routes[i], routes[i].compatible);
		check_route("openai-reporting", &routes[i], routes[i].compatible);
		check_route("anthropic", &routes[i], routes[i].anthropic);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),	   cmocka_unit_test(test_report_init),
		cmocka_unit_test(test_paths),	   cmocka_unit_test(test_path_sizes),
		cmocka_unit_test(test_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
