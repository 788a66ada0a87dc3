// SPDX-License-Identifier: Apache-2.0
/*
 * A start over maps of an older layout: what stood in them is there, to the nano-dollar; what sockets were told still holds; no agent gets
 * out at any moment, whoever dies when. The older gates are made up (older.h), their maps, programs and links are real.
 */
#include "base/clock.h"
#include "older.h"

enum { HOLDS_USED = 300, ACCOUNTS_USED = 40, AGENTS_USED = 50 };

static const uint32_t versions[] = { MONEY_DIFFERS, TABLES_DIFFER };

/* ---- what the older daemon had written. By number, so that it can be told again. */

static struct gate_account account_of(int i, bool is_old)
{
	struct gate_account a = { .parent = (uint32_t)(i > 1), .flags = GATE_ACCOUNT_USED, .floor_nanousd = i, .refusals = (uint64_t)i * 3 };

	(void)snprintf(a.name, sizeof(a.name), "account-%d", i);
	for (int w = 0; w < WINDOW_COUNT; w++)
		a.windows[w] = (struct gate_window){ .left_nanousd = PLENTY - i * 7 - w, .held_nanousd = i * 11 + w, .limit_nanousd = PLENTY,
						     .start_s = 1000 + w, .end_s = 2000 + w };
	a.calls = (uint64_t)i + (is_old ? 0 : 5);
	return a;
}

static struct old_hold old_hold_of(int i)
{
	struct old_hold h = { .call_id = 100000 + (uint64_t)i, .amount = i * 13, .cost = i * 17, .started = 1700000000 + i, .cgroup_id = (uint64_t)i,
			      .pid = (uint32_t)i, .account = (uint32_t)(i % ACCOUNTS_USED), .provider = (uint16_t)(i % 3), .endpoint = 1,
			      .estimated = (uint8_t)(i & 1), .state = (uint8_t)(1 + i % 3), .comm = "agent" };

	(void)snprintf(h.model, sizeof(h.model), "model-%d", i);
	return h;
}

static struct gate_hold hold_of(int i)
{
	struct old_hold o = old_hold_of(i);
	struct gate_hold h = { 0 };

	convert_hold(&o, &h);
	return h;
}

static struct gate_agent agent_of(int i)
{
	struct gate_agent a = { .account = ACCOUNT_A };

	(void)snprintf(a.name, sizeof(a.name), "agent-%d", i);
	return a;
}

/* Slots at both ends of the array, too. */
static uint32_t slot_of(int i)
{
	return i % 2 ? (uint32_t)i : (uint32_t)(GATE_HOLDS_MAX - 1 - i);
}

static void put_agents(void)
{
	for (uint64_t i = 0; i < AGENTS_USED; i++) {
		struct gate_agent a = agent_of((int)i);
		uint64_t id = i == 0 ? rig.id_a : 1000000 + i;

		older_put("agents", &id, &a, sizeof(a));
	}
}

static void put_money(uint32_t version)
{
	bool is_old = version == MONEY_DIFFERS;

	for (uint32_t i = 1; i < ACCOUNTS_USED; i++) {
		struct old_account a = { .a = account_of((int)i, is_old), .more_calls = 5 };

		older_put("accounts", &i, &a, is_old ? sizeof(a) : sizeof(a.a));
	}
	for (int i = 1; i <= HOLDS_USED; i++) {
		struct old_hold o = old_hold_of(i);
		struct gate_hold h = hold_of(i);
		uint32_t slot = slot_of(i);

		older_put("holds", &slot, is_old ? (void *)&o : (void *)&h, is_old ? sizeof(o) : sizeof(h));
	}
}

static void put_where(void)
{
	const struct gate_listener l = { .port4 = rig.port4, .port6 = rig.port6 };

	older_put("listeners", &rig.netns_cookie, &l, sizeof(l));
	for (enum form f = V4; f <= V6; f++)
		for (int host = HOST_DEDICATED; host <= HOST_SHARED; host += HOST_SHARED - HOST_DEDICATED) {
			struct sockaddr_storage ss = make_address(f, host, 0);
			struct gate_endpoint_key key = { .prefixlen = 128 };
			struct gate_endpoint e = { .class = host == HOST_SHARED ? GATE_CLASS_SHARED : GATE_CLASS_DEDICATED, .provider = (uint16_t)host };

			address_bytes(&ss, key.addr);
			older_put("endpoints", &key, &e, sizeof(e));
		}
}

