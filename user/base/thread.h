// SPDX-License-Identifier: Apache-2.0
/* thread.h: a thread that no signal is delivered to: signals are the main thread's, and a wait elsewhere would be broken off by them. */
#ifndef PURSE_BASE_THREAD_H
#define PURSE_BASE_THREAD_H

#include <pthread.h>

/* attr: NULL = the usual. 0 or a negative errno. */
int thread_start(pthread_t *ret, const pthread_attr_t *attr, void *(*run)(void *arg), void *arg);

#endif
