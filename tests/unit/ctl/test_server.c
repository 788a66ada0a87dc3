// SPDX-License-Identifier: Apache-2.0
/*
 * test_server.c: the control API over a real unix socket: routes, shapes, wrong methods, malformed, huge and slow requests, pipelining, slow
 * readers, followers, too many connections.
 */
#include "server_rig.h"

static void socket_is_private(void **state)
{
	struct stat st;

	assert_int_equal(stat(t.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void status_has_its_shape(void **state)
{
	static const struct {
		const char *field, *value;
	} wanted[] = {
		{ "daemon.version", PURSE_VERSION }, { "daemon.healthy", "true" }, { "daemon.uptime_s", "5" },
		{ "daemon.port4", "1234" }, { "daemon.port6", "0" }, { "daemon.in_flight", "0" },
		{ "daemon.ledger_healthy", "true" }, { "daemon.gate_ok", "true" }, { "daemon.counts.conns", "9" },
		{ "agents[].name", "bot" }, { "agents[].cgroup", "/purse/bot" }, { "agents[].account", "bot" },
		{ "agents[].paused", "false" }, { "agents[].on_exhausted", "refuse" }, { "agents[].on_failure", "closed" },
		{ "accounts[].windows.day.limit", "25.00" }, { "accounts[].windows.day.left", "25.00" },
		{ "accounts[].windows.total.limit", "" }, { "endpoints[].host", "h.example.com" },
	};
	struct client_answer a;
	char mem[256];

	assert_int_equal(ask("GET", "/v1/status", NULL, &a), 200);
	for (size_t i = 0; i < COUNT(wanted); i++) {
		record_field(&a.body, wanted[i].field, mem, sizeof(mem));
		if (strcmp(mem, wanted[i].value) != 0)
			fail_msg("%s is \"%s\", wanted \"%s\"", wanted[i].field, mem, wanted[i].value);
	}
	assert_non_null(memmem(buf_ptr(&a.body), buf_len(&a.body), "\"addresses\":[\"198.51.100.7\"]", 28));
	client_answer_done(&a);
	assert_int_equal(ask("GET", "/v1/healthz", NULL, &a), 200);
	client_answer_done(&a);
	assert_int_equal(ask("GET", "/v1/gate", NULL, &a), 200);
	record_field(&a.body, "links_ok", mem, sizeof(mem));
	assert_string_equal(mem, "true");
	client_answer_done(&a);
	assert_int_equal(ask("GET", "/v1/trust", NULL, &a), 200);
	record_field(&a.body, "root", mem, sizeof(mem));
	assert_string_equal(mem, "/run/x-trust/root.pem");
	client_answer_done(&a);
}

static void requests_are_judged(void **state)
{
	static const struct {
		const char *method, *target, *body;
		int status;
		const char *message;
	} cases[] = {
		{ "GET", "/", NULL, 404, "/ is not a path of this API" },
		{ "GET", "/v1/statu", NULL, 404, "is not a path" },
		{ "GET", "/v1/status/", NULL, 404, "is not a path" },
		{ "GET", "/v1/status/x", NULL, 404, "is not a path" },
		{ "POST", "/v1/status", NULL, 405, "POST is not a method of /v1/status; it takes GET" },
		{ "PUT", "/v1/agents/x", NULL, 405, "it takes PATCH, DELETE" },
		{ "GET", "/v1/agents", NULL, 405, "it takes POST" },
		{ "PATCH", "/v1/agents/", NULL, 404, "is not a path" },
		{ "POST", "/v1/agents", NULL, 400, "not one JSON object" },
		{ "POST", "/v1/agents", "{}", 400, "name: is missing" },
		{ "POST", "/v1/agents", "{\"name\":\"a b\"}", 400, "is not a name" },
		{ "POST", "/v1/agents", "{\"name\":\"bot\"}", 409, "the name is taken" },
		{ "POST", "/v1/agents", "{\"name\":\"x\",\"day\":\"lots\"}", 400, "is not a USD amount" },
		{ "POST", "/v1/agents", "{\"name\":\"x\",\"parent\":\"zzz\"}", 404, "does not exist" },
		{ "POST", "/v1/accounts", "{\"name\":\"x\",\"cgroup\":\"/x\"}", 400, "cgroup: is not a known key" },
		{ "PATCH", "/v1/agents/bot", "{\"name\":\"x\"}", 400, "name: is not a known key" },
		{ "PATCH", "/v1/agents/bot", "{\"temporary\":true}", 400, "temporary: is not a known key" },
		{ "PATCH", "/v1/agents/nobody", "{\"day\":\"5\"}", 404, "does not exist" },
		{ "PATCH", "/v1/agents/team", "{\"day\":\"5\"}", 404, "but an account of that name does" },
		{ "DELETE", "/v1/accounts/team", NULL, 409, "below it" },
		{ "DELETE", "/v1/agents/0123456789012345678901234567890123456789012345678901234567890123", NULL, 404, "longer than any name" },
		{ "POST", "/v1/agents/nobody/pause", NULL, 404, "does not exist" },
		{ "POST", "/v1/agents/nobody/kill", NULL, 404, "does not exist" },
		{ "POST", "/v1/accounts/bot/pause", NULL, 404, "but an agent of that name does" },
		{ "PATCH", "/v1/agents/bot", "{\"timezone\":\"Mars\"}", 400, "is not a time zone" },
		{ "PATCH", "/v1/agents/bot", "{\"timezone\":5}", 400, "timezone: is not a string" },
		{ "PATCH", "/v1/agents/bot", "{\"resets_at\":\"24:00\"}", 400, "\"24:00\" is not a time of day; write e.g. 06:00" },
		{ "PATCH", "/v1/agents/bot", "{\"resets_at\":\"12:00:00\"}", 400, "resets_at: is longer than 7 bytes" },
		{ "PATCH", "/v1/agents/bot", "{\"clamp\":1}", 400, "clamp: is not true or false" },
		{ "PATCH", "/v1/agents/bot", "{\"rules\":[]}", 400, "rules: is not an object or null" },
		{ "PATCH", "/v1/agents/bot", "{\"rules\":{\"requests_per_minut\":5}}", 400, "agent \"bot\": rules: requests_per_minut: is not a known key; did you mean \"requests_per_minute\"?" },
		{ "PATCH", "/v1/agents/bot", "{\"rules\":{\"requests_per_minute\":-5}}", 400, "agent \"bot\": rules: \"requests_per_minute\" is not a count" },
		{ "PATCH", "/v1/agents/bot", "{\"rules\":{\"loop\":{\"times\":5,\"within\":\"1s500ms\"}}}", 400, "is not a duration of whole seconds" },
		{ "POST", "/v1/agents/bot/raise", "{\"day\":\"5\"}", 400, "for, until: one of the two" },
		{ "POST", "/v1/agents/bot/raise", "{\"day\":\"5\",\"for\":\"0s\"}", 400, "for: \"0s\" is not a duration" },
		{ "POST", "/v1/agents/bot/raise", "{\"day\":\"5\",\"until\":\"soon\"}", 400, "until: \"soon\" is not a moment" },
		{ "POST", "/v1/agents/bot/raise", "{\"day\":\"5\",\"until\":\"2020-01-01\"}", 400, "a raise ends between now and 366 days" },
		{ "POST", "/v1/agents/bot/raise", "{\"week\":\"5\",\"for\":\"2h\"}", 400, "has no week limit" },
		{ "POST", "/v1/agents/bot/raise", "{\"for\":\"2h\"}", 400, "nothing to raise" },
		{ "DELETE", "/v1/agents/bot/raise", NULL, 400, "no raise is on" },
		{ "GET", "/v1/ledger?limit=x", NULL, 400, "limit: is not a whole number" },
		{ "GET", "/v1/ledger?limit=100001", NULL, 400, "limit: is not a whole number" },
		{ "GET", "/v1/ledger?kind=calls%00", NULL, 400, "kind: is not a text" },
		{ "GET", "/v1/ledger?kind=x%2", NULL, 400, "kind: is not a text" },
		{ "GET", "/v1/ledger?kind=all", NULL, 400, "\"all\" is not calls, refusals, changes, groups or bill" },
		{ "GET", "/v1/ledger?pid=0", NULL, 400, "pid: is not a whole number from 1" },
		{ "GET", "/v1/ledger?status=1000", NULL, 400, "status: is not a whole number from 0 to 999" },
		{ "GET", "/v1/ledger?kind=groups&by=agent,moon", NULL, 400, "\"moon\": is not one of account, agent" },
		{ "GET", "/v1/ledger?kind=groups&by=,", NULL, 400, "is not one of" },
		{ "GET", "/v1/ledger?kind=bill", NULL, 400, "needs a provider" },
		{ "POST", "/v1/ledger/prune", "{}", 400, "before" },
		{ "POST", "/v1/ledger/prune", "{\"before\":\"noon\"}", 400, "is not a day" },
		{ "POST", "/v1/ledger/prune", "{\"before\":\"2026-08-01T10:00:00Z\"}", 400, "beginning of a day" },
		{ "POST", "/v1/ledger/prune", "{\"before\":\"2100-01-01\"}", 409, "at most 20" },
		{ "POST", "/v1/ledger/prune", "{\"before\":\"2020-01-01\",\"keep\":\"x\"}", 400, "absolute path" },
		{ "GET", "/v1/ledger?agent=0123456789012345678901234567890123456789012345678901234567890123", NULL, 400, "agent: is not a text" },
	};
	char mem[512];

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct client_answer a;
		int status = ask(cases[i].method, cases[i].target, cases[i].body, &a);

		message_of(&a, mem, sizeof(mem));
		client_answer_done(&a);
		if (status != cases[i].status || !strstr(mem, cases[i].message))
			fail_msg("%s %s: %d %s", cases[i].method, cases[i].target, status, mem);
	}
}

static void agents_live(void **state)
{
	struct client_answer a;
	char mem[256];

	assert_int_equal(ask("POST", "/v1/agents", "{\"name\":\"x\",\"day\":\"5\",\"parent\":\"team\"}", &a), 201);
	record_field(&a.body, "cgroup_dir", mem, sizeof(mem));
	assert_string_equal(mem, "/cg/purse/x");
	client_answer_done(&a);
	assert_int_equal(ask("PATCH", "/v1/agents/x", "{\"day\":null,\"total\":\"7.5\"}", &a), 200);
	client_answer_done(&a);
	assert_int_equal(ask("POST", "/v1/agents/x/pause", NULL, &a), 200);
	client_answer_done(&a);
	assert_int_equal(ask("POST", "/v1/agents/x/resume", NULL, &a), 200);
	client_answer_done(&a);
	assert_int_equal(ask("POST", "/v1/agents/x/kill", NULL, &a), 200);
	client_answer_done(&a);
	assert_int_equal(stopped, budget_find(t.budget, "x"));
	assert_int_equal(ask("POST", "/v1/agents/x/resume", NULL, &a), 200);
	client_answer_done(&a);
	assert_int_equal(ask("POST", "/v1/agents/x/raise", "{\"total\":\"1\",\"for\":\"2h\"}", &a), 200);
	client_answer_done(&a);
	assert_int_equal(ask("DELETE", "/v1/agents/x/raise", NULL, &a), 200);
	client_answer_done(&a);
	assert_int_equal(ask("PATCH", "/v1/agents/x", "{\"timezone\":\"Europe/Berlin\",\"resets_at\":\"06:00\",\"rules\":{\"calls_in_flight\":4}}", &a), 200);
	client_answer_done(&a);
	assert_int_equal(ask("PATCH", "/v1/agents/bot", "{\"day\":\"26\"}", &a), 200);
	record_field(&a.body, "note", mem, sizeof(mem));
	assert_non_null(strstr(mem, "config file"));
	client_answer_done(&a);
	assert_int_equal(ask("POST", "/v1/accounts", "{\"name\":\"g\",\"week\":\"70\"}", &a), 201);
	client_answer_done(&a);
	assert_int_equal(ask("DELETE", "/v1/accounts/g", NULL, &a), 200);
	client_answer_done(&a);
	assert_int_equal(ask("DELETE", "/v1/agents/x", NULL, &a), 200);
	client_answer_done(&a);
	/* Who did it is from the socket, not from the request. */
	(void)snprintf(mem, sizeof(mem), "uid %u pid %d: agent add x none -> {\"day\":\"5.00\",\"account\":\"team\"", getuid(), getpid());
	if (strncmp(fake_changes[0], mem, strlen(mem)) != 0)
		fail_msg("%s", fake_changes[0]);
	fake_ledger_error = -EIO;
	assert_int_equal(ask("POST", "/v1/agents/bot/pause", NULL, &a), 503);
	client_answer_done(&a);
	fake_ledger_error = 0;
}

static void reload_is_told(void **state)
{
	struct client_answer a;
	char mem[128];

	t.nreloads = 0;
	t.reload_error = -EINVAL;
	assert_int_equal(ask("POST", "/v1/reload", NULL, &a), 400);
	message_of(&a, mem, sizeof(mem));
	assert_string_equal(mem, "prices.yaml:3: is wrong");
	client_answer_done(&a);
	t.reload_error = 0;
	assert_int_equal(ask("POST", "/v1/reload", NULL, &a), 200);
	client_answer_done(&a);
	assert_int_equal(t.nreloads, 2);
}

static void ledger_is_read(void **state)
{
	struct client_answer a;
	char mem[128];

	assert_int_equal(ask("GET", "/v1/ledger?agent=b%6Ft&limit=7&since=5", NULL, &a), 200);
	assert_string_equal(fake_query_agent, "bot");
	assert_int_equal(fake_query.limit, 7);
	assert_int_equal(fake_query.since_s, 5);
	record_field(&a.body, "calls[].cost", mem, sizeof(mem));
	assert_string_equal(mem, "0.000123");
	record_field(&a.body, "calls[].endpoint", mem, sizeof(mem));
	assert_string_equal(mem, "openai-chat");
	client_answer_done(&a);
	assert_int_equal(ask("GET", "/v1/ledger?kind=refusals", NULL, &a), 200);
	assert_int_equal(fake_query.limit, CTL_LEDGER_ROWS_DEFAULT);
	record_field(&a.body, "refusals[].window", mem, sizeof(mem));
	assert_string_equal(mem, "day");
	client_answer_done(&a);
	assert_int_equal(ask("GET", "/v1/ledger?kind=calls&account=team&pid=4&cgroup=7&status=0&estimated=1&min_cost=5", NULL, &a), 200);
	assert_int_equal(fake_query.pid, 4);
	assert_int_equal(fake_query.cgroup_id, 7);
	assert_int_equal(fake_query.status, -1);
	assert_true(fake_query.estimated);
	assert_int_equal(fake_query.min_cost, 5);
	record_field(&a.body, "sums.cost", mem, sizeof(mem));
	assert_string_equal(mem, "0.000123");
	client_answer_done(&a);
	assert_int_equal(ask("GET", "/v1/ledger?kind=groups&by=day,agent&since=9", NULL, &a), 200);
	assert_int_equal(fake_by, LEDGER_BY_DAY | LEDGER_BY_AGENT);
	record_field(&a.body, "pruned", mem, sizeof(mem));
	assert_string_equal(mem, "true");
	assert_non_null(strstr(buf_ptr(&a.body), "{\"agent\":\"bot\",\"day\":\"2026-08-20\",\"calls\":2,"));
	client_answer_done(&a);
	assert_int_equal(ask("GET", "/v1/ledger?kind=bill&provider=p&by_day=1", NULL, &a), 200);
	assert_non_null(strstr(buf_ptr(&a.body), "\"cost_cents\":\"1.01\"")); /* half a cent and more is a cent */
	client_answer_done(&a);
	assert_int_equal(ask("POST", "/v1/ledger/prune", "{\"before\":\"2020-01-01\"}", &a), 200);
	assert_int_equal(fake_pruned_before, 1577836800);
	record_field(&a.body, "cost", mem, sizeof(mem));
	assert_string_equal(mem, "1.50");
	client_answer_done(&a);
	assert_int_equal(ask("GET", "/v1/ledger?kind=changes", NULL, &a), 200);
	record_field(&a.body, "changes[].what", mem, sizeof(mem));
	assert_string_equal(mem, "something \"quoted\"");
	client_answer_done(&a);
	/* Megabytes, through a socket that takes kilobytes at a time. */
	fake_rows = 20000;
	assert_int_equal(ask("GET", "/v1/ledger", NULL, &a), 200);
	assert_true(buf_len(&a.body) > 8000000);
	client_answer_done(&a);
	fake_rows = 1;
}

static void slow_ones_block_nobody(void **state)
{
	int fd = dial(), gone = dial();
	char mem[4096];
	struct client_answer a;

	fake_read_delay_ms = 400;
	SAY(fd, "GET /v1/ledger HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	SAY(gone, "GET /v1/ledger HTTP/1.1\r\nHost: x\r\n\r\n");
	(void)usleep(50000);
	(void)close(gone);
	assert_int_equal(ask("GET", "/v1/status", NULL, &a), 200);
	client_answer_done(&a);
	assert_int_equal(recv(fd, mem, 1, MSG_DONTWAIT), -1); /* still at it */
	(void)hear(fd, mem, sizeof(mem), 700);
	fake_read_delay_ms = 0;
	/* Both answers, in order. */
	assert_non_null(strstr(mem, "\"calls\""));
	assert_non_null(strstr(strstr(mem, "\"calls\""), "\"healthy\":true"));
	(void)close(fd);
}

static void malformed_requests(void **state)
{
	static const struct str cases[] = {
		STR("GARBAGE\r\n\r\n"),
		STR("GET /v1/status HTTP/1.1\r\n\r\n"),
		STR("GET /v1/status HTTP/1.1\nHost: x\n\n"),
		STR("GET /v1/status HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
		STR("GET http://x/v1/status HTTP/1.1\r\nHost: x\r\n\r\n"),
		STR("POST /v1/agents HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
		STR("POST /v1/agents HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"),
		STR("POST /v1/agents HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
		STR("GET /v1/\0status HTTP/1.1\r\nHost: x\r\n\r\n"),
		STR("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
		STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	};
	char mem[4096];

	for (size_t i = 0; i < COUNT(cases); i++) {
		int fd = dial();

		say(fd, cases[i].p, cases[i].n);
		(void)hear(fd, mem, sizeof(mem), 2000);
		if (mem[0] && strncmp(mem, "HTTP/1.1 400 ", 13) != 0)
			fail_msg("case %zu: %s", i, mem);
		(void)close(fd);
	}
	struct client_answer a;

	assert_int_equal(ask("GET", "/v1/healthz", NULL, &a), 200);
	client_answer_done(&a);
}

static void huge_requests(void **state)
{
	size_t n = 200000;
	char *big = malloc(n), mem[4096];
	int fd = dial();

	assert_non_null(big);
	memset(big, ' ', n);
	SAY(fd, "POST /v1/agents HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n");
	say(fd, big, n);
	(void)hear(fd, mem, sizeof(mem), 2000);
	assert_int_equal(strncmp(mem, "HTTP/1.1 413 ", 13), 0);
	(void)close(fd);
	/* Chunks that never end. */
	fd = dial();
	SAY(fd, "POST /v1/agents HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 100; i++) {
		SAY(fd, "1000\r\n");
		say(fd, big, 4096);
		SAY(fd, "\r\n");
	}
	(void)hear(fd, mem, sizeof(mem), 2000);
	assert_int_equal(strncmp(mem, "HTTP/1.1 413 ", 13), 0);
	(void)close(fd);
	/* A head that never ends. */
	fd = dial();
	memset(big, 'a', n);
	SAY(fd, "GET /");
	say(fd, big, n);
	(void)hear(fd, mem, sizeof(mem), 2000);
	assert_true(strncmp(mem, "HTTP/1.1 4", 10) == 0);
	(void)close(fd);
	free(big);
}

static void byte_by_byte_and_pipelined(void **state)
{
	static const char one[] = "POST /v1/agents/bot/resume HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
	char mem[8192];
	int fd = dial();

	for (size_t i = 0; i < sizeof(one) - 1; i++)
		say(fd, one + i, 1);
	for (int i = 0; i < 10; i++)
		say(fd, one, sizeof(one) - 1);
	SAY(fd, "GET /v1/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	(void)hear(fd, mem, sizeof(mem), 1000);
	int answers = 0;

	for (char *p = mem; (p = strstr(p, "HTTP/1.1 200 OK")); p++)
		answers++;
	assert_int_equal(answers, 12);
	assert_true(is_closed(fd, 1000));
	(void)close(fd);
}

static void slow_requests_are_cut(void **state)
{
	int idle = dial(), trickle = dial();

	for (int i = 0; i < 12 && !is_closed(trickle, 0); i++) {
		SAY(trickle, "G");
		(void)usleep(IDLE_MS * 1000 / 6);
	}
	/* A byte now and then does not keep it alive. */
	assert_true(is_closed(trickle, IDLE_MS));
	assert_true(is_closed(idle, IDLE_MS));
	(void)close(idle);
	(void)close(trickle);
}

static void too_many_connections(void **state)
{
	int fds[CTL_CONNS_MAX + 4];
	char mem[256];

	for (size_t i = 0; i < COUNT(fds); i++)
		fds[i] = dial();
	(void)hear(fds[COUNT(fds) - 1], mem, sizeof(mem), 2000);
	assert_int_equal(strncmp(mem, "HTTP/1.1 503 ", 13), 0);
	for (size_t i = 0; i < COUNT(fds); i++)
		(void)close(fds[i]);
	/* And they are given back. */
	for (int i = 0; i < 50; i++) {
		int fd = dial();

		SAY(fd, "GET /v1/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
		(void)hear(fd, mem, sizeof(mem), 2000);
		(void)close(fd);
		if (strncmp(mem, "HTTP/1.1 200 ", 13) == 0)
			return;
		(void)usleep(10000);
	}
	fail_msg("no connection is taken any more");
}

static void events_are_kept_and_followed(void **state)
{
	struct client_answer a;
	char mem[65536];
	int fd = dial();

	SAY(fd, "GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n");
	(void)hear(fd, mem, sizeof(mem), 100);
	assert_non_null(strstr(mem, "Transfer-Encoding: chunked"));
	t.events_to_put = 3;
	loop_wake_send(t.poke);
	/* It outlives the idle time. */
	(void)hear(fd, mem, sizeof(mem), IDLE_MS + 200);
	assert_non_null(strstr(mem, "{\"time\":\"2026-08-20T10:00:00.000Z\",\"reason\":\"no-credit\",\"text\":\"some reason\","
				    "\"agent\":\"bot\",\"caller_cgroup\":99,\"pid\":7,\"comm\":\"curl\\\"\\n\",\"dst\":\"198.51.100.7\","
				    "\"dport\":443,\"protocol\":\"tcp\",\"errno\":\"EDQUOT\",\"count\":1}\n"));
	(void)close(fd);
	assert_int_equal(ask("GET", "/v1/events", NULL, &a), 200);
	int lines = 0;

	for (size_t i = 0; i < buf_len(&a.body); i++)
		lines += buf_ptr(&a.body)[i] == '\n';
	assert_int_equal(lines, 3);
	client_answer_done(&a);
	/* The ring keeps the newest. */
	t.events_to_put = CTL_EVENTS_KEPT + 7;
	loop_wake_send(t.poke);
	(void)usleep(100000);
	assert_int_equal(ask("GET", "/v1/events", NULL, &a), 200);
	for (size_t i = 0, n = 0; i <= buf_len(&a.body); i++) {
		if (i == buf_len(&a.body))
			assert_int_equal(n, CTL_EVENTS_KEPT);
		else
			n += buf_ptr(&a.body)[i] == '\n';
	}
	client_answer_done(&a);
}

static void followers_that_do_not_read_are_dropped(void **state)
{
	struct client_answer a;
	int fd = dial();
	char mem[1024];

	SAY(fd, "GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n");
	(void)recv(fd, mem, 100, 0);
	t.events_to_put = 5000;
	loop_wake_send(t.poke);
	(void)usleep(100000);
	assert_int_equal(ask("GET", "/v1/healthz", NULL, &a), 200);
	client_answer_done(&a);
	/* What the socket holds comes, then the end. */
	while (recv(fd, mem, sizeof(mem), 0) > 0)
		;
	(void)close(fd);
}

static void leases_outlive_idleness(void **state)
{
	struct err e = { "" };
	int fds[CTL_CONNS_MAX + 8];

	/* More than connections: they are counted apart. */
	for (size_t i = 0; i < COUNT(fds); i++)
		if (client_lease(t.path, &fds[i], &e) < 0)
			fail_msg("%s", e.text);
	(void)usleep((IDLE_MS + 100) * 1000);
	count();
	assert_int_equal(leases, COUNT(fds));
	assert_int_equal(conns, 0);
	struct client_answer a;

	assert_int_equal(ask("GET", "/v1/healthz", NULL, &a), 200);
	client_answer_done(&a);
	/* What its holder says is not listened to; its going is seen at once. */
	say(fds[0], "GET /v1/healthz HTTP/1.1\r\n", 26);
	for (size_t i = 0; i < COUNT(fds); i++)
		(void)close(fds[i]);
	for (int i = 0; i < 100 && leases; i++) {
		(void)usleep(10000);
		count();
	}
	assert_int_equal(leases, 0);
	assert_int_equal(client_lease("/nonexistent/socket", &fds[0], &e), -ENOTCONN);
}

static void others_learn_nothing(void **state)
{
	static const char *const targets[] = { "/v1/status", "/v1/agents", "/nothing" };
	struct buf body;

	buf_init(&body, 4096);
	for (size_t i = 0; i < COUNT(targets); i++) {
		struct request r = { .method = STR("GET"), .path = str_of(targets[i]), .uid = 1234 };
		struct answer a = { .body = &body };

		assert_null(route_find(&r, false, &a));
		assert_int_equal(a.status, 403);
		assert_null(a.allow);
	}
	struct request r = { .method = STR("GET"), .path = STR("/v1/healthz"), .uid = 1234 };
	struct answer a = { .body = &body };

	assert_non_null(route_find(&r, false, &a));
	buf_done(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(socket_is_private),
		cmocka_unit_test(status_has_its_shape),
		cmocka_unit_test(requests_are_judged),
		cmocka_unit_test(agents_live),
		cmocka_unit_test(reload_is_told),
		cmocka_unit_test(ledger_is_read),
		cmocka_unit_test(slow_ones_block_nobody),
		cmocka_unit_test(malformed_requests),
		cmocka_unit_test(huge_requests),
		cmocka_unit_test(byte_by_byte_and_pipelined),
		cmocka_unit_test(slow_requests_are_cut),
		cmocka_unit_test(too_many_connections),
		cmocka_unit_test(events_are_kept_and_followed),
		cmocka_unit_test(followers_that_do_not_read_are_dropped),
		cmocka_unit_test(leases_outlive_idleness),
		cmocka_unit_test(others_learn_nothing),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
