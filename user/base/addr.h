// SPDX-License-Identifier: Apache-2.0
/*
 * addr.h: an IP address as 16 bytes in network order, IPv4 in its v4-mapped form ::ffff:a.b.c.d (RFC 4291 2.5.5.2): how the
 * gate's maps hold it. Between that, a sockaddr and text. Ports are in host order. All pure.
 */
#ifndef PURSE_BASE_ADDR_H
#define PURSE_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDR_TEXT_MAX 46 /* INET6_ADDRSTRLEN */

bool addr_is_v4(const uint8_t addr[16]);
/* false: neither IPv4 nor IPv6; nothing is written then. ret_port may be NULL. */
bool addr_from_sockaddr(const struct sockaddr_storage *from, uint8_t ret[16], uint16_t *ret_port);
struct sockaddr_storage addr_to_sockaddr(const uint8_t addr[16], uint16_t port);
/* "198.51.100.7" or "2001:db8::1"; "?" when ret is too small. Returns ret. */
const char *addr_show(const uint8_t addr[16], char *ret, size_t size);

bool addr_is_loopback(const uint8_t addr[16]); /* 127.0.0.0/8, ::1 */
/* Nothing, loopback, link-local, multicast: what no name out there should lead to. */
bool addr_is_special(const uint8_t addr[16]);

/*
 * The same, and what is somebody's own network: private (RFC 1918), shared (RFC 6598), benchmark, unique local, site-local, and what a NAT64
 * that is only known here leads to.
 */
bool addr_is_private(const uint8_t addr[16]);

/* A range; 128 = one address. prefixlen counts over all 16 bytes: 198.51.100.0/24 has 120. Bits behind it are zero. */
struct addr_net {
	uint8_t addr[16];
	unsigned prefixlen;
};
#define ADDR_NET_TEXT_MAX (ADDR_TEXT_MAX + 4)
/* "198.51.100.7", "198.51.100.0/24", "2001:db8::/32". false: not such a text, or bits are set behind the prefix. */
bool addr_parse_net(const char *text, struct addr_net *ret);
struct addr_port {
	uint8_t addr[16];
	uint16_t port;
};
/* "198.51.100.7:3128" or "[2001:db8::1]:3128": an address as inet_pton takes it, a port from 1 to 65535 without zeros before it. */
bool addr_parse_port(const char *text, struct addr_port *ret);
bool addr_in_net(const uint8_t addr[16], const struct addr_net *net);
/* The range without "/N" when it is one address. */
const char *addr_show_net(const struct addr_net *net, char *ret, size_t size);
/*
 * Where a NAT64 with this prefix (length 32, 40, 48, 56, 64 or 96) puts a v4 address or range (RFC 6052 2.2). false: not v4, wider than
 * all of v4, or another length.
 */
bool addr_nat64(const struct addr_net *v4, const struct addr_net *prefix, struct addr_net *ret);

#endif
