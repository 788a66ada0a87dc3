// SPDX-License-Identifier: Apache-2.0
/* thread.c: see thread.h. A new thread has the mask of the one that makes it. */
#include "base/thread.h"

#include <signal.h>

int thread_start(pthread_t *ret, const pthread_attr_t *attr, void *(*run)(void *arg), void *arg)
{
	sigset_t all, before;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = -pthread_create(ret, attr, run, arg);

	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}
