// SPDX-License-Identifier: Apache-2.0
/*
 * money.h: an amount that a provider wrote as a JSON number, read exactly: decimal text in, nano-dollars out, no
 * double in between. Private to user/provider/.
 */
#ifndef PURSE_PROVIDER_MONEY_H
#define PURSE_PROVIDER_MONEY_H

#include "terms.h"

/*
 * text: a JSON number ("12", "0.0076509169000000005", "1.13e-05"). Its unit is 10^-unit USD: 0 = dollars, 10 = ticks of xAI.
 * What lies below a nano-dollar is rounded up. 0; -EINVAL: no number, or less than zero; -ERANGE: more than can be held.
 * *ret is not touched on failure.
 */
int money_read(struct str text, int unit, nanousd *ret);

#endif
