// SPDX-License-Identifier: Apache-2.0
/* price_test.h: what the tests of price lists share. */
#ifndef PURSE_TEST_PRICE_H
#define PURSE_TEST_PRICE_H

#include "spend_test.h"

static inline struct price_list *parse(const char *text)
{
	struct price_list *l = NULL;
	struct err e = { "" };

	if (price_list_parse("t.yaml", text, strlen(text), &l, &e) < 0)
		fail_msg("%s", e.text);
	return l;
}

#endif
