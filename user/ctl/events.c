// SPDX-License-Identifier: Apache-2.0
/* events.c: see events.h. */
#include "ctl/events.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/jsonw.h"
#include "base/loop.h"
#include "base/str.h"
#include "ctl/units.h"
#include "ctl_abi.h"
#include "kern/gate.h"

#define LINE_MAX_BYTES 1024

/* Stable words for machines; gate_reason_text() is for people. */
static const char *const reason_words[GATE_REASON_COUNT] = {
	[GATE_REASON_NONE] = "none",
	[GATE_REASON_NO_CREDIT] = "no-credit",
	[GATE_REASON_PAUSED] = "paused",
	[GATE_REASON_DAEMON_DEAD] = "daemon-dead",
	[GATE_REASON_NOT_AGENT] = "not-agent",
	[GATE_REASON_IDENTITY] = "identity",
	[GATE_REASON_UDP] = "udp",
	[GATE_REASON_SOCKET_TYPE] = "socket-type",
	[GATE_REASON_NETNS] = "netns",
	[GATE_REASON_EGRESS] = "egress",
	[GATE_REASON_TABLE_FULL] = "table-full",
	[GATE_REASON_LOOK] = "look",
	[GATE_REASON_OUR_PORT] = "our-port",
	[GATE_REASON_OLD_FLOW] = "old-flow",
};

struct kept {
	struct gate_event event;
	const char *word, *text; /* what the daemon itself tells; NULL: the event's reason says it */
	char agent[GATE_NAME_MAX];
	int64_t at_ns, last_ns;
	uint64_t count;
};

/* Looked for among so many of the newest. */
#define FOLD_AMONG 64

struct events {
	struct gate *gate;
	struct loop_io *io;
	struct list followers;
	void (*tap)(void *ctx, const struct gate_event *event);
	void *tap_ctx;
	size_t next, count; /* next: where the next one goes */
	struct kept kept[CTL_EVENTS_KEPT];
};

static const char *protocol_word(unsigned protocol, char *mem, size_t size)
{
	static const struct {
		unsigned protocol;
		const char *word;
	} words[] = { { IPPROTO_TCP, "tcp" }, { IPPROTO_UDP, "udp" }, { IPPROTO_ICMP, "icmp" },
		      { IPPROTO_ICMPV6, "icmpv6" }, { IPPROTO_MPTCP & 0xffff, "mptcp" } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].protocol == protocol)
			return words[i].word;
	(void)snprintf(mem, size, "%u", protocol);
	return mem;
}

static const char *address(const uint8_t a[16], char *mem, size_t size)
{
	static const uint8_t none[16];

	/* A refused socket() has no destination. */
	return memcmp(a, none, sizeof(none)) == 0 ? "" : addr_show(a, mem, size);
}

static int write_line(const struct kept *k, struct buf *out)
{
	const struct gate_event *ev = &k->event;
	char mem[64], comm[GATE_COMM_MAX + 1];
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_object(&w, NULL);
	jsonw_cstr(&w, "time", units_show_time(k->at_ns, true, mem, sizeof(mem)));
	jsonw_cstr(&w, "reason", k->word ? k->word : ev->reason < GATE_REASON_COUNT ? reason_words[ev->reason] : "unknown");
	jsonw_cstr(&w, "text", k->text ? k->text : gate_reason_text((enum gate_reason)ev->reason));
	jsonw_cstr(&w, "agent", k->agent[0] ? k->agent : NULL);
	jsonw_i64(&w, "caller_cgroup", (int64_t)ev->caller_cgroup);
	jsonw_i64(&w, "pid", ev->pid);
	(void)snprintf(comm, sizeof(comm), "%.*s", GATE_COMM_MAX, ev->comm);
	jsonw_cstr(&w, "comm", comm);
	jsonw_cstr(&w, "dst", address(ev->dst, mem, sizeof(mem)));
	jsonw_i64(&w, "dport", ev->dport);
	jsonw_cstr(&w, "protocol", protocol_word(ev->protocol, mem, sizeof(mem)));
	jsonw_cstr(&w, "errno", ev->errnum ? strerrorname_np((int)ev->errnum) : NULL);
	jsonw_i64(&w, "count", (int64_t)k->count);
	if (k->count > 1)
		jsonw_cstr(&w, "last", units_show_time(k->last_ns, true, mem, sizeof(mem)));
	jsonw_close(&w);
	int r = jsonw_end(&w);

	return r ? r : buf_append(out, "\n", 1);
}

/*
 * Every look-up of a name by glibc connects a UDP socket to each address that it found, to learn by which of ours it would be reached
 * (RFC 6724), and the gate refuses each. That is one line with a count, by whom and to which port, not a flood that hides the rest.
 */
static bool is_same_probe(const struct gate_event *a, const struct gate_event *b)
{
	return a->reason == GATE_REASON_UDP && b->reason == GATE_REASON_UDP && a->agent_cgroup == b->agent_cgroup &&
	       a->caller_cgroup == b->caller_cgroup && a->dport == b->dport && a->protocol == b->protocol &&
	       memcmp(a->comm, b->comm, sizeof(a->comm)) == 0;
}

/* A browser tries again, and at each host that it visits. */
static bool is_same_told(const struct kept *k, const struct gate_event *b, const char *word)
{
	const struct gate_event *a = &k->event;

	return k->word && word && strcmp(k->word, word) == 0 && a->agent_cgroup == b->agent_cgroup && a->dport == b->dport &&
	       memcmp(a->comm, b->comm, sizeof(a->comm)) == 0;
}

