// SPDX-License-Identifier: Apache-2.0
/* tear.c: see tear.h. The processor's trap flag, and a handler of SIGTRAP that looks. */
#include "tear.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static struct tear_copy copies[2];
static uint64_t dice, states;
static volatile bool is_armed;
static unsigned char last[2][16384];

/* Another state of the arrays? Each of them is chosen with the same chance, however long it lasts. */
static void look(void)
{
	bool is_new = states == 0;

	for (int i = 0; i < 2; i++)
		is_new |= memcmp(last[i], copies[i].from, copies[i].n) != 0;
	if (!is_new)
		return;
	states++;
	dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	for (int i = 0; i < 2; i++) {
		memcpy(last[i], copies[i].from, copies[i].n);
		if ((dice >> 33) % states == 0)
			memcpy(copies[i].to, copies[i].from, copies[i].n);
	}
}

#ifdef __x86_64__
static void trapped(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	look();
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

void tear_arm(const struct tear_copy what[2], uint64_t seed)
{
	memcpy(copies, what, sizeof(copies));
	if (copies[0].n > sizeof(last[0]) || copies[1].n > sizeof(last[1]))
		abort();
	dice = seed;
	states = 0;
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
	look();
}
