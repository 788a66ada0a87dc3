// SPDX-License-Identifier: Apache-2.0
/*
 * failio.c: a library for LD_PRELOAD that makes the system fail on command: the n-th write or sync of a file, the n-th large allocation,
 * another time of day. The orders stand in a small file (PURSE_FAILIO) that the test maps too, so that they take effect at once.
 * tests/lib/failio.py is the other side. Test only.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum kind { WRITE, SYNC, ALLOC, KINDS };

struct order {
	uint64_t next;   /* the next-th from now fails (1 = the next one); 0 = none */
	uint64_t times;  /* how many in a row */
	int64_t error;   /* errno */
	uint64_t seen;   /* how many there were, told back */
	uint64_t failed; /* how many failed, told back */
};

struct orders {
	struct order of[KINDS];
	int64_t clock_ns;   /* added to the time of day */
	uint64_t alloc_min; /* allocations below this size never fail */
	char match[64];     /* only files whose path contains it */
};

static struct orders *orders;

__attribute__((constructor)) static void find_orders(void)
{
	const char *path = getenv("PURSE_FAILIO");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	void *p = mmap(NULL, sizeof(*orders), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	(void)close(fd);
	orders = p == MAP_FAILED ? NULL : p;
}

static int fails(enum kind kind)
{
	struct order *o = &orders->of[kind];

	__atomic_fetch_add(&o->seen, 1, __ATOMIC_RELAXED);
	for (;;) {
		uint64_t next = __atomic_load_n(&o->next, __ATOMIC_ACQUIRE);

		if (next == 0)
			return 0;
		if (next > 1) {
			if (__atomic_compare_exchange_n(&o->next, &next, next - 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
				return 0;
			continue;
		}
		if (__atomic_sub_fetch(&o->times, 1, __ATOMIC_ACQ_REL) == 0)
			__atomic_store_n(&o->next, 0, __ATOMIC_RELEASE);
		__atomic_fetch_add(&o->failed, 1, __ATOMIC_RELAXED);
		errno = (int)o->error;
		return 1;
	}
}

static int is_meant(int fd)
{
	char link[64], path[512];

	if (!orders || !orders->match[0])
		return 0;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);

	if (n <= 0)
		return 0;
	path[n] = '\0';
	return strstr(path, orders->match) != NULL;
}

#define REAL(name, ...) \
	static __typeof__(name) *real; \
	if (!real) \
		real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
	return real(__VA_ARGS__)

ssize_t write(int fd, const void *p, size_t n)
{
	if (is_meant(fd) && fails(WRITE))
		return -1;
	REAL(write, fd, p, n);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	if (is_meant(fd) && fails(WRITE))
		return -1;
	REAL(pwrite, fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	if (is_meant(fd) && fails(WRITE))
		return -1;
	REAL(pwrite64, fd, p, n, at);
}

int fsync(int fd)
{
	if (is_meant(fd) && fails(SYNC))
		return -1;
	REAL(fsync, fd);
}

int fdatasync(int fd)
{
	if (is_meant(fd) && fails(SYNC))
		return -1;
	REAL(fdatasync, fd);
}

void *malloc(size_t n)
{
	extern void *__libc_malloc(size_t);

	if (orders && orders->of[ALLOC].next && n >= orders->alloc_min && fails(ALLOC))
		return NULL;
	return __libc_malloc(n);
}

void *calloc(size_t m, size_t n)
{
	extern void *__libc_calloc(size_t, size_t);

	if (orders && orders->of[ALLOC].next && m * n >= orders->alloc_min && fails(ALLOC))
		return NULL;
	return __libc_calloc(m, n);
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	static int (*real)(clockid_t, struct timespec *);

	if (!real)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	int r = real(clock, ts);

	if (r == 0 && orders && clock == CLOCK_REALTIME) {
		int64_t ns = ts->tv_sec * INT64_C(1000000000) + ts->tv_nsec + orders->clock_ns;

		ts->tv_sec = ns / INT64_C(1000000000);
		ts->tv_nsec = ns % INT64_C(1000000000);
	}
	return r;
}

time_t time(time_t *ret)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	if (ret)
		*ret = ts.tv_sec;
	return ts.tv_sec;
}
