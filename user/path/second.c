// SPDX-License-Identifier: Apache-2.0
/* second.c: see second.h. In doubt it waits for the agent: what then comes is no ClientHello, or one that is read. */
#include "path/second.h"

#include <string.h>

#include "wire/hello.h"

#define RECORD_HEAD 5
#define RECORD_MAX (16384 + 256)

enum { CHANGE_CIPHER = 20, ALERT = 21, HANDSHAKE = 22, DATA = 23 };
enum { CLIENT_HELLO = 1, SERVER_HELLO = 2 };
enum { WARNING_BYTES = RECORD_HEAD + 2 };

/* RFC 8446 4.1.3 */
static const unsigned char retry_random[32] = {
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

static size_t record_bytes(const unsigned char *p) { return (size_t)p[3] << 8 | p[4]; }

void second_begin(struct second *s, const struct hello *first)
{
	*s = (struct second){ .waits_for = SECOND_SERVER, .has_ech = first->has_ech };
	memcpy(s->sni, first->sni, sizeof(s->sni));
}

/* "unrecognized_name" and the like: the answer comes behind it. */
static bool is_warning(const struct second *s)
{
	return s->answer[0] == ALERT && record_bytes(s->answer) == 2 && s->answer[RECORD_HEAD] == 1;
}

static void judge_answer(struct second *s)
{
	const unsigned char *message = s->answer + RECORD_HEAD;

	if (s->answer[0] != HANDSHAKE || message[0] != SERVER_HELLO)
		s->waits_for = SECOND_OVER;
	else if (record_bytes(s->answer) < SECOND_ANSWER - RECORD_HEAD)
		s->waits_for = SECOND_AGENT; /* in pieces, which no server does */
	else if (s->n == SECOND_ANSWER)
		s->waits_for = memcmp(message + 6, retry_random, sizeof(retry_random)) == 0 ? SECOND_AGENT : SECOND_OVER;
}

void second_server(struct second *s, const void *p, size_t n)
{
	const unsigned char *at = p;

	while (n-- > 0 && s->waits_for == SECOND_SERVER) {
		s->answer[s->n++] = *at++;
		if (s->n == WARNING_BYTES && is_warning(s))
			s->n = 0;
		else if (s->n > RECORD_HEAD && (s->answer[0] != ALERT || s->n > WARNING_BYTES - 1))
			judge_answer(s);
	}
}

static enum second_verdict over(struct second *s)
{
	s->waits_for = SECOND_OVER;
	return SECOND_PASS;
}

static enum second_verdict judge_handshake(struct second *s, const unsigned char *p, size_t n)
{
	struct hello h;
	struct err e;

	if (n <= RECORD_HEAD)
		return SECOND_HOLD;
	/* The key exchange of TLS 1.2, or nonsense to a server that waits for a hello. */
	if (p[RECORD_HEAD] != CLIENT_HELLO)
		return over(s);
	switch (hello_parse(p, n, &h, &e)) {
	case HELLO_MORE:
		return SECOND_HOLD;
	case HELLO_TLS:
		if (!h.is_odd && h.has_ech == s->has_ech && strcmp(h.sni, s->sni) == 0)
			return over(s);
		return SECOND_REFUSE;
	default:
		return SECOND_REFUSE;
	}
}

enum second_verdict second_agent(struct second *s, const void *p, size_t n)
{
	const unsigned char *at = p;

	while (n >= RECORD_HEAD) {
		size_t whole = RECORD_HEAD + record_bytes(at);

		if (at[0] == HANDSHAKE)
			return judge_handshake(s, at, n);
		if (at[0] == ALERT)
			return over(s); /* it gives up */
		/* For middleboxes' sake, and early data that the server will not take. */
		if ((at[0] != CHANGE_CIPHER && at[0] != DATA) || whole > RECORD_HEAD + RECORD_MAX)
			return SECOND_REFUSE;
		if (whole > n)
			return SECOND_HOLD;
		at += whole;
		n -= whole;
	}
	return SECOND_HOLD;
}
