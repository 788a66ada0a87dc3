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

#endif
