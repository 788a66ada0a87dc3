// SPDX-License-Identifier: Apache-2.0
/* ways_connect.c: TCP to an LLM address, in all forms of asking for it. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/prctl.h>

#include "kern/ways_inside.h"

socklen_t way_size(int family) { return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6); }

bool way_has_target(struct attempt *a, enum way_form form)
{
	bool has = form == WAY_V6 ? a->t.v6.sin6_family : a->t.v4.sin_family;

	if (!has)
		way_say(a, WAY_UNTESTED, "no LLM endpoint with an IPv%d address is known", form == WAY_V6 ? 6 : 4);
	return has;
}

static bool has_listener(struct attempt *a)
{
	if (!a->t.port4)
		way_say(a, WAY_UNTESTED, "the port of the egress listener is not known");
	return a->t.port4;
}

bool way_target(struct attempt *a, enum way_form form, int port, struct sockaddr_storage *ret)
{
	static const uint8_t prefixes[][12] = { [WAY_MAPPED] = { [10] = 0xff, [11] = 0xff }, [WAY_NAT64] = { 0, 0x64, 0xff, 0x9b } };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	const struct way_targets *t = &a->t;

	memset(ret, 0, sizeof(*ret));
	if (!way_has_target(a, form))
		return false;
	if (form == WAY_V4) {
		memcpy(ret, &t->v4, sizeof(t->v4));
		if (port)
			((struct sockaddr_in *)ret)->sin_port = htons((uint16_t)port);
		return true;
	}
	if (form == WAY_V6) {
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

void way_connect_on(struct attempt *a, int fd, const struct sockaddr_storage *to)
{
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	if (connect(fd, (const struct sockaddr *)to, way_size(to->ss_family)) < 0 && errno != EINPROGRESS)
		way_say_errno(a, "connect", errno);
	else
		way_say_where(a, fd, 0);
}

int way_open(struct attempt *a, const struct sockaddr_storage *to)
{
	int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		way_say_errno(a, "socket", errno);
	else if (connect(fd, (const struct sockaddr *)to, way_size(to->ss_family)) < 0 && errno != EINPROGRESS)
		way_say_errno(a, "connect", errno);
	else if (way_is_captured(a, fd))
		return fd;
	return -1;
}

void way_dial(struct attempt *a, enum way_form form, int port)
{
	struct sockaddr_storage to;

	if (!way_target(a, form, port, &to))
		return;
	int fd = way_open(a, &to);

	if (fd >= 0)
		way_say_where(a, fd, 0);
}

static void try_v4(struct attempt *a) { way_dial(a, WAY_V4, 0); }
static void try_v6(struct attempt *a) { way_dial(a, WAY_V6, 0); }
static void try_mapped(struct attempt *a) { way_dial(a, WAY_MAPPED, 0); }
static void try_nat64(struct attempt *a) { way_dial(a, WAY_NAT64, 0); }
static void try_other_port(struct attempt *a) { way_dial(a, WAY_V4, 8443); }

static void try_fast_open(struct attempt *a)
{
	struct sockaddr_storage to;

	if (!way_target(a, WAY_V4, 0, &to))
		return;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ssize_t sent = sendto(fd, WAY_REQUEST, 1, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof(struct sockaddr_in));

	if (sent < 0 && errno != EINPROGRESS)
		way_say_errno(a, "sendto(MSG_FASTOPEN)", errno);
	else
		way_say_where(a, fd, sent > 0 ? (size_t)sent : 0);
}

/* A socket of which something was asked before it connects. */
static void dial_with(struct attempt *a, enum way_form form, int level, int option, const void *value, socklen_t size, const char *call)
{
	struct sockaddr_storage to;

	if (!way_target(a, form, 0, &to))
		return;
	int fd = socket(to.ss_family, SOCK_STREAM, 0);

	if (setsockopt(fd, level, option, value, size) < 0)
		return way_say_errno(a, call, errno);
	way_connect_on(a, fd, &to);
}

static const int on = 1;

static void try_fast_open_connect(struct attempt *a)
{
	dial_with(a, WAY_V4, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on), "TCP_FASTOPEN_CONNECT");
}

static void try_bound_to_device(struct attempt *a)
{
	dial_with(a, WAY_V4, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3, "SO_BINDTODEVICE");
}

static void try_v6_only(struct attempt *a) { dial_with(a, WAY_V6, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on), "IPV6_V6ONLY"); }

static void try_marked(struct attempt *a)
{
	static const unsigned marks[] = { 0x539, 0x2000 }; /* by which other products let their own proxy pass */

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]) && (i == 0 || a->r.end == WAY_CAPTURED); i++)
		dial_with(a, WAY_V4, SOL_SOCKET, SO_MARK, &marks[i], sizeof(marks[i]), "SO_MARK");
}

