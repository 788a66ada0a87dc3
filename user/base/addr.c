// SPDX-License-Identifier: Apache-2.0
/* addr.c: v4-mapped is the only thing here that is not a copy. */
#include "base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

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