/* heartbeat_ns 0: its daemon is dead. The programs under it are today's, so a living one says today's version. */
static void put_state(uint32_t version, uint64_t heartbeat_ns)
{
	const struct gate_state s = { .abi_version = version, .heartbeat_ns = heartbeat_ns, .stale_after_ns = 600 * (uint64_t)SECOND_NS,
				      .netns_cookie = rig.netns_cookie, .port4 = rig.port4, .port6 = rig.port6, .nports = 1, .ports = { PORT_CAPTURED },
				      .generation = 41, .agents_epoch = 7 };
	uint32_t zero = 0;

	older_put("state", &zero, &s, sizeof(s));
}

static void older_gate(uint32_t version, uint64_t heartbeat_ns)
{
	older_start(version);
	put_agents();
	put_money(version);
	put_where();
	put_state(heartbeat_ns ? GATE_ABI_VERSION : version, heartbeat_ns);
}

/* ---- and what must be there afterwards */

static void expect_all(void)
{
	struct gate_endpoint e;
	struct gate_agent a;
	uint8_t addr[16];
	struct sockaddr_storage ss = make_address(V6, HOST_SHARED, 0);
	char path[256];
	size_t used = 0;

	assert_false(gate_is_fresh(rig.g));
	assert_int_equal(gate_state(rig.g)->abi_version, GATE_ABI_VERSION);
	assert_int_equal(gate_state(rig.g)->nports, 1);
	assert_int_equal(gate_state(rig.g)->generation, 42);
	assert_int_equal(gate_state(rig.g)->heartbeat_ns, 0);
	for (int i = 1; i < ACCOUNTS_USED; i++) {
		struct gate_account expected = account_of(i, false);

		assert_memory_equal(&gate_accounts(rig.g)[i], &expected, sizeof(expected));
	}
	for (int i = 1; i <= HOLDS_USED; i++) {
		struct gate_hold expected = hold_of(i);

		assert_memory_equal(&gate_holds(rig.g)[slot_of(i)], &expected, sizeof(expected));
	}
	for (int i = 0; i < GATE_HOLDS_MAX; i++)
		used += gate_holds(rig.g)[i].state != GATE_HOLD_FREE;
	assert_int_equal(used, HOLDS_USED);
	for (uint64_t i = 0; i < AGENTS_USED; i++) {
		struct gate_agent expected = agent_of((int)i);

		assert_int_equal(gate_find_agent(rig.g, i == 0 ? rig.id_a : 1000000 + i, &a), 0);
		assert_memory_equal(&a, &expected, sizeof(a));
	}
	address_bytes(&ss, addr);
	assert_int_equal(gate_find_endpoint(rig.g, addr, &e), 0);
	assert_int_equal(e.class, GATE_CLASS_SHARED);
	assert_int_equal(e.provider, HOST_SHARED);
	assert_int_equal(gate_each_listener(rig.g, NULL, NULL), 1);
	assert_int_equal(gate_verify(rig.g, NULL), 0);
	(void)snprintf(path, sizeof(path), "%s/" GATE_MAPS_NEXT, rig.pin_dir);
	assert_int_equal(access(path, F_OK), -1);
}

/* Alive, and everything works as in a gate that was never another. */
static void expect_in_order(void)
{
	struct sockaddr_storage peer;
	struct gate_flow flow;

	gate_set_listeners(rig.g, rig.port4, rig.port6, rig.netns_cookie);
	gate_beat(rig.g);
	drain_arrivals();
	struct dial d = make_dial(V4, HOST_DEDICATED, PORT_CAPTURED, SOCK_STREAM);
	struct actor a = actor_start(rig.agent_a, run_dial, &d);

	assert_int_equal(rig.seen->err, 0);
	assert_int_equal(arrival(1000, &peer), AT_EGRESS4);
	assert_int_equal(gate_take_flow(rig.g, rig.netns_cookie, &peer, &flow), 0);
	assert_int_equal(flow.agent_cgroup, rig.id_a);
	actor_end(&a);
}

static void open_here(void)
{
	rig.o.more_layouts = older_layouts;
	open_gate();
}

static int no_pins(void **unused)
{
	rig.o.inherited_lock = 0;
	kill_group(rig.agent_a);
	close_gate();
	end_pins(rig.pin_dir);
	drain_arrivals();
	return 0;
}

/* ---- load: an agent that tries to get out all the time. A dead daemon refuses it; `number` counts what was not refused. */

