// SPDX-License-Identifier: Apache-2.0
/* one_pki.h: for tests: one PKI without flaws for all tests of a program; the group's setup makes it. */
#ifndef PURSE_TESTS_ONE_PKI_H
#define PURSE_TESTS_ONE_PKI_H

#include "tls_pair.h"

static struct pki pki;

static inline int setup(void **state)
{
	(void)state;
	pki_make(&pki, NULL, NULL, NULL);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	pki_free(&pki);
	return 0;
}

#endif
