// SPDX-License-Identifier: Apache-2.0
/*
 * log.c: makes the line on the stack and gives it to the kernel in one write(2), so
 * that lines of threads do not mix. Does no buffering, no files, no rotation.
 */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINES_PER_SECOND 400
#define TEXT_MAX 2048
#define LINE_MAX_BYTES (4 * TEXT_MAX) /* \xNN is four bytes */

static const char *const level_names[] = {
	[LOG_LEVEL_DEBUG] = "DEBUG",
	[LOG_LEVEL_INFO] = "INFO ",
	[LOG_LEVEL_WARN] = "WARN ",
	[LOG_LEVEL_ERROR] = "ERROR",
};

static atomic_int least_level = LOG_LEVEL_INFO;

/* Lines of the current second; guarded by the lock, which is never held over a write. */
static struct {
	pthread_mutex_t lock;
	int64_t second;
	unsigned passed;
	unsigned long dropped;
} rate = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct line {
	char mem[LINE_MAX_BYTES + 256];
	size_t n;
};

void log_set_level(enum log_level least)
{
	atomic_store(&least_level, (int)least);
}

static bool rate_admits(unsigned long *ret_dropped)
{
	struct timespec now = { 0 };
	bool pass;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)pthread_mutex_lock(&rate.lock);
	if (rate.second != now.tv_sec) {
		rate.second = now.tv_sec;
		rate.passed = 0;
	}
	pass = rate.passed < LINES_PER_SECOND;
	if (pass) {
		rate.passed++;
		*ret_dropped = rate.dropped;
		rate.dropped = 0;
	} else {
		rate.dropped++;
	}
	(void)pthread_mutex_unlock(&rate.lock);
	return pass;
}

static void put_time(struct line *l)
{
	struct timespec now = { 0 };
	struct tm tm;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (!gmtime_r(&now.tv_sec, &tm))
		memset(&tm, 0, sizeof(tm));
	l->n = strftime(l->mem, sizeof(l->mem), "%Y-%m-%dT%H:%M:%S", &tm);
	l->n += (size_t)snprintf(l->mem + l->n, sizeof(l->mem) - l->n, ".%03ldZ", now.tv_nsec / 1000000);
}

static void put_byte(struct line *l, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	memcpy(l->mem + l->n, (char[]){ '\\', 'x', hex[c >> 4], hex[c & 15] }, 4);
	l->n += 4;
}

/* Room: text is at most TEXT_MAX long, the line four times that and some. */
static void put_text(struct line *l, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p && l->n < LINE_MAX_BYTES; p++) {
		/* U+0080..U+009F in UTF-8: terminals obey those as well. */
		if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) {
			put_byte(l, p[0]);
			put_byte(l, *++p);
		} else if (*p < 0x20 || *p == 0x7f) {
			put_byte(l, *p);
		} else {
			l->mem[l->n++] = (char)*p;
		}
	}
}

static void put_plain(struct line *l, const char *text)
{
	size_t n = strlen(text);

	memcpy(l->mem + l->n, text, n);
	l->n += n;
}

void log_line(enum log_level level, const char *subject, const char *fmt, ...)
{
	char text[TEXT_MAX];
	unsigned long dropped = 0;
	struct line l;
	va_list ap;
	int n;

	if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed) || !rate_admits(&dropped))
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_time(&l);
	put_plain(&l, " ");
	put_plain(&l, level_names[level]);
	put_plain(&l, " ");
	put_text(&l, subject);
	put_plain(&l, ": ");
	put_text(&l, n < 0 ? "(text lost: bad format)" : text);
	if (n >= (int)sizeof(text))
		put_plain(&l, " [cut]");
	if (dropped)
		l.n += (size_t)snprintf(l.mem + l.n, 64, " [%lu lines before this one were dropped]", dropped);
	put_plain(&l, "\n");
	/* A log that cannot be written has nobody to tell. */
	if (write(STDERR_FILENO, l.mem, l.n) < 0)
		return;
}
