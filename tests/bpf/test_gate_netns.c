// SPDX-License-Identifier: Apache-2.0
/*
 * Other network namespaces: where a redirect goes there, whose flow it is, who may bind the listener's port, what is seen of processes and
 * threads that are elsewhere, and maps that were pinned before `listeners` was among them.
 */
#include "acts.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <pthread.h>

#include "kern/netns.h"

/* ---- another namespace, held by a child */

enum dress { DRESSED, LOOPBACK_DOWN, WITHOUT_V6 };

struct abroad {
	pid_t holder;
	int ns;
	struct netns_listener l;
};

static void only_loopback(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), off = open("/proc/sys/net/ipv6/conf/all/disable_ipv6", O_WRONLY);
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING };

	if (off < 0 || write(off, "1", 1) != 1 || fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		_exit(1);
	(void)close(off);
	(void)close(fd);
}

static struct abroad abroad_make(enum dress how)
{
	struct abroad a = { .l = NETNS_LISTENER_NONE };
	char path[64], byte;
	int ready[2];

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	a.holder = fork();
	assert_true(a.holder >= 0);
	if (a.holder == 0) {
		if (unshare(CLONE_NEWNET) < 0)
			_exit(1);
		if (how == DRESSED)
			dress_namespace();
		else if (how == WITHOUT_V6)
			only_loopback();
		(void)!write(ready[1], "", 1);
		(void)alarm(60);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)a.holder);
	a.ns = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(a.ns >= 0);
	return a;
}

static void abroad_listen(struct abroad *a)
{
	assert_int_equal(netns_listen(a->ns, 0, &a->l), 0);
	assert_int_equal(gate_put_listener(rig.g, a->l.cookie, a->l.port4, a->l.port6), 0);
}

static void abroad_silence(struct abroad *a)
{
	if (a->l.fd4 >= 0)
		(void)close(a->l.fd4);
	if (a->l.fd6 >= 0)
		(void)close(a->l.fd6);
	a->l.fd4 = a->l.fd6 = -1;
}

static void abroad_end(struct abroad *a)
{
	(void)gate_drop_listener(rig.g, a->l.cookie);
	abroad_silence(a);
	(void)close(a->ns);
	(void)kill(a->holder, SIGKILL);
	(void)waitpid(a->holder, NULL, 0);
}

/* ---- scripts */

struct trip {
	struct dial dial;
	const struct abroad *to;
	uint16_t from_port; /* 0 = any */
};

static int dial_abroad(void *ctx, struct seen *seen)
{
	const struct trip *t = ctx;

	if (t->to && setns(t->to->ns, CLONE_NEWNET) < 0)
		return ECHILD;
	if (!t->from_port)
		return run_dial((void *)&t->dial, seen);
	struct sockaddr_storage from = parse_address("127.0.0.1", t->from_port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, sa(&from), address_size(&from)) < 0)
		return ECHILD;
	return dial_on(fd, &t->dial.to, seen);
}

/* The next connection at one of our listeners; -1 = none within the time. */
static int accept_at(int listener, struct sockaddr_storage *ret_peer)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	socklen_t size = sizeof(*ret_peer);

	return poll(&p, 1, 2000) == 1 ? accept4(listener, (struct sockaddr *)ret_peer, &size, SOCK_CLOEXEC) : -1;
}

static void expect_at(int listener, uint64_t cookie, const struct trip *t)
{
	struct sockaddr_storage peer;
	struct gate_flow flow;
	uint8_t dst[16];

	assert_int_equal(rig.seen->err, 0);
	int fd = accept_at(listener, &peer);

	assert_true(fd >= 0);
	/* The application sees whom it asked for. */
	assert_true(same_address(&rig.seen->peer, &t->dial.to));
	if (cookie != rig.netns_cookie)
		assert_int_equal(gate_take_flow(rig.g, rig.netns_cookie, &peer, &flow), -ENOENT);
	assert_int_equal(gate_take_flow(rig.g, cookie, &peer, &flow), 0);
	assert_true(flow.agent_cgroup == rig.id_a);
	address_bytes(&t->dial.to, dst);
	assert_memory_equal(flow.dst, dst, 16);
	(void)close(fd);
}

/* ---- verdicts */

