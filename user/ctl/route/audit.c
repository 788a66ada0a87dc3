// SPDX-License-Identifier: Apache-2.0
/* route/audit.c: the audit as an answer; the command line writes the same when no daemon runs. The proof itself: spend/audit.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/jsonw.h"
#include "ctl/route/route.h"
#include "spend/audit.h"

int route_audit_write(const struct audit_input *in, struct buf *out)
{
	struct audit_report report = { 0 };
	struct err e = { "" };
	struct jsonw w;
	int r = audit_run(in, &report, &e);

	jsonw_init(&w, out);
	jsonw_object(&w, NULL);
	jsonw_bool(&w, "clean", r == 0);
	jsonw_cstr(&w, "problem", r == 0 ? NULL : e.text[0] ? e.text : strerror(-r));
	jsonw_i64(&w, "accounts", (int64_t)report.accounts);
	jsonw_i64(&w, "windows", (int64_t)report.windows);
	jsonw_i64(&w, "holds", (int64_t)report.holds);
	jsonw_i64(&w, "pending", (int64_t)report.pending);
	jsonw_i64(&w, "over_limit", (int64_t)report.over_limit);
	jsonw_i64(&w, "model_limits", (int64_t)report.models);
	jsonw_i64(&w, "written_ahead", (int64_t)report.ahead);
	jsonw_i64(&w, "power_cut", in->budget ? 0 : (int64_t)report.open_stale);
	jsonw_usd(&w, "power_cut_cost", in->budget ? 0 : report.open_cost);
	jsonw_usd(&w, "spent", report.spent);
	jsonw_usd(&w, "unplaced", report.unplaced);
	jsonw_close(&w);
	int written = jsonw_end(&w);

	return written < 0 ? written : r;
}

void route_audit(const struct control *c, const struct request *r, struct answer *a)
{
	struct audit_input in = { .budget = c->budget, .ledger = c->ledger };

	/* A ledger that does not add up is an answer, not a failure to answer. */
	(void)route_audit_write(&in, a->body);
}
