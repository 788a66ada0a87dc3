// SPDX-License-Identifier: Apache-2.0
/* crash.c: dies at a named place, in test builds. The environment must not change while threads run. */
#include "base/crash.h"

#ifdef PURSE_CRASH_POINTS
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* PURSE_CRASH names one place, so one counter is enough. */
static atomic_long passes;

void crash_point(const char *name)
{
	const char *wanted = getenv("PURSE_CRASH");
	size_t n = strlen(name);
	long nth = 1;

	if (!wanted || strncmp(wanted, name, n) != 0)
		return;
	if (wanted[n] == ':')
		nth = strtol(wanted + n + 1, NULL, 10);
	else if (wanted[n] != '\0')
		return;
	if (atomic_fetch_add(&passes, 1) + 1 != nth)
		return;
	(void)kill(getpid(), SIGKILL);
	/* This thread goes no further, even if the signal takes a moment. */
	for (;;)
		(void)pause();
}
#endif