static void no_listener_is_denied_and_told(void **unused)
{
	struct abroad a = abroad_make(DRESSED);

	for (enum form f = V4; f < FORMS; f++) {
		struct trip t = { .dial = llm(f), .to = &a };

		(void)act(rig.agent_a, dial_abroad, &t);
		struct events seen = take_events();

		assert_int_equal(rig.seen->err, told(EACCES));
		assert_int_equal(seen.n, 1);
		assert_int_equal(seen.last.reason, GATE_REASON_NETNS);
		assert_int_equal(seen.last.agent_cgroup, rig.id_a);
		/* The socket itself was told before. */
		assert_int_equal(seen.looks, 1);
	}
	abroad_end(&a);
}

static void nobody_is_told_of_strangers_or_to_the_dead(void **unused)
{
	struct abroad a = abroad_make(DRESSED);
	struct trip t = { .dial = llm(V4), .to = &a };

	(void)act(rig.stranger, dial_abroad, &t);
	assert_int_equal(take_events().looks, 0);
	kill_daemon();
	(void)usleep(20000);
	(void)act(rig.agent_a, dial_abroad, &t);
	struct events seen = take_events();

	assert_int_equal(seen.looks, 0);
	assert_int_equal(seen.last.reason, GATE_REASON_DAEMON_DEAD);
	abroad_end(&a);
}

static void redirected_to_the_listener_of_its_namespace(void **unused)
{
	struct abroad a = abroad_make(DRESSED), b = abroad_make(DRESSED);

	abroad_listen(&a);
	abroad_listen(&b);
	assert_true(a.l.cookie != b.l.cookie && a.l.cookie != rig.netns_cookie);
	assert_int_equal(gate_each_listener(rig.g, NULL, NULL), 3);
	for (enum form f = V4; f < FORMS; f++) {
		const struct abroad *where[] = { &a, &b, NULL };

		for (int i = 0; i < 3; i++) {
			struct trip t = { .dial = llm(f), .to = where[i] };
			struct actor actor = actor_start(rig.agent_a, dial_abroad, &t);
			int listener = where[i] ? (f == V6 ? where[i]->l.fd6 : where[i]->l.fd4) : f == V6 ? rig.egress6 : rig.egress4;

			expect_at(listener, where[i] ? where[i]->l.cookie : rig.netns_cookie, &t);
			actor_end(&actor);
		}
	}
	assert_int_equal(flows_left(), 0);
	assert_int_equal(take_events().looks, 0);
	abroad_end(&a);
	abroad_end(&b);
	assert_int_equal(gate_each_listener(rig.g, NULL, NULL), 1);
}

static void same_source_port_in_three_namespaces(void **unused)
{
	struct abroad a = abroad_make(DRESSED), b = abroad_make(DRESSED);
	const struct abroad *where[] = { &a, &b, NULL };
	struct trip trips[3];
	struct actor actors[3];
	struct sockaddr_storage peer;
	struct gate_flow flow;

	abroad_listen(&a);
	abroad_listen(&b);
	for (int i = 0; i < 3; i++) {
		trips[i] = (struct trip){ .dial = make_dial(V4, HOST_DEDICATED, 1000 + i, SOCK_STREAM), .to = where[i], .from_port = 39876 };
		actors[i] = actor_start(rig.agent_a, dial_abroad, &trips[i]);
		assert_int_equal(rig.seen->err, 0);
	}
	/* All three are open and have the same peer address; each finds its own. */
	for (int i = 2; i >= 0; i--) {
		int fd = accept_at(where[i] ? where[i]->l.fd4 : rig.egress4, &peer);

		assert_true(fd >= 0);
		assert_int_equal(gate_take_flow(rig.g, where[i] ? where[i]->l.cookie : rig.netns_cookie, &peer, &flow), 0);
		assert_int_equal(flow.dport, 1000 + i);
		(void)close(fd);
	}
	for (int i = 0; i < 3; i++)
		actor_end(&actors[i]);
	abroad_end(&a);
	abroad_end(&b);
}

static void a_family_without_listener_is_denied(void **unused)
{
	struct abroad a = abroad_make(DRESSED);
	struct trip v4 = { .dial = llm(V4), .to = &a }, v6 = { .dial = llm(V6), .to = &a };

	abroad_listen(&a);
	assert_int_equal(gate_put_listener(rig.g, a.l.cookie, a.l.port4, 0), 0);
	(void)act(rig.agent_a, dial_abroad, &v6);
	expect_denied(EACCES, GATE_REASON_NETNS);
	struct actor actor = actor_start(rig.agent_a, dial_abroad, &v4);

	expect_at(a.l.fd4, a.l.cookie, &v4);
	actor_end(&actor);
	assert_int_equal(gate_drop_listener(rig.g, a.l.cookie), 0);
	assert_int_equal(gate_drop_listener(rig.g, a.l.cookie), -ENOENT);
	(void)act(rig.agent_a, dial_abroad, &v4);
	expect_denied(EACCES, GATE_REASON_NETNS);
	abroad_end(&a);
}

