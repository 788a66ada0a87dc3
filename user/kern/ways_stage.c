// SPDX-License-Identifier: Apache-2.0
/* ways_stage.c: see ways_stage.h. Addresses are given by ioctl: four calls need no netlink library. */
#include "kern/ways_stage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ARRIVAL_MS 300
#define LOOPBACK_INDEX 1 /* in every namespace */

/* linux/ipv6.h has it, and much that netinet/in.h has, too. */
struct address6 {
	struct in6_addr addr;
	uint32_t prefix;
	int ifindex;
};

static bool has_up(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &r) == 0;

	(void)close(fd);
	return ok;
}

static bool has_v4(const struct sockaddr_in *address)
{
	struct ifreq r = { .ifr_name = "lo:1" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(&r.ifr_addr, address, sizeof(*address));
	((struct sockaddr_in *)&r.ifr_addr)->sin_port = 0;
	bool ok = fd >= 0 && ioctl(fd, SIOCSIFADDR, &r) == 0;

	(void)close(fd);
	return ok;
}

static void give_v6(const struct sockaddr_in6 *address)
{
	struct address6 r = { .addr = address->sin6_addr, .prefix = 128, .ifindex = LOOPBACK_INDEX };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	(void)ioctl(fd, SIOCSIFADDR, &r);
	(void)close(fd);
}

static int witness(const struct attempt *a, int type)
{
	struct sockaddr_in at = stage_target(a);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || (type == SOCK_STREAM && listen(fd, 8) < 0)) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static int wire_witness(void)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = LOOPBACK_INDEX };
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

struct sockaddr_in stage_target(const struct attempt *a) { return a->t.v4; }

void stage_make(struct attempt *a)
{
	if (!way_has_target(a, WAY_V4))
		return;
	a->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (unshare(CLONE_NEWNET) < 0)
		return way_say(a, WAY_UNTESTED, "no network namespace to try it in: %s", strerror(errno));
	a->stage = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (!has_up() || !has_v4(&a->t.v4))
		return way_say(a, WAY_UNTESTED, "cannot set up a network namespace: %s", strerror(errno));
	if (a->t.v6.sin6_family)
		give_v6(&a->t.v6);
	a->tcp = witness(a, SOCK_STREAM);
	a->udp = witness(a, SOCK_DGRAM);
	a->wire = wire_witness();
	if (a->tcp < 0 || a->udp < 0)
		way_say(a, WAY_UNTESTED, "cannot listen in a network namespace: %s", strerror(errno));
}

void stage_behind(struct attempt *a)
{
	stage_make(a);
	if (a->stage >= 0 && setns(a->home, CLONE_NEWNET) < 0)
		way_say(a, WAY_UNTESTED, "cannot come back from a network namespace: %s", strerror(errno));
}

/* ---- what arrived */

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&p, 1, ARRIVAL_MS) == 1;
}

static bool has_byte(int fd)
{
	char byte;

	return is_readable(fd) && recv(fd, &byte, 1, MSG_DONTWAIT) == 1;
}

void stage_tell(struct attempt *a)
{
	bool arrived = has_byte(a->udp);

	for (int fd; !arrived && (fd = accept(a->tcp, NULL, NULL)) >= 0; (void)close(fd))
		arrived = has_byte(fd);
	if (arrived)
		way_say(a, WAY_OPEN, "a byte arrived at the address");
}

static bool is_to_target(const struct attempt *a, const uint8_t *p, ssize_t n)
{
	if (n >= 20 && p[0] >> 4 == 4)
		return memcmp(p + 16, &a->t.v4.sin_addr, 4) == 0;
	return n >= 40 && p[0] >> 4 == 6 && a->t.v6.sin6_family && memcmp(p + 24, &a->t.v6.sin6_addr, 16) == 0;
}

void stage_tell_wire(struct attempt *a)
{
	uint8_t packet[256];
	bool arrived = false;

	if (a->wire < 0 && a->r.end == WAY_BLOCKED)
		return way_say(a, WAY_UNTESTED, "cannot look at the wire of a network namespace: no packet sockets");
	for (ssize_t n; !arrived && is_readable(a->wire) && (n = recv(a->wire, packet, sizeof(packet), MSG_DONTWAIT)) >= 0;)
		arrived = is_to_target(a, packet, n);
	if (arrived)
		way_say(a, WAY_OPEN, "a packet to the address was on the wire");
}
