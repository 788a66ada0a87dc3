// SPDX-License-Identifier: Apache-2.0
/*
 * test_server_who.c: who asks: an agent may look and not change, a connection does not get better, and agents do not take all places.
 */
#include "server_rig.h"

static void move_to(const char *cgroup)
{
	(void)snprintf(fake_place, sizeof(fake_place), "%s", cgroup);
}

static void agents_may_look_not_change(void **state)
{
	static const struct {
		const char *cgroup, *message; /* NULL: may change */
	} places[] = {
		{ "/", NULL },
		{ "/purse", NULL },
		{ "/purse/bots", NULL },
		{ "/purse/bo", NULL },
		{ "/x/purse/bot", NULL },
		{ "/purse/bot", "is inside agent \"bot\" (cgroup /purse/bot): an agent may look, not change" },
		{ "/purse/bot/run-7/a", "is inside agent \"bot\" (cgroup /purse/bot/run-7/a)" },
		{ "/purse/bot/x (deleted)", "is inside agent" },
		{ "/purse/bot (deleted)", "(/purse/bot (deleted)) cannot be placed" },
		{ "/../other", "(/../other) cannot be placed" },
		{ "/..", "cannot be placed" },
		{ "", "no cgroup" },
	};
	char mem[1024];

	for (size_t i = 0; i < COUNT(places); i++) {
		struct client_answer a;
		bool may = !places[i].message;

		move_to(places[i].cgroup);
		int status = ask("POST", "/v1/agents/bot/raise", "{\"day\":\"1000\",\"for\":\"1h\"}", &a);

		message_of(&a, mem, sizeof(mem));
		client_answer_done(&a);
		if (status != (may ? 200 : 403) || (!may && !strstr(mem, places[i].message)))
			fail_msg("from \"%s\": %d %s", places[i].cgroup, status, mem);
		assert_int_equal(ask("GET", "/v1/status", NULL, &a), 200);
		record_field(&a.body, "accounts[].windows.day.raised", mem, sizeof(mem));
		client_answer_done(&a);
		assert_string_equal(mem, may ? "1000.00" : "");
		move_to("/");
		if (may) {
			assert_int_equal(ask("DELETE", "/v1/agents/bot/raise", NULL, &a), 200);
			client_answer_done(&a);
		}
	}
}

/* Whatever is no GET, and what keeps a place. */
static void each_change_is_for_outsiders(void **state)
{
	struct peer inside = { .place = PEER_IN_AGENT, .why = "it is inside" };
	struct buf body;

	buf_init(&body, 4096);
	for (size_t i = 0; route_at(i); i++) {
		const struct route *route = route_at(i);
		bool changes = strcmp(route->method, "GET") != 0 || strcmp(route->path, "/v1/lease") == 0;
		struct request r = { .method = str_of(route->method), .path = str_of(route->path), .peer = &inside };
		struct answer a = { .body = &body };

		if (!!route_find(&r, true, &a) != !changes)
			fail_msg("%s %s", route->method, route->path);
		if (changes)
			assert_int_equal(a.status, 403);
	}
	buf_done(&body);
}

/* Who was in an agent, or sent its request and ended, does not become another by it. */
static void a_connection_does_not_get_better(void **state)
{
	static const char change[] = "POST /v1/agents/bot/resume HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
	char mem[4096];
	pid_t pid;
	int fd;

	move_to("/purse/bot");
	fd = dial();
	SAY(fd, "GET /v1/healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	(void)hear(fd, mem, sizeof(mem), 100);
	move_to("/");
	SAY(fd, change);
	(void)hear(fd, mem, sizeof(mem), 100);
	assert_int_equal(strncmp(mem, "HTTP/1.1 403 ", 13), 0);
	(void)close(fd);
	/* A child connects and ends; its number might be anybody's next. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	pid = fork();
	if (pid == 0) {
		struct sockaddr_un un = { .sun_family = AF_UNIX };

		(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", t.path);
		_exit(connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0);
	}
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	SAY(fd, change);
	(void)hear(fd, mem, sizeof(mem), 100);
	if (strncmp(mem, "HTTP/1.1 403 ", 13) != 0 || !strstr(mem, "has ended"))
		fail_msg("%s", mem);
	(void)close(fd);
}

static void agents_do_not_take_all_places(void **state)
{
	int fds[CTL_CONNS_MAX];
	struct client_answer a;
	char mem[256];

	move_to("/purse/bot");
	for (size_t i = 0; i < COUNT(fds); i++)
		fds[i] = dial();
	(void)hear(fds[COUNT(fds) - 1], mem, sizeof(mem), 2000);
	assert_int_equal(strncmp(mem, "HTTP/1.1 503 ", 13), 0);
	count();
	assert_int_equal(conns, CTL_AGENT_CONNS_MAX);
	move_to("/");
	assert_int_equal(ask("POST", "/v1/agents/bot/resume", NULL, &a), 200);
	client_answer_done(&a);
	for (size_t i = 0; i < COUNT(fds); i++)
		(void)close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agents_may_look_not_change),
		cmocka_unit_test(each_change_is_for_outsiders),
		cmocka_unit_test(a_connection_does_not_get_better),
		cmocka_unit_test(agents_do_not_take_all_places),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
