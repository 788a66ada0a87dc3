// SPDX-License-Identifier: Apache-2.0
/* audit_own.h: one audit at work, between audit.c (both sides, the comparison) and audit_sums.c (what should be). */
#ifndef PURSE_SPEND_AUDIT_OWN_H
#define PURSE_SPEND_AUDIT_OWN_H

#include "base/map.h"
#include "spend/audit.h"
#include "spend/ledger/places.h"

#define NS_PER_S INT64_C(1000000000)

struct expected {
	nanousd spent[WINDOW_COUNT], held[WINDOW_COUNT];
};

/* One limit on models of one account, as the budget showed it before the instant. */
struct audit_models {
	uint32_t account;
	struct model_limit_view view;
	struct expected expected;
};

struct audit {
	struct budget *budget; /* NULL = the daemon is not running */
	const struct gate_account *accounts;
	size_t naccounts;
	const struct gate_hold *holds;
	size_t nholds;
	struct ledger_view *view;
	struct places *places;
	struct map *by_name;       /* -> struct gate_account */
	struct map *open;          /* call id -> struct gate_hold: slots in use */
	struct expected *expected; /* per account, with all below */
	struct audit_models *models;
	size_t nmodels;
	bool models_differ;
	struct map *cut_hours;     /* begins of hours that some window cuts */
	struct audit_report report;
	struct err *e;
	/* Whose hours are being added: they come account by account. */
	char name[GATE_NAME_MAX];
	uint32_t counts_at;
};

static inline bool audit_uses(const struct audit *a, uint64_t i)
{
	return i > 0 && i < a->naccounts && (a->accounts[i].flags & GATE_ACCOUNT_USED);
}

/* Fills places, expected, the expected of models, and the report's counts. */
int audit_sum(struct audit *a);
/* The limits on models as they stand, before the instant; audit_compare_models looks again, and leaves out what moved in between. */
int audit_read_models(struct audit *a);
int audit_compare_models(struct audit *a);

#endif
