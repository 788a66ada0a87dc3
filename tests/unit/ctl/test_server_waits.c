// SPDX-License-Identifier: Apache-2.0
/*
 * test_server_waits.c: answers that wait until an agent's old connections are ended: in what order, for how long, and that a stop waits for none.
 */
#include "server_rig.h"

static void wait_for_look(void)
{
	for (int i = 0; i < 5000 && !fake_look_waits; i++)
		(void)usleep(1000);
	assert_true(fake_look_waits);
}

/* A request that will be held back. */
static int begin(const char *target, const char *body)
{
	char mem[512];
	int fd = dial();

	say(fd, mem, (size_t)snprintf(mem, sizeof(mem), "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", target, strlen(body), body));
	wait_for_look();
	return fd;
}

/* Its request has been taken, whenever the loop came to it. */
static void wait_for_agent(const char *name)
{
	struct client_answer a;
	bool there = false;

	for (int i = 0; i < 1000 && !there; i++) {
		assert_int_equal(ask("GET", "/v1/status", NULL, &a), 200);
		there = memmem(buf_ptr(&a.body), buf_len(&a.body), name, strlen(name)) != NULL;
		client_answer_done(&a);
	}
	assert_true(there);
}

static bool is_silent(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

static void answers_wait_until_old_connections_are_ended(void **state)
{
	struct client_answer a;
	char mem[2048];

	fake_looks_held = true;
	int fd = begin("/v1/agents", "{\"name\":\"late\"}");

	/* The daemon goes on, the gate knows the agent, and there is no answer yet. */
	assert_int_equal(ask("GET", "/v1/healthz", NULL, &a), 200);
	client_answer_done(&a);
	wait_for_agent("\"late\"");
	assert_true(is_silent(fd));
	/* Two at once; one that is taken away meanwhile; one whose asker goes away; one that pauses. */
	int second = begin("/v1/agents", "{\"name\":\"second\"}");
	int gone = begin("/v1/agents", "{\"name\":\"third\"}");
	int pause = begin("/v1/agents/bot/pause", "");

	wait_for_agent("\"second\"");
	wait_for_agent("\"third\"");
	wait_for_agent("\"paused\":true");
	(void)close(gone);
	assert_int_equal(ask("DELETE", "/v1/agents/second", NULL, &a), 200);
	client_answer_done(&a);
	/* What does not begin anything does not wait. */
	assert_int_equal(ask("POST", "/v1/agents/bot/resume", NULL, &a), 200);
	client_answer_done(&a);
	assert_int_equal(ask("POST", "/v1/accounts", "{\"name\":\"group\"}", &a), 201);
	client_answer_done(&a);
	assert_true(is_silent(fd) && is_silent(second) && is_silent(pause));
	fake_looks_held = false;
	(void)hear(fd, mem, sizeof(mem), 2000);
	assert_non_null(strstr(mem, "201 Created"));
	assert_non_null(strstr(mem, "/purse/late"));
	(void)hear(second, mem, sizeof(mem), 200);
	assert_non_null(strstr(mem, "201 Created"));
	(void)hear(pause, mem, sizeof(mem), 200);
	assert_non_null(strstr(mem, "200 OK"));
	(void)close(fd);
	(void)close(second);
	(void)close(pause);
}

/* The bound: what cannot be looked through in that time is told in the log. */
static void answers_do_not_wait_for_ever(void **state)
{
	char mem[2048];

	fake_looks_held = true;
	int fd = begin("/v1/agents", "{\"name\":\"later\"}");

	(void)hear(fd, mem, sizeof(mem), WAIT_MS + IDLE_MS / 2);
	assert_non_null(strstr(mem, "201 Created"));
	assert_true(fake_look_waits);
	(void)close(fd);
	fd = dial();
	SAY(fd, "GET /v1/healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	(void)hear(fd, mem, sizeof(mem), 200);
	assert_non_null(strstr(mem, "200 OK"));
	(void)close(fd);
	fake_looks_held = false;
}

/* And a daemon that stops waits for none. */
static void a_stop_waits_for_no_look(void **state)
{
	fake_looks_held = true;
	(void)begin("/v1/agents", "{\"name\":\"last\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_wait_until_old_connections_are_ended),
		cmocka_unit_test(answers_do_not_wait_for_ever),
		cmocka_unit_test(a_stop_waits_for_no_look), /* the last: what it began is still held up at the end */
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