static struct kept *find_same(struct events *ev, const struct gate_event *event, const char *word, int64_t at_ns)
{
	for (size_t i = 1; i <= FOLD_AMONG && i <= ev->count; i++) {
		struct kept *k = &ev->kept[(ev->next + CTL_EVENTS_KEPT - i) % CTL_EVENTS_KEPT];

		if ((word ? is_same_told(k, event, word) : !k->word && is_same_probe(&k->event, event)) &&
		    at_ns - k->last_ns < EVENTS_FOLD_NS)
			return k;
	}
	return NULL;
}

static bool is_power_of_ten(uint64_t n)
{
	while (n >= 10 && n % 10 == 0)
		n /= 10;
	return n == 1;
}

static struct kept *keep(struct events *ev, const struct gate_event *event, const char *agent, int64_t at_ns)
{
	struct kept *k = &ev->kept[ev->next];

	*k = (struct kept){ .event = *event, .at_ns = at_ns, .last_ns = at_ns, .count = 1 };
	(void)str_copy(k->agent, sizeof(k->agent), str_of(agent));
	ev->next = (ev->next + 1) % CTL_EVENTS_KEPT;
	if (ev->count < CTL_EVENTS_KEPT)
		ev->count++;
	return k;
}

static void tell_followers(const struct events *ev, const struct kept *k)
{
	struct buf line;

	if (list_empty(&ev->followers))
		return;
	buf_init(&line, LINE_MAX_BYTES);
	if (write_line(k, &line) == 0) {
		list_for_each_safe(node, next, &ev->followers) {
			struct events_follower *f = list_entry(node, struct events_follower, node);

			f->fn(f->ctx, buf_ptr(&line), buf_len(&line));
		}
	}
	buf_done(&line);
}

void events_told(struct events *ev, const struct gate_event *event, const char *word, const char *text, const char *agent, int64_t at_ns)
{
	struct kept *k = find_same(ev, event, word, at_ns);

	if (k) {
		k->last_ns = at_ns;
		k->count++;
	} else {
		k = keep(ev, event, agent, at_ns);
		k->word = word;
		k->text = text;
	}
	/* Who follows hears of the first, the 10th, the 100th … */
	if (is_power_of_ten(k->count))
		tell_followers(ev, k);
}

void events_put(struct events *ev, const struct gate_event *event, const char *agent, int64_t at_ns)
{
	events_told(ev, event, NULL, NULL, agent, at_ns);
}

void events_put_ended(struct events *ev, const char *agent, uint64_t cgroup_id, size_t n, int64_t at_ns)
{
	const struct gate_event event = { .reason = GATE_REASON_OLD_FLOW, .agent_cgroup = cgroup_id, .caller_cgroup = cgroup_id,
					  .errnum = ECONNABORTED };
	struct kept *k = keep(ev, &event, agent, at_ns);

	k->count = n;
	tell_followers(ev, k);
}

int events_write(const struct events *ev, size_t most, struct buf *out)
{
	size_t n = ev->count < most ? ev->count : most;
	size_t at = (ev->next + CTL_EVENTS_KEPT - n) % CTL_EVENTS_KEPT;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = write_line(&ev->kept[(at + i) % CTL_EVENTS_KEPT], out);
	return r;
}

void events_follow(struct events *ev, struct events_follower *f)
{
	list_add_tail(&ev->followers, &f->node);
}

void events_unfollow(struct events_follower *f)
{
	list_remove(&f->node);
}

/* ---- the gate's ring */

void events_tap(struct events *ev, void (*fn)(void *ctx, const struct gate_event *event), void *ctx)
{
	ev->tap = fn;
	ev->tap_ctx = ctx;
}

static void take(void *ctx, const struct gate_event *event)
{
	struct events *ev = ctx;
	struct gate_agent agent = { 0 };

	if (ev->tap)
		ev->tap(ev->tap_ctx, event);
	if (event->reason == GATE_REASON_LOOK)
		return;
	if (event->agent_cgroup)
		(void)gate_find_agent(ev->gate, event->agent_cgroup, &agent);
	agent.name[sizeof(agent.name) - 1] = '\0';
	events_put(ev, event, agent.name, clock_realtime_ns() - (clock_boot_ns() - (int64_t)event->time_ns));
}

static void readable(void *ctx, unsigned ready)
{
	struct events *ev = ctx;

	gate_read_events(ev->gate, take, ev);
}

int events_new(struct gate *gate, struct loop *loop, struct events **ret, struct err *e)
{
	struct events *ev = calloc(1, sizeof(*ev));

	if (!ev)
		return err_set(e, ENOMEM, "events: out of memory");
	ev->gate = gate;
	list_init(&ev->followers);
	if (loop) {
		int r = loop_io_new(loop, gate_events_fd(gate), readable, ev, &ev->io);

		if (r < 0) {
			free(ev);
			return err_set(e, -r, "events: cannot watch the gate's event ring: %s", strerror(-r));
		}
		loop_io_want(ev->io, LOOP_READ);
	}
	*ret = ev;
	return 0;
}

void events_free(struct events *ev)
{
	if (!ev)
		return;
	if (ev->io)
		loop_io_free(ev->io);
	free(ev);
}
