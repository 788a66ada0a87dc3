// SPDX-License-Identifier: Apache-2.0
/* ports.c: see ports.h. */
#include "kern/ports.h"

#include <errno.h>
#include <stdio.h>

#define RANGE_FILE "/proc/sys/net/ipv4/ip_local_port_range" /* of the namespace of whoever opens it */
#define FIRST_UNPRIVILEGED 1024u
#define LAST 65535u

int ports_range(struct ports_range *ret)
{
	FILE *f = fopen(RANGE_FILE, "re");
	unsigned first = 0, last = 0;

	if (!f)
		return -errno;
	int n = fscanf(f, "%u %u", &first, &last);

	(void)fclose(f);
	if (n != 2 || first > last || last > LAST)
		return -EPROTO;
	*ret = (struct ports_range){ .first = (uint16_t)first, .last = (uint16_t)last };
	return 0;
}

bool ports_is_outside(const struct ports_range *r, uint16_t port)
{
	return port != 0 && (port < r->first || port > r->last);
}

uint16_t ports_outside(const struct ports_range *r, unsigned n)
{
	unsigned above = LAST - r->last, below = r->first > FIRST_UNPRIVILEGED ? r->first - FIRST_UNPRIVILEGED : 0;

	if (n < above)
		return (uint16_t)(r->last + 1u + n);
	return n - above < below ? (uint16_t)(r->first - 1u - (n - above)) : 0;
}
