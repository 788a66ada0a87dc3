// SPDX-License-Identifier: Apache-2.0
/*
 * ways.c: the table of ways and the child that tries one. A way is a row: what it is called, what it needs, and how it is tried; the rows
 * that only differ in the socket they ask for share one function. Where a way led is told from the socket's own address: a
 * redirected connection is on loopback, all others are not. io_uring is in ways_uring.c.
 */
#include "kern/ways.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kern/cgroup.h"
#include "kern/ways_inside.h"

#define PATIENCE_S 10

/* ---- telling */

void way_say(struct attempt *a, enum way_end end, const char *fmt, ...)
{
	va_list ap;

	a->r->end = end;
	va_start(ap, fmt);
	(void)vsnprintf(a->r->text, sizeof(a->r->text), fmt, ap);
	va_end(ap);
}

/* What an errno of the attempt means. The gate's own come before routing and before any packet. */
void way_say_errno(struct attempt *a, const char *call, int err)
{
	switch (err) {
	case EACCES:
	case EPERM:
	case EDQUOT:
	case ECONNREFUSED:
		way_say(a, WAY_BLOCKED, "%s: %s", call, strerrorname_np(err));
		break;
	default:
		way_say(a, WAY_UNTESTED, "%s: %s", call, strerror(err));
	}
}

static bool is_loopback(const struct sockaddr_storage *ss)
{
	static const uint8_t one[16] = { [15] = 1 }, mapped[13] = { [10] = 0xff, [11] = 0xff, [12] = 127 };
	const struct in6_addr *a6 = &((const struct sockaddr_in6 *)ss)->sin6_addr;

	if (ss->ss_family == AF_INET)
		return (ntohl(((const struct sockaddr_in *)ss)->sin_addr.s_addr) >> 24) == 127;
	return memcmp(a6, one, 16) == 0 || memcmp(a6, mapped, 13) == 0;
}

/* A connect that went through or is under way: to whom? */
void way_say_where(struct attempt *a, int fd)
{
	struct sockaddr_storage own;
	socklen_t size = sizeof(own);

	if (getsockname(fd, (struct sockaddr *)&own, &size) < 0)
		way_say_errno(a, "getsockname", errno);
	else if (is_loopback(&own))
		way_say(a, WAY_CAPTURED, "led to the egress listener");
	else
		way_say(a, WAY_OPEN, "a connection to the address itself was begun");
}

/* ---- targets */

static socklen_t target_size(int family) { return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6); }

enum form { FORM_V4, FORM_V6, FORM_MAPPED, FORM_NAT64 };

/* false: this machine has no such target, and that was said. */
static bool target(struct attempt *a, enum form form, int port, struct sockaddr_storage *ret)
{
	static const uint8_t prefixes[][12] = { [FORM_MAPPED] = { [10] = 0xff, [11] = 0xff }, [FORM_NAT64] = { 0, 0x64, 0xff, 0x9b } };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	const struct way_targets *t = a->t;

	memset(ret, 0, sizeof(*ret));
	if (form == FORM_V6 ? !t->v6.sin6_family : !t->v4.sin_family) {
		way_say(a, WAY_UNTESTED, "no LLM endpoint with an IPv%d address is known", form == FORM_V6 ? 6 : 4);
		return false;
	}
	if (form == FORM_V4) {
		memcpy(ret, &t->v4, sizeof(t->v4));
		if (port)
			((struct sockaddr_in *)ret)->sin_port = htons((uint16_t)port);
		return true;
	}
	if (form == FORM_V6) {
		v6 = t->v6;
	} else {
		memcpy(&v6.sin6_addr, prefixes[form], 12);
		memcpy((char *)&v6.sin6_addr + 12, &t->v4.sin_addr, 4);
		v6.sin6_port = t->v4.sin_port;
	}
	if (port)
		v6.sin6_port = htons((uint16_t)port);
	memcpy(ret, &v6, sizeof(v6));
	return true;
}

/* ---- the plain ways */

