// SPDX-License-Identifier: Apache-2.0
/* hmac.h: HMAC-SHA256 (RFC 2104) of a text, as lower-case hex: what signs the webhooks of ctl/alert/post.c. Pure. */
#ifndef PURSE_WIRE_HMAC_H
#define PURSE_WIRE_HMAC_H

#include "terms.h"

#define HMAC_HEX_MAX 65

/* 0, or -EIO when the library refuses. ret is NUL-terminated. */
int hmac_sha256(struct str key, struct str text, char ret[HMAC_HEX_MAX]);

#endif
