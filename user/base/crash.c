// SPDX-License-Identifier: Apache-2.0
/* crash.c: dies or stops at a named place, in test builds. The environment must not change while threads run. */
#include "base/crash.h"

#ifdef PURSE_CRASH_POINTS
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Each names one place, so one counter is enough. */
static atomic_long passes, stops;

static bool is_due(const char *wanted, const char *name, atomic_long *count)
{
	size_t n = strlen(name);
	long nth = 1;

	if (!wanted || strncmp(wanted, name, n) != 0)
		return false;
	if (wanted[n] == ':')
		nth = strtol(wanted + n + 1, NULL, 10);
	else if (wanted[n] != '\0')
		return false;
	return atomic_fetch_add(count, 1) + 1 == nth;
}

void crash_point(const char *name)
{
	if (is_due(getenv("PURSE_STOP"), name, &stops))
		(void)kill(getpid(), SIGSTOP);
	if (!is_due(getenv("PURSE_CRASH"), name, &passes))
		return;
	(void)kill(getpid(), SIGKILL);
	/* This thread goes no further, even if the signal takes a moment. */
	for (;;)
		(void)pause();
}
#endif