static void connect_on(struct attempt *a, int fd, const struct sockaddr_storage *to)
{
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	if (connect(fd, (const struct sockaddr *)to, target_size(to->ss_family)) < 0 && errno != EINPROGRESS)
		way_say_errno(a, "connect", errno);
	else
		way_say_where(a, fd);
}

static void dial(struct attempt *a, enum form form, int port)
{
	struct sockaddr_storage to;

	if (!target(a, form, port, &to))
		return;
	int fd = socket(to.ss_family, SOCK_STREAM, 0);

	if (fd < 0)
		way_say_errno(a, "socket", errno);
	else
		connect_on(a, fd, &to);
}

static void try_v4(struct attempt *a) { dial(a, FORM_V4, 0); }
static void try_v6(struct attempt *a) { dial(a, FORM_V6, 0); }
static void try_mapped(struct attempt *a) { dial(a, FORM_MAPPED, 0); }
static void try_nat64(struct attempt *a) { dial(a, FORM_NAT64, 0); }
static void try_other_port(struct attempt *a) { dial(a, FORM_V4, 8443); }

static void send_udp(struct attempt *a, enum form form, int port, bool connects)
{
	struct sockaddr_storage to;

	if (!target(a, form, port, &to))
		return;
	int fd = socket(to.ss_family, SOCK_DGRAM, 0);

	if (fd < 0)
		return way_say_errno(a, "socket", errno);
	int r = connects ? connect(fd, (struct sockaddr *)&to, target_size(to.ss_family))
			 : (int)sendto(fd, "", 1, MSG_DONTWAIT, (struct sockaddr *)&to, target_size(to.ss_family));

	if (r < 0)
		way_say_errno(a, connects ? "connect" : "sendto", errno);
	else
		way_say(a, WAY_OPEN, "%s was let through", connects ? "a UDP connect" : "a datagram");
}

static void try_udp_connect(struct attempt *a) { send_udp(a, FORM_V4, 0, true); }
static void try_udp_v4(struct attempt *a) { send_udp(a, FORM_V4, 0, false); }
static void try_udp_v6(struct attempt *a) { send_udp(a, FORM_V6, 0, false); }
static void try_udp_mapped(struct attempt *a) { send_udp(a, FORM_MAPPED, 0, false); }
static void try_udp_port(struct attempt *a) { send_udp(a, FORM_V4, 53, false); }

/* An unconnected UDP socket takes AF_UNSPEC for its own family. */
static void try_udp_unspec(struct attempt *a)
{
	struct sockaddr_storage to;

	if (!target(a, FORM_V4, 0, &to))
		return;
	to.ss_family = AF_UNSPEC;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (sendto(fd, "", 1, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(struct sockaddr_in)) < 0)
		way_say_errno(a, "sendto", errno);
	else
		way_say(a, WAY_OPEN, "a datagram was let through");
}

static void try_fast_open(struct attempt *a)
{
	struct sockaddr_storage to;

	if (!target(a, FORM_V4, 0, &to))
		return;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (sendto(fd, "", 1, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof(struct sockaddr_in)) < 0 && errno != EINPROGRESS)
		way_say_errno(a, "sendto(MSG_FASTOPEN)", errno);
	else
		way_say_where(a, fd);
}

static void try_fast_open_connect(struct attempt *a)
{
	struct sockaddr_storage to;
	int on = 1;

	if (!target(a, FORM_V4, 0, &to))
		return;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)) < 0)
		return way_say_errno(a, "TCP_FASTOPEN_CONNECT", errno);
	connect_on(a, fd, &to);
}

/* Connected to something harmless, let go of with AF_UNSPEC, connected again. */
static void try_reconnect(struct attempt *a)
{
	struct sockaddr_in self = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	struct sockaddr_storage to;
	socklen_t size = sizeof(self);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

	if (!target(a, FORM_V4, 0, &to))
		return;
	if (bind(listener, (struct sockaddr *)&self, sizeof(self)) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&self, &size) < 0 || connect(fd, (struct sockaddr *)&self, sizeof(self)) < 0 ||
	    connect(fd, &nowhere, sizeof(nowhere)) < 0)
		return way_say_errno(a, "first connect", errno);
	connect_on(a, fd, &to);
}

