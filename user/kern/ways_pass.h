// SPDX-License-Identifier: Apache-2.0
/* ways_pass.h: a descriptor by SCM_RIGHTS over a unix socket, for ways that need two processes. */
#ifndef PURSE_KERN_WAYS_PASS_H
#define PURSE_KERN_WAYS_PASS_H

int way_give(int over, int fd); /* negative errno */
int way_take(int over);         /* -1: there came none */

#endif
