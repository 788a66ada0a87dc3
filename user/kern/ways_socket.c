// SPDX-License-Identifier: Apache-2.0
/* ways_socket.c: kinds of sockets that an agent must not get at all, since no hook sees through what they send. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kern/ways_inside.h"

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
	const struct way_socket *s = &a->socket;

	if (s->loaded_as && !is_loaded(s->loaded_as))
		return way_say(a, WAY_UNTESTED, "%s is not loaded on this kernel: keep it so (modprobe.d: install ... /bin/false)", s->loaded_as);
	int fd = socket(s->domain, s->type, s->protocol);

	if (fd < 0)
		return way_say_errno(a, "socket", errno);
	way_say(a, WAY_OPEN, "the socket can be made, and no hook sees what it sends");
}

#define SOCKET(...) .try = try_socket, .socket = { __VA_ARGS__ }

static const struct way rows[] = {
	{ 3, "mptcp", "further subflows are the kernel's own", SOCKET(AF_INET, SOCK_STREAM, 262, "MPTCP") },
	{ 8, "udp-lite", "another datagram protocol", SOCKET(AF_INET, SOCK_DGRAM, 136, "UDP-Lite") },
	{ 19, "raw tcp", "packets by hand", WAY_NEEDS_CAPS, SOCKET(AF_INET, SOCK_RAW, IPPROTO_TCP) },
	{ 19, "raw ip", "packets by hand, headers too", WAY_NEEDS_CAPS, SOCKET(AF_INET, SOCK_RAW, IPPROTO_RAW) },
	{ 19, "raw ipv6", "packets by hand over IPv6", WAY_NEEDS_CAPS, SOCKET(AF_INET6, SOCK_RAW, IPPROTO_TCP) },
	{ 19, "ping socket", "its sendto has no hook", SOCKET(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) },
	{ 19, "ping socket v6", "the same over IPv6", SOCKET(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6) },
	{ 20, "packet socket", "frames by hand; only lsm_cgroup sees it", WAY_NEEDS_CAPS, SOCKET(17, SOCK_RAW, 0) },
	{ 21, "xdp socket", "frames by hand; only lsm_cgroup sees it", WAY_NEEDS_CAPS, SOCKET(44, SOCK_RAW, 0) },
	{ 21, "vsock", "to the hypervisor's host", WAY_NEEDS_PEER, SOCKET(40, SOCK_STREAM, 0, "AF_VSOCK") },
	{ 21, "kcm", "messages over TCP under another family", WAY_NEEDS_PEER, SOCKET(41, SOCK_DGRAM, 0, "KCM") },
	{ 21, "rds", "datagrams over TCP under another family", WAY_NEEDS_PEER, SOCKET(21, SOCK_SEQPACKET, 0, "RDS") },
	{ 21, "tipc", "a cluster protocol", WAY_NEEDS_PEER, SOCKET(30, SOCK_STREAM, 0, "TIPC") },
	{ 22, "sctp", "its connect has no hook", SOCKET(AF_INET, SOCK_STREAM, 132, "SCTP") },
	{ 22, "dccp", "its connect has no hook", SOCKET(AF_INET, 6, 33, "DCCP") },
	{ 22, "l2tp", "IP in a tunnel", SOCKET(AF_INET, SOCK_DGRAM, 115, "L2TP/IP") },
	{ 23, "smc", "TCP under another family", WAY_NEEDS_PEER, SOCKET(43, SOCK_STREAM, 0, "SMC") },
};
const struct way_table ways_socket = WAY_TABLE(rows);
