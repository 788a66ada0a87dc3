// SPDX-License-Identifier: Apache-2.0
/*
 * units.h: the values that people write: durations, sizes, names, cgroup paths, moments. Text to value and back, pure (the
 * current time is an argument). Amounts of money are in base/str.h.
 */
#ifndef PURSE_CTL_UNITS_H
#define PURSE_CTL_UNITS_H

#include "base/err.h"
#include "terms.h"

/* "2s", "500ms", "10m", "1h", "7d": a whole number and a unit. 0, -EINVAL, -ERANGE. */
int units_to_ns(struct str s, int64_t *ret);
/* The largest unit that shows the value whole. ret >= 32 bytes. */
const char *units_show_ns(int64_t ns, char *ret, size_t size);

/* "4096", "64KiB", "32MiB", "1GiB". 0, -EINVAL, -ERANGE. */
int units_to_bytes(struct str s, int64_t *ret);
const char *units_show_bytes(int64_t bytes, char *ret, size_t size);

/*
 * Names of agents and accounts: letters, digits, '.', '_', '-', at most 47, beginning with a letter or digit. Some are
 * taken by the command line ("none", "all", …). 0, or -EINVAL with what is wrong ("is not a name …; write e.g. …").
 */
int units_check_name(struct str s, struct err *e);

/* A cgroup path below the mount: absolute, no empty, "." or ".." part, not "/" itself, under 512 bytes. */
int units_check_cgroup(struct str s, struct err *e);

/* 2026-08-21T10:00:00Z; with_ms: 2026-08-21T10:00:00.123Z. ret >= 32 bytes. */
const char *units_show_time(int64_t unix_ns, bool with_ms, char *ret, size_t size);
/*
 * "2026-08-21", "2026-08-21T10:00:00Z" (also without seconds or Z: UTC), "@1700000000", "today", or a duration that
 * means so long ago ("2h"). Unix seconds. 0 or -EINVAL.
 */
int units_to_time(struct str s, int64_t now_s, int64_t *ret);

/* "06:00" -> 360. 0 or -EINVAL. ret >= 8 bytes. */
int units_to_minute(struct str s, int32_t *ret);
const char *units_show_minute(int32_t minute, char *ret, size_t size);
/* As the clock there reads: "2026-11-25 06:00". zone "" = UTC; one that is not known reads as UTC. ret >= 32 bytes. */
const char *units_show_local(const char *zone, int64_t unix_s, char *ret, size_t size);

extern const char *const units_window_names[WINDOW_COUNT];
extern const char *const units_endpoint_names[ENDPOINT_COUNT];
extern const char *const units_tier_names[TIER_COUNT];
extern const char *const units_refusal_names[REFUSAL_REASON_COUNT];

#endif
