// SPDX-License-Identifier: Apache-2.0
/* server_rig.h: for tests: a server on a unix socket, on a thread of its own, answering from fakes and a real budget; and who talks to it. */
#ifndef PURSE_TESTS_SERVER_RIG_H
#define PURSE_TESTS_SERVER_RIG_H

#include "cm.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/loop.h"
#include "base/str.h"
#include "ctl/agents.h"
#include "ctl/agents_flows.h"
#include "ctl/cmd/client.h"
#include "ctl/config/config.h"
#include "ctl/control.h"
#include "ctl/endpoints.h"
#include "ctl/events.h"
#include "ctl/records.h"
#include "ctl/route/route.h"
#include "ctl/server.h"
#include "ctl_abi.h"
#include "fakes.h"

#define IDLE_MS 300
#define WAIT_MS 3000

static struct {
	struct gate_account rows[64];
	struct gate_hold holds[8];
	struct config *config;
	struct budget *budget;
	struct agents *agents;
	struct endpoints *endpoints;
	struct events *events;
	struct control control;
	struct loop *loop;
	struct loop_wake *stop, *poke, *count;
	struct server *server;
	pthread_t thread;
	char dir[64], path[96];
	int reload_error, nreloads;
	int events_to_put;
} t;

/* Declared by the routes; what it answers is not tested here. */
void route_audit(const struct control *c, const struct request *r, struct answer *a)
{
	answer_refuse(a, 500, "not under test");
}

static inline void describe(void *daemon, struct daemon_view *ret)
{
	*ret = (struct daemon_view){ .uptime_s = 5, .port4 = 1234, .path_alive = true, .beating = true, .gate_ok = true,
				     .ledger_healthy = true, .ncounts = 1 };
	ret->counts[0].name = "conns";
	ret->counts[0].value = 9;
}

static inline int reload(void *daemon, struct err *e)
{
	t.nreloads++;
	return t.reload_error ? err_set(e, -t.reload_error, "prices.yaml:3: is wrong") : 0;
}

static pthread_barrier_t counted;
static unsigned conns, leases;

static inline void count_conns(void *ctx)
{
	conns = server_conns(t.server);
	leases = server_leases(t.server);
	(void)pthread_barrier_wait(&counted);
}

static inline void stop_loop(void *ctx)
{
	loop_stop(t.loop);
}

static inline void put_events(void *ctx)
{
	struct gate_event ev = { .reason = GATE_REASON_NO_CREDIT, .pid = 7, .dport = 443, .protocol = IPPROTO_TCP, .errnum = EDQUOT,
				 .dst = { [10] = 0xff, 0xff, 198, 51, 100, 7 }, .comm = "curl\"\n", .caller_cgroup = 99 };

	for (int i = 0; i < t.events_to_put; i++)
		events_put(t.events, &ev, "bot", 1787220000000000000);
}

static inline void *run_loop(void *ctx)
{
	loop_run(t.loop);
	return NULL;
}

static const char text[] = "providers: [{name: p, dialect: openai, hosts: [h.example.com], addresses: [198.51.100.7]}]\n"
			   "accounts: [{name: team, month: 500USD}]\n"
			   "agents: [{name: bot, account: team, day: 25USD}]\n";

static uint32_t stopped;
static inline void stop_calls(void *ctx, uint32_t account)
{
	stopped = account;
}

static inline void flows_over(void *ctx)
{
	if (t.server)
		server_look_again(t.server);
}

static inline int set_up(void **state)
{
	const struct flows_calls calls = { .over = flows_over };
	struct err e = { "" };

	(void)snprintf(t.dir, sizeof(t.dir), "/tmp/purse-test-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	(void)snprintf(t.path, sizeof(t.path), "%s/control.sock", t.dir);
	assert_int_equal(config_parse("t.yaml", text, strlen(text), &t.config, &e), 0);
	assert_int_equal(budget_new(t.rows, 64, t.holds, 8, &t.budget), 0);
	assert_int_equal(loop_new(&t.loop), 0);
	struct agents_env env = { .config = t.config, .budget = t.budget, .loop = t.loop };

	assert_int_equal(agents_new(&env, &t.agents, &e), 0);
	agents_tell(t.agents, &calls);
	assert_int_equal(agents_load(t.agents, 1787220000, &e), 0);
	budget_open(t.budget);
	assert_int_equal(agents_enrol(t.agents, &e), 0);
	assert_int_equal(endpoints_new(t.config, NULL, NULL, &t.endpoints, &e), 0);
	assert_int_equal(events_new(NULL, NULL, &t.events, &e), 0);
	t.control = (struct control){ .config = t.config, .budget = t.budget, .agents = t.agents, .endpoints = t.endpoints,
				      .events = t.events, .trust_dir = "/run/x-trust", .describe = describe, .reload = reload,
				      .stop_calls = stop_calls };
	assert_int_equal(loop_wake_new(t.loop, stop_loop, NULL, &t.stop), 0);
	assert_int_equal(loop_wake_new(t.loop, put_events, NULL, &t.poke), 0);
	assert_int_equal(loop_wake_new(t.loop, count_conns, NULL, &t.count), 0);
	assert_int_equal(pthread_barrier_init(&counted, NULL, 2), 0);
	/* A file that a dead daemon left. */
	assert_int_equal(close(open(t.path, O_CREAT | O_WRONLY, 0644)), 0);
	struct server_options o = { .socket_path = t.path, .idle_ms = IDLE_MS, .wait_ms = WAIT_MS };

	if (server_new(t.loop, &t.control, &o, &t.server, &e) < 0)
		fail_msg("%s", e.text);
	return pthread_create(&t.thread, NULL, run_loop, NULL);
}

static inline int tear_down(void **state)
{
	loop_wake_send(t.stop);
	(void)pthread_join(t.thread, NULL);
	server_free(t.server);
	t.server = NULL;
	loop_wake_free(t.stop);
	loop_wake_free(t.poke);
	loop_wake_free(t.count);
	events_free(t.events);
	endpoints_free(t.endpoints);
	agents_free(t.agents);
	loop_free(t.loop);
	budget_free(t.budget);
	config_free(t.config);
	assert_int_equal(access(t.path, F_OK), -1);
	return rmdir(t.dir);
}

/* ---- raw sockets */

static inline int dial(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", t.path);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	return fd;
}

static inline void say(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return; /* refused before all of it was read */
		p += sent;
		n -= (size_t)sent;
	}
}

#define SAY(fd, literal) say(fd, literal, sizeof(literal) - 1)

/* Until the peer closes, or nothing comes for wait_ms. */
static inline size_t hear(int fd, char *mem, size_t size, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;

	while (n + 1 < size && poll(&p, 1, wait_ms) > 0) {
		ssize_t got = recv(fd, mem + n, size - 1 - n, 0);

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	mem[n] = '\0';
	return n;
}

static inline bool is_closed(int fd, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	return poll(&p, 1, wait_ms) > 0 && recv(fd, &c, 1, 0) <= 0;
}

static inline int ask(const char *method, const char *target, const char *body, struct client_answer *a)
{
	struct err e = { "" };
	int r = client_call(t.path, method, target, body, a, &e);

	if (r < 0)
		fail_msg("%s %s: %s", method, target, e.text);
	return a->status;
}

static inline void message_of(const struct client_answer *a, char *mem, size_t size)
{
	record_field(&a->body, "error.message", mem, size);
}

/* How many there are, as the loop's thread sees it: conns and leases. */
static inline void count(void)
{
	loop_wake_send(t.count);
	(void)pthread_barrier_wait(&counted);
}

#endif
