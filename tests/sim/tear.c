// SPDX-License-Identifier: Apache-2.0
/* tear.c: see tear.h. The processor's trap flag, and a handler of SIGTRAP that counts. */
#include "tear.h"

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <ucontext.h>

static struct tear_copy copies[2];
static volatile uint64_t left;
static volatile bool is_armed, is_copied;

static void copy(void)
{
	for (int i = 0; i < 2; i++)
		memcpy(copies[i].to, copies[i].from, copies[i].n);
	is_copied = true;
}

#ifdef __x86_64__
#define TRAP_FLAG 0x100

static void trapped(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)sig;
	(void)info;
	if (left-- > 0)
		return;
	copy();
	u->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

static void trap(bool on)
{
	if (on)
		__asm__ volatile("sub $128, %%rsp; pushfq; orq $0x100, (%%rsp); popfq; add $128, %%rsp" ::: "memory", "cc");
	else
		__asm__ volatile("sub $128, %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; add $128, %%rsp" ::: "memory", "cc");
}

static void prepare(void)
{
	struct sigaction a = { .sa_sigaction = trapped, .sa_flags = SA_SIGINFO };

	(void)sigaction(SIGTRAP, &a, NULL);
}
#else
static void trap(bool on)
{
	(void)on;
}

static void prepare(void)
{
}
#endif

void tear_arm(const struct tear_copy what[2], uint64_t n)
{
	memcpy(copies, what, sizeof(copies));
	left = n;
	is_copied = false;
	is_armed = true;
	prepare();
}

void tear_on(void)
{
	if (is_armed)
		trap(true);
}

void tear_off(void)
{
	if (!is_armed)
		return;
	trap(false);
	is_armed = false;
	if (!is_copied)
		copy();
}
