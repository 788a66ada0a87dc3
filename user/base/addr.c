// SPDX-License-Identifier: Apache-2.0
/* addr.c: v4-mapped is the only thing here that is not a copy. */
#include "base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

bool addr_is_v4(const uint8_t addr[16]) { return memcmp(addr, v4_mapped, sizeof(v4_mapped)) == 0; }

bool addr_from_sockaddr(const struct sockaddr_storage *from, uint8_t ret[16], uint16_t *ret_port)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
	bool is_v4 = from->ss_family == AF_INET;

	if (!is_v4 && from->ss_family != AF_INET6)
		return false;
	if (is_v4) {
		memcpy(ret, v4_mapped, sizeof(v4_mapped));
		memcpy(ret + sizeof(v4_mapped), &v4->sin_addr, 4);
	} else {
		memcpy(ret, &v6->sin6_addr, 16);
	}
	if (ret_port)
		*ret_port = ntohs(is_v4 ? v4->sin_port : v6->sin6_port);
	return true;
}

struct sockaddr_storage addr_to_sockaddr(const uint8_t addr[16], uint16_t port)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;

	if (addr_is_v4(addr)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, addr + sizeof(v4_mapped), 4);
	} else {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		memcpy(&v6->sin6_addr, addr, 16);
	}
	return ss;
}

const char *addr_show(const uint8_t addr[16], char *ret, size_t size)
{
	bool v4 = addr_is_v4(addr);

	if (!inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? addr + sizeof(v4_mapped) : addr, ret, (socklen_t)size))
		(void)snprintf(ret, size, "?");
	return ret;
}

bool addr_is_loopback(const uint8_t addr[16])
{
	static const uint8_t self[16] = { [15] = 1 };

	return addr_is_v4(addr) ? addr[12] == 127 : memcmp(addr, self, sizeof(self)) == 0;
}

bool addr_is_special(const uint8_t addr[16])
{
	static const uint8_t zero[16];

	if (addr_is_v4(addr))
		return addr[12] == 0 || addr[12] == 127 || addr[12] >= 224 || (addr[12] == 169 && addr[13] == 254);
	return addr[0] == 0xff || (addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80) ||
	       (memcmp(addr, zero, 15) == 0 && addr[15] <= 1);
}

/* ---- ranges */

static bool has_bits_behind(const struct addr_net *n)
{
	for (unsigned i = n->prefixlen; i < 128; i++)
		if (n->addr[i / 8] & (0x80 >> i % 8))
			return true;
	return false;
}

bool addr_parse_net(const char *text, struct addr_net *ret)
{
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	char host[ADDR_TEXT_MAX];
	struct in_addr v4;
	struct in6_addr v6;
	unsigned len = 0;

	if (n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	*ret = (struct addr_net){ .prefixlen = 128 };
	bool is_v4 = inet_pton(AF_INET, host, &v4) == 1;
	if (!is_v4 && inet_pton(AF_INET6, host, &v6) != 1)
		return false;
	memcpy(ret->addr, is_v4 ? v4_mapped : v6.s6_addr, is_v4 ? sizeof(v4_mapped) : 16);
	if (is_v4)
		memcpy(ret->addr + sizeof(v4_mapped), &v4, 4);
	if (!slash)
		return true;
	for (const char *p = slash + 1; *p; p++) {
		if (*p < '0' || *p > '9' || p - slash > 3)
			return false;
		len = len * 10 + (unsigned)(*p - '0');
	}
	if (!slash[1] || len > (is_v4 ? 32 : 128))
		return false;
	ret->prefixlen = len + (is_v4 ? 96 : 0);
	return !has_bits_behind(ret);
}

static bool parse_port(const char *text, uint16_t *ret)
{
	int64_t port;

	if (text[0] == '0' || str_to_i64(str_of(text), &port) < 0 || port > UINT16_MAX)
		return false;
	*ret = (uint16_t)port;
	return true;
}

bool addr_parse_port(const char *text, struct addr_port *ret)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;
	bool is_bracketed = n > 2 && text[0] == '[' && text[n - 1] == ']';
	char host[ADDR_TEXT_MAX];
	struct addr_net one;

	text += is_bracketed;
	n -= is_bracketed ? 2 : 0;
	if (!n || n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	/* Only an IPv6 address has colons, and only in brackets is it clear where it ends. */
	if (is_bracketed != (strchr(host, ':') != NULL) || strchr(host, '/') || !addr_parse_net(host, &one) || !parse_port(colon + 1, &ret->port))
		return false;
	memcpy(ret->addr, one.addr, sizeof(ret->addr));
	return true;
}

bool addr_in_net(const uint8_t addr[16], const struct addr_net *net)
{
	unsigned whole = net->prefixlen / 8, bits = net->prefixlen % 8;

	if (memcmp(addr, net->addr, whole) != 0)
		return false;
	return !bits || ((addr[whole] ^ net->addr[whole]) >> (8 - bits)) == 0;
}

#define V4(a, b, len) { { [10] = 0xff, [11] = 0xff, [12] = (a), [13] = (b) }, 96 + (len) }
static const struct addr_net private_nets[] = {
	V4(10, 0, 8), V4(172, 16, 12), V4(192, 168, 16), V4(100, 64, 10), V4(198, 18, 15),
	{ { 0xfc }, 7 }, { { 0xfe, 0xc0 }, 10 }, { { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48 },
};
static const struct addr_net nat64_well_known = { { 0x00, 0x64, 0xff, 0x9b }, 96 };

bool addr_is_private(const uint8_t addr[16])
{
	uint8_t inside[16];

	if (addr_in_net(addr, &nat64_well_known)) {
		memcpy(inside, v4_mapped, sizeof(v4_mapped));
		memcpy(inside + sizeof(v4_mapped), addr + sizeof(v4_mapped), 4);
		return addr_is_private(inside);
	}
	for (size_t i = 0; i < sizeof(private_nets) / sizeof(private_nets[0]); i++)
		if (addr_in_net(addr, &private_nets[i]))
			return true;
	return addr_is_special(addr);
}

const char *addr_show_net(const struct addr_net *net, char *ret, size_t size)
{
	bool v4 = addr_is_v4(net->addr) && net->prefixlen >= 96;
	size_t n = strlen(addr_show(net->addr, ret, size));

	if (net->prefixlen < 128)
		(void)snprintf(ret + n, size - n, "/%u", net->prefixlen - (v4 ? 96 : 0));
	return ret;
}

bool addr_nat64(const struct addr_net *v4, const struct addr_net *prefix, struct addr_net *ret)
{
	unsigned len = prefix->prefixlen, at = len / 8, bits = v4->prefixlen - 96;

	if (v4->prefixlen < 96 || v4->prefixlen > 128 || !addr_is_v4(v4->addr) ||
	    (len != 96 && (len % 8 || len < 32 || len > 64)))
		return false;
	*ret = *prefix;
	/* Byte 8 stays zero: the v4 bytes go around it. */
	for (unsigned i = 0; i < 4; i++, at++) {
		at += at == 8;
		ret->addr[at] = v4->addr[12 + i];
	}
	/* What follows it (RFC 6052: the suffix, to be zero) translators leave unread: any of it leads to the same host. */
	ret->prefixlen = len + bits + (len < 96 && len + bits > 64 ? 8 : 0);
	return true;
}