static int hammer(void *ctx, struct seen *seen)
{
	struct sockaddr_storage to[2] = { make_address(V4, HOST_DEDICATED, PORT_CAPTURED), make_address(V6, HOST_DEDICATED, PORT_CAPTURED) };
	int sock = socket(AF_INET, SOCK_DGRAM, 0);
	pid_t pid = fork();

	if (pid != 0)
		return pid < 0 ? errno : 0;
	for (unsigned i = 0; getppid() != 1; i++) {
		const struct sockaddr_storage *at = &to[i & 1];
		int fd = socket(at->ss_family, SOCK_STREAM, 0);

		if (fd >= 0 && connect(fd, (const struct sockaddr *)at, address_size(at)) == 0)
			seen->number++;
		/* And by one from before. */
		if (sendto(sock, "x", 1, 0, (struct sockaddr *)&to[0], address_size(&to[0])) == 1)
			seen->number++;
		if (fd >= 0)
			(void)close(fd);
	}
	_exit(0);
}

static void expect_nobody_got_out(struct actor *a)
{
	struct sockaddr_storage peer;

	kill_group(rig.agent_a);
	actor_end(a);
	assert_int_equal(rig.seen->number, 0);
	assert_int_equal(arrival(0, &peer), NOWHERE);
}

static void everything_is_there(void **unused)
{
	for (size_t v = 0; v < sizeof(versions) / sizeof(versions[0]); v++) {
		older_gate(versions[v], 0);
		struct actor a = actor_start(rig.agent_a, hammer, NULL);

		(void)usleep(20000);
		open_here();
		(void)usleep(20000);
		expect_all();
		expect_nobody_got_out(&a);
		assert_true(gate_holds(rig.g)[0].state == GATE_HOLD_FREE);
		expect_in_order();
		/* Nothing to do the next time. */
		close_gate();
		rig.o.more_layouts = NULL;
		open_gate();
		assert_false(gate_is_fresh(rig.g));
		assert_int_equal(gate_state(rig.g)->generation, 43);
		(void)no_pins(NULL);
	}
}

/* Redirected by the older programs, not yet accepted: its flow is gone, so that whoever accepts closes it. What it was told stays. */
static void sockets_live_on(void **unused)
{
	struct dial d = make_dial(V4, HOST_DEDICATED, PORT_CAPTURED, SOCK_STREAM);
	struct sockaddr_storage peer;
	struct gate_flow flow;

	older_gate(MONEY_DIFFERS, (uint64_t)clock_boot_ns());
	struct actor a = actor_start(rig.agent_a, dial_then_ask_later, &d);

	assert_int_equal(rig.seen->err, 0);
	older_say_version(MONEY_DIFFERS);
	open_here();
	memset(&rig.seen->peer, 0, sizeof(rig.seen->peer));
	(void)usleep(30000);
	assert_true(same_address(&rig.seen->peer, &d.to));
	assert_int_equal(arrival(1000, &peer), AT_EGRESS4);
	assert_int_equal(gate_take_flow(rig.g, rig.netns_cookie, &peer, &flow), -ENOENT);
	kill_group(rig.agent_a);
	actor_end(&a);
	expect_in_order();
}

/* ---- what is refused, and then nothing is touched */

static uint32_t version_pinned(void)
{
	uint8_t value[512];
	uint32_t zero = 0, version;
	int fd = older_map("state");

	assert_int_equal(bpf_map_lookup_elem(fd, &zero, value), 0);
	(void)close(fd);
	memcpy(&version, value, sizeof(version));
	return version;
}

static void refused(const struct gate_options *o, int expected, const char *words)
{
	struct gate *g = NULL;
	struct err e = { "" };

	assert_int_equal(gate_open(o, &g, &e), expected);
	if (!strstr(e.text, words))
		fail_msg("\"%s\" does not say %s", e.text, words);
	assert_int_equal(dial_llm(rig.agent_a), probe_has_set_retval() ? ECONNREFUSED : EPERM);
	assert_int_equal(version_pinned(), MONEY_DIFFERS);
}

