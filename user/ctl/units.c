// SPDX-License-Identifier: Apache-2.0
/* units.c: see units.h. No I/O, no clock. */
#include "ctl/units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "spend/budget/zone.h"
#include "gate_abi.h"

#define SECOND_NS INT64_C(1000000000)

const char *const units_window_names[WINDOW_COUNT] = {
	[WINDOW_HOUR] = "hour",
	[WINDOW_DAY] = "day",
	[WINDOW_WEEK] = "week",
	[WINDOW_MONTH] = "month",
	[WINDOW_TOTAL] = "total",
};

const char *const units_endpoint_names[ENDPOINT_COUNT] = {
	[ENDPOINT_UNKNOWN] = "unknown",
	[ENDPOINT_FREE] = "free",
	[ENDPOINT_OPENAI_CHAT] = "openai-chat",
	[ENDPOINT_OPENAI_RESPONSES] = "openai-responses",
	[ENDPOINT_OPENAI_COMPLETIONS] = "openai-completions",
	[ENDPOINT_OPENAI_EMBEDDINGS] = "openai-embeddings",
	[ENDPOINT_ANTHROPIC_MESSAGES] = "anthropic-messages",
	[ENDPOINT_OPENAI_IMAGES] = "openai-images",
	[ENDPOINT_OPENAI_SPEECH] = "openai-speech",
	[ENDPOINT_OPENAI_TRANSCRIPTIONS] = "openai-transcriptions",
};

const char *const units_tier_names[TIER_COUNT] = {
	[TIER_STANDARD] = "standard",
	[TIER_FLEX] = "flex",
	[TIER_PRIORITY] = "priority",
	[TIER_BATCH] = "batch",
	[TIER_UNKNOWN] = "unknown",
};

const char *const units_refusal_names[REFUSAL_REASON_COUNT] = {
	[REFUSAL_NONE] = "none",
	[REFUSAL_BUDGET] = "budget",
	[REFUSAL_BUDGET_HELD] = "budget-held",
	[REFUSAL_PAUSED] = "paused",
	[REFUSAL_UNKNOWN_MODEL] = "unknown-model",
	[REFUSAL_UNKNOWN_ENDPOINT] = "unknown-endpoint",
	[REFUSAL_BAD_REQUEST] = "bad-request",
	[REFUSAL_BODY_TOO_LARGE] = "body-too-large",
	[REFUSAL_NAME_MISMATCH] = "name-mismatch",
	[REFUSAL_LEDGER] = "ledger",
	[REFUSAL_OVERLOADED] = "overloaded",
	[REFUSAL_UPSTREAM_UNREACHABLE] = "upstream-unreachable",
	[REFUSAL_UPSTREAM_CERT] = "upstream-cert",
	[REFUSAL_UPSTREAM_PROTOCOL] = "upstream-protocol",
	[REFUSAL_UPSTREAM_TIMEOUT] = "upstream-timeout",
	[REFUSAL_RULE] = "rule",
	[REFUSAL_STOPPED] = "stopped",
	[REFUSAL_OVER_SHARE] = "over-share",
	[REFUSAL_SLOW_REQUEST] = "slow-request",
};

