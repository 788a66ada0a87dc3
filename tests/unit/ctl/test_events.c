// SPDX-License-Identifier: Apache-2.0
/* test_events.c: what is kept of the gate's refusals, and that the probing of name look-ups is one line with a count. */
#include "cm.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/str.h"
#include "base/loop.h"
#include "ctl/events.h"
#include "ctl/events_door.h"
#include "ctl_abi.h"
#include "fakes.h"

#define NOW INT64_C(1787220000000000000)
#define S INT64_C(1000000000)

static struct events *ev;

static struct gate_event event(enum gate_reason reason, const char *comm, uint16_t dport)
{
	struct gate_event e = { .reason = reason, .pid = 7, .dport = dport, .protocol = IPPROTO_UDP, .errnum = EACCES, .agent_cgroup = 5,
				.caller_cgroup = 5, .dst = { [10] = 0xff, 0xff, 198, 51, 100, 7 } };

	(void)str_copy(e.comm, sizeof(e.comm), str_of(comm));
	return e;
}

static size_t count_lines(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

static size_t written(struct buf *out)
{
	buf_init(out, 1 << 20);
	assert_int_equal(events_write(ev, CTL_EVENTS_KEPT, out), 0);
	return count_lines((struct str){ buf_ptr(out), buf_len(out) });
}

static bool says(const struct buf *out, const char *what)
{
	return memmem(buf_ptr(out), buf_len(out), what, strlen(what)) != NULL;
}

static size_t heard;
static void hear(void *ctx, const char *line, size_t n)
{
	heard++;
}

static void probes_are_folded(void **state)
{
	struct events_follower f = { .fn = hear };
	struct gate_event curl = event(GATE_REASON_UDP, "curl", 443), node = event(GATE_REASON_UDP, "node", 443),
			  zero = event(GATE_REASON_UDP, "curl", 0), other = event(GATE_REASON_NO_CREDIT, "curl", 443);
	struct err e;
	struct buf out;

	assert_int_equal(events_new(NULL, NULL, &ev, &e), 0);
	heard = 0;
	events_follow(ev, &f);
	for (int i = 0; i < 250; i++) {
		/* Each address that was found, each process: all the same to whoever reads this. */
		curl.dst[15] = (uint8_t)i;
		curl.pid = (uint32_t)i;
		events_put(ev, &curl, "bot", NOW + i * S / 10);
	}
	assert_int_equal(heard, 3); /* the 1st, the 10th, the 100th */
	assert_int_equal(written(&out), 1);
	assert_true(says(&out, "\"count\":250,\"last\":\"2026-08-20T10:00:24.900Z\""));
	buf_done(&out);

	/* Another process name, another port, another reason: lines of their own. Those that are no UDP are never folded. */
	events_put(ev, &node, "bot", NOW + 25 * S);
	events_put(ev, &zero, "bot", NOW + 25 * S);
	events_put(ev, &other, "bot", NOW + 25 * S);
	events_put(ev, &other, "bot", NOW + 25 * S);
	curl.agent_cgroup = 6;
	events_put(ev, &curl, "bot2", NOW + 25 * S);
	curl.agent_cgroup = 5;
	events_put(ev, &curl, "bot", NOW + 25 * S);
	assert_int_equal(written(&out), 6);
	assert_true(says(&out, "\"count\":251"));
	buf_done(&out);

	/* After a minute of silence it is news. */
	events_put(ev, &curl, "bot", NOW + 86 * S);
	assert_int_equal(written(&out), 7);
	buf_done(&out);
	events_unfollow(&f);
	events_free(ev);
}

static void only_the_newest_are_kept(void **state)
{
	struct gate_event x = event(GATE_REASON_EGRESS, "x", 443), udp = event(GATE_REASON_UDP, "x", 443);
	struct err e;
	struct buf out;

	assert_int_equal(events_new(NULL, NULL, &ev, &e), 0);
	events_put(ev, &udp, "", NOW);
	for (int i = 0; i < CTL_EVENTS_KEPT + 5; i++)
		events_put(ev, &x, "", NOW);
	/* The old probe is out of sight: a new line, at the ring's seam too. */
	events_put(ev, &udp, "", NOW);
	events_put(ev, &udp, "", NOW);
	assert_int_equal(written(&out), CTL_EVENTS_KEPT);
	assert_true(says(&out, "\"count\":2"));
	buf_done(&out);
	events_free(ev);
}

/* What the daemon tells: a line for each word, program and port, with a count; beside what the gate tells. */
static void told_ones_are_folded(void **state)
{
	struct gate_event curl = event(GATE_REASON_NONE, "curl", 443), other = event(GATE_REASON_NONE, "chrome", 443);
	struct err e;
	struct buf out;

	curl.errnum = other.errnum = 0;
	curl.protocol = other.protocol = IPPROTO_TCP;
	assert_int_equal(events_new(NULL, NULL, &ev, &e), 0);
	for (int i = 0; i < 5; i++) {
		curl.dst[15] = (uint8_t)i;
		events_told(ev, &curl, "hidden-name", "the name is hidden", "bot", NOW + i * S);
	}
	events_told(ev, &curl, "odd-name", "no host name", "bot", NOW + 5 * S);
	events_told(ev, &other, "hidden-name", "the name is hidden", "bot", NOW + 5 * S);
	events_put(ev, &curl, "bot", NOW + 5 * S);
	assert_int_equal(written(&out), 4);
	assert_true(says(&out, "\"reason\":\"hidden-name\",\"text\":\"the name is hidden\",\"agent\":\"bot\""));
	assert_true(says(&out, "\"errno\":null,\"count\":5,\"last\""));
	buf_done(&out);
	events_told(ev, &curl, "hidden-name", "the name is hidden", "bot", NOW + 70 * S);
	assert_int_equal(written(&out), 5);
	buf_done(&out);
	events_free(ev);
}

/* Left before there is a place for it, and more than fits. */
static void a_door_for_other_threads(void **state)
{
	const struct gate_flow flow = { .agent_cgroup = 5, .dport = 443, .pid = 9, .comm = "curl", .dst = { [10] = 0xff, 0xff, 192, 0, 2, 1 } };
	static const char *const words[EVENTS_DOOR_MAX] = { "a", "b" };
	struct events_door *door;
	struct loop *loop;
	struct err e;
	struct buf out;

	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(events_new(NULL, NULL, &ev, &e), 0);
	assert_int_equal(events_door_new(loop, &door, &e), 0);
	for (int i = 0; i < EVENTS_DOOR_MAX + 6; i++)
		events_door_tell(door, &flow, "bot", words[i % 2], "text");
	assert_int_equal(events_door_lost(door), 6);
	events_door_to(door, ev);
	assert_int_equal(written(&out), 2);
	assert_true(says(&out, "\"reason\":\"a\"") && says(&out, "\"count\":32") && says(&out, "\"dst\":\"192.0.2.1\"") &&
		    says(&out, "\"comm\":\"curl\"") && says(&out, "\"pid\":9"));
	buf_done(&out);
	events_door_to(door, NULL);
	events_door_tell(door, &flow, "bot", "c", "text");
	events_door_to(door, ev);
	assert_int_equal(written(&out), 3);
	buf_done(&out);
	events_door_free(door);
	events_free(ev);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told_ones_are_folded), cmocka_unit_test(a_door_for_other_threads), cmocka_unit_test(probes_are_folded),
		cmocka_unit_test(only_the_newest_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