static void what_is_refused(void **unused)
{
	struct gate_options o = rig.o;
	struct gate *g = NULL;
	struct err e = { "" };
	char text[64];

	older_gate(MONEY_DIFFERS, 0);
	/* Unknown here: both versions, and what to do. */
	o.more_layouts = NULL;
	(void)snprintf(text, sizeof(text), "layout version %d, newer than %d", MONEY_DIFFERS, GATE_ABI_VERSION);
	refused(&o, -EPROTO, text);
	refused(&o, -EPROTO, "purse uninstall");
	/* While another daemon runs. */
	o.more_layouts = older_layouts;
	o.inherited_lock = open("/dev/null", O_RDONLY | O_CLOEXEC);
	refused(&o, -EPROTO, "stop the one, then start the other");
	o.inherited_lock = 0;
	/* Only a look. */
	assert_int_equal(gate_peek(rig.pin_dir, &g, &e), -EPROTO);
	/* Of that version by its own word, but not by its size. */
	older_say_version(TABLES_DIFFER);
	assert_int_equal(gate_open(&o, &g, &e), -EPROTO);
	assert_non_null(strstr(e.text, "not a map of purse"));
}

/* ---- whoever dies when */

#ifdef PURSE_CRASH_POINTS
static bool start_and_crash(const char *where)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct gate *g = NULL;

		(void)setenv("PURSE_CRASH", where, 1);
		rig.o.more_layouts = older_layouts;
		_exit(gate_open(&rig.o, &g, NULL) == 0 ? 0 : 1);
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status);
}

static const struct {
	const char *name;
	int times; /* that it is passed; 0: as often as it is */
} points[] = {
	{ "migrate-begun", 1 },	   { "migrate-loaded", 1 },    { "migrate-copied", 0 },
	{ "gate-attached", 0 },	   { "migrate-attached", 1 }, { "migrate-exchanged", 1 },
};

/* Each point, then a start that is left alone. Meanwhile, and after each death, agents are denied. */
static void killed_at_each_step(void **unused)
{
	size_t deaths = 0;

	for (size_t v = 0; v < sizeof(versions) / sizeof(versions[0]); v++)
		for (size_t p = 0; p < sizeof(points) / sizeof(points[0]); p++)
			for (int nth = 1; nth <= 20 && (points[p].times == 0 || nth <= points[p].times); nth++) {
				char where[64];

				(void)snprintf(where, sizeof(where), "%s:%d", points[p].name, nth);
				older_gate(versions[v], 0);
				struct actor a = actor_start(rig.agent_a, hammer, NULL);

				if (!start_and_crash(where)) {
					/* Passed less often than that. */
					assert_int_equal(points[p].times, 0);
					assert_true(nth > 2);
					expect_nobody_got_out(&a);
					(void)no_pins(NULL);
					break;
				}
				deaths++;
				open_here();
				/* One more start than after no crash, if it got as far as the exchange. */
				if (strcmp(points[p].name, "migrate-exchanged") == 0)
					gate_state(rig.g)->generation--;
				expect_all();
				expect_nobody_got_out(&a);
				expect_in_order();
				(void)no_pins(NULL);
			}
	print_message("%zu deaths\n", deaths);
	assert_true(deaths > 2 * 14);
}

/* Three deaths in a row, each further on, and the last start finds it all. */
static void killed_again_and_again(void **unused)
{
	older_gate(MONEY_DIFFERS, 0);
	struct actor a = actor_start(rig.agent_a, hammer, NULL);

	assert_true(start_and_crash("gate-attached:6"));
	assert_true(start_and_crash("migrate-copied:2"));
	assert_true(start_and_crash("migrate-attached"));
	assert_true(start_and_crash("migrate-begun"));
	open_here();
	expect_all();
	expect_nobody_got_out(&a);
	expect_in_order();
}

/* The older version is started once more after all: its maps are as they were, its programs go over the half that is ours. */
static void the_older_one_can_come_back(void **unused)
{
	older_gate(MONEY_DIFFERS, 0);
	struct actor a = actor_start(rig.agent_a, hammer, NULL);

	assert_true(start_and_crash("gate-attached:6"));
	older_start(MONEY_DIFFERS);
	assert_int_equal(version_pinned(), MONEY_DIFFERS);
	open_here();
	expect_all();
	expect_nobody_got_out(&a);
	expect_in_order();
}
#endif

static int setup(void **unused)
{
	return rig_up(false);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_teardown(f, no_pins)
	const struct CMUnitTest tests[] = {
		CASE(everything_is_there),
		CASE(sockets_live_on),
		CASE(what_is_refused),
#ifdef PURSE_CRASH_POINTS
		CASE(killed_at_each_step),
		CASE(killed_again_and_again),
		CASE(the_older_one_can_come_back),
#endif
	};
	const char *obstacle = rig_obstacle();

	if (obstacle) {
		print_message("skipped: %s\n", obstacle);
		return 0;
	}
	return cmocka_run_group_tests_name("from an older layout", tests, setup, NULL);
}
