// SPDX-License-Identifier: Apache-2.0
/*
 * ledger/schema.h: the texts of the ledger's file: how it is made, how an older one becomes a newer one, what is asked of it. Texts
 * only; ledger.c runs them.
 */
#ifndef PURSE_SPEND_LEDGER_SCHEMA_H
#define PURSE_SPEND_LEDGER_SCHEMA_H

#include "spend/ledger/db.h"

#define LEDGER_VERSION 2
#define LEDGER_APPLICATION_ID 0x70757273 /* "purs" */

/* From version i to i + 1. Each runs in one transaction that also sets user_version. */
extern const char *const ledger_migrations[LEDGER_VERSION];
/* From version i: a question that has no row if the file adds up, else one row: a text that says what does not. NULL = nothing to ask. */
extern const char *const ledger_doubts[LEDGER_VERSION];
extern const char *const ledger_statements[DB_STMT_COUNT];

#endif