/* ---- whose port it is */

struct binding {
	const char *at;
	uint16_t port;
	int type;
	bool reuse_port;
	int ns; /* -1 = ours */
};

static int run_bind(void *ctx, struct seen *seen)
{
	const struct binding *b = ctx;
	struct sockaddr_storage at = parse_address(b->at, b->port);
	int one = 1;

	if (b->ns >= 0 && setns(b->ns, CLONE_NEWNET) < 0)
		return ECHILD;
	int fd = socket(at.ss_family, b->type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return ECHILD;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (b->reuse_port)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	return bind(fd, sa(&at), address_size(&at)) < 0 ? errno : 0;
}

static void expect_bind(const char *group, struct binding b, bool is_ours)
{
	uint64_t denied = counter(GATE_COUNT_DENY);
	int err = act(group, run_bind, &b);
	struct events seen = take_events();

	if (err != (is_ours ? told(EADDRINUSE) : 0))
		fail_msg("bind to %s port %u: %s", b.at, b.port, strerror(err));
	assert_int_equal(seen.n, is_ours);
	assert_int_equal(counter(GATE_COUNT_DENY) - denied, is_ours);
	if (!is_ours)
		return;
	assert_int_equal(seen.last.reason, GATE_REASON_OUR_PORT);
	assert_int_equal(seen.last.dport, b.port);
	assert_int_equal(seen.last.errnum, told(EADDRINUSE));
	assert_true(seen.last.agent_cgroup == (group == rig.stranger ? 0 : rig.id_a));
}

/* The daemon has just died: its sockets are closed, the row stands. */
static void the_port_stays_ours(void **unused)
{
	static const struct {
		const char *at;
		int is_ours;
	} rows[] = { { "127.0.0.1", 1 }, { "0.0.0.0", 1 }, { "::1", 1 }, { "::", 1 }, { "::ffff:127.0.0.1", 1 }, { "::ffff:0.0.0.0", 1 },
		     { "127.0.0.9", 1 }, { "198.51.100.1", 0 }, { "2001:db8::1", 0 }, { "::ffff:198.51.100.1", 0 } };
	const char *groups[] = { rig.agent_a, rig.stranger };
	struct abroad a = abroad_make(DRESSED), b = abroad_make(DRESSED);

	abroad_listen(&a);
	abroad_silence(&a);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t g = 0; g < 2; g++)
			for (int reuse = 0; reuse < 2; reuse++) {
				struct binding x = { rows[i].at, a.l.port4, SOCK_STREAM, reuse, a.ns };

				expect_bind(groups[g], x, rows[i].is_ours);
				x.port = a.l.port6;
				expect_bind(groups[g], x, rows[i].is_ours);
				/* Another port, another namespace, the kernel's choice, UDP: nobody's business. */
				x.port = 1;
				expect_bind(groups[g], x, false);
				x.port = 0;
				expect_bind(groups[g], x, false);
				x.port = a.l.port4;
				x.ns = b.ns;
				expect_bind(groups[g], x, false);
				x.ns = a.ns;
				x.type = SOCK_DGRAM;
				expect_bind(groups[g], x, false);
			}
	struct binding x = { "127.0.0.1", a.l.port4, SOCK_STREAM, false, a.ns };

	/* The daemon's own cgroup may; so may anybody when the row is gone. */
	assert_int_equal(act(rig.daemon, run_bind, &x), 0);
	assert_int_equal(gate_drop_listener(rig.g, a.l.cookie), 0);
	expect_bind(rig.agent_a, x, false);
	abroad_end(&a);
	abroad_end(&b);
}

/* While it listens: SO_REUSEPORT does not get anybody in, and it is the gate that says so. */
static void the_port_is_not_shared(void **unused)
{
	struct abroad a = abroad_make(DRESSED);

	abroad_listen(&a);
	expect_bind(rig.agent_a, (struct binding){ "127.0.0.1", a.l.port4, SOCK_STREAM, true, a.ns }, true);
	expect_bind(rig.agent_a, (struct binding){ "127.0.0.1", rig.port4, SOCK_STREAM, true, -1 }, true);
	expect_bind(rig.agent_a, (struct binding){ "::", rig.port6, SOCK_STREAM, true, -1 }, true);
	abroad_end(&a);
}

/* ---- the table */

