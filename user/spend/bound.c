// SPDX-License-Identifier: Apache-2.0
/* bound.c: arithmetic over time and bytes; nothing here knows a price or an exchange. */
#include "spend/bound.h"

#define NS_PER_MS INT64_C(1000000)
#define UNKNOWN_RATE 500

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

/* Rounded up; what does not fit is as good as endless. */
static int64_t tokens_within(int64_t rate, int64_t ms)
{
	int64_t product;

	if (ms <= 0)
		return 0;
	if (__builtin_mul_overflow(rate, ms, &product))
		return INT64_MAX;
	return product / 1000 + (product % 1000 != 0);
}

static int64_t add(int64_t a, int64_t b)
{
	int64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

void bound_init(struct bound *b, int64_t rate, int64_t choices, int64_t full)
{
	*b = (struct bound){ .full = full };
	if (__builtin_mul_overflow(rate, choices, &b->rate))
		b->rate = INT64_MAX;
	b->slice = tokens_within(b->rate, BOUND_NOTICE_MS + BOUND_TICK_MS);
}

void bound_start(struct bound *b, int64_t now_ns)
{
	b->start_ns = b->base_ns = now_ns;
	b->base = 0;
}

static int64_t by_time(const struct bound *b, int64_t now_ns)
{
	if (!b->start_ns)
		return 0;
	/* A begun millisecond counts. */
	return min64(b->full, add(b->base, tokens_within(b->rate, (now_ns - b->base_ns + NS_PER_MS - 1) / NS_PER_MS)));
}

void bound_saw(struct bound *b, int64_t bytes, int64_t events, bool hidden, bool all_read, int64_t now_ns)
{
	if (bytes > 0 && !b->bytes)
		b->text_ns = now_ns;
	b->bytes = bytes;
	if (hidden && !b->hidden) {
		b->base = 0;
		b->base_ns = b->start_ns;
	}
	b->hidden |= hidden;
	/* A sign of life without text proves nothing: a provider may hold text back behind it. */
	if (b->hidden || !all_read || bytes <= b->base_bytes || !b->start_ns)
		return;
	b->base = min64(by_time(b, now_ns), add(bytes, events));
	b->base_ns = now_ns;
	b->base_bytes = bytes;
}

int64_t bound_made(const struct bound *b, int64_t now_ns)
{
	/* Text that comes faster than the rate says that the rate is wrong: what it can be estimated at counts. */
	return min64(b->full, max64(by_time(b, now_ns), bound_text_tokens(b->bytes)));
}

int64_t bound_tokens(const struct bound *b, int64_t now_ns)
{
	return min64(b->full, add(bound_made(b, now_ns), b->slice));
}

int64_t bound_text_tokens(int64_t bytes)
{
	return bytes <= 0 ? 0 : bytes / BOUND_BYTES_PER_TOKEN + (bytes % BOUND_BYTES_PER_TOKEN != 0);
}

int64_t bound_in_flight(int64_t rate, int64_t tokens, int64_t took_ns)
{
	int64_t most = max64(BOUND_IN_FLIGHT_MIN, tokens_within(rate > 0 ? rate : UNKNOWN_RATE, BOUND_NOTICE_MS));
	int64_t took_ms = took_ns / NS_PER_MS, paced;

	/* Too short to have a pace. */
	if (took_ms < BOUND_NOTICE_MS || tokens <= 0)
		return most;
	if (__builtin_mul_overflow(tokens, (int64_t)BOUND_NOTICE_MS, &paced))
		return most;
	paced = paced / took_ms + (paced % took_ms != 0);
	return min64(most, max64(BOUND_IN_FLIGHT_MIN, paced));
}