static void try_from_address(struct attempt *a)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	struct sockaddr_storage to;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)inet_pton(AF_INET, "127.0.0.2", &from.sin_addr);
	if (!way_target(a, WAY_V4, 0, &to))
		return;
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		return way_say_errno(a, "bind", errno);
	way_connect_on(a, fd, &to);
}

/* Connected to something harmless, let go of with AF_UNSPEC, connected again. */
static void try_reconnect(struct attempt *a)
{
	struct sockaddr_in self = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	struct sockaddr_storage to;
	socklen_t size = sizeof(self);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

	if (!way_target(a, WAY_V4, 0, &to))
		return;
	if (bind(listener, (struct sockaddr *)&self, sizeof(self)) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&self, &size) < 0 || connect(fd, (struct sockaddr *)&self, sizeof(self)) < 0 ||
	    connect(fd, &nowhere, sizeof(nowhere)) < 0)
		return way_say_errno(a, "first connect", errno);
	way_connect_on(a, fd, &to);
}

/* A gate that goes by the name of a program would take this for the daemon. */
static void try_renamed(struct attempt *a)
{
	(void)prctl(PR_SET_NAME, "pursed");
	way_dial(a, WAY_V4, 0);
}

/* ---- the listener itself */

/* Not handed over by the gate: nobody's, closed unread. */
static void talk_to_listener(struct attempt *a, uint32_t address)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(a->t.port4), .sin_addr.s_addr = htonl(address) };

	if (!has_listener(a))
		return;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return way_say_errno(a, "connect", errno);
	way_say_http(a, fd, WAY_REQUEST, 0, WAY_BLOCKED);
}

static void try_listener(struct attempt *a) { talk_to_listener(a, INADDR_LOOPBACK); }
static void try_listener_any(struct attempt *a) { talk_to_listener(a, INADDR_ANY); }

static int bind_listener(const struct attempt *a, uint32_t address)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(a->t.port4), .sin_addr.s_addr = htonl(address) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? errno : 0;
}

/* 127.0.0.1 is taken while the daemon lives; that 127.0.0.2 is refused, too, shows that the port is kept also while it does not. */
static void try_bind(struct attempt *a)
{
	if (!has_listener(a))
		return;
	int taken = bind_listener(a, INADDR_LOOPBACK), kept = bind_listener(a, INADDR_LOOPBACK + 1);

	if (taken == 0)
		way_say(a, WAY_OPEN, "the egress port was taken: connections of others would come here");
	else if (kept == 0)
		way_say(a, WAY_OPEN, "the egress port is not kept: who binds it when pursed ends gets the connections of others");
	else if (taken == EADDRINUSE && kept == EADDRINUSE)
		way_say(a, WAY_BLOCKED, "bind: EADDRINUSE");
	else
		way_say_errno(a, "bind", kept);
}

static const struct way rows[] = {
	{ 1, "tcp fast open", "data in the SYN, without connect", .try = try_fast_open },
	{ 2, "tcp fast open connect", "connect that sends nothing before the first write", .try = try_fast_open_connect },
	{ 6, "tcp v4-mapped", "an IPv4 address on an IPv6 socket", .try = try_mapped },
	{ 10, "listener of no address", "0.0.0.0 means this machine: purse's own listener, past the gate", .try = try_listener_any },
	{ 10, "listener itself", "the egress listener, without having been handed over", .try = try_listener },
	{ 11, "tcp reconnect", "connect elsewhere, disconnect, connect", .try = try_reconnect },
	{ 18, "name of the daemon", "a process that calls itself pursed", .try = try_renamed },
	{ 30, "socket mark", "a mark by which other products let their own proxy pass", .need = WAY_NEEDS_CAPS, .try = try_marked },
	{ 31, "tcp bound to a device", "a redirect cannot leave that device", .try = try_bound_to_device },
	{ 32, "tcp v6 only", "a redirect to IPv4 would not arrive", .try = try_v6_only },
	{ 33, "tcp chosen source", "an own address that was chosen before", .try = try_from_address },
	{ 40, "tcp other port", "another port of an LLM address", .try = try_other_port },
	{ 44, "tcp v4", "connect to an LLM address, past all proxy settings", .try = try_v4 },
	{ 44, "tcp v6", "the same over IPv6", .try = try_v6 },
	{ 49, "egress port bound", "to be handed the connections of others", .try = try_bind },
	{ 55, "tcp nat64", "the IPv4 address behind 64:ff9b::/96", .try = try_nat64 },
};
const struct way_table ways_connect = WAY_TABLE(rows);