static void the_table_is_bounded_and_cleared(void **unused)
{
	int r = 0;

	for (uint64_t n = 0; r == 0 && n < GATE_LISTENERS_MAX; n++)
		r = gate_put_listener(rig.g, 1000000 + n, 1, 1);
	assert_int_equal(r, -E2BIG);
	assert_int_equal(gate_each_listener(rig.g, NULL, NULL), GATE_LISTENERS_MAX);
	/* What is there can still change. */
	assert_int_equal(gate_put_listener(rig.g, rig.netns_cookie, 5, 5), 0);
	gate_clear_listeners(rig.g);
	assert_int_equal(gate_each_listener(rig.g, NULL, NULL), 0);
	assert_int_equal(dial_llm(rig.agent_a), told(EACCES));
	gate_set_listeners(rig.g, rig.port4, rig.port6, rig.netns_cookie);
	assert_int_equal(dial_llm(rig.agent_a), 0);
}

/* What a daemon of before `listeners` left pinned: everything else stays, the new map comes to it. */
static void pins_of_before(void **unused)
{
	static const char *const added[] = { "maps/listeners", "links/gate_bind4", "links/gate_bind6" };
	struct gate_hold *h = &gate_holds(rig.g)[3];
	struct gate *peek = NULL;
	struct gate_agent agent;
	struct err e = { "" };
	char path[256];

	gate_accounts(rig.g)[ACCOUNT_A].windows[WINDOW_DAY].left_nanousd = 123456789;
	*h = (struct gate_hold){ .state = GATE_HOLD_SENT, .call_id = 42, .amount_nanousd = 7 };
	uint64_t generation = gate_state(rig.g)->generation;

	close_gate();
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", rig.pin_dir, added[i]);
		assert_int_equal(unlink(path), 0);
	}
	/* It can be looked at as it is. */
	assert_int_equal(gate_peek(rig.pin_dir, &peek, &e), 0);
	assert_int_equal(gate_each_listener(peek, NULL, NULL), 0);
	assert_int_equal(gate_holds(peek)[3].call_id, 42);
	gate_close(peek);

	open_gate();
	assert_false(gate_is_fresh(rig.g));
	assert_int_equal(gate_state(rig.g)->generation, generation + 1);
	assert_int_equal(gate_accounts(rig.g)[ACCOUNT_A].windows[WINDOW_DAY].left_nanousd, 123456789);
	assert_int_equal(gate_holds(rig.g)[3].call_id, 42);
	assert_int_equal(gate_find_agent(rig.g, rig.id_a, &agent), 0);
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", rig.pin_dir, added[i]);
		assert_int_equal(access(path, F_OK), 0);
	}
	assert_int_equal(gate_verify(rig.g, &e), 0);
	gate_set_listeners(rig.g, rig.port4, rig.port6, rig.netns_cookie);
	gate_beat(rig.g);
	assert_int_equal(dial_llm(rig.agent_a), 0);
	expect_bind(rig.agent_a, (struct binding){ "127.0.0.1", rig.port4, SOCK_STREAM, true, -1 }, true);
	*h = (struct gate_hold){ 0 };
}

/* ---- netns.h */

static size_t open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static void listens_where_there_is_a_loopback(void **unused)
{
	struct abroad down = abroad_make(LOOPBACK_DOWN), v4 = abroad_make(WITHOUT_V6), both = abroad_make(DRESSED);
	size_t before = open_descriptors();
	struct netns_id own, after;

	assert_int_equal(netns_own(&own), 0);
	assert_int_equal(netns_listen(down.ns, 0, &down.l), 0);
	assert_true(down.l.cookie != 0 && down.l.fd4 == -1 && down.l.fd6 == -1);
	assert_int_equal(down.l.why4, ENETDOWN);
	assert_int_equal(down.l.why6, ENETDOWN);
	assert_int_equal(netns_listen(v4.ns, 0, &v4.l), 0);
	assert_true(v4.l.fd4 >= 0 && v4.l.port4 && v4.l.fd6 == -1 && v4.l.why6 == EADDRNOTAVAIL);
	assert_int_equal(netns_listen(both.ns, 0, &both.l), 0);
	/* What is there stays as it is. */
	int fd4 = both.l.fd4;

	assert_int_equal(netns_listen(both.ns, 0, &both.l), 0);
	assert_true(both.l.fd4 == fd4 && both.l.fd6 >= 0);
	assert_int_equal(open_descriptors(), before + 3);
	abroad_silence(&v4);
	abroad_silence(&both);
	assert_int_equal(open_descriptors(), before);
	/* We have not moved. */
	assert_int_equal(netns_own(&after), 0);
	assert_true(own.ino == after.ino && own.dev == after.dev);
	assert_true(netns_listen(rig.egress4, 0, &down.l) < 0);
	abroad_end(&down);
	abroad_end(&v4);
	abroad_end(&both);
}

