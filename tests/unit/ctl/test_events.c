// SPDX-License-Identifier: Apache-2.0
/* test_events.c: what is kept of the gate's refusals, and that the probing of name look-ups is one line with a count. */
#include "cm.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/str.h"
#include "ctl/events.h"
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probes_are_folded),
		cmocka_unit_test(only_the_newest_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