static void try_bound_to_device(struct attempt *a)
{
	struct sockaddr_storage to;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (!target(a, FORM_V4, 0, &to))
		return;
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0)
		return way_say_errno(a, "SO_BINDTODEVICE", errno);
	connect_on(a, fd, &to);
}

/* ---- whose socket is it */

static void make_outside(struct attempt *a) { a->fd = socket(AF_INET, SOCK_STREAM, 0); }

static void try_made_outside(struct attempt *a)
{
	struct sockaddr_storage to;

	if (target(a, FORM_V4, 0, &to))
		connect_on(a, a->fd, &to);
}

static void try_carried_out(struct attempt *a)
{
	struct sockaddr_storage to;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct err e;

	if (!a->t->outside_dir)
		return way_say(a, WAY_UNTESTED, "no cgroup outside to go to");
	if (!target(a, FORM_V4, 0, &to))
		return;
	if (cgroup_enter(a->t->outside_dir, 0, &e) < 0)
		return way_say(a, WAY_UNTESTED, "%.120s", e.text);
	connect_on(a, fd, &to);
}

static void try_nested(struct attempt *a)
{
	char dir[1200];
	struct err e;

	(void)snprintf(dir, sizeof(dir), "%.1100s/way-%d/deeper", a->t->cgroup_dir, (int)getpid());
	if (cgroup_make(dir, &e) < 0 || cgroup_enter(dir, 0, &e) < 0)
		return way_say(a, WAY_UNTESTED, "%.120s", e.text);
	dial(a, FORM_V4, 0);
	(void)cgroup_enter(a->t->cgroup_dir, 0, NULL);
	(void)cgroup_remove(dir);
	*strrchr(dir, '/') = '\0';
	(void)cgroup_remove(dir);
}

static void try_own_netns(struct attempt *a)
{
	if (unshare(CLONE_NEWNET) < 0)
		return way_say_errno(a, "unshare(CLONE_NEWNET)", errno);
	dial(a, FORM_V4, 0);
}

static void try_own_userns(struct attempt *a)
{
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return way_say(a, WAY_UNTESTED, "user namespaces are off here: %s", strerror(errno));
	dial(a, FORM_V4, 0);
}

/* ---- what connect and sendmsg are not shown */

#define HARMLESS "192.0.2.1" /* TEST-NET-1, RFC 5737: nobody's */

/* A datagram to a harmless address whose source route goes by way of the LLM's: that one stands on the wire. */
static void try_source_route(struct attempt *a)
{
	uint8_t route[8] = { IPOPT_LSRR, 7, 4, [7] = IPOPT_EOL };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	struct sockaddr_storage llm;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (!target(a, FORM_V4, 0, &llm))
		return;
	memcpy(route + 3, &((struct sockaddr_in *)&llm)->sin_addr, 4);
	(void)inet_pton(AF_INET, HARMLESS, &to.sin_addr);
	if (setsockopt(fd, IPPROTO_IP, IP_OPTIONS, route, sizeof(route)) < 0)
		return way_say_errno(a, "IP_OPTIONS", errno);
	if (sendto(fd, "", 1, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) < 0)
		way_say_errno(a, "sendto", errno);
	else
		way_say(a, WAY_OPEN, "a packet with a source route was let through");
}

/* ---- sockets that an agent must not get at all */

static bool is_loaded(const char *protocol)
{
	FILE *f = fopen("/proc/net/protocols", "re");
	char line[256], name[32];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%31s", name) == 1 && strcmp(name, protocol) == 0;
	if (f)
		(void)fclose(f);
	return found;
}

/* Not asked for where the kernel would have to load a module first: looking must not change the node. */
static void try_socket(struct attempt *a)
{
	const struct way_socket *s = a->socket;

	if (s->loaded_as && !is_loaded(s->loaded_as))
		return way_say(a, WAY_UNTESTED, "%s is not loaded on this kernel", s->loaded_as);
	int fd = socket(s->domain, s->type, s->protocol);

	if (fd < 0)
		return way_say_errno(a, "socket", errno);
	way_say(a, WAY_OPEN, "the socket can be made, and no hook sees what it sends");
}

