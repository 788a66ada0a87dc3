// SPDX-License-Identifier: Apache-2.0
/* assert.c: the end of a process that found itself wrong. One write, so that the line is whole. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void purse_assert_failed(const char *cond, const char *file, int line)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "purse: bug: %s:%d: %s does not hold; aborting, agents stay refused\n",
			 file, line, cond);

	if (n >= (int)sizeof(text))
		n = sizeof(text) - 1;
	/* Nothing is left to do about a failed write. */
	if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
		abort();
	abort();
}
