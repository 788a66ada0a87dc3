// SPDX-License-Identifier: Apache-2.0
/* hmac.c: see hmac.h. */
#include "wire/hmac.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

int hmac_sha256(struct str key, struct str text, char ret[HMAC_HEX_MAX])
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (key.n > INT_MAX || !HMAC(EVP_sha256(), key.p ? key.p : "", (int)key.n, (const unsigned char *)text.p, text.n, mac, &n) || n != 32)
		return -EIO;
	for (unsigned i = 0; i < n; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", mac[i]);
	return 0;
}
