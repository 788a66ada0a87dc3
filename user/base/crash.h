// SPDX-License-Identifier: Apache-2.0
/*
 * crash.h: named places where a test build kills itself, to prove that a kill -9 there loses nothing, or stops itself (PURSE_STOP, SIGSTOP), to
 * let others go on meanwhile.
 * Compiled in by `make CRASH=1` only. PURSE_CRASH="hold-taken" dies (SIGKILL) the first time, "hold-taken:3" the third.
 */
#ifndef PURSE_BASE_CRASH_H
#define PURSE_BASE_CRASH_H

#ifdef PURSE_CRASH_POINTS
void crash_point(const char *name);
#define CRASH_POINT(name) crash_point(name)
#else
#define CRASH_POINT(name) ((void)0)
#endif

#endif