#define SOCKET(...) .try = try_socket, .socket = { __VA_ARGS__ }

static const struct way {
	const char *name, *why;
	enum way_need need;
	void (*before)(struct attempt *a); /* in a process outside, whose child then tries */
	void (*try)(struct attempt *a);
	void (*after)(struct attempt *a);  /* in the process outside, when the child has tried */
	struct way_socket socket;
} ways[] = {
	{ "tcp v4", "connect to an LLM address", .try = try_v4 },
	{ "tcp v6", "the same over IPv6", .try = try_v6 },
	{ "tcp v4-mapped", "an IPv4 address on an IPv6 socket", .try = try_mapped },
	{ "tcp nat64", "the IPv4 address behind 64:ff9b::/96", .try = try_nat64 },
	{ "tcp other port", "another port of an LLM address", .try = try_other_port },
	{ "tcp fast open", "data in the SYN, without connect", .try = try_fast_open },
	{ "tcp fast open connect", "connect that sends nothing before the first write", .try = try_fast_open_connect },
	{ "tcp reconnect", "connect elsewhere, disconnect, connect", .try = try_reconnect },
	{ "tcp bound to a device", "a redirect cannot leave that device", .try = try_bound_to_device },
	{ "io_uring connect", "connect without the system call", .try = way_uring_connect },
	{ "io_uring foreign ring", "a polled ring that was made outside", .need = WAY_NEEDS_HELPER, .before = way_uring_make, .try = way_uring_foreign,
	  .after = way_uring_tell },
	{ "udp connect", "QUIC's way", .try = try_udp_connect },
	{ "udp v4", "a datagram", .try = try_udp_v4 },
	{ "udp v6", "the same over IPv6", .try = try_udp_v6 },
	{ "udp v4-mapped", "an IPv4 datagram on an IPv6 socket", .try = try_udp_mapped },
	{ "udp other port", "DNS to an LLM address", .try = try_udp_port },
	{ "udp without a family", "the address says AF_UNSPEC", .try = try_udp_unspec },
	{ "source route", "another address on the wire than in the call", .try = try_source_route },
	{ "socket made outside", "inherited from a process that is no agent", .before = make_outside, .try = try_made_outside },
	{ "socket carried out", "made inside, used after leaving the cgroup", .try = try_carried_out },
	{ "nested cgroup", "from a cgroup below the agent's", .try = try_nested },
	{ "own network namespace", "from a namespace of its own", .need = WAY_NEEDS_CAPS, .try = try_own_netns },
	{ "own user namespace", "the same without privileges", .try = try_own_userns },
	{ "raw tcp", "packets by hand", .need = WAY_NEEDS_CAPS, SOCKET(AF_INET, SOCK_RAW, IPPROTO_TCP) },
	{ "raw ip", "packets by hand, headers too", .need = WAY_NEEDS_CAPS, SOCKET(AF_INET, SOCK_RAW, IPPROTO_RAW) },
	{ "raw ipv6", "packets by hand over IPv6", .need = WAY_NEEDS_CAPS, SOCKET(AF_INET6, SOCK_RAW, IPPROTO_TCP) },
	{ "ping socket", "its sendto has no hook", SOCKET(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) },
	{ "ping socket v6", "the same over IPv6", SOCKET(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6) },
	{ "mptcp", "further subflows are the kernel's own", SOCKET(AF_INET, SOCK_STREAM, 262, "MPTCP") },
	{ "udp-lite", "another datagram protocol", SOCKET(AF_INET, SOCK_DGRAM, 136, "UDP-Lite") },
	{ "sctp", "its connect has no hook", SOCKET(AF_INET, SOCK_STREAM, 132, "SCTP") },
	{ "dccp", "its connect has no hook", SOCKET(AF_INET, 6, 33, "DCCP") },
	{ "l2tp", "IP in a tunnel", SOCKET(AF_INET, SOCK_DGRAM, 115, "L2TP/IP") },
	{ "packet socket", "frames by hand; only lsm_cgroup sees it", .need = WAY_NEEDS_CAPS, SOCKET(17, SOCK_RAW, 0) },
	{ "xdp socket", "frames by hand; only lsm_cgroup sees it", .need = WAY_NEEDS_CAPS, SOCKET(44, SOCK_RAW, 0) },
	{ "smc", "TCP under another family", .need = WAY_NEEDS_PEER, SOCKET(43, SOCK_STREAM, 0, "SMC") },
	{ "kcm", "messages over TCP under another family", .need = WAY_NEEDS_PEER, SOCKET(41, SOCK_DGRAM, 0, "KCM") },
	{ "rds", "datagrams over TCP under another family", .need = WAY_NEEDS_PEER, SOCKET(21, SOCK_SEQPACKET, 0, "RDS") },
	{ "tipc", "a cluster protocol", .need = WAY_NEEDS_PEER, SOCKET(30, SOCK_STREAM, 0, "TIPC") },
	{ "vsock", "to the hypervisor's host", .need = WAY_NEEDS_PEER, SOCKET(40, SOCK_STREAM, 0, "AF_VSOCK") },
};

