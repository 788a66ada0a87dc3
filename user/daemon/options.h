// SPDX-License-Identifier: Apache-2.0
/* daemon/options.h: the command line of pursed. */
#ifndef PURSE_DAEMON_OPTIONS_H
#define PURSE_DAEMON_OPTIONS_H

#include "terms.h"

struct options {
	const char *config; /* NULL = not named */
	bool debug, embedded, take_over, help, version;
};

/* *ret_over: nothing is left to do (help, version, a mistake, told on stderr), and the return value is the exit code. */
int options_read(char **argv, struct options *ret, bool *ret_over);

#endif
