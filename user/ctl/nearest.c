// SPDX-License-Identifier: Apache-2.0
/* nearest.c: edit distance with swaps of neighbours counted as one. Words over 63 bytes are not compared. */
#include "ctl/nearest.h"

#include <string.h>

#define WORD_MAX 63

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned distance(struct str a, struct str b)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *now = rows[2];

	for (size_t j = 0; j <= b.n; j++)
		last[j] = (unsigned)j;
	memset(before, 0, sizeof(rows[0]));
	for (size_t i = 1; i <= a.n; i++) {
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= b.n; j++) {
			unsigned differs = a.p[i - 1] != b.p[j - 1];

			now[j] = least(least(last[j] + 1, now[j - 1] + 1), last[j - 1] + differs);
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
				now[j] = least(now[j], before[j - 2] + 1);
		}
		unsigned *spare = before;

		before = last;
		last = now;
		now = spare;
	}
	return last[b.n];
}

void nearest_init(struct nearest *n, struct str wrong)
{
	*n = (struct nearest){ .wrong = wrong };
}

void nearest_offer(struct nearest *n, const char *word)
{
	struct str w = { .p = word, .n = strlen(word) };

	if (n->wrong.n == 0 || n->wrong.n > WORD_MAX || w.n > WORD_MAX)
		return;
	unsigned d = distance(n->wrong, w);
	/* Half the word wrong is another word. */
	if (d > 3 || d * 2 > w.n)
		return;
	if (!n->best || d < n->distance) {
		n->best = word;
		n->distance = d;
	}
}

const char *nearest_word(const struct nearest *n)
{
	return n->best;
}