size_t ways_count(void) { return sizeof(ways) / sizeof(ways[0]); }

/* ---- the child */

_Noreturn static void be_agent(const struct way *w, struct attempt *a)
{
	struct err e = { "" };

	(void)alarm(PATIENCE_S);
	if (w->before) {
		if (a->t->outside_dir && cgroup_enter(a->t->outside_dir, 0, &e) < 0) {
			way_say(a, WAY_UNTESTED, "%.150s", e.text);
			_exit(0);
		}
		w->before(a);
		/* What was made stays its maker's: the one who tries is another process. */
		if (fork() != 0) {
			(void)wait(NULL);
			if (w->after)
				w->after(a);
			_exit(0);
		}
		(void)alarm(PATIENCE_S);
	}
	if (cgroup_enter(a->t->cgroup_dir, 0, &e) < 0)
		way_say(a, WAY_UNTESTED, "%.150s", e.text);
	else
		w->try(a);
	_exit(0);
}

void ways_try(size_t i, const struct way_targets *t, struct way_result *ret)
{
	const struct way *w = &ways[i];
	struct way_result *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct attempt a = { .t = t, .r = shared, .fd = -1, .ring = -1, .socket = &w->socket };
	int status = 0;

	*ret = (struct way_result){ .name = w->name, .why = w->why, .need = w->need, .end = WAY_UNTESTED };
	if (shared == MAP_FAILED) {
		(void)snprintf(ret->text, sizeof(ret->text), "out of memory");
		return;
	}
	*shared = *ret;
	(void)snprintf(shared->text, sizeof(shared->text), "it did not end within %d s", PATIENCE_S);
	(void)fflush(NULL);
	pid_t child = fork();

	if (child == 0)
		be_agent(w, &a);
	if (child < 0 || waitpid(child, &status, 0) < 0)
		(void)snprintf(shared->text, sizeof(shared->text), "cannot start a process: %s", strerror(errno));
	*ret = *shared;
	(void)munmap(shared, sizeof(*shared));
}

const char *way_need_text(enum way_need need)
{
	static const char *const texts[WAY_NEED_COUNT] = {
		[WAY_NEEDS_NOTHING] = "",
		[WAY_NEEDS_CAPS] = "needs a capability that `purse run` takes away",
		[WAY_NEEDS_PEER] = "needs a peer that passes it on: boot with lsm=...,bpf to close it",
		[WAY_NEEDS_HELPER] = "needs a process outside that helps: `others: deny` closes it",
	};

	return (unsigned)need < WAY_NEED_COUNT ? texts[need] : "?";
}

const char *way_end_text(enum way_end end)
{
	static const char *const texts[WAY_END_COUNT] = {
		[WAY_BLOCKED] = "blocked", [WAY_CAPTURED] = "captured", [WAY_OPEN] = "OPEN", [WAY_UNTESTED] = "not tested",
	};

	return (unsigned)end < WAY_END_COUNT ? texts[end] : "?";
}
