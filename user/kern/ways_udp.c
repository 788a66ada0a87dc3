// SPDX-License-Identifier: Apache-2.0
/*
 * ways_udp.c: datagrams to an LLM address, and packets with another address on the wire than in the call. The latter are tried on a stage
 * (ways_stage.h): the call does not fail where only the packet is dropped, so somebody has to look at the wire.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <string.h>

#include "kern/ways_stage.h"

static void tell_sent(struct attempt *a, const char *call, ssize_t r)
{
	if (r < 0)
		way_say_errno(a, call, errno);
	else
		way_say(a, WAY_OPEN, "%s was let through", strcmp(call, "connect") == 0 ? "a UDP connect" : "a datagram");
}

static void send_udp(struct attempt *a, enum way_form form, int port, bool connects)
{
	struct sockaddr_storage to;

	if (!way_target(a, form, port, &to))
		return;
	int fd = socket(to.ss_family, SOCK_DGRAM, 0);

	if (fd < 0)
		return way_say_errno(a, "socket", errno);
	if (connects)
		tell_sent(a, "connect", connect(fd, (struct sockaddr *)&to, way_size(to.ss_family)));
	else
		tell_sent(a, "sendto", sendto(fd, "", 1, MSG_DONTWAIT, (struct sockaddr *)&to, way_size(to.ss_family)));
}

static void try_udp_connect(struct attempt *a) { send_udp(a, WAY_V4, 0, true); }
static void try_udp_v4(struct attempt *a) { send_udp(a, WAY_V4, 0, false); }
static void try_udp_v6(struct attempt *a) { send_udp(a, WAY_V6, 0, false); }
static void try_udp_mapped(struct attempt *a) { send_udp(a, WAY_MAPPED, 0, false); }
static void try_udp_port(struct attempt *a) { send_udp(a, WAY_V4, 53, false); }

/* An unconnected UDP socket takes AF_UNSPEC for its own family. */
static void try_udp_unspec(struct attempt *a)
{
	struct sockaddr_storage to;

	if (!way_target(a, WAY_V4, 0, &to))
		return;
	to.ss_family = AF_UNSPEC;
	tell_sent(a, "sendto", sendto(socket(AF_INET, SOCK_DGRAM, 0), "", 1, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(struct sockaddr_in)));
}

/* The address of a datagram counts, not the one that the socket is connected to. */
static void try_udp_elsewhere(struct attempt *a)
{
	struct sockaddr_in self = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_storage to;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (!way_target(a, WAY_V4, 0, &to))
		return;
	if (connect(fd, (struct sockaddr *)&self, sizeof(self)) < 0)
		return way_say_errno(a, "first connect", errno);
	tell_sent(a, "sendto", sendto(fd, "", 1, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(struct sockaddr_in)));
}

/* ---- another address on the wire */

static void send_routed(struct attempt *a, int fd, int type, const void *to, socklen_t size)
{
	ssize_t r = type == SOCK_DGRAM ? sendto(fd, "", 1, MSG_DONTWAIT, to, size) : connect(fd, to, size);

	if (r < 0 && errno != EINPROGRESS)
		way_say_errno(a, type == SOCK_DGRAM ? "sendto" : "connect", errno);
	else
		way_say(a, WAY_BLOCKED, "no packet left");
}

/* RFC 791: to a harmless address by way of the LLM's. */
static void source_route(struct attempt *a, int type)
{
	uint8_t route[8] = { IPOPT_LSRR, 7, 4, [7] = IPOPT_EOL };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);

	memcpy(route + 3, &a->t.v4.sin_addr, 4);
	(void)inet_pton(AF_INET, WAY_HARMLESS4, &to.sin_addr);
	if (setsockopt(fd, IPPROTO_IP, IP_OPTIONS, route, sizeof(route)) < 0)
		return way_say_errno(a, "IP_OPTIONS", errno);
	send_routed(a, fd, type, &to, sizeof(to));
}

/* RFC 8754: segments stand in reverse; the wire goes to the last of them first. */
static void routing_header(struct attempt *a, int type)
{
	struct {
		uint8_t next, words, type, left, last, flags;
		uint16_t tag;
		struct in6_addr segments[2];
	} route = { .words = 4, .type = 4, .left = 1, .last = 1 };
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
	int fd = socket(AF_INET6, type | SOCK_NONBLOCK, 0);

	if (!way_has_target(a, WAY_V6))
		return;
	(void)inet_pton(AF_INET6, WAY_HARMLESS6, &to.sin6_addr);
	route.segments[0] = to.sin6_addr;
	route.segments[1] = a->t.v6.sin6_addr;
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_RTHDR, &route, sizeof(route)) < 0)
		return way_say_errno(a, "IPV6_RTHDR", errno);
	send_routed(a, fd, type, &to, sizeof(to));
}

static void try_source_route_udp(struct attempt *a) { source_route(a, SOCK_DGRAM); }
static void try_source_route_tcp(struct attempt *a) { source_route(a, SOCK_STREAM); }
static void try_routing_header_udp(struct attempt *a) { routing_header(a, SOCK_DGRAM); }
static void try_routing_header_tcp(struct attempt *a) { routing_header(a, SOCK_STREAM); }

#define ON_WIRE .before = stage_make, .after = stage_tell_wire

static const struct way rows[] = {
	{ 7, "udp v4-mapped", "an IPv4 datagram on an IPv6 socket", .try = try_udp_mapped },
	{ 8, "udp connect", "QUIC's way", .try = try_udp_connect },
	{ 8, "udp v4", "a datagram", .try = try_udp_v4 },
	{ 8, "udp v6", "the same over IPv6", .try = try_udp_v6 },
	{ 8, "udp other port", "DNS to an LLM address", .try = try_udp_port },
	{ 8, "udp connected elsewhere", "a datagram to another address than the socket's", .try = try_udp_elsewhere },
	{ 8, "udp without a family", "the address says AF_UNSPEC", .try = try_udp_unspec },
	{ 53, "source route", "another address on the wire than in the call", ON_WIRE, .try = try_source_route_udp },
	{ 53, "source route, tcp", "the same by TCP", ON_WIRE, .try = try_source_route_tcp },
	{ 54, "routing header", "the same over IPv6", ON_WIRE, .try = try_routing_header_udp },
	{ 54, "routing header, tcp", "the same over IPv6 by TCP", ON_WIRE, .try = try_routing_header_tcp },
};
const struct way_table ways_udp = WAY_TABLE(rows);