/* Largest first, for showing. */
struct unit {
	const char *suffix;
	int64_t factor;
};
static const struct unit durations[] = {
	{ "d", 86400 * SECOND_NS }, { "h", 3600 * SECOND_NS }, { "m", 60 * SECOND_NS },
	{ "s", SECOND_NS },         { "ms", 1000000 },
};
static const struct unit sizes[] = {
	{ "GiB", INT64_C(1) << 30 }, { "MiB", INT64_C(1) << 20 }, { "KiB", INT64_C(1) << 10 }, { "", 1 },
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int read_unit(const struct unit *units, size_t n, struct str s, int64_t *ret)
{
	struct str digits = s;
	int64_t v;

	digits.n = 0;
	while (digits.n < s.n && s.p[digits.n] >= '0' && s.p[digits.n] <= '9')
		digits.n++;
	struct str suffix = { .p = s.p + digits.n, .n = s.n - digits.n };

	for (size_t i = 0; i < n; i++) {
		if (!str_eq(suffix, str_of(units[i].suffix)))
			continue;
		int r = str_to_i64(digits, &v);
		if (r < 0)
			return r;
		if (__builtin_mul_overflow(v, units[i].factor, &v))
			return -ERANGE;
		*ret = v;
		return 0;
	}
	return -EINVAL;
}

static const char *show_unit(const struct unit *units, size_t n, int64_t v, char *ret, size_t size)
{
	for (size_t i = 0; i < n; i++) {
		if (v % units[i].factor == 0 && (v != 0 || i + 1 == n)) {
			(void)snprintf(ret, size, "%lld%s", (long long)(v / units[i].factor), units[i].suffix);
			return ret;
		}
	}
	(void)snprintf(ret, size, "%lldns", (long long)v);
	return ret;
}

int units_to_ns(struct str s, int64_t *ret)
{
	return read_unit(durations, COUNT(durations), s, ret);
}

const char *units_show_ns(int64_t ns, char *ret, size_t size)
{
	return show_unit(durations, COUNT(durations), ns, ret, size);
}

int units_to_bytes(struct str s, int64_t *ret)
{
	return read_unit(sizes, COUNT(sizes), s, ret);
}

const char *units_show_bytes(int64_t bytes, char *ret, size_t size)
{
	return show_unit(sizes, COUNT(sizes), bytes, ret, size);
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

int units_check_name(struct str s, struct err *e)
{
	/* Words that stand for something else in commands and in URLs of the control API. */
	static const char *const reserved[] = { "none", "all", "auto", "pause", "resume", "purse", "purse.daemon" };
	bool good = s.n > 0 && s.n < GATE_NAME_MAX && is_alnum(s.p[0]);

	for (size_t i = 0; good && i < s.n; i++)
		good = is_alnum(s.p[i]) || s.p[i] == '.' || s.p[i] == '_' || s.p[i] == '-';
	if (!good)
		return err_set(e, EINVAL,
			       "is not a name (letters, digits, '.', '_', '-', at most %d of them, a letter or digit "
			       "first); write e.g. team-a", GATE_NAME_MAX - 1);
	for (size_t i = 0; i < COUNT(reserved); i++)
		if (str_eq_nocase(s, str_of(reserved[i])))
			return err_set(e, EINVAL, "is a reserved word; write e.g. my-%s", reserved[i]);
	return 0;
}

int units_check_cgroup(struct str s, struct err *e)
{
	bool good = s.n > 1 && s.n < 512 && s.p[0] == '/';
	struct str rest = { .p = s.p + 1, .n = good ? s.n - 1 : 0 };

	while (good && rest.n > 0) {
		bool last = !memchr(rest.p, '/', rest.n);
		struct str part = str_cut(&rest, '/');

		good = part.n > 0 && part.n < 256 && !str_eq(part, STR(".")) && !str_eq(part, STR("..")) &&
		       !memchr(part.p, '\n', part.n) && !memchr(part.p, '\0', part.n) && (last || rest.n > 0);
	}
	if (!good)
		return err_set(e, EINVAL,
			       "is not a cgroup path below the cgroup2 mount (absolute, no \"..\", no trailing "
			       "slash); write e.g. /purse/bot");
	return 0;
}

const char *units_show_time(int64_t unix_ns, bool with_ms, char *ret, size_t size)
{
	time_t s = (time_t)(unix_ns / SECOND_NS);
	struct tm tm;
	char day[40];

	if (!gmtime_r(&s, &tm) || strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		(void)snprintf(day, sizeof(day), "@%lld", (long long)s);
	if (with_ms)
		(void)snprintf(ret, size, "%s.%03dZ", day, (int)(unix_ns % SECOND_NS / 1000000));
	else
		(void)snprintf(ret, size, "%sZ", day);
	return ret;
}

int units_to_time(struct str s, int64_t now_s, int64_t *ret)
{
	static const char *const forms[] = { "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%MZ",
					     "%Y-%m-%dT%H:%M",     "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d" };
	char text[40];
	int64_t v;

	if (str_eq(s, STR("today"))) {
		*ret = now_s - now_s % 86400;
		return 0;
	}
	if (units_to_ns(s, &v) == 0) {
		*ret = v / SECOND_NS > now_s ? 0 : now_s - v / SECOND_NS;
		return 0;
	}
	if (s.n > 1 && s.p[0] == '@')
		return str_to_i64((struct str){ .p = s.p + 1, .n = s.n - 1 }, ret) ? -EINVAL : 0;
	if (s.n < 10 || !str_copy(text, sizeof(text), s))
		return -EINVAL;
	for (size_t i = 0; i < COUNT(forms); i++) {
		struct tm tm = { 0 };
		const char *end = strptime(text, forms[i], &tm);

		if (!end || *end)
			continue;
		time_t t = timegm(&tm);
		if (t < 0)
			return -EINVAL;
		*ret = t;
		return 0;
	}
	return -EINVAL;
}

int units_to_minute(struct str s, int32_t *ret)
{
	struct str hour = { s.p, 2 }, minute = { s.p + 3, 2 };
	int64_t h, m;

	if (s.n != 5 || s.p[2] != ':' || str_to_i64(hour, &h) < 0 || str_to_i64(minute, &m) < 0 || h > 23 || m > 59)
		return -EINVAL;
	*ret = (int32_t)(h * 60 + m);
	return 0;
}

const char *units_show_minute(int32_t minute, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%02d:%02d", (minute / 60) % 24, minute % 60);
	return ret;
}

const char *units_show_local(const char *zone, int64_t unix_s, char *ret, size_t size)
{
	const struct zone *z = NULL;
	struct tm tm;

	if (zone_open(zone, &z, NULL) < 0)
		z = NULL;
	time_t local = (time_t)(unix_s + (z ? zone_offset(z, unix_s) : 0));

	if (!gmtime_r(&local, &tm) || strftime(ret, size, "%Y-%m-%d %H:%M", &tm) == 0)
		(void)snprintf(ret, size, "@%lld", (long long)unix_s);
	return ret;
}