struct sightings {
	struct netns_id want;
	unsigned all, found;
	uint64_t agent;
	int opened;
};

static void sight(void *ctx, const struct netns_seen *s)
{
	struct sightings *x = ctx;

	x->all++;
	if (s->id.ino != x->want.ino || s->id.dev != x->want.dev)
		return;
	x->found++;
	x->agent = s->agent;
	x->opened = netns_open(s);
	if (x->opened >= 0)
		(void)close(x->opened);
}

static struct netns_id id_of_fd(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (struct netns_id){ st.st_dev, st.st_ino };
}

static int go_abroad(void *ctx, struct seen *seen)
{
	const struct abroad *a = ctx;

	return setns(a->ns, CLONE_NEWNET) < 0 ? errno : 0;
}

static void sees_processes_below_an_agent(void **unused)
{
	struct abroad a = abroad_make(DRESSED);
	struct sightings x = { .want = id_of_fd(a.ns) };

	(void)make_nested("n/n/n");
	struct actor actor = actor_start(nested, go_abroad, &a);

	netns_look_agents(rig.g, sight, &x);
	assert_int_equal(x.found, 1);
	assert_true(x.agent == rig.id_a && x.opened >= 0);
	actor_end(&actor);
	x.found = 0;
	netns_look_agents(rig.g, sight, &x);
	assert_int_equal(x.found, 0);
	remove_nested();
	/* A stranger's is not looked for. */
	actor = actor_start(rig.stranger, go_abroad, &a);
	netns_look_agents(rig.g, sight, &x);
	assert_int_equal(x.found, 0);
	actor_end(&actor);
	abroad_end(&a);
}

static void *thread_abroad(void *ctx)
{
	const struct abroad *a = ctx;

	(void)setns(a->ns, CLONE_NEWNET);
	(void)sleep(20);
	return NULL;
}

static int thread_goes_abroad(void *ctx, struct seen *seen)
{
	pthread_t t;

	return pthread_create(&t, NULL, thread_abroad, ctx);
}

static void sees_a_thread_alone(void **unused)
{
	struct abroad a = abroad_make(DRESSED);
	struct sightings x = { .want = id_of_fd(a.ns) };
	struct actor actor = actor_start(rig.agent_a, thread_goes_abroad, &a);

	for (int i = 0; i < 100 && !x.found; i++) {
		(void)usleep(10000);
		assert_int_equal(netns_look_process(actor.pid, sight, &x), 0);
	}
	assert_int_equal(x.found, 1);
	assert_true(x.opened >= 0);
	kill_group(rig.agent_a);
	actor_end(&actor);
	assert_int_equal(netns_look_process(actor.pid, sight, &x), -ESRCH);
	abroad_end(&a);
}

static void what_was_seen_and_is_elsewhere_now(void **unused)
{
	struct netns_seen s = { .pid = getpid(), .tid = getpid(), .id = { .dev = 1, .ino = 2 } };

	assert_int_equal(netns_open(&s), -ESTALE);
	s.pid = s.tid = 1 << 30;
	assert_int_equal(netns_open(&s), -ENOENT);
}

/* ---- */

static int setup(void **unused)
{
	return rig_up(true);
}

#define TEST(fn) cmocka_unit_test_setup(fn, before_each)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_listener_is_denied_and_told),
		TEST(nobody_is_told_of_strangers_or_to_the_dead),
		TEST(redirected_to_the_listener_of_its_namespace),
		TEST(same_source_port_in_three_namespaces),
		TEST(a_family_without_listener_is_denied),
		TEST(the_port_stays_ours),
		TEST(the_port_is_not_shared),
		TEST(the_table_is_bounded_and_cleared),
		TEST(pins_of_before),
		TEST(listens_where_there_is_a_loopback),
		TEST(sees_processes_below_an_agent),
		TEST(sees_a_thread_alone),
		TEST(what_was_seen_and_is_elsewhere_now),
	};
	const char *obstacle = rig_obstacle();

	if (obstacle) {
		print_message("skipped: %s\n", obstacle);
		return 0;
	}
	return cmocka_run_group_tests_name("network namespaces", tests, setup, NULL);
}
